/* permission.h -- what a request needs of who makes it: an action, and on which parts, which the
 * request itself says.
 *
 * What it does not say is asked where it is found out: in which collection a document with this id
 * is, and whose rows a list has (knowledge.h). */
#ifndef OSR_NODE_PERMISSION_H
#define OSR_NODE_PERMISSION_H

#include "node/access.h"
#include "wire/codec.h"

enum osr_scope {
    OSR_SCOPE_UNKNOWN,         /* of a row that was forgotten: nobody may */
    OSR_SCOPE_NONE,            /* anybody may: it is how one shows who one is */
    OSR_SCOPE_CERTIFICATE,     /* who a certificate shows may, for that is what it is about */
    OSR_SCOPE_INSTANCE,        /* the action on the instance */
    OSR_SCOPE_DOCUMENTS,       /* on the collection of every document in the request */
    OSR_SCOPE_COLLECTION,      /* on the collection that it names, else on some */
    OSR_SCOPE_SOME_COLLECTION, /* on some; which ones, is asked later */
    OSR_SCOPE_KEY,             /* on the key of the ledger that it names */
};

struct osr_permission {
    enum osr_scope scope;
    enum osr_action action;
};

/* Fails as osr_access_check. */
int osr_permission_check(struct osr_access *access, struct osr_identity *identity,
                         struct osr_permission permission, const Osr__Frame *frame,
                         struct osr_err *err);

#endif
