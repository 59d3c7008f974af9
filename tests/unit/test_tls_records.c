/* What becomes of bytes: as they were written, or an error; limits; and peers with OpenSSL as it
 * comes, which do what ours would not. Who is let in is in test_tls.c. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "base/random.h"
#include "lib/tls_pair.h"

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_BYTES_MAX = 16 << 10,
    /* What the header promises about floods and long links (tls.c). */
    LATE_MESSAGES_MAX = 16,
    RECORDS_PER_KEY_MAX = 1 << 18,
};

static const char key_name[] = "backup";
static const char secret_text[] = "0123456789abcdef0123456789abcdef";

struct fixture {
    struct osr_party authority;
    struct osr_party server;
    struct osr_party client;
    struct osr_tls_options server_options;
    struct osr_tls_options client_options;
    struct osr_tls_pair pair; /* up at a test's start */
};

static void open_pair(struct fixture *fixture)
{
    osr_tls_pair_close(&fixture->pair);
    osr_tls_pair_open(&fixture->pair, &fixture->client_options, &fixture->server_options);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    const unsigned certificate = 1u << OSR_TLS_PROOF_CERTIFICATE;

    fixture->authority = osr_party_authority("lab");
    fixture->server = osr_party_of(&fixture->authority, "lab", "user:server");
    fixture->client = osr_party_of(&fixture->authority, "lab", "user:ana");
    fixture->server_options = osr_party_options(true, &fixture->server);
    fixture->server_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->server_options.proofs = certificate | 1u << OSR_TLS_PROOF_NONE;
    fixture->client_options = osr_party_options(false, &fixture->client);
    fixture->client_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->client_options.proofs = certificate;
    open_pair(fixture);
    osr_tls_pair_talk(&fixture->pair);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_true(osr_tls_is_up(fixture->pair.client.tls));
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    osr_tls_pair_close(&fixture->pair);
    osr_party_done(&fixture->authority);
    osr_party_done(&fixture->server);
    osr_party_done(&fixture->client);
    free(fixture);
    return 0;
}

static void write_text(struct osr_tls_side *side, const char *text)
{
    osr_tls_write(side->tls, osr_slice_text(text));
}

static void assert_reads(struct osr_tls_side *side, const char *text)
{
    char read[64];
    size_t size = osr_tls_read(side->tls, read, sizeof(read) - 1);

    read[size] = '\0';
    assert_string_equal(read, text);
}

static void assert_failed(const struct osr_tls_side *side, enum osr_code code, const char *message)
{
    assert_int_equal(side->code, code);
    if (strstr(side->err.message, message) == NULL) {
        assert_string_equal(side->err.message, message);
    }
}

/* What the side has to say, to be tampered with. */
static struct osr_buffer taken_from(struct osr_tls_side *side)
{
    struct osr_buffer bytes = {0};
    osr_tls_produce(side->tls, &bytes);
    return bytes;
}

static struct osr_buffer record_of(struct osr_tls_side *side, const char *text)
{
    write_text(side, text);
    return taken_from(side);
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
    struct osr_buffer bytes = taken_from(from);
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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
    struct osr_random random;
    size_t said;

    osr_random_init(&random, 1);
    open_pair(fixture);
    do {
        struct osr_buffer to_server = taken_from(&fixture->pair.client);
        give_in_pieces(&fixture->pair.server, osr_buffer_slice(&to_server), 1, &random);
        struct osr_buffer to_client = taken_from(&fixture->pair.server);
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
    struct fixture *fixture = *state;
    static uint8_t data[4 * OSR_TLS_HANDSHAKE_BYTES_MAX];
    static uint8_t read[sizeof(data)];

    open_pair(fixture);
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
    struct fixture *fixture = *state;
    struct osr_buffer wire = {0};
    size_t before;

    open_pair(fixture);
    do {
        before = wire.size;
        struct osr_buffer bytes = taken_from(&fixture->pair.client);
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
    struct fixture *fixture = *state;
    static const size_t places[] = {RECORD_HEADER_BYTES, 8, 12, 20};

    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        open_pair(fixture);
        osr_tls_pair_talk(&fixture->pair);
        struct osr_buffer bytes = record_of(&fixture->pair.client, "good");
        struct osr_buffer bad = record_of(&fixture->pair.client, "worse");
        bad.data[places[i]] ^= 1;
        osr_buffer_add(&bytes, bad.data, bad.size);
        osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&bytes));
        assert_failed(&fixture->pair.server, OSR_MALFORMED,
                      "the client sent a record that was altered, doubled or lost on the way");
        assert_reads(&fixture->pair.server, "good");
        assert_true(osr_tls_carry(&fixture->pair.server, &fixture->pair.client)); /* the alert */
        assert_failed(&fixture->pair.client, OSR_MALFORMED,
                      "the server received a record that was altered");
        osr_buffer_done(&bad);
        osr_buffer_done(&bytes);
    }
}

