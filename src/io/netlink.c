/*
 * rtnetlink through libmnl. Every change is one message that asks for an acknowledgement, and the
 * call returns the kernel's answer.
 *
 * Removal works from what the kernel shows, not from what we remember: a dump is filtered for our
 * own (table, or protocol number and priority), and what is found is sent back as a deletion. So it
 * removes what an earlier process left, and it never guesses at attributes.
 *
 * Left out: notifications, and everything that the packet path would need.
 */
#include "io/netlink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <libmnl/libmnl.h>
#include <linux/fib_rules.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "base/err.h"

enum {
	MESSAGE_MAX = 1024,	 /* bytes of one request of ours */
	RECEIVE_MAX = 32 * 1024, /* bytes of one part of a dump: what iproute2 uses */
	FOUND_MAX =
		64 * 1024, /* messages that one flush may find: far above our rules and routes */
	DUMP_TRIES = 5,	   /* a dump that a change interrupted is asked for again */
};

struct netlink {
	struct mnl_socket *socket;
	uint32_t seq;
	uint32_t portid;
	uint8_t receive[RECEIVE_MAX];
};

DEFINE_FREEP(struct netlink *, netlink_free)

/* MNL_ALIGN without its sign. */
static size_t aligned(uint32_t len)
{
	return ((size_t)len + 3) & ~(size_t)3;
}

int netlink_new(struct netlink **out)
{
	CLEANUP(netlink_freep) struct netlink *n = calloc(1, sizeof(*n));
	int on = 1;

	if (!n)
		return err_new(-ENOMEM);
	n->socket = mnl_socket_open2(NETLINK_ROUTE, SOCK_CLOEXEC);
	if (!n->socket || mnl_socket_bind(n->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_new(-errno);
	/* The kernel then filters a dump by table; without it we would read a whole BGP table. */
	if (mnl_socket_setsockopt(n->socket, NETLINK_GET_STRICT_CHK, &on, sizeof(on)) < 0)
		return err_new(-errno);
	n->portid = mnl_socket_get_portid(n->socket);
	*out = TAKE(n);
	return 0;
}

void netlink_free(struct netlink *n)
{
	if (!n)
		return;
	if (n->socket)
		mnl_socket_close(n->socket);
	free(n);
}

bool netlink_has_ipv6(void)
{
	CLEANUP(fd_closep) int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	return fd >= 0 || errno != EAFNOSUPPORT;
}

/* Sends one request and hands every message of the answer to each() until the kernel's last word.
 */
static int talk(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, void *data)
{
	ssize_t len;
	int r = MNL_CB_OK;

	h->nlmsg_seq = ++n->seq;
	if (mnl_socket_sendto(n->socket, h, h->nlmsg_len) < 0)
		return err_new(-errno);
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(n->socket, n->receive, sizeof(n->receive));
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_new(-errno);
		r = mnl_cb_run(n->receive, (size_t)len, n->seq, n->portid, each, data);
	}
	return r < 0 ? -errno : 0; /* who knows whether that is an error says so */
}

static int change(struct netlink *n, struct nlmsghdr *h)
{
	int r = talk(n, h, NULL, NULL);

	return r < 0 ? err_new(r) : 0;
}

static struct nlmsghdr *request(uint8_t *buf, uint16_t type, uint16_t flags)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | NLM_F_ACK | flags);
	return h;
}

static void put_addr(struct nlmsghdr *h, uint16_t type, const struct addr *a)
{
	mnl_attr_put(h, type, addr_bits(a) / 8, a->bytes);
}

/* The link would otherwise make itself a link-local address and speak first. */
static int link_no_own_address(struct netlink *n, unsigned ifindex)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = request(buf, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	struct nlattr *spec, *inet6;

	m->ifi_index = (int)ifindex;
	spec = mnl_attr_nest_start(h, IFLA_AF_SPEC);
	inet6 = mnl_attr_nest_start(h, AF_INET6);
	mnl_attr_put_u8(h, IFLA_INET6_ADDR_GEN_MODE, IN6_ADDR_GEN_MODE_NONE);
	mnl_attr_nest_end(h, inet6);
	mnl_attr_nest_end(h, spec);
	return change(n, h);
}

int netlink_link_up(struct netlink *n, unsigned ifindex, uint32_t mtu)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = request(buf, RTM_NEWLINK, 0);
	struct ifinfomsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	int r;

	r = netlink_has_ipv6() ? link_no_own_address(n, ifindex) : 0;
	if (r < 0)
		return err_pass(r);
	m->ifi_index = (int)ifindex;
	m->ifi_flags = IFF_UP;
	m->ifi_change = IFF_UP;
	mnl_attr_put_u32(h, IFLA_MTU, mtu);
	return change(n, h);
}

int netlink_addr_add(struct netlink *n, unsigned ifindex, const struct addr *a, uint8_t len)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = request(buf, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE);
	struct ifaddrmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	if (a->family == 0 || len > addr_bits(a))
		return err_new(-EINVAL);
	m->ifa_family = a->family;
	m->ifa_prefixlen = len;
	m->ifa_index = ifindex;
	put_addr(h, IFA_LOCAL, a);
	put_addr(h, IFA_ADDRESS, a);
	mnl_attr_put_u32(h, IFA_FLAGS,
			 IFA_F_NOPREFIXROUTE | (a->family == AF_INET6 ? IFA_F_NODAD : 0));
	return change(n, h);
}

