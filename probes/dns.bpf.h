/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The programs of the kind dns: thin entries onto the bodies of packet.bpf.h, send.bpf.h and alone.bpf.h. */
#ifndef DNSTRAIL_DNS_BPF_H
#define DNSTRAIL_DNS_BPF_H

#include "packet.bpf.h"
#include "send.bpf.h"
#include "alone.bpf.h"

/* Packets that leave and packets that come back: the hooks that the kernel runs inside ip_finish_output and ip6_finish_output, and at the socket. */

static __always_inline bool find_transport(struct __sk_buff *skb, struct packet *packet, struct transport *transport)
{
	const u8 *data = (const void *)(long)skb->data;
	const u8 *end = (const void *)(long)skb->data_end;

	packet->skb = skb;
	packet->length = skb->len;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return data + IPV4_BYTES <= end && find_ipv4_transport(packet, data, transport);
	return skb->protocol == bpf_htons(ETH_P_IPV6) && data + IPV6_BYTES <= end &&
	       find_ipv6_transport(packet, data, transport);
}

/* The verifier's own pointer to the socket cannot be followed; the context is the kernel's sk_buff. */
static __always_inline const struct sock *packet_socket(struct __sk_buff *skb)
{
	return BPF_CORE_READ((const struct sk_buff *)skb, sk);
}

/* Read in one instruction: the verifier forbids calculations with such an address, which the compiler would do first. */
#define FIELD_AT(size, context, offset)                                                \
	({                                                                             \
		u64 value;                                                             \
		asm volatile("%0 = *(" size " *)(%1 + %2)"                             \
			     : "=r"(value)                                             \
			     : "r"(context), "i"(offset));                             \
		value;                                                                 \
	})
#define FIELD(context, field) ((u32)FIELD_AT("u32", context, offsetof(typeof(*(context)), field)))
#define FIELD16(context, field) ((u16)FIELD_AT("u16", context, offsetof(typeof(*(context)), field)))

/* The addresses that the program gave, as far as the socket knows them; see undo_translation. */
static __always_inline void socket_given(const struct bpf_sock *sk, const struct transport *transport,
					 const struct socket_state *state, struct ends_record *given)
{
	const struct end *target;

	if (FIELD(sk, type) == SOCK_RAW)
		return;
	given->source_port = FIELD(sk, src_port);
	given->destination_port = bpf_ntohs(FIELD16(sk, dst_port));
	if (transport->version == 4) {
		map_ipv4(given->source, FIELD(sk, src_ip4));
		map_ipv4(given->destination, FIELD(sk, dst_ip4));
	} else {
		u32 *source = (void *)given->source, *destination = (void *)given->destination;

		source[0] = FIELD(sk, src_ip6[0]);
		source[1] = FIELD(sk, src_ip6[1]);
		source[2] = FIELD(sk, src_ip6[2]);
		source[3] = FIELD(sk, src_ip6[3]);
		destination[0] = FIELD(sk, dst_ip6[0]);
		destination[1] = FIELD(sk, dst_ip6[1]);
		destination[2] = FIELD(sk, dst_ip6[2]);
		destination[3] = FIELD(sk, dst_ip6[3]);
	}
	if (given->destination_port || transport->protocol == IPPROTO_TCP || !state)
		return;
	target = find_target(state, current_tid());
	if (target) {
		__builtin_memcpy(given->destination, target->address, sizeof(given->destination));
		given->destination_port = target->port;
	}
}

/* Whether a thread sends to a port of DNS by this unconnected socket. */
static __always_inline bool has_targets(struct __sk_buff *skb)
{
	struct bpf_sock *sk = skb->sk;
	struct socket_state *state;

	if (!sk)
		return false;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return false;
	state = socket_state(sk, states_are_stored ? 0 : bpf_get_socket_cookie(skb), false);
	return state && find_target(state, current_tid());
}

/* The functions below run for few packets. Not static: it is verified once, and not for each state that it is reached in. */

static __always_inline struct packet socket_packet(struct __sk_buff *skb)
{
	return (struct packet){ .skb = skb, .length = skb->len };
}

static __always_inline u8 ip_version(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? 4 : 6;
}

