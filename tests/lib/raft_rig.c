/* Members, time, and what they say to each other. */
#include "lib/raft_rig_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

enum { ARENA_BYTES_MAX = 1 << 28, RIG_SEED = 77 };

void *raft_rig_keep(struct raft_rig *rig, const void *data, size_t size)
{
    void *kept = osr_arena_take(rig->arena, size + 1);
    assert_non_null(kept);
    if (size > 0) {
        memcpy(kept, data, size);
    }
    return kept;
}

struct osr_slice raft_rig_keep_slice(struct raft_rig *rig, struct osr_slice bytes)
{
    return osr_slice(raft_rig_keep(rig, bytes.data, bytes.size), bytes.size);
}

/* ---- steps ---- */

static void step_once(struct raft_rig *rig, uint64_t id, const struct osr_raft_event *event)
{
    struct osr_raft_event timed = *event;
    struct osr_raft_outputs outputs;
    timed.now_ms = rig->now_ms;
    osr_raft_step(rig->members[id].core, &timed, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        raft_rig_carry_out(rig, id, &outputs.items[i]);
    }
}

static void give_answers(struct raft_rig *rig, uint64_t id)
{
    struct rig_member *member = &rig->members[id];
    while (member->answered < member->answer_count) {
        const struct osr_raft_event event = member->answers[member->answered++];
        step_once(rig, id, &event);
    }
    member->answered = 0;
    member->answer_count = 0;
}

void raft_rig_step(struct raft_rig *rig, uint64_t member, const struct osr_raft_event *event)
{
    step_once(rig, member, event);
    give_answers(rig, member);
    step_once(rig, member, &(struct osr_raft_event){.type = OSR_RAFT_FLUSH});
    give_answers(rig, member);
}

/* ---- life ---- */

static void say(void *context, enum osr_level level, const char *line)
{
    (void)level;
    struct raft_rig *rig = context;
    osr_buffer_add_text(&rig->said, line);
    osr_buffer_add_u8(&rig->said, '\n');
}

/* Entry 1: everybody votes. */
static void write_first_entry(struct raft_rig *rig, struct rig_disk *disk)
{
    struct osr_raft_configuration *all = osr_alloc(sizeof(*all));
    struct osr_buffer bytes = {0};
    all->count = rig->voters;
    for (size_t i = 0; i < rig->voters; i++) {
        all->members[i].id = i + 1;
        all->members[i].standing = OSR_RAFT_VOTER;
    }
    osr_raft_configuration_encode(all, &bytes);
    disk->vote.term = 1;
    disk->last = 1;
    disk->entries[1] =
        (struct osr_raft_entry){.index = 1,
                                .term = 1,
                                .kind = OSR_RAFT_CONFIGURATION,
                                .payload = raft_rig_keep_slice(rig, osr_buffer_slice(&bytes))};
    osr_buffer_done(&bytes);
    free(all);
}

struct raft_rig *raft_rig_create_stopped(size_t voters)
{
    struct raft_rig *rig = osr_alloc(sizeof(*rig));
    osr_raft_options_init(&rig->options);
    rig->options.election_timeout_ms = RIG_TIMEOUT_MS;
    rig->options.heartbeat_ms = RIG_HEARTBEAT_MS;
    rig->options.command_bytes_max = RIG_COMMAND_BYTES_MAX;
    rig->options.message_bytes_max = RIG_MESSAGE_BYTES_MAX;
    rig->options.window_messages = RIG_WINDOW_MESSAGES;
    rig->options.window_bytes = RIG_WINDOW_BYTES;
    rig->options.chunk_bytes = RIG_CHUNK_BYTES;
    rig->options.caught_up_entries = RIG_CAUGHT_UP_ENTRIES;
    rig->options.trace = (struct osr_trace){say, rig, OSR_LEVEL_TRACE};
    rig->members = osr_alloc(RIG_MEMBERS_MAX * sizeof(rig->members[0]));
    rig->seen = osr_alloc(RIG_SEEN_MAX * sizeof(rig->seen[0]));
    rig->wire = osr_alloc(RIG_WIRE_MAX * sizeof(rig->wire[0]));
    rig->arena = osr_arena_create(0, ARENA_BYTES_MAX);
    rig->voters = voters;
    rig->now_ms = 1000000;
    for (size_t i = 1; i <= voters; i++) {
        write_first_entry(rig, &rig->members[i].disk);
    }
    return rig;
}

struct raft_rig *raft_rig_create(size_t voters, size_t cores)
{
    struct raft_rig *rig = raft_rig_create_stopped(voters);
    for (size_t i = 1; i <= cores; i++) {
        raft_rig_start(rig, i);
    }
    return rig;
}

void raft_rig_destroy(struct raft_rig *rig)
{
    for (size_t i = 0; i < RIG_MEMBERS_MAX; i++) {
        osr_raft_destroy(rig->members[i].core);
        osr_buffer_done(&rig->members[i].disk.incoming);
    }
    osr_arena_destroy(rig->arena);
    osr_buffer_done(&rig->said);
    free(rig->members);
    free(rig->seen);
    free(rig->wire);
    free(rig);
}

