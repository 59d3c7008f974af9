#include "bin/daemon.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fields.h"
#include "bin/log_file.h"

void osr_daemon_add(struct osr_daemon_words *words, const char *word)
{
    assert(words->count < OSR_DAEMON_WORDS_MAX);
    words->words[words->count++] = word;
}

void osr_daemon_add_flags(struct osr_daemon_words *words, const struct osr_arguments *arguments)
{
    static const struct {
        enum osr_flag flag;
        const char *name;
    } flags[] = {
        {OSR_FLAG_DATA, "--data"}, {OSR_FLAG_NAME, "--name"}, {OSR_FLAG_CLUSTER, "--cluster"}};
    const char *listen[OSR_REPEATED_MAX];
    size_t listen_count = osr_arguments_list(arguments, OSR_FLAG_LISTEN, listen);

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        if (osr_arguments_has(arguments, flags[i].flag)) {
            osr_daemon_add(words, flags[i].name);
            osr_daemon_add(words, arguments->values[flags[i].flag]);
        }
    }
    for (size_t i = 0; i < listen_count && words->count + 2 <= OSR_DAEMON_WORDS_MAX; i++) {
        osr_daemon_add(words, "--listen");
        osr_daemon_add(words, listen[i]);
    }
}

/* -- the program -- */

/* Beside ourselves: what was built or installed together is of one version. Never returns where
 * that, or else one in PATH, can be run. */
static void execute(const char *const *words)
{
    char self[4096];
    ssize_t size = readlink("/proc/self/exe", self, sizeof(self) - 1);

    if (size > 0) {
        self[size] = '\0';
        char *beside = osr_format("%s/osirisd", dirname(self));
        execv(beside, (char *const *)words);
        free(beside);
    }
    execvp("osirisd", (char *const *)words);
}

/* In the child. */
static void become(int input, int output, int error, const char *const *words)
{
    static const char missing[] = "there is no osirisd beside osiris, nor in PATH\n";

    signal(SIGPIPE, SIG_DFL);
    if (dup2(input, STDIN_FILENO) >= 0 && dup2(output, STDOUT_FILENO) >= 0 &&
        dup2(error, STDERR_FILENO) >= 0) {
        execute(words);
    }
    ssize_t written = write(STDERR_FILENO, missing, sizeof(missing) - 1);
    _exit(written < 0 ? 126 : 127);
}

static int refuse_start(struct osr_err *err)
{
    osr_err_set(err, OSR_UNAVAILABLE,
                "osirisd cannot be run: it is neither beside osiris nor in "
                "PATH");
    osr_err_hint(err, "install both programs, or add osirisd's folder to PATH");
    return OSR_UNAVAILABLE;
}

/* -- set-up: a child with a pipe on either side -- */

struct child {
    pid_t pid;
    int to, from;
};

static int start_child(const char *const *words, struct child *child, struct osr_err *err)
{
    int to[2], from[2];

    if (pipe2(to, O_CLOEXEC) != 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot make a pipe");
    }
    if (pipe2(from, O_CLOEXEC) != 0) {
        osr_err_errno(err, OSR_IO, errno, "cannot make a pipe");
        goto fail_from;
    }
    child->pid = fork();
    if (child->pid < 0) {
        osr_err_errno(err, OSR_IO, errno, "cannot start osirisd");
        goto fail_fork;
    }
    if (child->pid == 0) {
        become(to[0], from[1], STDERR_FILENO, words);
    }
    close(to[0]);
    close(from[1]);
    child->to = to[1];
    child->from = from[0];
    return OSR_OK;

fail_fork:
    close(from[0]);
    close(from[1]);
fail_from:
    close(to[0]);
    close(to[1]);
    return OSR_IO;
}

/* It reads all before it writes. A child that ends early is known by what it says. */
static void write_input(int fd, struct osr_slice input)
{
    while (input.size > 0) {
        ssize_t size = write(fd, input.data, input.size);
        if (size < 0 && errno != EINTR) {
            return;
        }
        if (size > 0) {
            input = osr_slice(input.data + size, input.size - (size_t)size);
        }
    }
}

static void read_output(int fd, struct osr_buffer *output)
{
    enum { PIECE = 64 << 10 };
    for (;;) {
        ssize_t size = read(fd, osr_buffer_reserve(output, PIECE), PIECE);
        if (size == 0 || (size < 0 && errno != EINTR)) {
            return;
        }
        output->size += size > 0 ? (size_t)size : 0;
    }
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    return status;
}

static enum osr_code code_by_name(const char *name)
{
    for (int code = 0; code < OSR_CODE_COUNT; code++) {
        if (strcmp(osr_code_info((enum osr_code)code)->name, name) == 0) {
            return (enum osr_code)code;
        }
    }
    return OSR_INTERNAL;
}

