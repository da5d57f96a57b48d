/*
 * The capture in the kernel: FIB rules say what goes to the TUN, a routing table of our own says
 * how, and an nftables table (capture_nft.c) guards, redirects and lets in.
 *
 * The nftables guard stands from before the first of these until after the last, and refuses
 * whatever matches a rule and is not on its way into the TUN. So the steps between need not be
 * atomic: at each of them a captured packet goes into the TUN or nowhere.
 */
#include "enta/capture.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <net/if.h>

#include "base/err.h"
#include "enta/capture_fib.h"
#include "io/netlink.h"
#include "io/nft.h"
#include "io/sockdiag.h"
#include "io/tun.h"

enum { MTU_MIN = 1280 /* RFC 8200, 5 */, MTU_MAX = 65535 };

struct capture {
	const struct capture_config *cfg;
	struct fib fib;
	struct nft *nft;
	struct sockdiag *sockdiag;
	char message[CAPTURE_MESSAGE_MAX];
	char warning[CAPTURE_MESSAGE_MAX];
};

DEFINE_FREEP(struct capture *, capture_free)
DEFINE_FREEP(struct nft *, nft_free)

bool capture_instance_is_valid(const char *instance)
{
	size_t n = strspn(instance, "abcdefghijklmnopqrstuvwxyz0123456789-");

	return n > 0 && n <= CAPTURE_INSTANCE_MAX && instance[n] == '\0';
}

const struct addr *capture_first_addr(const struct capture_config *cfg, int family)
{
	for (size_t i = 0; i < cfg->n_addrs; i++)
		if (cfg->addrs[i].addr.family == family)
			return &cfg->addrs[i].addr;
	return NULL;
}

bool capture_rule_is_network(const struct capture_rule *r)
{
	return r->proto == RULE_ANY && r->ports.min == 0;
}

static bool tun_name_is_valid(const char *name)
{
	size_t n = 0;

	while (isalnum((unsigned char)name[n]) || (name[n] && strchr("_-.", name[n])))
		n++;
	return n > 0 && n < IFNAMSIZ && name[n] == '\0' && strcmp(name, ".") != 0 &&
	       strcmp(name, "..") != 0;
}

static int refuse(char *message, int r, const char *sentence, const char *what)
{
	snprintf(message, CAPTURE_MESSAGE_MAX, "%s%s", sentence, what);
	return err_new(r);
}

static int config_check(const struct capture_config *cfg, char *message)
{
	char text[ADDR_TEXT_MAX];

	if (!capture_instance_is_valid(cfg->instance))
		return refuse(message, -EINVAL,
			      "an instance name is 1 to 20 of the characters a-z 0-9 -", "");
	if (!tun_name_is_valid(cfg->tun_name))
		return refuse(message, -EINVAL,
			      "a TUN name is 1 to 15 letters, digits and the characters _ - .", "");
	if (cfg->n_addrs == 0 || cfg->n_addrs > CAPTURE_ADDRS_MAX)
		return refuse(message, -EINVAL, "the TUN needs 1 to 64 addresses", "");
	if (cfg->n_rules > RULES_MAX || cfg->n_replays > RULES_MAX)
		return refuse(message, -EINVAL, "more than 1000 rules of one kind", "");
	if (cfg->fwmark == 0)
		return refuse(message, -EINVAL, "the mark of the agent's own sockets must not be 0",
			      "");
	if (cfg->mtu < MTU_MIN || cfg->mtu > MTU_MAX)
		return refuse(message, -EINVAL, "the TUN's MTU is from 1280 to 65535", "");
	for (size_t i = 0; i < cfg->n_addrs; i++) {
		if (addr_bits(&cfg->addrs[i].addr) == 0 ||
		    cfg->addrs[i].len > addr_bits(&cfg->addrs[i].addr))
			return refuse(message, -EINVAL, "a TUN address has no valid mask", "");
		for (size_t j = 0; j < cfg->n_rules; j++)
			if (addr_equal(&cfg->rules[j].via, &cfg->addrs[i].addr))
				return refuse(message, -EINVAL,
					      "a rule redirects to this TUN's own address ",
					      addr_format(&cfg->rules[j].via, text));
	}
	if (replay_rules_check(cfg->replays, cfg->n_replays, message))
		return err_new(-EINVAL);
	return 0;
}

int capture_new(const struct capture_config *cfg, struct capture **out,
		char message[CAPTURE_MESSAGE_MAX])
{
	CLEANUP(capture_freep) struct capture *c = calloc(1, sizeof(*c));
	int r;

	message[0] = '\0';
	if (!c)
		return err_new(-ENOMEM);
	r = config_check(cfg, message);
	if (r < 0)
		return err_pass(r);
	c->cfg = cfg;
	r = fib_init(&c->fib, cfg->instance);
	if (r == 0)
		r = nft_new(&c->nft);
	if (r == 0)
		r = sockdiag_new(&c->sockdiag);
	if (r < 0)
		return err_pass(r);
	*out = TAKE(c);
	return 0;
}

void capture_free(struct capture *c)
{
	if (!c)
		return;
	fib_deinit(&c->fib);
	nft_free(c->nft);
	sockdiag_free(c->sockdiag);
	free(c);
}

const char *capture_message(const struct capture *c)
{
	return c->message;
}

const char *capture_warning(const struct capture *c)
{
	return c->warning;
}

static int check_owner(const struct fib *f, const char *instance, char *message)
{
	int r = fib_check_owner(f);

	if (r > 0)
		return refuse(message, -EADDRINUSE,
			      "another instance's name leads to the same rule priorities; choose "
			      "another name than ",
			      instance);
	return err_pass(r);
}

