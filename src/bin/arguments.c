#include "bin/arguments.h"

#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct osr_flag_name names[OSR_FLAG_COUNT] = {
    [OSR_FLAG_DATA] = {"data", 0, "DIR"},
    [OSR_FLAG_TO] = {"to", 0, "URL"},
    [OSR_FLAG_CA] = {"ca", 0, "FILE"},
    [OSR_FLAG_CERT] = {"cert", 0, "FILE"},
    [OSR_FLAG_KEY] = {"key", 0, "FILE"},
    [OSR_FLAG_SHARED_KEY] = {"shared-key", 0, "FILE"},
    [OSR_FLAG_TOKEN_FILE] = {"token-file", 0, "FILE"},
    [OSR_FLAG_OUTPUT] = {"output", 'o', "text|json|yaml"},
    [OSR_FLAG_TIMEOUT] = {"timeout", 0, "S"},
    [OSR_FLAG_HELP] = {"help", 'h', NULL},
    [OSR_FLAG_VERSION] = {"version", 'V', NULL},
    [OSR_FLAG_ACKS] = {"acks", 0, "N"},
    [OSR_FLAG_ADDRESS] = {"address", 0, "URL"},
    [OSR_FLAG_AUTHOR] = {"author", 0, "NAME"},
    [OSR_FLAG_CLUSTER] = {"cluster", 0, "NAME"},
    [OSR_FLAG_COLLECTION] = {"collection", 'c', "NAME"},
    [OSR_FLAG_DAYS] = {"days", 0, "N"},
    [OSR_FLAG_DENIED] = {"denied", 0, NULL},
    [OSR_FLAG_EXPECT] = {"expect", 0, "INDEX|absent"},
    [OSR_FLAG_EXPIRES] = {"expires", 0, "TIME"},
    [OSR_FLAG_FILE] = {"file", 0, "FILE"},
    [OSR_FLAG_FOLLOW] = {"follow", 'f', NULL},
    [OSR_FLAG_FORCE] = {"force", 0, NULL},
    [OSR_FLAG_FORMAT] = {"format", 0, "FORMAT"},
    [OSR_FLAG_FROM] = {"from", 0, "N"},
    [OSR_FLAG_FULL] = {"full", 0, NULL},
    [OSR_FLAG_HOST] = {"host", 0, "NAME"},
    [OSR_FLAG_ID] = {"id", 0, "ID"},
    [OSR_FLAG_INSTANCE] = {"instance", 0, "ID"},
    [OSR_FLAG_JSON] = {"json", 0, "VALUE"},
    [OSR_FLAG_KIND] = {"kind", 'k', "NAME"},
    [OSR_FLAG_LEARNER] = {"learner", 0, NULL},
    [OSR_FLAG_LIMIT] = {"limit", 'n', "N"},
    [OSR_FLAG_LISTEN] = {"listen", 0, "URL"},
    [OSR_FLAG_LOCAL] = {"local", 0, NULL},
    [OSR_FLAG_NAME] = {"name", 0, "NAME"},
    [OSR_FLAG_NO_START] = {"no-start", 0, NULL},
    [OSR_FLAG_OUT] = {"out", 0, "PREFIX"},
    [OSR_FLAG_PASSWORD_FILE] = {"password-file", 0, "FILE"},
    [OSR_FLAG_REQUEST] = {"request", 0, "FILE"},
    [OSR_FLAG_ROLE] = {"role", 0, "NAME"},
    [OSR_FLAG_SECRET_FILE] = {"secret-file", 0, "FILE"},
    [OSR_FLAG_SINCE] = {"since", 0, "TIME"},
    [OSR_FLAG_SOURCE] = {"source", 0, "NAME"},
    [OSR_FLAG_TAG] = {"tag", 't', "NAME"},
    [OSR_FLAG_WAIT] = {"wait", 0, "S"},
    [OSR_FLAG_WHO] = {"who", 0, "WHO"},
    [OSR_FLAG_WRITTEN_BY] = {"written-by", 0, "INSTANCE"},
    [OSR_FLAG_YES] = {"yes", 'y', NULL},
};

