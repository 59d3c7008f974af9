/* audit.h -- who did what: what is noted of it, and its way to the audit log.
 *
 * Noted are all denials, all that changes who may do what, logins good and bad, start and stop;
 * reads and writes of documents that were allowed only if `all` is set. A note is copied and
 * waits in a queue; a thread appends and syncs what waits, in batches.
 *
 * Floods. Denials and equal logins are summed up (audit_denials.h). Allowed reads and writes of
 * documents may take half of the queue; beyond it they are counted, and noted as one record ("N
 * more like this") when there is room. Nothing else is ever left out: where the queue is full,
 * osr_audit_note returns BUSY, and who asked must be told so, instead of what he asked for or of
 * why he may not.
 *
 * Failures: on a full or failing disk notes wait, osr_audit_status says so, and the append is tried
 * again every second. What waits when the instance stops and cannot be appended is lost; the trace
 * says so.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_AUDIT_H
#define OSR_NODE_AUDIT_H

#include <uv.h>

#include "adapter/audit_log.h"
#include "base/trace.h"

enum {
    OSR_AUDIT_QUEUE_MAX = 4096, /* notes that wait: stops a slow disk from filling the memory */
    /* Of these, of what may be left out: leaves room for what may not. */
    OSR_AUDIT_QUEUE_ALLOWED_MAX = OSR_AUDIT_QUEUE_MAX / 2,
};

enum osr_audit_kind {
    OSR_AUDIT_DOCUMENTS, /* reads and writes of documents: what there may be much of */
    OSR_AUDIT_TRUST,     /* users, roles, keys, certificates, tokens, invitations, the config */
    OSR_AUDIT_LOGIN,     /* a password, token or certificate shown */
};

struct osr_audit_options {
    uv_loop_t *loop;
    struct osr_disk *disk;
    const char *folder;            /* the data folder */
    const char *self;              /* who starts and stops */
    bool all;                      /* allowed reads and writes of documents, too */
    const struct osr_trace *trace; /* outlives the audit */
};

struct osr_audit_status {
    uint32_t waiting;           /* notes not on the disk yet */
    uint64_t left_out;          /* allowed reads and writes of documents, since the start */
    struct osr_audit_head head; /* of what is on the disk */
    struct osr_err err;         /* why notes wait; code 0: they do not */
};

struct osr_audit;

/* Opens the log in the folder and notes the start. CORRUPT, FOREIGN_FILE, ... as
 * osr_audit_log_open.
 */
int osr_audit_create(const struct osr_audit_options *options, struct osr_audit **ret_audit,
                     struct osr_err *err);
/* Notes the stop and finishes what waits. Then let the loop run once more. NULL is a no-op. */
void osr_audit_destroy(struct osr_audit *audit);
/* number and time are given here; the record stays the caller's. `from` is an address without a
 * port: who connects again is still the same. Called before what is noted is answered or done. 0,
 * or BUSY. */
int osr_audit_note(struct osr_audit *audit, enum osr_audit_kind kind,
                   const struct osr_audit_record *record, struct osr_err *err);
/* Whether allowed reads and writes of documents are noted. */
bool osr_audit_is_of_all(const struct osr_audit *audit);
void osr_audit_get_status(const struct osr_audit *audit, struct osr_audit_status *ret_status);

#endif
