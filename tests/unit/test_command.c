/* What the command line understands, and how it shows things. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/text.h"
#include "bin/command.h"
#include "bin/display.h"
#include "bin/table.h"

static int read_words(struct osr_arguments *arguments, const char *command, char **words,
                      struct osr_err *err)
{
    int count = 0;
    while (words[count] != NULL)
        count++;
    *arguments = (struct osr_arguments){0};
    return osr_arguments_read(arguments, osr_command_find(command)->flags, count, words, err);
}

/* Options may stand before, between and behind operands, with '=' or without. */
static void options_stand_anywhere(void **state)
{
    (void)state;
    char *words[] = {"add", "--acks=2", "text", "-t",   "a", "--tag",
                     "b",   "-cnotes",  "-o",   "json", NULL};
    struct osr_arguments arguments;
    assert_int_equal(read_words(&arguments, "kb add", words, NULL), OSR_OK);
    assert_int_equal(arguments.operand_count, 1);
    assert_string_equal(arguments.operands[0], "text");
    assert_string_equal(arguments.values[OSR_FLAG_ACKS], "2");
    assert_string_equal(arguments.values[OSR_FLAG_COLLECTION], "notes");
    assert_string_equal(arguments.values[OSR_FLAG_OUTPUT], "json");
    assert_int_equal(arguments.tag_count, 2);
    assert_string_equal(arguments.tags[1], "b");
    assert_false(osr_arguments_has(&arguments, OSR_FLAG_JSON));
}

/* Behind "--" everything is text. */
static void text_may_begin_with_a_dash(void **state)
{
    (void)state;
    char *words[] = {"add", "--", "-5 degrees", NULL};
    struct osr_arguments arguments;
    assert_int_equal(read_words(&arguments, "kb add", words, NULL), OSR_OK);
    assert_string_equal(arguments.operands[0], "-5 degrees");
}

/* Each mistake in the options is named. */
static void wrong_options_are_named(void **state)
{
    (void)state;
    static const struct {
        char *words[3];
        const char *message;
    } cases[] = {
        {{"list", "--acks=2"}, "no such option here: '--acks=2'"},
        {{"list", "-x"}, "no such option here: '-x'"},
        {{"list", "--limit"}, "option '--limit' needs a value"},
        {{"list", "-n"}, "option '-n' needs a value"},
        {{"list", "--help=me"}, "option '--help' takes no value"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char *words[3];
        memcpy(words, cases[i].words, sizeof(words));
        struct osr_arguments arguments;
        struct osr_err err;
        assert_int_equal(read_words(&arguments, "kb list", words, &err), OSR_INVALID_ARGUMENT);
        assert_string_equal(err.message, cases[i].message);
    }
}

static struct osr_arguments with_value(enum osr_flag flag, const char *value)
{
    struct osr_arguments arguments = {0};
    arguments.values[flag] = value;
    return arguments;
}

/* A number is digits within its limit, and nothing else. */
static void numbers_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {
        "", "-1", "+1", " 1", "1 ", "1.5", "65", "x", "18446744073709551616"};
    uint64_t number = 7;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct osr_arguments arguments = with_value(OSR_FLAG_ACKS, wrong[i]);
        assert_int_equal(osr_arguments_number(&arguments, OSR_FLAG_ACKS, 0, 64, &number, NULL),
                         OSR_INVALID_ARGUMENT);
    }
    assert_int_equal(number, 7);
    struct osr_arguments arguments = with_value(OSR_FLAG_ACKS, "64");
    assert_int_equal(osr_arguments_number(&arguments, OSR_FLAG_ACKS, 0, 64, &number, NULL), OSR_OK);
    assert_int_equal(number, 64);
    arguments = with_value(OSR_FLAG_ACKS, NULL);
    assert_int_equal(osr_arguments_number(&arguments, OSR_FLAG_ACKS, 3, 64, &number, NULL), OSR_OK);
    assert_int_equal(number, 3);
}

/* Seconds become milliseconds, none of them too few to wait or too many to count. */
static void seconds_are_checked(void **state)
{
    (void)state;
    static const char *const wrong[] = {"", "0", "-1", "nan", "inf", "1s", "2592001", "0.0001"};
    uint32_t ms = 0;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct osr_arguments arguments = with_value(OSR_FLAG_WAIT, wrong[i]);
        assert_int_equal(osr_arguments_seconds(&arguments, OSR_FLAG_WAIT, 0, &ms, NULL),
                         OSR_INVALID_ARGUMENT);
    }
    struct osr_arguments arguments = with_value(OSR_FLAG_WAIT, "0.5");
    assert_int_equal(osr_arguments_seconds(&arguments, OSR_FLAG_WAIT, 0, &ms, NULL), OSR_OK);
    assert_int_equal(ms, 500);
}

