/* ledger_state_fixture.h -- a member's state of a ledger on a real loop and a real disk that can be
 * told to be full; all that it answers is kept. Its entries are made from their index alone, so two
 * members that applied the same number of them have the same values. */
#ifndef OSR_TESTS_LEDGER_STATE_FIXTURE_H
#define OSR_TESTS_LEDGER_STATE_FIXTURE_H

#include "lib/faulty_disk.h"
#include "lib/scratch.h"
#include "node/ledger_state.h"

enum {
    LEDGER_MACHINES = 2,
    LEDGER_NOTHING_AT = 25,       /* each such index: a leader's first entry, of the next term */
    LEDGER_CONFIGURATION_AT = 40, /* each such index, and 1: who belongs to the ledger */
    LEDGER_KEYS = 97,
    LEDGER_START = 77, /* of every command */
};

struct ledger_member {
    uv_loop_t *loop; /* several may stand on one */
    char folder[SCRATCH_PATH_MAX];
    struct faulty_disk disk;
    struct osr_machine machines[LEDGER_MACHINES];
    size_t value_size; /* of what commands put */
    uint64_t snapshot_bytes;
    uint64_t log_bytes;
    struct osr_ledger_state *state;

    struct osr_raft_snapshot snapshot; /* the newest, of open or on_snapshot */
    uint64_t applied;
    size_t commands;      /* that came by */
    uint64_t last_number; /* of the last of them, with what its machine said */
    enum osr_code last_code;
    struct osr_buffer last_reply;
    size_t restored; /* calls */
    size_t snapshots;
    size_t answers; /* of chunks, checks and loads */
    uint64_t ticket;
    enum osr_code code;
    struct osr_buffer chunk;
    size_t failures;
    struct osr_err err;
};

/* Two of them; for cmocka. Not open yet. */
struct ledger_pair {
    uv_loop_t loop;
    struct ledger_member giver;
    struct ledger_member taker;
};
int ledger_pair_set_up(void **state);
int ledger_pair_tear_down(void **state);

/* On a new folder, not open yet. It must not move. */
void ledger_member_init(struct ledger_member *member, uv_loop_t *loop);
void ledger_member_done(struct ledger_member *member); /* open or not; removes the folder */
/* With a log of base .. last. */
int ledger_member_open_code(struct ledger_member *member, uint64_t base, uint64_t last);
void ledger_member_open(struct ledger_member *member, uint64_t base, uint64_t last);
void ledger_member_close(struct ledger_member *member);

/* The entries behind those that are applied, up to this one. */
void ledger_member_apply(struct ledger_member *member, uint64_t last);
void ledger_member_apply_entry(struct ledger_member *member, struct osr_raft_entry *entry);
uint64_t ledger_term_at(uint64_t index);
void ledger_configuration_at(uint64_t index, struct osr_raft_configuration *ret_configuration);

/* Runs the loop until the counter is there. */
void ledger_member_wait(struct ledger_member *member, const size_t *counter, size_t wanted);
/* The values of both are the same, and there are some. */
void ledger_member_assert_equal(struct ledger_member *one, struct ledger_member *other);
/* It has what comes of so many entries. */
void ledger_member_assert_at(struct ledger_member *member, uint64_t last);

/* Opens it for the first time, and has it apply so many entries and make a snapshot. */
void ledger_member_make(struct ledger_member *member, uint64_t last);
/* The next one, behind so many more entries. */
void ledger_member_make_another(struct ledger_member *member, uint64_t more);

/* ---- giving one's snapshot to the other: each waits for the answer ---- */

/* Reads a chunk into giver's buffer; false where there is none. */
bool ledger_member_read(struct ledger_member *giver, uint64_t index, uint64_t offset, size_t size);
enum osr_code ledger_member_write(struct ledger_member *taker,
                                  const struct osr_raft_snapshot *snapshot, uint64_t offset,
                                  struct osr_slice chunk);
/* All chunks; the code of the last one written. */
enum osr_code ledger_member_give(struct ledger_member *giver, struct ledger_member *taker);
enum osr_code ledger_member_check(struct ledger_member *taker,
                                  const struct osr_raft_snapshot *snapshot);
void ledger_member_load(struct ledger_member *taker, const struct osr_raft_snapshot *snapshot);

#endif
