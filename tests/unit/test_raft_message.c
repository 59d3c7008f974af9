/* Messages of the Raft core as frames: what goes out comes back, whatever the encoding, and what no
 * core has sent is refused. */
#include "node/raft_message.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "wire/codec.h"

#define LEDGER "aaaaaaaaaaaaaaaaaaaaaaaaaa"

enum { ENTRIES_MAX = 20, PAYLOAD_BYTES_MAX = 300, ROUNDS = 2000 };

struct fixture {
    struct osr_random random;
    struct osr_raft_room writing, reading;
    struct osr_arena *arena;
    struct osr_buffer bytes;
    enum osr_codec codec;
    struct osr_raft_message read;
    /* What random messages point to. */
    struct osr_raft_entry entries[ENTRIES_MAX];
    uint8_t payloads[ENTRIES_MAX][PAYLOAD_BYTES_MAX];
    struct osr_raft_snapshot snapshot;
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    osr_random_init(&fixture->random, 6);
    fixture->arena = osr_arena_create(1 << 20, 32 << 20);
    fixture->codec = OSR_CODEC_PROTOBUF;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    osr_raft_room_done(&fixture->writing);
    osr_raft_room_done(&fixture->reading);
    osr_buffer_done(&fixture->bytes);
    osr_arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

/* ---- random messages ---- */

static uint64_t random_number(struct fixture *fixture)
{
    uint64_t number = osr_random_u64(&fixture->random);
    switch (osr_random_below(&fixture->random, 4)) {
    case 0:
        return 0;
    case 1:
        return UINT64_MAX;
    case 2:
        return number % 1000;
    default:
        return number;
    }
}

static bool random_truth(struct fixture *fixture)
{
    return osr_random_chance(&fixture->random, 0.5);
}

static struct osr_slice random_payload(struct fixture *fixture, size_t place)
{
    size_t size = (size_t)osr_random_below(&fixture->random, PAYLOAD_BYTES_MAX + 1);
    osr_random_fill(&fixture->random, fixture->payloads[place], size);
    return osr_slice(fixture->payloads[place], size);
}

static void make_append(struct fixture *fixture, struct osr_raft_message *message)
{
    message->append.previous_index = random_number(fixture);
    message->append.previous_term = random_number(fixture);
    message->append.commit = random_number(fixture);
    message->append.round = random_number(fixture);
    message->append.entries = fixture->entries;
    message->append.count = (size_t)osr_random_below(&fixture->random, ENTRIES_MAX + 1);
    for (size_t i = 0; i < message->append.count; i++) {
        fixture->entries[i] = (struct osr_raft_entry){
            .index = message->append.previous_index + 1 + i,
            .term = random_number(fixture),
            .kind = (enum osr_raft_kind)(1 + osr_random_below(&fixture->random, 3)),
            .payload = random_payload(fixture, i),
        };
    }
}

static void make_snapshot(struct fixture *fixture, struct osr_raft_message *message)
{
    struct osr_raft_snapshot *snapshot = &fixture->snapshot;
    struct osr_raft_configuration *configuration = &snapshot->configuration;
    snapshot->index = random_number(fixture);
    snapshot->term = random_number(fixture);
    snapshot->size = random_number(fixture);
    snapshot->checksum = random_number(fixture);
    configuration->count = 1 + (size_t)osr_random_below(&fixture->random, OSR_RAFT_VOTERS_MAX);
    for (size_t i = 0; i < configuration->count; i++) {
        configuration->members[i] = (struct osr_raft_member){
            .id = i + 1, .standing = OSR_RAFT_VOTER, .context_size = (uint16_t)(i * 7)};
        osr_random_fill(&fixture->random, configuration->members[i].context, i * 7);
    }
    message->snapshot.snapshot = snapshot;
    message->snapshot.offset = random_number(fixture);
    message->snapshot.round = random_number(fixture);
    message->snapshot.chunk = random_payload(fixture, 0);
}

static void make_message(struct fixture *fixture, enum osr_raft_message_type type,
                         struct osr_raft_message *message)
{
    *message = (struct osr_raft_message){
        .type = type,
        .from = random_number(fixture),
        .to = random_number(fixture),
        .term = random_number(fixture),
    };
    switch (type) {
    case OSR_RAFT_VOTE_REQUEST:
        message->vote_request.is_pre = random_truth(fixture);
        message->vote_request.is_transfer = random_truth(fixture);
        message->vote_request.last_index = random_number(fixture);
        message->vote_request.last_term = random_number(fixture);
        return;
    case OSR_RAFT_VOTE_REPLY:
        message->vote_reply.is_pre = random_truth(fixture);
        message->vote_reply.is_granted = random_truth(fixture);
        return;
    case OSR_RAFT_APPEND:
        make_append(fixture, message);
        return;
    case OSR_RAFT_APPENDED:
        message->appended.is_refused = random_truth(fixture);
        message->appended.index = random_number(fixture);
        message->appended.hint_index = random_number(fixture);
        message->appended.hint_term = random_number(fixture);
        message->appended.round = random_number(fixture);
        return;
    case OSR_RAFT_SNAPSHOT:
        make_snapshot(fixture, message);
        return;
    case OSR_RAFT_SNAPSHOT_TAKEN:
        message->snapshot_taken.index = random_number(fixture);
        message->snapshot_taken.checksum = random_number(fixture);
        message->snapshot_taken.offset = random_number(fixture);
        message->snapshot_taken.round = random_number(fixture);
        return;
    case OSR_RAFT_READ_REQUEST:
        message->read_request.request = random_number(fixture);
        return;
    case OSR_RAFT_READ_REPLY:
        message->read_reply.request = random_number(fixture);
        message->read_reply.index = random_number(fixture);
        return;
    case OSR_RAFT_ELECT_NOW:
        return;
    }
}

/* ---- there and back ---- */

static void encode(void *context, const Osr__Frame *frame)
{
    struct fixture *fixture = context;
    osr_buffer_clear(&fixture->bytes);
    osr_frame_encode(fixture->codec, frame, &fixture->bytes);
}

static void send_and_receive(struct fixture *fixture, const struct osr_raft_message *message)
{
    osr_raft_message_write(&fixture->writing, LEDGER, message, encode, fixture);
    Osr__Frame *frame;
    uint64_t request_id;
    struct osr_err err;
    osr_arena_reset(fixture->arena);
    assert_int_equal(osr_frame_decode(fixture->codec, osr_buffer_slice(&fixture->bytes),
                                      fixture->arena, &frame, &request_id, &err),
                     0);
    assert_int_equal(frame->body_case, OSR__FRAME__BODY_RAFT);
    assert_string_equal(frame->raft->ledger, LEDGER);
    assert_int_equal(osr_raft_message_read(&fixture->reading, frame->raft, &fixture->read, &err),
                     0);
}

static void assert_same_entries(const struct osr_raft_message *a, const struct osr_raft_message *b)
{
    assert_int_equal(a->append.count, b->append.count);
    for (size_t i = 0; i < a->append.count; i++) {
        const struct osr_raft_entry *entry = &a->append.entries[i];
        const struct osr_raft_entry *other = &b->append.entries[i];
        assert_true(entry->index == other->index && entry->term == other->term &&
                    entry->kind == other->kind && entry->token == other->token);
        assert_true(osr_slice_equal(entry->payload, other->payload));
    }
}

static void assert_same_append(const struct osr_raft_message *a, const struct osr_raft_message *b)
{
    assert_true(a->append.previous_index == b->append.previous_index);
    assert_true(a->append.previous_term == b->append.previous_term);
    assert_true(a->append.commit == b->append.commit);
    assert_true(a->append.round == b->append.round);
    assert_same_entries(a, b);
}

static void assert_same_snapshot(const struct osr_raft_message *a, const struct osr_raft_message *b)
{
    const struct osr_raft_snapshot *snapshot = a->snapshot.snapshot;
    const struct osr_raft_snapshot *other = b->snapshot.snapshot;
    assert_true(snapshot->index == other->index && snapshot->term == other->term &&
                snapshot->size == other->size && snapshot->checksum == other->checksum);
    assert_true(a->snapshot.offset == b->snapshot.offset);
    assert_true(a->snapshot.round == b->snapshot.round);
    assert_true(osr_slice_equal(a->snapshot.chunk, b->snapshot.chunk));
    if (a->snapshot.offset != 0) {
        assert_int_equal(other->configuration.count, 0);
        return;
    }
    struct osr_buffer bytes = {0}, other_bytes = {0};
    osr_raft_configuration_encode(&snapshot->configuration, &bytes);
    osr_raft_configuration_encode(&other->configuration, &other_bytes);
    assert_true(osr_slice_equal(osr_buffer_slice(&bytes), osr_buffer_slice(&other_bytes)));
    osr_buffer_done(&bytes);
    osr_buffer_done(&other_bytes);
}

static void assert_same(const struct osr_raft_message *a, const struct osr_raft_message *b)
{
    assert_int_equal(a->type, b->type);
    assert_true(a->from == b->from && a->to == b->to && a->term == b->term);
    switch (a->type) {
    case OSR_RAFT_VOTE_REQUEST:
        assert_true(a->vote_request.is_pre == b->vote_request.is_pre);
        assert_true(a->vote_request.is_transfer == b->vote_request.is_transfer);
        assert_true(a->vote_request.last_index == b->vote_request.last_index);
        assert_true(a->vote_request.last_term == b->vote_request.last_term);
        return;
    case OSR_RAFT_VOTE_REPLY:
        assert_true(a->vote_reply.is_pre == b->vote_reply.is_pre);
        assert_true(a->vote_reply.is_granted == b->vote_reply.is_granted);
        return;
    case OSR_RAFT_APPEND:
        assert_same_append(a, b);
        return;
    case OSR_RAFT_APPENDED:
        assert_true(a->appended.is_refused == b->appended.is_refused);
        assert_true(a->appended.index == b->appended.index);
        assert_true(a->appended.hint_index == b->appended.hint_index);
        assert_true(a->appended.hint_term == b->appended.hint_term);
        assert_true(a->appended.round == b->appended.round);
        return;
    case OSR_RAFT_SNAPSHOT:
        assert_same_snapshot(a, b);
        return;
    case OSR_RAFT_SNAPSHOT_TAKEN:
        assert_true(a->snapshot_taken.index == b->snapshot_taken.index);
        assert_true(a->snapshot_taken.checksum == b->snapshot_taken.checksum);
        assert_true(a->snapshot_taken.offset == b->snapshot_taken.offset);
        assert_true(a->snapshot_taken.round == b->snapshot_taken.round);
        return;
    case OSR_RAFT_READ_REQUEST:
        assert_true(a->read_request.request == b->read_request.request);
        return;
    case OSR_RAFT_READ_REPLY:
        assert_true(a->read_reply.request == b->read_reply.request);
        assert_true(a->read_reply.index == b->read_reply.index);
        return;
    case OSR_RAFT_ELECT_NOW:
        return;
    }
    fail_msg("a message of type %d", a->type);
}

/* Each message of the core comes back with all that was in it, in each encoding. */
static void messages_come_back_as_they_went(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < ROUNDS; i++) {
        enum osr_raft_message_type type =
            (enum osr_raft_message_type)(1 + i % (int)OSR_RAFT_ELECT_NOW);
        fixture->codec = (enum osr_codec)osr_random_below(&fixture->random, OSR_CODEC_COUNT);
        struct osr_raft_message message;
        make_message(fixture, type, &message);
        if (type == OSR_RAFT_SNAPSHOT && i % 2 == 0) {
            message.snapshot.offset = 0;
        }
        send_and_receive(fixture, &message);
        assert_same(&message, &fixture->read);
    }
}

