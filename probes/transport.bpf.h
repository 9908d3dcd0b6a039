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

/* To the verifier, an IPv4 address is like any other: see any(). */
static __always_inline void map_ipv4(u8 *address, __be32 ipv4)
{
	u32 *words = (void *)address;

	words[0] = any(0);
	words[1] = any(0);
	words[2] = any(bpf_htonl(0xffff));
	words[3] = ipv4;
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

/* All bits, or none where the value is 0: without a branch, each of which the verifier would follow. */
static __always_inline u32 bits_unless_zero(u32 value)
{
	return any(-(u32)((any(value) + 0xffffffff) >> 32));
}

static __always_inline u32 address_difference(const u32 *one, const u32 *other)
{
	return bits_unless_zero((one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3]));
}

static __always_inline u32 is_address(const u32 *words)
{
	return bits_unless_zero(words[0] | words[1] | words[3] |
				(words[2] & bits_unless_zero(words[2] ^ bpf_htonl(0xffff))));
}

static __always_inline void replace_address(u32 *address, const u32 *by, u32 bits)
{
	for (int i = 0; i < 4; i++)
		address[i] = (address[i] & ~bits) | (by[i] & bits);
}

static __always_inline void replace_port(u16 *port, u16 by, u32 bits)
{
	*port = (*port & ~bits) | (by & bits);
}

/* Puts what the program gave (0: it did not) in the place of what the packet shows. True: they differ, by NAT. */
static __always_inline bool undo_translation(struct ends_record *ends, const struct ends_record *given)
{
	u32 *source = (void *)ends->source, *destination = (void *)ends->destination;
	const u32 *given_source = (void *)given->source, *given_destination = (void *)given->destination;
	u32 to = bits_unless_zero(given->destination_port) &
		 (bits_unless_zero(given->destination_port ^ ends->destination_port) |
		  address_difference(given_destination, destination));
	u32 port = bits_unless_zero(given->source_port) & bits_unless_zero(given->source_port ^ ends->source_port);
	u32 from = is_address(given_source) & address_difference(given_source, source);

	replace_address(destination, given_destination, to);
	replace_port(&ends->destination_port, given->destination_port, to);
	replace_port(&ends->source_port, given->source_port, port);
	replace_address(source, given_source, from);
	return to | port | from;
}

#endif
