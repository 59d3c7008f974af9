/* frames_instance.h -- an instance that answers as a test wants it: a thread of the test, on a Unix
 * socket, or by TLS on a port of this machine, that speaks frames with one client after the other.
 */
#ifndef OSR_TESTS_FRAMES_INSTANCE_H
#define OSR_TESTS_FRAMES_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "lib/tls_socket.h"
#include "wire/stream.h"

struct frames_instance;

/* Answers one frame, in the instance's thread. False: hang up. */
typedef bool frames_serve(struct frames_instance *instance, const Osr__Frame *request);

struct frames_instance {
    char url[128]; /* what a client connects to */
    frames_serve *serve;
    atomic_int connections; /* so far */
    atomic_int closed;      /* of them */
    atomic_int requests;
    uint64_t held_id; /* for a test's own use */

    /* Of the thread. */
    enum osr_codec codec;
    char folder[32];
    char path[64];
    int listener;
    struct osr_tls_context *security; /* NULL: plaintext */
    pthread_t thread;
    struct tls_socket socket; /* of the connection that stands */
    struct osr_stream stream;
    struct osr_arena *arena;
};

void frames_instance_start(struct frames_instance *instance, enum osr_codec codec,
                           frames_serve *serve);
/* By TLS, with protobuf; the options are needed no longer. */
void frames_instance_start_secure(struct frames_instance *instance,
                                  const struct osr_tls_options *options, frames_serve *serve);
void frames_instance_stop(struct frames_instance *instance); /* after the client is closed */

/* From within serve, which then returns false: hangs up without saying so. */
void frames_instance_cut(struct frames_instance *instance);
/* From within serve. That the client may have gone is what some tests are about. */
void frames_instance_send_bytes(struct frames_instance *instance, const void *data, size_t size);
void frames_instance_reply(struct frames_instance *instance, uint64_t request_id,
                           Osr__Frame__BodyCase body, ProtobufCMessage *message, bool end);
/* With the message "as wanted" and the hint "do that". */
void frames_instance_reply_error(struct frames_instance *instance, uint64_t request_id,
                                 Osr__Code code);

#endif
