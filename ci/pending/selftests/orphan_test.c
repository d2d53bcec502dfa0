// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - orphans: whose they become, and who reaps them
 */

#include "common.h"

FIXTURE(orphan)
{
	struct world world;
};

FIXTURE_SETUP(orphan)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(orphan)
{
	EXPECT_TRUE(pidspace_end());
}

static long op_subreaper(struct msg *m)
{
	m->len = 0;
	return prctl(PR_SET_CHILD_SUBREAPER, m->arg[0]);
}

/* The root adopts it, unasked, and never hears of its end. */
TEST_F(orphan, adopted_and_reaped)
{
	struct world *w = &self->world;
	struct agent *g = &w->kids[0];
	char root[16];

	ASSERT_EQ(3, ag_spawn(&w->c, g));
	EXPECT_EQ(2, ag_sys(g, __NR_getppid));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(1, ag_sys(g, __NR_getppid));
	EXPECT_STREQ("1", ag_status(g, 3, "PPid"));
	snprintf(root, sizeof(root), "%d", w->b.pid);
	EXPECT_STREQ(root, ag_status(&w->a, HOST_PID(w->id, 3), "PPid"));
	EXPECT_STREQ("1 3", ag_list(&w->b, "/proc"));

	ag_exit(g, 0);
	EXPECT_TRUE(EVENTUALLY(!strcmp("1", ag_list(&w->b, "/proc"))));
	EXPECT_EQ(1, host_members(cname("web")));
	EXPECT_EQ(-ECHILD, ag_do(&w->b, op_wait, P_ALL, 0, WEXITED | WNOHANG));
}

/* A whole line of them */
TEST_F(orphan, generations)
{
	struct world *w = &self->world;
	struct agent *line = w->kids;
	int i;

	ASSERT_EQ(3, ag_spawn(&w->c, &line[0]));
	for (i = 1; i < 6; i++)
		ASSERT_EQ(i + 3, ag_spawn(&line[i - 1], &line[i]));
	/* From the middle */
	ag_exit(&line[2], 0);
	ASSERT_EQ(5, ag_reap(&line[1], 5));
	EXPECT_EQ(1, ag_sys(&line[3], __NR_getppid));
	EXPECT_EQ(6, ag_sys(&line[4], __NR_getppid));
	ag_exit(&line[3], 0);
	EXPECT_TRUE(EVENTUALLY(ag_sys(&line[4], __NR_getppid) == 1));
	EXPECT_TRUE(EVENTUALLY(!strcmp("1 2 3 4 7 8",
				       ag_list(&w->b, "/proc"))));
}

/* It was a zombie already when it became an orphan. */
TEST_F(orphan, zombie)
{
	struct world *w = &self->world;
	struct agent *g = &w->kids[0];

	ASSERT_EQ(3, ag_spawn(&w->c, g));
	ag_exit(g, 0);
	ASSERT_EQ(3, ag_do(&w->c, op_wait, P_PID, 3, WEXITED | WNOWAIT));
	EXPECT_STREQ("1 2 3", ag_list(&w->b, "/proc"));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_TRUE(EVENTUALLY(!strcmp("1", ag_list(&w->b, "/proc"))));
	EXPECT_EQ(-ECHILD, ag_do(&w->b, op_wait, P_ALL, 0, WEXITED | WNOHANG));
}

/* Its own children the root has to wait for, as ever. */
TEST_F(orphan, children_are_no_orphans)
{
	struct world *w = &self->world;
	struct agent *k = &w->kids[0];

	ASSERT_EQ(3, ag_spawn(&w->b, k));
	ag_exit(&w->c, 4);
	ag_exit(k, 5);
	ASSERT_EQ(2, ag_do(&w->b, op_wait, P_PID, 2, WEXITED | WNOWAIT));
	ASSERT_EQ(3, ag_do(&w->b, op_wait, P_PID, 3, WEXITED | WNOWAIT));
	EXPECT_STREQ("1 2 3", ag_list(&w->b, "/proc"));
	EXPECT_EQ(2, ag_do(&w->b, op_wait, P_PID, 2, WEXITED));
	EXPECT_EQ(4, w->b.m.arg[1]);
	EXPECT_EQ(3, ag_do(&w->b, op_wait, P_ALL, 0, WEXITED));
	EXPECT_EQ(5, w->b.m.arg[1]);
}

/* It asked for them: they are its children, to be waited for. */
TEST_F(orphan, subreaper)
{
	struct world *w = &self->world;
	struct agent *g = &w->kids[0], *h = &w->kids[1];

	ASSERT_EQ(0, ag_do(&w->b, op_subreaper, 1));
	ASSERT_EQ(3, ag_spawn(&w->c, g));
	ASSERT_EQ(4, ag_spawn(&w->c, h));
	ag_exit(h, 9);
	ASSERT_EQ(4, ag_do(&w->c, op_wait, P_PID, 4, WEXITED | WNOWAIT));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(1, ag_sys(g, __NR_getppid));
	ag_exit(g, 8);
	EXPECT_EQ(3, ag_do(&w->b, op_wait, P_PID, 3, WEXITED));
	EXPECT_EQ(8, w->b.m.arg[1]);
	/* The one that had been a zombie */
	EXPECT_EQ(4, ag_do(&w->b, op_wait, P_PID, 4, WEXITED));
	EXPECT_EQ(9, w->b.m.arg[1]);

	/* And it can change its mind. */
	ASSERT_EQ(0, ag_do(&w->b, op_subreaper, 0));
	ASSERT_EQ(5, ag_spawn(&w->b, g));
	ASSERT_EQ(6, ag_spawn(g, h));
	ag_exit(g, 0);
	ASSERT_EQ(5, ag_reap(&w->b, 5));
	EXPECT_EQ(1, ag_sys(h, __NR_getppid));
	ag_exit(h, 0);
	EXPECT_TRUE(EVENTUALLY(!strcmp("1", ag_list(&w->b, "/proc"))));
}

