/* Compaction of many segments: neighbours of which little is left become one, so that what counts
 * bounds the files, and nothing that is read is different. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/wal_segment.h"
#include "adapter/wal_void.h"
#include "base/crc32c.h"
#include "lib/log_fixture.h"
#include "lib/scratch.h"

/* A fact's key is its payload's first byte. */
static struct osr_slice first_byte(const struct osr_wal_record *record)
{
    return osr_slice(record->payload.data, record->payload.size > 0 ? 1 : 0);
}

static int set_up(void **state)
{
    log_set_up(state);
    struct log_fixture *fixture = *state;
    fixture->options.segment_bytes_max = LOG_SMALL_BYTES;
    fixture->options.fact_key = first_byte;
    return 0;
}

static size_t compact_all(struct log_fixture *fixture)
{
    size_t count = 0;

    while (osr_wal_is_compactable(fixture->wal)) {
        assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
        count++;
    }
    return count;
}

static void count_file(void *context, const char *name)
{
    size_t *count = context;

    assert_non_null(strstr(name, ".seg"));
    assert_null(strstr(name, ".tmp"));
    (*count)++;
}

static size_t count_files(struct log_fixture *fixture)
{
    size_t count = 0;

    assert_int_equal(
        fixture->disk->ops->list(fixture->disk, fixture->folder, count_file, &count, &fixture->err),
        0);
    return count;
}

static void remove_segment(struct log_fixture *fixture, unsigned sequence)
{
    char *path = osr_format("%s/%010u.seg", fixture->folder, sequence);

    assert_int_equal(fixture->disk->ops->remove(fixture->disk, path, &fixture->err), 0);
    free(path);
}

static struct osr_buffer copy_segment(struct log_fixture *fixture, unsigned sequence)
{
    char *path = osr_format("%s/%010u.seg", fixture->folder, sequence);
    struct osr_slice content = osr_sim_disk_content(fixture->sim, path);
    struct osr_buffer copy = {0};

    osr_buffer_add(&copy, content.data, content.size);
    free(path);
    return copy;
}

static void put_segment(struct log_fixture *fixture, unsigned sequence,
                        const struct osr_buffer *content)
{
    char *path = osr_format("%s/%010u.seg", fixture->folder, sequence);

    osr_sim_disk_put(fixture->sim, path, osr_buffer_slice(content));
    free(path);
}

enum {
    ENTRY_BYTES = 300,
    ENTRIES_A_SEGMENT = (LOG_SMALL_BYTES - 4096 - 32) / (ENTRY_BYTES + 28),
};

/* About so many segments of a ledger's entries, with its bases and votes and with local facts. */
static void write_segments(struct log_fixture *fixture, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        uint64_t last = osr_wal_last_index(fixture->wal, 1);
        log_append_many(fixture, osr_wal_last_ordinal(fixture->wal) + ENTRIES_A_SEGMENT,
                        ENTRY_BYTES);
        if (last > 0)
            log_append(fixture, OSR_WAL_BASE, 1, last, "snapshot");
        log_append(fixture, OSR_WAL_VOTE, 1, 1 + i, "vote");
        log_append(fixture, OSR_WAL_FACT, 0, 0, i % 2 == 0 ? "a mark" : "another mark");
        log_append(fixture, OSR_WAL_FACT, 0, 0, "x");
        log_sync(fixture);
    }
}

/* All that readers see is as expected, before and after an open. */
static void assert_reads(struct log_fixture *fixture, const char *expected, uint64_t last)
{
    for (int i = 0; i < 2; i++) {
        assert_string_equal(log_read_from(fixture, 1), expected);
        assert_int_equal(osr_wal_last_ordinal(fixture->wal), last);
        log_reopen(fixture);
    }
}

