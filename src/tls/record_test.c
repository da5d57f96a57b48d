/*
 * The record layer by itself: RFC 8448 3 byte for byte, scattered plaintext, each backend against
 * the other, padding, and the limits of a key.
 */
#include "tls/tls_test.h"

#include <errno.h>
#include <openssl/crypto.h>

static const char client_secret[] =
	"9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5";
static const char server_secret[] =
	"a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643";

/* RFC 8448 3, the records under application traffic keys, in order. */
static const struct {
	bool by_client;
	uint8_t type;
	const char *content; /* NULL: bytes 00 to 31 */
	const char *record;
} trace[] = {
	{ false, CONTENT_HANDSHAKE,
	  "040000c90000001efad6aac502000000b22c035d829359ee5ff7af4ec900000000262a6494dc486d2c8a34cb"
	  "33fa90bf1b0070ad3c498883c9367c09a2be785abc55cd226097a3a982117283f82a03a143efd3ff5dd36d64"
	  "e861be7fd61d2827db279cce145077d454a3664d4e6da4d29ee03725a6a4dafcd0fc67d2aea70529513e3da2"
	  "677fa5906c5b3f7d8f92f228bda40dda721470f9fbf297b5aea617646fac5c03272e970727c621a79141ef5f"
	  "7de6505e5bfbc388e93343694093934ae4d3570008002a000400000400",
	  "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c7"
	  "58db289a015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1"
	  "b6c0d4a3d03f75e09c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc1"
	  "81a77ca475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f6"
	  "50db4d023e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779"
	  "b37bf15985684f" },
	{ true, CONTENT_DATA, NULL,
	  "1703030043a23f7054b62c94d0affafe8228ba55cbefacea42f914aa66bcab3f2b9819a8a5b46b395bd54a9a"
	  "20441e2b62974e1f5a6292a2977014bd1e3deae63aeebb21694915e4" },
	{ false, CONTENT_DATA, NULL,
	  "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb"
	  "501a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d" },
	{ true, CONTENT_ALERT, "0100", "1703030013c9872760655666b74d7ff1153efd6db6d0b0e3" },
	{ false, CONTENT_ALERT, "0100", "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9" },
};

static const char *const names[] = { "evp", "ipsec-mb" };

static size_t unhex(const char *hex, uint8_t *out, size_t size)
{
	size_t n = 0;

	assert_int_equal(OPENSSL_hexstr2buf_ex(out, size, &n, hex, '\0'), 1);
	return n;
}

static void half_make(struct half *h, uint16_t id, const char *backend, bool seals, const char *hex)
{
	const struct suite *suite = suite_find(id);
	uint8_t secret[SUITE_SECRET_MAX] = { 0 };

	assert_non_null(suite);
	(void)unhex(hex, secret, sizeof(secret));
	assert_int_equal(half_init(h, suite, aead_find(backend, suite->alg), seals, secret), 0);
}

static int seal_bytes(struct half *h, const void *bytes, size_t n, enum content_type type,
		      uint8_t *out)
{
	const struct iovec iov = { .iov_base = (void *)(uintptr_t)bytes, .iov_len = n };
	struct iov_cursor in = { .iov = &iov, .n_iov = 1 };

	return half_seal(h, &in, n, type, out);
}

/* RFC 8448 3: "derive write traffic keys for application data" */
static void test_keys(void **state)
{
	static const char *const want[][3] = {
		{ client_secret, "17422dda596ed5d9acd890e3c63f5051", "5b78923dee08579033e523d9" },
		{ server_secret, "9f02283b6c9c07efc26bb9f2ac92e356", "cf782b88dd83549aadf1e984" },
	};
	const struct suite *suite = suite_find(0x1301);
	uint8_t secret[32], key[16], iv[12], want_key[16], want_iv[12];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		(void)unhex(want[i][0], secret, sizeof(secret));
		(void)unhex(want[i][1], want_key, sizeof(want_key));
		(void)unhex(want[i][2], want_iv, sizeof(want_iv));
		assert_true(suite_expand(suite, secret, "key", key, sizeof(key)));
		assert_true(suite_expand(suite, secret, "iv", iv, sizeof(iv)));
		assert_memory_equal(key, want_key, sizeof(key));
		assert_memory_equal(iv, want_iv, sizeof(iv));
	}
}

