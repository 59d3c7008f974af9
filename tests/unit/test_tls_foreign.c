/* Peers with OpenSSL as it comes, which do what ours would not, or nothing of TLS at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "lib/tls_fixture.h"

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_BYTES_MAX = 16 << 10,
    LATE_MESSAGES_MAX = 16, /* what the header promises about floods (tls.c) */
};

static const char key_name[] = "backup";

/* Clients of another make show no certificate. */
static int set_up(void **state)
{
    tls_set_up(state);
    ((struct tls_fixture *)*state)->server_options.proofs = TLS_CERTIFICATE | TLS_NOTHING;
    return 0;
}

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
    struct tls_fixture *fixture = *state;
    struct foreign foreign = foreign_context(TLS_client_method());

    SSL_CTX_set_max_proto_version(foreign.context, TLS1_2_VERSION);
    foreign_start(&foreign, false);
    tls_open(fixture);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_told(&fixture->pair.server, OSR_UNSUPPORTED_VERSION,
                "the client does not speak TLS 1.3");
    assert_int_not_equal(SSL_do_handshake(foreign.ssl), 1);
    foreign_done(&foreign);
}

/* So is such a server, by our client. */
static void older_server_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    struct foreign foreign = foreign_context(TLS_server_method());

    SSL_CTX_set_max_proto_version(foreign.context, TLS1_2_VERSION);
    foreign_start(&foreign, true);
    tls_open(fixture);
    talk_to_foreign(&foreign, &fixture->pair.client);
    assert_told(&fixture->pair.client, OSR_UNSUPPORTED_VERSION, "the server does not take TLS 1.3");
    foreign_done(&foreign);
}

/* A peer without TLS is told from one whose TLS is broken. */
static void plaintext_is_told_as_such(void **state)
{
    struct tls_fixture *fixture = *state;
    static const char *const texts[] = {"{\"type\":\"HELLO\"}\n", "GET / HTTP/1.1\r\n\r\n",
                                        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "xxxxx"};

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        tls_open(fixture);
        osr_tls_side_receive(&fixture->pair.server, osr_slice_text(texts[i]));
        assert_told(&fixture->pair.server, OSR_MALFORMED, "the client does not speak TLS");
        osr_tls_side_receive(&fixture->pair.client, osr_slice_text(texts[i]));
        assert_told(&fixture->pair.client, OSR_MALFORMED, "the server does not speak TLS");
    }
}

/* A handshake that goes on and on is cut at its limit. */
static void endless_handshake_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    static uint8_t record[RECORD_HEADER_BYTES + RECORD_BYTES_MAX] = {
        22, 3, 1, RECORD_BYTES_MAX >> 8,
        0,           /* a record of the handshake ... */
        1,  1, 0, 0, /* ... with the first piece of a hello of 64 KiB */
    };
    size_t given = 0;

    tls_open(fixture);
    while (fixture->pair.server.code == 0 && given <= OSR_TLS_HANDSHAKE_BYTES_MAX) {
        osr_tls_side_receive(&fixture->pair.server, osr_slice(record, sizeof(record)));
        given += sizeof(record);
        memset(record + RECORD_HEADER_BYTES, 0, 4);
    }
    assert_told(&fixture->pair.server, OSR_TOO_LARGE,
                "the client sent over 65536 bytes of TLS handshake");
    assert_true(given <= OSR_TLS_HANDSHAKE_BYTES_MAX + sizeof(record));
}

static SSL_SESSION *foreign_key_session(SSL *ssl)
{
    static const unsigned char aes_256_gcm_sha384[] = {0x13, 0x02};
    SSL_SESSION *session = SSL_SESSION_new();

    assert_int_equal(
        SSL_SESSION_set1_master_key(session, (const uint8_t *)TLS_SECRET, strlen(TLS_SECRET)), 1);
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
    const struct osr_tls_shared_key key = tls_shared_key(key_name, TLS_SECRET);
    struct osr_tls_options options = osr_party_options(false, NULL);

    options.shared_keys = &key;
    options.shared_key_count = 1;
    options.proofs = TLS_KEY;
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
    assert_told(&client, OSR_UNAUTHENTICATED, "does not take the shared key \"backup\"");
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
    struct tls_fixture *fixture = *state;
    const struct osr_tls_shared_key key = tls_shared_key(key_name, TLS_SECRET);
    struct foreign foreign = foreign_context(TLS_client_method());

    fixture->server_options = osr_party_options(true, NULL);
    fixture->server_options.shared_keys = &key;
    fixture->server_options.shared_key_count = 1;
    fixture->server_options.proofs = TLS_KEY;
    tls_open(fixture);
    assert_int_equal(SSL_CTX_set_ciphersuites(foreign.context, "TLS_AES_128_GCM_SHA256"), 1);
    SSL_CTX_set_psk_use_session_callback(foreign.context, offer_foreign_key);
    foreign_start(&foreign, false);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_told(&fixture->pair.server, OSR_UNSUPPORTED_VERSION,
                "the client cannot use the shared key \"backup\": it lacks "
                "TLS_AES_256_GCM_SHA384");
    foreign_done(&foreign);
}

