#include "lib/http2_frames.h"

const char *const http2_grpc_request[] = {
    ":method",    "POST", ":scheme", "http",     ":path",        "/test.Echo/Call",
    ":authority", "test", "te",      "trailers", "content-type", "application/grpc",
    NULL,
};

const char *const http2_grpc_response[] = {
    ":status", "200", "content-type", "application/grpc", NULL,
};

void http2_add_magic(struct osr_buffer *buffer)
{
    osr_buffer_add_text(buffer, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
}

void http2_add_frame_header(struct osr_buffer *buffer, size_t length, unsigned type, unsigned flags,
                            uint32_t stream_id)
{
    osr_buffer_add_u8(buffer, (uint8_t)(length >> 16));
    osr_buffer_add_u8(buffer, (uint8_t)(length >> 8));
    osr_buffer_add_u8(buffer, (uint8_t)length);
    osr_buffer_add_u8(buffer, (uint8_t)type);
    osr_buffer_add_u8(buffer, (uint8_t)flags);
    osr_buffer_add_u32(buffer, stream_id);
}

void http2_add_frame(struct osr_buffer *buffer, enum http2_type type, unsigned flags,
                     uint32_t stream_id, struct osr_slice payload)
{
    http2_add_frame_header(buffer, payload.size, type, flags, stream_id);
    osr_buffer_add(buffer, payload.data, payload.size);
}

void http2_add_u32_frame(struct osr_buffer *buffer, enum http2_type type, uint32_t stream_id,
                         uint32_t value)
{
    http2_add_frame_header(buffer, sizeof(value), type, 0, stream_id);
    osr_buffer_add_u32(buffer, value);
}

void http2_add_setting(struct osr_buffer *buffer, uint16_t id, uint32_t value)
{
    http2_add_frame_header(buffer, sizeof(id) + sizeof(value), HTTP2_SETTINGS, 0, 0);
    osr_buffer_add_u8(buffer, (uint8_t)(id >> 8));
    osr_buffer_add_u8(buffer, (uint8_t)id);
    osr_buffer_add_u32(buffer, value);
}

void http2_add_ping(struct osr_buffer *buffer, unsigned flags)
{
    http2_add_frame(buffer, HTTP2_PING, flags, 0, osr_slice("12345678", 8));
}

void http2_add_goaway(struct osr_buffer *buffer, uint32_t last_stream_id, uint32_t error)
{
    http2_add_frame_header(buffer, 8, HTTP2_GOAWAY, 0, 0);
    osr_buffer_add_u32(buffer, last_stream_id);
    osr_buffer_add_u32(buffer, error);
}

/* A length in HPACK: seven bits, then seven at a time (RFC 7541, 5.1). */
static void add_hpack_length(struct osr_buffer *block, size_t length)
{
    enum { PREFIX_MAX = 127 };
    if (length < PREFIX_MAX) {
        osr_buffer_add_u8(block, (uint8_t)length);
        return;
    }
    osr_buffer_add_u8(block, PREFIX_MAX);
    for (length -= PREFIX_MAX; length >= 128; length /= 128) {
        osr_buffer_add_u8(block, (uint8_t)(length % 128 + 128));
    }
    osr_buffer_add_u8(block, (uint8_t)length);
}

void http2_add_field(struct osr_buffer *block, const char *name, struct osr_slice value)
{
    osr_buffer_add_u8(block, 0); /* literal, not indexed, new name */
    add_hpack_length(block, strlen(name));
    osr_buffer_add_text(block, name);
    add_hpack_length(block, value.size);
    osr_buffer_add(block, value.data, value.size);
}

void http2_add_fields(struct osr_buffer *block, const char *const *fields)
{
    for (; *fields != NULL; fields += 2) {
        http2_add_field(block, fields[0], osr_slice_text(fields[1]));
    }
}

void http2_add_headers(struct osr_buffer *buffer, unsigned flags, uint32_t stream_id,
                       const char *const *fields)
{
    struct osr_buffer block = {0};
    http2_add_fields(&block, fields);
    http2_add_frame(buffer, HTTP2_HEADERS, flags | HTTP2_END_HEADERS, stream_id,
                    osr_buffer_slice(&block));
    osr_buffer_done(&block);
}

void http2_add_message(struct osr_buffer *buffer, unsigned flags, uint32_t stream_id,
                       const char *text)
{
    struct osr_buffer payload = {0};
    osr_buffer_add_u8(&payload, 0);
    osr_buffer_add_u32(&payload, (uint32_t)strlen(text));
    osr_buffer_add_text(&payload, text);
    http2_add_frame(buffer, HTTP2_DATA, flags, stream_id, osr_buffer_slice(&payload));
    osr_buffer_done(&payload);
}

bool http2_next_frame(struct osr_slice *bytes, struct http2_frame *ret_frame)
{
    if (bytes->size < HTTP2_FRAME_HEADER_BYTES) {
        return false;
    }
    const uint8_t *data = bytes->data;
    size_t length = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
    size_t whole = HTTP2_FRAME_HEADER_BYTES + length;
    if (bytes->size < whole) {
        return false;
    }
    *ret_frame = (struct http2_frame){
        .type = data[3],
        .flags = data[4],
        .stream_id = osr_get_u32(data + 5) & 0x7fffffff,
        .payload = osr_slice(data + HTTP2_FRAME_HEADER_BYTES, length),
    };
    *bytes = osr_slice(data + whole, bytes->size - whole);
    return true;
}
