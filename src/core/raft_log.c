/* The log: the terms of all its entries, and the newest of them in memory. Older ones are read
 * from the disk (FETCH) where somebody needs them. */
#include "core/raft_internal.h"

#include <assert.h>

/* ---- terms ---- */

static const struct osr_raft_span *span_at(const struct log *log, size_t place)
{
    return osr_queue_at(&log->spans, place);
}

/* How many spans begin at or before index. */
static size_t spans_up_to(const struct log *log, uint64_t index)
{
    size_t low = 0;
    size_t high = log->spans.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (span_at(log, middle)->first <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

uint64_t osr_raft_log_term(const struct log *log, uint64_t index)
{
    assert(index >= log->base && index <= log->last);
    size_t count = spans_up_to(log, index);
    return count > 0 ? span_at(log, count - 1)->term : log->base_term;
}

uint64_t osr_raft_log_last_up_to(const struct log *log, uint64_t index, uint64_t term)
{
    uint64_t last = osr_raft_max(osr_raft_min(index, log->last), log->base);
    for (size_t count = spans_up_to(log, last); count > 0; count--) {
        const struct osr_raft_span *span = span_at(log, count - 1);
        if (span->term <= term) {
            return last;
        }
        last = span->first - 1;
    }
    return last;
}

static void add_terms(struct log *log, const struct block *block)
{
    for (size_t i = 0; i < block->count; i++) {
        const struct osr_raft_entry *entry = &block->entries[i];
        const struct osr_raft_span *span = osr_queue_back(&log->spans);
        if (span == NULL || span->term != entry->term) {
            struct osr_raft_span *next = osr_queue_push(&log->spans);
            *next = (struct osr_raft_span){.first = entry->index, .term = entry->term};
        }
    }
}

/* ---- life ---- */

void osr_raft_log_init(struct log *log)
{
    osr_queue_init(&log->spans, sizeof(struct osr_raft_span));
    osr_queue_init(&log->blocks, sizeof(struct block *));
}

static struct block *block_at(const struct log *log, size_t place)
{
    struct block **block = osr_queue_at(&log->blocks, place);
    return *block;
}

static void drop_first_block(struct osr_raft *raft)
{
    struct log *log = &raft->log;
    struct block *block = block_at(log, 0);
    log->cached_bytes -= block->bytes;
    osr_queue_pop(&log->blocks);
    osr_raft_block_release(raft, block);
}

static void drop_last_block(struct osr_raft *raft)
{
    struct log *log = &raft->log;
    struct block *block = block_at(log, log->blocks.count - 1);
    log->cached_bytes -= block->bytes;
    osr_queue_pop_back(&log->blocks);
    osr_raft_block_release(raft, block);
}

void osr_raft_log_done(struct osr_raft *raft)
{
    while (raft->log.blocks.count > 0) {
        drop_first_block(raft);
    }
    osr_queue_done(&raft->log.blocks);
    osr_queue_done(&raft->log.spans);
}

void osr_raft_log_reset(struct osr_raft *raft, uint64_t base, uint64_t base_term)
{
    struct log *log = &raft->log;
    while (log->blocks.count > 0) {
        drop_first_block(raft);
    }
    osr_queue_clear(&log->spans);
    log->base = base;
    log->base_term = base_term;
    log->last = base;
    log->durable = base;
}

/* ---- its end ---- */

void osr_raft_log_append(struct osr_raft *raft, struct block *block)
{
    struct log *log = &raft->log;
    assert(osr_raft_block_first(block) == log->last + 1);
    struct block **place = osr_queue_push(&log->blocks);
    *place = block;
    log->cached_bytes += block->bytes;
    log->last = osr_raft_block_last(block);
    add_terms(log, block);
    for (size_t i = 0; i < block->count; i++) {
        if (block->entries[i].kind == OSR_RAFT_CONFIGURATION) {
            osr_raft_members_entered(raft, block->entries[i].index, block->entries[i].payload);
        }
    }
}

void osr_raft_log_cut(struct osr_raft *raft, uint64_t after)
{
    struct log *log = &raft->log;
    assert(after >= log->base);
    if (after >= log->last) {
        return;
    }
    while (log->blocks.count > 0 &&
           osr_raft_block_first(block_at(log, log->blocks.count - 1)) > after) {
        drop_last_block(raft);
    }
    while (log->spans.count > 0 && span_at(log, log->spans.count - 1)->first > after) {
        osr_queue_pop_back(&log->spans);
    }
    for (size_t i = 0; i < raft->stores.count; i++) {
        struct store *store = osr_queue_at(&raft->stores, i);
        store->last = osr_raft_min(store->last, after);
    }
    log->last = after;
    log->durable = osr_raft_min(log->durable, after);
    raft->matched = osr_raft_min(raft->matched, after);
    osr_raft_members_roll_back(raft, after);
}

/* ---- its beginning ---- */

void osr_raft_log_forget(struct osr_raft *raft, uint64_t index)
{
    struct log *log = &raft->log;
    if (index <= log->base) {
        return;
    }
    uint64_t term = osr_raft_log_term(log, index);
    while (log->spans.count > 1 && span_at(log, 1)->first <= index + 1) {
        osr_queue_pop(&log->spans);
    }
    if (index == log->last) {
        osr_queue_clear(&log->spans);
    } else {
        struct osr_raft_span *first = osr_queue_front(&log->spans);
        first->first = osr_raft_max(first->first, index + 1);
    }
    log->base = index;
    log->base_term = term;
}

/* ---- what is in memory ---- */

/* Where the block is that has the entry; blocks.count where none has. */
static size_t find_block(const struct log *log, uint64_t index)
{
    size_t low = 0;
    size_t high = log->blocks.count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (osr_raft_block_first(block_at(log, middle)) <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : log->blocks.count;
}

/* How many entries of the block are the log's. */
static size_t block_entries(const struct log *log, size_t place)
{
    uint64_t first = osr_raft_block_first(block_at(log, place));
    uint64_t end = place + 1 < log->blocks.count ? osr_raft_block_first(block_at(log, place + 1))
                                                 : log->last + 1;
    return (size_t)(end - first);
}

/* Entries from one on that stand beside each other in memory. */
struct run {
    const struct osr_raft_entry *entries;
    size_t count;
};

static struct run run_at(const struct log *log, size_t place, uint64_t index)
{
    const struct block *block = block_at(log, place);
    size_t skipped = (size_t)(index - osr_raft_block_first(block));
    return (struct run){block->entries + skipped, block_entries(log, place) - skipped};
}

/* Of `run`, as many entries as the limits leave. */
static size_t count_fitting(const struct run *run, size_t count_max, size_t bytes_max,
                            bool is_first, size_t *bytes)
{
    size_t count = 0;
    while (count < run->count && count < count_max) {
        size_t size = run->entries[count].payload.size;
        if (!(is_first && count == 0) && *bytes + size > bytes_max) {
            break;
        }
        *bytes += size;
        count++;
    }
    return count;
}

/* Runs that are apart in memory, beside each other. */
static const struct osr_raft_entry *join_runs(struct osr_raft *raft, uint64_t first, size_t count)
{
    const struct log *log = &raft->log;
    struct osr_raft_entry *joined = osr_raft_take(raft, count * sizeof(*joined));
    size_t place = find_block(log, first);
    for (size_t done = 0; done < count; place++) {
        struct run run = run_at(log, place, first + done);
        size_t more = (size_t)osr_raft_min(run.count, count - done);
        memcpy(joined + done, run.entries, more * sizeof(*joined));
        done += more;
    }
    return joined;
}

size_t osr_raft_log_read(struct osr_raft *raft, uint64_t first, uint64_t last, size_t bytes_max,
                         const struct osr_raft_entry **ret_entries, size_t *ret_count)
{
    const struct log *log = &raft->log;
    size_t place = find_block(log, first);
    size_t wanted = (size_t)(osr_raft_min(last, log->last) + 1 - first);
    size_t bytes = 0;
    size_t count = 0;
    if (place == log->blocks.count || first > log->last) {
        *ret_count = 0;
        return 0;
    }
    const struct run first_run = run_at(log, place, first);
    for (struct run run = first_run; count < wanted;) {
        size_t more = count_fitting(&run, wanted - count, bytes_max, count == 0, &bytes);
        count += more;
        if (more < run.count || ++place == log->blocks.count) {
            break;
        }
        run = run_at(log, place, first + count);
    }
    *ret_entries = count <= first_run.count ? first_run.entries : join_runs(raft, first, count);
    *ret_count = count;
    return bytes;
}

void osr_raft_log_trim(struct osr_raft *raft)
{
    struct log *log = &raft->log;
    while (log->blocks.count > 0) {
        const struct block *block = block_at(log, 0);
        uint64_t last = osr_raft_block_first(block) + block_entries(log, 0) - 1;
        bool is_needed = last > log->base && log->cached_bytes <= raft->options.cache_bytes;
        if (is_needed || last > log->durable) {
            break;
        }
        drop_first_block(raft);
    }
}
