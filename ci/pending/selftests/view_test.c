// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - who sees whom under which number
 *
 *	seen by		a	b	c	d	e
 *	a (default)	A	-	-	-	-
 *	b (root)	B	1	1	-	-
 *	c (b's child)	C	2	2	-	-
 *	d (other root)	D	-	-	1	1
 *	e (d's child)	E	-	-	2	2
 *
 * A, B and D are ordinary pids, C is (id of b's container << 16) | 2 and E
 * (id of d's container << 16) | 2.
 */

#include <linux/futex.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/un.h>

#include "common.h"

FIXTURE(view)
{
	struct agent a, b, c, d, e;
	struct agent *all[5];
	long id, other;		/* of the two containers */
	pid_t host[5];		/* the numbers in the default container */
	/* What viewer [i] calls process [j], 0 if it does not see it */
	pid_t nr[5][5];
};

enum { A, B, C, D, E };

FIXTURE_SETUP(view)
{
	const char *why = pidspace_begin();
	static const char comm[5][3] = { "_a", "_b", "_c", "_d", "_e" };
	int i, j;

	if (why)
		SKIP(return, "%s", why);
	self->all[A] = &self->a;
	self->all[B] = &self->b;
	self->all[C] = &self->c;
	self->all[D] = &self->d;
	self->all[E] = &self->e;

	setpriority(PRIO_PROCESS, 0, 0);
	ASSERT_GT(ag_spawn(NULL, &self->a), 0);
	ASSERT_GT(ag_spawn(NULL, &self->b), 0);
	ASSERT_GT(ag_spawn(NULL, &self->d), 0);
	ASSERT_EQ(0, ag_create(&self->b, cname("web")));
	ASSERT_EQ(0, ag_create(&self->d, cname("other")));
	/* The first child is 2, and that is what fork() returns. */
	ASSERT_EQ(2, ag_spawn(&self->b, &self->c));
	ASSERT_EQ(2, ag_spawn(&self->d, &self->e));

	self->id = host_id(cname("web"));
	self->other = host_id(cname("other"));
	ASSERT_LE(ID_MIN, self->id);
	ASSERT_LE(ID_MIN, self->other);
	ASSERT_NE(self->id, self->other);
	self->host[A] = self->a.pid;
	self->host[B] = self->b.pid;
	self->host[C] = HOST_PID(self->id, 2);
	self->host[D] = self->d.pid;
	self->host[E] = HOST_PID(self->other, 2);

	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, ag_name(self->all[i], comm[i]));
		self->nr[A][i] = self->host[i];
	}
	for (i = B; i <= C; i++)
		for (j = B; j <= C; j++)
			self->nr[i][j] = j - B + 1;
	for (i = D; i <= E; i++)
		for (j = D; j <= E; j++)
			self->nr[i][j] = j - D + 1;
}

FIXTURE_TEARDOWN(view)
{
	EXPECT_TRUE(pidspace_end());
}

/* Is nr, passed in by viewer i, a number by which it knows process j? */
static bool knows(pid_t (*view)[5], int i, int j, pid_t nr)
{
	if (nr == view[i][j])
		return true;
	/* The former numbers of the roots */
	if (j == B && (i == B || i == C))
		return nr == view[A][B];
	if (j == D && (i == D || i == E))
		return nr == view[A][D];
	return false;
}

/*
 * Every number by which anybody knows process j is tried by viewer i: the ones
 * that are not the viewer's own must not lead to it.  A number may well lead to
 * another process, so what is compared is whether it is j.
 */
TEST_F(view, getpid)
{
	int i;

	for (i = 0; i < 5; i++) {
		EXPECT_EQ(self->nr[i][i], ag_sys(self->all[i], __NR_getpid));
		EXPECT_EQ(self->nr[i][i], ag_sys(self->all[i], __NR_gettid));
	}
}

TEST_F(view, getppid)
{
	EXPECT_EQ(getpid(), ag_sys(&self->a, __NR_getppid));
	EXPECT_EQ(0, ag_sys(&self->b, __NR_getppid));
	EXPECT_EQ(1, ag_sys(&self->c, __NR_getppid));
	EXPECT_EQ(0, ag_sys(&self->d, __NR_getppid));
	EXPECT_EQ(1, ag_sys(&self->e, __NR_getppid));
}

/* A pidfd tells which process it is for whoever opened it by what number. */
TEST_F(view, pidfd_open)
{
	long ino[5], ret;
	int i, j, k;
	pid_t nr;

	for (i = 0; i < 5; i++) {
		ino[i] = ag_do(self->all[i], op_pidfd_ino, self->nr[i][i]);
		ASSERT_GT(ino[i], 0);
		for (j = 0; j < i; j++)
			ASSERT_NE(ino[i], ino[j]);
	}
	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			for (k = 0; k < 5; k++) {
				nr = self->nr[k][j];
				if (!nr)
					continue;
				ret = ag_do(self->all[i], op_pidfd_ino, nr);
				EXPECT_EQ(knows(self->nr, i, j, nr),
					  ret == ino[j]) {
					TH_LOG("%c opens %d, maybe %c", 'a' + i,
					       nr, 'a' + j);
				}
			}
		}
	}
	/* Numbers that are nobody's inside */
	for (i = B; i <= E; i++) {
		int other = i <= C ? D : B;

		EXPECT_EQ(-ESRCH, ag_do(self->all[i], op_pidfd_ino,
					self->host[A]));
		EXPECT_EQ(-ESRCH, ag_do(self->all[i], op_pidfd_ino,
					self->host[C]));
		EXPECT_EQ(-ESRCH, ag_do(self->all[i], op_pidfd_ino,
					self->host[E]));
		EXPECT_EQ(-ESRCH, ag_do(self->all[i], op_pidfd_ino,
					self->host[other]));
		EXPECT_EQ(-ESRCH, ag_do(self->all[i], op_pidfd_ino, 3));
	}
}

/* The same calls for every viewer, and every number there is no process of */
static void expect_esrch(struct __test_metadata *const _metadata,
			 struct agent *a, pid_t nr)
{
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_kill, nr, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_tkill, nr, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_tgkill, nr, nr, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_kill, -nr, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_getpgid, nr));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_getsid, nr));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_setpgid, nr, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_getpriority, PRIO_PROCESS, nr));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_sched_getscheduler, nr));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_prlimit64, nr, RLIMIT_NOFILE, 0, 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_ptrace, PTRACE_ATTACH, nr, 0, 0));
	EXPECT_EQ(-ECHILD, ag_do(a, op_wait, P_PID, nr, WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(a, op_wait, P_PGID, nr, WEXITED | WNOHANG));
}

