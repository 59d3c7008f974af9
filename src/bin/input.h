/* input.h -- what a command is given by a file or by standard input, read whole. */
#ifndef OSR_BIN_INPUT_H
#define OSR_BIN_INPUT_H

#include "base/bytes.h"
#include "base/error.h"

/* Appends the file's bytes, or those of standard input for "-". TOO_LARGE past size_max: `what` has
 * no more ("a value"). */
int osr_input_read(const char *file, const char *what, size_t size_max, struct osr_buffer *buffer,
                   struct osr_err *err);

#endif
