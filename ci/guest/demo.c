// SPDX-License-Identifier: GPL-2.0
/*
 * The demonstration of pidspace: what "make run" shows.
 *
 * Runs as root in the guest. Two interactive bashes on ptys, typed at as a
 * person would, and four processes that report what system calls return to
 * them. Everything shown comes from those; every claim is compared with what
 * the design promises, and a mismatch is printed where it is seen.
 *
 * Exit status: 0 all as promised, 1 not, 2 this kernel has no /proc/container.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <poll.h>
#include <pty.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/ttydefaults.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#define __printf(a, b)	__attribute__((format(printf, a, b)))
#define PATIENCE	30	/* seconds for anything awaited */
#define VPID_BITS	16
#define FIRST_ID	64	/* PID_MAX_LIMIT >> VPID_BITS */
#define PROMPT_END	0x05	/* ends PS1; no program prints it */
#define HEADER		"#name id root members"

static unsigned int checks, failures;

/* Claims */

static void print_lines(const char *label, const char *text)
{
	int left = 12;

	do {
		size_t len = strcspn(text, "\n");

		if (!left--) {
			printf("!!!   ...\n");
			break;
		}
		printf("!!!   %-9s %.*s\n", label, (int)len, text);
		text += len;
		label = "";
	} while (*text++);
}

static void mismatch(const char *what, const char *expected, const char *seen)
{
	failures++;
	printf("!!! MISMATCH: %s\n", what);
	print_lines("expected", expected);
	print_lines("seen", seen);
}

static bool claim(bool ok, const char *what, const char *expected,
		  const char *seen)
{
	checks++;
	if (!ok)
		mismatch(what, expected, seen);
	return ok;
}

/* A result of a call: a number, or an errno as -E... */
static const char *result(long value)
{
	static char buf[2][24];
	static int turn;

	if (value < 0 && strerrorname_np(-value))
		return strerrorname_np(-value);
	turn = !turn;
	snprintf(buf[turn], sizeof(buf[turn]), "%ld", value);
	return buf[turn];
}

static void claim_number(const char *what, long expected, long seen)
{
	claim(expected == seen, what, result(expected), result(seen));
}

/* Waiting */

static long now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* Polls until cond is true, at most PATIENCE seconds; true if it became so. */
#define wait_until(cond) ({						\
	long deadline_ = now_ms() + PATIENCE * 1000;			\
	bool met_;							\
	while (!(met_ = (cond)) && now_ms() < deadline_)		\
		usleep(20000);						\
	met_;								\
})

/* A shell on a pty */

struct shell {
	pid_t pid;		/* its number here, in the default container */
	int pty;
	bool dead;		/* hung up, or silent for long: given up */
	int status;		/* from waitpid() */
	char prompt[64];	/* on its screen now */
	char raw[16384];	/* since the last prompt */
	size_t len;
	char out[16384];	/* what the last command printed, see squeeze() */
};

static const char *typed = "";	/* the last line, to name it in a mismatch */

/*
 * What a terminal would show of @raw: '\r' and '\b' move, other control
 * characters and escape sequences do not print. Returns the start of the last
 * line.
 */
static char *render(const char *raw, size_t len, char *screen, size_t size)
{
	size_t line = 0, col = 0, end = 0;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = raw[i];

		if (c == '\033') {
			if (i + 1 < len && raw[i + 1] == '[')
				for (i += 2; i < len && raw[i] < '@'; i++)
					;
			else
				i++;
		} else if (c == '\r') {
			col = line;
		} else if (c == '\b') {
			col -= col > line;
		} else if (c == '\t') {
			/* shown indented: its stops would be elsewhere */
			do {
				if (col + 2 >= size)
					break;
				screen[col++] = ' ';
			} while ((col - line) % 8);
			if (col > end)
				end = col;
		} else if (c == '\n' || (c >= ' ' && c != 0x7f)) {
			if (c == '\n') {
				for (col = end; col > line && screen[col - 1] == ' '; col--)
					;
				end = col;
			}
			if (col + 2 >= size)
				break;
			screen[col++] = c;
			if (col > end || c == '\n')
				end = col;
			if (c == '\n')
				line = end;
		}
	}
	screen[col] = '\0';
	return screen + line;
}

/* Runs of blanks become one, those at the ends of a line none. */
static void squeeze(const char *from, char *to)
{
	char *start = to;

	for (; *from; from++) {
		bool blank = *from == ' ' || *from == '\t';

		if (blank && (to == start || to[-1] == ' ' || to[-1] == '\n'))
			continue;
		if (*from == '\n' && to > start && to[-1] == ' ')
			to--;
		*to++ = blank ? ' ' : *from;
	}
	while (to > start && (to[-1] == '\n' || to[-1] == ' '))
		to--;
	*to = '\0';
}

