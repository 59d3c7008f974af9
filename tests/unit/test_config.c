#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "node/config.h"
#include "node/config_file.h"

enum { ARGUMENTS_MAX = 16 };

/* Reads a command line given as words; "osirisd --data /d" is put in front. */
static int read_words(const char *const *words, struct osr_config *config, struct osr_err *err)
{
    char *argv[ARGUMENTS_MAX] = {osr_strdup("osirisd"), osr_strdup("--data"), osr_strdup("/d")};
    int argc = 3;
    enum osr_config_action action;

    for (; *words != NULL; words++)
        argv[argc++] = osr_strdup(*words);
    int code = osr_config_read(argc, argv, config, &action, err);
    for (int i = 0; i < argc; i++)
        free(argv[i]);
    return code;
}

static int parse(const char *text, struct osr_config *config, struct osr_err *err)
{
    return osr_config_file_parse("f.yaml", osr_slice_text(text), config, err);
}

/* What every kind of value looks like in a file. */
static void config_file_sets_values(void **state)
{
    (void)state;
    static const char text[] = "# an instance\n"
                               "data: /srv/osiris\n"
                               "name: \"123\"\n"
                               "cluster: home\n"
                               "listen:\n"
                               "  - tcp://127.0.0.1:1\n"
                               "  - tcp://127.0.0.1:2?peer=seed\n"
                               "peer: tcp://desk:3\n"
                               "follow-file: [a.json, 'b.json']\n"
                               "mirror: m.json\n"
                               "insecure: true\n"
                               "approved: [abcdefghijklmnopqrstuvwxyz234567]\n"
                               "audit: all\n"
                               "ledger: join\n"
                               "log-level: trace\n"
                               "heartbeat-ms: 250\n";
    struct osr_config config = {0};
    struct osr_err err = {0};

    assert_int_equal(parse(text, &config, &err), 0);
    assert_string_equal(config.data, "/srv/osiris");
    assert_string_equal(config.name, "123");
    assert_string_equal(config.cluster, "home");
    assert_int_equal(config.listen_count, 2);
    assert_int_equal(config.listen[1].port, 2);
    assert_true(osr_config_is_seed(&config.listen[1]));
    assert_false(osr_config_is_seed(&config.listen[0]));
    assert_int_equal(config.peer_count, 1);
    assert_string_equal(config.peer[0].host, "desk");
    assert_int_equal(config.follow_file_count, 2);
    assert_string_equal(config.follow_file[1], "b.json");
    assert_string_equal(config.mirror, "m.json");
    assert_true(config.insecure);
    assert_int_equal(config.approved_count, 1);
    assert_string_equal(config.approved[0], "abcdefghijklmnopqrstuvwxyz234567");
    assert_true(config.audit_all);
    assert_int_equal(config.ledger, OSR_CONFIG_LEDGER_JOIN);
    assert_int_equal(config.log_level, OSR_LEVEL_TRACE);
    assert_int_equal(config.heartbeat_ms, 250);
    osr_config_done(&config);
}

/* A file of nothing, or of comments alone, says nothing. */
static void config_file_may_be_empty(void **state)
{
    (void)state;
    struct osr_config config = {0};
    struct osr_err err = {0};

    assert_int_equal(parse("", &config, &err), 0);
    assert_int_equal(parse("# nothing yet\n\n", &config, &err), 0);
    assert_int_equal(parse("{}\n", &config, &err), 0);
    osr_config_done(&config);
}

#define SYNTAX_HINT "indent with spaces alone; put a value with special characters in quotes"

