/*
 * enter [--net FILE] [--resolv FILE] [--cgroup DIRECTORY] [--pid-namespace] [--] PROGRAM...: takes this
 * process into a network namespace, a cgroup, a mount namespace in which FILE stands at
 * /etc/resolv.conf, and becomes PROGRAM. The program dies with the test that started it, so that
 * no server outlives a test run that was killed.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void fail(const char *what)
{
	fprintf(stderr, "enter: %s: %s\n", what, strerror(errno));
	exit(1);
}

static void enter_network(const char *file)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail(file);
}

static void enter_cgroup(const char *directory)
{
	char file[4096];
	int fd;

	snprintf(file, sizeof(file), "%s/cgroup.procs", directory);
	fd = open(file, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		fail(file);
}

static void resolve_by(const char *file)
{
	if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("a mount namespace");
	if (mount(file, "/etc/resolv.conf", NULL, MS_BIND, NULL))
		fail("/etc/resolv.conf");
}

/* The program runs as pid 1 of a new pid namespace; this process waits for it. */
static void fork_into_pid_namespace(void)
{
	int status;
	pid_t child;

	if (unshare(CLONE_NEWPID))
		fail("a pid namespace");
	child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		return;
	}
	if (waitpid(child, &status, 0) != child)
		fail("waitpid");
	exit(WIFEXITED(status) ? WEXITSTATUS(status) : 1);
}

int main(int count, char **arguments)
{
	int at = 1, pid_namespace = 0;

	for (; at < count && !strncmp(arguments[at], "--", 2); at++) {
		if (!strcmp(arguments[at], "--")) {
			at++;
			break;
		}
		if (!strcmp(arguments[at], "--pid-namespace")) {
			pid_namespace = 1;
			continue;
		}
		if (at + 1 == count)
			break;
		if (!strcmp(arguments[at], "--net"))
			enter_network(arguments[++at]);
		else if (!strcmp(arguments[at], "--cgroup"))
			enter_cgroup(arguments[++at]);
		else if (!strcmp(arguments[at], "--resolv"))
			resolve_by(arguments[++at]);
	}
	if (at >= count) {
		fprintf(stderr, "usage: enter [--net FILE] [--resolv FILE] [--cgroup DIRECTORY] "
				"[--pid-namespace] [--] PROGRAM...\n");
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (pid_namespace)
		fork_into_pid_namespace();
	execvp(arguments[at], arguments + at);
	fail(arguments[at]);
}
