#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>

int main(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	char data[64], ctl[64];
	struct iovec iov = { data, sizeof(data) };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1,
			    .msg_control = ctl, .msg_controllen = sizeof(ctl) };
	int one = 1, s = socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK);
	socklen_t len = sizeof(a);

	bind(s, (void *)&a, len);
	getsockname(s, (void *)&a, &len);
	setsockopt(s, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one));
	if (unshare(CLONE_NEWPID))
		return perror("unshare"), 1;
	pid_t child = fork();

	if (!child)
		return sendto(socket(AF_NETLINK, SOCK_RAW, NETLINK_USERSOCK),
			      "x", 1, 0, (void *)&a, len) != 1;
	waitpid(child, NULL, 0);
	recvmsg(s, &m, 0);
	printf("child %d, ucred.pid %d\n", child,
	       ((struct ucred *)CMSG_DATA(CMSG_FIRSTHDR(&m)))->pid);
}
