/* values_internal.h -- what the parts of adapter/values.h share. */
#ifndef OSR_ADAPTER_VALUES_INTERNAL_H
#define OSR_ADAPTER_VALUES_INTERNAL_H

#include "adapter/values.h"
#include "adapter/values_disk.h"
#include "adapter/values_pending.h"
#include "adapter/worker.h"

enum osr_values_state {
    OSR_VALUES_IDLE,
    OSR_VALUES_WRITING, /* the thread has the job */
    OSR_VALUES_NO_ROOM, /* the job is to be tried again */
};

/* Changes go to `now`. To write them, `now` and `writing` change places, and the thread has
 * `writing` until it is on disk; what both know hides what the file knows. */
struct osr_values_flush {
    struct osr_job job; /* first */
    uint64_t index;
    bool is_dropped; /* under the lock: what was to be written counts no more */
    int code;
    struct osr_err err;
};

struct osr_values_file {
    struct osr_values_file_handler handler;
    struct osr_trace trace;
    char *folder;
    char *path;

    uv_mutex_t lock; /* held by the thread while it writes, so that the file stays the same one */
    struct osr_values_disk disk;
    struct osr_values_view view; /* the loop's; paused but within a call */
    size_t dump_count;           /* open ones */
    int replaced_fd; /* of a file that has no name any more, or -1: for the thread to close, because
                        that is when the system takes it apart */
    uint64_t forgotten_ns; /* the thread's: when the file's pages were forgotten */

    struct osr_values_pending *now;
    struct osr_values_pending *writing; /* empty while IDLE */
    struct osr_worker *worker;
    struct osr_values_flush flush;
    enum osr_values_state state;
    uv_timer_t timer; /* IDLE: until what is pending is due; NO_ROOM: until the next try */

    uint64_t index;   /* all up to it is in `now`, `writing` and the file */
    uint64_t flushed; /* the file stands at this */
    bool is_halfway;  /* changes came that `index` does not stand for yet: not to be written */
    bool is_due;
    bool is_busy; /* and on_room has to be called */
    bool is_disk_full;
    bool has_failed; /* on_failure was called */
    bool is_closing; /* the handler is called no more */
};

/* All on the loop's thread, but where it says otherwise. */

/* Says so once. */
void osr_values_file_fail(struct osr_values_file *file, const struct osr_err *err);
bool osr_values_file_has_no_room(const struct osr_values_file *file); /* for more in memory */
void osr_values_file_close_replaced(struct osr_values_file *file);    /* under the lock */

int osr_values_flush_start(struct osr_values_file *file, uv_loop_t *loop, struct osr_err *err);
/* Begins a flush if it is time, or sees to it that it will be. */
void osr_values_flush_consider(struct osr_values_file *file);
/* Under the lock: nothing that is pending counts any more, wherever the thread is with it. */
void osr_values_flush_drop(struct osr_values_file *file);
/* Writes what is pending and joins the thread. */
void osr_values_flush_finish(struct osr_values_file *file);

/* Gives a finished load its place, for good. */
int osr_values_load_place(const struct osr_values_load *load, struct osr_err *err);

/* Of dumps and loads: u16 machine, u16 size of the key, u32 size of the value, key, value. */
enum {
    OSR_VALUES_RECORD_KEY_SIZE_AT = 2,
    OSR_VALUES_RECORD_VALUE_SIZE_AT = 4,
    OSR_VALUES_RECORD_HEAD_SIZE = 8,
};

#define OSR_VALUES_NAME     "values.mdb"
#define OSR_VALUES_NEW_NAME "values.new.mdb"

#endif