/* A subreaper inside comes before the root. */
TEST_F(orphan, subreaper_inside)
{
	struct world *w = &self->world;
	struct agent *g = &w->kids[0], *h = &w->kids[1];

	ASSERT_EQ(0, ag_do(&w->c, op_subreaper, 1));
	ASSERT_EQ(3, ag_spawn(&w->c, g));
	ASSERT_EQ(4, ag_spawn(g, h));
	ag_exit(g, 0);
	ASSERT_EQ(3, ag_reap(&w->c, 3));
	EXPECT_EQ(2, ag_sys(h, __NR_getppid));
	ag_exit(h, 7);
	EXPECT_EQ(4, ag_do(&w->c, op_wait, P_PID, 4, WEXITED));
	EXPECT_EQ(7, w->c.m.arg[1]);
}

/* The root is gone: the nearest subreaper outside gets them. */
TEST_F(orphan, without_a_root)
{
	struct world *w = &self->world;
	struct agent *s = &w->kids[0], *root = &w->kids[1];
	struct agent *x = &w->kids[2], *y = &w->kids[3];
	char reaper[16];
	pid_t host;
	long id;

	ASSERT_GT(ag_spawn(NULL, s), 0);
	ASSERT_EQ(0, ag_do(s, op_subreaper, 1));
	ASSERT_GT(ag_spawn(s, root), 0);
	ASSERT_EQ(0, ag_create(root, cname("sub")));
	id = host_id(cname("sub"));
	ASSERT_EQ(2, ag_spawn(root, x));
	ASSERT_EQ(3, ag_spawn(x, y));
	ag_exit(root, 0);
	ASSERT_EQ(root->pid, ag_reap(s, root->pid));
	/* The root's child went along, its grandchild did not. */
	EXPECT_EQ(0, ag_sys(x, __NR_getppid));
	EXPECT_EQ(2, ag_sys(y, __NR_getppid));
	host = HOST_PID(id, 2);
	snprintf(reaper, sizeof(reaper), "%d", s->pid);
	EXPECT_STREQ(reaper, ag_status(&w->a, host, "PPid"));
	ag_exit(x, 5);
	EXPECT_EQ(host, ag_do(s, op_wait, P_PID, host, WEXITED));
	EXPECT_EQ(5, s->m.arg[1]);
	EXPECT_EQ(0, ag_sys(y, __NR_getppid));
	host = HOST_PID(id, 3);
	EXPECT_STREQ(reaper, ag_status(&w->a, host, "PPid"));
	EXPECT_EQ(1, host_members(cname("sub")));
	ag_exit(y, 6);
	EXPECT_EQ(host, ag_do(s, op_wait, P_ALL, 0, WEXITED));
	EXPECT_EQ(6, s->m.arg[1]);
	EXPECT_EQ(0, host_row(cname("sub"), NULL));
}

/* Orphans of the host are not the container's. */
TEST_F(orphan, outside)
{
	struct world *w = &self->world;
	struct agent *p = &w->kids[0], *q = &w->kids[1];
	int status;

	ASSERT_GT(ag_spawn(NULL, p), 0);
	ASSERT_GT(ag_spawn(p, q), 0);
	EXPECT_EQ(0, ag_end(p));
	EXPECT_EQ(getpid(), ag_sys(q, __NR_getppid));
	ag_exit(q, 3);
	EXPECT_EQ(q->pid, waitpid(q->pid, &status, 0));
	EXPECT_EQ(3, WEXITSTATUS(status));
}

#define ORPHANS	10000

/* A parent that leaves its child at once: every other one a zombie by then */
static int bad_parent(void *zombie)
{
	pid_t pid = zombie ? vfork() : fork();

	if (!pid)
		_exit(0);
	return pid < 0;
}

static long op_make_orphans(struct msg *m)
{
	static char stack[65536];
	long i;

	m->len = 0;
	for (i = 0; i < m->arg[0]; i++) {
		int status;
		pid_t pid = clone(bad_parent, stack + sizeof(stack) - 64,
				  CLONE_VM | CLONE_VFORK | SIGCHLD,
				  (void *)(i & 1));

		if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
			break;
	}
	return i;
}

TEST_F_TIMEOUT(orphan, ten_thousand, 1800)
{
	struct world *w = &self->world;
	int n;

	for (n = 0; n < ORPHANS; n += 500)
		ASSERT_EQ(500, ag_do(&w->c, op_make_orphans, 500));
	EXPECT_TRUE(EVENTUALLY(!strcmp("1 2", ag_list(&w->b, "/proc"))));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_EQ(0, ag_do(&w->b, op_wait, P_ALL, 0, WEXITED | WNOHANG));
}

/* What was not reaped inside comes to the test; is that all? */
static bool reaped(const char *name)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	return !host_row(name, NULL);
}

/* Orphans are born while the root goes. */
TEST_F_TIMEOUT(orphan, race_with_the_root, 900)
{
	int round;

	for (round = 0; round < 60; round++) {
		struct agent root = {}, x = {};

		ASSERT_GT(ag_spawn(NULL, &root), 0);
		ASSERT_EQ(0, ag_create(&root, cname("race")));
		ASSERT_EQ(2, ag_spawn(&root, &x));
		ag_start(&x, op_make_orphans, 10);
		ASSERT_EQ(0, ag_kill(&root));
		EXPECT_EQ(10, ag_recv(&x));
		ag_exit(&x, 0);
		ag_forget(&x);
		EXPECT_TRUE(EVENTUALLY(reaped(cname("race"))));
	}
}

TEST_HARNESS_MAIN
