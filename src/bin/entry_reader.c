#include "bin/entry_reader.h"

#include <assert.h>
#include <inttypes.h>

#include "base/text.h"
#include "model/limits.h"
#include "wire/codec.h"

enum {
    SAMPLE_BYTES = 64 << 10,
    /* One entry with the white space in it: stops a value without an end from filling memory. */
    RAW_BYTES_MAX = OSR_FRAME_BYTES_MAX,
};

static const char byte_order_mark[] = "\xef\xbb\xbf";
enum { BYTE_ORDER_MARK_SIZE = sizeof(byte_order_mark) - 1 };

void osr_entry_reader_init(struct osr_entry_reader *reader, enum osr_entry_form form)
{
    *reader =
        (struct osr_entry_reader){.form = form, .detected = form == OSR_ENTRY_DETECT, .line = 1};
}

void osr_entry_reader_done(struct osr_entry_reader *reader)
{
    osr_buffer_done(&reader->input);
    osr_buffer_done(&reader->entry);
    osr_arena_destroy(reader->arena);
}

static struct osr_slice unread(const struct osr_entry_reader *reader)
{
    size_t left = reader->input.size - reader->consumed;
    return left == 0 ? osr_slice(NULL, 0) : osr_slice(reader->input.data + reader->consumed, left);
}

uint8_t *osr_entry_reader_room(struct osr_entry_reader *reader, size_t size)
{
    /* Each byte is moved at most about once: only where as much was consumed before it. */
    if (unread(reader).size <= reader->consumed) {
        osr_buffer_consume(&reader->input, reader->consumed);
        reader->consumed = 0;
    }
    return osr_buffer_reserve(&reader->input, size);
}

void osr_entry_reader_added(struct osr_entry_reader *reader, size_t size)
{
    assert(!reader->ended);
    reader->input.size += size;
}

void osr_entry_reader_end(struct osr_entry_reader *reader)
{
    reader->ended = true;
}

void osr_entry_reader_decide(struct osr_entry_reader *reader)
{
    reader->decide_now = true;
}

/* ---- which form ---- */

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static struct osr_slice without_leading_space(struct osr_slice text)
{
    size_t at = 0;
    while (at < text.size && is_space(text.data[at])) {
        at++;
    }
    return at == text.size ? osr_slice(NULL, 0) : osr_slice(text.data + at, text.size - at);
}

/* Takes the first line off `text`; false where it has none that is complete. */
static bool take_line(struct osr_slice *text, bool is_whole, struct osr_slice *ret_line)
{
    if (text->size == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->size);
    if (end == NULL && !is_whole) {
        return false;
    }
    size_t size = end == NULL ? text->size : (size_t)(end - text->data);
    *ret_line = osr_slice(text->data, size);
    size_t passed = end == NULL ? size : size + 1;
    *text = osr_slice(text->data + passed, text->size - passed);
    return true;
}

static bool is_json(struct osr_slice text)
{
    struct osr_json json;
    osr_json_init(&json, text);
    enum osr_json_token token;
    do {
        token = osr_json_next(&json, NULL);
    } while (token != OSR_JSON_END && token != OSR_JSON_ERROR);
    return token == OSR_JSON_END;
}

/* True where each complete line that is not blank is a JSON value, and there is one. */
static bool all_lines_are_json(struct osr_slice sample, bool is_whole)
{
    bool any = false;
    struct osr_slice line;
    while (take_line(&sample, is_whole, &line)) {
        if (without_leading_space(line).size == 0) {
            continue;
        }
        if (!is_json(line)) {
            return false;
        }
        any = true;
    }
    return any;
}

/* `sample`: the beginning of the input; `is_whole`: there is no more. */
static enum osr_entry_form detect(struct osr_slice sample, bool is_whole)
{
    sample = without_leading_space(sample);
    if (sample.size == 0) {
        return OSR_ENTRY_LINES;
    }
    struct osr_slice rest = sample, line;
    bool has_line = take_line(&rest, is_whole, &line);
    switch (sample.data[0]) {
    case '{':
        return OSR_ENTRY_VALUES;
    case '[':
        return has_line && is_json(line) && without_leading_space(rest).size > 0 ? OSR_ENTRY_VALUES
                                                                                 : OSR_ENTRY_ARRAY;
    case '"':
        return !has_line || is_json(line) ? OSR_ENTRY_VALUES : OSR_ENTRY_LINES;
    default:
        return all_lines_are_json(sample, is_whole) ? OSR_ENTRY_VALUES : OSR_ENTRY_LINES;
    }
}

