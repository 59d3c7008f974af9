/* kb add, kb update, kb delete: one document each. */
#include "bin/command.h"
#include "bin/document.h"

/* How the outcome of a write is told. */
struct write {
    struct osr_context *context;
    const char *verb; /* "updated"; NULL: the id alone, for scripts to take */
};

static int on_written(void *context, const ProtobufCMessage *reply)
{
    const struct write *write = context;
    struct osr_output *out = &write->context->out;
    const Osr__PutResponse *response = (const Osr__PutResponse *)reply; /* of all three */
    if (write->context->json) {
        osr_output_add_message(out, reply);
    } else if (write->verb == NULL) {
        osr_output_add_format(out, "%s\n", response->id);
    } else {
        osr_output_add_format(out, "%s %s\n", write->verb, response->id);
    }
    return out->failure.code;
}

static int call_write(struct osr_context *context, const char *method,
                      const ProtobufCMessage *request, const char *verb, struct osr_err *err)
{
    struct write write = {.context = context, .verb = verb};
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return osr_context_call(context, method, request, on_written, &write, err);
}

static int read_acks(const struct osr_arguments *arguments, uint32_t *ret_acks, struct osr_err *err)
{
    uint64_t acks;
    int code = osr_arguments_number(arguments, OSR_FLAG_ACKS, 0, OSR_ACKS_MAX, &acks, err);
    if (code == OSR_OK) {
        *ret_acks = (uint32_t)acks;
    }
    return code;
}

int osr_run_kb_add(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    Osr__Json data = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__PutRequest put = OSR__PUT_REQUEST__INIT;
    struct osr_buffer text = {0};
    bool given;

    int code = osr_document_set_flags(&document, arguments, err);
    if (code == OSR_OK) {
        code = read_acks(arguments, &put.acks, err);
    }
    if (code == OSR_OK) {
        code = osr_document_read_data(&data, &text, arguments, 0, &given, err);
    }
    if (code == OSR_OK && !given) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "nothing to add");
        osr_err_hint(err, "give TEXT, or --json VALUE, or '-' for standard input");
    }
    if (code != OSR_OK) {
        goto done;
    }

    if (osr_arguments_has(arguments, OSR_FLAG_ID)) {
        document.id = (char *)arguments->values[OSR_FLAG_ID];
    }
    document.data = &data;
    put.document = &document;
    put.timeout_ms = context->acks_timeout_ms;
    code = call_write(context, "kb_put", &put.base, NULL, err);
done:
    osr_buffer_done(&text);
    return code;
}

/* kb update: the document as it stands comes first, then what was given is exchanged in it. */
struct update {
    Osr__Document document; /* points into the reply, which lives until the next one comes */
    bool is_there;
};

static int on_current(void *context, const ProtobufCMessage *reply)
{
    const Osr__Document *current = ((const Osr__GetResponse *)reply)->document;
    struct update *update = context;
    if (current == NULL) {
        return OSR_OK;
    }
    update->is_there = true;
    Osr__Document *document = &update->document;
    *document = *current;
    document->version = NULL; /* the instance knows what the new version supersedes */
    document->supersedes = NULL;
    document->n_supersedes = 0;
    document->source = NULL; /* this version comes from no file */
    document->time_ms = 0;
    return OSR_OK;
}

static int get_current(struct osr_context *context, const char *id, struct update *update,
                       struct osr_err *err)
{
    Osr__GetRequest get = OSR__GET_REQUEST__INIT;
    get.id = (char *)id;
    int code = osr_context_call(context, "kb_get", &get.base, on_current, update, err);
    if (code == OSR_OK && !update->is_there) {
        code = osr_err_set(err, OSR_INTERNAL, "the instance gave no document");
    }
    return code;
}

static bool changes_anything(const struct osr_arguments *arguments, bool data_given)
{
    static const enum osr_flag changing[] = {OSR_FLAG_COLLECTION, OSR_FLAG_KIND, OSR_FLAG_TAG,
                                             OSR_FLAG_AUTHOR, OSR_FLAG_EXPIRES};
    for (size_t i = 0; i < sizeof(changing) / sizeof(changing[0]); i++) {
        data_given |= osr_arguments_has(arguments, changing[i]);
    }
    return data_given;
}

int osr_run_kb_update(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    Osr__Json data = OSR__JSON__INIT;
    Osr__UpdateRequest request = OSR__UPDATE_REQUEST__INIT;
    struct osr_buffer text = {0};
    struct update update = {.document = OSR__DOCUMENT__INIT};
    bool given;

    int code = read_acks(arguments, &request.acks, err);
    if (code == OSR_OK) {
        code = osr_document_read_data(&data, &text, arguments, 1, &given, err);
    }
    if (code == OSR_OK && !changes_anything(arguments, given)) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "nothing to change: give TEXT or options");
    }
    if (code == OSR_OK) {
        code = get_current(context, arguments->operands[0], &update, err);
    }
    if (code == OSR_OK) {
        code = osr_document_set_flags(&update.document, arguments, err);
    }
    if (code == OSR_OK) {
        update.document.data = given ? &data : update.document.data;
        request.document = &update.document;
        request.timeout_ms = context->acks_timeout_ms;
        code = call_write(context, "kb_update", &request.base, "updated", err);
    }
    osr_buffer_done(&text);
    return code;
}

int osr_run_kb_delete(struct osr_context *context, const struct osr_arguments *arguments,
                      struct osr_err *err)
{
    Osr__DeleteRequest request = OSR__DELETE_REQUEST__INIT;
    request.id = arguments->operands[0];
    request.timeout_ms = context->acks_timeout_ms;
    int code = read_acks(arguments, &request.acks, err);
    if (code != OSR_OK) {
        return code;
    }
    return call_write(context, "kb_delete", &request.base, "deleted", err);
}
