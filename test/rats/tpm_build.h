/*
 * A builder of TPM evidence and the PKI behind it, honest or with anything changed: quotes by
 * themselves, with certificates, and inside an Azure VM's evidence.
 */
#ifndef ENG_TEST_RATS_TPM_BUILD_H
#define ENG_TEST_RATS_TPM_BUILD_H

#include "snp_build.h"

#include "rats/tpm/tpm_attest.h"
#include "rats/tpm/tpm_evidence.h"
#include "rats/tpm/tpm_hcl.h"

#define AIK "2.23.133.8.3"

static struct {
	EVP_PKEY *ca, *rsa, *p256, *p384, *other, *weak;
} tpm_pki;

/* Everything that a forgery may change. */
struct tpm_forgery {
	struct snp_forgery snp;
	EVP_PKEY *ak, *spki, *cert_key, *cert_signer, *hcl_ak;
	uint16_t scheme, hash, bank, type;
	uint32_t magic;
	bool with_chain, with_hcl, raw_sig, flip_sig, trailing, sig_trailing;
	bool root_left_out, revoked, crl_strict, bad_safe, no_kid, two_kids;
	const char *eku;
	size_t n_pcrs; /* that come along, of 24 */
	bool flip_pcr, flip_runtime, hcl_kind_tdx, hcl_version_9, hcl_long, hcl_size;
	bool bad_report_tail;
	int64_t cert_to;
	const uint8_t *raw;
	size_t n_raw;
	struct span hcl; /* as it was packed last */
};

static inline void tpm_honest(struct tpm_forgery *f)
{
	*f = (struct tpm_forgery){ .ak = tpm_pki.rsa,
				   .spki = tpm_pki.rsa,
				   .cert_key = tpm_pki.rsa,
				   .cert_signer = tpm_pki.ca,
				   .hcl_ak = tpm_pki.rsa,
				   .scheme = TPM_ALG_RSASSA,
				   .hash = TPM_ALG_SHA256,
				   .bank = TPM_ALG_SHA256,
				   .type = 0x8018,
				   .magic = 0xff544347,
				   .eku = AIK,
				   .n_pcrs = 24 };
}

static inline void tpm_honest_chain(struct tpm_forgery *f)
{
	tpm_honest(f);
	f->with_chain = true;
}

static inline void tpm_honest_azure(struct tpm_forgery *f)
{
	tpm_honest(f);
	f->with_hcl = true;
	f->raw_sig = true;
}

static inline void tpm_use_key(struct tpm_forgery *f, EVP_PKEY *key, uint16_t scheme, uint16_t hash)
{
	f->ak = f->spki = f->cert_key = f->hcl_ak = key;
	f->scheme = scheme;
	f->hash = hash;
}

static inline void tpm_put_2b(struct wspan *w, const void *p, size_t n)
{
	wspan_be16(w, (uint16_t)n);
	wspan_put(w, p, n);
}

static inline size_t tpm_make_pcrs(const struct tpm_forgery *f, uint8_t *out)
{
	size_t size = tpm_hash_size(f->bank) ? tpm_hash_size(f->bank) : 32;

	for (size_t i = 0; i < 24; i++)
		memset(out + i * size, (int)i, size);
	return f->n_pcrs * size;
}

static inline size_t tpm_make_quote(const struct tpm_forgery *f, struct span pcrs, uint8_t *out,
				    size_t size)
{
	struct wspan w = WSPAN(out, size);
	uint8_t digest[64];
	unsigned n;

	EVP_Digest(pcrs.p, pcrs.n, digest, &n, EVP_get_digestbyname(tpm_hash_name(f->hash)), NULL);
	wspan_be32(&w, f->magic);
	wspan_be16(&w, f->type);
	tpm_put_2b(&w, "signer", 6);
	tpm_put_2b(&w, "nonce", 5);
	wspan_be64(&w, 1000);
	wspan_be32(&w, 2);
	wspan_be32(&w, 3);
	wspan_u8(&w, f->bad_safe ? 2 : 1);
	wspan_be64(&w, 0x1234);
	wspan_be32(&w, 1);
	wspan_be16(&w, f->bank);
	wspan_u8(&w, 3);
	wspan_put(&w, "\xff\xff\xff", 3);
	tpm_put_2b(&w, digest, n);
	if (f->trailing)
		wspan_u8(&w, 0);
	return w.n;
}

