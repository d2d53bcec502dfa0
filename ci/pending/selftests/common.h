/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Helpers shared by the pidspace selftests.
 *
 * A test is a straight-line script, run by the process of the test in the
 * default container.  The processes it looks at or through are agents: forked
 * children that sit on a socket, run the functions they are sent (an agent_op,
 * any function of this binary) and answer with the result.  An agent can spawn
 * another one, so that a test owns a tree of processes whose members are in
 * containers, namespaces and sessions as needed, and still reads from top to
 * bottom without a race.  Operations return 0 or more, or -errno.
 *
 * An agent exits when the test closes its end of the socket or dies.
 */

#ifndef __PIDSPACE_COMMON_H
#define __PIDSPACE_COMMON_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"

/* Emulation and debugging options are slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 300

/* The number layout: a host pid is (id << VPID_BITS) | vpid */
#ifndef VPID_BITS
#define VPID_BITS	16
#endif
#define VPID_MAX	HOST_PID(1, 0)
#define PID_LIMIT	0x400000	/* PID_MAX_LIMIT, the default container */
#define ID_MIN		(PID_LIMIT >> VPID_BITS)
#define ID_MAX		((1 << (28 - VPID_BITS)) - 1)
#define NR_IDS		(ID_MAX - ID_MIN + 1)
#define NAME_MAX_LEN	31

#define HOST_PID(id, vpid)	((pid_t)((id) << VPID_BITS | (vpid)))

/* For things that take a moment, and much longer under emulation with KASAN */
#define PATIENCE_MS	90000

#ifndef __NR_pidfd_open
#define __NR_pidfd_open		434
#endif
#ifndef __NR_pidfd_send_signal
#define __NR_pidfd_send_signal	424
#endif
#ifndef __NR_clone3
#define __NR_clone3		435
#endif
#ifndef P_PIDFD
#define P_PIDFD			3
#endif

#define AGENT_ARGS	7
#define AGENT_PATH	256
#define AGENT_STR	32768

struct args {
	long v[AGENT_ARGS];
};

struct msg;
typedef long (*agent_op)(struct msg *m);

struct msg {
	long op;		/* relative to agent_main(), exec moves the image */
	long ret;
	long arg[AGENT_ARGS];
	size_t len;		/* of str, which is always followed by a NUL */
	char path[AGENT_PATH];
	char str[AGENT_STR];
};

struct agent {
	int fd;
	pid_t pid;		/* what fork() returned to the agent's parent */
	bool mine;		/* the test itself is the parent */
	struct msg m;		/* the last answer */
};

#define MAX_AGENTS	64

static struct agent *agents[MAX_AGENTS] __maybe_unused;
static int nr_agents __maybe_unused;

/* In an agent: its socket, and the descriptor that came with the message */
static int agent_sock __maybe_unused = -1;
static int agent_passed __maybe_unused = -1;

static inline long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static inline void sleep_ms(long ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000 };

	nanosleep(&ts, NULL);
}

/* True as soon as cond is, false when it has not become true for a long time */
#define EVENTUALLY(cond)						\
({									\
	long __end = now_ms() + PATIENCE_MS;				\
	bool __ok;							\
									\
	while (!(__ok = !!(cond)) && now_ms() < __end)			\
		sleep_ms(5);						\
	__ok;								\
})

/* ---- the agent's side ---- */

static __maybe_unused ssize_t msg_send(int fd, struct msg *m, int passed)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = {
		.iov_base = m,
		.iov_len = offsetof(struct msg, str) + m->len,
	};
	struct msghdr hdr = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (passed >= 0) {
		struct cmsghdr *c;

		hdr.msg_control = control;
		hdr.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&hdr);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &passed, sizeof(int));
	}
	return sendmsg(fd, &hdr, MSG_NOSIGNAL);
}

