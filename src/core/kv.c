#include "core/kv.h"

enum type { PUT = 1, REMOVE = 2 };

/* A command's fields, by their offset. */
enum {
    TYPE_AT = 0,
    HAS_EXPECTED_AT = 1,
    EXPECTED_AT = 2,
    KEY_SIZE_AT = 10,
    KEY_AT = 12,
};

enum { REPLY_SIZE = 16 };

/* ---- commands ---- */

/* A member may propose what it likes: this is asked where a command is made, and again where it is
 * applied. */
static int check_write(const struct osr_kv_write *write, struct osr_err *err)
{
    if (write->key.size == 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the key is empty");
    }
    if (write->key.size > OSR_VALUE_KEY_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "the key has %zu bytes; %d are allowed",
                                write->key.size, OSR_VALUE_KEY_BYTES_MAX);
    }
    if (write->is_remove && write->value.size > 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "a remove has no value");
    }
    if (write->value.size > OSR_KV_VALUE_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "the value has %zu bytes; %d are allowed",
                                write->value.size, OSR_KV_VALUE_BYTES_MAX);
    }
    if (!write->has_expected && write->expected != 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "an index without being expected");
    }
    return 0;
}

int osr_kv_encode(const struct osr_kv_write *write, struct osr_buffer *command, struct osr_err *err)
{
    int code = check_write(write, err);

    if (code != 0) {
        return code;
    }
    osr_buffer_add_u8(command, write->is_remove ? REMOVE : PUT);
    osr_buffer_add_u8(command, write->has_expected);
    osr_buffer_add_u64(command, write->expected);
    osr_buffer_add_u16(command, (uint16_t)write->key.size);
    osr_buffer_add(command, write->key.data, write->key.size);
    osr_buffer_add(command, write->value.data, write->value.size);
    return 0;
}

int osr_kv_decode(struct osr_slice command, struct osr_kv_write *ret_write)
{
    const uint8_t *at = command.data;
    size_t key_size;

    if (command.size < KEY_AT) {
        return OSR_MALFORMED;
    }
    key_size = osr_get_u16(at + KEY_SIZE_AT);
    if ((at[TYPE_AT] != PUT && at[TYPE_AT] != REMOVE) || at[HAS_EXPECTED_AT] > 1 ||
        key_size > command.size - KEY_AT) {
        return OSR_MALFORMED;
    }
    *ret_write = (struct osr_kv_write){
        .is_remove = at[TYPE_AT] == REMOVE,
        .has_expected = at[HAS_EXPECTED_AT] == 1,
        .expected = osr_get_u64(at + EXPECTED_AT),
        .key = osr_slice(at + KEY_AT, key_size),
        .value = osr_slice(at + KEY_AT + key_size, command.size - KEY_AT - key_size),
    };
    return check_write(ret_write, NULL);
}

/* ---- replies ---- */

static void add_reply(struct osr_buffer *reply, uint64_t index, uint64_t version)
{
    osr_buffer_add_u64(reply, index);
    osr_buffer_add_u64(reply, version);
}

int osr_kv_decode_reply(struct osr_slice reply, struct osr_kv_reply *ret_reply)
{
    if (reply.size != REPLY_SIZE) {
        return OSR_MALFORMED;
    }
    ret_reply->index = osr_get_u64(reply.data);
    ret_reply->version = osr_get_u64(reply.data + 8);
    return 0;
}

/* ---- the machine ---- */

bool osr_kv_get(struct osr_values *values, struct osr_slice key, struct osr_buffer *buffer,
                struct osr_kv_found *ret_found)
{
    size_t begin = buffer->size;
    const uint8_t *stored;
    size_t size;

    if (!values->get(values, key, buffer)) {
        return false;
    }
    stored = buffer->data + begin;
    size = buffer->size - begin;
    if (size < OSR_KV_STORED_HEAD_SIZE) { /* no machine has put it: it came in a snapshot */
        buffer->size = begin;
        return false;
    }
    *ret_found = (struct osr_kv_found){
        .index = osr_get_u64(stored),
        .version = osr_get_u64(stored + 8),
        .value = osr_slice(stored + OSR_KV_STORED_HEAD_SIZE, size - OSR_KV_STORED_HEAD_SIZE),
    };
    return true;
}

static void put(struct osr_values *values, const struct osr_kv_write *write, uint64_t index,
                uint64_t version)
{
    struct osr_buffer stored = {0};

    osr_buffer_reserve(&stored, OSR_KV_STORED_HEAD_SIZE + write->value.size);
    osr_buffer_add_u64(&stored, index);
    osr_buffer_add_u64(&stored, version);
    osr_buffer_add(&stored, write->value.data, write->value.size);
    values->put(values, write->key, osr_buffer_slice(&stored));
    osr_buffer_done(&stored);
}

enum osr_code osr_kv_apply(struct osr_values *values, uint64_t index,
                           const struct osr_kv_write *write, struct osr_buffer *reply)
{
    struct osr_buffer buffer = {0};
    struct osr_kv_found before = {0};

    if (!osr_kv_get(values, write->key, &buffer, &before)) {
        before = (struct osr_kv_found){0};
    }
    osr_buffer_done(&buffer);
    if (write->has_expected && write->expected != before.index) {
        add_reply(reply, before.index, before.version);
        return OSR_CONFLICT;
    }
    if (write->is_remove) {
        values->remove(values, write->key);
        add_reply(reply, before.index, before.version);
    } else {
        put(values, write, index, before.version + 1);
        add_reply(reply, index, before.version + 1);
    }
    return OSR_OK;
}

static enum osr_code apply(void *context, struct osr_values *values,
                           const struct osr_command *command, struct osr_buffer *reply)
{
    struct osr_kv_write write;
    int code = osr_kv_decode(command->bytes, &write);

    (void)context;
    return code != 0 ? (enum osr_code)code : osr_kv_apply(values, command->index, &write, reply);
}

const struct osr_machine osr_kv_machine = {
    .id = OSR_MACHINE_KV,
    .name = "kv",
    .version_max = OSR_KV_VERSION,
    .apply = apply,
};
