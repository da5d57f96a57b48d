/*
 * Policies: what is refused, where and why; what alternatives do; and that the manual's examples
 * are policies and name every key there is.
 */
#include "base/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "rats/file.h"
#include "rats/policy.h"

#define PINS                                                                                       \
	"one_of:\n  - tee: sgx\n"                                                                  \
	"    mrenclave: eeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeeee\n"        \
	"    mrsigner: any\n"
#define HEX32 "0101010101010101010101010101010101010101010101010101010101010101"

static int parse(const char *text, struct rtls_policy **out, char err[256])
{
	err[0] = '\0';
	return rtls_policy_parse(text, strlen(text), out, err, 256);
}

static void test_refused(void **state)
{
	static const struct {
		const char *text, *at, *why;
	} bad[] = {
		{ "", "1:1", "empty" },
		{ "# only words\n", "2:1", "empty" },
		{ "{}", "1:1", "one_of" },
		{ "one_of: []", "1:9", "1 to 256" },
		{ "one_of: any", "1:9", "list" },
		{ "collateral: {max_age: 30d}", "1:1", "one_of is missing" },
		{ "one_of:\n  - {}\n", "2:5", "tee" },
		{ "one_of:\n  - tee: vax\n", "2:10", "no such TEE: vax" },
		{ "one_of:\n  - tee: null\n", "2:10", "no such TEE" },
		{ "one_of:\n  - tee: sgx\n", "2:5", "mrenclave is missing" },
		{ "one_of:\n  - tee: sgx\n    mrenclave: any\n", "2:5", "mrsigner is missing" },
		{ "one_of:\n  - tee: snp\n    measurement: any\n    vmpl: 0\n", "2:5",
		  "bootloader_svn_min is missing" },
		{ "one_of:\n  - tee: tpm\n    pcrs: any\n", "2:5", "ak_sha256 is missing" },
		{ "one_of:\n  - tee: tpm\n    pcrs: any\n    ak_sha256: any\n", "4:16",
		  "any is not accepted" },
		{ "one_of:\n  - tee: tpm\n    pcrs: {}\n    ak_sha256: " HEX32 "\n", "3:11",
		  "index" },
		{ "one_of:\n  - tee: tpm\n    pcrs: {64: " HEX32 "}\n", "3:12", "no such index" },
		{ "one_of:\n  - tee: tpm\n    pcrs: {x: " HEX32 "}\n", "3:12", "number" },
		{ PINS "    mrenclav: any\n", "5:5", "unknown key mrenclav for sgx" },
		{ PINS "    mrsigner: any\n", "5:5", "twice" },
		{ PINS "    debug: yes\n", "5:12", "true or false" },
		{ PINS "    debug: any\n", "5:12", "true or false" },
		{ PINS "    replace: 1\n", "5:14", "true or false" },
		{ PINS "    replace: any\n", "5:14", "true or false" },
		{ PINS "    isvprodid: -1\n", "5:16", "number" },
		{ PINS "    isvprodid: 0x\n", "5:16", "number" },
		{ PINS "    isvprodid: 99999999999999999999\n", "5:16", "number" },
		{ PINS "    isvprodid: []\n", "5:16", "empty list" },
		{ PINS "    isvsvn_min: [1, 2]\n", "5:17", "one number" },
		{ PINS "    configid: abc\n", "5:15", "128 hex digits" },
		{ PINS "    ppid: 0g112233445566778899aabbccddeeff\n", "5:11", "hex" },
		{ PINS "    ppid: [any, any]\n", "5:12", "any stands alone" },
		{ PINS "    ppid: [[0011]]\n", "5:12", "hex" },
		{ PINS "    tcb: {}\n", "5:10", "text" },
		{ PINS "    allowed_ips: 10.0.0.0/8\n", "5:18", "list" },
		{ PINS "    allowed_ips: [10.0.0.1/8]\n", "5:19", "prefix" },
		{ PINS "collateral: 30d\n", "5:13", "expected path" },
		{ PINS "collateral:\n  max_age: 30\n", "6:12", "30d" },
		{ PINS "collateral:\n  max_age: 0d\n", "6:12", "more than 0" },
		{ PINS "collateral:\n  grace: 999999d\n", "6:10", "30d" },
		{ PINS "collateral:\n  crl: off\n", "6:8", "required or if-present" },
		{ PINS "collateral:\n  maxage: 1d\n", "6:3", "unknown key maxage" },
		{ PINS "insecure: null\n", "1:1", "exclude" },
		{ "insecure: 'null'\n", "1:11", "only insecure" },
		{ "insecure: true\n", "1:11", "only insecure" },
		{ "insecure:\n", "1:10", "only insecure" },
		{ "secure: null\n", "1:1", "unknown key secure" },
		{ "one_of: &a []\n", "1:9", "anchors" },
		{ "one_of: *a\n", "1:9", "aliases" },
		{ "one_of: !x []\n", "1:9", "tags" },
		{ "--- {}\n--- {}\n", "2:1", "one document" },
		{ "one_of: [\n", "2:1", "" },
		{ "\tx", "1:1", "" },
		{ "[[[[[[[[[[1]]]]]]]]]]", "1:10", "too deeply" },
		{ "[]: 1", "1:1", "key must be a word" },
		{ "x: \"a\\0b\"", "1:4", "NUL" },
	};
	struct rtls_policy *p = NULL;
	char err[256];

	(void)state;
	assert_int_equal(rtls_policy_parse(NULL, 0, &p, err, sizeof(err)), -EINVAL);
	assert_int_equal(rtls_policy_parse(NULL, 0, &p, NULL, 0), -EINVAL);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(parse(bad[i].text, &p, err), -EINVAL);
		assert_null(p);
		if (strncmp(err, bad[i].at, strlen(bad[i].at)) != 0 || !strstr(err, bad[i].why))
			fail_msg("%s\nsays \"%s\", expected %s ... %s", bad[i].text, err, bad[i].at,
				 bad[i].why);
	}
}

