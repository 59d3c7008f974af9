/* The audit log: its chain, its files, and what crashes, full disks and meddlers do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "adapter/audit_line.h"
#include "base/random.h"
#include "lib/sim_disk.h"

#define FIRST_FILE "data/audit/00000000000000000001.log"

struct fixture {
    struct osr_sim_disk *sim;
    struct osr_disk *disk;
    struct osr_audit_log *log;
    uint64_t file_bytes;
    uint32_t files_max;
    struct osr_err err;
};

static int open_log(struct fixture *fixture)
{
    const struct osr_audit_log_options options = {
        .disk = fixture->disk,
        .folder = "data",
        .file_bytes = fixture->file_bytes,
        .files_max = fixture->files_max,
    };
    return osr_audit_log_open(&options, &fixture->log, &fixture->err);
}

static void close_log(struct fixture *fixture)
{
    osr_audit_log_close(fixture->log);
    fixture->log = NULL;
}

static void make_disk(struct fixture *fixture, uint64_t seed)
{
    fixture->sim = osr_sim_disk_create(seed);
    fixture->disk = osr_sim_disk_port(fixture->sim);
    assert_int_equal(fixture->disk->ops->make_folder(fixture->disk, "data", NULL), 0);
    assert_int_equal(fixture->disk->ops->sync_folder(fixture->disk, ".", NULL), 0);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    make_disk(fixture, 1);
    assert_int_equal(open_log(fixture), 0);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_log(fixture);
    osr_sim_disk_destroy(fixture->sim);
    free(fixture);
    return 0;
}

static struct osr_audit_record record_at(uint64_t time_ms)
{
    return (struct osr_audit_record){
        .time_ms = time_ms,
        .allowed = time_ms % 2 == 0,
        .who = time_ms % 3 == 0 ? "user:ana" : "instance:bo",
        .from = "tcp://192.0.2.1",
        .action = "write",
        .part = "collection:x",
        .what = "KB_PUT",
        .why = "",
    };
}

/* Each record's time is its number, so that it can be told which one it is. */
static int append(struct fixture *fixture, size_t count)
{
    struct osr_audit_record records[OSR_AUDIT_APPEND_MAX];
    uint64_t number = osr_audit_log_head(fixture->log).number;
    for (size_t i = 0; i < count; i++) {
        records[i] = record_at(number + 1 + i);
    }
    int code = osr_audit_log_append(fixture->log, records, count, &fixture->err);
    for (size_t i = 0; code == 0 && i < count; i++) {
        assert_int_equal(records[i].number, number + 1 + i);
    }
    return code;
}

/* ---- reading ---- */

struct found {
    uint64_t count;
    uint64_t first;
    uint64_t last;
    struct osr_audit_head head;
};

static int note_found(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    struct found *found = context;
    const struct osr_audit_record expected = record_at(record->number);
    (void)err;
    assert_int_equal(record->time_ms, record->number);
    assert_int_equal(record->allowed, expected.allowed);
    assert_string_equal(record->who, expected.who);
    assert_string_equal(record->from, expected.from);
    assert_string_equal(record->action, expected.action);
    assert_string_equal(record->part, expected.part);
    assert_string_equal(record->what, expected.what);
    assert_string_equal(record->why, "");
    assert_true(found->count == 0 || record->number > found->last);
    found->first = found->count++ == 0 ? record->number : found->first;
    found->last = record->number;
    return 0;
}

static int read_wanted(struct fixture *fixture, const struct osr_audit_wanted *wanted,
                       struct found *ret_found)
{
    *ret_found = (struct found){0};
    return osr_audit_log_read(fixture->disk, "data", wanted, note_found, ret_found,
                              &ret_found->head, &fixture->err);
}

static int read_all(struct fixture *fixture, struct found *ret_found)
{
    return read_wanted(fixture, &(struct osr_audit_wanted){0}, ret_found);
}

static void assert_all(struct fixture *fixture, uint64_t first, uint64_t last)
{
    struct found found;
    struct osr_audit_head head = osr_audit_log_head(fixture->log);
    assert_int_equal(read_all(fixture, &found), 0);
    assert_int_equal(found.first, first);
    assert_int_equal(found.last, last);
    assert_int_equal(found.count, last - first + 1);
    assert_int_equal(found.head.number, head.number);
    assert_memory_equal(&found.head.chain, &head.chain, sizeof(head.chain));
}

