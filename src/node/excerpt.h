/* excerpt.h -- a run of committed entries of one feed, picked for a follower: from the first
 * one asked for up to a signed head.
 *
 * Records are offered in their order, entries and heads, from memory or from the log; the
 * excerpt ends at the furthest head within the bytes asked for, or, where the first head lies
 * beyond them, at that one. So both sources give the same. */
#ifndef OSR_NODE_EXCERPT_H
#define OSR_NODE_EXCERPT_H

#include "model/entry.h"
#include "model/message.h"

struct osr_excerpt_options {
    const struct osr_feed_id *feed; /* this and the key: as long as the excerpt */
    const struct osr_public_key *public_key;
    uint64_t first;
    uint64_t last; /* has a head, which is given here */
    size_t bytes_max;
    struct osr_hash last_chain;
    struct osr_signature last_signature;
};

struct osr_excerpt;

struct osr_excerpt *osr_excerpt_create(const struct osr_excerpt_options *options);
void osr_excerpt_destroy(struct osr_excerpt *excerpt); /* NULL is a no-op */

/* Both return true while more is wanted. The next entry in sequence; its record is copied
 * where `copy` is true, else it must outlive the excerpt. */
bool osr_excerpt_add_entry(struct osr_excerpt *excerpt, struct osr_slice record, bool copy);
bool osr_excerpt_add_head(struct osr_excerpt *excerpt, uint64_t sequence,
                          const struct osr_signature *signature);

/* The source failed: unless a head was met before, finish gives this error. */
void osr_excerpt_fail(struct osr_excerpt *excerpt, const struct osr_err *err);

/* What was picked, or NULL with err where no head was met or an entry could not be read. It
 * lives as long as the excerpt. */
Osr__Update *osr_excerpt_finish(struct osr_excerpt *excerpt, size_t *ret_bytes,
                                struct osr_err *err);

#endif
