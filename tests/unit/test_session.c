#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/dialling.h"
#include "node/access_config.h"
#include "node/log_limit.h"
#include "node/session_internal.h" /* for what they hold in memory */

/* Sessions behind a real listener at a Unix socket, and what they report. */
struct fixture {
    uv_loop_t loop;
    struct osr_trace trace;
    char folder[64];
    struct osr_url url;
    struct osr_listener *listener;
    struct osr_access *access;
    struct osr_sessions *sessions;
    bool seeds_allowed;
    bool answers_later; /* requests stay under way */
    bool are_queries;   /* those */
    bool hold;
    bool hold_links;
    struct osr_session *last;
    int links, link_frames, requests, appends, ended, closed;
    int lines; /* of the log */
    char last_line[128];
};

enum { CONNECTIONS_MAX = 3 };

static void on_link(void *context, struct osr_session *session)
{
    struct fixture *fixture = context;
    fixture->links++;
    fixture->last = session;
}

static void on_link_frame(void *context, struct osr_session *session, const Osr__Frame *frame)
{
    struct fixture *fixture = context;
    (void)session;
    (void)frame;
    fixture->link_frames++;
}

static void answer(struct osr_session *session, uint64_t request_id)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__StatusResponse response = OSR__STATUS_RESPONSE__INIT;
    frame.request_id = request_id;
    frame.end = true;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_STATUS_REPLY, &response.base);
    osr_session_send(session, &frame);
}

static void on_request(void *context, struct osr_session *session, struct osr_identity *identity,
                       Osr__Frame *frame, size_t size)
{
    struct fixture *fixture = context;
    (void)identity;
    fixture->requests++;
    fixture->last = session;
    if (fixture->are_queries)
        osr_session_query_begins(session);
    if (fixture->answers_later)
        osr_session_request_begins(session, size);
    else
        answer(session, frame->request_id);
}

static void on_append(void *context, struct osr_session *session, const Osr__UpdateKb *update)
{
    struct fixture *fixture = context;
    (void)session;
    assert_int_equal(update->data->text.len, 3);
    fixture->appends++;
}

static void on_end(void *context, struct osr_session *session)
{
    struct fixture *fixture = context;
    (void)session;
    fixture->ended++;
}

static void on_drain(void *context, struct osr_session *session)
{
    (void)context;
    (void)session;
}

static void on_closed(void *context, struct osr_session *session, const struct osr_err *err)
{
    struct fixture *fixture = context;
    (void)session;
    (void)err;
    fixture->closed++;
}

static void on_accept(void *context, struct osr_connection *connection)
{
    struct fixture *fixture = context;
    osr_sessions_accept(fixture->sessions, connection, fixture->seeds_allowed, 0);
}

static uint64_t on_time(void *context)
{
    (void)context;
    return 1;
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    const struct osr_session_handler handler = {
        .on_link = on_link,
        .on_link_frame = on_link_frame,
        .on_request = on_request,
        .on_append = on_append,
        .on_end = on_end,
        .on_drain = on_drain,
        .on_closed = on_closed,
        .context = fixture,
    };
    struct osr_err err;
    char text[96];
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-session-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(text, sizeof(text), "unix://%s/socket", fixture->folder);
    assert_int_equal(osr_url_parse(text, &fixture->url, &err), 0);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    const struct osr_access_options access_options = {
        .cluster = "test", .policy = osr_access_config_default(), .time_ms = on_time};
    fixture->access = osr_access_create(&access_options);
    assert_int_equal(osr_sessions_create(&fixture->loop, &handler, fixture->access, CONNECTIONS_MAX,
                                         &fixture->trace, &fixture->sessions, &err),
                     0);
    assert_int_equal(osr_transport_listen(&fixture->loop, &fixture->url, NULL, on_accept, fixture,
                                          &fixture->listener, &err),
                     0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_listener_close(fixture->listener);
    osr_sessions_shut(fixture->sessions);
    while (osr_sessions_count(fixture->sessions) > 0)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    osr_sessions_destroy(fixture->sessions);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_access_destroy(fixture->access);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

/* Lets the sessions do all that they can do now. */
static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        osr_sessions_resume(fixture->sessions, fixture->hold, fixture->hold_links);
        osr_sessions_flush(fixture->sessions);
    }
}

