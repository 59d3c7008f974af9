#include "node/seed_message.h"

#include "base/json_scan.h"

bool osr_seed_message(struct osr_buffer *buffer, struct osr_slice data)
{
    size_t before = buffer->size;

    if (data.size > OSR_SEED_MESSAGE_BYTES_MAX) {
        return false;
    }
    osr_buffer_add_text(buffer, "{\"type\":\"UPDATE_KB\",\"data\":");
    osr_json_to_ascii(buffer, data);
    osr_buffer_add_text(buffer, "}");
    if (buffer->size - before > OSR_SEED_MESSAGE_BYTES_MAX) {
        buffer->size = before;
        return false;
    }
    return true;
}
