/* What the disk of a member holds, and what it answers. */
#include "lib/raft_rig_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

uint8_t raft_rig_snapshot_byte(uint64_t index, uint64_t offset)
{
    return (uint8_t)(index * 31 + offset * 7);
}

/* ---- answers ---- */

static void answer(struct rig_member *member, const struct osr_raft_event *event)
{
    assert_true(member->answer_count < RIG_ANSWERS_MAX);
    member->answers[member->answer_count++] = *event;
}

static void hold(struct rig_member *member, const struct osr_raft_event *event,
                 const struct osr_raft_output *output)
{
    assert_true(member->held_count < RIG_ANSWERS_MAX);
    member->stores[member->held_count] = *output;
    member->held[member->held_count++] = *event;
}

static void write_store(struct raft_rig *rig, struct rig_disk *disk,
                        const struct osr_raft_output *output)
{
    if (output->store.has_vote) {
        disk->vote = output->store.vote;
    }
    if (output->store.truncate_after < disk->last) {
        assert_true(output->store.truncate_after >= disk->base);
        disk->last = output->store.truncate_after;
    }
    for (size_t i = 0; i < output->store.count; i++) {
        assert_int_equal(output->store.entries[i].index, disk->last + 1);
        disk->entries[++disk->last] = output->store.entries[i];
        disk->entries[disk->last].payload =
            raft_rig_keep_slice(rig, output->store.entries[i].payload);
    }
}

static void store(struct raft_rig *rig, struct rig_member *member,
                  const struct osr_raft_output *output)
{
    struct osr_raft_event event = {.type = OSR_RAFT_STORED,
                                   .stored = {.ticket = output->store.ticket}};
    if (member->holds_stores) {
        hold(member, &event, output);
        return;
    }
    if (member->is_full) {
        event.stored.code = OSR_DISK_FULL;
    } else {
        write_store(rig, &member->disk, output);
    }
    answer(member, &event);
}

static void fetch(struct rig_member *member, const struct osr_raft_output *output)
{
    const struct rig_disk *disk = &member->disk;
    size_t count = 0;
    size_t bytes = 0;
    assert_true(output->fetch.first > disk->base && output->fetch.last <= disk->last);
    for (uint64_t index = output->fetch.first; index <= output->fetch.last; index++) {
        bytes += disk->entries[index].payload.size;
        if (count > 0 && bytes > output->fetch.bytes_max) {
            break;
        }
        count++;
    }
    answer(member,
           &(struct osr_raft_event){.type = OSR_RAFT_FETCHED,
                                    .fetched = {.ticket = output->fetch.ticket,
                                                .entries = &disk->entries[output->fetch.first],
                                                .count = count}});
}

static void read_chunk(struct raft_rig *rig, struct rig_member *member,
                       const struct osr_raft_output *output)
{
    struct osr_raft_event event = {.type = OSR_RAFT_CHUNK_READ,
                                   .chunk_read = {.ticket = output->read_chunk.ticket}};
    if (output->read_chunk.index == member->disk.snapshot.index) {
        assert_true(output->read_chunk.size > 0 &&
                    output->read_chunk.offset + output->read_chunk.size <=
                        member->disk.snapshot.size);
        uint8_t bytes[RIG_SNAPSHOT_MAX];
        for (size_t i = 0; i < output->read_chunk.size; i++) {
            bytes[i] =
                raft_rig_snapshot_byte(output->read_chunk.index, output->read_chunk.offset + i);
        }
        event.chunk_read.chunk =
            raft_rig_keep_slice(rig, osr_slice(bytes, output->read_chunk.size));
    }
    answer(member, &event);
}

static void write_chunk(struct rig_member *member, const struct osr_raft_output *output)
{
    struct rig_disk *disk = &member->disk;
    const struct osr_raft_event event = {
        .type = OSR_RAFT_CHUNK_WRITTEN,
        .chunk_written = {.ticket = output->write_chunk.ticket,
                          .code = member->is_full ? OSR_DISK_FULL : OSR_OK}};
    if (output->write_chunk.offset == 0) {
        osr_buffer_clear(&disk->incoming);
        disk->incoming_checksum = output->write_chunk.snapshot->checksum;
    }
    assert_int_equal(output->write_chunk.snapshot->checksum, disk->incoming_checksum);
    assert_int_equal(output->write_chunk.offset, disk->incoming.size);
    if (!member->is_full) {
        osr_buffer_add(&disk->incoming, output->write_chunk.chunk.data,
                       output->write_chunk.chunk.size);
    }
    if (member->holds_chunks) {
        hold(member, &event, output);
    } else {
        answer(member, &event);
    }
}

static void use_snapshot(struct rig_disk *disk, const struct osr_raft_snapshot *snapshot)
{
    assert_int_equal(disk->incoming.size, snapshot->size);
    for (size_t i = 0; i < disk->incoming.size; i++) {
        assert_int_equal(disk->incoming.data[i], raft_rig_snapshot_byte(snapshot->index, i));
    }
    disk->snapshot = *snapshot;
    disk->base = snapshot->index;
    disk->base_term = snapshot->term;
    disk->last = snapshot->index;
    disk->applied = snapshot->index;
}

