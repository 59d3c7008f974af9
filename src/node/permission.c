#include "node/permission.h"

/* The documents of a request that writes some. */
struct documents {
    Osr__Document *const *items;
    size_t count;
};

static struct documents documents_of(const Osr__Frame *frame)
{
    switch (frame->body_case) {
    case OSR__FRAME__BODY_KB_PUT:
        return (struct documents){&frame->kb_put->document, 1};
    case OSR__FRAME__BODY_KB_UPDATE:
        return (struct documents){&frame->kb_update->document, 1};
    case OSR__FRAME__BODY_KB_IMPORT:
        return (struct documents){frame->kb_import->documents, frame->kb_import->n_documents};
    default:
        return (struct documents){NULL, 0};
    }
}

/* The collection that a request names; empty: none in particular. */
static const char *collection_of(const Osr__Frame *frame)
{
    switch (frame->body_case) {
    case OSR__FRAME__BODY_KB_LIST:
        return frame->kb_list->collection;
    case OSR__FRAME__BODY_KB_WATCH:
        return frame->kb_watch->collection;
    default:
        return "";
    }
}

/* The key that a request names; empty where its handler refuses it. */
static struct osr_slice key_of(const Osr__Frame *frame)
{
    const ProtobufCBinaryData *key;
    switch (frame->body_case) {
    case OSR__FRAME__BODY_KV_GET:
        key = &frame->kv_get->key;
        break;
    case OSR__FRAME__BODY_KV_PUT:
        key = &frame->kv_put->key;
        break;
    case OSR__FRAME__BODY_KV_DEL:
        key = &frame->kv_del->key;
        break;
    default:
        return (struct osr_slice){0};
    }
    return osr_slice(key->data, key->len);
}

/* One document's collection; documents often come in runs of one collection. What lacks its
 * document is refused by its handler. */
static int check_documents(struct osr_access *access, struct osr_identity *identity,
                           enum osr_action action, const Osr__Frame *frame, struct osr_err *err)
{
    struct documents documents = documents_of(frame);
    const char *checked = NULL;
    if (frame->body_case == OSR__FRAME__BODY_UPDATE_KB) { /* is a document itself */
        return osr_access_check(access, identity, action,
                                osr_part(OSR_PART_COLLECTION, frame->update_kb->collection),
                                osr_frame_type(frame), err);
    }
    for (size_t i = 0; i < documents.count; i++) {
        const Osr__Document *document = documents.items[i];
        if (document == NULL || (checked != NULL && strcmp(checked, document->collection) == 0)) {
            continue;
        }
        checked = document->collection;
        int code =
            osr_access_check(access, identity, action, osr_part(OSR_PART_COLLECTION, checked),
                             osr_frame_type(frame), err);
        if (code != 0) {
            return code;
        }
    }
    return checked != NULL ? 0
                           : osr_access_check_some(access, identity, action, OSR_PART_COLLECTION,
                                                   osr_frame_type(frame), err);
}

static int check_key(struct osr_access *access, struct osr_identity *identity,
                     enum osr_action action, const Osr__Frame *frame, struct osr_err *err)
{
    const struct osr_part part = {OSR_PART_KEY, key_of(frame)};
    return part.name.size > 0
               ? osr_access_check(access, identity, action, part, osr_frame_type(frame), err)
               : osr_access_check_some(access, identity, action, OSR_PART_KEY,
                                       osr_frame_type(frame), err);
}

/* One that was revoked since the connection came up shows nobody any more. */
static int check_certificate(struct osr_access *access, struct osr_identity *identity,
                             const char *what, struct osr_err *err)
{
    struct osr_grant *grant;
    if (!osr_identity_has_certificate(identity)) {
        osr_err_set(err, OSR_UNAUTHENTICATED, "%s is for who shows a certificate of this cluster",
                    what);
        osr_err_hint(err, "connect with the certificate that is to be renewed, or join anew");
    } else if (osr_identity_grant(identity, &grant, err) == 0) {
        return 0;
    }
    return osr_access_note_refusal(access, identity, OSR_ACTION_TRUST,
                                   osr_part(OSR_PART_INSTANCE, ""), what, err);
}

int osr_permission_check(struct osr_access *access, struct osr_identity *identity,
                         struct osr_permission permission, const Osr__Frame *frame,
                         struct osr_err *err)
{
    const char *what = osr_frame_type(frame);
    enum osr_action action = permission.action;
    struct osr_part part = {OSR_PART_INSTANCE, {0}};
    switch (permission.scope) {
    case OSR_SCOPE_NONE:
        return 0;
    case OSR_SCOPE_CERTIFICATE:
        return check_certificate(access, identity, what, err);
    case OSR_SCOPE_INSTANCE:
        return osr_access_check(access, identity, action, part, what, err);
    case OSR_SCOPE_DOCUMENTS:
        return check_documents(access, identity, action, frame, err);
    case OSR_SCOPE_COLLECTION:
        part = osr_part(OSR_PART_COLLECTION, collection_of(frame));
        if (part.name.size > 0) {
            return osr_access_check(access, identity, action, part, what, err);
        }
        break;
    case OSR_SCOPE_SOME_COLLECTION:
        break;
    case OSR_SCOPE_KEY:
        return check_key(access, identity, action, frame, err);
    case OSR_SCOPE_UNKNOWN:
        return (int)osr_err_set(err, OSR_PERMISSION_DENIED, "nobody may use %s", what);
    }
    return osr_access_check_some(access, identity, action, OSR_PART_COLLECTION, what, err);
}
