/* Certificates as they are read: our own, and those that others made. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/x509v3.h>

#include "lib/authority_fixture.h"

/* -- our own -- */

/* The serial number and the fingerprint are those that OpenSSL shows. */
static void certificate_facts_are_those_of_openssl(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);
    struct osr_hash fingerprint;

    assert_int_equal(authority_issue(fixture, &order), 0);
    struct osr_certificate_facts facts = certificate_facts(&fixture->made);
    X509 *certificate = certificate_parse(&fixture->made);
    BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), NULL);
    char *serial = BN_bn2hex(number);
    assert_string_equal(facts.serial, serial);
    assert_in_range(BN_num_bits(number), 80, 128); /* random: 2^-48 that it is shorter */
    assert_int_equal(X509_digest(certificate, EVP_sha256(), fingerprint.bytes, NULL), 1);
    assert_memory_equal(facts.fingerprint.bytes, fingerprint.bytes, sizeof(fingerprint.bytes));
    OPENSSL_free(serial);
    BN_free(number);
    X509_free(certificate);

    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_string_not_equal(certificate_facts(&fixture->made).serial, facts.serial);
}

/* By the signature, and not by what it says of its issuer. */
static void issuer_is_who_has_signed(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);
    struct osr_buffer key = {0}, other = {0};

    osr_tls_key_make(&key);
    assert_int_equal(osr_authority_make(osr_buffer_slice(&key), "büro/2", AUTHORITY_INSTANCE,
                                        AUTHORITY_NOW_S, &other, &fixture->err),
                     0);
    assert_int_equal(authority_issue(fixture, &order), 0);
    struct osr_slice made = osr_buffer_slice(&fixture->made);
    assert_true(osr_certificate_is_issued_by(made, osr_buffer_slice(&fixture->authority)));
    assert_false(osr_certificate_is_issued_by(made, osr_buffer_slice(&other)));
    assert_false(osr_certificate_is_issued_by(made, made));
    assert_false(osr_certificate_is_issued_by(made, osr_slice_text("none")));
    assert_false(osr_certificate_is_issued_by(osr_slice_text("none"), made));
    osr_secret_buffer_done(&key);
    osr_buffer_done(&other);
}

/* A new one is asked for when 66 of 100 parts of the time are over. */
static void certificate_is_renewed_in_time(void **state)
{
    const struct osr_certificate_facts facts = {.begins_s = 1000, .expires_s = 2000};
    const struct osr_certificate_facts backwards = {.begins_s = 1000, .expires_s = 900};

    (void)state;
    assert_int_equal(osr_certificate_renew_at_s(&facts), 1660);
    assert_int_equal(osr_certificate_renew_at_s(&backwards), 1000);
}

/* -- what others made -- */

/* A certificate with these alternative names and this common name, signed by its own key. */
static void write_certificate(struct authority_fixture *fixture, const char *common_name,
                              size_t name_size, const char *const *uris, size_t uri_count)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = X509_new();
    GENERAL_NAMES *names = GENERAL_NAMES_new();

    for (size_t i = 0; i < uri_count; i++) {
        GENERAL_NAME *name = GENERAL_NAME_new();
        ASN1_IA5STRING *uri = ASN1_IA5STRING_new();
        ASN1_STRING_set(uri, uris[i], (int)strlen(uris[i]));
        GENERAL_NAME_set0_value(name, GEN_URI, uri);
        assert_true(sk_GENERAL_NAME_push(names, name) > 0);
    }
    X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), NID_commonName,
                               V_ASN1_UTF8STRING, (const uint8_t *)common_name, (int)name_size, -1,
                               0);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 0x0a0b);
    X509_gmtime_adj(X509_getm_notBefore(certificate), 0);
    X509_gmtime_adj(X509_getm_notAfter(certificate), AUTHORITY_DAY_S);
    X509_set_version(certificate, X509_VERSION_3);
    X509_set_pubkey(certificate, key);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0), 1);
    assert_true(X509_sign(certificate, key, EVP_sha256()) > 0);
    certificate_write(&fixture->made, certificate);
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    EVP_PKEY_free(key);
}

static void assert_malformed(struct authority_fixture *fixture, const char *message)
{
    struct osr_certificate_facts facts;

    assert_int_equal(osr_certificate_read(osr_buffer_slice(&fixture->made), &facts, &fixture->err),
                     OSR_MALFORMED);
    assert_non_null(strstr(fixture->err.message, message));
}

/* An outside CA's certificate has no identity of ours, and is read. */
static void outside_certificate_has_no_identity(void **state)
{
    static const char *const uris[] = {"https://example.org/a", "OSIRIS:c/user:root", "spiffe://x"};
    struct authority_fixture *fixture = *state;

    write_certificate(fixture, "outside", strlen("outside"), uris, 3);
    struct osr_certificate_facts facts = certificate_facts(&fixture->made);
    assert_string_equal(facts.who, "");
    assert_string_equal(facts.cluster, "");
    assert_string_equal(facts.subject, "outside");
    assert_string_equal(facts.serial, "0A0B");
}

