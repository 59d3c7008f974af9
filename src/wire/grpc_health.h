/* grpc_health.h -- gRPC's health checking (grpc.health.v1): whether each service, and the server as
 * a whole, serves.
 *
 * Bytes in, bytes out. A watch is pulled: who has the call is told that there is news, takes it
 * when the call has room, and so gets the newest state alone, however many it has missed. */
#ifndef OSR_WIRE_GRPC_HEALTH_H
#define OSR_WIRE_GRPC_HEALTH_H

#include "base/bytes.h"
#include "base/error.h"

enum {
    /* What a request may unfold into: the name of a service. */
    OSR_GRPC_HEALTH_REQUEST_BYTES_MAX = 1 << 10,
    /* Stops calls that only wait from piling up; the next one gets BUSY. */
    OSR_GRPC_HEALTH_WATCHES_MAX = 1024,
};

struct osr_grpc_health;
struct osr_grpc_health_watch; /* one Watch call */

/* services: full names, "osiris.v1.Knowledge"; they outlive it. The empty name, for the server,
 * is always there. Nothing serves yet. */
struct osr_grpc_health *osr_grpc_health_create(const char *const *services, size_t count);
/* NULL is a no-op. All watches have been destroyed. */
void osr_grpc_health_destroy(struct osr_grpc_health *health);

/* service: "" or one that was given at create. */
void osr_grpc_health_set(struct osr_grpc_health *health, const char *service, bool is_serving);
void osr_grpc_health_set_all(struct osr_grpc_health *health, bool is_serving);

/* Appends the HealthCheckResponse to a HealthCheckRequest. NOT_FOUND: no such service. */
int osr_grpc_health_check(struct osr_grpc_health *health, struct osr_slice request,
                          struct osr_buffer *response, struct osr_err *err);

/* From within the setting of a state. May take, but neither make nor destroy a watch. */
typedef void osr_grpc_health_on_news(void *context, struct osr_grpc_health_watch *watch);

/* There is something to take at once: the state, which of an unknown service is SERVICE_UNKNOWN
 * for ever. */
int osr_grpc_health_watch_create(struct osr_grpc_health *health, struct osr_slice request,
                                 osr_grpc_health_on_news *on_news, void *context,
                                 struct osr_grpc_health_watch **ret_watch, struct osr_err *err);
/* Appends a HealthCheckResponse and returns true, if the state is not the one taken last. */
bool osr_grpc_health_watch_take(struct osr_grpc_health_watch *watch, struct osr_buffer *response);
void osr_grpc_health_watch_destroy(struct osr_grpc_health_watch *watch); /* NULL is a no-op */

#endif
