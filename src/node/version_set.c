#include "node/version_set.h"

#include <stdio.h>
#include <stdlib.h>

void osr_version_set_done(struct osr_version_set *set)
{
    free(set->items);
    *set = (struct osr_version_set){0};
}

void osr_version_set_take(struct osr_version_set *set, struct osr_store_version *versions,
                          size_t count)
{
    *set = (struct osr_version_set){.items = versions, .count = count, .capacity = count};
}

/* The version as it is in the set; put there as one that is only named, if it was not. */
static struct osr_store_version *need(struct osr_version_set *set,
                                      const struct osr_version *version)
{
    for (size_t i = 0; i < set->count; i++) {
        if (osr_version_compare(&set->items[i].state.version, version) == 0) {
            return &set->items[i];
        }
    }
    if (set->count == set->capacity) {
        set->capacity = set->capacity > 0 ? 2 * set->capacity : 4;
        set->items = osr_realloc(set->items, set->capacity * sizeof(set->items[0]));
    }
    struct osr_store_version *item = &set->items[set->count++];
    *item = (struct osr_store_version){.state = {.version = *version}};
    return item;
}

void osr_version_set_merge(struct osr_version_set *set, const struct osr_store_version *versions,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct osr_store_version *version = &versions[i];
        struct osr_store_version *item = need(set, &version->state.version);
        bool superseded = item->state.superseded || version->state.superseded;
        if (version->state.known) {
            *item = *version;
        }
        item->state.superseded = superseded;
    }
}

void osr_version_set_add(struct osr_version_set *set, const char *origin, const Osr__Entry *entry,
                         struct osr_position position)
{
    struct osr_version version = {.time = {entry->time_ms, entry->time_logical}};
    snprintf(version.origin, sizeof(version.origin), "%s", origin);
    struct osr_store_version *item = need(set, &version);
    item->state.known = true;
    item->log_id = position.log_id;
    item->index = position.index;
    item->operation = entry->operation;
    item->expires_ms = entry->document->expires_ms;
    for (size_t i = 0; i < entry->document->n_supersedes; i++) {
        version = osr_version_from_message(entry->document->supersedes[i]);
        need(set, &version)->state.superseded = true;
    }
}

const struct osr_store_version *osr_version_set_winner(const struct osr_version_set *set)
{
    if (set->count == 0) {
        return NULL;
    }
    struct osr_version_state *states = osr_alloc(set->count * sizeof(*states));
    for (size_t i = 0; i < set->count; i++) {
        states[i] = set->items[i].state;
    }
    int winner = osr_version_winner(states, set->count);
    free(states);
    return winner >= 0 ? &set->items[winner] : NULL;
}

size_t osr_version_set_heads(const struct osr_version_set *set,
                             struct osr_version heads[OSR_SUPERSEDES_MAX])
{
    size_t count = 0;
    for (size_t i = 0; i < set->count; i++) {
        const struct osr_version_state *state = &set->items[i].state;
        if (!state->known || state->superseded) {
            continue;
        }
        /* Insertion; where there are too many the oldest falls off the end. */
        size_t at = count < OSR_SUPERSEDES_MAX ? count++ : OSR_SUPERSEDES_MAX;
        for (; at > 0 && osr_version_compare(&heads[at - 1], &state->version) < 0; at--) {
            if (at < OSR_SUPERSEDES_MAX) {
                heads[at] = heads[at - 1];
            }
        }
        if (at < OSR_SUPERSEDES_MAX) {
            heads[at] = state->version;
        }
    }
    return count;
}
