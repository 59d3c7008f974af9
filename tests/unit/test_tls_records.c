/* What becomes of bytes: as they were written, or an error; and ends. Who is let in is in
 * test_tls_certificates.c and its like. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "lib/tls_fixture.h"

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_BYTES_MAX = 16 << 10,
    RECORDS_PER_KEY_MAX = 1 << 18, /* what the header promises about long links (tls.c) */
};

/* The pair is up at a test's start. */
static int set_up(void **state)
{
    tls_set_up(state);
    struct tls_fixture *fixture = *state;
    fixture->server_options.proofs = TLS_CERTIFICATE | TLS_NOTHING;
    tls_shake_hands(fixture);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_true(osr_tls_is_up(fixture->pair.client.tls));
    return 0;
}

static struct osr_buffer record_of(struct osr_tls_side *side, const char *text)
{
    tls_write_text(side, text);
    return tls_taken_from(side);
}

/* Gives bytes in pieces of 1 to `piece_max` bytes. */
static void give_in_pieces(struct osr_tls_side *side, struct osr_slice bytes, uint32_t piece_max,
                           struct osr_random *random)
{
    while (bytes.size > 0) {
        size_t size = 1 + osr_random_below(random, piece_max);
        size = size < bytes.size ? size : bytes.size;
        osr_tls_side_receive(side, osr_slice(bytes.data, size));
        bytes = osr_slice(bytes.data + size, bytes.size - size);
    }
}

/* -- as they were written -- */

static struct osr_buffer random_bytes(size_t size, struct osr_random *random)
{
    struct osr_buffer bytes = {0};
    osr_random_fill(random, osr_buffer_reserve(&bytes, size), size);
    bytes.size = size;
    return bytes;
}

static void assert_crosses(struct osr_tls_side *from, struct osr_tls_side *to, size_t size,
                           uint32_t piece_max, struct osr_random *random)
{
    struct osr_buffer written = random_bytes(size, random);
    struct osr_buffer read = {0};

    osr_tls_write(from->tls, osr_buffer_slice(&written));
    struct osr_buffer bytes = tls_taken_from(from);
    give_in_pieces(to, osr_buffer_slice(&bytes), piece_max, random);
    for (;;) {
        size_t room = 1 + osr_random_below(random, 3 * (uint64_t)piece_max);
        size_t got = osr_tls_read(to->tls, osr_buffer_reserve(&read, room), room);
        if (got == 0) {
            break;
        }
        read.size += got;
    }
    assert_int_equal(to->code, 0);
    assert_true(osr_slice_equal(osr_buffer_slice(&read), osr_buffer_slice(&written)));
    osr_buffer_done(&bytes);
    osr_buffer_done(&read);
    osr_buffer_done(&written);
}

/* Bytes arrive as they were written, in both directions, however the carrier cuts them and
 * however they are read. */
static void bytes_come_as_they_were_written(void **state)
{
    struct tls_fixture *fixture = *state;
    static const size_t sizes[] = {1,     511,   512,   513,    RECORD_BYTES_MAX - 1,
                                   16384, 16385, 65536, 300000, 1 << 20};
    static const uint32_t pieces[] = {100, 5000, 70000, 2 << 20};
    struct osr_random random;

    osr_random_init(&random, 1);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        for (size_t j = 0; j < sizeof(pieces) / sizeof(pieces[0]); j++) {
            assert_crosses(&fixture->pair.client, &fixture->pair.server, sizes[i], pieces[j],
                           &random);
            assert_crosses(&fixture->pair.server, &fixture->pair.client, sizes[i], pieces[j],
                           &random);
        }
    }
}

/* A handshake succeeds when each byte comes alone. */
static void handshake_may_come_byte_by_byte(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_random random;
    size_t said;

    osr_random_init(&random, 1);
    tls_open(fixture);
    do {
        struct osr_buffer to_server = tls_taken_from(&fixture->pair.client);
        give_in_pieces(&fixture->pair.server, osr_buffer_slice(&to_server), 1, &random);
        struct osr_buffer to_client = tls_taken_from(&fixture->pair.server);
        give_in_pieces(&fixture->pair.client, osr_buffer_slice(&to_client), 1, &random);
        said = to_server.size + to_client.size;
        osr_buffer_done(&to_server);
        osr_buffer_done(&to_client);
    } while (said > 0);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_true(osr_tls_is_up(fixture->pair.client.tls));
}

