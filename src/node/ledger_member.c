/* What a configuration says of a member, as bytes: its context. */
#include "base/text.h"
#include "node/ledger_addresses.h"
#include "node/ledger_links.h"

/* ---- writing ---- */

static void add_text(struct osr_buffer *buffer, const char *text)
{
    struct osr_slice bytes = osr_slice_text(text);
    osr_buffer_add_u8(buffer, (uint8_t)bytes.size);
    osr_buffer_add(buffer, bytes.data, bytes.size);
}

static size_t count_versions(const struct osr_ledger_member *member)
{
    size_t count = OSR_MACHINES_MAX;
    while (count > 0 && member->versions[count - 1] == 0) {
        count--;
    }
    return count;
}

/* How many addresses find room in so many bytes. */
static size_t count_addresses(const struct osr_ledger_member *member, size_t room)
{
    size_t count = 0;
    while (count < member->address_count) {
        size_t size = strlen(member->addresses[count]);
        if (size > UINT8_MAX || size + 1 > room) {
            break;
        }
        room -= size + 1;
        count++;
    }
    return count;
}

void osr_ledger_member_encode(const struct osr_ledger_member *member,
                              struct osr_raft_member *ret_member)
{
    struct osr_buffer buffer = {0};
    size_t version_count = count_versions(member);
    add_text(&buffer, member->name);
    add_text(&buffer, member->instance);
    size_t room = OSR_RAFT_CONTEXT_BYTES_MAX - buffer.size - 2 - version_count;
    size_t address_count = count_addresses(member, room);
    osr_buffer_add_u8(&buffer, (uint8_t)address_count);
    for (size_t i = 0; i < address_count; i++) {
        add_text(&buffer, member->addresses[i]);
    }
    osr_buffer_add_u8(&buffer, (uint8_t)version_count);
    osr_buffer_add(&buffer, member->versions, version_count);
    memcpy(ret_member->context, buffer.data, buffer.size);
    ret_member->context_size = (uint16_t)buffer.size;
    osr_buffer_done(&buffer);
}

/* ---- reading ---- */

static bool take_bytes(struct osr_slice *left, size_t size, struct osr_slice *ret_bytes)
{
    if (left->size < size) {
        return false;
    }
    *ret_bytes = osr_slice(left->data, size);
    *left = osr_slice(left->data + size, left->size - size);
    return true;
}

static bool take_number(struct osr_slice *left, uint8_t *ret_number)
{
    struct osr_slice byte;
    if (!take_bytes(left, 1, &byte)) {
        return false;
    }
    *ret_number = byte.data[0];
    return true;
}

/* A text of at least one character, that fits. */
static bool take_text(struct osr_slice *left, char *text, size_t size)
{
    uint8_t length;
    struct osr_slice bytes;
    if (!take_number(left, &length) || !take_bytes(left, length, &bytes) || length == 0 ||
        length >= size || !osr_utf8_is_valid(bytes) || !osr_text_is_plain(bytes)) {
        return false;
    }
    memcpy(text, bytes.data, length);
    text[length] = '\0';
    return true;
}

static bool take_addresses(struct osr_slice *left, struct osr_ledger_member *member)
{
    uint8_t count;
    if (!take_number(left, &count) || count > OSR_LEDGER_ADDRESSES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!take_text(left, member->addresses[i], sizeof(member->addresses[i]))) {
            return false;
        }
    }
    member->address_count = count;
    return true;
}

static bool take_versions(struct osr_slice *left, struct osr_ledger_member *member)
{
    uint8_t count;
    struct osr_slice versions;
    if (!take_number(left, &count) || count > OSR_MACHINES_MAX ||
        !take_bytes(left, count, &versions)) {
        return false;
    }
    memcpy(member->versions, versions.data, count);
    return count_versions(member) == count;
}

