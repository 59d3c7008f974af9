/* kv_get, kv_put, kv_del: the replicated map (core/kv.h), as callers ask for it.
 *
 * Happy path of a read: the engine says that this member has all that was there when it was asked,
 * there is memory for the answer (node/reply_memory.h), the value is looked up and sent. Of a
 * write: it becomes a command, and is answered once this member has applied that.
 *
 * Where the caller goes nobody waits for the answer. What was proposed cannot be taken back. */
#include <inttypes.h>

#include "core/kv.h"
#include "model/limits.h"
#include "node/operation_handlers.h"

/* ---- reads ---- */

struct read {
    struct osr_call *call; /* owns it */
    size_t key_size;
    uint8_t key[];
};

static void reply_found(struct osr_call *call, const struct osr_kv_found *found)
{
    Osr__GetValueResponse response = OSR__GET_VALUE_RESPONSE__INIT;
    struct osr_session *session = call->session;
    response.value.data = (uint8_t *)found->value.data;
    response.value.len = found->value.size;
    response.version = found->version;
    response.index = found->index;
    osr_call_reply(call, &response.base);
    osr_session_count_unread(session); /* many reads may be answered in one turn of the loop */
}

/* What this member has by now may be newer than what was waited for, and is as good an answer; but
 * of values that cannot be read nobody may say that something is not among them. */
static void answer(struct osr_call *call)
{
    struct osr_agreement *agreement = call->services->agreement;
    const struct read *read = call->operation;
    struct osr_buffer buffer = {0};
    struct osr_kv_found found;
    struct osr_err err;
    if (osr_kv_get(agreement->values(agreement, OSR_MACHINE_KV),
                   osr_slice(read->key, read->key_size), &buffer, &found)) {
        reply_found(call, &found);
    } else {
        if (agreement->is_broken(agreement)) {
            osr_err_set(&err, OSR_UNAVAILABLE, "this instance has failed");
        } else {
            osr_err_set(&err, OSR_NOT_FOUND, "there is no such key");
        }
        osr_call_fail(call, &err);
    }
    osr_buffer_done(&buffer);
}

static void on_read(void *context, const struct osr_agreed *agreed)
{
    struct osr_call *call = ((struct read *)context)->call;
    call->agreed = 0;
    if (agreed->code == OSR_OK) {
        osr_call_await_room(call, OSR_KV_VALUE_BYTES_MAX, answer);
    } else {
        osr_call_fail(call, agreed->err);
    }
}

static int check_key(struct osr_slice key, struct osr_err *err)
{
    if (key.size == 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the key is empty");
    }
    if (key.size > OSR_VALUE_KEY_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "the key has %zu bytes; %d are allowed",
                                key.size, OSR_VALUE_KEY_BYTES_MAX);
    }
    return 0;
}

static struct read *begin_read(struct osr_call *call, struct osr_slice key)
{
    struct read *read = osr_alloc(sizeof(*read) + key.size);
    read->call = call;
    read->key_size = key.size;
    memcpy(read->key, key.data, key.size);
    call->operation = read;
    osr_call_await(call, NULL);
    return read;
}

void osr_operation_kv_get(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    struct osr_agreement *agreement = operations->services->agreement;
    const Osr__GetValueRequest *request = frame->kv_get;
    struct osr_slice key = osr_slice(request->key.data, request->key.len);
    uint32_t timeout_ms;
    struct osr_err err;
    if (check_key(key, &err) != 0 ||
        osr_operation_timeout(request->timeout_ms, &timeout_ms, &err) != 0) {
        osr_call_fail(call, &err);
        return;
    }
    osr_call_await_agreed(call, agreement->read(agreement, request->local, timeout_ms, on_read,
                                                begin_read(call, key)));
}

/* ---- writes ---- */

