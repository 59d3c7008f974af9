/* file.h -- the disk, as a port: what the log needs of files, and no more.
 *
 * osr_disk_system is the real one. The simulated twin (tests/lib/sim_disk.h) keeps files in
 * memory, drops what was not synced at a crash, tears writes, runs full and fails on
 * demand. One contract suite runs on both.
 *
 * Every function returns 0 or a code and fills err; DISK_FULL where there is no room. */
#ifndef OSR_ADAPTER_FILE_H
#define OSR_ADAPTER_FILE_H

#include "base/bytes.h"
#include "base/error.h"

/* Who writes a lot syncs after so many bytes at the latest: so long may a small sync of somebody
 * else have to wait. */
enum { OSR_DISK_SYNC_BYTES = 4 << 20 };

struct osr_file; /* an open file; implementation's own */

struct osr_disk {
    const struct osr_disk_ops *ops;
};

struct osr_disk_ops {
    /* Opens for reading and writing; creates an empty one if `create`, which fails with
     * ALREADY_EXISTS where there is one. Without `create` and without the file: NOT_FOUND. */
    int (*open)(struct osr_disk *disk, const char *path, bool create, struct osr_file **ret_file,
                struct osr_err *err);
    void (*close)(struct osr_disk *disk, struct osr_file *file);
    int (*size)(struct osr_disk *disk, struct osr_file *file, uint64_t *ret_size,
                struct osr_err *err);
    /* All of it or an error. May be called from any thread. */
    int (*write)(struct osr_disk *disk, struct osr_file *file, uint64_t offset, const void *data,
                 size_t size, struct osr_err *err);
    /* Reads up to size bytes; *ret_size is less only at the end. May be called from any thread. */
    int (*read)(struct osr_disk *disk, struct osr_file *file, uint64_t offset, void *data,
                size_t size, size_t *ret_size, struct osr_err *err);
    /* Fills [0, size) with zeros on the disk itself, so that later writes within it need no
     * room and no metadata; leaves no file behind if there is no room: the caller removes. */
    int (*zero)(struct osr_disk *disk, struct osr_file *file, uint64_t size, struct osr_err *err);
    /* Leaves the first `size` bytes, which the file has; on the disk for sure after a sync. */
    int (*cut)(struct osr_disk *disk, struct osr_file *file, uint64_t size, struct osr_err *err);
    int (*sync)(struct osr_disk *disk, struct osr_file *file, struct osr_err *err); /* fdatasync */
    int (*rename)(struct osr_disk *disk, const char *from, const char *to, struct osr_err *err);
    int (*remove)(struct osr_disk *disk, const char *path, struct osr_err *err);
    int (*make_folder)(struct osr_disk *disk, const char *path,
                       struct osr_err *err); /* ok if there */
    int (*sync_folder)(struct osr_disk *disk, const char *path, struct osr_err *err);
    /* Calls visit with each name in the folder, sorted; no "." and "..". */
    int (*list)(struct osr_disk *disk, const char *path,
                void (*visit)(void *context, const char *name), void *context, struct osr_err *err);
    /* Whether the file is its owner's alone: adapter/private_file.h. */
    int (*check_private)(struct osr_disk *disk, struct osr_file *file, unsigned forbidden,
                         struct osr_err *err);
    /* Keeps others from locking the folder until the lock is closed, as a file is, or the process
     * ends. Waits that long for who has it: BUSY. Blocks nothing else. */
    int (*lock_folder)(struct osr_disk *disk, const char *path, unsigned wait_ms,
                       struct osr_file **ret_lock, struct osr_err *err);
};

/* The operating system's. Static; nothing to free. */
struct osr_disk *osr_disk_system(void);

#endif
