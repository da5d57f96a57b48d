/*
 * Forged CSV reports under an HRK of our own, in both versions: for each check one that only this
 * check catches. No real version 2 report is public, so this is also the proof that one is read.
 */
#include "csv_build.h"

static struct rtls_collateral *collect(const struct csv_forgery *f)
{
	uint8_t file[2 * CSV_CA_SIZE + CSV_CERT_SIZE];
	struct rtls_collateral *bag;

	assert_int_equal(rtls_collateral_new(&bag), 0);
	csv_make_ca(file, CSV_KEY_HSK, f->hsk_by, f->hsk_usage, CSV_TEST_UID);
	csv_make_cert(file + CSV_CA_SIZE, CSV_KEY_CEK, f->cek_by, f->cek_usage, f->cek_sig_usage,
		      3);
	if (f->no_hsk)
		assert_int_equal(rtls_collateral_add(bag, file + CSV_CA_SIZE, CSV_CERT_SIZE), 0);
	else if (!f->no_certs)
		assert_int_equal(rtls_collateral_add(bag, file, CSV_CA_SIZE + CSV_CERT_SIZE), 0);
	csv_make_ca(file, CSV_KEY_HRK, f->hrk_by, CSV_USAGE_HRK, f->hrk_uid);
	if (!f->no_hrk && !f->no_hsk)
		assert_int_equal(rtls_collateral_add(bag, file, CSV_CA_SIZE), 0);
	assert_int_equal(rtls_collateral_seal(bag), 0);
	return bag;
}

static void pin_root(struct key_pin *pin)
{
	uint8_t cert[CSV_CA_SIZE];

	csv_make_ca(cert, CSV_KEY_HRK, CSV_KEY_HRK, CSV_USAGE_HRK, CSV_TEST_UID);
	pin->name = "HRK";
	SHA256(cert + 68, 144, pin->sha256);
}

static struct rtls_verdict *run(const struct csv_forgery *f)
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
	n = head + csv_make_report(f, body + head);
	body[n] = 1;
	a.body = SPAN(body, n + f->add_byte);
	assert_true(f->curve != 3 || verifier_csv.detect(a.body));
	v = run_verifier(&verifier_csv, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void trailing(struct csv_forgery *f)
{
	f->add_byte = true;
}
static void usage_pdh(struct csv_forgery *f)
{
	f->sig_usage = CSV_USAGE_PDH;
}
static void algo_5(struct csv_forgery *f)
{
	f->sig_algo = 5;
}
static void pek_curve(struct csv_forgery *f)
{
	f->curve = 1;
}
static void pek_is_oca(struct csv_forgery *f)
{
	f->pek_usage = CSV_USAGE_OCA;
}
static void pek_of_nobody(struct csv_forgery *f)
{
	f->pek_by = CSV_KEY_PEK;
}
static void pek_by_oca(struct csv_forgery *f)
{
	f->pek_sig_usage = CSV_USAGE_OCA;
}
static void cek_is_pek(struct csv_forgery *f)
{
	f->cek_usage = CSV_USAGE_PEK;
}
static void cek_of_nobody(struct csv_forgery *f)
{
	f->cek_by = CSV_KEY_CEK;
}
static void cek_by_pek(struct csv_forgery *f)
{
	f->cek_sig_usage = CSV_USAGE_PEK;
}
static void hsk_is_hrk(struct csv_forgery *f)
{
	f->hsk_usage = CSV_USAGE_HRK;
}
static void hsk_of_nobody(struct csv_forgery *f)
{
	f->hsk_by = CSV_KEY_HSK;
}
static void hrk_forged(struct csv_forgery *f)
{
	f->hrk_by = CSV_KEY_HSK;
}
static void hrk_renamed(struct csv_forgery *f)
{
	f->hrk_uid = "OTHER";
}
static void other_root(struct csv_forgery *f)
{
	f->other_root = true;
}
static void no_certs(struct csv_forgery *f)
{
	f->no_certs = true;
}
static void no_hsk(struct csv_forgery *f)
{
	f->no_hsk = true;
}
static void no_hrk(struct csv_forgery *f)
{
	f->no_hrk = true;
}
static void report_of_nobody(struct csv_forgery *f)
{
	f->report_by = CSV_KEY_CEK;
}
static void report_uid(struct csv_forgery *f)
{
	f->report_uid = "1234567812345678";
}
static void other_policy(struct csv_forgery *f)
{
	f->flip_policy = true;
}
static void bad_mac(struct csv_forgery *f)
{
	f->flip_mac = true;
}
static void other_sn(struct csv_forgery *f)
{
	f->flip_sn = true;
}

static const struct {
	void (*forge)(struct csv_forgery *f);
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
	static void (*const makers[])(struct csv_forgery *) = { csv_honest, csv_honest_v2 };
	struct csv_forgery f;

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
	struct csv_forgery f;

	(void)state;
	csv_honest(&f);
	v = run(&f);
	assert_passes(v);
	assert_claim(v, "version", "0x1");
	assert_claim(v, "chip_sn", "SN-1");
	rtls_verdict_free(v);
	csv_honest_v2(&f);
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
	for (size_t i = 0; i < ARRAY_LEN(csv_keys); i++)
		csv_keys[i] = EVP_PKEY_Q_keygen(NULL, NULL, "SM2");
	return csv_keys[3] ? 0 : -1;
}

static int free_keys(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(csv_keys); i++)
		EVP_PKEY_free(csv_keys[i]);
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
