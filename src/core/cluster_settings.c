#include "core/cluster_settings.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define REVOCATION_PREFIX OSR_CLUSTER_CREDENTIAL_PREFIX "revocation:"

enum { WORDS_MAX = 8 };

struct setting {
    struct osr_cluster_setting_info info;
    const char *words[WORDS_MAX]; /* that it may be, up to NULL */
};

#define SETTING(NAME, text, value, meaning)                                                        \
    [OSR_CLUSTER_SETTING_##NAME] = {{text, value, meaning}, WORDS_OF_##NAME},
#define WORDS_OF_JOIN                                                                              \
    {                                                                                              \
        "automatic", "by-hand"                                                                     \
    }
#define WORDS_OF_VOTERS_MAX                                                                        \
    {                                                                                              \
        "1", "2", "3", "4", "5", "6", "7"                                                          \
    }
static const struct setting settings[OSR_CLUSTER_SETTING_COUNT] = {OSR_CLUSTER_SETTINGS(SETTING)};
#undef SETTING

const struct osr_cluster_setting_info *osr_cluster_setting_info(enum osr_cluster_setting setting)
{
    assert(setting < OSR_CLUSTER_SETTING_COUNT);
    return &settings[setting].info;
}

/* ---- what is allowed ---- */

static bool begins(struct osr_slice text, const char *prefix)
{
    size_t size = strlen(prefix);

    return text.size >= size && memcmp(text.data, prefix, size) == 0;
}

static struct osr_slice behind(struct osr_slice text, const char *prefix)
{
    size_t size = strlen(prefix);

    return osr_slice(text.data + size, text.size - size);
}

/* Of letters that can be shown, and so without a byte 0. */
static bool is_plain(struct osr_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] <= ' ' || text.data[i] > '~') {
            return false;
        }
    }
    return true;
}

static int refuse_word(const char *what, struct osr_slice word, const char *nearest,
                       struct osr_err *err)
{
    osr_err_set(err, OSR_INVALID_ARGUMENT, "'%.*s' is no %s",
                is_plain(word) ? (int)(word.size < 60 ? word.size : 60) : 0,
                (const char *)word.data, what);
    if (nearest != NULL) {
        osr_err_hint(err, "did you mean '%s'?", nearest);
    }
    return OSR_INVALID_ARGUMENT;
}

/* What is not even short text is like nothing. */
static struct osr_text_guess guess(struct osr_slice word, char typed[64])
{
    size_t size = is_plain(word) && word.size < 64 ? word.size : 0;

    if (size > 0) {
        memcpy(typed, word.data, size);
    }
    typed[size] = '\0';
    return osr_text_guess(typed);
}

static const struct setting *find_setting(struct osr_slice name, struct osr_err *err)
{
    char typed[64];
    struct osr_text_guess near = guess(name, typed);

    for (size_t i = 0; i < OSR_CLUSTER_SETTING_COUNT; i++) {
        if (osr_slice_equal(name, osr_slice_text(settings[i].info.name))) {
            return &settings[i];
        }
        osr_text_guess_offer(&near, settings[i].info.name);
    }
    refuse_word("setting of the cluster", name, near.nearest, err);
    if (near.nearest == NULL) {
        osr_err_hint(err, "`osiris cluster settings` lists them");
    }
    return NULL;
}

static int check_setting(const struct osr_kv_write *write, struct osr_err *err)
{
    const struct setting *setting =
        find_setting(behind(write->key, OSR_CLUSTER_SETTING_PREFIX), err);
    char typed[64];
    char what[64];
    struct osr_text_guess near = guess(write->value, typed);

    if (setting == NULL) {
        return OSR_INVALID_ARGUMENT;
    }
    if (write->is_remove) {
        return 0;
    }
    for (size_t i = 0; i < WORDS_MAX && setting->words[i] != NULL; i++) {
        if (osr_slice_equal(write->value, osr_slice_text(setting->words[i]))) {
            return 0;
        }
        osr_text_guess_offer(&near, setting->words[i]);
    }
    snprintf(what, sizeof(what), "value of %s", setting->info.name);
    refuse_word(what, write->value, near.nearest, err);
    if (near.nearest == NULL) {
        osr_err_hint(err, "%s", setting->info.meaning);
    }
    return OSR_INVALID_ARGUMENT;
}

