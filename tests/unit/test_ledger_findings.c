/* What `osiris cluster why` says about a status. */
#include "node/ledger_findings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MEMBERS_MAX = 16, ANA = 11, BEN = 12, CLEO = 13 };

struct fixture {
    struct osr_arena *arena;
    struct osr_ledger_circumstances circumstances;
    Osr__ClusterStatusResponse status;
    Osr__MemberStatus members[MEMBERS_MAX];
    Osr__MemberStatus *pointers[MEMBERS_MAX];
    char names[MEMBERS_MAX][16];
    char *address;
};

static char ledger_id[] = "7vcs32l4f2v5dfembyah3g5cqa";

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    fixture->arena = osr_arena_create(0, SIZE_MAX);
    osr__cluster_status_response__init(&fixture->status);
    fixture->address = osr_strdup("tls://127.0.0.1:7400");
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_arena_destroy(fixture->arena);
    free(fixture->address);
    free(fixture);
    return 0;
}

/* A voter that listens, can be reached, has all, and was heard just now. */
static Osr__MemberStatus *add_voter(struct fixture *fixture, uint64_t id, const char *name)
{
    Osr__ClusterStatusResponse *status = &fixture->status;
    size_t at = status->n_members++;
    Osr__MemberStatus *member = &fixture->members[at];
    osr__member_status__init(member);
    snprintf(fixture->names[at], sizeof(fixture->names[at]), "%s", name);
    fixture->pointers[at] = member;
    status->members = fixture->pointers;
    member->member = id;
    member->name = fixture->names[at];
    member->standing = OSR__MEMBER_STANDING__VOTER;
    member->addresses = &fixture->address;
    member->n_addresses = 1;
    member->reachable = true;
    member->matched = status->last;
    member->heard_ms = 20;
    return member;
}

static Osr__MemberStatus *add_learner(struct fixture *fixture, uint64_t id, const char *name)
{
    Osr__MemberStatus *member = add_voter(fixture, id, name);
    member->standing = OSR__MEMBER_STANDING__LEARNER;
    return member;
}

/* Ana's status, who belongs to a ledger of so many voters, all of whom are well. */
static void arrange(struct fixture *fixture, size_t voters, uint64_t leader)
{
    static const char *const names[] = {"ana", "ben", "cleo", "dan", "eve", "flo", "gil"};
    fixture->status.ledger = ledger_id;
    fixture->status.member = ANA;
    fixture->status.leader = leader;
    fixture->status.term = 4;
    fixture->status.since_ms = 12400;
    fixture->status.last = 50000;
    for (size_t i = 0; i < voters; i++) {
        add_voter(fixture, ANA + i, names[i]);
    }
}

static Osr__MemberStatus *member_of(struct fixture *fixture, uint64_t id)
{
    for (size_t i = 0; i < fixture->status.n_members; i++) {
        if (fixture->members[i].member == id) {
            return &fixture->members[i];
        }
    }
    fail_msg("there is no member %llu", (unsigned long long)id);
    return NULL;
}

static void cut_off(struct fixture *fixture, uint64_t id)
{
    member_of(fixture, id)->reachable = false;
    member_of(fixture, id)->heard_ms = 4200;
}

/* All that is said, a line each. */
static const char *findings_of(struct fixture *fixture)
{
    struct osr_buffer text = {0};
    osr_ledger_findings(fixture->arena, &fixture->circumstances, &fixture->status);
    for (size_t i = 0; i < fixture->status.n_findings; i++) {
        osr_buffer_add_text(&text, fixture->status.findings[i]);
        osr_buffer_add_text(&text, "\n");
    }
    const char *all = osr_arena_text(fixture->arena, osr_buffer_slice(&text));
    osr_buffer_done(&text);
    return all;
}

/* ---- who leads ---- */

/* A leader says that it leads, which term, for how long, and who may be stopped. */
static void leader_of_three_says_so_and_spares_one(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    assert_string_equal(findings_of(fixture),
                        "ana, this instance, leads term 4, and has for 12.4 s.\n"
                        "Safe now: any one of the voters may be stopped, updated or replaced. Ask "
                        "again before the next one.\n");
}

/* A follower names the leader. */
static void follower_names_the_leader(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, BEN);
    assert_string_equal(findings_of(fixture),
                        "ben leads term 4; this instance has followed it for 12.4 s.\n"
                        "Safe as seen from here, and the leader knows more: any one of the voters "
                        "may be stopped, updated or replaced. Ask "
                        "again before the next one.\n");
}