static struct foreign foreign_client(struct tls_fixture *fixture)
{
    struct foreign foreign = foreign_context(TLS_client_method());

    foreign_start(&foreign, false);
    tls_open(fixture);
    talk_to_foreign(&foreign, &fixture->pair.server);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    return foreign;
}

/* The cheaper cipher, also where the client would rather have the other ... */
static void aes_128_is_chosen(void **state)
{
    struct tls_fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);

    assert_string_equal(SSL_get_cipher_name(foreign.ssl), "TLS_AES_128_GCM_SHA256");
    foreign_done(&foreign);
}

/* ... unless there are shared keys, which need that one: else none could ever be used. */
static void aes_256_is_chosen_beside_shared_keys(void **state)
{
    struct tls_fixture *fixture = *state;
    const struct osr_tls_shared_key key = tls_shared_key(key_name, TLS_SECRET);

    fixture->server_options.shared_keys = &key;
    fixture->server_options.shared_key_count = 1;
    fixture->server_options.proofs |= TLS_KEY;
    struct foreign foreign = foreign_client(fixture);
    assert_string_equal(SSL_get_cipher_name(foreign.ssl), "TLS_AES_256_GCM_SHA384");
    foreign_done(&foreign);
}

/* The channel binding is the one of RFC 9266, as any other make has it. */
static void binding_is_that_of_the_standard(void **state)
{
    struct tls_fixture *fixture = *state;
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
    struct tls_fixture *fixture = *state;
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
    struct tls_fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);

    for (int i = 0; i < LATE_MESSAGES_MAX; i++) {
        ask_for_new_keys(&foreign, &fixture->pair.server);
        assert_int_equal(fixture->pair.server.code, 0);
    }
    assert_int_equal(SSL_write(foreign.ssl, "fresh", 5), 5);
    give_foreign_output(&foreign, &fixture->pair.server);
    assert_reads(&fixture->pair.server, "fresh");
    ask_for_new_keys(&foreign, &fixture->pair.server);
    assert_told(&fixture->pair.server, OSR_TOO_LARGE, "the client asks for new keys over and over");
    foreign_done(&foreign);
}

/* New keys that are asked for of us are made with the next write. */
static void new_keys_are_made_on_demand(void **state)
{
    struct tls_fixture *fixture = *state;
    struct foreign foreign = foreign_client(fixture);
    char read[16];

    assert_int_equal(SSL_key_update(foreign.ssl, SSL_KEY_UPDATE_REQUESTED), 1);
    assert_int_equal(SSL_do_handshake(foreign.ssl), 1);
    give_foreign_output(&foreign, &fixture->pair.server);
    tls_write_text(&fixture->pair.server, "fresh");
    struct osr_buffer bytes = tls_taken_from(&fixture->pair.server);
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
static struct foreign server_with_long_tickets(struct tls_fixture *fixture)
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
    struct tls_fixture *fixture = *state;
    char *bytes;

    for (int whole = 0; whole < 2; whole++) {
        struct foreign foreign = server_with_long_tickets(fixture);
        struct osr_buffer said = {0};
        tls_open(fixture);
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
            assert_told(client, OSR_MALFORMED, "in pieces after its end");
        }
        osr_buffer_done(&said);
        foreign_done(&foreign);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(older_client_is_refused),
        TEST(older_server_is_refused),
        TEST(plaintext_is_told_as_such),
        TEST(endless_handshake_is_refused),
        TEST(shared_key_is_offered_again_after_a_retry),
        TEST(shared_key_does_not_fit_every_cipher),
        TEST(shared_key_needs_its_cipher),
        TEST(aes_128_is_chosen),
        TEST(aes_256_is_chosen_beside_shared_keys),
        TEST(binding_is_that_of_the_standard),
        TEST(no_ticket_is_given),
        TEST(flood_of_new_keys_is_refused),
        TEST(new_keys_are_made_on_demand),
        TEST(ticket_in_pieces_is_refused),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
