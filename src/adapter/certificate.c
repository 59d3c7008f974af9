#include "adapter/certificate.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

#include "adapter/certificate_identity.h"
#include "base/text.h"

/* A file with the certificates of all CAs that browsers believe has a quarter of it: stops a
 * wrong file from being decoded to its end. */
enum { PEM_BYTES_MAX = 1 << 20 };

/* -- PEM -- */

int osr_pem_no_password(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

static BIO *open_text(struct osr_slice pem)
{
    return pem.size > 0 && pem.size <= PEM_BYTES_MAX ? BIO_new_mem_buf(pem.data, (int)pem.size)
                                                     : NULL;
}

X509 *osr_certificate_parse(struct osr_slice pem)
{
    BIO *text = open_text(pem);
    X509 *certificate =
        text == NULL ? NULL : PEM_read_bio_X509(text, NULL, osr_pem_no_password, NULL);

    BIO_free(text);
    ERR_clear_error();
    return certificate;
}

bool osr_certificate_next(struct osr_slice *rest, struct osr_slice *ret_pem)
{
    static const char begin[] = "-----BEGIN CERTIFICATE-----";
    static const char end[] = "-----END CERTIFICATE-----";

    if (rest->size == 0) {
        return false;
    }
    const uint8_t *limit = rest->data + rest->size;
    const uint8_t *from = memmem(rest->data, rest->size, begin, strlen(begin));
    const uint8_t *to =
        from == NULL ? NULL : memmem(from, (size_t)(limit - from), end, strlen(end));
    if (to == NULL) {
        return false;
    }
    to += strlen(end);
    /* Readers of PEM go by lines. */
    if ((from > rest->data && from[-1] != '\n') || (to < limit && *to != '\r' && *to != '\n')) {
        return false;
    }
    to += to < limit && *to == '\r';
    to += to < limit && *to == '\n';
    *ret_pem = osr_slice(from, (size_t)(to - from));
    *rest = osr_slice(to, (size_t)(limit - to));
    return true;
}

size_t osr_certificate_count(struct osr_slice pem)
{
    static const char begin[] = "-----BEGIN ";
    struct osr_slice rest = pem;
    struct osr_slice certificate;
    size_t count = 0;
    size_t blocks = 0;

    while (osr_certificate_next(&rest, &certificate)) {
        count++;
    }
    for (const uint8_t *at = pem.data; count > 0; at += strlen(begin), blocks++) {
        at = memmem(at, (size_t)(pem.data + pem.size - at), begin, strlen(begin));
        if (at == NULL) {
            break;
        }
    }
    return blocks == count ? count : 0;
}

EVP_PKEY *osr_key_parse(struct osr_slice pem)
{
    BIO *text = open_text(pem);
    EVP_PKEY *key =
        text == NULL ? NULL : PEM_read_bio_PrivateKey(text, NULL, osr_pem_no_password, NULL);

    BIO_free(text);
    ERR_clear_error(); /* decoders that were tried first leave theirs, also where one succeeds */
    return key;
}

void osr_pem_take(BIO *text, struct osr_buffer *buffer)
{
    size_t size = BIO_ctrl_pending(text);
    int taken = BIO_read(text, osr_buffer_reserve(buffer, size), (int)size);
    buffer->size += taken > 0 ? (size_t)taken : 0;
}

int osr_openssl_error(struct osr_err *err, const char *what)
{
    const char *reason = ERR_reason_error_string(ERR_peek_last_error());
    osr_err_set(err, OSR_INTERNAL, "OpenSSL cannot %s: %s", what,
                reason != NULL ? reason : "no reason given");
    ERR_clear_error();
    return OSR_INTERNAL;
}

/* -- keys -- */

/* A curve that is spelt out instead of named may differ from the one it looks like. */
static bool curve_is_spelt_out(const EVP_PKEY *key)
{
    int is_spelt_out = 1;
    return EVP_PKEY_get_int_param(key, OSSL_PKEY_PARAM_EC_DECODED_FROM_EXPLICIT_PARAMS,
                                  &is_spelt_out) != 1 ||
           is_spelt_out != 0;
}

static bool curve_is_taken(const EVP_PKEY *key)
{
    char name[32];
    size_t size;

    return EVP_PKEY_get_group_name(key, name, sizeof(name), &size) == 1 &&
           (strcmp(name, SN_X9_62_prime256v1) == 0 || strcmp(name, SN_secp384r1) == 0) &&
           !curve_is_spelt_out(key);
}

bool osr_key_is_taken(const EVP_PKEY *key)
{
    bool is_taken =
        EVP_PKEY_is_a(key, "ED25519") || (EVP_PKEY_is_a(key, "EC") && curve_is_taken(key));

    ERR_clear_error();
    return is_taken;
}

const EVP_MD *osr_key_digest(const EVP_PKEY *key)
{
    return EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256();
}

bool osr_private_key_is_valid(struct osr_slice key_pem)
{
    EVP_PKEY *key = osr_key_parse(key_pem);
    bool is_valid = key != NULL;

    EVP_PKEY_free(key);
    return is_valid;
}

bool osr_certificate_fits_key(struct osr_slice pem, struct osr_slice key_pem)
{
    X509 *certificate = osr_certificate_parse(pem);
    EVP_PKEY *key = osr_key_parse(key_pem);
    bool fits = certificate != NULL && key != NULL && X509_check_private_key(certificate, key) == 1;

    EVP_PKEY_free(key);
    X509_free(certificate);
    ERR_clear_error();
    return fits;
}

bool osr_certificate_is_issued_by(struct osr_slice pem, struct osr_slice authority_pem)
{
    X509 *certificate = osr_certificate_parse(pem);
    X509 *authority = osr_certificate_parse(authority_pem);
    EVP_PKEY *key = authority != NULL ? X509_get0_pubkey(authority) : NULL;
    bool is_issued = certificate != NULL && key != NULL &&
                     X509_check_issued(authority, certificate) == X509_V_OK &&
                     X509_verify(certificate, key) == 1;

    X509_free(authority);
    X509_free(certificate);
    ERR_clear_error();
    return is_issued;
}

/* -- what a certificate says -- */

static int malformed(struct osr_err *err, const char *what)
{
    return osr_err_set(err, OSR_MALFORMED, "the certificate %s", what);
}

/* The common name, "" where there is none. */
static int read_common_name(const X509_NAME *name, char *text, struct osr_err *err)
{
    int index = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
    uint8_t *utf8 = NULL;

    text[0] = '\0';
    if (index < 0) {
        return 0;
    }
    int size =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, index)));
    struct osr_slice slice = osr_slice(utf8, size > 0 ? (size_t)size : 0);
    bool is_fit = size >= 0 && slice.size <= OSR_CERTIFICATE_NAME_BYTES_MAX &&
                  osr_utf8_is_valid(slice) && osr_text_is_plain(slice);
    if (is_fit) {
        snprintf(text, OSR_CERTIFICATE_NAME_BYTES_MAX + 1, "%.*s", size, (const char *)utf8);
    }
    OPENSSL_free(utf8);
    return is_fit ? 0 : malformed(err, "bears a name that is no plain text, or too long");
}

