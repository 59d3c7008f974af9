/* raft_clients.h -- people who put, delete, compare-and-set and read, each one thing after the
 * other, at any member; and the history of what they asked for and saw.
 *
 * What failed for certain is asked for again, elsewhere. Of what was not answered in time nobody
 * knows whether it was or will be done: so it stands in the history for ever, and often another
 * operation asks for the same. */
#ifndef OSR_TESTS_RAFT_CLIENTS_H
#define OSR_TESTS_RAFT_CLIENTS_H

#include "sim/raft_state.h"
#include "sim/raft_world.h"

/* Tokens above are not the clients'. */
#define RAFT_CLIENT_TOKEN_MAX (UINT64_C(1) << 62)

struct raft_clients *raft_clients_create(struct raft_world *world);
void raft_clients_destroy(struct raft_clients *clients);

/* CLIENT, REPLY, PATIENCE. */
void raft_clients_handle(struct raft_world *world, const struct raft_happening *happening);
/* An operation comes to a member that is up. */
void raft_clients_request(struct raft_member *member, uint64_t operation);

/* ---- what members say; tokens are the clients' ---- */

void raft_clients_applied(struct raft_member *member, uint64_t token,
                          const struct raft_result *result);
void raft_clients_failed(struct raft_member *member, uint64_t token, enum osr_code code,
                         uint64_t leader);
void raft_clients_readable(struct raft_member *member, uint64_t token);

/* ---- the end of a run ---- */

/* Nobody begins anything new. */
void raft_clients_pause(struct raft_clients *clients);
/* Each does so many more operations, all of which must be answered, and then nothing. */
void raft_clients_finish(struct raft_world *world, unsigned operations);
bool raft_clients_are_done(const struct raft_clients *clients);
/* The history of each key must have an explanation. */
void raft_clients_check(struct raft_world *world);

#endif