/* It said what was wrong, unless it could not even begin, or broke. */
static int take_failure(int status, struct osr_slice output, struct osr_err *err)
{
    struct osr_fields fields;

    if (WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127)) {
        return refuse_start(err);
    }
    if (osr_fields_read(output, &fields, NULL) != OSR_OK) {
        return osr_err_set(err, OSR_INTERNAL, "osirisd setup has failed (status %d)", status);
    }
    osr_err_set(err, code_by_name(osr_fields_get(&fields, "code")), "%s",
                osr_fields_get(&fields, "message"));
    osr_err_hint(err, "%s", osr_fields_get(&fields, "hint"));
    osr_fields_done(&fields);
    return err->code;
}

int osr_daemon_set_up(const struct osr_daemon_words *words, struct osr_slice input,
                      struct osr_buffer *output, struct osr_err *err)
{
    const char *all[OSR_DAEMON_WORDS_MAX + 3] = {"osirisd", "setup"};
    struct child child = {0};

    memcpy(&all[2], words->words, (words->count + 1) * sizeof(all[0]));
    int code = start_child(all, &child, err);
    if (code != OSR_OK) {
        return code;
    }
    size_t begin = output->size;
    write_input(child.to, input);
    close(child.to);
    read_output(child.from, output);
    close(child.from);
    int status = wait_for(child.pid);
    if (status == 0) {
        return OSR_OK;
    }
    return take_failure(status, osr_slice(output->data + begin, output->size - begin), err);
}

/* -- in the background -- */

int osr_daemon_start(const char *folder, struct osr_daemon *ret_daemon, struct osr_err *err)
{
    const char *const words[] = {"osirisd", "--data", folder, NULL};
    char *path = osr_log_file_path(folder);
    struct stat file = {0};
    osr_log_file_put_aside(path);
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    if (log < 0 || null < 0 || fstat(log, &file) != 0) {
        osr_err_errno(err, OSR_IO, errno, "cannot write the log %s", path);
        goto fail_log;
    }
    pid_t pid = fork();
    if (pid < 0) {
        osr_err_errno(err, OSR_IO, errno, "cannot start osirisd");
        goto fail_log;
    }
    if (pid == 0) {
        setsid();
        /* A folder that can be unmounted is not held. The data folder's path is a whole one. */
        int ignored = chdir("/");
        (void)ignored;
        become(null, log, log, words);
    }
    close(log);
    close(null);
    *ret_daemon = (struct osr_daemon){pid, path, (uint64_t)file.st_size};
    return OSR_OK;

fail_log:
    if (log >= 0) {
        close(log);
    }
    if (null >= 0) {
        close(null);
    }
    free(path);
    return err != NULL ? err->code : OSR_IO;
}

/* The line "osirisd: CODE: message" that its end left in the log, and a hint below it. */
static void take_last_words(struct osr_buffer *text, struct osr_err *err)
{
    static const char mark[] = "osirisd: ";

    osr_buffer_add_u8(text, '\0');
    char *line = strstr((char *)text->data, mark);
    for (char *next = line; next != NULL; next = strstr(next + 1, mark)) {
        line = next;
    }
    if (line == NULL) {
        return;
    }
    line += sizeof(mark) - 1;
    char *hint = strstr(line, "\nhint: ");
    line[strcspn(line, "\n")] = '\0';
    char *message = strstr(line, ": ");
    if (message == NULL) {
        return;
    }
    *message = '\0';
    osr_err_set(err, code_by_name(line), "%s", message + 2);
    if (hint != NULL) {
        hint += sizeof("\nhint: ") - 1;
        hint[strcspn(hint, "\n")] = '\0';
        osr_err_hint(err, "%s", hint);
    }
}

static void explain_end(const struct osr_daemon *daemon, struct osr_err *err)
{
    enum { READ_MAX = 64 << 10 };
    struct osr_buffer text = {0};
    int fd = open(daemon->log, O_RDONLY | O_CLOEXEC);

    osr_err_set(err, OSR_UNAVAILABLE, "osirisd has ended");
    osr_err_hint(err, "its log says why: %s", daemon->log);
    if (fd >= 0) {
        ssize_t size =
            pread(fd, osr_buffer_reserve(&text, READ_MAX), READ_MAX, (off_t)daemon->log_at);
        text.size = size > 0 ? (size_t)size : 0;
        close(fd);
        take_last_words(&text, err);
    }
    osr_buffer_done(&text);
}

int osr_daemon_check(struct osr_daemon *daemon, struct osr_err *err)
{
    int status;

    if (waitpid(daemon->pid, &status, WNOHANG) != daemon->pid) {
        return OSR_OK;
    }
    if (WIFEXITED(status) && (WEXITSTATUS(status) == 126 || WEXITSTATUS(status) == 127)) {
        return refuse_start(err);
    }
    struct osr_err end;
    explain_end(daemon, &end);
    if (err != NULL) {
        *err = end;
    }
    return end.code;
}

void osr_daemon_done(struct osr_daemon *daemon)
{
    free(daemon->log);
    *daemon = (struct osr_daemon){0};
}
