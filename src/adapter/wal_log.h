/* wal_log.h -- one logical log, as the log's index knows it: which ordinals its live entries and
 * heads have, and where it begins and ends.
 *
 * Memory: 16 bytes for each run of entries that follow each other in the physical log without a
 * break, 16 for each head and for each anchor.
 *
 * Private to the index. */
#ifndef OSR_ADAPTER_WAL_LOG_H
#define OSR_ADAPTER_WAL_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct osr_wal_point {
    uint64_t index;
    uint64_t ordinal;
};

/* Sorted by ordinal. */
struct osr_wal_points {
    struct osr_wal_point *items;
    size_t count;
    size_t capacity;
};

/* Invariant: entries have no gaps, so a run ends where the next begins, and where there is a base
 * the first one stands right behind it. */
struct osr_wal_log {
    uint32_t id;
    uint64_t base;              /* index that the newest BASE named; 0: there was none */
    uint64_t base_ordinal;      /* of that BASE */
    uint64_t last;              /* index of the last entry, or base; 0: none */
    uint64_t vote;              /* ordinal of the newest VOTE; 0: none */
    struct osr_wal_points runs; /* the first entry of each: then index and ordinal grow together */
    struct osr_wal_points heads;
    /* BASEs without which the entries would not go on where they did: one above the last entry, and
     * one below which was truncated. They are kept; every other is void once there is a newer. */
    struct osr_wal_points anchors;
};

/* Hears of ordinals that are not live any more, each once. */
typedef void osr_wal_voided(void *context, uint64_t ordinal, uint64_t count);

void osr_wal_log_done(struct osr_wal_log *log);

/* Whether this entry may come next. */
bool osr_wal_log_goes_on(const struct osr_wal_log *log, uint64_t entry);
/* Entries from `first` on, which come next; the first has this ordinal, and so on. */
void osr_wal_log_add_entries(struct osr_wal_log *log, uint64_t first, uint64_t count,
                             uint64_t ordinal);
void osr_wal_log_add_head(struct osr_wal_log *log, uint64_t entry, uint64_t ordinal);
void osr_wal_log_vote(struct osr_wal_log *log, uint64_t ordinal, osr_wal_voided *voided,
                      void *context);
void osr_wal_log_truncate(struct osr_wal_log *log, uint64_t entry, osr_wal_voided *voided,
                          void *context);
void osr_wal_log_raise_base(struct osr_wal_log *log, uint64_t entry, uint64_t ordinal,
                            osr_wal_voided *voided, void *context);

uint64_t osr_wal_log_ordinal(const struct osr_wal_log *log, uint64_t entry); /* 0: not there */
bool osr_wal_log_has_head(const struct osr_wal_log *log, uint64_t ordinal);
/* Whether the BASE with this ordinal counts. */
bool osr_wal_log_has_base(const struct osr_wal_log *log, uint64_t ordinal);
/* How many entries the run at a position has. */
uint64_t osr_wal_log_run_length(const struct osr_wal_log *log, size_t run);

/* Walks ordinals of entries and heads upwards. Valid until the log changes. */
struct osr_wal_log_walk {
    const struct osr_wal_log *log;
    uint64_t entry; /* the index of the next entry */
    size_t run;     /* which this is in */
    size_t head;    /* the next head */
};
struct osr_wal_log_walk osr_wal_log_walk_from(const struct osr_wal_log *log, uint64_t ordinal);
uint64_t osr_wal_log_walk_next(struct osr_wal_log_walk *walk); /* UINT64_MAX: no more */

#endif
