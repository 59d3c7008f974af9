#include "adapter/same_file.h"

#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/bytes.h"

enum { LINKS_MAX = 40 }; /* as the system itself: stops a circle */

/* The path of what is beside `path` under this name; `name` alone where that is absolute. */
static char *beside(const char *path, const char *name)
{
    char *copy = osr_strdup(path);
    char *joined = name[0] == '/' ? osr_strdup(name) : osr_format("%s/%s", dirname(copy), name);
    free(copy);
    return joined;
}

/* Follows links to a file that need not be there; the path is taken, what is left is given. */
static char *follow_links(char *path)
{
    for (int i = 0; i < LINKS_MAX; i++) {
        char target[PATH_MAX];
        ssize_t size = readlink(path, target, sizeof(target) - 1);
        if (size < 0) {
            break;
        }
        target[size] = '\0';
        char *next = beside(path, target);
        free(path);
        path = next;
    }
    return path;
}

/* Where a path leads, in the one spelling that has no links and no dots; NULL where its folder is
 * not there. To be freed. */
static char *resolve(const char *path)
{
    char *last = follow_links(osr_strdup(path));
    char *name_copy = osr_strdup(last);
    char *folder_copy = osr_strdup(last);
    char *folder = realpath(dirname(folder_copy), NULL);
    char *resolved = folder != NULL ? osr_format("%s/%s", folder, basename(name_copy)) : NULL;
    free(folder);
    free(folder_copy);
    free(name_copy);
    free(last);
    return resolved;
}

bool osr_file_is_same(const char *one, const char *other)
{
    struct stat one_file;
    struct stat other_file;
    if (stat(one, &one_file) == 0 && stat(other, &other_file) == 0) {
        return one_file.st_dev == other_file.st_dev && one_file.st_ino == other_file.st_ino;
    }
    char *one_path = resolve(one);
    char *other_path = resolve(other);
    bool is_same = one_path != NULL && other_path != NULL && strcmp(one_path, other_path) == 0;
    free(one_path);
    free(other_path);
    return is_same || strcmp(one, other) == 0;
}
