#include "node/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "adapter/folder_lock.h"
#include "model/limits.h"
#include "node/identity_key.h"

/* An output that may come back as an event, and so waits until the core's step is over. What it
 * points to is copied. */
struct deferred {
    struct osr_feed_output output;
    struct osr_feed_id feed;
    struct osr_err err;
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
};

/* In WRITTEN's token: it was a write to the stream "trust". Tokens are addresses, so the bit is
 * free. */
enum { TRUST_TOKEN = 1 };

struct osr_engine {
    uv_loop_t *loop;
    const struct osr_config *config;
    const struct osr_trace *trace;
    const struct osr_trace *core_trace;
    struct osr_engine_handler handler;

    struct osr_folder_lock *lock;
    struct osr_keys *keys;
    struct osr_journal *journal;
    struct osr_access *access;    /* NULL: not set yet */
    struct osr_trust_feed *trust; /* NULL: not set yet */
    bool has_started_trust;
    struct osr_feed *feed;
    struct osr_knowledge *knowledge;

    uv_timer_t tick;
    uint64_t tick_ms;  /* when it is due; UINT64_MAX: never */
    bool has_timer;    /* tick is open */
    bool flush_wanted; /* something was written in this turn of the loop */
    bool is_stepping;  /* the core's outputs are alive */
    bool is_carrying;  /* deferred outputs are being carried out */
    bool is_closing;   /* the core is not stepped any more */
    struct deferred *deferred;
    size_t deferred_first, deferred_count, deferred_capacity;
    struct osr_err storage; /* what is wrong with the projection */
};

/* The core: events in, outputs out */

static void defer(struct osr_engine *engine, const struct osr_feed_output *output)
{
    if (engine->deferred_count == engine->deferred_capacity) {
        engine->deferred_capacity = 2 * engine->deferred_capacity + 16;
        engine->deferred =
            osr_realloc(engine->deferred, engine->deferred_capacity * sizeof(*engine->deferred));
    }
    struct deferred *deferred = &engine->deferred[engine->deferred_count++];
    deferred->output = *output;
    switch (output->type) {
    case OSR_FEED_OUT_COMMIT:
        deferred->feed = *output->commit.feed;
        break;
    case OSR_FEED_OUT_READ:
        deferred->feed = *output->read.feed;
        break;
    case OSR_FEED_OUT_IDENTIFIED:
        snprintf(deferred->instance, sizeof(deferred->instance), "%s", output->identified.instance);
        snprintf(deferred->name, sizeof(deferred->name), "%s", output->identified.name);
        break;
    case OSR_FEED_OUT_CLOSE:
        deferred->err = *output->close.err;
        break;
    default:
        assert(output->type == OSR_FEED_OUT_WRITTEN); /* points to nothing */
    }
}

/* Carries out what leads to nothing but later callbacks, and defers the rest. */
static void take_output(struct osr_engine *engine, struct osr_feed_output *output)
{
    switch (output->type) {
    case OSR_FEED_OUT_STORE:
    case OSR_FEED_OUT_TRUNCATE:
    case OSR_FEED_OUT_SIGN:
    case OSR_FEED_OUT_VERIFY:
        osr_journal_carry_out(engine->journal, output);
        break;
    case OSR_FEED_OUT_SEND:
        engine->handler.on_send(engine->handler.context, output->send.peer, output->send.frame);
        break;
    case OSR_FEED_OUT_READ:
    case OSR_FEED_OUT_COMMIT:
    case OSR_FEED_OUT_WRITTEN:
    case OSR_FEED_OUT_IDENTIFIED:
    case OSR_FEED_OUT_CLOSE:
        defer(engine, output);
        break;
    }
}

static void carry_out_written(struct osr_engine *engine, const struct osr_feed_output *output)
{
    uint64_t token = output->written.token;
    if ((token & TRUST_TOKEN) != 0) {
        osr_trust_feed_written(engine->trust, token - TRUST_TOKEN, output->written.code);
    } else {
        osr_knowledge_written(engine->knowledge, token, output->written.code, output->written.first,
                              output->written.first_time, output->written.acks);
    }
}

