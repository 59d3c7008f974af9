/* values_fixture.h -- a file of values in a folder of its own, and what its handler was told. */
#ifndef OSR_TESTS_VALUES_FIXTURE_H
#define OSR_TESTS_VALUES_FIXTURE_H

#include "adapter/values.h"
#include "core/agreement.h"
#include "lib/scratch.h"

/* One machine's values in the file, by the port. */
struct machine_values {
    struct osr_values values; /* first */
    struct osr_values_file *file;
    uint16_t machine;
};

struct values_fixture {
    uv_loop_t loop;
    char folder[SCRATCH_PATH_MAX];
    struct osr_values_file *file; /* NULL while closed */
    struct machine_values machine;
    uint64_t index; /* said last */
    struct osr_err err;
    /* Told by the handler. */
    uint64_t flushed;
    int flushed_count;
    int room_count;
    int failure_count;
    enum osr_code failure;
    int warnings;
};

/* Not open yet. */
struct values_fixture *values_fixture_create(void);
void values_fixture_destroy(struct values_fixture *fixture);

/* Returns what osr_values_file_open does; fixture->index says where the file stands. */
int values_open_code(struct values_fixture *fixture);
void values_open(struct values_fixture *fixture);
void values_close(struct values_fixture *fixture);
char *values_path(const struct values_fixture *fixture); /* of the file; to be freed */

/* Of machine 2. */
void values_put(struct values_fixture *fixture, const char *key, const char *value);
/* NULL as a value: there is no such key. */
void values_assert(struct values_fixture *fixture, const char *key, const char *value);
void values_advance(struct values_fixture *fixture); /* by one */
/* Waits until all that was said is on disk. */
void values_flush(struct values_fixture *fixture);
/* Asserts that two hold the same, asked in all ways. */
void values_assert_same(struct osr_values *one, struct osr_values *other);

/* What command `index` of a history does, the same every time; and all up to there, by one each. */
void values_apply(struct osr_values *values, uint64_t index);
void values_apply_up_to(struct values_fixture *fixture, uint64_t index);
/* Asserts that the file holds what this history makes up to fixture->index. */
void values_assert_history(struct values_fixture *fixture);

/* All of it, as osr_values_dump_read gives it. */
void values_dump(struct values_fixture *fixture, struct osr_buffer *bytes, uint64_t *ret_index);

#endif
