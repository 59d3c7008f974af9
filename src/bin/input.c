#include "bin/input.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static int read_all(int fd, const char *name, const char *what, size_t size_max,
                    struct osr_buffer *buffer, struct osr_err *err)
{
    enum { PIECE_BYTES = 64 << 10 };
    size_t begin = buffer->size;
    for (;;) {
        ssize_t got = read(fd, osr_buffer_reserve(buffer, PIECE_BYTES), PIECE_BYTES);
        if (got < 0) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot read %s", name);
        }
        if (got == 0) {
            return OSR_OK;
        }
        buffer->size += (size_t)got;
        if (buffer->size - begin > size_max) {
            return (int)osr_err_set(err, OSR_TOO_LARGE, "%s has at most %zu bytes", what, size_max);
        }
    }
}

int osr_input_read(const char *file, const char *what, size_t size_max, struct osr_buffer *buffer,
                   struct osr_err *err)
{
    if (strcmp(file, "-") == 0) {
        return read_all(STDIN_FILENO, "standard input", what, size_max, buffer, err);
    }
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return (int)osr_err_errno(err, errno == ENOENT ? OSR_NOT_FOUND : OSR_IO, errno,
                                  "cannot read %s", file);
    }
    int code = read_all(fd, file, what, size_max, buffer, err);
    close(fd);
    return code;
}
