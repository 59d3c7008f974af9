#include "adapter/audit_line.h"

#include <inttypes.h>
#include <stddef.h>

#include "base/json_scan.h"
#include "base/text.h"

static const char chain_tag[] = "osiris audit 1"; /* hashed with its NUL */
static const char header_begin[] = "{\"osiris\":\"audit\",\"format\":";
static const char format_now[] = "1,";
static const char line_begin[] = "{\"n\":";
static const char synced_name[] = ",\"synced\":";
static const char chain_name[] = ",\"chain\":\"";
static const char line_end[] = "\"}";

#define LENGTH(text) (sizeof(text) - 1)

enum {
    HEX_BYTES = 2 * OSR_SHA256_SIZE,
    /* What stands behind what is hashed. */
    CHAIN_BYTES = LENGTH(chain_name) + HEX_BYTES + LENGTH(line_end),
};

static const struct {
    const char *name;
    size_t offset;
} texts_of_record[] = {
#define TEXT_OF_RECORD(text) {#text, offsetof(struct osr_audit_record, text)},
    OSR_AUDIT_TEXTS(TEXT_OF_RECORD)
#undef TEXT_OF_RECORD
};
enum { TEXTS = sizeof(texts_of_record) / sizeof(texts_of_record[0]) };

/* ---- reading bit by bit ---- */

static bool take_text(struct osr_slice *rest, const char *text, size_t size)
{
    if (rest->size < size || memcmp(rest->data, text, size) != 0) {
        return false;
    }
    *rest = osr_slice(rest->data + size, rest->size - size);
    return true;
}

