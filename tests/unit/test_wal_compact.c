/* Compaction: what is void goes, and nothing else is different afterwards. Seeded runs with
 * compactions and crashes are in test_wal_crash.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/wal_segment.h"
#include "lib/log_fixture.h"
#include "lib/scratch.h"

static void compact(struct log_fixture *fixture)
{
    assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
}

static size_t compact_all(struct log_fixture *fixture)
{
    size_t count = 0;

    while (osr_wal_is_compactable(fixture->wal)) {
        compact(fixture);
        count++;
    }
    return count;
}

/* All that readers see, twice: before and after an open. */
static void assert_reads(struct log_fixture *fixture, const char *expected, uint64_t last)
{
    for (int i = 0; i < 2; i++) {
        assert_string_equal(log_read_from(fixture, 1), expected);
        assert_int_equal(osr_wal_last_ordinal(fixture->wal), last);
        log_reopen(fixture);
    }
}

enum { LAST = 134 }; /* entry of log 1 in these */

/* Fills segments 1 and 2 with entries of log 1, among other records, and begins segment 3. */
static void fill_two_segments(struct log_fixture *fixture)
{
    log_open(fixture);
    log_append(fixture, OSR_WAL_LOG, 1, 0, "one");
    log_append(fixture, OSR_WAL_VOTE, 1, 1, "first");
    log_append_many(fixture, 10, 300);
    log_append(fixture, OSR_WAL_HEAD, 1, 8, "of eight");
    log_append(fixture, OSR_WAL_FACT, 0, 0, "kept");
    log_append(fixture, OSR_WAL_ENTRY, 2, 1, "another log's");
    log_append_many(fixture, 40, 300);
    log_append(fixture, OSR_WAL_ENTRY, 2, 2, "another log's");
    log_append_many(fixture, 140, 300);
    log_append(fixture, OSR_WAL_VOTE, 1, 2, "second");
    log_sync(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), LAST);
    assert_int_not_equal(log_segment_bytes(fixture, 3), 0);
}

/* Below a base nothing is left but what is no entry, in a file as small as that. */
static void wal_compaction_takes_away_what_is_below_the_base(void **state)
{
    static const char kept[] = "L1.0=one F0.0=kept E2.1=another log's E2.2=another log's "
                               "V1.2=second B1.134= ";
    struct log_fixture *fixture = *state;
    uint64_t bytes;

    fill_two_segments(fixture);
    assert_false(osr_wal_is_compactable(fixture->wal));
    log_append(fixture, OSR_WAL_BASE, 1, osr_wal_last_index(fixture->wal, 1), "");
    log_sync(fixture);
    bytes = osr_wal_bytes(fixture->wal);
    assert_string_equal(log_read_from(fixture, 1), kept);
    assert_in_range(compact_all(fixture), 1, 3);
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 512);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    assert_in_range(osr_wal_bytes(fixture->wal), 1, bytes - (32 << 10));
    assert_reads(fixture, kept, 142);
    assert_false(osr_wal_is_compactable(fixture->wal));
    log_append(fixture, OSR_WAL_ENTRY, 1, LAST + 1, "next");
    assert_string_equal(log_read(fixture, 1, LAST + 1), "E1.135=next ");
}

/* What open tells of a compacted log: no void entry of it, and what voided them. */
static void wal_open_tells_what_a_compaction_left(void **state)
{
    struct log_fixture *fixture = *state;

    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_BASE, 1, LAST, "");
    log_sync(fixture);
    compact_all(fixture);
    log_reopen(fixture);
    assert_memory_equal(log_seen(fixture),
                        "L1.0=one F0.0=kept E2.1=another log's E2.2=another log's ", 57);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), LAST);
    assert_int_equal(osr_wal_last_index(fixture->wal, 2), 2);
}

