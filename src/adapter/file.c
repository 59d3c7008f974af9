#include "adapter/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "adapter/clock.h"
#include "adapter/private_file.h"

enum {
    ZERO_BYTES = 256 << 10,        /* written at a time, to ... */
    ZERO_ALIGNMENT_MAX = 64 << 10, /* devices with blocks of that size at most, or by the cache */
    ZERO_REST_NS_MAX = 5 * 1000 * 1000
};

struct osr_file {
    int fd;
    char *path; /* for messages */
};

static int fail(struct osr_err *err, const char *what, const char *path)
{
    int number = errno;
    enum osr_code code = OSR_IO;

    switch (number) {
    case ENOENT:
        code = OSR_NOT_FOUND;
        break;
    case EEXIST:
        code = OSR_ALREADY_EXISTS;
        break;
    case EACCES:
    case EPERM:
        code = OSR_PERMISSION_DENIED;
        break;
    default:
        break;
    }
    return (int)osr_err_errno(err, code, number, "cannot %s %s", what, path);
}

static struct osr_file *make_file(int fd, const char *path)
{
    struct osr_file *file = osr_alloc(sizeof(*file));

    *file = (struct osr_file){fd, osr_strdup(path)};
    return file;
}

static int system_open(struct osr_disk *disk, const char *path, bool create,
                       struct osr_file **ret_file, struct osr_err *err)
{
    int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | (create ? O_CREAT | O_EXCL : 0);
    int fd;

    (void)disk;
    do {
        fd = open(path, flags, 0600);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) {
        return fail(err, create ? "create" : "open", path);
    }
    *ret_file = make_file(fd, path);
    return 0;
}

static void system_close(struct osr_disk *disk, struct osr_file *file)
{
    (void)disk;
    if (file == NULL) {
        return;
    }
    close(file->fd); /* what had to be safe was synced before; an error here says nothing new */
    free(file->path);
    free(file);
}

static int system_size(struct osr_disk *disk, struct osr_file *file, uint64_t *ret_size,
                       struct osr_err *err)
{
    struct stat status;

    (void)disk;
    if (fstat(file->fd, &status) != 0) {
        return fail(err, "look at", file->path);
    }
    *ret_size = (uint64_t)status.st_size;
    return 0;
}

static int system_write(struct osr_disk *disk, struct osr_file *file, uint64_t offset,
                        const void *data, size_t size, struct osr_err *err)
{
    const uint8_t *bytes = data;

    (void)disk;
    while (size > 0) {
        ssize_t written = pwrite(file->fd, bytes, size, (off_t)offset);
        if (written < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail(err, "write", file->path);
        }
        bytes += written;
        offset += (uint64_t)written;
        size -= (size_t)written;
    }
    return 0;
}

static int system_read(struct osr_disk *disk, struct osr_file *file, uint64_t offset, void *data,
                       size_t size, size_t *ret_size, struct osr_err *err)
{
    size_t done = 0;

    (void)disk;
    while (done < size) {
        ssize_t count =
            pread(file->fd, (uint8_t *)data + done, size - done, (off_t)(offset + done));
        if (count < 0) {
            if (errno == EINTR) {
                continue;
            }
            return fail(err, "read", file->path);
        }
        if (count == 0) {
            break;
        }
        done += (size_t)count;
    }
    *ret_size = done;
    return 0;
}

/* Finds out at once whether there is room, instead of filling the disk up to see. Not every file
 * system can say. */
static int reserve_room(const struct osr_file *file, uint64_t size, struct osr_err *err)
{
    int result;

    do {
        result = fallocate(file->fd, 0, 0, (off_t)size);
    } while (result != 0 && errno == EINTR);
    if (result == 0 || errno == EOPNOTSUPP || errno == ENOSYS) {
        return 0;
    }
    return fail(err, "reserve room for", file->path);
}

/* Brings a piece to the disk at once: all of them together at the end would hold up the syncs of
 * other files, behind 64 MiB. A later sync still makes it safe. */
static int flush_piece(const struct osr_file *file, uint64_t offset, size_t size,
                       struct osr_err *err)
{
    const unsigned int all =
        SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER;

    if (sync_file_range(file->fd, (off_t)offset, (off_t)size, all) == 0 || errno == ENOSYS) {
        return 0;
    }
    return fail(err, "flush", file->path);
}

/* Past the page cache, or through it again. False where the file system knows no other way. */
static bool bypass_cache(const struct osr_file *file, bool bypasses)
{
    int flags = fcntl(file->fd, F_GETFL);

    flags = bypasses ? flags | O_DIRECT : flags & ~O_DIRECT;
    return fcntl(file->fd, F_SETFL, flags) == 0;
}

static int zero_from(struct osr_disk *disk, struct osr_file *file, uint64_t offset, uint64_t end,
                     bool bypasses, struct osr_err *err)
{
    _Alignas(ZERO_ALIGNMENT_MAX) static const uint8_t zeros[ZERO_BYTES];
    int code = 0;

    while (code == 0 && offset < end) {
        size_t piece = end - offset < ZERO_BYTES ? (size_t)(end - offset) : ZERO_BYTES;
        uint64_t began_ns = osr_monotonic_ns();
        code = system_write(disk, file, offset, zeros, piece, err);
        if (code == 0 && !bypasses) {
            code = flush_piece(file, offset, piece, err);
        }
        offset += piece;
        osr_rest_since(began_ns, ZERO_REST_NS_MAX);
    }
    return code;
}