/* ---- content ---- */

/* The lines are what the header says: these were made with another program. */
static void audit_lines_are_as_written_down(void **state)
{
    static const char expected[] =
        "{\"osiris\":\"audit\",\"format\":1,\"after\":0,\"chain\":\"0000000000000000000"
        "000000000000000000000000000000000000000000000\"}\n"
        "{\"n\":1,\"synced\":0,\"time_ms\":1700000000000,\"allowed\":true,\"who\":\"use"
        "r:ana\",\"from\":\"tls://192.0.2.1\",\"action\":\"write\",\"part\":\"collectio"
        "n:x\",\"what\":\"KB_PUT\",\"why\":\"role writer\",\"chain\":\"6bafd38aa7d67a31"
        "8469ef312f0c53d24834686745039f8359847601b413059c\"}\n"
        "{\"n\":2,\"synced\":1,\"time_ms\":1700000000001,\"allowed\":false,\"who\":\"a\\"
        "\"\\\\\\n\\u0001\303\251\357\277\275\",\"from\":\"\",\"action\":\"\",\"part\":"
        "\"\",\"what\":\"\",\"why\":\"\",\"chain\":\"101b608457dbb1b2ba223714fdfb1a03af"
        "3a2019d3aed7df235a167fc20b2267\"}\n";
    struct fixture *fixture = *state;
    struct osr_audit_record records[] = {
        {.time_ms = 1700000000000,
         .allowed = true,
         .who = "user:ana",
         .from = "tls://192.0.2.1",
         .action = "write",
         .part = "collection:x",
         .what = "KB_PUT",
         .why = "role writer"},
        {.time_ms = 1700000000001,
         .who = "a\"\\\n\001\303\251\377",
         .from = "",
         .action = "",
         .part = "",
         .what = "",
         .why = ""},
    };
    assert_int_equal(osr_audit_log_append(fixture->log, &records[0], 1, NULL), 0);
    assert_int_equal(osr_audit_log_append(fixture->log, &records[1], 1, NULL), 0);
    struct osr_slice content = osr_sim_disk_content(fixture->sim, FIRST_FILE);
    assert_int_equal(content.size, sizeof(expected) - 1);
    assert_memory_equal(content.data, expected, content.size);
}

static int note_who(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    (void)err;
    snprintf(context, 2 * OSR_AUDIT_TEXT_BYTES_MAX, "%s", record->who);
    return 0;
}

/* Texts come back as they were, but for what is no UTF-8 and what is too long. */
static void audit_texts_come_back(void **state)
{
    static const struct {
        const char *text;
        const char *read;
    } cases[] = {
        {"", ""},
        {"{\"n\":9,\"synced\":9", "{\"n\":9,\"synced\":9"},
        {"tab\tnewline\nquote\"slash\\del\177", "tab\tnewline\nquote\"slash\\del\177"},
        {"gr\303\274n \360\237\246\211", "gr\303\274n \360\237\246\211"},
        {"cut \360\237\246", "cut \357\277\275\357\277\275\357\277\275"},
    };
    struct fixture *fixture = *state;
    char read[2 * OSR_AUDIT_TEXT_BYTES_MAX];
    struct osr_audit_head head;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osr_audit_record record = record_at(1);
        const struct osr_audit_wanted last = {.from_number = i + 1};
        record.who = cases[i].text;
        assert_int_equal(osr_audit_log_append(fixture->log, &record, 1, NULL), 0);
        assert_int_equal(
            osr_audit_log_read(fixture->disk, "data", &last, note_who, read, &head, NULL), 0);
        assert_string_equal(read, cases[i].read);
    }
}

/* A text that is too long ends with the last character that fits. */
static void audit_long_texts_are_cut(void **state)
{
    struct fixture *fixture = *state;
    struct osr_audit_record record = record_at(1);
    char read[2 * OSR_AUDIT_TEXT_BYTES_MAX];
    char text[OSR_AUDIT_TEXT_BYTES_MAX + 2];
    struct osr_audit_head head;
    memset(text, 'x', sizeof(text));
    memcpy(text + OSR_AUDIT_TEXT_BYTES_MAX - 1, "\303\251", 3);
    record.who = text;
    assert_int_equal(osr_audit_log_append(fixture->log, &record, 1, NULL), 0);
    assert_int_equal(osr_audit_log_read(fixture->disk, "data", &(struct osr_audit_wanted){0},
                                        note_who, read, &head, NULL),
                     0);
    assert_int_equal(strlen(read), OSR_AUDIT_TEXT_BYTES_MAX - 1);
    assert_memory_equal(read, text, OSR_AUDIT_TEXT_BYTES_MAX - 1);
}

