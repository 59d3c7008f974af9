/* Compaction: a segment most of which is void is written anew, without that; so are neighbours of
 * which little is left, as one. First these sources are surveyed: what becomes of their records
 * (wal_plan.h), so how large the new segment will be; then its draft is written, synced, and put in
 * their place.
 *
 * What voids a record must be durable before the record is gone, or a power cut could bring back
 * the time when it counted. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_plan.h"
#include "adapter/wal_state.h"

enum {
    PIECE_BYTES = 256 << 10, /* read and written at a time, unless one record is larger */
    PIECE_RECORDS = 1024,
};

/* A segment that is written anew. */
struct source {
    struct osr_segment *segment;
    struct osr_wal_places places; /* the index's */
};

struct compaction {
    struct osr_wal *wal;
    struct osr_wal_range range; /* of the sources */
    struct source *sources;
    uint64_t void_bytes; /* of records that are dropped */
    uint64_t voided_by;  /* no record behind this ordinal voided them */
    struct osr_wal_plan plan;
    struct osr_segment *draft;
    struct osr_wal_places places;
    struct osr_buffer in;
    struct osr_buffer out;
    uint64_t written;  /* of the draft */
    uint64_t unsynced; /* of that */
};

/* Consecutive old records, read at once. */
struct piece {
    size_t source;
    size_t position;
    size_t count;
    struct osr_wal_record records[PIECE_RECORDS]; /* payloads are in compaction.in */
};

/* Choosing. */

/* With the lock held: whether all that voided records so far is durable. */
static bool is_settled(const struct osr_wal *wal)
{
    return osr_wal_index_voided_by(wal->index) <= wal->durable;
}

/* With the lock held. */
static bool pick(const struct osr_wal *wal, struct osr_wal_range *ret_range)
{
    uint64_t join_bytes = wal->may_join ? wal->options.segment_bytes_max / OSR_WAL_JOIN_SHARE : 0;

    return is_settled(wal) && osr_wal_index_pick(wal->index, join_bytes, ret_range);
}

bool osr_wal_is_compactable(struct osr_wal *wal)
{
    struct osr_wal_range range;
    bool is_compactable;

    pthread_mutex_lock(&wal->lock);
    is_compactable = pick(wal, &range);
    pthread_mutex_unlock(&wal->lock);
    return is_compactable;
}

static bool begin(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;
    bool has_picked;

    pthread_mutex_lock(&wal->lock);
    has_picked = pick(wal, &compaction->range);
    if (has_picked) {
        compaction->sources = osr_alloc(compaction->range.count * sizeof(*compaction->sources));
    }
    for (size_t i = 0; has_picked && i < compaction->range.count; i++) {
        struct source *source = &compaction->sources[i];
        source->segment = wal->segments[compaction->range.first + i];
        source->places = osr_wal_index_places(wal->index, compaction->range.first + i);
    }
    pthread_mutex_unlock(&wal->lock);
    return has_picked;
}

/* Reading the old records. */

static size_t count_piece(const struct osr_wal_places *places, size_t position, size_t end)
{
    uint64_t begin = osr_wal_places_at(places, position).begin;
    size_t count = 1;

    while (count < PIECE_RECORDS && position + count < end &&
           osr_wal_places_at(places, position + count).end - begin <= PIECE_BYTES) {
        count++;
    }
    return count;
}

/* Reads records of a source from a position on, at least one, none from `end` on. */
static int read_piece(struct compaction *compaction, size_t source, size_t position, size_t end,
                      struct piece *piece, struct osr_err *err)
{
    const struct osr_segment *segment = compaction->sources[source].segment;
    const struct osr_wal_places *places = &compaction->sources[source].places;
    size_t count = count_piece(places, position, end);
    uint64_t begin = osr_wal_places_at(places, position).begin;
    int code =
        osr_segment_read(compaction->wal->disk, segment, begin,
                         osr_wal_places_at(places, position + count - 1).end, &compaction->in, err);