static struct rtls_verdict *verdict_of(const struct verifier *vf, unsigned mrenclave, bool debug)
{
	struct rtls_verdict *v;
	uint8_t m[32];

	assert_int_equal(verdict_new(&v), 0);
	v->tee = vf->name;
	memset(m, (int)mrenclave, sizeof(m));
	claims_add_bytes(v->claims, "mrenclave", SPAN(m, 32));
	claims_add_bytes(v->claims, "mrsigner", SPAN(m, 32));
	claims_add_bool(v->claims, "debug", debug);
	claims_add_text(v->claims, "tcb_status", "UpToDate");
	return v;
}

static void test_alternatives(void **state)
{
	static const char text[] =
		"one_of:\n"
		"  - {tee: tdx, mrtd: any, rtmr0: any, rtmr1: any, rtmr2: any, rtmr3: any}\n"
		"  - {tee: sgx, name: first, mrenclave: " HEX32 ", mrsigner: any,\n"
		"     allowed_ips: [10.1.0.0/16, 'fd00::/8']}\n"
		"  - {tee: sgx, name: second, mrenclave: ['0202020202020202020202020202020202020202"
		"020202020202020202020202', '0303030303030303030303030303030303030303030303030303"
		"030303030303'], mrsigner: any, debug: true}\n";
	static const uint8_t ten1[4] = { 10, 1, 2, 0 }, ten2[4] = { 10, 2, 0, 0 },
			     fd[16] = { 0xfd, 1 };
	static const struct {
		unsigned mrenclave;
		bool debug, trusted;
		size_t alternative;
	} cases[] = {
		{ 1, false, true, 1 }, { 2, false, true, 2 }, { 3, false, true, 2 },
		{ 3, true, true, 2 },  { 1, true, false, 0 }, { 4, false, false, 0 },
	};
	struct rtls_policy *p = NULL;
	struct rtls_verdict *v;
	char err[256];

	(void)state;
	assert_int_equal(parse(text, &p, err), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		v = verdict_of(&verifier_sgx, cases[i].mrenclave, cases[i].debug);
		policy_match(p, &verifier_sgx, v);
		verdict_trust(v);
		assert_int_equal(v->result == RTLS_TRUSTED, cases[i].trusted);
		assert_int_equal(rtls_verdict_alternative(v),
				 cases[i].trusted ? (int)cases[i].alternative : -1);
		if (!cases[i].trusted)
			assert_non_null(strstr(v->why, "1 more do not match"));
		assert_int_equal(rtls_policy_allows_prefix(p, v, ten1, 4, 24),
				 cases[i].trusted && cases[i].alternative == 1);
		assert_int_equal(rtls_policy_allows_prefix(p, v, fd, 16, 16),
				 cases[i].trusted && cases[i].alternative == 1);
		assert_false(rtls_policy_allows_prefix(p, v, ten2, 4, 24));
		assert_non_null(rtls_policy_accepted_as(p, v));
		if (!cases[i].trusted)
			assert_string_equal(rtls_policy_accepted_as(p, v), "");
		assert_false(rtls_policy_allows_prefix(p, v, ten1, 4, 15));
		assert_false(rtls_policy_allows_prefix(p, v, ten1, 4, 33));
		assert_false(rtls_policy_allows_prefix(p, v, ten1, 5, 8));
		rtls_verdict_free(v);
	}
	rtls_policy_free(p);
}

