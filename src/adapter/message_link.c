#include "adapter/message_link.h"

#include <assert.h>
#include <stdlib.h>

/* Bytes that come at one end and go at the other. */
struct pipe {
    struct osr_buffer buffer;
    size_t taken; /* from its front */
};

struct osr_message_link {
    uint8_t id[OSR_MESSAGE_ID_BYTES];
    bool is_dialler;
    bool is_up;
    bool owes_greeting; /* OPEN or ACCEPT */

    struct pipe out;
    uint64_t sent_bytes;
    uint64_t sent_number;
    struct osr_message_credit given; /* by the other side */
    bool end_wanted;
    bool is_end_sent;

    struct pipe in;
    uint64_t received_bytes;
    uint64_t read_bytes;
    size_t window_bytes;
    struct osr_message_credit offered; /* to the other side; `received` is always the last */
    bool is_end_received;

    uint64_t nonce; /* of our last probe */
    bool owes_probe;
    bool is_probing;
    uint64_t reply_nonce;
    bool owes_reply;
};

/* ---- pipes ---- */

static size_t pipe_size(const struct pipe *pipe)
{
    return pipe->buffer.size - pipe->taken;
}

static void pipe_take(struct pipe *pipe, size_t size)
{
    pipe->taken += size;
    if (pipe->taken == pipe->buffer.size) {
        osr_buffer_done(&pipe->buffer);
        pipe->taken = 0;
    } else if (pipe->taken > pipe->buffer.size / 2) { /* each byte is moved once at most, so */
        osr_buffer_consume(&pipe->buffer, pipe->taken);
        pipe->taken = 0;
    }
}

/* ---- life ---- */

static void take_credit(struct osr_message_link *link, const struct osr_message_credit *credit)
{
    struct osr_message_credit *given = &link->given;
    given->bytes = credit->bytes > given->bytes ? credit->bytes : given->bytes;
    given->numbers = credit->numbers > given->numbers ? credit->numbers : given->numbers;
    given->received = credit->received > given->received ? credit->received : given->received;
}

struct osr_message_link *osr_message_link_create(const uint8_t id[OSR_MESSAGE_ID_BYTES],
                                                 const struct osr_message_packet *open)
{
    struct osr_message_link *link = osr_alloc(sizeof(*link));
    memcpy(link->id, id, sizeof(link->id));
    link->is_dialler = open == NULL;
    link->owes_greeting = true;
    link->window_bytes = OSR_MESSAGE_WINDOW_BYTES_MIN;
    link->offered.bytes = link->window_bytes;
    link->offered.numbers = OSR_MESSAGE_WINDOW_NUMBERS;
    if (open != NULL) {
        link->is_up = true;
        link->given.bytes = open->credit.bytes;
        link->given.numbers = open->credit.numbers;
    }
    return link;
}

void osr_message_link_destroy(struct osr_message_link *link)
{
    if (link == NULL) {
        return;
    }
    osr_buffer_done(&link->out.buffer);
    osr_buffer_done(&link->in.buffer);
    free(link);
}

/* ---- receiving ---- */

static int miss(const struct osr_message_link *link, uint64_t number, struct osr_err *err)
{
    osr_err_set(err, OSR_UNAVAILABLE,
                "of the messages %llu to %llu some are missing or in another order",
                (unsigned long long)link->offered.received + 1, (unsigned long long)number);
    return OSR_UNAVAILABLE;
}

/* *ret_is_new is false where it has come before. */
static int take_number(struct osr_message_link *link, uint64_t number, bool *ret_is_new,
                       struct osr_err *err)
{
    *ret_is_new = number > link->offered.received;
    if (!*ret_is_new) {
        return 0;
    }
    if (number != link->offered.received + 1 || link->is_end_received) {
        return miss(link, number, err);
    }
    if (number > link->offered.numbers) {
        osr_err_set(err, OSR_FLOW_CONTROL, "more messages have come than were offered");
        return OSR_FLOW_CONTROL;
    }
    return 0;
}

static int receive_data(struct osr_message_link *link, const struct osr_message_packet *packet,
                        struct osr_err *err)
{
    bool is_new;
    int code = take_number(link, packet->number, &is_new, err);
    if (code != 0 || !is_new) {
        return code;
    }
    if (packet->bytes.size > link->offered.bytes - link->received_bytes) {
        osr_err_set(err, OSR_FLOW_CONTROL, "more bytes have come than were offered");
        return OSR_FLOW_CONTROL;
    }
    link->offered.received = packet->number;
    link->received_bytes += packet->bytes.size;
    osr_buffer_add(&link->in.buffer, packet->bytes.data, packet->bytes.size);
    return 0;
}