static void show(const char *text)
{
	while (*text) {
		size_t len = strcspn(text, "\n");

		printf(len ? "    %.*s\n" : "%.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
}

/* Has the shell answered the line that was typed, and does it wait? */
static bool prompted(const struct shell *sh, bool typed_line)
{
	const char *from = sh->raw;

	if (typed_line)
		from = memchr(sh->raw, '\n', sh->len);
	return from && sh->len && sh->raw[sh->len - 1] == PROMPT_END &&
	       memchr(from, PROMPT_END, sh->raw + sh->len - from);
}

/* Reads what there is; false when the other side has hung up. */
static bool read_shell(struct shell *sh, int timeout_ms)
{
	struct pollfd pfd = { .fd = sh->pty, .events = POLLIN };
	ssize_t n;

	if (poll(&pfd, 1, timeout_ms) <= 0)
		return true;
	if (sh->len == sizeof(sh->raw)) {
		errno = ENOBUFS;
		return false;
	}
	n = read(sh->pty, sh->raw + sh->len, sizeof(sh->raw) - sh->len);
	if (n <= 0)
		return n < 0 && errno == EINTR;
	sh->len += n;
	return true;
}

/* Waits for the prompt, shows the dialogue and leaves the answer in out[]. */
static bool await_prompt(struct shell *sh, bool typed_line)
{
	static char screen[sizeof(sh->raw) + 2], text[sizeof(screen) + 64];
	long deadline = now_ms() + PATIENCE * 1000;
	const char *why = NULL;
	char *last, *answer;

	if (sh->dead)
		return false;
	while (!prompted(sh, typed_line) && !why) {
		if (!read_shell(sh, 100))
			why = "the terminal hung up";
		else if (now_ms() > deadline)
			why = "silence for 30 s";
	}
	last = render(sh->raw, sh->len, screen, sizeof(screen));
	if (why) {
		snprintf(text, sizeof(text), "%s%s", sh->prompt, screen);
		show(text);
		claim(false, typed, "a prompt", why);
		sh->dead = true;
		sh->out[0] = '\0';
		return false;
	}
	if (typed_line) {
		/* readline may have drawn the prompt again before the echo */
		answer = screen;
		if (!strncmp(screen, sh->prompt, strlen(sh->prompt)))
			answer += strlen(sh->prompt);
		snprintf(text, sizeof(text), "%s%.*s", sh->prompt,
			 (int)(last - answer), answer);
		show(text);
		answer = memchr(screen, '\n', last - screen) + 1;
		snprintf(text, sizeof(text), "%.*s", (int)(last - answer), answer);
		squeeze(text, sh->out);
	}
	snprintf(sh->prompt, sizeof(sh->prompt), "%s", last);
	sh->len = 0;
	return true;
}

static void press(struct shell *sh, const char *keys, size_t len)
{
	if (!sh->dead && write(sh->pty, keys, len) != (ssize_t)len)
		sh->dead = true;
}

static void press_key(struct shell *sh, char key)
{
	press(sh, &key, 1);
}

static void type_line(struct shell *sh, const char *fmt, va_list ap)
{
	static char line[256];

	vsnprintf(line, sizeof(line), fmt, ap);
	typed = line;
	press(sh, line, strlen(line));
	press_key(sh, '\r');
}

/* Types a line without waiting for the prompt: something runs on. */
__printf(2, 3)
static void start(struct shell *sh, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	type_line(sh, fmt, ap);
	va_end(ap);
}

/* Types a line and waits until it has been answered. */
__printf(2, 3)
static bool run(struct shell *sh, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	type_line(sh, fmt, ap);
	va_end(ap);
	return await_prompt(sh, true);
}

/* The answer to the last line, blanks squeezed, matches this glob pattern. */
__printf(2, 3)
static bool want(struct shell *sh, const char *fmt, ...)
{
	char pattern[512], shown[512], *to = shown;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(pattern, sizeof(pattern), fmt, ap);
	va_end(ap);
	for (const char *from = pattern; *from; from++)
		if (*from != '\\')
			*to++ = *from;
	*to = '\0';
	if (sh->dead)
		return claim(false, shown, "a shell that answers", "none");
	return claim(!fnmatch(pattern, sh->out, 0), typed, shown, sh->out);
}

/* One line of the answer to the last line is this one. */
__printf(2, 3)
static bool want_line(struct shell *sh, const char *fmt, ...)
{
	char line[128], framed[sizeof(line) + 3], text[sizeof(sh->out) + 3];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof(line), fmt, ap);
	va_end(ap);
	snprintf(framed, sizeof(framed), "\n%s\n", line);
	snprintf(text, sizeof(text), "\n%s\n", sh->out);
	return claim(!sh->dead && strstr(text, framed), typed, line, sh->out);
}

static void want_prompt(struct shell *sh, const char *prompt)
{
	claim(!sh->dead && !strcmp(sh->prompt, prompt), "the prompt", prompt,
	      sh->prompt);
}

static bool open_shell(struct shell *sh)
{
	static char *const argv[] = {
		"bash", "--norc", "--noprofile", "-i", NULL
	};
	/* The prompt says which container the shell is in, at no fork. */
	static char *const envp[] = {
		"PATH=/usr/bin:/bin:/usr/sbin:/sbin", "HOME=/", "LC_ALL=C",
		"TERM=dumb", "HISTFILE=", "PS1=${where:-host}# \\[\\005\\]",
		"PROMPT_COMMAND=read -r where < /proc/container", NULL
	};
	struct winsize size = { .ws_row = 50, .ws_col = 80 };

	memset(sh, 0, sizeof(*sh));
	fflush(stdout);
	sh->pid = forkpty(&sh->pty, NULL, NULL, &size);
	if (sh->pid == 0) {
		for (int sig = 1; sig < NSIG; sig++)
			signal(sig, SIG_DFL);
		execve("/bin/bash", argv, envp);
		dprintf(STDERR_FILENO, "/bin/bash: %s\n", strerror(errno));
		_exit(127);
	}
	typed = "a bash on a pty";
	if (sh->pid < 0) {
		sh->dead = true;
		return claim(false, "forkpty()", "a terminal", strerror(errno));
	}
	fcntl(sh->pty, F_SETFD, FD_CLOEXEC);
	return await_prompt(sh, false);
}

/* Reaps what has ended; a shell's status is kept. */
static void reap(struct shell *sh)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		if (pid == sh->pid) {
			sh->dead = true;
			sh->status = status;
			sh->pid = 0;
		}
}

