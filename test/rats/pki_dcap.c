/* A DCAP platform that does not exist; see pki_dcap.h. */
#include "pki_dcap.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rats/text.h"

enum { DAY = 86400, TD_SVN_MODULE = 5, TD_SVN_SEAM = 3 };

static const uint8_t sgx_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

static void set_certs(struct dcap *d)
{
	const int64_t from = DCAP_NOW - 365 * DAY, to = DCAP_NOW + 365 * DAY;

	d->root = (struct pki_cert){ .cn = "Intel SGX Root CA",
				     .issuer_cn = "Intel SGX Root CA",
				     .key = PKI_ROOT,
				     .signer = PKI_ROOT,
				     .serial = 1,
				     .from = from,
				     .to = to,
				     .is_ca = true,
				     .pathlen = 1 };
	d->ca = (struct pki_cert){ .cn = "Intel SGX PCK Platform CA",
				   .issuer_cn = "Intel SGX Root CA",
				   .key = PKI_CA,
				   .signer = PKI_ROOT,
				   .serial = 2,
				   .from = from,
				   .to = to,
				   .is_ca = true,
				   .pathlen = 0 };
	d->pck = (struct pki_cert){ .cn = "Intel SGX PCK Certificate",
				    .issuer_cn = "Intel SGX PCK Platform CA",
				    .key = PKI_PCK,
				    .signer = PKI_CA,
				    .serial = 3,
				    .from = from,
				    .to = to };
	d->tcb_signer = (struct pki_cert){ .cn = "Intel SGX TCB Signing",
					   .issuer_cn = "Intel SGX Root CA",
					   .key = PKI_TCB,
					   .signer = PKI_ROOT,
					   .serial = 4,
					   .from = from,
					   .to = to };
	d->root_crl = (struct pki_crl){ .issuer_cn = "Intel SGX Root CA",
					.signer = PKI_ROOT,
					.from = DCAP_NOW - 10 * DAY,
					.to = DCAP_NOW + 20 * DAY };
	d->pck_crl = (struct pki_crl){ .issuer_cn = "Intel SGX PCK Platform CA",
				       .signer = PKI_CA,
				       .from = DCAP_NOW - 10 * DAY,
				       .to = DCAP_NOW + 20 * DAY };
}

static void set_qe_report(struct dcap *d)
{
	memset(d->qe_report + 48, 0, 16);
	d->qe_report[48] = 0x15; /* INIT, MODE64, PROVISION */
	memset(d->qe_report + 128, 0x8c, 32);
	put_le16(d->qe_report + 256, d->tee_type == TEE_TDX ? 2 : 1);
	put_le16(d->qe_report + 258, 8);
}

void dcap_init(struct dcap *d)
{
	static const uint8_t vendor[16] = { 0x93, 0x9a, 0x72, 0x33, 0xf7, 0x9c, 0x4c, 0xa9,
					    0x94, 0x0a, 0x0d, 0xb3, 0x95, 0x7f, 0x06, 0x07 };

	*d = (struct dcap){ .version = 3,
			    .key_type = 2,
			    .cert_type = CERT_PCK_CHAIN,
			    .outer_type = CERT_QE_REPORT,
			    .qe_signer = PKI_PCK,
			    .quote_signer = PKI_ATT,
			    .att_key = PKI_ATT,
			    .tcb_key = PKI_TCB,
			    .qe_key = PKI_TCB,
			    .pcesvn = 13,
			    .fmspc = { 0, 0x60, 0x6a } };
	pki_init(&d->pki);
	d->pin = pki_pin(&d->pki);
	d->roots = (struct roots){ .intel = &d->pin, .n_intel = 1 };
	memcpy(d->vendor, vendor, sizeof(vendor));
	memset(d->components, 7, sizeof(d->components));
	for (uint8_t i = 0; i < sizeof(d->auth); i++)
		d->auth[i] = i;
	d->tcb_from = d->qe_from = DCAP_NOW - 5 * DAY;
	d->tcb_to = d->qe_to = DCAP_NOW + 25 * DAY;
	set_certs(d);
	set_qe_report(d);
	d->body[48] = 0x05;		 /* INIT, MODE64 */
	memset(d->body + 64, 0xee, 32);	 /* MRENCLAVE */
	memset(d->body + 128, 0x55, 32); /* MRSIGNER */
	put_le16(d->body + 258, 4);	 /* ISVSVN */
	memset(d->body + 320, 0xdd, 64); /* report data */
}