/* A length that cannot be is refused at its header, without waiting for the bytes. */
static void overlong_record_ends_the_session(void **state)
{
    struct fixture *fixture = *state;
    static const uint8_t header[] = {23, 3, 3, 0xff, 0xff};

    osr_tls_side_receive(&fixture->pair.server, osr_slice(header, sizeof(header)));
    assert_int_equal(fixture->pair.server.code, OSR_MALFORMED);
}

/* A record that comes twice ends the session. */
static void doubled_record_ends_the_session(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer record = record_of(&fixture->pair.client, "once");

    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_int_equal(fixture->pair.server.code, 0);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_failed(&fixture->pair.server, OSR_MALFORMED, "altered, doubled or lost");
    assert_reads(&fixture->pair.server, "once");
    osr_buffer_done(&record);
}

/* So does one that is missing, or comes too early. */
static void lost_record_ends_the_session(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer lost = record_of(&fixture->pair.client, "first");
    struct osr_buffer record = record_of(&fixture->pair.client, "second");

    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&record));
    assert_failed(&fixture->pair.server, OSR_MALFORMED, "altered, doubled or lost");
    assert_reads(&fixture->pair.server, "");
    osr_buffer_done(&record);
    osr_buffer_done(&lost);
}

/* After a failure nothing works any more, and nothing breaks. */
static void failed_session_stays_failed(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls *server = fixture->pair.server.tls;
    struct osr_err err;
    static const uint8_t garbage[] = {23, 3,  3,  0,  30, 1,  2,  3,  4,  5,  6,  7,
                                      8,  9,  10, 11, 12, 13, 14, 15, 16, 17, 18, 19,
                                      20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30};

    osr_tls_side_receive(&fixture->pair.server, osr_slice(garbage, sizeof(garbage)));
    assert_int_equal(fixture->pair.server.code, OSR_MALFORMED);
    struct osr_buffer alert = taken_from(&fixture->pair.server);
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
    struct fixture *fixture = *state;

    open_pair(fixture);
    struct osr_buffer hello = taken_from(&fixture->pair.client);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&hello));
    osr_tls_carry(&fixture->pair.server, &fixture->pair.client);
    write_text(&fixture->pair.client, "pay 100");
    struct osr_buffer rest = taken_from(&fixture->pair.client);
    osr_tls_side_receive(&fixture->pair.server, osr_buffer_slice(&rest));
    assert_reads(&fixture->pair.server, "pay 100");

    struct osr_tls_side again = osr_tls_side_open(&fixture->server_options);
    osr_tls_side_receive(&again, osr_buffer_slice(&hello));
    osr_tls_side_receive(&again, osr_buffer_slice(&rest));
    assert_failed(&again, OSR_MALFORMED, "altered, doubled or lost");
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
    struct fixture *fixture = *state;
    struct osr_tls_pair *pair = &fixture->pair;
    struct osr_err err;

    write_text(&pair->client, "last words");
    osr_tls_end(pair->client.tls);
    osr_tls_end(pair->client.tls); /* once is enough */
    osr_tls_carry(&pair->client, &pair->server);
    assert_false(osr_tls_peer_has_ended(pair->server.tls)); /* they are still to be read */
    assert_reads(&pair->server, "last words");
    assert_true(osr_tls_peer_has_ended(pair->server.tls));
    assert_int_equal(osr_tls_receive_end(pair->server.tls, &err), 0);

    write_text(&pair->server, "heard");
    osr_tls_end(pair->server.tls);
    osr_tls_carry(&pair->server, &pair->client);
    assert_reads(&pair->client, "heard");
    assert_true(osr_tls_peer_has_ended(pair->client.tls));
    assert_int_equal(osr_tls_receive_end(pair->client.tls, &err), 0);
}

