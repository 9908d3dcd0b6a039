/*
 * hostile MODE: valid messages with each bit and each byte flipped, and cut at each length, sent on
 * loopback by a client to a server, both of them this process. Prints how many messages the client
 * sent or was sent.
 *
 *   messages  over UDP, queries one way and answers the other, compression loops and pointer bombs too
 *   streams   over TCP, a connection each, length prefixes flipped too
 *   packets   as raw IPv4 and IPv6 packets, headers flipped too
 */
#include "query.h"

#include <netinet/ip.h>

#define DNS_PORT "53"
#define MOST_BYTES 1024
#define BOMB_BYTES 60000

struct message {
	size_t length;
	uint8_t bytes[MOST_BYTES];
};

typedef void (*send_mutant)(const uint8_t *bytes, size_t length, int is_answer);

static unsigned long sent;
static int client, server_side;
static struct server server;

static void mutate(const struct message *message, int is_answer, send_mutant send_it)
{
	struct message mutant = *message;

	for (size_t at = 0; at < message->length; at++) {
		for (unsigned bit = 0; bit < 9; bit++) {
			mutant.bytes[at] ^= bit == 8 ? 0xff : 1 << bit;
			send_it(mutant.bytes, mutant.length, is_answer);
			mutant.bytes[at] = message->bytes[at];
		}
	}
	for (size_t length = 1; length <= message->length; length++)
		send_it(message->bytes, length, is_answer);
}

static struct message question(const char *name)
{
	static const uint8_t edns[] = { 0, 0, 41, 0x10, 0, 0, 0, 0x80, 0, 0, 0 };
	struct query query = query_for(name);
	struct message message = { .length = query.length };

	memcpy(message.bytes, query.bytes, query.length);
	memcpy(message.bytes + message.length, edns, sizeof(edns));
	message.length += sizeof(edns);
	message.bytes[11] = 1; /* ARCOUNT */
	return message;
}

static struct message answer(const char *name)
{
	static const uint8_t records[] = {
		0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 6, 3, 'o', 'n', 'e', 0xc0, 12,        /* CNAME */
		0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 1,                      /* A */
		0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, /* AAAA */
		0, 0, 0, 0, 0, 0, 0, 1,
		0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, 6, 5, 'h', 'e', 'l', 'l', 'o', /* TXT */
		0xc0, 12, 0, 15, 0, 1, 0, 0, 0, 60, 0, 4, 0, 10, 0xc0, 12,           /* MX */
		0xc0, 12, 0, 65, 0, 1, 0, 0, 0, 60, 0, 10, 0, 1, 0, 0, 1, 0, 3, 2, 'h', '2', /* HTTPS */
		0, 0, 41, 4, 0xd0, 0, 0, 0, 0, 0, 0,                                  /* OPT */
	};
	struct message message = question(name);
	size_t end = message.length - 11;

	message.bytes[2] = 0x81;
	message.bytes[3] = 0x80;
	message.bytes[7] = 6; /* ANCOUNT */
	memcpy(message.bytes + end, records, sizeof(records));
	message.length = end + sizeof(records);
	return message;
}

static int discard(int fd)
{
	static uint8_t bytes[MESSAGE_SIZE];

	return recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT) >= 0;
}

static void by_datagram(const uint8_t *bytes, size_t length, int is_answer)
{
	if (send(is_answer ? server_side : client, bytes, length, 0) != (ssize_t)length)
		fail("send");
	while (!discard(is_answer ? client : server_side))
		;
	sent++;
}

/* A client socket and a server socket, connected to each other. */
static void join_datagrams(void)
{
	struct sockaddr_storage own;
	socklen_t length = sizeof(own);

	server_side = socket_to(&server, SOCK_DGRAM);
	if (bind(server_side, (struct sockaddr *)&server.address, server.length))
		fail("bind");
	client = connected_to(&server, SOCK_DGRAM);
	if (getsockname(client, (struct sockaddr *)&own, &length) ||
	    connect(server_side, (struct sockaddr *)&own, length))
		fail("connect");
}

