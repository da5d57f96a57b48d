/*
 * rats-inspect tpm: what a TPM's owner does before and beside the daemons. enroll writes the
 * policy that pins this TPM and the state in which it is; quote writes evidence as a daemon would
 * send it; assemble makes evidence of the pieces that other tools leave. attesters says what this
 * machine could prove.
 *
 * A policy is tried on the evidence that it was made of before it is printed, and assembled
 * evidence is looked at before it is written.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "tool/inspect.h"
#include "wire/item.h"

enum {
	WHY_MAX = 512,	       /* why not */
	OPTIONS_MAX = 1024,    /* bytes of an attester's options */
	PIECE_MAX = 16 * 1024, /* bytes of one file: quote, signature, PCRs, key */
	ASSEMBLED_MAX = 4 * PIECE_MAX + 64,
	TPM_ENVELOPE_TAG = 0x1a7507, /* as in rats-inspect(1) */
};

static void attester_closep(struct rtls_attester **a)
{
	rtls_attester_close(*a);
}

/* --options, and --tcti with its commas doubled. False: too long. */
static bool join_options(const struct inspect *in, char *out, size_t size)
{
	size_t n = 0;

	if (in->options)
		n = (size_t)snprintf(out, size, "%s%s", in->options, in->tcti ? "," : "");
	if (n < size && in->tcti)
		n += (size_t)snprintf(out + n, size - n, "tcti=");
	for (const char *p = in->tcti ? in->tcti : ""; *p && n + 3 <= size; p++) {
		out[n++] = *p;
		if (*p == ',')
			out[n++] = ',';
	}
	if (n + 3 > size)
		return false;
	out[n] = '\0';
	return true;
}

/* Fresh evidence of this machine's TPM; what went wrong is said on stderr. */
static int get_evidence(const struct inspect *in, uint8_t **out, size_t *out_n)
{
	CLEANUP(attester_closep) struct rtls_attester *a = NULL;
	uint8_t report_data[REPORT_DATA_MAX] = { 0 };
	char options[OPTIONS_MAX] = "", why[WHY_MAX] = "";
	void *bytes = NULL;
	int r;

	memcpy(report_data, in->report_data, in->n_report_data);
	if (!join_options(in, options, sizeof(options)))
		return inspect_complain("--options and --tcti are too long"), err_new(-EINVAL);
	r = rtls_attester_open("tpm", options, &a, why, sizeof(why));
	if (r == 0)
		r = rtls_attester_evidence(a, report_data, &bytes, out_n, why, sizeof(why));
	if (r < 0)
		return inspect_complain("%s", why), err_pass(r);
	*out = bytes;
	return 0;
}

static void print_hex(FILE *f, const struct rtls_claim *c)
{
	for (size_t i = 0; i < c->n_bytes; i++)
		fprintf(f, "%02x", c->bytes[i]);
	fputc('\n', f);
}

/* The claims "pcr0", "pcr1", ... as the map `key`; without any, nothing. */
static void print_pcrs(FILE *f, const struct rtls_verdict *v, const char *key, const char *claim)
{
	const size_t n = strlen(claim);
	struct rtls_claim c;
	bool is_first = true;

	for (size_t i = 0; rtls_verdict_claim(v, i, &c); i++) {
		if (strncmp(c.name, claim, n) != 0 || c.name[n] < '0' || c.name[n] > '9')
			continue;
		if (is_first)
			fprintf(f, "    %s:\n", key);
		is_first = false;
		fprintf(f, "      %s: ", c.name + n);
		print_hex(f, &c);
	}
}

static void print_policy(FILE *f, const char *name, const struct rtls_verdict *v)
{
	struct rtls_claim ak;

	fputs("one_of:\n  - tee: tpm\n", f);
	if (name)
		fprintf(f, "    name: \"%s\"\n", name);
	if (rtls_verdict_find(v, "ak_sha256", &ak)) {
		fputs("    ak_sha256: ", f);
		print_hex(f, &ak);
	}
	print_pcrs(f, v, "pcrs", "pcr");
	print_pcrs(f, v, "pcrs_sha384", "pcr_sha384_");
}

static char *format_policy(const char *name, const struct rtls_verdict *v)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);
	bool ok;

	if (!f)
		return NULL;
	print_policy(f, name, v);
	ok = !ferror(f);
	if (fclose(f) == 0 && ok)
		return text;
	free(text);
	return NULL;
}

/* Whether the policy accepts what it was made of. */
static int try_policy(const struct inspect *in, const char *text, const uint8_t *evidence, size_t n)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = in->time };
	CLEANUP(rtls_policy_freep) struct rtls_policy *p = NULL;
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	char why[WHY_MAX] = "";
	int r;

	r = rtls_policy_parse(text, strlen(text), &p, why, sizeof(why));
	if (r < 0)
		return inspect_complain("the policy would be refused: %s",
					*why ? why : err_text(r)),
		       err_pass(r);
	r = rtls_appraise(p, NULL, evidence, n, &ctx, &v);
	if (r == 0 && rtls_verdict_result(v) == RTLS_TRUSTED)
		return 0;
	inspect_complain("the evidence of this TPM is refused: %s", rtls_verdict_why(v));
	return r < 0 ? err_pass(r) : err_new(-EBADMSG);
}

