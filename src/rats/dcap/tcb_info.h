/*
 * What Intel signs about platforms and quoting enclaves: TCB info (versions 2 and 3) and QE
 * identity (version 2), parsed from the exact bytes that the signature covers.
 * Intel PCS API v4, "TCB Info V3" and "Enclave Identity V2".
 */
#ifndef ENG_RATS_DCAP_TCB_INFO_H
#define ENG_RATS_DCAP_TCB_INFO_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "rats/collateral.h"

enum {
	TCB_COMPONENTS = 16,
	TCB_LEVELS_MAX = 256, /* real ones have below 30 */
	TCB_MODULES_MAX = 32,
};

enum tcb_status {
	TCB_NONE = 0, /* no level matches: not supported */
	TCB_UP_TO_DATE,
	TCB_SW_HARDENING,
	TCB_CONFIGURATION,
	TCB_CONFIGURATION_AND_SW_HARDENING,
	TCB_OUT_OF_DATE,
	TCB_OUT_OF_DATE_CONFIGURATION,
	TCB_REVOKED,
	TCB_N_STATUS,
};

const char *tcb_status_name(enum tcb_status s); /* "UpToDate"; "NotSupported" for NONE */

/* A level of a platform. */
struct tcb_level {
	uint8_t sgx[TCB_COMPONENTS], tdx[TCB_COMPONENTS];
	uint16_t pcesvn;
	enum tcb_status status;
	int64_t date;
	const json_t *advisories; /* array of strings, or NULL; borrowed from the document */
};

/* A level of an enclave or TDX module: identified by one SVN. */
struct isv_level {
	uint16_t isvsvn;
	enum tcb_status status;
	int64_t date;
	const json_t *advisories;
};

struct tdx_module {
	char id[8]; /* "TDX_03"; "" for the unversioned tdxModule */
	uint8_t mrsigner[48], attributes[8], attributes_mask[8];
	size_t n_levels;
	struct isv_level *levels;
};

struct tcb_info {
	json_t *json;
	bool is_tdx;
	uint8_t version;
	uint8_t fmspc[6], pceid[2];
	bool has_pceid; /* version 2 may lack it; evaluation refuses such a document */
	int64_t issued, next_update;
	uint64_t eval; /* tcbEvaluationDataNumber */
	bool has_module;
	struct tdx_module module;
	size_t n_modules, n_levels;
	struct tdx_module *modules;
	struct tcb_level *levels;
};

struct qe_identity {
	json_t *json;
	char id[8]; /* "QE", "TD_QE", "QVE" */
	int64_t issued, next_update;
	uint64_t eval;
	uint8_t miscselect[4], miscselect_mask[4]; /* in the order of the report */
	uint8_t attributes[16], attributes_mask[16], mrsigner[32];
	uint16_t isvprodid;
	size_t n_levels;
	struct isv_level *levels;
};

/* From the inner object alone. NULL: not strict JSON, not this schema, or no memory. */
struct tcb_info *tcb_info_parse(struct span inner);
struct qe_identity *qe_identity_parse(struct span inner);
void tcb_info_free(struct tcb_info *t);
void qe_identity_free(struct qe_identity *q);

enum {
	TCB_E_OTHER = 1,  /* JSON, but neither of the two bodies */
	TCB_E_SCHEMA = 2, /* one of them, but malformed */
};

/* {"tcbInfo": {...}, "signature": "..."} or {"enclaveIdentity": ...}; out is zeroed by the caller.
 */
int bag_doc_parse(struct span body, struct bag_doc *out);
bool bag_doc_is_signed_by(const struct bag_doc *d, EVP_PKEY *key);

#endif
