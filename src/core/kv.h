/* kv.h -- the replicated map: keys and values that all members agree on, as a state machine
 * (core/agreement.h).
 *
 * A write may say in which state it expects its key (`expected`: the index of the command that
 * wrote it last, 0 where there is no such key), and is refused with CONFLICT in any other: so a
 * caller can read, think, and write without a lock.
 *
 * Stored under a key: u64 index of the command that wrote it last, u64 version (how often it was
 * written since it was made), the value; big-endian.
 *
 * Commands, version 1, big-endian: u8 type (1 put, 2 remove), u8 has_expected, u64 expected,
 * u16 size of the key, key, and of a put the value. Replies: u64 index, u64 version. */
#ifndef OSR_CORE_KV_H
#define OSR_CORE_KV_H

#include "core/agreement.h"
#include "model/limits.h"

enum {
    OSR_KV_VERSION = 1,
    OSR_KV_STORED_HEAD_SIZE = 16, /* in front of a value where it is stored */
};
_Static_assert((int)OSR_KV_VALUE_BYTES_MAX + (int)OSR_KV_STORED_HEAD_SIZE <=
                   (int)OSR_VALUE_BYTES_MAX,
               "what is stored of the longest value is one");

extern const struct osr_machine osr_kv_machine;

struct osr_kv_write {
    bool is_remove;
    bool has_expected;
    uint64_t expected;
    struct osr_slice key;   /* 1 to OSR_VALUE_KEY_BYTES_MAX bytes */
    struct osr_slice value; /* of a put; up to OSR_KV_VALUE_BYTES_MAX */
};
/* INVALID_ARGUMENT and TOO_LARGE for what no command can be made of. */
int osr_kv_encode(const struct osr_kv_write *write, struct osr_buffer *command,
                  struct osr_err *err);

/* ---- for machines that are such a map with rules of their own ---- */

/* What is written lies in the command. As osr_kv_encode fails, and MALFORMED. */
int osr_kv_decode(struct osr_slice command, struct osr_kv_write *ret_write);
/* As osr_kv_machine does. */
enum osr_code osr_kv_apply(struct osr_values *values, uint64_t index,
                           const struct osr_kv_write *write, struct osr_buffer *reply);

/* ---- what is told, and there ---- */

/* What a write is told: where the key stood before a remove, or stands after a put; version 0 of a
 * remove: there was no such key. With CONFLICT, where the key stands; version 0: there is none. */
struct osr_kv_reply {
    uint64_t index;
    uint64_t version;
};
int osr_kv_decode_reply(struct osr_slice reply, struct osr_kv_reply *ret_reply); /* MALFORMED */

struct osr_kv_found {
    uint64_t index;
    uint64_t version;
    struct osr_slice value; /* in the buffer given */
};
/* False where there is no such key. */
bool osr_kv_get(struct osr_values *values, struct osr_slice key, struct osr_buffer *buffer,
                struct osr_kv_found *ret_found);

#endif
