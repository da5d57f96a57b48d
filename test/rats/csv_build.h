/*
 * A builder of CSV reports in both versions and of the certificates behind them, honest or with
 * anything changed: for the forgeries, and for what stands in for the device.
 */
#ifndef ENG_TEST_RATS_CSV_BUILD_H
#define ENG_TEST_RATS_CSV_BUILD_H

#include "tee_pki.h"

#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "rats/csv/csv_report.h"

#define CSV_TEST_UID "TEST-UID"

static EVP_PKEY *csv_keys[4];
enum { CSV_KEY_HRK, CSV_KEY_HSK, CSV_KEY_CEK, CSV_KEY_PEK };

/* Everything that a forgery may change. */
struct csv_forgery {
	unsigned version;
	int hsk_by, cek_by, pek_by, report_by, hrk_by;
	const char *hrk_uid, *report_uid;
	uint32_t pek_usage, cek_usage, hsk_usage, pek_sig_usage, cek_sig_usage, sig_usage, sig_algo;
	uint32_t curve;
	const uint8_t *report_data, *mnonce; /* 64 and 16 bytes; NULL: some */
	bool no_certs, no_hsk, no_hrk, other_root, flip_mac, flip_sn, flip_policy, add_byte;
};

static inline void csv_honest(struct csv_forgery *f)
{
	*f = (struct csv_forgery){ .version = 1,
				   .hrk_by = CSV_KEY_HRK,
				   .hsk_by = CSV_KEY_HRK,
				   .cek_by = CSV_KEY_HSK,
				   .pek_by = CSV_KEY_CEK,
				   .report_by = CSV_KEY_PEK,
				   .hrk_uid = CSV_TEST_UID,
				   .report_uid = CSV_TEST_UID,
				   .hsk_usage = CSV_USAGE_HSK,
				   .cek_usage = CSV_USAGE_CEK,
				   .pek_usage = CSV_USAGE_PEK,
				   .cek_sig_usage = CSV_USAGE_HSK,
				   .pek_sig_usage = CSV_USAGE_CEK,
				   .sig_usage = CSV_USAGE_PEK,
				   .sig_algo = 4,
				   .curve = 3 };
}

static inline void csv_honest_v2(struct csv_forgery *f)
{
	csv_honest(f);
	f->version = 2;
}

static inline void csv_put_le32(uint8_t *p, uint32_t v)
{
	for (size_t i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> 8 * i);
}

static inline void csv_put_reversed(uint8_t *to, const uint8_t *from)
{
	for (size_t i = 0; i < CSV_INT_USED; i++)
		to[i] = from[CSV_INT_USED - 1 - i];
}

/* curve, x, y, uid. */
static inline void csv_put_key(uint8_t *p, EVP_PKEY *key, uint32_t curve, const char *uid)
{
	uint8_t point[65];
	size_t n;

	assert_int_equal(EVP_PKEY_get_octet_string_param(key, "pub", point, 65, &n), 1);
	csv_put_le32(p, curve);
	csv_put_reversed(p + 4, point + 1);
	csv_put_reversed(p + 76, point + 33);
	p[148] = (uint8_t)strlen(uid);
	memcpy(p + 150, uid, strlen(uid));
}

static inline void csv_put_sig(uint8_t *to, EVP_PKEY *key, const char *uid, const uint8_t *msg,
			       size_t n)
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
	csv_put_reversed(to, r);
	csv_put_reversed(to + 72, s);
	ECDSA_SIG_free(sig);
	EVP_MD_CTX_free(ctx);
}

static inline void csv_make_ca(uint8_t out[CSV_CA_SIZE], int key, int by, uint32_t usage,
			       const char *uid)
{
	memset(out, 0, CSV_CA_SIZE);
	out[0] = 1;
	csv_put_le32(out + 36, usage);
	csv_put_key(out + 64, csv_keys[key], 3, uid);
	csv_put_sig(out + 576, csv_keys[by], CSV_TEST_UID, out, 576);
}

static inline void csv_make_cert(uint8_t out[CSV_CERT_SIZE], int key, int by, uint32_t usage,
				 uint32_t sig_usage, uint32_t curve)
{
	memset(out, 0, CSV_CERT_SIZE);
	out[0] = 2;
	csv_put_le32(out + 8, usage);
	csv_put_le32(out + 12, 4);
	csv_put_key(out + 16, csv_keys[key], curve, CSV_TEST_UID);
	csv_put_le32(out + 1044, sig_usage);
	csv_put_le32(out + 1048, 4);
	csv_put_sig(out + 1052, csv_keys[by], CSV_TEST_UID, out, 1044);
	csv_put_le32(out + 1564, CSV_USAGE_NONE);
}

static inline void csv_mask(uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		p[i] ^= (uint8_t)(0x9b + i % 4);
}

/* The report without its head; returns its size. */
static inline size_t csv_make_report(const struct csv_forgery *f, uint8_t *p)
{
	size_t info = f->version == 1 ? 0x150 : 0x490, sig_at = f->version == 1 ? 0xc0 : 0x400;
	uint8_t *pek = p + info, *sn = pek + CSV_CERT_SIZE, *mac = sn + CSV_SN_SIZE + 32;
	static const uint8_t some[16] = "NNNNNNNNNNNNNNN";
	unsigned n;

	memset(p, 0, CSV_REPORT_V2_SIZE);
	memset(p + 0x40, 0xda, 64);
	if (f->report_data)
		memcpy(p + 0x40, f->report_data, 64);
	memcpy(p + 0x80, f->mnonce ? f->mnonce : some, 16);
	memset(p + 0x90, 0x3e, 32);
	p[0xb0] = 1;
	csv_put_le32(p + 0xb4, f->sig_usage);
	csv_put_le32(p + 0xb8, f->sig_algo);
	csv_make_cert(pek, CSV_KEY_PEK, f->pek_by, f->pek_usage, f->pek_sig_usage, f->curve);
	memcpy(sn, "SN-1", 4);
	if (f->version == 1) {
		csv_mask(p, 0xbc);
		csv_mask(pek, CSV_CERT_SIZE);
		csv_mask(sn, CSV_SN_SIZE);
		memcpy(p + 0xbc, "\x9b\x9c\x9d\x9e", 4);
	} else {
		p[0xbc] = 77;
		p[0xc0] = 1;
		memset(p + 0xd0, 0x71, 5 * 32);
	}
	csv_put_sig(p + sig_at, csv_keys[f->report_by], f->report_uid, p,
		    f->version == 1 ? 0xb4 : 0x400);
	p[0xb0] ^= f->flip_policy;
	HMAC(EVP_sm3(), f->mnonce ? f->mnonce : some, 16, pek, CSV_CERT_SIZE + CSV_SN_SIZE + 32,
	     mac, &n);
	mac[0] ^= f->flip_mac;
	sn[0] ^= f->flip_sn;
	return (size_t)(mac + 32 - p);
}

#endif