/* The longest line that can be: it is written, and read again. */
static void audit_longest_line_is_read(void **state)
{
    struct fixture *fixture = *state;
    char text[OSR_AUDIT_TEXT_BYTES_MAX + 1] = "";
    memset(text, 1, sizeof(text) - 1);
    struct osr_audit_record record = {UINT64_MAX, UINT64_MAX, false, text, text,
                                      text,       text,       text,  text};
    char read[2 * OSR_AUDIT_TEXT_BYTES_MAX] = "";
    struct osr_audit_head head;
    assert_int_equal(osr_audit_log_append(fixture->log, &record, 1, NULL), 0);
    close_log(fixture);
    assert_int_equal(open_log(fixture), 0);
    assert_int_equal(osr_audit_log_read(fixture->disk, "data", &(struct osr_audit_wanted){0},
                                        note_who, read, &head, NULL),
                     0);
    assert_string_equal(read, text);
}

/* ---- files ---- */

/* What was appended is there after a restart, and the chain goes on. */
static void audit_log_goes_on_after_a_restart(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < 5; i++) {
        struct osr_audit_head before = osr_audit_log_head(fixture->log);
        close_log(fixture);
        assert_int_equal(open_log(fixture), 0);
        struct osr_audit_head after = osr_audit_log_head(fixture->log);
        assert_int_equal(after.number, before.number);
        assert_memory_equal(&after.chain, &before.chain, sizeof(after.chain));
        assert_int_equal(osr_audit_log_torn_bytes(fixture->log), 0);
        assert_int_equal(append(fixture, i), 0); /* at the first time none */
    }
    assert_all(fixture, 1, 10);
}

static void count_name(void *context, const char *name)
{
    (void)name;
    (*(size_t *)context)++;
}

static size_t count_files(struct fixture *fixture)
{
    size_t count = 0;
    assert_int_equal(
        fixture->disk->ops->list(fixture->disk, "data/audit", count_name, &count, NULL), 0);
    return count;
}

static void open_small(struct fixture *fixture)
{
    close_log(fixture);
    fixture->file_bytes = 1000;
    fixture->files_max = 3;
    assert_int_equal(open_log(fixture), 0);
}

/* Files are as many and as large as asked for; what is left of the log verifies, also after a
 * restart at any number of records. */
static void audit_log_keeps_so_many_files(void **state)
{
    struct fixture *fixture = *state;
    open_small(fixture);
    for (uint64_t number = 1; number <= 40; number++) {
        struct found found;
        assert_int_equal(append(fixture, 1), 0);
        assert_int_equal(read_all(fixture, &found), 0);
        assert_all(fixture, found.first, number);
        close_log(fixture);
        assert_int_equal(open_log(fixture), 0);
        assert_true(count_files(fixture) <= 3);
    }
    assert_null(osr_sim_disk_content(fixture->sim, FIRST_FILE).data);
    assert_int_equal(count_files(fixture), 3);
}

/* A reader may begin at any record, whatever file it is in. */
static void audit_reading_begins_anywhere(void **state)
{
    struct fixture *fixture = *state;
    open_small(fixture);
    assert_int_equal(append(fixture, 7), 0);
    assert_int_equal(append(fixture, 7), 0);
    for (uint64_t number = 1; number <= 14; number++) {
        struct found found;
        const struct osr_audit_wanted wanted = {.from_number = number};
        assert_int_equal(read_wanted(fixture, &wanted, &found), 0);
        assert_int_equal(found.first, number);
        assert_int_equal(found.count, 15 - number);
    }
}

/* No log at all is told from an empty one. */
static void audit_reading_needs_a_log(void **state)
{
    struct fixture *fixture = *state;
    struct found found;
    assert_int_equal(read_all(fixture, &found), 0);
    assert_int_equal(found.count, 0);
    assert_int_equal(osr_audit_log_read(fixture->disk, "elsewhere", &(struct osr_audit_wanted){0},
                                        note_found, &found, &found.head, &fixture->err),
                     OSR_NOT_FOUND);
}