/* What comes behind the end means nothing. */
static void bytes_after_the_end_are_ignored(void **state)
{
    struct fixture *fixture = *state;

    osr_tls_end(fixture->pair.client.tls);
    struct osr_buffer bytes = taken_from(&fixture->pair.client);
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
    struct fixture *fixture = *state;
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

    open_pair(fixture);
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
    struct fixture *fixture = *state;

    osr_tls_end(fixture->pair.client.tls);
    assert_aborts(fixture->pair.client.tls, write_something);
    open_pair(fixture);
    assert_aborts(fixture->pair.client.tls, write_something);
    assert_aborts(fixture->pair.server.tls, write_something);
    assert_aborts(fixture->pair.server.tls, ask_for_peer);
}

/* -- peers that are not ours -- */

/* OpenSSL as it comes, by two of its own BIOs. */
struct foreign {
    SSL_CTX *context;
    SSL *ssl;
    BIO *in;
    BIO *out;
};

static struct foreign foreign_context(const SSL_METHOD *method)
{
    struct foreign foreign = {.context = SSL_CTX_new(method)};
    assert_non_null(foreign.context);
    return foreign;
}

static void foreign_start(struct foreign *foreign, bool is_server)
{
    foreign->ssl = SSL_new(foreign->context);
    foreign->in = BIO_new(BIO_s_mem());
    foreign->out = BIO_new(BIO_s_mem());
    SSL_set_bio(foreign->ssl, foreign->in, foreign->out);
    if (is_server) {
        SSL_set_accept_state(foreign->ssl);
    } else {
        SSL_set_connect_state(foreign->ssl);
    }
}

static void foreign_done(struct foreign *foreign)
{
    SSL_free(foreign->ssl);
    SSL_CTX_free(foreign->context);
    ERR_clear_error();
}

static void give_foreign_output(struct foreign *foreign, struct osr_tls_side *side)
{
    char *bytes;
    long size = BIO_get_mem_data(foreign->out, &bytes);

    ERR_clear_error();
    osr_tls_side_receive(side, osr_slice(bytes, (size_t)size));
    (void)BIO_reset(foreign->out);
}

/* Until neither has anything to say. */
static void talk_to_foreign(struct foreign *foreign, struct osr_tls_side *side)
{
    struct osr_buffer bytes = {0};
    do {
        SSL_do_handshake(foreign->ssl);
        give_foreign_output(foreign, side);
        bytes.size = 0;
        osr_tls_produce(side->tls, &bytes);
        BIO_write(foreign->in, bytes.data, (int)bytes.size);
    } while (bytes.size > 0);
    osr_buffer_done(&bytes);
    ERR_clear_error();
}

/* A client that speaks TLS 1.2 at most is refused, and is told so by an alert. */
static void older_client_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_context(TLS_client_method());

    SSL_CTX_set_max_proto_version(foreign.context, TLS1_2_VERSION);
    foreign_start(&foreign, false);
    open_pair(fixture);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_failed(&fixture->pair.server, OSR_UNSUPPORTED_VERSION,
                  "the client does not speak TLS 1.3");
    assert_int_not_equal(SSL_do_handshake(foreign.ssl), 1);
    foreign_done(&foreign);
}

/* So is such a server, by our client. */
static void older_server_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_context(TLS_server_method());

    SSL_CTX_set_max_proto_version(foreign.context, TLS1_2_VERSION);
    foreign_start(&foreign, true);
    open_pair(fixture);
    talk_to_foreign(&foreign, &fixture->pair.client);
    assert_failed(&fixture->pair.client, OSR_UNSUPPORTED_VERSION,
                  "the server does not take TLS 1.3");
    foreign_done(&foreign);
}

/* A peer without TLS is told from one whose TLS is broken. */
static void plaintext_is_told_as_such(void **state)
{
    struct fixture *fixture = *state;
    static const char *const texts[] = {"{\"type\":\"HELLO\"}\n", "GET / HTTP/1.1\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "xxxxx"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        open_pair(fixture);
        osr_tls_side_receive(&fixture->pair.server, osr_slice_text(texts[i]));
        assert_failed(&fixture->pair.server, OSR_MALFORMED, "the client does not speak TLS");
        osr_tls_side_receive(&fixture->pair.client, osr_slice_text(texts[i]));
        assert_failed(&fixture->pair.client, OSR_MALFORMED, "the server does not speak TLS");
    }
}

