#include "bin/secret_input.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "adapter/authority.h"
#include "adapter/whole_file.h"

static int read_standard_input(const char *what, size_t size_max, struct osr_buffer *buffer,
                               struct osr_err *err)
{
    osr_buffer_reserve(buffer, size_max + 1); /* once: no copy of a secret is left behind */
    while (buffer->size <= size_max) {
        ssize_t size = read(STDIN_FILENO, buffer->data + buffer->size, size_max + 1 - buffer->size);
        if (size == 0) {
            return OSR_OK;
        }
        if (size < 0 && errno != EINTR) {
            return (int)osr_err_errno(err, OSR_IO, errno, "cannot read the %s from standard input",
                                      what);
        }
        buffer->size += size > 0 ? (size_t)size : 0;
    }
    return osr_err_set(err, OSR_TOO_LARGE, "standard input: a %s has at most %zu bytes", what,
                       size_max);
}

static bool is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t' || byte == '\r' || byte == '\n';
}

static void trim(struct osr_buffer *buffer)
{
    size_t begin = 0;

    while (buffer->size > 0 && is_blank(buffer->data[buffer->size - 1])) {
        buffer->size--;
    }
    while (begin < buffer->size && is_blank(buffer->data[begin])) {
        begin++;
    }
    buffer->size -= begin;
    memmove(buffer->data, buffer->data + begin, buffer->size);
}

int osr_secret_input(const char *file, const char *what, size_t size_max, struct osr_buffer *buffer,
                     struct osr_err *err)
{
    int code = strcmp(file, "-") == 0 ? read_standard_input(what, size_max, buffer, err)
                                      : osr_file_read_secret(file, what, size_max, buffer, err);
    if (code != OSR_OK) {
        osr_secret_buffer_done(buffer);
        return code;
    }
    if (buffer->size > 0) {
        trim(buffer);
    }
    if (buffer->size == 0) {
        osr_secret_buffer_done(buffer);
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "%s: there is no %s in it",
                           strcmp(file, "-") == 0 ? "standard input" : file, what);
    }
    return OSR_OK;
}
