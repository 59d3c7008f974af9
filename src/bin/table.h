/* table.h -- rows and columns for people, as wide as what stands in them, cut to the terminal.
 *
 * The widths come from the title and the first OSR_TABLE_SAMPLE_ROWS rows, which are held back for
 * that; later rows are cut to fit, so that a table of any length takes the same memory. Optional
 * columns that are empty in all of the sample are left out. Where the output is no terminal, only
 * cells over OSR_TABLE_CELL_BYTES_MAX are cut. */
#ifndef OSR_BIN_TABLE_H
#define OSR_BIN_TABLE_H

#include "bin/output.h"

enum {
    OSR_TABLE_SAMPLE_ROWS = 100,
    OSR_TABLE_COLUMNS_MAX = 12,
    OSR_TABLE_CELL_BYTES_MAX = 4096, /* stops huge documents from filling memory and screen */
};

enum osr_column_flags {
    OSR_COLUMN_RIGHT = 1,    /* numbers */
    OSR_COLUMN_OPTIONAL = 2, /* left out where all is empty */
    OSR_COLUMN_WHOLE = 4,    /* never cut: ids are there to be copied */
};

struct osr_column {
    const char *title;
    unsigned flags;
};

struct osr_table {
    const struct osr_column *columns;
    size_t column_count;
    struct osr_output *output;
    struct osr_buffer cells; /* of the rows held back: clean text, each cell with a NUL behind it */
    size_t row_count;        /* held back */
    size_t cell_count;       /* in the row begun */
    bool measured;           /* widths stand, the title is printed */
    size_t widths[OSR_TABLE_COLUMNS_MAX]; /* 0: left out */
};

void osr_table_init(struct osr_table *table, const struct osr_column *columns, size_t count,
                    struct osr_output *output);
/* Fills the row from left to right; the last cell ends it. Text is cleaned (display.h). */
void osr_table_add(struct osr_table *table, struct osr_slice text);
void osr_table_add_text(struct osr_table *table, const char *text);
void osr_table_add_number(struct osr_table *table, uint64_t number);
void osr_table_add_data(struct osr_table *table, const Osr__Json *data);
/* Writes what is held back, and nothing for a table without rows; frees. */
void osr_table_finish(struct osr_table *table);

#endif
