/* bench.h -- what the load generators share: time, percentiles, one line of results. */
#ifndef OSR_TESTS_BENCH_H
#define OSR_TESTS_BENCH_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { BENCH_ITEM_BYTES = 256, BENCH_SAMPLES_MAX = 100000, BENCH_PAUSE_US = 2000 };

static inline uint64_t bench_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static inline double bench_seconds_since(uint64_t began_ns)
{
    return (double)(bench_now_ns() - began_ns) / 1e9;
}

/* Of this thread, so that what else the machine does counts little. */
static inline double bench_cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static inline int bench_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* Sorts the samples (ns) and prints their percentiles in us. */
static inline void bench_print_latency(uint64_t *samples, size_t count)
{
    if (count == 0) {
        fprintf(stderr, "no samples\n");
        exit(1);
    }
    qsort(samples, count, sizeof(*samples), bench_compare);
    printf("n=%zu p50_us=%.1f p99_us=%.1f\n", count, (double)samples[count / 2] / 1e3,
           (double)samples[count * 99 / 100] / 1e3);
}

static inline void bench_print_rate(uint64_t items, double leader_s, double visible_s)
{
    printf("items=%llu leader_items_s=%.0f visible_items_s=%.0f\n", (unsigned long long)items,
           (double)items / leader_s, (double)items / visible_s);
}

#endif
