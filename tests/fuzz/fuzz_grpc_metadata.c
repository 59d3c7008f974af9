/* Header fields of gRPC, as lines of NAME=VALUE: metadata there and back, and what the values say
 * as time-outs, messages, lists of encodings and details of errors. */
#include "fuzz.h"

#include "base/text.h"
#include "wire/grpc_message.h"
#include "wire/grpc_metadata.h"
#include "wire/grpc_status.h"

static void check_time_out(struct osr_slice text)
{
    uint64_t timeout_ms;
    if (osr_grpc_timeout_parse(text, &timeout_ms)) {
        struct osr_buffer written = {0};
        uint64_t again_ms = 0;
        osr_grpc_timeout_write(&written, timeout_ms);
        MUST(osr_grpc_timeout_parse(osr_buffer_slice(&written), &again_ms));
        MUST(again_ms >= timeout_ms);
        osr_buffer_done(&written);
    }
}

static void check_message_text(struct osr_slice text)
{
    struct osr_buffer written = {0};
    struct osr_buffer parsed = {0};
    osr_grpc_message_text_parse(&parsed, text);
    MUST(parsed.size <= text.size);
    parsed.size = 0;
    osr_grpc_message_text_write(&written, text);
    for (size_t i = 0; i < written.size; i++) {
        MUST(written.data[i] >= ' ' && written.data[i] <= '~');
    }
    osr_grpc_message_text_parse(&parsed, osr_buffer_slice(&written));
    MUST(osr_slice_equal(osr_buffer_slice(&parsed), text));
    osr_buffer_done(&written);
    osr_buffer_done(&parsed);
}

/* An error is read from whatever the peer sent, and ours survives being sent on. */
static void check_details(struct osr_slice details)
{
    int grpc_code = 1 + (int)(details.size % OSR_GRPC_CODE_COUNT); /* one that there is not, too */
    struct osr_err err;
    struct osr_err again;
    struct osr_buffer written = {0};
    osr_grpc_error_read(grpc_code, details, details, &err);
    MUST(err.code > OSR_OK && err.code < OSR_CODE_COUNT);
    MUST(osr_utf8_is_valid(osr_slice_text(err.message)));
    MUST(osr_text_is_plain(osr_slice_text(err.hint)));
    osr_grpc_details_write(&written, &err);
    osr_grpc_error_read(osr_code_info(err.code)->grpc_status, osr_slice_text(err.message),
                        osr_buffer_slice(&written), &again);
    MUST(again.code == err.code);
    MUST(strcmp(again.hint, err.hint) == 0);
    MUST(err.message[0] == '\0' || strcmp(again.message, err.message) == 0);
    osr_buffer_done(&written);
}

static bool is_within(struct osr_slice part, const struct osr_buffer *whole)
{
    return part.data >= whole->data && part.data + part.size <= whole->data + whole->size;
}

/* Written as a field and read again, it is the same. */
static void check_item(const struct osr_grpc_metadata_list *list,
                       const struct osr_grpc_metadata *item)
{
    MUST(is_within(item->name, &list->bytes) && is_within(item->value, &list->bytes));
    struct osr_grpc_metadata_list again = {0};
    struct osr_buffer field = {0};
    osr_grpc_metadata_write(&field, item);
    MUST(osr_grpc_metadata_list_add_field(&again, item->name, osr_buffer_slice(&field)));
    MUST(again.count == 1);
    MUST(osr_slice_equal(again.items[0].name, item->name));
    MUST(osr_slice_equal(again.items[0].value, item->value));
    MUST(osr_grpc_metadata_is_valid(&again.items[0]) == osr_grpc_metadata_is_valid(item));
    osr_grpc_metadata_list_done(&again);
    osr_buffer_done(&field);
}

static void check_value(struct osr_slice value)
{
    check_time_out(value);
    check_message_text(value);
    check_details(value);
    MUST(osr_grpc_code_parse(value) < OSR_GRPC_CODE_COUNT);
    MUST(osr_grpc_encoding_is_accepted(value, OSR_GRPC_IDENTITY));
    MUST(!osr_grpc_encoding_is_accepted(value, OSR_GRPC_ENCODING_UNKNOWN));
}

static void add_line(struct osr_grpc_metadata_list *list, struct osr_slice line)
{
    const uint8_t *equals = line.size > 0 ? memchr(line.data, '=', line.size) : NULL;
    if (equals == NULL) {
        return;
    }
    struct osr_slice name = osr_slice(line.data, (size_t)(equals - line.data));
    struct osr_slice value = osr_slice(equals + 1, line.size - name.size - 1);
    size_t count = list->count;
    bool is_added = osr_grpc_metadata_list_add_field(list, name, value);
    MUST(is_added ? list->count > count : list->count == count);
    MUST(list->count <= OSR_GRPC_METADATA_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_grpc_metadata_list list = {0};
    for (size_t at = 0; at < size;) {
        const uint8_t *end = memchr(data + at, '\n', size - at);
        size_t line = end != NULL ? (size_t)(end - data) - at : size - at;
        add_line(&list, osr_slice(data + at, line));
        at += line + 1;
    }
    for (size_t i = 0; i < list.count; i++) {
        check_item(&list, &list.items[i]);
        check_value(list.items[i].value);
    }
    osr_grpc_metadata_list_done(&list);
    return 0;
}
