#include "adapter/wal_segment.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/durable_name.h"
#include "base/crc32c.h"

/* The header, in bytes. Magic, CRC and format stay where they are in every later format. */
enum {
    HEADER_BYTES = OSR_SEGMENT_START_OFFSET,
    MAGIC_AT = 0,
    CRC_AT = 8,
    FORMAT_AT = 12, /* from here on under the CRC */
    SEQUENCE_AT = 16,
    SIZE_AT = 24,
    SALT_AT = 32,
    JOINED_AT = 40,
};
static const char magic[] = "OSIRISWL";
_Static_assert(sizeof(magic) - 1 == CRC_AT, "magic has eight bytes");

/* A record, in bytes. */
enum {
    RECORD_CRC_AT = 0,
    RECORD_LENGTH_AT = 4, /* from here on under both checks */
    RECORD_SYNCED_AT = 8,
    RECORD_LOG_ID_AT = 12,
    RECORD_INDEX_AT = 16,
    RECORD_TYPE_AT = 24,
    RECORD_FORMAT_AT = 25,
    RECORD_CHECK_AT = 26,
    RECORD_PAYLOAD_AT = 28,
};
_Static_assert((int)RECORD_PAYLOAD_AT == (int)OSR_RECORD_HEADER_BYTES,
               "header ends where payload begins");

enum { NAME_BYTES_MAX = 40 };

static char *segment_path(const char *folder, uint64_t sequence, const char *suffix)
{
    return osr_format("%s/%010" PRIu64 ".seg%s", folder, sequence, suffix);
}

static struct osr_segment *segment_new(const char *folder, uint64_t sequence)
{
    struct osr_segment *segment = osr_alloc(sizeof(*segment));

    segment->path = segment_path(folder, sequence, "");
    segment->sequence = sequence;
    segment->holders = 1;
    return segment;
}

void osr_segment_close(struct osr_disk *disk, struct osr_segment *segment)
{
    if (segment == NULL) {
        return;
    }
    disk->ops->close(disk, segment->file);
    free(segment->path);
    free(segment);
}

static uint32_t header_crc(const uint8_t *header)
{
    return osr_crc32c(0, header + FORMAT_AT, HEADER_BYTES - FORMAT_AT);
}

static int write_header(struct osr_disk *disk, struct osr_segment *segment, uint64_t salt,
                        struct osr_err *err)
{
    uint8_t header[HEADER_BYTES] = {0};

    memcpy(header + MAGIC_AT, magic, sizeof(magic) - 1);
    osr_put_u32(header + FORMAT_AT,
                segment->joined > 0 ? OSR_SEGMENT_FORMAT_JOINED : OSR_SEGMENT_FORMAT);
    osr_put_u64(header + SEQUENCE_AT, segment->sequence);
    osr_put_u64(header + SIZE_AT, segment->size);
    osr_put_u64(header + SALT_AT, salt);
    osr_put_u64(header + JOINED_AT, segment->joined);
    segment->seed = header_crc(header);
    osr_put_u32(header + CRC_AT, segment->seed);
    return disk->ops->write(disk, segment->file, 0, header, sizeof(header), err);
}

/* Opens a new file under the temporary name. */
static int open_temporary(struct osr_disk *disk, const char *folder, struct osr_segment *segment,
                          struct osr_err *err)
{
    char *temporary = segment_path(folder, segment->sequence, ".tmp");
    int code = disk->ops->open(disk, temporary, true, &segment->file, err);

    free(temporary);
    return code;
}

void osr_segment_discard(struct osr_disk *disk, const char *folder, struct osr_segment *draft)
{
    char *temporary = segment_path(folder, draft->sequence, ".tmp");

    disk->ops->remove(disk, temporary, NULL);
    free(temporary);
    osr_segment_close(disk, draft);
}

static int publish_new(struct osr_disk *disk, const char *folder, const struct osr_segment *segment,
                       struct osr_err *err)
{
    char *temporary = segment_path(folder, segment->sequence, ".tmp");
    int code = osr_durable_rename(disk, folder, temporary, segment->path, err);

    free(temporary);
    return code;
}

