/* Who is let in, by what, and what both sides are told where somebody is not. What happens to
 * records is in test_tls_records.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "lib/tls_pair.h"

enum { DAY_S = 24 * 60 * 60 };

#define CERTIFICATE (1u << OSR_TLS_PROOF_CERTIFICATE)
#define NOTHING     (1u << OSR_TLS_PROOF_NONE)
#define KEY         (1u << OSR_TLS_PROOF_KEY)
#define PINNED      (1u << OSR_TLS_PROOF_PINNED)

static const char server_who[] = "instance:abcdefghijklmnopqrstuvwxyz234567";
static const char secret_text[] = "0123456789abcdef0123456789abcdef";

static struct osr_tls_shared_key shared_key(const char *name, const char *secret)
{
    return (struct osr_tls_shared_key){name, osr_slice_text(secret)};
}

/* A cluster's CA, a server and a client of it; and a CA that nobody knows, with a client. */
struct fixture {
    struct osr_party authority;
    struct osr_party server;
    struct osr_party client;
    struct osr_party foreign_authority;
    struct osr_party foreign_client;
    /* The usual link; tests change what they are about. */
    struct osr_tls_options server_options;
    struct osr_tls_options client_options;
    struct osr_tls_pair pair;
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));

    fixture->authority = osr_party_authority("lab");
    fixture->server = osr_party_of(&fixture->authority, "lab", server_who);
    fixture->client = osr_party_of(&fixture->authority, "lab", "user:ana");
    fixture->foreign_authority = osr_party_authority("elsewhere");
    fixture->foreign_client = osr_party_of(&fixture->foreign_authority, "lab", "user:ana");

    fixture->server_options = osr_party_options(true, &fixture->server);
    fixture->server_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->server_options.proofs = CERTIFICATE;
    fixture->client_options = osr_party_options(false, &fixture->client);
    fixture->client_options.authorities_pem = osr_buffer_slice(&fixture->authority.certificate);
    fixture->client_options.proofs = CERTIFICATE;
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
    osr_party_done(&fixture->foreign_authority);
    osr_party_done(&fixture->foreign_client);
    free(fixture);
    return 0;
}

static void shake_hands(struct fixture *fixture)
{
    osr_tls_pair_close(&fixture->pair);
    osr_tls_pair_open(&fixture->pair, &fixture->client_options, &fixture->server_options);
    osr_tls_pair_talk(&fixture->pair);
}

static void assert_up(struct osr_tls_side *side, enum osr_tls_proof proof, const char *cluster,
                      const char *who)
{
    assert_string_equal(side->err.message, "");
    assert_true(osr_tls_is_up(side->tls));
    const struct osr_tls_peer *peer = osr_tls_peer(side->tls);
    assert_int_equal(peer->proof, proof);
    assert_string_equal(peer->cluster, cluster);
    assert_string_equal(peer->who, who);
}

static void assert_told(const struct osr_tls_side *side, enum osr_code code, const char *message)
{
    assert_int_equal(side->code, code);
    if (strstr(side->err.message, message) == NULL) {
        assert_string_equal(side->err.message, message);
    }
    assert_null(strstr(side->err.message, secret_text));
}

