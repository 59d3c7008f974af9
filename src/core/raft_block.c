/* Entries and their payloads in one piece of memory: one for each FLUSH, each APPEND and each
 * FETCHED. The log holds a reference, and so does every STORE under way. */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

static struct block *make_block(size_t count, size_t payload_bytes)
{
    assert(count > 0);
    size_t bytes = sizeof(struct block) + count * sizeof(struct osr_raft_entry) + payload_bytes;
    struct block *block = osr_alloc_unset(bytes);
    *block = (struct block){.references = 1, .count = count, .bytes = bytes};
    return block;
}

struct block *osr_raft_block_create(const struct osr_raft_entry *entries, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].payload.size;
    }
    struct block *block = make_block(count, bytes);
    uint8_t *at = (uint8_t *)&block->entries[count];
    for (size_t i = 0; i < count; i++) {
        struct osr_raft_entry *entry = &block->entries[i];
        *entry = entries[i];
        entry->token = 0;
        entry->payload.data = at;
        if (entry->payload.size > 0) {
            memcpy(at, entries[i].payload.data, entry->payload.size);
        }
        at += entry->payload.size;
    }
    return block;
}

struct block *osr_raft_block_create_from_draft(const struct draft *draft, uint64_t first,
                                               uint64_t term)
{
    size_t count = draft->entries.count;
    struct block *block = make_block(count, draft->bytes.size);
    uint8_t *payloads = (uint8_t *)&block->entries[count];
    if (draft->bytes.size > 0) {
        memcpy(payloads, draft->bytes.data, draft->bytes.size);
    }
    for (size_t i = 0; i < count; i++) {
        const struct draft_entry *entry = osr_queue_at(&draft->entries, i);
        block->entries[i] = (struct osr_raft_entry){
            .index = first + i,
            .term = term,
            .kind = OSR_RAFT_COMMAND,
            .payload = osr_slice(payloads + entry->offset, entry->size),
        };
    }
    return block;
}

void osr_raft_block_release(struct osr_raft *raft, struct block *block)
{
    assert(block->references > 0);
    if (--block->references == 0) {
        block->next = raft->released;
        raft->released = block;
    }
}

void osr_raft_block_free_released(struct osr_raft *raft)
{
    while (raft->released != NULL) {
        struct block *block = raft->released;
        raft->released = block->next;
        free(block);
    }
}
