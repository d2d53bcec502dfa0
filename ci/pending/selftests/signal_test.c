// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - signals to the root of a container, and across the wall
 */

#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/time.h>

#include "common.h"

FIXTURE(signal)
{
	struct world world;
};

FIXTURE_SETUP(signal)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(signal)
{
	EXPECT_TRUE(pidspace_end());
}

static int caught[65], sender[65];

static void handler(int sig, siginfo_t *info, void *context)
{
	caught[sig]++;
	sender[sig] = info->si_pid;
}

/* From now on count signal arg 0 */
static long op_handle(struct msg *m)
{
	struct sigaction sa = {
		.sa_sigaction = handler,
		.sa_flags = SA_SIGINFO | SA_RESTART,
	};

	m->len = 0;
	caught[m->arg[0]] = 0;
	return sigaction(m->arg[0], &sa, NULL);
}

/* How often has it come? arg 0 becomes the last sender. */
static long op_caught(struct msg *m)
{
	int sig = m->arg[0];

	m->len = 0;
	m->arg[0] = sender[sig];
	return caught[sig];
}

static long op_queue(struct msg *m)
{
	union sigval val = { .sival_int = 1 };

	m->len = 0;
	return sigqueue(m->arg[0], m->arg[1], val);
}

static long op_pidfd_signal(struct msg *m)
{
	int fd = syscall(__NR_pidfd_open, m->arg[0], 0);
	long ret, err;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = syscall(__NR_pidfd_send_signal, fd, m->arg[1], NULL, 0);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static bool is_stopped(pid_t pid)
{
	char text[4096];

	return read_path(proc_path(pid, "status"), text, sizeof(text)) > 0 &&
		strchr("Tt", *text_field(text, "State"));
}

/* The root has no handler: what members send is discarded, all of it. */
TEST_F(signal, from_members_discarded)
{
	struct world *w = &self->world;
	struct agent *b = &w->b, *senders[] = { &w->c, b };
	size_t i;
	int sig;

	for (i = 0; i < ARRAY_SIZE(senders); i++) {
		struct agent *s = senders[i];

		for (sig = 1; sig <= 64; sig++) {
			if (sig == 32 || sig == 33)
				continue;	/* the C library's own */
			EXPECT_EQ(0, ag_sys(s, __NR_kill, 1, sig));
			EXPECT_EQ(0, ag_sys(s, __NR_kill, b->pid, sig));
			EXPECT_EQ(0, ag_sys(s, __NR_tkill, 1, sig));
			EXPECT_EQ(0, ag_sys(s, __NR_tgkill, 1, 1, sig));
			EXPECT_EQ(0, ag_do(s, op_queue, 1, sig));
			EXPECT_EQ(0, ag_do(s, op_pidfd_signal, 1, sig));
			ASSERT_EQ(1, ag_sys(b, __NR_getpid)) {
				TH_LOG("signal %d", sig);
			}
			EXPECT_FALSE(is_stopped(b->pid));
		}
	}
	EXPECT_EQ(2, host_members(cname("web")));
}

/* It has a handler: delivered, with the sender's number as it knows it. */
TEST_F(signal, from_members_handled)
{
	struct world *w = &self->world;
	struct agent *b = &w->b, *c = &w->c;
	static const int sigs[] = { SIGTERM, SIGHUP, SIGUSR1, SIGCHLD };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sigs); i++) {
		ASSERT_EQ(0, ag_do(b, op_handle, sigs[i]));
		EXPECT_EQ(0, ag_sys(c, __NR_kill, 1, sigs[i]));
		EXPECT_EQ(1, ag_do(b, op_caught, sigs[i]));
		EXPECT_EQ(2, b->m.arg[0]);
		EXPECT_EQ(0, ag_sys(c, __NR_tgkill, 1, 1, sigs[i]));
		EXPECT_EQ(2, ag_do(b, op_caught, sigs[i]));
		EXPECT_EQ(0, ag_sys(b, __NR_kill, 1, sigs[i]));
		EXPECT_EQ(3, ag_do(b, op_caught, sigs[i]));
		EXPECT_EQ(1, b->m.arg[0]);
		EXPECT_EQ(0, ag_sys(b, __NR_kill, b->pid, sigs[i]));
		EXPECT_EQ(4, ag_do(b, op_caught, sigs[i]));
		/* From the host, an invisible sender */
		EXPECT_EQ(0, ag_sys(&w->a, __NR_kill, b->pid, sigs[i]));
		EXPECT_EQ(5, ag_do(b, op_caught, sigs[i]));
		EXPECT_EQ(0, b->m.arg[0]);
	}
}

