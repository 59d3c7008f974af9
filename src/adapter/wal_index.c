#include "adapter/wal_index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_segment.h"
#include "base/map.h"

struct point {
    uint64_t index;
    uint64_t ordinal;
};

/* Sorted by ordinal. */
struct points {
    struct point *items;
    size_t count;
    size_t capacity;
};

/* One logical log. Invariant: entries have no gaps, so a run ends where the next begins. */
struct osr_wal_log {
    uint32_t id;
    uint64_t last;      /* index of the last entry; 0: none */
    struct points runs; /* the first entry of each: then index and ordinal grow together */
    struct points heads;
};

struct segment {
    uint64_t first;   /* ordinal */
    uint32_t *places; /* of the records, in units of the segment */
    size_t count;
    size_t capacity;
    uint64_t end; /* offset behind the last record */
};

struct osr_wal_index {
    struct segment *segments;
    size_t segment_count;
    uint64_t last_ordinal;
    uint64_t published;         /* ordinal */
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
        struct osr_wal_log *log = value;
        free(log->runs.items);
        free(log->heads.items);
        free(log);
    }
    osr_map_destroy(index->logs);
    for (size_t i = 0; i < index->segment_count; i++) {
        free(index->segments[i].places);
    }
    free(index->segments);
    free(index);
}

static size_t grown(size_t capacity)
{
    return capacity == 0 ? 8 : capacity * 2;
}

static void points_add(struct points *points, uint64_t index, uint64_t ordinal)
{
    if (points->count == points->capacity) {
        points->capacity = grown(points->capacity);
        points->items = osr_realloc(points->items, points->capacity * sizeof(*points->items));
    }
    assert(points->items != NULL);
    points->items[points->count++] = (struct point){index, ordinal};
}

/* The position of the first point with an ordinal of at least `ordinal`. */
static size_t points_from(const struct points *points, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = points->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->items[middle].ordinal < ordinal) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

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

/* The index behind the last entry of a run. */
static uint64_t run_end(const struct osr_wal_log *log, size_t run)
{
    return run + 1 < log->runs.count ? log->runs.items[run + 1].index : log->last + 1;
}

/* The run that holds an entry, which is there. */
static size_t run_of(const struct osr_wal_log *log, uint64_t entry)
{
    size_t low = 0;
    size_t high = log->runs.count - 1;

    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (log->runs.items[middle].index <= entry) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

/* 0: no such entry. */
static uint64_t ordinal_of(const struct osr_wal_log *log, uint64_t entry)
{
    const struct point *run;

    if (log == NULL || log->runs.count == 0 || entry < log->runs.items[0].index ||
        entry > log->last) {
        return 0;
    }
    run = &log->runs.items[run_of(log, entry)];
    return run->ordinal + (entry - run->index);
}

void osr_wal_index_begin_segment(struct osr_wal_index *index)
{
    struct segment *segment;

    if (index->segment_count > 0) { /* the one before is complete */
        segment = &index->segments[index->segment_count - 1];
        if (segment->count > 0) {
            segment->places =
                osr_realloc(segment->places, segment->count * sizeof(*segment->places));
        }
        segment->capacity = segment->count;
    }
    index->segments =
        osr_realloc(index->segments, (index->segment_count + 1) * sizeof(*index->segments));
    segment = &index->segments[index->segment_count++];
    *segment = (struct segment){.first = index->last_ordinal + 1};
}

int osr_wal_index_check(const struct osr_wal_index *index, const struct osr_wal_record *record,
                        struct osr_err *err)
{
    uint64_t last = osr_wal_index_last_index(index, record->log_id);

    switch (record->type) {
    case OSR_WAL_FACT:
    case OSR_WAL_LOG:
    case OSR_WAL_TRUNCATE:
        return 0;
    case OSR_WAL_ENTRY:
        if (record->index > 0 && (last == 0 || record->index == last + 1)) {
            return 0;
        }
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "entry %" PRIu64 " of log %" PRIu32 " follows entry %" PRIu64,
                                record->index, record->log_id, last);
    case OSR_WAL_HEAD:
        if (record->index > 0 && record->index <= last) {
            return 0;
        }
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "head %" PRIu64 " of log %" PRIu32 " follows entry %" PRIu64,
                                record->index, record->log_id, last);
    }
    return (int)osr_err_set(err, OSR_CORRUPT, "a record has type %d", (int)record->type);
}

static void add_place(struct osr_wal_index *index, uint64_t begin, uint64_t end)
{
    struct segment *segment = &index->segments[index->segment_count - 1];

    if (segment->count == segment->capacity) {
        segment->capacity = grown(segment->capacity);
        segment->places =
            osr_realloc(segment->places, segment->capacity * sizeof(*segment->places));
    }
    segment->places[segment->count++] = (uint32_t)(begin / OSR_SEGMENT_UNIT_BYTES);
    segment->end = end;
}

static void add_entry(struct osr_wal_log *log, const struct osr_wal_record *record)
{
    const struct point *run = NULL;

    if (log->runs.count > 0) {
        run = &log->runs.items[log->runs.count - 1];
    }
    if (run == NULL || run->ordinal + (record->index - run->index) != record->ordinal) {
        points_add(&log->runs, record->index, record->ordinal);
    }
    log->last = record->index;
}

