/*
 * Sockets through NETLINK_SOCK_DIAG: a dump finds those bound to an address, and each is sent back
 * as a request to abort it; its application sees ECONNABORTED.
 *
 * What for: an address of a device that goes away. Linux sends no IPv4 packet from an address that
 * is not its own, but it does send IPv6 ones, by whatever route is left. For that reason IPv6 only.
 */
#include "io/sockdiag.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <libmnl/libmnl.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>

#include "base/err.h"

enum {
	RECEIVE_MAX = 32 * 1024,
	REQUEST_MAX = 256,
	FOUND_MAX = 100 * 1000, /* sockets: more ports than one address has, TCP and UDP */
};

struct sockdiag {
	struct mnl_socket *socket;
	uint32_t seq, portid;
	uint8_t receive[RECEIVE_MAX];
};

DEFINE_FREEP(struct sockdiag *, sockdiag_free)

struct found {
	const struct addr *own;
	struct inet_diag_sockid *ids;
	size_t n, size;
};

static void found_free(struct found *f)
{
	free(f->ids);
}

int sockdiag_new(struct sockdiag **out)
{
	CLEANUP(sockdiag_freep) struct sockdiag *s = calloc(1, sizeof(*s));

	if (!s)
		return err_new(-ENOMEM);
	s->socket = mnl_socket_open2(NETLINK_SOCK_DIAG, SOCK_CLOEXEC);
	if (!s->socket || mnl_socket_bind(s->socket, 0, MNL_SOCKET_AUTOPID) < 0)
		return err_new(-errno);
	s->portid = mnl_socket_get_portid(s->socket);
	*out = TAKE(s);
	return 0;
}

void sockdiag_free(struct sockdiag *s)
{
	if (!s)
		return;
	if (s->socket)
		mnl_socket_close(s->socket);
	free(s);
}

static int each_socket(const struct nlmsghdr *h, void *data)
{
	const struct inet_diag_msg *m = mnl_nlmsg_get_payload(h);
	struct inet_diag_sockid *ids;
	struct found *f = data;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(*m) || m->idiag_family != AF_INET6 ||
	    memcmp(m->id.idiag_src, f->own->bytes, sizeof(f->own->bytes)) != 0)
		return MNL_CB_OK;
	if (f->n == FOUND_MAX) {
		errno = EOVERFLOW;
		return MNL_CB_ERROR;
	}
	if (f->n == f->size) {
		size_t size = f->size * 2 + 16;

		ids = reallocarray(f->ids, size, sizeof(*ids));
		if (!ids)
			return MNL_CB_ERROR;
		f->ids = ids;
		f->size = size;
	}
	f->ids[f->n++] = m->id;
	return MNL_CB_OK;
}

/* One request about IPv6 sockets of a protocol: all of them, or the one named by id. */
static int ask(struct sockdiag *s, uint16_t type, uint8_t protocol,
	       const struct inet_diag_sockid *id, struct found *f)
{
	uint8_t buf[REQUEST_MAX] __attribute__((aligned(NLMSG_ALIGNTO))) = { 0 };
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct inet_diag_req_v2 *m = mnl_nlmsg_put_extra_header(h, sizeof(*m));
	int r = MNL_CB_OK;
	ssize_t len;

	h->nlmsg_type = type;
	h->nlmsg_flags = (uint16_t)(NLM_F_REQUEST | (id ? NLM_F_ACK : NLM_F_DUMP));
	h->nlmsg_seq = ++s->seq;
	m->sdiag_family = AF_INET6;
	m->sdiag_protocol = protocol;
	m->idiag_states = UINT32_MAX;
	if (id)
		m->id = *id;
	if (mnl_socket_sendto(s->socket, h, h->nlmsg_len) < 0)
		return -errno;
	while (r > MNL_CB_STOP) {
		len = mnl_socket_recvfrom(s->socket, s->receive, sizeof(s->receive));
		if (len < 0 && errno != EINTR)
			return -errno;
		if (len >= 0)
			r = mnl_cb_run(s->receive, (size_t)len, s->seq, s->portid, each_socket, f);
	}
	return r < 0 ? -errno : 0;
}

int sockdiag_cut(struct sockdiag *s, const struct addr *own)
{
	static const uint8_t protocols[] = { IPPROTO_TCP, IPPROTO_UDP };
	int r;

	for (size_t i = 0; i < ARRAY_LEN(protocols); i++) {
		CLEANUP(found_free) struct found f = { .own = own };

		r = ask(s, SOCK_DIAG_BY_FAMILY, protocols[i], NULL, &f);
		for (size_t j = 0; j < f.n && r == 0; j++) {
			r = ask(s, SOCK_DESTROY, protocols[i], &f.ids[j], &f);
			if (r == -ENOENT) /* it ended by itself */
				r = 0;
		}
		if (r < 0)
			return err_new(r);
	}
	return 0;
}