static void describe_conflict(const struct osr_agreed *agreed, struct osr_err *err)
{
    struct osr_kv_reply there;
    if (osr_kv_decode_reply(agreed->reply, &there) != 0 || there.version == 0) {
        osr_err_set(err, OSR_CONFLICT, "nothing was written: there is no such key");
    } else {
        osr_err_set(err, OSR_CONFLICT,
                    "nothing was written: the key was written last by index %" PRIu64, there.index);
    }
    osr_err_hint(err, "read the key, and decide anew");
}

static void fail_write(struct osr_call *call, const struct osr_agreed *agreed)
{
    struct osr_err err;
    if (agreed->code == OSR_CONFLICT) {
        describe_conflict(agreed, &err);
    } else if (agreed->code == OSR_TIMEOUT) {
        osr_err_set(&err, OSR_TIMEOUT, "nobody knows whether it was written, or will be: %s",
                    agreed->err != NULL ? agreed->err->message : "its time was over");
        osr_err_hint(&err, "read the key before you write it again");
    } else if (agreed->err != NULL) {
        err = *agreed->err;
    } else {
        osr_err_set(&err, agreed->code, "nothing was written: %s",
                    osr_code_info(agreed->code)->text);
    }
    osr_call_fail(call, &err);
}

/* What our own machine has answered is one of its replies. */
static struct osr_kv_reply reply_of(const struct osr_agreed *agreed)
{
    struct osr_kv_reply reply = {0};
    osr_kv_decode_reply(agreed->reply, &reply);
    return reply;
}

static void on_put(void *context, const struct osr_agreed *agreed)
{
    Osr__PutValueResponse response = OSR__PUT_VALUE_RESPONSE__INIT;
    if (agreed->code != OSR_OK) {
        fail_write(context, agreed);
        return;
    }
    response.index = agreed->index;
    response.version = reply_of(agreed).version;
    osr_call_reply(context, &response.base);
}

static void on_removed(void *context, const struct osr_agreed *agreed)
{
    Osr__RemoveValueResponse response = OSR__REMOVE_VALUE_RESPONSE__INIT;
    if (agreed->code != OSR_OK) {
        fail_write(context, agreed);
        return;
    }
    response.index = agreed->index;
    response.removed = reply_of(agreed).version > 0;
    osr_call_reply(context, &response.base);
}

/* They are not counted among what a session may ask at once, as writes of documents are not: the
 * engine has limits of its own. */
static void propose(struct osr_operations *operations, struct osr_call *call,
                    struct osr_kv_write *write, const Osr__ExpectedValue *expected,
                    uint32_t asked_ms, osr_agreed_done *done)
{
    struct osr_agreement *agreement = operations->services->agreement;
    struct osr_buffer command = {0};
    uint32_t timeout_ms;
    struct osr_err err;
    write->has_expected = expected != NULL;
    write->expected = expected != NULL ? expected->index : 0;
    if (osr_operation_timeout(asked_ms, &timeout_ms, &err) != 0 ||
        osr_kv_encode(write, &command, &err) != 0) {
        osr_call_fail(call, &err);
    } else {
        osr_call_await_agreed(call, agreement->propose(agreement, OSR_MACHINE_KV, OSR_KV_VERSION,
                                                       osr_buffer_slice(&command), timeout_ms, done,
                                                       call));
    }
    osr_buffer_done(&command);
}

void osr_operation_kv_put(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    const Osr__PutValueRequest *request = frame->kv_put;
    struct osr_kv_write write = {.key = osr_slice(request->key.data, request->key.len),
                                 .value = osr_slice(request->value.data, request->value.len)};
    propose(operations, call, &write, request->expected, request->timeout_ms, on_put);
}

void osr_operation_kv_del(struct osr_operations *operations, struct osr_call *call,
                          const Osr__Frame *frame)
{
    const Osr__RemoveValueRequest *request = frame->kv_del;
    struct osr_kv_write write = {.is_remove = true,
                                 .key = osr_slice(request->key.data, request->key.len)};
    propose(operations, call, &write, request->expected, request->timeout_ms, on_removed);
}
