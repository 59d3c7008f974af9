/* seed_peer.h -- sends every entry to a program that knows UPDATE_KB alone, accepts one
 * connection at a time, reads up to 1,024 bytes and may exit when the connection closes.
 *
 * Happy path, a message a connection: dial -> send the message in one piece -> wait settle_ms ->
 * half-close -> the program ends its side in good order: delivered -> the cursor is made durable ->
 * the next entry.
 *
 * Failures: where the program's end or reset comes before our half-close, or no end comes after
 * it, nobody knows whether the message was stored: the connection is reset (an orderly close
 * would keep the program's port from being bound again) and the message is sent again and
 * counted as a double. Refused dials are repeated, after a pause that doubles up to a second:
 * the program may be restarted after each message.
 *
 * Order: that of this instance's log, all feeds that it holds, puts alone. What a seed program
 * sent to us goes out like anything else, for the one that sends is seldom the one that
 * receives; `arrivals=no` in the URL leaves it out, for a program that does both.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_SEED_PEER_H
#define OSR_NODE_SEED_PEER_H

#include "base/trace.h"
#include "node/knowledge.h"
#include "node/seed_cursor.h"

enum {
    OSR_SEED_SETTLE_MS = 50, /* where the URL does not say; see above */
    OSR_SEED_DIAL_MS = 5000, /* for a connection to be accepted */
    OSR_SEED_END_MS = 10000, /* for the program's end after ours: stops one that hangs */
    OSR_SEED_RETRY_MS_MIN = 20,
    OSR_SEED_RETRY_MS_MAX = 1000,
};

struct osr_seed_peer;

struct osr_seed_peer_options {
    uv_loop_t *loop;
    struct osr_knowledge *knowledge;
    struct osr_journal *journal;
    const struct osr_url *url; /* must outlive the peer */
    const struct osr_trace *trace;
};

/* Fails where the cursor that was written down cannot be read. */
int osr_seed_peer_start(const struct osr_seed_peer_options *options,
                        struct osr_seed_peer **ret_peer, struct osr_err *err);
/* Stops at once; the memory goes when the loop has run and the journal has no fact of it under
 * way. NULL is a no-op. */
void osr_seed_peer_stop(struct osr_seed_peer *peer);

/* Sends again from the entry at this position (ordinal) on, which has this sequence of this
 * origin. */
void osr_seed_peer_resend(struct osr_seed_peer *peer, uint64_t position, const char *origin,
                          uint64_t sequence);

struct osr_seed_peer_status {
    const char *url;
    bool connected; /* the last attempt reached the program */
    const struct osr_seed_cursor *cursor;
    const char *last_error; /* empty: none since the last delivery */
    uint64_t retry_ms;      /* until the next attempt */
};
/* Texts and cursor live until the loop goes on. */
void osr_seed_peer_status(const struct osr_seed_peer *peer,
                          struct osr_seed_peer_status *ret_status);

#endif
