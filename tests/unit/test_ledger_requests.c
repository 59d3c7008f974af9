/* What a whole member (node/ledger.h) makes of requests: its own callers', and other members'. The
 * others are puppets, over real connections. */
#include "core/kv.h"
#include "lib/ledger_links_rig.h"
#include "node/ledger_internal.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <cmocka.h>

enum { TERM = 5, LONG_MS = 3600 * 1000, TURNS_MAX = 10000 };

/* What a request of this member's came to. */
struct outcome {
    size_t count;
    enum osr_code code;
    uint64_t index;
};

static void on_done(void *context, const struct osr_agreed *agreed)
{
    struct outcome *outcome = context;
    outcome->count++;
    outcome->code = agreed->code;
    outcome->index = agreed->index;
}

/* ---- the member ---- */

static void on_failure(void *context, const struct osr_err *err)
{
    (void)context;
    (void)err;
}

static int try_open(struct links_rig *rig, enum osr_config_ledger how)
{
    rig->config.data = rig->journal->folder;
    rig->config.ledger = how;
    const struct osr_ledger_options options = {
        .loop = rig->loop,
        .config = &rig->config,
        .instance = OWN,
        .journal = rig->journal->journal,
        .machines = &osr_kv_machine,
        .machine_count = 1,
        .links = links_options(rig),
        .trace = &rig->trace,
        .on_failure = on_failure,
        .context = rig,
    };
    return osr_ledger_open(&options, &rig->ledger, &rig->err);
}

static void open_ledger(struct links_rig *rig, enum osr_config_ledger how)
{
    osr_ledger_links_destroy(rig->links);
    assert_int_equal(try_open(rig, how), 0);
    rig->links = osr_ledger_links(rig->ledger);
    osr_ledger_start(rig->ledger);
}

static void put_key(char key, struct osr_buffer *command)
{
    const struct osr_kv_write write = {.key = osr_slice(&key, 1), .value = osr_slice("1", 1)};
    assert_int_equal(osr_kv_encode(&write, command, NULL), 0);
}

static bool has_key(struct links_rig *rig, char key)
{
    struct osr_values *values = osr_ledger_state_values(rig->ledger->state, OSR_MACHINE_KV);
    struct osr_buffer buffer = {0};
    struct osr_kv_found found;
    bool is_there = osr_kv_get(values, osr_slice(&key, 1), &buffer, &found);
    osr_buffer_done(&buffer);
    return is_there;
}

static uint64_t propose(struct links_rig *rig, enum osr_machine_id machine, char key,
                        struct outcome *outcome)
{
    struct osr_agreement *agreement = osr_ledger_agreement(rig->ledger);
    struct osr_buffer command = {0};
    put_key(key, &command);
    uint64_t number = agreement->propose(agreement, machine, OSR_KV_VERSION,
                                         osr_buffer_slice(&command), LONG_MS, on_done, outcome);
    osr_buffer_done(&command);
    return number;
}

/* Founds a ledger, of which it is the only voter, and leads it. */
static void lead(struct links_rig *rig)
{
    open_ledger(rig, OSR_CONFIG_LEDGER_FOUND);
    struct outcome outcome = {0};
    propose(rig, OSR_MACHINE_KV, '0', &outcome);
    links_wait(rig, &outcome.count, 1);
    assert_int_equal(outcome.code, OSR_OK);
    assert_true(osr_ledger_leads(rig->ledger));
}

/* ---- puppets as members ---- */

static void puppet_claim(struct puppet *puppet, uint64_t member, uint64_t your_member)
{
    Osr__Member says = puppet_member(member);
    says.ledger = your_member == 0 ? puppet->rig->ledger->id : (char *)LEDGER;
    says.your_member = your_member;
    puppet_say_member(puppet, says);
}

