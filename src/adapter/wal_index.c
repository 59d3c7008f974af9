#include "adapter/wal_index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_segment.h"
#include "adapter/wal_void.h"
#include "base/map.h"

/* A segment is rewritten for no less than a block of the file system. */
enum { VOID_BYTES_LEAST = 4 << 10 };

struct segment {
    struct osr_wal_places places;
    uint64_t void_bytes; /* of records that are there and void; never too many */
};

struct osr_wal_index {
    struct segment *segments;
    size_t segment_count;
    uint64_t last_ordinal;
    uint64_t published;         /* ordinal */
    uint64_t voided_by;         /* ordinal */
    struct osr_map *logs;       /* id -> struct osr_wal_log */
    struct osr_wal_log *newest; /* the log that was added to last: most often the next one too */
};

struct osr_wal_index *osr_wal_index_create(uint64_t seed)
{
    struct osr_wal_index *index = osr_alloc(sizeof(*index));

    index->logs = osr_map_create(seed);
    return index;
}

void osr_wal_index_destroy(struct osr_wal_index *index)
{
    struct osr_slice id;
    size_t cursor = 0;
    void *value;

    if (index == NULL) {
        return;
    }
    while (osr_map_next(index->logs, &cursor, &id, &value)) {
        osr_wal_log_done(value);
        free(value);
    }
    osr_map_destroy(index->logs);
    for (size_t i = 0; i < index->segment_count; i++) {
        osr_wal_places_done(&index->segments[i].places);
    }
    free(index->segments);
    free(index);
}

/* Logs. */

static struct osr_wal_log *find_log(const struct osr_wal_index *index, uint32_t id)
{
    if (index->newest != NULL && index->newest->id == id) {
        return index->newest;
    }
    return osr_map_get(index->logs, osr_slice(&id, sizeof(id)));
}

static struct osr_wal_log *need_log(struct osr_wal_index *index, uint32_t id)
{
    struct osr_wal_log *log = find_log(index, id);

    if (log == NULL) {
        log = osr_alloc(sizeof(*log));
        log->id = id;
        osr_map_put(index->logs, osr_slice(&id, sizeof(id)), log);
    }
    index->newest = log;
    return log;
}

/* Segments. */

void osr_wal_index_begin_segment(struct osr_wal_index *index)
{
    if (index->segment_count > 0) {
        osr_wal_places_complete(&index->segments[index->segment_count - 1].places);
    }
    index->segments =
        osr_realloc(index->segments, (index->segment_count + 1) * sizeof(*index->segments));
    index->segments[index->segment_count] = (struct segment){0};
    osr_wal_places_init(&index->segments[index->segment_count].places, index->last_ordinal + 1);
    index->segment_count++;
}

/* The last segment that begins at or before the ordinal. */
static size_t segment_of(const struct osr_wal_index *index, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = index->segment_count - 1;

    assert(ordinal > 0 && ordinal <= index->last_ordinal);
    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (index->segments[middle].places.first <= ordinal) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* Takes note of void records, segment by segment. */
static void note_voided(void *context, uint64_t ordinal, uint64_t count)
{
    struct osr_wal_index *index = context;

    while (count > 0) {
        struct segment *segment = &index->segments[segment_of(index, ordinal)];
        uint64_t rest = segment->places.next - ordinal;
        uint64_t here = count < rest ? count : rest;
        segment->void_bytes += osr_wal_places_bytes(&segment->places, ordinal, here);
        ordinal += here;
        count -= here;
    }
}

struct osr_wal_place osr_wal_index_locate(const struct osr_wal_index *index, uint64_t ordinal,
                                          size_t *ret_segment)
{
    *ret_segment = segment_of(index, ordinal);
    return osr_wal_places_locate(&index->segments[*ret_segment].places, ordinal);
}

/* Growing. */

static int refuse(const struct osr_wal_index *index, const struct osr_wal_record *record,
                  const char *what, uint64_t number, struct osr_err *err)
{
    return (int)osr_err_set(
        err, OSR_CORRUPT, "%s %" PRIu64 " of log %" PRIu32 " follows entry %" PRIu64, what, number,
        record->log_id, osr_wal_index_last_index(index, record->log_id));
}

static bool goes_on(const struct osr_wal_index *index, uint32_t log_id, uint64_t entry)
{
    const struct osr_wal_log *log = find_log(index, log_id);

    return log == NULL ? entry > 0 : osr_wal_log_goes_on(log, entry);
}

static int check_void(const struct osr_wal_index *index, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    if (!osr_wal_void_is_sound(record)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "a record of void ones makes no sense");
    }
    for (size_t i = 0; i < osr_wal_void_hole_count(record); i++) {
        struct osr_wal_hole hole = osr_wal_void_hole(record, i);
        struct osr_wal_record entry = {.log_id = hole.log_id};
        if (!goes_on(index, hole.log_id, hole.first)) {
            return refuse(index, &entry, "void entry", hole.first, err);
        }
    }
    return 0;
}

