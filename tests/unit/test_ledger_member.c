/* What a configuration says of a member, as bytes; and addresses, as they are told and taken. */
#include "node/ledger_addresses.h"
#include "node/ledger_links.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ANA          "anaanaanaanaanaanaanaanaanaanaan"

static void make_member(struct osr_ledger_member *member)
{
    *member = (struct osr_ledger_member){
        .instance = ANA, .name = "ana", .address_count = 2, .versions = {1, 0, 3}};
    snprintf(member->addresses[0], OSR_URL_TEXT_MAX, "tls://192.0.2.1:7400");
    snprintf(member->addresses[1], OSR_URL_TEXT_MAX, "tcp://127.0.0.1:12346");
}

/* ---- the context ---- */

/* What goes in comes out. */
static void a_context_says_what_was_put_in(void **state)
{
    (void)state;
    struct osr_ledger_member member, read;
    struct osr_raft_member encoded = {.id = 2};
    struct osr_err err;
    make_member(&member);
    osr_ledger_member_encode(&member, &encoded);
    assert_int_equal(osr_ledger_member_decode(&encoded, &read, &err), 0);
    assert_string_equal(read.instance, ANA);
    assert_string_equal(read.name, "ana");
    assert_int_equal(read.address_count, 2);
    assert_string_equal(read.addresses[0], "tls://192.0.2.1:7400");
    assert_string_equal(read.addresses[1], "tcp://127.0.0.1:12346");
    assert_memory_equal(read.versions, member.versions, sizeof(member.versions));
}

/* Addresses that find no room are left out from the end; the rest is always there. */
static void what_does_not_fit_is_left_out(void **state)
{
    (void)state;
    struct osr_ledger_member member, read;
    struct osr_raft_member encoded;
    struct osr_err err;
    make_member(&member);
    memset(member.name, 'n', OSR_NAME_BYTES_MAX);
    memset(member.versions, 9, sizeof(member.versions));
    member.address_count = OSR_LEDGER_ADDRESSES_MAX;
    for (size_t i = 0; i < OSR_LEDGER_ADDRESSES_MAX; i++) {
        memset(member.addresses[i], 'a', 150);
    }
    osr_ledger_member_encode(&member, &encoded);
    assert_int_equal(osr_ledger_member_decode(&encoded, &read, &err), 0);
    assert_int_equal(read.address_count, 2);
    assert_int_equal(strlen(read.name), OSR_NAME_BYTES_MAX);
    assert_memory_equal(read.versions, member.versions, sizeof(member.versions));

    memset(member.addresses[0], 'a', OSR_URL_TEXT_MAX - 1); /* longer than its length can say */
    osr_ledger_member_encode(&member, &encoded);
    assert_int_equal(osr_ledger_member_decode(&encoded, &read, &err), 0);
    assert_int_equal(read.address_count, 0);
}

/* A context that is cut, or has something behind it, is none. */
static void a_context_is_whole(void **state)
{
    (void)state;
    struct osr_ledger_member member, read;
    struct osr_raft_member encoded;
    struct osr_err err;
    make_member(&member);
    osr_ledger_member_encode(&member, &encoded);
    uint16_t whole = encoded.context_size;
    encoded.context[whole] = 0;
    for (uint16_t size = 0; size <= whole + 1; size++) {
        encoded.context_size = size;
        assert_int_equal(osr_ledger_member_decode(&encoded, &read, &err),
                         size == whole ? 0 : OSR_MALFORMED);
        assert_int_equal(read.address_count, size == whole ? 2 : 0);
    }
}

/* Each byte counts: whatever is put in its place makes another member, or none. */
static void a_context_has_one_encoding(void **state)
{
    (void)state;
    struct osr_ledger_member member, read;
    struct osr_raft_member encoded, again;
    make_member(&member);
    osr_ledger_member_encode(&member, &encoded);
    for (size_t i = 0; i < encoded.context_size; i++) {
        struct osr_raft_member changed = encoded;
        for (int value = 0; value < 256; value++) {
            changed.context[i] = (uint8_t)value;
            if (osr_ledger_member_decode(&changed, &read, NULL) == 0) {
                osr_ledger_member_encode(&read, &again);
                assert_int_equal(again.context_size, changed.context_size);
                assert_memory_equal(again.context, changed.context, changed.context_size);
            }
        }
    }
}

/* ---- what it understands ---- */

static void make_configured(const struct osr_ledger_member *member, uint64_t id,
                            struct osr_raft_member *ret_member)
{
    *ret_member = (struct osr_raft_member){.id = id, .standing = OSR_RAFT_VOTER};
    osr_ledger_member_encode(member, ret_member);
}

