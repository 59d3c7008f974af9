/* raft_operator.h -- somebody who sees to it that a simulated ledger has its members: adds,
 * promotes, removes and replaces them, moves the leadership, and switches off what nobody needs. */
#ifndef OSR_TESTS_RAFT_OPERATOR_H
#define OSR_TESTS_RAFT_OPERATOR_H

#include "sim/raft_world.h"

/* So long after a change nothing of it is under way any more. */
#define RAFT_SETTLED_US UINT64_C(1000000)

/* It does something now, and again later. */
void raft_operator_act(struct raft_world *world);
/* A member has come to lead: perhaps something is wanted of it at once. */
void raft_operator_see_leader(struct raft_world *world, const struct raft_member *leader);
void raft_operator_act_at(struct raft_member *member);
/* RETIRE: a member is switched off, unless a configuration may still name it. */
void raft_operator_retire(struct raft_world *world, struct raft_member *member);
/* A configuration has been applied. */
void raft_operator_applied(struct raft_member *member);
void raft_operator_transferred(struct raft_member *member, enum osr_code code);
/* The ledger goes on, and goes on being changed, even if this member's disk is lost for ever. */
bool raft_operator_can_lose(const struct raft_world *world, const struct raft_member *member);

#endif
