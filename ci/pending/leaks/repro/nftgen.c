/* NFT_MSG_GETGEN and the notification of a commit, from within a pid namespace,
 * heard there and outside. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/netlink.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nf_tables.h>

static int sock(int group)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK };
	struct timeval tv = { 3, 0 };
	int s = socket(AF_NETLINK, SOCK_RAW, NETLINK_NETFILTER);

	bind(s, (void *)&a, sizeof(a));
	if (group && setsockopt(s, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof(group)))
		perror("join");
	setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	return s;
}

static void show(const char *who, int s)
{
	char buf[8192];
	int n, seen = 0;

	while ((n = recv(s, buf, sizeof(buf), 0)) > 0) {
		struct nlmsghdr *h = (void *)buf;

		for (; NLMSG_OK(h, n); h = NLMSG_NEXT(h, n)) {
			if (h->nlmsg_type != (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWGEN))
				continue;
			struct nlattr *a = (void *)((char *)NLMSG_DATA(h) + sizeof(struct nfgenmsg));
			while ((char *)a < (char *)h + h->nlmsg_len) {
				if (a->nla_type == NFTA_GEN_PROC_PID)
					printf("%s: generation by pid %u\n", who, ntohl(*(unsigned *)(a + 1))), seen++;
				a = (void *)((char *)a + NLA_ALIGN(a->nla_len));
			}
		}
		if (seen)
			break;
	}
	if (!seen)
		printf("%s: nothing\n", who);
	fflush(stdout);
}

static void msg(char **p, int type, int flags, int res, const char *table)
{
	struct nlmsghdr *h = (void *)*p;
	struct nfgenmsg *g = NLMSG_DATA(h);

	memset(h, 0, 256);
	h->nlmsg_type = type;
	h->nlmsg_flags = NLM_F_REQUEST | flags;
	g->nfgen_family = table ? 2 : 0;
	g->res_id = htons(res);
	h->nlmsg_len = NLMSG_LENGTH(sizeof(*g));
	if (table) {
		struct nlattr *a = (void *)(g + 1);
		a->nla_type = NFTA_TABLE_NAME;
		a->nla_len = sizeof(*a) + strlen(table) + 1;
		strcpy((char *)(a + 1), table);
		h->nlmsg_len += NLA_ALIGN(a->nla_len);
	}
	*p += h->nlmsg_len;
}

int main(void)
{
	char buf[1024], *p = buf;
	int out = sock(NFNLGRP_NFTABLES), s, in;
	pid_t child;

	unshare(CLONE_NEWPID);
	child = fork();
	if (!child) {
		s = sock(0);
		in = sock(NFNLGRP_NFTABLES);
		msg(&p, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETGEN, 0, 0, NULL);
		send(s, buf, p - buf, 0);
		printf("pid is %d\n", getpid());
		show("GETGEN inside", s);
		p = buf;
		msg(&p, NFNL_MSG_BATCH_BEGIN, 0, NFNL_SUBSYS_NFTABLES, NULL);
		msg(&p, NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE, NLM_F_CREATE, 0, "t");
		msg(&p, NFNL_MSG_BATCH_END, 0, NFNL_SUBSYS_NFTABLES, NULL);
		send(s, buf, p - buf, 0);
		show("listener inside", in);
		_exit(0);
	}
	wait(NULL);
	printf("child is %d\n", child);
	show("listener outside", out);
	return 0;
}
