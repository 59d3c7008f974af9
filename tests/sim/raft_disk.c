#include "sim/raft_disk.h"

#include "sim/raft_checks.h"
#include "sim/raft_faults.h"
#include "sim/raft_member.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    SLOWDOWN = 30,           /* of a slow disk */
    READ_US_MAX = 3000,      /* of entries and chunks */
    SNAPSHOT_US_MAX = 30000, /* to write a whole one */
    READ_ENTRIES_MAX = 64,   /* given to one FETCH */
};

enum job_type { JOB_STORE, JOB_DISCARD, JOB_INSTALL };

/* What waits for the log thread, and what it has under way. */
struct job {
    enum job_type type;
    uint64_t ticket;
    struct raft_write write;                  /* STORE; the entries are the core's */
    uint64_t index;                           /* DISCARD */
    uint64_t term;                            /* DISCARD */
    const struct osr_raft_snapshot *snapshot; /* INSTALL */
    enum osr_code code;
};

struct raft_disk {
    struct raft_store *store;
    struct job *jobs;
    size_t job_count;
    size_t job_capacity;
    size_t batch; /* of the jobs at the front, those that are written and not yet synced; 0: idle */
    bool is_scheduled; /* a DISK_WRITE is to come */
    bool is_full;
    bool is_slow;
    bool is_failing; /* the next sync, or the one that has just ended this life */
    struct raft_snapshot incoming;
    bool is_incoming_damaged; /* by us */
};

struct raft_fetch {
    uint64_t ticket;
    uint64_t first;
    uint64_t last;
    size_t bytes_max;
};

struct raft_chunk {
    uint64_t ticket;
    uint64_t index;
    uint64_t offset;
    size_t size;
};

struct raft_disk *raft_disk_create(struct raft_wal *wal)
{
    struct raft_disk *disk = osr_alloc(sizeof(*disk));
    disk->store = raft_store_create(wal);
    return disk;
}

void raft_disk_destroy(struct raft_disk *disk)
{
    if (disk != NULL) {
        raft_store_destroy(disk->store);
        raft_snapshot_done(&disk->incoming);
        free(disk->jobs);
        free(disk);
    }
}

struct raft_store *raft_disk_store_of(struct raft_disk *disk)
{
    return disk->store;
}

void raft_disk_set_full(struct raft_disk *disk, bool is_full)
{
    raft_store_set_full(disk->store, is_full);
    disk->is_full = is_full;
}

void raft_disk_set_slow(struct raft_disk *disk, bool is_slow)
{
    disk->is_slow = is_slow;
}

void raft_disk_set_failing(struct raft_disk *disk, bool is_failing)
{
    disk->is_failing = is_failing;
}

/* ---- the log thread ---- */

static void schedule_work(struct raft_member *member)
{
    struct raft_disk *disk = member->disk;
    if (!disk->is_scheduled && disk->batch == 0 && disk->job_count > 0) {
        disk->is_scheduled = true;
        raft_world_after(member->world, 1, member->world->settings.write_us_max, RAFT_DISK_WRITE,
                         member->place);
    }
}

static void add_job(struct raft_member *member, const struct job *job)
{
    struct raft_disk *disk = member->disk;
    if (disk->job_count == disk->job_capacity) {
        disk->job_capacity = 2 * disk->job_capacity + 8;
        disk->jobs = osr_realloc(disk->jobs, disk->job_capacity * sizeof(disk->jobs[0]));
    }
    disk->jobs[disk->job_count++] = *job;
    schedule_work(member);
}

static void write_discard(struct raft_disk *disk, const struct job *job)
{
    const struct raft_log *log = &raft_store_seen(disk->store)->log;
    if (job->index <= log->base) {
        return;
    }
    if (!raft_log_has(log, job->index) || raft_log_term(log, job->index) != job->term) {
        sim_violation("what is discarded up to %" PRIu64 " is not in the log", job->index);
    }
    if (job->index > raft_store_snapshot(disk->store)->meta.index) {
        sim_violation("entries up to %" PRIu64 " are discarded, and the snapshot ends at %" PRIu64,
                      job->index, raft_store_snapshot(disk->store)->meta.index);
    }
    raft_store_rebase(disk->store, job->index, job->term, raft_log_chain(log, job->index), false);
}