int osr_wal_index_check(const struct osr_wal_index *index, const struct osr_wal_record *record,
                        struct osr_err *err)
{
    switch (record->type) {
    case OSR_WAL_FACT:
    case OSR_WAL_LOG:
    case OSR_WAL_TRUNCATE:
    case OSR_WAL_VOTE:
    case OSR_WAL_BASE:
        return 0;
    case OSR_WAL_ENTRY:
        return goes_on(index, record->log_id, record->index)
                   ? 0
                   : refuse(index, record, "entry", record->index, err);
    case OSR_WAL_HEAD:
        return record->index > osr_wal_index_base_index(index, record->log_id) &&
                       record->index <= osr_wal_index_last_index(index, record->log_id)
                   ? 0
                   : refuse(index, record, "head", record->index, err);
    default:
        break;
    }
    if (record->type == OSR_RECORD_VOID) {
        return check_void(index, record, err);
    }
    return (int)osr_err_set(err, OSR_CORRUPT, "a record has type %d", (int)record->type);
}

/* Its entries count as if they were there, until what voided them is met again. */
static void add_void(struct osr_wal_index *index, struct osr_wal_record *record, uint64_t begin,
                     uint64_t end)
{
    struct osr_wal_places *places = &index->segments[index->segment_count - 1].places;

    record->ordinal = index->last_ordinal + 1;
    index->last_ordinal += record->index;
    osr_wal_places_add_void(places, record->index, begin, end);
    for (size_t i = 0; i < osr_wal_void_hole_count(record); i++) {
        struct osr_wal_hole hole = osr_wal_void_hole(record, i);
        osr_wal_log_add_entries(need_log(index, hole.log_id), hole.first, hole.count,
                                record->ordinal);
    }
}

static void act_on(struct osr_wal_index *index, const struct osr_wal_record *record)
{
    struct osr_wal_log *log = need_log(index, record->log_id);

    switch (record->type) {
    case OSR_WAL_ENTRY:
        osr_wal_log_add_entries(log, record->index, 1, record->ordinal);
        break;
    case OSR_WAL_HEAD:
        osr_wal_log_add_head(log, record->index, record->ordinal);
        break;
    case OSR_WAL_TRUNCATE:
        osr_wal_log_truncate(log, record->index, note_voided, index);
        index->voided_by = record->ordinal;
        break;
    case OSR_WAL_VOTE:
        osr_wal_log_vote(log, record->ordinal, note_voided, index);
        index->voided_by = record->ordinal;
        break;
    case OSR_WAL_BASE:
        osr_wal_log_raise_base(log, record->index, note_voided, index);
        index->voided_by = record->ordinal;
        break;
    case OSR_WAL_FACT:
    case OSR_WAL_LOG:
        break;
    }
}

void osr_wal_index_add(struct osr_wal_index *index, struct osr_wal_record *record, uint64_t begin,
                       uint64_t end)
{
    if (record->type == OSR_RECORD_VOID) {
        add_void(index, record, begin, end);
        return;
    }
    record->ordinal = ++index->last_ordinal;
    osr_wal_places_add(&index->segments[index->segment_count - 1].places, begin, end);
    if (record->type != OSR_WAL_FACT && record->type != OSR_WAL_LOG) {
        act_on(index, record);
    }
}

void osr_wal_index_publish(struct osr_wal_index *index)
{
    index->published = index->last_ordinal;
}

/* The first ordinal from this one on that has a record; one above the last where there is none. */
static uint64_t skip_voids(const struct osr_wal_index *index, uint64_t ordinal)
{
    while (ordinal <= index->last_ordinal) {
        const struct osr_wal_places *places = &index->segments[segment_of(index, ordinal)].places;
        ordinal = osr_wal_places_skip_voids(places, ordinal);
        if (ordinal < places->next) {
            break;
        }
    }
    return ordinal;
}

/* Whether all entries of a run have records. */
static bool is_run_there(const struct osr_wal_index *index, uint64_t ordinal, uint64_t count)
{
    uint64_t end = ordinal + count;

    while (ordinal < end) {
        size_t segment = segment_of(index, ordinal);
        const struct osr_wal_places *places = &index->segments[segment].places;
        uint64_t rest = (end < places->next ? end : places->next) - ordinal;
        if (osr_wal_places_has_void(places, ordinal, rest)) {
            return false;
        }
        ordinal += rest;
    }
    return true;
}

