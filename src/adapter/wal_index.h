/* wal_index.h -- what the log knows about its records without reading them: where each ordinal
 * stands, which ordinals a logical log's entries and heads have, and what is void.
 *
 * Memory: 4 bytes a record, 16 for each run of entries that follow each other in the
 * physical log without a break, 16 for each head.
 *
 * Private to the log. No I/O and no lock: the caller has one. */
#ifndef OSR_ADAPTER_WAL_INDEX_H
#define OSR_ADAPTER_WAL_INDEX_H

#include "adapter/wal.h"

struct osr_wal_index;

struct osr_wal_index *osr_wal_index_create(uint64_t seed);
void osr_wal_index_destroy(struct osr_wal_index *index); /* NULL is a no-op */

/* The next record is the first of a further segment; these count from 0. */
void osr_wal_index_begin_segment(struct osr_wal_index *index);
/* Whether such a record may come next: CORRUPT if not. */
int osr_wal_index_check(const struct osr_wal_index *index, const struct osr_wal_record *record,
                        struct osr_err *err);
/* Adds a record that stands at [begin, end) of the newest segment, acts on it, and sets its
 * ordinal. It has been checked. */
void osr_wal_index_add(struct osr_wal_index *index, struct osr_wal_record *record, uint64_t begin,
                       uint64_t end);
/* All records added so far may be met by walks. */
void osr_wal_index_publish(struct osr_wal_index *index);

uint64_t osr_wal_index_last_ordinal(const struct osr_wal_index *index); /* published or not */
uint64_t osr_wal_index_last_index(const struct osr_wal_index *index, uint32_t log_id);
/* The ordinal of a published entry; 0: none. */
uint64_t osr_wal_index_find(const struct osr_wal_index *index, uint32_t log_id, uint64_t entry);
/* False for an entry or head that was truncated. */
bool osr_wal_index_is_live(const struct osr_wal_index *index, const struct osr_wal_record *record);

struct osr_wal_place {
    size_t segment;
    uint64_t begin; /* offset of the record */
    uint64_t end;   /* offset behind it, or behind a MARK that follows it */
};
struct osr_wal_place osr_wal_index_locate(const struct osr_wal_index *index, uint64_t ordinal);

/* Walks published ordinals upwards: of the live entries and heads of one log, or all. Valid until
 * the index changes. */
struct osr_wal_walk {
    const struct osr_wal_index *index;
    const struct osr_wal_log *log; /* NULL: all ordinals */
    uint64_t ordinal;              /* of all: the next */
    uint64_t entry;                /* of one log: the index of the next entry */
    size_t run;                    /* which this entry is in */
    size_t head;                   /* the next head */
};
void osr_wal_walk_all(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint64_t from);
void osr_wal_walk_log(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint32_t log_id,
                      uint64_t from);
uint64_t osr_wal_walk_next(struct osr_wal_walk *walk); /* 0: no more */

#endif