static int check_access(const struct osr_kv_write *write, struct osr_err *err)
{
    if (write->value.size > OSR_CLUSTER_ACCESS_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "a policy of %zu bytes; at most %d are taken",
                                write->value.size, OSR_CLUSTER_ACCESS_BYTES_MAX);
    }
    if (!osr_utf8_is_valid(write->value) ||
        (write->value.size > 0 && memchr(write->value.data, '\0', write->value.size) != NULL)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "a policy is text in UTF-8");
    }
    return 0;
}

static int check_credential(const struct osr_kv_write *write, struct osr_err *err)
{
    if (write->is_remove) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "a revocation is never taken back");
    }
    if (!begins(write->key, REVOCATION_PREFIX) || !is_plain(write->key) || write->value.size == 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "of credentials only revocations");
    }
    if (write->value.size > OSR_CLUSTER_CREDENTIAL_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE,
                                "a revocation of %zu bytes; at most %d are taken",
                                write->value.size, OSR_CLUSTER_CREDENTIAL_BYTES_MAX);
    }
    return 0;
}

static int check(const struct osr_kv_write *write, struct osr_err *err)
{
    if (begins(write->key, OSR_CLUSTER_SETTING_PREFIX)) {
        return check_setting(write, err);
    }
    if (begins(write->key, OSR_CLUSTER_CREDENTIAL_PREFIX)) {
        return check_credential(write, err);
    }
    if (osr_slice_equal(write->key, osr_slice_text(OSR_CLUSTER_ACCESS_KEY))) {
        return check_access(write, err);
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "nothing of that name is agreed on");
}

int osr_cluster_encode(const struct osr_kv_write *write, struct osr_buffer *command,
                       struct osr_err *err)
{
    int code = check(write, err);

    return code != 0 ? code : osr_kv_encode(write, command, err);
}

/* ---- the machine ---- */

static enum osr_code apply(void *context, struct osr_values *values,
                           const struct osr_command *command, struct osr_buffer *reply)
{
    const struct osr_cluster_handler *handler = context;
    struct osr_kv_write write;
    int code = osr_kv_decode(command->bytes, &write);

    if (code == 0) {
        code = check(&write, NULL);
    }
    if (code == 0) {
        code = (int)osr_kv_apply(values, command->index, &write, reply);
    }
    if (code == 0) {
        handler->changed(handler->context, write.key);
    }
    return (enum osr_code)code;
}

static void restored(void *context, struct osr_values *values)
{
    const struct osr_cluster_handler *handler = context;

    (void)values;
    handler->restored(handler->context);
}

struct osr_machine osr_cluster_machine(const struct osr_cluster_handler *handler)
{
    return (struct osr_machine){
        .id = OSR_MACHINE_CLUSTER,
        .name = "cluster",
        .version_max = OSR_CLUSTER_VERSION,
        .apply = apply,
        .restored = restored,
        .context = (void *)handler,
    };
}

/* ---- what there is ---- */

bool osr_cluster_setting_get(struct osr_values *values, enum osr_cluster_setting setting,
                             struct osr_buffer *value)
{
    struct osr_buffer buffer = {0};
    struct osr_kv_found found;
    char *key = osr_format(OSR_CLUSTER_SETTING_PREFIX "%s", settings[setting].info.name);
    bool is_set = values != NULL && osr_kv_get(values, osr_slice_text(key), &buffer, &found);

    if (is_set) {
        osr_buffer_add(value, found.value.data, found.value.size);
    } else {
        osr_buffer_add_text(value, settings[setting].info.by_default);
    }
    osr_buffer_done(&buffer);
    free(key);
    return is_set;
}

bool osr_cluster_joins_by_hand(struct osr_values *values)
{
    struct osr_buffer value = {0};

    osr_cluster_setting_get(values, OSR_CLUSTER_SETTING_JOIN, &value);
    bool is_by_hand = osr_slice_equal(osr_buffer_slice(&value), osr_slice_text("by-hand"));
    osr_buffer_done(&value);
    return is_by_hand;
}

size_t osr_cluster_voters_max(struct osr_values *values)
{
    struct osr_buffer value = {0};

    osr_cluster_setting_get(values, OSR_CLUSTER_SETTING_VOTERS_MAX, &value);
    size_t most = (size_t)(value.data[0] - '0'); /* one of its words */
    osr_buffer_done(&value);
    return most;
}