/* What one of them lacks, they lack; who is as old as the oldest understands what all do. */
static void all_understand_what_the_oldest_does(void **state)
{
    (void)state;
    struct osr_raft_configuration members = {.count = 0};
    struct osr_ledger_member older, newer;
    uint8_t versions[OSR_MACHINES_MAX] = {7};
    osr_ledger_members_understand(&members, versions);
    assert_int_equal(versions[0], 0);

    make_member(&older);
    make_member(&newer);
    memcpy(newer.versions, (uint8_t[]){2, 1, 2}, 3);
    make_configured(&older, 1, &members.members[0]);
    make_configured(&newer, 2, &members.members[1]);
    members.count = 2;
    osr_ledger_members_understand(&members, versions);
    assert_memory_equal(versions, ((uint8_t[]){1, 0, 2}), 3);
    assert_true(osr_ledger_member_understands(&older, versions));
    assert_true(osr_ledger_member_understands(&newer, versions));
    newer.versions[2] = 1;
    assert_false(osr_ledger_member_understands(&newer, versions));
    newer = older;
    newer.versions[0] = 0;
    assert_false(osr_ledger_member_understands(&newer, versions));
}

/* ---- what it says now ---- */

static void expect_updated(const struct osr_ledger_member *known,
                           const struct osr_ledger_member *says)
{
    struct osr_raft_member configured, updated;
    struct osr_ledger_member read;
    make_configured(known, 2, &configured);
    assert_true(osr_ledger_member_update(&configured, says, &updated));
    assert_int_equal(osr_ledger_member_decode(&updated, &read, NULL), 0);
    assert_string_equal(read.name, says->name);
    assert_memory_equal(read.versions, says->versions, sizeof(says->versions));
    assert_int_equal(updated.id, 2);
    assert_int_equal(updated.standing, OSR_RAFT_VOTER);
    struct osr_raft_member again;
    assert_false(osr_ledger_member_update(&updated, says, &again)); /* once is enough */
}

/* Another name, newer and older commands; and nothing where nothing is another. */
static void what_a_member_says_now_counts(void **state)
{
    (void)state;
    struct osr_ledger_member known, says;
    struct osr_raft_member configured, updated;
    make_member(&known);
    says = known;
    make_configured(&known, 2, &configured);
    assert_false(osr_ledger_member_update(&configured, &says, &updated));
    snprintf(says.name, sizeof(says.name), "anabel");
    expect_updated(&known, &says);
    says.versions[1] = 4;
    expect_updated(&known, &says);
    says.versions[1] = says.versions[2] = 0;
    expect_updated(&known, &says);
}

/* Another instance, or what cannot be read again, is nothing to write down. */
static void who_is_nobody_is_not_written_down(void **state)
{
    (void)state;
    struct osr_ledger_member known, says;
    struct osr_raft_member configured, updated;
    make_member(&known);
    make_configured(&known, 2, &configured);
    says = known;
    says.name[0] = '\0';
    assert_false(osr_ledger_member_update(&configured, &says, &updated));
    says = known;
    snprintf(says.name, sizeof(says.name), "ben");
    says.instance[0] = 'b';
    assert_false(osr_ledger_member_update(&configured, &says, &updated));
    configured.context_size--;
    assert_false(osr_ledger_member_update(&configured, &known, &updated));
}

/* Addresses that find no room are left out each time alike: that is no news. */
static void what_found_no_room_is_no_news(void **state)
{
    (void)state;
    struct osr_ledger_member says;
    struct osr_raft_member configured, updated;
    make_member(&says);
    says.address_count = OSR_LEDGER_ADDRESSES_MAX;
    for (size_t i = 0; i < OSR_LEDGER_ADDRESSES_MAX; i++) {
        memset(says.addresses[i], 'a', 150);
    }
    make_configured(&says, 2, &configured);
    assert_false(osr_ledger_member_update(&configured, &says, &updated));
}

static void put_addresses(struct osr_ledger_member *member, const char *const *addresses)
{
    member->address_count = 0;
    for (; addresses[member->address_count] != NULL; member->address_count++) {
        snprintf(member->addresses[member->address_count], OSR_URL_TEXT_MAX, "%s",
                 addresses[member->address_count]);
    }
}

/* What a link within a machine, or nobody's eyes, make of an address is no reason to forget a
 * better one; that it is at another port, or seen elsewhere, is one. */
