/* raft_store.h -- what a simulated member has on its disk: log and vote, the snapshot, and perhaps
 * a state further on.
 *
 * The log is kept twice: as reads see it, and as a power cut would leave it; between the two stand
 * the records that were written and not yet synced, in their order. A power cut keeps the first of
 * them, as many as chance will have: a log's torn tail.
 *
 * Some stores have the real log (raft_wal.h) beside that: then it decides what a power cut leaves,
 * and whatever it gives back must be what stands here. */
#ifndef OSR_TESTS_RAFT_STORE_H
#define OSR_TESTS_RAFT_STORE_H

#include "sim/raft_log.h"
#include "sim/raft_state.h"

struct raft_image {
    struct osr_raft_vote vote;
    struct raft_log log;
};

/* What is written together, or not at all. */
struct raft_write {
    bool has_vote;
    struct osr_raft_vote vote;
    uint64_t truncate_after; /* UINT64_MAX: nothing is cut off */
    const struct osr_raft_entry *entries;
    size_t count;
};

struct raft_store;
struct raft_wal;

/* A NULL wal: there is no real log. It is taken over. */
struct raft_store *raft_store_create(struct raft_wal *wal);
void raft_store_destroy(struct raft_store *store); /* NULL is a no-op */

/* What reads see, and what is safe from a power cut. */
const struct raft_image *raft_store_seen(const struct raft_store *store);
const struct raft_image *raft_store_durable(const struct raft_store *store);

/* OK, or DISK_FULL and nothing is written. */
enum osr_code raft_store_write(struct raft_store *store, const struct raft_write *write);
/* Forgets the entries up to index (which has this term and chain value), or all; likewise. */
enum osr_code raft_store_rebase(struct raft_store *store, uint64_t index, uint64_t term,
                                uint64_t chain, bool is_void);
void raft_store_sync(struct raft_store *store);
/* Some of the entries from first on have been read: the real log has to have the same. */
void raft_store_compare(struct raft_store *store, uint64_t first);

/* The process has died, or the machine has lost power. A tail that was not synced may rot while
 * nobody is there. True where something that was written is gone. */
bool raft_store_kill(struct raft_store *store, struct osr_random *random);
bool raft_store_cut_power(struct raft_store *store, struct osr_random *random);
/* The sync of what was written failed, and then either of the two came; likewise. */
bool raft_store_lose_sync(struct raft_store *store, bool is_power_cut, struct osr_random *random);
/* After it was killed: something that was synced has rotten. True where it must never be opened
 * again; false: nothing of worth was hit. */
bool raft_store_rot(struct raft_store *store, struct osr_random *random);
void raft_store_set_full(struct raft_store *store, bool is_full);

/* Replaces the snapshot, or the state beside it, safe from then on. */
void raft_store_put_snapshot(struct raft_store *store, const struct raft_snapshot *snapshot);
const struct raft_snapshot *raft_store_snapshot(const struct raft_store *store);
/* The newest in the log or, without one, the snapshot's. */
void raft_store_configuration(const struct raft_store *store,
                              struct osr_raft_configuration *ret_configuration);
void raft_store_put_state(struct raft_store *store, const struct raft_state *state);

/* After a crash and before anything else: mends what a crash left half done, and says what is
 * there. It lives until the next call of anything here. Also the state to begin from. */
const struct osr_raft_restored *raft_store_open(struct raft_store *store,
                                                struct raft_state *ret_state);

#endif
