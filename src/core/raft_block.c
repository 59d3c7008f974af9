/* Entries and their payloads in memory: one piece for each FLUSH, each APPEND and each FETCHED.
 * Small pieces stand beside each other in one block, so that a stream of small commands costs no
 * allocation each; a block lives as long as the log or a STORE under way refers to a piece of it.
 */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

enum {
    BLOCK_BYTES = 64 << 10,
    SMALL_BYTES_MAX = BLOCK_BYTES / 4, /* larger pieces have a block of their own */
    ALIGNMENT = sizeof(struct osr_raft_entry *),
};

/* ---- blocks ---- */

static struct block *make_block(size_t capacity)
{
    struct block *block = osr_alloc_unset(sizeof(*block) + capacity);
    *block = (struct block){.references = 1, .capacity = capacity};
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

void osr_raft_block_close(struct osr_raft *raft)
{
    if (raft->open != NULL) {
        osr_raft_block_release(raft, raft->open);
        raft->open = NULL;
    }
}

/* One that has room for so much, with a reference for the caller. */
static struct block *block_for(struct osr_raft *raft, size_t size)
{
    if (size > SMALL_BYTES_MAX) {
        return make_block(size);
    }
    if (raft->open == NULL || raft->open->capacity - raft->open->size < size) {
        osr_raft_block_close(raft);
        raft->open = make_block(BLOCK_BYTES);
    }
    raft->open->references++;
    return raft->open;
}

/* ---- pieces ---- */

/* With room for the payloads behind the entries. */
static struct piece make_piece(struct osr_raft *raft, uint64_t first, size_t count,
                               size_t payload_bytes)
{
    assert(count > 0);
    size_t bytes = count * sizeof(struct osr_raft_entry) + payload_bytes;
    bytes = (bytes + ALIGNMENT - 1) & ~(size_t)(ALIGNMENT - 1);
    struct block *block = block_for(raft, bytes);
    struct piece piece = {.first = first,
                          .count = count,
                          .bytes = bytes,
                          .entries = (struct osr_raft_entry *)(block->bytes + block->size),
                          .block = block};
    block->size += bytes;
    return piece;
}

struct piece osr_raft_piece_create(struct osr_raft *raft, const struct osr_raft_entry *entries,
                                   size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        bytes += entries[i].payload.size;
    }
    struct piece piece = make_piece(raft, entries[0].index, count, bytes);
    uint8_t *at = (uint8_t *)&piece.entries[count];
    for (size_t i = 0; i < count; i++) {
        struct osr_raft_entry *entry = &piece.entries[i];
        *entry = entries[i];
        entry->token = 0;
        entry->payload.data = at;
        if (entry->payload.size > 0) {
            memcpy(at, entries[i].payload.data, entry->payload.size);
        }
        at += entry->payload.size;
    }
    return piece;
}

struct piece osr_raft_piece_create_from_draft(struct osr_raft *raft, uint64_t first)
{
    const struct draft *draft = &raft->draft;
    struct piece piece = make_piece(raft, first, draft->entries.count, draft->bytes.size);
    uint8_t *payloads = (uint8_t *)&piece.entries[piece.count];
    if (draft->bytes.size > 0) {
        memcpy(payloads, draft->bytes.data, draft->bytes.size);
    }
    for (size_t i = 0; i < piece.count; i++) {
        const struct draft_entry *entry = osr_queue_at(&draft->entries, i);
        piece.entries[i] = (struct osr_raft_entry){
            .index = first + i,
            .term = raft->vote.term,
            .kind = OSR_RAFT_COMMAND,
            .payload = osr_slice(payloads + entry->offset, entry->size),
        };
    }
    return piece;
}