static int read_time(const ASN1_TIME *time, uint64_t *ret_s, struct osr_err *err)
{
    struct tm date;

    if (ASN1_TIME_to_tm(time, &date) != 1) {
        return malformed(err, "bears a time that is none");
    }
    time_t seconds = timegm(&date);
    *ret_s = seconds > 0 ? (uint64_t)seconds : 0;
    return 0;
}

/* As `openssl x509 -serial` shows it: whole bytes, upper case. */
static int read_serial(X509 *certificate, char *text, struct osr_err *err)
{
    const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
    size_t size = (size_t)ASN1_STRING_length(serial);

    if (ASN1_STRING_type(serial) != V_ASN1_INTEGER || 2 * size >= OSR_SERIAL_TEXT_MAX) {
        return malformed(err, "bears a serial number that is negative or over 20 bytes");
    }
    const uint8_t *bytes = ASN1_STRING_get0_data(serial);
    for (size_t i = 0; i < size; i++) {
        snprintf(text + 2 * i, 3, "%02X", bytes[i]);
    }
    text[2 * size] = '\0';
    return 0;
}

static struct osr_slice uri_of(const GENERAL_NAME *name)
{
    int kind;
    const ASN1_IA5STRING *uri = GENERAL_NAME_get0_value(name, &kind);

