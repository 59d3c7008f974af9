/* The feed core and its links: who may talk to it, and which of two links to one peer stays. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/limits.h"

/* Nothing about feeds is taken from a peer that has not proved who it is. */
static void feed_refuses_update_before_proof(void **state)
{
    (void)state;
    for (int with_hello = 0; with_hello < 2; with_hello++) {
        struct rig *rig = rig_create();
        struct puppet puppet = puppet_make(2, 5);
        rig_link_up(rig, 5, false);
        if (with_hello) {
            puppet_hello(rig, &puppet, NULL, 0);
        }
        puppet_send_next(rig, &puppet, 1);
        assert_closed(rig, 5, OSR_UNAUTHENTICATED);
        assert_none(rig, OSR_FEED_OUT_STORE);
        rig_destroy(rig);
    }
}

/* A peer that says whom it is and cannot prove it is refused. */
static void feed_refuses_a_forged_proof(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    puppet_greet(rig, &puppet, false);
    puppet.nonce ^= 1; /* signs another link's nonce: a proof replayed from there */
    puppet_prove(rig, &puppet);
    assert_closed(rig, 5, OSR_UNAUTHENTICATED);
    assert_none(rig, OSR_FEED_OUT_IDENTIFIED);
}

/* Another's id with one's own key is refused. */
static void feed_refuses_a_stolen_id(void **state)
{
    struct rig *rig = *state;
    struct puppet victim = puppet_make(2, 5);
    struct puppet thief = puppet_make(3, 5);
    memcpy(thief.id, victim.id, sizeof(thief.id));
    puppet_greet(rig, &thief, false);
    puppet_prove(rig, &thief);
    assert_closed(rig, 5, OSR_UNAUTHENTICATED);
}

/* What a peer may say while its proof is being verified is kept, and takes effect after. */
static void feed_keeps_what_is_said_while_a_proof_is_verified(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    rig_write_one(rig, 1);
    puppet_greet(rig, &puppet, false);
    rig->hold_verifies = true;
    puppet_prove(rig, &puppet);
    puppet_fetch(rig, &puppet, 1);
    assert_open(rig);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_UPDATE);
    rig_release_verify(rig, 0);
    assert_non_null(rig_find_frame(rig, 5, OSR__FRAME__BODY_UPDATE));
}

/* Clusters are kept apart by name. */
static void feed_refuses_another_cluster(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    puppet.cluster = "other";
    puppet_greet(rig, &puppet, false);
    assert_closed(rig, 5, OSR_WRONG_CLUSTER);
}

/* An instance that dials itself is told so. */
static void feed_refuses_itself(void **state)
{
    struct rig *rig = *state;
    struct puppet mirror = puppet_make(OWN_NUMBER, 5); /* own key, own boot */
    puppet_greet(rig, &mirror, true);
    assert_closed(rig, 5, OSR_INVALID_ARGUMENT);
    assert_true(rig_has_said(rig, "the instance itself"));
}

/* A second process with our own identity is refused. */
static void feed_refuses_its_own_identity_in_another_process(void **state)
{
    struct rig *rig = *state;
    struct puppet twin = puppet_make(OWN_NUMBER, 5);
    twin.boot = 9;
    puppet_greet(rig, &twin, true);
    assert_closed(rig, 5, OSR_DUPLICATE_IDENTITY);
}

/* Of two processes with one identity the second is refused while the first is alive. */
static void feed_refuses_a_second_process_of_a_peer(void **state)
{
    struct rig *rig = *state;
    struct puppet first = puppet_make(2, 5);
    struct puppet second = puppet_make(2, 6);
    second.boot = 9;
    puppet_join(rig, &first, 0);
    puppet_join(rig, &second, 0);
    assert_closed(rig, 6, OSR_DUPLICATE_IDENTITY);
}

/* A peer that was restarted takes the place of its old link once that has fallen silent. */
static void feed_lets_a_restarted_peer_replace_its_silent_link(void **state)
{
    struct rig *rig = *state;
    struct puppet first = puppet_make(2, 5);
    struct puppet second = puppet_make(2, 6);
    second.boot = 9;
    puppet_join(rig, &first, 0);
    rig_advance(rig, 2 * HEARTBEAT_MS + 1);
    rig_forget(rig);
    puppet_join(rig, &second, 0);
    assert_closed(rig, 5, OSR_CANCELLED);
    assert_non_null(rig_find(rig, OSR_FEED_OUT_IDENTIFIED, 0));
}