/* A time is a date, in UTC, or a span from now on. */
static void times_are_understood(void **state)
{
    (void)state;
    uint64_t ms;
    struct osr_arguments arguments = with_value(OSR_FLAG_EXPIRES, "2031-12-31T23:59:59Z");
    assert_int_equal(osr_arguments_time(&arguments, OSR_FLAG_EXPIRES, &ms, NULL), OSR_OK);
    assert_int_equal(ms, 1956527999000);
    arguments = with_value(OSR_FLAG_EXPIRES, "2031-12-31");
    assert_int_equal(osr_arguments_time(&arguments, OSR_FLAG_EXPIRES, &ms, NULL), OSR_OK);
    assert_int_equal(ms, 1956441600000);
    arguments = with_value(OSR_FLAG_EXPIRES, "2d");
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    assert_int_equal(osr_arguments_time(&arguments, OSR_FLAG_EXPIRES, &ms, NULL), OSR_OK);
    assert_in_range(ms - now_ms, 2 * 86400000, 2 * 86400000 + 5000);
    static const char *const wrong[] = {
        "", "d", "2", "2x", "-2d", "2031-13-01", "tomorrow", "99999999d", "2031-12-31T23:59:59"};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        arguments = with_value(OSR_FLAG_EXPIRES, wrong[i]);
        assert_int_equal(osr_arguments_time(&arguments, OSR_FLAG_EXPIRES, &ms, NULL),
                         OSR_INVALID_ARGUMENT);
    }
}

/* A slip of the fingers is understood, anything else is not guessed at. */
static void misspelt_commands_get_a_suggestion(void **state)
{
    (void)state;
    assert_string_equal(osr_command_suggest("kb serach"), "kb search");
    assert_string_equal(osr_command_suggest("serch"), "kb search");
    assert_string_equal(osr_command_suggest("statsu"), "status");
    assert_string_equal(osr_command_suggest("feeds resent"), "feeds resend");
    assert_null(osr_command_suggest("frobnicate"));
    assert_null(osr_command_suggest("a word that is far longer than any command's name"));
}

/* Every command says what it does, with an example, in lines that a terminal shows whole. */
static void every_command_has_help(void **state)
{
    (void)state;
    for (size_t i = 0; i < osr_command_count; i++) {
        struct osr_buffer text = {0};
        osr_help_write_command(&text, &osr_commands[i]);
        osr_buffer_add_u8(&text, '\0');
        assert_non_null(strstr((const char *)text.data, "Example"));
        assert_non_null(strstr((const char *)text.data, osr_commands[i].name));
        for (const char *line = (const char *)text.data; line != NULL; line = strchr(line, '\n')) {
            line += *line == '\n';
            assert_true(strcspn(line, "\n") <= 80);
        }
        osr_buffer_done(&text);
    }
}

/* A span ahead is so much from now on; one in the past lies so far back; a date that is over is no
 * span ahead. */
static void spans_lie_on_either_side_of_now(void **state)
{
    (void)state;
    uint64_t ms;
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    struct osr_arguments arguments = with_value(OSR_FLAG_EXPIRES, "2h");
    assert_int_equal(osr_arguments_span(&arguments, OSR_FLAG_EXPIRES, &ms, NULL), OSR_OK);
    assert_in_range(ms, 7200000 - 5000, 7200000);
    arguments = with_value(OSR_FLAG_SINCE, "2h");
    assert_int_equal(osr_arguments_past(&arguments, OSR_FLAG_SINCE, &ms, NULL), OSR_OK);
    assert_in_range(now_ms - ms, 7200000 - 5000, 7200000);
    arguments = with_value(OSR_FLAG_EXPIRES, "2020-01-01");
    assert_int_equal(osr_arguments_span(&arguments, OSR_FLAG_EXPIRES, &ms, NULL),
                     OSR_INVALID_ARGUMENT);
    arguments = with_value(OSR_FLAG_EXPIRES, NULL);
    assert_int_equal(osr_arguments_span(&arguments, OSR_FLAG_EXPIRES, &ms, NULL), OSR_OK);
    assert_int_equal(ms, 0);
}

