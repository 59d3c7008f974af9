/* version_set.h -- the versions of one document, out of the projection and of entries that it
 * does not have yet. */
#ifndef OSR_NODE_VERSION_SET_H
#define OSR_NODE_VERSION_SET_H

#include "adapter/store.h"
#include "model/limits.h"
#include "node/recent.h"

/* A zeroed one is empty and valid. */
struct osr_version_set {
    struct osr_store_version *items;
    size_t count;
    size_t capacity;
};

void osr_version_set_done(struct osr_version_set *set); /* frees; empty and valid after */
/* Takes what osr_store_versions gave without `also`. The set is empty before. */
void osr_version_set_take(struct osr_version_set *set, struct osr_store_version *versions,
                          size_t count);
/* What is in the set already, and is known to either side or superseded there, is so in both. */
void osr_version_set_merge(struct osr_version_set *set, const struct osr_store_version *versions,
                           size_t count);
void osr_version_set_add(struct osr_version_set *set, const char *origin, const Osr__Entry *entry,
                         struct osr_position position);
/* NULL where none is known. */
const struct osr_store_version *osr_version_set_winner(const struct osr_version_set *set);
/* Known versions that no other supersedes, newest first. */
size_t osr_version_set_heads(const struct osr_version_set *set,
                             struct osr_version heads[OSR_SUPERSEDES_MAX]);

#endif
