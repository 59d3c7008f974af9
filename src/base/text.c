#include "base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

size_t osr_utf8_character(const uint8_t *at, size_t left)
{
    if (left == 0) {
        return 0;
    }
    uint8_t first = at[0];
    if (first < 0x80) {
        return 1;
    }
    if (first < 0xc2 || left < 2 || !is_continuation(at[1])) {
        return 0; /* a continuation alone, an overlong form of two bytes, or cut off */
    }
    if (first < 0xe0) {
        return 2;
    }
    if (left < 3 || !is_continuation(at[2])) {
        return 0;
    }
    if (first < 0xf0) {
        bool is_overlong = first == 0xe0 && at[1] < 0xa0;
        bool is_surrogate = first == 0xed && at[1] >= 0xa0;
        return is_overlong || is_surrogate ? 0 : 3;
    }
    bool is_overlong = first == 0xf0 && at[1] < 0x90;
    bool is_beyond = first > 0xf4 || (first == 0xf4 && at[1] >= 0x90);
    return left < 4 || !is_continuation(at[3]) || is_overlong || is_beyond ? 0 : 4;
}

/* How many bytes from the front are surely ASCII: looked at by the word, most text is nothing else.
 */
static size_t ascii_size(const uint8_t *at, size_t left)
{
    enum { WORDS = 4 };
    uint64_t words[WORDS];
    size_t size = 0;
    while (left - size >= sizeof(words)) {
        memcpy(words, at + size, sizeof(words));
        if (((words[0] | words[1] | words[2] | words[3]) & 0x8080808080808080u) != 0) {
            break;
        }
        size += sizeof(words);
    }
    while (size < left && at[size] < 0x80) {
        size++;
    }
    return size;
}

bool osr_utf8_is_valid(struct osr_slice text)
{
    for (size_t i = ascii_size(text.data, text.size); i < text.size;) {
        size_t character = osr_utf8_character(text.data + i, text.size - i);
        if (character == 0) {
            return false;
        }
        i += character;
        i += ascii_size(text.data + i, text.size - i);
    }
    return true;
}

