// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - terminals, sessions and foreground groups across the wall
 */

#include <sys/ioctl.h>
#include <termios.h>

#include "common.h"

#define KEY(c)	((c) & 0x1f)

FIXTURE(tty)
{
	struct agent leader;	/* of a session outside, with a terminal */
	struct agent x, y;	/* its child, and that one's */
	int pty;
	char slave[64];
	long fd, xfd;		/* the terminal in the agents */
};

static long op_setsid_tty(struct msg *m)
{
	int fd;

	m->len = 0;
	if (setsid() < 0)
		return -1;
	fd = open(m->path, O_RDWR);
	if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
		return -1;
	return fd;
}

FIXTURE_SETUP(tty)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	self->pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (self->pty < 0)
		SKIP(return, "no pseudo terminals");
	ASSERT_EQ(0, unlockpt(self->pty));
	ASSERT_EQ(0, ptsname_r(self->pty, self->slave, sizeof(self->slave)));
	ASSERT_GT(ag_spawn(NULL, &self->leader), 0);
	self->fd = ag_path(&self->leader, op_setsid_tty, self->slave, 0);
	ASSERT_LE(0, self->fd);
	ASSERT_GT(ag_spawn(&self->leader, &self->x), 0);
	self->xfd = ag_path(&self->x, op_open, self->slave, O_RDWR | O_NOCTTY);
	ASSERT_LE(0, self->xfd);
}

FIXTURE_TEARDOWN(tty)
{
	close(self->pty);
	EXPECT_TRUE(pidspace_end());
}

static long op_tcgetpgrp(struct msg *m)
{
	m->len = 0;
	return tcgetpgrp(m->arg[0]);
}

static long op_tcsetpgrp(struct msg *m)
{
	sigset_t set, old;
	long ret;

	/* As shells do it from the background */
	m->len = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTTOU);
	sigprocmask(SIG_BLOCK, &set, &old);
	ret = tcsetpgrp(m->arg[0], m->arg[1]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	return ret;
}

static long op_tcgetsid(struct msg *m)
{
	m->len = 0;
	return tcgetsid(m->arg[0]);
}

/* Read a byte from the terminal, arg 0 */
static long op_read_tty(struct msg *m)
{
	char c;

	m->len = 0;
	return read(m->arg[0], &c, 1);
}

static void press(int pty, char c)
{
	if (write(pty, &c, 1) != 1)
		perror("pty");
}

static bool has_state(pid_t pid, char state)
{
	char text[4096];

	return read_path(proc_path(pid, "status"), text, sizeof(text)) > 0 &&
		*text_field(text, "State") == state;
}

/* The root is a mere member of a session outside. */
TEST_F(tty, session_outside)
{
	struct agent *leader = &self->leader, *x = &self->x, *y = &self->y;
	const pid_t sid = leader->pid;
	long id;

	EXPECT_EQ(sid, ag_do(x, op_tcgetpgrp, self->xfd));
	EXPECT_EQ(sid, ag_do(x, op_tcgetsid, self->xfd));
	ASSERT_EQ(0, ag_create(x, cname("tty")));
	id = host_id(cname("tty"));

	/* Invisible: 0, and its number is none to be passed in. */
	EXPECT_EQ(0, ag_sys(x, __NR_getsid, 0));
	EXPECT_EQ(0, ag_do(x, op_tcgetpgrp, self->xfd));
	EXPECT_EQ(0, ag_do(x, op_tcgetsid, self->xfd));
	EXPECT_EQ(-ESRCH, ag_do(x, op_tcsetpgrp, self->xfd, sid));
	EXPECT_EQ(sid, ag_do(leader, op_tcgetpgrp, self->fd));

	/* The container's own groups in that session work. */
	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_do(x, op_tcsetpgrp, self->xfd, 1));
	EXPECT_EQ(1, ag_do(x, op_tcgetpgrp, self->xfd));
	EXPECT_EQ(x->pid, ag_do(leader, op_tcgetpgrp, self->fd));
	EXPECT_EQ(x->pid, tcgetpgrp(self->pty));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_sys(y, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_do(x, op_tcsetpgrp, self->xfd, 2));
	EXPECT_EQ(2, ag_do(x, op_tcgetpgrp, self->xfd));
	EXPECT_EQ(HOST_PID(id, 2), ag_do(leader, op_tcgetpgrp, self->fd));
	EXPECT_EQ(2, ag_stat(x, 2, 8));		/* tpgid */
	EXPECT_EQ(HOST_PID(id, 2), ag_stat(leader, HOST_PID(id, 2), 8));
	/* By the former number, too */
	ASSERT_EQ(0, ag_do(x, op_tcsetpgrp, self->xfd, x->pid));
	EXPECT_EQ(1, ag_do(x, op_tcgetpgrp, self->xfd));

	/* A number of the host's is none of the container's. */
	EXPECT_EQ(-ESRCH, ag_do(x, op_tcsetpgrp, self->xfd, HOST_PID(id, 2)));
	EXPECT_EQ(-ESRCH, ag_do(x, op_tcsetpgrp, self->xfd, 17));
	EXPECT_EQ(x->pid, ag_do(leader, op_tcgetpgrp, self->fd));

	/* And the session's leader takes its terminal back. */
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, sid));
	EXPECT_EQ(0, ag_do(x, op_tcgetpgrp, self->xfd));
}

