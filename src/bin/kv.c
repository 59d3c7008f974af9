/* kv get, kv put, kv del: keys and values that the ledger's members agree on. */
#include <inttypes.h>

#include "bin/command.h"
#include "bin/display.h"
#include "bin/input.h"
#include "model/limits.h"

static ProtobufCBinaryData key_of(const struct osr_arguments *arguments)
{
    char *key = arguments->operands[0];
    return (ProtobufCBinaryData){.len = strlen(key), .data = (uint8_t *)key};
}

/* The members have their own time first. */
static uint32_t grant_time(struct osr_context *context)
{
    context->timeout_ms = osr_context_write_timeout_ms(context);
    return context->acks_timeout_ms;
}

/* ---- kv get ---- */

/* A terminal shows it as text that ends its line; all else gets the very bytes. */
static void write_value(struct osr_output *out, struct osr_slice value)
{
    if (!out->is_terminal) {
        osr_output_add(out, value);
        return;
    }
    struct osr_buffer text = {0};
    osr_display_clean(&text, value, OSR_DISPLAY_LINES);
    osr_output_add(out, osr_buffer_slice(&text));
    if (text.size == 0 || text.data[text.size - 1] != '\n') {
        osr_output_add_text(out, "\n");
    }
    osr_buffer_done(&text);
}

static int on_value(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    const Osr__GetValueResponse *response = (const Osr__GetValueResponse *)reply;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        write_value(&run->out, osr_slice(response->value.data, response->value.len));
    }
    return run->out.failure.code;
}

int osr_run_kv_get(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    Osr__GetValueRequest request = OSR__GET_VALUE_REQUEST__INIT;
    request.key = key_of(arguments);
    request.local = osr_arguments_has(arguments, OSR_FLAG_LOCAL);
    request.timeout_ms = grant_time(context);
    return osr_context_call(context, "kv_get", &request.base, on_value, context, err);
}

/* ---- kv put, kv del ---- */

/* In which state the key has to be; *ret_expected stays NULL where any will do. */
static int read_expected(const struct osr_arguments *arguments, Osr__ExpectedValue *expected,
                         Osr__ExpectedValue **ret_expected, struct osr_err *err)
{
    const char *text = arguments->values[OSR_FLAG_EXPECT];
    osr__expected_value__init(expected);
    if (text == NULL) {
        return OSR_OK;
    }
    *ret_expected = expected;
    if (strcmp(text, "absent") == 0) {
        return OSR_OK;
    }
    if (osr_arguments_number(arguments, OSR_FLAG_EXPECT, 0, UINT64_MAX, &expected->index, err) !=
        OSR_OK) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "--expect '%s': neither an index nor 'absent'",
                    text);
        osr_err_hint(err, "osiris -o json kv get KEY shows the index that wrote it last");
        return OSR_INVALID_ARGUMENT;
    }
    return OSR_OK;
}

static int read_value(const struct osr_arguments *arguments, struct osr_buffer *buffer,
                      struct osr_err *err)
{
    const char *text = arguments->operand_count > 1 ? arguments->operands[1] : NULL;
    const char *file = arguments->values[OSR_FLAG_FILE];
    if ((text == NULL) == (file == NULL)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                text == NULL ? "give VALUE, or --file FILE, or '-' for standard "
                                               "input"
                                             : "VALUE and --file exclude each other");
    }
    if (file != NULL || strcmp(text, "-") == 0) {
        return osr_input_read(file != NULL ? file : text, "a value", OSR_KV_VALUE_BYTES_MAX, buffer,
                              err);
    }
    osr_buffer_add_text(buffer, text);
    return OSR_OK;
}

/* The index alone, for scripts to take. */
static int on_put(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_format(&run->out, "%" PRIu64 "\n",
                              ((const Osr__PutValueResponse *)reply)->index);
    }
    return run->out.failure.code;
}

int osr_run_kv_put(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    Osr__PutValueRequest request = OSR__PUT_VALUE_REQUEST__INIT;
    Osr__ExpectedValue expected;
    struct osr_buffer value = {0};
    int code = read_expected(arguments, &expected, &request.expected, err);
    if (code == OSR_OK) {
        code = read_value(arguments, &value, err);
    }
    if (code == OSR_OK) {
        request.key = key_of(arguments);
        request.value = (ProtobufCBinaryData){.len = value.size, .data = value.data};
        request.timeout_ms = grant_time(context);
        code = osr_context_call(context, "kv_put", &request.base, on_put, context, err);
    }
    osr_buffer_done(&value);
    return code;
}

static int on_removed(void *context, const ProtobufCMessage *reply)
{
    struct osr_context *run = context;
    bool was_there = ((const Osr__RemoveValueResponse *)reply)->removed;
    if (run->json) {
        osr_output_add_message(&run->out, reply);
    } else {
        osr_output_add_text(&run->out, was_there ? "deleted\n" : "there was no such key\n");
    }
    return run->out.failure.code;
}

int osr_run_kv_del(struct osr_context *context, const struct osr_arguments *arguments,
                   struct osr_err *err)
{
    Osr__RemoveValueRequest request = OSR__REMOVE_VALUE_REQUEST__INIT;
    Osr__ExpectedValue expected;
    int code = read_expected(arguments, &expected, &request.expected, err);
    if (code != OSR_OK) {
        return code;
    }
    request.key = key_of(arguments);
    request.timeout_ms = grant_time(context);
    return osr_context_call(context, "kv_del", &request.base, on_removed, context, err);
}
