// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - what checkpoint and restore need
 */

#include <linux/kcmp.h>
#include <sys/ioctl.h>

#include "common.h"

#ifndef PIDFD_GET_INFO
#define PIDFD_GET_INFO	_IOWR(0xFF, 11, struct pidfd_info_v0)
#endif

struct pidfd_info_v0 {
	__u64 mask;
	__u64 cgroupid;
	__u32 pid;
	__u32 tgid;
	__u32 ppid;
	__u32 ids[8];
	__s32 exit_code;
};

#define LAST_PID	"/proc/sys/kernel/ns_last_pid"
#define PID_MAX		"/proc/sys/kernel/pid_max"

FIXTURE(restore)
{
	struct world world;
	char host_max[32];
};

FIXTURE_SETUP(restore)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
	read_path(PID_MAX, self->host_max, sizeof(self->host_max));
}

FIXTURE_TEARDOWN(restore)
{
	EXPECT_TRUE(pidspace_end());
}

/* ---- clone3() with a number ---- */

TEST_F(restore, set_tid)
{
	struct world *w = &self->world;
	struct agent *k = w->kids;

	ASSERT_EQ(100, ag_clone(&w->b, &k[0], 0, 1, 100));
	EXPECT_EQ(100, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(0, kill(HOST_PID(w->id, 100), 0));
	EXPECT_STREQ("1 2 100", ag_list(&w->b, "/proc"));
	ASSERT_EQ(VPID_MAX - 1, ag_clone(&w->c, &k[1], 0, 1, VPID_MAX - 1));
	EXPECT_EQ(0, kill(HOST_PID(w->id, VPID_MAX - 1), 0));
	/* Between, as an ordinary fork goes on */
	EXPECT_EQ(3, ag_spawn(&w->b, &k[2]));
	/* Numbers of one container are not those of another. */
	EXPECT_EQ(100, ag_clone(&w->d, &k[3], 0, 1, 100));
	EXPECT_EQ(-ESRCH, ag_sys(&w->d, __NR_kill, VPID_MAX - 1, 0));
}

TEST_F(restore, set_tid_taken)
{
	struct world *w = &self->world;
	struct agent k;

	EXPECT_EQ(-EEXIST, ag_clone(&w->b, &k, 0, 1, 1));
	EXPECT_EQ(-EEXIST, ag_clone(&w->b, &k, 0, 1, 2));
	EXPECT_EQ(-EEXIST, ag_clone(&w->b, &k, 0, 1, w->b.pid));
	ASSERT_EQ(3, ag_do(&w->c, op_thread));
	EXPECT_EQ(-EEXIST, ag_clone(&w->b, &k, 0, 1, 3));
	/* A zombie still has it. */
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_do(&w->b, op_wait, P_PID, 2, WEXITED | WNOWAIT));
	EXPECT_EQ(-EEXIST, ag_clone(&w->b, &k, 0, 1, 2));
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(2, ag_clone(&w->b, &k, 0, 1, 2));
	EXPECT_EQ(2, ag_sys(&k, __NR_getpid));
	EXPECT_EQ(2, host_members(cname("web")));
}

TEST_F(restore, set_tid_refused)
{
	struct world *w = &self->world;
	struct agent k;

	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &k, 0, 1, 0));
	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &k, 0, 1, -1));
	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &k, 0, 1, VPID_MAX));
	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &k, 0, 1, HOST_PID(w->id, 50)));
	/* There is one level, not two. */
	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &k, 0, 2, 50, 50));
	/* From the default container no number of a container can be had. */
	EXPECT_EQ(-EINVAL, ag_clone(&w->a, &k, 0, 1, HOST_PID(w->id, 50)));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
	/* Nothing of it has used up a number. */
	EXPECT_EQ(3, ag_spawn(&w->b, &k));
}

TEST_F(restore, set_tid_capability)
{
	struct world *w = &self->world;
	struct agent *u = &w->kids[0];

	ASSERT_EQ(3, ag_spawn(&w->b, u));
	ASSERT_EQ(0, ag_sys(u, __NR_setresuid, 65534, 65534, 65534));
	EXPECT_EQ(-EPERM, ag_clone(u, &w->kids[1], 0, 1, 100));
	EXPECT_EQ(4, ag_spawn(u, &w->kids[1]));
}