int netlink_route_add(struct netlink *n, const struct netlink_route *r)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = request(buf, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->rtm_family = r->dst.addr.family;
	m->rtm_dst_len = r->dst.len;
	m->rtm_protocol = NETLINK_PROTOCOL;
	m->rtm_type = r->unreachable ? RTN_UNREACHABLE : RTN_UNICAST;
	m->rtm_scope =
		r->unreachable || m->rtm_family == AF_INET6 ? RT_SCOPE_UNIVERSE : RT_SCOPE_LINK;
	mnl_attr_put_u32(h, RTA_TABLE, r->table);
	mnl_attr_put_u32(h, RTA_PRIORITY, r->metric);
	if (r->dst.len > 0)
		put_addr(h, RTA_DST, &r->dst.addr);
	if (!r->unreachable)
		mnl_attr_put_u32(h, RTA_OIF, r->ifindex);
	if (r->prefsrc.family != 0)
		put_addr(h, RTA_PREFSRC, &r->prefsrc);
	if (r->advmss != 0) {
		struct nlattr *metrics = mnl_attr_nest_start(h, RTA_METRICS);

		mnl_attr_put_u32(h, RTAX_ADVMSS, r->advmss);
		mnl_attr_nest_end(h, metrics);
	}
	return change(n, h);
}

/*
 * Not with NLM_F_EXCL: the kernel compares only what the new rule names, and so takes "everything"
 * for the same as "everything to 10.0.0.0/8" and does not add it.
 */
int netlink_rule_add(struct netlink *n, const struct netlink_rule *r)
{
	static const uint8_t actions[] = {
		[NETLINK_LOOKUP] = FR_ACT_TO_TBL,
		[NETLINK_GOTO] = FR_ACT_GOTO,
		[NETLINK_NOP] = FR_ACT_NOP,
		[NETLINK_UNREACHABLE] = FR_ACT_UNREACHABLE,
	};
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct fib_rule_port_range dport = { .start = r->dport_min, .end = r->dport_max };
	struct nlmsghdr *h = request(buf, RTM_NEWRULE, NLM_F_CREATE);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));

	m->family = (uint8_t)r->family;
	m->action = actions[r->action];
	m->src_len = r->from.len;
	m->dst_len = r->to.len;
	mnl_attr_put_u8(h, FRA_PROTOCOL, NETLINK_PROTOCOL);
	mnl_attr_put_u32(h, FRA_PRIORITY, r->priority);
	if (r->local_only)
		mnl_attr_put_strz(h, FRA_IIFNAME, "lo");
	if (r->action == NETLINK_LOOKUP)
		mnl_attr_put_u32(h, FRA_TABLE, r->table);
	if (r->action == NETLINK_GOTO)
		mnl_attr_put_u32(h, FRA_GOTO, r->goto_priority);
	if (r->from.len > 0)
		put_addr(h, FRA_SRC, &r->from.addr);
	if (r->to.len > 0)
		put_addr(h, FRA_DST, &r->to.addr);
	if (r->ip_protocol != 0)
		mnl_attr_put_u8(h, FRA_IP_PROTO, r->ip_protocol);
	if (r->dport_max != 0)
		mnl_attr_put(h, FRA_DPORT_RANGE, sizeof(dport), &dport);
	if (r->fwmask != 0) {
		mnl_attr_put_u32(h, FRA_FWMARK, r->fwmark);
		mnl_attr_put_u32(h, FRA_FWMASK, r->fwmask);
	}
	return change(n, h);
}

/* What a dump found: copies of the messages that each() chose, one behind the other. */
struct found {
	uint32_t table;	   /* routes: of this table */
	uint32_t min, max; /* rules: of these priorities */
	uint8_t *bytes;
	size_t n, size;
	unsigned count;
};

static void found_free(struct found *f)
{
	free(f->bytes);
	*f = (struct found){ 0 };
}

static int found_keep(struct found *f, const struct nlmsghdr *h)
{
	size_t len = aligned(h->nlmsg_len);
	uint8_t *bytes;

	if (f->count == FOUND_MAX) {
		errno = EOVERFLOW;
		return MNL_CB_ERROR;
	}
	if (f->size - f->n < len) {
		size_t size = f->size * 2 + len;

		bytes = realloc(f->bytes, size);
		if (!bytes)
			return MNL_CB_ERROR;
		f->bytes = bytes;
		f->size = size;
	}
	memset(f->bytes + f->n, 0, len);
	memcpy(f->bytes + f->n, h, h->nlmsg_len);
	f->n += len;
	f->count++;
	return MNL_CB_OK;
}

struct wanted {
	uint16_t type;
	enum mnl_attr_data_type data_type;
	const struct nlattr *attr;
};