static void expect_found(struct __test_metadata *const _metadata,
			 struct agent *a, pid_t nr)
{
	EXPECT_EQ(0, ag_sys(a, __NR_kill, nr, 0));
	EXPECT_EQ(0, ag_sys(a, __NR_tkill, nr, 0));
	EXPECT_EQ(0, ag_sys(a, __NR_tgkill, nr, nr, 0));
	EXPECT_EQ(20, ag_sys(a, __NR_getpriority, PRIO_PROCESS, nr));
	EXPECT_EQ(0, ag_sys(a, __NR_sched_getscheduler, nr));
	EXPECT_EQ(0, ag_sys(a, __NR_prlimit64, nr, RLIMIT_NOFILE, 0, 0));
	EXPECT_LE(0, ag_sys(a, __NR_getpgid, nr));
	EXPECT_LE(0, ag_sys(a, __NR_getsid, nr));
}

TEST_F(view, numbers_accepted)
{
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			if (self->nr[i][j])
				expect_found(_metadata, self->all[i],
					     self->nr[i][j]);
		}
	}
	/* The former number of the root, by root and child */
	expect_found(_metadata, &self->b, self->host[B]);
	expect_found(_metadata, &self->c, self->host[B]);
	expect_found(_metadata, &self->d, self->host[D]);
	expect_found(_metadata, &self->e, self->host[D]);
}

TEST_F(view, numbers_refused)
{
	int i, j;

	for (i = B; i <= E; i++) {
		for (j = 0; j < 5; j++) {
			if (!knows(self->nr, i, j, self->host[j]))
				expect_esrch(_metadata, self->all[i],
					     self->host[j]);
		}
		expect_esrch(_metadata, self->all[i], 3);
		expect_esrch(_metadata, self->all[i], getpid());
		/* Own vpid with another container's id, or an id unused */
		expect_esrch(_metadata, self->all[i],
			     HOST_PID(self->other, 1));
		expect_esrch(_metadata, self->all[i], HOST_PID(self->id, 1));
		expect_esrch(_metadata, self->all[i], HOST_PID(1, 1));
		expect_esrch(_metadata, self->all[i], HOST_PID(1, 2));
	}
}

/* In the default container: only the one number each */
TEST_F(view, host_numbers)
{
	struct agent *a = &self->a;

	expect_esrch(_metadata, a, HOST_PID(self->id, 0));
	/* The root kept its pid. */
	expect_esrch(_metadata, a, HOST_PID(self->id, 1));
	expect_esrch(_metadata, a, HOST_PID(self->id, 3));
	/* The alias is for the inside. */
	expect_esrch(_metadata, a, HOST_PID(self->id, self->host[B]));
	expect_esrch(_metadata, a, PID_LIMIT - 1);
	expect_esrch(_metadata, a, HOST_PID(ID_MIN, 0));
	/* Ids that nobody has, in and out of range */
	expect_esrch(_metadata, a, HOST_PID(ID_MAX, 2));
	expect_esrch(_metadata, a, HOST_PID(ID_MAX + 1, 2));
	expect_esrch(_metadata, a, HOST_PID(ID_MAX + 1 + self->id, 2));
	expect_esrch(_metadata, a, INT_MAX);
}

TEST_F(view, tgkill_mismatch)
{
	struct agent *b = &self->b;

	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_tgkill, 1, 2, 0));
	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_tgkill, 2, 1, 0));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, self->host[B], 1, 0));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, 1, self->host[B], 0));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, self->host[B], self->host[B], 0));
	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_tgkill, self->host[B], 2, 0));
}

TEST_F(view, threads)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	long tid = ag_do(c, op_thread);

	ASSERT_EQ(3, tid);
	ASSERT_EQ(4, ag_do(b, op_thread));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, 2, 3, 0));
	EXPECT_EQ(0, ag_sys(c, __NR_tgkill, 1, 4, 0));
	EXPECT_EQ(-ESRCH, ag_sys(c, __NR_tgkill, 2, 4, 0));
	EXPECT_EQ(0, ag_sys(a, __NR_tgkill, self->host[C],
			    HOST_PID(self->id, 3), 0));
	EXPECT_EQ(0, ag_sys(a, __NR_tgkill, self->host[B],
			    HOST_PID(self->id, 4), 0));
	EXPECT_EQ(-ESRCH, ag_sys(a, __NR_tgkill, self->host[C], 3, 0));
	EXPECT_EQ(0, ag_do(b, op_thread_join));
	EXPECT_EQ(0, ag_do(c, op_thread_join));
	EXPECT_EQ(2, ag_sys(c, __NR_getpid));
}

TEST_F(view, groups_inherited)
{
	pid_t pgid = getpgid(0), sid = getsid(0);
	int i;

	/* All are in the test's group and session, which no member sees. */
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(pgid, ag_sys(&self->a, __NR_getpgid, self->host[i]));
		EXPECT_EQ(sid, ag_sys(&self->a, __NR_getsid, self->host[i]));
		EXPECT_EQ(i ? 0 : pgid, ag_sys(self->all[i], __NR_getpgid, 0));
		EXPECT_EQ(i ? 0 : sid, ag_sys(self->all[i], __NR_getsid, 0));
		EXPECT_EQ(i ? 0 : pgid, ag_sys(self->all[i], __NR_getpgrp));
	}
	EXPECT_EQ(0, ag_sys(&self->b, __NR_getpgid, 2));
	EXPECT_EQ(0, ag_sys(&self->c, __NR_getsid, 1));
}

