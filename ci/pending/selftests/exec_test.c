// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - execve(), threads, vfork(), CLONE_PARENT and ptrace()
 */

#include <sys/ptrace.h>

#include "common.h"

FIXTURE(exec)
{
	struct world world;
};

FIXTURE_SETUP(exec)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(exec)
{
	EXPECT_TRUE(pidspace_end());
}

static void do_exec(void)
{
	struct msg m = { .path = "x" };

	op_exec(&m);
}

/* The last thread that was started calls execve(); answers as op_exec(). */
static long op_thread_exec(struct msg *m)
{
	int i = nr_threads - 1;

	threads[i].fn = do_exec;
	if (write(threads[i].pipe[1], "", 1) != 1)
		return -1;
	/* Until the thread is the process */
	for (;;)
		pause();
	return 0;
}

/* The leader ends as a thread, and another thread goes on as the agent. */
static void go_on(void)
{
	static struct msg m;

	/* The answer for op_leader_exit() */
	msg_send(agent_sock, &m, -1);
	agent_main(agent_sock);
}

static long op_leader_exit(struct msg *m)
{
	int i = nr_threads - 1;

	m->len = 0;
	threads[i].fn = go_on;
	if (write(threads[i].pipe[1], "", 1) != 1)
		return -1;
	syscall(__NR_exit, 0);
	return -1;
}

/* After an exec everything is as it was before. */
static void expect_same(struct __test_metadata *const _metadata,
			struct world *w, struct agent *a, pid_t nr, pid_t host)
{
	char buf[32];

	EXPECT_EQ(nr, ag_sys(a, __NR_getpid));
	EXPECT_EQ(nr, ag_sys(a, __NR_gettid));
	snprintf(buf, sizeof(buf), "%d", nr);
	EXPECT_STREQ(buf, ag_list(a, "/proc/self/task"));
	EXPECT_STREQ(buf, ag_link(a, "/proc/self"));
	snprintf(buf, sizeof(buf), "%d", host);
	EXPECT_STREQ(buf, ag_list(&w->a, proc_path(host, "task")));
	snprintf(buf, sizeof(buf), "%d\t%d", host, nr);
	EXPECT_STREQ(buf, ag_status(&w->a, host, "NSpid"));
	EXPECT_STREQ(cname("web"), ag_text(a, "/proc/container"));
	EXPECT_EQ(0, kill(host, 0));
	EXPECT_EQ(0, ag_sys(a, __NR_tgkill, nr, nr, 0));
}

TEST_F(exec, leader)
{
	struct world *w = &self->world;

	ASSERT_EQ(0, ag_do(&w->b, op_exec));
	expect_same(_metadata, w, &w->b, 1, w->b.pid);
	EXPECT_EQ(0, ag_sys(&w->b, __NR_kill, w->b.pid, 0));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, w->b.pid, 0));
	EXPECT_EQ(1, ag_sys(&w->c, __NR_getppid));
	ASSERT_EQ(0, ag_do(&w->c, op_exec));
	expect_same(_metadata, w, &w->c, 2, w->host_c);
	ASSERT_EQ(3, ag_spawn(&w->b, &w->kids[0]));
}

TEST_F(exec, thread_of_the_root)
{
	struct world *w = &self->world;
	struct agent *b = &w->b;
	struct row row = {};
	int status;

	ASSERT_EQ(3, ag_do(b, op_thread));
	ASSERT_EQ(4, ag_do(b, op_thread));
	EXPECT_STREQ("1 3 4", ag_list(b, "/proc/self/task"));
	ASSERT_EQ(0, ag_do(b, op_thread_exec));
	expect_same(_metadata, w, b, 1, b->pid);
	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_tkill, 4, 0));
	EXPECT_EQ(-ESRCH, ag_sys(b, __NR_tkill, 3, 0));
	EXPECT_EQ(-1, kill(HOST_PID(w->id, 4), 0));
	/* The former number goes with it. */
	EXPECT_EQ(0, ag_sys(b, __NR_kill, b->pid, 0));
	EXPECT_EQ(0, ag_sys(b, __NR_tgkill, b->pid, b->pid, 0));
	EXPECT_STREQ("1", ag_status(&w->c, b->pid, "Pid"));
	EXPECT_EQ(1, ag_sys(&w->c, __NR_getppid));
	EXPECT_EQ(1, host_row(cname("web"), &row));
	EXPECT_EQ(b->pid, row.root);
	EXPECT_EQ(2, row.members);
	ASSERT_EQ(5, ag_spawn(b, &w->kids[0]));
	EXPECT_EQ(1, ag_sys(&w->kids[0], __NR_getppid));
	/* It still is the one that cannot be killed from inside, */
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGKILL));
	EXPECT_EQ(1, ag_sys(b, __NR_getpid));
	/* and that adopts. */
	ASSERT_EQ(6, ag_spawn(&w->c, &w->kids[1]));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(b, 2));
	EXPECT_EQ(1, ag_sys(&w->kids[1], __NR_getppid));
	ag_exit(b, 11);
	EXPECT_EQ(b->pid, waitpid(b->pid, &status, 0));
	EXPECT_EQ(11, WEXITSTATUS(status));
	ag_forget(b);
}

