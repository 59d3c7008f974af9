/* The loop's side of the audit log: what is noted, and what floods and full disks do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/sim_disk.h"
#include "node/audit.h"
#include "node/audit_denials.h"

/* The simulated disk is the thread's while a batch is under way: the tests touch it only when
 * nothing waits, or after a failure. */
struct fixture {
    uv_loop_t loop;
    struct osr_sim_disk *sim;
    struct osr_trace trace;
    struct osr_buffer traced;
    struct osr_audit *audit;
    struct osr_err err;
};

static void keep_line(void *context, enum osr_level level, const char *line)
{
    (void)level;
    osr_buffer_add_format(context, "%s\n", line);
}

static void open_audit(struct fixture *fixture, bool all)
{
    const struct osr_audit_options options = {
        .loop = &fixture->loop,
        .disk = osr_sim_disk_port(fixture->sim),
        .folder = "data",
        .self = "instance:me",
        .all = all,
        .trace = &fixture->trace,
    };
    assert_int_equal(osr_audit_create(&options, &fixture->audit, &fixture->err), 0);
}

static void close_audit(struct fixture *fixture)
{
    osr_audit_destroy(fixture->audit);
    fixture->audit = NULL;
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    uv_loop_init(&fixture->loop);
    fixture->sim = osr_sim_disk_create(1);
    struct osr_disk *disk = osr_sim_disk_port(fixture->sim);
    assert_int_equal(disk->ops->make_folder(disk, "data", NULL), 0);
    fixture->trace = (struct osr_trace){keep_line, &fixture->traced, OSR_LEVEL_INFO};
    open_audit(fixture, false);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    close_audit(fixture);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_sim_disk_destroy(fixture->sim);
    osr_buffer_done(&fixture->traced);
    free(fixture);
    return 0;
}

static struct osr_audit_status status_of(struct fixture *fixture)
{
    struct osr_audit_status status;
    osr_audit_get_status(fixture->audit, &status);
    return status;
}

static void run_until_written(struct fixture *fixture)
{
    while (status_of(fixture).waiting > 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

/* ---- notes ---- */

static struct osr_audit_record record_of(const char *from, const char *what, bool allowed)
{
    return (struct osr_audit_record){
        .allowed = allowed,
        .who = "user:ana",
        .from = from,
        .action = "write",
        .part = "collection:x",
        .what = what,
        .why = "because",
    };
}

static int note(struct fixture *fixture, enum osr_audit_kind kind, const char *from,
                const char *what, bool allowed)
{
    const struct osr_audit_record record = record_of(from, what, allowed);
    return osr_audit_note(fixture->audit, kind, &record, &fixture->err);
}

static int add_line(void *context, const struct osr_audit_record *record, struct osr_err *err)
{
    (void)err;
    osr_buffer_add_format(context, "%s %s %s%s%s\n", record->from, record->what,
                          record->allowed ? "yes" : "no", record->why[0] != '\0' ? " " : "",
                          record->why);
    return 0;
}

/* All records but the first, which is the start, as "FROM WHAT yes|no WHY" lines. Written out. */
static char *log_text(struct fixture *fixture)
{
    const struct osr_audit_wanted wanted = {.from_number = 2};
    struct osr_buffer text = {0};
    struct osr_audit_head head;
    assert_int_equal(osr_audit_log_read(osr_sim_disk_port(fixture->sim), "data", &wanted, add_line,
                                        &text, &head, NULL),
                     0);
    osr_buffer_add_u8(&text, '\0');
    return (char *)text.data;
}

static void assert_log(struct fixture *fixture, const char *expected)
{
    run_until_written(fixture);
    char *text = log_text(fixture);
    assert_string_equal(text, expected);
    free(text);
}

static size_t count_in_log(struct fixture *fixture, const char *piece)
{
    size_t count = 0;
    char *text = log_text(fixture);
    for (const char *at = text; (at = strstr(at, piece)) != NULL; at++) {
        count++;
    }
    free(text);
    return count;
}

/* ---- what is noted ---- */

/* Denials, changes of trust and logins always; documents only where all is asked for. */
static void audit_notes_what_it_should(void **state)
{
    struct fixture *fixture = *state;
    for (int all = 0; all < 2; all++) {
        assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "a", "GET", true), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "a", "PUT", false), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_TRUST, "a", "REVOKE", true), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_TRUST, "a", "INVITE", false), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "LOGIN", true), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "LOGIN", false), 0);
        if (all == 0) {
            assert_log(fixture, "a PUT no because\na REVOKE yes because\na INVITE no because\n"
                                "a LOGIN yes because\na LOGIN no because\n");
            close_audit(fixture);
            open_audit(fixture, true);
        }
    }
    run_until_written(fixture);
    assert_int_equal(count_in_log(fixture, "GET yes"), 1);
    assert_int_equal(count_in_log(fixture, "PUT no"), 2);
}

