/* Protobuf by protobuf-c, behind the pre-scan, into an arena. */
#include "wire/encoding.h"

#include "model/limits.h"

void osr_protobuf_encode(const ProtobufCMessage *message, struct osr_buffer *buffer)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    protobuf_c_message_pack(message, osr_buffer_reserve(buffer, size));
    buffer->size += size;
}

static void *take(void *arena, size_t size)
{
    return osr_arena_take(arena, size);
}

static void keep(void *arena, void *piece)
{
    (void)arena;
    (void)piece; /* all goes with the arena */
}

static void forget_unknown_fields(ProtobufCMessage *message);

static void forget_unknown_fields_below(const ProtobufCMessage *message,
                                        const ProtobufCFieldDescriptor *field)
{
    void *at = osr_field_at(message, field);
    if (osr_field_is_repeated(field)) {
        ProtobufCMessage **elements = *(ProtobufCMessage ***)at;
        for (size_t i = 0; i < *osr_field_count(message, field); i++) {
            forget_unknown_fields(elements[i]);
        }
    } else if (!osr_field_is_in_oneof(field) || *osr_field_case(message, field) == field->id) {
        forget_unknown_fields(*(ProtobufCMessage **)at);
    }
}

/* Else protobuf-c would encode them again: what was ignored would travel on. */
static void forget_unknown_fields(ProtobufCMessage *message)
{
    if (message == NULL) {
        return;
    }
    message->n_unknown_fields = 0;
    message->unknown_fields = NULL;
    for (size_t i = 0; i < message->descriptor->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->descriptor->fields[i];
        if (field->type == PROTOBUF_C_TYPE_MESSAGE) {
            forget_unknown_fields_below(message, field);
        }
    }
}

int osr_protobuf_decode(const ProtobufCMessageDescriptor *descriptor, struct osr_slice bytes,
                        struct osr_arena *arena, ProtobufCMessage **ret_message,
                        struct osr_err *err)
{
    size_t left = osr_arena_left(arena);
    size_t bytes_max = left < OSR_DECODE_BYTES_MAX ? left : OSR_DECODE_BYTES_MAX;
    bool has_unknown = false;
    int code = osr_protobuf_prescan(descriptor, bytes, bytes_max, &has_unknown, err);
    if (code != 0) {
        return code;
    }
    ProtobufCAllocator allocator = {.alloc = take, .free = keep, .allocator_data = arena};
    ProtobufCMessage *message =
        protobuf_c_message_unpack(descriptor, &allocator, bytes.size, bytes.data);
    if (message == NULL) {
        return osr_err_set(err, OSR_MALFORMED, "%s: not protobuf", descriptor->name);
    }
    if (has_unknown) {
        forget_unknown_fields(message);
    }
    *ret_message = message;
    return 0;
}
