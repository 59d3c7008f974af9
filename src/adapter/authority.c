#include "adapter/authority.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "adapter/certificate.h"
#include "adapter/certificate_draft.h"
#include "adapter/certificate_names.h"
#include "base/text.h"
#include "model/identity.h"

enum {
    DAY_S = 24 * 60 * 60,
    NAME_BYTES_MAX = 64, /* ub-common-name and ub-organization-name of RFC 5280 */
};

/* The last second that a certificate can name: 9999-12-31 23:59:59 UTC. */
static const uint64_t time_max_s = 253402300799;

/* -- PEM -- */

void osr_tls_key_make(struct osr_buffer *ret_key_pem)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *text = BIO_new(BIO_s_secmem());

    /* Fails only for lack of memory or of randomness. */
    if (key == NULL || text == NULL ||
        PEM_write_bio_PKCS8PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) != 1) {
        abort();
    }
    osr_pem_take(text, ret_key_pem);
    BIO_free(text);
    EVP_PKEY_free(key);
}

void osr_secret_buffer_done(struct osr_buffer *buffer)
{
    osr_buffer_wipe(buffer);
}

static int read_key(struct osr_slice pem, EVP_PKEY **ret_key, struct osr_err *err)
{
    EVP_PKEY *key = osr_key_parse(pem);

    if (key == NULL) {
        return osr_err_set(err, OSR_CONFIG, "the key is no unencrypted private key in PEM form");
    }
    if (!osr_key_is_taken(key)) {
        EVP_PKEY_free(key);
        return osr_err_set(err, OSR_CONFIG, "the key is none of P-256, P-384 or Ed25519");
    }
    *ret_key = key;
    return 0;
}

/* What goes into a certificate for people. */
static int check_text(const char *what, const char *value, struct osr_err *err)
{
    struct osr_slice text = osr_slice_text(value);

    if (text.size == 0 || text.size > NAME_BYTES_MAX || !osr_utf8_is_valid(text) ||
        !osr_text_is_plain(text)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "%s \"%s\" cannot stand in a certificate: it has 1 to %d bytes of "
                           "plain text",
                           what, value, NAME_BYTES_MAX);
    }
    return 0;
}

static uint64_t begin_s(uint64_t now_s)
{
    return now_s > OSR_CERTIFICATE_EARLY_S ? now_s - OSR_CERTIFICATE_EARLY_S : 0;
}

static uint64_t end_s(uint64_t now_s, uint32_t days, uint64_t limit_s)
{
    uint64_t end = now_s + (uint64_t)days * DAY_S;
    return end < limit_s ? end : limit_s;
}

static int check_clock(uint64_t now_s, struct osr_err *err)
{
    if (now_s >= time_max_s) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the clock is beyond the year 9999, which no certificate can name");
    }
    return 0;
}

/* -- those that sign themselves -- */

/* Two CAs of a cluster have different names during a rotation: each bears a piece of its key. */
static int name_authority(EVP_PKEY *key, char *subject, struct osr_err *err)
{
    uint8_t *bytes = NULL;
    int size = i2d_PUBKEY(key, &bytes);

    if (size < 0) {
        return osr_openssl_error(err, "write a public key");
    }
    struct osr_slice piece = osr_slice(bytes, (size_t)size);
    struct osr_hash hash = osr_sha256(&piece, 1);
    OPENSSL_free(bytes);
    snprintf(subject, NAME_BYTES_MAX + 1, "Osiris CA %08x", osr_get_u32(hash.bytes));
    return 0;
}

static int make_authority(EVP_PKEY *key, const char *cluster, const char *who, uint64_t now_s,
                          struct osr_buffer *pem, struct osr_err *err)
{
    char subject[NAME_BYTES_MAX + 1];
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    const struct osr_certificate_draft draft = {
        .public_key = key,
        .signing_key = key,
        .organization = cluster,
        .subject = subject,
        .names = names,
        .begins_s = begin_s(now_s),
        .expires_s = end_s(now_s, OSR_AUTHORITY_DAYS, time_max_s),
        .is_authority = true,
    };
    int code = name_authority(key, subject, err);

