/* Opening: what is there is read in order, what was torn is cut, what is damaged is refused. The
 * rules stand in wal.h under "Vouching". */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_state.h"

enum {
    WINDOW_BYTES = 4 << 20, /* read at a time, or as much as the largest segment has */
    ZERO_BYTES = 64 << 10,  /* compared or written at a time, where all should be zeros */
};
static const uint8_t zeros[ZERO_BYTES];
_Static_assert((int)WINDOW_BYTES >= (int)OSR_RECORD_BYTES_MAX, "a record fits into the window");

/* One walk over the log. */
struct recovery {
    struct osr_wal *wal;
    osr_wal_visit *visit;
    void *context;
    bool is_started; /* a segment has begun; else there is nothing in the log */
    /* Bytes [begin, begin + size) of a segment. */
    struct {
        const struct osr_segment *segment;
        uint64_t begin;
        size_t size;
        size_t capacity;
        uint8_t *bytes;
    } window;
    struct osr_err *err;
};

void osr_wal_hint(struct osr_err *err)
{
    osr_err_hint(err, "run at another member `osiris cluster remove NAME` and `osiris invite`, and "
                      "here `osiris join INVITATION --data NEW_FOLDER`: it begins as a learner and "
                      "gets everything from the others. Only one that is alone may use a backup");
}

static int corrupt(const struct recovery *recovery, const struct osr_segment *segment,
                   uint64_t offset, const char *what)
{
    osr_err_set(recovery->err, OSR_CORRUPT, "%s: offset %" PRIu64 ": %s", segment->path, offset,
                what);
    return OSR_CORRUPT;
}

/* Points *ret_bytes at `size` bytes of a segment, which has as many there. */
static int look(struct recovery *recovery, const struct osr_segment *segment, uint64_t offset,
                uint64_t size, const uint8_t **ret_bytes)
{
    struct osr_disk *disk = recovery->wal->disk;
    uint64_t rest = segment->size - offset;
    int code;

    assert(size <= rest && size <= recovery->window.capacity);
    if (recovery->window.segment != segment || offset < recovery->window.begin ||
        offset + size > recovery->window.begin + recovery->window.size) {
        recovery->window.segment = segment;
        recovery->window.begin = offset;
        recovery->window.size = 0;
        code = disk->ops->read(disk, segment->file, offset, recovery->window.bytes,
                               rest < recovery->window.capacity ? (size_t)rest
                                                                : recovery->window.capacity,
                               &recovery->window.size, recovery->err);
        if (code != 0) {
            return code;
        }
        if (recovery->window.size < size) {
            return corrupt(recovery, segment, offset, "the file has become shorter");
        }
    }
    *ret_bytes = recovery->window.bytes + (offset - recovery->window.begin);
    return 0;
}

/* Reads the record at an offset. *ret_span is 0 where none stands. */
static int read_record(struct recovery *recovery, const struct osr_segment *segment,
                       uint64_t offset, struct osr_wal_record *ret_record, uint64_t *ret_synced,
                       uint64_t *ret_span)
{
    const uint8_t *bytes;
    uint64_t span;
    int code;

    *ret_span = 0;
    if (segment->size - offset < OSR_RECORD_HEADER_BYTES) {
        return 0;
    }
    code = look(recovery, segment, offset, OSR_RECORD_HEADER_BYTES, &bytes);
    if (code != 0) {
        return code;
    }
    span = osr_record_probe(segment, offset, bytes);
    if (span == 0) {
        return 0;
    }
    code = look(recovery, segment, offset, span, &bytes);
    if (code == 0 && osr_record_decode(segment, offset, bytes, ret_record, ret_synced)) {
        *ret_span = span;
    }
    return code;
}

