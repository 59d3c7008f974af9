/* Contexts, and what both sides of a session agree on: a protocol, a binding. Who is let in is in
 * test_tls_certificates.c, test_tls_names.c and test_tls_keys.c, what happens to records in
 * test_tls_records.c, and what to peers of another make in test_tls_foreign.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>

#include "lib/odd_certificate.h"
#include "lib/tls_fixture.h"

/* -- contexts -- */

static void assert_context_refused(const struct osr_tls_options *options, const char *message)
{
    struct osr_tls_context *context = NULL;
    struct osr_err err = {0};

    assert_int_equal(osr_tls_context_create(options, &context, &err), OSR_CONFIG);
    assert_null(context);
    assert_int_equal(ERR_peek_error(), 0);
    if (strstr(err.message, message) == NULL) {
        assert_string_equal(err.message, message);
    }
}

/* What is wrong with certificate and key is said when the context is made. */
static void context_says_what_is_wrong_with_the_certificate(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_options options = fixture->server_options;

    options.certificate_pem = osr_slice_text("no PEM");
    assert_context_refused(&options, "the certificate: there is no certificate");
    options.certificate_pem = osr_slice(NULL, 0);
    assert_context_refused(&options, "needs a certificate or shared keys");
    options = fixture->server_options;
    options.key_pem = osr_slice_text("no PEM");
    assert_context_refused(&options, "there is no unencrypted private key");
    options.key_pem = osr_slice(NULL, 0);
    assert_context_refused(&options, "there is no unencrypted private key");
    options.key_pem = osr_buffer_slice(&fixture->client.key);
    assert_context_refused(&options, "do not belong together");
}

/* So is what is wrong with the CAs: one that is damaged does not hide behind a good one. */
static void context_says_what_is_wrong_with_the_authorities(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_options options = fixture->server_options;
    struct osr_party end =
        odd_certificate_make(&fixture->authority, &(struct odd_certificate){.subject = "end"});
    struct osr_buffer two = {0};

    options.authorities_pem = osr_slice_text("no PEM");
    assert_context_refused(&options, "the CAs: there is no certificate");
    options.authorities_pem = osr_buffer_slice(&end.certificate);
    assert_context_refused(&options, "the CAs: number 1 is no CA");
    osr_buffer_add(&two, fixture->authority.certificate.data, fixture->authority.certificate.size);
    osr_buffer_add(&two, fixture->authority.certificate.data, fixture->authority.certificate.size);
    two.data[two.size * 3 / 4] = '!';
    options.authorities_pem = osr_buffer_slice(&two);
    assert_context_refused(&options, "the CAs: number 2 is damaged");
    options = fixture->client_options;
    options.server_name = "";
    assert_context_refused(&options, "no name of a server");
    osr_buffer_done(&two);
    osr_party_done(&end);
}

/* So is what is wrong with the shared keys; their secrets are not told. */
static void context_says_what_is_wrong_with_the_keys(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_options options = fixture->server_options;
    const struct osr_tls_shared_key good = tls_shared_key("k", TLS_SECRET);
    const struct osr_tls_shared_key doubled[] = {good, good};
    const struct osr_tls_shared_key unfit[] = {
        tls_shared_key("k", "too short"),
        tls_shared_key("", TLS_SECRET),
        tls_shared_key("a\nb", TLS_SECRET),
    };
    static const char *const messages[] = {"\"k\" has 9 bytes, not 32 to 64", "plain text",
                                           "plain text"};

    options.shared_keys = &good;
    options.shared_key_count = 1;
    assert_context_refused(&options, "they are not let in");
    options.proofs = TLS_CERTIFICATE | TLS_KEY;
    options.shared_keys = doubled;
    options.shared_key_count = 2;
    assert_context_refused(&options, "two shared keys \"k\"");
    options.shared_key_count = OSR_TLS_KEYS_MAX + 1;
    assert_context_refused(&options, "17 shared keys; at most 16");
    options.shared_key_count = 0;
    assert_context_refused(&options, "shared keys are let in, but there is none");
    options.shared_key_count = 1;
    for (size_t i = 0; i < 3; i++) {
        options.shared_keys = &unfit[i];
        assert_context_refused(&options, messages[i]);
    }
}