/* Waits until this leader adds it. */
static struct puppet *add_puppet(struct links_rig *rig, uint64_t *ret_member)
{
    struct puppet *puppet = puppet_link(rig, ANA);
    Osr__Member wants = OSR__MEMBER__INIT;
    uint32_t versions[] = {0, OSR_KV_VERSION};
    wants.wants_in = true;
    wants.versions = versions;
    wants.n_versions = 2;
    puppet_say_member(puppet, wants);
    for (int i = 0; i < TURNS_MAX && puppet->your_member == 0; i++) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    uint64_t member = puppet->your_member;
    puppet_claim(puppet, member, 0);
    assert_true(osr_ledger_links_is_reachable(rig->links, member));
    *ret_member = member;
    return puppet;
}

static Osr__LedgerAsk ask_of(struct links_rig *rig)
{
    Osr__LedgerAsk ask = OSR__LEDGER_ASK__INIT;
    struct osr_raft_info info;
    osr_ledger_raft_info(rig->ledger, &info);
    ask.ledger = rig->ledger->id;
    ask.term = info.term;
    return ask;
}

static void send_to_session(void *context, const Osr__Frame *frame)
{
    osr_session_send(context, frame);
}

/* As the leader of this term, with entries behind `previous`, all of which it says to be committed.
 */
static void puppet_append(struct puppet *leader, uint64_t from, uint64_t term,
                          const struct osr_raft_entry *entries, size_t count)
{
    struct osr_raft_room room = {0};
    uint64_t previous = entries[0].index - 1;
    const struct osr_raft_message message = {.type = OSR_RAFT_APPEND,
                                             .from = from,
                                             .to = OWN_ID,
                                             .term = term,
                                             .append = {.previous_index = previous,
                                                        .previous_term = previous > 0 ? TERM : 0,
                                                        .commit = previous + count,
                                                        .entries = entries,
                                                        .count = count}};
    osr_raft_message_write(&room, LEDGER, &message, send_to_session, leader->session);
    osr_raft_room_done(&room);
}

static void wait_for_term(struct links_rig *rig, uint64_t term)
{
    for (int i = 0; i < TURNS_MAX && rig->ledger->applied_term < term; i++) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig->ledger->applied_term, term);
    links_settle(rig);
}

/* Joins as a learner a ledger that ANA leads in TERM; BEN is linked, too. */
static struct puppet *follow(struct links_rig *rig, struct puppet **ret_ben)
{
    rig->configuration.members[0].standing = OSR_RAFT_LEARNER;
    links_set_member(rig, 2, BEN_ID, BEN, NULL);
    open_ledger(rig, OSR_CONFIG_LEDGER_JOIN);
    struct puppet *ana = puppet_link(rig, ANA);
    puppet_claim(ana, ANA_ID, OWN_ID);
    struct osr_buffer configuration = {0};
    osr_raft_configuration_encode(&rig->configuration, &configuration);
    const struct osr_raft_entry entries[] = {
        {.index = 1,
         .term = TERM,
         .kind = OSR_RAFT_CONFIGURATION,
         .payload = osr_buffer_slice(&configuration)},
        {.index = 2, .term = TERM, .kind = OSR_RAFT_NOTHING},
    };
    puppet_append(ana, ANA_ID, TERM, entries, 2);
    osr_buffer_done(&configuration);
    wait_for_term(rig, TERM);
    *ret_ben = puppet_join(rig, BEN, BEN_ID);
    return ana;
}

static void elect_ben(struct links_rig *rig, struct puppet *ben)
{
    const struct osr_raft_entry entry = {.index = 3, .term = TERM + 1, .kind = OSR_RAFT_NOTHING};
    puppet_append(ben, BEN_ID, TERM + 1, &entry, 1);
    wait_for_term(rig, TERM + 1);
}

static void puppet_answer(struct puppet *puppet, uint64_t term, uint64_t member)
{
    Osr__LedgerAnswer answer = OSR__LEDGER_ANSWER__INIT;
    answer.ledger = (char *)LEDGER;
    answer.number = puppet->asked;
    answer.term = term;
    answer.member = member;
    puppet_say(puppet, OSR__FRAME__BODY_LEDGER_ANSWER, &answer.base);
}

