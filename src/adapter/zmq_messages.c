/* The bus's messages as frames of ZeroMQ's sockets: a ROUTER's begin with the routing id, which as
 * hex is the peer's address; a request's envelope, whatever stands between that and the body, is
 * its correlation. */
#include <zmq.h>

#include "adapter/zmq_bus.h"
#include "adapter/zmq_frames.h"
#include "base/text.h"

enum {
    RECEIVED_AT_AN_END = 4096, /* when a peer has gone: its last ones are among them */
    ROUTING_ID_BYTES_MAX = OSR_BUS_ADDRESS_BYTES_MAX / 2, /* as hex it is an address */
};

/* -- receiving -- */

bool osr_zmq_read_peer(struct osr_slice *head, char address[OSR_BUS_ADDRESS_BYTES_MAX + 1])
{
    struct osr_slice id;

    if (!osr_zmq_head_next(head, &id) || id.size == 0 || id.size > ROUTING_ID_BYTES_MAX) {
        return false;
    }
    osr_hex_encode(address, id);
    return true;
}

/* What is not as our sockets or an ordinary client send it is dropped. */
static bool read_message(struct osr_zmq_bus *bus, struct osr_zmq_frames *frames,
                         char peer[OSR_BUS_ADDRESS_BYTES_MAX + 1], struct osr_bus_message *message)
{
    struct osr_slice head = osr_slice(frames->head, frames->head_size);
    size_t size = zmq_msg_size(&frames->body);

    if (frames->is_odd || size > OSR_BUS_MESSAGE_BYTES_MAX) {
        return false;
    }
    message->body = osr_slice(zmq_msg_data(&frames->body), size);
    if (bus->role == OSR_BUS_DIALLER) {
        return head.size == 0;
    }
    if (!osr_zmq_read_peer(&head, peer)) {
        return false;
    }
    if (bus->role == OSR_BUS_LISTENER) {
        message->address = peer;
        return head.size == 0;
    }
    message->reply_to = peer;
    message->correlation = head; /* what is between the routing id and the body comes back */
    message->sender = zmq_msg_gets(&frames->body, "User-Id");
    return head.size <= OSR_BUS_CORRELATION_BYTES_MAX;
}

static void count_taken(struct osr_zmq_bus *bus, struct osr_zmq_frames *frames, const char *peer)
{
    if (bus->role == OSR_BUS_DIALLER) {
        osr_zmq_unread_take(&bus->dial.unread, frames->bytes);
    } else {
        osr_zmq_listen_taken(bus, zmq_msg_get(&frames->body, ZMQ_SRCFD), peer, frames->bytes);
    }
}

/* False: nothing was there. */
static bool receive_one(struct osr_zmq_bus *bus)
{
    struct osr_zmq_frames frames;
    char peer[OSR_BUS_ADDRESS_BYTES_MAX + 1] = "";
    struct osr_bus_message message = {.address = ""};

    if (!osr_zmq_receive(bus->socket, &frames)) {
        return false;
    }
    bool is_good = read_message(bus, &frames, peer, &message);
    count_taken(bus, &frames, peer);
    if (is_good) {
        bus->base.handler->on_message(bus->base.context, &bus->base, &message);
    } else {
        osr_trace(&bus->trace, OSR_LEVEL_TRACE, "%s: a message of a wrong form was dropped",
                  bus->base.url);
    }
    zmq_msg_close(&frames.body);
    return true;
}

static bool may_receive(const struct osr_zmq_bus *bus)
{
    return bus->base.is_up && bus->is_reading && !bus->is_closing && bus->role != OSR_BUS_EVENTS;
}

bool osr_zmq_bus_receive(struct osr_zmq_bus *bus, size_t most)
{
    size_t count = 0;

    while (count < most && may_receive(bus) && receive_one(bus)) {
        count++;
    }
    return count > 0;
}

void osr_zmq_bus_receive_all(struct osr_zmq_bus *bus)
{
    osr_zmq_bus_receive(bus, RECEIVED_AT_AN_END);
}

/* -- sending -- */

/* The frames before the body. False: what is to be sent cannot be, as nobody has such an address.
 */
static bool write_head(const struct osr_zmq_bus *bus, const struct osr_bus_message *message,
                       struct osr_slice peer, uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX], size_t *size)
{
    *size = 0;
    if (bus->role == OSR_BUS_EVENTS) {
        return osr_zmq_head_add(head, size, osr_slice_text(message->address));
    }
    if (bus->role == OSR_BUS_DIALLER) {
        return true;
    }
    if (peer.size == 0 || !osr_zmq_head_add(head, size, peer)) {
        return false;
    }
    struct osr_slice envelope = message->correlation, frame;
    while (osr_zmq_head_next(&envelope, &frame)) {
        if (!osr_zmq_head_add(head, size, frame)) {
            return false;
        }
    }
    return envelope.size == 0;
}

/* The routing id that an address is; empty where it is none. */
static struct osr_slice decode_peer(const char *address, uint8_t id[ROUTING_ID_BYTES_MAX])
{
    size_t size = strlen(address) / 2;

    if (size > ROUTING_ID_BYTES_MAX || strlen(address) % 2 != 0) {
        return osr_slice(id, 0);
    }
    for (size_t i = 0; i < size; i++) {
        int high = osr_hex_value((uint8_t)address[2 * i]);
        int low = osr_hex_value((uint8_t)address[2 * i + 1]);
        if (high < 0 || low < 0) {
            return osr_slice(id, 0);
        }
        id[i] = (uint8_t)(high << 4 | low);
    }
    return osr_slice(id, size);
}

uint64_t osr_zmq_bus_send(struct osr_bus *base, const struct osr_bus_message *message)
{
    struct osr_zmq_bus *bus = (struct osr_zmq_bus *)base;
    uint8_t id[ROUTING_ID_BYTES_MAX];
    uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX];
    size_t head_size;
    struct osr_slice peer = osr_slice(id, 0);

    if (osr_zmq_bus_is_router(bus)) {
        peer = decode_peer(message->address, id);
    }
    bus->sent++;
    osr_zmq_bus_soon(bus);
    if (message->body.size > OSR_BUS_MESSAGE_BYTES_MAX ||
        !write_head(bus, message, peer, head, &head_size)) {
        osr_trace(&bus->trace, OSR_LEVEL_WARNING,
                  "%s: a message that is too large, or for nobody, was dropped", bus->base.url);
        return bus->sent; /* who takes larger ones would cut the connection */
    }
    osr_zmq_outbox_add(bus->outbox, peer, osr_slice(head, head_size), message->body,
                       uv_now(bus->loop));
    bus->is_full |= osr_zmq_outbox_bytes(bus->outbox) >= OSR_BUS_QUEUE_BYTES;
    return bus->sent;
}
