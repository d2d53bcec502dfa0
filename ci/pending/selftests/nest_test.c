// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - pid namespaces in containers, containers in pid namespaces
 */

#include <linux/capability.h>

#include "common.h"

FIXTURE(nest)
{
	struct world world;
};

FIXTURE_SETUP(nest)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(nest)
{
	EXPECT_TRUE(pidspace_end());
}

static const char *numbers(const char *format, long a, long b, long c, long d)
{
	static char bufs[4][64];
	static int next;
	char *buf = bufs[next++ % 4];

	snprintf(buf, sizeof(bufs[0]), format, a, b, c, d);
	return buf;
}

/* Its own mount namespace and in it a /proc of its own */
static long op_own_proc(struct msg *m)
{
	m->len = 0;
	if (unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return -1;
	return mount("proc", "/proc", "proc", 0, NULL);
}

/* ---- CLONE_NEWPID in a container ---- */

TEST_F(nest, namespace_inside)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *kid = &w->kids[1];

	ASSERT_EQ(3, ag_clone(&w->b, init, CLONE_NEWPID));
	EXPECT_EQ(1, ag_sys(init, __NR_getpid));
	EXPECT_EQ(0, ag_sys(init, __NR_getppid));
	ASSERT_EQ(2, ag_spawn(init, kid));
	EXPECT_EQ(2, ag_sys(kid, __NR_getpid));
	EXPECT_EQ(1, ag_sys(kid, __NR_getppid));
	EXPECT_EQ(-ESRCH, ag_sys(kid, __NR_kill, 3, 0));
	EXPECT_EQ(-ESRCH, ag_sys(kid, __NR_kill, w->b.pid, 0));
	EXPECT_EQ(-ESRCH, ag_sys(kid, __NR_kill, w->host_c, 0));

	/* The container has numbers for them, and so has the host. */
	EXPECT_STREQ("1 2 3 4", ag_list(&w->b, "/proc"));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 4, 0));
	EXPECT_EQ(0, kill(HOST_PID(w->id, 4), 0));
	EXPECT_EQ(-ESRCH, ag_sys(&w->d, __NR_kill, 3, 0));
	EXPECT_EQ(4, host_members(cname("web")));
	EXPECT_STREQ("3\t1", ag_status(&w->b, 3, "NSpid"));
	EXPECT_STREQ("4\t2", ag_status(&w->c, 4, "NSpid"));
	EXPECT_STREQ(numbers("%ld\t%ld\t%ld", HOST_PID(w->id, 4), 4, 2, 0),
		     ag_status(&w->a, HOST_PID(w->id, 4), "NSpid"));
	EXPECT_STREQ("3", ag_status(&w->c, 4, "PPid"));

	/* A /proc of its own */
	ASSERT_EQ(0, ag_do(init, op_own_proc));
	EXPECT_STREQ("1", ag_link(init, "/proc/self"));
	EXPECT_STREQ("1 2", ag_list(init, "/proc"));
	EXPECT_STREQ("2", ag_status(init, 2, "NSpid"));

	/* Its init dies and takes the rest along, as ever. */
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 3, SIGKILL));
	EXPECT_EQ(3, ag_reap(&w->b, 3));
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

/* Orphans in it go to its init, not to the root of the container. */
TEST_F(nest, orphans_inside)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];

	ASSERT_EQ(3, ag_clone(&w->b, init, CLONE_NEWPID));
	ASSERT_EQ(2, ag_spawn(init, x));
	ASSERT_EQ(3, ag_spawn(x, y));
	ag_exit(x, 0);
	ASSERT_EQ(2, ag_reap(init, 2));
	EXPECT_EQ(1, ag_sys(y, __NR_getppid));
	EXPECT_STREQ("3", ag_status(&w->b, 5, "PPid"));
	ag_exit(y, 4);
	EXPECT_EQ(3, ag_do(init, op_wait, P_PID, 3, WEXITED));
	EXPECT_EQ(4, init->m.arg[1]);
}

