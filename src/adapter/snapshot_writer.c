/* Writing a snapshot: block after block, then the header, then the name. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "adapter/durable_name.h"
#include "adapter/snapshot_layout.h"
#include "base/crc32c.h"

struct osr_snapshot_writer {
    struct osr_disk *disk;
    char *folder;
    char *temporary;
    struct osr_file *file;
    uint64_t index;
    uint64_t blocks;   /* written */
    uint64_t checksum; /* of these */
    uint64_t unsynced; /* bytes */
    bool has_failed;   /* nobody knows what the disk holds */
    bool is_finished;
    size_t filled; /* payload bytes of the block that is being filled */
    uint8_t block[OSR_SNAPSHOT_BLOCK_BYTES];
};

int osr_snapshot_writer_create(struct osr_disk *disk, const char *folder, uint64_t index,
                               struct osr_snapshot_writer **ret_writer, struct osr_err *err)
{
    struct osr_snapshot_writer *writer = osr_alloc(sizeof(*writer));
    int code;

    assert(index > 0);
    writer->disk = disk;
    writer->folder = osr_strdup(folder);
    writer->temporary = osr_snapshot_path(folder, index, ".tmp");
    writer->index = index;
    code = disk->ops->open(disk, writer->temporary, true, &writer->file, err);
    if (code != 0) {
        osr_snapshot_writer_destroy(writer);
        return code;
    }
    *ret_writer = writer;
    return 0;
}

void osr_snapshot_writer_destroy(struct osr_snapshot_writer *writer)
{
    if (writer == NULL) {
        return;
    }
    if (writer->file != NULL) {
        writer->disk->ops->close(writer->disk, writer->file);
        if (!writer->is_finished) {
            writer->disk->ops->remove(writer->disk, writer->temporary, NULL);
        }
    }
    free(writer->temporary);
    free(writer->folder);
    free(writer);
}

static int refuse(const struct osr_snapshot_writer *writer, struct osr_err *err)
{
    return (int)osr_err_set(err, OSR_IO, "%s could not be written before", writer->temporary);
}

static int write_bytes(struct osr_snapshot_writer *writer, uint64_t offset, const void *bytes,
                       size_t size, struct osr_err *err)
{
    struct osr_disk *disk = writer->disk;
    int code = disk->ops->write(disk, writer->file, offset, bytes, size, err);

    writer->unsynced += size;
    writer->has_failed = code != 0;
    return code;
}

static int sync_file(struct osr_snapshot_writer *writer, struct osr_err *err)
{
    int code = writer->disk->ops->sync(writer->disk, writer->file, err);

    writer->unsynced = 0;
    writer->has_failed = code != 0;
    return code;
}

static struct osr_slice payload_of(const struct osr_snapshot_writer *writer)
{
    return osr_slice(writer->block + OSR_SNAPSHOT_BLOCK_CRC_BYTES, writer->filled);
}

static int write_block(struct osr_snapshot_writer *writer, struct osr_err *err)
{
    struct osr_slice payload = payload_of(writer);
    int code;

    osr_put_u32(writer->block, osr_snapshot_block_crc(writer->index, writer->blocks, payload));
    code = write_bytes(writer, osr_snapshot_block_offset(writer->blocks), writer->block,
                       OSR_SNAPSHOT_BLOCK_CRC_BYTES + writer->filled, err);
    if (code == 0 && writer->unsynced >= OSR_DISK_SYNC_BYTES) {
        code = sync_file(writer, err);
    }
    writer->checksum = osr_snapshot_checksum(writer->checksum, writer->blocks, payload);
    writer->blocks++;
    writer->filled = 0;
    return code;
}

int osr_snapshot_writer_add(struct osr_snapshot_writer *writer, struct osr_slice bytes,
                            struct osr_err *err)
{
    assert(!writer->is_finished);
    if (writer->has_failed) {
        return refuse(writer, err);
    }
    while (bytes.size > 0) {
        size_t room = OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX - writer->filled;
        size_t size = bytes.size < room ? bytes.size : room;
        memcpy(writer->block + OSR_SNAPSHOT_BLOCK_CRC_BYTES + writer->filled, bytes.data, size);
        writer->filled += size;
        bytes = osr_slice(bytes.data + size, bytes.size - size);
        if (writer->filled == OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX) {
            int code = write_block(writer, err);
            if (code != 0) {
                return code;
            }
        }
    }
    return 0;
}