/* Truncated entries and their heads go from a segment, the tail that came instead stays. */
static void wal_compaction_takes_away_what_was_truncated(void **state)
{
    struct log_fixture *fixture = *state;
    uint64_t ordinal;

    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 3, "");
    log_append(fixture, OSR_WAL_ENTRY, 1, 4, "anew");
    log_append(fixture, OSR_WAL_HEAD, 1, 4, "anew");
    log_sync(fixture);
    ordinal = osr_wal_last_ordinal(fixture->wal);
    assert_in_range(compact_all(fixture), 1, 3);
    for (int i = 0; i < 2; i++) {
        log_read(fixture, 1, 1);
        assert_in_range(fixture->seen.size, 3 * 300, 3 * 300 + 50);
        assert_string_equal(log_read(fixture, 1, 4), "E1.4=anew H1.4=anew ");
        assert_int_equal(osr_wal_last_ordinal(fixture->wal), ordinal);
        log_reopen(fixture);
    }
}

/* A segment may be rewritten again as more of it becomes void. */
static void wal_compacts_a_segment_again(void **state)
{
    struct log_fixture *fixture = *state;

    fill_two_segments(fixture);
    for (uint64_t base = 20; base <= 130; base += 5) {
        log_append(fixture, OSR_WAL_BASE, 1, base, "");
        log_sync(fixture);
        compact_all(fixture);
        log_read(fixture, 1, base + 1);
        assert_in_range(fixture->seen.size, (LAST - base) * 300, (LAST - base) * 312);
        if (base % 10 == 0)
            log_reopen(fixture);
        assert_int_equal(osr_wal_last_index(fixture->wal, 1), LAST);
    }
    /* It is not done for less than a block of 4096. */
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 512 + 4096 + 4 * 340);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
}

/* Nothing is taken away before that which voids it is safe from a power cut. */
static void wal_compaction_waits_for_what_voids(void **state)
{
    struct log_fixture *fixture = *state;
    size_t bytes;

    fill_two_segments(fixture);
    bytes = log_segment_bytes(fixture, 1);
    log_append(fixture, OSR_WAL_BASE, 1, LAST, "");
    assert_false(osr_wal_is_compactable(fixture->wal));
    compact(fixture);
    assert_int_equal(log_segment_bytes(fixture, 1), bytes);
    log_sync(fixture);
    assert_true(osr_wal_is_compactable(fixture->wal));
    log_append(fixture, OSR_WAL_VOTE, 1, 3, "third");
    assert_false(osr_wal_is_compactable(fixture->wal));
    log_sync(fixture);
    compact(fixture);
    assert_in_range(log_segment_bytes(fixture, 1) + log_segment_bytes(fixture, 2), 1, bytes * 2);
}

/* What happens while a segment is read for compaction, once. */
static struct log_fixture *meddled_with;
static const struct osr_disk_ops *plain_ops;

static int meddling_read(struct osr_disk *disk, struct osr_file *file, uint64_t offset, void *data,
                         size_t size, size_t *ret_size, struct osr_err *err)
{
    struct log_fixture *fixture = meddled_with;

    meddled_with = NULL;
    if (fixture != NULL)
        log_append(fixture, OSR_WAL_BASE, 1, LAST, "");
    return plain_ops->read(disk, file, offset, data, size, ret_size, err);
}

/* The same where it comes while the compaction is under way. */
static void wal_compaction_waits_for_what_voids_meanwhile(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_disk_ops ops = *fixture->disk->ops;

    plain_ops = fixture->disk->ops;
    ops.read = meddling_read;
    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_BASE, 1, 100, "");
    log_sync(fixture);
    fixture->disk->ops = &ops;
    meddled_with = fixture;
    compact(fixture);
    fixture->disk->ops = plain_ops;
    assert_null(meddled_with);
    assert_int_equal(osr_wal_base_index(fixture->wal, 1), LAST);
    assert_null(osr_sim_disk_content(fixture->sim, "log/0000000002.seg.tmp").data);
    osr_sim_disk_power_cut(fixture->sim);
    log_close(fixture);
    log_open(fixture);
    if (osr_wal_base_index(fixture->wal, 1) == 100)
        log_read(fixture, 1, 101);
    log_append(fixture, OSR_WAL_BASE, 1, LAST, "");
    log_sync(fixture);
    assert_in_range(compact_all(fixture), 1, 3);
}

struct compacting_reader {
    struct log_fixture *fixture;
    size_t records;
};

static int compact_meanwhile(void *context, const struct osr_wal_record *record,
                             struct osr_err *err)
{
    struct compacting_reader *reader = context;

