/* wal_index.h -- what the log knows about its records without reading them: where each ordinal
 * stands, which ordinals a logical log's entries and heads have, and what is void.
 *
 * Memory: wal_places.h, wal_log.h and wal_facts.h say.
 *
 * Private to the log. No I/O and no lock: the caller has one. */
#ifndef OSR_ADAPTER_WAL_INDEX_H
#define OSR_ADAPTER_WAL_INDEX_H

#include "adapter/wal.h"
#include "adapter/wal_log.h"
#include "adapter/wal_space.h"

struct osr_wal_index;

struct osr_wal_index *osr_wal_index_create(uint64_t seed, osr_wal_fact_key *fact_key);
void osr_wal_index_destroy(struct osr_wal_index *index); /* NULL is a no-op */

/* The next record is the first of a further segment; these count from 0. */
void osr_wal_index_begin_segment(struct osr_wal_index *index);
/* Whether such a record, or a VOID, may come next: CORRUPT if not. */
int osr_wal_index_check(const struct osr_wal_index *index, const struct osr_wal_record *record,
                        struct osr_err *err);
/* Adds a record that stands at [begin, end) of the newest segment, acts on it, and sets its
 * ordinal. It has been checked. */
void osr_wal_index_add(struct osr_wal_index *index, struct osr_wal_record *record, uint64_t begin,
                       uint64_t end);
/* All records added so far may be met by walks. */
void osr_wal_index_publish(struct osr_wal_index *index);
/* CORRUPT if an entry is live that a VOID stands for: what voided it is lost. */
int osr_wal_index_check_voids(const struct osr_wal_index *index, struct osr_err *err);

uint64_t osr_wal_index_last_ordinal(const struct osr_wal_index *index); /* published or not */
uint64_t osr_wal_index_last_index(const struct osr_wal_index *index, uint32_t log_id);
uint64_t osr_wal_index_base_index(const struct osr_wal_index *index, uint32_t log_id);
/* The ordinal of a published entry; 0: none. */
uint64_t osr_wal_index_find(const struct osr_wal_index *index, uint32_t log_id, uint64_t entry);
/* False for an entry or head that was truncated or is below the base, for an old vote, base or
 * fact. */
bool osr_wal_index_is_live(const struct osr_wal_index *index, const struct osr_wal_record *record);
/* Where an ordinal stands that has a record, and in which segment. */
struct osr_wal_place osr_wal_index_locate(const struct osr_wal_index *index, uint64_t ordinal,
                                          size_t *ret_segment);

/* Walks published ordinals upwards: of the live entries and heads of one log, or all but those
 * that a VOID stands for. Valid until the index changes. */
struct osr_wal_walk {
    const struct osr_wal_index *index;
    struct osr_wal_log_walk of_log; /* its log is NULL: all ordinals */
    uint64_t ordinal;               /* of all: the next */
};
void osr_wal_walk_all(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint64_t from);
void osr_wal_walk_log(struct osr_wal_walk *walk, const struct osr_wal_index *index, uint32_t log_id,
                      uint64_t from);
uint64_t osr_wal_walk_next(struct osr_wal_walk *walk); /* 0: no more */

/* For compaction. */

/* The ordinal of the newest record that may have voided others; 0: none. */
uint64_t osr_wal_index_voided_by(const struct osr_wal_index *index);
/* These as wal_space.h says. */
bool osr_wal_index_pick(const struct osr_wal_index *index, uint64_t join_bytes,
                        struct osr_wal_range *ret_range);
/* Of a segment that is not the newest. The copy stays good until it is exchanged. */
struct osr_wal_places osr_wal_index_places(const struct osr_wal_index *index, size_t segment);
void osr_wal_index_exchange(struct osr_wal_index *index, struct osr_wal_range range,
                            struct osr_wal_places *places);
void osr_wal_index_write_off(struct osr_wal_index *index, size_t segment, uint64_t bytes);

#endif