/* The last process of the container dies in the namespace inside. */
TEST_F(nest, namespace_outlives_the_root)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *kid = &w->kids[1];

	ASSERT_EQ(3, ag_clone(&w->b, init, CLONE_NEWPID));
	ASSERT_EQ(2, ag_spawn(init, kid));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(0, ag_kill(&w->b));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_EQ(3, ag_spawn(kid, &w->kids[2]));
	EXPECT_EQ(0, kill(HOST_PID(w->id, 5), 0));
	EXPECT_EQ(0, kill(HOST_PID(w->id, 3), SIGKILL));
	EXPECT_EQ(HOST_PID(w->id, 3), waitpid(HOST_PID(w->id, 3), NULL, 0));
	EXPECT_EQ(0, host_row(cname("web"), NULL));
}

/* ---- containers in a pid namespace ---- */

/* Its init, a process in it, and that one's container */
static void setup_inner(struct __test_metadata *const _metadata,
			struct world *w, struct agent *parent)
{
	struct agent *init = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];
	struct agent *z = &w->kids[3];

	ASSERT_LT(0, ag_clone(parent, init, CLONE_NEWPID));
	ASSERT_EQ(0, ag_do(init, op_own_proc));
	ASSERT_EQ(2, ag_spawn(init, x));
	ASSERT_EQ(3, ag_spawn(init, z));
	/* The same name as one outside, and ids that begin again */
	ASSERT_EQ(0, ag_create(x, cname("web")));
	EXPECT_EQ(1, ag_sys(x, __NR_getpid));
	/* 2 is the former number of x, so it is not handed out. */
	ASSERT_EQ(3, ag_spawn(x, y));
	ASSERT_EQ(0, ag_name(x, "_x"));
	ASSERT_EQ(0, ag_name(y, "_y"));
	ASSERT_EQ(0, ag_name(z, "_z"));
}

TEST_F(nest, container_in_a_namespace)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];
	struct agent *z = &w->kids[3];
	struct row row = {};
	long host;

	setup_inner(_metadata, w, &w->a);
	EXPECT_EQ(3, ag_sys(y, __NR_getpid));
	EXPECT_EQ(1, ag_sys(y, __NR_getppid));
	EXPECT_STREQ("1 3", ag_list(x, "/proc"));

	/* The namespace is its default container. */
	EXPECT_EQ(1, ag_row(init, cname("web"), &row));
	EXPECT_EQ(1, text_rows(init->m.str));
	EXPECT_EQ(ID_MIN, row.id);
	EXPECT_EQ(2, row.root);
	EXPECT_EQ(2, row.members);
	EXPECT_EQ(0, ag_sys(init, __NR_kill, HOST_PID(ID_MIN, 3), 0));
	EXPECT_EQ(0, ag_sys(z, __NR_kill, 2, 0));
	EXPECT_EQ(-ESRCH, ag_sys(x, __NR_kill, HOST_PID(ID_MIN, 3), 0));
	EXPECT_STREQ(numbers("1 2 3 %ld", HOST_PID(ID_MIN, 3), 0, 0, 0),
		     ag_list(init, "/proc"));
	EXPECT_STREQ("_y", ag_text(z, proc_path(HOST_PID(ID_MIN, 3), "comm")));
	EXPECT_STREQ("_y", ag_text(x, "/proc/3/comm"));
	EXPECT_STREQ("_z", ag_text(z, "/proc/3/comm"));
	EXPECT_STREQ(numbers("%ld\t%ld", HOST_PID(ID_MIN, 3), 3, 0, 0),
		     ag_status(init, HOST_PID(ID_MIN, 3), "NSpid"));
	EXPECT_STREQ("2\t1", ag_status(init, 2, "NSpid"));
	EXPECT_STREQ("3", ag_status(x, 3, "NSpid"));

	/* Outside they are processes of the default container. */
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(w->id, row.id);
	EXPECT_EQ(w->b.pid, row.root);
	host = ag_do(&w->a, op_wait, P_PID, init->pid, WEXITED | WNOHANG);
	EXPECT_EQ(0, host);
	EXPECT_STREQ(numbers("%ld\t%ld", init->pid, 1, 0, 0),
		     ag_status(&w->a, init->pid, "NSpid"));

	/* Names are free again in both, each for itself. */
	ag_exit(y, 0);
	ASSERT_EQ(3, ag_reap(x, 3));
	ag_exit(x, 0);
	ASSERT_EQ(2, ag_reap(init, 2));
	EXPECT_LT(0, ag_read(init, "/proc/containers"));
	EXPECT_EQ(0, text_rows(init->m.str));
	EXPECT_EQ(1, host_row(cname("web"), NULL));
	ASSERT_EQ(0, ag_create(z, cname("web")));
	EXPECT_EQ(1, ag_row(init, cname("web"), &row));
	EXPECT_EQ(ID_MIN + 1, row.id);
	EXPECT_EQ(3, row.root);
}

