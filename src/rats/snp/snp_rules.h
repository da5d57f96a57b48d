/* The rules over claims of an SNP report, for its verifier and for the vTPM of Azure inside it. */
#ifndef ENG_RATS_SNP_RULES_H
#define ENG_RATS_SNP_RULES_H

#include "rats/verifier.h"

#define SNP_CODE(name)                                                                             \
	{                                                                                          \
		.key = name, .kind = RULE_BYTES, .size = 48, .check = RTLS_CHECK_MEASUREMENT,      \
		.flags = RULE_PIN, .group = "code"                                                 \
	}
#define SNP_TCB_MIN(name)                                                                          \
	{                                                                                          \
		.key = name "_svn_min", .claim = name "_svn", .kind = RULE_UINT_MIN,               \
		.check = RTLS_CHECK_TCB, .flags = RULE_PIN, .group = "tcb"                         \
	}
#define SNP_BYTES(name, n, what)                                                                   \
	{                                                                                          \
		.key = name, .kind = RULE_BYTES, .size = n, .check = what                          \
	}
#define SNP_OF_KIND(k, name, what)                                                                 \
	{                                                                                          \
		.key = name, .kind = k, .check = what                                              \
	}

/* clang-format off */
#define SNP_RULES \
	SNP_CODE("measurement"), \
	SNP_CODE("id_key_digest"), \
	SNP_CODE("author_key_digest"), \
	SNP_TCB_MIN("bootloader"), \
	SNP_TCB_MIN("tee"), \
	SNP_TCB_MIN("snp"), \
	SNP_TCB_MIN("microcode"), \
	SNP_TCB_MIN("fmc"), \
	{ .key = "vmpl", \
	  .kind = RULE_UINT, \
	  .check = RTLS_CHECK_CONFIG, \
	  .flags = RULE_PIN, \
	  .group = "vmpl" }, \
	SNP_OF_KIND(RULE_ALLOW, "debug", RTLS_CHECK_DEBUG), \
	SNP_OF_KIND(RULE_ALLOW, "migration", RTLS_CHECK_CONFIG), \
	SNP_OF_KIND(RULE_REQUIRE, "single_socket", RTLS_CHECK_CONFIG), \
	SNP_OF_KIND(RULE_REQUIRE, "ciphertext_hiding", RTLS_CHECK_CONFIG), \
	SNP_OF_KIND(RULE_REQUIRE, "tcb_committed", RTLS_CHECK_TCB), \
	SNP_BYTES("host_data", 32, RTLS_CHECK_CONFIG), \
	SNP_BYTES("family_id", 16, RTLS_CHECK_CONFIG), \
	SNP_BYTES("image_id", 16, RTLS_CHECK_CONFIG), \
	{ .key = "guest_svn_min", \
	  .claim = "guest_svn", \
	  .kind = RULE_UINT_MIN, \
	  .check = RTLS_CHECK_CONFIG }, \
	SNP_BYTES("chip_id", 64, RTLS_CHECK_PLATFORM), \
	SNP_OF_KIND(RULE_TEXT, "csp_id", RTLS_CHECK_PLATFORM), \
	SNP_OF_KIND(RULE_TEXT, "product", RTLS_CHECK_PLATFORM), \
	SNP_OF_KIND(RULE_TEXT, "signing_key", RTLS_CHECK_SIGNER)
/* clang-format on */

#endif
