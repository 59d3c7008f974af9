/* Header blocks: from HTTP/2's fields to gRPC's words, and back. */
#include "wire/grpc_internal.h"

#include <stdlib.h>

/* ---- what comes ---- */

void osr_grpc_block_reset(struct osr_grpc_block *block)
{
    osr_grpc_metadata_list_clear(&block->metadata);
    *block = (struct osr_grpc_block){
        .path = block->path,
        .authority = block->authority,
        .message = block->message,
        .details = block->details,
        .metadata = block->metadata,
        .timeout_ms = UINT64_MAX,
    };
    block->path.size = 0;
    block->authority.size = 0;
    block->message.size = 0;
    block->details.size = 0;
}

void osr_grpc_block_done(struct osr_grpc_block *block)
{
    osr_buffer_done(&block->path);
    osr_buffer_done(&block->authority);
    osr_buffer_done(&block->message);
    osr_buffer_done(&block->details);
    osr_grpc_metadata_list_done(&block->metadata);
}

static bool is_text(struct osr_slice slice, const char *text)
{
    return osr_slice_equal(slice, osr_slice_text(text));
}

static void replace(struct osr_buffer *buffer, struct osr_slice bytes)
{
    buffer->size = 0;
    osr_buffer_add(buffer, bytes.data, bytes.size);
}

static void take_path(struct osr_grpc_block *block, struct osr_slice value)
{
    block->has_long_path = value.size > OSR_GRPC_PATH_BYTES_MAX;
    if (!block->has_long_path) {
        replace(&block->path, value);
    }
}

static void take_method(struct osr_grpc_block *block, struct osr_slice value)
{
    block->is_post = is_text(value, "POST");
}

static void take_authority(struct osr_grpc_block *block, struct osr_slice value)
{
    replace(&block->authority, value);
}

/* "application/grpc", and behind it the end, "+proto" or ";charset=...". */
static void take_content_type(struct osr_grpc_block *block, struct osr_slice value)
{
    static const char type[] = "application/grpc";
    size_t size = sizeof(type) - 1;
    block->is_grpc = value.size >= size && memcmp(value.data, type, size) == 0 &&
                     (value.size == size || value.data[size] == '+' || value.data[size] == ';');
}

static void take_timeout(struct osr_grpc_block *block, struct osr_slice value)
{
    block->has_bad_timeout = !osr_grpc_timeout_parse(value, &block->timeout_ms);
}

static void take_encoding(struct osr_grpc_block *block, struct osr_slice value)
{
    block->encoding = osr_grpc_encoding_parse(value);
}

static void take_accept_encoding(struct osr_grpc_block *block, struct osr_slice value)
{
    block->has_accept = true;
    block->accepts_gzip = osr_grpc_encoding_is_accepted(value, OSR_GRPC_GZIP);
}

/* nghttp2 has checked that it is three digits. */
static void take_http_status(struct osr_grpc_block *block, struct osr_slice value)
{
    block->http_status = 0;
    for (size_t i = 0; i < value.size; i++) {
        block->http_status = block->http_status * 10 + (value.data[i] - '0');
    }
}

static void take_code(struct osr_grpc_block *block, struct osr_slice value)
{
    block->has_code = true;
    block->code = osr_grpc_code_parse(value);
}

static void take_message(struct osr_grpc_block *block, struct osr_slice value)
{
    block->message.size = 0;
    osr_grpc_message_text_parse(&block->message, value);
}

/* Base64 like all "-bin" fields; the list knows how to read that. */
static void take_details(struct osr_grpc_block *block, struct osr_slice value)
{
    struct osr_grpc_metadata_list list = {0};
    if (osr_grpc_metadata_list_add_field(&list, osr_slice_text("details-bin"), value) &&
        list.count > 0) {
        replace(&block->details, list.items[0].value);
    }
    osr_grpc_metadata_list_done(&list);
}

struct known_field {
    const char *name;
    size_t size;
    void (*take)(struct osr_grpc_block *block, struct osr_slice value);
};

#define KNOWN_FIELD(name, take)                                                                    \
    {                                                                                              \
        name, sizeof(name) - 1, take                                                               \
    }
