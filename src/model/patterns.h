/* patterns.h -- many names and prefixes, and the narrowest of them that covers a given name.
 *
 * All byte strings in order are a line. A name covers one point of it and a prefix a stretch, and
 * two such patterns either nest or keep apart. So they cut the line into at most two ranges each,
 * all of one range under the same narrowest pattern: finding it is one binary search, whatever the
 * patterns are. What wider patterns say can be handed down beforehand, from parents to children.
 *
 * A pattern's index is 1 to the count, a parent's below its children's; 0: none covers it. Built
 * once, never changed: safe from any thread. */
#ifndef OSR_MODEL_PATTERNS_H
#define OSR_MODEL_PATTERNS_H

#include "base/bytes.h"

enum {
    OSR_PATTERNS_MAX = UINT16_MAX, /* in one set: an index has 16 bits */
    OSR_PATTERN_BYTES_MAX = 255,   /* one more than that has to fit, too */
};

struct osr_pattern {
    struct osr_slice text;
    bool is_prefix; /* covers all that begins with the text, itself included */
};

struct osr_patterns;

/* The texts stay the caller's and must outlive the set. One that is there twice counts once. */
struct osr_patterns *osr_patterns_create(const struct osr_pattern *patterns, size_t count);
void osr_patterns_destroy(struct osr_patterns *set); /* NULL is a no-op */

size_t osr_patterns_count(const struct osr_patterns *set);
/* The index of one that the set was made of. */
size_t osr_patterns_index(const struct osr_patterns *set, const struct osr_pattern *pattern);
/* The narrowest of those that cover all that this one covers, itself aside; 0: none does. */
size_t osr_patterns_parent(const struct osr_patterns *set, size_t index);
size_t osr_patterns_find(const struct osr_patterns *set, struct osr_slice name);

/* As people write one: a '*' as the last character makes a prefix of what stands before it. */
struct osr_pattern osr_pattern_read(struct osr_slice text);
/* The same question to one pattern alone. */
bool osr_pattern_covers(const struct osr_pattern *pattern, struct osr_slice name);

#endif
