/* The frame around the attesters: options, envelope, bounds. Backends have tests of their own. */
#include "base/test.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "rats/attest/attest.h"
#include "rats/text.h"
#include "rats/tpm/tpm_nonce.h"
#include "rats_tls.h"

static const char *const keys[] = { "tcti", "ak", NULL };
static const struct attester_backend any_backend = { .name = "any", .keys = keys };

static int parse(const char *text, struct attest_options *o, char line[ATTEST_LINE_MAX])
{
	struct attest_error err = { .out = line, .size = ATTEST_LINE_MAX };

	line[0] = '\0';
	return attest_options_parse(text, &any_backend, o, &err);
}

static void test_options(void **state)
{
	char line[ATTEST_LINE_MAX];
	struct attest_options o;

	(void)state;
	assert_int_equal(parse(NULL, &o, line), 0);
	assert_int_equal(o.n, 0);
	assert_string_equal(attest_option(&o, "ak", "ecc"), "ecc");
	assert_int_equal(parse("", &o, line), 0);
	assert_int_equal(o.n, 0);
	assert_int_equal(parse("tcti=swtpm:path=/x/sock,ak=rsa", &o, line), 0);
	assert_int_equal(o.n, 2);
	assert_string_equal(attest_option(&o, "tcti", NULL), "swtpm:path=/x/sock");
	assert_string_equal(attest_option(&o, "ak", "ecc"), "rsa");
	assert_null(attest_option(&o, "endorsements", NULL));
	assert_int_equal(parse("tcti=swtpm:host=a,,port=1,,,endorsements=", &o, line), 0);
	assert_int_equal(o.n, 2);
	assert_string_equal(attest_option(&o, "tcti", NULL), "swtpm:host=a,port=1,");
	assert_string_equal(attest_option(&o, "endorsements", NULL), "");
}

static void test_bad_options(void **state)
{
	static const struct {
		const char *text, *why;
	} bad[] = {
		{ "ak", "'ak' is not KEY=VALUE" },
		{ "=rsa", "'=rsa' is not KEY=VALUE" },
		{ "ak=rsa,", "'' is not KEY=VALUE" },
		{ "ak=rsa,ak=ecc", "'ak' is given twice" },
		{ "AK=rsa", "attester any has no option 'AK'" },
		{ "colour=\n\x1b[2J", "has no option 'colour'" },
		{ "a\nb=c", "has no option 'a?b'" },
	};
	char line[ATTEST_LINE_MAX], text[ATTEST_OPTIONS_MAX + 1];
	struct attest_options o;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i].text, &o, line), -EINVAL);
		if (!strstr(line, bad[i].why))
			fail_msg("%s: %s", bad[i].text, line);
	}
	memset(text, 'x', sizeof(text));
	memcpy(text, "ak=", 3);
	text[ATTEST_OPTIONS_MAX - 1] = '\0';
	assert_int_equal(parse(text, &o, line), 0);
	text[ATTEST_OPTIONS_MAX - 1] = 'x';
	text[ATTEST_OPTIONS_MAX] = '\0';
	assert_int_equal(parse(text, &o, line), -EINVAL);
	assert_non_null(strstr(line, "longer"));
}

static void test_open(void **state)
{
	struct rtls_attester *a = NULL;
	char line[ATTEST_LINE_MAX], tiny[4];

	(void)state;
	assert_int_equal(rtls_attester_open("best", NULL, &a, line, sizeof(line)), -EINVAL);
	assert_string_equal(line, "no such attester: 'best'");
	assert_int_equal(rtls_attester_open(NULL, NULL, &a, line, sizeof(line)), -EINVAL);
	assert_int_equal(rtls_attester_open("null", "x=y", &a, line, sizeof(line)), -EINVAL);
	assert_string_equal(line, "attester null has no option 'x'");
	assert_int_equal(rtls_attester_open("best", NULL, &a, tiny, sizeof(tiny)), -EINVAL);
	assert_string_equal(tiny, "no ");
	assert_int_equal(rtls_attester_open("best", NULL, &a, NULL, 0), -EINVAL);
	assert_null(a);
	rtls_attester_close(NULL);
}

