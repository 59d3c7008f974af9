#include "node/security.h"

#include <assert.h>
#include <stdlib.h>

#include "node/config_option.h"
#include "node/own_certificate.h"
#include "node/security_contexts.h"

enum {
    LOOK_MS = 60 * 60 * 1000, /* how often it is looked whether it is time to renew */
    CHANGES_MAX = 8,          /* lines of a reload: one for each thing that can change */
    MS_PER_S = 1000,
};

struct osr_security {
    struct osr_security_options options;
    struct osr_trust_folder *folder;
    struct osr_file_worker *worker;
    uv_timer_t timer;
    bool has_timer;

    struct osr_config *reloaded; /* NULL: that of the options still holds */
    struct osr_trust *trust;
    char (*authorities)[OSR_INSTANCE_CHARS + 1]; /* osr_trust_authorities */
    size_t authority_count;
    struct osr_security_contexts *contexts;
    struct osr_security_info info;
    bool is_working; /* a change is under way */
};

/* What comes before all is read from the folder. */
enum change_kind {
    CHANGE_RELOAD, /* the config is read, too */
    CHANGE_ISSUE,  /* a new certificate by the CA that is here */
    CHANGE_STORE,  /* a certificate that was given */
};

/* Read and made on the thread, put into force on the loop's. */
struct change {
    struct osr_file_job job; /* first */
    struct osr_security *security;
    enum change_kind kind;
    struct osr_buffer given_certificate, given_authorities; /* as in osr_trust_certificate */
    char *given_by;
    uint64_t now_s;
    osr_security_reloaded *done; /* NULL: nobody waits */
    void *context;

    struct osr_config *config; /* NULL: it stays */
    struct osr_trust *trust;
    struct osr_security_contexts *contexts;
    struct osr_err err;
};

static uint64_t now_s(const struct osr_security *security)
{
    return security->options.time_ms(security->options.context) / MS_PER_S;
}

/* What holds now of what a reload can change. */
static const struct osr_config *config_in_force(const struct osr_security *security)
{
    return security->reloaded != NULL ? security->reloaded : security->options.config;
}

bool osr_security_has_policy(const struct osr_security *security)
{
    return config_in_force(security)->has_access;
}

static void destroy_config(struct osr_config *config)
{
    if (config != NULL) {
        osr_config_done(config);
        free(config);
    }
}

/* -- reading, on the thread (or at the start) -- */

/* Whichever certificates are shown, during handshakes, on the loop's thread. */
static bool is_revoked(void *context, const char *serial, const struct osr_hash *authority)
{
    const struct osr_security *security = context;
    return osr_credentials_is_revoked(security->options.credentials, serial, authority);
}

static int load(const struct osr_security *security, const struct osr_config *approving,
                uint64_t at_s, struct osr_trust **ret_trust,
                struct osr_security_contexts **ret_contexts, struct osr_err *err)
{
    struct osr_trust *trust = NULL;
    int code = 0;
    if (osr_security_is_wanted(security->options.config)) {
        code = osr_trust_folder_ensure_key(security->folder, err);
    }
    if (code == 0) {
        code = osr_trust_folder_load(security->folder, &trust, err);
    }
    if (code != 0) {
        return code;
    }
    const struct osr_security_source source = {
        .config = security->options.config, /* the listeners and peers that there are */
        .trust = trust,
        .has_approved = approving->approved_count > 0,
        .instance = security->options.instance,
        .now_s = at_s,
        .is_revoked = is_revoked,
        .context = (void *)security,
    };
    code = osr_security_contexts_create(&source, ret_contexts, err);
    if (code != 0) {
        osr_trust_destroy(trust);
        return code;
    }
    *ret_trust = trust;
    return 0;
}

static int read_config(struct change *change, struct osr_err *err)
{
    change->config = osr_alloc(sizeof(*change->config));
    int code = osr_config_read_again(change->security->options.config, change->config, err);
    if (code != 0) {
        free(change->config);
        change->config = NULL;
    }
    return code;
}