/* What is given several times is kept in order, each under its own option; too many are refused. */
static void repeated_options_are_all_kept(void **state)
{
    (void)state;
    char *words[] = {"create", "ci",     "--role", "reader",    "--role=editor",
                     "--role", "weaver", "--to",   "tcp://b:1", NULL};
    const char *roles[OSR_REPEATED_MAX];
    struct osr_arguments arguments;
    assert_int_equal(read_words(&arguments, "token create", words, NULL), OSR_OK);
    assert_int_equal(osr_arguments_list(&arguments, OSR_FLAG_ROLE, roles), 3);
    assert_string_equal(roles[0], "reader");
    assert_string_equal(roles[1], "editor");
    assert_string_equal(roles[2], "weaver");
    assert_int_equal(osr_arguments_list(&arguments, OSR_FLAG_ADDRESS, roles), 0);

    char *many[OSR_REPEATED_MAX + 3] = {"create", "ci"};
    for (size_t i = 2; i < OSR_REPEATED_MAX + 3; i++)
        many[i] = "--role=reader";
    char *ended[OSR_REPEATED_MAX + 4] = {0};
    memcpy(ended, many, sizeof(many));
    assert_int_equal(read_words(&arguments, "token create", ended, NULL), OSR_TOO_LARGE);
}

static char *clean(const char *text, enum osr_display display)
{
    struct osr_buffer buffer = {0};
    osr_display_clean(&buffer, osr_slice_text(text), display);
    osr_buffer_add_u8(&buffer, '\0');
    return (char *)buffer.data;
}

static void expect_clean(const char *text, enum osr_display display, const char *expected)
{
    char *result = clean(text, display);
    assert_string_equal(result, expected);
    free(result);
}

/* No document can move the cursor, colour the screen, or turn the text around. */
static void terminal_gets_nothing_to_obey(void **state)
{
    (void)state;
    expect_clean("a\x1b[31mb", OSR_DISPLAY_ONE_LINE, "a\xef\xbf\xbd[31mb");
    expect_clean("a\xc2\x9b"
                 "31mb",
                 OSR_DISPLAY_ONE_LINE,
                 "a\xef\xbf\xbd"
                 "31mb");
    expect_clean("a\xe2\x80\xae"
                 "b",
                 OSR_DISPLAY_ONE_LINE,
                 "a\xef\xbf\xbd"
                 "b");
    expect_clean("a\r\n\tb", OSR_DISPLAY_ONE_LINE, "a   b");
    expect_clean("a\r\n\tb", OSR_DISPLAY_LINES, "a\xef\xbf\xbd\n\tb");
    expect_clean("a\xff"
                 "b",
                 OSR_DISPLAY_ONE_LINE,
                 "a\xef\xbf\xbd"
                 "b");
    expect_clean("na\xc3\xafve \xe6\x97\xa5", OSR_DISPLAY_ONE_LINE, "na\xc3\xafve \xe6\x97\xa5");
}

/* Columns are counted as a terminal shows them. */
static void width_is_that_of_the_terminal(void **state)
{
    (void)state;
    assert_int_equal(osr_display_width(osr_slice_text("abc")), 3);
    assert_int_equal(osr_display_width(osr_slice_text("\xc3\xbc")), 1);  /* ü */
    assert_int_equal(osr_display_width(osr_slice_text("u\xcc\x88")), 1); /* u and its dots */
    assert_int_equal(osr_display_width(osr_slice_text("\xe6\x97\xa5\xe6\x9c\xac")), 4); /* wide */
    assert_int_equal(osr_display_fit(osr_slice_text("\xe6\x97\xa5\xe6\x9c\xac"), 3), 3);
    assert_int_equal(osr_display_fit(osr_slice_text("abc"), 2), 2);
    assert_int_equal(osr_display_fit(osr_slice_text("abc"), 9), 3);
}

static void amounts_are_readable(void **state)
{
    (void)state;
    char text[64];
    assert_string_equal(osr_display_number(text, 0), "0");
    assert_string_equal(osr_display_number(text, 999), "999");
    assert_string_equal(osr_display_number(text, 1000), "1,000");
    assert_string_equal(osr_display_number(text, UINT64_MAX), "18,446,744,073,709,551,615");
    assert_string_equal(osr_duration_write(text, 999), "999 ms");
    assert_string_equal(osr_duration_write(text, 59999), "59.9 s");
    assert_string_equal(osr_duration_write(text, 3599999), "59 min 59 s");
    assert_string_equal(osr_duration_write(text, 90000000), "1 d 1 h");
    assert_string_equal(osr_display_size(text, 1023), "1023 B");
    assert_string_equal(osr_display_size(text, 1536), "1.5 KiB");
    assert_string_equal(osr_display_time(text, 0), "");
}

