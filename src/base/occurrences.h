/* occurrences.h -- the how many-th entry with this digest an entry of a file is: with the digest
 * that makes it known again, wherever in the file it moves.
 *
 * Compact: 24 bytes a slot, at most three quarters of them taken. A digest is known by its first 16
 * bytes; two of ten million entries share those by chance once in 10^24 files. */
#ifndef OSR_BASE_OCCURRENCES_H
#define OSR_BASE_OCCURRENCES_H

#include "base/sha256.h"

enum { OSR_OCCURRENCES_KEY_BYTES = 16 };

struct osr_occurrence {
    uint8_t key[OSR_OCCURRENCES_KEY_BYTES];
    uint64_t count; /* 0: the slot is free */
};

/* A zeroed one is empty and valid. */
struct osr_occurrences {
    struct osr_occurrence *slots;
    size_t slot_count; /* 0 or a power of two */
    size_t taken;
};

void osr_occurrences_done(struct osr_occurrences *occurrences);
/* 1 for the first time that this digest is given, 2 for the second, ... */
uint64_t osr_occurrences_next(struct osr_occurrences *occurrences, const struct osr_hash *digest);

#endif
