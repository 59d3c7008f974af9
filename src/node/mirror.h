/* mirror.h -- keeps a file with a JSON array of the data of all documents that can be seen, as
 * seed programs keep it: for whoever reads a file rather than asks.
 *
 * Happy path: a change -> all documents are listed, in the order of their ids, into FILE.new on
 * the files' thread, which is synced and renamed into place: a reader finds the old file or the
 * new one, whole. At most every mirror_ms, and longer apart when writing takes long.
 *
 * Failures: at the start, a file that is no JSON array is set aside as FILE.corrupt-TIME. What
 * cannot be written is warned of once and tried again.
 *
 * Threads: the loop's, but for the file itself. */
#ifndef OSR_NODE_MIRROR_H
#define OSR_NODE_MIRROR_H

#include "base/trace.h"
#include "node/file_worker.h"
#include "node/knowledge.h"

enum {
    OSR_MIRROR_CHUNK_BYTES = 256 << 10, /* listed before they are written; then the list pauses */
    OSR_MIRROR_RETRY_MS = 1000,
    /* The pause is at least so many times as long as the writing took: stops a large mirror
     * from keeping the disk busy all the time. */
    OSR_MIRROR_REST_FACTOR = 4,
};

struct osr_mirror;

struct osr_mirror_options {
    uv_loop_t *loop;
    struct osr_file_worker *files;
    struct osr_knowledge *knowledge;
    const char *path; /* must outlive it */
    uint32_t interval_ms;
    const struct osr_trace *trace;
};

struct osr_mirror *osr_mirror_start(const struct osr_mirror_options *options);
/* Stops at once; the memory goes when the loop has run and no job of it is under way. NULL is a
 * no-op. */
void osr_mirror_stop(struct osr_mirror *mirror);

#endif
