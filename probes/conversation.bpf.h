/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The end of a conversation that a socket is, and whether sightings of that end are wanted. */
#ifndef DNSTRAIL_CONVERSATION_BPF_H
#define DNSTRAIL_CONVERSATION_BPF_H

#include "socket.bpf.h"
#include "transport.bpf.h"

#define OBSERVE_CLIENTS 1
#define OBSERVE_SERVERS 2

/* The ends whose sightings are wanted. Set before the load. */
const volatile u32 observe = OBSERVE_CLIENTS;

static __always_inline bool is_multicast(const u8 *address)
{
	const u32 *words = (const void *)address;

	if (!words[0] && !words[1] && words[2] == bpf_htonl(0xffff))
		return address[12] >> 4 == 14;
	return address[0] == 0xff;
}

/* Distinguishes other ends, which are few. */
static __always_inline u32 peer_hash(const u8 *address, u16 port)
{
	const u32 *words = (const void *)address;

	return (words[0] * 31 + words[1] * 37 + words[2] * 41 + words[3] * 43) ^ (port | 1u << 16);
}

/*
 * Is this socket the client or the server of a datagram's conversation, where
 * both ports are DNS ports (mDNS, a resolver that asks from port 53, a client
 * that hides)? The QR bit of the message decides, with two exceptions: a socket
 * that sends an answer to a peer that never asked it is a client, and so is a
 * socket that gets a query from a peer that it asked.
 */
static __always_inline u32 datagram_end(const struct packet *packet, const struct transport *transport,
					const struct ends_record *ends, struct socket_state *state, bool egress)
{
	const u8 *address = egress ? ends->destination : ends->source;
	u32 peer = peer_hash(address, egress ? ends->destination_port : ends->source_port);
	bool answers;
	u8 flags;

	if (load_bytes(packet, transport->offset + 8 + 2, &flags, sizeof(flags)))
		return egress ? PACKET_CLIENT : PACKET_SERVER;
	answers = flags >> 7;
	if (!state || is_multicast(ends->destination))
		return egress != answers ? PACKET_CLIENT : PACKET_SERVER;
	if (egress) {
		if (answers && is_among(state->heard, peer))
			return PACKET_SERVER;
		if (!is_among(state->asked, peer))
			state->asked[state->next_asked++ % PEERS] = peer;
		return PACKET_CLIENT;
	}
	if (answers || is_among(state->asked, peer))
		return PACKET_CLIENT;
	if (!is_among(state->heard, peer))
		state->heard[state->next_heard++ % PEERS] = peer;
	return PACKET_SERVER;
}

/*
 * Is this socket the client or the server of the conversation? The ports show
 * it where only one of them is a DNS port; else the SYN does for TCP. 0: not
 * known.
 */
static __always_inline u32 conversation_end(const struct packet *packet, const struct transport *transport,
					    const struct ends_record *ends, struct socket_state *state, bool egress)
{
	if (!is_dns_port(egress ? ends->source_port : ends->destination_port))
		return PACKET_CLIENT;
	if (!is_dns_port(egress ? ends->destination_port : ends->source_port))
		return PACKET_SERVER;
	if (transport->protocol == IPPROTO_TCP)
		return state && state->has_opened ? PACKET_CLIENT : 0;
	return datagram_end(packet, transport, ends, state, egress);
}

static __always_inline bool are_both_of_dns(const struct ends_record *ends)
{
	return is_dns_port(ends->source_port) && is_dns_port(ends->destination_port);
}

static __always_inline bool is_observed(u32 end)
{
	if (end == PACKET_CLIENT)
		return observe & OBSERVE_CLIENTS;
	return end != PACKET_SERVER || observe & OBSERVE_SERVERS;
}

#endif
