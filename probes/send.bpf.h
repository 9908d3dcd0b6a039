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
 * Packets are seen by cgroup_skb programs, which the kernel never skips as it
 * may a traced function's: then these functions only tell who sends. Set
 * before the load.
 */
const volatile bool packets_at_cgroup = false;

/*
 * Names a socket as the socket programs do, by its cookie. One that has none
 * yet (no socket program runs, or it is older than them) goes by its address,
 * which no cookie can equal.
 */
static __always_inline u64 socket_id(const struct sock *sk)
{
	u64 cookie = BPF_CORE_READ(sk, __sk_common.skc_cookie.counter);

	return cookie ? cookie : (u64)sk;
}

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

#define TCP_ACK 0x10
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
	if (!copy_pieces(record->bytes, &record->captured, record->length, capacity, pieces)) {
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

static __always_inline bool is_side_wanted(const struct transport *transport)
{
	if (!is_dns_port(transport->destination) && !is_dns_port(transport->source))
		return false;
	return observe & (is_dns_port(transport->source) ? OBSERVE_SERVERS : OBSERVE_CLIENTS);
}

/* The current task sends on this socket; the kernel's own threads send for others. */
static __always_inline void task_sends(const struct sock *sk, struct packet_record *head)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();

	head->socket = socket_id(sk);
	if (!is_kernel_thread(task))
		fill_sender(head, task);
}

/* tcp_sendmsg: who sends, and where packets are not seen the bytes of the stream. */
static __always_inline void tcp_sends(const struct sock *sk, const struct msghdr *msg, u64 size)
{
	struct packet_record head = {};
	struct transport transport = {};
	u32 sequence, wanted = size;

	socket_transport(sk, &transport);
	if (!is_side_wanted(&transport) || !size)
		return;
	task_sends(sk, &head);
	if (packets_at_cgroup || bpf_map_lookup_elem(&muted, &head.socket))
		return;
	if (size > PACKET_MAX - SEGMENT_HEADERS) {
		wanted = PACKET_MAX - SEGMENT_HEADERS;
		count_loss(LOSS_PACKET_CUT);
	}
	head.network_namespace = socket_namespace(sk);
	fill_header(&head.header, RECORD_PACKET, PACKET_EGRESS);
	sequence = BPF_CORE_READ((const struct tcp_sock *)sk, write_seq);
	if (wanted <= PACKET_SEGMENT - SEGMENT_HEADERS)
		emit_segment(&head, sk, &transport, sequence, &msg->msg_iter, wanted, PACKET_SEGMENT);
	else
		emit_segment(&head, sk, &transport, sequence, &msg->msg_iter, wanted, PACKET_MAX);
}

/* udp_sendmsg, udpv6_sendmsg: who sends. The datagram itself is read where it leaves. */
static __always_inline void udp_sends(const struct sock *sk, const struct msghdr *msg)
{
	const void *name = BPF_CORE_READ(msg, msg_name);
	struct sockaddr_any peer;
	struct packet_record head = {};
	__be16 port = BPF_CORE_READ(sk, __sk_common.skc_dport);

	/* The kernel's own copy of what the program gave. */
	if (name && !bpf_probe_read_kernel(&peer, sizeof(peer), name))
		port = peer.port;
	if (!is_dns_port(bpf_ntohs(port)) && !is_dns_port(BPF_CORE_READ(sk, __sk_common.skc_num)))
		return;
	task_sends(sk, &head);
}

/* What opens and closes a stream; its bytes were read at tcp_sendmsg. */
static __always_inline void tcp_control_leaves(const struct packet *packet, const struct transport *transport,
					       const struct sock *sk, struct packet_record *head)
{
	struct {
		__be32 ports, sequence, acknowledgement;
		u8 data_offset, flags;
		__be16 window;
	} tcp;

	if (load_bytes(packet, transport->offset, &tcp, sizeof(tcp)))
		return;
	if (!(tcp.flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return;
	fill_owner(head);
	head->network_namespace = socket_namespace(sk);
	fill_header(&head->header, RECORD_PACKET, PACKET_EGRESS);
	/* FIN stands behind the payload, which is not sent again. */
	emit_control(head, sk, transport,
		     bpf_ntohl(tcp.sequence) + packet->length - transport->offset - (tcp.data_offset >> 4) * 4,
		     tcp.flags);
}

/* ip_finish_output, ip6_finish_output: a packet leaves this host's IP layer. */
static __always_inline void skb_leaves(const struct sk_buff *buffer)
{
	const struct packet packet = kernel_packet(buffer);
	const struct sock *sk = BPF_CORE_READ(buffer, sk);
	struct transport transport = {};
	struct packet_record head = {};

	/* Forwarded: no process of this host's sent it. */
	if (!sk || !find_kernel_transport(&packet, &transport) || !is_wanted(&packet, &transport, true))
		return;
	head.socket = socket_id(sk);
	if (transport.protocol == IPPROTO_TCP)
		tcp_control_leaves(&packet, &transport, sk, &head);
	else
		packet_leaves(&packet, &transport, sk, &head);
}

/* sk_filter_trim_cap, where the kernel would run cgroup_skb/ingress: a packet reaches a socket. */
static __always_inline void skb_arrives(const struct sock *sk, const struct sk_buff *buffer)
{
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	const struct packet packet = kernel_packet(buffer);
	struct transport transport = {};
	struct packet_record head = {};

	if ((family != AF_INET && family != AF_INET6) || !find_kernel_transport(&packet, &transport) ||
	    !is_wanted(&packet, &transport, false))
		return;
	head.socket = socket_id(sk);
	packet_arrives(&packet, &transport, sk, &head);
}

#endif