static int connect_to(struct fixture *fixture)
{
    struct osr_err err;
    int fd = -1;
    assert_int_equal(dial_and_wait(&fixture->url, 1000, &fd, &err), 0);
    turn(fixture);
    return fd;
}

static void say(struct fixture *fixture, int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), (ssize_t)strlen(text));
    turn(fixture);
}

/* What is there to read, as text; *ret_ended where the other end has closed behind it. */
static const char *hear(int fd, bool *ret_ended)
{
    static char text[65536];
    size_t size = 0;
    ssize_t more;
    while ((more = recv(fd, text + size, sizeof(text) - 1 - size, MSG_DONTWAIT)) > 0)
        size += (size_t)more;
    text[size] = '\0';
    *ret_ended = more == 0;
    return text;
}

/* The first frame decides what a connection is: a link, a client or a seed program. */
static void session_first_frame_decides(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int link = connect_to(fixture);
    say(fixture, link, "{\"type\":\"HELLO\"}");
    assert_int_equal(fixture->links, 1);
    assert_int_equal(fixture->link_frames, 1);
    assert_int_equal(osr_sessions_link_count(fixture->sessions), 1);
    say(fixture, link, "{\"type\":\"STATUS\",\"request_id\":6}"); /* is for clients */
    assert_int_equal(fixture->requests, 0);
    assert_non_null(strstr(hear(link, &ended), "PERMISSION_DENIED"));
    assert_false(ended);

    int client = connect_to(fixture);
    say(fixture, client, "{\"type\":\"STATUS\",\"request_id\":7}\n");
    assert_int_equal(fixture->requests, 1);
    assert_string_equal(osr_session_identity(fixture->last)->who, OSR_WHO_ADMIN);
    assert_non_null(strstr(hear(client, &ended), "\"request_id\":7"));
    assert_false(ended);

    fixture->seeds_allowed = true;
    int seed = connect_to(fixture);
    say(fixture, seed, "{\"type\":\"UPDATE_KB\",\"data\":\"x\"}");
    assert_int_equal(fixture->appends, 1);
    assert_string_equal(hear(seed, &ended), "");
    close(seed);
    close(client);
    close(link);
    turn(fixture);
    assert_int_equal(fixture->closed, 3);
}

/* While the knowledge base is behind, links for feeds are not read, and those for the ledger are.
 */
static void session_links_for_the_ledger_are_not_held(void **state)
{
    struct fixture *fixture = *state;
    int feeds = connect_to(fixture);
    int ledger = connect_to(fixture);
    say(fixture, feeds, "{\"type\":\"HELLO\"}");
    say(fixture, ledger, "{\"type\":\"HELLO\",\"purpose\":\"FOR_LEDGER\"}");
    assert_int_equal(fixture->link_frames, 2);
    fixture->hold = fixture->hold_links = true;
    turn(fixture);
    say(fixture, feeds, "{\"type\":\"PING\"}");
    assert_int_equal(fixture->link_frames, 2);
    say(fixture, ledger, "{\"type\":\"PING\"}");
    assert_int_equal(fixture->link_frames, 3);
    fixture->hold = fixture->hold_links = false;
    turn(fixture);
    assert_int_equal(fixture->link_frames, 4);
    close(feeds);
    close(ledger);
}

static void say_hello(struct fixture *fixture, int fd, Osr__LinkPurpose purpose, const char *name)
{
    struct osr_buffer bytes = {0};
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Hello hello = OSR__HELLO__INIT;
    hello.purpose = purpose;
    hello.name = (char *)name;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_HELLO, &hello.base);
    osr_stream_write(OSR_CODEC_PROTOBUF, &frame, &bytes);
    assert_int_equal(send(fd, bytes.data, bytes.size, MSG_NOSIGNAL), (ssize_t)bytes.size);
    osr_buffer_done(&bytes);
    turn(fixture);
}

/* While clients wait, so does who comes, but for one that begins a link for the ledger. */
static void session_link_for_the_ledger_begins_at_once(void **state)
{
    static char long_name[2000];
    struct fixture *fixture = *state;
    memset(long_name, 'x', sizeof(long_name) - 1);
    fixture->hold = true;
    turn(fixture);
    int feeds = connect_to(fixture);
    say_hello(fixture, feeds, OSR__LINK_PURPOSE__FOR_FEEDS, "");
    int longer = connect_to(fixture);
    say_hello(fixture, longer, OSR__LINK_PURPOSE__FOR_LEDGER, long_name);
    assert_int_equal(fixture->links, 0);
    int ledger = connect_to(fixture);
    say_hello(fixture, ledger, OSR__LINK_PURPOSE__FOR_LEDGER, "");
    assert_int_equal(fixture->links, 1);
    assert_int_equal(osr_session_purpose(fixture->last), OSR__LINK_PURPOSE__FOR_LEDGER);
    fixture->hold = false;
    turn(fixture);
    assert_int_equal(fixture->links, 3);
    close(feeds);
    close(longer);
    close(ledger);
}