/* Segments of which nothing is left but what stands for it become one. */
static void wal_joins_drained_segments(void **state)
{
    struct log_fixture *fixture = *state;
    char *expected;

    log_open(fixture);
    log_append(fixture, OSR_WAL_LOG, 1, 0, "one");
    write_segments(fixture, 20);
    assert_in_range(count_files(fixture), 20, 25);
    expected = osr_strdup(log_read_from(fixture, 1));
    compact_all(fixture);
    assert_in_range(count_files(fixture), 3, 5);
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 256);
    assert_reads(fixture, expected, osr_wal_last_ordinal(fixture->wal));
    log_append(fixture, OSR_WAL_ENTRY, 1, osr_wal_last_index(fixture->wal, 1) + 1, "next");
    free(expected);
}

/* However much is written, the files do not become more; nor does their content. */
static void wal_files_are_bounded_by_what_counts(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    for (size_t i = 0; i < 300; i++) {
        write_segments(fixture, 1);
        compact_all(fixture);
        assert_in_range(count_files(fixture), 1, 6);
        assert_in_range(osr_wal_bytes(fixture->wal), 1, (size_t)6 * LOG_SMALL_BYTES);
        if (i % 50 == 49)
            log_reopen(fixture);
    }
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 1024);
}

/* Two facts that count of each of many segments are carried over into few. */
static void wal_joins_what_is_left_of_many_segments(void **state)
{
    struct log_fixture *fixture = *state;
    char *expected;

    fixture->options.fact_key = NULL;
    log_open(fixture);
    write_segments(fixture, 60);
    expected = osr_strdup(log_read_from(fixture, 1));
    compact_all(fixture);
    /* Of 120 facts that take 48 bytes, with a VOID in front of most. */
    assert_in_range(count_files(fixture), 5, 12);
    assert_reads(fixture, expected, osr_wal_last_ordinal(fixture->wal));
    free(expected);
}

/* Segments of which most counts stay as they are. */
static void wal_does_not_join_what_is_full(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append_many(fixture, (uint64_t)ENTRIES_A_SEGMENT * 6, ENTRY_BYTES);
    log_sync(fixture);
    assert_false(osr_wal_is_compactable(fixture->wal));
    assert_in_range(count_files(fixture), 6, 8);
}

/* Of a key only the newest fact is there, of a log only the newest base. */
static void wal_lets_go_of_older_facts_and_bases(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_FACT, 0, 0, "a1");
    log_append(fixture, OSR_WAL_FACT, 0, 0, "b1");
    log_append(fixture, OSR_WAL_FACT, 0, 0, "");
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "one");
    log_append(fixture, OSR_WAL_ENTRY, 1, 2, "two");
    log_append(fixture, OSR_WAL_ENTRY, 1, 3, "three");
    log_append(fixture, OSR_WAL_BASE, 1, 1, "first");
    log_append(fixture, OSR_WAL_BASE, 1, 2, "second");
    log_append(fixture, OSR_WAL_BASE, 1, 1, "late");
    log_append(fixture, OSR_WAL_FACT, 0, 0, "a2");
    log_sync(fixture);
    assert_reads(fixture, "F0.0=b1 F0.0= E1.3=three B1.2=second F0.0=a2 ", 10);
}

/* So segments give room that have nothing but such. */
static void wal_compacts_segments_of_bases(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append_many(fixture, 1, ENTRY_BYTES);
    for (uint64_t base = 1; base < 1000; base++) {
        log_append(fixture, OSR_WAL_ENTRY, 1, base + 1, "");
        log_append(fixture, OSR_WAL_BASE, 1, base, "about twenty bytes");
    }
    log_sync(fixture);
    assert_in_range(compact_all(fixture), 1, 10);
    assert_in_range(count_files(fixture), 2, 4);
    assert_reads(fixture, "E1.1000= B1.999=about twenty bytes ", 1 + 2 * 999);
}

