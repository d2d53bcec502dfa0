// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - joining a container, by a write and by setns()
 */

#include "common.h"

#define MAX_PIDNS	"/proc/sys/user/max_pid_namespaces"

FIXTURE(join)
{
	struct world world;
	struct agent j, k;
	char *before;
	char limit[32];
};

FIXTURE_SETUP(join)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
	ASSERT_GT(ag_spawn(NULL, &self->j), 0);
	ASSERT_EQ(0, ag_name(&self->j, "_j"));
	self->before = host_table();
	read_path(MAX_PIDNS, self->limit, sizeof(self->limit));
}

static void set_limit(const char *str)
{
	int fd = open(MAX_PIDNS, O_WRONLY);

	if (write(fd, str, strlen(str)) < 0)
		perror(MAX_PIDNS);
	close(fd);
}

FIXTURE_TEARDOWN(join)
{
	if (self->limit[0])
		set_limit(self->limit);
	free(self->before);
	EXPECT_TRUE(pidspace_end());
}

static const char *two_numbers(pid_t a, pid_t b)
{
	static char buf[64];

	snprintf(buf, sizeof(buf), "%d\t%d", a, b);
	return buf;
}

/* The former number is free inside, so it is the joiner's number there. */
TEST_F(join, keeps_its_number)
{
	struct world *w = &self->world;
	struct agent *j = &self->j;
	const pid_t former = j->pid;
	char list[64];

	ASSERT_EQ(0, ag_join(j, cname("web")));
	EXPECT_EQ(former, ag_sys(j, __NR_getpid));
	EXPECT_EQ(former, ag_sys(j, __NR_gettid));
	EXPECT_EQ(0, ag_sys(j, __NR_getppid));
	EXPECT_EQ(0, ag_sys(j, __NR_getpgid, 0));
	EXPECT_STREQ(cname("web"), ag_text(j, "/proc/container"));
	EXPECT_EQ(3, host_members(cname("web")));

	/* It sees the members and is seen by them, not by others. */
	snprintf(list, sizeof(list), "1 2 %d", former);
	EXPECT_STREQ(list, ag_list(j, "/proc"));
	EXPECT_STREQ(list, ag_list(&w->b, "/proc"));
	EXPECT_STREQ("1 2", ag_list(&w->d, "/proc"));
	EXPECT_STREQ("_c", ag_text(j, "/proc/2/comm"));
	EXPECT_STREQ("_j", ag_text(&w->c, proc_path(former, "comm")));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, former, 0));
	EXPECT_EQ(0, ag_sys(j, __NR_kill, 1, 0));
	EXPECT_EQ(-ESRCH, ag_sys(&w->d, __NR_kill, former, 0));
	EXPECT_EQ(-ESRCH, ag_sys(j, __NR_kill, w->host_c, 0));

	/* Outside it is where it was. */
	EXPECT_EQ(0, kill(former, 0));
	EXPECT_STREQ(two_numbers(former, former),
		     ag_status(&w->a, former, "NSpid"));
	EXPECT_EQ(-1, kill(HOST_PID(w->id, former), 0));
	EXPECT_EQ(ESRCH, errno);

	/* Its children are the container's. */
	ASSERT_EQ(3, ag_spawn(j, &self->k));
	EXPECT_EQ(former, ag_sys(&self->k, __NR_getppid));
	EXPECT_EQ(0, kill(HOST_PID(w->id, 3), 0));
	EXPECT_EQ(4, host_members(cname("web")));
	ag_exit(&self->k, 0);
	EXPECT_EQ(3, ag_reap(j, 3));
	EXPECT_EQ(0, ag_end(j));
	EXPECT_EQ(2, host_members(cname("web")));
	EXPECT_EQ(-ESRCH, ag_sys(&w->c, __NR_kill, former, 0));
}

