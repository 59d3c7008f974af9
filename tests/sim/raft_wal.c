#include "sim/raft_wal.h"

#include "adapter/wal.h"
#include "lib/sim_disk.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    LOG_ID = 1,
    FORMAT = 1,
    SEGMENT_BYTES = 16 << 10,
    SEGMENT_HEAD_BYTES = 4096,
    PATH_BYTES_MAX = 64,
    TAIL_BYTES = 8, /* no record is shorter */
    COMPACTED = 8,  /* how many syncs lie between two compactions, if there is anything to do */
    /* Content of a record: */
    ENTRY_BYTES = 8 + 1, /* term, kind, and the payload behind */
    PAIR_BYTES = 8 + 8,  /* of VOTE: term, candidate; of BASE: term, chain value */
};

struct raft_wal {
    struct osr_sim_disk *disk;
    struct osr_wal *log;
    uint64_t seed;
    uint64_t syncs;
    struct osr_buffer bytes; /* scratch: what records are made of */
};

static int skip_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)context;
    (void)record;
    (void)err;
    return 0;
}

static int open_log(struct raft_wal *wal, osr_wal_visit *visit, void *context, struct osr_err *err)
{
    const struct osr_wal_options options = {.segment_bytes_min = SEGMENT_BYTES,
                                            .segment_bytes_max = SEGMENT_BYTES,
                                            .seed = wal->seed++};
    return osr_wal_open(osr_sim_disk_port(wal->disk), "log", &options, visit, context, &wal->log,
                        err);
}

struct raft_wal *raft_wal_create(uint64_t seed)
{
    struct raft_wal *wal = osr_alloc(sizeof(*wal));
    struct osr_err err;
    wal->disk = osr_sim_disk_create(seed);
    wal->seed = seed;
    if (open_log(wal, skip_record, NULL, &err) != 0) {
        sim_violation("a log cannot be made: %s", err.message);
    }
    return wal;
}

void raft_wal_destroy(struct raft_wal *wal)
{
    if (wal != NULL) {
        osr_wal_close(wal->log);
        osr_sim_disk_destroy(wal->disk);
        osr_buffer_done(&wal->bytes);
        free(wal);
    }
}

void raft_wal_set_full(struct raft_wal *wal, bool is_full)
{
    osr_sim_disk_set_capacity(wal->disk, is_full ? osr_sim_disk_used(wal->disk) : UINT64_MAX);
}

/* ---- writing ---- */

static enum osr_code append(struct raft_wal *wal, struct osr_wal_record *records, size_t count)
{
    struct osr_err err;
    int code = osr_wal_append(wal->log, records, count, &err);
    if (code != 0 && code != OSR_DISK_FULL) {
        sim_violation("the log does not take %zu records: %s", count, err.message);
    }
    return (enum osr_code)code;
}

/* Two numbers behind what stands in `bytes`, which has room for them. */
static struct osr_slice add_pair(struct osr_buffer *bytes, uint64_t first, uint64_t second)
{
    size_t at = bytes->size;
    assert(bytes->capacity - bytes->size >= PAIR_BYTES);
    osr_buffer_add_u64(bytes, first);
    osr_buffer_add_u64(bytes, second);
    return osr_slice(bytes->data + at, PAIR_BYTES);
}

static struct osr_slice add_entry(struct osr_buffer *bytes, const struct osr_raft_entry *entry)
{
    size_t at = bytes->size;
    assert(bytes->capacity - bytes->size >= ENTRY_BYTES + entry->payload.size);
    osr_buffer_add_u64(bytes, entry->term);
    osr_buffer_add_u8(bytes, (uint8_t)entry->kind);
    osr_buffer_add(bytes, entry->payload.data, entry->payload.size);
    return osr_slice(bytes->data + at, bytes->size - at);
}

static struct osr_wal_record record_of(enum osr_wal_type type, uint64_t index,
                                       struct osr_slice payload)
{
    return (struct osr_wal_record){
        .type = type, .format = FORMAT, .log_id = LOG_ID, .index = index, .payload = payload};
}

enum osr_code raft_wal_write(struct raft_wal *wal, const struct raft_write *write)
{
    struct osr_wal_record *records = osr_alloc((write->count + 2) * sizeof(*records));
    size_t bytes = PAIR_BYTES;
    size_t count = 0;
    for (size_t i = 0; i < write->count; i++) {
        bytes += ENTRY_BYTES + write->entries[i].payload.size;
    }
    osr_buffer_clear(&wal->bytes);
    osr_buffer_reserve(&wal->bytes, bytes);
    if (write->has_vote) {
        records[count++] =
            record_of(OSR_WAL_VOTE, write->vote.term,
                      add_pair(&wal->bytes, write->vote.term, write->vote.candidate));
    }
    if (write->truncate_after != UINT64_MAX) {
        records[count++] = record_of(OSR_WAL_TRUNCATE, write->truncate_after, osr_slice(NULL, 0));
    }
    for (size_t i = 0; i < write->count; i++) {
        const struct osr_raft_entry *entry = &write->entries[i];
        records[count++] = record_of(OSR_WAL_ENTRY, entry->index, add_entry(&wal->bytes, entry));
    }
    enum osr_code code = append(wal, records, count);
    free(records);
    return code;
}

