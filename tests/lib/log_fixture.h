/* log_fixture.h -- a write-ahead log of small segments on the simulated disk, and what was read of
 * it as text: "E1.5=text " is entry 5 of log 1. One letter for each type of record:
 * F(act) L(og) E(ntry) H(ead) T(runcate) V(ote) B(ase). */
#ifndef OSR_TESTS_LOG_FIXTURE_H
#define OSR_TESTS_LOG_FIXTURE_H

#include "adapter/wal.h"
#include "lib/sim_disk.h"

enum { LOG_SMALL_BYTES = 16 << 10, LOG_LARGEST_BYTES = 64 << 10 };

struct log_fixture {
    struct osr_sim_disk *sim;
    struct osr_disk *disk;
    char folder[64];
    struct osr_wal_options options;
    struct osr_wal *wal; /* NULL: not open */
    struct osr_err err;
    struct osr_buffer seen;
};

/* For cmocka; the log is not open yet. */
int log_set_up(void **state);
int log_tear_down(void **state);

int log_open_code(struct log_fixture *fixture);
void log_open(struct log_fixture *fixture);
void log_close(struct log_fixture *fixture);
void log_reopen(struct log_fixture *fixture);

struct osr_wal_record log_record(enum osr_wal_type type, uint32_t log_id, uint64_t index,
                                 const char *payload);
int log_append_code(struct log_fixture *fixture, enum osr_wal_type type, uint32_t log_id,
                    uint64_t index, const char *payload);
void log_append(struct log_fixture *fixture, enum osr_wal_type type, uint32_t log_id,
                uint64_t index, const char *payload);
/* Appends entries of about `bytes` to log 1 until the log has `total` records. */
void log_append_many(struct log_fixture *fixture, uint64_t total, size_t bytes);
void log_sync(struct log_fixture *fixture);

/* A visitor: notes the record. */
osr_wal_visit log_see;
/* What was noted since the last open or read. */
const char *log_seen(struct log_fixture *fixture);
const char *log_read(struct log_fixture *fixture, uint32_t log_id, uint64_t first);
const char *log_read_from(struct log_fixture *fixture, uint64_t ordinal);

/* 0: there is no such segment. */
size_t log_segment_bytes(struct log_fixture *fixture, unsigned sequence);

#endif
