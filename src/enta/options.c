/* enta's command line; see options.h. Values are judged by the modules they are for. */
#include "enta/options.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "conf/common.h"
#include "io/congestion.h"

enum option_index {
	CONNECT,
	TUN_ADDR,
	TUN_MASK,
	CAPTURE,
	REPLAY,
	TLS,
	POLICY,
	ATTESTER,
	ENDORSEMENTS,
	COLLATERAL,
	REATTEST,
	CIPHER_BACKEND,
	COMPAT,
	INSTANCE,
	TUN_NAME,
	KEEP_GUARD,
	WORKERS,
	BUSY_POLL,
	CONGESTION,
	NAME,
	LEVEL
};

static const struct option_spec specs[] = {
	[CONNECT] = { "entg-connect", "[tcp://]HOST:PORT",
		      "the gateway; repeats: the first that answers" },
	[TUN_ADDR] = { "tun-addr", "ADDR[/LEN]",
		       "this agent's address in the tunnel, IPv4 or\nIPv6; repeats" },
	[TUN_MASK] = { "tun-mask", "MASK",
		       "for IPv4 addresses without /LEN\n(default 255.255.255.0)" },
	[CAPTURE] = { "capture", "RULE",
		      "what of this host's traffic to carry; repeats\n"
		      "[tcp/|udp/|icmp/|any/][CIDR][:PORT[-PORT]][=VIA[:PORT]]\n"
		      "a number N means tcp/:N=192.168.0.254:6978" },
	[REPLAY] = { "replay", "RULE",
		     "what from the tunnel reaches this host; repeats\n"
		     "[tcp/|udp/|icmp/|any/][ADDR][:PORT[-PORT]][=TO-PORT]\n"
		     "a number N means tcp/:6978=N" },
	[TLS] = { "entg-rats-tls", NULL, "attested TLS to the gateway: the default" },
	[POLICY] = { "policy", "FILE",
		     "what the gateway must prove, see rats-policy(5);\nor the word unattested: "
		     "nothing" },
	[ATTESTER] = COMMON_OPTION_ATTESTER,
	[ENDORSEMENTS] = COMMON_OPTION_ENDORSEMENTS,
	[COLLATERAL] = COMMON_OPTION_COLLATERAL,
	[REATTEST] = COMMON_OPTION_REATTEST,
	[CIPHER_BACKEND] = COMMON_OPTION_CIPHER_BACKEND,
	[COMPAT] = { "compat", NULL, "the gateway speaks protocol v0: say nothing first" },
	[INSTANCE] = { "instance", "NAME",
		       "names this agent's rules and lock; several\nagents on one host differ in "
		       "it "
		       "(default enta)" },
	[TUN_NAME] = { "tun-name", "NAME", "the TUN device (default eng-INSTANCE)" },
	[KEEP_GUARD] = { "keep-guard", NULL,
			 "after a clean stop, go on refusing what was\ncaptured ('enta cleanup' "
			 "ends it)" },
	[WORKERS] = COMMON_OPTION_WORKERS,
	[BUSY_POLL] = COMMON_OPTION_BUSY_POLL,
	[CONGESTION] = COMMON_OPTION_CONGESTION,
	[NAME] = { "name", "NAME",
		   "this node's name, in logs of its gateway\n(default: the host's)" },
	[LEVEL] = COMMON_OPTION_LOG_LEVEL,
};

static const struct option_program program = {
	.name = "enta",
	.usage = "enta [OPTION]...\n"
		 "       enta guard [OPTION]...      refuse what the rules capture, until an agent "
		 "starts\n"
		 "       enta cleanup [--instance NAME]  remove what an agent left behind, and a "
		 "guard",
	.summary = "The agent of ENG: captures applications' packets and hands them to a gateway.",
	.options = specs,
	.n_options = ARRAY_LEN(specs),
	.footer = "See enta(8).",
};

static const char *set_addr(struct enta_options *o, const char *value)
{
	struct capture_addr *a = &o->addrs[o->agent.n_addrs];
	char text[PREFIX_TEXT_MAX];
	struct prefix p;
	char *slash;

	if (o->agent.n_addrs == AGENT_ADDRS_MAX)
		return "given too often: at most 16 addresses";
	if (!prefix_parse(value, true, &p))
		return "write an address, or address/length: 192.168.0.1 or fd00::1/64";
	snprintf(text, sizeof(text), "%s", value);
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	if (!addr_parse(text, &a->addr))
		return "write an address, or address/length: 192.168.0.1 or fd00::1/64";
	for (size_t i = 0; i < o->agent.n_addrs; i++)
		if (addr_equal(&o->addrs[i].addr, &a->addr))
			return "this address is given already";
	/* 255: as --tun-mask says, which may come later. */
	a->len = slash ? p.len : a->addr.family == AF_INET6 ? 64 : 255;
	o->agent.addrs[o->agent.n_addrs++] = a->addr;
	return NULL;
}