/* What the null attester says is accepted by a policy that accepts everything, and by no other. */
static void test_null(void **state)
{
	static const char pins[] =
		"one_of:\n  - tee: tpm\n    pcrs: any\n    ak_sha256: "
		"0000000000000000000000000000000000000000000000000000000000000000\n",
			  insecure[] = "insecure: null\n";
	struct rtls_context ctx = { .size = sizeof(ctx), .time = 1700000000 };
	struct span body, claims_buffer;
	struct rtls_attester *a;
	struct rtls_policy *p;
	struct rtls_verdict *v;
	uint8_t report_data[REPORT_DATA_SIZE];
	void *bytes = NULL;
	size_t n = 0;
	uint64_t tag;

	(void)state;
	for (size_t i = 0; i < sizeof(report_data); i++)
		report_data[i] = (uint8_t)i;
	assert_int_equal(rtls_attester_open("null", NULL, &a, NULL, 0), 0);
	assert_string_equal(rtls_attester_name(a), "null");
	assert_int_equal(rtls_attester_evidence(a, report_data, &bytes, &n, NULL, 0), 0);
	assert_true(envelope_parse(SPAN(bytes, n), &tag, &body, &claims_buffer));
	assert_int_equal(tag, EVIDENCE_TAG_NULL);
	assert_true(span_equal(body, SPAN(report_data, sizeof(report_data))));
	assert_int_equal(claims_buffer.n, 0);
	for (int i = 0; i < 2; i++) {
		const char *text = i ? insecure : pins;

		assert_int_equal(rtls_policy_parse(text, strlen(text), &p, NULL, 0), 0);
		assert_int_equal(rtls_appraise(p, NULL, bytes, n, &ctx, &v), 0);
		assert_int_equal(rtls_verdict_result(v), i ? RTLS_TRUSTED : RTLS_REJECTED);
		rtls_verdict_free(v);
		rtls_policy_free(p);
	}
	free(bytes);
	bytes = &n;
	assert_int_equal(rtls_attester_endorsements(a, &bytes, &n), 0);
	assert_null(bytes);
	assert_int_equal(n, 0);
	rtls_attester_close(a);
}

/* A file of `size` bytes as endorsements. */
static int endorse(size_t size, void **bytes, size_t *n)
{
	char path[] = "/tmp/attest_test.XXXXXX", options[64];
	int r, fd = mkstemp(path);
	struct rtls_attester *a;

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
	snprintf(options, sizeof(options), "endorsements=%s", path);
	assert_int_equal(rtls_attester_open("null", options, &a, NULL, 0), 0);
	r = rtls_attester_endorsements(a, bytes, n);
	unlink(path);
	assert_int_equal(rtls_attester_endorsements(a, bytes, n), -ENOENT);
	rtls_attester_close(a);
	return r;
}

static void test_endorsements(void **state)
{
	void *bytes = NULL;
	size_t n = 1;

	(void)state;
	assert_int_equal(endorse(ATTEST_ENDORSEMENTS_MAX, &bytes, &n), 0);
	assert_int_equal(n, ATTEST_ENDORSEMENTS_MAX);
	free(bytes);
	assert_int_equal(endorse(0, &bytes, &n), 0);
	assert_null(bytes);
	assert_int_equal(n, 0);
	assert_int_equal(endorse(ATTEST_ENDORSEMENTS_MAX + 1, &bytes, &n), -EFBIG);
	assert_null(bytes);
}

/* What other implementations of the TPM attester and verifier have to agree on. */
static void test_tpm_nonce(void **state)
{
	uint8_t report_data[REPORT_DATA_SIZE], digest[TPM_NONCE_SHORT];
	char hex[2 * TPM_NONCE_SHORT + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(report_data); i++)
		report_data[i] = (uint8_t)i;
	assert_false(tpm_nonce_is_short(report_data));
	assert_true(tpm_nonce_digest(report_data, digest));
	assert_string_equal(hex_format(SPAN(digest, sizeof(digest)), hex, sizeof(hex)),
			    "855c37dbd68d8a95cf4648d663d81940"
			    "41f95a6a1bf8f2c0f4293343d596eaa4");
	memset(report_data + TPM_NONCE_SHORT, 0, sizeof(report_data) - TPM_NONCE_SHORT);
	assert_true(tpm_nonce_is_short(report_data));
	report_data[TPM_NONCE_SHORT] = 1;
	assert_false(tpm_nonce_is_short(report_data));
	report_data[TPM_NONCE_SHORT] = 0;
	report_data[REPORT_DATA_SIZE - 1] = 1;
	assert_false(tpm_nonce_is_short(report_data));
}

static void test_probe(void **state)
{
	const char *name, *why;
	bool works = false, found = false;

	(void)state;
	for (size_t i = 0; rtls_attester_probe(i, &name, &works, &why); i++) {
		assert_true(*name && *why && !strchr(why, '\n'));
		found = found || (strcmp(name, "null") == 0 && works);
	}
	assert_true(found);
	assert_false(rtls_attester_probe(n_attesters, &name, &works, &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options),	     cmocka_unit_test(test_bad_options),
		cmocka_unit_test(test_open),	     cmocka_unit_test(test_null),
		cmocka_unit_test(test_endorsements), cmocka_unit_test(test_probe),
		cmocka_unit_test(test_tpm_nonce),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
