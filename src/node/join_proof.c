#include "node/join_proof.h"

void osr_join_proof_message(struct osr_buffer *buffer, struct osr_slice request_pem,
                            const struct osr_token *invitation)
{
    static const char tag[] = "osiris join 1";
    struct osr_hash request = osr_sha256(&request_pem, 1);

    osr_buffer_add(buffer, tag, sizeof(tag)); /* with its NUL */
    osr_buffer_add(buffer, request.bytes, sizeof(request.bytes));
    osr_buffer_add(buffer, invitation->id, sizeof(invitation->id));
}
