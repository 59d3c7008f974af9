#include "node/audit.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "adapter/clock.h"
#include "adapter/keys.h"
#include "adapter/worker.h"
#include "node/audit_denials.h"

enum {
    WINDOW_MS = 1000, /* over which equal denials are summed up */
    RETRY_MS = 1000,  /* after an append that failed */
};

/* One append on its way through the thread. Its texts are those of the queue's first items, which
 * stay there until it is done. */
struct batch {
    struct osr_job job; /* first */
    struct osr_audit_record records[OSR_AUDIT_APPEND_MAX];
    size_t count;
    struct osr_audit_head head; /* afterwards */
    struct osr_err err;         /* code 0: it is on the disk */
};

/* Invariant: `waiting` items are in the queue, `batch.count` of them in the batch. */
struct osr_audit {
    struct osr_audit_log *log; /* the thread's while a batch is under way */
    struct osr_worker *worker;
    const struct osr_trace *trace;
    char *self;
    bool all;
    bool is_closing;

    struct osr_audit_item *first; /* the queue */
    struct osr_audit_item **end;
    uint32_t waiting;
    struct batch batch; /* under way while count > 0 */
    uv_timer_t retry;   /* runs after a failure */
    struct osr_err err; /* of the last append */
    struct osr_audit_head head;

    struct osr_denials *denials;
    uv_timer_t window; /* runs while there are denials to sum up */

    struct osr_audit_item *left_out; /* the first one; NULL: none */
    uint64_t left_out_now;           /* since a record said so */
    uint64_t left_out_ever;

    int open_handles;
};

/* ---- the queue ---- */

static bool is_full(const struct osr_audit *audit)
{
    return audit->waiting >= OSR_AUDIT_QUEUE_MAX;
}

static void fill_batch(struct osr_audit *audit)
{
    struct batch *batch = &audit->batch;
    for (const struct osr_audit_item *item = audit->first;
         item != NULL && batch->count < OSR_AUDIT_APPEND_MAX; item = item->next) {
        batch->records[batch->count++] = item->record;
    }
}

/* One batch at a time; what comes meanwhile goes with the next one. */
static void append_waiting(struct osr_audit *audit)
{
    bool is_under_way = audit->batch.count > 0;
    if (is_under_way || uv_is_active((uv_handle_t *)&audit->retry)) {
        return;
    }
    fill_batch(audit);
    if (audit->batch.count > 0) {
        osr_worker_submit(audit->worker, &audit->batch.job);
    }
}

static void queue(struct osr_audit *audit, const struct osr_audit_record *record)
{
    assert(!is_full(audit));
    struct osr_audit_item *item = osr_audit_item_create(record);
    item->record.time_ms = osr_wall_ms();
    *audit->end = item;
    audit->end = &item->next;
    audit->waiting++;
    append_waiting(audit);
}

static void drop_first(struct osr_audit *audit, size_t count)
{
    for (; count > 0; count--) {
        struct osr_audit_item *item = audit->first;
        audit->first = item->next;
        audit->waiting--;
        free(item);
    }
    if (audit->first == NULL) {
        audit->end = &audit->first;
    }
}

/* ---- what is left out ---- */

static void leave_out(struct osr_audit *audit, const struct osr_audit_record *record)
{
    if (audit->left_out == NULL) {
        audit->left_out = osr_audit_item_create(record);
    }
    audit->left_out_now++;
    audit->left_out_ever++;
}

static void queue_left_out(struct osr_audit *audit)
{
    if (audit->left_out == NULL || audit->waiting >= OSR_AUDIT_QUEUE_ALLOWED_MAX) {
        return;
    }
    char why[OSR_AUDIT_TEXT_BYTES_MAX];
    snprintf(why, sizeof(why), "%" PRIu64 " more like this, too many to note each",
             audit->left_out_now);
    struct osr_audit_record record = audit->left_out->record;
    record.why = why;
    queue(audit, &record);
    free(audit->left_out);
    audit->left_out = NULL;
    audit->left_out_now = 0;
}

/* ---- appending ---- */