static void expect_output(struct osr_output *output, const char *expected)
{
    char text[4096] = "";
    assert_int_equal(osr_output_flush(output, NULL), OSR_OK);
    assert_true(lseek(output->fd, 0, SEEK_SET) == 0);
    assert_true(read(output->fd, text, sizeof(text) - 1) >= 0);
    assert_string_equal(text, expected);
    close(output->fd);
    osr_output_done(output);
}

static void open_output(struct osr_output *output)
{
    char path[] = "/tmp/osiris-test-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    osr_output_init(output, fd);
}

static const struct osr_column columns[] = {{"ID", OSR_COLUMN_WHOLE},
                                            {"COUNT", OSR_COLUMN_RIGHT},
                                            {"TAGS", OSR_COLUMN_OPTIONAL},
                                            {"DATA", 0}};

static void add_row(struct osr_table *table, const char *id, uint64_t count, const char *data)
{
    osr_table_add_text(table, id);
    osr_table_add_number(table, count);
    osr_table_add_text(table, "");
    osr_table_add_text(table, data);
}

/* A program reading the table gets it whole; an optional column that is empty is not there. */
static void table_is_not_cut_without_a_terminal(void **state)
{
    (void)state;
    struct osr_output output;
    open_output(&output);
    struct osr_table table;
    osr_table_init(&table, columns, 4, &output);
    add_row(&table, "first", 1, "short");
    add_row(&table, "2", 1234567, "a text that is longer than many others");
    osr_table_finish(&table);
    expect_output(&output, "ID         COUNT  DATA\n"
                           "first          1  short\n"
                           "2      1,234,567  a text that is longer than many others\n");
}

/* On a terminal the widest columns give way, but never an id. */
static void table_is_cut_to_the_terminal(void **state)
{
    (void)state;
    struct osr_output output;
    open_output(&output);
    output.columns = 30;
    struct osr_table table;
    osr_table_init(&table, columns, 4, &output);
    add_row(&table, "0123456789", 1, "\xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e and more than fits");
    osr_table_finish(&table);
    expect_output(&output,
                  "ID          COUNT  DATA\n"
                  "0123456789      1  \xe6\x97\xa5\xe6\x9c\xac\xe8\xaa\x9e and\xe2\x80\xa6\n");
}

/* Rows behind the sample come out at once, with the widths that the sample had. */
static void long_table_holds_little_back(void **state)
{
    (void)state;
    struct osr_output output;
    open_output(&output);
    output.columns = 80;
    struct osr_table table;
    osr_table_init(&table, columns, 4, &output);
    for (size_t i = 0; i < 3 * OSR_TABLE_SAMPLE_ROWS; i++) {
        add_row(&table, "id", 1, "data");
        assert_true(table.row_count < OSR_TABLE_SAMPLE_ROWS);
        assert_true(i < OSR_TABLE_SAMPLE_ROWS || table.row_count == 0);
    }
    osr_table_finish(&table);
    close(output.fd);
    osr_output_done(&output);
}

/* A full disk is an error, and what comes after it goes nowhere. */
static void full_disk_is_noticed(void **state)
{
    (void)state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        skip();
    struct osr_output output;
    osr_output_init(&output, fd);
    osr_output_add_text(&output, "text");
    struct osr_err err;
    assert_int_equal(osr_output_flush(&output, &err), OSR_DISK_FULL);
    osr_output_add_text(&output, "more");
    assert_int_equal(osr_output_flush(&output, &err), OSR_DISK_FULL);
    assert_int_equal(output.buffer.size, 0);
    close(fd);
    osr_output_done(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(text_may_begin_with_a_dash),
        cmocka_unit_test(wrong_options_are_named),
        cmocka_unit_test(numbers_are_checked),
        cmocka_unit_test(seconds_are_checked),
        cmocka_unit_test(times_are_understood),
        cmocka_unit_test(misspelt_commands_get_a_suggestion),
        cmocka_unit_test(every_command_has_help),
        cmocka_unit_test(spans_lie_on_either_side_of_now),
        cmocka_unit_test(repeated_options_are_all_kept),
        cmocka_unit_test(terminal_gets_nothing_to_obey),
        cmocka_unit_test(width_is_that_of_the_terminal),
        cmocka_unit_test(amounts_are_readable),
        cmocka_unit_test(table_is_not_cut_without_a_terminal),
        cmocka_unit_test(table_is_cut_to_the_terminal),
        cmocka_unit_test(long_table_holds_little_back),
        cmocka_unit_test(full_disk_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
