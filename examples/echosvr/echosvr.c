/*
 * echosvr: a TCP echo client and server (RFC 862), the smallest application to try a chain with.
 * It knows nothing of ENG: that is what it is for.
 */
#include "echosvr.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/addr.h"
#include "conf/option.h"

enum { OPT_HOST, OPT_PORT, OPT_SIZE, OPT_COUNT, OPT_TIMEOUT };

static const struct option_spec specs[] = {
	[OPT_HOST] = { "host", "HOST",
		       "connect to, or listen at, this name or address\n"
		       "(client: 127.0.0.1, server: every address)" },
	[OPT_PORT] = { "port", "PORT", "TCP port (7)" },
	[OPT_SIZE] = { "size", "BYTES", "client: bytes of a message (4096)" },
	[OPT_COUNT] = { "count", "N", "client: messages, one after the other (1)" },
	[OPT_TIMEOUT] = { "timeout", "SECONDS", "client: give up after this long a silence (30)" },
};

static const struct option_program program = {
	.name = "echosvr",
	.usage = "echosvr client [--host HOST] [--port PORT] [--size BYTES] [--count N]\n"
		 "       echosvr server [--host HOST] [--port PORT]",
	.summary = "A TCP echo server, and a client that checks what comes back.",
	.options = specs,
	.n_options = ARRAY_LEN(specs),
	.footer = "More: man echosvr",
};

static const char *set_option(void *ctx, size_t index, const char *value)
{
	struct echo_options *o = ctx;
	unsigned long n;

	switch (index) {
	case OPT_HOST:
		o->host = value;
		return NULL;
	case OPT_PORT:
		if (!number_parse(value, 1, 65535, &n))
			return "not a port; a number from 1 to 65535 would be right";
		o->port = value;
		return NULL;
	case OPT_SIZE:
		if (!number_parse(value, 1, ECHO_SIZE_MAX, &n))
			return "not a size; a number from 1 to 1073741824 would be right";
		o->size = n;
		return NULL;
	case OPT_COUNT:
		if (!number_parse(value, 1, 1000000000, &n))
			return "not a count; a number from 1 to 1000000000 would be right";
		o->count = n;
		return NULL;
	case OPT_TIMEOUT:
		if (!number_parse(value, 1, 86400, &n))
			return "not a time; a number of seconds from 1 to 86400 would be right";
		o->timeout_ms = (int)n * 1000;
		return NULL;
	default:
		return "not an option of echosvr";
	}
}

int main(int argc, char **argv)
{
	struct echo_options o = { .port = "7", .size = 4096, .count = 1, .timeout_ms = 30000 };
	const char *role = argc > 1 ? argv[1] : "";
	bool client = strcmp(role, "client") == 0;
	bool named = client || strcmp(role, "server") == 0;
	int r;

	/* The role, where it stands, takes the place of the program's name. */
	r = option_parse(&program, named ? argc - 1 : argc, named ? argv + 1 : argv, set_option,
			 &o);
	if (r == OPTION_E_DONE)
		return EXIT_SUCCESS;
	if (r > 0)
		return EXIT_USAGE;
	if (r < 0)
		return EXIT_FAILURE;
	if (!named) {
		option_complain(&program, "'client' or 'server' must come first");
		return EXIT_USAGE;
	}
	return client ? echo_client(&o) : echo_server(&o);
}
