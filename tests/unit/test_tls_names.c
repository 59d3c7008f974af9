/* Whether it is who was dialled: by its name, the fingerprint of its CA, or a certificate that
 * signs itself, to be pinned. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/odd_certificate.h"
#include "lib/tls_fixture.h"

/* A server of an outside CA has to bear the name that was dialled: a DNS name or an address. */
static void server_has_the_name_that_was_dialled(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party server = odd_certificate_make(
        &fixture->authority,
        &(struct odd_certificate){.subject = "c.example",
                                  .names = "DNS:a.example,DNS:*.b.example,IP:10.0.0.1"});
    static const char *const fitting[] = {"a.example", "x.b.example", "10.0.0.1"};
    static const char *const others[] = {"c.example", "b.example", "x.y.b.example", "10.0.0.2"};

    fixture->server_options.certificate_pem = osr_buffer_slice(&server.certificate);
    fixture->server_options.key_pem = osr_buffer_slice(&server.key);
    for (size_t i = 0; i < sizeof(fitting) / sizeof(fitting[0]); i++) {
        fixture->client_options.server_name = fitting[i];
        tls_shake_hands(fixture);
        assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "", "");
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fixture->client_options.server_name = others[i];
        assert_client_refuses(fixture, OSR_UNAUTHENTICATED, others[i], "");
    }
    osr_party_done(&server);

    server = odd_certificate_make(&fixture->authority,
                                  &(struct odd_certificate){.subject = "c.example"});
    fixture->server_options.certificate_pem = osr_buffer_slice(&server.certificate);
    fixture->server_options.key_pem = osr_buffer_slice(&server.key);
    fixture->client_options.server_name = "c.example"; /* the common name is for people */
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED,
                          "is not for \"c.example\", which was dialled", "");
    osr_party_done(&server);
}

/* An identity of ours says more than a name: who has one may be called anything. */
static void identity_needs_no_name(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->client_options.server_name = "a.example";
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", TLS_SERVER);
}

/* Puts the CA's certificate behind the server's own. */
static void show_chain(struct tls_fixture *fixture, const struct osr_party *server,
                       const struct osr_party *authority, struct osr_buffer *chain)
{
    chain->size = 0;
    osr_buffer_add(chain, server->certificate.data, server->certificate.size);
    osr_buffer_add(chain, authority->certificate.data, authority->certificate.size);
    fixture->server_options.certificate_pem = osr_buffer_slice(chain);
    fixture->server_options.key_pem = osr_buffer_slice(&server->key);
}

/* The CA that a fingerprint means is believed if the server shows it and was certified by it: to
 * show it behind a certificate of another CA helps nobody. */
static void authority_is_believed_by_its_fingerprint(void **state)
{
    static const char refused[] = "is not of the CA with the fingerprint that was expected";
    struct tls_fixture *fixture = *state;
    struct osr_party eve = osr_party_of(&fixture->foreign_authority, "lab", TLS_SERVER);
    struct osr_buffer chain = {0};
    struct osr_certificate_facts facts;

    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &facts, NULL), 0);
    fixture->client_options.authorities_pem = osr_slice(NULL, 0);
    fixture->client_options.authority_fingerprint = &facts.fingerprint;
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, refused, ""); /* it is not shown */

    show_chain(fixture, &fixture->server, &fixture->authority, &chain);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", TLS_SERVER);
    assert_memory_equal(&osr_tls_peer(fixture->pair.client.tls)->authority, &facts.fingerprint,
                        sizeof(facts.fingerprint));

    show_chain(fixture, &eve, &fixture->foreign_authority, &chain);
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, refused, "");
    show_chain(fixture, &eve, &fixture->authority, &chain);
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, "is of a CA that is not believed here", "");

    /* A fingerprint of what is no CA's certificate is none. */
    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->server.certificate), &facts, NULL), 0);
    show_chain(fixture, &fixture->server, &fixture->authority, &chain);
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, refused, "");
    osr_buffer_done(&chain);
    osr_party_done(&eve);
}

/* -- pinned -- */

/* A certificate that signs itself comes in where ids are pinned; who it says it is, is not told,
 * as nobody has vouched for it. */
static void self_signed_certificate_is_let_in_to_be_pinned(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party server = osr_party_alone("lab", TLS_SERVER);
    struct osr_party client = osr_party_alone("lab", "user:ana");
    struct osr_certificate_facts facts;

    fixture->server_options = osr_party_options(true, &server);
    fixture->server_options.proofs = TLS_PINNED;
    fixture->client_options = osr_party_options(false, &client);
    fixture->client_options.proofs = TLS_PINNED;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_PINNED, "", "");
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_PINNED, "", "");
    osr_certificate_read(osr_buffer_slice(&client.certificate), &facts, NULL);
    assert_true(
        osr_hash_equal(&osr_tls_peer(fixture->pair.server.tls)->fingerprint, &facts.fingerprint));
    osr_party_done(&server);
    osr_party_done(&client);
}

/* Where only CAs count, one that signs itself is refused; where ids are pinned, one of a CA that
 * is not known is refused as well. */
static void self_signed_certificate_is_refused_where_authorities_count(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party client = osr_party_alone("lab", "user:ana");

    fixture->client_options.certificate_pem = osr_buffer_slice(&client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "is signed by itself, and such are not let in here", "");
    osr_party_done(&client);

    fixture->server_options.proofs = TLS_PINNED;
    fixture->client_options.certificate_pem = osr_buffer_slice(&fixture->client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "is of a CA, and such are not let in here",
                          "");
    fixture->server_options.proofs = TLS_PINNED | TLS_CERTIFICATE;
    fixture->client_options.certificate_pem =
        osr_buffer_slice(&fixture->foreign_client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->foreign_client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "of a CA that is not believed here", "");
}

/* One that signs itself has its time as well. */
static void self_signed_certificate_has_its_time(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party client = osr_party_alone("lab", "user:ana");
    struct osr_certificate_facts facts;
    uint64_t time_s;

    osr_certificate_read(osr_buffer_slice(&client.certificate), &facts, NULL);
    fixture->client_options.certificate_pem = osr_buffer_slice(&client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    fixture->server_options.proofs = TLS_PINNED;
    fixture->server_options.context = &time_s;
    fixture->server_options.time_s = tls_given_time_s;
    time_s = facts.expires_s + 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "expired at ", "");
    time_s = facts.begins_s - 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "is not valid before ", "");
    time_s = facts.expires_s;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_PINNED, "", "");
    osr_party_done(&client);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(server_has_the_name_that_was_dialled),
        TEST(identity_needs_no_name),
        TEST(authority_is_believed_by_its_fingerprint),
        TEST(self_signed_certificate_is_let_in_to_be_pinned),
        TEST(self_signed_certificate_is_refused_where_authorities_count),
        TEST(self_signed_certificate_has_its_time),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
