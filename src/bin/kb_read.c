/* kb get, history, list, search, digest: questions with an answer that ends. */
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/table.h"

/* Where the replies of one question go. */
struct answer {
    struct osr_output *out;
    bool json;
    struct osr_table *table; /* where the answer is one, and not JSON */
    uint64_t count;          /* rows */
};

static size_t columns_of(const struct osr_column *columns)
{
    size_t count = 0;
    while (columns[count].title != NULL) {
        count++;
    }
    return count;
}

/* Calls, with a table for the replies where people look. `columns` end with a NULL title. */
static int call_for_table(struct osr_context *context, const char *method,
                          const ProtobufCMessage *request, osr_on_reply *on_reply,
                          const struct osr_column *columns, const char *nothing,
                          struct osr_err *err)
{
    struct osr_table table;
    osr_table_init(&table, columns, columns_of(columns), &context->out);
    struct answer answer = {.out = &context->out, .json = context->json, .table = &table};
    int code = osr_context_call(context, method, request, on_reply, &answer, err);
    osr_table_finish(&table);
    if (code == OSR_OK && answer.count == 0 && !context->json && context->out.is_terminal) {
        osr_output_add_format(&context->out, "%s\n", nothing);
    }
    return code;
}

/* When its author made it, or else when it was written. */
static uint64_t document_time_ms(const Osr__Document *document)
{
    if (document->time_ms != 0) {
        return document->time_ms;
    }
    return document->version != NULL ? document->version->time_ms : 0;
}

static void add_time(struct osr_table *table, uint64_t time_ms)
{
    char text[OSR_DISPLAY_TIME_CHARS];
    osr_table_add_text(table, osr_display_time(text, time_ms));
}

static void join_tags(struct osr_buffer *buffer, const Osr__Document *document)
{
    for (size_t i = 0; i < document->n_tags; i++) {
        osr_buffer_add_format(buffer, "%s%s", i == 0 ? "" : ", ", document->tags[i]);
    }
    osr_buffer_add_u8(buffer, '\0');
}

/* ---- get ---- */

static void write_field_time(struct osr_output *out, const char *name, uint64_t time_ms)
{
    char text[OSR_DISPLAY_TIME_CHARS];
    if (time_ms != 0) {
        osr_output_add_field(out, name, osr_display_time(text, time_ms));
    }
}

static void write_field_text(struct osr_output *out, const char *name, const char *text)
{
    if (text[0] != '\0') {
        osr_output_add_field(out, name, text);
    }
}

static void write_document(struct osr_output *out, const Osr__Document *document)
{
    struct osr_buffer text = {0};
    osr_output_add_field(out, "id", document->id);
    write_field_text(out, "collection", document->collection);
    write_field_text(out, "kind", document->kind);
    join_tags(&text, document);
    write_field_text(out, "tags", (const char *)text.data);
    write_field_text(out, "author", document->author);
    write_field_time(out, "made", document->time_ms);
    if (document->version != NULL) {
        write_field_time(out, "written", document->version->time_ms);
        write_field_text(out, "origin", document->version->origin);
    }
    write_field_time(out, "expires", document->expires_ms);
    if (document->source != NULL) {
        write_field_text(out, "source", document->source->name);
    }
    text.size = 0;
    osr_buffer_add_u8(&text, '\n');
    osr_display_data(&text, document->data, OSR_DISPLAY_LINES);
    osr_buffer_add_u8(&text, '\n');
    osr_output_add(out, osr_buffer_slice(&text));
    osr_buffer_done(&text);
}

static int on_get(void *context, const ProtobufCMessage *reply)
{
    const struct answer *answer = context;
    const Osr__Document *document = ((const Osr__GetResponse *)reply)->document;
    if (document == NULL) {
        return OSR_OK;
    }
    if (answer->json) {
        osr_output_add_message(answer->out, &document->base);
    } else {
        write_document(answer->out, document);
    }
    return answer->out->failure.code;
}

int osr_run_kb_get(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    Osr__GetRequest request = OSR__GET_REQUEST__INIT;
    request.id = arguments->operands[0];
    struct answer answer = {.out = &context->out, .json = context->json};
    return osr_context_call(context, "kb_get", &request.base, on_get, &answer, err);
}

/* ---- history ---- */

