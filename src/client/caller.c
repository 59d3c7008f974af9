/* All calls stand in a map by their numbers, and in a heap by what is due for them next: to be
 * sent, to be given up, to have an error judged. A turn carries out what is due, then waits for the
 * connection or for the next time.
 *
 * What the connection says of a failure is only noted where it is said, in the midst of its own
 * work; the turn decides between another attempt and the end. */
#include "client/caller.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "adapter/clock.h"
#include "base/heap.h"
#include "base/map.h"
#include "client/client.h"
#include "client/retry.h"
#include "client/wakeup.h"

enum { CONNECT_TIMEOUT_MS = 5000 };

enum call_state {
    CALL_WAITING, /* due: when to be sent */
    CALL_SENT,    /* due: when it is too late for a reply */
    CALL_FAILED,  /* due: at once */
};

struct call {
    struct osr_caller *caller;
    uint64_t number;
    struct osr_caller_request request;
    struct osr_caller_limits limits;
    struct osr_caller_handler handler;
    enum call_state state;
    struct osr_heap_item due;
    uint64_t deadline_ms;     /* UINT64_MAX: none */
    uint64_t attempts_end_ms; /* no attempt begins later */
    uint32_t attempts;
    uint64_t sent_number;              /* on the connection; 0: it is not on one */
    bool has_replied;                  /* to send it again would give replies twice */
    bool is_telling;                   /* its on_reply is being called */
    bool is_unwanted;                  /* cancelled meanwhile */
    struct osr_client_failure failure; /* of the last attempt */
};

struct osr_caller {
    struct osr_target target;
    struct osr_client *connection; /* NULL: none stands, none is being made */
    struct osr_err loss;           /* why there is none; code OK: there was none to lose */
    struct osr_wakeup interrupt;
    struct osr_map *calls; /* number -> struct call */
    struct osr_heap due;
    uint64_t last_number;
    uint64_t ended; /* calls, so far */
    struct osr_random random;
    bool is_telling;
    bool is_closing;
};

static struct call *call_with(struct osr_heap_item *due)
{
    return (struct call *)((char *)due - offsetof(struct call, due));
}

static struct osr_slice call_key(const uint64_t *number)
{
    return osr_slice(number, sizeof(*number));
}

static void set_state(struct call *call, enum call_state state, uint64_t due_ms)
{
    osr_heap_remove(&call->caller->due, &call->due);
    call->state = state;
    osr_heap_put(&call->caller->due, &call->due, due_ms);
}

/* ---- what callers are told ---- */

static void free_call(struct call *call)
{
    osr_buffer_wipe(&call->request.message); /* it may be a login */
    free(call);
}

/* err: NULL where all went well. */
static void end_call(struct call *call, const struct osr_err *err)
{
    struct osr_caller *caller = call->caller;
    osr_map_remove(caller->calls, call_key(&call->number));
    osr_heap_remove(&caller->due, &call->due);
    caller->ended++;
    if (call->sent_number != 0) {
        osr_client_cancel(caller->connection, call->sent_number);
    }
    bool was_telling = caller->is_telling;
    caller->is_telling = true;
    call->handler.on_end(call->handler.context, err);
    caller->is_telling = was_telling;
    free_call(call);
}

static void end_call_cancelled(struct call *call, const char *why)
{
    struct osr_err err;
    osr_err_set(&err, OSR_CANCELLED, "%s", why);
    end_call(call, &err);
}

static uint64_t time_after(uint32_t timeout_ms)
{
    return timeout_ms == 0 ? UINT64_MAX : osr_monotonic_ms() + timeout_ms;
}

/* False where no more is wanted. */
static bool tell_reply(struct call *call, struct osr_slice reply)
{
    struct osr_caller *caller = call->caller;
    call->has_replied = true;
    caller->is_telling = call->is_telling = true;
    int stop = call->handler.on_reply(call->handler.context, reply);
    caller->is_telling = call->is_telling = false;
    return stop == 0 && !call->is_unwanted;
}

static void note_failure(struct call *call, const struct osr_client_failure *failure)
{
    call->sent_number = 0;
    call->failure = *failure;
    set_state(call, CALL_FAILED, 0);
}

static int on_sent_reply(void *context, struct osr_slice reply)
{
    struct call *call = context;
    if (!tell_reply(call, reply)) {
        call->sent_number = 0; /* the connection forgets it at the return */
        end_call_cancelled(call, "no more was wanted");
        return 1;
    }
    call->deadline_ms = time_after(call->limits.timeout_ms);
    set_state(call, CALL_SENT, call->deadline_ms);
    return 0;
}

static void on_sent_end(void *context, const struct osr_client_failure *failure)
{
    struct call *call = context;
    if (failure != NULL) {
        note_failure(call, failure);
        return;
    }
    call->sent_number = 0;
    end_call(call, NULL);
}

