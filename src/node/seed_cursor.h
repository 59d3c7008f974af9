/* seed_cursor.h -- how far a seed peer has been served: what is written down, as a fact, after
 * every message and before the next one.
 *
 * Fact "seed:tcp://HOST:PORT" (the same whatever the parameters), format 1, big-endian:
 * u8 format, u64 position, u64 doubles, u64 skipped, u32 count, count * (32 bytes origin,
 * u64 sequence). */
#ifndef OSR_NODE_SEED_CURSOR_H
#define OSR_NODE_SEED_CURSOR_H

#include "base/url.h"
#include "model/identity.h"

struct osr_seed_cursor {
    uint64_t position; /* ordinal of the last entry that was delivered or passed over */
    uint64_t doubles;  /* messages sent again because their outcome was unknown */
    uint64_t skipped;  /* entries too long for a message */
    struct osr_seed_held {
        char origin[OSR_INSTANCE_CHARS + 1];
        uint64_t sequence;
    } * held; /* for each origin its last entry at or before `position`; for people */
    size_t held_count;
};

void osr_seed_cursor_done(struct osr_seed_cursor *cursor); /* frees; empty and valid after */

/* Goes on to an entry. */
void osr_seed_cursor_advance(struct osr_seed_cursor *cursor, uint64_t position, const char *origin,
                             uint64_t sequence);
/* Goes back, so that the entry at `position`, with this sequence of this origin, is next. */
void osr_seed_cursor_rewind(struct osr_seed_cursor *cursor, uint64_t position, const char *origin,
                            uint64_t sequence);
/* The last entry of an origin that was delivered; 0: none. */
uint64_t osr_seed_cursor_held(const struct osr_seed_cursor *cursor, const char *origin);

char *osr_seed_cursor_key(const struct osr_url *url); /* to be freed */
void osr_seed_cursor_encode(const struct osr_seed_cursor *cursor, struct osr_buffer *value);
/* Into an empty cursor. CORRUPT, or UNSUPPORTED_VERSION for a newer format. */
int osr_seed_cursor_decode(struct osr_seed_cursor *cursor, struct osr_slice value,
                           struct osr_err *err);

#endif