/* A leader that this member has not read of yet has no name, and is told of all the same. */
static void leader_without_a_name_is_said_to_be_unknown(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, 99);
    assert_non_null(strstr(findings_of(fixture), "a member that is not known here yet leads term"));
}

/* Long times are told in words that are read at a glance, as everywhere. */
static void long_times_are_readable(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, BEN);
    cut_off(fixture, CLEO);
    fixture->status.since_ms = 86411 * 1000;
    member_of(fixture, CLEO)->heard_ms = (3 * 3600 + 12 * 60 + 5) * 1000;
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "has followed it for 1 d 0 h.\n"));
    assert_non_null(strstr(findings, "last heard 3 h 12 min ago.\n"));
}

/* Without a leader and without a majority: how many are needed, and what can be done meanwhile. */
static void nobody_without_majority_says_what_is_needed(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, 0);
    cut_off(fixture, BEN);
    cut_off(fixture, CLEO);
    assert_string_equal(
        findings_of(fixture),
        "Nobody leads, as far as this instance knows, and has not for 12.4 s (term 4).\n"
        "From here 1 of 3 voters can be reached, this one included; 2 are needed to write or to "
        "elect a leader. Start the others or mend the network: nothing is lost meanwhile, and "
        "`osiris kv get --local` reads what is known here.\n"
        "Voter ben (12) cannot be reached from here; last heard 4.2 s ago.\n"
        "Voter cleo (13) cannot be reached from here; last heard 4.2 s ago.\n");
}

/* Without a leader though enough can be reached, the others are to be asked; nothing is called
 * safe. */
static void nobody_with_majority_sends_to_the_others(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, 0);
    assert_string_equal(
        findings_of(fixture),
        "Nobody leads, as far as this instance knows, and has not for 12.4 s (term 4).\n"
        "Enough voters can be reached (3 of 3): an election is under way, or one of them cannot "
        "reach the others. Ask the others, too: osiris cluster why.\n");
}

/* One that was welcomed and has no entry yet knows nobody. */
static void welcomed_member_waits_to_hear_from_a_leader(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 0, 0);
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "does not know the members yet"));
    assert_null(strstr(findings, "survive"));
}

/* ---- who takes no part ---- */

/* Who belongs to no ledger waits; of voters that it does not have it says nothing. */
static void waiting_instance_says_what_it_waits_for(void **state)
{
    struct fixture *fixture = *state;
    fixture->status.ledger = (char *)protobuf_c_empty_string;
    assert_string_equal(
        findings_of(fixture),
        "This instance belongs to no ledger yet. It waits to be added by a member "
        "that it is linked to, which takes some seconds once there is a leader; or, "
        "where `osiris cluster settings` there says join by-hand, until somebody "
        "says `osiris cluster add NAME` there.\n");
}

/* One that waits and is refused says why, and what mends it. */
static void waiting_instance_tells_of_a_refusal(void **state)
{
    struct fixture *fixture = *state;
    fixture->status.ledger = (char *)protobuf_c_empty_string;
    fixture->circumstances.refusal = "ledger: it is member 12 already, and has lost its data";
    fixture->circumstances.refusal_hint = "take that member out";
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "\nA member takes nothing of this instance: it is member 12 "
                                     "already, and has lost its data.\n"
                                     "What mends it: take that member out.\n"));
}

/* Who is no member, whether removed or not added yet, says nothing of what the others do. */
static void removed_member_is_told_so(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, BEN);
    fixture->status.member = 99;
    assert_string_equal(
        findings_of(fixture),
        "This instance is none of the members that it knows: it was removed, or has yet to be sent "
        "the entry that added it. If osiris cluster members does not show it at another one, stop "
        "it, or "
        "start it once with --ledger rejoin: it is added again.\n");
}

/* Who has stopped says why and what mends it, once, and calls nothing safe. */
static void stopped_member_says_why_and_what_mends_it(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, 0);
    member_of(fixture, BEN)->trouble = (char[]){"ledger: restored from an old copy"};
    member_of(fixture, BEN)->reachable = false;
    fixture->circumstances.stopped = "ledger: restored from an old copy";
    fixture->circumstances.hint = "start it once with --ledger rejoin";
    fixture->circumstances.refusal = "ledger: restored from an old copy";
    fixture->circumstances.refusal_hint = fixture->circumstances.hint;
    assert_string_equal(findings_of(fixture),
                        "This instance takes no part any more: restored from an old copy.\n"
                        "What mends it: start it once with --ledger rejoin.\n");
}

/* ---- this instance ---- */