/* Each filter alone and some together. */
static void audit_reading_filters(void **state)
{
    static const struct {
        struct osr_audit_wanted wanted;
        uint64_t count;
    } cases[] = {
        {{0}, 12},
        {{.from_number = 5}, 8},
        {{.from_number = 99}, 0},
        {{.from_ms = 5}, 8},
        {{.to_ms = 5}, 5},
        {{.from_ms = 4, .to_ms = 6}, 3},
        {{.who = "user:ana"}, 4},
        {{.who = "user:an"}, 0},
        {{.who = "user:*"}, 4},
        {{.who = "instance:bo*"}, 8},
        {{.who = "*"}, 12},
        {{.who = ""}, 0},
        {{.denied_only = true}, 6},
        {{.denied_only = true, .who = "user:ana", .from_ms = 4}, 1},
    };
    struct fixture *fixture = *state;
    assert_int_equal(append(fixture, 12), 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct found found;
        assert_int_equal(read_wanted(fixture, &cases[i].wanted, &found), 0);
        if (found.count != cases[i].count) {
            fail_msg("case %zu: %u records", i, (unsigned)found.count);
        }
        assert_int_equal(found.head.number, 12);
    }
}

static int stop_at_third(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    (void)err;
    *(uint64_t *)context = record->number;
    return record->number == 3 ? OSR_NOT_FOUND : 0;
}

/* A visitor stops the reading, and its word is handed on, whatever it is. */
static void audit_reading_stops_when_asked(void **state)
{
    struct fixture *fixture = *state;
    uint64_t last = 0;
    struct osr_audit_head head;
    assert_int_equal(append(fixture, 5), 0);
    assert_int_equal(osr_audit_log_read(fixture->disk, "data", &(struct osr_audit_wanted){0},
                                        stop_at_third, &last, &head, NULL),
                     OSR_NOT_FOUND);
    assert_int_equal(last, 3);
    assert_int_equal(head.number, 3);
}

static int append_one_more(void *context, const struct osr_audit_record *record,
                           struct osr_err *err)
{
    struct fixture *fixture = context;
    (void)err;
    return record->number < 30 ? append(fixture, 1) : 0;
}

/* What is appended while a reader is under way is read, too, over the ends of files. */
static void audit_reading_meets_what_is_appended_meanwhile(void **state)
{
    struct fixture *fixture = *state;
    struct osr_audit_head head;
    close_log(fixture);
    fixture->file_bytes = 1000;
    assert_int_equal(open_log(fixture), 0);
    assert_int_equal(append(fixture, 1), 0);
    assert_int_equal(osr_audit_log_read(fixture->disk, "data", &(struct osr_audit_wanted){0},
                                        append_one_more, fixture, &head, NULL),
                     0);
    assert_int_equal(head.number, 30);
    assert_true(count_files(fixture) > 3);
}