static void carry_out(struct osr_engine *engine, struct deferred *deferred)
{
    const struct osr_engine_handler *handler = &engine->handler;
    struct osr_feed_output *output = &deferred->output;
    switch (output->type) {
    case OSR_FEED_OUT_READ:
        output->read.feed = &deferred->feed;
        osr_journal_carry_out(engine->journal, output);
        break;
    case OSR_FEED_OUT_COMMIT:
        output->commit.feed = &deferred->feed;
        osr_journal_carry_out(engine->journal, output);
        break;
    case OSR_FEED_OUT_WRITTEN:
        carry_out_written(engine, output);
        break;
    case OSR_FEED_OUT_IDENTIFIED:
        handler->on_identified(handler->context, output->identified.peer, deferred->instance,
                               deferred->name);
        break;
    case OSR_FEED_OUT_CLOSE:
        handler->on_close(handler->context, output->close.peer, &deferred->err);
        break;
    default:
        assert(false);
    }
}

static void step(struct osr_engine *engine, struct osr_feed_event *event)
{
    assert(!engine->is_stepping);
    engine->is_stepping = true;
    event->now_ms = uv_now(engine->loop);
    event->time_ms = osr_wall_ms();
    struct osr_feed_outputs outputs;
    osr_feed_step(engine->feed, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        take_output(engine, &outputs.items[i]);
    }
    engine->is_stepping = false;
}

void osr_engine_post(struct osr_engine *engine, struct osr_feed_event *event)
{
    if (engine->is_closing) {
        return;
    }
    step(engine, event);
    if (engine->is_carrying) {
        return; /* the loop below is under way further up the stack */
    }
    engine->is_carrying = true;
    while (engine->deferred_first < engine->deferred_count) {
        struct deferred deferred = engine->deferred[engine->deferred_first++];
        carry_out(engine, &deferred);
    }
    engine->deferred_first = engine->deferred_count = 0;
    engine->is_carrying = false;
}

/* The journal's answers */

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct osr_feed_event event = {.type = OSR_FEED_STORED, .stored = {ticket, code}};
    osr_engine_post(context, &event);
}

static void on_signed(void *context, uint64_t ticket, const struct osr_signature *signature)
{
    struct osr_feed_event event = {.type = OSR_FEED_SIGNED, .is_signed = {ticket, *signature}};
    osr_engine_post(context, &event);
}

static void on_verified(void *context, uint64_t ticket, bool valid)
{
    struct osr_feed_event event = {.type = OSR_FEED_VERIFIED, .verified = {ticket, valid}};
    osr_engine_post(context, &event);
}

static void on_journal_read(void *context, uint64_t ticket, Osr__Update *update, size_t bytes)
{
    struct osr_feed_event event = {.type = OSR_FEED_READ_DONE,
                                   .read_done = {ticket, update, bytes}};
    osr_engine_post(context, &event);
}

/* Once all that the log had at the start is found good: nothing is released before. */
static void start_trust(struct osr_engine *engine)
{
    if (engine->has_started_trust || engine->trust == NULL ||
        !osr_journal_is_restored(engine->journal)) {
        return;
    }
    engine->has_started_trust = true;
    for (size_t i = 0; i < osr_feed_count(engine->feed); i++) {
        struct osr_feed_info info;
        osr_feed_info(engine->feed, i, &info);
        if (info.stream == OSR_STREAM_TRUST) {
            osr_trust_feed_restored(engine->trust, &info.id, info.sequence);
        }
    }
    osr_trust_feed_start(engine->trust);
}

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    struct osr_engine *engine = context;
    if (engine->is_closing) {
        return;
    }
    start_trust(engine);
    if (batch != NULL && strcmp(batch->feed.stream, osr_feed_stream_name(OSR_STREAM_TRUST)) == 0) {
        osr_trust_feed_released(engine->trust, batch);
        batch = NULL; /* the knowledge base passes over it */
    }
    osr_knowledge_released(engine->knowledge, batch, log_id, last_ordinal);
}

static void on_failure(void *context, const struct osr_err *err)
{
    struct osr_engine *engine = context;
    engine->handler.on_failure(engine->handler.context, err);
}

/* The knowledge base's wishes */

