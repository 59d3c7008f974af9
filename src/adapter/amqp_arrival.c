#include "adapter/amqp_arrival.h"

#include <stdio.h>

#include "adapter/amqp_topology.h"

static struct osr_amqp_arrival arrived(enum osr_amqp_arrival_kind kind)
{
    return (struct osr_amqp_arrival){.kind = kind};
}

static struct osr_amqp_arrival arrived_confirm(enum osr_amqp_arrival_kind kind, uint64_t tag,
                                               bool is_multiple)
{
    return (struct osr_amqp_arrival){.kind = kind, .tag = tag, .is_multiple = is_multiple};
}

/* NULL where it is too long for `text`, or is no text. */
static const char *copy_text(char text[OSR_BUS_ADDRESS_BYTES_MAX + 1], amqp_bytes_t bytes)
{
    if (bytes.len > OSR_BUS_ADDRESS_BYTES_MAX ||
        (bytes.len > 0 && memchr(bytes.bytes, '\0', bytes.len) != NULL)) {
        return NULL;
    }
    if (bytes.len > 0) {
        memcpy(text, bytes.bytes, bytes.len);
    }
    text[bytes.len] = '\0';
    return text;
}

static const char *copy_property(char text[OSR_BUS_ADDRESS_BYTES_MAX + 1],
                                 const amqp_basic_properties_t *properties, amqp_flags_t flag,
                                 amqp_bytes_t bytes)
{
    return (properties->_flags & flag) != 0 ? copy_text(text, bytes) : NULL;
}

