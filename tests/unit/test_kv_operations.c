#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "core/kv.h"
#include "lib/dialling.h"
#include "lib/memory_values.h"
#include "model/limits.h"
#include "node/access_config.h"
#include "node/operations.h"
#include "node/reply_memory.h"

/* The operations of the replicated map, asked over a real connection, on an engine that does
 * nothing but what the test has it do. */

/* What the engine was asked for last. */
struct asked {
    bool is_read;
    bool is_local;
    uint32_t timeout_ms;
    struct osr_buffer command;
    osr_agreed_done *done; /* NULL: answered, forgotten, or nothing was asked */
    void *context;
    uint64_t number; /* rises */
};

struct fixture {
    struct osr_agreement agreement; /* first */
    uv_loop_t loop;
    struct osr_trace trace;
    char folder[64];
    struct osr_url url;
    struct osr_listener *listener;
    struct osr_access *access;
    struct osr_sessions *sessions;
    struct osr_operations *operations;
    struct osr_services services;
    struct memory_values values;
    bool is_broken;
    struct asked asked;
    struct osr_buffer heard;
    struct osr_session *session; /* that has asked last */
    int fd;
};

/* ---- the engine ---- */

static uint64_t note_asked(struct fixture *fixture, uint32_t timeout_ms, osr_agreed_done *done,
                           void *context)
{
    assert_null(fixture->asked.done); /* one at a time */
    fixture->asked.timeout_ms = timeout_ms;
    fixture->asked.done = done;
    fixture->asked.context = context;
    return ++fixture->asked.number;
}

static uint64_t propose(struct osr_agreement *agreement, enum osr_machine_id machine,
                        uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                        osr_agreed_done *done, void *context)
{
    struct fixture *fixture = (struct fixture *)agreement;
    assert_int_equal(machine, OSR_MACHINE_KV);
    assert_int_equal(version, OSR_KV_VERSION);
    fixture->asked.is_read = false;
    fixture->asked.command.size = 0;
    osr_buffer_add(&fixture->asked.command, command.data, command.size);
    return note_asked(fixture, timeout_ms, done, context);
}

static uint64_t read_values(struct osr_agreement *agreement, bool is_local, uint32_t timeout_ms,
                            osr_agreed_done *done, void *context)
{
    struct fixture *fixture = (struct fixture *)agreement;
    fixture->asked.is_read = true;
    fixture->asked.is_local = is_local;
    return note_asked(fixture, timeout_ms, done, context);
}

static void forget(struct osr_agreement *agreement, uint64_t number)
{
    struct fixture *fixture = (struct fixture *)agreement;
    assert_int_equal(number, fixture->asked.number);
    assert_non_null(fixture->asked.done);
    fixture->asked.done = NULL;
}

static bool is_broken(struct osr_agreement *agreement)
{
    return ((struct fixture *)agreement)->is_broken;
}

static struct osr_values *values_of(struct osr_agreement *agreement, enum osr_machine_id machine)
{
    assert_int_equal(machine, OSR_MACHINE_KV);
    return &((struct fixture *)agreement)->values.values;
}

/* ---- the instance ---- */

static void on_request(void *context, struct osr_session *session, struct osr_identity *identity,
                       Osr__Frame *frame, size_t size)
{
    struct fixture *fixture = context;
    fixture->session = session;
    osr_operations_request(fixture->operations, session, identity, frame, size);
}

/* Nothing here streams. */
static void ignore(void *context, struct osr_session *session)
{
    (void)context;
    (void)session;
}

static void on_closed(void *context, struct osr_session *session, const struct osr_err *err)
{
    (void)context;
    (void)err;
    osr_calls_abandon(session);
}

static void on_accept(void *context, struct osr_connection *connection)
{
    osr_sessions_accept(((struct fixture *)context)->sessions, connection, false, 0);
}

static uint64_t on_time(void *context)
{
    (void)context;
    return 1;
}

/* Lets the instance do all that it can do now. */
static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
        osr_sessions_resume(fixture->sessions, false, false);
        osr_sessions_flush(fixture->sessions);
    }
}

