// SPDX-License-Identifier: GPL-2.0
/*
 * Pidspace tests - whatever steps from namespace to namespace
 *
 * A container is a pid namespace at the level of its base.  What walks up
 * ->parent or the levels, looks for a child reaper or stores a number has a
 * test here.
 */

#include <linux/nsfs.h>
#include <linux/reboot.h>
#include <sys/acct.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/shm.h>

#include "common.h"

#ifndef __NR_listns
#define __NR_listns	470
#endif

/* The first version of struct ns_id_req */
struct listns_req {
	__u32 size;
	__u32 spare;
	__u64 ns_id;
	__u32 ns_type;
	__u32 spare2;
	__u64 user_ns_id;
};

#ifndef NS_GET_ID
#define NS_GET_ID		_IOR(0xb7, 13, __u64)
#endif
#ifndef NS_GET_PID_FROM_PIDNS
#define NS_GET_PID_FROM_PIDNS	_IOR(0xb7, 0x6, int)
#define NS_GET_TGID_FROM_PIDNS	_IOR(0xb7, 0x7, int)
#define NS_GET_PID_IN_PIDNS	_IOR(0xb7, 0x8, int)
#define NS_GET_TGID_IN_PIDNS	_IOR(0xb7, 0x9, int)
#endif
#ifndef PIDFD_GET_PID_NAMESPACE
#define PIDFD_GET_PID_NAMESPACE	_IO(0xFF, 5)
#endif

FIXTURE(trap)
{
	struct world world;
	const char *dir;
};

FIXTURE_SETUP(trap)
{
	const char *why = pidspace_begin();

	if (why)
		SKIP(return, "%s", why);
	self->dir = private_dir("dir");
	ASSERT_NE(NULL, self->dir);
	world_setup(_metadata, &self->world);
}

FIXTURE_TEARDOWN(trap)
{
	EXPECT_TRUE(pidspace_end());
}

/* ---- reboot() ---- */

static long op_reboot(struct msg *m)
{
	m->len = 0;
	return syscall(__NR_reboot, LINUX_REBOOT_MAGIC1, LINUX_REBOOT_MAGIC2,
		       m->arg[0], NULL);
}

/*
 * The machine goes on.  A container is refused, or loses its root as a pid
 * namespace does; another one sees nothing of it.
 */
TEST_F(trap, reboot)
{
	struct world *w = &self->world;
	long ret = ag_do(&w->c, op_reboot, LINUX_REBOOT_CMD_RESTART);
	int status;

	if (ret == -EPIPE) {
		ASSERT_EQ(w->b.pid, waitpid(w->b.pid, &status, 0));
		EXPECT_TRUE(WIFSIGNALED(status));
		ag_forget(&w->b);
	} else {
		EXPECT_GT(0, ret);
		EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
		EXPECT_EQ(2, ag_sys(&w->c, __NR_getpid));
	}
	EXPECT_EQ(1, ag_sys(&w->d, __NR_getpid));
	EXPECT_EQ(w->a.pid, ag_sys(&w->a, __NR_getpid));
}

TEST_F(trap, reboot_without_a_root)
{
	struct world *w = &self->world;

	ASSERT_EQ(0, ag_kill(&w->b));
	ag_do(&w->c, op_reboot, LINUX_REBOOT_CMD_POWER_OFF);
	EXPECT_EQ(1, ag_sys(&w->d, __NR_getpid));
	EXPECT_EQ(w->a.pid, ag_sys(&w->a, __NR_getpid));
}

/* ---- nsfs ---- */

/* The inode of what ioctl arg 0 on the file path gives */
static long op_ns_relative(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int ns;

	m->len = 0;
	if (fd < 0)
		return -1;
	ns = ioctl(fd, m->arg[0]);
	if (ns < 0 || fstat(ns, &st))
		return -1;
	close(ns);
	close(fd);
	return st.st_ino;
}

static long op_inode(struct msg *m)
{
	struct stat st;

	m->len = 0;
	return stat(m->path, &st) ? -1 : (long)st.st_ino;
}

