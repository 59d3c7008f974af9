#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/authority_fixture.h"

static void assert_refused(struct authority_fixture *fixture,
                           const struct osr_authority_order *order, enum osr_code code,
                           const char *message)
{
    assert_int_equal(authority_issue(fixture, order), code);
    assert_int_equal(fixture->made.size, 0);
    assert_non_null(strstr(fixture->err.message, message));
}

/* What OpenSSL itself, at its strictest, says of the made certificate at this time. */
static int verdict(const struct authority_fixture *fixture, int purpose, uint64_t time_s)
{
    X509_STORE *store = X509_STORE_new();
    X509_STORE_CTX *context = X509_STORE_CTX_new();
    X509 *authority = certificate_parse(&fixture->authority);
    X509 *certificate = certificate_parse(&fixture->made);

    assert_int_equal(X509_STORE_add_cert(store, authority), 1);
    assert_int_equal(X509_STORE_CTX_init(context, store, certificate, NULL), 1);
    X509_VERIFY_PARAM *rules = X509_STORE_CTX_get0_param(context);
    X509_VERIFY_PARAM_set_time(rules, (time_t)time_s);
    X509_VERIFY_PARAM_set_purpose(rules, purpose);
    X509_VERIFY_PARAM_set_auth_level(rules, 3);
    X509_VERIFY_PARAM_set_flags(rules, X509_V_FLAG_X509_STRICT | X509_V_FLAG_CHECK_SS_SIGNATURE |
                                           X509_V_FLAG_POLICY_CHECK);
    int verified = X509_verify_cert(context);
    int error = X509_STORE_CTX_get_error(context);
    assert_int_equal(verified == 1, error == X509_V_OK);
    X509_free(certificate);
    X509_free(authority);
    X509_STORE_CTX_free(context);
    X509_STORE_free(store);
    ERR_clear_error();
    return error;
}

/* -- what is issued -- */

/* OpenSSL takes what the CA issues, for a server and for a client, from five minutes before it was
 * made until it expires. */
static void authority_issues_what_openssl_takes(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);

    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(verdict(fixture, X509_PURPOSE_SSL_SERVER, AUTHORITY_NOW_S), X509_V_OK);
    assert_int_equal(verdict(fixture, X509_PURPOSE_SSL_CLIENT, AUTHORITY_NOW_S), X509_V_OK);
    assert_int_equal(verdict(fixture, X509_PURPOSE_ANY, AUTHORITY_NOW_S - 300), X509_V_OK);
    assert_int_equal(verdict(fixture, X509_PURPOSE_ANY, AUTHORITY_NOW_S - 301),
                     X509_V_ERR_CERT_NOT_YET_VALID);
    assert_int_equal(verdict(fixture, X509_PURPOSE_ANY, AUTHORITY_NOW_S + 90 * AUTHORITY_DAY_S - 1),
                     X509_V_OK);
    assert_int_equal(verdict(fixture, X509_PURPOSE_ANY, AUTHORITY_NOW_S + 90 * AUTHORITY_DAY_S + 1),
                     X509_V_ERR_CERT_HAS_EXPIRED);
    assert_int_not_equal(verdict(fixture, X509_PURPOSE_SMIME_SIGN, AUTHORITY_NOW_S), X509_V_OK);
}

/* A certificate says who it is for, and by whom; it fits its key and no other. */
static void certificate_says_who_it_is_for(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);

    assert_int_equal(authority_issue(fixture, &order), 0);
    struct osr_certificate_facts facts = certificate_facts(&fixture->made);
    struct osr_certificate_facts authority = certificate_facts(&fixture->authority);
    assert_string_equal(facts.cluster, "büro/2");
    assert_string_equal(facts.who, AUTHORITY_INSTANCE);
    assert_string_equal(facts.subject, "one");
    assert_string_equal(facts.issuer, authority.subject);
    assert_int_equal(facts.begins_s, AUTHORITY_NOW_S - OSR_CERTIFICATE_EARLY_S);
    assert_int_equal(facts.expires_s, AUTHORITY_NOW_S + OSR_CERTIFICATE_DAYS * AUTHORITY_DAY_S);
    assert_false(facts.is_authority);
    assert_true(authority.is_authority);
    assert_string_equal(authority.cluster, "büro/2");
    assert_string_equal(authority.who, AUTHORITY_INSTANCE); /* whose CA it is */
    assert_int_equal(authority.expires_s,
                     AUTHORITY_NOW_S + (uint64_t)OSR_AUTHORITY_DAYS * AUTHORITY_DAY_S);

    struct osr_slice made = osr_buffer_slice(&fixture->made);
    assert_true(osr_certificate_fits_key(made, osr_buffer_slice(&fixture->key)));
    assert_false(osr_certificate_fits_key(made, osr_buffer_slice(&fixture->authority_key)));
    assert_false(osr_certificate_fits_key(made, osr_slice_text("no key")));
    assert_false(osr_certificate_fits_key(osr_slice(NULL, 0), osr_buffer_slice(&fixture->key)));
}

