/* policy_internal.h -- what a policy consists of, for the files that build, ask and explain it. */
#ifndef OSR_MODEL_POLICY_INTERNAL_H
#define OSR_MODEL_POLICY_INTERNAL_H

#include "base/text.h"
#include "model/patterns.h"
#include "model/policy.h"

_Static_assert(OSR_ACTION_COUNT <= 16, "actions are bits of a uint16_t");
_Static_assert((int)OSR_POLICY_NAME_BYTES_MAX <= (int)OSR_PATTERN_BYTES_MAX, "names are patterns");

/* Roles by their index. */
struct osr_role_set {
    uint64_t words[OSR_POLICY_ROLES_MAX / 64];
};

static inline void osr_role_set_add(struct osr_role_set *set, size_t role)
{
    set->words[role / 64] |= 1ull << role % 64;
}

static inline bool osr_role_set_has(const struct osr_role_set *set, size_t role)
{
    return (set->words[role / 64] >> role % 64 & 1) != 0;
}

struct osr_policy_role {
    char *name;
    bool is_default;
};

struct osr_policy_rule {
    size_t role;
    bool allows;
    uint16_t actions;
    unsigned kinds;             /* bits 1 << enum osr_part_kind */
    struct osr_pattern pattern; /* of the names, within `part` */
    char *part;                 /* as it was written */
    char *where;
};

struct osr_policy_grant {
    size_t role;
    char *where;
};

struct osr_policy_member {
    char *who;                  /* as it was written */
    struct osr_pattern pattern; /* within it */
    bool is_default;
    struct osr_policy_grant *grants;
    size_t grant_count;
};

/* What one set of roles comes to. */
struct osr_policy_subject {
    const struct osr_policy *policy;
    struct osr_role_set roles;
    uint16_t allows_some[OSR_PART_KIND_COUNT]; /* bits 1 << enum osr_action, as below */
    uint16_t allowed[];                        /* for each narrowest pattern, kind after kind */
};

struct osr_policy {
    struct osr_policy_role *roles;
    size_t role_count;
    struct osr_policy_rule *rules;
    size_t rule_count;
    struct osr_policy_member *members;
    size_t member_count;
    size_t grant_count;

    /* From here on made by osr_policy_build. */
    struct osr_patterns *names[OSR_PART_KIND_COUNT]; /* in rules */
    size_t first[OSR_PART_KIND_COUNT];               /* of the kind, in a subject's `allowed` */
    size_t allowed_count;                            /* of all kinds */
    struct osr_patterns *identities;                 /* of members */
    const struct osr_policy_member **member_of;      /* by the narrowest pattern; the first NULL */
    struct osr_policy_subject **subject_of;          /* likewise */
    struct osr_policy_subject **subjects;            /* one for each set of roles */
    size_t subject_count;
};

void osr_policy_clear_grants(struct osr_policy *policy, struct osr_policy_member *member);
/* Makes the second half of a policy from its first. */
void osr_policy_finish(struct osr_policy *policy);

/* The role's index; NOT_FOUND, and the one probably meant. */
int osr_policy_find_role(const struct osr_policy *policy, const char *name, size_t *ret_role,
                         struct osr_err *err);

/* Words of a rule and of a member; the pattern lies in `text`. INVALID_ARGUMENT as in policy.h. */
int osr_policy_read_part(const char *text, unsigned *ret_kinds, struct osr_pattern *ret_pattern,
                         struct osr_err *err);
int osr_policy_read_member(const char *text, struct osr_pattern *ret_pattern, struct osr_err *err);
/* Fails with `code`; the hint is the word that was probably meant, else `otherwise`. */
int osr_policy_refuse_word(struct osr_err *err, enum osr_code code, const char *what,
                           const struct osr_text_guess *guess, const char *otherwise);

#endif