int osr_segment_create(struct osr_disk *disk, const char *folder, uint64_t sequence, uint64_t size,
                       uint64_t salt, struct osr_segment **ret_segment, struct osr_err *err)
{
    struct osr_segment *segment = segment_new(folder, sequence);
    int code;

    segment->size = size;
    code = open_temporary(disk, folder, segment, err);
    if (code != 0) {
        goto fail_open;
    }
    code = disk->ops->zero(disk, segment->file, size, err);
    if (code != 0) {
        goto fail_fill;
    }
    code = write_header(disk, segment, salt, err);
    if (code != 0) {
        goto fail_fill;
    }
    code = disk->ops->sync(disk, segment->file, err);
    if (code != 0) {
        goto fail_fill;
    }
    code = publish_new(disk, folder, segment, err);
    if (code != 0) {
        goto fail_fill;
    }
    *ret_segment = segment;
    return 0;

fail_fill:
    osr_segment_discard(disk, folder, segment); /* it may have its final name already */
    return code;
fail_open:
    osr_segment_close(disk, segment);
    return code;
}

int osr_segment_draft(struct osr_disk *disk, const char *folder, uint64_t sequence, uint64_t joined,
                      uint64_t size, uint64_t salt, struct osr_segment **ret_segment,
                      struct osr_err *err)
{
    struct osr_segment *segment = segment_new(folder, sequence);
    int code;

    segment->joined = joined;
    segment->size = size;
    segment->used = size;
    code = open_temporary(disk, folder, segment, err);
    if (code != 0) {
        osr_segment_close(disk, segment);
        return code;
    }
    code = write_header(disk, segment, salt, err);
    if (code != 0) {
        osr_segment_discard(disk, folder, segment);
        return code;
    }
    *ret_segment = segment;
    return 0;
}

int osr_segment_replace(struct osr_disk *disk, const char *folder, struct osr_segment *draft,
                        struct osr_err *err)
{
    char *temporary = segment_path(folder, draft->sequence, ".tmp");
    int code = disk->ops->rename(disk, temporary, draft->path, err);

    free(temporary);
    return code != 0 ? code : disk->ops->sync_folder(disk, folder, err);
}

static int check_header(const struct osr_segment *segment, const uint8_t *header, size_t size,
                        uint64_t file_size, struct osr_err *err)
{
    const char *path = segment->path;
    uint32_t format = osr_get_u32(header + FORMAT_AT);

    if (size < HEADER_BYTES || memcmp(header + MAGIC_AT, magic, sizeof(magic) - 1) != 0) {
        return (int)osr_err_set(err, OSR_FOREIGN_FILE, "%s is not a segment of a log", path);
    }
    if (osr_get_u32(header + CRC_AT) != header_crc(header)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s: the header at offset 0 is damaged", path);
    }
    if (format != OSR_SEGMENT_FORMAT && format != OSR_SEGMENT_FORMAT_JOINED) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "%s has format %" PRIu32 ", known: %d, %d", path, format,
                                OSR_SEGMENT_FORMAT, OSR_SEGMENT_FORMAT_JOINED);
    }
    if (osr_get_u64(header + SEQUENCE_AT) != segment->sequence) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s is segment %" PRIu64 ", going by its header",
                                path, osr_get_u64(header + SEQUENCE_AT));
    }
    if (osr_get_u64(header + SIZE_AT) != file_size) {
        return (int)osr_err_set(err, OSR_CORRUPT,
                                "%s has %" PRIu64 " bytes, not %" PRIu64 " as its header says",
                                path, file_size, osr_get_u64(header + SIZE_AT));
    }
    if (osr_get_u64(header + JOINED_AT) > UINT64_MAX - segment->sequence) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s stands for an impossible number of segments",
                                path);
    }
    if (file_size < OSR_SEGMENT_FIRST_OFFSET || file_size % OSR_SEGMENT_UNIT_BYTES != 0 ||
        file_size / OSR_SEGMENT_UNIT_BYTES > UINT32_MAX) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s has an impossible size: %" PRIu64, path,
                                file_size);
    }
    return 0;
}

int osr_segment_open(struct osr_disk *disk, const char *folder, uint64_t sequence,
                     struct osr_segment **ret_segment, struct osr_err *err)
{
    struct osr_segment *segment = segment_new(folder, sequence);
    uint8_t header[HEADER_BYTES] = {0};
    size_t size;
    int code = disk->ops->open(disk, segment->path, false, &segment->file, err);