static void addresses_are_known_as_well_as_can_be(void **state)
{
    (void)state;
    static const struct {
        const char *known[4];
        const char *says[4];
        const char *then; /* the first one that is known then; NULL: nothing changes */
        size_t count;
    } rows[] = {
        {{"tls://192.0.2.1:1"}, {"tls://192.0.2.1:1"}, NULL, 0},
        {{"tls://192.0.2.1:1"}, {"tls://192.0.2.1:2"}, "tls://192.0.2.1:2", 1},
        {{"tls://192.0.2.1:1"}, {"tls://192.0.2.7:1"}, "tls://192.0.2.7:1", 1},
        {{"tls://192.0.2.1:1"}, {"udp://192.0.2.1:1"}, "udp://192.0.2.1:1", 1},
        {{"tls://192.0.2.1:1"}, {NULL}, "", 0},
        {{NULL}, {"tls://192.0.2.1:1"}, "tls://192.0.2.1:1", 1},
        {{NULL}, {NULL}, NULL, 0},
        {{"tls://192.0.2.1:1"}, {"tls://*:1"}, NULL, 0},
        {{"tls://192.0.2.1:1"}, {"tls://127.0.0.1:1"}, NULL, 0},
        {{"tls://[2001:db8::1]:1"}, {"tls://*:1"}, NULL, 0},
        {{"tls://192.0.2.1:1"}, {"tls://*:2"}, "tls://*:2", 1},
        {{"tls://192.0.2.1:1"}, {"tls://127.0.0.1:1", "tls://127.0.0.1:5"}, NULL, 0},
        {{"tls://192.0.2.1:1"}, {"tls://*:1", "tls://192.0.2.1:2"}, "tls://*:1", 2},
        {{"tls://*:1"}, {"tls://192.0.2.1:1"}, "tls://192.0.2.1:1", 1},
        {{"tls://*:1"}, {"tls://127.0.0.1:1"}, "tls://127.0.0.1:1", 1},
        {{"tls://*:1"}, {"tls://*:1"}, NULL, 0},
        {{"tls://127.0.0.1:1"}, {"tls://127.0.0.1:2"}, "tls://127.0.0.1:2", 1},
        {{"tls://127.0.0.1:1"}, {"tls://192.0.2.1:1"}, "tls://192.0.2.1:1", 1},
        {{"tls://127.0.0.1:1"}, {NULL}, NULL, 0},
        {{"tls://127.0.0.1:1", "tls://a:2"}, {"tls://a:2"}, NULL, 0},
        {{"tls://127.0.0.1:1", "tls://a:2"}, {"tls://a:3"}, "tls://a:3", 1},
        {{"tls://127.0.0.1:1"}, {"tls://127.0.0.1:2", "tls://127.0.0.1:3"}, "tls://127.0.0.1:2", 2},
        {{"tls://a:1", "tls://b:2"}, {"tls://b:2", "tls://a:1"}, NULL, 0},
        {{"tls://a:1", "tls://b:2"}, {"tls://a:1"}, "tls://a:1", 1},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct osr_ledger_member known, says;
        struct osr_raft_member configured, updated;
        make_member(&known);
        make_member(&says);
        put_addresses(&known, rows[i].known);
        put_addresses(&says, rows[i].says);
        make_configured(&known, 2, &configured);
        assert_int_equal(osr_ledger_member_update(&configured, &says, &updated),
                         rows[i].then != NULL);
        if (rows[i].then != NULL) {
            assert_int_equal(osr_ledger_member_decode(&updated, &known, NULL), 0);
            assert_int_equal(known.address_count, rows[i].count);
            assert_string_equal(known.addresses[0], rows[i].then);
        }
    }
}

/* ---- addresses ---- */

