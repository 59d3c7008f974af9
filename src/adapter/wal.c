/* Writing: append, sync, mark, prepare. */
#include "adapter/wal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/wal_state.h"

enum {
    BUFFER_BYTES_KEPT = 8 << 20, /* what an unusually large batch needed is given back after it */
    BLOCK_BYTES = 4096,          /* of page caches and most disks */
};
static const uint8_t zeros[BLOCK_BYTES];

/* The process must end after this, so all that may be wanted is to know why. */
static int fail_for_good(struct osr_wal *wal, int code)
{
    if (code != 0) {
        wal->failure.code = OSR_IO;
    }
    return code;
}

int osr_wal_refuse(const struct osr_wal *wal, struct osr_err *err)
{
    if (err != NULL) {
        *err = wal->failure;
    }
    return (int)wal->failure.code;
}

int osr_wal_write_segment(struct osr_wal *wal, const struct osr_segment *segment, uint64_t offset,
                          const void *data, size_t size)
{
    const struct osr_disk_ops *ops = wal->disk->ops;

    return fail_for_good(wal,
                         ops->write(wal->disk, segment->file, offset, data, size, &wal->failure));
}

int osr_wal_sync_segment(struct osr_wal *wal, const struct osr_segment *segment)
{
    return fail_for_good(wal, wal->disk->ops->sync(wal->disk, segment->file, &wal->failure));
}

/* Making segments. */

/* With make_lock held, so that the last one stays what it is. */
static const struct osr_segment *last_segment(struct osr_wal *wal)
{
    const struct osr_segment *last = NULL;

    pthread_mutex_lock(&wal->lock);
    if (wal->segment_count > 0) {
        last = wal->segments[wal->segment_count - 1];
    }
    pthread_mutex_unlock(&wal->lock);
    return last;
}

static uint64_t next_segment_bytes(const struct osr_wal *wal, const struct osr_segment *last)
{
    uint64_t bytes = wal->options.segment_bytes_min;

    if (last != NULL && last->size * 2 > bytes) {
        bytes = last->size * 2;
    }
    return bytes < wal->options.segment_bytes_max ? bytes : wal->options.segment_bytes_max;
}

/* With make_lock held, so nobody else adds a segment. */
static int make_segment(struct osr_wal *wal, struct osr_err *err)
{
    const struct osr_segment *last = last_segment(wal);
    struct osr_segment *segment;
    int code = osr_segment_create(
        wal->disk, wal->folder, last == NULL ? 1 : osr_segment_last(last) + 1,
        next_segment_bytes(wal, last), osr_random_u64(&wal->salts), &segment, err);

    if (code != 0) {
        return code;
    }
    pthread_mutex_lock(&wal->lock);
    wal->segments =
        osr_realloc(wal->segments, (wal->segment_count + 1) * sizeof(struct osr_segment *));
    wal->segments[wal->segment_count++] = segment;
    pthread_mutex_unlock(&wal->lock);
    osr_trace(&wal->options.trace, OSR_LEVEL_TRACE, "log: made %s, %" PRIu64 " bytes",
              segment->path, segment->size);
    return 0;
}

/* The segment that is so far ahead of the current one; NULL if it is not there. */
static const struct osr_segment *find_segment(struct osr_wal *wal, size_t ahead)
{
    const struct osr_segment *segment = NULL;

    pthread_mutex_lock(&wal->lock);
    if (wal->current + ahead < wal->segment_count) {
        segment = wal->segments[wal->current + ahead];
    }
    pthread_mutex_unlock(&wal->lock);
    return segment;
}

/* The same, made if it is not there. */
static int need_segment(struct osr_wal *wal, size_t ahead, const struct osr_segment **ret_segment,
                        struct osr_err *err)
{
    int code = 0;

    pthread_mutex_lock(&wal->make_lock);
    *ret_segment = find_segment(wal, ahead);
    while (code == 0 && *ret_segment == NULL) {
        code = make_segment(wal, err);
        *ret_segment = find_segment(wal, ahead);
    }
    pthread_mutex_unlock(&wal->make_lock);
    return code;
}

int osr_wal_prepare(struct osr_wal *wal, struct osr_err *err)
{
    const struct osr_segment *segment;
    bool is_due;

    pthread_mutex_lock(&wal->lock);
    is_due =
        wal->segment_count == wal->current + 1 && wal->end >= wal->segments[wal->current]->size / 4;
    pthread_mutex_unlock(&wal->lock);
    return is_due ? need_segment(wal, 1, &segment, err) : 0;
}

/* Writing to them. */

/* A block that is written in part is read first, where it is not in memory, and new segments are
 * not. Behind the end there is nothing but zeros, so they can be written along. */