void raft_rig_crash(struct raft_rig *rig, uint64_t id)
{
    struct rig_member *member = &rig->members[id];
    osr_raft_destroy(member->core);
    member->core = NULL;
    member->answer_count = 0;
    member->held_count = 0;
}

static void create_core(struct raft_rig *rig, uint64_t id)
{
    struct osr_raft_options options = rig->options;
    raft_rig_crash(rig, id);
    options.member = id;
    options.seed = RIG_SEED + id;
    assert_int_equal(osr_raft_create(&options, &rig->members[id].core, NULL), 0);
}

void raft_rig_start(struct raft_rig *rig, uint64_t id)
{
    const struct rig_disk *disk = &rig->members[id].disk;
    struct osr_raft_span spans[RIG_LOG_MAX];
    struct osr_raft_entry configurations[RIG_LOG_MAX];
    size_t span_count = 0;
    size_t configuration_count = 0;
    for (uint64_t index = disk->base + 1; index <= disk->last; index++) {
        const struct osr_raft_entry *entry = &disk->entries[index];
        if (span_count == 0 || spans[span_count - 1].term != entry->term) {
            spans[span_count++] = (struct osr_raft_span){index, entry->term};
        }
        if (entry->kind == OSR_RAFT_CONFIGURATION && index > disk->snapshot.index) {
            configurations[configuration_count++] = *entry;
        }
    }
    const struct osr_raft_restored restored = {.vote = disk->vote,
                                               .snapshot = disk->snapshot,
                                               .base = disk->base,
                                               .base_term = disk->base_term,
                                               .last = disk->last,
                                               .spans = spans,
                                               .span_count = span_count,
                                               .configurations = configurations,
                                               .configuration_count = configuration_count,
                                               .applied = disk->applied};
    create_core(rig, id);
    raft_rig_step(rig, id, &(struct osr_raft_event){.type = OSR_RAFT_START, .start = &restored});
}

void raft_rig_start_empty(struct raft_rig *rig, uint64_t id, bool is_founder)
{
    const struct osr_raft_restored restored = {.is_founder = is_founder,
                                               .context = osr_slice_text("founder")};
    osr_buffer_done(&rig->members[id].disk.incoming);
    memset(&rig->members[id].disk, 0, sizeof(rig->members[id].disk));
    create_core(rig, id);
    raft_rig_step(rig, id, &(struct osr_raft_event){.type = OSR_RAFT_START, .start = &restored});
}

/* ---- driving ---- */

void raft_rig_deliver(struct raft_rig *rig, const struct osr_raft_message *message)
{
    const struct osr_raft_event event = {.type = OSR_RAFT_MESSAGE, .message = message};
    raft_rig_step(rig, message->to, &event);
}

static bool can_pass(struct raft_rig *rig, const struct osr_raft_message *message)
{
    const struct rig_member *to = &rig->members[message->to];
    return to->core != NULL && !to->is_cut_off && !rig->members[message->from].is_cut_off;
}

void raft_rig_settle(struct raft_rig *rig)
{
    while (rig->delivered < rig->wire_count) {
        const struct osr_raft_message *message = rig->wire[rig->delivered++];
        if (can_pass(rig, message)) {
            raft_rig_deliver(rig, message);
        }
    }
    raft_rig_lose(rig);
}

void raft_rig_lose(struct raft_rig *rig)
{
    rig->wire_count = 0;
    rig->delivered = 0;
}

static void tick(struct raft_rig *rig, uint64_t member)
{
    raft_rig_step(rig, member, &(struct osr_raft_event){.type = OSR_RAFT_TICK});
}

/* The member whose TICK is due first; 0: none is. */
static uint64_t first_due(struct raft_rig *rig, uint64_t *ret_due_ms)
{
    uint64_t first = 0;
    for (uint64_t id = 1; id < RIG_MEMBERS_MAX; id++) {
        const struct osr_raft *core = rig->members[id].core;
        if (core != NULL && osr_raft_deadline_ms(core) <= *ret_due_ms) {
            *ret_due_ms = osr_raft_deadline_ms(core);
            first = id;
        }
    }
    return first;
}

void raft_rig_advance(struct raft_rig *rig, uint64_t ms)
{
    uint64_t end_ms = rig->now_ms + ms;
    for (;;) {
        uint64_t due_ms = end_ms;
        uint64_t member = first_due(rig, &due_ms);
        if (member == 0) {
            break;
        }
        rig->now_ms = due_ms > rig->now_ms ? due_ms : rig->now_ms;
        tick(rig, member);
        assert_true(osr_raft_deadline_ms(rig->members[member].core) > rig->now_ms);
        raft_rig_settle(rig);
    }
    rig->now_ms = end_ms;
}

void raft_rig_tick(struct raft_rig *rig, uint64_t member, uint64_t ms)
{
    rig->now_ms += ms;
    tick(rig, member);
}

