/* entry.h -- feed entries: their stored form, their hashes, the chain.
 *
 * The entry form (format 1, proto/protocol.md "Entry form") is at once what is hashed and
 * what is stored. Integers are big-endian; a text is its length (u32) and its bytes.
 *
 *   stored  := u64 time_ms, u32 time_logical, u8 operation, document
 *   document := text id, text collection, text kind, u8 has_data, text data,
 *               u32 n, n * text tag, text author, u64 time_ms,
 *               u32 n, n * (u64 time_ms, u32 time_logical, text origin) supersedes,
 *               u64 expires_ms, u8 has_source,
 *               [text name, u64 position, 32 bytes digest, u64 occurrence]
 *   document_hash := SHA-256("osiris document 1\0" | document)
 *   entry_hash := SHA-256("osiris entry 1\0" | u32 format | text origin | text stream |
 *                 u64 epoch | u64 sequence | u64 time_ms | u32 time_logical |
 *                 u8 operation | document_hash)
 *   chain(0) := 32 zero bytes
 *   chain(n) := SHA-256("osiris chain 1\0" | chain(n-1) | entry_hash(n))
 *   head := "osiris head 1\0" | text cluster | text origin | text stream | u64 epoch |
 *           u64 sequence | chain        (signed with Ed25519 by the origin) */
#ifndef OSR_MODEL_ENTRY_H
#define OSR_MODEL_ENTRY_H

#include "model/clock.h"
#include "model/document.h"
#include "model/identity.h"

enum { OSR_ENTRY_FORMAT = 1, OSR_STORED_HEAD_SIZE = 13 };

/* Appends the stored form of an entry that was checked (osr_entry_check). */
void osr_entry_encode(struct osr_buffer *buffer, struct osr_time time, Osr__Operation operation,
                      const Osr__Document *document);

/* Reads the stored form; format and sequence are the caller's. The message and all in it
 * live in `arena` or point into `stored`. Fails with CORRUPT, or TOO_LARGE at the arena's cap. */
int osr_entry_decode(struct osr_slice stored, uint64_t sequence, struct osr_arena *arena,
                     Osr__Entry **ret_entry, struct osr_err *err);

/* The document's id in a stored form that is known to be one; points into it. */
static inline struct osr_slice osr_stored_id(struct osr_slice stored)
{
    const uint8_t *id = stored.data + OSR_STORED_HEAD_SIZE;
    return osr_slice(id + 4, osr_get_u32(id));
}

/* Of an entry that came from a peer: format, operation, time, document. */
int osr_entry_check(const Osr__Entry *entry, struct osr_err *err);

struct osr_hash osr_entry_hash(const struct osr_feed_id *feed, uint64_t sequence,
                               struct osr_slice stored);
struct osr_hash osr_chain_next(const struct osr_hash *previous, const struct osr_hash *entry_hash);
/* Appends what the origin signs. */
void osr_head_message(struct osr_buffer *buffer, const char *cluster,
                      const struct osr_feed_id *feed, uint64_t sequence,
                      const struct osr_hash *chain);

/* A run of entries of one feed, as they are stored: chain value and stored form of each.
 * Invariant: ends[i] is where entry i ends in bytes; entry i has sequence first + i. */
struct osr_batch {
    struct osr_feed_id feed;
    uint64_t first;
    size_t count;
    size_t *ends; /* capacity >= count */
    size_t capacity;
    struct osr_buffer bytes;
};

void osr_batch_done(struct osr_batch *batch);  /* frees; empty and valid after */
void osr_batch_clear(struct osr_batch *batch); /* empty, memory kept */
/* Appends one entry whose stored form has just been appended to batch->bytes behind the 32
 * bytes of its chain value. */
void osr_batch_close_entry(struct osr_batch *batch);
/* Chain value and stored form of entry i. */
struct osr_slice osr_batch_record(const struct osr_batch *batch, size_t i);
static inline struct osr_slice osr_record_stored(struct osr_slice record)
{
    return osr_slice(record.data + OSR_SHA256_SIZE, record.size - OSR_SHA256_SIZE);
}
static inline uint64_t osr_batch_last(const struct osr_batch *batch)
{
    return batch->first + batch->count - 1;
}

#endif
