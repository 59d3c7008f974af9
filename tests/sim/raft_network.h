/* raft_network.h -- messages between simulated members: they are lost, doubled, late, out of
 * order, and cut off one way or both. */
#ifndef OSR_TESTS_RAFT_NETWORK_H
#define OSR_TESTS_RAFT_NETWORK_H

#include "sim/raft_world.h"

struct raft_network *raft_network_create(void);
void raft_network_destroy(struct raft_network *network);

/* The message is copied; it becomes the body of an ARRIVAL. */
void raft_network_send(struct raft_world *world, uint32_t from,
                       const struct osr_raft_message *message);
/* False where what arrives was lost on its way after all. */
bool raft_network_delivers(const struct raft_world *world, const struct raft_happening *arrival);

/* ---- faults ---- */

/* What is under way from this life of a member is lost with it. */
void raft_network_forget(struct raft_network *network, uint32_t from, uint32_t life);

void raft_network_cut(struct raft_network *network, uint32_t from, uint32_t to);
/* Nothing gets to a member or from it until a time; what is under way is lost, too. */
void raft_network_isolate(struct raft_network *network, uint32_t member, uint64_t until_us);
/* Keeps all that goes out from a member until a time, then delivers it at once. */
void raft_network_hold(struct raft_network *network, uint32_t from, uint64_t until_us);
/* What was sent to a member long ago, and kept somewhere, comes once more. */
void raft_network_replay(struct raft_world *world, uint32_t to, uint64_t within_us);
void raft_network_set_storm(struct raft_network *network, bool is_storm); /* most is lost */
/* Everything works again; what is lost or doubled beside that, the settings say. */
void raft_network_heal(struct raft_network *network);

#endif
