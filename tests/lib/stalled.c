/* stalled.c -- preloaded into an instance, makes its knowledge base fall behind: while the file
 * that OSIRIS_STALLED names is there, no step of SQLite ends. What it has to do with its log and
 * its ledger goes on. */
#include <dlfcn.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <unistd.h>

enum { LOOK_US = 10 * 1000 };

__attribute__((visibility("default"))) int sqlite3_step(sqlite3_stmt *statement)
{
    int (*next)(sqlite3_stmt *) = __extension__(int (*)(sqlite3_stmt *)) dlsym(RTLD_NEXT, __func__);
    const char *path = getenv("OSIRIS_STALLED");
    if (next == NULL) {
        abort();
    }
    while (path != NULL && access(path, F_OK) == 0) {
        usleep(LOOK_US);
    }
    return next(statement);
}