/* A handshake that goes on and on is cut at its limit. */
static void endless_handshake_is_refused(void **state)
{
    struct fixture *fixture = *state;
    static uint8_t record[RECORD_HEADER_BYTES + RECORD_BYTES_MAX] = {
        22, 3, 1, RECORD_BYTES_MAX >> 8,
        0,           /* a record of the handshake ... */
        1,  1, 0, 0, /* ... with the first piece of a hello of 64 KiB */
    };
    size_t given = 0;

    open_pair(fixture);
    while (fixture->pair.server.code == 0 && given <= OSR_TLS_HANDSHAKE_BYTES_MAX) {
        osr_tls_side_receive(&fixture->pair.server, osr_slice(record, sizeof(record)));
        given += sizeof(record);
        memset(record + RECORD_HEADER_BYTES, 0, 4);
    }
    assert_failed(&fixture->pair.server, OSR_TOO_LARGE,
                  "the client sent over 65536 bytes of TLS handshake");
    assert_true(given <= OSR_TLS_HANDSHAKE_BYTES_MAX + sizeof(record));
}

static SSL_SESSION *foreign_key_session(SSL *ssl)
{
    static const unsigned char aes_256_gcm_sha384[] = {0x13, 0x02};
    SSL_SESSION *session = SSL_SESSION_new();

    assert_int_equal(
        SSL_SESSION_set1_master_key(session, (const uint8_t *)secret_text, strlen(secret_text)), 1);
    assert_int_equal(SSL_SESSION_set_cipher(session, SSL_CIPHER_find(ssl, aes_256_gcm_sha384)), 1);
    assert_int_equal(SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION), 1);
    return session;
}

static int find_foreign_key(SSL *ssl, const unsigned char *name, size_t size, SSL_SESSION **ret)
{
    *ret = size == strlen(key_name) && memcmp(name, key_name, size) == 0 ? foreign_key_session(ssl)
                                                                         : NULL;
    return 1;
}

static struct osr_tls_side open_client_with_key(void)
{
    const struct osr_tls_shared_key key = {key_name, osr_slice_text(secret_text)};
    struct osr_tls_options options = osr_party_options(false, NULL);

    options.shared_keys = &key;
    options.shared_key_count = 1;
    options.proofs = 1u << OSR_TLS_PROOF_KEY;
    return osr_tls_side_open(&options);
}

/* A server of another make that asks for another hello, as it takes P-256 alone, still gets our
 * shared key. */
static void shared_key_is_offered_again_after_a_retry(void **state)
{
    (void)state;
    struct foreign foreign = foreign_context(TLS_server_method());
    struct osr_tls_side client = open_client_with_key();

    assert_int_equal(SSL_CTX_set1_groups_list(foreign.context, "P-256"), 1);
    SSL_CTX_set_psk_find_session_callback(foreign.context, find_foreign_key);
    foreign_start(&foreign, true);
    talk_to_foreign(&foreign, &client);
    assert_string_equal(client.err.message, "");
    assert_true(osr_tls_is_up(client.tls));
    assert_int_equal(osr_tls_peer(client.tls)->proof, OSR_TLS_PROOF_KEY);
    osr_tls_side_close(&client);
    foreign_done(&foreign);
}

/* ... unless that server chooses a cipher with another hash: then it is a failure, not a link that
 * nobody has proven anything on. */
static void shared_key_does_not_fit_every_cipher(void **state)
{
    (void)state;
    struct foreign foreign = foreign_context(TLS_server_method());
    struct osr_tls_side client = open_client_with_key();

    assert_int_equal(SSL_CTX_set1_groups_list(foreign.context, "P-256"), 1);
    assert_int_equal(SSL_CTX_set_ciphersuites(foreign.context, "TLS_AES_128_GCM_SHA256"), 1);
    SSL_CTX_set_psk_find_session_callback(foreign.context, find_foreign_key);
    foreign_start(&foreign, true);
    talk_to_foreign(&foreign, &client);
    assert_failed(&client, OSR_UNAUTHENTICATED, "does not take the shared key \"backup\"");
    assert_false(osr_tls_is_up(client.tls));
    osr_tls_side_close(&client);
    foreign_done(&foreign);
}