/* Which of two links to one process stays depends on who dialled and on the ids alone, so that
 * both sides keep the same one. */
static void feed_keeps_the_link_that_the_smaller_id_dialled(void **state)
{
    (void)state;
    for (int dialled_first = 0; dialled_first < 2; dialled_first++) {
        struct rig *rig = rig_create();
        struct puppet first = puppet_make(2, 5);
        struct puppet second = puppet_make(2, 6);
        puppet_greet(rig, &first, dialled_first);
        puppet_prove(rig, &first);
        puppet_greet(rig, &second, !dialled_first);
        puppet_prove(rig, &second);
        bool we_are_smaller = strcmp(osr_feed_instance(rig->core), first.id) < 0;
        bool first_stays = we_are_smaller == dialled_first;
        assert_closed(rig, first_stays ? 6 : 5, OSR_CANCELLED);
        rig_destroy(rig);
    }
}

static struct puppet ledger_puppet(uint8_t number, uint32_t link)
{
    struct puppet puppet = puppet_make(number, link);
    puppet.purpose = OSR__LINK_PURPOSE__FOR_LEDGER;
    return puppet;
}

/* One link of each purpose may be there; of two for the ledger the same one stays as of two for
 * feeds, and those for feeds do not matter to it. */
static void feed_keeps_one_link_of_each_purpose(void **state)
{
    (void)state;
    for (int dialled_first = 0; dialled_first < 2; dialled_first++) {
        struct rig *rig = rig_create();
        struct puppet feeds = puppet_joined(rig, 2, 4, 0);
        struct puppet first = ledger_puppet(2, 5);
        struct puppet second = ledger_puppet(2, 6);
        puppet_greet(rig, &first, dialled_first);
        puppet_prove(rig, &first);
        assert_open(rig);
        puppet_greet(rig, &second, !dialled_first);
        puppet_prove(rig, &second);
        bool we_are_smaller = strcmp(osr_feed_instance(rig->core), feeds.id) < 0;
        bool first_stays = we_are_smaller == dialled_first;
        assert_closed(rig, first_stays ? 6 : 5, OSR_CANCELLED);
        assert_int_equal(rig_count(rig, OSR_FEED_OUT_CLOSE), 1);
        rig_destroy(rig);
    }
}

/* Another process of an instance is refused for whichever purpose it comes, and takes the place of
 * what has fallen silent. */
static void feed_refuses_a_second_process_for_any_purpose(void **state)
{
    (void)state;
    for (int silent = 0; silent < 2; silent++) {
        struct rig *rig = rig_create();
        struct puppet second = ledger_puppet(2, 6);
        second.boot = 9;
        puppet_joined(rig, 2, 5, 0);
        rig_advance(rig, silent ? 2 * HEARTBEAT_MS + 1 : 0);
        rig_forget(rig);
        puppet_join(rig, &second, 0);
        assert_closed(rig, silent ? 5 : 6, silent ? OSR_CANCELLED : OSR_DUPLICATE_IDENTITY);
        assert_int_equal(rig_count(rig, OSR_FEED_OUT_CLOSE), 1);
        rig_destroy(rig);
    }
}

/* On a link for the ledger nothing is said of feeds, now or later, and who is there follows none.
 */
static void feed_says_nothing_of_feeds_on_a_link_for_the_ledger(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = ledger_puppet(2, 5);
    rig_write_one(rig, 1);
    puppet_join(rig, &puppet, 3);
    assert_non_null(rig_find(rig, OSR_FEED_OUT_IDENTIFIED, 0));
    const Osr__Frame *hello = rig_find_frame(rig, 5, OSR__FRAME__BODY_HELLO);
    assert_int_equal(hello->hello->purpose, OSR__LINK_PURPOSE__FOR_LEDGER);
    assert_int_equal(hello->hello->n_held, 0);
    rig_write_one(rig, 2);
    rig_advance(rig, HEARTBEAT_MS + 1);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_ACK);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_FETCH);
    assert_non_null(rig_find_frame(rig, 5, OSR__FRAME__BODY_PING));
    assert_int_equal(osr_feed_count(rig->core), 1);
    assert_int_equal(osr_feed_follower_count(rig->core, 0), 0);
    rig_link_down(rig, 5);
    assert_open(rig);
}

