/* mirror_file.h -- the file of a mirror: blocking, for the files' thread. */
#ifndef OSR_NODE_MIRROR_FILE_H
#define OSR_NODE_MIRROR_FILE_H

#include "base/bytes.h"
#include "base/error.h"

/* Where something stands that is no JSON array, renames it to PATH.corrupt-TIME (UTC); then
 * *ret_aside is the new name, to be freed. Otherwise it is NULL. */
int osr_mirror_file_check(const char *path, char **ret_aside, struct osr_err *err);

/* Being written, as PATH.new. A zeroed one is not open. */
struct osr_mirror_file {
    int fd;
    bool is_open;
};

/* Opens on the first call, with the mode of the file that stands there. */
int osr_mirror_file_write(struct osr_mirror_file *file, const char *path, struct osr_slice bytes,
                          struct osr_err *err);
/* Syncs, closes, renames into place. */
int osr_mirror_file_commit(struct osr_mirror_file *file, const char *path, struct osr_err *err);
void osr_mirror_file_abandon(struct osr_mirror_file *file, const char *path);

#endif
