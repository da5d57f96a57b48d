/*
 * librats_tls: TLS 1.3 whose peer is accepted because of TEE evidence, not because of a CA.
 *
 * Appraisal: does this evidence come from a genuine TEE, in a state that my policy accepts?
 *
 *   rtls_policy_load()  ->  rtls_policy       what is acceptable (rats-policy(5)); immutable
 *   rtls_collateral_*() ->  rtls_collateral   what the makers of the hardware publish about it
 *   rtls_appraise()     ->  rtls_verdict      TRUSTED, or which check failed and why; every claim
 *
 * Sessions: rtls_session_*(), below. Evidence of this machine: rtls_attester_*().
 *
 * Nothing here does network I/O, prints, owns a thread or looks at a clock: the caller passes the
 * time. Only attesters touch devices. Policies and loaded collateral are read-only during an
 * appraisal, so that any number of threads may share them.
 *
 * Functions return 0 on success and -errno on failure. A verdict is not an error code: an
 * appraisal that ran returns 0 whatever it found. Test for trust, never against failure:
 *
 *   if (rtls_appraise(policy, collateral, p, n, &with, &v) != 0 ||
 *       rtls_verdict_result(v) != RTLS_TRUSTED)
 *           refuse();
 */
#ifndef RATS_TLS_H
#define RATS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default)

struct rtls_policy;
struct rtls_collateral;
struct rtls_verdict;

enum rtls_result {
	RTLS_UNDECIDED = 0, /* could not be decided: collateral is missing, or nothing ran */
	RTLS_TRUSTED = 1,
	RTLS_REJECTED = 2,
};

enum rtls_check {
	RTLS_CHECK_NONE = 0,
	RTLS_CHECK_POLICY,	/* no alternative of the policy is about this kind of evidence */
	RTLS_CHECK_FORMAT,	/* the bytes are not what they claim to be */
	RTLS_CHECK_CHAIN,	/* certificates up to a pinned root */
	RTLS_CHECK_SIGNATURE,	/* of the evidence and of what vouches for its key */
	RTLS_CHECK_BINDING,	/* report data, claims buffer and keys belong together */
	RTLS_CHECK_COLLATERAL,	/* missing, forged, expired or older than the policy allows */
	RTLS_CHECK_REVOKED,	/* a certificate is on a revocation list */
	RTLS_CHECK_IDENTITY,	/* quoting enclave or TDX module are not the vendor's */
	RTLS_CHECK_TCB,		/* TCB state or an advisory that the policy does not list */
	RTLS_CHECK_DEBUG,	/* the enclave or guest can be debugged */
	RTLS_CHECK_MEASUREMENT, /* the code is not one that the policy pins */
	RTLS_CHECK_CONFIG,	/* its configuration: attributes, guest policy, VMPL, version */
	RTLS_CHECK_PLATFORM,	/* the machine is not one that the policy pins */
	RTLS_CHECK_SIGNER,	/* the key or CA that speaks is not one that the policy pins */
	RTLS_CHECK_FRESHNESS,	/* expired, not yet valid, or a stale nonce */
	RTLS_N_CHECKS,
};

enum rtls_outcome {
	RTLS_FAILED = 0,
	RTLS_PASSED = 1,
	RTLS_SKIPPED = 2, /* only where the policy says so in words */
};

enum rtls_claim_kind {
	RTLS_CLAIM_NONE = 0,
	RTLS_CLAIM_BYTES,
	RTLS_CLAIM_TEXT,
	RTLS_CLAIM_UINT,
	RTLS_CLAIM_BOOL,
};

/*
 * Policy. `err` (err_size bytes, may be NULL with 0) gets "LINE:COLUMN: what is wrong" when the
 * text is refused (-EINVAL). The policy does not refer to the text afterwards. A changed file is
 * parsed into a new policy; appraisals that run keep the old one.
 */
int rtls_policy_parse(const char *text, size_t n, struct rtls_policy **out, char *err,
		      size_t err_size);
int rtls_policy_load(const char *path, struct rtls_policy **out, char *err, size_t err_size);
void rtls_policy_free(struct rtls_policy *policy);
/* The `collateral: path:` of the policy, or NULL; lives as long as the policy. */
const char *rtls_policy_collateral_path(const struct rtls_policy *policy);
/* Whether the policy holds `insecure: null`, that is, proves nothing. Callers must shout. */
bool rtls_policy_is_insecure(const struct rtls_policy *policy);

/*
 * Collateral. New, add or load as often as needed, seal once; then read-only. What an item is, is
 * recognised by its content (rats-policy(5)). An item that is not
 * recognised is kept for the verifiers, which ignore what they cannot use.
 */