/* A purpose that nobody knows is refused. */
static void session_refuses_unknown_purposes(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say_hello(fixture, fd, (Osr__LinkPurpose)7, "");
    assert_int_equal(fixture->links, 0);
    hear(fd, &ended);
    assert_true(ended);
    close(fd);
}

/* What members of the ledger say is for links that have shown which instance they are: what comes
 * too early is passed over or refused, what comes elsewhere is refused. */
static void session_members_speak_on_links_alone(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    bool ended;
    int client = connect_to(fixture);
    say(fixture, client, "{\"type\":\"MEMBER\",\"member\":1}");
    assert_non_null(strstr(hear(client, &ended), "INVALID_ARGUMENT"));
    assert_true(ended);
    close(client);

    int early = connect_to(fixture);
    say(fixture, early, "{\"type\":\"HELLO\"}{\"type\":\"MEMBER\"}");
    assert_int_equal(fixture->link_frames, 1);
    assert_string_equal(hear(early, &ended), "");
    assert_false(ended);
    say(fixture, early, "{\"type\":\"RAFT\"}");
    assert_non_null(strstr(hear(early, &ended), "RAFT before HELLO_PROOF"));
    assert_true(ended);
    close(early);

    int link = connect_to(fixture);
    say(fixture, link, "{\"type\":\"HELLO\"}");
    assert_int_equal(
        osr_session_identify(fixture->last, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "a", &err), 0);
    say(fixture, link,
        "{\"type\":\"MEMBER\"}{\"type\":\"RAFT\"}{\"type\":\"LEDGER_ASK\"}"
        "{\"type\":\"LEDGER_ANSWER\"}");
    assert_int_equal(fixture->link_frames, 2 + 4);
    assert_int_equal(fixture->requests, 0);
    close(link);
}

/* An UPDATE_KB without a request_id is refused where seed programs are not let in. */
static void session_refuses_append_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"UPDATE_KB\",\"data\":\"x\"}");
    assert_int_equal(fixture->appends, 0);
    assert_non_null(strstr(hear(fd, &ended), "PERMISSION_DENIED"));
    assert_false(ended);
    close(fd);
}

/* Bytes that are no frame are answered with an ERROR, behind which the connection ends. */
static void session_malformed_bytes_end_it(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"STATUS\"}{\"type\" \"STATUS\"}");
    const char *heard = hear(fd, &ended);
    assert_non_null(strstr(heard, "STATUS_REPLY"));
    assert_non_null(strstr(heard, "MALFORMED"));
    assert_true(ended);
    close(fd);
}

/* A type nobody knows fails alone, under its id. */
static void session_unknown_type_fails_alone(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"DANCE\",\"request_id\":3}{\"type\":\"STATUS\",\"request_id\":4}");
    const char *heard = hear(fd, &ended);
    assert_non_null(strstr(heard, "UNKNOWN_TYPE"));
    assert_non_null(strstr(heard, "\"request_id\":3"));
    assert_non_null(strstr(heard, "STATUS_REPLY"));
    assert_false(ended);
    close(fd);
}

/* A client that is held back is not lost: its requests are handled when it goes on. */
static void session_waits_while_held(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    fixture->hold = true;
    turn(fixture);
    say(fixture, fd, "{\"type\":\"STATUS\"}{\"type\":\"STATUS\"}");
    assert_int_equal(fixture->requests, 0);
    fixture->hold = false;
    turn(fixture);
    assert_int_equal(fixture->requests, 2);
    hear(fd, &ended);
    close(fd);
}

