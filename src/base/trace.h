/* trace.h -- what a module says about what it does. A core's trace lines are the oracle of
 * its tests and the first thing to read when something is wrong. */
#ifndef OSR_BASE_TRACE_H
#define OSR_BASE_TRACE_H

enum osr_level { OSR_LEVEL_ERROR, OSR_LEVEL_WARNING, OSR_LEVEL_INFO, OSR_LEVEL_TRACE };

/* Where lines go. `write` gets one line without a newline. A zeroed one is silent. */
struct osr_trace {
    void (*write)(void *context, enum osr_level level, const char *line);
    void *context;
    enum osr_level level; /* nothing above this is formatted */
};

void osr_trace(const struct osr_trace *trace, enum osr_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
