#include "adapter/wal_index.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_facts.h"
#include "adapter/wal_segment.h"
#include "adapter/wal_void.h"
#include "base/map.h"

struct osr_wal_index {
    struct osr_wal_space space;
    uint64_t published;         /* ordinal */
    uint64_t voided_by;         /* ordinal */
    osr_wal_fact_key *fact_key; /* NULL: no fact is void */
    struct osr_wal_facts *facts;
    struct osr_map *logs;       /* id -> struct osr_wal_log */
    struct osr_wal_log *newest; /* the log that was added to last: most often the next one too */
};

struct osr_wal_index *osr_wal_index_create(uint64_t seed, osr_wal_fact_key *fact_key)
{
    struct osr_wal_index *index = osr_alloc(sizeof(*index));

    index->fact_key = fact_key;
    index->facts = osr_wal_facts_create(seed);
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
    osr_wal_facts_destroy(index->facts);
    osr_wal_space_done(&index->space);
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
    osr_wal_space_begin_segment(&index->space);
}

/* An osr_wal_voided. */
static void note_voided(void *context, uint64_t ordinal, uint64_t count)
{
    struct osr_wal_index *index = context;

    osr_wal_space_note_voided(&index->space, ordinal, count);
}

struct osr_wal_place osr_wal_index_locate(const struct osr_wal_index *index, uint64_t ordinal,
                                          size_t *ret_segment)
{
    return osr_wal_space_locate(&index->space, ordinal, ret_segment);
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
    record->ordinal = osr_wal_space_add_void(&index->space, record->index, begin, end);
    for (size_t i = 0; i < osr_wal_void_hole_count(record); i++) {
        struct osr_wal_hole hole = osr_wal_void_hole(record, i);
        osr_wal_log_add_entries(need_log(index, hole.log_id), hole.first, hole.count,
                                record->ordinal);
    }
}

/* The key of a fact that counts until there is a newer one; else an empty one. */
static struct osr_slice key_of(const struct osr_wal_index *index,
                               const struct osr_wal_record *record)
{
    return index->fact_key == NULL ? osr_slice(NULL, 0) : index->fact_key(record);
}

static void add_fact(struct osr_wal_index *index, const struct osr_wal_record *record)
{
    struct osr_slice key = key_of(index, record);
    uint64_t older = key.size > 0 ? osr_wal_facts_put(index->facts, key, record->ordinal) : 0;

    if (older > 0) {
        note_voided(index, older, 1);
        index->voided_by = record->ordinal;
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
        osr_wal_log_raise_base(log, record->index, record->ordinal, note_voided, index);
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
    record->ordinal = osr_wal_space_add(&index->space, begin, end);
    if (record->type == OSR_WAL_FACT) {
        add_fact(index, record);
    } else if (record->type != OSR_WAL_LOG) {
        act_on(index, record);
    }
}

void osr_wal_index_publish(struct osr_wal_index *index)
{
    index->published = index->space.last_ordinal;
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
            if (!osr_wal_space_is_there(&index->space, run->ordinal,
                                        osr_wal_log_run_length(log, i))) {
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
    return index->space.last_ordinal;
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

static bool is_newest_fact(const struct osr_wal_index *index, const struct osr_wal_record *record)
{
    struct osr_slice key = key_of(index, record);

    return key.size == 0 || osr_wal_facts_newest(index->facts, key) == record->ordinal;
}

bool osr_wal_index_is_live(const struct osr_wal_index *index, const struct osr_wal_record *record)
{
    const struct osr_wal_log *log = find_log(index, record->log_id);

    switch (record->type) {
    case OSR_WAL_FACT:
        return is_newest_fact(index, record);
    case OSR_WAL_ENTRY:
        return log != NULL && osr_wal_log_ordinal(log, record->index) == record->ordinal;
    case OSR_WAL_HEAD:
        return log != NULL && osr_wal_log_has_head(log, record->ordinal);
    case OSR_WAL_VOTE:
        return log != NULL && log->vote == record->ordinal;
    case OSR_WAL_BASE:
        return log != NULL && osr_wal_log_has_base(log, record->ordinal);
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
    uint64_t ordinal = osr_wal_space_skip_voids(&walk->index->space, walk->ordinal);

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

bool osr_wal_index_pick(const struct osr_wal_index *index, uint64_t join_bytes,
                        struct osr_wal_range *ret_range)
{
    return osr_wal_space_pick(&index->space, join_bytes, ret_range);
}

struct osr_wal_places osr_wal_index_places(const struct osr_wal_index *index, size_t segment)
{
    assert(segment + 1 < index->space.segment_count);
    return index->space.segments[segment].places;
}

void osr_wal_index_exchange(struct osr_wal_index *index, struct osr_wal_range range,
                            struct osr_wal_places *places)
{
    osr_wal_space_exchange(&index->space, range, places);
}

void osr_wal_index_write_off(struct osr_wal_index *index, size_t segment, uint64_t bytes)
{
    osr_wal_space_write_off(&index->space, segment, bytes);
}