/* What the alternative that accepted says about prefixes; a verdict without trust has none. */
static void test_prefixes(void **state)
{
	static const char text[] =
		"one_of:\n"
		"  - {tee: sgx, mrenclave: " HEX32 ", mrsigner: any, debug: true,\n"
		"     allowed_ips: [10.1.0.0/16, 'fd00::/8'], replace: true}\n"
		"  - {tee: sgx, mrenclave: any, mrsigner: any, replace: false,\n"
		"     allowed_ips: [192.0.2.1]}\n"
		"  - {tee: sgx, mrenclave: any, mrsigner: any, debug: true}\n";
	static const uint8_t ten1[16] = { 10, 1 }, fd[16] = { 0xfd }, one[16] = { 192, 0, 2, 1 };
	static const struct {
		unsigned mrenclave;
		bool debug, may_replace;
		size_t n_prefixes;
	} cases[] = { { 1, true, true, 2 }, { 2, false, false, 1 }, { 2, true, false, 0 } };
	struct rtls_policy *p = NULL;
	char err[256];

	(void)state;
	assert_int_equal(parse(text, &p, err), 0);
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v =
			verdict_of(&verifier_sgx, cases[i].mrenclave, cases[i].debug);
		const uint8_t *const expected[] = { i == 1 ? one : ten1, fd };
		const unsigned lengths[] = { i == 1 ? 32 : 16, 8 };
		uint8_t address[16] = { 0 };
		unsigned len = 0;
		size_t n = 0;

		policy_match(p, &verifier_sgx, v);
		assert_false(rtls_policy_allowed_prefix(p, v, 0, address, &n, &len));
		assert_false(rtls_policy_may_replace(p, v));
		verdict_trust(v);
		assert_int_equal(v->result, RTLS_TRUSTED);
		for (size_t k = 0; k < cases[i].n_prefixes; k++) {
			memset(address, 0xff, sizeof(address));
			assert_true(rtls_policy_allowed_prefix(p, v, k, address, &n, &len));
			assert_int_equal(n, k == 1 ? 16 : 4);
			assert_int_equal(len, lengths[k]);
			assert_memory_equal(address, expected[k], sizeof(address));
			assert_true(rtls_policy_allows_prefix(p, v, address, n, len));
		}
		assert_false(
			rtls_policy_allowed_prefix(p, v, cases[i].n_prefixes, address, &n, &len));
		assert_int_equal(rtls_policy_may_replace(p, v), cases[i].may_replace);
		rtls_verdict_free(v);
	}
	assert_false(rtls_policy_may_replace(p, NULL));
	rtls_policy_free(p);
}

