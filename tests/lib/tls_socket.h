/* tls_socket.h -- a connection that a thread of a test has accepted, with or without TLS; blocking.
 */
#ifndef OSR_TESTS_TLS_SOCKET_H
#define OSR_TESTS_TLS_SOCKET_H

#include "adapter/tls.h"

struct tls_socket {
    int fd;
    struct osr_tls *tls; /* NULL: plaintext */
    int code;            /* of the session's failure; 0: none */
};

/* Listens on a port of 127.0.0.1, which is told. */
int tls_socket_listen(uint16_t *ret_port);
/* False: the listener was shut down. context: NULL for plaintext. The handshake is done, or has
 * failed, with the first bytes that come. */
bool tls_socket_accept(struct tls_socket *socket, int listener, struct osr_tls_context *context);
/* 0 where the other side has closed, or broken the rules. */
size_t tls_socket_receive(struct tls_socket *socket, void *data, size_t bytes_max);
/* That the other side may have gone is what some tests are about. */
void tls_socket_send(struct tls_socket *socket, struct osr_slice bytes);
/* Says that it ends. */
void tls_socket_close(struct tls_socket *socket);
/* Says nothing. */
void tls_socket_cut(struct tls_socket *socket);

#endif
