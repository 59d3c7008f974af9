/* display.h -- text as a terminal shows it: how many columns it takes, and nothing in it that a
 * terminal would obey. */
#ifndef OSR_BIN_DISPLAY_H
#define OSR_BIN_DISPLAY_H

#include "base/bytes.h"
#include "model/message.h"

enum osr_display { OSR_DISPLAY_ONE_LINE, OSR_DISPLAY_LINES };

/* Appends UTF-8 text without control characters, which documents of strangers may carry to
 * move the cursor or set the window's title. ONE_LINE makes white space of line ends and tabs,
 * LINES keeps them; the others become U+FFFD. */
void osr_display_clean(struct osr_buffer *buffer, struct osr_slice text, enum osr_display display);
/* Appends a document's data for people: a string without its quotes, anything else as JSON.
 * NULL (a deleted document) adds nothing. */
void osr_display_data(struct osr_buffer *buffer, const Osr__Json *data, enum osr_display display);

/* Columns on a terminal: wide characters take two, combining ones none. */
size_t osr_display_width(struct osr_slice text);
/* How many bytes at the front fit into so many columns. */
size_t osr_display_fit(struct osr_slice text, size_t columns);

/* "1,234,567" */
enum { OSR_DISPLAY_NUMBER_CHARS = 27 };
char *osr_display_number(char *text, uint64_t number); /* returns text */
/* "2024-02-29 13:04:05" in local time; empty for 0. */
enum { OSR_DISPLAY_TIME_CHARS = 32 };
char *osr_display_time(char *text, uint64_t time_ms);
/* "512 B", "1.5 KiB", "3.2 GiB" */
enum { OSR_DISPLAY_SIZE_CHARS = 24 };
char *osr_display_size(char *text, uint64_t bytes);

#endif