/* A base that says where entries go on stays, although there is a newer one. */
static void wal_keeps_bases_that_entries_need(void **state)
{
    struct log_fixture *fixture = *state;
    uint64_t last;
    char *expected;

    log_open(fixture);
    log_append(fixture, OSR_WAL_ENTRY, 1, 1, "one");
    log_append(fixture, OSR_WAL_BASE, 1, 10, "above the last");
    log_append(fixture, OSR_WAL_ENTRY, 1, 11, "eleven");
    log_append(fixture, OSR_WAL_ENTRY, 1, 12, "twelve");
    log_append(fixture, OSR_WAL_BASE, 1, 11, "cut below");
    log_append(fixture, OSR_WAL_TRUNCATE, 1, 5, "");
    log_append_many(fixture, 150, ENTRY_BYTES);
    last = osr_wal_last_index(fixture->wal, 1);
    log_append(fixture, OSR_WAL_BASE, 1, last - 1, "of no need");
    log_append(fixture, OSR_WAL_BASE, 1, last, "newest");
    log_sync(fixture);
    expected = osr_format("B1.10=above the last B1.11=cut below T1.5= B1.%llu=newest ",
                          (unsigned long long)last);
    assert_in_range(compact_all(fixture), 1, 10);
    assert_reads(fixture, expected, 152);
    free(expected);
}

/* Nothing of an older fact goes before the newer one is safe from a power cut. */
static void wal_keeps_a_fact_until_the_newer_one_is_safe(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    log_append(fixture, OSR_WAL_FACT, 0, 0, "a1");
    write_segments(fixture, 4);
    log_append(fixture, OSR_WAL_FACT, 0, 0, "x newer");
    assert_false(osr_wal_is_compactable(fixture->wal));
    log_sync(fixture);
    assert_true(osr_wal_is_compactable(fixture->wal));
}

/* How many of six segments are rewritten before the first are joined. */
static size_t count_rewritten_alone(struct log_fixture *fixture)
{
    size_t count = 0;

    log_open(fixture);
    write_segments(fixture, 6);
    size_t files = count_files(fixture);
    while (count_files(fixture) == files) {
        assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
        count++;
    }
    log_close(fixture);
    return count - 1;
}

/* Wherever the power is cut: what is read is the same, and the files become few again. */
static void wal_join_survives_a_power_cut_at_any_step(void **state)
{
    struct log_fixture *fixture = *state;
    size_t alone = count_rewritten_alone(fixture);
    size_t cuts = 0;

    for (uint64_t seed = 0; seed < 240; seed++) {
        osr_sim_disk_destroy(fixture->sim);
        fixture->sim = osr_sim_disk_create(seed);
        fixture->disk = osr_sim_disk_port(fixture->sim);
        log_open(fixture);
        write_segments(fixture, 6);
        if (seed % 2 == 0) { /* so that joined ones are joined again */
            compact_all(fixture);
            write_segments(fixture, 4);
        } else {
            for (size_t i = 0; i < alone; i++)
                assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
        }
        char *expected = osr_strdup(log_read_from(fixture, 1));
        uint64_t last = osr_wal_last_ordinal(fixture->wal);
        osr_sim_disk_crash_at(fixture->sim, 1 + seed / 2 % (seed % 2 == 0 ? 60 : 14));
        while (osr_wal_is_compactable(fixture->wal) &&
               osr_wal_compact(fixture->wal, &fixture->err) == 0) {
        }
        cuts += osr_sim_disk_is_down(fixture->sim);
        osr_sim_disk_crash_at(fixture->sim, 1);
        log_close(fixture);
        if (seed % 5 == 0)
            osr_sim_disk_kill(fixture->sim);
        else
            osr_sim_disk_power_cut(fixture->sim);
        log_open(fixture);
        assert_reads(fixture, expected, last);
        compact_all(fixture);
        assert_in_range(count_files(fixture), 1, 5);
        assert_reads(fixture, expected, last);
        log_close(fixture);
        free(expected);
    }
    assert_in_range(cuts, 100, 239);
}

/* Files that a joined segment stands for, and that were not removed, are passed over by an open,
 * and removed. */
