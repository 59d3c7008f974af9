#include "lib/odd_certificate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { DAY_S = 24 * 60 * 60 };

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

static void fill_in(X509 *certificate, const struct odd_certificate *odd, EVP_PKEY *key)
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

struct osr_party odd_certificate_make(const struct osr_party *authority,
                                      const struct odd_certificate *odd)
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
