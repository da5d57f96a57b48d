/*
 * Evidence of a TPM 2.0: a quote over PCRs, their values, and the public part of the key that
 * signed it (attest_tpm_device.c says which). What it proves: that the machine in which this TPM
 * is has booted what the PCRs say, and that whoever asked could use the TPM. Everybody who may
 * open the device can do that, so the device's permissions are part of the proof.
 *
 * A quote holds a digest of the PCRs, not their values; those are read by another command before
 * it. If a PCR changes in between, both are done again: evidence that contradicts itself is never
 * given out.
 *
 * The TPM stays open between quotes. When something fails it is closed, and opened anew for the
 * next: a TPM, or the daemon in front of one, that was restarted is then found again.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "base/err.h"
#include "rats/attest/attest_tpm_device.h"
#include "rats/file.h"
#include "rats/tpm/tpm_evidence.h"
#include "rats/tpm/tpm_nonce.h"

#define TCTI_DEFAULT "device:/dev/tpmrm0"
/*
 * Firmware, its settings and Secure Boot (0 to 7); kernel, its command line and initrd, where GRUB
 * or a UKI measures them (8, 9); MOK (14). Not 11: systemd extends it while the system boots.
 */
#define PCRS_DEFAULT "sha256:0-9+14"

enum {
	PCR_MAX = 23,
	QUOTE_ATTEMPTS_MAX = 5,	  /* PCRs change in bursts, while something boots */
	TCTI_MAX = 512,		  /* bytes: a path and some words */
	AK_CHAIN_MAX = 16 * 1024, /* bytes of PEM: three certificates take 6 KiB */
};

struct attester_tpm {
	char tcti[TCTI_MAX];
	char ak_chain[PATH_MAX]; /* "": none */
	struct tpm_ak_spec ak;
	struct tpm_bank bank;
	bool is_open;
	bool has_short_nonce; /* the TPM has refused 64 bytes */
	struct tpm_device device;
};

/*
 * tpm2-tss writes to standard error, unless the environment says otherwise, and to sockets whose
 * other end may be gone. A library does not print and does not kill: so that is what the
 * environment says from now on, and SIGPIPE is held back while tpm2-tss works.
 */
static pthread_once_t quiet_once = PTHREAD_ONCE_INIT;

static void be_quiet(void)
{
	setenv("TSS2_LOG", "all+none", 0);
}

struct pipe_guard {
	sigset_t old;
	bool was_pending;
};

static void pipe_guard_enter(struct pipe_guard *g)
{
	sigset_t pipe, pending;

	pthread_once(&quiet_once, be_quiet);
	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	pthread_sigmask(SIG_BLOCK, &pipe, &g->old);
	sigpending(&pending);
	g->was_pending = sigismember(&pending, SIGPIPE) == 1;
}

static void pipe_guard_leave(const struct pipe_guard *g)
{
	static const struct timespec at_once;
	sigset_t pipe;

	sigemptyset(&pipe);
	sigaddset(&pipe, SIGPIPE);
	while (!g->was_pending && sigtimedwait(&pipe, NULL, &at_once) < 0 && errno == EINTR)
		; /* ours, if there is one */
	pthread_sigmask(SIG_SETMASK, &g->old, NULL);
}

/* The number at *p, which moves behind it; false if there is none up to max. */
static bool take_number(const char **p, unsigned long max, unsigned *out)
{
	unsigned long n = 0;
	const char *s = *p;

	for (; *s >= '0' && *s <= '9' && n <= max; s++)
		n = 10 * n + (unsigned long)(*s - '0');
	if (s == *p || n > max)
		return false;
	*p = s;
	*out = (unsigned)n;
	return true;
}

/* "0-7+14" */
static bool parse_pcrs(const char *p, uint32_t *out)
{
	for (;;) {
		unsigned from, to;

		if (!take_number(&p, PCR_MAX, &from))
			return false;
		to = from;
		if (*p == '-') {
			p++;
			if (!take_number(&p, PCR_MAX, &to) || to < from)
				return false;
		}
		for (; from <= to; from++)
			*out |= UINT32_C(1) << from;
		if (*p == '\0')
			return true;
		if (*p++ != '+')
			return false;
	}
}

static int parse_bank(const char *text, struct tpm_bank *out, struct attest_error *err)
{
	const char *colon = strchr(text, ':');
	const struct span bank = colon ? SPAN(text, (size_t)(colon - text)) : SPAN("sha256", 6);

	*out = (struct tpm_bank){ 0 };
	if (span_equal(bank, SPAN("sha256", 6)))
		out->hash = TPM_ALG_SHA256;
	if (span_equal(bank, SPAN("sha384", 6)))
		out->hash = TPM_ALG_SHA384;
	if (!out->hash || !parse_pcrs(colon ? colon + 1 : text, &out->pcrs))
		return attest_fail(err, -EINVAL,
				   "pcrs='%.64s': give them as sha256:0-7+14 or sha384:0-7", text);
	return 0;
}