/* Names whose pointers lead to themselves, in a circle, and back step by step through 60 KB. */
static void bombs(send_mutant send_it)
{
	static const uint8_t itself[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 12, 0, 1, 0, 1 };
	static const uint8_t circle[] = { 0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 'a', 0xc0, 16,
					  1, 'b', 0xc0, 12, 0, 1, 0, 1 };
	static uint8_t bomb[BOMB_BYTES] = { 0x12, 0x34, 0x81, 0x80, 0, 1, 0x40, 0, 0, 0, 0, 0, 0 };
	size_t at = 17, before = 12;

	send_it(itself, sizeof(itself), 0);
	send_it(circle, sizeof(circle), 0);
	bomb[14] = bomb[16] = 1;
	for (; at + 12 <= sizeof(bomb) && at < 0x3f00; at += 12) {
		bomb[at] = 0xc0 | before >> 8;
		bomb[at + 1] = before & 0xff;
		bomb[at + 3] = bomb[at + 5] = 1;
		before = at;
	}
	for (; at + 12 <= sizeof(bomb); at += 12) {
		bomb[at] = 0xc0 | before >> 8;
		bomb[at + 1] = before & 0xff;
		bomb[at + 3] = bomb[at + 5] = 1;
	}
	send_it(bomb, at, 1);
}

static int listener;

static void by_stream(const uint8_t *bytes, size_t length, int is_answer)
{
	int from = connected_to(&server, SOCK_STREAM), to = accept(listener, NULL, NULL);

	if (to < 0)
		fail("accept");
	send_exactly(is_answer ? to : from, bytes, length);
	shutdown(is_answer ? to : from, SHUT_WR);
	while (recv(is_answer ? from : to, (uint8_t[MOST_BYTES]){ 0 }, MOST_BYTES, 0) > 0)
		;
	close(from);
	close(to);
	sent++;
}

static struct message framed(struct message message)
{
	struct message with_prefix = { .length = message.length + 2 };

	with_prefix.bytes[0] = message.length >> 8;
	with_prefix.bytes[1] = message.length & 0xff;
	memcpy(with_prefix.bytes + 2, message.bytes, message.length);
	return with_prefix;
}

/* Headers that the kernel refuses are of no interest: they never leave. */
static void by_packet(const uint8_t *bytes, size_t length, int is_answer)
{
	(void)is_answer;
	if (sendto(client, bytes, length, 0, (struct sockaddr *)&server.address, server.length) >= 0)
		sent++;
}

static struct message packet(int version, const struct message *message)
{
	static const uint8_t v4[] = { 0x45, 0, 0, 0, 0, 1, 0, 0, 64, 17, 0, 0, 127, 0, 0, 1, 127, 0, 0, 1 };
	static const uint8_t v6[40] = { 0x60, 0, 0, 0, 0, 0, 17, 64, [23] = 1, [39] = 1 };
	uint8_t udp[] = { 0x30, 0x39, 0, 53, (message->length + 8) >> 8, (message->length + 8) & 0xff, 0, 0 };
	struct message whole = { .length = version == 4 ? sizeof(v4) : sizeof(v6) };

	memcpy(whole.bytes, version == 4 ? v4 : v6, whole.length);
	if (version == 6)
		memcpy(whole.bytes + 4, udp + 4, 2);
	memcpy(whole.bytes + whole.length, udp, sizeof(udp));
	memcpy(whole.bytes + whole.length + sizeof(udp), message->bytes, message->length);
	whole.length += sizeof(udp) + message->length;
	return whole;
}

static void packets(int version, const struct message *message)
{
	struct message whole = packet(version, message);

	server = server_from(version == 4 ? "127.0.0.1" : "::1", "0");
	client = socket(server.family, SOCK_RAW, IPPROTO_RAW);
	if (client < 0)
		fail("a raw socket");
	mutate(&whole, 0, by_packet);
}

int main(int count, char **arguments)
{
	const char *mode = count == 2 ? arguments[1] : "";
	struct message asked = question("hostile.test"), answered = answer("hostile.test");

	server = server_from("127.0.0.1", DNS_PORT);
	if (!strcmp(mode, "messages")) {
		join_datagrams();
		mutate(&asked, 0, by_datagram);
		mutate(&answered, 1, by_datagram);
		bombs(by_datagram);
	} else if (!strcmp(mode, "streams")) {
		int on = 1;

		listener = socket_to(&server, SOCK_STREAM);
		setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
		if (bind(listener, (struct sockaddr *)&server.address, server.length) || listen(listener, 16))
			fail("listen");
		asked = framed(asked);
		answered = framed(answered);
		mutate(&asked, 0, by_stream);
		mutate(&answered, 1, by_stream);
	} else if (!strcmp(mode, "packets")) {
		packets(4, &asked);
		packets(6, &asked);
	} else {
		fail_plainly("usage: hostile messages|streams|packets");
	}
	printf("%lu\n", sent);
	return 0;
}
