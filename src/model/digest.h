/* digest.h -- one hash that is equal on two instances which hold the same.
 *
 * digest := SHA-256("osiris digest 1\0" | u32 number of feeds | for each feed in the order
 *           of (origin, stream, epoch): text origin, text stream, u64 epoch, u64 sequence,
 *           chain | for each document in the order of its id's bytes: text id,
 *           u64 time_ms, u32 time_logical, text origin, u8 operation of the winner)
 * Feeds without entries are left out; deleted documents take part. */
#ifndef OSR_MODEL_DIGEST_H
#define OSR_MODEL_DIGEST_H

#include "model/entry.h"
#include "model/version.h"

struct osr_digest;

struct osr_digest_feed {
    struct osr_feed_id feed;
    uint64_t sequence;
    struct osr_hash chain;
};

/* Sorts `feeds`, leaves out the empty ones. */
struct osr_digest *osr_digest_create(struct osr_digest_feed *feeds, size_t count);
void osr_digest_destroy(struct osr_digest *digest); /* NULL is a no-op */
/* In ascending order of ids: asserted. */
void osr_digest_add(struct osr_digest *digest, struct osr_slice id,
                    const struct osr_version *winner, Osr__Operation operation);
struct osr_hash osr_digest_finish(struct osr_digest *digest);

#endif