/* On a real disk: nobody else may read it. */
static void audit_files_are_private(void **state)
{
    struct fixture *fixture = *state;
    char folder[] = "/tmp/osiris-audit-XXXXXX";
    struct stat status;
    assert_non_null(mkdtemp(folder));
    char *audit = osr_format("%s/audit", folder);
    char *path = osr_format("%s/00000000000000000001.log", audit);
    const struct osr_audit_log_options options = {.disk = osr_disk_system(), .folder = folder};
    close_log(fixture);
    assert_int_equal(osr_audit_log_open(&options, &fixture->log, NULL), 0);
    assert_int_equal(append(fixture, 3), 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(stat(audit, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0700);
    struct found found = {0};
    assert_int_equal(osr_audit_log_read(options.disk, folder, &(struct osr_audit_wanted){0},
                                        note_found, &found, &found.head, NULL),
                     0);
    assert_int_equal(found.count, 3);
    remove(path);
    rmdir(audit);
    rmdir(folder);
    free(path);
    free(audit);
}

/* ---- crashes and full disks ---- */

static struct osr_buffer copy_of(struct fixture *fixture, const char *path)
{
    struct osr_buffer copy = {0};
    struct osr_slice content = osr_sim_disk_content(fixture->sim, path);
    osr_buffer_add(&copy, content.data, content.size);
    return copy;
}

static uint64_t count_lines(struct osr_slice bytes)
{
    uint64_t count = 0;
    for (size_t i = 0; i < bytes.size; i++) {
        count += bytes.data[i] == '\n';
    }
    return count;
}

static size_t end_of_line(const struct osr_buffer *content, uint64_t lines)
{
    size_t at = 0;
    for (; lines > 0; at++) {
        lines -= content->data[at] == '\n';
    }
    return at;
}

/* The last line may end anywhere: whole ones in front of it are kept, and the log goes on. A
 * reader leaves the part out. */
static void audit_torn_line_is_cut_at_every_byte(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(append(fixture, 1), 0);
    assert_int_equal(append(fixture, 2), 0);
    struct osr_buffer whole = copy_of(fixture, FIRST_FILE);
    for (size_t size = end_of_line(&whole, 1); size <= whole.size; size++) {
        struct found found;
        uint64_t records = count_lines(osr_slice(whole.data, size)) - 1;
        size_t torn = size - end_of_line(&whole, records + 1);
        close_log(fixture);
        osr_sim_disk_put(fixture->sim, FIRST_FILE, osr_slice(whole.data, size));
        assert_int_equal(read_all(fixture, &found), 0);
        assert_int_equal(found.head.number, records);
        assert_int_equal(open_log(fixture), 0);
        assert_int_equal(osr_audit_log_head(fixture->log).number, records);
        assert_int_equal(osr_audit_log_torn_bytes(fixture->log), torn);
        assert_int_equal(append(fixture, 1), 0);
        assert_all(fixture, 1, records + 1);
    }
    osr_buffer_done(&whole);
}

/* A full disk leaves everything as it was; with room again the log goes on. */
static void audit_append_to_a_full_disk_keeps_nothing(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(append(fixture, 3), 0);
    struct osr_buffer before = copy_of(fixture, FIRST_FILE);
    struct osr_audit_head head = osr_audit_log_head(fixture->log);
    osr_sim_disk_set_capacity(fixture->sim, osr_sim_disk_used(fixture->sim) + 10);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(append(fixture, 2), OSR_DISK_FULL);
        struct osr_audit_head now = osr_audit_log_head(fixture->log);
        assert_int_equal(now.number, head.number);
        assert_memory_equal(&now.chain, &head.chain, sizeof(head.chain));
        struct osr_slice content = osr_sim_disk_content(fixture->sim, FIRST_FILE);
        assert_true(osr_slice_equal(content, osr_buffer_slice(&before)));
    }
    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    assert_int_equal(append(fixture, 2), 0);
    assert_all(fixture, 1, 5);
    osr_buffer_done(&before);
}

/* Nor does a disk without room for the next file stop it for ever. */
static void audit_next_file_waits_for_room(void **state)
{
    struct fixture *fixture = *state;
    open_small(fixture);
    assert_int_equal(append(fixture, 10), 0);
    osr_sim_disk_set_capacity(fixture->sim, osr_sim_disk_used(fixture->sim));
    assert_int_equal(append(fixture, 1), OSR_DISK_FULL);
    assert_int_equal(append(fixture, 1), OSR_DISK_FULL);
    assert_int_equal(count_files(fixture), 1);
    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    assert_int_equal(append(fixture, 1), 0);
    assert_int_equal(count_files(fixture), 2);
    assert_all(fixture, 1, 11);
}

/* A failed write or sync leaves nothing, and the next append goes where it would have gone. */
static void audit_failed_append_can_be_repeated(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(append(fixture, 3), 0);
    for (int i = 0; i < 2; i++) {
        struct osr_buffer before = copy_of(fixture, FIRST_FILE);
        if (i == 0) {
            osr_sim_disk_fail_write(fixture->sim, 1);
        } else {
            osr_sim_disk_fail_sync(fixture->sim, 1);
        }
        assert_int_equal(append(fixture, 20), OSR_IO);
        struct osr_slice content = osr_sim_disk_content(fixture->sim, FIRST_FILE);
        assert_true(osr_slice_equal(content, osr_buffer_slice(&before)));
        osr_buffer_done(&before);
        assert_int_equal(append(fixture, 1), 0);
    }
    assert_all(fixture, 1, 5);
    osr_sim_disk_power_cut(fixture->sim);
    close_log(fixture);
    assert_int_equal(open_log(fixture), 0);
    assert_all(fixture, 1, 5);
}

enum { CRASH_RUNS = 400, LIVES = 6 };

/* Appends until the disk goes down, or for long enough. Returns what was acknowledged. */
static uint64_t live(struct fixture *fixture, struct osr_random *random)
{
    uint64_t acknowledged = osr_audit_log_head(fixture->log).number;
    osr_sim_disk_crash_at(fixture->sim, 1 + osr_random_below(random, 40));
    for (int i = 0; i < 40 && !osr_sim_disk_is_down(fixture->sim); i++) {
        if (osr_random_chance(random, 0.1)) {
            osr_sim_disk_fail_write(fixture->sim, 1);
        }
        if (osr_random_chance(random, 0.1)) {
            osr_sim_disk_fail_sync(fixture->sim, 1);
        }
        if (append(fixture, 1 + (size_t)osr_random_below(random, 12)) == 0) {
            acknowledged = osr_audit_log_head(fixture->log).number;
        }
    }
    return acknowledged;
}

/* Through crashes at any step, power cuts and failing disks: what was acknowledged is there, the
 * log opens, and its chain holds. */
static void audit_log_survives_crashes(void **state)
{
    (void)state;
    uint64_t torn = 0;
    uint64_t rotated = 0;
    for (uint64_t seed = 1; seed <= CRASH_RUNS; seed++) {
        struct fixture fixture = {.file_bytes = 3000};
        struct osr_random random;
        uint64_t acknowledged = 0;
        osr_random_init(&random, seed);
        make_disk(&fixture, seed);
        for (int life = 0; life < LIVES; life++) {
            struct found found;
            int code = open_log(&fixture);
            if (code != 0) {
                fail_msg("seed %u: %s", (unsigned)seed, fixture.err.message);
            }
            torn += osr_audit_log_torn_bytes(fixture.log) > 0;
            assert_true(osr_audit_log_head(fixture.log).number >= acknowledged);
            assert_int_equal(read_all(&fixture, &found), 0);
            assert_int_equal(found.head.number, osr_audit_log_head(fixture.log).number);
            acknowledged = live(&fixture, &random);
            close_log(&fixture);
            if (osr_random_chance(&random, 0.7)) {
                osr_sim_disk_power_cut(fixture.sim);
            } else {
                osr_sim_disk_kill(fixture.sim);
            }
        }
        rotated += count_files(&fixture) > 1;
        osr_sim_disk_destroy(fixture.sim);
    }
    /* Much happened, or it says nothing. */
    assert_true(torn > 100);
    assert_true(rotated > 100);
}

/* ---- meddling ---- */

struct two_files {
    struct osr_audit_head head;
    const char *paths[2];
    struct osr_buffer content[2];
};

/* Records 1 to 6 in one file, 7 to 10 in the next, appended in pairs. */
static struct two_files make_two_files(struct fixture *fixture)
{
    struct two_files two = {
        .paths = {FIRST_FILE, "data/audit/00000000000000000007.log"},
    };
    close_log(fixture);
    fixture->file_bytes = 1400;
    assert_int_equal(open_log(fixture), 0);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(append(fixture, 2), 0);
    }
    two.head = osr_audit_log_head(fixture->log);
    for (size_t i = 0; i < 2; i++) {
        two.content[i] = copy_of(fixture, two.paths[i]);
        assert_true(two.content[i].size > 0);
    }
    close_log(fixture);
    return two;
}

