#define _GNU_SOURCE
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <sched.h>
#include <unistd.h>

#define SIZE (16UL << 20)
#include <sys/mount.h>
static void mount_proc(void)
{
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	if (mount("proc", "/proc", "proc", 0, NULL))
		perror("mount");
}

static volatile char *mem;

static void *touch(void *arg)
{
	for (;;)
		for (unsigned long i = 0; i < SIZE; i += 4096)
			mem[i]++;
}

static void show(const char *path)
{
	char line[256];
	FILE *f = fopen(path, "r");

	while (f && fgets(line, sizeof(line), f))
		if (strstr(line, "Ngid:") || strstr(line, "numa_group_id"))
			printf("%s %s", path, line);
	if (f)
		fclose(f);
	fflush(stdout);
}

int main(void)
{
	pthread_t t[2];
	pid_t child;
	char path[64];

	unshare(CLONE_NEWPID | CLONE_NEWNS);
	child = fork();
	if (!child) {
		mount_proc();
		mem = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		for (int i = 0; i < 2; i++)
			pthread_create(&t[i], NULL, touch, NULL);
		for (int i = 0; i < 25; i++) {
			sleep(1);
			if (i % 6)
				continue;
			show("/proc/1/task/2/status");
			show("/proc/1/task/3/status");
			show("/proc/1/task/2/sched");
		}
		_exit(0);
	}
	sleep(20);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", child, child + 1);
	printf("host, thread %d: ", child + 1);
	show(path);
	waitpid(child, NULL, 0);
}
