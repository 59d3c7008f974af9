/* secret_input.h -- secrets that are given to the command line: by a file that is its owner's
 * alone, or by standard input, where neither a file nor the list of processes shows them. */
#ifndef OSR_BIN_SECRET_INPUT_H
#define OSR_BIN_SECRET_INPUT_H

#include "base/bytes.h"
#include "base/error.h"

/* Fills the buffer, which is empty, and grows once: wipe it (osr_secret_buffer_done). Blanks and
 * line ends around the secret are left out. `file` "-": standard input; `what` is for messages.
 * TOO_LARGE past size_max; else as osr_file_read_secret. On failure nothing is in it. */
int osr_secret_input(const char *file, const char *what, size_t size_max, struct osr_buffer *buffer,
                     struct osr_err *err);

#endif
