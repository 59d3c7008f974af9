/* audit_line.h -- the lines of the audit log, as audit_log.h shows them: records as text, and the
 * chain through them. Lines come and go without their newline. */
#ifndef OSR_ADAPTER_AUDIT_LINE_H
#define OSR_ADAPTER_AUDIT_LINE_H

#include "adapter/audit_log.h"

enum {
    /* The longest line that is written: six texts, every byte a \u00.., and the rest. What is
     * longer is none of ours: stops an endless one from filling the memory. */
    OSR_AUDIT_LINE_BYTES_MAX = 6 * 6 * OSR_AUDIT_TEXT_BYTES_MAX + 512,
};

/* A file's first line; `head` is the last record before it. With a newline. */
void osr_audit_header_encode(struct osr_buffer *buffer, const struct osr_audit_head *head);
/* `after` is what the file's name says. FOREIGN_FILE, UNSUPPORTED_VERSION, CORRUPT. */
int osr_audit_header_decode(struct osr_slice line, uint64_t after, struct osr_audit_head *ret_head,
                            struct osr_err *err);

/* Appends a line with a newline: the record behind `head`, which moves on to it. */
void osr_audit_line_encode(struct osr_buffer *buffer, const struct osr_audit_record *record,
                           uint64_t synced, struct osr_audit_head *head);
/* Whether the line is the record behind `head`, which then moves on to it. */
bool osr_audit_line_holds(struct osr_slice line, struct osr_audit_head *head);
/* For lines that hold, with the number that they hold as. The texts live in `texts`, which is
 * emptied first. CORRUPT where the line is no record, though the chain goes through it. */
int osr_audit_line_decode(struct osr_slice line, uint64_t number, struct osr_buffer *texts,
                          struct osr_audit_record *ret_record, struct osr_err *err);

/* What a line says of itself, believed or not; false where it does not begin as a line. */
bool osr_audit_line_begins(struct osr_slice line, uint64_t *ret_number, uint64_t *ret_synced);
/* Whether a line begins anywhere in `bytes` which says that record `number` was on the disk. */
bool osr_audit_line_vouches(struct osr_slice bytes, uint64_t number);

#endif