/* Digits in front of `rest`; false where there are none, or more than a number has. */
static bool take_number(struct osr_slice *rest, uint64_t *ret_number)
{
    uint64_t number = 0;
    size_t size = 0;

    for (; size < rest->size && rest->data[size] >= '0' && rest->data[size] <= '9'; size++) {
        uint64_t digit = (uint64_t)rest->data[size] - '0';
        if (number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *rest = osr_slice(rest->data + size, rest->size - size);
    *ret_number = number;
    return size > 0;
}

static bool read_hash(struct osr_slice hex, struct osr_hash *ret_hash)
{
    if (hex.size != HEX_BYTES) {
        return false;
    }
    for (size_t i = 0; i < OSR_SHA256_SIZE; i++) {
        int high = osr_hex_value(hex.data[2 * i]);
        int low = osr_hex_value(hex.data[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        ret_hash->bytes[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

static void add_chain(struct osr_buffer *buffer, const struct osr_hash *chain)
{
    char hex[HEX_BYTES + 1];

    osr_hex_encode(hex, osr_slice(chain->bytes, sizeof(chain->bytes)));
    osr_buffer_add_format(buffer, "%s%s%s", chain_name, hex, line_end);
}

/* ---- a file's first line ---- */

void osr_audit_header_encode(struct osr_buffer *buffer, const struct osr_audit_head *head)
{
    osr_buffer_add_format(buffer, "%s%s\"after\":%" PRIu64, header_begin, format_now, head->number);
    add_chain(buffer, &head->chain);
    osr_buffer_add_u8(buffer, '\n');
}

/* Written again, it must be the same to the byte. */
static bool is_exact(struct osr_slice line, const struct osr_audit_head *head)
{
    struct osr_buffer again = {0};

    osr_audit_header_encode(&again, head);
    again.size--; /* the newline */
    bool is_same = osr_slice_equal(line, osr_buffer_slice(&again));
    osr_buffer_done(&again);
    return is_same;
}

int osr_audit_header_decode(struct osr_slice line, uint64_t after, struct osr_audit_head *ret_head,
                            struct osr_err *err)
{
    struct osr_audit_head head = {.number = after};
    struct osr_slice rest = line;

    if (!take_text(&rest, header_begin, LENGTH(header_begin))) {
        return (int)osr_err_set(err, OSR_FOREIGN_FILE, "not a file of an audit log");
    }
    if (!take_text(&rest, format_now, LENGTH(format_now))) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION, "a format of audit logs not known");
    }
    if (rest.size < CHAIN_BYTES ||
        !read_hash(osr_slice(line.data + line.size - LENGTH(line_end) - HEX_BYTES, HEX_BYTES),
                   &head.chain) ||
        !is_exact(line, &head)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "the first line is damaged");
    }
    *ret_head = head;
    return 0;
}

/* ---- records ---- */

static struct osr_hash chain_on(const struct osr_hash *before, struct osr_slice text)
{
    const struct osr_slice pieces[] = {
        osr_slice(chain_tag, sizeof(chain_tag)),
        osr_slice(before->bytes, sizeof(before->bytes)),
        text,
    };

    return osr_sha256(pieces, sizeof(pieces) / sizeof(pieces[0]));
}

/* Not in the middle of a character. */
static struct osr_slice cut_text(const char *text)
{
    size_t size = strnlen(text, OSR_AUDIT_TEXT_BYTES_MAX + 1);

    if (size > OSR_AUDIT_TEXT_BYTES_MAX) {
        size = OSR_AUDIT_TEXT_BYTES_MAX;
        while (size > 0 && ((uint8_t)text[size] & 0xc0) == 0x80) {
            size--;
        }
    }
    return osr_slice(text, size);
}

static const char **text_of(struct osr_audit_record *record, size_t i)
{
    return (const char **)((char *)record + texts_of_record[i].offset);
}

void osr_audit_line_encode(struct osr_buffer *buffer, const struct osr_audit_record *record,
                           uint64_t synced, struct osr_audit_head *head)
{
    struct osr_audit_record copy = *record;
    size_t begin = buffer->size;

    head->number++;
    osr_buffer_add_format(buffer, "%s%" PRIu64 "%s%" PRIu64 ",\"time_ms\":%" PRIu64, line_begin,
                          head->number, synced_name, synced, record->time_ms);
    osr_buffer_add_format(buffer, ",\"allowed\":%s", record->allowed ? "true" : "false");
    for (size_t i = 0; i < TEXTS; i++) {
        osr_buffer_add_format(buffer, ",\"%s\":", texts_of_record[i].name);
        osr_json_quote(buffer, cut_text(*text_of(&copy, i)), false);
    }
    head->chain = chain_on(&head->chain, osr_slice(buffer->data + begin, buffer->size - begin));
    add_chain(buffer, &head->chain);
    osr_buffer_add_u8(buffer, '\n');
}

bool osr_audit_line_begins(struct osr_slice line, uint64_t *ret_number, uint64_t *ret_synced)
{
    return take_text(&line, line_begin, LENGTH(line_begin)) && take_number(&line, ret_number) &&
           take_text(&line, synced_name, LENGTH(synced_name)) && take_number(&line, ret_synced);
}

/* No text holds `{"n":`, for its quotes are escaped there: what looks like a beginning is one. */
bool osr_audit_line_vouches(struct osr_slice bytes, uint64_t number)
{
    uint64_t own;
    uint64_t synced;

    while (bytes.size > 0) {
        const uint8_t *at = memmem(bytes.data, bytes.size, line_begin, LENGTH(line_begin));
        if (at == NULL) {
            return false;
        }
        bytes = osr_slice(at, bytes.size - (size_t)(at - bytes.data));
        if (osr_audit_line_begins(bytes, &own, &synced) && synced >= number) {
            return true;
        }
        bytes = osr_slice(at + 1, bytes.size - 1);
    }
    return false;
}

bool osr_audit_line_holds(struct osr_slice line, struct osr_audit_head *head)
{
    uint64_t number;
    uint64_t synced;

    if (line.size < CHAIN_BYTES || !osr_audit_line_begins(line, &number, &synced) ||
        number != head->number + 1) {
        return false;
    }
    struct osr_slice text = osr_slice(line.data, line.size - CHAIN_BYTES);
    struct osr_hash chain = chain_on(&head->chain, text);
    char expected[CHAIN_BYTES + 1];
    struct osr_slice rest = osr_slice(line.data + text.size, CHAIN_BYTES);
    osr_hex_encode(expected, osr_slice(chain.bytes, sizeof(chain.bytes)));
    if (!take_text(&rest, chain_name, LENGTH(chain_name)) ||
        !take_text(&rest, expected, HEX_BYTES) || !take_text(&rest, line_end, LENGTH(line_end))) {
        return false;
    }
    *head = (struct osr_audit_head){number, chain};
    return true;
}

/* ---- decoding ---- */

/* A line on its way to a record. Texts move while they are gathered: places, not pointers. */
struct decoding {
    struct osr_json json;
    struct osr_buffer *texts;
    size_t places[TEXTS];
    struct osr_audit_record record;
    struct osr_err *err;
};

static int refuse(struct decoding *decoding, const char *what)
{
    return (int)osr_err_set(decoding->err, OSR_CORRUPT, "%s", what);
}

static bool is_name(struct osr_slice name, const char *known)
{
    return osr_slice_equal(name, osr_slice_text(known));
}

static int decode_text(struct decoding *decoding, size_t *ret_place)
{
    *ret_place = decoding->texts->size;
    if (osr_json_next(&decoding->json, NULL) != OSR_JSON_STRING ||
        osr_json_unescape(decoding->texts, decoding->json.text, NULL) != 0) {
        return refuse(decoding, "a text is damaged");
    }
    osr_buffer_add_u8(decoding->texts, '\0');
    return 0;
}

static int decode_number(struct decoding *decoding, uint64_t *ret_number)
{
    struct osr_slice rest;

    if (osr_json_next(&decoding->json, NULL) != OSR_JSON_NUMBER) {
        return refuse(decoding, "a number is damaged");
    }
    rest = decoding->json.text;
    if (!take_number(&rest, ret_number) || rest.size > 0) {
        return refuse(decoding, "a number is damaged");
    }
    return 0;
}

static int decode_allowed(struct decoding *decoding)
{
    enum osr_json_token token = osr_json_next(&decoding->json, NULL);

    decoding->record.allowed = token == OSR_JSON_TRUE;
    return token == OSR_JSON_TRUE || token == OSR_JSON_FALSE
               ? 0
               : refuse(decoding, "it does not say whether it was allowed");
}

/* Names that are not known are a later version's. */
static int decode_member(struct decoding *decoding, struct osr_slice name)
{
    if (is_name(name, "time_ms")) {
        return decode_number(decoding, &decoding->record.time_ms);
    }
    if (is_name(name, "allowed")) {
        return decode_allowed(decoding);
    }
    for (size_t i = 0; i < TEXTS; i++) {
        if (is_name(name, texts_of_record[i].name)) {
            return decode_text(decoding, &decoding->places[i]);
        }
    }
    enum osr_json_token token = osr_json_next(&decoding->json, NULL);
    return osr_json_skip(&decoding->json, token, NULL) == 0
               ? 0
               : refuse(decoding, "it is no JSON object");
}

static int decode_members(struct decoding *decoding)
{
    enum osr_json_token token = osr_json_next(&decoding->json, NULL);

    if (token != OSR_JSON_OBJECT) {
        return refuse(decoding, "it is no JSON object");
    }
    while ((token = osr_json_next(&decoding->json, NULL)) == OSR_JSON_NAME) {
        int code = decode_member(decoding, decoding->json.text);
        if (code != 0) {
            return code;
        }
    }
    return token == OSR_JSON_OBJECT_END && osr_json_next(&decoding->json, NULL) == OSR_JSON_END
               ? 0
               : refuse(decoding, "it is no JSON object");
}

int osr_audit_line_decode(struct osr_slice line, uint64_t number, struct osr_buffer *texts,
                          struct osr_audit_record *ret_record, struct osr_err *err)
{
    struct decoding decoding = {.texts = texts, .record.number = number, .err = err};

    texts->size = 0;
    osr_buffer_add_u8(texts, '\0'); /* place 0: a text that is not there */
    osr_json_init(&decoding.json, line);
    int code = decode_members(&decoding);
    if (code != 0) {
        return code;
    }
    for (size_t i = 0; i < TEXTS; i++) {
        *text_of(&decoding.record, i) = (const char *)texts->data + decoding.places[i];
    }
    *ret_record = decoding.record;
    return 0;
}
