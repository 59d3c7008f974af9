#include "sim/instance_parts.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/keyed_hash.h"

enum { ARENA_BYTES_MAX = 64 << 20 };

static struct osr_public_key make_key(uint64_t seed, uint32_t index)
{
    struct osr_public_key key;
    const struct osr_slice pieces[] = {osr_slice(&seed, sizeof(seed)),
                                       osr_slice(&index, sizeof(index))};
    struct osr_hash hash = osr_sha256(pieces, 2);
    memcpy(key.bytes, hash.bytes, sizeof(key.bytes));
    return key;
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
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
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

uint64_t sim_instance_durable(const struct sim_instance *instance, size_t feed)
{
    return instance->logs[feed].synced;
}

void sim_instance_set_slow(struct sim_instance *instance, bool slow)
{
    instance->slow = slow;
}

void sim_instance_schedule(struct sim_instance *instance, uint64_t low_us, uint64_t high_us,
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

/* ---- carrying out what the core wants ---- */

static void carry_out_store(struct sim_instance *instance, struct osr_feed_output *output)
{
    struct sim_job *job = sim_log_add_job(instance);
    job->ticket = output->store.ticket;
    job->feed = world_feed(instance->world, &output->store.batch->feed);
    job->batch = *output->store.batch;
    *output->store.batch = (struct osr_batch){0};
    job->public_key = output->store.public_key;
    job->head = (struct sim_head){output->store.head_sequence, output->store.head_signature};
    sim_log_begin(instance);
}

static void carry_out_truncate(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct sim_job *job = sim_log_add_job(instance);
    job->ticket = output->truncate.ticket;
    job->feed = world_feed(instance->world, output->truncate.feed);
    job->truncate = true;
    job->sequence = output->truncate.sequence;
    sim_log_begin(instance);
}

static void carry_out_sign(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct osr_signature *signature = osr_alloc(sizeof(*signature));
    *signature = keyed_hash_sign(&instance->public_key, output->sign.message);
    sim_instance_schedule(instance, 20, 300,
                          (struct world_event){.type = WORLD_SIGNED,
                                               .ticket = output->sign.ticket,
                                               .bytes = signature->bytes,
                                               .size = sizeof(*signature)});
}

static void carry_out_verify(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct osr_signature good = keyed_hash_sign(&output->verify.public_key, output->verify.message);
    bool valid = memcmp(&good, &output->verify.signature, sizeof(good)) == 0;
    sim_instance_schedule(instance, 20, 400,
                          (struct world_event){.type = WORLD_VERIFIED,
                                               .ticket = output->verify.ticket,
                                               .flag = valid});
}

static void carry_out_read(struct sim_instance *instance, const struct osr_feed_output *output)
{
    struct sim_read *read = osr_alloc(sizeof(*read));
    *read = (struct sim_read){.feed = world_feed(instance->world, output->read.feed),
                              .first = output->read.first,
                              .last = output->read.last,
                              .bytes_max = output->read.bytes_max,
                              .last_chain = output->read.last_chain,
                              .last_signature = output->read.last_signature};
    sim_instance_schedule(instance, 1, 500,
                          (struct world_event){.type = WORLD_READ,
                                               .ticket = output->read.ticket,
                                               .bytes = (uint8_t *)read,
                                               .size = sizeof(*read)});
}

/* What ACK states must be true even if everything stops at this very moment. */
static void check_ack(struct sim_instance *instance, const Osr__Ack *ack)
{
    size_t feed = world_feed_named(instance->world, ack->origin, ack->stream);
    struct sim_log *log = &instance->logs[feed];
    if (ack->sequence > log->synced) {
        sim_violation("%s acknowledges %llu of %s, but only %llu is durable", instance->name,
                      (unsigned long long)ack->sequence, sim_feed_name(feed),
                      (unsigned long long)log->synced);
    }
    if (ack->sequence > store_applied(instance->store, feed)) {
        sim_violation("%s acknowledges %llu of %s before it is committed", instance->name,
                      (unsigned long long)ack->sequence, sim_feed_name(feed));
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
    bool is_refusal =
        error->code == OSR__CODE__PERMISSION_DENIED && sim_instance_bars_followers(instance);
    if (error->code != OSR__CODE__NOT_FOUND && !is_refusal) {
        check_close(instance, &err);
    }
}

static void check_update(const struct sim_instance *instance, uint32_t link,
                         const Osr__Update *update)
{
    size_t feed = world_feed_named(instance->world, update->origin, update->stream);
    sim_instance_check_leave_to(instance, link, sim_feed_stream(feed));
}

static void carry_out_send(struct sim_instance *instance, const struct osr_feed_output *output)
{
    const Osr__Frame *frame = output->send.frame;
    if (frame->body_case == OSR__FRAME__BODY_ACK) {
        check_ack(instance, frame->ack);
    } else if (frame->body_case == OSR__FRAME__BODY_ERROR) {
        check_error(instance, frame->error);
    } else if (frame->body_case == OSR__FRAME__BODY_UPDATE) {
        check_update(instance, output->send.peer, frame->update);
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
        sim_instance_show(instance, output->commit.feed, output->commit.first, output->commit.last);
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
    sim_instance_schedule(instance, delay_us, delay_us, (struct world_event){.type = WORLD_TICK});
}

void sim_instance_step(struct sim_instance *instance, struct osr_feed_event *event)
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
    sim_instance_step(instance, &step_event);
    osr__frame__free_unpacked(frame, NULL);
}

void sim_instance_handle(struct sim_instance *instance, const struct world_event *event)
{
    struct osr_feed_event step_event = {0};
    switch (event->type) {
    case WORLD_LOG:
        sim_log_continue(instance);
        return;
    case WORLD_READ:
        sim_instance_relay(instance, event->ticket,
                           (const struct sim_read *)(const void *)event->bytes);
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
    sim_instance_step(instance, &step_event);
}

void sim_instance_write(struct sim_instance *instance, const struct osr_feed_write *write)
{
    struct osr_feed_event event = {.type = OSR_FEED_WRITE, .write = *write};
    sim_instance_step(instance, &event);
    sim_instance_schedule(instance, 0, 2000, (struct world_event){.type = WORLD_FLUSH});
}

void sim_instance_resend(struct sim_instance *instance, uint32_t link, uint64_t from_sequence)
{
    struct osr_feed_event event = {.type = OSR_FEED_RESEND,
                                   .resend = {.peer = link, .from_sequence = from_sequence}};
    sim_instance_step(instance, &event);
}

/* ---- life ---- */

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
    options.access = sim_instance_access(instance);
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
    if (!sim_log_open(instance)) {
        return false;
    }
    struct osr_feed_restored restored[SIM_FEEDS_MAX];
    struct osr_feed_head older[SIM_FEEDS_MAX][OSR_FEED_UNVERIFIED_MAX];
    size_t count = 0;
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
        struct sim_log *log = &instance->logs[i];
        log->appended = osr_wal_last_index(instance->wal, sim_log_id(i));
        log->synced = log->appended;
        sim_log_drop_heads_behind(log, log->appended);
        sim_log_check_promises(instance, i);
        if (log->named) {
            restored[count++] = sim_log_restored_feed(instance, i, older[i]);
        }
    }
    create_core(instance);
    instance->tick_at_ms = UINT64_MAX;
    instance->stage = LOG_IDLE;
    struct osr_feed_event event = {.type = OSR_FEED_START,
                                   .start = {.feeds = restored, .count = count}};
    sim_instance_step(instance, &event);
    return true;
}

void sim_instance_stop(struct sim_instance *instance, bool power_cut)
{
    osr_feed_destroy(instance->core);
    instance->core = NULL;
    osr_wal_close(instance->wal);
    instance->wal = NULL;
    sim_log_drop_jobs(instance);
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
