#include "node/projection.h"

#include <assert.h>
#include <stdlib.h>

#include "node/projector.h"

enum {
    COLLECT_MS = 20,      /* entries wait so long for company */
    COLLECT_ROWS = 65536, /* or until there are so many */
    QUIET_MS = 100,       /* without entries before the full-text index is brought forward */
    RETRY_MS = 1000,      /* after DISK_FULL or IO */
};

struct osr_projection {
    struct osr_projection_options options;
    uv_loop_t *loop;
    uv_timer_t *timer; /* the next time at which schedule() has something to decide */
    struct osr_projector *projector;
    struct osr_worker *worker;
    struct osr_job job;
    struct osr_step step;
    bool is_stepping; /* job and step are the thread's */

    uint64_t target;
    uint64_t skippable;           /* ordinal: from target up to it there is nothing to project */
    uint64_t applied;             /* may be above target, up to skippable */
    uint64_t collecting_since_ms; /* loop time at which the first entry behind `applied` came */
    uint64_t advanced_ms;         /* loop time of the last advance */
    bool is_index_behind;
    struct osr_err state;
    uint64_t retry_at_ms;

    struct osr_projection_wait *waits;
    struct osr_projection_wait *unanswered; /* while waits are being answered: those to come */
    bool is_pausing;                        /* from pause until reset is done */
    void (*paused)(void *context);
    void (*reset_done)(void *context, const struct osr_err *err);
    void *pause_context;
    bool is_closing;
};

static void schedule(struct osr_projection *projection);

bool osr_projection_is_broken(const struct osr_projection *projection)
{
    enum osr_code code = projection->state.code;
    return code == OSR_CORRUPT || code == OSR_FOREIGN_FILE || code == OSR_UNSUPPORTED_VERSION;
}

/* ---- those who wait ---- */

static bool has_what_it_wants(const struct osr_projection *projection,
                              const struct osr_projection_wait *wait)
{
    return projection->applied >= wait->ordinal &&
           !(wait->is_search && projection->is_index_behind);
}

/* True if the wait is over. */
static bool answer(struct osr_projection *projection, struct osr_projection_wait *wait)
{
    if (projection->is_closing) {
        struct osr_err err;
        osr_err_set(&err, OSR_CANCELLED, "the instance is closing");
        wait->ready(wait, &err);
        return true;
    }
    if (projection->is_pausing) {
        return false;
    }
    if (!osr_projection_is_broken(projection) && has_what_it_wants(projection, wait)) {
        wait->ready(wait, NULL);
        return true;
    }
    if (projection->state.code != OSR_OK) {
        wait->ready(wait, &projection->state);
        return true;
    }
    return false;
}

static void push_wait(struct osr_projection *projection, struct osr_projection_wait *wait)
{
    wait->next = projection->waits;
    projection->waits = wait;
}

/* `ready` may await and forget others. */
static void answer_all(struct osr_projection *projection)
{
    assert(projection->unanswered == NULL);
    projection->unanswered = projection->waits;
    projection->waits = NULL;
    while (projection->unanswered != NULL) {
        struct osr_projection_wait *wait = projection->unanswered;
        projection->unanswered = wait->next;
        if (!answer(projection, wait)) {
            push_wait(projection, wait);
        }
    }
}

static bool unlink_wait(struct osr_projection_wait **list, const struct osr_projection_wait *wait)
{
    for (; *list != NULL; list = &(*list)->next) {
        if (*list == wait) {
            *list = wait->next;
            return true;
        }
    }
    return false;
}

void osr_projection_await(struct osr_projection *projection, struct osr_projection_wait *wait)
{
    if (!answer(projection, wait)) {
        push_wait(projection, wait);
        schedule(projection);
    }
}

void osr_projection_forget(struct osr_projection *projection, struct osr_projection_wait *wait)
{
    if (!unlink_wait(&projection->waits, wait)) {
        unlink_wait(&projection->unanswered, wait);
    }
}

/* ---- what to do next ---- */