/* What a client writes at once behind its handshake is no part of it, and does not count against
 * the handshake's limit. */
static void data_may_come_along_with_the_handshake(void **state)
{
    struct tls_fixture *fixture = *state;
    static uint8_t data[4 * OSR_TLS_HANDSHAKE_BYTES_MAX];
    static uint8_t read[sizeof(data)];

    tls_open(fixture);
    osr_tls_carry(&fixture->pair.client, &fixture->pair.server);
    osr_tls_carry(&fixture->pair.server, &fixture->pair.client);
    memset(data, 'x', sizeof(data));
    osr_tls_write(fixture->pair.client.tls, osr_slice(data, sizeof(data)));
    osr_tls_carry(&fixture->pair.client, &fixture->pair.server);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_equal(osr_tls_read(fixture->pair.server.tls, read, sizeof(read)), sizeof(data));
    assert_memory_equal(read, data, sizeof(data));
}

/* What is written is not found in what goes over the wire; nor who the client is. */
static void nothing_can_be_read_on_the_wire(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_buffer wire = {0};
    size_t before;

    tls_open(fixture);
    do {
        before = wire.size;
        struct osr_buffer bytes = tls_taken_from(&fixture->pair.client);
        osr_buffer_add(&wire, bytes.data, bytes.size);
        osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&bytes));
        osr_buffer_done(&bytes);
        osr_tls_carry(&fixture->pair.server, &fixture->pair.client);
    } while (wire.size > before);
    struct osr_buffer record = record_of(&fixture->pair.client, "a well-kept secret");
    osr_buffer_add(&wire, record.data, record.size);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_null(memmem(wire.data, wire.size, "secret", strlen("secret")));
    assert_null(memmem(wire.data, wire.size, "user:ana", strlen("user:ana")));
    osr_buffer_done(&record);
    osr_buffer_done(&wire);
}

/* -- tampered with -- */

/* A record that was altered, wherever, ends the session; what came before it can be read. */
static void altered_record_ends_the_session(void **state)
{
    struct tls_fixture *fixture = *state;
    static const size_t places[] = {RECORD_HEADER_BYTES, 8, 12, 20};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        tls_open(fixture);
        osr_tls_pair_talk(&fixture->pair);
        struct osr_buffer bytes = record_of(&fixture->pair.client, "good");
        struct osr_buffer bad = record_of(&fixture->pair.client, "worse");
        bad.data[places[i]] ^= 1;
        osr_buffer_add(&bytes, bad.data, bad.size);
        osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&bytes));
        assert_told(&fixture->pair.server, OSR_MALFORMED,
                    "the client sent a record that was altered, doubled or lost on the way");
        assert_reads(&fixture->pair.server, "good");
        assert_true(osr_tls_carry(&fixture->pair.server, &fixture->pair.client)); /* the alert */
        assert_told(&fixture->pair.client, OSR_MALFORMED,
                    "the server received a record that was altered");
        osr_buffer_done(&bad);
        osr_buffer_done(&bytes);
    }
}

/* A length that cannot be is refused at its header, without waiting for the bytes. */
static void overlong_record_ends_the_session(void **state)
{
    struct tls_fixture *fixture = *state;
    static const uint8_t header[] = {23, 3, 3, 0xff, 0xff};

    osr_tls_side_receive(&fixture->pair.server, osr_slice(header, sizeof(header)));
    assert_int_equal(fixture->pair.server.code, OSR_MALFORMED);
}

/* A record that comes twice ends the session. */
static void doubled_record_ends_the_session(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_buffer record = record_of(&fixture->pair.client, "once");

    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_int_equal(fixture->pair.server.code, 0);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_told(&fixture->pair.server, OSR_MALFORMED, "altered, doubled or lost");
    assert_reads(&fixture->pair.server, "once");
    osr_buffer_done(&record);
}

