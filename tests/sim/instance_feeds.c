/* What a simulated instance reads back from its log: to show it, once it counts, and to give it to
 * followers. */
#include "sim/instance_parts.h"

/* ---- showing what is committed ---- */

struct apply_context {
    struct sim_instance *instance;
    size_t feed;
    uint64_t last;
};

static int apply_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct apply_context *apply = context;
    struct sim_instance *instance = apply->instance;
    if (record->type != OSR_WAL_ENTRY) {
        return 0;
    }
    if (record->index > apply->last) {
        return 1;
    }
    struct osr_hash chain;
    memcpy(chain.bytes, record->payload.data, sizeof(chain.bytes));
    if (sim_feed_origin(apply->feed) == instance->index) {
        history_commit(world_history(instance->world), apply->feed, record->index, &chain);
    } else {
        history_check(world_history(instance->world), apply->feed, record->index, &chain,
                      instance->name);
    }
    if (record->index <= store_applied(instance->store, apply->feed)) {
        return 0;
    }
    osr_arena_reset(instance->arena);
    Osr__Entry *entry;
    if (osr_entry_decode(osr_record_stored(record->payload), record->index, instance->arena, &entry,
                         err) != 0) {
        sim_violation("%s cannot decode entry %llu of %s: %s", instance->name,
                      (unsigned long long)record->index, sim_feed_name(apply->feed), err->message);
    }
    store_apply(instance->store, apply->feed, instance->logs[apply->feed].id.origin, entry, &chain,
                instance->name);
    return record->index == apply->last ? 1 : 0;
}

void sim_instance_show(struct sim_instance *instance, const struct osr_feed_id *id, uint64_t first,
                       uint64_t last)
{
    size_t feed = world_feed(instance->world, id);
    uint64_t applied = store_applied(instance->store, feed);
    if (first > 0 && first != applied + 1) {
        sim_violation("%s commits %llu..%llu of %s, but shows up to %llu", instance->name,
                      (unsigned long long)first, (unsigned long long)last, sim_feed_name(feed),
                      (unsigned long long)applied);
    }
    if (last > instance->logs[feed].synced) {
        sim_violation("%s commits %llu of %s, but only %llu is durable", instance->name,
                      (unsigned long long)last, sim_feed_name(feed),
                      (unsigned long long)instance->logs[feed].synced);
    }
    sim_instance_check_leave_of(instance, feed, last);
    if (last < applied) {
        sim_violation("%s restored %llu of %s, but had shown %llu", instance->name,
                      (unsigned long long)last, sim_feed_name(feed), (unsigned long long)applied);
    }
    struct apply_context context = {instance, feed, last};
    struct osr_err err;
    /* A restart checks all of the feed against history. */
    if (last > 0 && osr_wal_read(instance->wal, sim_log_id(feed), first > 0 ? first : 1,
                                 apply_record, &context, &err) > 1) {
        sim_violation("%s cannot read %s: %s", instance->name, sim_feed_name(feed), err.message);
    }
    history_check_content(world_history(instance->world), store_heads(instance->store),
                          store_content(instance->store), instance->name);
}

/* ---- reading for followers ---- */

/* Entries are gathered until a head lies beyond what was asked for; what counts is the last
 * head before. */
struct read_context {
    struct sim_instance *instance;
    const struct sim_read *read;
    Osr__Update *update;
    size_t gathered; /* entries */
    size_t gathered_bytes;
    size_t next_head; /* index in the log's heads */
    /* At the last head so far. */
    struct osr_hash chain;
    struct osr_signature signature;
    size_t bytes;
};

/* The signature of the head at this entry, if there is one. */
static bool find_head(struct read_context *reading, uint64_t sequence,
                      struct osr_signature *ret_signature)
{
    const struct sim_log *log = &reading->instance->logs[reading->read->feed];
    while (reading->next_head < sim_log_head_count(log) &&
           sim_log_head_at(log, reading->next_head).sequence < sequence) {
        reading->next_head++;
    }
    if (sequence == reading->read->last) {
        *ret_signature = reading->read->last_signature;
        return true;
    }
    struct sim_head head = {0};
    if (reading->next_head < sim_log_head_count(log)) {
        head = sim_log_head_at(log, reading->next_head);
    }
    *ret_signature = head.signature;
    return head.sequence == sequence;
}

static int read_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct read_context *reading = context;
    struct osr_arena *arena = reading->instance->arena;
    if (record->type != OSR_WAL_ENTRY) {
        return 0;
    }
    reading->gathered_bytes += record->payload.size;
    if (reading->update->n_entries > 0 && reading->gathered_bytes > reading->read->bytes_max) {
        return 1;
    }
    /* The visitor's bytes go when it returns; the entry points into them. */
    uint8_t *copy = osr_arena_take(arena, record->payload.size);
    memcpy(copy, record->payload.data, record->payload.size);
    if (osr_entry_decode(osr_record_stored(osr_slice(copy, record->payload.size)), record->index,
                         arena, &reading->update->entries[reading->gathered], err) != 0) {
        sim_violation("%s cannot decode what it relays: %s", reading->instance->name, err->message);
    }
    reading->gathered++;
    struct osr_signature signature;
    if (find_head(reading, record->index, &signature)) {
        reading->signature = signature;
        reading->update->n_entries = reading->gathered;
        reading->bytes = reading->gathered_bytes;
        memcpy(reading->chain.bytes, copy, sizeof(reading->chain.bytes));
    }
    return record->index == reading->read->last ? 1 : 0;
}

void sim_instance_relay(struct sim_instance *instance, uint64_t ticket, const struct sim_read *read)
{
    Osr__Update update;
    osr__update__init(&update);
    osr_arena_reset(instance->arena);
    size_t count_max = (size_t)(read->last - read->first + 1);
    update.entries = osr_arena_take(instance->arena, count_max * sizeof(update.entries[0]));
    struct read_context reading = {.instance = instance, .read = read, .update = &update};
    struct osr_err err;
    if (osr_wal_read(instance->wal, sim_log_id(read->feed), read->first, read_record, &reading,
                     &err) > 1 ||
        update.n_entries == 0) {
        sim_violation("%s cannot read %llu of %s", instance->name, (unsigned long long)read->first,
                      sim_feed_name(read->feed));
    }
    update.chain = (ProtobufCBinaryData){sizeof(reading.chain.bytes), reading.chain.bytes};
    update.signature =
        (ProtobufCBinaryData){sizeof(reading.signature.bytes), reading.signature.bytes};
    if (sim_feed_origin(read->feed) != instance->index) {
        world_counters(instance->world)->relayed_batches++;
    }
    struct osr_feed_event event = {
        .type = OSR_FEED_READ_DONE,
        .read_done = {.ticket = ticket, .update = &update, .bytes = reading.bytes}};
    sim_instance_step(instance, &event);
}
