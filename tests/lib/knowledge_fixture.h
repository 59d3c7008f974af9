/* knowledge_fixture.h -- the knowledge base on a real loop, a real journal and a real store, in a
 * folder of its own. In the core's place stands one that stores each write as a batch of its own
 * and commits it when it is stored. */
#ifndef OSR_TESTS_KNOWLEDGE_FIXTURE_H
#define OSR_TESTS_KNOWLEDGE_FIXTURE_H

#include "lib/scratch.h"
#include "model/limits.h"
#include "node/knowledge.h"

#define KB_OWN   "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define KB_OTHER "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

enum { START_MS = 1000000, WRITES_MAX = 8192 };

struct kb_feed {
    struct osr_feed_id id;
    uint64_t sequence;
};

/* A batch that was handed to the log: ticket i is the ith one. */
struct stored {
    struct kb_feed *feed;
    uint64_t token; /* 0: not of a write */
    uint64_t first;
    uint64_t last;
    struct osr_time first_time;
};

/* Of a write, when the log is copied as a crash would leave it. */
enum moment { MOMENT_NONE, MOMENT_WRITE, MOMENT_STORED };

struct kb_fixture {
    uv_loop_t loop;
    char folder[SCRATCH_PATH_MAX];
    struct osr_keys *keys;
    struct osr_journal *journal;
    struct osr_knowledge *knowledge;
    struct osr_err state; /* of the projection */
    uint64_t now_ms;

    /* The core. */
    struct kb_feed own;
    struct kb_feed other;
    struct osr_time clock;
    struct stored stored[WRITES_MAX];
    size_t stored_count;
    bool holds_other;      /* the other feed's batches are not committed */
    enum osr_code refusal; /* what the next write gets; OK: it is taken */
    enum moment copies_at; /* to `copy`, once */
};

/* For cmocka: open and empty. */
int kb_set_up(void **state);
int kb_tear_down(void **state);
void kb_open(struct kb_fixture *fixture);
void kb_close(struct kb_fixture *fixture);
void kb_reopen(struct kb_fixture *fixture);

/* The core puts out STORE with these puts, and COMMIT. */
void kb_store(struct kb_fixture *fixture, struct kb_feed *feed, uint64_t token,
              const struct osr_feed_put *puts, size_t count);
void kb_commit(struct kb_fixture *fixture, const struct kb_feed *feed, uint64_t first,
               uint64_t last);

/* ---- writing ---- */

struct outcome {
    bool is_done;
    struct osr_write_result result;
    char id[OSR_ID_BYTES_MAX + 1];
};

/* A document on the stack of its writer. */
struct draft {
    Osr__Document document;
    Osr__Json data;
    Osr__Source source;
    char id[OSR_ID_BYTES_MAX + 1];
    char text[64];
    struct osr_hash digest;
};

/* What a write calls back with an outcome: asserts that it is the only time. */
void outcome_note(void *context, const struct osr_write_result *result);
/* data NULL: none. */
Osr__Document *draft_document(struct draft *draft, const char *id, const char *data);
void draft_add_source(struct draft *draft, const char *name, uint64_t occurrence);
void kb_begin_write(struct kb_fixture *fixture, enum osr_write_mode mode, Osr__Document *document,
                    struct outcome *outcome);
struct outcome kb_write(struct kb_fixture *fixture, enum osr_write_mode mode,
                        Osr__Document *document);
struct outcome kb_write_text(struct kb_fixture *fixture, enum osr_write_mode mode, const char *id,
                             const char *data);
/* n0, n1, ..., each tenth in the collection "tens". */
void kb_put_many(struct kb_fixture *fixture, size_t count);
void kb_wait_for(struct kb_fixture *fixture, const bool *flag);

/* ---- asking ---- */

/* Everything a query replied, as text: one "DATA " for each document, "-ID " for a deletion. */
struct answer {
    struct osr_query *query;
    bool is_done;
    enum osr_code code;
    char hint[OSR_ERR_HINT_MAX];
    struct osr_buffer text;
    size_t replies;
    size_t pause_after; /* replies; 0: never */
    char last_id[OSR_ID_BYTES_MAX + 1];
    bool ids_ascend;
    uint64_t position;
    uint64_t total;
    uint64_t count;
    size_t winners;
    size_t superseded;
    struct osr_hash digest;
    struct osr_version version;
    size_t supersedes; /* of the last document */
    uint64_t occurrence;
};

#define ANSWER_INIT                                                                                \
    {                                                                                              \
        .ids_ascend = true                                                                         \
    }

/* What a query calls back with an answer. */
void answer_note(void *context, const struct osr_query_reply *reply);
const char *answer_text(struct answer *answer);
void kb_finish(struct kb_fixture *fixture, struct answer *answer);
void kb_wait_for_replies(struct kb_fixture *fixture, const struct answer *answer, size_t count);

/* The answer's text is to be freed. */
struct answer kb_get(struct kb_fixture *fixture, const char *id);
struct answer kb_history(struct kb_fixture *fixture, const char *id);
struct answer kb_list(struct kb_fixture *fixture, const char *after_id, const char *collection,
                      uint64_t limit);
void assert_get(struct kb_fixture *fixture, const char *id, const char *data);
enum osr_code kb_get_code(struct kb_fixture *fixture, const char *id);
struct osr_hash kb_digest(struct kb_fixture *fixture);
/* Waits until all is projected. */
uint64_t kb_count(struct kb_fixture *fixture);
enum osr_code kb_rebuild(struct kb_fixture *fixture);

#endif
