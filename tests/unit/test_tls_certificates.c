/* Who is let in by a certificate, and what both sides are told where somebody is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/odd_certificate.h"
#include "lib/tls_fixture.h"

/* Both sides learn who the other is, out of its certificate. */
static void certificates_prove_both_sides(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_certificate_facts facts;
    struct osr_certificate_facts authority;

    tls_shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", TLS_SERVER);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->client.certificate), &facts, NULL), 0);
    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &authority, NULL),
        0);
    const struct osr_tls_peer *peer = osr_tls_peer(fixture->pair.server.tls);
    assert_string_equal(peer->subject, "user:ana");
    assert_string_equal(peer->serial, facts.serial);
    assert_true(osr_hash_equal(&peer->fingerprint, &facts.fingerprint));
    assert_true(osr_hash_equal(&peer->authority, &authority.fingerprint));
    assert_int_equal(peer->expires_s, OSR_PARTY_NOW_S + OSR_CERTIFICATE_DAYS * (uint64_t)TLS_DAY_S);
}

/* A client without certificate comes in where nothing need be shown, and has proven nothing. */
static void client_without_certificate_is_let_in_where_it_may(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->server_options.proofs = TLS_NOTHING | TLS_CERTIFICATE;
    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", TLS_SERVER);
}

/* Where nothing is asked for, not even a client that has a certificate shows it. */
static void client_is_not_asked_where_certificates_are_not_let_in(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->server_options.proofs = TLS_NOTHING;
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");
}

/* A client without certificate is refused where one is wanted, and both sides say so. */
static void client_without_certificate_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "the client has shown no certificate",
                          "the server wants a certificate, and we have none");
}

/* A CA that is not believed is named, whichever side meets it. */
static void unknown_authority_is_refused_by_name(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->client_options.certificate_pem =
        osr_buffer_slice(&fixture->foreign_client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->foreign_client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's certificate \"CN=user:ana\" is of a CA that is not "
                          "believed here: \"",
                          "the server does not believe the CA of our certificate");
    assert_non_null(strstr(fixture->pair.server.err.message, "O=elsewhere"));
    assert_string_not_equal(fixture->pair.server.err.hint, "");

    fixture->client_options.authorities_pem =
        osr_buffer_slice(&fixture->foreign_authority.certificate);
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, "O=lab",
                          "the client does not believe the CA of our certificate");
}

/* Who believes no CA lets in no certificate. */
static void no_certificate_is_believed_without_authorities(void **state)
{
    struct tls_fixture *fixture = *state;

    fixture->server_options.authorities_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "of a CA that is not believed here", "");
}

/* While a CA is replaced, old and new certificates come in; afterwards the old ones do not. */
static void two_authorities_are_believed_during_a_rotation(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_buffer both = {0};

    osr_buffer_add(&both, fixture->authority.certificate.data, fixture->authority.certificate.size);
    osr_buffer_add(&both, fixture->foreign_authority.certificate.data,
                   fixture->foreign_authority.certificate.size);
    fixture->server_options.authorities_pem = osr_buffer_slice(&both);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    struct osr_hash old = osr_tls_peer(fixture->pair.server.tls)->authority;

    fixture->client_options.certificate_pem =
        osr_buffer_slice(&fixture->foreign_client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->foreign_client.key);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    assert_false(osr_hash_equal(&osr_tls_peer(fixture->pair.server.tls)->authority, &old));
    osr_buffer_done(&both);
}

/* An expired certificate is refused, saying since when; so is one that is not valid yet. */
static void certificates_have_their_time(void **state)
{
    struct tls_fixture *fixture = *state;
    uint64_t time_s = OSR_PARTY_NOW_S + (OSR_CERTIFICATE_DAYS + 1) * (uint64_t)TLS_DAY_S;

    fixture->server_options.context = &time_s;
    fixture->server_options.time_s = tls_given_time_s;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's certificate \"CN=user:ana\" expired at 2027-04-15 "
                          "08:00:00 UTC",
                          "the server says that our certificate has expired");
    time_s = OSR_PARTY_NOW_S - TLS_DAY_S;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "is not valid before 2027-01-15 07:55:00 UTC", "");
    time_s = OSR_PARTY_NOW_S + (OSR_CERTIFICATE_DAYS - 1) * (uint64_t)TLS_DAY_S;
    tls_shake_hands(fixture);
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
}