/* Begins with the segment at a position, if its START says that it goes on here. */
static int read_start(struct recovery *recovery, size_t position, bool *ret_goes_on)
{
    struct osr_wal *wal = recovery->wal;
    const struct osr_segment *segment = wal->segments[position];
    struct osr_wal_record record;
    uint64_t synced;
    uint64_t span;
    int code = read_record(recovery, segment, OSR_SEGMENT_START_OFFSET, &record, &synced, &span);

    *ret_goes_on = false;
    if (code != 0 || span == 0) {
        return code;
    }
    if (record.type != OSR_RECORD_START) {
        return corrupt(recovery, segment, OSR_SEGMENT_START_OFFSET, "this is no first record");
    }
    if (record.index != osr_wal_index_last_ordinal(wal->index) + 1) {
        if (!recovery->is_started) {
            return corrupt(recovery, segment, OSR_SEGMENT_START_OFFSET, "records are missing");
        }
        return corrupt(recovery, wal->segments[wal->current], wal->end,
                       "a record is damaged or missing");
    }
    osr_wal_move_on(wal, position);
    wal->synced = OSR_SEGMENT_START_OFFSET;
    wal->is_marked = false;
    recovery->is_started = true;
    *ret_goes_on = true;
    return 0;
}

/* Takes a record over into the log and shows it. */
static int accept(struct recovery *recovery, struct osr_wal_record *record, uint64_t offset,
                  uint64_t span)
{
    struct osr_wal *wal = recovery->wal;
    const char *path = wal->segment->path;
    int code;

    wal->is_marked = record->type == OSR_RECORD_MARK;
    if (wal->is_marked) {
        return 0;
    }
    code = osr_wal_index_check(wal->index, record, recovery->err);
    if (code != 0) {
        return (int)osr_err_prefix(recovery->err, "%s: offset %" PRIu64, path, offset);
    }
    osr_wal_index_add(wal->index, record, offset, offset + span);
    if (record->type == OSR_RECORD_VOID || recovery->visit == NULL) {
        return 0;
    }
    return recovery->visit(recovery->context, record, recovery->err);
}

/* Reads the current segment up to where its records end. */
static int read_records(struct recovery *recovery)
{
    struct osr_wal *wal = recovery->wal;
    const struct osr_segment *segment = wal->segment;

    for (;;) {
        struct osr_wal_record record;
        uint64_t synced;
        uint64_t span;
        int code = read_record(recovery, segment, wal->end, &record, &synced, &span);
        if (code == 0 && span > 0) {
            code = accept(recovery, &record, wal->end, span);
        }
        if (code != 0 || span == 0) {
            return code;
        }
        wal->end += span;
        if (synced > wal->synced) {
            wal->synced = synced;
        }
    }
}

static int read_segments(struct recovery *recovery)
{
    for (size_t i = 0; i < recovery->wal->segment_count; i++) {
        bool goes_on;
        int code = read_start(recovery, i, &goes_on);
        if (code == 0 && goes_on) {
            code = read_records(recovery);
        }
        if (code != 0 || !goes_on) {
            return code;
        }
    }
    return 0;
}

static int check_voids(const struct recovery *recovery)
{
    const struct osr_wal *wal = recovery->wal;

    if (osr_wal_index_check_voids(wal->index, recovery->err) == 0) {
        return 0;
    }
    return (int)osr_err_prefix(recovery->err, "%s", wal->folder);
}

/* Where the records end, as judged so far. */
static uint64_t end_of(const struct recovery *recovery, size_t position)
{
    const struct osr_wal *wal = recovery->wal;

    return recovery->is_started && position == wal->current ? wal->end : OSR_SEGMENT_START_OFFSET;
}

/* Moves *offset to where a segment has something other than zeros, or to its end. */
static int skip_zeros(struct recovery *recovery, const struct osr_segment *segment,
                      uint64_t *offset)
{
    size_t step = ZERO_BYTES;

    while (*offset < segment->size) {
        const uint8_t *bytes;
        int code;
        if (step > segment->size - *offset) {
            step = (size_t)(segment->size - *offset);
        }
        code = look(recovery, segment, *offset, step, &bytes);
        if (code != 0) {
            return code;
        }
        if (memcmp(bytes, zeros, step) == 0) {
            *offset += step;
        } else if (step > OSR_SEGMENT_UNIT_BYTES) {
            step = OSR_SEGMENT_UNIT_BYTES;
        } else {
            break;
        }
    }
    return 0;
}

