/* whole_file.h -- files that are read whole: what others have written, certificates, secrets. */
#ifndef OSR_ADAPTER_WHOLE_FILE_H
#define OSR_ADAPTER_WHOLE_FILE_H

#include "base/bytes.h"
#include "base/error.h"

/* Appends a regular file's bytes; NOT_FOUND where there is none, TOO_LARGE past size_max,
 * FOREIGN_FILE for what is no file. */
int osr_file_read_whole(const char *path, size_t size_max, struct osr_buffer *buffer,
                        struct osr_err *err);
/* The same of a file that has to be its owner's alone (private_file.h; `what` is for messages). The
 * buffer is empty, and grows once, so that wiping it leaves no copy behind. On failure nothing is
 * in it. */
int osr_file_read_secret(const char *path, const char *what, size_t size_max,
                         struct osr_buffer *buffer, struct osr_err *err);

#endif
