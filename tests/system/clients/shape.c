/*
 * shape FILE: performs the socket shapes of a file, one a line, and prints which process wrote
 * which bytes: `INDEX PID FROM-TO...`, once for each process of a shape.
 *
 * A shape is its index, then steps in their order:
 *
 *   to=ADDRESS sport=N from=ADDRESS mapped    ends of the socket; `mapped`: IPv4 by an IPv6 socket
 *   server=HEX                                the address of the server as this program keeps it, after `exec`
 *   bytes=HEX                                 what the `w` steps send parts of
 *   udp | tcp                                 opens the socket, and binds it
 *   opt=NAME[:VALUE]                          see set_option
 *   conn                                      connects
 *   w=FROM:LENGTH:FLAGS:HOW                   writes, see write_part; FLAGS are letters of MSG_ flags or `-`
 *   fork | pass | thread | exec               another task goes on: a child, a child that gets the socket by
 *                                             SCM_RIGHTS, a thread, another image of this process
 *   uncork | shut | us=N | kill               kill: by SIGKILL, with all that is pending
 *   read=N:MS                                 waits for N answers, MS milliseconds for each
 */
#define _GNU_SOURCE
#include "query.h"

#include <fcntl.h>
#include <linux/udp.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/uio.h>
#include <sys/wait.h>

#define LINE_MOST (1 << 19)
#define BYTES_MOST (1 << 18)
#define DNS_PORT "53"
#define AGAIN "shape-again"
#define EXEC_SOCKET 8
#define EXEC_LINE 9

static struct shape {
	char index[24];
	char *next; /* the steps that are left */
	int fd;
	int is_stream, is_mapped;
	struct server server;
	char from[64];
	char sport[8];
	uint8_t bytes[BYTES_MOST];
	size_t length;
	char report[4096];
	size_t reported;
} shape;

static void report_begin(void)
{
	shape.reported = snprintf(shape.report, sizeof(shape.report), "%s %d", shape.index, getpid());
}

static void report_part(size_t from, size_t to)
{
	if (shape.reported + 32 < sizeof(shape.report))
		shape.reported += sprintf(shape.report + shape.reported, " %zu-%zu", from, to);
}

/* One write, so that lines of several processes stay apart. */
static void report_end(void)
{
	shape.report[shape.reported++] = '\n';
	if (write(STDOUT_FILENO, shape.report, shape.reported) != (ssize_t)shape.reported)
		fail("stdout");
	report_begin();
}

static size_t read_hex(void *to, size_t room, const char *text)
{
	static const char digits[] = "0123456789abcdef";
	size_t length;

	for (length = 0; text[0] && text[1] && length < room; text += 2) {
		const char *high = strchr(digits, text[0]), *low = strchr(digits, text[1]);

		if (!high || !low)
			fail_plainly("hexadecimal digits are wanted");
		((uint8_t *)to)[length++] = (high - digits) << 4 | (low - digits);
	}
	return length;
}

static void print_hex(int file, const void *bytes, size_t length)
{
	static char text[2 * BYTES_MOST + 1];

	for (size_t at = 0; at < length; at++)
		sprintf(text + 2 * at, "%02x", ((const uint8_t *)bytes)[at]);
	if (write(file, text, 2 * length) != (ssize_t)(2 * length))
		fail("memfd");
}

