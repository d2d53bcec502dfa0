#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	struct uffdio_api api = { UFFD_API, UFFD_FEATURE_THREAD_ID };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct uffd_msg msg;
	int p[2], fd;

	pipe(p);
	pid_t child = syscall(SYS_clone, CLONE_FILES | CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (child < 0)
		return perror("clone"), 1;
	if (!child) {
		char *m = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		fd = syscall(SYS_userfaultfd, UFFD_USER_MODE_ONLY);
		ioctl(fd, UFFDIO_API, &api);
		reg.range.start = (unsigned long)m;
		reg.range.len = 4096;
		if (ioctl(fd, UFFDIO_REGISTER, &reg))
			perror("register");
		write(p[1], &fd, sizeof(fd));
		return *m;
	}
	read(p[0], &fd, sizeof(fd));
	read(fd, &msg, sizeof(msg));
	printf("child %d, ptid %d\n", child, msg.arg.pagefault.feat.ptid);
	kill(child, SIGKILL);
}