TEST_F(nest, container_in_a_namespace_in_a_container)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];

	/* Inside web: init is 3, x 4, z 5 and y 6 */
	setup_inner(_metadata, w, &w->b);
	EXPECT_EQ(3, init->pid);
	EXPECT_STREQ("1 2 3 4 5 6", ag_list(&w->c, "/proc"));
	EXPECT_STREQ("_x", ag_text(&w->c, "/proc/4/comm"));
	EXPECT_STREQ("_y", ag_text(&w->c, "/proc/6/comm"));
	EXPECT_EQ(0, ag_sys(init, __NR_kill, HOST_PID(ID_MIN, 3), 0));
	EXPECT_EQ(-ESRCH, ag_sys(&w->c, __NR_kill, HOST_PID(ID_MIN, 3), 0));
	EXPECT_STREQ(numbers("6\t%ld\t3", HOST_PID(ID_MIN, 3), 0, 0, 0),
		     ag_status(&w->c, 6, "NSpid"));
	EXPECT_STREQ(numbers("%ld\t%ld\t%ld\t%ld", HOST_PID(w->id, 6), 6,
			     HOST_PID(ID_MIN, 3), 3),
		     ag_status(&w->a, HOST_PID(w->id, 6), "NSpid"));
	EXPECT_STREQ("4\t2\t1", ag_status(&w->c, 4, "NSpid"));
	EXPECT_EQ(6, host_members(cname("web")));

	/* And down with it from the outermost */
	EXPECT_EQ(0, kill(HOST_PID(w->id, 3), SIGKILL));
	EXPECT_EQ(3, ag_reap(&w->b, 3));
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_EQ(-EPIPE, ag_sys(x, __NR_getpid));
	EXPECT_EQ(-EPIPE, ag_sys(y, __NR_getpid));
}

/* kill(-1) in the namespace reaches the containers in it, and their roots. */
TEST_F(nest, kill_all_in_a_namespace)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *x = &w->kids[1], *y = &w->kids[2];
	struct agent *z = &w->kids[3];

	setup_inner(_metadata, w, &w->a);
	EXPECT_EQ(0, ag_sys(z, __NR_kill, -1, SIGKILL));
	EXPECT_EQ(2, ag_reap(init, 2));
	EXPECT_EQ(-EPIPE, ag_sys(x, __NR_getpid));
	EXPECT_EQ(-EPIPE, ag_sys(y, __NR_getpid));
	EXPECT_EQ(1, ag_sys(init, __NR_getpid));
	EXPECT_EQ(3, ag_sys(z, __NR_getpid));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
	/* y became its child when x was gone */
	EXPECT_TRUE(EVENTUALLY(ag_do(init, op_wait, P_ALL, 0,
				     WEXITED | WNOHANG) >= 0 &&
			       !strcmp("1 3", ag_list(init, "/proc"))));
}

