/* Which links are believed to be of which member, and what is taken from them. */
#include "lib/ledger_links_rig.h"
#include "node/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- who is believed ---- */

/* A member that the configuration names is heard and answered. */
static void a_member_speaks_and_is_spoken_to(void **state)
{
    struct links_rig *rig = *state;
    assert_false(links_send(rig, ANA_ID));
    struct puppet *ana = puppet_join(rig, ANA, ANA_ID);
    assert_int_equal(ana->members, 2); /* the first may have come too early for it */
    assert_int_equal(ana->member, OWN_ID);
    assert_int_equal(ana->refused, OSR_OK);
    assert_int_equal(rig->reached, 1);
    assert_int_equal(rig->reachable, ANA_ID);
    assert_true(osr_ledger_links_is_reachable(rig->links, ANA_ID));

    puppet_say_raft(ana, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 1);
    assert_int_equal(rig->message.from, ANA_ID);
    assert_true(links_send(rig, ANA_ID));
    assert_int_equal(ana->rafts, 1);
    assert_int_equal(ana->raft_term, 7);
    assert_false(links_send(rig, BEN_ID));

    puppet_leave(ana);
    assert_int_equal(rig->lost, 1);
    assert_int_equal(rig->unreachable, ANA_ID);
    assert_false(links_send(rig, ANA_ID));
}

/* Before MEMBER, and after one that is not believed, nothing passes. */
static void who_is_not_believed_is_not_heard(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    Osr__LedgerAsk ask = OSR__LEDGER_ASK__INIT;
    Osr__LedgerAnswer answer = OSR__LEDGER_ANSWER__INIT;
    ask.ledger = answer.ledger = (char *)LEDGER;
    puppet_say_raft(ana, LEDGER, ANA_ID, OWN_ID);
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ASK, &ask.base);
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ANSWER, &answer.base);
    assert_int_equal(rig->messages + rig->asks + rig->answers, 0);
    assert_int_equal(osr_ledger_links_dropped(rig->links), 3);

    puppet_say_member(ana, puppet_member(BEN_ID));
    assert_int_equal(ana->refused, OSR_PERMISSION_DENIED);
    puppet_say_raft(ana, LEDGER, BEN_ID, OWN_ID);
    puppet_say_raft(ana, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 0);
    assert_int_equal(rig->reached, 0);
    assert_false(osr_ledger_links_is_reachable(rig->links, BEN_ID));

    puppet_say_member(ana, puppet_member(ANA_ID)); /* it has thought better of it */
    assert_int_equal(ana->refused, OSR_OK);
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ASK, &ask.base);
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ANSWER, &answer.base);
    assert_int_equal(rig->asks, 1);
    assert_int_equal(rig->asked_by, ANA_ID);
    assert_int_equal(rig->answers, 1);
}

/* A believed link speaks for itself alone, to this member alone, of this ledger alone. */
static void forged_messages_do_not_pass(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_join(rig, ANA, ANA_ID);
    puppet_say_raft(ana, LEDGER, BEN_ID, OWN_ID);
    puppet_say_raft(ana, LEDGER, OWN_ID, OWN_ID);
    puppet_say_raft(ana, LEDGER, 0, OWN_ID);
    puppet_say_raft(ana, LEDGER, ANA_ID, BEN_ID);
    puppet_say_raft(ana, OTHER_LEDGER, ANA_ID, OWN_ID);
    puppet_say_raft(ana, "", ANA_ID, OWN_ID);
    Osr__Raft empty = OSR__RAFT__INIT;
    empty.ledger = (char *)LEDGER;
    empty.from = ANA_ID;
    empty.to = OWN_ID;
    puppet_say(ana, OSR__FRAME__BODY_RAFT, &empty.base);
    assert_int_equal(rig->messages, 0);
    assert_int_equal(osr_ledger_links_dropped(rig->links), 7);
    puppet_say_raft(ana, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 1);
}