    for (size_t i = 0; code == 0 && i < count; i++) {
        uint64_t offset = osr_wal_places_at(places, position + i).begin;
        size_t skipped = (size_t)(offset - begin);
        code =
            osr_record_read(segment, offset,
                            osr_slice(compaction->in.data + skipped, compaction->in.size - skipped),
                            &piece->records[i], err);
    }
    piece->source = source;
    piece->position = position;
    piece->count = count;
    return code;
}

/* Surveying. */

/* Which of the records count. *ordinal: of the first, then of the one behind the last. */
static void judge_piece(struct compaction *compaction, struct piece *piece, uint64_t *ordinal,
                        bool ret_live[PIECE_RECORDS])
{
    struct osr_wal *wal = compaction->wal;

    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; i < piece->count; i++) {
        struct osr_wal_record *record = &piece->records[i];
        record->ordinal = *ordinal;
        *ordinal += record->type == OSR_RECORD_VOID ? record->index : 1;
        ret_live[i] = osr_wal_index_is_live(wal->index, record);
    }
    compaction->voided_by = osr_wal_index_voided_by(wal->index);
    pthread_mutex_unlock(&wal->lock);
}

static void plan_piece(struct compaction *compaction, const struct piece *piece,
                       const bool live[PIECE_RECORDS])
{
    const struct osr_wal_places *places = &compaction->sources[piece->source].places;

    for (size_t i = 0; i < piece->count; i++) {
        const struct osr_wal_record *record = &piece->records[i];
        if (record->type == OSR_RECORD_VOID) {
            osr_wal_plan_old_void(&compaction->plan, record);
        } else if (live[i]) {
            osr_wal_plan_copy(&compaction->plan, piece->source, piece->position + i, record);
        } else {
            struct osr_wal_place place = osr_wal_places_at(places, piece->position + i);
            osr_wal_plan_void(&compaction->plan, record);
            compaction->void_bytes += place.end - place.begin;
        }
    }
}

static int survey_source(struct compaction *compaction, size_t source, struct piece *piece,
                         struct osr_err *err)
{
    const struct osr_wal_places *places = &compaction->sources[source].places;
    uint64_t ordinal = places->first;
    size_t position = 0;
    int code = 0;

    while (code == 0 && position < places->count) {
        bool live[PIECE_RECORDS];
        code = read_piece(compaction, source, position, places->count, piece, err);
        if (code == 0) {
            judge_piece(compaction, piece, &ordinal, live);
            plan_piece(compaction, piece, live);
        }
        position += piece->count;
    }
    return code;
}

static int survey(struct compaction *compaction, struct osr_err *err)
{
    struct piece *piece = osr_alloc(sizeof(*piece));
    int code = 0;

    osr_wal_plan_init(&compaction->plan);
    for (size_t i = 0; code == 0 && i < compaction->range.count; i++) {
        code = survey_source(compaction, i, piece, err);
    }
    free(piece);
    return code;
}

/* Writing. */

static int flush(struct compaction *compaction, struct osr_err *err)
{
    struct osr_disk *disk = compaction->wal->disk;
    size_t size = compaction->out.size;
    int code = disk->ops->write(disk, compaction->draft->file, compaction->written,
                                compaction->out.data, size, err);

    compaction->out.size = 0;
    compaction->written += size;
    compaction->unsynced += size;
    if (code == 0 && (compaction->unsynced >= OSR_DISK_SYNC_BYTES ||
                      compaction->written == compaction->draft->size)) {
        compaction->unsynced = 0;
        code = disk->ops->sync(disk, compaction->draft->file, err);
    }
    return code;
}

/* Puts a record behind the last one, and gives its place. It says that all in front of it is
 * durable, as it will be when this is in its place. */
static struct osr_wal_place put(struct compaction *compaction, const struct osr_wal_record *record)
{
    uint64_t offset = compaction->written + compaction->out.size;

