/* audit_item.h -- an audit record with its texts, on its way to the log. */
#ifndef OSR_NODE_AUDIT_ITEM_H
#define OSR_NODE_AUDIT_ITEM_H

#include "adapter/audit_log.h"

struct osr_audit_item {
    struct osr_audit_item *next;
    struct osr_audit_record record; /* its texts stand behind it */
};

/* Longer texts are cut as far as the log would cut them. Give back with free(). */
struct osr_audit_item *osr_audit_item_create(const struct osr_audit_record *record);

#endif
