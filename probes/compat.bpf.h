/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fields that moved or changed their type between kernels: one accessor each,
 * with the change that made it necessary.
 */
#ifndef DNSTRAIL_COMPAT_BPF_H
#define DNSTRAIL_COMPAT_BPF_H

#include "kernel.bpf.h"

/* v5.7, d1e7fd6462ca: task_struct.self_exec_id grew from u32 to u64. */
struct task_struct___exec_id {
	u64 self_exec_id;
} __attribute__((preserve_access_index));

static __always_inline u32 task_exec_id(const struct task_struct *task)
{
	const struct task_struct___exec_id *t = (const void *)task;
	u64 exec_id = 0;

	bpf_core_read(&exec_id, bpf_core_field_size(t->self_exec_id), &t->self_exec_id);
	return (u32)exec_id;
}

/* v6.15, 633488947ef6: kernfs_node.parent became __parent (RCU). */
struct kernfs_node___parent {
	struct kernfs_node *parent;
} __attribute__((preserve_access_index));

struct kernfs_node___rcu_parent {
	struct kernfs_node *__parent;
} __attribute__((preserve_access_index));

static __always_inline struct kernfs_node *kernfs_parent(const struct kernfs_node *node)
{
	const struct kernfs_node___parent *older = (const void *)node;
	const struct kernfs_node___rcu_parent *newer = (const void *)node;

	if (bpf_core_field_exists(newer->__parent))
		return BPF_CORE_READ(newer, __parent);
	return BPF_CORE_READ(older, parent);
}

/*
 * Where a host still has cgroup v1 hierarchies, a task may sit in the root of
 * the v2 one; its container then shows in the pids controller.
 */
static __always_inline struct kernfs_node *task_cgroup(const struct task_struct *task)
{
	const struct css_set *set = BPF_CORE_READ(task, cgroups);
	struct kernfs_node *node = BPF_CORE_READ(set, dfl_cgrp, kn);
	struct cgroup_subsys_state *state = NULL;

	if (kernfs_parent(node) || !bpf_core_enum_value_exists(enum cgroup_subsys_id, pids_cgrp_id))
		return node;
	bpf_probe_read_kernel(&state, sizeof(state),
			      (void *)set + bpf_core_field_offset(set->subsys) +
				      bpf_core_enum_value(enum cgroup_subsys_id, pids_cgrp_id) * sizeof(state));
	return state ? BPF_CORE_READ(state, cgroup, kn) : node;
}

#endif