static const char *set_mask(struct enta_options *o, const char *value)
{
	struct in_addr mask;
	uint32_t bits;

	if (inet_pton(AF_INET, value, &mask) != 1)
		return "write a netmask: 255.255.255.0";
	bits = ntohl(mask.s_addr);
	if ((~bits & (~bits + 1)) != 0)
		return "not a netmask: its ones must come first, as in 255.255.255.0";
	o->mask_len = (uint8_t)__builtin_popcount(bits);
	return NULL;
}

static const char *set_capture(struct enta_options *o, const char *value)
{
	static char message[RULE_MESSAGE_MAX];
	const char *wrong;

	if (o->capture.n_rules == RULES_MAX)
		return "given too often: at most 1000 rules";
	wrong = capture_rule_parse(value, &o->rules[o->capture.n_rules], message);
	if (!wrong)
		o->capture.n_rules++;
	return wrong;
}

static const char *set_replay(struct enta_options *o, const char *value)
{
	static char message[RULE_MESSAGE_MAX];
	const char *wrong;

	if (o->capture.n_replays == RULES_MAX)
		return "given too often: at most 1000 rules";
	wrong = replay_rule_parse(value, &o->replays[o->capture.n_replays], message);
	if (!wrong)
		wrong = replay_rules_check(o->replays, ++o->capture.n_replays, message);
	return wrong;
}

static const char *set_connect(struct enta_options *o, const char *value)
{
	const char *wrong;

	if (o->agent.n_endpoints == LINK_ENDPOINTS_MAX)
		return "given too often: at most 8 gateways";
	wrong = endpoint_parse_connect(value, &o->agent.endpoints[o->agent.n_endpoints]);
	if (!wrong && o->agent.n_endpoints > 0 &&
	    o->agent.endpoints[o->agent.n_endpoints].plain != o->agent.endpoints[0].plain)
		wrong = "with tcp:// before some gateways and not before others: the link is "
			"either "
			"protected or not";
	if (!wrong)
		o->agent.n_endpoints++;
	return wrong;
}

static const char *set_tun_name(struct enta_options *o, const char *value)
{
	char copy[IFNAMSIZ];

	if (common_set_name(value, copy, sizeof(copy)))
		return "a device name has 1 to 15 letters, digits, '.', '-' and '_'";
	memcpy(o->tun_name, copy, sizeof(copy));
	return NULL;
}

static const char *set_security(struct security_config *s, enum option_index index,
				const char *value)
{
	switch (index) {
	case POLICY:
		return common_set_text(value, s->policy_gateways, sizeof(s->policy_gateways));
	case ATTESTER:
		return common_set_text(value, s->attester, sizeof(s->attester));
	case ENDORSEMENTS:
		s->endorsements = true;
		return NULL;
	case COLLATERAL:
		return common_set_text(value, s->collateral, sizeof(s->collateral));
	case REATTEST:
		return common_set_reattest(value, &s->reattest_s);
	default:
		return common_set_text(value, s->cipher_backend, sizeof(s->cipher_backend));
	}
}