/* No more than so many requests of one client are under way; an answer lets in the next. */
static void session_limits_requests_under_way(void **state)
{
    struct fixture *fixture = *state;
    fixture->answers_later = true;
    int fd = connect_to(fixture);
    for (int i = 0; i < OSR_SESSION_REQUESTS_MAX + 10; i++)
        say(fixture, fd, "{\"type\":\"STATUS\"}");
    assert_int_equal(fixture->requests, OSR_SESSION_REQUESTS_MAX);
    osr_session_request_ends(fixture->last, strlen("{\"type\":\"STATUS\"}"));
    turn(fixture);
    assert_int_equal(fixture->requests, OSR_SESSION_REQUESTS_MAX + 1);
    close(fd);
}

/* Fewer queries than requests are under way: their answers may be large. */
static void session_limits_queries_under_way(void **state)
{
    struct fixture *fixture = *state;
    fixture->answers_later = fixture->are_queries = true;
    int fd = connect_to(fixture);
    for (int i = 0; i < OSR_SESSION_QUERIES_MAX + 10; i++)
        say(fixture, fd, "{\"type\":\"STATUS\"}");
    assert_int_equal(fixture->requests, OSR_SESSION_QUERIES_MAX);
    osr_session_query_ends(fixture->last);
    osr_session_request_ends(fixture->last, strlen("{\"type\":\"STATUS\"}"));
    turn(fixture);
    assert_int_equal(fixture->requests, OSR_SESSION_QUERIES_MAX + 1);
    close(fd);
}

/* A connection after its first request, whose answers nobody reads. */
static struct osr_session *connect_unread(struct fixture *fixture, int *ret_fd)
{
    *ret_fd = connect_to(fixture);
    say(fixture, *ret_fd, "{\"type\":\"STATUS\"}");
    return fixture->last;
}

static void send_much(struct osr_session *session, size_t bytes)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__StatusResponse response = OSR__STATUS_RESPONSE__INIT;
    response.name = osr_alloc(bytes + 1);
    memset(response.name, 'x', bytes);
    osr_frame_set_body(&frame, OSR__FRAME__BODY_STATUS_REPLY, &response.base);
    osr_session_send(session, &frame);
    free(response.name);
}

/* Where too much waits to be read by all, who has most of it goes, and nobody else. */
static void sessions_drop_who_reads_least(void **state)
{
    struct fixture *fixture = *state;
    int fds[2];
    struct osr_session *greedy = connect_unread(fixture, &fds[0]);
    struct osr_session *modest = connect_unread(fixture, &fds[1]);
    enum { PIECE = OSR_OUTPUT_BYTES_MAX / 8 };
    send_much(modest, PIECE);
    turn(fixture);
    for (size_t sent = 2 * PIECE; sent < OSR_OUTPUT_BYTES_MAX; sent += PIECE)
        send_much(greedy, PIECE);
    turn(fixture);
    assert_int_equal(fixture->closed, 0);
    send_much(modest, PIECE + (4 << 20)); /* more than the system has taken meanwhile */
    turn(fixture);
    assert_int_equal(fixture->closed, 1);
    assert_true(osr_session_is_open(modest));
    close(fds[0]);
    close(fds[1]);
}

/* Who ends its direction still gets its answer, and then the end of ours. */
static void session_answers_after_half_close(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    fixture->answers_later = true;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"STATUS\",\"request_id\":9}");
    shutdown(fd, SHUT_WR);
    turn(fixture);
    assert_string_equal(hear(fd, &ended), "");
    assert_false(ended);
    assert_int_equal(fixture->ended, 1);
    answer(fixture->last, 9);
    osr_session_request_ends(fixture->last, strlen("{\"type\":\"STATUS\",\"request_id\":9}"));
    turn(fixture);
    assert_non_null(strstr(hear(fd, &ended), "\"request_id\":9"));
    assert_true(ended);
    close(fd);
}

/* Half a frame and then the end is no request, and is said so. */
static void session_half_a_frame_is_malformed(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"STA");
    shutdown(fd, SHUT_WR);
    turn(fixture);
    assert_non_null(strstr(hear(fd, &ended), "MALFORMED"));
    assert_true(ended);
    close(fd);
}

/* Who says nothing at all is shown out, and not before its time. */
static void session_silence_times_out(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    osr_sessions_pass_time(fixture->sessions, OSR_FIRST_FRAME_MS - 1);
    turn(fixture);
    hear(fd, &ended);
    assert_false(ended);
    osr_sessions_pass_time(fixture->sessions, 1);
    turn(fixture);
    assert_non_null(strstr(hear(fd, &ended), "TIMEOUT"));
    assert_true(ended);
    close(fd);
}

