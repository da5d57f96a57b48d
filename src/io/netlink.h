/*
 * Addresses, links, routes and policy rules over rtnetlink (libmnl), each call one transaction that
 * waits for the kernel's answer. Set-up and clean-up only: nothing here runs on the packet path.
 */
#ifndef ENG_IO_NETLINK_H
#define ENG_IO_NETLINK_H

#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/addr.h"

struct netlink;

MUST_USE int netlink_new(struct netlink **out);
void netlink_free(struct netlink *n);

/* Link: MTU in bytes, up, no IPv6 address of its own making (addr_gen_mode none). 0 or -errno. */
MUST_USE int netlink_link_up(struct netlink *n, unsigned ifindex, uint32_t mtu);
/* An address without the prefix route that the kernel would add (IFA_F_NOPREFIXROUTE), without DAD.
 */
MUST_USE int netlink_addr_add(struct netlink *n, unsigned ifindex, const struct addr *a,
			      uint8_t len);

enum { NETLINK_PROTOCOL = 69 /* 'E': RTA_PROTOCOL and FRA_PROTOCOL of everything we add */ };

struct netlink_route {
	uint32_t table;
	struct prefix dst;   /* len 0 = default, family says which */
	unsigned ifindex;    /* 0 with unreachable */
	struct addr prefsrc; /* none = kernel's choice */
	uint32_t metric;
	uint32_t advmss; /* the largest TCP segment to ask peers for; 0 = by the MTU */
	bool unreachable;
};

MUST_USE int netlink_route_add(struct netlink *n,
			       const struct netlink_route *r); /* create or replace */
MUST_USE int netlink_route_flush(struct netlink *n,
				 uint32_t table); /* every route of a table, both families */

enum netlink_action { NETLINK_LOOKUP, NETLINK_GOTO, NETLINK_NOP, NETLINK_UNREACHABLE };

struct netlink_rule {
	int family; /* AF_INET or AF_INET6 */
	uint32_t priority;
	enum netlink_action action;
	uint32_t table;		       /* lookup */
	uint32_t goto_priority;	       /* goto */
	bool local_only;	       /* iif lo: what this host itself sends */
	struct prefix from, to;	       /* len 0 = any */
	uint8_t ip_protocol;	       /* 0 = any */
	uint16_t dport_min, dport_max; /* 0 = any */
	uint32_t fwmark, fwmask;       /* mask 0 = any */
};

/* Rules of one priority are asked in the order in which they were added; twice adds two. */
MUST_USE int netlink_rule_add(struct netlink *n, const struct netlink_rule *r);
/* Deletes every rule of ours (NETLINK_PROTOCOL) with priority in [min, max]. */
MUST_USE int netlink_rule_flush(struct netlink *n, int family, uint32_t min, uint32_t max);
/* The fwmark of our first rule at a priority. 0; 1 = there is none. */
MUST_USE int netlink_rule_mark(struct netlink *n, int family, uint32_t priority, uint32_t *out);
/* Whether the kernel knows IPv6 at all (ipv6.disable=1 takes it away): without it, calls for
 * AF_INET6 fail. */
bool netlink_has_ipv6(void);

#endif
