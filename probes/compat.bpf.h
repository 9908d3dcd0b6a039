/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fields that moved or changed their type between kernels: one accessor each,
 * with the change that made it necessary.
 */
#ifndef DNSTRAIL_COMPAT_BPF_H
#define DNSTRAIL_COMPAT_BPF_H

#include "kernel.bpf.h"

/*
 * v5.15, a396eda5517a: every program may have the current task as a pointer of
 * its type, which is followed by plain loads instead of a helper for each
 * step. Set before the load.
 */
const volatile bool tasks_are_typed = false;

static __always_inline const struct task_struct *current_task(void)
{
	if (tasks_are_typed)
		return (const void *)bpf_get_current_task_btf();
	return (const void *)bpf_get_current_task();
}

/* A field behind current_task(), or behind a typed argument. */
#define FOLLOW(pointer, ...) \
	(tasks_are_typed ? ___arrow(pointer, __VA_ARGS__) : BPF_CORE_READ(pointer, __VA_ARGS__))

/* v5.7, d1e7fd6462ca: task_struct.self_exec_id grew from u32 to u64. */
struct task_struct___exec_id {
	u64 self_exec_id;
} __attribute__((preserve_access_index));

static __always_inline u32 task_exec_id(const struct task_struct *task)
{
	const struct task_struct___exec_id *t = (const void *)task;
	u64 exec_id = 0;

	if (tasks_are_typed)
		return t->self_exec_id;
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

/* v5.13, 06b4feb37e64: skb_shared_info.tx_flags gave its zero-copy bits to skb_shared_info.flags. */
struct skb_shared_info___flags {
	u8 flags;
} __attribute__((preserve_access_index));

struct skb_shared_info___tx_flags {
	u8 tx_flags;
} __attribute__((preserve_access_index));

/* Whether the buffer's pages are still the sender's own (MSG_ZEROCOPY). */
static __always_inline bool is_zerocopy(const struct skb_shared_info *shared)
{
	const struct skb_shared_info___tx_flags *older = (const void *)shared;
	const struct skb_shared_info___flags *newer = (const void *)shared;

	/* SKBFL_ZEROCOPY_ENABLE; SKBTX_DEV_ZEROCOPY */
	if (bpf_core_field_exists(newer->flags))
		return BPF_CORE_READ(newer, flags) & 1;
	return BPF_CORE_READ(older, tx_flags) & 1 << 3;
}

/* One piece of a paged buffer: bio_vec, and since v6.9 (21d2e6737c97) skb_frag; both lie like this. */
struct fragment {
	u64 page;
	u32 size;
	u32 offset;
};

/* The kinds of memory that an iov_iter walks. */
enum iter_source {
	ITERATED_USER,   /* one buffer of user space */
	ITERATED_IOVEC,  /* many of them */
	ITERATED_KVEC,   /* many of the kernel */
	ITERATED_PAGES,  /* pages, as struct fragment */
	ITERATED_OTHER,
};

/* v5.14, 8cd54c1c8480: iov_iter.type, which held flags too, became iter_type. */
struct iov_iter___type {
	unsigned int type;
} __attribute__((preserve_access_index));

struct iov_iter___iter_type {
	u8 iter_type;
} __attribute__((preserve_access_index));

enum iter_type___any {
	ITER_UBUF___any,
	ITER_IOVEC___any,
	ITER_KVEC___any,
	ITER_BVEC___any,
};

/* v6.0, fcb14cb1bdac: ITER_UBUF; the numbers of the others changed more than once. */
static __always_inline enum iter_source iter_source(const struct iov_iter *iter)
{
	const struct iov_iter___iter_type *newer = (const void *)iter;
	const struct iov_iter___type *older = (const void *)iter;
	u32 type;

	if (!bpf_core_field_exists(newer->iter_type)) {
		switch (BPF_CORE_READ(older, type) & ~1u) {
		case 4:
			return ITERATED_IOVEC;
		case 8:
			return ITERATED_KVEC;
		case 16:
			return ITERATED_PAGES;
		}
		return ITERATED_OTHER;
	}
	type = BPF_CORE_READ(newer, iter_type);
	if (bpf_core_enum_value_exists(enum iter_type___any, ITER_UBUF___any) &&
	    type == bpf_core_enum_value(enum iter_type___any, ITER_UBUF___any))
		return ITERATED_USER;
	if (type == bpf_core_enum_value(enum iter_type___any, ITER_IOVEC___any))
		return ITERATED_IOVEC;
	if (type == bpf_core_enum_value(enum iter_type___any, ITER_KVEC___any))
		return ITERATED_KVEC;
	if (type == bpf_core_enum_value(enum iter_type___any, ITER_BVEC___any))
		return ITERATED_PAGES;
	return ITERATED_OTHER;
}

/* v6.4, de4f5fed3f23: iov_iter.iov became __iov. The other kinds of pointer share its place. */
struct iov_iter___until_6_3 {
	const void *iov;
} __attribute__((preserve_access_index));

struct iov_iter___since_6_4 {
	const void *__iov;
} __attribute__((preserve_access_index));

static __always_inline const void *iter_pointer(const struct iov_iter *iter)
{
	const struct iov_iter___since_6_4 *newer = (const void *)iter;
	const struct iov_iter___until_6_3 *older = (const void *)iter;

	if (bpf_core_field_exists(newer->__iov))
		return BPF_CORE_READ(newer, __iov);
	return BPF_CORE_READ(older, iov);
}

#endif