static void trace_one(struct half *seals, struct half *opens, size_t i)
{
	uint8_t want[300], record[300], content[300], opened[300], type;
	size_t n_want = unhex(trace[i].record, want, sizeof(want)), n = 50, total, n_opened;

	for (uint8_t b = 0; b < 50; b++)
		content[b] = b;
	if (trace[i].content)
		n = unhex(trace[i].content, content, sizeof(content));
	assert_int_equal(seal_bytes(seals, content, n, (enum content_type)trace[i].type, record),
			 0);
	assert_int_equal(n + RTLS_RECORD_OVERHEAD, n_want);
	assert_memory_equal(record, want, n_want);
	assert_int_equal(record_peek(want, &total), 0);
	assert_int_equal(total, n_want);
	assert_int_equal(
		half_open(opens, SPAN(want, total), opened, sizeof(opened), &n_opened, &type), 0);
	assert_int_equal(type, trace[i].type);
	assert_int_equal(n_opened, n);
	assert_memory_equal(opened, content, n);
}

static void test_trace(void **state)
{
	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(names); b++) {
		struct half h[4];

		if (!aead_is_here(names[b]))
			continue;
		for (int i = 0; i < 4; i++)
			half_make(&h[i], 0x1301, names[b], i % 2,
				  i < 2 ? client_secret : server_secret);
		for (size_t i = 0; i < ARRAY_LEN(trace); i++)
			trace_one(&h[trace[i].by_client ? 1 : 3], &h[trace[i].by_client ? 0 : 2],
				  i);
		for (int i = 0; i < 4; i++)
			half_deinit(&h[i]);
	}
}

/* Plaintext in pieces of every kind, sealed by one and opened by the other, with room for it or one
 * byte less than its type would need. */
static void scatter(uint16_t suite, const char *a, const char *b, unsigned rounds)
{
	static uint8_t plain[RTLS_RECORD_MAX], out[RTLS_RECORD_MAX + 1];
	static uint8_t record[RTLS_RECORD_MAX + RTLS_RECORD_OVERHEAD];
	struct half seals, opens;

	half_make(&seals, suite, a, true, client_secret);
	half_make(&opens, suite, b, false, client_secret);
	for (unsigned i = 0; i < rounds; i++) {
		const size_t n =
			test_random(4) ? test_random(RTLS_RECORD_MAX + 1) : test_random(64);
		const size_t skip = test_random(100);
		struct iovec iov[64];
		size_t at = 0, n_opened;
		int n_iov = 0;
		uint8_t type;

		for (size_t k = 0; k < n; k++)
			plain[k] = (uint8_t)test_random(256);
		iov[n_iov++] = (struct iovec){ out, skip }; /* before where it starts */
		while (n_iov < 63) {
			size_t len = n_iov == 62 ? n - at : test_random(4) ? test_random(900) : 0;

			len = len < n - at ? len : n - at;
			iov[n_iov++] = (struct iovec){ plain + at, len };
			at += len;
		}
		assert_int_equal(at, n);
		struct iov_cursor in = { .iov = iov, .n_iov = n_iov, .skip = skip };

		assert_int_equal(iov_cursor_left(&in), n);
		assert_int_equal(half_seal(&seals, &in, n, CONTENT_DATA, record), 0);
		assert_int_equal(iov_cursor_left(&in), 0);
		assert_int_equal(half_open(&opens, SPAN(record, n + RTLS_RECORD_OVERHEAD), out,
					   n + test_random(2), &n_opened, &type),
				 0);
		assert_int_equal(type, CONTENT_DATA);
		assert_int_equal(n_opened, n);
		assert_memory_equal(out, plain, n);
		if (test_random(20) == 0) {
			assert_int_equal(half_update(&seals), 0);
			assert_int_equal(half_update(&opens), 0);
		}
	}
	half_deinit(&seals);
	half_deinit(&opens);
}

static void test_scatter(void **state)
{
	(void)state;
	for (uint16_t suite = 0x1301; suite <= 0x1303; suite++)
		for (size_t i = 0; i < 4; i++) {
			const char *a = names[i % 2], *b = names[i / 2];

			if (aead_find(a, suite_find(suite)->alg) &&
			    aead_find(b, suite_find(suite)->alg))
				scatter(suite, a, b, 300);
		}
}

