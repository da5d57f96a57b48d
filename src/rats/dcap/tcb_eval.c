/* TCB level evaluation; see tcb_eval.h. */
#include "rats/dcap/tcb_eval.h"

#include <stdio.h>
#include <string.h>

#include "rats/text.h"

static const char *overall_name(unsigned s)
{
	return s == TCB_RELAUNCH		 ? "TDRelaunchAdvised"
	       : s == TCB_RELAUNCH_CONFIGURATION ? "TDRelaunchAdvisedConfigurationNeeded"
						 : tcb_status_name((enum tcb_status)s);
}

/* (found & mask) == expected, shown as (found & mask) when it is not. */
static bool check_masked(struct rtls_verdict *v, const char *what, struct span found,
			 const uint8_t *mask, const uint8_t *expected)
{
	uint8_t masked[16];

	for (size_t i = 0; i < found.n; i++)
		masked[i] = found.p[i] & mask[i];
	return verdict_check_equal(v, RTLS_CHECK_IDENTITY, what, SPAN(expected, found.n),
				   SPAN(masked, found.n));
}

/* 4.1.2.9.5 to .8 */
static bool check_qe(struct span report, const struct qe_identity *qe, struct rtls_verdict *v)
{
	return check_masked(v, "QE MISCSELECT", REPORT_MISCSELECT(report), qe->miscselect_mask,
			    qe->miscselect) &&
	       check_masked(v, "QE attributes", REPORT_ATTRIBUTES(report), qe->attributes_mask,
			    qe->attributes) &&
	       verdict_check_equal(v, RTLS_CHECK_IDENTITY, "QE MRSIGNER",
				   SPAN(qe->mrsigner, sizeof(qe->mrsigner)),
				   REPORT_MRSIGNER(report)) &&
	       verdict_check(v, RTLS_CHECK_IDENTITY, REPORT_ISVPRODID(report) == qe->isvprodid,
			     "QE ISVPRODID", "expected %u, found %u", qe->isvprodid,
			     REPORT_ISVPRODID(report));
}

static const struct isv_level *isv_level_find(const struct isv_level *levels, size_t n,
					      uint16_t isvsvn)
{
	for (size_t i = 0; i < n; i++)
		if (levels[i].isvsvn <= isvsvn)
			return &levels[i];
	return NULL;
}

static bool components_reach(const uint8_t *have, const uint8_t *need, size_t from)
{
	for (size_t i = from; i < TCB_COMPONENTS; i++)
		if (have[i] < need[i])
			return false;
	return true;
}

/*
 * The first level whose SGX components and PCESVN the platform reaches, in *sgx, and the first
 * one whose TDX components the module reaches as well (4.1.2.4.17.1 to .3). When the module
 * has a version, components 0 and 1 are that module's and its identity decides on them.
 */
static const struct tcb_level *level_find(const struct tcb_info *t, const struct pck *pck,
					  const struct quote *q, const struct tcb_level **sgx)
{
	const uint8_t *svn = TD_TEE_TCB_SVN(q->body).p;

	*sgx = NULL;
	for (size_t i = 0; i < t->n_levels; i++) {
		const struct tcb_level *l = &t->levels[i];

		if (!components_reach(pck->comps, l->sgx, 0) || pck->pcesvn < l->pcesvn)
			continue;
		if (!*sgx)
			*sgx = l;
		if (!q->is_tdx || components_reach(svn, l->tdx, svn[1] > 0 ? 2 : 0))
			return l;
	}
	return NULL;
}

static const struct tdx_module *module_find(const struct tcb_info *t, uint8_t version)
{
	char id[8];

	snprintf(id, sizeof(id), "TDX_%02X", version);
	for (size_t i = 0; i < t->n_modules; i++)
		if (strcasecmp(t->modules[i].id, id) == 0)
			return &t->modules[i];
	return NULL;
}

/* 4.1.2.4.11: the module that measured the TD is Intel's. *out is NULL if it has no version. */
static bool check_module(const struct quote *q, const struct tcb_info *t,
			 const struct tdx_module **out, struct rtls_verdict *v)
{
	const uint8_t version = TD_TEE_TCB_SVN(q->body).p[1];
	const struct tdx_module *m = version	     ? module_find(t, version)
				     : t->has_module ? &t->module
						     : NULL;

	if (!verdict_check(v, RTLS_CHECK_IDENTITY, m != NULL, "TDX module identity",
			   "TCB info knows no TDX module of version %u", version))
		return false;
	*out = version ? m : NULL;
	return verdict_check_equal(v, RTLS_CHECK_IDENTITY, "TDX module MRSIGNERSEAM",
				   SPAN(m->mrsigner, sizeof(m->mrsigner)),
				   TD_MRSIGNERSEAM(q->body)) &&
	       check_masked(v, "TDX module SEAMATTRIBUTES", TD_SEAMATTRIBUTES(q->body),
			    m->attributes_mask, m->attributes);
}

