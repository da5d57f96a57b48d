/*
 * Quotes to spans; see quote.h. The length that counts is signature_data_len, not the file's:
 * quoting services pad. Inside that length everything must be used up.
 */
#include "rats/dcap/quote.h"

static const uint8_t intel_vendor[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
					  0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };

static const char *parse_header(struct span *s, struct quote *q)
{
	struct span h, vendor = { 0 };

	if (!span_take(s, QUOTE_HEADER, &q->header))
		return "shorter than its header";
	h = q->header;
	if (!span_le16(&h, &q->version) || !span_le16(&h, &q->key_type) ||
	    !span_le32(&h, &q->tee_type) || !span_skip(&h, 4) || !span_take(&h, 16, &vendor))
		return "shorter than its header";
	if (q->version < 3 || q->version > 5)
		return "version is not 3, 4 or 5";
	if (q->key_type != 2)
		return "attestation key type is not ECDSA P-256";
	if (q->tee_type != TEE_SGX && (q->tee_type != TEE_TDX || q->version == 3))
		return "TEE type is neither SGX nor TDX";
	if (!span_equal(vendor, SPAN(intel_vendor, sizeof(intel_vendor))))
		return "quoting enclave is not Intel's";
	q->is_tdx = q->tee_type == TEE_TDX;
	return NULL;
}

/* Version 5 says what its body is; before, the TEE type decides. */
static const char *parse_body(struct span *s, struct quote *q)
{
	static const uint32_t sizes[] = { 0, SGX_BODY, TD10_BODY, TD15_BODY, TD15EX_BODY };
	uint32_t size = q->is_tdx ? TD10_BODY : SGX_BODY;
	uint16_t type;

	if (q->version == 5) {
		if (!span_le16(s, &type) || !span_le32(s, &size))
			return "shorter than its body";
		if (type == 0 || type >= ARRAY_LEN(sizes) || size != sizes[type])
			return "body type and size do not belong together";
		if (q->is_tdx != (type != 1))
			return "body type is not of its TEE type";
		q->is_td15 = type >= 3;
	}
	return span_take(s, size, &q->body) ? NULL : "shorter than its body";
}

/* The certification data of the QE report: in versions 4 and 5 inside data of type 6. */
static const char *parse_qe(struct span s, struct quote *q)
{
	uint16_t auth_size;
	uint32_t cert_size;

	if (!span_take(&s, SGX_BODY, &q->qe_report) || !span_take(&s, 64, &q->qe_signature) ||
	    !span_le16(&s, &auth_size) || !span_take(&s, auth_size, &q->auth_data) ||
	    !span_le16(&s, &q->cert_type) || !span_le32(&s, &cert_size) ||
	    !span_take(&s, cert_size, &q->certs))
		return "signature data ends early";
	return s.n == 0 ? NULL : "signature data is longer than its parts";
}

static const char *parse_signature(struct span s, struct quote *q)
{
	uint16_t outer_type;
	uint32_t outer_size;

	if (!span_take(&s, 64, &q->signature) || !span_take(&s, 64, &q->key))
		return "signature data ends early";
	if (q->version == 3)
		return parse_qe(s, q);
	if (!span_le16(&s, &outer_type) || !span_le32(&s, &outer_size))
		return "signature data ends early";
	if (outer_type != CERT_QE_REPORT)
		return "certification data is not a QE report (type 6)";
	if (outer_size != s.n)
		return "signature data is longer than its parts";
	return parse_qe(s, q);
}

const char *quote_parse(struct span in, struct quote *out)
{
	struct span s = in, signature;
	struct quote q = { 0 };
	const char *wrong;
	uint32_t n;

	wrong = parse_header(&s, &q);
	if (!wrong)
		wrong = parse_body(&s, &q);
	if (wrong)
		return wrong;
	q.signed_part = SPAN(in.p, in.n - s.n);
	if (!span_le32(&s, &n) || !span_take(&s, n, &signature))
		return "shorter than its signature data";
	q.n_trailing = s.n;
	wrong = parse_signature(signature, &q);
	if (!wrong)
		*out = q;
	return wrong;
}

