/* A snapshot's file with an arbitrary header, whose CRC is right, and blocks with right CRCs and
 * others. Whatever is in it, it is refused or read; what is read is the same in pieces as at once,
 * and as much as the header says. */
#include "fuzz.h"

#include "adapter/snapshot_layout.h"
#include "base/crc32c.h"
#include "lib/sim_disk.h"

enum {
    INDEX = 4,
    FIELDS_BYTES = OSR_SNAPSHOT_CONFIGURATION_AT - OSR_SNAPSHOT_FORMAT_AT, /* behind the CRC */
    PIECE_BYTES = 777,
};

/* The first byte says what is made right, so that the input gets past one check after the other. */
enum {
    RIGHT_FORMAT = 1,
    RIGHT_INDEX = 2,
    RIGHT_SIZE = 4,
    RIGHT_BLOCKS = 8,
    RIGHT_CRC = 16,
};

static void write_at(struct osr_buffer *file, size_t offset, struct osr_slice bytes)
{
    if (offset + bytes.size > file->size) {
        size_t more = offset + bytes.size - file->size;
        memset(osr_buffer_reserve(file, more), 0, more);
        file->size += more;
    }
    memcpy(file->data + offset, bytes.data, bytes.size);
}

static void put_blocks(struct osr_buffer *file, struct osr_slice state, bool is_right)
{
    for (uint64_t number = 0; state.size > 0; number++) {
        size_t size = state.size < OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX ? state.size
                                                                  : OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX;
        struct osr_slice payload = osr_slice(state.data, size);
        uint8_t crc[OSR_SNAPSHOT_BLOCK_CRC_BYTES];
        osr_put_u32(crc, osr_snapshot_block_crc(INDEX, number, payload) ^ (is_right ? 0 : 1));
        write_at(file, osr_snapshot_block_offset(number), osr_slice(crc, sizeof(crc)));
        write_at(file, osr_snapshot_block_offset(number) + sizeof(crc), payload);
        state = osr_slice(state.data + size, state.size - size);
    }
}

static void put_header(struct osr_buffer *file, const uint8_t *fields, uint64_t size, uint8_t right)
{
    uint8_t header[OSR_SNAPSHOT_HEADER_BYTES] = OSR_SNAPSHOT_MAGIC;

    memcpy(header + OSR_SNAPSHOT_FORMAT_AT, fields, FIELDS_BYTES);
    if ((right & RIGHT_FORMAT) != 0)
        osr_put_u32(header + OSR_SNAPSHOT_FORMAT_AT, OSR_SNAPSHOT_FORMAT);
    if ((right & RIGHT_INDEX) != 0)
        osr_put_u64(header + OSR_SNAPSHOT_INDEX_AT, INDEX);
    if ((right & RIGHT_SIZE) != 0)
        osr_put_u64(header + OSR_SNAPSHOT_SIZE_AT, size);
    if ((right & RIGHT_CRC) != 0)
        osr_put_u32(header + OSR_SNAPSHOT_CRC_AT,
                    osr_crc32c(0, header + OSR_SNAPSHOT_FORMAT_AT,
                               OSR_SNAPSHOT_HEADER_BYTES - OSR_SNAPSHOT_FORMAT_AT));
    write_at(file, 0, osr_slice(header, sizeof(header)));
}

static int read_all(struct osr_snapshot_reader *reader, size_t piece, struct osr_buffer *found,
                    struct osr_err *err)
{
    uint64_t size = osr_snapshot_reader_about(reader)->size;
    int code = 0;

    found->size = 0;
    while (code == 0 && found->size < size)
        code = osr_snapshot_reader_read(reader, found->size, piece, found, err);
    return code;
}

static void read_both_ways(struct osr_snapshot_reader *reader, struct osr_slice state)
{
    struct osr_buffer whole = {0};
    struct osr_buffer pieces = {0};
    struct osr_err err;
    int code = read_all(reader, SIZE_MAX, &whole, &err);

    MUST(code == 0 || code == OSR_CORRUPT);
    MUST(read_all(reader, PIECE_BYTES, &pieces, &err) == code);
    MUST(code != 0 || osr_slice_equal(osr_buffer_slice(&whole), osr_buffer_slice(&pieces)));
    MUST(code != 0 || osr_slice_equal(osr_buffer_slice(&whole), state));
    osr_buffer_done(&whole);
    osr_buffer_done(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_sim_disk *sim = osr_sim_disk_create(1);
    struct osr_disk *disk = osr_sim_disk_port(sim);
    char *path = osr_snapshot_path("snapshots", INDEX, "");
    struct osr_buffer file = {0};
    struct osr_snapshot_reader *reader;
    struct osr_err err;
    uint64_t newest;
    int code;

    if (size > FIELDS_BYTES) {
        struct osr_slice state = osr_slice(data + 1 + FIELDS_BYTES, size - 1 - FIELDS_BYTES);
        put_header(&file, data + 1, state.size, data[0]);
        put_blocks(&file, state, (data[0] & RIGHT_BLOCKS) != 0);
        osr_sim_disk_put(sim, path, osr_buffer_slice(&file));
        MUST(osr_snapshot_find(disk, "snapshots", &newest, NULL) == 0 && newest == INDEX);
        code = osr_snapshot_reader_open(disk, "snapshots", INDEX, &reader, &err);
        MUST(code == 0 || code == OSR_CORRUPT || code == OSR_UNSUPPORTED_VERSION);
        if (code == 0) {
            read_both_ways(reader, state);
            osr_snapshot_reader_close(reader);
        }
    }
    osr_buffer_done(&file);
    osr_sim_disk_destroy(sim);
    free(path);
    return 0;
}
