/* follow_file.h -- imports the JSON array that a seed program keeps, and what it adds later.
 *
 * Happy path: the file is looked at every OSR_FOLLOW_LOOK_MS (polled, not watched: programs write
 * in place or rename, on disks of all kinds); where it has changed it is read and scanned on the
 * files' thread, what is new is imported in batches, and the mark behind each batch is kept
 * as a fact. An entry's source is (OSR_SEED_SOURCE, position, digest, occurrence), so that what
 * came by wire as well is one document.
 *
 * Failures: a file that is not there is waited for. One that is no JSON array is taken for
 * half-written, and read again; a warning comes once when that lasts. A failed import is
 * tried again.
 *
 * Threads: the loop's, but for reading and scanning. */
#ifndef OSR_NODE_FOLLOW_FILE_H
#define OSR_NODE_FOLLOW_FILE_H

#include "base/trace.h"
#include "node/file_worker.h"
#include "node/knowledge.h"

enum {
    OSR_FOLLOW_LOOK_MS = 200,
    /* For so long a file may be half-written, or a write may fail, before it is told. */
    OSR_FOLLOW_PATIENCE_MS = 2000,
    /* Stops a file of the wrong kind from filling the memory; `kb import` has no such limit. */
    OSR_FOLLOW_FILE_BYTES_MAX = 256 << 20,
};

struct osr_follow_file;

struct osr_follow_file_options {
    uv_loop_t *loop;
    struct osr_file_worker *files;
    struct osr_knowledge *knowledge;
    struct osr_journal *journal;
    const char *path; /* must outlive it */
    const struct osr_trace *trace;
};

struct osr_follow_file *osr_follow_file_start(const struct osr_follow_file_options *options);
/* Stops at once; the memory goes when the loop has run, and no job or write of it is under
 * way. NULL is a no-op. */
void osr_follow_file_stop(struct osr_follow_file *follow);

#endif