static int each_attr(const struct nlattr *a, void *data)
{
	struct wanted *w = data;

	if (mnl_attr_get_type(a) == w->type && mnl_attr_validate(a, w->data_type) >= 0)
		w->attr = a;
	return MNL_CB_OK;
}

/* The number in an attribute, or missing when the message has none (or one of another size). */
static uint32_t attr_u32(const struct nlmsghdr *h, unsigned offset, uint16_t type, uint32_t missing)
{
	struct wanted w = { .type = type, .data_type = MNL_TYPE_U32 };

	mnl_attr_parse(h, offset, each_attr, &w);
	return w.attr ? mnl_attr_get_u32(w.attr) : missing;
}

static int each_route(const struct nlmsghdr *h, void *data)
{
	const struct rtmsg *m = mnl_nlmsg_get_payload(h);
	struct found *f = data;

	if (h->nlmsg_type != RTM_NEWROUTE || mnl_nlmsg_get_payload_len(h) < sizeof(*m) ||
	    m->rtm_flags & RTM_F_CLONED)
		return MNL_CB_OK;
	if (attr_u32(h, sizeof(*m), RTA_TABLE, m->rtm_table) != f->table)
		return MNL_CB_OK;
	return found_keep(f, h);
}

static bool rule_is_ours(const struct nlmsghdr *h)
{
	struct wanted w = { .type = FRA_PROTOCOL, .data_type = MNL_TYPE_U8 };

	mnl_attr_parse(h, sizeof(struct fib_rule_hdr), each_attr, &w);
	return w.attr && mnl_attr_get_u8(w.attr) == NETLINK_PROTOCOL;
}

static int each_rule(const struct nlmsghdr *h, void *data)
{
	struct found *f = data;
	uint32_t priority;

	if (h->nlmsg_type != RTM_NEWRULE ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct fib_rule_hdr) || !rule_is_ours(h))
		return MNL_CB_OK;
	priority = attr_u32(h, sizeof(struct fib_rule_hdr), FRA_PRIORITY, 0);
	if (priority < f->min || priority > f->max)
		return MNL_CB_OK;
	return found_keep(f, h);
}

/* Dumps into f; a dump that a change of somebody else's interrupted is incomplete and starts anew.
 */
static int dump(struct netlink *n, struct nlmsghdr *h, mnl_cb_t each, struct found *f)
{
	int r = -EINTR;

	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	for (int i = 0; i < DUMP_TRIES && r == -EINTR; i++) {
		f->n = 0;
		f->count = 0;
		r = talk(n, h, each, f);
	}
	return r;
}

/* Sends back as deletions what was found; what has gone meanwhile is as good as deleted. */
static int found_delete(struct netlink *n, const struct found *f, uint16_t type)
{
	struct nlmsghdr *h;
	int r;

	for (size_t at = 0; at < f->n; at += aligned(h->nlmsg_len)) {
		h = (struct nlmsghdr *)(void *)(f->bytes + at);
		h->nlmsg_type = type;
		h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
		h->nlmsg_pid = 0;
		r = talk(n, h, NULL, NULL);
		if (r < 0 && r != -ENOENT && r != -ESRCH && r != -ENODEV)
			return err_new(r);
	}
	return 0;
}

static int route_flush_family(struct netlink *n, uint8_t family, uint32_t table)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	CLEANUP(found_free) struct found f = { .table = table };
	struct nlmsghdr *h = request(buf, RTM_GETROUTE, 0);
	struct rtmsg *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	int r;

	m->rtm_family = family;
	mnl_attr_put_u32(h, RTA_TABLE, table);
	r = dump(n, h, each_route, &f);
	if (r == -ENOENT) /* no such table */
		return 0;
	if (r < 0)
		return err_new(r);
	return found_delete(n, &f, RTM_DELROUTE);
}

int netlink_route_flush(struct netlink *n, uint32_t table)
{
	int r = route_flush_family(n, AF_INET, table);

	if (r < 0 || !netlink_has_ipv6())
		return err_pass(r);
	return route_flush_family(n, AF_INET6, table);
}

static int rule_dump(struct netlink *n, int family, struct found *f)
{
	uint8_t buf[MESSAGE_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = request(buf, RTM_GETRULE, 0);
	struct fib_rule_hdr *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	int r;

	m->family = (uint8_t)family;
	r = dump(n, h, each_rule, f);
	return r < 0 ? err_new(r) : 0;
}

int netlink_rule_flush(struct netlink *n, int family, uint32_t min, uint32_t max)
{
	CLEANUP(found_free) struct found f = { .min = min, .max = max };
	int r = rule_dump(n, family, &f);

	if (r < 0)
		return err_pass(r);
	return found_delete(n, &f, RTM_DELRULE);
}

int netlink_rule_mark(struct netlink *n, int family, uint32_t priority, uint32_t *out)
{
	CLEANUP(found_free) struct found f = { .min = priority, .max = priority };
	int r = rule_dump(n, family, &f);

	if (r < 0)
		return err_pass(r);
	if (f.count == 0)
		return 1;
	*out = attr_u32((struct nlmsghdr *)(void *)f.bytes, sizeof(struct fib_rule_hdr), FRA_FWMARK,
			0);
	return 0;
}
