/* Names of the guards; compiled for the simulation with switches alone. */
#include "core/raft_guards.h"

#include <string.h>

uint32_t osr_raft_guards_off;

static const struct {
    const char *name;
    const char *text;
} guards[] = {
#define GUARD_ROW(NAME, name, text) {#name, text},
    OSR_RAFT_GUARDS(GUARD_ROW)
#undef GUARD_ROW
};

_Static_assert(sizeof(guards) / sizeof(guards[0]) == OSR_RAFT_GUARD_COUNT, "one row a guard");
_Static_assert(OSR_RAFT_GUARD_COUNT <= 32, "one bit a guard");

const char *osr_raft_guard_name(enum osr_raft_guard guard)
{
    return guards[guard].name;
}

const char *osr_raft_guard_text(enum osr_raft_guard guard)
{
    return guards[guard].text;
}

bool osr_raft_guard_parse(const char *name, enum osr_raft_guard *ret_guard)
{
    for (unsigned i = 0; i < OSR_RAFT_GUARD_COUNT; i++) {
        if (strcmp(guards[i].name, name) == 0) {
            *ret_guard = (enum osr_raft_guard)i;
            return true;
        }
    }
    return false;
}
