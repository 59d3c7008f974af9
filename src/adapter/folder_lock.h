/* folder_lock.h -- one process a data folder.
 *
 * folder/lock is locked with flock(2), so that the lock goes with the process however it ends;
 * the number of the process that holds it stands in the file, for people. */
#ifndef OSR_ADAPTER_FOLDER_LOCK_H
#define OSR_ADAPTER_FOLDER_LOCK_H

#include "base/error.h"

struct osr_folder_lock;

/* Makes the folder (mode 0700, parents too) if it is not there. IN_USE where another process
 * still has it after two seconds: one that was killed may take a moment to end. */
int osr_folder_lock(const char *folder, struct osr_folder_lock **ret_lock, struct osr_err *err);
void osr_folder_unlock(struct osr_folder_lock *lock); /* NULL is a no-op */

#endif
