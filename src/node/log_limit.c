#include "node/log_limit.h"

#include <stdlib.h>

#include "base/bytes.h"

enum { WINDOW_MS = 1000 };

struct osr_log_limit {
    const struct osr_trace *target;
    struct osr_trace trace; /* ends here */
    uv_timer_t window;      /* runs since the first line that was counted */
    uint32_t lines;         /* in this window */
    uint32_t left_out;      /* of these */
};

static void end_window(struct osr_log_limit *limit)
{
    if (limit->left_out > 0) {
        osr_trace(limit->target, OSR_LEVEL_WARNING, "%u more lines like these within a second",
                  limit->left_out);
    }
    limit->lines = 0;
    limit->left_out = 0;
}

static void on_window(uv_timer_t *timer)
{
    end_window(timer->data);
}

static void write_line(void *context, enum osr_level level, const char *line)
{
    struct osr_log_limit *limit = context;
    if (level != OSR_LEVEL_TRACE) {
        if (limit->lines++ == 0) {
            uv_timer_start(&limit->window, on_window, WINDOW_MS, 0);
        }
        if (limit->lines > OSR_LOG_LINES_MAX) {
            limit->left_out++;
            return;
        }
    }
    limit->target->write(limit->target->context, level, line);
}

struct osr_log_limit *osr_log_limit_create(uv_loop_t *loop, const struct osr_trace *trace)
{
    struct osr_log_limit *limit = osr_alloc(sizeof(*limit));
    limit->target = trace;
    limit->trace = (struct osr_trace){.level = trace->level};
    if (trace->write != NULL) { /* else it is silent, and stays so */
        limit->trace.write = write_line;
        limit->trace.context = limit;
    }
    uv_timer_init(loop, &limit->window); /* cannot fail: it only fills in the handle */
    limit->window.data = limit;
    return limit;
}

const struct osr_trace *osr_log_limit_trace(const struct osr_log_limit *limit)
{
    return &limit->trace;
}

static void on_closed(uv_handle_t *handle)
{
    struct osr_log_limit *limit = handle->data;
    end_window(limit);
    free(limit);
}

void osr_log_limit_destroy(struct osr_log_limit *limit)
{
    if (limit != NULL) {
        uv_close((uv_handle_t *)&limit->window, on_closed);
    }
}