/* So does one that is missing, or comes too early. */
static void lost_record_ends_the_session(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_buffer lost = record_of(&fixture->pair.client, "first");
    struct osr_buffer record = record_of(&fixture->pair.client, "second");

    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_told(&fixture->pair.server, OSR_MALFORMED, "altered, doubled or lost");
    assert_reads(&fixture->pair.server, "");
    osr_buffer_done(&record);
    osr_buffer_done(&lost);
}

/* After a failure nothing works any more, and nothing breaks. */
static void failed_session_stays_failed(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls *server = fixture->pair.server.tls;
    struct osr_err err;
    static const uint8_t garbage[] = {23, 3,  3,  0,  30, 1,  2,  3,  4,  5,  6,  7,
                                      8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};

    osr_tls_side_receive(&fixture->pair.server, osr_slice(garbage, sizeof(garbage)));
    assert_int_equal(fixture->pair.server.code, OSR_MALFORMED);
    struct osr_buffer alert = tls_taken_from(&fixture->pair.server);
    assert_int_not_equal(alert.size, 0);
    osr_buffer_done(&alert);

    struct osr_buffer record = record_of(&fixture->pair.client, "too late");
    assert_int_equal(osr_tls_receive(server, osr_buffer_slice(&record), &err), OSR_MALFORMED);
    assert_string_equal(err.message, "this TLS session has failed before");
    assert_int_equal(osr_tls_receive_end(server, &err), OSR_MALFORMED);
    osr_tls_write(server, osr_slice_text("unheard"));
    osr_tls_end(server);
    assert_false(osr_tls_produce(server, &record));
    osr_buffer_done(&record);
}

/* The bytes of an earlier handshake do not open a second one. */
static void replayed_handshake_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;

    tls_open(fixture);
    struct osr_buffer hello = tls_taken_from(&fixture->pair.client);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&hello));
    osr_tls_carry(&fixture->pair.server, &fixture->pair.client);
    tls_write_text(&fixture->pair.client, "pay 100");
    struct osr_buffer rest = tls_taken_from(&fixture->pair.client);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&rest));
    assert_reads(&fixture->pair.server, "pay 100");

    struct osr_tls_side again = osr_tls_side_open(&fixture->server_options);
    osr_tls_side_receive(&again, osr_buffer_slice(&hello));
    osr_tls_side_receive(&again, osr_buffer_slice(&rest));
    assert_told(&again, OSR_MALFORMED, "altered, doubled or lost");
    assert_false(osr_tls_is_up(again.tls));
    assert_reads(&again, "");
    osr_tls_side_close(&again);
    osr_buffer_done(&hello);
    osr_buffer_done(&rest);
}

/* -- ends -- */

/* Each direction ends by itself: what is written after the other's end still arrives. */
static void sessions_end_in_good_order(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_pair *pair = &fixture->pair;
    struct osr_err err;

    tls_write_text(&pair->client, "last words");
    osr_tls_end(pair->client.tls);
    osr_tls_end(pair->client.tls); /* once is enough */
    osr_tls_carry(&pair->client, &pair->server);
    assert_false(osr_tls_peer_has_ended(pair->server.tls)); /* they are still to be read */
    assert_reads(&pair->server, "last words");
    assert_true(osr_tls_peer_has_ended(pair->server.tls));
    assert_int_equal(osr_tls_receive_end(pair->server.tls, &err), 0);

    tls_write_text(&pair->server, "heard");
    osr_tls_end(pair->server.tls);
    osr_tls_carry(&pair->server, &pair->client);
    assert_reads(&pair->client, "heard");
    assert_true(osr_tls_peer_has_ended(pair->client.tls));
    assert_int_equal(osr_tls_receive_end(pair->client.tls, &err), 0);
}

/* What comes behind the end means nothing. */
static void bytes_after_the_end_are_ignored(void **state)
{
    struct tls_fixture *fixture = *state;

    osr_tls_end(fixture->pair.client.tls);
    struct osr_buffer bytes = tls_taken_from(&fixture->pair.client);
    osr_buffer_add_text(&bytes, "GARBAGE");
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&bytes));
    osr_tls_side_receive(&fixture->pair.server, osr_slice_text("MORE"));
    assert_int_equal(fixture->pair.server.code, 0);
    assert_true(osr_tls_peer_has_ended(fixture->pair.server.tls));
    osr_buffer_done(&bytes);
}

