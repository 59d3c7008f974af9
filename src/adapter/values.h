/* values.h -- the state of a ledger's machines on disk: ordered values in one LMDB file, which
 * stands at an index of the ledger's log.
 *
 * Happy path: put and remove change what readers see at once, in memory; osr_values_file_advance
 * says that all up to an index is in; now and then (OSR_VALUES_FLUSH_*) the thread "state" writes
 * what has gathered, with the index, in one transaction, syncs it, and it leaves memory. The log is
 * the truth: after a crash the file stands at an older index, and what comes behind is applied
 * again. So nobody waits for this file.
 *
 * A dump reads all values as they stood at an index, on a thread of the caller's, beside everything
 * else. A load makes the file anew from a dump: the new one is built beside the old one, synced,
 * and takes its place in one step.
 *
 * Layout: DIR/values.mdb (no sub-folder; its lock file beside it); adapter/values_disk.h.
 *
 * Memory: what is not written yet, up to about OSR_VALUES_PENDING_BYTES_MAX or so many values as
 * OSR_VALUES_PENDING_COUNT_MAX: when osr_values_file_is_busy, apply nothing more, say to where all
 * is in, and wait for on_room. While it is written, each value may cost a page of the file's
 * (4 KiB). The file itself is mapped, and its pages are the system's to keep or to drop.
 *
 * Speed: a write costs one page at the least, whatever its size; keys that come in order share
 * pages, random ones in a large file do not, and the disk sets their pace.
 *
 * Failures: what cannot be read or written (IO, CORRUPT) is said by on_failure, once, and the
 * process must end; DISK_FULL while flushing is traced, tried again every second, and shows as busy
 * for ever once memory's limit is reached. FOREIGN_FILE, CORRUPT and UNSUPPORTED_VERSION at open
 * leave the file as it is.
 *
 * Threads: the loop's, but where it says otherwise. */
#ifndef OSR_ADAPTER_VALUES_H
#define OSR_ADAPTER_VALUES_H

#include <uv.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/trace.h"

enum {
    OSR_VALUES_FLUSH_MS = 500, /* since the first change that is not written */
    /* Or so many bytes of them, or so many values: a sync of much holds up those of the log. While
     * one is written more gathers, so that they become larger where the disk is slow. */
    OSR_VALUES_FLUSH_BYTES = 1 << 20,
    OSR_VALUES_FLUSH_COUNT = 2 << 10,
    OSR_VALUES_PENDING_BYTES_MAX = 64 << 20,
    OSR_VALUES_PENDING_COUNT_MAX = 32 << 10,
    OSR_VALUES_KEY_BYTES_MAX = 480, /* and not empty */
    OSR_VALUES_VALUE_BYTES_MAX = 1028 << 10,
    /* Address space, not memory: the file may grow to this. */
    OSR_VALUES_MAP_GIB = 256,
};

struct osr_values_file;

struct osr_values_file_handler {
    void (*on_flushed)(void *context, uint64_t index); /* what is on disk now stands at this */
    void (*on_room)(void *context);                    /* it was busy, and is not */
    void (*on_failure)(void *context, const struct osr_err *err);
    void *context;
};

/* Makes the folder if need be. *ret_index: where the file stands; 0: empty. What half a load has
 * left is removed. Another process must not have it open: the instance's lock sees to that. */
int osr_values_file_open(uv_loop_t *loop, const char *folder,
                         const struct osr_values_file_handler *handler,
                         const struct osr_trace *trace, struct osr_values_file **ret_file,
                         uint64_t *ret_index, struct osr_err *err);
/* Writes what is pending, up to the index said last, and joins the thread; then run the loop once
 * more. The handler is called no more. NULL is a no-op. */
void osr_values_file_close(struct osr_values_file *file);

/* As in core/agreement.h, for one machine. */
bool osr_values_file_get(struct osr_values_file *file, uint16_t machine, struct osr_slice key,
                         struct osr_buffer *value);
void osr_values_file_put(struct osr_values_file *file, uint16_t machine, struct osr_slice key,
                         struct osr_slice value);
void osr_values_file_remove(struct osr_values_file *file, uint16_t machine, struct osr_slice key);
bool osr_values_file_next(struct osr_values_file *file, uint16_t machine, struct osr_slice from,
                          struct osr_buffer *key, struct osr_buffer *value);

void osr_values_file_advance(struct osr_values_file *file, uint64_t index);
bool osr_values_file_is_busy(const struct osr_values_file *file);
/* Writes what is pending soon, at the latest when osr_values_file_advance is called next;
 * on_flushed tells, also where there is nothing to write. */
void osr_values_file_flush(struct osr_values_file *file);

/* ---- dumps ---- */

struct osr_values_dump;

/* Of what is on disk; *ret_index says where that stands. */
int osr_values_dump_open(struct osr_values_file *file, struct osr_values_dump **ret_dump,
                         uint64_t *ret_index, struct osr_err *err);
/* On any one thread. Appends at least `size` bytes, less only at the end; a record is whole or not
 * there: u16 machine, u16 size of the key, u32 size of the value, key, value. */
int osr_values_dump_read(struct osr_values_dump *dump, size_t size, struct osr_buffer *bytes,
                         struct osr_err *err);
/* On the loop's thread; before the file is closed. NULL is a no-op. */
void osr_values_dump_close(struct osr_values_dump *dump);

struct osr_values_load;

/* A second file, empty, to be filled; on any one thread. */
int osr_values_load_create(const char *folder, struct osr_values_load **ret_load,
                           struct osr_err *err);
/* Bytes as a dump gave them, cut anywhere. CORRUPT where they are not. */
int osr_values_load_add(struct osr_values_load *load, struct osr_slice bytes, struct osr_err *err);
/* All is in: durable under this index, but not yet in its place. CORRUPT: half a record is left. */
int osr_values_load_finish(struct osr_values_load *load, uint64_t index, struct osr_err *err);
/* Removes what is not in its place. NULL is a no-op. */
void osr_values_load_destroy(struct osr_values_load *load);

/* Puts a finished load in the file's place, on the loop's thread, which waits for a flush that is
 * under way: what was pending is dropped, so it is not busy any more (without on_room). on_flushed
 * tells the new index, later. No dump may be open. Takes the load. After a failure nothing but
 * closing is left to do. */
int osr_values_file_replace(struct osr_values_file *file, struct osr_values_load *load,
                            struct osr_err *err);

#endif