/* Nor is anything of feeds heard there. */
static void feed_refuses_feeds_on_a_link_for_the_ledger(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct rig *rig = rig_create();
        struct puppet puppet = ledger_puppet(2, 5);
        puppet_join(rig, &puppet, 0);
        if (kind == 0) {
            puppet_send_next(rig, &puppet, 1);
        } else if (kind == 1) {
            puppet_ack(rig, &puppet, 1);
        } else {
            puppet_fetch(rig, &puppet, 1);
        }
        assert_closed(rig, 5, OSR_INVALID_ARGUMENT);
        assert_none(rig, OSR_FEED_OUT_STORE);
        rig_destroy(rig);
    }
}

/* Who takes a link for the ledger for one for feeds is let go before it is shown who we are: else
 * it would give up the link that it has. */
static void feed_leaves_who_has_no_links_for_the_ledger(void **state)
{
    struct rig *rig = *state;
    const struct puppet older = puppet_make(2, 5);
    rig->purpose = OSR__LINK_PURPOSE__FOR_LEDGER;
    rig_link_up(rig, 5, true);
    puppet_hello(rig, &older, NULL, 0);
    assert_closed(rig, 5, OSR_UNSUPPORTED_VERSION);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_HELLO_PROOF);
}

/* Nor is a link that was dialled for feeds taken for one for the ledger. */
static void feed_leaves_who_takes_its_link_for_the_ledger(void **state)
{
    struct rig *rig = *state;
    const struct puppet other = ledger_puppet(2, 5);
    rig_link_up(rig, 5, true);
    puppet_hello(rig, &other, NULL, 0);
    assert_closed(rig, 5, OSR_UNSUPPORTED_VERSION);
    assert_not_sent(rig, 5, OSR__FRAME__BODY_HELLO_PROOF);
    assert_string_equal(rig_find_frame(rig, 5, OSR__FRAME__BODY_ERROR)->error->message,
                        "HELLO: this link was dialled for feeds");
}

/* Links for the ledger have places of their own. */
static void feed_has_room_for_links_for_the_ledger(void **state)
{
    (void)state;
    struct rig *rig = rig_create_stopped(1);
    rig_start(rig, NULL, 0);
    rig_link_up(rig, 5, false);
    rig->purpose = OSR__LINK_PURPOSE__FOR_LEDGER;
    for (uint32_t i = 0; i < OSR_LEDGER_LINKS_MAX; i++) {
        rig_link_up(rig, 6 + i, false);
    }
    assert_open(rig);
    rig_link_up(rig, 6 + OSR_LEDGER_LINKS_MAX, false);
    assert_closed(rig, 6 + OSR_LEDGER_LINKS_MAX, OSR_BUSY);
    rig_destroy(rig);
}

/* A frame that has no place between instances is refused. */
static void feed_refuses_other_frames(void **state)
{
    struct rig *rig = *state;
    puppet_joined(rig, 2, 5, 0);
    const Osr__Frame frame = frame_of(OSR__FRAME__BODY__NOT_SET);
    rig_deliver(rig, 5, &frame);
    assert_closed(rig, 5, OSR_UNKNOWN_TYPE);
}

/* One link more than there is room for is refused; the others go on. */
static void feed_refuses_links_over_the_limit(void **state)
{
    (void)state;
    struct rig *rig = rig_create_stopped(1);
    rig_start(rig, NULL, 0);
    struct puppet puppet = puppet_joined(rig, 2, 5, 0);
    rig_forget(rig);
    rig_link_up(rig, 6, false);
    assert_closed(rig, 6, OSR_BUSY);
    puppet_ack(rig, &puppet, 0);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_CLOSE), 1);
    rig_destroy(rig);
}

/* A link on which nothing is heard is asked, then closed; so is one that never proves itself. */
static void feed_closes_silent_links(void **state)
{
    struct rig *rig = *state;
    puppet_joined(rig, 2, 5, 0);
    rig_link_up(rig, 6, false);
    rig_forget(rig);
    rig_advance(rig, HEARTBEAT_MS + 1);
    assert_non_null(rig_find_frame(rig, 5, OSR__FRAME__BODY_PING));
    assert_open(rig);
    rig_advance(rig, SILENCE_MS);
    assert_int_equal(rig_count(rig, OSR_FEED_OUT_CLOSE), 2);
    assert_int_equal(rig_find(rig, OSR_FEED_OUT_CLOSE, 0)->code, OSR_TIMEOUT);
    assert_int_equal(rig_find(rig, OSR_FEED_OUT_CLOSE, 1)->code, OSR_TIMEOUT);
}

