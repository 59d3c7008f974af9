/* tls_internal.h -- what the files of tls.h share.
 *
 * tls_context.c      what one side has and whom it believes, out of options
 * tls.c              one connection: bytes in, bytes out
 * dtls.c             the same of datagrams
 * tls_certificate.c  whether the other side's certificate is let in, and whom it names
 * tls_shared_key.c   the keys that both sides know
 * tls_failure.c      OpenSSL's errors and the other side's alerts, in people's words */
#ifndef OSR_ADAPTER_TLS_INTERNAL_H
#define OSR_ADAPTER_TLS_INTERNAL_H

#include <openssl/ssl.h>

#include "adapter/tls.h"

struct osr_tls_key;
struct osr_tls_keys;

struct osr_tls_context {
    size_t holders; /* whoever made it, and each session */
    SSL_CTX *ssl;
    BIO_METHOD *carrier; /* how OpenSSL reaches a session's input and output */
    bool is_server;
    bool is_datagram;            /* of dtls.h's sessions */
    unsigned proofs;             /* let in: bits 1 << enum osr_tls_proof */
    struct osr_tls_keys *keys;   /* NULL: none */
    struct osr_buffer protocols; /* each behind its length, as ALPN writes them */
    bool has_authority_fingerprint;
    struct osr_hash authority_fingerprint; /* the CA to be believed if the server shows it */
    char *server_name;                     /* as dialled; NULL: it is not looked at */
    bool server_name_is_address;           /* an IP address, which is not sent (RFC 6066) */
    bool (*is_revoked)(void *context, const char *serial, const struct osr_hash *authority);
    void *context;
    uint64_t (*time_s)(void *context);
};

/* Invariants: is_up, has_ended and peer_has_ended go from false to true once; after `failure` has
 * been set nothing comes in or goes out but the alert; plaintext_at <= plaintext.size. */
struct osr_tls {
    struct osr_tls_context *context;
    SSL *ssl;
    struct osr_slice input;   /* what osr_tls_receive was given and OpenSSL has not taken yet */
    struct osr_buffer output; /* encrypted, for the carrier */
    struct osr_buffer plaintext;
    size_t plaintext_at; /* up to here it has been read */
    enum osr_code failure;
    bool is_up;
    bool has_ended;
    bool peer_has_ended;
    uint8_t first_byte;            /* that the other side ever sent; 0: none yet */
    size_t handshake_bytes;        /* taken before it was up */
    uint64_t received_bytes;       /* taken after */
    uint64_t messages;             /* of the handshake's kind that came after it was up */
    uint64_t records;              /* encrypted with the present key */
    const struct osr_tls_key *key; /* offered by us, or found for what the client has offered */
    /* Why the handshake will not succeed, where we know better than OpenSSL. NULL while it may. */
    struct osr_err *refusal;
    struct osr_tls_peer peer;
    char protocol[OSR_TLS_PROTOCOL_BYTES_MAX + 1];
};

static inline bool osr_tls_lets_in(const struct osr_tls_context *context, enum osr_tls_proof proof)
{
    return (context->proofs & 1u << proof) != 0;
}

static inline bool osr_tls_takes_keys_alone(const struct osr_tls_context *context)
{
    return context->proofs == 1u << OSR_TLS_PROOF_KEY;
}

static inline const char *osr_tls_other_side(const struct osr_tls *tls)
{
    return tls->context->is_server ? "the client" : "the server";
}

/* -- tls.c -- */

BIO_METHOD *osr_tls_carrier_create(void); /* of sessions: BIO_get_data is the session */

/* Where to write why the handshake will not succeed. */
struct osr_err *osr_tls_refusal(struct osr_tls *tls);

/* -- tls_certificate.c -- */

/* Called by OpenSSL when the other side has shown one; `context` is not used. */
int osr_tls_verify_certificate(X509_STORE_CTX *chain, void *context);

/* -- tls_shared_key.c -- */

/* CONFIG, naming the key that is wrong. The secrets are copied. */
int osr_tls_keys_create(const struct osr_tls_shared_key *given, size_t count,
                        struct osr_tls_keys **ret_keys, struct osr_err *err);
void osr_tls_keys_destroy(struct osr_tls_keys *keys); /* NULL is a no-op; wipes */
const char *osr_tls_key_name(const struct osr_tls_key *key);
/* Called by OpenSSL, in a server and in a client. */
int osr_tls_find_key(SSL *ssl, const unsigned char *name, size_t name_size, SSL_SESSION **ret_key);
int osr_tls_offer_key(SSL *ssl, const EVP_MD *hash, const unsigned char **ret_name,
                      size_t *ret_name_size, SSL_SESSION **ret_key);

/* The same in DTLS 1.2. */
unsigned osr_dtls_find_key(SSL *ssl, const char *name, unsigned char *secret, unsigned secret_max);
unsigned osr_dtls_offer_key(SSL *ssl, const char *hint, char *name, unsigned name_max,
                            unsigned char *secret, unsigned secret_max);

/* -- tls_failure.c -- */

/* Fills err out of OpenSSL's queue of errors, and returns its code. */
enum osr_code osr_tls_explain(const struct osr_tls *tls, struct osr_err *err);
/* The client has another shared key of that name. */
enum osr_code osr_tls_explain_other_key(const struct osr_tls *tls, struct osr_err *err);

#endif