int rtls_collateral_new(struct rtls_collateral **out);
int rtls_collateral_add(struct rtls_collateral *collateral, const void *bytes, size_t n);
/* A file, or every file in a directory (not its subdirectories). */
int rtls_collateral_load(struct rtls_collateral *collateral, const char *path);
int rtls_collateral_seal(struct rtls_collateral *collateral);
void rtls_collateral_free(struct rtls_collateral *collateral);

/* What the i-th item is, for people: nothing here is a statement of trust. */
struct rtls_collateral_item {
	const char *kind;	 /* "certificate", "crl", "tcb-info", "qe-identity", "other" */
	char name[160];		 /* whom it is about, in printable ASCII */
	int64_t issued, expires; /* seconds since 1970; 0: it does not say */
	bool is_signed;		 /* by the key of a certificate in the same, sealed bag */
};
/* False: there is no i-th. */
bool rtls_collateral_item(const struct rtls_collateral *collateral, size_t i,
			  struct rtls_collateral_item *out);

/*
 * What an appraisal needs besides evidence and policy. Zero-initialise it; then a field that a
 * later version adds keeps its old meaning.
 */
struct rtls_context {
	size_t size;		  /* sizeof(struct rtls_context) */
	int64_t time;		  /* seconds since 1970; 0 is refused: the caller knows the time */
	const void *report_data;  /* expected, zero-padded to 64 bytes; NULL: not compared */
	size_t report_data_size;  /* at most 64 */
	const void *endorsements; /* what the peer sent along: a bundle; NULL: nothing */
	size_t endorsements_size;
};

/*
 * Appraises evidence: bare, in its CBOR envelope, or inside a certificate. `collateral` must be
 * sealed; NULL means none. *out is written when 0 is returned; free it. -EINVAL: a misused
 * argument; -ENOMEM. There is no way to a trusted verdict but RTLS_TRUSTED.
 */
int rtls_appraise(const struct rtls_policy *policy, const struct rtls_collateral *collateral,
		  const void *evidence, size_t n, const struct rtls_context *context,
		  struct rtls_verdict **out);
void rtls_verdict_free(struct rtls_verdict *verdict);

/* Strings live as long as the verdict. All accept NULL: undecided, and no claims. */
enum rtls_result rtls_verdict_result(const struct rtls_verdict *verdict);
enum rtls_check rtls_verdict_failed(const struct rtls_verdict *verdict);
const char *rtls_verdict_why(const struct rtls_verdict *verdict); /* one line; "" if trusted */
const char *rtls_verdict_tee(const struct rtls_verdict *verdict); /* "sgx"; "" if unknown */
const char *rtls_verdict_tcb_status(const struct rtls_verdict *verdict); /* "" if none */
/* Index, from 0, of the alternative that accepted; -1 unless trusted. */
int rtls_verdict_alternative(const struct rtls_verdict *verdict);

/* Every check that was made, in order. False: there is no i-th. */
bool rtls_verdict_check(const struct rtls_verdict *verdict, size_t i, enum rtls_check *out_check,
			enum rtls_outcome *out_outcome, const char **out_what);
const char *rtls_check_name(enum rtls_check check);    /* "SIGNATURE" */
const char *rtls_result_name(enum rtls_result result); /* "TRUSTED" */

struct rtls_claim {
	const char *name;
	enum rtls_claim_kind kind;
	const uint8_t *bytes; /* BYTES; TEXT (then also NUL-terminated) */
	size_t n_bytes;
	uint64_t number; /* UINT; BOOL: 0 or 1 */
};

/* Claims are authentic only in a verdict whose SIGNATURE and CHAIN checks passed: ask the result.
 */
bool rtls_verdict_claim(const struct rtls_verdict *verdict, size_t i, struct rtls_claim *out);
bool rtls_verdict_find(const struct rtls_verdict *verdict, const char *name,
		       struct rtls_claim *out);
/* One JSON object: result, failed, why, tee, tcb_status, advisories, checks, claims. free() it. */
char *rtls_verdict_json(const struct rtls_verdict *verdict);

/*
 * Whether the alternative that accepted lets this peer own an address prefix (`allowed_ips`):
 * address of 4 or 16 bytes in network order. False unless trusted, or without `allowed_ips`.
 */
bool rtls_policy_allows_prefix(const struct rtls_policy *policy, const struct rtls_verdict *verdict,
			       const uint8_t *address, size_t n, unsigned prefix_len);

/*
 * Decodes and checks without a policy, so without any trust: the verdict has the claims and the
 * checks as far as they came; its result is UNDECIDED or REJECTED. collateral and context may
 * be NULL: then what needs them stays undecided.
 */
