/*
 * Round trips of messages over TCP: a blocking client and server without any trick, so that what
 * the path does to an ordinary program shows, Nagle's algorithm and delayed ACKs included.
 *
 *   rtt server PORT [nodelay]
 *   rtt client HOST PORT SIZE MILLISECONDS [nodelay]
 *   rtt machine MILLISECONDS
 *
 * The client sends its size, then sends messages of that size, each in one write after the whole
 * answer to the one before, and prints one line of JSON in microseconds.
 *
 * The third says what this machine takes for the least there is: a system call that does nothing,
 * and a turn, in which a process that waits for one byte of another gets it and runs.
 */
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { SIZE_MAX_BYTES = 1 << 20, SAMPLES_MAX = 1 << 20 };

static uint8_t buf[SIZE_MAX_BYTES];
static double samples[SAMPLES_MAX];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static bool read_all(int fd, size_t n)
{
	for (size_t have = 0; have < n;) {
		ssize_t r = recv(fd, buf + have, n - have, 0);

		if (r <= 0)
			return false;
		have += (size_t)r;
	}
	return true;
}

static void write_all(int fd, const void *p, size_t n)
{
	for (size_t done = 0; done < n;) {
		ssize_t r = send(fd, (const uint8_t *)p + done, n - done, MSG_NOSIGNAL);

		if (r <= 0)
			die("send");
		done += (size_t)r;
	}
}

static void set_nodelay(int fd, bool nodelay)
{
	int on = 1;

	if (nodelay && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) != 0)
		die("TCP_NODELAY");
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e6 + (double)ts.tv_nsec / 1e3;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void serve(int fd)
{
	uint32_t size;

	if (!read_all(fd, sizeof(size)))
		exit(1);
	memcpy(&size, buf, sizeof(size));
	size = ntohl(size);
	if (size == 0 || size > SIZE_MAX_BYTES)
		exit(1);
	while (read_all(fd, size))
		write_all(fd, buf, size);
	exit(0);
}

static int server(const char *port, bool nodelay)
{
	struct sockaddr_in6 a = { .sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)atoi(port)) };
	int fd = socket(AF_INET6, SOCK_STREAM, 0), on = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) != 0 || listen(fd, 64) != 0)
		die("listen");
	signal(SIGCHLD, SIG_IGN);
	fprintf(stderr, "listening\n");
	for (;;) {
		int c = accept(fd, NULL, NULL);

		if (c < 0)
			continue;
		set_nodelay(c, nodelay);
		if (fork() == 0)
			serve(c);
		close(c);
	}
}

static int client(const char *host, const char *port, size_t size, double ms, bool nodelay)
{
	struct addrinfo hints = { .ai_socktype = SOCK_STREAM }, *list;
	uint32_t head = htonl((uint32_t)size);
	size_t n = 0;
	double end;
	int fd;

	if (size == 0 || size > SIZE_MAX_BYTES || getaddrinfo(host, port, &hints, &list) != 0)
		return 2;
	fd = socket(list->ai_family, SOCK_STREAM, 0);
	if (fd < 0 || connect(fd, list->ai_addr, list->ai_addrlen) != 0)
		die("connect");
	freeaddrinfo(list);
	set_nodelay(fd, nodelay);
	write_all(fd, &head, sizeof(head));
	usleep(100000);
	end = now_us() + ms * 1e3;
	for (double t = now_us(), last; t < end && n < SAMPLES_MAX; t = last) {
		write_all(fd, buf, size);
		if (!read_all(fd, size))
			die("recv");
		last = now_us();
		samples[n++] = last - t;
	}
	if (n == 0)
		return 1;
	qsort(samples, n, sizeof(samples[0]), compare);
	printf("{\"n\": %zu, \"p50\": %.1f, \"p99\": %.1f, \"max\": %.1f}\n", n, samples[n / 2],
	       samples[n * 99 / 100], samples[n - 1]);
	return 0;
}

static double one_call(double ms)
{
	const double begin = now_us();
	double now = begin;
	size_t n = 0;

	for (; now - begin < ms * 1e3; now = now_us())
		for (int i = 0; i < 1000; i++, n++)
			syscall(SYS_getppid);
	return (now - begin) / (double)n;
}

static void pass_on(int from, int to)
{
	while (read(from, buf, 1) == 1)
		if (write(to, buf, 1) != 1)
			break;
	exit(0);
}

static double one_turn(double ms)
{
	int there[2], back[2];
	size_t n = 0;
	double end;

	if (pipe(there) != 0 || pipe(back) != 0)
		die("pipe");
	if (fork() == 0) {
		close(there[1]);
		pass_on(there[0], back[1]);
	}
	end = now_us() + ms * 1e3;
	for (double t = now_us(), last; t < end && n < SAMPLES_MAX; t = last) {
		if (write(there[1], buf, 1) != 1 || read(back[0], buf, 1) != 1)
			die("pipe");
		last = now_us();
		samples[n++] = (last - t) / 2;
	}
	close(there[1]);
	qsort(samples, n, sizeof(samples[0]), compare);
	return samples[n / 2];
}

static int machine(double ms)
{
	if (ms <= 0)
		return 2;
	printf("{\"call\": %.3f, ", one_call(ms / 2));
	fflush(stdout);
	printf("\"turn\": %.3f}\n", one_turn(ms / 2));
	return 0;
}

int main(int argc, char **argv)
{
	bool nodelay = argc > 3 && strcmp(argv[argc - 1], "nodelay") == 0;

	if (argc >= 3 && strcmp(argv[1], "server") == 0)
		return server(argv[2], nodelay);
	if (argc >= 6 && strcmp(argv[1], "client") == 0)
		return client(argv[2], argv[3], (size_t)atol(argv[4]), atof(argv[5]), nodelay);
	if (argc == 3 && strcmp(argv[1], "machine") == 0)
		return machine(atof(argv[2]));
	fprintf(stderr, "usage: rtt server PORT [nodelay]\n"
			"       rtt client HOST PORT SIZE MILLISECONDS [nodelay]\n"
			"       rtt machine MILLISECONDS\n");
	return 2;
}
