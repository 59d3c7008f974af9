#include "adapter/worker.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Jobs in the order of submission. Invariant: *tail is NULL. */
struct job_list {
    struct osr_job *head;
    struct osr_job **tail;
};

struct osr_worker {
    struct osr_worker_options options;
    /* Readable while `finished` may not be empty. Not a uv_async_t: there the loop spins until
     * the thread that woke it is done with waking, which takes long where both share a core. */
    int finished_some;
    uv_poll_t from_thread; /* watches it */
    uv_thread_t thread;
    uint32_t waiting; /* loop's thread only */

    uv_mutex_t lock; /* guards all below */
    uv_cond_t to_thread;
    uv_cond_t to_destroy; /* osr_worker_destroy waits for jobs without the loop */
    struct job_list submitted;
    struct job_list finished;
    bool stopping;
};

static void list_init(struct job_list *list)
{
    list->head = NULL;
    list->tail = &list->head;
}

/* Appends a NULL-terminated chain of jobs. */
static void list_append(struct job_list *list, struct osr_job *jobs)
{
    *list->tail = jobs;
    while (*list->tail != NULL) {
        list->tail = &(*list->tail)->next;
    }
}

/* Takes up to `count` jobs off the front, as a NULL-terminated chain. */
static struct osr_job *list_take(struct job_list *list, uint32_t count)
{
    struct osr_job *first = list->head;
    struct osr_job **end = &first;

    while (*end != NULL && count-- > 0) {
        end = &(*end)->next;
    }
    list->head = *end;
    *end = NULL;
    if (list->head == NULL) {
        list->tail = &list->head;
    }
    return first;
}

static void run_batch(struct osr_worker *worker)
{
    struct osr_job *jobs = list_take(&worker->submitted, worker->options.batch_max);

    uv_mutex_unlock(&worker->lock);
    worker->options.work(worker->options.context, jobs);
    uv_mutex_lock(&worker->lock);

    bool is_told = worker->finished.head != NULL;
    list_append(&worker->finished, jobs);
    uv_cond_signal(&worker->to_destroy);
    if (!is_told) {
        /* Not under the lock: the loop wakes on the other core at once and takes it. */
        uv_mutex_unlock(&worker->lock);
        eventfd_write(worker->finished_some, 1);
        uv_mutex_lock(&worker->lock);
    }
}

static void run_idle(struct osr_worker *worker)
{
    uv_mutex_unlock(&worker->lock);
    worker->options.idle(worker->options.context);
    uv_mutex_lock(&worker->lock);
}

static void thread_main(void *context)
{
    struct osr_worker *worker = context;
    bool idle_due = false;

    pthread_setname_np(pthread_self(), worker->options.name);
    uv_mutex_lock(&worker->lock);
    for (;;) {
        if (worker->submitted.head != NULL) {
            run_batch(worker);
            idle_due = worker->options.idle != NULL;
        } else if (worker->stopping) {
            break;
        } else if (idle_due) {
            idle_due = false;
            run_idle(worker);
        } else {
            uv_cond_wait(&worker->to_thread, &worker->lock);
        }
    }
    uv_mutex_unlock(&worker->lock);
}

/* Hands back all finished jobs. `done` may submit further ones. */
static void deliver(struct osr_worker *worker)
{
    uv_mutex_lock(&worker->lock);
    struct osr_job *jobs = list_take(&worker->finished, UINT32_MAX);
    uv_mutex_unlock(&worker->lock);

    while (jobs != NULL) {
        struct osr_job *job = jobs;
        jobs = job->next;
        worker->waiting--;
        worker->options.done(worker->options.context, job);
    }
}

static void on_finished_some(uv_poll_t *poll, int status, int events)
{
    struct osr_worker *worker = poll->data;
    eventfd_t count;
    (void)status;
    (void)events;
    eventfd_read(worker->finished_some, &count);
    deliver(worker);
}

/* Signals are the loop's business: a new thread inherits a mask that blocks them all. */
static int start_thread(struct osr_worker *worker)
{
    sigset_t all;
    sigset_t before;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = uv_thread_create(&worker->thread, thread_main, worker);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return result;
}

static void free_worker(struct osr_worker *worker)
{
    uv_cond_destroy(&worker->to_destroy);
    uv_cond_destroy(&worker->to_thread);
    uv_mutex_destroy(&worker->lock);
    free(worker);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct osr_worker *worker = handle->data;
    close(worker->finished_some);
    free_worker(worker);
}

static int watch_thread(struct osr_worker *worker, uv_loop_t *loop, struct osr_err *err)
{
    const char *name = worker->options.name;
    worker->finished_some = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (worker->finished_some < 0) {
        return osr_err_set(err, OSR_UNAVAILABLE, "thread %s: eventfd: %s", name, strerror(errno));
    }
    int result = uv_poll_init(loop, &worker->from_thread, worker->finished_some);
    if (result != 0) {
        close(worker->finished_some);
        return osr_err_set(err, OSR_INTERNAL, "thread %s: %s", name, uv_strerror(result));
    }
    worker->from_thread.data = worker;
    uv_poll_start(&worker->from_thread, UV_READABLE, on_finished_some);
    return 0;
}

int osr_worker_create(uv_loop_t *loop, const struct osr_worker_options *options,
                      struct osr_worker **ret_worker, struct osr_err *err)
{
    assert(options->batch_max > 0 && strlen(options->name) <= 15);
    struct osr_worker *worker = osr_alloc(sizeof *worker);

    worker->options = *options;
    list_init(&worker->submitted);
    list_init(&worker->finished);
    /* These fail only for lack of memory, which ends the process anyway. */
    if (uv_mutex_init(&worker->lock) != 0 || uv_cond_init(&worker->to_thread) != 0 ||
        uv_cond_init(&worker->to_destroy) != 0) {
        abort();
    }

    int code = watch_thread(worker, loop, err);
    if (code != 0) {
        free_worker(worker);
        return code;
    }
    int result = start_thread(worker);
    if (result != 0) {
        osr_err_set(err, OSR_UNAVAILABLE, "cannot start thread %s: %s", options->name,
                    uv_strerror(result));
        osr_err_hint(err, "raise the limit on threads (ulimit -u, TasksMax= in systemd)");
        uv_close((uv_handle_t *)&worker->from_thread, on_poll_closed);
        return OSR_UNAVAILABLE;
    }
    *ret_worker = worker;
    return 0;
}

void osr_worker_submit(struct osr_worker *worker, struct osr_job *job)
{
    job->next = NULL;
    worker->waiting++;
    uv_mutex_lock(&worker->lock);
    assert(!worker->stopping);
    list_append(&worker->submitted, job);
    uv_mutex_unlock(&worker->lock);
    uv_cond_signal(&worker->to_thread); /* not under the lock, which the thread takes first */
}

uint32_t osr_worker_waiting(const struct osr_worker *worker)
{
    return worker->waiting;
}

void osr_worker_destroy(struct osr_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    while (worker->waiting > 0) {
        uv_mutex_lock(&worker->lock);
        while (worker->finished.head == NULL) {
            uv_cond_wait(&worker->to_destroy, &worker->lock);
        }
        uv_mutex_unlock(&worker->lock);
        deliver(worker);
    }
    uv_mutex_lock(&worker->lock);
    worker->stopping = true;
    uv_cond_signal(&worker->to_thread);
    uv_mutex_unlock(&worker->lock);
    uv_thread_join(&worker->thread);
    uv_close((uv_handle_t *)&worker->from_thread, on_poll_closed);
}
