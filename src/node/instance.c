#include "node/instance_internal.h"

#include <stdlib.h>

#include "adapter/descriptors.h"
#include "adapter/keys.h"
#include "core/kv.h"
#include "node/client_keys.h"

enum {
    /* Files of our own beside connections: the log, SQLite, epoll, ... */
    DESCRIPTORS_KEPT = 128,
};

/* The engine's outputs for links, and its end */

void osr_instance_send(void *context, uint32_t peer, const Osr__Frame *frame)
{
    struct osr_instance *instance = context;
    struct osr_session *session = osr_sessions_find_link(instance->sessions, peer);
    if (session != NULL) {
        osr_session_send(session, frame);
    }
}

static void on_identified(void *context, uint32_t peer, const char *id, const char *name)
{
    struct osr_instance *instance = context;
    struct osr_session *session = osr_sessions_find_link(instance->sessions, peer);
    if (session == NULL) {
        return;
    }
    struct osr_err err;
    bool is_dialled = osr_session_user(session) != NULL;
    int code = osr_session_identify(session, id, name, &err);
    if (code == 0 && is_dialled) {
        code = osr_peers_identified(instance->peers, session, id, &err);
    }
    if (code != 0) {
        if (is_dialled) {
            osr_peers_note_error(instance->peers, session, &err);
        }
        osr_session_refuse(session, 0, &err);
        return;
    }
    osr_trace(instance->link_trace, OSR_LEVEL_INFO, "%s: is %s (%s)", osr_session_url(session),
              name, id);
    osr_renewal_link_up(instance->renewal);
    osr_ledger_links_up(osr_ledger_links(instance->ledger), session);
}

static enum osr_level level_of_close(enum osr_code code)
{
    if (code == OSR_CANCELLED) {
        return OSR_LEVEL_INFO; /* another link to the same instance stays */
    }
    return osr_code_info(code)->class == OSR_CLASS_FATAL ? OSR_LEVEL_ERROR : OSR_LEVEL_WARNING;
}

static void on_engine_close(void *context, uint32_t peer, const struct osr_err *err)
{
    struct osr_instance *instance = context;
    struct osr_session *session = osr_sessions_find_link(instance->sessions, peer);
    if (session == NULL) {
        return;
    }
    osr_trace(instance->link_trace, level_of_close(err->code), "%s: closed: %s (%s)%s%s",
              osr_session_url(session), err->message, osr_code_info(err->code)->name,
              err->hint[0] != '\0' ? "; " : "", err->hint);
    if (osr_session_user(session) != NULL) {
        osr_peers_note_error(instance->peers, session, err);
    }
    osr_session_close(session);
}

static void on_failure(void *context, const struct osr_err *err)
{
    struct osr_instance *instance = context;
    if (instance->failure.code == OSR_OK) {
        instance->failure = *err;
    }
    osr_instance_stop(instance);
}

/* The sessions' events */

static void on_link(void *context, struct osr_session *session)
{
    struct osr_feed_event event = {.type = OSR_FEED_PEER_UP,
                                   .peer_up = {.peer = osr_session_number(session),
                                               .dialled = osr_session_user(session) != NULL,
                                               .purpose = osr_session_purpose(session),
                                               .binding = osr_session_binding(session)}};
    osr_secret_random(event.peer_up.nonce, sizeof(event.peer_up.nonce));
    osr_engine_post(((struct osr_instance *)context)->engine, &event);
}

/* What comes too late is let go. */
static bool is_for_renewal(const struct osr_instance *instance, const struct osr_session *session,
                           const Osr__Frame *frame)
{
    bool is_reply = frame->body_case == OSR__FRAME__BODY_RENEW_REPLY;
    bool may_be = is_reply || frame->body_case == OSR__FRAME__BODY_ERROR;
    return (may_be &&
            osr_renewal_take_answer(instance->renewal, osr_session_number(session), frame)) ||
           is_reply;
}

static bool is_for_ledger(const Osr__Frame *frame)
{
    return frame->body_case >= OSR__FRAME__BODY_MEMBER &&
           frame->body_case <= OSR__FRAME__BODY_LEDGER_ANSWER;
}