/* ---- transfers that a follower asks for ---- */

/* A leader that hands over may lead no more before it answers: what counts is who leads then. */
static void transfer_to_anybody_is_done_once_another_leads(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ben;
    struct outcome outcome = {0};
    struct puppet *ana = follow(rig, &ben);
    osr_ledger_transfer(rig->ledger, "", LONG_MS, on_done, &outcome);
    links_settle(rig);
    assert_int_equal(ana->asks, 1);
    assert_int_equal(outcome.count, 0);
    elect_ben(rig, ben);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.code, OSR_OK);
    assert_int_equal(outcome.index, BEN_ID);
    assert_int_equal(ben->asks, 0);
}

/* To somebody in particular it is asked for again, of the one who leads then: who may be he. */
static void transfer_to_somebody_is_asked_for_again(void **state)
{
    struct links_rig *rig = *state;
    struct puppet *ben;
    struct outcome outcome = {0};
    struct puppet *ana = follow(rig, &ben);
    osr_ledger_transfer(rig->ledger, "3", LONG_MS, on_done, &outcome);
    links_settle(rig);
    assert_int_equal(ana->asks, 1);
    elect_ben(rig, ben);
    assert_int_equal(outcome.count, 0);
    links_wait(rig, &ben->asks, 1);
    puppet_answer(ben, TERM + 1, BEN_ID);
    assert_int_equal(outcome.count, 1);
    assert_int_equal(outcome.code, OSR_OK);
    assert_int_equal(outcome.index, BEN_ID);
}

/* ---- what other members ask for ---- */

static void add_command(Osr__LedgerAsk *ask, struct osr_buffer *buffer, uint8_t version,
                        uint64_t number, struct osr_slice bytes)
{
    const struct osr_ledger_command command = {.machine = OSR_MACHINE_KV,
                                               .version = version,
                                               .start = 1,
                                               .number = number,
                                               .bytes = bytes};
    osr_ledger_command_encode(&command, buffer);
    ask->commands[ask->n_commands++] = (ProtobufCBinaryData){buffer->size, buffer->data};
}

/* Of a batch each command that is refused is answered by its number, and no other one. */
static void refused_commands_of_a_batch_are_answered_alone(void **state)
{
    struct links_rig *rig = *state;
    uint64_t member;
    lead(rig);
    struct puppet *ana = add_puppet(rig, &member);
    Osr__LedgerAsk ask = ask_of(rig);
    ProtobufCBinaryData commands[4];
    struct osr_buffer buffers[4] = {0};
    struct osr_buffer first = {0}, last = {0};
    struct osr_slice too_large = {osr_alloc(OSR_COMMAND_BYTES_MAX + 1), OSR_COMMAND_BYTES_MAX + 1};
    put_key('1', &first);
    put_key('4', &last);
    ask.commands = commands;
    add_command(&ask, &buffers[0], OSR_KV_VERSION, 1, osr_buffer_slice(&first));
    add_command(&ask, &buffers[1], OSR_KV_VERSION, 2, too_large);
    add_command(&ask, &buffers[2], OSR_KV_VERSION + 1, 3, osr_buffer_slice(&first));
    add_command(&ask, &buffers[3], OSR_KV_VERSION, 4, osr_buffer_slice(&last));
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ASK, &ask.base);
    struct outcome outcome = {0};
    propose(rig, OSR_MACHINE_KV, '5', &outcome);
    links_wait(rig, &outcome.count, 1);
    assert_true(has_key(rig, '1') && has_key(rig, '4'));
    assert_int_equal(ana->answers, 2);
    assert_int_equal(ana->answers_to[2], OSR_TOO_LARGE);
    assert_int_equal(ana->answers_to[3], OSR_UNSUPPORTED_VERSION);
    for (size_t i = 0; i < 4; i++) {
        osr_buffer_done(&buffers[i]);
    }
    osr_buffer_done(&first);
    osr_buffer_done(&last);
    free((void *)too_large.data);
}

