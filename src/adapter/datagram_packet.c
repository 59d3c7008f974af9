#include "adapter/datagram_packet.h"

#include <assert.h>

enum part_type {
    PART_PADDING,
    PART_PIECE,
    PART_ACK,
    PART_WINDOW,
    PART_END,
    PART_PING,
    PART_PONG,
    PART_COUNT,
};

/* ---- reading ---- */

struct reader {
    const uint8_t *at;
    const uint8_t *end;
};

static size_t left(const struct reader *reader)
{
    return (size_t)(reader->end - reader->at);
}

static bool read_number(struct reader *reader, uint64_t *ret_number)
{
    if (left(reader) == 0) {
        return false;
    }
    size_t size = (size_t)1 << (reader->at[0] >> 6);
    if (left(reader) < size) {
        return false;
    }
    uint64_t number = reader->at[0] & 0x3f;
    for (size_t i = 1; i < size; i++) {
        number = number << 8 | reader->at[i];
    }
    reader->at += size;
    *ret_number = number;
    return true;
}

static bool read_bytes(struct reader *reader, uint64_t size, const uint8_t **ret_bytes)
{
    if (left(reader) < size) {
        return false;
    }
    *ret_bytes = reader->at;
    reader->at += size;
    return true;
}

static bool read_padding(struct reader *reader, struct osr_packet *packet)
{
    (void)packet;
    reader->at = reader->end;
    return true;
}

static bool read_piece(struct reader *reader, struct osr_packet *packet)
{
    uint64_t offset;
    uint64_t size;
    const uint8_t *bytes;
    if (packet->piece_count == OSR_PACKET_PIECES_MAX || !read_number(reader, &offset) ||
        !read_number(reader, &size) || size == 0 || !read_bytes(reader, size, &bytes)) {
        return false;
    }
    packet->pieces[packet->piece_count] =
        (struct osr_packet_piece){offset, osr_slice(bytes, (size_t)size)};
    packet->piece_count++;
    return true;
}

/* The range that ends with `largest`. */
static bool read_range(struct reader *reader, uint64_t largest, struct osr_packet_ack *ack)
{
    uint64_t length;
    if (!read_number(reader, &length) || length > largest) {
        return false;
    }
    ack->ranges[ack->range_count] = (struct osr_range){largest - length, largest + 1};
    ack->range_count++;
    return true;
}

static bool read_ack(struct reader *reader, struct osr_packet *packet)
{
    struct osr_packet_ack *ack = &packet->ack;
    uint64_t largest;
    uint64_t count;
    ack->range_count = 0;
    if (!read_number(reader, &largest) || !read_number(reader, &ack->delay_us) ||
        !read_number(reader, &count) || count >= OSR_PIPE_RANGES_MAX ||
        !read_range(reader, largest, ack)) {
        return false;
    }
    for (; count > 0; count--) {
        uint64_t above = ack->ranges[ack->range_count - 1].begin;
        uint64_t gap;
        if (!read_number(reader, &gap) || above < gap + 2 ||
            !read_range(reader, above - gap - 2, ack)) {
            return false;
        }
    }
    return true;
}

static bool read_window(struct reader *reader, struct osr_packet *packet)
{
    return read_number(reader, &packet->window);
}

static bool read_end(struct reader *reader, struct osr_packet *packet)
{
    return read_number(reader, &packet->end);
}

static bool read_nonce(struct reader *reader, uint8_t *nonce)
{
    const uint8_t *bytes;
    if (!read_bytes(reader, OSR_PIPE_NONCE_BYTES, &bytes)) {
        return false;
    }
    memcpy(nonce, bytes, OSR_PIPE_NONCE_BYTES);
    return true;
}

static bool read_ping(struct reader *reader, struct osr_packet *packet)
{
    return read_nonce(reader, packet->ping);
}

static bool read_pong(struct reader *reader, struct osr_packet *packet)
{
    return read_nonce(reader, packet->pong);
}

struct part_kind {
    const char *name;
    enum osr_packet_part part;
    bool (*read)(struct reader *reader, struct osr_packet *packet);
};

static const struct part_kind kinds[] = {
    [PART_PADDING] = {"PADDING", OSR_PACKET_PADDING, read_padding},
    [PART_PIECE] = {"PIECE", OSR_PACKET_PIECE, read_piece},
    [PART_ACK] = {"ACK", OSR_PACKET_ACK, read_ack},
    [PART_WINDOW] = {"WINDOW", OSR_PACKET_WINDOW, read_window},
    [PART_END] = {"END", OSR_PACKET_END, read_end},
    [PART_PING] = {"PING", OSR_PACKET_PING, read_ping},
    [PART_PONG] = {"PONG", OSR_PACKET_PONG, read_pong},
};
_Static_assert(sizeof(kinds) / sizeof(kinds[0]) == PART_COUNT, "a row for each part");

int osr_packet_decode(struct osr_slice bytes, struct osr_packet *ret_packet, struct osr_err *err)
{
    struct reader reader = {bytes.data, bytes.data + bytes.size};
    ret_packet->parts = 0;
    ret_packet->piece_count = 0;
    if (!read_number(&reader, &ret_packet->number)) {
        return osr_err_set(err, OSR_MALFORMED, "packet without a number");
    }
    while (left(&reader) > 0) {
        uint8_t type = *reader.at++;
        if (type >= PART_COUNT) {
            return osr_err_set(err, OSR_MALFORMED, "packet with an unknown part %u", type);
        }
        const struct part_kind *kind = &kinds[type];
        bool is_repeated = kind->part != OSR_PACKET_PIECE && (ret_packet->parts & kind->part) != 0;
        if (is_repeated || !kind->read(&reader, ret_packet)) {
            return osr_err_set(err, OSR_MALFORMED, "packet with a broken %s", kind->name);
        }
        ret_packet->parts |= kind->part;
    }
    return 0;
}

