#include "node/own_certificate.h"

#include <stdlib.h>

static int store(const struct osr_trust_folder *folder, struct osr_buffer *certificate,
                 struct osr_slice authority, struct osr_err *err)
{
    osr_buffer_add(certificate, authority.data, authority.size);
    const struct osr_trust_certificate chain = {.certificate_pem = osr_buffer_slice(certificate)};
    return osr_trust_folder_store_certificate(folder, &chain, err);
}

int osr_own_certificate_issue(const struct osr_trust_folder *folder, const struct osr_trust *trust,
                              const struct osr_own_certificate *own, struct osr_err *err)
{
    struct osr_slice authority = osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE);
    struct osr_buffer request = {0};
    struct osr_buffer certificate = {0};
    char *who = osr_format("instance:%s", own->instance);
    int code = osr_certificate_request(osr_trust_text(trust, OSR_TRUST_TLS_KEY), &request, err);
    if (code == 0) {
        const struct osr_authority_order order = {
            .request_pem = osr_buffer_slice(&request),
            .cluster = own->cluster,
            .who = who,
            .subject = own->name,
            .follows_pem = osr_trust_text(trust, OSR_TRUST_TLS_CERTIFICATE),
            .now_s = own->now_s,
        };
        code = osr_authority_issue(authority, osr_trust_text(trust, OSR_TRUST_CA_KEY), &order,
                                   &certificate, err);
    }
    if (code == 0) {
        code = store(folder, &certificate, authority, err);
    }
    free(who);
    osr_buffer_done(&certificate);
    osr_buffer_done(&request);
    return code;
}
