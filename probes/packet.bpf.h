/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A packet that leaves or reaches a socket: is it DNS, whose side of the
 * conversation is this, whose task, and into the ring with it.
 */
#ifndef DNSTRAIL_PACKET_BPF_H
#define DNSTRAIL_PACKET_BPF_H

#include "task.bpf.h"

#define IPPROTO_HOPOPTS 0
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_DSTOPTS 60
#define IPV6_EXTENSIONS 8 /* headers that are walked; RFC 8200 4.1 recommends at most 7 */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04

#define OBSERVE_CLIENTS 1
#define OBSERVE_SERVERS 2

/* A bit for each port that carries DNS. Set before the load. */
const volatile u64 dns_ports[1024] = {};

/* Whose sightings are wanted. Set before the load. */
const volatile u32 observe = OBSERVE_CLIENTS;

/*
 * The task that last sent on a socket, by socket cookie: the owner of what
 * comes back, and of TCP bytes that the kernel sends on its own.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 32768);
	__type(key, u64);
	__type(value, struct task_record);
} owners SEC(".maps");

/* TCP connections on a DNS port that turned out to carry something else; the sensor says so. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} muted SEC(".maps");

static __always_inline bool is_dns_port(u16 port)
{
	return dns_ports[port >> 6] >> (port & 63) & 1;
}

/* Ports in host byte order, and what is needed to judge the packet. */
struct transport {
	u16 source;
	u16 destination;
	u8 protocol;
	u32 offset; /* of the transport header */
};

/* The kernel's socket behind a packet; the verifier's own pointer to it cannot be followed. */
static __always_inline const struct sock *packet_socket(struct __sk_buff *skb)
{
	return BPF_CORE_READ((const struct sk_buff *)skb, sk);
}

static __always_inline bool read_ports(struct __sk_buff *skb, struct transport *transport)
{
	__be16 ports[2];

	if (transport->protocol != IPPROTO_UDP && transport->protocol != IPPROTO_TCP)
		return false;
	if (bpf_skb_load_bytes(skb, transport->offset, ports, sizeof(ports)))
		return false;
	transport->source = bpf_ntohs(ports[0]);
	transport->destination = bpf_ntohs(ports[1]);
	return true;
}

/* A socket may carry options on every packet, so its DNS must be found behind them. */
static __noinline int skip_ipv6_extensions(struct __sk_buff *skb, u8 next, u32 *offset)
{
	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		u8 header[4]; /* next header, length; of a fragment the offset too */

		if (next == IPPROTO_UDP || next == IPPROTO_TCP)
			return next;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH)
			return -1;
		if (bpf_skb_load_bytes(skb, *offset, header, sizeof(header)))
			return -1;
		if (next == IPPROTO_FRAGMENT)
			*offset += 8;
		else if (next == IPPROTO_AH)
			*offset += (header[1] + 2) * 4;
		else
			*offset += (header[1] + 1) * 8;
		next = header[0];
	}
	return -1;
}

static __always_inline bool find_transport(struct __sk_buff *skb, struct transport *transport)
{
	const u8 *data = (const void *)(long)skb->data;
	const u8 *end = (const void *)(long)skb->data_end;

	if (skb->protocol == bpf_htons(0x0800)) {
		u32 offset;

		if (data + 24 > end)
			return false;
		transport->protocol = data[9];
		offset = (data[0] & 0x0f) * 4;
		transport->offset = offset;
		if (offset == 20 && (transport->protocol == IPPROTO_UDP || transport->protocol == IPPROTO_TCP)) {
			transport->source = data[20] << 8 | data[21];
			transport->destination = data[22] << 8 | data[23];
			return true;
		}
		return read_ports(skb, transport);
	}
	if (skb->protocol == bpf_htons(0x86dd)) {
		if (data + 44 > end)
			return false;
		transport->protocol = data[6];
		transport->offset = 40;
		if (transport->protocol == IPPROTO_UDP || transport->protocol == IPPROTO_TCP) {
			transport->source = data[40] << 8 | data[41];
			transport->destination = data[42] << 8 | data[43];
			return true;
		}
		int protocol = skip_ipv6_extensions(skb, transport->protocol, &transport->offset);

		if (protocol < 0)
			return false;
		transport->protocol = protocol;
		return read_ports(skb, transport);
	}
	return false;
}

/* Is this sighting the client's? Where both ports are DNS (mDNS), the message's QR bit says it. */
static __always_inline bool is_client(struct __sk_buff *skb, const struct transport *transport, bool egress)
{
	u16 local = egress ? transport->source : transport->destination;
	u16 remote = egress ? transport->destination : transport->source;
	u8 flags;

	if (!is_dns_port(local))
		return true;
	if (!is_dns_port(remote) || transport->protocol == IPPROTO_TCP)
		return false;
	if (bpf_skb_load_bytes(skb, transport->offset + 8 + 2, &flags, sizeof(flags)))
		return egress;
	return egress != (flags >> 7);
}

/* TCP: payload, or what opens and closes a stream. */
static __always_inline bool has_tcp_content(struct __sk_buff *skb, const struct transport *transport)
{
	u8 header[2]; /* data offset, flags */

	if (bpf_skb_load_bytes(skb, transport->offset + 12, header, sizeof(header)))
		return false;
	return header[1] & (TCP_SYN | TCP_FIN | TCP_RST) || skb->len > transport->offset + (header[0] >> 4) * 4;
}

