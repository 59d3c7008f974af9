/* The own feeds, one for each stream: writes become batches, of each of which one is on its way to
 * the log at a time.
 *
 * Sequences, times and chain values are given when a batch is sealed, not when it is written:
 * so nothing has to be taken back when the disk is full, and writes may wait while the own
 * tail is fetched from a peer (a folder that was restored from a backup). */
#include "core/feed_internal.h"

#include <assert.h>
#include <stdlib.h>

/* Makes the stream's own feed unless it is there. */
static void need_replica(struct osr_feed *core, enum osr_feed_stream stream)
{
    struct osr_feed_id id;
    int code = osr_feed_id_make(&id, core->instance, osr_feed_stream_name(stream), 1, NULL);
    assert(code == 0);
    osr_feed_replica_need(core, &id, NULL);
}

void osr_feed_own_init(struct osr_feed *core)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        struct own *own = &core->own[i];
        osr_queue_init(&own->batches, sizeof(struct osr_batch));
        osr_queue_init(&own->writes, sizeof(struct write));
        own->waiting = osr_alloc(OSR_FEED_WAITING_MAX * sizeof(own->waiting[0]));
    }
    need_replica(core, OSR_STREAM_KB);
}

static void drop_batches(struct own *own)
{
    for (; own->batches.count > 0; osr_queue_pop(&own->batches)) {
        osr_batch_done(osr_queue_front(&own->batches));
    }
}

void osr_feed_own_done(struct osr_feed *core)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        struct own *own = &core->own[i];
        drop_batches(own);
        osr_queue_done(&own->batches);
        osr_batch_done(&own->sealed);
        osr_queue_done(&own->writes);
        free(own->waiting);
    }
}

/* ---- writing ---- */

static void put_out_written(struct osr_feed *core, const struct write *write, enum osr_code code,
                            uint32_t acks)
{
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_WRITTEN);
    output->written.token = write->token;
    output->written.code = code;
    output->written.first = write->first;
    output->written.first_time = write->first_time;
    output->written.acks = acks;
}

static bool is_full(const struct osr_feed *core, const struct osr_batch *batch)
{
    return batch->bytes.size >= core->options.batch_bytes || batch->count == OSR_BATCH_ENTRIES_MAX;
}

/* The batch that is written to. */
static struct osr_batch *open_batch(const struct osr_feed *core, struct own *own)
{
    struct osr_batch *batch = osr_queue_back(&own->batches);
    if (batch == NULL || is_full(core, batch)) {
        batch = osr_queue_push(&own->batches);
    }
    return batch;
}

/* Moves the last entry of a batch that became too large into one of its own. */
static void split_last(struct own *own)
{
    struct osr_batch *next = osr_queue_push(&own->batches);
    struct osr_batch *batch = osr_queue_at(&own->batches, own->batches.count - 2);
    struct osr_slice record = osr_batch_record(batch, batch->count - 1);
    osr_buffer_add(&next->bytes, record.data, record.size);
    osr_batch_close_entry(next);
    batch->count--;
    batch->bytes.size -= record.size;
}

static void append(const struct osr_feed *core, struct own *own, const struct osr_feed_put *put)
{
    static const struct osr_hash chain_comes_later;
    static const struct osr_time time_comes_later;
    struct osr_batch *batch = open_batch(core, own);
    size_t before = batch->bytes.size;
    osr_buffer_add(&batch->bytes, chain_comes_later.bytes, sizeof(chain_comes_later.bytes));
    osr_entry_encode(&batch->bytes, time_comes_later, put->operation, put->document);
    osr_batch_close_entry(batch);
    own->pending_bytes += batch->bytes.size - before;
    if (batch->bytes.size > core->options.batch_bytes && batch->count > 1) {
        split_last(own);
    }
}

void osr_feed_own_write(struct osr_feed *core, const struct osr_feed_write *wanted)
{
    struct own *own = &core->own[wanted->stream];
    assert(wanted->count >= 1 && wanted->count <= OSR_IMPORT_DOCUMENTS_MAX);
    struct write write = {.token = wanted->token,
                          .unsealed = wanted->count,
                          .acks = wanted->acks,
                          .deadline_ms = core->now_ms + wanted->timeout_ms};
    if (write.acks > OSR_ACKS_MAX) {
        put_out_written(core, &write, OSR_INVALID_ARGUMENT, 0);
        return;
    }
    bool too_many_wait = write.acks > 0 && own->acks_count == OSR_FEED_WAITING_MAX;
    if (osr_feed_backlog(core) > core->options.pending_bytes_max || too_many_wait) {
        put_out_written(core, &write, OSR_BUSY, 0);
        return;
    }
    need_replica(core, wanted->stream);
    own->acks_count += write.acks > 0;
    *(struct write *)osr_queue_push(&own->writes) = write;
    for (size_t i = 0; i < wanted->count; i++) {
        append(core, own, &wanted->puts[i]);
    }
}

/* ---- sealing ---- */