/* A handler that is taken away again protects no more than none. */
TEST_F(signal, handler_removed)
{
	struct world *w = &self->world;

	ASSERT_EQ(0, ag_do(&w->b, op_handle, SIGTERM));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGTERM));
	EXPECT_EQ(1, ag_do(&w->b, op_caught, SIGTERM));
	ASSERT_EQ(0, ag_do(&w->b, op_exec));	/* resets handlers */
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGTERM));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

/* Members other than the root have no such protection. */
TEST_F(signal, to_children)
{
	struct world *w = &self->world;

	EXPECT_EQ(0, ag_sys(&w->b, __NR_kill, 2, SIGTERM));
	EXPECT_EQ(2, ag_do(&w->b, op_wait, P_PID, 2, WEXITED));
	EXPECT_EQ(CLD_KILLED, w->b.m.arg[0]);
	EXPECT_EQ(SIGTERM, w->b.m.arg[1]);
}

FIXTURE(outside)
{
	struct world world;
};

FIXTURE_VARIANT(outside)
{
	int sig;
	bool pidfd;
};

FIXTURE_VARIANT_ADD(outside, sigterm) { SIGTERM, false };
FIXTURE_VARIANT_ADD(outside, sigint) { SIGINT, false };
FIXTURE_VARIANT_ADD(outside, sighup) { SIGHUP, false };
FIXTURE_VARIANT_ADD(outside, sigkill) { SIGKILL, false };
FIXTURE_VARIANT_ADD(outside, sigusr1) { SIGUSR1, false };
FIXTURE_VARIANT_ADD(outside, sigterm_by_pidfd) { SIGTERM, true };
FIXTURE_VARIANT_ADD(outside, sigkill_by_pidfd) { SIGKILL, true };

FIXTURE_SETUP(outside)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(outside)
{
	EXPECT_TRUE(pidspace_end());
}

/* For the host the root is a process like any other. */
TEST_F(outside, kills_the_root)
{
	struct world *w = &self->world;
	int status;

	EXPECT_EQ(0, ag_do(&w->a, variant->pidfd ? op_pidfd_signal : op_queue,
			   w->b.pid, variant->sig));
	ASSERT_EQ(w->b.pid, waitpid(w->b.pid, &status, 0));
	ag_forget(&w->b);
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(variant->sig, WTERMSIG(status));
	/* And only the root */
	EXPECT_EQ(2, ag_sys(&w->c, __NR_getpid));
	EXPECT_EQ(1, host_members(cname("web")));
}

TEST_F(signal, stop_and_continue_from_outside)
{
	struct world *w = &self->world;
	int status;

	EXPECT_EQ(0, ag_sys(&w->a, __NR_kill, w->b.pid, SIGSTOP));
	ASSERT_EQ(w->b.pid, waitpid(w->b.pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status));
	EXPECT_EQ(SIGSTOP, WSTOPSIG(status));
	/* A member may continue it. */
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGCONT));
	ASSERT_EQ(w->b.pid, waitpid(w->b.pid, &status, WCONTINUED));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

/* ---- what the kernel sends ---- */

