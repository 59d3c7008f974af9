/* Members that come back with less than they had, instances that wait to be added, and who is
 * dialled. */
#include "lib/ledger_links_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- who was restored from an old copy ---- */

static struct puppet *come_back(struct links_rig *rig, struct puppet *gone, Osr__Member as)
{
    puppet_leave(gone);
    rig->puppet_count = 0;
    struct puppet *back = puppet_link(rig, ANA);
    puppet_say_member(back, as);
    return back;
}

/* Fewer starts, a smaller term, less than it acknowledged: it may not take part any more. */
static void who_says_less_than_before_is_refused(void **state)
{
    struct links_rig *rig = *state;
    Osr__Member ana = puppet_member(ANA_ID);
    ana.starts = 3;
    struct puppet *puppet = puppet_link(rig, ANA);
    puppet_say_member(puppet, ana);
    rig->acknowledged = 90;

    ana.last_index = 89;
    puppet = come_back(rig, puppet, ana);
    assert_int_equal(puppet->refused, OSR_CONFLICT);
    assert_int_equal(rig->lost, 1);
    assert_non_null(strstr(osr_ledger_links_trouble(rig->links, ANA_ID), "old copy"));

    ana.last_index = 90;
    puppet = come_back(rig, puppet, ana);
    assert_int_equal(puppet->refused, OSR_OK);

    ana.term = 4;
    puppet = come_back(rig, puppet, ana);
    assert_int_equal(puppet->refused, OSR_CONFLICT);

    ana.term = 6; /* and another leader may have had it cut off what it acknowledged here */
    ana.last_index = 1;
    puppet = come_back(rig, puppet, ana);
    assert_int_equal(puppet->refused, OSR_OK);

    ana.starts = 2;
    puppet = come_back(rig, puppet, ana);
    assert_int_equal(puppet->refused, OSR_CONFLICT);
    puppet_say_raft(puppet, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 0);
}

static void count_fact(void *context, const char *key, struct osr_slice value)
{
    (void)key;
    assert_int_equal(value.size, 8);
    ++*(size_t *)context;
}

static void wait_for_fact(struct links_rig *rig, const char *key)
{
    size_t count = 0;
    while (count == 0) {
        uv_run(rig->loop, UV_RUN_ONCE);
        osr_journal_facts(rig->journal->journal, key, count_fact, &count);
    }
}

/* Starts are remembered over a restart of this instance. */
static void starts_are_remembered(void **state)
{
    struct links_rig *rig = *state;
    Osr__Member ana = puppet_member(ANA_ID);
    ana.starts = 3;
    struct puppet *puppet = puppet_link(rig, ANA);
    puppet_say_member(puppet, ana);
    puppet_leave(puppet);
    wait_for_fact(rig, "member:2");
    osr_ledger_links_destroy(rig->links);
    links_open(rig);
    links_settle(rig);

    rig->puppet_count = 0;
    puppet = puppet_link(rig, ANA);
    ana.starts = 2;
    puppet_say_member(puppet, ana);
    assert_int_equal(puppet->refused, OSR_CONFLICT);
    ana.starts = 4;
    puppet_say_member(puppet, ana);
    assert_int_equal(puppet->refused, OSR_OK);
}

/* What was said on one link does not make another, older one of the same process a liar. */
static void links_may_overtake_each_other(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *slow = puppet_link(rig, ANA);
    struct puppet *fast = puppet_link(rig, ANA);
    Osr__Member ana = puppet_member(ANA_ID);
    ana.term = 6;
    puppet_say_member(fast, ana);
    rig->acknowledged = 200;
    puppet_leave(fast);
    puppet_say_member(slow, puppet_member(ANA_ID)); /* term 5, 100 entries: sent before */
    assert_int_equal(slow->refused, OSR_OK);
}

/* A member that says so makes this one stop; a stranger cannot. */
static void only_members_can_say_that_this_one_is_old(void **state)
{
    struct links_rig *rig = *state;
    Osr__Member member = puppet_member(77);
    member.refused = OSR__CODE__CONFLICT;
    member.why = "old";
    rig->configuration.count = 2; /* own and ANA */
    osr_ledger_links_changed(rig->links);
    struct puppet *ben = puppet_link(rig, BEN);
    puppet_say_member(ben, member);
    member.member = ANA_ID;
    puppet_say_member(ben, member);
    assert_int_equal(rig->refusals, 0);

    struct puppet *ana = puppet_link(rig, ANA);
    puppet_say_member(ana, member);
    assert_int_equal(rig->refusals, 1);
    assert_int_equal(rig->refusal, OSR_CONFLICT);
    assert_false(osr_ledger_links_is_reachable(rig->links, ANA_ID));
    puppet_say_member(ana, puppet_member(ANA_ID));
    assert_true(osr_ledger_links_is_reachable(rig->links, ANA_ID));
}