void dcap_make_tdx(struct dcap *d, uint16_t version, uint16_t body_type)
{
	d->version = version;
	d->body_type = body_type;
	d->tee_type = TEE_TDX;
	memset(d->body, 0, sizeof(d->body));
	d->body[0] = TD_SVN_MODULE;
	d->body[1] = 1;
	d->body[2] = TD_SVN_SEAM;
	memset(d->body + 136, 0xaa, 48); /* MRTD */
	for (size_t i = 0; i < 4; i++)
		memset(d->body + 328 + 48 * i, (int)(0xb0 + i), 48);
	memset(d->body + 520, 0xdd, 64);
	if (body_type >= 3)
		memcpy(d->body + 584, d->body, 16); /* TEE_TCB_SVN2 */
	set_qe_report(d);
}

void dcap_deinit(struct dcap *d)
{
	pki_deinit(&d->pki);
}

size_t dcap_body_size(const struct dcap *d)
{
	static const size_t sizes[] = { 0, SGX_BODY, TD10_BODY, TD15_BODY, TD15EX_BODY };

	if (d->version == 5)
		return d->body_type < ARRAY_LEN(sizes) ? sizes[d->body_type] : 0;
	return d->tee_type == TEE_TDX ? TD10_BODY : SGX_BODY;
}

/* SEQUENCE { OID sgx_oid.prefix.arc, tag value } */
static void put_member(struct wspan *w, uint8_t prefix, uint8_t arc, uint8_t tag, struct span value)
{
	uint8_t oid[16], buf[1200];
	struct wspan o = WSPAN(oid, sizeof(oid)), m = WSPAN(buf, sizeof(buf));

	wspan_put(&o, sgx_oid, sizeof(sgx_oid));
	if (prefix)
		wspan_u8(&o, prefix);
	wspan_u8(&o, arc);
	der_put(&m, 0x06, SPAN(oid, o.n));
	der_put(&m, tag, value);
	der_put(w, 0x30, SPAN(buf, m.n));
}

/* The Intel extension of the PCK certificate into buf. */
static struct span pck_extension(const struct dcap *d, uint8_t *buf, size_t size)
{
	uint8_t tcb[1024], all[1500], num[3] = { 0 };
	struct wspan t = WSPAN(tcb, sizeof(tcb)), a = WSPAN(all, sizeof(all)), w = WSPAN(buf, size);

	for (uint8_t k = 0; k < 16 + d->component_error; k++) {
		uint8_t i = k % 16;

		num[1] = d->components[i];
		put_member(&t, 2, (uint8_t)(i + 1), 0x02,
			   num[1] & 0x80 ? SPAN(num, 2) : SPAN(num + 1, 1));
	}
	put_be16(num + 1, d->pcesvn);
	put_member(&t, 2, 17, 0x02, num[1] ? SPAN(num, 3) : SPAN(num + 1 + (num[1] == 0), 1));
	put_member(&t, 2, 18, 0x04, SPAN(d->cpusvn, 16));
	put_member(&a, 0, 1, 0x04, SPAN(d->ppid, 16));
	put_member(&a, 0, 2, 0x30, SPAN(tcb, t.n));
	put_member(&a, 0, 3, 0x04, SPAN(d->pceid, 2));
	put_member(&a, 0, 4, 0x04, SPAN(d->fmspc, 6));
	put_member(&a, 0, 5, 0x0a, SPAN("\1", 1));
	der_put(&w, 0x30, SPAN(all, a.n));
	if (d->pck_edit.from) {
		uint8_t *p = memmem(buf, w.n, d->pck_edit.from, d->pck_edit_n);

		if (!p)
			abort();
		memcpy(p, d->pck_edit.to, d->pck_edit_n);
	}
	return SPAN(buf, w.n);
}

