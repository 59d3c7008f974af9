/* progress.h -- how far a long command is, on one line of the terminal that is rewritten in place:
 * a bar, the count, the rate and the time left. Silent where standard error is no terminal. */
#ifndef OSR_BIN_PROGRESS_H
#define OSR_BIN_PROGRESS_H

#include "base/bytes.h"

struct osr_progress {
    bool is_shown;
    bool has_line;    /* something stands on the line */
    const char *unit; /* what is counted: "entries" */
    uint64_t began_ms;
    uint64_t shown_ms;
};

void osr_progress_begin(struct osr_progress *progress, const char *unit);
/* `done` of `total` (0: nobody knows) says how far, `count` how many. Cheap: writes at most ten
 * times a second. */
void osr_progress_show(struct osr_progress *progress, uint64_t done, uint64_t total,
                       uint64_t count);
void osr_progress_end(struct osr_progress *progress); /* wipes the line */
uint64_t osr_progress_elapsed_ms(const struct osr_progress *progress);

#endif