const struct osr_flag_help osr_global_flags[] = {
    {OSR_FLAG_DATA, "talk to the instance that has this data folder\n"
                    "(default: $OSIRIS_DATA, else ~/.local/share/osiris)"},
    {OSR_FLAG_TO, "talk to the instance at this address instead:\n"
                  "grpcs://HOST:PORT, tls://HOST:PORT; in plaintext\n"
                  "grpc://HOST:PORT, tcp://HOST:PORT or unix:///PATH"},
    {OSR_FLAG_CA, "with --to: the CAs to believe, PEM"},
    {OSR_FLAG_CERT, "with --to: who you are, PEM; goes with --key"},
    {OSR_FLAG_KEY, "the private key of --cert, PEM"},
    {OSR_FLAG_SHARED_KEY, "with --to: a shared key, as `osiris key show` has it"},
    {OSR_FLAG_TOKEN_FILE, "a token in a file, to show who you are\n"
                          "(default: $OSIRIS_TOKEN, or that of `osiris login`)"},
    {OSR_FLAG_OUTPUT, "tables for people (default), JSON lines for programs"},
    {OSR_FLAG_TIMEOUT, "give up after this many seconds"},
    {OSR_FLAG_HELP, "say what the command does, with examples"},
    {OSR_FLAG_VERSION, "say which version this is"},
    {OSR_FLAG_NONE, NULL},
};

static const struct osr_flag_help no_flags[] = {{OSR_FLAG_NONE, NULL}};

const struct osr_flag_name *osr_flag_name(enum osr_flag flag)
{
    return &names[flag];
}

/* The tables as getopt_long wants them. */
struct syntax {
    struct option longs[OSR_FLAG_COUNT + 1];
    char shorts[2 * OSR_FLAG_COUNT + 3];
    size_t long_count, short_count;
};

/* Options are told apart by numbers above all letters. */
enum { FLAG_BASE = 256 };

static void add_flags(struct syntax *syntax, const struct osr_flag_help *flags)
{
    for (; flags->flag != OSR_FLAG_NONE; flags++) {
        const struct osr_flag_name *name = &names[flags->flag];
        int has_value = name->value != NULL ? required_argument : no_argument;
        syntax->longs[syntax->long_count++] =
            (struct option){name->name, has_value, NULL, FLAG_BASE + (int)flags->flag};
        if (name->letter == 0) {
            continue;
        }
        syntax->shorts[syntax->short_count++] = name->letter;
        if (name->value != NULL) {
            syntax->shorts[syntax->short_count++] = ':';
        }
    }
}

/* `prefix`: "+:" stops at the first operand, ":" takes options anywhere. */
static void make_syntax(struct syntax *syntax, const char *prefix,
                        const struct osr_flag_help *flags)
{
    *syntax = (struct syntax){.short_count = strlen(prefix)};
    memcpy(syntax->shorts, prefix, syntax->short_count);
    add_flags(syntax, osr_global_flags);
    add_flags(syntax, flags);
}

static enum osr_flag flag_of_letter(int letter)
{
    for (size_t i = 0; i < OSR_FLAG_COUNT; i++) {
        if (names[i].letter == letter) {
            return (enum osr_flag)i;
        }
    }
    return OSR_FLAG_NONE;
}

static int refuse_flag(int found, char *const *argv, struct osr_err *err)
{
    const char *word = argv[optind - 1];
    bool is_letter = optopt > 0 && optopt < FLAG_BASE;
    char letter[] = {'-', (char)optopt, '\0'};
    if (found == ':') {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "option '%s' needs a value",
                    is_letter ? letter : word);
    } else if (optopt >= FLAG_BASE) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "option '--%s' takes no value",
                    names[optopt - FLAG_BASE].name);
    } else {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "no such option here: '%s'",
                    is_letter ? letter : word);
    }
    osr_err_hint(err, "--help behind a command lists its options; text that begins with '-' goes "
                      "behind '--'");
    return OSR_INVALID_ARGUMENT;
}

static int add_tag(struct osr_arguments *arguments, const char *tag, struct osr_err *err)
{
    if (tag[0] == '\0') {
        return OSR_OK;
    }
    if (arguments->tag_count == OSR_TAGS_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "a document has at most %d tags", OSR_TAGS_MAX);
    }
    arguments->tags[arguments->tag_count++] = tag;
    return OSR_OK;
}

static bool is_repeated(enum osr_flag flag)
{
    return flag == OSR_FLAG_ADDRESS || flag == OSR_FLAG_HOST || flag == OSR_FLAG_LISTEN ||
           flag == OSR_FLAG_ROLE;
}

