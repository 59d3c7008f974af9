/* Looking into a file of values. */
#include <assert.h>
#include <inttypes.h>

#include "adapter/values_disk.h"

int osr_values_view_open(struct osr_values_view *view, const struct osr_values_disk *disk,
                         struct osr_err *err)
{
    int status = mdb_txn_begin(disk->env, NULL, MDB_RDONLY, &view->txn);

    if (status == 0) {
        status = mdb_cursor_open(view->txn, disk->values, &view->cursor);
    }
    view->disk = disk;
    if (status != 0) {
        osr_values_view_close(view);
        return osr_values_disk_fail(disk, status, err);
    }
    return 0;
}

void osr_values_view_close(struct osr_values_view *view)
{
    if (view->cursor != NULL) {
        mdb_cursor_close(view->cursor);
    }
    if (view->txn != NULL) {
        mdb_txn_abort(view->txn);
    }
    *view = (struct osr_values_view){0};
}

void osr_values_view_pause(struct osr_values_view *view)
{
    mdb_txn_reset(view->txn);
}

int osr_values_view_resume(struct osr_values_view *view, struct osr_err *err)
{
    int status = mdb_txn_renew(view->txn);

    if (status == 0) {
        status = mdb_cursor_renew(view->txn, view->cursor);
    }
    return status == 0 ? 0 : osr_values_disk_fail(view->disk, status, err);
}

/* What stands on disk under a key, as the value. */
static int take(const struct osr_values_view *view, struct osr_slice key, const MDB_val *stored,
                struct osr_slice *ret_value, struct osr_err *err)
{
    const uint8_t *bytes = stored->mv_data;
    struct osr_slice value;

    if (stored->mv_size < OSR_VALUES_CRC_SIZE) {
        return osr_values_disk_corrupt(view->disk, "a value without a checksum", err);
    }
    value = osr_slice(bytes + OSR_VALUES_CRC_SIZE, stored->mv_size - OSR_VALUES_CRC_SIZE);
    if (osr_get_u32(bytes) != osr_values_crc(key, value)) {
        return osr_values_disk_corrupt(view->disk, "a value's checksum does not match", err);
    }
    *ret_value = value;
    return 0;
}

static int fail(const struct osr_values_view *view, int status, struct osr_err *err)
{
    return status == MDB_NOTFOUND ? OSR_NOT_FOUND : osr_values_disk_fail(view->disk, status, err);
}

int osr_values_view_get(struct osr_values_view *view, struct osr_slice key,
                        struct osr_slice *ret_value, struct osr_err *err)
{
    MDB_val name = {key.size, (void *)key.data};
    MDB_val stored;
    int status = mdb_get(view->txn, view->disk->values, &name, &stored);

    return status == 0 ? take(view, key, &stored, ret_value, err) : fail(view, status, err);
}

static int move(struct osr_values_view *view, MDB_val *name, MDB_cursor_op to,
                struct osr_slice *ret_key, struct osr_slice *ret_value, struct osr_err *err)
{
    MDB_val stored;
    int status = mdb_cursor_get(view->cursor, name, &stored, to);

    if (status != 0) {
        return fail(view, status, err);
    }
    *ret_key = osr_slice(name->mv_data, name->mv_size);
    return take(view, *ret_key, &stored, ret_value, err);
}

int osr_values_view_seek(struct osr_values_view *view, struct osr_slice from,
                         struct osr_slice *ret_key, struct osr_slice *ret_value,
                         struct osr_err *err)
{
    MDB_val name = {from.size, (void *)from.data};

    return move(view, &name, MDB_SET_RANGE, ret_key, ret_value, err);
}

int osr_values_view_next(struct osr_values_view *view, struct osr_slice *ret_key,
                         struct osr_slice *ret_value, struct osr_err *err)
{
    MDB_val name;

    return move(view, &name, MDB_NEXT, ret_key, ret_value, err);
}

int osr_values_view_index(struct osr_values_view *view, uint64_t *ret_index, struct osr_err *err)
{
    static const size_t magic_size = sizeof(OSR_VALUES_MAGIC) - 1;
    struct osr_values_key full;
    struct osr_slice key = osr_values_key(&full, 0, osr_slice_text(OSR_VALUES_ABOUT_KEY));
    struct osr_slice about = {0};
    uint32_t format;
    int code = osr_values_view_get(view, key, &about, err);

    if (code != 0) {
        return code;
    }
    if (about.size < OSR_VALUES_ABOUT_SIZE ||
        memcmp(about.data, OSR_VALUES_MAGIC, magic_size) != 0) {
        return OSR_NOT_FOUND;
    }
    format = osr_get_u32(about.data + magic_size);
    if (format != OSR_VALUES_FORMAT) {
        return (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "%s has format %" PRIu32 ", this program knows %d",
                                view->disk->path, format, OSR_VALUES_FORMAT);
    }
    *ret_index = osr_get_u64(about.data + magic_size + sizeof(format));
    return 0;
}