/* ---- attempts ---- */

static void drop_connection(struct osr_caller *caller)
{
    osr_client_close(caller->connection);
    caller->connection = NULL;
}

/* What goes wrong at once stands in caller->loss, as what goes wrong later will. */
static int open_connection(struct osr_caller *caller, uint32_t timeout_ms, struct osr_err *err)
{
    bool is_short = timeout_ms > 0 && timeout_ms < CONNECT_TIMEOUT_MS;
    int code = osr_client_open(&caller->target, is_short ? timeout_ms : CONNECT_TIMEOUT_MS,
                               &caller->connection, &caller->loss);
    if (code != OSR_OK) {
        *err = caller->loss;
    }
    return code;
}

/* One that was closed while nobody used it is noticed here, before a request is lost in it. */
static void drop_dead_connection(struct osr_caller *caller)
{
    bool is_idle = caller->connection != NULL && osr_client_outstanding(caller->connection) == 0;
    if (is_idle && !osr_client_is_alive(caller->connection)) {
        drop_connection(caller);
    }
}

static int send_call(struct call *call, struct osr_err *err)
{
    static const struct osr_client_handler callbacks = {.on_reply = on_sent_reply,
                                                        .on_end = on_sent_end};
    struct osr_caller *caller = call->caller;
    struct osr_client_handler handler = callbacks;
    int code = OSR_OK;
    handler.context = call;
    drop_dead_connection(caller);
    if (caller->connection == NULL) {
        code = open_connection(caller, 0, err);
    }
    if (code == OSR_OK) {
        code = osr_client_send(caller->connection, call->request.method,
                               osr_buffer_slice(&call->request.message), call->deadline_ms,
                               &handler, &call->sent_number, err);
    }
    return code;
}

static void attempt(struct call *call)
{
    struct osr_caller *caller = call->caller;
    struct osr_client_failure failure = {.is_unprocessed = true};
    call->attempts++;
    int code = send_call(call, &failure.err);
    /* An instance that goes away takes no new calls on this connection. */
    bool is_going_away = code == OSR_UNAVAILABLE && caller->connection != NULL &&
                         osr_client_outstanding(caller->connection) == 0;
    if (is_going_away) {
        drop_connection(caller);
        code = send_call(call, &failure.err);
    }
    if (code != OSR_OK) {
        note_failure(call, &failure);
        return;
    }
    set_state(call, CALL_SENT, call->deadline_ms);
}

static bool may_go_on(const struct call *call)
{
    return !call->has_replied && call->attempts < call->limits.attempts_max &&
           osr_retry_is_allowed(call->request.method, osr_buffer_slice(&call->request.message),
                                call->failure.err.code, call->failure.is_unprocessed);
}

/* Another attempt, or the end. */
static void judge(struct call *call)
{
    if (may_go_on(call)) {
        uint64_t due_ms =
            osr_monotonic_ms() +
            osr_retry_delay_ms(call->attempts, call->failure.retry_after_ms, &call->caller->random);
        if (due_ms <= call->attempts_end_ms && due_ms < call->deadline_ms) {
            set_state(call, CALL_WAITING, due_ms);
            return;
        }
    }
    struct osr_err err = call->failure.err;
    if (call->attempts > 1) {
        osr_err_prefix(&err, "after %u attempts", call->attempts);
    }
    end_call(call, &err);
}

static void end_call_late(struct call *call)
{
    struct osr_err err;
    osr_client_err_late(&err);
    end_call(call, &err);
}

/* ---- turns ---- */

static void carry_out_due(struct osr_caller *caller)
{
    uint64_t now_ms = osr_monotonic_ms();
    struct osr_heap_item *first;
    while ((first = osr_heap_first(&caller->due)) != NULL && first->key <= now_ms) {
        struct call *call = call_with(first);
        switch (call->state) {
        case CALL_WAITING:
            attempt(call);
            break;
        case CALL_SENT:
            end_call_late(call);
            break;
        case CALL_FAILED:
            judge(call);
            break;
        }
    }
}

static int set_interrupted(struct osr_err *err)
{
    return (int)osr_err_set(err, OSR_CANCELLED, "interrupted");
}

enum { OTHER_INTERRUPT, OTHER_INPUT, OTHER_COUNT };
_Static_assert((int)OTHER_COUNT <= (int)OSR_CLIENT_OTHERS_MAX, "the connection waits for all");

