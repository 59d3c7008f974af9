/* engine.h -- the feed core with what it stands on: keys, journal, knowledge base, clock. Events
 * go in; what the core puts out is carried out here, and what concerns a link is handed on. Entries
 * of the stream "kb" are the knowledge base's, those of "trust" the trust feed's.
 *
 * Happy path: osr_engine_post(event) -> step -> outputs in their order: to the journal, to the
 * knowledge base, to a link -> later the journal's answers, each an event again. Writes of one
 * turn of the loop are flushed into one batch at its end (osr_engine_end_turn).
 *
 * Re-entrancy: the core's outputs live until its next step, so what may lead to another
 * event at once is copied and carried out after the step; an event that arises then is
 * stepped at once, and its outputs take their place behind.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_ENGINE_H
#define OSR_NODE_ENGINE_H

#include "node/access.h"
#include "node/config.h"
#include "node/journal.h"
#include "node/knowledge.h"
#include "node/trust_feed.h"

struct osr_engine;

struct osr_engine_handler {
    /* To a link; may not post. The frame lives until the return. */
    void (*on_send)(void *context, uint32_t peer, const Osr__Frame *frame);
    void (*on_identified)(void *context, uint32_t peer, const char *instance, const char *name);
    /* A link must close; the core's ERROR has been sent. */
    void (*on_close)(void *context, uint32_t peer, const struct osr_err *err);
    /* The log has failed: the process must end. */
    void (*on_failure)(void *context, const struct osr_err *err);
    void *context;
};

/* Locks the data folder, opens all that is in it, and starts the core with it. What the core
 * says goes to core_trace: much of it is what peers cause. */
int osr_engine_open(uv_loop_t *loop, const struct osr_config *config,
                    const struct osr_engine_handler *handler, const struct osr_trace *trace,
                    const struct osr_trace *core_trace, struct osr_engine **ret_engine,
                    struct osr_err *err);
/* Finishes what was submitted to the disk and steps the core no more. Run the loop until
 * nothing is left in it, then free. NULL is a no-op for both. */
void osr_engine_close(struct osr_engine *engine);
void osr_engine_free(struct osr_engine *engine);

/* Whose feeds are taken and who is given them; until it is set and the trust feed is current,
 * nobody's and nobody. Again whenever it answers otherwise than before. */
void osr_engine_set_access(struct osr_engine *engine, struct osr_access *access);
/* Who takes what comes of the stream "trust". Stays the caller's; set before the loop runs. */
void osr_engine_set_trust(struct osr_engine *engine, struct osr_trust_feed *trust);
/* One put to the own feed of that stream; answered by osr_trust_feed_written. */
void osr_engine_write_trust(struct osr_engine *engine, uint64_t token,
                            const struct osr_feed_put *put);
/* The event's times are set here. */
void osr_engine_post(struct osr_engine *engine, struct osr_feed_event *event);
/* Flushes what was written in this turn of the loop, and sets the core's timer. */
void osr_engine_end_turn(struct osr_engine *engine);
bool osr_engine_refuses_writes(const struct osr_engine *engine);  /* read no requests now */
bool osr_engine_refuses_updates(const struct osr_engine *engine); /* nor links */

const struct osr_feed *osr_engine_feed(const struct osr_engine *engine);
struct osr_journal *osr_engine_journal(struct osr_engine *engine);
struct osr_knowledge *osr_engine_knowledge(struct osr_engine *engine);
/* What is wrong with the projection; code OK: nothing. Lives as long as the engine. */
const struct osr_err *osr_engine_storage(const struct osr_engine *engine);

#endif