TEST_F(view, groups_own)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;

	/* The child leads a group, the root joins it. */
	ASSERT_EQ(0, ag_sys(c, __NR_setpgid, 0, 0));
	EXPECT_EQ(2, ag_sys(c, __NR_getpgid, 0));
	EXPECT_EQ(2, ag_sys(b, __NR_getpgid, 2));
	EXPECT_EQ(host[C], ag_sys(a, __NR_getpgid, host[C]));
	EXPECT_EQ(-ESRCH, ag_sys(&self->d, __NR_kill, -host[C], 0));
	EXPECT_EQ(-ESRCH, ag_sys(&self->d, __NR_kill, -2, 0));
	ASSERT_EQ(0, ag_sys(b, __NR_setpgid, 0, 2));
	EXPECT_EQ(2, ag_sys(b, __NR_getpgid, 0));
	EXPECT_EQ(host[C], ag_sys(a, __NR_getpgid, host[B]));
	EXPECT_EQ(0, ag_sys(a, __NR_kill, -host[C], 0));
	EXPECT_EQ(0, ag_sys(b, __NR_kill, -2, 0));
	EXPECT_EQ(0, ag_sys(c, __NR_kill, -2, 0));

	/* The root leads a group, by its former number even. */
	ASSERT_EQ(0, ag_sys(b, __NR_setpgid, host[B], host[B]));
	EXPECT_EQ(1, ag_sys(b, __NR_getpgid, 0));
	ASSERT_EQ(0, ag_sys(b, __NR_setpgid, 2, host[B]));
	EXPECT_EQ(1, ag_sys(c, __NR_getpgrp));
	EXPECT_EQ(0, ag_sys(c, __NR_kill, -host[B], 0));
	EXPECT_EQ(host[B], ag_sys(a, __NR_getpgid, host[C]));

	/* Sessions */
	ASSERT_EQ(0, ag_sys(b, __NR_setpgid, 2, 2));
	ASSERT_EQ(-EPERM, ag_sys(c, __NR_setsid));
	ASSERT_EQ(0, ag_sys(c, __NR_setpgid, 0, 1));
	ASSERT_EQ(2, ag_sys(c, __NR_setsid));
	EXPECT_EQ(2, ag_sys(c, __NR_getsid, 0));
	EXPECT_EQ(2, ag_sys(b, __NR_getsid, 2));
	EXPECT_EQ(host[C], ag_sys(a, __NR_getsid, host[C]));
	EXPECT_EQ(0, ag_sys(b, __NR_getsid, 1));
}

TEST_F(view, session_of_the_root)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	struct agent kid;

	ASSERT_EQ(1, ag_sys(b, __NR_setsid));
	EXPECT_EQ(1, ag_sys(b, __NR_getsid, 0));
	EXPECT_EQ(1, ag_sys(b, __NR_getpgid, 0));
	EXPECT_EQ(1, ag_sys(b, __NR_getsid, self->host[B]));
	EXPECT_EQ(1, ag_sys(c, __NR_getsid, 1));
	EXPECT_EQ(0, ag_sys(c, __NR_getsid, 0));
	ASSERT_EQ(3, ag_spawn(b, &kid));
	EXPECT_EQ(1, ag_sys(&kid, __NR_getsid, 0));
	EXPECT_EQ(1, ag_sys(&kid, __NR_getpgid, 0));
	EXPECT_EQ(self->host[B], ag_sys(a, __NR_getsid, self->host[B]));
	EXPECT_EQ(self->host[B],
		  ag_sys(a, __NR_getsid, HOST_PID(self->id, 3)));
	ag_exit(&kid, 0);
	EXPECT_EQ(3, ag_reap(b, 3));
}

TEST_F(view, wait)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;
	siginfo_t info = {};
	int status;

	/* Nobody but the parent, and only by the number it knows */
	EXPECT_EQ(-ECHILD, ag_do(a, op_wait, P_PID, host[C],
				 WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PID, host[C],
				 WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PID, 1, WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PID, host[B],
				 WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PID, host[A],
				 WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(c, op_wait, P_PID, 1, WEXITED | WNOHANG));
	EXPECT_EQ(-ECHILD, ag_do(c, op_wait, P_ALL, 0, WEXITED | WNOHANG));
	EXPECT_EQ(0, ag_do(b, op_wait, P_PID, 2, WEXITED | WNOHANG));
	EXPECT_EQ(0, ag_do(b, op_wait, P_ALL, 0, WEXITED | WNOHANG));

	/* Stop, continue, exit */
	EXPECT_EQ(0, ag_sys(a, __NR_kill, host[C], SIGSTOP));
	EXPECT_EQ(2, ag_do(b, op_wait, P_ALL, 0, WSTOPPED));
	EXPECT_EQ(CLD_STOPPED, b->m.arg[0]);
	EXPECT_EQ(0, ag_sys(b, __NR_kill, 2, SIGCONT));
	EXPECT_EQ(2, ag_do(b, op_wait, P_PID, 2, WCONTINUED));
	ag_exit(c, 42);
	EXPECT_EQ(2, ag_do(b, op_wait, P_PID, 2, WEXITED | WNOWAIT));
	EXPECT_EQ(CLD_EXITED, b->m.arg[0]);
	EXPECT_EQ(42, b->m.arg[1]);
	EXPECT_EQ(2, ag_sys(b, __NR_wait4, -1, 0, 0, 0));
	EXPECT_EQ(-ECHILD, ag_sys(b, __NR_wait4, -1, 0, 0, 0));

	/* The test is the root's parent, as if nothing had happened. */
	EXPECT_EQ(0, waitid(P_PID, host[B], &info, WEXITED | WNOHANG));
	ag_exit(b, 7);
	EXPECT_EQ(0, waitid(P_PID, host[B], &info, WEXITED | WNOWAIT));
	EXPECT_EQ(host[B], info.si_pid);
	EXPECT_EQ(host[B], waitpid(host[B], &status, 0));
	EXPECT_EQ(7, WEXITSTATUS(status));
	b->mine = false;
}

TEST_F(view, wait_for_a_group)
{
	struct agent *b = &self->b, *c = &self->c;

	ASSERT_EQ(0, ag_sys(c, __NR_setpgid, 0, 0));
	EXPECT_EQ(-ECHILD, ag_sys(b, __NR_wait4, 0, 0, WNOHANG, 0));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PGID, self->host[C],
				 WEXITED | WNOHANG));
	EXPECT_EQ(0, ag_sys(b, __NR_wait4, -2, 0, WNOHANG, 0));
	ag_exit(c, 0);
	EXPECT_EQ(2, ag_do(b, op_wait, P_PGID, 2, WEXITED));
}

static int pipe_fd[2];

