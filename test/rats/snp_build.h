/*
 * A builder of SNP reports and the PKI behind them, honest or with anything changed: for the
 * forgeries of reports, and of vTPMs that a report vouches for.
 */
#ifndef ENG_TEST_RATS_SNP_BUILD_H
#define ENG_TEST_RATS_SNP_BUILD_H

#include "tee_pki.h"

#include "rats/snp/snp_cert.h"

#define SNP_OID "1.3.6.1.4.1.3704.1."

static struct {
	EVP_PKEY *ark, *ask, *vcek, *p256;
	struct key_pin pins[2];
	struct roots roots;
} snp_pki;

/* Everything that a forgery may change. */
struct snp_forgery {
	uint8_t report[SNP_REPORT_SIZE];
	uint8_t table[2048];
	size_t n_table;
	bool vlek;
	const char *product, *leaf_cn, *ask_cn, *leaf_issuer_cn, *pinned;
	uint8_t tcb[5]; /* fmc, bootloader, tee, snp, microcode in the certificate */
	size_t hwid_n;
	bool wrap_hwid, double_svn, omit_svn, no_csp, no_leaf, no_ask, leaf_in_table;
	EVP_PKEY *leaf_key, *leaf_signer, *ask_signer, *report_key;
	int64_t now, from, to; /* from, to: of the certificate; 0: around PKI_NOW */
	bool crl_strict;
	long crl_serial; /* -2: no CRL */
	EVP_PKEY *crl_key;
	bool flip_signature;
};

static inline void snp_put_le64(uint8_t *p, uint64_t v)
{
	for (size_t i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* A Milan report of version 3, fit for the certificate that snp_certify() makes. */
static inline void snp_honest(struct snp_forgery *f)
{
	static const uint8_t tcb[8] = { 4, 0, 0, 0, 0, 0, 24, 219 };

	memset(f, 0, sizeof(*f));
	f->report[0] = 3;
	snp_put_le64(f->report + 0x08, 0x30000);
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
	f->leaf_key = f->report_key = snp_pki.vcek;
	f->leaf_signer = snp_pki.ask;
	f->ask_signer = snp_pki.ark;
	f->now = PKI_NOW;
	f->crl_serial = -2;
	f->crl_key = snp_pki.ark;
}

static inline void snp_honest_vlek(struct snp_forgery *f)
{
	snp_honest(f);
	f->vlek = true;
	f->report[0x48] = SNP_KEY_VLEK << 2;
	memset(f->report + 0x1a0, 0, 64);
}

static inline void snp_honest_turin(struct snp_forgery *f)
{
	static const uint8_t tcb[8] = { 1, 2, 3, 4, 0, 0, 0, 200 };
	const size_t at[] = { 0x38, 0x180, 0x1e0, 0x1f0 };

	snp_honest(f);
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

static inline size_t snp_der_svn(uint8_t v, uint8_t out[4])
{
	if (v < 0x80) {
		memcpy(out, (uint8_t[]){ 2, 1, v }, 3);
		return 3;
	}
	memcpy(out, (uint8_t[]){ 2, 2, 0, v }, 4);
	return 4;
}

static inline X509 *snp_certify(const struct snp_forgery *f, const char *issuer_cn)
{
	static const char *const oids[5] = { SNP_OID "3.9", SNP_OID "3.1", SNP_OID "3.2",
					     SNP_OID "3.3", SNP_OID "3.8" };
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
			      .from = f->from,
			      .to = f->to,
			      .exts = exts };

	product[1] = (uint8_t)n_product;
	memcpy(product + 2, f->product, n_product);
	exts[n++] = (struct pki_ext){ SNP_OID "2", product, n_product + 2 };
	for (size_t i = 0; i < 5; i++)
		if (!(i == 2 && f->omit_svn))
			exts[n++] = (struct pki_ext){ oids[i], svns[i],
						      snp_der_svn(f->tcb[i], svns[i]) };
	if (f->double_svn)
		exts[n++] = exts[2];
	memset(hwid + 2, 0xc1, 64);
	if (!f->vlek && f->wrap_hwid)
		exts[n++] = (struct pki_ext){ SNP_OID "4", hwid, 66 };
	else if (!f->vlek)
		exts[n++] = (struct pki_ext){ SNP_OID "4", hwid + 2, f->hwid_n };
	else if (!f->no_csp)
		exts[n++] = (struct pki_ext){ SNP_OID "5", csp, 6 };
	c.n_exts = n;
	return pki_make(&c);
}

static inline void snp_sign_report(struct snp_forgery *f)
{
	uint8_t r[48], s[48];

	pki_ecdsa(f->report_key, EVP_sha384(), SPAN(f->report, SNP_REPORT_SIGNED), 48, r, s);
	for (size_t i = 0; i < 48; i++) {
		f->report[0x2a0 + i] = r[47 - i];
		f->report[0x2a0 + 72 + i] = s[47 - i];
	}
	f->report[0x2a0] ^= f->flip_signature;
}

/* A certificate table with one entry: the report's own certificate. */
static inline void snp_put_table(struct snp_forgery *f, X509 *leaf)
{
	static const uint8_t vcek[16] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
					  0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };
	uint8_t *p = f->table + 48;
	int n = i2d_X509(leaf, &p);

	memcpy(f->table, vcek, 16);
	f->table[16] = 48;
	f->table[20] = (uint8_t)n;
	f->table[21] = (uint8_t)(n >> 8);
	f->n_table = 48 + (size_t)n;
}

static inline struct rtls_collateral *snp_collect(struct snp_forgery *f)
{
	struct pki_cert ark_c = { .cn = "ARK-X", .key = snp_pki.ark, .is_ca = true, .pss = true };
	struct pki_cert ask_c = { .key = snp_pki.ask,
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
	leaf = snp_certify(f, f->leaf_issuer_cn ? f->leaf_issuer_cn : ask_c.cn);
	assert_int_equal(rtls_collateral_new(&bag), 0);
	bag_add_cert(bag, ark);
	if (f->leaf_in_table)
		snp_put_table(f, leaf);
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

static inline int snp_make_pki(void **state)
{
	(void)state;
	snp_pki.ark = EVP_RSA_gen(2048);
	snp_pki.ask = EVP_RSA_gen(2048);
	snp_pki.vcek = EVP_EC_gen("P-384");
	snp_pki.p256 = EVP_EC_gen("P-256");
	snp_pki.roots.amd = snp_pki.pins;
	snp_pki.roots.n_amd = 1;
	return pkey_sha256(snp_pki.ark, snp_pki.pins[0].sha256) ? 0 : -1;
}

static inline int snp_free_pki(void **state)
{
	(void)state;
	EVP_PKEY_free(snp_pki.ark);
	EVP_PKEY_free(snp_pki.ask);
	EVP_PKEY_free(snp_pki.vcek);
	EVP_PKEY_free(snp_pki.p256);
	return 0;
}

#endif
