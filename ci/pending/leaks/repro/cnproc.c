/* cnproc: a listener in the host, an eavesdropper (uid 65534) in a pid namespace */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <errno.h>
#include <linux/netlink.h>
#include <linux/connector.h>
#include <linux/cn_proc.h>

static int sock_join(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK,
				 .nl_groups = CN_IDX_PROC };
	int s = socket(AF_NETLINK, SOCK_DGRAM, NETLINK_CONNECTOR);

	if (bind(s, (void *)&a, sizeof(a)))
		printf("pid %d: bind: %s\n", getpid(), strerror(errno));
	return s;
}

int main(void)
{
	struct { struct nlmsghdr h; struct cn_msg cn; int op; }
	__attribute__((packed)) m = {
		.h = { sizeof(m), NLMSG_DONE }, .cn.id = { CN_IDX_PROC, CN_VAL_PROC },
		.cn.len = sizeof(int), .op = PROC_CN_MCAST_LISTEN };
	struct timeval tv = { 3, 0 };
	char buf[4096];
	int p[2], i, s = sock_join(), n;

	pipe(p);
	send(s, &m, sizeof(m), 0);
	unshare(CLONE_NEWPID);
	if (!fork()) {
		setgid(65534); setuid(65534);
		s = sock_join();
		setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
		write(p[1], "x", 1);
		for (i = 0; i < 4 && (n = recv(s, buf, sizeof(buf), 0)) > 0; i++) {
			struct cn_msg *c = NLMSG_DATA((struct nlmsghdr *)buf);
			struct proc_event *e = (void *)c->data;
			printf("pid %d uid %d: event %#x of pid %d\n", getpid(), getuid(),
			       e->what, e->event_data.exec.process_pid);
		}
		printf("%d events\n", i);
		return 0;
	}
	read(p[0], buf, 1);
	for (i = 0; i < 3; i++)
		if (!vfork())
			execl("/bin/true", "true", NULL), _exit(1);
	while (wait(NULL) > 0)
		;
}