/* clone3() with everything that writes a number somewhere */
static long op_clone_numbers(struct msg *m)
{
	static pid_t parent_tid, child_tid, nr[2];
	struct clone_args args = {
		.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID | CLONE_PIDFD,
		.exit_signal = SIGCHLD,
		.parent_tid = (__u64)(unsigned long)&parent_tid,
		.child_tid = (__u64)(unsigned long)&child_tid,
	};
	char buf[512];
	int pidfd = -1;
	long pid;

	args.pidfd = (__u64)(unsigned long)&pidfd;
	m->len = 0;
	if (pipe(pipe_fd))
		return -1;
	pid = syscall(__NR_clone3, &args, sizeof(args));
	if (!pid) {
		nr[0] = child_tid;
		nr[1] = syscall(__NR_set_tid_address, 0);
		if (write(pipe_fd[1], nr, sizeof(nr)) != sizeof(nr))
			_exit(1);
		_exit(0);
	}
	if (read(pipe_fd[0], nr, sizeof(nr)) != sizeof(nr))
		return -1;
	m->arg[0] = parent_tid;
	m->arg[1] = nr[0];
	m->arg[2] = nr[1];
	snprintf(buf, sizeof(buf), "/proc/self/fdinfo/%d", pidfd);
	if (read_path(buf, m->str, sizeof(m->str)) < 0)
		return -1;
	m->arg[3] = atol(text_field(m->str, "Pid"));
	m->arg[4] = atol(text_field(m->str, "NSpid"));
	if (waitpid(pid, NULL, 0) != pid)
		return -1;
	return pid;
}

TEST_F(view, clone3)
{
	static const char * const what[5] = {
		"parent_tid", "child_tid", "set_tid_address()", "fdinfo Pid",
		"fdinfo NSpid",
	};
	struct agent *b = &self->b;
	int i;

	ASSERT_EQ(3, ag_do(b, op_clone_numbers));
	for (i = 0; i < 5; i++) {
		EXPECT_EQ(3, b->m.arg[i]) {
			TH_LOG("%s", what[i]);
		}
	}
	/* The numbers go on, they are not used again at once. */
	ASSERT_EQ(4, ag_do(b, op_clone_numbers));
	ASSERT_EQ(3, ag_do(&self->e, op_clone_numbers));
	EXPECT_EQ(3, self->e.m.arg[0]);
}

/* The child writes into the memory of the parent. */
static long op_vfork(struct msg *m)
{
	pid_t pid;

	m->len = 0;
	pid = vfork();
	if (!pid) {
		m->arg[0] = syscall(__NR_getpid);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		return -1;
	return pid;
}

TEST_F(view, vfork)
{
	EXPECT_EQ(3, ag_do(&self->b, op_vfork));
	EXPECT_EQ(3, self->b.m.arg[0]);
	EXPECT_EQ(4, ag_do(&self->c, op_vfork));
	EXPECT_EQ(4, self->c.m.arg[0]);
}

/* Block SIGUSR1 and SIGCHLD, then take the next of them: si_pid */
static long op_block(struct msg *m)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGCHLD);
	m->len = 0;
	return sigprocmask(SIG_BLOCK, &set, NULL);
}

static long op_take(struct msg *m)
{
	struct timespec patience = { PATIENCE_MS / 1000 };
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, m->arg[0]);
	m->len = 0;
	if (sigtimedwait(&set, &info, &patience) != m->arg[0])
		return -1;
	m->arg[0] = info.si_code;
	m->arg[1] = info.si_status;
	return info.si_pid;
}

TEST_F(view, signal_sender)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;

	ASSERT_EQ(0, ag_do(a, op_block));
	ASSERT_EQ(0, ag_do(b, op_block));
	ASSERT_EQ(0, ag_do(c, op_block));

	/* Host to child and to root: an unknown sender */
	EXPECT_EQ(0, ag_sys(a, __NR_kill, host[C], SIGUSR1));
	EXPECT_EQ(0, ag_do(c, op_take, SIGUSR1));
	EXPECT_EQ(SI_USER, c->m.arg[0]);
	EXPECT_EQ(0, ag_sys(a, __NR_kill, host[B], SIGUSR1));
	EXPECT_EQ(0, ag_do(b, op_take, SIGUSR1));
	/* Inside, by kill() and by tgkill() */
	EXPECT_EQ(0, ag_sys(b, __NR_kill, 2, SIGUSR1));
	EXPECT_EQ(1, ag_do(c, op_take, SIGUSR1));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, 2, 2, SIGUSR1));
	EXPECT_EQ(1, ag_do(c, op_take, SIGUSR1));
	EXPECT_EQ(0, ag_sys(c, __NR_kill, 1, SIGUSR1));
	EXPECT_EQ(2, ag_do(b, op_take, SIGUSR1));
	/* To itself, by the former number */
	EXPECT_EQ(0, ag_sys(b, __NR_kill, host[B], SIGUSR1));
	EXPECT_EQ(1, ag_do(b, op_take, SIGUSR1));
	/* SIGCHLD */
	ag_exit(c, 5);
	EXPECT_EQ(2, ag_do(b, op_take, SIGCHLD));
	EXPECT_EQ(CLD_EXITED, b->m.arg[0]);
	EXPECT_EQ(5, b->m.arg[1]);
}

TEST_F(view, sigchld_of_the_root)
{
	struct timespec patience = { PATIENCE_MS / 1000 };
	siginfo_t info = {};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	ag_exit(&self->b, 3);
	ASSERT_EQ(SIGCHLD, sigtimedwait(&set, &info, &patience));
	EXPECT_EQ(self->host[B], info.si_pid);
	EXPECT_EQ(3, info.si_status);
}

static long op_setown(struct msg *m)
{
	struct f_owner_ex ex = {};
	int fd[2];

	m->len = 0;
	if (pipe(fd) || fcntl(fd[0], F_SETOWN, m->arg[0]) ||
	    fcntl(fd[0], F_GETOWN_EX, &ex))
		return -1;
	m->arg[0] = ex.pid;
	m->arg[1] = syscall(__NR_fcntl, fd[0], F_GETOWN, 0);
	close(fd[0]);
	close(fd[1]);
	return 0;
}

TEST_F(view, file_owner)
{
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			if (!self->nr[i][j])
				continue;
			EXPECT_EQ(0, ag_do(self->all[i], op_setown,
					   self->nr[i][j]));
			EXPECT_EQ(self->nr[i][j], self->all[i]->m.arg[0]);
			EXPECT_EQ(self->nr[i][j], self->all[i]->m.arg[1]);
		}
	}
	/* In as the former number, out as 1 */
	EXPECT_EQ(0, ag_do(&self->c, op_setown, self->host[B]));
	EXPECT_EQ(1, self->c.m.arg[0]);
	EXPECT_EQ(1, self->c.m.arg[1]);
	EXPECT_EQ(-ESRCH, ag_do(&self->c, op_setown, self->host[C]));
	EXPECT_EQ(-ESRCH, ag_do(&self->c, op_setown, self->host[E]));
}

