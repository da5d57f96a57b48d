/*
 * Forged SNP reports under a PKI of our own: for each check one that only this check catches. The
 * unforged one passes first, so that what is refused is refused for the forgery.
 */
#include "tee_pki.h"

#include "rats/snp/snp_cert.h"

#define OID "1.3.6.1.4.1.3704.1."

static struct {
	EVP_PKEY *ark, *ask, *vcek, *p256;
	struct key_pin pins[2];
	struct roots roots;
} pki;

/* Everything that a forgery may change. */
struct forgery {
	uint8_t report[SNP_REPORT_SIZE];
	uint8_t table[64];
	size_t n_table;
	bool vlek;
	const char *product, *leaf_cn, *ask_cn, *leaf_issuer_cn, *pinned;
	uint8_t tcb[5]; /* fmc, bootloader, tee, snp, microcode in the certificate */
	size_t hwid_n;
	bool wrap_hwid, double_svn, omit_svn, no_csp, no_leaf, no_ask;
	EVP_PKEY *leaf_key, *leaf_signer, *ask_signer, *report_key;
	int64_t now;
	bool crl_strict;
	long crl_serial; /* -2: no CRL */
	EVP_PKEY *crl_key;
	bool flip_signature;
};

static void put_le64(uint8_t *p, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* A Milan report of version 3, fit for the certificate that certify() makes. */
static void honest(struct forgery *f)
{
	static const uint8_t tcb[8] = { 4, 0, 0, 0, 0, 0, 24, 219 };

	memset(f, 0, sizeof(*f));
	f->report[0] = 3;
	put_le64(f->report + 0x08, 0x30000);
	f->report[0x34] = 1;
	memcpy(f->report + 0x38, tcb, 8);
	memset(f->report + 0x50, 0xda, 64);
	memset(f->report + 0x90, 0x3e, 48);
	memcpy(f->report + 0x180, tcb, 8);
	f->report[0x188] = 0x19;
	f->report[0x189] = 1;
	memset(f->report + 0x1a0, 0xc1, 64);
	memcpy(f->report + 0x1e0, tcb, 8);
	memcpy(f->report + 0x1f0, tcb, 8);
	f->product = f->pinned = "Milan";
	f->tcb[1] = 4, f->tcb[3] = 24, f->tcb[4] = 219;
	f->hwid_n = 64;
	f->leaf_key = f->report_key = pki.vcek;
	f->leaf_signer = pki.ask;
	f->ask_signer = pki.ark;
	f->now = PKI_NOW;
	f->crl_serial = -2;
	f->crl_key = pki.ark;
}

static void honest_vlek(struct forgery *f)
{
	honest(f);
	f->vlek = true;
	f->report[0x48] = SNP_KEY_VLEK << 2;
	memset(f->report + 0x1a0, 0, 64);
}

static void honest_turin(struct forgery *f)
{
	static const uint8_t tcb[8] = { 1, 2, 3, 4, 0, 0, 0, 200 };
	const size_t at[] = { 0x38, 0x180, 0x1e0, 0x1f0 };

	honest(f);
	f->report[0] = 5;
	f->report[0x188] = 0x1a;
	f->report[0x189] = 2;
	for (size_t i = 0; i < ARRAY_LEN(at); i++)
		memcpy(f->report + at[i], tcb, 8);
	memset(f->report + 0x1a8, 0, 56);
	f->product = f->pinned = "Turin";
	memcpy(f->tcb, (uint8_t[]){ 1, 2, 3, 4, 200 }, 5);
	f->hwid_n = 8;
}

static size_t der_svn(uint8_t v, uint8_t out[4])
{
	if (v < 0x80) {
		memcpy(out, (uint8_t[]){ 2, 1, v }, 3);
		return 3;
	}
	memcpy(out, (uint8_t[]){ 2, 2, 0, v }, 4);
	return 4;
}

static X509 *certify(const struct forgery *f, const char *issuer_cn)
{
	static const char *const oids[5] = { OID "3.9", OID "3.1", OID "3.2", OID "3.3",
					     OID "3.8" };
	uint8_t svns[5][4], product[32] = { 0x16 }, hwid[66] = { 4, 64 },
			    csp[] = "\x16\x04"
				    "CN=x";
	size_t n_product = strlen(f->product), n = 0;
	struct pki_ext exts[10];
	struct pki_cert c = { .cn = f->leaf_cn ? f->leaf_cn
				    : f->vlek  ? "SEV-VLEK"
					       : "SEV-VCEK",
			      .key = f->leaf_key,
			      .issuer_cn = issuer_cn,
			      .issuer_key = f->leaf_signer,
			      .pss = true,
			      .exts = exts };

	product[1] = (uint8_t)n_product;
	memcpy(product + 2, f->product, n_product);
	exts[n++] = (struct pki_ext){ OID "2", product, n_product + 2 };
	for (size_t i = 0; i < 5; i++)
		if (!(i == 2 && f->omit_svn))
			exts[n++] =
				(struct pki_ext){ oids[i], svns[i], der_svn(f->tcb[i], svns[i]) };
	if (f->double_svn)
		exts[n++] = exts[2];
	memset(hwid + 2, 0xc1, 64);
	if (!f->vlek && f->wrap_hwid)
		exts[n++] = (struct pki_ext){ OID "4", hwid, 66 };
	else if (!f->vlek)
		exts[n++] = (struct pki_ext){ OID "4", hwid + 2, f->hwid_n };
	else if (!f->no_csp)
		exts[n++] = (struct pki_ext){ OID "5", csp, 6 };
	c.n_exts = n;
	return pki_make(&c);
}

static void sign_report(struct forgery *f)
{
	uint8_t r[48], s[48];

	pki_ecdsa(f->report_key, EVP_sha384(), SPAN(f->report, SNP_REPORT_SIGNED), 48, r, s);
	for (size_t i = 0; i < 48; i++) {
		f->report[0x2a0 + i] = r[47 - i];
		f->report[0x2a0 + 72 + i] = s[47 - i];
	}
	f->report[0x2a0] ^= f->flip_signature;
}

static struct rtls_collateral *collect(const struct forgery *f)
{
	struct pki_cert ark_c = { .cn = "ARK-X", .key = pki.ark, .is_ca = true, .pss = true };
	struct pki_cert ask_c = { .key = pki.ask,
				  .issuer_cn = "ARK-X",
				  .serial = 7,
				  .is_ca = true,
				  .pss = true,
				  .issuer_key = f->ask_signer };
	struct rtls_collateral *bag;
	X509 *ark = pki_make(&ark_c), *ask, *leaf;
	char cn[64];

	snprintf(cn, sizeof(cn), "SEV-%s%s", f->vlek ? "VLEK-" : "", f->product);
	ask_c.cn = f->ask_cn ? f->ask_cn : cn;
	ask = pki_make(&ask_c);
	leaf = certify(f, f->leaf_issuer_cn ? f->leaf_issuer_cn : ask_c.cn);
	assert_int_equal(rtls_collateral_new(&bag), 0);
	bag_add_cert(bag, ark);
	if (!f->no_ask)
		bag_add_cert(bag, ask);
	if (!f->no_leaf)
		bag_add_cert(bag, leaf);
	if (f->crl_serial > -2) {
		X509_CRL *crl = pki_make_crl(ark, f->crl_key, true, f->crl_serial);

		bag_add_crl(bag, crl);
		X509_CRL_free(crl);
	}
	assert_int_equal(rtls_collateral_seal(bag), 0);
	X509_free(ark);
	X509_free(ask);
	X509_free(leaf);
	return bag;
}

static struct rtls_verdict *run(struct forgery *f, bool sign)
{
	struct rtls_collateral *bag = collect(f);
	uint8_t body[SNP_REPORT_SIZE + sizeof(f->table)];
	struct appraisal a = { .body = SPAN(body, SNP_REPORT_SIZE + f->n_table),
			       .collateral = bag,
			       .rules = { .crl_if_present = !f->crl_strict },
			       .roots = &pki.roots,
			       .now = f->now };
	struct rtls_verdict *v;

	if (sign)
		sign_report(f);
	memcpy(body, f->report, SNP_REPORT_SIZE);
	memcpy(body + SNP_REPORT_SIZE, f->table, f->n_table);
	pki.pins[0].name = f->pinned;
	v = run_verifier(&verifier_snp, &a);
	rtls_collateral_free(bag);
	return v;
}

/* One forgery each. */
static void version_4(struct forgery *f)
{
	f->report[0] = 4;
}
static void algorithm_2(struct forgery *f)
{
	f->report[0x34] = 2;
}
static void policy_bit_17(struct forgery *f)
{
	f->report[0x0a] = 0x01;
}
static void no_table(struct forgery *f)
{
	f->n_table = 10;
}
static void table_out_of_bounds(struct forgery *f)
{
	memset(f->table, 1, 16), memset(f->table + 16, 0xff, 8), f->n_table = 48;
}
static void table_of_garbage(struct forgery *f)
{
	static const uint8_t vcek[24] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
					  0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd,
					  48,	0,    0,    0,	  4,	0,    0,    0 };

	memcpy(f->table, vcek, 24), f->n_table = 52;
}
static void key_none(struct forgery *f)
{
	f->report[0x48] = SNP_KEY_NONE << 2;
}
static void masked_key(struct forgery *f)
{
	f->report[0x48] = 2;
}
static void no_leaf(struct forgery *f)
{
	f->no_leaf = true;
}
static void no_ask(struct forgery *f)
{
	f->no_ask = true;
	f->ask_cn = f->leaf_issuer_cn = "SEV-?";
}
static void unknown_product(struct forgery *f)
{
	f->product = "Rome";
	f->ask_cn = "SEV-Milan";
}
static void omitted_svn(struct forgery *f)
{
	f->omit_svn = true;
}
static void doubled_svn(struct forgery *f)
{
	f->double_svn = true;
}
static void wrapped_hwid(struct forgery *f)
{
	f->wrap_hwid = true;
}
static void short_hwid(struct forgery *f)
{
	f->hwid_n = 8;
}
static void vlek_of_nobody(struct forgery *f)
{
	honest_vlek(f);
	f->no_csp = true;
}
static void leaf_of_nobody(struct forgery *f)
{
	f->leaf_signer = pki.ark;
}
static void ask_of_nobody(struct forgery *f)
{
	f->ask_signer = pki.ask;
}
static void root_of_nobody(struct forgery *f)
{
	f->pinned = "";
}
static void vcek_by_asvk(struct forgery *f)
{
	f->ask_cn = "SEV-VLEK-Milan";
}
static void vlek_by_ask(struct forgery *f)
{
	honest_vlek(f);
	f->ask_cn = "SEV-Milan";
}
static void other_root(struct forgery *f)
{
	f->pinned = "Genoa";
}
static void too_early(struct forgery *f)
{
	f->now = PKI_NOW - PKI_YEAR - 1;
}
static void too_late(struct forgery *f)
{
	f->now = PKI_NOW + PKI_YEAR + 1;
}
static void no_crl(struct forgery *f)
{
	f->crl_strict = true;
}
static void revoked_ask(struct forgery *f)
{
	f->crl_serial = 7;
}
static void forged_crl(struct forgery *f)
{
	f->crl_serial = -1;
	f->crl_key = pki.ask;
}
static void other_product(struct forgery *f)
{
	f->report[0x189] = 0x11;
}
static void version_2_turin(struct forgery *f)
{
	honest_turin(f);
	f->report[0] = 2;
}
static void other_chip(struct forgery *f)
{
	f->report[0x1a0] = 0;
}
static void other_chip_turin(struct forgery *f)
{
	honest_turin(f);
	f->report[0x1a8] = 1;
}
static void other_bootloader(struct forgery *f)
{
	f->tcb[1]++;
}
static void other_tee(struct forgery *f)
{
	f->tcb[2]++;
}
static void other_snp(struct forgery *f)
{
	f->tcb[3]--;
}
static void other_microcode(struct forgery *f)
{
	f->tcb[4]--;
}
static void other_fmc(struct forgery *f)
{
	honest_turin(f);
	f->tcb[0]--;
}
static void weak_key(struct forgery *f)
{
	f->leaf_key = f->report_key = pki.p256;
}
static void other_key(struct forgery *f)
{
	f->report_key = pki.p256;
}
static void bad_signature(struct forgery *f)
{
	f->flip_signature = true;
}
static void high_reported(struct forgery *f)
{
	f->report[0x1e6]--;
}
static void high_committed(struct forgery *f)
{
	f->report[0x38 + 7]--;
}

