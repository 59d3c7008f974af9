/* A ledger's state: commands and what comes of them, and where it stands after a restart. Its
 * snapshots are in test_ledger_snapshots.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/ledger_state_fixture.h"
#include "lib/loop.h"

/* ---- the envelope ---- */

/* What is encoded is decoded again. */
static void command_comes_out_as_it_went_in(void **state)
{
    const struct osr_ledger_command command = {
        .machine = (enum osr_machine_id)0x1234,
        .version = 7,
        .start = UINT64_MAX - 1,
        .number = 3,
        .bytes = osr_slice_text("put it there"),
    };
    struct osr_ledger_command decoded;
    struct osr_buffer payload = {0};
    (void)state;

    osr_ledger_command_encode(&command, &payload);
    assert_int_equal(payload.size, OSR_LEDGER_ENVELOPE_SIZE + command.bytes.size);
    assert_int_equal(osr_ledger_command_decode(osr_buffer_slice(&payload), &decoded, NULL), 0);
    assert_int_equal(decoded.machine, command.machine);
    assert_int_equal(decoded.version, command.version);
    assert_int_equal(decoded.start, command.start);
    assert_int_equal(decoded.number, command.number);
    assert_true(osr_slice_equal(decoded.bytes, command.bytes));
    osr_buffer_done(&payload);
}

/* Too short, no version, no format: malformed; of a later format: not for this member. */
static void command_that_is_none_is_refused(void **state)
{
    uint8_t payload[OSR_LEDGER_ENVELOPE_SIZE] = {1, 0, 2, 1};
    struct osr_ledger_command decoded;
    (void)state;

    assert_int_equal(osr_ledger_command_decode(osr_slice(payload, sizeof(payload)), &decoded, NULL),
                     0);
    assert_int_equal(decoded.bytes.size, 0);
    for (size_t size = 0; size < sizeof(payload); size++) {
        assert_int_equal(osr_ledger_command_decode(osr_slice(payload, size), &decoded, NULL),
                         OSR_MALFORMED);
    }
    payload[3] = 0;
    assert_int_equal(osr_ledger_command_decode(osr_slice(payload, sizeof(payload)), &decoded, NULL),
                     OSR_MALFORMED);
    payload[0] = 0;
    assert_int_equal(osr_ledger_command_decode(osr_slice(payload, sizeof(payload)), &decoded, NULL),
                     OSR_MALFORMED);
    payload[0] = 2;
    assert_int_equal(osr_ledger_command_decode(osr_slice(payload, sizeof(payload)), &decoded, NULL),
                     OSR_UNSUPPORTED_VERSION);
}

/* ---- applying ---- */

static void apply_command(struct ledger_member *member, const struct osr_ledger_command *command)
{
    struct osr_buffer payload = {0};

    osr_ledger_command_encode(command, &payload);
    struct osr_raft_entry entry = {
        .index = command->number,
        .term = ledger_term_at(command->number),
        .kind = OSR_RAFT_COMMAND,
        .payload = osr_buffer_slice(&payload),
    };
    ledger_member_apply_entry(member, &entry);
    osr_buffer_done(&payload);
}

/* A command with a number, which is its index. */
static struct osr_ledger_command command(uint64_t number, enum osr_machine_id machine,
                                         const char *bytes)
{
    return (struct osr_ledger_command){.machine = machine,
                                       .version = 1,
                                       .start = LEDGER_START,
                                       .number = number,
                                       .bytes = osr_slice_text(bytes)};
}

/* Each command goes to its machine and comes by with what that said; each machine has values of
 * its own. */