static int add_value(struct osr_arguments *arguments, enum osr_flag flag, const char *value,
                     struct osr_err *err)
{
    arguments->values[flag] = value;
    if (flag == OSR_FLAG_TAG) {
        return add_tag(arguments, value, err);
    }
    if (!is_repeated(flag)) {
        return OSR_OK;
    }
    if (arguments->repeated_count == OSR_REPEATED_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "--%s: more than %d of them", names[flag].name,
                           OSR_REPEATED_MAX);
    }
    arguments->repeated[arguments->repeated_count].flag = flag;
    arguments->repeated[arguments->repeated_count++].value = value;
    return OSR_OK;
}

/* Reads options until getopt_long has no more; optind then stands at the first operand. */
static int read_flags(struct osr_arguments *arguments, const struct syntax *syntax, int argc,
                      char **argv, struct osr_err *err)
{
    opterr = 0;
    optind = 0; /* glibc: begin anew */
    int found;
    while ((found = getopt_long(argc, argv, syntax->shorts, syntax->longs, NULL)) != -1) {
        if (found == '?' || found == ':') {
            return refuse_flag(found, argv, err);
        }
        enum osr_flag flag =
            found >= FLAG_BASE ? (enum osr_flag)(found - FLAG_BASE) : flag_of_letter(found);
        int code = add_value(arguments, flag, optarg != NULL ? optarg : "", err);
        if (code != OSR_OK) {
            return code;
        }
    }
    return OSR_OK;
}

int osr_arguments_read_global(struct osr_arguments *arguments, int *argc, char ***argv,
                              struct osr_err *err)
{
    struct syntax syntax;
    make_syntax(&syntax, "+:", no_flags);
    int code = read_flags(arguments, &syntax, *argc, *argv, err);
    if (code != OSR_OK) {
        return code;
    }
    *argc -= optind;
    *argv += optind;
    return OSR_OK;
}

int osr_arguments_read(struct osr_arguments *arguments, const struct osr_flag_help *flags, int argc,
                       char **argv, struct osr_err *err)
{
    struct syntax syntax;
    make_syntax(&syntax, ":", flags);
    int code = read_flags(arguments, &syntax, argc, argv, err);
    if (code != OSR_OK) {
        return code;
    }
    arguments->operands = argv + optind;
    arguments->operand_count = argc - optind;
    return OSR_OK;
}

static int refuse_value(const struct osr_arguments *arguments, enum osr_flag flag,
                        const char *wanted, struct osr_err *err)
{
    return osr_err_set(err, OSR_INVALID_ARGUMENT, "--%s '%s': %s", names[flag].name,
                       arguments->values[flag], wanted);
}

/* Digits only: strtoull alone would take "-1" and " 1". */
static bool parse_digits(const char *text, char **ret_end, uint64_t *ret_number)
{
    if (!isdigit((unsigned char)text[0])) {
        return false;
    }
    errno = 0;
    *ret_number = strtoull(text, ret_end, 10);
    return errno == 0;
}

int osr_arguments_number(const struct osr_arguments *arguments, enum osr_flag flag,
                         uint64_t otherwise, uint64_t max, uint64_t *ret_number,
                         struct osr_err *err)
{
    const char *text = arguments->values[flag];
    if (text == NULL) {
        *ret_number = otherwise;
        return OSR_OK;
    }
    char *end;
    uint64_t number;
    if (!parse_digits(text, &end, &number) || *end != '\0' || number > max) {
        char wanted[64] = "a whole number is wanted";
        if (max < UINT64_MAX) {
            snprintf(wanted, sizeof(wanted), "a number from 0 to %" PRIu64 " is wanted", max);
        }
        return refuse_value(arguments, flag, wanted, err);
    }
    *ret_number = number;
    return OSR_OK;
}

int osr_arguments_seconds(const struct osr_arguments *arguments, enum osr_flag flag,
                          uint32_t otherwise_ms, uint32_t *ret_ms, struct osr_err *err)
{
    static const double seconds_max = 30 * 24 * 3600;
    const char *text = arguments->values[flag];
    if (text == NULL) {
        *ret_ms = otherwise_ms;
        return OSR_OK;
    }
    char *end;
    double seconds = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(seconds) || seconds < 0.001 ||
        seconds > seconds_max) {
        return refuse_value(arguments, flag, "seconds are wanted, from 0.001 to 2592000", err);
    }
    *ret_ms = (uint32_t)(seconds * 1000);
    return OSR_OK;
}