/* A chunk in the middle of a snapshot does not carry the members. */
static void later_chunks_carry_no_configuration(void **state)
{
    struct fixture *fixture = *state;
    struct osr_raft_message message;
    make_message(fixture, OSR_RAFT_SNAPSHOT, &message);
    message.snapshot.offset = 0;
    message.snapshot.chunk = osr_slice_text("x");
    send_and_receive(fixture, &message);
    size_t first = fixture->bytes.size;
    assert_true(fixture->read.snapshot.snapshot->configuration.count > 0);
    message.snapshot.offset = 1;
    send_and_receive(fixture, &message);
    assert_true(fixture->bytes.size < first);
    assert_int_equal(fixture->read.snapshot.snapshot->configuration.count, 0);
}

/* ---- memory ---- */

struct borrowed {
    const struct osr_raft_message *message;
    struct osr_raft_room *room;
};

static void check_borrowed(void *context, const Osr__Frame *frame)
{
    struct borrowed *borrowed = context;
    struct osr_raft_message read;
    struct osr_err err;
    assert_int_equal(osr_raft_message_read(borrowed->room, frame->raft, &read, &err), 0);
    assert_int_equal(read.append.count, borrowed->message->append.count);
    for (size_t i = 0; i < read.append.count; i++) {
        const struct osr_raft_entry *entry = &borrowed->message->append.entries[i];
        assert_ptr_equal(frame->raft->append->entries[i]->payload.data, entry->payload.data);
        assert_ptr_equal(read.append.entries[i].payload.data, entry->payload.data);
    }
}

