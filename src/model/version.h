/* version.h -- which version of a document wins.
 *
 * A version is superseded when any known version names it. Of those not superseded the
 * greatest (time, origin) wins; if all are (only a liar can make a circle), the greatest of
 * all. The outcome depends on the set of known versions alone, not on the order in which
 * they came. */
#ifndef OSR_MODEL_VERSION_H
#define OSR_MODEL_VERSION_H

#include "model/clock.h"
#include "model/identity.h"
#include "model/message.h"

struct osr_version {
    struct osr_time time;
    char origin[OSR_INSTANCE_CHARS + 1];
};

int osr_version_compare(const struct osr_version *a, const struct osr_version *b);
struct osr_version osr_version_from_message(const Osr__Version *message);

/* One known version, or one that is only named so far (`known` false). */
struct osr_version_state {
    struct osr_version version;
    bool known;
    bool superseded;
};

/* Index of the winner among those known; -1 where none is. */
int osr_version_winner(const struct osr_version_state *states, size_t count);

#endif
