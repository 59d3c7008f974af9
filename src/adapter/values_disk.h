/* values_disk.h -- one file of ordered values, by LMDB: opening it with care, looking into it,
 * writing to it. What adapter/values.h says of the file's form is kept here.
 *
 * Layout. Under the key {u16 0, "about"}: magic "OSIRISVA", u32 format, u64 index. Under
 * {u16 machine, key}: the value. Integers are big-endian, and in front of every value stands a
 * CRC32C of key and value, because LMDB has no check of its own: a value that rotted must stop this
 * member, not become its opinion.
 *
 * LMDB as used here. Readers take their slots in the lock file beside the file, and not no lock at
 * all (MDB_NOLOCK), though one process alone has the folder: the writer must know which old pages a
 * dump on another thread still reads. Slots belong to transactions and not to threads (MDB_NOTLS).
 * The file is written by pwrite, never through the map (no MDB_WRITEMAP): so a full disk is an
 * error and no SIGBUS. No read-ahead: what is asked for is all over the file.
 *
 * Threads: a view is used by one at a time, a batch by the one that began it; they do not disturb
 * each other. */
#ifndef OSR_ADAPTER_VALUES_DISK_H
#define OSR_ADAPTER_VALUES_DISK_H

#include <lmdb.h>

#include "base/bytes.h"
#include "base/error.h"

enum {
    OSR_VALUES_FORMAT = 1,
    OSR_VALUES_CRC_SIZE = 4,
    OSR_VALUES_ABOUT_SIZE = 8 + 4 + 8,
    OSR_VALUES_MACHINE_SIZE = 2,
    /* Machine, the longest key, and the byte 0 by which a walk goes on behind it. */
    OSR_VALUES_FULL_KEY_MAX = OSR_VALUES_MACHINE_SIZE + 480 + 1,
};

#define OSR_VALUES_MAGIC     "OSIRISVA"
#define OSR_VALUES_ABOUT_KEY "about"

/* Machine and key, as on disk. */
struct osr_values_key {
    size_t size;
    uint8_t bytes[OSR_VALUES_FULL_KEY_MAX];
};

/* Keys that are too long to be there are cut to one that is too long to be there. */
static inline struct osr_slice osr_values_key(struct osr_values_key *full, uint16_t machine,
                                              struct osr_slice key)
{
    size_t room = sizeof(full->bytes) - OSR_VALUES_MACHINE_SIZE;
    size_t size = key.size < room ? key.size : room;

    osr_put_u16(full->bytes, machine);
    if (size > 0) {
        memcpy(full->bytes + OSR_VALUES_MACHINE_SIZE, key.data, size);
    }
    full->size = OSR_VALUES_MACHINE_SIZE + size;
    return osr_slice(full->bytes, full->size);
}

/* ---- the file ---- */

/* A zeroed one is closed. */
struct osr_values_disk {
    MDB_env *env;
    MDB_dbi values;
    const uint8_t *map; /* of the file; NULL of a new one */
    char *path;
};

enum osr_values_use {
    OSR_VALUES_EXISTING, /* with readers beside the writer */
    OSR_VALUES_NEW,      /* made; nobody reads while it is written; whole after the last sync */
};

/* FOREIGN_FILE, CORRUPT and UNSUPPORTED_VERSION leave every byte where it is. */
int osr_values_disk_open(struct osr_values_disk *disk, const char *path, enum osr_values_use use,
                         struct osr_err *err);
void osr_values_disk_close(struct osr_values_disk *disk); /* closed ones too */
/* Syncs what a new file's batches left unsynced. */
int osr_values_disk_sync(const struct osr_values_disk *disk, struct osr_err *err);
/* Takes the file's pages out of the process's memory, where they count as its own; the system
 * still has them. On any thread; who looks at one meanwhile gets it again. */
void osr_values_disk_forget(const struct osr_values_disk *disk);
/* What LMDB, or the system through it, returned, as one of our codes. */
int osr_values_disk_fail(const struct osr_values_disk *disk, int status, struct osr_err *err);
int osr_values_disk_corrupt(const struct osr_values_disk *disk, const char *what,
                            struct osr_err *err);
uint32_t osr_values_crc(struct osr_slice key, struct osr_slice value);

/* ---- views: all as it stood at one moment ---- */

/* A zeroed one is closed. Long-lived ones keep what they see from being written over, and the file
 * grows: pause those that are not looked at. */
struct osr_values_view {
    const struct osr_values_disk *disk;
    MDB_txn *txn;
    MDB_cursor *cursor;
};

int osr_values_view_open(struct osr_values_view *view, const struct osr_values_disk *disk,
                         struct osr_err *err);
void osr_values_view_close(struct osr_values_view *view);
void osr_values_view_pause(struct osr_values_view *view);
/* Of what is on disk now; cheap. */
int osr_values_view_resume(struct osr_values_view *view, struct osr_err *err);

int osr_values_view_index(struct osr_values_view *view, uint64_t *ret_index, struct osr_err *err);
/* NOT_FOUND, which leaves err alone; CORRUPT. What is found lies in the file, and may be looked at
 * until the view is paused or closed. */
int osr_values_view_get(struct osr_values_view *view, struct osr_slice key,
                        struct osr_slice *ret_value, struct osr_err *err);
/* The first key that is not below `from`; NOT_FOUND at the end. */
int osr_values_view_seek(struct osr_values_view *view, struct osr_slice from,
                         struct osr_slice *ret_key, struct osr_slice *ret_value,
                         struct osr_err *err);
/* The one behind that which was found last. */
int osr_values_view_next(struct osr_values_view *view, struct osr_slice *ret_key,
                         struct osr_slice *ret_value, struct osr_err *err);

/* ---- batches: all of it or nothing ---- */

struct osr_values_batch {
    const struct osr_values_disk *disk;
    MDB_txn *txn;
    MDB_cursor *cursor; /* ends with the transaction; keys that come in order share its way down */
};

int osr_values_batch_begin(struct osr_values_batch *batch, const struct osr_values_disk *disk,
                           struct osr_err *err);
/* After a failure, give the batch up. */
int osr_values_batch_put(struct osr_values_batch *batch, struct osr_slice key,
                         struct osr_slice value, struct osr_err *err);
/* Behind all that is there; CORRUPT where its place is another. */
int osr_values_batch_append(struct osr_values_batch *batch, struct osr_slice key,
                            struct osr_slice value, struct osr_err *err);
int osr_values_batch_remove(struct osr_values_batch *batch, struct osr_slice key,
                            struct osr_err *err);
int osr_values_batch_set_index(struct osr_values_batch *batch, uint64_t index, struct osr_err *err);
/* Durable on return, but in a new file. It is given up on failure. */
int osr_values_batch_commit(struct osr_values_batch *batch, struct osr_err *err);
void osr_values_batch_give_up(struct osr_values_batch *batch); /* committed ones too: a no-op */

#endif