/* What members can dial is told; a socket, other programs' listeners and brokers are not. */
static void listeners_are_told_to_members(void **state)
{
    (void)state;
    static const struct {
        const char *listener;
        const char *near; /* told to who is on this machine; NULL: nothing */
        const char *far;
    } rows[] = {
        {"tls://0.0.0.0:7400", "tls://*:7400", "tls://*:7400"},
        {"tls://[::]:7400?auth=certificate,key", "tls://*:7400", "tls://*:7400"},
        {"udp://192.0.2.1:7400", "udp://192.0.2.1:7400", "udp://192.0.2.1:7400"},
        {"grpcs://[2001:db8::1]:7", "grpcs://[2001:db8::1]:7", "grpcs://[2001:db8::1]:7"},
        {"zmq://desk:7401", "zmq://desk:7401", "zmq://desk:7401"},
        {"tcp://127.0.0.1:5", "tcp://127.0.0.1:5", NULL},
        {"tls://[::1]:5", "tls://[::1]:5", NULL},
        {"tls://localhost:5", "tls://localhost:5", NULL},
        {"unix:///run/osiris.sock", NULL, NULL},
        {"tcp://127.0.0.1:5?peer=seed", NULL, NULL},
        {"zmq://192.0.2.1:5?for=clients", NULL, NULL},
        {"mqtts://me@broker/a/b", NULL, NULL},
        {"nonsense", NULL, NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        char text[OSR_URL_TEXT_MAX];
        for (int is_local = 0; is_local < 2; is_local++) {
            const char *expected = is_local ? rows[i].near : rows[i].far;
            assert_int_equal(osr_ledger_address_tell(rows[i].listener, is_local, text),
                             expected != NULL);
            if (expected != NULL) {
                assert_string_equal(text, expected);
            }
        }
    }
}

/* What was told is dialled only where it could have been told so; nothing in it names our files. */
static void told_addresses_are_taken_with_care(void **state)
{
    (void)state;
    static const struct {
        const char *told;
        const char *seen;
        const char *dialled; /* NULL: nothing */
    } rows[] = {
        {"tls://*:7400", "tls://192.0.2.1:4711", "tls://192.0.2.1:7400"},
        {"tls://*:7400", "tls://[2001:db8::1]:4711", "tls://[2001:db8::1]:7400"},
        {"tls://*:7400", "tls://desk:7400?id=" ANA, "tls://desk:7400"},
        {"tcp://*:7400", "tcp://127.0.0.1:4711", "tcp://127.0.0.1:7400"},
        {"tls://192.0.2.9:1", "tls://192.0.2.1:4711", "tls://192.0.2.9:1"},
        {"tls://192.0.2.9:1", NULL, "tls://192.0.2.9:1"},
        {"tcp://127.0.0.1:1", NULL, "tcp://127.0.0.1:1"},
        {"tcp://127.0.0.1:1", "tcp://127.0.0.1:4711", "tcp://127.0.0.1:1"},
        {"tls://127.0.0.1:1", "tls://192.0.2.1:4711", NULL}, /* its own, not ours */
        {"tls://*:7400", NULL, NULL},
        {"tls://*:7400", "mqtts://broker/a", NULL},
        {"tls://*:7400", "unix:///run/osiris.sock", NULL},
        {"tls://*", "tls://192.0.2.1:4711", NULL}, /* nobody tells it without its port */
        {"tls://*:99999", "tls://192.0.2.1:4711", NULL},
        {"tls://*:0", "tls://192.0.2.1:4711", NULL},
        {"tls://*evil:1", "tls://192.0.2.1:4711", NULL},
        {"tls://0.0.0.0:1", "tls://192.0.2.1:4711", NULL},
        {"tcp://192.0.2.9:1", "tls://192.0.2.1:4711", NULL}, /* in plaintext */
        {"tls://192.0.2.9:1?codec=json", "tls://192.0.2.1:4711", NULL},
        {"mqtts://me@broker/a?password_file=/etc/shadow", "tls://192.0.2.1:4711", NULL},
        {"tls://192.0.2.9:1?password_file=/etc/shadow", "tls://192.0.2.1:4711", NULL},
        {"unix:///run/osiris.sock", "tls://192.0.2.1:4711", NULL},
        {"", "tls://192.0.2.1:4711", NULL},
        {"*", "tls://192.0.2.1:4711", NULL},
        {"://*:1", "tls://192.0.2.1:4711", NULL},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        struct osr_url url;
        bool is_taken = osr_ledger_address_take(rows[i].told, rows[i].seen, false, &url);
        assert_int_equal(is_taken, rows[i].dialled != NULL);
        if (is_taken) {
            assert_string_equal(url.text, rows[i].dialled);
        }
    }
    struct osr_url url;
    assert_true(osr_ledger_address_take("tcp://192.0.2.9:1", NULL, true, &url));
}

/* A text that fills its room is no way out of it. */
static void long_addresses_are_not_taken(void **state)
{
    (void)state;
    struct osr_url url;
    char told[2 * OSR_URL_TEXT_MAX] = "tls://*:1";
    memset(told + strlen(told), '1', OSR_URL_TEXT_MAX);
    assert_false(osr_ledger_address_take(told, "tls://192.0.2.1:4711", true, &url));
    memset(told + strlen("tls://"), 'h', OSR_URL_TEXT_MAX);
    assert_false(osr_ledger_address_take(told, "tls://192.0.2.1:4711", true, &url));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_context_says_what_was_put_in),
        cmocka_unit_test(what_does_not_fit_is_left_out),
        cmocka_unit_test(a_context_is_whole),
        cmocka_unit_test(a_context_has_one_encoding),
        cmocka_unit_test(all_understand_what_the_oldest_does),
        cmocka_unit_test(what_a_member_says_now_counts),
        cmocka_unit_test(who_is_nobody_is_not_written_down),
        cmocka_unit_test(what_found_no_room_is_no_news),
        cmocka_unit_test(addresses_are_known_as_well_as_can_be),
        cmocka_unit_test(listeners_are_told_to_members),
        cmocka_unit_test(told_addresses_are_taken_with_care),
        cmocka_unit_test(long_addresses_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
