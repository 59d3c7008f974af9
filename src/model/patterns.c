#include "model/patterns.h"

#include <assert.h>
#include <stdlib.h>

/* Where a range begins: at the text itself, just behind it, or behind all that begins with it. A
 * name has reached it that is greater than the text, or has the text in front and is long enough.
 */
struct bound {
    const uint8_t *text;
    uint16_t size;
    uint16_t reach; /* the bytes that a name needs which has the text in front */
    uint16_t owner; /* the narrowest pattern over the range; 0: none */
};

enum { REACH_NEVER = UINT16_MAX };
_Static_assert(OSR_PATTERN_BYTES_MAX + 1 < REACH_NEVER, "no name is as long");

struct osr_patterns {
    size_t count;
    struct osr_pattern *patterns; /* [count + 1], in order; the first is none */
    uint16_t *parents;            /* [count + 1] */
    size_t bound_count;
    struct bound *bounds; /* in order; the first is reached by every name */
};

/* By where they begin; of two that begin at one place, the wider first. */
static int compare_patterns(const void *a, const void *b)
{
    const struct osr_pattern *x = a;
    const struct osr_pattern *y = b;
    int order = osr_slice_compare(x->text, y->text);
    return order != 0 ? order : (int)y->is_prefix - (int)x->is_prefix;
}

struct osr_pattern osr_pattern_read(struct osr_slice text)
{
    bool is_prefix = text.size > 0 && text.data[text.size - 1] == '*';
    return (struct osr_pattern){osr_slice(text.data, text.size - is_prefix), is_prefix};
}

bool osr_pattern_covers(const struct osr_pattern *pattern, struct osr_slice name)
{
    if (name.size > pattern->text.size && pattern->is_prefix) {
        name.size = pattern->text.size;
    }
    return osr_slice_equal(pattern->text, name);
}

static void sort_patterns(struct osr_patterns *set, const struct osr_pattern *patterns,
                          size_t count)
{
    set->patterns = osr_alloc((count + 1) * sizeof(*set->patterns));
    for (size_t i = 0; i < count; i++) {
        assert(patterns[i].text.size <= OSR_PATTERN_BYTES_MAX);
        set->patterns[i + 1] = patterns[i];
    }
    qsort(set->patterns + 1, count, sizeof(*patterns), compare_patterns);
    for (size_t i = 1; i <= count; i++) {
        if (set->count == 0 ||
            compare_patterns(&set->patterns[set->count], &set->patterns[i]) != 0) {
            set->patterns[++set->count] = set->patterns[i];
        }
    }
}

static void add_bound(struct osr_patterns *set, size_t pattern, size_t reach, size_t owner)
{
    struct osr_slice text = set->patterns[pattern].text;
    set->bounds[set->bound_count++] = (struct bound){.text = text.data,
                                                     .size = (uint16_t)text.size,
                                                     .reach = (uint16_t)reach,
                                                     .owner = (uint16_t)owner};
}

static void begin_pattern(struct osr_patterns *set, size_t pattern, size_t parent)
{
    set->parents[pattern] = (uint16_t)parent;
    add_bound(set, pattern, set->patterns[pattern].text.size, pattern);
}

/* Behind it its parent goes on, which is returned. */
static size_t end_pattern(struct osr_patterns *set, size_t pattern)
{
    const struct osr_pattern *ended = &set->patterns[pattern];
    size_t parent = set->parents[pattern];
    add_bound(set, pattern, ended->is_prefix ? REACH_NEVER : ended->text.size + 1, parent);
    return parent;
}

/* Walks the line. Where several bounds fall on one place, the last one holds. */
static void cut_line(struct osr_patterns *set)
{
    size_t open = 0; /* the narrowest that still covers the place reached */

    set->parents = osr_alloc((set->count + 1) * sizeof(*set->parents));
    set->bounds = osr_alloc((2 * set->count + 1) * sizeof(*set->bounds));
    add_bound(set, 0, 0, 0);
    for (size_t next = 1; next <= set->count; next++) {
        while (open != 0 && !osr_pattern_covers(&set->patterns[open], set->patterns[next].text)) {
            open = end_pattern(set, open);
        }
        begin_pattern(set, next, open);
        open = next;
    }
    while (open != 0) {
        open = end_pattern(set, open);
    }
}

struct osr_patterns *osr_patterns_create(const struct osr_pattern *patterns, size_t count)
{
    assert(count <= OSR_PATTERNS_MAX);
    struct osr_patterns *set = osr_alloc(sizeof(*set));
    sort_patterns(set, patterns, count);
    cut_line(set);
    return set;
}

void osr_patterns_destroy(struct osr_patterns *set)
{
    if (set == NULL) {
        return;
    }
    free(set->bounds);
    free(set->parents);
    free(set->patterns);
    free(set);
}

size_t osr_patterns_count(const struct osr_patterns *set)
{
    return set->count;
}

size_t osr_patterns_index(const struct osr_patterns *set, const struct osr_pattern *pattern)
{
    const struct osr_pattern *found =
        bsearch(pattern, set->patterns + 1, set->count, sizeof(*pattern), compare_patterns);
    assert(found != NULL);
    return (size_t)(found - set->patterns);
}

size_t osr_patterns_parent(const struct osr_patterns *set, size_t index)
{
    assert(index >= 1 && index <= set->count);
    return set->parents[index];
}

static bool has_reached(struct osr_slice name, const struct bound *bound)
{
    size_t shared = name.size < bound->size ? name.size : bound->size;
    int order = shared == 0 ? 0 : memcmp(name.data, bound->text, shared);
    return order != 0 ? order > 0 : name.size >= bound->reach;
}

size_t osr_patterns_find(const struct osr_patterns *set, struct osr_slice name)
{
    const struct bound *last = set->bounds; /* reached */
    size_t count = set->bound_count;        /* from it on, the last that is reached is among them */

    if (name.size > OSR_PATTERN_BYTES_MAX) {
        name.size = OSR_PATTERN_BYTES_MAX + 1; /* what follows decides nothing */
    }
    while (count > 1) {
        size_t half = count / 2;
        if (has_reached(name, last + half)) {
            last += half;
        }
        count -= half;
    }
    return last->owner;
}
