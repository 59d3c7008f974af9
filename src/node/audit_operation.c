/* `audit`: the log of who did what, read and verified page by page on the thread of security.h.
 *
 * Each page is read and sent before the next one is read, and that waits while the caller does not
 * read: so a log of any length takes the memory of a page. A page begins with the file that it
 * lies in, so together they verify the chain of all that was kept. */
#include <stdio.h>
#include <stdlib.h>

#include "node/operation_handlers.h"

enum {
    PAGE_RECORDS_MAX = 4000, /* about 1 MiB */
    FRAME_RECORDS_MAX = 100, /* few enough to show at once */
    WAIT_MS = 20,            /* between two looks whether the caller has read */
    TEXTS = 6,               /* of a record */
};

struct page_record {
    struct osr_audit_record record; /* its texts are in `texts` */
    char *texts;
};

struct audit_reading {
    struct osr_file_job job; /* first */
    struct osr_call *call;
    struct osr_file_worker *worker;
    struct osr_disk *disk;
    char *folder;
    char *who; /* NULL: anybody */
    struct osr_audit_wanted wanted;
    uv_timer_t timer;

    struct page_record *records;
    size_t count;
    bool is_cut; /* the page was full: there may be more */
    struct osr_audit_head head;
    int code;
    struct osr_err err;
};

/* -- reading a page, on the thread -- */

static const char **texts_of(struct osr_audit_record *record, size_t index)
{
    const char **const fields[TEXTS] = {&record->who,  &record->from, &record->action,
                                        &record->part, &record->what, &record->why};
    return (const char **)fields[index];
}

/* One piece of memory for all texts of a record. */
static void copy_record(struct page_record *copy, const struct osr_audit_record *record)
{
    struct osr_buffer texts = {0};
    size_t at[TEXTS];
    copy->record = *record;
    for (size_t i = 0; i < TEXTS; i++) {
        const char *text = *texts_of(&copy->record, i);
        at[i] = texts.size;
        osr_buffer_add(&texts, text, strlen(text) + 1);
    }
    copy->texts = (char *)texts.data;
    for (size_t i = 0; i < TEXTS; i++) {
        *texts_of(&copy->record, i) = copy->texts + at[i];
    }
}

static int visit(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    struct audit_reading *reading = context;
    if (reading->count == PAGE_RECORDS_MAX) {
        reading->is_cut = true;
        return (int)osr_err_set(err, OSR_CANCELLED, "the page is full");
    }
    copy_record(&reading->records[reading->count++], record);
    return 0;
}

static void work(struct osr_file_job *job)
{
    struct audit_reading *reading = (struct audit_reading *)job;
    reading->is_cut = false;
    reading->code = osr_audit_log_read(reading->disk, reading->folder, &reading->wanted, visit,
                                       reading, &reading->head, &reading->err);
    if (reading->is_cut) {
        reading->code = 0;
    }
}

/* -- sending it -- */

static void add_record(Osr__AuditRecord *message, const struct osr_audit_record *record)
{
    osr__audit_record__init(message);
    message->number = record->number;
    message->time_ms = record->time_ms;
    message->who = (char *)record->who;
    message->from = (char *)record->from;
    message->action = (char *)record->action;
    message->part = (char *)record->part;
    message->what = (char *)record->what;
    message->why = (char *)record->why;
    message->allowed = record->allowed;
}

static void send_records(struct audit_reading *reading, size_t first, size_t count)
{
    Osr__AuditResponse response = OSR__AUDIT_RESPONSE__INIT;
    Osr__AuditRecord messages[FRAME_RECORDS_MAX];
    Osr__AuditRecord *pointers[FRAME_RECORDS_MAX];
    for (size_t i = 0; i < count; i++) {
        add_record(&messages[i], &reading->records[first + i].record);
        pointers[i] = &messages[i];
    }
    response.records = pointers;
    response.n_records = count;
    osr_call_stream(reading->call, &response.base);
}

static void forget_page(struct audit_reading *reading)
{
    for (size_t i = 0; i < reading->count; i++) {
        free(reading->records[i].texts);
    }
    reading->count = 0;
}

static void send_page(struct audit_reading *reading)
{
    for (size_t first = 0; first < reading->count; first += FRAME_RECORDS_MAX) {
        size_t left = reading->count - first;
        send_records(reading, first, left < FRAME_RECORDS_MAX ? left : FRAME_RECORDS_MAX);
    }
    if (reading->count > 0) {
        reading->wanted.from_number = reading->records[reading->count - 1].record.number + 1;
    }
    forget_page(reading);
}

/* -- from page to page -- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct audit_reading *reading = handle->data;
    free(reading->records);
    free(reading->folder);
    free(reading->who);
    free(reading);
}

static void finish(struct audit_reading *reading)
{
    Osr__AuditResponse response = OSR__AUDIT_RESPONSE__INIT;
    if (reading->code != 0) {
        osr_call_fail(reading->call, &reading->err);
    } else {
        response.head_number = reading->head.number;
        response.head_chain.data = reading->head.chain.bytes;
        response.head_chain.len = sizeof(reading->head.chain.bytes);
        osr_call_reply(reading->call, &response.base);
    }
    uv_close((uv_handle_t *)&reading->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer);

static void read_on(struct audit_reading *reading)
{
    const struct osr_call *call = reading->call;
    if (call->session == NULL) {
        finish(reading); /* nobody is there any more */
    } else if (osr_session_is_full(call->session, call->request_id)) {
        uv_timer_start(&reading->timer, on_timer, WAIT_MS, 0);
    } else {
        osr_file_worker_submit(reading->worker, &reading->job);
    }
}

static void on_timer(uv_timer_t *timer)
{
    read_on(timer->data);
}

static void done(struct osr_file_job *job)
{
    struct audit_reading *reading = (struct audit_reading *)job;
    send_page(reading);
    if (reading->code == 0 && reading->is_cut) {
        read_on(reading);
    } else {
        finish(reading);
    }
}

void osr_operation_audit(struct osr_operations *operations, struct osr_call *call,
                         const Osr__Frame *frame)
{
    const struct osr_services *services = operations->services;
    const Osr__AuditRequest *request = frame->audit;
    struct audit_reading *reading = osr_alloc(sizeof(*reading));
    reading->job.work = work;
    reading->job.done = done;
    reading->call = call;
    reading->worker = osr_security_worker(services->security);
    reading->disk = osr_disk_system();
    reading->folder = osr_strdup(services->config->data);
    reading->who = request->who[0] != '\0' ? osr_strdup(request->who) : NULL;
    reading->wanted = (struct osr_audit_wanted){
        .from_number = request->from_number,
        .from_ms = request->from_ms,
        .to_ms = request->to_ms,
        .who = reading->who,
        .denied_only = request->denied_only,
    };
    reading->records = osr_alloc(PAGE_RECORDS_MAX * sizeof(reading->records[0]));
    uv_timer_init(services->loop, &reading->timer); /* only fills in the handle */
    reading->timer.data = reading;
    osr_call_await(call, NULL);
    osr_file_worker_submit(reading->worker, &reading->job);
}
