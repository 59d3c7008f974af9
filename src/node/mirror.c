#include "node/mirror.h"

#include <stdlib.h>

#include "base/json_scan.h"
#include "node/mirror_file.h"

/* What the files' thread is asked to do with a job. */
enum step { CHECK, WRITE, COMMIT, ABANDON };

/* What goes to the files' thread and comes back. */
struct mirror_job {
    struct osr_file_job job; /* first */
    enum step step;
    const char *path;
    struct osr_buffer chunk; /* to be written; empty after */
    struct osr_mirror_file file;
    char *aside; /* of CHECK */
    struct osr_err err;
};

struct osr_mirror {
    struct mirror_job job; /* first */
    struct osr_mirror_options options;
    struct osr_query *watch; /* tells of changes */
    struct osr_query *list;  /* under way while a version is written */
    struct osr_buffer text;  /* listed and not yet given to the files' thread */
    uint64_t listed;         /* documents of this version */
    bool list_ended;
    bool has_job;           /* the files' thread has the job */
    struct osr_err failure; /* of the list; code OK: none */
    bool is_writing;        /* a version is under way */
    bool is_dirty;          /* something has changed since it began */
    uv_timer_t timer;
    uint64_t began_ms; /* by uv_now */
    uint64_t next_ms;  /* not before this */
    uv_timer_t expiry; /* the next document disappears without an entry */
    uint64_t expires_ms;
    bool trouble_told;
    bool stopping;
    int holds; /* timers, job: while any of them is open, the memory stays */
};

static void release(struct osr_mirror *mirror)
{
    if (--mirror->holds > 0) {
        return;
    }
    osr_mirror_file_abandon(&mirror->job.file, mirror->job.path);
    osr_buffer_done(&mirror->text);
    osr_buffer_done(&mirror->job.chunk);
    free(mirror);
}

/* -- on the files' thread -- */

static int take_step(struct mirror_job *job)
{
    int code = 0;

    switch (job->step) {
    case CHECK:
        return osr_mirror_file_check(job->path, &job->aside, &job->err);
    case WRITE:
    case COMMIT:
        code =
            osr_mirror_file_write(&job->file, job->path, osr_buffer_slice(&job->chunk), &job->err);
        if (code == 0 && job->step == COMMIT) {
            code = osr_mirror_file_commit(&job->file, job->path, &job->err);
        }
        return code;
    case ABANDON:
        break;
    }
    return 0;
}

static void job_work(struct osr_file_job *base)
{
    struct mirror_job *job = (struct mirror_job *)base;
    int code = take_step(job);

    if (code != 0 || job->step == ABANDON) {
        osr_mirror_file_abandon(&job->file, job->path);
    }
    if (code == 0) {
        job->err = (struct osr_err){0};
    }
    job->chunk.size = 0;
}

/* -- when -- */

static void begin(struct osr_mirror *mirror);

static void on_due(uv_timer_t *timer)
{
    begin(timer->data);
}

static void schedule(struct osr_mirror *mirror)
{
    uint64_t now_ms = uv_now(mirror->options.loop);

    if (!mirror->is_dirty || mirror->is_writing) {
        return;
    }
    uint64_t pause_ms = mirror->next_ms > now_ms ? mirror->next_ms - now_ms : 0;
    uv_timer_start(&mirror->timer, on_due, pause_ms, 0);
}

static void on_change(struct osr_mirror *mirror)
{
    if (mirror->is_dirty) {
        return;
    }
    mirror->is_dirty = true;
    schedule(mirror);
}

static void watch_expiry(struct osr_mirror *mirror);

static void on_expiry(uv_timer_t *timer)
{
    watch_expiry(timer->data);
}

