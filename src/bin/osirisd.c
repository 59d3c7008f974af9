/* osirisd.c -- the daemon: one instance in the foreground, logging to stderr.
 *
 * Happy path: read the config, make the process safe, open the instance, run it until SIGTERM
 * or SIGINT, close it. Every failure ends with one line "osirisd: CODE: message", one with what to
 * do about it, and the code's exit status (base/error.h). */
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <uv.h>

#include "bin/log_file.h"
#include "bin/notify.h"
#include "node/config.h"
#include "node/instance.h"
#include "node/setup_command.h"

/* -- logging -- */

struct log {
    bool to_journal; /* journald adds the time and reads the level from "<6>" */
};

/* systemd tells by device and inode which file is its journal: a redirected stderr is not. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat file;

    return stream != NULL && sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &file) == 0 && file.st_dev == device && file.st_ino == inode;
}

static void format_now(char *text, size_t size)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];

    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, size, "%s.%03dZ", seconds, (int)(now.tv_nsec / 1000000));
}

/* From any thread: one call of stdio a line, which locks the stream. */
static void write_line(void *context, enum osr_level level, const char *line)
{
    static const struct {
        const char *name;
        int syslog; /* severity */
    } levels[] = {[OSR_LEVEL_ERROR] = {"error", 3},
                  [OSR_LEVEL_WARNING] = {"warning", 4},
                  [OSR_LEVEL_INFO] = {"info", 6},
                  [OSR_LEVEL_TRACE] = {"trace", 7}};
    const struct log *log = context;
    char now[64];

    if (log->to_journal) {
        fprintf(stderr, "<%d>%s\n", levels[level].syslog, line);
        return;
    }
    format_now(now, sizeof now);
    fprintf(stderr, "%s %s %s\n", now, levels[level].name, line);
}

static int report(const struct osr_err *err)
{
    const struct osr_code_info *info = osr_code_info(err->code);

    fprintf(stderr, "osirisd: %s: %s\n", info->name, err->message);
    if (err->hint[0] != '\0') {
        fprintf(stderr, "hint: %s\n", err->hint);
    }
    return info->exit_status;
}

static void turn_log_over(uv_timer_t *timer)
{
    osr_log_file_turn_over(timer->data);
}

/* `path` stays the caller's. What no more than one of these intervals can add is limited elsewhere
 * (node/log_limit.h). */
static void start_turning_over(uv_timer_t *timer, uv_loop_t *loop, char *path)
{
    enum { EVERY_MS = 2000 };

    uv_timer_init(loop, timer);
    timer->data = path;
    uv_timer_start(timer, turn_log_over, EVERY_MS, EVERY_MS);
    uv_unref((uv_handle_t *)timer); /* does not keep the loop from coming to its end */
}

/* -- memory: what is freed goes back to the system -- */

/* Large documents and messages at once. By itself glibc takes the first large piece that is freed
 * as a sign that such come and go, and from then on puts pieces of up to 32 MiB into its heap,
 * between small ones that stay: after a burst of documents of 1 MB the process held three times
 * what it used. That costs a tenth of a millisecond a document, for new pages. Buffers of
 * connections, up to 256 KiB, stay below the mark: these do come and go, at each turn of the loop.
 */
static void make_large_pieces_go_back(void)
{
    enum { MMAP_BYTES = 512 << 10, TRIM_BYTES = 1 << 20 };

    mallopt(M_MMAP_THRESHOLD, MMAP_BYTES);
    mallopt(M_TRIM_THRESHOLD, TRIM_BYTES); /* of what lies free at the heap's end */
}

/* Small ones after a burst of them: glibc keeps what lies free between others that stay, which of
 * 50,000 calls or 4,000 connections was nearly all of it. */
static void trim(uv_timer_t *timer)
{
    /* Resident and not in use: the program itself, and what is worth the walk. */
    enum { FREE_BYTES = 32 << 20 };
    size_t resident;
    (void)timer;

    if (uv_resident_set_memory(&resident) != 0) {
        return;
    }
    struct mallinfo2 info = mallinfo2();
    if (resident > info.uordblks + info.hblkhd + FREE_BYTES) {
        malloc_trim(0);
    }
}

static void start_trimming(uv_timer_t *timer, uv_loop_t *loop)
{
    enum { EVERY_MS = 1000 };

    make_large_pieces_go_back();
    uv_timer_init(loop, timer);
    uv_timer_start(timer, trim, EVERY_MS, EVERY_MS);
    uv_unref((uv_handle_t *)timer); /* does not keep the loop from coming to its end */
}

/* -- the process -- */

