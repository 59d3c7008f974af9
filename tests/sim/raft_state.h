/* raft_state.h -- the state machine of a simulated ledger: a few keys with a number each, and its
 * snapshots. */
#ifndef OSR_TESTS_RAFT_STATE_H
#define OSR_TESTS_RAFT_STATE_H

#include "base/random.h"
#include "core/raft.h"

enum { RAFT_KEYS = 24 };

enum raft_command_type {
    RAFT_PUT = 1,
    RAFT_DELETE,
    RAFT_COMPARE_AND_SET,
    RAFT_GET, /* no command of the log */
};

struct raft_command {
    enum raft_command_type type;
    uint8_t key;
    uint64_t expected; /* of COMPARE_AND_SET; 0: the key is not there */
    uint64_t value;    /* never 0 */
};

/* With so many bytes of ballast behind it. */
void raft_command_encode(const struct raft_command *command, size_t ballast,
                         struct osr_buffer *buffer);

/* What a command did. */
struct raft_result {
    bool is_done;   /* DELETE: there was a value; COMPARE_AND_SET: it was the expected one */
    uint64_t value; /* of GET */
};

struct raft_state {
    uint64_t applied;           /* index */
    uint64_t term;              /* of that entry */
    uint64_t chain;             /* raft_log.h */
    uint64_t values[RAFT_KEYS]; /* 0: not there */
    struct osr_raft_configuration configuration;
};

/* The entry behind the last applied one. */
struct raft_result raft_state_apply(struct raft_state *state, const struct osr_raft_entry *entry);

/* A state as bytes. No two are alike: the salt is in them, and turns their order. */
struct raft_snapshot {
    struct osr_raft_snapshot meta;
    struct osr_buffer bytes;
};

void raft_snapshot_done(struct raft_snapshot *snapshot);
void raft_snapshot_copy(struct raft_snapshot *to, const struct raft_snapshot *from);
/* Makes one, with `ballast` bytes for each key that is there. */
void raft_state_save(const struct raft_state *state, uint64_t salt, size_t ballast,
                     struct raft_snapshot *snapshot);
/* False where the bytes are not those that the checksum was made of. The configuration comes from
 * the snapshot's meta. */
bool raft_state_load(struct raft_state *state, const struct raft_snapshot *snapshot);

#endif
