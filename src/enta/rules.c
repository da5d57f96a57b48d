/*
 * The rule grammar; see rules.h for it. Both kinds share their left side, "where": a protocol word,
 * an address or prefix, ports. A parser works on a copy of the text that it cuts into pieces; every
 * refusal quotes the whole rule, says which piece is wrong, and shows how to write it.
 */
#include "enta/rules.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const proto_words[] = {
	[RULE_ANY] = "any",
	[RULE_TCP] = "tcp",
	[RULE_UDP] = "udp",
	[RULE_ICMP] = "icmp",
};

/* One rule on its way from text to struct. */
struct draft {
	const char *text; /* as the user wrote it */
	char *message;
	char copy[RULE_TEXT_MAX];
	char *left, *right; /* of the `=`; right is NULL without one */
	bool has_proto;
	enum rule_proto proto;
	struct prefix where; /* family 0 = not given */
	struct rule_ports ports;
};

/* The text comes from a command line or a file: what of it is not printable does not get out. */
PRINTF_LIKE(2, 3) static const char *wrong(const struct draft *d, const char *fmt, ...)
{
	char *m = d->message;
	size_t used;
	va_list args;

	used = (size_t)snprintf(m, RULE_MESSAGE_MAX, "\"%.*s\": ", RULE_TEXT_MAX, d->text);
	va_start(args, fmt);
	vsnprintf(m + used, RULE_MESSAGE_MAX - used, fmt, args);
	va_end(args);
	for (; *m; m++)
		if (!isprint((unsigned char)*m))
			*m = '?';
	return d->message;
}

static bool is_digits(const char *text)
{
	return text[0] != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static const char *parse_port(const struct draft *d, const char *text, uint16_t *out)
{
	unsigned long port;

	if (!number_parse(text, 1, 65535, &port))
		return wrong(d, "\"%s\" is no port; a port is a number from 1 to 65535", text);
	*out = (uint16_t)port;
	return NULL;
}

static const char *parse_ports(struct draft *d, char *text)
{
	char *dash = strchr(text, '-');
	const char *bad;

	if (dash)
		*dash = '\0';
	bad = parse_port(d, text, &d->ports.min);
	if (!bad)
		bad = parse_port(d, dash ? dash + 1 : text, &d->ports.max);
	if (!bad && d->ports.min > d->ports.max)
		bad = wrong(d, "the port range runs backwards; write the lower port first: :%u-%u",
			    d->ports.max, d->ports.min);
	return bad;
}

/* Cuts "[V6]/LEN:PORTS", "V4/LEN:PORTS" or "V6/LEN" in two; *out_ports is NULL without a colon. */
static const char *split_ports(const struct draft *d, char *text, char **out_ports)
{
	char *colon = strchr(text, ':'), *end;
	struct prefix p;

	*out_ports = NULL;
	if (text[0] == '[') {
		end = strchr(text, ']');
		if (!end || end == text + 1 || !strchr("/:", end[1]))
			return wrong(d, "the brackets are wrong; write [2001:db8::]/64:80");
		colon = strchr(end, ':');
		/* "[V6]/LEN" becomes "V6/LEN" in place. */
		memmove(end, end + 1, strlen(end + 1) + 1);
		memmove(text, text + 1, strlen(text + 1) + 1);
		colon = colon ? colon - 2 : NULL;
	} else if (colon && strchr(colon + 1, ':')) {
		if (prefix_parse(text, true, &p))
			return NULL;
		return wrong(d,
			     "\"%s\" is no address; an IPv6 address with a port stands in "
			     "brackets: [2001:db8::]/64:80",
			     text);
	}
	if (!colon)
		return NULL;
	*colon = '\0';
	*out_ports = colon + 1;
	return NULL;
}

static const char *parse_prefix(const struct draft *d, const char *text, struct prefix *out)
{
	static const uint8_t mapped[16] = { [10] = 0xff, [11] = 0xff };
	struct prefix p, mapped_net = { .addr = addr_v6(mapped), .len = 96 };
	char fixed[PREFIX_TEXT_MAX];

	if (is_digits(text))
		return wrong(d, "\"%s\" is no address; a port stands behind a colon: %s/:%s", text,
			     d->has_proto ? proto_words[d->proto] : "tcp", text);
	if (!prefix_parse(text, true, &p))
		return wrong(d,
			     "\"%s\" is no address or prefix; write 192.0.2.0/24 or "
			     "2001:db8::/64 (names are not looked up)",
			     text);
	prefix_format(&p, fixed);
	if (!prefix_parse(text, false, out))
		return wrong(d, "\"%s\" has bits set behind its length; write %s", text, fixed);
	if (prefix_covers(&mapped_net, &p))
		return wrong(d, "\"%s\" is an IPv4 address in IPv6 form; write the IPv4 address",
			     text);
	return NULL;
}

/* Takes "tcp/" and the like off the front. A prefix such as 10.0.0.0/8 has no letters only word. */
static const char *parse_proto(struct draft *d)
{
	size_t n = 0;

	while (isalpha((unsigned char)d->left[n]))
		n++;
	if (n == 0 || d->left[n] != '/')
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(proto_words); i++) {
		if (strlen(proto_words[i]) != n || strncmp(d->left, proto_words[i], n) != 0)
			continue;
		d->proto = (enum rule_proto)i;
		d->has_proto = true;
		d->left += n + 1;
		return NULL;
	}
	return wrong(d, "\"%.*s/\" is no protocol; write tcp/, udp/, icmp/ or any/", (int)n,
		     d->left);
}