/* The leader outside puts groups of the container in front, by its numbers. */
TEST_F(tty, leader_outside_controls)
{
	struct agent *leader = &self->leader, *x = &self->x, *y = &self->y;
	pid_t host;

	ASSERT_EQ(0, ag_create(x, cname("tty")));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_sys(y, __NR_setpgid, 0, 0));
	host = HOST_PID(host_id(cname("tty")), 2);
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, host));
	EXPECT_EQ(2, ag_do(x, op_tcgetpgrp, self->xfd));
	EXPECT_EQ(host, ag_do(leader, op_tcgetpgrp, self->fd));

	/* Ctrl-Z, seen by the parent inside and from the host */
	press(self->pty, KEY('z'));
	EXPECT_EQ(2, ag_do(x, op_wait, P_PID, 2, WSTOPPED));
	EXPECT_EQ(SIGTSTP, x->m.arg[1]);
	EXPECT_TRUE(has_state(host, 'T'));
	EXPECT_EQ(0, ag_sys(x, __NR_kill, -2, SIGCONT));
	EXPECT_EQ(2, ag_do(x, op_wait, P_PID, 2, WCONTINUED));
	press(self->pty, KEY('c'));
	EXPECT_EQ(2, ag_do(x, op_wait, P_PID, 2, WEXITED));
	EXPECT_EQ(SIGINT, x->m.arg[1]);
	EXPECT_EQ(1, ag_sys(x, __NR_getpid));
}

/* The terminal's signals reach a root without handlers like anybody. */
TEST_F(tty, keys_reach_the_root)
{
	struct agent *leader = &self->leader, *x = &self->x, *y = &self->y;

	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_create(x, cname("tty")));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_sys(y, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, x->pid));

	press(self->pty, KEY('z'));
	EXPECT_EQ(x->pid, ag_do(leader, op_wait, P_PID, x->pid, WSTOPPED));
	EXPECT_EQ(SIGTSTP, leader->m.arg[1]);
	EXPECT_EQ(0, ag_sys(leader, __NR_kill, x->pid, SIGCONT));
	EXPECT_EQ(x->pid, ag_do(leader, op_wait, P_PID, x->pid, WCONTINUED));
	EXPECT_EQ(1, ag_sys(x, __NR_getpid));

	press(self->pty, KEY('c'));
	EXPECT_EQ(x->pid, ag_do(leader, op_wait, P_PID, x->pid, WEXITED));
	EXPECT_EQ(CLD_KILLED, leader->m.arg[0]);
	EXPECT_EQ(SIGINT, leader->m.arg[1]);
	/* y was in another group. */
	EXPECT_EQ(2, ag_sys(y, __NR_getpid));
}

/* One group with processes on both sides, and Ctrl-C is for all of it. */
TEST_F(tty, keys_reach_both_sides)
{
	struct agent *leader = &self->leader, *x = &self->x, *y = &self->y;
	struct agent out;
	pid_t pgid;

	pgid = ag_spawn(leader, &out);
	ASSERT_GT(pgid, 0);
	ASSERT_EQ(0, ag_sys(&out, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, pgid));
	ASSERT_EQ(0, ag_create(x, cname("tty")));
	ASSERT_EQ(2, ag_spawn(x, y));
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, pgid));
	press(self->pty, KEY('c'));
	EXPECT_EQ(pgid, ag_reap(leader, pgid));
	EXPECT_EQ(SIGINT, leader->m.arg[1]);
	EXPECT_EQ(x->pid, ag_reap(leader, x->pid));
	EXPECT_EQ(SIGINT, leader->m.arg[1]);
	EXPECT_TRUE(EVENTUALLY(ag_sys(y, __NR_getpid) == -EPIPE));
	EXPECT_TRUE(EVENTUALLY(waitpid(-1, NULL, WNOHANG) >= 0 &&
			       !host_row(cname("tty"), NULL)));
}