int osr_wal_index_check_voids(const struct osr_wal_index *index, struct osr_err *err)
{
    struct osr_slice id;
    size_t cursor = 0;
    void *value;

    while (osr_map_next(index->logs, &cursor, &id, &value)) {
        const struct osr_wal_log *log = value;
        for (size_t i = 0; i < log->runs.count; i++) {
            const struct osr_wal_point *run = &log->runs.items[i];
            if (!is_run_there(index, run->ordinal, osr_wal_log_run_length(log, i))) {
                return (int)osr_err_set(err, OSR_CORRUPT,
                                        "entries of log %" PRIu32 " from %" PRIu64
                                        " on were taken away, and what voided them is not there",
                                        log->id, run->index);
            }
        }
    }
    return 0;
}

/* What is known. */

uint64_t osr_wal_index_last_ordinal(const struct osr_wal_index *index)
{
    return index->last_ordinal;
}

uint64_t osr_wal_index_last_index(const struct osr_wal_index *index, uint32_t log_id)
{
    const struct osr_wal_log *log = find_log(index, log_id);

    return log == NULL ? 0 : log->last;
}

uint64_t osr_wal_index_base_index(const struct osr_wal_index *index, uint32_t log_id)
{
    const struct osr_wal_log *log = find_log(index, log_id);

    return log == NULL ? 0 : log->base;
}

uint64_t osr_wal_index_find(const struct osr_wal_index *index, uint32_t log_id, uint64_t entry)
{
    const struct osr_wal_log *log = find_log(index, log_id);
    uint64_t ordinal = log == NULL ? 0 : osr_wal_log_ordinal(log, entry);

    return ordinal <= index->published ? ordinal : 0;
}

bool osr_wal_index_is_live(const struct osr_wal_index *index, const struct osr_wal_record *record)
{
    const struct osr_wal_log *log = find_log(index, record->log_id);

    switch (record->type) {
    case OSR_WAL_ENTRY:
        return log != NULL && osr_wal_log_ordinal(log, record->index) == record->ordinal;
    case OSR_WAL_HEAD:
        return log != NULL && osr_wal_log_has_head(log, record->ordinal);
    case OSR_WAL_VOTE:
        return log != NULL && log->vote == record->ordinal;
    default:
        return true;
    }
}

/* Walking. */

void osr_wal_walk_all(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint64_t from)
{
    *walk = (struct osr_wal_walk){.index = index, .ordinal = from > 0 ? from : 1};
}

void osr_wal_walk_log(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint32_t log_id,
                      uint64_t from)
{
    const struct osr_wal_log *log = find_log(index, log_id);

    *walk = (struct osr_wal_walk){.index = index, .ordinal = UINT64_MAX};
    if (log != NULL) {
        walk->of_log = osr_wal_log_walk_from(log, from);
    }
}

static uint64_t next_of_all(struct osr_wal_walk *walk)
{
    uint64_t ordinal = skip_voids(walk->index, walk->ordinal);

    if (ordinal <= walk->index->published) {
        walk->ordinal = ordinal + 1;
    }
    return ordinal;
}

uint64_t osr_wal_walk_next(struct osr_wal_walk *walk)
{
    uint64_t ordinal =
        walk->of_log.log != NULL ? osr_wal_log_walk_next(&walk->of_log) : next_of_all(walk);

    return ordinal <= walk->index->published ? ordinal : 0;
}

/* Compaction. */

uint64_t osr_wal_index_voided_by(const struct osr_wal_index *index)
{
    return index->voided_by;
}

bool osr_wal_index_pick(const struct osr_wal_index *index, size_t *ret_segment)
{
    uint64_t most = 0;

    for (size_t i = 0; i + 1 < index->segment_count; i++) {
        const struct segment *segment = &index->segments[i];
        uint64_t bytes = segment->places.end - OSR_SEGMENT_FIRST_OFFSET;
        if (segment->void_bytes >= VOID_BYTES_LEAST && segment->void_bytes >= bytes / 2 &&
            segment->void_bytes > most) {
            most = segment->void_bytes;
            *ret_segment = i;
        }
    }
    return most > 0;
}

struct osr_wal_places osr_wal_index_places(const struct osr_wal_index *index, size_t segment)
{
    assert(segment + 1 < index->segment_count);
    return index->segments[segment].places;
}

void osr_wal_index_exchange(struct osr_wal_index *index, size_t segment,
                            struct osr_wal_places *places)
{
    struct osr_wal_places old = index->segments[segment].places;

    assert(old.first == places->first && old.next == places->next);
    index->segments[segment].places = *places;
    *places = old;
}

void osr_wal_index_write_off(struct osr_wal_index *index, size_t segment, uint64_t bytes)
{
    uint64_t *counted = &index->segments[segment].void_bytes;

    /* Fewer were counted where a MARK came behind a record after that was void. */
    *counted -= bytes < *counted ? bytes : *counted;
}