static void done_two_files(struct two_files *two)
{
    osr_buffer_done(&two->content[0]);
    osr_buffer_done(&two->content[1]);
}

static int pass_over(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    (void)context;
    (void)record;
    (void)err;
    return 0;
}

/* Whether who noted the head elsewhere sees that the log is not what it was. */
static bool is_noticed(struct fixture *fixture, const struct osr_audit_head *head)
{
    struct osr_audit_head found;
    int code = osr_audit_log_read(fixture->disk, "data", &(struct osr_audit_wanted){0}, pass_over,
                                  NULL, &found, &fixture->err);
    return code != 0 || found.number != head->number || !osr_hash_equal(&found.chain, &head->chain);
}

/* Every bit of every file counts. At open, what was on the disk for sure is not taken for torn. */
static void audit_altered_byte_is_found(void **state)
{
    static const uint8_t masks[] = {0x01, 0x02, 0x20, 0x80};
    struct fixture *fixture = *state;
    struct two_files two = make_two_files(fixture);
    size_t vouched = end_of_line(&two.content[1], 3);
    for (size_t i = 0; i < 2; i++) {
        for (size_t at = 0; at < two.content[i].size; at++) {
            uint8_t mask = masks[at % sizeof(masks)];
            osr_sim_disk_flip(fixture->sim, two.paths[i], at, mask);
            if (!is_noticed(fixture, &two.head)) {
                fail_msg("file %zu, byte %zu was altered unseen", i, at);
            }
            if (i == 1 && at < vouched && open_log(fixture) == 0) {
                fail_msg("byte %zu was altered, and cut at open", at);
            }
            osr_sim_disk_flip(fixture->sim, two.paths[i], at, mask);
        }
    }
    assert_false(is_noticed(fixture, &two.head));
    done_two_files(&two);
}

