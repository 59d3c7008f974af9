/* grpc_metadata.h -- custom metadata of a call: header fields whose names end in "-bin" carry any
 * bytes, as base64; the others printable ASCII. */
#ifndef OSR_WIRE_GRPC_METADATA_H
#define OSR_WIRE_GRPC_METADATA_H

#include "base/bytes.h"

/* Items that one side of a call may send: values split at commas could be far more than fields. */
enum { OSR_GRPC_METADATA_MAX = 1024 };

struct osr_grpc_metadata {
    struct osr_slice name;  /* lower case: 0-9 a-z _ - . */
    struct osr_slice value; /* of a "-bin" name the bytes themselves */
};

/* May be sent: the name is not gRPC's own ("grpc-...", ":...", content-type, te, user-agent) and
 * has allowed characters, the value too. */
bool osr_grpc_metadata_is_valid(const struct osr_grpc_metadata *metadata);
/* Custom metadata: neither a pseudo-header nor gRPC's nor HTTP's own. */
bool osr_grpc_metadata_is_custom(struct osr_slice name);

/* A growing list that owns what is in it. A zeroed one is empty and valid. */
struct osr_grpc_metadata_list {
    struct osr_grpc_metadata *items; /* point into `bytes` */
    size_t count;
    size_t capacity;
    struct osr_buffer bytes;
};

void osr_grpc_metadata_list_done(struct osr_grpc_metadata_list *list);
void osr_grpc_metadata_list_clear(struct osr_grpc_metadata_list *list); /* memory kept */
void osr_grpc_metadata_list_add(struct osr_grpc_metadata_list *list, struct osr_slice name,
                                struct osr_slice value);
/* A header field as it came: "-bin" values are decoded (padded or not; several, split at commas,
 * become several items). False, and nothing is added, where one is no base64 or there would be
 * more than OSR_GRPC_METADATA_MAX items. */
bool osr_grpc_metadata_list_add_field(struct osr_grpc_metadata_list *list, struct osr_slice name,
                                      struct osr_slice value);
/* The value as it goes into a header field: "-bin" ones in base64 without padding. */
void osr_grpc_metadata_write(struct osr_buffer *buffer, const struct osr_grpc_metadata *metadata);
/* NULL where there is none. */
const struct osr_grpc_metadata *osr_grpc_metadata_find(const struct osr_grpc_metadata *items,
                                                       size_t count, const char *name);

#endif