static void assert_extension_is_critical(X509 *certificate, int kind)
{
    int index = X509_get_ext_by_NID(certificate, kind, -1);

    assert_true(index >= 0);
    assert_int_equal(X509_EXTENSION_get_critical(X509_get_ext(certificate, index)), 1);
}

/* Ends are no CAs, CAs make no CAs, and each key may do what its certificate is for. */
static void certificate_is_for_its_purpose_alone(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);

    assert_int_equal(authority_issue(fixture, &order), 0);
    X509 *end = certificate_parse(&fixture->made);
    X509 *authority = certificate_parse(&fixture->authority);
    assert_int_equal(X509_check_ca(end), 0);
    assert_int_equal(X509_get_key_usage(end), KU_DIGITAL_SIGNATURE);
    assert_int_equal(X509_get_extended_key_usage(end), XKU_SSL_SERVER | XKU_SSL_CLIENT);
    assert_int_equal(X509_check_ca(authority), 1);
    assert_int_equal(X509_get_pathlen(authority), 0);
    assert_int_equal(X509_get_key_usage(authority), KU_KEY_CERT_SIGN | KU_CRL_SIGN);
    assert_int_equal(X509_get_version(end), X509_VERSION_3);
    assert_extension_is_critical(end, NID_basic_constraints);
    assert_extension_is_critical(end, NID_key_usage);
    assert_extension_is_critical(authority, NID_basic_constraints);
    assert_extension_is_critical(authority, NID_key_usage);
    X509_free(authority);
    X509_free(end);
}

/* A server's names are found by OpenSSL as what they are. */
static void certificate_bears_the_names_of_a_server(void **state)
{
    static const char *const names[] = {"db.example.org", "my_host", "192.0.2.7", "2001:db8::7"};
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    order.names = names;
    order.name_count = sizeof(names) / sizeof(names[0]);
    assert_int_equal(authority_issue(fixture, &order), 0);
    X509 *certificate = certificate_parse(&fixture->made);
    assert_int_equal(X509_check_host(certificate, "db.example.org", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "my_host", 0, 0, NULL), 1);
    assert_int_equal(X509_check_host(certificate, "192.0.2.7", 0, 0, NULL), 0);
    assert_int_equal(X509_check_ip_asc(certificate, "192.0.2.7", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "2001:db8::7", 0), 1);
    assert_int_equal(X509_check_ip_asc(certificate, "192.0.2.8", 0), 0);
    X509_free(certificate);
}

/* For clients that look for a server's name alone: the instance's id is one, a user's name none. */
static void instance_is_a_servers_name(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);
    const char *id = order.who + strlen("instance:");

    assert_int_equal(authority_issue(fixture, &order), 0);
    X509 *certificate = certificate_parse(&fixture->made);
    assert_int_equal(X509_check_host(certificate, id, 0, 0, NULL), 1);
    X509_free(certificate);

    order.who = "user:abcdefghijklmnopqrstuvwxyz234567";
    assert_int_equal(authority_issue(fixture, &order), 0);
    certificate = certificate_parse(&fixture->made);
    assert_int_equal(X509_check_host(certificate, order.who + strlen("user:"), 0,
                                     X509_CHECK_FLAG_NEVER_CHECK_SUBJECT, NULL),
                     0);
    X509_free(certificate);
}

