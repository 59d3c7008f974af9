#include "sim/linear.h"

#include "base/bytes.h"

#include <stdlib.h>

enum { TRIES_MAX = 2 * 1000 * 1000 }; /* of one history; more would stop a run for seconds */

/* Operations not yet given a moment: a ring through `next` and `previous`, in the order of their
 * calls, that begins and ends at place `count`. */
struct search {
    const struct linear_operation *operations;
    size_t count;
    size_t *next;
    size_t *previous;
    size_t left;   /* of those that returned */
    uint64_t done; /* a hash of the set of those given a moment */
    size_t tries;
    /* (set, state) that lead nowhere, as hashes: an open table. Two that hash alike in 64 bits
     * would hide an explanation; there are not enough of them for that. */
    uint64_t *seen;
    size_t seen_count;
    size_t seen_capacity; /* a power of two */
};

static uint64_t mix(uint64_t number)
{
    number = (number ^ number >> 30) * 0xbf58476d1ce4e5b9u;
    number = (number ^ number >> 27) * 0x94d049bb133111ebu;
    return number ^ number >> 31;
}

/* Where a hash stands, or an empty place for it. */
static uint64_t *find_place(const struct search *search, uint64_t hash)
{
    size_t mask = search->seen_capacity - 1;
    size_t at = hash & mask;
    while (search->seen[at] != 0 && search->seen[at] != hash) {
        at = (at + 1) & mask;
    }
    return &search->seen[at];
}

static void grow(struct search *search)
{
    uint64_t *old = search->seen;
    size_t capacity = search->seen_capacity;
    search->seen_capacity = capacity > 0 ? 4 * capacity : 256;
    search->seen = osr_alloc(search->seen_capacity * sizeof(search->seen[0]));
    for (size_t i = 0; i < capacity; i++) {
        if (old[i] != 0) {
            *find_place(search, old[i]) = old[i];
        }
    }
    free(old);
}

/* True where it was not there; false: it has been tried. */
static bool remember(struct search *search, uint64_t hash)
{
    if (2 * search->seen_count >= search->seen_capacity) {
        grow(search);
    }
    hash = hash != 0 ? hash : 1; /* 0 is an empty place */
    uint64_t *place = find_place(search, hash);
    if (*place == hash) {
        return false;
    }
    *place = hash;
    search->seen_count++;
    return true;
}

/* What it makes of a state; false where its result says that it did not meet this one. */
static bool try_operation(const struct linear_operation *operation, uint64_t *state)
{
    bool is_known = operation->returned != UINT64_MAX;
    switch (operation->type) {
    case LINEAR_WRITE:
        *state = operation->value;
        return true;
    case LINEAR_DELETE:
        if (is_known && operation->is_done != (*state != 0)) {
            return false;
        }
        *state = 0;
        return true;
    case LINEAR_COMPARE_AND_SET:
        if (is_known && operation->is_done != (*state == operation->expected)) {
            return false;
        }
        *state = *state == operation->expected ? operation->value : *state;
        return true;
    case LINEAR_READ:
        return *state == operation->value;
    }
    return false;
}

static void take(struct search *search, size_t place)
{
    search->next[search->previous[place]] = search->next[place];
    search->previous[search->next[place]] = search->previous[place];
    search->done ^= mix(place + 1);
    search->left -= search->operations[place].returned != UINT64_MAX;
}

static void put_back(struct search *search, size_t place)
{
    search->next[search->previous[place]] = place;
    search->previous[search->next[place]] = place;
    search->done ^= mix(place + 1);
    search->left += search->operations[place].returned != UINT64_MAX;
}

/* The first of those that can be next, behind `place`: called before any of the others returned.
 * *returned is the first return so far. */
static size_t next_candidate(const struct search *search, size_t place, uint64_t *returned)
{
    size_t next = search->next[place];
    if (next == search->count || search->operations[next].called > *returned) {
        return search->count;
    }
    if (search->operations[next].returned < *returned) {
        *returned = search->operations[next].returned;
    }
    return next;
}

/* Going by its result it has written nothing. */
static bool is_idle(const struct linear_operation *operation)
{
    bool is_known = operation->returned != UINT64_MAX;
    return operation->type == LINEAR_READ ||
           (is_known && operation->type != LINEAR_WRITE && !operation->is_done);
}

/* Takes all that fit and write nothing; the places taken are noted behind one another. */
static void take_idle(struct search *search, uint64_t state, struct osr_buffer *taken)
{
    bool is_any = true;
    while (is_any) {
        is_any = false;
        uint64_t returned = UINT64_MAX;
        size_t place = next_candidate(search, search->count, &returned);
        while (place != search->count) {
            uint64_t after = state;
            const struct linear_operation *operation = &search->operations[place];
            if (is_idle(operation) && try_operation(operation, &after)) {
                take(search, place);
                osr_buffer_add(taken, &place, sizeof(place));
                is_any = true;
                break; /* others may be candidates now */
            }
            place = next_candidate(search, place, &returned);
        }
    }
}

static void put_back_idle(struct search *search, struct osr_buffer *taken)
{
    while (taken->size > 0) {
        size_t place;
        taken->size -= sizeof(place);
        memcpy(&place, taken->data + taken->size, sizeof(place));
        put_back(search, place);
    }
    osr_buffer_done(taken);
}

static bool explain(struct search *search, uint64_t state);

/* Each candidate that writes, in turn: those that returned, or the others, of which one that
 * changes nothing may as well be left out. */
static bool explain_with(struct search *search, uint64_t state, bool is_known)
{
    uint64_t returned = UINT64_MAX;
    size_t place = next_candidate(search, search->count, &returned);
    while (place != search->count) {
        uint64_t after = state;
        const struct linear_operation *operation = &search->operations[place];
        if ((operation->returned != UINT64_MAX) == is_known && !is_idle(operation) &&
            try_operation(operation, &after) && (is_known || after != state)) {
            take(search, place);
            if (explain(search, after)) {
                return true;
            }
            put_back(search, place);
        }
        place = next_candidate(search, place, &returned);
    }
    return false;
}

static bool explain(struct search *search, uint64_t state)
{
    if (++search->tries > TRIES_MAX) {
        return false;
    }
    struct osr_buffer idle = {0};
    take_idle(search, state, &idle);
    bool is_explained = search->left == 0;
    if (!is_explained && remember(search, search->done ^ mix(state + 0x9e3779b97f4a7c15u))) {
        is_explained = explain_with(search, state, true) || explain_with(search, state, false);
    }
    put_back_idle(search, &idle);
    return is_explained;
}

static int by_call(const void *a, const void *b)
{
    const struct linear_operation *one = a;
    const struct linear_operation *other = b;
    return one->called < other->called ? -1 : one->called > other->called;
}

enum linear_verdict linear_check(struct linear_operation *operations, size_t count)
{
    qsort(operations, count, sizeof(operations[0]), by_call);
    struct search search = {.operations = operations, .count = count};
    search.next = osr_alloc((count + 1) * sizeof(search.next[0]));
    search.previous = osr_alloc((count + 1) * sizeof(search.previous[0]));
    for (size_t i = 0; i <= count; i++) {
        search.next[i] = i < count ? i + 1 : 0;
        search.previous[i] = i > 0 ? i - 1 : count;
        search.left += i < count && operations[i].returned != UINT64_MAX;
    }
    bool is_explained = explain(&search, 0);
    free(search.next);
    free(search.previous);
    free(search.seen);
    if (is_explained) {
        return LINEAR_YES;
    }
    return search.tries > TRIES_MAX ? LINEAR_UNDECIDED : LINEAR_NO;
}
