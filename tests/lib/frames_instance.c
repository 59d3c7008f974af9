#include "lib/frames_instance.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "model/limits.h"

/* The next frame; NULL where the client has closed, or says what is none. */
static const Osr__Frame *receive(struct frames_instance *instance)
{
    for (;;) {
        struct osr_slice bytes;
        if (osr_stream_next(&instance->stream, &bytes, NULL) != OSR_OK) {
            return NULL;
        }
        if (bytes.size > 0) {
            Osr__Frame *frame;
            uint64_t request_id;
            osr_arena_reset(instance->arena);
            int code = osr_frame_decode(instance->codec, bytes, instance->arena, &frame,
                                        &request_id, NULL);
            return code == OSR_OK ? frame : NULL;
        }
        char piece[4096];
        size_t got = tls_socket_receive(&instance->socket, piece, sizeof(piece));
        if (got == 0) {
            return NULL;
        }
        osr_stream_add(&instance->stream, piece, got);
    }
}

static void serve_connection(struct frames_instance *instance)
{
    osr_stream_init(&instance->stream, instance->codec, true, 0);
    instance->arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    const Osr__Frame *request;
    do {
        request = receive(instance);
        instance->requests += request != NULL;
    } while (request != NULL && instance->serve(instance, request));
    tls_socket_close(&instance->socket);
    osr_arena_destroy(instance->arena);
    osr_stream_done(&instance->stream);
}

static void *run(void *context)
{
    struct frames_instance *instance = context;
    while (tls_socket_accept(&instance->socket, instance->listener, instance->security)) {
        instance->connections++;
        serve_connection(instance);
        instance->closed++;
    }
    return NULL;
}

void frames_instance_start(struct frames_instance *instance, enum osr_codec codec,
                           frames_serve *serve)
{
    *instance = (struct frames_instance){.serve = serve, .codec = codec};
    strcpy(instance->folder, "/tmp/osiris-test-XXXXXX");
    assert_non_null(mkdtemp(instance->folder));
    snprintf(instance->path, sizeof(instance->path), "%s/socket", instance->folder);
    static const char *const names[OSR_CODEC_COUNT] = {"json", "protobuf", "yaml"};
    snprintf(instance->url, sizeof(instance->url), "unix://%s?codec=%s", instance->path,
             names[codec]);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strcpy(address.sun_path, instance->path);
    instance->listener = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(instance->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(instance->listener, 8), 0);
    assert_int_equal(pthread_create(&instance->thread, NULL, run, instance), 0);
}

void frames_instance_start_secure(struct frames_instance *instance,
                                  const struct osr_tls_options *options, frames_serve *serve)
{
    uint16_t port;
    *instance = (struct frames_instance){.serve = serve, .codec = OSR_CODEC_PROTOBUF};
    assert_int_equal(osr_tls_context_create(options, &instance->security, NULL), 0);
    instance->listener = tls_socket_listen(&port);
    snprintf(instance->url, sizeof(instance->url), "tls://127.0.0.1:%u", port);
    assert_int_equal(pthread_create(&instance->thread, NULL, run, instance), 0);
}

void frames_instance_stop(struct frames_instance *instance)
{
    shutdown(instance->listener, SHUT_RDWR);
    assert_int_equal(pthread_join(instance->thread, NULL), 0);
    close(instance->listener);
    osr_tls_context_release(instance->security);
    if (instance->path[0] != '\0') {
        unlink(instance->path);
        rmdir(instance->folder);
    }
}

void frames_instance_cut(struct frames_instance *instance)
{
    tls_socket_cut(&instance->socket);
}

void frames_instance_send_bytes(struct frames_instance *instance, const void *data, size_t size)
{
    tls_socket_send(&instance->socket, osr_slice(data, size));
}

void frames_instance_reply(struct frames_instance *instance, uint64_t request_id,
                           Osr__Frame__BodyCase body, ProtobufCMessage *message, bool end)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    struct osr_buffer buffer = {0};
    frame.request_id = request_id;
    frame.end = end;
    osr_frame_set_body(&frame, body, message);
    osr_stream_write(instance->codec, &frame, &buffer);
    frames_instance_send_bytes(instance, buffer.data, buffer.size);
    osr_buffer_done(&buffer);
}

void frames_instance_reply_error(struct frames_instance *instance, uint64_t request_id,
                                 Osr__Code code)
{
    Osr__Error error = OSR__ERROR__INIT;
    error.code = code;
    error.message = (char *)"as wanted";
    error.hint = (char *)"do that";
    frames_instance_reply(instance, request_id, OSR__FRAME__BODY_ERROR, &error.base, true);
}
