/*
 * The capture without an agent, for test_capture.py:
 *
 *   capture_probe run     --tun NAME --addr A/LEN… [--capture R]… [--replay R]… --mark N --link FD
 *   capture_probe guard   (the same)
 *   capture_probe script  (the same)     prints the nftables script
 *   capture_probe cleanup --instance NAME
 *
 * run relays packets between the TUN and a SOCK_SEQPACKET descriptor (two of these make a tunnel
 * without a gateway), prints "ready" once started, and stops cleanly when its standard input ends.
 * --drop gives up everything but CAP_NET_ADMIN after the start, and the uid of root.
 */
#include <cap-ng.h>
#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/socket.h>

#include "base/err.h"
#include "enta/capture.h"
#include "io/tun.h"

enum { MAX = 16, NOBODY = 65534 };

struct probe {
	struct capture_addr addrs[MAX];
	struct capture_rule rules[MAX];
	struct replay_rule replays[MAX];
	struct capture_config cfg;
	int link;
	bool drop;
};

static _Noreturn void die(const char *what, const char *why)
{
	fprintf(stderr, "%s: %s\n", what, why);
	exit(EXIT_FAILURE);
}

static void check(const char *what, int r, const char *message)
{
	char text[CAPTURE_MESSAGE_MAX + 64];

	if (r >= 0)
		return;
	snprintf(text, sizeof(text), "%s (%s)", err_text(r), message);
	die(what, text);
}

static void parse_addr(struct probe *p, const char *text)
{
	struct capture_addr *a = &p->addrs[p->cfg.n_addrs++];
	struct prefix net;
	char addr[ADDR_TEXT_MAX];

	snprintf(addr, sizeof(addr), "%.*s", (int)strcspn(text, "/"), text);
	if (!prefix_parse(text, true, &net) || !addr_parse(addr, &a->addr))
		die("--addr", text);
	a->len = net.len;
}

static void parse_options(struct probe *p, int argc, char **argv)
{
	static const struct option options[] = {
		{ "instance", required_argument, NULL, 'i' },
		{ "tun", required_argument, NULL, 't' },
		{ "addr", required_argument, NULL, 'a' },
		{ "capture", required_argument, NULL, 'c' },
		{ "replay", required_argument, NULL, 'r' },
		{ "mark", required_argument, NULL, 'm' },
		{ "link", required_argument, NULL, 'l' },
		{ "drop", no_argument, NULL, 'd' },
		{ 0 },
	};
	char message[RULE_MESSAGE_MAX];
	const char *bad = NULL;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
		if (p->cfg.n_addrs == MAX || p->cfg.n_rules == MAX || p->cfg.n_replays == MAX)
			die("options", "too many");
		switch (c) {
		case 'i':
			p->cfg.instance = optarg;
			break;
		case 't':
			p->cfg.tun_name = optarg;
			break;
		case 'a':
			parse_addr(p, optarg);
			break;
		case 'c':
			bad = capture_rule_parse(optarg, &p->rules[p->cfg.n_rules++], message);
			break;
		case 'r':
			bad = replay_rule_parse(optarg, &p->replays[p->cfg.n_replays++], message);
			break;
		case 'm':
			p->cfg.fwmark = (uint32_t)strtoul(optarg, NULL, 0);
			break;
		case 'l':
			p->link = atoi(optarg);
			break;
		case 'd':
			p->drop = true;
			break;
		default:
			die("options", "unknown");
		}
		if (bad)
			die("rule", bad);
	}
}

static void drop_privileges(void)
{
	capng_clear(CAPNG_SELECT_BOTH);
	if (capng_update(CAPNG_ADD, CAPNG_EFFECTIVE | CAPNG_PERMITTED, CAP_NET_ADMIN) != 0 ||
	    capng_change_id(NOBODY, NOBODY, CAPNG_DROP_SUPP_GRP | CAPNG_CLEAR_BOUNDING) != 0)
		die("drop", "capng");
}

static void relay(struct tun *t, int link)
{
	static uint8_t buf[TUN_VNET_HDR + TUN_PACKET_MAX];
	struct tun_queue *q = tun_queue(t, 0);
	struct pollfd fds[] = { { .fd = STDIN_FILENO, .events = POLLIN },
				{ .fd = tun_queue_fd(q), .events = POLLIN },
				{ .fd = link, .events = POLLIN } };
	struct iovec iov = { .iov_base = buf };
	ssize_t n;

	while (poll(fds, ARRAY_LEN(fds), -1) >= 0 && !fds[0].revents) {
		n = fds[1].revents ? tun_read(q, buf, sizeof(buf)) : 0;
		check("tun_read", (int)n, "");
		if (n > 0 && link >= 0 && send(link, buf, (size_t)n, MSG_NOSIGNAL) < 0)
			fds[2].fd = link = -1; /* the peer has gone: packets are lost */
		n = fds[2].revents ? recv(link, buf, sizeof(buf), 0) : 0;
		iov.iov_len = n > 0 ? (size_t)n : 0;
		if (n > 0)
			check("tun_write", tun_write(q, &iov, 1), "");
		else if (fds[2].revents)
			fds[2].fd = link = -1;
	}
}

static void run(struct probe *p, struct capture *c)
{
	char line[CAPTURE_LINE_MAX];
	struct tun *t;
	bool guard;

	check("tun_new",
	      tun_new(p->cfg.tun_name, TUN_OFFLOAD_CSUM | TUN_OFFLOAD_TSO | TUN_OFFLOAD_USO, 1, &t),
	      "");
	check("capture_start", capture_start(c, t), capture_message(c));
	check("capture_guard_present", capture_guard_present(c, &guard), "");
	for (size_t i = 0; i < p->cfg.n_rules; i++)
		puts(capture_describe_rule(&p->cfg, i, line));
	for (size_t i = 0; i < p->cfg.n_replays; i++)
		puts(capture_describe_replay(&p->cfg, i, line));
	if (capture_warning(c)[0])
		printf("warning %s\n", capture_warning(c));
	if (p->drop)
		drop_privileges();
	printf("offloads %u\nready\n", tun_offloads(t));
	fflush(stdout);
	relay(t, p->link);
	tun_free(t);
	check("capture_stop", capture_stop(c, guard), capture_message(c));
}

int main(int argc, char **argv)
{
	struct probe p = { .link = -1 };
	char message[CAPTURE_MESSAGE_MAX];
	const char *verb = argc > 1 ? argv[1] : "";
	struct capture *c;

	p.cfg = (struct capture_config){
		.instance = CAPTURE_INSTANCE_DEFAULT,
		.tun_name = "eng0",
		.addrs = p.addrs,
		.rules = p.rules,
		.replays = p.replays,
		.fwmark = 0x454e47,
		.mtu = 65535,
	};
	parse_options(&p, argc, argv);
	if (strcmp(verb, "cleanup") == 0) {
		check(verb, capture_cleanup(p.cfg.instance, message), message);
		return 0;
	}
	check("capture_new", capture_new(&p.cfg, &c, message), message);
	if (strcmp(verb, "script") == 0) {
		char *script = capture_nft_script(&p.cfg);

		fputs(script ? script : "", stdout);
		free(script);
	} else if (strcmp(verb, "guard") == 0) {
		check(verb, capture_guard(c), capture_message(c));
	} else if (strcmp(verb, "run") == 0) {
		run(&p, c);
	} else {
		die("verb", verb);
	}
	capture_free(c);
	return 0;
}