int inspect_tpm_enroll(const struct inspect *in)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = in->time };
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	CLEANUP(inspect_freep) uint8_t *evidence = NULL;
	CLEANUP(inspect_freep) char *text = NULL;
	size_t n = 0;
	int r;

	if (get_evidence(in, &evidence, &n) < 0)
		return EXIT_UNDECIDED;
	r = rtls_inspect(NULL, evidence, n, &ctx, &v);
	if (r < 0)
		return inspect_complain("%s", err_text(r));
	text = format_policy(in->name, v);
	if (!text)
		return inspect_complain("%s", err_text(-ENOMEM));
	if (try_policy(in, text, evidence, n) < 0)
		return EXIT_UNDECIDED;
	fputs(text, stdout);
	return inspect_flush(EXIT_SUCCESS);
}

int inspect_tpm_quote(const struct inspect *in)
{
	CLEANUP(inspect_freep) uint8_t *evidence = NULL;
	size_t n = 0;

	if (isatty(STDOUT_FILENO))
		return inspect_complain("evidence is binary: redirect standard output");
	if (get_evidence(in, &evidence, &n) < 0)
		return EXIT_UNDECIDED;
	fwrite(evidence, 1, n, stdout);
	return inspect_flush(EXIT_SUCCESS);
}

struct piece {
	const char *key;
	uint8_t *bytes;
	size_t n;
};

enum { N_PIECES = 4 };

struct pieces {
	struct piece piece[N_PIECES];
};

static void pieces_deinit(struct pieces *p)
{
	for (size_t i = 0; i < N_PIECES; i++)
		free(p->piece[i].bytes);
}

/* `bytes` holds ASSEMBLED_MAX, for what is inside the envelope. */
static void envelop(const struct pieces *p, uint8_t *bytes, struct wspan *w)
{
	struct wspan map = WSPAN(bytes, ASSEMBLED_MAX);

	item_put_map(&map, N_PIECES);
	for (size_t i = 0; i < N_PIECES; i++) {
		item_put_text(&map, p->piece[i].key);
		item_put_bytes(&map, p->piece[i].bytes, p->piece[i].n);
	}
	w->overflow = map.overflow;
	wspan_u8(w, 6 << 5 | 26); /* a tag of four bytes: RFC 8949, 3 */
	wspan_be32(w, TPM_ENVELOPE_TAG);
	item_put_array(w, 2);
	item_put_bytes(w, map.p, map.n);
	item_put_bytes(w, "", 0);
}

static int write_assembled(const struct inspect *in, const struct wspan *w)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = in->time };
	CLEANUP(rtls_verdict_freep) struct rtls_verdict *v = NULL;
	int r;

	if (w->overflow)
		return inspect_complain("the pieces are too large");
	r = rtls_inspect(NULL, w->p, w->n, &ctx, &v);
	if (r < 0)
		return inspect_complain("%s", err_text(r));
	if (rtls_verdict_failed(v) != RTLS_CHECK_NONE)
		return inspect_complain("the pieces make no evidence: %s: %s",
					rtls_check_name(rtls_verdict_failed(v)),
					rtls_verdict_why(v)),
		       EXIT_REJECTED;
	fwrite(w->p, 1, w->n, stdout);
	return inspect_flush(EXIT_SUCCESS);
}

int inspect_tpm_assemble(const struct inspect *in)
{
	CLEANUP(pieces_deinit)
	struct pieces p = {
		{ { .key = "quote" }, { .key = "signature" }, { .key = "pcrs" }, { .key = "ak" } }
	};
	CLEANUP(inspect_freep) uint8_t *bytes = malloc(ASSEMBLED_MAX);
	CLEANUP(inspect_freep) uint8_t *body = malloc(ASSEMBLED_MAX);
	struct wspan w = WSPAN(bytes, ASSEMBLED_MAX);

	if (!bytes || !body)
		return inspect_complain("%s", err_text(-ENOMEM));
	if (isatty(STDOUT_FILENO))
		return inspect_complain("evidence is binary: redirect standard output");
	for (size_t i = 0; i < N_PIECES; i++) {
		if (inspect_read(in->operands[i], &p.piece[i].bytes, &p.piece[i].n) < 0)
			return EXIT_UNDECIDED;
		if (p.piece[i].n == 0 || p.piece[i].n > PIECE_MAX)
			return inspect_complain("%s: from 1 to %d bytes are accepted",
						in->operands[i], PIECE_MAX);
	}
	envelop(&p, body, &w);
	return write_assembled(in, &w);
}

int inspect_attesters(const struct inspect *in)
{
	const char *name, *why;
	bool works;

	(void)in;
	printf("%-8s  %-5s  %s\n", "ATTESTER", "WORKS", "WHY");
	for (size_t i = 0; rtls_attester_probe(i, &name, &works, &why); i++)
		printf("%-8s  %-5s  %s\n", name, works ? "yes" : "no", why);
	return inspect_flush(EXIT_SUCCESS);
}
