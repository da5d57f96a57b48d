/*
 * Intel's signed documents; see tcb_info.h. The signature covers the bytes of the inner object as
 * they were received. So the slice is cut out of the body first, hashed, and only the slice is
 * interpreted: what is believed is exactly what was signed.
 */
#include "rats/dcap/tcb_info.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "rats/json.h"
#include "rats/x509.h"

static const char *const status_names[TCB_N_STATUS] = {
	[TCB_NONE] = "NotSupported",
	[TCB_UP_TO_DATE] = "UpToDate",
	[TCB_SW_HARDENING] = "SWHardeningNeeded",
	[TCB_CONFIGURATION] = "ConfigurationNeeded",
	[TCB_CONFIGURATION_AND_SW_HARDENING] = "ConfigurationAndSWHardeningNeeded",
	[TCB_OUT_OF_DATE] = "OutOfDate",
	[TCB_OUT_OF_DATE_CONFIGURATION] = "OutOfDateConfigurationNeeded",
	[TCB_REVOKED] = "Revoked",
};

const char *tcb_status_name(enum tcb_status s)
{
	return (unsigned)s < TCB_N_STATUS ? status_names[s] : status_names[TCB_NONE];
}

/* What all levels share: tcbStatus, tcbDate, advisoryIDs. */
static bool parse_state(const json_t *level, enum tcb_status *status, int64_t *date,
			const json_t **advisories)
{
	struct span text;
	const json_t *a = json_object_get(level, "advisoryIDs");

	if (!json_text(level, "tcbStatus", &text) || !json_time(level, "tcbDate", date))
		return false;
	*status = TCB_NONE;
	for (unsigned i = TCB_UP_TO_DATE; i < TCB_N_STATUS; i++)
		if (span_equal(text, SPAN(status_names[i], strlen(status_names[i]))))
			*status = (enum tcb_status)i;
	if (a && !json_is_array(a))
		return false;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (!json_is_string(json_array_get(a, i)))
			return false;
	*advisories = a;
	return *status != TCB_NONE;
}

static bool parse_u16(const json_t *obj, const char *name, uint16_t *out)
{
	uint64_t v;

	if (!json_uint(obj, name, UINT16_MAX, &v))
		return false;
	*out = (uint16_t)v;
	return true;
}

/* Version 3: [{"svn": n, ...} x 16]. */
static bool parse_components(const json_t *tcb, const char *name, uint8_t out[TCB_COMPONENTS])
{
	const json_t *list = json_object_get(tcb, name);
	uint64_t svn;

	if (!json_is_array(list) || json_array_size(list) != TCB_COMPONENTS)
		return false;
	for (size_t i = 0; i < TCB_COMPONENTS; i++) {
		if (!json_uint(json_array_get(list, i), "svn", UINT8_MAX, &svn))
			return false;
		out[i] = (uint8_t)svn;
	}
	return true;
}

/* Version 2: "sgxtcbcomp01svn" to "sgxtcbcomp16svn". */
static bool parse_components_v2(const json_t *tcb, uint8_t out[TCB_COMPONENTS])
{
	char name[] = "sgxtcbcomp00svn";
	uint64_t svn;

	for (unsigned i = 0; i < TCB_COMPONENTS; i++) {
		name[10] = (char)('0' + (i + 1) / 10);
		name[11] = (char)('0' + (i + 1) % 10);
		if (!json_uint(tcb, name, UINT8_MAX, &svn))
			return false;
		out[i] = (uint8_t)svn;
	}
	return true;
}

static bool parse_level(const json_t *j, const struct tcb_info *t, struct tcb_level *out)
{
	const json_t *tcb = json_object_get(j, "tcb");

	return (t->version == 2 ? parse_components_v2(tcb, out->sgx)
				: parse_components(tcb, "sgxtcbcomponents", out->sgx)) &&
	       (!t->is_tdx || parse_components(tcb, "tdxtcbcomponents", out->tdx)) &&
	       parse_u16(tcb, "pcesvn", &out->pcesvn) &&
	       parse_state(j, &out->status, &out->date, &out->advisories);
}