static void close_shell(struct shell *sh)
{
	if (sh->pty > 0)
		close(sh->pty);		/* hangs it up */
	if (sh->pid > 0) {
		kill(sh->pid, SIGKILL);
		if (!wait_until((reap(sh), sh->pid == 0)))
			claim(false, "the shell, killed", "ends", "does not");
	}
}

/* /proc, as the default container sees it */

static bool read_text(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return false;
	n = read(fd, buf, size - 1);
	close(fd);
	if (n < 0)
		return false;
	buf[n] = '\0';
	return true;
}

static bool comm_is(pid_t pid, const char *name)
{
	char path[32], comm[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return read_text(path, comm, sizeof(comm)) &&
	       !strncmp(comm, name, strlen(name)) && comm[strlen(name)] == '\n';
}

/*
 * Does this process live in a pid namespace other than ours? Nothing is killed
 * wholesale before that is known.
 */
static bool own_pid_ns(pid_t pid)
{
	char path[32];
	struct stat ours, its;

	snprintf(path, sizeof(path), "/proc/%d/ns/pid", pid);
	return !stat("/proc/self/ns/pid", &ours) && !stat(path, &its) &&
	       ours.st_ino != its.st_ino;
}

/* A container's row in /proc/containers. */
static bool find_container(const char *name, int *id, int *root)
{
	char text[4096], row[64];
	int members;

	if (!read_text("/proc/containers", text, sizeof(text)))
		return false;
	for (char *line = text; line; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%63s %d %d %d", row, id, root, &members) == 4 &&
		    !strcmp(row, name))
			return true;
	}
	return false;
}

/* The process group in the foreground, once it is one that runs @name. */
static pid_t foreground(struct shell *sh, const char *name)
{
	if (sh->dead)
		return -1;
	if (!wait_until(comm_is(tcgetpgrp(sh->pty), name)))
		claim(false, typed, name, "something else, in the foreground");
	return tcgetpgrp(sh->pty);
}

/* Acts 1 to 3: two shells */

__printf(1, 2)
static void heading(const char *fmt, ...)
{
	char text[80];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	printf("\n%s\n%.*s\n", text, (int)strlen(text),
	       "---------------------------------------------------------------");
}