/*
 * Unix sockets: SO_PEERCRED of whoever called listen() and connect(), and
 * SCM_CREDENTIALS with a message.
 */
static int unix_fd = -1;

static struct sockaddr_un unix_addr(const char *name, socklen_t *len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "%s", name);
	*len = offsetof(struct sockaddr_un, sun_path) + 1 + strlen(name);
	return addr;
}

static long op_listen(struct msg *m)
{
	int one = 1, fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_un addr = unix_addr(m->path, &len);

	m->len = 0;
	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&addr, len) || listen(fd, 1))
		return -1;
	unix_fd = fd;
	return 0;
}

static long op_connect(struct msg *m)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len;
	struct sockaddr_un addr = unix_addr(m->path, &len);
	struct ucred cred;

	m->len = 0;
	if (connect(fd, (struct sockaddr *)&addr, len))
		return -1;
	len = sizeof(cred);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    write(fd, "x", 1) != 1)
		return -1;
	close(fd);
	return cred.pid;
}

static long op_accept(struct msg *m)
{
	char control[CMSG_SPACE(sizeof(struct ucred))], c;
	struct iovec iov = { &c, 1 };
	struct msghdr hdr = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int fd = accept(unix_fd, NULL, NULL);
	socklen_t len = sizeof(struct ucred);
	struct cmsghdr *cmsg;
	struct ucred cred;

	m->len = 0;
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) ||
	    recvmsg(fd, &hdr, 0) != 1)
		return -1;
	m->arg[0] = cred.pid;
	cmsg = CMSG_FIRSTHDR(&hdr);
	if (!cmsg || cmsg->cmsg_type != SCM_CREDENTIALS)
		return -1;
	memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
	close(fd);
	close(unix_fd);
	return cred.pid;
}

TEST_F(view, unix_sockets)
{
	char name[64];
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			struct agent *server = self->all[i];
			struct agent *client = self->all[j];

			if (i == j)
				continue;
			snprintf(name, sizeof(name), "pidspace.%d.%d.%d",
				 getpid(), i, j);
			ASSERT_EQ(0, ag_path(server, op_listen, name, 0));
			EXPECT_EQ(self->nr[j][i],
				  ag_path(client, op_connect, name, 0));
			EXPECT_EQ(self->nr[i][j], ag_do(server, op_accept));
			EXPECT_EQ(self->nr[i][j], server->m.arg[0]);
		}
	}
}

/* A CPU clock is ~pid << 3, that is what limits host pids to 28 bits. */
static long op_cpu_clock(struct msg *m)
{
	struct timespec ts;
	clockid_t clock;

	m->len = 0;
	errno = clock_getcpuclockid(m->arg[0], &clock);
	if (errno || clock_gettime(clock, &ts))
		return -1;
	return 0;
}

TEST_F(view, cpu_clocks)
{
	int i, j;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			if (self->nr[i][j])
				EXPECT_EQ(0, ag_do(self->all[i], op_cpu_clock,
						   self->nr[i][j]));
		}
	}
	EXPECT_EQ(-ESRCH, ag_do(&self->c, op_cpu_clock, self->host[C]));
	EXPECT_EQ(-ESRCH, ag_do(&self->c, op_cpu_clock, self->host[A]));
	EXPECT_EQ(-ESRCH, ag_do(&self->d, op_cpu_clock, self->host[C]));
}

static long op_futex_pi(struct msg *m)
{
	static __u32 word;
	long ret;

	m->len = 0;
	word = 0;
	if (syscall(__NR_futex, &word, FUTEX_LOCK_PI_PRIVATE, 0, NULL, NULL, 0))
		return -1;
	ret = word & FUTEX_TID_MASK;
	if (syscall(__NR_futex, &word, FUTEX_UNLOCK_PI_PRIVATE, 0, NULL, NULL,
		    0))
		return -1;
	return word ? -1 : ret;
}

TEST_F(view, futex_owner)
{
	int i;

	for (i = 0; i < 5; i++)
		EXPECT_EQ(self->nr[i][i], ag_do(self->all[i], op_futex_pi));
}

/* The walks over all processes see the visible ones. */
TEST_F(view, priority_of_a_user)
{
	struct agent *a = &self->a, *b = &self->b, *d = &self->d;

	/* The lowest nice value of any process of the user wins. */
	EXPECT_EQ(0, ag_sys(d, __NR_setpriority, PRIO_PROCESS, 0, -7));
	EXPECT_EQ(20, ag_sys(b, __NR_getpriority, PRIO_USER, 0));
	EXPECT_EQ(27, ag_sys(d, __NR_getpriority, PRIO_USER, 0));
	EXPECT_LE(27, ag_sys(a, __NR_getpriority, PRIO_USER, 0));
	/* And it sets them for the members only. */
	EXPECT_EQ(0, ag_sys(b, __NR_setpriority, PRIO_USER, 0, 5));
	EXPECT_EQ(15, ag_sys(b, __NR_getpriority, PRIO_PROCESS, 1));
	EXPECT_EQ(15, ag_sys(b, __NR_getpriority, PRIO_PROCESS, 2));
	EXPECT_EQ(20, ag_sys(a, __NR_getpriority, PRIO_PROCESS, 0));
	EXPECT_EQ(20, ag_sys(a, __NR_getpriority, PRIO_PROCESS,
			     self->host[E]));
	EXPECT_EQ(27, ag_sys(d, __NR_getpriority, PRIO_PROCESS, 1));
}

/* ---- /proc, by each viewer through the one mount ---- */

TEST_F(view, proc_self)
{
	char buf[32];
	int i;

	for (i = 0; i < 5; i++) {
		snprintf(buf, sizeof(buf), "%d", self->nr[i][i]);
		EXPECT_STREQ(buf, ag_link(self->all[i], "/proc/self"));
		snprintf(buf, sizeof(buf), "%d/task/%d", self->nr[i][i],
			 self->nr[i][i]);
		EXPECT_STREQ(buf, ag_link(self->all[i], "/proc/thread-self"));
	}
}