    if (code == 0) {
        code = osr_certificate_add_identity(names, cluster, who, err);
    }
    if (code == 0) {
        code = osr_certificate_make(&draft, pem, err);
    }
    GENERAL_NAMES_free(names);
    return code;
}

int osr_authority_make(struct osr_slice key_pem, const char *cluster, const char *who,
                       uint64_t now_s, struct osr_buffer *ret_pem, struct osr_err *err)
{
    EVP_PKEY *key = NULL;
    int code = check_clock(now_s, err);

    if (code == 0) {
        code = check_text("cluster", cluster, err);
    }
    if (code == 0) {
        code = read_key(key_pem, &key, err);
    }
    if (code != 0) {
        return code;
    }
    code = make_authority(key, cluster, who, now_s, ret_pem, err);
    EVP_PKEY_free(key);
    return code;
}

static int make_self_signed(EVP_PKEY *key, const char *cluster, const char *who, uint64_t now_s,
                            struct osr_buffer *pem, struct osr_err *err)
{
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    const struct osr_certificate_draft draft = {
        .public_key = key,
        .signing_key = key,
        .subject = "Osiris, signed by itself",
        .names = names,
        .begins_s = begin_s(now_s),
        .expires_s = end_s(now_s, OSR_AUTHORITY_DAYS, time_max_s),
    };
    int code = osr_certificate_add_identity(names, cluster, who, err);

    if (code == 0) {
        code = osr_certificate_make(&draft, pem, err);
    }
    GENERAL_NAMES_free(names);
    return code;
}

int osr_certificate_self_signed(struct osr_slice key_pem, const char *cluster, const char *who,
                                uint64_t now_s, struct osr_buffer *ret_pem, struct osr_err *err)
{
    EVP_PKEY *key = NULL;
    int code = check_clock(now_s, err);

    if (code == 0) {
        code = read_key(key_pem, &key, err);
    }
    if (code != 0) {
        return code;
    }
    code = make_self_signed(key, cluster, who, now_s, ret_pem, err);
    EVP_PKEY_free(key);
    return code;
}

/* -- requests -- */

static bool fill_in_request(X509_REQ *request, EVP_PKEY *key)
{
    return X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
           X509_REQ_set_pubkey(request, key) == 1 &&
           X509_REQ_sign(request, key, osr_key_digest(key)) > 0;
}

static int make_request(EVP_PKEY *key, struct osr_buffer *pem, struct osr_err *err)
{
    X509_REQ *request = X509_REQ_new();
    BIO *text = BIO_new(BIO_s_mem());
    int code = 0;

    if (request == NULL || text == NULL || !fill_in_request(request, key) ||
        PEM_write_bio_X509_REQ(text, request) != 1) {
        code = osr_openssl_error(err, "make a request");
    } else {
        osr_pem_take(text, pem);
    }
    BIO_free(text);
    X509_REQ_free(request);
    return code;
}

int osr_certificate_request(struct osr_slice key_pem, struct osr_buffer *ret_request_pem,
                            struct osr_err *err)
{
    EVP_PKEY *key = NULL;
    int code = read_key(key_pem, &key, err);

    if (code != 0) {
        return code;
    }
    code = make_request(key, ret_request_pem, err);
    EVP_PKEY_free(key);
    return code;
}

static X509_REQ *parse_request(struct osr_slice pem)
{
    BIO *text = BIO_new_mem_buf(pem.data, (int)pem.size);
    X509_REQ *request =
        text == NULL ? NULL : PEM_read_bio_X509_REQ(text, NULL, osr_pem_no_password, NULL);

    BIO_free(text);
    return request;
}

/* The kind of key is looked at first: checking a signature by a key of any kind and length may
 * take long. */
