#include "sim/raft_log.h"

#include "base/map.h"

#include <assert.h>
#include <stdlib.h>

struct raft_block *raft_block_create(struct osr_slice bytes)
{
    struct raft_block *block = osr_alloc_unset(sizeof(*block) + bytes.size);
    block->references = 1;
    block->size = bytes.size;
    if (bytes.size > 0) {
        memcpy(block->bytes, bytes.data, bytes.size);
    }
    return block;
}

struct raft_block *raft_block_share(struct raft_block *block)
{
    if (block != NULL) {
        block->references++;
    }
    return block;
}

void raft_block_release(struct raft_block *block)
{
    if (block != NULL && --block->references == 0) {
        free(block);
    }
}

static void release_entries(struct raft_log *log, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++) {
        raft_block_release(log->entries[i].payload);
    }
}

void raft_log_done(struct raft_log *log)
{
    release_entries(log, 0, log->count);
    free(log->entries);
    *log = (struct raft_log){0};
}

static void reserve(struct raft_log *log, size_t count)
{
    if (count > log->capacity) {
        log->capacity = 2 * count + 64;
        log->entries = osr_realloc(log->entries, log->capacity * sizeof(log->entries[0]));
    }
}

void raft_log_copy(struct raft_log *to, const struct raft_log *from, bool has_payloads)
{
    release_entries(to, 0, to->count);
    reserve(to, from->count);
    to->base = from->base;
    to->base_term = from->base_term;
    to->base_chain = from->base_chain;
    to->count = from->count;
    for (size_t i = 0; i < from->count; i++) {
        to->entries[i] = from->entries[i];
        to->entries[i].payload = has_payloads ? raft_block_share(from->entries[i].payload) : NULL;
    }
}

const struct raft_log_entry *raft_log_find(const struct raft_log *log, uint64_t index)
{
    return index > log->base && index <= raft_log_last(log) ? &log->entries[index - log->base - 1]
                                                            : NULL;
}

bool raft_log_has(const struct raft_log *log, uint64_t index)
{
    return index >= log->base && index <= raft_log_last(log);
}

uint64_t raft_log_chain(const struct raft_log *log, uint64_t index)
{
    assert(raft_log_has(log, index));
    return index == log->base ? log->base_chain : raft_log_find(log, index)->chain;
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index)
{
    assert(raft_log_has(log, index));
    return index == log->base ? log->base_term : raft_log_find(log, index)->term;
}

uint64_t raft_chain(uint64_t previous, const struct osr_raft_entry *entry)
{
    const uint64_t key[2] = {previous, entry->term << 8 | (uint64_t)entry->kind};
    return osr_siphash(key, entry->payload);
}

void raft_log_append(struct raft_log *log, const struct osr_raft_entry *entry,
                     struct raft_block *payload)
{
    assert(entry->index == raft_log_last(log) + 1);
    uint64_t previous = raft_log_chain(log, raft_log_last(log));
    reserve(log, log->count + 1);
    log->entries[log->count++] = (struct raft_log_entry){
        .term = entry->term,
        .chain = raft_chain(previous, entry),
        .kind = entry->kind,
        .payload = raft_block_share(payload),
    };
}

void raft_log_truncate(struct raft_log *log, uint64_t after)
{
    assert(after >= log->base);
    if (after < raft_log_last(log)) {
        size_t count = after - log->base;
        release_entries(log, count, log->count);
        log->count = count;
    }
}

void raft_log_rebase(struct raft_log *log, uint64_t index, uint64_t term, uint64_t chain)
{
    if (index <= log->base) {
        return;
    }
    size_t gone = index < raft_log_last(log) ? index - log->base : log->count;
    release_entries(log, 0, gone);
    log->count -= gone;
    if (log->count > 0) {
        memmove(log->entries, log->entries + gone, log->count * sizeof(log->entries[0]));
    }
    log->base = index;
    log->base_term = term;
    log->base_chain = chain;
}