TEST_F(view, proc_directories)
{
	static const char comm[5][3] = { "_a", "_b", "_c", "_d", "_e" };
	const char *text;
	int i, j, k;
	pid_t nr;

	for (i = 0; i < 5; i++) {
		for (j = 0; j < 5; j++) {
			for (k = 0; k < 5; k++) {
				nr = self->nr[k][j];
				if (!nr)
					continue;
				text = ag_text(self->all[i],
					       proc_path(nr, "comm"));
				EXPECT_EQ(knows(self->nr, i, j, nr),
					  !strcmp(text, comm[j])) {
					TH_LOG("%c reads %s in /proc/%d",
					       'a' + i, text, nr);
				}
			}
		}
	}
	for (i = B; i <= E; i++) {
		for (j = 0; j < 5; j++) {
			if (knows(self->nr, i, j, self->host[j]))
				continue;
			EXPECT_STREQ(ERR(2), ag_text(self->all[i],
						     proc_path(self->host[j],
							       "comm")));
			EXPECT_EQ(-ENOENT,
				  ag_path(self->all[i], op_open,
					  proc_path(self->host[j], ""),
					  O_RDONLY));
		}
		EXPECT_EQ(-ENOENT, ag_read(self->all[i],
					   proc_path(3, "status")));
		EXPECT_EQ(-ENOENT, ag_read(self->all[i],
					   proc_path(getpid(), "status")));
	}
	EXPECT_EQ(-ENOENT, ag_read(&self->a, proc_path(HOST_PID(self->id, 1),
						       "status")));
	EXPECT_EQ(-ENOENT, ag_read(&self->a, proc_path(HOST_PID(self->id, 3),
						       "status")));
}

TEST_F(view, proc_stat)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;

	ASSERT_EQ(0, ag_sys(c, __NR_setpgid, 0, 0));

	EXPECT_EQ(host[C], ag_stat(a, host[C], 1));
	EXPECT_EQ(host[B], ag_stat(a, host[C], 4));
	EXPECT_EQ(host[C], ag_stat(a, host[C], 5));
	EXPECT_EQ(getsid(0), ag_stat(a, host[C], 6));
	EXPECT_EQ(host[B], ag_stat(a, host[B], 1));
	EXPECT_EQ(getpid(), ag_stat(a, host[B], 4));
	EXPECT_EQ(getpgid(0), ag_stat(a, host[B], 5));

	EXPECT_EQ(2, ag_stat(b, 2, 1));
	EXPECT_EQ(1, ag_stat(b, 2, 4));
	EXPECT_EQ(2, ag_stat(b, 2, 5));
	EXPECT_EQ(0, ag_stat(b, 2, 6));
	EXPECT_EQ(1, ag_stat(c, 1, 1));
	EXPECT_EQ(0, ag_stat(c, 1, 4));
	EXPECT_EQ(0, ag_stat(c, 1, 5));
	EXPECT_EQ(0, ag_stat(c, 1, 6));
	/* By the former number it is still 1. */
	EXPECT_EQ(1, ag_stat(b, host[B], 1));
	EXPECT_EQ(1, ag_stat(c, host[B], 1));
	EXPECT_EQ(0, ag_stat(c, host[B], 4));
}

static const char *two(pid_t host, pid_t vpid)
{
	static char buf[4][32];
	static int next;

	next = (next + 1) % 4;
	snprintf(buf[next], sizeof(buf[0]), "%d\t%d", host, vpid);
	return buf[next];
}

static const char *one(pid_t nr)
{
	static char buf[4][32];
	static int next;

	next = (next + 1) % 4;
	snprintf(buf[next], sizeof(buf[0]), "%d", nr);
	return buf[next];
}

TEST_F(view, proc_status)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;

	ASSERT_EQ(0, ag_sys(c, __NR_setpgid, 0, 0));

	/* The host sees its number and the container's. */
	EXPECT_STREQ(one(host[C]), ag_status(a, host[C], "Tgid"));
	EXPECT_STREQ(one(host[C]), ag_status(a, host[C], "Pid"));
	EXPECT_STREQ(one(host[B]), ag_status(a, host[C], "PPid"));
	EXPECT_STREQ("0", ag_status(a, host[C], "TracerPid"));
	EXPECT_STREQ(two(host[C], 2), ag_status(a, host[C], "NStgid"));
	EXPECT_STREQ(two(host[C], 2), ag_status(a, host[C], "NSpid"));
	EXPECT_STREQ(two(host[C], 2), ag_status(a, host[C], "NSpgid"));
	EXPECT_STREQ(two(host[B], 1), ag_status(a, host[B], "NStgid"));
	EXPECT_STREQ(two(host[B], 1), ag_status(a, host[B], "NSpid"));
	EXPECT_STREQ(one(getpid()), ag_status(a, host[B], "PPid"));
	EXPECT_STREQ(two(host[E], 2), ag_status(a, host[E], "NSpid"));
	EXPECT_STREQ(one(host[A]), ag_status(a, host[A], "NSpid"));

	/* A member sees its own. */
	EXPECT_STREQ("2", ag_status(b, 2, "Tgid"));
	EXPECT_STREQ("2", ag_status(b, 2, "Pid"));
	EXPECT_STREQ("1", ag_status(b, 2, "PPid"));
	EXPECT_STREQ("2", ag_status(b, 2, "NStgid"));
	EXPECT_STREQ("2", ag_status(b, 2, "NSpid"));
	EXPECT_STREQ("2", ag_status(b, 2, "NSpgid"));
	EXPECT_STREQ("1", ag_status(c, 1, "Pid"));
	EXPECT_STREQ("0", ag_status(c, 1, "PPid"));
	EXPECT_STREQ("1", ag_status(c, 1, "NSpid"));
	EXPECT_STREQ("1", ag_status(c, host[B], "Tgid"));
	EXPECT_STREQ("1", ag_status(c, host[B], "NSpid"));
}

TEST_F(view, proc_tracer)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	const pid_t *host = self->host;

	/* Host traces a member, member traces a member */
	ASSERT_EQ(0, ag_sys(a, __NR_ptrace, PTRACE_SEIZE, host[B], 0, 0));
	EXPECT_STREQ(one(host[A]), ag_status(a, host[B], "TracerPid"));
	EXPECT_STREQ("0", ag_status(c, 1, "TracerPid"));
	ASSERT_EQ(0, ag_sys(b, __NR_ptrace, PTRACE_SEIZE, 2, 0, 0));
	EXPECT_STREQ(one(host[B]), ag_status(a, host[C], "TracerPid"));
	EXPECT_STREQ("1", ag_status(c, 2, "TracerPid"));
}

static bool has_number(const char *list, pid_t nr, int times)
{
	char key[32];
	const char *p = list;
	int n = 0, len;

	len = snprintf(key, sizeof(key), "%d", nr);
	for (; p; p = strchr(p, ' ')) {
		p += *p == ' ';
		if (!strncmp(p, key, len) && (!p[len] || p[len] == ' '))
			n++;
	}
	return n == times;
}

