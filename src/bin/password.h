/* password.h -- reads a password: from a file, or from the terminal, which does not show it. Never
 * from an argument, which others could see. */
#ifndef OSR_BIN_PASSWORD_H
#define OSR_BIN_PASSWORD_H

#include "base/bytes.h"
#include "base/error.h"

enum { OSR_PASSWORD_BYTES_MAX = 1024 }; /* as in LoginRequest */

/* `file` NULL: asks; '-': standard input. `is_new`: asks twice. *ret_password ends with a NUL, and
 * is to be given to osr_password_done. */
int osr_password_read(const char *file, const char *user, bool is_new, char **ret_password,
                      struct osr_err *err);
void osr_password_done(char *password); /* NULL is a no-op; wipes */

#endif
