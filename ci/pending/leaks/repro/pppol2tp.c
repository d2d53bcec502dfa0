#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/if_pppox.h>

int main(void)
{
	struct sockaddr_in in = { AF_INET, htons(1701), { htonl(INADDR_LOOPBACK) } };
	struct sockaddr_pppol2tp sp = {
		.sa_family = AF_PPPOX, .sa_protocol = PX_PROTO_OL2TP,
		.pppol2tp = { .s_tunnel = 1, .d_tunnel = 1, .addr = in } };
	socklen_t len = sizeof(sp);

	unshare(CLONE_NEWPID);
	if (fork())
		return wait(NULL) < 0;

	int s = socket(AF_PPPOX, SOCK_DGRAM, PX_PROTO_OL2TP);
	sp.pppol2tp.fd = socket(AF_INET, SOCK_DGRAM, 0);
	connect(sp.pppol2tp.fd, (void *)&in, sizeof(in));
	if (connect(s, (void *)&sp, sizeof(sp)))
		perror("connect");
	getsockname(s, (void *)&sp, &len);
	printf("pid %d, pppol2tp.pid %d\n", getpid(), sp.pppol2tp.pid);
}
