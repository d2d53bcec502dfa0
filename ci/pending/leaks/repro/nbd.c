#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/nbd.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <signal.h>
#include <unistd.h>

int main(void)
{
	int sv[2];
	int fd = open("/dev/nbd0", O_RDWR);
	pid_t pid;

	unshare(CLONE_NEWPID);
	if (fork())
		return wait(NULL) < 0;
	socketpair(AF_UNIX, SOCK_STREAM, 0, sv);
	if (ioctl(fd, NBD_SET_SOCK, sv[0]))
		perror("NBD_SET_SOCK");
	pid = fork();
	if (!pid) {
		close(sv[1]);
		ioctl(fd, NBD_DO_IT);
		_exit(0);
	}
	sleep(1);
	printf("nbd client %d, /sys/block/nbd0/pid: ", pid);
	fflush(stdout);
	system("cat /sys/block/nbd0/pid");
	close(sv[1]);
	ioctl(fd, NBD_DISCONNECT);
	kill(pid, SIGKILL);
	ioctl(fd, NBD_CLEAR_SOCK);
}