/* Act 1. Returns web's id; 0 when there is no web to go on with. */
static int walk_in(struct shell *sh)
{
	int id = 0, root = 0, vpid = 1, job;

	heading("1. A shell walks into a container");
	printf("An interactive bash on a terminal, pid %d. Its prompt comes from\n"
	       "/proc/container.\n\n", sh->pid);
	want_prompt(sh, "host# ");
	run(sh, "echo $$ $PPID");
	want(sh, "%d %d", sh->pid, getpid());
	run(sh, "ps -N --ppid 2 -o pid,ppid,comm | tail -n 3");
	want_line(sh, "%d %d bash", sh->pid, getpid());
	want(sh, "*\n* %d ps*", sh->pid);
	run(sh, "echo web > /proc/container");
	want(sh, "%s", "");
	want_prompt(sh, "web# ");

	if (!claim(find_container("web", &id, &root),
		   "/proc/containers, read by the host", "a row for web", "none"))
		return 0;
	claim_number("web's root, for the host", sh->pid, root);
	claim(own_pid_ns(sh->pid), "the shell's pid namespace",
	      "not the host's", "the host's");
	claim(id >= FIRST_ID, "web's id", "64 or more", result(id));

	printf("\nNo fork, no mount: the same shell, the same /proc, but who is there now?\n\n");
	run(sh, "cat /proc/container");
	want(sh, "web");
	vpid++;
	run(sh, "ps -eo pid,ppid,comm");
	want(sh, "PID PPID COMMAND\n1 0 bash\n%d 1 ps", ++vpid);
	run(sh, "cat /proc/containers");
	want(sh, HEADER "\nweb %d 1 2", id);
	vpid++;

	printf("\nThe shell still thinks it is %d, which works as an argument.\n"
	       "The parent it remembers is out of sight, and no way leads on.\n\n",
	       sh->pid);
	run(sh, "echo $$ $BASHPID /proc/[0-9]*");
	want(sh, "%d 1 /proc/1", sh->pid);
	run(sh, "ls -d /proc/$$");
	want(sh, "/proc/%d", sh->pid);
	vpid++;
	run(sh, "trap 'echo caught USR1' USR1; kill -USR1 $$");
	want(sh, "caught USR1");
	run(sh, "kill -0 $PPID");
	want(sh, "bash: kill: (%d) - No such process", getpid());
	run(sh, "echo other > /proc/container");
	want(sh, "bash: echo: write error: Operation not permitted");

	printf("\nJob control, Ctrl-C and Ctrl-Z.\n\n");
	run(sh, "sleep 1000 &");
	want(sh, "\\[1] %d", ++vpid);
	run(sh, "jobs -l");
	want(sh, "\\[1]+ %d Running sleep 1000 &", vpid);
	run(sh, "kill %%1; wait $!; echo $?");
	want_line(sh, "[1]+ Terminated sleep 1000");
	want_line(sh, "143");

	start(sh, "sleep 1000");
	job = foreground(sh, "sleep");
	claim_number("the foreground job's pid, for the host",
		     (id << VPID_BITS) + ++vpid, job);
	press_key(sh, CTRL('C'));
	await_prompt(sh, true);
	want(sh, "^C");
	run(sh, "echo $?");
	want(sh, "130");

	start(sh, "sleep 1000");
	foreground(sh, "sleep");
	press_key(sh, CTRL('Z'));
	await_prompt(sh, true);
	want(sh, "^Z\n\\[1]+ Stopped sleep 1000");
	run(sh, "jobs -l");
	want(sh, "\\[1]+ %d Stopped sleep 1000", ++vpid);
	start(sh, "fg");
	foreground(sh, "sleep");
	press_key(sh, CTRL('C'));
	await_prompt(sh, true);
	want(sh, "sleep 1000\n^C");
	run(sh, "yes | head -n 1000 | wc -l");
	want(sh, "1000");
	return id;
}

