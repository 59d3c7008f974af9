#include "bin/log_file.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

char *osr_log_file_path(const char *folder)
{
    return osr_format("%s/osirisd.log", folder);
}

static bool is_large(const char *path, struct stat *file)
{
    return stat(path, file) == 0 && file->st_size > OSR_LOG_FILE_BYTES_MAX;
}

static bool put_aside(const char *path)
{
    char *old = osr_format("%s.old", path);
    bool is_done = rename(path, old) == 0;

    free(old);
    return is_done;
}

void osr_log_file_put_aside(const char *path)
{
    struct stat file;
    if (is_large(path, &file)) {
        put_aside(path);
    }
}

static bool is_ours(const struct stat *file)
{
    struct stat error;
    return fstat(STDERR_FILENO, &error) == 0 && error.st_dev == file->st_dev &&
           error.st_ino == file->st_ino;
}

/* Where no new one can be made, the old one goes on under its new name. */
void osr_log_file_turn_over(const char *path)
{
    struct stat file;

    if (!is_large(path, &file) || !is_ours(&file) || !put_aside(path)) {
        return;
    }
    int log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (log >= 0) {
        dup2(log, STDOUT_FILENO);
        dup2(log, STDERR_FILENO);
        close(log);
    }
}