static const char *set(void *ctx, size_t index, const char *value)
{
	struct enta_options *o = ctx;

	switch ((enum option_index)index) {
	case CONNECT:
		return set_connect(o, value);
	case TUN_ADDR:
		return set_addr(o, value);
	case TUN_MASK:
		return set_mask(o, value);
	case CAPTURE:
		return set_capture(o, value);
	case REPLAY:
		return set_replay(o, value);
	case TLS: /* what an address without tcp:// means anyway */
		o->agent.security.only_gateways = true;
		return NULL;
	case POLICY:
	case ATTESTER:
	case ENDORSEMENTS:
	case COLLATERAL:
	case REATTEST:
	case CIPHER_BACKEND:
		return set_security(&o->agent.security, (enum option_index)index, value);
	case COMPAT:
		o->agent.compat = true;
		return NULL;
	case INSTANCE:
		if (!capture_instance_is_valid(value))
			return "an instance has 1 to 20 characters of a-z, 0-9 and '-'";
		snprintf(o->instance, sizeof(o->instance), "%s", value);
		return NULL;
	case TUN_NAME:
		return set_tun_name(o, value);
	case KEEP_GUARD:
		o->keep_guard = true;
		return NULL;
	case WORKERS:
		return common_set_workers(value, &o->agent.n_workers);
	case BUSY_POLL:
		return common_set_busy_poll(value, &o->poll_us);
	case CONGESTION:
		return common_set_congestion(value, o->agent.stream.congestion,
					     sizeof(o->agent.stream.congestion));
	case NAME:
		return common_set_name(value, o->agent.name, sizeof(o->agent.name));
	case LEVEL:
		return common_set_log_level(value);
	}
	return "not known";
}

/* What is missing, or does not go together. */
static int check(struct enta_options *o)
{
	if (o->command == ENTA_CLEANUP)
		return 0;
	if (o->command == ENTA_RUN && o->agent.n_endpoints == 0)
		return option_complain(&program, "--entg-connect is missing: the gateway, for "
						 "example tcp://192.0.2.1:6980");
	if (o->command == ENTA_RUN && !o->agent.endpoints[0].plain &&
	    !o->agent.security.policy_gateways[0])
		return option_complain(
			&program, "--policy is missing: what must the gateway prove? Give a file "
				  "(rats-policy(5)) or the word unattested, or write tcp:// before "
				  "its address for plaintext, knowing that it is not protected");
	if (o->command == ENTA_RUN && o->agent.endpoints[0].plain &&
	    o->agent.security.only_gateways)
		return option_complain(&program,
				       "--entg-rats-tls and a gateway with tcp:// before it: "
				       "the link is either protected or not");
	if (o->agent.n_addrs == 0)
		return option_complain(&program, "--tun-addr is missing: this agent's address in "
						 "the tunnel, for example 192.168.0.1");
	if (o->capture.n_rules + o->capture.n_replays == 0)
		return option_complain(&program, "nothing to do: give --capture or --replay");
	if (o->tun_name[0] == '\0' && strlen(o->instance) > IFNAMSIZ - 5)
		return option_complain(&program,
				       "--tun-name is missing: 'eng-%s' is longer than "
				       "the 15 characters of a device name",
				       o->instance);
	return 0;
}

static void finish(struct enta_options *o)
{
	if (o->tun_name[0] == '\0')
		snprintf(o->tun_name, sizeof(o->tun_name), "eng-%.11s", o->instance);
	for (size_t i = 0; i < o->agent.n_addrs; i++)
		if (o->addrs[i].len == 255)
			o->addrs[i].len = o->mask_len;
	o->agent.security.with_gateways = o->command == ENTA_RUN && !o->agent.endpoints[0].plain;
	o->agent.security.compat = o->agent.compat;
	o->capture.instance = o->instance;
	o->capture.tun_name = o->tun_name;
	o->capture.addrs = o->addrs;
	o->capture.n_addrs = o->agent.n_addrs;
	o->capture.rules = o->rules;
	o->capture.replays = o->replays;
	o->capture.fwmark = AGENT_FWMARK;
	o->capture.mtu = AGENT_MTU;
}

int enta_options_parse(int argc, char **argv, struct enta_options *out)
{
	int r;

	snprintf(out->instance, sizeof(out->instance), "%s", CAPTURE_INSTANCE_DEFAULT);
	out->mask_len = 24;
	out->poll_us = CHAN_POLL_US;
	out->agent.n_workers = 1;
	out->agent.security.reattest_s = SECURITY_REATTEST_S;
	out->agent.stream =
		(struct stream_options){ .mark = AGENT_FWMARK, .congestion = CONGESTION_AUTO };
	common_host_name(out->agent.name, sizeof(out->agent.name));
	if (argc > 1 && strcmp(argv[1], "guard") == 0)
		out->command = ENTA_GUARD;
	else if (argc > 1 && strcmp(argv[1], "cleanup") == 0)
		out->command = ENTA_CLEANUP;
	if (out->command != ENTA_RUN) { /* getopt takes the word for the program's name */
		argc--;
		argv++;
	}
	r = option_parse(&program, argc, argv, set, out);
	if (r == 0)
		r = check(out);
	if (r == 0)
		finish(out);
	return r;
}
