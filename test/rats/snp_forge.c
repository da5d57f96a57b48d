/*
 * Forged SNP reports under a PKI of our own: for each check one that only this check catches. The
 * unforged one passes first, so that what is refused is refused for the forgery.
 */
#include "snp_build.h"

#include "rats/snp/snp_amd_certs.h"

static struct rtls_verdict *run(struct snp_forgery *f, bool sign)
{
	struct rtls_collateral *bag = snp_collect(f);
	uint8_t body[SNP_REPORT_SIZE + sizeof(f->table)];
	struct appraisal a = { .body = SPAN(body, SNP_REPORT_SIZE + f->n_table),
			       .collateral = bag,
			       .rules = { .crl_if_present = !f->crl_strict },
			       .roots = &snp_pki.roots,
			       .now = f->now };
	struct rtls_verdict *v;

	if (sign)
		snp_sign_report(f);
	memcpy(body, f->report, SNP_REPORT_SIZE);
	memcpy(body + SNP_REPORT_SIZE, f->table, f->n_table);
	snp_pki.pins[0].name = f->pinned;
	v = run_verifier(&verifier_snp, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void version_4(struct snp_forgery *f)
{
	f->report[0] = 4;
}
static void algorithm_2(struct snp_forgery *f)
{
	f->report[0x34] = 2;
}
static void policy_bit_17(struct snp_forgery *f)
{
	f->report[0x0a] = 0x01;
}
static void no_table(struct snp_forgery *f)
{
	f->n_table = 10;
}
static void table_out_of_bounds(struct snp_forgery *f)
{
	memset(f->table, 1, 16), memset(f->table + 16, 0xff, 8), f->n_table = 48;
}
static void table_of_garbage(struct snp_forgery *f)
{
	static const uint8_t vcek[24] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
					  0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd,
					  48,	0,    0,    0,	  4,	0,    0,    0 };

	memcpy(f->table, vcek, 24), f->n_table = 52;
}
static void key_none(struct snp_forgery *f)
{
	f->report[0x48] = SNP_KEY_NONE << 2;
}
static void masked_key(struct snp_forgery *f)
{
	f->report[0x48] = 2;
}
static void no_leaf(struct snp_forgery *f)
{
	f->no_leaf = true;
}
static void no_ask(struct snp_forgery *f)
{
	f->no_ask = true;
	f->ask_cn = f->leaf_issuer_cn = "SEV-?";
}
static void unknown_product(struct snp_forgery *f)
{
	f->product = "Rome";
	f->ask_cn = "SEV-Milan";
}
static void omitted_svn(struct snp_forgery *f)
{
	f->omit_svn = true;
}
static void doubled_svn(struct snp_forgery *f)
{
	f->double_svn = true;
}
static void wrapped_hwid(struct snp_forgery *f)
{
	f->wrap_hwid = true;
}
static void short_hwid(struct snp_forgery *f)
{
	f->hwid_n = 8;
}
static void vlek_of_nobody(struct snp_forgery *f)
{
	snp_honest_vlek(f);
	f->no_csp = true;
}
static void leaf_of_nobody(struct snp_forgery *f)
{
	f->leaf_signer = snp_pki.ark;
}
static void ask_of_nobody(struct snp_forgery *f)
{
	f->ask_signer = snp_pki.ask;
}
static void root_of_nobody(struct snp_forgery *f)
{
	f->pinned = "";
}
static void vcek_by_asvk(struct snp_forgery *f)
{
	f->ask_cn = "SEV-VLEK-Milan";
}
static void vlek_by_ask(struct snp_forgery *f)
{
	snp_honest_vlek(f);
	f->ask_cn = "SEV-Milan";
}
static void other_root(struct snp_forgery *f)
{
	f->pinned = "Genoa";
}
static void too_early(struct snp_forgery *f)
{
	f->now = PKI_NOW - PKI_YEAR - 1;
}
static void too_late(struct snp_forgery *f)
{
	f->now = PKI_NOW + PKI_YEAR + 1;
}
static void no_crl(struct snp_forgery *f)
{
	f->crl_strict = true;
}
static void revoked_ask(struct snp_forgery *f)
{
	f->crl_serial = 7;
}
static void forged_crl(struct snp_forgery *f)
{
	f->crl_serial = -1;
	f->crl_key = snp_pki.ask;
}
static void other_product(struct snp_forgery *f)
{
	f->report[0x189] = 0x11;
}
static void version_2_turin(struct snp_forgery *f)
{
	snp_honest_turin(f);
	f->report[0] = 2;
}
static void other_chip(struct snp_forgery *f)
{
	f->report[0x1a0] = 0;
}
static void other_chip_turin(struct snp_forgery *f)
{
	snp_honest_turin(f);
	f->report[0x1a8] = 1;
}
static void other_bootloader(struct snp_forgery *f)
{
	f->tcb[1]++;
}
static void other_tee(struct snp_forgery *f)
{
	f->tcb[2]++;
}
static void other_snp(struct snp_forgery *f)
{
	f->tcb[3]--;
}
static void other_microcode(struct snp_forgery *f)
{
	f->tcb[4]--;
}
static void other_fmc(struct snp_forgery *f)
{
	snp_honest_turin(f);
	f->tcb[0]--;
}
static void weak_key(struct snp_forgery *f)
{
	f->leaf_key = f->report_key = snp_pki.p256;
}
static void other_key(struct snp_forgery *f)
{
	f->report_key = snp_pki.p256;
}
static void bad_signature(struct snp_forgery *f)
{
	f->flip_signature = true;
}
static void high_reported(struct snp_forgery *f)
{
	f->report[0x1e6]--;
}
static void high_committed(struct snp_forgery *f)
{
	f->report[0x38 + 7]--;
}

static const struct {
	void (*forge)(struct snp_forgery *f);
	enum rtls_check check;
	const char *why;
	bool undecidable;
} cases[] = {
	{ version_4, RTLS_CHECK_FORMAT, "not a report of version", false },
	{ algorithm_2, RTLS_CHECK_FORMAT, "signature algorithm", false },
	{ policy_bit_17, RTLS_CHECK_FORMAT, "guest policy", false },
	{ no_table, RTLS_CHECK_FORMAT, "certificate table", false },
	{ table_out_of_bounds, RTLS_CHECK_FORMAT, "certificate table", false },
	{ table_of_garbage, RTLS_CHECK_FORMAT, "certificate in the table", false },
	{ key_none, RTLS_CHECK_SIGNATURE, "signing key", false },
	{ masked_key, RTLS_CHECK_SIGNATURE, "signing key", false },
	{ no_leaf, RTLS_CHECK_CHAIN, "no VCEK certificate", true },
	{ no_ask, RTLS_CHECK_CHAIN, "issuer", false },
	{ unknown_product, RTLS_CHECK_CHAIN, "product name", false },
	{ omitted_svn, RTLS_CHECK_CHAIN, "TCB extensions", false },
	{ doubled_svn, RTLS_CHECK_CHAIN, "TCB extensions", false },
	{ wrapped_hwid, RTLS_CHECK_CHAIN, "HWID extension", false },
	{ short_hwid, RTLS_CHECK_CHAIN, "HWID extension", false },
	{ vlek_of_nobody, RTLS_CHECK_CHAIN, "CSP-ID extension", false },
	{ leaf_of_nobody, RTLS_CHECK_CHAIN, "bad signature", false },
	{ ask_of_nobody, RTLS_CHECK_CHAIN, "bad signature", false },
	{ vcek_by_asvk, RTLS_CHECK_CHAIN, "name of the ASK", false },
	{ vlek_by_ask, RTLS_CHECK_CHAIN, "name of the ASK", false },
	{ other_root, RTLS_CHECK_CHAIN, "root of the product", false },
	{ too_early, RTLS_CHECK_CHAIN, "is valid from", false },
	{ too_late, RTLS_CHECK_CHAIN, "is valid from", false },
	{ no_crl, RTLS_CHECK_COLLATERAL, "not in the collateral", true },
	{ revoked_ask, RTLS_CHECK_REVOKED, "lists serial number", false },
	{ forged_crl, RTLS_CHECK_COLLATERAL, "its signature", false },
	{ other_product, RTLS_CHECK_BINDING, "product", false },
	{ version_2_turin, RTLS_CHECK_BINDING, "product", false },
	{ other_chip, RTLS_CHECK_BINDING, "chip id", false },
	{ other_chip_turin, RTLS_CHECK_BINDING, "chip id", false },
	{ other_bootloader, RTLS_CHECK_BINDING, "reported TCB", false },
	{ other_tee, RTLS_CHECK_BINDING, "reported TCB", false },
	{ other_snp, RTLS_CHECK_BINDING, "reported TCB", false },
	{ other_microcode, RTLS_CHECK_BINDING, "reported TCB", false },
	{ other_fmc, RTLS_CHECK_BINDING, "reported TCB", false },
	{ weak_key, RTLS_CHECK_CHAIN, "not on P-384", false },
	{ other_key, RTLS_CHECK_SIGNATURE, "report signature", false },
	{ bad_signature, RTLS_CHECK_SIGNATURE, "report signature", false },
	{ high_reported, RTLS_CHECK_TCB, "reported TCB against committed", false },
	{ high_committed, RTLS_CHECK_TCB, "committed TCB against current", false },
};

static void test_forgeries(void **state)
{
	struct snp_forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		snp_honest(&f);
		cases[i].forge(&f);
		v = run(&f, true);
		assert_fails(v, cases[i].check, cases[i].why);
		assert_int_equal(v->undecidable, cases[i].undecidable);
		rtls_verdict_free(v);
	}
	print_message("%zu forgeries\n", ARRAY_LEN(cases));
}