/* Those that the test plays say yes. */
static void grant(struct raft_rig *rig, uint64_t candidate)
{
    for (uint64_t id = 1; id <= rig->voters; id++) {
        const struct osr_raft_message *request = raft_rig_said(rig, id, OSR_RAFT_VOTE_REQUEST);
        if (rig->members[id].core == NULL && request != NULL) {
            struct osr_raft_message reply =
                rig_message(OSR_RAFT_VOTE_REPLY, id, candidate, request->term);
            reply.vote_reply.is_pre = request->vote_request.is_pre;
            reply.vote_reply.is_granted = true;
            raft_rig_deliver(rig, &reply);
        }
    }
    raft_rig_settle(rig);
}

void raft_rig_elect(struct raft_rig *rig, uint64_t member)
{
    raft_rig_forget(rig);
    raft_rig_tick(rig, member, 2 * RIG_TIMEOUT_MS);
    raft_rig_settle(rig);
    grant(rig, member);
    if (raft_rig_info(rig, member).role != OSR_RAFT_LEADER) {
        grant(rig, member);
    }
    assert_int_equal(raft_rig_info(rig, member).role, OSR_RAFT_LEADER);
}

static void propose(struct raft_rig *rig, uint64_t member, uint64_t token, size_t bytes)
{
    uint8_t command[2 * RIG_COMMAND_BYTES_MAX] = {0};
    command[0] = (uint8_t)token;
    step_once(rig, member,
              &(struct osr_raft_event){
                  .type = OSR_RAFT_PROPOSE,
                  .propose = {.token = token, .command = osr_slice(command, bytes)}});
}

void raft_rig_propose_many(struct raft_rig *rig, uint64_t member, uint64_t token, size_t count,
                           size_t bytes)
{
    for (size_t i = 0; i < count; i++) {
        propose(rig, member, token + i, bytes);
    }
    raft_rig_step(rig, member, &(struct osr_raft_event){.type = OSR_RAFT_FLUSH});
}

void raft_rig_propose(struct raft_rig *rig, uint64_t member, uint64_t token, size_t bytes)
{
    raft_rig_propose_many(rig, member, token, 1, bytes);
}

void raft_rig_read(struct raft_rig *rig, uint64_t member, uint64_t token)
{
    raft_rig_step(rig, member,
                  &(struct osr_raft_event){.type = OSR_RAFT_READ, .read = {.token = token}});
}

static void change(struct raft_rig *rig, uint64_t member, uint64_t token,
                   const struct osr_raft_change *wanted)
{
    raft_rig_step(rig, member,
                  &(struct osr_raft_event){.type = OSR_RAFT_CHANGE,
                                           .change = {.token = token, .change = wanted}});
}

void raft_rig_change(struct raft_rig *rig, uint64_t member, uint64_t token,
                     enum osr_raft_change_type type, uint64_t whom)
{
    const struct osr_raft_change wanted = {.type = type, .member = {.id = whom}};
    change(rig, member, token, &wanted);
}

void raft_rig_add(struct raft_rig *rig, uint64_t member, uint64_t token, uint64_t whom,
                  bool is_promoted)
{
    const struct osr_raft_change wanted = {.type = OSR_RAFT_ADD,
                                           .member = {.id = whom, .is_promoted = is_promoted}};
    change(rig, member, token, &wanted);
}

void raft_rig_transfer(struct raft_rig *rig, uint64_t member, uint64_t token, uint64_t target)
{
    raft_rig_step(rig, member,
                  &(struct osr_raft_event){.type = OSR_RAFT_TRANSFER,
                                           .transfer = {.token = token, .target = target}});
}

void raft_rig_snapshot(struct raft_rig *rig, uint64_t id, uint64_t size)
{
    struct rig_disk *disk = &rig->members[id].disk;
    const struct osr_raft_snapshot made = {
        .index = disk->applied, .size = size, .checksum = disk->applied * 1000 + size};
    disk->snapshot = made;
    disk->snapshot.term = disk->entries[made.index].term;
    disk->snapshot.configuration = *osr_raft_members(rig->members[id].core);
    raft_rig_step(rig, id,
                  &(struct osr_raft_event){.type = OSR_RAFT_SNAPSHOT_MADE, .snapshot_made = &made});
}

struct osr_raft_message rig_message(enum osr_raft_message_type type, uint64_t from, uint64_t to,
                                    uint64_t term)
{
    return (struct osr_raft_message){.type = type, .from = from, .to = to, .term = term};
}

void raft_rig_appended(struct raft_rig *rig, uint64_t from, uint64_t to, uint64_t index)
{
    const struct osr_raft_message *append = raft_rig_said(rig, from, OSR_RAFT_APPEND);
    struct osr_raft_message reply =
        rig_message(OSR_RAFT_APPENDED, from, to, raft_rig_info(rig, to).term);
    reply.appended.index = index;
    reply.appended.round = append != NULL ? append->append.round : 0;
    raft_rig_deliver(rig, &reply);
}
