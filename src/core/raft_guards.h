/* raft_guards.h -- the safety rules of the consensus core, each by its name, so that the simulation
 * can show that it notices where one is missing.
 *
 * In the product a guard is the constant 1. Built with OSR_RAFT_MUTABLE, each reads a bit of
 * osr_raft_guards_off: one simulation with any rule switched off. */
#ifndef OSR_CORE_RAFT_GUARDS_H
#define OSR_CORE_RAFT_GUARDS_H

#include <stdbool.h>
#include <stdint.h>

/* X(NAME, name, what goes wrong without it) */
#define OSR_RAFT_GUARDS(X)                                                                         \
    X(OWN_TERM_COMMIT, own_term_commit, "entries of older terms are committed by counting them")   \
    X(LEADER_NOTHING, leader_nothing, "a new leader cannot commit what came before it")            \
    X(PRE_VOTE_TERM, pre_vote_term, "a refused pre-vote does not say the voter's own term")        \
    X(VOTE_DURABLE, vote_durable, "a vote is said before it is durable")                           \
    X(ONE_VOTE, one_vote, "a voter votes again in a term, for the target of a transfer")           \
    X(LOG_UP_TO_DATE, log_up_to_date, "votes go to candidates that lack entries")                  \
    X(ELECTION_DURABLE, election_durable, "elections count entries that are not on the disk yet")  \
    X(OWN_MATCH_DURABLE, own_match_durable, "a leader counts its own entries too early")           \
    X(ACK_DURABLE, ack_durable, "a follower acknowledges what is not durable")                     \
    X(ACK_MATCHED, ack_matched, "a follower acknowledges entries that were not compared")          \
    X(COMMIT_MATCHED, commit_matched, "a follower commits entries that were not compared")         \
    X(STALE_REPLY, stale_reply, "a reply to a leader of an older term counts")                     \
    X(CONFIGURATION_ROLLBACK, configuration_rollback, "a configuration outlives its entry")        \
    X(ONE_CHANGE, one_change, "a second change begins before the first is committed")              \
    X(CHANGE_OWN_TERM, change_own_term, "a change begins before the term has an entry committed")  \
    X(READ_QUORUM, read_quorum, "reads do not ask whether this is still the leader")               \
    X(READ_OWN_TERM, read_own_term, "a new leader reads at a commit index that is too old")        \
    X(FULL_STEPS_DOWN, full_steps_down, "a leader that could not store goes on leading")           \
    X(FULL_FORGETS, full_forgets, "memory and disk differ after one could not store")              \
    X(TRUNCATE_CONFLICT_ONLY, truncate_conflict_only, "a late APPEND cuts off what matches")       \
    X(SNAPSHOT_BEHIND, snapshot_behind, "an old snapshot is installed over newer state")           \
    X(SNAPSHOT_IDENTITY, snapshot_identity, "chunks of two snapshots are mixed")                   \
    X(MESSAGE_LIMIT, message_limit, "a whole lagging tail goes into one message")                  \
    X(CHECK_QUORUM, check_quorum, "a leader that nobody hears goes on leading")                    \
    X(LEASE, lease, "members that hear a leader vote for another")

enum osr_raft_guard {
#define OSR_RAFT_GUARD_ENUM(NAME, name, text) OSR_RAFT_GUARD_##NAME,
    OSR_RAFT_GUARDS(OSR_RAFT_GUARD_ENUM)
#undef OSR_RAFT_GUARD_ENUM
        OSR_RAFT_GUARD_COUNT
};

#ifdef OSR_RAFT_MUTABLE
extern uint32_t osr_raft_guards_off; /* a bit for each guard, by its number */
#define OSR_RAFT_GUARD(NAME) ((osr_raft_guards_off >> OSR_RAFT_GUARD_##NAME & 1) == 0)

const char *osr_raft_guard_name(enum osr_raft_guard guard);
const char *osr_raft_guard_text(enum osr_raft_guard guard); /* what goes wrong without it */
/* False where there is none of that name. */
bool osr_raft_guard_parse(const char *name, enum osr_raft_guard *ret_guard);
#else
#define OSR_RAFT_GUARD(NAME) 1
#endif

#endif
