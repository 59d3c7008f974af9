#include "client/channel.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "adapter/authority.h"

enum {
    PIECE_BYTES = 64 << 10, /* of TLS, taken from the socket at a time */
    /* Waiting to be sent: past it no more is asked for, so that what waits stays where its
     * protocol can still take it back. */
    WAITING_BYTES_MAX = 256 << 10,
    /* What a TLS alert begins with: its record type, then the version's first byte. */
    TLS_ALERT = 21,
    TLS_MAJOR = 3,
};

struct osr_channel {
    int fd;
    struct osr_tls *tls;         /* NULL: plaintext */
    struct osr_buffer plaintext; /* to be encrypted; not used without TLS */
    struct osr_buffer unsent;    /* for the socket */
    size_t unsent_at;            /* bytes at the front of `unsent` that have been sent */
    uint8_t *piece;              /* PIECE_BYTES; NULL: plaintext */
    bool has_received;           /* anything at all */
    bool has_more;
    struct osr_err failure; /* told as soon as all is read that came before it; code OK: none */
};

struct osr_channel *osr_channel_create(int fd, struct osr_tls_context *security)
{
    struct osr_channel *channel = osr_alloc(sizeof(*channel));
    channel->fd = fd;
    if (security != NULL) {
        channel->tls = osr_tls_create(security);
        channel->piece = osr_alloc_unset(PIECE_BYTES);
    }
    return channel;
}

bool osr_channel_is_up(const struct osr_channel *channel)
{
    return channel->tls == NULL || osr_tls_is_up(channel->tls);
}

const struct osr_tls_peer *osr_channel_peer(const struct osr_channel *channel)
{
    return channel->tls == NULL ? NULL : osr_tls_peer(channel->tls);
}

/* ---- to the other side ---- */

static size_t waiting(const struct osr_channel *channel)
{
    return channel->unsent.size - channel->unsent_at;
}

struct osr_buffer *osr_channel_output(struct osr_channel *channel)
{
    assert(osr_channel_is_up(channel));
    if (waiting(channel) >= WAITING_BYTES_MAX) {
        return NULL;
    }
    return channel->tls == NULL ? &channel->unsent : &channel->plaintext;
}

static void encrypt(struct osr_channel *channel)
{
    if (channel->tls == NULL) {
        return;
    }
    if (channel->plaintext.size > 0) {
        osr_tls_write(channel->tls, osr_buffer_slice(&channel->plaintext));
        osr_buffer_clear(&channel->plaintext);
    }
    osr_tls_produce(channel->tls, &channel->unsent);
}

struct pollfd osr_channel_wait(struct osr_channel *channel)
{
    encrypt(channel);
    return (struct pollfd){.fd = channel->fd,
                           .events = (short)(POLLIN | (waiting(channel) > 0 ? POLLOUT : 0))};
}

static bool is_transient(int errno_value)
{
    return errno_value == EAGAIN || errno_value == EWOULDBLOCK || errno_value == EINTR;
}

static bool is_gone(int errno_value)
{
    return errno_value == EPIPE || errno_value == ECONNRESET;
}

int osr_channel_send(struct osr_channel *channel, struct osr_err *err)
{
    struct osr_buffer *unsent = &channel->unsent;
    encrypt(channel);
    if (waiting(channel) == 0) {
        return OSR_OK;
    }
    ssize_t sent =
        send(channel->fd, unsent->data + channel->unsent_at, waiting(channel), MSG_NOSIGNAL);
    if (sent < 0 && is_transient(errno)) {
        return OSR_OK;
    }
    if (sent < 0 && is_gone(errno)) {
        /* What made the instance hang up may still stand in the input: it explains more. */
        unsent->size = channel->unsent_at = 0;
        return OSR_OK;
    }
    if (sent < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "connection to the instance");
    }
    channel->unsent_at += (size_t)sent;
    /* Moving bytes to the front costs no more than sending them did. */
    if (channel->unsent_at >= unsent->size / 2) {
        osr_buffer_consume(unsent, channel->unsent_at);
        if (channel->tls == NULL) { /* passwords are sent in the clear to this machine's socket */
            explicit_bzero(unsent->data + unsent->size, channel->unsent_at);
        }
        channel->unsent_at = 0;
    }
    return OSR_OK;
}

/* ---- from the other side ---- */

