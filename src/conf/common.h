/* Options that the daemons share, judged in one place. */
#ifndef ENG_CONF_COMMON_H
#define ENG_CONF_COMMON_H

#include <stddef.h>

#include "base/cleanup.h"

/* Rows of an option table that read the same in every daemon. */
#define COMMON_OPTION_BUSY_POLL                                                                    \
	{                                                                                          \
		"busy-poll", "USEC",                                                               \
			"look for more packets for so long before\nsleeping (default 50; 0 never)" \
	}
#define COMMON_OPTION_WORKERS                                                                      \
	{                                                                                          \
		"workers", "N", "threads that move packets, 1 (default) to 16"                     \
	}
#define COMMON_OPTION_CONGESTION                                                                   \
	{                                                                                          \
		"tcp-congestion", "NAME",                                                          \
			"TCP congestion control of the hops: auto (default:\nbbr for far ones, "   \
			"cubic for near), system, or a name"                                       \
	}
#define COMMON_OPTION_LOG_LEVEL                                                                    \
	{                                                                                          \
		"log-level", "LEVEL", "error, warn, info (default) or debug"                       \
	}

#define COMMON_OPTION_ATTESTER                                                                     \
	{                                                                                          \
		"attester", "NAME[:OPTIONS]",                                                      \
			"what proves this side: tpm, sgx, tdx, snp, csv;\nsee rats-attester(7)"    \
	}
#define COMMON_OPTION_ENDORSEMENTS                                                                 \
	{                                                                                          \
		"endorsements", NULL, "send along what helps to verify the evidence"               \
	}
#define COMMON_OPTION_COLLATERAL                                                                   \
	{                                                                                          \
		"collateral", "PATH",                                                              \
			"file or directory of the makers' data (default:\nwhat the policy says)"   \
	}
#define COMMON_OPTION_REATTEST                                                                     \
	{                                                                                          \
		"reattest", "SECONDS",                                                             \
			"ask peers again for evidence so often (default\n3600; 0 never)"           \
	}
#define COMMON_OPTION_CIPHER_BACKEND                                                               \
	{                                                                                          \
		"cipher-backend", "NAME", "ipsec-mb or evp (default: the fastest here)"            \
	}

/* Each returns NULL, or what is wrong and what would be right. */
MUST_USE const char *common_set_log_level(const char *value);
/* A node name: up to size - 1 letters, digits and ".-_". */
MUST_USE const char *common_set_name(const char *value, char *out, size_t size);

enum { COMMON_WORKERS_MAX = 16 /* what a node may have of lanes (wire/control.h) */ };
/* Threads, 1 to COMMON_WORKERS_MAX. */
MUST_USE const char *common_set_workers(const char *value, unsigned *out_n);

/* Microseconds, 0 to 1000. */
MUST_USE const char *common_set_busy_poll(const char *value, unsigned *out_us);

/* A TCP congestion control algorithm by its name, or auto; "system" gives "". */
MUST_USE const char *common_set_congestion(const char *value, char *out, size_t size);

/* A text of up to size - 1 characters, not empty: a path, an attester. */
MUST_USE const char *common_set_text(const char *value, char *out, size_t size);

/* Seconds between challenges: 0, or 5 to a week. */
MUST_USE const char *common_set_reattest(const char *value, unsigned *out_s);

void common_host_name(char *out, size_t size); /* of this host, cut to what a node name may be */

#endif
