#include "adapter/amqp_thread.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

#include "adapter/amqp_session.h"
#include "adapter/bus_retry.h"
#include "adapter/clock.h"

struct osr_amqp_thread {
    struct osr_url url;
    enum osr_bus_role role;
    struct osr_broker_login login;
    struct osr_amqp_post *post;
    pthread_t id;

    /* The thread's own. */
    struct osr_bus_retry retry;
    uint64_t deliveries;
    struct osr_err told; /* the last reason given since it was up; OSR_OK: none */

    uv_mutex_t lock; /* guards both below */
    bool has_ended;
    bool is_released;
};

static void free_thread(struct osr_amqp_thread *thread)
{
    osr_amqp_post_destroy(thread->post);
    osr_broker_login_done(&thread->login);
    uv_mutex_destroy(&thread->lock);
    free(thread);
}

static bool is_stopping(const struct osr_amqp_thread *thread)
{
    return osr_amqp_post_look(thread->post).is_stopping;
}

/* Until then, or until it is stopped. */
static void wait_until(const struct osr_amqp_thread *thread, uint64_t deadline_ms)
{
    struct pollfd wake = {.fd = osr_amqp_post_thread_fd(thread->post), .events = POLLIN};
    while (!is_stopping(thread)) {
        uint64_t now_ms = osr_monotonic_ms();
        if (now_ms >= deadline_ms) {
            return;
        }
        uint64_t left_ms = deadline_ms - now_ms;
        poll(&wake, 1, left_ms > INT32_MAX ? -1 : (int)left_ms);
        osr_amqp_post_clear_thread_fd(thread->post);
    }
}

static void tell_down(struct osr_amqp_thread *thread, bool was_up, const struct osr_err *err)
{
    if (!was_up && thread->told.code == err->code &&
        strcmp(thread->told.message, err->message) == 0) {
        return;
    }
    thread->told = *err;
    osr_amqp_post_deliver(thread->post, osr_amqp_mail_create_error(OSR_AMQP_DOWN, err));
}

static void run_sessions(struct osr_amqp_thread *thread)
{
    const struct osr_amqp_session_options options = {
        .url = &thread->url,
        .login = &thread->login,
        .role = thread->role,
        .post = thread->post,
        .deliveries = &thread->deliveries,
    };
    while (!is_stopping(thread)) {
        struct osr_err err = {0};
        bool was_up = false;
        uint64_t begin_ms = osr_monotonic_ms();
        if (osr_amqp_session_run(&options, &was_up, &err) == 0) {
            return;
        }
        tell_down(thread, was_up, &err);
        if (thread->role == OSR_BUS_DIALLER) {
            wait_until(thread, UINT64_MAX);
            return;
        }
        uint64_t now_ms = osr_monotonic_ms();
        wait_until(thread,
                   now_ms + osr_bus_retry_next_ms(&thread->retry, was_up ? now_ms - begin_ms : 0));
    }
}

static void *thread_main(void *context)
{
    struct osr_amqp_thread *thread = context;
    pthread_setname_np(pthread_self(), "amqp");
    run_sessions(thread);

    uv_mutex_lock(&thread->lock);
    thread->has_ended = true;
    bool is_released = thread->is_released;
    uv_mutex_unlock(&thread->lock);
    if (is_released) {
        free_thread(thread);
    } else {
        osr_amqp_post_wake_loop(thread->post);
    }
    return NULL;
}

/* Signals are the loop's business: a new thread inherits a mask that blocks them all. */
static int start_thread(struct osr_amqp_thread *thread, struct osr_err *err)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int errno_value = pthread_create(&thread->id, NULL, thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (errno_value != 0) {
        osr_err_errno(err, OSR_UNAVAILABLE, errno_value, "cannot start a thread for %s",
                      thread->url.text);
        osr_err_hint(err, "raise the limit on threads (ulimit -u, TasksMax= in systemd)");
        return OSR_UNAVAILABLE;
    }
    return 0;
}

int osr_amqp_thread_start(const struct osr_url *url, enum osr_bus_role role,
                          struct osr_amqp_thread **ret_thread, struct osr_err *err)
{
    struct osr_amqp_thread *thread = osr_alloc(sizeof(*thread));

    thread->url = *url;
    thread->role = role;
    osr_bus_retry_init(&thread->retry);
    /* Another bus's deliveries, of an earlier time, have other numbers. */
    thread->deliveries = osr_random_u64(&thread->retry.random) >> 1;
    if (uv_mutex_init(&thread->lock) != 0) {
        abort(); /* fails only for lack of memory, which ends the process anyway */
    }
    int code = osr_broker_login_read(&thread->url, &thread->login, err);
    if (code == 0) {
        code = osr_amqp_post_create(&thread->post, err);
    }
    if (code == 0) {
        code = start_thread(thread, err);
    }
    if (code != 0) {
        free_thread(thread);
        return code;
    }
    *ret_thread = thread;
    return 0;
}

struct osr_amqp_post *osr_amqp_thread_post(struct osr_amqp_thread *thread)
{
    return thread->post;
}

bool osr_amqp_thread_has_ended(struct osr_amqp_thread *thread)
{
    uv_mutex_lock(&thread->lock);
    bool has_ended = thread->has_ended;
    uv_mutex_unlock(&thread->lock);
    return has_ended;
}

void osr_amqp_thread_release(struct osr_amqp_thread *thread)
{
    pthread_t id = thread->id;
    uv_mutex_lock(&thread->lock);
    bool has_ended = thread->has_ended;
    thread->is_released = true;
    uv_mutex_unlock(&thread->lock);
    if (has_ended) {
        pthread_join(id, NULL);
        free_thread(thread);
    } else {
        pthread_detach(id);
    }
}