static void open_socket(int type)
{
	struct server own = server_from(shape.from, shape.sport);
	struct timeval patience = { .tv_usec = 300000 };
	int on = 1;

	shape.is_stream = type == SOCK_STREAM;
	if (shape.is_mapped) {
		struct sockaddr_in6 v6 = { .sin6_family = AF_INET6 };
		struct server *ends[] = { &shape.server, &own };

		for (int at = 0; at < 2; at++) {
			struct sockaddr_in *v4 = (struct sockaddr_in *)&ends[at]->address;

			v6.sin6_port = v4->sin_port;
			memset(&v6.sin6_addr, 0, sizeof(v6.sin6_addr));
			v6.sin6_addr.s6_addr[10] = v6.sin6_addr.s6_addr[11] = 0xff;
			memcpy(v6.sin6_addr.s6_addr + 12, &v4->sin_addr, 4);
			memcpy(&ends[at]->address, &v6, sizeof(v6));
			ends[at]->length = sizeof(v6);
			ends[at]->family = AF_INET6;
		}
	}
	shape.fd = socket_to(&shape.server, type);
	setsockopt(shape.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	setsockopt(shape.fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	/* IPv6 binds to a routed address only so. */
	setsockopt(shape.fd, IPPROTO_IPV6, IPV6_FREEBIND, &on, sizeof(on));
	if (bind(shape.fd, (struct sockaddr *)&own.address, own.length))
		fail("bind");
}

/* An option that this socket does not know is none: the shape goes on without it. */
static void set_option(char *name)
{
	static const uint8_t v4_options[] = { 1, 1, 1, 1, 1, 1, 1, 0 };
	static const uint8_t router_alert[] = { 0x94, 4, 0, 0 };
	static const uint8_t v6_header[16] = { 0, 1, 1, 12 };
	char *value = strchr(name, ':');
	int number = value ? atoi(value + 1) : 1;

	if (value)
		*value = 0;
	if (!strcmp(name, "cork") && shape.is_stream)
		setsockopt(shape.fd, IPPROTO_TCP, TCP_CORK, &number, sizeof(number));
	else if (!strcmp(name, "cork"))
		setsockopt(shape.fd, IPPROTO_UDP, UDP_CORK, &number, sizeof(number));
	else if (!strcmp(name, "nodelay"))
		setsockopt(shape.fd, IPPROTO_TCP, TCP_NODELAY, &number, sizeof(number));
	else if (!strcmp(name, "mss"))
		setsockopt(shape.fd, IPPROTO_TCP, TCP_MAXSEG, &number, sizeof(number));
	else if (!strcmp(name, "segment"))
		setsockopt(shape.fd, IPPROTO_UDP, UDP_SEGMENT, &number, sizeof(number));
	else if (!strcmp(name, "gro"))
		setsockopt(shape.fd, IPPROTO_UDP, UDP_GRO, &number, sizeof(number));
	else if (!strcmp(name, "nocheck"))
		setsockopt(shape.fd, SOL_SOCKET, SO_NO_CHECK, &number, sizeof(number));
	else if (!strcmp(name, "zerocopy"))
		setsockopt(shape.fd, SOL_SOCKET, SO_ZEROCOPY, &number, sizeof(number));
	else if (!strcmp(name, "options"))
		setsockopt(shape.fd, IPPROTO_IP, IP_OPTIONS, v4_options, sizeof(v4_options));
	else if (!strcmp(name, "alert"))
		setsockopt(shape.fd, IPPROTO_IP, IP_OPTIONS, router_alert, sizeof(router_alert));
	else if (!strcmp(name, "hops"))
		setsockopt(shape.fd, IPPROTO_IPV6, IPV6_HOPOPTS, v6_header, sizeof(v6_header));
	else if (!strcmp(name, "destination"))
		setsockopt(shape.fd, IPPROTO_IPV6, IPV6_DSTOPTS, v6_header, sizeof(v6_header));
	else if (!strcmp(name, "defer"))
		setsockopt(shape.fd, IPPROTO_TCP, TCP_FASTOPEN_CONNECT, &number, sizeof(number));
	else
		fail_plainly("no such option");
}

static int flags_of(const char *letters)
{
	int flags = MSG_NOSIGNAL;

	for (; *letters; letters++)
		flags |= *letters == 'm' ? MSG_MORE : *letters == 'o' ? MSG_OOB : *letters == 'z' ? MSG_ZEROCOPY :
			 *letters == 'f' ? MSG_FASTOPEN : *letters == 'e' ? MSG_EOR : *letters == 'd' ? MSG_DONTWAIT : 0;
	return flags;
}

/* From a pipe or a file: the bytes are not the writer's memory. */
static ssize_t move_part(const uint8_t *from, size_t length, int flags, char how)
{
	int ends[2], file;
	ssize_t sent;

	if (how == 'p') {
		if (pipe(ends) || write(ends[1], from, length) != (ssize_t)length)
			fail("pipe");
		sent = splice(ends[0], NULL, shape.fd, NULL, length, flags & MSG_MORE ? SPLICE_F_MORE : 0);
		close(ends[0]);
		close(ends[1]);
		return sent;
	}
	file = memfd_create("bytes", 0);
	if (file < 0 || write(file, from, length) != (ssize_t)length || lseek(file, 0, SEEK_SET))
		fail("memfd");
	sent = sendfile(shape.fd, file, NULL, length);
	close(file);
	return sent;
}

/* HOW: s send, w write, v writev in three parts, m sendmsg, t sendto, M sendmmsg, p splice, f sendfile */
static void write_part(char *step)
{
	size_t from, length;
	char letters[16], how;
	ssize_t sent = -1;
	int flags;

	if (sscanf(step, "%zu:%zu:%15[a-z-]:%c", &from, &length, letters, &how) != 4 || from + length > shape.length)
		fail_plainly("w= wants FROM:LENGTH:FLAGS:HOW");
	flags = flags_of(letters);
	{
		uint8_t *bytes = shape.bytes + from;
		size_t third = length / 3;
		struct iovec parts[] = { { bytes, third }, { bytes + third, third }, { bytes + 2 * third, length - 2 * third } };
		struct mmsghdr message = { .msg_hdr = { .msg_iov = parts, .msg_iovlen = 3 } };

		switch (how) {
		case 's':
			sent = send(shape.fd, bytes, length, flags);
			break;
		case 'w':
			sent = write(shape.fd, bytes, length);
			break;
		case 'v':
			sent = writev(shape.fd, parts, 3);
			break;
		case 'm':
			sent = sendmsg(shape.fd, &message.msg_hdr, flags);
			break;
		case 'M':
			sent = sendmmsg(shape.fd, &message, 1, flags) == 1 ? (ssize_t)message.msg_len : -1;
			break;
		case 't':
			sent = sendto(shape.fd, bytes, length, flags, (struct sockaddr *)&shape.server.address,
				      shape.server.length);
			break;
		default:
			sent = move_part(bytes, length, flags, how);
		}
	}
	if (sent > 0)
		report_part(from, from + sent);
}

static void pass_socket(int to)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(header), &shape.fd, sizeof(int));
	if (sendmsg(to, &message, 0) != 1)
		fail("SCM_RIGHTS");
}

