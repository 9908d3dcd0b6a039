/* resolve NAME [inet|inet6]: a lookup the way most programs do it, getaddrinfo of the C library. */
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

int main(int count, char **arguments)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *found;
	int error;

	if (count == 3)
		hints.ai_family = strcmp(arguments[2], "inet6") ? AF_INET : AF_INET6;
	if (count < 2 || count > 3) {
		fprintf(stderr, "usage: resolve NAME [inet|inet6]\n");
		return 1;
	}
	error = getaddrinfo(arguments[1], NULL, &hints, &found);
	if (error) {
		fprintf(stderr, "%s: %s\n", arguments[1], gai_strerror(error));
		return 1;
	}
	freeaddrinfo(found);
	return 0;
}
