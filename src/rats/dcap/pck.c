/* The PCK extension; see pck.h. A SEQUENCE of {OID, value}, in any order, each at most once. */
#include "rats/dcap/pck.h"

#include <openssl/objects.h>
#include <string.h>

#include "rats/der.h"

/* 1.2.840.113741.1.13.1; its members append 1 to 7, those of the TCB 2.1 to 2.18 */
static const uint8_t sgx_oid[] = { 0x2a, 0x86, 0x48, 0x86, 0xf8, 0x4d, 0x01, 0x0d, 0x01 };

enum {
	PCK_PPID = 1,
	PCK_TCB,
	PCK_PCEID,
	PCK_FMSPC,
	PCK_TYPE,
	PCK_INSTANCE,
	PCK_CONFIG,
};
enum { TCB_PCESVN = 17, TCB_CPUSVN = 18 };
enum { CONFIG_DYNAMIC_PLATFORM = 1, CONFIG_CACHED_KEYS, CONFIG_SMT };

/*
 * The next {OID, value} of a sequence: *arc is the last arc of the OID, which must be `prefix`
 * (after sgx_oid; 0: none) and that arc. Each arc is below 128 and may come once.
 */
static bool take_member(struct span *s, uint8_t prefix, uint32_t *seen, uint8_t *arc,
			struct span *value)
{
	size_t prefix_n = sizeof(sgx_oid) + (prefix != 0);
	struct span member, oid;

	if (!der_take(s, DER_SEQUENCE, &member) || !der_take(&member, DER_OID, &oid) ||
	    oid.n != prefix_n + 1 || memcmp(oid.p, sgx_oid, sizeof(sgx_oid)) != 0 ||
	    (prefix && oid.p[sizeof(sgx_oid)] != prefix))
		return false;
	*arc = oid.p[prefix_n];
	if (*arc == 0 || *arc > 31 || (*seen & 1u << *arc))
		return false;
	*seen |= 1u << *arc;
	*value = member;
	return true;
}

static bool octets(struct span value, uint8_t *out, size_t n)
{
	struct span v;

	if (!der_take(&value, DER_OCTETS, &v) || v.n != n || value.n != 0)
		return false;
	memcpy(out, v.p, n);
	return true;
}

static bool number(struct span value, uint8_t tag, uint64_t max, uint64_t *out)
{
	return der_uint(&value, tag, out) && *out <= max && value.n == 0;
}

static bool boolean(struct span value, bool *has, bool *out)
{
	struct span v;

	if (!der_take(&value, DER_BOOLEAN, &v) || v.n != 1 || value.n != 0)
		return false;
	*has = true;
	*out = v.p[0] != 0;
	return true;
}

static bool parse_tcb(struct span value, struct pck *p)
{
	const uint32_t all = 0x7fffe; /* 1 to 18 */
	uint32_t seen = 0;
	struct span s, v;
	uint64_t n = 0;
	uint8_t arc;
	bool ok = true;

	if (!der_take(&value, DER_SEQUENCE, &s) || value.n != 0)
		return false;
	while (ok && s.n > 0) {
		if (!take_member(&s, PCK_TCB, &seen, &arc, &v))
			return false;
		if (arc == TCB_CPUSVN) {
			ok = octets(v, p->cpusvn, sizeof(p->cpusvn));
		} else if (arc == TCB_PCESVN) {
			ok = number(v, DER_INTEGER, UINT16_MAX, &n);
			p->pcesvn = (uint16_t)n;
		} else if (arc <= TCB_COMPONENTS) {
			ok = number(v, DER_INTEGER, UINT8_MAX, &n);
			p->comps[arc - 1] = (uint8_t)n;
		} else {
			ok = false;
		}
	}
	return ok && seen == all;
}

