/*
 * The table of the evidence vectors: every entry of $ENG_VECTORS/manifest.json through the same
 * steps, and what came out beside what its manifest says.
 *
 * The steps know kinds of evidence and nothing of single files: read the evidence (a directory is
 * put into one CBOR map), give it the collateral that the manifest names (or all of that FMSPC),
 * appraise it under the policy that rats-inspect would write for "any evidence of that TEE", and
 * compare result, TCB state, advisories and every claim. Then the same a second before and
 * after the window of its collateral, where it must not be trusted.
 *
 * Exit code 77 (skipped, and says so) without vectors.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rats/appraise.h"
#include "rats/dcap/tcb_info.h"
#include "rats/file.h"
#include "rats/json.h"
#include "rats/text.h"
#include "rats/tpm/tpm_evidence.h"

enum { SKIPPED = 77, BUF_MAX = 256 * 1024 };

static char root[4096];
static const json_t *manifest;

struct run {
	const json_t *entry;
	const char *id;
	char problems[2048];
	char got[256];
};

PRINTF_LIKE(2, 3)
static void problem(struct run *r, const char *fmt, ...)
{
	size_t n = strlen(r->problems);
	va_list ap;

	va_start(ap, fmt);
	snprintf(r->problems + n, sizeof(r->problems) - n, "; ");
	n = strlen(r->problems);
	vsnprintf(r->problems + n, sizeof(r->problems) - n, fmt, ap);
	va_end(ap);
}

static const char *text_of(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));

	return s ? s : "";
}

/* NULL p: there is no such file. */
static struct span read_file(const char *name)
{
	char path[8192];
	uint8_t *p;
	size_t n;

	snprintf(path, sizeof(path), "%s/%s", root, name);
	if (file_read_at(AT_FDCWD, path, COLLATERAL_ITEM_MAX, &p, &n) != 0)
		return SPAN(NULL, 0);
	return SPAN(p, n);
}

static void drop(struct span s)
{
	free((void *)s.p);
}

static bool load(struct rtls_collateral *c, const char *name)
{
	char path[8192];

	snprintf(path, sizeof(path), "%s/%s", root, name);
	return rtls_collateral_load(c, path) == 0;
}

static bool ends_with(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && strcmp(s + strlen(s) - strlen(end), end) == 0;
}

/* The parts of TPM evidence lie in a directory; they travel in one map. */
static struct span read_tpm(const char *dir)
{
	static const struct {
		const char *file;
		size_t offset;
	} parts[] = {
		{ "quote.msg", offsetof(struct tpm_evidence, quote) },
		{ "quote.sig", offsetof(struct tpm_evidence, signature) },
		{ "quote.tpmt_signature", offsetof(struct tpm_evidence, signature) },
		{ "pcrs_sha256.bin", offsetof(struct tpm_evidence, pcrs) },
		{ "ak_pub.pem", offsetof(struct tpm_evidence, ak) },
		{ "ak_pub.der", offsetof(struct tpm_evidence, ak) },
		{ "ak_chain.pem", offsetof(struct tpm_evidence, ak_chain) },
		{ "hcl_report.bin", offsetof(struct tpm_evidence, hcl) },
		{ "td_quote.bin", offsetof(struct tpm_evidence, tee) },
		{ "vcek.der", offsetof(struct tpm_evidence, endorsements) },
	};
	struct tpm_evidence e = { 0 };
	uint8_t *body = malloc(BUF_MAX), *out = malloc(BUF_MAX);
	struct wspan b = WSPAN(body, BUF_MAX), w = WSPAN(out, BUF_MAX);
	char name[1024];

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct span *slot = (struct span *)((char *)&e + parts[i].offset), s;

		snprintf(name, sizeof(name), "%s%s", dir, parts[i].file);
		s = read_file(name);
		if (s.p)
			*slot = s;
	}
	tpm_evidence_write(&b, &e);
	envelope_write(&w, EVIDENCE_TAG_TPM, SPAN(body, b.n), SPAN("", 0));
	free(body);
	for (size_t i = 0; i < sizeof(e) / sizeof(struct span); i++)
		drop(((struct span *)&e)[i]);
	return SPAN(out, w.n);
}

static int64_t entry_time(const json_t *e, const char *key, size_t index)
{
	const json_t *j = index == SIZE_MAX ? json_object_get(e, key)
					    : json_array_get(json_object_get(e, key), index);
	int64_t t = 0;

	if (json_is_integer(j))
		return json_integer_value(j);
	if (json_is_string(j) && !time_parse(SPAN(json_string_value(j), json_string_length(j)), &t))
		fprintf(stderr, "bad time %s\n", json_string_value(j));
	return t;
}