    (void)err;
    assert_int_equal(record->payload.size, record->type == OSR_WAL_ENTRY ? 300 : 8);
    if (reader->records++ == 0) {
        log_append(reader->fixture, OSR_WAL_BASE, 1, 130, "");
        log_sync(reader->fixture);
        compact_all(reader->fixture);
    }
    return 0;
}

/* Who reads a segment meanwhile goes on in the old file, and then in the new ones. */
static void wal_is_read_while_it_is_compacted(void **state)
{
    struct log_fixture *fixture = *state;
    struct compacting_reader reader = {.fixture = fixture};

    fill_two_segments(fixture);
    assert_int_equal(osr_wal_read(fixture->wal, 1, 1, compact_meanwhile, &reader, &fixture->err),
                     0);
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 512);
    /* The rest of the first piece, and of the segments behind what counts. */
    assert_in_range(reader.records, 30 + 6, 60);
}

/* With no room for the new file, or on a disk that fails, all stays as it was. */
static void wal_compaction_that_fails_changes_nothing(void **state)
{
    struct log_fixture *fixture = *state;
    uint64_t used;

    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_BASE, 1, 120, "");
    log_sync(fixture);
    used = osr_sim_disk_used(fixture->sim);
    for (int i = 0; i < 7; i++) {
        int code;
        osr_sim_disk_set_capacity(fixture->sim, i < 3 ? used + (uint64_t)i * 2000 : UINT64_MAX);
        osr_sim_disk_fail_write(fixture->sim, i == 3 ? 1 : i == 4 ? 2 : 0);
        osr_sim_disk_fail_sync(fixture->sim, i == 5 ? 1 : i == 6 ? 2 : 0);
        code = osr_wal_compact(fixture->wal, &fixture->err);
        assert_int_equal(code, i < 3 ? OSR_DISK_FULL : i < 6 ? OSR_IO : 0);
        if (i < 6)
            assert_int_equal(osr_sim_disk_used(fixture->sim), used);
        log_read(fixture, 1, 121);
        assert_in_range(fixture->seen.size, (LAST - 120) * 300, (LAST - 120) * 312);
        osr_sim_disk_fail_sync(fixture->sim, 0);
    }
    log_append(fixture, OSR_WAL_ENTRY, 1, LAST + 1, "goes on");
    log_sync(fixture);
    log_reopen(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), LAST + 1);
}

/* Wherever the power is cut, before or after: what is read is the same. */
static void wal_compaction_survives_a_power_cut_at_any_step(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer expected = {0};
    size_t crashes = 0;

    for (uint64_t seed = 0; seed < 100; seed++) {
        osr_sim_disk_destroy(fixture->sim);
        fixture->sim = osr_sim_disk_create(seed);
        fixture->disk = osr_sim_disk_port(fixture->sim);
        fill_two_segments(fixture);
        log_append(fixture, OSR_WAL_BASE, 1, 30 + seed, "");
        log_sync(fixture);
        expected.size = 0;
        osr_buffer_add_text(&expected, log_read_from(fixture, 1));
        osr_buffer_add(&expected, "", 1);
        osr_sim_disk_crash_at(fixture->sim, 1 + seed % 14);
        while (osr_wal_is_compactable(fixture->wal) &&
               osr_wal_compact(fixture->wal, &fixture->err) == 0) {
        }
        crashes += osr_sim_disk_is_down(fixture->sim);
        osr_sim_disk_crash_at(fixture->sim, 1);
        log_close(fixture);
        osr_sim_disk_power_cut(fixture->sim);
        log_open(fixture);
        assert_null(osr_sim_disk_content(fixture->sim, "log/0000000001.seg.tmp").data);
        assert_string_equal(log_read_from(fixture, 1), (const char *)expected.data);
        compact_all(fixture);
        assert_string_equal(log_read_from(fixture, 1), (const char *)expected.data);
        log_close(fixture);
    }
    assert_in_range(crashes, 50, 99);
    osr_buffer_done(&expected);
}