static void watch_expiry(struct osr_mirror *mirror)
{
    enum { LOOK_AGAIN_MS = 60 * 1000 }; /* the wall clock may jump */
    uv_timeval64_t now;

    if (mirror->expires_ms == UINT64_MAX) {
        return;
    }
    uv_gettimeofday(&now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_usec / 1000;
    if (mirror->expires_ms <= now_ms) {
        on_change(mirror);
        return;
    }
    uint64_t left_ms = mirror->expires_ms - now_ms;
    uv_timer_start(&mirror->expiry, on_expiry, left_ms < LOOK_AGAIN_MS ? left_ms : LOOK_AGAIN_MS,
                   0);
}

/* -- a version -- */

static void submit(struct osr_mirror *mirror, enum step step)
{
    mirror->job.step = step;
    mirror->has_job = true;
    mirror->holds++;
    osr_file_worker_submit(mirror->options.files, &mirror->job.job);
}

static void end_version(struct osr_mirror *mirror, uint64_t pause_ms)
{
    mirror->is_writing = false;
    mirror->next_ms = uv_now(mirror->options.loop) + pause_ms;
    schedule(mirror);
}

static void fail_version(struct osr_mirror *mirror, const struct osr_err *err)
{
    if (!mirror->trouble_told) {
        osr_trace(mirror->options.trace, OSR_LEVEL_WARNING, "mirror: %s; trying again",
                  err->message);
    }
    mirror->trouble_told = true;
    if (mirror->list != NULL) {
        osr_query_cancel(mirror->list);
    }
    mirror->list = NULL;
    mirror->is_dirty = true;
    end_version(mirror, OSR_MIRROR_RETRY_MS);
}

static void finish_version(struct osr_mirror *mirror)
{
    uint64_t took_ms = uv_now(mirror->options.loop) - mirror->began_ms;
    uint64_t rest_ms = took_ms * OSR_MIRROR_REST_FACTOR;
    uint64_t interval_ms = mirror->options.interval_ms;

    if (mirror->trouble_told) {
        osr_trace(mirror->options.trace, OSR_LEVEL_INFO, "mirror: %s is up to date again",
                  mirror->options.path);
    }
    mirror->trouble_told = false;
    watch_expiry(mirror);
    end_version(mirror, rest_ms > interval_ms ? rest_ms : interval_ms);
}

/* Gives what is listed to the files' thread; the list waits meanwhile. */
static void write_text(struct osr_mirror *mirror)
{
    struct osr_buffer empty = mirror->job.chunk;

    mirror->job.chunk = mirror->text;
    mirror->text = empty;
    if (mirror->list != NULL) {
        osr_query_pause(mirror->list, true);
    }
    submit(mirror, mirror->list_ended ? COMMIT : WRITE);
}

static void add_document(struct osr_mirror *mirror, const Osr__Document *document)
{
    osr_buffer_add_text(&mirror->text, mirror->listed++ == 0 ? "[\n" : ",\n");
    osr_json_to_ascii(&mirror->text,
                      osr_slice(document->data->text.data, document->data->text.len));
    if (document->expires_ms != 0 && document->expires_ms < mirror->expires_ms) {
        mirror->expires_ms = document->expires_ms;
    }
}

static void on_listed(void *context, const struct osr_query_reply *reply)
{
    struct osr_mirror *mirror = context;

    if (reply->last) {
        mirror->list = NULL;
    }
    if (reply->err != NULL) {
        mirror->failure = *reply->err;
        if (!mirror->has_job) {
            submit(mirror, ABANDON);
        }
        return;
    }
    if (reply->document != NULL) {
        add_document(mirror, reply->document);
    }
    if (reply->last) {
        mirror->list_ended = true;
        osr_buffer_add_text(&mirror->text, mirror->listed == 0 ? "[]\n" : "\n]\n");
    }
    if (reply->last || mirror->text.size >= OSR_MIRROR_CHUNK_BYTES) {
        write_text(mirror);
    }
}

static void on_watched(void *context, const struct osr_query_reply *reply)
{
    struct osr_mirror *mirror = context;

    if (reply->last) {
        mirror->watch = NULL;
    }
    on_change(mirror);
}

static void begin(struct osr_mirror *mirror)
{
    mirror->is_dirty = false;
    mirror->is_writing = true;
    mirror->began_ms = uv_now(mirror->options.loop);
    mirror->expires_ms = UINT64_MAX;
    mirror->failure = (struct osr_err){0};
    mirror->text.size = 0;
    mirror->listed = 0;
    mirror->list_ended = false;
    if (mirror->watch == NULL) {
        mirror->watch =
            osr_knowledge_watch(mirror->options.knowledge, NULL, 0, "", on_watched, mirror);
    }
    mirror->list =
        osr_knowledge_list(mirror->options.knowledge, NULL, "", "", 0, on_listed, mirror);
}

/* -- life -- */

static void on_checked(struct osr_mirror *mirror)
{
    const struct osr_err *err = &mirror->job.err;

    if (mirror->job.aside != NULL) {
        osr_trace(mirror->options.trace, OSR_LEVEL_WARNING,
                  "mirror: %s was no JSON array; it is now %s", mirror->options.path,
                  mirror->job.aside);
    }
    free(mirror->job.aside);
    mirror->job.aside = NULL;
    if (err->code != OSR_OK) {
        osr_trace(mirror->options.trace, OSR_LEVEL_ERROR, "mirror: %s; nothing is written there",
                  err->message);
        return;
    }
    on_change(mirror); /* what came while nobody looked */
}

static void on_job_done(struct osr_mirror *mirror)
{
    const struct mirror_job *job = &mirror->job;

    if (job->step == CHECK) {
        on_checked(mirror);
    } else if (job->err.code != OSR_OK) {
        fail_version(mirror, &job->err);
    } else if (job->step == ABANDON) {
        fail_version(mirror, &mirror->failure);
    } else if (mirror->failure.code != OSR_OK) {
        submit(mirror, ABANDON);
    } else if (job->step == COMMIT) {
        finish_version(mirror);
    } else if (mirror->list != NULL) {
        osr_query_pause(mirror->list, false);
    }
}

static void job_done(struct osr_file_job *base)
{
    struct osr_mirror *mirror = (struct osr_mirror *)base;

    mirror->has_job = false;
    if (!mirror->stopping) {
        on_job_done(mirror);
    }
    release(mirror);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

struct osr_mirror *osr_mirror_start(const struct osr_mirror_options *options)
{
    struct osr_mirror *mirror = osr_alloc(sizeof *mirror);

    mirror->options = *options;
    mirror->job.path = options->path;
    mirror->job.job.work = job_work;
    mirror->job.job.done = job_done;
    uv_timer_init(options->loop, &mirror->timer);
    uv_timer_init(options->loop, &mirror->expiry);
    mirror->timer.data = mirror;
    mirror->expiry.data = mirror;
    mirror->holds = 2;
    submit(mirror, CHECK);
    return mirror;
}

void osr_mirror_stop(struct osr_mirror *mirror)
{
    if (mirror == NULL) {
        return;
    }
    mirror->stopping = true;
    if (mirror->watch != NULL) {
        osr_query_cancel(mirror->watch);
    }
    if (mirror->list != NULL) {
        osr_query_cancel(mirror->list);
    }
    mirror->watch = NULL;
    mirror->list = NULL;
    uv_close((uv_handle_t *)&mirror->timer, on_timer_closed);
    uv_close((uv_handle_t *)&mirror->expiry, on_timer_closed);
}
