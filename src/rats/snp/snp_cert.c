/*
 * Two parsers of what accompanies a report. The extensions are decoded by hand: the values are
 * INTEGERs of one unsigned byte (0x80 and above take two in DER), an IA5String, and for the HWID
 * raw bytes that AMD does not wrap in an OCTET STRING; a wrapped one is refused, as it does not
 * occur in what AMD issues. Whether AMD issued the certificate is snp_chain.c's question.
 */
#include "rats/snp/snp_cert.h"

#include <openssl/objects.h>

#define AMD_OID "1.3.6.1.4.1.3704.1."

/* The value of exactly one extension with this OID. */
static bool find_ext(X509 *x, const char *oid, struct span *out)
{
	ASN1_OBJECT *obj = OBJ_txt2obj(oid, 1);
	const ASN1_OCTET_STRING *v;
	int at, again;

	if (!obj)
		return false;
	at = X509_get_ext_by_OBJ(x, obj, -1);
	again = at < 0 ? -1 : X509_get_ext_by_OBJ(x, obj, at);
	ASN1_OBJECT_free(obj);
	if (at < 0 || again >= 0)
		return false;
	v = X509_EXTENSION_get_data(X509_get_ext(x, at));
	*out = SPAN(ASN1_STRING_get0_data(v), (size_t)ASN1_STRING_length(v));
	return true;
}

/* DER with a definite length below 128 that fills the span. */
static bool take_der(struct span s, uint8_t want_tag, struct span *out)
{
	uint8_t tag, len;

	return span_u8(&s, &tag) && tag == want_tag && span_u8(&s, &len) && len < 0x80 &&
	       span_take(&s, len, out) && s.n == 0;
}

static bool get_svn(X509 *x, const char *oid, uint8_t *out)
{
	struct span ext, v;

	if (!find_ext(x, oid, &ext) || !take_der(ext, V_ASN1_INTEGER, &v))
		return false;
	if (v.n == 2 && v.p[0] == 0 && v.p[1] >= 0x80)
		*out = v.p[1];
	else if (v.n == 1 && v.p[0] < 0x80)
		*out = v.p[0];
	else
		return false;
	return true;
}

static bool get_text(X509 *x, const char *oid, struct span *out)
{
	struct span ext;

	if (!find_ext(x, oid, &ext) || !take_der(ext, V_ASN1_IA5STRING, out))
		return false;
	for (size_t i = 0; i < out->n; i++) {
		if (out->p[i] < 0x20 || out->p[i] > 0x7e)
			return false;
	}
	return true;
}

/* "Milan", or with a stepping "Milan-B0". */
static enum snp_product product_of(struct span name)
{
	for (int p = SNP_PRODUCT_MILAN; p < SNP_N_PRODUCTS; p++) {
		const char *known = snp_product_name((enum snp_product)p);
		size_t n = strlen(known);

		if (name.n >= n && memcmp(name.p, known, n) == 0 &&
		    (name.n == n || name.p[n] == '-'))
			return (enum snp_product)p;
	}
	return SNP_PRODUCT_UNKNOWN;
}

static bool get_tcb(X509 *x, enum snp_product product, struct snp_tcb *out)
{
	return get_svn(x, AMD_OID "3.1", &out->bootloader) &&
	       get_svn(x, AMD_OID "3.2", &out->tee) && get_svn(x, AMD_OID "3.3", &out->snp) &&
	       get_svn(x, AMD_OID "3.8", &out->microcode) &&
	       (product != SNP_PRODUCT_TURIN || get_svn(x, AMD_OID "3.9", &out->fmc));
}

bool snp_cert_has_cn(X509 *x, const char *cn)
{
	char got[64];
	X509_NAME *name = X509_get_subject_name(x);
	int n = X509_NAME_get_text_by_NID(name, NID_commonName, got, sizeof(got));

	return n > 0 && (size_t)n == strlen(cn) && memcmp(got, cn, (size_t)n) == 0;
}

static bool get_hwid(X509 *x, struct snp_cert *c)
{
	struct span v;

	if (!find_ext(x, AMD_OID "4", &v) || v.n != (c->product == SNP_PRODUCT_TURIN ? 8 : 64))
		return false;
	memcpy(c->hwid, v.p, v.n);
	c->hwid_len = v.n;
	return true;
}