/* Another entry whose collateral is for this platform at a time in e's window: the newest. */
static const json_t *entry_for(const json_t *for_entry, const char *tee, const char *fmspc)
{
	const int64_t from = entry_time(for_entry, "window", 0);
	const int64_t to = from ? entry_time(for_entry, "window", 1) : INT64_MAX;
	const json_t *best = NULL, *e;
	size_t i;
	char needle[64];

	snprintf(needle, sizeof(needle), "%s-%s-", tee, fmspc);
	json_array_foreach(manifest, i, e)
	{
		const int64_t t = entry_time(e, "verify_time", SIZE_MAX);

		if (strstr(text_of(e, "collateral"), needle) && t >= from && t <= to &&
		    (!best || strcmp(text_of(e, "collateral"), text_of(best, "collateral")) > 0))
			best = e;
	}
	return best;
}

struct setup {
	struct rtls_collateral *collateral;
	int64_t time;
};

static struct rtls_verdict *run_appraisal(const struct rtls_policy *p, const struct setup *s,
					  struct span file, int64_t t)
{
	const struct rtls_context ctx = { .size = sizeof(ctx), .time = t > 0 ? t : 1 };
	struct rtls_verdict *v = NULL;
	int r;

	r = appraise(&roots_production, p, s->collateral, file, &ctx, &v);
	if (r != 0)
		fprintf(stderr, "appraise: %s\n", strerror(-r));
	return v;
}

static bool fmspc_of(struct span file, char out[16], const char **tee)
{
	struct setup none = { 0 };
	struct rtls_verdict *v = run_appraisal(NULL, &none, file, 1);
	const struct claim *c = v ? claims_find(v->claims, "fmspc") : NULL;

	if (c)
		hex_format(c->bytes, out, 16);
	*tee = v && v->tee && strstr(v->tee, "tdx") ? "tdx" : "sgx";
	rtls_verdict_free(v);
	return c != NULL;
}

/* Collateral and time: the manifest's, else what there is for the platform, else now. */
static struct setup set_up(const json_t *e, struct span file)
{
	struct setup s = { .time = entry_time(e, "verify_time", SIZE_MAX) };
	const char *dir = text_of(e, "collateral"), *tee;
	const json_t *other = NULL;
	char fmspc[16];

	if (rtls_collateral_new(&s.collateral) != 0)
		abort();
	if (!*dir && fmspc_of(file, fmspc, &tee)) {
		other = entry_for(e, tee, fmspc);
		dir = text_of(other, "collateral");
		s.time = entry_time(other, "verify_time", SIZE_MAX);
	}
	if (*dir && !load(s.collateral, dir))
		fprintf(stderr, "cannot load %s\n", dir);
	load(s.collateral, "snp/certs");
	load(s.collateral, "csv");
	load(s.collateral, "tpm/az_tdx_ak_chain_2026/azure_vtpm_root_2023.pem");
	if (*text_of(e, "cert"))
		load(s.collateral, text_of(e, "cert"));
	else if (strcmp(text_of(e, "tee"), "snp") == 0)
		load(s.collateral, "snp");
	if (s.time == 0 && json_object_get(e, "window"))
		s.time = (entry_time(e, "window", 0) + entry_time(e, "window", 1)) / 2;
	if (s.time == 0)
		s.time = time(NULL);
	if (rtls_collateral_seal(s.collateral) != 0)
		abort();
	return s;
}

/* "0x1f" or 31 against a number, hex against bytes, text against text. */
static bool claim_equals(const struct claim *c, const json_t *want)
{
	char hex[2048];

	if (c->kind == RTLS_CLAIM_BOOL)
		return json_is_boolean(want)   ? json_is_true(want) == (c->num != 0)
		       : json_is_integer(want) ? json_integer_value(want) == (json_int_t)c->num
					       : false;
	if (c->kind == RTLS_CLAIM_UINT)
		return json_is_integer(want)  ? json_integer_value(want) == (json_int_t)c->num
		       : json_is_string(want) ? strtoull(json_string_value(want), NULL, 0) == c->num
					      : false;
	if (!json_is_string(want))
		return false;
	if (c->kind == RTLS_CLAIM_TEXT)
		return strcmp((const char *)c->bytes.p, json_string_value(want)) == 0;
	return strcmp(hex_format(c->bytes, hex, sizeof(hex)), json_string_value(want)) == 0;
}