/* A full disk and a snapshot that is taken in are told of between who leads and what is safe. */
static void disk_and_loading_are_told_of(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, BEN);
    fixture->circumstances.is_disk_slow = true;
    fixture->circumstances.is_loading = true;
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "12.4 s.\nA snapshot is being taken in.\nThe disk under the "
                                     "data folder is full, or does not keep up: osiris doctor "
                                     "tells more.\nSafe as seen"));
}

/* ---- the others ---- */

/* A voter that is away is told of with its number; who never was heard has no time. */
static void unreachable_members_are_named(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 5, ANA);
    cut_off(fixture, BEN);
    cut_off(fixture, CLEO);
    member_of(fixture, CLEO)->heard_ms = 0;
    const char *findings = findings_of(fixture);
    assert_non_null(
        strstr(findings, "\nVoter ben (12) cannot be reached from here; last heard 4.2 s ago.\n"));
    assert_non_null(strstr(findings, "\nVoter cleo (13) cannot be reached from here.\n"));
}

/* Of who is not believed the reason stands there, and not that it is away as well. */
static void trouble_explains_why_one_is_away(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    cut_off(fixture, BEN);
    member_of(fixture, BEN)->trouble = (char[]){"ledger: restored from an old copy"};
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "\nNothing is taken of ben (12), or it takes nothing: "
                                     "restored from an old copy. Ask there what mends it: osiris "
                                     "cluster why.\n"));
    assert_null(strstr(findings, "cannot be reached from here"));
}

/* A link that stands proves nothing: who answers the leader nothing is none of those that may be
 * counted on. */
static void silent_follower_is_told_of_and_does_not_count(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    member_of(fixture, BEN)->heard_ms = 5800;
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "\nben is linked, but has stored and answered nothing for 5.8 "
                                     "s: its disk is full or fails, or it hangs. Look there: "
                                     "osiris status.\n"));
    assert_non_null(strstr(findings, "Stop none of the voters that can be reached"));
}

/* A new leader has asked nobody for long enough, and a follower never hears the other ones. */
static void silence_is_judged_by_who_has_asked(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    member_of(fixture, BEN)->heard_ms = 5800;
    fixture->status.since_ms = 100;
    const char *findings = findings_of(fixture);
    assert_null(strstr(findings, "is linked, but"));
    assert_non_null(strstr(findings, "\nStop none")); /* to be on the safe side */
    fixture->status.leader = CLEO;
    fixture->status.since_ms = 100000;
    assert_null(strstr(findings_of(fixture), "is linked, but"));
}

/* How far others are the leader knows: who lacks many entries is told of, and who lacks few not. */
static void slow_follower_is_told_of_by_the_leader(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    member_of(fixture, BEN)->matched = 39999;
    member_of(fixture, CLEO)->matched = 40000;
    const char *findings = findings_of(fixture);
    assert_non_null(
        strstr(findings, "\nben lacks 10001 entries of the log, and is catching up.\n"));
    assert_null(strstr(findings, "cleo lacks"));
    fixture->status.leader = CLEO;
    assert_null(strstr(findings_of(fixture), "lacks"));
}

/* One whose log begins too late for a follower sends it a snapshot, whatever it lacks. */
static void follower_that_gets_a_snapshot_is_told_of(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    member_of(fixture, BEN)->matched = 0;
    member_of(fixture, BEN)->progress = (char[]){"snapshot"};
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "\nben is being sent a snapshot, for the log does not reach "
                                     "back as far as it needs.\n"));
    assert_null(strstr(findings, "ben lacks"));
}

/* Learners say whether they become voters, and count for nothing that is safe. */
static void learners_are_told_of_and_do_not_count(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 1, ANA);
    add_learner(fixture, BEN, "ben")->promoted = true;
    add_learner(fixture, CLEO, "cleo")->reachable = false;
    assert_string_equal(
        findings_of(fixture),
        "ana, this instance, leads term 4, and has for 12.4 s.\n"
        "ben is a learner, and becomes a voter once it has caught up.\n"
        "Learner cleo (13) cannot be reached from here; last heard 20 ms ago.\n"
        "cleo is a learner, and stays one until it is promoted.\n"
        "One voter: when it is down, nothing is agreed. Others join with `osiris join`.\n");
}

/* Two voters that nobody can dial are a risk; one alone is none, and a learner neither. */
static void voters_that_listen_nowhere_are_told_of_in_pairs(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    add_learner(fixture, 14, "dan")->n_addresses = 0;
    member_of(fixture, BEN)->n_addresses = 0;
    assert_null(strstr(findings_of(fixture), "listen nowhere"));
    member_of(fixture, CLEO)->n_addresses = 0;
    assert_non_null(
        strstr(findings_of(fixture),
               "\nben and cleo listen nowhere, so they cannot reach each other when the voters "
               "that they dial are down. Let one of them listen: osirisd --listen "
               "tls://0.0.0.0:7400.\n"));
}

