/* The words of a policy: actions, parts, and who its members are. */
#include "model/policy_internal.h"

#include <assert.h>

#include "base/text.h"

static const struct osr_action_info actions[] = {
#define ACTION_ROW(name, text, kinds, meaning) [OSR_ACTION_##name] = {text, kinds, meaning},
    OSR_ACTIONS(ACTION_ROW)
#undef ACTION_ROW
};

static const struct osr_part_kind_info part_kinds[] = {
#define PART_KIND_ROW(name, text, has_names, meaning)                                              \
    [OSR_PART_##name] = {text, has_names, meaning},
    OSR_PART_KINDS(PART_KIND_ROW)
#undef PART_KIND_ROW
};

static const char *const identities[] = {
#define IDENTITY_ROW(name, text, meaning) text,
    OSR_IDENTITIES(IDENTITY_ROW)
#undef IDENTITY_ROW
};

static const char *const identity_kinds[] = {
#define IDENTITY_KIND_ROW(text, meaning) text,
    OSR_IDENTITY_KINDS(IDENTITY_KIND_ROW)
#undef IDENTITY_KIND_ROW
};

enum {
    ALL_KINDS = (1u << OSR_PART_KIND_COUNT) - 1,
    IDENTITY_COUNT = sizeof(identities) / sizeof(identities[0]),
    IDENTITY_KIND_COUNT = sizeof(identity_kinds) / sizeof(identity_kinds[0]),
};

/* All of them in a row, for hints. */
#define ACTION_WORD(name, text, kinds, meaning)        " " text
#define PART_KIND_WORD(name, text, has_names, meaning) " " text
#define IDENTITY_KIND_WORD(text, meaning)              " " text

static int refuse(struct osr_err *err, const char *text, const char *why)
{
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.100s': %s", text, why);
}

int osr_policy_refuse_word(struct osr_err *err, enum osr_code code, const char *what,
                           const struct osr_text_guess *guess, const char *otherwise)
{
    osr_err_set(err, code, "no %s is called '%.100s'", what, guess->typed);
    if (guess->nearest != NULL) {
        osr_err_hint(err, "did you mean '%s'?", guess->nearest);
    } else {
        osr_err_hint(err, "%s", otherwise);
    }
    return (int)code;
}

const struct osr_action_info *osr_action_info(enum osr_action action)
{
    assert((unsigned)action < OSR_ACTION_COUNT);
    return &actions[action];
}

const struct osr_part_kind_info *osr_part_kind_info(enum osr_part_kind kind)
{
    assert((unsigned)kind < OSR_PART_KIND_COUNT);
    return &part_kinds[kind];
}

int osr_action_parse(const char *name, enum osr_action *ret_action, struct osr_err *err)
{
    struct osr_text_guess guess = osr_text_guess(name);

    for (size_t i = 0; i < OSR_ACTION_COUNT; i++) {
        if (strcmp(actions[i].name, name) == 0) {
            *ret_action = (enum osr_action)i;
            return 0;
        }
        osr_text_guess_offer(&guess, actions[i].name);
    }
    return osr_policy_refuse_word(err, OSR_INVALID_ARGUMENT, "action", &guess,
                                  "actions are" OSR_ACTIONS(ACTION_WORD));
}

/* What stands in front of the ':'. */
struct kind_word {
    char text[OSR_TEXT_DISTANCE_BYTES_MAX + 2]; /* cut if longer: no kind is, nor is any near */
};

static struct kind_word take_kind(const char *text, const char *colon)
{
    struct kind_word word = {""};
    size_t size = (size_t)(colon - text);

    memcpy(word.text, text, size < sizeof(word.text) ? size : sizeof(word.text) - 1);
    return word;
}

static int parse_part_kind(const char *kind, enum osr_part_kind *ret_kind, struct osr_err *err)
{
    struct osr_text_guess guess = osr_text_guess(kind);

    for (size_t i = 0; i < OSR_PART_KIND_COUNT; i++) {
        if (strcmp(part_kinds[i].name, kind) == 0) {
            *ret_kind = (enum osr_part_kind)i;
            return 0;
        }
        osr_text_guess_offer(&guess, part_kinds[i].name);
    }
    return osr_policy_refuse_word(err, OSR_INVALID_ARGUMENT, "kind of part", &guess,
                                  "kinds of parts are" OSR_PART_KINDS(PART_KIND_WORD));
}

int osr_part_parse(const char *text, struct osr_part *ret_part, struct osr_err *err)
{
    const char *colon = strchr(text, ':');
    enum osr_part_kind kind;

    if (colon == NULL) {
        refuse(err, text, "a part is a kind, a ':' and a name");
        osr_err_hint(err,
                     "as in collection:notes, stream:kb, key:/config/x, task:image, instance:");
        return OSR_INVALID_ARGUMENT;
    }
    int code = parse_part_kind(take_kind(text, colon).text, &kind, err);
    if (code != 0) {
        return code;
    }
    if (part_kinds[kind].has_names && colon[1] == '\0') {
        return refuse(err, text, "the name is missing behind the ':'");
    }
    if (!part_kinds[kind].has_names && colon[1] != '\0') {
        return refuse(err, text, "such a part has no name: nothing follows the ':'");
    }
    *ret_part = osr_part(kind, colon + 1);
    return 0;
}

/* What people are shown of a policy must not move their cursor. */
static int check_text(const char *text, struct osr_err *err)
{
    struct osr_slice bytes = osr_slice_text(text);

    if (bytes.size > OSR_POLICY_NAME_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "'%.40s...': longer than %d bytes", text,
                                OSR_POLICY_NAME_BYTES_MAX);
    }
    if (!osr_utf8_is_valid(bytes) || !osr_text_is_plain(bytes)) {
        return refuse(err, text, "not UTF-8, or with control characters");
    }
    return 0;
}