/* Payloads are pointed to and not copied, on both sides. */
static void payloads_are_not_copied(void **state)
{
    struct fixture *fixture = *state;
    struct osr_raft_message message;
    make_message(fixture, OSR_RAFT_APPEND, &message);
    message.append.count = 2;
    for (size_t i = 0; i < 2; i++) {
        fixture->entries[i] =
            (struct osr_raft_entry){.kind = OSR_RAFT_COMMAND, .payload = osr_slice_text("command")};
    }
    struct borrowed borrowed = {&message, &fixture->reading};
    osr_raft_message_write(&fixture->writing, LEDGER, &message, check_borrowed, &borrowed);
}

/* A message no larger than one before it finds its room. */
static void rooms_grow_once(void **state)
{
    struct fixture *fixture = *state;
    struct osr_raft_message message;
    make_message(fixture, OSR_RAFT_APPEND, &message);
    for (size_t i = 0; i < ENTRIES_MAX; i++) {
        fixture->entries[i] = (struct osr_raft_entry){.kind = OSR_RAFT_NOTHING};
    }
    message.append.count = ENTRIES_MAX;
    send_and_receive(fixture, &message);
    const Osr__RaftEntry *written = fixture->writing.messages;
    const struct osr_raft_entry *read = fixture->reading.entries;
    size_t capacity = fixture->reading.capacity;
    for (size_t count = 0; count <= ENTRIES_MAX; count++) {
        message.append.count = count;
        send_and_receive(fixture, &message);
    }
    assert_ptr_equal(fixture->writing.messages, written);
    assert_ptr_equal(fixture->reading.entries, read);
    assert_int_equal(fixture->reading.capacity, capacity);
}

