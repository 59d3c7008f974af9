/* What the log does on a disk that keeps what it is given. Crashes are in test_wal_crash.c. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/wal_segment.h"
#include "base/crc32c.h"
#include "lib/log_fixture.h"

static void append_all_types(struct log_fixture *fixture)
{
    struct osr_wal_record records[] = {
        log_record(OSR_WAL_LOG, 1, 0, "one"),    log_record(OSR_WAL_ENTRY, 1, 1, "a"),
        log_record(OSR_WAL_ENTRY, 1, 2, ""),     log_record(OSR_WAL_HEAD, 1, 2, "signature"),
        log_record(OSR_WAL_FACT, 0, 0, "x=1"),   log_record(OSR_WAL_ENTRY, 2, 1, "b"),
        log_record(OSR_WAL_ENTRY, 1, 3, "more"), log_record(OSR_WAL_HEAD, 1, 2, "again"),
    };
    size_t count = sizeof(records) / sizeof(records[0]);

    assert_int_equal(osr_wal_append(fixture->wal, records, count, &fixture->err), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(records[i].ordinal, i + 1);
    log_sync(fixture);
}

/* Every kind of record comes back at open, in order, and the log goes on behind them. */
static void wal_gives_back_what_was_appended(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    assert_string_equal(log_seen(fixture), "");
    assert_int_equal(osr_wal_last_ordinal(fixture->wal), 0);
    append_all_types(fixture);
    log_close(fixture);

    log_open(fixture);
    assert_string_equal(log_seen(fixture), "L1.0=one E1.1=a E1.2= H1.2=signature F0.0=x=1 E2.1=b "
                                           "E1.3=more H1.2=again ");
    assert_int_equal(osr_wal_last_ordinal(fixture->wal), 8);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 3);
    assert_int_equal(osr_wal_last_index(fixture->wal, 2), 1);
    assert_int_equal(osr_wal_last_index(fixture->wal, 3), 0);
    log_append(fixture, OSR_WAL_ENTRY, 1, 4, "next");
    assert_int_equal(osr_wal_last_ordinal(fixture->wal), 9);
}

/* Reading one log gives its entries and heads from an entry on, and nobody else's. */
static void wal_reads_one_log(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    append_all_types(fixture);
    assert_string_equal(log_read(fixture, 1, 1), "E1.1=a E1.2= H1.2=signature E1.3=more "
                                                 "H1.2=again ");
    assert_string_equal(log_read(fixture, 1, 2), "E1.2= H1.2=signature E1.3=more H1.2=again ");
    assert_string_equal(log_read(fixture, 1, 3), "E1.3=more H1.2=again ");
    assert_string_equal(log_read(fixture, 2, 1), "E2.1=b ");
    assert_int_equal(osr_wal_read(fixture->wal, 1, 4, log_see, fixture, &fixture->err),
                     OSR_NOT_FOUND);
    assert_int_equal(osr_wal_read(fixture->wal, 1, 0, log_see, fixture, &fixture->err),
                     OSR_NOT_FOUND);
    assert_int_equal(osr_wal_read(fixture->wal, 9, 1, log_see, fixture, &fixture->err),
                     OSR_NOT_FOUND);
}

/* Reading from an ordinal on gives all logs; one behind the end gives nothing. */
static void wal_reads_from_an_ordinal(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    append_all_types(fixture);
    assert_string_equal(log_read_from(fixture, 5), "F0.0=x=1 E2.1=b E1.3=more H1.2=again ");
    assert_string_equal(log_read_from(fixture, 9), "");
    fixture->seen.size = 0;
}

/* One entry's payload is put behind what the buffer has. */
static void wal_reads_one_entry(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer buffer = {0};

    log_open(fixture);
    append_all_types(fixture);
    osr_buffer_add_text(&buffer, "-");
    assert_int_equal(osr_wal_read_one(fixture->wal, 1, 3, &buffer, &fixture->err), 0);
    assert_int_equal(osr_wal_read_one(fixture->wal, 1, 2, &buffer, &fixture->err), 0);
    assert_true(osr_slice_equal(osr_buffer_slice(&buffer), osr_slice_text("-more")));
    assert_int_equal(osr_wal_read_one(fixture->wal, 1, 4, &buffer, &fixture->err), OSR_NOT_FOUND);
    osr_buffer_done(&buffer);
}