int rtls_inspect(const struct rtls_collateral *collateral, const void *evidence, size_t n,
		 const struct rtls_context *context, struct rtls_verdict **out);
/* A policy that accepts exactly the verdict's claims, or with any = true every value. free() it. */
char *rtls_policy_suggest(const struct rtls_verdict *verdict, bool any);

/*
 * Attesters: this machine's own evidence. The only functions of the library that do I/O, and may
 * block: call them where that hurts nobody (a worker process or thread).
 *
 * name: "tpm", "sgx", "tdx", "snp", "csv" or "null"; there is no "best available". options: words
 * "key=value" separated by commas, or NULL (rats-attester(7)). `err` gets one line why not.
 * 0, -EINVAL (unknown name or option), -ENODEV (nothing of that kind here), or -errno.
 */
struct rtls_attester;
int rtls_attester_open(const char *name, const char *options, struct rtls_attester **out, char *err,
		       size_t err_size);
void rtls_attester_close(struct rtls_attester *attester);
const char *rtls_attester_name(const struct rtls_attester *attester);
/*
 * Fresh evidence for 64 bytes of report data, in its envelope with an empty claims buffer.
 * free() it. 0, or -errno with one line in `err`; *out is written on success only.
 */
int rtls_attester_evidence(struct rtls_attester *attester, const uint8_t report_data[64],
			   void **out, size_t *out_n, char *err, size_t err_size);
/*
 * What this machine holds of endorsements (certificates beside its reports, collateral that the
 * options name): a bundle as rtls_context takes it. *out may be set to NULL with *out_n 0: none.
 */
int rtls_attester_endorsements(struct rtls_attester *attester, void **out, size_t *out_n);
/*
 * The i-th kind of attester, and whether it would work here: *out_why is one line, valid until the
 * next call in this thread. Opens devices, makes no quote. False: there is no i-th.
 */
bool rtls_attester_probe(size_t i, const char **out_name, bool *out_works, const char **out_why);

/*
 * An identity: a fresh P-256 key and a self-signed certificate for it, once per process. Sessions
 * share it, read-only.
 */
struct rtls_identity;
int rtls_identity_new(struct rtls_identity **out);
void rtls_identity_free(struct rtls_identity *identity);
/*
 * The report data that evidence in its certificate must carry: SHA-256 of the claims buffer
 * {"pubkey-hash": ...}, zero-padded (Interoperable RA-TLS).
 */
int rtls_identity_report_data(const struct rtls_identity *identity, uint8_t out[64]);
/*
 * Makes the certificate anew with that evidence (as rtls_attester_evidence() gives it) and
 * endorsements (NULL, 0: none) inside, for peers that know no session evidence. Before the
 * first session.
 */
int rtls_identity_set_evidence(struct rtls_identity *identity, const void *evidence, size_t n,
			       const void *endorsements, size_t n_endorsements);

/*
 * A session: TLS 1.3 over a byte stream that is the caller's. No tickets, no early data, no
 * renegotiation, no certificate authority: who the peer is, is decided by its evidence, so nothing
 * is trusted when the handshake is done. The library never blocks and owns no descriptor:
 *
 *   bytes from the peer  -> rtls_session_feed()  -> plaintext
 *   plaintext            -> rtls_session_seal()  -> bytes to the peer
 *   after feed, and before seal: rtls_session_drain() -> bytes to the peer (handshake, alerts)
 *   rtls_session_next_event() says what has happened, rtls_session_decide() what to do about it.
 *
 * Until rtls_session_decide(session, RTLS_TRUSTED) no more than `untrusted_max` bytes of plaintext
 * pass in each direction: as much as the exchange of evidence needs, 0 by default.
 */
struct rtls_session;

enum rtls_role { RTLS_ROLE_NONE = 0, RTLS_CLIENT = 1, RTLS_SERVER = 2 };

enum rtls_event {
	RTLS_EVENT_NONE = 0,
	RTLS_EVENT_HANDSHAKE_DONE, /* keys are there; the peer is not trusted yet */
	RTLS_EVENT_CLOSED,	   /* close_notify: the peer has sent all that it will send */
	RTLS_EVENT_FAILED,	   /* nothing passes any more; rtls_session_why() says why */
};

enum {
	RTLS_RECORD_MAX = 16384,     /* bytes of plaintext in one record (RFC 8446 5.1) */
	RTLS_RECORD_OVERHEAD = 22,   /* bytes that a record adds: header, type, tag */
	RTLS_SESSION_NONCE_MAX = 64, /* bytes of a nonce of session evidence */
};

