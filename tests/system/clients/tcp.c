/*
 * tcp MODE SERVER PORT NAME...: lookups over one TCP connection, sent the way MODE says.
 *
 *   one        length prefix and message in one send
 *   writev     writev, the prefix in a segment of its own
 *   separate   prefix and message in separate sends
 *   bytewise   one byte a send
 *   pipelined  every NAME's query in one send, then all answers
 *   turns      query, answer, next query on the same connection
 */
#include "query.h"

#include <netinet/tcp.h>
#include <sys/uio.h>

#define MOST_NAMES 32

static size_t framed(uint8_t *to, const struct query *query)
{
	to[0] = query->length >> 8;
	to[1] = query->length & 0xff;
	memcpy(to + 2, query->bytes, query->length);
	return query->length + 2;
}

int main(int count, char **arguments)
{
	static struct query queries[MOST_NAMES];
	static uint8_t bytes[MOST_NAMES * (sizeof(queries[0].bytes) + 2)];
	struct server server;
	const char *mode;
	size_t length = 0;
	int fd, names, on = 1;

	if (count < 5 || count > 4 + MOST_NAMES)
		fail_plainly("usage: tcp MODE SERVER PORT NAME...");
	mode = arguments[1];
	server = server_from(arguments[2], arguments[3]);
	names = count - 4;
	for (int at = 0; at < names; at++) {
		queries[at] = query_for(arguments[4 + at]);
		length += framed(bytes + length, &queries[at]);
	}
	fd = connected_to(&server, SOCK_STREAM);
	if (setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)))
		fail("TCP_NODELAY");

	if (!strcmp(mode, "one") || !strcmp(mode, "pipelined")) {
		send_exactly(fd, bytes, length);
	} else if (!strcmp(mode, "writev")) {
		struct iovec segments[] = { { bytes, 2 }, { bytes + 2, length - 2 } };

		if (writev(fd, segments, 2) != (ssize_t)length)
			fail("writev");
	} else if (!strcmp(mode, "separate")) {
		send_exactly(fd, bytes, 2);
		send_exactly(fd, bytes + 2, length - 2);
	} else if (!strcmp(mode, "bytewise")) {
		for (size_t at = 0; at < length; at++)
			send_exactly(fd, bytes + at, 1);
	} else if (!strcmp(mode, "turns")) {
		size_t at = 0;

		for (int turn = 0; turn < names; turn++) {
			send_exactly(fd, bytes + at, queries[turn].length + 2);
			at += queries[turn].length + 2;
			stream_answer(fd, &queries[turn]);
		}
		return 0;
	} else {
		fail_plainly("no such mode");
	}
	for (int at = 0; at < names; at++)
		stream_answer(fd, &queries[at]);
	return 0;
}