/* ---- entries ---- */

/* Passes over bytes and counts the lines that end in them. */
static void advance(struct osr_entry_reader *reader, size_t size)
{
    const uint8_t *at = reader->input.data + reader->consumed;
    const uint8_t *end = at + size;
    while (at < end && (at = memchr(at, '\n', (size_t)(end - at))) != NULL) {
        reader->line++;
        at++;
    }
    reader->consumed += size;
    reader->scanned = 0;
}

static void pass_space(struct osr_entry_reader *reader)
{
    struct osr_slice left = unread(reader);
    size_t at = 0;
    while (at < left.size && is_space(left.data[at])) {
        at++;
    }
    if (at > 0) {
        advance(reader, at);
    }
}

/* False while more input is needed to tell. */
static bool pass_byte_order_mark(struct osr_entry_reader *reader)
{
    struct osr_slice left = unread(reader);
    size_t size = left.size < BYTE_ORDER_MARK_SIZE ? left.size : BYTE_ORDER_MARK_SIZE;
    bool matches = size > 0 && memcmp(left.data, byte_order_mark, size) == 0;
    if (matches && size == BYTE_ORDER_MARK_SIZE) {
        advance(reader, size);
    }
    return !matches || size == BYTE_ORDER_MARK_SIZE || reader->ended;
}

/* False while more input is needed to tell the form. */
static bool begin(struct osr_entry_reader *reader)
{
    if (reader->place != OSR_ENTRY_AT_BEGIN) {
        return true;
    }
    struct osr_slice left = unread(reader);
    if (left.size == 0) {
        return false;
    }
    if (reader->form == OSR_ENTRY_DETECT) {
        bool has_line = memchr(left.data, '\n', left.size) != NULL;
        bool enough =
            reader->ended || left.size >= SAMPLE_BYTES || (reader->decide_now && has_line);
        if (!enough) {
            return false;
        }
    }
    if (!pass_byte_order_mark(reader)) {
        return false;
    }
    if (reader->form == OSR_ENTRY_DETECT) {
        reader->form = detect(unread(reader), reader->ended);
    }
    reader->place = reader->form == OSR_ENTRY_ARRAY ? OSR_ENTRY_AT_OPEN : OSR_ENTRY_AT_VALUE;
    return true;
}

/* From the quote at the front to the one that ends the string. */
static size_t measure_string(struct osr_entry_reader *reader, struct osr_slice left)
{
    size_t at = reader->scanned > 0 ? reader->scanned : 1;
    while (at < left.size && left.data[at] != '"') {
        if (left.data[at] == '\\' && at + 1 == left.size) {
            break;
        }
        at += left.data[at] == '\\' ? 2 : 1;
    }
    reader->scanned = at;
    return at < left.size && left.data[at] == '"' ? at + 1 : 0;
}

/* Numbers and literals end where something else begins. */
static size_t measure_scalar(struct osr_entry_reader *reader, struct osr_slice left)
{
    bool in_array = reader->form == OSR_ENTRY_ARRAY;
    size_t at = reader->scanned;
    while (at < left.size && !is_space(left.data[at]) &&
           !(in_array && (left.data[at] == ',' || left.data[at] == ']'))) {
        at++;
    }
    reader->scanned = at;
    return at < left.size || reader->ended ? at : 0;
}

/* The length of the value at the front, 0 where its end has not come. */
static int measure_value(struct osr_entry_reader *reader, size_t *ret_length, struct osr_err *err)
{
    struct osr_slice left = unread(reader);
    *ret_length = 0;
    if (left.data[0] == '{' || left.data[0] == '[') {
        return osr_json_split(&reader->split, left, ret_length, err);
    }
    *ret_length = left.data[0] == '"' ? measure_string(reader, left) : measure_scalar(reader, left);
    return OSR_OK;
}

static int refuse_long(struct osr_err *err)
{
    return osr_err_set(err, OSR_TOO_LARGE, "a document's data has at most %d bytes",
                       OSR_DATA_BYTES_MAX);
}

