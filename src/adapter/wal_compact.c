/* Compaction: a segment most of which is void is written anew, without that. First it is surveyed:
 * what becomes of its records, so how large it will be; then its draft is written, synced, and put
 * in its place.
 *
 * What voids a record must be durable before the record is gone, or a power cut could bring back
 * the time when it counted. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_state.h"
#include "adapter/wal_void.h"

enum {
    PIECE_BYTES = 256 << 10, /* read and written at a time, unless one record is larger */
    PIECE_RECORDS = 1024,
    PARTS_LEAST = 64,
};

/* What consecutive records become. */
struct part {
    uint64_t ordinals; /* of a VOID; 0: the records are copied */
    size_t position;   /* of the first copied one among the old records */
    size_t records;    /* copied */
    struct osr_wal_hole *holes;
    size_t hole_count;
};

struct compaction {
    struct osr_wal *wal;
    size_t position; /* of the segment */
    struct osr_segment *old;
    struct osr_wal_places old_places; /* the index's */
    uint64_t void_bytes;              /* of records that are dropped */
    struct part *parts;
    size_t part_count;
    size_t part_capacity;
    uint64_t size; /* of the new file */
    struct osr_segment *draft;
    struct osr_wal_places places;
    struct osr_buffer in;
    struct osr_buffer out;
    uint64_t written;  /* of the draft */
    uint64_t unsynced; /* of that */
};

/* Consecutive old records, read at once. */
struct piece {
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

bool osr_wal_is_compactable(struct osr_wal *wal)
{
    size_t position;
    bool is_compactable;

    pthread_mutex_lock(&wal->lock);
    is_compactable = is_settled(wal) && osr_wal_index_pick(wal->index, &position);
    pthread_mutex_unlock(&wal->lock);
    return is_compactable;
}

static bool begin(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;
    bool has_picked;

    pthread_mutex_lock(&wal->lock);
    has_picked = is_settled(wal) && osr_wal_index_pick(wal->index, &compaction->position);
    if (has_picked) {
        compaction->old = wal->segments[compaction->position];
        compaction->old_places = osr_wal_index_places(wal->index, compaction->position);
    }
    pthread_mutex_unlock(&wal->lock);
    return has_picked;
}

/* Reading the old records. */

static size_t count_piece(const struct compaction *compaction, size_t position, size_t end)
{
    const struct osr_wal_places *places = &compaction->old_places;
    uint64_t begin = osr_wal_places_at(places, position).begin;
    size_t count = 1;

    while (count < PIECE_RECORDS && position + count < end &&
           osr_wal_places_at(places, position + count).end - begin <= PIECE_BYTES) {
        count++;
    }
    return count;
}

/* Reads records from a position on, at least one, none from `end` on. */
static int read_piece(struct compaction *compaction, size_t position, size_t end,
                      struct piece *piece, struct osr_err *err)
{
    const struct osr_wal_places *places = &compaction->old_places;
    size_t count = count_piece(compaction, position, end);
    uint64_t begin = osr_wal_places_at(places, position).begin;
    int code =
        osr_segment_read(compaction->wal->disk, compaction->old, begin,
                         osr_wal_places_at(places, position + count - 1).end, &compaction->in, err);

    for (size_t i = 0; code == 0 && i < count; i++) {
        uint64_t offset = osr_wal_places_at(places, position + i).begin;
        size_t skipped = (size_t)(offset - begin);
        code =
            osr_record_read(compaction->old, offset,
                            osr_slice(compaction->in.data + skipped, compaction->in.size - skipped),
                            &piece->records[i], err);
    }
    piece->position = position;
    piece->count = count;
    return code;
}

/* Surveying. */

static struct part *last_part(struct compaction *compaction)
{
    return compaction->part_count > 0 ? &compaction->parts[compaction->part_count - 1] : NULL;
}

static struct part *add_part(struct compaction *compaction)
{
    struct part *part;

