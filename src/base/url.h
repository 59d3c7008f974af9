/* url.h -- peers and listeners are URLs: SCHEME://HOST:PORT?KEY=VALUE&..., unix://PATH,
 * SCHEME://[USER@]BROKER:PORT/ADDRESS?... for brokers. */
#ifndef OSR_BASE_URL_H
#define OSR_BASE_URL_H

#include "base/bytes.h"
#include "base/error.h"

enum { OSR_URL_TEXT_MAX = 512, OSR_URL_PARAMETERS_MAX = 8 };

struct osr_url {
    char text[OSR_URL_TEXT_MAX]; /* as given */
    char scheme[16];
    char host[256]; /* name or address; IPv6 without its brackets; of unix:// the path */
    uint16_t port;  /* the scheme's default where none is given (url.c); 0 for unix */
    /* Of brokers: who logs in there ("": nobody), and at which address others are met (a prefix of
     * topics or the name of a queue; never empty). */
    char user[64];
    char address[128];
    struct {
        char key[32];
        char value[128];
    } parameters[OSR_URL_PARAMETERS_MAX];
    size_t parameter_count;
};

/* A scheme that url.c does not list is UNSUPPORTED_VERSION, naming those known. What is no URL is
 * INVALID_ARGUMENT; so is a parameter that url.c does not list, and a password beside the user,
 * which would stand in lists of processes. Percent-encoding is resolved in values. */
int osr_url_parse(const char *text, struct osr_url *ret_url, struct osr_err *err);
const char *osr_url_parameter(const struct osr_url *url, const char *key); /* NULL: not given */
/* For people: scheme, host, port and address, without user and parameters; to be freed. Not of
 * unix://. */
char *osr_url_place(const struct osr_url *url);
/* Each side shows who it is before anything else, and all is encrypted between the two: TLS or
 * DTLS, through brokers, too. Not so for a listener of ordinary clients (for=clients). */
bool osr_url_is_secure(const struct osr_url *url);
bool osr_url_is_stream(const struct osr_url *url); /* a TCP or Unix connection */
bool osr_url_is_rpc(const struct osr_url *url);    /* dialled with gRPC: grpc, grpcs */
bool osr_url_is_bus(const struct osr_url *url);    /* messages: adapter/bus.h */
bool osr_url_is_broker(const struct osr_url *url); /* of these, through somebody else */
/* TLS as far as the broker: for the login there, and for what goes in clear otherwise. */
bool osr_url_is_broker_secure(const struct osr_url *url);
bool osr_url_is_for_clients(const struct osr_url *url); /* takes requests, one a message */
bool osr_url_is_loopback(const struct osr_url *url);    /* 127.0.0.0/8, ::1, localhost, unix */

#endif
