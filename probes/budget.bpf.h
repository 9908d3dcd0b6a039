/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Fairness while the ring fills: a process that has put more than its share
 * into it in the last second is sampled, and named, so that it cannot hide
 * what others ask.
 */
#ifndef DNSTRAIL_BUDGET_BPF_H
#define DNSTRAIL_BUDGET_BPF_H

#include "task.bpf.h"

#define SECOND_BITS 30 /* nanoseconds to seconds, as near as a shift comes */
#define BUDGET_SAMPLE 64

/* Bytes in the ring from which on shares count, and the share of a process in a second. Set before the load. */
const volatile u64 ring_pressure = 8 * 1024 * 1024;
const volatile u64 ring_share = 256 * 1024;

/* Packets of a process that exceeded its share. Read and cleared by the sensor. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct task_key);
	__type(value, u64);
} sampled SEC(".maps");

static __always_inline void count_sampled(const struct task_key *process)
{
	struct task_key key = *process;
	u64 *count = bpf_map_lookup_elem(&sampled, &key), one = 1;

	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&sampled, &key, &one, BPF_NOEXIST);
}

/* Whether the ring was found to fill; written only where that changes. */
u32 ring_is_filling;

/* One look in 16 microseconds: what is looked at is what the processors and the sensor write all the time. */
static __always_inline bool is_ring_filling(u64 time)
{
	bool is_filling = ring_is_filling;

	if (time >> 10 & 15)
		return is_filling;
	is_filling = bpf_ringbuf_query(&ring, BPF_RB_AVAIL_DATA) >= ring_pressure;
	if (is_filling != ring_is_filling)
		ring_is_filling = is_filling;
	return is_filling;
}

/* Takes `bytes` out of the share of this process. True: they are not in it. */
static __always_inline bool is_over_budget(const struct task_key *process, u32 bytes, u64 time)
{
	u32 pid = process->pid, second;
	struct image *image;

	if (!is_ring_filling(time))
		return false;
	image = bpf_map_lookup_elem(&introduced, &pid);
	if (!image)
		return false;
	second = time >> SECOND_BITS;
	if (image->second != second) {
		image->second = second;
		image->bytes = 0;
	}
	image->bytes += bytes + sizeof(struct packet_record);
	if (image->bytes <= ring_share || image->bytes / 64 % BUDGET_SAMPLE == 0)
		return false;
	count_sampled(process);
	return true;
}

#endif