/* The CA's end is the end of all that it issues. */
static void authority_does_not_outlive_itself(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);
    uint64_t end_s = certificate_facts(&fixture->authority).expires_s;

    order.days = UINT32_MAX;
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(certificate_facts(&fixture->made).expires_s, end_s);
    order.now_s = end_s - 1;
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(certificate_facts(&fixture->made).expires_s, end_s);

    order.now_s = end_s;
    assert_refused(fixture, &order, OSR_CONFIG, "has expired on 2037-01-12 08:00 UTC");
    order.now_s = AUTHORITY_NOW_S - OSR_CERTIFICATE_EARLY_S - 1;
    assert_refused(fixture, &order, OSR_CONFIG, "is good from 2027-01-15 07:55 UTC on");
}

/* Times are kept beyond 2049, where their form changes, and end with the year 9999. */
static void certificate_times_go_beyond_2049(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    order.now_s = 2521843199; /* 2049-11-30 23:59:59 */
    fixture->authority.size = 0;
    assert_int_equal(osr_authority_make(osr_buffer_slice(&fixture->authority_key), "c",
                                        AUTHORITY_INSTANCE, order.now_s, &fixture->authority,
                                        &fixture->err),
                     0);
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(certificate_facts(&fixture->made).expires_s,
                     order.now_s + 90 * AUTHORITY_DAY_S);
    assert_int_equal(verdict(fixture, X509_PURPOSE_ANY, order.now_s + 89 * AUTHORITY_DAY_S),
                     X509_V_OK);
    X509 *certificate = certificate_parse(&fixture->made);
    assert_int_equal(ASN1_STRING_type(X509_get0_notBefore(certificate)), V_ASN1_UTCTIME);
    assert_int_equal(ASN1_STRING_type(X509_get0_notAfter(certificate)), V_ASN1_GENERALIZEDTIME);
    X509_free(certificate);

    fixture->authority.size = 0;
    assert_int_equal(osr_authority_make(osr_buffer_slice(&fixture->authority_key), "c",
                                        AUTHORITY_INSTANCE, 253402300798, &fixture->authority,
                                        &fixture->err),
                     0);
    assert_int_equal(certificate_facts(&fixture->authority).expires_s, 253402300799);
    assert_int_equal(osr_authority_make(osr_buffer_slice(&fixture->authority_key), "c",
                                        AUTHORITY_INSTANCE, 253402300799, &fixture->authority,
                                        &fixture->err),
                     OSR_INVALID_ARGUMENT);
}

/* A certificate that vouches for its key alone says who it is of, and is no CA. */
static void certificate_signs_itself(void **state)
{
    struct authority_fixture *fixture = *state;

    assert_int_equal(osr_certificate_self_signed(osr_buffer_slice(&fixture->key), "c",
                                                 AUTHORITY_INSTANCE, AUTHORITY_NOW_S,
                                                 &fixture->made, &fixture->err),
                     0);
    struct osr_certificate_facts facts = certificate_facts(&fixture->made);
    assert_string_equal(facts.who, AUTHORITY_INSTANCE);
    assert_false(facts.is_authority);
    assert_true(osr_certificate_fits_key(osr_buffer_slice(&fixture->made),
                                         osr_buffer_slice(&fixture->key)));
    X509 *certificate = certificate_parse(&fixture->made);
    assert_int_equal(X509_self_signed(certificate, 1), 1);
    X509_free(certificate);
    /* The CA has not issued it, so nobody who believes the CA believes it. */
    assert_int_not_equal(verdict(fixture, X509_PURPOSE_ANY, AUTHORITY_NOW_S), X509_V_OK);
}

/* How many alternative names the made certificate has. */
static int count_names(const struct authority_fixture *fixture)
{
    X509 *certificate = certificate_parse(&fixture->made);
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    int count = sk_GENERAL_NAME_num(names);
    GENERAL_NAMES_free(names);
    X509_free(certificate);
    return count;
}

/* One that follows another has its DNS names and addresses, each once, and nothing else of it. */
static void certificate_keeps_the_names_of_the_one_before(void **state)
{
    static const char *const names[] = {"db.example.org", "192.0.2.7"};
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);
    struct osr_buffer before = {0};

    order.names = names;
    order.name_count = 2;
    assert_int_equal(authority_issue(fixture, &order), 0);
    osr_buffer_add(&before, fixture->made.data, fixture->made.size);
    order = authority_order(fixture);
    order.who = "user:ana";
    order.follows_pem = osr_buffer_slice(&before);
    assert_int_equal(authority_issue(fixture, &order), 0);
    X509 *certificate = certificate_parse(&fixture->made);
    assert_int_equal(X509_check_host(certificate, names[0], 0, 0, NULL), 1);
    assert_int_equal(X509_check_ip_asc(certificate, names[1], 0), 1);
    X509_free(certificate);
    assert_string_equal(certificate_facts(&fixture->made).who, "user:ana");
    order.who = AUTHORITY_INSTANCE;
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(count_names(fixture), 2 + 2);
    order.follows_pem = osr_slice_text("no certificate");
    assert_refused(fixture, &order, OSR_MALFORMED, "no certificate");
    osr_buffer_done(&before);
}

