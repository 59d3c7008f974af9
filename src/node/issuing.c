#include "node/issuing.h"

#include <stdio.h>
#include <string.h>

#include "adapter/clock.h"
#include "node/operation_handlers.h"

enum { SUBJECT_BYTES_MAX = 64 }; /* X.509: ub-common-name */

int osr_issuing_check(const struct osr_services *services, struct osr_err *err)
{
    const struct osr_trust *trust = osr_security_trust(services->security);
    const struct osr_config *config = services->config;
    if (osr_trust_has(trust, OSR_TRUST_CA_KEY)) {
        return 0;
    }
    osr_err_set(err, OSR_CONFIG, "this instance has no CA of the cluster \"%s\"", config->cluster);
    if (config->peer_count > 0) {
        osr_err_hint(err, "ask the instance that was set up first; perhaps %s",
                     config->peer[0].text);
    } else {
        osr_err_hint(err, "ask the instance that was set up first; where none has a CA, "
                          "`osiris ca init` makes one here");
    }
    return OSR_CONFIG;
}

static int refuse_revoked(const char *who, struct osr_err *err)
{
    osr_err_set(err, OSR_UNAUTHENTICATED, "%s was revoked: it gets no certificate any more", who);
    osr_err_hint(err,
                 "let it join with an empty data folder: as an instance with another identity");
    return OSR_UNAUTHENTICATED;
}

int osr_issuing_make(const struct osr_services *services, const struct osr_issuing_order *wanted,
                     struct osr_buffer *pem, struct osr_err *err)
{
    const struct osr_trust *trust = osr_security_trust(services->security);
    struct osr_slice authority = osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE);
    char subject[SUBJECT_BYTES_MAX + 1];
    if (osr_access_is_revoked(services->access, wanted->who)) {
        return refuse_revoked(wanted->who, err);
    }
    snprintf(subject, sizeof(subject), "%s", wanted->subject);
    const struct osr_authority_order order = {
        .request_pem = osr_slice_text(wanted->request_pem),
        .cluster = services->config->cluster,
        .who = wanted->who,
        .subject = subject,
        .names = (const char *const *)wanted->names,
        .name_count = wanted->name_count,
        .follows_pem = wanted->follows_pem,
        .now_s = osr_wall_ms() / 1000,
        .days = wanted->days,
    };
    int code =
        osr_authority_issue(authority, osr_trust_text(trust, OSR_TRUST_CA_KEY), &order, pem, err);
    if (code == 0) {
        osr_buffer_add(pem, authority.data, authority.size);
        osr_buffer_add_u8(pem, '\0');
    }
    return code;
}

struct osr_hash osr_issuing_authority(const struct osr_services *services)
{
    const struct osr_trust *trust = osr_security_trust(services->security);
    return osr_trust_fingerprint(osr_trust_text(trust, OSR_TRUST_CA_CERTIFICATE));
}

char *osr_issuing_authorities(const struct osr_services *services)
{
    struct osr_slice pem =
        osr_trust_text(osr_security_trust(services->security), OSR_TRUST_AUTHORITIES);
    return osr_format("%.*s", (int)pem.size, (const char *)pem.data);
}

static struct osr_slice text_of(const struct osr_buffer *pem)
{
    return osr_slice(pem->data, pem->size - 1);
}

void osr_issuing_serial(const struct osr_buffer *pem, char *serial)
{
    struct osr_certificate_facts facts = {.serial = ""};
    osr_certificate_read(text_of(pem), &facts, NULL);
    memcpy(serial, facts.serial, sizeof(facts.serial));
}

int osr_issuing_note(const struct osr_call *call, const char *what, const char *who,
                     const struct osr_buffer *pem, struct osr_err *err)
{
    char why[sizeof("certificate ") + OSR_SERIAL_TEXT_MAX];
    char serial[OSR_SERIAL_TEXT_MAX];
    osr_issuing_serial(pem, serial);
    snprintf(why, sizeof(why), "certificate %s", serial);
    return osr_operation_note(call, what, who, why, err);
}

int osr_issuing_note_member(const struct osr_services *services, struct osr_member_news *news,
                            const struct osr_buffer *pem, struct osr_credential_done done,
                            struct osr_err *err)
{
    news->certificate_pem = text_of(pem);
    news->authority = osr_issuing_authority(services);
    return osr_members_note(services->credentials, news, osr_wall_ms(), done, err);
}