static int issue(struct change *change, struct osr_err *err)
{
    const struct osr_security *security = change->security;
    const struct osr_own_certificate own = {
        .cluster = security->options.config->cluster,
        .instance = security->options.instance,
        .name = security->options.config->name,
        .now_s = change->now_s,
    };
    struct osr_trust *trust = NULL;
    int code = osr_trust_folder_load(security->folder, &trust, err);
    if (code == 0) {
        code = osr_own_certificate_issue(security->folder, trust, &own, err);
        osr_trust_destroy(trust);
    }
    return code;
}

static int store_given(const struct change *change, struct osr_err *err)
{
    const struct osr_trust_certificate given = {
        .certificate_pem = osr_buffer_slice(&change->given_certificate),
        .authorities_pem = osr_buffer_slice(&change->given_authorities),
        .authority = change->given_by,
    };
    return osr_trust_folder_store_certificate(change->security->folder, &given, err);
}

static int prepare(struct change *change, struct osr_err *err)
{
    switch (change->kind) {
    case CHANGE_RELOAD:
        return read_config(change, err);
    case CHANGE_ISSUE:
        return issue(change, err);
    case CHANGE_STORE:
        break;
    }
    return store_given(change, err);
}

static void work(struct osr_file_job *job)
{
    struct change *change = (struct change *)job;
    const struct osr_security *security = change->security;
    int code = prepare(change, &change->err);
    if (code == 0) {
        const struct osr_config *approving =
            change->config != NULL ? change->config : config_in_force(security);
        code = load(security, approving, change->now_s, &change->trust, &change->contexts,
                    &change->err);
    }
    if (code == 0) {
        change->err.code = OSR_OK;
    }
}

/* -- what has changed, for people -- */

struct report {
    const char *changed[CHANGES_MAX];
    const char *restart[OSR_OPTION_COUNT + 1]; /* the options, and `events` */
    struct osr_security_changes changes;
};

static void say(struct report *report, const char *line)
{
    assert(report->changes.changed_count < CHANGES_MAX);
    report->changed[report->changes.changed_count++] = line;
}

static void compare_trust(struct report *report, const struct osr_trust *before,
                          const struct osr_trust *after)
{
    static const struct {
        enum osr_trust_file file;
        const char *line;
    } files[] = {
        {OSR_TRUST_TLS_KEY, "the TLS key"},
        {OSR_TRUST_TLS_CERTIFICATE, "the certificate"},
        {OSR_TRUST_AUTHORITIES, "the CAs that are believed"},
        {OSR_TRUST_CA_CERTIFICATE, "the CA that certificates are issued by"},
        {OSR_TRUST_SHARED_KEYS, "the shared keys"},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        if (!osr_slice_equal(osr_trust_text(before, files[i].file),
                             osr_trust_text(after, files[i].file))) {
            say(report, files[i].line);
        }
    }
}

/* What a reload puts into force is compared with what is in force; the rest with the start's. */
static void compare_config(struct report *report, const struct osr_security *security,
                           const struct osr_config *after)
{
    const struct osr_config *before = config_in_force(security);
    if (memcmp(&before->file, &after->file, sizeof(before->file)) != 0) {
        say(report, "the config file: its rules of access hold");
    }
    for (size_t i = 0; i < OSR_OPTION_COUNT; i++) {
        const struct osr_option *option = &osr_options[i];
        if (option->kind == OSR_OPTION_INSTANCES) {
            if (!osr_option_is_equal(option, before, after)) {
                say(report, "the instances that are approved");
            }
        } else if (!osr_option_is_equal(option, security->options.config, after)) {
            report->restart[report->changes.restart_count++] = option->name;
        }
    }
    if (!osr_events_config_is_equal(&security->options.config->events, &after->events)) {
        report->restart[report->changes.restart_count++] = "events";
    }
}

static void compare(struct report *report, const struct change *change)
{
    *report = (struct report){0};
    report->changes.changed = report->changed;
    report->changes.restart = report->restart;
    if (change->config != NULL) {
        compare_config(report, change->security, change->config);
    }
    compare_trust(report, change->security->trust, change->trust);
}

/* -- putting it into force -- */