static inline size_t tpm_sign_rsa(const struct tpm_forgery *f, struct span msg, uint8_t *out)
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx;
	size_t n = 512;

	assert_int_equal(EVP_DigestSignInit(ctx, &pctx,
					    EVP_get_digestbyname(tpm_hash_name(f->hash)), NULL,
					    f->ak),
			 1);
	if (f->scheme == TPM_ALG_RSAPSS)
		EVP_PKEY_CTX_set_rsa_padding(pctx, RSA_PKCS1_PSS_PADDING);
	assert_int_equal(EVP_DigestSign(ctx, out, &n, msg.p, msg.n), 1);
	EVP_MD_CTX_free(ctx);
	return n;
}

static inline size_t tpm_make_sig(const struct tpm_forgery *f, struct span msg, uint8_t *out,
				  size_t size)
{
	struct wspan w = WSPAN(out, size);
	uint8_t r[512], s[66];
	size_t n;

	if (!f->raw_sig) {
		wspan_be16(&w, f->scheme);
		wspan_be16(&w, f->hash);
	}
	if (EVP_PKEY_is_a(f->ak, "EC")) {
		n = (size_t)EVP_PKEY_get_bits(f->ak) / 8;
		pki_ecdsa(f->ak, EVP_get_digestbyname(tpm_hash_name(f->hash)), msg, n, r, s);
		tpm_put_2b(&w, r, n);
		tpm_put_2b(&w, s, n);
	} else {
		n = tpm_sign_rsa(f, msg, r);
		if (f->raw_sig)
			wspan_put(&w, r, n);
		else
			tpm_put_2b(&w, r, n);
	}
	out[w.n - 1] ^= f->flip_sig;
	if (f->sig_trailing)
		wspan_u8(&w, 0);
	return w.n;
}

static inline struct span tpm_spki_of(EVP_PKEY *key)
{
	uint8_t *der = NULL;
	int n = key ? i2d_PUBKEY(key, &der) : 0;

	return SPAN(der, (size_t)n);
}

static inline X509 *tpm_make_ca(void)
{
	return pki_make(&(struct pki_cert){ .cn = "TPM CA", .key = tpm_pki.ca, .is_ca = true });
}

static inline struct span tpm_make_chain(const struct tpm_forgery *f)
{
	X509 *certs[2] = { pki_make(&(struct pki_cert){ .cn = "AK",
							.key = f->cert_key,
							.issuer_cn = "TPM CA",
							.serial = 9,
							.issuer_key = f->cert_signer,
							.eku = f->eku,
							.to = f->cert_to }),
			   tpm_make_ca() };
	struct span pem = pki_pem(certs, f->root_left_out ? 1 : 2);

	X509_free(certs[0]);
	X509_free(certs[1]);
	return pem;
}

static inline void tpm_put_b64url(char *out, EVP_PKEY *key, const char *param)
{
	uint8_t bytes[512];
	BIGNUM *bn = NULL;
	int n;

	assert_int_equal(EVP_PKEY_get_bn_param(key, param, &bn), 1);
	n = BN_bn2bin(bn, bytes);
	EVP_EncodeBlock((uint8_t *)out, bytes, n);
	for (char *p = out; *p; p++)
		*p = *p == '+' ? '-' : *p == '/' ? '_' : *p == '=' ? '\0' : *p;
	BN_free(bn);
}