/* Gives the entry at `record` its time and its chain value. */
static void seal_entry(struct replica *replica, uint8_t *record, size_t size, uint64_t sequence,
                       struct osr_time time)
{
    uint8_t *stored = record + OSR_SHA256_SIZE;
    osr_put_u64(stored, time.ms);
    osr_put_u32(stored + 8, time.logical);
    struct osr_hash hash =
        osr_entry_hash(&replica->id, sequence, osr_slice(stored, size - OSR_SHA256_SIZE));
    replica->received_chain = osr_chain_next(&replica->received_chain, &hash);
    memcpy(record, replica->received_chain.bytes, OSR_SHA256_SIZE);
}

/* The next entry without a sequence belongs to the first write not wholly sealed. */
static void seal_write(struct own *own, uint64_t sequence, struct osr_time time)
{
    struct write *write = osr_queue_at(&own->writes, own->writes_sealed);
    if (write->first == 0) {
        write->first = sequence;
        write->first_time = time;
    }
    write->last = sequence;
    if (--write->unsealed == 0) {
        own->writes_sealed++;
    }
}

static void seal(struct osr_feed *core, struct own *own)
{
    struct replica *replica = own->replica;
    osr_batch_done(&own->sealed);
    own->sealed = *(struct osr_batch *)osr_queue_front(&own->batches);
    osr_queue_pop(&own->batches);
    own->sealed.feed = replica->id;
    own->sealed.first = replica->received + 1;
    size_t begin = 0;
    for (size_t i = 0; i < own->sealed.count; i++) {
        uint64_t sequence = ++replica->received;
        struct osr_time time = osr_clock_tick(&core->clock, core->time_ms);
        replica->received_time = time;
        seal_entry(replica, own->sealed.bytes.data + begin, own->sealed.ends[i] - begin, sequence,
                   time);
        seal_write(own, sequence, time);
        begin = own->sealed.ends[i];
    }
    own->sealed_head =
        (struct osr_feed_head){.sequence = replica->received, .chain = replica->received_chain};
}

static void put_out_store(struct osr_feed *core, struct own *own)
{
    struct replica *replica = own->replica;
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_STORE_OWN, &operation);
    operation->replica = replica;
    operation->era = replica->era;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_STORE);
    output->store.ticket = ticket;
    output->store.batch = &own->sealed;
    output->store.public_key = replica->public_key;
    if (own->head_stored < replica->head.sequence) {
        output->store.head_sequence = replica->head.sequence;
        output->store.head_signature = replica->head.signature;
    }
}

static void put_out_sign(struct osr_feed *core, const struct own *own)
{
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_SIGN_OWN, &operation);
    operation->replica = own->replica;
    operation->era = own->replica->era;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_SIGN);
    output->sign.ticket = ticket;
    output->sign.message = osr_feed_head_message(core, own->replica, &own->sealed_head);
}

static bool can_seal(const struct osr_feed *core, const struct own *own)
{
    const struct replica *replica = own->replica;
    return own->flush && own->batches.count > 0 && !own->sealing &&
           replica->state == REPLICA_LIVE && !replica->restoring && replica->receipts.count == 0 &&
           !osr_feed_own_claim_is_open(core, own);
}

static void send_off(struct osr_feed *core, struct own *own)
{
    seal(core, own);
    own->sealing = true;
    own->stored = false;
    own->is_signed = false;
    own->flush = own->batches.count > 0;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: batch %llu..%llu -> store, sign", own->replica->label,
                 (unsigned long long)own->sealed.first,
                 (unsigned long long)own->sealed_head.sequence);
    put_out_store(core, own);
    put_out_sign(core, own);
}

void osr_feed_own_seal(struct osr_feed *core)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        if (can_seal(core, &core->own[i])) {
            send_off(core, &core->own[i]);
        }
    }
}

void osr_feed_own_flush(struct osr_feed *core)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        core->own[i].flush = core->own[i].batches.count > 0;
    }
}

/* ---- waiting for followers ---- */

static uint32_t count_holders(const struct osr_feed *core, const struct own *own, uint64_t sequence)
{
    uint32_t count = 0;
    for (size_t i = 0; i < core->party_count; i++) {
        const struct holding *holding = &own->replica->holdings[i];
        if (holding->stated && (holding->sequence >= sequence || !OSR_GUARD_ACK_CHECK)) {
            count++;
        }
    }
    return count;
}

static void answer(struct osr_feed *core, struct own *own, const struct write *write,
                   enum osr_code code, uint32_t acks)
{
    own->acks_count -= write->acks > 0;
    put_out_written(core, write, code, acks);
}

/* Answers a committed write if enough followers hold it, or if it waited long enough. */
static bool try_to_answer(struct osr_feed *core, struct own *own, const struct write *write)
{
    uint32_t acks = count_holders(core, own, write->last);
    if (acks >= write->acks) {
        answer(core, own, write, OSR_OK, acks);
        return true;
    }
    if (core->now_ms >= write->deadline_ms) {
        osr_feed_say(core, OSR_LEVEL_INFO, "%s: %llu waited for %u followers, %u hold it: time out",
                     own->replica->label, (unsigned long long)write->last, write->acks, acks);
        answer(core, own, write, OSR_TIMEOUT, acks);
        return true;
    }
    return false;
}

