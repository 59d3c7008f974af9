#include "wire/yaml_scalar.h"

#include "base/json_scan.h"
#include "base/text.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const char decimal_digits[] = "0123456789";

static bool is_in(uint8_t byte, const char *set)
{
    return byte != '\0' && strchr(set, byte) != NULL;
}

/* How many bytes of the set stand there. */
static size_t run_of(struct osr_slice text, size_t at, const char *set)
{
    size_t end = at;
    while (end < text.size && is_in(text.data[end], set)) {
        end++;
    }
    return end - at;
}

static size_t run_of_digits(struct osr_slice text, size_t at)
{
    return run_of(text, at, decimal_digits);
}

/* ---- reading ---- */

static bool is_json_number(struct osr_slice text)
{
    struct osr_json json;
    osr_json_init(&json, text);
    return osr_json_next(&json, NULL) == OSR_JSON_NUMBER && json.at == text.size;
}

/* The readers of YAML 1.1 want a point before an exponent, and a sign in it. */
static bool is_number_to_all(struct osr_slice text)
{
    const uint8_t *exponent = memchr(text.data, 'e', text.size);
    if (exponent == NULL) {
        exponent = memchr(text.data, 'E', text.size);
    }
    return exponent == NULL ||
           (memchr(text.data, '.', text.size) != NULL && is_in(exponent[1], "+-"));
}

/* 0x1f, 0o17, 0b101: behind the sign. */
static bool is_based_number(struct osr_slice text, size_t at)
{
    static const struct {
        uint8_t mark;
        const char *digits;
    } bases[] = {{'x', "0123456789abcdefABCDEF_"}, {'o', "01234567_"}, {'b', "01_"}};
    if (text.size - at < 3 || text.data[at] != '0') {
        return false;
    }
    for (size_t i = 0; i < COUNT(bases); i++) {
        if (text.data[at + 1] == bases[i].mark) {
            return run_of(text, at + 2, bases[i].digits) == text.size - at - 2;
        }
    }
    return false;
}

/* ":30:15" of a number to the base of sixty. */
static size_t run_of_sixtieths(struct osr_slice text, size_t at)
{
    size_t end = at;
    size_t digits = 1;
    while (digits > 0 && end < text.size && text.data[end] == ':') {
        digits = run_of_digits(text, end + 1);
        end += digits > 0 ? 1 + digits : 0;
    }
    return end - at;
}

/* 1, 1_000, 010, 1., .5, 1.5e3, 190:20:30.15: behind the sign. */
static bool is_decimal_number(struct osr_slice text, size_t at)
{
    size_t digits = run_of_digits(text, at);
    if (digits > 0) {
        at += run_of(text, at, "0123456789_");
        at += run_of_sixtieths(text, at);
    }
    if (at < text.size && text.data[at] == '.') {
        at++;
        digits += run_of_digits(text, at);
        at += run_of(text, at, "0123456789_");
    }
    if (digits > 0 && at + 1 < text.size && is_in(text.data[at], "eE")) {
        size_t sign = is_in(text.data[at + 1], "+-") ? 1 : 0;
        size_t exponent = run_of_digits(text, at + 1 + sign);
        at += exponent > 0 ? 1 + sign + exponent : 0;
    }
    return digits > 0 && at == text.size;
}

static bool is_special_number(struct osr_slice text, size_t at)
{
    static const char *const names[] = {".inf", ".Inf", ".INF", ".nan", ".NaN", ".NAN"};
    struct osr_slice rest = osr_slice(text.data + at, text.size - at);
    size_t i = 0;
    while (i < COUNT(names) && !osr_slice_equal(rest, osr_slice_text(names[i]))) {
        i++;
    }
    return i < COUNT(names);
}

static enum osr_yaml_meaning number_meaning(struct osr_slice text)
{
    size_t begin = is_in(text.data[0], "+-") ? 1 : 0;
    if (is_special_number(text, begin) || is_based_number(text, begin)) {
        return OSR_YAML_NO_JSON;
    }
    if (!is_decimal_number(text, begin)) {
        return OSR_YAML_TEXT;
    }
    if (is_json_number(text)) {
        return is_number_to_all(text) ? OSR_YAML_NUMBER : OSR_YAML_AMBIGUOUS;
    }
    bool has_odd_zero = text.size > begin + 1 && text.data[begin] == '0' &&
                        is_in(text.data[begin + 1], decimal_digits);
    bool has_odd_mark =
        memchr(text.data, '_', text.size) != NULL || memchr(text.data, ':', text.size) != NULL;
    return has_odd_zero || has_odd_mark ? OSR_YAML_AMBIGUOUS : OSR_YAML_NO_JSON;
}