/* Act 2 */
static void from_outside(struct shell *web, struct shell *host, int id)
{
	int vpid = 0, pid = 0;
	char *line;

	heading("2. The host, at the same time");
	printf("A job in the container, and a second bash that stays outside.\n\n");
	run(web, "sleep 1000 &");
	want(web, "\\[1] *");
	sscanf(web->out, "[1] %d", &vpid);
	run(host, "cat /proc/containers");
	want(host, HEADER "\nweb %d %d 2", id, web->pid);
	run(host, "echo web > /proc/container");
	want(host, "bash: echo: write error: File exists");
	run(host, "ps -eo pid,ppid,comm | grep -E 'bash|sleep'");
	want_line(host, "%d %d bash", web->pid, getpid());
	want_line(host, "%d %d bash", host->pid, getpid());
	want_line(host, "%d %d sleep", (id << VPID_BITS) + vpid, web->pid);
	line = strstr(host->out, " sleep");
	if (line) {
		while (line > host->out && line[-1] != '\n')
			line--;
		pid = atoi(line);
	}

	printf("\nThe number says it all: which container, which pid inside.\n\n");
	run(host, "pid=%d; echo $((pid >> 16)) $((pid & 65535))", pid);
	want(host, "%d %d", id, vpid);
	run(host, "cat /proc/$pid/container; grep NSpid /proc/$pid/status");
	want(host, "web\nNSpid: %d %d", pid, vpid);
	if (pid <= 1)
		return;
	run(host, "kill $pid");
	want(host, "%s", "");
	claim(wait_until(kill(pid, 0) < 0), "kill, by its host number",
	      "it is gone", "it is still there");
	run(web, "jobs");
	want(web, "\\[1]+ Terminated sleep 1000");
}

static bool have_nslist(void)
{
	return !system("pkill --help 2>&1 | grep -q -e --nslist");
}

/* Act 3 */
static void end(struct shell *web, struct shell *host, int id)
{
	pid_t pid = web->pid;
	int vpid = 0, root;

	heading("3. The end of a container");
	printf("Every member is killed from outside.\n\n");
	run(web, "sleep 1000 &");
	want(web, "\\[1] *");
	sscanf(web->out, "[1] %d", &vpid);
	if (have_nslist()) {
		run(host, "pgrep -l --ns %d --nslist pid", pid);
		if (!want(host, "%d bash\n%d sleep", pid,
			  (id << VPID_BITS) + vpid) || !own_pid_ns(pid))
			return;
		run(host, "pkill -KILL --ns %d --nslist pid", pid);
	} else {
		run(host, "grep -lw web /proc/[0-9]*/container");
		want(host, "/proc/%d/container\n/proc/%d/container", pid,
		     (id << VPID_BITS) + vpid);
		run(host, "kill -KILL %d %d", pid, (id << VPID_BITS) + vpid);
	}
	want(host, "%s", "");
	if (claim(wait_until((reap(web), web->pid == 0)), "web's shell", "ends",
		  "is still there")) {
		printf("    its parent: waitpid(%d): %s\n", pid,
		       WIFSIGNALED(web->status) ?
		       strsignal(WTERMSIG(web->status)) : "exited");
		claim_number("the signal it died of", SIGKILL,
			     WTERMSIG(web->status));
	}
	claim(wait_until((reap(web), !find_container("web", &id, &root))),
	      "the name web", "free", "still in /proc/containers");
	run(host, "cat /proc/containers");
	want(host, HEADER);
}

/* Act 4: four processes that do as they are told */

enum actor { A, B, C, D, NR_ACTORS };

enum call {
	FORK, SETSID, SETPGID, GETPID, GETPPID, GETSID, GETPGID, KILL0, WAITPID,
	STAT, SELF, CHILD, SIGNAL, STOP, CONT, SI_PID, ENTER, EXIT
};

static const char *const call_text[] = {
	[FORK]		= "fork()",
	[SETSID]	= "setsid()",
	[SETPGID]	= "setpgid(0, 0)",
	[GETPID]	= "getpid()",
	[GETPPID]	= "getppid()",
	[GETSID]	= "getsid(%ld)",
	[GETPGID]	= "getpgid(%ld)",
	[KILL0]		= "kill(%ld, 0)",
	[WAITPID]	= "waitpid(%ld)",
	[STAT]		= "/proc/%ld",
	[SELF]		= "/proc/self",
	[CHILD]		= "readdir(/proc)",
	[SIGNAL]	= "kill(%ld, SIGUSR1)",
	[STOP]		= "kill(%ld, SIGSTOP)",
	[CONT]		= "kill(%ld, SIGCONT)",
	[SI_PID]	= "si_pid",
	[ENTER]		= "write(/proc/container)",
	[EXIT]		= "exit",
};

struct request {
	enum call call;
	long arg;
	char name[32];
};

static int tell[NR_ACTORS], listen_to[NR_ACTORS];	/* our ends, theirs */

/* pid and parent from /proc/@name/stat */
static int read_stat(const char *name, int *pid, int *ppid)
{
	char path[300], text[512], *after;

	snprintf(path, sizeof(path), "/proc/%s/stat", name);
	if (!read_text(path, text, sizeof(text)))
		return -errno;
	after = strrchr(text, ')');
	if (sscanf(text, "%d", pid) != 1 || !after ||
	    sscanf(after, ") %*c %d", ppid) != 1)
		return -EINVAL;
	return 0;
}