/* -- requests -- */

/* Signs a request for the key as OpenSSL has it, without a look at what it is. */
static void write_request(struct authority_fixture *fixture, EVP_PKEY *key, EVP_PKEY *signing_key,
                          const EVP_MD *digest)
{
    X509_REQ *request = X509_REQ_new();
    BIO *text = BIO_new(BIO_s_mem());

    assert_int_equal(X509_REQ_set_pubkey(request, key), 1);
    assert_true(X509_REQ_sign(request, signing_key, digest) > 0);
    assert_int_equal(PEM_write_bio_X509_REQ(text, request), 1);
    fixture->request.size = 0;
    size_t size = BIO_ctrl_pending(text);
    BIO_read(text, osr_buffer_reserve(&fixture->request, size), (int)size);
    fixture->request.size = size;
    BIO_free(text);
    X509_REQ_free(request);
}

static void assert_key_is_taken(struct authority_fixture *fixture, EVP_PKEY *key,
                                const EVP_MD *digest)
{
    write_request(fixture, key, key, digest);
    const struct osr_authority_order order = authority_order(fixture);
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(verdict(fixture, X509_PURPOSE_SSL_SERVER, AUTHORITY_NOW_S), X509_V_OK);
    EVP_PKEY_free(key);
}

/* P-384 and Ed25519 keys are taken beside P-256. */
static void request_may_have_three_kinds_of_keys(void **state)
{
    assert_key_is_taken(*state, EVP_EC_gen("P-384"), EVP_sha384());
    assert_key_is_taken(*state, EVP_PKEY_Q_keygen(NULL, NULL, "ED25519"), NULL);
}

static void assert_key_is_refused(struct authority_fixture *fixture, EVP_PKEY *key,
                                  const EVP_MD *digest)
{
    assert_non_null(key);
    write_request(fixture, key, key, digest);
    const struct osr_authority_order order = authority_order(fixture);
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "none of P-256, P-384 or Ed25519");
    EVP_PKEY_free(key);
}

/* A P-256 key whose curve is spelt out, as CVE-2020-0601 used it. */
static EVP_PKEY *key_with_explicit_curve(void)
{
    EVP_PKEY_CTX *context = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string("group", (char *)"P-256", 0),
        OSSL_PARAM_construct_utf8_string("encoding", (char *)"explicit", 0),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY *key = NULL;

    assert_int_equal(EVP_PKEY_keygen_init(context), 1);
    assert_int_equal(EVP_PKEY_CTX_set_params(context, params), 1);
    assert_int_equal(EVP_PKEY_generate(context, &key), 1);
    EVP_PKEY_CTX_free(context);
    return key;
}

/* RSA, other curves and spelt-out curves are refused. */
static void request_with_another_key_is_refused(void **state)
{
    assert_key_is_refused(*state, EVP_RSA_gen(2048), EVP_sha256());
    assert_key_is_refused(*state, EVP_EC_gen("P-521"), EVP_sha256());
    assert_key_is_refused(*state, EVP_EC_gen("secp256k1"), EVP_sha256());
    assert_key_is_refused(*state, EVP_PKEY_Q_keygen(NULL, NULL, "ED448"), NULL);
    assert_key_is_refused(*state, key_with_explicit_curve(), EVP_sha256());
}

/* Who asks must have the key: a request for one key that another has signed is refused. */
static void request_must_be_signed_with_its_key(void **state)
{
    struct authority_fixture *fixture = *state;
    EVP_PKEY *key = EVP_EC_gen("P-256");
    EVP_PKEY *other = EVP_EC_gen("P-256");

    write_request(fixture, key, other, EVP_sha256());
    const struct osr_authority_order order = authority_order(fixture);
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "not signed with the key");
    EVP_PKEY_free(other);
    EVP_PKEY_free(key);
}

