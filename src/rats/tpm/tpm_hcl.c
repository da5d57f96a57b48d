/*
 * The parser of HCL reports: a header, room for the largest hardware report, and a length-prefixed
 * document. What follows the document is the padding of the NV index and is not looked at.
 */
#include "rats/tpm/tpm_hcl.h"

#include "rats/snp/snp_report.h"
#include "rats/tpm/tpm_attest.h"

enum {
	HCL_HEADER_REST = 20,
	HCL_HW_ROOM = 1184,
	HCL_REQUEST_REPORT = 2,
	TDREPORT_SIZE = 1024,
};

static bool hash_of(uint32_t hash_type, uint16_t *out)
{
	static const uint16_t algs[] = { 0, TPM_ALG_SHA256, TPM_ALG_SHA384, TPM_ALG_SHA512 };

	if (hash_type == 0 || hash_type >= ARRAY_LEN(algs))
		return false;
	*out = algs[hash_type];
	return true;
}

bool tpm_hcl_parse(struct span bytes, struct tpm_hcl *out)
{
	struct tpm_hcl h = { 0 };
	struct span s = bytes, magic, room;
	uint32_t version, size, request, data_size, data_version, kind, hash, n;

	if (bytes.n > TPM_HCL_MAX)
		return false;
	if (!span_take(&s, 4, &magic) || memcmp(magic.p, "HCLA", 4) != 0 ||
	    !span_le32(&s, &version) || version < 1 || version > 2 || !span_le32(&s, &size) ||
	    !span_le32(&s, &request) || request != HCL_REQUEST_REPORT || !span_skip(&s, 32 - 16))
		return false;
	if (!span_take(&s, HCL_HW_ROOM, &room) || !span_le32(&s, &data_size) ||
	    !span_le32(&s, &data_version) || data_version != 1 || !span_le32(&s, &kind) ||
	    !span_le32(&s, &hash) || !span_le32(&s, &n))
		return false;
	if (n > TPM_HCL_JSON_MAX || data_size != n + HCL_HEADER_REST || !hash_of(hash, &h.hash) ||
	    !span_take(&s, n, &h.runtime))
		return false;
	if (kind != TPM_HCL_SNP && kind != TPM_HCL_TDX)
		return false;
	h.kind = (enum tpm_hcl_kind)kind;
	if (!span_take(&room, kind == TPM_HCL_SNP ? SNP_REPORT_SIZE : TDREPORT_SIZE, &h.hw_report))
		return false;
	*out = h;
	return true;
}