/* The body's data is NULL: only the room for it is made. */
static struct osr_amqp_mail *begin_mail(const amqp_basic_properties_t *properties,
                                        enum osr_bus_role role, size_t body_size)
{
    char reply_to[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    char content_type[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    char sender[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    bool has_correlation = (properties->_flags & AMQP_BASIC_CORRELATION_ID_FLAG) != 0;
    struct osr_bus_message message = {
        .address = "",
        .body = {NULL, body_size},
        .reply_to =
            copy_property(reply_to, properties, AMQP_BASIC_REPLY_TO_FLAG, properties->reply_to),
        .content_type = copy_property(content_type, properties, AMQP_BASIC_CONTENT_TYPE_FLAG,
                                      properties->content_type),
        .sender = copy_property(sender, properties, AMQP_BASIC_USER_ID_FLAG, properties->user_id),
    };
    if (has_correlation) {
        message.correlation =
            osr_slice(properties->correlation_id.bytes, properties->correlation_id.len);
    }
    if (role == OSR_BUS_LISTENER) {
        message.address = message.reply_to;
    }
    return osr_amqp_mail_create_message(OSR_AMQP_MESSAGE, &message);
}

static bool is_answerable(const amqp_basic_properties_t *properties)
{
    size_t size = strlen(OSR_AMQP_SERVER_NAMED);
    char text[OSR_BUS_ADDRESS_BYTES_MAX + 1];
    const char *reply_to =
        copy_property(text, properties, AMQP_BASIC_REPLY_TO_FLAG, properties->reply_to);
    return reply_to != NULL && strncmp(reply_to, OSR_AMQP_SERVER_NAMED, size) == 0;
}

/* All of a message is there. */
static struct osr_amqp_arrival finish(struct osr_amqp_assembly *assembly)
{
    struct osr_amqp_arrival arrival = {.tag = assembly->tag, .text = assembly->text};
    if (assembly->content == OSR_AMQP_RETURNED) {
        arrival.kind = OSR_AMQP_ARRIVED_RETURN;
    } else if (assembly->mail == NULL) {
        arrival.kind = OSR_AMQP_ARRIVED_REFUSED;
    } else {
        arrival.kind = OSR_AMQP_ARRIVED_MESSAGE;
        arrival.mail = assembly->mail;
        arrival.mail->number = assembly->tag;
    }
    assembly->mail = NULL;
    assembly->content = OSR_AMQP_NO_CONTENT;
    return arrival;
}

static struct osr_amqp_arrival take_header(struct osr_amqp_assembly *assembly,
                                           enum osr_bus_role role, const amqp_frame_t *frame)
{
    const amqp_basic_properties_t *properties = frame->payload.properties.decoded;
    uint64_t body_size = frame->payload.properties.body_size;

    if (assembly->content == OSR_AMQP_NO_CONTENT || assembly->has_header ||
        frame->payload.properties.class_id != AMQP_BASIC_CLASS) {
        return arrived(OSR_AMQP_ARRIVED_GARBAGE);
    }
    assembly->has_header = true;
    assembly->body_left = body_size;
    if (assembly->content == OSR_AMQP_DELIVERY) {
        if (body_size > OSR_BUS_MESSAGE_BYTES_MAX) {
            snprintf(assembly->text, sizeof(assembly->text), "%llu bytes are too many",
                     (unsigned long long)body_size);
        } else if (role == OSR_BUS_LISTENER && !is_answerable(properties)) {
            snprintf(assembly->text, sizeof(assembly->text), "it cannot be answered");
        } else {
            assembly->mail = begin_mail(properties, role, (size_t)body_size);
        }
    }
    return body_size == 0 ? finish(assembly) : arrived(OSR_AMQP_ARRIVED_NOTHING);
}

static struct osr_amqp_arrival take_piece(struct osr_amqp_assembly *assembly, amqp_bytes_t piece)
{
    if (assembly->content == OSR_AMQP_NO_CONTENT || !assembly->has_header ||
        piece.len > assembly->body_left) {
        return arrived(OSR_AMQP_ARRIVED_GARBAGE);
    }
    if (assembly->mail != NULL && piece.len > 0) {
        size_t at = assembly->mail->message.body.size - (size_t)assembly->body_left;
        memcpy(assembly->mail->body + at, piece.bytes, piece.len);
    }
    assembly->body_left -= piece.len;
    return assembly->body_left == 0 ? finish(assembly) : arrived(OSR_AMQP_ARRIVED_NOTHING);
}

static struct osr_amqp_arrival begin_delivery(struct osr_amqp_assembly *assembly,
                                              const amqp_basic_deliver_t *deliver)
{
    assembly->content = OSR_AMQP_DELIVERY;
    assembly->has_header = false;
    assembly->tag = deliver->delivery_tag;
    return arrived(OSR_AMQP_ARRIVED_NOTHING);
}

static struct osr_amqp_arrival begin_return(struct osr_amqp_assembly *assembly,
                                            const amqp_basic_return_t *returned)
{
    assembly->content = OSR_AMQP_RETURNED;
    assembly->has_header = false;
    if (copy_text(assembly->text, returned->routing_key) == NULL) {
        return arrived(OSR_AMQP_ARRIVED_GARBAGE);
    }
    return arrived(OSR_AMQP_ARRIVED_NOTHING);
}

static struct osr_amqp_arrival begin_block(struct osr_amqp_assembly *assembly,
                                           const amqp_connection_blocked_t *blocked)
{
    const char *reason = copy_text(assembly->reason, blocked->reason);
    return (struct osr_amqp_arrival){.kind = OSR_AMQP_ARRIVED_BLOCKED,
                                     .text = reason != NULL ? reason : ""};
}

static struct osr_amqp_arrival take_method(struct osr_amqp_assembly *assembly,
                                           const amqp_method_t *method)
{
    switch (method->id) {
    case AMQP_BASIC_DELIVER_METHOD:
        return begin_delivery(assembly, method->decoded);
    case AMQP_BASIC_RETURN_METHOD:
        return begin_return(assembly, method->decoded);
    case AMQP_BASIC_ACK_METHOD: {
        const amqp_basic_ack_t *ack = method->decoded;
        return arrived_confirm(OSR_AMQP_ARRIVED_CONFIRM, ack->delivery_tag, ack->multiple != 0);
    }
    case AMQP_BASIC_NACK_METHOD: {
        const amqp_basic_nack_t *nack = method->decoded;
        return arrived_confirm(OSR_AMQP_ARRIVED_NACK, nack->delivery_tag, nack->multiple != 0);
    }
    case AMQP_BASIC_CANCEL_METHOD:
        return arrived(OSR_AMQP_ARRIVED_CANCEL);
    case AMQP_CONNECTION_BLOCKED_METHOD:
        return begin_block(assembly, method->decoded);
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
        return arrived(OSR_AMQP_ARRIVED_UNBLOCKED);
    case AMQP_CHANNEL_CLOSE_METHOD:
    case AMQP_CONNECTION_CLOSE_METHOD:
        return arrived(OSR_AMQP_ARRIVED_CLOSE);
    default:
        return arrived(OSR_AMQP_ARRIVED_GARBAGE);
    }
}

struct osr_amqp_arrival osr_amqp_assembly_take(struct osr_amqp_assembly *assembly,
                                               enum osr_bus_role role, const amqp_frame_t *frame)
{
    switch (frame->frame_type) {
    case AMQP_FRAME_METHOD: {
        bool is_amid_content = assembly->content != OSR_AMQP_NO_CONTENT &&
                               frame->channel == OSR_AMQP_CHANNEL &&
                               frame->payload.method.id != AMQP_CHANNEL_CLOSE_METHOD;
        return is_amid_content ? arrived(OSR_AMQP_ARRIVED_GARBAGE)
                               : take_method(assembly, &frame->payload.method);
    }
    case AMQP_FRAME_HEADER:
        return take_header(assembly, role, frame);
    case AMQP_FRAME_BODY:
        return take_piece(assembly, frame->payload.body_fragment);
    default:
        return arrived(OSR_AMQP_ARRIVED_NOTHING);
    }
}

void osr_amqp_assembly_done(struct osr_amqp_assembly *assembly)
{
    osr_amqp_mail_destroy(assembly->mail);
    assembly->mail = NULL;
}