/* What is no request, and what is too long for one, is told apart. */
static void request_that_is_none_is_refused(void **state)
{
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    order.request_pem = osr_slice_text("please");
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "no certificate request");
    order.request_pem = osr_slice(NULL, 0);
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "no certificate request");
    order.request_pem = osr_buffer_slice(&fixture->authority);
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "no certificate request");

    uint8_t *room = osr_buffer_reserve(&fixture->request, OSR_CERTIFICATE_REQUEST_BYTES_MAX);
    memset(room, '\n', OSR_CERTIFICATE_REQUEST_BYTES_MAX);
    order.request_pem = osr_slice(fixture->request.data, OSR_CERTIFICATE_REQUEST_BYTES_MAX);
    assert_int_equal(authority_issue(fixture, &order), 0);
    order.request_pem.size++;
    assert_refused(fixture, &order, OSR_TOO_LARGE, "at most 16384 bytes");
}

/* -- names -- */

/* Only instances and users are certified, and only with names that can be read in one way. */
static void identity_that_is_none_is_refused(void **state)
{
    static const char *const none[] = {
        "",
        "admin",
        "seed",
        "anyone",
        "key:k",
        "token:t",
        "user:",
        "user:a:b",
        "user:a/b",
        "user:a*",
        "user:a\nb",
        "user:\xff",
        "instance:",
        "instance:abc",
        "instance:ABCDEFGHIJKLMNOPQRSTUVWXYZ234567",
        "instance:abcdefghijklmnopqrstuvwxyz2345677",
        "user:"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    };
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        order.who = none[i];
        assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "cannot be certified");
        assert_int_equal(osr_certificate_self_signed(osr_buffer_slice(&fixture->key), "c", none[i],
                                                     AUTHORITY_NOW_S, &fixture->made,
                                                     &fixture->err),
                         OSR_INVALID_ARGUMENT);
    }
    order.who = AUTHORITY_INSTANCE;
    order.cluster = "";
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "no cluster's name");
    order.cluster = "a\tb";
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "no cluster's name");
}

/* Whatever characters cluster and user have, what is read is what was written. */
static void identity_is_read_as_it_was_written(void **state)
{
    static const char *const clusters[] = {
        "osiris", "a/b", "a:b", "a%2Fb", "büro 2", "x,DNS:evil", "osiris:c/user:root"};
    static const char *const users[] = {"user:ana", "user:Ana María", "user:a%b",
                                        "user:a@b.org, b"};
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    for (size_t i = 0; i < sizeof(clusters) / sizeof(clusters[0]); i++) {
        for (size_t k = 0; k < sizeof(users) / sizeof(users[0]); k++) {
            order.cluster = clusters[i];
            order.who = users[k];
            assert_int_equal(authority_issue(fixture, &order), 0);
            struct osr_certificate_facts facts = certificate_facts(&fixture->made);
            assert_string_equal(facts.cluster, clusters[i]);
            assert_string_equal(facts.who, users[k]);
        }
    }
}

/* What looks like a name but is none does not get into a certificate. */
static void server_name_that_is_none_is_refused(void **state)
{
    static const char *const none[] = {
        "",
        ".",
        "a..b",
        "a.",
        "*.example.org",
        "a b",
        "a,DNS:b",
        "a/b",
        "192.0.2.300",
        "1.2.3",
        "fe80::1%eth0",
        "[::1]",
        "-a",
        "a-",
        "ü.org",
        "host:12346",
        "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.org",
    };
    static const char *many[OSR_CERTIFICATE_NAMES_MAX + 1];
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    for (size_t i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        order.names = &none[i];
        order.name_count = 1;
        assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "neither a DNS name nor an IP");
    }
    for (size_t i = 0; i < sizeof(many) / sizeof(many[0]); i++) {
        many[i] = "a";
    }
    order.names = many;
    order.name_count = sizeof(many) / sizeof(many[0]);
    assert_refused(fixture, &order, OSR_TOO_LARGE, "65 names are too many");
    order.name_count--;
    assert_int_equal(authority_issue(fixture, &order), 0);
}

