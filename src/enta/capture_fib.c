/*
 * The routing half of the capture; what it is for stands in capture.c.
 *
 * An instance's name picks a slot (a hash, so that a restart and a clean-up by hand find what a
 * crash left without any file), the slot picks a rule priority F, four more P to P+3, and a table
 * T:
 *
 *   F    iif lo from TUN-ADDRESS lookup T  replies of replayed services, bound sockets, and
 * redirected connections: ahead of every instance's P, so that two may redirect to agents of the
 * same address P    iif lo fwmark MARK goto P+2      the agent's own link passes by, whatever the
 * rules say P+1  iif lo to NETWORK or VIA lookup T networks behind the TUN, redirected destinations
 *   P+1  iif lo RULE lookup T              one (for tcp and udp: two) for each capture rule
 *   P+1  iif lo RULE unreachable           covered, but not to be carried: IPv6 with an IPv4 VIA
 *   P+2  fwmark NAME-HASH nop              the end, and whose place this is
 *   P+3  fwmark NAME-HASH nop              only with a guard of its own; IPv4 only
 *
 *   T     default dev TUN src ADDRESS metric 1;  unreachable default metric 2^32-1
 *
 * `iif lo` is what this host itself sends: forwarded traffic is never captured. Rules of one
 * priority are asked in the order of their making. When the TUN vanishes, its route goes with it
 * and the unreachable one answers; so it also does for a family in which the TUN has no address.
 *
 * ICMP echo: the kernel keeps an ICMP message's type and code where TCP and UDP keep the
 * destination port, so `ipproto icmp dport 2048` (type 8, code 0) is echo requests and does not
 * take away this host's own replies and errors.
 */
#include "enta/capture_fib.h"

#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

#include "base/err.h"
#include "enta/capture.h"
#include "io/netlink.h"

enum {
	METRIC_TUN = 1,
	/*
	 * Two full TCP packets, each in a frame with its heads (IPv6 and TCP 60, frame 15), in
	 * records of TLS (22 bytes for each 16 KiB) are just below 128 KiB then: what a gateway in
	 * an enclave moves in one exit. By the MTU of 65535 they would be 204 bytes above, which is
	 * an exit for 204 bytes.
	 */
	ADVMSS_TUN = 65360,
};

/* FNV-1a. Names are the operator's own: nobody gains by a collision, and it is noticed. */
static uint32_t name_hash(const char *name)
{
	uint32_t h = 2166136261u;

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * 16777619u;
	return h;
}

uint32_t capture_slot(const char *instance)
{
	return name_hash(instance) % CAPTURE_SLOTS;
}

int fib_init(struct fib *f, const char *instance)
{
	uint32_t slot = capture_slot(instance);

	*f = (struct fib){
		.from_priority = CAPTURE_FROM_BASE + slot,
		.priority = CAPTURE_PRIORITY_BASE + 4 * slot,
		.table = CAPTURE_TABLE_BASE + slot,
		.hash = name_hash(instance),
	};
	return netlink_new(&f->netlink);
}

void fib_deinit(struct fib *f)
{
	netlink_free(f->netlink);
	f->netlink = NULL;
}

int fib_check_owner(const struct fib *f)
{
	uint32_t owner;
	int r = netlink_rule_mark(f->netlink, AF_INET, f->priority + 2, &owner);

	if (r != 0)
		return r > 0 ? 0 : err_pass(r);
	return owner == f->hash ? 0 : 1;
}

static int add_marker(const struct fib *f, int family, uint32_t offset)
{
	struct netlink_rule mark = {
		.family = family,
		.priority = f->priority + offset,
		.action = NETLINK_NOP,
		.fwmark = f->hash,
		.fwmask = UINT32_MAX,
	};
	uint32_t there;
	int r = netlink_rule_mark(f->netlink, family, mark.priority, &there);

	return r > 0 ? netlink_rule_add(f->netlink, &mark) : err_pass(r);
}

static struct netlink_rule lookup(const struct fib *f, int family)
{
	return (struct netlink_rule){
		.family = family,
		.priority = f->priority + 1,
		.action = NETLINK_LOOKUP,
		.table = f->table,
		.local_only = true,
	};
}

/* The networks behind the TUN, its own addresses, and where rules redirect to. */
static int add_home_rules(const struct fib *f, const struct capture_config *cfg, int family)
{
	struct netlink_rule to, from;
	int r = 0;

	for (size_t i = 0; i < cfg->n_addrs && r == 0; i++) {
		const struct capture_addr *a = &cfg->addrs[i];

		if (a->addr.family != family)
			continue;
		to = lookup(f, family);
		to.to = prefix_of(&a->addr, a->len);
		from = lookup(f, family);
		from.priority = f->from_priority;
		from.from = prefix_of(&a->addr, addr_bits(&a->addr));
		r = netlink_rule_add(f->netlink, &to);
		if (r == 0)
			r = netlink_rule_add(f->netlink, &from);
	}
	for (size_t i = 0; i < cfg->n_rules && r == 0; i++) {
		if (cfg->rules[i].via.family != family)
			continue;
		to = lookup(f, family);
		to.to = prefix_of(&cfg->rules[i].via, addr_bits(&cfg->rules[i].via));
		r = netlink_rule_add(f->netlink, &to);
	}
	return err_pass(r);
}

/* What a capture rule names; a rule of the kernel's has one protocol, any with a port means two. */
static int add_capture_rule(const struct fib *f, int family, const struct capture_rule *rule,
			    enum netlink_action action)
{
	struct netlink_rule r = lookup(f, family);
	int ret;

