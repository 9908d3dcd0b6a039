/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * A packet that leaves or reaches a socket: is it DNS, whose side of the
 * conversation is this, whose task, and into the ring with it.
 */
#ifndef DNSTRAIL_PACKET_BPF_H
#define DNSTRAIL_PACKET_BPF_H

#include "buffer.bpf.h"
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
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, u32);
} muted SEC(".maps");

static __always_inline bool is_dns_port(u16 port)
{
	return dns_ports[port >> 6] >> (port & 63) & 1;
}

/*
 * A packet from its IP header on. Its bytes are read by the helper of socket
 * programs, or, at a kernel function, out of the kernel's own buffers.
 */
struct packet {
	bool in_kernel; /* which of the two; known when this is compiled */
	u32 length;
	struct __sk_buff *skb;
	const struct sk_buff *buffer;
	const u8 *start; /* of the kernel's buffer: the IP header, and */
	u32 linear;      /* how many bytes lie there; the rest lies in pages */
};

static __always_inline long load_bytes(const struct packet *packet, u32 offset, void *to, u32 length)
{
	if (!packet->in_kernel)
		return bpf_skb_load_bytes(packet->skb, offset, to, length);
	if (offset + length > packet->linear)
		return -1;
	return bpf_probe_read_kernel(to, length, packet->start + offset);
}

/* What is needed to judge a packet; ports in host byte order. */
struct transport {
	u16 source;
	u16 destination;
	u8 version; /* of IP */
	u8 protocol;
	u32 offset; /* of the transport header */
};

static __always_inline bool is_transport(u8 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP;
}

static __always_inline bool load_ports(const struct packet *packet, struct transport *transport)
{
	__be16 ports[2];

	if (load_bytes(packet, transport->offset, ports, sizeof(ports)))
		return false;
	transport->source = bpf_ntohs(ports[0]);
	transport->destination = bpf_ntohs(ports[1]);
	return true;
}

#define IPV4_BYTES 24 /* the header without options, and the ports behind it */
#define IPV6_BYTES 44

static __always_inline void take_ports(const u8 *ports, struct transport *transport)
{
	transport->source = ports[0] << 8 | ports[1];
	transport->destination = ports[2] << 8 | ports[3];
}

/* `header`: IPV4_BYTES. False: neither UDP nor TCP. */
static __always_inline bool find_ipv4_transport(const struct packet *packet, const u8 *header,
						struct transport *transport)
{
	transport->version = 4;
	transport->protocol = header[9];
	transport->offset = (header[0] & 0x0f) * 4;
	if (!is_transport(transport->protocol))
		return false;
	if (transport->offset != 20)
		return load_ports(packet, transport);
	take_ports(header + 20, transport);
	return true;
}

/* A socket may carry options on every packet, so its DNS must be found behind them. */
static __always_inline bool skip_ipv6_extensions(const struct packet *packet, struct transport *transport)
{
	u8 next = transport->protocol;

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		u8 header[2]; /* next header, length */

		if (is_transport(next)) {
			transport->protocol = next;
			return load_ports(packet, transport);
		}
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH)
			return false;
		if (load_bytes(packet, transport->offset, header, sizeof(header)))
			return false;
		if (next == IPPROTO_FRAGMENT)
			transport->offset += 8;
		else if (next == IPPROTO_AH)
			transport->offset += (header[1] + 2) * 4;
		else
			transport->offset += (header[1] + 1) * 8;
		next = header[0];
	}
	return false;
}

/* `header`: IPV6_BYTES. */
static __always_inline bool find_ipv6_transport(const struct packet *packet, const u8 *header,
						struct transport *transport)
{
	transport->version = 6;
	transport->protocol = header[6];
	transport->offset = 40;
	if (!is_transport(transport->protocol))
		return skip_ipv6_extensions(packet, transport);
	take_ports(header + 40, transport);
	return true;
}

/* Is this sighting the client's? Where both ports are DNS (mDNS), the message's QR bit says it. */
static __always_inline bool is_client(const struct packet *packet, const struct transport *transport, bool egress)
{
	u16 local = egress ? transport->source : transport->destination;
	u16 remote = egress ? transport->destination : transport->source;
	u8 flags;

	if (!is_dns_port(local))
		return true;
	if (!is_dns_port(remote) || transport->protocol == IPPROTO_TCP)
		return false;
	if (load_bytes(packet, transport->offset + 8 + 2, &flags, sizeof(flags)))
		return egress;
	return egress != (flags >> 7);
}

/* TCP: payload, or what opens and closes a stream. */
static __always_inline bool has_tcp_content(const struct packet *packet, const struct transport *transport)
{
	u8 header[2]; /* data offset, flags */

	if (load_bytes(packet, transport->offset + 12, header, sizeof(header)))
		return false;
	return header[1] & (TCP_SYN | TCP_FIN | TCP_RST) ||
	       packet->length > transport->offset + (header[0] >> 4) * 4;
}

/* The cheapest first: nearly all packets end at the ports. */
static __always_inline bool is_wanted(const struct packet *packet, const struct transport *transport, bool egress)
{
	if (!is_dns_port(transport->destination) && !is_dns_port(transport->source))
		return false;
	if (!(observe & (is_client(packet, transport, egress) ? OBSERVE_CLIENTS : OBSERVE_SERVERS)))
		return false;
	return transport->protocol != IPPROTO_TCP || has_tcp_content(packet, transport);
}