/* The process in /proc that says its parent is @parent. */
static long find_child(int parent)
{
	DIR *dir = opendir("/proc");
	struct dirent *entry;
	long found = -ESRCH;

	while (dir && (entry = readdir(dir))) {
		int pid, ppid;

		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' &&
		    !read_stat(entry->d_name, &pid, &ppid) && ppid == parent)
			found = atoi(entry->d_name);
	}
	if (dir)
		closedir(dir);
	return found;
}

static void serve(enum actor self);

static long or_errno(long value)
{
	return value < 0 ? -errno : value;
}

static long do_call(const struct request *req)
{
	struct timespec timeout = { .tv_sec = PATIENCE / 2 };
	int pid, ppid, fd, err;
	char name[32] = "";
	siginfo_t info;
	sigset_t set;

	switch (req->call) {
	case FORK:
		pid = fork();
		if (pid == 0)
			serve(req->arg);
		return or_errno(pid);
	case SETSID:
		return or_errno(setsid());
	case SETPGID:
		return or_errno(setpgid(0, 0));
	case GETPID:
		return getpid();
	case GETPPID:
		return getppid();
	case GETSID:
		return or_errno(getsid(req->arg));
	case GETPGID:
		return or_errno(getpgid(req->arg));
	case KILL0:
		return or_errno(kill(req->arg, 0));
	case WAITPID:
		/* only waited for by its number when it must not be a child */
		return or_errno(waitpid(req->arg, NULL, req->arg == -1 ?
					WUNTRACED : WUNTRACED | WNOHANG));
	case STAT:
		snprintf(name, sizeof(name), "%ld", req->arg);
		err = read_stat(name, &pid, &ppid);
		return err ?: pid;
	case SELF:
		if (readlink("/proc/self", name, sizeof(name) - 1) < 0)
			return -errno;
		return atoi(name);
	case CHILD:
		return find_child(req->arg);
	case SIGNAL:
		return or_errno(kill(req->arg, SIGUSR1));
	case STOP:
		return or_errno(kill(req->arg, SIGSTOP));
	case CONT:
		return or_errno(kill(req->arg, SIGCONT));
	case SI_PID:
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		if (sigtimedwait(&set, &info, &timeout) < 0)
			return -errno;
		return info.si_pid;
	case ENTER:
		fd = open("/proc/container", O_WRONLY | O_CLOEXEC);
		if (fd < 0)
			return -errno;
		err = write(fd, req->name, strlen(req->name)) < 0 ? -errno : 0;
		close(fd);
		return err;
	case EXIT:
		return 0;	/* see serve() */
	}
	return -EINVAL;
}

/* Does as it is told until nobody is there to tell it. */
static void serve(enum actor self)
{
	struct request req;
	long value;

	while (recv(listen_to[self], &req, sizeof(req), 0) == sizeof(req)) {
		value = do_call(&req);
		send(listen_to[self], &value, sizeof(value), MSG_NOSIGNAL);
		if (req.call == EXIT)
			break;
	}
	_exit(0);
}

static long ask(enum actor who, enum call call, long arg)
{
	struct request req = { .call = call, .arg = arg };
	ssize_t n;
	long value;

	if (call == ENTER)
		strcpy(req.name, who == B ? "web" : "db");
	if (tell[who] < 0 ||
	    send(tell[who], &req, sizeof(req), MSG_NOSIGNAL) != sizeof(req))
		return -EPIPE;
	n = recv(tell[who], &value, sizeof(value), 0);
	if (n != sizeof(value)) {
		/* an answer that comes late must not be taken for the next */
		close(tell[who]);
		tell[who] = -1;
		return n ? -ETIME : -EPIPE;
	}
	return value;
}

static void must(enum actor who, enum call call, long arg)
{
	char text[48], what[64];

	snprintf(text, sizeof(text), call_text[call], arg);
	snprintf(what, sizeof(what), "%s, called by %c", text, 'A' + who);
	claim_number(what, 0, ask(who, call, arg));
}

/* One row of the table */
static struct {
	char seen;
	enum actor by;
	bool visible;
	long number;
	char via[12][48];
	unsigned int nr;
	struct {
		char what[64];
		long expected, got;
	} wrong[12];
	unsigned int nr_wrong;
} row;

static void row_begin(char seen, enum actor by, bool visible)
{
	memset(&row, 0, sizeof(row));
	row.seen = seen;
	row.by = by;
	row.visible = visible;
}