    if (kind != GEN_URI) {
        return osr_slice(NULL, 0);
    }
    return osr_slice(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
}

static int read_identity_of(const GENERAL_NAMES *names, struct osr_certificate_facts *facts,
                            struct osr_err *err)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        struct osr_slice uri = uri_of(sk_GENERAL_NAME_value(names, i));
        if (!osr_identity_uri_is_ours(uri)) {
            continue;
        }
        if (facts->who[0] != '\0') {
            return malformed(err, "bears two identities");
        }
        if (!osr_identity_uri_read(uri, facts->cluster, facts->who)) {
            return malformed(err, "bears an identity that is none");
        }
    }
    return 0;
}

static int read_identity(X509 *certificate, struct osr_certificate_facts *facts,
                         struct osr_err *err)
{
    enum { ABSENT = -1 };
    int found;
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, NULL);

    if (names == NULL) {
        return found == ABSENT ? 0 : malformed(err, "bears alternative names that are none");
    }
    int code = read_identity_of(names, facts, err);
    GENERAL_NAMES_free(names);
    return code;
}

static int read_facts(X509 *certificate, struct osr_certificate_facts *facts, struct osr_err *err)
{
    uint32_t flags = X509_get_extension_flags(certificate);
    int code;

    if ((flags & EXFLAG_INVALID) != 0) {
        return malformed(err, "bears an extension that contradicts itself");
    }
    facts->is_authority = (flags & EXFLAG_CA) != 0;
    if (X509_digest(certificate, EVP_sha256(), facts->fingerprint.bytes, NULL) != 1) {
        return malformed(err, "cannot be written again");
    }
    if ((code = read_serial(certificate, facts->serial, err)) != 0 ||
        (code = read_time(X509_get0_notBefore(certificate), &facts->begins_s, err)) != 0 ||
        (code = read_time(X509_get0_notAfter(certificate), &facts->expires_s, err)) != 0 ||
        (code = read_common_name(X509_get_subject_name(certificate), facts->subject, err)) != 0 ||
        (code = read_common_name(X509_get_issuer_name(certificate), facts->issuer, err)) != 0) {
        return code;
    }
    return read_identity(certificate, facts, err);
}

int osr_certificate_describe(X509 *certificate, struct osr_certificate_facts *ret_facts,
                             struct osr_err *err)
{
    struct osr_certificate_facts facts = {0};
    int code = read_facts(certificate, &facts, err);

    ERR_clear_error();
    if (code == 0) {
        *ret_facts = facts;
    }
    return code;
}

int osr_certificate_read(struct osr_slice pem, struct osr_certificate_facts *ret_facts,
                         struct osr_err *err)
{
    X509 *certificate = osr_certificate_parse(pem);
    if (certificate == NULL) {
        return osr_err_set(err, OSR_MALFORMED, "there is no certificate in PEM form");
    }
    int code = osr_certificate_describe(certificate, ret_facts, err);
    X509_free(certificate);
    return code;
}

uint64_t osr_certificate_renew_at_s(const struct osr_certificate_facts *facts)
{
    if (facts->expires_s <= facts->begins_s) {
        return facts->begins_s;
    }
    return facts->begins_s +
           (facts->expires_s - facts->begins_s) * OSR_CERTIFICATE_RENEW_PERCENT / 100;
}
