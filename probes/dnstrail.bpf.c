// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/* The object: a header for each kind of sightings with the programs of the kind, and here the programs that all kinds need. */
#include "kernel.bpf.h"
#include "emit.bpf.h"
#include "task.bpf.h"
#include "dns.bpf.h"
#include "connection.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Keeps what crosses the ring in the object's BTF, from which the sensor's types are generated. */
const struct packet_record *packet_record_type;
const struct ends_record *ends_record_type;
const struct process_record *process_record_type;
const struct fork_record *fork_record_type;
const struct exit_record *exit_record_type;
const struct connection_record *connection_record_type;
const enum connection_stage *connection_stage_type;
const enum record_kind *record_kind_type;
const enum record_flag *record_flag_type;
const enum loss *loss_type;

/* Tasks: exec, fork and exit. */

SEC("tp_btf/sched_process_exec")
int BPF_PROG(process_exec, struct task_struct *task)
{
	introduce(PROCESS_EXEC | PROCESS_CURRENT);
	return 0;
}

SEC("tp_btf/sched_process_fork")
int BPF_PROG(process_fork, struct task_struct *parent, struct task_struct *child)
{
	task_forked(parent, child);
	return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(process_exit, struct task_struct *task)
{
	task_exited(task);
	return 0;
}

/* Tasks older than the sensor. */

/* Space for one process record; iterators are read by one task at a time. */
struct space {
	u8 bytes[PROCESS_SIZE(LARGE_PATHS, LARGE_ARGUMENTS)];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct space);
} iterated SEC(".maps");

SEC("iter/task")
int tasks_before(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct process_record *record;
	u32 zero = 0, length;

	if (!task || BPF_CORE_READ(task, group_leader) != task)
		return 0;
	record = (void *)bpf_map_lookup_elem(&iterated, &zero);
	if (!record)
		return 0;
	fill_process(record, task, 0, LARGE_PATHS, LARGE_ARGUMENTS);
	length = written(record);
	if (length > LARGE_PATHS + COMPONENT_SIZE)
		return 0;
	bpf_seq_write(ctx->meta->seq, record, sizeof(*record) + length);
	if (!is_introduced(&record->process))
		remember(&record->process);
	return 0;
}
