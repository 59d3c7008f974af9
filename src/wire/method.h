/* method.h -- the operations of the contract as gRPC methods: which path stands for which frame.
 * Derived from the services in proto/osiris/v1; who may call them and what they do is said in
 * node/operations.c. */
#ifndef OSR_WIRE_METHOD_H
#define OSR_WIRE_METHOD_H

#include "base/bytes.h"
#include "model/message.h"

struct osr_method {
    const char *path; /* "/osiris.v1.Knowledge/Get" */
    Osr__Frame__BodyCase request;
    Osr__Frame__BodyCase reply;
    const ProtobufCMessageDescriptor *request_descriptor;
    const ProtobufCMessageDescriptor *reply_descriptor;
    bool client_streams; /* many requests, one reply that sums up */
    bool server_streams; /* one request, many replies */
};

/* NULL where there is none. */
const struct osr_method *osr_method_by_path(struct osr_slice path);
/* The first one that carries this request; UPDATE_KB has none. */
const struct osr_method *osr_method_by_request(Osr__Frame__BodyCase request);
/* The same by the request's name in the Frame: "kb_get". */
const struct osr_method *osr_method_by_name(const char *name);

#endif
