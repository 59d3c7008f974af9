/* What comes as messages to a connection over a broker: any bytes are a packet that is written as
 * it was read, or none; and a link to which any packets come, mixed with its own reading and
 * writing, keeps within its window and delivers no byte that no packet had. */
#include "fuzz.h"

#include <string.h>

#include "adapter/message_link.h"

static const uint8_t id[OSR_MESSAGE_ID_BYTES];

static void check_packet(struct osr_slice message)
{
    struct osr_message_packet packet;
    struct osr_err err;
    struct osr_buffer again = {0};
    int code = osr_message_packet_decode(message, &packet, &err);
    MUST(code == 0 || code == OSR_MALFORMED);
    if (code == 0) {
        osr_message_packet_encode(&packet, &again);
        MUST(osr_slice_equal(osr_buffer_slice(&again), message));
    }
    osr_buffer_done(&again);
}

struct side {
    struct osr_message_link *link;
    size_t came; /* bytes of all packets */
    size_t read;
};

static void act(struct side *side, uint8_t what)
{
    uint8_t room[4096];
    struct osr_buffer buffer = {0};
    switch (what % 4) {
    case 0:
        side->read += osr_message_link_read(side->link, room, sizeof(room));
        break;
    case 1:
        memset(room, what, what);
        osr_buffer_add(&buffer, room, what);
        osr_message_link_write(side->link, &buffer);
        break;
    case 2:
        osr_message_link_probe(side->link);
        break;
    default:
        while (osr_message_link_produce(side->link, &buffer)) {
            check_packet(osr_buffer_slice(&buffer));
            osr_buffer_clear(&buffer);
        }
    }
    osr_buffer_done(&buffer);
}

/* False: the link is over. */
static bool feed(struct side *side, struct osr_slice message)
{
    struct osr_message_packet packet;
    struct osr_err err;
    if (osr_message_packet_decode(message, &packet, &err) != 0) {
        return true;
    }
    side->came += packet.bytes.size;
    int code = osr_message_link_receive(side->link, &packet, &err);
    MUST(code == 0 || code == OSR_UNAVAILABLE || code == OSR_FLOW_CONTROL || code == OSR_MALFORMED);
    MUST(osr_message_link_unread(side->link) <= OSR_MESSAGE_WINDOW_BYTES);
    MUST(side->read + osr_message_link_unread(side->link) <= side->came);
    return code == 0;
}

/* The input is what to do first, then packets: their sizes in two bytes before them. */
static void check_link(struct osr_slice input, bool is_dialler)
{
    const struct osr_message_packet open = {.type = OSR_MESSAGE_OPEN, .credit = {4096, 16, 0}};
    struct side side = {.link = osr_message_link_create(id, is_dialler ? NULL : &open)};
    bool is_alive = true;
    while (is_alive && input.size >= 3) {
        size_t wanted = (size_t)input.data[1] << 8 | input.data[2];
        size_t size = wanted < input.size - 3 ? wanted : input.size - 3;
        act(&side, input.data[0]);
        is_alive = feed(&side, osr_slice(input.data + 3, size));
        input = osr_slice(input.data + 3 + size, input.size - 3 - size);
    }
    osr_message_link_destroy(side.link);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_packet(osr_slice(data, size));
    check_link(osr_slice(data, size), true);
    check_link(osr_slice(data, size), false);
    return 0;
}
