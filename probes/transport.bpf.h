/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The headers of a packet: where its transport is, what its ports and its ends are, also before NAT. */
#ifndef DNSTRAIL_TRANSPORT_BPF_H
#define DNSTRAIL_TRANSPORT_BPF_H

#include "event.h"
#include "kernel.bpf.h"

#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_HOPOPTS 0
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_AH 51
#define IPPROTO_DSTOPTS 60
#define IPPROTO_UDPLITE 136
#define IPV6_EXTENSIONS 8 /* headers that are walked; RFC 8200 4.1 recommends at most 7 */

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

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

/* The part of a packet that its judgement needs; ports in host byte order. */
struct transport {
	u16 source;
	u16 destination;
	u8 version; /* of IP */
	u8 protocol;
	u32 offset; /* of the transport header */
};

static __always_inline bool is_transport(u8 protocol)
{
	return protocol == IPPROTO_UDP || protocol == IPPROTO_TCP || protocol == IPPROTO_UDPLITE;
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

/* A transport as one number; 0: there is none. */
static __always_inline u64 pack_transport(const struct transport *transport)
{
	return (u64)transport->source << 48 | (u64)transport->destination << 32 | (u64)transport->protocol << 24 |
	       (transport->offset & 0xffffff);
}

static __always_inline bool unpack_transport(u64 packed, struct transport *transport)
{
	transport->source = packed >> 48;
	transport->destination = packed >> 32;
	transport->protocol = packed >> 24;
	transport->offset = packed & 0xffffff;
	return packed;
}

/* A socket may carry options on every packet, so its DNS must be found behind them. */
static __always_inline u64 skip_extensions(const struct packet *packet, u8 next)
{
	struct transport transport = { .offset = 40 };

	for (int i = 0; i < IPV6_EXTENSIONS; i++) {
		u8 header[2]; /* next header, length */

		if (is_transport(next)) {
			transport.protocol = next;
			return load_ports(packet, &transport) ? pack_transport(&transport) : 0;
		}
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING &&
		    next != IPPROTO_FRAGMENT && next != IPPROTO_AH)
			return 0;
		if (load_bytes(packet, transport.offset, header, sizeof(header)))
			return 0;
		if (next == IPPROTO_FRAGMENT)
			transport.offset += 8;
		else if (next == IPPROTO_AH)
			transport.offset += (header[1] + 2) * 4;
		else
			transport.offset += (header[1] + 1) * 8;
		next = header[0];
	}
	return 0;
}

/* Neither is static: so each is verified once, and its result is any number to the verifier. */
__noinline u64 skip_socket_extensions(struct __sk_buff *skb, u32 next)
{
	struct packet packet = { .skb = skb, .length = skb->len };

	return skip_extensions(&packet, next);
}

__noinline u64 skip_kernel_extensions(u64 start, u32 linear, u32 next)
{
	struct packet packet = { .in_kernel = true, .start = (const void *)start, .linear = linear };

	return skip_extensions(&packet, next);
}

/* `header`: IPV6_BYTES. */
static __always_inline bool find_ipv6_transport(const struct packet *packet, const u8 *header,
						struct transport *transport)
{
	transport->version = 6;
	transport->protocol = header[6];
	transport->offset = 40;
	if (!is_transport(transport->protocol))
		return unpack_transport(packet->in_kernel ? skip_kernel_extensions((u64)packet->start, packet->linear,
										   transport->protocol) :
							    skip_socket_extensions(packet->skb, transport->protocol),
					transport);
	take_ports(header + 40, transport);
	return true;
}

/* The fields of a TCP header that are needed (RFC 9293 3.1). */
struct segment {
	u32 sequence;
	u32 payload; /* bytes */
	u8 flags;
};

static __always_inline bool load_segment(const struct packet *packet, const struct transport *transport,
					 struct segment *segment)
{
	u8 header[14];
	u32 begin;

	if (load_bytes(packet, transport->offset, header, sizeof(header)))
		return false;
	begin = transport->offset + (header[12] >> 4) * 4;
	segment->sequence = (u32)header[4] << 24 | header[5] << 16 | header[6] << 8 | header[7];
	segment->flags = header[13];
	segment->payload = packet->length > begin ? packet->length - begin : 0;
	return true;
}

/* Payload, or what opens and closes a stream. */
static __always_inline bool has_content(const struct segment *segment)
{
	return segment->payload || segment->flags & (TCP_SYN | TCP_FIN | TCP_RST);
}

static __always_inline void map_ipv4(u8 *address, __be32 ipv4)
{
	__builtin_memset(address, 0, 10);
	address[10] = address[11] = 0xff;
	__builtin_memcpy(address + 12, &ipv4, sizeof(ipv4));
}

static __always_inline bool is_same_address(const u8 *one, const u8 *other)
{
	const u32 *a = (const void *)one, *b = (const void *)other;

	return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

static __always_inline bool is_address(const u8 *address)
{
	const u32 *words = (const void *)address;

	return words[0] || words[1] || (words[2] && words[2] != bpf_htonl(0xffff)) || words[3];
}

/* The ends as they stand in the packet. */
static __always_inline bool load_ends(const struct packet *packet, const struct transport *transport,
				      struct ends_record *ends)
{
	ends->source_port = transport->source;
	ends->destination_port = transport->destination;
	ends->reserved = 0;
	if (transport->version == 4) {
		__be32 addresses[2];

		if (load_bytes(packet, 12, addresses, sizeof(addresses)))
			return false;
		map_ipv4(ends->source, addresses[0]);
		map_ipv4(ends->destination, addresses[1]);
		return true;
	}
	return !load_bytes(packet, 8, ends->source, sizeof(ends->source)) &&
	       !load_bytes(packet, 24, ends->destination, sizeof(ends->destination));
}

/* Puts what the program gave (0: it did not) in the place of what the packet shows. True: they differ, by NAT. */
static __always_inline bool undo_translation(struct ends_record *ends, const struct ends_record *given)
{
	bool differs = false;

	if (given->destination_port && (given->destination_port != ends->destination_port ||
					!is_same_address(given->destination, ends->destination))) {
		__builtin_memcpy(ends->destination, given->destination, sizeof(ends->destination));
		ends->destination_port = given->destination_port;
		differs = true;
	}
	if (given->source_port && given->source_port != ends->source_port) {
		ends->source_port = given->source_port;
		differs = true;
	}
	if (is_address(given->source) && !is_same_address(given->source, ends->source)) {
		__builtin_memcpy(ends->source, given->source, sizeof(ends->source));
		differs = true;
	}
	return differs;
}

#endif