/* ---- teardown ---- */

TEST_F_TIMEOUT(nest, base_goes, 900)
{
	struct world *w = &self->world;
	int round, i;

	for (round = 0; round < 30; round++) {
		struct agent init = {}, x = {}, kids[8] = {};

		ASSERT_LT(0, ag_clone(&w->a, &init, CLONE_NEWPID));
		ASSERT_EQ(2, ag_spawn(&init, &x));
		ASSERT_EQ(0, ag_create(&x, cname("web")));
		for (i = 0; i < 8; i++)
			ASSERT_EQ(i + 3, ag_spawn(i ? &kids[i - 1] : &x,
						  &kids[i]));
		/* In some rounds the root has gone before, or is stopped. */
		if (round % 3 == 1) {
			ag_exit(&x, 0);
			ASSERT_EQ(2, ag_reap(&init, 2));
		} else if (round % 3 == 2) {
			ASSERT_EQ(0, ag_sys(&init, __NR_kill, 2, SIGSTOP));
			ASSERT_EQ(0, ag_sys(&kids[0], __NR_kill, 5, SIGSTOP));
		}
		/* When it is reaped, all of them are gone. */
		ASSERT_EQ(0, kill(init.pid, SIGKILL));
		ASSERT_EQ(init.pid, ag_reap(&w->a, init.pid));
		EXPECT_EQ(-EPIPE, ag_sys(&x, __NR_getpid));
		for (i = 0; i < 8; i++) {
			EXPECT_EQ(-EPIPE, ag_sys(&kids[i], __NR_getpid));
			ag_forget(&kids[i]);
		}
		ag_forget(&x);
		ag_forget(&init);
	}
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

/* The container is busy forking when its base goes. */
static long op_fork_for_ever(struct msg *m)
{
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		if (pid > 0)
			waitpid(pid, NULL, 0);
	}
	return 0;
}

TEST_F_TIMEOUT(nest, base_goes_while_forking, 900)
{
	struct world *w = &self->world;
	int round, i;

	for (round = 0; round < 20; round++) {
		struct agent init = {}, x = {}, kids[3] = {};

		ASSERT_LT(0, ag_clone(&w->a, &init, CLONE_NEWPID));
		ASSERT_EQ(2, ag_spawn(&init, &x));
		ASSERT_EQ(0, ag_create(&x, cname("web")));
		for (i = 0; i < 3; i++)
			ASSERT_LT(0, ag_spawn(&x, &kids[i]));
		for (i = 0; i < 3; i++)
			ag_start(&kids[i], op_fork_for_ever);
		sleep_ms(50);
		ASSERT_EQ(0, kill(init.pid, SIGKILL));
		ASSERT_EQ(init.pid, ag_reap(&w->a, init.pid));
		EXPECT_EQ(-EPIPE, ag_sys(&x, __NR_getpid));
		for (i = 0; i < 3; i++) {
			EXPECT_EQ(-EPIPE, ag_recv(&kids[i]));
			ag_forget(&kids[i]);
		}
		ag_forget(&x);
		ag_forget(&init);
	}
}

static pid_t find_comm(const char *comm)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	pid_t pid = -1;
	char buf[32];

	while (dir && (d = readdir(dir))) {
		if (isdigit(d->d_name[0]) &&
		    read_path(proc_path(atoi(d->d_name), "comm"), buf,
			      sizeof(buf)) > 0 &&
		    !strncmp(buf, comm, strlen(comm)))
			pid = atoi(d->d_name);
	}
	closedir(dir);
	return pid;
}

