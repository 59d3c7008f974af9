/* The policy that is agreed on, and whether it holds here. */
#include "node/access_config.h"
#include "node/agreed_internal.h"

static const char *text_of(enum osr_policy_source source)
{
    switch (source) {
    case OSR_POLICY_OWN_FILE:
        return "the config file's own section holds here";
    case OSR_POLICY_AGREED:
        return "what the ledger's members have agreed on holds";
    case OSR_POLICY_DEFAULT:
        break;
    }
    return "the defaults hold";
}

static void note_source(struct osr_agreed_state *state, enum osr_policy_source source,
                        uint64_t index)
{
    if (source != state->source || index != state->policy_index) {
        osr_trace(state->options.trace, OSR_LEVEL_INFO, "access: %s", text_of(source));
    }
    state->source = source;
    state->policy_index = index;
}

static bool put_agreed_into_force(struct osr_agreed_state *state, const struct osr_kv_found *found)
{
    struct osr_policy *policy = NULL;
    struct osr_err err;
    if (state->source == OSR_POLICY_AGREED && found->index == state->policy_index) {
        return false;
    }
    if (osr_access_config_parse("agreed", found->value, &policy, &err) != 0) {
        osr_trace(state->options.trace, OSR_LEVEL_ERROR,
                  "access: the agreed policy is passed over: %s", err.message);
        return false;
    }
    osr_access_replace_policy(state->options.access, policy);
    note_source(state, OSR_POLICY_AGREED, found->index);
    return true;
}

static bool put_default_into_force(struct osr_agreed_state *state)
{
    if (state->source == OSR_POLICY_DEFAULT) {
        return false;
    }
    osr_access_replace_policy(state->options.access, osr_access_config_default());
    note_source(state, OSR_POLICY_DEFAULT, 0);
    return true;
}

bool osr_agreed_review_policy(struct osr_agreed_state *state)
{
    struct osr_values *values = osr_agreed_values(state);
    struct osr_buffer buffer = {0};
    struct osr_kv_found found;
    bool is_other;
    if (state->options.has_own_policy(state->options.context)) {
        note_source(state, OSR_POLICY_OWN_FILE, 0); /* whoever read it has put it into force */
        return false;
    }
    if (values != NULL &&
        osr_kv_get(values, osr_slice_text(OSR_CLUSTER_ACCESS_KEY), &buffer, &found)) {
        is_other = put_agreed_into_force(state, &found);
    } else {
        is_other = put_default_into_force(state);
    }
    osr_buffer_done(&buffer);
    return is_other;
}

void osr_agreed_config_was_read(struct osr_agreed_state *state)
{
    if (!state->options.has_own_policy(state->options.context)) {
        state->source = OSR_POLICY_DEFAULT; /* which hold now, whatever did before */
    }
    osr_agreed_review_policy(state);
}

enum osr_policy_source osr_agreed_policy_source(const struct osr_agreed_state *state)
{
    return state->source;
}