static bool somebody_waits_for_entries(const struct osr_projection *projection)
{
    for (const struct osr_projection_wait *wait = projection->waits; wait != NULL;
         wait = wait->next) {
        if (wait->ordinal > projection->applied) {
            return true;
        }
    }
    return false;
}

/* While one waits for the index alone no further entries are applied, so that it ends. */
static bool somebody_waits_for_index(const struct osr_projection *projection)
{
    for (const struct osr_projection_wait *wait = projection->waits; wait != NULL;
         wait = wait->next) {
        if (wait->is_search && wait->ordinal <= projection->applied) {
            return true;
        }
    }
    return false;
}

static void on_timer(uv_timer_t *timer)
{
    schedule(timer->data);
}

static void wake_at(struct osr_projection *projection, uint64_t at_ms)
{
    uint64_t now_ms = uv_now(projection->loop);
    uv_timer_start(projection->timer, on_timer, at_ms > now_ms ? at_ms - now_ms : 0, 0);
}

static void begin(struct osr_projection *projection, enum osr_step_kind kind)
{
    projection->step = (struct osr_step){.kind = kind, .target = projection->target};
    projection->is_stepping = true;
    osr_worker_submit(projection->worker, &projection->job);
}

static void schedule_apply(struct osr_projection *projection)
{
    uint64_t due_ms = projection->collecting_since_ms + COLLECT_MS;
    bool is_enough = projection->target - projection->applied >= COLLECT_ROWS;
    if (is_enough || uv_now(projection->loop) >= due_ms || somebody_waits_for_entries(projection)) {
        begin(projection, OSR_STEP_APPLY);
    } else {
        wake_at(projection, due_ms);
    }
}

static void schedule_index(struct osr_projection *projection)
{
    uint64_t due_ms = projection->advanced_ms + QUIET_MS;
    if (uv_now(projection->loop) >= due_ms) {
        begin(projection, OSR_STEP_INDEX);
    } else {
        wake_at(projection, due_ms);
    }
}

/* Once all that there is to project is applied. */
static void skip(struct osr_projection *projection)
{
    if (!projection->is_stepping && !osr_projection_is_broken(projection) &&
        projection->applied >= projection->target && projection->applied < projection->skippable) {
        projection->applied = projection->skippable;
        osr_projector_skip(projection->projector, projection->skippable);
    }
}

static void schedule(struct osr_projection *projection)
{
    if (projection->is_stepping || projection->is_pausing || projection->is_closing ||
        osr_projection_is_broken(projection)) {
        return;
    }
    if (projection->state.code != OSR_OK && uv_now(projection->loop) < projection->retry_at_ms) {
        wake_at(projection, projection->retry_at_ms);
    } else if (projection->is_index_behind && somebody_waits_for_index(projection)) {
        begin(projection, OSR_STEP_INDEX);
    } else if (projection->applied < projection->target) {
        schedule_apply(projection);
    } else if (projection->is_index_behind) {
        schedule_index(projection);
    }
}

/* ---- what the thread says ---- */

static void set_state(struct osr_projection *projection, const struct osr_err *err)
{
    bool is_news = projection->state.code != err->code;
    projection->state = *err;
    if (err->code != OSR_OK) {
        projection->retry_at_ms = uv_now(projection->loop) + RETRY_MS;
    }
    if (is_news && !projection->is_closing) {
        projection->options.on_state(projection->options.context, &projection->state);
    }
}

static void tell_paused(struct osr_projection *projection)
{
    void (*paused)(void *context) = projection->paused;
    projection->paused = NULL;
    if (paused != NULL && !projection->is_closing) {
        paused(projection->pause_context);
    }
}

static void after_reset(struct osr_projection *projection)
{
    projection->is_pausing = false;
    projection->reset_done(projection->pause_context, &projection->state);
}

static void work(void *context, struct osr_job *jobs)
{
    struct osr_projection *projection = context;
    (void)jobs;
    osr_projector_run(projection->projector, &projection->step);
}

