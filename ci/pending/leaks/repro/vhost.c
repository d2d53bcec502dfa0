#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/vhost.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
	unshare(CLONE_NEWPID | CLONE_NEWNS);
	if (fork())
		return wait(NULL) < 0;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	if (ioctl(open("/dev/vhost-net", O_RDWR), VHOST_SET_OWNER))
		perror("VHOST_SET_OWNER");
	printf("pid %d: ", getpid());
	fflush(stdout);
	system("echo $(cat /proc/1/task/*/comm)");
	_exit(0);
}
