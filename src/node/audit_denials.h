/* audit_denials.h -- sums up denials, and logins that are equal, so that who is refused again and
 * again, or shows the same token again and again, does not fill the audit log, nor wash out of it
 * what others did.
 *
 * A denial is noted when it comes; those that are equal to it in everything but their reason and
 * come within the next second are counted, and noted as one record when it is over: "N more like
 * this". While they go on that is a line a second. Of denials from one address that differ, only
 * some are noted for themselves; the others share a record ("N more denials from this address"),
 * and past a limit so do all addresses. What was allowed is summed up with its equals alone.
 *
 * Threads: one at a time. */
#ifndef OSR_NODE_AUDIT_DENIALS_H
#define OSR_NODE_AUDIT_DENIALS_H

#include "node/audit_item.h"

enum {
    /* Of one address and told apart: stops made-up names from being a line each. */
    OSR_DENIALS_OF_ADDRESS_MAX = 8,
    /* Addresses, and denials told apart, in memory: stops an attack from many addresses. */
    OSR_DENIALS_MAX = 2048,
};

struct osr_denials;

/* `seed` keys a map: random in a process. */
struct osr_denials *osr_denials_create(uint64_t seed);
void osr_denials_destroy(struct osr_denials *denials); /* NULL is a no-op */

/* Whether the denial is one of those to be summed up: then it is counted, and that is all. */
bool osr_denials_count(struct osr_denials *denials, const struct osr_audit_record *record);
/* It is not, and has been noted: from now on ones like it are summed up. */
void osr_denials_add(struct osr_denials *denials, const struct osr_audit_record *record);
bool osr_denials_is_empty(const struct osr_denials *denials); /* nothing to sum up, or to forget */
/* A second is over: gives `note` a record for each sum, `max` at most; the rest stays for the next
 * time. The record lives until `note` returns; its time is the first one's. What was not counted
 * in this second is forgotten. */
void osr_denials_sum_up(struct osr_denials *denials, size_t max,
                        void (*note)(void *context, const struct osr_audit_record *record),
                        void *context);

#endif
