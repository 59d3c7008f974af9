/* text.h -- encodings of bytes as text, and checks of text. */
#ifndef OSR_BASE_TEXT_H
#define OSR_BASE_TEXT_H

#include "base/bytes.h"

/* Strict UTF-8 (RFC 3629): no overlong forms, no surrogates, nothing over U+10FFFF. */
bool osr_utf8_is_valid(struct osr_slice text);
/* Bytes of the character that begins here, 1 to 4; 0 where none does. */
size_t osr_utf8_character(const uint8_t *at, size_t left);
/* Neither NUL nor any other control character (below 0x20, 0x7f). */
bool osr_text_is_plain(struct osr_slice text);
/* For logs, terminals and frames: whatever is not plain UTF-8, or is one of the control characters
 * from U+0080 on that terminals obey as well, becomes '?'. A character that was cut in half because
 * the text fills its `size` bytes is dropped. */
void osr_text_make_plain(char *text, size_t size);

/* Takes the first item of a comma-separated list, as header fields have it, without the blanks
 * around it; it may be empty. *list becomes what follows its comma. True if there is one: another
 * item follows. */
bool osr_text_take_item(struct osr_slice *list, struct osr_slice *ret_item);

/* Base64 with padding (RFC 4648, section 4). */
void osr_base64_encode(struct osr_buffer *buffer, struct osr_slice bytes);
void osr_base64_encode_unpadded(struct osr_buffer *buffer, struct osr_slice bytes);
/* Strict: padded, no white space, unused bits zero. False leaves `buffer` as it was. */
bool osr_base64_decode(struct osr_buffer *buffer, struct osr_slice text);
/* As strict, but the padding may be absent. */
bool osr_base64_decode_unpadded(struct osr_buffer *buffer, struct osr_slice text);

/* Lower-case base32 without padding, alphabet a-z2-7: instance ids. `text` gets
 * (size * 8 + 4) / 5 characters and a NUL. */
void osr_base32_encode(char *text, struct osr_slice bytes);
/* Strict: lower case, unused bits zero. `bytes` gets text.size * 5 / 8 bytes; where false is
 * returned, they mean nothing. */
bool osr_base32_decode(uint8_t *bytes, struct osr_slice text);
int osr_base32_value(uint8_t character); /* 0 to 31; -1 for what is not in the alphabet */

void osr_hex_encode(char *text, struct osr_slice bytes); /* 2 * size characters and a NUL */
int osr_hex_value(uint8_t digit); /* 0 to 15, of either case; -1 for what is no digit */

/* "2026-11-23 01:36:00 UTC", from seconds since 1970. */
enum { OSR_TIME_CHARS = 23 };
void osr_time_write(char *text, uint64_t seconds); /* OSR_TIME_CHARS characters and a NUL */

/* "850 ms", "12.3 s", "4 min 5 s", "3 h 12 min", "2 d 5 h" */
enum { OSR_DURATION_CHARS = 32 };
char *osr_duration_write(char *text, uint64_t ms); /* returns text, with its NUL in that room */

/* How many characters must be put in, left out, replaced or swapped with their neighbour to make
 * b from a: for "did you mean". SIZE_MAX where one has over OSR_TEXT_DISTANCE_BYTES_MAX bytes. */
enum { OSR_TEXT_DISTANCE_BYTES_MAX = 32 };
size_t osr_text_distance(const char *a, const char *b);

/* Which of the words that are offered one by one was probably meant by one that nobody knows. */
struct osr_text_guess {
    const char *typed;
    const char *nearest; /* NULL: none is near */
    size_t distance;     /* of the nearest; while there is none, of what would be another word */
};

struct osr_text_guess osr_text_guess(const char *typed);
void osr_text_guess_offer(struct osr_text_guess *guess, const char *word); /* stays the caller's */

#endif
