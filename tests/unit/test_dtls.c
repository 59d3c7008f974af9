/* DTLS sessions and a server's door, over datagrams that the test carries, loses, doubles, mixes up
 * and alters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "adapter/dtls.h"
#include "base/random.h"
#include "lib/tls_fixture.h"

enum {
    DATAGRAMS_MAX = 256,
    ROUNDS_MAX = 4000,
};

/* What is on its way in one direction. */
struct wire {
    size_t count;
    size_t sizes[DATAGRAMS_MAX];
    uint8_t bytes[DATAGRAMS_MAX][OSR_DTLS_DATAGRAM_BYTES];
};

struct end {
    struct osr_dtls *dtls;
    int code;
    struct osr_err err;
    struct wire out;
    size_t packets; /* that came */
    uint8_t packet[OSR_DTLS_RECORD_BYTES_MAX];
    size_t packet_size;
};

struct pair {
    struct tls_fixture *tls;
    struct osr_tls_context *server_context;
    struct osr_tls_context *client_context;
    struct osr_dtls_door *door;
    struct end client;
    struct end server; /* dtls NULL: still at the door */
    const char *sender;
    uint64_t now_ms;
    /* What the network does. */
    struct osr_random random;
    double loses, doubles, mixes_up;
};

static int set_up(void **state)
{
    struct pair *pair = osr_alloc(sizeof(*pair));
    void *tls;
    tls_set_up(&tls);
    pair->tls = tls;
    pair->tls->server_options.is_datagram = true;
    pair->tls->client_options.is_datagram = true;
    pair->sender = "192.0.2.1:7";
    osr_random_init(&pair->random, 7);
    *state = pair;
    return 0;
}

static void close_pair(struct pair *pair)
{
    osr_dtls_destroy(pair->client.dtls);
    osr_dtls_destroy(pair->server.dtls);
    osr_dtls_door_destroy(pair->door);
    osr_tls_context_release(pair->server_context);
    osr_tls_context_release(pair->client_context);
    memset(&pair->client, 0, sizeof(pair->client));
    memset(&pair->server, 0, sizeof(pair->server));
    pair->door = NULL;
    pair->server_context = pair->client_context = NULL;
}

static int tear_down(void **state)
{
    struct pair *pair = *state;
    void *tls = pair->tls;
    close_pair(pair);
    tls_tear_down(&tls);
    free(pair);
    return 0;
}

static void open_pair(struct pair *pair)
{
    struct osr_err err;
    close_pair(pair);
    assert_int_equal(
        osr_tls_context_create(&pair->tls->server_options, &pair->server_context, &err), 0);
    assert_int_equal(
        osr_tls_context_create(&pair->tls->client_options, &pair->client_context, &err), 0);
    pair->door = osr_dtls_door_create(pair->server_context);
    pair->client.dtls = osr_dtls_create(pair->client_context);
}

/* ---- the network ---- */

static void put(struct wire *wire, struct osr_slice datagram)
{
    assert_true(wire->count < DATAGRAMS_MAX && datagram.size <= OSR_DTLS_DATAGRAM_BYTES);
    memcpy(wire->bytes[wire->count], datagram.data, datagram.size);
    wire->sizes[wire->count++] = datagram.size;
}

static void swap_last(struct wire *wire)
{
    if (wire->count >= 2) {
        struct osr_buffer last = {0};
        size_t at = wire->count - 1;
        osr_buffer_add(&last, wire->bytes[at], wire->sizes[at]);
        wire->sizes[at] = wire->sizes[at - 1];
        memcpy(wire->bytes[at], wire->bytes[at - 1], wire->sizes[at]);
        wire->sizes[at - 1] = last.size;
        memcpy(wire->bytes[at - 1], last.data, last.size);
        osr_buffer_done(&last);
    }
}

static void send_through(struct pair *pair, struct wire *wire, struct osr_slice datagram)
{
    if (osr_random_chance(&pair->random, pair->loses)) {
        return;
    }
    put(wire, datagram);
    if (osr_random_chance(&pair->random, pair->doubles)) {
        put(wire, datagram);
    }
    if (osr_random_chance(&pair->random, pair->mixes_up)) {
        swap_last(wire);
    }
}

