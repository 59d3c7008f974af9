#include "node/signer.h"

#include <stdlib.h>

/* Jobs handed over at a time. One, because an answer leaves the thread with the whole list it
 * came in, and the first of several would wait for a verification of 100 us each. */
enum { JOBS_MAX = 1 };

struct osr_signer {
    struct osr_worker *worker;
    const struct osr_keys *keys;
    struct osr_signer_handler handler;
};

struct signing {
    struct osr_job job; /* first */
    uint64_t ticket;
    bool is_verification;
    bool is_valid;                  /* the answer to a verification */
    struct osr_public_key key;      /* of a verification */
    struct osr_signature signature; /* to verify, or the answer */
    size_t size;
    uint8_t message[];
};

static void work(void *context, struct osr_job *jobs)
{
    const struct osr_signer *signer = context;
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        struct signing *signing = (struct signing *)job;
        struct osr_slice message = osr_slice(signing->message, signing->size);
        if (signing->is_verification) {
            signing->is_valid = osr_keys_verify(&signing->key, message, &signing->signature);
        } else {
            signing->signature = osr_keys_sign(signer->keys, message);
        }
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_signer *signer = context;
    struct signing *signing = (struct signing *)job;
    const struct osr_signer_handler *handler = &signer->handler;
    if (signing->is_verification) {
        handler->on_verified(handler->context, signing->ticket, signing->is_valid);
    } else {
        handler->on_signed(handler->context, signing->ticket, &signing->signature);
    }
    free(signing);
}

int osr_signer_create(uv_loop_t *loop, const struct osr_keys *keys,
                      const struct osr_signer_handler *handler, struct osr_signer **ret_signer,
                      struct osr_err *err)
{
    struct osr_signer *signer = osr_alloc(sizeof(*signer));
    signer->keys = keys;
    signer->handler = *handler;
    struct osr_worker_options options = {
        .name = "keys", .work = work, .done = done, .context = signer, .batch_max = JOBS_MAX};
    int code = osr_worker_create(loop, &options, &signer->worker, err);
    if (code != 0) {
        free(signer);
        return code;
    }
    *ret_signer = signer;
    return 0;
}

static struct signing *make_signing(uint64_t ticket, struct osr_slice message)
{
    struct signing *signing = osr_alloc(sizeof(*signing) + message.size);
    signing->ticket = ticket;
    signing->size = message.size;
    memcpy(signing->message, message.data, message.size);
    return signing;
}

void osr_signer_sign(struct osr_signer *signer, uint64_t ticket, struct osr_slice message)
{
    osr_worker_submit(signer->worker, &make_signing(ticket, message)->job);
}

void osr_signer_verify(struct osr_signer *signer, uint64_t ticket, struct osr_slice message,
                       const struct osr_public_key *key, const struct osr_signature *signature)
{
    struct signing *signing = make_signing(ticket, message);
    signing->is_verification = true;
    signing->key = *key;
    signing->signature = *signature;
    osr_worker_submit(signer->worker, &signing->job);
}

void osr_signer_destroy(struct osr_signer *signer)
{
    if (signer != NULL) {
        osr_worker_destroy(signer->worker);
        free(signer);
    }
}
