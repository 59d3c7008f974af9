/* Opening, closing and replacing a file of values; changing them in memory. */
#include "adapter/values.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include "adapter/durable_name.h"
#include "adapter/values_internal.h"

void osr_values_file_fail(struct osr_values_file *file, const struct osr_err *err)
{
    if (file->has_failed) {
        return;
    }
    file->has_failed = true;
    osr_trace(&file->trace, OSR_LEVEL_ERROR, "values: %s", err->message);
    if (!file->is_closing) {
        file->handler.on_failure(file->handler.context, err);
    }
}

/* ---- changes ---- */

static size_t pending_bytes(const struct osr_values_file *file)
{
    return osr_values_pending_bytes(file->now) + osr_values_pending_bytes(file->writing);
}

static size_t pending_count(const struct osr_values_file *file)
{
    return osr_values_pending_count(file->now) + osr_values_pending_count(file->writing);
}

bool osr_values_file_has_no_room(const struct osr_values_file *file)
{
    return pending_bytes(file) >= OSR_VALUES_PENDING_BYTES_MAX ||
           pending_count(file) >= OSR_VALUES_PENDING_COUNT_MAX;
}

static void note_change(struct osr_values_file *file)
{
    file->is_halfway = true;
    file->is_busy = file->is_busy || osr_values_file_has_no_room(file);
}

void osr_values_file_put(struct osr_values_file *file, uint16_t machine, struct osr_slice key,
                         struct osr_slice value)
{
    struct osr_values_key full;

    assert(machine > 0 && key.size > 0 && key.size <= OSR_VALUES_KEY_BYTES_MAX &&
           value.size <= OSR_VALUES_VALUE_BYTES_MAX);
    osr_values_pending_put(file->now, osr_values_key(&full, machine, key), value);
    note_change(file);
}

void osr_values_file_remove(struct osr_values_file *file, uint16_t machine, struct osr_slice key)
{
    struct osr_values_key full;

    assert(machine > 0);
    if (key.size > 0 && key.size <= OSR_VALUES_KEY_BYTES_MAX) {
        osr_values_pending_remove(file->now, osr_values_key(&full, machine, key));
        note_change(file);
    }
}

void osr_values_file_advance(struct osr_values_file *file, uint64_t index)
{
    assert(index >= file->index);
    file->index = index;
    file->is_halfway = false;
    osr_values_flush_consider(file);
}

bool osr_values_file_is_busy(const struct osr_values_file *file)
{
    return file->is_busy;
}

/* ---- opening and closing ---- */

static int open_disk(struct osr_values_file *file, struct osr_err *err)
{
    int code = osr_values_disk_open(&file->disk, file->path, OSR_VALUES_EXISTING, err);

    if (code == 0) {
        code = osr_values_view_open(&file->view, &file->disk, err);
    }
    if (code == 0) {
        code = osr_values_view_index(&file->view, &file->index, err);
        osr_values_view_pause(&file->view);
    }
    file->flushed = file->index;
    return code;
}

static void close_disk(struct osr_values_file *file)
{
    osr_values_view_close(&file->view);
    osr_values_disk_close(&file->disk);
}

static int make_empty_file(const char *folder, struct osr_err *err)
{
    struct osr_values_load *load;
    int code = osr_values_load_create(folder, &load, err);

    if (code != 0) {
        return code;
    }
    code = osr_values_load_finish(load, 0, err);
    if (code == 0) {
        code = osr_values_load_place(load, err);
    }
    osr_values_load_destroy(load);
    return code;
}

/* So a file is there, and it was whole when it came there. */
static int prepare_folder(const struct osr_values_file *file, struct osr_err *err)
{
    struct osr_disk *system = osr_disk_system();
    char *left_over = osr_format("%s/%s", file->folder, OSR_VALUES_NEW_NAME);
    struct osr_file *there = NULL;
    int code = osr_durable_folder(system, file->folder, err);

    if (code == 0) {
        code = system->ops->remove(system, left_over, err);
        code = code == OSR_NOT_FOUND ? 0 : code;
    }
    if (code == 0) {
        code = system->ops->open(system, file->path, false, &there, err);
    }
    if (there != NULL) {
        system->ops->close(system, there);
    }
    if (code == OSR_NOT_FOUND) {
        code = make_empty_file(file->folder, err);
    }
    free(left_over);
    return code;
}

void osr_values_file_close_replaced(struct osr_values_file *file)
{
    if (file->replaced_fd >= 0) {
        close(file->replaced_fd);
        file->replaced_fd = -1;
    }
}

static void free_file(struct osr_values_file *file)
{
    osr_values_file_close_replaced(file);
    close_disk(file);
    osr_values_pending_destroy(file->now);
    osr_values_pending_destroy(file->writing);
    uv_mutex_destroy(&file->lock);
    free(file->path);
    free(file->folder);
    free(file);
}

static struct osr_values_file *create_file(const char *folder,
                                           const struct osr_values_file_handler *handler,
                                           const struct osr_trace *trace)
{
    struct osr_values_file *file = osr_alloc(sizeof(*file));

    file->handler = *handler;
    file->trace = *trace;
    file->folder = osr_strdup(folder);
    file->path = osr_format("%s/%s", folder, OSR_VALUES_NAME);
    file->replaced_fd = -1;
    file->now = osr_values_pending_create();
    file->writing = osr_values_pending_create();
    if (uv_mutex_init(&file->lock) != 0) {
        abort(); /* for lack of memory alone */
    }
    return file;
}

int osr_values_file_open(uv_loop_t *loop, const char *folder,
                         const struct osr_values_file_handler *handler,
                         const struct osr_trace *trace, struct osr_values_file **ret_file,
                         uint64_t *ret_index, struct osr_err *err)
{
    struct osr_values_file *file = create_file(folder, handler, trace);
    int code = prepare_folder(file, err);

    if (code == 0) {
        code = open_disk(file, err);
    }
    if (code == 0) {
        code = osr_values_flush_start(file, loop, err);
    }
    if (code != 0) {
        free_file(file);
        return code;
    }
    *ret_file = file;
    *ret_index = file->index;
    return 0;
}

static void on_closed(uv_handle_t *timer)
{
    free_file(timer->data);
}

void osr_values_file_close(struct osr_values_file *file)
{
    if (file == NULL) {
        return;
    }
    assert(file->dump_count == 0);
    file->is_closing = true;
    osr_values_flush_finish(file);
    close_disk(file);
    uv_close((uv_handle_t *)&file->timer, on_closed);
}

/* ---- replacing ---- */

/* After a failure there may be no file to read any more: only closing is left. */
int osr_values_file_replace(struct osr_values_file *file, struct osr_values_load *load,
                            struct osr_err *err)
{
    int code;

    assert(file->dump_count == 0);
    uv_mutex_lock(&file->lock);
    osr_values_flush_drop(file);
    close_disk(file);
    osr_values_file_close_replaced(file);
    file->replaced_fd = open(file->path, O_RDONLY | O_CLOEXEC);
    code = osr_values_load_place(load, err);
    if (code == 0) {
        code = open_disk(file, err);
    }
    uv_mutex_unlock(&file->lock);
    osr_values_load_destroy(load);
    if (code == 0) {
        osr_values_file_flush(file); /* for the file without a name */
    }
    file->has_failed = file->has_failed || code != 0;
    return code;
}