/* The server refuses and says why; the client is told by an alert. */
static void assert_server_refuses(struct fixture *fixture, enum osr_code code, const char *message,
                                  const char *client_message)
{
    shake_hands(fixture);
    assert_told(&fixture->pair.server, code, message);
    assert_false(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_not_equal(fixture->pair.client.code, 0);
    assert_told(&fixture->pair.client, (enum osr_code)fixture->pair.client.code, client_message);
}

static void assert_client_refuses(struct fixture *fixture, enum osr_code code, const char *message,
                                  const char *server_message)
{
    shake_hands(fixture);
    assert_told(&fixture->pair.client, code, message);
    assert_false(osr_tls_is_up(fixture->pair.client.tls));
    assert_false(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_not_equal(fixture->pair.server.code, 0);
    assert_told(&fixture->pair.server, (enum osr_code)fixture->pair.server.code, server_message);
}

/* -- certificates that the tests make themselves -- */

/* What a certificate says that authority.h would not write. */
struct odd {
    const char *subject; /* common name; NULL: none */
    const char *names;   /* alternative names, as X509V3_EXT_conf_nid reads them; NULL: none */
    const char *usage;   /* extended key usage; NULL: none */
    bool is_authority;
    bool has_nul_in_name; /* a URI of our scheme with a NUL in it */
};

static X509 *parse_certificate(const struct osr_buffer *pem)
{
    BIO *text = BIO_new_mem_buf(pem->data, (int)pem->size);
    X509 *certificate = PEM_read_bio_X509(text, NULL, NULL, NULL);
    BIO_free(text);
    assert_non_null(certificate);
    return certificate;
}

static EVP_PKEY *parse_key(const struct osr_buffer *pem)
{
    BIO *text = BIO_new_mem_buf(pem->data, (int)pem->size);
    EVP_PKEY *key = PEM_read_bio_PrivateKey(text, NULL, NULL, NULL);
    BIO_free(text);
    assert_non_null(key);
    return key;
}

static void add_extension(X509 *certificate, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, kind, value);
    assert_non_null(extension);
    assert_int_equal(X509_add_ext(certificate, extension, -1), 1);
    X509_EXTENSION_free(extension);
}

static void add_name_with_nul(X509 *certificate)
{
    static const char uri[] = "osiris:lab/user:ana\0.example";
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    GENERAL_NAME *name = GENERAL_NAME_new();
    ASN1_IA5STRING *text = ASN1_IA5STRING_new();

    assert_int_equal(ASN1_STRING_set(text, uri, sizeof(uri) - 1), 1);
    GENERAL_NAME_set0_value(name, GEN_URI, text);
    assert_int_not_equal(sk_GENERAL_NAME_push(names, name), 0);
    assert_int_equal(X509_add1_ext_i2d(certificate, NID_subject_alt_name, names, 0, 0), 1);
    GENERAL_NAMES_free(names);
}

static void fill_in(X509 *certificate, const struct odd *odd, EVP_PKEY *key)
{
    X509_NAME *name = X509_get_subject_name(certificate);

    X509_set_version(certificate, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 4711);
    ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)OSR_PARTY_NOW_S - DAY_S);
    ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)OSR_PARTY_NOW_S + DAY_S);
    assert_int_equal(X509_set_pubkey(certificate, key), 1);
    X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const uint8_t *)"Example", -1, -1, 0);
    if (odd->subject != NULL) {
        X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const uint8_t *)odd->subject, -1, -1,
                                   0);
    }
    add_extension(certificate, NID_basic_constraints,
                  odd->is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
    if (odd->names != NULL) {
        add_extension(certificate, NID_subject_alt_name, odd->names);
    }
    if (odd->usage != NULL) {
        add_extension(certificate, NID_ext_key_usage, odd->usage);
    }
    if (odd->has_nul_in_name) {
        add_name_with_nul(certificate);
    }
}

/* Appends it to what is there, PEM. */
static void write_certificate(X509 *certificate, struct osr_buffer *pem)
{
    char *bytes;
    BIO *text = BIO_new(BIO_s_mem());
    assert_int_equal(PEM_write_bio_X509(text, certificate), 1);
    long size = BIO_get_mem_data(text, &bytes);
    osr_buffer_add(pem, bytes, (size_t)size);
    BIO_free(text);
}

static struct osr_party make_odd(const struct osr_party *authority, const struct odd *odd)
{
    struct osr_party party = {0};
    osr_tls_key_make(&party.key);
    EVP_PKEY *key = parse_key(&party.key);
    EVP_PKEY *signing_key = parse_key(&authority->key);
    X509 *issuer = parse_certificate(&authority->certificate);
    X509 *certificate = X509_new();

