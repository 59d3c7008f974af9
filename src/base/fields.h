/* fields.h -- lines of JSON whose members are all texts: how `osirisd setup` answers, and how the
 * command line does where no message of the contract says it. */
#ifndef OSR_BASE_FIELDS_H
#define OSR_BASE_FIELDS_H

#include "base/bytes.h"
#include "base/error.h"

enum { OSR_FIELDS_MAX = 16 };

struct osr_fields {
    struct {
        char *name, *value;
    } items[OSR_FIELDS_MAX];
    size_t count;
};

/* MALFORMED; on failure *ret_fields is untouched. */
int osr_fields_read(struct osr_slice line, struct osr_fields *ret_fields, struct osr_err *err);
const char *osr_fields_get(const struct osr_fields *fields, const char *name); /* "": not there */
void osr_fields_done(struct osr_fields *fields);                               /* wipes */

/* The next of several lines, without its end; false: there is none. */
bool osr_fields_next_line(struct osr_slice *rest, struct osr_slice *ret_line);

/* Writing one: begin, add ..., end. A NULL value is left out. */
void osr_fields_begin(struct osr_buffer *line);
void osr_fields_add(struct osr_buffer *line, const char *name, const char *value);
void osr_fields_end(struct osr_buffer *line);

#endif