static long op_ns_number(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	long ret, err;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = ioctl(fd, m->arg[0], m->arg[1]);
	err = errno;
	close(fd);
	errno = err;
	return ret;
}

#define ns_number(ag, path, cmd, nr)	ag_path(ag, op_ns_number, path, cmd, nr)

TEST_F(trap, ns_parent)
{
	struct world *w = &self->world;
	char web[64];

	strcpy(web, proc_path(w->b.pid, "ns/pid"));
	EXPECT_EQ(CLONE_NEWPID, ns_number(&w->a, web, NS_GET_NSTYPE, 0));
	EXPECT_EQ(CLONE_NEWPID, ns_number(&w->c, "/proc/self/ns/pid",
					  NS_GET_NSTYPE, 0));
	EXPECT_EQ(ag_path(&w->a, op_inode, "/proc/self/ns/pid", 0),
		  ag_path(&w->a, op_ns_relative, web, NS_GET_PARENT));
	EXPECT_EQ(ag_path(&w->a, op_inode, "/proc/self/ns/user", 0),
		  ag_path(&w->a, op_ns_relative, web, NS_GET_USERNS));
	/* Up from the inside there is nothing. */
	EXPECT_EQ(-EPERM, ag_path(&w->c, op_ns_relative, "/proc/self/ns/pid",
				  NS_GET_PARENT));
}

TEST_F(trap, ns_numbers)
{
	struct world *w = &self->world;
	char web[64];
	const char *own = "/proc/self/ns/pid";

	ASSERT_EQ(3, ag_do(&w->c, op_thread));
	strcpy(web, proc_path(w->b.pid, "ns/pid"));
	/* From the container's numbers to the host's, and back */
	EXPECT_EQ(w->host_c, ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS, 2));
	EXPECT_EQ(w->b.pid, ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS, 1));
	EXPECT_EQ(HOST_PID(w->id, 3),
		  ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS, 3));
	EXPECT_EQ(w->host_c, ns_number(&w->a, web, NS_GET_TGID_FROM_PIDNS, 3));
	EXPECT_EQ(2, ns_number(&w->a, web, NS_GET_PID_IN_PIDNS, w->host_c));
	EXPECT_EQ(1, ns_number(&w->a, web, NS_GET_PID_IN_PIDNS, w->b.pid));
	EXPECT_EQ(2, ns_number(&w->a, web, NS_GET_TGID_IN_PIDNS,
			       HOST_PID(w->id, 3)));
	EXPECT_EQ(-ESRCH, ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS,
				    w->host_c));
	EXPECT_EQ(-ESRCH, ns_number(&w->a, web, NS_GET_PID_IN_PIDNS,
				    w->host_e));
	EXPECT_EQ(-ESRCH, ns_number(&w->a, web, NS_GET_PID_IN_PIDNS,
				    w->a.pid));
	/* In the container's own they are what they are. */
	EXPECT_EQ(2, ns_number(&w->b, own, NS_GET_PID_FROM_PIDNS, 2));
	EXPECT_EQ(1, ns_number(&w->c, own, NS_GET_PID_IN_PIDNS, w->b.pid));
	EXPECT_EQ(-ESRCH, ns_number(&w->c, own, NS_GET_PID_FROM_PIDNS,
				    w->host_c));
	/* And the host's in the host's */
	EXPECT_EQ(w->host_c, ns_number(&w->a, own, NS_GET_PID_IN_PIDNS,
				       w->host_c));
}

/* A container whose root is gone is still a namespace to look into. */
TEST_F(trap, ns_without_a_root)
{
	struct world *w = &self->world;
	char web[64];

	strcpy(web, proc_path(w->host_c, "ns/pid"));
	ASSERT_EQ(0, ag_kill(&w->b));
	EXPECT_LT(0, ag_path(&w->a, op_inode, web, 0));
	EXPECT_EQ(w->host_c, ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS, 2));
	EXPECT_EQ(-ESRCH, ns_number(&w->a, web, NS_GET_PID_FROM_PIDNS, 1));
	EXPECT_EQ(2, ns_number(&w->c, "/proc/self/ns/pid",
			       NS_GET_PID_FROM_PIDNS, 2));
}