static int give_out(struct osr_entry_reader *reader, size_t raw_size, struct osr_slice *ret_data,
                    struct osr_err *err)
{
    if (reader->entry.size > OSR_DATA_BYTES_MAX) {
        return refuse_long(err);
    }
    advance(reader, raw_size);
    reader->count++;
    *ret_data = osr_buffer_slice(&reader->entry);
    return OSR_OK;
}

/* The value that begins at the front. */
static int take_value(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                      struct osr_err *err)
{
    struct osr_slice left = unread(reader);
    if (reader->form == OSR_ENTRY_ARRAY && (left.data[0] == ',' || left.data[0] == ']')) {
        return osr_err_set(err, OSR_MALFORMED, "a value is missing");
    }
    size_t length;
    int code = measure_value(reader, &length, err);
    if (code != OSR_OK) {
        return code;
    }
    if ((length > 0 ? length : left.size) > RAW_BYTES_MAX) {
        return refuse_long(err);
    }
    if (length == 0 && !reader->ended) {
        return OSR_OK;
    }
    if (length == 0) {
        return osr_err_set(err, OSR_MALFORMED, "the value does not end");
    }
    reader->entry.size = 0;
    code = osr_json_compact(&reader->entry, osr_slice(left.data, length), err);
    if (code != OSR_OK) {
        return code;
    }
    reader->place =
        reader->form == OSR_ENTRY_ARRAY ? OSR_ENTRY_AT_COMMA_OR_CLOSE : OSR_ENTRY_AT_VALUE;
    return give_out(reader, length, ret_data, err);
}

/* Takes the byte that stands between values. */
static int take_mark(struct osr_entry_reader *reader, uint8_t mark, struct osr_err *err)
{
    enum osr_entry_place place = reader->place;
    bool is_closable = place == OSR_ENTRY_AT_VALUE_OR_CLOSE || place == OSR_ENTRY_AT_COMMA_OR_CLOSE;
    if (place == OSR_ENTRY_AT_OPEN && mark == '[') {
        reader->place = OSR_ENTRY_AT_VALUE_OR_CLOSE;
    } else if (place == OSR_ENTRY_AT_COMMA_OR_CLOSE && mark == ',') {
        reader->place = OSR_ENTRY_AT_VALUE;
    } else if (is_closable && mark == ']') {
        reader->place = OSR_ENTRY_AT_END;
    } else if (place == OSR_ENTRY_AT_OPEN) {
        return osr_err_set(err, OSR_MALFORMED, "no array begins here");
    } else if (place == OSR_ENTRY_AT_END) {
        return osr_err_set(err, OSR_MALFORMED, "something stands behind the array");
    } else {
        return osr_err_set(err, OSR_MALFORMED, "',' or ']' is wanted behind a value");
    }
    advance(reader, 1);
    return OSR_OK;
}

static int next_in_array(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                         struct osr_err *err)
{
    for (;;) {
        pass_space(reader);
        struct osr_slice left = unread(reader);
        if (left.size == 0) {
            break;
        }
        bool may_be_value = reader->place == OSR_ENTRY_AT_VALUE ||
                            (reader->place == OSR_ENTRY_AT_VALUE_OR_CLOSE && left.data[0] != ']');
        if (may_be_value) {
            return take_value(reader, ret_data, err);
        }
        int code = take_mark(reader, left.data[0], err);
        if (code != OSR_OK) {
            return code;
        }
    }
    if (reader->ended && reader->place != OSR_ENTRY_AT_END) {
        return osr_err_set(err, OSR_MALFORMED, "the array does not end");
    }
    return OSR_OK;
}

static int next_value(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                      struct osr_err *err)
{
    pass_space(reader);
    return unread(reader).size == 0 ? OSR_OK : take_value(reader, ret_data, err);
}

static bool is_gzip(struct osr_slice line)
{
    return line.size >= 2 && line.data[0] == 0x1f && line.data[1] == 0x8b;
}

static int take_line_as_string(struct osr_entry_reader *reader, struct osr_slice line,
                               size_t raw_size, struct osr_slice *ret_data, struct osr_err *err)
{
    if (line.size > 0 && line.data[line.size - 1] == '\r') {
        line.size--;
    }
    if (line.size > OSR_DATA_BYTES_MAX) {
        return refuse_long(err);
    }
    if (!osr_utf8_is_valid(line)) {
        osr_err_set(err, OSR_MALFORMED, "the text is not UTF-8");
        osr_err_hint(err, is_gzip(line)
                              ? "the file is compressed: unpack it first, for example with gunzip"
                              : "convert it, for example with iconv -f latin1 -t utf-8");
        return OSR_MALFORMED;
    }
    reader->entry.size = 0;
    osr_json_quote(&reader->entry, line, false);
    return give_out(reader, raw_size, ret_data, err);
}

