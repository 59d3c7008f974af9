#include "lib/ledger_state_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "lib/loop.h"

enum {
    WAIT_MS_MAX = 30000,
    KEY_SIZE = 4,
    CHUNK_BYTES = 100 << 10,
};

/* ---- a machine: a command is a key and the value that it puts there ---- */

/* The reply is what stood there before. */
static enum osr_code apply(void *context, struct osr_values *values,
                           const struct osr_command *command, struct osr_buffer *reply)
{
    (void)context;
    if (command->bytes.size < KEY_SIZE) {
        return OSR_INVALID_ARGUMENT;
    }
    struct osr_slice key = osr_slice(command->bytes.data, KEY_SIZE);
    values->get(values, key, reply);
    if (command->bytes.size == KEY_SIZE) {
        values->remove(values, key);
    } else {
        values->put(values, key,
                    osr_slice(command->bytes.data + KEY_SIZE, command->bytes.size - KEY_SIZE));
    }
    return OSR_OK;
}

static void restored(void *context, struct osr_values *values)
{
    struct ledger_member *member = context;
    assert_non_null(values);
    member->restored++;
}

/* ---- entries ---- */

uint64_t ledger_term_at(uint64_t index)
{
    return 1 + index / LEDGER_NOTHING_AT;
}

static bool is_configuration(uint64_t index)
{
    return index == 1 || index % LEDGER_CONFIGURATION_AT == 0;
}

void ledger_configuration_at(uint64_t index, struct osr_raft_configuration *ret_configuration)
{
    uint64_t at = index < LEDGER_CONFIGURATION_AT ? 1 : index - index % LEDGER_CONFIGURATION_AT;

    *ret_configuration = (struct osr_raft_configuration){.count = 1};
    ret_configuration->members[0].id = at;
    ret_configuration->members[0].standing = OSR_RAFT_VOTER;
}

static void add_command(const struct ledger_member *member, uint64_t index,
                        struct osr_buffer *payload)
{
    struct osr_buffer bytes = {0};
    struct osr_random random;

    osr_random_init(&random, index);
    osr_buffer_add_u32(&bytes, (uint32_t)(index % LEDGER_KEYS));
    if (index % 9 != 0) {
        osr_random_fill(&random, osr_buffer_reserve(&bytes, member->value_size),
                        member->value_size);
        bytes.size += member->value_size;
    }
    osr_ledger_command_encode(
        &(struct osr_ledger_command){
            .machine = index % 3 == 0 ? OSR_MACHINE_CLUSTER : OSR_MACHINE_KV,
            .version = 1,
            .start = LEDGER_START,
            .number = index,
            .bytes = osr_buffer_slice(&bytes),
        },
        payload);
    osr_buffer_done(&bytes);
}

void ledger_member_apply_entry(struct ledger_member *member, struct osr_raft_entry *entry)
{
    osr_ledger_state_apply(member->state, entry, 1);
}

static void apply_next(struct ledger_member *member, uint64_t index)
{
    struct osr_buffer payload = {0};
    struct osr_raft_entry entry = {
        .index = index, .term = ledger_term_at(index), .kind = OSR_RAFT_COMMAND};

    if (is_configuration(index)) {
        struct osr_raft_configuration configuration;
        entry.kind = OSR_RAFT_CONFIGURATION;
        ledger_configuration_at(index, &configuration);
        osr_raft_configuration_encode(&configuration, &payload);
    } else if (index % LEDGER_NOTHING_AT == 0) {
        entry.kind = OSR_RAFT_NOTHING;
    } else {
        add_command(member, index, &payload);
    }
    entry.payload = osr_buffer_slice(&payload);
    ledger_member_apply_entry(member, &entry);
    osr_buffer_done(&payload);
}

void ledger_member_apply(struct ledger_member *member, uint64_t last)
{
    uint64_t index = member->applied;

    while (index < last) {
        apply_next(member, ++index);
    }
    for (int i = 0; member->applied < last; i++) {
        assert_true(i < WAIT_MS_MAX && member->failures == 0);
        usleep(1000);
        uv_run(member->loop, UV_RUN_NOWAIT);
    }
}

/* ---- answers ---- */

static void on_command(void *context, const struct osr_raft_entry *entry,
                       const struct osr_ledger_command *command, enum osr_code code,
                       struct osr_slice reply)
{
    struct ledger_member *member = context;

    assert_int_equal(command->start, LEDGER_START);
    assert_int_equal(command->number, entry->index);
    member->commands++;
    member->last_number = command->number;
    member->last_code = code;
    osr_buffer_clear(&member->last_reply);
    osr_buffer_add(&member->last_reply, reply.data, reply.size);
}

static void on_applied(void *context, uint64_t index)
{
    struct ledger_member *member = context;

    assert_true(index > member->applied);
    assert_int_equal(index, osr_ledger_state_applied(member->state));
    member->applied = index;
}