/* The whole guard. After the nftables script nothing captured leaves in the clear any more. */
static int install(struct capture *c)
{
	char *script = capture_nft_script(c->cfg);
	int r;

	if (!script)
		return err_new(-ENOMEM);
	r = check_owner(&c->fib, c->cfg->instance, c->message);
	if (r == 0)
		r = nft_run(c->nft, script, c->message, sizeof(c->message));
	free(script);
	return r < 0 ? err_pass(r) : fib_install(&c->fib, c->cfg);
}

int capture_guard(struct capture *c)
{
	int r;

	c->message[0] = '\0';
	if (if_nametoindex(c->cfg->tun_name) != 0)
		return refuse(c->message, -EBUSY,
			      "the instance seems to be running: there is a device ",
			      c->cfg->tun_name);
	r = install(c);
	if (r == 0)
		r = fib_mark_guard(&c->fib);
	return err_pass(r);
}

int capture_guard_present(struct capture *c, bool *out)
{
	return fib_guard_present(&c->fib, out);
}

/*
 * Replies to a captured connection come in by the TUN from addresses that the main table routes
 * elsewhere: a strict reverse path filter would drop them.
 */
static void loosen_rp_filter(struct capture *c)
{
	char path[64];
	CLEANUP(fd_closep) int fd = -1;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/conf/%s/rp_filter", c->cfg->tun_name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "2", 1) != 1)
		snprintf(c->warning, sizeof(c->warning),
			 "%s could not be set to 2 (loose): %s; a strict filter drops replies",
			 path, err_text(-errno));
}

int capture_start(struct capture *c, const struct tun *t)
{
	const struct capture_config *cfg = c->cfg;
	unsigned ifindex = tun_ifindex(t);
	int r;

	c->message[0] = '\0';
	c->warning[0] = '\0';
	r = install(c);
	if (r == 0)
		r = netlink_link_up(c->fib.netlink, ifindex, cfg->mtu);
	for (size_t i = 0; i < cfg->n_addrs && r == 0; i++)
		r = netlink_addr_add(c->fib.netlink, ifindex, &cfg->addrs[i].addr,
				     cfg->addrs[i].len);
	if (r < 0)
		return err_pass(r);
	loosen_rp_filter(c);
	return fib_open(&c->fib, cfg, ifindex);
}

static int remove_all(const struct fib *f, struct nft *nft, const char *instance, char *message)
{
	char script[2 * (sizeof("delete table inet eng-\n") + CAPTURE_INSTANCE_MAX)];
	int r;

	r = check_owner(f, instance, message);
	if (r == 0)
		r = fib_remove(f);
	if (r < 0)
		return err_pass(r);
	snprintf(script, sizeof(script), "add table inet eng-%s\ndelete table inet eng-%s\n",
		 instance, instance);
	return nft_run(nft, script, message, CAPTURE_MESSAGE_MAX);
}

/*
 * A connection that began in the tunnel must not go on outside it. The kernel sends no IPv4 from an
 * address that it has lost, but it would send IPv6.
 */
static void cut_connections(struct capture *c)
{
	const struct capture_config *cfg = c->cfg;
	int r;

	for (size_t i = 0; i < cfg->n_addrs; i++) {
		if (cfg->addrs[i].addr.family != AF_INET6)
			continue;
		r = sockdiag_cut(c->sockdiag, &cfg->addrs[i].addr);
		if (r < 0)
			snprintf(
				c->warning, sizeof(c->warning),
				"open IPv6 connections of the tunnel could not be ended (%s); what "
				"they still send leaves unprotected",
				err_text(r));
	}
}

int capture_stop(struct capture *c, bool keep_guard)
{
	c->message[0] = '\0';
	c->warning[0] = '\0';
	if (keep_guard)
		return install(c);
	cut_connections(c);
	return remove_all(&c->fib, c->nft, c->cfg->instance, c->message);
}

int capture_cleanup(const char *instance, char message[CAPTURE_MESSAGE_MAX])
{
	CLEANUP(fib_deinit) struct fib f = { 0 };
	CLEANUP(nft_freep) struct nft *nft = NULL;
	int r;

	message[0] = '\0';
	if (!capture_instance_is_valid(instance))
		return refuse(message, -EINVAL,
			      "an instance name is 1 to 20 of the characters a-z 0-9 -", "");
	r = fib_init(&f, instance);
	if (r == 0)
		r = nft_new(&nft);
	return r < 0 ? err_pass(r) : remove_all(&f, nft, instance, message);
}

const char *capture_describe_rule(const struct capture_config *cfg, size_t i,
				  char out[CAPTURE_LINE_MAX])
{
	const struct capture_rule *rule = &cfg->rules[i];
	char text[RULE_LINE_MAX];
	bool lost4, lost6;

	lost4 = capture_rule_covers(rule, AF_INET) &&
		(!capture_rule_carries(rule, AF_INET) || !capture_first_addr(cfg, AF_INET));
	lost6 = capture_rule_covers(rule, AF_INET6) &&
		(!capture_rule_carries(rule, AF_INET6) || !capture_first_addr(cfg, AF_INET6));
	snprintf(out, CAPTURE_LINE_MAX, "captures %s via %s%s%s", capture_rule_describe(rule, text),
		 cfg->tun_name, lost4 ? "; IPv4 is refused" : "", lost6 ? "; IPv6 is refused" : "");
	return out;
}

const char *capture_describe_replay(const struct capture_config *cfg, size_t i,
				    char out[CAPTURE_LINE_MAX])
{
	char text[RULE_LINE_MAX];

	snprintf(out, CAPTURE_LINE_MAX, "accepts %s from %s",
		 replay_rule_describe(&cfg->replays[i], text), cfg->tun_name);
	return out;
}