static void collect(struct pair *pair, struct end *end)
{
    uint8_t datagram[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    while (end->dtls != NULL && (size = osr_dtls_produce(end->dtls, datagram)) > 0) {
        send_through(pair, &end->out, osr_slice(datagram, size));
    }
}

static void note(struct end *end, int code, const struct osr_err *err)
{
    assert_int_equal(ERR_peek_error(), 0);
    if (end->code == 0 && code != 0) {
        end->code = code;
        end->err = *err;
    }
}

static void read_packets(struct end *end)
{
    uint8_t packet[OSR_DTLS_RECORD_BYTES_MAX];
    struct osr_err err;
    size_t size;
    int code;
    while ((code = osr_dtls_read(end->dtls, packet, &size, &err)) == 0 && size > 0) {
        memcpy(end->packet, packet, size);
        end->packet_size = size;
        end->packets++;
    }
    note(end, code, &err);
}

static void receive(struct end *end, struct osr_slice datagram)
{
    struct osr_err err;
    int code = osr_dtls_receive(end->dtls, datagram, &err);
    note(end, code, &err);
    if (code == 0) {
        read_packets(end);
    }
}

static void knock(struct pair *pair, struct osr_slice datagram)
{
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    struct osr_err err;
    pair->server.dtls = osr_dtls_door_receive(
        pair->door, pair->now_ms, osr_slice_text(pair->sender), datagram, answer, &size);
    if (size > 0) {
        send_through(pair, &pair->server.out, osr_slice(answer, size));
    }
    if (pair->server.dtls != NULL) {
        note(&pair->server, osr_dtls_begin(pair->server.dtls, &err), &err);
    }
}

static bool carry(struct pair *pair, bool to_server)
{
    struct end *from = to_server ? &pair->client : &pair->server;
    struct wire wire;
    collect(pair, from);
    wire = from->out;
    from->out.count = 0;
    for (size_t i = 0; i < wire.count; i++) {
        struct osr_slice datagram = osr_slice(wire.bytes[i], wire.sizes[i]);
        if (!to_server) {
            receive(&pair->client, datagram);
        } else if (pair->server.dtls == NULL) {
            knock(pair, datagram);
        } else {
            receive(&pair->server, datagram);
        }
    }
    return wire.count > 0;
}

static bool is_up(const struct end *end)
{
    return end->dtls != NULL && end->code == 0 && osr_dtls_is_up(end->dtls);
}

/* Waits as long as the next end wants, as real time passes within OpenSSL; false: none waits. */
static bool pass_time(struct end *ends[2])
{
    uint64_t wait_ms = UINT64_MAX;
    struct osr_err err;
    for (size_t i = 0; i < 2; i++) {
        uint64_t wait = ends[i]->dtls != NULL ? osr_dtls_wait_ms(ends[i]->dtls) : UINT64_MAX;
        wait_ms = wait < wait_ms ? wait : wait_ms;
    }
    if (wait_ms == UINT64_MAX) {
        return false;
    }
    nanosleep(&(struct timespec){.tv_nsec = (long)(wait_ms + 1) * 1000000 % 999999999}, NULL);
    for (size_t i = 0; i < 2; i++) {
        if (ends[i]->dtls != NULL && ends[i]->code == 0) {
            note(ends[i], osr_dtls_pass_time(ends[i]->dtls, &err), &err);
        }
    }
    return true;
}

/* Until neither has anything to say; on a bad network until both are up. */
static void talk(struct pair *pair)
{
    struct end *ends[2] = {&pair->client, &pair->server};
    bool is_bad = pair->loses > 0;
    for (int round = 0; round < ROUNDS_MAX; round++) {
        bool to_server = carry(pair, true);
        bool to_client = carry(pair, false);
        if (is_bad && is_up(&pair->client) && is_up(&pair->server)) {
            return;
        }
        if (!to_server && !to_client && (!is_bad || !pass_time(ends))) {
            return;
        }
    }
}

static void shake_hands(struct pair *pair)
{
    open_pair(pair);
    talk(pair);
}

/* ---- what is looked at ---- */

static void assert_up_as(const struct end *end, enum osr_tls_proof proof, const char *who)
{
    assert_string_equal(end->err.message, "");
    assert_true(is_up(end));
    assert_int_equal(osr_dtls_peer(end->dtls)->proof, proof);
    assert_string_equal(osr_dtls_peer(end->dtls)->who, who);
}

static void assert_told_by(const struct end *end, enum osr_code code, const char *message)
{
    assert_int_equal(end->code, code);
    if (strstr(end->err.message, message) == NULL) {
        assert_string_equal(end->err.message, message);
    }
}

static void send_packet(struct pair *pair, struct end *from, const char *text)
{
    uint8_t datagram[OSR_DTLS_DATAGRAM_BYTES];
    size_t size = osr_dtls_seal(from->dtls, osr_slice_text(text), datagram);
    assert_int_equal(size, strlen(text) + osr_dtls_overhead(from->dtls));
    send_through(pair, &from->out, osr_slice(datagram, size));
}

static void assert_got(const struct end *end, size_t packets, const char *text)
{
    assert_int_equal(end->packets, packets);
    assert_true(osr_slice_equal(osr_slice(end->packet, end->packet_size), osr_slice_text(text)));
}

/* ---- who is let in ---- */

/* By certificates both know who the other is, share a binding, and packets go both ways. */
static void certificates_let_both_in(void **state)
{
    struct pair *pair = *state;
    uint8_t bindings[2][OSR_TLS_BINDING_SIZE];
    shake_hands(pair);
    assert_up_as(&pair->server, OSR_TLS_PROOF_CERTIFICATE, "user:ana");
    assert_up_as(&pair->client, OSR_TLS_PROOF_CERTIFICATE, TLS_SERVER);
    osr_dtls_binding(pair->client.dtls, bindings[0]);
    osr_dtls_binding(pair->server.dtls, bindings[1]);
    assert_memory_equal(bindings[0], bindings[1], OSR_TLS_BINDING_SIZE);
    send_packet(pair, &pair->client, "question");
    send_packet(pair, &pair->server, "answer");
    talk(pair);
    assert_got(&pair->server, 1, "question");
    assert_got(&pair->client, 1, "answer");
}

static void use_keys(struct pair *pair, const struct osr_tls_shared_key *server_key,
                     const struct osr_tls_shared_key *client_key)
{
    tls_use_keys(pair->tls, server_key, 1, client_key);
    pair->tls->server_options.is_datagram = true;
    pair->tls->client_options.is_datagram = true;
}

/* By a shared key each is known by the key's name; no certificate is needed. */
static void a_shared_key_lets_both_in(void **state)
{
    struct pair *pair = *state;
    const struct osr_tls_shared_key key = tls_shared_key("office", TLS_SECRET);
    use_keys(pair, &key, &key);
    shake_hands(pair);
    assert_up_as(&pair->server, OSR_TLS_PROOF_KEY, "office");
    assert_up_as(&pair->client, OSR_TLS_PROOF_KEY, "office");
    send_packet(pair, &pair->client, "question");
    talk(pair);
    assert_got(&pair->server, 1, "question");
}

/* A key that the server does not know is named there, and the client is told. */
static void an_unknown_key_is_refused(void **state)
{
    struct pair *pair = *state;
    const struct osr_tls_shared_key ours = tls_shared_key("office", TLS_SECRET);
    const struct osr_tls_shared_key theirs = tls_shared_key("shed", TLS_SECRET);
    use_keys(pair, &ours, &theirs);
    shake_hands(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED,
                   "the client's shared key \"shed\" is not known here");
    assert_told_by(&pair->client, OSR_UNAUTHENTICATED, "does not take the shared key \"shed\"");
}

/* Another key of the same name is named on both sides, as soon as the client has said its last
 * message again. */
static void another_key_of_that_name_is_refused(void **state)
{
    struct pair *pair = *state;
    const struct osr_tls_shared_key ours = tls_shared_key("office", TLS_SECRET);
    const struct osr_tls_shared_key theirs =
        tls_shared_key("office", "another one that is long enough.");
    use_keys(pair, &ours, &theirs);
    shake_hands(pair);
    assert_false(is_up(&pair->client) || is_up(&pair->server));
    assert_int_equal(pair->server.code, 0);
    assert_true(pass_time((struct end *[]){&pair->client, &pair->server}));
    talk(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED,
                   "the client's shared key \"office\" is another one than ours of that name");
    assert_told_by(&pair->client, OSR_UNAUTHENTICATED, "does not take the shared key \"office\"");
}

/* Where keys and certificates are let in, each client comes in with what it has. */
static void keys_and_certificates_go_side_by_side(void **state)
{
    struct pair *pair = *state;
    const struct osr_tls_shared_key key = tls_shared_key("office", TLS_SECRET);
    pair->tls->server_options.shared_keys = &key;
    pair->tls->server_options.shared_key_count = 1;
    pair->tls->server_options.proofs = TLS_CERTIFICATE | TLS_KEY;
    shake_hands(pair);
    assert_up_as(&pair->server, OSR_TLS_PROOF_CERTIFICATE, "user:ana");
    pair->tls->client_options = (struct osr_tls_options){
        .is_datagram = true, .shared_keys = &key, .shared_key_count = 1, .proofs = TLS_KEY};
    shake_hands(pair);
    assert_up_as(&pair->server, OSR_TLS_PROOF_KEY, "office");
}

/* A certificate of a CA that nobody believes is refused, and the client is told. */
static void a_foreign_certificate_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->tls->client_options.certificate_pem =
        osr_buffer_slice(&pair->tls->foreign_client.certificate);
    pair->tls->client_options.key_pem = osr_buffer_slice(&pair->tls->foreign_client.key);
    shake_hands(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED, "is of a CA that is not believed here");
    assert_told_by(&pair->client, OSR_UNAUTHENTICATED, "does not believe the CA");
}