/* A read from the background stops, root or not. */
TEST_F(tty, background_read)
{
	struct agent *leader = &self->leader, *x = &self->x;

	ASSERT_EQ(0, ag_sys(x, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_create(x, cname("tty")));
	ag_start(x, op_read_tty, self->xfd);
	EXPECT_EQ(x->pid, ag_do(leader, op_wait, P_PID, x->pid, WSTOPPED));
	EXPECT_EQ(SIGTTIN, leader->m.arg[1]);
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, x->pid));
	EXPECT_EQ(0, ag_sys(leader, __NR_kill, x->pid, SIGCONT));
	press(self->pty, '\n');
	EXPECT_EQ(1, ag_recv(x));
}

/* The root leads the session. */
TEST_F(tty, session_of_the_root)
{
	struct agent *x = &self->x, *y = &self->y, root;
	char slave[64];
	int pty, status;
	pid_t host;
	long fd, yfd;

	pty = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
	ASSERT_LE(0, pty);
	ASSERT_EQ(0, unlockpt(pty));
	ASSERT_EQ(0, ptsname_r(pty, slave, sizeof(slave)));
	ASSERT_GT(ag_spawn(NULL, &root), 0);
	ASSERT_EQ(0, ag_create(&root, cname("leader")));
	fd = ag_path(&root, op_setsid_tty, slave, 0);
	ASSERT_LE(0, fd);
	EXPECT_EQ(1, ag_sys(&root, __NR_getsid, 0));
	EXPECT_EQ(1, ag_do(&root, op_tcgetsid, fd));
	EXPECT_EQ(1, ag_do(&root, op_tcgetpgrp, fd));
	EXPECT_EQ(root.pid, tcgetsid(pty));
	EXPECT_EQ(root.pid, tcgetpgrp(pty));

	ASSERT_EQ(2, ag_spawn(&root, y));
	host = HOST_PID(host_id(cname("leader")), 2);
	yfd = ag_path(y, op_open, slave, O_RDWR | O_NOCTTY);
	ASSERT_LE(0, yfd);
	ASSERT_EQ(0, ag_sys(y, __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_do(&root, op_tcsetpgrp, fd, 2));
	EXPECT_EQ(host, tcgetpgrp(pty));
	EXPECT_EQ(2, ag_do(y, op_tcgetpgrp, yfd));
	EXPECT_EQ(1, ag_do(y, op_tcgetsid, yfd));
	/* Another session has no say. */
	EXPECT_EQ(-ENOTTY, ag_do(x, op_tcgetpgrp,
				 ag_path(x, op_open, slave,
					 O_RDWR | O_NOCTTY)));

	/* The terminal hangs up: the leader and the front group get it. */
	close(pty);
	ASSERT_EQ(root.pid, waitpid(root.pid, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGHUP, WTERMSIG(status));
	EXPECT_TRUE(EVENTUALLY(ag_sys(y, __NR_getpid) == -EPIPE));
	EXPECT_TRUE(EVENTUALLY(waitpid(host, NULL, WNOHANG) == host ||
			       !host_row(cname("leader"), NULL)));
	ag_forget(&root);
}

/* The leader of a session with a terminal goes in, its children stay out. */
TEST_F(tty, leader_goes_in)
{
	struct agent *leader = &self->leader, *x = &self->x;
	const pid_t sid = leader->pid;

	/* x has to go first, or leader is busy: let it be the test's child. */
	ag_exit(x, 0);
	ASSERT_EQ(x->pid, ag_reap(leader, x->pid));
	ASSERT_EQ(0, ag_create(leader, cname("tty")));
	EXPECT_EQ(1, ag_do(leader, op_tcgetsid, self->fd));
	EXPECT_EQ(1, ag_do(leader, op_tcgetpgrp, self->fd));
	EXPECT_EQ(1, ag_stat(leader, 1, 6));
	EXPECT_EQ(1, ag_stat(leader, 1, 8));
	EXPECT_EQ(sid, tcgetsid(self->pty));
	EXPECT_EQ(sid, tcgetpgrp(self->pty));
	ASSERT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, sid));
	EXPECT_EQ(0, ag_do(leader, op_tcsetpgrp, self->fd, 1));
	EXPECT_EQ(getsid(leader->pid), sid);
}

TEST_HARNESS_MAIN
