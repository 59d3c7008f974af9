/* dtls_internal.h -- what a session (dtls.c), a server's door (dtls_door.c) and contexts
 * (tls_context.c) share. */
#ifndef OSR_ADAPTER_DTLS_INTERNAL_H
#define OSR_ADAPTER_DTLS_INTERNAL_H

#include "adapter/dtls.h"
#include "adapter/tls_internal.h"

/* Invariants: `target` is set during osr_dtls_seal alone; session.input during osr_dtls_receive and
 * the reads after it. */
struct osr_dtls {
    /* First: what the files of tls.h know of a session. Of its buffers `input` alone is used. */
    struct osr_tls session;
    /* Waits at a door: whose cookie is asked for. NULL: it has shown one, or is a client's. */
    struct osr_dtls_door *door;
    struct osr_buffer output; /* of the handshake, and alerts: each datagram behind its size, u32 */
    uint8_t *target;          /* where the record that is being sealed goes */
    size_t target_size;
    size_t overhead;
    uint64_t record_number; /* of the datagram that is being read */
    uint64_t newest_record; /* of those read before */
    bool is_newest;
    unsigned unreadable; /* Finished messages of the client that do not decrypt */
};

/* -- dtls.c -- */

BIO_METHOD *osr_dtls_carrier_create(void); /* of sessions: BIO_get_data is the session */
/* Has neither said nor heard anything. */
struct osr_dtls *osr_dtls_make(struct osr_tls_context *context);

/* -- dtls_other_key.c -- */

/* A server has been given the datagram in its handshake: fails where it shows another key. */
int osr_dtls_check_key(struct osr_dtls *dtls, struct osr_slice datagram, struct osr_err *err);

/* -- dtls_door.c: called by OpenSSL -- */

int osr_dtls_make_cookie(SSL *ssl, unsigned char *cookie, unsigned *ret_size);
int osr_dtls_check_cookie(SSL *ssl, const unsigned char *cookie, unsigned size);

#endif