/* The manifest's names of the claims of TPM quotes are those of the TCG; ours are lower case. */
static const char *claim_name(const char *name)
{
	static const char *const pairs[][2] = {
		{ "extraData", "extra_data" },
		{ "pcrDigest", "pcr_digest" },
		{ "resetCount", "reset_count" },
		{ "restartCount", "restart_count" },
		{ "firmwareVersion", "firmware_version" },
	};

	for (size_t i = 0; i < ARRAY_LEN(pairs); i++)
		if (strcmp(pairs[i][0], name) == 0)
			return pairs[i][1];
	return name;
}

static size_t compare_claims(struct run *r, const json_t *want, const struct rtls_verdict *v)
{
	const char *name;
	const json_t *value;
	size_t n = 0;

	json_object_foreach((json_t *)want, name, value)
	{
		const struct claim *c = claims_find(v->claims, claim_name(name));

		if (strcmp(name, "pcrSelect") == 0 || strcmp(name, "hw_report_data") == 0)
			continue; /* stated as pcr0...pcr23; inside other evidence */
		if (!c || !claim_equals(c, value))
			problem(r, "claim %s %s", name, c ? "differs" : "is missing");
		else
			n++;
	}
	return n;
}

static void compare_text(struct run *r, const struct rtls_verdict *v, const char *claim,
			 const json_t *want)
{
	const struct claim *c = claims_find(v->claims, claim);

	if (!want || (json_is_null(want) && !c))
		return;
	if (!c || !json_is_string(want) || !claim_equals(c, want))
		problem(r, "%s is %s", claim, c ? (const char *)c->bytes.p : "missing");
}

static void compare_advisories(struct run *r, const struct rtls_verdict *v, const json_t *want)
{
	size_t n = 0;

	for (size_t i = 0; i < claims_count(v->claims); i++) {
		const struct claim *c = claims_at(v->claims, i);
		const json_t *id = json_array_get(want, n);

		if (strcmp(c->name, "advisory") != 0)
			continue;
		if (!id || !claim_equals(c, id))
			problem(r, "advisory %s", (const char *)c->bytes.p);
		n++;
	}
	if (n != json_array_size(want))
		problem(r, "%zu advisories instead of %zu", n, json_array_size(want));
}

static void compare_expected(struct run *r, const json_t *expected, const struct rtls_verdict *v)
{
	const json_t *eval = json_object_get(expected, "tcbEvaluationDataNumber");
	const struct claim *c = claims_find(v->claims, "tcb_eval");

	compare_text(r, v, "tcb_level_status", json_object_get(expected, "tcb_level_status"));
	compare_text(r, v, "qe_status", json_object_get(expected, "qe_status"));
	compare_text(r, v, "tdx_module_status", json_object_get(expected, "tdx_module_status"));
	compare_text(r, v, "tcb_date", json_object_get(expected, "tcbDate"));
	compare_advisories(r, v, json_object_get(expected, "advisoryIDs"));
	if (eval && (!c || !claim_equals(c, eval)))
		problem(r, "tcb_eval differs");
	if (strcmp(rtls_verdict_tcb_status(v), text_of(expected, "result") + 4) != 0)
		problem(r, "tcb_status is %s", rtls_verdict_tcb_status(v));
}

/* The policy that accepts any evidence of that TEE (rtls_policy_suggest), as the tool writes it. */
static struct rtls_policy *any_policy(struct run *r, const struct rtls_verdict *v)
{
	char *text = rtls_policy_suggest(v, true), err[256] = "";
	struct rtls_policy *p = NULL;

	if (!text) {
		problem(r, "no policy can be written: %s", v->why);
		return NULL;
	}
	if (rtls_policy_parse(text, strlen(text), &p, err, sizeof(err)) != 0)
		problem(r, "suggested policy: %s", err);
	free(text);
	return p;
}

static bool passed(const struct rtls_verdict *v, enum rtls_check check)
{
	bool any = false;

	for (size_t i = 0; i < v->n_checks; i++) {
		if (v->checks[i].check == check && v->checks[i].outcome == RTLS_FAILED)
			return false;
		any = any || v->checks[i].check == check;
	}
	return any;
}

/* Which check a rejection in words is about. */
static bool rejection_fits(const char *words, enum rtls_check failed)
{
	if (strstr(words, "root") || strstr(words, "chain signature") ||
	    strstr(words, "certification data"))
		return failed == RTLS_CHECK_CHAIN;
	if (strstr(words, "foreign VCEK"))
		return failed == RTLS_CHECK_CHAIN || failed == RTLS_CHECK_BINDING ||
		       failed == RTLS_CHECK_SIGNATURE || failed == RTLS_CHECK_COLLATERAL;
	return failed == RTLS_CHECK_SIGNATURE;
}