static void put_chain(const struct dcap *d, struct wspan *w)
{
	struct pki_cert pck = d->pck;
	uint8_t ext[2000];

	if (pck.extension.p == NULL)
		pck.extension = pck_extension(d, ext, sizeof(ext));
	pki_cert_pem(&d->pki, &pck, w);
	pki_cert_pem(&d->pki, &d->ca, w);
	if (!d->drop_root)
		pki_cert_pem(&d->pki, &d->root, w);
	if (d->extra_cert)
		pki_cert_pem(&d->pki, &d->root, w);
}

/* QE report, its signature, authentication data, certification data. */
static void put_qe(const struct dcap *d, const uint8_t point[64], struct wspan *w)
{
	uint8_t qe[SGX_BODY], sig[64], hashed[64 + 32];
	static uint8_t chain[DCAP_BUF];
	struct wspan c = WSPAN(chain, sizeof(chain));

	memcpy(qe, d->qe_report, sizeof(qe));
	if (!d->keep_qe_data) {
		memcpy(hashed, point, 64);
		memcpy(hashed + 64, d->auth, 32);
		memset(qe + 320, 0, 64);
		if (EVP_Digest(hashed, sizeof(hashed), qe + 320, NULL, EVP_sha256(), NULL) != 1)
			abort();
	}
	pki_sign(&d->pki, d->qe_signer, SPAN(qe, sizeof(qe)), sig);
	put_chain(d, &c);
	wspan_put(w, qe, sizeof(qe));
	wspan_put(w, sig, sizeof(sig));
	wspan_le16(w, sizeof(d->auth));
	wspan_put(w, d->auth, sizeof(d->auth));
	wspan_le16(w, d->cert_type);
	wspan_le16(w, (uint16_t)c.n);
	wspan_le16(w, 0);
	wspan_put(w, chain, c.n);
}

static void put_le32(struct wspan *w, uint32_t v)
{
	wspan_le16(w, (uint16_t)v);
	wspan_le16(w, (uint16_t)(v >> 16));
}

static void put_header(const struct dcap *d, struct wspan *w)
{
	static const uint8_t zeros[20];

	wspan_le16(w, d->version);
	wspan_le16(w, d->key_type);
	put_le32(w, d->tee_type);
	put_le32(w, 0);
	wspan_put(w, d->vendor, sizeof(d->vendor));
	wspan_put(w, zeros, 20);
	if (d->version == 5) {
		wspan_le16(w, d->body_type);
		put_le32(w, (uint32_t)dcap_body_size(d));
	}
	wspan_put(w, d->body, dcap_body_size(d));
}

size_t dcap_quote(const struct dcap *d, uint8_t *out)
{
	static uint8_t data_buf[DCAP_BUF], qe_buf[DCAP_BUF];
	struct wspan w = WSPAN(out, DCAP_BUF), data = WSPAN(data_buf, DCAP_BUF),
		     qe = WSPAN(qe_buf, DCAP_BUF);
	static const uint8_t zeros[4096];
	uint8_t sig[64], point[64];

	put_header(d, &w);
	pki_sign(&d->pki, d->quote_signer, SPAN(out, w.n), sig);
	pki_point(&d->pki, d->att_key, point);
	put_qe(d, point, &qe);
	wspan_put(&data, sig, 64);
	wspan_put(&data, point, 64);
	if (d->version > 3) {
		wspan_le16(&data, d->outer_type);
		put_le32(&data, (uint32_t)((int32_t)qe.n + d->outer_error));
	}
	wspan_put(&data, qe_buf, qe.n);
	wspan_put(&data, zeros, d->n_slack);
	put_le32(&w, (uint32_t)((int32_t)data.n + d->length_error));
	wspan_put(&w, data_buf, data.n);
	wspan_put(&w, zeros, d->n_padding);
	if (d->flip)
		out[d->flip] ^= 1;
	if (w.overflow || data.overflow || qe.overflow)
		abort();
	return w.n;
}