static void work(void *context, struct osr_job *job)
{
    struct osr_audit *audit = context;
    struct batch *batch = (struct batch *)job;
    batch->err = (struct osr_err){0};
    osr_audit_log_append(audit->log, batch->records, batch->count, &batch->err);
    batch->head = osr_audit_log_head(audit->log);
}

static void on_retry(uv_timer_t *timer)
{
    append_waiting(timer->data);
}

/* Said once, until it is over. */
static void tell(struct osr_audit *audit, const struct osr_err *err)
{
    if (err->code != 0 && audit->err.code == 0) {
        osr_trace(audit->trace, OSR_LEVEL_ERROR,
                  "the audit log cannot be written, its records wait: %s", err->message);
    }
    if (err->code == 0 && audit->err.code != 0) {
        osr_trace(audit->trace, OSR_LEVEL_INFO, "the audit log is written again");
    }
}

static void done(void *context, struct osr_job *job)
{
    struct osr_audit *audit = context;
    struct batch *batch = (struct batch *)job;
    size_t count = batch->count;
    batch->count = 0;
    tell(audit, &batch->err);
    audit->err = batch->err;
    if (batch->err.code != 0) {
        if (!audit->is_closing) { /* else what waits is lost */
            uv_timer_start(&audit->retry, on_retry, RETRY_MS, 0);
        }
        return;
    }
    audit->head = batch->head;
    drop_first(audit, count);
    queue_left_out(audit);
    append_waiting(audit);
}

/* ---- denials ---- */

static void note_sum(void *context, const struct osr_audit_record *record)
{
    queue(context, record);
}

static void sum_up(struct osr_audit *audit)
{
    osr_denials_sum_up(audit->denials, OSR_AUDIT_QUEUE_MAX - audit->waiting, note_sum, audit);
}

static void on_window(uv_timer_t *timer)
{
    struct osr_audit *audit = timer->data;
    sum_up(audit);
    if (osr_denials_is_empty(audit->denials)) {
        uv_timer_stop(timer);
    }
}

static void start_window(struct osr_audit *audit)
{
    if (!uv_is_active((uv_handle_t *)&audit->window)) {
        uv_timer_start(&audit->window, on_window, WINDOW_MS, WINDOW_MS);
    }
}

/* ---- notes ---- */

static int refuse_full(const struct osr_audit *audit, struct osr_err *err)
{
    const char *why = audit->err.code != 0 ? audit->err.message : "too much comes at once";
    return (int)osr_err_set(err, OSR_BUSY,
                            "nothing is done that cannot be noted in the audit log: %s", why);
}

/* What anybody may cause as often as he likes. */
static bool is_repeatable(enum osr_audit_kind kind, const struct osr_audit_record *record)
{
    return !record->allowed || kind == OSR_AUDIT_LOGIN;
}

static int note_repeatable(struct osr_audit *audit, const struct osr_audit_record *record,
                           struct osr_err *err)
{
    if (!osr_denials_count(audit->denials, record)) {
        if (is_full(audit)) {
            return refuse_full(audit, err);
        }
        queue(audit, record);
        osr_denials_add(audit->denials, record);
    }
    start_window(audit);
    return 0;
}

static void note_documents(struct osr_audit *audit, const struct osr_audit_record *record)
{
    if (!audit->all) {
        return;
    }
    if (audit->waiting >= OSR_AUDIT_QUEUE_ALLOWED_MAX) {
        leave_out(audit, record);
    } else {
        queue(audit, record);
    }
}

int osr_audit_note(struct osr_audit *audit, enum osr_audit_kind kind,
                   const struct osr_audit_record *record, struct osr_err *err)
{
    if (is_repeatable(kind, record)) {
        return note_repeatable(audit, record, err);
    }
    if (kind == OSR_AUDIT_DOCUMENTS) {
        note_documents(audit, record);
        return 0;
    }
    if (is_full(audit)) {
        return refuse_full(audit, err);
    }
    queue(audit, record);
    return 0;
}

bool osr_audit_is_of_all(const struct osr_audit *audit)
{
    return audit->all;
}