/* Nobody reads these zeros, so they need no room in memory, nor the time to copy them there. What
 * fails that way may still work in the ordinary one. */
static int system_zero(struct osr_disk *disk, struct osr_file *file, uint64_t size,
                       struct osr_err *err)
{
    uint64_t done = 0;
    int code = reserve_room(file, size, err);

    if (code == 0 && bypass_cache(file, true)) {
        uint64_t aligned = size - size % ZERO_ALIGNMENT_MAX;
        done = zero_from(disk, file, 0, aligned, true, NULL) == 0 ? aligned : 0;
        bypass_cache(file, false);
    }
    return code == 0 ? zero_from(disk, file, done, size, false, err) : code;
}

static int system_cut(struct osr_disk *disk, struct osr_file *file, uint64_t size,
                      struct osr_err *err)
{
    int result;

    (void)disk;
    do {
        result = ftruncate(file->fd, (off_t)size);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : fail(err, "cut", file->path);
}

static int system_sync(struct osr_disk *disk, struct osr_file *file, struct osr_err *err)
{
    int result;

    (void)disk;
    /* Not again after an error other than EINTR: the kernel forgets what it could not write. */
    do {
        result = fdatasync(file->fd);
    } while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : fail(err, "sync", file->path);
}

static int system_rename(struct osr_disk *disk, const char *from, const char *to,
                         struct osr_err *err)
{
    (void)disk;
    return rename(from, to) == 0 ? 0 : fail(err, "rename", from);
}

static int system_remove(struct osr_disk *disk, const char *path, struct osr_err *err)
{
    (void)disk;
    return unlink(path) == 0 ? 0 : fail(err, "remove", path);
}

static int system_make_folder(struct osr_disk *disk, const char *path, struct osr_err *err)
{
    struct stat status;

    (void)disk;
    if (mkdir(path, 0700) == 0) {
        return 0;
    }
    if (errno != EEXIST) {
        return fail(err, "make folder", path);
    }
    if (stat(path, &status) != 0) {
        return fail(err, "look at", path);
    }
    if (!S_ISDIR(status.st_mode)) {
        return (int)osr_err_set(err, OSR_ALREADY_EXISTS, "%s is there and is no folder", path);
    }
    return 0;
}

static int system_sync_folder(struct osr_disk *disk, const char *path, struct osr_err *err)
{
    int code = 0;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)disk;
    if (fd < 0) {
        return fail(err, "open folder", path);
    }
    if (fsync(fd) != 0) {
        code = fail(err, "sync folder", path);
    }
    close(fd);
    return code;
}

static int is_listed(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int system_list(struct osr_disk *disk, const char *path,
                       void (*visit)(void *context, const char *name), void *context,
                       struct osr_err *err)
{
    struct dirent **entries;
    int count = scandir(path, &entries, is_listed, by_name);

    (void)disk;
    if (count < 0) {
        return fail(err, "list", path);
    }
    for (int i = 0; i < count; i++) {
        visit(context, entries[i]->d_name);
        free(entries[i]);
    }
    free(entries);
    return 0;
}

static int system_check_private(struct osr_disk *disk, struct osr_file *file, unsigned forbidden,
                                struct osr_err *err)
{
    (void)disk;
    return osr_private_file_check(file->fd, "file", file->path, forbidden, err);
}

/* There is no waiting for a lock with an end: it is tried until then. */
static int lock_before(int fd, uint64_t deadline_ms)
{
    enum { PAUSE_MS = 10 };

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EINTR && (errno != EWOULDBLOCK || osr_monotonic_ms() >= deadline_ms)) {
            return errno;
        }
        struct timespec pause = {.tv_nsec = PAUSE_MS * 1000000L};
        nanosleep(&pause, NULL);
    }
    return 0;
}

static int system_lock_folder(struct osr_disk *disk, const char *path, unsigned wait_ms,
                              struct osr_file **ret_lock, struct osr_err *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    (void)disk;
    if (fd < 0) {
        return fail(err, "open", path);
    }
    int result = lock_before(fd, osr_monotonic_ms() + wait_ms);
    if (result != 0) {
        close(fd);
        return result == EWOULDBLOCK
                   ? (int)osr_err_set(err, OSR_BUSY, "somebody else is changing %s", path)
                   : (int)osr_err_errno(err, OSR_IO, result, "cannot lock %s", path);
    }
    *ret_lock = make_file(fd, path);
    return 0;
}

struct osr_disk *osr_disk_system(void)
{
    static const struct osr_disk_ops ops = {
        .open = system_open,
        .close = system_close,
        .size = system_size,
        .write = system_write,
        .read = system_read,
        .zero = system_zero,
        .cut = system_cut,
        .sync = system_sync,
        .rename = system_rename,
        .remove = system_remove,
        .make_folder = system_make_folder,
        .sync_folder = system_sync_folder,
        .list = system_list,
        .check_private = system_check_private,
        .lock_folder = system_lock_folder,
    };
    static struct osr_disk disk = {.ops = &ops};

    return &disk;
}