/* Looks behind the end for a record that vouches for what should stand there. *ret_dirty: behind
 * the last byte that is not zero. */
static int judge_tail(struct recovery *recovery, size_t position, uint64_t *ret_dirty)
{
    const struct osr_wal *wal = recovery->wal;
    const struct osr_segment *segment = wal->segments[position];
    uint64_t end = end_of(recovery, wal->current);
    uint64_t offset = end_of(recovery, position);

    for (;;) {
        struct osr_wal_record record;
        uint64_t synced;
        uint64_t span;
        int code;
        *ret_dirty = offset;
        code = skip_zeros(recovery, segment, &offset);
        if (code != 0 || offset == segment->size) {
            return code;
        }
        code = read_record(recovery, segment, offset, &record, &synced, &span);
        if (code != 0) {
            return code;
        }
        if (span > 0 && (position > wal->current || synced > end)) {
            return corrupt(recovery, wal->segments[wal->current], end,
                           "a record that was safe on disk is damaged");
        }
        offset += span > 0 ? span : OSR_SEGMENT_UNIT_BYTES;
    }
}

static int write_zeros(struct osr_wal *wal, const struct osr_segment *segment, uint64_t offset,
                       uint64_t end)
{
    int code = 0;

    while (code == 0 && offset < end) {
        size_t size = end - offset < ZERO_BYTES ? (size_t)(end - offset) : ZERO_BYTES;
        code = osr_wal_write_segment(wal, segment, offset, zeros, size);
        offset += size;
    }
    return code;
}

/* Writes the un-vouched end of the records again. */
static int write_end_again(struct recovery *recovery)
{
    struct osr_wal *wal = recovery->wal;
    const struct osr_segment *segment = wal->segment;
    uint64_t offset = wal->synced;

    while (offset < wal->end) {
        uint64_t rest = wal->end - offset;
        uint64_t size = rest < recovery->window.capacity ? rest : recovery->window.capacity;
        const uint8_t *bytes;
        int code = look(recovery, segment, offset, size, &bytes);
        if (code != 0) {
            return code;
        }
        if (osr_wal_write_segment(wal, segment, offset, bytes, (size_t)size) != 0) {
            return osr_wal_refuse(wal, recovery->err);
        }
        offset += size;
    }
    return 0;
}

/* Makes one segment end for good where it ends. */
static int cut_segment(struct recovery *recovery, size_t position, uint64_t dirty)
{
    struct osr_wal *wal = recovery->wal;
    const struct osr_segment *segment = wal->segments[position];
    uint64_t end = end_of(recovery, position);
    bool is_current = recovery->is_started && position == wal->current;
    int code = is_current ? write_end_again(recovery) : 0;

    if (code != 0) {
        return code;
    }
    if (dirty > end) {
        osr_trace(&wal->options.trace, OSR_LEVEL_WARNING,
                  "log: %s: cut a torn tail of %" PRIu64 " bytes at offset %" PRIu64, segment->path,
                  dirty - end, end);
    }
    code = write_zeros(wal, segment, end, dirty);
    if (code == 0 && (is_current || dirty > end)) {
        code = osr_wal_sync_segment(wal, segment);
    }
    return code == 0 ? 0 : osr_wal_refuse(wal, recovery->err);
}

/* Everything is judged before anything is written. */
static int settle_tail(struct recovery *recovery)
{
    struct osr_wal *wal = recovery->wal;
    uint64_t *dirty = osr_alloc(wal->segment_count * sizeof(*dirty));
    int code = 0;

    for (size_t i = wal->current; code == 0 && i < wal->segment_count; i++) {
        code = judge_tail(recovery, i, &dirty[i]);
    }
    for (size_t i = wal->current; code == 0 && i < wal->segment_count; i++) {
        code = cut_segment(recovery, i, dirty[i]);
    }
    free(dirty);
    if (code == 0 && recovery->is_started) {
        wal->synced = wal->end;
    }
    return code;
}

