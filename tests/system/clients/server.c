/*
 * server READY PORT ADDRESS...: a DNS server over UDP and TCP that does what a label of the name
 * asked for says. READY is made once every socket is bound.
 *
 *   silent        nothing comes back
 *   delay-N       the answer comes N milliseconds late
 *   dup           the answer comes twice
 *   nxdomain, servfail, refused, nodata
 *   truncate      TC and no record over UDP, everything over TCP
 *   cname         a chain of two aliases: one.REST, two.REST, where REST follows the first label
 *   big           4 KB of records
 *   unsolicited   after the answer another one, for never-asked.REST
 *   malformed     the record's data runs past the end of the message
 *   split         over TCP the answer comes in odd pieces
 *   close         over TCP the connection is closed in the middle of the answer
 *
 * Any other name has one A or AAAA record: 198.18.0.1 or 2001:db8::1.
 */
#define _GNU_SOURCE
#include "query.h"

#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>

#define MOST_SOCKETS 32
#define HEADER 12
#define TTL 300
#define QTYPE_CNAME 5
#define QTYPE_TXT 16
#define BIG_ANSWER 4000

struct question {
	const uint8_t *message;
	size_t end;  /* of the question section */
	size_t rest; /* where the labels after the first one begin */
	uint16_t qtype;
};

struct reply {
	uint8_t bytes[8192];
	size_t length;
};

static void put8(struct reply *reply, unsigned value)
{
	reply->bytes[reply->length++] = value;
}

static void put16(struct reply *reply, unsigned value)
{
	put8(reply, value >> 8);
	put8(reply, value & 0xff);
}

static void put_bytes(struct reply *reply, const void *bytes, size_t length)
{
	memcpy(reply->bytes + reply->length, bytes, length);
	reply->length += length;
}

static void count_record(struct reply *reply)
{
	unsigned records = (reply->bytes[6] << 8 | reply->bytes[7]) + 1;

	reply->bytes[6] = records >> 8;
	reply->bytes[7] = records & 0xff;
}

static int question_of(const uint8_t *message, ssize_t length, struct question *question)
{
	size_t at = HEADER;

	if (length < HEADER + 5 || message[2] & 0x80)
		return 0;
	while (message[at]) {
		at += message[at] + 1;
		if (at + 5 > (size_t)length)
			return 0;
	}
	*question = (struct question){
		.message = message,
		.end = at + 5,
		.rest = HEADER + message[HEADER] + (message[HEADER] ? 1 : 0),
		.qtype = message[at + 1] << 8 | message[at + 2],
	};
	return 1;
}

/* The number after `word` in a label; 1 when the label is the word alone; 0 when no label says it. */
static unsigned says(const struct question *question, const char *word)
{
	size_t size = strlen(word);

	for (const uint8_t *label = question->message + HEADER; *label; label += *label + 1) {
		if (*label < size || strncasecmp((const char *)label + 1, word, size))
			continue;
		if (*label == size)
			return 1;
		if (label[1 + size] == '-')
			return atoi((const char *)label + 2 + size);
	}
	return 0;
}

static void begin(struct reply *reply, const struct question *question)
{
	reply->length = 0;
	put_bytes(reply, question->message, question->end);
	reply->bytes[2] = 0x84 | (question->message[2] & 1); /* QR AA, RD as asked */
	reply->bytes[3] = 0x80;                              /* RA */
	memset(reply->bytes + 6, 0, 6);
}

static void record(struct reply *reply, unsigned owner, unsigned rtype)
{
	count_record(reply);
	put16(reply, 0xc000 | owner);
	put16(reply, rtype);
	put16(reply, 1);
	put16(reply, 0);
	put16(reply, TTL);
}

static void address(struct reply *reply, unsigned owner, unsigned rtype, unsigned number)
{
	static const uint8_t v6[14] = { 0x20, 0x01, 0x0d, 0xb8 };

	record(reply, owner, rtype);
	if (rtype == QTYPE_AAAA) {
		put16(reply, 16);
		put_bytes(reply, v6, sizeof(v6));
		put16(reply, number);
	} else {
		put16(reply, 4);
		put16(reply, 198 << 8 | 18);
		put16(reply, number);
	}
}

/* An alias from the name at `owner` to LABEL.REST; where that name stands is given back. */
static unsigned alias(struct reply *reply, const struct question *question, unsigned owner, const char *label)
{
	unsigned target;

	record(reply, owner, QTYPE_CNAME);
	put16(reply, strlen(label) + 3);
	target = reply->length;
	put8(reply, strlen(label));
	put_bytes(reply, label, strlen(label));
	put16(reply, 0xc000 | question->rest);
	return target;
}

static void big(struct reply *reply, const struct question *question)
{
	char text[250];

	memset(text, 'x', sizeof(text));
	for (unsigned number = 1; reply->length < BIG_ANSWER; number++) {
		if (question->qtype != QTYPE_TXT) {
			address(reply, HEADER, question->qtype, number);
			continue;
		}
		record(reply, HEADER, QTYPE_TXT);
		put16(reply, sizeof(text) + 1);
		put8(reply, sizeof(text));
		put_bytes(reply, text, sizeof(text));
	}
}

