#include "bin/document.h"

#include "base/json_scan.h"
#include "base/text.h"
#include "bin/input.h"

int osr_document_set_flags(Osr__Document *document, const struct osr_arguments *arguments,
                           struct osr_err *err)
{
    /* protobuf-c's strings are not const, but nothing writes to them. */
    if (osr_arguments_has(arguments, OSR_FLAG_COLLECTION)) {
        document->collection = (char *)arguments->values[OSR_FLAG_COLLECTION];
    }
    if (osr_arguments_has(arguments, OSR_FLAG_KIND)) {
        document->kind = (char *)arguments->values[OSR_FLAG_KIND];
    }
    if (osr_arguments_has(arguments, OSR_FLAG_AUTHOR)) {
        document->author = (char *)arguments->values[OSR_FLAG_AUTHOR];
    }
    if (osr_arguments_has(arguments, OSR_FLAG_TAG)) {
        document->tags = (char **)arguments->tags;
        document->n_tags = arguments->tag_count;
    }
    if (!osr_arguments_has(arguments, OSR_FLAG_EXPIRES)) {
        return OSR_OK;
    }
    return osr_arguments_time(arguments, OSR_FLAG_EXPIRES, &document->expires_ms, err);
}

static const char document_data[] = "a document's data";

static int refuse_long(struct osr_err *err)
{
    return osr_err_set(err, OSR_TOO_LARGE, "%s has at most %d bytes", document_data,
                       OSR_DATA_BYTES_MAX);
}

/* `text` as it was typed, or standard input for "-", without the line end that echo or an editor
 * puts behind it. */
static int read_text(struct osr_buffer *buffer, const char *text, struct osr_err *err)
{
    if (strcmp(text, "-") != 0) {
        osr_buffer_add_text(buffer, text);
        return OSR_OK;
    }
    int code = osr_input_read(text, document_data, OSR_DATA_BYTES_MAX, buffer, err);
    if (buffer->size > 0 && buffer->data[buffer->size - 1] == '\n') {
        buffer->size--;
    }
    return code;
}

static int encode_text(struct osr_buffer *buffer, struct osr_slice text, struct osr_err *err)
{
    if (!osr_utf8_is_valid(text)) {
        osr_err_set(err, OSR_MALFORMED, "the text is not UTF-8");
        osr_err_hint(err, "convert it, for example with iconv -f latin1 -t utf-8");
        return OSR_MALFORMED;
    }
    osr_json_quote(buffer, text, false);
    return OSR_OK;
}

static int encode_json(struct osr_buffer *buffer, struct osr_slice text, struct osr_err *err)
{
    int code = osr_json_compact(buffer, text, err);
    if (code == OSR_OK) {
        return OSR_OK;
    }
    osr_err_prefix(err, "--json");
    osr_err_hint(err, "strings need their double quotes inside the shell's: --json '\"text\"'");
    return code;
}

int osr_document_read_data(Osr__Json *data, struct osr_buffer *buffer,
                           const struct osr_arguments *arguments, int operand, bool *ret_given,
                           struct osr_err *err)
{
    const char *json = arguments->values[OSR_FLAG_JSON];
    const char *text = arguments->operand_count > operand ? arguments->operands[operand] : NULL;
    *ret_given = json != NULL || text != NULL;
    if (!*ret_given) {
        return OSR_OK;
    }
    if (json != NULL && text != NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "TEXT and --json exclude each other");
    }

    struct osr_buffer typed = {0};
    int code = read_text(&typed, json != NULL ? json : text, err);
    if (code == OSR_OK) {
        code = json != NULL ? encode_json(buffer, osr_buffer_slice(&typed), err)
                            : encode_text(buffer, osr_buffer_slice(&typed), err);
    }
    osr_buffer_done(&typed);
    if (code != OSR_OK) {
        return code;
    }
    if (buffer->size > OSR_DATA_BYTES_MAX) {
        return refuse_long(err);
    }
    data->text.data = buffer->data;
    data->text.len = buffer->size;
    return OSR_OK;
}