/* What is asked for has no absurd sizes. */
static void absurd_asks_do_not_pass(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_join(rig, ANA, ANA_ID);
    char *addresses[] = {"a", "b", "c", "d", "e"};
    uint32_t versions[OSR_MACHINES_MAX + 1] = {0};
    char name[OSR_NAME_BYTES_MAX + 2] = {0};
    memset(name, 'n', sizeof(name) - 1);
    Osr__LedgerAsk asks[6];
    for (size_t i = 0; i < COUNT(asks); i++) {
        osr__ledger_ask__init(&asks[i]);
        asks[i].ledger = (char *)LEDGER;
    }
    asks[0].instance = "nobody";
    asks[1].name = name;
    asks[2].n_addresses = COUNT(addresses);
    asks[2].addresses = addresses;
    asks[3].n_versions = COUNT(versions);
    asks[3].versions = versions;
    asks[4].n_commands = OSR_LEDGER_ASK_COMMANDS_MAX + 1;
    asks[4].commands = osr_alloc(asks[4].n_commands * sizeof(*asks[4].commands));
    asks[5].ledger = (char *)OTHER_LEDGER;
    for (size_t i = 0; i < COUNT(asks); i++) {
        puppet_say(ana, OSR__FRAME__BODY_LEDGER_ASK, &asks[i].base);
        assert_int_equal(osr_ledger_links_dropped(rig->links), i + 1);
    }
    free(asks[4].commands);
    assert_int_equal(rig->asks, 0);
}

/* A MEMBER that contradicts itself, or is not of any ledger's form, says nothing. */
static void absurd_members_are_not_believed(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    Osr__Member members[7];
    for (size_t i = 0; i < COUNT(members); i++) {
        members[i] = puppet_member(ANA_ID);
    }
    members[0].ledger = "AAAAAAAAAAAAAAAAAAAAAAAAAA";
    members[1].ledger = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    members[2].ledger = "";
    members[3].member = 0;
    members[4].wants_in = true;
    members[5].configuration.data = (uint8_t *)"none";
    members[5].configuration.len = 4;
    members[6].member = OWN_ID;
    for (size_t i = 0; i < COUNT(members); i++) {
        puppet_say_member(ana, members[i]);
        assert_int_equal(rig->reached, 0);
    }
    assert_int_equal(osr_ledger_links_dropped(rig->links), 6);
    assert_int_equal(ana->refused, OSR_PERMISSION_DENIED); /* the last one has its form */
}

/* Numbers as large as can be harm nobody else; a code nobody knows is a refusal all the same. */
static void absurd_numbers_are_survived(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    uint32_t versions[OSR_MACHINES_MAX + 5];
    char *addresses[] = {"",          "*",         "tls://*",   "unix:///etc", "tls://a:1",
                         "tls://b:1", "tls://c:1", "tls://d:1", "tls://e:1"};
    memset(versions, 0xff, sizeof(versions));
    Osr__Member member = puppet_member(ANA_ID);
    member.starts = member.term = member.last_index = UINT64_MAX;
    member.n_versions = COUNT(versions);
    member.versions = versions;
    member.n_addresses = COUNT(addresses);
    member.addresses = addresses;
    member.your_member = UINT64_MAX;
    member.refused = (Osr__Code)12345;
    puppet_say_member(ana, member);
    assert_int_equal(rig->refusals, 1);
    assert_int_equal(rig->refusal, OSR_INTERNAL);
    assert_int_equal(rig->welcomes, 0);
    struct puppet *ben = puppet_join(rig, BEN, BEN_ID);
    assert_int_equal(ben->refused, OSR_OK);
}

/* One of another ledger is told so, and not heard. */
static void another_ledger_is_refused(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_link(rig, ANA);
    Osr__Member member = puppet_member(ANA_ID);
    member.ledger = (char *)OTHER_LEDGER;
    puppet_say_member(ana, member);
    assert_int_equal(ana->refused, OSR_WRONG_CLUSTER);
    assert_non_null(strstr(ana->why, "another ledger"));
    puppet_say_raft(ana, OTHER_LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 0);
    assert_non_null(strstr(osr_ledger_links_trouble(rig->links, ANA_ID), "another ledger"));
}

/* Who may link, but not vote, is no member, whatever the configuration says. */
static void who_may_not_vote_is_no_member(void **state)
{
    struct links_rig *rig = *state;
    links_set_member(rig, 2, BEN_ID, MUTE, NULL);
    osr_ledger_links_changed(rig->links);
    struct puppet *mute = puppet_join(rig, MUTE, BEN_ID);
    assert_int_equal(mute->refused, OSR_PERMISSION_DENIED);
    puppet_say_raft(mute, LEDGER, BEN_ID, OWN_ID);
    assert_int_equal(rig->messages, 0);

    Osr__Member waiting = OSR__MEMBER__INIT;
    waiting.wants_in = true;
    puppet_say_member(mute, waiting);
    assert_int_equal(rig->applicants, 0);
}