static void fill_block(struct osr_wal *wal, const struct osr_segment *segment, uint64_t offset)
{
    uint64_t end = offset + wal->buffer.size;
    uint64_t filled = (end + BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES;

    osr_buffer_add(&wal->buffer, zeros, (filled < segment->size ? filled : segment->size) - end);
}

/* Taking them into use. */

/* A record of the log's own, at the end of the current segment. */
static int write_own_record(struct osr_wal *wal, const struct osr_segment *segment,
                            enum osr_wal_type type, uint64_t offset)
{
    struct osr_wal_record record = {
        .type = type,
        .index = osr_wal_index_last_ordinal(wal->index) + 1,
    };

    wal->buffer.size = 0;
    osr_record_encode(&wal->buffer, segment, offset, wal->synced, &record);
    fill_block(wal, segment, offset);
    return osr_wal_write_segment(wal, segment, offset, wal->buffer.data, wal->buffer.size);
}

void osr_wal_move_on(struct osr_wal *wal, size_t position)
{
    wal->segments[wal->current]->used = wal->end;
    wal->full += wal->end;
    wal->current = position;
    wal->segment = wal->segments[position];
    wal->end = OSR_SEGMENT_FIRST_OFFSET;
    osr_wal_index_begin_segment(wal->index);
}

int osr_wal_start_segment(struct osr_wal *wal, size_t ahead, struct osr_err *err)
{
    const struct osr_segment *segment;
    int code = need_segment(wal, ahead, &segment, err);

    if (code != 0) {
        return code;
    }
    wal->synced = OSR_SEGMENT_START_OFFSET;
    code = write_own_record(wal, segment, OSR_RECORD_START, OSR_SEGMENT_START_OFFSET);
    if (code == 0) {
        code = osr_wal_sync_segment(wal, segment);
    }
    if (code != 0) {
        return osr_wal_refuse(wal, err);
    }
    pthread_mutex_lock(&wal->lock);
    osr_wal_move_on(wal, wal->current + ahead);
    pthread_mutex_unlock(&wal->lock);
    wal->synced = OSR_SEGMENT_FIRST_OFFSET;
    return 0;
}

static int roll_over(struct osr_wal *wal, struct osr_err *err)
{
    int code = osr_wal_sync(wal, err);

    return code != 0 ? code : osr_wal_start_segment(wal, 1, err);
}

/* Appending. */

static uint64_t payload_bytes_max(const struct osr_wal *wal)
{
    uint64_t overhead = OSR_SEGMENT_FIRST_OFFSET + osr_record_span(0) + OSR_SEGMENT_UNIT_BYTES;
    uint64_t fits = wal->options.segment_bytes_min - overhead;

    return fits < OSR_WAL_PAYLOAD_BYTES_MAX ? fits : OSR_WAL_PAYLOAD_BYTES_MAX;
}

static bool may_use_reserve(const struct osr_wal_record *records, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (records[i].type != OSR_WAL_VOTE && records[i].type != OSR_WAL_TRUNCATE &&
            records[i].type != OSR_WAL_BASE) {
            return false;
        }
    }
    return true;
}

static uint64_t reserve_bytes(const struct osr_segment *segment)
{
    uint64_t share = segment->size / OSR_WAL_RESERVE_SHARE;

    return share < OSR_WAL_RESERVE_BYTES ? share : OSR_WAL_RESERVE_BYTES;
}

/* Makes the segments that a batch needs, before any of it is written: those that it goes to, and
 * one more where it would end in what is kept of the last of them. */
static int make_room(struct osr_wal *wal, const struct osr_wal_record *records, size_t count,
                     struct osr_err *err)
{
    const struct osr_segment *segment = wal->segment;
    uint64_t room = segment->size - wal->end;
    size_t ahead = 0;
    int code = 0;

    for (size_t i = 0; i < count; i++) {
        uint64_t span = osr_record_span(records[i].payload.size);
        if (records[i].payload.size > payload_bytes_max(wal)) {
            return (int)osr_err_set(err, OSR_TOO_LARGE,
                                    "a record of %zu bytes for the log, at most %" PRIu64,
                                    records[i].payload.size, payload_bytes_max(wal));
        }
        while (code == 0 && span > room) {
            code = need_segment(wal, ++ahead, &segment, err);
            room = code == 0 ? segment->size - OSR_SEGMENT_FIRST_OFFSET : 0;
        }
        if (code != 0) {
            return code;
        }
        room -= span;
    }
    if (room < reserve_bytes(segment) && !may_use_reserve(records, count)) {
        code = need_segment(wal, ahead + 1, &segment, err);
    }
    return code;
}

/* How many of the records the current segment takes, and to where they fill it. */
static size_t count_fitting(const struct osr_wal *wal, const struct osr_wal_record *records,
                            size_t count, uint64_t *ret_end)
{
    uint64_t size = wal->segment->size;
    size_t fitting = 0;

    *ret_end = wal->end;
    while (fitting < count) {
        uint64_t span = osr_record_span(records[fitting].payload.size);
        if (span > size - *ret_end) {
            break;
        }
        *ret_end += span;
        fitting++;
    }
    return fitting;
}

