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
    struct osr_buffer reply; /* the text that is being told */
};

/* Refuses wrong use: no client, or a wait from within a callback. */
int osr_face_check(const struct osiris_client *client, struct osr_err *err);
/* NULL is let pass. Returns the code. */
int osr_face_error(const struct osr_err *err, struct osiris_error *error);
/* One call whose request lives meanwhile; the limits are those that hold for it. Returns what
 * on_frame returned, if that is not zero. */
int osr_face_call(struct osiris_client *client, const Osr__Frame *request,
                  int (*on_frame)(void *context, const Osr__Frame *frame), void *context,
                  struct osiris_error *error);

#endif
