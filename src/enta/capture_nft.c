/*
 * The nftables half of the capture: one table, made anew and whole by each run of the script.
 *
 *   shield     prerouting -300  nobody but the TUN (and this host) speaks to the TUN's addresses
 *   inward     prerouting -150  from the TUN: replies to our own flows, replayed services, no more
 *   replay     prerouting -100  the port that a replayed service is at, and for UDP the address
 *   outward    output -150      the guard: captured, but not on its way into the TUN: refused
 *   divert     output -100      =VIA
 *   stay       postrouting 90   the guard again, after redirection and the routing that follows it
 *   source     postrouting 100  an application bound to another address speaks from the TUN's
 *   leave      postrouting 110  nothing enters the TUN with another source (flows from before us)
 *   transit    forward -150     this host does not route between the TUN and anything else
 *
 * Interfaces are matched by name: the table outlives the TUN, and with it the guard.
 *
 * "home" is where every reply surely goes through the TUN, because a lookup rule says so for any
 * port: the TUN's networks, every VIA, and the networks of any-rules. From elsewhere only what
 * answers from the very address that was asked may come in (TCP, ICMP echo): the answer of, say, a
 * UDP server that is bound to no address would be routed anew, by the main table, in the clear.
 *
 * Established is not enough to be let in: a packet from the TUN that bears the addresses of a
 * connection on another interface would be. Its flow must have the TUN's address as its local end.
 */
#include "enta/capture.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <netinet/ip_icmp.h>

struct script {
	FILE *f;
	const struct capture_config *cfg;
};

static const int families[] = { AF_INET, AF_INET6 };

static const char *ip_word(int family)
{
	return family == AF_INET ? "ip" : "ip6";
}

/* The beginning of a rule: what a packet of a family, towards dst, of a protocol and port looks
 * like. */
static void put_match(const struct script *s, int family, const struct prefix *dst,
		      enum rule_proto proto, const struct rule_ports *ports)
{
	char text[PREFIX_TEXT_MAX], range[16] = "";

	if (ports->min != 0)
		snprintf(range, sizeof(range), " %u-%u", ports->min, ports->max);
	if (ports->min == ports->max && ports->min != 0)
		snprintf(range, sizeof(range), " %u", ports->min);
	if (dst->len > 0)
		fprintf(s->f, "\t\t%s daddr %s", ip_word(family), prefix_format(dst, text));
	else
		fprintf(s->f, "\t\tmeta nfproto %s", family == AF_INET ? "ipv4" : "ipv6");
	if (proto == RULE_ICMP && family == AF_INET)
		fprintf(s->f, " icmp type %d", ICMP_ECHO);
	else if (proto == RULE_ICMP)
		fprintf(s->f, " icmpv6 type %d", ICMP6_ECHO_REQUEST);
	else if (proto == RULE_ANY && range[0])
		fprintf(s->f, " meta l4proto { %d, %d } th dport%s", IPPROTO_TCP, IPPROTO_UDP,
			range);
	else if (range[0])
		fprintf(s->f, " %s dport%s", proto == RULE_TCP ? "tcp" : "udp", range);
	else if (proto != RULE_ANY)
		fprintf(s->f, " meta l4proto %d", proto == RULE_TCP ? IPPROTO_TCP : IPPROTO_UDP);
}

static void put_dnat(const struct script *s, const struct addr *to, uint16_t port)
{
	char text[ADDR_TEXT_MAX];

	addr_format(to, text);
	if (port == 0)
		fprintf(s->f, " dnat %s to %s\n", ip_word(to->family), text);
	else if (to->family == AF_INET)
		fprintf(s->f, " dnat ip to %s:%u\n", text, port);
	else
		fprintf(s->f, " dnat ip6 to [%s]:%u\n", text, port);
}

/* Sets are written element by element; the first opens the list, close_set() ends it. */
static void put_element(const struct script *s, bool *open, const char *text)
{
	fprintf(s->f, "%s%s", *open ? ", " : " elements = { ", text);
	*open = true;
}

static void close_set(const struct script *s, bool open)
{
	fprintf(s->f, "%s }\n", open ? " };" : "");
}

static void put_set_tun(const struct script *s, int family)
{
	char text[ADDR_TEXT_MAX];
	bool open = false;

	fprintf(s->f, "\tset tun_%s { type %s_addr;", ip_word(family),
		family == AF_INET ? "ipv4" : "ipv6");
	for (size_t i = 0; i < s->cfg->n_addrs; i++)
		if (s->cfg->addrs[i].addr.family == family)
			put_element(s, &open, addr_format(&s->cfg->addrs[i].addr, text));
	close_set(s, open);
}

