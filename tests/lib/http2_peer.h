/* http2_peer.h -- the other end of a gRPC connection, played frame by frame: a test builds what a
 * peer sends, rightly or wrongly, and looks at what comes back. */
#ifndef OSR_TESTS_HTTP2_PEER_H
#define OSR_TESTS_HTTP2_PEER_H

#include "lib/grpc_side.h"
#include "lib/http2_frames.h"

enum { HTTP2_NO_ERROR_SEEN = -1 };

struct http2_peer {
    struct grpc_side *side;   /* under test */
    struct osr_buffer frames; /* built, and given with the next http2_peer_give */
    struct osr_buffer got;    /* all that came back */
    uint64_t now_ms;
};

/* A server that echoes, or a client; no preface is exchanged yet. */
struct http2_peer http2_peer_create(bool is_server);
void http2_peer_destroy(struct http2_peer *peer);
/* Preface and SETTINGS are exchanged, and both acknowledged. */
void http2_peer_greet(struct http2_peer *peer);
/* A server that has been greeted; for cmocka too. */
struct http2_peer http2_peer_greeted(void);
int http2_peer_set_up(void **state);
int http2_peer_tear_down(void **state);
/* Gives the frames, and takes what comes back. */
void http2_peer_give(struct http2_peer *peer);
/* The last such frame that came; stream 0 is the connection. */
bool http2_peer_find(const struct http2_peer *peer, enum http2_type type, uint32_t stream_id,
                     struct http2_frame *ret_frame);
size_t http2_peer_count(const struct http2_peer *peer, enum http2_type type);
/* HTTP/2's error in GOAWAY, or in the stream's RST_STREAM; HTTP2_NO_ERROR_SEEN: there is none. */
int64_t http2_peer_goaway(const struct http2_peer *peer);
int64_t http2_peer_reset(const struct http2_peer *peer, uint32_t stream_id);
/* GOAWAY's debug data begins with it. */
bool http2_peer_goaway_says(const struct http2_peer *peer, const char *words);
/* "name: value\n" of all HEADERS that came on the stream; lives in `text`. */
const char *http2_peer_fields(const struct http2_peer *peer, uint32_t stream_id,
                              struct osr_buffer *text);
/* The connection serves: a call on stream 5 is answered. */
void assert_serves(struct http2_peer *peer);

#endif
