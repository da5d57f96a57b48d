/* Evidence in certificates: interoperable RA-TLS and the older ways. */
#ifndef ENG_RATS_CERT_H
#define ENG_RATS_CERT_H

#include "rats/evidence.h"

/* Whether the file is (or, in PEM, starts with) a certificate: then e->cert is it. */
bool cert_find(struct span file, struct evidence *e);
/* Checks the certificate by itself and finds the evidence in it. */
bool cert_open(struct evidence *e, struct rtls_verdict *v);

/* evidence.c's: the envelope into e, and one more report data that would do. */
bool evidence_open(struct span envelope, struct evidence *e, struct rtls_verdict *v);
bool evidence_bind(struct evidence *e, struct span bytes);

#endif