static const struct osr_column history_columns[] = {
    {"WRITTEN", OSR_COLUMN_WHOLE}, {"ORIGIN", 0}, {"OPERATION", OSR_COLUMN_WHOLE},
    {"STATE", OSR_COLUMN_WHOLE},   {"DATA", 0},   {NULL, 0}};

static const char *version_state(const Osr__HistoryItem *item)
{
    if (item->winner) {
        return "current";
    }
    return item->superseded ? "replaced" : "lost"; /* to one written at the same time */
}

static int on_history(void *context, const ProtobufCMessage *reply)
{
    struct answer *answer = context;
    const Osr__HistoryResponse *response = (const Osr__HistoryResponse *)reply;
    for (size_t i = 0; i < response->n_versions; i++) {
        const Osr__HistoryItem *item = response->versions[i];
        const Osr__Document *document = item->document;
        answer->count++;
        if (answer->json) {
            osr_output_add_message(answer->out, &item->base);
            continue;
        }
        const Osr__Version *version = document != NULL ? document->version : NULL;
        add_time(answer->table, version != NULL ? version->time_ms : 0);
        osr_table_add_text(answer->table, version != NULL ? version->origin : "");
        osr_table_add_text(answer->table,
                           item->operation == OSR__OPERATION__DELETE ? "delete" : "put");
        osr_table_add_text(answer->table, version_state(item));
        osr_table_add_data(answer->table, document != NULL ? document->data : NULL);
    }
    return answer->out->failure.code;
}

int osr_run_kb_history(struct osr_context *context, const struct osr_arguments *arguments,
                       struct osr_err *err)
{
    Osr__HistoryRequest request = OSR__HISTORY_REQUEST__INIT;
    request.id = arguments->operands[0];
    return call_for_table(context, "kb_history", &request.base, on_history, history_columns,
                          "no versions", err);
}

/* ---- list ---- */

static const struct osr_column list_columns[] = {{"ID", OSR_COLUMN_WHOLE},
                                                 {"TIME", OSR_COLUMN_WHOLE},
                                                 {"COLLECTION", OSR_COLUMN_OPTIONAL},
                                                 {"KIND", OSR_COLUMN_OPTIONAL},
                                                 {"TAGS", OSR_COLUMN_OPTIONAL},
                                                 {"DATA", 0},
                                                 {NULL, 0}};

static void add_document_row(struct osr_table *table, const Osr__Document *document)
{
    struct osr_buffer tags = {0};
    join_tags(&tags, document);
    osr_table_add_text(table, document->id);
    add_time(table, document_time_ms(document));
    osr_table_add_text(table, document->collection);
    osr_table_add_text(table, document->kind);
    osr_table_add_text(table, (const char *)tags.data);
    osr_table_add_data(table, document->data);
    osr_buffer_done(&tags);
}

static int on_list(void *context, const ProtobufCMessage *reply)
{
    struct answer *answer = context;
    const Osr__ListResponse *response = (const Osr__ListResponse *)reply;
    for (size_t i = 0; i < response->n_documents; i++) {
        answer->count++;
        if (answer->json) {
            osr_output_add_message(answer->out, &response->documents[i]->base);
        } else {
            add_document_row(answer->table, response->documents[i]);
        }
    }
    return answer->out->failure.code;
}

int osr_run_kb_list(struct osr_context *context, const struct osr_arguments *arguments,
                    struct osr_err *err)
{
    enum { LIMIT_DEFAULT = 100 };
    Osr__ListRequest request = OSR__LIST_REQUEST__INIT;
    int code = osr_arguments_number(arguments, OSR_FLAG_LIMIT, LIMIT_DEFAULT, UINT64_MAX,
                                    &request.limit, err);
    if (code != OSR_OK) {
        return code;
    }
    if (osr_arguments_has(arguments, OSR_FLAG_COLLECTION)) {
        request.collection = (char *)arguments->values[OSR_FLAG_COLLECTION];
    }
    if (osr_arguments_has(arguments, OSR_FLAG_FROM)) {
        request.after_id = (char *)arguments->values[OSR_FLAG_FROM];
    }
    return call_for_table(context, "kb_list", &request.base, on_list, list_columns, "no documents",
                          err);
}

/* ---- search ---- */