/* A segment without damage vouches for all of it: each flipped bit of a rewritten one is found. */
static void wal_finds_flipped_bits_in_a_compacted_segment(void **state)
{
    struct log_fixture *fixture = *state;
    size_t bytes;

    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_BASE, 1, 20, "");
    log_sync(fixture);
    assert_in_range(compact_all(fixture), 1, 3);
    log_close(fixture);
    bytes = log_segment_bytes(fixture, 1);
    assert_in_range(bytes, 4096, LOG_SMALL_BYTES - 4096);
    for (size_t at = 0; at < bytes; at++) {
        int code;
        osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", at, (uint8_t)(1 << at % 8));
        code = log_open_code(fixture);
        assert_true(code == OSR_CORRUPT || code == OSR_FOREIGN_FILE);
        osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", at, (uint8_t)(1 << at % 8));
    }
    log_open(fixture);
}

static void remove_segment(struct log_fixture *fixture, unsigned sequence)
{
    char *path = osr_format("log/%010u.seg", sequence);

    assert_int_equal(fixture->disk->ops->remove(fixture->disk, path, &fixture->err), 0);
    free(path);
}

/* If the segment with the base is lost, entries are missing that count now, and that is said. */
static void wal_notices_that_what_voided_is_lost(void **state)
{
    struct log_fixture *fixture = *state;

    fill_two_segments(fixture);
    log_append(fixture, OSR_WAL_BASE, 1, 60, "");
    log_sync(fixture);
    compact_all(fixture);
    log_close(fixture);
    remove_segment(fixture, 3);
    assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "log: entries of log 1 from 1 on"));
    assert_non_null(strstr(fixture->err.hint, "backup"));
}

/* Where what stands for void records would take as much as they, nothing is rewritten. */
static void wal_leaves_what_gives_nothing(void **state)
{
    struct log_fixture *fixture = *state;
    size_t bytes;

    log_open(fixture);
    for (uint64_t index = 1; log_segment_bytes(fixture, 2) == 0; index++) {
        log_append(fixture, OSR_WAL_ENTRY, 1, index, "");
        log_append(fixture, OSR_WAL_ENTRY, 2, index, "");
    }
    log_append_many(fixture, osr_wal_last_ordinal(fixture->wal) + 30, 300);
    log_append(fixture, OSR_WAL_BASE, 1, osr_wal_last_index(fixture->wal, 1), "");
    log_sync(fixture);
    bytes = log_segment_bytes(fixture, 1);
    assert_true(osr_wal_is_compactable(fixture->wal));
    compact(fixture);
    assert_int_equal(log_segment_bytes(fixture, 1), bytes);
    assert_false(osr_wal_is_compactable(fixture->wal));
}

/* More logs than one record of void ones tells of. */
static void wal_compaction_of_many_logs(void **state)
{
    struct log_fixture *fixture = *state;
    const uint32_t logs = 200;
    uint64_t last;

    log_open(fixture);
    for (uint32_t i = 0; i < logs * 3; i++)
        log_append(fixture, OSR_WAL_ENTRY, 1 + i % logs, 1 + i / logs, "some bytes of an entry");
    log_append_many(fixture, 900, 300);
    for (uint32_t i = 2; i <= logs; i++)
        log_append(fixture, OSR_WAL_BASE, i, 3, "");
    log_sync(fixture);
    last = osr_wal_last_ordinal(fixture->wal);
    assert_in_range(compact_all(fixture), 1, 3);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(osr_wal_last_ordinal(fixture->wal), last);
        for (uint32_t log_id = 2; log_id <= logs; log_id++)
            assert_int_equal(osr_wal_last_index(fixture->wal, log_id), 3);
        log_read(fixture, 1, 1);
        assert_memory_equal(fixture->seen.data, "E1.1=some bytes of an entry E1.2=some", 37);
        log_reopen(fixture);
    }
    assert_in_range(log_segment_bytes(fixture, 1) + log_segment_bytes(fixture, 2), 4096,
                    LOG_SMALL_BYTES * 7 / 4);
}

/* Writer, reader and compaction of one log on the system's disk. */
struct sharing {
    struct osr_wal *wal;
    atomic_bool is_done;
};

enum { SHARED_ENTRIES = 4000, SHARED_KEPT = 100 /* above the base */ };

static int check_shared(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    uint64_t *last = context;
    char text[32];

    if (record->type != OSR_WAL_ENTRY)
        return 0;
    snprintf(text, sizeof(text), "entry %llu", (unsigned long long)record->index);
    if (record->index <= *last || !osr_slice_equal(record->payload, osr_slice_text(text)))
        return (int)osr_err_set(err, OSR_CORRUPT, "entry %llu is not what it was",
                                (unsigned long long)record->index);
    *last = record->index;
    return 0;
}

