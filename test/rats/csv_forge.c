/*
 * Forged CSV reports under an HRK of our own, in both versions: for each check one that only this
 * check catches. No real version 2 report is public, so this is also the proof that one is read.
 */
#include "tee_pki.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "rats/csv/csv_report.h"

#define UID "TEST-UID"

static EVP_PKEY *keys[4]; /* HRK, HSK, CEK, PEK */
enum { HRK, HSK, CEK, PEK };

/* Everything that a forgery may change. */
struct forgery {
	unsigned version;
	int hsk_by, cek_by, pek_by, report_by, hrk_by;
	const char *hrk_uid, *report_uid;
	uint32_t pek_usage, cek_usage, hsk_usage, pek_sig_usage, cek_sig_usage, sig_usage, sig_algo;
	uint32_t curve;
	bool no_certs, no_hsk, no_hrk, other_root, flip_mac, flip_sn, flip_policy, add_byte;
};

static void honest(struct forgery *f)
{
	*f = (struct forgery){ .version = 1,
			       .hrk_by = HRK,
			       .hsk_by = HRK,
			       .cek_by = HSK,
			       .pek_by = CEK,
			       .report_by = PEK,
			       .hrk_uid = UID,
			       .report_uid = UID,
			       .hsk_usage = CSV_USAGE_HSK,
			       .cek_usage = CSV_USAGE_CEK,
			       .pek_usage = CSV_USAGE_PEK,
			       .cek_sig_usage = CSV_USAGE_HSK,
			       .pek_sig_usage = CSV_USAGE_CEK,
			       .sig_usage = CSV_USAGE_PEK,
			       .sig_algo = 4,
			       .curve = 3 };
}

static void honest_v2(struct forgery *f)
{
	honest(f);
	f->version = 2;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static void put_reversed(uint8_t *to, const uint8_t *from)
{
	for (size_t i = 0; i < CSV_INT_USED; i++)
		to[i] = from[CSV_INT_USED - 1 - i];
}

/* curve, x, y, uid. */
static void put_key(uint8_t *p, EVP_PKEY *key, uint32_t curve, const char *uid)
{
	uint8_t point[65];
	size_t n;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, 65, &n), 1);
	put_le32(p, curve);
	put_reversed(p + 4, point + 1);
	put_reversed(p + 76, point + 33);
	p[148] = (uint8_t)strlen(uid);
	memcpy(p + 150, uid, strlen(uid));
}

static void put_sig(uint8_t *to, EVP_PKEY *key, const char *uid, const uint8_t *msg, size_t n)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t der[128], r[32], s[32];
	const uint8_t *p = der;
	size_t n_der = sizeof(der);
	EVP_PKEY_CTX *pctx;
	ECDSA_SIG *sig;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx, EVP_sm3(), NULL, key), 1);
	assert_int_equal(EVP_PKEY_CTX_set1_id(pctx, uid, (int)strlen(uid)), 1);
	assert_int_equal(EVP_DigestSign(ctx, der, &n_der, msg, n), 1);
	sig = d2i_ECDSA_SIG(NULL, &p, (long)n_der);
	BN_bn2binpad(ECDSA_SIG_get0_r(sig), r, 32);
	BN_bn2binpad(ECDSA_SIG_get0_s(sig), s, 32);
	put_reversed(to, r);
	put_reversed(to + 72, s);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

static void make_ca(uint8_t out[CSV_CA_SIZE], int key, int by, uint32_t usage, const char *uid)
{
	memset(out, 0, CSV_CA_SIZE);
	out[0] = 1;
	put_le32(out + 36, usage);
	put_key(out + 64, keys[key], 3, uid);
	put_sig(out + 576, keys[by], UID, out, 576);
}

static void make_cert(uint8_t out[CSV_CERT_SIZE], int key, int by, uint32_t usage,
		      uint32_t sig_usage, uint32_t curve)
{
	memset(out, 0, CSV_CERT_SIZE);
	out[0] = 2;
	put_le32(out + 8, usage);
	put_le32(out + 12, 4);
	put_key(out + 16, keys[key], curve, UID);
	put_le32(out + 1044, sig_usage);
	put_le32(out + 1048, 4);
	put_sig(out + 1052, keys[by], UID, out, 1044);
	put_le32(out + 1564, CSV_USAGE_NONE);
}

static void mask(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= (uint8_t)(0x9b + i % 4);
}