/* Sends one HELLO that was tampered with. */
static void assert_hello_refused(void (*tamper)(Osr__Hello *), enum osr_code code)
{
    struct rig *rig = rig_create();
    struct puppet puppet = puppet_make(2, 5);
    uint8_t bytes[OSR_NONCE_SIZE] = {7};
    Osr__Hello hello;
    osr__hello__init(&hello);
    hello.protocol = 1;
    hello.entry_format = OSR_ENTRY_FORMAT;
    hello.cluster = "test";
    hello.instance = puppet.id;
    hello.nonce = (ProtobufCBinaryData){OSR_NONCE_SIZE, bytes};
    hello.boot = (ProtobufCBinaryData){OSR_BOOT_SIZE, bytes};
    tamper(&hello);
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_HELLO);
    frame.hello = &hello;
    rig_link_up(rig, 5, false);
    rig_deliver(rig, 5, &frame);
    assert_closed(rig, 5, code);
    rig_destroy(rig);
}

static void newer_protocol(Osr__Hello *hello)
{
    hello->protocol = 2;
}

static void no_entry_format(Osr__Hello *hello)
{
    hello->entry_format = 0;
}

static void short_nonce(Osr__Hello *hello)
{
    hello->nonce.len = 31;
}

static void no_boot(Osr__Hello *hello)
{
    hello->boot = (ProtobufCBinaryData){0, NULL};
}

static void bad_instance(Osr__Hello *hello)
{
    hello->instance = "NOT AN ID";
}

static void control_in_name(Osr__Hello *hello)
{
    hello->name = "a\nb";
}

static void long_name(Osr__Hello *hello)
{
    static char name[OSR_NAME_BYTES_MAX + 2];
    memset(name, 'n', sizeof(name) - 1);
    hello->name = name;
}

/* A HELLO whose fields may not be so is refused, each with its code. */
static void feed_refuses_malformed_hello(void **state)
{
    (void)state;
    assert_hello_refused(newer_protocol, OSR_UNSUPPORTED_VERSION);
    assert_hello_refused(no_entry_format, OSR_UNSUPPORTED_VERSION);
    assert_hello_refused(short_nonce, OSR_INVALID_ARGUMENT);
    assert_hello_refused(no_boot, OSR_INVALID_ARGUMENT);
    assert_hello_refused(bad_instance, OSR_INVALID_ARGUMENT);
    assert_hello_refused(control_in_name, OSR_INVALID_ARGUMENT);
    assert_hello_refused(long_name, OSR_INVALID_ARGUMENT);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(feed_refuses_update_before_proof),
        TEST(feed_refuses_a_forged_proof),
        TEST(feed_refuses_a_stolen_id),
        TEST(feed_keeps_what_is_said_while_a_proof_is_verified),
        TEST(feed_refuses_another_cluster),
        TEST(feed_refuses_itself),
        TEST(feed_refuses_its_own_identity_in_another_process),
        TEST(feed_refuses_a_second_process_of_a_peer),
        TEST(feed_lets_a_restarted_peer_replace_its_silent_link),
        cmocka_unit_test(feed_keeps_the_link_that_the_smaller_id_dialled),
        cmocka_unit_test(feed_keeps_one_link_of_each_purpose),
        cmocka_unit_test(feed_refuses_a_second_process_for_any_purpose),
        TEST(feed_says_nothing_of_feeds_on_a_link_for_the_ledger),
        cmocka_unit_test(feed_refuses_feeds_on_a_link_for_the_ledger),
        TEST(feed_leaves_who_has_no_links_for_the_ledger),
        TEST(feed_leaves_who_takes_its_link_for_the_ledger),
        cmocka_unit_test(feed_has_room_for_links_for_the_ledger),
        TEST(feed_refuses_other_frames),
        cmocka_unit_test(feed_refuses_links_over_the_limit),
        TEST(feed_closes_silent_links),
        cmocka_unit_test(feed_refuses_malformed_hello),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
