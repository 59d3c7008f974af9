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
    FOLLOW_MS = 500,         /* between two looks whether more was noted, where that is wanted */
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
    bool follows; /* comes to no end by itself */
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

static bool is_listed(char *const *origins, size_t count, const char *origin)
{
    size_t i = 0;
    while (i < count && strcmp(origins[i], origin) != 0) {
        i++;
    }
    return i < count;
}

static bool is_refused(const struct osr_services *services, const struct osr_feed_info *info)
{
    return !info->own && info->sequence > 0 &&
           !osr_access_instance_may(services->access, info->id.origin, OSR_ACTION_LEAD,
                                    info->id.stream);
}

/* Instances that have written something which is held here, and may not write any more. The array
 * and its texts are the caller's. */
static size_t refused_origins(const struct osr_services *services, char ***ret_origins)
{
    size_t feed_count = osr_feed_count(services->feed);
    char **origins = osr_alloc((feed_count + 1) * sizeof(origins[0]));
    size_t count = 0;
    for (size_t i = 0; i < feed_count; i++) {
        struct osr_feed_info info;
        osr_feed_info(services->feed, i, &info);
        if (is_refused(services, &info) && !is_listed(origins, count, info.id.origin)) {
            origins[count++] = osr_strdup(info.id.origin);
        }
    }
    *ret_origins = origins;
    return count;
}

static void reply_end(struct audit_reading *reading)
{
    Osr__AuditResponse response = OSR__AUDIT_RESPONSE__INIT;
    response.head_number = reading->head.number;
    response.head_chain.data = reading->head.chain.bytes;
    response.head_chain.len = sizeof(reading->head.chain.bytes);
    response.n_refused_origins =
        refused_origins(reading->call->services, &response.refused_origins);
    osr_call_reply(reading->call, &response.base);
    for (size_t i = 0; i < response.n_refused_origins; i++) {
        free(response.refused_origins[i]);
    }
    free(response.refused_origins);
}

static void finish(struct audit_reading *reading)
{
    if (reading->call->session == NULL) { /* the services may be gone by now, too */
        reading->code = (int)osr_err_set(&reading->err, OSR_CANCELLED, "nobody is there any more");
    }
    if (reading->code != 0) {
        osr_call_fail(reading->call, &reading->err);
    } else {
        reply_end(reading);
    }
    uv_close((uv_handle_t *)&reading->timer, on_timer_closed);
}

static void on_timer(uv_timer_t *timer);

/* Who follows for long may have lost the right to. Not noted: each look would be news. */
static bool may_follow(struct audit_reading *reading)
{
    struct osr_call *call = reading->call;
    return osr_access_allows(call->services->access, &call->identity, OSR_ACTION_AUDIT,
                             osr_part(OSR_PART_INSTANCE, ""));
}

static bool is_more_noted(const struct audit_reading *reading)
{
    struct osr_audit_status status;
    osr_audit_get_status(reading->call->services->audit, &status);
    return status.head.number > reading->head.number;
}

static void on_follow(uv_timer_t *timer)
{
    struct audit_reading *reading = timer->data;
    if (reading->call->session == NULL) {
        finish(reading);
    } else if (!may_follow(reading)) {
        reading->code = (int)osr_err_set(&reading->err, OSR_PERMISSION_DENIED,
                                         "the audit log may not be read any more");
        finish(reading);
    } else if (is_more_noted(reading)) {
        reading->wanted.from_number = reading->head.number + 1;
        osr_file_worker_submit(reading->worker, &reading->job);
    } else {
        uv_timer_start(timer, on_follow, FOLLOW_MS, 0);
    }
}

static void read_on(struct audit_reading *reading)
{
    const struct osr_call *call = reading->call;
    if (call->session == NULL) {
        finish(reading);
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
    } else if (reading->code == 0 && reading->follows) {
        uv_timer_start(&reading->timer, on_follow, FOLLOW_MS, 0);
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
    reading->follows = request->follow;
    reading->records = osr_alloc(PAGE_RECORDS_MAX * sizeof(reading->records[0]));
    uv_timer_init(services->loop, &reading->timer); /* only fills in the handle */
    reading->timer.data = reading;
    osr_call_await(call, NULL);
    osr_file_worker_submit(reading->worker, &reading->job);
}
