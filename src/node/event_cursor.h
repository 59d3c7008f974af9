/* event_cursor.h -- how far the log has been published at one place: kept as a fact, which is made
 * durable from time to time, so that a crash publishes some changes twice and loses none.
 *
 * Happy path: osr_event_cursor_open reads the fact -> osr_event_cursor_advance for what was
 * confirmed -> after OSR_EVENT_SAVE_MS, or OSR_EVENT_SAVE_ENTRIES, it is written down.
 *
 * Failures: while there is no room for the fact it is tried again; the position in memory goes on.
 *
 * Fact "events:PLACE" (osr_events_target_place), format 1, big-endian: u8 format, u64 position.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_EVENT_CURSOR_H
#define OSR_NODE_EVENT_CURSOR_H

#include <uv.h>

#include "node/events_config.h"
#include "node/journal.h"

enum {
    OSR_EVENT_SAVE_MS = 100, /* what is confirmed meanwhile shares one sync */
    OSR_EVENT_SAVE_ENTRIES = 1000,
    OSR_EVENT_SAVE_RETRY_MS = 1000,
};

struct osr_event_cursor;

/* Where nothing was written down it begins with the target's `from`. Fails with CORRUPT, or
 * UNSUPPORTED_VERSION for a newer format. The journal must outlive osr_event_cursor_close. */
int osr_event_cursor_open(uv_loop_t *loop, struct osr_journal *journal,
                          const struct osr_events_target *target,
                          struct osr_event_cursor **ret_cursor, struct osr_err *err);
/* Writes down what is not yet. The memory goes when the loop has run and the journal has no fact of
 * it under way. NULL is a no-op. */
void osr_event_cursor_close(struct osr_event_cursor *cursor);

/* Ordinal of the last entry that was published or passed over. */
uint64_t osr_event_cursor_position(const struct osr_event_cursor *cursor);
/* Goes on to an entry. One that was passed over is not worth a fact of its own. */
void osr_event_cursor_advance(struct osr_event_cursor *cursor, uint64_t position,
                              bool was_published);

#endif