int osr_policy_read_part(const char *text, unsigned *ret_kinds, struct osr_pattern *ret_pattern,
                         struct osr_err *err)
{
    struct osr_part part = {0};
    bool is_every_part = strcmp(text, "*") == 0;
    int code = check_text(text, err);

    if (code == 0 && !is_every_part) {
        code = osr_part_parse(text, &part, err);
    }
    if (code != 0) {
        return code;
    }
    *ret_kinds = is_every_part ? ALL_KINDS : 1u << part.kind;
    *ret_pattern = osr_pattern_read(is_every_part ? osr_slice_text(text) : part.name);
    return 0;
}

static bool is_identity(const char *text)
{
    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        if (strcmp(identities[i], text) == 0) {
            return true;
        }
    }
    return false;
}

static int refuse_identity(const char *text, struct osr_err *err)
{
    struct osr_text_guess guess = osr_text_guess(text);

    for (size_t i = 0; i < IDENTITY_COUNT; i++) {
        osr_text_guess_offer(&guess, identities[i]);
    }
    return osr_policy_refuse_word(
        err, OSR_INVALID_ARGUMENT, "identity", &guess,
        "a member is local, seed, anonymous, or a kind, a ':' and a name, "
        "as in user:ana or instance:*");
}

static int check_identity_kind(const char *kind, struct osr_err *err)
{
    struct osr_text_guess guess = osr_text_guess(kind);

    for (size_t i = 0; i < IDENTITY_KIND_COUNT; i++) {
        if (strcmp(identity_kinds[i], kind) == 0) {
            return 0;
        }
        osr_text_guess_offer(&guess, identity_kinds[i]);
    }
    return osr_policy_refuse_word(err, OSR_INVALID_ARGUMENT, "kind of identity", &guess,
                                  "kinds of identities are" OSR_IDENTITY_KINDS(IDENTITY_KIND_WORD));
}

int osr_policy_read_member(const char *text, struct osr_pattern *ret_pattern, struct osr_err *err)
{
    const char *colon = strchr(text, ':');
    int code = check_text(text, err);

    if (code == 0 && colon != NULL) {
        code = check_identity_kind(take_kind(text, colon).text, err);
    } else if (code == 0 && !is_identity(text)) {
        code = refuse_identity(text, err);
    }
    if (code != 0) {
        return code;
    }
    if (colon != NULL && colon[1] == '\0') {
        return refuse(err, text, "the name is missing behind the ':'");
    }
    *ret_pattern = osr_pattern_read(osr_slice_text(text));
    return 0;
}

int osr_policy_check_who(const char *text, struct osr_err *err)
{
    struct osr_pattern pattern;
    return osr_policy_read_member(text, &pattern, err);
}
