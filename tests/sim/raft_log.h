/* raft_log.h -- a log as the simulation keeps it, on its disks and in its checks.
 *
 * Each entry has a chain value: a hash over the one before it, its term, kind and content. So two
 * logs that have the same chain value at an index are the same up to there. */
#ifndef OSR_TESTS_RAFT_LOG_H
#define OSR_TESTS_RAFT_LOG_H

#include "core/raft.h"

/* Bytes that several logs share. */
struct raft_block {
    size_t references;
    size_t size;
    uint8_t bytes[];
};

struct raft_block *raft_block_create(struct osr_slice bytes);
struct raft_block *raft_block_share(struct raft_block *block); /* NULL gives NULL */
void raft_block_release(struct raft_block *block);             /* NULL is a no-op */

struct raft_log_entry {
    uint64_t term;
    uint64_t chain;
    enum osr_raft_kind kind;
    struct raft_block *payload; /* NULL in the checks' logs */
};

/* Entries base + 1 .. base + count. A zeroed one is an empty log at the ledger's beginning. */
struct raft_log {
    uint64_t base;
    uint64_t base_term;
    uint64_t base_chain;
    struct raft_log_entry *entries;
    size_t count;
    size_t capacity;
};

void raft_log_done(struct raft_log *log);
/* `to` becomes the same, with or without payloads. */
void raft_log_copy(struct raft_log *to, const struct raft_log *from, bool has_payloads);

static inline uint64_t raft_log_last(const struct raft_log *log)
{
    return log->base + log->count;
}
/* NULL where the log does not have it (any more). */
const struct raft_log_entry *raft_log_find(const struct raft_log *log, uint64_t index);
/* From base to last. */
bool raft_log_has(const struct raft_log *log, uint64_t index);
uint64_t raft_log_chain(const struct raft_log *log, uint64_t index);
uint64_t raft_log_term(const struct raft_log *log, uint64_t index);

/* The chain value behind `previous`. */
uint64_t raft_chain(uint64_t previous, const struct osr_raft_entry *entry);
/* Behind the last; its chain value is made. The payload is shared, and may be NULL. */
void raft_log_append(struct raft_log *log, const struct osr_raft_entry *entry,
                     struct raft_block *payload);
void raft_log_truncate(struct raft_log *log, uint64_t after);
/* Forgets the entries up to index. If the last is below it, the next one is index + 1. */
void raft_log_rebase(struct raft_log *log, uint64_t index, uint64_t term, uint64_t chain);

#endif