static void test_honest(void **state)
{
	static void (*const makers[])(struct snp_forgery *) = { snp_honest, snp_honest_vlek,
								snp_honest_turin };
	struct rtls_verdict *v;
	struct snp_forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		makers[i](&f);
		f.crl_strict = true;
		f.crl_serial = 8; /* somebody else's */
		v = run(&f, true);
		assert_passes(v);
		rtls_verdict_free(v);
	}
	snp_honest(&f); /* an extended report */
	f.no_leaf = f.leaf_in_table = true;
	v = run(&f, true);
	assert_passes(v);
	rtls_verdict_free(v);
	snp_honest(&f); /* a chip that hides its number */
	memset(f.report + 0x1a0, 0, 64);
	v = run(&f, true);
	assert_passes(v);
	rtls_verdict_free(v);
}

/* What is not signed must not be free to choose. */
static void test_unsigned_part(void **state)
{
	const size_t at[] = { 0x2a0 + 48, 0x2a0 + 72 + 71, 0x2a0 + 144, 0x49f };
	struct snp_forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct rtls_verdict *v;

		snp_honest(&f);
		snp_sign_report(&f);
		f.report[at[i]] = 1;
		v = run(&f, false);
		assert_fails(v, RTLS_CHECK_FORMAT, "not a report");
		rtls_verdict_free(v);
	}
}

