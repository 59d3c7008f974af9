/* Who speaks for which member, and how many of them nobody knows. */
#include "node/ledger_roll.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/journal_fixture.h"

#define ANA "anaanaanaanaanaanaanaanaanaanaan"
#define BEN "benbenbenbenbenbenbenbenbenbenbe"

enum { OWN_ID = 1 };

struct fixture {
    struct journal_fixture *journal;
    struct osr_ledger_roll *roll;
    struct osr_raft_configuration configuration;
    struct osr_ledger_now now;
    struct osr_err err;
};

static void add_member(struct fixture *fixture, uint64_t id, const char *instance)
{
    struct osr_ledger_member who = {.name = "x"};
    struct osr_raft_member *member =
        &fixture->configuration.members[fixture->configuration.count++];
    *member = (struct osr_raft_member){.id = id, .standing = OSR_RAFT_VOTER};
    snprintf(who.instance, sizeof(who.instance), "%s", instance);
    osr_ledger_member_encode(&who, member);
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, OWN_ID, fixture->now.newest_link);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    assert_int_equal(journal_set_up((void **)&fixture->journal), 0);
    fixture->roll = osr_ledger_roll_create(fixture->journal->journal);
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, OWN_ID, fixture->now.newest_link);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_ledger_roll_destroy(fixture->roll);
    assert_int_equal(journal_tear_down((void **)&fixture->journal), 0);
    free(fixture);
    return 0;
}

static int claim(struct fixture *fixture, const char *instance, uint32_t link, uint64_t member)
{
    const struct osr_ledger_claim said = {
        .instance = instance, .link = link, .member = member, .starts = 1, .term = 1};
    if (link > fixture->now.newest_link) {
        fixture->now.newest_link = link;
    }
    return osr_ledger_roll_take(fixture->roll, &said, &fixture->now, &fixture->err);
}

/* "stranger0..." and so on: ids that are as good as any. */
static const char *stranger(int number)
{
    static char instance[OSR_INSTANCE_CHARS + 1];
    snprintf(instance, sizeof(instance), "stranger%c%caaaaaaaaaaaaaaaaaaaaaa", 'a' + number / 26,
             'a' + number % 26);
    return instance;
}

/* Each id is of one instance, and each instance in the configuration has one id. */
static void ids_are_of_one_instance(void **state)
{
    struct fixture *fixture = *state;
    add_member(fixture, 2, ANA);
    assert_string_equal(osr_ledger_roll_instance(fixture->roll, 2), ANA);
    assert_null(osr_ledger_roll_instance(fixture->roll, 3));
    assert_int_equal(claim(fixture, ANA, 1, 2), 0);
    assert_int_equal(claim(fixture, BEN, 2, 2), OSR_PERMISSION_DENIED);
    assert_int_equal(claim(fixture, ANA, 1, 3), OSR_PERMISSION_DENIED);
    assert_int_equal(claim(fixture, ANA, 1, OWN_ID), OSR_PERMISSION_DENIED);
    assert_int_equal(claim(fixture, ANA, 1, 0), OSR_INVALID_ARGUMENT);
    assert_int_equal(claim(fixture, BEN, 2, 3), OSR_PERMISSION_DENIED);
}

/* A leader that removes itself leads until that is agreed on; a new link of one that was removed is
 * a stranger's. */
static void who_is_removed_goes_on_over_its_links(void **state)
{
    struct fixture *fixture = *state;
    add_member(fixture, 2, ANA);
    add_member(fixture, 3, BEN);
    assert_int_equal(claim(fixture, BEN, 1, 3), 0);
    assert_int_equal(claim(fixture, BEN, 2, 3), 0);
    fixture->configuration.count = 1;
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, OWN_ID, fixture->now.newest_link);
    assert_int_equal(claim(fixture, BEN, 1, 3), 0);
    osr_ledger_roll_release(fixture->roll, 1);
    assert_int_equal(claim(fixture, BEN, 2, 3), 0);
    assert_int_equal(claim(fixture, BEN, 3, 3), OSR_PERMISSION_DENIED);
}

/* While nobody is known, nobody can be told from a member, but each has one id. */
static void without_a_configuration_who_comes_first_counts(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(claim(fixture, BEN, 2, 3), 0);
    assert_int_equal(claim(fixture, BEN, 2, 4), 0); /* it is 3 no more */
    assert_int_equal(claim(fixture, ANA, 3, 3), 0);
    assert_int_equal(claim(fixture, ANA, 3, 4), OSR_PERMISSION_DENIED);
    add_member(fixture, 3, BEN);
    assert_int_equal(claim(fixture, ANA, 3, 3), OSR_PERMISSION_DENIED);
    assert_int_equal(claim(fixture, BEN, 2, 3), 0);
}

/* Whom a member vouches for is believed; the own configuration counts more, and the newest word. */
static void members_vouch_for_others(void **state)
{
    struct fixture *fixture = *state;
    struct osr_raft_configuration theirs;
    add_member(fixture, 5, BEN);
    add_member(fixture, 6, stranger(0));
    theirs = fixture->configuration;
    fixture->configuration.count = 0;
    add_member(fixture, 2, ANA);
    add_member(fixture, 6, stranger(1));
    assert_int_equal(claim(fixture, BEN, 1, 5), OSR_PERMISSION_DENIED);
    osr_ledger_roll_vouch(fixture->roll, &theirs);
    assert_int_equal(claim(fixture, BEN, 1, 5), 0);
    assert_int_equal(claim(fixture, stranger(1), 3, 6), 0);
    assert_int_equal(claim(fixture, stranger(0), 2, 6), OSR_PERMISSION_DENIED);
    assert_null(osr_ledger_roll_instance(fixture->roll, 5)); /* it may not vouch for others */
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, OWN_ID, fixture->now.newest_link);
    assert_int_equal(claim(fixture, BEN, 4, 5), OSR_PERMISSION_DENIED);
}

