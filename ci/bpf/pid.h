/* SPDX-License-Identifier: GPL-2.0 */
/* What the BPF program says about a thread. */
struct record {
	int pid, tgid;
	int core_pid, core_tgid;
	unsigned int pid_offset, tgid_offset;
};