static int check_request(X509_REQ *request, struct osr_err *err)
{
    EVP_PKEY *key = request == NULL ? NULL : X509_REQ_get0_pubkey(request);

    if (key == NULL) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "this is no certificate request in PEM form");
    }
    if (!osr_key_is_taken(key)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the request's key is none of P-256, P-384 or Ed25519");
    }
    if (X509_REQ_verify(request, key) != 1) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "the request is not signed with the key that it names");
    }
    return 0;
}

static int read_request(struct osr_slice pem, X509_REQ **ret_request, struct osr_err *err)
{
    if (pem.size > OSR_CERTIFICATE_REQUEST_BYTES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "a certificate request has at most %d bytes",
                           OSR_CERTIFICATE_REQUEST_BYTES_MAX);
    }
    X509_REQ *request = parse_request(pem);
    int code = check_request(request, err);

    ERR_clear_error();
    if (code != 0) {
        X509_REQ_free(request);
        return code;
    }
    *ret_request = request;
    return 0;
}

/* -- issuing -- */

struct authority {
    X509 *certificate;
    EVP_PKEY *key;
    struct osr_certificate_facts facts;
};

static void authority_done(struct authority *authority)
{
    EVP_PKEY_free(authority->key);
    X509_free(authority->certificate);
}

static int authority_read(struct authority *authority, struct osr_slice pem,
                          struct osr_slice key_pem, struct osr_err *err)
{
    authority->certificate = osr_certificate_parse(pem);
    if (authority->certificate == NULL) {
        return osr_err_set(err, OSR_CONFIG, "the CA has no certificate in PEM form");
    }
    if (osr_certificate_describe(authority->certificate, &authority->facts, err) != 0) {
        return osr_err_set(err, OSR_CONFIG, "the CA's certificate is malformed");
    }
    return read_key(key_pem, &authority->key, err);
}

/* "2026-10-03 12:00 UTC" */
static void write_time(char *text, size_t size, uint64_t time_s)
{
    time_t seconds = (time_t)time_s;
    struct tm date;

    gmtime_r(&seconds, &date);
    strftime(text, size, "%F %R UTC", &date);
}

static int check_authority_time(const struct osr_certificate_facts *facts, uint64_t now_s,
                                struct osr_err *err)
{
    char time[32];

    if (now_s >= facts->expires_s) {
        write_time(time, sizeof(time), facts->expires_s);
        osr_err_set(err, OSR_CONFIG, "the CA \"%s\" has expired on %s", facts->subject, time);
        osr_err_hint(err, "if this machine's clock is right, the cluster needs a new CA");
        return OSR_CONFIG;
    }
    if (now_s < facts->begins_s) {
        write_time(time, sizeof(time), facts->begins_s);
        osr_err_set(err, OSR_CONFIG, "the CA \"%s\" is good from %s on, which is yet to come",
                    facts->subject, time);
        osr_err_hint(err, "set this machine's clock");
        return OSR_CONFIG;
    }
    return 0;
}

static int check_authority(const struct authority *authority, uint64_t now_s, struct osr_err *err)
{
    const struct osr_certificate_facts *facts = &authority->facts;

    if (!facts->is_authority ||
        (X509_get_key_usage(authority->certificate) & KU_KEY_CERT_SIGN) == 0) {
        return osr_err_set(err, OSR_CONFIG, "\"%s\" is no CA: its certificate may issue none",
                           facts->subject);
    }
    bool is_its_key = X509_check_private_key(authority->certificate, authority->key) == 1;
    ERR_clear_error();
    if (!is_its_key) {
        return osr_err_set(err, OSR_CONFIG,
                           "certificate and key of the CA \"%s\" do not belong "
                           "together",
                           facts->subject);
    }
    return check_authority_time(facts, now_s, err);
}

/* An instance's id is a DNS name of its certificate, too: for clients that know of no identities,
 * only of names (gRPC's in other languages), and whatever its hosts are called. */
