#include "bin/password.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include "adapter/private_file.h"

void osr_password_done(char *password)
{
    if (password != NULL) {
        explicit_bzero(password, OSR_PASSWORD_BYTES_MAX + 1);
    }
    free(password);
}

/* One line, without its end. */
static int read_line(int fd, char *line, struct osr_err *err)
{
    size_t size = 0;
    for (;;) {
        char character;
        ssize_t got = read(fd, &character, 1);
        if (got < 0) {
            return (int)osr_err_errno(err, errno == EINTR ? OSR_CANCELLED : OSR_IO, errno,
                                      "cannot read the password");
        }
        if (got == 0 || character == '\n') {
            break;
        }
        if (size == OSR_PASSWORD_BYTES_MAX) {
            return osr_err_set(err, OSR_TOO_LARGE, "a password has at most %d bytes",
                               OSR_PASSWORD_BYTES_MAX);
        }
        line[size++] = character;
    }
    line[size] = '\0';
    return size > 0 ? OSR_OK : (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "the password is empty");
}

/* A pipe is nobody else's to read; a file may be. */
static int check_private(int fd, const char *file, struct osr_err *err)
{
    struct stat status;
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return OSR_OK;
    }
    return osr_private_file_check(fd, "password", file, OSR_PRIVATE_SECRET, err);
}

static int read_file(const char *file, char *password, struct osr_err *err)
{
    bool is_input = strcmp(file, "-") == 0;
    int fd = is_input ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return (int)osr_err_errno(err, OSR_INVALID_ARGUMENT, errno, "cannot read %s", file);
    }
    int code = is_input ? OSR_OK : check_private(fd, file, err);
    if (code == OSR_OK) {
        code = read_line(fd, password, err);
    }
    if (!is_input) {
        close(fd);
    }
    return code;
}

/* -- the terminal -- */

static volatile sig_atomic_t interrupted;

static void on_interrupt(int number)
{
    interrupted = number;
}

static void ask(int terminal, const char *user, const char *again)
{
    dprintf(terminal, "Password of %s%s: ", user, again);
}

/* Ctrl-C comes back to here, so that the terminal shows again what is typed. */
static int read_hidden(int terminal, const char *user, const char *again, char *password,
                       struct osr_err *err)
{
    struct termios shown, hidden;
    struct sigaction action = {.sa_handler = on_interrupt}, before;

    if (tcgetattr(terminal, &shown) != 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot use the terminal");
    }
    hidden = shown;
    hidden.c_lflag &= ~(tcflag_t)ECHO;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, &before);
    tcsetattr(terminal, TCSAFLUSH, &hidden); /* before it asks: what is typed then is the answer */
    ask(terminal, user, again);
    int code = read_line(terminal, password, err);
    tcsetattr(terminal, TCSAFLUSH, &shown);
    dprintf(terminal, "\n");
    sigaction(SIGINT, &before, NULL);
    return interrupted != 0 ? (int)osr_err_set(err, OSR_CANCELLED, "interrupted") : code;
}

static int ask_again(int terminal, const char *user, const char *password, struct osr_err *err)
{
    char *again = osr_alloc(OSR_PASSWORD_BYTES_MAX + 1);
    int code = read_hidden(terminal, user, ", once more", again, err);

    if (code == OSR_OK && strcmp(again, password) != 0) {
        code = osr_err_set(err, OSR_INVALID_ARGUMENT, "the two are not the same");
    }
    osr_password_done(again);
    return code;
}

static int read_terminal(const char *user, bool is_new, char *password, struct osr_err *err)
{
    int terminal = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (terminal < 0) {
        osr_err_set(err, OSR_INVALID_ARGUMENT, "there is no terminal to ask for the password at");
        osr_err_hint(err, "--password-file FILE reads it from a file, '-' from standard input");
        return OSR_INVALID_ARGUMENT;
    }
    int code = read_hidden(terminal, user, "", password, err);
    if (code == OSR_OK && is_new) {
        code = ask_again(terminal, user, password, err);
    }
    close(terminal);
    return code;
}

int osr_password_read(const char *file, const char *user, bool is_new, char **ret_password,
                      struct osr_err *err)
{
    char *password = osr_alloc(OSR_PASSWORD_BYTES_MAX + 1);
    int code =
        file != NULL ? read_file(file, password, err) : read_terminal(user, is_new, password, err);
    if (code != OSR_OK) {
        osr_password_done(password);
        return code;
    }
    *ret_password = password;
    return OSR_OK;
}
