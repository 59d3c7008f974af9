/* The log thread of a simulated instance: batches are appended, synced together and answered, each
 * step after a delay, and the disk may fail in any of them. */
#include "sim/instance_parts.h"

#include <assert.h>
#include <stdlib.h>

enum { SLOWDOWN = 30 }; /* of a slow disk */

/* ---- heads ---- */

size_t sim_log_head_count(const struct sim_log *log)
{
    return log->heads.size / sizeof(struct sim_head);
}

struct sim_head sim_log_head_at(const struct sim_log *log, size_t index)
{
    struct sim_head head;
    memcpy(&head, log->heads.data + index * sizeof(head), sizeof(head));
    return head;
}

void sim_log_add_head(struct sim_log *log, uint64_t sequence, const struct osr_signature *signature)
{
    const struct sim_head head = {sequence, *signature};
    osr_buffer_add(&log->heads, &head, sizeof(head));
}

void sim_log_drop_heads_behind(struct sim_log *log, uint64_t sequence)
{
    while (sim_log_head_count(log) > 0 &&
           sim_log_head_at(log, sim_log_head_count(log) - 1).sequence > sequence) {
        log->heads.size -= sizeof(struct sim_head);
    }
}

uint64_t sim_log_last_head(const struct sim_log *log)
{
    return sim_log_head_count(log) > 0 ? sim_log_head_at(log, sim_log_head_count(log) - 1).sequence
                                       : 0;
}

/* ---- the log thread ---- */

uint32_t sim_log_id(size_t feed)
{
    return (uint32_t)feed + 1;
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
    uint64_t last = osr_wal_last_index(instance->wal, sim_log_id(job->feed));
    if (job->batch.first != last + 1) {
        sim_violation("%s stores from %llu of %s, but its log ends at %llu", instance->name,
                      (unsigned long long)job->batch.first, sim_feed_name(job->feed),
                      (unsigned long long)last);
    }
}

static enum osr_code append_batch(struct sim_instance *instance, struct sim_job *job)
{
    struct sim_log *log = &instance->logs[job->feed];
    check_no_gap(instance, job);
    size_t count = job->batch.count + 2;
    struct osr_wal_record *records = osr_alloc(count * sizeof(*records));
    size_t n = 0;
    uint8_t name[LOG_RECORD_SIZE];
    memcpy(name, job->public_key.bytes, OSR_PUBLIC_KEY_SIZE);
    memcpy(name + OSR_PUBLIC_KEY_SIZE, job->batch.feed.origin, OSR_INSTANCE_CHARS);
    if (!log->named) {
        records[n++] = (struct osr_wal_record){.type = OSR_WAL_LOG,
                                               .log_id = sim_log_id(job->feed),
                                               .payload = osr_slice(name, sizeof(name))};
    }
    bool own = sim_feed_origin(job->feed) == instance->index;
    struct osr_wal_record head = {.type = OSR_WAL_HEAD,
                                  .log_id = sim_log_id(job->feed),
                                  .index = job->head.sequence,
                                  .payload =
                                      osr_slice(&job->head.signature, sizeof(job->head.signature))};
    bool has_head = job->head.sequence > sim_log_last_head(log);
    if (has_head && own && job->head.sequence < job->batch.first) {
        records[n++] = head;
        has_head = false;
    }
    for (size_t i = 0; i < job->batch.count; i++) {
        records[n++] = (struct osr_wal_record){.type = OSR_WAL_ENTRY,
                                               .format = OSR_ENTRY_FORMAT,
                                               .log_id = sim_log_id(job->feed),
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
        if (job->head.sequence > sim_log_last_head(log)) {
            sim_log_add_head(log, job->head.sequence, &job->head.signature);
        }
    }
    return (enum osr_code)code;
}

static enum osr_code append_truncation(struct sim_instance *instance, struct sim_job *job)
{
    struct sim_log *log = &instance->logs[job->feed];
    struct osr_wal_record record = {
        .type = OSR_WAL_TRUNCATE, .log_id = sim_log_id(job->feed), .index = job->sequence};
    struct osr_err err;
    int code = osr_wal_append(instance->wal, &record, 1, &err);
    if (code == 0) {
        log->appended = job->sequence;
        sim_log_drop_heads_behind(log, job->sequence);
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
            instance->jobs[k].doomed |= instance->jobs[k].feed == job->feed;
        }
    }
    instance->jobs_in_group = instance->job_count;
    instance->stage = LOG_SYNC;
    sim_instance_schedule(instance, 20,
                          instance->options.sync_us_max * (instance->slow ? SLOWDOWN : 1),
                          (struct world_event){.type = WORLD_LOG});
}

static void note_synced(struct sim_instance *instance)
{
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
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
    sim_instance_schedule(instance, 5, 200, (struct world_event){.type = WORLD_LOG});
}

void sim_log_begin(struct sim_instance *instance)
{
    if (instance->stage == LOG_IDLE && instance->job_count > 0) {
        instance->stage = LOG_APPEND;
        sim_instance_schedule(instance, 5, 100, (struct world_event){.type = WORLD_LOG});
    }
}

/* While a failure has not been answered, what is put out behind it still counts on it. */
static void doom_behind(struct sim_instance *instance, const struct sim_job *failed)
{
    for (size_t i = 0; i < instance->job_count; i++) {
        instance->jobs[i].doomed |= instance->jobs[i].feed == failed->feed;
    }
}

static void drop_job(struct sim_job *job)
{
    osr_batch_done(&job->batch);
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
        sim_instance_step(instance, &event);
    }
    sim_log_begin(instance);
}

void sim_log_continue(struct sim_instance *instance)
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

/* ---- jobs ---- */

struct sim_job *sim_log_add_job(struct sim_instance *instance)
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

void sim_log_drop_jobs(struct sim_instance *instance)
{
    for (size_t i = 0; i < instance->job_count; i++) {
        drop_job(&instance->jobs[i]);
    }
    instance->job_count = 0;
    instance->jobs_in_group = 0;
}
