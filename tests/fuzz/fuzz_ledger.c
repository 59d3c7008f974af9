/* What members of the ledger say of themselves, and to each other: arbitrary bytes are refused, or
 * are what is encoded of that which was read from them. The first byte says which of the two. */
#include "fuzz.h"

#include "node/ledger_links.h"
#include "node/raft_message.h"
#include "wire/codec.h"

enum { ARENA_KEEP = 64 << 10, ARENA_CAP = 8 << 20 };

static void read_context(struct osr_slice bytes)
{
    struct osr_raft_member member = {.id = 1}, again = {.id = 1};
    struct osr_ledger_member who;
    if (bytes.size > sizeof(member.context)) {
        return;
    }
    member.context_size = (uint16_t)bytes.size;
    memcpy(member.context, bytes.data, bytes.size);
    if (osr_ledger_member_decode(&member, &who, NULL) == 0) {
        osr_ledger_member_encode(&who, &again);
        MUST(osr_slice_equal(osr_slice(again.context, again.context_size), bytes));
    }
}

static void encode(void *context, const Osr__Frame *frame)
{
    osr_message_encode(OSR_CODEC_PROTOBUF, &frame->raft->base, context);
}

/* What was read is written and read once more, and written the same. */
static void write_twice(const Osr__Raft *raft, struct osr_arena *arena)
{
    struct osr_raft_room rooms[2] = {{0}};
    struct osr_buffer first = {0}, second = {0};
    struct osr_raft_message message;
    ProtobufCMessage *again;
    if (osr_raft_message_read(&rooms[0], raft, &message, NULL) == 0) {
        osr_raft_message_write(&rooms[1], raft->ledger, &message, encode, &first);
        MUST(osr_message_decode(OSR_CODEC_PROTOBUF, &osr__raft__descriptor,
                                osr_buffer_slice(&first), arena, &again, NULL) == 0);
        MUST(osr_raft_message_read(&rooms[0], (Osr__Raft *)again, &message, NULL) == 0);
        osr_raft_message_write(&rooms[1], raft->ledger, &message, encode, &second);
        MUST(osr_slice_equal(osr_buffer_slice(&first), osr_buffer_slice(&second)));
    }
    osr_buffer_done(&first);
    osr_buffer_done(&second);
    osr_raft_room_done(&rooms[0]);
    osr_raft_room_done(&rooms[1]);
}

static void read_raft(struct osr_slice bytes)
{
    struct osr_arena *arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    ProtobufCMessage *message;
    if (osr_message_decode(OSR_CODEC_PROTOBUF, &osr__raft__descriptor, bytes, arena, &message,
                           NULL) == 0) {
        write_twice((const Osr__Raft *)message, arena);
    }
    osr_arena_destroy(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct osr_slice rest = osr_slice(data + 1, size - 1);
    if (data[0] == 0) {
        read_context(rest);
    } else {
        read_raft(rest);
    }
    return 0;
}
