// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - an interactive shell on a terminal moves in
 *
 * Shells keep the pid, the process group and the terminal's group they found at
 * start-up.  All of job control has to go on with these former numbers.
 */

#include <sys/ioctl.h>
#include <termios.h>

#include "common.h"

#define PROMPT	"READY> "
#define KEY(c)	((c) & 0x1f)

FIXTURE(shell)
{
	int pty;
	pid_t pid;
	int serial;
	int status;		/* $? of the last command */
	char out[65536];	/* what has been read since it was typed */
	size_t len;
	char name[NAME_MAX_LEN + 1];
	char job[PATH_MAX];
};

FIXTURE_VARIANT(shell)
{
	const char *paths[4];
	char *argv[8];
};

FIXTURE_VARIANT_ADD(shell, bash) {
	.paths = { "/bin/bash", "/usr/bin/bash", "/bin/bash-static" },
	.argv = { "bash", "--norc", "--noprofile", "--noediting", "-i" },
};

FIXTURE_VARIANT_ADD(shell, dash) {
	.paths = { "/bin/dash", "/usr/bin/dash" },
	.argv = { "dash", "-i" },
};

FIXTURE_VARIANT_ADD(shell, busybox) {
	.paths = { "/bin/busybox", "/usr/bin/busybox" },
	.argv = { "sh", "-i" },
};

/* This program as a job: PIDSPACE_JOB says what it does. */
static __attribute__((constructor)) void job_main(void)
{
	const char *job = getenv("PIDSPACE_JOB");

	if (!job)
		return;
	if (!strcmp(job, "numbers")) {
		printf("<%d.%d.%d.%d.%d>\n", getpid(), getppid(), getpgrp(),
		       getsid(0), tcgetpgrp(0));
		exit(0);
	}
	if (isdigit(*job))
		_exit(atoi(job));
	prctl(PR_SET_NAME, job);
	for (;;)
		pause();
}

static int open_pty(char *name, size_t size)
{
	int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0 || grantpt(fd) || unlockpt(fd) || ptsname_r(fd, name, size))
		return -1;
	return fd;
}

/* Read until there is text in the output from there on: where, or NULL */
static char *wait_for(struct _test_data_shell *self, const char *from,
		      const char *text)
{
	long left, end = now_ms() + PATIENCE_MS;
	struct pollfd p = { .fd = self->pty, .events = POLLIN };

	for (;;) {
		char *found = strstr(from, text);
		ssize_t n;

		if (found)
			return found;
		left = end - now_ms();
		if (left <= 0 || poll(&p, 1, left) <= 0 ||
		    self->len >= sizeof(self->out) - 1)
			return NULL;
		n = read(self->pty, self->out + self->len,
			 sizeof(self->out) - 1 - self->len);
		if (n <= 0)
			return NULL;
		self->len += n;
		self->out[self->len] = '\0';
	}
}

static void type(struct _test_data_shell *self, const char *text)
{
	if (write(self->pty, text, strlen(text)) < 0)
		perror("pty");
}

static void type_key(struct _test_data_shell *self, char c)
{
	if (write(self->pty, &c, 1) < 0)
		perror("pty");
}

/*
 * Wait until all that was typed has been done.  The marker is what the shell
 * makes of it, the terminal's echo looks different.  True if it answered.
 */
static bool sync_shell(struct _test_data_shell *self)
{
	char buf[64];
	const char *p, *end;

	snprintf(buf, sizeof(buf), "echo \"<\"$?.%d\">\"\n", ++self->serial);
	type(self, buf);
	snprintf(buf, sizeof(buf), ".%d>", self->serial);
	p = wait_for(self, self->out, buf);
	if (!p)
		return false;
	end = p;
	while (p > self->out && *p != '<')
		p--;
	self->status = atoi(p + 1);
	return wait_for(self, end, PROMPT);
}

/* Type a command; true if the shell is there again after it */
static bool run(struct _test_data_shell *self, const char *command)
{
	self->len = 0;
	self->out[0] = '\0';
	type(self, command);
	type(self, "\n");
	return sync_shell(self);
}

#define EXPECT_RUN(command)						\
do {									\
	bool __answer = run(self, command);				\
									\
	ASSERT_TRUE(__answer) {						\
		TH_LOG("no answer: %s", self->out);			\
	}								\
} while (0)

/* Is the text in what the last command has printed? */
#define EXPECT_OUT(is, text)						\
do {									\
	const char *__text = text;					\
									\
	EXPECT_EQ(is, !!strstr(self->out, __text)) {			\
		TH_LOG("'%s' in: %s", __text, self->out);		\
	}								\
} while (0)