/* Seconds in the units that a time from now on may be given in; 0: no such unit. */
static uint64_t unit_seconds(const char *unit)
{
    static const struct {
        const char *unit;
        uint64_t seconds;
    } units[] = {{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}, {"w", 604800}};
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(unit, units[i].unit) == 0) {
            return units[i].seconds;
        }
    }
    return 0;
}

static bool parse_date(const char *text, uint64_t *ret_ms)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%SZ"};
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm date = {0};
        const char *end = strptime(text, forms[i], &date);
        if (end == NULL || *end != '\0') {
            continue;
        }
        time_t seconds = timegm(&date);
        if (seconds <= 0) {
            return false;
        }
        *ret_ms = (uint64_t)seconds * 1000;
        return true;
    }
    return false;
}

/* direction: 1 for spans from now on, -1 for spans until now. */
static int read_time(const struct osr_arguments *arguments, enum osr_flag flag, int direction,
                     uint64_t *ret_ms, struct osr_err *err)
{
    static const uint64_t amount_max = 1000000; /* keeps the product far below 2^53 ms */
    const char *text = arguments->values[flag];
    if (text == NULL) {
        *ret_ms = 0;
        return OSR_OK;
    }
    if (parse_date(text, ret_ms)) {
        return OSR_OK;
    }
    char *end;
    uint64_t amount;
    uint64_t seconds = parse_digits(text, &end, &amount) ? unit_seconds(end) : 0;
    if (seconds == 0 || amount > amount_max) {
        return refuse_value(arguments, flag,
                            "a time is wanted, like 90s, 15m, 12h, 7d, 2w or 2031-12-31T23:59:59Z",
                            err);
    }
    uint64_t now_s = (uint64_t)time(NULL);
    uint64_t span_s = amount * seconds;
    if (direction < 0) {
        *ret_ms = span_s < now_s ? (now_s - span_s) * 1000 : 1;
    } else {
        *ret_ms = (now_s + span_s) * 1000;
    }
    return OSR_OK;
}

int osr_arguments_time(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err)
{
    return read_time(arguments, flag, 1, ret_ms, err);
}

int osr_arguments_past(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err)
{
    return read_time(arguments, flag, -1, ret_ms, err);
}

int osr_arguments_span(const struct osr_arguments *arguments, enum osr_flag flag, uint64_t *ret_ms,
                       struct osr_err *err)
{
    uint64_t at_ms = 0;
    int code = osr_arguments_time(arguments, flag, &at_ms, err);
    if (code != OSR_OK) {
        return code;
    }
    uint64_t now_ms = (uint64_t)time(NULL) * 1000;
    if (at_ms > 0 && at_ms <= now_ms) {
        return refuse_value(arguments, flag, "that is in the past", err);
    }
    *ret_ms = at_ms > 0 ? at_ms - now_ms : 0;
    return OSR_OK;
}

size_t osr_arguments_list(const struct osr_arguments *arguments, enum osr_flag flag,
                          const char **values)
{
    size_t count = 0;
    for (size_t i = 0; i < arguments->repeated_count; i++) {
        if (arguments->repeated[i].flag == flag) {
            values[count++] = arguments->repeated[i].value;
        }
    }
    return count;
}

int osr_arguments_choice(const struct osr_arguments *arguments, enum osr_flag flag,
                         const char *const *choices, size_t *ret_index, struct osr_err *err)
{
    const char *text = arguments->values[flag];
    *ret_index = 0;
    if (text == NULL) {
        return OSR_OK;
    }
    struct osr_buffer wanted = {0};
    for (size_t i = 0; choices[i] != NULL; i++) {
        if (strcmp(text, choices[i]) == 0) {
            *ret_index = i;
            osr_buffer_done(&wanted);
            return OSR_OK;
        }
        osr_buffer_add_format(&wanted, "%s%s", i == 0 ? "wanted is one of " : ", ", choices[i]);
    }
    osr_buffer_add_u8(&wanted, '\0');
    refuse_value(arguments, flag, (const char *)wanted.data, err);
    osr_buffer_done(&wanted);
    return OSR_INVALID_ARGUMENT;
}
