/* private_file.h -- whether a file that secrets or trust hang on is its owner's alone. */
#ifndef OSR_ADAPTER_PRIVATE_FILE_H
#define OSR_ADAPTER_PRIVATE_FILE_H

#include "base/error.h"

enum {
    OSR_PRIVATE_SECRET = 077, /* nobody else may read or write it */
    OSR_PRIVATE_TRUST = 022,  /* others may read it */
};

/* Of an open file, so that it is not another one by the time that it is read. `forbidden`: the bits
 * of the mode that it may not have; `what`: "identity key", for messages. FOREIGN_FILE where it is
 * no regular file, PERMISSION_DENIED where it is another user's or open to others: with the command
 * that mends it. */
int osr_private_file_check(int fd, const char *what, const char *path, unsigned forbidden,
                           struct osr_err *err);

#endif