/* Everything before the `=`. */
static const char *parse_where(struct draft *d)
{
	const char *bad = parse_proto(d);
	char *ports = NULL;

	if (bad)
		return bad;
	if (!d->has_proto && d->right && is_digits(d->left))
		ports = d->left; /* PORT=… */
	else
		bad = split_ports(d, d->left, &ports);
	if (!bad && ports)
		bad = parse_ports(d, ports);
	if (!bad && ports != d->left && d->left[0])
		bad = parse_prefix(d, d->left, &d->where);
	if (bad)
		return bad;
	if (!d->has_proto)
		d->proto = ports ? RULE_TCP : RULE_ANY;
	if (d->proto == RULE_ICMP && ports)
		return wrong(d, "icmp has no ports; write icmp/%s%s",
			     d->left == ports ? "" : d->left, d->right ? "=VIA" : "");
	return NULL;
}

static const char *draft_begin(struct draft *d, const char *kind, const char *example)
{
	d->left = d->copy;
	if (d->text[0] == '\0')
		return wrong(d, "an empty %s rule; write %s", kind, example);
	if (strlen(d->text) >= sizeof(d->copy))
		return wrong(d, "a %s rule has at most %d characters; write %s", kind,
			     RULE_TEXT_MAX - 1, example);
	memcpy(d->copy, d->text, strlen(d->text) + 1);
	d->right = strchr(d->copy, '=');
	if (d->right)
		*d->right++ = '\0';
	if (d->right && d->left[0] == '\0')
		return wrong(d, "nothing stands before the \"=\"; write %s", example);
	return NULL;
}

static bool addr_is_own(const struct addr *a)
{
	static const uint8_t any[16], v6_loopback[16] = { [15] = 1 };

	if (memcmp(a->bytes, any, sizeof(any)) == 0)
		return true;
	return a->family == AF_INET ? a->bytes[0] == 127
				    : memcmp(a->bytes, v6_loopback, sizeof(any)) == 0;
}

