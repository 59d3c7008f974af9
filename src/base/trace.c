#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>

void osr_trace(const struct osr_trace *trace, enum osr_level level, const char *format, ...)
{
    if (trace->write == NULL || level > trace->level) {
        return;
    }
    char line[1024]; /* longer ones are cut */
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    trace->write(trace->context, level, line);
}
