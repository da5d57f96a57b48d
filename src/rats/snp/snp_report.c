/*
 * The parser of SNP reports. Fields are read in the order of AMD's table, by a cursor; offsets
 * stand in comments to be compared with the table. Fields that AMD reserves are skipped, not
 * compared with zero: they are signed, newer firmware fills them, and no decision here rests on
 * them. What the signature does not cover must be zero, so that one report has one encoding.
 */
#include "rats/snp/snp_report.h"

static bool all_zero(struct span s)
{
	uint8_t any = 0;

	for (size_t i = 0; i < s.n; i++)
		any |= s.p[i];
	return any == 0;
}

static bool take_flags(struct span *s, struct snp_report *r)
{
	if (!span_le32(s, &r->key_flags)) /* 0x48 */
		return false;
	r->author_key_en = r->key_flags & 1;
	r->mask_chip_key = r->key_flags >> 1 & 1;
	r->signing_key = r->key_flags >> 2 & 7;
	return true;
}

static bool take_cpuid(struct span *s, struct snp_report *r)
{
	uint8_t *const cpuid[] = { &r->cpuid_family, &r->cpuid_model, &r->cpuid_stepping };

	for (size_t i = 0; i < ARRAY_LEN(cpuid); i++) { /* 0x188 */
		if (!span_u8(s, cpuid[i]))
			return false;
		if (r->version < 3)
			*cpuid[i] = 0;
	}
	return span_skip(s, 21);
}

static bool take_versions(struct span *s, struct snp_report *r)
{
	return span_u8(s, &r->current_build) && span_u8(s, &r->current_minor) && /* 0x1e8 */
	       span_u8(s, &r->current_major) && span_skip(s, 1) &&
	       span_u8(s, &r->committed_build) && span_u8(s, &r->committed_minor) && /* 0x1ec */
	       span_u8(s, &r->committed_major) && span_skip(s, 1);
}

static bool take_mitigations(struct span *s, struct snp_report *r)
{
	if (!span_le64(s, &r->launch_mit_vector) || /* 0x1f8 */
	    !span_le64(s, &r->current_mit_vector))
		return false;
	if (r->version < 5)
		r->launch_mit_vector = r->current_mit_vector = 0;
	return span_skip(s, SNP_REPORT_SIGNED - 0x208);
}

static bool take_sig_int(struct span *s, struct span *out)
{
	struct span rest;

	return span_take(s, SNP_SIG_INT_USED, out) &&
	       span_take(s, SNP_SIG_INT_SIZE - SNP_SIG_INT_USED, &rest) && all_zero(rest);
}

bool snp_report_parse(struct span bytes, struct snp_report *out)
{
	struct snp_report r = { .raw = bytes };
	struct span s = bytes, signed_part = bytes;

	if (bytes.n != SNP_REPORT_SIZE ||
	    !span_take(&signed_part, SNP_REPORT_SIGNED, &r.signed_part))
		return false;
	if (!span_le32(&s, &r.version) || (r.version != 2 && r.version != 3 && r.version != 5))
		return false;
	if (!span_le32(&s, &r.guest_svn) || !span_le64(&s, &r.policy) || /* 0x04, 0x08 */
	    !span_take(&s, 16, &r.family_id) || !span_take(&s, 16, &r.image_id) ||
	    !span_le32(&s, &r.vmpl) || !span_le32(&s, &r.sig_algo) || /* 0x30, 0x34 */
	    !span_take(&s, SNP_TCB_SIZE, &r.current_tcb) || !span_le64(&s, &r.platform_info) ||
	    !take_flags(&s, &r) || !span_skip(&s, 4))
		return false;
	if (!span_take(&s, 64, &r.report_data) || !span_take(&s, 48, &r.measurement) || /* 0x50 */
	    !span_take(&s, 32, &r.host_data) || !span_take(&s, 48, &r.id_key_digest) || /* 0xc0 */
	    !span_take(&s, 48, &r.author_key_digest) || !span_take(&s, 32, &r.report_id) ||
	    !span_take(&s, 32, &r.report_id_ma) ||	   /* 0x160 */
	    !span_take(&s, SNP_TCB_SIZE, &r.reported_tcb)) /* 0x180 */
		return false;
	if (!take_cpuid(&s, &r) || !span_take(&s, SNP_CHIP_ID_SIZE, &r.chip_id) || /* 0x1a0 */
	    !span_take(&s, SNP_TCB_SIZE, &r.committed_tcb) || !take_versions(&s, &r) ||
	    !span_take(&s, SNP_TCB_SIZE, &r.launch_tcb) || !take_mitigations(&s, &r))
		return false;
	if (!take_sig_int(&s, &r.sig_r) || !take_sig_int(&s, &r.sig_s) || !all_zero(s))
		return false;
	*out = r;
	return true;
}

enum snp_product snp_report_product(const struct snp_report *r)
{
	if (r->version < 3)
		return SNP_PRODUCT_UNKNOWN;
	/* Family 19h: models 0xh are Milan, 1xh Genoa, Axh its dense siblings under the same root.
	 */
	if (r->cpuid_family == 0x19 && r->cpuid_model >> 4 == 0x0)
		return SNP_PRODUCT_MILAN;
	if (r->cpuid_family == 0x19 && (r->cpuid_model >> 4 == 0x1 || r->cpuid_model >> 4 == 0xa))
		return SNP_PRODUCT_GENOA;
	if (r->cpuid_family == 0x1a && r->cpuid_model >> 4 <= 0x1)
		return SNP_PRODUCT_TURIN;
	return SNP_PRODUCT_UNKNOWN;
}

struct snp_tcb snp_tcb_decode(enum snp_product product, struct span tcb)
{
	const uint8_t *p = tcb.p;

	if (tcb.n != SNP_TCB_SIZE)
		return (struct snp_tcb){ 0 };
	if (product == SNP_PRODUCT_TURIN)
		return (struct snp_tcb){ p[0], p[1], p[2], p[3], p[7] };
	return (struct snp_tcb){ 0, p[0], p[1], p[6], p[7] };
}

bool snp_tcb_equal(const struct snp_tcb *a, const struct snp_tcb *b)
{
	return snp_tcb_at_least(a, b) && snp_tcb_at_least(b, a);
}

bool snp_tcb_at_least(const struct snp_tcb *a, const struct snp_tcb *b)
{
	return a->fmc >= b->fmc && a->bootloader >= b->bootloader && a->tee >= b->tee &&
	       a->snp >= b->snp && a->microcode >= b->microcode;
}

const char *snp_product_name(enum snp_product product)
{
	static const char *const names[SNP_N_PRODUCTS] = {
		[SNP_PRODUCT_UNKNOWN] = "unknown",
		[SNP_PRODUCT_MILAN] = "Milan",
		[SNP_PRODUCT_GENOA] = "Genoa",
		[SNP_PRODUCT_TURIN] = "Turin",
	};

	return product < SNP_N_PRODUCTS ? names[product] : names[0];
}
