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

static __always_inline bool is_to_many(const struct packet *packet, const struct transport *transport)
{
	struct ends_record ends;

	return load_ends(packet, transport, &ends) && is_multicast(ends.destination);
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
					const struct ends_record *given, struct socket_state *state, bool egress)
{
	struct ends_record ends;
	bool answers;
	u32 peer;
	u8 flags;

	if (given)
		__builtin_memcpy(&ends, given, sizeof(ends));
	else if (!load_ends(packet, transport, &ends))
		return 0;
	peer = egress ? peer_hash(ends.destination, ends.destination_port) : peer_hash(ends.source, ends.source_port);
	if (load_bytes(packet, transport->offset + 8 + 2, &flags, sizeof(flags)))
		return egress ? PACKET_CLIENT : PACKET_SERVER;
	answers = flags >> 7;
	if (!state || is_multicast(ends.destination))
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
 * known. `of_dns`: see dns_ends. `given`: the ends before NAT; NULL: there is no NAT.
 */
static __always_inline u32 conversation_end(const struct packet *packet, const struct transport *transport,
					    const struct ends_record *given, u32 of_dns, struct socket_state *state,
					    bool egress)
{
	if (!(of_dns & (egress ? SOURCE_OF_DNS : DESTINATION_OF_DNS)))
		return any(PACKET_CLIENT);
	if (!(of_dns & (egress ? DESTINATION_OF_DNS : SOURCE_OF_DNS)))
		return any(PACKET_SERVER);
	if (transport->protocol == IPPROTO_TCP)
		return any(state && state->has_opened ? PACKET_CLIENT : 0);
	return any(datagram_end(packet, transport, given, state, egress));
}

static __always_inline bool is_observed(u32 end)
{
	if (end == PACKET_CLIENT)
		return observe & OBSERVE_CLIENTS;
	return end != PACKET_SERVER || observe & OBSERVE_SERVERS;
}

#endif