static void on_snapshot(void *context, const struct osr_raft_snapshot *snapshot)
{
    struct ledger_member *member = context;

    assert_true(snapshot->index <= member->applied);
    member->snapshot = *snapshot;
    member->snapshots++;
}

static void answered(struct ledger_member *member, uint64_t ticket, enum osr_code code)
{
    member->answers++;
    member->ticket = ticket;
    member->code = code;
}

static void on_chunk_read(void *context, uint64_t ticket, struct osr_slice chunk)
{
    struct ledger_member *member = context;

    osr_buffer_clear(&member->chunk);
    osr_buffer_add(&member->chunk, chunk.data, chunk.size);
    answered(member, ticket, OSR_OK);
}

static void on_code(void *context, uint64_t ticket, enum osr_code code)
{
    answered(context, ticket, code);
}

static void on_loaded(void *context, uint64_t ticket)
{
    answered(context, ticket, OSR_OK);
}

static void on_failure(void *context, const struct osr_err *err)
{
    struct ledger_member *member = context;

    member->failures++;
    member->err = *err;
}

/* ---- open and close ---- */

void ledger_member_init(struct ledger_member *member, uv_loop_t *loop)
{
    static const enum osr_machine_id ids[LEDGER_MACHINES] = {OSR_MACHINE_CLUSTER, OSR_MACHINE_KV};

    *member = (struct ledger_member){.loop = loop, .value_size = 100};
    scratch_create(member->folder);
    faulty_disk_init(&member->disk);
    for (size_t i = 0; i < LEDGER_MACHINES; i++) {
        member->machines[i] = (struct osr_machine){
            .id = ids[i],
            .name = i == 0 ? "first" : "second",
            .version_max = 1,
            .apply = apply,
            .restored = restored,
            .context = member,
        };
    }
}

int ledger_member_open_code(struct ledger_member *member, uint64_t base, uint64_t last)
{
    const struct osr_ledger_state_handler handler = {
        .on_command = on_command,
        .on_applied = on_applied,
        .on_snapshot = on_snapshot,
        .on_chunk_read = on_chunk_read,
        .on_chunk_written = on_code,
        .on_checked = on_code,
        .on_loaded = on_loaded,
        .on_failure = on_failure,
        .context = member,
    };
    char *folder = osr_format("%s/ledger", member->folder);
    const struct osr_ledger_state_options options = {
        .folder = folder,
        .machines = member->machines,
        .machine_count = LEDGER_MACHINES,
        .base = base,
        .last = last,
        .log_bytes = member->log_bytes,
        .snapshot_bytes = member->snapshot_bytes,
        .disk = &member->disk.disk,
    };
    int code = osr_ledger_state_open(member->loop, &options, &handler, &member->state,
                                     &member->snapshot, &member->applied, &member->err);
    free(folder);
    if (code == 0) {
        struct osr_raft_configuration configuration = {0};
        if (member->applied > 0) {
            ledger_configuration_at(member->applied, &configuration);
        }
        osr_ledger_state_set_configuration(member->state, member->applied,
                                           ledger_term_at(member->applied), &configuration);
    }
    return code;
}

void ledger_member_open(struct ledger_member *member, uint64_t base, uint64_t last)
{
    assert_int_equal(ledger_member_open_code(member, base, last), OSR_OK);
}

void ledger_member_close(struct ledger_member *member)
{
    osr_ledger_state_close(member->state);
    member->state = NULL;
    uv_run(member->loop, UV_RUN_NOWAIT);
}

void ledger_member_done(struct ledger_member *member)
{
    ledger_member_close(member);
    osr_buffer_done(&member->last_reply);
    osr_buffer_done(&member->chunk);
    scratch_remove(member->folder);
}

/* ---- waiting and comparing ---- */

void ledger_member_wait(struct ledger_member *member, const size_t *counter, size_t wanted)
{
    for (int i = 0; *counter < wanted; i++) {
        if (i == WAIT_MS_MAX || (member->failures > 0 && counter != &member->failures)) {
            fail_msg("waited for %zu, have %zu; %zu failures: %s", wanted, *counter,
                     member->failures, member->err.message);
        }
        usleep(1000);
        uv_run(member->loop, UV_RUN_NOWAIT);
    }
}

/* All values of a machine, in their order. */
static void list(struct ledger_member *member, enum osr_machine_id machine,
                 struct osr_buffer *listed)
{
    struct osr_values *values = osr_ledger_state_values(member->state, machine);
    struct osr_buffer from = {0};
    struct osr_buffer key = {0};
    struct osr_buffer value = {0};

    while (values->next(values, osr_buffer_slice(&from), &key, &value)) {
        osr_buffer_add_u32(listed, (uint32_t)key.size);
        osr_buffer_add(listed, key.data, key.size);
        osr_buffer_add_u32(listed, (uint32_t)value.size);
        osr_buffer_add(listed, value.data, value.size);
        osr_buffer_clear(&from);
        osr_buffer_add(&from, key.data, key.size);
        osr_buffer_add_u8(&from, 0);
        osr_buffer_clear(&key);
        osr_buffer_clear(&value);
    }
    osr_buffer_done(&from);
    osr_buffer_done(&key);
    osr_buffer_done(&value);
}