static void encode(struct osr_wal *wal, const struct osr_wal_record *records, size_t count,
                   uint64_t end)
{
    wal->buffer.size = 0;
    osr_buffer_reserve(&wal->buffer, (size_t)(end - wal->end) + BLOCK_BYTES);
    for (size_t i = 0; i < count; i++) {
        osr_record_encode(&wal->buffer, wal->segment, wal->end + wal->buffer.size, wal->synced,
                          &records[i]);
    }
    fill_block(wal, wal->segment, wal->end);
}

/* Before the write, so that a record which may not come next never gets to the disk. */
static void add_to_index(struct osr_wal *wal, struct osr_wal_record *records, size_t count)
{
    uint64_t offset = wal->end;

    pthread_mutex_lock(&wal->lock);
    for (size_t i = 0; i < count; i++) {
        uint64_t next = offset + osr_record_span(records[i].payload.size);
        assert(osr_wal_index_check(wal->index, &records[i], NULL) == 0);
        osr_wal_index_add(wal->index, &records[i], offset, next);
        offset = next;
    }
    pthread_mutex_unlock(&wal->lock);
}

/* Writes records that fit into the current segment and fill it up to `end`. */
static int append_to_segment(struct osr_wal *wal, struct osr_wal_record *records, size_t count,
                             uint64_t end, struct osr_err *err)
{
    encode(wal, records, count, end);
    add_to_index(wal, records, count);
    wal->is_dirty = true;
    wal->is_marked = false;
    if (osr_wal_write_segment(wal, wal->segment, wal->end, wal->buffer.data, wal->buffer.size) !=
        0) {
        return osr_wal_refuse(wal, err);
    }
    pthread_mutex_lock(&wal->lock);
    wal->end = end;
    osr_wal_index_publish(wal->index);
    pthread_mutex_unlock(&wal->lock);
    return 0;
}

int osr_wal_append(struct osr_wal *wal, struct osr_wal_record *records, size_t count,
                   struct osr_err *err)
{
    int code;

    if (wal->failure.code != OSR_OK) {
        return osr_wal_refuse(wal, err);
    }
    code = make_room(wal, records, count, err);
    while (code == 0 && count > 0) {
        uint64_t end;
        size_t fitting = count_fitting(wal, records, count, &end);
        if (fitting == 0) {
            code = roll_over(wal, err);
            continue;
        }
        code = append_to_segment(wal, records, fitting, end, err);
        records += fitting;
        count -= fitting;
    }
    if (wal->buffer.capacity > BUFFER_BYTES_KEPT) {
        osr_buffer_done(&wal->buffer);
    }
    return code;
}

int osr_wal_sync(struct osr_wal *wal, struct osr_err *err)
{
    if (wal->failure.code != OSR_OK) {
        return osr_wal_refuse(wal, err);
    }
    if (!wal->is_dirty) {
        return 0;
    }
    if (osr_wal_sync_segment(wal, wal->segment) != 0) {
        return osr_wal_refuse(wal, err);
    }
    pthread_mutex_lock(&wal->lock);
    wal->durable = osr_wal_index_last_ordinal(wal->index);
    pthread_mutex_unlock(&wal->lock);
    wal->synced = wal->end;
    wal->is_dirty = false;
    return 0;
}

int osr_wal_mark(struct osr_wal *wal, struct osr_err *err)
{
    uint64_t span = osr_record_span(0);

    if (wal->failure.code != OSR_OK) {
        return osr_wal_refuse(wal, err);
    }
    if (wal->is_marked || wal->is_dirty || span > wal->segment->size - wal->end) {
        return 0;
    }
    if (write_own_record(wal, wal->segment, OSR_RECORD_MARK, wal->end) != 0) {
        return osr_wal_refuse(wal, err);
    }
    pthread_mutex_lock(&wal->lock);
    wal->end += span;
    pthread_mutex_unlock(&wal->lock);
    wal->is_marked = true;
    return 0;
}

uint64_t osr_wal_last_index(struct osr_wal *wal, uint32_t log_id)
{
    uint64_t index;

    pthread_mutex_lock(&wal->lock);
    index = osr_wal_index_last_index(wal->index, log_id);
    pthread_mutex_unlock(&wal->lock);
    return index;
}

uint64_t osr_wal_base_index(struct osr_wal *wal, uint32_t log_id)
{
    uint64_t index;

    pthread_mutex_lock(&wal->lock);
    index = osr_wal_index_base_index(wal->index, log_id);
    pthread_mutex_unlock(&wal->lock);
    return index;
}

uint64_t osr_wal_last_ordinal(struct osr_wal *wal)
{
    uint64_t ordinal;

    pthread_mutex_lock(&wal->lock);
    ordinal = osr_wal_index_last_ordinal(wal->index);
    pthread_mutex_unlock(&wal->lock);
    return ordinal;
}

uint64_t osr_wal_bytes(struct osr_wal *wal)
{
    uint64_t bytes;

    pthread_mutex_lock(&wal->lock);
    bytes = wal->full + wal->end;
    pthread_mutex_unlock(&wal->lock);
    return bytes;
}