/* Neither more nor less than a report. */
static void test_size(void **state)
{
	uint8_t bytes[SNP_REPORT_SIZE + 1] = { 0 };
	struct snp_forgery f;
	struct snp_report r;

	(void)state;
	snp_honest(&f);
	memcpy(bytes, f.report, SNP_REPORT_SIZE);
	assert_true(snp_report_parse(SPAN(bytes, SNP_REPORT_SIZE), &r));
	assert_false(snp_report_parse(SPAN(bytes, SNP_REPORT_SIZE - 1), &r));
	assert_false(snp_report_parse(SPAN(bytes, SNP_REPORT_SIZE + 1), &r));
}

/* The pin is of the root's key, not of its name. */
static void test_root_is_pinned(void **state)
{
	struct rtls_verdict *v;
	struct snp_forgery f;

	(void)state;
	snp_honest(&f);
	root_of_nobody(&f);
	snp_pki.pins[0].sha256[0] ^= 1;
	v = run(&f, true);
	snp_pki.pins[0].sha256[0] ^= 1;
	assert_fails(v, RTLS_CHECK_CHAIN, "not one of the pinned keys");
	rtls_verdict_free(v);
}

/* AMD's own certificates: read and verified once, when a bag is sealed, and no items of it. */
static void test_makers(void **state)
{
	struct rtls_collateral *bag = bag_of((const char *const[]){ NULL }), *plain;
	const struct rtls_collateral *makers = collateral_makers(bag);
	struct rtls_collateral_item item;

	(void)state;
	assert_int_equal(collateral_n_certs(makers), SNP_AMD_CERTS);
	for (size_t i = 0; i < SNP_AMD_CERTS; i++) {
		X509 *x = collateral_cert(makers, i), *by = NULL;
		const struct bag_cert *b = collateral_find_x509(bag, x);

		assert_non_null(b);
		assert_ptr_equal(collateral_find_der(bag, SPAN(b->der, b->der_n)), b);
		for (size_t k = 0; k < SNP_AMD_CERTS && !by; k++)
			if (collateral_knows_issue(bag, x, collateral_cert(makers, k)))
				by = collateral_cert(makers, k);
		assert_non_null(by);
		assert_int_equal(X509_verify(x, X509_get0_pubkey(by)), 1);
		assert_false(collateral_knows_issue(bag, by, x) && by != x);
	}
	assert_int_equal(collateral_n_certs(bag), 0);
	assert_false(rtls_collateral_item(bag, 0, &item));
	assert_int_equal(rtls_collateral_new(&plain), 0);
	assert_int_equal(collateral_seal_plain(plain), 0);
	assert_null(collateral_makers(plain));
	rtls_collateral_free(plain);
	rtls_collateral_free(bag);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),	       cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_unsigned_part),  cmocka_unit_test(test_size),
		cmocka_unit_test(test_root_is_pinned), cmocka_unit_test(test_makers),
	};

	return cmocka_run_group_tests(tests, snp_make_pki, snp_free_pki);
}
