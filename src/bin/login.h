/* login.h -- tokens that `osiris login` got: a file each, for its owner alone, by the URL that they
 * are for, in $XDG_CONFIG_HOME/osiris/tokens or ~/.config/osiris/tokens. */
#ifndef OSR_BIN_LOGIN_H
#define OSR_BIN_LOGIN_H

#include "base/error.h"

/* The file with the token for this URL; NULL: there is none. To be freed. */
char *osr_login_find(const char *url);
/* *ret_path: where it is; to be freed. */
int osr_login_store(const char *url, const char *token, char **ret_path, struct osr_err *err);

#endif