static long op_alarm(struct msg *m)
{
	struct itimerval it = { .it_value.tv_usec = 1000 };

	setitimer(ITIMER_REAL, &it, NULL);
	for (;;)
		pause();
	return 0;
}

static long op_segv(struct msg *m)
{
	char *p = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
		       0);

	*p = 1;
	return 0;
}

static long op_sigpipe(struct msg *m)
{
	int fd[2];

	if (pipe(fd))
		return -1;
	close(fd[0]);
	return write(fd[1], "x", 1);
}

static long op_file_size(struct msg *m)
{
	struct rlimit lim = { 1, 1 };
	int fd = memfd_create("x", 0);

	setrlimit(RLIMIT_FSIZE, &lim);
	if (write(fd, "x", 1) != 1)
		return -1;
	return write(fd, "x", 1);
}

static const struct {
	agent_op op;
	int sig;
} from_kernel[] = {
	{ op_alarm, SIGALRM },
	{ op_segv, SIGSEGV },
	{ op_sigpipe, SIGPIPE },
	{ op_file_size, SIGXFSZ },
};

TEST_F(signal, from_the_kernel)
{
	size_t i;
	int status;

	for (i = 0; i < ARRAY_SIZE(from_kernel); i++) {
		struct agent root = {};

		ASSERT_GT(ag_spawn(NULL, &root), 0);
		ASSERT_EQ(0, ag_create(&root, cname("kernel")));
		EXPECT_EQ(-EPIPE, ag_do(&root, from_kernel[i].op)) {
			TH_LOG("not killed by signal %d", from_kernel[i].sig);
		}
		kill(root.pid, SIGKILL);
		ASSERT_EQ(root.pid, waitpid(root.pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		EXPECT_EQ(from_kernel[i].sig, WTERMSIG(status));
		ag_forget(&root);
	}
}

static long op_death_signal(struct msg *m)
{
	m->len = 0;
	return prctl(PR_SET_PDEATHSIG, m->arg[0]);
}

TEST_F(signal, parent_outside_dies)
{
	struct agent p, root;
	int status;

	ASSERT_GT(ag_spawn(NULL, &p), 0);
	ASSERT_GT(ag_spawn(&p, &root), 0);
	ASSERT_EQ(0, ag_create(&root, cname("child")));
	ASSERT_EQ(0, ag_do(&root, op_death_signal, SIGTERM));
	EXPECT_EQ(0, ag_end(&p));
	ASSERT_EQ(root.pid, waitpid(root.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGTERM, WTERMSIG(status));
}

/* ---- to all ---- */

TEST_F(signal, to_all_members)
{
	struct world *w = &self->world;
	struct agent *b = &w->b, *c = &w->c, *kids = w->kids;

	ASSERT_EQ(3, ag_spawn(b, &kids[0]));
	ASSERT_EQ(4, ag_spawn(c, &kids[1]));
	/* By a child: all but the root and itself */
	EXPECT_EQ(0, ag_sys(c, __NR_kill, -1, SIGKILL));
	EXPECT_EQ(3, ag_reap(b, 3));
	EXPECT_EQ(4, ag_reap(c, 4));
	EXPECT_EQ(1, ag_sys(b, __NR_getpid));
	EXPECT_EQ(2, ag_sys(c, __NR_getpid));
	/* Nobody is left for it. */
	EXPECT_EQ(-ESRCH, ag_sys(c, __NR_kill, -1, SIGKILL));
	/* By the root */
	ASSERT_EQ(5, ag_spawn(b, &kids[2]));
	EXPECT_EQ(0, ag_sys(b, __NR_kill, -1, SIGKILL));
	EXPECT_EQ(2, ag_reap(b, 2));
	EXPECT_EQ(5, ag_reap(b, 5));
	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_kill, -1, SIGKILL));

	/* And nobody outside */
	EXPECT_EQ(w->a.pid, ag_sys(&w->a, __NR_getpid));
	EXPECT_EQ(1, ag_sys(&w->d, __NR_getpid));
	EXPECT_EQ(2, ag_sys(&w->e, __NR_getpid));
}

/* A root with a handler is spared as well. */
TEST_F(signal, to_all_but_the_root)
{
	struct world *w = &self->world;

	ASSERT_EQ(3, ag_spawn(&w->b, &w->kids[0]));
	ASSERT_EQ(0, ag_do(&w->b, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(&w->kids[0], op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(&w->d, op_handle, SIGUSR1));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, -1, SIGUSR1));
	EXPECT_EQ(1, ag_do(&w->kids[0], op_caught, SIGUSR1));
	EXPECT_EQ(2, w->kids[0].m.arg[0]);
	EXPECT_EQ(0, ag_do(&w->b, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_do(&w->d, op_caught, SIGUSR1));
}

/* ---- process groups that reach across the wall ---- */

TEST_F(signal, groups)
{
	struct world *w = &self->world;
	struct agent *p = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];
	pid_t pgid;

	/* p outside leads the group, x becomes a root in it, y is x's child */
	pgid = ag_spawn(NULL, p);
	ASSERT_GT(pgid, 0);
	ASSERT_EQ(0, ag_sys(p, __NR_setpgid, 0, 0));
	ASSERT_GT(ag_spawn(NULL, x), 0);
	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, pgid));
	ASSERT_EQ(0, ag_create(x, cname("group")));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_do(p, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(x, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(y, op_handle, SIGUSR1));

	/* From inside it reaches the members in the group. */
	EXPECT_EQ(0, ag_sys(y, __NR_kill, 0, SIGUSR1));
	EXPECT_EQ(1, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(1, ag_do(x, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_do(p, op_caught, SIGUSR1));
	EXPECT_EQ(-ESRCH, ag_sys(y, __NR_kill, -pgid, SIGUSR1));
	EXPECT_EQ(-ESRCH, ag_sys(x, __NR_kill, -pgid, SIGUSR1));
	EXPECT_EQ(0, ag_do(p, op_caught, SIGUSR1));

	/* From outside all of them, by either number of it */
	EXPECT_EQ(0, ag_sys(&w->a, __NR_kill, -pgid, SIGUSR1));
	EXPECT_EQ(2, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(2, ag_do(x, op_caught, SIGUSR1));
	EXPECT_EQ(1, ag_do(p, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_sys(p, __NR_kill, 0, SIGUSR1));
	EXPECT_EQ(3, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(2, ag_do(p, op_caught, SIGUSR1));
}

/* The leader of the group goes in, another member of it stays outside. */
TEST_F(signal, group_of_the_root)
{
	struct world *w = &self->world;
	struct agent *p = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];
	pid_t pgid;

	pgid = ag_spawn(NULL, x);
	ASSERT_GT(pgid, 0);
	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, 0));
	ASSERT_GT(ag_spawn(NULL, p), 0);
	ASSERT_EQ(0, ag_sys(p, __NR_setpgid, 0, pgid));
	ASSERT_EQ(0, ag_create(x, cname("group")));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_do(p, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(x, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(y, op_handle, SIGUSR1));

	EXPECT_EQ(1, ag_sys(x, __NR_getpgid, 0));
	EXPECT_EQ(pgid, ag_sys(p, __NR_getpgid, 0));
	EXPECT_EQ(0, ag_sys(y, __NR_kill, -1 * (long)pgid, SIGUSR1));
	EXPECT_EQ(1, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(1, ag_do(x, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_do(p, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_sys(x, __NR_kill, 0, SIGUSR1));
	EXPECT_EQ(2, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(2, ag_do(x, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_do(p, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_sys(p, __NR_kill, -1 * (long)pgid, SIGUSR1));
	EXPECT_EQ(3, ag_do(y, op_caught, SIGUSR1));
	EXPECT_EQ(3, ag_do(x, op_caught, SIGUSR1));
	EXPECT_EQ(1, ag_do(p, op_caught, SIGUSR1));
}

/* The same by priorities, which go by group and user as well */
TEST_F(signal, priorities_of_a_group)
{
	struct world *w = &self->world;
	struct agent *p = &w->kids[0], *x = &w->kids[1];
	pid_t pgid;

	pgid = ag_spawn(NULL, p);
	ASSERT_GT(pgid, 0);
	ASSERT_EQ(0, ag_sys(p, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_sys(p, __NR_setpriority, PRIO_PROCESS, 0, 1));
	ASSERT_GT(ag_spawn(NULL, x), 0);
	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, pgid));
	ASSERT_EQ(0, ag_create(x, cname("group")));
	EXPECT_EQ(-ESRCH, ag_sys(x, __NR_setpriority, PRIO_PGRP, pgid, 4));
	EXPECT_EQ(19, ag_sys(p, __NR_getpriority, PRIO_PROCESS, 0));
}

/* ---- pidfds ---- */

static long op_keep_pidfd(struct msg *m)
{
	m->len = 0;
	return syscall(__NR_pidfd_open, m->arg[0], 0);
}

TEST_F(signal, pidfd)
{
	struct world *w = &self->world;
	struct agent *x = &w->kids[0];
	long host, other, kid;

	ASSERT_EQ(0, ag_do(&w->a, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(&w->c, op_handle, SIGUSR1));
	ASSERT_EQ(0, ag_do(&w->e, op_handle, SIGUSR1));

	/* From the host, and between members */
	EXPECT_EQ(0, ag_do(&w->a, op_pidfd_signal, w->host_c, SIGUSR1));
	EXPECT_EQ(1, ag_do(&w->c, op_caught, SIGUSR1));
	EXPECT_EQ(0, w->c.m.arg[0]);
	EXPECT_EQ(0, ag_do(&w->b, op_pidfd_signal, 2, SIGUSR1));
	EXPECT_EQ(2, ag_do(&w->c, op_caught, SIGUSR1));
	EXPECT_EQ(1, w->c.m.arg[0]);

	/* Taken in from outside a pidfd opens no door to there. */
	ASSERT_GT(ag_spawn(NULL, x), 0);
	host = ag_do(x, op_keep_pidfd, w->a.pid);
	other = ag_do(x, op_keep_pidfd, w->host_e);
	ASSERT_LE(0, host);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ag_create(x, cname("pidfd")));
	EXPECT_EQ(-EINVAL, ag_sys(x, __NR_pidfd_send_signal, host, SIGUSR1, 0,
				  0));
	EXPECT_EQ(-EINVAL, ag_sys(x, __NR_pidfd_send_signal, other, SIGUSR1,
				  0, 0));
	EXPECT_EQ(0, ag_do(&w->a, op_caught, SIGUSR1));
	EXPECT_EQ(0, ag_do(&w->e, op_caught, SIGUSR1));
	ASSERT_EQ(2, ag_spawn(x, &w->kids[1]));
	kid = ag_do(x, op_keep_pidfd, 2);
	ASSERT_LE(0, kid);
	EXPECT_EQ(0, ag_sys(x, __NR_pidfd_send_signal, kid, SIGKILL, 0, 0));
	EXPECT_EQ(2, ag_reap(x, 2));
}

/* A tracer inside does not get the root killed by it either. */
TEST_F(signal, traced_root)
{
	struct world *w = &self->world;

	ASSERT_EQ(0, ag_sys(&w->c, __NR_ptrace, PTRACE_SEIZE, 1, 0, 0));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_ptrace, PTRACE_INTERRUPT, 1, 0, 0));
	EXPECT_EQ(1, ag_do(&w->c, op_wait, P_PID, 1, WSTOPPED));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_ptrace, PTRACE_CONT, 1, 0, 0));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGKILL));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

TEST_HARNESS_MAIN