static const struct {
    const char *text;
    const char *message;
    const char *hint;
} bad_files[] = {
    {"name: a\nlsten: tcp://h:1\n", "f.yaml:2: lsten: unknown key", "did you mean 'listen'?"},
    {"follow_file: a\n", "f.yaml:1: follow_file: unknown key", "did you mean 'follow-file'?"},
    {"colour: red\n", "f.yaml:1: colour: unknown key",
     "`osirisd --help` lists the keys: each flag is one"},
    {"name: a\n\nname: b\n", "f.yaml:3: name: the key is there twice", ""},
    {"name: 5\n", "f.yaml:1: name: expected a text, found a number",
     "put it in quotes if it is meant as text"},
    {"name: yes\n", "f.yaml:1: name: expected a text, found true or false",
     "put it in quotes if it is meant as text"},
    {"name:\nmirror: m\n", "f.yaml:1: name: expected a text, found nothing", ""},
    {"insecure: 1\n", "f.yaml:1: insecure: expected true or false, found a number", ""},
    {"insecure: 'true'\n", "f.yaml:1: insecure: expected true or false, found a text",
     "write it without quotes"},
    {"insecure: yes\n", "f.yaml:1: insecure: expected true or false", ""},
    {"heartbeat-ms: soon\n", "f.yaml:1: heartbeat-ms: expected a number, found a text",
     "write it without quotes"},
    {"heartbeat-ms: 5\n",
     "f.yaml:1: heartbeat-ms: expected a whole number from 10 to 3600000, found '5'", ""},
    {"heartbeat-ms: 1e3\n",
     "f.yaml:1: heartbeat-ms: expected a whole number from 10 to 3600000, found '1e3'", ""},
    {"heartbeat-ms: -20\n",
     "f.yaml:1: heartbeat-ms: expected a whole number from 10 to 3600000, found '-20'", ""},
    {"heartbeat-ms: 99999999999999999999999\n",
     "f.yaml:1: heartbeat-ms: expected a whole number from 10 to 3600000, found "
     "'99999999999999999999999'",
     ""},
    {"log-level: loud\n",
     "f.yaml:1: log-level: expected error, warning, info or trace, found 'loud'", ""},
    {"name: ''\n", "f.yaml:1: name: the name is empty", ""},
    {"name: \"a\\nb\"\n", "f.yaml:1: name: the value is not UTF-8, or has control characters", ""},
    {"name: \"a\\0b\"\n", "f.yaml:1: name: the value has a NUL inside", ""},
    {"name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n",
     "f.yaml:1: name: the name is longer than 64 bytes", ""},
    {"data: \"\"\n", "f.yaml:1: data: the path is empty", ""},
    {"name: [a]\n", "f.yaml:1: name: takes one value, not a list", ""},
    {"name: {a: b}\n", "f.yaml:1: name: a mapping cannot stand here", ""},
    {"listen:\n  - [tcp://127.0.0.1:1]\n",
     "f.yaml:2: listen: lists and mappings cannot stand inside a list", ""},
    {"listen:\n  - a: b\n", "f.yaml:2: listen: lists and mappings cannot stand inside a list", ""},
    {"listen:\n  - tcp://127.0.0.1:1\n  - 7\n", "f.yaml:3: listen: expected a text, found a number",
     "put it in quotes if it is meant as text"},
    {"listen:\n  - tcp://127.0.0.1:1\n  - tcp://127.0.0.1:1\n",
     "f.yaml:3: listen: 'tcp://127.0.0.1:1' is given twice", ""},
    {"peer: ftp://h\n", "f.yaml:1: peer: 'ftp://h': scheme 'ftp' is not supported",
     "supported are tls, grpcs, udp, tcp, grpc, unix, zmq, mqtt, mqtts, amqp and amqps"},
    {"name: &a b\n", "f.yaml:1: name: aliases, anchors and tags are not used here", ""},
    {"mirror: *a\n", "f.yaml:1: mirror: aliases, anchors and tags are not used here", ""},
    {"name: !!str 5\n", "f.yaml:1: name: aliases, anchors and tags are not used here", ""},
    {"listen: &l [a]\n", "f.yaml:1: listen: aliases, anchors and tags are not used here", ""},
    {"&m\nname: a\n", "f.yaml:1: aliases, anchors and tags are not used here", ""},
    {"# mine\n%TAG !a! b\n---\nname: a\n", "f.yaml:2: not YAML: no directive but %YAML is taken",
     SYNTAX_HINT},
    {"[a]: b\n", "f.yaml:1: a key must be a word", ""},
    {"- a\n", "f.yaml:1: expected lines of the form `key: value`", ""},
    {"just words\n", "f.yaml:1: expected lines of the form `key: value`", ""},
    {"name: a\n---\nname: b\n", "f.yaml:2: a second document begins here", ""},
    {"name: a\n\tmirror: b\n",
     "f.yaml:2: not YAML: found a tab character that violates indentation while scanning a plain "
     "scalar",
     SYNTAX_HINT},
    {"name: @a\n",
     "f.yaml:1: not YAML: found character that cannot start any token while scanning for the next "
     "token",
     SYNTAX_HINT},
    {"name: 'a\n",
     "f.yaml:2: not YAML: found unexpected end of stream while scanning a quoted scalar",
     SYNTAX_HINT},
    {"name: a\nmirror: \xff\n", "f.yaml:2: not YAML: invalid leading UTF-8 octet", SYNTAX_HINT},
    {"name: a\n\x01", "f.yaml:2: not YAML: control characters are not allowed", SYNTAX_HINT},
};

