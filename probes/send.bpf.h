/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel functions that send: who calls tcp_sendmsg and udp_sendmsg. Where
 * no cgroup v2 is mounted, also what it hands to tcp_sendmsg, and what
 * ip_finish_output lets go. One body each for fentry and kprobe, onto the same
 * records as packet.bpf.h.
 */
#ifndef DNSTRAIL_SEND_BPF_H
#define DNSTRAIL_SEND_BPF_H

#include "packet.bpf.h"

/*
 * Packets are seen by cgroup_skb programs, which the kernel never skips, as it
 * may skip those of a traced function. The functions here then only record the
 * sender. Set before the load.
 */
const volatile bool packets_at_cgroup = false;

static __always_inline struct packet kernel_packet(const struct sk_buff *buffer)
{
	const u8 *start = BPF_CORE_READ(buffer, head) + BPF_CORE_READ(buffer, network_header);
	/* At a socket, data stands behind the IP header already. */
	u32 length = BPF_CORE_READ(buffer, len) + (BPF_CORE_READ(buffer, data) - start);

	return (struct packet){
		.in_kernel = true,
		.buffer = buffer,
		.start = start,
		.length = length,
		.linear = length - BPF_CORE_READ(buffer, data_len),
	};
}

/* Bytes of payload in each datagram of a packet that holds several (UDP_SEGMENT, UDP_GRO). */
static __always_inline u32 segment_size(const struct sk_buff *buffer)
{
	const struct skb_shared_info *shared =
		(const void *)BPF_CORE_READ(buffer, head) + BPF_CORE_READ(buffer, end);

	return BPF_CORE_READ(shared, gso_size);
}

static __always_inline bool find_kernel_transport(const struct packet *packet, struct transport *transport)
{
	u8 header[IPV6_BYTES];

	if (load_bytes(packet, 0, header, IPV4_BYTES))
		return false;
	if (header[0] >> 4 == 4)
		return find_ipv4_transport(packet, header, transport);
	return header[0] >> 4 == 6 && !load_bytes(packet, 0, header, IPV6_BYTES) &&
	       find_ipv6_transport(packet, header, transport);
}

#define TCP_HEADER 20
#define SEGMENT_HEADERS 64 /* IPv6 and TCP without options, and aligned */

static __always_inline void write_tcp(u8 *header, const struct transport *transport, u32 sequence, u8 flags)
{
	*(__be16 *)header = bpf_htons(transport->source);
	*(__be16 *)(header + 2) = bpf_htons(transport->destination);
	*(__be32 *)(header + 4) = bpf_htonl(sequence);
	*(u32 *)(header + 8) = 0;
	header[12] = TCP_HEADER / 4 << 4;
	header[13] = flags;
	*(u16 *)(header + 14) = 0;
	*(u32 *)(header + 16) = 0;
}

/* The address of a v4 peer on an IPv6 socket stands in the last four bytes (RFC 4291 2.5.5.2). */
static __always_inline bool is_ipv4(const struct sock *sk, const struct in6_addr *destination)
{
	const u32 *words = (const void *)destination;

	return BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET ||
	       (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff));
}

/* Writes IP and TCP headers for `size` bytes of payload. Gives their length. */
static __always_inline u32 write_headers(u8 *bytes, const struct sock *sk, const struct transport *transport,
					 u32 sequence, u8 flags, u32 size)
{
	struct in6_addr source = {}, destination = {};
	u32 total;

	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&source, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&destination, sk, __sk_common.skc_v6_daddr);
	}
	if (is_ipv4(sk, &destination)) {
		total = 20 + TCP_HEADER + size;
		__builtin_memset(bytes, 0, 20);
		bytes[0] = 0x45;
		/* 0: longer than the field can say, as in offloaded packets. */
		*(__be16 *)(bytes + 2) = bpf_htons(total > 65535 ? 0 : total);
		bytes[8] = 64;
		bytes[9] = IPPROTO_TCP;
		*(__be32 *)(bytes + 12) = BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr);
		*(__be32 *)(bytes + 16) = BPF_CORE_READ(sk, __sk_common.skc_daddr);
		write_tcp(bytes + 20, transport, sequence, flags);
		return 20 + TCP_HEADER;
	}
	total = TCP_HEADER + size;
	__builtin_memset(bytes, 0, 8);
	bytes[0] = 0x60;
	*(__be16 *)(bytes + 4) = bpf_htons(total > 65535 ? 0 : total);
	bytes[6] = IPPROTO_TCP;
	bytes[7] = 64;
	__builtin_memcpy(bytes + 8, &source, sizeof(source));
	__builtin_memcpy(bytes + 24, &destination, sizeof(destination));
	write_tcp(bytes + 40, transport, sequence, flags);
	return 40 + TCP_HEADER;
}