/* Somebody has the number already: the next one, and nothing for the old */
TEST_F(join, number_taken)
{
	struct world *w = &self->world;
	struct agent *j = &self->j, *kid = w->kids;
	const pid_t former = j->pid;

	ASSERT_EQ(former, ag_clone(&w->b, kid, 0, 1, former));
	ASSERT_EQ(0, ag_name(kid, "_k"));
	ASSERT_EQ(0, ag_join(j, cname("web")));
	EXPECT_EQ(3, ag_sys(j, __NR_getpid));
	EXPECT_STREQ("_k", ag_text(j, proc_path(former, "comm")));
	EXPECT_STREQ("_j", ag_text(j, "/proc/3/comm"));
	EXPECT_STREQ("_j", ag_text(&w->c, "/proc/3/comm"));
	EXPECT_STREQ(two_numbers(former, 3),
		     ag_status(&w->a, former, "NSpid"));
	EXPECT_STREQ("_j", ag_text(&w->a, proc_path(former, "comm")));
	EXPECT_STREQ("_k", ag_text(&w->a, proc_path(HOST_PID(w->id, former),
						    "comm")));
	/* One number in the default container */
	EXPECT_EQ(-1, kill(HOST_PID(w->id, 3), 0));
	EXPECT_EQ(ESRCH, errno);
	ASSERT_EQ(4, ag_spawn(&w->b, &w->kids[1]));
}

/* The former number is above all vpids. */
TEST_F(join, number_too_high)
{
	struct world *w = &self->world;
	struct agent *j = w->kids;
	const pid_t former = VPID_MAX + 815;
	char max[32];
	long ret;

	ASSERT_LT(0, read_path("/proc/sys/kernel/pid_max", max, sizeof(max)));
	ASSERT_LT(0, ag_write(&w->a, "/proc/sys/kernel/pid_max", O_WRONLY,
			      "4194304"));
	ret = ag_clone(&w->a, j, 0, 1, former);
	ag_write(&w->a, "/proc/sys/kernel/pid_max", O_WRONLY, max);
	ASSERT_EQ(former, ret);

	ASSERT_EQ(0, ag_join(j, cname("web")));
	EXPECT_EQ(3, ag_sys(j, __NR_getpid));
	EXPECT_STREQ("1 2 3", ag_list(j, "/proc"));
	EXPECT_EQ(0, kill(former, 0));
	ag_exit(j, 0);
	EXPECT_EQ(former, ag_reap(&w->a, former));
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
}

TEST_F(join, refused)
{
	struct agent *j = &self->j, *k = &self->k;
	char *now;
	char buf[64];

	EXPECT_EQ(-ENOENT, ag_join(j, cname("nobody")));
	EXPECT_EQ(-ENOENT, ag_join(j, cname("we")));
	EXPECT_EQ(-EINVAL, ag_join(j, ""));
	EXPECT_EQ(-EINVAL, ag_join(j, "."));
	EXPECT_EQ(-EINVAL, ag_join(j, ".."));
	EXPECT_EQ(-EINVAL, ag_join(j, "a b"));
	EXPECT_EQ(-ENAMETOOLONG,
		  ag_join(j, "12345678901234567890123456789012"));
	snprintf(buf, sizeof(buf), "%s\n%s", cname("web"), cname("other"));
	EXPECT_EQ(-EINVAL, ag_join(j, buf));

	ASSERT_GT(ag_spawn(j, k), 0);
	EXPECT_EQ(-EBUSY, ag_join(j, cname("web")));
	ag_exit(k, 0);
	ASSERT_EQ(k->pid, ag_reap(j, k->pid));
	ASSERT_GT(ag_do(j, op_thread), 0);
	EXPECT_EQ(-EBUSY, ag_join(j, cname("web")));

	ASSERT_GT(ag_spawn(NULL, k), 0);
	ASSERT_EQ(0, ag_sys(k, __NR_unshare, CLONE_NEWPID));
	EXPECT_EQ(-EBUSY, ag_join(k, cname("web")));
	EXPECT_EQ(0, ag_end(k));
	ASSERT_GT(ag_spawn(NULL, k), 0);
	ASSERT_EQ(0, ag_sys(k, __NR_setresuid, 65534, 65534, 65534));
	EXPECT_EQ(-EPERM, ag_join(k, cname("web")));

	now = host_table();
	EXPECT_STREQ(self->before, now);
	free(now);
	EXPECT_EQ(j->pid, ag_sys(j, __NR_getpid));
	EXPECT_STREQ("", ag_text(j, "/proc/container"));
	EXPECT_STREQ("1 2", ag_list(&self->world.b, "/proc"));
}

TEST_F(join, costs_no_namespace)
{
	if (!self->limit[0])
		SKIP(return, "no " MAX_PIDNS);
	set_limit("0");
	EXPECT_EQ(0, ag_join(&self->j, cname("web")));
	EXPECT_EQ(3, host_members(cname("web")));
}