/* Takes all that waits, up to an INSTALL: what is behind that is written into another log. */
static void write_batch(struct raft_member *member)
{
    struct raft_world *world = member->world;
    struct raft_disk *disk = member->disk;
    bool has_failed = false;
    disk->is_scheduled = false;
    while (disk->batch < disk->job_count) {
        struct job *job = &disk->jobs[disk->batch++];
        if (job->type == JOB_INSTALL) {
            break;
        }
        if (job->type == JOB_DISCARD) {
            write_discard(disk, job);
            continue;
        }
        has_failed = has_failed || (disk->is_full && raft_chance(world, 0.3)) ||
                     raft_store_write(disk->store, &job->write) != OSR_OK;
        job->code = has_failed ? OSR_DISK_FULL : OSR_OK;
    }
    uint64_t slowest = world->settings.sync_us_max * (disk->is_slow ? SLOWDOWN : 1);
    raft_world_after(world, slowest / 8 + 1, slowest + 1, RAFT_DISK_SYNC, member->place);
}

static void answer_store(struct raft_member *member, const struct job *job)
{
    if (job->code != OSR_OK) {
        member->world->counters.stores_refused++;
    }
    struct osr_raft_event event = {.type = OSR_RAFT_STORED,
                                   .stored = {.ticket = job->ticket, .code = job->code}};
    raft_member_step(member, &event);
    if (job->code != OSR_OK && job->write.count > 0 && raft_member_leads(member)) {
        sim_violation("m%" PRIu64 " leads on, and there was no room for its entries", member->id);
    }
}

/* OK, CORRUPT where it was damaged on the way to the disk, or DISK_FULL. */
static enum osr_code install(struct raft_member *member, const struct job *job)
{
    struct raft_disk *disk = member->disk;
    struct raft_state state;
    disk->incoming.meta = *job->snapshot;
    if (!raft_state_load(&state, &disk->incoming)) {
        if (!disk->is_incoming_damaged) {
            sim_violation("m%" PRIu64 " is to install a snapshot at %" PRIu64
                          " that is not the bytes of one",
                          member->id, job->snapshot->index);
        }
        return OSR_CORRUPT;
    }
    if (raft_store_rebase(disk->store, state.applied, state.term, state.chain, true) != OSR_OK) {
        return OSR_DISK_FULL;
    }
    raft_checks_install(member->world->checks, member, &state);
    raft_store_put_snapshot(disk->store, &disk->incoming);
    raft_store_sync(disk->store);
    member->state = state;
    member->world->counters.snapshots_installed++;
    return OSR_OK;
}

static void answer(struct raft_member *member, const struct job *job)
{
    if (job->type == JOB_STORE) {
        answer_store(member, job);
    } else if (job->type == JOB_INSTALL) {
        struct osr_raft_event event = {
            .type = OSR_RAFT_INSTALLED,
            .installed = {.ticket = job->ticket, .code = install(member, job)}};
        raft_member_step(member, &event);
    }
}

/* No room for one: nor for what was put out behind it, until the core knows. */
static void refuse_stores(struct raft_member *member)
{
    struct raft_disk *disk = member->disk;
    uint64_t after = UINT64_MAX;
    for (size_t i = 0; i < disk->job_count; i++) {
        struct job *job = &disk->jobs[i];
        if (job->type == JOB_STORE) {
            job->code = OSR_DISK_FULL;
            after = job->write.count > 0 && job->write.entries[0].index <= after
                        ? job->write.entries[0].index - 1
                        : after;
        }
    }
    disk->batch = disk->job_count;
    raft_checks_refused(member->world->checks, member, after);
}

static void finish_batch(struct raft_member *member)
{
    struct raft_disk *disk = member->disk;
    uint32_t life = member->life;
    bool has_failed = false;
    if (disk->is_failing) {
        member->world->counters.lost_syncs++;
        raft_faults_crash(member->world, member);
        return;
    }
    raft_store_sync(disk->store);
    /* What the answers bring about comes behind, and is no part of the batch. */
    while (disk->batch > 0) {
        if (disk->jobs[0].code != OSR_OK && !has_failed) {
            has_failed = true;
            refuse_stores(member);
        }
        struct job job = disk->jobs[0];
        disk->batch--;
        memmove(disk->jobs, disk->jobs + 1, --disk->job_count * sizeof(disk->jobs[0]));
        answer(member, &job);
        if (member->life != life || !raft_member_is_up(member)) {
            return;
        }
    }
    schedule_work(member);
}

/* ---- beside it ---- */

static void *copy(const void *data, size_t size)
{
    void *bytes = osr_alloc_unset(size);
    memcpy(bytes, data, size);
    return bytes;
}

static void fetch_later(struct raft_member *member, const struct osr_raft_output *output)
{
    const struct raft_fetch fetch = {output->fetch.ticket, output->fetch.first, output->fetch.last,
                                     output->fetch.bytes_max};
    member->world->counters.fetches++;
    raft_world_after(member->world, 10, READ_US_MAX, RAFT_FETCHED, member->place)->body =
        copy(&fetch, sizeof(fetch));
}

