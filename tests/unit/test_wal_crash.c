/* What of the log survives: seeded runs with crashes on the simulated disk, and damage at rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/wal.h"
#include "base/random.h"
#include "lib/sim_disk.h"

enum {
    RUNS = 2000,
    ROUNDS = 4, /* lives of the process in one run */
    STEPS = 25, /* calls in one life */
    LOGS = 3,
    RECORDS_MAX = 4000, /* in one run */
    PAYLOAD_MAX = 3500,
    BATCH_MAX = 8,
};

static uint64_t current_seed; /* told when its run fails */

/* The first byte of a fact's payload is its key; of an empty one there is none. */
static struct osr_slice first_byte(const struct osr_wal_record *record)
{
    return osr_slice(record->payload.data, record->payload.size > 0 ? 1 : 0);
}

static const struct osr_wal_options small = {
    .segment_bytes_min = 8 << 10,
    .segment_bytes_max = 32 << 10,
    .seed = 11,
    .fact_key = first_byte,
};

/* A record as the test remembers it. */
struct fact {
    enum osr_wal_type type;
    uint32_t log_id;
    uint64_t index;
    size_t size;
    uint64_t content; /* the payload is made from it */
    bool is_void;     /* by a later record */
    bool is_anchor;   /* a base that later entries need, so no other voids it */
};

/* One run: the log, the disk below, and what should be in it. */
struct run {
    struct osr_sim_disk *disk;
    struct osr_random random;
    struct osr_wal *wal;
    struct osr_err err;
    struct fact facts[RECORDS_MAX]; /* by ordinal - 1 */
    size_t appended;                /* may be there */
    size_t durable;                 /* must be there */
    size_t found;                   /* at open, with those that a compaction took away */
    bool is_missing[RECORDS_MAX];   /* by ordinal - 1; of those */
    uint64_t compactions;           /* that made the log smaller */
    uint64_t base[LOGS];
    uint64_t last[LOGS];
    uint64_t contents; /* makes every payload unlike all before it */
};

static void fill_payload(uint8_t *payload, const struct fact *fact)
{
    struct osr_random random;

    osr_random_init(&random, fact->content);
    osr_random_fill(&random, payload, fact->size);
}

static void assert_is(const struct osr_wal_record *record, const struct fact *fact)
{
    uint8_t payload[PAYLOAD_MAX];

    assert_int_equal(record->type, fact->type);
    assert_int_equal(record->log_id, fact->log_id);
    assert_int_equal(record->index, fact->index);
    assert_int_equal(record->payload.size, fact->size);
    fill_payload(payload, fact);
    if (fact->size > 0)
        assert_memory_equal(record->payload.data, payload, fact->size);
}

static int check_found(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct run *run = context;

    (void)err;
    assert_in_range(record->ordinal, run->found + 1, run->appended);
    while (run->found + 1 < record->ordinal)
        run->is_missing[run->found++] = true;
    run->is_missing[run->found] = false;
    assert_is(record, &run->facts[run->found++]);
    return 0;
}

/* Only what is void by what was found may be missing. */
static void check_missing(const struct run *run)
{
    for (size_t i = 0; i < run->found; i++)
        assert_true(!run->is_missing[i] || run->facts[i].is_void);
}

static bool have_one_key(const struct fact *one, const struct fact *other)
{
    uint8_t keys[2][PAYLOAD_MAX];

    fill_payload(keys[0], one);
    fill_payload(keys[1], other);
    return one->size > 0 && other->size > 0 && keys[0][0] == keys[1][0];
}

/* Whether `newer` voids an older fact. */
static bool is_voided(const struct fact *fact, const struct fact *newer)
{
    bool is_entry_or_head = fact->type == OSR_WAL_ENTRY || fact->type == OSR_WAL_HEAD;
    bool is_base = fact->type == OSR_WAL_BASE;

    if (fact->log_id != newer->log_id)
        return false;
    switch (newer->type) {
    case OSR_WAL_TRUNCATE:
        return is_entry_or_head && fact->index > newer->index;
    case OSR_WAL_BASE:
        return (is_entry_or_head && fact->index <= newer->index) ||
               (is_base && !fact->is_anchor && fact->index < newer->index);
    case OSR_WAL_VOTE:
        return fact->type == OSR_WAL_VOTE;
    case OSR_WAL_FACT:
        return have_one_key(fact, newer);
    default:
        return false;
    }
}

