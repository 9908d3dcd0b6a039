/*
 * The common part of the clients: DNS queries written by hand, answers
 * recognised among other bytes, server addresses read. A client prints nothing
 * but errors and ends with 0 when it got its answers.
 */
#ifndef QUERY_H
#define QUERY_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define MESSAGE_SIZE 65535
#define ANSWER_TIMEOUT_SECONDS 60 /* an emulated guest is slow */

#define QTYPE_A 1
#define QTYPE_AAAA 28

struct server {
	struct sockaddr_storage address;
	socklen_t length;
	int family;
};

struct query {
	uint16_t id;
	size_t length;
	uint8_t bytes[512];
};

static inline void fail(const char *what)
{
	fprintf(stderr, "%s: %s\n", what, strerror(errno));
	exit(1);
}

static inline void fail_plainly(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static inline struct server server_from(const char *address, const char *port)
{
	struct server server = { 0 };
	struct sockaddr_in *v4 = (struct sockaddr_in *)&server.address;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&server.address;

	if (inet_pton(AF_INET, address, &v4->sin_addr) == 1) {
		v4->sin_family = server.family = AF_INET;
		v4->sin_port = htons(atoi(port));
		server.length = sizeof(*v4);
	} else if (inet_pton(AF_INET6, address, &v6->sin6_addr) == 1) {
		v6->sin6_family = server.family = AF_INET6;
		v6->sin6_port = htons(atoi(port));
		server.length = sizeof(*v6);
	} else {
		fail_plainly("the server is not an IP address");
	}
	return server;
}

static inline int socket_to(const struct server *server, int type)
{
	struct timeval patience = { .tv_sec = ANSWER_TIMEOUT_SECONDS };
	int fd = socket(server->family, type, 0);

	if (fd < 0)
		fail("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		fail("SO_RCVTIMEO");
	return fd;
}

static inline int connected_to(const struct server *server, int type)
{
	int fd = socket_to(server, type);

	if (connect(fd, (const struct sockaddr *)&server->address, server->length))
		fail("connect");
	return fd;
}

/*
 * A name in presentation form (`\DDD` is a byte, `\.` a dot inside a label)
 * as labels; `.` alone is the root. Case stays as written.
 */
static inline size_t name_write(uint8_t *to, size_t room, const char *name)
{
	size_t at = 1, label = 0;

	if (!strcmp(name, "."))
		name = "";
	while (*name) {
		unsigned byte = (unsigned char)*name++;

		if (byte == '.') {
			to[label] = at - label - 1;
			label = at++;
			continue;
		}
		if (byte == '\\' && name[0] >= '0' && name[0] <= '9') {
			if (sscanf(name, "%3u", &byte) != 1 || byte > 255)
				fail_plainly("a name has a wrong escape");
			name += 3;
		} else if (byte == '\\' && name[0]) {
			byte = (unsigned char)*name++;
		}
		if (at + 2 > room || at - label > 63)
			fail_plainly("a name or a label is too long");
		to[at++] = byte;
	}
	to[label] = at - label - 1;
	if (to[label])
		to[at++] = 0;
	return at;
}

static inline struct query query_typed(const char *name, uint16_t qtype)
{
	struct query query = { 0 };
	size_t at = 12;

	if (getrandom(&query.id, sizeof(query.id), 0) != sizeof(query.id))
		fail("getrandom");
	query.bytes[0] = query.id >> 8;
	query.bytes[1] = query.id & 0xff;
	query.bytes[2] = 1; /* RD */
	query.bytes[5] = 1; /* QDCOUNT */
	at += name_write(query.bytes + at, 256, name);
	query.bytes[at++] = qtype >> 8;
	query.bytes[at++] = qtype & 0xff;
	query.bytes[at++] = 0;
	query.bytes[at++] = 1; /* IN */
	query.length = at;
	return query;
}

static inline struct query query_for(const char *name)
{
	return query_typed(name, QTYPE_A);
}

static inline int answers(const struct query *query, const uint8_t *bytes, ssize_t length)
{
	return length >= 12 && bytes[0] == query->id >> 8 && bytes[1] == (query->id & 0xff) && bytes[2] & 0x80;
}

/* Waits on a datagram socket for the answer. Other datagrams are let go by. */
static inline void datagram_answer(int fd, const struct query *query)
{
	static uint8_t bytes[MESSAGE_SIZE];
	ssize_t length;

	do {
		length = recv(fd, bytes, sizeof(bytes), 0);
		if (length < 0)
			fail("no answer");
	} while (!answers(query, bytes, length));
}

static inline void read_exactly(int fd, uint8_t *to, size_t length)
{
	while (length) {
		ssize_t got = recv(fd, to, length, 0);

		if (got < 0)
			fail("no answer");
		if (got == 0)
			fail_plainly("the server closed the connection");
		to += got;
		length -= got;
	}
}

/* Waits on a stream socket for the next message, which must be the answer. */
static inline void stream_answer(int fd, const struct query *query)
{
	static uint8_t bytes[MESSAGE_SIZE];
	uint8_t prefix[2];
	size_t length;

	read_exactly(fd, prefix, 2);
	length = prefix[0] << 8 | prefix[1];
	read_exactly(fd, bytes, length);
	if (!answers(query, bytes, length))
		fail_plainly("the next message on the stream is not the answer");
}

static inline void send_exactly(int fd, const uint8_t *bytes, size_t length)
{
	ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);

	if (sent < 0 || (size_t)sent != length)
		fail("send");
}

/* `p<pid>-t<tid>.<suffix>`: the name says who asks, so that a test can hold the document against it. */
static inline const char *name_of_asker(const char *suffix)
{
	static _Thread_local char name[256];

	snprintf(name, sizeof(name), "p%d-t%ld.%s", getpid(), syscall(SYS_gettid), suffix);
	return name;
}

#endif