/* A second before its window opens and after it closes nothing may be trusted. */
static void check_edges(struct run *r, const struct rtls_policy *p, const struct setup *s,
			struct span file)
{
	const int64_t from = entry_time(r->entry, "window", 0),
		      to = entry_time(r->entry, "window", 1);
	const struct {
		int64_t t;
		bool inside;
	} edges[] = { { from - 1, false }, { from, true }, { to, true }, { to + 1, false } };

	if (from == 0 || !*text_of(r->entry, "collateral"))
		return;
	for (size_t i = 0; i < ARRAY_LEN(edges); i++) {
		struct rtls_verdict *v = run_appraisal(p, s, file, edges[i].t);

		if ((rtls_verdict_result(v) == RTLS_TRUSTED) != edges[i].inside)
			problem(r, "at edge %zu: %s %s", i, rtls_result_name(v->result), v->why);
		rtls_verdict_free(v);
	}
}

static void judge(struct run *r, const struct rtls_verdict *v, const char *expected)
{
	bool trusted = rtls_verdict_result(v) == RTLS_TRUSTED;

	snprintf(r->got, sizeof(r->got), "%s %s%s%s", rtls_result_name(v->result),
		 trusted ? "" : rtls_check_name(v->failed),
		 *rtls_verdict_tcb_status(v) ? " TCB:" : "", rtls_verdict_tcb_status(v));
	if (strncmp(expected, "REJECT", 6) == 0) {
		if (trusted || !rejection_fits(expected, v->failed))
			problem(r, "%s: %s", rtls_check_name(v->failed), v->why);
	} else if (strcmp(expected, "TCB:NotSupported") == 0) {
		if (v->result != RTLS_REJECTED || v->failed != RTLS_CHECK_TCB)
			problem(r, "%s: %s", rtls_check_name(v->failed), v->why);
	} else if (strncmp(expected, "signature valid", 15) == 0) {
		if (!passed(v, RTLS_CHECK_SIGNATURE))
			problem(r, "%s: %s", rtls_check_name(v->failed), v->why);
	} else if (strncmp(expected, "parser must", 11) == 0) {
		if (!passed(v, RTLS_CHECK_FORMAT) || !passed(v, RTLS_CHECK_CHAIN) ||
		    !passed(v, RTLS_CHECK_SIGNATURE) || !passed(v, RTLS_CHECK_BINDING) ||
		    !claims_find(v->claims, "trailing_bytes"))
			problem(r, "%s: %s", rtls_check_name(v->failed), v->why);
	} else if (!trusted) {
		problem(r, "%s: %s", rtls_check_name(v->failed), v->why);
	}
}

static void run_evidence(struct run *r, struct span file)
{
	const json_t *expected = json_object_get(r->entry, "expected");
	struct setup s = set_up(r->entry, file);
	struct rtls_verdict *first = run_appraisal(NULL, &s, file, s.time), *v = NULL;
	struct rtls_policy *p = first ? any_policy(r, first) : NULL;

	if (p)
		v = run_appraisal(p, &s, file, s.time);
	if (v) {
		compare_claims(r, json_object_get(r->entry, "claims"), v);
		if (strncmp(text_of(expected, "result"), "TCB:", 4) == 0)
			compare_expected(r, expected, v);
		judge(r, v, text_of(expected, "result"));
		if (v->result == RTLS_TRUSTED)
			check_edges(r, p, &s, file);
	}
	rtls_verdict_free(first);
	rtls_verdict_free(v);
	rtls_policy_free(p);
	rtls_collateral_free(s.collateral);
}

/* Schema cases for Intel's JSON: the file's name is the expectation, as its source has it. */
static void run_json(struct run *r, const char *dir)
{
	char path[8192], name[1024];
	size_t n = 0;
	struct dirent *e;
	DIR *d;

	snprintf(path, sizeof(path), "%s/%s", root, dir);
	d = opendir(path);
	while (d && (e = readdir(d)) != NULL) {
		bool bad = strstr(e->d_name, "missing") || strstr(e->d_name, "Negative");
		struct bag_doc doc = { 0 };
		struct span s, t;

		if (!ends_with(e->d_name, ".json"))
			continue;
		snprintf(name, sizeof(name), "%s%.200s", dir, e->d_name);
		s = t = read_file(name);
		while (t.n > 0 && t.p[0] != '{')
			t.p++, t.n--;
		if ((bag_doc_parse(t, &doc) == 0) == bad)
			problem(r, "%s", e->d_name);
		tcb_info_free(doc.tcb);
		qe_identity_free(doc.qe);
		drop(s);
		n++;
	}
	if (d)
		closedir(d);
	snprintf(r->got, sizeof(r->got), "%zu files", n);
	if (n == 0)
		problem(r, "no file");
}

