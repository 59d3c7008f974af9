#include "base/json_scan.h"

#include "base/text.h"

/* What may come next. */
enum expect {
    EXPECT_VALUE,
    EXPECT_VALUE_OR_END, /* behind [ */
    EXPECT_NAME,
    EXPECT_NAME_OR_END,  /* behind { */
    EXPECT_COMMA_OR_END, /* behind a value within an object or array */
    EXPECT_NOTHING,      /* behind the whole value */
};

/* ---- looking at eight bytes at once ---- */

#define EACH_BYTE(byte) (0x0101010101010101u * (byte))

/* The high bit of the first byte that is zero is set (and maybe of later ones). */
static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

static uint64_t quotes_and_backslashes(uint64_t word)
{
    return zero_bytes(word ^ EACH_BYTE('"')) | zero_bytes(word ^ EACH_BYTE('\\'));
}

static uint64_t controls(uint64_t word)
{
    return (word - EACH_BYTE(0x20)) & ~word & EACH_BYTE(0x80);
}

static uint64_t load(const uint8_t *at)
{
    uint64_t word;
    memcpy(&word, at, sizeof(word));
    return word;
}

/* Where the first byte stands that does not stand for itself within a JSON string: quote,
 * backslash, control character, or beyond ASCII. */
static size_t pass_plain(struct osr_slice input, size_t at)
{
    while (input.size - at >= 8) {
        uint64_t word = load(input.data + at);
        if ((quotes_and_backslashes(word) | controls(word) | (word & EACH_BYTE(0x80))) != 0) {
            break;
        }
        at += 8;
    }
    while (at < input.size && input.data[at] >= 0x20 && input.data[at] < 0x80 &&
           input.data[at] != '"' && input.data[at] != '\\') {
        at++;
    }
    return at;
}

static size_t pass_to_quote_or_backslash(struct osr_slice input, size_t at)
{
    while (input.size - at >= 8 && quotes_and_backslashes(load(input.data + at)) == 0) {
        at += 8;
    }
    while (at < input.size && input.data[at] != '"' && input.data[at] != '\\') {
        at++;
    }
    return at;
}

static bool is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

/* ---- escapes ---- */

static bool is_high_surrogate(uint32_t character)
{
    return character >= 0xd800 && character <= 0xdbff;
}

static bool is_low_surrogate(uint32_t character)
{
    return character >= 0xdc00 && character <= 0xdfff;
}

static bool is_odd(uint32_t character)
{
    return character == 0 || is_high_surrogate(character) || is_low_surrogate(character);
}

/* Reads \uXXXX; false where it is anything else. */
static bool read_unit(const uint8_t *at, size_t left, uint32_t *ret_unit)
{
    if (left < 6 || at[0] != '\\' || at[1] != 'u') {
        return false;
    }
    uint32_t unit = 0;
    for (size_t i = 2; i < 6; i++) {
        uint8_t lower = at[i] | 0x20;
        bool is_letter = lower >= 'a' && lower <= 'f';
        if (!is_letter && !is_digit(at[i])) {
            return false;
        }
        unit = unit << 4 | (uint32_t)(is_letter ? lower - 'a' + 10 : at[i] - '0');
    }
    *ret_unit = unit;
    return true;
}

/* Reads the escape at a backslash: its length and character, which is a surrogate where one
 * stands alone. 0 where it is malformed. */
static size_t read_escape(const uint8_t *at, size_t left, uint32_t *ret_character)
{
    if (left < 2) {
        return 0;
    }
    if (at[1] == 'u') {
        uint32_t high, low;
        if (!read_unit(at, left, &high)) {
            return 0;
        }
        if (is_high_surrogate(high) && read_unit(at + 6, left - 6, &low) && is_low_surrogate(low)) {
            *ret_character = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
            return 12;
        }
        *ret_character = high;
        return 6;
    }
    static const char escapes[] = "\"\\/bfnrt";
    static const char characters[] = "\"\\/\b\f\n\r\t";
    const char *escape = memchr(escapes, at[1], sizeof(escapes) - 1);
    if (escape == NULL) {
        return 0;
    }
    *ret_character = (uint32_t)characters[escape - escapes];
    return 2;
}

/* ---- scanner ---- */

void osr_json_init(struct osr_json *json, struct osr_slice input)
{
    *json = (struct osr_json){.input = input, .expect = EXPECT_VALUE};
}

