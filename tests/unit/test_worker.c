#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/worker.h"

enum { JOBS_MAX = 1000, BATCH_MAX = 16 };

struct task {
    struct osr_job job; /* first, so that a job is a task */
    int number;
    bool was_worked_on;
};

/* What `work`, `idle` and `done` leave behind. The thread's fields are read by the test only
 * after the worker was destroyed or the job's `done` was called. */
struct fixture {
    uv_loop_t loop;
    struct osr_worker *worker;
    struct task tasks[JOBS_MAX];
    int done_count;
    int longest_batch;
    _Atomic int idle_count;
    int chain_left; /* `done` submits again while positive */
    pthread_t loop_thread;
};

static void work(void *context, struct osr_job *jobs)
{
    struct fixture *fixture = context;
    int length = 0;

    assert_false(pthread_equal(pthread_self(), fixture->loop_thread));
    for (struct osr_job *job = jobs; job != NULL; job = job->next) {
        ((struct task *)job)->was_worked_on = true;
        length++;
    }
    if (length > fixture->longest_batch)
        fixture->longest_batch = length;
}

static void idle(void *context)
{
    ((struct fixture *)context)->idle_count++;
}

static void done(void *context, struct osr_job *job)
{
    struct fixture *fixture = context;
    struct task *task = (struct task *)job;

    assert_true(pthread_equal(pthread_self(), fixture->loop_thread));
    assert_true(task->was_worked_on);
    assert_int_equal(task->number, fixture->done_count);
    fixture->done_count++;
    if (fixture->chain_left > 0) {
        fixture->chain_left--;
        task->number = fixture->done_count;
        osr_worker_submit(fixture->worker, job);
    }
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof *fixture);
    const struct osr_worker_options options = {.name = "test",
                                               .work = work,
                                               .done = done,
                                               .idle = idle,
                                               .context = fixture,
                                               .batch_max = BATCH_MAX};
    struct osr_err err;

    fixture->loop_thread = pthread_self();
    uv_loop_init(&fixture->loop);
    assert_int_equal(osr_worker_create(&fixture->loop, &options, &fixture->worker, &err), 0);
    for (int i = 0; i < JOBS_MAX; i++)
        fixture->tasks[i].number = i;
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;

    osr_worker_destroy(fixture->worker);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    free(fixture);
    return 0;
}

static void submit_all(struct fixture *fixture)
{
    for (int i = 0; i < JOBS_MAX; i++)
        osr_worker_submit(fixture->worker, &fixture->tasks[i].job);
}

/* Every job comes back once, on the loop's thread, in the order of submission. */
static void worker_hands_jobs_back_in_order(void **state)
{
    struct fixture *fixture = *state;

    submit_all(fixture);
    assert_int_equal(osr_worker_waiting(fixture->worker), JOBS_MAX);
    while (osr_worker_waiting(fixture->worker) > 0)
        uv_run(&fixture->loop, UV_RUN_ONCE);
    assert_int_equal(fixture->done_count, JOBS_MAX);
    assert_in_range(fixture->longest_batch, 1, BATCH_MAX);
}

/* Destroying a worker finishes what was submitted, without a turn of the loop. */
static void worker_finishes_all_jobs_before_it_goes(void **state)
{
    struct fixture *fixture = *state;

    submit_all(fixture);
    osr_worker_destroy(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done_count, JOBS_MAX);
}

/* Jobs that `done` submits while the worker is being destroyed are finished, too. */
static void worker_finishes_jobs_submitted_during_destroy(void **state)
{
    struct fixture *fixture = *state;

    fixture->chain_left = 20;
    osr_worker_submit(fixture->worker, &fixture->tasks[0].job);
    osr_worker_destroy(fixture->worker);
    fixture->worker = NULL;
    assert_int_equal(fixture->done_count, 21);
}

/* Idle work is done once each time there was work, and never without. */
static void worker_is_idle_once_after_work(void **state)
{
    struct fixture *fixture = *state;

    usleep(20000);
    assert_int_equal(fixture->idle_count, 0);
    osr_worker_submit(fixture->worker, &fixture->tasks[0].job);
    for (int i = 0; i < 500 && fixture->idle_count == 0; i++)
        usleep(10000);
    usleep(20000);
    assert_int_equal(fixture->idle_count, 1);
    while (osr_worker_waiting(fixture->worker) > 0)
        uv_run(&fixture->loop, UV_RUN_ONCE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(worker_hands_jobs_back_in_order, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_finishes_all_jobs_before_it_goes, set_up, tear_down),
        cmocka_unit_test_setup_teardown(worker_finishes_jobs_submitted_during_destroy, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(worker_is_idle_once_after_work, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