static void answer(struct reply *reply, const struct question *question, int datagram)
{
	unsigned owner = HEADER;

	begin(reply, question);
	if (says(question, "nodata"))
		return;
	if (says(question, "servfail")) {
		reply->bytes[3] |= 2;
	} else if (says(question, "nxdomain")) {
		reply->bytes[3] |= 3;
	} else if (says(question, "refused")) {
		reply->bytes[3] |= 5;
	} else if (says(question, "truncate") && datagram) {
		reply->bytes[2] |= 2;
	} else if (says(question, "big")) {
		big(reply, question);
	} else {
		if (says(question, "cname")) {
			owner = alias(reply, question, owner, "one");
			owner = alias(reply, question, owner, "two");
		}
		address(reply, owner, question->qtype == QTYPE_AAAA ? QTYPE_AAAA : QTYPE_A, 1);
	}
	if (says(question, "malformed"))
		reply->length -= 2;
}

/* An answer without a query, under another id. */
static void unsolicited(struct reply *reply, const struct question *question)
{
	static const char name[] = "\013never-asked";
	struct reply of;

	begin(&of, question);
	of.length = HEADER;
	put_bytes(&of, name, sizeof(name) - 1);
	put_bytes(&of, question->message + question->rest, question->end - question->rest);
	of.bytes[0] ^= 0x55;
	*reply = of;
	address(reply, HEADER, QTYPE_A, 2);
}

static void send_datagram(int fd, const struct reply *reply, const struct server *to)
{
	if (sendto(fd, reply->bytes, reply->length, 0, (const struct sockaddr *)&to->address, to->length) < 0)
		perror("server: sendto");
}

static void on_datagram(int fd)
{
	static uint8_t bytes[MESSAGE_SIZE];
	struct server from = { .length = sizeof(from.address) };
	ssize_t length = recvfrom(fd, bytes, sizeof(bytes), 0, (struct sockaddr *)&from.address, &from.length);
	struct question question;
	struct reply reply;
	unsigned delay;

	if (!question_of(bytes, length, &question) || says(&question, "silent"))
		return;
	answer(&reply, &question, 1);
	delay = says(&question, "delay");
	if (delay) {
		if (fork())
			return;
		usleep(delay * 1000);
	}
	send_datagram(fd, &reply, &from);
	if (says(&question, "dup"))
		send_datagram(fd, &reply, &from);
	if (says(&question, "unsolicited")) {
		unsolicited(&reply, &question);
		send_datagram(fd, &reply, &from);
	}
	if (delay)
		_exit(0);
}

static void send_pieces(int fd, const uint8_t *bytes, size_t length)
{
	static const size_t sizes[] = { 1, 1, 5, 7, 3, 13 };
	size_t turn = 0;

	while (length) {
		size_t size = sizes[turn++ % 6];

		if (size > length)
			size = length;
		send_exactly(fd, bytes, size);
		bytes += size;
		length -= size;
		usleep(2000);
	}
}

static void on_connection(int fd)
{
	static uint8_t bytes[MESSAGE_SIZE];
	struct question question;
	struct reply reply;
	uint8_t framed[2 + sizeof(reply.bytes)], prefix[2];
	size_t length;
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	while (recv(fd, prefix, 2, MSG_WAITALL) == 2) {
		length = prefix[0] << 8 | prefix[1];
		if (recv(fd, bytes, length, MSG_WAITALL) != (ssize_t)length)
			return;
		if (!question_of(bytes, length, &question) || says(&question, "silent"))
			continue;
		usleep(says(&question, "delay") * 1000);
		answer(&reply, &question, 0);
		framed[0] = reply.length >> 8;
		framed[1] = reply.length & 0xff;
		memcpy(framed + 2, reply.bytes, reply.length);
		if (says(&question, "close")) {
			send_exactly(fd, framed, reply.length / 2);
			return;
		}
		if (says(&question, "split"))
			send_pieces(fd, framed, reply.length + 2);
		else
			send_exactly(fd, framed, reply.length + 2);
	}
}

static int bound(const struct server *at, int type)
{
	int fd = socket(at->family, type | SOCK_CLOEXEC, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(fd, (const struct sockaddr *)&at->address, at->length))
		fail("server: bind");
	if (type == SOCK_STREAM && listen(fd, 128))
		fail("server: listen");
	return fd;
}

int main(int count, char **arguments)
{
	struct pollfd sockets[MOST_SOCKETS];
	int total = 0;

	if (count < 4 || (count - 3) * 2 > MOST_SOCKETS)
		fail_plainly("usage: server READY PORT ADDRESS...");
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGCHLD, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	for (int at = 3; at < count; at++) {
		struct server address = server_from(arguments[at], arguments[2]);

		sockets[total++] = (struct pollfd){ bound(&address, SOCK_DGRAM), POLLIN, 0 };
		sockets[total++] = (struct pollfd){ bound(&address, SOCK_STREAM), POLLIN, 0 };
	}
	close(creat(arguments[1], 0600));
	for (;;) {
		if (poll(sockets, total, -1) < 0 && errno != EINTR)
			fail("server: poll");
		for (int at = 0; at < total; at++) {
			int connection;

			if (!(sockets[at].revents & POLLIN))
				continue;
			if (at % 2 == 0) {
				on_datagram(sockets[at].fd);
				continue;
			}
			connection = accept(sockets[at].fd, NULL, NULL);
			if (connection >= 0 && fork() == 0) {
				on_connection(connection);
				_exit(0);
			}
			close(connection);
		}
	}
}
