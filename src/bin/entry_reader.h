/* entry_reader.h -- entries out of the bytes of a file: sans-IO, bytes in, JSON values out.
 *
 * Four forms: the elements of a JSON array; JSON values behind each other (JSON lines, or any
 * other white space between them); lines of text, which become JSON strings (blank ones are passed
 * over); YAML documents (which are not told from text by what they are). Memory is bounded by the
 * longest entry, which has a limit.
 *
 * Which form it is, the first SAMPLE bytes tell: '[' begins an array, unless whole values on
 * lines of their own follow; '{' begins JSON values; so do a first line that is a JSON string, and
 * lines that all are numbers or literals. Everything else is text. A file that begins like
 * JSON and is not is refused: to take it for text would bury the mistake.
 *
 * Happy path: add bytes; next until it gives no entry; add more; at the end of the input
 * osr_entry_reader_end, and next again until it gives no entry. */
#ifndef OSR_BIN_ENTRY_READER_H
#define OSR_BIN_ENTRY_READER_H

#include "base/json_scan.h"
#include "wire/yaml_split.h"

enum osr_entry_form {
    OSR_ENTRY_DETECT,
    OSR_ENTRY_ARRAY,
    OSR_ENTRY_VALUES,
    OSR_ENTRY_LINES,
    OSR_ENTRY_DOCUMENTS,
};

/* Where in the input the next byte stands. */
enum osr_entry_place {
    OSR_ENTRY_AT_BEGIN,          /* a byte order mark may come */
    OSR_ENTRY_AT_OPEN,           /* the array's [ comes */
    OSR_ENTRY_AT_VALUE_OR_CLOSE, /* behind [ */
    OSR_ENTRY_AT_VALUE,
    OSR_ENTRY_AT_COMMA_OR_CLOSE,
    OSR_ENTRY_AT_END, /* behind ] */
};

struct osr_entry_reader {
    enum osr_entry_form form;
    bool detected; /* the form was told by the input, not by the caller */
    enum osr_entry_place place;
    struct osr_buffer input;
    size_t consumed; /* bytes at the front of input that were given out or passed over */
    bool ended;      /* no more input comes */
    bool decide_now; /* see osr_entry_reader_decide */
    uint64_t count;  /* entries given out */
    uint64_t line;   /* 1.. of the next byte */
    /* Where the look for the end of the value at `consumed` stopped. */
    struct osr_json_split split;
    size_t scanned;
    struct osr_buffer entry; /* given out last */
    struct osr_yaml_split documents;
    struct osr_arena *arena; /* of the YAML document being read; NULL before the first */
};

void osr_entry_reader_init(struct osr_entry_reader *reader, enum osr_entry_form form);
void osr_entry_reader_done(struct osr_entry_reader *reader);

/* Room for `size` bytes, and then how many were put there. */
uint8_t *osr_entry_reader_room(struct osr_entry_reader *reader, size_t size);
void osr_entry_reader_added(struct osr_entry_reader *reader, size_t size);
void osr_entry_reader_end(struct osr_entry_reader *reader);
/* Input has come to a pause: what is here has to do to tell the form. */
void osr_entry_reader_decide(struct osr_entry_reader *reader);

/* The next entry's data without white space between its tokens, valid until the next call; size 0
 * where more input is needed or, behind osr_entry_reader_end, where there are no more. Errors name
 * entry and line, and are for good: MALFORMED, TOO_LARGE. */
int osr_entry_reader_next(struct osr_entry_reader *reader, struct osr_slice *ret_data,
                          struct osr_err *err);

#endif