    fill_in(certificate, odd, key);
    assert_int_equal(X509_set_issuer_name(certificate, X509_get_subject_name(issuer)), 1);
    assert_true(X509_sign(certificate, signing_key, EVP_sha256()) > 0);
    write_certificate(certificate, &party.certificate);
    X509_free(certificate);
    X509_free(issuer);
    EVP_PKEY_free(signing_key);
    EVP_PKEY_free(key);
    return party;
}

/* -- certificates -- */

/* Both sides learn who the other is, out of its certificate. */
static void certificates_prove_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct osr_certificate_facts facts;
    struct osr_certificate_facts authority;

    shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", server_who);
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
    assert_int_equal(peer->expires_s, OSR_PARTY_NOW_S + OSR_CERTIFICATE_DAYS * (uint64_t)DAY_S);
}

/* A client without certificate comes in where nothing need be shown, and has proven nothing. */
static void client_without_certificate_is_let_in_where_it_may(void **state)
{
    struct fixture *fixture = *state;

    fixture->server_options.proofs = NOTHING | CERTIFICATE;
    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", server_who);
}

/* Where nothing is asked for, not even a client that has a certificate shows it. */
static void client_is_not_asked_where_certificates_are_not_let_in(void **state)
{
    struct fixture *fixture = *state;

    fixture->server_options.proofs = NOTHING;
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");
}

/* A client without certificate is refused where one is wanted, and both sides say so. */
static void client_without_certificate_is_refused(void **state)
{
    struct fixture *fixture = *state;

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "the client has shown no certificate",
                          "the server wants a certificate, and we have none");
}

/* A CA that is not believed is named, whichever side meets it. */
static void unknown_authority_is_refused_by_name(void **state)
{
    struct fixture *fixture = *state;

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
    struct fixture *fixture = *state;

    fixture->server_options.authorities_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "of a CA that is not believed here", "");
}

/* While a CA is replaced, old and new certificates come in; afterwards the old ones do not. */
static void two_authorities_are_believed_during_a_rotation(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer both = {0};

    osr_buffer_add(&both, fixture->authority.certificate.data, fixture->authority.certificate.size);
    osr_buffer_add(&both, fixture->foreign_authority.certificate.data,
                   fixture->foreign_authority.certificate.size);
    fixture->server_options.authorities_pem = osr_buffer_slice(&both);
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    struct osr_hash old = osr_tls_peer(fixture->pair.server.tls)->authority;

    fixture->client_options.certificate_pem =
        osr_buffer_slice(&fixture->foreign_client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->foreign_client.key);
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    assert_false(osr_hash_equal(&osr_tls_peer(fixture->pair.server.tls)->authority, &old));
    osr_buffer_done(&both);
}

static uint64_t given_time_s(void *context)
{
    return *(const uint64_t *)context;
}

/* An expired certificate is refused, saying since when; so is one that is not valid yet. */
static void certificates_have_their_time(void **state)
{
    struct fixture *fixture = *state;
    uint64_t time_s = OSR_PARTY_NOW_S + (OSR_CERTIFICATE_DAYS + 1) * (uint64_t)DAY_S;

    fixture->server_options.context = &time_s;
    fixture->server_options.time_s = given_time_s;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's certificate \"CN=user:ana\" expired at 2027-04-15 "
                          "08:00:00 UTC",
                          "the server says that our certificate has expired");
    time_s = OSR_PARTY_NOW_S - DAY_S;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "is not valid before 2027-01-15 07:55:00 UTC", "");
    time_s = OSR_PARTY_NOW_S + (OSR_CERTIFICATE_DAYS - 1) * (uint64_t)DAY_S;
    shake_hands(fixture);
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
    struct fixture *fixture = *state;
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
    shake_hands(fixture); /* the same number, of another CA */
    assert_true(osr_tls_is_up(fixture->pair.server.tls));
    assert_int_equal(revocations.questions, 1);
}

