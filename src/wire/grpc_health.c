#include "wire/grpc_health.h"

#include <assert.h>
#include <stdlib.h>

#include "health.pb-c.h"
#include "wire/encoding.h"

typedef GrpcHealthV1__HealthCheckRequest request_message;
typedef GrpcHealthV1__HealthCheckResponse response_message;
typedef GrpcHealthV1__HealthCheckResponse__ServingStatus serving_status;

#define STATUS(NAME) GRPC_HEALTH_V1__HEALTH_CHECK_RESPONSE__SERVING_STATUS__##NAME

struct service {
    const char *name;
    serving_status status;
};

struct osr_grpc_health {
    struct service *services; /* the first one is the server */
    size_t service_count;
    struct osr_grpc_health_watch *watches;
    size_t watch_count;
    struct osr_arena *arena; /* of the request at hand */
};

struct osr_grpc_health_watch {
    struct osr_grpc_health *health;
    struct osr_grpc_health_watch *next;
    struct osr_grpc_health_watch *previous;
    const struct service *service; /* NULL: unknown */
    serving_status taken;          /* last; UNKNOWN, which no service ever is: none yet */
    osr_grpc_health_on_news *on_news;
    void *context;
};

/* ---- states ---- */

static struct service *find_service(struct osr_grpc_health *health, const char *name)
{
    for (size_t i = 0; i < health->service_count; i++) {
        if (strcmp(health->services[i].name, name) == 0) {
            return &health->services[i];
        }
    }
    return NULL;
}

static void tell_watches(struct osr_grpc_health *health, const struct service *service)
{
    for (struct osr_grpc_health_watch *watch = health->watches; watch != NULL;
         watch = watch->next) {
        if (watch->service == service) {
            watch->on_news(watch->context, watch);
        }
    }
}

static void set_status(struct osr_grpc_health *health, struct service *service, bool is_serving)
{
    serving_status status = is_serving ? STATUS(SERVING) : STATUS(NOT_SERVING);
    if (service->status != status) {
        service->status = status;
        tell_watches(health, service);
    }
}

void osr_grpc_health_set(struct osr_grpc_health *health, const char *service, bool is_serving)
{
    struct service *found = find_service(health, service);
    assert(found != NULL);
    set_status(health, found, is_serving);
}

void osr_grpc_health_set_all(struct osr_grpc_health *health, bool is_serving)
{
    for (size_t i = 0; i < health->service_count; i++) {
        set_status(health, &health->services[i], is_serving);
    }
}

/* ---- requests ---- */

/* *ret_service: NULL where there is no such service. */
static int read_request(struct osr_grpc_health *health, struct osr_slice request,
                        const struct service **ret_service, struct osr_err *err)
{
    ProtobufCMessage *message;
    osr_arena_reset(health->arena);
    int code = osr_protobuf_decode(&grpc_health_v1__health_check_request__descriptor, request,
                                   health->arena, &message, err);
    if (code == 0) {
        *ret_service = find_service(health, ((request_message *)message)->service);
    }
    return code;
}

static void write_response(serving_status status, struct osr_buffer *response)
{
    response_message message;
    grpc_health_v1__health_check_response__init(&message);
    message.status = status;
    osr_protobuf_encode(&message.base, response);
}

int osr_grpc_health_check(struct osr_grpc_health *health, struct osr_slice request,
                          struct osr_buffer *response, struct osr_err *err)
{
    const struct service *service = NULL;
    int code = read_request(health, request, &service, err);
    if (code != 0) {
        return code;
    }
    if (service == NULL) {
        return (int)osr_err_set(err, OSR_NOT_FOUND, "no service has this name");
    }
    write_response(service->status, response);
    return 0;
}

/* ---- watches ---- */

static void link_watch(struct osr_grpc_health *health, struct osr_grpc_health_watch *watch)
{
    watch->health = health;
    watch->next = health->watches;
    if (watch->next != NULL) {
        watch->next->previous = watch;
    }
    health->watches = watch;
    health->watch_count++;
}

int osr_grpc_health_watch_create(struct osr_grpc_health *health, struct osr_slice request,
                                 osr_grpc_health_on_news *on_news, void *context,
                                 struct osr_grpc_health_watch **ret_watch, struct osr_err *err)
{
    const struct service *service = NULL;
    int code = read_request(health, request, &service, err);
    if (code != 0) {
        return code;
    }
    if (health->watch_count == OSR_GRPC_HEALTH_WATCHES_MAX) {
        return (int)osr_err_set(err, OSR_BUSY, "%d watches are under way; there may be no more",
                                OSR_GRPC_HEALTH_WATCHES_MAX);
    }
    struct osr_grpc_health_watch *watch = osr_alloc(sizeof(*watch));
    watch->service = service;
    watch->on_news = on_news;
    watch->context = context;
    link_watch(health, watch);
    *ret_watch = watch;
    return 0;
}

bool osr_grpc_health_watch_take(struct osr_grpc_health_watch *watch, struct osr_buffer *response)
{
    serving_status status =
        watch->service != NULL ? watch->service->status : STATUS(SERVICE_UNKNOWN);
    if (status == watch->taken) {
        return false;
    }
    watch->taken = status;
    write_response(status, response);
    return true;
}

void osr_grpc_health_watch_destroy(struct osr_grpc_health_watch *watch)
{
    if (watch == NULL) {
        return;
    }
    if (watch->previous != NULL) {
        watch->previous->next = watch->next;
    } else {
        watch->health->watches = watch->next;
    }
    if (watch->next != NULL) {
        watch->next->previous = watch->previous;
    }
    watch->health->watch_count--;
    free(watch);
}

/* ---- life ---- */

struct osr_grpc_health *osr_grpc_health_create(const char *const *services, size_t count)
{
    struct osr_grpc_health *health = osr_alloc(sizeof(*health));
    health->arena = osr_arena_create(0, OSR_GRPC_HEALTH_REQUEST_BYTES_MAX);
    health->service_count = count + 1;
    health->services = osr_alloc(health->service_count * sizeof(health->services[0]));
    for (size_t i = 0; i < health->service_count; i++) {
        health->services[i] =
            (struct service){.name = i == 0 ? "" : services[i - 1], .status = STATUS(NOT_SERVING)};
    }
    return health;
}

void osr_grpc_health_destroy(struct osr_grpc_health *health)
{
    if (health == NULL) {
        return;
    }
    assert(health->watches == NULL);
    osr_arena_destroy(health->arena);
    free(health->services);
    free(health);
}