static int stop_at_second(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    size_t *count = context;

    (void)record;
    (void)err;
    return ++*count == 2 ? OSR_CANCELLED : 0;
}

/* A visitor that has enough ends the walk with its own code. */
static void wal_visitor_stops_the_walk(void **state)
{
    struct log_fixture *fixture = *state;
    size_t count = 0;

    log_open(fixture);
    append_all_types(fixture);
    assert_int_equal(osr_wal_read_from(fixture->wal, 1, stop_at_second, &count, &fixture->err),
                     OSR_CANCELLED);
    assert_int_equal(count, 2);
    log_close(fixture);
    count = 0;
    assert_int_equal(osr_wal_open(fixture->disk, fixture->folder, &fixture->options, stop_at_second,
                                  &count, &fixture->wal, &fixture->err),
                     OSR_CANCELLED);
    assert_null(fixture->wal);
}

/* A truncation hides entries and heads behind its index at once and after open; the log goes on
 * with the next index. */
static void wal_truncation_voids_what_is_behind_it(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    append_all_types(fixture);
    log_append(fixture, OSR_WAL_HEAD, 1, 3, "void");
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 2, "");
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 2);
    log_append(fixture, OSR_WAL_ENTRY, 1, 3, "anew");
    log_append(fixture, OSR_WAL_HEAD, 1, 3, "signed");
    log_sync(fixture);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(log_read(fixture, 1, 1), "E1.1=a E1.2= H1.2=signature H1.2=again "
                                                     "E1.3=anew H1.3=signed ");
        assert_string_equal(log_read(fixture, 2, 1), "E2.1=b ");
        assert_string_equal(log_read_from(fixture, 5), "F0.0=x=1 E2.1=b H1.2=again T1.2= E1.3=anew "
                                                       "H1.3=signed ");
        log_close(fixture);
        log_open(fixture);
    }
}

/* A log that is truncated to nothing may begin anywhere. */
static void wal_truncation_to_nothing_starts_anew(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_ENTRY, 1, 10, "ten");
    log_append(fixture, OSR_WAL_ENTRY, 1, 11, "eleven");
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 5, "");
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 0);
    log_append(fixture, OSR_WAL_ENTRY, 1, 7, "seven");
    assert_string_equal(log_read(fixture, 1, 7), "E1.7=seven ");
}

static void put_record(struct log_fixture *fixture, const struct osr_wal_record *record)
{
    struct osr_segment *segment;
    struct osr_buffer bytes = {0};

    assert_int_equal(osr_segment_open(fixture->disk, fixture->folder, 1, &segment, &fixture->err),
                     0);
    osr_record_encode(&bytes, segment, OSR_SEGMENT_FIRST_OFFSET, 0, record);
    assert_int_equal(fixture->disk->ops->write(fixture->disk, segment->file,
                                               OSR_SEGMENT_FIRST_OFFSET, bytes.data, bytes.size,
                                               &fixture->err),
                     0);
    osr_buffer_done(&bytes);
    osr_segment_close(fixture->disk, segment);
}

/* At open a record that may not come next is refused, and where it stands is told. */
static void wal_refuses_records_out_of_order(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_wal_record head = log_record(OSR_WAL_HEAD, 1, 1, "of nothing");
    struct osr_wal_record unknown = log_record((enum osr_wal_type)99, 1, 1, "");

    log_open(fixture);
    osr_sim_disk_kill(fixture->sim); /* no mark */
    log_close(fixture);
    put_record(fixture, &head);
    assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "offset 4128: head 1 of log 1"));
    put_record(fixture, &unknown);
    assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "offset 4128: a record has type 99"));
}

