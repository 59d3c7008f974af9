/* Commands, reads and changes of this instance, from their beginning until their caller is told,
 * has gone, or their time is over. */
#include "node/ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

#define AT_THE_END UINT64_MAX /* the time at which all is over */

/* ---- lists ---- */

void osr_ledger_list_init(struct ledger_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

void osr_ledger_list_push(struct ledger_list *list, struct ledger_request *request)
{
    request->next = NULL;
    *list->end = request;
    list->end = &request->next;
}

struct ledger_request *osr_ledger_list_pop(struct ledger_list *list)
{
    struct ledger_request *request = list->first;
    if (request != NULL) {
        list->first = request->next;
        if (list->first == NULL) {
            list->end = &list->first;
        }
    }
    return request;
}

void osr_ledger_list_append(struct ledger_list *list, struct ledger_list *more)
{
    if (more->first != NULL) {
        *list->end = more->first;
        list->end = more->end;
        osr_ledger_list_init(more);
    }
}

/* ---- requests ---- */

void osr_ledger_requests_init(struct osr_ledger *ledger)
{
    osr_ledger_list_init(&ledger->waiting);
    osr_ledger_list_init(&ledger->later);
    osr_ledger_list_init(&ledger->answered);
}

static struct ledger_request **slot_of(struct osr_ledger *ledger, uint64_t number)
{
    return &ledger->requests[number % OSR_LEDGER_REQUESTS_MAX];
}

struct ledger_request *osr_ledger_find_request(struct osr_ledger *ledger, uint64_t number)
{
    struct ledger_request *request = *slot_of(ledger, number);
    return request != NULL && request->number == number ? request : NULL;
}

static void take_number(struct osr_ledger *ledger, struct ledger_request *request)
{
    do {
        ledger->last_number++;
    } while (*slot_of(ledger, ledger->last_number) != NULL);
    request->number = ledger->last_number;
    *slot_of(ledger, request->number) = request;
    ledger->request_count++;
}

static struct ledger_request *create(enum ledger_request_kind kind, osr_agreed_done *done,
                                     void *context)
{
    struct ledger_request *request = osr_alloc(sizeof(*request));
    request->kind = kind;
    request->done = done;
    request->context = context;
    return request;
}

uint64_t osr_ledger_refuse(struct osr_ledger *ledger, osr_agreed_done *done, void *context,
                           const struct osr_err *err)
{
    osr_ledger_fail(ledger, create(LEDGER_COMMAND, done, context), err);
    return 0;
}

struct ledger_request *osr_ledger_request(struct osr_ledger *ledger, enum ledger_request_kind kind,
                                          uint32_t timeout_ms, osr_agreed_done *done, void *context)
{
    struct ledger_request *request = create(kind, done, context);
    request->deadline_ms = uv_now(ledger->loop) + timeout_ms;
    if (ledger->request_count == OSR_LEDGER_REQUESTS_MAX ||
        ledger->request_bytes > OSR_LEDGER_REQUEST_BYTES_MAX) {
        struct osr_err err;
        osr_err_set(&err, OSR_BUSY, "ledger: too many requests are under way here");
        osr_err_hint(&err, "try again in a moment");
        osr_ledger_fail(ledger, request, &err);
        return request;
    }
    take_number(ledger, request);
    osr_ledger_list_push(&ledger->waiting, request);
    return request;
}

static void tell_nobody(void *context, const struct osr_agreed *agreed)
{
    (void)context;
    (void)agreed;
}

/* The next sweep makes its room here free. A command that was handed over takes room at the leader
 * until its time is over, and so it does here: else there would be no limit on those. */
void osr_ledger_forget(struct osr_agreement *agreement, uint64_t number)
{
    struct ledger_request *request =
        osr_ledger_find_request((struct osr_ledger *)agreement, number);
    if (request == NULL) {
        return;
    }
    request->done = tell_nobody;
    if (request->kind != LEDGER_COMMAND || request->state == LEDGER_WAITS) {
        request->deadline_ms = 0;
    }
}

static void destroy_request(struct ledger_request *request)
{
    osr_buffer_done(&request->command);
    osr_buffer_done(&request->reply);
    free(request->member_name);
    free(request->applicant);
    free(request);
}

/* ---- answers ---- */

void osr_ledger_answer(struct osr_ledger *ledger, struct ledger_request *request,
                       enum osr_code code, uint64_t index)
{
    assert(request->state != LEDGER_ANSWERED);
    request->state = LEDGER_ANSWERED;
    request->code = code;
    request->index = index;
    osr_ledger_list_push(&ledger->answered, request);
}

void osr_ledger_fail(struct osr_ledger *ledger, struct ledger_request *request,
                     const struct osr_err *err)
{
    request->err = *err;
    request->has_failed = true;
    osr_ledger_answer(ledger, request, err->code, 0);
}

static void tell(struct osr_ledger *ledger, struct ledger_request *request)
{
    if (request->number != 0) {
        *slot_of(ledger, request->number) = NULL;
        ledger->request_count--;
        ledger->request_bytes -= request->command.size;
    }
    const struct osr_agreed agreed = {
        .code = request->code,
        .err = request->has_failed ? &request->err : NULL,
        .index = request->index,
        .reply = osr_buffer_slice(&request->reply),
    };
    request->done(request->context, &agreed);
    destroy_request(request);
}

void osr_ledger_tell_answers(struct osr_ledger *ledger)
{
    if (ledger->is_answering || ledger->is_stepping) {
        return;
    }
    ledger->is_answering = true;
    struct ledger_request *request;
    while ((request = osr_ledger_list_pop(&ledger->answered)) != NULL) {
        tell(ledger, request);
    }
    ledger->is_answering = false;
}

/* ---- time ---- */

void osr_ledger_say_unknown(struct osr_err *err, const char *why)
{
    osr_err_set(err, OSR_TIMEOUT, "ledger: %s", why);
    osr_err_hint(err, "look first, then do it again if need be");
}

/* A late read has used up its caller's time: who repeats what was UNAVAILABLE is not to use it up
 * again. At the end of this process another member may still answer in time. */
static enum osr_code code_of_read(uint64_t now_ms)
{
    return now_ms == AT_THE_END ? OSR_UNAVAILABLE : OSR_TIMEOUT;
}

static void expire_waiting(struct osr_ledger *ledger, struct ledger_list *list, uint64_t now_ms)
{
    struct ledger_list all;
    osr_ledger_list_init(&all);
    osr_ledger_list_append(&all, list);
    struct ledger_request *request;
    while ((request = osr_ledger_list_pop(&all)) != NULL) {
        if (request->deadline_ms > now_ms) {
            osr_ledger_list_push(list, request);
            continue;
        }
        struct osr_err err = request->err;
        if (err.code == OSR_OK) {
            osr_err_set(&err, OSR_UNAVAILABLE, "ledger: not done in the time given");
        }
        if (request->kind == LEDGER_READ) {
            err.code = code_of_read(now_ms);
        }
        osr_ledger_fail(ledger, request, &err);
    }
}

static void expire_under_way(struct osr_ledger *ledger, uint64_t now_ms)
{
    for (size_t i = 0; i < OSR_LEDGER_REQUESTS_MAX; i++) {
        struct ledger_request *request = ledger->requests[i];
        bool is_under_way = request != NULL &&
                            (request->state == LEDGER_PROPOSED || request->state == LEDGER_ASKED);
        if (!is_under_way || request->deadline_ms > now_ms) {
            continue;
        }
        struct osr_err err;
        if (request->kind == LEDGER_READ) {
            osr_err_set(&err, code_of_read(now_ms),
                        "ledger: no majority has answered in the time given");
            osr_err_hint(&err, "`osiris cluster why` tells more; --local reads what is known here");
        } else {
            osr_ledger_say_unknown(&err, "no majority has answered in the time given");
        }
        osr_ledger_fail(ledger, request, &err);
    }
}

void osr_ledger_sweep(struct osr_ledger *ledger)
{
    uint64_t now_ms = uv_now(ledger->loop);
    if (ledger->request_count == 0) {
        return;
    }
    expire_waiting(ledger, &ledger->later, now_ms);
    expire_under_way(ledger, now_ms);
    osr_ledger_retry_now(ledger);
}

void osr_ledger_end_requests(struct osr_ledger *ledger)
{
    expire_waiting(ledger, &ledger->waiting, AT_THE_END);
    expire_waiting(ledger, &ledger->later, AT_THE_END);
    expire_under_way(ledger, AT_THE_END);
    osr_ledger_tell_answers(ledger);
    while (ledger->batches != NULL) {
        struct ledger_batch *batch = ledger->batches;
        ledger->batches = batch->next;
        free(batch);
    }
}

/* ---- limits ---- */

bool osr_ledger_is_busy(const struct osr_ledger *ledger)
{
    return ledger->request_count > OSR_LEDGER_REQUESTS_MAX / 2 ||
           ledger->request_bytes > OSR_LEDGER_REQUEST_BYTES_MAX / 2;
}