/* The container lives on in the joiner alone, and ends with it. */
TEST_F(join, last_member)
{
	struct world *w = &self->world;
	struct agent *j = &self->j;
	struct row row = {};

	ASSERT_EQ(0, ag_join(j, cname("web")));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(0, ag_end(&w->b));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(1, row.members);
	EXPECT_EQ(0, row.root);
	EXPECT_EQ(w->id, row.id);

	/* And others can still join. */
	ASSERT_GT(ag_spawn(NULL, &self->k), 0);
	ASSERT_EQ(0, ag_join(&self->k, cname("web")));
	EXPECT_EQ(self->k.pid, ag_sys(&self->k, __NR_getpid));
	EXPECT_EQ(0, ag_sys(&self->k, __NR_kill, j->pid, 0));
	EXPECT_EQ(0, ag_end(j));
	EXPECT_EQ(1, host_row(cname("web"), NULL));
	EXPECT_EQ(0, ag_end(&self->k));
	EXPECT_EQ(0, host_row(cname("web"), NULL));
	ASSERT_GT(ag_spawn(NULL, &self->k), 0);
	EXPECT_EQ(-ENOENT, ag_join(&self->k, cname("web")));
}

/* ---- setns() ---- */

static long op_setns(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	long ret, err;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = setns(fd, CLONE_NEWPID);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

static long op_setns_pidfd(struct msg *m)
{
	int fd = syscall(__NR_pidfd_open, m->arg[0], 0);
	long ret, err;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = setns(fd, CLONE_NEWPID);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

TEST_F(join, setns)
{
	struct world *w = &self->world;
	struct agent *j = &self->j, *k = &self->k, *kid = w->kids;
	pid_t host;

	ASSERT_EQ(0, ag_path(j, op_setns, proc_path(w->b.pid, "ns/pid")));
	/* It stays outside itself, its children are inside. */
	EXPECT_EQ(j->pid, ag_sys(j, __NR_getpid));
	EXPECT_STREQ("", ag_text(j, "/proc/container"));
	EXPECT_EQ(2, host_members(cname("web")));
	host = HOST_PID(w->id, 3);
	ASSERT_EQ(host, ag_spawn(j, k));
	EXPECT_EQ(3, ag_sys(k, __NR_getpid));
	EXPECT_EQ(0, ag_sys(k, __NR_getppid));
	EXPECT_STREQ(cname("web"), ag_text(k, "/proc/container"));
	EXPECT_STREQ("1 2 3", ag_list(k, "/proc"));
	EXPECT_EQ(3, host_members(cname("web")));
	EXPECT_EQ(4, ag_spawn(k, kid));

	/* By a pidfd of a child that was forked in */
	ASSERT_GT(ag_spawn(NULL, &w->kids[1]), 0);
	ASSERT_EQ(0, ag_do(&w->kids[1], op_setns_pidfd, w->host_c));
	EXPECT_EQ(HOST_PID(w->id, 5), ag_spawn(&w->kids[1], &w->kids[2]));

	ag_exit(k, 3);
	EXPECT_EQ(host, ag_do(j, op_wait, P_PID, host, WEXITED));
	EXPECT_EQ(3, j->m.arg[1]);
}

TEST_F(join, ns_links)
{
	struct world *w = &self->world;
	char b[64], a[64];

	strcpy(b, ag_link(&w->b, "/proc/self/ns/pid"));
	strcpy(a, ag_link(&w->a, "/proc/self/ns/pid"));
	EXPECT_STRNE(a, b);
	EXPECT_STREQ(b, ag_link(&w->b, "/proc/self/ns/pid_for_children"));
	EXPECT_STREQ(b, ag_link(&w->c, "/proc/self/ns/pid"));
	EXPECT_STREQ(b, ag_link(&w->a, proc_path(w->host_c, "ns/pid")));
	EXPECT_STREQ(b, ag_link(&w->a, proc_path(w->b.pid, "ns/pid")));
	EXPECT_STRNE(b, ag_link(&w->d, "/proc/self/ns/pid"));
	ASSERT_EQ(0, ag_join(&self->j, cname("web")));
	EXPECT_STREQ(b, ag_link(&self->j, "/proc/self/ns/pid"));
	EXPECT_STREQ(b, ag_link(&self->j, "/proc/self/ns/pid_for_children"));
	EXPECT_STREQ(a, ag_link(&w->a, "/proc/self/ns/pid"));
}

static long op_setns_fd(struct msg *m)
{
	m->len = 0;
	return setns(m->arg[0], CLONE_NEWPID);
}

/* No way out, and none to the side */
TEST_F(join, setns_refused)
{
	struct world *w = &self->world;
	struct agent *j = &self->j;
	long host, other;

	host = ag_path(j, op_open, "/proc/self/ns/pid", O_RDONLY);
	ASSERT_LE(0, host);
	other = ag_path(j, op_open, proc_path(w->d.pid, "ns/pid"), O_RDONLY);
	ASSERT_LE(0, other);
	ASSERT_EQ(0, ag_join(j, cname("web")));
	EXPECT_EQ(-EINVAL, ag_do(j, op_setns_fd, host));
	EXPECT_EQ(-EINVAL, ag_do(j, op_setns_fd, other));
	EXPECT_EQ(0, ag_path(j, op_setns, "/proc/1/ns/pid"));
	EXPECT_EQ(3, ag_spawn(j, &self->k));
}

/* A container that is gone, though its namespace is held, gets no members. */
TEST_F(join, setns_after_the_end)
{
	struct world *w = &self->world;
	struct agent *j = &self->j, *k = &self->k, next;
	long fd;

	fd = ag_path(j, op_open, proc_path(w->b.pid, "ns/pid"), O_RDONLY);
	ASSERT_LE(0, fd);
	/* One is on its way in, the other only holds the door. */
	ASSERT_GT(ag_spawn(NULL, &next), 0);
	ASSERT_EQ(0, ag_path(&next, op_setns, proc_path(w->b.pid, "ns/pid")));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	ASSERT_EQ(0, ag_end(&w->b));
	EXPECT_EQ(0, host_row(cname("web"), NULL));

	if (!ag_do(j, op_setns_fd, fd))
		EXPECT_GT(0, ag_spawn(j, k));
	EXPECT_GT(0, ag_spawn(&next, k));
	EXPECT_EQ(0, host_row(cname("web"), NULL));
	EXPECT_EQ(j->pid, ag_sys(j, __NR_getpid));

	/* The name is another one's now, without them. */
	ASSERT_GT(ag_spawn(NULL, k), 0);
	ASSERT_EQ(0, ag_create(k, cname("web")));
	EXPECT_GT(0, ag_spawn(&next, &w->kids[0]));
	EXPECT_STREQ("1", ag_list(k, "/proc"));
	EXPECT_EQ(1, host_members(cname("web")));

	/* They can change their minds. */
	EXPECT_EQ(0, ag_path(&next, op_setns, "/proc/self/ns/pid"));
	EXPECT_LT(0, ag_spawn(&next, &w->kids[0]));
	EXPECT_STREQ("", ag_text(&w->kids[0], "/proc/container"));
}

/* ---- races ---- */

#define ROUNDS	150
#define RACERS	4

static void ag_write_start(struct agent *a, const char *name, int flags)
{
	ag_send(a, op_write, "/proc/container", name, strlen(name), -1,
		AG_ARGS(flags));
}

/* Several want the name: one gets it. */
TEST_F_TIMEOUT(join, race_of_creates, 900)
{
	struct agent racers[RACERS];
	const char *name = cname("race");
	int i, n, round, len = strlen(name);

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < RACERS; i++)
			ASSERT_GT(ag_spawn(NULL, &racers[i]), 0);
		for (i = 0; i < RACERS; i++)
			ag_write_start(&racers[i], name, CREATE);
		for (n = i = 0; i < RACERS; i++) {
			long ret = ag_recv(&racers[i]);

			n += ret == len;
			EXPECT_TRUE(ret == len || ret == -EEXIST) {
				TH_LOG("returned %ld", ret);
			}
		}
		EXPECT_EQ(1, n);
		EXPECT_EQ(1, host_members(name));
		for (i = 0; i < RACERS; i++)
			ASSERT_EQ(0, ag_end(&racers[i]));
		ASSERT_EQ(0, host_row(name, NULL));
	}
}

