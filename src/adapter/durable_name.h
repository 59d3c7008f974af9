/* durable_name.h -- names that are still there after a power cut: a file system may forget those
 * whose folder was not synced. */
#ifndef OSR_ADAPTER_DURABLE_NAME_H
#define OSR_ADAPTER_DURABLE_NAME_H

#include "adapter/file.h"

/* Makes a folder, whose parent is there; nothing to do is no failure. */
int osr_durable_folder(struct osr_disk *disk, const char *path, struct osr_err *err);
/* Gives a finished, synced file its name in the folder, for good or not at all. */
int osr_durable_rename(struct osr_disk *disk, const char *folder, const char *from, const char *to,
                       struct osr_err *err);

#endif
