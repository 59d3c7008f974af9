/* osiris_internal.h -- what the parts of libosiris's public face share: osiris.c (clients, calls in
 * JSON) and osiris_document.c (documents as structs). For these alone. */
#ifndef OSR_CLIENT_OSIRIS_INTERNAL_H
#define OSR_CLIENT_OSIRIS_INTERNAL_H

#include <osiris/osiris.h>

#include "client/caller.h"

struct osiris_client {
    struct osr_caller *caller;
    struct osr_caller_limits limits;
    bool has_timeout; /* it was set: then it holds for watches as well */
    uint32_t acks;
    struct osr_arena *arena; /* in which the reply lives that is being told */
    struct osr_buffer text;  /* the same as JSON */
};

/* Refuses wrong use: no client, or a wait from within a callback. */
int osr_face_check(const struct osiris_client *client, struct osr_err *err);
/* NULL is let pass. Returns the code. */
int osr_face_error(const struct osr_err *err, struct osiris_error *error);
/* Told a reply, decoded; it lives until the return. Non-zero ends the call. */
typedef int osr_face_reply(void *context, const ProtobufCMessage *reply);
/* One call from its start to its end. grace_ms: time for it beyond the client's time-out. Returns
 * what on_reply returned, if that is not zero. */
int osr_face_call(struct osiris_client *client, const char *method, const ProtobufCMessage *request,
                  uint32_t grace_ms, osr_face_reply *on_reply, void *context,
                  struct osiris_error *error);

#endif