static void state_applies_and_replies(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;
    struct osr_ledger_command second = command(2, OSR_MACHINE_KV, "key_first");
    struct osr_ledger_command third = command(3, OSR_MACHINE_CLUSTER, "key_other");
    struct osr_ledger_command fourth = command(4, OSR_MACHINE_KV, "key_second");
    struct osr_ledger_command bad = command(5, OSR_MACHINE_KV, "k");

    ledger_member_open(member, 0, 0);
    assert_int_equal(member->restored, LEDGER_MACHINES);
    ledger_member_apply(member, 1);
    assert_int_equal(member->commands, 0);
    apply_command(member, &second);
    apply_command(member, &third);
    assert_int_equal(member->last_reply.size, 0);
    apply_command(member, &fourth);
    assert_int_equal(member->last_number, 4);
    assert_int_equal(member->last_code, OSR_OK);
    assert_true(osr_slice_equal(osr_buffer_slice(&member->last_reply), osr_slice_text("first")));
    apply_command(member, &bad);
    assert_int_equal(member->last_code, OSR_INVALID_ARGUMENT);
    assert_int_equal(member->commands, 4);
    assert_int_equal(member->applied, 5);
    assert_int_equal(member->failures, 0);
}

/* A configuration and a leader's first entry are applied, and come to nobody. */
static void state_passes_over_what_is_no_command(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;

    ledger_member_open(member, 0, 0);
    ledger_member_apply(member, 50);
    assert_int_equal(member->applied, 50);
    assert_int_equal(member->commands, 50 - 4); /* 1 and 40, 25 and 50 */
}

/* What nobody could apply does not stop the ledger: it does nothing, as at every member. */
static void state_passes_over_malformed_commands(void **state)
{
    struct ledger_pair *pair = *state;
    struct ledger_member *member = &pair->giver;
    struct osr_raft_entry entry = {.index = 2,
                                   .term = 1,
                                   .kind = OSR_RAFT_COMMAND,
                                   .payload = osr_slice_text("\001no command")};

    ledger_member_open(member, 0, 0);
    ledger_member_apply(member, 1);
    ledger_member_apply_entry(member, &entry);
    assert_int_equal(member->applied, 2);
    assert_int_equal(member->commands, 0);
    assert_int_equal(member->failures, 0);
    ledger_member_apply(member, 10);
}

static void assert_too_old(struct ledger_member *member, const struct osr_ledger_command *command)
{
    apply_command(member, command);
    assert_int_equal(member->failures, 1);
    assert_int_equal(member->err.code, OSR_UNSUPPORTED_VERSION);
    assert_non_null(strstr(member->err.hint, "upgrade"));
    assert_int_equal(member->applied, 1);
    apply_command(member, command); /* said once */
    assert_int_equal(member->failures, 1);
}

/* A machine that this member lacks: it stops where it is, and says that it is too old. */
static void state_stops_at_an_unknown_machine(void **state)
{
    struct ledger_pair *pair = *state;
    struct osr_ledger_command unknown = command(2, (enum osr_machine_id)9, "key_value");

    ledger_member_open(&pair->giver, 0, 0);
    ledger_member_apply(&pair->giver, 1);
    assert_too_old(&pair->giver, &unknown);
}

/* Likewise a command of a later version. */
static void state_stops_at_an_unknown_version(void **state)
{
    struct ledger_pair *pair = *state;
    struct osr_ledger_command later = command(2, OSR_MACHINE_KV, "key_value");

    later.version = 2;
    ledger_member_open(&pair->giver, 0, 0);
    ledger_member_apply(&pair->giver, 1);
    assert_too_old(&pair->giver, &later);
}

/* More than memory is to hold: it waits for the disk, and is all applied, in order. */
static void state_waits_for_room(void **state)
{
    struct ledger_pair *pair = *state;

    pair->giver.value_size = pair->taker.value_size = (size_t)1 << 20;
    for (int i = 0; i < 2; i++) {
        struct ledger_member *member = i == 0 ? &pair->giver : &pair->taker;
        ledger_member_open(member, 0, 0);
        if (i == 0) {
            ledger_member_apply(member, 150); /* in one go */
        }
        for (uint64_t index = 1; index <= 150; index++) {
            if (index > member->applied) {
                ledger_member_apply(member, index);
            }
        }
    }
    assert_int_equal(pair->giver.commands, pair->taker.commands);
    ledger_member_assert_equal(&pair->giver, &pair->taker);
}

/* ---- restarts ---- */

