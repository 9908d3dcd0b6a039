/*
 * owner MODE SERVER PORT SUFFIX [FILE]: lookups whose socket, thread and program do not go
 * together simply. The name asked for is `p<pid>-t<tid>.SUFFIX` of the task that asks.
 *
 *   thread    asked by a second thread with a name of its own
 *   fork      socket opened and connected by the parent, used by the child
 *   fork-tcp  the same over TCP
 *   early     socket connected, FILE.open made, FILE awaited, and only then the query
 *   early-unconnected, early-tcp
 *   exec      the query is sent, then another program takes over the process and gets the answer
 *   exec-tcp
 *   memfd     the program is copied into a memfd, and asks from there
 *   deleted   the program is copied to FILE, run from there, and FILE removed before it asks
 */
#define _GNU_SOURCE
#include "query.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/wait.h>

static int stream; /* over TCP */

static void ask(int fd, const struct server *server, const struct query *query)
{
	uint8_t bytes[2 + sizeof(query->bytes)] = { query->length >> 8, query->length & 0xff };

	memcpy(bytes + 2, query->bytes, query->length);
	if (stream)
		send_exactly(fd, bytes, query->length + 2);
	else if (server)
		sendto(fd, query->bytes, query->length, 0, (const struct sockaddr *)&server->address, server->length);
	else
		send_exactly(fd, query->bytes, query->length);
}

static void get(int fd, const struct query *query)
{
	if (stream)
		stream_answer(fd, query);
	else
		datagram_answer(fd, query);
}

static void lookup(int fd, const struct server *server, const char *suffix)
{
	struct query query = query_for(name_of_asker(suffix));

	ask(fd, server, &query);
	get(fd, &query);
}

struct errand {
	const struct server *server;
	const char *suffix;
};

static void *second_thread(void *given)
{
	struct errand *errand = given;

	prctl(PR_SET_NAME, "the-asker");
	lookup(connected_to(errand->server, SOCK_DGRAM), NULL, errand->suffix);
	return NULL;
}

static void by_thread(const struct server *server, const char *suffix)
{
	struct errand errand = { server, suffix };
	pthread_t thread;

	prctl(PR_SET_NAME, "the-main");
	if (pthread_create(&thread, NULL, second_thread, &errand) || pthread_join(thread, NULL))
		fail_plainly("no thread to be had");
}

static void by_child(const struct server *server, const char *suffix)
{
	int fd = connected_to(server, stream ? SOCK_STREAM : SOCK_DGRAM), status;
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child == 0) {
		lookup(fd, NULL, suffix);
		exit(0);
	}
	if (waitpid(child, &status, 0) != child || status)
		fail_plainly("the child got no answer");
}

static void after_file(int fd, const struct server *server, const char *suffix, const char *file)
{
	char open_file[4096];

	snprintf(open_file, sizeof(open_file), "%s.open", file);
	close(creat(open_file, 0600));
	while (access(file, F_OK))
		usleep(10000);
	lookup(fd, server, suffix);
}

/* The program that takes over finds the socket at FD and knows the message by ID. */
static void by_successor(const struct server *server, const char *suffix)
{
	int fd = connected_to(server, stream ? SOCK_STREAM : SOCK_DGRAM);
	struct query query = query_for(name_of_asker(suffix));
	char fd_text[16], id_text[16];

	snprintf(fd_text, sizeof(fd_text), "%d", fd);
	snprintf(id_text, sizeof(id_text), "%u", query.id);
	ask(fd, NULL, &query);
	execl("/proc/self/exe", "successor", stream ? "successor-tcp" : "successor", fd_text, id_text, "-", NULL);
	fail("exec");
}

/* A copy of this program at fd `to`. */
static void copy_self(int to)
{
	int from = open("/proc/self/exe", O_RDONLY);
	struct stat about;

	if (from < 0 || fstat(from, &about))
		fail("/proc/self/exe");
	for (off_t at = 0; at < about.st_size;)
		if (sendfile(to, from, &at, about.st_size - at) <= 0)
			fail("sendfile");
	close(from);
}

static void from_memfd(char **arguments)
{
	char *new_arguments[] = { "nowhere", "plain", arguments[2], arguments[3], arguments[4], NULL };
	int fd = memfd_create("asker", MFD_CLOEXEC);

	if (fd < 0)
		fail("memfd_create");
	copy_self(fd);
	fexecve(fd, new_arguments, environ);
	fail("fexecve");
}

static void from_file(char **arguments)
{
	char *new_arguments[] = { arguments[5], "plain", arguments[2], arguments[3], arguments[4], arguments[5], NULL };
	int fd = open(arguments[5], O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0700);

	if (fd < 0)
		fail(arguments[5]);
	copy_self(fd);
	close(fd);
	execv(arguments[5], new_arguments);
	fail("exec");
}

int main(int count, char **arguments)
{
	const char *mode = count > 1 ? arguments[1] : "", *suffix, *file;
	struct server server;
	size_t end = strlen(mode);

	if (count < 5)
		fail_plainly("usage: owner MODE SERVER PORT SUFFIX [FILE]");
	stream = end > 4 && !strcmp(mode + end - 4, "-tcp");
	if (!strncmp(mode, "successor", 9)) {
		struct query query = { .id = atoi(arguments[3]) };

		get(atoi(arguments[2]), &query);
		return 0;
	}
	server = server_from(arguments[2], arguments[3]);
	suffix = arguments[4];
	file = count > 5 ? arguments[5] : NULL;

	if (!strcmp(mode, "plain")) {
		if (file)
			unlink(file);
		lookup(connected_to(&server, SOCK_DGRAM), NULL, suffix);
	} else if (!strcmp(mode, "thread")) {
		by_thread(&server, suffix);
	} else if (!strncmp(mode, "fork", 4)) {
		by_child(&server, suffix);
	} else if (!strcmp(mode, "early-unconnected") && file) {
		after_file(socket_to(&server, SOCK_DGRAM), &server, suffix, file);
	} else if (!strncmp(mode, "early", 5) && file) {
		after_file(connected_to(&server, stream ? SOCK_STREAM : SOCK_DGRAM), NULL, suffix, file);
	} else if (!strncmp(mode, "exec", 4)) {
		by_successor(&server, suffix);
	} else if (!strcmp(mode, "memfd")) {
		from_memfd(arguments);
	} else if (!strcmp(mode, "deleted") && file) {
		from_file(arguments);
	} else {
		fail_plainly("no such mode");
	}
	return 0;
}
