/* journal_fixture.h -- a journal on a real loop and a real disk that can be told to be full or to
 * fail; all that it answers is kept. Its feeds and its ledger are written by the test. */
#ifndef OSR_TESTS_JOURNAL_FIXTURE_H
#define OSR_TESTS_JOURNAL_FIXTURE_H

#include "lib/faulty_disk.h"
#include "lib/ledger_writer.h"
#include "lib/scratch.h"
#include "node/journal.h"

enum { RELEASES_MAX = 64, ANSWERS_MAX = 512, UPDATES_MAX = 16 };

/* One feed as its writer keeps it. */
struct journal_feed {
    struct osr_feed_id id;
    struct osr_public_key key;
    uint64_t sequence;
    struct osr_hash chain;
};

struct release {
    uint64_t first;
    size_t count; /* 0: none but the ordinal */
    uint32_t log_id;
    uint64_t ordinal;
};

struct journal_fixture {
    uv_loop_t loop;
    char folder[SCRATCH_PATH_MAX];
    struct faulty_disk disk;
    struct osr_keys *keys;
    struct osr_wal_options wal;
    struct osr_journal *journal;
    const struct osr_feed_restored *restored;
    size_t restored_count;

    size_t answers; /* of all kinds */
    enum osr_code stored[ANSWERS_MAX];
    size_t stored_count;
    struct osr_signature signature;
    bool is_valid;
    struct osr_buffer updates[UPDATES_MAX]; /* packed; empty: nothing was read */
    size_t update_bytes[UPDATES_MAX];
    size_t update_count;
    struct release releases[RELEASES_MAX];
    size_t release_count;
    uint64_t passed; /* ordinal: up to it there is nothing but a ledger's since the last release */
    size_t failures;
    size_t warnings; /* traced, and worse */
    char warning[256];
    enum osr_code fact_code;
    struct osr_buffer facts;

    struct journal_feed own;
    struct journal_feed other;
    struct ledger_writer ledger; /* goes on over restarts */
};

/* For cmocka: open, on an empty log. */
int journal_set_up(void **state);
int journal_tear_down(void **state);
void journal_close(struct journal_fixture *fixture); /* may be closed already */
/* Into fixture->journal; NULL where it failed. */
int journal_try_open(struct journal_fixture *fixture, struct osr_err *err);
void journal_reopen(struct journal_fixture *fixture);
/* Runs the loop until there are that many answers since the last time. */
void journal_run(struct journal_fixture *fixture, size_t answers);

/* ---- what the core puts out ---- */

void journal_feed_init(struct journal_feed *feed, const char *origin, uint8_t key);
/* What stands for a feed's signature at a sequence. */
struct osr_signature journal_signature(uint64_t sequence);
/* STORE with so many new entries, and perhaps a head; its ticket is how many STOREs were put out
 * before it. */
void journal_store(struct journal_fixture *fixture, struct journal_feed *feed, size_t count,
                   uint64_t head, uint64_t ticket);
void journal_store_sized(struct journal_fixture *fixture, struct journal_feed *feed, size_t count,
                         uint64_t head, uint64_t ticket, size_t data_size);
void journal_commit(struct journal_fixture *fixture, const struct journal_feed *feed,
                    uint64_t first, uint64_t last);
void journal_truncate(struct journal_fixture *fixture, const struct journal_feed *feed,
                      uint64_t sequence, uint64_t ticket);

/* ---- facts ---- */

void journal_put_fact(struct journal_fixture *fixture, const char *key, const char *value);
/* "key=value " of each fact with this prefix; lives until the next call. */
const char *journal_facts(struct journal_fixture *fixture, const char *prefix);

#endif
