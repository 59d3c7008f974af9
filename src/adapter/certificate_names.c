#include "adapter/certificate_names.h"

#include <arpa/inet.h>

#include "adapter/certificate.h"
#include "adapter/certificate_identity.h"

enum {
    DNS_NAME_BYTES_MAX = 253,
    DNS_LABEL_BYTES_MAX = 63,
    ADDRESS_BYTES_MAX = sizeof(struct in6_addr),
};

/* Takes the value over. */
static bool add_name(GENERAL_NAMES *names, int kind, ASN1_STRING *value)
{
    GENERAL_NAME *name = GENERAL_NAME_new();

    if (name == NULL || value == NULL) {
        goto fail_value;
    }
    GENERAL_NAME_set0_value(name, kind, value);
    if (sk_GENERAL_NAME_push(names, name) <= 0) {
        goto fail_name; /* which owns the value now */
    }
    return true;

fail_value:
    ASN1_STRING_free(value);
fail_name:
    GENERAL_NAME_free(name);
    return false;
}

static bool add_name_bytes(GENERAL_NAMES *names, int kind, struct osr_slice bytes)
{
    ASN1_STRING *value =
        ASN1_STRING_type_new(kind == GEN_IPADD ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);

    if (value != NULL && ASN1_STRING_set(value, bytes.data, (int)bytes.size) != 1) {
        ASN1_STRING_free(value);
        return false;
    }
    return add_name(names, kind, value);
}

int osr_certificate_add_identity(GENERAL_NAMES *names, const char *cluster, const char *who,
                                 struct osr_err *err)
{
    struct osr_buffer uri = {0};
    int code = osr_identity_uri_write(&uri, cluster, who, err);

    if (code == 0 && !add_name_bytes(names, GEN_URI, osr_buffer_slice(&uri))) {
        code = osr_openssl_error(err, "add an identity");
    }
    osr_buffer_done(&uri);
    return code;
}

/* Letters, digits, '-' and (as machines in containers have it) '_'. */
static bool is_dns_label(struct osr_slice label)
{
    if (label.size == 0 || label.size > DNS_LABEL_BYTES_MAX || label.data[0] == '-' ||
        label.data[label.size - 1] == '-') {
        return false;
    }
    for (size_t i = 0; i < label.size; i++) {
        uint8_t c = label.data[i];
        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            c != '-' && c != '_') {
            return false;
        }
    }
    return true;
}

/* No wildcards: a certificate is for one server. A last label of digits alone is an address that
 * went wrong ("192.0.2.300"). */
static bool is_dns_name(const char *name)
{
    const char *label = name;

    if (strlen(name) > DNS_NAME_BYTES_MAX) {
        return false;
    }
    for (;;) {
        size_t size = strcspn(label, ".");
        if (!is_dns_label(osr_slice(label, size))) {
            return false;
        }
        if (label[size] == '\0') {
            return strspn(label, "0123456789") != size;
        }
        label += size + 1;
    }
}

int osr_certificate_add_server(GENERAL_NAMES *names, const char *name, struct osr_err *err)
{
    uint8_t address[ADDRESS_BYTES_MAX];
    struct osr_slice bytes = osr_slice_text(name);
    int kind = GEN_DNS;

    if (inet_pton(AF_INET, name, address) == 1) {
        bytes = osr_slice(address, sizeof(struct in_addr));
        kind = GEN_IPADD;
    } else if (inet_pton(AF_INET6, name, address) == 1) {
        bytes = osr_slice(address, sizeof(struct in6_addr));
        kind = GEN_IPADD;
    } else if (!is_dns_name(name)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "\"%s\" is neither a DNS name nor an IP address", name);
    }
    return add_name_bytes(names, kind, bytes) ? 0 : osr_openssl_error(err, "add a name");
}

static bool is_among(const GENERAL_NAMES *names, GENERAL_NAME *name)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(names, i), name) == 0) {
            return true;
        }
    }
    return false;
}

static bool add_copy(GENERAL_NAMES *names, const GENERAL_NAME *name)
{
    GENERAL_NAME *copy = GENERAL_NAME_dup(name);

    if (copy == NULL || sk_GENERAL_NAME_push(names, copy) <= 0) {
        GENERAL_NAME_free(copy);
        return false;
    }
    return true;
}

static int add_servers(GENERAL_NAMES *names, const GENERAL_NAMES *others, struct osr_err *err)
{
    for (int i = 0; i < sk_GENERAL_NAME_num(others); i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(others, i);
        bool is_server = name->type == GEN_DNS || name->type == GEN_IPADD;
        if (is_server && !is_among(names, name) && !add_copy(names, name)) {
            return osr_openssl_error(err, "add a name");
        }
    }
    return 0;
}

int osr_certificate_add_servers_of(GENERAL_NAMES *names, X509 *certificate, struct osr_err *err)
{
    enum { ABSENT = -1 };
    int found;
    GENERAL_NAMES *others = X509_get_ext_d2i(certificate, NID_subject_alt_name, &found, NULL);

    if (others == NULL && found != ABSENT) {
        return osr_err_set(err, OSR_MALFORMED,
                           "the certificate bears alternative names that are none");
    }
    int code = add_servers(names, others, err);
    GENERAL_NAMES_free(others);
    return code;
}