/* One member does not fill the leader's room for requests with changes. */
static void a_member_has_few_changes_at_once(void **state)
{
    struct links_rig *rig = *state;
    enum { MORE = 5, ALL = OSR_LEDGER_ASKED_CHANGES_MAX + MORE };
    uint64_t member;
    lead(rig);
    struct puppet *ana = add_puppet(rig, &member);
    Osr__LedgerAsk ask = ask_of(rig);
    Osr__ClusterChangeRequest change = OSR__CLUSTER_CHANGE_REQUEST__INIT;
    change.change = OSR__CLUSTER_CHANGE_TYPE__REMOVE_MEMBER;
    change.member = (char *)"nobody";
    ask.change = &change;
    for (ask.number = 1; ask.number <= ALL; ask.number++) {
        osr_ledger_take_ask(rig->ledger, member, &ask); /* all in one turn */
    }
    links_wait(rig, &ana->answers, ALL);
    for (size_t i = 1; i <= ALL; i++) {
        assert_int_equal(ana->answers_to[i],
                         i <= OSR_LEDGER_ASKED_CHANGES_MAX ? OSR_NOT_FOUND : OSR_BUSY);
    }
    puppet_say(ana, OSR__FRAME__BODY_LEDGER_ASK, &ask.base); /* there is room again */
    links_wait(rig, &ana->answers, ALL + 1);
    assert_int_equal(ana->answers_to[ALL + 1], OSR_NOT_FOUND);
}

/* ---- this member's own callers ---- */

/* A machine that a member does not know at all is as one whose version it does not know. */
static void machine_that_is_not_known_is_refused(void **state)
{
    struct links_rig *rig = *state;
    struct outcome outcome = {0};
    lead(rig);
    assert_int_equal(propose(rig, OSR_MACHINE_CLUSTER, '1', &outcome), 0);
    links_wait(rig, &outcome.count, 1);
    assert_int_equal(outcome.code, OSR_UNSUPPORTED_VERSION);
}

/* A caller that has gone is not waited for: neither is its request's room kept, nor is it told. */
static void forgotten_requests_leave_no_trace(void **state)
{
    struct links_rig *rig = *state;
    struct outcome outcome = {0};
    open_ledger(rig, OSR_CONFIG_LEDGER_JOIN);
    struct osr_agreement *agreement = osr_ledger_agreement(rig->ledger);
    uint64_t write = propose(rig, OSR_MACHINE_KV, '1', &outcome);
    uint64_t read = agreement->read(agreement, false, LONG_MS, on_done, &outcome);
    uint64_t transfer = osr_ledger_transfer(rig->ledger, "", LONG_MS, on_done, &outcome);
    links_settle(rig);
    assert_int_equal(rig->ledger->request_count, 3);
    agreement->forget(agreement, write);
    agreement->forget(agreement, read);
    agreement->forget(agreement, transfer);
    for (int i = 0; i < TURNS_MAX && rig->ledger->request_count > 0; i++) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig->ledger->request_count, 0);
    assert_int_equal(rig->ledger->request_bytes, 0);
    assert_int_equal(outcome.count, 0);
    agreement->forget(agreement, write); /* as one that was just answered */
}

/* But for a command that was handed over: it takes room at the leader until its time is over. */
static void forgotten_command_that_was_handed_over_keeps_its_time(void **state)
{
    struct links_rig *rig = *state;
    struct outcome outcome = {0};
    lead(rig);
    struct osr_agreement *agreement = osr_ledger_agreement(rig->ledger);
    uint64_t write = propose(rig, OSR_MACHINE_KV, '1', &outcome);
    osr_ledger_end_turn(rig->ledger);
    const struct ledger_request *request = osr_ledger_find_request(rig->ledger, write);
    assert_non_null(request);
    assert_int_equal(request->state, LEDGER_PROPOSED);
    agreement->forget(agreement, write);
    assert_true(request->deadline_ms > uv_now(rig->loop));
    for (int i = 0; i < TURNS_MAX && rig->ledger->request_count > 0; i++) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    assert_true(has_key(rig, '1'));
    assert_int_equal(outcome.count, 0);
}

