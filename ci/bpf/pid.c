// SPDX-License-Identifier: GPL-2.0
/*
 * BPF programs still find task_struct's pid and tgid: load one that reads both,
 * let it list all threads, and compare with what the system calls and /proc say
 * about threads of this process, of a child and of a member of a container.
 *
 * usage: bpf-pid pid.bpf.o
 */
#define _GNU_SOURCE
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pid.h"

static unsigned int failures;
static struct record records[4096];
static size_t count;

static void die(const char *what)
{
	printf("FAILED  %s: %s\n", what, strerror(errno));
	exit(1);
}

static void __attribute__((format(printf, 2, 3))) check(bool good, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	printf(good ? "ok      " : "FAILED  ");
	vprintf(format, args);
	putchar('\n');
	va_end(args);
	failures += !good;
}

/* The offset of a member in bytes, also inside anonymous structs and unions. */
static int offset_of(const struct btf *btf, int id, const char *name)
{
	const struct btf_type *type = btf__type_by_id(btf, id);
	const struct btf_member *member = btf_members(type);
	int i, inner, offset;

	for (i = 0; i < btf_vlen(type); i++, member++) {
		const char *this = btf__name_by_offset(btf, member->name_off);

		offset = btf_member_bit_offset(type, i) / 8;
		if (!strcmp(this, name))
			return offset;
		if (*this)
			continue;
		inner = btf__resolve_type(btf, member->type);
		if (inner < 0 || !btf_is_composite(btf__type_by_id(btf, inner)))
			continue;
		inner = offset_of(btf, inner, name);
		if (inner >= 0)
			return offset + inner;
	}
	return -1;
}

static void *sleeper(void *tid)
{
	__atomic_store_n((pid_t *)tid, gettid(), __ATOMIC_RELEASE);
	for (;;)
		pause();
	return NULL;
}

/* A member of a container: its number here, and its root in @root. */
static pid_t start_member(pid_t *root)
{
	char path[64], line[64] = "";
	int ready[2];
	ssize_t length;
	FILE *children;

	if (pipe(ready))
		die("pipe");
	*root = fork();
	if (*root < 0)
		die("fork");
	if (!*root) {
		int fd = open("/proc/container", O_WRONLY);

		if (fd < 0 || write(fd, "web", 3) != 3)
			die("/proc/container");
		if (!fork()) {
			length = write(ready[1], "x", 1);
			sleeper(&(pid_t){0});
		}
		wait(NULL);
		_exit(0);
	}
	close(ready[1]);
	length = read(ready[0], line, 1);
	if (length != 1)
		die("the container");
	close(ready[0]);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", *root, *root);
	children = fopen(path, "r");
	if (!children || !fgets(line, sizeof(line), children))
		die(path);
	fclose(children);
	return atoi(line);
}

static void list_threads(const char *path)
{
	struct bpf_object *object = bpf_object__open_file(path, NULL);
	struct bpf_program *program;
	struct bpf_link *link;
	ssize_t length;
	size_t have = 0;
	int fd;

	if (!object || bpf_object__load(object))
		die("the BPF program does not load");
	program = bpf_object__find_program_by_name(object, "list");
	link = program ? bpf_program__attach_iter(program, NULL) : NULL;
	if (!link)
		die("attach");
	fd = bpf_iter_create(bpf_link__fd(link));
	if (fd < 0)
		die("bpf_iter_create");
	while ((length = read(fd, (char *)records + have, sizeof(records) - have)) > 0)
		have += length;
	if (length < 0 || have % sizeof(*records) || have == sizeof(records))
		die("read");
	count = have / sizeof(*records);
	close(fd);
	bpf_link__destroy(link);
	bpf_object__close(object);
}

static void check_listed(const char *what, pid_t pid, pid_t tgid)
{
	size_t i, found = 0;

	for (i = 0; i < count; i++)
		found += records[i].pid == pid && records[i].tgid == tgid;
	check(found == 1, "%s: pid %d tgid %d is listed once", what, pid, tgid);
}

int main(int argc, char **argv)
{
	static const char *const names[] = { "pid", "tgid" };
	int offsets[2], id, i;
	pid_t thread = 0, child, root, member;
	pthread_t handle;
	struct btf *btf;
	size_t n, bad = 0;

	if (argc != 2)
		return 2;
	setbuf(stdout, NULL);

	btf = btf__load_vmlinux_btf();
	if (!btf)
		die("BTF of the kernel");
	id = btf__find_by_name_kind(btf, "task_struct", BTF_KIND_STRUCT);
	if (id < 0)
		die("task_struct");
	for (i = 0; i < 2; i++) {
		char hidden[8];
		int where;

		snprintf(hidden, sizeof(hidden), "__%s", names[i]);
		offsets[i] = offset_of(btf, id, names[i]);
		where = offset_of(btf, id, hidden);
		check(offsets[i] >= 0 && offsets[i] == where,
		      "BTF: task_struct has %s at %d, %s at %d", names[i], offsets[i],
		      hidden, where);
	}
	btf__free(btf);

	if (pthread_create(&handle, NULL, sleeper, &thread))
		die("pthread_create");
	while (!__atomic_load_n(&thread, __ATOMIC_ACQUIRE))
		usleep(1000);
	child = fork();
	if (!child)
		sleeper(&(pid_t){0});
	member = start_member(&root);

	list_threads(argv[1]);
	printf("        %zu threads\n", count);
	for (n = 0; n < count; n++)
		bad += records[n].core_pid != records[n].pid ||
		       records[n].core_tgid != records[n].tgid ||
		       (int)records[n].pid_offset != offsets[0] ||
		       (int)records[n].tgid_offset != offsets[1];
	check(count && !bad, "typed pointer, CO-RE offset and BTF agree about each");
	check_listed("init", 1, 1);
	check_listed("this process", getpid(), getpid());
	check_listed("its other thread", thread, getpid());
	check_listed("a child", child, child);
	check_listed("the root of a container", root, root);
	check_listed("a member of it", member, member);
	check(member >> 16 >= 64 && (member & 65535) == 2,
	      "container %d, pid %d there", member >> 16, member & 65535);

	kill(member, SIGKILL);
	kill(child, SIGKILL);
	waitpid(child, NULL, 0);
	waitpid(root, NULL, 0);
	printf("%s\n", failures ? "bpf-pid: failed" : "bpf-pid: ok");
	return failures ? 1 : 0;
}
