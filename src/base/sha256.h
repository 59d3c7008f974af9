/* sha256.h -- SHA-256 (FIPS 180-4) by libcrypto, with one reused context a thread: a new
 * one each time costs twice the hashing of a 256-byte item. */
#ifndef OSR_BASE_SHA256_H
#define OSR_BASE_SHA256_H

#include "base/bytes.h"

enum { OSR_SHA256_SIZE = 32 };

struct osr_hash {
    uint8_t bytes[OSR_SHA256_SIZE];
};

/* One hash over several pieces, as if they were one. */
struct osr_hash osr_sha256(const struct osr_slice *pieces, size_t count);

/* For input that comes bit by bit. */
struct osr_sha256_stream;
struct osr_sha256_stream *osr_sha256_stream_create(void);
void osr_sha256_stream_destroy(struct osr_sha256_stream *stream); /* NULL is a no-op */
void osr_sha256_stream_add(struct osr_sha256_stream *stream, const void *data, size_t size);
/* The hash of all that was added; the stream begins anew. */
struct osr_hash osr_sha256_stream_finish(struct osr_sha256_stream *stream);

static inline bool osr_hash_equal(const struct osr_hash *a, const struct osr_hash *b)
{
    return memcmp(a->bytes, b->bytes, sizeof(a->bytes)) == 0;
}

/* As long whatever they hold: for hashes of secrets, of which an asker must not learn how much
 * was right. */
bool osr_hash_equal_in_constant_time(const struct osr_hash *a, const struct osr_hash *b);

#endif