/* What is asked of it often. */
static void look_at_trust(struct osr_security *security)
{
    struct osr_security_info *info = &security->info;
    struct osr_err err;
    free(security->authorities);
    security->authority_count = osr_trust_authorities(
        security->trust, security->options.config->cluster, &security->authorities);
    *info = (struct osr_security_info){
        .has_authority = osr_trust_has(security->trust, OSR_TRUST_CA_KEY),
    };
    if (!osr_trust_has(security->trust, OSR_TRUST_TLS_CERTIFICATE) ||
        osr_certificate_read(osr_trust_text(security->trust, OSR_TRUST_TLS_CERTIFICATE),
                             &info->certificate, &err) != 0) {
        return; /* osr_trust_check has read it before */
    }
    info->renew_at_s = osr_certificate_renew_at_s(&info->certificate);
}

static void put_into_force(struct change *change)
{
    struct osr_security *security = change->security;
    struct osr_trust *trust = security->trust;
    struct osr_security_contexts *contexts = security->contexts;
    struct osr_policy *policy = NULL;
    if (change->config != NULL) {
        policy = change->config->access;
        change->config->access = NULL; /* goes to whoever asks it */
        destroy_config(security->reloaded);
        security->reloaded = change->config;
    }
    security->trust = change->trust;
    security->contexts = change->contexts;
    look_at_trust(security);
    security->options.on_changed(security->options.context, policy);
    osr_security_contexts_destroy(contexts);
    osr_trust_destroy(trust);
}

static void note_renewal(struct osr_security *security, const struct osr_err *err)
{
    if (err->code == OSR_OK) {
        osr_trace(security->options.trace, OSR_LEVEL_INFO, "the certificate was renewed");
        return;
    }
    security->info.renewal = *err;
    osr_trace(security->options.trace, OSR_LEVEL_ERROR,
              "the certificate could not be renewed, which is tried again: %s", err->message);
}

static void destroy_change(struct change *change)
{
    osr_buffer_done(&change->given_certificate);
    osr_buffer_done(&change->given_authorities);
    free(change->given_by);
    free(change);
}

static void on_done(struct osr_file_job *job)
{
    struct change *change = (struct change *)job;
    struct osr_security *security = change->security;
    struct report report;
    bool is_good = change->err.code == OSR_OK;
    if (is_good) {
        compare(&report, change);
        put_into_force(change);
    } else {
        destroy_config(change->config);
    }
    security->is_working = false;
    if (change->kind == CHANGE_ISSUE) {
        note_renewal(security, &change->err);
    }
    if (change->done != NULL) {
        change->done(change->context, is_good ? &report.changes : NULL, &change->err);
    }
    destroy_change(change);
}

static void begin(struct osr_security *security, struct change *change)
{
    change->job.work = work;
    change->job.done = on_done;
    change->security = security;
    change->now_s = now_s(security);
    security->is_working = true;
    osr_file_worker_submit(security->worker, &change->job);
}

static int check_idle(const struct osr_security *security, struct osr_err *err)
{
    if (!security->is_working) {
        return 0;
    }
    osr_err_set(err, OSR_BUSY, "config and keys are being read");
    osr_err_hint(err, "try again in a second");
    return OSR_BUSY;
}

static struct change *make_change(enum change_kind kind, osr_security_reloaded *done, void *context)
{
    struct change *change = osr_alloc(sizeof(*change));
    change->kind = kind;
    change->done = done;
    change->context = context;
    return change;
}

int osr_security_reload(struct osr_security *security, osr_security_reloaded *done, void *context,
                        struct osr_err *err)
{
    int code = check_idle(security, err);
    if (code == 0) {
        begin(security, make_change(CHANGE_RELOAD, done, context));
    }
    return code;
}

/* -- the own certificate -- */

static void copy_text(struct osr_buffer *copy, struct osr_slice text)
{
    osr_buffer_add(copy, text.data, text.size);
}

int osr_security_take_certificate(struct osr_security *security,
                                  const struct osr_trust_certificate *certificate,
                                  osr_security_reloaded *done, void *context, struct osr_err *err)
{
    assert(certificate->key_pem.size == 0); /* nobody is given a key */
    int code = check_idle(security, err);
    if (code != 0) {
        return code;
    }
    struct change *change = make_change(CHANGE_STORE, done, context);
    copy_text(&change->given_certificate, certificate->certificate_pem);
    copy_text(&change->given_authorities, certificate->authorities_pem);
    change->given_by = certificate->authority != NULL ? osr_strdup(certificate->authority) : NULL;
    begin(security, change);
    return 0;
}