/* A carrier that ends without the session's end has been cut off: behind a record, within one, or
 * in the middle of a handshake. */
static void cut_connection_is_told_from_one_that_ended(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_err err;

    struct osr_buffer record = record_of(&fixture->pair.client, "whole");
    osr_tls_side_receive(&fixture->pair.server, osr_slice(record.data, record.size));
    assert_int_equal(osr_tls_receive_end(fixture->pair.server.tls, &err), OSR_MALFORMED);
    assert_non_null(strstr(err.message, "the connection was cut off: the client did not end"));
    assert_reads(&fixture->pair.server, "whole");
    osr_buffer_done(&record);

    record = record_of(&fixture->pair.server, "half");
    osr_tls_side_receive(&fixture->pair.client, osr_slice(record.data, record.size / 2));
    assert_int_equal(fixture->pair.client.code, 0);
    assert_reads(&fixture->pair.client, "");
    assert_int_equal(osr_tls_receive_end(fixture->pair.client.tls, &err), OSR_MALFORMED);
    osr_buffer_done(&record);

    tls_open(fixture);
    osr_tls_carry(&fixture->pair.client, &fixture->pair.server);
    assert_int_equal(osr_tls_receive_end(fixture->pair.server.tls, &err), OSR_MALFORMED);
    assert_non_null(strstr(err.message, "in the middle of the TLS handshake with the client"));
}

/* -- our own bugs -- */

/* Whether the child that did this died by an assertion. */
static void assert_aborts(struct osr_tls *tls, void (*action)(struct osr_tls *tls))
{
    pid_t child = fork();
    int status = 0;

    assert_true(child >= 0);
    if (child == 0) {
        const struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        if (freopen("/dev/null", "w", stderr) == NULL) {
            _exit(1);
        }
        signal(SIGABRT, SIG_DFL);
        action(tls);
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void write_something(struct osr_tls *tls)
{
    osr_tls_write(tls, osr_slice_text("x"));
}

static void ask_for_peer(struct osr_tls *tls)
{
    osr_tls_peer(tls);
}

/* Nothing can be written to whom nobody knows yet, nor behind the end. */
static void writing_at_the_wrong_time_is_a_bug(void **state)
{
    struct tls_fixture *fixture = *state;

    osr_tls_end(fixture->pair.client.tls);
    assert_aborts(fixture->pair.client.tls, write_something);
    tls_open(fixture);
    assert_aborts(fixture->pair.client.tls, write_something);
    assert_aborts(fixture->pair.server.tls, write_something);
    assert_aborts(fixture->pair.server.tls, ask_for_peer);
}

/* -- long links -- */

/* A link that lives long gets new keys by itself, long before AES-GCM's proofs end. */
static void keys_change_after_many_records(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_side *client = &fixture->pair.client;
    struct osr_tls_side *server = &fixture->pair.server;
    size_t usual = 0;

    for (size_t i = 0; i < RECORDS_PER_KEY_MAX + 2; i++) {
        struct osr_buffer bytes = {0};
        char byte;
        osr_tls_write(client->tls, osr_slice_text("x"));
        osr_tls_produce(client->tls, &bytes);
        usual = i == 0 ? bytes.size : usual;
        assert_int_equal(bytes.size > usual, i == RECORDS_PER_KEY_MAX);
        osr_tls_receive(server->tls, osr_buffer_slice(&bytes), NULL);
        assert_int_equal(osr_tls_read(server->tls, &byte, 1), 1);
        osr_buffer_done(&bytes);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(bytes_come_as_they_were_written),
        TEST(handshake_may_come_byte_by_byte),
        TEST(data_may_come_along_with_the_handshake),
        TEST(nothing_can_be_read_on_the_wire),
        TEST(altered_record_ends_the_session),
        TEST(overlong_record_ends_the_session),
        TEST(doubled_record_ends_the_session),
        TEST(lost_record_ends_the_session),
        TEST(failed_session_stays_failed),
        TEST(replayed_handshake_is_refused),
        TEST(sessions_end_in_good_order),
        TEST(bytes_after_the_end_are_ignored),
        TEST(cut_connection_is_told_from_one_that_ended),
        TEST(writing_at_the_wrong_time_is_a_bug),
        TEST(keys_change_after_many_records),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