static int parse_ak(const char *ak, const char *handle, struct tpm_ak_spec *out,
		    struct attest_error *err)
{
	unsigned long n;
	char *end;

	*out = (struct tpm_ak_spec){ .kind = TPM_AK_ECC };
	if (ak && handle)
		return attest_fail(err, -EINVAL, "ak and handle exclude each other");
	if (handle) {
		errno = 0;
		n = strtoul(handle, &end, 16);
		if (errno || end == handle || *end || strncmp(handle, "0x", 2) != 0 ||
		    n < TPM_HANDLE_FIRST || n - TPM_HANDLE_FIRST >= TPM_HANDLE_COUNT)
			return attest_fail(err, -EINVAL,
					   "handle='%.32s': give it as 0x81000000 to 0x81ffffff",
					   handle);
		*out = (struct tpm_ak_spec){ TPM_AK_HANDLE, (uint32_t)n };
	}
	if (ak && strcmp(ak, "rsa") == 0)
		out->kind = TPM_AK_RSA;
	else if (ak && strcmp(ak, "ecc") != 0)
		return attest_fail(err, -EINVAL, "ak='%.32s': ecc or rsa", ak);
	return 0;
}

static int parse_options(const struct attest_options *o, struct attester_tpm *t,
			 struct attest_error *err)
{
	const char *tcti = attest_option(o, "tcti", TCTI_DEFAULT);
	const char *chain = attest_option(o, "ak_chain", "");
	int r;

	/* An empty one makes tpm2-tss try whatever it knows. */
	if (*tcti == '\0' || strlen(tcti) >= sizeof(t->tcti))
		return attest_fail(err, -EINVAL, "tcti: from 1 to %d bytes", TCTI_MAX - 1);
	memcpy(t->tcti, tcti, strlen(tcti) + 1);
	if (strlen(chain) >= sizeof(t->ak_chain))
		return attest_fail(err, -EINVAL, "ak_chain: the path is too long");
	memcpy(t->ak_chain, chain, strlen(chain) + 1);
	r = parse_bank(attest_option(o, "pcrs", PCRS_DEFAULT), &t->bank, err);
	if (r < 0)
		return err_pass(r);
	return parse_ak(attest_option(o, "ak", NULL), attest_option(o, "handle", NULL), &t->ak,
			err);
}

static void disconnect(struct attester_tpm *t)
{
	if (t->is_open)
		tpm_device_deinit(&t->device);
	t->is_open = false;
	t->has_short_nonce = false; /* it may be another TPM next time */
}

static int connect_tpm(struct attester_tpm *t, struct attest_error *err)
{
	int r;

	if (t->is_open)
		return 0;
	t->is_open = true;
	r = tpm_device_init(&t->device, t->tcti, &t->ak, err);
	if (r < 0)
		disconnect(t);
	return err_pass(r);
}

static void tpm_close(void *state)
{
	struct attester_tpm *t = state;
	struct pipe_guard guard;

	if (!t)
		return;
	pipe_guard_enter(&guard);
	disconnect(t);
	pipe_guard_leave(&guard);
	free(t);
}

static int tpm_open(const struct attest_options *o, void **out_state, struct attest_error *err)
{
	struct attester_tpm *t = calloc(1, sizeof(*t));
	struct pipe_guard guard;
	int r;

	if (!t)
		return err_new(-ENOMEM);
	r = parse_options(o, t, err);
	if (r == 0) {
		pipe_guard_enter(&guard);
		r = connect_tpm(t, err);
		pipe_guard_leave(&guard);
	}
	if (r < 0) {
		free(t);
		return err_pass(r);
	}
	*out_state = t;
	return 0;
}

static void chain_freep(uint8_t **p)
{
	free(*p);
}

/* What one attempt makes. */
struct made {
	uint8_t quote[TPM_ATTEST_MAX], signature[TPM_SIGNATURE_MAX], pcrs[TPM_VALUES_MAX];
	struct wspan quote_w, signature_w, pcrs_w;
};

static int quote(struct attester_tpm *t, const uint8_t report_data[REPORT_DATA_SIZE],
		 struct made *m, struct attest_error *err)
{
	uint8_t digest[TPM_NONCE_SHORT];
	int r = TPM_DEVICE_E_NONCE;

	if (tpm_nonce_is_short(report_data))
		r = tpm_device_quote(&t->device, &t->bank, SPAN(report_data, TPM_NONCE_SHORT),
				     &m->quote_w, &m->signature_w, err);
	else if (!t->has_short_nonce)
		r = tpm_device_quote(&t->device, &t->bank, SPAN(report_data, REPORT_DATA_SIZE),
				     &m->quote_w, &m->signature_w, err);
	if (r == TPM_DEVICE_E_NONCE && !tpm_nonce_is_short(report_data)) {
		t->has_short_nonce = true;
		if (!tpm_nonce_digest(report_data, digest))
			return err_new(-ENOMEM);
		r = tpm_device_quote(&t->device, &t->bank, SPAN(digest, sizeof(digest)),
				     &m->quote_w, &m->signature_w, err);
	}
	if (r == TPM_DEVICE_E_NONCE)
		return attest_fail(err, -ENOTSUP, "the TPM takes no nonce of %d bytes",
				   TPM_NONCE_SHORT);
	return err_pass(r);
}

