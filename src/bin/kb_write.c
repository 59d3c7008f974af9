/* kb add, kb update, kb delete: one document each. */
#include "bin/command.h"
#include "bin/document.h"

/* The frame of a write, and how its outcome is told. */
struct write {
    struct osr_context *context;
    const char *verb; /* "updated"; NULL: the id alone, for scripts to take */
};

static const Osr__PutResponse *put_response(const Osr__Frame *frame)
{
    switch (frame->body_case) {
    case OSR__FRAME__BODY_KB_PUT_REPLY:
        return frame->kb_put_reply;
    case OSR__FRAME__BODY_KB_UPDATE_REPLY:
        return frame->kb_update_reply;
    case OSR__FRAME__BODY_KB_DELETE_REPLY:
        return frame->kb_delete_reply;
    default:
        return NULL;
    }
}

static int on_written(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    (void)err;
    const struct write *write = context;
    struct osr_output *out = &write->context->out;
    const Osr__PutResponse *response = put_response(frame);
    if (response == NULL) {
        return OSR_OK;
    }
    if (write->context->json) {
        osr_output_add_message(out, &response->base);
    } else if (write->verb == NULL) {
        osr_output_add_format(out, "%s\n", response->id);
    } else {
        osr_output_add_format(out, "%s %s\n", write->verb, response->id);
    }
    return out->failure.code;
}

static int call_write(struct osr_context *context, Osr__Frame *frame, const char *verb,
                      struct osr_err *err)
{
    struct write write = {.context = context, .verb = verb};
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return osr_context_call(context, frame, on_written, &write, err);
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
    Osr__Frame frame = OSR__FRAME__INIT;
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
    frame.body_case = OSR__FRAME__BODY_KB_PUT;
    frame.kb_put = &put;
    code = call_write(context, &frame, NULL, err);
done:
    osr_buffer_done(&text);
    return code;
}

/* kb update: the document as it stands comes first, then what was given is exchanged in it. */
struct update {
    struct osr_context *context;
    const struct osr_arguments *arguments;
    Osr__Json *data; /* NULL: it stays */
    uint32_t acks;
    struct osr_buffer request; /* the frame, encoded while the document lives */
    struct osr_err *err;
};

static int on_current(void *context, const Osr__Frame *frame, const struct osr_err *err)
{
    (void)err;
    struct update *update = context;
    if (frame->body_case != OSR__FRAME__BODY_KB_GET_REPLY ||
        frame->kb_get_reply->document == NULL) {
        return osr_err_set(update->err, OSR_INTERNAL, "the instance gave no document");
    }
    /* The copy points into the frame, and is packed before that goes. */
    Osr__Document document = *frame->kb_get_reply->document;
    document.version = NULL; /* the instance knows what the new version supersedes */
    document.supersedes = NULL;
    document.n_supersedes = 0;
    document.source = NULL; /* this version comes from no file */
    document.time_ms = 0;
    if (update->data != NULL) {
        document.data = update->data;
    }
    int code = osr_document_set_flags(&document, update->arguments, update->err);
    if (code != OSR_OK) {
        return code;
    }
    Osr__UpdateRequest request = OSR__UPDATE_REQUEST__INIT;
    request.document = &document;
    request.acks = update->acks;
    request.timeout_ms = update->context->acks_timeout_ms;
    size_t size = osr__update_request__get_packed_size(&request);
    update->request.size =
        osr__update_request__pack(&request, osr_buffer_reserve(&update->request, size));
    return OSR_OK;
}

static int get_and_change(struct update *update, struct osr_err *err)
{
    Osr__GetRequest get = OSR__GET_REQUEST__INIT;
    get.id = update->arguments->operands[0];
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_GET;
    frame.kb_get = &get;
    return osr_context_call(update->context, &frame, on_current, update, err);
}

static int send_update(struct update *update, struct osr_err *err)
{
    Osr__UpdateRequest *request =
        osr__update_request__unpack(NULL, update->request.size, update->request.data);
    if (request == NULL) {
        return osr_err_set(err, OSR_INTERNAL, "cannot read back the request");
    }
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_UPDATE;
    frame.kb_update = request;
    int code = call_write(update->context, &frame, "updated", err);
    osr__update_request__free_unpacked(request, NULL);
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
    struct osr_buffer text = {0};
    struct update update = {.context = context, .arguments = arguments, .err = err};
    bool given;

    int code = read_acks(arguments, &update.acks, err);
    if (code == OSR_OK) {
        code = osr_document_read_data(&data, &text, arguments, 1, &given, err);
    }
    if (code == OSR_OK && !changes_anything(arguments, given)) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "nothing to change: give TEXT or options");
    }
    if (code == OSR_OK) {
        update.data = given ? &data : NULL;
        code = get_and_change(&update, err);
    }
    if (code == OSR_OK) {
        code = send_update(&update, err);
    }
    osr_buffer_done(&update.request);
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
    Osr__Frame frame = OSR__FRAME__INIT;
    frame.body_case = OSR__FRAME__BODY_KB_DELETE;
    frame.kb_delete = &request;
    return call_write(context, &frame, "deleted", err);
}
