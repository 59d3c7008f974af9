/* Who is let in by a shared key, beside certificates and in their place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/tls_fixture.h"

/* A key that both sides know is proof for both, without any certificate. */
static void shared_key_proves_both_sides(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key key = tls_shared_key("backup", TLS_SECRET);

    tls_use_keys(fixture, &key, 1, &key);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", "backup");
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", "backup");
}

/* While a key is replaced, the old one and the new one come in. */
static void several_shared_keys_are_known_during_a_rotation(void **state)
{
    struct tls_fixture *fixture = *state;
    const struct osr_tls_shared_key keys[] = {
        tls_shared_key("old", TLS_SECRET),
        tls_shared_key("new", "another secret of over thirty-two bytes, and none over 64"),
    };

    for (size_t i = 0; i < 2; i++) {
        tls_use_keys(fixture, keys, 2, &keys[i]);
        tls_shake_hands(fixture);
        assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", keys[i].name);
        assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", keys[i].name);
    }
    tls_use_keys(fixture, &keys[1], 1, &keys[0]);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"old\" is not known here",
                          "the server does not take the shared key \"old\"");
}

/* Two secrets of one name do not fit, and neither is told. */
static void wrong_secret_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key ours = tls_shared_key("backup", TLS_SECRET);
    struct osr_tls_shared_key theirs = tls_shared_key("backup", "fedcba9876543210fedcba9876543210");

    tls_use_keys(fixture, &ours, 1, &theirs);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"backup\" is another one than ours",
                          "the server does not take the shared key \"backup\"");
}

/* An unknown key does not become a certificate where only keys are let in, even if both sides have
 * a good one. */
static void unknown_key_does_not_fall_back(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key ours = tls_shared_key("ours", TLS_SECRET);
    struct osr_tls_shared_key theirs = tls_shared_key("theirs", TLS_SECRET);

    fixture->server_options.proofs = TLS_KEY;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = TLS_KEY | TLS_CERTIFICATE;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"theirs\" is not known here",
                          "the server does not take the shared key \"theirs\"");
}

/* A client that offers no key is refused where only keys are let in. */
static void client_without_key_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key ours = tls_shared_key("ours", TLS_SECRET);

    fixture->server_options.proofs = TLS_KEY;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "the client has shown no shared key",
                          "the server finds nothing in common: it may want a shared key");
}

/* Where certificates are let in as well, an unknown key falls back to them, and what is told is
 * the certificate. A client that has none is told about its key. */
static void unknown_key_falls_back_where_certificates_are_let_in(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key ours = tls_shared_key("ours", TLS_SECRET);
    struct osr_tls_shared_key theirs = tls_shared_key("theirs", TLS_SECRET);

    fixture->server_options.proofs = TLS_KEY | TLS_CERTIFICATE;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = TLS_KEY | TLS_CERTIFICATE;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", TLS_SERVER);

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"theirs\" is not known here", "");
}

/* Shared keys and client certificates work beside each other, at one listener. */
static void keys_and_certificates_are_let_in_side_by_side(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key key = tls_shared_key("backup", TLS_SECRET);

    fixture->server_options.proofs = TLS_KEY | TLS_CERTIFICATE | TLS_NOTHING;
    fixture->server_options.shared_keys = &key;
    fixture->server_options.shared_key_count = 1;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");

    fixture->client_options.shared_keys = &key;
    fixture->client_options.shared_key_count = 1;
    fixture->client_options.proofs = TLS_KEY;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", "backup");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", "backup");
    const struct osr_tls_peer *peer = osr_tls_peer(fixture->pair.server.tls);
    assert_string_equal(peer->serial, "");
    assert_int_equal(peer->expires_s, 0);
}

/* A client that wants the server to know its key does not take a certificate for it. */
static void client_that_expects_a_key_takes_no_certificate(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_tls_shared_key ours = tls_shared_key("ours", TLS_SECRET);
    struct osr_tls_shared_key theirs = tls_shared_key("theirs", TLS_SECRET);

    fixture->server_options.proofs = TLS_KEY | TLS_CERTIFICATE | TLS_NOTHING;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = TLS_KEY;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, "is no answer to the shared key \"theirs\"",
                          "the client's shared key \"theirs\" is not known here");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(shared_key_proves_both_sides),
        TEST(several_shared_keys_are_known_during_a_rotation),
        TEST(wrong_secret_is_refused),
        TEST(unknown_key_does_not_fall_back),
        TEST(client_without_key_is_refused),
        TEST(unknown_key_falls_back_where_certificates_are_let_in),
        TEST(keys_and_certificates_are_let_in_side_by_side),
        TEST(client_that_expects_a_key_takes_no_certificate),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