FIXTURE_SETUP(shell)
{
	const char *why = pidspace_begin();
	char slave[64], command[PATH_MAX + 32];
	const char *path = NULL;
	ssize_t n;
	int i;

	if (why)
		SKIP(return, "%s", why);
	for (i = 0; variant->paths[i] && !path; i++) {
		if (!access(variant->paths[i], X_OK))
			path = variant->paths[i];
	}
	if (!path)
		SKIP(return, "no %s", variant->paths[0]);
	self->pty = open_pty(slave, sizeof(slave));
	if (self->pty < 0)
		SKIP(return, "no pseudo terminals");
	n = readlink("/proc/self/exe", self->job, sizeof(self->job) - 1);
	ASSERT_LT(0, n);
	strcpy(self->name, cname("web"));

	self->pid = fork();
	ASSERT_LE(0, self->pid);
	if (!self->pid) {
		char *envp[4] = {
			"PS1=" PROMPT, "TERM=dumb", "PATH=/bin:/usr/bin",
		};
		int fd;

		setsid();
		fd = open(slave, O_RDWR);
		if (fd < 0 || ioctl(fd, TIOCSCTTY, 0) < 0)
			_exit(126);
		dup2(fd, 0);
		dup2(fd, 1);
		dup2(fd, 2);
		if (fd > 2)
			close(fd);
		execve(path, variant->argv, envp);
		_exit(127);
	}
	ASSERT_NE(NULL, wait_for(self, self->out, PROMPT)) {
		TH_LOG("no prompt: %s", self->out);
	}
	/* A variable, so that what is typed stays short. */
	snprintf(command, sizeof(command), "JOB=%s", self->job);
	EXPECT_RUN(command);
}

FIXTURE_TEARDOWN(shell)
{
	close(self->pty);
	kill(self->pid, SIGKILL);
	EXPECT_TRUE(pidspace_end());
}

static void move_in(struct __test_metadata *const _metadata,
		    struct _test_data_shell *self)
{
	char command[128];

	snprintf(command, sizeof(command), "echo %s > /proc/container",
		 self->name);
	EXPECT_RUN(command);
	EXPECT_EQ(0, self->status);
	EXPECT_EQ(1, host_row(self->name, NULL));
}

/* Is the job of that name in the foreground now? */
static bool in_front(struct _test_data_shell *self, const char *name)
{
	char comm[32];
	pid_t pgrp = tcgetpgrp(self->pty);
	long n = read_path(proc_path(pgrp, "comm"), comm, sizeof(comm));

	return n > 0 && !strncmp(comm, name, n - 1) && strlen(name) == n - 1;
}

static bool member_named(struct _test_data_shell *self, const char *name)
{
	long id = host_id(self->name);
	char comm[32];
	int i;

	for (i = 2; i < 100; i++) {
		if (read_path(proc_path(HOST_PID(id, i), "comm"), comm,
			      sizeof(comm)) > 0 &&
		    !strncmp(comm, name, strlen(name)))
			return true;
	}
	return false;
}

static bool shell_in_front(struct _test_data_shell *self)
{
	return tcgetpgrp(self->pty) == self->pid;
}

TEST_F(shell, numbers)
{
	char text[64];
	struct row row = {};

	move_in(_metadata, self);
	EXPECT_EQ(1, host_row(self->name, &row));
	EXPECT_EQ(self->pid, row.root);
	EXPECT_EQ(1, row.members);
	EXPECT_TRUE(shell_in_front(self));

	/* $$ is what it was. */
	EXPECT_RUN("echo \"<\"$$\">\"");
	snprintf(text, sizeof(text), "<%d>", self->pid);
	EXPECT_OUT(true, text);
	EXPECT_RUN("kill -0 $$");
	EXPECT_EQ(0, self->status);
	EXPECT_RUN("kill -0 1");
	EXPECT_EQ(0, self->status);
	EXPECT_RUN("[ -d /proc/$$ ] && [ -d /proc/1 ] && [ ! -d /proc/2 ]");
	EXPECT_EQ(0, self->status);
	EXPECT_RUN("for i in /proc/[0-9]*; do echo \"<\"$i\">\"; done");
	EXPECT_OUT(true, "</proc/1>");
	snprintf(text, sizeof(text), "</proc/%d>", self->pid);
	EXPECT_OUT(false, text);
	EXPECT_RUN("read name < /proc/container; echo \"<\"$name\">\"");
	snprintf(text, sizeof(text), "<%s>", self->name);
	EXPECT_OUT(true, text);

	/* The first child: pid, parent, group, session, foreground group */
	EXPECT_RUN("PIDSPACE_JOB=numbers $JOB");
	EXPECT_OUT(true, "<2.1.2.1.2>");
	EXPECT_RUN("PIDSPACE_JOB=numbers $JOB");
	EXPECT_OUT(true, "<3.1.3.1.3>");
	EXPECT_TRUE(shell_in_front(self));
}

