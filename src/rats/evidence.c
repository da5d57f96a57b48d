/* What a file of evidence is; see evidence.h. Certificates are cert.c's. */
#include "rats/evidence.h"

#include <openssl/evp.h>

#include "rats/cborin.h"
#include "rats/cert.h"

bool envelope_parse(struct span in, uint64_t *tag, struct span *body, struct span *claims_buffer)
{
	struct span b, c;
	struct cbor_item it;
	uint64_t t;

	if (!cbor_take(&in, &it) || it.major != CBOR_TAG || it.value == EVIDENCE_TAG_NONE)
		return false;
	t = it.value;
	if (!cbor_take(&in, &it) || it.major != CBOR_ARRAY || it.value != 2 ||
	    !cbor_take_bytes(&in, &b) || !cbor_take_bytes(&in, &c) || in.n != 0 ||
	    c.n > EVIDENCE_CLAIMS_BUFFER_MAX)
		return false;
	*tag = t;
	*body = b;
	*claims_buffer = c;
	return true;
}

void envelope_write(struct wspan *w, uint64_t tag, struct span body, struct span claims_buffer)
{
	cbor_put_head(w, CBOR_TAG, tag);
	cbor_put_head(w, CBOR_ARRAY, 2);
	cbor_put_bytes(w, body);
	cbor_put_bytes(w, claims_buffer);
}

bool evidence_bind(struct evidence *e, struct span bytes)
{
	uint8_t *slot = e->bound[e->n_bound];

	memset(slot, 0, REPORT_DATA_SIZE);
	if (EVP_Digest(bytes.p, bytes.n, slot, NULL, EVP_sha256(), NULL) != 1)
		return false;
	e->n_bound++;
	return true;
}

bool evidence_open(struct span envelope, struct evidence *e, struct rtls_verdict *v)
{
	bool ok = envelope_parse(envelope, &e->tag, &e->body, &e->claims_buffer);

	if (!verdict_check(v, RTLS_CHECK_FORMAT, ok, "envelope",
			   "is not CBOR tag([evidence, claims-buffer])"))
		return false;
	if (e->claims_buffer.n == 0)
		return true;
	claims_add_bytes(v->claims, "claims_buffer", e->claims_buffer);
	return verdict_check(v, RTLS_CHECK_FORMAT, evidence_bind(e, e->claims_buffer), "envelope",
			     "out of memory");
}

bool evidence_find(struct span file, struct evidence *e, struct rtls_verdict *v)
{
	*e = (struct evidence){ .tag = EVIDENCE_TAG_NONE };
	if (!verdict_check(v, RTLS_CHECK_FORMAT, file.n > 0 && file.n <= EVIDENCE_MAX, "evidence",
			   "has %zu bytes, from 1 to %d are accepted", file.n, EVIDENCE_MAX))
		return false;
	if (cert_find(file, e))
		return cert_open(e, v);
	if (file.p[0] >> 5 == CBOR_TAG) /* no bare evidence starts like that */
		return evidence_open(file, e, v);
	e->body = file;
	return true;
}

void evidence_deinit(struct evidence *e)
{
	X509_free(e->cert);
	*e = (struct evidence){ 0 };
}