static long op_setns(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	long ret = setns(fd, CLONE_NEWPID);

	m->len = 0;
	close(fd);
	return ret;
}

/* A restorer outside: setns(), and then the number it wants */
TEST_F(restore, set_tid_from_outside)
{
	struct world *w = &self->world;
	struct agent *k = w->kids;

	ASSERT_EQ(0, ag_path(&w->a, op_setns, proc_path(w->b.pid, "ns/pid")));
	ASSERT_EQ(HOST_PID(w->id, 200), ag_clone(&w->a, &k[0], 0, 1, 200));
	EXPECT_EQ(200, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(0, ag_sys(&k[0], __NR_getppid));
	EXPECT_EQ(-EEXIST, ag_clone(&w->a, &k[1], 0, 1, 200));
	EXPECT_EQ(-EEXIST, ag_clone(&w->a, &k[1], 0, 1, 1));
	EXPECT_EQ(3, host_members(cname("web")));
}

/* The container has lost its root: number 1 makes a new one. */
TEST_F(restore, new_root)
{
	struct world *w = &self->world;
	struct agent *k = w->kids, *c = &w->c;
	const pid_t host = HOST_PID(w->id, 1);
	struct row row = {};

	EXPECT_EQ(-EEXIST, ag_clone(c, &k[0], 0, 1, 1));
	ASSERT_EQ(0, ag_kill(&w->b));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(0, row.root);

	ASSERT_EQ(1, ag_clone(c, &k[0], 0, 1, 1));
	EXPECT_EQ(1, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(2, ag_sys(&k[0], __NR_getppid));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(host, row.root);
	EXPECT_EQ(2, row.members);
	EXPECT_EQ(0, kill(host, 0));
	EXPECT_STREQ("1 2", ag_list(c, "/proc"));
	EXPECT_EQ(-EEXIST, ag_clone(c, &k[1], 0, 1, 1));

	/* It is safe from the members, */
	EXPECT_EQ(0, ag_sys(c, __NR_kill, 1, SIGKILL));
	EXPECT_EQ(0, ag_sys(c, __NR_kill, 1, SIGTERM));
	EXPECT_EQ(1, ag_sys(&k[0], __NR_getpid));
	/* adopts and reaps the orphans, */
	ASSERT_EQ(3, ag_spawn(c, &k[1]));
	ASSERT_EQ(4, ag_spawn(&k[1], &k[2]));
	ag_exit(&k[1], 0);
	ASSERT_EQ(3, ag_reap(c, 3));
	EXPECT_EQ(1, ag_sys(&k[2], __NR_getppid));
	ag_exit(&k[2], 0);
	EXPECT_TRUE(EVENTUALLY(!strcmp("1 2", ag_list(c, "/proc"))));
	/* has no other number, */
	EXPECT_EQ(-ESRCH, ag_sys(c, __NR_kill, w->b.pid, 0));
	/* and is the host's to kill. */
	EXPECT_EQ(0, kill(host, SIGKILL));
	EXPECT_EQ(1, ag_reap(c, 1));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(0, row.root);
	EXPECT_EQ(1, ag_clone(c, &k[3], 0, 1, 1));
}

/* By a restorer outside, which is how it is done */
TEST_F(restore, new_root_from_outside)
{
	struct world *w = &self->world;
	struct agent *k = w->kids;
	struct row row = {};

	ASSERT_EQ(0, ag_path(&w->a, op_setns, proc_path(w->b.pid, "ns/pid")));
	ASSERT_EQ(0, ag_kill(&w->b));
	ASSERT_EQ(HOST_PID(w->id, 1), ag_clone(&w->a, &k[0], 0, 1, 1));
	EXPECT_EQ(1, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(HOST_PID(w->id, 1), row.root);
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGTERM));
	EXPECT_EQ(1, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(3, ag_spawn(&k[0], &k[1]));
	EXPECT_EQ(1, ag_sys(&k[1], __NR_getppid));
}

/* ---- sysctls ---- */

TEST_F(restore, last_pid)
{
	struct world *w = &self->world;
	struct agent *k = w->kids;
	char before[32];

	if (access(LAST_PID, F_OK))
		SKIP(return, "no ns_last_pid");
	EXPECT_STREQ("2", ag_text(&w->b, LAST_PID));
	ASSERT_EQ(3, ag_spawn(&w->b, &k[0]));
	EXPECT_STREQ("3", ag_text(&w->c, LAST_PID));
	EXPECT_STREQ("2", ag_text(&w->d, LAST_PID));
	strcpy(before, ag_text(&w->a, LAST_PID));

	ASSERT_EQ(3, ag_write(&w->c, LAST_PID, O_WRONLY, "499"));
	EXPECT_STREQ("499", ag_text(&w->b, LAST_PID));
	EXPECT_EQ(500, ag_spawn(&w->b, &k[1]));
	EXPECT_EQ(501, ag_spawn(&w->c, &k[2]));
	EXPECT_EQ(3, ag_spawn(&w->d, &k[3]));
	/* A number in use is stepped over. */
	ASSERT_EQ(3, ag_write(&w->b, LAST_PID, O_WRONLY, "499"));
	EXPECT_EQ(502, ag_spawn(&w->b, &k[4]));
	/* Not above its pid_max */
	EXPECT_EQ(-EINVAL, ag_write(&w->b, LAST_PID, O_WRONLY, "65537"));
	EXPECT_EQ(-EINVAL, ag_write(&w->b, LAST_PID, O_WRONLY, "4194304"));
	EXPECT_EQ(-EINVAL, ag_write(&w->b, LAST_PID, O_WRONLY, "-1"));
	/* The host's is another one. */
	EXPECT_STREQ(before, ag_text(&w->a, LAST_PID));
}

TEST_F(restore, pid_max)
{
	struct world *w = &self->world;
	char buf[32];

	if (access(PID_MAX, F_OK))
		SKIP(return, "no pid_max");
	snprintf(buf, sizeof(buf), "%d", VPID_MAX);
	EXPECT_STREQ(buf, ag_text(&w->b, PID_MAX));
	EXPECT_STREQ(buf, ag_text(&w->e, PID_MAX));
	/* It can be lowered, and not be raised above. */
	snprintf(buf, sizeof(buf), "%d", VPID_MAX + 1);
	EXPECT_EQ(-EINVAL, ag_write(&w->b, PID_MAX, O_WRONLY, buf));
	EXPECT_EQ(-EINVAL, ag_write(&w->b, PID_MAX, O_WRONLY, "4194304"));
	EXPECT_EQ(4, ag_write(&w->b, PID_MAX, O_WRONLY, "1000"));
	EXPECT_STREQ("1000", ag_text(&w->c, PID_MAX));
	snprintf(buf, sizeof(buf), "%d", VPID_MAX);
	EXPECT_STREQ(buf, ag_text(&w->d, PID_MAX));
	EXPECT_EQ(-EINVAL, ag_clone(&w->b, &w->kids[0], 0, 1, 1000));
	EXPECT_EQ(999, ag_clone(&w->b, &w->kids[0], 0, 1, 999));
	EXPECT_EQ((long)strlen(buf), ag_write(&w->b, PID_MAX, O_WRONLY, buf));
	EXPECT_EQ(1000, ag_clone(&w->b, &w->kids[1], 0, 1, 1000));

	ag_text(&w->a, PID_MAX);
	strcat(w->a.m.str, "\n");
	EXPECT_STREQ(self->host_max, w->a.m.str);
}

static long op_fork_wait(struct msg *m)
{
	pid_t pid = fork();

	m->len = 0;
	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? pid : -1;
}

/* Round and round: number 1 and the root's former one do not come by. */
TEST_F(restore, wrap_around)
{
	struct world *w = &self->world;
	const int max = 500 * 2;
	pid_t former = w->b.pid, last;
	char buf[32];
	int i, wraps = 0;

	if (access(PID_MAX, F_OK) || access(LAST_PID, F_OK))
		SKIP(return, "no sysctls");
	/* A root whose former number is among those that come again */
	if (former < 300 || former >= max) {
		struct agent *root = &w->kids[0];

		former = 700;
		while (!kill(former, 0))
			former++;
		ASSERT_EQ(former, ag_clone(&w->a, root, 0, 1, former));
		ASSERT_EQ(0, ag_create(root, cname("wrap")));
		w->b = *root;
	}
	snprintf(buf, sizeof(buf), "%d", max);
	ASSERT_LT(0, ag_write(&w->b, PID_MAX, O_WRONLY, buf));
	last = ag_do(&w->b, op_fork_wait);
	for (i = 0; i < 3 * max; i++) {
		pid_t pid = ag_do(&w->b, op_fork_wait);

		ASSERT_LT(1, pid);
		ASSERT_GT(max, pid);
		ASSERT_NE(former, pid);
		if (pid < last) {
			wraps++;
			EXPECT_EQ(max - 1, last);
			EXPECT_EQ(300, pid);
		} else {
			EXPECT_EQ(last + (last + 1 == former ? 2 : 1), pid);
		}
		last = pid;
	}
	EXPECT_LE(3, wraps);
}

/* All numbers in use: EAGAIN as in any pid namespace, and then on again */
TEST_F(restore, full)
{
	struct world *w = &self->world;
	struct agent *b = &w->b, kid = {}, *kids;
	int i, n = 0;

	if (access(PID_MAX, F_OK) || access(LAST_PID, F_OK))
		SKIP(return, "no sysctls");
	/* The smallest there is, and begin near its end */
	ASSERT_LT(0, ag_write(b, PID_MAX, O_WRONLY, "320"));
	ASSERT_LT(0, ag_write(b, LAST_PID, O_WRONLY, "310"));
	kids = calloc(32, sizeof(*kids));
	for (i = 0; i < 32; i++) {
		long ret = ag_spawn(b, &kids[i]);

		if (ret == -EAGAIN)
			break;
		ASSERT_LE(300, ret);
		ASSERT_GT(320, ret);
		n++;
	}
	/* 300 to 319, but for the root's former number */
	EXPECT_EQ(20 - (b->pid >= 300 && b->pid < 320), n);
	EXPECT_EQ(-EAGAIN, ag_spawn(b, &kid));
	EXPECT_EQ(2 + n, host_members(cname("web")));
	ag_exit(&kids[4], 0);
	ASSERT_EQ(kids[4].pid, ag_reap(b, kids[4].pid));
	EXPECT_EQ(kids[4].pid, ag_spawn(b, &kid));
	/* The host does not suffer. */
	EXPECT_LT(0, ag_do(&w->a, op_fork_wait));
}

/* ---- what a checkpoint looks at ---- */

TEST_F(restore, kcmp)
{
	struct world *w = &self->world;

	if (syscall(__NR_kcmp, getpid(), getpid(), KCMP_VM, 0, 0))
		SKIP(return, "no kcmp()");
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kcmp, 2, 2, KCMP_VM, 0, 0));
	EXPECT_LT(0, ag_sys(&w->c, __NR_kcmp, 1, 2, KCMP_VM, 0, 0));
	ASSERT_EQ(3, ag_do(&w->c, op_thread));
	EXPECT_EQ(0, ag_sys(&w->b, __NR_kcmp, 2, 3, KCMP_VM, 0, 0));
	EXPECT_LT(0, ag_sys(&w->b, __NR_kcmp, 1, 3, KCMP_FILES, 0, 0));
	EXPECT_EQ(0, ag_sys(&w->a, __NR_kcmp, w->host_c, HOST_PID(w->id, 3),
			    KCMP_VM, 0, 0));
	EXPECT_EQ(-ESRCH, ag_sys(&w->b, __NR_kcmp, 1, w->host_c, KCMP_VM, 0,
				 0));
	EXPECT_EQ(-ESRCH, ag_sys(&w->d, __NR_kcmp, 1, 3, KCMP_VM, 0, 0));
}

