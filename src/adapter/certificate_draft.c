#include "adapter/certificate_draft.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <time.h>

#include "adapter/certificate.h"
#include "adapter/keys.h"

enum { SERIAL_BYTES = 16 };

static bool set_serial(X509 *certificate)
{
    uint8_t bytes[SERIAL_BYTES];
    BIGNUM *number = NULL;

    do {
        osr_secret_random(bytes, sizeof(bytes));
        BN_free(number);
        number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    } while (number != NULL && BN_is_zero(number));
    bool is_set =
        number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(certificate)) != NULL;
    BN_free(number);
    return is_set;
}

/* UTCTime up to 2049 and GeneralizedTime beyond, as RFC 5280 wants it. */
static bool set_times(X509 *certificate, const struct osr_certificate_draft *draft)
{
    return ASN1_TIME_set(X509_getm_notBefore(certificate), (time_t)draft->begins_s) != NULL &&
           ASN1_TIME_set(X509_getm_notAfter(certificate), (time_t)draft->expires_s) != NULL;
}

static bool add_subject(X509 *certificate, int kind, const char *text)
{
    return X509_NAME_add_entry_by_NID(X509_get_subject_name(certificate), kind, MBSTRING_UTF8,
                                      (const uint8_t *)text, -1, -1, 0) == 1;
}

static bool set_subjects(X509 *certificate, const struct osr_certificate_draft *draft)
{
    X509 *issuer = draft->authority != NULL ? draft->authority : certificate;

    return (draft->organization == NULL ||
            add_subject(certificate, NID_organizationName, draft->organization)) &&
           add_subject(certificate, NID_commonName, draft->subject) &&
           X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1;
}

static bool add_extension(X509 *certificate, X509V3_CTX *context, int kind, const char *value)
{
    X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, context, kind, value);
    bool is_added = extension != NULL && X509_add_ext(certificate, extension, -1) == 1;

    X509_EXTENSION_free(extension);
    return is_added;
}

static bool add_extensions(X509 *certificate, const struct osr_certificate_draft *draft)
{
    X509 *authority = draft->authority;
    const char *basic = draft->is_authority ? "critical,CA:TRUE,pathlen:0" : "critical,CA:FALSE";
    const char *usage =
        draft->is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature";
    X509V3_CTX context;

    X509V3_set_ctx(&context, authority, certificate, NULL, NULL, 0);
    return add_extension(certificate, &context, NID_basic_constraints, basic) &&
           add_extension(certificate, &context, NID_key_usage, usage) &&
           add_extension(certificate, &context, NID_subject_key_identifier, "hash") &&
           (authority == NULL || X509_get0_subject_key_id(authority) == NULL ||
            add_extension(certificate, &context, NID_authority_key_identifier, "keyid:always")) &&
           (draft->is_authority ||
            add_extension(certificate, &context, NID_ext_key_usage, "serverAuth,clientAuth")) &&
           (draft->names == NULL || X509_add1_ext_i2d(certificate, NID_subject_alt_name,
                                                      draft->names, 0, X509V3_ADD_DEFAULT) == 1);
}

static bool fill_in(X509 *certificate, const struct osr_certificate_draft *draft)
{
    return X509_set_version(certificate, X509_VERSION_3) == 1 && set_serial(certificate) &&
           set_times(certificate, draft) && set_subjects(certificate, draft) &&
           X509_set_pubkey(certificate, draft->public_key) == 1 &&
           add_extensions(certificate, draft) &&
           X509_sign(certificate, draft->signing_key, osr_key_digest(draft->signing_key)) > 0;
}

static int write_certificate(X509 *certificate, struct osr_buffer *pem, struct osr_err *err)
{
    BIO *text = BIO_new(BIO_s_mem());
    int code = 0;

    if (text == NULL || PEM_write_bio_X509(text, certificate) != 1) {
        code = osr_openssl_error(err, "write a certificate");
    } else {
        osr_pem_take(text, pem);
    }
    BIO_free(text);
    return code;
}

int osr_certificate_make(const struct osr_certificate_draft *draft, struct osr_buffer *pem,
                         struct osr_err *err)
{
    X509 *certificate = X509_new();
    int code = certificate != NULL && fill_in(certificate, draft)
                   ? write_certificate(certificate, pem, err)
                   : osr_openssl_error(err, "make a certificate");

    X509_free(certificate);
    ERR_clear_error();
    return code;
}