TEST_F(shell, interrupt)
{
	move_in(_metadata, self);
	type(self, "PIDSPACE_JOB=_sleeper $JOB\n");
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_sleeper")));
	EXPECT_EQ(2, host_members(self->name));
	type_key(self, KEY('c'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_EQ(130, self->status);
	EXPECT_EQ(1, host_members(self->name));

	/* At the prompt it interrupts the line, the root stays. */
	type(self, "echo not this");
	self->len = 0;
	self->out[0] = '\0';
	type_key(self, KEY('c'));
	ASSERT_NE(NULL, wait_for(self, self->out, PROMPT));
	EXPECT_RUN("echo \"<\"here\">\"");
	EXPECT_OUT(true, "<here>");
	EXPECT_EQ(1, host_members(self->name));
}

TEST_F(shell, quit)
{
	move_in(_metadata, self);
	type(self, "PIDSPACE_JOB=_sleeper $JOB\n");
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_sleeper")));
	type_key(self, KEY('\\'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_EQ(131, self->status);
}

static bool stopped(struct _test_data_shell *self, pid_t pid)
{
	char text[4096];

	return read_path(proc_path(pid, "status"), text, sizeof(text)) > 0 &&
		*text_field(text, "State") == 'T';
}

TEST_F(shell, stop_and_go)
{
	pid_t job;

	move_in(_metadata, self);
	type(self, "PIDSPACE_JOB=_sleeper $JOB\n");
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_sleeper")));
	job = tcgetpgrp(self->pty);
	EXPECT_EQ(HOST_PID(host_id(self->name), 2), job);

	type_key(self, KEY('z'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	EXPECT_TRUE(stopped(self, job));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_RUN("jobs");
	EXPECT_OUT(true, "Stopped");

	EXPECT_RUN("bg");
	EXPECT_TRUE(EVENTUALLY(!stopped(self, job)));
	EXPECT_TRUE(shell_in_front(self));
	EXPECT_RUN("jobs");
	EXPECT_OUT(true, "Running");

	type(self, "fg\n");
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_sleeper")));
	EXPECT_EQ(job, tcgetpgrp(self->pty));
	type_key(self, KEY('z'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	EXPECT_TRUE(stopped(self, job));
	ASSERT_TRUE(sync_shell(self));

	type(self, "fg\n");
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_sleeper")));
	EXPECT_TRUE(EVENTUALLY(!stopped(self, job)));
	type_key(self, KEY('c'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_RUN("jobs");
	EXPECT_OUT(false, "Running");
	EXPECT_OUT(false, "Stopped");
	EXPECT_EQ(1, host_members(self->name));
}

TEST_F(shell, background)
{
	move_in(_metadata, self);
	EXPECT_RUN("PIDSPACE_JOB=7 $JOB & wait $!");
	EXPECT_EQ(7, self->status);
	EXPECT_RUN("PIDSPACE_JOB=8 $JOB & PIDSPACE_JOB=9 $JOB & wait");
	EXPECT_EQ(0, self->status);
	EXPECT_EQ(1, host_members(self->name));

	EXPECT_RUN("PIDSPACE_JOB=_sleeper $JOB &");
	EXPECT_EQ(2, host_members(self->name));
	EXPECT_RUN("jobs");
	EXPECT_OUT(true, "Running");
	EXPECT_RUN("kill %1; wait $!");
	EXPECT_EQ(143, self->status);
	EXPECT_RUN("PIDSPACE_JOB=_sleeper $JOB &");
	EXPECT_RUN("kill -9 $!; wait $!");
	EXPECT_EQ(137, self->status);
	EXPECT_RUN("PIDSPACE_JOB=_sleeper $JOB &");
	EXPECT_RUN("kill -0 $! && kill -INT -$!; wait $!");
	EXPECT_EQ(130, self->status);
	EXPECT_EQ(1, host_members(self->name));
}

TEST_F(shell, children_before)
{
	char command[128];

	snprintf(command, sizeof(command), "echo %s > /proc/container",
		 self->name);
	EXPECT_RUN("PIDSPACE_JOB=_sleeper $JOB &");
	EXPECT_RUN(command);
	EXPECT_LT(0, self->status);
	EXPECT_EQ(0, host_row(self->name, NULL));
	EXPECT_RUN("kill %1; wait $!");
	EXPECT_EQ(143, self->status);
	move_in(_metadata, self);
}

TEST_F(shell, signals_to_itself)
{
	move_in(_metadata, self);
	EXPECT_RUN("trap 'echo \"<\"trap.$x\">\"' USR1 TERM");
	EXPECT_RUN("x=a; kill -USR1 $$");
	EXPECT_OUT(true, "<trap.a>");
	EXPECT_RUN("x=b; kill $$");
	EXPECT_OUT(true, "<trap.b>");
	EXPECT_RUN("x=c; kill -USR1 1");
	EXPECT_OUT(true, "<trap.c>");
	EXPECT_RUN("x=d; (kill -USR1 $$)");
	EXPECT_OUT(true, "<trap.d>");
	/* From the host */
	self->len = 0;
	self->out[0] = '\0';
	EXPECT_EQ(0, kill(self->pid, SIGUSR1));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_OUT(true, "<trap.d>");
}

TEST_F(shell, pipes)
{
	move_in(_metadata, self);
	EXPECT_RUN("echo one | (read x; echo \"<\"$x\">\")");
	EXPECT_OUT(true, "<one>");
	EXPECT_RUN("for i in 1 2 3; do echo $i; done | while read i; do echo \"<\"$i\">\"; done");
	EXPECT_OUT(true, "<1>");
	EXPECT_OUT(true, "<3>");
	EXPECT_RUN("x=$(echo two); echo \"<\"$x\">\"");
	EXPECT_OUT(true, "<two>");
	EXPECT_RUN("(exit 5)");
	EXPECT_EQ(5, self->status);
	EXPECT_RUN("echo | PIDSPACE_JOB=6 $JOB");
	EXPECT_EQ(6, self->status);

	/* Ctrl-C takes all of a pipe. */
	type(self, "PIDSPACE_JOB=_s1 $JOB | PIDSPACE_JOB=_s2 $JOB | PIDSPACE_JOB=_s3 $JOB\n");
	ASSERT_TRUE(EVENTUALLY(host_members(self->name) == 4));
	ASSERT_TRUE(EVENTUALLY(in_front(self, "_s1")));
	ASSERT_TRUE(EVENTUALLY(member_named(self, "_s2")));
	ASSERT_TRUE(EVENTUALLY(member_named(self, "_s3")));
	type_key(self, KEY('c'));
	ASSERT_TRUE(EVENTUALLY(shell_in_front(self)));
	ASSERT_TRUE(sync_shell(self));
	EXPECT_EQ(130, self->status);
	EXPECT_EQ(1, host_members(self->name));
}

TEST_F(shell, exits)
{
	int status;

	move_in(_metadata, self);
	type(self, "exit 3\n");
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_EQ(3, WEXITSTATUS(status));
	EXPECT_EQ(0, host_row(self->name, NULL));
}

/* The terminal goes away: so does the shell, and with it the container. */
TEST_F(shell, hang_up)
{
	int status;

	move_in(_metadata, self);
	close(self->pty);
	ASSERT_EQ(self->pid, waitpid(self->pid, &status, 0));
	EXPECT_EQ(0, host_row(self->name, NULL));
}

/* The same shell without a terminal, as in a script */
TEST_F(shell, script)
{
	char script[16384];
	int i, status, fd[2];
	const char *path = NULL;
	char out[4096];
	pid_t pid;

	for (i = 0; variant->paths[i] && !path; i++) {
		if (!access(variant->paths[i], X_OK))
			path = variant->paths[i];
	}
	snprintf(script, sizeof(script),
		 "trap 'echo trapped' USR1\n"
		 "echo %s > /proc/container || exit 1\n"
		 "kill -USR1 $$\n"
		 "export PIDSPACE_JOB=numbers\n"
		 "%s < /dev/null\n"
		 "PIDSPACE_JOB=4 %s & wait $! ; echo $?\n"
		 "echo x | { read y; echo $y; }\n"
		 "exit 9\n", self->name, self->job, self->job);
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	pid = fork();
	if (!pid) {
		setsid();
		dup2(fd[1], 1);
		execl(path, variant->argv[0], "-c", script, NULL);
		_exit(127);
	}
	close(fd[1]);
	ASSERT_LE(0, read_fd(fd[0], out, sizeof(out)));
	EXPECT_STREQ("trapped\n<2.1.1.1.-1>\n4\nx\n", out);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(9, WEXITSTATUS(status));
	EXPECT_EQ(0, host_row(self->name, NULL));
}

TEST_HARNESS_MAIN