/* Segments follow each other, each twice as large up to the maximum; reads cross them. */
static void wal_rolls_over(void **state)
{
    struct log_fixture *fixture = *state;
    const uint64_t records = 600;

    log_open(fixture);
    assert_int_equal(log_segment_bytes(fixture, 1), LOG_SMALL_BYTES);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    log_append_many(fixture, records, 300);
    log_sync(fixture);
    assert_int_equal(log_segment_bytes(fixture, 2), 2 * LOG_SMALL_BYTES);
    assert_int_equal(log_segment_bytes(fixture, 3), 4 * LOG_SMALL_BYTES);
    assert_int_equal(log_segment_bytes(fixture, 4), LOG_LARGEST_BYTES);
    assert_true(osr_wal_bytes(fixture->wal) > records * 300);
    for (int i = 0; i < 2; i++) {
        uint64_t bytes = osr_wal_bytes(fixture->wal);
        log_read(fixture, 1, 1);
        assert_true(fixture->seen.size > records * 300);
        log_read(fixture, 1, records);
        assert_true(fixture->seen.size < 320);
        log_close(fixture);
        log_open(fixture);
        assert_true(fixture->seen.size > records * 300);
        assert_true(osr_wal_bytes(fixture->wal) <= bytes + 64);
    }
}

/* A batch that is larger than what is left goes over as many segments as it needs. */
static void wal_batch_spans_segments(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_wal_record records[40];
    char payload[3001] = {0};

    memset(payload, 'x', 3000);
    log_open(fixture);
    for (size_t i = 0; i < 40; i++)
        records[i] = log_record(OSR_WAL_ENTRY, 1, i + 1, payload);
    assert_int_equal(osr_wal_append(fixture->wal, records, 40, &fixture->err), 0);
    log_sync(fixture);
    assert_true(log_segment_bytes(fixture, 4) > 0);
    log_read(fixture, 1, 1);
    assert_true(fixture->seen.size > 40 * strlen(payload));
}

/* The next segment is made once a quarter of the current one is used, and is used in its turn. */
static void wal_prepares_the_next_segment(void **state)
{
    struct log_fixture *fixture = *state;

    fixture->options.segment_bytes_min = LOG_LARGEST_BYTES;
    log_open(fixture);
    log_append_many(fixture, 20, 300);
    assert_int_equal(osr_wal_prepare(fixture->wal, &fixture->err), 0);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    log_append_many(fixture, 50, 300);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(osr_wal_prepare(fixture->wal, &fixture->err), 0);
        assert_int_equal(log_segment_bytes(fixture, 2), LOG_LARGEST_BYTES);
        assert_int_equal(log_segment_bytes(fixture, 3), 0);
    }
    log_sync(fixture);
    log_close(fixture);
    log_open(fixture);
    log_append_many(fixture, 300, 300);
    assert_int_equal(log_segment_bytes(fixture, 3), 0);
    log_sync(fixture);
    log_close(fixture);
    log_open(fixture);
    assert_int_equal(osr_wal_last_ordinal(fixture->wal), 300);
}

/* With no room for a segment an append fails and leaves nothing, also no file; the log can be
 * read; and it goes on when there is room again. */
static void wal_full_disk_leaves_it_as_it_was(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_wal_record records[40];
    char payload[301] = {0};
    uint64_t used;

    memset(payload, 'x', 300);
    log_open(fixture);
    log_append_many(fixture, 20, 300);
    used = osr_sim_disk_used(fixture->sim);
    osr_sim_disk_set_capacity(fixture->sim, used + LOG_SMALL_BYTES);
    for (size_t i = 0; i < 40; i++)
        records[i] = log_record(OSR_WAL_ENTRY, 1, i + 21, payload);
    assert_int_equal(osr_wal_append(fixture->wal, records, 40, &fixture->err), OSR_DISK_FULL);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 20);
    assert_int_equal(osr_sim_disk_used(fixture->sim), used);
    log_read(fixture, 1, 20);
    log_append(fixture, OSR_WAL_ENTRY, 1, 21, "small enough");
    log_sync(fixture);
    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    for (size_t i = 0; i < 40; i++)
        records[i].index = i + 22;
    assert_int_equal(osr_wal_append(fixture->wal, records, 40, &fixture->err), 0);
    log_sync(fixture);
    log_close(fixture);
    log_open(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 1), 61);
}

