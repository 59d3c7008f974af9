/* url.h -- peers and listeners are URLs: SCHEME://HOST:PORT?KEY=VALUE&..., unix://PATH. */
#ifndef OSR_BASE_URL_H
#define OSR_BASE_URL_H

#include "base/bytes.h"
#include "base/error.h"

enum { OSR_URL_TEXT_MAX = 512, OSR_URL_PARAMETERS_MAX = 8 };

struct osr_url {
    char text[OSR_URL_TEXT_MAX]; /* as given */
    char scheme[16];
    char host[256]; /* name or address; IPv6 without its brackets; of unix:// the path */
    uint16_t port;  /* the scheme's default where none is given (tcp: 12346, tls,
                      grpc and grpcs: 7400); 0 for unix */
    struct {
        char key[32];
        char value[128];
    } parameters[OSR_URL_PARAMETERS_MAX];
    size_t parameter_count;
};

/* Accepts schemes tcp, tls, grpc, grpcs and unix so far; others are UNSUPPORTED_VERSION, naming
 * those known. What is no URL is INVALID_ARGUMENT. Percent-encoding is resolved in values. A
 * parameter other than `arrivals`, `auth`, `codec`, `id`, `peer`, `settle_ms` is INVALID_ARGUMENT.
 */
int osr_url_parse(const char *text, struct osr_url *ret_url, struct osr_err *err);
const char *osr_url_parameter(const struct osr_url *url, const char *key); /* NULL: not given */
bool osr_url_is_secure(const struct osr_url *url);                         /* TLS: tls, grpcs */
bool osr_url_is_rpc(const struct osr_url *url);      /* dialled with gRPC: grpc, grpcs */
bool osr_url_is_loopback(const struct osr_url *url); /* 127.0.0.0/8, ::1, localhost, unix */

#endif