static int offer_foreign_key(SSL *ssl, const EVP_MD *hash, const unsigned char **ret_name,
                             size_t *ret_size, SSL_SESSION **ret)
{
    static const unsigned char aes_128_gcm_sha256[] = {0x13, 0x01};
    (void)hash;

    *ret = foreign_key_session(ssl);
    SSL_SESSION_set_cipher(*ret, SSL_CIPHER_find(ssl, aes_128_gcm_sha256));
    *ret_name = (const unsigned char *)key_name;
    *ret_size = strlen(key_name);
    return 1;
}

/* The same for a client of another make, by our server. */
static void shared_key_needs_its_cipher(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_tls_shared_key key = {key_name, osr_slice_text(secret_text)};
    struct foreign foreign = foreign_context(TLS_client_method());

    fixture->server_options = osr_party_options(true, NULL);
    fixture->server_options.shared_keys = &key;
    fixture->server_options.shared_key_count = 1;
    fixture->server_options.proofs = 1u << OSR_TLS_PROOF_KEY;
    open_pair(fixture);
    assert_int_equal(SSL_CTX_set_ciphersuites(foreign.context, "TLS_AES_128_GCM_SHA256"), 1);
    SSL_CTX_set_psk_use_session_callback(foreign.context, offer_foreign_key);
    foreign_start(&foreign, false);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_failed(&fixture->pair.server, OSR_UNSUPPORTED_VERSION,
                  "the client cannot use the shared key \"backup\": it lacks "
                  "TLS_AES_256_GCM_SHA384");
    foreign_done(&foreign);
}

static struct foreign foreign_client(struct fixture *fixture)
{
    struct foreign foreign = foreign_context(TLS_client_method());

    foreign_start(&foreign, false);
    open_pair(fixture);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    return foreign;
}

/* The channel binding is the one of RFC 9266, as any other make has it. */
static void binding_is_that_of_the_standard(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);
    static const char label[] = "EXPORTER-Channel-Binding";
    uint8_t theirs[OSR_TLS_BINDING_SIZE];
    uint8_t ours[OSR_TLS_BINDING_SIZE];

    assert_int_equal(SSL_export_keying_material(foreign.ssl, theirs, sizeof(theirs), label,
                                                strlen(label), (const uint8_t *)"", 0, 1),
                     1);
    osr_tls_binding(fixture->pair.server.tls, ours);
    assert_memory_equal(ours, theirs, sizeof(ours));
    foreign_done(&foreign);
}

/* A client of another make gets no ticket: there is nothing to resume. */
static void no_ticket_is_given(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);
    char byte;

    assert_true(SSL_read(foreign.ssl, &byte, 1) <= 0);
    assert_int_equal(SSL_get_error(foreign.ssl, 0), SSL_ERROR_WANT_READ);
    assert_false(SSL_SESSION_is_resumable(SSL_get_session(foreign.ssl)));
    foreign_done(&foreign);
}

static void ask_for_new_keys(struct foreign *foreign, struct osr_tls_side *side)
{
    assert_int_equal(SSL_key_update(foreign->ssl, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(foreign->ssl), 1);
    give_foreign_output(foreign, side);
}

/* New keys may be asked for, but not over and over. */
static void flood_of_new_keys_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);

    for (int i = 0; i < LATE_MESSAGES_MAX; i++) {
        ask_for_new_keys(&foreign, &fixture->pair.server);
        assert_int_equal(fixture->pair.server.code, 0);
    }
    assert_int_equal(SSL_write(foreign.ssl, "fresh", 5), 5);
    give_foreign_output(&foreign, &fixture->pair.server);
    assert_reads(&fixture->pair.server, "fresh");
    ask_for_new_keys(&foreign, &fixture->pair.server);
    assert_failed(&fixture->pair.server, OSR_TOO_LARGE,
                  "the client asks for new keys over and over");
    foreign_done(&foreign);
}