static bool get_csp_id(X509 *x, struct snp_cert *c)
{
	struct span v;

	if (!get_text(x, AMD_OID "5", &v) || v.n == 0 || v.n > SNP_CSP_ID_MAX)
		return false;
	memcpy(c->csp_id, v.p, v.n);
	return true;
}

bool snp_cert_parse(X509 *x, struct snp_cert *out, const char **out_why)
{
	struct snp_cert c = { .kind = SNP_KEY_NONE };
	struct span name;

	if (snp_cert_has_cn(x, "SEV-VCEK"))
		c.kind = SNP_KEY_VCEK;
	else if (snp_cert_has_cn(x, "SEV-VLEK"))
		c.kind = SNP_KEY_VLEK;
	*out_why = "subject is neither SEV-VCEK nor SEV-VLEK";
	if (c.kind == SNP_KEY_NONE)
		return false;
	*out_why = "product name extension";
	if (!get_text(x, AMD_OID "2", &name))
		return false;
	c.product = product_of(name);
	if (c.product == SNP_PRODUCT_UNKNOWN)
		return false;
	*out_why = "TCB extensions";
	if (!get_tcb(x, c.product, &c.tcb))
		return false;
	*out_why = "HWID extension";
	if (c.kind == SNP_KEY_VCEK && !get_hwid(x, &c))
		return false;
	*out_why = "CSP-ID extension";
	if (c.kind == SNP_KEY_VLEK && !get_csp_id(x, &c))
		return false;
	*out = c;
	*out_why = NULL;
	return true;
}

/* GUIDs of GHCB 56421, 4.1.8.1, as their bytes stand in the table. */
static const uint8_t guid_vcek[16] = { 0x63, 0xda, 0x75, 0x8d, 0xe6, 0x64, 0x45, 0x64,
				       0xad, 0xc5, 0xf4, 0xb9, 0x3b, 0xe8, 0xac, 0xcd };
static const uint8_t guid_vlek[16] = { 0xa8, 0x07, 0x4b, 0xc2, 0xa2, 0x5a, 0x48, 0x3e,
				       0xaa, 0xe6, 0x39, 0xc0, 0x45, 0xa0, 0xb8, 0xa1 };
static const uint8_t guid_ask[16] = { 0x4a, 0xb7, 0xb3, 0x79, 0xbb, 0xac, 0x4f, 0xe4,
				      0xa0, 0x2f, 0x05, 0xae, 0xf3, 0x27, 0xc7, 0x82 };
static const uint8_t guid_ark[16] = { 0xc0, 0xb4, 0x06, 0xa4, 0xa8, 0x03, 0x49, 0x52,
				      0x97, 0x43, 0x3f, 0xb6, 0x01, 0x4c, 0xd0, 0xae };

static const uint8_t guid_crl[16] = { 0x92, 0xf8, 0x1b, 0xc3, 0x58, 0x11, 0x4d, 0x3d,
				      0x97, 0xff, 0xd1, 0x9f, 0x88, 0xdc, 0x67, 0xea };

bool snp_table_parse(struct span bytes, struct snp_table *out)
{
	static const uint8_t end[16];
	struct snp_table t = { 0 };
	const struct {
		const uint8_t *guid;
		struct span *to;
	} known[] = { { guid_vcek, &t.vcek },
		      { guid_vlek, &t.vlek },
		      { guid_ask, &t.ask },
		      { guid_ark, &t.ark },
		      { guid_crl, &t.crl } };
	struct span s = bytes;

	if (bytes.n > SNP_TABLE_MAX)
		return false;
	for (size_t n = 0; n <= SNP_TABLE_ENTRIES_MAX; n++) {
		struct span guid, data = bytes, cert;
		uint32_t offset, length;

		if (!span_take(&s, 16, &guid) || !span_le32(&s, &offset) || !span_le32(&s, &length))
			return false;
		if (memcmp(guid.p, end, sizeof(end)) == 0) {
			*out = t;
			return true;
		}
		if (!span_skip(&data, offset) || !span_take(&data, length, &cert))
			return false;
		for (size_t i = 0; i < ARRAY_LEN(known); i++) {
			if (memcmp(guid.p, known[i].guid, 16) != 0)
				continue;
			if (known[i].to->n > 0)
				return false; /* twice */
			*known[i].to = cert;
		}
	}
	return false;
}