/* A non-empty array of levels with one SVN each. */
static bool parse_isv_levels(const json_t *obj, struct isv_level **out, size_t *out_n)
{
	const json_t *list = json_object_get(obj, "tcbLevels");
	size_t n = json_array_size(list);

	if (n == 0 || n > TCB_LEVELS_MAX)
		return false;
	*out = calloc(n, sizeof(**out));
	if (!*out)
		return false;
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);
		struct isv_level *l = &(*out)[i];

		if (!parse_u16(json_object_get(j, "tcb"), "isvsvn", &l->isvsvn) ||
		    !parse_state(j, &l->status, &l->date, &l->advisories))
			return false;
	}
	*out_n = n;
	return true;
}

static bool parse_module(const json_t *j, struct tdx_module *m)
{
	return json_hex(j, "mrsigner", m->mrsigner, sizeof(m->mrsigner)) &&
	       json_hex(j, "attributes", m->attributes, sizeof(m->attributes)) &&
	       json_hex(j, "attributesMask", m->attributes_mask, sizeof(m->attributes_mask));
}

static bool parse_id(const json_t *j, char out[8])
{
	struct span id;

	if (!json_text(j, "id", &id) || id.n >= 8)
		return false;
	memcpy(out, id.p, id.n);
	out[id.n] = '\0';
	return true;
}

static bool parse_modules(struct tcb_info *t)
{
	const json_t *module = json_object_get(t->json, "tdxModule");
	const json_t *list = json_object_get(t->json, "tdxModuleIdentities");
	size_t n = json_array_size(list);

	t->has_module = module != NULL;
	if (module && !parse_module(module, &t->module))
		return false;
	if (!list)
		return true;
	if (!json_is_array(list) || n > TCB_MODULES_MAX)
		return false;
	t->modules = calloc(n ? n : 1, sizeof(*t->modules));
	if (!t->modules)
		return false;
	t->n_modules = n;
	for (size_t i = 0; i < n; i++) {
		const json_t *j = json_array_get(list, i);
		struct tdx_module *m = &t->modules[i];

		if (!parse_id(j, m->id) || !parse_module(j, m) ||
		    !parse_isv_levels(j, &m->levels, &m->n_levels))
			return false;
	}
	return true;
}

static bool parse_dates(const json_t *j, int64_t *issued, int64_t *next_update, uint64_t *eval)
{
	return json_time(j, "issueDate", issued) && json_time(j, "nextUpdate", next_update) &&
	       json_uint(j, "tcbEvaluationDataNumber", UINT32_MAX, eval);
}

/* Version 3 says what it is for; version 2 exists for SGX only. */
static bool parse_kind(struct tcb_info *t)
{
	uint64_t version, type;
	char id[8];

	if (!json_uint(t->json, "version", 3, &version) || version < 2 ||
	    !json_uint(t->json, "tcbType", 0, &type))
		return false;
	t->version = (uint8_t)version;
	if (version == 2)
		return true;
	if (!parse_id(t->json, id))
		return false;
	t->is_tdx = strcmp(id, "TDX") == 0;
	return t->is_tdx || strcmp(id, "SGX") == 0;
}

static bool parse_tcb_info(struct tcb_info *t)
{
	const json_t *levels = json_object_get(t->json, "tcbLevels");
	size_t n = json_array_size(levels);

	if (!parse_kind(t) || !parse_dates(t->json, &t->issued, &t->next_update, &t->eval) ||
	    !json_hex(t->json, "fmspc", t->fmspc, sizeof(t->fmspc)) || n == 0 || n > TCB_LEVELS_MAX)
		return false;
	t->has_pceid = json_object_get(t->json, "pceId") != NULL;
	if (t->has_pceid && !json_hex(t->json, "pceId", t->pceid, sizeof(t->pceid)))
		return false;
	if (t->is_tdx && !parse_modules(t))
		return false;
	t->levels = calloc(n, sizeof(*t->levels));
	if (!t->levels)
		return false;
	t->n_levels = n;
	for (size_t i = 0; i < n; i++)
		if (!parse_level(json_array_get(levels, i), t, &t->levels[i]))
			return false;
	return true;
}

