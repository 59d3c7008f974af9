/* raft_checks.h -- what must hold after every step of every member; what does not is a violation.
 *
 * For each member stands a copy of its log as its core has put it out, so that each check looks at
 * what is new alone. Of the ledger: who led which term, and every committed entry. */
#ifndef OSR_TESTS_RAFT_CHECKS_H
#define OSR_TESTS_RAFT_CHECKS_H

#include "sim/raft_state.h"
#include "sim/raft_world.h"

struct raft_checks *raft_checks_create(void);
void raft_checks_destroy(struct raft_checks *checks);

/* A member begins a life with what its disk has. */
void raft_checks_start(struct raft_checks *checks, const struct raft_member *member);
/* A STORE is about to be answered by DISK_FULL, and all behind it: their entries,
 * those behind `after`, are no part of the log. */
void raft_checks_refused(struct raft_checks *checks, const struct raft_member *member,
                         uint64_t after);
/* A snapshot is about to become the member's state. */
void raft_checks_install(struct raft_checks *checks, const struct raft_member *member,
                         const struct raft_state *state);
/* The core has taken a step, and nothing of its outputs is carried out. */
void raft_checks_step(struct raft_checks *checks, const struct raft_member *member,
                      const struct osr_raft_event *event, const struct osr_raft_outputs *outputs);
/* A message is about to be sent. */
void raft_checks_said(struct raft_checks *checks, const struct raft_member *member,
                      const struct osr_raft_message *message);
/* An entry has been applied to the member's state. */
void raft_checks_applied(struct raft_checks *checks, const struct raft_member *member);

uint64_t raft_checks_committed(const struct raft_checks *checks); /* by anybody */
/* Of the last entry that is; 0: none is. */
uint64_t raft_checks_committed_term(const struct raft_checks *checks);

#endif
