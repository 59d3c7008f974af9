#include "sim/instance.h"

#include "adapter/wal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    SEGMENT_BYTES_MIN = 16 << 10,
    SEGMENT_BYTES_MAX = 64 << 10,
    SLOWDOWN = 30,
    LOG_RECORD_SIZE = OSR_PUBLIC_KEY_SIZE + OSR_INSTANCE_CHARS,
    ARENA_BYTES_MAX = 64 << 20,
};

/* A feed in the log. Its log id is its origin's index + 1. */
struct sim_log {
    bool named; /* the log says what the id stands for */
    struct osr_public_key public_key;
    struct osr_feed_id id;
    struct osr_buffer heads; /* of struct sim_head, ascending */
    uint64_t appended;       /* last entry in the log */
    uint64_t synced;         /* last entry that no crash can take; outlives crashes */
    uint64_t promised;       /* furthest that was acknowledged; outlives crashes */
};

struct sim_head {
    uint64_t sequence;
    struct osr_signature signature;
};

/* A STORE or a TRUNCATE on its way through the log thread. */
struct sim_job {
    uint64_t ticket;
    size_t origin;
    bool truncate;
    uint64_t sequence; /* to truncate to */
    struct osr_batch batch;
    struct osr_public_key public_key;
    struct sim_head head;
    bool doomed; /* a STORE of the same feed before it failed */
    enum osr_code code;
};

enum log_stage { LOG_IDLE, LOG_APPEND, LOG_SYNC, LOG_ANSWER };

struct sim_read {
    size_t origin;
    uint64_t first;
    uint64_t last;
    size_t bytes_max;
    struct osr_hash last_chain;
    struct osr_signature last_signature;
};

struct sim_instance {
    struct world *world;
    uint32_t index;
    char name[8];
    char id[OSR_INSTANCE_CHARS + 1];
    struct osr_public_key public_key;
    struct sim_options options;
    struct osr_sim_disk *disk;
    bool slow;
    uint32_t life;

    struct osr_feed *core; /* NULL: not up */
    struct osr_wal *wal;
    struct sim_log logs[SIM_INSTANCES_MAX];
    struct store *store;
    struct osr_arena *arena;

    struct sim_job *jobs; /* in order */
    size_t job_count;
    size_t job_capacity;
    size_t jobs_in_group; /* appended, wait for the sync */
    enum log_stage stage;
    uint64_t tick_at_ms; /* of the TICK that is scheduled; UINT64_MAX: none */
};

/* ---- small things ---- */

static struct osr_public_key make_key(uint64_t seed, uint32_t index)
{
    struct osr_public_key key;
    const struct osr_slice pieces[] = {osr_slice(&seed, sizeof(seed)),
                                       osr_slice(&index, sizeof(index))};
    struct osr_hash hash = osr_sha256(pieces, 2);
    memcpy(key.bytes, hash.bytes, sizeof(key.bytes));
    return key;
}

/* A signature that anybody could make: nobody here wants to. */
static struct osr_signature sign(const struct osr_public_key *key, struct osr_slice message)
{
    struct osr_signature signature = {{0}};
    const struct osr_slice pieces[] = {osr_slice(key->bytes, sizeof(key->bytes)), message};
    struct osr_hash hash = osr_sha256(pieces, 2);
    memcpy(signature.bytes, hash.bytes, sizeof(hash.bytes));
    return signature;
}

struct sim_instance *sim_instance_create(struct world *world, uint32_t index, uint64_t seed,
                                         const struct sim_options *options)
{
    struct sim_instance *instance = osr_alloc(sizeof(*instance));
    instance->world = world;
    instance->index = index;
    instance->options = *options;
    snprintf(instance->name, sizeof(instance->name), "n%u", index);
    instance->public_key = make_key(seed, index);
    osr_instance_id(instance->id, &instance->public_key);
    instance->disk = osr_sim_disk_create(seed * SIM_INSTANCES_MAX + index);
    instance->store = store_create();
    instance->arena = osr_arena_create(64 << 10, ARENA_BYTES_MAX);
    return instance;
}

static void drop_job(struct sim_job *job)
{
    osr_batch_done(&job->batch);
}