static size_t read_entries(const struct raft_log *log, const struct raft_fetch *fetch,
                           struct osr_raft_entry *entries)
{
    size_t count = 0;
    size_t bytes = 0;
    for (uint64_t index = fetch->first; index <= fetch->last && count < READ_ENTRIES_MAX; index++) {
        const struct raft_log_entry *entry = raft_log_find(log, index);
        if (entry == NULL || (count > 0 && bytes + entry->payload->size > fetch->bytes_max)) {
            break;
        }
        bytes += entry->payload->size;
        entries[count++] = (struct osr_raft_entry){
            .index = index,
            .term = entry->term,
            .kind = entry->kind,
            .payload = osr_slice(entry->payload->bytes, entry->payload->size)};
    }
    return count;
}

static void give_entries(struct raft_member *member, const struct raft_fetch *fetch)
{
    struct osr_raft_entry entries[READ_ENTRIES_MAX];
    const struct raft_log *log = &raft_store_seen(member->disk->store)->log;
    bool has_failed = !member->world->is_quiet && raft_chance(member->world, 0.02);
    raft_store_compare(member->disk->store, fetch->first);
    struct osr_raft_event event = {
        .type = OSR_RAFT_FETCHED,
        .fetched = {.ticket = fetch->ticket,
                    .entries = entries,
                    .count = has_failed ? 0 : read_entries(log, fetch, entries)}};
    raft_member_step(member, &event);
}

static void read_chunk_later(struct raft_member *member, const struct osr_raft_output *output)
{
    const struct raft_chunk chunk = {output->read_chunk.ticket, output->read_chunk.index,
                                     output->read_chunk.offset, output->read_chunk.size};
    member->world->counters.chunks++;
    raft_world_after(member->world, 10, READ_US_MAX, RAFT_CHUNK_READ, member->place)->body =
        copy(&chunk, sizeof(chunk));
}

/* Fails where the snapshot has been replaced meanwhile. */
static void give_chunk(struct raft_member *member, const struct raft_chunk *chunk)
{
    const struct raft_snapshot *snapshot = raft_store_snapshot(member->disk->store);
    struct osr_raft_event event = {.type = OSR_RAFT_CHUNK_READ,
                                   .chunk_read = {.ticket = chunk->ticket}};
    if (snapshot->meta.index == chunk->index) {
        if (chunk->size == 0 || chunk->offset + chunk->size > snapshot->bytes.size) {
            sim_violation("m%" PRIu64 " reads %zu bytes at %" PRIu64 " of a snapshot of %zu",
                          member->id, chunk->size, chunk->offset, snapshot->bytes.size);
        }
        event.chunk_read.chunk = osr_slice(snapshot->bytes.data + chunk->offset, chunk->size);
    }
    raft_member_step(member, &event);
}

static void write_chunk(struct raft_member *member, const struct osr_raft_output *output)
{
    struct raft_world *world = member->world;
    struct raft_disk *disk = member->disk;
    struct osr_slice chunk = output->write_chunk.chunk;
    if (output->write_chunk.offset == 0) {
        osr_buffer_clear(&disk->incoming.bytes);
        disk->is_incoming_damaged = false;
    }
    if (output->write_chunk.offset != disk->incoming.bytes.size) {
        sim_violation("m%" PRIu64 " writes a chunk at %" PRIu64 " behind %zu bytes", member->id,
                      output->write_chunk.offset, disk->incoming.bytes.size);
    }
    bool is_refused = disk->is_full && raft_chance(world, 0.3);
    if (!is_refused) {
        osr_buffer_add(&disk->incoming.bytes, chunk.data, chunk.size);
    }
    if (!world->is_quiet && disk->incoming.bytes.size > 0 && raft_chance(world, 0.01)) {
        disk->is_incoming_damaged = true;
        disk->incoming.bytes.data[disk->incoming.bytes.size - 1] ^= 1;
        world->counters.snapshots_damaged++;
    }
    struct raft_happening *written =
        raft_world_after(world, 10, READ_US_MAX, RAFT_CHUNK_WRITTEN, member->place);
    written->number = output->write_chunk.ticket;
    written->second = is_refused ? OSR_DISK_FULL : OSR_OK;
}

void raft_disk_make_snapshot(struct raft_member *member)
{
    struct raft_world *world = member->world;
    struct raft_snapshot *snapshot = osr_alloc(sizeof(*snapshot));
    member->is_making_snapshot = true;
    raft_state_save(&member->state, osr_random_u64(&world->random), world->settings.ballast_max / 4,
                    snapshot);
    raft_world_after(world, 100, SNAPSHOT_US_MAX, RAFT_SNAPSHOT_MADE, member->place)->body =
        snapshot;
}

