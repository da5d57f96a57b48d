/* The rules over claims of a quote, which the policies of three verifiers share. */
#ifndef ENG_RATS_TPM_RULES_H
#define ENG_RATS_TPM_RULES_H

#include "rats/verifier.h"

/* clang-format off */
#define TPM_QUOTE_RULES                                                                            \
	{ .key = "pcrs", .claim = "pcr", .kind = RULE_BYTES_MAP, .size = 32,                       \
	  .check = RTLS_CHECK_MEASUREMENT, .flags = RULE_PIN, .group = "pcrs" },                   \
	{ .key = "pcrs_sha384", .claim = "pcr_sha384_", .kind = RULE_BYTES_MAP, .size = 48,        \
	  .check = RTLS_CHECK_MEASUREMENT, .flags = RULE_PIN, .group = "pcrs" },                   \
	{ .key = "pcrs_sha512", .claim = "pcr_sha512_", .kind = RULE_BYTES_MAP, .size = 64,        \
	  .check = RTLS_CHECK_MEASUREMENT, .flags = RULE_PIN, .group = "pcrs" },                   \
	{ .key = "firmware_version", .kind = RULE_UINT, .check = RTLS_CHECK_TCB },                 \
	{ .key = "firmware_version_min", .claim = "firmware_version", .kind = RULE_UINT_MIN,       \
	  .check = RTLS_CHECK_TCB },                                                               \
	{ .key = "clock_safe", .kind = RULE_REQUIRE, .check = RTLS_CHECK_FRESHNESS }
/* clang-format on */

#endif