void sim_instance_destroy(struct sim_instance *instance)
{
    if (instance == NULL) {
        return;
    }
    if (instance->core != NULL) {
        sim_instance_stop(instance, false);
    }
    osr_sim_disk_destroy(instance->disk);
    store_destroy(instance->store);
    osr_arena_destroy(instance->arena);
    for (size_t i = 0; i < SIM_INSTANCES_MAX; i++) {
        osr_buffer_done(&instance->logs[i].heads);
    }
    free(instance->jobs);
    free(instance);
}

bool sim_instance_is_up(const struct sim_instance *instance)
{
    return instance->core != NULL;
}

uint32_t sim_instance_life(const struct sim_instance *instance)
{
    return instance->life;
}

const char *sim_instance_id(const struct sim_instance *instance)
{
    return instance->id;
}

const struct store *sim_instance_store(const struct sim_instance *instance)
{
    return instance->store;
}

struct osr_sim_disk *sim_instance_disk(struct sim_instance *instance)
{
    return instance->disk;
}

uint64_t sim_instance_durable(const struct sim_instance *instance, size_t origin)
{
    return instance->logs[origin].synced;
}

void sim_instance_set_slow(struct sim_instance *instance, bool slow)
{
    instance->slow = slow;
}

static void schedule(struct sim_instance *instance, uint64_t low_us, uint64_t high_us,
                     struct world_event event)
{
    event.instance = instance->index;
    event.life = instance->life;
    world_schedule(instance->world, world_between(instance->world, low_us, high_us), &event);
}

static uint64_t now_ms(const struct sim_instance *instance)
{
    return world_now_us(instance->world) / 1000;
}

/* ---- heads ---- */

static size_t head_count(const struct sim_log *log)
{
    return log->heads.size / sizeof(struct sim_head);
}

static struct sim_head head_at(const struct sim_log *log, size_t index)
{
    struct sim_head head;
    memcpy(&head, log->heads.data + index * sizeof(head), sizeof(head));
    return head;
}

static void add_head(struct sim_log *log, uint64_t sequence, const struct osr_signature *signature)
{
    const struct sim_head head = {sequence, *signature};
    osr_buffer_add(&log->heads, &head, sizeof(head));
}

static void drop_heads_behind(struct sim_log *log, uint64_t sequence)
{
    while (head_count(log) > 0 && head_at(log, head_count(log) - 1).sequence > sequence) {
        log->heads.size -= sizeof(struct sim_head);
    }
}

static uint64_t last_head(const struct sim_log *log)
{
    return head_count(log) > 0 ? head_at(log, head_count(log) - 1).sequence : 0;
}

/* ---- the log thread ---- */

static uint32_t log_id(size_t origin)
{
    return (uint32_t)origin + 1;
}

/* True where the disk is gone or cannot be trusted any more: the instance has crashed. */
static bool crash_if_broken(struct sim_instance *instance, enum osr_code code)
{
    bool is_down = osr_sim_disk_is_down(instance->disk);
    if (!is_down && code != OSR_IO) {
        return false;
    }
    world_counters(instance->world)->crashes_in_log++;
    world_crash(instance->world, instance->index);
    return true;
}

static void check_no_gap(const struct sim_instance *instance, const struct sim_job *job)
{
    uint64_t last = osr_wal_last_index(instance->wal, log_id(job->origin));
    if (job->batch.first != last + 1) {
        sim_violation("%s stores from %llu of n%zu, but its log ends at %llu", instance->name,
                      (unsigned long long)job->batch.first, job->origin, (unsigned long long)last);
    }
}

static enum osr_code append_batch(struct sim_instance *instance, struct sim_job *job)
{
    struct sim_log *log = &instance->logs[job->origin];
    check_no_gap(instance, job);
    size_t count = job->batch.count + 2;
    struct osr_wal_record *records = osr_alloc(count * sizeof(*records));
    size_t n = 0;
    uint8_t name[LOG_RECORD_SIZE];
    memcpy(name, job->public_key.bytes, OSR_PUBLIC_KEY_SIZE);
    memcpy(name + OSR_PUBLIC_KEY_SIZE, job->batch.feed.origin, OSR_INSTANCE_CHARS);
    if (!log->named) {
        records[n++] = (struct osr_wal_record){.type = OSR_WAL_LOG,
                                               .log_id = log_id(job->origin),
                                               .payload = osr_slice(name, sizeof(name))};
    }
    bool own = job->origin == instance->index;
    struct osr_wal_record head = {.type = OSR_WAL_HEAD,
                                  .log_id = log_id(job->origin),
                                  .index = job->head.sequence,
                                  .payload =
                                      osr_slice(&job->head.signature, sizeof(job->head.signature))};
    bool has_head = job->head.sequence > last_head(log);
    if (has_head && own && job->head.sequence < job->batch.first) {
        records[n++] = head;
        has_head = false;
    }
    for (size_t i = 0; i < job->batch.count; i++) {
        records[n++] = (struct osr_wal_record){.type = OSR_WAL_ENTRY,
                                               .format = OSR_ENTRY_FORMAT,
                                               .log_id = log_id(job->origin),
                                               .index = job->batch.first + i,
                                               .payload = osr_batch_record(&job->batch, i)};
    }
    if (has_head) {
        records[n++] = head;
    }
    assert(n <= count);
    struct osr_err err;
    int code = osr_wal_append(instance->wal, records, n, &err);
    free(records);
    if (code == 0) {
        log->named = true;
        log->id = job->batch.feed;
        log->public_key = job->public_key;
        log->appended = osr_batch_last(&job->batch);
        if (job->head.sequence > last_head(log)) {
            add_head(log, job->head.sequence, &job->head.signature);
        }
    }
    return (enum osr_code)code;
}