enum osr_yaml_meaning osr_yaml_plain_meaning(struct osr_slice text)
{
    static const struct {
        const char *word;
        enum osr_yaml_meaning meaning;
    } words[] = {
        {"", OSR_YAML_NULL},         {"~", OSR_YAML_NULL},        {"null", OSR_YAML_NULL},
        {"Null", OSR_YAML_NULL},     {"NULL", OSR_YAML_NULL},     {"true", OSR_YAML_TRUE},
        {"True", OSR_YAML_TRUE},     {"TRUE", OSR_YAML_TRUE},     {"false", OSR_YAML_FALSE},
        {"False", OSR_YAML_FALSE},   {"FALSE", OSR_YAML_FALSE},   {"yes", OSR_YAML_AMBIGUOUS},
        {"Yes", OSR_YAML_AMBIGUOUS}, {"YES", OSR_YAML_AMBIGUOUS}, {"no", OSR_YAML_AMBIGUOUS},
        {"No", OSR_YAML_AMBIGUOUS},  {"NO", OSR_YAML_AMBIGUOUS},  {"on", OSR_YAML_AMBIGUOUS},
        {"On", OSR_YAML_AMBIGUOUS},  {"ON", OSR_YAML_AMBIGUOUS},  {"off", OSR_YAML_AMBIGUOUS},
        {"Off", OSR_YAML_AMBIGUOUS}, {"OFF", OSR_YAML_AMBIGUOUS}, {"=", OSR_YAML_AMBIGUOUS},
        {"<<", OSR_YAML_AMBIGUOUS},
    };
    for (size_t i = 0; text.size <= 5 && i < COUNT(words); i++) {
        if (osr_slice_equal(text, osr_slice_text(words[i].word))) {
            return words[i].meaning;
        }
    }
    return is_in(text.data[0], "+-.0123456789") ? number_meaning(text) : OSR_YAML_TEXT;
}

/* ---- numbers that are kept ---- */

bool osr_yaml_number_is_kept(struct osr_slice number)
{
    static const char largest[] = "9007199254740991"; /* 2^53-1 */
    enum { EXACT_DIGITS = 15, LARGEST_DIGITS = sizeof(largest) - 1, ZEROS_MAX = 3 };

    size_t begin = number.size > 0 && number.data[0] == '-' ? 1 : 0;
    size_t whole = run_of_digits(number, begin);
    struct osr_slice digits = osr_slice(number.data + begin, number.size - begin);
    if (whole == digits.size) {
        bool is_minus_zero = begin == 1 && digits.data[0] == '0';
        return !is_minus_zero &&
               (whole < LARGEST_DIGITS ||
                (whole == LARGEST_DIGITS && memcmp(digits.data, largest, whole) <= 0));
    }
    if (digits.data[whole] != '.' || run_of_digits(digits, whole + 1) != digits.size - whole - 1) {
        return false; /* it has an exponent */
    }
    /* Below 0.0001 many write an exponent. */
    bool is_small = digits.data[0] == '0' && run_of(digits, whole + 1, "0") > ZEROS_MAX;
    return !is_small && digits.data[digits.size - 1] != '0' && digits.size - 1 <= EXACT_DIGITS;
}

/* ---- writing ---- */

static uint32_t character_at(const uint8_t *at, size_t size)
{
    static const uint8_t first_bits[] = {0, 0x7f, 0x1f, 0x0f, 0x07};
    uint32_t character = at[0] & first_bits[size];
    for (size_t i = 1; i < size; i++) {
        character = character << 6 | (at[i] & 0x3f);
    }
    return character;
}

/* May stand as it is within quotes, on one line: what YAML 1.1 and 1.2 call printable, but for
 * their line breaks, the no-break space and the byte order mark. */