static void listen_at_socket(struct fixture *fixture)
{
    char text[96];
    struct osr_err err;
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-kv-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    snprintf(text, sizeof(text), "unix://%s/socket", fixture->folder);
    assert_int_equal(osr_url_parse(text, &fixture->url, &err), 0);
    assert_int_equal(osr_transport_listen(&fixture->loop, &fixture->url, NULL, on_accept, fixture,
                                          &fixture->listener, &err),
                     0);
    assert_int_equal(dial_and_wait(&fixture->url, 1000, &fixture->fd, &err), 0);
    turn(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    const struct osr_session_handler handler = {.on_request = on_request,
                                                .on_end = ignore,
                                                .on_drain = ignore,
                                                .on_closed = on_closed,
                                                .context = fixture};
    struct osr_err err;
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    const struct osr_access_options access_options = {
        .cluster = "test", .policy = osr_access_config_default(), .time_ms = on_time};
    fixture->access = osr_access_create(&access_options);
    assert_int_equal(osr_sessions_create(&fixture->loop, &handler, fixture->access, 4,
                                         &fixture->trace, &fixture->sessions, &err),
                     0);
    memory_values_init(&fixture->values);
    fixture->agreement = (struct osr_agreement){.propose = propose,
                                                .read = read_values,
                                                .forget = forget,
                                                .values = values_of,
                                                .is_broken = is_broken};
    fixture->services = (struct osr_services){.loop = &fixture->loop,
                                              .access = fixture->access,
                                              .sessions = fixture->sessions,
                                              .agreement = &fixture->agreement};
    assert_int_equal(osr_operations_create(&fixture->services, &fixture->operations, &err), 0);
    listen_at_socket(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    if (fixture->fd >= 0) {
        close(fixture->fd);
    }
    osr_listener_close(fixture->listener);
    osr_sessions_shut(fixture->sessions);
    while (osr_sessions_count(fixture->sessions) > 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    osr_operations_destroy(fixture->operations);
    osr_sessions_destroy(fixture->sessions);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_access_destroy(fixture->access);
    memory_values_done(&fixture->values);
    osr_buffer_done(&fixture->asked.command);
    osr_buffer_done(&fixture->heard);
    assert_int_equal(rmdir(fixture->folder), 0);
    free(fixture);
    return 0;
}

/* ---- asking and hearing ---- */

/* A frame of this type with this key and further fields (", ..."). */
static void ask(struct fixture *fixture, const char *type, struct osr_slice key, const char *fields)
{
    struct osr_buffer line = {0};
    osr_buffer_add_format(&line, "{\"type\":\"%s\",\"request_id\":1,\"key\":\"", type);
    osr_base64_encode(&line, key);
    osr_buffer_add_format(&line, "\"%s}\n", fields);
    for (size_t at = 0; at < line.size;) {
        ssize_t sent =
            send(fixture->fd, line.data + at, line.size - at, MSG_NOSIGNAL | MSG_DONTWAIT);
        at += sent > 0 ? (size_t)sent : 0;
        turn(fixture);
    }
    osr_buffer_done(&line);
}

/* All that has come since the last time. */
static const char *hear(struct fixture *fixture)
{
    ssize_t more;
    fixture->heard.size = 0;
    do {
        turn(fixture);
        uint8_t *room = osr_buffer_reserve(&fixture->heard, (64 << 10) + 1);
        more = recv(fixture->fd, room, 64 << 10, MSG_DONTWAIT);
        fixture->heard.size += more > 0 ? (size_t)more : 0;
    } while (more > 0);
    fixture->heard.data[fixture->heard.size] = '\0';
    return (const char *)fixture->heard.data;
}

static void finish(struct fixture *fixture, const struct osr_agreed *agreed)
{
    osr_agreed_done *done = fixture->asked.done;
    assert_non_null(done);
    fixture->asked.done = NULL;
    done(fixture->asked.context, agreed);
}

static void finish_well(struct fixture *fixture)
{
    finish(fixture, &(struct osr_agreed){.code = OSR_OK, .index = 9});
}

static void refuse(struct fixture *fixture, enum osr_code code)
{
    struct osr_err err;
    osr_err_set(&err, code, "two of three are away");
    finish(fixture, &(struct osr_agreed){.code = code, .err = &err});
}

/* What is asked is applied as the machine does, as command `index`. */
static void apply(struct fixture *fixture, uint64_t index)
{
    struct osr_buffer reply = {0};
    const struct osr_command command = {.index = index,
                                        .version = OSR_KV_VERSION,
                                        .bytes = osr_buffer_slice(&fixture->asked.command)};
    struct osr_agreed agreed = {.index = index};
    agreed.code =
        osr_kv_machine.apply(osr_kv_machine.context, &fixture->values.values, &command, &reply);
    agreed.reply = osr_buffer_slice(&reply);
    finish(fixture, &agreed);
    osr_buffer_done(&reply);
}

static const struct osr_slice port = {(const uint8_t *)"port", 4};

static void put_port(struct fixture *fixture, uint64_t index)
{
    ask(fixture, "KV_PUT", port, ",\"value\":\"NzQwMA==\""); /* 7400 */
    apply(fixture, index);
    hear(fixture);
}

/* ---- writes ---- */

/* A put becomes a command, and is answered with its index and the key's version. */
static void put_is_answered_once_applied(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "KV_PUT", port, ",\"value\":\"NzQwMA==\",\"timeout_ms\":1234");
    assert_int_equal(fixture->asked.timeout_ms, 1234);
    assert_string_equal(hear(fixture), "");
    apply(fixture, 7);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"KV_PUT_REPLY\""));
    assert_non_null(strstr(heard, "\"index\":7"));
    assert_non_null(strstr(heard, "\"version\":1"));
    put_port(fixture, 8);
    ask(fixture, "KV_GET", port, "");
    finish_well(fixture);
    assert_non_null(strstr(hear(fixture), "\"version\":2"));
}