enum osr_code raft_wal_truncate(struct raft_wal *wal, uint64_t after)
{
    struct osr_wal_record record = record_of(OSR_WAL_TRUNCATE, after, osr_slice(NULL, 0));
    return append(wal, &record, 1);
}

enum osr_code raft_wal_rebase(struct raft_wal *wal, uint64_t index, uint64_t term, uint64_t chain)
{
    osr_buffer_clear(&wal->bytes);
    osr_buffer_reserve(&wal->bytes, PAIR_BYTES);
    struct osr_wal_record record =
        record_of(OSR_WAL_BASE, index, add_pair(&wal->bytes, term, chain));
    return append(wal, &record, 1);
}

void raft_wal_sync(struct raft_wal *wal)
{
    struct osr_err err;
    if (osr_wal_sync(wal->log, &err) != 0 || osr_wal_mark(wal->log, &err) != 0) {
        sim_violation("the log cannot be synced: %s", err.message);
    }
    if (++wal->syncs % COMPACTED == 0 && osr_wal_is_compactable(wal->log)) {
        int code = osr_wal_compact(wal->log, &err);
        if (code != 0 && code != OSR_DISK_FULL) {
            sim_violation("the log cannot be compacted: %s", err.message);
        }
    }
}

/* ---- reading ---- */

static struct osr_raft_entry entry_of(const struct osr_wal_record *record)
{
    assert(record->payload.size >= ENTRY_BYTES);
    return (struct osr_raft_entry){
        .index = record->index,
        .term = osr_get_u64(record->payload.data),
        .kind = (enum osr_raft_kind)record->payload.data[8],
        .payload =
            osr_slice(record->payload.data + ENTRY_BYTES, record->payload.size - ENTRY_BYTES),
    };
}

/* What is read at open. The log may have let go of entries before the record comes that voids
 * them: so only at the end they must be without a gap. */
struct found {
    struct raft_image *image;
    struct osr_buffer entries; /* of struct osr_raft_entry, by index; payloads are copies */
};

static size_t count_found(const struct found *found)
{
    return found->entries.size / sizeof(struct osr_raft_entry);
}

static struct osr_raft_entry *found_at(const struct found *found, size_t place)
{
    return (struct osr_raft_entry *)(void *)found->entries.data + place;
}

static void forget_behind(struct found *found, uint64_t index)
{
    while (count_found(found) > 0 && found_at(found, count_found(found) - 1)->index > index) {
        found->entries.size -= sizeof(struct osr_raft_entry);
        free((void *)found_at(found, count_found(found))->payload.data);
    }
}

static void add_found(struct found *found, const struct osr_wal_record *record)
{
    struct osr_raft_entry entry = entry_of(record);
    uint8_t *copy = osr_alloc_unset(entry.payload.size + 1);
    memcpy(copy, entry.payload.data, entry.payload.size);
    entry.payload.data = copy;
    osr_buffer_add(&found->entries, &entry, sizeof(entry));
}

static int see_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    struct found *found = context;
    const uint8_t *bytes = record->payload.data;
    switch (record->type) {
    case OSR_WAL_VOTE:
        found->image->vote = (struct osr_raft_vote){osr_get_u64(bytes), osr_get_u64(bytes + 8)};
        break;
    case OSR_WAL_TRUNCATE:
        forget_behind(found, record->index);
        break;
    case OSR_WAL_BASE:
        raft_log_rebase(&found->image->log, record->index, osr_get_u64(bytes),
                        osr_get_u64(bytes + 8));
        break;
    case OSR_WAL_ENTRY:
        add_found(found, record);
        break;
    default:
        sim_violation("the log gives a record of type %d", (int)record->type);
    }
    return 0;
}

static void fill_log(const struct found *found)
{
    struct raft_log *log = &found->image->log;
    for (size_t i = 0; i < count_found(found); i++) {
        const struct osr_raft_entry *entry = found_at(found, i);
        if (entry->index <= log->base) {
            continue;
        }
        if (entry->index != raft_log_last(log) + 1) {
            sim_violation("the log gives entry %" PRIu64 " behind %" PRIu64, entry->index,
                          raft_log_last(log));
        }
        struct raft_block *payload = raft_block_create(entry->payload);
        raft_log_append(log, entry, payload);
        raft_block_release(payload);
    }
}

