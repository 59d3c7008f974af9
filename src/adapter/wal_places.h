/* wal_places.h -- where the records of one segment stand, by ordinal.
 *
 * Memory: 4 bytes a record; of records that a compaction took away 24 bytes a run.
 *
 * Private to the log. */
#ifndef OSR_ADAPTER_WAL_PLACES_H
#define OSR_ADAPTER_WAL_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Ordinals of which nothing is left but a VOID. */
struct osr_wal_void {
    uint64_t first; /* ordinal */
    uint64_t count;
    size_t position; /* of the VOID among the records of the segment */
};

/* One segment's. Invariant: offsets and ordinals grow. */
struct osr_wal_places {
    uint64_t first;    /* ordinal */
    uint64_t next;     /* ordinal behind the last */
    uint32_t *offsets; /* of the records, VOIDs too, in units of the segment */
    size_t count;
    size_t capacity;
    uint64_t end; /* offset behind the last record */
    struct osr_wal_void *voids;
    size_t void_count;
};

struct osr_wal_place {
    uint64_t begin; /* offset of the record */
    uint64_t end;   /* offset behind it, or behind a MARK that follows it */
};

void osr_wal_places_init(struct osr_wal_places *places, uint64_t first);
void osr_wal_places_done(struct osr_wal_places *places);
/* The next record stands at [begin, end). */
void osr_wal_places_add(struct osr_wal_places *places, uint64_t begin, uint64_t end);
/* A VOID that stands for so many. */
void osr_wal_places_add_void(struct osr_wal_places *places, uint64_t count, uint64_t begin,
                             uint64_t end);
void osr_wal_places_complete(struct osr_wal_places *places); /* there will be no more */

/* Of a record by its position. */
struct osr_wal_place osr_wal_places_at(const struct osr_wal_places *places, size_t position);
/* Of an ordinal that is there; of one that is void its VOID's. */
struct osr_wal_place osr_wal_places_locate(const struct osr_wal_places *places, uint64_t ordinal);
/* The first ordinal from this one on of which there is a record; `next` where there is none. */
uint64_t osr_wal_places_skip_voids(const struct osr_wal_places *places, uint64_t ordinal);
bool osr_wal_places_has_void(const struct osr_wal_places *places, uint64_t ordinal,
                             uint64_t count); /* among them */
/* Bytes of the records of so many ordinals; VOIDs' do not count. */
uint64_t osr_wal_places_bytes(const struct osr_wal_places *places, uint64_t ordinal,
                              uint64_t count);

#endif
