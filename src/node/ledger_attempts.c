/* What is tried for a request: it is handed to the core or to the leader; what came of that answers
 * it, or it waits to be tried again. */
#include "node/ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

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
        osr_err_hint(&request->err, "`osiris cluster why` tells more");
    }
    request->state = LEDGER_WAITS;
    osr_ledger_list_push(&ledger->later, request);
}

void osr_ledger_retry_now(struct osr_ledger *ledger)
{
    osr_ledger_list_append(&ledger->later, &ledger->waiting); /* which came after those */
    osr_ledger_list_append(&ledger->waiting, &ledger->later);
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
        if (request->kind == LEDGER_TRANSFER) {
            osr_ledger_transfer_outlived(ledger, request, term);
        } else if (request->asked_term < term && request->kind == LEDGER_COMMAND && !is_jump) {
            osr_err_set(&err, OSR_CANCELLED, "ledger: the leader has changed");
            osr_ledger_retry(ledger, request, &err);
        } else if (request->asked_term < term || (is_jump && request->asked_term == term)) {
            osr_ledger_say_unknown(&err, "the leader that was asked has changed");
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
    osr_ledger_list_init(&waiting);
    osr_ledger_list_append(&waiting, &ledger->waiting);
    struct ledger_request *request;
    while ((request = osr_ledger_list_pop(&waiting)) != NULL) {
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

/* ---- the port ---- */

/* Before there are members nobody can know: it waits until there are. */
static bool is_understood(const struct osr_ledger *ledger, enum osr_machine_id machine,
                          uint8_t version)
{
    return osr_ledger_configuration(ledger)->count == 0 || version <= ledger->versions[machine - 1];
}

uint64_t osr_ledger_propose(struct osr_agreement *agreement, enum osr_machine_id machine,
                            uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                            osr_agreed_done *done, void *context)
{
    struct osr_ledger *ledger = (struct osr_ledger *)agreement;
    if (!is_understood(ledger, machine, version)) {
        struct osr_err err;
        osr_err_set(&err, OSR_UNSUPPORTED_VERSION, "ledger: not all members understand this yet");
        osr_err_hint(&err, "update osirisd at all members: osiris cluster members lists them");
        return osr_ledger_refuse(ledger, done, context, &err);
    }
    struct ledger_request *request =
        osr_ledger_request(ledger, LEDGER_COMMAND, timeout_ms, done, context);
    if (request->state == LEDGER_ANSWERED) {
        return request->number;
    }
    const struct osr_ledger_command envelope = {.machine = machine,
                                                .version = version,
                                                .start = ledger->start,
                                                .number = request->number,
                                                .bytes = command};
    osr_ledger_command_encode(&envelope, &request->command);
    ledger->request_bytes += request->command.size;
    return request->number;
}

uint64_t osr_ledger_read(struct osr_agreement *agreement, bool is_local, uint32_t timeout_ms,
                         osr_agreed_done *done, void *context)
{
    return osr_ledger_request((struct osr_ledger *)agreement,
                              is_local ? LEDGER_LOCAL_READ : LEDGER_READ, timeout_ms, done, context)
        ->number;
}
