#include "sim/raft_member.h"

#include "sim/raft_checks.h"
#include "sim/raft_clients.h"
#include "sim/raft_faults.h"
#include "sim/raft_network.h"
#include "sim/raft_operator.h"
#include "sim/raft_wal.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    NOMINAL_SPEED = 1000,  /* of a clock, in thousandths */
    BOOT_MS_MAX = 1000000, /* what a clock may show when its machine starts */
    VAIN_TICKS_MAX = 10,   /* on end, without a later deadline */
};

#define KEEP_STATE 0.2 /* chance that the state is made durable after something was applied */

static void write_line(void *context, enum osr_level level, const char *line)
{
    const struct raft_member *member = context;
    osr_trace(&member->world->trace, level, "m%" PRIu64 ": %s", member->id, line);
}

struct raft_member *raft_member_create(struct raft_world *world, uint32_t place, bool is_founder)
{
    struct raft_member *member = osr_alloc(sizeof(*member));
    uint64_t skew = world->settings.clock_skew;
    member->world = world;
    member->place = place;
    member->id = place + 1;
    member->is_founder = is_founder;
    member->clock_offset_ms = raft_between(world, 0, BOOT_MS_MAX);
    member->clock_speed = raft_between(world, NOMINAL_SPEED - skew, NOMINAL_SPEED + skew);
    member->disk = raft_disk_create(
        world->settings.has_real_log ? raft_wal_create(osr_random_u64(&world->random)) : NULL);
    if (world->trace.write != NULL) {
        member->trace =
            (struct osr_trace){.write = write_line, .context = member, .level = world->trace.level};
    }
    return member;
}

void raft_member_destroy(struct raft_member *member)
{
    if (member != NULL) {
        osr_raft_destroy(member->core);
        raft_disk_destroy(member->disk);
        free(member);
    }
}

/* ---- what it looks like ---- */

bool raft_member_is_paused(const struct raft_member *member)
{
    return member->paused_until_us > member->world->now_us;
}

bool raft_member_leads(const struct raft_member *member)
{
    if (!raft_member_is_up(member)) {
        return false;
    }
    struct osr_raft_info info;
    osr_raft_info(member->core, &info);
    return info.role == OSR_RAFT_LEADER;
}

void raft_member_configuration(const struct raft_member *member,
                               struct osr_raft_configuration *ret_configuration)
{
    if (raft_member_is_up(member)) {
        *ret_configuration = *osr_raft_members(member->core);
        return;
    }
    raft_store_configuration(raft_disk_store_of(member->disk), ret_configuration);
}

/* ---- its clock ---- */

uint64_t raft_member_now_ms(const struct raft_member *member)
{
    return member->clock_offset_ms + member->world->now_us * member->clock_speed / 1000000;
}

static uint64_t at_us(const struct raft_member *member, uint64_t local_ms)
{
    uint64_t since_ms = local_ms > member->clock_offset_ms ? local_ms - member->clock_offset_ms : 0;
    return (since_ms * 1000000 + member->clock_speed - 1) / member->clock_speed;
}

/* Sees to it that a TICK comes no later than the core wants one. */
static void set_tick(struct raft_member *member)
{
    uint64_t deadline_ms = osr_raft_deadline_ms(member->core);
    if (deadline_ms == UINT64_MAX) {
        return;
    }
    uint64_t due_us = at_us(member, deadline_ms);
    due_us = due_us > member->world->now_us ? due_us : member->world->now_us;
    if (due_us < member->tick_us) {
        member->tick_us = due_us;
        raft_world_at(member->world, due_us, RAFT_TICK, member->place);
    }
}

/* A TICK does what was due, or the next few do. */
static void check_deadline(struct raft_member *member)
{
    bool is_due = raft_member_is_up(member) &&
                  osr_raft_deadline_ms(member->core) <= raft_member_now_ms(member);
    member->vain_ticks = is_due ? member->vain_ticks + 1 : 0;
    if (member->vain_ticks > VAIN_TICKS_MAX) {
        sim_violation("m%" PRIu64 " wants one TICK after the other at %" PRIu64 " ms", member->id,
                      raft_member_now_ms(member));
    }
}

/* The deadline may have moved since this was put down. */
static void tick(struct raft_member *member)
{
    member->tick_us = UINT64_MAX;
    if (raft_member_now_ms(member) >= osr_raft_deadline_ms(member->core)) {
        struct osr_raft_event event = {.type = OSR_RAFT_TICK};
        raft_member_step(member, &event);
        check_deadline(member);
    } else {
        set_tick(member);
    }
}

/* ---- outputs ---- */