/* ---- who waits to be added ---- */

/* It is told of, found by its name or id, and told who it has become. */
static void who_waits_is_welcomed(void **state)
{
    struct links_rig *rig = *state;
    rig->configuration.count = 2;
    struct puppet *ben = puppet_link(rig, BEN);
    assert_null(osr_ledger_links_find_applicant(rig->links, "benb"));
    puppet_wants_in(ben);
    assert_int_equal(rig->applicants, 1);
    assert_string_equal(rig->applicant, "benb");
    assert_non_null(osr_ledger_links_find_applicant(rig->links, "benb"));
    assert_non_null(osr_ledger_links_find_applicant(rig->links, BEN));
    assert_null(osr_ledger_links_find_applicant(rig->links, "ben"));

    osr_ledger_links_welcome(rig->links, rig->applicant_link, BEN_ID);
    links_settle(rig);
    assert_int_equal(ben->your_member, BEN_ID);
    rig->configuration.count = 3;
    osr_ledger_links_changed(rig->links);
    puppet_say_member(ben, puppet_member(BEN_ID));
    assert_int_equal(rig->reachable, BEN_ID);
    assert_null(osr_ledger_links_find_applicant(rig->links, "benb"));
    links_settle(rig);
    assert_int_equal(ben->your_member, 0);
}

/* A member that comes back with nothing has lost what it promised: it is not added as if it were
 * new, until its old self is taken out. */
static void who_lost_its_data_is_not_welcomed(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ben = puppet_join(rig, BEN, BEN_ID);
    puppet_wants_in(ben);
    assert_int_equal(rig->applicants, 0);
    assert_int_equal(ben->refused, OSR_ALREADY_EXISTS);
    assert_null(osr_ledger_links_find_applicant(rig->links, BEN));
    assert_non_null(strstr(osr_ledger_links_trouble(rig->links, BEN_ID), "lost its data"));
    osr_ledger_links_welcome(rig->links, 2, BEN_ID);
    links_settle(rig);
    assert_int_equal(ben->your_member, 0);

    rig->configuration.count = 2;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    assert_int_equal(ben->refused, OSR_OK);
    assert_non_null(osr_ledger_links_find_applicant(rig->links, BEN));
}

/* This one waits, and becomes what it is told; who may not vote tells it nothing. */
static void this_one_is_welcomed(void **state)
{
    struct links_rig *rig = *state;
    rig->own = (struct osr_ledger_standing){.wants_in = true};
    rig->configuration.count = 0;
    osr_ledger_links_changed(rig->links);
    struct puppet *mute = puppet_link(rig, MUTE);
    struct puppet *ana = puppet_link(rig, ANA);
    Osr__Member welcome = puppet_member(ANA_ID);
    welcome.your_member = 9;
    puppet_say_member(mute, welcome);
    puppet_say_member(ana, puppet_member(ANA_ID));
    assert_int_equal(rig->welcomes, 0);
    puppet_say_member(ana, welcome);
    assert_int_equal(rig->welcomes, 1);
    assert_int_equal(rig->welcome, 9);
    assert_int_equal(ana->member, 9);
    puppet_say_member(ana, welcome);
    assert_int_equal(rig->welcomes, 1);
    puppet_say_raft(ana, LEDGER, ANA_ID, 9);
    assert_int_equal(rig->messages, 1);
}

/* ---- addresses, and who is dialled ---- */

/* Listeners of all networks are told with a star, those of this machine to this machine. */
static void addresses_are_told(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    assert_int_equal(ana->address_count, 1);
    assert_string_equal(ana->address, osr_listener_url(rig->listeners[0]));
    struct osr_ledger_member own;
    osr_ledger_links_own(rig->links, &own);
    assert_string_equal(own.instance, OWN);
    assert_string_equal(own.name, "own");
    assert_int_equal(own.address_count, 1);
}

static void expect_dialled(struct links_rig *rig, const char *instance, size_t times)
{
    rig->their_listening = instance;
    size_t puppets = rig->puppet_count;
    uint64_t until_ns = uv_hrtime() + 10ull * 1000 * 1000 * 1000;
    while (rig->puppet_count < puppets + times && uv_hrtime() < until_ns) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig->puppet_count, puppets + times);
    for (size_t i = puppets; i < rig->puppet_count; i++) {
        links_wait(rig, &rig->puppets[i].members, 1);
        puppet_say_member(&rig->puppets[i], puppet_member(ANA_ID));
    }
}

static Osr__LinkPurpose purpose_of(const struct puppet *puppet)
{
    return osr_session_purpose(puppet->session);
}

