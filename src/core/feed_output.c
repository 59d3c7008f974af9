/* Outputs, frames and tickets. A ticket is a place in the table of operations together with
 * how often that place was used, so that an answer finds its operation at once and an
 * answer given twice finds none. */
#include "core/feed_internal.h"

#include <assert.h>

enum { TICKET_INDEX_BITS = 24, OPERATIONS_MIN = 64 };

struct osr_feed_output *osr_feed_put_out(struct osr_feed *core, enum osr_feed_output_type type)
{
    if (core->output_count == core->output_capacity) {
        core->output_capacity = core->output_capacity > 0 ? 2 * core->output_capacity : 64;
        core->outputs =
            osr_realloc(core->outputs, core->output_capacity * sizeof(core->outputs[0]));
    }
    struct osr_feed_output *output = &core->outputs[core->output_count++];
    memset(output, 0, sizeof(*output));
    output->type = type;
    return output;
}

void *osr_feed_take(struct osr_feed *core, size_t size)
{
    void *memory = osr_arena_take(core->arena, size);
    assert(memory != NULL); /* what one step puts out is bounded by peers and feeds */
    memset(memory, 0, size);
    return memory;
}

/* ---- operations ---- */

static void grow_operations(struct osr_feed *core)
{
    uint32_t count = core->operation_count > 0 ? 2 * core->operation_count : OPERATIONS_MIN;
    assert(count <= 1u << TICKET_INDEX_BITS);
    core->operations = osr_realloc(core->operations, count * sizeof(core->operations[0]));
    for (uint32_t i = core->operation_count; i < count; i++) {
        core->operations[i] = (struct operation){.generation = 1, .next_free = i + 1};
    }
    core->operation_count = count;
}

uint64_t osr_feed_operation_begin(struct osr_feed *core, enum operation_kind kind,
                                  struct operation **ret_operation)
{
    if (core->operation_free == core->operation_count) {
        grow_operations(core);
    }
    uint32_t index = core->operation_free;
    struct operation *operation = &core->operations[index];
    core->operation_free = operation->next_free;
    *operation = (struct operation){.kind = kind, .generation = operation->generation};
    *ret_operation = operation;
    return (uint64_t)operation->generation << TICKET_INDEX_BITS | index;
}

bool osr_feed_operation_end(struct osr_feed *core, uint64_t ticket, struct operation *ret_operation)
{
    uint32_t index = (uint32_t)(ticket & ((1u << TICKET_INDEX_BITS) - 1));
    if (index >= core->operation_count) {
        return false;
    }
    struct operation *operation = &core->operations[index];
    if (operation->kind == OPERATION_FREE ||
        operation->generation != (uint32_t)(ticket >> TICKET_INDEX_BITS)) {
        return false;
    }
    *ret_operation = *operation;
    operation->kind = OPERATION_FREE;
    operation->generation += operation->generation < UINT32_MAX ? 1 : 2; /* no ticket is 0 */
    operation->next_free = core->operation_free;
    core->operation_free = index;
    return true;
}

/* ---- disk and keys ---- */

void osr_feed_put_out_commit(struct osr_feed *core, struct replica *replica, uint64_t first,
                             uint64_t last)
{
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_COMMIT);
    output->commit.feed = &replica->id;
    output->commit.first = first;
    output->commit.last = last;
}

void osr_feed_put_out_truncate(struct osr_feed *core, struct replica *replica)
{
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_TRUNCATE, &operation);
    operation->replica = replica;
    operation->era = replica->era;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_TRUNCATE);
    output->truncate.ticket = ticket;
    output->truncate.feed = &replica->id;
    output->truncate.sequence = replica->head.sequence;
}

struct osr_slice osr_feed_keep_scratch(struct osr_feed *core)
{
    void *kept = osr_feed_take(core, core->scratch.size);
    memcpy(kept, core->scratch.data, core->scratch.size);
    return osr_slice(kept, core->scratch.size);
}

struct osr_slice osr_feed_head_message(struct osr_feed *core, const struct replica *replica,
                                       const struct osr_feed_head *head)
{
    core->scratch.size = 0;
    osr_head_message(&core->scratch, core->cluster, &replica->id, head->sequence, &head->chain);
    return osr_feed_keep_scratch(core);
}

/* ---- frames ---- */

void osr_feed_send(struct osr_feed *core, const struct peer *peer, const Osr__Frame *frame)
{
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SEND);
    output->send.peer = peer->number;
    output->send.frame = frame;
}

Osr__Frame *osr_feed_make_frame(struct osr_feed *core, Osr__Frame__BodyCase body)
{
    Osr__Frame *frame = osr_feed_take(core, sizeof(*frame));
    osr__frame__init(frame);
    frame->body_case = body;
    return frame;
}

void osr_feed_send_ack(struct osr_feed *core, const struct peer *peer, struct replica *replica,
                       uint64_t sequence)
{
    Osr__Ack *ack = osr_feed_take(core, sizeof(*ack));
    osr__ack__init(ack);
    ack->origin = replica->id.origin;
    ack->stream = replica->id.stream;
    ack->epoch = replica->id.epoch;
    ack->sequence = sequence;
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_ACK);
    frame->ack = ack;
    osr_feed_send(core, peer, frame);
}

void osr_feed_send_fetch(struct osr_feed *core, const struct peer *peer, struct replica *replica,
                         uint64_t from_sequence)
{
    Osr__Fetch *fetch = osr_feed_take(core, sizeof(*fetch));
    osr__fetch__init(fetch);
    fetch->origin = replica->id.origin;
    fetch->stream = replica->id.stream;
    fetch->epoch = replica->id.epoch;
    fetch->from_sequence = from_sequence;
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_FETCH);
    frame->fetch = fetch;
    osr_feed_send(core, peer, frame);
}

void osr_feed_send_error(struct osr_feed *core, uint32_t peer_number, const struct osr_err *err)
{
    struct osr_err *kept = osr_feed_take(core, sizeof(*kept));
    *kept = *err;
    Osr__Error *error = osr_feed_take(core, sizeof(*error));
    osr__error__init(error);
    error->code = (Osr__Code)kept->code;
    error->message = kept->message;
    error->hint = kept->hint;
    Osr__Frame *frame = osr_feed_make_frame(core, OSR__FRAME__BODY_ERROR);
    frame->error = error;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SEND);
    output->send.peer = peer_number;
    output->send.frame = frame;
}

void osr_feed_put_out_close(struct osr_feed *core, uint32_t peer_number, const struct osr_err *err)
{
    struct osr_err *kept = osr_feed_take(core, sizeof(*kept));
    *kept = *err;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_CLOSE);
    output->close.peer = peer_number;
    output->close.err = kept;
}
