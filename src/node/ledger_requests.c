/* Commands and reads of this instance, from propose or read until their caller is told. */
#include "node/ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- lists ---- */

static void list_init(struct ledger_list *list)
{
    list->first = NULL;
    list->end = &list->first;
}

static void list_push(struct ledger_list *list, struct ledger_request *request)
{
    request->next = NULL;
    *list->end = request;
    list->end = &request->next;
}

static struct ledger_request *list_pop(struct ledger_list *list)
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

static void list_append(struct ledger_list *list, struct ledger_list *more)
{
    if (more->first != NULL) {
        *list->end = more->first;
        list->end = more->end;
        list_init(more);
    }
}

/* ---- requests ---- */

void osr_ledger_requests_init(struct osr_ledger *ledger)
{
    list_init(&ledger->waiting);
    list_init(&ledger->later);
    list_init(&ledger->answered);
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

void osr_ledger_refuse(struct osr_ledger *ledger, osr_agreed_done *done, void *context,
                       const struct osr_err *err)
{
    osr_ledger_fail(ledger, create(LEDGER_COMMAND, done, context), err);
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
    list_push(&ledger->waiting, request);
    return request;
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
    list_push(&ledger->answered, request);
}

void osr_ledger_fail(struct osr_ledger *ledger, struct ledger_request *request,
                     const struct osr_err *err)
{
    request->err = *err;
    request->has_failed = true;
    osr_ledger_answer(ledger, request, err->code, 0);
}

/* Of values that cannot be read any more nobody may say that something is not among them. */
static void fail_unfounded(const struct osr_ledger *ledger, struct ledger_request *request)
{
    bool is_read = request->kind == LEDGER_READ || request->kind == LEDGER_LOCAL_READ;
    if (ledger->is_broken && is_read && !request->has_failed) {
        request->has_failed = true;
        request->code =
            osr_err_set(&request->err, OSR_UNAVAILABLE, "ledger: this instance has failed");
    }
}

static void tell(struct osr_ledger *ledger, struct ledger_request *request)
{
    if (request->number != 0) {
        *slot_of(ledger, request->number) = NULL;
        ledger->request_count--;
        ledger->request_bytes -= request->command.size;
    }
    fail_unfounded(ledger, request);
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
    while ((request = list_pop(&ledger->answered)) != NULL) {
        tell(ledger, request);
    }
    ledger->is_answering = false;
}

/* ---- attempts that came to nothing ---- */

static bool is_only_voter(const struct osr_ledger *ledger)
{
    return osr_raft_configuration_voters(osr_ledger_configuration(ledger)) == 1;
}

static bool may_succeed_later(const struct osr_ledger *ledger, enum osr_code code)
{
    return code == OSR_UNAVAILABLE || code == OSR_BUSY || code == OSR_CANCELLED ||
           (code == OSR_DISK_FULL && !is_only_voter(ledger));
}

void osr_ledger_retry(struct osr_ledger *ledger, struct ledger_request *request,
                      const struct osr_err *err)
{
    if (!may_succeed_later(ledger, err->code)) {
        osr_ledger_fail(ledger, request, err);
        return;
    }
    request->err = *err;
    if (err->code == OSR_CANCELLED) {
        request->err.code = OSR_UNAVAILABLE; /* to callers: nothing was done */
    }
    if (err->hint[0] == '\0') {
        osr_err_hint(&request->err, "osiris cluster why tells more");
    }
    request->state = LEDGER_WAITS;
    list_push(&ledger->later, request);
}

void osr_ledger_retry_now(struct osr_ledger *ledger)
{
    list_append(&ledger->waiting, &ledger->later);
}

static struct ledger_batch *take_batch(struct osr_ledger *ledger, uint64_t token)
{
    struct ledger_batch **link = &ledger->batches;
    while (*link != NULL && (*link)->token != token) {
        link = &(*link)->next;
    }
    struct ledger_batch *batch = *link;
    assert(batch != NULL);
    *link = batch->next;
    return batch;
}

/* The next of its requests that still wait for it. */
static struct ledger_request *pop_batch(struct osr_ledger *ledger, struct ledger_batch *batch)
{
    while (batch->count > 0) {
        struct ledger_request *request =
            osr_ledger_find_request(ledger, batch->numbers[--batch->count]);
        if (request != NULL && request->state == LEDGER_PROPOSED) {
            return request;
        }
    }
    return NULL;
}

void osr_ledger_attempt_failed(struct osr_ledger *ledger, uint64_t token, const struct osr_err *err)
{
    struct ledger_request *request;
    if ((token & LEDGER_TOKEN_READ) == 0) {
        request = osr_ledger_find_request(ledger, token);
        if (request != NULL && request->state == LEDGER_PROPOSED) {
            osr_ledger_retry(ledger, request, err);
        }
        return;
    }
    struct ledger_batch *batch = take_batch(ledger, token);
    while ((request = pop_batch(ledger, batch)) != NULL) {
        osr_ledger_retry(ledger, request, err);
    }
    free(batch);
}

void osr_ledger_readable(struct osr_ledger *ledger, uint64_t token)
{
    struct ledger_batch *batch = take_batch(ledger, token);
    struct ledger_request *request;
    while ((request = pop_batch(ledger, batch)) != NULL) {
        osr_ledger_answer(ledger, request, OSR_OK, osr_ledger_state_applied(ledger->state));
    }
    free(batch);
}

static void say_unknown(struct osr_err *err, const char *why)
{
    osr_err_set(err, OSR_TIMEOUT, "ledger: %s", why);
    osr_err_hint(err, "look first, then do it again if need be");
}

void osr_ledger_term_applied(struct osr_ledger *ledger, uint64_t term, bool is_jump)
{
    if (term <= ledger->applied_term && !is_jump) {
        return;
    }
    ledger->applied_term = term;
    for (size_t i = 0; i < OSR_LEDGER_REQUESTS_MAX; i++) {
        struct ledger_request *request = ledger->requests[i];
        if (request == NULL || request->state != LEDGER_ASKED) {
            continue;
        }
        struct osr_err err;
        if (request->asked_term < term && request->kind == LEDGER_COMMAND && !is_jump) {
            osr_err_set(&err, OSR_CANCELLED, "ledger: the leader has changed");
            osr_ledger_retry(ledger, request, &err);
        } else if (request->asked_term < term || (is_jump && request->asked_term == term)) {
            say_unknown(&err, "the leader that was asked has changed");
            osr_ledger_fail(ledger, request, &err);
        }
    }
}

/* ---- handing over ---- */

static void propose(struct osr_ledger *ledger, struct ledger_request *request)
{
    struct osr_raft_event event = {
        .type = OSR_RAFT_PROPOSE,
        .propose = {request->number, osr_buffer_slice(&request->command)}};
    request->state = LEDGER_PROPOSED;
    osr_ledger_post(ledger, &event);
}

static void read_together(struct osr_ledger *ledger, struct ledger_batch *batch)
{
    batch->token = LEDGER_TOKEN_READ | ++ledger->last_batch;
    batch->next = ledger->batches;
    ledger->batches = batch;
    struct osr_raft_event event = {.type = OSR_RAFT_READ, .read = {batch->token}};
    osr_ledger_post(ledger, &event);
}

/* What of one turn goes its way together. */
struct handover {
    struct ledger_request **commands;
    size_t command_count;
    struct ledger_batch *reads;
};

static void sort_out(struct osr_ledger *ledger, struct ledger_request *request,
                     struct handover *handover)
{
    switch (request->kind) {
    case LEDGER_COMMAND:
        handover->commands[handover->command_count++] = request;
        break;
    case LEDGER_READ:
        request->state = LEDGER_PROPOSED;
        handover->reads->numbers[handover->reads->count++] = request->number;
        break;
    case LEDGER_LOCAL_READ:
        osr_ledger_answer(ledger, request, OSR_OK, osr_ledger_state_applied(ledger->state));
        break;
    case LEDGER_CHANGE:
    case LEDGER_TRANSFER:
        osr_ledger_dispatch_change(ledger, request);
        break;
    }
}

static void hand_over_commands(struct osr_ledger *ledger, const struct handover *handover)
{
    if (osr_ledger_leads(ledger)) {
        for (size_t i = 0; i < handover->command_count; i++) {
            propose(ledger, handover->commands[i]);
        }
    } else if (handover->command_count > 0 &&
               !osr_ledger_ask_commands(ledger, handover->commands, handover->command_count)) {
        for (size_t i = 0; i < handover->command_count; i++) {
            osr_ledger_wait_for_leader(ledger, handover->commands[i]);
        }
    }
}

void osr_ledger_wait_for_leader(struct osr_ledger *ledger, struct ledger_request *request)
{
    struct osr_err err;
    osr_ledger_explain_no_leader(ledger, &err);
    osr_ledger_retry(ledger, request, &err);
}

void osr_ledger_dispatch(struct osr_ledger *ledger)
{
    if (ledger->waiting.first == NULL) {
        return;
    }
    size_t count = ledger->request_count;
    struct handover handover = {
        .commands = osr_alloc_unset(count * sizeof(handover.commands[0])),
        .reads =
            osr_alloc_unset(sizeof(*handover.reads) + count * sizeof(handover.reads->numbers[0])),
    };
    *handover.reads = (struct ledger_batch){0};
    struct ledger_list waiting = {0};
    list_init(&waiting);
    list_append(&waiting, &ledger->waiting);
    struct ledger_request *request;
    while ((request = list_pop(&waiting)) != NULL) {
        sort_out(ledger, request, &handover);
    }
    hand_over_commands(ledger, &handover);
    if (handover.reads->count > 0 && osr_ledger_is_running(ledger)) {
        read_together(ledger, handover.reads);
    } else {
        while ((request = pop_batch(ledger, handover.reads)) != NULL) {
            osr_ledger_wait_for_leader(ledger, request);
        }
        free(handover.reads);
    }
    free(handover.commands);
}

/* ---- time ---- */

static void expire_waiting(struct osr_ledger *ledger, struct ledger_list *list, uint64_t now_ms)
{
    struct ledger_list all;
    list_init(&all);
    list_append(&all, list);
    struct ledger_request *request;
    while ((request = list_pop(&all)) != NULL) {
        if (request->deadline_ms > now_ms) {
            list_push(list, request);
            continue;
        }
        struct osr_err err = request->err;
        if (err.code == OSR_OK) {
            osr_err_set(&err, OSR_UNAVAILABLE, "ledger: not done in the time given");
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
            osr_err_set(&err, OSR_UNAVAILABLE,
                        "ledger: no majority has answered in the time given");
            osr_err_hint(&err, "`osiris cluster why` tells more; --local reads what is known here");
        } else {
            say_unknown(&err, "no majority has answered in the time given");
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
    expire_waiting(ledger, &ledger->waiting, UINT64_MAX);
    expire_waiting(ledger, &ledger->later, UINT64_MAX);
    expire_under_way(ledger, UINT64_MAX);
    osr_ledger_tell_answers(ledger);
    while (ledger->batches != NULL) {
        struct ledger_batch *batch = ledger->batches;
        ledger->batches = batch->next;
        free(batch);
    }
}

/* ---- the port ---- */

void osr_ledger_propose(struct osr_agreement *agreement, enum osr_machine_id machine,
                        uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                        osr_agreed_done *done, void *context)
{
    struct osr_ledger *ledger = (struct osr_ledger *)agreement;
    uint8_t understood = ledger->versions[machine - 1];
    if (understood > 0 && version > understood) {
        struct osr_err err;
        osr_err_set(&err, OSR_UNSUPPORTED_VERSION, "ledger: not all members understand this yet");
        osr_err_hint(&err, "update osirisd at all members: osiris cluster members lists them");
        osr_ledger_refuse(ledger, done, context, &err);
        return;
    }
    struct ledger_request *request =
        osr_ledger_request(ledger, LEDGER_COMMAND, timeout_ms, done, context);
    if (request->state == LEDGER_ANSWERED) {
        return;
    }
    const struct osr_ledger_command envelope = {.machine = machine,
                                                .version = version,
                                                .start = ledger->start,
                                                .number = request->number,
                                                .bytes = command};
    osr_ledger_command_encode(&envelope, &request->command);
    ledger->request_bytes += request->command.size;
}

void osr_ledger_read(struct osr_agreement *agreement, bool is_local, uint32_t timeout_ms,
                     osr_agreed_done *done, void *context)
{
    osr_ledger_request((struct osr_ledger *)agreement, is_local ? LEDGER_LOCAL_READ : LEDGER_READ,
                       timeout_ms, done, context);
}

bool osr_ledger_is_busy(const struct osr_ledger *ledger)
{
    return ledger->request_count > OSR_LEDGER_REQUESTS_MAX / 2 ||
           ledger->request_bytes > OSR_LEDGER_REQUEST_BYTES_MAX / 2;
}
