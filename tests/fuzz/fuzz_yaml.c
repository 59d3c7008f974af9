/* Values and frames in YAML: what is read is written so that it is read as the same again, and JSON
 * survives as YAML byte for byte. */
#include "frames.h"

#include "base/json_scan.h"
#include "model/limits.h"

enum { CAP = 64 << 20, JSON_BYTES_MAX = 1 << 20 };

static struct osr_slice text_of(const ProtobufCMessage *message)
{
    const Osr__Json *json = (const Osr__Json *)message;
    return osr_slice(json->text.data, json->text.len);
}

/* JSON text as YAML and back: the very same. */
static void must_come_back(struct osr_slice json, struct osr_arena *arena)
{
    struct osr_buffer yaml = {0};
    Osr__Json value = OSR__JSON__INIT;
    value.text.data = (uint8_t *)json.data;
    value.text.len = json.size;
    osr_message_encode(OSR_CODEC_YAML, &value.base, &yaml);
    ProtobufCMessage *again = NULL;
    MUST(osr_message_decode(OSR_CODEC_YAML, &osr__json__descriptor, osr_buffer_slice(&yaml), arena,
                            &again, NULL) == 0);
    MUST(osr_slice_equal(text_of(again), json));
    osr_buffer_done(&yaml);
}

/* The input as JSON text, where it is one of those that data may be. */
static void check_json(struct osr_slice text, struct osr_arena *arena)
{
    struct osr_buffer compact = {0};
    if (osr_json_compact(&compact, text, NULL) == 0 &&
        osr_json_check(osr_buffer_slice(&compact), OSR_DATA_DEPTH_MAX, NULL) == 0 &&
        compact.size <= JSON_BYTES_MAX) {
        must_come_back(osr_buffer_slice(&compact), arena);
    }
    osr_buffer_done(&compact);
}

/* The input as YAML. */
static void check_value(struct osr_slice text, struct osr_arena *arena)
{
    ProtobufCMessage *value = NULL;
    if (osr_message_decode(OSR_CODEC_YAML, &osr__json__descriptor, text, arena, &value, NULL) ==
        0) {
        MUST(osr_json_check(text_of(value), OSR_JSON_DEPTH_MAX, NULL) == 0);
        must_come_back(text_of(value), arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_slice text = osr_slice(data, size);
    struct osr_arena *arena = osr_arena_create(0, CAP);
    check_json(text, arena);
    check_value(text, arena);
    osr_arena_destroy(arena);
    check_frame(OSR_CODEC_YAML, text);
    return 0;
}