/* ---- writing ---- */

static size_t number_size(uint64_t number)
{
    assert(number <= OSR_PACKET_NUMBER_MAX);
    if (number < 1 << 6) {
        return 1;
    }
    if (number < 1 << 14) {
        return 2;
    }
    return number < 1 << 30 ? 4 : 8;
}

static size_t room(const struct osr_packet_writer *writer)
{
    return writer->capacity - writer->size;
}

static void put_number(struct osr_packet_writer *writer, uint64_t number)
{
    static const uint8_t marks[] = {[1] = 0x00, [2] = 0x40, [4] = 0x80, [8] = 0xc0};
    size_t size = number_size(number);
    assert(room(writer) >= size);
    uint8_t *at = writer->data + writer->size;
    uint64_t rest = number;
    for (size_t i = size; i > 0; i--) {
        at[i - 1] = (uint8_t)rest;
        rest >>= 8;
    }
    at[0] |= marks[size];
    writer->size += size;
}

static void put_type(struct osr_packet_writer *writer, enum part_type type)
{
    assert(room(writer) >= 1);
    writer->data[writer->size++] = (uint8_t)type;
}

void osr_packet_begin(struct osr_packet_writer *writer, uint8_t *data, size_t capacity,
                      uint64_t number)
{
    *writer = (struct osr_packet_writer){.data = data, .capacity = capacity};
    put_number(writer, number);
}

/* The size of the item's range behind the one above it. */
static size_t further_size(const struct osr_range *item, const struct osr_range *above)
{
    return number_size(above->begin - item->end - 1) + number_size(item->end - item->begin - 1);
}

bool osr_packet_add_ack(struct osr_packet_writer *writer, const struct osr_ranges *received,
                        uint64_t delay_us)
{
    assert(received->count > 0);
    const struct osr_range *top = &received->items[received->count - 1];
    size_t size = 1 + number_size(top->end - 1) + number_size(delay_us) + 1 +
                  number_size(top->end - top->begin - 1);
    if (size > room(writer)) {
        return false;
    }
    _Static_assert(OSR_PIPE_RANGES_MAX <= 64, "the count of ranges is one byte");
    size_t further = 0;
    while (further + 1 < received->count && further + 1 < OSR_PIPE_RANGES_MAX) {
        const struct osr_range *above = top - further;
        size += further_size(above - 1, above);
        if (size > room(writer)) {
            break;
        }
        further++;
    }
    put_type(writer, PART_ACK);
    put_number(writer, top->end - 1);
    put_number(writer, delay_us);
    put_number(writer, further);
    put_number(writer, top->end - top->begin - 1);
    for (const struct osr_range *item = top; further > 0; further--) {
        item--;
        put_number(writer, item[1].begin - item->end - 1);
        put_number(writer, item->end - item->begin - 1);
    }
    return true;
}

static bool add_number_part(struct osr_packet_writer *writer, enum part_type type, uint64_t number)
{
    if (room(writer) < 1 + number_size(number)) {
        return false;
    }
    put_type(writer, type);
    put_number(writer, number);
    return true;
}

bool osr_packet_add_window(struct osr_packet_writer *writer, uint64_t offset)
{
    return add_number_part(writer, PART_WINDOW, offset);
}

bool osr_packet_add_end(struct osr_packet_writer *writer, uint64_t offset)
{
    return add_number_part(writer, PART_END, offset);
}

static bool add_nonce(struct osr_packet_writer *writer, enum part_type type, const uint8_t *nonce)
{
    if (room(writer) < 1 + OSR_PIPE_NONCE_BYTES) {
        return false;
    }
    put_type(writer, type);
    memcpy(writer->data + writer->size, nonce, OSR_PIPE_NONCE_BYTES);
    writer->size += OSR_PIPE_NONCE_BYTES;
    return true;
}

bool osr_packet_add_ping(struct osr_packet_writer *writer, const uint8_t *nonce)
{
    return add_nonce(writer, PART_PING, nonce);
}

bool osr_packet_add_pong(struct osr_packet_writer *writer, const uint8_t *nonce)
{
    return add_nonce(writer, PART_PONG, nonce);
}

size_t osr_packet_room_for_piece(const struct osr_packet_writer *writer, uint64_t offset,
                                 size_t size)
{
    size_t head = 1 + number_size(offset) + number_size(room(writer));
    if (room(writer) <= head) {
        return 0;
    }
    size_t fits = room(writer) - head;
    return size < fits ? size : fits;
}

uint8_t *osr_packet_add_piece(struct osr_packet_writer *writer, uint64_t offset, size_t size)
{
    put_type(writer, PART_PIECE);
    put_number(writer, offset);
    put_number(writer, size);
    assert(room(writer) >= size);
    uint8_t *bytes = writer->data + writer->size;
    writer->size += size;
    return bytes;
}

void osr_packet_add_padding(struct osr_packet_writer *writer)
{
    put_type(writer, PART_PADDING);
    memset(writer->data + writer->size, 0, room(writer));
    writer->size = writer->capacity;
}
