/*
 * single SERVER PORT SUFFIX NUMBER: one query for `p<pid>-<NUMBER>.SUFFIX`, and the end, without
 * waiting for anything. Linked statically: the shortest life a real program has.
 */
#include "query.h"

int main(int count, char **arguments)
{
	struct server server;
	struct query query;
	char name[256];

	if (count != 5)
		fail_plainly("usage: single SERVER PORT SUFFIX NUMBER");
	server = server_from(arguments[1], arguments[2]);
	snprintf(name, sizeof(name), "p%d-%s.%s", getpid(), arguments[4], arguments[3]);
	query = query_for(name);
	if (sendto(socket(server.family, SOCK_DGRAM, 0), query.bytes, query.length, 0,
		   (struct sockaddr *)&server.address, server.length) != (ssize_t)query.length)
		fail("sendto");
	_exit(0);
}
