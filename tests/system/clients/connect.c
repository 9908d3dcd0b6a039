/*
 * connect MODE ...: TCP connections to what a name resolves to, at once.
 *
 *   listen READY PORT             takes connections on every address: reads to the end, sends 1000
 *                                 bytes, closes. READY is made once it listens.
 *   a|aaaa SERVER NAME PORT       looks NAME up at SERVER, port 53, connects to PORT there, sends 100
 *                                 bytes, reads to the end
 *   inherit SERVER NAME PORT      the same, but a child sends and reads, after this process has ended
 *   to ADDRESS PORT               the same without a lookup
 */
#include "query.h"

#include <fcntl.h>

#define REQUEST 100
#define REPLY 1000
#define HEIR_WAITS 300000 /* microseconds */

static void read_to_end(int fd)
{
	uint8_t bytes[4096];
	ssize_t length;

	do {
		length = recv(fd, bytes, sizeof(bytes), 0);
		if (length < 0)
			fail("recv");
	} while (length);
}

static _Noreturn void listening(const char *ready, const char *port)
{
	struct server any = server_from("::", port);
	static uint8_t reply[REPLY];
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) ||
	    bind(fd, (struct sockaddr *)&any.address, any.length) || listen(fd, 64))
		fail("listen");
	if (open(ready, O_CREAT | O_WRONLY, 0644) < 0)
		fail(ready);
	for (;;) {
		int peer = accept(fd, NULL, NULL);

		if (peer < 0)
			fail("accept");
		read_to_end(peer);
		send_exactly(peer, reply, sizeof(reply));
		close(peer);
	}
}

/* The address that the only record of the answer ends with. */
static struct server resolved(const char *resolver, const char *name, uint16_t qtype, const char *port)
{
	struct server server = server_from(resolver, "53");
	struct query query = query_typed(name, qtype);
	int fd = connected_to(&server, SOCK_DGRAM);
	size_t size = qtype == QTYPE_AAAA ? 16 : 4;
	char address[INET6_ADDRSTRLEN];
	uint8_t bytes[512];
	ssize_t length;

	send_exactly(fd, query.bytes, query.length);
	length = recv(fd, bytes, sizeof(bytes), 0);
	if (!answers(&query, bytes, length) || bytes[7] != 1)
		fail_plainly("no answer with one record");
	close(fd);
	inet_ntop(size == 4 ? AF_INET : AF_INET6, bytes + length - size, address, sizeof(address));
	return server_from(address, port);
}

static void talk(int fd)
{
	static const uint8_t request[REQUEST];

	send_exactly(fd, request, sizeof(request));
	if (shutdown(fd, SHUT_WR))
		fail("shutdown");
	read_to_end(fd);
}

int main(int count, char **arguments)
{
	const char *mode = count > 3 ? arguments[1] : "";
	struct server server;
	int fd;

	if (!strcmp(mode, "listen"))
		listening(arguments[2], arguments[3]);
	if (!strcmp(mode, "to"))
		server = server_from(arguments[2], arguments[3]);
	else if (count == 5)
		server = resolved(arguments[2], arguments[3], strcmp(mode, "aaaa") ? QTYPE_A : QTYPE_AAAA, arguments[4]);
	else
		fail_plainly("usage: connect MODE ...");
	fd = connected_to(&server, SOCK_STREAM);
	if (!strcmp(mode, "inherit")) {
		if (fork())
			_exit(0);
		usleep(HEIR_WAITS);
	}
	talk(fd);
	return 0;
}