static void on_link_frame(void *context, struct osr_session *session, const Osr__Frame *frame)
{
    struct osr_instance *instance = context;
    if (is_for_renewal(instance, session, frame)) {
        return;
    }
    if (is_for_ledger(frame)) {
        osr_ledger_links_frame(osr_ledger_links(instance->ledger), session, frame);
        return;
    }
    if (frame->body_case == OSR__FRAME__BODY_ERROR && osr_session_user(session) != NULL) {
        struct osr_err err;
        osr_error_read(frame->error, &err);
        osr_peers_note_error(instance->peers, session, &err);
    }
    struct osr_feed_event event = {.type = OSR_FEED_FRAME,
                                   .frame = {osr_session_number(session), frame}};
    osr_engine_post(instance->engine, &event);
}

static void on_request(void *context, struct osr_session *session, struct osr_identity *identity,
                       Osr__Frame *frame, size_t size)
{
    struct osr_instance *instance = context;
    osr_operations_request(instance->operations, session, identity, frame, size);
}

static void on_arrival_written(void *context, const struct osr_write_result *result)
{
    struct osr_instance *instance = context;
    if (result->code != OSR_OK) {
        osr_trace(instance->link_trace, OSR_LEVEL_ERROR, "a seed program's entry is lost: %s",
                  osr_code_info(result->code)->text);
    }
}

static void on_append(void *context, struct osr_session *session, const Osr__UpdateKb *update)
{
    struct osr_instance *instance = context;
    if (update->data == NULL) {
        struct osr_err err;
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "data is missing");
        osr_session_refuse(session, 0, &err);
        return;
    }
    osr_knowledge_write_arrival(osr_engine_knowledge(instance->engine),
                                osr_slice(update->data->text.data, update->data->text.len),
                                on_arrival_written, instance);
}

static void on_end(void *context, struct osr_session *session)
{
    (void)context;
    osr_calls_end(session);
}

static void on_drain(void *context, struct osr_session *session)
{
    (void)context;
    osr_calls_resume(session);
}

static void on_room(void *context, struct osr_session *session, uint64_t request_id)
{
    (void)context;
    osr_calls_resume_one(session, request_id);
}

static bool on_cancelled(void *context, struct osr_session *session, uint64_t request_id)
{
    (void)context;
    return osr_calls_cancel(session, request_id);
}

static void on_closed(void *context, struct osr_session *session, const struct osr_err *err)
{
    struct osr_instance *instance = context;
    osr_calls_abandon(session);
    osr_renewal_link_down(instance->renewal, osr_session_number(session));
    osr_ledger_links_down(osr_ledger_links(instance->ledger), session);
    if (osr_sessions_find_link(instance->sessions, osr_session_number(session)) != NULL) {
        struct osr_feed_event event = {.type = OSR_FEED_PEER_DOWN,
                                       .peer_down = {osr_session_number(session)}};
        osr_engine_post(instance->engine, &event);
    }
    if (osr_session_user(session) != NULL) {
        osr_peers_closed(instance->peers, session, err);
    }
}

static void on_resend(void *context, uint32_t peer, uint64_t from_sequence)
{
    struct osr_feed_event event = {.type = OSR_FEED_RESEND, .resend = {peer, from_sequence}};
    osr_engine_post(((struct osr_instance *)context)->engine, &event);
}

/* Turns of the loop */

static void end_turn(struct osr_instance *instance)
{
    bool hold_clients =
        osr_engine_refuses_writes(instance->engine) || osr_ledger_is_busy(instance->ledger);
    osr_sessions_resume(instance->sessions, hold_clients,
                        osr_engine_refuses_updates(instance->engine));
    osr_ledger_end_turn(instance->ledger);
    osr_agreed_end_turn(instance->agreed);
    osr_engine_end_turn(instance->engine);
    osr_sessions_flush(instance->sessions);
}

static void on_before_wait(uv_prepare_t *prepare)
{
    end_turn(prepare->data);
}

static void on_after_wait(uv_check_t *check)
{
    end_turn(check->data);
}

/* Opening, in the order of the struct's fields */

static int open_engine(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_engine_handler handler = {
        .on_send = osr_instance_send,
        .on_identified = on_identified,
        .on_close = on_engine_close,
        .on_failure = on_failure,
        .context = instance,
    };
    return osr_engine_open(instance->loop, instance->config, &handler, instance->trace,
                           instance->link_trace, &instance->engine, err);
}

