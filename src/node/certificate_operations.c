/* Certificates of the cluster's CA for who is in it: `issue`, and `renew` by who has one. Of its
 * instance alone; others say who to ask. Those who come in get theirs in join_operations.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "adapter/clock.h"
#include "node/issuing.h"
#include "node/operation_handlers.h"

/* A certificate that is given once its member is noted. */
struct issuing {
    struct osr_call *call;
    struct osr_buffer pem;
};

static void destroy_issuing(struct issuing *issuing)
{
    osr_buffer_done(&issuing->pem);
    free(issuing);
}

/* Nothing is given that a revocation by its serial number would not find. */
static void fail_unnoted(struct issuing *issuing, enum osr_code code)
{
    struct osr_err err;
    osr_err_set(&err, code, "whose certificate it is could not be stored, so it is not given: %s",
                osr_code_info(code)->text);
    osr_err_hint(&err, "see osiris doctor at the CA's instance, then try again");
    osr_call_fail(issuing->call, &err);
    destroy_issuing(issuing);
}

/* -- issue -- */

static int issue_ordered(struct osr_call *call, const Osr__IssueRequest *request,
                         struct osr_buffer *pem, struct osr_err *err)
{
    const struct osr_issuing_order order = {
        .request_pem = request->request_pem,
        .who = request->who,
        .subject = request->subject[0] != '\0' ? request->subject : request->who,
        .names = request->names,
        .name_count = request->n_names,
        .days = request->days,
    };
    int code = osr_issuing_check(call->services, err);
    if (code == 0) {
        code = osr_issuing_make(call->services, &order, pem, err);
    }
    return code != 0 ? code : osr_issuing_note(call, "ISSUE", request->who, pem, err);
}

static void on_issued(void *context, enum osr_code code)
{
    struct issuing *issuing = context;
    Osr__IssueResponse response = OSR__ISSUE_RESPONSE__INIT;
    char serial[OSR_SERIAL_TEXT_MAX];
    if (code != OSR_OK) {
        fail_unnoted(issuing, code);
        return;
    }
    osr_issuing_serial(&issuing->pem, serial);
    response.certificate_pem = (char *)issuing->pem.data;
    response.serial = serial;
    osr_call_reply(issuing->call, &response.base);
    destroy_issuing(issuing);
}

static int begin_issue(struct issuing *issuing, const Osr__IssueRequest *request,
                       struct osr_err *err)
{
    struct osr_member_news news = {
        .who = request->who, .name = request->subject, .role = "", .invited_by = ""};
    int code = issue_ordered(issuing->call, request, &issuing->pem, err);
    return code != 0
               ? code
               : osr_issuing_note_member(issuing->call->services, &news, &issuing->pem,
                                         (struct osr_credential_done){on_issued, issuing}, err);
}

void osr_operation_issue(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    struct issuing *issuing = osr_alloc(sizeof(*issuing));
    struct osr_err err;
    (void)operations;
    issuing->call = call;
    osr_call_await(call, NULL);
    if (begin_issue(issuing, frame->issue, &err) != 0) {
        osr_call_fail(call, &err);
        destroy_issuing(issuing);
    }
}

/* -- renew -- */

/* Each of these costs something. */
static int check_frequency(struct osr_operations *operations, const char *who, bool is_question,
                           struct osr_err *err)
{
    uint64_t cost_ms = is_question ? OSR_ISSUE_QUESTION_MS : OSR_ISSUE_CERTIFICATE_MS;
    uint64_t wait_ms = osr_issue_limit_take(operations->issue_limit, who, cost_ms,
                                            uv_now(operations->services->loop));
    if (wait_ms == 0) {
        return 0;
    }
    osr_err_set(err, OSR_BUSY, "%s has asked for certificates too often", who);
    osr_err_hint(err, "try again in %llu s", (unsigned long long)(wait_ms + 999) / 1000);
    return OSR_BUSY;
}

/* Whether a CA that is believed has signed it, and nobody has revoked it. */
static bool is_good(const struct osr_services *services, struct osr_slice pem,
                    const struct osr_certificate_facts *facts)
{
    struct osr_slice rest =
        osr_trust_text(osr_security_trust(services->security), OSR_TRUST_AUTHORITIES);
    struct osr_slice authority;
    while (osr_certificate_next(&rest, &authority)) {
        struct osr_hash fingerprint = osr_trust_fingerprint(authority);
        if (osr_certificate_is_issued_by(pem, authority)) {
            return osr_wall_ms() / 1000 < facts->expires_s &&
                   !osr_credentials_is_revoked(services->credentials, facts->serial, &fingerprint);
        }
    }
    return false;
}

/* That it is the caller's own, and good: its names may have been given to another. Not always the
 * one that his connection shows: a link stays up over a renewal. */
static int check_present(const struct osr_call *call, struct osr_slice pem,
                         struct osr_certificate_facts *facts, struct osr_err *err)
{
    int code = osr_certificate_read(pem, facts, err);
    if (code != 0) {
        return code;
    }
    bool is_own = strcmp(facts->who, call->identity.who) == 0 &&
                  strcmp(facts->cluster, call->services->config->cluster) == 0;
    if (is_own && is_good(call->services, pem, facts)) {
        return 0;
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                            "certificate_pem is no certificate of %s that is good here",
                            call->identity.who);
}

/* A connection outlives the CA by whose certificate it was made; what nobody else vouches for does
 * not. */