int osr_security_issue_certificate(struct osr_security *security, osr_security_reloaded *done,
                                   void *context, struct osr_err *err)
{
    assert(osr_security_renews_itself(&security->info));
    int code = check_idle(security, err);
    if (code == 0) {
        begin(security, make_change(CHANGE_ISSUE, done, context));
    }
    return code;
}

void osr_security_look_after_certificate(struct osr_security *security)
{
    const struct osr_security_info *info = &security->info;
    bool is_time = info->renew_at_s != 0 && now_s(security) >= info->renew_at_s;
    if (is_time && osr_security_renews_itself(info) && !security->is_working) {
        begin(security, make_change(CHANGE_ISSUE, NULL, NULL));
    }
}

static void on_timer(uv_timer_t *timer)
{
    osr_security_look_after_certificate(timer->data);
}

/* -- opening and closing -- */

static int start(struct osr_security *security, struct osr_err *err)
{
    const struct osr_security_options *options = &security->options;
    security->folder = osr_trust_folder_open(options->disk, options->config->data);
    int code = load(security, options->config, now_s(security), &security->trust,
                    &security->contexts, err);
    if (code == 0) {
        code = osr_file_worker_create(options->loop, "files", &security->worker, err);
    }
    if (code != 0) {
        return code;
    }
    look_at_trust(security);
    uv_timer_init(options->loop, &security->timer); /* only fills in the handle */
    security->timer.data = security;
    security->has_timer = true;
    uv_timer_start(&security->timer, on_timer, 0, LOOK_MS);
    uv_unref((uv_handle_t *)&security->timer);
    return 0;
}

int osr_security_open(const struct osr_security_options *options, struct osr_security **ret,
                      struct osr_err *err)
{
    struct osr_security *security = osr_alloc(sizeof(*security));
    security->options = *options;
    int code = start(security, err);
    if (code != 0) {
        osr_security_close(security);
        return code;
    }
    *ret = security;
    return 0;
}

static void destroy(struct osr_security *security)
{
    osr_security_contexts_destroy(security->contexts);
    osr_trust_destroy(security->trust);
    free(security->authorities);
    osr_trust_folder_close(security->folder);
    destroy_config(security->reloaded);
    free(security);
}

static void on_timer_closed(uv_handle_t *handle)
{
    destroy(handle->data);
}

void osr_security_close(struct osr_security *security)
{
    if (security == NULL) {
        return;
    }
    osr_file_worker_destroy(security->worker);
    if (security->has_timer) {
        uv_close((uv_handle_t *)&security->timer, on_timer_closed);
    } else {
        destroy(security);
    }
}

/* -- asking it -- */

struct osr_tls_context *osr_security_listener(const struct osr_security *security,
                                              const struct osr_url *url)
{
    return osr_security_contexts_listener(security->contexts, url);
}

struct osr_tls_context *osr_security_dialler(const struct osr_security *security,
                                             const struct osr_url *url)
{
    return osr_security_contexts_dialler(security->contexts, url);
}

bool osr_security_is_approved(const struct osr_security *security, const char *instance)
{
    const struct osr_config *config = config_in_force(security);
    for (size_t i = 0; i < config->approved_count; i++) {
        if (strcmp(config->approved[i], instance) == 0) {
            return true;
        }
    }
    const struct osr_config *dialled = security->options.config;
    for (size_t i = 0; i < dialled->peer_count; i++) {
        const char *id = osr_url_parameter(&dialled->peer[i], "id");
        if (id != NULL && strcmp(id, instance) == 0) {
            return true;
        }
    }
    return false;
}

bool osr_security_is_authority(const struct osr_security *security, const char *instance)
{
    for (size_t i = 0; i < security->authority_count; i++) {
        if (strcmp(security->authorities[i], instance) == 0) {
            return true;
        }
    }
    return false;
}

bool osr_security_knows_members(const struct osr_security *security)
{
    return security->authority_count > 0;
}

const struct osr_trust *osr_security_trust(const struct osr_security *security)
{
    return security->trust;
}

struct osr_file_worker *osr_security_worker(const struct osr_security *security)
{
    return security->worker;
}

void osr_security_get_info(const struct osr_security *security, struct osr_security_info *ret_info)
{
    *ret_info = security->info;
}