/* The instance's own start and stop are records, too, and what a crash cost is told. */
static void audit_notes_start_and_stop(void **state)
{
    struct fixture *fixture = *state;
    const char *path = "data/audit/00000000000000000001.log";
    struct osr_buffer torn = {0};
    close_audit(fixture);
    assert_int_equal(count_in_log(fixture, " STOP yes"), 1);
    struct osr_slice content = osr_sim_disk_content(fixture->sim, path);
    osr_buffer_add(&torn, content.data, content.size);
    osr_buffer_add_text(&torn, "{\"n\":3,");
    osr_sim_disk_put(fixture->sim, path, osr_buffer_slice(&torn));
    open_audit(fixture, false);
    assert_log(fixture,
               " STOP yes\n START yes cut off 7 bytes that a crash left behind record 2\n");
    osr_buffer_done(&torn);
}

/* Texts are copied: the caller's may change at once. */
static void audit_keeps_copies(void **state)
{
    struct fixture *fixture = *state;
    char text[] = "before";
    assert_int_equal(note(fixture, OSR_AUDIT_TRUST, text, text, true), 0);
    memset(text, 'x', sizeof(text) - 1);
    assert_log(fixture, "before before yes because\n");
}

/* Stopping writes all that waits, however many batches that is. */
static void audit_stop_writes_what_waits(void **state)
{
    struct fixture *fixture = *state;
    const int notes = OSR_AUDIT_QUEUE_MAX - 2;
    for (int i = 0; i < notes; i++) {
        assert_int_equal(note(fixture, OSR_AUDIT_TRUST, "a", "GRANT", true), 0);
    }
    close_audit(fixture);
    assert_int_equal(count_in_log(fixture, "GRANT"), notes);
    assert_int_equal(count_in_log(fixture, "STOP"), 1);
}

/* ---- floods ---- */

/* Equal denials of a second are two lines: the first one, and how many there were more. */
static void audit_sums_up_equal_denials(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 1000; i++) {
        assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "a", "PUT", false), 0);
        assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "b", "PUT", false), 0);
    }
    assert_log(fixture, "a PUT no because\nb PUT no because\n");
    while (count_in_log(fixture, "more") < 2) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
        run_until_written(fixture);
    }
    assert_int_equal(count_in_log(fixture, "a PUT no 999 more like this\n"), 1);
    assert_int_equal(count_in_log(fixture, "b PUT no 999 more like this\n"), 1);
    assert_int_equal(count_in_log(fixture, "PUT"), 4);
}

/* So are equal logins: a token that is shown over and over washes nothing out of the log. */
static void audit_sums_up_equal_logins(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 2 * OSR_AUDIT_QUEUE_MAX; i++) {
        assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "token", true), 0);
    }
    assert_log(fixture, "a token yes because\n");
    close_audit(fixture);
    char all_but_the_first[64];
    snprintf(all_but_the_first, sizeof(all_but_the_first), "a token yes %d more like this\n",
             2 * OSR_AUDIT_QUEUE_MAX - 1);
    assert_int_equal(count_in_log(fixture, all_but_the_first), 1);
}

/* A login among denials of its address is a line of its own. */
static void audit_hides_no_login_among_denials(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 10 * OSR_DENIALS_OF_ADDRESS_MAX; i++) {
        char what[32];
        snprintf(what, sizeof(what), "TRY%d", i);
        assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", what, false), 0);
    }
    assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "TRY0", true), 0);
    run_until_written(fixture);
    assert_int_equal(count_in_log(fixture, "a TRY0 yes because\n"), 1);
}

/* What was counted is not lost when the instance stops within the second. */
static void audit_stop_sums_up(void **state)
{
    struct fixture *fixture = *state;
    for (int i = 0; i < 5; i++) {
        assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "LOGIN", false), 0);
    }
    close_audit(fixture);
    char *text = log_text(fixture);
    assert_string_equal(text, "a LOGIN no because\na LOGIN no 4 more like this\n STOP yes\n");
    free(text);
}

/* Sums on their own, without a clock: a list of lines. */
static void add_sum(void *context, const struct osr_audit_record *record)
{
    add_line(context, record, NULL);
}

/* One denial, as the audit would treat it. */
static void deny(struct osr_denials *denials, const char *from, const char *what,
                 struct osr_buffer *lines)
{
    const struct osr_audit_record record = record_of(from, what, false);
    if (!osr_denials_count(denials, &record)) {
        add_line(lines, &record, NULL);
        osr_denials_add(denials, &record);
    }
}

