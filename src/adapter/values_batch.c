/* Writing to a file of values. */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/values_disk.h"

int osr_values_batch_begin(struct osr_values_batch *batch, const struct osr_values_disk *disk,
                           struct osr_err *err)
{
    int status = mdb_txn_begin(disk->env, NULL, 0, &batch->txn);

    batch->disk = disk;
    if (status != 0) {
        batch->txn = NULL;
        return osr_values_disk_fail(disk, status, err);
    }
    status = mdb_cursor_open(batch->txn, disk->values, &batch->cursor);
    if (status != 0) {
        osr_values_batch_give_up(batch);
        return osr_values_disk_fail(disk, status, err);
    }
    return 0;
}

void osr_values_batch_give_up(struct osr_values_batch *batch)
{
    if (batch->txn != NULL) {
        mdb_txn_abort(batch->txn);
        batch->txn = NULL;
    }
}

/* ---- no room ---- */

/* LMDB says EIO where a write was short, as the last one before a disk is full is: so one more page
 * is put behind the file's end, where it is in nobody's way. */
static bool has_room(const struct osr_values_disk *disk)
{
    static const uint8_t zeros[4096];
    struct stat file;
    int fd = -1;

    mdb_env_get_fd(disk->env, &fd);
    return fstat(fd, &file) != 0 ||
           pwrite(fd, zeros, sizeof(zeros), file.st_size) == (ssize_t)sizeof(zeros);
}

static int fail(const struct osr_values_batch *batch, int status, struct osr_err *err)
{
    if (status == EIO && !has_room(batch->disk)) {
        status = ENOSPC;
    }
    return osr_values_disk_fail(batch->disk, status, err);
}

/* ---- changes ---- */

static int put(struct osr_values_batch *batch, struct osr_slice key, struct osr_slice value,
               unsigned flags)
{
    MDB_val name = {key.size, (void *)key.data};
    MDB_val stored = {OSR_VALUES_CRC_SIZE + value.size, NULL};
    int status = mdb_cursor_put(batch->cursor, &name, &stored, flags | MDB_RESERVE);

    if (status == 0) {
        uint8_t *bytes = stored.mv_data;
        osr_put_u32(bytes, osr_values_crc(key, value));
        if (value.size > 0) {
            memcpy(bytes + OSR_VALUES_CRC_SIZE, value.data, value.size);
        }
    }
    return status;
}

int osr_values_batch_put(struct osr_values_batch *batch, struct osr_slice key,
                         struct osr_slice value, struct osr_err *err)
{
    int status = put(batch, key, value, 0);

    return status == 0 ? 0 : fail(batch, status, err);
}

int osr_values_batch_append(struct osr_values_batch *batch, struct osr_slice key,
                            struct osr_slice value, struct osr_err *err)
{
    int status = put(batch, key, value, MDB_APPEND);

    if (status == MDB_KEYEXIST) {
        return (int)osr_err_set(err, OSR_CORRUPT, "keys are not in order");
    }
    return status == 0 ? 0 : fail(batch, status, err);
}

int osr_values_batch_remove(struct osr_values_batch *batch, struct osr_slice key,
                            struct osr_err *err)
{
    MDB_val name = {key.size, (void *)key.data};
    int status = mdb_del(batch->txn, batch->disk->values, &name, NULL);

    return status == 0 || status == MDB_NOTFOUND ? 0 : fail(batch, status, err);
}

int osr_values_batch_set_index(struct osr_values_batch *batch, uint64_t index, struct osr_err *err)
{
    static const size_t magic_size = sizeof(OSR_VALUES_MAGIC) - 1;
    uint8_t about[OSR_VALUES_ABOUT_SIZE];
    struct osr_values_key full;
    struct osr_slice key = osr_values_key(&full, 0, osr_slice_text(OSR_VALUES_ABOUT_KEY));

    memcpy(about, OSR_VALUES_MAGIC, magic_size);
    osr_put_u32(about + magic_size, OSR_VALUES_FORMAT);
    osr_put_u64(about + magic_size + 4, index);
    return osr_values_batch_put(batch, key, osr_slice(about, sizeof(about)), err);
}

int osr_values_batch_commit(struct osr_values_batch *batch, struct osr_err *err)
{
    MDB_txn *txn = batch->txn;
    int status;

    batch->txn = NULL; /* it is gone whatever comes of it */
    status = mdb_txn_commit(txn);
    return status == 0 ? 0 : fail(batch, status, err);
}