struct revocations {
    struct osr_certificate_facts revoked;
    struct osr_certificate_facts authority;
    unsigned questions;
};

static bool is_revoked(void *context, const char *serial, const struct osr_hash *authority)
{
    struct revocations *revocations = context;
    revocations->questions++;
    return strcmp(serial, revocations->revoked.serial) == 0 &&
           osr_hash_equal(authority, &revocations->authority.fingerprint);
}

/* A revoked certificate is refused by its serial number and its CA; others of the CA are not. */
static void revoked_certificate_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    struct revocations revocations = {0};

    osr_certificate_read(osr_buffer_slice(&fixture->client.certificate), &revocations.revoked,
                         NULL);
    osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &revocations.authority,
                         NULL);
    fixture->server_options.is_revoked = is_revoked;
    fixture->server_options.context = &revocations;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "has been revoked (serial ",
                          "the server says that our certificate has been revoked");

    osr_certificate_read(osr_buffer_slice(&fixture->foreign_authority.certificate),
                         &revocations.authority, NULL);
    revocations.questions = 0;
    tls_shake_hands(fixture); /* the same number, of another CA */
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_equal(revocations.questions, 1);
}

/* A client refuses a server whose certificate has been revoked. */
static void revoked_server_is_refused(void **state)
{
    struct tls_fixture *fixture = *state;
    struct revocations revocations = {0};

    osr_certificate_read(osr_buffer_slice(&fixture->server.certificate), &revocations.revoked,
                         NULL);
    osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &revocations.authority,
                         NULL);
    fixture->client_options.is_revoked = is_revoked;
    fixture->client_options.context = &revocations;
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, "the server's certificate",
                          "the client says that our certificate has been revoked");
}

/* Runs a handshake of a client with this certificate, signed by the cluster's CA. */
static void shake_hands_as(struct tls_fixture *fixture, const struct odd_certificate *odd)
{
    struct osr_party party = odd_certificate_make(&fixture->authority, odd);

    fixture->client_options.certificate_pem = osr_buffer_slice(&party.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&party.key);
    tls_shake_hands(fixture);
    osr_party_done(&party);
}

/* The right CA is not enough: the certificate has to be for this use and bear an identity that
 * can be read in one way only. */
static void certificate_of_the_right_authority_may_be_wrong(void **state)
{
    struct tls_fixture *fixture = *state;
    static const struct {
        struct odd_certificate odd;
        const char *message;
    } cases[] = {
        {{.usage = "serverAuth", .names = "URI:osiris:lab/user:ana"},
         "may not be used as a TLS client's"},
        {{.usage = "codeSigning"}, "may not be used as a TLS client's"},
        {{.subject = "CA", .is_authority = true}, "is a CA's own"},
        {{.names = "URI:osiris:lab/user:ana,URI:osiris:lab/user:eve"}, "two identities"},
        {{.names = "URI:osiris:lab/user:ana,URI:osiris:lab/user:ana"}, "two identities"},
        {{.names = "URI:osiris:lab"}, "an identity that is none"},
        {{.names = "URI:osiris:/user:ana"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/admin"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/local"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/key:backup"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/token:x"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/instance:short"}, "an identity that is none"},
        {{.names = "URI:osiris:lab/user:*"}, "an identity that is none"},
        {{.has_nul_in_name = true}, "an identity that is none"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        shake_hands_as(fixture, &cases[i].odd);
        assert_told(&fixture->pair.server, OSR_UNAUTHENTICATED, cases[i].message);
        assert_false(osr_tls_is_up(fixture->pair.server.tls));
    }
}

/* A certificate of an outside CA has no identity of ours: its common name says who it is, or its
 * first DNS name. */
static void outside_certificate_is_known_by_its_subject(void **state)
{
    struct tls_fixture *fixture = *state;

    shake_hands_as(
        fixture, &(struct odd_certificate){.subject = "ana.example", .names = "DNS:other.example"});
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "", "");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->subject, "ana.example");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->serial, "1267");

    shake_hands_as(fixture,
                   &(struct odd_certificate){.names = "email:a@b.c,DNS:ana.example,DNS:b.example"});
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "", "");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->subject, "ana.example");
}

