/* bench_consensus.c -- an instance like osirisd, which proposes commands to its own ledger: what
 * the engine does without a client protocol. The other members are osirisd processes.
 *
 *     bench_consensus OUTSTANDING,... SECONDS BYTES [osirisd's arguments]
 *
 * Waits until this member leads and all voters are reachable, then keeps so many puts of values of
 * that size under way for so many seconds, for each number in turn, and prints a line for each. */
#include <signal.h>
#include <string.h>
#include <uv.h>

#include "bench.h"
#include "core/kv.h"
#include "node/instance.h"
#include "node/ledger.h"

enum { KEYS = 100 * 1000, LATENCIES_MAX = 20 * 1000 * 1000, TIMEOUT_MS = 10 * 1000 };

struct bench {
    struct osr_instance *instance;
    struct osr_agreement *agreement;
    const char *rounds; /* that are left */
    uint64_t seconds;
    struct osr_buffer value;
    struct osr_buffer command;

    uint64_t outstanding;
    uint64_t under_way;
    uint64_t began_ns;
    bool is_over;
    uint64_t failures;
    uint64_t next_key;
    uint64_t *latencies;
    size_t count;
    uv_timer_t timer;
};

struct put {
    struct bench *bench;
    uint64_t began_ns;
};

static void on_put(void *context, const struct osr_agreed *agreed);

static void put_next(struct bench *bench, struct put *put)
{
    char key[32];
    snprintf(key, sizeof(key), "bench/%06llu", (unsigned long long)(bench->next_key++ % KEYS));
    const struct osr_kv_write write = {.key = osr_slice_text(key),
                                       .value = osr_buffer_slice(&bench->value)};
    osr_buffer_clear(&bench->command);
    osr_kv_encode(&write, &bench->command, NULL);
    put->began_ns = bench_now_ns();
    bench->agreement->propose(bench->agreement, OSR_MACHINE_KV, OSR_KV_VERSION,
                              osr_buffer_slice(&bench->command), TIMEOUT_MS, on_put, put);
}

static void print_round(struct bench *bench)
{
    double seconds = bench_seconds_since(bench->began_ns);
    uint64_t most = 0;
    for (size_t i = 0; i < bench->count; i++) {
        most = bench->latencies[i] > most ? bench->latencies[i] : most;
    }
    printf("outstanding=%llu committed_s=%.0f failures=%llu max_us=%.1f ",
           (unsigned long long)bench->outstanding, (double)bench->count / seconds,
           (unsigned long long)bench->failures, (double)most / 1e3);
    bench_print_latency(bench->latencies, bench->count);
    fflush(stdout);
}

static void on_pause_over(uv_timer_t *timer);

static void on_put(void *context, const struct osr_agreed *agreed)
{
    struct put *put = context;
    struct bench *bench = put->bench;
    bench->failures += agreed->code != OSR_OK;
    if (bench->count < LATENCIES_MAX) {
        bench->latencies[bench->count++] = bench_now_ns() - put->began_ns;
    }
    if (!bench->is_over) {
        bench->is_over = bench_seconds_since(bench->began_ns) > (double)bench->seconds;
    }
    if (!bench->is_over) {
        put_next(bench, put);
        return;
    }
    free(put);
    if (--bench->under_way == 0) {
        print_round(bench);
        uv_timer_start(&bench->timer, on_pause_over, 500, 0);
    }
}

static void on_pause_over(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    char *end;
    bench->outstanding = strtoull(bench->rounds, &end, 10);
    if (end == bench->rounds) {
        uv_close((uv_handle_t *)timer, NULL);
        osr_instance_stop(bench->instance);
        return;
    }
    bench->rounds = *end == ',' ? end + 1 : end;
    bench->count = bench->failures = 0;
    bench->is_over = false;
    bench->began_ns = bench_now_ns();
    bench->under_way = bench->outstanding;
    for (uint64_t i = 0; i < bench->outstanding; i++) {
        struct put *put = osr_alloc(sizeof(*put));
        put->bench = bench;
        put_next(bench, put);
    }
}

/* Leads, and every other member is there. */
static bool is_ready(struct osr_ledger *ledger)
{
    struct osr_arena *arena = osr_arena_create(0, 1 << 20);
    Osr__ClusterStatusResponse status;
    osr_ledger_status(ledger, arena, &status);
    bool is_ready = status.leader != 0 && status.leader == status.member;
    for (size_t i = 0; i < status.n_members; i++) {
        is_ready = is_ready && status.members[i]->reachable &&
                   status.members[i]->standing == OSR__MEMBER_STANDING__VOTER;
    }
    osr_arena_destroy(arena);
    return is_ready;
}

static void on_look(uv_timer_t *timer)
{
    struct bench *bench = timer->data;
    if (is_ready(osr_instance_ledger(bench->instance))) {
        uv_timer_start(timer, on_pause_over, 1000, 0);
    }
}

static void write_trace(void *context, enum osr_level level, const char *line)
{
    (void)context;
    if (level != OSR_LEVEL_TRACE) {
        fprintf(stderr, "%s\n", line);
    }
}

static void fail(const struct osr_err *err)
{
    fprintf(stderr, "bench_consensus: %s\n", err->message);
    exit(1);
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        fprintf(stderr,
                "usage: bench_consensus OUTSTANDING,... SECONDS BYTES [OSIRISD'S ARGUMENTS]\n");
        return 64;
    }
    signal(SIGPIPE, SIG_IGN);
    struct osr_err err;
    struct osr_config config;
    enum osr_config_action action;
    struct osr_trace trace = {.write = write_trace, .level = OSR_LEVEL_INFO};
    struct bench bench = {.rounds = argv[1], .seconds = strtoull(argv[2], NULL, 10)};
    bench.latencies = osr_alloc_unset(LATENCIES_MAX * sizeof(bench.latencies[0]));
    size_t bytes = (size_t)strtoull(argv[3], NULL, 10);
    memset(osr_buffer_reserve(&bench.value, bytes), 'v', bytes);
    bench.value.size = bytes;
    if (osr_config_read(argc - 3, argv + 3, &config, &action, &err) != 0 ||
        osr_instance_open(uv_default_loop(), &config, &trace, &bench.instance, &err) != 0) {
        fail(&err);
    }
    bench.agreement = osr_ledger_agreement(osr_instance_ledger(bench.instance));
    uv_timer_init(uv_default_loop(), &bench.timer);
    bench.timer.data = &bench;
    uv_timer_start(&bench.timer, on_look, 100, 100);
    int code = osr_instance_run(bench.instance, &err);
    osr_instance_close(bench.instance);
    if (code != 0) {
        fail(&err);
    }
    osr_config_done(&config);
    osr_buffer_done(&bench.value);
    osr_buffer_done(&bench.command);
    free(bench.latencies);
    return 0;
}
