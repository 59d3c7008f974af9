#include "node/file_worker.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct osr_file_worker {
    struct osr_worker *worker;
};

static void work(void *context, struct osr_job *jobs)
{
    (void)context;
    for (struct osr_job *at = jobs; at != NULL; at = at->next) {
        struct osr_file_job *job = (struct osr_file_job *)at;
        job->work(job);
    }
}

static void done(void *context, struct osr_job *at)
{
    struct osr_file_job *job = (struct osr_file_job *)at;
    (void)context;
    job->done(job);
}

int osr_file_worker_create(uv_loop_t *loop, struct osr_file_worker **ret_worker,
                           struct osr_err *err)
{
    const struct osr_worker_options options = {
        .name = "files", .work = work, .done = done, .batch_max = 1};
    struct osr_worker *worker;

    int code = osr_worker_create(loop, &options, &worker, err);
    if (code != 0) {
        return code;
    }
    *ret_worker = osr_alloc(sizeof **ret_worker);
    (*ret_worker)->worker = worker;
    return 0;
}

void osr_file_worker_submit(struct osr_file_worker *worker, struct osr_file_job *job)
{
    osr_worker_submit(worker->worker, &job->job);
}

void osr_file_worker_destroy(struct osr_file_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    osr_worker_destroy(worker->worker);
    free(worker);
}

static int check_file(const char *path, int fd, size_t size_max, struct osr_err *err)
{
    struct stat file;

    if (fstat(fd, &file) < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot look at %s", path);
    }
    if (!S_ISREG(file.st_mode)) {
        return (int)osr_err_set(err, OSR_FOREIGN_FILE, "%s is not a file", path);
    }
    if ((uint64_t)file.st_size > size_max) {
        return (int)osr_err_set(err, OSR_TOO_LARGE, "%s has %lld bytes, at most %zu are read", path,
                                (long long)file.st_size, size_max);
    }
    return 0;
}

/* Up to its end, wherever that is by now, or one byte past size_max. */
static int read_to_end(const char *path, int fd, size_t size_max, struct osr_buffer *buffer,
                       struct osr_err *err)
{
    enum { PIECE_BYTES = 1 << 18 };

    for (;;) {
        ssize_t size = read(fd, osr_buffer_reserve(buffer, PIECE_BYTES), PIECE_BYTES);
        if (size < 0 && errno != EINTR) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot read %s", path);
        }
        if (size == 0) {
            return 0;
        }
        buffer->size += size > 0 ? (size_t)size : 0;
        if (buffer->size > size_max) {
            return (int)osr_err_set(err, OSR_TOO_LARGE, "%s grows past %zu bytes", path, size_max);
        }
    }
}

int osr_file_read_whole(const char *path, size_t size_max, struct osr_buffer *buffer,
                        struct osr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return (int)osr_err_errno(err, errno == ENOENT ? OSR_NOT_FOUND : OSR_IO, errno,
                                  "cannot open %s", path);
    }
    int code = check_file(path, fd, size_max, err);
    if (code == 0) {
        code = read_to_end(path, fd, size_max, buffer, err);
    }
    close(fd);
    return code;
}
