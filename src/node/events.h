/* events.h -- publishes what changes in the knowledge base at one place: a topic of a broker, or a
 * socket, as the section `events` of the config says.
 *
 * Happy path: the bus is up -> the log is read from behind the cursor -> each change that is wanted
 * is one message -> the carrier confirms it -> the cursor goes on.
 *
 * Order: that of this instance's log, all feeds of the knowledge base that it holds, puts and
 * deletions. At least once: what was not confirmed when the bus went down, and what was confirmed
 * shortly before a crash, is published again; (origin, epoch, sequence) names a change and is
 * always the same.
 *
 * Failures: a broker that is away, or slow, costs nothing: nothing is read from the log meanwhile,
 * and where it was is in the cursor. One that takes no message at all stops its target alone;
 * osr_events_status says why.
 *
 * Whoever may read the topic reads all that is published there, whatever the policy says of him.
 *
 * Threads: the loop's only; the log is read on the knowledge base's threads. */
#ifndef OSR_NODE_EVENTS_H
#define OSR_NODE_EVENTS_H

#include "node/events_config.h"
#include "node/knowledge.h"

enum {
    /* Sent and not yet confirmed: stops a slow broker from taking the memory. */
    OSR_EVENTS_WINDOW_MESSAGES = 1000,
    OSR_EVENTS_WINDOW_BYTES = 4 << 20, /* and one message that passes it */
    OSR_EVENTS_READ_RETRY_MS = 1000,   /* where the log could not be read */
};

struct osr_events;

struct osr_events_options {
    uv_loop_t *loop;
    struct osr_knowledge *knowledge;
    struct osr_journal *journal;
    const struct osr_events_target *target; /* must outlive it */
    const char *instance;                   /* id */
    const char *data_folder;                /* of ZeroMQ's keys */
    const struct osr_trace *trace;
};

/* Fails where the cursor that was written down cannot be read, and as osr_bus_open and
 * osr_client_keys_read do. */
int osr_events_start(const struct osr_events_options *options, struct osr_events **ret_events,
                     struct osr_err *err);
/* Stops at once; the memory goes when the loop has run. NULL is a no-op. */
void osr_events_stop(struct osr_events *events);

struct osr_events_status {
    const char *url; /* with ZeroMQ's port that was really bound */
    bool is_up;
    const char *last_error; /* why it is not; "": it is, or was not tried yet */
    uint64_t position;      /* in the log, of the last change that was confirmed */
    uint64_t lag;           /* messages not confirmed, and records of the log not yet read */
};
/* Texts live until the loop goes on. */
void osr_events_status(const struct osr_events *events, struct osr_events_status *ret_status);

#endif