static long op_pidfd_ns(struct msg *m)
{
	int fd = syscall(__NR_pidfd_open, m->arg[0], 0);
	struct stat st;
	int ns;

	m->len = 0;
	if (fd < 0)
		return -1;
	ns = ioctl(fd, PIDFD_GET_PID_NAMESPACE, 0);
	if (ns < 0 || fstat(ns, &st))
		return -1;
	close(ns);
	close(fd);
	return st.st_ino;
}

TEST_F(trap, pidfd_namespace)
{
	struct world *w = &self->world;
	long web = ag_path(&w->b, op_inode, "/proc/self/ns/pid", 0);

	ASSERT_LT(0, web);
	EXPECT_EQ(web, ag_do(&w->a, op_pidfd_ns, w->b.pid));
	EXPECT_EQ(web, ag_do(&w->a, op_pidfd_ns, w->host_c));
	EXPECT_EQ(web, ag_do(&w->c, op_pidfd_ns, 1));
	EXPECT_NE(web, ag_do(&w->e, op_pidfd_ns, 1));
}

static long op_ns_id(struct msg *m)
{
	int fd = open(m->path, O_RDONLY | O_CLOEXEC);
	__u64 id;
	long ret;

	m->len = 0;
	if (fd < 0)
		return -1;
	ret = ioctl(fd, NS_GET_ID, &id);
	close(fd);
	return ret ? ret : (long)id;
}

/* How often is the namespace arg 0 among those that listns() gives? */
static long op_listns(struct msg *m)
{
	struct listns_req req = {
		.size = sizeof(req),
		.ns_type = CLONE_NEWPID,
	};
	__u64 ids[64];
	long n, i, hits = 0;

	m->len = 0;
	do {
		n = syscall(__NR_listns, &req, ids, ARRAY_SIZE(ids), 0);
		if (n < 0 && errno == ENOENT)
			break;	/* nothing after the last one */
		if (n < 0)
			return -1;
		for (i = 0; i < n; i++)
			hits += ids[i] == (__u64)m->arg[0];
		if (n)
			req.ns_id = ids[n - 1];
	} while (n);
	return hits;
}

TEST_F(trap, listns)
{
	struct world *w = &self->world;
	long host, web, other;

	host = ag_path(&w->a, op_ns_id, "/proc/self/ns/pid", 0);
	ASSERT_LT(0, host);
	web = ag_path(&w->a, op_ns_id, proc_path(w->host_c, "ns/pid"), 0);
	ASSERT_LT(0, web);
	other = ag_path(&w->a, op_ns_id, proc_path(w->d.pid, "ns/pid"), 0);
	ASSERT_LT(0, other);
	ASSERT_NE(host, web);
	ASSERT_NE(other, web);
	EXPECT_EQ(1, ag_do(&w->a, op_listns, host));
	EXPECT_EQ(1, ag_do(&w->a, op_listns, web));
	EXPECT_EQ(1, ag_do(&w->a, op_listns, other));
	/* It is listed until the last member has gone, with a root or not. */
	EXPECT_EQ(0, ag_kill(&w->b));
	EXPECT_EQ(1, ag_do(&w->a, op_listns, web));
	ag_exit(&w->c, 0);
	ASSERT_EQ(w->host_c, waitpid(w->host_c, NULL, 0));
	EXPECT_TRUE(EVENTUALLY(ag_do(&w->a, op_listns, web) == 0));
	EXPECT_EQ(1, ag_do(&w->a, op_listns, other));
}

/* ---- /proc mounts by namespace ---- */

static long op_mount_pidns(struct msg *m)
{
	m->len = 0;
	return mount("proc", m->path, "proc", 0, m->str);
}