    compaction->parts =
        osr_realloc(compaction->parts, (compaction->part_count + 1) * sizeof(*compaction->parts));
    part = &compaction->parts[compaction->part_count++];
    *part = (struct part){0};
    return part;
}

static void plan_copy(struct compaction *compaction, size_t position,
                      const struct osr_wal_record *record)
{
    struct part *part = last_part(compaction);

    if (part == NULL || part->ordinals > 0) {
        part = add_part(compaction);
        part->position = position;
    }
    part->records++;
    compaction->size += osr_record_span(record->payload.size);
}

/* The VOID that goes on, if it has room for so many holes; else another. */
static struct part *need_void(struct compaction *compaction, size_t holes)
{
    struct part *part = last_part(compaction);

    if (part != NULL && part->ordinals > 0 && part->hole_count + holes <= OSR_WAL_HOLES_MAX) {
        return part;
    }
    compaction->size += osr_record_span(0);
    return add_part(compaction);
}

static void widen_hole(struct compaction *compaction, struct part *part,
                       const struct osr_wal_hole *more)
{
    uint64_t before = osr_record_span(part->hole_count * OSR_WAL_HOLE_BYTES);

    for (size_t i = 0; i < part->hole_count; i++) {
        struct osr_wal_hole *hole = &part->holes[i];
        if (hole->log_id == more->log_id) {
            assert(hole->first + hole->count == more->first);
            hole->count += more->count;
            return;
        }
    }
    part->holes = osr_realloc(part->holes, (part->hole_count + 1) * sizeof(*part->holes));
    part->holes[part->hole_count++] = *more;
    compaction->size += osr_record_span(part->hole_count * OSR_WAL_HOLE_BYTES) - before;
}

static void plan_void(struct compaction *compaction, size_t position,
                      const struct osr_wal_record *record)
{
    struct osr_wal_place place = osr_wal_places_at(&compaction->old_places, position);
    struct osr_wal_hole hole = {record->log_id, 1, record->index};
    bool is_entry = record->type == OSR_WAL_ENTRY;
    struct part *part = need_void(compaction, is_entry ? 1 : 0);

    part->ordinals++;
    compaction->void_bytes += place.end - place.begin;
    if (is_entry) {
        widen_hole(compaction, part, &hole);
    }
}

/* What an earlier compaction left. */
static void plan_old_void(struct compaction *compaction, const struct osr_wal_record *record)
{
    size_t count = osr_wal_void_hole_count(record);
    struct part *part = need_void(compaction, count);

    part->ordinals += record->index;
    for (size_t i = 0; i < count; i++) {
        struct osr_wal_hole hole = osr_wal_void_hole(record, i);
        widen_hole(compaction, part, &hole);
    }
}

/* Which of the records count. *ordinal: of the first, then of the one behind the last. */
static void judge_piece(struct osr_wal *wal, struct piece *piece, uint64_t *ordinal,
                        bool ret_live[PIECE_RECORDS])
{
    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; i < piece->count; i++) {
        struct osr_wal_record *record = &piece->records[i];
        record->ordinal = *ordinal;
        *ordinal += record->type == OSR_RECORD_VOID ? record->index : 1;
        ret_live[i] = osr_wal_index_is_live(wal->index, record);
    }
    pthread_mutex_unlock(&wal->lock);
}

static void plan_piece(struct compaction *compaction, const struct piece *piece,
                       const bool live[PIECE_RECORDS])
{
    for (size_t i = 0; i < piece->count; i++) {
        const struct osr_wal_record *record = &piece->records[i];
        if (record->type == OSR_RECORD_VOID) {
            plan_old_void(compaction, record);
        } else if (live[i]) {
            plan_copy(compaction, piece->position + i, record);
        } else {
            plan_void(compaction, piece->position + i, record);
        }
    }
}

