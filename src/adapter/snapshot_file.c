/* Finding snapshots, and reading them. */
#include "adapter/snapshot_file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/durable_name.h"
#include "adapter/snapshot_layout.h"
#include "base/crc32c.h"
#include "base/map.h"

enum { NAME_BYTES_MAX = 40 };

#define SUFFIX ".snapshot"

char *osr_snapshot_path(const char *folder, uint64_t index, const char *suffix)
{
    return osr_format("%s/%020" PRIu64 SUFFIX "%s", folder, index, suffix);
}

uint32_t osr_snapshot_block_crc(uint64_t index, uint64_t number, struct osr_slice payload)
{
    uint8_t place[16];

    osr_put_u64(place, index);
    osr_put_u64(place + 8, number);
    return osr_crc32c(osr_crc32c(0, place, sizeof(place)), payload.data, payload.size);
}

uint64_t osr_snapshot_checksum(uint64_t checksum, uint64_t number, struct osr_slice payload)
{
    const uint64_t key[2] = {checksum, number};

    return osr_siphash(key, payload);
}

/* What a folder holds of ours. */
struct listing {
    struct osr_buffer whole;     /* indices, u64 each */
    struct osr_buffer half_made; /* likewise */
    uint64_t newest;
};

static void sort_name(void *context, const char *name)
{
    struct listing *listing = context;
    char ours[NAME_BYTES_MAX];
    uint64_t index = strtoull(name, NULL, 10);

    snprintf(ours, sizeof(ours), "%020" PRIu64 SUFFIX, index);
    if (strcmp(name, ours) == 0) {
        osr_buffer_add(&listing->whole, &index, sizeof(index));
        listing->newest = index > listing->newest ? index : listing->newest;
    }
    snprintf(ours, sizeof(ours), "%020" PRIu64 SUFFIX ".tmp", index);
    if (strcmp(name, ours) == 0) {
        osr_buffer_add(&listing->half_made, &index, sizeof(index));
    }
}

/* Removes those listed, but the newest if it is among them. */
static int remove_listed(struct osr_disk *disk, const char *folder, const struct osr_buffer *listed,
                         uint64_t newest, const char *suffix, struct osr_err *err)
{
    int code = 0;

    for (size_t at = 0; code == 0 && at < listed->size; at += sizeof(uint64_t)) {
        uint64_t index;
        char *path;
        memcpy(&index, listed->data + at, sizeof(index));
        if (index == newest) {
            continue;
        }
        path = osr_snapshot_path(folder, index, suffix);
        code = disk->ops->remove(disk, path, err);
        free(path);
    }
    return code;
}

static void listing_done(struct listing *listing)
{
    osr_buffer_done(&listing->whole);
    osr_buffer_done(&listing->half_made);
}

int osr_snapshot_remove_older(struct osr_disk *disk, const char *folder, struct osr_err *err)
{
    struct listing listing = {0};
    int code = disk->ops->list(disk, folder, sort_name, &listing, err);

    if (code == 0) {
        code = remove_listed(disk, folder, &listing.whole, listing.newest, "", err);
    }
    listing_done(&listing);
    return code;
}

int osr_snapshot_find(struct osr_disk *disk, const char *folder, uint64_t *ret_index,
                      struct osr_err *err)
{
    struct listing listing = {0};
    int code = osr_durable_folder(disk, folder, err);

    if (code == 0) {
        code = disk->ops->list(disk, folder, sort_name, &listing, err);
    }
    /* If the process died before that, the newest one's name is not safe yet. */
    if (code == 0) {
        code = disk->ops->sync_folder(disk, folder, err);
    }
    if (code == 0) {
        code = remove_listed(disk, folder, &listing.half_made, 0, ".tmp", err);
    }
    if (code == 0) {
        code = remove_listed(disk, folder, &listing.whole, listing.newest, "", err);
    }
    if (code == 0) {
        *ret_index = listing.newest;
    }
    listing_done(&listing);
    return code;
}

/* Reading. */

struct osr_snapshot_reader {
    struct osr_disk *disk;
    struct osr_file *file;
    char *path;
    struct osr_snapshot_about about;
    uint8_t header[OSR_SNAPSHOT_HEADER_BYTES]; /* holds the configuration */
    struct osr_slice payload;                  /* of the block below; empty: none is there */
    uint64_t number;                           /* its */
    uint8_t block[OSR_SNAPSHOT_BLOCK_BYTES];
};

static int corrupt(const struct osr_snapshot_reader *reader, uint64_t offset, const char *what,
                   struct osr_err *err)
{
    osr_err_set(err, OSR_CORRUPT, "%s: offset %" PRIu64 ": %s", reader->path, offset, what);
    osr_err_hint(err, "take this member out of the cluster and let it join again with an empty "
                      "data folder, as a learner: the others send it everything");
    return OSR_CORRUPT;
}

/* The bytes of a file with `size` bytes of content. */
static uint64_t file_bytes(uint64_t size)
{
    uint64_t blocks =
        size / OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX + (size % OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX > 0 ? 1 : 0);

    return OSR_SNAPSHOT_HEADER_BYTES + size + blocks * OSR_SNAPSHOT_BLOCK_CRC_BYTES;
}