/* A claim that a rule needs and the evidence lacks is a failure, not a pass. */
static void test_missing_claims(void **state)
{
	struct rtls_policy *p = NULL;
	struct rtls_verdict *v;
	char err[256];

	(void)state;
	assert_int_equal(parse(PINS "    ppid: any\n", &p, err), 0);
	assert_int_equal(verdict_new(&v), 0);
	policy_match(p, &verifier_sgx, v);
	assert_int_equal(v->result, RTLS_REJECTED);
	assert_int_equal(v->failed, RTLS_CHECK_MEASUREMENT);
	for (size_t i = 0; i < v->n_checks; i++)
		if (strncmp(v->checks[i].what, "debug", 5) == 0 ||
		    strncmp(v->checks[i].what, "tcb", 3) == 0)
			assert_int_equal(v->checks[i].outcome, RTLS_FAILED);
	rtls_verdict_free(v);
	rtls_policy_free(p);
}

static void test_suggested(void **state)
{
	struct rtls_verdict *v = verdict_of(&verifier_sgx, 1, true);
	char err[256], *exact = rtls_policy_suggest(v, false), *any = rtls_policy_suggest(v, true);
	struct rtls_policy *p = NULL;

	(void)state;
	assert_non_null(strstr(exact, "mrenclave: " HEX32));
	assert_non_null(strstr(exact, "debug: true"));
	assert_non_null(strstr(any, "mrenclave: any"));
	assert_int_equal(parse(exact, &p, err), 0);
	policy_match(p, &verifier_sgx, v);
	verdict_trust(v);
	assert_int_equal(v->result, RTLS_TRUSTED);
	rtls_policy_free(p);
	rtls_verdict_free(v);

	v = verdict_of(&verifier_sgx, 2, true);
	assert_int_equal(parse(exact, &p, err), 0);
	policy_match(p, &verifier_sgx, v);
	assert_int_equal(v->result, RTLS_REJECTED);
	rtls_policy_free(p);
	rtls_verdict_free(v);
	free(exact);
	free(any);
	assert_null(rtls_policy_suggest(NULL, false));
}

static char *manual(void)
{
	uint8_t *text;
	size_t n;

	assert_int_equal(
		file_read_at(AT_FDCWD, ENG_SOURCE_ROOT "/man/rats-policy.5", 1 << 20, &text, &n),
		0);
	return (char *)text;
}

static void test_manual_examples(void **state)
{
	static const char begin[] = ".Bd -literal\n", end[] = ".Ed\n";
	char *text = manual(), *p = text, err[256];
	struct rtls_policy *policy = NULL;
	size_t n = 0;

	(void)state;
	while ((p = strstr(p, begin)) != NULL) {
		char *stop = strstr(p, end);

		assert_non_null(stop);
		p += strlen(begin);
		*stop = '\0';
		if (parse(p, &policy, err) != 0)
			fail_msg("%s\n%s", err, p);
		rtls_policy_free(policy);
		p = stop + 1;
		n++;
	}
	assert_true(n >= n_verifiers);
	free(text);
}

/* ".Cm key": every key of every verifier stands in the manual. */
static void test_manual_is_complete(void **state)
{
	char *text = manual();

	(void)state;
	for (size_t i = 0; i < n_verifiers; i++)
		for (size_t k = 0; k < verifiers[i]->n_rules; k++) {
			const char *key = verifiers[i]->rules[k].key, *at = text;
			const size_t n = strlen(key);

			while ((at = strstr(at, key)) != NULL &&
			       (at[-1] != ' ' || !strchr(" ,\n", at[n])))
				at++;
			if (!at)
				fail_msg("%s of %s", key, verifiers[i]->name);
		}
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_alternatives),
		cmocka_unit_test(test_prefixes),
		cmocka_unit_test(test_missing_claims),
		cmocka_unit_test(test_suggested),
		cmocka_unit_test(test_manual_examples),
		cmocka_unit_test(test_manual_is_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