/* Closed after any number of entries, it stands there at the next start, and goes on. */
static void state_goes_on_where_it_was_closed(void **state)
{
    struct ledger_pair *pair = *state;
    static const uint64_t stops[] = {1, 2, 3, 40, 41, 75, 300};

    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        ledger_member_open(&pair->giver, 0, i > 0 ? stops[i - 1] : 0);
        assert_int_equal(pair->giver.applied, i > 0 ? stops[i - 1] : 0);
        ledger_member_apply(&pair->giver, stops[i]);
        ledger_member_close(&pair->giver);
    }
    ledger_member_open(&pair->giver, 0, 300);
    assert_int_equal(pair->giver.applied, 300);
    ledger_member_open(&pair->taker, 0, 0);
    ledger_member_apply(&pair->taker, 300);
    ledger_member_assert_equal(&pair->giver, &pair->taker);
}

/* What a kill leaves: the files as they stand on the disk, some entries back; with these applied
 * again it is as if nothing had happened. */
static void state_goes_on_after_a_kill(void **state)
{
    struct ledger_pair *pair = *state;
    struct osr_ledger_state_info info;
    char *copy = osr_format("cp -r ledger %s", pair->taker.folder);

    ledger_member_open(&pair->giver, 0, 0);
    ledger_member_apply(&pair->giver, 100);
    do {
        loop_idle(&pair->loop, 10);
        osr_ledger_state_info(pair->giver.state, &info);
    } while (info.flushed < 100);
    ledger_member_apply(&pair->giver, 200);
    scratch_run(pair->giver.folder, copy);
    ledger_member_open(&pair->taker, 0, 200);
    assert_int_equal(pair->taker.applied, 100);
    ledger_member_apply(&pair->taker, 200);
    ledger_member_assert_equal(&pair->giver, &pair->taker);
    free(copy);
}

/* Values ahead of the log are of another log: it says how to come back, and changes nothing. */
static void state_refuses_values_ahead_of_the_log(void **state)
{
    struct ledger_pair *pair = *state;

    ledger_member_open(&pair->giver, 0, 0);
    ledger_member_apply(&pair->giver, 30);
    ledger_member_close(&pair->giver);
    assert_int_equal(ledger_member_open_code(&pair->giver, 0, 29), OSR_CORRUPT);
    assert_non_null(strstr(pair->giver.err.hint, "osiris cluster remove"));
    assert_non_null(strstr(pair->giver.err.hint, "--ledger rejoin"));
    ledger_member_open(&pair->giver, 0, 30);
    assert_int_equal(pair->giver.applied, 30);
}

/* The log begins behind what nothing here stands for. */
static void state_refuses_a_log_without_its_snapshot(void **state)
{
    struct ledger_pair *pair = *state;

    ledger_member_open(&pair->giver, 0, 0);
    ledger_member_apply(&pair->giver, 30);
    ledger_member_close(&pair->giver);
    assert_int_equal(ledger_member_open_code(&pair->giver, 20, 40), OSR_CORRUPT);
    assert_non_null(strstr(pair->giver.err.message, "begins behind entry 20"));
    assert_non_null(strstr(pair->giver.err.hint, "osiris cluster remove"));
}

#define STATE_TEST(test)                                                                           \
    cmocka_unit_test_setup_teardown(test, ledger_pair_set_up, ledger_pair_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_comes_out_as_it_went_in),
        cmocka_unit_test(command_that_is_none_is_refused),
        STATE_TEST(state_applies_and_replies),
        STATE_TEST(state_passes_over_what_is_no_command),
        STATE_TEST(state_passes_over_malformed_commands),
        STATE_TEST(state_stops_at_an_unknown_machine),
        STATE_TEST(state_stops_at_an_unknown_version),
        STATE_TEST(state_waits_for_room),
        STATE_TEST(state_goes_on_where_it_was_closed),
        STATE_TEST(state_goes_on_after_a_kill),
        STATE_TEST(state_refuses_values_ahead_of_the_log),
        STATE_TEST(state_refuses_a_log_without_its_snapshot),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