/* A record that no segment could hold is refused. */
static void wal_refuses_a_record_that_is_too_large(void **state)
{
    struct log_fixture *fixture = *state;
    char *payload = osr_alloc(LOG_SMALL_BYTES + 1);

    memset(payload, 'x', LOG_SMALL_BYTES);
    log_open(fixture);
    assert_int_equal(log_append_code(fixture, OSR_WAL_ENTRY, 1, 1, payload), OSR_TOO_LARGE);
    assert_int_equal(osr_wal_last_ordinal(fixture->wal), 0);
    free(payload);
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "fits");
}

/* After a failed write or sync nothing more is written, but reads go on. */
static void wal_failure_is_for_good(void **state)
{
    struct log_fixture *fixture = *state;

    for (int i = 0; i < 2; i++) {
        uint64_t next;
        log_open(fixture);
        next = osr_wal_last_index(fixture->wal, 1) + 1;
        log_append(fixture, OSR_WAL_ENTRY, 1, next, "one");
        log_sync(fixture);
        log_append(fixture, OSR_WAL_ENTRY, 1, next + 1, "two");
        if (i == 0) {
            osr_sim_disk_fail_sync(fixture->sim, 1);
            assert_int_equal(osr_wal_sync(fixture->wal, &fixture->err), OSR_IO);
        } else {
            osr_sim_disk_fail_write(fixture->sim, 1);
            assert_int_equal(log_append_code(fixture, OSR_WAL_ENTRY, 1, next + 2, "three"), OSR_IO);
        }
        assert_int_equal(osr_wal_sync(fixture->wal, &fixture->err), OSR_IO);
        assert_int_equal(log_append_code(fixture, OSR_WAL_ENTRY, 1, next + 3, "four"), OSR_IO);
        assert_non_null(strstr(fixture->err.message, "simulated failure"));
        log_read(fixture, 1, next);
        assert_non_null(strstr(log_seen(fixture), "=one "));
        log_close(fixture);
        osr_sim_disk_kill(fixture->sim);
    }
}

static void assert_refused(struct log_fixture *fixture, int code, const char *message)
{
    struct osr_slice content = osr_sim_disk_content(fixture->sim, "log/0000000001.seg");
    struct osr_buffer before = {0};

    osr_buffer_add(&before, content.data, content.size);
    assert_int_equal(log_open_code(fixture), code);
    assert_null(fixture->wal);
    assert_non_null(strstr(fixture->err.message, "log/0000000001.seg"));
    assert_non_null(strstr(fixture->err.message, message));
    if (code != OSR_UNSUPPORTED_VERSION) {
        assert_non_null(strstr(fixture->err.hint, "`osiris join "));
    }
    assert_true(osr_slice_equal(osr_sim_disk_content(fixture->sim, "log/0000000001.seg"),
                                osr_buffer_slice(&before)));
    osr_buffer_done(&before);
}

/* A file that is not a segment is refused and left alone. */
static void wal_refuses_a_foreign_file(void **state)
{
    struct log_fixture *fixture = *state;

    osr_sim_disk_put(fixture->sim, "log/0000000001.seg", osr_slice_text("somebody's text"));
    assert_refused(fixture, OSR_FOREIGN_FILE, "not a segment");
}

/* A segment of a later format is refused as such. */
static void wal_refuses_a_later_format(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer changed = {0};
    struct osr_slice content;

    log_open(fixture);
    log_close(fixture);
    content = osr_sim_disk_content(fixture->sim, "log/0000000001.seg");
    osr_buffer_add(&changed, content.data, content.size);
    osr_put_u32(changed.data + 12, 3);
    osr_put_u32(changed.data + 8, osr_crc32c(0, changed.data + 12, 4096 - 12));
    osr_sim_disk_put(fixture->sim, "log/0000000001.seg", osr_buffer_slice(&changed));
    osr_buffer_done(&changed);
    assert_refused(fixture, OSR_UNSUPPORTED_VERSION, "format 3");
}

