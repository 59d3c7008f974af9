/* raft_disk.h -- the log thread of a simulated member and its files: STORE, DISCARD and INSTALL are
 * done in their order, those that wait together with one sync; reading, and the chunks of
 * snapshots, go beside it. All take their time. */
#ifndef OSR_TESTS_RAFT_DISK_H
#define OSR_TESTS_RAFT_DISK_H

#include "core/raft.h"
#include "sim/raft_store.h"

struct raft_disk;
struct raft_happening;
struct raft_member;

/* On the real log, if there is one; it is taken over. */
struct raft_disk *raft_disk_create(struct raft_wal *wal);
void raft_disk_destroy(struct raft_disk *disk); /* NULL is a no-op */
struct raft_store *raft_disk_store_of(struct raft_disk *disk);

/* Carries out one of: STORE, DISCARD, INSTALL, FETCH, READ_CHUNK, WRITE_CHUNK. */
void raft_disk_carry_out(struct raft_member *member, const struct osr_raft_output *output);
/* The member's state as it is now becomes its snapshot, a little later. */
void raft_disk_make_snapshot(struct raft_member *member);
/* What it has asked for has come. */
void raft_disk_handle(struct raft_member *member, const struct raft_happening *happening);
void raft_disk_crash(struct raft_member *member, bool is_power_cut);

/* ---- faults ---- */

void raft_disk_set_full(struct raft_disk *disk, bool is_full);
void raft_disk_set_slow(struct raft_disk *disk, bool is_slow);
/* The next sync fails, and with that the process ends: of what was written since the last one
 * nobody knows what the disk has. */
void raft_disk_set_failing(struct raft_disk *disk, bool is_failing);

#endif