static void *read_shared(void *context)
{
    struct sharing *sharing = context;
    struct osr_err err = {0};

    while (!sharing->is_done) {
        struct osr_buffer one = {0};
        uint64_t next = osr_wal_base_index(sharing->wal, 1) + 1;
        uint64_t last = 0;
        int code = osr_wal_read(sharing->wal, 1, next, check_shared, &last, &err);
        if (code == 0 || code == OSR_NOT_FOUND)
            code = osr_wal_read_one(sharing->wal, 1, next + 10, &one, &err);
        osr_buffer_done(&one);
        last = 0;
        if (code == 0 || code == OSR_NOT_FOUND)
            code = osr_wal_read_from(sharing->wal, 1, check_shared, &last, &err);
        if (code != 0)
            return osr_strdup(err.message);
    }
    return NULL;
}

static void *compact_shared(void *context)
{
    struct sharing *sharing = context;
    struct osr_err err = {0};

    while (!sharing->is_done) {
        if (osr_wal_compact(sharing->wal, &err) != 0 || osr_wal_prepare(sharing->wal, &err) != 0)
            return osr_strdup(err.message);
    }
    return NULL;
}

static void write_shared(struct osr_wal *wal)
{
    for (uint64_t index = 1; index <= SHARED_ENTRIES; index++) {
        char text[32];
        snprintf(text, sizeof(text), "entry %llu", (unsigned long long)index);
        struct osr_wal_record records[] = {
            log_record(OSR_WAL_ENTRY, 1, index, text),
            log_record(OSR_WAL_BASE, 1, index > SHARED_KEPT ? index - SHARED_KEPT : 0, ""),
        };
        assert_int_equal(osr_wal_append(wal, records, index % 50 == 0 ? 2 : 1, NULL), 0);
        if (index % 10 == 0)
            assert_int_equal(osr_wal_sync(wal, NULL), 0);
    }
}

/* Nobody disturbs another. */
static void wal_is_compacted_while_it_is_written_and_read(void **state)
{
    struct log_fixture *fixture = *state;
    struct sharing sharing = {0};
    char folder[SCRATCH_PATH_MAX];
    pthread_t threads[2];
    void *message;

    scratch_create(folder);
    snprintf(fixture->folder, sizeof(fixture->folder), "%s", folder);
    fixture->disk = osr_disk_system();
    fixture->options.segment_bytes_max = LOG_SMALL_BYTES;
    log_open(fixture);
    sharing.wal = fixture->wal;
    assert_int_equal(pthread_create(&threads[0], NULL, read_shared, &sharing), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, compact_shared, &sharing), 0);
    write_shared(fixture->wal);
    sharing.is_done = true;
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], &message);
        assert_null(message);
    }
    compact_all(fixture);
    assert_in_range(osr_wal_bytes(fixture->wal), 1, SHARED_ENTRIES * 48);
    log_reopen(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), SHARED_ENTRIES);
    log_close(fixture);
    scratch_remove(folder);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, log_set_up, log_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(wal_compaction_takes_away_what_is_below_the_base),
        WITH_FIXTURE(wal_open_tells_what_a_compaction_left),
        WITH_FIXTURE(wal_compaction_takes_away_what_was_truncated),
        WITH_FIXTURE(wal_compacts_a_segment_again),
        WITH_FIXTURE(wal_compaction_waits_for_what_voids),
        WITH_FIXTURE(wal_compaction_waits_for_what_voids_meanwhile),
        WITH_FIXTURE(wal_is_read_while_it_is_compacted),
        WITH_FIXTURE(wal_compaction_that_fails_changes_nothing),
        WITH_FIXTURE(wal_compaction_survives_a_power_cut_at_any_step),
        WITH_FIXTURE(wal_finds_flipped_bits_in_a_compacted_segment),
        WITH_FIXTURE(wal_notices_that_what_voided_is_lost),
        WITH_FIXTURE(wal_leaves_what_gives_nothing),
        WITH_FIXTURE(wal_compaction_of_many_logs),
        WITH_FIXTURE(wal_is_compacted_while_it_is_written_and_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
