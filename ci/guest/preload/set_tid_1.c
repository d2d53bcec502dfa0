// SPDX-License-Identifier: GPL-2.0
/*
 * For LD_PRELOAD, under criu restore. criu gives number 1 only to the first
 * process of a pid namespace that it makes, in one clone3() with CLONE_NEWPID
 * and set_tid = 1. Without the flag the same call makes the new root of a
 * container that has lost its own. Everything else passes as it is.
 */
#include <errno.h>
#include <linux/sched.h>
#include <linux/types.h>
#include <sys/syscall.h>

long syscall(long nr, long a, long b, long c, long d, long e, long f)
{
	register long r10 asm("r10") = d;
	register long r8 asm("r8") = e;
	register long r9 asm("r9") = f;
	struct clone_args *args = (struct clone_args *)a;
	long ret;

	if (nr == SYS_clone3 && args->flags & CLONE_NEWPID && args->set_tid_size == 1 &&
	    *(int *)args->set_tid == 1)
		args->flags &= ~(__u64)CLONE_NEWPID;
	asm volatile("syscall" : "=a"(ret)
		     : "a"(nr), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
		     : "rcx", "r11", "memory");
	if (ret > -4096 && ret < 0) {
		errno = -ret;
		return -1;
	}
	return ret;
}