TEST_F(restore, children)
{
	struct world *w = &self->world;
	char path[64], list[64];

	ASSERT_EQ(3, ag_spawn(&w->b, &w->kids[0]));
	ASSERT_EQ(4, ag_spawn(&w->c, &w->kids[1]));
	if (ag_read(&w->b, "/proc/1/task/1/children") == -ENOENT)
		SKIP(return, "no children file");
	EXPECT_STREQ("2 3 ", w->b.m.str);
	EXPECT_STREQ("4 ", ag_text(&w->kids[0], "/proc/2/task/2/children"));
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", w->b.pid,
		 w->b.pid);
	snprintf(list, sizeof(list), "%d %d ", w->host_c, HOST_PID(w->id, 3));
	EXPECT_STREQ(list, ag_text(&w->a, path));
	/* By the former number, but for the task, which has one only */
	snprintf(path, sizeof(path), "/proc/%d/task/1/children", w->b.pid);
	EXPECT_STREQ("2 3 ", ag_text(&w->b, path));
}

static long op_pidfd_info(struct msg *m)
{
	struct pidfd_info_v0 info = {};
	int fd = syscall(__NR_pidfd_open, m->arg[0], 0);
	long ret;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = ioctl(fd, PIDFD_GET_INFO, &info);
	close(fd);
	m->arg[0] = info.pid;
	m->arg[1] = info.tgid;
	m->arg[2] = info.ppid;
	return ret;
}