static bool is_printable(uint32_t character)
{
    return (character >= 0x20 && character <= 0x7e) ||
           (character > 0xa0 && character <= 0xfffd && character != 0x2028 && character != 0x2029 &&
            character != 0xfeff) ||
           character >= 0x10000;
}

static bool is_letter(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
}

/* Whether it means something to some reader. */
static bool is_word_of_yaml(struct osr_slice text)
{
    static const char *const words[] = {"y",    "n",     "yes",  "no",  "on", "off",
                                        "true", "false", "null", "nan", "inf"};
    char lower[sizeof("false")] = "";
    for (size_t i = 0; i < text.size && text.size < sizeof(lower); i++) {
        lower[i] = (char)(text.data[i] | 0x20);
    }
    size_t i = 0;
    while (i < COUNT(words) && strcmp(lower, words[i]) != 0) {
        i++;
    }
    return i < COUNT(words);
}

/* Letters, digits and a few marks that mean nothing anywhere; single spaces between them. */
static bool is_plain(struct osr_slice text)
{
    if (text.size == 0 || !(is_letter(text.data[0]) || is_in(text.data[0], "_/")) ||
        text.data[text.size - 1] == ' ' || is_word_of_yaml(text)) {
        return false;
    }
    for (size_t at = 0; at < text.size;) {
        uint8_t byte = text.data[at];
        size_t size = osr_utf8_character(text.data + at, text.size - at);
        bool is_fine = byte < 0x80 ? is_letter(byte) || is_in(byte, "0123456789_./@+-() ")
                                   : is_printable(character_at(text.data + at, size));
        if (!is_fine || (byte == ' ' && text.data[at + 1] == ' ')) {
            return false;
        }
        at += size;
    }
    return true;
}

static void add_escape(struct osr_buffer *buffer, uint32_t character)
{
    static const char short_escapes[] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f',
                                         ['\r'] = 'r', ['"'] = '"',  ['\\'] = '\\'};
    if (character < sizeof(short_escapes) && short_escapes[character] != '\0') {
        osr_buffer_add_u8(buffer, '\\');
        osr_buffer_add_u8(buffer, (uint8_t)short_escapes[character]);
    } else {
        osr_buffer_add_format(buffer, character <= 0xff ? "\\x%02X" : "\\u%04X", character);
    }
}

static void write_double_quoted(struct osr_buffer *buffer, struct osr_slice text)
{
    osr_buffer_add_u8(buffer, '"');
    size_t copied = 0;
    for (size_t at = 0; at < text.size;) {
        size_t size = osr_utf8_character(text.data + at, text.size - at);
        uint32_t character = character_at(text.data + at, size);
        if (!is_printable(character) || character == '"' || character == '\\') {
            osr_buffer_add(buffer, text.data + copied, at - copied);
            add_escape(buffer, character);
            copied = at + size;
        }
        at += size;
    }
    if (copied < text.size) {
        osr_buffer_add(buffer, text.data + copied, text.size - copied);
    }
    osr_buffer_add_u8(buffer, '"');
}

void osr_yaml_write_text(struct osr_buffer *buffer, struct osr_slice text, bool quoted)
{
    if (!quoted && is_plain(text)) {
        osr_buffer_add(buffer, text.data, text.size);
    } else {
        write_double_quoted(buffer, text);
    }
}

static bool is_all_printable(struct osr_slice text)
{
    for (size_t at = 0; at < text.size;) {
        size_t size = osr_utf8_character(text.data + at, text.size - at);
        if (!is_printable(character_at(text.data + at, size))) {
            return false;
        }
        at += size;
    }
    return true;
}

void osr_yaml_write_verbatim(struct osr_buffer *buffer, struct osr_slice text)
{
    if (!is_all_printable(text)) {
        write_double_quoted(buffer, text);
        return;
    }
    osr_buffer_add_u8(buffer, '\'');
    const uint8_t *at = text.data;
    const uint8_t *end = at + text.size;
    while (at < end) {
        const uint8_t *quote = memchr(at, '\'', (size_t)(end - at));
        const uint8_t *stop = quote != NULL ? quote + 1 : end;
        osr_buffer_add(buffer, at, (size_t)(stop - at));
        if (quote != NULL) {
            osr_buffer_add_u8(buffer, '\'');
        }
        at = stop;
    }
    osr_buffer_add_u8(buffer, '\'');
}
