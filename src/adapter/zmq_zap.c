#include "adapter/zmq_zap.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/zmq_frames.h"
#include "adapter/zmq_keys.h"

enum {
    FRAME_BYTES_MAX = 256, /* of a question; longer ones are cut, and then are no key */
    FRAMES_WANTED = 7,
    REPORT_MS = 1000, /* between two lines about strangers: stops them from filling the log */
};

/* The frames of a question, in their order. */
enum { VERSION, REQUEST_ID, DOMAIN, ADDRESS, ROUTING_ID, MECHANISM, KEY };

struct frame {
    size_t size;
    uint8_t data[FRAME_BYTES_MAX + 1]; /* with a NUL behind it */
};

struct osr_zmq_zap {
    void *socket;
    struct osr_bus_client_key *clients;
    size_t client_count;
    struct osr_trace trace;
    uint64_t report_ms; /* from when on the next line may be written */
    struct frame frames[FRAMES_WANTED];
};

struct osr_zmq_zap *osr_zmq_zap_create(void *library, const struct osr_bus_keys *keys,
                                       const struct osr_trace *trace)
{
    struct osr_zmq_zap *zap = osr_alloc(sizeof(*zap));

    zap->clients = osr_alloc((keys->client_count + 1) * sizeof(*zap->clients));
    for (size_t i = 0; i < keys->client_count; i++) {
        zap->clients[i] = keys->clients[i];
    }
    zap->client_count = keys->client_count;
    zap->trace = trace != NULL ? *trace : (struct osr_trace){0};
    zap->socket = zmq_socket(library, ZMQ_REP);
    assert(zap->socket != NULL);
    zmq_setsockopt(zap->socket, ZMQ_LINGER, &(int){0}, sizeof(int));
    int result = zmq_bind(zap->socket, "inproc://zeromq.zap.01");
    assert(result == 0); /* the context is ours alone */
    return zap;
}

void osr_zmq_zap_destroy(struct osr_zmq_zap *zap)
{
    if (zap == NULL) {
        return;
    }
    zmq_close(zap->socket);
    free(zap->clients);
    free(zap);
}

void *osr_zmq_zap_socket(struct osr_zmq_zap *zap)
{
    return zap->socket;
}

static bool frame_is(const struct frame *frame, const char *text)
{
    return frame->size == strlen(text) && memcmp(frame->data, text, frame->size) == 0;
}

static void take_frame(struct frame *frame, zmq_msg_t *message)
{
    size_t size = zmq_msg_size(message);

    frame->size = size < FRAME_BYTES_MAX ? size : FRAME_BYTES_MAX;
    memcpy(frame->data, zmq_msg_data(message), frame->size);
    frame->data[frame->size] = '\0';
}

/* False: none is there. */
static bool receive_question(struct osr_zmq_zap *zap, size_t *ret_count)
{
    bool more = true;

    *ret_count = 0;
    while (more) {
        zmq_msg_t message;
        zmq_msg_init(&message);
        if (!osr_zmq_receive_frame(zap->socket, &message)) {
            zmq_msg_close(&message);
            return false;
        }
        if (*ret_count < FRAMES_WANTED) {
            take_frame(&zap->frames[*ret_count], &message);
        }
        (*ret_count)++;
        more = zmq_msg_more(&message) != 0;
        zmq_msg_close(&message);
    }
    return true;
}

/* NULL: a stranger. */
static const char *find_client(const struct osr_zmq_zap *zap, size_t frame_count)
{
    const struct frame *key = &zap->frames[KEY];

    if (frame_count != FRAMES_WANTED || !frame_is(&zap->frames[VERSION], "1.0") ||
        !frame_is(&zap->frames[MECHANISM], "CURVE") || key->size != OSR_BUS_KEY_BYTES) {
        return NULL;
    }
    for (size_t i = 0; i < zap->client_count; i++) {
        if (memcmp(zap->clients[i].key, key->data, OSR_BUS_KEY_BYTES) == 0) {
            return zap->clients[i].name;
        }
    }
    return NULL;
}

static void report_stranger(struct osr_zmq_zap *zap, size_t frame_count, uint64_t now_ms)
{
    char key[OSR_CURVE_KEY_CHARS + 1] = "(none)";

    if (now_ms < zap->report_ms || frame_count != FRAMES_WANTED) {
        return;
    }
    zap->report_ms = now_ms + REPORT_MS;
    if (zap->frames[KEY].size == OSR_BUS_KEY_BYTES) {
        osr_curve_key_write(zap->frames[KEY].data, key);
    }
    osr_trace(&zap->trace, OSR_LEVEL_WARNING,
              "ZeroMQ: refused %s, whose key %s is no client's: osiris client add NAME KEY lets it "
              "in, from the next start",
              (const char *)zap->frames[ADDRESS].data, key);
}

static void send_text(void *socket, const char *text, int more)
{
    zmq_send(socket, text, strlen(text), ZMQ_DONTWAIT | more);
}

static void answer(struct osr_zmq_zap *zap, size_t frame_count, const char *client)
{
    const struct frame *id = &zap->frames[REQUEST_ID];

    send_text(zap->socket, "1.0", ZMQ_SNDMORE);
    zmq_send(zap->socket, id->data, frame_count > REQUEST_ID ? id->size : 0,
             ZMQ_DONTWAIT | ZMQ_SNDMORE);
    send_text(zap->socket, client != NULL ? "200" : "400", ZMQ_SNDMORE);
    send_text(zap->socket, client != NULL ? "OK" : "unknown key", ZMQ_SNDMORE);
    send_text(zap->socket, client != NULL ? client : "", ZMQ_SNDMORE);
    send_text(zap->socket, "", 0);
}

void osr_zmq_zap_answer(struct osr_zmq_zap *zap, uint64_t now_ms)
{
    size_t frame_count;

    while (receive_question(zap, &frame_count)) {
        const char *client = find_client(zap, frame_count);
        if (client == NULL) {
            report_stranger(zap, frame_count, now_ms);
        }
        answer(zap, frame_count, client);
    }
}
