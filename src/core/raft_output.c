/* Outputs and messages. What a member says rests on its term and vote: it waits here until they
 * are durable. */
#include "core/raft_internal.h"

#include <assert.h>

void osr_raft_output_begin(struct osr_raft *raft)
{
    raft->output_count = 0;
    osr_arena_reset(raft->arena);
    osr_raft_block_free_released(raft);
}

struct osr_raft_output *osr_raft_put_out(struct osr_raft *raft, enum osr_raft_output_type type)
{
    if (raft->output_count == raft->output_capacity) {
        raft->output_capacity = raft->output_capacity > 0 ? 2 * raft->output_capacity : 64;
        raft->outputs =
            osr_realloc(raft->outputs, raft->output_capacity * sizeof(raft->outputs[0]));
    }
    struct osr_raft_output *output = &raft->outputs[raft->output_count++];
    *output = (struct osr_raft_output){.type = type};
    return output;
}

void *osr_raft_take(struct osr_raft *raft, size_t size)
{
    void *memory = osr_arena_take(raft->arena, size);
    assert(memory != NULL); /* what one step puts out is bounded by members and limits */
    memset(memory, 0, size);
    return memory;
}

uint64_t osr_raft_ticket(struct osr_raft *raft)
{
    return ++raft->ticket_last;
}

void osr_raft_put_out_failed(struct osr_raft *raft, uint64_t token, enum osr_code code,
                             const char *why)
{
    struct osr_raft_output *output = osr_raft_put_out(raft, OSR_RAFT_OUT_FAILED);
    output->failed.token = token;
    output->failed.code = code;
    output->failed.leader = raft->leader;
    output->failed.why = why;
}

/* ---- messages ---- */

struct osr_raft_message *osr_raft_message(struct osr_raft *raft, enum osr_raft_message_type type,
                                          uint64_t to)
{
    struct osr_raft_message *message = osr_raft_take(raft, sizeof(*message));
    message->type = type;
    message->from = raft->options.member;
    message->to = to;
    message->term = raft->vote.term;
    return message;
}

static void put_out_message(struct osr_raft *raft, const struct osr_raft_message *message)
{
    osr_raft_put_out(raft, OSR_RAFT_OUT_SEND)->send = message;
}

/* Whoever would vote has not voted. */
static bool is_promise(const struct osr_raft_message *message)
{
    return message->type != OSR_RAFT_VOTE_REPLY || !message->vote_reply.is_pre ||
           !message->vote_reply.is_granted;
}

void osr_raft_send(struct osr_raft *raft, struct osr_raft_message *message)
{
    if (osr_raft_vote_is_durable(raft) || !is_promise(message) || !OSR_RAFT_GUARD(VOTE_DURABLE)) {
        put_out_message(raft, message);
        return;
    }
    /* Only a leader sends what points to memory of this step, and its vote is durable. */
    assert(message->type != OSR_RAFT_APPEND && message->type != OSR_RAFT_SNAPSHOT);
    if (raft->held.count == OSR_RAFT_HELD_MAX) {
        osr_queue_pop(&raft->held);
    }
    struct osr_raft_message *held = osr_queue_push(&raft->held);
    *held = *message;
}

/* It is still true: of this term (of a pre-vote it is above), and whoever asks for votes stands. */
static bool is_worth_saying(const struct osr_raft *raft, const struct osr_raft_message *held)
{
    bool is_pre = held->type == OSR_RAFT_VOTE_REQUEST && held->vote_request.is_pre;
    bool is_standing = raft->role == (is_pre ? OSR_RAFT_PRE_CANDIDATE : OSR_RAFT_CANDIDATE);
    return held->term >= raft->vote.term && (held->type != OSR_RAFT_VOTE_REQUEST || is_standing);
}

void osr_raft_send_held(struct osr_raft *raft)
{
    while (raft->held.count > 0) {
        struct osr_raft_message *held = osr_queue_front(&raft->held);
        if (is_worth_saying(raft, held)) {
            struct osr_raft_message *message = osr_raft_take(raft, sizeof(*message));
            *message = *held;
            if (message->type == OSR_RAFT_VOTE_REQUEST) {
                osr_raft_election_claim(raft, message); /* the log may have been cut meanwhile */
            }
            put_out_message(raft, message);
        }
        osr_queue_pop(&raft->held);
    }
}
