/* kb export and kb watch: replies for as long as there are any. */
#include <inttypes.h>
#include <unistd.h>

#include "bin/command.h"
#include "bin/display.h"
#include "bin/interrupt.h"

/* ---- export ---- */

struct export
{
    struct osr_output *out;
    bool is_array; /* one JSON array; else one value a line, or one a document of YAML */
    bool is_yaml;
    bool full; /* whole documents */
    bool has_written;
};

static void export_yaml(struct export *export, const Osr__Document *document)
{
    Osr__Json none = OSR__JSON__INIT;
    none.text = (ProtobufCBinaryData){4, (uint8_t *)"null"};
    const Osr__Json *data = document->data != NULL ? document->data : &none;
    osr_output_add_text(export->out, "---\n");
    osr_message_encode(OSR_CODEC_YAML, export->full ? &document->base : &data->base,
                       &export->out->buffer);
}

static void export_document(struct export *export, const Osr__Document *document)
{
    struct osr_output *out = export->out;
    if (export->is_yaml) {
        export_yaml(export, document);
        return;
    }
    if (export->is_array) {
        osr_output_add_text(out, export->has_written ? ",\n" : "[\n");
    } else if (export->has_written) {
        osr_output_add_text(out, "\n");
    }
    export->has_written = true;
    if (export->full) {
        osr_message_encode(OSR_CODEC_JSON, &document->base, &out->buffer);
        return;
    }
    osr_output_add(out, document->data != NULL
                            ? osr_slice(document->data->text.data, document->data->text.len)
                            : osr_slice_text("null"));
}

static int on_export(void *context, const ProtobufCMessage *reply)
{
    struct export *export = context;
    const Osr__ListResponse *response = (const Osr__ListResponse *)reply;
    for (size_t i = 0; i < response->n_documents && export->out->failure.code == OSR_OK; i++) {
        export_document(export, response->documents[i]);
    }
    return export->out->failure.code;
}

/* An array that is not whole stays open: no reader can take it for a whole one. */
static void end_export(struct export *export)
{
    if (export->is_array) {
        osr_output_add_text(export->out, export->has_written ? "\n]\n" : "[]\n");
    } else if (export->has_written) {
        osr_output_add_text(export->out, "\n");
    }
}

int osr_run_kb_export(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    static const char *const formats[] = {"json", "jsonl", "yaml", NULL};
    size_t format;
    int code = osr_arguments_choice(arguments, OSR_FLAG_FORMAT, formats, &format, err);
    if (code != OSR_OK) {
        return code;
    }
    struct export export = {.out = &context->out,
                            .is_array = format == 0,
                            .is_yaml = format == 2,
                            .full = osr_arguments_has(arguments, OSR_FLAG_FULL)};
    Osr__ListRequest request = OSR__LIST_REQUEST__INIT;
    if (osr_arguments_has(arguments, OSR_FLAG_COLLECTION)) {
        request.collection = (char *)arguments->values[OSR_FLAG_COLLECTION];
    }
    code = osr_context_call(context, "kb_list", &request.base, on_export, &export, err);
    if (code == OSR_OK) {
        end_export(&export);
    }
    return code;
}

/* ---- watch ---- */

struct watch {
    struct osr_output *out;
    bool json;
    uint64_t position; /* shown last; 0: none yet */
};

static void write_change(struct osr_output *out, const Osr__WatchResponse *change)
{
    char time[OSR_DISPLAY_TIME_CHARS] = "";
    const Osr__Document *document = change->document;
    if (document != NULL && document->version != NULL) {
        osr_display_time(time, document->version->time_ms);
    }
    struct osr_buffer line = {0};
    osr_buffer_add_format(&line, "%" PRIu64 "  %s  %-6s  ", change->position, time,
                          change->operation == OSR__OPERATION__DELETE ? "delete" : "put");
    if (document != NULL) {
        osr_display_clean(&line, osr_slice_text(document->id), OSR_DISPLAY_ONE_LINE);
        osr_buffer_add_text(&line, "  ");
        osr_display_data(&line, document->data, OSR_DISPLAY_ONE_LINE);
    }
    line.size = osr_display_fit(osr_buffer_slice(&line), out->columns);
    osr_buffer_add_u8(&line, '\n');
    osr_output_add(out, osr_buffer_slice(&line));
    osr_buffer_done(&line);
}

static int on_change(void *context, const ProtobufCMessage *reply)
{
    struct watch *watch = context;
    const Osr__WatchResponse *change = (const Osr__WatchResponse *)reply;
    if (change->position == 0) {
        return OSR_OK;
    }
    if (watch->json) {
        osr_output_add_message(watch->out, reply);
    } else {
        write_change(watch->out, change);
    }
    int code = osr_output_flush(watch->out, NULL);
    if (code == OSR_OK) {
        watch->position = change->position;
    }
    return code;
}

int osr_run_kb_watch(struct osr_context *context, const struct osr_arguments *arguments,
                     struct osr_err *err)
{
    Osr__WatchRequest request = OSR__WATCH_REQUEST__INIT;
    int code =
        osr_arguments_number(arguments, OSR_FLAG_FROM, 0, UINT64_MAX, &request.from_position, err);
    if (code != OSR_OK) {
        return code;
    }
    if (osr_arguments_has(arguments, OSR_FLAG_COLLECTION)) {
        request.collection = (char *)arguments->values[OSR_FLAG_COLLECTION];
    }
    struct watch watch = {.out = &context->out, .json = context->json};
    /* Nothing may come for days: only --timeout ends the wait. */
    if (!osr_arguments_has(arguments, OSR_FLAG_TIMEOUT)) {
        context->timeout_ms = 0;
    }
    code = osr_context_call(context, "kb_watch", &request.base, on_change, &watch, err);
    if (code == OSR_CANCELLED && watch.position > 0) {
        osr_err_hint(err, "go on with --from %" PRIu64, watch.position + 1);
    }
    return code;
}
