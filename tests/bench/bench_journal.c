/* What a ledger can store in the journal: stores of some entries one after the other, some of them
 * outstanding, through the log thread and its syncs.
 *
 * usage: bench_journal FOLDER [SECONDS [ENTRIES [BYTES [OUTSTANDING [FEED]]]]]
 *
 * FEED: also so many facts a millisecond, as others write beside it. A base follows 32 MiB behind,
 * so that room is given back meanwhile. Prints entries a second, and how long `done` takes. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "node/journal.h"
#include "node/ledger_log.h"

enum {
    SAMPLES_MAX = 8 << 20,
    BASE_EVERY_BYTES = 32 << 20,
    STALL_US = 20000,
};

struct bench {
    uv_loop_t loop;
    struct osr_journal *journal;
    size_t entries;
    size_t bytes;
    size_t facts; /* a millisecond */
    uint64_t ends_us;
    uint64_t last; /* index */
    uint64_t unbased_bytes;
    size_t outstanding;
    uint32_t *samples; /* us */
    size_t sample_count;
    size_t stalls;
    uint64_t begun_us;
    uint64_t longest_us;
    uint64_t longest_at_us; /* since the beginning */
    uv_timer_t timer;
};

/* One store, used again and again. */
struct slot {
    struct bench *bench;
    struct osr_raft_entry *entries;
    uint64_t put_us;
};

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void fail(const char *what)
{
    fprintf(stderr, "bench_journal: %s\n", what);
    exit(1);
}

static void put(struct slot *slot);

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct slot *slot = context;
    struct bench *bench = slot->bench;
    uint64_t now = now_us();
    uint64_t took_us = now - slot->put_us;
    (void)ticket;
    if (code != OSR_OK) {
        fail("the disk is full");
    }
    if (bench->sample_count < SAMPLES_MAX) {
        bench->samples[bench->sample_count++] = (uint32_t)took_us;
    }
    bench->stalls += took_us > STALL_US;
    if (took_us > bench->longest_us) {
        bench->longest_us = took_us;
        bench->longest_at_us = now - bench->begun_us;
    }
    bench->outstanding--;
    if (now < bench->ends_us) {
        put(slot);
    } else if (bench->outstanding == 0) {
        uv_stop(&bench->loop);
    }
}

static void on_based(void *context, uint64_t ticket, enum osr_code code)
{
    (void)context;
    (void)ticket;
    (void)code;
}

static void put_base(struct bench *bench)
{
    const struct osr_ledger_store store = {
        .truncate_after = UINT64_MAX, .base = bench->last - 1, .base_term = 1, .done = on_based};
    bench->unbased_bytes = 0;
    osr_journal_ledger_store(bench->journal, &store);
}

static void put(struct slot *slot)
{
    struct bench *bench = slot->bench;
    for (size_t i = 0; i < bench->entries; i++) {
        slot->entries[i].index = ++bench->last;
    }
    const struct osr_ledger_store store = {.truncate_after = UINT64_MAX,
                                           .entries = slot->entries,
                                           .count = bench->entries,
                                           .done = on_stored,
                                           .context = slot};
    slot->put_us = now_us();
    bench->outstanding++;
    osr_journal_ledger_store(bench->journal, &store);
    bench->unbased_bytes += bench->entries * bench->bytes;
    if (bench->unbased_bytes >= BASE_EVERY_BYTES) {
        put_base(bench);
    }
}

static struct slot *make_slot(struct bench *bench)
{
    struct slot *slot = osr_alloc(sizeof(*slot));
    uint8_t *payload = osr_alloc(bench->bytes + 1);
    slot->bench = bench;
    slot->entries = osr_alloc(bench->entries * sizeof(slot->entries[0]));
    for (size_t i = 0; i < bench->entries; i++) {
        slot->entries[i] = (struct osr_raft_entry){
            .term = 1, .kind = OSR_RAFT_COMMAND, .payload = osr_slice(payload, bench->bytes)};
    }
    return slot;
}

static void on_millisecond(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    for (size_t i = 0; i < bench->facts; i++) {
        osr_journal_fact(bench->journal, "bench", osr_slice_text("a small local truth"), NULL,
                         NULL);
    }
}

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    (void)context;
    (void)batch;
    (void)log_id;
    (void)last_ordinal;
}

static void on_failure(void *context, const struct osr_err *err)
{
    (void)context;
    fail(err->message);
}

static void open_journal(struct bench *bench, const char *folder)
{
    struct osr_keys *keys;
    struct osr_err err;
    char *log = osr_format("%s/log", folder);
    const struct osr_journal_handler handler = {.on_release = on_release, .on_failure = on_failure};
    const struct osr_feed_restored *restored;
    size_t count;
    if (osr_keys_open(folder, &keys, &err) != 0) {
        fail(err.message);
    }
    const struct osr_journal_options options = {.folder = log, .keys = keys};
    if (osr_journal_open(&bench->loop, &options, &handler, &bench->journal, &restored, &count,
                         &err) != 0) {
        fail(err.message);
    }
    free(log);
}

static int compare(const void *one, const void *other)
{
    uint32_t a = *(const uint32_t *)one;
    uint32_t b = *(const uint32_t *)other;
    return (a > b) - (a < b);
}

static double percentile(const struct bench *bench, double part)
{
    return bench->samples[(size_t)((double)(bench->sample_count - 1) * part)] / 1000.0;
}

static size_t number(int argc, char **argv, int position, size_t otherwise)
{
    return argc > position ? strtoul(argv[position], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct bench bench = {.entries = number(argc, argv, 3, 64),
                          .bytes = number(argc, argv, 4, 256),
                          .facts = number(argc, argv, 6, 0)};
    uint64_t seconds = number(argc, argv, 2, 10);
    size_t slots = number(argc, argv, 5, 4);
    if (argc < 2) {
        fail("which folder?");
    }
    uv_loop_init(&bench.loop);
    bench.samples = osr_alloc(SAMPLES_MAX * sizeof(bench.samples[0]));
    open_journal(&bench, argv[1]);
    uv_timer_init(&bench.loop, &bench.timer);
    bench.timer.data = &bench;
    uv_timer_start(&bench.timer, on_millisecond, 1, 1);

    bench.begun_us = now_us();
    bench.ends_us = bench.begun_us + seconds * 1000000;
    for (size_t i = 0; i < slots; i++) {
        put(make_slot(&bench));
    }
    uv_run(&bench.loop, UV_RUN_DEFAULT);
    double took_s = (double)(now_us() - bench.begun_us) / 1e6;
    qsort(bench.samples, bench.sample_count, sizeof(bench.samples[0]), compare);
    printf("%zu x %zu bytes, %zu outstanding: %.0f entries/s, done p50 %.2f ms, p99 %.2f ms, "
           "max %.2f ms (after %.2f s), over 20 ms: %zu; log %.0f MiB\n",
           bench.entries, bench.bytes, slots, (double)bench.last / took_s, percentile(&bench, 0.5),
           percentile(&bench, 0.99), (double)bench.longest_us / 1000,
           (double)bench.longest_at_us / 1e6, bench.stalls,
           (double)osr_wal_bytes(osr_journal_wal(bench.journal)) / (1 << 20));
    return 0;
}