static void install(struct rig_member *member, const struct osr_raft_output *output)
{
    const struct osr_raft_event event = {
        .type = OSR_RAFT_INSTALLED,
        .installed = {.ticket = output->install.ticket,
                      .code = member->is_corrupt ? OSR_CORRUPT : OSR_OK}};
    if (member->is_corrupt) {
        osr_buffer_clear(&member->disk.incoming); /* of no use any more */
    } else {
        use_snapshot(&member->disk, output->install.snapshot);
    }
    if (member->holds_installs) {
        hold(member, &event, output);
    } else {
        answer(member, &event);
    }
}

static void discard(struct rig_disk *disk, const struct osr_raft_output *output)
{
    assert_true(output->discard.index > disk->base);
    assert_int_equal(disk->entries[output->discard.index].term, output->discard.term);
    disk->base = output->discard.index;
    disk->base_term = output->discard.term;
}

static void apply(struct rig_member *member, const struct osr_raft_output *output)
{
    for (size_t i = 0; i < output->apply.count; i++) {
        assert_int_equal(output->apply.entries[i].index, member->disk.applied + 1);
        member->disk.applied++;
    }
    const struct osr_raft_event event = {.type = OSR_RAFT_APPLIED,
                                         .applied = {.index = member->disk.applied}};
    if (member->holds_applies) {
        hold(member, &event, output);
    } else {
        answer(member, &event);
    }
}

static const struct osr_raft_entry *keep_entries(struct raft_rig *rig,
                                                 const struct osr_raft_entry *entries, size_t count)
{
    struct osr_raft_entry *kept = raft_rig_keep(rig, entries, count * sizeof(*entries));
    for (size_t i = 0; i < count; i++) {
        kept[i].payload = raft_rig_keep_slice(rig, kept[i].payload);
    }
    return kept;
}

static const struct osr_raft_message *keep_message(struct raft_rig *rig,
                                                   const struct osr_raft_message *message)
{
    struct osr_raft_message *kept = raft_rig_keep(rig, message, sizeof(*message));
    if (kept->type == OSR_RAFT_APPEND) {
        kept->append.entries = keep_entries(rig, kept->append.entries, kept->append.count);
    } else if (kept->type == OSR_RAFT_SNAPSHOT) {
        kept->snapshot.snapshot =
            raft_rig_keep(rig, kept->snapshot.snapshot, sizeof(*kept->snapshot.snapshot));
        kept->snapshot.chunk = raft_rig_keep_slice(rig, kept->snapshot.chunk);
    }
    return kept;
}

/* ---- what is put out ---- */

static void note(struct raft_rig *rig, uint64_t member, const struct osr_raft_output *output)
{
    assert_true(rig->seen_count < RIG_SEEN_MAX);
    struct rig_seen *seen = &rig->seen[rig->seen_count++];
    *seen = (struct rig_seen){member, *output};
    if (output->type == OSR_RAFT_OUT_SEND) {
        seen->output.send = keep_message(rig, output->send);
        assert_true(rig->wire_count < RIG_WIRE_MAX);
        rig->wire[rig->wire_count++] = seen->output.send;
    } else if (output->type == OSR_RAFT_OUT_APPLY) {
        seen->output.apply.entries = keep_entries(rig, output->apply.entries, output->apply.count);
    }
}

void raft_rig_carry_out(struct raft_rig *rig, uint64_t id, const struct osr_raft_output *output)
{
    struct rig_member *member = &rig->members[id];
    note(rig, id, output);
    switch (output->type) {
    case OSR_RAFT_OUT_STORE:
        store(rig, member, output);
        break;
    case OSR_RAFT_OUT_APPLY:
        apply(member, output);
        break;
    case OSR_RAFT_OUT_FETCH:
        fetch(member, output);
        break;
    case OSR_RAFT_OUT_DISCARD:
        discard(&member->disk, output);
        break;
    case OSR_RAFT_OUT_READ_CHUNK:
        read_chunk(rig, member, output);
        break;
    case OSR_RAFT_OUT_WRITE_CHUNK:
        write_chunk(member, output);
        break;
    case OSR_RAFT_OUT_INSTALL:
        install(member, output);
        break;
    default:
        break;
    }
}

void raft_rig_release(struct raft_rig *rig, uint64_t id, enum osr_code code)
{
    struct rig_member *member = &rig->members[id];
    assert_true(member->held_count > 0);
    struct osr_raft_event event = member->held[0];
    const struct osr_raft_output output = member->stores[0];
    member->held_count--;
    memmove(member->held, member->held + 1, member->held_count * sizeof(member->held[0]));
    memmove(member->stores, member->stores + 1, member->held_count * sizeof(member->stores[0]));
    if (event.type == OSR_RAFT_STORED) {
        event.stored.code = code;
        if (code == OSR_OK) {
            write_store(rig, &member->disk, &output);
        }
    }
    raft_rig_step(rig, id, &event);
}