TEST_F(trap, mount_pidns)
{
	struct world *w = &self->world;
	char data[64];
	long ret;

	snprintf(data, sizeof(data), "pidns=%s",
		 proc_path(w->host_c, "ns/pid"));
	ret = ag_call(&w->a, op_mount_pidns, self->dir, data, strlen(data), -1,
		      AG_ARGS(0));
	if (ret == -EINVAL && access("/proc/self/ns/pid", F_OK))
		SKIP(return, "no pidns= option");
	ASSERT_EQ(0, ret);
	EXPECT_STREQ("1 2", ag_list(&w->a, self->dir));
	EXPECT_STREQ("1 2", ag_list(&w->b, self->dir));
}

/* ---- numbers that are stored ---- */

TEST_F(trap, loadavg)
{
	struct world *w = &self->world;
	const char *p;

	ASSERT_EQ(3, ag_spawn(&w->b, &w->kids[0]));
	p = strrchr(ag_text(&w->b, "/proc/loadavg"), ' ');
	ASSERT_NE(NULL, p);
	EXPECT_STREQ(" 3", p);
	p = strrchr(ag_text(&w->e, "/proc/loadavg"), ' ');
	ASSERT_NE(NULL, p);
	EXPECT_STREQ(" 2", p);
	p = strrchr(ag_text(&w->a, "/proc/loadavg"), ' ');
	ASSERT_NE(NULL, p);
	EXPECT_LE(w->d.pid, atoi(p));
	EXPECT_GT(PID_LIMIT, atoi(p));
}

/* arg 0: 1 to take the lock on the file path, 0 to ask who has it */
static long op_lock(struct msg *m)
{
	struct flock fl = { .l_type = F_WRLCK };
	int fd = open(m->path, O_RDWR | O_CREAT, 0666);

	m->len = 0;
	if (fd < 0)
		return -1;
	if (m->arg[0])
		return fcntl(fd, F_SETLK, &fl);
	if (fcntl(fd, F_GETLK, &fl))
		return -1;
	close(fd);
	return fl.l_type == F_UNLCK ? -1 : fl.l_pid;
}

TEST_F(trap, file_locks)
{
	struct world *w = &self->world;
	char path[128];

	snprintf(path, sizeof(path), "%s/lock", self->dir);
	ASSERT_EQ(0, ag_path(&w->c, op_lock, path, 1));
	EXPECT_EQ(2, ag_path(&w->b, op_lock, path, 0));
	EXPECT_EQ(w->host_c, ag_path(&w->a, op_lock, path, 0));
	EXPECT_EQ(0, ag_path(&w->e, op_lock, path, 0));
	snprintf(path, sizeof(path), "%s/lock2", self->dir);
	ASSERT_EQ(0, ag_path(&w->b, op_lock, path, 1));
	EXPECT_EQ(1, ag_path(&w->c, op_lock, path, 0));
	EXPECT_EQ(w->b.pid, ag_path(&w->a, op_lock, path, 0));
	EXPECT_EQ(0, ag_path(&w->d, op_lock, path, 0));
	/* One that was taken before its owner moved */
	snprintf(path, sizeof(path), "%s/lock3", self->dir);
	ASSERT_GT(ag_spawn(NULL, &w->kids[0]), 0);
	ASSERT_EQ(0, ag_path(&w->kids[0], op_lock, path, 1));
	EXPECT_EQ(0, ag_path(&w->b, op_lock, path, 0));
	ASSERT_EQ(0, ag_create(&w->kids[0], cname("lock")));
	ASSERT_EQ(2, ag_spawn(&w->kids[0], &w->kids[1]));
	EXPECT_EQ(1, ag_path(&w->kids[1], op_lock, path, 0));
	EXPECT_EQ(w->kids[0].pid, ag_path(&w->a, op_lock, path, 0));
}

static long op_shm_create(struct msg *m)
{
	m->len = 0;
	return shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0666);
}

