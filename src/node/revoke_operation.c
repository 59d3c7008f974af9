/* revoke: taking a right away, at this instance, and wherever it counts. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "base/text.h"
#include "node/agreed.h"
#include "node/ledger.h"
#include "node/members.h"
#include "node/operation_handlers.h"

enum { AGREE_MS = 5000 }; /* in which a majority is to have heard of a revocation */

/* Once all that it takes is stored, and agreed on where that says whom it reaches. */
struct revoking {
    struct osr_call *call;
    size_t under_way;                        /* changes, and 1 until all have begun */
    struct osr_err err;                      /* of the last one that failed; code OK: none did */
    bool is_local;                           /* it reaches nobody else */
    char who[OSR_POLICY_NAME_BYTES_MAX + 1]; /* whose certificate it was; "": not known */
};

static void on_revoked(void *context, enum osr_code code)
{
    struct revoking *revoking = context;
    Osr__RevokeResponse response = OSR__REVOKE_RESPONSE__INIT;
    if (code != OSR_OK) {
        osr_operation_refuse_unstored(&revoking->err, code);
    }
    if (--revoking->under_way > 0) {
        return;
    }
    if (revoking->err.code == OSR_OK) {
        response.local = revoking->is_local;
        response.who = revoking->who;
        osr_call_reply(revoking->call, &response.base);
    } else {
        osr_call_fail(revoking->call, &revoking->err);
    }
    free(revoking);
}

static struct osr_credential_done await_one(struct revoking *revoking)
{
    revoking->under_way++;
    return (struct osr_credential_done){on_revoked, revoking};
}

/* Where a change could not begin, its end is not told. */
static int give_up_one(struct revoking *revoking, int code)
{
    revoking->under_way -= code != 0;
    return code;
}

/* Whose certificate this is: then his feeds are refused as well. Known of members, and of who is
 * linked to us; else "". */
static void find_holder(const struct osr_services *services, const char *serial,
                        char who[OSR_POLICY_NAME_BYTES_MAX + 1])
{
    who[0] = '\0';
    if (osr_members_find_holder(services->credentials, serial, who)) {
        return;
    }
    for (size_t i = 0; i < osr_sessions_link_count(services->sessions); i++) {
        const struct osr_identity *identity =
            osr_session_identity(osr_sessions_link(services->sessions, i));
        if (strcmp(identity->serial, serial) == 0) {
            snprintf(who, OSR_POLICY_NAME_BYTES_MAX + 1, "%s", identity->who);
            return;
        }
    }
}

/* As certificates have it: upper-case hexadecimal. */
static int normalise_serial(const char *text, char *serial, struct osr_err *err)
{
    size_t size = strlen(text);
    bool is_serial = size > 0 && size < OSR_SERIAL_TEXT_MAX;
    for (size_t i = 0; is_serial && i <= size; i++) {
        bool is_lower = text[i] >= 'a' && text[i] <= 'f';
        serial[i] = (char)(is_lower ? text[i] - 'a' + 'A' : text[i]);
        is_serial = i == size || osr_hex_value((uint8_t)text[i]) >= 0;
    }
    if (is_serial) {
        return 0;
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.60s' is no certificate's serial number", text);
    osr_err_hint(err, "`openssl x509 -in FILE -noout -serial` shows it");
    return OSR_INVALID_ARGUMENT;
}

static void on_agreed(void *context, const struct osr_agreed *agreed)
{
    struct revoking *revoking = context;
    /* CONFLICT: it has been agreed on before. */
    revoking->is_local |= agreed->code != OSR_OK && agreed->code != OSR_CONFLICT;
    on_revoked(revoking, OSR_OK);
}

static void on_agreed_besides(void *context, const struct osr_agreed *agreed)
{
    (void)context;
    (void)agreed;
}

/* What is in force here is told to the members of the ledger. The CA's instance tells everybody
 * anyway, and need not wait for them. */
static void agree_on(struct revoking *revoking, const struct osr_revocation_record *revocation)
{
    const struct osr_services *services = revoking->call->services;
    const struct osr_credential *made =
        osr_credentials_find_revocation(services->credentials, revocation);
    bool leads = osr_trust_feed_leads(services->trust);
    bool has_others = osr_ledger_member_count(services->ledger) > 1;
    revoking->is_local |= !leads && !has_others;
    if (!has_others || made == NULL) {
        return;
    }
    if (leads) {
        osr_agreed_propose_revocation(services->agreed, made, AGREE_MS, on_agreed_besides, NULL);
    } else {
        revoking->under_way++;
        osr_agreed_propose_revocation(services->agreed, made, AGREE_MS, on_agreed, revoking);
    }
}

/* Of each CA in the text: a serial number does not say whose it is. */
static int revoke_under(struct revoking *revoking, struct osr_slice authorities,
                        struct osr_revocation_record *revocation, struct osr_err *err)
{
    struct osr_credentials *credentials = revoking->call->services->credentials;
    struct osr_slice authority;
    int code = 0;
    while (code == 0 && osr_certificate_next(&authorities, &authority)) {
        revocation->authority = osr_trust_fingerprint(authority);
        code = osr_credentials_revoke_certificate(credentials, revocation, osr_wall_ms(),
                                                  await_one(revoking), err);
        code = give_up_one(revoking, code);
        if (code == 0) {
            agree_on(revoking, revocation);
        }
    }
    return code;
}

static int revoke_certificate(struct revoking *revoking, const char *text, struct osr_err *err)
{
    const struct osr_services *services = revoking->call->services;
    const struct osr_trust *trust = osr_security_trust(services->security);
    char serial[OSR_SERIAL_TEXT_MAX];
    int code = normalise_serial(text, serial, err);
    if (code != 0) {
        return code;
    }
    if (!osr_trust_has(trust, OSR_TRUST_AUTHORITIES)) {
        return (int)osr_err_set(err, OSR_CONFIG, "this instance believes no CA");
    }
    find_holder(services, serial, revoking->who);
    struct osr_revocation_record revocation = {
        .serial = serial,
        .who = revoking->who,
        .revoked_by = revoking->call->identity.who,
    };
    return revoke_under(revoking, osr_trust_text(trust, OSR_TRUST_AUTHORITIES), &revocation, err);
}

static int revoke_instance(struct revoking *revoking, const char *instance, struct osr_err *err)
{
    const struct osr_services *services = revoking->call->services;
    if (strcmp(instance, services->instance) == 0) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "this instance cannot revoke itself");
        osr_err_hint(err, "say it at another instance, or rotate the CA");
        return OSR_INVALID_ARGUMENT;
    }
    int code = osr_credentials_revoke_instance(services->credentials, instance,
                                               revoking->call->identity.who, osr_wall_ms(),
                                               await_one(revoking), err);
    if (code == 0) {
        char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
        snprintf(who, sizeof(who), "instance:%s", instance);
        agree_on(revoking, &(struct osr_revocation_record){.serial = "", .who = who});
    }
    return give_up_one(revoking, code);
}