/* A context lives as long as the last session that uses it. */
static void context_outlives_its_maker(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_context *context = NULL;

    assert_int_equal(osr_tls_context_create(&fixture->server_options, &context, NULL), 0);
    assert_ptr_equal(osr_tls_context_hold(context), context);
    osr_tls_context_release(context);
    struct osr_tls *first = osr_tls_create(context);
    struct osr_tls *second = osr_tls_create(context);
    osr_tls_context_release(context);
    osr_tls_destroy(first);
    fixture->pair.server.tls = second;
    fixture->pair.client = osr_tls_side_open(&fixture->client_options);
    osr_tls_pair_talk(&fixture->pair);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    osr_tls_context_release(NULL);
    osr_tls_destroy(NULL);
}

/* -- application protocols -- */

/* The server takes the first of its own that the client names; a client that names none of them is
 * refused, one that names none at all is not. */
static void server_chooses_the_protocol(void **state)
{
    struct tls_fixture *fixture = *state;
    static const char *const server_protocols[] = {"h2", "osiris/1", NULL};
    static const char *const both[] = {"http/1.1", "osiris/1", "h2", NULL};
    static const char *const one[] = {"osiris/1", NULL};
    static const char *const other[] = {"http/1.1", NULL};

    fixture->server_options.protocols = server_protocols;
    fixture->client_options.protocols = both;
    tls_shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "h2");
    assert_string_equal(osr_tls_protocol(fixture->pair.client.tls), "h2");

    fixture->client_options.protocols = one;
    tls_shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "osiris/1");

    fixture->client_options.protocols = NULL;
    tls_shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "");
    assert_string_equal(osr_tls_protocol(fixture->pair.client.tls), "");

    fixture->client_options.protocols = other;
    assert_server_refuses(fixture, OSR_UNSUPPORTED_VERSION,
                          "the client speaks none of the protocols that are spoken here",
                          "the server speaks none of our protocols");
}

/* With shared keys too. */
static void protocol_is_chosen_with_shared_keys(void **state)
{
    struct tls_fixture *fixture = *state;
    static const char *const protocols[] = {"h2", NULL};
    struct osr_tls_shared_key key = tls_shared_key("backup", TLS_SECRET);

    tls_use_keys(fixture, &key, 1, &key);
    fixture->server_options.protocols = protocols;
    fixture->client_options.protocols = protocols;
    tls_shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "h2");
    assert_string_equal(osr_tls_protocol(fixture->pair.client.tls), "h2");
}

/* -- the channel binding -- */

static void assert_bound(struct tls_fixture *fixture, uint8_t *binding)
{
    uint8_t other[OSR_TLS_BINDING_SIZE];

    tls_shake_hands(fixture);
    osr_tls_binding(fixture->pair.client.tls, binding);
    osr_tls_binding(fixture->pair.server.tls, other);
    assert_memory_equal(binding, other, OSR_TLS_BINDING_SIZE);
}

/* Both sides of a connection have the same binding, and no other connection has it: neither by
 * certificates nor by the same shared key. */
static void binding_belongs_to_one_connection(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key key = tls_shared_key("backup", TLS_SECRET);
    uint8_t bindings[4][OSR_TLS_BINDING_SIZE];

    assert_bound(fixture, bindings[0]);
    assert_bound(fixture, bindings[1]);
    tls_use_keys(fixture, &key, 1, &key);
    assert_bound(fixture, bindings[2]);
    assert_bound(fixture, bindings[3]);
    for (size_t i = 0; i < 4; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(bindings[i], bindings[j], OSR_TLS_BINDING_SIZE);
        }
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(context_says_what_is_wrong_with_the_certificate),
        TEST(context_says_what_is_wrong_with_the_authorities),
        TEST(context_says_what_is_wrong_with_the_keys),
        TEST(context_outlives_its_maker),
        TEST(server_chooses_the_protocol),
        TEST(protocol_is_chosen_with_shared_keys),
        TEST(binding_belongs_to_one_connection),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
