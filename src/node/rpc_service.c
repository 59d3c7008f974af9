/* gRPC's own services: health (grpc.health.v1) and server reflection (v1, v1alpha). */
#include <stdlib.h>

#include "node/rpc.h"
#include "wire/descriptor_set.h"
#include "wire/grpc_health.h"
#include "wire/grpc_reflection.h"

/* What all sessions share; made when it is first asked for. */

static struct osr_grpc_health *health_of(struct osr_sessions *sessions)
{
    static const char *const services[] = {"osiris.v1.Knowledge",   "osiris.v1.Instance",
                                           "osiris.v1.Replication", "osiris.v1.Consensus",
                                           "osiris.v1.Values",      "osiris.v1.Cluster"};
    if (sessions->health == NULL) {
        sessions->health = osr_grpc_health_create(services, sizeof(services) / sizeof(services[0]));
        osr_grpc_health_set_all(sessions->health, !sessions->is_shut);
    }
    return sessions->health;
}

static struct osr_grpc_reflection *reflection_of(struct osr_sessions *sessions)
{
    if (sessions->reflection == NULL) {
        sessions->reflection = osr_grpc_reflection_create(osr_descriptor_set());
    }
    return sessions->reflection;
}

static void send_bytes(struct osr_rpc *rpc, const struct osr_buffer *bytes)
{
    struct osr_buffer *message = osr_rpc_message_begin(rpc);
    osr_buffer_add(message, bytes->data, bytes->size);
    osr_rpc_message_end(rpc);
}

static void on_end(struct osr_rpc *rpc, const struct osr_grpc_end *end)
{
    (void)end;
    free(rpc);
}

/* ---- health: Check ---- */

static void on_check(struct osr_rpc *rpc, struct osr_slice bytes)
{
    struct osr_buffer response = {0};
    struct osr_err err;
    if (osr_grpc_health_check(health_of(rpc->session->sessions), bytes, &response, &err) == 0) {
        send_bytes(rpc, &response);
        osr_rpc_finish(rpc, NULL);
    } else {
        osr_rpc_finish(rpc, &err);
    }
    osr_buffer_done(&response);
}

/* ---- health: Watch ---- */

struct watch_rpc {
    struct osr_rpc rpc; /* first */
    struct osr_grpc_health_watch *watch;
};

static void tell_news(struct watch_rpc *watching)
{
    struct osr_rpc *rpc = &watching->rpc;
    struct osr_buffer response = {0};
    if (watching->watch != NULL && rpc->call != NULL && !osr_grpc_is_full(rpc->call) &&
        osr_grpc_health_watch_take(watching->watch, &response)) {
        send_bytes(rpc, &response);
    }
    osr_buffer_done(&response);
}

static void on_news(void *context, struct osr_grpc_health_watch *watch)
{
    (void)watch;
    tell_news(context);
}

static void on_watch(struct osr_rpc *rpc, struct osr_slice bytes)
{
    struct watch_rpc *watching = (struct watch_rpc *)rpc;
    struct osr_err err;
    if (watching->watch != NULL) {
        osr_rpc_refuse(rpc, OSR_GRPC_INTERNAL, "one request was expected, and there are more");
    } else if (osr_grpc_health_watch_create(health_of(rpc->session->sessions), bytes, on_news,
                                            watching, &watching->watch, &err) != 0) {
        osr_rpc_finish(rpc, &err);
    } else {
        tell_news(watching);
    }
}

static void on_watch_half_close(struct osr_rpc *rpc)
{
    if (((struct watch_rpc *)rpc)->watch == NULL) {
        osr_rpc_refuse(rpc, OSR_GRPC_INTERNAL, "a request was expected, and there is none");
    }
}

static void on_watch_room(struct osr_rpc *rpc)
{
    tell_news((struct watch_rpc *)rpc);
}

static void on_watch_end(struct osr_rpc *rpc, const struct osr_grpc_end *end)
{
    osr_grpc_health_watch_destroy(((struct watch_rpc *)rpc)->watch);
    on_end(rpc, end);
}

/* ---- reflection ---- */

/* An answer may be many times its request: the next one waits until there is room. */
static void on_reflection(struct osr_rpc *rpc, struct osr_slice bytes)
{
    struct osr_buffer response = {0};
    struct osr_err err;
    if (osr_grpc_reflection_answer(reflection_of(rpc->session->sessions), bytes, &response, &err) ==
        0) {
        send_bytes(rpc, &response);
        osr_grpc_hold(rpc->call, osr_grpc_is_full(rpc->call));
    } else {
        osr_rpc_finish(rpc, &err);
    }
    osr_buffer_done(&response);
}

static void on_reflection_room(struct osr_rpc *rpc)
{
    osr_grpc_hold(rpc->call, false);
}

/* ---- which is which ---- */

static const struct osr_rpc_kind check_kind = {.on_message = on_check, .on_end = on_end};
static const struct osr_rpc_kind watch_kind = {.on_message = on_watch,
                                               .on_half_close = on_watch_half_close,
                                               .on_room = on_watch_room,
                                               .on_end = on_watch_end};
static const struct osr_rpc_kind reflection_kind = {
    .on_message = on_reflection, .on_room = on_reflection_room, .on_end = on_end};

static const struct {
    const char *path;
    const struct osr_rpc_kind *kind;
    size_t size;
} services[] = {
    {"/grpc.health.v1.Health/Check", &check_kind, sizeof(struct osr_rpc)},
    {"/grpc.health.v1.Health/Watch", &watch_kind, sizeof(struct watch_rpc)},
    {"/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", &reflection_kind,
     sizeof(struct osr_rpc)},
    {"/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", &reflection_kind,
     sizeof(struct osr_rpc)},
};

bool osr_rpc_service_take(struct osr_session *session, struct osr_grpc_call *call,
                          struct osr_slice path)
{
    for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
        if (osr_slice_equal(path, osr_slice_text(services[i].path))) {
            osr_rpc_init(osr_alloc(services[i].size), services[i].kind, session, call);
            return true;
        }
    }
    return false;
}

void osr_rpc_services_shut(struct osr_sessions *sessions)
{
    sessions->is_shut = true;
    if (sessions->health != NULL) {
        osr_grpc_health_set_all(sessions->health, false);
    }
}

void osr_rpc_services_done(struct osr_sessions *sessions)
{
    osr_grpc_health_destroy(sessions->health);
    osr_grpc_reflection_destroy(sessions->reflection);
}