static int check_form(const struct osr_snapshot_reader *reader, size_t size, struct osr_err *err)
{
    const uint8_t *header = reader->header;
    uint32_t format;

    if (size < OSR_SNAPSHOT_CONFIGURATION_AT ||
        memcmp(header + OSR_SNAPSHOT_MAGIC_AT, OSR_SNAPSHOT_MAGIC, OSR_SNAPSHOT_MAGIC_BYTES) != 0) {
        return (int)osr_err_set(err, OSR_FOREIGN_FILE, "%s is not a snapshot", reader->path);
    }
    if (size < OSR_SNAPSHOT_HEADER_BYTES ||
        osr_get_u32(header + OSR_SNAPSHOT_CRC_AT) !=
            osr_crc32c(0, header + OSR_SNAPSHOT_FORMAT_AT,
                       OSR_SNAPSHOT_HEADER_BYTES - OSR_SNAPSHOT_FORMAT_AT)) {
        return corrupt(reader, 0, "the header is damaged", err);
    }
    format = osr_get_u32(header + OSR_SNAPSHOT_FORMAT_AT);
    if (format != OSR_SNAPSHOT_FORMAT) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "%s has format %" PRIu32 ", known: %d", reader->path, format,
                                OSR_SNAPSHOT_FORMAT);
    }
    return 0;
}

static int read_about(struct osr_snapshot_reader *reader, uint64_t index, uint64_t size,
                      struct osr_err *err)
{
    const uint8_t *header = reader->header;
    uint32_t configuration = osr_get_u32(header + OSR_SNAPSHOT_CONFIGURATION_SIZE_AT);

    reader->about = (struct osr_snapshot_about){
        .index = osr_get_u64(header + OSR_SNAPSHOT_INDEX_AT),
        .term = osr_get_u64(header + OSR_SNAPSHOT_TERM_AT),
        .size = osr_get_u64(header + OSR_SNAPSHOT_SIZE_AT),
        .checksum = osr_get_u64(header + OSR_SNAPSHOT_CHECKSUM_AT),
        .configuration = osr_slice(header + OSR_SNAPSHOT_CONFIGURATION_AT, configuration),
    };
    if (reader->about.index != index) {
        return corrupt(reader, OSR_SNAPSHOT_INDEX_AT, "this is another one's header", err);
    }
    if (configuration > OSR_SNAPSHOT_CONFIGURATION_BYTES_MAX) {
        return corrupt(reader, OSR_SNAPSHOT_CONFIGURATION_SIZE_AT, "an impossible size", err);
    }
    if (reader->about.size > size || file_bytes(reader->about.size) != size) {
        return corrupt(reader, size, "the file is not as long as its header says", err);
    }
    return 0;
}

int osr_snapshot_reader_open(struct osr_disk *disk, const char *folder, uint64_t index,
                             struct osr_snapshot_reader **ret_reader, struct osr_err *err)
{
    struct osr_snapshot_reader *reader = osr_alloc(sizeof(*reader));
    uint64_t size;
    size_t got;
    int code;

    reader->disk = disk;
    reader->path = osr_snapshot_path(folder, index, "");
    code = disk->ops->open(disk, reader->path, false, &reader->file, err);
    if (code != 0) {
        goto fail;
    }
    code = disk->ops->size(disk, reader->file, &size, err);
    if (code != 0) {
        goto fail;
    }
    code =
        disk->ops->read(disk, reader->file, 0, reader->header, sizeof(reader->header), &got, err);
    if (code != 0) {
        goto fail;
    }
    code = check_form(reader, got, err);
    if (code != 0) {
        goto fail;
    }
    code = read_about(reader, index, size, err);
    if (code != 0) {
        goto fail;
    }
    *ret_reader = reader;
    return 0;

fail:
    osr_snapshot_reader_close(reader);
    return code;
}

void osr_snapshot_reader_close(struct osr_snapshot_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    reader->disk->ops->close(reader->disk, reader->file);
    free(reader->path);
    free(reader);
}

const struct osr_snapshot_about *osr_snapshot_reader_about(const struct osr_snapshot_reader *reader)
{
    return &reader->about;
}

/* Has a block that is there in memory, checked. */
static int need_block(struct osr_snapshot_reader *reader, uint64_t number, struct osr_err *err)
{
    struct osr_disk *disk = reader->disk;
    uint64_t offset = osr_snapshot_block_offset(number);
    uint64_t rest = reader->about.size - number * OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX;
    size_t size =
        rest < OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX ? (size_t)rest : OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX;
    struct osr_slice payload = osr_slice(reader->block + OSR_SNAPSHOT_BLOCK_CRC_BYTES, size);
    size_t got = 0;
    int code;

    if (reader->payload.size > 0 && reader->number == number) {
        return 0;
    }
    reader->payload.size = 0;
    code = disk->ops->read(disk, reader->file, offset, reader->block,
                           OSR_SNAPSHOT_BLOCK_CRC_BYTES + size, &got, err);
    if (code != 0) {
        return code;
    }
    if (got < OSR_SNAPSHOT_BLOCK_CRC_BYTES + size) {
        return corrupt(reader, offset + got, "the file has become shorter", err);
    }
    if (osr_get_u32(reader->block) !=
        osr_snapshot_block_crc(reader->about.index, number, payload)) {
        return corrupt(reader, offset, "a block is damaged", err);
    }
    reader->payload = payload;
    reader->number = number;
    return 0;
}

int osr_snapshot_reader_read(struct osr_snapshot_reader *reader, uint64_t offset, size_t size,
                             struct osr_buffer *buffer, struct osr_err *err)
{
    while (size > 0 && offset < reader->about.size) {
        size_t skipped = (size_t)(offset % OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX);
        size_t piece;
        int code = need_block(reader, offset / OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX, err);
        if (code != 0) {
            return code;
        }
        piece = reader->payload.size - skipped;
        piece = piece < size ? piece : size;
        osr_buffer_add(buffer, reader->payload.data + skipped, piece);
        offset += piece;
        size -= piece;
    }
    return 0;
}