static int peek(const struct osr_json *json)
{
    return json->at < json->input.size ? json->input.data[json->at] : -1;
}

static void pass_spaces(struct osr_json *json)
{
    while (json->at < json->input.size && is_space(json->input.data[json->at])) {
        json->at++;
        json->spaced = true;
    }
}

static enum osr_json_token fail(const struct osr_json *json, struct osr_err *err,
                                const char *expected)
{
    int found = peek(json);
    if (found < 0) {
        osr_err_set(err, OSR_MALFORMED, "JSON ends at byte %zu where %s should stand", json->at,
                    expected);
    } else {
        osr_err_set(err, OSR_MALFORMED, "JSON has '%c' at byte %zu where %s should stand", found,
                    json->at, expected);
    }
    return OSR_JSON_ERROR;
}

static bool is_in_object(const struct osr_json *json)
{
    int level = json->depth - 1;
    return (json->kinds[level / 8] >> level % 8 & 1) != 0;
}

static enum osr_json_token begin_nested(struct osr_json *json, bool is_object, struct osr_err *err)
{
    if (json->depth == OSR_JSON_DEPTH_MAX) {
        osr_err_set(err, OSR_TOO_LARGE, "JSON is nested deeper than %d at byte %zu",
                    OSR_JSON_DEPTH_MAX, json->at);
        return OSR_JSON_ERROR;
    }
    int level = json->depth++;
    if (json->depth > json->deepest) {
        json->deepest = json->depth;
    }
    uint8_t bit = (uint8_t)(1 << level % 8);
    if (is_object) {
        json->kinds[level / 8] |= bit;
    } else {
        json->kinds[level / 8] &= (uint8_t)~bit;
    }
    json->at++;
    json->expect = is_object ? EXPECT_NAME_OR_END : EXPECT_VALUE_OR_END;
    return is_object ? OSR_JSON_OBJECT : OSR_JSON_ARRAY;
}

static void expect_after_value(struct osr_json *json)
{
    json->expect = json->depth > 0 ? EXPECT_COMMA_OR_END : EXPECT_NOTHING;
}

static enum osr_json_token end_nested(struct osr_json *json)
{
    enum osr_json_token token = is_in_object(json) ? OSR_JSON_OBJECT_END : OSR_JSON_ARRAY_END;
    json->at++;
    json->depth--;
    expect_after_value(json);
    return token;
}

/* Passes an escape or a character beyond ASCII; false for anything else that may not stand
 * in a string. */
static bool pass_special(struct osr_json *json)
{
    const uint8_t *at = json->input.data + json->at;
    size_t left = json->input.size - json->at;
    size_t length;
    if (left > 0 && *at == '\\') {
        uint32_t character = 0;
        length = read_escape(at, left, &character);
        json->escaped = true;
        json->odd |= length > 0 && is_odd(character);
    } else {
        length = left > 0 && *at >= 0x80 ? osr_utf8_character(at, left) : 0;
    }
    json->at += length;
    return length > 0;
}

/* Stands at the opening quote; afterwards behind the closing one. */
static enum osr_json_token read_string(struct osr_json *json, enum osr_json_token token,
                                       struct osr_err *err)
{
    size_t begin = ++json->at;
    json->escaped = false;
    json->odd = false;
    for (;;) {
        json->at = pass_plain(json->input, json->at);
        if (peek(json) == '"') {
            json->text = osr_slice(json->input.data + begin, json->at - begin);
            json->at++;
            return token;
        }
        if (!pass_special(json)) {
            return fail(json, err, "a character of a string");
        }
    }
}

/* False where not one digit stands. */
static bool pass_digits(struct osr_json *json)
{
    size_t begin = json->at;
    while (is_digit(peek(json))) {
        json->at++;
    }
    return json->at > begin;
}

static enum osr_json_token read_number(struct osr_json *json, struct osr_err *err)
{
    size_t begin = json->at;
    if (peek(json) == '-') {
        json->at++;
    }
    if (peek(json) == '0') {
        json->at++; /* no digit may follow: what does is refused as the next token */
    } else if (!pass_digits(json)) {
        return fail(json, err, "a digit");
    }
    if (peek(json) == '.') {
        json->at++;
        if (!pass_digits(json)) {
            return fail(json, err, "a digit");
        }
    }
    if (peek(json) == 'e' || peek(json) == 'E') {
        json->at++;
        if (peek(json) == '+' || peek(json) == '-') {
            json->at++;
        }
        if (!pass_digits(json)) {
            return fail(json, err, "a digit");
        }
    }
    json->text = osr_slice(json->input.data + begin, json->at - begin);
    return OSR_JSON_NUMBER;
}