/* Replaces every occurrence; the result is allocated, the input freed. */
static char *edit(char *text, struct edit e)
{
	char *out, *at;
	size_t n;
	FILE *f;

	if (!e.from)
		return text;
	f = open_memstream(&out, &n);
	if (!f || !strstr(text, e.from))
		abort(); /* an edit that changes nothing is a test's bug */
	for (char *p = text; *p; p = at + strlen(e.from)) {
		at = strstr(p, e.from);
		if (!at) {
			fputs(p, f);
			break;
		}
		fwrite(p, 1, (size_t)(at - p), f);
		fputs(e.to, f);
	}
	fclose(f);
	free(text);
	return out;
}

static char *sign_document(const struct dcap *d, enum pki_key key, const char *name, char *inner,
			   struct edit late)
{
	uint8_t sig[64];
	char hex[129], *body = NULL;

	pki_sign(&d->pki, key, SPAN(inner, strlen(inner)), sig);
	if (asprintf(&body, "{\"%s\":%s,\"signature\":\"%s\"}", name, inner,
		     hex_format(SPAN(sig, 64), hex, sizeof(hex))) < 0)
		abort();
	free(inner);
	return edit(body, late);
}

static void print_components(FILE *f, const char *name, unsigned svn, const uint8_t *first)
{
	fprintf(f, "\"%s\":[", name);
	for (unsigned i = 0; i < 16; i++)
		fprintf(f, "%s{\"svn\":%u}", i ? "," : "", first && i < 3 ? first[i] : svn);
	fputs("],", f);
}

static void print_level(FILE *f, bool tdx, unsigned svn, unsigned pcesvn, const char *rest)
{
	static const uint8_t latest[3] = { 5, 0, 3 }, older[3] = { 1, 0, 1 };

	fputs("{\"tcb\":{", f);
	print_components(f, "sgxtcbcomponents", svn, NULL);
	if (tdx)
		print_components(f, "tdxtcbcomponents", 0, svn > 5 ? latest : older);
	fprintf(f, "\"pcesvn\":%u},\"tcbDate\":\"2025-05-14T00:00:00Z\",%s}", pcesvn, rest);
}

#define Z48                                                                                        \
	"0000000000000000000000000000000000000000000000000000000000000000000000000000000000000000" \
	"00000000"
#define MODULE                                                                                     \
	"\"mrsigner\":\"" Z48                                                                      \
	"\",\"attributes\":\"0000000000000000\",\"attributesMask\":\"FFFFFFFFFFFFFFFF\""
#define ISV(n, rest) "{\"tcb\":{\"isvsvn\":" n "},\"tcbDate\":\"2025-05-14T00:00:00Z\"," rest "}"

char *dcap_tcb_info(const struct dcap *d)
{
	bool tdx = d->tee_type == TEE_TDX;
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], fmspc[13], pceid[5], *text;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	if (!f)
		abort();
	fprintf(f,
		"{\"id\":\"%s\",\"version\":3,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
		"\"fmspc\":\"%s\",\"pceId\":\"%s\",\"tcbType\":0,\"tcbEvaluationDataNumber\":19,",
		tdx ? "TDX" : "SGX", time_format(d->tcb_from, from), time_format(d->tcb_to, to),
		hex_format(SPAN(d->fmspc, 6), fmspc, sizeof(fmspc)),
		hex_format(SPAN(d->pceid, 2), pceid, sizeof(pceid)));
	if (tdx)
		fputs("\"tdxModule\":{" MODULE "},\"tdxModuleIdentities\":["
		      "{\"id\":\"TDX_03\"," MODULE ",\"tcbLevels\":[" ISV(
			      "3",
			      "\"tcbStatus\":\"UpToDate\"") "]},"
							    "{\"id\":\"TDX_01\"," MODULE
							    ",\"tcbLevels\":[" ISV(
								    "5",
								    "\"tcbStatu"
								    "s\":"
								    "\"UpToDate"
								    "\"") "," ISV("2",
										  "\"tcbStatus\":"
										  "\"OutOfDate\","
										  "\"advisoryIDs\":"
										  "[\"INTEL-SA-"
										  "01099\"]") "]}]"
											      ",",
		      f);
	fputs("\"tcbLevels\":[", f);
	print_level(f, tdx, 7, 13, "\"tcbStatus\":\"UpToDate\"");
	fputc(',', f);
	print_level(f, tdx, 5, 11,
		    "\"tcbStatus\":\"OutOfDate\",\"advisoryIDs\":[\"INTEL-SA-00960\"]");
	fputs("]}", f);
	fclose(f);
	text = edit(edit(text, d->tcb_edit), d->tcb_edit2);
	return sign_document(d, d->tcb_key, "tcbInfo", text, d->tcb_late);
}

