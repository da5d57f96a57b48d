/*
 * Parsers for the two structures of a quote. A TPM2B is a 16-bit length and that many bytes. Only
 * quotes are taken: an attested key, time or NV index has the same header and the same key may
 * sign it, so the type is checked here and nowhere else.
 */
#include "rats/tpm/tpm_attest.h"

#define TPM_GENERATED                                                                              \
	UINT32_C(0xff544347) /* 6.2: no one but a TPM signs this with a restricted key */
#define TPM_ST_ATTEST_QUOTE 0x8018

static const struct {
	uint16_t alg;
	uint16_t size;
	const char *name;
} hashes[] = {
	{ TPM_ALG_SHA1, 20, "SHA1" },
	{ TPM_ALG_SHA256, 32, "SHA256" },
	{ TPM_ALG_SHA384, 48, "SHA384" },
	{ TPM_ALG_SHA512, 64, "SHA512" },
};

size_t tpm_hash_size(uint16_t alg)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		if (hashes[i].alg == alg)
			return hashes[i].size;
	}
	return 0;
}

const char *tpm_hash_name(uint16_t alg)
{
	for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
		if (hashes[i].alg == alg)
			return hashes[i].name;
	}
	return NULL;
}

static bool take_tpm2b(struct span *s, size_t max, struct span *out)
{
	uint16_t n;

	return span_be16(s, &n) && n <= max && span_take(s, n, out);
}

static bool take_bank(struct span *s, struct tpm_bank *out)
{
	struct span bitmap;
	uint8_t n;

	*out = (struct tpm_bank){ 0 };
	if (!span_be16(s, &out->hash) || tpm_hash_size(out->hash) == 0)
		return false;
	if (!span_u8(s, &n) || n > TPM_PCRS_MAX / 8 || !span_take(s, n, &bitmap))
		return false;
	for (size_t i = 0; i < bitmap.n; i++)
		out->pcrs |= (uint32_t)bitmap.p[i] << 8 * i;
	return true;
}

static bool take_banks(struct span *s, struct tpm_quote *q)
{
	uint32_t n;

	if (!span_be32(s, &n) || n > TPM_BANKS_MAX)
		return false;
	for (; q->n_banks < n; q->n_banks++) {
		if (!take_bank(s, &q->banks[q->n_banks]))
			return false;
	}
	return true;
}

bool tpm_quote_parse(struct span bytes, struct tpm_quote *out)
{
	struct tpm_quote q = { .raw = bytes };
	struct span s = bytes;
	uint32_t magic;
	uint16_t type;
	uint8_t safe;

	if (bytes.n > TPM_ATTEST_MAX)
		return false;
	if (!span_be32(&s, &magic) || magic != TPM_GENERATED || !span_be16(&s, &type) ||
	    type != TPM_ST_ATTEST_QUOTE)
		return false;
	if (!take_tpm2b(&s, TPM_NAME_MAX, &q.qualified_signer) ||
	    !take_tpm2b(&s, TPM_NONCE_MAX, &q.extra_data))
		return false;
	if (!span_be64(&s, &q.clock_ms) || !span_be32(&s, &q.reset_count) || /* 10.11.1 */
	    !span_be32(&s, &q.restart_count) || !span_u8(&s, &safe) || safe > 1)
		return false;
	q.clock_safe = safe == 1;
	if (!span_be64(&s, &q.firmware_version) || !take_banks(&s, &q) ||
	    !take_tpm2b(&s, TPM_DIGEST_MAX, &q.pcr_digest) || s.n != 0)
		return false;
	*out = q;
	return true;
}

bool tpm_sig_parse(struct span bytes, struct tpm_sig *out)
{
	struct tpm_sig sig = { 0 };
	struct span s = bytes;
	bool ok;

	if (!span_be16(&s, &sig.scheme) || !span_be16(&s, &sig.hash) ||
	    tpm_hash_size(sig.hash) == 0)
		return false;
	switch (sig.scheme) {
	case TPM_ALG_RSASSA:
	case TPM_ALG_RSAPSS:
		ok = take_tpm2b(&s, TPM_SIG_INT_MAX, &sig.rsa) && sig.rsa.n > 0;
		break;
	case TPM_ALG_ECDSA:
		ok = take_tpm2b(&s, TPM_SIG_INT_MAX, &sig.r) && sig.r.n > 0 &&
		     take_tpm2b(&s, TPM_SIG_INT_MAX, &sig.s) && sig.s.n > 0;
		break;
	default:
		return false;
	}
	if (!ok || s.n != 0)
		return false;
	*out = sig;
	return true;
}
