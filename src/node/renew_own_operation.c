/* `renew`, of the own certificate: by who asks for it now instead of when it is time. */
#include "node/operation_handlers.h"
#include "node/renewal.h"

static void on_renewed(void *context, const struct osr_err *err)
{
    struct osr_call *call = context;
    Osr__RenewOwnResponse response = OSR__RENEW_OWN_RESPONSE__INIT;
    struct osr_security_info info;
    if (err->code != OSR_OK) {
        osr_call_fail(call, err);
        return;
    }
    osr_security_get_info(call->services->security, &info);
    response.serial = info.certificate.serial;
    response.expires_ms = info.certificate.expires_s * 1000;
    response.issuer = info.certificate.issuer;
    osr_call_reply(call, &response.base);
}

/* That it was asked for stands in the audit log already: it takes `trust`. */
void osr_operation_renew_own(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    struct osr_err err;
    (void)frame;
    osr_call_await(call, NULL);
    if (osr_renewal_now(operations->services->renewal, on_renewed, call, &err) != 0) {
        osr_call_fail(call, &err);
    }
}
