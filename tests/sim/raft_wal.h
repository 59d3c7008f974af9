/* raft_wal.h -- the real log (adapter/wal.h) on a simulated disk, with what a member of a ledger
 * puts into it. raft_store.c keeps it beside its own records and holds the two against each
 * other. */
#ifndef OSR_TESTS_RAFT_WAL_H
#define OSR_TESTS_RAFT_WAL_H

#include "base/random.h"
#include "sim/raft_store.h"

struct raft_wal;

struct raft_wal *raft_wal_create(uint64_t seed);
void raft_wal_destroy(struct raft_wal *wal); /* NULL is a no-op */

/* OK or DISK_FULL. */
enum osr_code raft_wal_write(struct raft_wal *wal, const struct raft_write *write);
enum osr_code raft_wal_truncate(struct raft_wal *wal, uint64_t after);
enum osr_code raft_wal_rebase(struct raft_wal *wal, uint64_t index, uint64_t term, uint64_t chain);
void raft_wal_sync(struct raft_wal *wal);
/* The entries that stand there from an index on must be those of this log. */
void raft_wal_compare(struct raft_wal *wal, const struct raft_log *log, uint64_t first);

/* A sync that fails: nothing but a crash may come behind it. */
void raft_wal_lose_sync(struct raft_wal *wal);
/* The process has died, or the machine has lost power. */
void raft_wal_crash(struct raft_wal *wal, bool is_power_cut);
/* After it was killed: damages something, or the record that was written last. */
void raft_wal_rot(struct raft_wal *wal, struct osr_random *random);
void raft_wal_rot_tail(struct raft_wal *wal, struct osr_random *random);
/* After a crash: reads all into an empty image. OK or CORRUPT. */
enum osr_code raft_wal_open(struct raft_wal *wal, struct raft_image *ret_image);
/* No segment can be made. */
void raft_wal_set_full(struct raft_wal *wal, bool is_full);

#endif