/* An expectation that is not met changes nothing, and says how the key stands. */
static void conflict_says_how_the_key_stands(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "KV_PUT", port, ",\"value\":\"\",\"expected\":{\"index\":5}");
    apply(fixture, 7);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"CONFLICT\""));
    assert_non_null(strstr(heard, "there is no such key"));
    put_port(fixture, 8);
    ask(fixture, "KV_DEL", port, ",\"expected\":{}"); /* absent */
    apply(fixture, 9);
    heard = hear(fixture);
    assert_non_null(strstr(heard, "\"CONFLICT\""));
    assert_non_null(strstr(heard, "index 8"));
    ask(fixture, "KV_DEL", port, ",\"expected\":{\"index\":8}");
    apply(fixture, 10);
    assert_non_null(strstr(hear(fixture), "\"removed\":true"));
}

/* A remove of what is not there is done, and says so. */
static void remove_of_nothing_says_so(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "KV_DEL", port, "");
    apply(fixture, 3);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"KV_DEL_REPLY\""));
    assert_null(strstr(heard, "\"removed\":true"));
}

/* After the end of its time nobody knows of a write; that it was refused is known. */
static void failed_write_says_what_is_known(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "KV_PUT", port, ",\"value\":\"MQ==\"");
    assert_int_equal(fixture->asked.timeout_ms, OSR_WAIT_DEFAULT_MS);
    refuse(fixture, OSR_TIMEOUT);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"TIMEOUT\""));
    assert_non_null(strstr(heard, "nobody knows whether it was written"));
    assert_non_null(strstr(heard, "two of three are away"));
    assert_non_null(strstr(heard, "read the key before you write it again"));
    ask(fixture, "KV_PUT", port, ",\"value\":\"MQ==\"");
    refuse(fixture, OSR_UNAVAILABLE);
    heard = hear(fixture);
    assert_non_null(strstr(heard, "\"UNAVAILABLE\""));
    assert_null(strstr(heard, "nobody knows"));
}

/* ---- reads ---- */

/* A read waits for the engine, unless it is local, and gives the very bytes. */
static void get_reads_once_the_engine_says_so(void **state)
{
    struct fixture *fixture = *state;
    put_port(fixture, 7);
    ask(fixture, "KV_GET", port, "");
    assert_true(fixture->asked.is_read);
    assert_false(fixture->asked.is_local);
    assert_string_equal(hear(fixture), "");
    finish_well(fixture);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"KV_GET_REPLY\""));
    assert_non_null(strstr(heard, "\"value\":\"NzQwMA==\""));
    assert_non_null(strstr(heard, "\"index\":7"));
    ask(fixture, "KV_GET", port, ",\"local\":true");
    assert_true(fixture->asked.is_local);
    finish_well(fixture);
    assert_non_null(strstr(hear(fixture), "\"index\":7"));
}

/* A key that is not there is NOT_FOUND; a read that failed says why. */
static void get_of_nothing_is_not_found(void **state)
{
    struct fixture *fixture = *state;
    ask(fixture, "KV_GET", port, "");
    finish_well(fixture);
    assert_non_null(strstr(hear(fixture), "\"NOT_FOUND\""));
    ask(fixture, "KV_GET", port, "");
    refuse(fixture, OSR_TIMEOUT);
    const char *heard = hear(fixture);
    assert_non_null(strstr(heard, "\"TIMEOUT\""));
    assert_null(strstr(heard, "nobody knows"));
}

/* An answer waits until there is memory for it: who does not read cannot fill it with values. */
static void get_waits_for_memory(void **state)
{
    struct fixture *fixture = *state;
    struct osr_reply_memory *replies = osr_sessions_replies(fixture->sessions);
    struct osr_reply_part all = {0};
    put_port(fixture, 7);
    osr_reply_memory_hold(replies, &all, OSR_REPLY_BYTES_MAX);
    ask(fixture, "KV_GET", port, "");
    finish_well(fixture);
    assert_string_equal(hear(fixture), "");
    osr_reply_memory_hold(replies, &all, 0);
    assert_non_null(strstr(hear(fixture), "\"index\":7"));
}

/* Of values that could not be read nobody hears that a key is not there: not even where an answer
 * that was fine once waited for memory. */