/* A client refuses a server whose certificate has been revoked. */
static void revoked_server_is_refused(void **state)
{
    struct fixture *fixture = *state;
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
static void shake_hands_as(struct fixture *fixture, const struct odd *odd)
{
    struct osr_party party = make_odd(&fixture->authority, odd);

    fixture->client_options.certificate_pem = osr_buffer_slice(&party.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&party.key);
    shake_hands(fixture);
    osr_party_done(&party);
}

/* The right CA is not enough: the certificate has to be for this use and bear an identity that
 * can be read in one way only. */
static void certificate_of_the_right_authority_may_be_wrong(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        struct odd odd;
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
    struct fixture *fixture = *state;

    shake_hands_as(fixture, &(struct odd){.subject = "ana.example", .names = "DNS:other.example"});
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "", "");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->subject, "ana.example");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->serial, "1267");

    shake_hands_as(fixture, &(struct odd){.names = "email:a@b.c,DNS:ana.example,DNS:b.example"});
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "", "");
    assert_string_equal(osr_tls_peer(fixture->pair.server.tls)->subject, "ana.example");
}

/* An intermediate CA is sent along, or believed in the root's place; what it issued is refused
 * once it has been revoked itself. */
static void certificates_hang_on_chains(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party root = make_odd(&fixture->foreign_authority,
                                     &(struct odd){.subject = "root", .is_authority = true});
    struct osr_party middle =
        make_odd(&root, &(struct odd){.subject = "middle", .is_authority = true});
    struct osr_party client = make_odd(&middle, &(struct odd){.names = "URI:osiris:lab/user:ana"});
    struct revocations revocations = {0};
    struct osr_buffer chain = {0};

    osr_buffer_add(&chain, client.certificate.data, client.certificate.size);
    osr_buffer_add(&chain, middle.certificate.data, middle.certificate.size);
    fixture->client_options.certificate_pem = osr_buffer_slice(&chain);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    fixture->server_options.authorities_pem = osr_buffer_slice(&root.certificate);
    shake_hands(fixture);
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
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");

    osr_buffer_done(&chain);
    osr_party_done(&client);
    osr_party_done(&middle);
    osr_party_done(&root);
}

/* What a certificate that is no CA's has signed is worth nothing. */
static void only_authorities_issue(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party eve =
        make_odd(&fixture->client, &(struct odd){.names = "URI:osiris:lab/user:admin"});
    struct osr_buffer chain = {0};

    osr_buffer_add(&chain, eve.certificate.data, eve.certificate.size);
    osr_buffer_add(&chain, fixture->client.certificate.data, fixture->client.certificate.size);
    fixture->client_options.certificate_pem = osr_buffer_slice(&chain);
    fixture->client_options.key_pem = osr_buffer_slice(&eve.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "cannot be believed", "");
    osr_buffer_done(&chain);
    osr_party_done(&eve);
}

/* A server of an outside CA has to bear the name that was dialled: a DNS name or an address. */
static void server_has_the_name_that_was_dialled(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party server = make_odd(
        &fixture->authority, &(struct odd){.subject = "c.example",
                                           .names = "DNS:a.example,DNS:*.b.example,IP:10.0.0.1"});
    static const char *const fitting[] = {"a.example", "x.b.example", "10.0.0.1"};
    static const char *const others[] = {"c.example", "b.example", "x.y.b.example", "10.0.0.2"};

    fixture->server_options.certificate_pem = osr_buffer_slice(&server.certificate);
    fixture->server_options.key_pem = osr_buffer_slice(&server.key);
    for (size_t i = 0; i < sizeof(fitting) / sizeof(fitting[0]); i++) {
        fixture->client_options.server_name = fitting[i];
        shake_hands(fixture);
        assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "", "");
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        fixture->client_options.server_name = others[i];
        assert_client_refuses(fixture, OSR_UNAUTHENTICATED, others[i], "");
    }
    osr_party_done(&server);

    server = make_odd(&fixture->authority, &(struct odd){.subject = "c.example"});
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
    struct fixture *fixture = *state;

    fixture->client_options.server_name = "a.example";
    shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", server_who);
}