/* The last member leaves while others come in: either side may win. */
TEST_F_TIMEOUT(join, race_with_the_end, 900)
{
	struct agent root, racers[RACERS];
	const char *name = cname("race");
	int i, n, round, len = strlen(name), won = 0;

	for (round = 0; round < ROUNDS; round++) {
		ASSERT_GT(ag_spawn(NULL, &root), 0);
		ASSERT_EQ(0, ag_create(&root, name));
		for (i = 0; i < RACERS; i++)
			ASSERT_GT(ag_spawn(NULL, &racers[i]), 0);
		/* The exit is in the middle of the others. */
		for (i = 0; i < RACERS; i++) {
			if (i == round % RACERS)
				ag_start(&root, op_exit, 0);
			ag_write_start(&racers[i], name, JOIN);
		}
		/* Reap it as soon as possible, that is the end. */
		ASSERT_EQ(root.pid, waitpid(root.pid, NULL, 0));
		for (n = i = 0; i < RACERS; i++) {
			long ret = ag_recv(&racers[i]);

			n += ret == len;
			EXPECT_TRUE(ret == len || ret == -ENOENT ||
				    ret == -ESRCH) {
				TH_LOG("returned %ld", ret);
			}
			EXPECT_STREQ(ret == len ? name : "",
				     ag_text(&racers[i], "/proc/container"));
		}
		ag_forget(&root);
		won += n;
		EXPECT_EQ(n, host_members(name));
		EXPECT_EQ(!!n, host_row(name, NULL));
		for (i = 0; i < RACERS; i++)
			ASSERT_EQ(0, ag_end(&racers[i]));
		ASSERT_EQ(0, host_row(name, NULL));
	}
	TH_LOG("%d of %d came in", won, ROUNDS * RACERS);
}

