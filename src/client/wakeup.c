#include "client/wakeup.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "adapter/clock.h"

int osr_wakeup_open(struct osr_wakeup *ret_wakeup, struct osr_err *err)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot make a pipe");
    }
    *ret_wakeup = (struct osr_wakeup){.read_fd = ends[0], .write_fd = ends[1]};
    return OSR_OK;
}

void osr_wakeup_close(struct osr_wakeup *wakeup)
{
    close(wakeup->read_fd);
    close(wakeup->write_fd);
}

void osr_wakeup_raise(const struct osr_wakeup *wakeup)
{
    int saved_errno = errno;
    /* A full pipe has enough in it. */
    ssize_t written = write(wakeup->write_fd, "!", 1);
    (void)written;
    errno = saved_errno;
}

bool osr_wakeup_take(const struct osr_wakeup *wakeup)
{
    char bytes[64];
    bool was_raised = false;
    while (read(wakeup->read_fd, bytes, sizeof(bytes)) > 0) {
        was_raised = true;
    }
    return was_raised;
}

int osr_wakeup_timeout(uint64_t deadline_ms)
{
    if (deadline_ms == UINT64_MAX) {
        return -1;
    }
    uint64_t now_ms = osr_monotonic_ms();
    uint64_t left_ms = deadline_ms > now_ms ? deadline_ms - now_ms : 0;
    return left_ms > INT32_MAX ? INT32_MAX : (int)left_ms;
}
