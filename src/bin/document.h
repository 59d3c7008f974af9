/* document.h -- documents as the command line makes them, from options and text. */
#ifndef OSR_BIN_DOCUMENT_H
#define OSR_BIN_DOCUMENT_H

#include "bin/arguments.h"
#include "model/message.h"

/* Collection, kind, tags, author and expiry where they were given; all others stay. The document
 * points into `arguments`. */
int osr_document_set_flags(Osr__Document *document, const struct osr_arguments *arguments,
                           struct osr_err *err);

/* Fills `data` from --json, or from the operand with this index as a string; "-" stands for what
 * standard input holds. The text stands in `buffer` (empty before). *ret_given: whether any
 * of both was given; giving both is an error. */
int osr_document_read_data(Osr__Json *data, struct osr_buffer *buffer,
                           const struct osr_arguments *arguments, int operand, bool *ret_given,
                           struct osr_err *err);

#endif