TEST_F(restore, pidfd_info)
{
	struct world *w = &self->world;

	ASSERT_EQ(0, ag_do(&w->b, op_pidfd_info, 2));
	EXPECT_EQ(2, w->b.m.arg[0]);
	EXPECT_EQ(2, w->b.m.arg[1]);
	EXPECT_EQ(1, w->b.m.arg[2]);
	ASSERT_EQ(0, ag_do(&w->c, op_pidfd_info, 1));
	EXPECT_EQ(1, w->c.m.arg[0]);
	EXPECT_EQ(0, w->c.m.arg[2]);
	ASSERT_EQ(0, ag_do(&w->c, op_pidfd_info, w->b.pid));
	EXPECT_EQ(1, w->c.m.arg[0]);
	ASSERT_EQ(0, ag_do(&w->a, op_pidfd_info, w->host_c));
	EXPECT_EQ(w->host_c, w->a.m.arg[0]);
	EXPECT_EQ(w->host_c, w->a.m.arg[1]);
	EXPECT_EQ(w->b.pid, w->a.m.arg[2]);
	ASSERT_EQ(0, ag_do(&w->a, op_pidfd_info, w->b.pid));
	EXPECT_EQ(w->b.pid, w->a.m.arg[0]);
	EXPECT_EQ(getpid(), w->a.m.arg[2]);
}