static const struct known_field known_fields[] = {
    KNOWN_FIELD(":path", take_path),
    KNOWN_FIELD(":method", take_method),
    KNOWN_FIELD(":status", take_http_status),
    KNOWN_FIELD(":authority", take_authority),
    KNOWN_FIELD("content-type", take_content_type),
    KNOWN_FIELD("grpc-status", take_code),
    KNOWN_FIELD("grpc-message", take_message),
    KNOWN_FIELD("grpc-timeout", take_timeout),
    KNOWN_FIELD("grpc-encoding", take_encoding),
    KNOWN_FIELD("grpc-accept-encoding", take_accept_encoding),
    KNOWN_FIELD("grpc-status-details-bin", take_details),
};

static const struct known_field *find_known(struct osr_slice name)
{
    for (size_t i = 0; i < sizeof(known_fields) / sizeof(known_fields[0]); i++) {
        const struct known_field *field = &known_fields[i];
        if (field->size == name.size && memcmp(field->name, name.data, name.size) == 0) {
            return field;
        }
    }
    return NULL;
}

void osr_grpc_block_add(struct osr_grpc_block *block, struct osr_slice name, struct osr_slice value)
{
    enum { FIELD_OVERHEAD_BYTES = 32 }; /* as HTTP/2 counts (RFC 9113, 10.5.1) */
    block->bytes += name.size + value.size + FIELD_OVERHEAD_BYTES;
    if (block->bytes > OSR_GRPC_HEADERS_SOFT_BYTES) {
        return; /* the call will be refused for it: no need to keep more */
    }
    const struct known_field *known = find_known(name);
    if (known != NULL) {
        known->take(block, value);
    } else if (osr_grpc_metadata_is_custom(name)) {
        block->has_bad_metadata |= !osr_grpc_metadata_list_add_field(&block->metadata, name, value);
    }
}

/* ---- what goes ---- */

void osr_grpc_fields_done(struct osr_grpc_fields *fields)
{
    free(fields->items);
    *fields = (struct osr_grpc_fields){0};
}

static void add(struct osr_grpc_fields *fields, struct osr_slice name, struct osr_slice value,
                uint8_t flags)
{
    if (fields->count == fields->capacity) {
        enum { CAPACITY_MIN = 8 };
        fields->capacity = fields->capacity > 0 ? 2 * fields->capacity : CAPACITY_MIN;
        fields->items = osr_realloc(fields->items, fields->capacity * sizeof(fields->items[0]));
    }
    /* nghttp2 does not write to them, its type just says so. */
    fields->items[fields->count++] = (nghttp2_nv){
        .name = (uint8_t *)name.data,
        .namelen = name.size,
        .value = (uint8_t *)value.data,
        .valuelen = value.size,
        .flags = flags,
    };
}

void osr_grpc_fields_add_static(struct osr_grpc_fields *fields, const char *name, const char *value)
{
    add(fields, osr_slice_text(name), osr_slice_text(value),
        NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE);
}

void osr_grpc_fields_add(struct osr_grpc_fields *fields, const char *name, struct osr_slice value,
                         bool is_indexed)
{
    add(fields, osr_slice_text(name), value,
        is_indexed ? NGHTTP2_NV_FLAG_NO_COPY_NAME
                   : NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_INDEX);
}

void osr_grpc_fields_add_list(struct osr_grpc_fields *fields,
                              const struct osr_grpc_metadata_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        add(fields, list->items[i].name, list->items[i].value, NGHTTP2_NV_FLAG_NONE);
    }
}

void osr_grpc_fields_add_code(struct osr_grpc_fields *fields, enum osr_grpc_code code)
{
    static const char *const digits[] = {"0", "1",  "2",  "3",  "4",  "5",  "6",  "7", "8",
                                         "9", "10", "11", "12", "13", "14", "15", "16"};
    _Static_assert(sizeof(digits) / sizeof(digits[0]) == OSR_GRPC_CODE_COUNT, "a text for each");
    osr_grpc_fields_add_static(fields, "grpc-status", digits[code]);
}