bool quote_looks_like(struct span in, uint32_t tee_type)
{
	uint16_t version, key_type;
	uint32_t tee;

	/* Versions that nobody has seen yet are still quotes: quote_parse() says what it can read.
	 */
	return span_le16(&in, &version) && span_le16(&in, &key_type) && span_le32(&in, &tee) &&
	       version >= 1 && version < 16 && key_type >= 1 && key_type < 16 && tee == tee_type &&
	       in.n >= QUOTE_HEADER - 8 + SGX_BODY;
}

struct field {
	const char *name;
	uint16_t at, n; /* n <= 2 and 4 for MISCSELECT: a number */
	bool is_number;
};

static const struct field sgx_fields[] = {
	{ "cpusvn", 0, 16, false },	   { "miscselect", 16, 4, true },
	{ "isvextprodid", 32, 16, false }, { "attributes", 48, 16, false },
	{ "mrenclave", 64, 32, false },	   { "mrsigner", 128, 32, false },
	{ "configid", 192, 64, false },	   { "isvprodid", 256, 2, true },
	{ "isvsvn", 258, 2, true },	   { "configsvn", 260, 2, true },
	{ "isvfamilyid", 304, 16, false }, { "report_data", 320, 64, false },
};

static const struct field td_fields[] = {
	{ "tee_tcb_svn", 0, 16, false },   { "mrseam", 16, 48, false },
	{ "mrsignerseam", 64, 48, false }, { "seamattr", 112, 8, false },
	{ "tdattr", 120, 8, false },	   { "xfam", 128, 8, false },
	{ "mrtd", 136, 48, false },	   { "mrconfigid", 184, 48, false },
	{ "mrowner", 232, 48, false },	   { "mrownerconfig", 280, 48, false },
	{ "rtmr0", 328, 48, false },	   { "rtmr1", 376, 48, false },
	{ "rtmr2", 424, 48, false },	   { "rtmr3", 472, 48, false },
	{ "report_data", 520, 64, false }, { "tee_tcb_svn2", 584, 16, false },
	{ "mrservicetd", 600, 48, false },
};

static void add_fields(struct claims *c, struct span body, const struct field *f, size_t n)
{
	for (size_t i = 0; i < n; i++, f++) {
		const uint8_t *p = body.p + f->at;

		if (f->at + f->n > body.n)
			continue; /* a field of version 1.5 */
		if (!f->is_number)
			claims_add_bytes(c, f->name, SPAN(p, f->n));
		else
			claims_add_uint(c, f->name,
					get_le16(p) |
						(f->n == 4 ? (uint64_t)get_le16(p + 2) << 16 : 0));
	}
}

void quote_claims(const struct quote *q, struct claims *c)
{
	enum { SGX_DEBUG = 1 << 1, TD_MIGRATABLE = 1 << 5 /* bit 29 */ };
	const uint8_t *attributes = q->body.p + (q->is_tdx ? 120 : 48);

	claims_add_uint(c, "quote_version", q->version);
	if (q->is_tdx) {
		add_fields(c, q->body, td_fields, ARRAY_LEN(td_fields));
		/* Intel TDX module ABI: any of bits 7:0 (TUD) set means the TD is not to be
		 * trusted. */
		claims_add_bool(c, "debug", attributes[0] != 0);
		claims_add_bool(c, "migratable", attributes[3] & TD_MIGRATABLE);
	} else {
		add_fields(c, q->body, sgx_fields, ARRAY_LEN(sgx_fields));
		claims_add_bool(c, "debug", attributes[0] & SGX_DEBUG);
	}
	if (q->body.n > TD15_BODY)
		claims_add_bytes(c, "td_extension",
				 SPAN(q->body.p + TD15_BODY, q->body.n - TD15_BODY));
	if (q->n_trailing > 0)
		claims_add_uint(c, "trailing_bytes", q->n_trailing);
}
