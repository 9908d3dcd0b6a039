/*
 * evade MODE SERVER PORT NAME: lookups by a program that would rather not be seen, or not be named.
 *
 *   dns-port      over TCP from local port 5353, which needs no privilege
 *   inverted      over UDP from local port 5353, as if it were an answer (QR bit set); none is waited for
 *   odd           over TCP: four queries with the Z bit (odd-N.NAME), then one for NAME
 *   corked        over TCP: written under a cork, which another program takes away
 *   corked-udp    the same over UDP
 *   killed        over TCP: written under a cork, and the process kills itself
 *   segments      over UDP: eight queries (nN.NAME) in one send, cut apart by the kernel (UDP_SEGMENT)
 *   split         over TCP: all but the last byte is written, which another program adds
 *   udp-lite      over UDP-Lite, without waiting for an answer
 *   zero-copy     over UDP by MSG_ZEROCOPY
 *   zero-copy-tcp the same over TCP
 *   hold          a socket is bound to PORT of SERVER, NAME.open made, and one datagram waited for
 *   unasked       an answer for NAME from port 53 of 127.0.0.1 to PORT of SERVER
 *   finish        the byte 1 is sent by the file descriptor NAME. Run by split
 *   flush         of the file descriptor NAME: the cork is taken away. Run by corked and corked-udp
 */
#define _GNU_SOURCE
#include "query.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <signal.h>
#include <sys/wait.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef SO_ZEROCOPY
#define SO_ZEROCOPY 60
#endif
#ifndef MSG_ZEROCOPY
#define MSG_ZEROCOPY 0x4000000
#endif
#ifndef IPPROTO_UDPLITE
#define IPPROTO_UDPLITE 136
#endif

static int from_dns_port(const struct server *server, int type)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(5353) };
	int fd = socket_to(server, type);

	if (bind(fd, (struct sockaddr *)&local, sizeof(local)))
		fail("bind to port 5353");
	if (connect(fd, (const struct sockaddr *)&server->address, server->length))
		fail("connect");
	return fd;
}

static void ask_stream(int fd, const struct query *query)
{
	uint8_t bytes[2 + sizeof(query->bytes)] = { query->length >> 8, query->length & 0xff };

	memcpy(bytes + 2, query->bytes, query->length);
	send_exactly(fd, bytes, query->length + 2);
}

static void set(int fd, int level, int option, int value)
{
	if (setsockopt(fd, level, option, &value, sizeof(value)))
		fail("setsockopt");
}

static void odd(const struct server *server, const char *name)
{
	int fd = connected_to(server, SOCK_STREAM);
	struct query query;
	char other[300];

	for (int number = 0; number < 4; number++) {
		snprintf(other, sizeof(other), "odd-%d.%s", number, name);
		query = query_for(other);
		query.bytes[3] |= 0x40; /* Z */
		ask_stream(fd, &query);
		stream_answer(fd, &query);
	}
	query = query_for(name);
	ask_stream(fd, &query);
	stream_answer(fd, &query);
}

/* Runs this program again, as a child, with a mode and a file descriptor. */
static void let_another(const char *mode, const char *protocol, int fd)
{
	char number[16];
	int status;

	snprintf(number, sizeof(number), "%d", fd);
	if (!fork()) {
		execl("/proc/self/exe", "another", mode, protocol, "0", number, NULL);
		_exit(1);
	}
	if (wait(&status) < 0 || status)
		fail_plainly("the other program failed");
}

static void split(const struct server *server, const char *name)
{
	int fd = connected_to(server, SOCK_STREAM);
	struct query query = query_for(name);
	uint8_t bytes[2 + sizeof(query.bytes)] = { query.length >> 8, query.length & 0xff };

	memcpy(bytes + 2, query.bytes, query.length);
	set(fd, IPPROTO_TCP, TCP_NODELAY, 1);
	/* The last byte is that of the class IN: 1. */
	send_exactly(fd, bytes, query.length + 1);
	let_another("finish", "tcp", fd);
	stream_answer(fd, &query);
}

static void zero_copy(const struct server *server, const char *name, int stream)
{
	int fd = connected_to(server, stream ? SOCK_STREAM : SOCK_DGRAM);
	struct query query = query_for(name);
	uint8_t bytes[2 + sizeof(query.bytes)] = { query.length >> 8, query.length & 0xff };
	size_t from = stream ? 0 : 2, length = query.length + 2 - from;

	memcpy(bytes + 2, query.bytes, query.length);
	set(fd, SOL_SOCKET, SO_ZEROCOPY, 1);
	if (send(fd, bytes + from, length, MSG_ZEROCOPY) != (ssize_t)length)
		fail("send");
	if (stream)
		stream_answer(fd, &query);
	else
		datagram_answer(fd, &query);
}

static void udp_lite(const struct server *server, const char *name)
{
	int fd = socket(server->family, SOCK_DGRAM, IPPROTO_UDPLITE);
	struct query query = query_for(name);

	if (fd < 0)
		fail("socket");
	if (sendto(fd, query.bytes, query.length, 0, (const struct sockaddr *)&server->address, server->length) < 0)
		fail("sendto");
}

