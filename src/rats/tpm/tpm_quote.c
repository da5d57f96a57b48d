/*
 * The quote: the signature of the AK over the TPMS_ATTEST, and the digest in it over the values of
 * the PCRs, concatenated bank by bank in the order of the selection (TPM 2.0 Part 3, TPM2_Quote).
 * That digest is made with the hash of the signature's scheme, not of the bank.
 *
 * SHA-1: refused in signatures. A SHA-1 bank takes part in the digest as it must, but no claims are
 * made of its values, because different software can have the same.
 */
#include "rats/tpm/tpm_quote.h"

#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <stdio.h>

enum { RSA_BITS_MIN = 2048, EC_BITS_MIN = 256 };

static size_t pcrs_size(const struct tpm_quote *q)
{
	size_t n = 0;

	for (size_t i = 0; i < q->n_banks; i++)
		n += (size_t)__builtin_popcount(q->banks[i].pcrs) * tpm_hash_size(q->banks[i].hash);
	return n;
}

/* "pcr7" for SHA-256, which nearly everybody pins; "pcr_sha384_7" for the others. */
static void claim_pcr(struct claims *c, uint16_t hash, unsigned index, struct span value)
{
	char name[32];

	if (hash == TPM_ALG_SHA256)
		snprintf(name, sizeof(name), "pcr%u", index);
	else
		snprintf(name, sizeof(name), "pcr_sha%zu_%u", 8 * value.n, index);
	claims_add_bytes(c, name, value);
}

static void claim_pcrs(struct claims *c, const struct tpm_quote *q, struct span pcrs)
{
	struct span value;

	for (size_t i = 0; i < q->n_banks; i++) {
		const struct tpm_bank *b = &q->banks[i];

		for (unsigned n = 0; n < TPM_PCRS_MAX; n++) {
			if (!(b->pcrs >> n & 1))
				continue;
			if (!span_take(&pcrs, tpm_hash_size(b->hash), &value))
				return;
			if (b->hash != TPM_ALG_SHA1)
				claim_pcr(c, b->hash, n, value);
		}
	}
}

static void claim_quote(struct claims *c, const struct tpm_quote *q)
{
	uint8_t report_data[REPORT_DATA_SIZE] = { 0 };

	memcpy(report_data, q->extra_data.p, q->extra_data.n); /* bounded by TPM_NONCE_MAX */
	claims_add_bytes(c, "report_data", SPAN(report_data, sizeof(report_data)));
	claims_add_bytes(c, "extra_data", q->extra_data);
	claims_add_bytes(c, "qualified_signer", q->qualified_signer);
	claims_add_uint(c, "firmware_version", q->firmware_version);
	claims_add_uint(c, "clock", q->clock_ms);
	claims_add_uint(c, "reset_count", q->reset_count);
	claims_add_uint(c, "restart_count", q->restart_count);
	claims_add_bool(c, "clock_safe", q->clock_safe);
	claims_add_bytes(c, "pcr_digest", q->pcr_digest);
}

bool tpm_quote_decode(const struct tpm_evidence *e, struct tpm_quote *q, struct rtls_verdict *v)
{
	if (!verdict_check(v, RTLS_CHECK_FORMAT, tpm_quote_parse(e->quote, q), "quote",
			   "not a TPMS_ATTEST of a quote"))
		return false;
	claim_quote(v->claims, q);
	if (!verdict_check(v, RTLS_CHECK_FORMAT, e->pcrs.n == pcrs_size(q), "PCR values",
			   "expected %zu bytes, found %zu", pcrs_size(q), e->pcrs.n))
		return false;
	claim_pcrs(v->claims, q, e->pcrs);
	return true;
}

/* A signature without its TPMT_SIGNATURE, as Azure's agents hand it out. */
static bool get_sig(const struct tpm_evidence *e, EVP_PKEY *ak, struct tpm_sig *out)
{
	if (tpm_sig_parse(e->signature, out))
		return true;
	if (!EVP_PKEY_is_a(ak, "RSA") || e->signature.n != (size_t)EVP_PKEY_get_size(ak))
		return false;
	*out = (struct tpm_sig){ TPM_ALG_RSASSA, TPM_ALG_SHA256, .rsa = e->signature };
	return true;
}

static bool verify_rsa(EVP_PKEY *key, const EVP_MD *md, struct span msg, const struct tpm_sig *sig)
{
	bool pss = sig->scheme == TPM_ALG_RSAPSS;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *pctx = NULL; /* ctx's */
	bool ok = ctx && EVP_DigestVerifyInit(ctx, &pctx, md, NULL, key) == 1 &&
		  EVP_PKEY_CTX_set_rsa_padding(pctx, pss ? RSA_PKCS1_PSS_PADDING
							 : RSA_PKCS1_PADDING) == 1;

	/* TPMs differ in the length of the salt: Part 1, B.7. */
	if (ok && pss)
		ok = EVP_PKEY_CTX_set_rsa_pss_saltlen(pctx, RSA_PSS_SALTLEN_AUTO) == 1;
	if (ok)
		ok = EVP_DigestVerify(ctx, sig->rsa.p, sig->rsa.n, msg.p, msg.n) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static bool verify_sig(EVP_PKEY *key, struct span msg, const struct tpm_sig *sig)
{
	const EVP_MD *md = EVP_get_digestbyname(tpm_hash_name(sig->hash));

	if (!md)
		return false;
	if (sig->scheme == TPM_ALG_ECDSA)
		return EVP_PKEY_is_a(key, "EC") && ecdsa_verify_raw(key, md, msg, sig->r, sig->s);
	return EVP_PKEY_is_a(key, "RSA") && verify_rsa(key, md, msg, sig);
}

static bool check_strength(EVP_PKEY *ak, const struct tpm_sig *sig, struct rtls_verdict *v)
{
	int min = EVP_PKEY_is_a(ak, "EC") ? EC_BITS_MIN : RSA_BITS_MIN;

	return verdict_check(v, RTLS_CHECK_SIGNATURE,
			     sig->hash != TPM_ALG_SHA1 && EVP_PKEY_get_bits(ak) >= min,
			     "strength of the AK", "%s with %d bits", tpm_hash_name(sig->hash),
			     EVP_PKEY_get_bits(ak));
}

bool tpm_quote_verify(const struct tpm_evidence *e, const struct tpm_quote *q, EVP_PKEY *ak,
		      struct rtls_verdict *v)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	struct tpm_sig sig;
	unsigned n = 0;

	if (!verdict_check(v, RTLS_CHECK_FORMAT, get_sig(e, ak, &sig), "quote signature",
			   "not a TPMT_SIGNATURE") ||
	    !check_strength(ak, &sig, v) ||
	    !verdict_check(v, RTLS_CHECK_SIGNATURE, verify_sig(ak, q->raw, &sig), "quote signature",
			   "does not verify under the AK"))
		return false;
	if (EVP_Digest(e->pcrs.p, e->pcrs.n, digest, &n,
		       EVP_get_digestbyname(tpm_hash_name(sig.hash)), NULL) != 1)
		n = 0;
	return verdict_check_equal(v, RTLS_CHECK_BINDING, "digest of the PCR values",
				   SPAN(digest, n), q->pcr_digest);
}
