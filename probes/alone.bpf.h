/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * Packets where no cgroup v2 is mounted: at ip_finish_output, and at
 * sk_filter_trim_cap. One body each for fentry and kprobe. A function that is
 * not static is verified by itself: older kernels cannot follow all in one.
 */
#ifndef DNSTRAIL_ALONE_BPF_H
#define DNSTRAIL_ALONE_BPF_H

#include "send.bpf.h"

/* The ends that the program gave, as far as the socket knows them; see undo_translation. */
static __always_inline void kernel_given(const struct sock *sk, u8 protocol, const struct socket_state *state,
					 struct ends_record *given)
{
	u16 port = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	struct in6_addr source = {}, destination = {};
	const struct end *target;

	if (BPF_CORE_READ(sk, sk_type) == SOCK_RAW)
		return;
	given->source_port = BPF_CORE_READ(sk, __sk_common.skc_num);
	if (BPF_CORE_READ(sk, __sk_common.skc_family) == AF_INET6) {
		BPF_CORE_READ_INTO(&source, sk, __sk_common.skc_v6_rcv_saddr);
		BPF_CORE_READ_INTO(&destination, sk, __sk_common.skc_v6_daddr);
		__builtin_memcpy(given->source, &source, sizeof(source));
		__builtin_memcpy(given->destination, &destination, sizeof(destination));
	} else {
		map_ipv4(given->source, BPF_CORE_READ(sk, __sk_common.skc_rcv_saddr));
		map_ipv4(given->destination, BPF_CORE_READ(sk, __sk_common.skc_daddr));
	}
	given->destination_port = port;
	if (port || protocol == IPPROTO_TCP || !state)
		return;
	target = find_target(state, current_tid());
	if (target) {
		__builtin_memcpy(given->destination, target->address, sizeof(given->destination));
		given->destination_port = target->port;
	}
}

/* A segment that opens or closes a stream; the bytes of the stream were read at tcp_sendmsg. */
static __always_inline void tcp_control_leaves(const struct segment *segment, const struct transport *transport,
					       const struct sock *sk, struct socket_state *state,
					       struct packet_record *head)
{
	if (!(segment->flags & (TCP_SYN | TCP_FIN | TCP_RST)))
		return;
	if (state)
		take_task(&head->task, &state->asker);
	head->network_namespace = packet_namespace(sk, state);
	fill_header(&head->header, RECORD_PACKET, head->header.flags | PACKET_EGRESS);
	/* FIN stands behind the payload, which is not sent again. */
	emit_control(head, sk, transport, segment->sequence + segment->payload, segment->flags);
}

/* The ends of a datagram as the program sees them. False: they cannot be read. */
static __always_inline bool find_ends(const struct packet *packet, const struct transport *transport,
				      const struct sock *sk, const struct socket_state *state, struct ends_record *ends,
				      bool *is_translated)
{
	struct ends_record given = {};

	if (!load_ends(packet, transport, ends))
		return false;
	kernel_given(sk, transport->protocol, state, &given);
	*is_translated = undo_translation(ends, &given);
	return true;
}

/*
 * Whether a datagram is wanted, as find_kernel_transport packed it: its flags,
 * or 0. None of these is static, as those of dns.bpf.h: each is verified
 * once, and gives the next any number.
 */
__noinline u32 judge_datagram(u64 buffer_at, u64 socket_at, u64 packed, u32 version)
{
	const struct sk_buff *buffer = (const void *)buffer_at;
	const struct sock *sk = (const void *)socket_at;
	const struct packet packet = kernel_packet(buffer);
	struct transport transport = { .version = version };
	struct ends_record ends = {};
	struct socket_state *state;
	u64 id = socket_id(sk);
	u32 of_dns, end;
	bool is_translated;

	unpack_transport(packed, &transport);
	state = hashed_state(id, false);
	if (!find_ends(&packet, &transport, sk, state, &ends, &is_translated))
		return 0;
	of_dns = dns_ends(ends.source_port, ends.destination_port);
	if (!of_dns)
		return 0;
	if (!state)
		state = hashed_state(id, true);
	end = conversation_end(&packet, &transport, &ends, of_dns, state, true);
	if (!is_observed(end))
		return 0;
	/* Bytes in pages are read without the ends beside them: that packet shows those behind NAT. */
	is_translated = is_translated && packet.linear >= packet.length;
	return PACKET_EGRESS | end | (is_translated ? PACKET_TRANSLATED : 0) | zerocopy_flag(buffer);
}

/*
 * The sensor knows the current task, if it sends by this socket. Called before a datagram's record is filled:
 * introduce needs much of the 512 bytes of stack that a chain of functions may take in kernels of old.
 */
__noinline int introduce_sender(u64 socket_at)
{
	const struct task_struct *task = current_task();
	struct task_key key = {};

	if (!sends_now((const void *)socket_at, task, IPPROTO_UDP))
		return 0;
	fill_key(&key, task);
	if (!is_introduced(&key))
		introduce(PROCESS_CURRENT);
	return 0;
}

/* A datagram of this socket leaves, with the flags that it was judged to have. */
static __always_inline void judged_leaves(const struct packet *packet, const struct ends_record *ends,
					  const struct sock *sk, u32 flags)
{
	struct packet_record head = {};
	struct socket_state *state;

	head.socket = socket_id(sk);
	state = hashed_state(head.socket, false);
	head.segment_size = segment_size(packet->buffer);
	head.header.flags = flags;
	fill_sender(&head, sk, state);
	head.network_namespace = packet_namespace(sk, state);
	fill_header(&head.header, RECORD_PACKET, head.header.flags);
	send_packet(packet, &head, ends);
}