/* Every certificate in a bag of certificates has its issuer in there, up to a pinned root. */
static void run_certs(struct run *r, const char *dir, const struct key_pin *pins, size_t n_pins)
{
	struct rtls_collateral *c;
	const struct bag_cert *b;
	size_t n = 0;

	if (rtls_collateral_new(&c) != 0)
		abort();
	load(c, dir);
	if (rtls_collateral_seal(c) != 0)
		abort();
	for (; (b = collateral_bag_cert(c, n)) != NULL; n++) {
		const struct bag_cert *up = b;

		for (int depth = 0; up && depth < 4 && !pin_find(pins, n_pins, up->key); depth++)
			up = up->issuer == SIZE_MAX ? NULL : collateral_bag_cert(c, up->issuer);
		if (!up || !pin_find(pins, n_pins, up->key))
			problem(r, "certificate %zu is not under a pinned root", n);
	}
	if (n == 0)
		problem(r, "no certificate");
	for (size_t i = 0; i < collateral_n_crls(c); i++)
		if (!collateral_bag_crl(c, i)->is_verified)
			problem(r, "CRL %zu is not signed by its issuer", i);
	snprintf(r->got, sizeof(r->got), "%zu certificates, %zu CRLs", n, collateral_n_crls(c));
	rtls_collateral_free(c);
}

/* A certificate that no AMD CA has signed. */
static void run_amd_cert(struct run *r, struct span der)
{
	X509 *x = x509_from_der(der);
	struct rtls_collateral *c;
	const struct bag_cert *b;

	if (rtls_collateral_new(&c) != 0 || !x)
		abort();
	load(c, "snp/certs");
	if (rtls_collateral_seal(c) != 0)
		abort();
	snprintf(r->got, sizeof(r->got), "no issuer");
	for (size_t i = 0; (b = collateral_bag_cert(c, i)) != NULL; i++)
		if (X509_verify(x, X509_get0_pubkey(b->x)) == 1)
			problem(r, "is signed by certificate %zu", i);
	X509_free(x);
	rtls_collateral_free(c);
}

static void run_entry(struct run *r)
{
	const char *file = text_of(r->entry, "file"), *tee = text_of(r->entry, "tee");
	bool is_dir = ends_with(file, "/");
	struct span s = { 0 };

	if (is_dir && strcmp(tee, "tpm") == 0)
		s = read_tpm(file);
	else if (!is_dir)
		s = read_file(file);
	if (!is_dir && !s.p)
		problem(r, "cannot be read");
	else if (strcmp(file, "negative/json/") == 0)
		run_json(r, file);
	else if (strcmp(tee, "intel") == 0)
		run_certs(r, "intel", roots_production.intel, roots_production.n_intel);
	else if (is_dir && strcmp(tee, "snp") == 0)
		run_certs(r, file, roots_production.amd, roots_production.n_amd);
	else if (strcmp(tee, "snp") == 0 && ends_with(file, ".der"))
		run_amd_cert(r, s);
	else
		run_evidence(r, s);
	drop(s);
}

int main(void)
{
	const char *dir = getenv("ENG_VECTORS");
	size_t i, failed = 0;
	struct span text;
	const json_t *e;

	snprintf(root, sizeof(root), "%s", dir ? dir : ENG_SOURCE_ROOT "/../shared/vectors");
	text = read_file("manifest.json");
	manifest = text.p ? json_parse_strict(text) : NULL;
	drop(text);
	if (!manifest) {
		printf("SKIPPED: there is no %s/manifest.json; set ENG_VECTORS\n", root);
		return SKIPPED;
	}
	json_array_foreach(manifest, i, e)
	{
		struct run r = { .entry = e, .id = text_of(e, "id") };

		run_entry(&r);
		printf("%-4s %-42s %-48.48s %s%s\n", *r.problems ? "FAIL" : "ok", r.id,
		       text_of(json_object_get(e, "expected"), "result"), r.got, r.problems);
		failed += *r.problems != '\0';
	}
	printf("%zu vectors, %zu failed\n", i, failed);
	json_decref((json_t *)manifest);
	return failed || i == 0 ? 1 : 0;
}