/* Heads behind an index stand behind the entry that follows it, so those in front need no look. */
static void truncate_heads(struct osr_wal_log *log, uint64_t index)
{
    size_t kept = points_from(&log->heads, ordinal_of(log, index + 1));

    for (size_t i = kept; i < log->heads.count; i++) {
        if (log->heads.items[i].index <= index) {
            log->heads.items[kept++] = log->heads.items[i];
        }
    }
    log->heads.count = kept;
}

static void truncate_log(struct osr_wal_log *log, uint64_t index)
{
    if (log->last <= index) {
        return;
    }
    truncate_heads(log, index);
    while (log->runs.count > 0 && log->runs.items[log->runs.count - 1].index > index) {
        log->runs.count--;
    }
    log->last = log->runs.count > 0 ? index : 0;
}

void osr_wal_index_add(struct osr_wal_index *index, struct osr_wal_record *record, uint64_t begin,
                       uint64_t end)
{
    record->ordinal = ++index->last_ordinal;
    add_place(index, begin, end);
    switch (record->type) {
    case OSR_WAL_FACT:
    case OSR_WAL_LOG:
        break;
    case OSR_WAL_ENTRY:
        add_entry(need_log(index, record->log_id), record);
        break;
    case OSR_WAL_HEAD:
        points_add(&need_log(index, record->log_id)->heads, record->index, record->ordinal);
        break;
    case OSR_WAL_TRUNCATE:
        truncate_log(need_log(index, record->log_id), record->index);
        break;
    }
}

void osr_wal_index_publish(struct osr_wal_index *index)
{
    index->published = index->last_ordinal;
}

uint64_t osr_wal_index_last_ordinal(const struct osr_wal_index *index)
{
    return index->last_ordinal;
}

uint64_t osr_wal_index_last_index(const struct osr_wal_index *index, uint32_t log_id)
{
    const struct osr_wal_log *log = find_log(index, log_id);

    return log == NULL ? 0 : log->last;
}

uint64_t osr_wal_index_find(const struct osr_wal_index *index, uint32_t log_id, uint64_t entry)
{
    uint64_t ordinal = ordinal_of(find_log(index, log_id), entry);

    return ordinal <= index->published ? ordinal : 0;
}

bool osr_wal_index_is_live(const struct osr_wal_index *index, const struct osr_wal_record *record)
{
    const struct osr_wal_log *log = find_log(index, record->log_id);

    if (record->type == OSR_WAL_ENTRY) {
        return ordinal_of(log, record->index) == record->ordinal;
    }
    if (record->type == OSR_WAL_HEAD) {
        size_t at = log == NULL ? 0 : points_from(&log->heads, record->ordinal);
        return log != NULL && at < log->heads.count &&
               log->heads.items[at].ordinal == record->ordinal;
    }
    return true;
}

struct osr_wal_place osr_wal_index_locate(const struct osr_wal_index *index, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = index->segment_count - 1;
    const struct segment *segment;
    size_t at;
    struct osr_wal_place place;

    assert(ordinal > 0 && ordinal <= index->last_ordinal);
    while (low < high) { /* the last segment that begins at or before the ordinal */
        size_t middle = high - (high - low) / 2;
        if (index->segments[middle].first <= ordinal) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    segment = &index->segments[low];
    at = (size_t)(ordinal - segment->first);
    place.segment = low;
    place.begin = (uint64_t)segment->places[at] * OSR_SEGMENT_UNIT_BYTES;
    place.end = at + 1 < segment->count ? (uint64_t)segment->places[at + 1] * OSR_SEGMENT_UNIT_BYTES
                                        : segment->end;
    return place;
}

void osr_wal_walk_all(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint64_t from)
{
    *walk = (struct osr_wal_walk){.index = index, .ordinal = from > 0 ? from : 1};
}

void osr_wal_walk_log(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint32_t log_id,
                      uint64_t from)
{
    const struct osr_wal_log *log = find_log(index, log_id);
    const struct point *run;

    *walk = (struct osr_wal_walk){.index = index, .log = log, .ordinal = UINT64_MAX};
    if (log == NULL) {
        return;
    }
    walk->head = points_from(&log->heads, from);
    walk->run = points_from(&log->runs, from);
    walk->entry = walk->run < log->runs.count ? log->runs.items[walk->run].index : log->last + 1;
    if (walk->run == 0) {
        return;
    }
    /* `from` may be inside the run before. */
    run = &log->runs.items[walk->run - 1];
    if (run->index + (from - run->ordinal) < run_end(log, walk->run - 1)) {
        walk->run--;
        walk->entry = run->index + (from - run->ordinal);
    }
}

static uint64_t next_of_log(struct osr_wal_walk *walk)
{
    const struct osr_wal_log *log = walk->log;
    uint64_t entry = UINT64_MAX;
    uint64_t head = UINT64_MAX;

    if (walk->run < log->runs.count && walk->entry <= log->last) {
        const struct point *run = &log->runs.items[walk->run];
        entry = run->ordinal + (walk->entry - run->index);
    }
    if (walk->head < log->heads.count) {
        head = log->heads.items[walk->head].ordinal;
    }
    if (head < entry) {
        walk->head++;
        return head;
    }
    if (entry == UINT64_MAX) {
        return entry;
    }
    walk->entry++;
    if (walk->entry == run_end(log, walk->run)) {
        walk->run++;
    }
    return entry;
}

uint64_t osr_wal_walk_next(struct osr_wal_walk *walk)
{
    uint64_t ordinal = walk->log != NULL ? next_of_log(walk) : walk->ordinal++;

    return ordinal <= walk->index->published ? ordinal : 0;
}
