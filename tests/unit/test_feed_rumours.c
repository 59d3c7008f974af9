/* The feed core and peers that tell of feeds: how many it believes in, and for how long. */
#include "lib/feed_puppet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "model/limits.h"

/* A HELLO that names more feeds than an instance can hold is refused. */
static void feed_refuses_too_many_held_feeds(void **state)
{
    struct rig *rig = *state;
    struct puppet puppet = puppet_make(2, 5);
    Osr__FeedHead head = feed_head(puppet.id, "kb", 1);
    Osr__FeedHead **held = osr_alloc((OSR_FEEDS_MAX + 1) * sizeof(held[0]));
    for (size_t i = 0; i <= OSR_FEEDS_MAX; i++) {
        held[i] = &head;
    }
    rig_link_up(rig, 5, false);
    puppet_hello(rig, &puppet, held, OSR_FEEDS_MAX + 1);
    assert_closed(rig, 5, OSR_TOO_LARGE);
    free(held);
}

static void tell_of_made_up_feeds(struct rig *rig, const struct puppet *puppet, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        puppet_ack_of(rig, puppet, made_up_feed(i).origin, "kb", 1);
        rig_forget(rig);
    }
}

/* Made-up origins fill their part of the table of feeds, and leave room for a peer's own. */
static void feed_bounds_the_feeds_it_holds(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = puppet_joined(rig, 2, 5, 0);
    tell_of_made_up_feeds(rig, &liar, OSR_FEEDS_MAX + 10);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX);
    puppet_joined(rig, 3, 6, 1);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX + 1);
    assert_fetched(rig, 6, 1);
}

/* Nor do they keep out what few may lead: news of who belongs to the cluster comes over a relay
 * too. */
static void feed_has_room_for_trust_beside_made_up_feeds(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = puppet_joined(rig, 2, 5, 0);
    struct puppet relay = puppet_joined(rig, 3, 6, 0);
    struct puppet authority = puppet_make(4, 7);
    tell_of_made_up_feeds(rig, &liar, OSR_FEEDS_MAX);
    puppet_ack_of(rig, &relay, authority.id, "trust", 1);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX + 1);
    assert_fetched(rig, 6, 1);
    assert_string_equal(rig_find_frame(rig, 6, OSR__FRAME__BODY_FETCH)->fetch->stream, "trust");
}

/* What is our own has its place in any case, but not epochs of it that we never began. */
static void feed_bounds_made_up_epochs_of_its_own(void **state)
{
    struct rig *rig = *state;
    char self[OSR_INSTANCE_CHARS + 1];
    memcpy(self, osr_feed_instance(rig->core), sizeof(self));
    struct puppet liar = puppet_joined(rig, 2, 5, 0);
    Osr__Ack ack;
    osr__ack__init(&ack);
    ack.origin = self;
    ack.stream = "kb";
    ack.sequence = 1;
    Osr__Frame frame = frame_of(OSR__FRAME__BODY_ACK);
    frame.ack = &ack;
    for (ack.epoch = 2; ack.epoch < OSR_FEEDS_MAX + 10; ack.epoch++) {
        rig_deliver(rig, liar.link, &frame);
        rig_forget(rig);
    }
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX);
    puppet_ack_of(rig, &liar, self, "trust", 1);
    assert_int_equal(osr_feed_count(rig->core), OSR_FEEDS_TOLD_MAX + 1);
    struct osr_feed_info info;
    osr_feed_info(rig->core, OSR_FEEDS_TOLD_MAX, &info);
    assert_true(info.own);
}

/* Feeds that are known by name alone go with the link that told of them. */
static void feed_forgets_rumours(void **state)
{
    struct rig *rig = *state;
    struct puppet liar = puppet_joined(rig, 2, 5, 0);
    struct puppet other = puppet_joined(rig, 3, 6, 0);
    size_t before = osr_feed_count(rig->core);
    tell_of_made_up_feeds(rig, &liar, 20);
    tell_of_made_up_feeds(rig, &other, 5);
    assert_int_equal(osr_feed_count(rig->core), before + 20);
    rig_link_down(rig, 5);
    assert_int_equal(osr_feed_count(rig->core), before + 5);
    rig_link_down(rig, 6);
    assert_int_equal(osr_feed_count(rig->core), before);
}

/* Statements about feeds that cannot be are refused. */
static void feed_refuses_statements_about_impossible_feeds(void **state)
{
    (void)state;
    const struct {
        const char *origin;
        const char *stream;
    } cases[] = {{"", "kb"}, {"ABC", "kb"}, {NULL, "secrets"}, {NULL, ""}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct rig *rig = rig_create();
        struct puppet puppet = puppet_joined(rig, 2, 5, 0);
        puppet_ack_of(rig, &puppet, cases[i].origin != NULL ? cases[i].origin : puppet.id,
                      cases[i].stream, 1);
        assert_closed(rig, 5, OSR_INVALID_ARGUMENT);
        rig_destroy(rig);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_set_up, rig_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(feed_refuses_too_many_held_feeds),
        TEST(feed_bounds_the_feeds_it_holds),
        TEST(feed_has_room_for_trust_beside_made_up_feeds),
        TEST(feed_bounds_made_up_epochs_of_its_own),
        TEST(feed_forgets_rumours),
        cmocka_unit_test(feed_refuses_statements_about_impossible_feeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
