#include "model/identity.h"

#include <stdio.h>

#include "base/text.h"
#include "model/form.h"

enum { INSTANCE_HASH_SIZE = 20 };
_Static_assert(INSTANCE_HASH_SIZE * 8 / 5 == OSR_INSTANCE_CHARS, "an id is its hash in base32");

static const char *const stream_names[OSR_STREAM_COUNT] = {
#define STREAM_ROW(name, text, meaning) text,
    OSR_STREAMS(STREAM_ROW)
#undef STREAM_ROW
};
#define CHECK_STREAM(name, text, meaning)                                                          \
    _Static_assert(sizeof(text) - 1 <= OSR_STREAM_CHARS_MAX, "the name of a stream fits its "      \
                                                             "place");
OSR_STREAMS(CHECK_STREAM)
#undef CHECK_STREAM

void osr_instance_id(char *id, const struct osr_public_key *key)
{
    const struct osr_slice pieces[] = {
        OSR_FORM_TAG("osiris instance 1"),
        osr_slice(key->bytes, sizeof(key->bytes)),
    };
    struct osr_hash hash = osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
    osr_base32_encode(id, osr_slice(hash.bytes, INSTANCE_HASH_SIZE));
}

bool osr_instance_id_is_valid(const char *id)
{
    return strspn(id, "abcdefghijklmnopqrstuvwxyz234567") == OSR_INSTANCE_CHARS &&
           id[OSR_INSTANCE_CHARS] == '\0';
}

const char *osr_feed_stream_name(enum osr_feed_stream stream)
{
    return stream_names[stream];
}

bool osr_feed_stream_find(const char *name, enum osr_feed_stream *ret_stream)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        if (strcmp(name, stream_names[i]) == 0) {
            *ret_stream = (enum osr_feed_stream)i;
            return true;
        }
    }
    return false;
}

int osr_feed_id_make(struct osr_feed_id *ret_id, const char *origin, const char *stream,
                     uint64_t epoch, struct osr_err *err)
{
    if (!osr_instance_id_is_valid(origin)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "origin: not an instance id");
    }
    enum osr_feed_stream known;
    if (!osr_feed_stream_find(stream, &known)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "stream: not known to this build");
    }
    if (epoch == 0) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "epoch: is 0, and counts from 1");
    }
    *ret_id = (struct osr_feed_id){.epoch = epoch};
    snprintf(ret_id->origin, sizeof(ret_id->origin), "%s", origin);
    snprintf(ret_id->stream, sizeof(ret_id->stream), "%s", stream);
    return 0;
}

bool osr_feed_id_equal(const struct osr_feed_id *a, const struct osr_feed_id *b)
{
    return osr_feed_id_compare(a, b) == 0;
}

int osr_feed_id_compare(const struct osr_feed_id *a, const struct osr_feed_id *b)
{
    int order = strcmp(a->origin, b->origin);
    if (order == 0) {
        order = strcmp(a->stream, b->stream);
    }
    if (order == 0 && a->epoch != b->epoch) {
        order = a->epoch < b->epoch ? -1 : 1;
    }
    return order;
}

void osr_proof_message(struct osr_buffer *buffer, const char *signer, const uint8_t *signer_nonce,
                       const char *other, const uint8_t *other_nonce, struct osr_slice binding)
{
    struct osr_slice tag = OSR_FORM_TAG("osiris proof 1");
    osr_buffer_add(buffer, tag.data, tag.size);
    osr_form_add_text(buffer, signer);
    osr_buffer_add(buffer, signer_nonce, OSR_NONCE_SIZE);
    osr_form_add_text(buffer, other);
    osr_buffer_add(buffer, other_nonce, OSR_NONCE_SIZE);
    osr_form_add_slice(buffer, binding);
}