static void corked(const struct server *server, const char *name, int stream)
{
	int fd = connected_to(server, stream ? SOCK_STREAM : SOCK_DGRAM);
	struct query query = query_for(name);

	set(fd, stream ? IPPROTO_TCP : IPPROTO_UDP, stream ? TCP_CORK : UDP_CORK, 1);
	if (stream)
		ask_stream(fd, &query);
	else
		send_exactly(fd, query.bytes, query.length);
	let_another("flush", stream ? "tcp" : "udp", fd);
	if (stream)
		stream_answer(fd, &query);
	else
		datagram_answer(fd, &query);
}

static void killed(const struct server *server, const char *name)
{
	int fd = connected_to(server, SOCK_STREAM);
	struct query query = query_for(name);

	set(fd, IPPROTO_TCP, TCP_CORK, 1);
	ask_stream(fd, &query);
	kill(getpid(), SIGKILL);
}

static void segments(const struct server *server, const char *suffix)
{
	int fd = connected_to(server, SOCK_DGRAM), asked = 8;
	struct query queries[8];
	uint8_t bytes[8 * 512];
	size_t length = 0;
	char name[300];

	for (int number = 0; number < asked; number++) {
		snprintf(name, sizeof(name), "n%d.%s", number, suffix);
		queries[number] = query_for(name);
		memcpy(bytes + length, queries[number].bytes, queries[number].length);
		length += queries[number].length;
	}
	set(fd, IPPROTO_UDP, UDP_SEGMENT, queries[0].length);
	send_exactly(fd, bytes, length);
	for (int number = 0; number < asked; number++)
		if (recv(fd, bytes, sizeof(bytes), 0) < 12)
			fail("no answer");
}

static void hold(const struct server *server, const char *name)
{
	int fd = socket_to(server, SOCK_DGRAM);
	uint8_t bytes[512];
	char file[4096];

	if (bind(fd, (const struct sockaddr *)&server->address, server->length))
		fail("bind");
	snprintf(file, sizeof(file), "%s.open", name);
	close(open(file, O_CREAT | O_WRONLY, 0644));
	if (recv(fd, bytes, sizeof(bytes), 0) < 12)
		fail("no datagram");
}

static void unasked(const struct server *server, const char *name)
{
	struct sockaddr_in local = { .sin_family = AF_INET, .sin_port = htons(53), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	static const uint8_t record[] = { 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 198, 18, 7, 7 };
	int fd = socket_to(server, SOCK_DGRAM);
	struct query query = query_for(name);

	query.bytes[2] |= 0x80; /* QR */
	query.bytes[7] = 1;     /* ANCOUNT */
	memcpy(query.bytes + query.length, record, sizeof(record));
	query.length += sizeof(record);
	if (bind(fd, (struct sockaddr *)&local, sizeof(local)))
		fail("bind to port 53");
	if (connect(fd, (const struct sockaddr *)&server->address, server->length))
		fail("connect");
	send_exactly(fd, query.bytes, query.length);
}

int main(int count, char **arguments)
{
	const char *mode, *name;
	struct server server;
	struct query query;
	int fd;

	if (count == 5 && !strcmp(arguments[1], "flush")) {
		int stream = !strcmp(arguments[2], "tcp");

		set(atoi(arguments[4]), stream ? IPPROTO_TCP : IPPROTO_UDP, stream ? TCP_CORK : UDP_CORK, 0);
		/* UDP lets the datagram go with the next send. */
		return !stream && send(atoi(arguments[4]), "", 0, 0) < 0;
	}
	if (count == 5 && !strcmp(arguments[1], "finish"))
		return send(atoi(arguments[4]), "\1", 1, 0) != 1;
	if (count != 5)
		fail_plainly("usage: evade MODE SERVER PORT NAME");
	mode = arguments[1];
	server = server_from(arguments[2], arguments[3]);
	name = arguments[4];
	if (!strcmp(mode, "dns-port")) {
		query = query_for(name);
		fd = from_dns_port(&server, SOCK_STREAM);
		ask_stream(fd, &query);
		stream_answer(fd, &query);
	} else if (!strcmp(mode, "inverted")) {
		query = query_for(name);
		query.bytes[2] |= 0x80;
		fd = from_dns_port(&server, SOCK_DGRAM);
		send_exactly(fd, query.bytes, query.length);
	} else if (!strcmp(mode, "odd")) {
		odd(&server, name);
	} else if (!strcmp(mode, "corked")) {
		corked(&server, name, 1);
	} else if (!strcmp(mode, "corked-udp")) {
		corked(&server, name, 0);
	} else if (!strcmp(mode, "killed")) {
		killed(&server, name);
	} else if (!strcmp(mode, "segments")) {
		segments(&server, name);
	} else if (!strcmp(mode, "split")) {
		split(&server, name);
	} else if (!strcmp(mode, "udp-lite")) {
		udp_lite(&server, name);
	} else if (!strcmp(mode, "zero-copy")) {
		zero_copy(&server, name, 0);
	} else if (!strcmp(mode, "zero-copy-tcp")) {
		zero_copy(&server, name, 1);
	} else if (!strcmp(mode, "hold")) {
		hold(&server, name);
	} else if (!strcmp(mode, "unasked")) {
		unasked(&server, name);
	} else {
		fail_plainly("there is no such mode");
	}
	return 0;
}
