/* raft_faults.h -- what fails in a simulated ledger, and is mended again: processes, machines,
 * disks, the network. */
#ifndef OSR_TESTS_RAFT_FAULTS_H
#define OSR_TESTS_RAFT_FAULTS_H

#include "sim/raft_world.h"

/* One fault now, its mending and the next fault later. */
void raft_faults_next(struct raft_world *world);
/* MEND. */
void raft_faults_mend(struct raft_world *world, const struct raft_happening *happening);
/* A member stops here and now, if it is up, and starts again later. */
void raft_faults_crash(struct raft_world *world, struct raft_member *member);
/* A member has come to lead. */
void raft_faults_see_leader(struct raft_world *world, struct raft_member *leader);
/* All that is left of them ends. */
void raft_faults_end(struct raft_world *world);

#endif
