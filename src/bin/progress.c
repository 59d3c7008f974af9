#include "bin/progress.h"

#include <stdio.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "bin/display.h"

enum { SHOW_EVERY_MS = 100, BAR_COLUMNS = 24 };

void osr_progress_begin(struct osr_progress *progress, const char *unit)
{
    *progress = (struct osr_progress){.unit = unit, .began_ms = osr_monotonic_ms()};
    progress->is_shown = isatty(STDERR_FILENO) == 1;
    progress->shown_ms = progress->began_ms;
}

uint64_t osr_progress_elapsed_ms(const struct osr_progress *progress)
{
    return osr_monotonic_ms() - progress->began_ms;
}

static void draw_bar(double share)
{
    char bar[BAR_COLUMNS + 1];
    int full = (int)(share * BAR_COLUMNS);
    for (int i = 0; i < BAR_COLUMNS; i++) {
        bar[i] = i < full ? '#' : '.';
    }
    bar[BAR_COLUMNS] = '\0';
    fprintf(stderr, "[%s] %3.0f %%  ", bar, share * 100);
}

void osr_progress_show(struct osr_progress *progress, uint64_t done, uint64_t total, uint64_t count)
{
    uint64_t now_ms = progress->is_shown ? osr_monotonic_ms() : 0;
    if (!progress->is_shown || now_ms - progress->shown_ms < SHOW_EVERY_MS) {
        return;
    }
    progress->shown_ms = now_ms;
    progress->has_line = true;

    double elapsed_ms = (double)(now_ms - progress->began_ms);
    char number[OSR_DISPLAY_NUMBER_CHARS], rate[OSR_DISPLAY_NUMBER_CHARS];
    fputs("\r\033[K", stderr);
    if (total > 0) {
        draw_bar(done < total ? (double)done / (double)total : 1);
    }
    fprintf(stderr, "%s %s  %s/s", osr_display_number(number, count), progress->unit,
            osr_display_number(rate, (uint64_t)((double)count * 1000 / elapsed_ms)));
    if (total > 0 && done > 0 && done < total) {
        char left[OSR_DURATION_CHARS];
        double left_ms = elapsed_ms * (double)(total - done) / (double)done;
        fprintf(stderr, "  %s left", osr_duration_write(left, (uint64_t)left_ms));
    }
}

void osr_progress_end(struct osr_progress *progress)
{
    if (progress->has_line) {
        fputs("\r\033[K", stderr);
    }
    progress->has_line = false;
}
