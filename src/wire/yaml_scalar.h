/* yaml_scalar.h -- scalars that every reader of YAML 1.1 and 1.2 takes for the same: which of them
 * may be read, and how strings are written. Private to the room. */
#ifndef OSR_WIRE_YAML_SCALAR_H
#define OSR_WIRE_YAML_SCALAR_H

#include "base/bytes.h"

/* A member's name is longer at most as JSON: a reader looks no further than 1,024 characters for
 * the ':' behind it, and a character takes up to four times its bytes. */
enum { OSR_YAML_NAME_BYTES_MAX = 250 };

/* What a scalar without quotes stands for. */
enum osr_yaml_meaning {
    OSR_YAML_TEXT,
    OSR_YAML_NULL,
    OSR_YAML_TRUE,
    OSR_YAML_FALSE,
    OSR_YAML_NUMBER,    /* as JSON writes it, and a number to every reader */
    OSR_YAML_AMBIGUOUS, /* one thing in YAML 1.1, another in 1.2: yes, 010, 1e5, 12:30 */
    OSR_YAML_NO_JSON,   /* a number that JSON writes otherwise or not at all: 0x1f, +1, .inf */
};

enum osr_yaml_meaning osr_yaml_plain_meaning(struct osr_slice text);

/* A JSON number that a reader who turns it into a double, and writes that, gives back digit by
 * digit: an integer of up to 2^53-1, or a fraction of up to 15 digits without a zero at its end. */
bool osr_yaml_number_is_kept(struct osr_slice number);

/* Appends a scalar on one line that every reader takes for just this text, which is UTF-8: without
 * quotes where it cannot be taken for anything else, else in double ones. `quoted` asks for them.
 */
void osr_yaml_write_text(struct osr_buffer *buffer, struct osr_slice text, bool quoted);
/* The same for text with many double quotes in it: in single ones where possible. */
void osr_yaml_write_verbatim(struct osr_buffer *buffer, struct osr_slice text);

#endif
