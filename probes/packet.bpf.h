/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* A packet that leaves or reaches a socket, and is wanted: whose task it is, and into the ring with it. */
#ifndef DNSTRAIL_PACKET_BPF_H
#define DNSTRAIL_PACKET_BPF_H

#include "budget.bpf.h"
#include "buffer.bpf.h"
#include "conversation.bpf.h"

/* 64 KiB of offloaded TCP payload and its headers. */
#define PACKET_MAX 66560

/* `ends`: NULL where there is no NAT, which is known when this is compiled. */
static __always_inline void emit_packet(const struct packet *packet, const struct packet_record *head,
					const struct ends_record *ends, const u32 capacity)
{
	const u32 before = ends ? sizeof(*ends) : 0;
	struct packet_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record) + before + capacity, 0);
	u32 last = head->captured - 1;
	long failed = -1;

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	__builtin_memcpy(record, head, sizeof(*record));
	if (ends)
		__builtin_memcpy(record->bytes, ends, sizeof(*ends));
	/* Both bounds, 1 and capacity, in the one comparison that every verifier follows. */
	asm volatile("" : "+r"(last));
	if (last < capacity) {
		if (!packet->in_kernel)
			failed = bpf_skb_load_bytes(packet->skb, 0, record->bytes + before, last + 1);
		else
			failed = bpf_probe_read_kernel(record->bytes + before, last + 1, packet->start);
	}
	if (failed) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		count_loss(LOSS_PACKET_READ);
		return;
	}
	bpf_ringbuf_submit(record, wakeup());
}

/* A record that is filled piece by piece: its bytes, the last turn's excess, and the list of pieces. */
#define PIECES_SIZE(capacity) (sizeof(struct packet_record) + (capacity) + COPY_BYTES + sizeof(struct pieces))

static __always_inline struct pieces *record_pieces(struct packet_record *record, const u32 capacity)
{
	return (struct pieces *)(record->bytes + capacity + COPY_BYTES);
}

/* A packet in the kernel's buffers of which only a part is linear. */
static __noinline void emit_paged(const struct sk_buff *buffer, const u8 *start, u32 linear,
				  const struct packet_record *head)
{
	struct packet_record *record = bpf_ringbuf_reserve(&ring, PIECES_SIZE(PACKET_MAX), 0);
	struct pieces *pieces;
	u32 wanted = head->captured;

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	__builtin_memcpy(record, head, sizeof(*record));
	pieces = record_pieces(record, PACKET_MAX);
	list_buffer(pieces, buffer, start, linear);
	record->captured = 0;
	if (!copy_buffer(record->bytes, &record->captured, wanted, PACKET_MAX, pieces)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		count_loss(LOSS_PACKET_READ);
		return;
	}
	bpf_ringbuf_submit(record, wakeup());
}

/* A record takes the smallest of these sizes that holds the packet: within 64 bytes for nearly all messages. */
#define EMIT_UP_TO(capacity)                                \
	if (head->captured <= (capacity)) {                 \
		emit_packet(packet, head, NULL, capacity);  \
		return;                                     \
	}

/* Fewer sizes, as Linux 5.10 walks each of them for each state that it finds the kernel's packets in. */
static __always_inline void emit_linear(const struct packet *packet, const struct packet_record *head)
{
	EMIT_UP_TO(192)
	EMIT_UP_TO(1536)
	emit_packet(packet, head, NULL, PACKET_MAX);
}

static __always_inline void emit_fitting(const struct packet *packet, const struct packet_record *head)
{
	EMIT_UP_TO(64)
	EMIT_UP_TO(128)
	EMIT_UP_TO(192)
	EMIT_UP_TO(256)
	EMIT_UP_TO(320)
	EMIT_UP_TO(384)
	EMIT_UP_TO(448)
	EMIT_UP_TO(512)
	EMIT_UP_TO(576)
	EMIT_UP_TO(1024)
	EMIT_UP_TO(1536)
	EMIT_UP_TO(4096)
	EMIT_UP_TO(9984)
	EMIT_UP_TO(24576)
	emit_packet(packet, head, NULL, PACKET_MAX);
}

static __always_inline void emit_translated(const struct packet *packet, const struct packet_record *head,
					    const struct ends_record *ends)
{
	if (head->captured <= 512)
		emit_packet(packet, head, ends, 512);
	else if (head->captured <= 4096)
		emit_packet(packet, head, ends, 4096);
	else
		emit_packet(packet, head, ends, PACKET_MAX);
}

static __always_inline u32 packet_namespace(const struct sock *sk, struct socket_state *state)
{
	u32 inode;

	if (state && state->network_namespace)
		return state->network_namespace;
	inode = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	if (state)
		state->network_namespace = inode;
	return inode;
}

/* `ends`: as in emit_packet. */
static __always_inline void send_packet(const struct packet *packet, struct packet_record *head,
					const struct ends_record *ends)
{
	head->length = head->captured = packet->length;
	if (head->captured > PACKET_MAX) {
		head->captured = PACKET_MAX;
		count_loss(LOSS_PACKET_CUT);
	}
	if (is_over_budget(&head->task.process, head->captured, head->header.time)) {
		count_loss(LOSS_PACKET_BUDGET);
		return;
	}
	if (ends)
		emit_translated(packet, head, ends); /* which is linear: see translated_leaves */
	else if (!packet->in_kernel)
		emit_fitting(packet, head);
	else if (packet->linear < head->captured)
		emit_paged(packet->buffer, packet->start, packet->linear, head);
	else
		emit_linear(packet, head);
}

