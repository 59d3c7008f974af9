/* wal_space.h -- the segments of the log as its index knows them: where each ordinal stands, how
 * much of each segment is void, and which are to be written anew.
 *
 * Memory: wal_places.h says.
 *
 * Private to the index. */
#ifndef OSR_ADAPTER_WAL_SPACE_H
#define OSR_ADAPTER_WAL_SPACE_H

#include "adapter/wal_places.h"

struct osr_wal_space_segment {
    struct osr_wal_places places;
    uint64_t void_bytes; /* of records that are there and void; never too many */
};

/* Begins with all zeros. */
struct osr_wal_space {
    struct osr_wal_space_segment *segments;
    size_t segment_count;
    uint64_t last_ordinal;
};

/* Neighbours among the segments. */
struct osr_wal_range {
    size_t first; /* position */
    size_t count;
};

void osr_wal_space_done(struct osr_wal_space *space);

/* The next record is the first of a further segment; these count from 0. */
void osr_wal_space_begin_segment(struct osr_wal_space *space);
/* The next record, or VOID that stands for so many, is at [begin, end) of the newest segment; gives
 * the (first) ordinal. */
uint64_t osr_wal_space_add(struct osr_wal_space *space, uint64_t begin, uint64_t end);
uint64_t osr_wal_space_add_void(struct osr_wal_space *space, uint64_t count, uint64_t begin,
                                uint64_t end);
/* So many records, of which some may be gone, are void now. */
void osr_wal_space_note_voided(struct osr_wal_space *space, uint64_t ordinal, uint64_t count);

struct osr_wal_place osr_wal_space_locate(const struct osr_wal_space *space, uint64_t ordinal,
                                          size_t *ret_segment);
/* The first ordinal from this one on that has a record; one above the last where there is none. */
uint64_t osr_wal_space_skip_voids(const struct osr_wal_space *space, uint64_t ordinal);
/* Whether so many ordinals all have records. */
bool osr_wal_space_is_there(const struct osr_wal_space *space, uint64_t ordinal, uint64_t count);

/* Which to write anew as one: the segment that has most to give, or neighbours that together have
 * no more than `join_bytes` of what counts (0: none are joined); never the newest. False where
 * none is worth it. */
bool osr_wal_space_pick(const struct osr_wal_space *space, uint64_t join_bytes,
                        struct osr_wal_range *ret_range);
/* Puts one segment in the place of those of a range, of the same ordinals; takes the places. */
void osr_wal_space_exchange(struct osr_wal_space *space, struct osr_wal_range range,
                            struct osr_wal_places *places);
/* So many bytes of void records are there no more, or not to be counted any longer. */
void osr_wal_space_write_off(struct osr_wal_space *space, size_t segment, uint64_t bytes);

#endif