/* A member is dialled where the configuration says it is, for feeds and for the ledger; again when
 * one of the links is lost, for that alone; and not any more when it is none. */
static void members_are_dialled(void **state)
{
    struct links_rig *rig = *state;
    links_set_member(rig, 1, ANA_ID, ANA, osr_listener_url(rig->their_listener));
    osr_ledger_links_changed(rig->links);
    expect_dialled(rig, ANA, 2);
    assert_int_not_equal(purpose_of(&rig->puppets[0]), purpose_of(&rig->puppets[1]));
    assert_int_equal(osr_peers_count(rig->peers), 1); /* that for feeds is listed */
    assert_int_equal(rig->reached, 1);
    Osr__LinkPurpose lost = purpose_of(&rig->puppets[0]);
    puppet_leave(&rig->puppets[0]);
    expect_dialled(rig, ANA, 1);
    assert_int_equal(purpose_of(&rig->puppets[2]), lost);

    rig->configuration.count = 1;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    assert_non_null(rig->puppets[1].session); /* stays, as long as it lasts */
    assert_non_null(rig->puppets[2].session);
    puppet_leave(&rig->puppets[1]);
    puppet_leave(&rig->puppets[2]);
    assert_int_equal(osr_peers_count(rig->peers), 0);
}

/* Who was just added has no configuration, and may be linked to another than the leader: it dials
 * whom that one names, and once it has its own goes by that. */
static void who_was_just_added_dials_whom_a_member_names(void **state)
{
    struct links_rig *rig = *state;
    struct osr_buffer bytes = {0};
    links_set_member(rig, 1, ANA_ID, ANA, osr_listener_url(rig->their_listener));
    osr_raft_configuration_encode(&rig->configuration, &bytes);
    rig->configuration.count = 0;
    osr_ledger_links_changed(rig->links);
    Osr__Member ben = puppet_member(BEN_ID);
    ben.configuration.data = bytes.data;
    ben.configuration.len = bytes.size;
    puppet_say_member(puppet_link(rig, BEN), ben);
    expect_dialled(rig, ANA, 2);

    rig->configuration.count = 1;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    puppet_leave(&rig->puppets[1]);
    puppet_leave(&rig->puppets[2]);
    assert_int_equal(osr_peers_count(rig->peers), 0);
    osr_buffer_done(&bytes);
}

static void pass_time(struct links_rig *rig, uint64_t ms)
{
    uint64_t until_ns = uv_hrtime() + ms * 1000 * 1000;
    while (uv_hrtime() < until_ns) {
        links_settle(rig);
        uv_sleep(1);
    }
}

/* Where it has said itself that it is, it is dialled too, for what it has no link of its own. */
static void members_are_dialled_where_they_say(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    char address[64];
    const char *port = strrchr(osr_listener_url(rig->their_listener), ':');
    snprintf(address, sizeof(address), "tcp://*%s", port);
    char *addresses[] = {"tcp://*:1?password_file=/etc/passwd", address};
    Osr__Member member = puppet_member(ANA_ID);
    member.addresses = addresses;
    member.n_addresses = COUNT(addresses);
    puppet_say_member(ana, member);
    assert_int_equal(osr_peers_count(rig->peers), 0); /* it has a link: that is listed */
    expect_dialled(rig, ANA, 1);
    pass_time(rig, OSR_LINKED_LOOK_MS + 3 * OSR_RETRY_MS_MIN);
    assert_int_equal(rig->puppet_count, 2); /* and no other one is dialled */
    assert_int_equal(purpose_of(&rig->puppets[1]), OSR__LINK_PURPOSE__FOR_LEDGER);
    puppet_leave(ana);
    assert_int_equal(osr_peers_count(rig->peers), 1);
    Osr__PeerStatus status;
    osr_peers_status(rig->peers, 0, &status);
    assert_string_equal(strrchr(status.url, ':'), port);
    expect_dialled(rig, ANA, 1);
    assert_int_equal(purpose_of(&rig->puppets[2]), OSR__LINK_PURPOSE__FOR_FEEDS);
}

static void tell_of_ana(struct puppet *teller, const char *address)
{
    char *addresses[] = {(char *)address};
    Osr__LedgerAsk told = OSR__LEDGER_ASK__INIT;
    told.ledger = (char *)LEDGER;
    told.instance = (char *)ANA;
    told.addresses = addresses;
    told.n_addresses = COUNT(addresses);
    puppet_say(teller, OSR__FRAME__BODY_LEDGER_ASK, &told.base);
}

/* A member that can neither dial this one nor be dialled where the configuration says is dialled
 * where another member says it is, until it is linked and says so itself. */
