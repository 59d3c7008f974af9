/* Making a file of values from what a dump gave. */
#include <assert.h>
#include <stdlib.h>

#include "adapter/durable_name.h"
#include "adapter/values_internal.h"

struct osr_values_load {
    char *folder;
    char *path;
    struct osr_values_disk disk;
    struct osr_values_batch batch;
    struct osr_buffer rest; /* the beginning of a record */
    size_t unsynced;        /* bytes in the batch */
    bool has_failed;        /* nobody knows what the disk holds */
    bool is_finished;
};

int osr_values_load_create(const char *folder, struct osr_values_load **ret_load,
                           struct osr_err *err)
{
    struct osr_values_load *load = osr_alloc(sizeof(*load));
    struct osr_disk *system = osr_disk_system();
    int code;

    load->folder = osr_strdup(folder);
    load->path = osr_format("%s/%s", folder, OSR_VALUES_NEW_NAME);
    code = system->ops->remove(system, load->path, err);
    if (code == 0 || code == OSR_NOT_FOUND) {
        code = osr_values_disk_open(&load->disk, load->path, OSR_VALUES_NEW, err);
    }
    if (code == 0) {
        code = osr_values_batch_begin(&load->batch, &load->disk, err);
    }
    if (code != 0) {
        osr_values_load_destroy(load);
        return code;
    }
    *ret_load = load;
    return 0;
}

void osr_values_load_destroy(struct osr_values_load *load)
{
    struct osr_disk *system = osr_disk_system();

    if (load == NULL) {
        return;
    }
    osr_values_batch_give_up(&load->batch);
    osr_values_disk_close(&load->disk);
    system->ops->remove(system, load->path, NULL); /* no file is there where it has its place */
    osr_buffer_done(&load->rest);
    free(load->path);
    free(load->folder);
    free(load);
}

/* ---- records ---- */

static size_t key_size(struct osr_slice head)
{
    return osr_get_u16(head.data + OSR_VALUES_RECORD_KEY_SIZE_AT);
}

static size_t value_size(struct osr_slice head)
{
    return osr_get_u32(head.data + OSR_VALUES_RECORD_VALUE_SIZE_AT);
}

/* Of the record that begins here, as far as can be told. */
static size_t record_size(struct osr_slice bytes)
{
    return bytes.size < OSR_VALUES_RECORD_HEAD_SIZE
               ? OSR_VALUES_RECORD_HEAD_SIZE
               : OSR_VALUES_RECORD_HEAD_SIZE + key_size(bytes) + value_size(bytes);
}

static bool has_head(struct osr_slice bytes)
{
    return bytes.size >= OSR_VALUES_RECORD_HEAD_SIZE;
}

static bool is_whole(struct osr_slice bytes)
{
    return has_head(bytes) && bytes.size >= record_size(bytes);
}

static int check_head(struct osr_slice head, struct osr_err *err)
{
    if (osr_get_u16(head.data) == 0) {
        return (int)osr_err_set(err, OSR_CORRUPT, "a dump's value is of machine 0");
    }
    if (key_size(head) == 0 || key_size(head) > OSR_VALUES_KEY_BYTES_MAX ||
        value_size(head) > OSR_VALUES_VALUE_BYTES_MAX) {
        return (int)osr_err_set(err, OSR_CORRUPT, "a dump's key has %zu bytes, its value %zu",
                                key_size(head), value_size(head));
    }
    return 0;
}

/* A small sync of somebody else must not wait for long behind one of all. */
static int commit_if_much(struct osr_values_load *load, size_t more, struct osr_err *err)
{
    int code;

    load->unsynced += more;
    if (load->unsynced < OSR_DISK_SYNC_BYTES) {
        return 0;
    }
    load->unsynced = 0;
    code = osr_values_batch_commit(&load->batch, err);
    return code != 0 ? code : osr_values_batch_begin(&load->batch, &load->disk, err);
}

static int add_record(struct osr_values_load *load, struct osr_slice record, struct osr_err *err)
{
    const uint8_t *key = record.data + OSR_VALUES_RECORD_HEAD_SIZE;
    struct osr_values_key full;
    int code = check_head(record, err);

    if (code != 0) {
        return code;
    }
    code = osr_values_batch_append(
        &load->batch,
        osr_values_key(&full, osr_get_u16(record.data), osr_slice(key, key_size(record))),
        osr_slice(key + key_size(record), value_size(record)), err);
    return code != 0 ? code : commit_if_much(load, record_size(record), err);
}

/* Takes what is missing of the record that has begun. */
static int add_to_rest(struct osr_values_load *load, struct osr_slice *bytes, struct osr_err *err)
{
    size_t missing = record_size(osr_buffer_slice(&load->rest)) - load->rest.size;
    size_t size = bytes->size < missing ? bytes->size : missing;
    struct osr_slice rest;
    int code = 0;

    osr_buffer_add(&load->rest, bytes->data, size);
    *bytes = osr_slice(bytes->data + size, bytes->size - size);
    rest = osr_buffer_slice(&load->rest);
    if (is_whole(rest)) {
        code = add_record(load, rest, err);
        load->rest.size = 0;
    } else if (has_head(rest)) {
        code = check_head(rest, err); /* before it is gathered */
    }
    return code;
}

static int refuse(const struct osr_values_load *load, struct osr_err *err)
{
    return (int)osr_err_set(err, OSR_IO, "%s could not be written before", load->path);
}

int osr_values_load_add(struct osr_values_load *load, struct osr_slice bytes, struct osr_err *err)
{
    int code = load->has_failed ? refuse(load, err) : 0;

    assert(!load->is_finished);
    while (code == 0 && bytes.size > 0) {
        if (load->rest.size == 0 && is_whole(bytes)) {
            size_t size = record_size(bytes);
            code = add_record(load, osr_slice(bytes.data, size), err);
            bytes = osr_slice(bytes.data + size, bytes.size - size);
        } else {
            code = add_to_rest(load, &bytes, err);
        }
    }
    load->has_failed = code != 0;
    return code;
}

int osr_values_load_finish(struct osr_values_load *load, uint64_t index, struct osr_err *err)
{
    int code = 0;

    assert(!load->is_finished);
    if (load->has_failed) {
        return refuse(load, err);
    }
    if (load->rest.size > 0) {
        code = (int)osr_err_set(err, OSR_CORRUPT, "a dump ends within a value");
    }
    if (code == 0) {
        code = osr_values_batch_set_index(&load->batch, index, err);
    }
    if (code == 0) {
        code = osr_values_batch_commit(&load->batch, err);
    }
    if (code == 0) {
        code = osr_values_disk_sync(&load->disk, err);
    }
    load->has_failed = code != 0;
    load->is_finished = code == 0;
    if (code == 0) {
        osr_values_disk_close(&load->disk);
    }
    return code;
}

int osr_values_load_place(const struct osr_values_load *load, struct osr_err *err)
{
    char *place = osr_format("%s/%s", load->folder, OSR_VALUES_NAME);
    int code;

    assert(load->is_finished);
    code = osr_durable_rename(osr_disk_system(), load->folder, load->path, place, err);
    free(place);
    return code;
}
