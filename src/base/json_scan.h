/* json_scan.h -- reads JSON text (RFC 8259) token by token without copying or allocating.
 *
 * Strict: exactly what the RFC allows, UTF-8 checked, depth limited. Numbers and strings
 * are given as they stand in the text. Lone surrogates and \u0000 in escapes are accepted
 * here and reported (`odd`), because `data` carries them and other fields refuse them.
 *
 * Happy path: osr_json_init, then osr_json_next until OSR_JSON_END. After an error every
 * further call returns it again. */
#ifndef OSR_BASE_JSON_SCAN_H
#define OSR_BASE_JSON_SCAN_H

#include "base/bytes.h"
#include "base/error.h"

enum { OSR_JSON_DEPTH_MAX = 128 }; /* stops "[[[[..." from costing memory or stack */

enum osr_json_token {
    OSR_JSON_ERROR,  /* MALFORMED, or TOO_LARGE where it is too deep; err says where */
    OSR_JSON_END,    /* after one whole value and white space */
    OSR_JSON_OBJECT, /* { */
    OSR_JSON_OBJECT_END,
    OSR_JSON_ARRAY, /* [ */
    OSR_JSON_ARRAY_END,
    OSR_JSON_NAME, /* a member's name; text without quotes, still escaped */
    OSR_JSON_STRING,
    OSR_JSON_NUMBER,
    OSR_JSON_TRUE,
    OSR_JSON_FALSE,
    OSR_JSON_NULL,
};

struct osr_json {
    struct osr_slice input;
    size_t at;             /* next byte to read */
    size_t token_at;       /* where the current token begins, quote included */
    struct osr_slice text; /* of NAME and STRING (inside the quotes) and NUMBER */
    bool escaped;          /* text has a backslash */
    bool odd;              /* text has \u0000 or a lone surrogate escape */
    int depth;
    /* Both gather over the tokens until the caller clears them. */
    int deepest;    /* greatest depth reached */
    bool spaced;    /* white space stood before or within a token's punctuation */
    uint8_t expect; /* private */
    uint8_t kinds[(OSR_JSON_DEPTH_MAX + 7) / 8]; /* private: object or array, a bit a level */
};

void osr_json_init(struct osr_json *json, struct osr_slice input);
enum osr_json_token osr_json_next(struct osr_json *json, struct osr_err *err);
/* Passes over the value that `token` has just begun: afterwards the scanner stands behind
 * it. Returns 0 or the code. */
int osr_json_skip(struct osr_json *json, enum osr_json_token token, struct osr_err *err);

/* Resolves escapes of a NAME or STRING into `buffer` (appended). Lone surrogates and \u0000
 * fail with MALFORMED, and `buffer` is as it was. */
int osr_json_unescape(struct osr_buffer *buffer, struct osr_slice text, struct osr_err *err);
/* Writes UTF-8 text as a JSON string, quotes included; `ascii` escapes all above 0x7e. Bytes
 * that are no UTF-8 become U+FFFD. */
void osr_json_quote(struct osr_buffer *buffer, struct osr_slice text, bool ascii);
/* Appends JSON text with every character above 0x7e escaped: the same value in ASCII. */
void osr_json_to_ascii(struct osr_buffer *buffer, struct osr_slice json);

/* Checks one value and appends it without the white space between its tokens. */
int osr_json_compact(struct osr_buffer *buffer, struct osr_slice input, struct osr_err *err);

/* Checks that the input is one value without white space around its tokens, and nested no deeper
 * than depth_max: what osr_json_compact gives. */
int osr_json_check(struct osr_slice input, int depth_max, struct osr_err *err);

/* Finds where the first value of a stream ends, so that objects can follow each other with
 * or without newlines. Incremental: feed it again with more bytes and it goes on where it
 * stopped. Only brackets and strings are looked at; the value itself is checked later. */
struct osr_json_split {
    size_t at; /* bytes looked at so far */
    int depth;
    bool in_string;
    bool after_backslash;
};
/* The length of the first value (leading white space included), or 0 while it is not
 * complete. On a value found the state is ready for the next one. Values that are neither
 * object nor array fail with MALFORMED, deeper ones than OSR_JSON_DEPTH_MAX with TOO_LARGE. */
int osr_json_split(struct osr_json_split *split, struct osr_slice input, size_t *ret_length,
                   struct osr_err *err);

#endif
