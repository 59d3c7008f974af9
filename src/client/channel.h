/* channel.h -- a connected socket and the bytes that go through it: as they are, or by TLS. Never
 * blocks.
 *
 * Happy path: create -> (wait as osr_channel_wait says -> osr_channel_send, osr_channel_receive)
 * until osr_channel_is_up -> bytes both ways -> destroy.
 *
 * Failures: UNAVAILABLE where the other side has closed, or the connection was cut off; those of
 * adapter/tls.h; MALFORMED where one side speaks TLS and the other does not. Nothing but destroy
 * after one. */
#ifndef OSR_CLIENT_CHANNEL_H
#define OSR_CLIENT_CHANNEL_H

#include <poll.h>

#include "adapter/tls.h"

struct osr_channel;

/* The socket moves to the channel. security: NULL for plaintext, which is up at once. */
struct osr_channel *osr_channel_create(int fd, struct osr_tls_context *security);
void osr_channel_destroy(struct osr_channel *channel); /* NULL is a no-op */
bool osr_channel_is_up(const struct osr_channel *channel);
/* Only once it is up; NULL: plaintext. */
const struct osr_tls_peer *osr_channel_peer(const struct osr_channel *channel);

struct pollfd osr_channel_wait(struct osr_channel *channel);
/* Where to append what is to be sent, only once it is up. NULL: enough is waiting. */
struct osr_buffer *osr_channel_output(struct osr_channel *channel);
int osr_channel_send(struct osr_channel *channel, struct osr_err *err);
/* *ret_size is 0 where nothing has come. */
int osr_channel_receive(struct osr_channel *channel, uint8_t *room, size_t size_max,
                        size_t *ret_size, struct osr_err *err);
/* There is more to receive for which poll() would not wake. */
bool osr_channel_has_more(const struct osr_channel *channel);

#endif