static void members_are_dialled_where_others_say(void **state)
{
    struct links_rig *rig = *state;
    const char *address = osr_listener_url(rig->their_listener);
    struct puppet *ben = puppet_join(rig, BEN, BEN_ID);
    puppet_join_ledger(rig, BEN, BEN_ID); /* that none is dialled */
    tell_of_ana(ben, "tcp://127.0.0.1:1?password_file=/etc/passwd");
    assert_int_equal(osr_peers_count(rig->peers), 0);
    tell_of_ana(ben, address);
    assert_int_equal(rig->asks, 0);
    size_t puppets = rig->puppet_count;
    expect_dialled(rig, ANA, 2);
    tell_of_ana(ben, "tcp://127.0.0.1:1");
    puppet_leave(&rig->puppets[puppets]);
    expect_dialled(rig, ANA, 1);
}

/* One that has moved, and leads, may be linked to all but this one: those know where it is. */
static void members_are_dialled_where_others_have_agreed(void **state)
{
    struct links_rig *rig = *state;
    struct osr_buffer bytes = {0};
    links_set_member(rig, 1, ANA_ID, ANA, osr_listener_url(rig->their_listener));
    osr_raft_configuration_encode(&rig->configuration, &bytes);
    links_set_member(rig, 1, ANA_ID, ANA, "tcp://127.0.0.1:1");
    struct puppet *ben = puppet_join(rig, BEN, BEN_ID);
    puppet_join_ledger(rig, BEN, BEN_ID); /* that none is dialled */
    Osr__Member says = puppet_member(BEN_ID);
    says.configuration.data = bytes.data;
    says.configuration.len = bytes.size;
    puppet_say_member(ben, says);
    expect_dialled(rig, ANA, 2);
    osr_buffer_done(&bytes);
}

/* Somebody else at a member's address is let go. */
static void another_instance_at_the_address_is_refused(void **state)
{
    struct links_rig *rig = *state;
    links_set_member(rig, 1, ANA_ID, ANA, osr_listener_url(rig->their_listener));
    rig->their_listening = BEN;
    osr_ledger_links_changed(rig->links);
    uint64_t until_ns = uv_hrtime() + 10ull * 1000 * 1000 * 1000;
    while (rig->err.code != OSR_UNAUTHENTICATED && uv_hrtime() < until_ns) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig->err.code, OSR_UNAUTHENTICATED);
    assert_int_equal(rig->reached, 0);
    rig->configuration.count = 1;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
}

/* What a member says of itself is found by its id, one link after the other; what somebody else
 * says in its name is not. */
static void a_member_says_what_it_is_by_its_own_links(void **state)
{
    struct links_rig *rig = *state;
    char *addresses[] = {"tcp://*:7"};
    Osr__Member member = puppet_member(ANA_ID);
    member.addresses = addresses;
    member.n_addresses = COUNT(addresses);
    puppet_say_member(puppet_link(rig, BEN), member);
    assert_null(osr_ledger_links_said(rig->links, ANA_ID, 0));

    struct puppet *ana = puppet_link(rig, ANA);
    puppet_say_member(ana, member);
    const struct osr_ledger_member *said = osr_ledger_links_said(rig->links, ANA_ID, 0);
    assert_non_null(said);
    assert_string_equal(said->instance, ANA);
    assert_string_equal(said->name, "anaa");
    assert_string_equal(said->addresses[0], "tcp://127.0.0.1:7");
    assert_null(osr_ledger_links_said(rig->links, ANA_ID, 1));
    assert_null(osr_ledger_links_said(rig->links, BEN_ID, 0));

    puppet_say_member(puppet_link(rig, ANA), puppet_member(ANA_ID));
    assert_non_null(osr_ledger_links_said(rig->links, ANA_ID, 1));
    puppet_leave(ana);
    assert_int_equal(osr_ledger_links_said(rig->links, ANA_ID, 0)->address_count, 0);
    assert_null(osr_ledger_links_said(rig->links, ANA_ID, 1));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, links_set_up, links_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(who_says_less_than_before_is_refused),
        TEST(starts_are_remembered),
        TEST(links_may_overtake_each_other),
        TEST(only_members_can_say_that_this_one_is_old),
        TEST(who_waits_is_welcomed),
        TEST(who_lost_its_data_is_not_welcomed),
        TEST(this_one_is_welcomed),
        TEST(addresses_are_told),
        TEST(members_are_dialled),
        TEST(who_was_just_added_dials_whom_a_member_names),
        TEST(members_are_dialled_where_they_say),
        TEST(members_are_dialled_where_others_say),
        TEST(members_are_dialled_where_others_have_agreed),
        TEST(another_instance_at_the_address_is_refused),
        TEST(a_member_says_what_it_is_by_its_own_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