/* A base that goes back changes nothing; one that jumps, or has entries cut off below it, says
 * where the next entry stands. */
static void judge_bases(struct run *run, struct fact *fact)
{
    uint64_t base = run->base[fact->log_id];

    if (fact->type == OSR_WAL_BASE) {
        fact->is_void = fact->index <= base;
        fact->is_anchor = fact->index > run->last[fact->log_id];
    }
    for (size_t i = 0; fact->type == OSR_WAL_TRUNCATE && i < run->appended; i++) {
        struct fact *older = &run->facts[i];
        older->is_anchor |= older->type == OSR_WAL_BASE && older->log_id == fact->log_id &&
                            older->index == base && fact->index < base;
    }
}

static void move_ends(struct run *run, const struct fact *fact)
{
    uint64_t *base = &run->base[fact->log_id];
    uint64_t *last = &run->last[fact->log_id];

    if (fact->type == OSR_WAL_ENTRY)
        *last = fact->index;
    if (fact->type == OSR_WAL_TRUNCATE && fact->index < *last)
        *last = fact->index < *base ? *base : fact->index;
    if (fact->type == OSR_WAL_BASE && fact->index > *base)
        *base = fact->index;
    if (*last < *base)
        *last = *base;
}

static void remember(struct run *run, struct fact fact)
{
    assert_true(run->appended < RECORDS_MAX);
    judge_bases(run, &fact);
    for (size_t i = 0; i < run->appended; i++)
        run->facts[i].is_void |= is_voided(&run->facts[i], &fact);
    move_ends(run, &fact);
    run->facts[run->appended++] = fact;
}

/* Forgets all facts behind the first `count`. */
static void forget(struct run *run, size_t count)
{
    run->appended = 0;
    memset(run->base, 0, sizeof(run->base));
    memset(run->last, 0, sizeof(run->last));
    while (run->appended < count) {
        struct fact fact = run->facts[run->appended];
        fact.is_void = fact.is_anchor = false;
        remember(run, fact);
    }
}

struct reading {
    const struct run *run;
    size_t next; /* position */
    bool any_log;
    uint32_t log_id;
};

static void pass_over(struct reading *reading)
{
    const struct run *run = reading->run;

    while (reading->next < run->appended) {
        const struct fact *fact = &run->facts[reading->next];
        bool is_wanted =
            reading->any_log || (fact->log_id == reading->log_id &&
                                 (fact->type == OSR_WAL_ENTRY || fact->type == OSR_WAL_HEAD));
        if (is_wanted && !fact->is_void)
            return;
        reading->next++;
    }
}

static int check_read(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct reading *reading = context;

    (void)err;
    pass_over(reading);
    assert_true(reading->next < reading->run->appended);
    assert_int_equal(record->ordinal, reading->next + 1);
    assert_is(record, &reading->run->facts[reading->next++]);
    return 0;
}

/* Every way to read gives what is expected. */
static void check_reads(struct run *run)
{
    struct reading all = {.run = run, .any_log = true};

    assert_int_equal(osr_wal_read_from(run->wal, 1, check_read, &all, &run->err), 0);
    pass_over(&all);
    assert_int_equal(all.next, run->appended);
    assert_int_equal(osr_wal_last_ordinal(run->wal), run->appended);
    for (uint32_t log_id = 1; log_id < LOGS; log_id++) {
        struct reading one = {.run = run, .log_id = log_id};
        assert_int_equal(osr_wal_last_index(run->wal, log_id), run->last[log_id]);
        assert_int_equal(osr_wal_base_index(run->wal, log_id), run->base[log_id]);
        if (run->last[log_id] == run->base[log_id])
            continue;
        assert_int_equal(
            osr_wal_read(run->wal, log_id, run->base[log_id] + 1, check_read, &one, &run->err), 0);
        pass_over(&one);
        assert_int_equal(one.next, run->appended);
    }
}

/* One life of a process begins: nothing that was durable is missing, nothing is invented. */
static int open_wal(struct run *run)
{
    int code;

    run->found = 0;
    code = osr_wal_open(osr_sim_disk_port(run->disk), "log", &small, check_found, run, &run->wal,
                        &run->err);
    if (code != 0) {
        run->wal = NULL;
        return code;
    }
    while (run->found < osr_wal_last_ordinal(run->wal))
        run->is_missing[run->found++] = true;
    assert_in_range(run->found, run->durable, run->appended);
    run->durable = run->found;
    forget(run, run->found);
    check_missing(run);
    check_reads(run);
    return 0;
}

