#include "adapter/zmq_outbox.h"

#include <stdlib.h>

#include "adapter/keys.h"
#include "adapter/zmq_frames.h"
#include "base/map.h"

struct message {
    struct message *next;
    zmq_msg_t body;
    size_t bytes;
    size_t head_size;
    uint8_t head[];
};

/* Invariant: in the map while, and only while, something waits in it. */
struct queue {
    struct message *first;
    struct message **last;
    size_t bytes;
    uint64_t moved_ms; /* when something was taken from it, or first put into it */
};

struct osr_zmq_outbox {
    struct osr_map *queues; /* by peer */
    size_t bytes;
    size_t count;
};

struct osr_zmq_outbox *osr_zmq_outbox_create(void)
{
    struct osr_zmq_outbox *outbox = osr_alloc(sizeof(*outbox));
    uint64_t seed;

    osr_secret_random(&seed, sizeof(seed));
    outbox->queues = osr_map_create(seed);
    return outbox;
}

static void drop_first(struct osr_zmq_outbox *outbox, struct queue *queue)
{
    struct message *message = queue->first;

    queue->first = message->next;
    if (queue->first == NULL) {
        queue->last = &queue->first;
    }
    queue->bytes -= message->bytes;
    outbox->bytes -= message->bytes;
    outbox->count--;
    zmq_msg_close(&message->body);
    free(message);
}

static void free_queue(struct osr_zmq_outbox *outbox, struct queue *queue)
{
    while (queue->first != NULL) {
        drop_first(outbox, queue);
    }
    free(queue);
}

void osr_zmq_outbox_destroy(struct osr_zmq_outbox *outbox)
{
    size_t cursor = 0;
    struct osr_slice peer;
    void *queue;

    if (outbox == NULL) {
        return;
    }
    while (osr_map_next(outbox->queues, &cursor, &peer, &queue)) {
        free_queue(outbox, queue);
    }
    osr_map_destroy(outbox->queues);
    free(outbox);
}

static struct message *make_message(struct osr_slice head, struct osr_slice body)
{
    struct message *message = osr_alloc(sizeof(*message) + head.size);

    if (zmq_msg_init_size(&message->body, body.size) != 0) {
        abort(); /* as osr_alloc does */
    }
    if (body.size > 0) {
        memcpy(zmq_msg_data(&message->body), body.data, body.size);
    }
    if (head.size > 0) {
        memcpy(message->head, head.data, head.size);
    }
    message->head_size = head.size;
    message->bytes = sizeof(*message) + head.size + body.size;
    return message;
}

void osr_zmq_outbox_add(struct osr_zmq_outbox *outbox, struct osr_slice peer, struct osr_slice head,
                        struct osr_slice body, uint64_t now_ms)
{
    struct queue *queue = osr_map_get(outbox->queues, peer);
    struct message *message = make_message(head, body);

    if (queue == NULL) {
        queue = osr_alloc(sizeof(*queue));
        queue->last = &queue->first;
        queue->moved_ms = now_ms;
        osr_map_put(outbox->queues, peer, queue);
    }
    *queue->last = message;
    queue->last = &message->next;
    queue->bytes += message->bytes;
    outbox->bytes += message->bytes;
    outbox->count++;
}

/* The peer's name is the map's, and goes with the entry. */
static void give_up(struct osr_zmq_outbox *outbox, struct osr_slice peer, struct queue *queue,
                    struct osr_buffer *gone)
{
    free_queue(outbox, queue);
    osr_buffer_add_u8(gone, (uint8_t)peer.size);
    osr_buffer_add(gone, peer.data, peer.size);
    osr_map_remove(outbox->queues, peer);
}

/* True: something moved. */
static bool send_queue(struct osr_zmq_outbox *outbox, struct osr_slice peer, struct queue *queue,
                       void *socket, uint64_t now_ms, struct osr_buffer *gone)
{
    enum osr_zmq_result result = OSR_ZMQ_SENT;
    bool has_moved = false;

    while (queue->first != NULL && result == OSR_ZMQ_SENT) {
        struct osr_slice head = osr_slice(queue->first->head, queue->first->head_size);
        result = osr_zmq_send(socket, head, &queue->first->body);
        if (result == OSR_ZMQ_SENT) {
            drop_first(outbox, queue);
            queue->moved_ms = now_ms;
            has_moved = true;
        }
    }
    if (result == OSR_ZMQ_GONE) {
        give_up(outbox, peer, queue, gone);
        return true;
    }
    if (queue->first == NULL) {
        osr_map_remove(outbox->queues, peer);
        free(queue);
    }
    return has_moved;
}

bool osr_zmq_outbox_send(struct osr_zmq_outbox *outbox, void *socket, uint64_t now_ms,
                         struct osr_buffer *gone)
{
    size_t cursor = 0;
    struct osr_slice peer;
    void *queue;
    bool has_moved = false;

    while (osr_map_next(outbox->queues, &cursor, &peer, &queue)) {
        has_moved |= send_queue(outbox, peer, queue, socket, now_ms, gone);
    }
    return has_moved;
}

void osr_zmq_outbox_check(struct osr_zmq_outbox *outbox, uint64_t now_ms, struct osr_buffer *gone)
{
    size_t cursor = 0;
    struct osr_slice peer;
    void *value;

    while (osr_map_next(outbox->queues, &cursor, &peer, &value)) {
        struct queue *queue = value;
        if (queue->bytes > OSR_ZMQ_PEER_BYTES_MAX ||
            now_ms - queue->moved_ms >= OSR_ZMQ_PEER_STALL_MS) {
            give_up(outbox, peer, queue, gone);
        }
    }
}

size_t osr_zmq_outbox_bytes(const struct osr_zmq_outbox *outbox)
{
    return outbox->bytes;
}

size_t osr_zmq_outbox_count(const struct osr_zmq_outbox *outbox)
{
    return outbox->count;
}

uint64_t osr_zmq_outbox_stalled_ms(const struct osr_zmq_outbox *outbox, uint64_t now_ms)
{
    const struct queue *queue = osr_map_get(outbox->queues, osr_slice("", 0));
    return queue == NULL ? 0 : now_ms - queue->moved_ms;
}