TEST_F(exec, thread_of_a_child)
{
	struct world *w = &self->world;

	ASSERT_EQ(3, ag_do(&w->c, op_thread));
	ASSERT_EQ(4, ag_do(&w->c, op_thread));
	ASSERT_EQ(0, ag_do(&w->c, op_thread_exec));
	expect_same(_metadata, w, &w->c, 2, w->host_c);
	EXPECT_EQ(-ESRCH, ag_sys(&w->b, __NR_tkill, 4, 0));
	ag_exit(&w->c, 3);
	EXPECT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_EQ(3, w->b.m.arg[1]);
}

TEST_F(exec, thread_of_a_joiner)
{
	struct world *w = &self->world;
	struct agent *j = &w->kids[0], *k = &w->kids[1];

	/* One that keeps its number */
	ASSERT_GT(ag_spawn(NULL, j), 0);
	ASSERT_EQ(0, ag_join(j, cname("web")));
	ASSERT_EQ(3, ag_do(j, op_thread));
	ASSERT_EQ(0, ag_do(j, op_thread_exec));
	expect_same(_metadata, w, j, j->pid, j->pid);

	/* And one whose number is taken */
	ASSERT_GT(ag_spawn(NULL, k), 0);
	ASSERT_EQ(k->pid, ag_clone(&w->b, &w->kids[2], 0, 1, k->pid));
	ASSERT_EQ(0, ag_join(k, cname("web")));
	EXPECT_EQ(4, ag_sys(k, __NR_getpid));
	ASSERT_EQ(5, ag_do(k, op_thread));
	ASSERT_EQ(0, ag_do(k, op_thread_exec));
	expect_same(_metadata, w, k, 4, k->pid);
	EXPECT_EQ(0, ag_end(k));
	EXPECT_EQ(k->pid, ag_sys(&w->kids[2], __NR_getpid));
}

/* The session and the group it leads stay when the root's thread execs. */
TEST_F(exec, groups)
{
	struct world *w = &self->world;
	struct agent *b = &w->b, *k = &w->kids[0];

	ASSERT_EQ(1, ag_sys(b, __NR_setsid));
	ASSERT_EQ(3, ag_spawn(b, k));
	ASSERT_EQ(4, ag_do(b, op_thread));
	ASSERT_EQ(0, ag_do(b, op_thread_exec));
	EXPECT_EQ(1, ag_sys(b, __NR_getsid, 0));
	EXPECT_EQ(1, ag_sys(b, __NR_getpgid, 0));
	EXPECT_EQ(1, ag_sys(k, __NR_getsid, 0));
	EXPECT_EQ(b->pid, getsid(HOST_PID(w->id, 3)));
	EXPECT_EQ(b->pid, getpgid(HOST_PID(w->id, 3)));
	EXPECT_EQ(0, ag_sys(k, __NR_kill, -b->pid, 0));
}

TEST_F(exec, leader_ends_first)
{
	struct world *w = &self->world;
	struct agent *b = &w->b;

	ASSERT_EQ(3, ag_do(b, op_thread));
	ASSERT_EQ(0, ag_do(b, op_leader_exit));
	EXPECT_TRUE(EVENTUALLY(*ag_status(&w->c, 1, "State") == 'Z'));
	/* The process lives, and is the root. */
	EXPECT_EQ(1, ag_sys(b, __NR_getpid));
	EXPECT_EQ(3, ag_sys(b, __NR_gettid));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, 0));
	EXPECT_EQ(1, ag_sys(&w->c, __NR_getppid));
	EXPECT_STREQ(cname("web"), ag_text(&w->c, "/proc/1/container"));
	EXPECT_STREQ("1 2", ag_list(&w->c, "/proc"));
	ASSERT_EQ(4, ag_spawn(b, &w->kids[0]));
	EXPECT_EQ(1, ag_sys(&w->kids[0], __NR_getppid));
	EXPECT_EQ(0, ag_sys(&w->c, __NR_kill, 1, SIGKILL));
	EXPECT_EQ(1, ag_sys(b, __NR_getpid));
	/* Then the thread becomes the leader. */
	ASSERT_EQ(0, ag_do(b, op_exec));
	expect_same(_metadata, w, b, 1, b->pid);
	EXPECT_EQ(0, ag_sys(b, __NR_kill, b->pid, 0));
	EXPECT_EQ(0, ag_end(b));
}

