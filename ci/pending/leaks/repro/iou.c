#define _GNU_SOURCE
#include <linux/io_uring.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
	struct io_uring_params p = { .flags = IORING_SETUP_SQPOLL };

	unshare(CLONE_NEWPID | CLONE_NEWNS);
	if (fork())
		return wait(NULL) < 0;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	syscall(SYS_io_uring_setup, 4, &p);

	/* one forced async request on a second ring */
	memset(&p, 0, sizeof(p));
	int fd = syscall(SYS_io_uring_setup, 4, &p);
	char *sq = mmap(NULL, p.sq_off.array + 16, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	struct io_uring_sqe *sqe = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	int pfd[2]; char c;
	pipe(pfd);
	sqe->opcode = IORING_OP_READ; sqe->fd = pfd[0]; sqe->addr = (unsigned long)&c;
	sqe->len = 1; sqe->flags = IOSQE_ASYNC;
	*(unsigned *)(sq + p.sq_off.array) = 0;
	*(unsigned *)(sq + p.sq_off.tail) = 1;
	syscall(SYS_io_uring_enter, fd, 1, 0, 0, NULL, 0);
	sleep(1);
	printf("pid %d: ", getpid()); fflush(stdout);
	system("echo $(cat /proc/1/task/*/comm)");
	fflush(stdout);
	_exit(0);
}
