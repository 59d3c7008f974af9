/* raft_rig_parts.h -- what the parts of the rig share. */
#ifndef OSR_TESTS_RAFT_RIG_PARTS_H
#define OSR_TESTS_RAFT_RIG_PARTS_H

#include "lib/raft_rig.h"

/* Copies that live as long as the rig. */
void *raft_rig_keep(struct raft_rig *rig, const void *data, size_t size);
struct osr_slice raft_rig_keep_slice(struct raft_rig *rig, struct osr_slice bytes);
/* Notes what a member put out, and does what it asks of its disk. */
void raft_rig_carry_out(struct raft_rig *rig, uint64_t member,
                        const struct osr_raft_output *output);

#endif