char *dcap_qe_identity(const struct dcap *d)
{
	bool tdx = d->tee_type == TEE_TDX;
	char from[TIME_TEXT_MAX], to[TIME_TEXT_MAX], *text = NULL;

	if (asprintf(&text,
		     "{\"id\":\"%s\",\"version\":2,\"issueDate\":\"%s\",\"nextUpdate\":\"%s\","
		     "\"tcbEvaluationDataNumber\":19,\"miscselect\":\"00000000\","
		     "\"miscselectMask\":\"FFFFFFFF\",\"attributes\":"
		     "\"11000000000000000000000000000000\","
		     "\"attributesMask\":\"FBFFFFFFFFFFFFFF0000000000000000\",\"mrsigner\":\""
		     "8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C8C\","
		     "\"isvprodid\":%u,\"tcbLevels\":[" ISV(
			     "8",
			     "\"tcbStatus\":\"UpToDate\"") "," ISV("4",
								   "\"tcbStatus\":\"OutOfDate\","
								   "\"advisoryIDs\":[\"INTEL-SA-"
								   "00615\"]") "]}",
		     tdx ? "TD_QE" : "QE", time_format(d->qe_from, from), time_format(d->qe_to, to),
		     tdx ? 2 : 1) < 0)
		abort();
	return sign_document(d, d->qe_key, "enclaveIdentity", edit(text, d->qe_edit), d->qe_late);
}

static void add(struct rtls_collateral *c, struct span s)
{
	if (rtls_collateral_add(c, s.p, s.n) != 0)
		abort();
}

static void add_der(struct rtls_collateral *c, struct span der)
{
	add(c, der);
	OPENSSL_free((void *)der.p);
}

static void add_text(struct rtls_collateral *c, char *text)
{
	add(c, SPAN(text, strlen(text)));
	free(text);
}

struct rtls_collateral *dcap_collateral(const struct dcap *d)
{
	return dcap_collateral_with(d, NULL);
}

struct rtls_collateral *dcap_collateral_with(const struct dcap *d, const char *item)
{
	struct rtls_collateral *c;

	if (rtls_collateral_new(&c) != 0)
		abort();
	add_der(c, pki_cert_der(&d->pki, &d->root));
	add_der(c, pki_cert_der(&d->pki, &d->ca));
	if (!d->no_signer)
		add_der(c, pki_cert_der(&d->pki, &d->tcb_signer));
	if (!d->root_crl.is_absent)
		add_der(c, pki_crl_der(&d->pki, &d->root_crl));
	if (!d->pck_crl.is_absent)
		add_der(c, pki_crl_der(&d->pki, &d->pck_crl));
	if (!d->no_tcb)
		add_text(c, dcap_tcb_info(d));
	if (!d->no_qe)
		add_text(c, dcap_qe_identity(d));
	if (item)
		(void)!rtls_collateral_add(c, item, strlen(item));
	if (rtls_collateral_seal(c) != 0)
		abort();
	return c;
}
