/* A session from the inside: session.c is the public face, session_in.c reads, session_out.c says.
 */
#ifndef ENG_TLS_SESSION_H
#define ENG_TLS_SESSION_H

#include "tls/handshake.h"
#include "tls/record.h"

enum {
	SESSION_STASH = RECORD_HEAD + RECORD_ANY_MAX,
	/* Of our own after the handshake, at most one each: a KeyUpdate and an alert, 27 + 24. */
	SESSION_SAYS_MAX = 64,
	/* Records in a row without application data: tickets, key updates, empty ones. */
	SESSION_QUIET_MAX = 64,
	SESSION_MESSAGE_MAX =
		1 << 17, /* a NewSessionTicket has at most 2^16 + 2^16 (RFC 8446 4.6.1) */
};

enum session_state {
	SESSION_FAILED = 0,
	SESSION_HANDSHAKE,
	SESSION_UNDECIDED, /* keys, and no trust */
	SESSION_TRUSTED,
};

/* A post-handshake message, of which nothing but its kind and first byte is kept. */
struct message {
	uint8_t head[4];
	size_t n_head, left;
	uint8_t first;
};

struct rtls_session {
	enum session_state state;
	struct rtls_session_config config; /* with our own copies of its strings */
	char *alpn;
	struct handshake *handshake; /* NULL: it is over */
	struct half tx, rx;
	bool tx_closed, rx_closed; /* close_notify is queued; has come */
	bool has_result;

	/* In. */
	uint8_t *stash; /* the start of a record; NULL: there is none */
	size_t n_stash;
	struct message message;
	unsigned n_quiet;
	bool asked;			    /* the peer for a new key, and it has not come */
	size_t untrusted_in, untrusted_out; /* bytes so far */

	/* Out: first what the handshake left behind, then what we say. */
	uint8_t *flight;
	size_t n_flight, flight_at;
	uint8_t says[SESSION_SAYS_MAX];
	size_t n_says, says_at;
	bool says_update; /* a KeyUpdate is in it */

	/* What lasts. */
	bool has_event[RTLS_EVENT_FAILED + 1];
	uint8_t exporter[2][EXPORTER_SIZE]; /* by role, minus one */
	uint8_t spki[2][SPKI_DIGEST];
	bool has_certificate[2];
	bool has_alpn;
	uint8_t *peer_cert;
	size_t n_peer_cert;
	char cipher[64];
	char why[WHY_MAX];
};

/* Ends the session with an alert; -EPROTO. The first reason stays. */
PRINTF_LIKE(3, 4)
int session_fail(struct rtls_session *s, enum alert alert, const char *why, ...);
/* The same without an alert: the peer has sent one, or none can be sent. */
int session_drop(struct rtls_session *s, const char *why);
/* KeyUpdate, from then on with a new key. 0, or -errno of a session that has failed. */
int session_update_key(struct rtls_session *s, bool asks);
/* What the handshake has to say is taken over. 0 or -ENOMEM. */
int session_take_flight(struct rtls_session *s);
/* Moves as much of what is queued as fits. */
size_t session_flush(struct rtls_session *s, uint8_t *out, size_t size);
/* The handshake's secrets become keys. 0, or -errno of a session that has failed. */
int session_start(struct rtls_session *s, const struct handshake_result *r);

/* A session that has these secrets, without a handshake: for tests of the record layer. config's
 * identity may be NULL. */
int session_new_established(const struct rtls_session_config *config,
			    const struct handshake_result *r, struct rtls_session **out);

#endif
