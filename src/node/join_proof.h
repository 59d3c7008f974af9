/* join_proof.h -- what an instance that joins signs, and who lets it in checks (trust.proto,
 * JoinRequest). */
#ifndef OSR_NODE_JOIN_PROOF_H
#define OSR_NODE_JOIN_PROOF_H

#include "model/token.h"

/* "osiris join 1\0" | SHA-256 of the certificate request | the invitation's id. Appended. */
void osr_join_proof_message(struct osr_buffer *buffer, struct osr_slice request_pem,
                            const struct osr_token *invitation);

#endif