void ledger_member_assert_equal(struct ledger_member *one, struct ledger_member *other)
{
    for (size_t i = 0; i < LEDGER_MACHINES; i++) {
        struct osr_buffer ones = {0};
        struct osr_buffer others = {0};
        list(one, one->machines[i].id, &ones);
        list(other, one->machines[i].id, &others);
        assert_true(ones.size > 0);
        assert_true(osr_slice_equal(osr_buffer_slice(&ones), osr_buffer_slice(&others)));
        osr_buffer_done(&ones);
        osr_buffer_done(&others);
    }
}

void ledger_member_assert_at(struct ledger_member *member, uint64_t last)
{
    struct ledger_member fresh;

    ledger_member_init(&fresh, member->loop);
    fresh.value_size = member->value_size;
    ledger_member_open(&fresh, 0, 0);
    ledger_member_apply(&fresh, last);
    assert_int_equal(osr_ledger_state_applied(member->state), last);
    ledger_member_assert_equal(member, &fresh);
    ledger_member_done(&fresh);
}

/* ---- snapshots ---- */

/* Until nothing is under way any more. */
static void settle(struct ledger_member *member)
{
    struct osr_ledger_state_info info;

    do {
        loop_idle(member->loop, 10);
        osr_ledger_state_info(member->state, &info);
    } while (info.is_making || info.flushed < info.applied);
}

void ledger_member_make(struct ledger_member *member, uint64_t last)
{
    ledger_member_open(member, 0, 0);
    ledger_member_apply(member, last);
    ledger_member_wait(member, &member->snapshots, 1);
    settle(member);
}

void ledger_member_make_another(struct ledger_member *member, uint64_t more)
{
    size_t snapshots = member->snapshots;

    ledger_member_apply(member, member->applied + more);
    ledger_member_wait(member, &member->snapshots, snapshots + 1);
    settle(member);
}

static uint64_t next_ticket(const struct ledger_member *member)
{
    return member->ticket + 1;
}

static enum osr_code wait_answer(struct ledger_member *member, uint64_t ticket)
{
    ledger_member_wait(member, &member->answers, member->answers + 1);
    assert_int_equal(member->ticket, ticket);
    return member->code;
}

bool ledger_member_read(struct ledger_member *giver, uint64_t index, uint64_t offset, size_t size)
{
    uint64_t ticket = next_ticket(giver);

    osr_ledger_state_read_chunk(giver->state, ticket, index, offset, size);
    wait_answer(giver, ticket);
    return giver->chunk.size > 0;
}

enum osr_code ledger_member_write(struct ledger_member *taker,
                                  const struct osr_raft_snapshot *snapshot, uint64_t offset,
                                  struct osr_slice chunk)
{
    uint64_t ticket = next_ticket(taker);

    osr_ledger_state_write_chunk(taker->state, ticket, snapshot, offset, chunk);
    return wait_answer(taker, ticket);
}

enum osr_code ledger_member_give(struct ledger_member *giver, struct ledger_member *taker)
{
    const struct osr_raft_snapshot *snapshot = &giver->snapshot;
    enum osr_code code = OSR_OK;

    for (uint64_t offset = 0; code == OSR_OK && offset < snapshot->size;
         offset += giver->chunk.size) {
        assert_true(ledger_member_read(giver, snapshot->index, offset, CHUNK_BYTES));
        code = ledger_member_write(taker, snapshot, offset, osr_buffer_slice(&giver->chunk));
    }
    return code;
}

enum osr_code ledger_member_check(struct ledger_member *taker,
                                  const struct osr_raft_snapshot *snapshot)
{
    uint64_t ticket = next_ticket(taker);

    osr_ledger_state_check(taker->state, ticket, snapshot);
    return wait_answer(taker, ticket);
}

void ledger_member_load(struct ledger_member *taker, const struct osr_raft_snapshot *snapshot)
{
    uint64_t ticket = next_ticket(taker);

    osr_ledger_state_load(taker->state, ticket, snapshot);
    assert_int_equal(wait_answer(taker, ticket), OSR_OK);
    taker->applied = osr_ledger_state_applied(taker->state);
    assert_int_equal(taker->applied, snapshot->index);
}

/* ---- two ---- */

int ledger_pair_set_up(void **state)
{
    struct ledger_pair *pair = osr_alloc(sizeof(*pair));

    uv_loop_init(&pair->loop);
    ledger_member_init(&pair->giver, &pair->loop);
    ledger_member_init(&pair->taker, &pair->loop);
    *state = pair;
    return 0;
}

int ledger_pair_tear_down(void **state)
{
    struct ledger_pair *pair = *state;

    ledger_member_done(&pair->giver);
    ledger_member_done(&pair->taker);
    loop_idle(&pair->loop, 5);
    assert_int_equal(uv_loop_close(&pair->loop), 0); /* nor where a test left a member open */
    free(pair);
    return 0;
}
