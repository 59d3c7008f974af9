/* wal_void.h -- the VOID record, which a compaction leaves where records were void: how many
 * ordinals it stands for, and which entries were among them, so that an entry behind them still
 * follows the one in front of them.
 *
 * Its index is the count of ordinals; its payload has for each log of which entries were there
 * log id u32, first index u64, count u32. They may have stood in any order among each other.
 *
 * Private to the log. */
#ifndef OSR_ADAPTER_WAL_VOID_H
#define OSR_ADAPTER_WAL_VOID_H

#include "adapter/wal.h"

enum {
    OSR_WAL_HOLE_BYTES = 16,
    OSR_WAL_HOLES_MAX = 64, /* in one VOID; then comes another */
};
#define OSR_WAL_VOID_ORDINALS_MAX UINT32_MAX /* likewise */

/* Entries of one log, without a gap. */
struct osr_wal_hole {
    uint32_t log_id;
    uint32_t count;
    uint64_t first; /* index */
};

void osr_wal_hole_encode(const struct osr_wal_hole *hole, uint8_t bytes[OSR_WAL_HOLE_BYTES]);
/* Whether the payload is one that a compaction writes. */
bool osr_wal_void_is_sound(const struct osr_wal_record *record);
size_t osr_wal_void_hole_count(const struct osr_wal_record *record);
struct osr_wal_hole osr_wal_void_hole(const struct osr_wal_record *record, size_t position);

#endif