static __always_inline bool is_multicast(const struct packet *packet, const struct transport *transport)
{
	u8 first;

	if (load_bytes(packet, transport->version == 4 ? 16 : 24, &first, sizeof(first)))
		return false;
	return transport->version == 4 ? first >> 4 == 14 : first == 0xff;
}

/* A record takes room for the smallest of these that holds the packet. */
#define PACKET_TINY 160
#define PACKET_SMALL 416
#define PACKET_MEDIUM 1536
#define PACKET_LARGE 9216
#define PACKET_MAX 66560 /* 64 KiB of offloaded TCP payload and its headers */

static __always_inline void emit_packet(const struct packet *packet, const struct packet_record *head,
					const u32 capacity)
{
	struct packet_record *record = bpf_ringbuf_reserve(&ring, sizeof(*record) + capacity, 0);
	u32 last = head->captured - 1;
	long failed = -1;

	if (!record) {
		count_loss(LOSS_PACKET_RING);
		return;
	}
	__builtin_memcpy(record, head, sizeof(*record));
	/* Both bounds, 1 and capacity, in the one comparison that every verifier follows. */
	asm volatile("" : "+r"(last));
	if (last < capacity) {
		if (!packet->in_kernel)
			failed = bpf_skb_load_bytes(packet->skb, 0, record->bytes, last + 1);
		else
			failed = bpf_probe_read_kernel(record->bytes, last + 1, packet->start);
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
	if (!copy_pieces(record->bytes, &record->captured, wanted, PACKET_MAX, pieces)) {
		bpf_ringbuf_discard(record, BPF_RB_NO_WAKEUP);
		count_loss(LOSS_PACKET_READ);
		return;
	}
	bpf_ringbuf_submit(record, wakeup());
}

static __always_inline void send_packet(const struct packet *packet, struct packet_record *head)
{
	head->length = head->captured = packet->length;
	if (head->captured > PACKET_MAX) {
		head->captured = PACKET_MAX;
		count_loss(LOSS_PACKET_CUT);
	}
	if (packet->in_kernel && packet->linear < head->captured)
		emit_paged(packet->buffer, packet->start, packet->linear, head);
	else if (head->captured <= PACKET_TINY)
		emit_packet(packet, head, PACKET_TINY);
	else if (head->captured <= PACKET_SMALL)
		emit_packet(packet, head, PACKET_SMALL);
	else if (head->captured <= PACKET_MEDIUM)
		emit_packet(packet, head, PACKET_MEDIUM);
	else if (head->captured <= PACKET_LARGE)
		emit_packet(packet, head, PACKET_LARGE);
	else
		emit_packet(packet, head, PACKET_MAX);
}

static __always_inline bool is_kernel_thread(const struct task_struct *task)
{
	return BPF_CORE_READ(task, flags) & PF_KTHREAD;
}

/* Remembers a task as the one that sends on this socket. */
static __always_inline void own_socket(u64 socket, const struct task_record *task)
{
	const struct task_record *owner = bpf_map_lookup_elem(&owners, &socket);

	if (!owner || owner->tid != task->tid || owner->process.start != task->process.start ||
	    owner->process.exec_id != task->process.exec_id)
		bpf_map_update_elem(&owners, &socket, task, BPF_ANY);
}

/* Fills in the current task, which sends on this socket, and introduces it if need be. */
static __always_inline void fill_sender(struct packet_record *head, const struct task_struct *task)
{
	fill_task(&head->task, task);
	own_socket(head->socket, &head->task);
	if (!is_introduced(&head->task.process))
		introduce(task, PROCESS_CURRENT);
}

static __always_inline void fill_owner(struct packet_record *head)
{
	const struct task_record *owner = bpf_map_lookup_elem(&owners, &head->socket);

	if (owner)
		head->task = *owner;
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
	return protocol == IPPROTO_UDP || BPF_CORE_READ(sk, sk_lock.owned);
}

static __always_inline u32 socket_namespace(const struct sock *sk)
{
	return BPF_CORE_READ(sk, __sk_common.skc_net.net, ns.inum);
}

/* A packet leaves the socket `sk`, which `head` names already. */
static __always_inline void packet_leaves(const struct packet *packet, const struct transport *transport,
					  const struct sock *sk, struct packet_record *head)
{
	const struct task_struct *task = (const void *)bpf_get_current_task();

	if (transport->protocol == IPPROTO_TCP && bpf_map_lookup_elem(&muted, &head->socket))
		return;
	if (sends_now(sk, task, transport->protocol))
		fill_sender(head, task);
	else
		fill_owner(head);
	head->network_namespace = socket_namespace(sk);
	fill_header(&head->header, RECORD_PACKET, PACKET_EGRESS);
	send_packet(packet, head);
}

/* A packet reaches the socket `sk`, which `head` names already. The current task is anyone's. */
static __always_inline void packet_arrives(const struct packet *packet, const struct transport *transport,
					   const struct sock *sk, struct packet_record *head)
{
	if (transport->protocol == IPPROTO_TCP && bpf_map_lookup_elem(&muted, &head->socket))
		return;
	fill_owner(head);
	/* A raw socket, or one of many in a multicast group, gets copies: its own only if it asked. */
	if (!head->task.process.pid &&
	    (BPF_CORE_READ(sk, sk_type) == SOCK_RAW || is_multicast(packet, transport)))
		return;
	head->network_namespace = socket_namespace(sk);
	fill_header(&head->header, RECORD_PACKET, 0);
	send_packet(packet, head);
}

#endif