static void finish_snapshot(struct raft_member *member, const struct raft_snapshot *snapshot)
{
    member->is_making_snapshot = false;
    if (snapshot->meta.index <= raft_store_snapshot(member->disk->store)->meta.index) {
        return; /* another was installed */
    }
    raft_store_put_snapshot(member->disk->store, snapshot);
    member->world->counters.snapshots_made++;
    const struct osr_raft_snapshot made = {.index = snapshot->meta.index,
                                           .size = snapshot->meta.size,
                                           .checksum = snapshot->meta.checksum};
    struct osr_raft_event event = {.type = OSR_RAFT_SNAPSHOT_MADE, .snapshot_made = &made};
    raft_member_step(member, &event);
}

/* ---- in and out ---- */

void raft_disk_carry_out(struct raft_member *member, const struct osr_raft_output *output)
{
    switch (output->type) {
    case OSR_RAFT_OUT_STORE:
        add_job(member, &(struct job){.type = JOB_STORE,
                                      .ticket = output->store.ticket,
                                      .write = {.has_vote = output->store.has_vote,
                                                .vote = output->store.vote,
                                                .truncate_after = output->store.truncate_after,
                                                .entries = output->store.entries,
                                                .count = output->store.count}});
        break;
    case OSR_RAFT_OUT_DISCARD:
        add_job(member, &(struct job){.type = JOB_DISCARD,
                                      .index = output->discard.index,
                                      .term = output->discard.term});
        break;
    case OSR_RAFT_OUT_INSTALL:
        add_job(member, &(struct job){.type = JOB_INSTALL,
                                      .ticket = output->install.ticket,
                                      .snapshot = output->install.snapshot});
        break;
    case OSR_RAFT_OUT_FETCH:
        fetch_later(member, output);
        break;
    case OSR_RAFT_OUT_READ_CHUNK:
        read_chunk_later(member, output);
        break;
    case OSR_RAFT_OUT_WRITE_CHUNK:
        write_chunk(member, output);
        break;
    default:
        assert(false);
    }
}

void raft_disk_handle(struct raft_member *member, const struct raft_happening *happening)
{
    switch (happening->type) {
    case RAFT_DISK_WRITE:
        write_batch(member);
        break;
    case RAFT_DISK_SYNC:
        finish_batch(member);
        break;
    case RAFT_FETCHED:
        give_entries(member, happening->body);
        break;
    case RAFT_CHUNK_READ:
        give_chunk(member, happening->body);
        break;
    case RAFT_CHUNK_WRITTEN: {
        struct osr_raft_event event = {.type = OSR_RAFT_CHUNK_WRITTEN,
                                       .chunk_written = {.ticket = happening->number,
                                                         .code = (enum osr_code)happening->second}};
        raft_member_step(member, &event);
        break;
    }
    case RAFT_SNAPSHOT_MADE:
        finish_snapshot(member, happening->body);
        break;
    default:
        assert(false);
    }
}

/* It may have come between a snapshot's own durability and that of the log behind it. */
static void crash_in_install(struct raft_member *member)
{
    struct raft_disk *disk = member->disk;
    const struct job *job = disk->batch > 0 ? &disk->jobs[disk->batch - 1] : NULL;
    if (job != NULL && job->type == JOB_INSTALL && raft_chance(member->world, 0.3)) {
        struct raft_state state;
        disk->incoming.meta = *job->snapshot;
        if (raft_state_load(&state, &disk->incoming)) {
            raft_store_sync(disk->store); /* comes before it */
            raft_store_put_snapshot(disk->store, &disk->incoming);
        }
    }
}

void raft_disk_crash(struct raft_member *member, bool is_power_cut)
{
    struct raft_disk *disk = member->disk;
    struct raft_counters *counters = &member->world->counters;
    struct osr_random *random = &member->world->random;
    if (disk->is_failing) {
        counters->torn_tails += raft_store_lose_sync(disk->store, is_power_cut, random);
        disk->is_failing = false;
    } else {
        crash_in_install(member);
        if (is_power_cut) {
            counters->torn_tails += raft_store_cut_power(disk->store, random);
        } else {
            counters->rotten_tails += raft_store_kill(disk->store, random);
        }
    }
    disk->job_count = 0;
    disk->batch = 0;
    disk->is_scheduled = false;
    osr_buffer_clear(&disk->incoming.bytes);
}
