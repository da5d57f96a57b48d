/*
 * The capture: steers what the rules name into a TUN device, lets out of it what the rules allow,
 * and keeps both from ever happening by another way. ARCHITECTURE of it: see capture.c.
 *
 * Life of an agent: tun_new, capture_new, capture_start; then privileges may be dropped to
 * CAP_NET_ADMIN (kept for the stop); at the end tun_free, capture_stop, capture_free.
 */
#ifndef ENG_ENTA_CAPTURE_H
#define ENG_ENTA_CAPTURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "enta/rules.h"

struct capture;
struct tun;

#define CAPTURE_INSTANCE_DEFAULT "enta"

enum {
	CAPTURE_INSTANCE_MAX = 20, /* characters, [a-z0-9-] */
	CAPTURE_ADDRS_MAX = 64,
	CAPTURE_MESSAGE_MAX = 512,
	CAPTURE_LINE_MAX = RULE_LINE_MAX + 128,
	/* Priorities of FIB rules and numbers of routing tables that instances live in; DESIGN:
	 * below the main table's 32766, above nothing that a distribution installs. */
	CAPTURE_SLOTS = 5000,
	CAPTURE_FROM_BASE = 5000,      /* 1 for a slot: 5000 to 9999 */
	CAPTURE_PRIORITY_BASE = 10000, /* 4 for a slot: 10000 to 29999 */
	CAPTURE_TABLE_BASE = 690000,   /* 1 for a slot: 690000 to 694999 */
};

struct capture_addr {
	struct addr addr;
	uint8_t len; /* of the network that lies behind the TUN */
};

/* Borrowed with all that it points to until capture_free(). */
struct capture_config {
	const char *instance;
	const char *tun_name;
	const struct capture_addr *addrs; /* at least one; the first of a family is its source */
	size_t n_addrs;
	const struct capture_rule *rules;
	size_t n_rules;
	const struct replay_rule *replays;
	size_t n_replays;
	uint32_t fwmark; /* SO_MARK of the agent's own sockets; not 0. They are never captured. */
	uint32_t mtu;
};

/*
 * Checks the configuration and opens what the other calls use, so that they need CAP_NET_ADMIN and
 * no further descriptor. 0; -errno with a sentence in message.
 */
MUST_USE int capture_new(const struct capture_config *cfg, struct capture **out,
			 char message[CAPTURE_MESSAGE_MAX]);
void capture_free(struct capture *c); /* changes nothing in the kernel */

/*
 * Refuses what the rules capture, without a TUN (`enta guard`, from boot on). The guard is marked:
 * a clean stop of an agent goes back to it. -EBUSY while the TUN exists.
 */
MUST_USE int capture_guard(struct capture *c);
/* Whether such a guard stands; asked before the start or at any time after it. */
MUST_USE int capture_guard_present(struct capture *c, bool *out);
/*
 * Guard first (replacing at once what a crash or a guard left), then the TUN's addresses and
 * routes. After an error what is captured is refused: call capture_stop().
 */
MUST_USE int capture_start(struct capture *c, const struct tun *t);
/* Removes all of ours and nothing else, or with keep_guard goes back to the guard. Twice is
 * harmless. */
MUST_USE int capture_stop(struct capture *c, bool keep_guard);
/* The same by hand, after a crash: all of this instance that is left, its guard too. */
MUST_USE int capture_cleanup(const char *instance, char message[CAPTURE_MESSAGE_MAX]);

/* What the last failed call has to say, for the log; "" when there is nothing but its errno. */
const char *capture_message(const struct capture *c);
/* What the last capture_start() or capture_stop() could not do and did without, "" for none. */
const char *capture_warning(const struct capture *c);

/* "captures tcp any -> port 7, to 192.168.0.254:6978 via eng0; IPv6 is refused" for rule i. */
const char *capture_describe_rule(const struct capture_config *cfg, size_t i,
				  char out[CAPTURE_LINE_MAX]);
/* "accepts tcp any address port 6978, to local port 7 from eng0" for replay i. */
const char *capture_describe_replay(const struct capture_config *cfg, size_t i,
				    char out[CAPTURE_LINE_MAX]);

/* The number that priorities and table of an instance follow from, below CAPTURE_SLOTS. */
uint32_t capture_slot(const char *instance);
bool capture_instance_is_valid(const char *instance);
/* The first TUN address of a family, or NULL. */
const struct addr *capture_first_addr(const struct capture_config *cfg, int family);
/* Everything is to and from a network: an any rule with a CIDR and no ports, or any/ alone. */
bool capture_rule_is_network(const struct capture_rule *r);

/* The nftables script, for nft_run(); the caller frees it. NULL when memory is short. */
char *capture_nft_script(const struct capture_config *cfg);

#endif
