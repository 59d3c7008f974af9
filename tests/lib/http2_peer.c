#include "lib/http2_peer.h"

#include <assert.h>
#include <nghttp2/nghttp2.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct http2_peer http2_peer_create(bool is_server)
{
    struct osr_grpc_options options = {.is_server = is_server};
    struct http2_peer peer = {
        .side = grpc_side_create(&options),
        .now_ms = GRPC_SIDE_NOW_MS,
    };
    if (is_server) {
        peer.side->service.on_message = grpc_echo;
        peer.side->service.on_half_close = grpc_finish_ok;
    }
    return peer;
}

void http2_peer_destroy(struct http2_peer *peer)
{
    grpc_side_destroy(peer->side);
    osr_buffer_done(&peer->frames);
    osr_buffer_done(&peer->got);
}

void http2_peer_greet(struct http2_peer *peer)
{
    http2_peer_give(peer);
    bool is_client = peer->got.data[0] == 'P';
    if (is_client) {
        enum { MAGIC_BYTES = 24 };
        osr_buffer_consume(&peer->got, MAGIC_BYTES);
    } else {
        http2_add_magic(&peer->frames);
    }
    http2_add_frame(&peer->frames, HTTP2_SETTINGS, 0, 0, osr_slice(NULL, 0));
    http2_add_frame(&peer->frames, HTTP2_SETTINGS, HTTP2_ACK, 0, osr_slice(NULL, 0));
    http2_peer_give(peer);
}

struct http2_peer http2_peer_greeted(void)
{
    struct http2_peer peer = http2_peer_create(true);
    http2_peer_greet(&peer);
    return peer;
}

int http2_peer_set_up(void **state)
{
    struct http2_peer *peer = osr_alloc(sizeof(*peer));
    *peer = http2_peer_greeted();
    *state = peer;
    return 0;
}

int http2_peer_tear_down(void **state)
{
    struct http2_peer *peer = *state;
    http2_peer_destroy(peer);
    free(peer);
    return 0;
}

void http2_peer_give(struct http2_peer *peer)
{
    struct osr_grpc *grpc = peer->side->grpc;
    if (peer->frames.size > 0 &&
        osr_grpc_receive(grpc, osr_buffer_slice(&peer->frames), peer->now_ms, NULL) != 0) {
        peer->side->has_failed = true;
    }
    peer->frames.size = 0;
    while (osr_grpc_produce(grpc, &peer->got, 1 << 20)) {
    }
}

bool http2_peer_find(const struct http2_peer *peer, enum http2_type type, uint32_t stream_id,
                     struct http2_frame *ret_frame)
{
    struct osr_slice bytes = osr_buffer_slice(&peer->got);
    struct http2_frame frame;
    bool is_found = false;
    while (http2_next_frame(&bytes, &frame)) {
        if (frame.type == type && frame.stream_id == stream_id) {
            *ret_frame = frame;
            is_found = true;
        }
    }
    assert(bytes.size == 0); /* what comes is whole frames */
    return is_found;
}

size_t http2_peer_count(const struct http2_peer *peer, enum http2_type type)
{
    struct osr_slice bytes = osr_buffer_slice(&peer->got);
    struct http2_frame frame;
    size_t count = 0;
    while (http2_next_frame(&bytes, &frame)) {
        count += frame.type == type;
    }
    return count;
}

int64_t http2_peer_goaway(const struct http2_peer *peer)
{
    struct http2_frame frame;
    return http2_peer_find(peer, HTTP2_GOAWAY, 0, &frame)
               ? (int64_t)osr_get_u32(frame.payload.data + 4)
               : HTTP2_NO_ERROR_SEEN;
}

int64_t http2_peer_reset(const struct http2_peer *peer, uint32_t stream_id)
{
    struct http2_frame frame;
    return http2_peer_find(peer, HTTP2_RST_STREAM, stream_id, &frame)
               ? (int64_t)osr_get_u32(frame.payload.data)
               : HTTP2_NO_ERROR_SEEN;
}

bool http2_peer_goaway_says(const struct http2_peer *peer, const char *words)
{
    enum { WORDS_OFFSET = 8 };
    struct http2_frame frame;
    return http2_peer_find(peer, HTTP2_GOAWAY, 0, &frame) &&
           frame.payload.size >= WORDS_OFFSET + strlen(words) &&
           memcmp(frame.payload.data + WORDS_OFFSET, words, strlen(words)) == 0;
}

static void inflate(nghttp2_hd_inflater *inflater, struct osr_slice block, struct osr_buffer *text,
                    bool is_wanted)
{
    int flags = 0;
    while ((flags & NGHTTP2_HD_INFLATE_FINAL) == 0) {
        nghttp2_nv field;
        ssize_t used = nghttp2_hd_inflate_hd2(inflater, &field, &flags, block.data, block.size, 1);
        assert(used >= 0);
        block = osr_slice(block.data + used, block.size - (size_t)used);
        if (is_wanted && (flags & NGHTTP2_HD_INFLATE_EMIT) != 0) {
            osr_buffer_add_format(text, "%.*s: %.*s\n", (int)field.namelen, field.name,
                                  (int)field.valuelen, field.value);
        }
    }
    nghttp2_hd_inflate_end_headers(inflater);
}

const char *http2_peer_fields(const struct http2_peer *peer, uint32_t stream_id,
                              struct osr_buffer *text)
{
    nghttp2_hd_inflater *inflater = NULL;
    int result = nghttp2_hd_inflate_new(&inflater);
    assert(result == 0);
    struct osr_slice bytes = osr_buffer_slice(&peer->got);
    struct http2_frame frame;
    text->size = 0;
    while (http2_next_frame(&bytes, &frame)) {
        if (frame.type == HTTP2_HEADERS) {
            inflate(inflater, frame.payload, text, frame.stream_id == stream_id);
        }
    }
    nghttp2_hd_inflate_del(inflater);
    osr_buffer_add_u8(text, 0);
    return (const char *)text->data;
}

void assert_serves(struct http2_peer *peer)
{
    struct osr_buffer text = {0};
    http2_add_headers(&peer->frames, 0, 5, http2_grpc_request);
    http2_add_message(&peer->frames, HTTP2_END_STREAM, 5, "hello");
    http2_peer_give(peer);
    assert_int_equal(http2_peer_goaway(peer), HTTP2_NO_ERROR_SEEN);
    assert_non_null(strstr(http2_peer_fields(peer, 5, &text), "grpc-status: 0\n"));
    osr_buffer_done(&text);
}
