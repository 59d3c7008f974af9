#include "node/mirror_file.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adapter/whole_file.h"
#include "node/json_array.h"

/* Of an existing file that is looked at: far above any mirror. */
#define CHECKED_BYTES_MAX ((size_t)2 << 30)

static char *temporary_name(const char *path)
{
    return osr_format("%s.new", path);
}

/* -- what stands there at the start -- */

/* A name that nobody has: two in one second are told apart by a number. */
static char *free_name(const char *path)
{
    char time_text[32];
    struct tm utc;
    time_t now = time(NULL);

    gmtime_r(&now, &utc);
    strftime(time_text, sizeof time_text, "%Y%m%dT%H%M%SZ", &utc);
    char *name = osr_format("%s.corrupt-%s", path, time_text);
    for (unsigned i = 2; access(name, F_OK) == 0; i++) {
        free(name);
        name = osr_format("%s.corrupt-%s-%u", path, time_text, i);
    }
    return name;
}

static int set_aside(const char *path, char **ret_aside, struct osr_err *err)
{
    char *name = free_name(path);

    if (rename(path, name) < 0) {
        osr_err_errno(err, OSR_IO, errno, "cannot set %s aside", path);
        free(name);
        return OSR_IO;
    }
    *ret_aside = name;
    return 0;
}

int osr_mirror_file_check(const char *path, char **ret_aside, struct osr_err *err)
{
    struct osr_buffer text = {0};
    int code = osr_file_read_whole(path, CHECKED_BYTES_MAX, &text, err);

    *ret_aside = NULL;
    if (code == OSR_NOT_FOUND) {
        code = 0;
    } else if (code == 0 && osr_json_array_walk(osr_buffer_slice(&text), NULL, NULL, err) != 0) {
        code = set_aside(path, ret_aside, err);
    }
    osr_buffer_done(&text);
    return code;
}

/* -- writing -- */

static int open_temporary(struct osr_mirror_file *file, const char *path, struct osr_err *err)
{
    char *temporary = temporary_name(path);
    struct stat present;
    int code = 0;

    file->fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file->fd < 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "cannot make %s", temporary);
    }
    file->is_open = file->fd >= 0;
    /* Whoever could read the mirror before can read it after. */
    if (file->is_open && stat(path, &present) == 0 &&
        fchmod(file->fd, present.st_mode & 0777) < 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "cannot set the mode of %s", temporary);
    }
    free(temporary);
    return code;
}

static int write_all(int fd, const char *path, struct osr_slice bytes, struct osr_err *err)
{
    while (bytes.size > 0) {
        ssize_t size = write(fd, bytes.data, bytes.size);
        if (size < 0 && errno != EINTR) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot write %s.new", path);
        }
        if (size > 0) {
            bytes = osr_slice(bytes.data + size, bytes.size - (size_t)size);
        }
    }
    return 0;
}

int osr_mirror_file_write(struct osr_mirror_file *file, const char *path, struct osr_slice bytes,
                          struct osr_err *err)
{
    int code = file->is_open ? 0 : open_temporary(file, path, err);
    return code != 0 ? code : write_all(file->fd, path, bytes, err);
}

/* A rename is durable once the folder is synced. */
static int rename_into_place(const char *path, struct osr_err *err)
{
    char *temporary = temporary_name(path);
    char *copy = osr_strdup(path);
    int code = 0;

    if (rename(temporary, path) < 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "cannot rename %s", temporary);
    }
    int fd = code == 0 ? open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        if (fsync(fd) < 0) {
            code = (int)osr_err_errno(err, OSR_IO, errno, "cannot sync the folder of %s", path);
        }
        close(fd);
    }
    free(copy);
    free(temporary);
    return code;
}

int osr_mirror_file_commit(struct osr_mirror_file *file, const char *path, struct osr_err *err)
{
    int failed = fsync(file->fd) < 0 ? errno : 0;
    if (close(file->fd) < 0 && failed == 0) {
        failed = errno;
    }
    file->is_open = false;
    if (failed != 0) {
        return (int)osr_err_errno(err, OSR_IO, failed, "cannot write %s.new", path);
    }
    return rename_into_place(path, err);
}

void osr_mirror_file_abandon(struct osr_mirror_file *file, const char *path)
{
    if (!file->is_open) {
        return;
    }
    char *temporary = temporary_name(path);
    close(file->fd);
    unlink(temporary);
    file->is_open = false;
    free(temporary);
}