static void wal_open_removes_what_a_joined_segment_stands_for(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer old[2];
    char *expected;

    log_open(fixture);
    write_segments(fixture, 6);
    log_close(fixture);
    log_open(fixture);
    old[0] = copy_segment(fixture, 2);
    old[1] = copy_segment(fixture, 4);
    expected = osr_strdup(log_read_from(fixture, 1));
    compact_all(fixture);
    log_close(fixture);
    put_segment(fixture, 2, &old[0]);
    put_segment(fixture, 4, &old[1]);
    log_open(fixture);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    assert_int_equal(log_segment_bytes(fixture, 4), 0);
    assert_reads(fixture, expected, osr_wal_last_ordinal(fixture->wal));
    /* Of a damaged log they stay: something may be saved from them. */
    log_close(fixture);
    put_segment(fixture, 2, &old[0]);
    osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", 4096 + 40, 1);
    assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
    assert_int_equal(log_segment_bytes(fixture, 2), LOG_SMALL_BYTES);
    osr_buffer_done(&old[0]);
    osr_buffer_done(&old[1]);
    free(expected);
}

/* Where its header has them. */
enum { CRC_AT = 8, FORMAT_AT = 12, HEADER_BYTES = 4096 };

static uint32_t segment_format(struct log_fixture *fixture, unsigned sequence)
{
    struct osr_buffer content = copy_segment(fixture, sequence);
    uint32_t format = osr_get_u32(content.data + FORMAT_AT);

    osr_buffer_done(&content);
    return format;
}

/* Those that stand for others have a format of their own, which an older osirisd refuses by name
 * instead of missing the others; a log without them it can still read. */
static void wal_joined_segments_have_a_later_format(void **state)
{
    struct log_fixture *fixture = *state;
    size_t compacted = 0;

    log_open(fixture);
    write_segments(fixture, 6);
    for (size_t files = count_files(fixture); count_files(fixture) == files; compacted++) {
        for (unsigned sequence = 1; sequence <= files; sequence++) {
            assert_int_equal(segment_format(fixture, sequence), 1);
        }
        assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
    }
    assert_in_range(compacted, 2, 10); /* some alone, then two as one */
    assert_int_equal(segment_format(fixture, 1), 2);
    write_segments(fixture, 6);
    assert_int_equal(segment_format(fixture, 7), 1);
    compact_all(fixture); /* a joined one is written anew, and remains one */
    assert_int_equal(segment_format(fixture, 1), 2);
}

/* Any other format is refused, and left as it is. */
static void wal_refuses_formats_after_that_of_joined_segments(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_buffer content;

    log_open(fixture);
    write_segments(fixture, 6);
    compact_all(fixture);
    log_close(fixture);
    content = copy_segment(fixture, 1);
    for (uint32_t format = 0; format <= 4; format++) {
        if (format == 1 || format == 2) {
            continue;
        }
        osr_put_u32(content.data + FORMAT_AT, format);
        osr_put_u32(content.data + CRC_AT,
                    osr_crc32c(0, content.data + FORMAT_AT, HEADER_BYTES - FORMAT_AT));
        put_segment(fixture, 1, &content);
        assert_int_equal(log_open_code(fixture), OSR_UNSUPPORTED_VERSION);
        assert_non_null(strstr(fixture->err.message, "known: 1, 2"));
    }
    osr_buffer_done(&content);
}

/* A segment that no other stands for is missed, wherever it was: among the files the first and
 * those in the middle, and the joined one itself. */
static void wal_misses_a_segment_beside_joined_ones(void **state)
{
    struct log_fixture *fixture = *state;

    log_open(fixture);
    write_segments(fixture, 6);
    compact_all(fixture);
    log_append_many(fixture, osr_wal_last_ordinal(fixture->wal) + ENTRIES_A_SEGMENT * 3,
                    ENTRY_BYTES);
    log_sync(fixture);
    log_close(fixture);
    for (unsigned sequence = 1; sequence <= 8; sequence++) {
        struct osr_buffer content = copy_segment(fixture, sequence);
        if (content.size > 0) {
            remove_segment(fixture, sequence);
            assert_int_equal(log_open_code(fixture), OSR_CORRUPT);
            assert_non_null(strstr(fixture->err.message, "of the log is missing"));
            assert_non_null(strstr(fixture->err.hint, "`osiris join "));
            put_segment(fixture, sequence, &content);
        } else {
            assert_in_range(sequence, 2, 5);
        }
        osr_buffer_done(&content);
    }
    log_open(fixture);
}