	r.action = action;
	r.to = rule->dst;
	r.dport_min = rule->ports.min;
	r.dport_max = rule->ports.max;
	switch (rule->proto) {
	case RULE_ICMP:
		r.ip_protocol = family == AF_INET ? IPPROTO_ICMP : IPPROTO_ICMPV6;
		r.dport_min = (uint16_t)((family == AF_INET ? ICMP_ECHO : ICMP6_ECHO_REQUEST) << 8);
		r.dport_max = r.dport_min;
		break;
	case RULE_UDP:
		r.ip_protocol = IPPROTO_UDP;
		break;
	case RULE_TCP:
		r.ip_protocol = IPPROTO_TCP;
		break;
	case RULE_ANY:
		if (rule->ports.min == 0)
			break;
		r.ip_protocol = IPPROTO_UDP;
		ret = netlink_rule_add(f->netlink, &r);
		if (ret < 0)
			return err_pass(ret);
		r.ip_protocol = IPPROTO_TCP;
		break;
	}
	return netlink_rule_add(f->netlink, &r);
}

static int add_rules(const struct fib *f, const struct capture_config *cfg, int family)
{
	struct netlink_rule own = {
		.family = family,
		.priority = f->priority,
		.action = NETLINK_GOTO,
		.goto_priority = f->priority + 2,
		.local_only = true,
		.fwmark = cfg->fwmark,
		.fwmask = UINT32_MAX,
	};
	int r;

	/* The end before what leads there, and the way past the rules before the rules. */
	r = add_marker(f, family, 2);
	if (r == 0)
		r = netlink_rule_flush(f->netlink, family, f->priority, f->priority + 1);
	if (r == 0)
		r = netlink_rule_flush(f->netlink, family, f->from_priority, f->from_priority);
	if (r == 0)
		r = netlink_rule_add(f->netlink, &own);
	if (r == 0)
		r = add_home_rules(f, cfg, family);
	for (size_t i = 0; i < cfg->n_rules && r == 0; i++)
		if (capture_rule_carries(&cfg->rules[i], family))
			r = add_capture_rule(f, family, &cfg->rules[i], NETLINK_LOOKUP);
	for (size_t i = 0; i < cfg->n_rules && r == 0; i++)
		if (capture_rule_covers(&cfg->rules[i], family) &&
		    !capture_rule_carries(&cfg->rules[i], family))
			r = add_capture_rule(f, family, &cfg->rules[i], NETLINK_UNREACHABLE);
	return err_pass(r);
}

static int add_unreachable(const struct fib *f, uint8_t family)
{
	struct netlink_route none = {
		.table = f->table,
		.dst = { .addr.family = family },
		.metric = UINT32_MAX,
		.unreachable = true,
	};

	return netlink_route_add(f->netlink, &none);
}

/* Back to a table that leads nowhere. */
static int reset_routes(const struct fib *f)
{
	int r = netlink_route_flush(f->netlink, f->table);

	if (r == 0)
		r = add_unreachable(f, AF_INET);
	if (r == 0 && netlink_has_ipv6())
		r = add_unreachable(f, AF_INET6);
	return err_pass(r);
}

int fib_install(const struct fib *f, const struct capture_config *cfg)
{
	int r = reset_routes(f);

	if (r == 0)
		r = add_rules(f, cfg, AF_INET);
	if (r == 0 && netlink_has_ipv6())
		r = add_rules(f, cfg, AF_INET6);
	return err_pass(r);
}

static int add_tun_route(const struct fib *f, const struct capture_config *cfg, uint8_t family,
			 unsigned ifindex)
{
	const struct addr *own = capture_first_addr(cfg, family);
	struct netlink_route route = {
		.table = f->table,
		.dst = { .addr.family = family },
		.ifindex = ifindex,
		.metric = METRIC_TUN,
		.advmss = ADVMSS_TUN,
	};

	if (!own)
		return 0;
	route.prefsrc = *own;
	return netlink_route_add(f->netlink, &route);
}

int fib_open(const struct fib *f, const struct capture_config *cfg, unsigned ifindex)
{
	int r = add_tun_route(f, cfg, AF_INET, ifindex);

	if (r == 0)
		r = add_tun_route(f, cfg, AF_INET6, ifindex);
	return err_pass(r);
}

static int remove_rules(const struct fib *f, int family)
{
	/* Lookups first and the marker last: an interruption leaves nothing that cannot be found.
	 */
	static const uint32_t order[] = { 1, 0, 3, 2 };
	int r = netlink_rule_flush(f->netlink, family, f->from_priority, f->from_priority);

	for (size_t i = 0; i < ARRAY_LEN(order) && r == 0; i++)
		r = netlink_rule_flush(f->netlink, family, f->priority + order[i],
				       f->priority + order[i]);
	return err_pass(r);
}

int fib_remove(const struct fib *f)
{
	int r = netlink_has_ipv6() ? remove_rules(f, AF_INET6) : 0;

	if (r == 0)
		r = netlink_route_flush(f->netlink, f->table);
	if (r == 0)
		r = remove_rules(f, AF_INET); /* with it the mark of ownership */
	return err_pass(r);
}

int fib_mark_guard(const struct fib *f)
{
	return add_marker(f, AF_INET, 3);
}

int fib_guard_present(const struct fib *f, bool *out)
{
	uint32_t owner;
	int r = netlink_rule_mark(f->netlink, AF_INET, f->priority + 3, &owner);

	if (r < 0)
		return err_pass(r);
	*out = r == 0 && owner == f->hash;
	return 0;
}