TEST_F(view, proc_lists)
{
	const char *list;
	int i;

	EXPECT_STREQ("1 2", ag_list(&self->b, "/proc"));
	EXPECT_STREQ("1 2", ag_list(&self->c, "/proc"));
	EXPECT_STREQ("1 2", ag_list(&self->d, "/proc"));
	EXPECT_STREQ("1 2", ag_list(&self->e, "/proc"));

	list = ag_list(&self->a, "/proc");
	for (i = 0; i < 5; i++)
		EXPECT_TRUE(has_number(list, self->host[i], 1));
	EXPECT_TRUE(has_number(list, getpid(), 1));
	EXPECT_TRUE(has_number(list, HOST_PID(self->id, 1), 0));
}

TEST_F(view, proc_task)
{
	struct agent *a = &self->a, *b = &self->b, *c = &self->c;
	char path[64], list[128];

	ASSERT_EQ(3, ag_do(c, op_thread));
	ASSERT_EQ(4, ag_do(b, op_thread));
	ASSERT_EQ(5, ag_do(c, op_thread));

	EXPECT_STREQ("2 3 5", ag_list(c, "/proc/self/task"));
	EXPECT_STREQ("2 3 5", ag_list(b, "/proc/2/task"));
	EXPECT_STREQ("1 4", ag_list(b, "/proc/self/task"));
	EXPECT_STREQ("1 4", ag_list(c, "/proc/1/task"));
	EXPECT_STREQ("1 4", ag_list(c, proc_path(self->host[B], "task")));
	snprintf(list, sizeof(list), "%d %d %d", self->host[C],
		 HOST_PID(self->id, 3), HOST_PID(self->id, 5));
	EXPECT_STREQ(list, ag_list(a, proc_path(self->host[C], "task")));
	snprintf(list, sizeof(list), "%d %d", self->host[B],
		 HOST_PID(self->id, 4));
	EXPECT_STREQ(list, ag_list(a, proc_path(self->host[B], "task")));

	/* A thread's directory is found but not listed, and by its view only */
	EXPECT_STREQ("1 2", ag_list(b, "/proc"));
	EXPECT_STREQ("2", ag_status(b, 3, "Tgid"));
	EXPECT_STREQ("3", ag_status(b, 3, "Pid"));
	EXPECT_STREQ(one(self->host[C]),
		     ag_status(a, HOST_PID(self->id, 3), "Tgid"));
	EXPECT_EQ(-ENOENT, ag_read(&self->d, "/proc/3/status"));

	EXPECT_LT(0, ag_read(b, "/proc/2/task/5/status"));
	EXPECT_STREQ("5", text_field(b->m.str, "Pid"));
	EXPECT_EQ(-ENOENT, ag_read(b, "/proc/2/task/4/status"));
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", self->host[C],
		 HOST_PID(self->id, 5));
	EXPECT_LT(0, ag_read(a, path));
	EXPECT_STREQ(one(HOST_PID(self->id, 5)),
		     text_field(a->m.str, "Pid"));
	EXPECT_EQ(-ENOENT, ag_read(b, path));
	snprintf(path, sizeof(path), "/proc/%d/task/5/status", self->host[C]);
	EXPECT_EQ(-ENOENT, ag_read(a, path));
}

TEST_F(view, containers_table)
{
	struct row row = {};

	EXPECT_LT(0, ag_read(&self->a, "/proc/containers"));
	EXPECT_EQ(0, strncmp(self->a.m.str, "#name", 5));
	EXPECT_EQ(1, text_row(self->a.m.str, cname("web"), &row));
	EXPECT_EQ(self->id, row.id);
	EXPECT_EQ(self->host[B], row.root);
	EXPECT_EQ(2, row.members);
	EXPECT_EQ(1, text_row(self->a.m.str, cname("other"), &row));
	EXPECT_EQ(self->other, row.id);
	EXPECT_EQ(self->host[D], row.root);
	EXPECT_EQ(2, row.members);

	/* A member sees its own line, with the root as it sees it. */
	EXPECT_EQ(1, ag_row(&self->c, cname("web"), &row));
	EXPECT_EQ(1, text_rows(self->c.m.str));
	EXPECT_EQ(0, strncmp(self->c.m.str, "#name", 5));
	EXPECT_EQ(self->id, row.id);
	EXPECT_EQ(1, row.root);
	EXPECT_EQ(2, row.members);
	EXPECT_EQ(1, ag_row(&self->d, cname("other"), &row));
	EXPECT_EQ(1, text_rows(self->d.m.str));
	EXPECT_EQ(1, row.root);
}

TEST_F(view, container_files)
{
	struct agent *a = &self->a, *b = &self->b, *d = &self->d;
	const pid_t *host = self->host;

	EXPECT_STREQ(cname("web"), ag_text(b, "/proc/container"));
	EXPECT_STREQ(cname("web"), ag_text(&self->c, "/proc/container"));
	EXPECT_STREQ(cname("other"), ag_text(&self->e, "/proc/container"));

	EXPECT_STREQ("", ag_text(a, proc_path(host[A], "container")));
	EXPECT_STREQ(cname("web"), ag_text(a, proc_path(host[B], "container")));
	EXPECT_STREQ(cname("web"), ag_text(a, proc_path(host[C], "container")));
	EXPECT_STREQ(cname("other"),
		     ag_text(a, proc_path(host[E], "container")));
	EXPECT_STREQ("", ag_text(a, "/proc/1/container"));
	EXPECT_STREQ("", ag_text(a, "/proc/self/container"));

	EXPECT_STREQ(cname("web"), ag_text(b, "/proc/1/container"));
	EXPECT_STREQ(cname("web"), ag_text(b, "/proc/2/container"));
	EXPECT_STREQ(cname("web"), ag_text(b, "/proc/self/container"));
	EXPECT_STREQ(cname("web"), ag_text(b, proc_path(host[B], "container")));
	EXPECT_STREQ(cname("other"), ag_text(d, "/proc/2/container"));
	EXPECT_STREQ(ERR(2), ag_text(d, proc_path(host[C], "container")));
}

/* ---- the former number of the root ---- */