/* Each bad file is refused with file, line, key, and a hint where one helps. */
static void config_file_errors_name_file_line_and_key(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        struct osr_config config = {0};
        struct osr_err err = {0};

        assert_int_equal(parse(bad_files[i].text, &config, &err), OSR_CONFIG);
        assert_int_equal(err.code, OSR_CONFIG);
        assert_string_equal(err.message, bad_files[i].message);
        assert_string_equal(err.hint, bad_files[i].hint);
        osr_config_done(&config);
    }
}

/* A file of the wrong kind is not taken in whole. */
static void config_file_has_a_greatest_size(void **state)
{
    (void)state;
    size_t size = OSR_CONFIG_FILE_BYTES_MAX + 1;
    char *text = osr_alloc(size);
    struct osr_config config = {0};
    struct osr_err err = {0};

    memset(text, '#', size);
    assert_int_equal(osr_config_file_parse("f", osr_slice(text, size), &config, &err), OSR_CONFIG);
    assert_string_equal(err.message, "f: longer than 1 MiB: not a config file");
    assert_int_equal(osr_config_file_parse("f", osr_slice(text, size - 1), &config, &err), 0);
    free(text);
}

static const struct {
    const char *words[ARGUMENTS_MAX - 3];
    enum osr_code code;
    const char *message;
    const char *hint;
} bad_command_lines[] = {
    {{"--per", "tcp://h"}, OSR_INVALID_ARGUMENT, "--per: unknown flag", "did you mean '--peer'?"},
    {{"--verbose"}, OSR_INVALID_ARGUMENT, "--verbose: unknown flag", "see osirisd --help"},
    {{"--name"}, OSR_INVALID_ARGUMENT, "--name: a value must follow", "see osirisd --help"},
    {{"--name", "a", "--name=b"},
     OSR_INVALID_ARGUMENT,
     "--name: given twice",
     "see osirisd --help"},
    {{"start"},
     OSR_INVALID_ARGUMENT,
     "unexpected argument 'start'",
     "values follow flags, as in --data DIR; see osirisd --help"},
    {{"-x"},
     OSR_INVALID_ARGUMENT,
     "unexpected argument '-x'",
     "values follow flags, as in --data DIR; see osirisd --help"},
    {{"--audit", "some"}, OSR_INVALID_ARGUMENT, "--audit: expected all or changes", ""},
    {{"--ledger", "any"}, OSR_INVALID_ARGUMENT, "--ledger: expected found, join or rejoin", ""},
    {{"--approved", "kxq4-72mn-b3ta-w"},
     OSR_INVALID_ARGUMENT,
     "--approved: 'kxq4-72mn-b3ta-w' is no instance's id, which has 32 characters",
     ""},
    {{"--listen", "tls://127.0.0.1:1?auth=token,smile"},
     OSR_INVALID_ARGUMENT,
     "--listen: 'tls://127.0.0.1:1?auth=token,smile': auth is a list of certificate, key, "
     "password, "
     "pin and token",
     "an address looks like tls://HOST:PORT, tcp://HOST:PORT, unix:///PATH or "
     "mqtt://USER@BROKER:PORT/ADDRESS"},
    {{"--listen", "tcp://127.0.0.1:1?auth=token"},
     OSR_CONFIG,
     "listen: tcp://127.0.0.1:1?auth=token: auth goes with all but tcp, grpc, unix and for=clients",
     "take auth out, or listen with TLS"},
    {{"--insecure=maybe"}, OSR_INVALID_ARGUMENT, "--insecure: expected true or false", ""},
    {{"--peer", "nowhere"},
     OSR_INVALID_ARGUMENT,
     "--peer: 'nowhere': no address",
     "an address looks like tls://HOST:PORT, tcp://HOST:PORT, unix:///PATH or "
     "mqtt://USER@BROKER:PORT/ADDRESS"},
    {{"--listen", "tcp://0.0.0.0:12346"},
     OSR_CONFIG,
     "listen: tcp://0.0.0.0:12346: everybody who reaches it from another machine could read "
     "everything and add to it, unencrypted",
     "listen at tcp://127.0.0.1:12346, or write `insecure: true` (--insecure) if the network is "
     "trusted"},
    {{"--insecure", "--listen", "tcp://0.0.0.0:1?peer=seed"},
     OSR_CONFIG,
     "listen: tcp://0.0.0.0:1?peer=seed: a listener for seed programs must be on loopback, because "
     "they cannot say who they are",
     "listen at tcp://127.0.0.1:1?peer=seed"},
    {{"--peer", "unix:///s?peer=seed"},
     OSR_CONFIG,
     "peer: unix:///s?peer=seed: seed programs are reached by tcp://",
     ""},
    {{"--peer", "tcp://h?settle_ms=5"},
     OSR_CONFIG,
     "peer: tcp://h?settle_ms=5: settle_ms goes with peer=seed only",
     ""},
    {{"--peer", "mqtt://broker/a?ca_file=c"},
     OSR_CONFIG,
     "peer: mqtt://broker/a?ca_file=c: ca_file goes with mqtts and amqps, and makes no TLS by "
     "itself",
     "use one of them, or take ca_file out"},
    {{"--listen", "mqtt://127.0.0.1/a?vhost=v"},
     OSR_CONFIG,
     "listen: mqtt://127.0.0.1/a?vhost=v: vhost goes with amqp and amqps",
     "take it out"},
    {{"--listen", "tls://127.0.0.1?password_file=p"},
     OSR_CONFIG,
     "listen: tls://127.0.0.1?password_file=p: password_file goes with brokers",
     "take it out"},
    {{"--peer", "amqp://robot@broker/a?password_file=p"},
     OSR_CONFIG,
     "peer: amqp://robot@broker/a?password_file=p: the password would go to the broker unencrypted",
     "use amqps://, or write `insecure: true` (--insecure) if the network is trusted"},
    {{"--peer", "tcp://h:0"}, OSR_CONFIG, "peer: tcp://h:0: port 0 cannot be dialled", ""},
    {{"--mirror", "a", "--follow-file", "a"},
     OSR_CONFIG,
     "mirror: a is the followed file a: it would follow itself",
     ""},
    {{"--follow-file", "a", "--follow-file", "a"},
     OSR_INVALID_ARGUMENT,
     "--follow-file: 'a' is given twice",
     ""},
    {{"--follow-file", "a", "--follow-file", "./a"},
     OSR_CONFIG,
     "follow-file: ./a is the same file as a",
     "name each file once"},
    {{"--config", "/nonexistent/f.yaml"},
     OSR_CONFIG,
     "cannot read the config file /nonexistent/f.yaml: No such file or directory",
     "check the path given with --config"},
};