/* Time in which the instance does not read its clients is not theirs: neither for the first frame
 * nor for the rest of one. */
static void session_time_stands_still_while_held(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int halfway = connect_to(fixture);
    say(fixture, halfway, "{\"type\":\"STATUS\"}{\"type\":\"STA");
    int before = connect_to(fixture);
    fixture->hold = true;
    turn(fixture);
    int during = connect_to(fixture);
    say(fixture, before, "{\"type\":\"STATUS\"}");
    osr_sessions_pass_time(fixture->sessions, OSR_FRAME_REST_MS + OSR_FIRST_FRAME_MS);
    turn(fixture);
    assert_int_equal(osr_sessions_count(fixture->sessions), 3);
    fixture->hold = false;
    turn(fixture);
    say(fixture, during, "{\"type\":\"STATUS\"}");
    say(fixture, halfway, "TUS\"}");
    assert_int_equal(fixture->requests, 4);
    hear(during, &ended);
    assert_false(ended);
    close(halfway);
    close(before);
    close(during);
}

/* A frame that comes byte by byte must be complete in time; each whole one gives new time. */
static void session_rest_of_a_frame_times_out(void **state)
{
    struct fixture *fixture = *state;
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"STATUS\"}{\"type\":");
    osr_sessions_pass_time(fixture->sessions, OSR_FRAME_REST_MS - 1);
    say(fixture, fd, "\"STATUS\"}{");
    osr_sessions_pass_time(fixture->sessions, OSR_FRAME_REST_MS - 1);
    say(fixture, fd, "\"type\"");
    assert_int_equal(osr_sessions_count(fixture->sessions), 1);
    osr_sessions_pass_time(fixture->sessions, 1);
    turn(fixture);
    assert_non_null(strstr(hear(fd, &ended), "TIMEOUT"));
    assert_true(ended);
    close(fd);
}

/* Who reads nothing of what it is sent is closed; who reads a little is not. */
static void session_that_reads_nothing_is_closed(void **state)
{
    struct fixture *fixture = *state;
    static char taken[1 << 20];
    int fds[2];
    struct osr_session *deaf = connect_unread(fixture, &fds[0]);
    struct osr_session *slow = connect_unread(fixture, &fds[1]);
    send_much(deaf, 8 << 20);
    send_much(slow, 8 << 20);
    turn(fixture);
    osr_sessions_pass_time(fixture->sessions, 0);
    osr_sessions_pass_time(fixture->sessions, OSR_WRITE_STALL_MS - 1);
    for (size_t size = 0; size < 1 << 20; turn(fixture)) {
        ssize_t more = recv(fds[1], taken, sizeof(taken), MSG_DONTWAIT);
        size += more > 0 ? (size_t)more : 0;
    }
    osr_sessions_pass_time(fixture->sessions, 1);
    turn(fixture);
    assert_int_equal(fixture->closed, 1);
    assert_true(osr_session_is_open(slow));
    close(fds[0]);
    close(fds[1]);
}

/* What whole frames came in costs a connection nothing afterwards, what an incomplete one came in
 * little more than its size; the memory that is really held is what counts. */
static void session_holds_memory_for_incomplete_frames_alone(void **state)
{
    struct fixture *fixture = *state;
    static char big[40000];
    bool ended;
    int fd = connect_to(fixture);
    say(fixture, fd, "{\"type\":\"STATUS\"}{\"type\":\"STATUS\"}");
    assert_int_equal(fixture->sessions->input, 0);
    say(fixture, fd, "{\"type\":");
    assert_in_range(fixture->sessions->input, strlen("{\"type\":"), 64);
    snprintf(big, sizeof(big), "\"%*s\"}{\"ty", (int)sizeof(big) - 10, "STATUS");
    say(fixture, fd, big);
    assert_in_range(fixture->sessions->input, sizeof(big), 2 * sizeof(big));
    osr_sessions_pass_time(fixture->sessions, 0);
    assert_in_range(fixture->sessions->input, strlen("{\"ty"), 64);
    assert_int_equal(fixture->last->stream.input.capacity, fixture->sessions->input);
    say(fixture, fd, "pe\":\"STATUS\"}");
    osr_sessions_pass_time(fixture->sessions, 0);
    assert_int_equal(fixture->sessions->input, 0);
    assert_non_null(strstr(hear(fd, &ended), "STATUS_REPLY"));
    assert_false(ended);
    assert_int_equal(fixture->requests, 3);
    close(fd);
}

