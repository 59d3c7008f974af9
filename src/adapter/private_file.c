#include "adapter/private_file.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static int check_mode(const struct stat *file, const char *what, const char *path,
                      unsigned forbidden, struct osr_err *err)
{
    unsigned mode = file->st_mode & 07777;

    if ((mode & forbidden) != 0) {
        osr_err_set(err, OSR_PERMISSION_DENIED, "%s %s is open to other users (mode %04o)", what,
                    path, mode);
        osr_err_hint(err, "chmod 600 %s", path);
        return OSR_PERMISSION_DENIED;
    }
    return 0;
}

int osr_private_file_check(int fd, const char *what, const char *path, unsigned forbidden,
                           struct osr_err *err)
{
    struct stat file;

    if (fstat(fd, &file) < 0) {
        return (int)osr_err_errno(err, OSR_IO, errno, "cannot look at the %s %s", what, path);
    }
    if (!S_ISREG(file.st_mode)) {
        osr_err_set(err, OSR_FOREIGN_FILE, "%s %s is not a file", what, path);
        osr_err_hint(err, "move it away: mv %s %s.foreign", path, path);
        return OSR_FOREIGN_FILE;
    }
    if (file.st_uid != geteuid()) {
        osr_err_set(err, OSR_PERMISSION_DENIED, "%s %s belongs to user %u, but this is user %u",
                    what, path, file.st_uid, geteuid());
        osr_err_hint(err, "run as that user, or: chown %u %s", geteuid(), path);
        return OSR_PERMISSION_DENIED;
    }
    return check_mode(&file, what, path, forbidden, err);
}
