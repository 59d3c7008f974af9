/* Recovery over arbitrary segments. Raw bytes would never get past the checks, so the input is a
 * list of commands that build segments out of records, whole ones and others. Whatever is
 * in them, the log is refused and left alone, or it opens; and what it gave at open it gives
 * again, at the next open and to readers. */
#include "fuzz.h"

#include "adapter/wal.h"
#include "adapter/wal_segment.h"
#include "adapter/wal_void.h"
#include "lib/sim_disk.h"

enum { SEGMENT_BYTES = 16 << 10, SEGMENTS = 4 };

static const char *const paths[SEGMENTS] = {"log/0000000001.seg", "log/0000000002.seg",
                                            "log/0000000003.seg", "log/0000000004.seg"};

static const struct osr_wal_options options = {
    .segment_bytes_min = SEGMENT_BYTES,
    .segment_bytes_max = SEGMENT_BYTES,
};

/* Builds segments from the input. */
struct builder {
    const uint8_t *data;
    size_t left;
    struct osr_sim_disk *sim;
    struct osr_segment *segments[SEGMENTS];
    size_t current;
    uint64_t offset; /* in the current segment */
    uint64_t synced;
    uint64_t ordinal; /* of the last record */
    uint64_t base[4]; /* of each log */
    uint64_t last[4]; /* index of the last entry of each log, or its base */
};

static uint8_t take(struct builder *builder)
{
    if (builder->left == 0)
        return 0;
    builder->left--;
    return *builder->data++;
}

static void put_record(struct builder *builder, const struct osr_wal_record *record)
{
    struct osr_disk *disk = osr_sim_disk_port(builder->sim);
    const struct osr_segment *segment = builder->segments[builder->current];
    struct osr_buffer bytes = {0};

    if (osr_record_span(record->payload.size) > segment->size - builder->offset)
        return;
    osr_record_encode(&bytes, segment, builder->offset, builder->synced, record);
    MUST(disk->ops->write(disk, segment->file, builder->offset, bytes.data, bytes.size, NULL) == 0);
    builder->offset += bytes.size;
    osr_buffer_done(&bytes);
}

static void begin_segment(struct builder *builder, size_t current)
{
    struct osr_wal_record start = {.type = OSR_RECORD_START, .index = builder->ordinal + 1};

    builder->current = current;
    builder->offset = builder->synced = OSR_SEGMENT_START_OFFSET;
    put_record(builder, &start);
}

/* A record as the log would write it. */
static void add_record(struct builder *builder)
{
    uint8_t choice = take(builder);
    uint8_t log_id = choice >> 6;
    struct osr_wal_record record = {
        .type = (enum osr_wal_type)(OSR_WAL_FACT + choice % 7),
        .log_id = log_id,
        .index = builder->last[log_id],
        .payload = osr_slice(builder->data, 0),
    };

    record.payload.size = take(builder) % 64;
    if (record.payload.size > builder->left)
        record.payload.size = builder->left;
    record.payload.data = builder->data;
    if (record.type == OSR_WAL_HEAD && record.index == builder->base[log_id])
        return;
    if (record.type == OSR_WAL_ENTRY)
        record.index = ++builder->last[log_id];
    if (record.type == OSR_WAL_TRUNCATE && record.index > builder->base[log_id])
        record.index = builder->last[log_id] = record.index - 1;
    if (record.type == OSR_WAL_BASE) {
        record.index = builder->base[log_id] + take(builder) % 4;
        builder->base[log_id] = record.index;
        if (builder->last[log_id] < record.index)
            builder->last[log_id] = record.index;
    }
    put_record(builder, &record);
    builder->ordinal++;
}

/* What a compaction leaves of entries that a later base will void, or of other records. */
static void add_void(struct builder *builder)
{
    uint8_t choice = take(builder);
    uint8_t log_id = choice >> 6;
    struct osr_wal_hole hole = {log_id, 1 + (uint32_t)take(builder) % 8, builder->last[log_id] + 1};
    uint8_t payload[OSR_WAL_HOLE_BYTES];
    struct osr_wal_record record = {
        .type = OSR_RECORD_VOID,
        .index = hole.count + choice % 4,
        .payload = osr_slice(payload, choice % 8 == 0 ? 0 : sizeof(payload)),
    };

    osr_wal_hole_encode(&hole, payload);
    if (record.index == 0)
        return;
    put_record(builder, &record);
    builder->ordinal += record.index;
    if (record.payload.size > 0)
        builder->last[log_id] += hole.count;
}

/* A record that checks and says anything. */
static void add_odd_record(struct builder *builder)
{
    size_t size = take(builder) % 40;
    struct osr_wal_record record = {
        .type = (enum osr_wal_type)take(builder),
        .log_id = take(builder) % 4,
        .index = take(builder),
    };

    record.payload = osr_slice(builder->data, size < builder->left ? size : builder->left);
    put_record(builder, &record);
}

static void add_bytes(struct builder *builder)
{
    struct osr_disk *disk = osr_sim_disk_port(builder->sim);
    const struct osr_segment *segment = builder->segments[builder->current];
    size_t size = take(builder);

    if (size > builder->left)
        size = builder->left;
    if (size > segment->size - builder->offset)
        return;
    MUST(disk->ops->write(disk, segment->file, builder->offset, builder->data, size, NULL) == 0);
    builder->data += size;
    builder->left -= size;
}

