/*
 * udp MODE SERVER PORT NAME: one lookup over UDP, sent the way MODE says.
 *
 *   connected    connect, send
 *   write        connect, write
 *   unconnected  sendto
 *   sendmsg      sendmsg, unconnected, the message in several segments
 *   sendmmsg     A and AAAA in one sendmmsg, as glibc does
 *   mapped       sendto from an IPv6 socket to ::ffff:SERVER
 *   forget       sendto, and the end: no answer is waited for
 *   patient      as connected, but two datagrams are waited for
 *   twice        the same query sent twice (a retry), one answer waited for
 */
#define _GNU_SOURCE
#include "query.h"

#include <sys/uio.h>

static void send_datagram(int fd, const struct server *server, const struct query *query)
{
	ssize_t sent = sendto(fd, query->bytes, query->length, 0, (const struct sockaddr *)&server->address,
			      server->length);

	if (sent < 0 || (size_t)sent != query->length)
		fail("sendto");
}

static void send_segments(int fd, struct server *server, struct query *query)
{
	struct iovec segments[] = {
		{ query->bytes, 5 },
		{ query->bytes + 5, 0 },
		{ query->bytes + 5, 9 },
		{ query->bytes + 14, query->length - 14 },
	};
	struct msghdr message = {
		.msg_name = &server->address,
		.msg_namelen = server->length,
		.msg_iov = segments,
		.msg_iovlen = 4,
	};

	if (sendmsg(fd, &message, 0) != (ssize_t)query->length)
		fail("sendmsg");
}

static void send_both(int fd, struct query *a, struct query *aaaa)
{
	struct iovec segments[] = { { a->bytes, a->length }, { aaaa->bytes, aaaa->length } };
	struct mmsghdr messages[] = {
		{ .msg_hdr = { .msg_iov = &segments[0], .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &segments[1], .msg_iovlen = 1 } },
	};

	if (sendmmsg(fd, messages, 2, MSG_NOSIGNAL) != 2)
		fail("sendmmsg");
}

/* Two answers, in the order in which they come. */
static void both_answers(int fd, const struct query *a, const struct query *aaaa)
{
	uint8_t bytes[MESSAGE_SIZE];
	int got_a = 0, got_aaaa = 0;

	while (!got_a || !got_aaaa) {
		ssize_t length = recv(fd, bytes, sizeof(bytes), 0);

		if (length < 0)
			fail("no answer");
		got_a |= answers(a, bytes, length);
		got_aaaa |= answers(aaaa, bytes, length);
	}
}

int main(int count, char **arguments)
{
	const char *mode;
	struct server server;
	struct query query;
	int fd;

	if (count != 5)
		fail_plainly("usage: udp MODE SERVER PORT NAME");
	mode = arguments[1];
	server = server_from(arguments[2], arguments[3]);
	query = query_for(arguments[4]);

	if (!strcmp(mode, "connected")) {
		fd = connected_to(&server, SOCK_DGRAM);
		send_exactly(fd, query.bytes, query.length);
	} else if (!strcmp(mode, "write")) {
		fd = connected_to(&server, SOCK_DGRAM);
		if (write(fd, query.bytes, query.length) != (ssize_t)query.length)
			fail("write");
	} else if (!strcmp(mode, "unconnected")) {
		fd = socket_to(&server, SOCK_DGRAM);
		send_datagram(fd, &server, &query);
	} else if (!strcmp(mode, "sendmsg")) {
		fd = socket_to(&server, SOCK_DGRAM);
		send_segments(fd, &server, &query);
	} else if (!strcmp(mode, "sendmmsg")) {
		struct query aaaa = query_typed(arguments[4], QTYPE_AAAA);

		fd = connected_to(&server, SOCK_DGRAM);
		send_both(fd, &query, &aaaa);
		both_answers(fd, &query, &aaaa);
		return 0;
	} else if (!strcmp(mode, "mapped")) {
		char mapped[64];

		snprintf(mapped, sizeof(mapped), "::ffff:%s", arguments[2]);
		server = server_from(mapped, arguments[3]);
		fd = socket_to(&server, SOCK_DGRAM);
		send_datagram(fd, &server, &query);
	} else if (!strcmp(mode, "forget")) {
		fd = socket_to(&server, SOCK_DGRAM);
		send_datagram(fd, &server, &query);
		return 0;
	} else if (!strcmp(mode, "patient")) {
		fd = connected_to(&server, SOCK_DGRAM);
		send_exactly(fd, query.bytes, query.length);
		datagram_answer(fd, &query);
		if (recv(fd, query.bytes, sizeof(query.bytes), 0) < 0)
			fail("no second datagram");
		return 0;
	} else if (!strcmp(mode, "twice")) {
		fd = connected_to(&server, SOCK_DGRAM);
		send_exactly(fd, query.bytes, query.length);
		send_exactly(fd, query.bytes, query.length);
		datagram_answer(fd, &query);
	} else {
		fail_plainly("no such mode");
	}
	datagram_answer(fd, &query);
	return 0;
}