static enum osr_code append_truncation(struct sim_instance *instance, struct sim_job *job)
{
    struct sim_log *log = &instance->logs[job->origin];
    struct osr_wal_record record = {
        .type = OSR_WAL_TRUNCATE, .log_id = log_id(job->origin), .index = job->sequence};
    struct osr_err err;
    int code = osr_wal_append(instance->wal, &record, 1, &err);
    if (code == 0) {
        log->appended = job->sequence;
        drop_heads_behind(log, job->sequence);
        log->synced = log->synced < job->sequence ? log->synced : job->sequence;
    }
    return (enum osr_code)code;
}

/* Appends all jobs that wait: they share one sync. */
static void log_append(struct sim_instance *instance)
{
    for (size_t i = 0; i < instance->job_count; i++) {
        struct sim_job *job = &instance->jobs[i];
        if (job->doomed) {
            job->code = OSR_DISK_FULL;
        } else if (job->truncate) {
            job->code = append_truncation(instance, job);
        } else {
            job->code = append_batch(instance, job);
        }
        if (crash_if_broken(instance, job->code)) {
            return;
        }
        if (job->code != OSR_OK && job->code != OSR_DISK_FULL) {
            sim_violation("%s: the log says %s", instance->name, osr_code_info(job->code)->name);
        }
        for (size_t k = i + 1; job->code != OSR_OK && k < instance->job_count; k++) {
            instance->jobs[k].doomed |= instance->jobs[k].origin == job->origin;
        }
    }
    instance->jobs_in_group = instance->job_count;
    instance->stage = LOG_SYNC;
    schedule(instance, 20, instance->options.sync_us_max * (instance->slow ? SLOWDOWN : 1),
             (struct world_event){.type = WORLD_LOG});
}

static void note_synced(struct sim_instance *instance)
{
    for (size_t i = 0; i < SIM_INSTANCES_MAX; i++) {
        instance->logs[i].synced = instance->logs[i].appended;
    }
}

static void log_sync(struct sim_instance *instance)
{
    struct osr_err err;
    int code = osr_wal_sync(instance->wal, &err);
    if (crash_if_broken(instance, (enum osr_code)code)) {
        return;
    }
    assert(code == 0);
    note_synced(instance);
    instance->stage = LOG_ANSWER;
    schedule(instance, 5, 200, (struct world_event){.type = WORLD_LOG});
}

static void step(struct sim_instance *instance, struct osr_feed_event *event);

static void start_log(struct sim_instance *instance)
{
    if (instance->stage == LOG_IDLE && instance->job_count > 0) {
        instance->stage = LOG_APPEND;
        schedule(instance, 5, 100, (struct world_event){.type = WORLD_LOG});
    }
}

/* While a failure has not been answered, what is put out behind it still counts on it. */
static void doom_behind(struct sim_instance *instance, const struct sim_job *failed)
{
    for (size_t i = 0; i < instance->job_count; i++) {
        instance->jobs[i].doomed |= instance->jobs[i].origin == failed->origin;
    }
}