static struct fact make_fact(struct run *run)
{
    struct fact fact = {
        .log_id = 1 + (uint32_t)osr_random_below(&run->random, LOGS - 1),
        .content = ++run->contents,
    };
    uint64_t base = run->base[fact.log_id];
    uint64_t last = run->last[fact.log_id];
    uint64_t choice = osr_random_below(&run->random, 20);

    fact.size = (size_t)osr_random_below(&run->random, choice == 0 ? PAYLOAD_MAX : 300);
    fact.type = OSR_WAL_ENTRY;
    fact.index = last + 1;
    if (choice == 1) {
        fact.type = OSR_WAL_TRUNCATE;
        fact.index = last > 3 ? last - 1 - osr_random_below(&run->random, 3) : last;
    } else if (choice < 5 && last > base) {
        fact.type = OSR_WAL_HEAD;
        fact.index = last - osr_random_below(&run->random, last - base < 3 ? last - base : 3);
    } else if (choice < 7) {
        fact.type = OSR_WAL_FACT;
        fact.log_id = 0;
        fact.index = 0;
    } else if (choice == 7) {
        fact.type = OSR_WAL_VOTE;
    } else if (choice == 8) { /* mostly below the last entry, now and then above it */
        fact.type = OSR_WAL_BASE;
        fact.index = base + osr_random_below(&run->random, last - base + 3);
    }
    return fact;
}

static int append(struct run *run)
{
    struct osr_wal_record records[BATCH_MAX];
    static uint8_t payloads[BATCH_MAX][PAYLOAD_MAX];
    size_t count = 1 + (size_t)osr_random_below(&run->random, BATCH_MAX);
    size_t before = run->appended;
    int code;

    for (size_t i = 0; i < count; i++) {
        struct fact fact = make_fact(run);
        remember(run, fact);
        fill_payload(payloads[i], &fact);
        records[i] = (struct osr_wal_record){
            .type = fact.type,
            .log_id = fact.log_id,
            .index = fact.index,
            .payload = osr_slice(payloads[i], fact.size),
        };
    }
    code = osr_wal_append(run->wal, records, count, &run->err);
    if (code == OSR_DISK_FULL) { /* all or nothing */
        forget(run, before);
        assert_int_equal(osr_wal_last_ordinal(run->wal), before);
        return 0;
    }
    return code;
}

static int sync_all(struct run *run)
{
    int code = osr_wal_sync(run->wal, &run->err);

    if (code == 0)
        run->durable = run->appended;
    return code;
}

static int compact(struct run *run)
{
    uint64_t bytes = osr_wal_bytes(run->wal);
    int code = osr_wal_compact(run->wal, &run->err);

    run->compactions += osr_wal_bytes(run->wal) < bytes;
    if (osr_sim_disk_is_down(run->disk))
        return OSR_SIM_DISK_DOWN;
    check_reads(run); /* whether it could be done or not */
    return code == OSR_DISK_FULL || code == OSR_IO ? 0 : code;
}

static int do_something(struct run *run)
{
    int code;

    switch (osr_random_below(&run->random, 11)) {
    case 0:
    case 1:
    case 2:
        return sync_all(run);
    case 3:
        return osr_wal_mark(run->wal, &run->err);
    case 4:
        code = osr_wal_prepare(run->wal, &run->err);
        return code == OSR_DISK_FULL ? 0 : code;
    case 5:
        return compact(run);
    default:
        return append(run);
    }
}

/* Arranges for something to go wrong, most of the time. */
static void arrange_trouble(struct run *run)
{
    uint64_t when = 1 + osr_random_below(&run->random, STEPS);

    switch (osr_random_below(&run->random, 6)) {
    case 0:
        osr_sim_disk_fail_sync(run->disk, when);
        break;
    case 1:
        osr_sim_disk_fail_write(run->disk, when);
        break;
    case 2:
    case 3:
        osr_sim_disk_crash_at(run->disk, when);
        break;
    default:
        break;
    }
    if (osr_random_chance(&run->random, 0.2))
        osr_sim_disk_set_capacity(run->disk, osr_sim_disk_used(run->disk) + (4 << 10));
}