/* Puts the CA's certificate behind the server's own. */
static void show_chain(struct fixture *fixture, const struct osr_party *server,
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
    struct fixture *fixture = *state;
    struct osr_party eve = osr_party_of(&fixture->foreign_authority, "lab", server_who);
    struct osr_buffer chain = {0};
    struct osr_certificate_facts facts;

    assert_int_equal(
        osr_certificate_read(osr_buffer_slice(&fixture->authority.certificate), &facts, NULL), 0);
    fixture->client_options.authorities_pem = osr_slice(NULL, 0);
    fixture->client_options.authority_fingerprint = &facts.fingerprint;
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, refused, ""); /* it is not shown */

    show_chain(fixture, &fixture->server, &fixture->authority, &chain);
    shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", server_who);
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
    struct fixture *fixture = *state;
    struct osr_party server = osr_party_alone("lab", server_who);
    struct osr_party client = osr_party_alone("lab", "user:ana");
    struct osr_certificate_facts facts;

    fixture->server_options = osr_party_options(true, &server);
    fixture->server_options.proofs = PINNED;
    fixture->client_options = osr_party_options(false, &client);
    fixture->client_options.proofs = PINNED;
    shake_hands(fixture);
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
    struct fixture *fixture = *state;
    struct osr_party client = osr_party_alone("lab", "user:ana");

    fixture->client_options.certificate_pem = osr_buffer_slice(&client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "is signed by itself, and such are not let in here", "");
    osr_party_done(&client);

    fixture->server_options.proofs = PINNED;
    fixture->client_options.certificate_pem = osr_buffer_slice(&fixture->client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "is of a CA, and such are not let in here",
                          "");
    fixture->server_options.proofs = PINNED | CERTIFICATE;
    fixture->client_options.certificate_pem =
        osr_buffer_slice(&fixture->foreign_client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&fixture->foreign_client.key);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "of a CA that is not believed here", "");
}

/* One that signs itself has its time as well. */
static void self_signed_certificate_has_its_time(void **state)
{
    struct fixture *fixture = *state;
    struct osr_party client = osr_party_alone("lab", "user:ana");
    struct osr_certificate_facts facts;
    uint64_t time_s;

    osr_certificate_read(osr_buffer_slice(&client.certificate), &facts, NULL);
    fixture->client_options.certificate_pem = osr_buffer_slice(&client.certificate);
    fixture->client_options.key_pem = osr_buffer_slice(&client.key);
    fixture->server_options.proofs = PINNED;
    fixture->server_options.context = &time_s;
    fixture->server_options.time_s = given_time_s;
    time_s = facts.expires_s + 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "expired at ", "");
    time_s = facts.begins_s - 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "is not valid before ", "");
    time_s = facts.expires_s;
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_PINNED, "", "");
    osr_party_done(&client);
}

/* -- shared keys -- */

/* Makes the pair use shared keys alone: no certificate on either side. */
static void use_keys(struct fixture *fixture, const struct osr_tls_shared_key *server_keys,
                     size_t server_key_count, const struct osr_tls_shared_key *client_key)
{
    fixture->server_options = osr_party_options(true, NULL);
    fixture->server_options.shared_keys = server_keys;
    fixture->server_options.shared_key_count = server_key_count;
    fixture->server_options.proofs = KEY;
    fixture->client_options = osr_party_options(false, NULL);
    fixture->client_options.shared_keys = client_key;
    fixture->client_options.shared_key_count = 1;
    fixture->client_options.proofs = KEY;
}

/* A key that both sides know is proof for both, without any certificate. */
static void shared_key_proves_both_sides(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key key = shared_key("backup", secret_text);

    use_keys(fixture, &key, 1, &key);
    shake_hands(fixture);
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", "backup");
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", "backup");
}

