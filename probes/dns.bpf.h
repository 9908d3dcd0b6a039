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

/* Where the state of the socket does not say it all. */
static __always_inline const struct sock *kernel_socket(struct __sk_buff *skb, const struct transport *transport,
							const struct socket_state *state)
{
	if (transport->protocol != IPPROTO_TCP && state && state->network_namespace && !state->before.sum)
		return NULL;
	return packet_socket(skb);
}

/* None of its bytes lies in pages. */
static __always_inline bool is_linear(struct __sk_buff *skb)
{
	const u8 *data = (const void *)(long)skb->data, *end = (const void *)(long)skb->data_end;
	u32 length = skb->len;

	/* The verifier wants a bound; and a longer one is not linear. */
	return length < 65536 && data + length <= end;
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

/* The functions below run for few packets. Not static: each is verified once, and not for each state that it is reached in. */

static __always_inline struct packet socket_packet(struct __sk_buff *skb)
{
	return (struct packet){ .skb = skb, .length = skb->len };
}

static __always_inline u8 ip_version(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? 4 : 6;
}

/* Not a part of what it is called from, whose space on the stack it would take for good. */
static __noinline bool find_given_ends(const struct bpf_sock *sk, const struct transport *transport,
				       const struct socket_state *state, struct ends_record *ends)
{
	struct ends_record given = {};

	socket_given(sk, transport, state, &given);
	return undo_translation(ends, &given);
}

/* Whether an IPv4 packet shows the ends that the program gave. False also where that is not found at once. */
static __always_inline bool is_as_given(const struct packet *packet, const struct transport *transport,
					const struct bpf_sock *sk, const struct socket_state *state)
{
	u32 addresses[2], source = FIELD(sk, src_ip4), destination = FIELD(sk, dst_ip4);
	u16 port = bpf_ntohs(FIELD16(sk, dst_port));
	const struct end *target;

	if (transport->version != 4 || FIELD(sk, src_port) != transport->source)
		return false;
	target = state ? find_target(state, current_tid()) : NULL;
	if (target) {
		port = target->port;
		destination = *(const u32 *)&target->address[12];
	}
	return !load_bytes(packet, 12, addresses, sizeof(addresses)) && (!source || source == addresses[0]) &&
	       (!port || (port == transport->destination && destination == addresses[1]));
}

/* Whether the packet shows other ends than the program gave, as far as the socket knows them; see undo_translation. */
__noinline int is_translated(struct __sk_buff *skb, u64 packed)
{
	const struct packet packet = socket_packet(skb);
	struct transport transport = { .version = ip_version(skb) };
	const struct socket_state *state = NULL;
	struct bpf_sock *sk = skb->sk;
	struct ends_record ends;

	unpack_transport(packed, &transport);
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (!sk->dst_port && transport.protocol != IPPROTO_TCP)
		state = socket_state(sk, states_are_stored ? 0 : bpf_get_socket_cookie(skb), false);
	return !is_as_given(&packet, &transport, sk, state) && load_ends(&packet, &transport, &ends) &&
	       find_given_ends(sk, &transport, state, &ends);
}

/* A packet with a port of DNS, or of a socket that sends there. `translated` is known when this is compiled. */
static __always_inline int dns_may_leave(struct __sk_buff *skb, u64 packed, const bool translated)
{
	const struct packet packet = socket_packet(skb);
	struct transport transport = { .version = ip_version(skb) };
	struct ends_record ends = {};
	struct packet_record head = {};
	struct socket_state *state;
	struct segment segment = {};
	struct bpf_sock *sk = skb->sk;
	const struct sock *kernel_sk;
	u32 of_dns, end;

	unpack_transport(packed, &transport);
	of_dns = dns_ends(transport.source, transport.destination);
	/* Nearly all that a server sends ends here. */
	if (!translated && !(of_dns & DESTINATION_OF_DNS) && !is_observed(PACKET_SERVER))
		return 0;
	if (!sk)
		return 0;
	sk = bpf_sk_fullsock(sk);
	if (!sk)
		return 0;
	if (transport.protocol == IPPROTO_TCP && (!load_segment(&packet, &transport, &segment) || !has_content(&segment)))
		return 0;
	/* Whether the kernel chose the source address, which the socket then does not know. */
	head.header.flags = FIELD(sk, src_ip4) ? 0 : PACKET_UNBOUND;
	head.socket = bpf_get_socket_cookie(skb);
	state = socket_state(sk, head.socket, !translated);
	if (translated) {
		if (!load_ends(&packet, &transport, &ends))
			return 0;
		find_given_ends(sk, &transport, state, &ends);
		of_dns = dns_ends(ends.source_port, ends.destination_port);
		if (!of_dns || (!(of_dns & DESTINATION_OF_DNS) && !is_observed(PACKET_SERVER)))
			return 0;
		if (!state)
			state = socket_state(sk, head.socket, true);
	}
	if (state && (segment.flags & (TCP_SYN | TCP_ACK)) == TCP_SYN)
		state->has_opened = 1;
	end = conversation_end(&packet, &transport, translated ? &ends : NULL, of_dns, state, true);
	if (!is_observed(end))
		return 0;
	head.header.flags |= end | (is_linear(skb) ? 0 : zerocopy_flag((const void *)skb));
	kernel_sk = kernel_socket(skb, &transport, state);
	if (transport.protocol == IPPROTO_TCP) {
		if (!state || is_muted(state, head.socket))
			return 0;
		fill_writer(&head, kernel_sk, state, &segment);
	} else {
		head.segment_size = skb->gso_size;
		fill_asker(&head, kernel_sk, state);
	}
	leaves(&packet, translated ? &ends : NULL, kernel_sk, state, &head);
	return 0;
}

__noinline int plain_may_leave(struct __sk_buff *skb, u64 packed)
{
	return dns_may_leave(skb, packed, false);
}

__noinline int translated_may_leave(struct __sk_buff *skb, u64 packed)
{
	return dns_may_leave(skb, packed, true);
}

__noinline int dns_may_arrive(struct __sk_buff *skb, u64 packed)
{
	const struct packet packet = socket_packet(skb);
	struct transport transport = { .version = ip_version(skb) };
	struct packet_record head = {};
	struct segment segment = {};
	struct socket_state *state;
	struct bpf_sock *sk = skb->sk;
	u32 of_dns, end;

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
	head.socket = bpf_get_socket_cookie(skb);
	of_dns = dns_ends(transport.source, transport.destination);
	state = socket_state(sk, head.socket, of_dns == (SOURCE_OF_DNS | DESTINATION_OF_DNS));
	end = conversation_end(&packet, &transport, NULL, of_dns, state, false);
	if (!is_observed(end))
		return 0;
	head.header.flags = end;
	if (transport.protocol != IPPROTO_TCP)
		head.segment_size = skb->gso_size;
	packet_arrives(&packet, &transport, kernel_socket(skb, &transport, state), sk->type, state, &head);
	return 0;
}

SEC("cgroup_skb/egress")
int cgroup_egress(struct __sk_buff *skb)
{
	struct transport transport;
	struct packet packet = {};
	struct bpf_sock *sk;
	u64 packed;

	if (!find_transport(skb, &packet, &transport))
		return 1;
	sk = skb->sk;
	/* NAT may have changed the port already: then the socket knows the one that was asked. */
	if (!is_dns_port(transport.destination) && !is_dns_port(transport.source) &&
	    (!sk || !(sk->dst_port ? is_dns_port(bpf_ntohs(sk->dst_port)) :
				     transport.protocol != IPPROTO_TCP && has_targets(skb))))
		return 1;
	packed = pack_transport(&transport);
	if (is_translated(skb, packed))
		translated_may_leave(skb, packed);
	else
		plain_may_leave(skb, packed);
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
	} else if (state->is_holder == HOLDER && state->asker.task.process.start != FOLLOW(task, group_leader, start_boottime)) {
		state->asker.sum = 0;
		state->is_holder = HOLDERS;
	}
	return 0;
}

#endif
