/* session.h -- connections as the rest of the node sees them: frames in, frames out, who is at the
 * other end, and limits on everything that end can drive.
 *
 * Happy path: accepted (or dialled and open) -> bytes -> wire/stream.h -> frame. The first frame
 * of an accepted connection decides what it is: HELLO a link between instances, a bare
 * UPDATE_KB on a listener with ?peer=seed a seed program, anything else a client. What is
 * sent is collected and written once a turn of the loop.
 *
 * Who it is (node/access.h) is looked up when the first bytes come: a TLS handshake is done then. A
 * link has to be let in by its connection's identity, and again as the instance that it turns out
 * to be; a call of gRPC with a token of its own is whose the token says.
 *
 * Requests that came as messages are clients, too: they have no links and no gRPC, and count not
 * among the connections, because the adapter limits them. Without a request_id an UPDATE_KB is a
 * request like others there.
 *
 * Back-pressure: a client with many requests under way, with much unread, or while the
 * instance is behind, is not read any further. A link is held back only while the
 * knowledge base is behind: two sides that wait for each other to read would wait for ever. One for
 * the ledger never is, nor is who begins one: what is agreed on waits for no feed.
 *
 * Memory: what is read lies in one room for all connections; a session holds memory only for the
 * beginning of a frame, or while it is held back.
 *
 * Failures: bytes that make no frame are answered with an ERROR that says why, and the
 * connection is closed.
 *
 * Threads: the loop's only. No handler is called from within a function of this header,
 * except by osr_sessions_resume. */
#ifndef OSR_NODE_SESSION_H
#define OSR_NODE_SESSION_H

#include "adapter/transport.h"
#include "base/trace.h"
#include "node/access.h"
#include "wire/codec.h"

enum {
    /* Between two lines of the log on handshakes that were refused: stops a flood of them from
     * filling the disk. */
    OSR_GATE_TELL_MS = 10 * 1000,
    /* Until the first frame: stops silent connections from using up the table. This time and the
     * next run only while the session is read. */
    OSR_FIRST_FRAME_MS = 10 * 1000,
    /* For the rest of a frame once it has begun: stops a frame that comes byte by byte. */
    OSR_FRAME_REST_MS = 30 * 1000,
    /* Without a byte taken by the other end: stops one that reads nothing. */
    OSR_WRITE_STALL_MS = 30 * 1000,
    /* Queued to one client: past it its queries pause and its requests wait. */
    OSR_CLIENT_OUTPUT_BYTES = 1 << 20,
    /* Queued to one link, beyond what the core's windows allow: stops a flood of PINGs from a
     * peer that reads nothing. */
    OSR_LINK_OUTPUT_BYTES_MAX = 256 << 20,
    /* Queued to all clients: past it the one with the most goes. Queries keep below it by
     * themselves (node/reply_memory.h); stops other replies from being asked for without end. */
    OSR_OUTPUT_BYTES_MAX = 48 << 20,
    /* Requests of one client under way: the next ones wait unread. */
    OSR_SESSION_REQUESTS_MAX = 4096,
    /* Of these, queries that end by themselves: stops one that asks for many large documents at
     * once, whose answers cannot pause each other. */
    OSR_SESSION_QUERIES_MAX = 64,
    /* Bytes of all clients' requests under way: stops many large writes from piling up. */
    OSR_REQUEST_BYTES_MAX = 64 << 20,
    /* What clients that speak gRPC may make their connections hold together: calls, and messages
     * that are incomplete or wait to be handled (struct osr_grpc_budget). */
    OSR_RPC_BYTES_MAX = 48 << 20,
    /* Memory for frames of all connections that are incomplete or wait to be handled: past it who
     * has most of it goes with BUSY. */
    OSR_INPUT_BYTES_MAX = 48 << 20,
};

struct osr_gate;
struct osr_session;
struct osr_sessions; /* all of one instance */
struct osr_reply_memory;
struct osr_reply_reader;
struct osr_call;

struct osr_session_handler {
    /* A link is up; the core may speak. */
    void (*on_link)(void *context, struct osr_session *session);
    /* Replication messages of a link, HELLO to ERROR, and RENEW_REPLY; once it has shown which
     * instance it is, also what members of the ledger say, MEMBER to LEDGER_ANSWER, whatever the
     * link is for. Frames live until the return. */
    void (*on_link_frame)(void *context, struct osr_session *session, const Osr__Frame *frame);
    /* Everything else, of a link RENEW alone; `size` is what it took on the wire. Access is not yet
     * checked; the identity lives until the return. */
    void (*on_request)(void *context, struct osr_session *session, struct osr_identity *identity,
                       Osr__Frame *frame, size_t size);
    /* An UPDATE_KB of a seed program. */
    void (*on_append)(void *context, struct osr_session *session, const Osr__UpdateKb *update);
    /* The other end will ask nothing more; it may still read. */
    void (*on_end)(void *context, struct osr_session *session);
    /* There is room again for what queries have to say: all of them, or one request's. */
    void (*on_drain)(void *context, struct osr_session *session);
    void (*on_room)(void *context, struct osr_session *session, uint64_t request_id);
    /* Nobody waits for a request's replies any more; true: none will come. */
    bool (*on_cancelled)(void *context, struct osr_session *session, uint64_t request_id);
    /* The connection is gone (or was never made); the session too after the return. */
    void (*on_closed)(void *context, struct osr_session *session, const struct osr_err *err);
    void *context;
};

/* The access outlives them. */
int osr_sessions_create(uv_loop_t *loop, const struct osr_session_handler *handler,
                        struct osr_access *access, uint32_t connections_max,
                        const struct osr_trace *trace, struct osr_sessions **ret_sessions,
                        struct osr_err *err);
