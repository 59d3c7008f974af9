/* file_set.h -- a few small files of one folder that change together or not at all.
 *
 * A change writes what is new under NAME.new, then a list of what is to be done, "change": once
 * that is in the folder, safely, the change has happened. Then each NAME.new takes its place, what
 * is to go goes, and last of all the list. A crash before the list is there leaves the old state
 * (and NAME.new, which the next to look removes), one after it the new one (the next to look
 * finishes what the list says). Every step is synced before the next one begins.
 *
 * Blocking; one thread and one process at a time. Files get mode 0600, the folder 0700. */
#ifndef OSR_NODE_FILE_SET_H
#define OSR_NODE_FILE_SET_H

#include "adapter/file.h"

struct osr_file_set {
    struct osr_disk *disk;
    const char *parent; /* of the folder, and there */
    const char *folder;
    const char *const *names; /* of all files of the set */
    size_t name_count;
};

/* What one file is to be; empty: it is to go. */
struct osr_file_change {
    const char *name;
    struct osr_slice content;
};

/* Makes the folder if it is not there, and finishes or takes back what a crash interrupted. */
int osr_file_set_settle(const struct osr_file_set *set, struct osr_err *err);
/* Appends. NOT_FOUND where there is no such file, CORRUPT where it is empty, TOO_LARGE past
 * size_max; `forbidden` as in adapter/private_file.h. The buffer grows once, so that no copy of a
 * secret is left behind. */
int osr_file_set_read(const struct osr_file_set *set, const char *name, size_t size_max,
                      unsigned forbidden, struct osr_buffer *content, struct osr_err *err);
/* The set must be settled. After a failure it must be settled again: what settles is the old state,
 * or the new one where only the end of the change failed. */
int osr_file_set_change(const struct osr_file_set *set, const struct osr_file_change *changes,
                        size_t count, struct osr_err *err);

#endif
