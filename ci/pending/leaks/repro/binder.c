#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/android/binder.h>
#include <linux/android/binderfs.h>

int main(void)
{
	struct binderfs_device dev = { .name = "b" };
	struct binder_frozen_status_info info = {};

	unshare(CLONE_NEWPID | CLONE_NEWNS);
	if (fork())
		return wait(NULL) < 0;
	mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	mount("binder", "/mnt", "binder", 0, NULL);
	ioctl(open("/mnt/binder-control", O_RDWR), BINDER_CTL_ADD, &dev);
	int fd = open("/mnt/b", O_RDWR);
	mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	info.pid = getpid();
	if (ioctl(fd, BINDER_GET_FROZEN_INFO, &info))
		perror("BINDER_GET_FROZEN_INFO");
	else
		printf("found %d\n", info.pid);
	info.pid = 0;
	if (ioctl(fd, BINDER_GET_FROZEN_INFO, &info))
		perror("pid 0");
}