/* While a key is replaced, the old one and the new one come in. */
static void several_shared_keys_are_known_during_a_rotation(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_tls_shared_key keys[] = {
        shared_key("old", secret_text),
        shared_key("new", "another secret of over thirty-two bytes, and none over 64"),
    };

    for (size_t i = 0; i < 2; i++) {
        use_keys(fixture, keys, 2, &keys[i]);
        shake_hands(fixture);
        assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", keys[i].name);
        assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", keys[i].name);
    }
    use_keys(fixture, &keys[1], 1, &keys[0]);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"old\" is not known here",
                          "the server does not take the shared key \"old\"");
}

/* Two secrets of one name do not fit, and neither is told. */
static void wrong_secret_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key ours = shared_key("backup", secret_text);
    struct osr_tls_shared_key theirs = shared_key("backup", "fedcba9876543210fedcba9876543210");

    use_keys(fixture, &ours, 1, &theirs);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"backup\" is another one than ours",
                          "the server does not take the shared key \"backup\"");
}

/* An unknown key does not become a certificate where only keys are let in, even if both sides have
 * a good one. */
static void unknown_key_does_not_fall_back(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key ours = shared_key("ours", secret_text);
    struct osr_tls_shared_key theirs = shared_key("theirs", secret_text);

    fixture->server_options.proofs = KEY;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = KEY | CERTIFICATE;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"theirs\" is not known here",
                          "the server does not take the shared key \"theirs\"");
}

/* A client that offers no key is refused where only keys are let in. */
static void client_without_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key ours = shared_key("ours", secret_text);

    fixture->server_options.proofs = KEY;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED, "the client has shown no shared key",
                          "the server finds nothing in common: it may want a shared key");
}

/* Where certificates are let in as well, an unknown key falls back to them, and what is told is
 * the certificate. A client that has none is told about its key. */
static void unknown_key_falls_back_where_certificates_are_let_in(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key ours = shared_key("ours", secret_text);
    struct osr_tls_shared_key theirs = shared_key("theirs", secret_text);

    fixture->server_options.proofs = KEY | CERTIFICATE;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = KEY | CERTIFICATE;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_CERTIFICATE, "lab", server_who);

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    assert_server_refuses(fixture, OSR_UNAUTHENTICATED,
                          "the client's shared key \"theirs\" is not known here", "");
}

/* Shared keys and client certificates work beside each other, at one listener. */
static void keys_and_certificates_are_let_in_side_by_side(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key key = shared_key("backup", secret_text);

    fixture->server_options.proofs = KEY | CERTIFICATE | NOTHING;
    fixture->server_options.shared_keys = &key;
    fixture->server_options.shared_key_count = 1;
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_CERTIFICATE, "lab", "user:ana");

    fixture->client_options.certificate_pem = osr_slice(NULL, 0);
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_NONE, "", "");

    fixture->client_options.shared_keys = &key;
    fixture->client_options.shared_key_count = 1;
    fixture->client_options.proofs = KEY;
    shake_hands(fixture);
    assert_up(&fixture->pair.server, OSR_TLS_PROOF_KEY, "", "backup");
    assert_up(&fixture->pair.client, OSR_TLS_PROOF_KEY, "", "backup");
    const struct osr_tls_peer *peer = osr_tls_peer(fixture->pair.server.tls);
    assert_string_equal(peer->serial, "");
    assert_int_equal(peer->expires_s, 0);
}

