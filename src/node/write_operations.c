/* Operations that write to the knowledge base. */
#include <stdio.h>

#include "model/limits.h"
#include "node/operation_handlers.h"

/* How many followers must hold a write, and how long that may take. */
struct wait {
    uint32_t acks;
    uint32_t timeout_ms;
};

static int read_wait(uint32_t acks, uint32_t timeout_ms, struct wait *ret_wait, struct osr_err *err)
{
    ret_wait->acks = acks;
    if (acks <= OSR_ACKS_MAX) {
        return osr_operation_timeout(timeout_ms, &ret_wait->timeout_ms, err);
    }
    return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "acks is %u; at most %d can be waited for",
                            acks, OSR_ACKS_MAX);
}

/* A write that waits for followers may wait for an hour, and its bytes are not in memory then:
 * counted, a few such writes would hold up everybody's. Until it is durable they are held by the
 * core, which has its own limit (OSR_PENDING_BYTES_MAX). */
static void pass_on(struct osr_call *call, const struct wait *wait)
{
    if (wait->acks > 0) {
        osr_call_pass_on(call);
    }
}

static int check_document(const Osr__Document *document, Osr__Operation operation, bool needs_id,
                          struct osr_err *err)
{
    if (document == NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "document is missing");
    }
    return osr_document_check(document, operation, needs_id, err);
}

/* Says what became of a write that did not simply succeed; `extent`: how much of it may be there.
 */
static void describe_failure(const struct osr_write_result *result, const char *extent,
                             struct osr_err *err)
{
    switch (result->code) {
    case OSR_TIMEOUT:
        osr_err_set(err, OSR_TIMEOUT,
                    "written as %s (sequence %llu), but too few followers hold it yet", result->id,
                    (unsigned long long)result->sequence);
        osr_err_hint(err, "it will reach them all the same; see `osiris feeds`");
        break;
    case OSR_NOT_FOUND:
        osr_err_set(err, OSR_NOT_FOUND, "no document has this id");
        break;
    case OSR_PERMISSION_DENIED:
        osr_err_set(err, OSR_PERMISSION_DENIED,
                    "%s was written: a document with this id is in a collection that you may not "
                    "write",
                    extent);
        break;
    case OSR_DISK_FULL:
        osr_err_set(err, OSR_DISK_FULL, "%s was written: the disk is full", extent);
        osr_err_hint(err, "make room where the data folder is; no restart is needed");
        break;
    case OSR_BUSY:
        osr_err_set(err, OSR_BUSY, "%s was written: too many writes at once", extent);
        osr_err_hint(err, "try again");
        break;
    default:
        osr_err_set(err, result->code, "%s was written: %s", extent,
                    osr_code_info(result->code)->text);
    }
}

/* Which document it would have replaced is known only now; so is who may not. */
static void fail(struct osr_call *call, struct osr_err *err)
{
    if (err->code == OSR_PERMISSION_DENIED) {
        osr_access_note_refusal(call->services->access, &call->identity, OSR_ACTION_WRITE,
                                osr_part(OSR_PART_COLLECTION, "*"), "a document by its id", err);
    }
    osr_call_fail(call, err);
}

static void on_written(void *context, const struct osr_write_result *result)
{
    struct osr_call *call = context;
    if (result->code != OSR_OK) {
        struct osr_err err;
        describe_failure(result, "nothing", &err);
        fail(call, &err);
        return;
    }
    Osr__Version version = OSR__VERSION__INIT;
    version.time_ms = result->version.time.ms;
    version.time_logical = result->version.time.logical;
    version.origin = (char *)result->version.origin;
    Osr__PutResponse response = OSR__PUT_RESPONSE__INIT;
    response.id = (char *)result->id;
    response.version = &version;
    response.sequence = result->sequence;
    response.existed = result->existed > 0;
    osr_call_reply(call, &response.base);
}

/* Whoever reads here alone would write what nobody else ever gets. Where nothing is known of this
 * instance itself (no record, no line of its own in the config) others decide. */
static int check_lead(const struct osr_services *services, struct osr_err *err)
{
    const char *instance = services->instance;
    const char *stream = osr_feed_stream_name(OSR_STREAM_KB);
    const struct osr_credential *own =
        osr_credentials_find(services->credentials, OSR_CREDENTIAL_MEMBER, instance);
    char who[OSR_POLICY_NAME_BYTES_MAX + 1];
    snprintf(who, sizeof(who), "instance:%s", instance);
    bool is_told = (own != NULL && own->member.roles.count > 0) ||
                   osr_policy_names(osr_access_policy(services->access), who);
    if (!is_told || osr_access_is_revoked(services->access, who) ||
        osr_access_instance_may(services->access, instance, OSR_ACTION_LEAD, stream)) {
        return 0;
    }
    osr_err_set(err, OSR_PERMISSION_DENIED,
                "this instance may not lead the stream %s: what is written here would reach nobody",
                stream);
    osr_err_hint(err, "write at an instance that may, or give it the role peer");
    return OSR_PERMISSION_DENIED;
}

