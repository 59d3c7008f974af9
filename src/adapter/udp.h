/* udp.h -- connections over UDP: a kind behind transport.h. DTLS 1.2 (dtls.h) with a pipe in it
 * (datagram_pipe.h) that repairs what the network does.
 *
 * Happy path: dial -> DTLS handshake, with a cookie that shows the address is the dialler's before
 * anything is kept of it -> up: bytes through the pipe -> both directions end -> closed.
 *
 * Datagram: u8 form, 8 bytes the id of the connection that its receiver has chosen (zeroes in the
 * first ones to a listener), then of the first ones 8 bytes the id that its sender has chosen, then
 * DTLS records. So a connection survives a change of the peer's address: a datagram for an id that
 * decrypts is taken from wherever it comes; answers go to the new address only after a PING's nonce
 * has come back from there. Written down in proto/protocol.md.
 *
 * Threads: the loop's only. */
#ifndef OSR_ADAPTER_UDP_H
#define OSR_ADAPTER_UDP_H

#include "adapter/connection.h"

enum { OSR_UDP_ID_BYTES = 8 };

/* Promises as osr_transport_dial and osr_transport_listen. */
int osr_udp_dial(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                 uint32_t timeout_ms, const struct osr_connection_handler *handler, void *context,
                 struct osr_connection **ret_connection, struct osr_err *err);
int osr_udp_listen(uv_loop_t *loop, const struct osr_url *url, struct osr_tls_context *security,
                   void (*on_accept)(void *context, struct osr_connection *connection),
                   void *context, struct osr_listener **ret_listener, struct osr_err *err);

#endif