/* Until something comes, the caller's input (input_fd; -1: none) included. */
static int wait_for_news(struct osr_caller *caller, int input_fd, bool *ret_has_input,
                         uint64_t until_ms, struct osr_err *err)
{
    const struct osr_heap_item *first = osr_heap_first(&caller->due);
    if (first != NULL && first->key < until_ms) {
        until_ms = first->key;
    }
    struct pollfd others[OTHER_COUNT] = {
        [OTHER_INTERRUPT] = {.fd = caller->interrupt.read_fd, .events = POLLIN},
        [OTHER_INPUT] = {.fd = input_fd, .events = POLLIN}, /* poll() passes over -1 */
    };
    if (caller->connection == NULL) {
        poll(others, OTHER_COUNT, osr_wakeup_timeout(until_ms));
    } else if (osr_client_step(caller->connection, others, OTHER_COUNT, until_ms, &caller->loss) !=
               OSR_OK) {
        drop_connection(caller); /* its calls know */
    }
    *ret_has_input = others[OTHER_INPUT].revents != 0;
    return osr_wakeup_take(&caller->interrupt) ? set_interrupted(err) : OSR_OK;
}

/* Ends as soon as a call has ended. */
static int turn(struct osr_caller *caller, uint64_t until_ms, struct osr_err *err)
{
    bool has_input;
    uint64_t ended = caller->ended;
    carry_out_due(caller);
    return caller->ended != ended ? OSR_OK : wait_for_news(caller, -1, &has_input, until_ms, err);
}

int osr_caller_run(struct osr_caller *caller, size_t count, uint32_t timeout_ms,
                   struct osr_err *err)
{
    assert(!caller->is_telling);
    uint64_t deadline_ms = time_after(timeout_ms);
    while (osr_caller_count(caller) > count) {
        int code = turn(caller, deadline_ms, err);
        if (code != OSR_OK) {
            return code;
        }
        if (osr_caller_count(caller) > count && osr_monotonic_ms() >= deadline_ms) {
            return (int)osr_err_set(err, OSR_TIMEOUT, "%zu calls are still under way",
                                    osr_caller_count(caller));
        }
    }
    return OSR_OK;
}

int osr_caller_run_until_readable(struct osr_caller *caller, int fd, uint32_t timeout_ms,
                                  struct osr_err *err)
{
    assert(!caller->is_telling);
    uint64_t deadline_ms = time_after(timeout_ms);
    for (;;) {
        bool has_input;
        carry_out_due(caller);
        int code = wait_for_news(caller, fd, &has_input, deadline_ms, err);
        if (code != OSR_OK || has_input) {
            return code;
        }
        if (osr_monotonic_ms() >= deadline_ms) {
            return (int)osr_err_set(err, OSR_TIMEOUT, "nothing to read in time");
        }
    }
}

/* ---- the caller ---- */

/* Differs between processes that were started together. */
static uint64_t make_seed(void)
{
    uint64_t seed = osr_monotonic_ms();
    if (getentropy(&seed, sizeof(seed)) != 0) {
        seed ^= (uint64_t)(uintptr_t)&seed;
    }
    return seed;
}

int osr_caller_open(struct osr_target *target, struct osr_caller **ret_caller, struct osr_err *err)
{
    struct osr_wakeup interrupt;
    int code = osr_wakeup_open(&interrupt, err);
    if (code != OSR_OK) {
        return code;
    }
    struct osr_caller *caller = osr_alloc(sizeof(*caller));
    caller->target = *target;
    *target = (struct osr_target){0};
    caller->interrupt = interrupt;
    caller->calls = osr_map_create(0); /* the keys are our own counter */
    osr_random_init(&caller->random, make_seed());
    *ret_caller = caller;
    return OSR_OK;
}

void osr_caller_close(struct osr_caller *caller)
{
    if (caller == NULL) {
        return;
    }
    assert(!caller->is_telling);
    caller->is_closing = true;
    struct osr_heap_item *first;
    while ((first = osr_heap_first(&caller->due)) != NULL) {
        end_call_cancelled(call_with(first), "the client was closed");
    }
    osr_client_close(caller->connection);
    osr_heap_done(&caller->due);
    osr_map_destroy(caller->calls);
    osr_wakeup_close(&caller->interrupt);
    osr_target_done(&caller->target);
    free(caller);
}

void osr_caller_set_trust(struct osr_caller *caller, struct osr_client_trust *trust)
{
    assert(!caller->is_telling);
    if (caller->connection != NULL && osr_client_outstanding(caller->connection) == 0) {
        drop_connection(caller);
    }
    osr_client_trust_destroy(caller->target.trust);
    caller->target.trust = trust;
}

const struct osr_url *osr_caller_url(const struct osr_caller *caller)
{
    return &caller->target.url;
}

static bool is_connected(const struct osr_caller *caller)
{
    return caller->connection != NULL && osr_client_is_connected(caller->connection);
}

/* A connection that is being made, until it is. */
static int await_connection(struct osr_caller *caller, struct osr_err *err)
{
    caller->loss.code = OSR_OK;
    while (!is_connected(caller)) {
        int code = turn(caller, UINT64_MAX, err);
        if (caller->loss.code != OSR_OK) {
            *err = caller->loss;
            return err->code;
        }
        if (code != OSR_OK) {
            return code;
        }
    }
    return OSR_OK;
}