/* Nobody else is this member, also where its configuration is older than it is. */
static void the_own_id_is_nobody_elses(void **state)
{
    struct fixture *fixture = *state;
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, 7, 0);
    assert_int_equal(claim(fixture, ANA, 1, 7), OSR_PERMISSION_DENIED);
}

/* A member whose context nobody can read is nobody's to be. */
static void an_unreadable_member_is_nobody(void **state)
{
    struct fixture *fixture = *state;
    add_member(fixture, 2, ANA);
    fixture->configuration.members[0].context_size = 1;
    osr_ledger_roll_set(fixture->roll, &fixture->configuration, OWN_ID, fixture->now.newest_link);
    assert_int_equal(claim(fixture, ANA, 1, 2), OSR_PERMISSION_DENIED);
}

/* Made-up ids do not fill memory, nor push out those that are in use; those whose links are gone
 * make way, the oldest first. */
static void strangers_are_limited(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < OSR_LEDGER_STRANGERS_MAX; i++) {
        assert_int_equal(claim(fixture, stranger(i), (uint32_t)i + 1, (uint64_t)i + 100), 0);
    }
    assert_int_equal(claim(fixture, stranger(40), 41, 140), OSR_BUSY);
    assert_int_equal(claim(fixture, stranger(5), 6, 141), 0); /* it may think again */
    osr_ledger_roll_release(fixture->roll, 8);
    osr_ledger_roll_release(fixture->roll, 3);
    assert_int_equal(claim(fixture, stranger(40), 41, 102), OSR_PERMISSION_DENIED); /* not yet */
    assert_int_equal(claim(fixture, stranger(40), 41, 140), 0);
    assert_int_equal(claim(fixture, stranger(40), 41, 102), 0); /* it was forgotten */
    assert_int_equal(claim(fixture, stranger(41), 42, 107), OSR_PERMISSION_DENIED);
    assert_int_equal(claim(fixture, stranger(41), 42, 150), 0);
    assert_int_equal(claim(fixture, stranger(42), 43, 160), OSR_BUSY);
}

static void vouch_for_strangers(struct fixture *fixture, int first)
{
    struct osr_raft_configuration theirs = {.count = OSR_RAFT_MEMBERS_MAX};
    for (int i = 0; i < OSR_RAFT_MEMBERS_MAX; i++) {
        struct osr_ledger_member who = {.name = "x"};
        snprintf(who.instance, sizeof(who.instance), "%s", stranger(first + i));
        theirs.members[i] =
            (struct osr_raft_member){.id = (uint64_t)(first + i) + 100, .standing = OSR_RAFT_VOTER};
        osr_ledger_member_encode(&who, &theirs.members[i]);
    }
    osr_ledger_roll_vouch(fixture->roll, &theirs);
}

/* There is room for all members, however many others there are, and were members before. */
static void members_find_room_among_strangers(void **state)
{
    struct fixture *fixture = *state;
    uint32_t link = 0;
    while (fixture->configuration.count < OSR_RAFT_MEMBERS_MAX) {
        int number = (int)fixture->configuration.count;
        add_member(fixture, (uint64_t)number + 10, stranger(number));
        assert_int_equal(claim(fixture, stranger(number), ++link, (uint64_t)number + 10), 0);
    }
    for (int i = 50; i < 50 + OSR_LEDGER_STRANGERS_MAX; i += OSR_RAFT_MEMBERS_MAX) {
        vouch_for_strangers(fixture, i);
    }
    for (int i = 50; i < 50 + OSR_LEDGER_STRANGERS_MAX; i++) {
        assert_int_equal(claim(fixture, stranger(i), ++link, (uint64_t)i + 100), 0);
    }
    vouch_for_strangers(fixture, 90); /* finds no room, and that is all */
    assert_int_equal(claim(fixture, stranger(90), ++link, 190), OSR_PERMISSION_DENIED);
    fixture->configuration.count = 0;
    while (fixture->configuration.count < OSR_RAFT_MEMBERS_MAX) {
        int number = (int)fixture->configuration.count + 20;
        add_member(fixture, (uint64_t)number + 200, stranger(number));
        assert_int_equal(claim(fixture, stranger(number), ++link, (uint64_t)number + 200), 0);
    }
}

static void count_fact(void *context, const char *key, struct osr_slice value)
{
    (void)key;
    (void)value;
    ++*(size_t *)context;
}

static size_t count_facts(struct fixture *fixture)
{
    size_t count = 0;
    for (int i = 0; i < 50; i++) { /* what is under way to the log */
        uv_run(&fixture->journal->loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    }
    osr_journal_facts(fixture->journal->journal, "member:", count_fact, &count);
    return count;
}

/* Only members leave something in the log: whoever may link could make up others without end. */
static void strangers_leave_nothing_in_the_log(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(claim(fixture, ANA, 1, 2), 0);
    assert_int_equal(claim(fixture, BEN, 2, 3), 0);
    assert_int_equal(count_facts(fixture), 0);
    add_member(fixture, 2, ANA); /* what it said before counts */
    assert_int_equal(count_facts(fixture), 1);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_own_id_is_nobody_elses),
        TEST(ids_are_of_one_instance),
        TEST(who_is_removed_goes_on_over_its_links),
        TEST(without_a_configuration_who_comes_first_counts),
        TEST(members_vouch_for_others),
        TEST(an_unreadable_member_is_nobody),
        TEST(strangers_are_limited),
        TEST(members_find_room_among_strangers),
        TEST(strangers_leave_nothing_in_the_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
