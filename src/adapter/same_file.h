/* same_file.h -- whether two paths lead to one file. */
#ifndef OSR_ADAPTER_SAME_FILE_H
#define OSR_ADAPTER_SAME_FILE_H

#include <stdbool.h>

/* By what the system says where both files are there (so a hard link is the same file), else by
 * where the paths lead, symbolic links included. False where that cannot be told. */
bool osr_file_is_same(const char *one, const char *other);

#endif
