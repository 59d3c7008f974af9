/* signer.h -- the thread that signs and verifies, beside the disk's work. */
#ifndef OSR_NODE_SIGNER_H
#define OSR_NODE_SIGNER_H

#include "adapter/keys.h"
#include "adapter/worker.h"

struct osr_signer;

struct osr_signer_handler {
    void (*on_signed)(void *context, uint64_t ticket, const struct osr_signature *signature);
    void (*on_verified)(void *context, uint64_t ticket, bool valid);
    void *context;
};

int osr_signer_create(uv_loop_t *loop, const struct osr_keys *keys,
                      const struct osr_signer_handler *handler, struct osr_signer **ret_signer,
                      struct osr_err *err);
/* The message is copied. */
void osr_signer_sign(struct osr_signer *signer, uint64_t ticket, struct osr_slice message);
void osr_signer_verify(struct osr_signer *signer, uint64_t ticket, struct osr_slice message,
                       const struct osr_public_key *key, const struct osr_signature *signature);
/* As osr_worker_destroy: finishes what was submitted. */
void osr_signer_destroy(struct osr_signer *signer); /* NULL is a no-op */

#endif