static int receive_end(struct osr_message_link *link, const struct osr_message_packet *packet,
                       struct osr_err *err)
{
    bool is_new;
    int code = take_number(link, packet->number, &is_new, err);
    if (code == 0 && is_new) {
        link->offered.received = packet->number;
        link->is_end_received = true;
    }
    return code;
}

static int receive_credit(struct osr_message_link *link, const struct osr_message_packet *packet,
                          struct osr_err *err)
{
    if (packet->credit.received > link->sent_number) {
        osr_err_set(err, OSR_MALFORMED, "the other side has received what was never sent");
        return OSR_MALFORMED;
    }
    take_credit(link, &packet->credit);
    return 0;
}

/* Once both sides have said all it may have forgotten us already. */
static int receive_reset(const struct osr_message_link *link,
                         const struct osr_message_packet *packet, struct osr_err *err)
{
    if (link->is_end_received && link->is_end_sent) {
        return 0;
    }
    const char *why = osr_code_info((enum osr_code)packet->code)->text;
    osr_err_set(err, OSR_UNAVAILABLE, "the other side has given it up (%s)", why);
    return OSR_UNAVAILABLE;
}

static int receive_probe(struct osr_message_link *link, const struct osr_message_packet *packet,
                         struct osr_err *err)
{
    if (packet->number > link->offered.received) {
        return miss(link, packet->number, err);
    }
    link->reply_nonce = packet->nonce;
    link->owes_reply = true;
    return 0;
}

static int receive_probe_reply(struct osr_message_link *link,
                               const struct osr_message_packet *packet, struct osr_err *err)
{
    if (packet->nonce == link->nonce && !link->owes_probe) {
        link->is_probing = false;
    }
    return receive_credit(link, packet, err);
}

int osr_message_link_receive(struct osr_message_link *link, const struct osr_message_packet *packet,
                             struct osr_err *err)
{
    if (packet->type == OSR_MESSAGE_RESET) {
        return receive_reset(link, packet, err);
    }
    if (packet->type == OSR_MESSAGE_ACCEPT && link->is_dialler) {
        link->is_up = true;
        return receive_credit(link, packet, err);
    }
    if (!link->is_up) {
        osr_err_set(err, OSR_UNAVAILABLE, "the first message is missing");
        return OSR_UNAVAILABLE;
    }
    switch (packet->type) {
    case OSR_MESSAGE_DATA:
        return receive_data(link, packet, err);
    case OSR_MESSAGE_END:
        return receive_end(link, packet, err);
    case OSR_MESSAGE_CREDIT:
        return receive_credit(link, packet, err);
    case OSR_MESSAGE_PROBE:
        return receive_probe(link, packet, err);
    case OSR_MESSAGE_PROBE_REPLY:
        return receive_probe_reply(link, packet, err);
    default:
        return 0; /* a greeting's double */
    }
}

/* ---- sending ---- */

/* Not for every few bytes: a quarter of what may be under way. */
static bool owes_credit(const struct osr_message_link *link)
{
    uint64_t bytes = link->read_bytes + link->window_bytes - link->offered.bytes;
    uint64_t numbers = link->offered.received + OSR_MESSAGE_WINDOW_NUMBERS - link->offered.numbers;
    return link->is_up && !link->is_end_received &&
           (bytes >= link->window_bytes / 4 || numbers >= OSR_MESSAGE_WINDOW_NUMBERS / 4);
}

static void offer(struct osr_message_link *link)
{
    bool is_read =
        link->read_bytes + link->window_bytes - link->offered.bytes >= link->window_bytes / 4;
    if (is_read && link->window_bytes < OSR_MESSAGE_WINDOW_BYTES) {
        link->window_bytes *= 2;
    }
    link->offered.bytes = link->read_bytes + link->window_bytes;
    link->offered.numbers = link->offered.received + OSR_MESSAGE_WINDOW_NUMBERS;
}