/* New keys that are asked for of us are made with the next write. */
static void new_keys_are_made_on_demand(void **state)
{
    struct fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);
    char read[16];

    assert_int_equal(SSL_key_update(foreign.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(foreign.ssl), 1);
    give_foreign_output(&foreign, &fixture->pair.server);
    write_text(&fixture->pair.server, "fresh");
    struct osr_buffer bytes = taken_from(&fixture->pair.server);
    BIO_write(foreign.in, bytes.data, (int)bytes.size);
    assert_int_equal(SSL_read(foreign.ssl, read, sizeof(read)), 5);
    assert_memory_equal(read, "fresh", 5);
    osr_buffer_done(&bytes);
    foreign_done(&foreign);
}

static int put_much_into_ticket(SSL *ssl, void *unused)
{
    static const uint8_t much[2000];
    (void)unused;
    return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), much, sizeof(much));
}

static SSL_TICKET_RETURN ignore_ticket(SSL *ssl, SSL_SESSION *session, const unsigned char *name,
                                       size_t size, SSL_TICKET_STATUS status, void *unused)
{
    (void)ssl, (void)session, (void)name, (void)size, (void)status, (void)unused;
    return SSL_TICKET_RETURN_IGNORE;
}

/* A server with a short record size, whose tickets do not fit into one. */
static struct foreign server_with_long_tickets(struct fixture *fixture)
{
    struct foreign foreign = foreign_context(TLS_server_method());
    BIO *certificate =
        BIO_new_mem_buf(fixture->server.certificate.data, (int)fixture->server.certificate.size);
    BIO *key = BIO_new_mem_buf(fixture->server.key.data, (int)fixture->server.key.size);
    X509 *parsed = PEM_read_bio_X509(certificate, NULL, NULL, NULL);
    EVP_PKEY *parsed_key = PEM_read_bio_PrivateKey(key, NULL, NULL, NULL);

    assert_int_equal(SSL_CTX_use_certificate(foreign.context, parsed), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(foreign.context, parsed_key), 1);
    assert_int_equal(SSL_CTX_set_max_send_fragment(foreign.context, 512), 1);
    SSL_CTX_set_session_ticket_cb(foreign.context, put_much_into_ticket, ignore_ticket, NULL);
    foreign_start(&foreign, true);
    EVP_PKEY_free(parsed_key);
    X509_free(parsed);
    BIO_free(key);
    BIO_free(certificate);
    return foreign;
}

/* A server of another make may send tickets, which are of no use; but none of which half is yet to
 * come: until then OpenSSL would not write. */
static void ticket_in_pieces_is_refused(void **state)
{
    struct fixture *fixture = *state;
    char *bytes;

    for (int whole = 0; whole < 2; whole++) {
        struct foreign foreign = server_with_long_tickets(fixture);
        struct osr_buffer said = {0};
        open_pair(fixture);
        struct osr_tls_side *client = &fixture->pair.client;
        for (int i = 0; i < 2; i++) {
            osr_tls_produce(client->tls, &said);
            BIO_write(foreign.in, said.data, (int)said.size);
            said.size = 0;
            SSL_do_handshake(foreign.ssl);
            if (i == 0) {
                give_foreign_output(&foreign, client);
            }
        }
        long size = BIO_get_mem_data(foreign.out, &bytes);
        assert_true(size > 1000);
        osr_tls_side_receive(client, osr_slice(bytes, whole ? (size_t)size : 1000));
        osr_tls_write(client->tls, osr_slice_text("x"));
        if (whole) {
            assert_int_equal(client->code, 0);
        } else {
            assert_failed(client, OSR_MALFORMED, "in pieces after its end");
        }
        osr_buffer_done(&said);
        foreign_done(&foreign);
    }
}

/* A link that lives long gets new keys by itself, long before AES-GCM's proofs end. */
static void keys_change_after_many_records(void **state)
{
    struct fixture *fixture = *state;
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(older_client_is_refused),
        TEST(older_server_is_refused),
        TEST(plaintext_is_told_as_such),
        TEST(endless_handshake_is_refused),
        TEST(shared_key_is_offered_again_after_a_retry),
        TEST(shared_key_does_not_fit_every_cipher),
        TEST(shared_key_needs_its_cipher),
        TEST(binding_is_that_of_the_standard),
        TEST(no_ticket_is_given),
        TEST(flood_of_new_keys_is_refused),
        TEST(new_keys_are_made_on_demand),
        TEST(ticket_in_pieces_is_refused),
        TEST(keys_change_after_many_records),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
