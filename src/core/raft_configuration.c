#include "core/raft_configuration.h"

#include <assert.h>

enum {
    FORM_VERSION = 1,
    HEAD_BYTES = 2,
    MEMBER_HEAD_BYTES = 8 + 1 + 1 + 2,
};

/* Where the member of that id is, or would have to be put. */
static size_t place_of(const struct osr_raft_configuration *configuration, uint64_t id)
{
    size_t place = 0;
    while (place < configuration->count && configuration->members[place].id < id) {
        place++;
    }
    return place;
}

const struct osr_raft_member *osr_raft_configuration_find(
    const struct osr_raft_configuration *configuration, uint64_t id)
{
    size_t place = place_of(configuration, id);
    bool is_there = place < configuration->count && configuration->members[place].id == id;
    return is_there ? &configuration->members[place] : NULL;
}

bool osr_raft_configuration_is_voter(const struct osr_raft_configuration *configuration,
                                     uint64_t id)
{
    const struct osr_raft_member *member = osr_raft_configuration_find(configuration, id);
    return member != NULL && member->standing == OSR_RAFT_VOTER;
}

size_t osr_raft_configuration_voters(const struct osr_raft_configuration *configuration)
{
    size_t count = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        count += configuration->members[i].standing == OSR_RAFT_VOTER;
    }
    return count;
}

static bool is_member_valid(const struct osr_raft_member *member)
{
    bool is_learner = member->standing == OSR_RAFT_LEARNER;
    return member->id != 0 && (is_learner || member->standing == OSR_RAFT_VOTER) &&
           (is_learner || !member->is_promoted) &&
           member->context_size <= OSR_RAFT_CONTEXT_BYTES_MAX;
}

bool osr_raft_configuration_is_valid(const struct osr_raft_configuration *configuration)
{
    uint64_t id_before = 0;
    if (configuration->count > OSR_RAFT_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < configuration->count; i++) {
        const struct osr_raft_member *member = &configuration->members[i];
        if (!is_member_valid(member) || member->id <= id_before) {
            return false;
        }
        id_before = member->id;
    }
    size_t voters = osr_raft_configuration_voters(configuration);
    return voters > 0 && voters <= OSR_RAFT_VOTERS_MAX;
}

/* ---- changes ---- */

static int add(struct osr_raft_configuration *configuration, const struct osr_raft_member *member,
               struct osr_err *err)
{
    if (member->id == 0 || member->context_size > OSR_RAFT_CONTEXT_BYTES_MAX) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "a member without id, or too much about it");
    }
    if (osr_raft_configuration_find(configuration, member->id) != NULL) {
        return osr_err_set(err, OSR_ALREADY_EXISTS, "that member belongs to the ledger already");
    }
    if (configuration->count == OSR_RAFT_MEMBERS_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE,
                           "there are %d members already, the most there can be",
                           OSR_RAFT_MEMBERS_MAX);
    }
    size_t place = place_of(configuration, member->id);
    struct osr_raft_member *at = &configuration->members[place];
    memmove(at + 1, at, (configuration->count - place) * sizeof(*at));
    *at = *member;
    at->standing = OSR_RAFT_LEARNER;
    configuration->count++;
    return 0;
}

static int promote(struct osr_raft_configuration *configuration, struct osr_raft_member *member,
                   struct osr_err *err)
{
    if (member->standing == OSR_RAFT_VOTER) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "that member is a voter already");
    }
    if (osr_raft_configuration_voters(configuration) == OSR_RAFT_VOTERS_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "there are %d voters already, the most there can be",
                           OSR_RAFT_VOTERS_MAX);
    }
    member->standing = OSR_RAFT_VOTER;
    member->is_promoted = false;
    return 0;
}

static int remove_member(struct osr_raft_configuration *configuration,
                         struct osr_raft_member *member, struct osr_err *err)
{
    if (member->standing == OSR_RAFT_VOTER && osr_raft_configuration_voters(configuration) == 1) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "the last voter cannot be removed");
        osr_err_hint(err, "let another one join first, and become a voter");
        return OSR_INVALID_ARGUMENT;
    }
    size_t behind = (size_t)(configuration->members + configuration->count - (member + 1));
    memmove(member, member + 1, behind * sizeof(*member));
    configuration->count--;
    return 0;
}