static void broken_values_lack_nothing(void **state)
{
    struct fixture *fixture = *state;
    struct osr_reply_memory *replies = osr_sessions_replies(fixture->sessions);
    struct osr_reply_part all = {0};
    osr_reply_memory_hold(replies, &all, OSR_REPLY_BYTES_MAX);
    ask(fixture, "KV_GET", port, "");
    finish_well(fixture);
    fixture->is_broken = true;
    osr_reply_memory_hold(replies, &all, 0);
    assert_non_null(strstr(hear(fixture), "\"UNAVAILABLE\""));
}

/* The connection breaks, rather than being closed at the other end, which may still be answered. */
static void hang_up(struct fixture *fixture)
{
    osr_session_close(fixture->session);
    close(fixture->fd);
    fixture->fd = -1;
    turn(fixture);
    assert_int_equal(osr_sessions_count(fixture->sessions), 0);
}

/* Who has gone is waited for by nobody: the engine is told, and no memory is waited for. */
static void callers_may_go(void **state)
{
    struct fixture *fixture = *state;
    struct osr_reply_memory *replies = osr_sessions_replies(fixture->sessions);
    struct osr_reply_part all = {0};
    struct osr_err err;
    put_port(fixture, 7);
    osr_reply_memory_hold(replies, &all, OSR_REPLY_BYTES_MAX);
    ask(fixture, "KV_GET", port, "");
    finish_well(fixture);
    hang_up(fixture);
    osr_reply_memory_hold(replies, &all, 0);
    turn(fixture);
    static const char *const types[] = {"KV_GET", "KV_PUT", "KV_DEL"};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        assert_int_equal(dial_and_wait(&fixture->url, 1000, &fixture->fd, &err), 0);
        ask(fixture, types[i], port, "");
        assert_non_null(fixture->asked.done);
        hang_up(fixture);
        assert_null(fixture->asked.done);
    }
}

/* ---- limits ---- */

/* A value with so many zero bytes, as a field. */
static char *value_of(size_t size)
{
    struct osr_buffer text = {0};
    uint8_t *zeros = osr_alloc(size + 1);
    osr_buffer_add_text(&text, ",\"value\":\"");
    osr_base64_encode(&text, osr_slice(zeros, size));
    osr_buffer_add_text(&text, "\"");
    osr_buffer_add_u8(&text, '\0');
    free(zeros);
    return (char *)text.data;
}

/* Keys, values and times that are too long are refused by their names, and the longest taken. */
static void limits_hold(void **state)
{
    struct fixture *fixture = *state;
    static const char *const types[] = {"KV_GET", "KV_PUT", "KV_DEL"};
    uint8_t bytes[OSR_VALUE_KEY_BYTES_MAX + 1];
    memset(bytes, 0xff, sizeof(bytes));
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        ask(fixture, types[i], osr_slice(bytes, 0), "");
        assert_non_null(strstr(hear(fixture), "\"INVALID_ARGUMENT\""));
        ask(fixture, types[i], osr_slice(bytes, sizeof(bytes)), "");
        assert_non_null(strstr(hear(fixture), "\"TOO_LARGE\""));
        ask(fixture, types[i], port, ",\"timeout_ms\":3600001");
        assert_non_null(strstr(hear(fixture), "timeout_ms"));
        assert_null(fixture->asked.done);
    }
    char *longest = value_of(OSR_KV_VALUE_BYTES_MAX);
    ask(fixture, "KV_PUT", osr_slice(bytes, OSR_VALUE_KEY_BYTES_MAX), longest);
    apply(fixture, 7);
    assert_non_null(strstr(hear(fixture), "\"index\":7"));
    ask(fixture, "KV_GET", osr_slice(bytes, OSR_VALUE_KEY_BYTES_MAX), "");
    finish_well(fixture);
    assert_non_null(strstr(hear(fixture), longest + 1));
    free(longest);
    char *longer = value_of(OSR_KV_VALUE_BYTES_MAX + 1);
    ask(fixture, "KV_PUT", port, longer);
    assert_non_null(strstr(hear(fixture), "\"TOO_LARGE\""));
    assert_null(fixture->asked.done);
    free(longer);
}

int main(void)
{
    signal(SIGPIPE, SIG_IGN); /* callers go */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(put_is_answered_once_applied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(conflict_says_how_the_key_stands, set_up, tear_down),
        cmocka_unit_test_setup_teardown(remove_of_nothing_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failed_write_says_what_is_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(get_reads_once_the_engine_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(get_of_nothing_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(get_waits_for_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(broken_values_lack_nothing, set_up, tear_down),
        cmocka_unit_test_setup_teardown(callers_may_go, set_up, tear_down),
        cmocka_unit_test_setup_teardown(limits_hold, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
