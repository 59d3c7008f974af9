/* scratch.h -- a folder of a test's own. */
#ifndef OSR_TESTS_SCRATCH_H
#define OSR_TESTS_SCRATCH_H

enum { SCRATCH_PATH_MAX = 64 };

/* A new, empty one. */
void scratch_create(char folder[SCRATCH_PATH_MAX]);
/* With all that is in it. */
void scratch_remove(const char *folder);
/* What a shell does in it must succeed. */
void scratch_run(const char *folder, const char *command);

/* A folder, and the path of a file that the test may make in it. */
struct scratch_file {
    char folder[SCRATCH_PATH_MAX];
    char path[SCRATCH_PATH_MAX + 32];
};

/* To be freed, after the folder is removed. */
struct scratch_file *scratch_file_create(const char *name);

#endif
