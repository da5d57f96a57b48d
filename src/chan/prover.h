/*
 * The prover: makes this side's evidence in a process of its own (jobs.h), which keeps the right to
 * open the TPM or the TEE's device when the daemon has given its rights up, and may block on it.
 */
#ifndef ENG_CHAN_PROVER_H
#define ENG_CHAN_PROVER_H

#include <rats_tls.h>

#include "chan/jobs.h"
#include "wire/attest.h"

struct prover;

enum {
	PROVER_NAME_MAX = 16, /* with the NUL */
	PROVER_OPTIONS_MAX = 4096,
	PROVER_MESSAGE_MAX = 256, /* why there is no evidence, with the NUL */
	PROVER_REPORT_DATA = 64,
};

/*
 * spec: NAME or NAME:OPTIONS as rtls_attester_open() takes them. with_endorsements: what the
 * attester holds of them goes along with each evidence. Opens the attester, which may take a while;
 * the loop must not run yet. 0, or -errno with the reason in message (PROVER_MESSAGE_MAX bytes).
 */
MUST_USE int prover_new(struct event_base *base, const char *spec, bool with_endorsements,
			struct prover **out, char *message);
/* For another thread, to submit to and to free: as jobs_remote(), which see. */
MUST_USE int prover_remote(struct prover *p, struct mailbox *home, struct mailbox *here,
			   struct prover **out);
void prover_free(struct prover *p);
const char *prover_name(const struct prover *p); /* of the attester */

/* 0, JOBS_E_FULL, or -errno. `done` as in jobs.h; prover_read() reads its reply. */
MUST_USE int prover_submit(struct prover *p, bool is_stranger,
			   const uint8_t report_data[PROVER_REPORT_DATA], job_done_fn done,
			   void *owner, struct job **out);
/* False: there is no evidence; message says why. The spans borrow from reply. */
MUST_USE bool prover_read(struct span reply, const char *why, struct span *out_evidence,
			  struct span *out_endorsements, char *message);

/* Before the loop runs: evidence at once, for a certificate. Both parts are copied to buf. */
MUST_USE int prover_ask(struct prover *p, const uint8_t report_data[PROVER_REPORT_DATA],
			uint8_t buf[WORKER_MESSAGE_MAX], struct span *out_evidence,
			struct span *out_endorsements, char *message);

#endif
