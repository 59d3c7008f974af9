/* The JSON scanner and frames in JSON. */
#include "frames.h"

#include "base/json_scan.h"
#include "base/text.h"

static bool scans(struct osr_slice text)
{
    struct osr_json json;
    osr_json_init(&json, text);
    enum osr_json_token token;
    do {
        token = osr_json_next(&json, NULL);
        MUST(json.at <= text.size && json.depth >= 0 && json.depth <= OSR_JSON_DEPTH_MAX);
    } while (token != OSR_JSON_END && token != OSR_JSON_ERROR);
    MUST(osr_json_next(&json, NULL) == token);
    return token == OSR_JSON_END;
}

/* The compact form of a text is itself compact, and so is its form in ASCII. */
static void check_compact(struct osr_slice text)
{
    struct osr_buffer compact = {0};
    struct osr_buffer ascii = {0};
    bool is_valid = scans(text);
    MUST((osr_json_compact(&compact, text, NULL) == 0) == is_valid);
    MUST(compact.size <= text.size);
    if (is_valid) {
        struct osr_slice form = osr_buffer_slice(&compact);
        MUST(osr_utf8_is_valid(text));
        MUST(osr_json_check(form, OSR_JSON_DEPTH_MAX, NULL) == 0);
        osr_json_to_ascii(&ascii, form);
        MUST(osr_json_check(osr_buffer_slice(&ascii), OSR_JSON_DEPTH_MAX, NULL) == 0);
        for (size_t i = 0; i < ascii.size; i++) {
            MUST(ascii.data[i] < 0x7f);
        }
    }
    osr_buffer_done(&compact);
    osr_buffer_done(&ascii);
}

/* A stream cuts a whole object or array off just where it ends. */
static void check_split(struct osr_slice text)
{
    struct osr_json json;
    osr_json_init(&json, text);
    enum osr_json_token first = osr_json_next(&json, NULL);
    if ((first == OSR_JSON_OBJECT || first == OSR_JSON_ARRAY) &&
        osr_json_skip(&json, first, NULL) == 0) {
        struct osr_json_split split = {0};
        size_t length = 0;
        MUST(osr_json_split(&split, text, &length, NULL) == 0);
        MUST(length == json.at);
    }
}

/* Whatever text a string stands for, quoting it gives a string that stands for the same. */
static void check_quote(struct osr_slice text)
{
    struct osr_buffer plain = {0};
    struct osr_buffer quoted = {0};
    struct osr_json json;
    osr_json_init(&json, text);
    if (osr_json_next(&json, NULL) == OSR_JSON_STRING &&
        osr_json_unescape(&plain, json.text, NULL) == 0) {
        struct osr_buffer again = {0};
        osr_json_quote(&quoted, osr_buffer_slice(&plain), text.size % 2 == 0);
        osr_json_init(&json, osr_buffer_slice(&quoted));
        MUST(osr_json_next(&json, NULL) == OSR_JSON_STRING);
        MUST(osr_json_unescape(&again, json.text, NULL) == 0);
        MUST(osr_slice_equal(osr_buffer_slice(&plain), osr_buffer_slice(&again)));
        osr_buffer_done(&again);
    }
    osr_buffer_done(&plain);
    osr_buffer_done(&quoted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_slice text = osr_slice(data, size);
    check_compact(text);
    check_split(text);
    check_quote(text);
    check_frame(OSR_CODEC_JSON, text);
    return 0;
}