static const struct osr_column search_columns[] = {{"RANK", OSR_COLUMN_RIGHT | OSR_COLUMN_WHOLE},
                                                   {"ID", OSR_COLUMN_WHOLE},
                                                   {"COLLECTION", OSR_COLUMN_OPTIONAL},
                                                   {"DOCUMENT", 0},
                                                   {NULL, 0}};

static int on_search(void *context, const ProtobufCMessage *reply)
{
    struct answer *answer = context;
    const Osr__SearchResponse *response = (const Osr__SearchResponse *)reply;
    for (size_t i = 0; i < response->n_hits; i++) {
        const Osr__SearchHit *hit = response->hits[i];
        answer->count++;
        if (answer->json) {
            osr_output_add_message(answer->out, &hit->base);
            continue;
        }
        char rank[32];
        snprintf(rank, sizeof(rank), "%.2f", hit->rank);
        osr_table_add_text(answer->table, rank);
        osr_table_add_text(answer->table, hit->document != NULL ? hit->document->id : "");
        osr_table_add_text(answer->table, hit->document != NULL ? hit->document->collection : "");
        osr_table_add_text(answer->table, hit->snippet);
    }
    return answer->out->failure.code;
}

/* Several operands are one query: nobody need quote words. */
static void join_operands(struct osr_buffer *buffer, const struct osr_arguments *arguments)
{
    for (int i = 0; i < arguments->operand_count; i++) {
        osr_buffer_add_format(buffer, "%s%s", i == 0 ? "" : " ", arguments->operands[i]);
    }
    osr_buffer_add_u8(buffer, '\0');
}

int osr_run_kb_search(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    uint64_t limit;
    int code = osr_arguments_number(arguments, OSR_FLAG_LIMIT, 0, OSR_SEARCH_HITS_MAX, &limit, err);
    if (code != OSR_OK) {
        return code;
    }
    struct osr_buffer query = {0};
    join_operands(&query, arguments);
    Osr__SearchRequest request = OSR__SEARCH_REQUEST__INIT;
    request.query = (char *)query.data;
    request.limit = (uint32_t)limit;
    code = call_for_table(context, "kb_search", &request.base, on_search, search_columns,
                          "nothing found", err);
    osr_buffer_done(&query);
    return code;
}

/* ---- digest ---- */

static const struct osr_column digest_columns[] = {{"FEED", OSR_COLUMN_WHOLE},
                                                   {"STREAM", OSR_COLUMN_WHOLE},
                                                   {"EPOCH", OSR_COLUMN_RIGHT},
                                                   {"ENTRIES", OSR_COLUMN_RIGHT},
                                                   {"CHAIN", 0},
                                                   {NULL, 0}};

static char *hex_text(ProtobufCBinaryData bytes)
{
    char *text = osr_alloc(2 * bytes.len + 1);
    osr_hex_encode(text, osr_slice(bytes.data, bytes.len));
    return text;
}

static void write_digest(struct answer *answer, const Osr__DigestResponse *response)
{
    char number[OSR_DISPLAY_NUMBER_CHARS];
    char *digest = hex_text(response->digest);
    osr_output_add_field(answer->out, "digest", digest);
    osr_output_add_field(answer->out, "documents", osr_display_number(number, response->documents));
    free(digest);
    if (response->n_feeds > 0) {
        osr_output_add_text(answer->out, "\n");
    }
    for (size_t i = 0; i < response->n_feeds; i++) {
        const Osr__FeedHead *feed = response->feeds[i];
        char *chain = hex_text(feed->chain);
        osr_table_add_text(answer->table, feed->origin);
        osr_table_add_text(answer->table, feed->stream);
        osr_table_add_number(answer->table, feed->epoch);
        osr_table_add_number(answer->table, feed->sequence);
        osr_table_add_text(answer->table, chain);
        free(chain);
    }
}

static int on_digest(void *context, const ProtobufCMessage *reply)
{
    struct answer *answer = context;
    answer->count++;
    if (answer->json) {
        osr_output_add_message(answer->out, reply);
    } else {
        write_digest(answer, (const Osr__DigestResponse *)reply);
    }
    return answer->out->failure.code;
}

int osr_run_kb_digest(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    (void)arguments;
    Osr__DigestRequest request = OSR__DIGEST_REQUEST__INIT;
    return call_for_table(context, "kb_digest", &request.base, on_digest, digest_columns,
                          "no answer", err);
}