struct tcb_info *tcb_info_parse(struct span inner)
{
	struct tcb_info *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->json = json_parse_strict(inner);
	if (t->json && parse_tcb_info(t))
		return t;
	tcb_info_free(t);
	return NULL;
}

void tcb_info_free(struct tcb_info *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->n_modules; i++)
		free(t->modules[i].levels);
	free(t->modules);
	free(t->levels);
	json_decref(t->json);
	free(t);
}

static bool parse_qe_identity(struct qe_identity *q)
{
	uint64_t version;

	return json_uint(q->json, "version", 2, &version) && version == 2 &&
	       parse_id(q->json, q->id) &&
	       parse_dates(q->json, &q->issued, &q->next_update, &q->eval) &&
	       json_hex(q->json, "miscselect", q->miscselect, sizeof(q->miscselect)) &&
	       json_hex(q->json, "miscselectMask", q->miscselect_mask,
			sizeof(q->miscselect_mask)) &&
	       json_hex(q->json, "attributes", q->attributes, sizeof(q->attributes)) &&
	       json_hex(q->json, "attributesMask", q->attributes_mask,
			sizeof(q->attributes_mask)) &&
	       json_hex(q->json, "mrsigner", q->mrsigner, sizeof(q->mrsigner)) &&
	       parse_u16(q->json, "isvprodid", &q->isvprodid) &&
	       parse_isv_levels(q->json, &q->levels, &q->n_levels);
}

struct qe_identity *qe_identity_parse(struct span inner)
{
	struct qe_identity *q = calloc(1, sizeof(*q));

	if (!q)
		return NULL;
	q->json = json_parse_strict(inner);
	if (q->json && parse_qe_identity(q))
		return q;
	qe_identity_free(q);
	return NULL;
}

void qe_identity_free(struct qe_identity *q)
{
	if (!q)
		return;
	free(q->levels);
	json_decref(q->json);
	free(q);
}

int bag_doc_parse(struct span body, struct bag_doc *out)
{
	JSON_AUTO j = json_parse_strict(body);
	struct bag_doc d = { 0 };
	struct span inner;

	if (!json_is_object(j))
		return TCB_E_SCHEMA;
	if (!json_object_get(j, "tcbInfo") && !json_object_get(j, "enclaveIdentity"))
		return TCB_E_OTHER;
	if (!json_hex(j, "signature", d.signature, sizeof(d.signature)))
		return TCB_E_SCHEMA;
	if (json_member_slice(body, "tcbInfo", &inner)) {
		d.tcb = tcb_info_parse(inner);
		if (!d.tcb)
			return TCB_E_SCHEMA;
		d.issued = d.tcb->issued;
		d.expires = d.tcb->next_update;
		d.eval = d.tcb->eval;
	} else if (json_member_slice(body, "enclaveIdentity", &inner)) {
		d.qe = qe_identity_parse(inner);
		if (!d.qe)
			return TCB_E_SCHEMA;
		d.issued = d.qe->issued;
		d.expires = d.qe->next_update;
		d.eval = d.qe->eval;
	} else {
		return TCB_E_SCHEMA;
	}
	if (EVP_Digest(inner.p, inner.n, d.digest, NULL, EVP_sha256(), NULL) != 1) {
		tcb_info_free(d.tcb);
		qe_identity_free(d.qe);
		return err_new(-ENOMEM);
	}
	*out = d;
	return 0;
}

bool bag_doc_is_signed_by(const struct bag_doc *d, EVP_PKEY *key)
{
	return ecdsa_verify_digest(key, SPAN(d->digest, sizeof(d->digest)), SPAN(d->signature, 32),
				   SPAN(d->signature + 32, 32));
}