static long op_shm_creator(struct msg *m)
{
	struct shmid_ds ds;

	m->len = 0;
	return shmctl(m->arg[0], IPC_STAT, &ds) ? -1 : ds.shm_cpid;
}

TEST_F(trap, shared_memory)
{
	struct world *w = &self->world;
	long id;

	if (access("/proc/sysvipc", F_OK))
		SKIP(return, "no SysV IPC");
	id = ag_do(&w->c, op_shm_create);
	ASSERT_LE(0, id);
	EXPECT_EQ(2, ag_do(&w->b, op_shm_creator, id));
	EXPECT_EQ(w->host_c, ag_do(&w->a, op_shm_creator, id));
	EXPECT_EQ(0, ag_do(&w->d, op_shm_creator, id));
	shmctl(id, IPC_RMID, NULL);
	/* Stored before the move, read after it */
	ASSERT_GT(ag_spawn(NULL, &w->kids[0]), 0);
	id = ag_do(&w->kids[0], op_shm_create);
	ASSERT_LE(0, id);
	ASSERT_EQ(0, ag_create(&w->kids[0], cname("shm")));
	EXPECT_EQ(1, ag_do(&w->kids[0], op_shm_creator, id));
	EXPECT_EQ(w->kids[0].pid, ag_do(&w->a, op_shm_creator, id));
	EXPECT_EQ(0, ag_do(&w->c, op_shm_creator, id));
	shmctl(id, IPC_RMID, NULL);
}

/* The owner of a file, stored before it moved */
static long op_own(struct msg *m)
{
	static int fd = -1;

	m->len = 0;
	if (fd < 0) {
		int p[2];

		if (pipe(p))
			return -1;
		fd = p[0];
		return fcntl(fd, F_SETOWN, m->arg[0]);
	}
	return syscall(__NR_fcntl, fd, F_GETOWN, 0);
}

TEST_F(trap, file_owner_before_the_move)
{
	struct world *w = &self->world;
	struct agent *x = &w->kids[0];

	ASSERT_GT(ag_spawn(NULL, x), 0);
	ASSERT_EQ(0, ag_do(x, op_own, x->pid));
	EXPECT_EQ(x->pid, ag_do(x, op_own));
	ASSERT_EQ(0, ag_create(x, cname("owner")));
	EXPECT_EQ(1, ag_do(x, op_own));
	ASSERT_GT(ag_spawn(NULL, &w->kids[1]), 0);
	ASSERT_EQ(0, ag_do(&w->kids[1], op_own, w->a.pid));
	ASSERT_EQ(0, ag_create(&w->kids[1], cname("owner2")));
	EXPECT_EQ(0, ag_do(&w->kids[1], op_own));
}

/* ---- accounting ---- */

static long op_acct(struct msg *m)
{
	m->len = 0;
	if (!m->path[0])
		return acct(NULL);
	close(open(m->path, O_WRONLY | O_CREAT, 0644));
	return acct(m->path);
}

static long op_fork_wait(struct msg *m)
{
	pid_t pid = fork();

	m->len = 0;
	if (!pid)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid ? pid : -1;
}

/* Does the file of accounting records have one of that process? */
static bool accounted(const char *path, pid_t pid)
{
	struct acct_v3 rec;
	int fd = open(path, O_RDONLY);
	bool found = false;

	while (read(fd, &rec, sizeof(rec)) == sizeof(rec))
		found |= rec.ac_pid == (unsigned int)pid;
	close(fd);
	return found;
}

TEST_F(trap, accounting_of_the_host)
{
	struct world *w = &self->world;
	char path[128];

	if (access("/proc/sys/kernel/acct", F_OK))
		SKIP(return, "no accounting");
	snprintf(path, sizeof(path), "%s/acct", self->dir);
	ASSERT_EQ(0, ag_path(&w->a, op_acct, path, 0));
	ASSERT_EQ(3, ag_do(&w->b, op_fork_wait));
	EXPECT_TRUE(EVENTUALLY(accounted(path, HOST_PID(w->id, 3))));
	EXPECT_FALSE(accounted(path, 3));
	EXPECT_EQ(0, ag_path(&w->a, op_acct, "", 0));
}