/* Each flipped bit of a joined segment is found. */
static void wal_finds_flipped_bits_in_a_joined_segment(void **state)
{
    struct log_fixture *fixture = *state;
    size_t bytes;

    log_open(fixture);
    write_segments(fixture, 6);
    compact_all(fixture);
    log_close(fixture);
    bytes = log_segment_bytes(fixture, 1);
    for (size_t at = 0; at < bytes; at++) {
        osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", at, (uint8_t)(1 << at % 8));
        int code = log_open_code(fixture);
        assert_true(code == OSR_CORRUPT || code == OSR_FOREIGN_FILE);
        osr_sim_disk_flip(fixture->sim, "log/0000000001.seg", at, (uint8_t)(1 << at % 8));
    }
    log_open(fixture);
}

/* A disk that takes the new name and cannot say whether it is safe. */
static size_t folder_syncs_to_fail;
static const struct osr_disk_ops *plain_ops;

static int failing_sync_folder(struct osr_disk *disk, const char *path, struct osr_err *err)
{
    if (folder_syncs_to_fail == 0)
        return plain_ops->sync_folder(disk, path, err);
    folder_syncs_to_fail--;
    return (int)osr_err_set(err, OSR_IO, "the folder cannot be synced");
}

/* Whether a joined segment is there is not known after that: no more are joined, nothing is
 * removed, and after a power cut either is found. */
static void wal_joins_no_more_once_it_is_not_known_what_is_joined(void **state)
{
    struct log_fixture *fixture = *state;
    size_t joined = 0;
    size_t alone = count_rewritten_alone(fixture);

    for (uint64_t seed = 0; seed < 40; seed++) {
        osr_sim_disk_destroy(fixture->sim);
        fixture->sim = osr_sim_disk_create(seed);
        fixture->disk = osr_sim_disk_port(fixture->sim);
        log_open(fixture);
        write_segments(fixture, 6);
        for (size_t i = 0; i < alone; i++)
            assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
        struct osr_disk_ops ops = *fixture->disk->ops;
        plain_ops = fixture->disk->ops;
        ops.sync_folder = failing_sync_folder;
        fixture->disk->ops = &ops;
        folder_syncs_to_fail = 1;
        assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), OSR_IO);
        size_t files = count_files(fixture);
        if (seed % 3 > 0) /* which syncs the folder */
            write_segments(fixture, 3);
        if (seed % 3 > 1) /* which takes the first segment's name back */
            compact_all(fixture);
        assert_in_range(count_files(fixture), files, files + 4);
        files = count_files(fixture);
        char *expected = osr_strdup(log_read_from(fixture, 1));
        uint64_t last = osr_wal_last_ordinal(fixture->wal);
        fixture->disk->ops = plain_ops;
        osr_sim_disk_crash_at(fixture->sim, 1);
        log_close(fixture);
        osr_sim_disk_power_cut(fixture->sim);
        log_open(fixture);
        joined += count_files(fixture) < files;
        assert_reads(fixture, expected, last);
        compact_all(fixture);
        assert_in_range(count_files(fixture), 1, 5);
        assert_reads(fixture, expected, last);
        log_close(fixture);
        free(expected);
    }
    assert_in_range(joined, 5, 35);
}

/* What happens while a segment is written, once. */
static struct log_fixture *meddled_with;
static uint64_t meddling_base;

static int meddling_write(struct osr_disk *disk, struct osr_file *file, uint64_t offset,
                          const void *data, size_t size, struct osr_err *err)
{
    struct log_fixture *fixture = meddled_with;

    meddled_with = NULL;
    if (fixture != NULL) {
        log_append(fixture, OSR_WAL_BASE, 1, meddling_base, "");
        log_sync(fixture);
    }
    return plain_ops->write(disk, file, offset, data, size, err);
}