/*
 * Is the current task the one that sends? A UDP datagram leaves in the
 * caller's context. TCP may also send from a softirq that interrupted anyone,
 * but only while no task holds the socket's lock.
 */
static __always_inline bool sends_now(const struct sock *sk, const struct task_struct *task, u8 protocol)
{
	if (is_kernel_thread(task))
		return false;
	return protocol != IPPROTO_TCP || BPF_CORE_READ(sk, sk_lock.owned);
}

/* Fills in the writer of bytes up to `until`, which are known to be written already. */
static __always_inline void fill_known_writer(struct packet_record *head, const struct sock *sk,
					      const struct socket_state *state, u32 begin, u32 end)
{
	const struct task_struct *task = current_task();
	struct task_key key;

	if (sequence_distance(begin, state->from) > 0) {
		/* Bytes before `before_from` have a third writer, which is not known. */
		if (sequence_distance(begin, state->before_from) <= 0)
			take_task(&head->task, &state->before);
		if (sequence_distance(end, state->from) < 0)
			head->header.flags |= PACKET_SEVERAL;
		return;
	}
	take_task(&head->task, &state->asker);
	/* The rest is being written right now. */
	if (sequence_distance(end, state->until) < 0 && sends_now(sk, task, IPPROTO_TCP)) {
		fill_key(&key, task);
		if (!is_same_image(&key, &head->task.process))
			head->header.flags |= PACKET_SEVERAL;
	}
}

/* The writer of a segment, by its sequence number: the task that lets it go, or closes the socket, may be another. */
static __always_inline void fill_writer(struct packet_record *head, const struct sock *sk, struct socket_state *state,
					const struct segment *segment)
{
	const struct task_struct *task = current_task();
	u32 begin = segment->sequence, end = begin + segment->payload;

	if (segment->payload && state->has_written && sequence_distance(begin, state->until) > 0) {
		fill_known_writer(head, sk, state, begin, end);
	} else if (!sends_now(sk, task, IPPROTO_TCP) || (!segment->payload && state->asker.sum)) {
		take_task(&head->task, &state->asker);
	} else {
		fill_current(&head->task, task);
		if (segment->payload)
			task_writes(state, &head->task, begin, end);
		else
			task_asks(state, &head->task);
	}
}

/*
 * The sender of a datagram: the task that began it, where it was put together in several calls. True: it is the
 * current task, and the sensor may not know it yet.
 */
static __always_inline bool fill_sender(struct packet_record *head, const struct sock *sk, struct socket_state *state)
{
	const struct task_struct *task = current_task();

	if (state && state->before.sum && BPF_CORE_READ((const struct udp_sock *)sk, pending) &&
	    take_task(&head->task, &state->before)) {
		state->before.sum = 0;
		return false;
	}
	if (sends_now(sk, task, IPPROTO_UDP)) {
		fill_current(&head->task, task);
		return state ? becomes_asker(state, &head->task) : true;
	}
	if (state)
		take_task(&head->task, &state->asker);
	return false;
}

/* Fills in the sender of a datagram, and introduces it to the sensor. */
static __always_inline void fill_asker(struct packet_record *head, const struct sock *sk, struct socket_state *state)
{
	if (fill_sender(head, sk, state) && !is_introduced(&head->task.process))
		introduce(PROCESS_CURRENT);
}

/* True: the sensor does not want the packets of this connection. */
static __always_inline bool is_muted(struct socket_state *state, u64 socket)
{
	if (!state->is_muted) {
		if (!bpf_map_lookup_elem(&muted, &socket))
			return false;
		state->is_muted = 1;
		bpf_map_delete_elem(&muted, &socket);
	}
	count_loss(LOSS_PACKET_MUTED);
	return true;
}

/* The flag of a packet whose bytes may still change: only pages are shared with the sender. */
static __always_inline u32 zerocopy_flag(const struct sk_buff *buffer)
{
	const struct skb_shared_info *shared;

	if (!BPF_CORE_READ(buffer, data_len))
		return 0;
	shared = (const void *)BPF_CORE_READ(buffer, head) + BPF_CORE_READ(buffer, end);
	return is_zerocopy(shared) ? PACKET_ZEROCOPY : 0;
}

/* `ends`: NULL where there is no NAT, which is known when this is compiled. */
static __always_inline void leaves(const struct packet *packet, const struct ends_record *ends, const struct sock *sk,
				   struct socket_state *state, struct packet_record *head)
{
	head->network_namespace = packet_namespace(sk, state);
	fill_header(&head->header, RECORD_PACKET, head->header.flags | PACKET_EGRESS | (ends ? PACKET_TRANSLATED : 0));
	send_packet(packet, head, ends);
}

/* A packet reaches the socket `sk`, which `head` names already. The current task may be any task. */
static __always_inline void packet_arrives(const struct packet *packet, const struct transport *transport,
					   const struct sock *sk, u32 type, struct socket_state *state,
					   struct packet_record *head)
{
	bool has_asked = false;

	if (state) {
		if (transport->protocol == IPPROTO_TCP && is_muted(state, head->socket))
			return;
		has_asked = take_task(&head->task, &state->asker) && !state->is_holder;
	}
	/* A raw socket, or one of many in a multicast group, gets copies: they count only if the socket asked. */
	if (!has_asked && (type == SOCK_RAW || is_to_many(packet, transport)))
		return;
	head->network_namespace = packet_namespace(sk, state);
	fill_header(&head->header, RECORD_PACKET, head->header.flags);
	send_packet(packet, head, NULL);
}

#endif