static void make_process_safe(void)
{
    const struct rlimit none = {0, 0};

    umask(077);                    /* whatever is made in here is for its owner alone */
    setrlimit(RLIMIT_CORE, &none); /* a core would hold the identity key */
    signal(SIGPIPE, SIG_IGN);      /* a connection that went away is an error of its write */
}

/* -- signals -- */

struct signals {
    uv_signal_t terminate;
    uv_signal_t interrupt;
    uv_signal_t hang_up;
    struct osr_instance *instance; /* NULL: not running, yet or any more */
    bool stop_asked;
    const struct osr_trace *trace;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;

    osr_trace(signals->trace, OSR_LEVEL_INFO, "stopping on %s",
              number == SIGTERM ? "SIGTERM" : "SIGINT");
    /* One asks; a second one of the same kind ends the process at once, as without us. */
    uv_signal_stop(handle);
    osr_notify(OSR_NOTIFY_STOPPING);
    signals->stop_asked = true;
    if (signals->instance != NULL) {
        osr_instance_stop(signals->instance);
    }
}

static void on_hang_up(uv_signal_t *handle, int number)
{
    struct signals *signals = handle->data;
    (void)number;

    if (signals->instance != NULL) {
        osr_instance_reload(signals->instance);
    }
}

static void watch_signal(struct signals *signals, uv_loop_t *loop, uv_signal_t *handle,
                         uv_signal_cb on_this, int number)
{
    uv_signal_init(loop, handle);
    handle->data = signals;
    uv_signal_start(handle, on_this, number);
    uv_unref((uv_handle_t *)handle); /* does not keep the loop from coming to its end */
}

/* -- the run -- */

static int serve(uv_loop_t *loop, struct osr_config *config, const struct osr_trace *trace,
                 struct signals *signals, struct osr_err *err)
{
    struct osr_instance *instance;
    int code = osr_instance_open(loop, config, trace, &instance, err);
    if (code != 0) {
        return code;
    }
    signals->instance = instance;
    if (!signals->stop_asked) {
        osr_notify(OSR_NOTIFY_READY);
        code = osr_instance_run(instance, err);
    }
    signals->instance = NULL; /* closing it runs the loop: what comes now comes too late */
    osr_instance_close(instance);
    return code;
}

static int run(struct osr_config *config, struct osr_err *err)
{
    struct log log = {.to_journal = stderr_is_journal()};
    const struct osr_trace trace = {
        .write = write_line, .context = &log, .level = config->log_level};
    struct signals signals = {.trace = &trace};
    uv_timer_t trimming;
    uv_timer_t turning_over;
    uv_loop_t loop;

    int result = uv_loop_init(&loop);
    if (result != 0) {
        return (int)osr_err_set(err, OSR_INTERNAL, "cannot make an event loop: %s",
                                uv_strerror(result));
    }
    char *log_path = osr_log_file_path(config->data);
    start_trimming(&trimming, &loop);
    start_turning_over(&turning_over, &loop, log_path);
    watch_signal(&signals, &loop, &signals.terminate, on_signal, SIGTERM);
    watch_signal(&signals, &loop, &signals.interrupt, on_signal, SIGINT);
    watch_signal(&signals, &loop, &signals.hang_up, on_hang_up, SIGHUP);
    int code = serve(&loop, config, &trace, &signals, err);
    uv_close((uv_handle_t *)&trimming, NULL);
    uv_close((uv_handle_t *)&turning_over, NULL);
    uv_close((uv_handle_t *)&signals.terminate, NULL);
    uv_close((uv_handle_t *)&signals.interrupt, NULL);
    uv_close((uv_handle_t *)&signals.hang_up, NULL);
    uv_run(&loop, UV_RUN_DEFAULT); /* what is closing still needs its turn */
    uv_loop_close(&loop);
    free(log_path);
    return code;
}

int main(int argc, char **argv)
{
    struct osr_config config;
    enum osr_config_action action;
    struct osr_err err;

    if (argc > 1 && strcmp(argv[1], "setup") == 0) {
        make_process_safe();
        return osr_setup_main(argc - 1, argv + 1);
    }
    if (osr_config_read(argc, argv, &config, &action, &err) != 0) {
        return report(&err);
    }
    if (action == OSR_CONFIG_SHOW_HELP) {
        char *help = osr_config_help();
        fputs(help, stdout);
        free(help);
        return 0;
    }
    if (action == OSR_CONFIG_SHOW_VERSION) {
        printf("osirisd %s\n", OSR_VERSION);
        return 0;
    }
    make_process_safe();
    int code = run(&config, &err);
    osr_config_done(&config);
    return code != 0 ? report(&err) : 0;
}
