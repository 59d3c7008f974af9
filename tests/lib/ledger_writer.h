/* ledger_writer.h -- stands for a ledger's core at a journal: stores entries, which can be told by
 * their content, and keeps what is answered. */
#ifndef OSR_TESTS_LEDGER_WRITER_H
#define OSR_TESTS_LEDGER_WRITER_H

#include "node/journal.h"
#include "node/ledger_log.h"

enum { LEDGER_ANSWERS_MAX = 1024, LEDGER_READ_MAX = 4096 };

struct ledger_lent;

struct ledger_writer {
    uv_loop_t *loop;
    struct osr_journal *journal;
    uint64_t term;            /* of the entries to come */
    enum osr_raft_kind kind;  /* likewise */
    size_t payload_size;      /* likewise */
    uint64_t last;            /* index of the last one put */
    size_t put;               /* stores */
    size_t answered;          /* of them, in their order */
    struct ledger_lent *lent; /* what is not answered yet, oldest first */
    enum osr_code codes[LEDGER_ANSWERS_MAX];
    void (*on_answer)(struct ledger_writer *writer, enum osr_code code); /* may be NULL */

    struct osr_raft_entry read[LEDGER_READ_MAX]; /* payloads are only looked at: not kept */
    size_t read_count;
    bool is_read;
};

void ledger_writer_init(struct ledger_writer *writer, uv_loop_t *loop, struct osr_journal *journal);
/* After the journal is closed: frees what was never answered. */
void ledger_writer_done(struct ledger_writer *writer);
/* Stores so many entries behind the last one. */
void ledger_put(struct ledger_writer *writer, size_t count);
/* Stores what is in `store` but its entries, and so many of these behind the cut or the base. */
void ledger_put_with(struct ledger_writer *writer, const struct osr_ledger_store *store,
                     size_t count);
void ledger_vote(struct ledger_writer *writer, uint64_t term, uint64_t candidate);
void ledger_truncate(struct ledger_writer *writer, uint64_t index, size_t count);
void ledger_base(struct ledger_writer *writer, uint64_t index, uint64_t term);
/* Runs the loop until all is answered. */
void ledger_await(struct ledger_writer *writer);
/* Stores, and it must go well. */
void ledger_store(struct ledger_writer *writer, size_t count);

/* Reads, and checks that each entry is as it was put, and of `payload_size`. */
void ledger_read(struct ledger_writer *writer, uint64_t first, uint64_t last, size_t bytes_max);
/* All from `first` to the last one put, in as many reads as it takes. */
void ledger_read_all(struct ledger_writer *writer, uint64_t first);

#endif
