#include "sim/raft_state.h"

#include "base/map.h"
#include "sim/raft_log.h"
#include "sim/violation.h"

#include <assert.h>
#include <stdlib.h>

enum {
    COMMAND_BYTES = 1 + 1 + 8 + 8,
    BALLAST = 0x5a, /* what it is made of */
};

void raft_command_encode(const struct raft_command *command, size_t ballast,
                         struct osr_buffer *buffer)
{
    osr_buffer_add_u8(buffer, (uint8_t)command->type);
    osr_buffer_add_u8(buffer, command->key);
    osr_buffer_add_u64(buffer, command->expected);
    osr_buffer_add_u64(buffer, command->value);
    memset(osr_buffer_reserve(buffer, ballast), BALLAST, ballast);
    buffer->size += ballast;
}

static struct raft_result apply_command(struct raft_state *state, struct osr_slice payload)
{
    if (payload.size < COMMAND_BYTES || payload.data[1] >= RAFT_KEYS) {
        sim_violation("a command of %zu bytes is none of ours", payload.size);
    }
    uint64_t *value = &state->values[payload.data[1]];
    uint64_t old = *value;
    uint64_t expected = osr_get_u64(payload.data + 2);
    uint64_t wanted = osr_get_u64(payload.data + 10);
    switch ((enum raft_command_type)payload.data[0]) {
    case RAFT_PUT:
        *value = wanted;
        return (struct raft_result){.is_done = true};
    case RAFT_DELETE:
        *value = 0;
        return (struct raft_result){.is_done = old != 0};
    case RAFT_COMPARE_AND_SET:
        *value = old == expected ? wanted : old;
        return (struct raft_result){.is_done = old == expected};
    case RAFT_GET:
        break;
    }
    sim_violation("a command of type %u is none of ours", payload.data[0]);
}

struct raft_result raft_state_apply(struct raft_state *state, const struct osr_raft_entry *entry)
{
    struct raft_result result = {0};
    if (entry->kind == OSR_RAFT_COMMAND) {
        result = apply_command(state, entry->payload);
    } else if (entry->kind == OSR_RAFT_CONFIGURATION) {
        struct osr_err err;
        if (osr_raft_configuration_decode(entry->payload, &state->configuration, &err) != 0) {
            sim_violation("the configuration at %llu: %s", (unsigned long long)entry->index,
                          err.message);
        }
    }
    state->applied = entry->index;
    state->term = entry->term;
    state->chain = raft_chain(state->chain, entry);
    return result;
}

/* ---- snapshots ---- */

void raft_snapshot_done(struct raft_snapshot *snapshot)
{
    osr_buffer_done(&snapshot->bytes);
}

void raft_snapshot_copy(struct raft_snapshot *to, const struct raft_snapshot *from)
{
    to->meta = from->meta;
    osr_buffer_clear(&to->bytes);
    osr_buffer_add(&to->bytes, from->bytes.data, from->bytes.size);
}

static uint64_t checksum(struct osr_slice bytes)
{
    const uint64_t key[2] = {0, 0};
    return osr_siphash(key, bytes);
}

static void save_values(const struct raft_state *state, uint64_t salt, size_t ballast,
                        struct osr_buffer *bytes)
{
    for (size_t i = 0; i < RAFT_KEYS; i++) {
        size_t key = (i + salt) % RAFT_KEYS;
        if (state->values[key] != 0) {
            osr_buffer_add_u8(bytes, (uint8_t)key);
            osr_buffer_add_u64(bytes, state->values[key]);
            memset(osr_buffer_reserve(bytes, ballast), BALLAST, ballast);
            bytes->size += ballast;
        }
    }
}

void raft_state_save(const struct raft_state *state, uint64_t salt, size_t ballast,
                     struct raft_snapshot *snapshot)
{
    struct osr_buffer *bytes = &snapshot->bytes;
    osr_buffer_clear(bytes);
    osr_buffer_add_u64(bytes, salt);
    osr_buffer_add_u64(bytes, state->chain);
    osr_buffer_add_u32(bytes, (uint32_t)ballast);
    save_values(state, salt, ballast, bytes);
    snapshot->meta = (struct osr_raft_snapshot){
        .index = state->applied,
        .term = state->term,
        .size = bytes->size,
        .checksum = checksum(osr_buffer_slice(bytes)),
        .configuration = state->configuration,
    };
}

bool raft_state_load(struct raft_state *state, const struct raft_snapshot *snapshot)
{
    const struct osr_buffer *bytes = &snapshot->bytes;
    if (bytes->size != snapshot->meta.size ||
        checksum(osr_buffer_slice(bytes)) != snapshot->meta.checksum) {
        return false;
    }
    *state = (struct raft_state){
        .applied = snapshot->meta.index,
        .term = snapshot->meta.term,
        .chain = osr_get_u64(bytes->data + 8),
        .configuration = snapshot->meta.configuration,
    };
    size_t ballast = osr_get_u32(bytes->data + 16);
    for (size_t at = 20; at < bytes->size; at += 9 + ballast) {
        state->values[bytes->data[at]] = osr_get_u64(bytes->data + at + 1);
    }
    return true;
}