/* Puts back one of two files as lines [first, last), counted from 0, of what it was. */
static void put_lines(struct fixture *fixture, const struct two_files *two, size_t file,
                      const uint64_t (*ranges)[2], size_t count)
{
    const struct osr_buffer *content = &two->content[file];
    struct osr_buffer altered = {0};
    for (size_t i = 0; i < count; i++) {
        size_t from = end_of_line(content, ranges[i][0]);
        osr_buffer_add(&altered, content->data + from, end_of_line(content, ranges[i][1]) - from);
    }
    osr_sim_disk_put(fixture->sim, two->paths[file], osr_buffer_slice(&altered));
    osr_buffer_done(&altered);
}

/* Lines left out, moved, doubled and cut off, in either file, are noticed; so are files that are
 * missing, empty, or in the other's place. */
static void audit_altered_lines_are_found(void **state)
{
    static const uint64_t ranges[][3][2] = {
        {{0, 1}, {2, 5}},         /* left out */
        {{0, 3}, {4, 5}},         /* left out later */
        {{0, 4}},                 /* cut off */
        {{0, 1}},                 /* only the first line */
        {{1, 5}},                 /* without the first line */
        {{0, 1}, {2, 3}, {1, 2}}, /* moved */
        {{0, 2}, {1, 5}},         /* doubled */
    };
    struct fixture *fixture = *state;
    struct two_files two = make_two_files(fixture);
    for (size_t file = 0; file < 2; file++) {
        for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
            put_lines(fixture, &two, file, ranges[i], 3);
            if (!is_noticed(fixture, &two.head)) {
                fail_msg("file %zu: alteration %zu not seen", file, i);
            }
            osr_sim_disk_put(fixture->sim, two.paths[file], osr_buffer_slice(&two.content[file]));
        }
        osr_sim_disk_put(fixture->sim, two.paths[file], osr_buffer_slice(&two.content[1 - file]));
        assert_true(is_noticed(fixture, &two.head));
        osr_sim_disk_put(fixture->sim, two.paths[file], osr_slice("", 0));
        assert_true(is_noticed(fixture, &two.head));
        osr_sim_disk_put(fixture->sim, two.paths[file], osr_buffer_slice(&two.content[file]));
    }
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, two.paths[1], NULL), 0);
    assert_true(is_noticed(fixture, &two.head));
    done_two_files(&two);
}

/* Something written behind a file's end is noticed, in a part of a line, too. */
static void audit_added_bytes_are_found(void **state)
{
    static const char *const added[] = {"\n", "{\"n\":7}\n", "x"};
    struct fixture *fixture = *state;
    struct two_files two = make_two_files(fixture);
    for (size_t i = 0; i < sizeof(added) / sizeof(added[0]); i++) {
        struct osr_buffer longer = copy_of(fixture, FIRST_FILE);
        osr_buffer_add_text(&longer, added[i]);
        osr_sim_disk_put(fixture->sim, FIRST_FILE, osr_buffer_slice(&longer));
        assert_true(is_noticed(fixture, &two.head));
        osr_sim_disk_put(fixture->sim, FIRST_FILE, osr_buffer_slice(&two.content[0]));
        osr_buffer_done(&longer);
    }
    done_two_files(&two);
}

