/* audit_log.h -- an append-only, chained record of who did what, on disk.
 *
 * Files DIR/audit/00000000000000000001.log, ... (named by the first record's number), 0600: one
 * JSON object a line, so that people read it with what they have. The first line of each tells
 * what came before it, so that a file verifies by itself and the oldest ones can go:
 *   {"osiris":"audit","format":1,"after":0,"chain":"<64 hex digits>"}
 *   {"n":1,"synced":0,"time_ms":..,"allowed":true,"who":"user:ana","from":"tcp://..",
 *    "action":"write","part":"collection:x","what":"KB_PUT","why":"..","chain":"<64 hex digits>"}
 * chain = SHA-256("osiris audit 1\0" | previous chain | the line up to and without `,"chain"`); the
 * first one's previous chain is 32 zero bytes. What is altered, left out or moved breaks the chain
 * from there on; what is cut off at the end shows where the head was noted elsewhere (osirisd
 * signs it into the log now and then: osr_audit_log_head).
 *
 * `synced`: all records up to this one were on the disk before the line was written. So a last line
 * that does not hold tells what it is. If a line behind it says that it was on the disk, it was
 * altered: CORRUPT. If none does, it was being written at a crash: it is cut at open, and
 * osr_audit_log_torn_bytes says how much went.
 *
 * Failures: an append that fails (DISK_FULL, IO) keeps nothing of its records, and may be tried
 * again; at a crash while it fails they may be kept. No secret is ever given to it: who calls sees
 * to that.
 *
 * Threads: one at a time; appends come in batches, each synced once. */
#ifndef OSR_ADAPTER_AUDIT_LOG_H
#define OSR_ADAPTER_AUDIT_LOG_H

#include "adapter/file.h"
#include "base/bytes.h"
#include "base/error.h"
#include "base/sha256.h"

enum {
    OSR_AUDIT_FILE_BYTES = 16 << 20, /* then the next file begins */
    OSR_AUDIT_FILES_MAX = 16,        /* the oldest goes; its chain lives on in the next */
    OSR_AUDIT_TEXT_BYTES_MAX = 256,  /* of each text; longer ones are cut */
    OSR_AUDIT_APPEND_MAX = 1024,     /* records at a time: bounds what a crash can tear */
};

/* A record's texts, in the order of the line. */
#define OSR_AUDIT_TEXTS(X) X(who) X(from) X(action) X(part) X(what) X(why)

struct osr_audit_record {
    uint64_t number;  /* given by append */
    uint64_t time_ms; /* since 1970 */
    bool allowed;
    /* UTF-8; what is not becomes U+FFFD. */
    const char *who;
    const char *from;
    const char *action;
    const char *part;
    const char *what;
    const char *why; /* the rule, or "" */
};

struct osr_audit_head {
    uint64_t number; /* 0: nothing yet */
    struct osr_hash chain;
};

struct osr_audit_log;

struct osr_audit_log_options {
    struct osr_disk *disk; /* outlives the log */
    const char *folder;    /* DIR, which is there */
    uint64_t file_bytes;   /* 0: OSR_AUDIT_FILE_BYTES */
    uint32_t files_max;    /* 0: OSR_AUDIT_FILES_MAX; at least 2 */
};

/* CORRUPT where the last file's chain does not hold: says at which record, and what to do. Earlier
 * files are verified by osr_audit_log_read. */
int osr_audit_log_open(const struct osr_audit_log_options *options, struct osr_audit_log **ret_log,
                       struct osr_err *err);
void osr_audit_log_close(struct osr_audit_log *log); /* NULL is a no-op */
/* All or none, OSR_AUDIT_APPEND_MAX at most; numbers are filled in. Synced when it returns. */
int osr_audit_log_append(struct osr_audit_log *log, struct osr_audit_record *records, size_t count,
                         struct osr_err *err);
struct osr_audit_head osr_audit_log_head(const struct osr_audit_log *log);
uint64_t osr_audit_log_torn_bytes(const struct osr_audit_log *log); /* cut off at open */

struct osr_audit_wanted {
    uint64_t from_number; /* 0: from the first kept */
    uint64_t from_ms;     /* 0: any time */
    uint64_t to_ms;       /* 0: any time; else up to and with it */
    const char *who;      /* NULL: anybody; a final '*' is a prefix */
    bool denied_only;
};

/* Non-zero stops the walk, which returns it. The record lives until the return. */
typedef int osr_audit_visit(void *context, const struct osr_audit_record *record,
                            struct osr_err *err);

/* Reads files that another thread or process may be appending to, verifies the chain on the way
 * (from the file on that has from_number) and calls `visit` for what is wanted, oldest first.
 * CORRUPT at the first record that does not hold. *ret_head is the last record that holds, also
 * then. A last line that is not complete yet is left out. NOT_FOUND: there is no log. */
int osr_audit_log_read(struct osr_disk *disk, const char *folder,
                       const struct osr_audit_wanted *wanted, osr_audit_visit *visit, void *context,
                       struct osr_audit_head *ret_head, struct osr_err *err);

#endif
