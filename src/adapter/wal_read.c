/* Reading. A reader asks the index, under its lock, where the next records are, and then reads
 * them in one piece without it: it holds their segment, so that a compaction may put another file
 * in its place meanwhile. */
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_state.h"

enum {
    PIECE_BYTES = 256 << 10, /* read at a time, unless one record is larger */
    PIECE_RECORDS = 1024,
};

struct spot {
    uint64_t ordinal;
    uint64_t offset;
};

/* Records of one segment that are read together. */
struct piece {
    struct osr_segment *segment; /* held, if count is not 0 */
    uint64_t begin;
    uint64_t end;
    size_t count; /* 0: there is nothing more */
    struct spot spots[PIECE_RECORDS];
    struct osr_buffer bytes;
};

/* With the lock held. */
static struct osr_segment *hold(const struct osr_wal *wal, size_t position)
{
    struct osr_segment *segment = wal->segments[position];

    segment->holders++;
    return segment;
}

void osr_wal_release_segment(struct osr_wal *wal, struct osr_segment *segment)
{
    bool is_last;

    pthread_mutex_lock(&wal->lock);
    is_last = --segment->holders == 0;
    pthread_mutex_unlock(&wal->lock);
    if (is_last) {
        osr_segment_close(wal->disk, segment);
    }
}

/* Takes the records that a walk meets, as long as they make one piece. With the lock held. */
static void collect(const struct osr_wal *wal, struct osr_wal_walk *walk, struct piece *piece)
{
    piece->count = 0;
    while (piece->count < PIECE_RECORDS) {
        uint64_t ordinal = osr_wal_walk_next(walk);
        struct osr_wal_place place;
        size_t segment;
        if (ordinal == 0) {
            return;
        }
        place = osr_wal_index_locate(wal->index, ordinal, &segment);
        if (piece->count == 0) {
            piece->segment = hold(wal, segment);
            piece->begin = place.begin;
        } else if (piece->segment != wal->segments[segment] ||
                   place.end - piece->begin > PIECE_BYTES) {
            return;
        }
        piece->end = place.end;
        piece->spots[piece->count++] = (struct spot){ordinal, place.begin};
    }
}

static bool is_live(struct osr_wal *wal, const struct osr_wal_record *record)
{
    bool live;

    pthread_mutex_lock(&wal->lock);
    live = osr_wal_index_is_live(wal->index, record);
    pthread_mutex_unlock(&wal->lock);
    return live;
}

static int visit_records(struct osr_wal *wal, struct piece *piece, bool only_live,
                         osr_wal_visit *visit, void *context, struct osr_err *err)
{
    int code =
        osr_segment_read(wal->disk, piece->segment, piece->begin, piece->end, &piece->bytes, err);

    for (size_t i = 0; code == 0 && i < piece->count; i++) {
        const struct spot *spot = &piece->spots[i];
        uint64_t skipped = spot->offset - piece->begin;
        struct osr_wal_record record;
        code = osr_record_read(
            piece->segment, spot->offset,
            osr_slice(piece->bytes.data + skipped, piece->bytes.size - (size_t)skipped), &record,
            err);
        if (code != 0) {
            return code;
        }
        record.ordinal = spot->ordinal;
        if (!only_live || is_live(wal, &record)) {
            code = visit(context, &record, err);
        }
    }
    return code;
}

static int visit_piece(struct osr_wal *wal, struct piece *piece, bool only_live,
                       osr_wal_visit *visit, void *context, struct osr_err *err)
{
    int code = visit_records(wal, piece, only_live, visit, context, err);

    osr_wal_release_segment(wal, piece->segment);
    return code;
}

int osr_wal_read(struct osr_wal *wal, uint32_t log_id, uint64_t first, osr_wal_visit *visit,
                 void *context, struct osr_err *err)
{
    struct piece *piece;
    uint64_t from;
    int code = 0;

    pthread_mutex_lock(&wal->lock);
    from = osr_wal_index_find(wal->index, log_id, first);
    pthread_mutex_unlock(&wal->lock);
    if (from == 0) {
        return (int)osr_err_set(err, OSR_NOT_FOUND, "log %" PRIu32 " has no entry %" PRIu64, log_id,
                                first);
    }
    piece = osr_alloc(sizeof(*piece));
    do {
        struct osr_wal_walk walk;
        pthread_mutex_lock(&wal->lock);
        osr_wal_walk_log(&walk, wal->index, log_id, from);
        collect(wal, &walk, piece);
        pthread_mutex_unlock(&wal->lock);
        if (piece->count > 0) {
            from = piece->spots[piece->count - 1].ordinal + 1;
            code = visit_piece(wal, piece, false, visit, context, err);
        }
    } while (code == 0 && piece->count > 0);
    osr_buffer_done(&piece->bytes);
    free(piece);
    return code;
}

int osr_wal_read_from(struct osr_wal *wal, uint64_t ordinal, osr_wal_visit *visit, void *context,
                      struct osr_err *err)
{
    struct piece *piece = osr_alloc(sizeof(*piece));
    int code = 0;

    do {
        struct osr_wal_walk walk;
        pthread_mutex_lock(&wal->lock);
        osr_wal_walk_all(&walk, wal->index, ordinal);
        collect(wal, &walk, piece);
        pthread_mutex_unlock(&wal->lock);
        if (piece->count > 0) {
            ordinal = piece->spots[piece->count - 1].ordinal + 1;
            code = visit_piece(wal, piece, true, visit, context, err);
        }
    } while (code == 0 && piece->count > 0);
    osr_buffer_done(&piece->bytes);
    free(piece);
    return code;
}

int osr_wal_read_one(struct osr_wal *wal, uint32_t log_id, uint64_t index,
                     struct osr_buffer *buffer, struct osr_err *err)
{
    struct osr_segment *segment = NULL;
    struct osr_wal_place place = {0};
    struct osr_buffer bytes = {0};
    struct osr_wal_record record = {0};
    uint64_t ordinal;
    int code;

    pthread_mutex_lock(&wal->lock);
    ordinal = osr_wal_index_find(wal->index, log_id, index);
    if (ordinal != 0) {
        size_t position;
        place = osr_wal_index_locate(wal->index, ordinal, &position);
        segment = hold(wal, position);
    }
    pthread_mutex_unlock(&wal->lock);
    if (ordinal == 0) {
        return (int)osr_err_set(err, OSR_NOT_FOUND, "log %" PRIu32 " has no entry %" PRIu64, log_id,
                                index);
    }
    code = osr_segment_read(wal->disk, segment, place.begin, place.end, &bytes, err);
    if (code == 0) {
        code = osr_record_read(segment, place.begin, osr_buffer_slice(&bytes), &record, err);
    }
    if (code == 0) {
        osr_buffer_add(buffer, record.payload.data, record.payload.size);
    }
    osr_wal_release_segment(wal, segment);
    osr_buffer_done(&bytes);
    return code;
}