    if (code != 0) {
        goto fail;
    }
    code = disk->ops->size(disk, segment->file, &segment->size, err);
    if (code != 0) {
        goto fail;
    }
    code = disk->ops->read(disk, segment->file, 0, header, sizeof(header), &size, err);
    if (code != 0) {
        goto fail;
    }
    code = check_header(segment, header, size, segment->size, err);
    if (code != 0) {
        goto fail;
    }
    segment->seed = osr_get_u32(header + CRC_AT);
    segment->joined = osr_get_u64(header + JOINED_AT);
    *ret_segment = segment;
    return 0;

fail:
    osr_segment_close(disk, segment);
    return code;
}

/* What a folder holds of ours. */
struct listing {
    struct osr_buffer sequences; /* u64 each */
    struct osr_buffer left_over; /* of those that were being made, u64 each */
};

static void sort_name(void *context, const char *name)
{
    struct listing *listing = context;
    char ours[NAME_BYTES_MAX];
    uint64_t sequence = strtoull(name, NULL, 10);

    snprintf(ours, sizeof(ours), "%010" PRIu64 ".seg", sequence);
    if (strcmp(name, ours) == 0) {
        osr_buffer_add(&listing->sequences, &sequence, sizeof(sequence));
    }
    snprintf(ours, sizeof(ours), "%010" PRIu64 ".seg.tmp", sequence);
    if (strcmp(name, ours) == 0) {
        osr_buffer_add(&listing->left_over, &sequence, sizeof(sequence));
    }
}

static uint64_t listed(const struct osr_buffer *sequences, size_t i)
{
    uint64_t sequence;

    memcpy(&sequence, sequences->data + i * sizeof(sequence), sizeof(sequence));
    return sequence;
}

static int remove_file(struct osr_disk *disk, const char *folder, uint64_t sequence,
                       const char *suffix, struct osr_err *err)
{
    char *path = segment_path(folder, sequence, suffix);
    int code = disk->ops->remove(disk, path, err);

    free(path);
    return code;
}

int osr_segment_remove(struct osr_disk *disk, const char *folder, uint64_t sequence,
                       struct osr_err *err)
{
    return remove_file(disk, folder, sequence, "", err);
}

int osr_segment_list(struct osr_disk *disk, const char *folder,
                     void (*found)(void *context, uint64_t sequence), void *context,
                     struct osr_err *err)
{
    struct listing listing = {0};
    int code = disk->ops->list(disk, folder, sort_name, &listing, err);

    for (size_t i = 0; code == 0 && i < listing.left_over.size / sizeof(uint64_t); i++) {
        code = remove_file(disk, folder, listed(&listing.left_over, i), ".tmp", err);
    }
    for (size_t i = 0; code == 0 && i < listing.sequences.size / sizeof(uint64_t); i++) {
        found(context, listed(&listing.sequences, i));
    }
    osr_buffer_done(&listing.sequences);
    osr_buffer_done(&listing.left_over);
    return code;
}

int osr_segment_read(struct osr_disk *disk, const struct osr_segment *segment, uint64_t begin,
                     uint64_t end, struct osr_buffer *bytes, struct osr_err *err)
{
    size_t size = (size_t)(end - begin);
    size_t done = 0;
    int code;

    bytes->size = 0;
    osr_buffer_reserve(bytes, size);
    code = disk->ops->read(disk, segment->file, begin, bytes->data, size, &done, err);
    if (code == 0 && done < size) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s ends at offset %" PRIu64, segment->path,
                                begin + done);
    }
    bytes->size = done;
    return code;
}

/* Where a record stands is part of its checks, so that it checks nowhere else. */
static uint32_t record_seed(const struct osr_segment *segment, uint64_t offset)
{
    return segment->seed ^ (uint32_t)(offset / OSR_SEGMENT_UNIT_BYTES);
}

static uint32_t crc_of_fields(const struct osr_segment *segment, uint64_t offset,
                              const uint8_t *bytes)
{
    return osr_crc32c(record_seed(segment, offset), bytes + RECORD_LENGTH_AT,
                      RECORD_CHECK_AT - RECORD_LENGTH_AT);
}