/* What becomes void while segments are joined is there still, and goes the next time. */
static void wal_knows_what_was_voided_while_it_joined(void **state)
{
    struct log_fixture *fixture = *state;
    struct osr_disk_ops ops = *fixture->disk->ops;

    fixture->options.segment_bytes_max = LOG_LARGEST_BYTES;
    log_open(fixture);
    meddling_base = 37 + 87; /* the last of the second segment, which is twice as large */
    log_append_many(fixture, meddling_base + ENTRIES_A_SEGMENT, ENTRY_BYTES);
    log_append(fixture, OSR_WAL_BASE, 1, meddling_base - 20, "");
    log_sync(fixture);
    for (int i = 0; i < 2; i++) /* each alone */
        assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
    plain_ops = fixture->disk->ops;
    ops.write = meddling_write;
    fixture->disk->ops = &ops;
    meddled_with = fixture;
    assert_int_equal(osr_wal_compact(fixture->wal, &fixture->err), 0);
    fixture->disk->ops = plain_ops;
    assert_null(meddled_with);
    assert_in_range(log_segment_bytes(fixture, 1), 4096 + 20 * ENTRY_BYTES, LOG_SMALL_BYTES);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    assert_int_equal(compact_all(fixture), 1);
    assert_in_range(log_segment_bytes(fixture, 1), 4096, 4096 + 256);
    log_reopen(fixture);
}

struct joining_reader {
    struct log_fixture *fixture;
    uint64_t base;
    size_t records;
};

static int join_meanwhile(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct joining_reader *reader = context;

    (void)err;
    assert_int_equal(record->payload.size, ENTRY_BYTES);
    if (reader->records++ == 0) {
        log_append(reader->fixture, OSR_WAL_BASE, 1, reader->base, "");
        log_sync(reader->fixture);
        assert_in_range(compact_all(reader->fixture), 1, 10);
        assert_in_range(count_files(reader->fixture), 1, 4);
    }
    return 0;
}

/* Who reads meanwhile goes on in the file that has no name any more, and then behind what was
 * joined. */
static void wal_is_read_while_its_segments_are_joined(void **state)
{
    struct log_fixture *fixture = *state;
    struct joining_reader reader = {.fixture = fixture};
    uint64_t last;

    log_open(fixture);
    log_append_many(fixture, (uint64_t)ENTRIES_A_SEGMENT * 8, ENTRY_BYTES);
    log_sync(fixture);
    last = osr_wal_last_index(fixture->wal, 1);
    reader.base = last - 5;
    /* From the second segment on, which is not the one that the joined one is named after. */
    assert_int_equal(osr_wal_read(fixture->wal, 1, ENTRIES_A_SEGMENT + 2, join_meanwhile, &reader,
                                  &fixture->err),
                     0);
    assert_in_range(reader.records, ENTRIES_A_SEGMENT / 2, ENTRIES_A_SEGMENT + 5);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
}

/* Writes a segment that has one VOID and no entries. */
static void put_void_segment(struct log_fixture *fixture, uint64_t sequence, uint64_t first,
                             uint64_t count)
{
    struct osr_wal_record start = {.type = OSR_RECORD_START, .index = first};
    struct osr_wal_record gone = {.type = OSR_RECORD_VOID, .index = count};
    struct osr_buffer bytes = {0};
    struct osr_segment *segment;
    uint64_t size = OSR_SEGMENT_FIRST_OFFSET + osr_record_span(0);

    assert_int_equal(osr_segment_draft(fixture->disk, fixture->folder, sequence, 0, size, sequence,
                                       &segment, &fixture->err),
                     0);
    osr_record_encode(&bytes, segment, OSR_SEGMENT_START_OFFSET, OSR_SEGMENT_START_OFFSET, &start);
    osr_record_encode(&bytes, segment, OSR_SEGMENT_FIRST_OFFSET, OSR_SEGMENT_FIRST_OFFSET, &gone);
    assert_int_equal(fixture->disk->ops->write(fixture->disk, segment->file,
                                               OSR_SEGMENT_START_OFFSET, bytes.data, bytes.size,
                                               &fixture->err),
                     0);
    assert_int_equal(fixture->disk->ops->sync(fixture->disk, segment->file, &fixture->err), 0);
    assert_int_equal(osr_segment_replace(fixture->disk, fixture->folder, segment, &fixture->err),
                     0);
    osr_segment_close(fixture->disk, segment);
    osr_buffer_done(&bytes);
}