    osr_record_encode(&compaction->out, compaction->draft, offset, offset, record);
    return (struct osr_wal_place){offset, compaction->written + compaction->out.size};
}

static void put_start(struct compaction *compaction)
{
    struct osr_wal_record start = {
        .type = OSR_RECORD_START,
        .index = compaction->sources[0].places.first,
    };

    compaction->written = OSR_SEGMENT_START_OFFSET;
    put(compaction, &start);
}

static int put_void(struct compaction *compaction, const struct osr_wal_part *part,
                    struct osr_err *err)
{
    uint8_t payload[OSR_WAL_HOLES_MAX * OSR_WAL_HOLE_BYTES];
    struct osr_wal_record record = {
        .type = OSR_RECORD_VOID,
        .index = part->ordinals,
        .payload = osr_slice(payload, part->hole_count * OSR_WAL_HOLE_BYTES),
    };
    struct osr_wal_place place;

    for (size_t i = 0; i < part->hole_count; i++) {
        osr_wal_hole_encode(&part->holes[i], payload + i * OSR_WAL_HOLE_BYTES);
    }
    place = put(compaction, &record);
    osr_wal_places_add_void(&compaction->places, part->ordinals, place.begin, place.end);
    return compaction->out.size < PIECE_BYTES ? 0 : flush(compaction, err);
}

static int copy_records(struct compaction *compaction, const struct osr_wal_part *part,
                        struct piece *piece, struct osr_err *err)
{
    size_t end = part->position + part->records;
    size_t position = part->position;
    int code = 0;

    while (code == 0 && position < end) {
        code = read_piece(compaction, part->source, position, end, piece, err);
        for (size_t i = 0; code == 0 && i < piece->count; i++) {
            struct osr_wal_place place = put(compaction, &piece->records[i]);
            osr_wal_places_add(&compaction->places, place.begin, place.end);
        }
        if (code == 0 && compaction->out.size >= PIECE_BYTES) {
            code = flush(compaction, err);
        }
        position += piece->count;
    }
    return code;
}

static int write_draft(struct compaction *compaction, struct osr_err *err)
{
    struct piece *piece = osr_alloc(sizeof(*piece));
    int code = 0;

    osr_wal_places_init(&compaction->places, compaction->sources[0].places.first);
    put_start(compaction);
    for (size_t i = 0; code == 0 && i < compaction->plan.count; i++) {
        const struct osr_wal_part *part = &compaction->plan.parts[i];
        code = part->ordinals > 0 ? put_void(compaction, part, err)
                                  : copy_records(compaction, part, piece, err);
    }
    free(piece);
    if (code == 0 && compaction->out.size > 0) {
        code = flush(compaction, err);
    }
    assert(code != 0 || compaction->written == compaction->draft->size);
    osr_wal_places_complete(&compaction->places);
    return code;
}

/* Exchanging. */

/* Void records of one segment may be so small and scattered that what stands for them would take
 * as much: they stay. */
static bool is_worth_it(const struct compaction *compaction)
{
    return compaction->range.count > 1 ||
           compaction->plan.size < compaction->sources[0].segment->used;
}

static void write_off(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;

    pthread_mutex_lock(&wal->lock);
    osr_wal_index_write_off(wal->index, compaction->range.first, compaction->void_bytes);
    pthread_mutex_unlock(&wal->lock);
}

static bool may_replace(const struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;
    bool may;

    pthread_mutex_lock(&wal->lock);
    may = compaction->voided_by <= wal->durable;
    pthread_mutex_unlock(&wal->lock);
    return may;
}

/* With the lock held: the draft is there instead of the sources. */
static void exchange_segments(struct osr_wal *wal, struct osr_wal_range range,
                              struct osr_segment *draft)
{
    struct osr_segment **first = &wal->segments[range.first];