static uint32_t connections_allowed(const struct osr_instance *instance)
{
    uint32_t wanted = instance->config->connections_max;
    uint32_t given = osr_descriptors_raise(wanted + DESCRIPTORS_KEPT);
    if (given >= wanted + DESCRIPTORS_KEPT) {
        return wanted;
    }
    uint32_t allowed = given > 2 * DESCRIPTORS_KEPT ? given - DESCRIPTORS_KEPT : DESCRIPTORS_KEPT;
    osr_trace(instance->trace, OSR_LEVEL_WARNING,
              "only %u connections at a time: the system gives %u descriptors (ulimit -n)", allowed,
              given);
    return allowed;
}

static int start_neighbours(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_neighbours_options options = {
        .loop = instance->loop,
        .config = instance->config,
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .knowledge = osr_engine_knowledge(instance->engine),
        .journal = osr_engine_journal(instance->engine),
        .trace = instance->trace,
    };
    return osr_neighbours_open(&options, &instance->neighbours, err);
}

static struct osr_tls_context *security_of_peer(void *context, const struct osr_url *url)
{
    const struct osr_instance *instance = context;
    return osr_security_dialler(instance->security, url);
}

static int open_ledger(struct osr_instance *instance, struct osr_err *err)
{
    instance->machines[0] = osr_kv_machine;
    instance->machines[1] = osr_agreed_machine(instance->agreed);
    const struct osr_ledger_options options = {
        .loop = instance->loop,
        .config = instance->config,
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .journal = osr_engine_journal(instance->engine),
        .machines = instance->machines,
        .machine_count = 2,
        .links = {.loop = instance->loop,
                  .config = instance->config,
                  .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
                  .sessions = instance->sessions,
                  .peers = instance->peers,
                  .access = instance->access,
                  .journal = osr_engine_journal(instance->engine),
                  .listeners = instance->listeners,
                  .listener_count = &instance->listener_count,
                  .trace = instance->link_trace},
        .trace = instance->trace,
        .on_failure = on_failure,
        .context = instance,
    };
    int code = osr_ledger_open(&options, &instance->ledger, err);
    if (code == 0) {
        osr_agreed_start(instance->agreed, osr_ledger_agreement(instance->ledger));
    }
    return code;
}

static int create_control(struct osr_instance *instance, struct osr_err *err)
{
    const struct osr_session_handler handler = {
        .on_link = on_link,
        .on_link_frame = on_link_frame,
        .on_request = on_request,
        .on_append = on_append,
        .on_end = on_end,
        .on_drain = on_drain,
        .on_room = on_room,
        .on_cancelled = on_cancelled,
        .on_closed = on_closed,
        .context = instance,
    };
    osr_instance_create_access(instance);
    int code = osr_sessions_create(instance->loop, &handler, instance->access,
                                   connections_allowed(instance), instance->link_trace,
                                   &instance->sessions, err);
    if (code != 0) {
        return code;
    }
    osr_engine_set_trust(instance->engine, instance->trust);
    osr_sessions_tell_sums(instance->sessions, instance->trace);
    osr_knowledge_limit_replies(osr_engine_knowledge(instance->engine),
                                osr_sessions_replies(instance->sessions));
    const struct osr_peers_options peers = {
        .loop = instance->loop,
        .sessions = instance->sessions,
        .journal = osr_engine_journal(instance->engine),
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .security_of = security_of_peer,
        .context = instance,
        .trace = instance->link_trace,
    };
    instance->peers = osr_peers_create(&peers);
    code = open_ledger(instance, err);
    if (code == 0) {
        code = start_neighbours(instance, err);
    }
    if (code != 0) {
        return code;
    }
    osr_instance_start_renewal(instance);
    instance->services = (struct osr_services){
        .loop = instance->loop,
        .config = instance->config,
        .instance = osr_feed_instance(osr_engine_feed(instance->engine)),
        .knowledge = osr_engine_knowledge(instance->engine),
        .journal = osr_engine_journal(instance->engine),
        .feed = osr_engine_feed(instance->engine),
        .access = instance->access,
        .credentials = instance->credentials,
        .trust = instance->trust,
        .audit = instance->audit,
        .security = instance->security,
        .renewal = instance->renewal,
        .sessions = instance->sessions,
        .peers = instance->peers,
        .neighbours = instance->neighbours,
        .ledger = instance->ledger,
        .agreement = osr_ledger_agreement(instance->ledger),
        .agreed = instance->agreed,
        .listeners = instance->listeners,
        .start_ms = uv_now(instance->loop),
        .storage = osr_engine_storage(instance->engine),
        .resend = on_resend,
        .on_revoked = osr_instance_review,
        .context = instance,
    };
    return osr_operations_create(&instance->services, &instance->operations, err);
}

