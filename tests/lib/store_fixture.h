/* store_fixture.h -- a projection in a folder of its own, over a made-up log: records in memory,
 * applied from where the projection says that it stopped, as the node does it. */
#ifndef OSR_TESTS_STORE_FIXTURE_H
#define OSR_TESTS_STORE_FIXTURE_H

#include "adapter/store.h"

enum {
    FIXTURE_LOGS = 3, /* log ids 1..3, one of each origin */
    FIXTURE_NOW_MS = 1000000,
};

extern const char *const fixture_origins[FIXTURE_LOGS + 1]; /* by log id */

struct record {
    uint32_t log_id; /* 0: a fact */
    uint64_t index;
    struct osr_buffer stored; /* of an entry; empty once compacted */
    char *key;                /* of a fact */
    char *value;
};

struct store_fixture {
    char folder[64];
    struct record *records; /* record i has ordinal i + 1 */
    size_t record_count;
    size_t record_capacity;
    uint64_t last_index[FIXTURE_LOGS + 1];
    struct osr_arena *arena;
    struct osr_bodies bodies;
    struct osr_store *store;
    struct osr_store_reader *reader;
};

/* For cmocka: without a store, with store and reader, and the end of both. */
int fixture_set_up_log(void **state);
int fixture_set_up(void **state);
int fixture_tear_down(void **state);

/* Each appends a record to the log. Returns the entry's index. */
uint64_t fixture_log_entry(struct store_fixture *fixture, uint32_t log_id, struct osr_time time,
                           Osr__Operation operation, const Osr__Document *document);
/* A put of the number 1; `supersedes` may be NULL. */
void fixture_log_put(struct store_fixture *fixture, uint32_t log_id, uint64_t time_ms,
                     const char *id, Osr__Version *supersedes);
/* A put of one string, in log 1 at a time of its own. */
void fixture_log_text(struct store_fixture *fixture, const char *id, const char *text);
void fixture_log_fact(struct store_fixture *fixture, const char *key, const char *value);

/* Applies up to `count` records, beginning `again` before those not yet applied. */
int fixture_apply_some(struct store_fixture *fixture, size_t count, size_t again,
                       struct osr_err *err);
void fixture_apply_all(struct store_fixture *fixture);
void fixture_index_all(struct store_fixture *fixture);

int fixture_open_store(struct store_fixture *fixture, struct osr_err *err);
void fixture_open(struct store_fixture *fixture); /* store and reader */
void fixture_close(struct store_fixture *fixture);
/* As `osiris rebuild` does it, under the eyes of the reader. */
void fixture_rebuild(struct store_fixture *fixture);

/* The store's files. */
void fixture_path(char *path, size_t size, const struct store_fixture *fixture, const char *name);
void fixture_remove_files(const struct store_fixture *fixture);
void fixture_copy_file(const struct store_fixture *fixture, const char *from, const char *to);
long fixture_file_size(const struct store_fixture *fixture, const char *name); /* -1: none */
/* A number that SQL gives, past the code under test; minus the status where it gives none. */
int fixture_ask_file(const struct store_fixture *fixture, const char *file, const char *sql);

/* What a list or a search gives, as text: "id id id". */
struct listed {
    struct osr_buffer ids;
    struct osr_buffer snippets; /* a line each */
    size_t count;
    size_t stop_after; /* 0: never */
    double last_rank;
};
enum osr_store_next collect_row(void *context, const struct osr_store_row *row);
/* Asserts that ranks go down. */
enum osr_store_next collect_hit(void *context, const struct osr_store_row *row, double rank,
                                struct osr_slice snippet);
void listed_done(struct listed *listed);

uint64_t fixture_count_visible(struct store_fixture *fixture);
void assert_text(struct osr_buffer *actual, const char *expected);
void assert_list(struct store_fixture *fixture, const char *after_id, const char *collection,
                 uint64_t limit, const char *expected);
void assert_search(struct store_fixture *fixture, const char *query, const char *expected);
void assert_snippet(struct store_fixture *fixture, const char *query, const char *expected);

#endif