/* A right that is taken away counts at once, also for a link that was believed. */
static void a_change_of_policy_counts_at_once(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_join(rig, ANA, ANA_ID);
    osr_access_replace_policy(rig->access, links_policy(false));
    osr_ledger_links_changed(rig->links);
    puppet_say_raft(ana, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 0);
    assert_int_equal(rig->lost, 1);
    assert_int_equal(ana->refused, OSR_PERMISSION_DENIED);
    osr_access_replace_policy(rig->access, links_policy(true));
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    assert_int_equal(ana->refused, OSR_OK);
    assert_int_equal(rig->reached, 2);
}

/* What a link says comes in before this turn of the loop is over. */
static void hear_raft_at_once(struct links_rig *rig, const char *instance, uint64_t from)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftElectNow elect_now = OSR__RAFT_ELECT_NOW__INIT;
    raft.ledger = (char *)LEDGER;
    raft.from = from;
    raft.to = OWN_ID;
    raft.elect_now = &elect_now;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_RAFT, &raft.base);
    for (size_t i = 0; i < osr_sessions_link_count(rig->sessions); i++) {
        struct osr_session *session = osr_sessions_link(rig->sessions, i);
        if (strcmp(osr_session_instance(session), instance) == 0) {
            osr_ledger_links_frame(rig->links, session, &frame);
        }
    }
}

/* Who is no member is not heard, whatever it calls itself, however good its certificate. */
static void an_outsider_is_not_heard(void **state)
{
    struct links_rig *rig = *state;
    rig->configuration.count = 2;
    osr_ledger_links_changed(rig->links);
    struct puppet *ben = puppet_join(rig, BEN, 77);
    assert_int_equal(ben->refused, OSR_PERMISSION_DENIED);
    puppet_say_raft(ben, LEDGER, 77, OWN_ID);
    assert_int_equal(rig->messages, 0);
    assert_false(links_send(rig, 77));
}

static void say_configuration(struct puppet *puppet, uint64_t as,
                              const struct osr_raft_configuration *configuration)
{
    struct osr_buffer bytes = {0};
    osr_raft_configuration_encode(configuration, &bytes);
    Osr__Member member = puppet_member(as);
    member.configuration.data = bytes.data;
    member.configuration.len = bytes.size;
    puppet_say_member(puppet, member);
    osr_buffer_done(&bytes);
}

/* One that has missed a change believes the new ones for what a member says, and nobody for what
 * others say; its own configuration counts more. */
static void members_vouch_for_newer_ones(void **state)
{
    struct links_rig *rig = *state;
    struct osr_raft_configuration newer = rig->configuration;
    newer.members[2].id = 77;
    rig->configuration.count = 2;
    osr_ledger_links_changed(rig->links);
    struct puppet *ben = puppet_join(rig, BEN, 77);
    say_configuration(ben, 77, &newer);
    assert_int_equal(ben->refused, OSR_PERMISSION_DENIED);

    struct puppet *ana = puppet_link(rig, ANA);
    assert_int_equal(ana->configuration_size, 0);
    say_configuration(ana, ANA_ID, &newer);
    assert_int_equal(ben->refused, OSR_OK);
    puppet_say_raft(ben, LEDGER, 77, OWN_ID);
    assert_int_equal(rig->messages, 1);
    assert_true(ana->configuration_size > 0); /* it is told what this one knows, too */

    newer.members[2].id = 78;
    newer.members[1] = newer.members[2];
    newer.members[1].id = ANA_ID; /* as if BEN were ANA */
    say_configuration(ana, ANA_ID, &newer);
    assert_int_equal(ana->refused, OSR_OK);
    assert_int_equal(ben->refused, OSR_PERMISSION_DENIED); /* it is 77 no more */
    puppet_leave(ana);
    puppet_say_member(ben, puppet_member(78));
    assert_int_equal(ben->refused, OSR_PERMISSION_DENIED); /* who vouched for it is gone */
}

/* While there is no configuration, an id is its who uses it first. */
static void an_unknown_id_belongs_to_its_first_user(void **state)
{
    struct links_rig *rig = *state;
    rig->configuration.count = 0;
    osr_ledger_links_changed(rig->links);
    struct puppet *ana = puppet_join(rig, ANA, 77);
    struct puppet *ben = puppet_join(rig, BEN, 77);
    assert_int_equal(ana->refused, OSR_OK);
    assert_int_equal(ben->refused, OSR_PERMISSION_DENIED);
    puppet_say_raft(ben, LEDGER, 77, OWN_ID);
    assert_int_equal(rig->messages, 0);

    links_set_member(rig, 1, 77, BEN, NULL);
    rig->configuration.count = 2;
    osr_ledger_links_changed(rig->links);
    hear_raft_at_once(rig, ANA, 77); /* not even in the same turn */
    assert_int_equal(rig->messages, 0);
    links_settle(rig);
    assert_int_equal(ana->refused, OSR_PERMISSION_DENIED);
    assert_int_equal(ben->refused, OSR_OK);
    puppet_say_raft(ben, LEDGER, 77, OWN_ID);
    assert_int_equal(rig->messages, 1);
}

