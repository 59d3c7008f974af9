/* identity.h -- who an instance is, and which feed is meant.
 *
 * An instance's id is the first 20 bytes of SHA-256("osiris instance 1\0" | public key), in
 * base32: 32 characters, self-certifying. */
#ifndef OSR_MODEL_IDENTITY_H
#define OSR_MODEL_IDENTITY_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

enum {
    OSR_INSTANCE_CHARS = 32,
    OSR_STREAM_CHARS_MAX = 15,
    OSR_PUBLIC_KEY_SIZE = 32, /* Ed25519 */
    OSR_SIGNATURE_SIZE = 64,
    OSR_NONCE_SIZE = 32,
    OSR_BOOT_SIZE = 16,
    OSR_BINDING_BYTES_MAX = 32, /* of a channel binding */
};

struct osr_public_key {
    uint8_t bytes[OSR_PUBLIC_KEY_SIZE];
};
struct osr_signature {
    uint8_t bytes[OSR_SIGNATURE_SIZE];
};

/* Writes OSR_INSTANCE_CHARS characters and a NUL. */
void osr_instance_id(char *id, const struct osr_public_key *key);
bool osr_instance_id_is_valid(const char *id); /* form only */

/* What an instance writes goes into a feed of its own for each stream.
 * X(NAME, how it is written, what its entries are) */
#define OSR_STREAMS(X)                                                                             \
    X(KB, "kb", "documents of the knowledge base")                                                 \
    X(TRUST, "trust", "who belongs to the cluster, and who does not any more")

enum osr_feed_stream {
#define OSR_STREAM_ENUM(name, text, meaning) OSR_STREAM_##name,
    OSR_STREAMS(OSR_STREAM_ENUM)
#undef OSR_STREAM_ENUM
        OSR_STREAM_COUNT,
};

const char *osr_feed_stream_name(enum osr_feed_stream stream);
/* False where this build knows no stream of that name. */
bool osr_feed_stream_find(const char *name, enum osr_feed_stream *ret_stream);

struct osr_feed_id {
    char origin[OSR_INSTANCE_CHARS + 1];
    char stream[OSR_STREAM_CHARS_MAX + 1];
    uint64_t epoch; /* 1.. */
};

/* Checks form: valid origin, a stream this build knows, epoch > 0. */
int osr_feed_id_make(struct osr_feed_id *ret_id, const char *origin, const char *stream,
                     uint64_t epoch, struct osr_err *err);
bool osr_feed_id_equal(const struct osr_feed_id *a, const struct osr_feed_id *b);
int osr_feed_id_compare(const struct osr_feed_id *a, const struct osr_feed_id *b);

/* What a HELLO_PROOF signs: "osiris proof 1\0" | text signer's id | signer's nonce |
 * text other's id | other's nonce | text channel binding (empty in plaintext), where a text is
 * its length (u32) and its bytes. Appended to `buffer`. */
void osr_proof_message(struct osr_buffer *buffer, const char *signer, const uint8_t *signer_nonce,
                       const char *other, const uint8_t *other_nonce, struct osr_slice binding);

#endif
