/* tls_connection.h -- TLS (tls.h) over another connection, which it owns: a kind behind
 * transport.h, for whose users it is a connection like others.
 *
 * Happy path: carrier up -> handshake -> up: what comes is decrypted and handed on, what is
 * written goes out encrypted -> close_notify from both sides -> closed.
 *
 * A connection whose bytes end without close_notify fails: its end may have been cut off. */
#ifndef OSR_ADAPTER_TLS_CONNECTION_H
#define OSR_ADAPTER_TLS_CONNECTION_H

#include "adapter/connection.h"
#include "adapter/gate.h"

/* What was settled at the gate: when the handshake begins. NULL: there is no gate. */
struct osr_admission {
    struct osr_gate *gate;
    uint64_t address;
    uint64_t wait_ms;
};

/* Takes over a connection that was just accepted, before it has a handler. */
struct osr_connection *osr_tls_connection_accept(struct osr_connection *carrier, uv_loop_t *loop,
                                                 struct osr_tls_context *security,
                                                 const struct osr_admission *admission);
/* Promises as osr_transport_dial; `dial` begins to dial the carrier. The handshake has the dial's
 * time-out once more. */
int osr_tls_connection_dial(uv_loop_t *loop, const struct osr_url *url, osr_dial_carrier *dial,
                            struct osr_tls_context *security, uint32_t timeout_ms,
                            const struct osr_connection_handler *handler, void *context,
                            struct osr_connection **ret_connection, struct osr_err *err);

#endif