static void flip(struct builder *builder)
{
    uint64_t offset = (uint64_t)take(builder) << 8 | take(builder);
    uint8_t mask = take(builder);

    osr_sim_disk_flip(builder->sim, paths[builder->current], offset % SEGMENT_BYTES, mask);
}

static void build(struct builder *builder)
{
    begin_segment(builder, 0);
    while (builder->left > 0) {
        switch (take(builder) % 10) {
        case 0:
            add_odd_record(builder);
            break;
        case 1:
            add_bytes(builder);
            break;
        case 2: /* a gap */
            if (builder->offset + 512 < SEGMENT_BYTES)
                builder->offset += OSR_SEGMENT_UNIT_BYTES * (uint64_t)(1 + take(builder) % 64);
            break;
        case 3:
            flip(builder);
            break;
        case 4:
            if (builder->current + 1 < SEGMENTS)
                begin_segment(builder, builder->current + 1);
            break;
        case 5:
            builder->synced = builder->offset;
            break;
        case 6:
            add_void(builder);
            break;
        default:
            add_record(builder);
        }
    }
}

static void make_segments(struct builder *builder)
{
    struct osr_disk *disk = osr_sim_disk_port(builder->sim);

    MUST(disk->ops->make_folder(disk, "log", NULL) == 0);
    MUST(disk->ops->sync_folder(disk, ".", NULL) == 0);
    for (size_t i = 0; i < SEGMENTS; i++)
        MUST(osr_segment_create(disk, "log", i + 1, SEGMENT_BYTES, i, &builder->segments[i],
                                NULL) == 0);
    build(builder);
    for (size_t i = 0; i < SEGMENTS; i++) {
        MUST(disk->ops->sync(disk, builder->segments[i]->file, NULL) == 0);
        osr_segment_close(disk, builder->segments[i]);
    }
}

/* Writes down a record, so that two walks can be compared. */
static int note(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    osr_buffer_add_format(context, "%llu %d %u %llu ", (unsigned long long)record->ordinal,
                          (int)record->type, record->log_id, (unsigned long long)record->index);
    osr_buffer_add(context, record->payload.data, record->payload.size);
    return 0;
}

static void copy_files(struct osr_sim_disk *sim, struct osr_buffer *files)
{
    files->size = 0;
    for (size_t i = 0; i < SEGMENTS; i++) {
        struct osr_slice content = osr_sim_disk_content(sim, paths[i]);
        osr_buffer_add(files, content.data, content.size);
    }
}

/* What is read is the same after all that is void is gone. */
static void compact(struct osr_wal *wal, const struct osr_buffer *before)
{
    struct osr_buffer after = {0};

    while (osr_wal_is_compactable(wal))
        MUST(osr_wal_compact(wal, NULL) == 0);
    MUST(osr_wal_read_from(wal, 1, note, &after, NULL) == 0);
    MUST(osr_slice_equal(osr_buffer_slice(before), osr_buffer_slice(&after)));
    osr_buffer_done(&after);
}

static void append_and_open_again(struct osr_sim_disk *sim, struct osr_wal *wal,
                                  struct osr_buffer *notes)
{
    struct osr_disk *disk = osr_sim_disk_port(sim);
    struct osr_wal_record record = {.type = OSR_WAL_FACT, .payload = osr_slice("new", 3)};
    struct osr_buffer again = {0};

    MUST(osr_wal_append(wal, &record, 1, NULL) == 0);
    MUST(osr_wal_sync(wal, NULL) == 0);
    note(notes, &record, NULL);
    osr_wal_close(wal);
    osr_sim_disk_power_cut(sim);
    MUST(osr_wal_open(disk, "log", &options, note, &again, &wal, NULL) == 0);
    MUST(osr_slice_equal(osr_buffer_slice(notes), osr_buffer_slice(&again)));
    again.size = 0;
    MUST(osr_wal_read_from(wal, 1, note, &again, NULL) == 0);
    MUST(again.size <= notes->size);
    compact(wal, &again);
    osr_wal_close(wal);
    osr_buffer_done(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct builder builder = {.data = data, .left = size, .sim = osr_sim_disk_create(1)};
    struct osr_buffer before = {0};
    struct osr_buffer after = {0};
    struct osr_buffer notes = {0};
    struct osr_err err;
    struct osr_wal *wal;

    make_segments(&builder);
    copy_files(builder.sim, &before);
    if (osr_wal_open(osr_sim_disk_port(builder.sim), "log", &options, note, &notes, &wal, &err) ==
        0) {
        append_and_open_again(builder.sim, wal, &notes);
    } else {
        MUST(err.code == OSR_CORRUPT || err.code == OSR_FOREIGN_FILE);
        copy_files(builder.sim, &after);
        MUST(osr_slice_equal(osr_buffer_slice(&before), osr_buffer_slice(&after)));
    }
    osr_buffer_done(&before);
    osr_buffer_done(&after);
    osr_buffer_done(&notes);
    osr_sim_disk_destroy(builder.sim);
    return 0;
}