/* Frames of two connections that come in pieces, by turns, do not get mixed up. */
static void sessions_share_a_room_without_mixing(void **state)
{
    struct fixture *fixture = *state;
    const char *frame = "{\"type\":\"STATUS\",\"request_id\":123}";
    bool ended;
    int fds[2] = {connect_to(fixture), connect_to(fixture)};
    for (size_t at = 0; at < strlen(frame); at++) {
        for (int i = 0; i < 2; i++) {
            char piece[2] = {frame[at], '\0'};
            say(fixture, fds[i], piece);
        }
    }
    assert_int_equal(fixture->requests, 2);
    for (int i = 0; i < 2; i++) {
        assert_non_null(strstr(hear(fds[i], &ended), "123"));
        close(fds[i]);
    }
}

static void count_line(void *context, enum osr_level level, const char *line)
{
    struct fixture *fixture = context;
    (void)level;
    fixture->lines++;
    snprintf(fixture->last_line, sizeof(fixture->last_line), "%s", line);
}

/* However many lines connections cause, few are written in a second, and one that counts the rest;
 * then it begins anew. What was asked for with TRACE is written whole. */
static void log_limit_leaves_lines_out(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_trace all = {
        .write = count_line, .context = fixture, .level = OSR_LEVEL_TRACE};
    struct osr_log_limit *limit = osr_log_limit_create(&fixture->loop, &all);
    const struct osr_trace *trace = osr_log_limit_trace(limit);
    for (int i = 0; i < OSR_LOG_LINES_MAX + 7; i++) {
        osr_trace(trace, OSR_LEVEL_WARNING, "again");
    }
    assert_int_equal(fixture->lines, OSR_LOG_LINES_MAX);
    osr_trace(trace, OSR_LEVEL_TRACE, "detail");
    assert_int_equal(fixture->lines, OSR_LOG_LINES_MAX + 1);
    while (fixture->lines == OSR_LOG_LINES_MAX + 1) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_string_equal(fixture->last_line, "7 more lines like these within a second");
    osr_trace(trace, OSR_LEVEL_WARNING, "news");
    assert_string_equal(fixture->last_line, "news");
    osr_log_limit_destroy(limit);
}

/* One connection more than allowed is told so and closed; the others stay. */
static void sessions_turn_away_the_next(void **state)
{
    struct fixture *fixture = *state;
    int fds[CONNECTIONS_MAX + 1];
    bool ended;
    for (int i = 0; i <= CONNECTIONS_MAX; i++)
        fds[i] = connect_to(fixture);
    assert_non_null(strstr(hear(fds[CONNECTIONS_MAX], &ended), "BUSY"));
    assert_true(ended);
    say(fixture, fds[0], "{\"type\":\"STATUS\"}");
    assert_int_equal(fixture->requests, 1);
    for (int i = 0; i <= CONNECTIONS_MAX; i++)
        close(fds[i]);
}

#define SESSION_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SESSION_TEST(session_first_frame_decides),
        SESSION_TEST(session_links_for_the_ledger_are_not_held),
        SESSION_TEST(session_link_for_the_ledger_begins_at_once),
        SESSION_TEST(session_refuses_unknown_purposes),
        SESSION_TEST(session_members_speak_on_links_alone),
        SESSION_TEST(session_refuses_append_elsewhere),
        SESSION_TEST(session_malformed_bytes_end_it),
        SESSION_TEST(session_unknown_type_fails_alone),
        SESSION_TEST(session_waits_while_held),
        SESSION_TEST(session_limits_requests_under_way),
        SESSION_TEST(session_limits_queries_under_way),
        SESSION_TEST(sessions_drop_who_reads_least),
        SESSION_TEST(session_answers_after_half_close),
        SESSION_TEST(session_half_a_frame_is_malformed),
        SESSION_TEST(session_silence_times_out),
        SESSION_TEST(session_time_stands_still_while_held),
        SESSION_TEST(session_rest_of_a_frame_times_out),
        SESSION_TEST(session_that_reads_nothing_is_closed),
        SESSION_TEST(session_holds_memory_for_incomplete_frames_alone),
        SESSION_TEST(sessions_share_a_room_without_mixing),
        SESSION_TEST(log_limit_leaves_lines_out),
        SESSION_TEST(sessions_turn_away_the_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