static void end_life(struct run *run)
{
    if (run->wal != NULL && osr_random_chance(&run->random, 0.3))
        osr_wal_close(run->wal); /* in good order: with a mark */
    else if (run->wal != NULL) {
        osr_sim_disk_crash_at(run->disk, 1);
        osr_wal_close(run->wal);
    }
    run->wal = NULL;
    osr_sim_disk_set_capacity(run->disk, UINT64_MAX);
    if (osr_random_chance(&run->random, 0.6))
        osr_sim_disk_power_cut(run->disk);
    else
        osr_sim_disk_kill(run->disk);
}

static void live_once(struct run *run)
{
    int code;

    arrange_trouble(run);
    code = open_wal(run);
    for (int step = 0; code == 0 && step < STEPS; step++)
        code = do_something(run);
    if (code != 0)
        assert_true(code == OSR_IO || code == OSR_DISK_FULL || osr_sim_disk_is_down(run->disk));
    end_life(run);
}

/* After any crash all that was synced is there, in order, nothing else, and the log is usable. */
static void wal_keeps_what_was_synced(void **state)
{
    struct run *run = osr_alloc(sizeof(*run));
    struct osr_sim_disk_counts sum = {0};
    uint64_t records = 0;
    uint64_t compactions = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= RUNS; seed++) {
        const struct osr_sim_disk_counts *counts;
        memset(run, 0, sizeof(*run));
        osr_random_init(&run->random, seed);
        run->disk = osr_sim_disk_create(seed);
        current_seed = seed;
        for (int round = 0; round < ROUNDS; round++)
            live_once(run);
        assert_int_equal(open_wal(run), 0);
        osr_wal_close(run->wal);
        counts = osr_sim_disk_counts(run->disk);
        sum.power_cuts += counts->power_cuts;
        sum.kills += counts->kills;
        sum.sectors_dropped += counts->sectors_dropped;
        sum.faults += counts->faults;
        sum.full += counts->full;
        records += run->appended;
        compactions += run->compactions;
        osr_sim_disk_destroy(run->disk);
    }
    current_seed = 0;
    print_message("%d runs: %llu records, %llu compactions, %llu power cuts, %llu kills, %llu "
                  "sectors dropped, "
                  "%llu faults, %llu times full\n",
                  RUNS, (unsigned long long)records, (unsigned long long)compactions,
                  (unsigned long long)sum.power_cuts, (unsigned long long)sum.kills,
                  (unsigned long long)sum.sectors_dropped, (unsigned long long)sum.faults,
                  (unsigned long long)sum.full);
    assert_true(records > RUNS && sum.power_cuts > RUNS && sum.kills > RUNS && sum.faults > 100 &&
                sum.full > 100 && sum.sectors_dropped > RUNS && compactions > RUNS / 10);
    free(run);
}

static int tell_seed(void **state)
{
    (void)state;
    if (current_seed != 0)
        print_message("failed with seed %llu\n", (unsigned long long)current_seed);
    return 0;
}

/* A log of two segments in three groups: the first two synced, the third not. The files as the
 * process left them, so that damage can be tried on copies. */
struct specimen {
    struct run run;
    size_t synced; /* records of the first two groups */
    struct osr_buffer files[2];
};

static const char *const specimen_paths[] = {"log/0000000001.seg", "log/0000000002.seg"};

static void append_entries(struct run *run, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint8_t payload[PAYLOAD_MAX];
        struct fact fact = {
            .type = OSR_WAL_ENTRY,
            .log_id = 1,
            .index = run->last[1] + 1,
            .size = 300 + i,
            .content = ++run->contents,
        };
        struct osr_wal_record record = {
            .type = fact.type,
            .log_id = fact.log_id,
            .index = fact.index,
            .payload = osr_slice(payload, fact.size),
        };
        remember(run, fact);
        fill_payload(payload, &fact);
        assert_int_equal(osr_wal_append(run->wal, &record, 1, &run->err), 0);
    }
}

static const struct osr_wal_options smallest = {
    .segment_bytes_min = 8 << 10,
    .segment_bytes_max = 8 << 10,
    .seed = 11,
};

static int open_specimen(struct run *run)
{
    run->found = 0;
    run->wal = NULL;
    return osr_wal_open(osr_sim_disk_port(run->disk), "log", &smallest, check_found, run, &run->wal,
                        &run->err);
}