static const struct {
	void (*forge)(struct forgery *f);
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
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct rtls_verdict *v;

		honest(&f);
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
	static void (*const makers[])(struct forgery *) = { honest, honest_vlek, honest_turin };
	struct rtls_verdict *v;
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(makers); i++) {
		makers[i](&f);
		f.crl_strict = true;
		f.crl_serial = 8; /* somebody else's */
		v = run(&f, true);
		assert_passes(v);
		rtls_verdict_free(v);
	}
	honest(&f); /* a chip that hides its number */
	memset(f.report + 0x1a0, 0, 64);
	v = run(&f, true);
	assert_passes(v);
	rtls_verdict_free(v);
}

/* What is not signed must not be free to choose. */
static void test_unsigned_part(void **state)
{
	const size_t at[] = { 0x2a0 + 48, 0x2a0 + 72 + 71, 0x2a0 + 144, 0x49f };
	struct forgery f;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(at); i++) {
		struct rtls_verdict *v;

		honest(&f);
		sign_report(&f);
		f.report[at[i]] = 1;
		v = run(&f, false);
		assert_fails(v, RTLS_CHECK_FORMAT, "not a report");
		rtls_verdict_free(v);
	}
}

/* The pin is of the root's key, not of its name. */
static void test_root_is_pinned(void **state)
{
	struct rtls_verdict *v;
	struct forgery f;

	(void)state;
	honest(&f);
	root_of_nobody(&f);
	pki.pins[0].sha256[0] ^= 1;
	v = run(&f, true);
	pki.pins[0].sha256[0] ^= 1;
	assert_fails(v, RTLS_CHECK_CHAIN, "not one of the pinned keys");
	rtls_verdict_free(v);
}

static int make_pki(void **state)
{
	(void)state;
	pki.ark = EVP_RSA_gen(2048);
	pki.ask = EVP_RSA_gen(2048);
	pki.vcek = EVP_EC_gen("P-384");
	pki.p256 = EVP_EC_gen("P-256");
	pki.roots.amd = pki.pins;
	pki.roots.n_amd = 1;
	return pkey_sha256(pki.ark, pki.pins[0].sha256) ? 0 : -1;
}

static int free_pki(void **state)
{
	(void)state;
	EVP_PKEY_free(pki.ark);
	EVP_PKEY_free(pki.ask);
	EVP_PKEY_free(pki.vcek);
	EVP_PKEY_free(pki.p256);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_honest),
		cmocka_unit_test(test_forgeries),
		cmocka_unit_test(test_unsigned_part),
		cmocka_unit_test(test_root_is_pinned),
	};

	return cmocka_run_group_tests(tests, make_pki, free_pki);
}