static void assert_lines(struct osr_buffer *lines, const char *expected)
{
    osr_buffer_add_u8(lines, '\0');
    assert_string_equal((const char *)lines->data, expected);
    lines->size = 0;
}

/* A flood that goes on is one line a second; after a quiet second a denial is a line again. */
static void denials_that_go_on_are_a_line_a_second(void **state)
{
    struct osr_denials *denials = osr_denials_create(1);
    struct osr_buffer lines = {0};
    (void)state;
    deny(denials, "a", "PUT", &lines);
    assert_lines(&lines, "a PUT no because\n");
    for (int second = 0; second < 5; second++) {
        for (int i = 0; i < 10; i++) {
            deny(denials, "a", "PUT", &lines);
        }
        assert_int_equal(lines.size, 0);
        osr_denials_sum_up(denials, 100, add_sum, &lines);
        assert_lines(&lines, "a PUT no 10 more like this\n");
    }
    osr_denials_sum_up(denials, 100, add_sum, &lines);
    deny(denials, "a", "PUT", &lines);
    assert_lines(&lines, "a PUT no because\n");
    osr_buffer_done(&lines);
    osr_denials_destroy(denials);
}

/* Made-up names do not get a line each, nor do they hide what another address does. */
static void denials_of_one_address_share_a_line(void **state)
{
    struct osr_denials *denials = osr_denials_create(1);
    struct osr_buffer lines = {0};
    (void)state;
    for (int i = 0; i < 1000; i++) {
        char what[32];
        snprintf(what, sizeof(what), "TRY%d", i);
        deny(denials, "a", what, &lines);
    }
    lines.size = 0;
    deny(denials, "b", "PUT", &lines);
    deny(denials, "a", "TRY0", &lines);
    assert_lines(&lines, "b PUT no because\n");
    osr_denials_sum_up(denials, 1, add_sum, &lines);
    size_t size = lines.size;
    osr_denials_sum_up(denials, 1, add_sum, &lines);
    assert_true(lines.size > size); /* one at a time, as asked */
    osr_buffer_add_u8(&lines, '\0');
    assert_non_null(strstr((const char *)lines.data, "a TRY8 no 992 more denials from this "
                                                     "address\n"));
    assert_non_null(strstr((const char *)lines.data, "a TRY0 no 1 more like this\n"));
    /* Two quiet seconds, and nothing is left of it. */
    osr_denials_sum_up(denials, 1, add_sum, &lines);
    osr_denials_sum_up(denials, 1, add_sum, &lines);
    assert_true(osr_denials_is_empty(denials));
    osr_buffer_done(&lines);
    osr_denials_destroy(denials);
}

/* Memory is bounded: beyond so many addresses all others share a line. None is left out. */
static void denials_of_too_many_addresses_share_a_line(void **state)
{
    struct osr_denials *denials = osr_denials_create(1);
    struct osr_buffer lines = {0};
    size_t noted = 0;
    (void)state;
    for (int i = 0; i < 3 * OSR_DENIALS_MAX; i++) {
        char from[32];
        snprintf(from, sizeof(from), "net%d", i);
        lines.size = 0;
        deny(denials, from, "PUT", &lines);
        noted += lines.size > 0;
    }
    assert_int_equal(noted, OSR_DENIALS_MAX / 2);
    lines.size = 0;
    osr_denials_sum_up(denials, 100, add_sum, &lines);
    assert_lines(&lines, "net1024 PUT no 5120 more denials from other addresses\n");
    osr_buffer_done(&lines);
    osr_denials_destroy(denials);
}

/* ---- full disks ---- */