static void write_one(struct osr_operations *operations, struct osr_call *call,
                      enum osr_write_mode mode, Osr__Document *document, uint32_t acks,
                      uint32_t timeout_ms)
{
    struct osr_err err;
    Osr__Operation operation =
        mode == OSR_WRITE_DELETE ? OSR__OPERATION__DELETE : OSR__OPERATION__PUT;
    struct wait wait;
    if (check_document(document, operation, mode != OSR_WRITE_PUT, &err) != 0 ||
        read_wait(acks, timeout_ms, &wait, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    pass_on(call, &wait);
    osr_knowledge_write(operations->services->knowledge, &call->identity, mode, &document, 1,
                        wait.acks, wait.timeout_ms, on_written, call);
}

/* What people and programs write by the contract, unlike a seed program. */
static void write_as_asked(struct osr_operations *operations, struct osr_call *call,
                           enum osr_write_mode mode, Osr__Document *document, uint32_t acks,
                           uint32_t timeout_ms)
{
    struct osr_err err;
    if (check_lead(operations->services, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    write_one(operations, call, mode, document, acks, timeout_ms);
}

void osr_operation_kb_put(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    const Osr__PutRequest *request = frame->kb_put;
    write_as_asked(operations, call, OSR_WRITE_PUT, request->document, request->acks,
                   request->timeout_ms);
}

void osr_operation_kb_update(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    const Osr__UpdateRequest *request = frame->kb_update;
    write_as_asked(operations, call, OSR_WRITE_UPDATE, request->document, request->acks,
                   request->timeout_ms);
}

void osr_operation_kb_delete(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    const Osr__DeleteRequest *request = frame->kb_delete;
    Osr__Document document = OSR__DOCUMENT__INIT;
    document.id = request->id;
    write_as_asked(operations, call, OSR_WRITE_DELETE, &document, request->acks,
                   request->timeout_ms);
}

void osr_operation_update_kb(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    const Osr__UpdateKb *request = frame->update_kb;
    Osr__Document document = OSR__DOCUMENT__INIT;
    document.data = request->data;
    document.collection = request->collection;
    document.kind = request->kind;
    document.tags = request->tags;
    document.n_tags = request->n_tags;
    write_one(operations, call, OSR_WRITE_PUT, &document, 0, 0);
}

static void on_imported(void *context, const struct osr_write_result *result)
{
    struct osr_call *call = context;
    if (result->code != OSR_OK) {
        struct osr_err err;
        describe_failure(result, "not all of it", &err);
        fail(call, &err);
        return;
    }
    Osr__ImportResponse response = OSR__IMPORT_RESPONSE__INIT;
    response.imported = result->written;
    response.existed = result->existed;
    response.sequence = result->sequence;
    osr_call_reply(call, &response.base);
}

static int check_import(const Osr__ImportRequest *request, struct osr_err *err)
{
    if (request->n_documents == 0 || request->n_documents > OSR_IMPORT_DOCUMENTS_MAX) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "%zu documents; 1 to %d are taken",
                                request->n_documents, OSR_IMPORT_DOCUMENTS_MAX);
    }
    for (size_t i = 0; i < request->n_documents; i++) {
        if (check_document(request->documents[i], OSR__OPERATION__PUT, false, err) != 0) {
            return (int)osr_err_prefix(err, "documents[%zu]", i);
        }
    }
    return 0;
}

void osr_operation_kb_import(struct osr_operations *operations, struct osr_call *call,
                             const Osr__Frame *frame)
{
    const Osr__ImportRequest *request = frame->kb_import;
    struct osr_err err;
    struct wait wait;
    if (check_lead(operations->services, &err) != 0 || check_import(request, &err) != 0 ||
        read_wait(request->acks, request->timeout_ms, &wait, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    pass_on(call, &wait);
    osr_knowledge_write(operations->services->knowledge, &call->identity, OSR_WRITE_IMPORT,
                        request->documents, request->n_documents, wait.acks, wait.timeout_ms,
                        on_imported, call);
}