/* An intermediate CA is sent along, or believed in the root's place; what it issued is refused
 * once it has been revoked itself. */
static void certificates_hang_on_chains(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party root =
        odd_certificate_make(&fixture->foreign_authority,
                             &(struct odd_certificate){.subject = "root", .is_authority = true});
    struct osr_party middle = odd_certificate_make(
        &root, &(struct odd_certificate){.subject = "middle", .is_authority = true});
    struct osr_party client = odd_certificate_make(
        &middle, &(struct odd_certificate){.names = "URI:osiris:lab/user:ana"});
    struct revocations revocations = {0};
    struct osr_buffer chain = {0};

    osr_buffer_add(&chain, client.certificate.data, client.certificate.size);
    osr_buffer_add(&chain, middle.certificate.data, middle.certificate.size);
    fixture->client_options.certificate_pem = osr_buffer_slice(&chain);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    fixture->server_options.authorities_pem = osr_buffer_slice(&root.certificate);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");

    osr_certificate_read(osr_buffer_slice(&middle.certificate), &revocations.revoked, NULL);
    osr_certificate_read(osr_buffer_slice(&root.certificate), &revocations.authority, NULL);
    fixture->server_options.is_revoked = is_revoked;
    fixture->server_options.context = &revocations;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's CA \"CN=middle,O=Example\" has been revoked", "");

    fixture->server_options.is_revoked = NULL;
    fixture->client_options.certificate_pem = osr_buffer_slice(&client.certificate);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "\"CN=middle,O=Example\"", "");
    fixture->server_options.authorities_pem = osr_buffer_slice(&middle.certificate);
    tls_shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");

    osr_buffer_done(&chain);
    osr_party_done(&client);
    osr_party_done(&middle);
    osr_party_done(&root);
}

/* What a certificate that is no CA's has signed is worth nothing. */
static void only_authorities_issue(void **state)
{
    struct tls_fixture *fixture = *state;
    struct osr_party eve = odd_certificate_make(
        &fixture->client, &(struct odd_certificate){.names = "URI:osiris:lab/user:admin"});
    struct osr_buffer chain = {0};

    osr_buffer_add(&chain, eve.certificate.data, eve.certificate.size);
    osr_buffer_add(&chain, fixture->client.certificate.data, fixture->client.certificate.size);
    fixture->client_options.certificate_pem = osr_buffer_slice(&chain);
    fixture->client_options.key_pem = osr_buffer_slice(&eve.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "cannot be believed", "");
    osr_buffer_done(&chain);
    osr_party_done(&eve);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, tls_set_up, tls_tear_down)
    const struct CMUnitTest tests[] = {
        TEST(certificates_prove_both_sides),
        TEST(client_without_certificate_is_let_in_where_it_may),
        TEST(client_is_not_asked_where_certificates_are_not_let_in),
        TEST(client_without_certificate_is_refused),
        TEST(unknown_authority_is_refused_by_name),
        TEST(no_certificate_is_believed_without_authorities),
        TEST(two_authorities_are_believed_during_a_rotation),
        TEST(certificates_have_their_time),
        TEST(revoked_certificate_is_refused),
        TEST(revoked_server_is_refused),
        TEST(certificate_of_the_right_authority_may_be_wrong),
        TEST(outside_certificate_is_known_by_its_subject),
        TEST(certificates_hang_on_chains),
        TEST(only_authorities_issue),
    };
#undef TEST
    return cmocka_run_group_tests(tests, NULL, NULL);
}