static void receive_socket(int from)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = control,
				  .msg_controllen = sizeof(control) };

	if (recvmsg(from, &message, 0) != 1 || !CMSG_FIRSTHDR(&message))
		fail("SCM_RIGHTS");
	memcpy(&shape.fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(int));
}

static void perform(void);

/* A child goes on; this process waits for its end. */
static void go_on_in_child(int passes)
{
	int ends[2], status;
	pid_t child;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
		fail("socketpair");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		report_begin();
		close(ends[1]);
		if (passes) {
			close(shape.fd);
			receive_socket(ends[0]);
		}
		perform();
		report_end();
		_exit(0);
	}
	if (passes)
		pass_socket(ends[1]);
	close(ends[0]);
	close(ends[1]);
	close(shape.fd);
	shape.fd = -1;
	if (waitpid(child, &status, 0) != child || (WIFEXITED(status) && WEXITSTATUS(status)))
		fail_plainly("a child failed");
	shape.next = NULL;
}

static void *go_on_in_thread(void *unused)
{
	(void)unused;
	perform();
	return NULL;
}

/* The new image reads the steps that are left from a file. */
static void go_on_in_image(void)
{
	int file = memfd_create("steps", 0);
	char number[16];

	report_end();
	if (file < 0)
		fail("memfd");
	dprintf(file, "%s server=", shape.index);
	print_hex(file, &shape.server, sizeof(shape.server));
	dprintf(file, " bytes=");
	print_hex(file, shape.bytes, shape.length);
	dprintf(file, " %s\n", shape.next ? shape.next : "");
	if (lseek(file, 0, SEEK_SET) || dup2(shape.fd, EXEC_SOCKET) < 0 || dup2(file, EXEC_LINE) < 0)
		fail("dup2");
	close(shape.fd);
	snprintf(number, sizeof(number), "%d", shape.is_stream);
	execl("/proc/self/exe", AGAIN, number, NULL);
	fail("exec");
}