/* Somebody outside holds on to the namespace of a container that went down. */
TEST_F(nest, base_goes_held)
{
	struct world *w = &self->world;
	struct agent *init = &w->kids[0], *x = &w->kids[1];
	pid_t host_x;
	int fd[3];

	ASSERT_LT(0, ag_clone(&w->a, init, CLONE_NEWPID));
	ASSERT_EQ(2, ag_spawn(init, x));
	ASSERT_EQ(0, ag_create(x, cname("inner")));
	ASSERT_EQ(0, ag_name(x, "_held"));
	host_x = find_comm("_held");
	ASSERT_LT(0, host_x);
	fd[0] = open(proc_path(host_x, "ns/pid"), O_RDONLY);
	ASSERT_LE(0, fd[0]);
	fd[1] = syscall(__NR_pidfd_open, host_x, 0);
	ASSERT_LE(0, fd[1]);
	fd[2] = open(proc_path(host_x, "status"), O_RDONLY);
	ASSERT_LE(0, fd[2]);
	ASSERT_EQ(0, kill(init->pid, SIGKILL));
	ASSERT_EQ(init->pid, ag_reap(&w->a, init->pid));
	EXPECT_EQ(-EPIPE, ag_sys(x, __NR_getpid));
	EXPECT_EQ(-1, syscall(__NR_pidfd_send_signal, fd[1], 0, NULL, 0));
	EXPECT_EQ(ESRCH, errno);
	if (!setns(fd[0], CLONE_NEWPID))
		EXPECT_GT(0, ag_spawn(NULL, &w->kids[2]));
	close(fd[0]);
	close(fd[1]);
	close(fd[2]);
}

/* ---- user namespaces ---- */

static long op_drop_admin(struct msg *m)
{
	struct __user_cap_header_struct hdr = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2];

	m->len = 0;
	if (syscall(__NR_capget, &hdr, data))
		return -1;
	data[0].effective &= ~(1U << CAP_SYS_ADMIN);
	return syscall(__NR_capset, &hdr, data);
}

/* Root in the user namespace that owns the pid namespace can, others cannot. */
TEST_F(nest, user_namespace)
{
	struct world *w = &self->world;
	struct agent *u = &w->kids[0], *init = &w->kids[1], *x = &w->kids[2];
	struct agent *y = &w->kids[3], *z = &w->kids[4];

	ASSERT_GT(ag_spawn(NULL, u), 0);
	ASSERT_EQ(0, ag_sys(u, __NR_setresuid, 1000, 1000, 1000));
	if (ag_sys(u, __NR_unshare, CLONE_NEWUSER | CLONE_NEWPID))
		SKIP(return, "no user namespaces");
	ASSERT_LT(0, ag_write(&w->a, proc_path(u->pid, "uid_map"), O_WRONLY,
			      "0 1000 1"));
	ASSERT_LT(0, ag_write(&w->a, proc_path(u->pid, "gid_map"), O_WRONLY,
			      "0 1000 1"));
	ASSERT_LT(0, ag_spawn(u, init));
	EXPECT_EQ(1, ag_sys(init, __NR_getpid));
	EXPECT_EQ(0, ag_sys(init, __NR_getuid));
	ASSERT_EQ(2, ag_spawn(init, x));
	ASSERT_EQ(3, ag_spawn(init, y));
	ASSERT_EQ(4, ag_spawn(init, z));

	EXPECT_EQ(0, ag_create(x, cname("user")));
	EXPECT_EQ(1, ag_sys(x, __NR_getpid));
	EXPECT_EQ(0, host_row(cname("user"), NULL));

	ASSERT_EQ(0, ag_do(y, op_drop_admin));
	EXPECT_EQ(-EPERM, ag_create(y, cname("user2")));
	EXPECT_EQ(-EPERM, ag_join(y, cname("user")));
	ASSERT_EQ(0, ag_sys(z, __NR_unshare, CLONE_NEWUSER));
	EXPECT_EQ(-EPERM, ag_create(z, cname("user2")));
	EXPECT_EQ(4, ag_sys(z, __NR_getpid));
}

TEST_HARNESS_MAIN
