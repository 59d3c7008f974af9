/* audit: who did what, and what an instance wrote. */
#include <inttypes.h>

#include "base/sha256.h"
#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/table.h"

/* ---- who did what ---- */

static const struct osr_column audit_columns[] = {{"NUMBER", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
                                                  {"TIME", OSR_COLUMN_WHOLE},
                                                  {"", OSR_COLUMN_WHOLE},
                                                  {"WHO", 0},
                                                  {"FROM", OSR_COLUMN_OPTIONAL},
                                                  {"ACTION", OSR_COLUMN_OPTIONAL},
                                                  {"PART", OSR_COLUMN_OPTIONAL},
                                                  {"WHAT", OSR_COLUMN_OPTIONAL},
                                                  {"WHY", OSR_COLUMN_OPTIONAL}};

struct audit {
    struct osr_context *context;
    struct osr_table table;
    bool follows;              /* a line each, as they come */
    struct osr_buffer refused; /* lines that name instances which are not believed any more */
    uint64_t head_number;
    char head_chain[2 * OSR_SHA256_SIZE + 1];
};

static void add_record(struct osr_table *table, const Osr__AuditRecord *record)
{
    char time[OSR_DISPLAY_TIME_CHARS];
    osr_table_add_number(table, record->number);
    osr_table_add_text(table, osr_display_time(time, record->time_ms));
    osr_table_add_text(table, record->allowed ? "allowed" : "DENIED");
    osr_table_add_text(table, record->who);
    osr_table_add_text(table, record->from);
    osr_table_add_text(table, record->action);
    osr_table_add_text(table, record->part);
    osr_table_add_text(table, record->what);
    osr_table_add_text(table, record->why);
}

static void add_word(struct osr_buffer *line, const char *word)
{
    if (word[0] != '\0') {
        osr_buffer_add_text(line, "  ");
        osr_display_clean(line, osr_slice_text(word), OSR_DISPLAY_ONE_LINE);
    }
}

/* Without a table, which waits for its rows. */
static void write_record(struct osr_output *out, const Osr__AuditRecord *record)
{
    char time[OSR_DISPLAY_TIME_CHARS];
    const char *const words[] = {record->who,  record->from, record->action,
                                 record->part, record->what, record->why};
    struct osr_buffer line = {0};
    osr_buffer_add_format(&line, "%" PRIu64 "  %s  %s", record->number,
                          osr_display_time(time, record->time_ms),
                          record->allowed ? "allowed" : "DENIED");
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        add_word(&line, words[i]);
    }
    line.size = osr_display_fit(osr_buffer_slice(&line), out->columns);
    osr_buffer_add_u8(&line, '\n');
    osr_output_add(out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

static void add_refused(struct osr_buffer *lines, const Osr__AuditResponse *response)
{
    for (size_t i = 0; i < response->n_refused_origins; i++) {
        const char *origin = response->refused_origins[i];
        osr_buffer_add_format(lines,
                              "%s may not write any more; what it wrote that is held here:\n"
                              "  osiris audit --written-by %s\n",
                              origin, origin);
    }
}

static int on_audit(void *context, const ProtobufCMessage *reply)
{
    struct audit *audit = context;
    const Osr__AuditResponse *response = (const Osr__AuditResponse *)reply;
    struct osr_output *out = &audit->context->out;
    for (size_t i = 0; i < response->n_records; i++) {
        if (audit->context->json) {
            osr_output_add_message(out, &response->records[i]->base);
        } else if (audit->follows) {
            write_record(out, response->records[i]);
        } else {
            add_record(&audit->table, response->records[i]);
        }
    }
    if (response->head_chain.len == OSR_SHA256_SIZE) {
        audit->head_number = response->head_number;
        osr_hex_encode(audit->head_chain, osr_slice(response->head_chain.data, OSR_SHA256_SIZE));
    }
    add_refused(&audit->refused, response);
    return audit->follows ? osr_output_flush(out, NULL) : (int)out->failure.code;
}

static void write_end(const struct audit *audit)
{
    struct osr_output *out = &audit->context->out;
    struct osr_buffer refused = {0};
    if (audit->head_chain[0] != '\0') {
        osr_output_add_format(out, "verified up to number %" PRIu64 ", chain %s\n",
                              audit->head_number, audit->head_chain);
    }
    osr_display_clean(&refused, osr_buffer_slice(&audit->refused), OSR_DISPLAY_LINES);
    osr_output_add(out, osr_buffer_slice(&refused));
    osr_buffer_done(&refused);
}

static int show_actions(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    struct audit audit = {.context = context,
                          .follows = osr_arguments_has(arguments, OSR_FLAG_FOLLOW)};
    const char *who = arguments->values[OSR_FLAG_WHO];
    Osr__AuditRequest request = OSR__AUDIT_REQUEST__INIT;
    request.who = (char *)(who != NULL ? who : "");
    request.denied_only = osr_arguments_has(arguments, OSR_FLAG_DENIED);
    request.follow = audit.follows;
    /* Nothing may come for days: only --timeout ends the wait. */
    if (audit.follows && !osr_arguments_has(arguments, OSR_FLAG_TIMEOUT)) {
        context->timeout_ms = 0;
    }
    int code = osr_arguments_past(arguments, OSR_FLAG_SINCE, &request.from_ms, err);
    if (code != OSR_OK) {
        return code;
    }
    osr_table_init(&audit.table, audit_columns, sizeof(audit_columns) / sizeof(audit_columns[0]),
                   &context->out);
    code = osr_context_call(context, "audit", &request.base, on_audit, &audit, err);
    osr_table_finish(&audit.table);
    if (code == OSR_OK && !context->json) {
        write_end(&audit);
    }
    osr_buffer_done(&audit.refused);
    return code;
}

/* ---- what an instance wrote ---- */

static const struct osr_column written_columns[] = {
    {"POSITION", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
    {"TIME", OSR_COLUMN_WHOLE},
    {"STREAM", OSR_COLUMN_WHOLE},
    {"SEQUENCE", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
    {"", OSR_COLUMN_WHOLE},
    {"COLLECTION", OSR_COLUMN_OPTIONAL},
    {"ID", OSR_COLUMN_WHOLE}};

struct written {
    struct osr_context *context;
    struct osr_table table;
    uint64_t count;
    uint64_t position; /* shown last */
};

static void add_entry(struct osr_table *table, const Osr__WrittenEntry *entry)
{
    char time[OSR_DISPLAY_TIME_CHARS];
    osr_table_add_number(table, entry->position);
    osr_table_add_text(table, osr_display_time(time, entry->time_ms));
    osr_table_add_text(table, entry->stream);
    osr_table_add_number(table, entry->sequence);
    osr_table_add_text(table, entry->operation == OSR__OPERATION__DELETE ? "delete" : "put");
    osr_table_add_text(table, entry->collection);
    osr_table_add_text(table, entry->id);
}

static int on_written(void *context, const ProtobufCMessage *reply)
{
    struct written *written = context;
    const Osr__WrittenResponse *response = (const Osr__WrittenResponse *)reply;
    struct osr_output *out = &written->context->out;
    for (size_t i = 0; i < response->n_entries; i++) {
        if (written->context->json) {
            osr_output_add_message(out, &response->entries[i]->base);
        } else {
            add_entry(&written->table, response->entries[i]);
        }
        written->position = response->entries[i]->position;
    }
    written->count += response->n_entries;
    return out->failure.code;
}

static void write_count(const struct written *written, uint64_t limit)
{
    char count[OSR_DISPLAY_NUMBER_CHARS];
    struct osr_output *out = &written->context->out;
    osr_display_number(count, written->count);
    if (limit > 0 && written->count == limit) {
        osr_output_add_format(out, "%s entries; go on with --from %" PRIu64 "\n", count,
                              written->position + 1);
    } else {
        osr_output_add_format(out, "%s entries\n", count);
    }
}

static int read_wanted(const struct osr_arguments *arguments, Osr__WrittenRequest *request,
                       struct osr_err *err)
{
    request->origin = (char *)arguments->values[OSR_FLAG_WRITTEN_BY];
    int code =
        osr_arguments_number(arguments, OSR_FLAG_FROM, 0, UINT64_MAX, &request->from_position, err);
    if (code == OSR_OK) {
        code = osr_arguments_number(arguments, OSR_FLAG_LIMIT, 0, UINT64_MAX, &request->limit, err);
    }
    return code != OSR_OK ? code
                          : osr_arguments_past(arguments, OSR_FLAG_SINCE, &request->from_ms, err);
}

static int show_written(struct osr_context *context, const struct osr_arguments *arguments,
                        struct osr_err *err)
{
    struct written written = {.context = context};
    Osr__WrittenRequest request = OSR__WRITTEN_REQUEST__INIT;
    int code = read_wanted(arguments, &request, err);
    if (code != OSR_OK) {
        return code;
    }
    osr_table_init(&written.table, written_columns,
                   sizeof(written_columns) / sizeof(written_columns[0]), &context->out);
    code = osr_context_call(context, "written", &request.base, on_written, &written, err);
    osr_table_finish(&written.table);
    if (code == OSR_OK && !context->json) {
        write_count(&written, request.limit);
    }
    return code;
}

/* ---- which of the two ---- */

/* The first of these options that was given; OSR_FLAG_NONE: none was. */
static enum osr_flag first_given(const struct osr_arguments *arguments, const enum osr_flag *flags)
{
    while (*flags != OSR_FLAG_NONE && !osr_arguments_has(arguments, *flags)) {
        flags++;
    }
    return *flags;
}

int osr_run_audit(struct osr_context *context, const struct osr_arguments *arguments,
                  struct osr_err *err)
{
    static const enum osr_flag of_actions[] = {OSR_FLAG_WHO, OSR_FLAG_DENIED, OSR_FLAG_NONE};
    static const enum osr_flag of_written[] = {OSR_FLAG_FROM, OSR_FLAG_LIMIT, OSR_FLAG_NONE};
    bool is_of_written = osr_arguments_has(arguments, OSR_FLAG_WRITTEN_BY);
    enum osr_flag wrong = first_given(arguments, is_of_written ? of_actions : of_written);
    if (wrong != OSR_FLAG_NONE) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           is_of_written ? "--%s does not go with --written-by"
                                         : "--%s goes with --written-by",
                           osr_flag_name(wrong)->name);
    }
    return is_of_written ? show_written(context, arguments, err)
                         : show_actions(context, arguments, err);
}
