#include "node/trust.h"

#include <stdlib.h>
#include <string.h>

const char *const osr_trust_file_names[OSR_TRUST_FILE_COUNT] = {
#define FILE_NAME(name, text, forbidden) [OSR_TRUST_##name] = (text),
    OSR_TRUST_FILES(FILE_NAME)
#undef FILE_NAME
};

void osr_trust_destroy(struct osr_trust *trust)
{
    if (trust == NULL) {
        return;
    }
    for (size_t i = 0; i < OSR_TRUST_FILE_COUNT; i++) {
        osr_secret_buffer_done(&trust->files[i]);
    }
    osr_shared_keys_wipe(&trust->shared_keys);
    free(trust);
}

struct osr_hash osr_trust_fingerprint(struct osr_slice pem)
{
    struct osr_certificate_facts facts = {0};

    osr_certificate_read(pem, &facts, NULL);
    return facts.fingerprint;
}

bool osr_trust_is_among(struct osr_slice authorities, const struct osr_hash *fingerprint)
{
    struct osr_slice pem;

    while (osr_certificate_next(&authorities, &pem)) {
        struct osr_hash other = osr_trust_fingerprint(pem);
        if (osr_hash_equal(&other, fingerprint)) {
            return true;
        }
    }
    return false;
}

/* The id in "instance:<id>"; NULL: that is none. */
static const char *instance_of(const char *who)
{
    static const char kind[] = "instance:";
    size_t size = sizeof(kind) - 1;
    return strncmp(who, kind, size) == 0 && osr_instance_id_is_valid(who + size) ? who + size
                                                                                 : NULL;
}

size_t osr_trust_authorities(const struct osr_trust *trust, const char *cluster,
                             char (**ret_ids)[OSR_INSTANCE_CHARS + 1])
{
    struct osr_slice authorities = osr_trust_text(trust, OSR_TRUST_AUTHORITIES);
    char(*ids)[OSR_INSTANCE_CHARS + 1] =
        osr_alloc((osr_certificate_count(authorities) + 1) * sizeof(*ids));
    size_t count = 0;
    struct osr_slice pem;

    while (osr_certificate_next(&authorities, &pem)) {
        struct osr_certificate_facts facts;
        if (osr_certificate_read(pem, &facts, NULL) == 0 && facts.is_authority &&
            strcmp(facts.cluster, cluster) == 0 && instance_of(facts.who) != NULL) {
            memcpy(ids[count++], instance_of(facts.who), sizeof(ids[0]));
        }
    }
    *ret_ids = ids;
    return count;
}

static bool is_believed(const struct osr_trust *trust, enum osr_trust_file certificate)
{
    struct osr_hash fingerprint = osr_trust_fingerprint(osr_trust_text(trust, certificate));
    return osr_trust_is_among(osr_trust_text(trust, OSR_TRUST_AUTHORITIES), &fingerprint);
}

static int wrong(const char *folder, enum osr_trust_file file, const char *what,
                 struct osr_err *err)
{
    osr_err_set(err, OSR_CONFIG, "%s/%s %s", folder, osr_trust_file_names[file], what);
    osr_err_hint(err, "put the right file there, or restore the folder from a backup");
    return OSR_CONFIG;
}

static int check_certificate(struct osr_slice pem, bool must_be_authority, struct osr_err *err)
{
    struct osr_certificate_facts facts;
    int code = osr_certificate_read(pem, &facts, err);

    if (code == 0 && must_be_authority && !facts.is_authority) {
        code = osr_err_set(err, OSR_CONFIG, "\"%s\" is not a CA's certificate", facts.subject);
    }
    return code;
}

/* Certificates and nothing else: a private key among them would be open to others. */
static int check_certificates(const struct osr_trust *trust, const char *folder,
                              enum osr_trust_file file, struct osr_err *err)
{
    struct osr_slice rest = osr_trust_text(trust, file);
    size_t count = osr_certificate_count(rest);
    struct osr_slice pem;

