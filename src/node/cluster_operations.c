/* cluster_status, cluster_change, cluster_transfer: the members of the ledger, and who leads them.
 *
 * Changes and transfers are asked for at any member, and wait until they are done. One whose caller
 * has gone may be done all the same. */
#include <stdio.h>

#include "model/limits.h"
#include "node/ledger.h"
#include "node/operation_handlers.h"

void osr_operation_cluster_status(struct osr_operations *operations, struct osr_call *call,
                                  const Osr__Frame *frame)
{
    struct osr_arena *arena = osr_arena_create(0, OSR_DECODE_BYTES_MAX);
    Osr__ClusterStatusResponse response = OSR__CLUSTER_STATUS_RESPONSE__INIT;
    (void)frame;
    osr_ledger_status(operations->services->ledger, arena, &response);
    osr_call_reply(call, &response.base);
    osr_arena_destroy(arena);
}

/* What came of a change or a transfer that was not simply done. */
static void fail(struct osr_call *call, const struct osr_agreed *agreed)
{
    struct osr_err err;
    if (agreed->code == OSR_TIMEOUT) {
        osr_err_set(&err, OSR_TIMEOUT, "nobody knows whether it was done, or will be: %s",
                    agreed->err != NULL ? agreed->err->message : "its time was over");
        osr_err_hint(&err, "`osiris cluster why` says how it stands");
    } else if (agreed->err != NULL) {
        err = *agreed->err;
    } else {
        osr_err_set(&err, agreed->code, "nothing was changed: %s",
                    osr_code_info(agreed->code)->text);
    }
    osr_call_fail(call, &err);
}

/* ---- members ---- */

static void on_changed(void *context, const struct osr_agreed *agreed)
{
    Osr__ClusterChangeResponse response = OSR__CLUSTER_CHANGE_RESPONSE__INIT;
    if (agreed->code != OSR_OK) {
        fail(context, agreed);
        return;
    }
    response.member = agreed->index;
    osr_call_reply(context, &response.base);
}

/* NULL: there is no such change. */
static const char *change_name(Osr__ClusterChangeType type)
{
    switch (type) {
    case OSR__CLUSTER_CHANGE_TYPE__ADD_MEMBER:
        return "add";
    case OSR__CLUSTER_CHANGE_TYPE__REMOVE_MEMBER:
        return "remove";
    case OSR__CLUSTER_CHANGE_TYPE__PROMOTE_MEMBER:
        return "promote";
    default:
        return NULL;
    }
}

static int check_change(const Osr__ClusterChangeRequest *request, struct osr_err *err)
{
    if (change_name(request->change) == NULL) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "change is ADD_MEMBER, REMOVE_MEMBER or PROMOTE_MEMBER");
    }
    if (request->member[0] == '\0') {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "member is missing: its number, its instance's id or its name");
    }
    if (request->learner && request->change != OSR__CLUSTER_CHANGE_TYPE__ADD_MEMBER) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "learner goes with ADD_MEMBER alone");
    }
    return 0;
}

/* Who is a member has a say in what all agree on. */
static int note_change(const struct osr_call *call, const Osr__ClusterChangeRequest *request,
                       struct osr_err *err)
{
    char part[OSR_AUDIT_TEXT_BYTES_MAX];
    snprintf(part, sizeof(part), "member:%s", request->member);
    return osr_operation_note(call, "CLUSTER_CHANGE", part, change_name(request->change), err);
}

void osr_operation_cluster_change(struct osr_operations *operations, struct osr_call *call,
                                  const Osr__Frame *frame)
{
    const Osr__ClusterChangeRequest *request = frame->cluster_change;
    uint32_t timeout_ms;
    struct osr_err err;
    if (check_change(request, &err) != 0 ||
        osr_operation_timeout(request->timeout_ms, &timeout_ms, &err) != 0 ||
        note_change(call, request, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    osr_call_await(call, NULL);
    osr_call_await_agreed(call, osr_ledger_change(operations->services->ledger, request, timeout_ms,
                                                  on_changed, call));
}

/* ---- the leader ---- */

static void on_transferred(void *context, const struct osr_agreed *agreed)
{
    Osr__ClusterTransferResponse response = OSR__CLUSTER_TRANSFER_RESPONSE__INIT;
    struct osr_call *call = context;
    char name[OSR_NAME_BYTES_MAX + 1];
    if (agreed->code != OSR_OK) {
        fail(call, agreed);
        return;
    }
    response.leader = agreed->index;
    if (osr_ledger_find_name(call->services->ledger, agreed->index, name)) {
        response.name = name;
    }
    osr_call_reply(call, &response.base);
}

void osr_operation_cluster_transfer(struct osr_operations *operations, struct osr_call *call,
                                    const Osr__Frame *frame)
{
    const Osr__ClusterTransferRequest *request = frame->cluster_transfer;
    uint32_t timeout_ms;
    struct osr_err err;
    if (osr_operation_timeout(request->timeout_ms, &timeout_ms, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    osr_call_await(call, NULL);
    osr_call_await_agreed(call, osr_ledger_transfer(operations->services->ledger, request->member,
                                                    timeout_ms, on_transferred, call));
}
