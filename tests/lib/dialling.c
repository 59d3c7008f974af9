#include "lib/dialling.h"

#include "adapter/clock.h"

int dial_and_wait(const struct osr_url *url, uint32_t timeout_ms, int *ret_fd, struct osr_err *err)
{
    struct osr_dial *dial = NULL;
    int fd = -1;
    int code = osr_dial_start(url, timeout_ms, &dial, err);
    if (code == OSR_OK) {
        code = osr_dial_step(dial, &fd, err);
    }
    while (code == OSR_OK && fd < 0) {
        uint64_t until_ms;
        struct pollfd waited = osr_dial_wait(dial, &until_ms);
        uint64_t now_ms = osr_monotonic_ms();
        poll(&waited, 1, until_ms > now_ms ? (int)(until_ms - now_ms) : 0);
        code = osr_dial_step(dial, &fd, err);
    }
    osr_dial_destroy(dial);
    if (code == OSR_OK) {
        *ret_fd = fd;
    }
    return code;
}