static const char *parse_via(struct draft *d, struct capture_rule *r)
{
	struct prefix via;
	const char *bad;
	char *port;

	bad = split_ports(d, d->right, &port);
	if (!bad && port)
		bad = parse_port(d, port, &r->via_port);
	if (!bad && (strchr(d->right, '/') || d->right[0] == '\0' || is_digits(d->right)))
		bad = wrong(d, "behind the \"=\" stands one address, and its port if it changes: "
			       "=192.0.2.1:6978 or =[2001:db8::1]:6978");
	if (!bad)
		bad = parse_prefix(d, d->right, &via);
	if (bad)
		return bad;
	r->via = via.addr;
	if (addr_is_own(&r->via))
		return wrong(d, "\"%s\" is this host itself; name an address behind the tunnel",
			     d->right);
	if (r->dst.addr.family != 0 && r->dst.addr.family != r->via.family)
		return wrong(d,
			     "IPv4 cannot be redirected to IPv6, nor the reverse; \"%s\" and "
			     "\"%s\" must be of one kind",
			     d->left, d->right);
	if (r->via_port != 0 && r->proto == RULE_ICMP)
		return wrong(d, "icmp has no ports; write =%s", d->right);
	if (r->via_port != 0 && r->proto == RULE_ANY && r->ports.min == 0)
		return wrong(d,
			     "only tcp and udp have ports that could become %u; write tcp/ or "
			     "udp/ in front, or leave the port out",
			     r->via_port);
	return NULL;
}

const char *capture_rule_parse(const char *text, struct capture_rule *out,
			       char message[RULE_MESSAGE_MAX])
{
	struct draft d = { .text = text, .message = message };
	struct capture_rule r = { 0 };
	char bare[RULE_TEXT_MAX];
	const char *bad;

	if (is_digits(text) && strlen(text) <= 5) {
		snprintf(bare, sizeof(bare), "tcp/:%s=%s:%d", text, RULE_DEFAULT_VIA,
			 RULE_DEFAULT_PORT);
		d.text = bare;
	}
	bad = draft_begin(&d, "capture", "tcp/:7=192.168.0.254:6978 or any/10.0.0.0/8");
	d.text = text;
	if (!bad)
		bad = parse_where(&d);
	if (bad)
		return bad;
	r = (struct capture_rule){ .proto = d.proto, .dst = d.where, .ports = d.ports };
	if (r.dst.len > 0 && addr_is_own(&r.dst.addr) && r.dst.addr.family != 0)
		return wrong(&d, "this host's own addresses are never captured; name a destination "
				 "elsewhere");
	bad = d.right ? parse_via(&d, &r) : NULL;
	if (bad)
		return bad;
	*out = r;
	return NULL;
}

static const char *parse_to_port(struct draft *d, struct replay_rule *r)
{
	const char *bad = parse_port(d, d->right, &r->to_port);

	if (bad)
		return bad;
	if (r->proto == RULE_ICMP)
		return wrong(d, "icmp has no ports; leave out \"=%s\"", d->right);
	if (r->ports.min == 0)
		return wrong(d, "which port becomes %u is missing; write :PORT=%u", r->to_port,
			     r->to_port);
	return NULL;
}

const char *replay_rule_parse(const char *text, struct replay_rule *out,
			      char message[RULE_MESSAGE_MAX])
{
	struct draft d = { .text = text, .message = message };
	struct replay_rule r = { 0 };
	char bare[RULE_TEXT_MAX];
	const char *bad;

	r.bare = is_digits(text) && strlen(text) <= 5;
	if (r.bare) {
		snprintf(bare, sizeof(bare), "tcp/:%d=%s", RULE_DEFAULT_PORT, text);
		d.text = bare;
	}
	bad = draft_begin(&d, "replay", "tcp/:6978=7 or tcp/:80");
	d.text = text;
	if (!bad)
		bad = parse_where(&d);
	if (bad)
		return bad;
	if (d.where.addr.family != 0 && d.where.len != addr_bits(&d.where.addr))
		return wrong(&d,
			     "a replay rule names one address, not a network; leave out the /%u",
			     d.where.len);
	r.proto = d.proto;
	r.at = d.where.addr;
	r.ports = d.ports;
	bad = d.right ? parse_to_port(&d, &r) : NULL;
	if (bad)
		return bad;
	*out = r;
	return NULL;
}

static bool ports_overlap(const struct rule_ports *a, const struct rule_ports *b)
{
	return a->min != 0 && b->min != 0 && a->min <= b->max && b->min <= a->max;
}

