#include "node/lookup.h"

#include <stdlib.h>

enum { ARENA_KEEP = 64 << 10, ARENA_CAP = 8 << 20 }; /* of one entry */

bool osr_lookup_note(struct osr_lookup *lookup, const struct osr_recent *recent,
                     struct osr_slice id)
{
    struct osr_position positions[OSR_LOOKUP_ENTRIES_MAX];
    size_t count = osr_recent_find(recent, id, positions, OSR_LOOKUP_ENTRIES_MAX);
    if (count > OSR_LOOKUP_ENTRIES_MAX) {
        return false;
    }
    if (count > 0) {
        lookup->positions = osr_alloc(count * sizeof(positions[0]));
        memcpy(lookup->positions, positions, count * sizeof(positions[0]));
        lookup->count = count;
    }
    return true;
}

void osr_lookup_done(struct osr_lookup *lookup)
{
    free(lookup->positions);
    *lookup = (struct osr_lookup){0};
}

int osr_lookup_entry(struct osr_journal *journal, struct osr_position position,
                     struct osr_arena *arena, Osr__Entry **ret_entry, struct osr_err *err)
{
    struct osr_buffer stored = {0};
    int code = osr_journal_read_stored(journal, position.log_id, position.index, &stored, err);
    if (code == 0) {
        uint8_t *copy = osr_arena_take(arena, stored.size);
        if (copy != NULL) {
            memcpy(copy, stored.data, stored.size);
            code = osr_entry_decode(osr_slice(copy, stored.size), position.index, arena, ret_entry,
                                    err);
        } else {
            code = osr_err_set(err, OSR_TOO_LARGE, "entry: more than the reader's memory");
        }
    }
    osr_buffer_done(&stored);
    return code;
}

static int add_entry(struct osr_version_set *set, struct osr_slice id, struct osr_journal *journal,
                     struct osr_position position, struct osr_arena *arena, struct osr_err *err)
{
    Osr__Entry *entry;
    osr_arena_reset(arena);
    int code = osr_lookup_entry(journal, position, arena, &entry, err);
    if (code == 0 && osr_slice_equal(osr_slice_text(entry->document->id), id)) {
        const struct osr_feed_id *feed = osr_journal_feed(journal, position.log_id);
        osr_version_set_add(set, feed->origin, entry, position);
    }
    return code;
}

static int add_entries(struct osr_version_set *set, struct osr_slice id,
                       const struct osr_lookup *lookup, struct osr_journal *journal,
                       struct osr_err *err)
{
    if (lookup->count == 0) {
        return 0;
    }
    struct osr_arena *arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    int code = 0;
    for (size_t i = 0; i < lookup->count && code == 0; i++) {
        code = add_entry(set, id, journal, lookup->positions[i], arena, err);
    }
    osr_arena_destroy(arena);
    return code;
}

/* Asks the projection for what decides beside the set's entries. These may supersede as many of its
 * heads as there are versions in the set; and of each entry it may know more by now. */
static int add_projected(struct osr_version_set *set, struct osr_slice id,
                         struct osr_reading *reading, struct osr_err *err)
{
    struct osr_version entries[OSR_LOOKUP_ENTRIES_MAX];
    struct osr_store_wanted wanted = {
        .heads_max = OSR_SUPERSEDES_MAX + set->count,
        .superseded_max = 1,
        .also = entries,
    };
    for (size_t i = 0; i < set->count; i++) {
        if (set->items[i].state.known) {
            entries[wanted.also_count++] = set->items[i].state.version;
        }
    }
    struct osr_store_reader *store;
    struct osr_store_version *versions;
    size_t count;
    int code = osr_reading_store(reading, &store, err);
    if (code == 0) {
        code = osr_store_versions(store, id, &wanted, &versions, &count, err);
    }
    if (code == 0) {
        osr_version_set_merge(set, versions, count);
        free(versions);
    }
    return code;
}

int osr_lookup_versions(const struct osr_lookup *lookup, struct osr_slice id,
                        struct osr_reading *reading, struct osr_journal *journal,
                        struct osr_version_set *set, struct osr_err *err)
{
    int code = add_entries(set, id, lookup, journal, err);
    return code == 0 ? add_projected(set, id, reading, err) : code;
}