/* A segment that was cut short by somebody else is damaged. */
static void wal_refuses_a_shortened_segment(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer shorter = {0};

    log_open(fixture);
    append_all_types(fixture);
    log_close(fixture);
    osr_buffer_add(&shorter, osr_sim_disk_content(fixture->sim, "log/0000000001.seg").data,
                   LOG_SMALL_BYTES - 8);
    osr_sim_disk_put(fixture->sim, "log/0000000001.seg", osr_buffer_slice(&shorter));
    osr_buffer_done(&shorter);
    assert_refused(fixture, OSR_CORRUPT, "bytes");
}

/* Damage in the middle is named by file and offset. */
static void wal_refuses_damage_in_the_middle(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    append_all_types(fixture);
    log_close(fixture);
    osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", 4096 + 32 + 8, 0x10);
    assert_refused(fixture, OSR_CORRUPT, "offset 4128");
}

/* A missing segment is noticed. */
static void wal_refuses_a_gap_between_segments(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append_many(fixture, 300, 300);
    log_close(fixture);
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, "log/0000000002.seg", &fixture->err),
                     0);
    assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "segment 2"));
}

/* What was left of a segment that was being made is removed; other files are let be. */
static void wal_removes_its_left_overs_only(void **state)
{
    struct log_fixture *fixture = *state;

    osr_sim_disk_put(fixture->sim, "log/0000000001.seg.tmp", osr_slice_text("half made"));
    osr_sim_disk_put(fixture->sim, "log/notes.txt", osr_slice_text("keep"));
    osr_sim_disk_put(fixture->sim, "log/1.seg", osr_slice_text("not our name"));
    log_open(fixture);
    assert_null(osr_sim_disk_content(fixture->sim, "log/0000000001.seg.tmp").data);
    assert_non_null(osr_sim_disk_content(fixture->sim, "log/notes.txt").data);
    assert_non_null(osr_sim_disk_content(fixture->sim, "log/1.seg").data);
}

/* A sync with nothing to make safe, or a mark with nothing to vouch for, costs no disk access. */
static void wal_does_nothing_twice(void **state)
{
    struct log_fixture *fixture = *state;
    uint64_t steps;

    log_open(fixture);
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "a");
    log_sync(fixture);
    assert_int_equal(osr_wal_mark(fixture->wal, &fixture->err), 0);
    steps = osr_sim_disk_counts(fixture->sim)->steps;
    log_sync(fixture);
    assert_int_equal(osr_wal_mark(fixture->wal, &fixture->err), 0);
    assert_int_equal(osr_sim_disk_counts(fixture->sim)->steps, steps);
}

/* An append is one write, a batch of any size as well; a sync is one sync. */
static void wal_appends_with_one_write(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_sim_disk_counts before;

    log_open(fixture);
    before = *osr_sim_disk_counts(fixture->sim);
    append_all_types(fixture);
    assert_int_equal(osr_sim_disk_counts(fixture->sim)->writes, before.writes + 1);
    assert_int_equal(osr_sim_disk_counts(fixture->sim)->syncs, before.syncs + 1);
}

/* Reader and writer of one log on the system's disk. */
struct sharing {
    struct osr_wal *wal;
    uint64_t expected; /* index of the next entry */
};

enum { SHARED_ENTRIES = 3000 };

static int check_shared(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct sharing *sharing = context;
    char text[32];

    if (record->type != OSR_WAL_ENTRY)
        return 0;
    snprintf(text, sizeof(text), "entry %llu", (unsigned long long)sharing->expected);
    if (record->index != sharing->expected ||
        !osr_slice_equal(record->payload, osr_slice_text(text)))
        return (int)osr_err_set(err, OSR_CORRUPT, "entry %llu is not what it was",
                                (unsigned long long)record->index);
    sharing->expected++;
    return 0;
}

static void *read_all(void *context)
{
    struct sharing *sharing = context;
    struct osr_err err = {0};

    while (sharing->expected <= SHARED_ENTRIES) {
        int code = osr_wal_read(sharing->wal, 1, sharing->expected, check_shared, sharing, &err);
        if (code != 0 && code != OSR_NOT_FOUND)
            return osr_strdup(err.message);
    }
    return NULL;
}