/* ---- vfork(), CLONE_PARENT ---- */

static long op_vfork_exec(struct msg *m)
{
	char *argv[2] = { "x", NULL };
	char *envp[2] = { "PIDSPACE_EXIT=7", NULL };
	int status;
	pid_t pid;

	m->len = 0;
	pid = vfork();
	if (!pid) {
		execve("/proc/self/exe", argv, envp);
		_exit(1);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	m->arg[0] = WEXITSTATUS(status);
	return pid;
}

static __attribute__((constructor)) void exit_main(void)
{
	const char *code = getenv("PIDSPACE_EXIT");

	if (code)
		_exit(atoi(code));
}

TEST_F(exec, vfork)
{
	struct world *w = &self->world;

	EXPECT_EQ(3, ag_do(&w->b, op_vfork_exec));
	EXPECT_EQ(7, w->b.m.arg[0]);
	EXPECT_EQ(4, ag_do(&w->c, op_vfork_exec));
	EXPECT_EQ(7, w->c.m.arg[0]);
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
}

TEST_F(exec, clone_parent)
{
	struct world *w = &self->world;
	struct agent *k = &w->kids[0], *l = &w->kids[1];
	pid_t host = HOST_PID(w->id, 4);

	/* The child's sibling is the root's child. */
	ASSERT_EQ(3, ag_clone(&w->c, k, CLONE_PARENT));
	EXPECT_EQ(1, ag_sys(k, __NR_getppid));
	EXPECT_EQ(-ECHILD, ag_do(&w->c, op_wait, P_PID, 3, WEXITED | WNOHANG));
	ag_exit(k, 0);
	EXPECT_EQ(3, ag_reap(&w->b, 3));

	/* The root's sibling is a member, and a child of the test. */
	ASSERT_EQ(4, ag_clone(&w->b, l, CLONE_PARENT));
	EXPECT_EQ(0, ag_sys(l, __NR_getppid));
	EXPECT_STREQ(cname("web"), ag_text(l, "/proc/container"));
	EXPECT_EQ(3, host_members(cname("web")));
	ag_exit(l, 0);
	EXPECT_EQ(-ECHILD, ag_do(&w->b, op_wait, P_PID, 4, WEXITED | WNOHANG));
	EXPECT_EQ(host, waitpid(host, NULL, 0));
	EXPECT_EQ(2, host_members(cname("web")));
}

/* ---- threads ---- */

TEST_F(exec, many_threads)
{
	struct world *w = &self->world;
	char list[256] = "2", host[512];
	int i, len, hlen;

	hlen = snprintf(host, sizeof(host), "%d", w->host_c);
	for (len = 1, i = 0; i < 20; i++) {
		ASSERT_EQ(i + 3, ag_do(&w->c, op_thread));
		len += snprintf(list + len, sizeof(list) - len, " %d", i + 3);
		hlen += snprintf(host + hlen, sizeof(host) - hlen, " %d",
				 HOST_PID(w->id, i + 3));
	}
	EXPECT_STREQ(list, ag_list(&w->b, "/proc/2/task"));
	EXPECT_STREQ(host, ag_list(&w->a, proc_path(w->host_c, "task")));
	EXPECT_STREQ("1 2", ag_list(&w->b, "/proc"));
	EXPECT_STREQ("21", ag_status(&w->b, 2, "Threads"));
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, ag_do(&w->c, op_thread_join));
	EXPECT_TRUE(EVENTUALLY(!strcmp("2", ag_list(&w->b, "/proc/2/task"))));
}

/* ---- ptrace() ---- */

static long op_event_message(struct msg *m)
{
	unsigned long msg = 0;
	long ret = ptrace(PTRACE_GETEVENTMSG, m->arg[0], 0, &msg);

	m->len = 0;
	return ret ? ret : msg;
}

static long op_siginfo_pid(struct msg *m)
{
	siginfo_t info = {};
	long ret = ptrace(PTRACE_GETSIGINFO, m->arg[0], 0, &info);

	m->len = 0;
	return ret ? ret : info.si_pid;
}

/* fork() and the end of the child, answered only when it is over */
static long op_fork_wait(struct msg *m)
{
	pid_t pid = fork();

	m->len = 0;
	if (!pid)
		_exit(0);
	return waitpid(pid, NULL, 0) == pid ? pid : -1;
}

