/* access.h -- who may do what: one check for every operation and every message received.
 *
 * A connection has one role at a time. It begins with what its listener and its credentials
 * show, and can only narrow: a first HELLO makes it a peer's, a bare UPDATE_KB a seed
 * program's. What a role is not given here, it may not do. */
#ifndef OSR_NODE_ACCESS_H
#define OSR_NODE_ACCESS_H

#include "base/error.h"

enum osr_role {
    OSR_ROLE_STRANGER, /* another user on the Unix socket */
    OSR_ROLE_ADMIN,    /* the daemon's user, or root, on the Unix socket */
    OSR_ROLE_LOCAL,    /* plaintext from this machine */
    OSR_ROLE_REMOTE,   /* plaintext from elsewhere (`insecure: true`) */
    OSR_ROLE_SEED,     /* a program that knows UPDATE_KB alone, on a listener with ?peer=seed */
    OSR_ROLE_PEER,     /* a link between instances; who it is, HELLO_PROOF shows to the core */
    OSR_ROLE_COUNT,
};

enum osr_permission {
    OSR_MAY_LINK,    /* greet, and exchange replication messages */
    OSR_MAY_APPEND,  /* hand in an UPDATE_KB that is not answered */
    OSR_MAY_READ,    /* the knowledge base */
    OSR_MAY_WRITE,   /* the knowledge base */
    OSR_MAY_OBSERVE, /* status, feeds */
    OSR_MAY_OPERATE, /* what costs the instance or a peer much work: rebuild, resend */
    OSR_MAY_COUNT,
};

/* 0, or PERMISSION_DENIED with what `what` (a message's type) would have needed. */
int osr_access_check(enum osr_role role, enum osr_permission permission, const char *what,
                     struct osr_err *err);
const char *osr_role_name(enum osr_role role); /* for people */

#endif