/* Lets one append fail, so that what is noted from now on waits. */
static void fill_disk(struct fixture *fixture)
{
    run_until_written(fixture);
    osr_sim_disk_set_capacity(fixture->sim, osr_sim_disk_used(fixture->sim));
    assert_int_equal(note(fixture, OSR_AUDIT_TRUST, "a", "FIRST", true), 0);
    while (status_of(fixture).err.code == 0) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

static bool was_traced(struct fixture *fixture, const char *piece)
{
    return fixture->traced.size > 0 &&
           memmem(fixture->traced.data, fixture->traced.size, piece, strlen(piece)) != NULL;
}

/* On a full disk notes wait, the status says why; with room they are written by themselves. */
static void audit_waits_for_room_on_the_disk(void **state)
{
    struct fixture *fixture = *state;
    fill_disk(fixture);
    assert_int_equal(note(fixture, OSR_AUDIT_TRUST, "a", "SECOND", true), 0);
    struct osr_audit_status status = status_of(fixture);
    assert_int_equal(status.err.code, OSR_DISK_FULL);
    assert_int_equal(status.waiting, 2);
    assert_int_equal(status.head.number, 1);
    assert_true(was_traced(fixture, "cannot be written"));
    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    assert_log(fixture, "a FIRST yes because\na SECOND yes because\n");
    status = status_of(fixture);
    assert_int_equal(status.err.code, 0);
    assert_int_equal(status.head.number, 3);
    assert_true(was_traced(fixture, "is written again"));
}

/* In a full queue only what may be is left out, and told of; the rest is refused with BUSY, and
 * denials that are summed up need no place. */
static void audit_full_queue_refuses_what_must_be_noted(void **state)
{
    struct fixture *fixture = *state;
    int noted = 0;
    close_audit(fixture);
    open_audit(fixture, true);
    fill_disk(fixture);
    for (int i = 0; i < OSR_AUDIT_QUEUE_MAX; i++) {
        assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "a", "GET", true), 0);
    }
    struct osr_audit_status status = status_of(fixture);
    assert_int_equal(status.waiting, OSR_AUDIT_QUEUE_ALLOWED_MAX);
    assert_int_equal(status.left_out, OSR_AUDIT_QUEUE_MAX - OSR_AUDIT_QUEUE_ALLOWED_MAX + 1);
    assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "b", "PUT", false), 0);
    while (note(fixture, OSR_AUDIT_TRUST, "a", "GRANT", true) == 0) {
        noted++;
    }
    assert_int_equal(fixture->err.code, OSR_BUSY);
    assert_non_null(strstr(fixture->err.message, "the simulated disk is full"));
    assert_int_equal(noted, OSR_AUDIT_QUEUE_MAX - OSR_AUDIT_QUEUE_ALLOWED_MAX - 1);
    assert_int_equal(note(fixture, OSR_AUDIT_LOGIN, "a", "LOGIN", true), OSR_BUSY);
    assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "c", "PUT", false), OSR_BUSY);
    assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "b", "PUT", false), 0);
    assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "a", "GET", true), 0);

    osr_sim_disk_set_capacity(fixture->sim, UINT64_MAX);
    run_until_written(fixture);
    assert_int_equal(note(fixture, OSR_AUDIT_DOCUMENTS, "c", "PUT", false), 0);
    close_audit(fixture);
    assert_int_equal(count_in_log(fixture, "GRANT"), noted);
    assert_int_equal(count_in_log(fixture, "a GET yes because"), OSR_AUDIT_QUEUE_ALLOWED_MAX - 1);
    assert_int_equal(count_in_log(fixture, "a GET yes 2050 more like this, too many to note each"),
                     1);
    assert_int_equal(count_in_log(fixture, "b PUT no because"), 1);
    assert_int_equal(count_in_log(fixture, "b PUT no 1 more like this"), 1);
    assert_int_equal(count_in_log(fixture, "c PUT no because"), 1);
    assert_int_equal(count_in_log(fixture, "c PUT"), 1);
}

/* Who stops with a disk still full is told how much is lost. */
static void audit_stop_tells_what_is_lost(void **state)
{
    struct fixture *fixture = *state;
    fill_disk(fixture);
    close_audit(fixture);
    assert_true(was_traced(fixture, "2 records of the audit log are lost: the simulated disk is "
                                    "full"));
}

/* A log that does not hold is no log to go on with. */
static void audit_refuses_a_damaged_log(void **state)
{
    struct fixture *fixture = *state;
    struct osr_audit *audit = NULL;
    const struct osr_audit_options options = {
        .loop = &fixture->loop,
        .disk = osr_sim_disk_port(fixture->sim),
        .folder = "data",
        .self = "instance:me",
        .trace = &fixture->trace,
    };
    run_until_written(fixture);
    close_audit(fixture);
    osr_sim_disk_flip(fixture->sim, "data/audit/00000000000000000001.log", 200, 1);
    assert_int_equal(osr_audit_create(&options, &audit, &fixture->err), OSR_CORRUPT);
    assert_non_null(strstr(fixture->err.message, "record 1 of the audit log does not hold"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(audit_notes_what_it_should),
        TEST(audit_notes_start_and_stop),
        TEST(audit_keeps_copies),
        TEST(audit_stop_writes_what_waits),
        TEST(audit_sums_up_equal_denials),
        TEST(audit_sums_up_equal_logins),
        TEST(audit_hides_no_login_among_denials),
        TEST(audit_stop_sums_up),
        cmocka_unit_test(denials_that_go_on_are_a_line_a_second),
        cmocka_unit_test(denials_of_one_address_share_a_line),
        cmocka_unit_test(denials_of_too_many_addresses_share_a_line),
        TEST(audit_waits_for_room_on_the_disk),
        TEST(audit_full_queue_refuses_what_must_be_noted),
        TEST(audit_stop_tells_what_is_lost),
        TEST(audit_refuses_a_damaged_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