int osr_caller_connect(struct osr_caller *caller, uint32_t timeout_ms, struct osr_err *err)
{
    assert(!caller->is_telling);
    if (osr_wakeup_take(&caller->interrupt)) {
        return set_interrupted(err);
    }
    drop_dead_connection(caller);
    if (caller->connection == NULL) {
        int code = open_connection(caller, timeout_ms, err);
        if (code != OSR_OK) {
            return code;
        }
    }
    int code = await_connection(caller, err);
    bool is_given_up = code != OSR_OK && caller->connection != NULL &&
                       osr_client_outstanding(caller->connection) == 0;
    if (is_given_up) {
        drop_connection(caller);
    }
    return code;
}

void osr_caller_interrupt(struct osr_caller *caller)
{
    osr_wakeup_raise(&caller->interrupt);
}

size_t osr_caller_count(const struct osr_caller *caller)
{
    return osr_map_count(caller->calls);
}

bool osr_caller_is_telling(const struct osr_caller *caller)
{
    return caller->is_telling;
}

static int check_start(const struct osr_caller *caller, const struct osr_method *method,
                       struct osr_err *err)
{
    if (caller->is_closing) {
        return (int)osr_err_set(err, OSR_CANCELLED, "the client is being closed");
    }
    if (osr_caller_count(caller) >= OSR_CALLER_CALLS_MAX) {
        return (int)osr_err_set(err, OSR_BUSY, "%d calls are under way", OSR_CALLER_CALLS_MAX);
    }
    return osr_client_trust_check_method(&caller->target.url, method, err);
}

int osr_caller_start(struct osr_caller *caller, struct osr_caller_request *request,
                     const struct osr_caller_limits *limits,
                     const struct osr_caller_handler *handler, uint64_t *ret_number,
                     struct osr_err *err)
{
    assert(limits->attempts_max > 0);
    int code = check_start(caller, request->method, err);
    if (code != OSR_OK) {
        osr_buffer_wipe(&request->message);
        return code;
    }
    struct call *call = osr_alloc(sizeof(*call));
    call->caller = caller;
    call->number = ++caller->last_number;
    call->request = *request;
    request->message = (struct osr_buffer){0};
    call->limits = *limits;
    call->handler = *handler;
    uint64_t now_ms = osr_monotonic_ms();
    call->deadline_ms = time_after(limits->timeout_ms);
    call->attempts_end_ms = now_ms + limits->retry_ms_max;
    osr_map_put(caller->calls, call_key(&call->number), call);
    set_state(call, CALL_WAITING, now_ms);
    *ret_number = call->number;
    /* The instance can begin while more is prepared. */
    if (!caller->is_telling) {
        attempt(call);
    }
    return OSR_OK;
}

bool osr_caller_cancel(struct osr_caller *caller, uint64_t number)
{
    struct call *call = osr_map_get(caller->calls, call_key(&number));
    if (call == NULL) {
        return false;
    }
    if (call->is_telling) {
        call->is_unwanted = true; /* ends as soon as it has been told */
    } else {
        end_call_cancelled(call, "cancelled");
    }
    return true;
}

/* ---- one call, waited for ---- */

struct single_call {
    osr_caller_reply *on_reply;
    void *context;
    int stopped; /* what on_reply returned */
    bool has_ended;
    struct osr_err error;
};

static int on_single_reply(void *context, struct osr_slice reply)
{
    struct single_call *single = context;
    single->stopped = single->on_reply(single->context, reply);
    return single->stopped;
}

static void on_single_end(void *context, const struct osr_err *err)
{
    struct single_call *single = context;
    single->has_ended = true;
    if (err != NULL) {
        single->error = *err;
    }
}

int osr_caller_call(struct osr_caller *caller, struct osr_caller_request *request,
                    const struct osr_caller_limits *limits, osr_caller_reply *on_reply,
                    void *context, struct osr_err *err)
{
    assert(!caller->is_telling);
    struct single_call single = {.on_reply = on_reply, .context = context};
    const struct osr_caller_handler handler = {on_single_reply, on_single_end, &single};
    uint64_t number;
    int code = osr_caller_start(caller, request, limits, &handler, &number, err);
    if (code != OSR_OK) {
        return code;
    }
    while (code == OSR_OK && !single.has_ended) {
        code = turn(caller, UINT64_MAX, err);
    }
    if (code != OSR_OK) {
        osr_caller_cancel(caller, number);
        return code;
    }
    if (single.stopped != 0) {
        return single.stopped;
    }
    if (single.error.code != OSR_OK && err != NULL) {
        *err = single.error;
    }
    return single.error.code;
}