static __always_inline void emit_packet(struct __sk_buff *skb, const struct packet_record *head, u32 captured,
					const u32 capacity)
{
	struct packet_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record) + capacity, 0);

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	__builtin_memcpy(record, head, sizeof(*record));
	/* The bounds again where the verifier of 5.10 sees them. */
	asm volatile("" : "+r"(captured));
	if (captured == 0 || captured > capacity || bpf_skb_load_bytes(skb, 0, record->bytes, captured)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		count_loss(LOSS_PACKET_READ);
		return;
	}
	bpf_ringbuf_submit(record, wakeup());
}

/* A record takes room for the smallest of these that holds the packet. */
#define PACKET_TINY 160
#define PACKET_SMALL 416
#define PACKET_MEDIUM 1536
#define PACKET_LARGE 9216
#define PACKET_MAX 66560 /* 64 KiB of offloaded TCP payload and its headers */

static __always_inline void send_packet(struct __sk_buff *skb, struct packet_record *head)
{
	u32 captured = skb->len;

	head->length = captured;
	if (captured > PACKET_MAX) {
		captured = PACKET_MAX;
		count_loss(LOSS_PACKET_CUT);
	}
	head->captured = captured;
	if (captured <= PACKET_TINY)
		emit_packet(skb, head, captured, PACKET_TINY);
	else if (captured <= PACKET_SMALL)
		emit_packet(skb, head, captured, PACKET_SMALL);
	else if (captured <= PACKET_MEDIUM)
		emit_packet(skb, head, captured, PACKET_MEDIUM);
	else if (captured <= PACKET_LARGE)
		emit_packet(skb, head, captured, PACKET_LARGE);
	else
		emit_packet(skb, head, captured, PACKET_MAX);
}

/* Remembers the current task as the one that sends on this socket. */
static __always_inline void own_socket(u64 socket, const struct task_record *task)
{
	const struct task_record *owner = bpf_map_lookup_elem(&owners, &socket);

	if (!owner || owner->tid != task->tid || owner->process.start != task->process.start ||
	    owner->process.exec_id != task->process.exec_id)
		bpf_map_update_elem(&owners, &socket, task, BPF_ANY);
}

/*
 * Is the current task the one that sends? A UDP datagram leaves in the
 * caller's context. TCP may also send from a softirq that interrupted anyone,
 * but only while no task holds the socket's lock.
 */
static __always_inline bool sends_now(const struct sock *sk, const struct task_struct *task, u8 protocol)
{
	if (BPF_CORE_READ(task, flags) & PF_KTHREAD)
		return false;
	return protocol == IPPROTO_UDP || BPF_CORE_READ(sk, sk_lock.owned);
}

static __always_inline void packet_egress(struct __sk_buff *skb)
{
	struct transport transport = {};
	struct packet_record head = {};
	const struct task_struct *task;
	const struct sock *sk;

	if (!find_transport(skb, &transport) || (!is_dns_port(transport.destination) && !is_dns_port(transport.source)))
		return;
	if (!(observe & (is_client(skb, &transport, true) ? OBSERVE_CLIENTS : OBSERVE_SERVERS)))
		return;
	if (transport.protocol == IPPROTO_TCP && !has_tcp_content(skb, &transport))
		return;
	head.socket = bpf_get_socket_cookie(skb);
	if (transport.protocol == IPPROTO_TCP && bpf_map_lookup_elem(&muted, &head.socket))
		return;
	sk = packet_socket(skb);
	task = (const void *)bpf_get_current_task();
	if (sends_now(sk, task, transport.protocol)) {
		fill_task(&head.task, task);
		own_socket(head.socket, &head.task);
		if (!is_introduced(&head.task.process))
			introduce(task, PROCESS_CURRENT);
	} else {
		const struct task_record *owner = bpf_map_lookup_elem(&owners, &head.socket);

		if (owner)
			head.task = *owner;
	}
	head.network_namespace = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fill_header(&head.header, RECORD_PACKET, PACKET_EGRESS);
	send_packet(skb, &head);
}

static __always_inline bool is_multicast(struct __sk_buff *skb)
{
	u8 first;

	if (bpf_skb_load_bytes(skb, skb->protocol == bpf_htons(0x0800) ? 16 : 24, &first, sizeof(first)))
		return false;
	return skb->protocol == bpf_htons(0x0800) ? first >> 4 == 14 : first == 0xff;
}

static __always_inline void packet_ingress(struct __sk_buff *skb)
{
	struct transport transport = {};
	struct packet_record head = {};
	const struct task_record *owner;
	const struct sock *sk;

	if (!find_transport(skb, &transport) || (!is_dns_port(transport.source) && !is_dns_port(transport.destination)))
		return;
	if (!(observe & (is_client(skb, &transport, false) ? OBSERVE_CLIENTS : OBSERVE_SERVERS)))
		return;
	if (transport.protocol == IPPROTO_TCP && !has_tcp_content(skb, &transport))
		return;
	head.socket = bpf_get_socket_cookie(skb);
	if (transport.protocol == IPPROTO_TCP && bpf_map_lookup_elem(&muted, &head.socket))
		return;
	sk = packet_socket(skb);
	owner = bpf_map_lookup_elem(&owners, &head.socket);
	if (owner)
		head.task = *owner;
	/* A raw socket, or one of many in a multicast group, gets copies: its own only if it asked. */
	else if (BPF_CORE_READ(sk, sk_type) == SOCK_RAW || is_multicast(skb))
		return;
	head.network_namespace = BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
	fill_header(&head.header, RECORD_PACKET, 0);
	send_packet(skb, &head);
}

#endif