/* A client that wants the server to know its key does not take a certificate for it. */
static void client_that_expects_a_key_takes_no_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key ours = shared_key("ours", secret_text);
    struct osr_tls_shared_key theirs = shared_key("theirs", secret_text);

    fixture->server_options.proofs = KEY | CERTIFICATE | NOTHING;
    fixture->server_options.shared_keys = &ours;
    fixture->server_options.shared_key_count = 1;
    fixture->client_options.proofs = KEY;
    fixture->client_options.shared_keys = &theirs;
    fixture->client_options.shared_key_count = 1;
    assert_client_refuses(fixture, OSR_UNAUTHENTICATED, "is no answer to the shared key \"theirs\"",
                          "the client's shared key \"theirs\" is not known here");
}

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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
    struct osr_tls_options options = fixture->server_options;
    struct osr_party end = make_odd(&fixture->authority, &(struct odd){.subject = "end"});
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
    struct fixture *fixture = *state;
    struct osr_tls_options options = fixture->server_options;
    const struct osr_tls_shared_key good = shared_key("k", secret_text);
    const struct osr_tls_shared_key doubled[] = {good, good};
    const struct osr_tls_shared_key unfit[] = {
        shared_key("k", "too short"),
        shared_key("", secret_text),
        shared_key("a\nb", secret_text),
    };
    static const char *const messages[] = {"\"k\" has 9 bytes, not 32 to 64", "plain text",
                                           "plain text"};

    options.shared_keys = &good;
    options.shared_key_count = 1;
    assert_context_refused(&options, "they are not let in");
    options.proofs = CERTIFICATE | KEY;
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
    struct fixture *fixture = *state;
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
    struct fixture *fixture = *state;
    static const char *const server_protocols[] = {"h2", "osiris/1", NULL};
    static const char *const both[] = {"http/1.1", "osiris/1", "h2", NULL};
    static const char *const one[] = {"osiris/1", NULL};
    static const char *const other[] = {"http/1.1", NULL};

    fixture->server_options.protocols = server_protocols;
    fixture->client_options.protocols = both;
    shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "h2");
    assert_string_equal(osr_tls_protocol(fixture->pair.client.tls), "h2");

    fixture->client_options.protocols = one;
    shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "osiris/1");

    fixture->client_options.protocols = NULL;
    shake_hands(fixture);
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
    struct fixture *fixture = *state;
    static const char *const protocols[] = {"h2", NULL};
    struct osr_tls_shared_key key = shared_key("backup", secret_text);

    use_keys(fixture, &key, 1, &key);
    fixture->server_options.protocols = protocols;
    fixture->client_options.protocols = protocols;
    shake_hands(fixture);
    assert_string_equal(osr_tls_protocol(fixture->pair.server.tls), "h2");
    assert_string_equal(osr_tls_protocol(fixture->pair.client.tls), "h2");
}

/* -- the channel binding -- */

static void assert_bound(struct fixture *fixture, uint8_t *binding)
{
    uint8_t other[OSR_TLS_BINDING_SIZE];

    shake_hands(fixture);
    osr_tls_binding(fixture->pair.client.tls, binding);
    osr_tls_binding(fixture->pair.server.tls, other);
    assert_memory_equal(binding, other, OSR_TLS_BINDING_SIZE);
}

/* Both sides of a connection have the same binding, and no other connection has it: neither by
 * certificates nor by the same shared key. */
static void binding_belongs_to_one_connection(void **state)
{
    struct fixture *fixture = *state;
    struct osr_tls_shared_key key = shared_key("backup", secret_text);
    uint8_t bindings[4][OSR_TLS_BINDING_SIZE];

    assert_bound(fixture, bindings[0]);
    assert_bound(fixture, bindings[1]);
    use_keys(fixture, &key, 1, &key);
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
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
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
        TEST(server_has_the_name_that_was_dialled),
        TEST(identity_needs_no_name),
        TEST(authority_is_believed_by_its_fingerprint),
        TEST(self_signed_certificate_is_let_in_to_be_pinned),
        TEST(self_signed_certificate_is_refused_where_authorities_count),
        TEST(self_signed_certificate_has_its_time),
        TEST(shared_key_proves_both_sides),
        TEST(several_shared_keys_are_known_during_a_rotation),
        TEST(wrong_secret_is_refused),
        TEST(unknown_key_does_not_fall_back),
        TEST(client_without_key_is_refused),
        TEST(unknown_key_falls_back_where_certificates_are_let_in),
        TEST(keys_and_certificates_are_let_in_side_by_side),
        TEST(client_that_expects_a_key_takes_no_certificate),
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