static void read_answers(const char *step)
{
	static uint8_t bytes[MESSAGE_SIZE];
	struct pollfd wait = { .fd = shape.fd, .events = POLLIN };
	int count, patience;

	if (sscanf(step, "%d:%d", &count, &patience) != 2)
		fail_plainly("read= wants N:MS");
	while (count-- > 0 && poll(&wait, 1, patience) == 1)
		if (recv(shape.fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			break;
}

static int starts(const char **step, const char *with)
{
	size_t length = strlen(with);

	if (strncmp(*step, with, length))
		return 0;
	*step += length;
	return 1;
}

static void perform(void)
{
	char *step;

	while ((step = strsep(&shape.next, " \n"))) {
		const char *value = step;

		if (!*step)
			continue;
		if (starts(&value, "to="))
			shape.server = server_from(value, DNS_PORT);
		else if (starts(&value, "server="))
			read_hex(&shape.server, sizeof(shape.server), value);
		else if (starts(&value, "from="))
			snprintf(shape.from, sizeof(shape.from), "%s", value);
		else if (starts(&value, "sport="))
			snprintf(shape.sport, sizeof(shape.sport), "%s", value);
		else if (!strcmp(step, "mapped"))
			shape.is_mapped = 1;
		else if (starts(&value, "bytes="))
			shape.length = read_hex(shape.bytes, BYTES_MOST, value);
		else if (!strcmp(step, "udp"))
			open_socket(SOCK_DGRAM);
		else if (!strcmp(step, "tcp"))
			open_socket(SOCK_STREAM);
		else if (starts(&value, "opt="))
			set_option(step + 4);
		else if (!strcmp(step, "conn")) {
			if (connect(shape.fd, (struct sockaddr *)&shape.server.address, shape.server.length))
				return; /* the server is busy: nothing was asked */
		} else if (starts(&value, "w="))
			write_part(step + 2);
		else if (!strcmp(step, "fork") || !strcmp(step, "pass"))
			go_on_in_child(*step == 'p');
		else if (!strcmp(step, "thread")) {
			pthread_t thread;

			if (pthread_create(&thread, NULL, go_on_in_thread, NULL) || pthread_join(thread, NULL))
				fail_plainly("a thread failed");
		} else if (!strcmp(step, "exec"))
			go_on_in_image();
		else if (!strcmp(step, "uncork")) {
			char off[] = "cork:0";

			set_option(off);
		} else if (!strcmp(step, "shut"))
			shutdown(shape.fd, SHUT_WR);
		else if (!strcmp(step, "kill")) {
			report_end();
			raise(SIGKILL);
		} else if (starts(&value, "us="))
			usleep(atoi(value));
		else if (starts(&value, "read="))
			read_answers(value);
		else
			fail_plainly("no such step");
	}
}

/* The image that `exec` goes on with. */
static void perform_rest(const char *is_stream)
{
	static char line[LINE_MOST];
	FILE *steps = fdopen(EXEC_LINE, "r");

	if (!steps || !fgets(line, sizeof(line), steps))
		fail("the steps that are left");
	fclose(steps);
	shape.fd = EXEC_SOCKET;
	shape.is_stream = atoi(is_stream);
	shape.next = line;
	snprintf(shape.index, sizeof(shape.index), "%s", strsep(&shape.next, " "));
	report_begin();
	perform();
	report_end();
}

int main(int count, char **arguments)
{
	static char line[LINE_MOST];
	FILE *lines;

	if (count == 2 && !strcmp(arguments[0], AGAIN)) {
		perform_rest(arguments[1]);
		return 0;
	}
	if (count != 2 || !(lines = fopen(arguments[1], "re")))
		fail("usage: shape FILE");
	signal(SIGPIPE, SIG_IGN);
	while (fgets(line, sizeof(line), lines)) {
		memset(&shape.server, 0, sizeof(shape.server));
		shape.fd = -1;
		shape.is_mapped = shape.length = 0;
		shape.next = line;
		snprintf(shape.index, sizeof(shape.index), "%s", strsep(&shape.next, " "));
		report_begin();
		perform();
		if (shape.fd >= 0)
			close(shape.fd);
		report_end();
	}
	return 0;
}
