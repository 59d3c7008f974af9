/* grpc_guard.h -- defence against floods of frames that are each allowed: token buckets, each with
 * its burst and its rate (grpc.h), and what the GOAWAY says that ends a flood. */
#ifndef OSR_WIRE_GRPC_GUARD_H
#define OSR_WIRE_GRPC_GUARD_H

#include <stdbool.h>
#include <stdint.h>

enum osr_grpc_flood {
    OSR_GRPC_FLOOD_RESETS,
    OSR_GRPC_FLOOD_PINGS,
    OSR_GRPC_FLOOD_EMPTY_FRAMES,
    OSR_GRPC_FLOOD_COUNT,
};

struct osr_grpc_guard {
    uint64_t refilled_ms;
    uint64_t spent[OSR_GRPC_FLOOD_COUNT]; /* thousandths of a token: 0 is a full bucket */
};

/* Takes a token; false where the bucket is empty. */
bool osr_grpc_guard_take(struct osr_grpc_guard *guard, enum osr_grpc_flood flood, uint64_t now_ms);
/* Gives one back: what was taken has proved useful. */
void osr_grpc_guard_give(struct osr_grpc_guard *guard, enum osr_grpc_flood flood, unsigned tokens);
void osr_grpc_guard_refill(struct osr_grpc_guard *guard, enum osr_grpc_flood flood);
/* "too_many_pings": as gRPC's own servers call it, so that their clients understand. */
const char *osr_grpc_guard_words(enum osr_grpc_flood flood);

#endif
