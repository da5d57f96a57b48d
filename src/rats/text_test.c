/* Hex, base64, times and durations; the cursors over JSON, CBOR and DER; PEM. */
#include "base/test.h"

#include <stdlib.h>

#include "rats/cborin.h"
#include "rats/der.h"
#include "rats/json.h"
#include "rats/pem.h"
#include "rats/text.h"

#define S(text) SPAN(text, sizeof(text) - 1)

static void test_hex(void **state)
{
	uint8_t b[2];
	char text[8];

	(void)state;
	assert_true(hex_parse(S("aBf0"), b, 2));
	assert_int_equal(b[0] << 8 | b[1], 0xabf0);
	assert_false(hex_parse(S("abf"), b, 2));
	assert_false(hex_parse(S("abf0"), b, 1));
	assert_false(hex_parse(S("abg0"), b, 2));
	assert_false(hex_parse(S("ab\xc0\x30"), b, 2));
	assert_string_equal(hex_format(S("\x01\xff"), text, sizeof(text)), "01ff");
	assert_string_equal(hex_format(S("\x01\xff\x01\xff"), text, sizeof(text)), "01ff...");
}

static void test_base64(void **state)
{
	static const char *const good[][2] = {
		{ "", "" },	   { "Zg==", "f" },	   { "Zg", "f" },	  { "Zm8=", "fo" },
		{ "Zm9v", "foo" }, { "_-8=", "\xff\xef" }, { "/+8=", "\xff\xef" }
	};
	static const char *const bad[] = { "Z",	   "Zg=",   "Zg===",  "=",    "Zh==",
					   "Zm9=", "Zm 9v", "Zm9v\n", "Z*==", "Zg==Zg==" };
	uint8_t b[4];
	size_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_true(base64_parse(SPAN(good[i][0], strlen(good[i][0])), b, 4, &n));
		assert_true(span_equal(SPAN(b, n), SPAN(good[i][1], strlen(good[i][1]))));
	}
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(base64_parse(SPAN(bad[i], strlen(bad[i])), b, 4, &n));
	assert_false(base64_parse(S("Zm9vZm9v"), b, 4, &n)); /* does not fit */
}

static void test_time(void **state)
{
	static const char *const bad[] = {
		"",
		"2025-06-19",
		"2025-06-19T10:56:11",
		"2025-13-19T10:56:11Z",
		"2025-02-29T10:56:11Z",
		"2025-06-19T24:56:11Z",
		"2025-06-19T10:56:11ZZ",
		"2018-\n06-06T10:12:17Z",
		"2025-06-19T10:56:11+2:00",
		"1969-06-19T10:56:11Z",
		"2025-06-19T10:56:61Z",
		" 2025-06-19T10:56:11Z",
	};
	char text[TIME_TEXT_MAX];
	int64_t t;

	(void)state;
	assert_true(time_parse(S("2025-06-19T10:56:11Z"), &t) && t == 1750330571);
	assert_true(time_parse(S("2025-06-19 12:56:11.25+02:00"), &t) && t == 1750330571);
	assert_true(time_parse(S("2024-02-29T00:00:00Z"), &t));
	assert_string_equal(time_format(1750330571, text), "2025-06-19T10:56:11Z");
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(time_parse(SPAN(bad[i], strlen(bad[i])), &t));
	assert_true(duration_parse(S("30d"), &t) && t == 30 * 86400);
	assert_true(duration_parse(S("0s"), &t) && t == 0);
	assert_false(duration_parse(S("d"), &t) || duration_parse(S("1"), &t) ||
		     duration_parse(S("-1d"), &t) || duration_parse(S("1 d"), &t) ||
		     duration_parse(S("99999999999d"), &t) || duration_parse(S("1w"), &t));
}