void osr_snapshot_writer_about(const struct osr_snapshot_writer *writer,
                               struct osr_snapshot_about *ret_about)
{
    *ret_about = (struct osr_snapshot_about){
        .index = writer->index,
        .size = writer->blocks * OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX + writer->filled,
        .checksum = writer->checksum,
    };
    if (writer->filled > 0) {
        ret_about->checksum =
            osr_snapshot_checksum(writer->checksum, writer->blocks, payload_of(writer));
    }
}

static int check_announced(const struct osr_snapshot_writer *writer,
                           const struct osr_snapshot_about *about, struct osr_err *err)
{
    struct osr_snapshot_about added;

    osr_snapshot_writer_about(writer, &added);
    assert(about->index == added.index);
    assert(about->configuration.size <= OSR_SNAPSHOT_CONFIGURATION_BYTES_MAX);
    if (added.size == about->size && added.checksum == about->checksum) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_CORRUPT,
                            "%s: %" PRIu64 " bytes with checksum %016" PRIx64 " came, not %" PRIu64
                            " with %016" PRIx64 " as announced",
                            writer->temporary, added.size, added.checksum, about->size,
                            about->checksum);
}

static int write_header(struct osr_snapshot_writer *writer, const struct osr_snapshot_about *about,
                        struct osr_err *err)
{
    uint8_t *header = osr_alloc(OSR_SNAPSHOT_HEADER_BYTES);
    int code;

    memcpy(header + OSR_SNAPSHOT_MAGIC_AT, OSR_SNAPSHOT_MAGIC, OSR_SNAPSHOT_MAGIC_BYTES);
    osr_put_u32(header + OSR_SNAPSHOT_FORMAT_AT, OSR_SNAPSHOT_FORMAT);
    osr_put_u64(header + OSR_SNAPSHOT_INDEX_AT, about->index);
    osr_put_u64(header + OSR_SNAPSHOT_TERM_AT, about->term);
    osr_put_u64(header + OSR_SNAPSHOT_SIZE_AT, about->size);
    osr_put_u64(header + OSR_SNAPSHOT_CHECKSUM_AT, about->checksum);
    osr_put_u32(header + OSR_SNAPSHOT_CONFIGURATION_SIZE_AT, (uint32_t)about->configuration.size);
    if (about->configuration.size > 0) {
        memcpy(header + OSR_SNAPSHOT_CONFIGURATION_AT, about->configuration.data,
               about->configuration.size);
    }
    osr_put_u32(header + OSR_SNAPSHOT_CRC_AT,
                osr_crc32c(0, header + OSR_SNAPSHOT_FORMAT_AT,
                           OSR_SNAPSHOT_HEADER_BYTES - OSR_SNAPSHOT_FORMAT_AT));
    code = write_bytes(writer, 0, header, OSR_SNAPSHOT_HEADER_BYTES, err);
    free(header);
    return code;
}

static int rename_finished(struct osr_snapshot_writer *writer, struct osr_err *err)
{
    char *path = osr_snapshot_path(writer->folder, writer->index, "");
    int code = osr_durable_rename(writer->disk, writer->folder, writer->temporary, path, err);

    free(path);
    return code;
}

int osr_snapshot_writer_finish(struct osr_snapshot_writer *writer,
                               const struct osr_snapshot_about *about, struct osr_err *err)
{
    int code;

    assert(!writer->is_finished);
    if (writer->has_failed) {
        return refuse(writer, err);
    }
    code = check_announced(writer, about, err);
    if (code == 0 && writer->filled > 0) {
        code = write_block(writer, err);
    }
    if (code == 0) {
        code = write_header(writer, about, err);
    }
    if (code == 0) {
        code = sync_file(writer, err);
    }
    if (code == 0) {
        code = rename_finished(writer, err);
    }
    writer->has_failed = code != 0;
    writer->is_finished = code == 0;
    if (code == 0) {
        /* What cannot be removed now is removed at the next start. */
        osr_snapshot_remove_older(writer->disk, writer->folder, NULL);
    }
    return code;
}
