#include "node/setup_finding.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/fields.h"

void osr_setup_finding(struct osr_buffer *lines, enum osr_finding_level level, const char *check,
                       const char *mend, const char *format, ...)
{
    static const char *const levels[] = {
        [OSR_FINDING_OK] = "ok", [OSR_FINDING_WARNING] = "warning", [OSR_FINDING_ERROR] = "error"};
    char text[1024]; /* longer ones are cut: paths have 1,000 bytes at most, and are seldom long */
    va_list values;

    va_start(values, format);
    vsnprintf(text, sizeof(text), format, values);
    va_end(values);
    osr_fields_begin(lines);
    osr_fields_add(lines, "level", levels[level]);
    osr_fields_add(lines, "check", check);
    osr_fields_add(lines, "text", text);
    osr_fields_add(lines, "mend", mend);
    osr_fields_end(lines);
}
