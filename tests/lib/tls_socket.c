#include "lib/tls_socket.h"

#include <assert.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

int tls_socket_listen(uint16_t *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert(listener >= 0);
    int failed = bind(listener, (struct sockaddr *)&address, size);
    failed |= listen(listener, 8);
    failed |= getsockname(listener, (struct sockaddr *)&address, &size);
    assert(!failed);
    *ret_port = ntohs(address.sin_port);
    return listener;
}

bool tls_socket_accept(struct tls_socket *socket, int listener, struct osr_tls_context *context)
{
    int fd = accept(listener, NULL, NULL);
    if (fd < 0) {
        return false;
    }
    *socket =
        (struct tls_socket){.fd = fd, .tls = context == NULL ? NULL : osr_tls_create(context)};
    return true;
}

static void send_bytes(int fd, struct osr_slice bytes)
{
    while (bytes.size > 0) {
        ssize_t sent = send(fd, bytes.data, bytes.size, MSG_NOSIGNAL);
        if (sent < 0) {
            return;
        }
        bytes = osr_slice(bytes.data + sent, bytes.size - (size_t)sent);
    }
}

static void send_output(struct tls_socket *socket)
{
    struct osr_buffer output = {0};
    if (osr_tls_produce(socket->tls, &output)) {
        send_bytes(socket->fd, osr_buffer_slice(&output));
    }
    osr_buffer_done(&output);
}

static size_t receive_encrypted(struct tls_socket *socket, void *data, size_t bytes_max)
{
    for (;;) {
        uint8_t piece[4096];
        size_t size = osr_tls_read(socket->tls, data, bytes_max);
        if (size > 0 || socket->code != 0) {
            return size;
        }
        ssize_t received = recv(socket->fd, piece, sizeof(piece), 0);
        if (received <= 0) {
            return 0;
        }
        socket->code = osr_tls_receive(socket->tls, osr_slice(piece, (size_t)received), NULL);
        send_output(socket);
    }
}

size_t tls_socket_receive(struct tls_socket *socket, void *data, size_t bytes_max)
{
    if (socket->tls != NULL) {
        return receive_encrypted(socket, data, bytes_max);
    }
    ssize_t received = recv(socket->fd, data, bytes_max, 0);
    return received > 0 ? (size_t)received : 0;
}

void tls_socket_send(struct tls_socket *socket, struct osr_slice bytes)
{
    if (socket->tls == NULL) {
        send_bytes(socket->fd, bytes);
    } else if (osr_tls_is_up(socket->tls)) {
        osr_tls_write(socket->tls, bytes);
        send_output(socket);
    }
}

void tls_socket_cut(struct tls_socket *socket)
{
    osr_tls_destroy(socket->tls);
    socket->tls = NULL;
    if (socket->fd >= 0) {
        close(socket->fd);
    }
    socket->fd = -1;
}

void tls_socket_close(struct tls_socket *socket)
{
    if (socket->tls != NULL) {
        osr_tls_end(socket->tls);
        send_output(socket);
    }
    tls_socket_cut(socket);
}
