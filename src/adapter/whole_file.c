#include "adapter/whole_file.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "adapter/private_file.h"

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

static int open_to_read(const char *path, int *ret_fd, struct osr_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return (int)osr_err_errno(err, errno == ENOENT ? OSR_NOT_FOUND : OSR_IO, errno,
                                  "cannot open %s", path);
    }
    *ret_fd = fd;
    return 0;
}

int osr_file_read_whole(const char *path, size_t size_max, struct osr_buffer *buffer,
                        struct osr_err *err)
{
    int fd = -1;
    int code = open_to_read(path, &fd, err);
    if (code != 0) {
        return code;
    }
    code = check_file(path, fd, size_max, err);
    if (code == 0) {
        code = read_to_end(path, fd, size_max, buffer, err);
    }
    close(fd);
    return code;
}

/* One byte of room beyond what may be read shows that there is more. */
static int read_at_once(const char *path, int fd, size_t size_max, struct osr_buffer *buffer,
                        struct osr_err *err)
{
    uint8_t *room = osr_buffer_reserve(buffer, size_max + 1);
    ssize_t size = read(fd, room, size_max + 1);
    if (size < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot read %s", path);
    }
    buffer->size = (size_t)size;
    if (buffer->size > size_max) {
        explicit_bzero(buffer->data, buffer->size);
        buffer->size = 0;
        return (int)osr_err_set(err, OSR_TOO_LARGE, "%s has over %zu bytes", path, size_max);
    }
    return 0;
}

int osr_file_read_secret(const char *path, const char *what, size_t size_max,
                         struct osr_buffer *buffer, struct osr_err *err)
{
    int fd = -1;
    int code = open_to_read(path, &fd, err);
    if (code != 0) {
        return code;
    }
    code = osr_private_file_check(fd, what, path, OSR_PRIVATE_SECRET, err);
    if (code == 0) {
        code = read_at_once(path, fd, size_max, buffer, err);
    }
    close(fd);
    return code;
}
