#include "wire/grpc_metadata.h"

#include "base/text.h"

#include <stdlib.h>

/* ---- names and values ---- */

static bool begins_with(struct osr_slice text, const char *prefix)
{
    size_t size = strlen(prefix);
    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static bool is_binary(struct osr_slice name)
{
    static const char suffix[] = "-bin";
    size_t size = sizeof(suffix) - 1;
    return name.size >= size && memcmp(name.data + name.size - size, suffix, size) == 0;
}

bool osr_grpc_metadata_is_custom(struct osr_slice name)
{
    static const char *const reserved[] = {
        "accept-encoding",  "connection", "content-length",
        "content-type",     "host",       "keep-alive",
        "proxy-connection", "te",         "trailer",
        "upgrade",          "user-agent", "transfer-encoding",
    };
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (osr_slice_equal(name, osr_slice_text(reserved[i]))) {
            return false;
        }
    }
    return name.size > 0 && name.data[0] != ':' && !begins_with(name, "grpc-");
}

static bool is_name_character(uint8_t character)
{
    return (character >= 'a' && character <= 'z') || (character >= '0' && character <= '9') ||
           character == '-' || character == '_' || character == '.';
}

static bool has_name_characters(struct osr_slice name)
{
    for (size_t i = 0; i < name.size; i++) {
        if (!is_name_character(name.data[i])) {
            return false;
        }
    }
    return true;
}

/* Printable ASCII; blanks at its ends would be refused by the peer's HTTP/2 (RFC 9113, 8.2.1). */
static bool is_text_value(struct osr_slice value)
{
    for (size_t i = 0; i < value.size; i++) {
        if (value.data[i] < ' ' || value.data[i] > '~') {
            return false;
        }
    }
    return value.size == 0 || (value.data[0] != ' ' && value.data[value.size - 1] != ' ');
}

bool osr_grpc_metadata_is_valid(const struct osr_grpc_metadata *metadata)
{
    return osr_grpc_metadata_is_custom(metadata->name) && has_name_characters(metadata->name) &&
           (is_binary(metadata->name) || is_text_value(metadata->value));
}

/* ---- the list ---- */

void osr_grpc_metadata_list_done(struct osr_grpc_metadata_list *list)
{
    free(list->items);
    osr_buffer_wipe(&list->bytes); /* tokens are among them */
    *list = (struct osr_grpc_metadata_list){0};
}

void osr_grpc_metadata_list_clear(struct osr_grpc_metadata_list *list)
{
    list->count = 0;
    osr_buffer_clear(&list->bytes);
}

static struct osr_slice moved(struct osr_slice slice, const uint8_t *from, const uint8_t *to)
{
    return osr_slice(to + (slice.data - from), slice.size);
}

/* Room for so many bytes more; the items follow where their bytes move. */
static void reserve_bytes(struct osr_grpc_metadata_list *list, size_t more)
{
    struct osr_buffer *bytes = &list->bytes;
    if (bytes->data != NULL && more <= bytes->capacity - bytes->size) {
        return;
    }
    struct osr_buffer larger = {0};
    osr_buffer_reserve(&larger, bytes->size + more);
    osr_buffer_add(&larger, bytes->data, bytes->size);
    for (size_t i = 0; i < list->count; i++) {
        struct osr_grpc_metadata *item = &list->items[i];
        item->name = moved(item->name, bytes->data, larger.data);
        item->value = moved(item->value, bytes->data, larger.data);
    }
    osr_buffer_done(bytes);
    *bytes = larger;
}

/* Appends to bytes for which there is room already. */
static struct osr_slice keep(struct osr_grpc_metadata_list *list, struct osr_slice bytes)
{
    size_t begin = list->bytes.size;
    osr_buffer_add(&list->bytes, bytes.data, bytes.size);
    return osr_slice(list->bytes.data + begin, bytes.size);
}

static void add_item(struct osr_grpc_metadata_list *list, struct osr_slice name,
                     struct osr_slice value)
{
    enum { CAPACITY_MIN = 8 };
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : CAPACITY_MIN;
        list->items = osr_realloc(list->items, list->capacity * sizeof(list->items[0]));
    }
    list->items[list->count++] = (struct osr_grpc_metadata){name, value};
}

void osr_grpc_metadata_list_add(struct osr_grpc_metadata_list *list, struct osr_slice name,
                                struct osr_slice value)
{
    reserve_bytes(list, name.size + value.size);
    struct osr_slice kept_name = keep(list, name);
    add_item(list, kept_name, keep(list, value));
}

/* The items share the name: else commas would multiply it. */
static bool add_binary_field(struct osr_grpc_metadata_list *list, struct osr_slice name,
                             struct osr_slice value)
{
    reserve_bytes(list, name.size + value.size); /* decoded, it takes less */
    struct osr_slice kept_name = keep(list, name);
    struct osr_slice rest = value;
    bool more = true;
    while (more) {
        struct osr_slice encoded;
        more = osr_text_take_item(&rest, &encoded);
        size_t begin = list->bytes.size;
        if (list->count == OSR_GRPC_METADATA_MAX ||
            !osr_base64_decode_unpadded(&list->bytes, encoded)) {
            return false;
        }
        add_item(list, kept_name, osr_slice(list->bytes.data + begin, list->bytes.size - begin));
    }
    return true;
}

bool osr_grpc_metadata_list_add_field(struct osr_grpc_metadata_list *list, struct osr_slice name,
                                      struct osr_slice value)
{
    if (list->count == OSR_GRPC_METADATA_MAX) {
        return false;
    }
    if (!is_binary(name)) {
        osr_grpc_metadata_list_add(list, name, value);
        return true;
    }
    size_t count = list->count;
    size_t size = list->bytes.size;
    if (!add_binary_field(list, name, value)) {
        list->count = count;
        list->bytes.size = size;
        return false;
    }
    return true;
}

void osr_grpc_metadata_write(struct osr_buffer *buffer, const struct osr_grpc_metadata *metadata)
{
    if (is_binary(metadata->name)) {
        osr_base64_encode_unpadded(buffer, metadata->value);
    } else {
        osr_buffer_add(buffer, metadata->value.data, metadata->value.size);
    }
}

const struct osr_grpc_metadata *osr_grpc_metadata_find(const struct osr_grpc_metadata *items,
                                                       size_t count, const char *name)
{
    struct osr_slice wanted = osr_slice_text(name);
    for (size_t i = 0; i < count; i++) {
        if (osr_slice_equal(items[i].name, wanted)) {
            return &items[i];
        }
    }
    return NULL;
}
