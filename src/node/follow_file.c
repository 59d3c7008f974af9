#include "node/follow_file.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "adapter/whole_file.h"
#include "node/follow_scan.h"

enum {
    BATCH_ITEMS = 512,        /* imported by one write */
    FRESH_NS_MAX = 2000000000 /* a file younger than this may change without a new time */
};

/* By these a file is known to be unchanged. */
struct stamp {
    uint64_t inode;
    int64_t size;
    int64_t changed_ns;
};

/* What goes to the files' thread and comes back. */
struct scan_job {
    struct osr_file_job job; /* first */
    const char *path;
    struct osr_follow_mark mark;
    struct stamp stamp; /* in: of the last look; out: of this one */
    bool is_unchanged;
    struct osr_follow_scan scan;
    struct osr_err err;
};

struct osr_follow_file {
    struct scan_job job; /* first */
    struct osr_follow_file_options options;
    char *key; /* of the fact */
    uv_timer_t timer;
    struct osr_follow_mark mark; /* imported up to here */
    size_t next;                 /* item of the scan that is to be imported next */
    size_t batch;                /* items under way */
    uint64_t imported;           /* of this scan */
    uint64_t trouble_since_ms;   /* by uv_now; 0: none */
    bool trouble_told;
    bool stopping;
    int holds; /* timer, job, write: while any of them is open, the memory stays */
};

static void release(struct osr_follow_file *follow)
{
    if (--follow->holds > 0) {
        return;
    }
    osr_follow_scan_done(&follow->job.scan);
    free(follow->key);
    free(follow);
}

/* -- on the files' thread -- */

static int64_t nanoseconds(struct timespec time)
{
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* The kernel's clock for files ticks in milliseconds: within a tick a file changes unseen. */
static bool is_fresh(const struct stamp *stamp)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    int64_t age_ns = nanoseconds(now) - stamp->changed_ns;
    return age_ns >= 0 && age_ns < FRESH_NS_MAX;
}

static bool has_changed(struct scan_job *job)
{
    struct stamp before = job->stamp;
    struct stat file;

    job->stamp = (struct stamp){0};
    if (stat(job->path, &file) == 0) {
        job->stamp = (struct stamp){file.st_ino, file.st_size, nanoseconds(file.st_mtim)};
    }
    return before.inode != job->stamp.inode || before.size != job->stamp.size ||
           before.changed_ns != job->stamp.changed_ns || is_fresh(&job->stamp);
}

static void scan_work(struct osr_file_job *base)
{
    struct scan_job *job = (struct scan_job *)base;
    struct osr_buffer text = {0};

    job->is_unchanged = !has_changed(job);
    if (job->is_unchanged) {
        return;
    }
    job->err = (struct osr_err){0};
    if (osr_file_read_whole(job->path, OSR_FOLLOW_FILE_BYTES_MAX, &text, &job->err) == 0 &&
        osr_follow_scan(osr_buffer_slice(&text), &job->mark, &job->scan, &job->err) != 0) {
        osr_err_prefix(&job->err, "%s", job->path);
    }
    osr_buffer_done(&text);
}

/* -- on the loop's thread -- */

static void look(struct osr_follow_file *follow);
static void import_next(struct osr_follow_file *follow);

static void on_look(uv_timer_t *timer)
{
    look(timer->data);
}

static void look_later(struct osr_follow_file *follow)
{
    uv_timer_start(&follow->timer, on_look, OSR_FOLLOW_LOOK_MS, 0);
}

/* Tells what goes wrong for long, once. */
static void note_trouble(struct osr_follow_file *follow, const struct osr_err *err)
{
    uint64_t now_ms = uv_now(follow->options.loop);

    if (follow->trouble_since_ms == 0) {
        follow->trouble_since_ms = now_ms;
    }
    if (follow->trouble_told || now_ms - follow->trouble_since_ms < OSR_FOLLOW_PATIENCE_MS) {
        return;
    }
    follow->trouble_told = true;
    osr_trace(follow->options.trace, OSR_LEVEL_WARNING, "cannot follow the file: %s; trying again",
              err->message);
}

static void note_success(struct osr_follow_file *follow)
{
    if (follow->trouble_told) {
        osr_trace(follow->options.trace, OSR_LEVEL_INFO, "%s can be followed again",
                  follow->options.path);
    }
    follow->trouble_since_ms = 0;
    follow->trouble_told = false;
}

static void note_scan(struct osr_follow_file *follow)
{
    const struct osr_follow_scan *scan = &follow->job.scan;
    const char *path = follow->options.path;

    if (scan->restarted) {
        osr_trace(follow->options.trace, OSR_LEVEL_WARNING,
                  "%s does not begin with what was imported from it: it is read anew", path);
    }
    if (scan->refused > 0) {
        osr_trace(follow->options.trace, OSR_LEVEL_WARNING,
                  "%s: %llu entries are too long or too deep to be imported", path,
                  (unsigned long long)scan->refused);
    }
}

/* A file that is not there yet is no trouble. */
static void on_scanned(struct osr_follow_file *follow)
{
    enum osr_code code = follow->job.err.code;

    if (code != OSR_OK && code != OSR_NOT_FOUND) {
        note_trouble(follow, &follow->job.err);
        look_later(follow);
    } else if (follow->job.is_unchanged || code == OSR_NOT_FOUND) {
        look_later(follow);
    } else {
        note_success(follow);
        note_scan(follow);
        if (follow->job.scan.restarted) {
            follow->mark = (struct osr_follow_mark){0};
        }
        follow->next = 0;
        follow->imported = 0;
        import_next(follow);
    }
}