/* ---- what no core has sent ---- */

static int read_message(struct fixture *fixture, const Osr__Raft *raft)
{
    struct osr_err err;
    return osr_raft_message_read(&fixture->reading, raft, &fixture->read, &err);
}

/* No body, or more than one, is no message. */
static void raft_holds_exactly_one_message(void **state)
{
    struct fixture *fixture = *state;
    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftElectNow elect_now = OSR__RAFT_ELECT_NOW__INIT;
    Osr__RaftReadReply read_reply = OSR__RAFT_READ_REPLY__INIT;
    assert_int_equal(read_message(fixture, &raft), OSR_MALFORMED);
    raft.elect_now = &elect_now;
    assert_int_equal(read_message(fixture, &raft), 0);
    raft.read_reply = &read_reply;
    assert_int_equal(read_message(fixture, &raft), OSR_MALFORMED);
}

/* An entry is of a kind that this build knows. */
static void unknown_kinds_are_refused(void **state)
{
    struct fixture *fixture = *state;
    static const uint32_t kinds[] = {0, 4, 255, UINT32_MAX};
    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftAppend append = OSR__RAFT_APPEND__INIT;
    Osr__RaftEntry entry = OSR__RAFT_ENTRY__INIT;
    Osr__RaftEntry *entries[] = {&entry};
    raft.append = &append;
    append.n_entries = 1;
    append.entries = entries;
    entry.kind = OSR_RAFT_CONFIGURATION;
    assert_int_equal(read_message(fixture, &raft), 0);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        entry.kind = kinds[i];
        assert_int_equal(read_message(fixture, &raft), OSR_INVALID_ARGUMENT);
    }
}

