/* write_group.h -- finds out what writes that name a document would replace, group by group.
 *
 * An item is one document of a write. Items wait in one line; a group takes from its front, at
 * most one for each id. The group's way: wait for the projection, note what it lacks, look all
 * ids up on the thread, decide, hand to the core, wait until all of them are released. Then
 * the next group sees them. So two writes to one id see each other, and the pace is that of
 * the disk. */
#ifndef OSR_NODE_WRITE_GROUP_H
#define OSR_NODE_WRITE_GROUP_H

#include "node/writes.h"

struct osr_write_group;

struct osr_write_group *osr_write_group_create(struct osr_knowledge *knowledge,
                                               struct osr_writes *writes);
void osr_write_group_destroy(struct osr_write_group *group); /* NULL is a no-op */

struct osr_write_item_options {
    struct osr_write *write;
    const Osr__Document *document; /* with its id, without versions */
    bool is_fresh;                 /* the id was made for it: there is nothing to look up */
    bool passes_if_known;          /* written once: what is known already is passed over */
};
/* Puts an item into the line. */
void osr_write_group_add(struct osr_write_group *group,
                         const struct osr_write_item_options *options);
/* Begins with what is in the line, if no group is under way. */
void osr_write_group_start(struct osr_write_group *group);
size_t osr_write_group_waiting_bytes(const struct osr_write_group *group);

/* The core has refused these: they will not be released. */
void osr_write_group_leave(struct osr_write_group *group, const struct osr_write_item *items);
/* Entries of the own feed. */
void osr_write_group_released(struct osr_write_group *group, const struct osr_batch *batch);
void osr_write_items_destroy(struct osr_write_item *items); /* a chain of them; NULL is a no-op */

#endif