static int update(struct osr_raft_member *member, const struct osr_raft_member *wanted,
                  struct osr_err *err)
{
    if (wanted->context_size > OSR_RAFT_CONTEXT_BYTES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "more than %d bytes about a member",
                           OSR_RAFT_CONTEXT_BYTES_MAX);
    }
    member->context_size = wanted->context_size;
    memcpy(member->context, wanted->context, wanted->context_size);
    return 0;
}

int osr_raft_configuration_change(struct osr_raft_configuration *configuration,
                                  const struct osr_raft_change *change, struct osr_err *err)
{
    if (change->type == OSR_RAFT_ADD) {
        return add(configuration, &change->member, err);
    }
    size_t place = place_of(configuration, change->member.id);
    struct osr_raft_member *member = &configuration->members[place];
    if (place == configuration->count || member->id != change->member.id) {
        return osr_err_set(err, OSR_NOT_FOUND, "no such member");
    }
    switch (change->type) {
    case OSR_RAFT_PROMOTE:
        return promote(configuration, member, err);
    case OSR_RAFT_REMOVE:
        return remove_member(configuration, member, err);
    case OSR_RAFT_UPDATE:
        return update(member, &change->member, err);
    case OSR_RAFT_ADD:
        break;
    }
    return osr_err_set(err, OSR_INVALID_ARGUMENT, "no such change");
}

/* ---- stored form ---- */

void osr_raft_configuration_encode(const struct osr_raft_configuration *configuration,
                                   struct osr_buffer *buffer)
{
    assert(configuration->count <= OSR_RAFT_MEMBERS_MAX);
    osr_buffer_add_u8(buffer, FORM_VERSION);
    osr_buffer_add_u8(buffer, (uint8_t)configuration->count);
    for (size_t i = 0; i < configuration->count; i++) {
        const struct osr_raft_member *member = &configuration->members[i];
        osr_buffer_add_u64(buffer, member->id);
        osr_buffer_add_u8(buffer, (uint8_t)member->standing);
        osr_buffer_add_u8(buffer, member->is_promoted);
        osr_buffer_add_u8(buffer, (uint8_t)(member->context_size >> 8));
        osr_buffer_add_u8(buffer, (uint8_t)member->context_size);
        osr_buffer_add(buffer, member->context, member->context_size);
    }
}

/* Takes a member off the front of *rest; false where there is none. */
static bool decode_member(struct osr_slice *rest, struct osr_raft_member *member)
{
    if (rest->size < MEMBER_HEAD_BYTES) {
        return false;
    }
    const uint8_t *head = rest->data;
    *member = (struct osr_raft_member){.id = osr_get_u64(head),
                                       .standing = (enum osr_raft_standing)head[8],
                                       .is_promoted = head[9] == 1,
                                       .context_size = (uint16_t)(head[10] << 8 | head[11])};
    if (head[9] > 1 || member->context_size > OSR_RAFT_CONTEXT_BYTES_MAX ||
        member->context_size > rest->size - MEMBER_HEAD_BYTES) {
        return false;
    }
    memcpy(member->context, head + MEMBER_HEAD_BYTES, member->context_size);
    size_t size = (size_t)MEMBER_HEAD_BYTES + member->context_size;
    *rest = osr_slice(rest->data + size, rest->size - size);
    return true;
}

int osr_raft_configuration_decode(struct osr_slice bytes,
                                  struct osr_raft_configuration *ret_configuration,
                                  struct osr_err *err)
{
    if (bytes.size < HEAD_BYTES || bytes.data[0] != FORM_VERSION ||
        bytes.data[1] > OSR_RAFT_MEMBERS_MAX) {
        return osr_err_set(err, OSR_MALFORMED, "configuration: version or count of members");
    }
    struct osr_raft_configuration configuration = {.count = bytes.data[1]};
    struct osr_slice rest = osr_slice(bytes.data + HEAD_BYTES, bytes.size - HEAD_BYTES);
    for (size_t i = 0; i < configuration.count; i++) {
        if (!decode_member(&rest, &configuration.members[i])) {
            return osr_err_set(err, OSR_MALFORMED, "configuration: member %zu", i);
        }
    }
    if (rest.size > 0 || !osr_raft_configuration_is_valid(&configuration)) {
        return osr_err_set(err, OSR_MALFORMED, "configuration: ids, standings, or %zu bytes over",
                           rest.size);
    }
    *ret_configuration = configuration;
    return 0;
}