void osr_record_encode(struct osr_buffer *buffer, const struct osr_segment *segment,
                       uint64_t offset, uint64_t synced, const struct osr_wal_record *record)
{
    size_t span = (size_t)osr_record_span(record->payload.size);
    uint8_t *bytes = osr_buffer_reserve(buffer, span);
    size_t end = RECORD_PAYLOAD_AT + record->payload.size;
    uint32_t crc;

    assert(offset % OSR_SEGMENT_UNIT_BYTES == 0 && synced % OSR_SEGMENT_UNIT_BYTES == 0);
    osr_put_u32(bytes + RECORD_LENGTH_AT, (uint32_t)record->payload.size);
    osr_put_u32(bytes + RECORD_SYNCED_AT, (uint32_t)(synced / OSR_SEGMENT_UNIT_BYTES));
    osr_put_u32(bytes + RECORD_LOG_ID_AT, record->log_id);
    osr_put_u64(bytes + RECORD_INDEX_AT, record->index);
    bytes[RECORD_TYPE_AT] = (uint8_t)record->type;
    bytes[RECORD_FORMAT_AT] = record->format;
    crc = crc_of_fields(segment, offset, bytes);
    bytes[RECORD_CHECK_AT] = (uint8_t)(crc >> 8);
    bytes[RECORD_CHECK_AT + 1] = (uint8_t)crc;
    if (record->payload.size > 0) {
        memcpy(bytes + RECORD_PAYLOAD_AT, record->payload.data, record->payload.size);
    }
    memset(bytes + end, 0, span - end);
    crc = osr_crc32c(crc, bytes + RECORD_CHECK_AT, span - RECORD_CHECK_AT);
    osr_put_u32(bytes + RECORD_CRC_AT, crc);
    buffer->size += span;
}

uint64_t osr_record_probe(const struct osr_segment *segment, uint64_t offset, const uint8_t *bytes)
{
    uint32_t length = osr_get_u32(bytes + RECORD_LENGTH_AT);
    uint64_t span = osr_record_span(length);
    uint32_t check = (uint32_t)bytes[RECORD_CHECK_AT] << 8 | bytes[RECORD_CHECK_AT + 1];

    if (bytes[RECORD_TYPE_AT] == 0 || length > OSR_WAL_PAYLOAD_BYTES_MAX ||
        span > segment->size - offset) {
        return 0;
    }
    return check == (crc_of_fields(segment, offset, bytes) & 0xffff) ? span : 0;
}

bool osr_record_decode(const struct osr_segment *segment, uint64_t offset, const uint8_t *bytes,
                       struct osr_wal_record *ret_record, uint64_t *ret_synced)
{
    uint32_t length = osr_get_u32(bytes + RECORD_LENGTH_AT);
    size_t span = (size_t)osr_record_span(length);
    uint32_t crc =
        osr_crc32c(record_seed(segment, offset), bytes + RECORD_LENGTH_AT, span - RECORD_LENGTH_AT);

    if (crc != osr_get_u32(bytes + RECORD_CRC_AT)) {
        return false;
    }
    *ret_record = (struct osr_wal_record){
        .type = (enum osr_wal_type)bytes[RECORD_TYPE_AT],
        .format = bytes[RECORD_FORMAT_AT],
        .log_id = osr_get_u32(bytes + RECORD_LOG_ID_AT),
        .index = osr_get_u64(bytes + RECORD_INDEX_AT),
        .payload = osr_slice(bytes + RECORD_PAYLOAD_AT, length),
    };
    *ret_synced = (uint64_t)osr_get_u32(bytes + RECORD_SYNCED_AT) * OSR_SEGMENT_UNIT_BYTES;
    return true;
}

int osr_record_read(const struct osr_segment *segment, uint64_t offset, struct osr_slice bytes,
                    struct osr_wal_record *ret_record, struct osr_err *err)
{
    uint64_t span = 0;
    uint64_t synced;

    if (bytes.size >= OSR_RECORD_HEADER_BYTES) {
        span = osr_record_probe(segment, offset, bytes.data);
    }
    if (span == 0 || span > bytes.size ||
        !osr_record_decode(segment, offset, bytes.data, ret_record, &synced)) {
        return (int)osr_err_set(err, OSR_CORRUPT, "%s: the record at offset %" PRIu64 " is damaged",
                                segment->path, offset);
    }
    return 0;
}
