/* The container of TPM evidence; see tpm_evidence.h. */
#include "rats/tpm/tpm_evidence.h"

#include "rats/cborin.h"

enum { N_FIELDS = 8 };

struct field {
	const char *name;
	struct span *value;
};

static void fields_of(struct tpm_evidence *e, struct field out[N_FIELDS])
{
	const struct field all[N_FIELDS] = {
		{ "quote", &e->quote }, { "signature", &e->signature },	      { "pcrs", &e->pcrs },
		{ "ak", &e->ak },	{ "ak_chain", &e->ak_chain },	      { "hcl", &e->hcl },
		{ "tee", &e->tee },	{ "endorsements", &e->endorsements },
	};

	memcpy(out, all, sizeof(all));
}

static bool take_field(struct span *s, const struct field fields[N_FIELDS])
{
	struct cbor_item key;
	struct span value;

	if (!cbor_take(s, &key) || key.major != CBOR_TEXT || !cbor_take_bytes(s, &value))
		return false;
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (!span_equal(key.bytes, SPAN(fields[i].name, strlen(fields[i].name))))
			continue;
		if (fields[i].value->n > 0 || value.n == 0)
			return false; /* twice, or present and empty */
		*fields[i].value = value;
		return true;
	}
	return false;
}

bool tpm_evidence_parse(struct span bytes, struct tpm_evidence *out)
{
	struct tpm_evidence e = { 0 };
	struct field fields[N_FIELDS];
	struct span s = bytes;
	struct cbor_item map;

	if (bytes.n > TPM_EVIDENCE_MAX || !cbor_take(&s, &map) || map.major != CBOR_MAP ||
	    map.value > N_FIELDS)
		return false;
	fields_of(&e, fields);
	for (uint64_t i = 0; i < map.value; i++)
		if (!take_field(&s, fields))
			return false;
	if (s.n != 0 || e.quote.n == 0 || e.signature.n == 0 || e.pcrs.n == 0 ||
	    e.ak.n + e.ak_chain.n + e.hcl.n == 0)
		return false;
	*out = e;
	return true;
}

void tpm_evidence_write(struct wspan *w, const struct tpm_evidence *e)
{
	struct tpm_evidence copy = *e;
	struct field fields[N_FIELDS];
	uint64_t n = 0;

	fields_of(&copy, fields);
	for (size_t i = 0; i < N_FIELDS; i++)
		n += fields[i].value->n > 0;
	cbor_put_head(w, CBOR_MAP, n);
	for (size_t i = 0; i < N_FIELDS; i++) {
		if (fields[i].value->n == 0)
			continue;
		cbor_put_head(w, CBOR_TEXT, strlen(fields[i].name));
		wspan_put(w, fields[i].name, strlen(fields[i].name));
		cbor_put_bytes(w, *fields[i].value);
	}
}
