#include "bin/table.h"

#include <assert.h>

#include "bin/display.h"

enum { GAP_COLUMNS = 2, COLUMN_WIDTH_MIN = 6 };

#define ELLIPSIS "\xe2\x80\xa6"

void osr_table_init(struct osr_table *table, const struct osr_column *columns, size_t count,
                    struct osr_output *output)
{
    assert(count <= OSR_TABLE_COLUMNS_MAX);
    *table = (struct osr_table){.columns = columns, .column_count = count, .output = output};
}

static struct osr_slice next_cell(const struct osr_table *table, size_t *at)
{
    struct osr_slice cell = osr_slice_text((const char *)table->cells.data + *at);
    *at += cell.size + 1;
    return cell;
}

static size_t larger(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* As wide as title and cells want to be. */
static void measure_sample(struct osr_table *table)
{
    size_t at = 0;
    for (size_t row = 0; row < table->row_count; row++) {
        for (size_t i = 0; i < table->column_count; i++) {
            size_t width = osr_display_width(next_cell(table, &at));
            table->widths[i] = larger(table->widths[i], width);
        }
    }
    for (size_t i = 0; i < table->column_count; i++) {
        bool left_out = table->widths[i] == 0 && (table->columns[i].flags & OSR_COLUMN_OPTIONAL);
        if (!left_out) {
            table->widths[i] = larger(table->widths[i], strlen(table->columns[i].title));
        }
    }
}

static size_t total_width(const struct osr_table *table)
{
    size_t total = 0;
    for (size_t i = 0; i < table->column_count; i++) {
        if (table->widths[i] > 0) {
            total += table->widths[i] + (total > 0 ? GAP_COLUMNS : 0);
        }
    }
    return total;
}

/* The widest column that may be cut; NULL where none can give any more. */
static size_t *widest(struct osr_table *table)
{
    size_t *found = NULL;
    for (size_t i = 0; i < table->column_count; i++) {
        bool can_give =
            !(table->columns[i].flags & OSR_COLUMN_WHOLE) && table->widths[i] > COLUMN_WIDTH_MIN;
        if (can_give && (found == NULL || table->widths[i] > *found)) {
            found = &table->widths[i];
        }
    }
    return found;
}

static void shrink_to_terminal(struct osr_table *table)
{
    size_t *giving;
    while (total_width(table) > table->output->columns && (giving = widest(table)) != NULL) {
        (*giving)--;
    }
}

static void add_spaces(struct osr_buffer *line, size_t count)
{
    memset(osr_buffer_reserve(line, count), ' ', count);
    line->size += count;
}

/* A cell in its column's width. */
static void add_fitted(const struct osr_table *table, struct osr_buffer *line, size_t column,
                       struct osr_slice cell)
{
    unsigned flags = table->columns[column].flags;
    size_t width = table->widths[column];
    size_t cell_width = osr_display_width(cell);
    size_t padding = cell_width < width ? width - cell_width : 0;
    bool is_cut =
        cell_width > width && !(flags & OSR_COLUMN_WHOLE) && table->output->columns != SIZE_MAX;
    if (flags & OSR_COLUMN_RIGHT) {
        add_spaces(line, padding);
    }
    osr_buffer_add(line, cell.data, is_cut ? osr_display_fit(cell, width - 1) : cell.size);
    if (is_cut) {
        osr_buffer_add_text(line, ELLIPSIS);
    }
    if (!(flags & OSR_COLUMN_RIGHT)) {
        add_spaces(line, padding);
    }
}

/* One row; the titles where `at` is NULL, else the cells from *at on. */
static void write_row(struct osr_table *table, size_t *at)
{
    struct osr_buffer line = {0};
    for (size_t i = 0; i < table->column_count; i++) {
        struct osr_slice cell =
            at == NULL ? osr_slice_text(table->columns[i].title) : next_cell(table, at);
        if (table->widths[i] == 0) {
            continue;
        }
        if (line.size > 0) {
            add_spaces(&line, GAP_COLUMNS);
        }
        add_fitted(table, &line, i, cell);
    }
    while (line.size > 0 && line.data[line.size - 1] == ' ') {
        line.size--;
    }
    osr_buffer_add_u8(&line, '\n');
    osr_output_add(table->output, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

static void write_rows(struct osr_table *table)
{
    if (!table->measured) {
        measure_sample(table);
        shrink_to_terminal(table);
        write_row(table, NULL);
        table->measured = true;
    }
    size_t at = 0;
    for (size_t row = 0; row < table->row_count; row++) {
        write_row(table, &at);
    }
    table->row_count = 0;
    table->cells.size = 0;
}

static void end_cell(struct osr_table *table)
{
    osr_buffer_add_u8(&table->cells, '\0');
    if (++table->cell_count < table->column_count) {
        return;
    }
    table->cell_count = 0;
    table->row_count++;
    if (table->measured || table->row_count == OSR_TABLE_SAMPLE_ROWS) {
        write_rows(table);
    }
}

/* Keeps a cell that begins at `begin` within its limit, without cutting a character. */
static void limit_cell(struct osr_table *table, size_t begin)
{
    size_t size = table->cells.size - begin;
    if (size <= OSR_TABLE_CELL_BYTES_MAX) {
        return;
    }
    size = OSR_TABLE_CELL_BYTES_MAX;
    while (size > 0 && (table->cells.data[begin + size] & 0xc0) == 0x80) {
        size--;
    }
    table->cells.size = begin + size;
    osr_buffer_add_text(&table->cells, ELLIPSIS);
}

void osr_table_add(struct osr_table *table, struct osr_slice text)
{
    size_t begin = table->cells.size;
    osr_display_clean(&table->cells, text, OSR_DISPLAY_ONE_LINE);
    limit_cell(table, begin);
    end_cell(table);
}

void osr_table_add_text(struct osr_table *table, const char *text)
{
    osr_table_add(table, osr_slice_text(text));
}

void osr_table_add_number(struct osr_table *table, uint64_t number)
{
    char text[OSR_DISPLAY_NUMBER_CHARS];
    osr_table_add_text(table, osr_display_number(text, number));
}

void osr_table_add_data(struct osr_table *table, const Osr__Json *data)
{
    size_t begin = table->cells.size;
    osr_display_data(&table->cells, data, OSR_DISPLAY_ONE_LINE);
    limit_cell(table, begin);
    end_cell(table);
}

void osr_table_finish(struct osr_table *table)
{
    assert(table->cell_count == 0);
    if (table->row_count > 0) {
        write_rows(table);
    }
    osr_buffer_done(&table->cells);
}