static enum osr_json_token read_literal(struct osr_json *json, const char *literal,
                                        enum osr_json_token token, struct osr_err *err)
{
    size_t length = strlen(literal);
    if (json->input.size - json->at < length ||
        memcmp(json->input.data + json->at, literal, length) != 0) {
        return fail(json, err, literal);
    }
    json->at += length;
    return token;
}

static enum osr_json_token read_scalar(struct osr_json *json, struct osr_err *err)
{
    int first = peek(json);
    switch (first) {
    case '"':
        return read_string(json, OSR_JSON_STRING, err);
    case 't':
        return read_literal(json, "true", OSR_JSON_TRUE, err);
    case 'f':
        return read_literal(json, "false", OSR_JSON_FALSE, err);
    case 'n':
        return read_literal(json, "null", OSR_JSON_NULL, err);
    default:
        return first == '-' || is_digit(first) ? read_number(json, err)
                                               : fail(json, err, "a value");
    }
}

static enum osr_json_token read_value(struct osr_json *json, struct osr_err *err)
{
    json->token_at = json->at;
    int first = peek(json);
    if (first == '{' || first == '[') {
        return begin_nested(json, first == '{', err);
    }
    enum osr_json_token token = read_scalar(json, err);
    if (token != OSR_JSON_ERROR) {
        expect_after_value(json);
    }
    return token;
}

static enum osr_json_token read_name(struct osr_json *json, struct osr_err *err)
{
    json->token_at = json->at;
    if (peek(json) != '"') {
        return fail(json, err, "a member's name");
    }
    enum osr_json_token token = read_string(json, OSR_JSON_NAME, err);
    if (token == OSR_JSON_ERROR) {
        return token;
    }
    pass_spaces(json);
    if (peek(json) != ':') {
        return fail(json, err, "':'");
    }
    json->at++;
    json->expect = EXPECT_VALUE;
    return token;
}

static enum osr_json_token read_after_value(struct osr_json *json, struct osr_err *err)
{
    bool in_object = is_in_object(json);
    if (peek(json) == (in_object ? '}' : ']')) {
        return end_nested(json);
    }
    if (peek(json) != ',') {
        return fail(json, err, in_object ? "',' or '}'" : "',' or ']'");
    }
    json->at++;
    pass_spaces(json);
    return in_object ? read_name(json, err) : read_value(json, err);
}

static enum osr_json_token read_token(struct osr_json *json, struct osr_err *err)
{
    json->token_at = json->at;
    switch ((enum expect)json->expect) {
    case EXPECT_VALUE:
        return read_value(json, err);
    case EXPECT_VALUE_OR_END:
        return peek(json) == ']' ? end_nested(json) : read_value(json, err);
    case EXPECT_NAME:
        return read_name(json, err);
    case EXPECT_NAME_OR_END:
        return peek(json) == '}' ? end_nested(json) : read_name(json, err);
    case EXPECT_COMMA_OR_END:
        return read_after_value(json, err);
    case EXPECT_NOTHING:
        break;
    }
    return peek(json) < 0 ? OSR_JSON_END : fail(json, err, "the end");
}

enum osr_json_token osr_json_next(struct osr_json *json, struct osr_err *err)
{
    size_t before = json->at;
    pass_spaces(json);
    enum osr_json_token token = read_token(json, err);
    if (token == OSR_JSON_ERROR) {
        json->at = before; /* `expect` and `depth` stand as they were: the next call fails alike */
    }
    return token;
}

int osr_json_skip(struct osr_json *json, enum osr_json_token token, struct osr_err *err)
{
    if (token != OSR_JSON_OBJECT && token != OSR_JSON_ARRAY) {
        return 0;
    }
    struct osr_err own_err;
    struct osr_err *code_err = err != NULL ? err : &own_err;
    int depth_after = json->depth - 1;
    while (json->depth > depth_after) {
        if (osr_json_next(json, code_err) == OSR_JSON_ERROR) {
            return code_err->code;
        }
    }
    return 0;
}

/* ---- text within strings ---- */

