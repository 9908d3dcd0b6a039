/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The ring and its accounting: a record that does not fit is counted, by place. */
#ifndef DNSTRAIL_EMIT_BPF_H
#define DNSTRAIL_EMIT_BPF_H

#include "kernel.bpf.h"
#include "event.h"

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 16 * 1024 * 1024); /* --ring-size sets it */
} ring SEC(".maps");

/* Read by the sensor through the mapped .bss. */
u64 losses[LOSS_MAX];

static __always_inline void count_loss(enum loss place)
{
	__sync_fetch_and_add(&losses[place], 1);
}

/*
 * The sensor sets this before it sleeps until something happens; the program that
 * wakes it clears it. While there is traffic it drains the ring on a timer instead,
 * and no program pays for a wake-up.
 */
u32 reader_idle;

/* The flags of a submit. */
static __always_inline u64 wakeup(void)
{
	if (!reader_idle)
		return BPF_RB_NO_WAKEUP;
	reader_idle = 0;
	return BPF_RB_FORCE_WAKEUP;
}

static __always_inline void fill_header(struct record_header *header, u32 kind, u32 flags)
{
	header->kind = kind;
	header->flags = flags;
	header->time = bpf_ktime_get_ns();
}

#endif