static void on_write(void *context, uint64_t token, const struct osr_feed_put *puts, size_t count,
                     uint32_t acks, uint32_t timeout_ms)
{
    struct osr_engine *engine = context;
    struct osr_feed_event event = {.type = OSR_FEED_WRITE,
                                   .write = {.stream = OSR_STREAM_KB,
                                             .token = token,
                                             .puts = puts,
                                             .count = count,
                                             .acks = acks,
                                             .timeout_ms = timeout_ms}};
    engine->flush_wanted = true;
    osr_engine_post(engine, &event);
}

static void on_state(void *context, const struct osr_err *err)
{
    struct osr_engine *engine = context;
    engine->storage = *err;
}

/* Access to feeds */

static bool instance_may(const struct osr_engine *engine, const char *instance,
                         enum osr_action action, const char *stream)
{
    return engine->access != NULL && engine->trust != NULL &&
           osr_trust_feed_is_current(engine->trust) &&
           osr_access_instance_may(engine->access, instance, action, stream);
}

static bool may_lead(void *context, const char *origin, const char *stream)
{
    return instance_may(context, origin, OSR_ACTION_LEAD, stream);
}

static bool may_follow(void *context, const char *instance, const char *stream)
{
    return instance_may(context, instance, OSR_ACTION_FOLLOW, stream);
}

void osr_engine_set_access(struct osr_engine *engine, struct osr_access *access)
{
    struct osr_feed_event event = {.type = OSR_FEED_ACCESS_CHANGED};
    engine->access = access;
    osr_engine_post(engine, &event);
}

void osr_engine_set_trust(struct osr_engine *engine, struct osr_trust_feed *trust)
{
    engine->trust = trust;
    start_trust(engine);
}

void osr_engine_write_trust(struct osr_engine *engine, uint64_t token,
                            const struct osr_feed_put *put)
{
    struct osr_feed_event event = {
        .type = OSR_FEED_WRITE,
        .write = {
            .stream = OSR_STREAM_TRUST, .token = token | TRUST_TOKEN, .puts = put, .count = 1}};
    engine->flush_wanted = true;
    osr_engine_post(engine, &event);
}

static uint64_t on_time(void *context)
{
    (void)context;
    return osr_wall_ms();
}

/* Turns of the loop */

static void on_tick(uv_timer_t *timer)
{
    struct osr_engine *engine = timer->data;
    engine->tick_ms = UINT64_MAX;
    struct osr_feed_event event = {.type = OSR_FEED_TICK};
    osr_engine_post(engine, &event);
}