static void apply(struct raft_member *member, const struct osr_raft_output *output)
{
    struct raft_world *world = member->world;
    for (size_t i = 0; i < output->apply.count; i++) {
        const struct osr_raft_entry *entry = &output->apply.entries[i];
        if (entry->index != member->state.applied + 1) {
            sim_violation("m%" PRIu64 " applies entry %" PRIu64 " after %" PRIu64, member->id,
                          entry->index, member->state.applied);
        }
        struct raft_result result = raft_state_apply(&member->state, entry);
        raft_checks_applied(world->checks, member);
        if (entry->kind == OSR_RAFT_CONFIGURATION) {
            raft_operator_applied(member);
        } else if (entry->token != 0) {
            raft_clients_applied(member, entry->token, &result);
        }
    }
    uint64_t done_us = world->now_us + raft_between(world, 1, world->settings.apply_us_max);
    member->applied_us = done_us > member->applied_us ? done_us : member->applied_us;
    raft_world_at(world, member->applied_us, RAFT_APPLIED, member->place)->number =
        member->state.applied;
}

/* What was applied may become durable on its own, beside the log and never ahead of it. */
static void finish_apply(struct raft_member *member, uint64_t index)
{
    struct raft_world *world = member->world;
    struct raft_store *store = raft_disk_store_of(member->disk);
    const struct raft_state *state = &member->state;
    if (world->settings.keeps_state && raft_chance(world, KEEP_STATE) &&
        raft_log_last(&raft_store_durable(store)->log) >= state->applied) {
        raft_store_put_state(store, state);
    }
    if (!member->is_making_snapshot && state->applied >= world->settings.snapshot_entries &&
        state->applied - world->settings.snapshot_entries >=
            raft_store_snapshot(store)->meta.index) {
        raft_disk_make_snapshot(member);
    }
    struct osr_raft_event event = {.type = OSR_RAFT_APPLIED, .applied = {.index = index}};
    raft_member_step(member, &event);
}

static void fail(struct raft_member *member, const struct osr_raft_output *output)
{
    osr_trace(&member->trace, OSR_LEVEL_INFO, "operation %" PRIu64 " fails: %s, %s",
              output->failed.token, osr_code_info(output->failed.code)->name, output->failed.why);
    if (output->failed.token <= RAFT_CLIENT_TOKEN_MAX) {
        raft_clients_failed(member, output->failed.token, output->failed.code,
                            output->failed.leader);
    }
}

static void carry_out(struct raft_member *member, const struct osr_raft_output *output)
{
    struct raft_world *world = member->world;
    switch (output->type) {
    case OSR_RAFT_OUT_SEND:
        raft_checks_said(world->checks, member, output->send);
        raft_network_send(world, member->place, output->send);
        break;
    case OSR_RAFT_OUT_APPLY:
        apply(member, output);
        break;
    case OSR_RAFT_OUT_FAILED:
        fail(member, output);
        break;
    case OSR_RAFT_OUT_READABLE:
        raft_clients_readable(member, output->readable.token);
        break;
    case OSR_RAFT_OUT_TRANSFERRED:
        raft_operator_transferred(member, output->transferred.code);
        break;
    case OSR_RAFT_OUT_ROLE:
        if (raft_member_leads(member)) {
            raft_faults_see_leader(world, member);
            raft_operator_see_leader(world, member);
        }
        break;
    default:
        raft_disk_carry_out(member, output);
        break;
    }
}

void raft_member_step(struct raft_member *member, struct osr_raft_event *event)
{
    struct raft_world *world = member->world;
    struct osr_raft_outputs outputs;
    event->now_ms = raft_member_now_ms(member);
    world->counters.events++;
    osr_raft_step(member->core, event, &outputs);
    raft_checks_step(world->checks, member, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        if (member->crash_after > 0 && --member->crash_after == 0) {
            world->counters.crashes_in_step++;
            raft_faults_crash(world, member);
            return;
        }
        carry_out(member, &outputs.items[i]);
    }
    set_tick(member);
}

/* ---- what others ask of it ---- */

static void flush_soon(struct raft_member *member)
{
    if (raft_member_is_up(member) && !member->is_flush_due) {
        member->is_flush_due = true;
        raft_world_after(member->world, 0, member->world->settings.flush_us_max, RAFT_FLUSH,
                         member->place);
    }
}

void raft_member_propose(struct raft_member *member, uint64_t token, struct osr_slice command)
{
    struct osr_raft_event event = {.type = OSR_RAFT_PROPOSE,
                                   .propose = {.token = token, .command = command}};
    raft_member_step(member, &event);
    flush_soon(member);
}

