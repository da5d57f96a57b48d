/* The two roles of echosvr; each runs to its end and returns the exit status of the program. */
#ifndef ENG_EXAMPLES_ECHOSVR_H
#define ENG_EXAMPLES_ECHOSVR_H

#include <stddef.h>
#include <stdint.h>

struct echo_options {
	const char *host; /* NULL: loopback for the client, every address for the server */
	const char *port; /* decimal */
	size_t size;	  /* client: bytes of a message */
	size_t count;	  /* client: messages, each after the echo of the one before */
	int timeout_ms;	  /* client: longest silence */
};

enum {
	ECHO_PORT = 7, /* RFC 862 */
	ECHO_SIZE_MAX = 1 << 30,
	ECHO_CONNECTIONS_MAX = 256, /* of the server at once; more wait in the backlog */
	ECHO_BUFFER = 64 * 1024,    /* of a connection of the server */
};

int echo_client(const struct echo_options *o);
int echo_server(const struct echo_options *o);

#endif
