/* http2_frames.h -- HTTP/2 frames by hand, right ones and wrong ones, and a look at those that
 * come back. Header fields are written as plain HPACK literals, so that a test shows each byte
 * that it sends. */
#ifndef OSR_TESTS_HTTP2_FRAMES_H
#define OSR_TESTS_HTTP2_FRAMES_H

#include "base/bytes.h"

enum { HTTP2_FRAME_HEADER_BYTES = 9 };

/* As the RFC numbers them (6., 7.). */
enum http2_type {
    HTTP2_DATA,
    HTTP2_HEADERS,
    HTTP2_PRIORITY,
    HTTP2_RST_STREAM,
    HTTP2_SETTINGS,
    HTTP2_PUSH_PROMISE,
    HTTP2_PING,
    HTTP2_GOAWAY,
    HTTP2_WINDOW_UPDATE,
    HTTP2_CONTINUATION,
};

enum http2_flag {
    HTTP2_ACK = 0x1,
    HTTP2_END_STREAM = 0x1,
    HTTP2_END_HEADERS = 0x4,
    HTTP2_PADDED = 0x8,
    HTTP2_FLAG_PRIORITY = 0x20,
};

/* In GOAWAY and RST_STREAM (7.). */
enum http2_error {
    HTTP2_NO_ERROR = 0x0,
    HTTP2_PROTOCOL_ERROR = 0x1,
    HTTP2_FLOW_CONTROL_ERROR = 0x3,
    HTTP2_STREAM_CLOSED = 0x5,
    HTTP2_FRAME_SIZE_ERROR = 0x6,
    HTTP2_REFUSED_STREAM = 0x7,
    HTTP2_CANCEL = 0x8,
    HTTP2_COMPRESSION_ERROR = 0x9,
    HTTP2_ENHANCE_YOUR_CALM = 0xb,
    HTTP2_INADEQUATE_SECURITY = 0xc,
};

/* ---- building: all append ---- */

void http2_add_magic(struct osr_buffer *buffer);
void http2_add_frame(struct osr_buffer *buffer, enum http2_type type, unsigned flags,
                     uint32_t stream_id, struct osr_slice payload);
/* A frame's header alone, whatever follows. */
void http2_add_frame_header(struct osr_buffer *buffer, size_t length, unsigned type, unsigned flags,
                            uint32_t stream_id);
/* RST_STREAM and WINDOW_UPDATE: a payload of four bytes. */
void http2_add_u32_frame(struct osr_buffer *buffer, enum http2_type type, uint32_t stream_id,
                         uint32_t value);
void http2_add_setting(struct osr_buffer *buffer, uint16_t id, uint32_t value); /* a frame of one */
void http2_add_ping(struct osr_buffer *buffer, unsigned flags);
void http2_add_goaway(struct osr_buffer *buffer, uint32_t last_stream_id, uint32_t error);
/* fields: name, value, name, value, ..., NULL */
void http2_add_headers(struct osr_buffer *buffer, unsigned flags, uint32_t stream_id,
                       const char *const *fields);
/* A header block alone: what stands in HEADERS and CONTINUATION. */
void http2_add_field(struct osr_buffer *block, const char *name, struct osr_slice value);
void http2_add_fields(struct osr_buffer *block, const char *const *fields);
/* What every gRPC client sends, for POST /test.Echo/Call. */
extern const char *const http2_grpc_request[];
extern const char *const http2_grpc_response[];
/* DATA with one gRPC message of this text, uncompressed. */
void http2_add_message(struct osr_buffer *buffer, unsigned flags, uint32_t stream_id,
                       const char *text);

/* ---- looking ---- */

struct http2_frame {
    enum http2_type type;
    unsigned flags;
    uint32_t stream_id;
    struct osr_slice payload;
};

/* Takes the next whole frame off *bytes; false where there is none. */
bool http2_next_frame(struct osr_slice *bytes, struct http2_frame *ret_frame);

#endif