/* Whether the quote is about these values: tpm_quote.c will ask the same. */
static bool agrees(const struct made *m, const struct tpm_bank *bank)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct tpm_quote q;
	struct tpm_sig sig;
	unsigned n = 0;

	return tpm_quote_parse(SPAN(m->quote, m->quote_w.n), &q) && q.n_banks == 1 &&
	       q.banks[0].hash == bank->hash && q.banks[0].pcrs == bank->pcrs &&
	       tpm_sig_parse(SPAN(m->signature, m->signature_w.n), &sig) &&
	       EVP_Digest(m->pcrs, m->pcrs_w.n, digest, &n,
			  EVP_get_digestbyname(tpm_hash_name(sig.hash)), NULL) == 1 &&
	       span_equal(SPAN(digest, n), q.pcr_digest);
}

static int make(struct attester_tpm *t, const uint8_t report_data[REPORT_DATA_SIZE], struct made *m,
		struct attest_error *err)
{
	int r;

	for (int i = 0; i < QUOTE_ATTEMPTS_MAX; i++) {
		*m = (struct made){ 0 };
		m->quote_w = WSPAN(m->quote, sizeof(m->quote));
		m->signature_w = WSPAN(m->signature, sizeof(m->signature));
		m->pcrs_w = WSPAN(m->pcrs, sizeof(m->pcrs));
		r = tpm_device_read_pcrs(&t->device, &t->bank, &m->pcrs_w, err);
		if (r == 0)
			r = quote(t, report_data, m, err);
		if (r < 0)
			return err_pass(r);
		if (agrees(m, &t->bank))
			return 0;
	}
	return attest_fail(err, -EBUSY, "quotes and values of the PCRs disagree, %d times",
			   QUOTE_ATTEMPTS_MAX);
}

/* The certificates of the key, each time anew: they are renewed. Empty if there is no such option.
 */
static int read_chain(const struct attester_tpm *t, uint8_t **out, size_t *out_n,
		      struct attest_error *err)
{
	int r = 0;

	*out = NULL;
	*out_n = 0;
	if (*t->ak_chain)
		r = file_read_at(AT_FDCWD, t->ak_chain, AK_CHAIN_MAX, out, out_n);
	return r < 0 ? attest_fail(err, r, "%s: %s", t->ak_chain, err_text(r)) : 0;
}

static int write_evidence(struct attester_tpm *t, const struct made *m, struct wspan *body,
			  struct attest_error *err)
{
	CLEANUP(chain_freep) uint8_t *chain = NULL;
	struct tpm_evidence e = { .quote = SPAN(m->quote, m->quote_w.n),
				  .signature = SPAN(m->signature, m->signature_w.n),
				  .pcrs = SPAN(m->pcrs, m->pcrs_w.n) };
	uint8_t *spki = NULL;
	size_t n, n_chain;
	int r;

	r = read_chain(t, &chain, &n_chain, err);
	if (r < 0)
		return err_pass(r);
	n = tpm_public_to_spki(t->device.ak_public, &spki);
	if (n == 0)
		return attest_fail(err, -ENOTSUP,
				   "the attestation key is neither RSA nor on P-256 or P-384");
	e.ak = SPAN(spki, n);
	e.ak_chain = SPAN(chain, n_chain);
	tpm_evidence_write(body, &e);
	OPENSSL_free(spki);
	return 0;
}

static int tpm_evidence_make(void *state, const uint8_t report_data[REPORT_DATA_SIZE],
			     struct wspan *body, struct attest_error *err)
{
	struct attester_tpm *t = state;
	struct pipe_guard guard;
	struct made m;
	int r;

	pipe_guard_enter(&guard);
	r = connect_tpm(t, err);
	if (r == 0)
		r = make(t, report_data, &m, err);
	if (r == 0)
		r = write_evidence(t, &m, body, err);
	if (r < 0)
		disconnect(t);
	pipe_guard_leave(&guard);
	return err_pass(r);
}

static int tpm_probe(struct attest_error *why)
{
	static const struct attest_options none;
	void *state = NULL;
	int r = tpm_open(&none, &state, why);

	if (r < 0)
		return err_pass(r);
	tpm_close(state);
	attest_note(why, "%s", TCTI_DEFAULT);
	return 0;
}

static const char *const keys[] = { "tcti", "ak", "ak_chain", "handle", "pcrs", NULL };

const struct attester_backend attester_tpm = {
	.name = "tpm",
	.tag = EVIDENCE_TAG_TPM,
	.keys = keys,
	.open = tpm_open,
	.close = tpm_close,
	.evidence = tpm_evidence_make,
	.probe = tpm_probe,
};