/* A call that row.by made returned @got. */
static void saw(enum call call, long arg, long expected, long got)
{
	char text[40];

	snprintf(text, sizeof(text), call_text[call], arg);
	checks++;
	if (got != expected) {
		unsigned int i = row.nr_wrong++;

		snprintf(row.wrong[i].what, sizeof(row.wrong[i].what),
			 "%s, called by %c", text, 'A' + row.by);
		row.wrong[i].expected = expected;
		row.wrong[i].got = got;
	}
	if (!row.number && got > 0)
		row.number = got;
	if (row.visible && got == expected)
		snprintf(row.via[row.nr++], sizeof(row.via[0]), "%s", text);
	else
		snprintf(row.via[row.nr++], sizeof(row.via[0]), "%s %s", text,
			 result(got));
}

static void see(enum call call, long arg, long expected)
{
	saw(call, arg, expected, ask(row.by, call, arg));
}

static void row_end(void)
{
	const int margin = 24;
	char number[16];
	int col;

	if (row.number)
		snprintf(number, sizeof(number), "%ld", row.number);
	else
		strcpy(number, row.visible ? "?" : "not visible");
	col = printf("  %-5c %-3c %-12s", row.seen, 'A' + row.by, number);
	for (unsigned int i = 0; i < row.nr; i++) {
		bool last = i == row.nr - 1;

		if (col + (int)strlen(row.via[i]) + 2 - last > 79)
			col = printf("\n%*s", margin, "") - 1;
		col += printf(last ? " %s\n" : " %s,", row.via[i]);
	}
	for (unsigned int i = 0; i < row.nr_wrong; i++)
		mismatch(row.wrong[i].what, result(row.wrong[i].expected),
			 result(row.wrong[i].got));
}

/* Ends a row: nothing is seen of the process with kernel number @nr. */
static void unseen(long nr)
{
	see(KILL0, nr, -ESRCH);
	see(WAITPID, nr, -ECHILD);
	see(STAT, nr, -ENOENT);
	row_end();
}

static bool start_actors(pid_t *a)
{
	struct timeval patience = { .tv_sec = PATIENCE };
	sigset_t set;

	for (int i = 0; i < NR_ACTORS; i++) {
		int pair[2];

		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
			return false;
		tell[i] = pair[0];
		listen_to[i] = pair[1];
		setsockopt(tell[i], SOL_SOCKET, SO_RCVTIMEO, &patience,
			   sizeof(patience));
	}
	fflush(stdout);
	*a = fork();
	if (*a == 0) {
		/* SIGUSR1 is fetched, see SI_PID */
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		for (int i = 0; i < NR_ACTORS; i++)
			close(tell[i]);
		serve(A);
	}
	for (int i = 0; i < NR_ACTORS; i++)
		close(listen_to[i]);
	return *a > 0;
}