/* What changed is told to those who are linked; what rises all the time is not. */
static void news_is_told(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ana = puppet_join(rig, ANA, ANA_ID);
    size_t members = ana->members;
    rig->own.last_index++;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    assert_int_equal(ana->members, members);
    rig->own.member = 9;
    osr_ledger_links_changed(rig->links);
    links_settle(rig);
    assert_int_equal(ana->members, members + 1);
    assert_int_equal(ana->member, 9);
}

/* Two links to one member count as one, until both are gone. */
static void a_second_link_replaces_the_first(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *first = puppet_join(rig, ANA, ANA_ID);
    struct puppet *second = puppet_join(rig, ANA, ANA_ID);
    assert_int_equal(rig->reached, 1);
    puppet_leave(first);
    assert_int_equal(rig->lost, 0);
    assert_true(links_send(rig, ANA_ID));
    assert_int_equal(second->rafts, 1);
    puppet_leave(second);
    assert_int_equal(rig->lost, 1);
}

/* What a member is told goes by its link for the ledger, also where that came later, and by the
 * other one while there is none; both are listened to. */
static void a_link_for_the_ledger_goes_first(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *feeds = puppet_join(rig, ANA, ANA_ID);
    assert_true(links_send(rig, ANA_ID));
    assert_int_equal(feeds->rafts, 1);
    assert_false(osr_ledger_links_is_own(rig->links, ANA_ID));
    struct puppet *ledger = puppet_join_ledger(rig, ANA, ANA_ID);
    assert_true(links_send(rig, ANA_ID));
    assert_int_equal(ledger->rafts, 1);
    assert_int_equal(feeds->rafts, 1);
    assert_true(osr_ledger_links_is_own(rig->links, ANA_ID));
    puppet_say_raft(feeds, LEDGER, ANA_ID, OWN_ID);
    puppet_say_raft(ledger, LEDGER, ANA_ID, OWN_ID);
    assert_int_equal(rig->messages, 2);
    puppet_leave(ledger);
    assert_true(links_send(rig, ANA_ID));
    assert_int_equal(feeds->rafts, 2);
    assert_int_equal(rig->reached, 1);
    assert_int_equal(rig->lost, 0);
}

/* Who may not vote may link, but not for the ledger: it would take the place of who may. */
static void who_may_not_vote_has_no_link_for_the_ledger(void **state)
{
    struct links_rig *rig = *state;
    puppet_link(rig, MUTE);
    assert_int_equal(puppet_is_refused(rig, MUTE, OSR__LINK_PURPOSE__FOR_LEDGER),
                     OSR_PERMISSION_DENIED);
    puppet_join_ledger(rig, ANA, ANA_ID);
}

/* One that waits is one, by however many links it does. */
static void who_waits_by_two_links_is_found(void **state)
{
    struct links_rig *rig = *state;
    rig->configuration.count = 1;
    osr_ledger_links_changed(rig->links);
    puppet_wants_in(puppet_link(rig, ANA));
    puppet_wants_in(puppet_link_for(rig, ANA, OSR__LINK_PURPOSE__FOR_LEDGER));
    assert_non_null(osr_ledger_links_find_applicant(rig->links, "anaa"));
    struct puppet *ben = puppet_link(rig, BEN);
    puppet_wants_in(ben);
    assert_non_null(osr_ledger_links_find_applicant(rig->links, "benb"));
    assert_null(osr_ledger_links_find_applicant(rig->links, "nobody"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, links_set_up, links_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_member_speaks_and_is_spoken_to),
        TEST(who_is_not_believed_is_not_heard),
        TEST(forged_messages_do_not_pass),
        TEST(absurd_asks_do_not_pass),
        TEST(absurd_members_are_not_believed),
        TEST(absurd_numbers_are_survived),
        TEST(another_ledger_is_refused),
        TEST(who_may_not_vote_is_no_member),
        TEST(a_change_of_policy_counts_at_once),
        TEST(an_outsider_is_not_heard),
        TEST(members_vouch_for_newer_ones),
        TEST(an_unknown_id_belongs_to_its_first_user),
        TEST(news_is_told),
        TEST(a_second_link_replaces_the_first),
        TEST(a_link_for_the_ledger_goes_first),
        TEST(who_may_not_vote_has_no_link_for_the_ledger),
        TEST(who_waits_by_two_links_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
