/* broker_login.h -- how an instance shows a broker who it is, and whom it believes to be the
 * broker: `user`, `password_file` and `ca_file` of a URL. For the brokers behind bus.h. */
#ifndef OSR_ADAPTER_BROKER_LOGIN_H
#define OSR_ADAPTER_BROKER_LOGIN_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/url.h"

enum { OSR_BROKER_PASSWORD_BYTES_MAX = 1024 };

struct osr_broker_login {
    const char *user;           /* NULL: none; the URL's */
    struct osr_buffer password; /* NUL-terminated, without the file's last newline; empty: none */
    const char *ca_file;        /* NULL: the system's CAs; the URL's */
    bool is_secure;             /* mqtts, amqps */
};

/* CONFIG: a file that cannot be read, or a password that others may read (with the command that
 * mends it), or one without a user. The URL must outlive it. */
int osr_broker_login_read(const struct osr_url *url, struct osr_broker_login *ret_login,
                          struct osr_err *err);
void osr_broker_login_done(struct osr_broker_login *login); /* wipes */

#endif
