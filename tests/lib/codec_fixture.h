/* codec_fixture.h -- frames to be decoded and encoded again, for tests of the codec. */
#ifndef OSR_TESTS_CODEC_FIXTURE_H
#define OSR_TESTS_CODEC_FIXTURE_H

#include "lib/random_message.h"
#include "model/limits.h"

/* Bytes of a literal, those behind a NUL too. */
#define TEXT(literal) osr_slice(literal, sizeof(literal) - 1)
#define COUNT(array)  (sizeof(array) / sizeof((array)[0]))

struct codec_fixture {
    struct message_maker maker;
    struct osr_arena *arena; /* for what is decoded */
    struct osr_buffer bytes;
    struct osr_buffer again;
    struct osr_err err;
    Osr__Frame *frame; /* decoded */
    uint64_t request_id;
};

/* For cmocka. */
int codec_set_up(void **state);
int codec_tear_down(void **state);

/* Decodes to fixture->frame, and returns the code. */
int codec_decode(struct codec_fixture *fixture, enum osr_codec codec, struct osr_slice bytes);
/* Encodes the decoded frame as JSON and expects this text. */
void assert_encodes_as(struct codec_fixture *fixture, const char *text);

/* ---- protobuf by hand ---- */

/* Appends a field whose value is bytes: a text or a message. */
void codec_add_field(struct osr_buffer *buffer, uint32_t id, struct osr_slice bytes);
/* Wraps the innermost bytes into a field, and that into the next, ...; ids end with 0. Lives until
 * the next call. */
struct osr_slice codec_wrapped(struct codec_fixture *fixture, const uint32_t *ids,
                               struct osr_slice inner);
#define WRAPPED(inner, ...) codec_wrapped(fixture, (const uint32_t[]){__VA_ARGS__, 0}, inner)

/* Ids of fields, from the .proto files. */
enum {
    UPDATE = 12,
    UPDATE_ENTRIES = 5,
    ENTRY_DOCUMENT = 6,
    PING = 15,
    UPDATE_KB = 18,
    KB_PUT = 30,
    PUT_DOCUMENT = 1,
    DOCUMENT_ID = 1,
    DOCUMENT_DATA = 4,
    JSON_TEXT = 1,
    KB_LIST_REPLY = 41,
    LIST_DOCUMENTS = 1,
    UNKNOWN = 2000,
};

#endif
