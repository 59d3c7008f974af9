/* projector.h -- one step of the projection, as its thread does it. */
#ifndef OSR_NODE_PROJECTOR_H
#define OSR_NODE_PROJECTOR_H

#include "adapter/store.h"
#include "node/journal.h"

enum osr_step_kind {
    OSR_STEP_APPLY, /* a batch of records up to `target` */
    OSR_STEP_INDEX, /* some documents into the full-text index */
    OSR_STEP_RESET, /* the store anew */
};

struct osr_step {
    enum osr_step_kind kind;
    uint64_t target;
    /* The outcome. */
    struct osr_err err;
    uint64_t reached; /* ordinal; everything up to it is applied */
    bool is_index_behind;
};

struct osr_projector;

/* *ret_err says how opening the store went. Where it failed, each step tries again; but what is
 * damaged only RESET mends. */
struct osr_projector *osr_projector_create(const char *folder, const struct osr_bodies *bodies,
                                           struct osr_journal *journal, struct osr_err *ret_err);
void osr_projector_destroy(struct osr_projector *projector); /* NULL is a no-op */
uint64_t osr_projector_reached(const struct osr_projector *projector);
void osr_projector_run(struct osr_projector *projector, struct osr_step *step);
/* Between steps: there is nothing to apply up to this ordinal. */
void osr_projector_skip(struct osr_projector *projector, uint64_t ordinal);

#endif
