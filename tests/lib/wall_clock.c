/* wall_clock.c -- preloaded into a program, moves its wall clock, and no other, while it runs: the
 * file that OSIRIS_WALL_CLOCK names holds by how many seconds, as an int64 of this machine.
 * wall_clock.py writes it. */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *moved_s; /* NULL: it is not moved */
static __typeof__(&clock_gettime) next_clock_gettime;

__attribute__((constructor)) static void map_file(void)
{
    const char *path = getenv("OSIRIS_WALL_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) {
        return; /* as in a program that was started by this one */
    }
    void *mapped = mmap(NULL, sizeof(*moved_s), PROT_READ, MAP_SHARED, fd, 0);
    close(fd);
    if (mapped == MAP_FAILED) {
        abort();
    }
    moved_s = mapped;
}

/* ---- in front of the C library ---- */

#pragma GCC visibility push(default)

int clock_gettime(clockid_t clock, struct timespec *ret_now)
{
    if (next_clock_gettime == NULL) {
        next_clock_gettime =
            __extension__(__typeof__(&clock_gettime)) dlsym(RTLD_NEXT, "clock_gettime");
    }
    int result = next_clock_gettime(clock, ret_now);
    if (result == 0 && moved_s != NULL &&
        (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
        ret_now->tv_sec += *moved_s;
    }
    return result;
}

int gettimeofday(struct timeval *restrict ret_now, void *restrict zone)
{
    (void)zone;
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    *ret_now = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
    return 0;
}

time_t time(time_t *ret_now)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    if (ret_now != NULL) {
        *ret_now = now.tv_sec;
    }
    return now.tv_sec;
}

#pragma GCC visibility pop
