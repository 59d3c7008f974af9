/* Who may come in: what an instance knows of credentials, certificates and the cluster's trust feed
 * is opened here, in that order, becomes one access, and is looked at again when any of it changes.
 * What the instance shows of itself, its certificate, is renewed and reloaded here, too. */
#include <stdio.h>

#include "adapter/clock.h"
#include "adapter/folder.h"
#include "adapter/keys.h"
#include "node/instance_internal.h"

static uint64_t on_time(void *context)
{
    (void)context;
    return osr_wall_ms();
}

void osr_instance_review(void *context)
{
    struct osr_instance *instance = context;
    osr_engine_set_access(instance->engine, instance->access);
    osr_sessions_review(instance->sessions);
    osr_ledger_review(instance->ledger);
    osr_knowledge_review(osr_engine_knowledge(instance->engine));
}

/* The trust feed */

static bool may_lead_trust(void *context, const char *id)
{
    const struct osr_instance *instance = context;
    return osr_access_instance_may(instance->access, id, OSR_ACTION_LEAD,
                                   osr_feed_stream_name(OSR_STREAM_TRUST));
}

static void write_trust(void *context, uint64_t token, const struct osr_feed_put *put)
{
    const struct osr_instance *instance = context;
    osr_engine_write_trust(instance->engine, token, put);
}

static int open_trust_feed(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_trust_feed_options options = {
        .loop = instance->loop,
        .journal = osr_engine_journal(instance->engine),
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .time_ms = on_time,
        .may_lead = may_lead_trust,
        .write = write_trust,
        .on_changed = osr_instance_review,
        .context = instance,
        .trace = instance->trace,
    };
    return osr_trust_feed_open(&options, &instance->trust, err);
}

/* Credentials and audit */

struct credential_loading {
    struct osr_credentials *credentials;
    int code;
    struct osr_err *err;
};

static void load_credential(void *context, const char *key, struct osr_slice value)
{
    struct credential_loading *loading = context;
    if (loading->code == 0) {
        loading->code = osr_credentials_load(loading->credentials, key, value, loading->err);
    }
}

static int load_credentials(struct osr_instance *instance, struct osr_err *err)
{
    struct osr_journal *journal = osr_engine_journal(instance->engine);
    struct osr_credentials_options options = {
        .cluster = instance->config->cluster,
        .random = osr_secret_random,
        .port = {osr_trust_feed_write, instance->trust},
    };
    osr_secret_random(&options.hash_seed, sizeof(options.hash_seed));
    instance->credentials = osr_credentials_create(&options);
    osr_trust_feed_set_credentials(instance->trust, instance->credentials);
    struct credential_loading loading = {.credentials = instance->credentials, .err = err};
    osr_journal_facts(journal, OSR_CREDENTIAL_PREFIX, load_credential, &loading);
    return loading.code;
}

static int open_audit(struct osr_instance *instance, struct osr_err *err)
{
    char self[sizeof("instance:") + OSR_INSTANCE_CHARS];
    snprintf(self, sizeof(self), "instance:%s",
             osr_feed_instance(osr_engine_feed(instance->engine)));
    const struct osr_audit_options options = {
        .loop = instance->loop,
        .disk = osr_disk_system(),
        .folder = instance->config->data,
        .self = self,
        .all = instance->config->audit_all,
        .trace = instance->trace,
    };
    return osr_audit_create(&options, &instance->audit, err);
}

/* What the trust folder says */

static void on_security_changed(void *context, struct osr_policy *policy)
{
    struct osr_instance *instance = context;
    if (policy != NULL) {
        osr_access_replace_policy(instance->access, policy);
        osr_agreed_config_was_read(instance->agreed);
    }
    /* The first one is the data folder's socket. */
    for (size_t i = 1; i < instance->services.listener_count; i++) {
        struct osr_tls_context *context_now =
            osr_security_listener(instance->security, &instance->config->listen[i - 1]);
        if (context_now != NULL) {
            osr_listener_secure(instance->listeners[i], context_now);
        }
    }
    osr_instance_review(instance);
    osr_trust_feed_review(instance->trust);
}

static int open_security(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_security_options options = {
        .loop = instance->loop,
        .config = instance->config,
        .disk = osr_disk_system(),
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .credentials = instance->credentials,
        .time_ms = on_time,
        .trace = instance->trace,
        .on_changed = on_security_changed,
        .context = instance,
    };
    return osr_security_open(&options, &instance->security, err);
}