    if (!osr_trust_has(trust, file)) {
        return 0;
    }
    if (count == 0) {
        return wrong(folder, file, "has something else in it than certificates in PEM form", err);
    }
    if (count > OSR_TRUST_AUTHORITIES_MAX) {
        return wrong(folder, file, "has too many certificates", err);
    }
    for (size_t i = 1; osr_certificate_next(&rest, &pem); i++) {
        if (check_certificate(pem, file != OSR_TRUST_TLS_CERTIFICATE, err) != 0) {
            osr_err_prefix(err, "%s/%s: certificate %zu", folder, osr_trust_file_names[file], i);
            osr_err_hint(err, "take it out of the file");
            return OSR_CONFIG;
        }
    }
    return 0;
}

static int check_key(const struct osr_trust *trust, const char *folder, enum osr_trust_file file,
                     struct osr_err *err)
{
    if (osr_trust_has(trust, file) && !osr_private_key_is_valid(osr_trust_text(trust, file))) {
        return wrong(folder, file, "is no unencrypted private key in PEM form", err);
    }
    return 0;
}

/* A key may wait for its certificate, as that of TLS does until it is issued. */
static int check_pair(const struct osr_trust *trust, const char *folder, enum osr_trust_file key,
                      enum osr_trust_file certificate, bool key_may_be_alone, struct osr_err *err)
{
    int code = check_key(trust, folder, key, err);

    if (code == 0) {
        code = check_certificates(trust, folder, certificate, err);
    }
    if (code != 0 || (!osr_trust_has(trust, key) && !osr_trust_has(trust, certificate))) {
        return code;
    }
    if (!osr_trust_has(trust, key)) {
        return wrong(folder, key, "is missing, and its certificate is there", err);
    }
    if (!osr_trust_has(trust, certificate)) {
        return key_may_be_alone
                   ? 0
                   : wrong(folder, certificate, "is missing, and its key is there", err);
    }
    if (!osr_certificate_fits_key(osr_trust_text(trust, certificate), osr_trust_text(trust, key))) {
        osr_err_set(err, OSR_CONFIG,
                    "the certificate %s/%s does not belong to the key %s beside it", folder,
                    osr_trust_file_names[certificate], osr_trust_file_names[key]);
        osr_err_hint(err, "put the two of one pair there");
        return OSR_CONFIG;
    }
    return 0;
}

static int check_is_believed(const struct osr_trust *trust, const char *folder,
                             enum osr_trust_file certificate, struct osr_err *err)
{
    if (!osr_trust_has(trust, certificate) || is_believed(trust, certificate)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG, "the CA %s/%s is not among those of authorities.pem", folder,
                osr_trust_file_names[certificate]);
    osr_err_hint(err, "cat %s/%s >> %s/authorities.pem", folder, osr_trust_file_names[certificate],
                 folder);
    return OSR_CONFIG;
}

static int check_authorities(const struct osr_trust *trust, const char *folder, struct osr_err *err)
{
    static const enum osr_trust_file own[] = {
        OSR_TRUST_CA_CERTIFICATE,
        OSR_TRUST_CA_NEXT_CERTIFICATE,
        OSR_TRUST_CA_OLD_CERTIFICATE,
    };
    int code = check_certificates(trust, folder, OSR_TRUST_AUTHORITIES, err);

    if (code == 0) {
        code = check_certificates(trust, folder, OSR_TRUST_CA_OLD_CERTIFICATE, err);
    }
    for (size_t i = 0; code == 0 && i < sizeof(own) / sizeof(own[0]); i++) {
        code = check_is_believed(trust, folder, own[i], err);
    }
    return code;
}

int osr_trust_check(const struct osr_trust *trust, const char *folder, struct osr_err *err)
{
    int code = check_pair(trust, folder, OSR_TRUST_TLS_KEY, OSR_TRUST_TLS_CERTIFICATE, true, err);

    if (code == 0) {
        code = check_pair(trust, folder, OSR_TRUST_CA_KEY, OSR_TRUST_CA_CERTIFICATE, false, err);
    }
    if (code == 0) {
        code = check_pair(trust, folder, OSR_TRUST_CA_NEXT_KEY, OSR_TRUST_CA_NEXT_CERTIFICATE,
                          false, err);
    }
    return code != 0 ? code : check_authorities(trust, folder, err);
}
