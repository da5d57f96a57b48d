/* The maker of SEV-SNP: reports of a Milan, see test/rats/snp_build.h, with the keys of pki/. */
#include "maker.h"

#include <time.h>

#include "maker_file.h"
#include "snp_build.h"

static void chip(struct snp_forgery *f)
{
	EVP_PKEY *keys[3];

	if (!snp_pki.ark) {
		maker_keys("amd.pem", keys, 3);
		snp_pki.ark = keys[0];
		snp_pki.ask = keys[1];
		snp_pki.vcek = keys[2];
	}
	snp_honest(f);
	f->from = MAKER_BORN;
	f->to = MAKER_DIES;
}

size_t maker_snp_report(const struct maker_tee *t, const uint8_t report_data[64], uint8_t *out)
{
	struct snp_forgery f;

	chip(&f);
	memcpy(f.report + 0x50, report_data, 64);
	f.report[0x30] = (uint8_t)t->vmpl;
	if (t->is_debug)
		f.report[0x0a] |= 1 << 3;
	snp_sign_report(&f);
	memcpy(out, f.report, SNP_REPORT_SIZE);
	return SNP_REPORT_SIZE;
}

size_t maker_snp_table(uint8_t *out)
{
	struct snp_forgery f;
	X509 *leaf;

	chip(&f);
	leaf = snp_certify(&f, "SEV-Milan");
	snp_put_table(&f, leaf);
	X509_free(leaf);
	memcpy(out, f.table, f.n_table);
	return f.n_table;
}

static void publish_cert(const char *dir, const char *name, X509 *x)
{
	uint8_t *der = NULL;
	int n = i2d_X509(x, &der);

	assert_true(n > 0);
	maker_write(dir, name, der, (size_t)n);
	OPENSSL_free(der);
}

void maker_amd_publish(const char *dir)
{
	struct pki_cert ark_c = { .cn = "ARK-Milan", .is_ca = true, .pss = true };
	struct pki_cert ask_c = {
		.cn = "SEV-Milan", .issuer_cn = "ARK-Milan", .serial = 7, .is_ca = true, .pss = true
	};
	struct snp_forgery f;
	uint8_t *der = NULL;
	X509 *ark, *ask;
	X509_CRL *crl;
	int n;

	chip(&f);
	ark_c.from = ask_c.from = MAKER_BORN;
	ark_c.to = ask_c.to = MAKER_DIES;
	ark_c.key = ask_c.issuer_key = snp_pki.ark;
	ask_c.key = snp_pki.ask;
	ark = pki_make(&ark_c);
	ask = pki_make(&ask_c);
	crl = pki_make_crl_at(ark, snp_pki.ark, true, -1, time(NULL));
	n = i2d_X509_CRL(crl, &der);
	assert_true(n > 0);
	publish_cert(dir, "amd-ark.crt", ark);
	publish_cert(dir, "amd-ask.crt", ask);
	maker_write(dir, "amd.crl", der, (size_t)n);
	OPENSSL_free(der);
	X509_CRL_free(crl);
	X509_free(ark);
	X509_free(ask);
}