TEST_F(view, former_number_is_an_argument)
{
	struct agent *b = &self->b, *c = &self->c;
	const pid_t former = self->host[B];

	/* What shells do with the numbers they read at start-up */
	ASSERT_EQ(0, ag_sys(b, __NR_setpgid, 0, former));
	EXPECT_EQ(1, ag_sys(b, __NR_getpgid, former));
	EXPECT_EQ(0, ag_sys(b, __NR_kill, -former, 0));
	EXPECT_EQ(0, ag_sys(b, __NR_setpgid, 2, former));
	EXPECT_EQ(1, ag_sys(c, __NR_getpgid, 0));
	EXPECT_EQ(0, ag_do(b, op_wait, P_PGID, former, WEXITED | WNOHANG));
	EXPECT_EQ(0, ag_sys(b, __NR_setpriority, PRIO_PGRP, former, 3));
	EXPECT_EQ(17, ag_sys(b, __NR_getpriority, PRIO_PROCESS, 2));
	EXPECT_EQ(17, ag_sys(b, __NR_getpriority, PRIO_PGRP, 1));

	EXPECT_STREQ("_b", ag_text(b, proc_path(former, "comm")));
	EXPECT_STREQ("_b", ag_text(c, proc_path(former, "comm")));
	EXPECT_STREQ("1", ag_status(b, former, "Pid"));
	EXPECT_EQ(-ECHILD, ag_do(b, op_wait, P_PID, former, WEXITED));
	EXPECT_EQ(ag_do(b, op_pidfd_ino, 1),
		  ag_do(c, op_pidfd_ino, former));
}

TEST_F(view, former_number_is_no_result)
{
	struct agent *b = &self->b, *c = &self->c;
	const pid_t former = self->host[B];
	static const char * const fields[] = {
		"Tgid", "Pid", "NStgid", "NSpid", "NSpgid", "NSsid",
	};
	size_t i;

	EXPECT_EQ(1, ag_sys(b, __NR_setsid));
	EXPECT_EQ(1, ag_sys(b, __NR_getpid));
	EXPECT_EQ(1, ag_sys(b, __NR_gettid));
	EXPECT_EQ(1, ag_sys(b, __NR_getpgid, former));
	EXPECT_EQ(1, ag_sys(b, __NR_getsid, former));
	EXPECT_EQ(1, ag_sys(c, __NR_getppid));
	EXPECT_EQ(1, ag_sys(b, __NR_set_tid_address, 0));
	EXPECT_STREQ("1 2", ag_list(b, "/proc"));
	EXPECT_STREQ("1", ag_list(b, proc_path(former, "task")));
	EXPECT_STREQ("1", ag_link(b, "/proc/self"));
	for (i = 0; i < ARRAY_SIZE(fields); i++)
		EXPECT_STREQ("1", ag_status(c, former, fields[i]));
	EXPECT_EQ(1, ag_stat(c, former, 1));
	EXPECT_EQ(1, ag_stat(c, former, 5));
	EXPECT_EQ(1, ag_stat(c, former, 6));
	if (ag_read(b, proc_path(former, "sched")) > 0)
		EXPECT_EQ(0, strncmp(b->m.str, "_b (1, #threads: 1)", 19));
}

TEST_F(view, former_number_is_not_handed_out)
{
	struct agent *b = &self->b, kid;
	const pid_t former = self->host[B];
	char last[16];

	EXPECT_EQ(-EEXIST, ag_clone(b, &kid, 0, 1, former));
	EXPECT_EQ(-EEXIST, ag_clone(b, &kid, 0, 1, 1));
	/* Come near it, and step over it */
	snprintf(last, sizeof(last), "%d", former - 2);
	if (ag_write(b, "/proc/sys/kernel/ns_last_pid", O_WRONLY, last) < 0)
		SKIP(return, "no ns_last_pid");
	ASSERT_EQ(former - 1, ag_spawn(b, &kid));
	ag_exit(&kid, 0);
	ASSERT_EQ(former - 1, ag_reap(b, former - 1));
	ASSERT_EQ(former + 1, ag_spawn(b, &kid));
	EXPECT_EQ(former + 1, ag_sys(&kid, __NR_getpid));
	EXPECT_EQ(0, ag_sys(&self->a, __NR_kill, HOST_PID(self->id, former + 1),
			    0));
	ag_exit(&kid, 0);
	ASSERT_EQ(former + 1, ag_reap(b, former + 1));
}

/* Each root has its own, and a member of the other does not know it. */
TEST_F(view, former_number_is_private)
{
	EXPECT_EQ(0, ag_sys(&self->b, __NR_kill, self->host[B], 0));
	EXPECT_EQ(-ESRCH, ag_sys(&self->b, __NR_kill, self->host[D], 0));
	EXPECT_EQ(0, ag_sys(&self->d, __NR_kill, self->host[D], 0));
	EXPECT_EQ(-ESRCH, ag_sys(&self->d, __NR_kill, self->host[B], 0));
}

/* A former number that no vpid can have is an argument just as well. */
TEST_F(view, former_number_above_the_vpids)
{
	struct agent host, root, kid;
	char max[32];
	long ret;
	const pid_t former = VPID_MAX + 4711;

	ASSERT_LT(0, read_path("/proc/sys/kernel/pid_max", max, sizeof(max)));
	ASSERT_GT(ag_spawn(NULL, &host), 0);
	ASSERT_LT(0, ag_write(&host, "/proc/sys/kernel/pid_max", O_WRONLY,
			      "4194304"));
	ret = ag_clone(&host, &root, 0, 1, former);
	ag_write(&host, "/proc/sys/kernel/pid_max", O_WRONLY, max);
	ASSERT_EQ(former, ret);

	ASSERT_EQ(0, ag_create(&root, cname("high")));
	EXPECT_EQ(1, ag_sys(&root, __NR_getpid));
	ASSERT_EQ(2, ag_spawn(&root, &kid));
	expect_found(_metadata, &root, former);
	expect_found(_metadata, &kid, former);
	EXPECT_STREQ("1", ag_status(&kid, former, "Pid"));
	EXPECT_STREQ("1 2", ag_list(&kid, "/proc"));
	expect_esrch(_metadata, &kid, former + 1);
	EXPECT_EQ(0, kill(former, 0));
	EXPECT_EQ(0, kill(HOST_PID(host_id(cname("high")), 2), 0));
	ag_exit(&kid, 0);
	EXPECT_EQ(2, ag_reap(&root, 2));
	ag_exit(&root, 0);
	EXPECT_EQ(former, ag_reap(&host, former));
	EXPECT_EQ(0, host_row(cname("high"), NULL));
}

TEST_HARNESS_MAIN