enum osr_code raft_wal_open(struct raft_wal *wal, struct raft_image *ret_image)
{
    struct found found = {.image = ret_image};
    struct osr_err err;
    int code = open_log(wal, see_record, &found, &err);
    if (code == 0) {
        fill_log(&found);
    } else if (code != OSR_CORRUPT) {
        sim_violation("the log does not open: %s", err.message);
    }
    forget_behind(&found, 0);
    osr_buffer_done(&found.entries);
    return (enum osr_code)code;
}

struct comparison {
    const struct raft_log *log;
    uint64_t next;
};

static int compare_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    struct comparison *comparison = context;
    const struct raft_log_entry *known = raft_log_find(comparison->log, comparison->next);
    const struct osr_raft_entry entry = entry_of(record);
    if (known == NULL || entry.index != comparison->next || entry.term != known->term ||
        entry.kind != known->kind ||
        !osr_slice_equal(entry.payload, osr_slice(known->payload->bytes, known->payload->size))) {
        sim_violation("the log gives another entry %" PRIu64 " than was written", entry.index);
    }
    comparison->next++;
    return 0;
}

void raft_wal_compare(struct raft_wal *wal, const struct raft_log *log, uint64_t first)
{
    struct comparison comparison = {log, first};
    struct osr_err err;
    int code = osr_wal_read(wal->log, LOG_ID, first, compare_record, &comparison, &err);
    if (code == OSR_NOT_FOUND && raft_log_find(log, first) == NULL) {
        return;
    }
    if (code != 0 || comparison.next != raft_log_last(log) + 1) {
        sim_violation("the log does not give entry %" PRIu64 ": %s", comparison.next,
                      code != 0 ? err.message : "it is not there");
    }
}

/* ---- crashes ---- */

void raft_wal_lose_sync(struct raft_wal *wal)
{
    struct osr_err err;
    osr_sim_disk_fail_sync(wal->disk, 1);
    int code = osr_wal_sync(wal->log, &err);
    if (code != 0 && code != OSR_IO) {
        sim_violation("a sync that fails is no IO: %s", err.message);
    }
    osr_sim_disk_fail_sync(wal->disk, 0); /* where nothing was to be synced */
}

void raft_wal_crash(struct raft_wal *wal, bool is_power_cut)
{
    struct osr_wal *log = wal->log;
    wal->log = NULL;
    /* Whatever closing writes goes nowhere. */
    osr_sim_disk_crash_at(wal->disk, 1);
    osr_wal_close(log);
    osr_sim_disk_crash_at(wal->disk, 0);
    if (is_power_cut) {
        osr_sim_disk_power_cut(wal->disk);
    } else {
        osr_sim_disk_kill(wal->disk);
    }
}

static void path_of(char *path, uint64_t segment)
{
    snprintf(path, PATH_BYTES_MAX, "log/%010" PRIu64 ".seg", segment);
}

static void see_segment(void *context, const char *name)
{
    uint64_t segment = strtoull(name, NULL, 10);
    if (strstr(name, ".tmp") == NULL) {
        osr_buffer_add(context, &segment, sizeof(segment));
    }
}

/* In order; those that others stand for are not there. To be freed. */
static uint64_t *list_segments(const struct raft_wal *wal, size_t *ret_count)
{
    struct osr_disk *disk = osr_sim_disk_port(wal->disk);
    struct osr_buffer segments = {0};
    disk->ops->list(disk, "log", see_segment, &segments, NULL);
    *ret_count = segments.size / sizeof(uint64_t);
    return (uint64_t *)(void *)segments.data;
}

void raft_wal_rot(struct raft_wal *wal, struct osr_random *random)
{
    char path[PATH_BYTES_MAX];
    size_t count;
    uint64_t *segments = list_segments(wal, &count);
    path_of(path, segments[osr_random_below(random, count)]);
    free(segments);
    size_t size = osr_sim_disk_content(wal->disk, path).size;
    osr_sim_disk_flip(wal->disk, path,
                      SEGMENT_HEAD_BYTES + osr_random_below(random, size - SEGMENT_HEAD_BYTES),
                      (uint8_t)(1 + osr_random_below(random, 255)));
}

void raft_wal_rot_tail(struct raft_wal *wal, struct osr_random *random)
{
    size_t count;
    uint64_t *segments = list_segments(wal, &count);
    bool is_done = false;
    while (!is_done && count > 0) {
        char path[PATH_BYTES_MAX];
        path_of(path, segments[--count]);
        struct osr_slice content = osr_sim_disk_content(wal->disk, path);
        size_t end = content.size;
        while (end > SEGMENT_HEAD_BYTES && content.data[end - 1] == 0) {
            end--;
        }
        if (end > SEGMENT_HEAD_BYTES) {
            osr_sim_disk_flip(wal->disk, path, end - 1 - osr_random_below(random, TAIL_BYTES),
                              (uint8_t)(1 + osr_random_below(random, 255)));
            is_done = true;
        }
    }
    free(segments);
}
