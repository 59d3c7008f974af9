#include "adapter/message_packet.h"

#include <assert.h>

/* What stands behind the header, in this order. */
enum part {
    PART_NONCE = 1 << 0,
    PART_NUMBER = 1 << 1,
    PART_CREDIT = 1 << 2,
    PART_CODE = 1 << 3,
    PART_BYTES = 1 << 4,
};

static const unsigned parts_of[OSR_MESSAGE_TYPE_COUNT] = {
    [OSR_MESSAGE_OPEN] = PART_CREDIT,
    [OSR_MESSAGE_ACCEPT] = PART_CREDIT,
    [OSR_MESSAGE_DATA] = PART_NUMBER | PART_BYTES,
    [OSR_MESSAGE_CREDIT] = PART_CREDIT,
    [OSR_MESSAGE_END] = PART_NUMBER,
    [OSR_MESSAGE_RESET] = PART_CODE,
    [OSR_MESSAGE_PROBE] = PART_NONCE | PART_NUMBER,
    [OSR_MESSAGE_PROBE_REPLY] = PART_NONCE | PART_CREDIT,
};

static int refuse(struct osr_err *err, const char *why)
{
    osr_err_set(err, OSR_MALFORMED, "a message is no packet of a connection: %s", why);
    return OSR_MALFORMED;
}

/* Of all parts but the bytes. */
static size_t fixed_size(unsigned parts)
{
    return ((parts & PART_NONCE) != 0 ? 8u : 0u) + ((parts & PART_NUMBER) != 0 ? 8u : 0u) +
           ((parts & PART_CREDIT) != 0 ? 24u : 0u) + ((parts & PART_CODE) != 0 ? 4u : 0u);
}

static uint64_t take_u64(const uint8_t **at)
{
    uint64_t value = osr_get_u64(*at);
    *at += 8;
    return value;
}

static void take_parts(const uint8_t *at, unsigned parts, struct osr_message_packet *packet)
{
    if ((parts & PART_NONCE) != 0) {
        packet->nonce = take_u64(&at);
    }
    if ((parts & PART_NUMBER) != 0) {
        packet->number = take_u64(&at);
    }
    if ((parts & PART_CREDIT) != 0) {
        packet->credit.bytes = take_u64(&at);
        packet->credit.numbers = take_u64(&at);
        packet->credit.received = take_u64(&at);
    }
    if ((parts & PART_CODE) != 0) {
        packet->code = osr_get_u32(at);
    }
}

int osr_message_packet_decode(struct osr_slice message, struct osr_message_packet *ret_packet,
                              struct osr_err *err)
{
    if (message.size < OSR_MESSAGE_HEADER_BYTES) {
        return refuse(err, "it is too short");
    }
    if (message.data[0] != OSR_MESSAGE_VERSION) {
        return refuse(err, "it is of another version");
    }
    unsigned type = message.data[1];
    if (type == 0 || type >= OSR_MESSAGE_TYPE_COUNT) {
        return refuse(err, "its type is not known");
    }
    size_t fixed = OSR_MESSAGE_HEADER_BYTES + fixed_size(parts_of[type]);
    bool has_bytes = (parts_of[type] & PART_BYTES) != 0;
    size_t least = fixed + (has_bytes ? 1u : 0u);
    size_t most = fixed + (has_bytes ? (size_t)OSR_MESSAGE_PIECE_BYTES : 0u);
    if (message.size < least || message.size > most) {
        return refuse(err, "its size is not its type's");
    }
    struct osr_message_packet packet = {.type = (enum osr_message_type)type};
    memcpy(packet.id, message.data + 2, OSR_MESSAGE_ID_BYTES);
    take_parts(message.data + OSR_MESSAGE_HEADER_BYTES, parts_of[type], &packet);
    packet.bytes = osr_slice(message.data + fixed, message.size - fixed);
    *ret_packet = packet;
    return 0;
}

void osr_message_packet_encode(const struct osr_message_packet *packet,
                               struct osr_buffer *ret_message)
{
    unsigned parts = parts_of[packet->type];
    assert(packet->bytes.size <= OSR_MESSAGE_PIECE_BYTES);
    osr_buffer_add_u8(ret_message, OSR_MESSAGE_VERSION);
    osr_buffer_add_u8(ret_message, (uint8_t)packet->type);
    osr_buffer_add(ret_message, packet->id, sizeof(packet->id));
    if ((parts & PART_NONCE) != 0) {
        osr_buffer_add_u64(ret_message, packet->nonce);
    }
    if ((parts & PART_NUMBER) != 0) {
        osr_buffer_add_u64(ret_message, packet->number);
    }
    if ((parts & PART_CREDIT) != 0) {
        osr_buffer_add_u64(ret_message, packet->credit.bytes);
        osr_buffer_add_u64(ret_message, packet->credit.numbers);
        osr_buffer_add_u64(ret_message, packet->credit.received);
    }
    if ((parts & PART_CODE) != 0) {
        osr_buffer_add_u32(ret_message, packet->code);
    }
    if ((parts & PART_BYTES) != 0) {
        osr_buffer_add(ret_message, packet->bytes.data, packet->bytes.size);
    }
}
