/*
 * The rules as users write them: what of this host's traffic is captured, and what may come out of
 * the TUN into this host. Pure: text to structs and back to one line of words.
 *
 *   capture  [tcp/|udp/|icmp/|any/][DST-CIDR][:PORT[-PORT]][=VIA[:PORT]]
 *   replay   [tcp/|udp/|icmp/|any/][AT-ADDR][:PORT[-PORT]][=TO-PORT]
 *
 * Without a protocol word a rule means tcp when it names a port, else any. An IPv6 address followed
 * by a port stands in brackets: [2001:db8::]/64:80. A port before `=` may stand without its colon.
 * icmp is echo requests; any with a port is tcp and udp.
 *
 * A number alone is what the original ENTA does: capture 7 means tcp/:7=192.168.0.254:6978, and
 * replay 7 means tcp/:6978=7.
 */
#ifndef ENG_ENTA_RULES_H
#define ENG_ENTA_RULES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"

#define RULE_DEFAULT_VIA "192.168.0.254" /* the TUN address of the original's server side */

enum {
	RULE_DEFAULT_PORT = 6978, /* where the original's connections meet */
	RULE_TEXT_MAX = 160,	  /* bytes of one rule: two IPv6 addresses, four ports, and room */
	RULE_MESSAGE_MAX = 512,
	RULE_LINE_MAX = 256,
	RULES_MAX = 1000, /* of one kind: each is one lookup rule of the kernel's, asked in order */
};

enum rule_proto { RULE_ANY, RULE_TCP, RULE_UDP, RULE_ICMP };

struct rule_ports {
	uint16_t min, max; /* 0, 0 = any */
};

struct capture_rule {
	enum rule_proto proto;
	struct prefix dst; /* family 0 = anywhere, in both families */
	struct rule_ports ports;
	struct addr via;   /* none = the destination is kept */
	uint16_t via_port; /* 0 = the port is kept */
};

struct replay_rule {
	enum rule_proto proto;
	struct addr at; /* none = whatever address the packet came for */
	struct rule_ports ports;
	uint16_t to_port; /* 0 = the port is kept */
	bool bare;	  /* written as a number alone */
};

/* NULL, or the sentence that says what is wrong, where, and what would be right; it is in message.
 */
MUST_USE const char *capture_rule_parse(const char *text, struct capture_rule *out,
					char message[RULE_MESSAGE_MAX]);
MUST_USE const char *replay_rule_parse(const char *text, struct replay_rule *out,
				       char message[RULE_MESSAGE_MAX]);
/* The same for a set: NULL, or which two claim the same packets. */
MUST_USE const char *replay_rules_check(const struct replay_rule *rules, size_t n,
					char message[RULE_MESSAGE_MAX]);

/* Packets of this family that match may not leave in the clear. */
bool capture_rule_covers(const struct capture_rule *r, int family);
/* And can be carried: a rule without a CIDR whose VIA is IPv4 covers IPv6 but cannot carry it. */
bool capture_rule_carries(const struct capture_rule *r, int family);

/* "tcp any -> port 7, to 192.168.0.254:6978" */
const char *capture_rule_describe(const struct capture_rule *r, char out[RULE_LINE_MAX]);
/* "tcp any address port 6978, to local port 7" */
const char *replay_rule_describe(const struct replay_rule *r, char out[RULE_LINE_MAX]);

#endif