/* What has to be tried again goes in front of what came after it. */
static void requests_keep_their_order(void **state)
{
    struct links_rig *rig = *state;
    struct outcome outcome = {0};
    open_ledger(rig, OSR_CONFIG_LEDGER_JOIN);
    uint64_t first = propose(rig, OSR_MACHINE_KV, '1', &outcome);
    links_settle(rig);
    uint64_t second = propose(rig, OSR_MACHINE_KV, '2', &outcome);
    osr_ledger_retry_now(rig->ledger);
    const struct ledger_request *request = rig->ledger->waiting.first;
    assert_int_equal(request->number, first);
    assert_int_equal(request->next->number, second);
    osr_ledger_end_requests(rig->ledger);
    assert_int_equal(outcome.count, 2);
}

/* A read whose time is over says so, and why: who asked for it is not to begin again. At the end of
 * the process another member may still answer. */
static void late_read_is_not_to_be_repeated(void **state)
{
    struct links_rig *rig = *state;
    struct outcome late = {0}, ended = {0};
    open_ledger(rig, OSR_CONFIG_LEDGER_JOIN);
    struct osr_agreement *agreement = osr_ledger_agreement(rig->ledger);
    agreement->read(agreement, false, 1, on_done, &late);
    agreement->read(agreement, false, LONG_MS, on_done, &ended);
    links_wait(rig, &late.count, 1);
    assert_int_equal(late.code, OSR_TIMEOUT);
    osr_ledger_end_requests(rig->ledger);
    assert_int_equal(ended.count, 1);
    assert_int_equal(ended.code, OSR_UNAVAILABLE);
}

/* ---- opening ---- */

static void on_fact(void *context, enum osr_code code)
{
    assert_int_not_equal(code, OSR_OK);
    ++*(size_t *)context;
}

/* One that gave up what it had, and then cannot be opened, leaves nothing behind that is told
 * later. */
static void failed_opening_leaves_nothing_to_be_told(void **state)
{
    struct links_rig *rig = *state;
    struct rlimit before, none;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    none = (struct rlimit){.rlim_cur = 0, .rlim_max = before.rlim_max};
    rig->journal->disk.is_full = true;
    rig->journal->disk.has_no_room = true;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    assert_int_not_equal(try_open(rig, OSR_CONFIG_LEDGER_REJOIN), 0);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_null(rig->ledger);
    size_t written = 0; /* behind all that waited to be */
    osr_journal_fact(rig->journal->journal, "more", osr_slice("", 1), on_fact, &written);
    links_wait(rig, &written, 1);
}

#define REQUESTS_TEST(test) cmocka_unit_test_setup_teardown(test, links_set_up, links_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        REQUESTS_TEST(transfer_to_anybody_is_done_once_another_leads),
        REQUESTS_TEST(transfer_to_somebody_is_asked_for_again),
        REQUESTS_TEST(refused_commands_of_a_batch_are_answered_alone),
        REQUESTS_TEST(a_member_has_few_changes_at_once),
        REQUESTS_TEST(machine_that_is_not_known_is_refused),
        REQUESTS_TEST(forgotten_requests_leave_no_trace),
        REQUESTS_TEST(forgotten_command_that_was_handed_over_keeps_its_time),
        REQUESTS_TEST(requests_keep_their_order),
        REQUESTS_TEST(late_read_is_not_to_be_repeated),
        REQUESTS_TEST(failed_opening_leaves_nothing_to_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