/* Without a certificate nobody gets in where one is asked for. */
static void no_certificate_is_refused(void **state)
{
    struct pair *pair = *state;
    pair->tls->client_options.certificate_pem = osr_slice(NULL, 0);
    shake_hands(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED, "has shown no certificate");
    assert_int_equal(pair->client.code, OSR_UNAUTHENTICATED);
}

static bool is_revoked(void *context, const char *serial, const struct osr_hash *authority)
{
    (void)serial, (void)authority;
    return *(bool *)context;
}

/* One that was revoked is refused. */
static void a_revoked_certificate_is_refused(void **state)
{
    struct pair *pair = *state;
    bool revoked = true;
    pair->tls->server_options.is_revoked = is_revoked;
    pair->tls->server_options.context = &revoked;
    shake_hands(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED, "has been revoked");
    assert_told_by(&pair->client, OSR_UNAUTHENTICATED, "our certificate has been revoked");
    revoked = false;
    shake_hands(pair);
    assert_up_as(&pair->server, OSR_TLS_PROOF_CERTIFICATE, "user:ana");
}

/* One that has expired is refused by whoever sees it: here the client. */
static void an_expired_certificate_is_refused(void **state)
{
    struct pair *pair = *state;
    uint64_t later_s = OSR_PARTY_NOW_S + 4000ull * TLS_DAY_S;
    pair->tls->client_options.time_s = tls_given_time_s;
    pair->tls->client_options.context = &later_s;
    shake_hands(pair);
    assert_told_by(&pair->client, OSR_UNAUTHENTICATED, "expired");
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED, "our certificate has expired");
}