/* The next line that is not blank. */
static int next_line(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                     struct osr_err *err)
{
    for (;;) {
        struct osr_slice left = unread(reader);
        if (left.size == 0) {
            return OSR_OK;
        }
        const uint8_t *end = memchr(left.data + reader->scanned, '\n', left.size - reader->scanned);
        if (end == NULL && !reader->ended) {
            reader->scanned = left.size;
            return left.size > RAW_BYTES_MAX ? refuse_long(err) : OSR_OK;
        }
        size_t size = end == NULL ? left.size : (size_t)(end - left.data);
        size_t raw_size = end == NULL ? size : size + 1;
        struct osr_slice line = osr_slice(left.data, size);
        if (without_leading_space(line).size > 0) {
            return take_line_as_string(reader, line, raw_size, ret_data, err);
        }
        advance(reader, raw_size);
    }
}

static int take_document(struct osr_entry_reader *reader, size_t size, struct osr_slice *ret_data,
                         struct osr_err *err)
{
    if (reader->arena == NULL) {
        reader->arena = osr_arena_create(RAW_BYTES_MAX, OSR_DECODE_BYTES_MAX);
    }
    osr_arena_reset(reader->arena);
    ProtobufCMessage *message;
    struct osr_slice document = osr_slice(unread(reader).data, size);
    int code = osr_message_decode(OSR_CODEC_YAML, &osr__json__descriptor, document, reader->arena,
                                  &message, err);
    if (code != OSR_OK) {
        return code;
    }
    const Osr__Json *json = (const Osr__Json *)message;
    reader->entry.size = 0;
    osr_buffer_add(&reader->entry, json->text.data, json->text.len);
    return give_out(reader, size, ret_data, err);
}

/* The next document in which there is something. */
static int next_document(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                         struct osr_err *err)
{
    size_t passed;
    size_t length;
    do {
        osr_yaml_split(&reader->documents, unread(reader), &passed, &length);
        if (passed > 0) {
            advance(reader, passed);
        }
    } while (passed > 0);
    size_t left = unread(reader).size;
    if ((length > 0 ? length : left) > RAW_BYTES_MAX) {
        return refuse_long(err);
    }
    if (length == 0 && reader->ended && osr_yaml_split_has_rest(&reader->documents)) {
        length = left;
        reader->documents = (struct osr_yaml_split){0};
    }
    return length > 0 ? take_document(reader, length, ret_data, err) : OSR_OK;
}

/* Says where it is wrong, and what it may be instead. */
static void explain(const struct osr_entry_reader *reader, struct osr_err *err)
{
    if (reader->detected && reader->form != OSR_ENTRY_LINES && err->code == OSR_MALFORMED) {
        osr_err_hint(err, "mend it; or, if it is no JSON at all, --format text takes each line");
    }
    if (err->code == OSR_TOO_LARGE) {
        osr_err_hint(err, "make several smaller entries of it, or take it out");
    }
    bool has_lines = reader->form == OSR_ENTRY_DOCUMENTS; /* counted from its own begin */
    osr_err_prefix(err,
                   has_lines ? "entry %" PRIu64 ", which begins in line %" PRIu64
                             : "entry %" PRIu64 ", line %" PRIu64,
                   reader->count + 1, reader->line);
}

int osr_entry_reader_next(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                          struct osr_err *err)
{
    *ret_data = osr_slice(NULL, 0);
    if (!begin(reader)) {
        return OSR_OK;
    }
    int code = OSR_OK;
    if (reader->form == OSR_ENTRY_ARRAY) {
        code = next_in_array(reader, ret_data, err);
    } else if (reader->form == OSR_ENTRY_VALUES) {
        code = next_value(reader, ret_data, err);
    } else if (reader->form == OSR_ENTRY_DOCUMENTS) {
        code = next_document(reader, ret_data, err);
    } else {
        code = next_line(reader, ret_data, err);
    }
    if (code != OSR_OK && err != NULL) {
        explain(reader, err);
    }
    return code;
}