static inline void tpm_put_le32(uint8_t *p, size_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

/* An HCL report: the SNP report in it is signed here. */
static inline size_t tpm_make_hcl(struct tpm_forgery *f, uint8_t out[TPM_HCL_MAX])
{
	char n_text[1024], e_text[64], *json = (char *)out + 1236;
	size_t n;

	memset(out, 0, TPM_HCL_MAX);
	tpm_put_b64url(n_text, f->hcl_ak, "n");
	tpm_put_b64url(e_text, f->hcl_ak, "e");
	n = (size_t)sprintf(json,
			    "{\"keys\":[{\"kid\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"},"
			    "{\"kid\":\"%s\",\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"}]}",
			    f->no_kid ? "HCLEkPub" : "HCLAkPub", n_text, e_text,
			    f->two_kids ? "HCLAkPub" : "other", n_text, e_text);
	memcpy(out, "HCLA", 4);
	tpm_put_le32(out + 4, f->hcl_version_9 ? 9 : 1);
	tpm_put_le32(out + 12, 2);
	tpm_put_le32(out + 1216, n + 20 + f->hcl_size);
	tpm_put_le32(out + 1220, 1);
	tpm_put_le32(out + 1224, f->hcl_kind_tdx ? TPM_HCL_TDX : TPM_HCL_SNP);
	tpm_put_le32(out + 1228, 1);
	tpm_put_le32(out + 1232, f->hcl_long ? 0xffffffff : n);
	memset(f->snp.report + 0x50, 0, 64);
	EVP_Digest(json, n, f->snp.report + 0x50, NULL, EVP_sha256(), NULL);
	f->snp.report[0x50 + 63] = f->bad_report_tail;
	snp_sign_report(&f->snp);
	memcpy(out + 32, f->snp.report, SNP_REPORT_SIZE);
	json[n - 1] = f->flip_runtime ? ' ' : json[n - 1];
	return 2600 > 1236 + n ? 2600 : 1236 + n;
}

static struct rtls_collateral *tpm_collect(struct tpm_forgery *f)
{
	struct rtls_collateral *bag;
	X509 *ca;

	if (f->with_hcl)
		return snp_collect(&f->snp);
	ca = tpm_make_ca();
	assert_int_equal(rtls_collateral_new(&bag), 0);
	if (f->revoked) {
		X509_CRL *crl = pki_make_crl(ca, tpm_pki.ca, false, 9);

		bag_add_crl(bag, crl);
		X509_CRL_free(crl);
	}
	assert_int_equal(rtls_collateral_seal(bag), 0);
	X509_free(ca);
	return bag;
}

static inline size_t tpm_pack(struct tpm_forgery *f, uint8_t *out, size_t size)
{
	static uint8_t pcrs[24 * 64], quote[512], sig[600], hcl[TPM_HCL_MAX];
	struct wspan w = WSPAN(out, size);
	struct tpm_evidence e = { .ak = tpm_spki_of(f->spki) };

	e.pcrs = SPAN(pcrs, tpm_make_pcrs(f, pcrs));
	e.quote = SPAN(quote, tpm_make_quote(f, e.pcrs, quote, sizeof(quote)));
	e.signature = SPAN(sig, tpm_make_sig(f, e.quote, sig, sizeof(sig)));
	pcrs[5] ^= f->flip_pcr;
	if (f->with_chain)
		e.ak_chain = tpm_make_chain(f);
	if (f->with_hcl)
		e.hcl = SPAN(hcl, tpm_make_hcl(f, hcl));
	f->hcl = e.hcl;
	tpm_evidence_write(&w, &e);
	OPENSSL_free((void *)e.ak.p);
	OPENSSL_free((void *)e.ak_chain.p);
	return w.n;
}

static inline int tpm_make_pki(void **state)
{
	tpm_pki.ca = EVP_EC_gen("P-256");
	tpm_pki.rsa = EVP_RSA_gen(2048);
	tpm_pki.other = EVP_RSA_gen(2048);
	tpm_pki.weak = EVP_RSA_gen(1024);
	tpm_pki.p256 = EVP_EC_gen("P-256");
	tpm_pki.p384 = EVP_EC_gen("P-384");
	return tpm_pki.p384 ? snp_make_pki(state) : -1;
}

static inline int tpm_free_pki(void **state)
{
	EVP_PKEY_free(tpm_pki.ca);
	EVP_PKEY_free(tpm_pki.rsa);
	EVP_PKEY_free(tpm_pki.other);
	EVP_PKEY_free(tpm_pki.weak);
	EVP_PKEY_free(tpm_pki.p256);
	EVP_PKEY_free(tpm_pki.p384);
	return snp_free_pki(state);
}

#endif
