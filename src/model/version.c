#include "model/version.h"

#include <stdio.h>

int osr_version_compare(const struct osr_version *a, const struct osr_version *b)
{
    int order = osr_time_compare(a->time, b->time);
    return order != 0 ? order : strcmp(a->origin, b->origin);
}

struct osr_version osr_version_from_message(const Osr__Version *message)
{
    struct osr_version version = {.time = {message->time_ms, message->time_logical}};
    snprintf(version.origin, sizeof(version.origin), "%s", message->origin);
    return version;
}

/* Whether a wins over b, both known. */
static bool wins(const struct osr_version_state *a, const struct osr_version_state *b)
{
    if (a->superseded != b->superseded) {
        return b->superseded;
    }
    return osr_version_compare(&a->version, &b->version) > 0;
}

int osr_version_winner(const struct osr_version_state *states, size_t count)
{
    int winner = -1;
    for (size_t i = 0; i < count; i++) {
        if (states[i].known && (winner < 0 || wins(&states[i], &states[winner]))) {
            winner = (int)i;
        }
    }
    return winner;
}
