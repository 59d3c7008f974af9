/* writes.h -- one write, from osr_knowledge_write to its `done`.
 *
 * A write ends when all its documents are decided and the core has answered for those that were
 * written. It is done once these are released too: who wrote it can read it. Documents that
 * need no looking up go to the core at once; others wait for their group (write_group.h). */
#ifndef OSR_NODE_WRITES_H
#define OSR_NODE_WRITES_H

#include "node/knowledge_internal.h"

struct osr_write;
struct osr_write_item;

/* One WRITE of the core. */
struct osr_write_token {
    struct osr_write_token *next;
    struct osr_write *write;
    size_t count;
    struct osr_write_item *items; /* of the group; NULL where none needed to be looked up */
};

struct osr_write {
    struct osr_write *next; /* of all */
    struct osr_write *previous;
    struct osr_write *next_unreleased;
    enum osr_write_mode mode;
    struct osr_grant *grant; /* of who writes; NULL: the instance itself */
    uint32_t acks;
    uint32_t timeout_ms;
    void (*done)(void *context, const struct osr_write_result *result);
    void *context;
    size_t open; /* documents undecided, tokens unanswered, and one for each who works on it */
    struct osr_write_result result;
    char id[OSR_ID_BYTES_MAX + 1];
    struct osr_write_token *tokens;     /* unanswered */
    struct osr_write_token first_token; /* most need no other */
};

Osr__Operation osr_write_operation(const struct osr_write *write);
void osr_write_note_failure(struct osr_write *write, enum osr_code code);
/* One thing less to wait for; with the last one the write is gone. */
void osr_write_settle(struct osr_writes *writes, struct osr_write *write);
/* Hands documents to the core, and takes the items that they were made from. The answer may come
 * from within. */
void osr_write_hand_over(struct osr_writes *writes, struct osr_write *write,
                         const struct osr_feed_put *puts, size_t count,
                         struct osr_write_item *items);

#endif
