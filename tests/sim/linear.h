/* linear.h -- can the history of one register be explained? That is: can each operation be given
 * one moment between its call and its return, so that each result is what the operations before
 * it, one by one in the order of their moments, lead to?
 *
 * After Wing and Gong (1993), with what Lowe (2017) and Porcupine add: sets of finished operations
 * that were tried before in the same state are not tried again. Operations without effect are
 * taken as soon as they fit, which never spoils anything; those whose outcome nobody knows
 * come last, and may be left out. */
#ifndef OSR_TESTS_LINEAR_H
#define OSR_TESTS_LINEAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum linear_type {
    LINEAR_WRITE,           /* value; 0 deletes */
    LINEAR_DELETE,          /* is_done: there was a value */
    LINEAR_COMPARE_AND_SET, /* is_done: it was the expected one */
    LINEAR_READ,            /* value: what it saw */
};

struct linear_operation {
    enum linear_type type;
    bool is_done;
    uint64_t expected;
    uint64_t value;
    uint64_t called;   /* moments: all different */
    uint64_t returned; /* UINT64_MAX: never; nobody knows whether it took effect */
};

enum linear_verdict {
    LINEAR_YES,
    LINEAR_NO,
    LINEAR_UNDECIDED, /* too much to try */
};

/* The register begins empty (0). Sorts the operations by their call. */
enum linear_verdict linear_check(struct linear_operation *operations, size_t count);

#endif