/* ---- the door ---- */

static struct osr_slice first_hello(struct pair *pair, uint8_t *hello)
{
    return osr_slice(hello, osr_dtls_produce(pair->client.dtls, hello));
}

/* Answers to strangers are shorter than what they sent: nobody is flooded through us. */
static void a_stranger_gets_a_short_answer(void **state)
{
    struct pair *pair = *state;
    uint8_t hello[OSR_DTLS_DATAGRAM_BYTES];
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    open_pair(pair);
    struct osr_slice said = first_hello(pair, hello);
    assert_null(osr_dtls_door_receive(pair->door, 0, osr_slice_text("a"), said, answer, &size));
    assert_in_range(size, 1, said.size);
}

/* The hello with its cookie, as the client at "a" says it. */
static struct osr_slice second_hello(struct pair *pair, uint8_t *hello)
{
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    struct osr_slice said = first_hello(pair, hello);
    osr_dtls_door_receive(pair->door, pair->now_ms, osr_slice_text("a"), said, answer, &size);
    receive(&pair->client, osr_slice(answer, size));
    return first_hello(pair, hello);
}

static bool is_let_in(struct pair *pair, const char *sender, struct osr_slice hello)
{
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    struct osr_dtls *dtls = osr_dtls_door_receive(pair->door, pair->now_ms, osr_slice_text(sender),
                                                  hello, answer, &size);
    osr_dtls_destroy(dtls);
    return dtls != NULL;
}