/* Nearly every DNS message, its length prefix included, is below this. */
#define PACKET_SEGMENT 1024

static __always_inline void fill_segment(struct packet_record *record, const struct packet_record *head,
					 const struct sock *sk, const struct transport *transport, u32 sequence,
					 u8 flags, u32 size)
{
	__builtin_memcpy(record, head, sizeof(*record));
	record->captured = write_headers(record->bytes, sk, transport, sequence, flags, size);
	record->length = record->captured + size;
}

/* A segment without payload. */
static __always_inline void emit_control(const struct packet_record *head, const struct sock *sk,
					 const struct transport *transport, u32 sequence, u8 flags)
{
	struct packet_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record) + SEGMENT_HEADERS, 0);

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	fill_segment(record, head, sk, transport, sequence, flags, 0);
	bpf_ringbuf_submit(record, wakeup());
}

/* `size` bytes of what a program gives to send. */
static __always_inline void emit_segment(const struct packet_record *head, const struct sock *sk,
					 const struct transport *transport, u32 sequence, const struct iov_iter *iter,
					 u32 size, const u32 capacity)
{
	struct packet_record *record = bpf_ringbuf_reserve(&ring, PIECES_SIZE(capacity), 0);
	struct pieces *pieces;

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	fill_segment(record, head, sk, transport, sequence, TCP_ACK, size);
	pieces = record_pieces(record, capacity);
	list_iter(pieces, iter);
	if (!copy_iter(record->bytes, &record->captured, record->length, capacity, pieces)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		count_loss(LOSS_PACKET_READ);
		return;
	}
	bpf_ringbuf_submit(record, wakeup());
}

static __always_inline void socket_transport(const struct sock *sk, struct transport *transport)
{
	transport->protocol = IPPROTO_TCP;
	transport->source = BPF_CORE_READ(sk, __sk_common.skc_num);
	transport->destination = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
}

/*
 * Is the sending end of a stream one that the user wants to see? The socket
 * of a stream knows its ends as the program gave them.
 */
static __always_inline bool is_stream_observed(const struct transport *transport, const struct socket_state *state)
{
	if (!is_dns_port(transport->source))
		return observe & OBSERVE_CLIENTS;
	if (!is_dns_port(transport->destination))
		return observe & OBSERVE_SERVERS;
	return !state || !state->has_opened || observe & OBSERVE_CLIENTS;
}

