#include "node/event_message.h"

#include "base/sha256.h"
#include "base/text.h"

static const char stream[] = "kb";

static bool is_plain(uint8_t byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '-' || byte == '_' || byte == '~';
}

/* False where it does not fit. */
static bool escape(struct osr_slice name, char *text, size_t room)
{
    static const char digits[] = "0123456789ABCDEF";
    for (size_t i = 0; i < name.size; i++) {
        uint8_t byte = name.data[i];
        size_t size = is_plain(byte) ? 1 : 3;
        if (size >= room) {
            return false;
        }
        if (size == 1) {
            *text = (char)byte;
        } else {
            text[0] = '%';
            text[1] = digits[byte >> 4];
            text[2] = digits[byte & 15];
        }
        text += size;
        room -= size;
    }
    *text = '\0';
    return true;
}

void osr_event_topic(const char *collection, struct osr_event_topic *ret_topic)
{
    struct osr_slice name = osr_slice_text(collection);
    char *text = ret_topic->text;
    memcpy(text, stream, sizeof(stream));
    if (name.size == 0) {
        return;
    }
    text += sizeof(stream) - 1;
    *text++ = '/';
    if (!escape(name, text, sizeof(ret_topic->text) - sizeof(stream))) {
        struct osr_hash hash = osr_sha256(&name, 1);
        *text++ = '!'; /* which no escaped name has */
        osr_hex_encode(text, osr_slice(hash.bytes, sizeof(hash.bytes)));
    }
}

void osr_event_message(enum osr_codec codec, const struct osr_query_reply *change,
                       struct osr_buffer *body)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__WatchResponse message = OSR__WATCH_RESPONSE__INIT;
    message.position = change->position;
    message.origin = (char *)change->feed->origin;
    message.epoch = change->feed->epoch;
    message.sequence = change->sequence;
    message.operation = change->operation;
    message.document = change->document;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_KB_CHANGE, &message.base);
    osr_frame_encode(codec, &frame, body);
}

const char *osr_event_content_type(enum osr_codec codec)
{
    static const char *const types[] = {[OSR_CODEC_JSON] = "application/json",
                                        [OSR_CODEC_PROTOBUF] = "application/x-protobuf",
                                        [OSR_CODEC_YAML] = "application/yaml"};
    return types[codec];
}
