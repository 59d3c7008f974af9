#include "node/ledger_history.h"

#include <assert.h>
#include <stdlib.h>

struct mark {
    uint64_t index; /* from here on */
    uint64_t term;
    uint8_t *configuration; /* encoded; NULL: as the mark before says */
    size_t configuration_size;
};

static struct mark *push(struct osr_ledger_history *history, uint64_t index, uint64_t term)
{
    if (history->marks.item_size == 0) {
        osr_queue_init(&history->marks, sizeof(struct mark));
    }
    struct mark *mark = osr_queue_push(&history->marks);
    mark->index = index;
    mark->term = term;
    return mark;
}

static void pop(struct osr_ledger_history *history)
{
    struct mark *mark = osr_queue_front(&history->marks);
    free(mark->configuration);
    osr_queue_pop(&history->marks);
}

void osr_ledger_history_done(struct osr_ledger_history *history)
{
    while (history->marks.count > 0) {
        pop(history);
    }
    osr_queue_done(&history->marks);
    *history = (struct osr_ledger_history){0};
}

static void set_configuration(struct mark *mark, struct osr_slice bytes)
{
    mark->configuration = osr_alloc_unset(bytes.size);
    memcpy(mark->configuration, bytes.data, bytes.size);
    mark->configuration_size = bytes.size;
}

void osr_ledger_history_set(struct osr_ledger_history *history, uint64_t index, uint64_t term,
                            const struct osr_raft_configuration *configuration)
{
    struct osr_buffer bytes = {0};

    osr_ledger_history_done(history);
    osr_raft_configuration_encode(configuration, &bytes);
    set_configuration(push(history, index, term), osr_buffer_slice(&bytes));
    osr_buffer_done(&bytes);
}

void osr_ledger_history_note(struct osr_ledger_history *history, const struct osr_raft_entry *entry)
{
    const struct mark *last = osr_queue_back(&history->marks);
    bool is_configuration = entry->kind == OSR_RAFT_CONFIGURATION;

    if (last == NULL || (last->term == entry->term && !is_configuration)) {
        return;
    }
    assert(entry->index > last->index);
    struct mark *mark = push(history, entry->index, entry->term);
    if (is_configuration) {
        set_configuration(mark, entry->payload);
    }
}

/* The front one always has a configuration, as it stands for all that was in front of it. */
void osr_ledger_history_forget(struct osr_ledger_history *history, uint64_t index)
{
    while (history->marks.count > 1) {
        struct mark *front = osr_queue_at(&history->marks, 0);
        struct mark *second = osr_queue_at(&history->marks, 1);
        if (second->index > index) {
            break;
        }
        if (second->configuration == NULL) {
            second->configuration = front->configuration;
            second->configuration_size = front->configuration_size;
            front->configuration = NULL;
        }
        pop(history);
    }
}

bool osr_ledger_history_find(const struct osr_ledger_history *history, uint64_t index,
                             struct osr_raft_snapshot *snapshot)
{
    const struct mark *configured = NULL;

    for (size_t i = 0; i < history->marks.count; i++) {
        const struct mark *mark = osr_queue_at(&history->marks, i);
        if (mark->index > index) {
            break;
        }
        snapshot->index = index;
        snapshot->term = mark->term;
        configured = mark->configuration != NULL ? mark : configured;
    }
    return configured != NULL &&
           osr_raft_configuration_decode(
               osr_slice(configured->configuration, configured->configuration_size),
               &snapshot->configuration, NULL) == 0;
}