static uint64_t furthest_holding(const struct osr_feed *core, const struct own *own)
{
    uint64_t furthest = 0;
    for (size_t i = 0; i < core->party_count; i++) {
        const struct holding *holding = &own->replica->holdings[i];
        furthest = holding->sequence > furthest ? holding->sequence : furthest;
    }
    return furthest;
}

/* Looks at waiting writes up to a sequence; keeps the rest. */
static void answer_up_to(struct osr_feed *core, struct own *own, uint64_t sequence)
{
    size_t kept = 0;
    size_t i = 0;
    for (; i < own->waiting_count && own->waiting[i].last <= sequence; i++) {
        if (!try_to_answer(core, own, &own->waiting[i])) {
            own->waiting[kept++] = own->waiting[i];
        }
    }
    if (kept < i) {
        memmove(&own->waiting[kept], &own->waiting[i],
                (own->waiting_count - i) * sizeof(own->waiting[0]));
        own->waiting_count -= i - kept;
    }
}

void osr_feed_own_acked(struct osr_feed *core, struct own *own)
{
    if (own->waiting_count > 0) {
        answer_up_to(core, own, OSR_GUARD_ACK_CHECK ? furthest_holding(core, own) : UINT64_MAX);
    }
}

static void look_at_waiting(struct osr_feed *core, struct own *own)
{
    if (own->waiting_count > 0) {
        answer_up_to(core, own, UINT64_MAX);
    }
    for (size_t i = 0; i < own->waiting_count; i++) {
        osr_feed_arm(core, own->waiting[i].deadline_ms);
    }
}

void osr_feed_own_tick(struct osr_feed *core)
{
    for (size_t i = 0; i < OSR_STREAM_COUNT; i++) {
        look_at_waiting(core, &core->own[i]);
    }
}

/* ---- committing ---- */

static void answer_committed(struct osr_feed *core, struct own *own)
{
    while (own->writes_sealed > 0) {
        struct write *write = osr_queue_front(&own->writes);
        if (write->last > own->replica->head.sequence) {
            break;
        }
        if (!try_to_answer(core, own, write)) {
            own->waiting[own->waiting_count++] = *write;
            osr_feed_arm(core, write->deadline_ms);
        }
        osr_queue_pop(&own->writes);
        own->writes_sealed--;
    }
}

static void commit(struct osr_feed *core, struct own *own)
{
    struct replica *replica = own->replica;
    if (!own->stored || !own->is_signed) {
        return;
    }
    uint64_t first = replica->head.sequence + 1;
    replica->head = own->sealed_head;
    replica->head_time = replica->received_time;
    own->sealing = false;
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: batch %llu..%llu stored and signed -> commit",
                 replica->label, (unsigned long long)first,
                 (unsigned long long)replica->head.sequence);
    osr_feed_put_out_commit(core, replica, first, replica->head.sequence);
    answer_committed(core, own);
    osr_feed_lead_committed(core, replica);
    osr_feed_follow_review(core, replica);
}

static size_t waiting_bytes(const struct own *own)
{
    size_t bytes = 0;
    for (size_t i = 0; i < own->batches.count; i++) {
        const struct osr_batch *batch = osr_queue_at(&own->batches, i);
        bytes += batch->bytes.size;
    }
    return bytes;
}

/* Nothing was stored: the feed stands where it stood, and everybody who waits is told. What is
 * not sealed yet fails too, for entries of one write must not be stored without those before. */
static void give_up(struct osr_feed *core, struct own *own, enum osr_code code)
{
    osr_feed_say(core, OSR_LEVEL_ERROR, "%s: batch %llu..%llu is not stored (%s): back to %llu",
                 own->replica->label, (unsigned long long)own->replica->head.sequence + 1,
                 (unsigned long long)own->sealed_head.sequence, osr_code_info(code)->name,
                 (unsigned long long)own->replica->head.sequence);
    for (; own->writes.count > 0; osr_queue_pop(&own->writes)) {
        struct write *write = osr_queue_front(&own->writes);
        write->first = 0;
        answer(core, own, write, code, 0);
    }
    own->writes_sealed = 0;
    own->sealing = false;
    own->pending_bytes = 0;
    drop_batches(own);
    osr_feed_replica_roll_back(own->replica);
    osr_feed_follow_review(core, own->replica);
}

void osr_feed_own_stored(struct osr_feed *core, struct own *own, enum osr_code code)
{
    if (code != OSR_OK) {
        give_up(core, own, code);
        return;
    }
    own->stored = true;
    own->head_stored = own->replica->head.sequence;
    own->pending_bytes = waiting_bytes(own);
    commit(core, own);
}

void osr_feed_own_signed(struct osr_feed *core, struct own *own,
                         const struct osr_signature *signature)
{
    own->sealed_head.signature = *signature;
    own->is_signed = true;
    commit(core, own);
}