/* Padding is not content; a record of nothing but padding has no type. */
static void test_padding(void **state)
{
	uint8_t record[200], out[200], type;
	size_t n;

	(void)state;
	for (size_t b = 0; b < ARRAY_LEN(names); b++) {
		static const uint8_t padded[20] = { 'd', 'a', 't', 'a', CONTENT_DATA };
		static const uint8_t zero[20];
		struct half seals, opens;

		if (!aead_is_here(names[b]))
			continue;
		half_make(&seals, 0x1301, names[b], true, client_secret);
		half_make(&opens, 0x1301, names[b], false, client_secret);
		assert_int_equal(seal_bytes(&seals, padded, 20, 0, record), 0);
		assert_int_equal(half_open(&opens, SPAN(record, 42), out, sizeof(out), &n, &type),
				 0);
		assert_int_equal(n, 4);
		assert_int_equal(type, CONTENT_DATA);
		assert_int_equal(seal_bytes(&seals, padded, 5, 0, record), 0);
		assert_int_equal(half_open(&opens, SPAN(record, 27), out, 5, &n, &type), 0);
		assert_int_equal(n, 4);
		assert_int_equal(seal_bytes(&seals, zero, 20, 0, record), 0);
		assert_int_equal(half_open(&opens, SPAN(record, 42), out, sizeof(out), &n, &type),
				 ALERT_UNEXPECTED_MESSAGE);
		half_deinit(&seals);
		half_deinit(&opens);
	}
}

/* What does not open leaves nothing behind. */
static void test_wiped(void **state)
{
	static const uint8_t zero[100];
	uint8_t secret[100], record[122], out[101], type;
	size_t n;

	(void)state;
	memset(secret, 's', sizeof(secret));
	for (size_t b = 0; b < ARRAY_LEN(names); b++) {
		struct half seals, opens;

		if (!aead_is_here(names[b]))
			continue;
		half_make(&seals, 0x1301, names[b], true, client_secret);
		half_make(&opens, 0x1301, names[b], false, client_secret);
		assert_int_equal(seal_bytes(&seals, secret, 100, CONTENT_DATA, record), 0);
		record[121] ^= 1;
		memset(out, 0xaa, sizeof(out));
		assert_int_equal(half_open(&opens, SPAN(record, 122), out, sizeof(out), &n, &type),
				 ALERT_BAD_RECORD_MAC);
		assert_memory_equal(out, zero, 100);
		half_deinit(&seals);
		half_deinit(&opens);
	}
}

static void test_limit(void **state)
{
	uint8_t record[32], out[32], type;
	struct half seals, opens;
	size_t n;

	(void)state;
	half_make(&seals, 0x1301, NULL, true, client_secret);
	half_make(&opens, 0x1301, NULL, false, client_secret);
	seals.seq = opens.seq = RECORD_KEY_MAX - 1;
	assert_int_equal(seal_bytes(&seals, "x", 1, CONTENT_DATA, record), 0);
	assert_int_equal(half_open(&opens, SPAN(record, 23), out, sizeof(out), &n, &type), 0);
	assert_int_equal(seal_bytes(&seals, "x", 1, CONTENT_DATA, record), -EPROTO);
	assert_int_equal(half_open(&opens, SPAN(record, 23), out, sizeof(out), &n, &type),
			 ALERT_INTERNAL_ERROR);
	half_deinit(&seals);
	half_deinit(&opens);
	assert_int_equal(seal_bytes(&seals, "x", 1, CONTENT_DATA, record), -EPROTO);
	half_deinit(&seals);
}

static void test_peek(void **state)
{
	uint8_t head[RECORD_HEAD] = { CONTENT_DATA, 3, 3 };
	size_t total;

	(void)state;
	for (unsigned n = 0; n <= UINT16_MAX; n++) {
		const int want = n < 17		      ? ALERT_BAD_RECORD_MAC
				 : n > 16384 + 1 + 16 ? ALERT_RECORD_OVERFLOW
						      : 0;

		put_be16(head + 3, (uint16_t)n);
		assert_int_equal(record_peek(head, &total), want);
		if (want == 0)
			assert_int_equal(total, n + 5);
	}
	for (unsigned type = 0; type < 256; type++) {
		head[0] = (uint8_t)type;
		put_be16(head + 3, 100);
		assert_int_equal(record_peek(head, &total),
				 type == 23 ? 0 : ALERT_UNEXPECTED_MESSAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_keys),	cmocka_unit_test(test_trace),
		cmocka_unit_test(test_scatter), cmocka_unit_test(test_padding),
		cmocka_unit_test(test_wiped),	cmocka_unit_test(test_limit),
		cmocka_unit_test(test_peek),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
