#include "lib/full_document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/text.h"

void assert_hash(struct osr_hash hash, const char *hex)
{
    char text[2 * OSR_SHA256_SIZE + 1];
    osr_hex_encode(text, osr_slice(hash.bytes, sizeof(hash.bytes)));
    assert_string_equal(text, hex);
}

struct osr_hash hash_of(struct osr_slice bytes)
{
    return osr_sha256(&bytes, 1);
}

ProtobufCBinaryData text_bytes(const char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)(uintptr_t)text};
}

void full_document_init(struct full_document *full)
{
    osr__json__init(&full->data);
    full->data.text = text_bytes(VECTOR_DATA);
    full->tags[0] = "spanish";
    full->tags[1] = "numbers";
    osr__version__init(&full->version);
    full->version.time_ms = 1700000000001;
    full->version.time_logical = 2;
    full->version.origin = VECTOR_ORIGIN;
    full->supersedes[0] = &full->version;
    full->digest = hash_of(osr_slice_text(VECTOR_DATA));
    osr__source__init(&full->source);
    full->source.name = "kb_a.json";
    full->source.position = 7;
    full->source.digest = (ProtobufCBinaryData){OSR_SHA256_SIZE, full->digest.bytes};
    full->source.occurrence = 1;
    osr__document__init(&full->document);
    full->document.id = VECTOR_ID;
    full->document.collection = "facts";
    full->document.kind = "note";
    full->document.data = &full->data;
    full->document.n_tags = 2;
    full->document.tags = full->tags;
    full->document.author = "ada";
    full->document.time_ms = 1700000000000;
    full->document.n_supersedes = 1;
    full->document.supersedes = full->supersedes;
    full->document.expires_ms = 1800000000000;
    full->document.source = &full->source;
}

struct osr_feed_id vector_feed(void)
{
    struct osr_feed_id feed;
    assert_int_equal(osr_feed_id_make(&feed, VECTOR_ORIGIN, "kb", 1, NULL), 0);
    return feed;
}
