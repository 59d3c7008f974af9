/* Certificates among the credentials: the members who have one, and those revoked. */
#include <stdio.h>

#include "model/identity.h"
#include "node/credentials_internal.h"

/* ---- members ---- */

static int check_instance(const char *instance, struct osr_err *err)
{
    if (osr_instance_id_is_valid(instance)) {
        return 0;
    }
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.40s' is no instance's whole id, of %d characters",
                instance, OSR_INSTANCE_CHARS);
    osr_err_hint(err, "`osiris ca list` and `osiris -o json feeds` show them");
    return OSR_INVALID_ARGUMENT;
}

static int check_member(const struct osr_member_record *member, struct osr_err *err)
{
    int code = check_instance(member->instance, err);
    if (code == 0) {
        code = osr_credential_check_roles(&member->roles, err);
    }
    if (code == 0) {
        code = osr_credential_check_who(member->name, err);
    }
    return code != 0 ? code : osr_credential_check_who(member->invited_by, err);
}

int osr_credentials_put_member(struct osr_credentials *credentials,
                               const struct osr_member_record *member, uint64_t now_ms,
                               struct osr_credential_done done, struct osr_err *err)
{
    const struct osr_credential credential = {.kind = OSR_CREDENTIAL_MEMBER, .member = *member};
    int code = check_member(member, err);
    if (code == 0 &&
        osr_credentials_find(credentials, OSR_CREDENTIAL_MEMBER, member->instance) == NULL) {
        code =
            osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_MEMBER, now_ms, err);
    }
    if (code == 0) {
        osr_credential_store_put(credentials->store, &credential, OSR_WHEN_DURABLE, done);
    }
    return code;
}

/* ---- certificates ---- */

/* Refused in any other writing: it would revoke nothing, and look as if it did. */
static int check_serial(const char *serial, struct osr_err *err)
{
    size_t size = strspn(serial, "0123456789ABCDEF");
    if (size == 0 || size % 2 != 0 || serial[size] != '\0' || size >= OSR_SERIAL_TEXT_MAX) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.80s' is no serial number", serial);
        osr_err_hint(err, "write it as `openssl x509 -serial` does: pairs of 0-9 and A-F");
        return OSR_INVALID_ARGUMENT;
    }
    return 0;
}

/* Checked; `before` is the one with its key. */
static int put_revocation(struct osr_credentials *credentials,
                          const struct osr_revocation_record *revocation,
                          const struct osr_credential *before, uint64_t now_ms,
                          struct osr_credential_done done, struct osr_err *err)
{
    if (before != NULL) {
        osr_credential_store_put(credentials->store, before, OSR_AT_ONCE, done);
        return 0;
    }
    int code =
        osr_credential_store_make_room(credentials->store, OSR_CREDENTIAL_REVOCATION, now_ms, err);
    if (code == 0) {
        struct osr_credential credential = {.kind = OSR_CREDENTIAL_REVOCATION,
                                            .revocation = *revocation};
        credential.revocation.revoked_ms = now_ms;
        osr_credential_store_put(credentials->store, &credential, OSR_AT_ONCE, done);
    }
    return code;
}

int osr_credentials_revoke_certificate(struct osr_credentials *credentials,
                                       const struct osr_revocation_record *revocation,
                                       uint64_t now_ms, struct osr_credential_done done,
                                       struct osr_err *err)
{
    int code = check_serial(revocation->serial, err);
    if (code == 0) {
        code = osr_credential_check_who(revocation->who, err);
    }
    if (code == 0) {
        code = osr_credential_check_who(revocation->revoked_by, err);
    }
    if (code != 0) {
        return code;
    }
    const struct osr_credential *before = osr_credentials_find_revocation(credentials, revocation);
    return put_revocation(credentials, revocation, before, now_ms, done, err);
}

int osr_credentials_revoke_instance(struct osr_credentials *credentials, const char *instance,
                                    const char *revoked_by, uint64_t now_ms,
                                    struct osr_credential_done done, struct osr_err *err)
{
    char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
    int code = check_instance(instance, err);
    if (code == 0) {
        code = osr_credential_check_who(revoked_by, err);
    }
    if (code != 0) {
        return code;
    }
    snprintf(who, sizeof(who), "instance:%s", instance);
    const struct osr_revocation_record revocation = {
        .serial = "", .who = who, .revoked_by = revoked_by};
    const struct osr_credential *before = osr_credentials_find_revocation(credentials, &revocation);
    return put_revocation(credentials, &revocation, before, now_ms, done, err);
}

bool osr_credentials_is_revoked(const struct osr_credentials *credentials, const char *serial,
                                const struct osr_hash *authority)
{
    return osr_credential_store_find_revocation(credentials->store, serial, authority) != NULL;
}

const struct osr_credential *osr_credentials_find_revocation(
    const struct osr_credentials *credentials, const struct osr_revocation_record *revocation)
{
    if (revocation->serial[0] == '\0') {
        return osr_credentials_find(credentials, OSR_CREDENTIAL_REVOCATION, revocation->who);
    }
    return osr_credential_store_find_revocation(credentials->store, revocation->serial,
                                                &revocation->authority);
}