/* There is one way of writing each identity; every other is refused. */
static void foreign_identity_is_not_guessed_at(void **state)
{
    static const char *const foul[] = {
        "osiris:",
        "osiris:c",
        "osiris:c/",
        "osiris:c/admin",
        "osiris:c/key:k",
        "osiris:/user:ana",
        "osiris:c/user:",
        "osiris:c/d/user:ana",
        "osiris:c/user:ana/b",
        "osiris:c/user:ana%00",
        "osiris:c/user:ana%2Fb",
        "osiris:c/user:%61na",
        "osiris:c/user%3Aana",
        "osiris:c/user:an%C3%bc",
        "osiris:c/user:an%C3",
        "osiris:c/user:an%C",
        "osiris:c/user:ana%",
        "osiris:c/user:ana b",
        "osiris:c/user:a%3Ab",
        "osiris:c/user:a%2A",
    };
    struct authority_fixture *fixture = *state;

    for (size_t i = 0; i < sizeof(foul) / sizeof(foul[0]); i++) {
        write_certificate(fixture, "x", 1, &foul[i], 1);
        assert_malformed(fixture, "identity that is none");
    }
    static const char *const two[] = {"osiris:c/user:ana", "osiris:c/user:root"};
    write_certificate(fixture, "x", 1, two, 2);
    assert_malformed(fixture, "two identities");
}

/* A common name that ends early for some readers, or that a terminal would act on, is refused. */
static void foreign_subject_must_be_plain(void **state)
{
    struct authority_fixture *fixture = *state;

    write_certificate(fixture, "ana\0.evil", 9, NULL, 0);
    assert_malformed(fixture, "no plain text");
    write_certificate(fixture, "ana\033[2J", 7, NULL, 0);
    assert_malformed(fixture, "no plain text");
}

/* Text without a certificate has none; what stands before the first one does not matter. */
static void certificate_is_found_in_text(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_buffer text = {0};

    assert_malformed(fixture, "there is no certificate");
    osr_buffer_add_text(&fixture->made, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE--"
                                        "---\n");
    assert_malformed(fixture, "there is no certificate");
    osr_buffer_add_text(&text, "Certificate:\n  Data\n");
    osr_buffer_add(&text, fixture->authority.data, fixture->authority.size);
    assert_true(certificate_facts(&text).is_authority);
    osr_buffer_done(&text);
}

/* Several certificates in a text are found one by one, and what is between them is not lost
 * sight of. */
static void certificates_are_counted(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_slice one = osr_buffer_slice(&fixture->authority);
    struct osr_buffer text = {0};
    struct osr_slice pem;

    assert_int_equal(osr_certificate_count(osr_slice(NULL, 0)), 0);
    assert_int_equal(osr_certificate_count(osr_slice_text("none")), 0);
    assert_int_equal(osr_certificate_count(one), 1);
    assert_int_equal(osr_certificate_count(osr_slice(one.data, one.size - 1)), 1);
    assert_int_equal(osr_certificate_count(osr_slice(one.data, one.size - 2)), 0);

    osr_buffer_add_text(&text, "# ");
    osr_buffer_add(&text, one.data, one.size);
    assert_int_equal(osr_certificate_count(osr_buffer_slice(&text)), 0); /* not a line's begin */

    text.size = 0;
    osr_buffer_add_text(&text, "# one\n");
    osr_buffer_add(&text, one.data, one.size);
    osr_buffer_add_text(&text, "# and the same again\r\n");
    osr_buffer_add(&text, one.data, one.size);
    assert_int_equal(osr_certificate_count(osr_buffer_slice(&text)), 2);
    struct osr_slice rest = osr_buffer_slice(&text);
    assert_true(osr_certificate_next(&rest, &pem));
    assert_true(osr_slice_equal(pem, one));
    assert_true(osr_certificate_next(&rest, &pem));
    assert_true(osr_slice_equal(pem, one));
    assert_false(osr_certificate_next(&rest, &pem));

    osr_buffer_add(&text, fixture->key.data, fixture->key.size);
    assert_int_equal(osr_certificate_count(osr_buffer_slice(&text)), 0);
    text.size = 0;
    osr_buffer_add(&text, one.data, one.size - 1);
    osr_buffer_add(&text, one.data, one.size);
    assert_int_equal(osr_certificate_count(osr_buffer_slice(&text)), 0);
    osr_secret_buffer_done(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(certificate_facts_are_those_of_openssl, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(issuer_is_who_has_signed, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test(certificate_is_renewed_in_time),
        cmocka_unit_test_setup_teardown(outside_certificate_has_no_identity, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(foreign_identity_is_not_guessed_at, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(foreign_subject_must_be_plain, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_is_found_in_text, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificates_are_counted, authority_set_up,
                                        authority_tear_down),
    };

    return cmocka_run_group_tests_name("certificate", tests, NULL, NULL);
}
