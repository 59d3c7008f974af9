#include "lib/scratch.h"

#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/text.h"

void scratch_create(char folder[SCRATCH_PATH_MAX])
{
    snprintf(folder, SCRATCH_PATH_MAX, "/tmp/osiris-test-XXXXXX");
    assert_non_null(mkdtemp(folder));
}

static int remove_one(const char *path, const struct stat *status, int flag, struct FTW *walk)
{
    (void)status, (void)flag, (void)walk;
    return remove(path);
}

void scratch_remove(const char *folder)
{
    enum { FILES_OPEN_MAX = 8 };
    assert_int_equal(nftw(folder, remove_one, FILES_OPEN_MAX, FTW_DEPTH | FTW_PHYS), 0);
}

struct scratch_file *scratch_file_create(const char *name)
{
    struct scratch_file *file = osr_alloc(sizeof(*file));
    scratch_create(file->folder);
    snprintf(file->path, sizeof(file->path), "%s/%s", file->folder, name);
    return file;
}

void scratch_run(const char *folder, const char *command)
{
    char *line = osr_format("cd %s && %s", folder, command);
    assert_int_equal(system(line), 0);
    free(line);
}