struct rtls_session_config {
	size_t size; /* sizeof(struct rtls_session_config) */
	enum rtls_role role;
	const struct rtls_identity *identity; /* borrowed as long as the session */
	const char *alpn;   /* the one protocol, mandatory for both sides; NULL: none */
	bool alpn_optional; /* a peer that offers (server) or selects (client) none passes */
	bool peer_certificate_optional; /* server: a client without certificate passes */
	const char *cipher_backend;	/* "ipsec-mb", "evp"; NULL: the fastest that works here */
	size_t untrusted_max;		/* bytes each way before rtls_session_decide() */
};

/* 0, -EINVAL, -ENOMEM, -ENOTSUP (that cipher backend is not here). */
int rtls_session_new(const struct rtls_session_config *config, struct rtls_session **out);
void rtls_session_free(struct rtls_session *session); /* wipes its keys */

/*
 * Takes bytes from the peer: *out_used of n (all of them, unless `plain` is full or an event waits:
 * see to that, then call again with the rest), and writes *out_plain bytes of plaintext, at most
 * plain_size, which must be at least RTLS_RECORD_MAX. The bytes of `in` may be overwritten; `in`
 * and `plain` must not overlap.
 * 0, or -EPROTO when the session has failed (drain the alert, then close); -ENOMEM. Plaintext is
 * given out only of records whose tag was right; on failure *out_plain counts what preceded it.
 */
int rtls_session_feed(struct rtls_session *session, void *in, size_t n, size_t *out_used,
		      void *plain, size_t plain_size, size_t *out_plain);
/*
 * Encrypts the bytes of iov from offset `skip` on, in records as large as possible: *out_taken
 * bytes of plaintext into *out_n bytes at `out` (at most out_size), as much as fits; what drain
 * would have given comes first. 0; -EAGAIN before the handshake is done; -EACCES when untrusted_max
 * is used up; -EPROTO when failed or closed.
 */
struct iovec;
int rtls_session_seal(struct rtls_session *session, const struct iovec *iov, int n_iov, size_t skip,
		      void *out, size_t out_size, size_t *out_taken, size_t *out_n);
/* Bytes that the session itself has to say; *out_n 0: nothing. 0 or -EINVAL. */
int rtls_session_drain(struct rtls_session *session, void *out, size_t out_size, size_t *out_n);
bool rtls_session_has_output(const struct rtls_session *session);
enum rtls_event rtls_session_next_event(struct rtls_session *session);
/* The caller's decision. RTLS_TRUSTED opens the session; anything else fails it with an alert. */
void rtls_session_decide(struct rtls_session *session, enum rtls_result result);
/* Queues close_notify: seal takes nothing more. */
void rtls_session_close(struct rtls_session *session);

const char *rtls_session_why(const struct rtls_session *session);  /* one line; "" if not failed */
const char *rtls_session_alpn(const struct rtls_session *session); /* negotiated, or "" */
/* "TLS_AES_128_GCM_SHA256 ipsec-mb", for people; "" before the handshake is done. */
const char *rtls_session_cipher(const struct rtls_session *session);
/* The peer's certificate in DER, as long as the session; n = 0: it has sent none. */
const void *rtls_session_peer_certificate(const struct rtls_session *session, size_t *out_n);
/*
 * The 64 bytes of report data that session evidence of the role `of` in this session must carry:
 * SHA-512("ENG-attest-v1" || of || exporter(label of that role, 32) || SHA-384(SPKI of that role)
 * || nonce), see docs/wire.md 4.6. -EAGAIN before the handshake is done; -ENOENT when that side has
 * no certificate; -EINVAL; -ENOMEM.
 */
int rtls_session_report_data(const struct rtls_session *session, enum rtls_role of,
			     const void *nonce, size_t n, uint8_t out[64]);

/*
 * The i-th prefix of `allowed_ips` of the alternative that accepted: address of *out_n (4 or 16)
 * bytes, and its length. False: there is no i-th, or the verdict is not trusted.
 */
bool rtls_policy_allowed_prefix(const struct rtls_policy *policy,
				const struct rtls_verdict *verdict, size_t i,
				uint8_t out_address[16], size_t *out_n, unsigned *out_prefix_len);
/* The `name` of the alternative that accepted, or ""; lives as long as the policy. */
const char *rtls_policy_accepted_as(const struct rtls_policy *policy,
				    const struct rtls_verdict *verdict);
/* Whether the alternative that accepted says `replace: true`: see rats-policy(5). */
bool rtls_policy_may_replace(const struct rtls_policy *policy, const struct rtls_verdict *verdict);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