static size_t utf8_encode(uint8_t *at, uint32_t character)
{
    if (character < 0x80) {
        at[0] = (uint8_t)character;
        return 1;
    }
    size_t length = character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
    for (size_t i = length - 1; i > 0; i--) {
        at[i] = (uint8_t)(0x80 | (character & 0x3f));
        character >>= 6;
    }
    at[0] = (uint8_t)(0xf00u >> length | character); /* as many leading ones as bytes */
    return length;
}

/* Of a valid sequence of the given length. */
static uint32_t utf8_decode(const uint8_t *at, size_t length)
{
    uint32_t character = length == 1 ? at[0] : at[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        character = character << 6 | (at[i] & 0x3fu);
    }
    return character;
}

int osr_json_unescape(struct osr_buffer *buffer, struct osr_slice text, struct osr_err *err)
{
    size_t before = buffer->size;
    uint8_t *out = osr_buffer_reserve(buffer, text.size); /* escapes are longer than their text */
    size_t at = 0;
    while (at < text.size) {
        const uint8_t *backslash = memchr(text.data + at, '\\', text.size - at);
        size_t plain = backslash != NULL ? (size_t)(backslash - text.data) - at : text.size - at;
        memcpy(out, text.data + at, plain);
        out += plain;
        at += plain;
        if (backslash != NULL) {
            uint32_t character = 0;
            size_t length = read_escape(text.data + at, text.size - at, &character);
            if (length == 0 || is_odd(character)) {
                buffer->size = before;
                return osr_err_set(err, OSR_MALFORMED,
                                   "JSON string has an escape for NUL or half a surrogate pair");
            }
            out += utf8_encode(out, character);
            at += length;
        }
    }
    buffer->size = (size_t)(out - buffer->data);
    return 0;
}

static void add_unit_escape(struct osr_buffer *buffer, uint32_t unit)
{
    static const char digits[] = "0123456789abcdef";
    const char escape[] = {'\\',
                           'u',
                           digits[unit >> 12 & 15],
                           digits[unit >> 8 & 15],
                           digits[unit >> 4 & 15],
                           digits[unit & 15]};
    osr_buffer_add(buffer, escape, sizeof(escape));
}

static void add_escape(struct osr_buffer *buffer, uint32_t character)
{
    static const char short_escapes[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    if (character == '"' || character == '\\') {
        osr_buffer_add_u8(buffer, '\\');
        osr_buffer_add_u8(buffer, (uint8_t)character);
    } else if (character < 0x20 && short_escapes[character] != '\0') {
        osr_buffer_add_u8(buffer, '\\');
        osr_buffer_add_u8(buffer, (uint8_t)short_escapes[character]);
    } else if (character >= 0x10000) {
        add_unit_escape(buffer, 0xd800 + ((character - 0x10000) >> 10));
        add_unit_escape(buffer, 0xdc00 + ((character - 0x10000) & 0x3ff));
    } else {
        add_unit_escape(buffer, character);
    }
}

void osr_json_quote(struct osr_buffer *buffer, struct osr_slice text, bool ascii)
{
    static const uint8_t replacement[] = {0xef, 0xbf, 0xbd};
    osr_buffer_add_u8(buffer, '"');
    for (size_t at = 0; at < text.size;) {
        size_t plain = pass_plain(text, at) - at;
        const uint8_t *del = ascii && plain > 0 ? memchr(text.data + at, 0x7f, plain) : NULL;
        if (del != NULL) {
            plain = (size_t)(del - text.data) - at;
        }
        if (plain > 0) {
            osr_buffer_add(buffer, text.data + at, plain);
            at += plain;
            continue;
        }
        size_t length = osr_utf8_character(text.data + at, text.size - at);
        const uint8_t *character = length > 0 ? text.data + at : replacement;
        size_t size = length > 0 ? length : sizeof(replacement);
        if (size == 1 || ascii) {
            add_escape(buffer, utf8_decode(character, size));
        } else {
            osr_buffer_add(buffer, character, size);
        }
        at += length > 0 ? length : 1;
    }
    osr_buffer_add_u8(buffer, '"');
}

void osr_json_to_ascii(struct osr_buffer *buffer, struct osr_slice json)
{
    for (size_t at = 0; at < json.size;) {
        size_t length = osr_utf8_character(json.data + at, json.size - at);
        uint32_t character = length > 0 ? utf8_decode(json.data + at, length) : 0xfffd;
        if (character <= 0x7e) {
            osr_buffer_add_u8(buffer, (uint8_t)character);
        } else {
            add_escape(buffer, character);
        }
        at += length > 0 ? length : 1;
    }
}

/* ---- compacting ---- */

/* Copies of a text whatever is not dropped: `kept` is where the run begins that is not yet
 * copied. */
struct compaction {
    struct osr_buffer *buffer;
    const uint8_t *input;
    size_t kept;
};

static void drop_spaces(struct compaction *compaction, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        if (is_space(compaction->input[i])) {
            osr_buffer_add(compaction->buffer, compaction->input + compaction->kept,
                           i - compaction->kept);
            compaction->kept = i + 1;
        }
    }
}

