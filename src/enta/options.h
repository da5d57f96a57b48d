/* What enta's command line says, in the form that capture and agent take. */
#ifndef ENG_ENTA_OPTIONS_H
#define ENG_ENTA_OPTIONS_H

#include "conf/option.h"
#include "enta/agent.h"
#include "enta/capture.h"

enum enta_command { ENTA_RUN, ENTA_GUARD, ENTA_CLEANUP };

struct enta_options {
	enum enta_command command;
	struct agent_config agent;
	struct capture_config capture; /* points into the arrays below */
	struct capture_addr addrs[AGENT_ADDRS_MAX];
	struct capture_rule rules[RULES_MAX];
	struct replay_rule replays[RULES_MAX];
	char instance[CAPTURE_INSTANCE_MAX + 1];
	char tun_name[16];
	uint8_t mask_len; /* of IPv4 addresses written without one */
	bool keep_guard;
	unsigned poll_us; /* for agent_run() */
};

/* 0, OPTION_E_USAGE (told), or OPTION_E_DONE. */
MUST_USE int enta_options_parse(int argc, char **argv, struct enta_options *out);

#endif