int osr_ledger_member_decode(const struct osr_raft_member *member,
                             struct osr_ledger_member *ret_member, struct osr_err *err)
{
    struct osr_slice left = osr_slice(member->context, member->context_size);
    *ret_member = (struct osr_ledger_member){0};
    if (take_text(&left, ret_member->name, sizeof(ret_member->name)) &&
        take_text(&left, ret_member->instance, sizeof(ret_member->instance)) &&
        osr_instance_id_is_valid(ret_member->instance) && take_addresses(&left, ret_member) &&
        take_versions(&left, ret_member) && left.size == 0) {
        return 0;
    }
    *ret_member = (struct osr_ledger_member){0};
    return (int)osr_err_set(err, OSR_MALFORMED, "what is said of member %llu cannot be read",
                            (unsigned long long)member->id);
}

/* ---- what it understands ---- */

void osr_ledger_members_understand(const struct osr_raft_configuration *members,
                                   uint8_t versions[OSR_MACHINES_MAX])
{
    memset(versions, members->count > 0 ? UINT8_MAX : 0, OSR_MACHINES_MAX);
    for (size_t i = 0; i < members->count; i++) {
        struct osr_ledger_member member;
        osr_ledger_member_decode(&members->members[i], &member, NULL); /* else it knows nothing */
        for (size_t machine = 0; machine < OSR_MACHINES_MAX; machine++) {
            if (member.versions[machine] < versions[machine]) {
                versions[machine] = member.versions[machine];
            }
        }
    }
}

bool osr_ledger_member_understands(const struct osr_ledger_member *member,
                                   const uint8_t versions[OSR_MACHINES_MAX])
{
    for (size_t i = 0; i < OSR_MACHINES_MAX; i++) {
        if (member->versions[i] < versions[i]) {
            return false;
        }
    }
    return true;
}

/* ---- what it says now ---- */

/* One within its machine is not told to who is elsewhere. */
static bool is_told(const struct osr_ledger_member *says, const char *configured)
{
    bool is_near = false;
    for (size_t i = 0; i < says->address_count; i++) {
        if (osr_ledger_address_holds(configured, says->addresses[i])) {
            return true;
        }
        is_near |= osr_ledger_address_is_vague(says->addresses[i]);
    }
    return !is_near && osr_ledger_address_is_vague(configured);
}

static bool is_configured(const struct osr_ledger_member *configured, const char *told)
{
    for (size_t i = 0; i < configured->address_count; i++) {
        if (strcmp(configured->addresses[i], told) == 0) {
            return true;
        }
    }
    return false;
}

/* It is at all addresses that are known, and where all can dial it is known. */
static bool do_addresses_hold(const struct osr_ledger_member *configured,
                              const struct osr_ledger_member *says)
{
    for (size_t i = 0; i < configured->address_count; i++) {
        if (!is_told(says, configured->addresses[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < says->address_count; i++) {
        if (!osr_ledger_address_is_vague(says->addresses[i]) &&
            !is_configured(configured, says->addresses[i])) {
            return false;
        }
    }
    return configured->address_count > 0 || says->address_count == 0;
}

bool osr_ledger_member_is_same(const struct osr_raft_member *a, const struct osr_raft_member *b)
{
    return osr_slice_equal(osr_slice(a->context, a->context_size),
                           osr_slice(b->context, b->context_size));
}

bool osr_ledger_member_update(const struct osr_raft_member *configured,
                              const struct osr_ledger_member *says,
                              struct osr_raft_member *ret_updated)
{
    struct osr_ledger_member known;
    struct osr_ledger_member wanted = *says;
    if (osr_ledger_member_decode(configured, &known, NULL) != 0 ||
        strcmp(known.instance, says->instance) != 0) {
        return false;
    }
    if (do_addresses_hold(&known, says)) {
        memcpy(wanted.addresses, known.addresses, sizeof(known.addresses));
        wanted.address_count = known.address_count;
    }
    *ret_updated = *configured;
    osr_ledger_member_encode(&wanted, ret_updated);
    return !osr_ledger_member_is_same(configured, ret_updated) &&
           osr_ledger_member_decode(ret_updated, &wanted, NULL) == 0;
}
