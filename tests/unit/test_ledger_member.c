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
        cmocka_unit_test(listeners_are_told_to_members),
        cmocka_unit_test(told_addresses_are_taken_with_care),
        cmocka_unit_test(long_addresses_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
