/* projection.h -- keeps the store a few milliseconds behind the log.
 *
 * One thread, one step at a time. A step walks the log from where the last one stopped, up to
 * what is released, and applies a batch in one transaction; always the same way, after a
 * write, a start or a rebuild. The full-text index is brought forward when no entry has come for
 * a while, or when a search waits for it.
 *
 * Failures: on DISK_FULL and IO the projection stops and tries again every second. Where its
 * files are damaged or foreign it stands still until a rebuild. Either way the log goes on
 * without it, and on_state says what is wrong.
 *
 * The loop's only, but for the thread's own work. */
#ifndef OSR_NODE_PROJECTION_H
#define OSR_NODE_PROJECTION_H

#include "adapter/store.h"
#include "node/journal.h"

struct osr_projection;

struct osr_projection_options {
    const char *folder;
    struct osr_bodies bodies;
    struct osr_journal *journal;
    /* The store now has everything up to this ordinal. */
    void (*on_applied)(void *context, uint64_t ordinal);
    /* It has stopped, or goes on again (OK). */
    void (*on_state)(void *context, const struct osr_err *err);
    void *context;
    struct osr_trace trace;
};

/* A damaged store is no failure here, but a state: osr_projection_state. */
int osr_projection_open(uv_loop_t *loop, const struct osr_projection_options *options,
                        struct osr_projection **ret_projection, struct osr_err *err);
/* Finishes the step under way and fails all who wait with CANCELLED. */
void osr_projection_stop(struct osr_projection *projection);
/* After stop, and after all readers are closed: then the store is left in one piece. */
void osr_projection_destroy(struct osr_projection *projection); /* NULL is a no-op */

/* Everything up to this ordinal may be projected. */
void osr_projection_advance(struct osr_projection *projection, uint64_t released);
/* Since the last advance up to this ordinal there is nothing to project: no step is made for it,
 * and it is no reason to put off the full-text index. */
void osr_projection_skip(struct osr_projection *projection, uint64_t released);
uint64_t osr_projection_applied(const struct osr_projection *projection);
/* What is wrong; code OK: nothing. */
const struct osr_err *osr_projection_state(const struct osr_projection *projection);
/* Damaged or not ours: only a rebuild helps. */
bool osr_projection_is_broken(const struct osr_projection *projection);

/* Somebody who waits until the store has an ordinal. */
struct osr_projection_wait {
    struct osr_projection_wait *next;
    uint64_t ordinal;
    bool is_search; /* and the full-text index too */
    /* err NULL: it has. Else the projection stands still, or is stopped. Called once, perhaps
     * from within osr_projection_await. */
    void (*ready)(struct osr_projection_wait *wait, const struct osr_err *err);
};
void osr_projection_await(struct osr_projection *projection, struct osr_projection_wait *wait);
void osr_projection_forget(struct osr_projection *projection, struct osr_projection_wait *wait);

/* Begins anew. Two halves, because everybody who reads the store must close it in between:
 * after `pause` no step is under way when paused is called, and no wait is answered; `reset`
 * replaces the files and goes on, or is done with an error and the state as it was. */
void osr_projection_pause(struct osr_projection *projection, void (*paused)(void *context),
                          void *context);
void osr_projection_reset(struct osr_projection *projection,
                          void (*done)(void *context, const struct osr_err *err), void *context);

#endif
