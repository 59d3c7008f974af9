/* snapshot_layout.h -- where what stands in a snapshot's file, for its writer and its reader.
 * Described in snapshot_file.h. Private to them. */
#ifndef OSR_ADAPTER_SNAPSHOT_LAYOUT_H
#define OSR_ADAPTER_SNAPSHOT_LAYOUT_H

#include "adapter/snapshot_file.h"

/* The header, in bytes. Magic, CRC and format stay where they are in every later format. */
enum {
    OSR_SNAPSHOT_FORMAT = 1,
    OSR_SNAPSHOT_HEADER_BYTES = 16 << 10,
    OSR_SNAPSHOT_MAGIC_AT = 0,
    OSR_SNAPSHOT_CRC_AT = 8,
    OSR_SNAPSHOT_FORMAT_AT = 12, /* from here on under the CRC */
    OSR_SNAPSHOT_INDEX_AT = 16,
    OSR_SNAPSHOT_TERM_AT = 24,
    OSR_SNAPSHOT_SIZE_AT = 32,
    OSR_SNAPSHOT_CHECKSUM_AT = 40,
    OSR_SNAPSHOT_CONFIGURATION_SIZE_AT = 48,
    OSR_SNAPSHOT_CONFIGURATION_AT = 52,
};
_Static_assert((int)OSR_SNAPSHOT_CONFIGURATION_AT + (int)OSR_SNAPSHOT_CONFIGURATION_BYTES_MAX <=
                   (int)OSR_SNAPSHOT_HEADER_BYTES,
               "a configuration fits into the header");
#define OSR_SNAPSHOT_MAGIC       "OSIRISSN"
#define OSR_SNAPSHOT_MAGIC_BYTES (sizeof(OSR_SNAPSHOT_MAGIC) - 1)

/* A block, in bytes. */
enum {
    OSR_SNAPSHOT_BLOCK_BYTES = 64 << 10,
    OSR_SNAPSHOT_BLOCK_CRC_BYTES = 4, /* in front */
    OSR_SNAPSHOT_BLOCK_PAYLOAD_MAX = OSR_SNAPSHOT_BLOCK_BYTES - OSR_SNAPSHOT_BLOCK_CRC_BYTES,
};

static inline uint64_t osr_snapshot_block_offset(uint64_t number)
{
    return OSR_SNAPSHOT_HEADER_BYTES + number * OSR_SNAPSHOT_BLOCK_BYTES;
}

/* The caller's to free. */
char *osr_snapshot_path(const char *folder, uint64_t index, const char *suffix);

/* All but the newest. */
int osr_snapshot_remove_older(struct osr_disk *disk, const char *folder, struct osr_err *err);

/* Where a block stands is part of its check. */
uint32_t osr_snapshot_block_crc(uint64_t index, uint64_t number, struct osr_slice payload);
/* The checksum with one block more. */
uint64_t osr_snapshot_checksum(uint64_t checksum, uint64_t number, struct osr_slice payload);

#endif
