/* feed_puppet.h -- a peer of the feed core, played by the test: it says what the test wants, true
 * or not, and has a feed of its own. */
#ifndef OSR_TESTS_FEED_PUPPET_H
#define OSR_TESTS_FEED_PUPPET_H

#include "lib/feed_rig.h"

struct puppet {
    uint32_t link;
    struct osr_public_key key;
    uint8_t boot;
    uint8_t nonce;
    char id[OSR_INSTANCE_CHARS + 1];
    const char *cluster;
    Osr__LinkPurpose purpose;
    struct osr_slice binding; /* that it signs */
    const char *stream;       /* that it speaks of; kb unless a test says otherwise */
    /* Its own feed in that stream, as it was sent so far. */
    struct osr_hash chain;
    uint64_t sequence;
};

/* Its key and boot are made of the number. */
struct puppet puppet_make(uint8_t number, uint32_t link);

/* ---- linking ---- */

void puppet_hello(struct rig *rig, const struct puppet *puppet, Osr__FeedHead **held,
                  size_t held_count);
/* Links it as far as its HELLO, which speaks of no feeds. */
void puppet_greet(struct rig *rig, const struct puppet *puppet, bool dialled);
void puppet_prove(struct rig *rig, const struct puppet *puppet);
Osr__FeedHead feed_head(const char *origin, const char *stream, uint64_t sequence);
/* Links a puppet that says it holds this much of a feed. */
void puppet_join_holding(struct rig *rig, const struct puppet *puppet, Osr__FeedHead head);
/* ... its own feed up to `sequence`. */
void puppet_join(struct rig *rig, const struct puppet *puppet, uint64_t sequence);
/* ... our own feed up to `sequence`. */
void puppet_join_claiming(struct rig *rig, const struct puppet *puppet, uint64_t sequence);
/* A new one that holds its own feed up to `sequence`. */
struct puppet puppet_joined(struct rig *rig, uint8_t number, uint32_t link, uint64_t sequence);
/* A new one that has asked for all of our own feed. */
struct puppet puppet_following(struct rig *rig, uint8_t number, uint32_t link);

/* ---- talking of feeds ---- */

/* Where no origin is given it is our own feed. */
void puppet_ack_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                   const char *stream, uint64_t sequence);
void puppet_ack(struct rig *rig, const struct puppet *puppet, uint64_t sequence);
void puppet_fetch_of(struct rig *rig, const struct puppet *puppet, const char *origin,
                     uint64_t from);
void puppet_fetch(struct rig *rig, const struct puppet *puppet, uint64_t from);

/* ---- sending entries ---- */

/* A batch as a peer sends it; everything may be changed before it is delivered. */
enum { BATCH_ENTRIES_MAX = 16 };

struct sent {
    Osr__Update update;
    Osr__Entry entries[BATCH_ENTRIES_MAX];
    Osr__Entry *pointers[BATCH_ENTRIES_MAX];
    Osr__Document documents[BATCH_ENTRIES_MAX];
    Osr__Json data;
    uint8_t text[2048];
    struct osr_public_key key;
    struct osr_hash chain;
    struct osr_signature signature;
    struct osr_feed_id feed;
};

struct sent *sent_make(const struct osr_public_key *key, const char *stream, uint64_t first,
                       size_t count, size_t bytes, uint64_t time_ms, struct osr_hash chain);
/* The entries' chain from what came before, and the origin's signature over its end. */
void sent_seal(struct sent *sent, struct osr_hash chain);
/* The next entries of the puppet's own feed. */
struct sent *puppet_next_batch(struct puppet *puppet, size_t count, size_t bytes);
void puppet_send_batch(struct rig *rig, uint32_t link, struct sent *sent);
void puppet_send_next(struct rig *rig, struct puppet *puppet, size_t count);

/* ---- what the log gave back ---- */

/* Two batches of a puppet's feed, of two entries each. */
struct restored_batches {
    struct sent *older;
    struct sent *newer;
    struct osr_feed_head older_head;
    struct osr_feed_restored feed;
};

struct restored_batches restored_two(struct puppet *puppet);
void restored_done(struct restored_batches *batches);
/* The number-th of many feeds whose origins nobody has ever seen. */
struct osr_feed_id made_up_feed(size_t number);

#endif