static void log_answer(struct sim_instance *instance)
{
    instance->stage = LOG_IDLE;
    while (instance->jobs_in_group > 0) {
        struct sim_job job = instance->jobs[0];
        instance->job_count--;
        instance->jobs_in_group--;
        memmove(instance->jobs, instance->jobs + 1, instance->job_count * sizeof(job));
        if (job.code != OSR_OK) {
            world_counters(instance->world)->stores_refused++;
            doom_behind(instance, &job);
        }
        drop_job(&job);
        struct osr_feed_event event = {.type = OSR_FEED_STORED,
                                       .stored = {.ticket = job.ticket, .code = job.code}};
        step(instance, &event);
    }
    start_log(instance);
}

static struct sim_job *add_job(struct sim_instance *instance)
{
    if (instance->job_count == instance->job_capacity) {
        instance->job_capacity = instance->job_capacity > 0 ? 2 * instance->job_capacity : 8;
        instance->jobs =
            osr_realloc(instance->jobs, instance->job_capacity * sizeof(instance->jobs[0]));
    }
    struct sim_job *job = &instance->jobs[instance->job_count++];
    *job = (struct sim_job){0};
    return job;
}

/* ---- showing what is committed ---- */

struct apply_context {
    struct sim_instance *instance;
    size_t origin;
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
    if (apply->origin == instance->index) {
        history_commit(world_history(instance->world), apply->origin, record->index, &chain);
    } else {
        history_check(world_history(instance->world), apply->origin, record->index, &chain,
                      instance->name);
    }
    if (record->index <= store_applied(instance->store, apply->origin)) {
        return 0;
    }
    osr_arena_reset(instance->arena);
    Osr__Entry *entry;
    if (osr_entry_decode(osr_record_stored(record->payload), record->index, instance->arena, &entry,
                         err) != 0) {
        sim_violation("%s cannot decode entry %llu of n%zu: %s", instance->name,
                      (unsigned long long)record->index, apply->origin, err->message);
    }
    store_apply(instance->store, apply->origin, instance->logs[apply->origin].id.origin, entry,
                &chain, instance->name);
    return record->index == apply->last ? 1 : 0;
}

