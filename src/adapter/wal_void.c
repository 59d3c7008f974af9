#include "adapter/wal_void.h"

#include "adapter/wal_segment.h"

enum { LOG_ID_AT = 0, FIRST_AT = 4, COUNT_AT = 12 };

void osr_wal_hole_encode(const struct osr_wal_hole *hole, uint8_t bytes[OSR_WAL_HOLE_BYTES])
{
    osr_put_u32(bytes + LOG_ID_AT, hole->log_id);
    osr_put_u64(bytes + FIRST_AT, hole->first);
    osr_put_u32(bytes + COUNT_AT, hole->count);
}

size_t osr_wal_void_hole_count(const struct osr_wal_record *record)
{
    return record->payload.size / OSR_WAL_HOLE_BYTES;
}

struct osr_wal_hole osr_wal_void_hole(const struct osr_wal_record *record, size_t position)
{
    const uint8_t *bytes = record->payload.data + position * OSR_WAL_HOLE_BYTES;

    return (struct osr_wal_hole){
        .log_id = osr_get_u32(bytes + LOG_ID_AT),
        .first = osr_get_u64(bytes + FIRST_AT),
        .count = osr_get_u32(bytes + COUNT_AT),
    };
}

bool osr_wal_void_is_sound(const struct osr_wal_record *record)
{
    size_t count = osr_wal_void_hole_count(record);
    uint64_t left = record->index;

    if (record->payload.size % OSR_WAL_HOLE_BYTES != 0 || count > OSR_WAL_HOLES_MAX || left == 0 ||
        left > OSR_WAL_VOID_ORDINALS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        struct osr_wal_hole hole = osr_wal_void_hole(record, i);
        if (hole.count == 0 || hole.count > left || hole.first == 0 ||
            hole.first > UINT64_MAX - hole.count) {
            return false;
        }
        left -= hole.count;
    }
    return true;
}