/* A subject is 1 to 64 bytes of text, as X.509 has it. */
static void subject_that_does_not_fit_is_refused(void **state)
{
    static const char longest[] =
        "0123456789012345678901234567890123456789012345678901234567890123";
    struct authority_fixture *fixture = *state;
    struct osr_authority_order order = authority_order(fixture);

    _Static_assert(sizeof(longest) == 64 + 1, "the longest");
    order.subject = longest;
    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_string_equal(certificate_facts(&fixture->made).subject, longest);
    order.subject = "01234567890123456789012345678901234567890123456789012345678901234";
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "subject");
    order.subject = "";
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "subject");
    order.subject = "a\nb";
    assert_refused(fixture, &order, OSR_INVALID_ARGUMENT, "subject");
}

/* -- the CA -- */

/* A CA needs its own key, and a certificate that may issue others. */
static void authority_that_is_none_issues_nothing(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);
    struct osr_slice key = osr_buffer_slice(&fixture->key);
    struct osr_buffer made = {0};

    assert_int_equal(authority_issue(fixture, &order), 0);
    assert_int_equal(osr_authority_issue(osr_buffer_slice(&fixture->authority), key, &order, &made,
                                         &fixture->err),
                     OSR_CONFIG);
    assert_non_null(strstr(fixture->err.message, "do not belong together"));
    assert_int_equal(
        osr_authority_issue(osr_buffer_slice(&fixture->made), key, &order, &made, &fixture->err),
        OSR_CONFIG);
    assert_non_null(strstr(fixture->err.message, "is no CA"));
    assert_int_equal(osr_authority_issue(osr_slice_text("none"), key, &order, &made, &fixture->err),
                     OSR_CONFIG);
    assert_int_equal(osr_authority_issue(osr_buffer_slice(&fixture->authority),
                                         osr_slice_text("none"), &order, &made, &fixture->err),
                     OSR_CONFIG);
    assert_int_equal(made.size, 0);
    osr_buffer_done(&made);
}

/* A CA whose key may sign other things than certificates is none for us. */
static void authority_must_be_for_certificates(void **state)
{
    struct authority_fixture *fixture = *state;
    const struct osr_authority_order order = authority_order(fixture);
    X509 *authority = certificate_parse(&fixture->authority);
    int index = X509_get_ext_by_NID(authority, NID_key_usage, -1);

    X509_EXTENSION_free(X509_delete_ext(authority, index));
    X509_EXTENSION *usage = X509V3_EXT_conf_nid(NULL, NULL, NID_key_usage, "cRLSign");
    assert_int_equal(X509_add_ext(authority, usage, -1), 1);
    assert_true(i2d_re_X509_tbs(authority, NULL) > 0); /* what is written is what it is now */
    certificate_write(&fixture->authority, authority);
    assert_true(certificate_facts(&fixture->authority).is_authority);
    assert_refused(fixture, &order, OSR_CONFIG, "is no CA");
    X509_EXTENSION_free(usage);
    X509_free(authority);
}

/* The CA of a cluster has a name of its own each time, so that two can be told apart. */
static void authorities_have_different_names(void **state)
{
    struct authority_fixture *fixture = *state;

    assert_int_equal(osr_authority_make(osr_buffer_slice(&fixture->key), "büro/2",
                                        AUTHORITY_INSTANCE, AUTHORITY_NOW_S, &fixture->made,
                                        &fixture->err),
                     0);
    assert_string_not_equal(certificate_facts(&fixture->made).subject,
                            certificate_facts(&fixture->authority).subject);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(authority_issues_what_openssl_takes, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_says_who_it_is_for, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_is_for_its_purpose_alone, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_bears_the_names_of_a_server, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(instance_is_a_servers_name, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(authority_does_not_outlive_itself, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_times_go_beyond_2049, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_signs_itself, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(certificate_keeps_the_names_of_the_one_before,
                                        authority_set_up, authority_tear_down),
        cmocka_unit_test_setup_teardown(request_may_have_three_kinds_of_keys, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(request_with_another_key_is_refused, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(request_must_be_signed_with_its_key, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(request_that_is_none_is_refused, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(identity_that_is_none_is_refused, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(identity_is_read_as_it_was_written, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(server_name_that_is_none_is_refused, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(subject_that_does_not_fit_is_refused, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(authority_that_is_none_issues_nothing, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(authority_must_be_for_certificates, authority_set_up,
                                        authority_tear_down),
        cmocka_unit_test_setup_teardown(authorities_have_different_names, authority_set_up,
                                        authority_tear_down),
    };

    return cmocka_run_group_tests_name("authority", tests, NULL, NULL);
}