/* Many tiny entries do not grow the room without end. */
static void too_many_entries_are_refused(void **state)
{
    struct fixture *fixture = *state;
    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftAppend append = OSR__RAFT_APPEND__INIT;
    Osr__RaftEntry entry = OSR__RAFT_ENTRY__INIT;
    entry.kind = OSR_RAFT_NOTHING;
    Osr__RaftEntry **entries = osr_alloc((OSR_RAFT_APPEND_ENTRIES_MAX + 1) * sizeof(*entries));
    for (size_t i = 0; i <= OSR_RAFT_APPEND_ENTRIES_MAX; i++) {
        entries[i] = &entry;
    }
    raft.append = &append;
    append.entries = entries;
    append.n_entries = OSR_RAFT_APPEND_ENTRIES_MAX + 1;
    assert_int_equal(read_message(fixture, &raft), OSR_INVALID_ARGUMENT);
    assert_int_equal(fixture->reading.capacity, 0);
    append.n_entries = OSR_RAFT_APPEND_ENTRIES_MAX;
    assert_int_equal(read_message(fixture, &raft), 0);
    free(entries);
}

/* The first chunk's configuration is one, with nothing cut off it nor added to it. */
static void a_first_chunk_needs_a_configuration(void **state)
{
    struct fixture *fixture = *state;
    struct osr_raft_message message;
    make_message(fixture, OSR_RAFT_SNAPSHOT, &message);
    struct osr_buffer bytes = {0};
    osr_raft_configuration_encode(&fixture->snapshot.configuration, &bytes);
    size_t whole = bytes.size;
    osr_buffer_add_u8(&bytes, 0);

    Osr__Raft raft = OSR__RAFT__INIT;
    Osr__RaftSnapshot snapshot = OSR__RAFT_SNAPSHOT__INIT;
    raft.snapshot = &snapshot;
    snapshot.configuration.data = bytes.data;
    for (size_t size = 0; size <= bytes.size; size++) {
        snapshot.configuration.len = size;
        assert_int_equal(read_message(fixture, &raft), size == whole ? 0 : OSR_MALFORMED);
    }
    snapshot.offset = 1; /* where nobody looks at it */
    assert_int_equal(read_message(fixture, &raft), 0);
    osr_buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(messages_come_back_as_they_went, set_up, tear_down),
        cmocka_unit_test_setup_teardown(later_chunks_carry_no_configuration, set_up, tear_down),
        cmocka_unit_test_setup_teardown(payloads_are_not_copied, set_up, tear_down),
        cmocka_unit_test_setup_teardown(rooms_grow_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(raft_holds_exactly_one_message, set_up, tear_down),
        cmocka_unit_test_setup_teardown(unknown_kinds_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_many_entries_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_first_chunk_needs_a_configuration, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