static void put_set_home(const struct script *s, int family)
{
	const struct capture_config *cfg = s->cfg;
	char text[PREFIX_TEXT_MAX];
	bool open = false;

	fprintf(s->f, "\tset home_%s { type %s_addr; flags interval; auto-merge;", ip_word(family),
		family == AF_INET ? "ipv4" : "ipv6");
	for (size_t i = 0; i < cfg->n_addrs; i++) {
		struct prefix p = prefix_of(&cfg->addrs[i].addr, cfg->addrs[i].len);

		if (p.addr.family == family)
			put_element(s, &open, prefix_format(&p, text));
	}
	for (size_t i = 0; i < cfg->n_rules; i++) {
		const struct capture_rule *r = &cfg->rules[i];

		if (r->via.family == family)
			put_element(s, &open, addr_format(&r->via, text));
		if (!capture_rule_is_network(r) || !capture_rule_carries(r, family))
			continue;
		if (r->dst.len > 0)
			put_element(s, &open, prefix_format(&r->dst, text));
		else
			put_element(s, &open, family == AF_INET ? "0.0.0.0/0" : "::/0");
	}
	close_set(s, open);
}

static void put_chain(const struct script *s, const char *name, const char *type, const char *hook,
		      int priority)
{
	fprintf(s->f, "\tchain %s {\n\t\ttype %s hook %s priority %d; policy accept;\n", name, type,
		hook, priority);
}

static void end_chain(const struct script *s)
{
	fputs("\t}\n", s->f);
}

/* A replayed service is let in, per family that has an address to be at. */
static void put_service(const struct script *s, const struct replay_rule *r)
{
	struct prefix at = { .addr = r->at, .len = addr_bits(&r->at) };

	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		if (!capture_first_addr(s->cfg, families[f]) ||
		    (r->at.family != 0 && r->at.family != families[f]))
			continue;
		put_match(s, families[f], &at, r->proto, &r->ports);
		fputs(" ct state new accept\n", s->f);
	}
}

static bool is_own(const struct capture_config *cfg, const struct addr *a)
{
	for (size_t i = 0; i < cfg->n_addrs; i++)
		if (addr_equal(&cfg->addrs[i].addr, a))
			return true;
	return false;
}

/* The service is at this TUN address itself. */
static void put_replay_at(const struct script *s, const struct replay_rule *r,
			  enum rule_proto proto, const struct addr *at)
{
	struct prefix dst = prefix_of(at, addr_bits(at));

	put_match(s, at->family, &dst, proto, &r->ports);
	if (r->to_port != 0)
		put_dnat(s, at, r->to_port);
	else
		fputs(" accept\n", s->f);
}

/*
 * Where a replayed service is: at the TUN address that the rule names, or, for TCP, that the packet
 * came for; in every other case at the first one. There a UDP server that is bound to no address
 * answers from, and its answer is translated back to the address that was asked.
 */
static void put_replay(const struct script *s, const struct replay_rule *r, int family)
{
	struct prefix at = { .addr = r->at, .len = addr_bits(&r->at) };
	const struct capture_config *cfg = s->cfg;
	const struct addr *first = capture_first_addr(cfg, family), *own;

	if (!first || (r->at.family != 0 && r->at.family != family))
		return;
	if (is_own(cfg, &r->at)) {
		put_replay_at(s, r, r->proto, &r->at);
		return;
	}
	for (size_t i = 0; i < cfg->n_addrs; i++) {
		own = &cfg->addrs[i].addr;
		if (own->family == family && own != first && r->at.family == 0 &&
		    (r->proto == RULE_TCP || r->proto == RULE_ANY))
			put_replay_at(s, r, RULE_TCP, own);
	}
	put_match(s, family, &at, r->proto, &r->ports);
	put_dnat(s, first, r->to_port);
}

static void put_inward(const struct script *s)
{
	const struct capture_config *cfg = s->cfg;
	const char *tun = cfg->tun_name;

	put_chain(s, "shield", "filter", "prerouting", -300);
	fprintf(s->f, "\t\tiifname != { \"%s\", \"lo\" } ip daddr @tun_ip drop\n", tun);
	fprintf(s->f, "\t\tiifname != { \"%s\", \"lo\" } ip6 daddr @tun_ip6 drop\n", tun);
	end_chain(s);

	put_chain(s, "inward", "filter", "prerouting", -150);
	fprintf(s->f, "\t\tiifname != \"%s\" accept\n\t\tfib saddr type local drop\n", tun);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		const char *ip = ip_word(families[f]);

		fprintf(s->f, "\t\tct state established,related ct reply %s daddr @tun_%s accept\n",
			ip, ip);
		fprintf(s->f, "\t\t%s saddr @home_%s jump service\n", ip, ip);
	}
	fprintf(s->f, "\t\tmeta l4proto { %d, %d, %d } jump service\n\t\tdrop\n", IPPROTO_TCP,
		IPPROTO_ICMP, IPPROTO_ICMPV6);
	end_chain(s);

	fputs("\tchain service {\n", s->f);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		const char *ip = ip_word(families[f]);

		fprintf(s->f, "\t\tct state established,related ct reply %s saddr @tun_%s accept\n",
			ip, ip);
	}
	for (size_t i = 0; i < cfg->n_replays; i++)
		put_service(s, &cfg->replays[i]);
	fputs("\t\tmeta l4proto 6 reject with tcp reset\n"
	      "\t\treject with icmpx admin-prohibited\n",
	      s->f);
	end_chain(s);

	put_chain(s, "replay", "nat", "prerouting", -100);
	fprintf(s->f, "\t\tiifname != \"%s\" accept\n", tun);
	for (size_t i = 0; i < cfg->n_replays; i++)
		for (size_t f = 0; f < ARRAY_LEN(families); f++)
			put_replay(s, &cfg->replays[i], families[f]);
	end_chain(s);

	put_chain(s, "transit", "filter", "forward", -150);
	fprintf(s->f, "\t\tiifname \"%s\" drop\n\t\toifname \"%s\" drop\n", tun, tun);
	end_chain(s);
}

