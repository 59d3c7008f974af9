#include "bench_bare.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/resource.h>

enum { LOST_S = 1 }; /* one that has not come by then never does */

static sem_t room;
static atomic_ullong received;
static uint64_t samples[BENCH_SAMPLES_MAX];
static atomic_size_t sample_count;

void bare_check(int ok, const char *what)
{
    if (!ok) {
        fprintf(stderr, "%s: %s\n", what, strerror(errno));
        exit(1);
    }
}

void bare_received(const void *message, size_t size)
{
    uint64_t sent_ns;
    size_t index = atomic_load(&sample_count);
    bare_check(size >= sizeof(sent_ns), "a message is too short");
    memcpy(&sent_ns, message, sizeof(sent_ns));
    if (index < BENCH_SAMPLES_MAX) {
        samples[index] = bench_now_ns() - sent_ns;
        atomic_store(&sample_count, index + 1);
    }
    atomic_fetch_add(&received, 1);
    sem_post(&room);
}

static void wait_for_room(void)
{
    struct timespec deadline;
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += LOST_S;
    while (sem_timedwait(&room, &deadline) != 0) {
        if (errno != EINTR) {
            return;
        }
    }
}

static void send_one(const struct bare_carrier *carrier, uint8_t *message, size_t size)
{
    wait_for_room();
    uint64_t now_ns = bench_now_ns();
    memcpy(message, &now_ns, sizeof(now_ns));
    carrier->send(message, size);
}

static void *run_receiver(void *context)
{
    ((const struct bare_carrier *)context)->receive();
    return NULL;
}

static double process_cpu_s(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Until the window is empty again, or what is left in it is lost. */
static void wait_for_all(int window)
{
    for (int i = 0; i < window; i++) {
        wait_for_room();
    }
}

int bare_main(int argc, char **argv, const struct bare_carrier *carrier)
{
    static uint8_t message[BARE_BYTES_MAX];
    if (argc != 6) {
        fprintf(stderr, "usage: %s rate|latency SECONDS BYTES WINDOW PLACE\n", argv[0]);
        return 64;
    }
    int is_rate = strcmp(argv[1], "rate") == 0;
    double seconds = strtod(argv[2], NULL);
    size_t size = strtoul(argv[3], NULL, 10);
    int window = is_rate ? atoi(argv[4]) : 1;
    bare_check(size >= BARE_BYTES_MIN && size <= BARE_BYTES_MAX && window > 0, "no such message");
    memset(message, 'x', size);
    sem_init(&room, 0, (unsigned)window);
    carrier->open(argv[5]);
    if (carrier->receive != NULL) {
        pthread_t thread;
        bare_check(pthread_create(&thread, NULL, run_receiver, (void *)carrier) == 0, "a thread");
    }
    double cpu_s = process_cpu_s();
    uint64_t began_ns = bench_now_ns();
    while (bench_seconds_since(began_ns) < seconds) {
        send_one(carrier, message, size);
    }
    wait_for_all(window);
    double took_s = bench_seconds_since(began_ns);
    unsigned long long count = atomic_load(&received);
    if (is_rate) {
        printf("items=%llu items_s=%.0f cpu_us=%.3f\n", count, (double)count / took_s,
               (process_cpu_s() - cpu_s) * 1e6 / (double)(count > 0 ? count : 1));
    } else {
        bench_print_latency(samples, atomic_load(&sample_count));
    }
    fflush(stdout);
    _Exit(0); /* the libraries' threads still run */
}
