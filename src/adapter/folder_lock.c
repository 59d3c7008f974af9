#include "adapter/folder_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/bytes.h"

enum { WAIT_MS = 2000, LOOK_MS = 20 };

struct osr_folder_lock {
    int fd;
};

/* Makes `path` and what lacks above it. */
static int make_folders(const char *path, struct osr_err *err)
{
    char *partial = osr_strdup(path);
    int code = 0;
    for (char *at = partial + 1; code == 0; at++) {
        bool is_last = *at == '\0';
        if (*at != '/' && !is_last) {
            continue;
        }
        *at = '\0';
        if (mkdir(partial, 0700) != 0 && errno != EEXIST) {
            code = osr_err_errno(err, OSR_IO, errno, "cannot make the folder %s", partial);
        }
        if (is_last) {
            break;
        }
        *at = '/';
    }
    free(partial);
    return code;
}

static int check_is_folder(const char *path, struct osr_err *err)
{
    struct stat status;
    if (stat(path, &status) != 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot use the data folder %s", path);
    }
    if (!S_ISDIR(status.st_mode)) {
        return (int)osr_err_set(err, OSR_FOREIGN_FILE, "%s is no folder", path);
    }
    return 0;
}

static int refuse_in_use(int fd, const char *folder, struct osr_err *err)
{
    char holder[32] = "";
    ssize_t size = pread(fd, holder, sizeof(holder) - 1, 0);
    holder[size > 0 ? strspn(holder, "0123456789") : 0] = '\0';
    osr_err_set(err, OSR_IN_USE, "the data folder %s is in use by process %s", folder,
                holder[0] != '\0' ? holder : "(unknown)");
    osr_err_hint(err, "stop that osirisd, or give this one a data folder of its own");
    return OSR_IN_USE;
}

static int write_holder(int fd, struct osr_err *err)
{
    char holder[32];
    int size = snprintf(holder, sizeof(holder), "%ld\n", (long)getpid());
    if (ftruncate(fd, 0) != 0 || pwrite(fd, holder, (size_t)size, 0) != size) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot write the lock file");
    }
    return 0;
}

/* A process that was killed holds its lock until it has come to its end, which takes as long as the
 * disk does for what it was writing. Ends with errno set. */
static bool lock_soon(int fd)
{
    for (unsigned waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB) != 0; waited_ms += LOOK_MS) {
        if (errno != EWOULDBLOCK || waited_ms >= WAIT_MS) {
            return false;
        }
        nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
    }
    return true;
}

int osr_folder_lock(const char *folder, struct osr_folder_lock **ret_lock, struct osr_err *err)
{
    int code = make_folders(folder, err);
    if (code == 0) {
        code = check_is_folder(folder, err);
    }
    if (code != 0) {
        return code;
    }
    char *path = osr_format("%s/lock", folder);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "cannot open %s", path);
        goto fail_open;
    }
    if (!lock_soon(fd)) {
        code = errno == EWOULDBLOCK
                   ? refuse_in_use(fd, folder, err)
                   : (int)osr_err_errno(err, OSR_IO, errno, "cannot lock %s", path);
        goto fail_lock;
    }
    /* A full disk does not matter here: the lock counts, the number is for people. */
    code = write_holder(fd, err);
    if (code != 0 && code != OSR_DISK_FULL) {
        goto fail_lock;
    }
    struct osr_folder_lock *lock = osr_alloc(sizeof(*lock));
    lock->fd = fd;
    free(path);
    *ret_lock = lock;
    return 0;

fail_lock:
    close(fd);
fail_open:
    free(path);
    return code;
}

void osr_folder_unlock(struct osr_folder_lock *lock)
{
    if (lock == NULL) {
        return;
    }
    close(lock->fd);
    free(lock);
}
