/* SM2 signatures and SM3 MACs (GB/T 32918, 32905) through OpenSSL, for keys in Hygon's form. */
#ifndef ENG_RATS_CSV_SM2_H
#define ENG_RATS_CSV_SM2_H

#include "rats/csv/csv_report.h"

/* Verifies msg with the identity of the key's owner. False also when memory is short. */
MUST_USE bool csv_sm2_verify(const struct csv_key *key, struct span msg, const struct csv_sig *sig);
MUST_USE bool csv_sm3_hmac_equal(struct span key, struct span msg, struct span mac);

#endif