/* Lets everybody go; run the loop until osr_sessions_count is 0. */
void osr_sessions_shut(struct osr_sessions *sessions);
size_t osr_sessions_count(const struct osr_sessions *sessions);
/* Where what clients have not taken counts; it lives as long as the sessions. */
struct osr_reply_memory *osr_sessions_replies(const struct osr_sessions *sessions);
/* Only when the count is 0. Run the loop once more. NULL is a no-op. */
void osr_sessions_destroy(struct osr_sessions *sessions);

/* Where the sums of refused handshakes are told of, which come seldom; else among all else, where a
 * limit may leave them out. */
void osr_sessions_tell_sums(struct osr_sessions *sessions, const struct osr_trace *trace);
/* For osr_listener_guard; it lives as long as the sessions. */
struct osr_gate *osr_sessions_gate(const struct osr_sessions *sessions);
/* For a listener's on_accept; `methods` are what it takes (listener_methods.h). */
void osr_sessions_accept(struct osr_sessions *sessions, struct osr_connection *connection,
                         bool seeds_allowed, unsigned methods);
/* A link to another instance; `security` as for osr_transport_dial, `user` is given back by
 * osr_session_user. */
int osr_sessions_dial(struct osr_sessions *sessions, const struct osr_url *url,
                      Osr__LinkPurpose purpose, struct osr_tls_context *security,
                      enum osr_codec codec, void *user, struct osr_session **ret_session,
                      struct osr_err *err);
/* After a change of policy, or a revocation: links that may not be any more are refused. */
void osr_sessions_review(struct osr_sessions *sessions);
/* Writes what was collected. At the end of each turn of the loop. */
void osr_sessions_flush(struct osr_sessions *sessions);
/* Goes on with whatever waited and need not any more; clients, or links for feeds, are not read
 * while they are held. At the end of each turn of the loop, before the flush. */
void osr_sessions_resume(struct osr_sessions *sessions, bool hold_clients, bool hold_links);
/* What time-outs are counted by: called by a timer, and by tests that cannot wait. */
void osr_sessions_pass_time(struct osr_sessions *sessions, uint32_t passed_ms);
/* Links, dialled and accepted, in no order; at most OSR_LINKS_MAX. */
size_t osr_sessions_link_count(const struct osr_sessions *sessions);
struct osr_session *osr_sessions_link(const struct osr_sessions *sessions, size_t index);
/* The link with this number; NULL where it is gone. */
struct osr_session *osr_sessions_find_link(const struct osr_sessions *sessions, uint32_t number);

/* Of the newest connection so far: what it tells apart is what was there before a moment, and what
 * has come since. */
uint32_t osr_sessions_last_number(const struct osr_sessions *sessions);

uint32_t osr_session_number(const struct osr_session *session); /* never given twice; the core's
                                                                   number of the peer */
bool osr_session_is_open(const struct osr_session *session);    /* false while it is dialled */
bool osr_session_is_rpc(const struct osr_session *session);     /* a client that speaks gRPC */
/* One message's requests (adapter/message_calls.h): it has ended before the first is answered, and
 * each frame that is sent to it becomes a message, too. */
bool osr_session_is_message(const struct osr_session *session);
/* What the link is for; of other sessions it says nothing. */
Osr__LinkPurpose osr_session_purpose(const struct osr_session *session);
/* Of the connection; nobody before its first bytes. For AUTHENTICATE to change, too. */
struct osr_identity *osr_session_identity(struct osr_session *session);
/* Of the connection, or of the one that carries the link (osr_connection_binding). */
struct osr_slice osr_session_binding(const struct osr_session *session);
const char *osr_session_url(const struct osr_session *session); /* of the other end */
void *osr_session_user(const struct osr_session *session);      /* NULL where accepted */
/* Who HELLO_PROOF has shown the link to be; empty texts before. Fails as osr_access_take_instance:
 * then it is to be refused. */
int osr_session_identify(struct osr_session *session, const char *instance, const char *name,
                         struct osr_err *err);
const char *osr_session_instance(const struct osr_session *session);
const char *osr_session_peer_name(const struct osr_session *session);

void osr_session_send(struct osr_session *session, const Osr__Frame *frame);
/* An ERROR for one request (0: none in particular); the connection goes on. */
void osr_session_error(struct osr_session *session, uint64_t request_id,
                       const struct osr_err *error);
/* An ERROR, then the end. */
void osr_session_refuse(struct osr_session *session, uint64_t request_id,
                        const struct osr_err *error);
/* The end, after what is collected and queued. */
void osr_session_close(struct osr_session *session);
/* So much is queued that the query which answers this request should pause. */
bool osr_session_is_full(const struct osr_session *session, uint64_t request_id);
/* What is queued to it has changed, which is looked at in any case at the end of the turn. Where
 * too much waits to be read by all, those with the most go, perhaps this one. */
void osr_session_count_unread(struct osr_session *session);

/* Requests under way: counted here, listed by node/call.h. */
void osr_session_request_begins(struct osr_session *session, size_t bytes);
void osr_session_request_shrinks(struct osr_session *session, size_t bytes); /* by so many */
void osr_session_request_ends(struct osr_session *session, size_t bytes);
/* One of the requests under way counts against OSR_SESSION_QUERIES_MAX. */
void osr_session_query_begins(struct osr_session *session);
void osr_session_query_ends(struct osr_session *session);
struct osr_call **osr_session_calls(struct osr_session *session);
struct osr_reply_reader *osr_session_reader(struct osr_session *session);

#endif