static void *prepare_all(void *context)
{
    struct sharing *sharing = context;
    struct osr_err err = {0};

    while (osr_wal_last_index(sharing->wal, 1) < SHARED_ENTRIES) {
        if (osr_wal_prepare(sharing->wal, &err) != 0)
            return osr_strdup(err.message);
    }
    return NULL;
}

static void write_shared(struct osr_wal *wal)
{
    for (uint64_t index = 1; index <= SHARED_ENTRIES; index++) {
        char text[32];
        struct osr_wal_record records[2];
        snprintf(text, sizeof(text), "entry %llu", (unsigned long long)index);
        records[0] = log_record(OSR_WAL_ENTRY, 1, index, text);
        records[1] = log_record(OSR_WAL_ENTRY, 2, index, "another log's");
        assert_int_equal(osr_wal_append(wal, records, 2, NULL), 0);
        if (index % 64 == 0)
            assert_int_equal(osr_wal_sync(wal, NULL), 0);
    }
}

static void remove_segment(void *context, const char *name)
{
    char *path = osr_format("%s/%s", (const char *)context, name);

    unlink(path);
    free(path);
}

/* One thread appends, one reads what is there, one prepares segments: nobody disturbs another. */
static void wal_is_read_while_it_is_written(void **state)
{
    struct log_fixture *fixture = *state;
    struct sharing sharing = {.expected = 1};
    pthread_t reader;
    pthread_t preparer;
    void *message;

    fixture->disk = osr_disk_system();
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-wal-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    log_open(fixture);
    sharing.wal = fixture->wal;
    assert_int_equal(pthread_create(&reader, NULL, read_all, &sharing), 0);
    assert_int_equal(pthread_create(&preparer, NULL, prepare_all, &sharing), 0);
    write_shared(fixture->wal);
    pthread_join(preparer, &message);
    assert_null(message);
    pthread_join(reader, &message);
    assert_null(message);
    assert_int_equal(sharing.expected, SHARED_ENTRIES + 1);
    log_close(fixture);
    log_open(fixture);
    assert_int_equal(osr_wal_last_index(fixture->wal, 2), SHARED_ENTRIES);
    log_close(fixture);
    fixture->disk->ops->list(fixture->disk, fixture->folder, remove_segment, fixture->folder, NULL);
    assert_int_equal(rmdir(fixture->folder), 0);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, log_set_up, log_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(wal_gives_back_what_was_appended),
        WITH_FIXTURE(wal_reads_one_log),
        WITH_FIXTURE(wal_reads_from_an_ordinal),
        WITH_FIXTURE(wal_reads_one_entry),
        WITH_FIXTURE(wal_visitor_stops_the_walk),
        WITH_FIXTURE(wal_truncation_voids_what_is_behind_it),
        WITH_FIXTURE(wal_truncation_to_nothing_starts_anew),
        WITH_FIXTURE(wal_refuses_records_out_of_order),
        WITH_FIXTURE(wal_rolls_over),
        WITH_FIXTURE(wal_batch_spans_segments),
        WITH_FIXTURE(wal_prepares_the_next_segment),
        WITH_FIXTURE(wal_full_disk_leaves_it_as_it_was),
        WITH_FIXTURE(wal_refuses_a_record_that_is_too_large),
        WITH_FIXTURE(wal_failure_is_for_good),
        WITH_FIXTURE(wal_refuses_a_foreign_file),
        WITH_FIXTURE(wal_refuses_a_later_format),
        WITH_FIXTURE(wal_refuses_a_shortened_segment),
        WITH_FIXTURE(wal_refuses_damage_in_the_middle),
        WITH_FIXTURE(wal_refuses_a_gap_between_segments),
        WITH_FIXTURE(wal_removes_its_left_overs_only),
        WITH_FIXTURE(wal_does_nothing_twice),
        WITH_FIXTURE(wal_appends_with_one_write),
        WITH_FIXTURE(wal_is_read_while_it_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