/* The report without its head; returns its size. */
static size_t make_report(const struct forgery *f, uint8_t *p)
{
	size_t info = f->version == 1 ? 0x150 : 0x490, sig_at = f->version == 1 ? 0xc0 : 0x400;
	uint8_t *pek = p + info, *sn = pek + CSV_CERT_SIZE, *mac = sn + CSV_SN_SIZE + 32;
	unsigned n;

	memset(p, 0, CSV_REPORT_V2_SIZE);
	memset(p + 0x40, 0xda, 64);
	memset(p + 0x80, 0x4e, 16);
	memset(p + 0x90, 0x3e, 32);
	p[0xb0] = 1;
	put_le32(p + 0xb4, f->sig_usage);
	put_le32(p + 0xb8, f->sig_algo);
	make_cert(pek, PEK, f->pek_by, f->pek_usage, f->pek_sig_usage, f->curve);
	memcpy(sn, "SN-1", 4);
	if (f->version == 1) {
		mask(p, 0xbc);
		mask(pek, CSV_CERT_SIZE);
		mask(sn, CSV_SN_SIZE);
		memcpy(p + 0xbc, "\x9b\x9c\x9d\x9e", 4);
	} else {
		p[0xbc] = 77;
		p[0xc0] = 1;
		memset(p + 0xd0, 0x71, 5 * 32);
	}
	put_sig(p + sig_at, keys[f->report_by], f->report_uid, p, f->version == 1 ? 0xb4 : 0x400);
	p[0xb0] ^= f->flip_policy;
	HMAC(EVP_sm3(), "NNNNNNNNNNNNNNNN", 16, pek, CSV_CERT_SIZE + CSV_SN_SIZE + 32, mac, &n);
	mac[0] ^= f->flip_mac;
	sn[0] ^= f->flip_sn;
	return (size_t)(mac + 32 - p);
}

static struct rtls_collateral *collect(const struct forgery *f)
{
	uint8_t file[2 * CSV_CA_SIZE + CSV_CERT_SIZE];
	struct rtls_collateral *bag;

	assert_int_equal(rtls_collateral_new(&bag), 0);
	make_ca(file, HSK, f->hsk_by, f->hsk_usage, UID);
	make_cert(file + CSV_CA_SIZE, CEK, f->cek_by, f->cek_usage, f->cek_sig_usage, 3);
	if (f->no_hsk)
		assert_int_equal(rtls_collateral_add(bag, file + CSV_CA_SIZE, CSV_CERT_SIZE), 0);
	else if (!f->no_certs)
		assert_int_equal(rtls_collateral_add(bag, file, CSV_CA_SIZE + CSV_CERT_SIZE), 0);
	make_ca(file, HRK, f->hrk_by, CSV_USAGE_HRK, f->hrk_uid);
	if (!f->no_hrk && !f->no_hsk)
		assert_int_equal(rtls_collateral_add(bag, file, CSV_CA_SIZE), 0);
	assert_int_equal(rtls_collateral_seal(bag), 0);
	return bag;
}

static void pin_root(struct key_pin *pin)
{
	uint8_t cert[CSV_CA_SIZE];

	make_ca(cert, HRK, HRK, CSV_USAGE_HRK, UID);
	pin->name = "HRK";
	SHA256(cert + 68, 144, pin->sha256);
}

static struct rtls_verdict *run(const struct forgery *f)
{
	struct rtls_collateral *bag = collect(f);
	uint8_t body[CSV_EXT_HEAD_SIZE + CSV_REPORT_V2_SIZE + 1] = "ATTESTATION_EXT";
	size_t head = f->version == 1 ? 0 : CSV_EXT_HEAD_SIZE, n;
	struct key_pin pin;
	struct roots roots = { .hygon = &pin, .n_hygon = 1 };
	struct appraisal a = { .collateral = bag, .roots = &roots, .now = PKI_NOW };
	struct rtls_verdict *v;