/* What is never captured: the agent's own link, this host itself, and how hosts find neighbours. */
static void put_exempt(const struct script *s)
{
	fprintf(s->f, "\t\tmeta mark %u accept\n\t\toifname { \"%s\", \"lo\" } accept\n",
		s->cfg->fwmark, s->cfg->tun_name);
	fputs("\t\ticmpv6 type { 130, 131, 132, 133, 134, 135, 136, 143 } accept\n"
	      "\t\tip protocol 2 accept\n",
	      s->f);
}

static void put_outward(const struct script *s)
{
	const struct capture_config *cfg = s->cfg;

	put_chain(s, "outward", "filter", "output", -150);
	put_exempt(s);
	fputs("\t\tip saddr @tun_ip goto refuse\n\t\tip6 saddr @tun_ip6 goto refuse\n"
	      "\t\tip daddr @home_ip goto refuse\n\t\tip6 daddr @home_ip6 goto refuse\n",
	      s->f);
	for (size_t i = 0; i < cfg->n_rules; i++) {
		const struct capture_rule *r = &cfg->rules[i];

		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			if (!capture_rule_covers(r, families[f]))
				continue;
			put_match(s, families[f], &r->dst, r->proto, &r->ports);
			fputs(" goto refuse\n", s->f);
		}
	}
	end_chain(s);
	fputs("\tchain refuse {\n\t\treject with icmpx admin-prohibited\n\t}\n", s->f);

	put_chain(s, "stay", "filter", "postrouting", 90);
	put_exempt(s);
	/*
	 * From a TUN address is ours; to home may be what this host forwards for others, or what
	 * another instance carries to an agent of the same address behind its own gateway.
	 */
	fputs("\t\tip saddr @tun_ip drop\n\t\tip6 saddr @tun_ip6 drop\n"
	      "\t\toifname \"eng-*\" accept\n"
	      "\t\tip daddr @home_ip fib saddr type local drop\n"
	      "\t\tip6 daddr @home_ip6 fib saddr type local drop\n",
	      s->f);
	end_chain(s);
}

static void put_translation(const struct script *s)
{
	const struct capture_config *cfg = s->cfg;
	const struct addr *own;
	char text[ADDR_TEXT_MAX];

	put_chain(s, "divert", "nat", "output", -100);
	fprintf(s->f, "\t\toifname != \"%s\" accept\n", cfg->tun_name);
	for (size_t i = 0; i < cfg->n_rules; i++) {
		const struct capture_rule *r = &cfg->rules[i];

		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			if (!capture_rule_carries(r, families[f]))
				continue;
			put_match(s, families[f], &r->dst, r->proto, &r->ports);
			if (r->via.family != 0)
				put_dnat(s, &r->via, r->via_port);
			else
				fputs(" accept\n", s->f);
		}
	}
	end_chain(s);

	put_chain(s, "source", "nat", "postrouting", 100);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		const char *ip = ip_word(families[f]);

		own = capture_first_addr(cfg, families[f]);
		if (own)
			fprintf(s->f, "\t\toifname \"%s\" %s saddr != @tun_%s snat %s to %s\n",
				cfg->tun_name, ip, ip, ip, addr_format(own, text));
	}
	end_chain(s);

	put_chain(s, "leave", "filter", "postrouting", 110);
	fprintf(s->f, "\t\toifname != \"%s\" accept\n", cfg->tun_name);
	fputs("\t\tip saddr @tun_ip accept\n\t\tip6 saddr @tun_ip6 accept\n"
	      "\t\tct direction reply ct reply ip saddr @tun_ip accept\n"
	      "\t\tct direction reply ct reply ip6 saddr @tun_ip6 accept\n"
	      "\t\tdrop\n",
	      s->f);
	end_chain(s);
}

char *capture_nft_script(const struct capture_config *cfg)
{
	struct script s = { .cfg = cfg };
	char *text = NULL;
	size_t size;
	bool failed;

	s.f = open_memstream(&text, &size);
	if (!s.f)
		return NULL;
	/* Adding what may exist makes deleting it succeed: a new table in one transaction. */
	fprintf(s.f, "table inet eng-%s\ndelete table inet eng-%s\ntable inet eng-%s {\n",
		cfg->instance, cfg->instance, cfg->instance);
	for (size_t f = 0; f < ARRAY_LEN(families); f++) {
		put_set_tun(&s, families[f]);
		put_set_home(&s, families[f]);
	}
	put_inward(&s);
	put_outward(&s);
	put_translation(&s);
	fputs("}\n", s.f);
	failed = ferror(s.f) != 0;
	if (fclose(s.f) != 0 || failed) {
		free(text);
		return NULL;
	}
	return text;
}