static void scan_done(struct osr_file_job *base)
{
    struct osr_follow_file *follow = (struct osr_follow_file *)base;

    if (!follow->stopping) {
        on_scanned(follow);
    }
    release(follow);
}

static void look(struct osr_follow_file *follow)
{
    follow->job.mark = follow->mark;
    follow->holds++;
    osr_file_worker_submit(follow->options.files, &follow->job.job);
}

/* -- importing -- */

static void on_import_again(uv_timer_t *timer)
{
    import_next(timer->data);
}

static void save_mark(struct osr_follow_file *follow)
{
    struct osr_buffer value = {0};

    osr_follow_mark_encode(&follow->mark, &value);
    osr_journal_fact(follow->options.journal, follow->key, osr_buffer_slice(&value), NULL, NULL);
    osr_buffer_done(&value);
}

static void on_imported(struct osr_follow_file *follow, const struct osr_write_result *result)
{
    if (result->code != OSR_OK) {
        struct osr_err err;
        osr_err_set(&err, result->code, "%s: %s", follow->options.path,
                    osr_code_info(result->code)->text);
        note_trouble(follow, &err);
        uv_timer_start(&follow->timer, on_import_again, OSR_FOLLOW_LOOK_MS, 0);
        return;
    }
    note_success(follow);
    follow->imported += result->written;
    follow->next += follow->batch;
    follow->mark = follow->job.scan.items[follow->next - 1].mark;
    save_mark(follow);
    import_next(follow);
}

static void on_written(void *context, const struct osr_write_result *result)
{
    struct osr_follow_file *follow = context;

    if (!follow->stopping) {
        on_imported(follow, result);
    }
    release(follow);
}

/* One document of a batch and what it points to. */
struct parts {
    Osr__Document document;
    Osr__Json data;
    Osr__Source source;
};

static void fill_parts(const struct osr_follow_scan *scan, size_t index, struct parts *parts)
{
    static char source_name[] = OSR_SEED_SOURCE;
    const struct osr_follow_item *item = &scan->items[index];
    struct osr_slice data = osr_follow_scan_data(scan, index);

    osr__document__init(&parts->document);
    osr__json__init(&parts->data);
    osr__source__init(&parts->source);
    parts->data.text.data = (uint8_t *)data.data;
    parts->data.text.len = data.size;
    parts->source.name = source_name;
    parts->source.position = item->mark.count - 1;
    parts->source.digest.data = (uint8_t *)item->digest.bytes;
    parts->source.digest.len = sizeof item->digest.bytes;
    parts->source.occurrence = item->occurrence;
    parts->document.data = &parts->data;
    parts->document.source = &parts->source;
}

static void import_batch(struct osr_follow_file *follow)
{
    struct parts *parts = osr_alloc(follow->batch * sizeof *parts);
    Osr__Document *documents[BATCH_ITEMS];

    for (size_t i = 0; i < follow->batch; i++) {
        fill_parts(&follow->job.scan, follow->next + i, &parts[i]);
        documents[i] = &parts[i].document;
    }
    follow->holds++;
    osr_knowledge_write(follow->options.knowledge, NULL, OSR_WRITE_IMPORT, documents, follow->batch,
                        0, 0, on_written, follow);
    free(parts);
}

static void finish_scan(struct osr_follow_file *follow)
{
    struct osr_follow_scan *scan = &follow->job.scan;

    if (follow->imported > 0) {
        osr_trace(follow->options.trace, OSR_LEVEL_INFO, "%s: %llu entries imported",
                  follow->options.path, (unsigned long long)follow->imported);
    }
    if (follow->mark.count != scan->end.count) { /* the last ones were refused */
        follow->mark = scan->end;
        save_mark(follow);
    }
    if (scan->has_more) {
        follow->job.stamp = (struct stamp){0}; /* as if it had changed */
    }
    osr_follow_scan_done(scan);
    look_later(follow);
}

static void import_next(struct osr_follow_file *follow)
{
    size_t left = follow->job.scan.count - follow->next;

    if (left == 0) {
        finish_scan(follow);
        return;
    }
    follow->batch = left < BATCH_ITEMS ? left : BATCH_ITEMS;
    import_batch(follow);
}

/* -- life -- */

static void read_mark(void *context, const char *key, struct osr_slice value)
{
    struct osr_follow_file *follow = context;

    /* A mark that cannot be read costs a scan from the beginning, no entry and no double. */
    if (strcmp(key, follow->key) == 0) {
        osr_follow_mark_decode(&follow->mark, value);
    }
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

struct osr_follow_file *osr_follow_file_start(const struct osr_follow_file_options *options)
{
    struct osr_follow_file *follow = osr_alloc(sizeof *follow);

    follow->options = *options;
    follow->key = osr_format("follow:%s", options->path);
    follow->job.path = options->path;
    follow->job.job.work = scan_work;
    follow->job.job.done = scan_done;
    uv_timer_init(options->loop, &follow->timer);
    follow->timer.data = follow;
    follow->holds = 1;
    osr_journal_facts(options->journal, follow->key, read_mark, follow);
    look(follow);
    return follow;
}

void osr_follow_file_stop(struct osr_follow_file *follow)
{
    if (follow == NULL) {
        return;
    }
    follow->stopping = true;
    uv_close((uv_handle_t *)&follow->timer, on_timer_closed);
}
