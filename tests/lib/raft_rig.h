/* raft_rig.h -- a few members of a ledger in memory, stepped by hand: what they say to each other
 * is delivered when the test says so, what they ask of their disks is answered as a world without
 * faults would, unless the test holds an answer back. Members that are no cores are played by the
 * test: what is said to them is kept to be looked at, and it says in their name what it likes. */
#ifndef OSR_TESTS_RAFT_RIG_H
#define OSR_TESTS_RAFT_RIG_H

#include "base/random.h"
#include "core/raft.h"

enum {
    RIG_MEMBERS_MAX = OSR_RAFT_VOTERS_MAX + 3, /* by id: 0 is nobody; and two learners */
    RIG_LOG_MAX = 4096,
    RIG_SEEN_MAX = 8192,
    RIG_ANSWERS_MAX = 4096,
    RIG_WIRE_MAX = 4096,
    RIG_SNAPSHOT_MAX = 4096,

    RIG_TIMEOUT_MS = 1000,
    RIG_HEARTBEAT_MS = 100,
    RIG_COMMAND_BYTES_MAX = 1000,
    RIG_MESSAGE_BYTES_MAX = 100,
    RIG_WINDOW_MESSAGES = 4,
    RIG_WINDOW_BYTES = 300,
    RIG_CHUNK_BYTES = 10,
    RIG_CAUGHT_UP_ENTRIES = 2,
};

struct rig_disk {
    struct osr_raft_vote vote;
    struct osr_raft_entry entries[RIG_LOG_MAX]; /* by index */
    uint64_t base;
    uint64_t base_term;
    uint64_t last;
    struct osr_raft_snapshot snapshot;
    struct osr_buffer incoming; /* of a snapshot on its way here */
    uint64_t incoming_checksum;
    uint64_t applied;
};

struct rig_member {
    struct osr_raft *core; /* NULL: played by the test, or down */
    struct rig_disk disk;
    bool is_cut_off; /* nothing comes from there and gets there */
    /* What its disk answers: nothing, until the test releases it; not that it is full. */
    bool holds_stores;
    bool holds_applies;
    bool holds_chunks; /* written */
    bool holds_installs;
    bool is_full;
    bool is_corrupt; /* what it installs */
    struct osr_raft_event answers[RIG_ANSWERS_MAX];
    size_t answer_count;
    size_t answered;
    struct osr_raft_event held[RIG_ANSWERS_MAX];    /* answers, in their order */
    struct osr_raft_output stores[RIG_ANSWERS_MAX]; /* of those that are held */
    size_t held_count;
};

/* What was put out, with what it pointed to. */
struct rig_seen {
    uint64_t member;
    struct osr_raft_output output;
};

struct raft_rig {
    struct osr_raft_options options;
    struct rig_member *members; /* by id */
    size_t voters;
    uint64_t now_ms;
    struct rig_seen *seen;
    size_t seen_count;
    const struct osr_raft_message **wire; /* said and not yet delivered */
    size_t wire_count;
    size_t delivered;
    struct osr_arena *arena;
    struct osr_buffer said; /* trace */
};

/* Members 1 to `voters`, by an entry of term 1; the first `cores` of them are real. */
struct raft_rig *raft_rig_create(size_t voters, size_t cores);
/* Likewise with other options; nobody is started yet. */
struct raft_rig *raft_rig_create_stopped(size_t voters);
void raft_rig_destroy(struct raft_rig *rig);
/* From what its disk has; for one that runs, after a crash. */
void raft_rig_start(struct raft_rig *rig, uint64_t member);
void raft_rig_crash(struct raft_rig *rig, uint64_t member);
/* Founds a ledger with an empty disk, or waits to be added. */
void raft_rig_start_empty(struct raft_rig *rig, uint64_t member, bool is_founder);

/* ---- driving ---- */

/* One event, all answers that follow from it, and FLUSH. */
void raft_rig_step(struct raft_rig *rig, uint64_t member, const struct osr_raft_event *event);
/* Delivers what cores say to each other until they are silent. */
void raft_rig_settle(struct raft_rig *rig);
/* Time passes, with every TICK that falls due, and all is delivered at once. */
void raft_rig_advance(struct raft_rig *rig, uint64_t ms);
/* Time passes for one member alone, and what is said is not delivered. */
void raft_rig_tick(struct raft_rig *rig, uint64_t member, uint64_t ms);
/* The member leads a new term; the test's members vote for it. */
void raft_rig_elect(struct raft_rig *rig, uint64_t member);
void raft_rig_propose(struct raft_rig *rig, uint64_t member, uint64_t token, size_t bytes);
/* Several, then FLUSH. */
void raft_rig_propose_many(struct raft_rig *rig, uint64_t member, uint64_t token, size_t count,
                           size_t bytes);
void raft_rig_read(struct raft_rig *rig, uint64_t member, uint64_t token);
void raft_rig_change(struct raft_rig *rig, uint64_t member, uint64_t token,
                     enum osr_raft_change_type type, uint64_t whom);
void raft_rig_add(struct raft_rig *rig, uint64_t member, uint64_t token, uint64_t whom,
                  bool is_promoted);
void raft_rig_transfer(struct raft_rig *rig, uint64_t member, uint64_t token, uint64_t target);
/* The member makes a snapshot of all it has applied, of so many bytes. */
void raft_rig_snapshot(struct raft_rig *rig, uint64_t member, uint64_t size);
/* The bytes of snapshots: anybody can make them, and tell whether they are those. */
uint8_t raft_rig_snapshot_byte(uint64_t index, uint64_t offset);
/* The first answer that is held back; with that code. */
void raft_rig_release(struct raft_rig *rig, uint64_t member, enum osr_code code);
/* What is on the way is lost. */
void raft_rig_lose(struct raft_rig *rig);

/* A member that the test plays says something. */
struct osr_raft_message rig_message(enum osr_raft_message_type type, uint64_t from, uint64_t to,
                                    uint64_t term);
void raft_rig_deliver(struct raft_rig *rig, const struct osr_raft_message *message);
void raft_rig_appended(struct raft_rig *rig, uint64_t from, uint64_t to, uint64_t index);

/* ---- looking ---- */

struct osr_raft_info raft_rig_info(struct raft_rig *rig, uint64_t member);
struct osr_raft_peer_info raft_rig_peer(struct raft_rig *rig, uint64_t member, uint64_t peer);
/* The last message of that type said to a member, by any; NULL: none. */
const struct osr_raft_message *raft_rig_said(struct raft_rig *rig, uint64_t to,
                                             enum osr_raft_message_type type);
size_t raft_rig_count_said(struct raft_rig *rig, uint64_t to, enum osr_raft_message_type type);
/* The last output of that type of a member; NULL: none. */
const struct osr_raft_output *raft_rig_last(struct raft_rig *rig, uint64_t member,
                                            enum osr_raft_output_type type);
size_t raft_rig_count(struct raft_rig *rig, uint64_t member, enum osr_raft_output_type type);
/* How a proposal, change or read failed; OK: it has not. */
enum osr_code raft_rig_failure(struct raft_rig *rig, uint64_t member, uint64_t token);
/* The member has applied what was proposed with that token. */
bool raft_rig_has_applied(struct raft_rig *rig, uint64_t member, uint64_t token);
bool raft_rig_is_readable(struct raft_rig *rig, uint64_t member, uint64_t token);
/* What was put out so far does not count any more. */
void raft_rig_forget(struct raft_rig *rig);

#endif