static bool parse_config(struct span value, struct pck *p)
{
	uint32_t seen = 0;
	struct span s, v;
	uint8_t arc;
	bool ok = true;

	if (!der_take(&value, DER_SEQUENCE, &s) || value.n != 0)
		return false;
	while (ok && s.n > 0) {
		if (!take_member(&s, PCK_CONFIG, &seen, &arc, &v))
			return false;
		if (arc == CONFIG_DYNAMIC_PLATFORM)
			ok = boolean(v, &p->has_dynamic_platform, &p->dynamic_platform);
		else if (arc == CONFIG_CACHED_KEYS)
			ok = boolean(v, &p->has_cached_keys, &p->cached_keys);
		else if (arc == CONFIG_SMT)
			ok = boolean(v, &p->has_smt, &p->smt);
	}
	return ok;
}

static bool parse_member(uint8_t arc, struct span v, struct pck *p)
{
	uint64_t n = 0;
	bool ok;

	switch (arc) {
	case PCK_PPID:
		return octets(v, p->ppid, sizeof(p->ppid));
	case PCK_TCB:
		return parse_tcb(v, p);
	case PCK_PCEID:
		return octets(v, p->pceid, sizeof(p->pceid));
	case PCK_FMSPC:
		return octets(v, p->fmspc, sizeof(p->fmspc));
	case PCK_TYPE:
		ok = number(v, DER_ENUMERATED, UINT8_MAX, &n);
		p->sgx_type = (uint8_t)n;
		return ok;
	case PCK_INSTANCE:
		p->has_instance = true;
		return octets(v, p->instance, sizeof(p->instance));
	case PCK_CONFIG:
		return parse_config(v, p);
	default:
		return true; /* what later revisions add */
	}
}

const char *pck_parse(X509 *cert, struct pck *out)
{
	const uint32_t needed =
		1u << PCK_PPID | 1u << PCK_TCB | 1u << PCK_PCEID | 1u << PCK_FMSPC | 1u << PCK_TYPE;
	struct pck p = { 0 };
	struct span value, s, v;
	uint32_t seen = 0;
	uint8_t arc;

	if (!der_find_extension(cert, SPAN(sgx_oid, sizeof(sgx_oid)), &value))
		return "has no Intel SGX extension";
	if (!der_take(&value, DER_SEQUENCE, &s) || value.n != 0)
		return "its Intel SGX extension is malformed";
	while (s.n > 0)
		if (!take_member(&s, 0, &seen, &arc, &v) || !parse_member(arc, v, &p))
			return "its Intel SGX extension is malformed";
	if ((seen & needed) != needed)
		return "its Intel SGX extension is incomplete";
	*out = p;
	return NULL;
}

void pck_claims(const struct pck *p, struct claims *c)
{
	static const char *const types[] = { "standard", "scalable", "scalable with integrity" };

	claims_add_bytes(c, "fmspc", SPAN(p->fmspc, sizeof(p->fmspc)));
	claims_add_bytes(c, "pce_id", SPAN(p->pceid, sizeof(p->pceid)));
	claims_add_bytes(c, "ppid", SPAN(p->ppid, sizeof(p->ppid)));
	claims_add_uint(c, "pcesvn", p->pcesvn);
	claims_add_bytes(c, "pck_cpusvn", SPAN(p->cpusvn, sizeof(p->cpusvn)));
	claims_add_bytes(c, "pck_components", SPAN(p->comps, sizeof(p->comps)));
	claims_add_text(c, "sgx_type", p->sgx_type < ARRAY_LEN(types) ? types[p->sgx_type] : "?");
	if (p->has_instance)
		claims_add_bytes(c, "platform_instance_id", SPAN(p->instance, sizeof(p->instance)));
	if (p->has_dynamic_platform)
		claims_add_bool(c, "dynamic_platform", p->dynamic_platform);
	if (p->has_cached_keys)
		claims_add_bool(c, "cached_keys", p->cached_keys);
	if (p->has_smt)
		claims_add_bool(c, "smt", p->smt);
}