/* Each wrong command line is refused, with what to do instead. */
static void config_flag_errors_name_the_flag(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_command_lines / sizeof bad_command_lines[0]; i++) {
        struct osr_config config = {.name = NULL};
        struct osr_err err = {0};

        assert_int_equal(read_words(bad_command_lines[i].words, &config, &err),
                         bad_command_lines[i].code);
        assert_string_equal(err.message, bad_command_lines[i].message);
        assert_string_equal(err.hint, bad_command_lines[i].hint);
        assert_null(config.name);
    }
}

/* A folder with a file in it and three other ways to say its name. */
struct file_names {
    char folder[32];
    char *plain, *dotted, *linked, *hard;
};

static void make_file_names(struct file_names *names)
{
    snprintf(names->folder, sizeof(names->folder), "/tmp/osiris-config-XXXXXX");
    assert_non_null(mkdtemp(names->folder));
    names->plain = osr_format("%s/a.json", names->folder);
    names->dotted = osr_format("%s/./a.json", names->folder);
    names->linked = osr_format("%s/link", names->folder);
    names->hard = osr_format("%s/hard", names->folder);
    assert_int_equal(symlink("a.json", names->linked), 0);
}

static void remove_file_names(struct file_names *names)
{
    unlink(names->plain);
    unlink(names->linked);
    unlink(names->hard);
    assert_int_equal(rmdir(names->folder), 0);
    free(names->plain);
    free(names->dotted);
    free(names->linked);
    free(names->hard);
}