static size_t sendable(const struct osr_message_link *link)
{
    uint64_t allowed =
        link->given.bytes > link->sent_bytes ? link->given.bytes - link->sent_bytes : 0;
    size_t size = pipe_size(&link->out);
    size = size < OSR_MESSAGE_PIECE_BYTES ? size : OSR_MESSAGE_PIECE_BYTES;
    return allowed < size ? (size_t)allowed : size;
}

static bool may_send_number(const struct osr_message_link *link)
{
    return link->is_up && !link->is_end_sent && link->sent_number < link->given.numbers;
}

/* What keeps a connection going goes before its bytes. False: none is to be said. */
static bool next_word(struct osr_message_link *link, struct osr_message_packet *packet)
{
    if (!link->owes_greeting && !link->is_up) {
        return false;
    }
    if (link->owes_greeting) {
        link->owes_greeting = false;
        packet->type = link->is_dialler ? OSR_MESSAGE_OPEN : OSR_MESSAGE_ACCEPT;
    } else if (link->owes_reply) {
        link->owes_reply = false;
        offer(link);
        packet->type = OSR_MESSAGE_PROBE_REPLY;
        packet->nonce = link->reply_nonce;
    } else if (owes_credit(link)) {
        offer(link);
        packet->type = OSR_MESSAGE_CREDIT;
    } else if (link->owes_probe) {
        link->owes_probe = false;
        packet->type = OSR_MESSAGE_PROBE;
        packet->nonce = link->nonce;
        packet->number = link->sent_number;
    } else {
        return false;
    }
    packet->credit = link->offered;
    return true;
}

bool osr_message_link_produce(struct osr_message_link *link, struct osr_buffer *ret_message)
{
    struct osr_message_packet packet = {0};
    memcpy(packet.id, link->id, sizeof(packet.id));
    if (next_word(link, &packet)) {
        osr_message_packet_encode(&packet, ret_message);
        return true;
    }
    size_t size = sendable(link);
    bool is_end = link->end_wanted && pipe_size(&link->out) == 0;
    if (!may_send_number(link) || (size == 0 && !is_end)) {
        return false;
    }
    packet.type = is_end ? OSR_MESSAGE_END : OSR_MESSAGE_DATA;
    packet.number = ++link->sent_number;
    packet.bytes = osr_slice(link->out.buffer.data + link->out.taken, size);
    osr_message_packet_encode(&packet, ret_message);
    if (is_end) {
        link->is_end_sent = true;
    } else {
        link->sent_bytes += size;
        pipe_take(&link->out, size);
    }
    return true;
}

void osr_message_link_write(struct osr_message_link *link, struct osr_buffer *buffer)
{
    assert(!link->end_wanted);
    if (pipe_size(&link->out) == 0) {
        osr_buffer_done(&link->out.buffer);
        link->out = (struct pipe){.buffer = *buffer};
        *buffer = (struct osr_buffer){0};
    } else {
        osr_buffer_add(&link->out.buffer, buffer->data, buffer->size);
        osr_buffer_done(buffer);
    }
}

void osr_message_link_end(struct osr_message_link *link)
{
    link->end_wanted = true;
}

size_t osr_message_link_queued(const struct osr_message_link *link)
{
    return pipe_size(&link->out);
}

/* ---- reading ---- */

size_t osr_message_link_read(struct osr_message_link *link, uint8_t *room, size_t size)
{
    size_t unread = pipe_size(&link->in);
    size = size < unread ? size : unread;
    if (size > 0) {
        memcpy(room, link->in.buffer.data + link->in.taken, size);
        link->read_bytes += size;
        pipe_take(&link->in, size);
    }
    return size;
}

size_t osr_message_link_unread(const struct osr_message_link *link)
{
    return pipe_size(&link->in);
}

/* ---- state ---- */

void osr_message_link_probe(struct osr_message_link *link)
{
    if (!link->is_probing) {
        link->is_probing = true;
        link->owes_probe = true;
        link->nonce++;
    }
}

bool osr_message_link_is_probing(const struct osr_message_link *link)
{
    return link->is_probing;
}

bool osr_message_link_is_up(const struct osr_message_link *link)
{
    return link->is_up;
}

bool osr_message_link_is_acknowledged(const struct osr_message_link *link)
{
    return link->given.received == link->sent_number;
}

bool osr_message_link_has_ended(const struct osr_message_link *link)
{
    return link->is_end_sent;
}

bool osr_message_link_peer_has_ended(const struct osr_message_link *link)
{
    return link->is_end_received && pipe_size(&link->in) == 0;
}
