/* lookup.h -- finds the versions of one document that decide about it: those in the projection,
 * and those that are too new for it.
 *
 * Two halves. On the loop, at the moment of asking, the positions of entries that are released
 * and not projected are written down. Later, on a reading thread, the projection is asked and
 * the entries written down are read from the log. What is projected in between is found
 * twice and counts once, so nothing is missed and nobody has to wait.
 *
 * What decides is the winner, and the heads that a new version has to supersede. So a document
 * that was updated a million times costs no more than one that was updated once. */
#ifndef OSR_NODE_LOOKUP_H
#define OSR_NODE_LOOKUP_H

#include "node/journal.h"
#include "node/reading.h"
#include "node/version_set.h"

/* More entries of one document than this are not read one by one: the asker waits until they
 * are projected. */
enum { OSR_LOOKUP_ENTRIES_MAX = 64 };

/* A zeroed one is empty and valid. */
struct osr_lookup {
    struct osr_position *positions;
    size_t count;
};

/* False where there are too many. */
bool osr_lookup_note(struct osr_lookup *lookup, const struct osr_recent *recent,
                     struct osr_slice id);
void osr_lookup_done(struct osr_lookup *lookup); /* frees; empty and valid after */
/* On a reading thread. Winner and heads of the set are those of the document, other versions may
 * lack. The set is empty before, and the caller's to be done with, also after a failure. */
int osr_lookup_versions(const struct osr_lookup *lookup, struct osr_slice id,
                        struct osr_reading *reading, struct osr_journal *journal,
                        struct osr_version_set *set, struct osr_err *err);

/* Reads an entry into the arena; on any thread. */
int osr_lookup_entry(struct osr_journal *journal, struct osr_position position,
                     struct osr_arena *arena, Osr__Entry **ret_entry, struct osr_err *err);

#endif
