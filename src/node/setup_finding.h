/* setup_finding.h -- what `osiris doctor` says: a line (base/fields.h) for each thing looked at. */
#ifndef OSR_NODE_SETUP_FINDING_H
#define OSR_NODE_SETUP_FINDING_H

#include "base/bytes.h"

enum osr_finding_level { OSR_FINDING_OK, OSR_FINDING_WARNING, OSR_FINDING_ERROR };

/* {"level":"warning","check":...,"text":...,"mend":...}; `mend`: a command, or what to do; may be
 * empty. */
void osr_setup_finding(struct osr_buffer *lines, enum osr_finding_level level, const char *check,
                       const char *mend, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

#endif