static __maybe_unused ssize_t msg_recv(int fd, struct msg *m, int *passed)
{
	char control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { .iov_base = m, .iov_len = sizeof(*m) - 1 };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;
	ssize_t n;

	do {
		n = recvmsg(fd, &hdr, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (n <= 0)
		return n;
	m->str[m->len] = '\0';

	*passed = -1;
	c = CMSG_FIRSTHDR(&hdr);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(passed, CMSG_DATA(c), sizeof(int));
	return n;
}

/* Run what the test sends, for ever */
static __maybe_unused void agent_main(int fd)
{
	static struct msg m;

	agent_sock = fd;
	/* Only the test may hold the other ends, it gets an EOF when we die. */
	if (fd > 3)
		syscall(__NR_close_range, 3, fd - 1, 0);
	syscall(__NR_close_range, fd + 1, ~0U, 0);

	while (msg_recv(agent_sock, &m, &agent_passed) > 0) {
		agent_op op = (agent_op)((unsigned long)agent_main + m.op);

		errno = 0;
		m.ret = op(&m);
		if (m.ret < 0)
			m.ret = -errno;
		if (msg_send(agent_sock, &m, -1) < 0)
			break;
	}
	_exit(0);
}

/* An agent that has called execve() goes on here, and answers for op_exec(). */
static __attribute__((constructor)) void agent_reenter(void)
{
	const char *fd = getenv("PIDSPACE_AGENT");
	static struct msg m;

	if (!fd)
		return;
	msg_send(atoi(fd), &m, -1);
	agent_main(atoi(fd));
}

static __maybe_unused long op_nop(struct msg *m)
{
	m->len = 0;
	return 0;
}

static __maybe_unused long op_syscall(struct msg *m)
{
	m->len = 0;
	return syscall(m->arg[0], m->arg[1], m->arg[2], m->arg[3], m->arg[4],
		       m->arg[5], m->arg[6]);
}

static __maybe_unused long op_exit(struct msg *m)
{
	_exit(m->arg[0]);
}

/* Write str to path, opened with the flags in arg 0, by a single write() */
static __maybe_unused long op_write(struct msg *m)
{
	int fd = open(m->path, m->arg[0], 0644);
	int err;
	long ret;

	if (fd < 0) {
		m->len = 0;
		return -1;
	}
	ret = write(fd, m->str, m->len);
	err = errno;
	close(fd);
	errno = err;
	m->len = 0;
	return ret;
}

/* The same arg 1 times; how often was arg 2 the errno? */
static __maybe_unused long op_write_storm(struct msg *m)
{
	long i, hits = 0;

	for (i = 0; i < m->arg[1]; i++) {
		int fd = open(m->path, m->arg[0]);

		if (fd < 0)
			return -1;
		if (write(fd, m->str, m->len) < 0 && errno == m->arg[2])
			hits++;
		close(fd);
	}
	m->len = 0;
	return hits;
}

static __maybe_unused long read_fd(int fd, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;

	while (len < size - 1) {
		n = read(fd, buf + len, size - 1 - len);
		if (n < 0)
			return -1;
		if (!n)
			break;
		len += n;
	}
	buf[len] = '\0';
	return len;
}

static __maybe_unused long read_path(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long ret;
	int err;

	buf[0] = '\0';
	if (fd < 0)
		return -1;
	ret = read_fd(fd, buf, size);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static __maybe_unused long op_read(struct msg *m)
{
	long ret = read_path(m->path, m->str, sizeof(m->str));

	m->len = ret < 0 ? 0 : ret;
	return ret;
}

static __maybe_unused long op_open(struct msg *m)
{
	m->len = 0;
	return open(m->path, m->arg[0]);
}

/* Read the descriptor in arg 0 from its beginning */
static __maybe_unused long op_read_at(struct msg *m)
{
	long ret;

	m->len = 0;
	if (lseek(m->arg[0], 0, SEEK_SET) < 0)
		return -1;
	ret = read_fd(m->arg[0], m->str, sizeof(m->str));
	if (ret > 0)
		m->len = ret;
	return ret;
}

/* Mount a file system of type str on path, with the data " pidns=..." after it */
static __maybe_unused long op_mount(struct msg *m)
{
	char *data = strchr(m->str, ' ');

	if (data)
		*data++ = '\0';
	m->len = 0;
	return mount(m->str, m->path, m->str, 0, data);
}

static __maybe_unused long op_readlink(struct msg *m)
{
	long ret = readlink(m->path, m->str, sizeof(m->str) - 1);

	m->len = ret < 0 ? 0 : ret;
	return ret;
}

struct dirent64_raw {
	__u64 d_ino;
	__s64 d_off;
	unsigned short d_reclen;
	unsigned char d_type;
	char d_name[];
};

/*
 * The numeric names in the directory path, in the order the kernel gives them,
 * read through a buffer of arg 0 bytes.  Returns how many there are.
 */
static __maybe_unused long op_list(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	long buf[512], n, count = 0;
	size_t len = 0;

	m->str[0] = '\0';
	m->len = 0;
	if (fd < 0)
		return -1;
	while ((n = syscall(__NR_getdents64, fd, buf, m->arg[0])) > 0) {
		char *p = (char *)buf, *end = p + n;

		while (p < end) {
			struct dirent64_raw *d = (struct dirent64_raw *)p;

			p += d->d_reclen;
			if (!isdigit(d->d_name[0]))
				continue;
			if (len + strlen(d->d_name) + 2 > sizeof(m->str)) {
				close(fd);
				errno = E2BIG;
				return -1;
			}
			len += sprintf(m->str + len, "%s%s", count ? " " : "",
				       d->d_name);
			count++;
		}
	}
	close(fd);
	m->len = len;
	return n < 0 ? n : count;
}

/* waitid(); returns si_pid, arg 0 and 1 become si_code and si_status */
static __maybe_unused long op_wait(struct msg *m)
{
	siginfo_t info = {};

	m->len = 0;
	if (syscall(__NR_waitid, m->arg[0], m->arg[1], &info, m->arg[2], NULL))
		return -1;
	m->arg[0] = info.si_code;
	m->arg[1] = info.si_status;
	return info.si_pid;
}

/* The inode of a pidfd tells whether two of them are for the same process. */
static __maybe_unused long op_pidfd_ino(struct msg *m)
{
	int fd = syscall(__NR_pidfd_open, m->arg[0], 0);
	struct stat st;

	m->len = 0;
	if (fd < 0 || fstat(fd, &st))
		return -1;
	close(fd);
	return st.st_ino;
}

/*
 * Fork an agent on the passed socket with the clone flags in arg 0, the
 * namespace levels in arg 1 and the numbers for it from arg 2 on.
 */
static __maybe_unused long op_spawn(struct msg *m)
{
	pid_t set_tid[AGENT_ARGS - 2];
	struct clone_args args = {
		.flags = m->arg[0],
		.exit_signal = m->arg[0] & CLONE_PARENT ? 0 : SIGCHLD,
		.set_tid = (__u64)(unsigned long)set_tid,
		.set_tid_size = m->arg[1],
	};
	int i, fd = agent_passed;
	long pid;

	for (i = 0; i < AGENT_ARGS - 2; i++)
		set_tid[i] = m->arg[i + 2];
	if (!m->arg[1])
		args.set_tid = 0;
	m->len = 0;
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid)
		agent_main(fd);
	i = errno;
	close(fd);
	errno = i;
	return pid;
}

/* Execute this program again; the answer, 0, comes from the new one. */
static __maybe_unused long op_exec(struct msg *m)
{
	char env[32];
	char *argv[2] = { m->path, NULL };
	char *envp[2] = { env, NULL };

	fcntl(agent_sock, F_SETFD, 0);
	snprintf(env, sizeof(env), "PIDSPACE_AGENT=%d", agent_sock);
	return execve("/proc/thread-self/exe", argv, envp);
}

#define MAX_THREADS	64

static struct {
	pthread_t thread;
	pid_t tid;
	int pipe[2];
	int ready[2];
	void (*fn)(void);
} threads[MAX_THREADS] __maybe_unused;
static int nr_threads __maybe_unused;

static __maybe_unused void *thread_main(void *arg)
{
	int i = (long)arg;
	char c;

	threads[i].tid = syscall(__NR_gettid);
	if (write(threads[i].ready[1], "", 1) != 1)
		return NULL;
	if (read(threads[i].pipe[0], &c, 1) == 1 && threads[i].fn)
		threads[i].fn();
	return NULL;
}

/* Start a thread that waits; returns its tid as it sees it itself. */
static __maybe_unused long op_thread(struct msg *m)
{
	int i = nr_threads;
	char c;

	m->len = 0;
	if (i == MAX_THREADS || pipe2(threads[i].pipe, O_CLOEXEC) ||
	    pipe2(threads[i].ready, O_CLOEXEC))
		return -1;
	threads[i].fn = NULL;
	errno = pthread_create(&threads[i].thread, NULL, thread_main,
			       (void *)(long)i);
	if (errno)
		return -1;
	nr_threads++;
	if (read(threads[i].ready[0], &c, 1) != 1)
		return -1;
	return threads[i].tid;
}

/* End the last thread that was started. */
static __maybe_unused long op_thread_join(struct msg *m)
{
	int i = --nr_threads;

	m->len = 0;
	if (write(threads[i].pipe[1], "", 1) != 1)
		return -1;
	errno = pthread_join(threads[i].thread, NULL);
	close(threads[i].pipe[0]);
	close(threads[i].pipe[1]);
	close(threads[i].ready[0]);
	close(threads[i].ready[1]);
	return errno ? -1 : 0;
}

/* ---- the test's side ---- */

static __maybe_unused void ag_send(struct agent *a, agent_op op,
				   const char *path, const char *str,
				   size_t len, int passed, const struct args *args)
{
	a->m.op = (unsigned long)op - (unsigned long)agent_main;
	memcpy(a->m.arg, args->v, sizeof(a->m.arg));
	snprintf(a->m.path, sizeof(a->m.path), "%s", path ? path : "");
	if (len)
		memcpy(a->m.str, str, len);
	a->m.len = len;
	msg_send(a->fd, &a->m, passed);
}

static __maybe_unused long ag_recv(struct agent *a)
{
	int passed;
	ssize_t n = msg_recv(a->fd, &a->m, &passed);

	if (n > 0)
		return a->m.ret;
	if (n < 0 && errno == EAGAIN)
		return -ETIMEDOUT;
	return -EPIPE;		/* the agent is dead */
}

static __maybe_unused long ag_call(struct agent *a, agent_op op,
				   const char *path, const char *str,
				   size_t len, int passed, const struct args *args)
{
	ag_send(a, op, path, str, len, passed, args);
	return ag_recv(a);
}

#define AG_ARGS(...)	(&(const struct args){ { __VA_ARGS__ } })

/* Run op(args) in the agent, and the same with a path */
#define ag_do(ag, op, ...) \
	ag_call(ag, op, NULL, NULL, 0, -1, AG_ARGS(__VA_ARGS__))
#define ag_path(ag, op, path, ...) \
	ag_call(ag, op, path, NULL, 0, -1, AG_ARGS(__VA_ARGS__))
/* Begin it only, ag_recv() gets the result */
#define ag_start(ag, op, ...) \
	ag_send(ag, op, NULL, NULL, 0, -1, AG_ARGS(__VA_ARGS__))
/* A system call whose arguments are numbers */
#define ag_sys(ag, ...)	ag_do(ag, op_syscall, __VA_ARGS__)

static __maybe_unused long ag_write(struct agent *a, const char *path,
				    int flags, const char *str)
{
	return ag_call(a, op_write, path, str, strlen(str), -1, AG_ARGS(flags));
}

static __maybe_unused long ag_read(struct agent *a, const char *path)
{
	return ag_path(a, op_read, path, 0);
}

static __maybe_unused long ag_mount(struct agent *a, const char *path,
				    const char *type)
{
	return ag_call(a, op_mount, path, type, strlen(type), -1, AG_ARGS(0));
}

/* The file's content without the last newline, or "error N" */
static __maybe_unused const char *ag_text(struct agent *a, const char *path)
{
	long ret = ag_read(a, path);

	if (ret < 0)
		snprintf(a->m.str, sizeof(a->m.str), "error %ld", -ret);
	else if (ret && a->m.str[ret - 1] == '\n')
		a->m.str[ret - 1] = '\0';
	return a->m.str;
}

#define ERR(nr)		ERR_(nr)
#define ERR_(nr)	"error " #nr

/* The numbers in a directory, or "error N" */
static __maybe_unused const char *ag_list(struct agent *a, const char *path)
{
	long ret = ag_path(a, op_list, path, 4096);

	if (ret < 0)
		snprintf(a->m.str, sizeof(a->m.str), "error %ld", -ret);
	return a->m.str;
}

static __maybe_unused const char *ag_link(struct agent *a, const char *path)
{
	long ret = ag_path(a, op_readlink, path, 0);

	if (ret < 0)
		snprintf(a->m.str, sizeof(a->m.str), "error %ld", -ret);
	return a->m.str;
}

/* "/proc/PID/file", for the next few uses */
static __maybe_unused const char *proc_path(long pid, const char *file)
{
	static char bufs[8][64];
	static int next;
	char *buf = bufs[next++ % 8];

	snprintf(buf, sizeof(bufs[0]), "/proc/%ld%s%s", pid, *file ? "/" : "",
		 file);
	return buf;
}

/* What follows "field:\t" in a text like /proc/PID/status */
static __maybe_unused const char *text_field(const char *text,
					     const char *field)
{
	static char buf[256];
	size_t n = strlen(field);
	const char *p = text;

	for (p = text; p && *p; p = strchr(p, '\n'), p += !!p) {
		if (strncmp(p, field, n) || p[n] != ':')
			continue;
		p += n + 1;
		p += strspn(p, " \t");
		snprintf(buf, sizeof(buf), "%.*s", (int)strcspn(p, "\n"), p);
		return buf;
	}
	return "no such field";
}

static __maybe_unused const char *ag_status(struct agent *a, long pid,
					    const char *field)
{
	const char *text = ag_text(a, proc_path(pid, "status"));

	return strncmp(text, "error ", 6) ? text_field(text, field) : text;
}

/* Field n of /proc/PID/stat, counted as in proc(5): 1 pid, 4 ppid, 5 pgrp... */
static __maybe_unused long ag_stat(struct agent *a, long pid, int n)
{
	long ret = ag_read(a, proc_path(pid, "stat"));
	char *p;

	if (ret < 0)
		return ret;
	if (n == 1)
		return atol(a->m.str);
	p = strrchr(a->m.str, ')');
	for (p = p ? p + 1 : NULL; p && n > 3; n--)
		p = strchr(p + 1, ' ');
	return p ? atol(p) : -EINVAL;
}

#define CREATE	(O_WRONLY | O_CREAT | O_TRUNC)	/* what a shell does for > */
#define JOIN	(O_WRONLY | O_CREAT | O_APPEND)	/* and for >> */

/* 0 or -errno; the newline makes it what echo writes */
static __maybe_unused long ag_container(struct agent *a, const char *name,
					int flags)
{
	char buf[4096];
	int len = snprintf(buf, sizeof(buf), "%s\n", name);
	long ret = ag_write(a, "/proc/container", flags, buf);

	return ret == len ? 0 : ret;
}

static __maybe_unused long ag_create(struct agent *a, const char *name)
{
	return ag_container(a, name, CREATE);
}

static __maybe_unused long ag_join(struct agent *a, const char *name)
{
	return ag_container(a, name, JOIN);
}

static __maybe_unused void ag_register(struct agent *a, int fd)
{
	struct timeval tv = { .tv_sec = PATIENCE_MS / 1000 };

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	a->fd = fd;
	if (nr_agents < MAX_AGENTS)
		agents[nr_agents++] = a;
}

/*
 * Make child an agent forked by parent, or by the test itself if that is NULL.
 * Returns what fork() returned, also kept in child->pid, or -errno.
 */
static __maybe_unused long ag_spawn_args(struct agent *parent,
					 struct agent *child, const struct args *args)
{
	int fd[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fd))
		return -errno;
	if (parent) {
		child->pid = ag_call(parent, op_spawn, NULL, NULL, 0, fd[1],
				     args);
	} else {
		child->pid = fork();
		if (!child->pid)
			agent_main(fd[1]);
		if (child->pid < 0)
			child->pid = -errno;
		child->mine = true;
	}
	close(fd[1]);
	if (child->pid < 0) {
		close(fd[0]);
		child->fd = -1;
		return child->pid;
	}
	ag_register(child, fd[0]);
	return child->pid;
}

#define ag_spawn(parent, child) ag_spawn_args(parent, child, AG_ARGS(0))
#define ag_clone(parent, child, ...) \
	ag_spawn_args(parent, child, AG_ARGS(__VA_ARGS__))

/* Give the agent a name that /proc/PID/comm shows */
static __maybe_unused long op_name(struct msg *m)
{
	m->len = 0;
	return prctl(PR_SET_NAME, m->path);
}

#define ag_name(ag, name)	ag_path(ag, op_name, name, 0)

/* Let the agent exit; returns when its descriptors are closed */
static __maybe_unused void ag_exit(struct agent *a, int code)
{
	ag_start(a, op_exit, code);
	ag_recv(a);
}

static __maybe_unused void ag_forget(struct agent *a)
{
	int i;

	a->mine = false;
	close(a->fd);
	for (i = 0; i < nr_agents; i++) {
		if (agents[i] == a)
			agents[i] = agents[--nr_agents];
	}
}

/* Let a child of the test exit, and reap it: 0, or -1 if that went wrong */
static __maybe_unused int ag_end(struct agent *a)
{
	int status;

	ag_exit(a, 0);
	ag_forget(a);
	if (waitpid(a->pid, &status, 0) != a->pid || status)
		return -1;
	return 0;
}

/* Kill a child of the test, and reap it: the same */
static __maybe_unused int ag_kill(struct agent *a)
{
	int status;

	/* Its socket is closed after it, or it would exit by itself. */
	if (kill(a->pid, SIGKILL) || waitpid(a->pid, &status, 0) != a->pid)
		return -1;
	ag_forget(a);
	return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? 0 : -1;
}

/* si_pid of the child that an agent reaps */
#define ag_reap(ag, pid)	ag_do(ag, op_wait, P_PID, pid, WEXITED)

/* ---- containers as the test sees them ---- */

struct row {
	char name[NAME_MAX_LEN + 1];
	long id, root, members;
};

/* A name that no other test uses; starts with the prefix of this test */
static __maybe_unused const char *cname(const char *tag)
{
	static char bufs[16][NAME_MAX_LEN + 1];
	static int next;
	char *buf = bufs[next++ % 16];

	snprintf(buf, sizeof(bufs[0]), "t%d.%s", getpid(), tag);
	return buf;
}

/* How many lines has the table for this name? The last one goes to row. */
static __maybe_unused int text_row(const char *text, const char *name,
				   struct row *row)
{
	const char *p;
	struct row r;
	int n = 0;

	for (p = text; p && *p; p = strchr(p, '\n'), p += !!p) {
		if (*p == '#' ||
		    sscanf(p, "%31s %ld %ld %ld", r.name, &r.id, &r.root,
			   &r.members) != 4 || strcmp(r.name, name))
			continue;
		n++;
		if (row)
			*row = r;
	}
	return n;
}

/* All lines but the heading */
static __maybe_unused int text_rows(const char *text)
{
	const char *p;
	int n = 0;

	for (p = text; p && *p; p = strchr(p, '\n'), p += !!p)
		n += *p != '#';
	return n;
}

/* The whole table, to be freed */
static __maybe_unused char *host_table(void)
{
	size_t size = 1 << 20;
	char *buf = malloc(size);

	if (buf && read_path("/proc/containers", buf, size) < 0)
		buf[0] = '\0';
	return buf;
}

static __maybe_unused int host_row(const char *name, struct row *row)
{
	char *text = host_table();
	int n = text_row(text, name, row);

	free(text);
	return n;
}

static __maybe_unused int ag_row(struct agent *a, const char *name,
				 struct row *row)
{
	return ag_read(a, "/proc/containers") < 0 ? -1 :
		text_row(a->m.str, name, row);
}

static __maybe_unused long host_id(const char *name)
{
	struct row row;

	return host_row(name, &row) == 1 ? row.id : -1;
}

static __maybe_unused long host_members(const char *name)
{
	struct row row;

	return host_row(name, &row) == 1 ? row.members : 0;
}

/* ---- begin and end ---- */

/* Kill every member of the containers of this test; how many were there? */
static __maybe_unused int kill_members(void)
{
	char prefix[16], path[64], name[64];
	struct dirent *d;
	DIR *dir = opendir("/proc");
	int n = 0;

	if (!dir)
		return 0;
	snprintf(prefix, sizeof(prefix), "t%d.", getpid());
	while ((d = readdir(dir))) {
		if (!isdigit(d->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/container",
			 d->d_name);
		if (read_path(path, name, sizeof(name)) > 0 &&
		    !strncmp(name, prefix, strlen(prefix))) {
			kill(atoi(d->d_name), SIGKILL);
			n++;
		}
	}
	closedir(dir);
	return n;
}

/* Call first in every FIXTURE_SETUP(): NULL, or why to SKIP() the test */
static __maybe_unused const char *pidspace_begin(void)
{
	char buf[64];
	sigset_t none;
	int sig;

	if (access("/proc/container", F_OK))
		return "no /proc/container: CONFIG_PIDSPACE is not set";
	if (geteuid())
		return "needs root";
	if (read_path("/proc/container", buf, sizeof(buf)) != 1)
		return "needs to run in the default container";
	/* A background job of a shell may come with SIGINT ignored. */
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Whatever becomes an orphan outside of containers comes here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	nr_agents = 0;
	return NULL;
}

/* Call last in every FIXTURE_TEARDOWN(): is nothing of the test left? */
static __maybe_unused bool pidspace_end(void)
{
	long end = now_ms() + PATIENCE_MS;
	int i, turn;
	pid_t pid;

	for (i = 0; i < nr_agents; i++) {
		close(agents[i]->fd);
		if (agents[i]->mine)
			kill(agents[i]->pid, SIGKILL);
	}
	nr_agents = 0;
	for (turn = 0; now_ms() < end; turn++) {
		pid = waitpid(-1, NULL, WNOHANG | __WALL);
		if (pid > 0)
			continue;
		if (!kill_members() && pid < 0)
			return true;
		sleep_ms(5);
	}
	return false;
}

/*
 * A directory of this name on a tmpfs of the test's own, in a mount namespace
 * of the test's own; agents that are spawned later share it.
 */
static __maybe_unused const char *private_dir(const char *name)
{
	static char paths[4][64];
	static int n;
	const char *tmp = access("/tmp", F_OK) ? "/mnt" : "/tmp";
	char *path = paths[n % 4];

	if (!n++ && (unshare(CLONE_NEWNS) ||
		     mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		     mount("tmpfs", tmp, "tmpfs", 0, NULL)))
		return NULL;
	snprintf(path, sizeof(paths[0]), "%s/%s", tmp, name);
	return mkdir(path, 0755) ? NULL : path;
}

/* Two containers, and who watches them */
struct world {
	struct agent a;		/* the host's */
	struct agent b, c;	/* root of "web" and its first child */
	struct agent d, e;	/* the same of "other" */
	struct agent kids[8];	/* for the test to spawn */
	long id, other;
	pid_t host_c, host_e;
};

static __maybe_unused void world_setup(struct __test_metadata *const _metadata,
				       struct world *w)
{
	ASSERT_GT(ag_spawn(NULL, &w->a), 0);
	ASSERT_GT(ag_spawn(NULL, &w->b), 0);
	ASSERT_GT(ag_spawn(NULL, &w->d), 0);
	ASSERT_EQ(0, ag_create(&w->b, cname("web")));
	ASSERT_EQ(0, ag_create(&w->d, cname("other")));
	ASSERT_EQ(2, ag_spawn(&w->b, &w->c));
	ASSERT_EQ(2, ag_spawn(&w->d, &w->e));
	ASSERT_EQ(0, ag_name(&w->a, "_a"));
	ASSERT_EQ(0, ag_name(&w->b, "_b"));
	ASSERT_EQ(0, ag_name(&w->c, "_c"));
	ASSERT_EQ(0, ag_name(&w->d, "_d"));
	ASSERT_EQ(0, ag_name(&w->e, "_e"));
	w->id = host_id(cname("web"));
	w->other = host_id(cname("other"));
	ASSERT_LE(ID_MIN, w->id);
	ASSERT_LE(ID_MIN, w->other);
	ASSERT_NE(w->id, w->other);
	w->host_c = HOST_PID(w->id, 2);
	w->host_e = HOST_PID(w->other, 2);
}

#endif /* __PIDSPACE_COMMON_H */