__noinline int datagram_leaves(u64 buffer_at, u64 socket_at, u32 flags)
{
	const struct packet packet = kernel_packet((const void *)buffer_at);

	judged_leaves(&packet, NULL, (const void *)socket_at, flags);
	return 0;
}

__noinline int translated_leaves(u64 buffer_at, u64 socket_at, u64 packed, u32 version, u32 flags)
{
	const struct packet packet = kernel_packet((const void *)buffer_at);
	const struct sock *sk = (const void *)socket_at;
	struct transport transport = { .version = version };
	struct ends_record ends = {};
	bool is_translated;

	unpack_transport(packed, &transport);
	if (find_ends(&packet, &transport, sk, hashed_state(socket_id(sk), false), &ends, &is_translated))
		judged_leaves(&packet, &ends, sk, flags);
	return 0;
}

/* A segment that opens or closes a stream leaves. */
__noinline int control_leaves(u64 buffer_at, u64 socket_at, u64 packed)
{
	const struct packet packet = kernel_packet((const void *)buffer_at);
	const struct sock *sk = (const void *)socket_at;
	struct transport transport = {};
	struct packet_record head = {};
	struct socket_state *state;
	struct segment segment;

	unpack_transport(packed, &transport);
	/* By the socket's own ports, before NAT. */
	socket_transport(sk, &transport);
	if (!is_dns_port(transport.destination) && !is_dns_port(transport.source))
		return 0;
	if (!load_segment(&packet, &transport, &segment))
		return 0;
	head.socket = socket_id(sk);
	state = hashed_state(head.socket, true);
	if (state && (segment.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		state->has_opened = 1;
	if (!is_stream_observed(&transport, state))
		return 0;
	head.header.flags = state && state->has_opened ? PACKET_CLIENT : 0;
	tcp_control_leaves(&segment, &transport, sk, state, &head);
	return 0;
}

/* A pointer that fentry gives, as any number: a function that is verified by itself takes no other. */
static __always_inline const void *plain(const void *pointer)
{
	const void *number = NULL;

	bpf_probe_read_kernel(&number, sizeof(number), &pointer);
	return number;
}

#define PACKED_IPV6 (1 << 23) /* beside the offset, which is far smaller */

/* The transport that find_kernel_transport finds, packed with the version of IP. 0: none. */
__noinline u64 find_packed(u64 buffer_at)
{
	const struct packet packet = kernel_packet((const void *)buffer_at);
	struct transport transport = {};

	if (!find_kernel_transport(&packet, &transport))
		return 0;
	return pack_transport(&transport) | (transport.version == 6 ? PACKED_IPV6 : 0);
}

/* ip_finish_output, ip6_finish_output: a packet leaves this host's IP layer. */
static __always_inline void skb_leaves(const struct sk_buff *traced)
{
	const struct sk_buff *buffer = plain(traced);
	const struct sock *sk = BPF_CORE_READ(buffer, sk);
	struct transport transport;
	u32 version, flags;
	u64 packed;
	u16 remote;

	/* Forwarded: no process of this host's sent it. */
	if (!sk)
		return;
	packed = find_packed((u64)buffer);
	if (!packed)
		return;
	version = packed & PACKED_IPV6 ? 6 : 4;
	packed &= ~(u64)PACKED_IPV6;
	unpack_transport(packed, &transport);
	if (transport.protocol == IPPROTO_TCP) {
		control_leaves((u64)buffer, (u64)sk, packed);
		return;
	}
	remote = bpf_ntohs(BPF_CORE_READ(sk, __sk_common.skc_dport));
	if (!is_dns_port(transport.source) && !is_dns_port(transport.destination) && remote && !is_dns_port(remote))
		return;
	flags = judge_datagram((u64)buffer, (u64)sk, packed, version);
	if (flags)
		introduce_sender((u64)sk);
	if (flags & PACKET_TRANSLATED)
		translated_leaves((u64)buffer, (u64)sk, packed, version, flags);
	else if (flags)
		datagram_leaves((u64)buffer, (u64)sk, flags);
}

/* sk_filter_trim_cap, where the kernel would run cgroup_skb/ingress: a packet reaches a socket. */
static __always_inline void skb_arrives(struct sock *sk, const struct sk_buff *traced)
{
	const struct sk_buff *buffer = plain(traced);
	u16 family = BPF_CORE_READ(sk, __sk_common.skc_family);
	const struct packet packet = kernel_packet(buffer);
	struct transport transport = {};
	struct packet_record head = {};
	struct segment segment = {};
	struct socket_state *state;
	u32 of_dns, end;

	if ((family != AF_INET && family != AF_INET6) || !find_kernel_transport(&packet, &transport))
		return;
	if (!is_dns_port(transport.source) && !is_dns_port(transport.destination))
		return;
	if (transport.protocol == IPPROTO_TCP &&
	    (!load_segment(&packet, &transport, &segment) || !has_content(&segment)))
		return;
	head.socket = socket_id(sk);
	of_dns = dns_ends(transport.source, transport.destination);
	state = socket_state(sk, head.socket, of_dns == (SOURCE_OF_DNS | DESTINATION_OF_DNS));
	end = conversation_end(&packet, &transport, NULL, of_dns, state, false);
	if (!is_observed(end))
		return;
	head.header.flags = end;
	if (transport.protocol != IPPROTO_TCP)
		head.segment_size = segment_size(buffer);
	packet_arrives(&packet, &transport, sk, BPF_CORE_READ(sk, sk_type), state, &head);
}

#endif
