/* Certificates, requests and names from anywhere: whatever they hold, they are refused, or what was
 * taken from them is plain, and is read from a certificate as it was written into it.
 *
 * The first byte says what the rest is: a certificate or a request, each as PEM or as DER (of which
 * PEM is made here, as its base64 is hard to mutate well), or names to be certified: three texts
 * that end in a NUL, cluster, who, server. */
#include "fuzz.h"

#include <openssl/err.h>
#include <string.h>

#include "adapter/authority.h"
#include "adapter/certificate_identity.h"
#include "base/text.h"

enum kind { CERTIFICATE_PEM, CERTIFICATE_DER, REQUEST_PEM, REQUEST_DER, NAMES, KIND_COUNT };

static const uint64_t now_s = 1800000000;

/* The CA, and a request that is as it should be; made once. */
static struct osr_buffer authority_key;
static struct osr_buffer authority;
static struct osr_buffer request;

static void make_authority(void)
{
    struct osr_err err;

    if (authority.size > 0) {
        return;
    }
    osr_tls_key_make(&authority_key);
    MUST(osr_authority_make(osr_buffer_slice(&authority_key), "c",
                            "instance:abcdefghijklmnopqrstuvwxyz234567", now_s, &authority,
                            &err) == 0);
    MUST(osr_certificate_request(osr_buffer_slice(&authority_key), &request, &err) == 0);
}

static void must_be_plain(const char *text)
{
    struct osr_slice slice = osr_slice_text(text);

    MUST(slice.size <= OSR_CERTIFICATE_NAME_BYTES_MAX);
    MUST(osr_utf8_is_valid(slice) && osr_text_is_plain(slice));
}

/* A certificate has both halves of an identity or none, and only of the two kinds. */
static void must_be_an_identity(const char *cluster, const char *who)
{
    struct osr_buffer uri = {0};
    char cluster_again[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    char who_again[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];

    MUST((cluster[0] == '\0') == (who[0] == '\0'));
    if (who[0] == '\0') {
        return;
    }
    MUST(strncmp(who, "instance:", 9) == 0 || strncmp(who, "user:", 5) == 0);
    MUST(osr_identity_uri_write(&uri, cluster, who, NULL) == 0);
    MUST(osr_identity_uri_read(osr_buffer_slice(&uri), cluster_again, who_again));
    MUST(strcmp(cluster, cluster_again) == 0 && strcmp(who, who_again) == 0);
    osr_buffer_done(&uri);
}

/* Each of several lies within the text, behind the one before it. */
static void walk_certificates(struct osr_slice text)
{
    const uint8_t *at = text.data;
    struct osr_slice rest = text;
    struct osr_slice pem;
    size_t count = 0;

    for (; osr_certificate_next(&rest, &pem); count++) {
        MUST(pem.size > 0 && pem.data >= at);
        at = pem.data + pem.size;
        MUST(rest.data == at && at + rest.size == text.data + text.size);
    }
    MUST(osr_certificate_count(text) == count || osr_certificate_count(text) == 0);
}

static void read_certificate(struct osr_slice pem)
{
    walk_certificates(pem);

    struct osr_certificate_facts facts;
    struct osr_err err = {0};
    int code = osr_certificate_read(pem, &facts, &err);

    if (code != 0) {
        MUST(code == OSR_MALFORMED && err.message[0] != '\0');
        return;
    }
    must_be_plain(facts.cluster);
    must_be_plain(facts.who);
    must_be_plain(facts.subject);
    must_be_plain(facts.issuer);
    must_be_an_identity(facts.cluster, facts.who);
    MUST(strlen(facts.serial) < OSR_SERIAL_TEXT_MAX);
    MUST(osr_certificate_renew_at_s(&facts) >= facts.begins_s);
}

/* What is issued is what was ordered, and nothing else. */
static void issue(struct osr_slice request_pem, const char *cluster, const char *who,
                  const char *name)
{
    const struct osr_authority_order order = {
        .request_pem = request_pem,
        .cluster = cluster,
        .who = who,
        .subject = "s",
        .names = &name,
        .name_count = name != NULL ? 1 : 0,
        .now_s = now_s,
    };
    struct osr_buffer made = {0};
    struct osr_certificate_facts facts;
    struct osr_err err = {0};
    int code = osr_authority_issue(osr_buffer_slice(&authority), osr_buffer_slice(&authority_key),
                                   &order, &made, &err);

    if (code != 0) {
        MUST(code == OSR_INVALID_ARGUMENT || code == OSR_TOO_LARGE);
        MUST(made.size == 0 && err.message[0] != '\0');
        return;
    }
    MUST(osr_certificate_read(osr_buffer_slice(&made), &facts, &err) == 0);
    MUST(strcmp(facts.cluster, cluster) == 0 && strcmp(facts.who, who) == 0);
    MUST(strcmp(facts.subject, "s") == 0 && !facts.is_authority);
    osr_buffer_done(&made);
}

static const char *take_text(struct osr_slice *rest)
{
    const char *text = (const char *)rest->data;
    size_t size = strnlen(text, rest->size) + 1;

    *rest =
        size <= rest->size ? osr_slice(rest->data + size, rest->size - size) : osr_slice(NULL, 0);
    return text;
}

static void certify_names(struct osr_slice data)
{
    struct osr_buffer copy = {0}; /* with an end to its last text */
    osr_buffer_add(&copy, data.data, data.size);
    osr_buffer_add(&copy, "\0\0", 3);
    struct osr_slice rest = osr_buffer_slice(&copy);
    const char *cluster = take_text(&rest);
    const char *who = take_text(&rest);
    const char *name = take_text(&rest);
    char read_cluster[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];
    char read_who[OSR_CERTIFICATE_NAME_BYTES_MAX + 1];

    issue(osr_buffer_slice(&request), cluster, who, name[0] != '\0' ? name : NULL);
    if (osr_identity_uri_read(data, read_cluster, read_who)) {
        must_be_an_identity(read_cluster, read_who);
    }
    osr_buffer_done(&copy);
}

static struct osr_buffer pem_of(const char *what, struct osr_slice der)
{
    enum { LINE_BYTES = 48 };
    struct osr_buffer pem = {0};

    osr_buffer_add_format(&pem, "-----BEGIN %s-----\n", what);
    for (size_t at = 0; at < der.size; at += LINE_BYTES) {
        size_t left = der.size - at;
        osr_base64_encode(&pem, osr_slice(der.data + at, left < LINE_BYTES ? left : LINE_BYTES));
        osr_buffer_add_text(&pem, "\n");
    }
    osr_buffer_add_format(&pem, "-----END %s-----\n", what);
    return pem;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct osr_slice rest = osr_slice(data + 1, size - 1);
    struct osr_buffer pem = {0};

    make_authority();
    switch ((enum kind)(data[0] % KIND_COUNT)) {
    case CERTIFICATE_PEM:
        read_certificate(rest);
        break;
    case CERTIFICATE_DER:
        pem = pem_of("CERTIFICATE", rest);
        read_certificate(osr_buffer_slice(&pem));
        break;
    case REQUEST_PEM:
        issue(rest, "c", "user:ana", NULL);
        break;
    case REQUEST_DER:
        pem = pem_of("CERTIFICATE REQUEST", rest);
        issue(osr_buffer_slice(&pem), "c", "user:ana", NULL);
        break;
    case NAMES:
        certify_names(rest);
        break;
    case KIND_COUNT:
        break;
    }
    MUST(ERR_peek_error() == 0);
    osr_buffer_done(&pem);
    return 0;
}
