/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The kernel's own buffers, where no helper reads them: pages, and what a send call was given. */
#ifndef DNSTRAIL_BUFFER_BPF_H
#define DNSTRAIL_BUFFER_BPF_H

#include "compat.bpf.h"

/* Buffers in pieces are copied in turns of at most this; a record keeps as much free at its end. */
#define COPY_BYTES 4096
#define COPY_TURNS 128 /* a piece each: twice the fragments of the longest datagram at Ethernet's MTU */

/*
 * Where the kernel keeps these two of its variables; 0: it has none. One that
 * it hides lies where nothing can be read. Set before the load, and not by
 * libbpf (__ksym), which reads all of /proc/kallsyms for that at each load,
 * wanted or not.
 */
const volatile u64 vmemmap_base_at = 0;
const volatile u64 page_offset_base_at = 0;

#if defined(__TARGET_ARCH_x86)
/* Documentation/arch/x86/x86_64/mm.rst: where both lie without CONFIG_RANDOMIZE_MEMORY. */
#define VMEMMAP_BASE 0xffffea0000000000ULL
#define PAGE_OFFSET_BASE 0xffff888000000000ULL

/* Where the kernel sees a page: the direct map, at the index of its struct page. 0: not known. */
static __always_inline u64 page_address(u64 page)
{
	u64 vmemmap = VMEMMAP_BASE, direct = PAGE_OFFSET_BASE;

	if (vmemmap_base_at && bpf_probe_read_kernel(&vmemmap, sizeof(vmemmap), (const void *)vmemmap_base_at))
		return 0;
	if (page_offset_base_at && bpf_probe_read_kernel(&direct, sizeof(direct), (const void *)page_offset_base_at))
		return 0;
	return direct + (page - vmemmap) / bpf_core_type_size(struct page) * 4096;
}
#else
/* Not known for this architecture: what lies in pages is counted as not read. */
static __always_inline u64 page_address(u64 page)
{
	return 0;
}
#endif

/*
 * A buffer in pieces: where the pieces are listed, and where in them the next
 * turn reads. It lies in the record (at its end), as all that changes from
 * turn to turn does: so every turn looks the same to the verifier.
 */
struct pieces {
	u32 source; /* enum iter_source */
	u32 linear; /* of a packet's buffer: bytes before its pages, at */
	u64 start;
	u64 list;   /* address of an array of struct fragment or struct iovec; of ITERATED_USER the buffer */
	u64 offset; /* in the current piece */
	u32 index;  /* of the current piece */
	u32 count;
	u64 next;   /* of a packet: the struct sk_buff behind this one */
	u64 from;   /* the current piece's address and size */
	u64 rest;
};

static __always_inline void list_buffer(struct pieces *pieces, const struct sk_buff *buffer, const u8 *start,
					u32 linear)
{
	const struct skb_shared_info *shared =
		(const void *)BPF_CORE_READ(buffer, head) + BPF_CORE_READ(buffer, end);

	pieces->source = ITERATED_PAGES;
	pieces->linear = linear;
	pieces->start = (u64)start;
	pieces->list = (u64)shared + bpf_core_field_offset(shared->frags);
	pieces->offset = 0;
	pieces->index = 0;
	pieces->count = BPF_CORE_READ(shared, nr_frags);
	pieces->next = (u64)BPF_CORE_READ(shared, frag_list);
}

/* Goes on with the buffer behind this one. */
static __always_inline void list_next_buffer(struct pieces *pieces)
{
	const struct sk_buff *buffer = (const void *)pieces->next;

	list_buffer(pieces, buffer, BPF_CORE_READ(buffer, data),
		    BPF_CORE_READ(buffer, len) - BPF_CORE_READ(buffer, data_len));
	pieces->next = (u64)BPF_CORE_READ(buffer, next);
}

static __always_inline void list_iter(struct pieces *pieces, const struct iov_iter *iter)
{
	pieces->source = iter_source(iter);
	pieces->linear = 0;
	pieces->list = (u64)iter_pointer(iter);
	pieces->offset = BPF_CORE_READ(iter, iov_offset);
	pieces->index = 0;
	pieces->count = BPF_CORE_READ(iter, nr_segs);
	pieces->next = 0;
}

/* Finds the current piece. False: there is none. `is_packet`: of a packet's buffer, not of a send call. */
static __always_inline bool select_piece(struct pieces *pieces, const bool is_packet)
{
	u64 piece[2];

	if (is_packet && pieces->linear) {
		pieces->from = pieces->start;
		pieces->rest = pieces->linear;
		return true;
	}
	if (!is_packet && pieces->source == ITERATED_USER) {
		pieces->from = pieces->list;
		pieces->rest = ~0ULL;
		return true;
	}
	if (pieces->index >= pieces->count ||
	    bpf_probe_read_kernel(piece, sizeof(piece), (void *)(pieces->list + pieces->index * 16)))
		return false;
	if (is_packet || pieces->source == ITERATED_PAGES) {
		pieces->from = page_address(piece[0]) + (piece[1] >> 32);
		pieces->rest = (u32)piece[1];
		/* Bit 0: memory of a device, not a page (v6.10 netmem). */
		return !(piece[0] & 1);
	}
	pieces->from = piece[0];
	pieces->rest = piece[1];
	return true;
}

/*
 * Appends to `to` until it holds `wanted` bytes; *at are there already. `to`
 * has space for COPY_BYTES more than `capacity`. False: not all of it.
 */
static __always_inline bool copy_pieces(u8 *to, u32 *at, u32 wanted, const u32 capacity, struct pieces *pieces,
					const bool is_packet)
{
	for (int turn = 0; turn < COPY_TURNS; turn++) {
		u32 begin = *(volatile u32 *)at, size;
		u64 from, rest;
		long failed;

		if (begin >= wanted)
			return true;
		if (is_packet && !pieces->linear && pieces->index >= pieces->count && pieces->next)
			list_next_buffer(pieces);
		if (!select_piece(pieces, is_packet))
			return false;
		/* Out of memory again, so that the verifier goes on with one state for all kinds of pieces. */
		from = *(volatile u64 *)&pieces->from + pieces->offset;
		rest = *(volatile u64 *)&pieces->rest - pieces->offset;
		size = rest < COPY_BYTES ? rest : COPY_BYTES;
		if (size > wanted - begin)
			size = wanted - begin;
		if (size < rest) {
			pieces->offset += size;
		} else {
			pieces->offset = 0;
			if (is_packet && pieces->linear)
				pieces->linear = 0;
			else
				pieces->index++;
		}
		if (!size)
			continue;
		asm volatile("" : "+r"(size), "+r"(begin));
		if (begin > capacity || size > COPY_BYTES)
			return false;
		if (!is_packet && (pieces->source == ITERATED_USER || pieces->source == ITERATED_IOVEC))
			failed = bpf_probe_read_user(to + begin, size, (void *)from);
		else
			failed = bpf_probe_read_kernel(to + begin, size, (void *)from);
		if (failed)
			return false;
		*(volatile u32 *)at = begin + size;
	}
	return *(volatile u32 *)at >= wanted;
}

static __noinline bool copy_buffer(u8 *to, u32 *at, u32 wanted, const u32 capacity, struct pieces *pieces)
{
	return copy_pieces(to, at, wanted, capacity, pieces, true);
}

static __noinline bool copy_iter(u8 *to, u32 *at, u32 wanted, const u32 capacity, struct pieces *pieces)
{
	return copy_pieces(to, at, wanted, capacity, pieces, false);
}

#endif