	body[16] = 1;
	pin_root(&pin);
	pin.sha256[0] ^= f->other_root;
	n = head + make_report(f, body + head);
	body[n] = 1;
	a.body = SPAN(body, n + f->add_byte);
	assert_true(f->curve != 3 || verifier_csv.detect(a.body));
	v = run_verifier(&verifier_csv, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void trailing(struct forgery *f)
{
	f->add_byte = true;
}
static void usage_pdh(struct forgery *f)
{
	f->sig_usage = CSV_USAGE_PDH;
}
static void algo_5(struct forgery *f)
{
	f->sig_algo = 5;
}
static void pek_curve(struct forgery *f)
{
	f->curve = 1;
}
static void pek_is_oca(struct forgery *f)
{
	f->pek_usage = CSV_USAGE_OCA;
}
static void pek_of_nobody(struct forgery *f)
{
	f->pek_by = PEK;
}
static void pek_by_oca(struct forgery *f)
{
	f->pek_sig_usage = CSV_USAGE_OCA;
}
static void cek_is_pek(struct forgery *f)
{
	f->cek_usage = CSV_USAGE_PEK;
}
static void cek_of_nobody(struct forgery *f)
{
	f->cek_by = CEK;
}
static void cek_by_pek(struct forgery *f)
{
	f->cek_sig_usage = CSV_USAGE_PEK;
}
static void hsk_is_hrk(struct forgery *f)
{
	f->hsk_usage = CSV_USAGE_HRK;
}
static void hsk_of_nobody(struct forgery *f)
{
	f->hsk_by = HSK;
}
static void hrk_forged(struct forgery *f)
{
	f->hrk_by = HSK;
}
static void hrk_renamed(struct forgery *f)
{
	f->hrk_uid = "OTHER";
}
static void other_root(struct forgery *f)
{
	f->other_root = true;
}
static void no_certs(struct forgery *f)
{
	f->no_certs = true;
}
static void no_hsk(struct forgery *f)
{
	f->no_hsk = true;
}
static void no_hrk(struct forgery *f)
{
	f->no_hrk = true;
}
static void report_of_nobody(struct forgery *f)
{
	f->report_by = CEK;
}
static void report_uid(struct forgery *f)
{
	f->report_uid = "1234567812345678";
}
static void other_policy(struct forgery *f)
{
	f->flip_policy = true;
}
static void bad_mac(struct forgery *f)
{
	f->flip_mac = true;
}
static void other_sn(struct forgery *f)
{
	f->flip_sn = true;
}

static const struct {
	void (*forge)(struct forgery *f);
	enum rtls_check check;
	const char *why;
	bool undecidable;
} cases[] = {
	{ trailing, RTLS_CHECK_FORMAT, "after the report", false },
	{ usage_pdh, RTLS_CHECK_FORMAT, "signature algorithm", false },
	{ algo_5, RTLS_CHECK_FORMAT, "signature algorithm", false },
	{ pek_curve, RTLS_CHECK_FORMAT, "PEK certificate", false },
	{ pek_is_oca, RTLS_CHECK_CHAIN, "PEK usage", false },
	{ pek_of_nobody, RTLS_CHECK_CHAIN, "signature of the PEK", false },
	{ pek_by_oca, RTLS_CHECK_CHAIN, "signature of the PEK", false },
	{ cek_is_pek, RTLS_CHECK_CHAIN, "CEK", true },
	{ cek_of_nobody, RTLS_CHECK_CHAIN, "signature of the CEK", false },
	{ cek_by_pek, RTLS_CHECK_CHAIN, "signature of the CEK", false },
	{ hsk_is_hrk, RTLS_CHECK_CHAIN, "signature of the CEK", false },
	{ hsk_of_nobody, RTLS_CHECK_CHAIN, "signature of the HSK", false },
	{ hrk_forged, RTLS_CHECK_CHAIN, "HRK: its signature", false },
	{ hrk_renamed, RTLS_CHECK_CHAIN, "HRK: its signature", false },
	{ other_root, RTLS_CHECK_CHAIN, "no root certificate", true },
	{ no_certs, RTLS_CHECK_CHAIN, "CEK", true },
	{ no_hsk, RTLS_CHECK_CHAIN, "HSK", true },
	{ no_hrk, RTLS_CHECK_CHAIN, "no root certificate", true },
	{ report_of_nobody, RTLS_CHECK_SIGNATURE, "report signature", false },
	{ report_uid, RTLS_CHECK_SIGNATURE, "report signature", false },
	{ other_policy, RTLS_CHECK_SIGNATURE, "report signature", false },
	{ bad_mac, RTLS_CHECK_BINDING, "MAC", false },
	{ other_sn, RTLS_CHECK_BINDING, "MAC", false },
};

static void test_forgeries(void **state)
{
	static void (*const makers[])(struct forgery *) = { honest, honest_v2 };
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		makers[i % 2](&f);
		cases[i / 2].forge(&f);
		v = run(&f);
		assert_fails(v, cases[i / 2].check, cases[i / 2].why);
		assert_int_equal(v->undecidable, cases[i / 2].undecidable);
		rtls_verdict_free(v);
	}
	print_message("%zu forgeries in 2 versions\n", ARRAY_LEN(cases));
}

static void test_honest(void **state)
{
	struct rtls_verdict *v;
	struct forgery f;

	(void)state;
	honest(&f);
	v = run(&f);
	assert_passes(v);
	assert_claim(v, "version", "0x1");
	assert_claim(v, "chip_sn", "SN-1");
	rtls_verdict_free(v);
	honest_v2(&f);
	v = run(&f);
	assert_passes(v);
	assert_claim(v, "version", "0x2");
	assert_claim(v, "build", "0x4d");
	assert_claim(v, "rtmr_version", "0x1");
	assert_claim(v, "rtmr4",
		     "7171717171717171717171717171717171717171717171717171717171717171");
	assert_claim(v, "chip_sn", "SN-1");
	rtls_verdict_free(v);
}

static int make_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		keys[i] = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	return keys[3] ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(keys); i++)
		EVP_PKEY_free(keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_forgeries),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
