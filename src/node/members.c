#include "node/members.h"

#include <stdio.h>

static const char kind[] = "instance:";

static const char *first_text(const char *text, const char *otherwise)
{
    return text[0] != '\0' ? text : otherwise;
}

/* What the record says now; it has no texts where there is none. */
static struct osr_member_record present_record(const struct osr_credentials *credentials,
                                               const char *instance, uint64_t now_ms)
{
    const struct osr_credential *found =
        osr_credentials_find(credentials, OSR_CREDENTIAL_MEMBER, instance);
    return found != NULL
               ? found->member
               : (struct osr_member_record){
                     .instance = instance, .name = "", .invited_by = "", .joined_ms = now_ms};
}

int osr_members_note(struct osr_credentials *credentials, const struct osr_member_news *news,
                     uint64_t now_ms, struct osr_credential_done done, struct osr_err *err)
{
    struct osr_certificate_facts facts;
    if (strncmp(news->who, kind, strlen(kind)) != 0) {
        done.call(done.context, OSR_OK);
        return 0;
    }
    int code = osr_certificate_read(news->certificate_pem, &facts, err);
    if (code != 0) {
        return code;
    }
    struct osr_member_record member = present_record(credentials, news->who + strlen(kind), now_ms);
    member.name = first_text(news->name, member.name);
    member.invited_by = first_text(news->invited_by, member.invited_by);
    member.serial = facts.serial;
    member.authority = news->authority;
    member.expires_ms = facts.expires_s * 1000;
    if (news->role[0] != '\0') {
        member.roles = (struct osr_role_names){.names = {news->role}, .count = 1};
    }
    return osr_credentials_put_member(credentials, &member, now_ms, done, err);
}

struct search {
    const char *serial;
    char *who;
    bool is_found;
};

static void compare(void *context, const struct osr_credential *credential)
{
    struct search *search = context;
    if (strcmp(credential->member.serial, search->serial) == 0) {
        search->is_found = true;
        snprintf(search->who, OSR_POLICY_NAME_BYTES_MAX + 1, "%s%s", kind,
                 credential->member.instance);
    }
}

bool osr_members_find_holder(const struct osr_credentials *credentials, const char *serial,
                             char who[OSR_POLICY_NAME_BYTES_MAX + 1])
{
    struct search search = {.serial = serial, .who = who};
    osr_credentials_walk(credentials, OSR_CREDENTIAL_MEMBER, compare, &search);
    return search.is_found;
}