static void set_tick(struct osr_engine *engine)
{
    uint64_t due_ms = osr_feed_deadline_ms(engine->feed);
    if (due_ms == engine->tick_ms) {
        return;
    }
    engine->tick_ms = due_ms;
    uint64_t now_ms = uv_now(engine->loop);
    if (due_ms == UINT64_MAX) {
        uv_timer_stop(&engine->tick);
    } else {
        uv_timer_start(&engine->tick, on_tick, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    }
}

void osr_engine_end_turn(struct osr_engine *engine)
{
    while (engine->flush_wanted) {
        engine->flush_wanted = false;
        struct osr_feed_event event = {.type = OSR_FEED_FLUSH};
        osr_engine_post(engine, &event);
    }
    osr_journal_end_turn(engine->journal);
    set_tick(engine);
}

/* Opening, in the order of the struct's fields */

static int open_journal(struct osr_engine *engine, const struct osr_feed_restored **ret_restored,
                        size_t *ret_count, struct osr_err *err)
{
    const struct osr_journal_handler handler = {
        .on_stored = on_stored,
        .on_signed = on_signed,
        .on_verified = on_verified,
        .on_read = on_journal_read,
        .on_release = on_release,
        .on_failure = on_failure,
        .context = engine,
    };
    char *folder = osr_format("%s/log", engine->config->data);
    const struct osr_journal_options options = {
        .folder = folder,
        .keys = engine->keys,
        .wal = {.segment_bytes_max = (uint64_t)engine->config->log_segment_mb << 20,
                .trace = *engine->trace},
        .trace = *engine->trace,
    };
    int code = osr_journal_open(engine->loop, &options, &handler, &engine->journal, ret_restored,
                                ret_count, err);
    free(folder);
    return code;
}

static int create_core(struct osr_engine *engine, struct osr_err *err)
{
    struct osr_feed_options options;
    osr_feed_options_init(&options);
    options.cluster = engine->config->cluster;
    options.name = engine->config->name;
    options.public_key = *osr_keys_public(engine->keys);
    osr_secret_random(options.boot, sizeof(options.boot));
    options.heartbeat_ms = engine->config->heartbeat_ms;
    options.retry_ms = engine->config->retry_ms;
    options.trace = *engine->core_trace;
    options.access = (struct osr_feed_access){may_lead, may_follow, engine};
    return osr_feed_create(&options, &engine->feed, err);
}

static int open_knowledge(struct osr_engine *engine, struct osr_err *err)
{
    const struct osr_knowledge_options options = {
        .folder = engine->config->data,
        .instance = osr_feed_instance(engine->feed),
        .journal = engine->journal,
        .write = on_write,
        .on_state = on_state,
        .time_ms = on_time,
        .context = engine,
        .trace = *engine->trace,
    };
    return osr_knowledge_open(engine->loop, &options, &engine->knowledge, err);
}

static int open_parts(struct osr_engine *engine, struct osr_err *err)
{
    const struct osr_feed_restored *restored = NULL;
    size_t count = 0;
    int code = osr_folder_lock(engine->config->data, &engine->lock, err);
    if (code == 0) {
        code = osr_identity_key_open(engine->config->data, &engine->keys, err);
    }
    if (code == 0) {
        code = open_journal(engine, &restored, &count, err);
    }
    if (code == 0) {
        code = create_core(engine, err);
    }
    if (code == 0) {
        code = open_knowledge(engine, err);
    }
    if (code != 0) {
        return code;
    }
    uv_timer_init(engine->loop, &engine->tick); /* only fills in the handle */
    engine->tick.data = engine;
    engine->has_timer = true;
    struct osr_feed_event event = {.type = OSR_FEED_START, .start = {restored, count}};
    osr_engine_post(engine, &event);
    return 0;
}

int osr_engine_open(uv_loop_t *loop, const struct osr_config *config,
                    const struct osr_engine_handler *handler, const struct osr_trace *trace,
                    const struct osr_trace *core_trace, struct osr_engine **ret_engine,
                    struct osr_err *err)
{
    struct osr_engine *engine = osr_alloc(sizeof(*engine));
    engine->loop = loop;
    engine->config = config;
    engine->handler = *handler;
    engine->trace = trace;
    engine->core_trace = core_trace;
    engine->tick_ms = UINT64_MAX;
    int code = open_parts(engine, err);
    if (code != 0) {
        osr_engine_close(engine);
        uv_run(loop, UV_RUN_DEFAULT);
        osr_engine_free(engine);
        return code;
    }
    *ret_engine = engine;
    return 0;
}

void osr_engine_close(struct osr_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    engine->is_closing = true;
    if (engine->has_timer) {
        uv_close((uv_handle_t *)&engine->tick, NULL);
    }
    osr_knowledge_close(engine->knowledge);
    osr_journal_close(engine->journal);
}

void osr_engine_free(struct osr_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    osr_feed_destroy(engine->feed);
    osr_keys_close(engine->keys);
    osr_folder_unlock(engine->lock);
    free(engine->deferred);
    free(engine);
}

bool osr_engine_refuses_writes(const struct osr_engine *engine)
{
    return osr_engine_refuses_updates(engine) ||
           osr_feed_backlog(engine->feed) > OSR_PENDING_BYTES_MAX / 2;
}

bool osr_engine_refuses_updates(const struct osr_engine *engine)
{
    return osr_knowledge_is_busy(engine->knowledge);
}

const struct osr_feed *osr_engine_feed(const struct osr_engine *engine)
{
    return engine->feed;
}

struct osr_journal *osr_engine_journal(struct osr_engine *engine)
{
    return engine->journal;
}

struct osr_knowledge *osr_engine_knowledge(struct osr_engine *engine)
{
    return engine->knowledge;
}

const struct osr_err *osr_engine_storage(const struct osr_engine *engine)
{
    return &engine->storage;
}
