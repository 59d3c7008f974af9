/* What a test looks at: what members are, and what they have put out. */
#include "lib/raft_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

struct osr_raft_info raft_rig_info(struct raft_rig *rig, uint64_t member)
{
    struct osr_raft_info info;
    osr_raft_info(rig->members[member].core, &info);
    return info;
}

struct osr_raft_peer_info raft_rig_peer(struct raft_rig *rig, uint64_t member, uint64_t peer)
{
    const struct osr_raft *core = rig->members[member].core;
    struct osr_raft_peer_info info = {0};
    for (size_t i = 0; i < osr_raft_peer_count(core) && info.id != peer; i++) {
        osr_raft_peer_info(core, i, &info);
    }
    assert_int_equal(info.id, peer);
    return info;
}

const struct osr_raft_message *raft_rig_said(struct raft_rig *rig, uint64_t to,
                                             enum osr_raft_message_type type)
{
    for (size_t i = rig->seen_count; i > 0; i--) {
        const struct osr_raft_output *output = &rig->seen[i - 1].output;
        if (output->type == OSR_RAFT_OUT_SEND && output->send->to == to &&
            output->send->type == type) {
            return output->send;
        }
    }
    return NULL;
}

size_t raft_rig_count_said(struct raft_rig *rig, uint64_t to, enum osr_raft_message_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct osr_raft_output *output = &rig->seen[i].output;
        count += output->type == OSR_RAFT_OUT_SEND && output->send->to == to &&
                 output->send->type == type;
    }
    return count;
}

const struct osr_raft_output *raft_rig_last(struct raft_rig *rig, uint64_t member,
                                            enum osr_raft_output_type type)
{
    for (size_t i = rig->seen_count; i > 0; i--) {
        const struct rig_seen *seen = &rig->seen[i - 1];
        if (seen->member == member && seen->output.type == type) {
            return &seen->output;
        }
    }
    return NULL;
}

size_t raft_rig_count(struct raft_rig *rig, uint64_t member, enum osr_raft_output_type type)
{
    size_t count = 0;
    for (size_t i = 0; i < rig->seen_count; i++) {
        count += rig->seen[i].member == member && rig->seen[i].output.type == type;
    }
    return count;
}

enum osr_code raft_rig_failure(struct raft_rig *rig, uint64_t member, uint64_t token)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct rig_seen *seen = &rig->seen[i];
        if (seen->member == member && seen->output.type == OSR_RAFT_OUT_FAILED &&
            seen->output.failed.token == token) {
            return seen->output.failed.code;
        }
    }
    return OSR_OK;
}

bool raft_rig_has_applied(struct raft_rig *rig, uint64_t member, uint64_t token)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct rig_seen *seen = &rig->seen[i];
        bool is_apply = seen->member == member && seen->output.type == OSR_RAFT_OUT_APPLY;
        for (size_t j = 0; is_apply && j < seen->output.apply.count; j++) {
            if (seen->output.apply.entries[j].token == token) {
                return true;
            }
        }
    }
    return false;
}

bool raft_rig_is_readable(struct raft_rig *rig, uint64_t member, uint64_t token)
{
    for (size_t i = 0; i < rig->seen_count; i++) {
        const struct rig_seen *seen = &rig->seen[i];
        if (seen->member == member && seen->output.type == OSR_RAFT_OUT_READABLE &&
            seen->output.readable.token == token) {
            return true;
        }
    }
    return false;
}

void raft_rig_forget(struct raft_rig *rig)
{
    rig->seen_count = 0;
}
