/*
 * storm COUNT AT-ONCE PROGRAM SERVER PORT SUFFIX LOG: runs PROGRAM (single) COUNT times, AT-ONCE
 * of them side by side, and writes the truth to LOG: `<pid> <number>` a line.
 */
#define _GNU_SOURCE
#include "query.h"

#include <spawn.h>
#include <sys/wait.h>

static void reap(void)
{
	int status;

	if (wait(&status) < 0)
		fail("wait");
	if (status)
		fail_plainly("a process of the storm failed");
}

int main(int count, char **arguments)
{
	int total, at_once, running = 0;
	FILE *log;

	if (count != 8)
		fail_plainly("usage: storm COUNT AT-ONCE PROGRAM SERVER PORT SUFFIX LOG");
	total = atoi(arguments[1]);
	at_once = atoi(arguments[2]);
	log = fopen(arguments[7], "w");
	if (!log)
		fail(arguments[7]);
	for (int number = 0; number < total; number++) {
		char text[16];
		char *one[] = { arguments[3], arguments[4], arguments[5], arguments[6], text, NULL };
		pid_t pid;

		snprintf(text, sizeof(text), "%d", number);
		if (running == at_once) {
			reap();
			running--;
		}
		errno = posix_spawn(&pid, arguments[3], NULL, NULL, one, environ);
		if (errno)
			fail("posix_spawn");
		running++;
		fprintf(log, "%d %d\n", pid, number);
	}
	while (running--)
		reap();
	if (fclose(log))
		fail(arguments[7]);
	return 0;
}