/* tcp_sendmsg: who writes, and where packets are not seen the bytes of the stream. */
static __always_inline void tcp_sends(struct sock *sk, const struct msghdr *msg, u64 size)
{
	const struct task_struct *task = current_task();
	struct packet_record head = {};
	struct transport transport = {};
	struct socket_state *state;
	u32 sequence, wanted = size;

	socket_transport(sk, &transport);
	if ((!is_dns_port(transport.destination) && !is_dns_port(transport.source)) || !size)
		return;
	head.socket = socket_id(sk);
	state = socket_state(sk, head.socket, true);
	if (!is_stream_observed(&transport, state))
		return;
	sequence = BPF_CORE_READ((const struct tcp_sock *)sk, write_seq);
	if (!is_kernel_thread(task)) {
		fill_current(&head.task, task);
		if (state)
			task_writes(state, &head.task, sequence, sequence + size);
		else if (!is_introduced(&head.task.process))
			introduce(PROCESS_CURRENT);
	}
	if (packets_at_cgroup || (state && is_muted(state, head.socket)))
		return;
	if (size > PACKET_MAX - SEGMENT_HEADERS) {
		wanted = PACKET_MAX - SEGMENT_HEADERS;
		count_loss(LOSS_PACKET_CUT);
	}
	head.network_namespace = packet_namespace(sk, state);
	fill_header(&head.header, RECORD_PACKET,
		    PACKET_EGRESS | (state && state->has_opened ? PACKET_CLIENT : 0));
	if (is_over_budget(&head.task.process, wanted, head.header.time)) {
		count_loss(LOSS_PACKET_BUDGET);
		return;
	}
	if (wanted <= PACKET_SEGMENT - SEGMENT_HEADERS)
		emit_segment(&head, sk, &transport, sequence, &msg->msg_iter, wanted, PACKET_SEGMENT);
	else
		emit_segment(&head, sk, &transport, sequence, &msg->msg_iter, wanted, PACKET_MAX);
}

/* A send is done: what it wrote to a stream, or began of a datagram, may leave later. */
static __always_inline void bytes_queued(struct sock *sk, u32 length)
{
	const struct task_struct *task = current_task();
	u16 family = sk->__sk_common.skc_family, remote = bpf_ntohs(sk->__sk_common.skc_dport);
	bool is_stream = sk->sk_protocol == IPPROTO_TCP;
	struct task_record record;
	struct socket_state *state;
	u32 end;

	if ((family != AF_INET && family != AF_INET6) || (!is_stream && sk->sk_protocol != IPPROTO_UDP))
		return;
	if (remote || is_stream) {
		if (!is_dns_port(remote) && !is_dns_port(sk->__sk_common.skc_num))
			return;
	}
	if (!is_stream && !BPF_CORE_READ((const struct udp_sock *)sk, pending))
		return;
	if (is_kernel_thread(task))
		return;
	/* A socket that is not connected has a record already if it sends to a port of DNS. */
	state = socket_state(sk, states_are_stored ? 0 : socket_id(sk), remote);
	if (!state)
		return;
	if (is_stream) {
		fill_current(&record, task);
		end = BPF_CORE_READ((const struct tcp_sock *)sk, write_seq);
		task_writes(state, &record, end - length, end);
	} else if (!state->before.sum) {
		fill_current(&record, task);
		share_task(&state->before, &record);
		if (!is_introduced(&record.process))
			introduce(PROCESS_CURRENT);
	}
}

/* Where no cgroup v2 is mounted: the record of a socket is forgotten with the socket; for TCP, by its state. */
static __always_inline void socket_released(const struct sock *sk)
{
	if (sk && BPF_CORE_READ(sk, sk_protocol) != IPPROTO_TCP)
		forget_socket(socket_id(sk));
}

/* udp_sendmsg, udpv6_sendmsg: the end that an unconnected socket sends to. The datagram is read where it leaves. */
static __always_inline void udp_sends(struct sock *sk, const struct msghdr *msg)
{
	const void *name = BPF_CORE_READ(msg, msg_name);
	struct sockaddr_any peer = {};
	struct socket_state *state;
	struct end target = {};
	bool is_wanted;

	/* The kernel's own copy of the address that the program gave. */
	if (!name || bpf_probe_read_kernel(&peer, 8, name))
		return;
	target.port = bpf_ntohs(peer.port);
	is_wanted = is_dns_port(target.port);
	state = socket_state(sk, states_are_stored ? 0 : socket_id(sk), is_wanted);
	if (!state)
		return;
	target.tid = current_tid();
	if (!is_wanted)
		target.port = 0;
	else if (peer.family == AF_INET)
		map_ipv4(target.address, peer.ipv4);
	else if (bpf_probe_read_kernel(target.address, sizeof(target.address), name + 8))
		return;
	remember_target(state, &target);
}

#endif