/* A tree is taken down in one container, and stands again in another. */
TEST_F(restore, same_numbers_in_another_container)
{
	struct world *w = &self->world;
	struct agent *k = w->kids;

	ASSERT_EQ(40, ag_clone(&w->b, &k[0], 0, 1, 40));
	ASSERT_EQ(30, ag_clone(&k[0], &k[1], 0, 1, 30));
	ASSERT_EQ(0, ag_sys(&k[0], __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_sys(&k[1], __NR_setpgid, 0, 40));

	ASSERT_EQ(40, ag_clone(&w->d, &k[2], 0, 1, 40));
	ASSERT_EQ(30, ag_clone(&k[2], &k[3], 0, 1, 30));
	ASSERT_EQ(0, ag_sys(&k[2], __NR_setpgid, 0, 0));
	ASSERT_EQ(0, ag_sys(&k[3], __NR_setpgid, 0, 40));
	EXPECT_EQ(40, ag_sys(&k[3], __NR_getppid));
	EXPECT_EQ(40, ag_sys(&k[3], __NR_getpgrp));
	EXPECT_EQ(HOST_PID(w->id, 40), getpgid(HOST_PID(w->id, 30)));
	EXPECT_EQ(HOST_PID(w->other, 40), getpgid(HOST_PID(w->other, 30)));
	/* One group each */
	EXPECT_EQ(0, ag_sys(&w->e, __NR_kill, -40, SIGKILL));
	EXPECT_EQ(40, ag_reap(&w->d, 40));
	EXPECT_EQ(40, ag_sys(&k[0], __NR_getpid));
	EXPECT_EQ(30, ag_sys(&k[1], __NR_getpid));
}

TEST_HARNESS_MAIN
