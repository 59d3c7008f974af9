/* Writing what is pending, now and then, on a thread. */
#include <assert.h>
#include <inttypes.h>

#include "adapter/values_internal.h"

enum { RETRY_MS = 1000 /* while the disk is full */ };

/* Between two times that the file's pages are forgotten: what reads and writes have touched in
 * this time is all that counts as memory of this process. */
static const uint64_t forget_ns = UINT64_C(10000000000);

/* ---- on the thread ---- */

static int write_entry(struct osr_values_batch *batch, const struct osr_values_entry *entry,
                       struct osr_err *err)
{
    struct osr_slice key = osr_values_entry_key(entry);

    return entry->is_removed ? osr_values_batch_remove(batch, key, err)
                             : osr_values_batch_put(batch, key, osr_values_entry_value(entry), err);
}

static int write_pending(const struct osr_values_file *file, uint64_t index, struct osr_err *err)
{
    const struct osr_values_entry *entry;
    struct osr_values_batch batch;
    struct osr_values_walk walk;
    int code = osr_values_batch_begin(&batch, &file->disk, err);

    osr_values_pending_walk(file->writing, &walk);
    while (code == 0 && (entry = osr_values_walk_next(&walk)) != NULL) {
        code = write_entry(&batch, entry, err);
    }
    if (code == 0) {
        code = osr_values_batch_set_index(&batch, index, err);
    }
    if (code == 0) {
        code = osr_values_batch_commit(&batch, err);
    }
    osr_values_batch_give_up(&batch);
    return code;
}

static void forget_now_and_then(struct osr_values_file *file)
{
    uint64_t now_ns = uv_hrtime();

    if (now_ns - file->forgotten_ns >= forget_ns) {
        osr_values_disk_forget(&file->disk);
        file->forgotten_ns = now_ns;
    }
}

static void work(void *context, struct osr_job *jobs)
{
    struct osr_values_file *file = context;
    struct osr_values_flush *flush = (struct osr_values_flush *)jobs;

    assert(jobs->next == NULL); /* there is one at a time */
    uv_mutex_lock(&file->lock);
    flush->code = 0;
    if (!flush->is_dropped &&
        (osr_values_pending_count(file->writing) > 0 || flush->index != file->flushed)) {
        flush->code = write_pending(file, flush->index, &flush->err);
        forget_now_and_then(file);
    }
    osr_values_file_close_replaced(file);
    uv_mutex_unlock(&file->lock);
}

/* ---- flushes ---- */

static void on_timer(uv_timer_t *timer);

static void submit(struct osr_values_file *file)
{
    file->state = OSR_VALUES_WRITING;
    osr_worker_submit(file->worker, &file->flush.job);
}

static void begin_flush(struct osr_values_file *file)
{
    struct osr_values_pending *empty = file->writing;

    assert(file->state == OSR_VALUES_IDLE && !file->is_halfway);
    uv_timer_stop(&file->timer);
    osr_values_pending_freeze(file->now);
    file->writing = file->now;
    file->now = empty;
    file->is_due = false;
    file->flush.index = file->index;
    file->flush.is_dropped = false;
    submit(file);
}

void osr_values_flush_consider(struct osr_values_file *file)
{
    if (file->state != OSR_VALUES_IDLE || file->is_halfway || file->has_failed) {
        return; /* asked again when that is over */
    }
    if (osr_values_pending_count(file->now) == 0 && file->index == file->flushed) {
        file->is_due = false;
        return;
    }
    if (file->is_due || osr_values_pending_used(file->now) >= OSR_VALUES_FLUSH_BYTES ||
        osr_values_pending_count(file->now) >= OSR_VALUES_FLUSH_COUNT) {
        begin_flush(file);
    } else if (!uv_is_active((const uv_handle_t *)&file->timer)) {
        uv_timer_start(&file->timer, on_timer, OSR_VALUES_FLUSH_MS, 0);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct osr_values_file *file = timer->data;

    if (file->state == OSR_VALUES_NO_ROOM) {
        submit(file);
        return;
    }
    file->is_due = true;
    osr_values_flush_consider(file);
}

static void wait_for_room(struct osr_values_file *file)
{
    file->state = OSR_VALUES_NO_ROOM;
    if (!file->is_disk_full) {
        file->is_disk_full = true;
        osr_trace(&file->trace, OSR_LEVEL_WARNING,
                  "values: %s; they stay in memory, writing them is tried again every second",
                  file->flush.err.message);
    }
    if (!file->is_closing) {
        uv_timer_start(&file->timer, on_timer, RETRY_MS, 0);
    }
}

static void tell_room(struct osr_values_file *file)
{
    if (file->is_busy && !osr_values_file_has_no_room(file)) {
        file->is_busy = false;
        file->handler.on_room(file->handler.context);
    }
}

static void note_flushed(struct osr_values_file *file)
{
    uint64_t index = file->flush.index;

    file->flushed = index;
    osr_values_pending_clear(file->writing);
    if (file->is_disk_full) {
        file->is_disk_full = false;
        osr_trace(&file->trace, OSR_LEVEL_INFO, "values: written up to %" PRIu64 ", there is room",
                  index);
    }
    osr_values_flush_consider(file);
    if (!file->is_closing) {
        file->handler.on_flushed(file->handler.context, index);
        tell_room(file);
    }
}

void osr_values_file_flush(struct osr_values_file *file)
{
    file->is_due = true;
    if (file->state == OSR_VALUES_IDLE && !file->is_halfway && !file->has_failed) {
        begin_flush(file); /* also of nothing: on_flushed tells */
    }
}

static void on_written(void *context, struct osr_job *job)
{
    struct osr_values_file *file = context;
    struct osr_values_flush *flush = (struct osr_values_flush *)job;

    file->state = OSR_VALUES_IDLE;
    if (flush->is_dropped && file->is_due) {
        osr_values_file_flush(file);
    } else if (flush->is_dropped) {
        osr_values_flush_consider(file);
    } else if (flush->code == 0) {
        note_flushed(file);
    } else if (flush->code == OSR_DISK_FULL) {
        wait_for_room(file);
    } else {
        osr_values_file_fail(file, &flush->err);
    }
}

/* ---- life ---- */

void osr_values_flush_drop(struct osr_values_file *file)
{
    file->flush.is_dropped = true;
    if (file->state == OSR_VALUES_NO_ROOM) {
        file->state = OSR_VALUES_IDLE;
    }
    uv_timer_stop(&file->timer);
    osr_values_pending_clear(file->now);
    osr_values_pending_clear(file->writing);
    file->is_halfway = false;
    file->is_due = false;
    file->is_busy = false;
    file->is_disk_full = false;
}

int osr_values_flush_start(struct osr_values_file *file, uv_loop_t *loop, struct osr_err *err)
{
    const struct osr_worker_options options = {
        .name = "state", .work = work, .done = on_written, .context = file, .batch_max = 1};
    int code = osr_worker_create(loop, &options, &file->worker, err);

    if (code == 0) {
        uv_timer_init(loop, &file->timer);
        file->timer.data = file;
    }
    return code;
}

void osr_values_flush_finish(struct osr_values_file *file)
{
    file->is_due = true;
    uv_timer_stop(&file->timer);
    if (file->state == OSR_VALUES_NO_ROOM) {
        submit(file); /* the last try */
    }
    osr_values_flush_consider(file);
    osr_worker_destroy(file->worker); /* flushes what came while the thread was writing, too */
}
