// SPDX-License-Identifier: GPL-2.0
/*
 * Read task->pid and task->tgid of every thread, the way programs that are built
 * somewhere else do: from the names, with what BTF says about this kernel.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include "pid.h"

/* All that the program knows of these; libbpf finds the offsets. */
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
struct task_struct {
	int pid;
	int tgid;
};

struct bpf_iter_meta {
	struct seq_file *seq;
};

struct bpf_iter__task {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
};
#pragma clang attribute pop

SEC("iter/task")
int list(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct record record;

	if (!task)
		return 0;
	/* the verifier follows a pointer with a type */
	record.pid = task->pid;
	record.tgid = task->tgid;
	/* any address, at an offset that libbpf has filled in */
	record.core_pid = BPF_CORE_READ(task, pid);
	record.core_tgid = BPF_CORE_READ(task, tgid);
	record.pid_offset = bpf_core_field_offset(task->pid);
	record.tgid_offset = bpf_core_field_offset(task->tgid);
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

char _license[] SEC("license") = "GPL";