static int add_instance_name(GENERAL_NAMES *names, const char *who, struct osr_err *err)
{
    static const char instance[] = "instance:";
    const char *id = who + strlen(instance);
    bool is_instance =
        strncmp(who, instance, strlen(instance)) == 0 && osr_instance_id_is_valid(id);

    return is_instance ? osr_certificate_add_server(names, id, err) : 0;
}

/* Those that the identity brings: itself, and an instance's id. */
enum { OWN_NAMES = 2 };

static int add_names_of(GENERAL_NAMES *names, struct osr_slice follows_pem, struct osr_err *err)
{
    X509 *certificate = osr_certificate_parse(follows_pem);

    if (certificate == NULL) {
        return osr_err_set(err, OSR_MALFORMED, "what it is to follow is no certificate");
    }
    int code = osr_certificate_add_servers_of(names, certificate, err);
    X509_free(certificate);
    if (code == 0 && sk_GENERAL_NAME_num(names) > OWN_NAMES + OSR_CERTIFICATE_NAMES_MAX) {
        code = osr_err_set(err, OSR_TOO_LARGE,
                           "what it is to follow has too many names for one certificate (%d)",
                           OSR_CERTIFICATE_NAMES_MAX);
    }
    return code;
}

static int add_names(GENERAL_NAMES *names, const struct osr_authority_order *order,
                     struct osr_err *err)
{
    if (order->name_count > OSR_CERTIFICATE_NAMES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "%zu names are too many for one certificate (%d)",
                           order->name_count, OSR_CERTIFICATE_NAMES_MAX);
    }
    int code = osr_certificate_add_identity(names, order->cluster, order->who, err);
    if (code == 0) {
        code = add_instance_name(names, order->who, err);
    }
    for (size_t i = 0; code == 0 && i < order->name_count; i++) {
        code = osr_certificate_add_server(names, order->names[i], err);
    }
    if (code == 0 && order->follows_pem.size > 0) {
        code = add_names_of(names, order->follows_pem, err);
    }
    return code;
}

static int issue_named(const struct authority *authority, X509_REQ *request,
                       const struct osr_authority_order *order, struct osr_buffer *pem,
                       struct osr_err *err)
{
    uint32_t days = order->days != 0 ? order->days : OSR_CERTIFICATE_DAYS;
    GENERAL_NAMES *names = GENERAL_NAMES_new();
    const struct osr_certificate_draft draft = {
        .public_key = X509_REQ_get0_pubkey(request),
        .signing_key = authority->key,
        .authority = authority->certificate,
        .subject = order->subject,
        .names = names,
        .begins_s = begin_s(order->now_s),
        .expires_s = end_s(order->now_s, days, authority->facts.expires_s),
    };
    int code = add_names(names, order, err);

    if (code == 0) {
        code = osr_certificate_make(&draft, pem, err);
    }
    GENERAL_NAMES_free(names);
    return code;
}

static int issue(const struct authority *authority, const struct osr_authority_order *order,
                 struct osr_buffer *pem, struct osr_err *err)
{
    X509_REQ *request = NULL;
    int code = check_authority(authority, order->now_s, err);

    if (code == 0) {
        code = check_text("subject", order->subject, err);
    }
    if (code == 0) {
        code = read_request(order->request_pem, &request, err);
    }
    if (code != 0) {
        return code;
    }
    code = issue_named(authority, request, order, pem, err);
    X509_REQ_free(request);
    return code;
}

int osr_authority_issue(struct osr_slice authority_pem, struct osr_slice authority_key_pem,
                        const struct osr_authority_order *order, struct osr_buffer *ret_pem,
                        struct osr_err *err)
{
    struct authority authority = {0};
    int code = authority_read(&authority, authority_pem, authority_key_pem, err);

    if (code == 0) {
        code = issue(&authority, order, ret_pem, err);
    }
    authority_done(&authority);
    return code;
}