/* The kind and the text of what is to be revoked; false: the request names nothing. */
static bool name_of(const Osr__RevokeRequest *request, const char **ret_kind, const char **ret_name)
{
    switch (request->what_case) {
    case OSR__REVOKE_REQUEST__WHAT_TOKEN:
        *ret_kind = "token";
        *ret_name = request->token;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_INVITATION:
        *ret_kind = "invitation";
        *ret_name = request->invitation;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_USER:
        *ret_kind = "user";
        *ret_name = request->user;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_CERTIFICATE:
        *ret_kind = "certificate";
        *ret_name = request->certificate;
        return true;
    case OSR__REVOKE_REQUEST__WHAT_INSTANCE:
        *ret_kind = "instance";
        *ret_name = request->instance;
        return true;
    default:
        return false;
    }
}

static int take_away_named(struct revoking *revoking, const Osr__RevokeRequest *request,
                           const char *name, struct osr_err *err)
{
    struct osr_credentials *credentials = revoking->call->services->credentials;
    const char *by = revoking->call->identity.who;
    uint64_t now_ms = osr_wall_ms();
    switch (request->what_case) {
    case OSR__REVOKE_REQUEST__WHAT_TOKEN:
        return give_up_one(revoking, osr_credentials_revoke_token(credentials, name, by, now_ms,
                                                                  await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_INVITATION:
        return give_up_one(revoking, osr_credentials_revoke_invitation(
                                         credentials, name, by, now_ms, await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_USER:
        return give_up_one(
            revoking, osr_credentials_remove_user(credentials, name, await_one(revoking), err));
    case OSR__REVOKE_REQUEST__WHAT_INSTANCE:
        return revoke_instance(revoking, name, err);
    default:
        return revoke_certificate(revoking, name, err);
    }
}

static int take_away(struct revoking *revoking, const Osr__RevokeRequest *request,
                     struct osr_err *err)
{
    const char *kind = NULL;
    const char *name = NULL;
    char part[OSR_AUDIT_TEXT_BYTES_MAX];
    if (!name_of(request, &kind, &name)) {
        return (int)osr_err_set(
            err, OSR_INVALID_ARGUMENT,
            "a token, an invitation, a user, a certificate or an instance is missing");
    }
    snprintf(part, sizeof(part), "%s:%s", kind, name);
    int code = osr_operation_note(revoking->call, "REVOKE", part, "", err);
    return code != 0 ? code : take_away_named(revoking, request, name, err);
}

void osr_operation_revoke(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    const struct osr_services *services = operations->services;
    struct revoking *revoking = osr_alloc(sizeof(*revoking));
    struct osr_err err;
    revoking->call = call;
    revoking->under_way = 1;
    osr_call_await(call, NULL);
    if (take_away(revoking, frame->revoke, &err) != 0) {
        revoking->err = err;
    }
    /* In force already, though perhaps not stored yet. */
    services->on_revoked(services->context);
    on_revoked(revoking, OSR_OK);
}