/* A cookie is good for the address it was made for, and for a while. */
static void a_cookie_is_good_for_one_address_and_a_while(void **state)
{
    struct pair *pair = *state;
    uint8_t bytes[OSR_DTLS_DATAGRAM_BYTES];
    open_pair(pair);
    struct osr_slice hello = second_hello(pair, bytes);
    assert_false(is_let_in(pair, "b", hello));
    assert_true(is_let_in(pair, "a", hello));
    pair->now_ms += OSR_DTLS_COOKIE_MS;
    assert_true(is_let_in(pair, "a", hello));
    pair->now_ms += OSR_DTLS_COOKIE_MS;
    assert_false(is_let_in(pair, "a", hello));
}

/* Another listener's cookie, or an altered one, is none. */
static void a_made_up_cookie_is_none(void **state)
{
    struct pair *pair = *state;
    uint8_t bytes[OSR_DTLS_DATAGRAM_BYTES];
    open_pair(pair);
    struct osr_slice hello = second_hello(pair, bytes);
    struct osr_dtls_door *own = pair->door;
    pair->door = osr_dtls_door_create(pair->server_context);
    assert_false(is_let_in(pair, "a", hello));
    osr_dtls_door_destroy(pair->door);
    pair->door = own;
    bytes[13 + 12 + 2 + 32 + 1 + 1 + 5] ^= 1; /* in the cookie */
    assert_false(is_let_in(pair, "a", hello));
}

/* What is no hello lets nobody in and is not answered at length; the door goes on working. */
static void garbage_at_the_door_is_nothing(void **state)
{
    struct pair *pair = *state;
    uint8_t bytes[OSR_DTLS_DATAGRAM_BYTES];
    uint8_t answer[OSR_DTLS_DATAGRAM_BYTES];
    size_t size;
    open_pair(pair);
    struct osr_slice hello = first_hello(pair, bytes);
    for (int i = 0; i < 5000; i++) {
        uint8_t garbage[OSR_DTLS_DATAGRAM_BYTES];
        osr_random_fill(&pair->random, garbage, sizeof(garbage));
        size_t kept = i % 3 == 0 ? 0 : osr_random_below(&pair->random, hello.size);
        memcpy(garbage, hello.data, kept);
        assert_null(osr_dtls_door_receive(pair->door, 0, osr_slice_text("a"),
                                          osr_slice(garbage, 1 + (size_t)i % 500), answer, &size));
        assert_int_equal(ERR_peek_error(), 0);
    }
    receive(&pair->client, osr_slice(NULL, 0));
    shake_hands(pair);
    assert_true(is_up(&pair->server));
}

/* Once those who wait are let in by another context, newcomers get that one. */
static void a_door_gets_new_security(void **state)
{
    struct pair *pair = *state;
    struct osr_tls_context *context;
    struct osr_tls_options options = pair->tls->server_options;
    open_pair(pair);
    carry(pair, true);
    options.authorities_pem = osr_buffer_slice(&pair->tls->foreign_authority.certificate);
    assert_int_equal(osr_tls_context_create(&options, &context, NULL), 0);
    osr_dtls_door_secure(pair->door, context);
    osr_tls_context_release(context);
    talk(pair);
    assert_told_by(&pair->server, OSR_UNAUTHENTICATED, "is of a CA that is not believed here");
}

/* ---- what the network does ---- */

/* A handshake comes to its end whatever is lost, doubled and mixed up of it. */
static void a_handshake_survives_a_bad_network(void **state)
{
    struct pair *pair = *state;
    pair->doubles = 0.2;
    pair->mixes_up = 0.2;
    pair->loses = 0.1;
    for (int i = 0; i < 3; i++) {
        shake_hands(pair);
        assert_up_as(&pair->server, OSR_TLS_PROOF_CERTIFICATE, "user:ana");
        assert_up_as(&pair->client, OSR_TLS_PROOF_CERTIFICATE, TLS_SERVER);
    }
}