/* A container's own, which must not keep its file when it ends */
TEST_F(trap, accounting_inside)
{
	struct world *w = &self->world;
	char path[128];

	if (access("/proc/sys/kernel/acct", F_OK))
		SKIP(return, "no accounting");
	ASSERT_EQ(0, mount("tmpfs", self->dir, "tmpfs", 0, NULL));
	snprintf(path, sizeof(path), "%s/acct", self->dir);
	ASSERT_EQ(0, ag_path(&w->b, op_acct, path, 0));
	ASSERT_EQ(3, ag_do(&w->b, op_fork_wait));
	EXPECT_TRUE(EVENTUALLY(accounted(path, 3)));
	EXPECT_FALSE(accounted(path, HOST_PID(w->id, 3)));
	ag_exit(&w->c, 0);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	ASSERT_EQ(0, ag_end(&w->b));
	EXPECT_TRUE(EVENTUALLY(!umount(self->dir)));
}

/* ---- a host's tools on a container ---- */

/* pkill --ns PID --nslist pid, which compares the links */
TEST_F_TIMEOUT(trap, kill_by_namespace, 900)
{
	struct world *w = &self->world;
	char web[64];
	struct dirent *d;
	int n = 0;
	DIR *dir;
	int i;

	for (i = 0; i < 8; i++)
		ASSERT_EQ(i + 3, ag_spawn(i & 1 ? &w->c : &w->b, &w->kids[i]));
	strcpy(web, ag_link(&w->a, proc_path(w->b.pid, "ns/pid")));
	dir = opendir("/proc");
	ASSERT_NE(NULL, dir);
	while ((d = readdir(dir))) {
		if (!isdigit(d->d_name[0]) ||
		    strcmp(web, ag_link(&w->a, proc_path(atoi(d->d_name),
							 "ns/pid"))))
			continue;
		EXPECT_EQ(0, kill(atoi(d->d_name), SIGKILL));
		n++;
	}
	closedir(dir);
	EXPECT_EQ(10, n);
	EXPECT_TRUE(EVENTUALLY(waitpid(-1, NULL, WNOHANG) >= 0 &&
			       !host_row(cname("web"), NULL)));
	EXPECT_EQ(1, ag_sys(&w->d, __NR_getpid));
}

/* A thousand tasks, killed by the range of their numbers */
static long op_fork_many(struct msg *m)
{
	long i;

	m->len = 0;
	for (i = 0; i < m->arg[0]; i++) {
		pid_t pid = fork();

		if (!pid) {
			for (;;)
				pause();
		}
		if (pid < 0)
			break;
	}
	return i;
}

TEST_F_TIMEOUT(trap, kill_by_range, 900)
{
	struct world *w = &self->world;
	struct dirent *d;
	int n = 0;
	DIR *dir;

	ASSERT_EQ(1000, ag_do(&w->c, op_fork_many, 1000));
	EXPECT_EQ(1002, host_members(cname("web")));
	dir = opendir("/proc");
	ASSERT_NE(NULL, dir);
	while ((d = readdir(dir))) {
		long nr = atol(d->d_name);

		if (nr >> VPID_BITS != w->id)
			continue;
		EXPECT_EQ(0, kill(nr, SIGKILL));
		n++;
	}
	closedir(dir);
	/* All but the root, which has its old number */
	EXPECT_EQ(1001, n);
	ASSERT_EQ(2, ag_reap(&w->b, 2));
	EXPECT_TRUE(EVENTUALLY(host_members(cname("web")) == 1));
	EXPECT_EQ(1, ag_sys(&w->b, __NR_getpid));
	EXPECT_EQ(0, ag_kill(&w->b));
	EXPECT_EQ(0, host_row(cname("web"), NULL));
}

TEST_HARNESS_MAIN