/* Joins before, while and after somebody creates */
TEST_F_TIMEOUT(join, race_with_a_create, 900)
{
	struct agent racers[RACERS];
	const char *name = cname("race");
	int i, n, round, len = strlen(name);

	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < RACERS; i++)
			ASSERT_GT(ag_spawn(NULL, &racers[i]), 0);
		for (i = 0; i < RACERS; i++)
			ag_write_start(&racers[i], name,
				       i == round % RACERS ? CREATE : JOIN);
		for (n = i = 0; i < RACERS; i++) {
			long ret = ag_recv(&racers[i]);

			n += ret == len;
			EXPECT_TRUE(ret == len || (i != round % RACERS &&
						   (ret == -ENOENT ||
						    ret == -ESRCH))) {
				TH_LOG("returned %ld", ret);
			}
		}
		EXPECT_EQ(n, host_members(name));
		for (i = 0; i < RACERS; i++)
			ASSERT_EQ(0, ag_end(&racers[i]));
		ASSERT_EQ(0, host_row(name, NULL));
	}
}

/* Everybody joins while a member forks and looks at the list. */
TEST_F_TIMEOUT(join, race_with_forks, 900)
{
	struct world *w = &self->world;
	struct agent racers[RACERS], kid = {};
	const char *name = cname("web");
	int i, round, next = 3, len = strlen(name);

	for (round = 0; round < ROUNDS / 2; round++) {
		char *text;

		for (i = 0; i < RACERS; i++)
			ASSERT_GT(ag_spawn(NULL, &racers[i]), 0);
		for (i = 0; i < RACERS; i++)
			ag_write_start(&racers[i], name, JOIN);
		EXPECT_EQ(next++, ag_spawn(&w->b, &kid));
		for (i = 0; i < RACERS; i++) {
			EXPECT_EQ(len, ag_recv(&racers[i]));
			EXPECT_EQ(racers[i].pid,
				  ag_sys(&racers[i], __NR_getpid));
		}
		EXPECT_EQ(3 + RACERS, host_members(name));
		EXPECT_EQ(3 + RACERS, ag_path(&w->c, op_list, "/proc", 64));
		text = w->c.m.str;
		EXPECT_EQ(0, strncmp("1 2 ", text, 4));
		for (i = 0; i < RACERS; i++)
			ASSERT_EQ(0, ag_end(&racers[i]));
		ag_exit(&kid, 0);
		EXPECT_EQ(kid.pid, ag_reap(&w->b, kid.pid));
		ag_forget(&kid);
	}
	EXPECT_EQ(2, host_members(name));
}

TEST_HARNESS_MAIN