static int check_shown(const struct osr_call *call, struct osr_err *err)
{
    struct osr_slice believed =
        osr_trust_text(osr_security_trust(call->services->security), OSR_TRUST_AUTHORITIES);
    if (osr_trust_is_among(believed, &call->identity.authority)) {
        return 0;
    }
    osr_err_set(err, OSR_UNAUTHENTICATED,
                "the certificate that the connection shows is of a CA that is believed no longer");
    osr_err_hint(err, "give the present one as certificate_pem; who has none joins anew");
    return OSR_UNAUTHENTICATED;
}

static int issue_next(const struct osr_call *call, const Osr__RenewRequest *request,
                      struct osr_buffer *pem, struct osr_err *err)
{
    const char *who = call->identity.who;
    struct osr_certificate_facts present = {.subject = ""};
    struct osr_slice present_pem = osr_slice_text(request->certificate_pem);
    int code = present_pem.size > 0 ? check_present(call, present_pem, &present, err)
                                    : check_shown(call, err);
    const struct osr_issuing_order order = {
        .request_pem = request->request_pem,
        .who = who,
        .subject = present.subject[0] != '\0' ? present.subject : who,
        .follows_pem = present_pem,
    };
    return code != 0 ? code : osr_issuing_make(call->services, &order, pem, err);
}

/* With a certificate, or without one where it was only asked who issues. */
static void on_renewed(void *context, enum osr_code code)
{
    struct issuing *issuing = context;
    const struct osr_services *services = issuing->call->services;
    Osr__RenewResponse response = OSR__RENEW_RESPONSE__INIT;
    if (code != OSR_OK) {
        fail_unnoted(issuing, code);
        return;
    }
    struct osr_hash issuer = osr_issuing_authority(services);
    response.issuer = (ProtobufCBinaryData){sizeof(issuer.bytes), issuer.bytes};
    if (issuing->pem.size > 0) {
        response.certificate_pem = (char *)issuing->pem.data;
    }
    response.authorities_pem = osr_issuing_authorities(services);
    osr_call_reply(issuing->call, &response.base);
    free(response.authorities_pem);
    destroy_issuing(issuing);
}

/* A certificate alone is not enough where the CA's key may have been stolen, and be about to be
 * replaced: an instance has to show its own key (HELLO_PROOF) as well, a user the new CA's word. */
static int check_vouched(const struct osr_call *call, struct osr_err *err)
{
    const struct osr_services *services = call->services;
    bool is_instance = strncmp(call->identity.who, "instance:", strlen("instance:")) == 0;
    bool is_link =
        call->session != NULL &&
        osr_sessions_find_link(services->sessions, osr_session_number(call->session)) != NULL;
    if (is_instance) {
        if (is_link) {
            return 0;
        }
        osr_err_set(err, OSR_UNAUTHENTICATED,
                    "an instance's certificate is renewed over its link alone");
        osr_err_hint(err, "`osiris renew` at that instance does it");
        return OSR_UNAUTHENTICATED;
    }
    struct osr_hash issuer = osr_issuing_authority(services);
    if (memcmp(&issuer, &call->identity.authority, sizeof(issuer)) == 0) {
        return 0;
    }
    osr_err_set(err, OSR_UNAUTHENTICATED,
                "the certificate of %s is of a CA that issues no longer, and is not renewed",
                call->identity.who);
    osr_err_hint(err, "`osiris ca issue` at the CA's instance gives a new one");
    return OSR_UNAUTHENTICATED;
}

/* An outside CA's certificate is for that CA to renew. */
static int check_asker(struct osr_operations *operations, const struct osr_call *call,
                       bool is_question, struct osr_err *err)
{
    const char *who = call->identity.who;
    if (!osr_identity_has_certificate(&call->identity) || strncmp(who, "subject:", 8) == 0) {
        osr_err_set(err, OSR_UNAUTHENTICATED,
                    "a certificate is renewed for whoever shows the present one");
        osr_err_hint(err, "connect with it; if it has expired, join anew");
        return OSR_UNAUTHENTICATED;
    }
    int code = osr_issuing_check(call->services, err);
    if (code == 0) {
        code = check_vouched(call, err);
    }
    return code != 0 ? code : check_frequency(operations, who, is_question, err);
}

/* What it is given for is noted first, as with ISSUE and JOIN; its roles are as they were. */
static int begin_renewal(struct issuing *issuing, const Osr__RenewRequest *request,
                         struct osr_err *err)
{
    const struct osr_call *call = issuing->call;
    const char *who = call->identity.who;
    struct osr_member_news news = {.who = who, .name = "", .role = "", .invited_by = ""};
    int code = issue_next(call, request, &issuing->pem, err);
    if (code == 0) {
        code = osr_issuing_note(call, "RENEW", who, &issuing->pem, err);
    }
    return code != 0
               ? code
               : osr_issuing_note_member(call->services, &news, &issuing->pem,
                                         (struct osr_credential_done){on_renewed, issuing}, err);
}

void osr_operation_renew(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    const Osr__RenewRequest *request = frame->renew;
    bool is_question = request->request_pem[0] == '\0';
    struct issuing *issuing = osr_alloc(sizeof(*issuing));
    struct osr_err err;
    issuing->call = call;
    osr_call_await(call, NULL);
    int code = check_asker(operations, call, is_question, &err);
    if (code == 0 && is_question) {
        on_renewed(issuing, OSR_OK);
        return;
    }
    if (code == 0) {
        code = begin_renewal(issuing, request, &err);
    }
    if (code != 0) {
        osr_call_fail(call, &err);
        destroy_issuing(issuing);
    }
}