static void done(void *context, struct osr_job *job)
{
    struct osr_projection *projection = context;
    const struct osr_step ended = projection->step; /* callbacks may begin the next one */
    const struct osr_step *step = &ended;
    (void)job;
    projection->is_stepping = false;
    projection->applied = step->reached;
    projection->collecting_since_ms = uv_now(projection->loop);
    if (step->err.code == OSR_OK) {
        /* A step of the index says how it stands, others only that there is more. */
        projection->is_index_behind = step->kind == OSR_STEP_INDEX
                                          ? step->is_index_behind
                                          : projection->is_index_behind || step->is_index_behind;
    }
    set_state(projection, &step->err);
    skip(projection);
    if (step->kind == OSR_STEP_APPLY) {
        projection->options.on_applied(projection->options.context, projection->applied);
    }
    if (step->kind == OSR_STEP_RESET) {
        after_reset(projection);
    } else if (projection->is_pausing) {
        tell_paused(projection);
    }
    answer_all(projection);
    schedule(projection);
}

/* ---- for others ---- */

void osr_projection_advance(struct osr_projection *projection, uint64_t released)
{
    uint64_t now_ms = uv_now(projection->loop);
    if (released <= projection->target) {
        return;
    }
    if (projection->target <= projection->applied) {
        projection->collecting_since_ms = now_ms;
    }
    projection->target = released;
    projection->advanced_ms = now_ms;
    schedule(projection);
}

void osr_projection_skip(struct osr_projection *projection, uint64_t released)
{
    projection->skippable = released;
    skip(projection);
}

uint64_t osr_projection_applied(const struct osr_projection *projection)
{
    return projection->applied;
}

const struct osr_err *osr_projection_state(const struct osr_projection *projection)
{
    return &projection->state;
}

void osr_projection_pause(struct osr_projection *projection, void (*paused)(void *context),
                          void *context)
{
    assert(!projection->is_pausing);
    projection->is_pausing = true;
    projection->paused = paused;
    projection->pause_context = context;
    if (!projection->is_stepping) {
        tell_paused(projection);
    }
}

void osr_projection_reset(struct osr_projection *projection,
                          void (*reset_done)(void *context, const struct osr_err *err),
                          void *context)
{
    assert(projection->is_pausing && !projection->is_stepping);
    projection->reset_done = reset_done;
    projection->pause_context = context;
    begin(projection, OSR_STEP_RESET);
}

int osr_projection_open(uv_loop_t *loop, const struct osr_projection_options *options,
                        struct osr_projection **ret_projection, struct osr_err *err)
{
    struct osr_projection *projection = osr_alloc(sizeof(*projection));
    struct osr_worker_options worker_options = {
        .name = "project", .work = work, .done = done, .context = projection, .batch_max = 1};
    projection->options = *options;
    projection->loop = loop;
    projection->is_index_behind = true; /* nobody knows yet */
    projection->projector = osr_projector_create(options->folder, &options->bodies,
                                                 options->journal, &projection->state);
    projection->applied = osr_projector_reached(projection->projector);
    projection->target = projection->applied;
    int code = osr_worker_create(loop, &worker_options, &projection->worker, err);
    if (code != 0) {
        osr_projector_destroy(projection->projector);
        free(projection);
        return code;
    }
    projection->timer = osr_alloc(sizeof(*projection->timer));
    projection->timer->data = projection;
    uv_timer_init(loop, projection->timer);
    *ret_projection = projection;
    return 0;
}

static void free_handle(uv_handle_t *handle)
{
    free(handle);
}

void osr_projection_stop(struct osr_projection *projection)
{
    projection->is_closing = true;
    osr_worker_destroy(projection->worker);
    answer_all(projection);
    uv_close((uv_handle_t *)projection->timer, free_handle);
}

void osr_projection_destroy(struct osr_projection *projection)
{
    if (projection != NULL) {
        osr_projector_destroy(projection->projector);
        free(projection);
    }
}