int osr_instance_open_trust(struct osr_instance *instance, struct osr_err *err)
{
    int code = open_trust_feed(instance, err);
    if (code == 0) {
        code = load_credentials(instance, err);
    }
    if (code == 0) {
        code = open_audit(instance, err);
    }
    return code != 0 ? code : open_security(instance, err);
}

/* What each may, by all of these */

static bool is_authority(void *context, const char *id)
{
    const struct osr_instance *instance = context;
    return osr_security_is_authority(instance->security, id);
}

static bool knows_members(void *context)
{
    const struct osr_instance *instance = context;
    return osr_security_knows_members(instance->security);
}

static bool is_approved(void *context, const char *id)
{
    const struct osr_instance *instance = context;
    return osr_security_is_approved(instance->security, id);
}

static bool has_own_policy(void *context)
{
    const struct osr_instance *instance = context;
    return osr_security_has_policy(instance->security);
}

static void create_agreed(struct osr_instance *instance)
{
    const struct osr_agreed_options options = {
        .credentials = instance->credentials,
        .port = {osr_trust_feed_write, instance->trust},
        .access = instance->access,
        .has_own_policy = has_own_policy,
        .time_ms = on_time,
        .on_changed = osr_instance_review,
        .context = instance,
        .trace = instance->trace,
    };
    instance->agreed = osr_agreed_create(&options);
}

void osr_instance_create_access(struct osr_instance *instance)
{
    const struct osr_access_options options = {
        .cluster = instance->config->cluster,
        .policy = instance->config->access,
        .credentials = instance->credentials,
        .audit = instance->audit,
        .time_ms = on_time,
        .is_approved = is_approved,
        .is_authority = is_authority,
        .knows_members = knows_members,
        .context = instance,
    };
    instance->config->access = NULL; /* is the access's now */
    instance->access = osr_access_create(&options);
    osr_engine_set_access(instance->engine, instance->access);
    create_agreed(instance);
}

/* The certificate shown to others */

/* Links whose other side has shown who it is. */
static size_t list_links(void *context, struct osr_renewal_link *links)
{
    const struct osr_instance *instance = context;
    size_t count = 0;
    for (size_t i = 0; i < osr_sessions_link_count(instance->sessions); i++) {
        const struct osr_session *session = osr_sessions_link(instance->sessions, i);
        if (osr_session_is_open(session) && osr_session_instance(session)[0] != '\0') {
            links[count++] = (struct osr_renewal_link){osr_session_number(session),
                                                       osr_session_instance(session)};
        }
    }
    return count;
}

void osr_instance_start_renewal(struct osr_instance *instance)
{
    struct osr_renewal_options options = {
        .loop = instance->loop,
        .security = instance->security,
        .cluster = instance->config->cluster,
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .time_ms = on_time,
        .links = list_links,
        .send = osr_instance_send,
        .audit = instance->audit,
        .trace = instance->trace,
        .context = instance,
    };
    osr_secret_random(&options.seed, sizeof(options.seed));
    instance->renewal = osr_renewal_create(&options);
}

/* A reload */

static void trace_reload(void *context, const struct osr_security_changes *changes,
                         const struct osr_err *err)
{
    const struct osr_instance *instance = context;
    if (changes == NULL) {
        osr_trace(instance->trace, OSR_LEVEL_ERROR, "reload: all is as it was: %s%s%s",
                  err->message, err->hint[0] != '\0' ? "; " : "", err->hint);
        return;
    }
    for (size_t i = 0; i < changes->changed_count; i++) {
        osr_trace(instance->trace, OSR_LEVEL_INFO, "reload: new: %s", changes->changed[i]);
    }
    for (size_t i = 0; i < changes->restart_count; i++) {
        osr_trace(instance->trace, OSR_LEVEL_WARNING, "reload: %s has changed: wants a restart",
                  changes->restart[i]);
    }
    osr_trace(instance->trace, OSR_LEVEL_INFO, "reload: done");
}

void osr_instance_reload(struct osr_instance *instance)
{
    const struct osr_audit_record record = {.allowed = true,
                                            .who = OSR_WHO_ADMIN,
                                            .from = "signal",
                                            .action = osr_action_info(OSR_ACTION_OPERATE)->name,
                                            .part = "instance:",
                                            .what = "RELOAD",
                                            .why = ""};
    struct osr_err err;
    int code = osr_audit_note(instance->audit, OSR_AUDIT_TRUST, &record, &err);
    if (code == 0) {
        code = osr_security_reload(instance->security, trace_reload, instance, &err);
    }
    if (code != 0) {
        trace_reload(instance, NULL, &err);
    }
}