/* A packet with a port of DNS, or of a socket that sends there (so far as NAT did not change it). */
__noinline int dns_may_leave(struct __sk_buff *skb, u64 packed)
{
	const struct packet packet = socket_packet(skb);
	struct transport transport = { .version = ip_version(skb) };
	struct ends_record ends = {}, given = {};
	struct packet_record head = {};
	struct socket_state *state;
	struct segment segment = {};
	struct bpf_sock *sk = skb->sk;
	bool is_translated;
	u32 end;

	unpack_transport(packed, &transport);
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (transport.protocol == IPPROTO_TCP && (!load_segment(&packet, &transport, &segment) || !has_content(&segment)))
		return 0;
	head.socket = bpf_get_socket_cookie(skb);
	state = socket_state(sk, head.socket, false);
	if (!load_ends(&packet, &transport, &ends))
		return 0;
	socket_given(sk, &transport, state, &given);
	is_translated = undo_translation(&ends, &given);
	if (!is_dns_port(ends.source_port) && !is_dns_port(ends.destination_port))
		return 0;
	/* Nearly all that a server sends ends here, before anything is kept of its socket. */
	if (!is_dns_port(ends.destination_port) && !is_observed(PACKET_SERVER))
		return 0;
	if (!state)
		state = socket_state(sk, head.socket, true);
	if (state && (segment.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		state->has_opened = 1;
	end = conversation_end(&packet, &transport, &ends, state, true);
	if (!is_observed(end))
		return 0;
	head.header.flags = end | zerocopy_flag((const void *)skb);
	if (transport.protocol == IPPROTO_TCP) {
		segment_goes(&packet, &ends, is_translated, packet_socket(skb), state, &head, &segment);
		return 0;
	}
	head.segment_size = skb->gso_size;
	datagram_goes(&packet, &ends, is_translated, packet_socket(skb), state, &head);
	return 0;
}

__noinline int dns_may_arrive(struct __sk_buff *skb, u64 packed)
{
	const struct packet packet = socket_packet(skb);
	struct transport transport = { .version = ip_version(skb) };
	struct packet_record head = {};
	struct ends_record ends = {};
	struct segment segment = {};
	struct socket_state *state;
	struct bpf_sock *sk = skb->sk;
	u32 end;

	unpack_transport(packed, &transport);
	if (!is_dns_port(transport.source) && !is_observed(PACKET_SERVER))
		return 0;
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (transport.protocol == IPPROTO_TCP && (!load_segment(&packet, &transport, &segment) || !has_content(&segment)))
		return 0;
	if (!load_ends(&packet, &transport, &ends))
		return 0;
	head.socket = bpf_get_socket_cookie(skb);
	state = socket_state(sk, head.socket, are_both_of_dns(&ends));
	end = conversation_end(&packet, &transport, &ends, state, false);
	if (!is_observed(end))
		return 0;
	head.header.flags = end;
	if (transport.protocol != IPPROTO_TCP)
		head.segment_size = skb->gso_size;
	packet_arrives(&packet, &transport, &ends, packet_socket(skb), state, &head);
	return 0;
}

SEC("cgroup_skb/egress")
int cgroup_egress(struct __sk_buff *skb)
{
	struct transport transport;
	struct packet packet = {};
	struct bpf_sock *sk;

	if (!find_transport(skb, &packet, &transport))
		return 1;
	if (is_dns_port(transport.destination) || is_dns_port(transport.source)) {
		dns_may_leave(skb, pack_transport(&transport));
		return 1;
	}
	/* NAT may have changed the port already: then the socket knows the one that was asked. */
	sk = skb->sk;
	if (!sk)
		return 1;
	if (sk->dst_port ? is_dns_port(bpf_ntohs(sk->dst_port)) : transport.protocol != IPPROTO_TCP && has_targets(skb))
		dns_may_leave(skb, pack_transport(&transport));
	return 1;
}

SEC("cgroup_skb/ingress")
int cgroup_ingress(struct __sk_buff *skb)
{
	struct transport transport;
	struct packet packet = {};

	if (find_transport(skb, &packet, &transport) &&
	    (is_dns_port(transport.source) || is_dns_port(transport.destination)))
		dns_may_arrive(skb, pack_transport(&transport));
	return 1;
}

/* Where an unconnected socket sends to, before NAT. */

static __always_inline int socket_sends(struct bpf_sock_addr *ctx, bool is_ipv4)
{
	struct end target = { .port = bpf_ntohs(ctx->user_port) };
	bool is_wanted = is_dns_port(target.port);
	u32 *address = (void *)target.address;
	struct socket_state *state;

	if (!ctx->sk)
		return 1;
	/* An earlier datagram to a port of DNS no longer shows where the socket sends. */
	state = socket_state(ctx->sk, states_are_stored ? 0 : bpf_get_socket_cookie(ctx), is_wanted);
	if (!state)
		return 1;
	target.tid = current_tid();
	if (!is_wanted)
		target.port = 0;
	else if (is_ipv4)
		map_ipv4(target.address, ctx->user_ip4);
	else {
		address[0] = FIELD(ctx, user_ip6[0]);
		address[1] = FIELD(ctx, user_ip6[1]);
		address[2] = FIELD(ctx, user_ip6[2]);
		address[3] = FIELD(ctx, user_ip6[3]);
	}
	remember_target(state, &target);
	return 1;
}

SEC("cgroup/sendmsg4")
int cgroup_sendmsg4(struct bpf_sock_addr *ctx)
{
	return socket_sends(ctx, true);
}

SEC("cgroup/sendmsg6")
int cgroup_sendmsg6(struct bpf_sock_addr *ctx)
{
	return socket_sends(ctx, false);
}

/* The functions themselves, where the kernel lets them be traced. */

#define ENTRIES(FUNCTION, BODY, ...)                        \
	SEC("?fentry/" #FUNCTION)                           \
	int BPF_PROG(fentry_##FUNCTION, __VA_ARGS__)        \
	{                                                   \
		BODY;                                       \
		return 0;                                   \
	}                                                   \
	SEC("?kprobe/" #FUNCTION)                           \
	int BPF_KPROBE(kprobe_##FUNCTION, __VA_ARGS__)      \
	{                                                   \
		BODY;                                       \
		return 0;                                   \
	}

ENTRIES(tcp_sendmsg, tcp_sends(sk, msg, size), struct sock *sk, struct msghdr *msg, size_t size)
ENTRIES(udp_sendmsg, udp_sends(sk, msg), struct sock *sk, struct msghdr *msg)
ENTRIES(udpv6_sendmsg, udp_sends(sk, msg), struct sock *sk, struct msghdr *msg)
ENTRIES(ip_finish_output, skb_leaves(skb), struct net *net, struct sock *sk, struct sk_buff *skb)
ENTRIES(ip6_finish_output, skb_leaves(skb), struct net *net, struct sock *sk, struct sk_buff *skb)
ENTRIES(sk_filter_trim_cap, skb_arrives(sk, skb), struct sock *sk, struct sk_buff *skb)
ENTRIES(inet_release, socket_released(BPF_CORE_READ(sock, sk)), struct socket *sock)

/* Gives every new socket its cookie, by which the functions above and the socket programs agree. */
SEC("?cgroup/sock_create")
int cgroup_sock_create(struct bpf_sock *ctx)
{
	bpf_get_socket_cookie(ctx);
	return 1;
}

/* State kept by id is forgotten with the socket; for TCP when its state says so, as bytes may leave after this. */
SEC("?cgroup/sock_release")
int cgroup_sock_release(struct bpf_sock *ctx)
{
	if (ctx->protocol != IPPROTO_TCP)
		forget_socket(bpf_get_socket_cookie(ctx));
	return 1;
}

/* Bytes may wait in the socket and leave later, without who wrote them: of TCP in its buffer, of UDP under a cork. */
SEC("?tp_btf/sock_send_length")
int BPF_PROG(sock_send_length, struct sock *sk, int length)
{
	if (length > 0)
		bytes_queued(sk, length);
	return 0;
}

/* The state of a TCP socket that is kept by its id. */
SEC("?tp_btf/inet_sock_set_state")
int BPF_PROG(stream_state, const struct sock *sk, int before, int state)
{
	if (sk->sk_protocol == IPPROTO_TCP && state == TCP_CLOSE)
		forget_socket(socket_id(sk));
	return 0;
}

/*
 * The owners of sockets that exist already, as far as they may be of
 * interest: not known to have asked anything. A socket that several processes hold
 * has no owner until one sends.
 */
SEC("?iter/task_file")
int sockets_before(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct task_record record;
	struct file *file = ctx->file;
	struct socket_state *state;
	struct socket *socket;
	struct sock *sk;

	if (!task || !file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	if (sk->__sk_common.skc_family != AF_INET && sk->__sk_common.skc_family != AF_INET6)
		return 0;
	if (!is_dns_port(bpf_ntohs(sk->__sk_common.skc_dport)) && !is_dns_port(sk->__sk_common.skc_num) &&
	    (sk->sk_protocol == IPPROTO_TCP || sk->__sk_common.skc_dport))
		return 0;
	state = socket_state(sk, bpf_get_socket_cookie(sk), true);
	if (!state)
		return 0;
	if (!state->is_holder && !state->asker.sum) {
		fill_task(&record, task);
		record.tid = 0;
		share_task(&state->asker, &record);
		state->is_holder = HOLDER;
	} else if (state->is_holder == HOLDER && state->asker.task.process.start != BPF_CORE_READ(task, group_leader, start_boottime)) {
		state->asker.sum = 0;
		state->is_holder = HOLDERS;
	}
	return 0;
}

#endif
