#include "base/trace.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

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
    osr_text_make_plain(line, sizeof(line)); /* it quotes names that peers have given themselves */
    trace->write(trace->context, level, line);
}
