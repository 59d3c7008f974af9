/* listener_methods.h -- how who comes by a listener may show who they are: the `auth` of its URL.
 *
 * A handshake is held to it by TLS (security_contexts.h); secrets that come afterwards are checked
 * here, each time that one is shown. */
#ifndef OSR_NODE_LISTENER_METHODS_H
#define OSR_NODE_LISTENER_METHODS_H

#include "base/bytes.h"
#include "base/error.h"
#include "base/url.h"

/* X(NAME, word in a URL, what is taken) */
#define OSR_METHODS(X)                                                                             \
    X(CERTIFICATE, "certificate", "certificates")                                                  \
    X(KEY, "key", "shared keys")                                                                   \
    X(TOKEN, "token", "tokens")                                                                    \
    X(PASSWORD, "password", "passwords")                                                           \
    X(PIN, "pin", "approved ids")

enum osr_method {
#define OSR_METHOD_ENUM(name, word, taken) OSR_METHOD_##name,
    OSR_METHODS(OSR_METHOD_ENUM)
#undef OSR_METHOD_ENUM
        OSR_METHOD_COUNT,
};

/* Bits 1 << enum osr_method. Without `auth` certificates, tokens and passwords are taken. */
unsigned osr_methods_of(const struct osr_url *url);

/* Appends them for people: "certificates, tokens and passwords". */
void osr_methods_write(unsigned methods, struct osr_buffer *text);

/* UNAUTHENTICATED: none of these, says which are. A login's token comes of a password, and goes
 * with it. */
int osr_methods_check_token(unsigned methods, bool is_of_login, struct osr_err *err);
int osr_methods_check_login(unsigned methods, struct osr_err *err);
int osr_methods_check_pin(unsigned methods, struct osr_err *err);

#endif