static struct specimen *make_specimen(size_t unsynced)
{
    struct specimen *specimen = osr_alloc(sizeof(*specimen));
    struct run *run = &specimen->run;

    run->disk = osr_sim_disk_create(1);
    assert_int_equal(open_specimen(run), 0);
    append_entries(run, 15);
    assert_int_equal(osr_wal_sync(run->wal, &run->err), 0);
    append_entries(run, 2);
    assert_int_equal(osr_wal_sync(run->wal, &run->err), 0);
    specimen->synced = run->appended;
    append_entries(run, unsynced);
    return specimen;
}

/* Kills the process and keeps what it left. */
static void keep_files(struct specimen *specimen)
{
    osr_sim_disk_kill(specimen->run.disk);
    osr_wal_close(specimen->run.wal); /* too late for a mark */
    for (size_t i = 0; i < 2; i++) {
        struct osr_slice content = osr_sim_disk_content(specimen->run.disk, specimen_paths[i]);
        assert_true(content.size > 0);
        osr_buffer_add(&specimen->files[i], content.data, content.size);
    }
}

static void free_specimen(struct specimen *specimen)
{
    osr_buffer_done(&specimen->files[0]);
    osr_buffer_done(&specimen->files[1]);
    osr_sim_disk_destroy(specimen->run.disk);
    free(specimen);
}

static void restore_files(struct specimen *specimen)
{
    for (size_t i = 0; i < 2; i++)
        osr_sim_disk_put(specimen->run.disk, specimen_paths[i],
                         osr_buffer_slice(&specimen->files[i]));
    osr_sim_disk_kill(specimen->run.disk);
}

/* Opens the damaged log: it is refused and left alone, or has all that was synced. Returns
 * whether it was refused. */
static bool try_damaged(struct specimen *specimen, const char *path)
{
    struct run *run = &specimen->run;
    struct osr_buffer before = {0};
    struct osr_slice content = osr_sim_disk_content(run->disk, path);
    int code;

    osr_buffer_add(&before, content.data, content.size);
    code = open_specimen(run);
    if (code == 0) {
        assert_true(run->found >= specimen->synced);
        osr_wal_close(run->wal);
    } else {
        assert_true(code == OSR_CORRUPT || code == OSR_FOREIGN_FILE);
        assert_non_null(strstr(run->err.message, "offset") != NULL
                            ? strstr(run->err.message, ".seg")
                            : strstr(run->err.message, "not a segment"));
        assert_true(
            osr_slice_equal(osr_sim_disk_content(run->disk, path), osr_buffer_slice(&before)));
    }
    osr_buffer_done(&before);
    restore_files(specimen);
    return code != 0;
}

static size_t flip_every_byte(struct specimen *specimen)
{
    size_t refused = 0;

    for (size_t file = 0; file < 2; file++) {
        for (size_t at = 0; at < specimen->files[file].size; at++) {
            osr_sim_disk_flip(specimen->run.disk, specimen_paths[file], at, (uint8_t)(1 << at % 8));
            refused += try_damaged(specimen, specimen_paths[file]);
        }
    }
    return refused;
}

/* A flipped bit in what was synced is found, wherever it is, if anything was written after it. */
static void wal_finds_every_flipped_bit(void **state)
{
    struct specimen *specimen = make_specimen(3);

    (void)state;
    keep_files(specimen);
    assert_true(flip_every_byte(specimen) > specimen->synced * 300);
    free_specimen(specimen);
}

/* A mark vouches for the last group as well. */
static void wal_mark_vouches_for_the_last_group(void **state)
{
    struct specimen *specimen = make_specimen(0);

    (void)state;
    assert_int_equal(osr_wal_mark(specimen->run.wal, &specimen->run.err), 0);
    keep_files(specimen);
    assert_true(flip_every_byte(specimen) > specimen->synced * 300);
    free_specimen(specimen);
}