static void who_sees_whom(struct shell *host, int old_id)
{
	int id = 0, db_id = 0, root;
	unsigned int before = failures;
	pid_t a, b, c, d;
	long b_sid, c_pid, c_stopped, b_stopped;

	heading("4. Who sees whom");
	if (!start_actors(&a)) {
		claim(false, "four processes", "started", strerror(errno));
		return;
	}
	claim_number("A's setsid()", a, ask(A, SETSID, 0));
	b = ask(A, FORK, B);
	b_sid = ask(B, GETSID, 0);	/* A's, while it is visible */
	claim_number("B's getsid(0), in the default container", a, b_sid);
	must(B, ENTER, 0);
	claim_number("B's getpid()", 1, ask(B, GETPID, 0));
	b_sid = ask(B, GETSID, 0);
	d = ask(A, FORK, D);
	must(D, ENTER, 0);
	claim_number("D's getpid()", 1, ask(D, GETPID, 0));
	if (failures != before)
		return;		/* they would signal the wrong processes */

	printf("Four processes tell what calls return to them: A, in the default\n"
	       "container; B, the root of a new web; C, its first child; D, the\n"
	       "root of db.\n\n");
	run(host, "cat /proc/containers");
	find_container("web", &id, &root);
	find_container("db", &db_id, &root);
	want(host, HEADER "\nweb %d %d 1\ndb %d %d 1", id, b, db_id, d);
	claim(id >= FIRST_ID && id != old_id, "the new web's id",
	      "not the old one", result(id));
	claim(db_id >= FIRST_ID && db_id != id && db_id != old_id, "db's id",
	      "one of its own", result(db_id));

	c_pid = ask(B, FORK, C);
	must(C, SETPGID, 0);
	c = (id << VPID_BITS) + 2;
	if (!claim(c_pid == 2, "B's fork()", "2", result(c_pid)))
		return;

	/* waitpid(-1) returns a child that has stopped */
	must(B, STOP, 2);
	c_stopped = ask(B, WAITPID, -1);
	must(B, CONT, 2);
	must(A, STOP, b);
	b_stopped = ask(A, WAITPID, -1);
	must(A, CONT, b);

	printf("\n  seen  by  number       via\n");
	row_begin('C', C, true);
	see(GETPID, 0, 2);
	see(GETPGID, 0, 2);
	see(SELF, 0, 2);
	see(STAT, 2, 2);
	row_end();
	row_begin('C', B, true);
	saw(FORK, 0, 2, c_pid);
	saw(WAITPID, -1, 2, c_stopped);
	must(C, SIGNAL, 1);
	see(SI_PID, 0, 2);
	see(KILL0, 2, 0);
	see(STAT, 2, 2);
	row_end();
	row_begin('B', B, true);
	see(GETPID, 0, 1);
	see(SETSID, 0, 1);
	see(GETSID, 0, 1);
	see(GETPGID, 0, 1);
	see(SELF, 0, 1);
	row_end();
	row_begin('B', C, true);
	see(GETPPID, 0, 1);
	must(B, SIGNAL, 2);
	see(SI_PID, 0, 1);
	see(KILL0, 1, 0);
	see(STAT, 1, 1);
	row_end();
	row_begin('B', A, true);
	saw(FORK, 0, b, b);
	saw(WAITPID, -1, b, b_stopped);
	see(GETSID, b, b);
	see(GETPGID, b, b);
	see(KILL0, b, 0);
	see(STAT, b, b);
	row_end();
	row_begin('C', A, true);
	see(CHILD, b, c);
	see(GETPGID, c, c);
	see(KILL0, c, 0);
	see(STAT, c, c);
	row_end();

	row_begin('A', B, false);
	see(GETPPID, 0, 0);
	saw(GETSID, 0, 0, b_sid);
	unseen(a);
	row_begin('A', C, false);
	must(A, SIGNAL, c);
	see(SI_PID, 0, 0);
	unseen(a);
	row_begin('D', B, false);
	unseen(d);
	row_begin('D', C, false);
	unseen(d);
	row_begin('B', D, false);
	unseen(b);
	row_begin('C', D, false);
	unseen(c);

	printf("\nB's former number is good inside, as an argument.\n"
	       "C's kernel number is not.\n\n");
	printf("  seen  by  number       via\n");
	row_begin('B', B, true);
	see(GETPGID, b, 1);
	see(GETSID, b, 1);
	see(KILL0, b, 0);
	see(STAT, b, 1);
	row_end();
	row_begin('B', C, true);
	see(GETPGID, b, 1);
	see(GETSID, b, 1);
	see(KILL0, b, 0);
	see(STAT, b, 1);
	row_end();
	row_begin('C', B, false);
	unseen(c);
	printf("\n%d = (%d << %d) + 2.\n\n", c, id, VPID_BITS);

	must(C, EXIT, 0);
	claim_number("B: waitpid(-1)", 2, ask(B, WAITPID, -1));
	must(B, EXIT, 0);
	claim_number("A: waitpid(-1)", b, ask(A, WAITPID, -1));
	must(D, EXIT, 0);
	claim_number("A: waitpid(-1)", d, ask(A, WAITPID, -1));
	must(A, EXIT, 0);
	run(host, "cat /proc/containers");
	want(host, HEADER);
}

/* A session leader's exit hangs up its terminal: what is queued would be lost. */
static void drain(void)
{
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
}

int main(void)
{
	static struct shell web, host;
	struct utsname uts;
	int id;

	setvbuf(stdout, NULL, _IOLBF, 0);
	atexit(drain);
	if (access("/proc/container", F_OK)) {
		printf("no /proc/container: a kernel without CONFIG_PIDSPACE, or no /proc\n"
		       "demo: skipped\n");
		return 2;
	}
	/* What is left of a container without its root is reaped here. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	uname(&uts);
	printf("\npidspace on %s %s. Every answer below is checked.\n",
	       uts.sysname, uts.release);

	if (open_shell(&web)) {
		id = walk_in(&web);
		if (id && open_shell(&host)) {
			from_outside(&web, &host, id);
			end(&web, &host, id);
			who_sees_whom(&host, id);
		}
	}
	close_shell(&web);
	close_shell(&host);

	printf("\n%u checks, %u failed\n", checks, failures);
	printf("demo: %s\n", failures ? "failed" : "ok");
	return failures ? 1 : 0;
}