bool osr_text_is_plain(struct osr_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < 0x20 || text.data[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

/* `at` is a character of UTF-8. */
static bool is_control(const uint8_t *at)
{
    bool is_of_latin_1 = at[0] == 0xc2 && at[1] < 0xa0;
    return *at < 0x20 || *at == 0x7f || is_of_latin_1;
}

void osr_text_make_plain(char *text, size_t size)
{
    size_t length = strlen(text);
    bool is_full = length + 1 == size;
    for (size_t i = 0; i < length;) {
        const uint8_t *at = (const uint8_t *)text + i;
        size_t character = osr_utf8_character(at, length - i);
        if (character == 0 && is_full && length - i < 4 && *at >= 0xc0) {
            text[i] = '\0';
            return;
        }
        if (character == 0 || is_control(at)) {
            memset(text + i, '?', character > 0 ? character : 1);
        }
        i += character > 0 ? character : 1;
    }
}

static bool is_blank(uint8_t character)
{
    return character == ' ' || character == '\t';
}

static struct osr_slice trim(struct osr_slice text)
{
    while (text.size > 0 && is_blank(text.data[0])) {
        text = osr_slice(text.data + 1, text.size - 1);
    }
    while (text.size > 0 && is_blank(text.data[text.size - 1])) {
        text.size--;
    }
    return text;
}

bool osr_text_take_item(struct osr_slice *list, struct osr_slice *ret_item)
{
    const uint8_t *comma = list->size > 0 ? memchr(list->data, ',', list->size) : NULL;
    size_t size = comma != NULL ? (size_t)(comma - list->data) : list->size;
    *ret_item = trim(osr_slice(list->data, size));
    *list = comma != NULL ? osr_slice(comma + 1, list->size - size - 1) : osr_slice(NULL, 0);
    return comma != NULL;
}

/* ---- base64 ---- */

static const char base64_alphabet[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

static void base64_encode_group(uint8_t *text, uint32_t group)
{
    for (int i = 3; i >= 0; i--) {
        text[i] = (uint8_t)base64_alphabet[group & 63];
        group >>= 6;
    }
}

void osr_base64_encode(struct osr_buffer *buffer, struct osr_slice bytes)
{
    size_t size = (bytes.size + 2) / 3 * 4;
    uint8_t *text = osr_buffer_reserve(buffer, size);
    buffer->size += size;
    const uint8_t *at = bytes.data;
    size_t left = bytes.size;
    for (; left >= 3; left -= 3, at += 3, text += 4) {
        base64_encode_group(text, (uint32_t)at[0] << 16 | (uint32_t)at[1] << 8 | at[2]);
    }
    if (left > 0) {
        uint32_t second = left == 2 ? at[1] : 0;
        base64_encode_group(text, (uint32_t)at[0] << 16 | second << 8);
        memcpy(text + left + 1, "==", 3 - left);
    }
}

void osr_base64_encode_unpadded(struct osr_buffer *buffer, struct osr_slice bytes)
{
    osr_base64_encode(buffer, bytes);
    buffer->size -= (3 - bytes.size % 3) % 3;
}

/* 0..63, or -1 for what is not in the alphabet. */
static int base64_value(uint8_t character)
{
    if (character >= 'A' && character <= 'Z') {
        return character - 'A';
    }
    if (character >= 'a' && character <= 'z') {
        return character - 'a' + 26;
    }
    if (character >= '0' && character <= '9') {
        return character - '0' + 52;
    }
    return character == '+' ? 62 : character == '/' ? 63 : -1;
}

/* Two to four characters to one byte less. */
static bool base64_decode_group(struct osr_buffer *buffer, const uint8_t *text, size_t characters)
{
    uint32_t group = 0;
    for (size_t i = 0; i < 4; i++) {
        int value = i < characters ? base64_value(text[i]) : 0;
        if (value < 0) {
            return false;
        }
        group = group << 6 | (uint32_t)value;
    }
    const uint8_t bytes[] = {(uint8_t)(group >> 16), (uint8_t)(group >> 8), (uint8_t)group};
    uint32_t unused = group & ((1u << 8 * (4 - characters)) - 1);
    osr_buffer_add(buffer, bytes, characters - 1);
    return characters > 1 && unused == 0;
}

static struct osr_slice without_padding(struct osr_slice text)
{
    if (text.size > 0 && text.size % 4 == 0 && text.data[text.size - 1] == '=') {
        text.size -= text.data[text.size - 2] == '=' ? 2 : 1;
    }
    return text;
}

bool osr_base64_decode_unpadded(struct osr_buffer *buffer, struct osr_slice padded_or_not)
{
    struct osr_slice text = without_padding(padded_or_not);
    size_t before = buffer->size;
    for (size_t i = 0; i < text.size; i += 4) {
        size_t left = text.size - i;
        if (!base64_decode_group(buffer, text.data + i, left < 4 ? left : 4)) {
            buffer->size = before;
            return false;
        }
    }
    return true;
}

bool osr_base64_decode(struct osr_buffer *buffer, struct osr_slice text)
{
    return text.size % 4 == 0 && osr_base64_decode_unpadded(buffer, text);
}

/* ---- base32, hex ---- */

void osr_base32_encode(char *text, struct osr_slice bytes)
{
    static const char alphabet[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint32_t pending = 0; /* the lowest `bits` bits wait to be written */
    unsigned bits = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        pending = pending << 8 | bytes.data[i];
        bits += 8;
        while (bits >= 5) {
            bits -= 5;
            *text++ = alphabet[pending >> bits & 31];
        }
    }
    if (bits > 0) {
        *text++ = alphabet[pending << (5 - bits) & 31];
    }
    *text = '\0';
}

int osr_base32_value(uint8_t character)
{
    if (character >= 'a' && character <= 'z') {
        return character - 'a';
    }
    return character >= '2' && character <= '7' ? character - '2' + 26 : -1;
}

bool osr_base32_decode(uint8_t *bytes, struct osr_slice text)
{
    uint32_t pending = 0; /* its lowest `bits` bits are read and not yet part of a byte */
    unsigned bits = 0;
    for (size_t i = 0; i < text.size; i++) {
        int value = osr_base32_value(text.data[i]);
        if (value < 0) {
            return false;
        }
        pending = pending << 5 | (uint32_t)value;
        bits += 5;
        if (bits >= 8) {
            bits -= 8;
            *bytes++ = (uint8_t)(pending >> bits);
        }
    }
    /* A whole character left over belongs to no byte. */
    return bits < 5 && (pending & ((1u << bits) - 1)) == 0;
}

void osr_hex_encode(char *text, struct osr_slice bytes)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        *text++ = digits[bytes.data[i] >> 4];
        *text++ = digits[bytes.data[i] & 15];
    }
    *text = '\0';
}

int osr_hex_value(uint8_t digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    if (digit >= 'a' && digit <= 'f') {
        return digit - 'a' + 10;
    }
    return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

/* Optimal string alignment. */
size_t osr_text_distance(const char *a, const char *b)
{
    size_t rows[OSR_TEXT_DISTANCE_BYTES_MAX + 1][OSR_TEXT_DISTANCE_BYTES_MAX + 1];
    size_t a_size = strlen(a);
    size_t b_size = strlen(b);
    if (a_size > OSR_TEXT_DISTANCE_BYTES_MAX || b_size > OSR_TEXT_DISTANCE_BYTES_MAX) {
        return SIZE_MAX;
    }
    for (size_t i = 0; i <= a_size; i++) {
        rows[i][0] = i;
    }
    for (size_t j = 0; j <= b_size; j++) {
        rows[0][j] = j;
    }
    for (size_t i = 1; i <= a_size; i++) {
        for (size_t j = 1; j <= b_size; j++) {
            size_t replaced = rows[i - 1][j - 1] + (a[i - 1] != b[j - 1]);
            rows[i][j] = least(replaced, least(rows[i - 1][j], rows[i][j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                rows[i][j] = least(rows[i][j], rows[i - 2][j - 2] + 1);
            }
        }
    }
    return rows[a_size][b_size];
}

struct osr_text_guess osr_text_guess(const char *typed)
{
    return (struct osr_text_guess){.typed = typed, .distance = strlen(typed) / 3 + 1};
}

void osr_text_guess_offer(struct osr_text_guess *guess, const char *word)
{
    size_t distance = osr_text_distance(guess->typed, word);
    if (distance < guess->distance) {
        guess->distance = distance;
        guess->nearest = word;
    }
}

void osr_time_write(char *text, uint64_t seconds)
{
    const uint64_t last = 253402300799; /* of the year 9999: four digits */
    time_t time = (time_t)(seconds < last ? seconds : last);
    struct tm utc;
    gmtime_r(&time, &utc);
    strftime(text, OSR_TIME_CHARS + 1, "%Y-%m-%d %H:%M:%S UTC", &utc);
}

char *osr_duration_write(char *text, uint64_t ms)
{
    uint64_t seconds = ms / 1000;
    size_t size = OSR_DURATION_CHARS;
    if (ms < 1000) {
        snprintf(text, size, "%" PRIu64 " ms", ms);
    } else if (seconds < 60) {
        snprintf(text, size, "%" PRIu64 ".%" PRIu64 " s", seconds, ms % 1000 / 100);
    } else if (seconds < 3600) {
        snprintf(text, size, "%" PRIu64 " min %" PRIu64 " s", seconds / 60, seconds % 60);
    } else if (seconds < 86400) {
        snprintf(text, size, "%" PRIu64 " h %" PRIu64 " min", seconds / 3600, seconds % 3600 / 60);
    } else {
        snprintf(text, size, "%" PRIu64 " d %" PRIu64 " h", seconds / 86400,
                 seconds % 86400 / 3600);
    }
    return text;
}
