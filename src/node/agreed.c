#include "node/agreed.h"

#include <assert.h>
#include <stdlib.h>

#include "node/agreed_internal.h"

/* ---- news ---- */

static void on_changed(void *context, struct osr_slice key)
{
    struct osr_agreed_state *state = context;
    size_t prefix = strlen(OSR_CLUSTER_CREDENTIAL_PREFIX);
    if (key.size > prefix && memcmp(key.data, OSR_CLUSTER_CREDENTIAL_PREFIX, prefix) == 0) {
        osr_buffer_add(&state->keys, key.data, key.size);
        osr_buffer_add_u8(&state->keys, '\0');
    }
    state->has_access |= osr_slice_equal(key, osr_slice_text(OSR_CLUSTER_ACCESS_KEY));
}

static void on_restored(void *context)
{
    struct osr_agreed_state *state = context;
    state->keys.size = 0;
    state->has_all = state->has_access = true;
}

/* ---- revocations ---- */

/* What was not stored is adopted anew at the next start. */
static void on_stored(void *context, enum osr_code code)
{
    (void)context;
    (void)code;
}

static bool is_known(const struct osr_agreed_state *state,
                     const struct osr_revocation_record *revocation)
{
    return osr_credentials_find_revocation(state->options.credentials, revocation) != NULL;
}

static int adopt(struct osr_agreed_state *state, const char *key, struct osr_slice value,
                 struct osr_err *err)
{
    const struct osr_agreed_options *options = &state->options;
    struct osr_credential credential;
    char *texts = osr_alloc(value.size);
    int code = osr_credential_decode(key, value, texts, &credential, err);
    if (code == 0 && !is_known(state, &credential.revocation)) {
        code = osr_credentials_adopt(options->credentials, key, value,
                                     options->time_ms(options->context), err);
        if (code == 0) {
            options->port.write_fact(options->port.context, key, value, on_stored, NULL);
        }
    }
    free(texts);
    return code;
}

/* `key` is the ledger's; `stored` what stands under it. */
static void take_revocation(struct osr_agreed_state *state, const char *key,
                            struct osr_slice stored)
{
    char *fact_key =
        osr_format(OSR_CREDENTIAL_PREFIX "%s", key + strlen(OSR_CLUSTER_CREDENTIAL_PREFIX));
    struct osr_slice value =
        osr_slice(stored.data + OSR_KV_STORED_HEAD_SIZE, stored.size - OSR_KV_STORED_HEAD_SIZE);
    struct osr_err err;
    if (adopt(state, fact_key, value, &err) != 0) {
        osr_trace(state->options.trace, OSR_LEVEL_ERROR,
                  "trust: the agreed revocation %s is passed over: %s", fact_key, err.message);
    }
    free(fact_key);
}

static void take_new(struct osr_agreed_state *state, struct osr_values *values)
{
    const char *end = (const char *)state->keys.data + state->keys.size;
    for (const char *key = (const char *)state->keys.data; key != end; key += strlen(key) + 1) {
        struct osr_buffer stored = {0};
        if (values->get(values, osr_slice_text(key), &stored)) {
            take_revocation(state, key, osr_buffer_slice(&stored));
        }
        osr_buffer_done(&stored);
    }
}

static void take_all(struct osr_agreed_state *state, struct osr_values *values)
{
    struct osr_buffer from = {0};
    struct osr_buffer key = {0};
    struct osr_buffer stored = {0};
    size_t prefix = strlen(OSR_CLUSTER_CREDENTIAL_PREFIX);
    osr_buffer_add_text(&from, OSR_CLUSTER_CREDENTIAL_PREFIX);
    while (values->next(values, osr_buffer_slice(&from), &key, &stored) && key.size > prefix &&
           memcmp(key.data, OSR_CLUSTER_CREDENTIAL_PREFIX, prefix) == 0) {
        osr_buffer_add_u8(&key, '\0');
        take_revocation(state, (const char *)key.data, osr_buffer_slice(&stored));
        from.size = stored.size = 0;
        osr_buffer_add(&from, key.data, key.size); /* the next one there can be */
        key.size = 0;
    }
    osr_buffer_done(&from);
    osr_buffer_done(&key);
    osr_buffer_done(&stored);
}

void osr_agreed_propose_revocation(struct osr_agreed_state *state,
                                   const struct osr_credential *revocation, uint32_t timeout_ms,
                                   osr_agreed_done *done, void *context)
{
    struct osr_agreement *agreement = state->agreement;
    char *fact_key = osr_credential_key(revocation);
    char *key =
        osr_format(OSR_CLUSTER_CREDENTIAL_PREFIX "%s", fact_key + strlen(OSR_CREDENTIAL_PREFIX));
    struct osr_buffer value = {0};
    struct osr_buffer command = {0};
    osr_credential_encode(revocation, &value);
    const struct osr_kv_write write = {.has_expected = true, /* the first one stays */
                                       .expected = 0,
                                       .key = osr_slice_text(key),
                                       .value = osr_buffer_slice(&value)};
    struct osr_err err;
    int code = osr_cluster_encode(&write, &command, &err);
    assert(code == 0); /* it is one of ours */
    (void)code;
    agreement->propose(agreement, OSR_MACHINE_CLUSTER, OSR_CLUSTER_VERSION,
                       osr_buffer_slice(&command), timeout_ms, done, context);
    osr_buffer_done(&command);
    osr_buffer_done(&value);
    free(key);
    free(fact_key);
}

/* ---- putting news into force ---- */

struct osr_values *osr_agreed_values(const struct osr_agreed_state *state)
{
    struct osr_agreement *agreement = state->agreement;
    return agreement != NULL ? agreement->values(agreement, OSR_MACHINE_CLUSTER) : NULL;
}

void osr_agreed_end_turn(struct osr_agreed_state *state)
{
    struct osr_values *values;
    bool has_news = state->has_all || state->has_access || state->keys.size > 0;
    if (!has_news || (values = osr_agreed_values(state)) == NULL) {
        return;
    }
    uint64_t revision = osr_credentials_revision(state->options.credentials);
    if (state->has_all) {
        take_all(state, values);
    } else {
        take_new(state, values);
    }
    bool is_other = state->has_access && osr_agreed_review_policy(state);
    is_other |= osr_credentials_revision(state->options.credentials) != revision;
    state->keys.size = 0;
    state->has_all = state->has_access = false;
    if (is_other) {
        state->options.on_changed(state->options.context);
    }
}

/* ---- from create to destroy ---- */

struct osr_agreed_state *osr_agreed_create(const struct osr_agreed_options *options)
{
    struct osr_agreed_state *state = osr_alloc(sizeof(*state));
    state->options = *options;
    state->handler = (struct osr_cluster_handler){on_changed, on_restored, state};
    state->source =
        options->has_own_policy(options->context) ? OSR_POLICY_OWN_FILE : OSR_POLICY_DEFAULT;
    return state;
}

void osr_agreed_destroy(struct osr_agreed_state *state)
{
    if (state != NULL) {
        osr_buffer_done(&state->keys);
        free(state);
    }
}

struct osr_machine osr_agreed_machine(struct osr_agreed_state *state)
{
    return osr_cluster_machine(&state->handler);
}

void osr_agreed_start(struct osr_agreed_state *state, struct osr_agreement *agreement)
{
    state->agreement = agreement;
    osr_agreed_end_turn(state);
}