/* A lost sector in what was synced is found like a flipped bit. */
static void wal_finds_every_lost_sector(void **state)
{
    static const uint8_t zeros[OSR_SIM_DISK_SECTOR_BYTES];
    struct specimen *specimen = make_specimen(6);
    size_t refused = 0;

    (void)state;
    keep_files(specimen);
    for (size_t file = 0; file < 2; file++) {
        for (size_t at = 0; at < specimen->files[file].size; at += sizeof(zeros)) {
            struct osr_buffer damaged = {0};
            osr_buffer_add(&damaged, specimen->files[file].data, specimen->files[file].size);
            memcpy(damaged.data + at, zeros, sizeof(zeros));
            osr_sim_disk_put(specimen->run.disk, specimen_paths[file], osr_buffer_slice(&damaged));
            osr_buffer_done(&damaged);
            refused += try_damaged(specimen, specimen_paths[file]);
        }
    }
    assert_true(refused >= 9);
    free_specimen(specimen);
}

/* The limit: damage to the last synced group, with nothing written after it, is taken for a torn
 * tail; the groups before it are not touched. */
static void wal_cuts_the_last_group_if_nothing_vouches_for_it(void **state)
{
    struct specimen *specimen = make_specimen(0);
    struct run *run = &specimen->run;
    size_t last;

    (void)state;
    keep_files(specimen);
    last = specimen->files[1].size - 1;
    while (specimen->files[1].data[last] == 0)
        last--;
    osr_sim_disk_flip(run->disk, specimen_paths[1], last, 1);
    assert_int_equal(open_specimen(run), 0);
    assert_int_equal(run->found, specimen->synced - 1);
    osr_wal_close(run->wal);
    free_specimen(specimen);
}

/* Where the record at a position stands in its segment. */
static size_t offset_of(const struct run *run, size_t position)
{
    const size_t first = 4096 + 32;
    size_t offset = first;

    for (size_t i = 0; i < position; i++) {
        offset += (28 + run->facts[i].size + 7) / 8 * 8;
        if (offset + (28 + run->facts[i + 1].size + 7) / 8 * 8 > smallest.segment_bytes_max)
            offset = first;
    }
    return offset;
}

/* What a torn tail leaves behind its gap never comes back, whatever is written over the gap. */
static void wal_torn_tail_stays_cut(void **state)
{
    struct specimen *specimen = make_specimen(4);
    struct run *run = &specimen->run;
    size_t torn_size;

    (void)state;
    keep_files(specimen);
    osr_sim_disk_flip(run->disk, specimen_paths[1], offset_of(run, specimen->synced) + 40, 1);
    assert_int_equal(open_specimen(run), 0);
    assert_int_equal(run->found, specimen->synced);
    forget(run, run->found);
    torn_size = run->facts[specimen->synced].size;
    append_entries(run, 1);
    /* So the whole records behind the torn one would go on in the right place. */
    assert_int_equal(run->facts[specimen->synced].size, torn_size);
    assert_int_equal(osr_wal_sync(run->wal, &run->err), 0);
    osr_sim_disk_kill(run->disk);
    osr_wal_close(run->wal);
    assert_int_equal(open_specimen(run), 0);
    assert_int_equal(run->found, specimen->synced + 1);
    osr_wal_close(run->wal);
    free_specimen(specimen);
}

/* What was read after a failed sync and a restart is on the disk afterwards. */
static void wal_writes_again_what_a_failed_sync_may_have_lost(void **state)
{
    struct specimen *specimen = make_specimen(4);
    struct run *run = &specimen->run;

    (void)state;
    osr_sim_disk_fail_sync(run->disk, 1);
    assert_int_equal(osr_wal_sync(run->wal, &run->err), OSR_IO);
    osr_wal_close(run->wal);
    osr_sim_disk_kill(run->disk);
    assert_int_equal(open_specimen(run), 0);
    assert_int_equal(run->found, specimen->synced + 4);
    osr_sim_disk_power_cut(run->disk);
    osr_wal_close(run->wal);
    assert_int_equal(open_specimen(run), 0);
    assert_int_equal(run->found, specimen->synced + 4);
    osr_wal_close(run->wal);
    free_specimen(specimen);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(wal_keeps_what_was_synced, tell_seed),
        cmocka_unit_test(wal_finds_every_flipped_bit),
        cmocka_unit_test(wal_mark_vouches_for_the_last_group),
        cmocka_unit_test(wal_finds_every_lost_sector),
        cmocka_unit_test(wal_cuts_the_last_group_if_nothing_vouches_for_it),
        cmocka_unit_test(wal_torn_tail_stays_cut),
        cmocka_unit_test(wal_writes_again_what_a_failed_sync_may_have_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