int osr_json_compact(struct osr_buffer *buffer, struct osr_slice input, struct osr_err *err)
{
    struct osr_err own_err;
    struct osr_err *code_err = err != NULL ? err : &own_err;
    struct compaction compaction = {.buffer = buffer, .input = input.data};
    size_t before = buffer->size;
    struct osr_json json;
    osr_json_init(&json, input);
    for (size_t token_end = 0;;) {
        enum osr_json_token token = osr_json_next(&json, code_err);
        if (token == OSR_JSON_ERROR) {
            buffer->size = before;
            return code_err->code;
        }
        drop_spaces(&compaction, token_end, json.token_at);
        token_end = json.at;
        if (token == OSR_JSON_NAME) { /* spaces may stand around its colon */
            size_t quote = (size_t)(json.text.data + json.text.size - input.data);
            drop_spaces(&compaction, quote, token_end);
        }
        if (token == OSR_JSON_END) {
            osr_buffer_add(buffer, input.data + compaction.kept, input.size - compaction.kept);
            return 0;
        }
    }
}

int osr_json_check(struct osr_slice input, int depth_max, struct osr_err *err)
{
    struct osr_err own_err;
    struct osr_err *code_err = err != NULL ? err : &own_err;
    struct osr_json json;
    osr_json_init(&json, input);
    enum osr_json_token token;
    do {
        token = osr_json_next(&json, code_err);
        if (token == OSR_JSON_ERROR) {
            return code_err->code;
        }
    } while (token != OSR_JSON_END);
    if (json.deepest > depth_max) {
        return osr_err_set(err, OSR_TOO_LARGE, "JSON is nested deeper than %d", depth_max);
    }
    if (json.spaced) {
        return osr_err_set(err, OSR_MALFORMED, "JSON has white space between its tokens");
    }
    return 0;
}

/* ---- splitting a stream ---- */

/* Takes one byte outside of strings. Returns 0 or the code, and then changes nothing. */
static int split_byte(struct osr_json_split *split, uint8_t byte, struct osr_err *err)
{
    bool is_opening = byte == '{' || byte == '[';
    if (split->depth == 0 && !is_opening && !is_space(byte)) {
        return osr_err_set(err, OSR_MALFORMED, "neither an object nor an array begins here");
    }
    if (is_opening && split->depth == OSR_JSON_DEPTH_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "JSON is nested deeper than %d", OSR_JSON_DEPTH_MAX);
    }
    if (is_opening) {
        split->depth++;
    } else if (byte == '}' || byte == ']') {
        split->depth--;
    } else {
        split->in_string = byte == '"';
    }
    return 0;
}

static void split_string(struct osr_json_split *split, struct osr_slice input)
{
    if (split->after_backslash) {
        split->after_backslash = false;
        split->at++;
        return;
    }
    split->at = pass_to_quote_or_backslash(input, split->at);
    if (split->at < input.size) {
        split->in_string = input.data[split->at] != '"';
        split->after_backslash = split->in_string;
        split->at++;
    }
}

int osr_json_split(struct osr_json_split *split, struct osr_slice input, size_t *ret_length,
                   struct osr_err *err)
{
    while (split->at < input.size) {
        if (split->in_string) {
            split_string(split, input);
            continue;
        }
        int depth = split->depth;
        int code = split_byte(split, input.data[split->at], err);
        if (code != 0) {
            return code;
        }
        split->at++;
        if (split->depth == 0 && depth == 1) {
            *ret_length = split->at;
            *split = (struct osr_json_split){0};
            return 0;
        }
    }
    *ret_length = 0;
    return 0;
}