static void assert_refused_together(const char *first_flag, const char *first,
                                    const char *second_flag, const char *second)
{
    const char *const words[] = {first_flag, first, second_flag, second, NULL};
    struct osr_config config;
    struct osr_err err;
    assert_int_equal(read_words(words, &config, &err), OSR_CONFIG);
    assert_non_null(strstr(err.message, second_flag + strlen("--")));
    assert_non_null(strstr(err.message, first));
    assert_non_null(strstr(err.message, second));
}

/* One file under two names is refused, whether it is there already or not: each of its entries
 * would be counted twice. So is a mirror that is followed. */
static void config_refuses_one_file_under_two_names(void **state)
{
    (void)state;
    struct file_names names;
    make_file_names(&names);
    assert_refused_together("--follow-file", names.plain, "--follow-file", names.dotted);
    assert_refused_together("--follow-file", names.linked, "--follow-file", names.plain);
    assert_refused_together("--follow-file", names.linked, "--mirror", names.dotted);
    close(open(names.plain, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(link(names.plain, names.hard), 0);
    assert_refused_together("--follow-file", names.plain, "--follow-file", names.dotted);
    assert_refused_together("--follow-file", names.plain, "--follow-file", names.linked);
    assert_refused_together("--follow-file", names.plain, "--follow-file", names.hard);
    assert_refused_together("--follow-file", names.plain, "--mirror", names.linked);
    remove_file_names(&names);
}

/* Two files are two files, also where both are not there yet, or a link leads in a circle. */
static void config_takes_two_files(void **state)
{
    (void)state;
    struct file_names names;
    make_file_names(&names);
    assert_int_equal(symlink("circle", names.hard), 0);
    char *circle = osr_format("%s/circle", names.folder);
    assert_int_equal(symlink("hard", circle), 0);
    const char *const words[] = {"--follow-file",   names.plain,     "--follow-file",
                                 "/nowhere/a.json", "--follow-file", circle,
                                 "--mirror",        names.folder,    NULL};
    struct osr_config config;
    struct osr_err err;
    assert_int_equal(read_words(words, &config, &err), 0);
    osr_config_done(&config);
    unlink(circle);
    free(circle);
    remove_file_names(&names);
}

/* What neither flags nor file say has a default. */
static void config_has_defaults(void **state)
{
    (void)state;
    static const char *const words[] = {NULL};
    struct osr_config config;
    struct osr_err err;

    assert_int_equal(read_words(words, &config, &err), 0);
    assert_string_equal(config.data, "/d");
    assert_true(config.name[0] != '\0');
    assert_string_equal(config.cluster, "osiris");
    assert_int_equal(config.listen_count + config.peer_count + config.follow_file_count, 0);
    assert_null(config.mirror);
    assert_false(config.insecure);
    assert_int_equal(config.log_level, OSR_LEVEL_INFO);
    osr_config_done(&config);
}

/* A flag replaces what the file says under its name, lists included, and nothing else. */
static void config_flags_win_over_the_file(void **state)
{
    (void)state;
    char path[] = "/tmp/osiris-config-XXXXXX";
    int fd = mkstemp(path);
    static const char text[] = "name: from-file\ncluster: from-file\n"
                               "peer: [tcp://a, tcp://b]\nlisten: [tcp://127.0.0.1:1]\n";
    const char *const words[] = {"--config", path,     "--name=from-flag", "--peer",
                                 "tcp://c",  "--peer", "tcp://d",          NULL};
    struct osr_config config;
    struct osr_err err;

    assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
    close(fd);
    assert_int_equal(read_words(words, &config, &err), 0);
    unlink(path);
    assert_string_equal(config.name, "from-flag");
    assert_string_equal(config.cluster, "from-file");
    assert_int_equal(config.peer_count, 2);
    assert_string_equal(config.peer[0].host, "c");
    assert_int_equal(config.listen_count, 1);
    osr_config_done(&config);
}

/* With TLS a listener may be open to other machines: it asks who they are. */
static void config_lets_tls_be_open(void **state)
{
    (void)state;
    static const char *const words[] = {"--listen", "tls://0.0.0.0:1", "--listen",
                                        "grpcs://0.0.0.0:2?auth=certificate", NULL};
    struct osr_config config;
    struct osr_err err = {0};

    assert_int_equal(read_words(words, &config, &err), 0);
    osr_config_done(&config);
}

/* `insecure` opens plaintext listeners to other machines, and only then. */
static void config_insecure_must_be_said(void **state)
{
    (void)state;
    static const char *const words[] = {"--listen", "tcp://0.0.0.0:1", "--insecure", NULL};
    struct osr_config config;
    struct osr_err err;

    assert_int_equal(read_words(words, &config, &err), 0);
    assert_true(config.insecure);
    osr_config_done(&config);
}

/* A data folder whose socket could not be reached is refused before anything is made. */
static void config_refuses_a_data_folder_with_too_long_a_path(void **state)
{
    (void)state;
    char data[] = "--data=/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                  "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    char program[] = "osirisd";
    char *argv[] = {program, data};
    struct osr_config config;
    enum osr_config_action action;
    struct osr_err err;

    assert_int_equal(osr_config_read(2, argv, &config, &action, &err), OSR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "over the system's limit of 107"));
    assert_non_null(strstr(err.hint, "shorter path"));
}

/* A '?' would end the path in the URL of the socket. */
static void config_refuses_a_data_folder_with_a_question_mark(void **state)
{
    (void)state;
    char program[] = "osirisd";
    char data[] = "--data=/srv/what?";
    char *argv[] = {program, data};
    struct osr_config config;
    enum osr_config_action action;
    struct osr_err err;

    assert_int_equal(osr_config_read(2, argv, &config, &action, &err), OSR_CONFIG);
    assert_string_equal(err.message, "data: the path may not have a '?': /srv/what?");
}

/* --help wins over everything behind it, and describes every option within 80 columns. */
static void config_help_describes_every_option(void **state)
{
    (void)state;
    char program[] = "osirisd";
    char help[] = "--help";
    char nonsense[] = "--nonsense";
    char *argv[] = {program, help, nonsense};
    static const char *const names[] = {"data",     "name",   "cluster", "listen",
                                        "peer",     "config", "mirror",  "follow-file",
                                        "insecure", "help",   "version", "log-level"};
    struct osr_config config;
    enum osr_config_action action = OSR_CONFIG_RUN;
    struct osr_err err;

    assert_int_equal(osr_config_read(3, argv, &config, &action, &err), 0);
    assert_int_equal(action, OSR_CONFIG_SHOW_HELP);
    char *text = osr_config_help();
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char flag[32];
        snprintf(flag, sizeof flag, "--%s ", names[i]);
        assert_non_null(strstr(text, flag));
    }
    for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
        assert_in_range(strcspn(line, "\n"), 0, 80);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(config_file_sets_values),
        cmocka_unit_test(config_file_may_be_empty),
        cmocka_unit_test(config_file_errors_name_file_line_and_key),
        cmocka_unit_test(config_file_has_a_greatest_size),
        cmocka_unit_test(config_flag_errors_name_the_flag),
        cmocka_unit_test(config_refuses_one_file_under_two_names),
        cmocka_unit_test(config_takes_two_files),
        cmocka_unit_test(config_has_defaults),
        cmocka_unit_test(config_flags_win_over_the_file),
        cmocka_unit_test(config_lets_tls_be_open),
        cmocka_unit_test(config_insecure_must_be_said),
        cmocka_unit_test(config_refuses_a_data_folder_with_too_long_a_path),
        cmocka_unit_test(config_refuses_a_data_folder_with_a_question_mark),
        cmocka_unit_test(config_help_describes_every_option),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