static int survey(struct compaction *compaction, struct osr_err *err)
{
    struct piece *piece = osr_alloc(sizeof(*piece));
    uint64_t ordinal = compaction->old_places.first;
    size_t position = 0;
    int code = 0;

    compaction->size = OSR_SEGMENT_FIRST_OFFSET;
    while (code == 0 && position < compaction->old_places.count) {
        bool live[PIECE_RECORDS];
        code = read_piece(compaction, position, compaction->old_places.count, piece, err);
        if (code == 0) {
            judge_piece(compaction->wal, piece, &ordinal, live);
            plan_piece(compaction, piece, live);
        }
        position += piece->count;
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
        .index = compaction->old_places.first,
    };

    compaction->written = OSR_SEGMENT_START_OFFSET;
    put(compaction, &start);
}

static int put_void(struct compaction *compaction, const struct part *part, struct osr_err *err)
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

static int copy_records(struct compaction *compaction, const struct part *part, struct piece *piece,
                        struct osr_err *err)
{
    size_t end = part->position + part->records;
    size_t position = part->position;
    int code = 0;

    while (code == 0 && position < end) {
        code = read_piece(compaction, position, end, piece, err);
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

    osr_wal_places_init(&compaction->places, compaction->old_places.first);
    put_start(compaction);
    for (size_t i = 0; code == 0 && i < compaction->part_count; i++) {
        const struct part *part = &compaction->parts[i];
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

/* Void records so small and scattered that what stands for them would take as much: they stay. */
static bool is_worth_it(const struct compaction *compaction)
{
    return compaction->size < compaction->old->used;
}

static void write_off(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;

    pthread_mutex_lock(&wal->lock);
    osr_wal_index_write_off(wal->index, compaction->position, compaction->void_bytes);
    pthread_mutex_unlock(&wal->lock);
}

static bool may_replace(struct osr_wal *wal)
{
    bool may;

    pthread_mutex_lock(&wal->lock);
    may = is_settled(wal);
    pthread_mutex_unlock(&wal->lock);
    return may;
}

static void exchange(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;
    struct osr_segment *draft = compaction->draft;

    pthread_mutex_lock(&wal->lock);
    wal->full -= compaction->old->used;
    wal->full += draft->used;
    wal->segments[compaction->position] = draft;
    osr_wal_index_exchange(wal->index, compaction->position, &compaction->places);
    osr_wal_index_write_off(wal->index, compaction->position, compaction->void_bytes);
    pthread_mutex_unlock(&wal->lock);
    compaction->draft = NULL;
    osr_trace(&wal->options.trace, OSR_LEVEL_TRACE,
              "log: rewrote %s: %" PRIu64 " of %" PRIu64 " bytes are left", draft->path,
              draft->size, compaction->old->size);
    osr_wal_release_segment(wal, compaction->old);
}

static int make_draft(struct compaction *compaction, struct osr_err *err)
{
    struct osr_wal *wal = compaction->wal;
    uint64_t salt;

    pthread_mutex_lock(&wal->make_lock);
    salt = osr_random_u64(&wal->salts);
    pthread_mutex_unlock(&wal->make_lock);
    return osr_segment_draft(wal->disk, wal->folder, compaction->old->sequence, compaction->size,
                             salt, &compaction->draft, err);
}

static int rewrite(struct compaction *compaction, struct osr_err *err)
{
    struct osr_wal *wal = compaction->wal;
    int code = make_draft(compaction, err);

    if (code == 0) {
        code = write_draft(compaction, err);
    }
    /* Where something was voided meanwhile and is not durable, the next call will do. */
    if (code != 0 || !may_replace(wal)) {
        return code;
    }
    code = osr_segment_replace(wal->disk, wal->folder, compaction->draft, err);
    if (code == 0) {
        exchange(compaction);
    }
    return code;
}

static void end(struct compaction *compaction)
{
    struct osr_wal *wal = compaction->wal;

    if (compaction->draft != NULL) {
        osr_segment_discard(wal->disk, wal->folder, compaction->draft);
    }
    for (size_t i = 0; i < compaction->part_count; i++) {
        free(compaction->parts[i].holes);
    }
    free(compaction->parts);
    osr_wal_places_done(&compaction->places); /* after the exchange the old ones */
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
