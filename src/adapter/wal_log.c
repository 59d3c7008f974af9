#include "adapter/wal_log.h"

#include <assert.h>
#include <stdlib.h>

#include "base/bytes.h"

enum { POINTS_LEAST = 8 };

static void points_add(struct osr_wal_points *points, uint64_t index, uint64_t ordinal)
{
    if (points->count == points->capacity) {
        points->capacity = points->capacity == 0 ? POINTS_LEAST : points->capacity * 2;
        points->items = osr_realloc(points->items, points->capacity * sizeof(*points->items));
    }
    assert(points->items != NULL);
    points->items[points->count++] = (struct osr_wal_point){index, ordinal};
}

/* The position of the first point with an ordinal of at least `ordinal`. */
static size_t points_from(const struct osr_wal_points *points, uint64_t ordinal)
{
    size_t low = 0;
    size_t high = points->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (points->items[middle].ordinal < ordinal) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static bool points_have(const struct osr_wal_points *points, uint64_t ordinal)
{
    size_t at = points_from(points, ordinal);

    return at < points->count && points->items[at].ordinal == ordinal;
}

static void points_drop_first(struct osr_wal_points *points, size_t count)
{
    points->count -= count;
    if (points->count > 0) {
        memmove(points->items, points->items + count, points->count * sizeof(*points->items));
    }
}

void osr_wal_log_done(struct osr_wal_log *log)
{
    free(log->runs.items);
    free(log->heads.items);
    free(log->anchors.items);
}

/* Where things stand. */

/* The index behind the last entry of a run. */
static uint64_t run_end(const struct osr_wal_log *log, size_t run)
{
    return run + 1 < log->runs.count ? log->runs.items[run + 1].index : log->last + 1;
}

uint64_t osr_wal_log_run_length(const struct osr_wal_log *log, size_t run)
{
    return run_end(log, run) - log->runs.items[run].index;
}

/* The run that holds an entry, which is there. */
static size_t run_of(const struct osr_wal_log *log, uint64_t entry)
{
    size_t low = 0;
    size_t high = log->runs.count - 1;

    while (low < high) {
        size_t middle = high - (high - low) / 2;
        if (log->runs.items[middle].index <= entry) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    return low;
}

uint64_t osr_wal_log_ordinal(const struct osr_wal_log *log, uint64_t entry)
{
    const struct osr_wal_point *run;

    if (log->runs.count == 0 || entry < log->runs.items[0].index || entry > log->last) {
        return 0;
    }
    run = &log->runs.items[run_of(log, entry)];
    return run->ordinal + (entry - run->index);
}

bool osr_wal_log_has_head(const struct osr_wal_log *log, uint64_t ordinal)
{
    return points_have(&log->heads, ordinal);
}

bool osr_wal_log_has_base(const struct osr_wal_log *log, uint64_t ordinal)
{
    return ordinal == log->base_ordinal || points_have(&log->anchors, ordinal);
}

/* Growing. */

bool osr_wal_log_goes_on(const struct osr_wal_log *log, uint64_t entry)
{
    return entry > 0 && (log->last == 0 || entry == log->last + 1);
}

void osr_wal_log_add_entries(struct osr_wal_log *log, uint64_t first, uint64_t count,
                             uint64_t ordinal)
{
    const struct osr_wal_point *run = NULL;

    if (log->runs.count > 0) {
        run = &log->runs.items[log->runs.count - 1];
    }
    if (run == NULL || run->ordinal + (first - run->index) != ordinal) {
        points_add(&log->runs, first, ordinal);
    }
    log->last = first + count - 1;
}

void osr_wal_log_add_head(struct osr_wal_log *log, uint64_t entry, uint64_t ordinal)
{
    points_add(&log->heads, entry, ordinal);
}

void osr_wal_log_vote(struct osr_wal_log *log, uint64_t ordinal, osr_wal_voided *voided,
                      void *context)
{
    if (log->vote != 0) {
        voided(context, log->vote, 1);
    }
    log->vote = ordinal;
}

/* The newest BASE says where entries go on. */
static void anchor(struct osr_wal_log *log)
{
    if (!points_have(&log->anchors, log->base_ordinal)) {
        points_add(&log->anchors, log->base, log->base_ordinal);
    }
}

/* Cutting behind. */

/* Heads behind an index stand behind the entry that follows it, so those in front need no look. */
static void truncate_heads(struct osr_wal_log *log, uint64_t entry, osr_wal_voided *voided,
                           void *context)
{
    size_t kept = points_from(&log->heads, osr_wal_log_ordinal(log, entry + 1));

    for (size_t i = kept; i < log->heads.count; i++) {
        if (log->heads.items[i].index <= entry) {
            log->heads.items[kept++] = log->heads.items[i];
        } else {
            voided(context, log->heads.items[i].ordinal, 1);
        }
    }
    log->heads.count = kept;
}

static void truncate_runs(struct osr_wal_log *log, uint64_t entry, osr_wal_voided *voided,
                          void *context)
{
    while (log->runs.count > 0 && log->last > entry) {
        const struct osr_wal_point *run = &log->runs.items[log->runs.count - 1];
        uint64_t kept = run->index > entry ? 0 : entry + 1 - run->index;
        voided(context, run->ordinal + kept, log->last + 1 - (run->index + kept));
        log->last = run->index + kept - 1;
        log->runs.count -= kept == 0 ? 1 : 0;
    }
    if (log->runs.count == 0) {
        log->last = log->base;
    }
}

void osr_wal_log_truncate(struct osr_wal_log *log, uint64_t entry, osr_wal_voided *voided,
                          void *context)
{
    if (log->base > entry) {
        anchor(log);
    }
    if (log->last > entry) {
        truncate_heads(log, entry, voided, context);
        truncate_runs(log, entry, voided, context);
    }
}

/* Cutting in front. */

static void raise_heads(struct osr_wal_log *log, osr_wal_voided *voided, void *context)
{
    size_t kept = 0;

    for (size_t i = 0; i < log->heads.count; i++) {
        if (log->heads.items[i].index > log->base) {
            log->heads.items[kept++] = log->heads.items[i];
        } else {
            voided(context, log->heads.items[i].ordinal, 1);
        }
    }
    log->heads.count = kept;
}

static void raise_runs(struct osr_wal_log *log, osr_wal_voided *voided, void *context)
{
    size_t dropped = 0;

    while (dropped < log->runs.count && log->runs.items[dropped].index <= log->base) {
        struct osr_wal_point *run = &log->runs.items[dropped];
        uint64_t end = run_end(log, dropped);
        uint64_t cut = (end <= log->base + 1 ? end : log->base + 1) - run->index;
        voided(context, run->ordinal, cut);
        run->index += cut;
        run->ordinal += cut;
        if (run->index < end) {
            break;
        }
        dropped++;
    }
    points_drop_first(&log->runs, dropped);
}

void osr_wal_log_raise_base(struct osr_wal_log *log, uint64_t entry, uint64_t ordinal,
                            osr_wal_voided *voided, void *context)
{
    if (entry <= log->base) {
        voided(context, ordinal, 1);
        return;
    }
    if (log->base > 0 && !points_have(&log->anchors, log->base_ordinal)) {
        voided(context, log->base_ordinal, 1);
    }
    log->base = entry;
    log->base_ordinal = ordinal;
    raise_heads(log, voided, context);
    raise_runs(log, voided, context);
    if (log->last < entry) {
        log->last = entry;
        anchor(log);
    }
}

/* Walking. */

struct osr_wal_log_walk osr_wal_log_walk_from(const struct osr_wal_log *log, uint64_t ordinal)
{
    struct osr_wal_log_walk walk = {
        .log = log,
        .run = points_from(&log->runs, ordinal),
        .head = points_from(&log->heads, ordinal),
    };
    const struct osr_wal_point *run;

    walk.entry = walk.run < log->runs.count ? log->runs.items[walk.run].index : log->last + 1;
    if (walk.run == 0) {
        return walk;
    }
    /* The ordinal may be inside the run before. */
    run = &log->runs.items[walk.run - 1];
    if (run->index + (ordinal - run->ordinal) < run_end(log, walk.run - 1)) {
        walk.run--;
        walk.entry = run->index + (ordinal - run->ordinal);
    }
    return walk;
}

uint64_t osr_wal_log_walk_next(struct osr_wal_log_walk *walk)
{
    const struct osr_wal_log *log = walk->log;
    uint64_t entry = UINT64_MAX;
    uint64_t head = UINT64_MAX;

    if (walk->run < log->runs.count && walk->entry <= log->last) {
        const struct osr_wal_point *run = &log->runs.items[walk->run];
        entry = run->ordinal + (walk->entry - run->index);
    }
    if (walk->head < log->heads.count) {
        head = log->heads.items[walk->head].ordinal;
    }
    if (head < entry) {
        walk->head++;
        return head;
    }
    if (entry == UINT64_MAX) {
        return entry;
    }
    walk->entry++;
    if (walk->entry == run_end(log, walk->run)) {
        walk->run++;
    }
    return entry;
}