static void test_json(void **state)
{
	static const char *const bad[] = { "{\"a\":1,\"a\":1}",	  "{} x",    "{",	   "1",
					   "{\"a\":\"\\u0000\"}", "{'a':1}", "{\"a\":1,}", "" };
	static const char text[] =
		" {\"x\":{\"a\":\"}\\\"\"} , \"a\" : {\"b\":[1,{\"a\":2}]} ,\"c\":3}";
	struct span part;
	json_t *j;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_null(json_parse_strict(SPAN(bad[i], strlen(bad[i]))));
	j = json_parse_strict(S(text));
	assert_non_null(j);
	json_decref(j);
	assert_true(json_member_slice(S(text), "a", &part));
	assert_true(span_equal(part, S("{\"b\":[1,{\"a\":2}]}")));
	assert_true(json_member_slice(S(text), "c", &part) && span_equal(part, S("3")));
	assert_false(json_member_slice(S(text), "b", &part));
	assert_false(json_member_slice(S("{\"\\u0061\":1}"), "a", &part));
	assert_false(json_member_slice(S("[1]"), "a", &part));
}

static void test_cbor(void **state)
{
	static const char *const bad[] = { "\x18\x17",	   "\x19\x01",
					   "\x5f",	   "\xf5",
					   "\x42x",	   "\x1c",
					   "\x9f\x01\xff", "\x9a\xff\xff\xff\xff" };
	struct cbor_item it;
	struct span s;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s = SPAN(bad[i], strlen(bad[i]));
		assert_false(cbor_skip(&s));
		assert_ptr_equal(s.p, bad[i]);
	}
	s = S("\xa1\x61x\x82\x18\x18\xc1\x42yzZ");
	assert_true(cbor_skip(&s) && s.n == 1);
	s = S("\xd9\xea\x60\x80");
	assert_true(cbor_take(&s, &it) && it.major == CBOR_TAG && it.value == 60000);
	s = S("\x61x");
	assert_false(cbor_take_bytes(&s, &s));
}

static void test_der(void **state)
{
	static const char *const bad[] = { "\x02",     "\x02\x02\x01", "\x02\x81\x01\x01",
					   "\x02\x80", "\x02\x01\x81", "\x02\x02\x02\x80\x01" };
	struct span s;
	uint64_t n;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(bad) - 1; i++) {
		s = SPAN(bad[i], strlen(bad[i]));
		assert_false(der_uint(&s, DER_INTEGER, &n));
	}
	s = SPAN("\x02\x02\x00\x7f", 4); /* not the shortest */
	assert_false(der_uint(&s, DER_INTEGER, &n));
	s = SPAN("\x02\x00", 2);
	assert_false(der_uint(&s, DER_INTEGER, &n));
	s = SPAN("\x02\x02\x00\xdbx", 5); /* 219: SVNs above 127 take two bytes */
	assert_true(der_uint(&s, DER_INTEGER, &n) && n == 219 && s.n == 1);
	s = SPAN("\x0a\x01\x00", 3);
	assert_false(der_uint(&s, DER_INTEGER, &n));
	assert_true(der_uint(&s, DER_ENUMERATED, &n) && n == 0);
}

static void test_pem(void **state)
{
	static const char block[] = "-----BEGIN X-----\r\nZm9v\n-----END X-----\n\0";
	static const char *const bad[] = {
		"-----BEGIN X-----\nZm9v\n-----END Y-----\n",
		"-----BEGIN X-----\nZm9v\n",
		"-----BEGIN X-----\nZm*v\n-----END X-----\n",
		"-----BEGIN X-----\n-----END X-----\n",
		"text\n-----BEGIN X-----\nZm9v\n-----END X-----\n",
	};
	struct span s = SPAN(block, sizeof(block) - 1), label;
	uint8_t *bytes;
	size_t n;

	(void)state;
	assert_int_equal(pem_next(&s, true, &label, &bytes, &n), 0);
	assert_true(span_equal(label, S("X")) && span_equal(SPAN(bytes, n), S("foo")));
	free(bytes);
	assert_int_equal(pem_next(&s, true, &label, &bytes, &n), PEM_E_END); /* LF and NUL */
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		s = SPAN(bad[i], strlen(bad[i]));
		assert_int_equal(pem_next(&s, true, &label, &bytes, &n), PEM_E_BROKEN);
	}
	s = SPAN(bad[4], strlen(bad[4]));
	assert_int_equal(pem_next(&s, false, &label, &bytes, &n), 0);
	free(bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hex),  cmocka_unit_test(test_base64),
		cmocka_unit_test(test_time), cmocka_unit_test(test_json),
		cmocka_unit_test(test_cbor), cmocka_unit_test(test_der),
		cmocka_unit_test(test_pem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