static void on_commit(struct sim_instance *instance, const struct osr_feed_id *feed, uint64_t first,
                      uint64_t last)
{
    size_t origin = world_origin(instance->world, feed->origin);
    uint64_t applied = store_applied(instance->store, origin);
    if (first > 0 && first != applied + 1) {
        sim_violation("%s commits %llu..%llu of n%zu, but shows up to %llu", instance->name,
                      (unsigned long long)first, (unsigned long long)last, origin,
                      (unsigned long long)applied);
    }
    if (last > instance->logs[origin].synced) {
        sim_violation("%s commits %llu of n%zu, but only %llu is durable", instance->name,
                      (unsigned long long)last, origin,
                      (unsigned long long)instance->logs[origin].synced);
    }
    if (last < applied) {
        sim_violation("%s restored %llu of n%zu, but had shown %llu", instance->name,
                      (unsigned long long)last, origin, (unsigned long long)applied);
    }
    struct apply_context context = {instance, origin, last};
    struct osr_err err;
    /* A restart checks all of the feed against history. */
    if (last > 0 && osr_wal_read(instance->wal, log_id(origin), first > 0 ? first : 1, apply_record,
                                 &context, &err) > 1) {
        sim_violation("%s cannot read n%zu's feed: %s", instance->name, origin, err.message);
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
    const struct sim_log *log = &reading->instance->logs[reading->read->origin];
    while (reading->next_head < head_count(log) &&
           head_at(log, reading->next_head).sequence < sequence) {
        reading->next_head++;
    }
    if (sequence == reading->read->last) {
        *ret_signature = reading->read->last_signature;
        return true;
    }
    struct sim_head head = {0};
    if (reading->next_head < head_count(log)) {
        head = head_at(log, reading->next_head);
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

static void on_read(struct sim_instance *instance, uint64_t ticket, const struct sim_read *read)
{
    Osr__Update update;
    osr__update__init(&update);
    osr_arena_reset(instance->arena);
    size_t count_max = (size_t)(read->last - read->first + 1);
    update.entries = osr_arena_take(instance->arena, count_max * sizeof(update.entries[0]));
    struct read_context reading = {.instance = instance, .read = read, .update = &update};
    struct osr_err err;
    if (osr_wal_read(instance->wal, log_id(read->origin), read->first, read_record, &reading,
                     &err) > 1 ||
        update.n_entries == 0) {
        sim_violation("%s cannot read %llu of n%zu", instance->name,
                      (unsigned long long)read->first, read->origin);
    }
    update.chain = (ProtobufCBinaryData){sizeof(reading.chain.bytes), reading.chain.bytes};
    update.signature =
        (ProtobufCBinaryData){sizeof(reading.signature.bytes), reading.signature.bytes};
    if (read->origin != instance->index) {
        world_counters(instance->world)->relayed_batches++;
    }
    struct osr_feed_event event = {
        .type = OSR_FEED_READ_DONE,
        .read_done = {.ticket = ticket, .update = &update, .bytes = reading.bytes}};
    step(instance, &event);
}

/* ---- carrying out what the core wants ---- */

static void carry_out_store(struct sim_instance *instance, struct osr_feed_output *output)
{
    struct sim_job *job = add_job(instance);
    job->ticket = output->store.ticket;
    job->origin = world_origin(instance->world, output->store.batch->feed.origin);
    job->batch = *output->store.batch;
    *output->store.batch = (struct osr_batch){0};
    job->public_key = output->store.public_key;
    job->head = (struct sim_head){output->store.head_sequence, output->store.head_signature};
    start_log(instance);
}

static void carry_out_truncate(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct sim_job *job = add_job(instance);
    job->ticket = output->truncate.ticket;
    job->origin = world_origin(instance->world, output->truncate.feed->origin);
    job->truncate = true;
    job->sequence = output->truncate.sequence;
    start_log(instance);
}

static void carry_out_sign(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct osr_signature *signature = osr_alloc(sizeof(*signature));
    *signature = sign(&instance->public_key, output->sign.message);
    schedule(instance, 20, 300,
             (struct world_event){.type = WORLD_SIGNED,
                                  .ticket = output->sign.ticket,
                                  .bytes = signature->bytes,
                                  .size = sizeof(*signature)});
}

static void carry_out_verify(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct osr_signature good = sign(&output->verify.public_key, output->verify.message);
    bool valid = memcmp(&good, &output->verify.signature, sizeof(good)) == 0;
    schedule(instance, 20, 400,
             (struct world_event){
                 .type = WORLD_VERIFIED, .ticket = output->verify.ticket, .flag = valid});
}

static void carry_out_read(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct sim_read *read = osr_alloc(sizeof(*read));
    *read = (struct sim_read){.origin = world_origin(instance->world, output->read.feed->origin),
                              .first = output->read.first,
                              .last = output->read.last,
                              .bytes_max = output->read.bytes_max,
                              .last_chain = output->read.last_chain,
                              .last_signature = output->read.last_signature};
    schedule(instance, 1, 500,
             (struct world_event){.type = WORLD_READ,
                                  .ticket = output->read.ticket,
                                  .bytes = (uint8_t *)read,
                                  .size = sizeof(*read)});
}

/* What ACK states must be true even if everything stops at this very moment. */
static void check_ack(struct sim_instance *instance, const Osr__Ack *ack)
{
    size_t origin = world_origin(instance->world, ack->origin);
    struct sim_log *log = &instance->logs[origin];
    if (ack->sequence > log->synced) {
        sim_violation("%s acknowledges %llu of n%zu, but only %llu is durable", instance->name,
                      (unsigned long long)ack->sequence, origin, (unsigned long long)log->synced);
    }
    if (ack->sequence > store_applied(instance->store, origin)) {
        sim_violation("%s acknowledges %llu of n%zu before it is committed", instance->name,
                      (unsigned long long)ack->sequence, origin);
    }
    log->promised = log->promised > ack->sequence ? log->promised : ack->sequence;
}

static void check_close(const struct sim_instance *instance, const struct osr_err *err)
{
    switch (err->code) {
    case OSR_TIMEOUT:
    case OSR_CANCELLED:
    case OSR_DUPLICATE_IDENTITY: /* a restart before the old link was missed */
    case OSR_UNAUTHENTICATED:    /* the proof was lost or overtaken */
        break;
    case OSR_BAD_SIGNATURE:
    case OSR_BAD_HASH:
        if (world_has_forger(instance->world)) {
            break;
        }
        /* fall through */
    default:
        sim_violation("%s accuses a peer that keeps the rules: %s: %s", instance->name,
                      osr_code_info(err->code)->name, err->message);
    }
}

static void check_error(const struct sim_instance *instance, const Osr__Error *error)
{
    const struct osr_err err = {.code = (enum osr_code)error->code, .message = "in an ERROR frame"};
    if (error->code != OSR__CODE__NOT_FOUND) {
        check_close(instance, &err);
    }
}

static void carry_out_send(struct sim_instance *instance, const struct osr_feed_output *output)
{
    const Osr__Frame *frame = output->send.frame;
    if (frame->body_case == OSR__FRAME__BODY_ACK) {
        check_ack(instance, frame->ack);
    } else if (frame->body_case == OSR__FRAME__BODY_ERROR) {
        check_error(instance, frame->error);
    }
    world_send(instance->world, instance->index, output->send.peer, frame);
}

static void carry_out(struct sim_instance *instance, struct osr_feed_output *output)
{
    switch (output->type) {
    case OSR_FEED_OUT_STORE:
        carry_out_store(instance, output);
        break;
    case OSR_FEED_OUT_TRUNCATE:
        carry_out_truncate(instance, output);
        break;
    case OSR_FEED_OUT_SIGN:
        carry_out_sign(instance, output);
        break;
    case OSR_FEED_OUT_VERIFY:
        carry_out_verify(instance, output);
        break;
    case OSR_FEED_OUT_READ:
        carry_out_read(instance, output);
        break;
    case OSR_FEED_OUT_COMMIT:
        on_commit(instance, output->commit.feed, output->commit.first, output->commit.last);
        break;
    case OSR_FEED_OUT_WRITTEN:
        world_written(instance->world, instance->index, output->written.token, output->written.code,
                      output->written.first, output->written.acks);
        break;
    case OSR_FEED_OUT_SEND:
        carry_out_send(instance, output);
        break;
    case OSR_FEED_OUT_IDENTIFIED:
        break;
    case OSR_FEED_OUT_CLOSE:
        check_close(instance, output->close.err);
        world_close(instance->world, instance->index, output->close.peer);
        break;
    }
}

static void schedule_tick(struct sim_instance *instance)
{
    uint64_t deadline_ms = osr_feed_deadline_ms(instance->core);
    if (deadline_ms >= instance->tick_at_ms) {
        return;
    }
    instance->tick_at_ms = deadline_ms;
    uint64_t due_us = deadline_ms * 1000;
    uint64_t now_us = world_now_us(instance->world);
    uint64_t delay_us = due_us > now_us ? due_us - now_us : 0;
    schedule(instance, delay_us, delay_us, (struct world_event){.type = WORLD_TICK});
}

static void step(struct sim_instance *instance, struct osr_feed_event *event)
{
    event->now_ms = now_ms(instance);
    event->time_ms = world_clock_ms(instance->world, instance->index);
    struct osr_feed_outputs outputs;
    osr_feed_step(instance->core, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        carry_out(instance, &outputs.items[i]);
    }
    schedule_tick(instance);
}

/* ---- events ---- */

static void on_frame(struct sim_instance *instance, const struct world_event *event)
{
    Osr__Frame *frame = osr__frame__unpack(NULL, event->size, event->bytes);
    assert(frame != NULL);
    struct osr_feed_event step_event = {.type = OSR_FEED_FRAME,
                                        .frame = {.peer = event->link, .frame = frame}};
    step(instance, &step_event);
    osr__frame__free_unpacked(frame, NULL);
}

static void on_log(struct sim_instance *instance)
{
    switch (instance->stage) {
    case LOG_APPEND:
        log_append(instance);
        break;
    case LOG_SYNC:
        log_sync(instance);
        break;
    case LOG_ANSWER:
        log_answer(instance);
        break;
    case LOG_IDLE:
        break;
    }
}

void sim_instance_handle(struct sim_instance *instance, const struct world_event *event)
{
    struct osr_feed_event step_event = {0};
    switch (event->type) {
    case WORLD_LOG:
        on_log(instance);
        return;
    case WORLD_READ:
        on_read(instance, event->ticket, (const struct sim_read *)(const void *)event->bytes);
        return;
    case WORLD_FRAME:
        on_frame(instance, event);
        return;
    case WORLD_SIGNED:
        step_event.type = OSR_FEED_SIGNED;
        step_event.is_signed.ticket = event->ticket;
        memcpy(step_event.is_signed.signature.bytes, event->bytes, OSR_SIGNATURE_SIZE);
        break;
    case WORLD_VERIFIED:
        step_event.type = OSR_FEED_VERIFIED;
        step_event.verified.ticket = event->ticket;
        step_event.verified.valid = event->flag;
        break;
    case WORLD_TICK:
        if (now_ms(instance) < instance->tick_at_ms) {
            return; /* it was moved forward since */
        }
        instance->tick_at_ms = UINT64_MAX;
        step_event.type = OSR_FEED_TICK;
        break;
    case WORLD_FLUSH:
        step_event.type = OSR_FEED_FLUSH;
        break;
    case WORLD_LINK_UP:
        step_event.type = OSR_FEED_PEER_UP;
        step_event.peer_up.peer = event->link;
        step_event.peer_up.dialled = event->flag;
        osr_random_fill(world_random(instance->world), step_event.peer_up.nonce, OSR_NONCE_SIZE);
        break;
    case WORLD_LINK_DOWN:
        step_event.type = OSR_FEED_PEER_DOWN;
        step_event.peer_down.peer = event->link;
        break;
    default:
        assert(false); /* an event of nobody in particular */
    }
    step(instance, &step_event);
}

void sim_instance_write(struct sim_instance *instance, uint64_t token,
                        const struct osr_feed_put *puts, size_t count, uint32_t acks,
                        uint32_t timeout_ms)
{
    struct osr_feed_event event = {
        .type = OSR_FEED_WRITE,
        .write = {
            .token = token, .puts = puts, .count = count, .acks = acks, .timeout_ms = timeout_ms}};
    step(instance, &event);
    schedule(instance, 0, 2000, (struct world_event){.type = WORLD_FLUSH});
}

void sim_instance_resend(struct sim_instance *instance, uint32_t link, uint64_t from_sequence)
{
    struct osr_feed_event event = {.type = OSR_FEED_RESEND,
                                   .resend = {.peer = link, .from_sequence = from_sequence}};
    step(instance, &event);
}

/* ---- life ---- */

/* Rebuilds what the log knows, record by record. */
static int restore_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    struct sim_instance *instance = context;
    if (record->log_id == 0) {
        return 0;
    }
    struct sim_log *log = &instance->logs[record->log_id - 1];
    switch (record->type) {
    case OSR_WAL_LOG:
        assert(record->payload.size == LOG_RECORD_SIZE);
        log->named = true;
        memcpy(log->public_key.bytes, record->payload.data, OSR_PUBLIC_KEY_SIZE);
        log->id = (struct osr_feed_id){.stream = "kb", .epoch = 1};
        memcpy(log->id.origin, record->payload.data + OSR_PUBLIC_KEY_SIZE, OSR_INSTANCE_CHARS);
        break;
    case OSR_WAL_HEAD: {
        struct osr_signature signature;
        memcpy(signature.bytes, record->payload.data, sizeof(signature.bytes));
        add_head(log, record->index, &signature);
        break;
    }
    case OSR_WAL_TRUNCATE:
        drop_heads_behind(log, record->index);
        break;
    default:
        break;
    }
    return 0;
}

static struct osr_hash chain_at(struct sim_instance *instance, size_t origin, uint64_t sequence,
                                struct osr_time *ret_time)
{
    struct osr_buffer payload = {0};
    struct osr_hash chain;
    struct osr_err err;
    if (osr_wal_read_one(instance->wal, log_id(origin), sequence, &payload, &err) != 0) {
        sim_violation("%s cannot read back %llu of n%zu: %s", instance->name,
                      (unsigned long long)sequence, origin, err.message);
    }
    memcpy(chain.bytes, payload.data, sizeof(chain.bytes));
    ret_time->ms = osr_get_u64(payload.data + sizeof(chain.bytes));
    ret_time->logical = osr_get_u32(payload.data + sizeof(chain.bytes) + 8);
    osr_buffer_done(&payload);
    return chain;
}

static void check_promises(const struct sim_instance *instance, size_t origin)
{
    const struct sim_log *log = &instance->logs[origin];
    uint64_t usable = origin == instance->index ? log->appended : last_head(log);
    if (usable < log->promised) {
        sim_violation("%s acknowledged %llu of n%zu, but has only %llu after a crash",
                      instance->name, (unsigned long long)log->promised, origin,
                      (unsigned long long)usable);
    }
    if (origin == instance->index &&
        usable < history_length(world_history(instance->world), origin)) {
        sim_violation("%s lost its own entries behind %llu in a crash", instance->name,
                      (unsigned long long)usable);
    }
}

/* ret_older has room for OSR_FEED_UNVERIFIED_MAX. */
static struct osr_feed_restored restored_feed(struct sim_instance *instance, size_t origin,
                                              struct osr_feed_head *ret_older)
{
    struct sim_log *log = &instance->logs[origin];
    struct osr_feed_restored restored = {.id = log->id, .public_key = log->public_key};
    restored.sequence = log->appended;
    if (restored.sequence > 0) {
        restored.chain = chain_at(instance, origin, restored.sequence, &restored.time);
    }
    restored.head_sequence = last_head(log);
    if (restored.head_sequence > 0) {
        struct osr_time time;
        restored.head_chain = chain_at(instance, origin, restored.head_sequence, &time);
        restored.head_signature = head_at(log, head_count(log) - 1).signature;
        restored.older_heads = ret_older;
        for (size_t i = head_count(log) - 1;
             i > 0 && restored.older_head_count < OSR_FEED_UNVERIFIED_MAX; i--) {
            struct sim_head head = head_at(log, i - 1);
            ret_older[restored.older_head_count++] = (struct osr_feed_head){
                head.sequence, chain_at(instance, origin, head.sequence, &time), head.signature};
        }
    }
    return restored;
}

static bool open_log(struct sim_instance *instance)
{
    for (size_t i = 0; i < SIM_INSTANCES_MAX; i++) {
        instance->logs[i].named = false;
        instance->logs[i].heads.size = 0;
    }
    const struct osr_wal_options options = {.segment_bytes_min = SEGMENT_BYTES_MIN,
                                            .segment_bytes_max = SEGMENT_BYTES_MAX};
    struct osr_err err;
    int code = osr_wal_open(osr_sim_disk_port(instance->disk), "log", &options, restore_record,
                            instance, &instance->wal, &err);
    if (code == 0) {
        return true; /* what was read back is safe: wal.h says so */
    }
    if (!osr_sim_disk_is_down(instance->disk) && code != OSR_DISK_FULL && code != OSR_IO) {
        sim_violation("%s cannot open its log: %s", instance->name, err.message);
    }
    return false;
}

static void create_core(struct sim_instance *instance)
{
    struct osr_feed_options options;
    osr_feed_options_init(&options);
    options.cluster = "simulation";
    options.name = instance->name;
    options.public_key = instance->public_key;
    osr_random_fill(world_random(instance->world), options.boot, sizeof(options.boot));
    options.batch_bytes = instance->options.batch_bytes;
    options.window_bytes = instance->options.window_bytes;
    options.retry_ms = instance->options.retry_ms;
    options.heartbeat_ms = instance->options.heartbeat_ms;
    options.silence_ms = instance->options.silence_ms;
    options.trace = *world_trace(instance->world);
    struct osr_err err;
    if (osr_feed_create(&options, &instance->core, &err) != 0) {
        sim_violation("%s cannot be created: %s", instance->name, err.message);
    }
}

bool sim_instance_start(struct sim_instance *instance)
{
    assert(instance->core == NULL);
    instance->life++;
    if (!open_log(instance)) {
        return false;
    }
    struct osr_feed_restored restored[SIM_INSTANCES_MAX];
    struct osr_feed_head older[SIM_INSTANCES_MAX][OSR_FEED_UNVERIFIED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < SIM_INSTANCES_MAX; i++) {
        struct sim_log *log = &instance->logs[i];
        log->appended = osr_wal_last_index(instance->wal, log_id(i));
        log->synced = log->appended;
        drop_heads_behind(log, log->appended);
        check_promises(instance, i);
        if (log->named) {
            restored[count++] = restored_feed(instance, i, older[i]);
        }
    }
    create_core(instance);
    instance->tick_at_ms = UINT64_MAX;
    instance->stage = LOG_IDLE;
    struct osr_feed_event event = {.type = OSR_FEED_START,
                                   .start = {.feeds = restored, .count = count}};
    step(instance, &event);
    return true;
}

void sim_instance_stop(struct sim_instance *instance, bool power_cut)
{
    osr_feed_destroy(instance->core);
    instance->core = NULL;
    osr_wal_close(instance->wal);
    instance->wal = NULL;
    for (size_t i = 0; i < instance->job_count; i++) {
        drop_job(&instance->jobs[i]);
    }
    instance->job_count = 0;
    instance->jobs_in_group = 0;
    if (power_cut) {
        osr_sim_disk_power_cut(instance->disk);
    } else {
        osr_sim_disk_kill(instance->disk);
    }
    if (osr_random_chance(world_random(instance->world), 0.3)) {
        store_destroy(instance->store); /* the projection is made anew from the log */
        instance->store = store_create();
    }
}