/* The numbers that a tracer gets are its own. */
static void trace_fork(struct __test_metadata *const _metadata,
		       struct agent *tracer, struct agent *tracee, pid_t nr,
		       pid_t kid)
{
	ASSERT_EQ(0, ag_sys(tracer, __NR_ptrace, PTRACE_SEIZE, nr, 0,
			    PTRACE_O_TRACEFORK));
	ag_start(tracee, op_fork_wait);
	ASSERT_EQ(nr, ag_do(tracer, op_wait, P_PID, nr, WSTOPPED));
	EXPECT_EQ(SIGTRAP | (PTRACE_EVENT_FORK << 8), tracer->m.arg[1]);
	EXPECT_EQ(kid, ag_do(tracer, op_event_message, nr));
	/* The child is traced from its birth. */
	ASSERT_EQ(kid, ag_do(tracer, op_wait, P_PID, kid, WSTOPPED));
	EXPECT_EQ(0, ag_sys(tracer, __NR_ptrace, PTRACE_CONT, kid, 0, 0));
	EXPECT_EQ(0, ag_sys(tracer, __NR_ptrace, PTRACE_CONT, nr, 0, 0));
	EXPECT_EQ(kid, ag_do(tracer, op_wait, P_PID, kid, WEXITED));
	/* SIGCHLD, with the number as the tracee gets it */
	ASSERT_EQ(nr, ag_do(tracer, op_wait, P_PID, nr, WSTOPPED));
	EXPECT_EQ(SIGCHLD, tracer->m.arg[1]);
	EXPECT_EQ(3, ag_do(tracer, op_siginfo_pid, nr));
	EXPECT_EQ(0, ag_sys(tracer, __NR_ptrace, PTRACE_DETACH, nr, 0, 0));
	EXPECT_EQ(3, ag_recv(tracee));
}

TEST_F(exec, traced_from_the_host)
{
	struct world *w = &self->world;

	trace_fork(_metadata, &w->a, &w->c, w->host_c, HOST_PID(w->id, 3));
}

TEST_F(exec, root_traced_from_the_host)
{
	struct world *w = &self->world;

	trace_fork(_metadata, &w->a, &w->b, w->b.pid, HOST_PID(w->id, 3));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
}

TEST_F(exec, traced_inside)
{
	struct world *w = &self->world;

	trace_fork(_metadata, &w->b, &w->c, 2, 3);
}

TEST_F(exec, traced_by_a_sibling)
{
	struct world *w = &self->world;

	/* tracer 3, so the tracee's child is 4 */
	ASSERT_EQ(3, ag_spawn(&w->b, &w->kids[0]));
	ASSERT_EQ(0, ag_sys(&w->kids[0], __NR_ptrace, PTRACE_SEIZE, 2, 0, 0));
	EXPECT_STREQ("3", ag_status(&w->b, 2, "TracerPid"));
	EXPECT_EQ(0, ag_sys(&w->kids[0], __NR_ptrace, PTRACE_INTERRUPT, 2));
	EXPECT_EQ(2, ag_do(&w->kids[0], op_wait, P_PID, 2, WSTOPPED));
	EXPECT_EQ(0, ag_sys(&w->kids[0], __NR_ptrace, PTRACE_DETACH, 2, 0, 0));
	/* And not across */
	EXPECT_EQ(-ESRCH, ag_sys(&w->d, __NR_ptrace, PTRACE_SEIZE, w->host_c,
				 0, 0));
}

/* The event of an exec tells the number that the thread had before. */
TEST_F(exec, traced_exec_of_a_thread)
{
	struct world *w = &self->world;
	struct agent *a = &w->a;

	ASSERT_EQ(3, ag_do(&w->c, op_thread));
	ASSERT_EQ(0, ag_sys(a, __NR_ptrace, PTRACE_SEIZE, w->host_c, 0,
			    PTRACE_O_TRACEEXEC));
	ASSERT_EQ(0, ag_sys(a, __NR_ptrace, PTRACE_SEIZE, HOST_PID(w->id, 3),
			    0, PTRACE_O_TRACEEXEC));
	ag_start(&w->c, op_thread_exec);
	/* ECHILD while the old leader is dead and the new one is not it yet */
	ASSERT_TRUE(EVENTUALLY(ag_do(a, op_wait, P_PID, w->host_c, WSTOPPED) ==
			       w->host_c));
	EXPECT_EQ(SIGTRAP | (PTRACE_EVENT_EXEC << 8), a->m.arg[1]);
	EXPECT_EQ(HOST_PID(w->id, 3),
		  ag_do(a, op_event_message, w->host_c));
	EXPECT_EQ(0, ag_sys(a, __NR_ptrace, PTRACE_DETACH, w->host_c, 0, 0));
	EXPECT_EQ(0, ag_recv(&w->c));
	expect_same(_metadata, w, &w->c, 2, w->host_c);
}

TEST_HARNESS_MAIN