/* A file of another log, good in itself, does not go on where this one's file ends. */
static void audit_file_of_another_log_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct two_files two = make_two_files(fixture);
    struct found found;
    struct osr_audit_record other = record_at(1);
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, two.paths[0], NULL), 0);
    assert_int_equal(fixture->disk->ops->remove(fixture->disk, two.paths[1], NULL), 0);
    assert_int_equal(open_log(fixture), 0);
    other.why = "!";
    assert_int_equal(osr_audit_log_append(fixture->log, &other, 1, NULL), 0);
    assert_int_equal(append(fixture, 1), 0);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(append(fixture, 2), 0);
    }
    osr_sim_disk_put(fixture->sim, two.paths[0], osr_buffer_slice(&two.content[0]));
    assert_int_equal(read_all(fixture, &found), OSR_CORRUPT);
    assert_int_equal(found.head.number, 6);
    done_two_files(&two);
}

/* A record that says another number than its place is none, though its chain holds. */
static void audit_line_with_another_number_does_not_hold(void **state)
{
    struct osr_audit_head head = {.number = 4};
    struct osr_buffer line = {0};
    (void)state;
    const struct osr_audit_record record = record_at(5);
    osr_audit_line_encode(&line, &record, 0, &head);
    line.size--; /* the newline */
    head = (struct osr_audit_head){.number = 5};
    assert_false(osr_audit_line_holds(osr_buffer_slice(&line), &head));
    head = (struct osr_audit_head){.number = 4};
    assert_true(osr_audit_line_holds(osr_buffer_slice(&line), &head));
    assert_int_equal(head.number, 5);
    osr_buffer_done(&line);
}

/* A missing file between two others is no end. */
static void audit_missing_file_is_found(void **state)
{
    struct fixture *fixture = *state;
    struct found found;
    close_log(fixture);
    fixture->file_bytes = 300;
    assert_int_equal(open_log(fixture), 0);
    for (int i = 0; i < 6; i++) {
        assert_int_equal(append(fixture, 1), 0);
    }
    assert_true(count_files(fixture) >= 3);
    assert_int_equal(
        fixture->disk->ops->remove(fixture->disk, "data/audit/00000000000000000003.log", NULL), 0);
    assert_int_equal(read_all(fixture, &found), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "records from 3 on are missing"));
}

/* Files that are none of ours, or a later version's, are told so and left alone. */
static void audit_foreign_files_are_left_alone(void **state)
{
    static const struct {
        const char *content;
        int code;
    } cases[] = {
        {"hello\n", OSR_FOREIGN_FILE},
        {"", OSR_FOREIGN_FILE},
        {"{\"osiris\":\"audit\",\"format\":2,\"after\":0}\n", OSR_UNSUPPORTED_VERSION},
        {"{\"osiris\":\"audit\",\"format\":1,\"after\":0}\n", OSR_CORRUPT},
    };
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct osr_slice content = osr_slice_text(cases[i].content);
        close_log(fixture);
        osr_sim_disk_put(fixture->sim, FIRST_FILE, content);
        assert_int_equal(open_log(fixture), cases[i].code);
        assert_true(osr_slice_equal(osr_sim_disk_content(fixture->sim, FIRST_FILE), content));
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(audit_lines_are_as_written_down),
        TEST(audit_texts_come_back),
        TEST(audit_long_texts_are_cut),
        TEST(audit_longest_line_is_read),
        TEST(audit_log_goes_on_after_a_restart),
        TEST(audit_log_keeps_so_many_files),
        TEST(audit_reading_begins_anywhere),
        TEST(audit_reading_needs_a_log),
        TEST(audit_reading_filters),
        TEST(audit_reading_stops_when_asked),
        TEST(audit_reading_meets_what_is_appended_meanwhile),
        TEST(audit_files_are_private),
        TEST(audit_torn_line_is_cut_at_every_byte),
        TEST(audit_append_to_a_full_disk_keeps_nothing),
        TEST(audit_next_file_waits_for_room),
        TEST(audit_failed_append_can_be_repeated),
        cmocka_unit_test(audit_log_survives_crashes),
        TEST(audit_altered_byte_is_found),
        TEST(audit_altered_lines_are_found),
        TEST(audit_added_bytes_are_found),
        TEST(audit_file_of_another_log_is_found),
        cmocka_unit_test(audit_line_with_another_number_does_not_hold),
        TEST(audit_missing_file_is_found),
        TEST(audit_foreign_files_are_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