static void start_turns(struct osr_instance *instance)
{
    /* These cannot fail: they only fill in their handles. */
    uv_prepare_init(instance->loop, &instance->before_wait);
    uv_check_init(instance->loop, &instance->after_wait);
    instance->before_wait.data = instance->after_wait.data = instance;
    uv_prepare_start(&instance->before_wait, on_before_wait);
    uv_check_start(&instance->after_wait, on_after_wait);
}

int osr_instance_open(uv_loop_t *loop, struct osr_config *config, const struct osr_trace *trace,
                      struct osr_instance **ret_instance, struct osr_err *err)
{
    struct osr_instance *instance = osr_alloc(sizeof(*instance));
    instance->loop = loop;
    instance->config = config;
    instance->trace = trace;
    instance->log_limit = osr_log_limit_create(loop, trace);
    instance->link_trace = osr_log_limit_trace(instance->log_limit);
    int code = open_engine(instance, err);
    if (code == 0) {
        code = osr_instance_open_trust(instance, err);
    }
    if (code == 0) {
        code = create_control(instance, err);
    }
    if (code == 0) {
        start_turns(instance);
        instance->has_turns = true;
        code = osr_instance_open_doors(instance, err);
    }
    if (code != 0) {
        osr_instance_close(instance);
        return code;
    }
    osr_ledger_start(instance->ledger);
    osr_trace(trace, OSR_LEVEL_INFO, "%s (%s) is up, data in %s", config->name,
              instance->services.instance, config->data);
    *ret_instance = instance;
    return 0;
}

struct osr_ledger *osr_instance_ledger(struct osr_instance *instance)
{
    return instance->ledger;
}

/* Running and closing */

int osr_instance_run(struct osr_instance *instance, struct osr_err *err)
{
    while (!instance->is_stopped) {
        uv_run(instance->loop, UV_RUN_DEFAULT);
    }
    if (instance->failure.code == OSR_OK) {
        return 0;
    }
    *err = instance->failure;
    return (int)err->code;
}

void osr_instance_stop(struct osr_instance *instance)
{
    instance->is_stopped = true;
    uv_stop(instance->loop);
}

/* Links and clients go before what they stand on: their last words still reach the core. */
static void close_doors(struct osr_instance *instance)
{
    for (size_t i = 0; i < instance->listener_count; i++) {
        osr_listener_close(instance->listeners[i]);
    }
    instance->services.listener_count = instance->listener_count = 0;
    if (instance->peers != NULL) {
        osr_peers_stop(instance->peers);
    }
    if (instance->sessions == NULL) {
        return;
    }
    osr_sessions_shut(instance->sessions);
    while (osr_sessions_count(instance->sessions) > 0) {
        uv_run(instance->loop, UV_RUN_ONCE);
    }
}

static void stop_turns(struct osr_instance *instance)
{
    if (!instance->has_turns) {
        return;
    }
    uv_close((uv_handle_t *)&instance->before_wait, NULL);
    uv_close((uv_handle_t *)&instance->after_wait, NULL);
}

void osr_instance_close(struct osr_instance *instance)
{
    if (instance == NULL) {
        return;
    }
    uv_loop_t *loop = instance->loop;
    close_doors(instance);
    osr_security_close(instance->security); /* what it is asked for is answered by operations */
    osr_renewal_close(instance->renewal);
    osr_ledger_close(instance->ledger);
    osr_operations_destroy(instance->operations);
    osr_neighbours_close(instance->neighbours);
    stop_turns(instance);
    osr_trust_feed_close(instance->trust);
    osr_engine_close(instance->engine);
    osr_peers_destroy(instance->peers);
    osr_sessions_destroy(instance->sessions);
    osr_audit_destroy(instance->audit);
    osr_log_limit_destroy(instance->log_limit);
    uv_run(loop, UV_RUN_DEFAULT);
    osr_ledger_free(instance->ledger);
    osr_agreed_destroy(instance->agreed);
    osr_engine_free(instance->engine);
    osr_access_destroy(instance->access);
    osr_credentials_destroy(instance->credentials);
    osr_trust_feed_free(instance->trust);
    osr_client_keys_free(instance->client_keys);
    free(instance);
}