void raft_member_read(struct raft_member *member, uint64_t token)
{
    struct osr_raft_event event = {.type = OSR_RAFT_READ, .read = {.token = token}};
    raft_member_step(member, &event);
    flush_soon(member);
}

void raft_member_change(struct raft_member *member, uint64_t token,
                        const struct osr_raft_change *change)
{
    struct osr_raft_event event = {.type = OSR_RAFT_CHANGE,
                                   .change = {.token = token, .change = change}};
    raft_member_step(member, &event);
    flush_soon(member);
}

void raft_member_transfer(struct raft_member *member, uint64_t token, uint64_t target)
{
    struct osr_raft_event event = {.type = OSR_RAFT_TRANSFER,
                                   .transfer = {.token = token, .target = target}};
    raft_member_step(member, &event);
}

static void receive(struct raft_member *member, const struct osr_raft_message *message)
{
    struct osr_raft_event event = {.type = OSR_RAFT_MESSAGE, .message = message};
    raft_member_step(member, &event);
    if (message->type == OSR_RAFT_READ_REQUEST) {
        flush_soon(member);
    }
}

void raft_member_handle(struct raft_member *member, const struct raft_happening *happening)
{
    struct osr_raft_event event;
    switch (happening->type) {
    case RAFT_TICK:
        tick(member);
        break;
    case RAFT_FLUSH:
        member->is_flush_due = false;
        event = (struct osr_raft_event){.type = OSR_RAFT_FLUSH};
        raft_member_step(member, &event);
        break;
    case RAFT_ARRIVAL:
        receive(member, happening->body);
        break;
    case RAFT_REQUEST:
        raft_clients_request(member, happening->number);
        break;
    case RAFT_APPLIED:
        finish_apply(member, happening->number);
        break;
    case RAFT_HUNTED:
        if (!member->world->is_quiet) {
            raft_faults_crash(member->world, member);
        }
        break;
    case RAFT_OPERATOR_AT:
        raft_operator_act_at(member);
        break;
    case RAFT_UNREACHABLE:
        event = (struct osr_raft_event){.type = OSR_RAFT_UNREACHABLE,
                                        .unreachable = {.member = happening->number}};
        raft_member_step(member, &event);
        break;
    default:
        raft_disk_handle(member, happening);
        break;
    }
}

/* ---- lives ---- */

static void begin_life(struct raft_member *member)
{
    struct raft_world *world = member->world;
    struct osr_raft_options options = world->settings.core;
    struct osr_err err;
    member->life++;
    member->clock_offset_ms += raft_between(world, 0, BOOT_MS_MAX);
    member->tick_us = UINT64_MAX;
    member->is_flush_due = false;
    member->is_making_snapshot = false;
    member->applied_us = 0;
    options.member = member->id;
    options.seed = osr_random_u64(&world->random);
    options.trace = member->trace;
    if (osr_raft_create(&options, &member->core, &err) != 0) {
        sim_violation("m%" PRIu64 " cannot be made: %s", member->id, err.message);
    }
}

void raft_member_start(struct raft_member *member)
{
    assert(!raft_member_is_up(member) && !raft_member_is_lost(member));
    struct raft_store *store = raft_disk_store_of(member->disk);
    raft_world_say(member->world, "---- m%" PRIu64 " starts ----", member->id);
    begin_life(member);
    struct osr_raft_restored restored = *raft_store_open(store, &member->state);
    restored.is_founder = member->is_founder && restored.last == 0;
    restored.context = osr_slice_text("founder");
    raft_checks_start(member->world->checks, member);
    struct osr_raft_event event = {.type = OSR_RAFT_START, .start = &restored};
    raft_member_step(member, &event);
}

void raft_member_crash(struct raft_member *member, bool is_power_cut)
{
    if (!raft_member_is_up(member)) {
        return;
    }
    raft_world_say(member->world, "---- m%" PRIu64 " %s ----", member->id,
                   is_power_cut ? "loses power" : "is killed");
    member->world->counters.crashes++;
    member->world->counters.power_cuts += is_power_cut;
    raft_disk_crash(member, is_power_cut); /* what is under way there is the core's */
    osr_raft_destroy(member->core);
    member->core = NULL;
    member->life++;
    member->paused_until_us = 0;
    member->crash_after = 0;
}

/* What was put off until the end of an earlier pause comes then: it is never made shorter. */
void raft_member_pause(struct raft_member *member, uint64_t until_us)
{
    if (raft_member_is_up(member) && until_us > member->world->now_us &&
        until_us > member->paused_until_us) {
        raft_world_say(member->world, "---- m%" PRIu64 " is paused ----", member->id);
        member->world->counters.pauses++;
        member->paused_until_us = until_us;
    }
}
