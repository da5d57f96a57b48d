/*
 * The appraiser: evidence of peers is judged in a process of its own (jobs.h), which holds the
 * policy and the collateral and may do nothing but compute. So neither a slow verification nor a
 * bug in a parser of evidence reaches the packets.
 */
#ifndef ENG_CHAN_APPRAISER_H
#define ENG_CHAN_APPRAISER_H

#include <rats_tls.h>

#include "base/addr.h"
#include "chan/jobs.h"

enum {
	APPRAISER_PATH_MAX = 4096,
	APPRAISER_MESSAGE_MAX = 512, /* why a policy was refused, with the NUL */
	APPRAISAL_NAME_MAX = 64,     /* with the NUL, longer ones are cut: for logs */
	APPRAISAL_WHY_MAX = 200,     /* the same */
	APPRAISAL_PREFIXES_MAX = 256 /* what one alternative of a policy can hold */
};

struct appraiser;

/* What the verdict says, as far as a daemon needs it. */
struct appraisal {
	enum rtls_result result; /* zero-initialised: not trusted */
	char why[APPRAISAL_WHY_MAX];
	char name[APPRAISAL_NAME_MAX]; /* of the alternative that accepted */
	char tee[16], tcb[APPRAISAL_NAME_MAX];
	char measurement[2 * 64 + 1]; /* hex; the first that identifies the code */
	int32_t alternative;	      /* of the policy, that accepted: who share it are equals */
	uint8_t may_replace;	      /* 1: it takes a prefix over from the peer that has it */
	uint32_t n_prefixes;
	struct prefix prefixes[APPRAISAL_PREFIXES_MAX]; /* that it may own */
};

/*
 * policy: a file. collateral: a file or directory, NULL or "": what the policy says. Both are read
 * here, once, so that the worker has what was checked. 0; -EINVAL or another -errno with the
 * reason in message (APPRAISER_MESSAGE_MAX bytes).
 */
MUST_USE int appraiser_new(struct event_base *base, const char *policy, const char *collateral,
			   struct appraiser **out, char *message);
/* For another thread, to submit to and to free: as jobs_remote(), which see. */
MUST_USE int appraiser_remote(struct appraiser *a, struct mailbox *home, struct mailbox *here,
			      struct appraiser **out);
void appraiser_free(struct appraiser *a);
/* Reads both files again. On failure the old ones stay in force. */
MUST_USE int appraiser_reload(struct appraiser *a, char *message);
bool appraiser_is_insecure(const struct appraiser *a); /* proves nothing: shout */

/* What is to be judged; borrowed during the call. */
struct appraiser_question {
	bool is_stranger;	    /* its turn comes after that of peers that are open */
	const uint8_t *report_data; /* 64 bytes; NULL: a certificate binds itself */
	struct span evidence, endorsements;
};

/* 0, JOBS_E_FULL, or -errno. `done` comes once, from the loop, unless the job is cancelled, and
 * hands its reply to appraiser_read(): whatever is wrong with it, the result is not TRUSTED. */
MUST_USE int appraiser_submit(struct appraiser *a, const struct appraiser_question *q,
			      job_done_fn done, void *owner, struct job **out);
void appraiser_read(struct span reply, const char *why, struct appraisal *out);

#endif