    for (size_t i = 0; i < range.count; i++) {
        wal->full -= first[i]->used;
    }
    wal->full += draft->used;
    *first = draft;
    wal->segment_count -= range.count - 1;
    wal->current -= range.count - 1;
    memmove(first + 1, first + range.count,
            (wal->segment_count - range.first - 1) * sizeof(struct osr_segment *));
}

static void exchange(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;
    struct osr_segment *draft = compaction->draft;

    pthread_mutex_lock(&wal->lock);
    exchange_segments(wal, compaction->range, draft);
    osr_wal_index_exchange(wal->index, compaction->range, &compaction->places);
    osr_wal_index_write_off(wal->index, compaction->range.first, compaction->void_bytes);
    pthread_mutex_unlock(&wal->lock);
    compaction->draft = NULL;
    osr_trace(&wal->options.trace, OSR_LEVEL_TRACE,
              "log: rewrote %s, in the place of %zu: %" PRIu64 " bytes are left", draft->path,
              compaction->range.count, draft->size);
}

/* The files of the joined segments stand for nothing any more. A name that stays, for whatever
 * reason, is passed over and removed by the next open. */
static void remove_sources(const struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;

    for (size_t i = 0; i < compaction->range.count; i++) {
        struct osr_segment *segment = compaction->sources[i].segment;
        if (i > 0) {
            osr_segment_remove(wal->disk, wal->folder, segment->sequence, NULL);
        }
        osr_wal_release_segment(wal, segment);
    }
}

static int make_draft(struct compaction *compaction, struct osr_err *err)
{
    struct osr_wal *wal = compaction->wal;
    const struct osr_segment *first = compaction->sources[0].segment;
    const struct osr_segment *last = compaction->sources[compaction->range.count - 1].segment;
    uint64_t salt;

    pthread_mutex_lock(&wal->make_lock);
    salt = osr_random_u64(&wal->salts);
    pthread_mutex_unlock(&wal->make_lock);
    return osr_segment_draft(wal->disk, wal->folder, first->sequence,
                             osr_segment_last(last) - first->sequence, compaction->plan.size, salt,
                             &compaction->draft, err);
}

/* After a failure nobody knows whether the draft stands for segments behind it. Were one of those
 * joined to others, its file could be taken for one that is replaced. */
static void forbid_joins(struct osr_wal *wal)
{
    osr_trace(&wal->options.trace, OSR_LEVEL_WARNING,
              "log: %s cannot be synced: its segments are joined no more until the next start",
              wal->folder);
    pthread_mutex_lock(&wal->lock);
    wal->may_join = false;
    pthread_mutex_unlock(&wal->lock);
}

static int rewrite(struct compaction *compaction, struct osr_err *err)
{
    struct osr_wal *wal = compaction->wal;
    int code = make_draft(compaction, err);

    if (code == 0) {
        code = write_draft(compaction, err);
    }
    /* Where what voided something meanwhile is not durable, the next call will do. */
    if (code != 0 || !may_replace(compaction)) {
        return code;
    }
    code = osr_segment_replace(wal->disk, wal->folder, compaction->draft, err);
    if (code != 0) {
        forbid_joins(wal);
        return code;
    }
    exchange(compaction);
    remove_sources(compaction);
    return 0;
}

static void end(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;

    if (compaction->draft != NULL) {
        osr_segment_discard(wal->disk, wal->folder, compaction->draft);
    }
    free(compaction->sources);
    osr_wal_plan_done(&compaction->plan);
    osr_wal_places_done(&compaction->places); /* none after the exchange */
    osr_buffer_done(&compaction->in);
    osr_buffer_done(&compaction->out);
}

int osr_wal_compact(struct osr_wal *wal, struct osr_err *err)
{
    struct compaction compaction = {.wal = wal};
    int code;

    if (!begin(&compaction)) {
        return 0;
    }
    code = survey(&compaction, err);
    if (code == 0 && is_worth_it(&compaction)) {
        code = rewrite(&compaction, err);
    } else if (code == 0) {
        write_off(&compaction);
    }
    end(&compaction);
    return code;
}