void osr_audit_get_status(const struct osr_audit *audit, struct osr_audit_status *ret_status)
{
    *ret_status = (struct osr_audit_status){
        .waiting = audit->waiting,
        .left_out = audit->left_out_ever,
        .head = audit->head,
        .err = audit->err,
    };
}

/* ---- start and stop ---- */

static void note_self(struct osr_audit *audit, const char *what, const char *why)
{
    const struct osr_audit_record record = {
        .allowed = true,
        .who = audit->self,
        .from = "",
        .action = "operate",
        .part = "",
        .what = what,
        .why = why,
    };
    queue(audit, &record);
}

static void note_start(struct osr_audit *audit)
{
    char why[OSR_AUDIT_TEXT_BYTES_MAX] = "";
    uint64_t torn_bytes = osr_audit_log_torn_bytes(audit->log);
    if (torn_bytes > 0) {
        snprintf(why, sizeof(why),
                 "cut off %" PRIu64 " bytes that a crash left behind record %" PRIu64, torn_bytes,
                 audit->head.number);
    }
    note_self(audit, "START", why);
}

static void init_timer(struct osr_audit *audit, uv_loop_t *loop, uv_timer_t *timer)
{
    uv_timer_init(loop, timer); /* cannot fail: it only fills in the handle */
    timer->data = audit;
    audit->open_handles++;
}

static struct osr_audit *make(const struct osr_audit_options *options, struct osr_audit_log *log)
{
    struct osr_audit *audit = osr_alloc(sizeof(*audit));
    uint64_t seed;
    osr_secret_random(&seed, sizeof(seed));
    audit->log = log;
    audit->head = osr_audit_log_head(log);
    audit->trace = options->trace;
    audit->self = osr_strdup(options->self);
    audit->all = options->all;
    audit->end = &audit->first;
    audit->denials = osr_denials_create(seed);
    return audit;
}

static void free_audit(struct osr_audit *audit)
{
    drop_first(audit, audit->waiting);
    free(audit->left_out);
    osr_denials_destroy(audit->denials);
    osr_audit_log_close(audit->log);
    free(audit->self);
    free(audit);
}

int osr_audit_create(const struct osr_audit_options *options, struct osr_audit **ret_audit,
                     struct osr_err *err)
{
    const struct osr_audit_log_options log_options = {.disk = options->disk,
                                                      .folder = options->folder};
    struct osr_audit_log *log;
    int code = osr_audit_log_open(&log_options, &log, err);
    if (code != 0) {
        return code;
    }
    struct osr_audit *audit = make(options, log);
    const struct osr_worker_options worker_options = {
        .name = "audit", .work = work, .done = done, .context = audit, .batch_max = 1};
    code = osr_worker_create(options->loop, &worker_options, &audit->worker, err);
    if (code != 0) {
        free_audit(audit);
        return code;
    }
    init_timer(audit, options->loop, &audit->retry);
    init_timer(audit, options->loop, &audit->window);
    note_start(audit);
    *ret_audit = audit;
    return 0;
}

static void on_closed(uv_handle_t *handle)
{
    struct osr_audit *audit = handle->data;
    if (--audit->open_handles == 0) {
        free_audit(audit);
    }
}

void osr_audit_destroy(struct osr_audit *audit)
{
    if (audit == NULL) {
        return;
    }
    audit->is_closing = true;
    uv_timer_stop(&audit->retry);
    sum_up(audit);
    queue_left_out(audit);
    if (!is_full(audit)) {
        note_self(audit, "STOP", "");
    }
    append_waiting(audit);
    osr_worker_destroy(audit->worker); /* one batch's end begins the next */
    if (audit->waiting > 0) {
        osr_trace(audit->trace, OSR_LEVEL_ERROR,
                  "%" PRIu32 " records of the audit log are lost: %s", audit->waiting,
                  audit->err.message);
    }
    uv_close((uv_handle_t *)&audit->retry, on_closed);
    uv_close((uv_handle_t *)&audit->window, on_closed);
}