/* A packet that comes twice counts once, one that was altered not at all; later ones still do. */
static void packets_are_taken_once_and_whole(void **state)
{
    struct pair *pair = *state;
    uint8_t datagram[OSR_DTLS_DATAGRAM_BYTES];
    shake_hands(pair);
    size_t size = osr_dtls_seal(pair->client.dtls, osr_slice_text("once"), datagram);
    receive(&pair->server, osr_slice(datagram, size));
    receive(&pair->server, osr_slice(datagram, size));
    assert_got(&pair->server, 1, "once");
    size = osr_dtls_seal(pair->client.dtls, osr_slice_text("altered"), datagram);
    datagram[size / 2] ^= 1;
    receive(&pair->server, osr_slice(datagram, size));
    assert_int_equal(pair->server.packets, 1);
    send_packet(pair, &pair->client, "later");
    talk(pair);
    assert_got(&pair->server, 2, "later");
    assert_int_equal(pair->server.code, 0);
}

/* Of packets that overtake each other only the later ones are the newest. */
static void the_newest_packet_is_known(void **state)
{
    struct pair *pair = *state;
    uint8_t first[OSR_DTLS_DATAGRAM_BYTES];
    uint8_t second[OSR_DTLS_DATAGRAM_BYTES];
    shake_hands(pair);
    size_t first_size = osr_dtls_seal(pair->client.dtls, osr_slice_text("first"), first);
    size_t second_size = osr_dtls_seal(pair->client.dtls, osr_slice_text("second"), second);
    receive(&pair->server, osr_slice(second, second_size));
    assert_true(osr_dtls_is_newest(pair->server.dtls));
    receive(&pair->server, osr_slice(first, first_size));
    assert_got(&pair->server, 2, "first");
    assert_false(osr_dtls_is_newest(pair->server.dtls));
}

/* Garbage in the middle of a handshake, and after it, changes nothing. */
static void garbage_changes_nothing(void **state)
{
    struct pair *pair = *state;
    open_pair(pair);
    for (int i = 0; i < 6; i++) {
        uint8_t garbage[64];
        osr_random_fill(&pair->random, garbage, sizeof(garbage));
        receive(&pair->client, osr_slice(garbage, sizeof(garbage)));
        if (pair->server.dtls != NULL) {
            receive(&pair->server, osr_slice(garbage, sizeof(garbage)));
        }
        carry(pair, true);
        carry(pair, false);
    }
    talk(pair);
    assert_true(is_up(&pair->client) && is_up(&pair->server));
    send_packet(pair, &pair->client, "hello");
    talk(pair);
    assert_got(&pair->server, 1, "hello");
}

/* ---- the end ---- */

/* close_notify is seen by the other side, which reads nothing after it. */
static void the_end_is_told(void **state)
{
    struct pair *pair = *state;
    shake_hands(pair);
    osr_dtls_end(pair->client.dtls);
    assert_false(osr_dtls_peer_has_ended(pair->server.dtls));
    talk(pair);
    assert_true(osr_dtls_peer_has_ended(pair->server.dtls));
    assert_int_equal(pair->server.code, 0);
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(certificates_let_both_in),
        TEST(a_shared_key_lets_both_in),
        TEST(an_unknown_key_is_refused),
        TEST(another_key_of_that_name_is_refused),
        TEST(keys_and_certificates_go_side_by_side),
        TEST(a_foreign_certificate_is_refused),
        TEST(no_certificate_is_refused),
        TEST(a_revoked_certificate_is_refused),
        TEST(an_expired_certificate_is_refused),
        TEST(a_stranger_gets_a_short_answer),
        TEST(a_cookie_is_good_for_one_address_and_a_while),
        TEST(a_made_up_cookie_is_none),
        TEST(garbage_at_the_door_is_nothing),
        TEST(a_door_gets_new_security),
        TEST(a_handshake_survives_a_bad_network),
        TEST(packets_are_taken_once_and_whole),
        TEST(the_newest_packet_is_known),
        TEST(garbage_changes_nothing),
        TEST(the_end_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