static size_t window_capacity(const struct osr_wal *wal)
{
    uint64_t largest = 0;

    for (size_t i = 0; i < wal->segment_count; i++) {
        if (wal->segments[i]->size > largest) {
            largest = wal->segments[i]->size;
        }
    }
    return largest < WINDOW_BYTES ? (size_t)largest : WINDOW_BYTES;
}

static int recover(struct osr_wal *wal, osr_wal_visit *visit, void *context, struct osr_err *err)
{
    struct osr_err unwanted;
    struct recovery recovery = {
        .wal = wal,
        .visit = visit,
        .context = context,
        .window.capacity = window_capacity(wal),
        .err = err != NULL ? err : &unwanted,
    };
    int code;

    recovery.window.bytes = osr_alloc(recovery.window.capacity);
    code = read_segments(&recovery);
    if (code == 0) {
        code = check_voids(&recovery);
    }
    if (code == 0) {
        code = settle_tail(&recovery);
    }
    free(recovery.window.bytes);
    if (code == 0 && !recovery.is_started) {
        code = osr_wal_start_segment(wal, 0, err);
    }
    osr_wal_index_publish(wal->index);
    wal->durable = osr_wal_index_last_ordinal(wal->index);
    return code;
}

static struct osr_wal *wal_new(struct osr_disk *disk, const char *folder,
                               const struct osr_wal_options *options)
{
    struct osr_wal *wal = osr_alloc(sizeof(*wal));

    wal->disk = disk;
    wal->folder = osr_strdup(folder);
    wal->options = *options;
    wal->may_join = true;
    if (wal->options.segment_bytes_min == 0) {
        wal->options.segment_bytes_min = OSR_WAL_SEGMENT_BYTES_MIN;
    }
    if (wal->options.segment_bytes_max == 0) {
        wal->options.segment_bytes_max = OSR_WAL_SEGMENT_BYTES_MAX;
    }
    pthread_mutex_init(&wal->make_lock, NULL);
    pthread_mutex_init(&wal->lock, NULL);
    osr_random_init(&wal->salts, options->seed);
    wal->index = osr_wal_index_create(osr_random_u64(&wal->salts), options->fact_key);
    return wal;
}

static void wal_free(struct osr_wal *wal)
{
    for (size_t i = 0; i < wal->segment_count; i++) {
        osr_segment_close(wal->disk, wal->segments[i]);
    }
    free(wal->segments);
    osr_wal_index_destroy(wal->index);
    osr_buffer_done(&wal->buffer);
    pthread_mutex_destroy(&wal->lock);
    pthread_mutex_destroy(&wal->make_lock);
    free(wal->folder);
    free(wal);
}

int osr_wal_open(struct osr_disk *disk, const char *folder, const struct osr_wal_options *options,
                 osr_wal_visit *visit, void *context, struct osr_wal **ret_wal, struct osr_err *err)
{
    struct osr_wal *wal = wal_new(disk, folder, options);
    struct osr_buffer replaced = {0};
    int code;

    assert(wal->options.segment_bytes_min <= wal->options.segment_bytes_max &&
           wal->options.segment_bytes_min >= OSR_WAL_SEGMENT_BYTES_LEAST &&
           wal->options.segment_bytes_min % OSR_SEGMENT_UNIT_BYTES == 0 &&
           wal->options.segment_bytes_max % OSR_SEGMENT_UNIT_BYTES == 0);
    code = osr_wal_open_segments(wal, &replaced, err);
    if (code == 0) {
        code = recover(wal, visit, context, err);
    }
    if (code == 0) {
        code = osr_wal_remove_replaced(wal, &replaced, err);
    }
    osr_buffer_done(&replaced);
    if (code == OSR_CORRUPT || code == OSR_FOREIGN_FILE) {
        osr_wal_hint(err);
    }
    if (code != 0) {
        wal_free(wal);
        return code;
    }
    *ret_wal = wal;
    return 0;
}

void osr_wal_close(struct osr_wal *wal)
{
    if (wal == NULL) {
        return;
    }
    osr_wal_mark(wal, NULL);
    wal_free(wal);
}
