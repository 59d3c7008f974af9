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

static void add_terms(struct log *log, const struct piece *piece)
{
    for (size_t i = 0; i < piece->count; i++) {
        const struct osr_raft_entry *entry = &piece->entries[i];
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
    osr_queue_init(&log->pieces, sizeof(struct piece));
}

static const struct piece *piece_at(const struct log *log, size_t place)
{
    return osr_queue_at(&log->pieces, place);
}

static void release_piece(struct osr_raft *raft, const struct piece *piece)
{
    raft->log.cached_bytes -= piece->bytes;
    osr_raft_block_release(raft, piece->block);
}

static void drop_first_piece(struct osr_raft *raft)
{
    release_piece(raft, osr_queue_front(&raft->log.pieces));
    osr_queue_pop(&raft->log.pieces);
}

static void drop_last_piece(struct osr_raft *raft)
{
    release_piece(raft, osr_queue_back(&raft->log.pieces));
    osr_queue_pop_back(&raft->log.pieces);
}

void osr_raft_log_done(struct osr_raft *raft)
{
    while (raft->log.pieces.count > 0) {
        drop_first_piece(raft);
    }
    osr_queue_done(&raft->log.pieces);
    osr_queue_done(&raft->log.spans);
}

void osr_raft_log_reset(struct osr_raft *raft, uint64_t base, uint64_t base_term)
{
    struct log *log = &raft->log;
    while (log->pieces.count > 0) {
        drop_first_piece(raft);
    }
    osr_queue_clear(&log->spans);
    log->base = base;
    log->base_term = base_term;
    log->last = base;
    log->durable = base;
    log->is_disk_longer = false;
}

/* ---- its end ---- */

void osr_raft_log_append(struct osr_raft *raft, const struct piece *piece)
{
    struct log *log = &raft->log;
    assert(piece->first == log->last + 1);
    struct piece *place = osr_queue_push(&log->pieces);
    *place = *piece;
    log->cached_bytes += piece->bytes;
    log->last += piece->count;
    add_terms(log, piece);
    for (size_t i = 0; i < piece->count; i++) {
        if (piece->entries[i].kind == OSR_RAFT_CONFIGURATION) {
            osr_raft_members_entered(raft, piece->entries[i].index, piece->entries[i].payload);
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
    const struct piece *piece;
    while ((piece = osr_queue_back(&log->pieces)) != NULL && piece->first > after) {
        drop_last_piece(raft);
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

/* Where the piece is that has the entry; pieces.count where none has. */
static size_t find_piece(const struct log *log, uint64_t index)
{
    size_t count = log->pieces.count;
    size_t behind = 1; /* what is read is new, most of the time: from the end on, in larger steps */
    while (behind < count && piece_at(log, count - behind)->first > index) {
        behind *= 2;
    }
    size_t low = behind < count ? count - behind : 0;
    size_t high = count - (count > 0 ? behind / 2 : 0);
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (piece_at(log, middle)->first <= index) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low > 0 ? low - 1 : count;
}

/* The last of the piece's entries that are the log's. */
static uint64_t piece_last(const struct log *log, size_t place)
{
    return place + 1 < log->pieces.count ? piece_at(log, place + 1)->first - 1 : log->last;
}

/* Entries from one on that stand beside each other in memory. */
struct run {
    const struct osr_raft_entry *entries;
    size_t count;
};

static struct run run_at(const struct log *log, size_t place, uint64_t index)
{
    const struct piece *piece = piece_at(log, place);
    return (struct run){piece->entries + (index - piece->first),
                        (size_t)(piece_last(log, place) + 1 - index)};
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
    size_t place = find_piece(log, first);
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
    size_t place = find_piece(log, first);
    size_t wanted = (size_t)(osr_raft_min(last, log->last) + 1 - first);
    size_t bytes = 0;
    size_t count = 0;
    if (place == log->pieces.count || first > log->last) {
        *ret_count = 0;
        return 0;
    }
    const struct run first_run = run_at(log, place, first);
    for (struct run run = first_run; count < wanted;) {
        size_t more = count_fitting(&run, wanted - count, bytes_max, count == 0, &bytes);
        count += more;
        if (more < run.count || ++place == log->pieces.count) {
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
    while (log->pieces.count > 0) {
        uint64_t last = piece_last(log, 0);
        bool is_needed = last > log->base && log->cached_bytes <= raft->options.cache_bytes;
        if (is_needed || last > log->durable) {
            break;
        }
        drop_first_piece(raft);
    }
}
