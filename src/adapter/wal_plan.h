/* wal_plan.h -- what becomes of the records of segments that are written anew as one: runs of
 * records that are copied, and VOIDs that stand for all others, also for those that an earlier
 * compaction took away. VOIDs that meet become one.
 *
 * Private to the compaction. No I/O. */
#ifndef OSR_ADAPTER_WAL_PLAN_H
#define OSR_ADAPTER_WAL_PLAN_H

#include "adapter/wal_void.h"

/* What consecutive records become. */
struct osr_wal_part {
    uint64_t ordinals; /* of a VOID; 0: the records are copied */
    size_t source;     /* which of the old segments the copied ones are in */
    size_t position;   /* of the first of them among its records */
    size_t records;    /* copied */
    struct osr_wal_hole *holes;
    size_t hole_count;
};

struct osr_wal_plan {
    struct osr_wal_part *parts;
    size_t count;
    uint64_t size; /* of the new segment */
};

void osr_wal_plan_init(struct osr_wal_plan *plan);
void osr_wal_plan_done(struct osr_wal_plan *plan);

/* The next record, at a position of an old segment, is copied. */
void osr_wal_plan_copy(struct osr_wal_plan *plan, size_t source, size_t position,
                       const struct osr_wal_record *record);
/* The next record is taken away. */
void osr_wal_plan_void(struct osr_wal_plan *plan, const struct osr_wal_record *record);
/* The next record is the VOID that an earlier compaction left. */
void osr_wal_plan_old_void(struct osr_wal_plan *plan, const struct osr_wal_record *record);

#endif