const char *replay_rules_check(const struct replay_rule *rules, size_t n,
			       char message[RULE_MESSAGE_MAX])
{
	char a_text[RULE_LINE_MAX], b_text[RULE_LINE_MAX];

	for (size_t i = 0; i < n; i++) {
		for (size_t j = i + 1; j < n; j++) {
			const struct replay_rule *a = &rules[i], *b = &rules[j];

			if (a->proto != b->proto || !addr_equal(&a->at, &b->at) ||
			    !ports_overlap(&a->ports, &b->ports))
				continue;
			if (a->bare && b->bare)
				snprintf(message, RULE_MESSAGE_MAX,
					 "the replay rules %u and %u both stand for port %d; give "
					 "each "
					 "a port of its own: tcp/:%d=%u and tcp/:%d=%u",
					 a->to_port, b->to_port, RULE_DEFAULT_PORT,
					 RULE_DEFAULT_PORT, a->to_port, RULE_DEFAULT_PORT + 1,
					 b->to_port);
			else
				snprintf(message, RULE_MESSAGE_MAX,
					 "two replay rules claim the same packets (\"%s\" and "
					 "\"%s\"); "
					 "give each a port of its own",
					 replay_rule_describe(a, a_text),
					 replay_rule_describe(b, b_text));
			return message;
		}
	}
	return NULL;
}

bool capture_rule_covers(const struct capture_rule *r, int family)
{
	return r->dst.addr.family == 0 || r->dst.addr.family == family;
}

bool capture_rule_carries(const struct capture_rule *r, int family)
{
	return capture_rule_covers(r, family) && (r->via.family == 0 || r->via.family == family);
}

static const char *describe_ports(enum rule_proto proto, const struct rule_ports *p, char out[32])
{
	if (proto == RULE_ICMP)
		snprintf(out, 32, "echo");
	else if (p->min == 0)
		snprintf(out, 32, "any port");
	else if (p->min == p->max)
		snprintf(out, 32, "port %u", p->min);
	else
		snprintf(out, 32, "ports %u-%u", p->min, p->max);
	return out;
}

/* What a protocol word means, in words: any with a port is tcp and udp only. */
static const char *describe_proto(enum rule_proto proto, const struct rule_ports *p)
{
	return proto == RULE_ANY && p->min != 0 ? "tcp and udp" : proto_words[proto];
}

const char *capture_rule_describe(const struct capture_rule *r, char out[RULE_LINE_MAX])
{
	char dst[PREFIX_TEXT_MAX], via[ADDR_TEXT_MAX], ports[32], to[ADDR_TEXT_MAX + 16] = "";
	bool v6 = r->via.family == AF_INET6;

	if (r->via.family == 0)
		snprintf(to, sizeof(to), "destination kept");
	else if (r->via_port == 0)
		snprintf(to, sizeof(to), "to %s", addr_format(&r->via, via));
	else
		snprintf(to, sizeof(to), "to %s%s%s:%u", v6 ? "[" : "", addr_format(&r->via, via),
			 v6 ? "]" : "", r->via_port);
	snprintf(out, RULE_LINE_MAX, "%s %s -> %s, %s", describe_proto(r->proto, &r->ports),
		 r->dst.addr.family ? prefix_format(&r->dst, dst) : "any",
		 describe_ports(r->proto, &r->ports, ports), to);
	return out;
}

const char *replay_rule_describe(const struct replay_rule *r, char out[RULE_LINE_MAX])
{
	char at[ADDR_TEXT_MAX], ports[32], to[32] = "port kept";

	if (r->proto == RULE_ICMP)
		snprintf(to, sizeof(to), "answered here");
	else if (r->to_port != 0)
		snprintf(to, sizeof(to), "to local port %u", r->to_port);
	snprintf(out, RULE_LINE_MAX, "%s %s %s, %s", describe_proto(r->proto, &r->ports),
		 r->at.family ? addr_format(&r->at, at) : "any address",
		 describe_ports(r->proto, &r->ports, ports), to);
	return out;
}
