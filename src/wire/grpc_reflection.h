/* grpc_reflection.h -- gRPC's server reflection: tells generic clients which services there are,
 * and gives them the descriptors by which to call them. Serves grpc.reflection.v1 and v1alpha,
 * which are the same on the wire.
 *
 * Bytes in, bytes out: one request, one response, whatever was asked before. What is asked for
 * and is not there is a response too, as the protocol has it. */
#ifndef OSR_WIRE_GRPC_REFLECTION_H
#define OSR_WIRE_GRPC_REFLECTION_H

#include "base/bytes.h"
#include "base/error.h"

/* What a request may unfold into: a host and a name. Stops long ones, which would be sent back. */
enum { OSR_GRPC_REFLECTION_REQUEST_BYTES_MAX = 8 << 10 };

struct osr_grpc_reflection;

/* Of osr_descriptor_set(). Takes some 80 kB for the set and its index, so make it when it is first
 * asked for. */
struct osr_grpc_reflection *osr_grpc_reflection_create(struct osr_slice descriptor_set);
void osr_grpc_reflection_destroy(struct osr_grpc_reflection *reflection); /* NULL is a no-op */

/* Appends the ServerReflectionResponse to a ServerReflectionRequest. Fails where the request
 * cannot be read: the call ends with that. */
int osr_grpc_reflection_answer(struct osr_grpc_reflection *reflection, struct osr_slice request,
                               struct osr_buffer *response, struct osr_err *err);

#endif