/* ---- even numbers ---- */

/* Two need both, so neither may be stopped, and nobody is said to be gone. */
static void two_voters_need_both(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 2, ANA);
    assert_string_equal(
        findings_of(fixture),
        "ana, this instance, leads term 4, and has for 12.4 s.\n"
        "Two voters: both are needed for every write, so either's failure stops them. A third one "
        "makes it safe to lose one.\n"
        "Stop none of the voters: without any one of them there is no majority.\n");
}

/* An even number survives no more than one voter fewer. */
static void even_number_of_voters_is_explained(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 4, ANA);
    const char *findings = findings_of(fixture);
    assert_non_null(strstr(findings, "\n4 voters survive the loss of 1, as 3 would: one more, or "
                                     "one fewer, is better.\n"));
    assert_non_null(strstr(findings, "\nSafe now: any one of the voters"));
}

/* ---- what is safe ---- */

/* Five spare two at once, and one fewer for each that is away. */
static void safe_is_what_the_majority_can_spare(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 5, ANA);
    assert_non_null(strstr(findings_of(fixture), "\nSafe now: up to 2 of the voters may be down at "
                                                 "once, to be updated or replaced.\n"));
    cut_off(fixture, BEN);
    assert_non_null(strstr(findings_of(fixture), "\nSafe now: any one of the voters"));
    cut_off(fixture, CLEO);
    assert_non_null(
        strstr(findings_of(fixture),
               "\nStop none of the voters that can be reached: without any one of them "
               "there is no majority. What is gone for good is replaced: osiris cluster "
               "remove NAME, then let a new one join.\n"));
}

/* A follower may reach fewer than its leader does, who then knows more. */
static void follower_that_reaches_few_sends_to_the_leader(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 5, BEN);
    cut_off(fixture, 13);
    cut_off(fixture, 14);
    cut_off(fixture, 15);
    assert_non_null(strstr(findings_of(fixture),
                           "\nStop none of the voters: from here only 2 of 5 can be reached, and 3 "
                           "are needed. Ask the leader, too: osiris cluster why.\n"));
}

/* However much there is to say of the members, what is safe is said. */
static void what_is_safe_is_said_of_the_largest_cluster_too(void **state)
{
    struct fixture *fixture = *state;
    arrange(fixture, 3, ANA);
    for (uint64_t id = 14; fixture->status.n_members < MEMBERS_MAX; id++) {
        add_learner(fixture, id, "learner")->reachable = false;
    }
    const char *findings = findings_of(fixture);
    assert_true(fixture->status.n_findings <= OSR_LEDGER_FINDINGS_MAX);
    assert_non_null(strstr(findings, "\nSafe now: any one of the voters"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(leader_of_three_says_so_and_spares_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follower_names_the_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(leader_without_a_name_is_said_to_be_unknown, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(long_times_are_readable, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_without_majority_says_what_is_needed, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(nobody_with_majority_sends_to_the_others, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(welcomed_member_waits_to_hear_from_a_leader, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(waiting_instance_says_what_it_waits_for, set_up, tear_down),
        cmocka_unit_test_setup_teardown(waiting_instance_tells_of_a_refusal, set_up, tear_down),
        cmocka_unit_test_setup_teardown(removed_member_is_told_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopped_member_says_why_and_what_mends_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(disk_and_loading_are_told_of, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unreachable_members_are_named, set_up, tear_down),
        cmocka_unit_test_setup_teardown(trouble_explains_why_one_is_away, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silent_follower_is_told_of_and_does_not_count, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(silence_is_judged_by_who_has_asked, set_up, tear_down),
        cmocka_unit_test_setup_teardown(slow_follower_is_told_of_by_the_leader, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follower_that_gets_a_snapshot_is_told_of, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(learners_are_told_of_and_do_not_count, set_up, tear_down),
        cmocka_unit_test_setup_teardown(voters_that_listen_nowhere_are_told_of_in_pairs, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(two_voters_need_both, set_up, tear_down),
        cmocka_unit_test_setup_teardown(even_number_of_voters_is_explained, set_up, tear_down),
        cmocka_unit_test_setup_teardown(safe_is_what_the_majority_can_spare, set_up, tear_down),
        cmocka_unit_test_setup_teardown(follower_that_reaches_few_sends_to_the_leader, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_safe_is_said_of_the_largest_cluster_too, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
