#include "node/renewal_answer.h"

#include <stdio.h>

#include "model/identity.h"

static bool is_of_instance(const struct osr_certificate_facts *facts,
                           const struct osr_renewal_own *own, const char *instance)
{
    static const char prefix[] = "instance:";
    const char *id = facts->who + strlen(prefix);
    return strcmp(facts->cluster, own->cluster) == 0 &&
           strncmp(facts->who, prefix, strlen(prefix)) == 0 &&
           (instance == NULL || strcmp(id, instance) == 0);
}

bool osr_renewal_is_named(const struct osr_renewal_own *own, const char *instance)
{
    struct osr_slice rest = osr_trust_text(own->trust, OSR_TRUST_AUTHORITIES);
    struct osr_slice pem;
    struct osr_certificate_facts facts;

    while (osr_certificate_next(&rest, &pem)) {
        if (osr_certificate_read(pem, &facts, NULL) == 0 && is_of_instance(&facts, own, instance)) {
            return true;
        }
    }
    return false;
}

/* The CA among `authorities` that has signed the certificate; false: none. */
static bool find_issuer(struct osr_slice certificate, struct osr_slice authorities,
                        struct osr_hash *ret_issuer)
{
    struct osr_slice pem;
    while (osr_certificate_next(&authorities, &pem)) {
        if (osr_certificate_is_issued_by(certificate, pem)) {
            *ret_issuer = osr_trust_fingerprint(pem);
            return true;
        }
    }
    return false;
}

/* Whether all of `some` are among `all`, as far as they name the instance; NULL: whatever they
 * name. */
static bool are_among(const struct osr_renewal_own *own, struct osr_slice some,
                      struct osr_slice all, const char *instance)
{
    struct osr_slice pem;
    struct osr_certificate_facts facts;
    while (osr_certificate_next(&some, &pem)) {
        bool is_meant = osr_certificate_read(pem, &facts, NULL) == 0 &&
                        (instance == NULL || is_of_instance(&facts, own, instance));
        if (is_meant && !osr_trust_is_among(all, &facts.fingerprint)) {
            return false;
        }
    }
    return true;
}

static bool is_of_authorities(struct osr_slice pem)
{
    size_t count = osr_certificate_count(pem);
    struct osr_certificate_facts facts;
    struct osr_slice one;
    if (count == 0 || count > OSR_TRUST_AUTHORITIES_MAX) {
        return false;
    }
    while (osr_certificate_next(&pem, &one)) {
        if (osr_certificate_read(one, &facts, NULL) != 0 || !facts.is_authority) {
            return false;
        }
    }
    return true;
}

int osr_renewal_read_news(const struct osr_renewal_own *own, const char *from,
                          const Osr__RenewResponse *answer, struct osr_renewal_news *ret_news,
                          struct osr_err *err)
{
    struct osr_slice believed = osr_trust_text(own->trust, OSR_TRUST_AUTHORITIES);
    struct osr_slice told = osr_slice_text(answer->authorities_pem);
    struct osr_hash issuer, present;

    if (answer->issuer.len != sizeof(issuer.bytes)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "issuer has %zu bytes instead of %zu",
                                answer->issuer.len, sizeof(issuer.bytes));
    }
    memcpy(issuer.bytes, answer->issuer.data, sizeof(issuer.bytes));
    if (!is_of_authorities(told) || !osr_trust_is_among(told, &issuer)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "authorities_pem is not of CAs, or not of the one that issues");
    }
    *ret_news = (struct osr_renewal_news){
        .is_other_issuer = !find_issuer(osr_trust_text(own->trust, OSR_TRUST_TLS_CERTIFICATE),
                                        believed, &present) ||
                           !osr_hash_equal(&present, &issuer),
        .are_others_believed =
            osr_renewal_is_named(own, from) &&
            (!are_among(own, told, believed, NULL) || !are_among(own, believed, told, from)),
    };
    return 0;
}

static int check_facts(const struct osr_renewal_own *own, const struct osr_certificate_facts *facts,
                       struct osr_err *err)
{
    if (!is_of_instance(facts, own, own->instance) || facts->is_authority) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "the certificate is of \"%.80s\" in the cluster \"%.80s\", and not "
                                "of this instance",
                                facts->who, facts->cluster);
    }
    if (own->now_s < facts->begins_s || own->now_s >= facts->expires_s) {
        osr_err_set(err, OSR_CONFIG, "the certificate is not good now, by this machine's clock");
        osr_err_hint(err, "compare the clocks of both machines");
        return OSR_CONFIG;
    }
    return 0;
}

static int check_issuer(const struct osr_renewal_own *own, const char *from,
                        const Osr__RenewResponse *answer, struct osr_slice certificate,
                        struct osr_err *err)
{
    struct osr_hash issuer;
    bool is_named = osr_renewal_is_named(own, from);
    if (find_issuer(certificate, osr_trust_text(own->trust, OSR_TRUST_AUTHORITIES), &issuer) ||
        (is_named && find_issuer(certificate, osr_slice_text(answer->authorities_pem), &issuer))) {
        return 0;
    }
    osr_err_set(err, OSR_BAD_SIGNATURE, "the certificate is of no CA that is believed here");
    osr_err_hint(err, is_named ? "see osiris ca list, there and here"
                               : "if its CA was changed: osiris ca add, with the new one's file");
    return OSR_BAD_SIGNATURE;
}

int osr_renewal_check_certificate(const struct osr_renewal_own *own, const char *from,
                                  const Osr__RenewResponse *answer,
                                  struct osr_certificate_facts *ret_facts, struct osr_err *err)
{
    struct osr_slice pem = osr_slice_text(answer->certificate_pem);
    size_t count = osr_certificate_count(pem);
    struct osr_certificate_facts facts;

    if (count == 0 || count > OSR_RENEWAL_CHAIN_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "certificate_pem has %zu certificates; 1 to %d are taken", count,
                                OSR_RENEWAL_CHAIN_MAX);
    }
    int code = osr_certificate_read(pem, &facts, err);
    if (code == 0) {
        code = check_facts(own, &facts, err);
    }
    if (code == 0 &&
        !osr_certificate_fits_key(pem, osr_trust_text(own->trust, OSR_TRUST_TLS_KEY))) {
        code = (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "the certificate does not belong to this instance's TLS key");
    }
    if (code == 0) {
        code = check_issuer(own, from, answer, pem, err);
    }
    if (code == 0) {
        *ret_facts = facts;
    }
    return code;
}