/* 4.1.2.4.17.4 and .5: what the state of the QE or module does to the platform's. */
static unsigned converge(unsigned s, enum tcb_status part)
{
	if (part == TCB_NONE || s == TCB_NONE)
		return TCB_NONE;
	if (part == TCB_REVOKED || s == TCB_REVOKED)
		return TCB_REVOKED;
	if (part == TCB_UP_TO_DATE)
		return s;
	if (s == TCB_UP_TO_DATE || s == TCB_SW_HARDENING)
		return TCB_OUT_OF_DATE;
	if (s == TCB_CONFIGURATION || s == TCB_CONFIGURATION_AND_SW_HARDENING)
		return TCB_OUT_OF_DATE_CONFIGURATION;
	return s;
}

static bool needs_configuration(unsigned s)
{
	return s == TCB_CONFIGURATION || s == TCB_CONFIGURATION_AND_SW_HARDENING ||
	       s == TCB_OUT_OF_DATE_CONFIGURATION;
}

/*
 * 4.1.2.4.17.4.3: the platform runs a current module (TEE_TCB_SVN2) although the TD was
 * launched by an old one. Then the TD is asked to relaunch, and nothing else is wrong.
 */
static unsigned relaunch(const struct quote *q, const struct tcb_info *t,
			 const struct tcb_level *sgx, unsigned s, enum tcb_status module,
			 enum tcb_status qe)
{
	const uint8_t *svn2 = q->is_td15 ? TD_TEE_TCB_SVN2(q->body).p : NULL;
	const struct tcb_level *latest = &t->levels[0];
	const struct tdx_module *m;
	unsigned need;

	if (!svn2 || qe != TCB_UP_TO_DATE || module != TCB_OUT_OF_DATE ||
	    sgx->status >= TCB_OUT_OF_DATE ||
	    (s != TCB_OUT_OF_DATE && s != TCB_OUT_OF_DATE_CONFIGURATION))
		return s;
	need = latest->tdx[0];
	if (svn2[1] > 0) {
		m = module_find(t, svn2[1]);
		if (!m)
			return TCB_NONE;
		need = m->levels[0].isvsvn;
	}
	if (svn2[0] < need || svn2[2] < latest->tdx[2])
		return s;
	return needs_configuration(sgx->status) || needs_configuration(s)
		       ? TCB_RELAUNCH_CONFIGURATION
		       : TCB_RELAUNCH;
}

/* Adds advisories that are not there yet. */
static void add_advisories(struct claims *c, const json_t *list)
{
	for (size_t i = 0; i < json_array_size(list); i++) {
		const char *id = json_string_value(json_array_get(list, i));
		bool known = false;

		for (size_t k = 0; k < claims_count(c) && !known; k++)
			known = strcmp(claims_at(c, k)->name, "advisory") == 0 &&
				strcmp((const char *)claims_at(c, k)->bytes.p, id) == 0;
		if (!known)
			claims_add_text(c, "advisory", id);
	}
}

bool tcb_evaluate(const struct quote *q, const struct pck *pck, const struct tcb_info *t,
		  const struct qe_identity *qe, struct rtls_verdict *v)
{
	const struct isv_level *qe_level, *module_level = NULL;
	enum tcb_status qe_status, module_status = TCB_UP_TO_DATE;
	const struct tcb_level *level, *sgx;
	const struct tdx_module *module = NULL;
	char date[TIME_TEXT_MAX];
	unsigned overall;

	if (!check_qe(q->qe_report, qe, v) || (q->is_tdx && !check_module(q, t, &module, v)))
		return false;
	qe_level = isv_level_find(qe->levels, qe->n_levels, REPORT_ISVSVN(q->qe_report));
	qe_status = qe_level ? qe_level->status : TCB_NONE;
	if (module) {
		module_level = isv_level_find(module->levels, module->n_levels,
					      TD_TEE_TCB_SVN(q->body).p[0]);
		module_status = module_level ? module_level->status : TCB_NONE;
	}
	level = level_find(t, pck, q, &sgx);
	overall = level ? level->status : TCB_NONE;
	if (q->is_tdx) {
		overall = converge(overall, module_status);
		if (level)
			overall = relaunch(q, t, sgx, overall, module_status, qe_status);
	}
	overall = converge(overall, qe_status);

	claims_add_text(v->claims, "tcb_status", overall_name(overall));
	if (level) {
		claims_add_text(v->claims, "tcb_level_status", tcb_status_name(level->status));
		claims_add_text(v->claims, "tcb_date", time_format(level->date, date));
		add_advisories(v->claims, level->advisories);
	}
	claims_add_text(v->claims, "qe_status", tcb_status_name(qe_status));
	if (q->is_tdx)
		claims_add_text(v->claims, "tdx_module_status", tcb_status_name(module_status));
	add_advisories(v->claims, qe_level ? qe_level->advisories : NULL);
	add_advisories(v->claims, module_level ? module_level->advisories : NULL);
	return verdict_check(v, RTLS_CHECK_TCB, overall != TCB_NONE, "TCB level",
			     "no level of %s matches: NotSupported",
			     !level		     ? "the TCB info"
			     : qe_status == TCB_NONE ? "the QE identity"
						     : "the TDX module identity");
}