static int set_lost(const struct osr_channel *channel, int errno_value, struct osr_err *err)
{
    if (errno_value == 0 || is_gone(errno_value)) {
        osr_err_set(err, OSR_UNAVAILABLE, "the instance closed the connection");
    } else {
        osr_err_errno(err, OSR_IO, errno_value, "connection to the instance");
    }
    if (channel->tls == NULL && !channel->has_received) {
        /* What a port for TLS does to plaintext, often without a word. */
        osr_err_hint(err, "see what osirisd has to say; if it speaks TLS there, say grpcs:// or "
                          "tls://");
    } else {
        osr_err_hint(err, "see what osirisd has to say, then try again");
    }
    return (int)err->code;
}

/* Nothing that is spoken in plaintext begins like this. */
static bool is_tls_alert(const uint8_t *data, size_t size)
{
    return size >= 2 && data[0] == TLS_ALERT && data[1] == TLS_MAJOR;
}

static int receive_plaintext(struct osr_channel *channel, uint8_t *room, size_t size_max,
                             size_t *ret_size, struct osr_err *err)
{
    ssize_t received = recv(channel->fd, room, size_max, 0);
    *ret_size = received > 0 ? (size_t)received : 0;
    if (received < 0 && is_transient(errno)) {
        return OSR_OK;
    }
    if (received <= 0) {
        return set_lost(channel, received == 0 ? 0 : errno, err);
    }
    if (!channel->has_received && is_tls_alert(room, *ret_size)) {
        *ret_size = 0;
        osr_err_set(err, OSR_MALFORMED, "the instance speaks TLS here, and nothing else");
        osr_err_hint(err, "say grpcs:// or tls:// in place of grpc:// or tcp://");
        return OSR_MALFORMED;
    }
    channel->has_received = true;
    return OSR_OK;
}

/* The socket has ended: not by TLS's own way of ending, unless that came before. */
static void end_tls(struct osr_channel *channel, int errno_value)
{
    struct osr_err *failure = &channel->failure;
    if (osr_tls_receive_end(channel->tls, failure) == 0 ||
        (errno_value != 0 && !is_gone(errno_value))) {
        set_lost(channel, errno_value, failure);
        return;
    }
    failure->code = OSR_UNAVAILABLE;
    osr_err_hint(failure, "see what osirisd has to say, then try again");
}

/* Takes what has come from the socket, and decrypts it. */
static void take_piece(struct osr_channel *channel)
{
    ssize_t received = recv(channel->fd, channel->piece, PIECE_BYTES, 0);
    if (received < 0 && is_transient(errno)) {
        return;
    }
    if (received <= 0) {
        end_tls(channel, received == 0 ? 0 : errno);
        return;
    }
    if (osr_tls_receive(channel->tls, osr_slice(channel->piece, (size_t)received),
                        &channel->failure) != 0) {
        osr_channel_send(channel, NULL); /* the alert, so that the other side knows as well */
    } else if (osr_tls_peer_has_ended(channel->tls)) {
        set_lost(channel, 0, &channel->failure);
    }
}

static int receive_encrypted(struct osr_channel *channel, uint8_t *room, size_t size_max,
                             size_t *ret_size, struct osr_err *err)
{
    const struct osr_err *failure = &channel->failure;
    if (!channel->has_more) {
        take_piece(channel);
    }
    *ret_size = osr_tls_read(channel->tls, room, size_max);
    channel->has_more = *ret_size > 0 && (*ret_size == size_max || failure->code != OSR_OK);
    if (*ret_size == 0 && failure->code != OSR_OK) {
        *err = *failure;
        return (int)failure->code;
    }
    return OSR_OK;
}

int osr_channel_receive(struct osr_channel *channel, uint8_t *room, size_t size_max,
                        size_t *ret_size, struct osr_err *err)
{
    return channel->tls == NULL ? receive_plaintext(channel, room, size_max, ret_size, err)
                                : receive_encrypted(channel, room, size_max, ret_size, err);
}

bool osr_channel_has_more(const struct osr_channel *channel)
{
    return channel->has_more;
}

/* ---- the end ---- */

void osr_channel_destroy(struct osr_channel *channel)
{
    if (channel == NULL) {
        return;
    }
    if (channel->tls != NULL && channel->failure.code == OSR_OK) {
        encrypt(channel);
        osr_tls_end(channel->tls);
        osr_channel_send(channel, NULL); /* as far as it goes without waiting */
    }
    osr_tls_destroy(channel->tls);
    close(channel->fd);
    osr_secret_buffer_done(&channel->plaintext); /* tokens have gone through it */
    osr_buffer_wipe(&channel->unsent);
    free(channel->piece);
    free(channel);
}
