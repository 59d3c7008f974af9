/* What all kinds of credentials are checked for when they are asked for, and the words in which
 * what has ended is refused. */
#include <time.h>

#include "base/text.h"
#include "node/credentials_internal.h"

enum { TIME_CHARS = 32 };

/* What is asked for */

static bool is_name_character(char character)
{
    return (character >= 'a' && character <= 'z') || (character >= 'A' && character <= 'Z') ||
           (character >= '0' && character <= '9') ||
           (character != '\0' && strchr("._@+-", character) != NULL);
}

int osr_credential_check_name(const char *what, const char *name, size_t size_max,
                              struct osr_err *err)
{
    size_t size = 0;
    while (is_name_character(name[size])) {
        size++;
    }
    if (size == 0 || size > size_max || name[size] != '\0') {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "'%.80s': the name of a %s is 1 to %zu letters, digits and ._@+-", name,
                           what, size_max);
    }
    return 0;
}

int osr_credential_check_roles(const struct osr_role_names *roles, struct osr_err *err)
{
    if (roles->count > OSR_CREDENTIAL_ROLES_MAX) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%zu roles, and there can be no more than %d",
                           roles->count, OSR_CREDENTIAL_ROLES_MAX);
    }
    for (size_t i = 0; i < roles->count; i++) {
        int code =
            osr_credential_check_name("role", roles->names[i], OSR_POLICY_NAME_BYTES_MAX, err);
        if (code != 0) {
            return code;
        }
    }
    return 0;
}

int osr_credential_check_who(const char *who, struct osr_err *err)
{
    if (strlen(who) > OSR_CREDENTIAL_WHO_BYTES_MAX || !osr_text_is_plain(osr_slice_text(who))) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.80s': no identity is called so", who);
    }
    return 0;
}

int osr_credential_check_expiry(uint64_t expires_ms, uint64_t now_ms, struct osr_err *err)
{
    if (expires_ms <= now_ms) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "it would have expired before it began");
    }
    return 0;
}

/* What is refused */

static const char *time_text(char *text, uint64_t time_ms)
{
    struct tm utc = {0};
    time_t time_s = (time_t)(time_ms / 1000);
    gmtime_r(&time_s, &utc);
    strftime(text, TIME_CHARS, "%Y-%m-%d %H:%M:%S UTC", &utc);
    return text;
}

int osr_credential_refuse_unknown_id(const char *what, const char *id, struct osr_err *err)
{
    osr_err_set(err, OSR_NOT_FOUND, "there is no %s with the id %.40s", what, id);
    osr_err_hint(err, "`osiris %s list` shows them", what);
    return OSR_NOT_FOUND;
}

/* Where another is to be had in the place of one that is not good (any more). */
static int hint_at_another(const char *what, struct osr_err *err)
{
    if (strcmp(what, "invitation") == 0) {
        osr_err_hint(err, "`osiris invite`, where the CA is, makes another");
    } else {
        osr_err_hint(err,
                     "people get another by `osiris login`, programs by `osiris token create`");
    }
    return OSR_UNAUTHENTICATED;
}

int osr_credential_refuse_unknown_token(const char *id, struct osr_err *err)
{
    osr_err_set(err, OSR_UNAUTHENTICATED, "the token %.40s is unknown here", id);
    return hint_at_another("token", err);
}

int osr_credential_refuse_expired(const char *what, const char *id, uint64_t expires_ms,
                                  struct osr_err *err)
{
    char time[TIME_CHARS];
    osr_err_set(err, OSR_UNAUTHENTICATED, "the %s %.40s expired at %s", what, id,
                time_text(time, expires_ms));
    return hint_at_another(what, err);
}

int osr_credential_refuse_revoked(const char *what, const char *id, uint64_t revoked_ms,
                                  struct osr_err *err)
{
    char time[TIME_CHARS];
    osr_err_set(err, OSR_UNAUTHENTICATED, "the %s %.40s was revoked at %s", what, id,
                time_text(time, revoked_ms));
    return hint_at_another(what, err);
}

int osr_credential_refuse_used(const struct osr_invitation_record *invitation, enum osr_code code,
                               struct osr_err *err)
{
    char time[TIME_CHARS];
    return osr_err_set(err, code, "the invitation %s was used by %s at %s", invitation->id,
                       invitation->used_by, time_text(time, invitation->used_ms));
}