/* More ordinals than one VOID stands for. */
static void wal_joins_more_ordinals_than_one_void_has(void **state)
{
    struct log_fixture *fixture = *state;
    const uint64_t many = UINT32_MAX - 1;

    log_open(fixture); /* makes the folder */
    log_close(fixture);
    put_void_segment(fixture, 1, 1, many);
    put_void_segment(fixture, 2, 1 + many, many);
    put_void_segment(fixture, 3, 1 + 2 * many, 1);
    put_void_segment(fixture, 4, 2 + 2 * many, 1);
    log_open(fixture);
    assert_int_equal(compact_all(fixture), 1);
    log_append(fixture, OSR_WAL_FACT, 0, 0, "a");
    log_sync(fixture);
    /* The last one is not joined: it could have been written to. */
    assert_int_equal(log_segment_bytes(fixture, 1), OSR_SEGMENT_FIRST_OFFSET + 2 * 32);
    assert_int_equal(log_segment_bytes(fixture, 2), 0);
    assert_reads(fixture, "F0.0=a ", 3 + 2 * many);
}

/* How many files of the folder this process has open, with a name or without. */
static size_t count_descriptors(const char *folder)
{
    DIR *own = opendir("/proc/self/fd");
    struct dirent *entry;
    size_t count = 0;

    assert_non_null(own);
    while ((entry = readdir(own)) != NULL) {
        char path[64];
        char target[512] = {0};
        snprintf(path, sizeof(path), "/proc/self/fd/%.32s", entry->d_name);
        if (readlink(path, target, sizeof(target) - 1) > 0 && strstr(target, folder) != NULL)
            count++;
    }
    closedir(own);
    return count;
}

/* On the system's disk: neither files nor descriptors become more, at work and after an open. */
static void wal_descriptors_are_bounded(void **state)
{
    struct log_fixture *fixture = *state;
    char folder[SCRATCH_PATH_MAX];

    scratch_create(folder);
    snprintf(fixture->folder, sizeof(fixture->folder), "%s", folder);
    fixture->disk = osr_disk_system();
    log_open(fixture);
    for (size_t i = 0; i < 40; i++) {
        write_segments(fixture, 1);
        compact_all(fixture);
        assert_in_range(count_files(fixture), 1, 6);
        assert_int_equal(count_descriptors(folder), count_files(fixture));
    }
    log_reopen(fixture);
    assert_in_range(count_descriptors(folder), 1, 6);
    log_close(fixture);
    assert_int_equal(count_descriptors(folder), 0);
    scratch_remove(folder);
}

#define WITH_FIXTURE(test) cmocka_unit_test_setup_teardown(test, set_up, log_tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_FIXTURE(wal_joins_drained_segments),
        WITH_FIXTURE(wal_files_are_bounded_by_what_counts),
        WITH_FIXTURE(wal_joins_what_is_left_of_many_segments),
        WITH_FIXTURE(wal_does_not_join_what_is_full),
        WITH_FIXTURE(wal_lets_go_of_older_facts_and_bases),
        WITH_FIXTURE(wal_compacts_segments_of_bases),
        WITH_FIXTURE(wal_keeps_bases_that_entries_need),
        WITH_FIXTURE(wal_keeps_a_fact_until_the_newer_one_is_safe),
        WITH_FIXTURE(wal_join_survives_a_power_cut_at_any_step),
        WITH_FIXTURE(wal_open_removes_what_a_joined_segment_stands_for),
        WITH_FIXTURE(wal_joined_segments_have_a_later_format),
        WITH_FIXTURE(wal_refuses_formats_after_that_of_joined_segments),
        WITH_FIXTURE(wal_misses_a_segment_beside_joined_ones),
        WITH_FIXTURE(wal_finds_flipped_bits_in_a_joined_segment),
        WITH_FIXTURE(wal_joins_no_more_once_it_is_not_known_what_is_joined),
        WITH_FIXTURE(wal_knows_what_was_voided_while_it_joined),
        WITH_FIXTURE(wal_is_read_while_its_segments_are_joined),
        WITH_FIXTURE(wal_joins_more_ordinals_than_one_void_has),
        WITH_FIXTURE(wal_descriptors_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
