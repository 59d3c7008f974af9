/* sqlite_origins.c -- which origin each log has, kept in memory beside documents.db. */
#include <stdio.h>
#include <stdlib.h>

#include "adapter/sqlite_store.h"

void osr_store_origins_done(struct osr_store_origins *origins)
{
    free(origins->names);
    *origins = (struct osr_store_origins){0};
}

void osr_store_origins_set(struct osr_store_origins *origins, uint32_t log_id, const char *name)
{
    if (log_id >= origins->count) {
        size_t count = 2 * (size_t)log_id + 1;
        origins->names = osr_realloc(origins->names, count * sizeof(origins->names[0]));
        memset(origins->names[origins->count], 0,
               (count - origins->count) * sizeof(origins->names[0]));
        origins->count = count;
    }
    snprintf(origins->names[log_id], sizeof(origins->names[0]), "%s", name);
}

const char *osr_store_origins_get(const struct osr_store_origins *origins, uint32_t log_id)
{
    return log_id < origins->count ? origins->names[log_id] : "";
}

/* A damaged file may say any log id: the range keeps it from costing memory. */
int osr_store_origins_load(struct osr_store_origins *origins, sqlite3 *db, struct osr_err *err)
{
    const char *sql = "SELECT log_id, origin FROM logs WHERE log_id BETWEEN 1 AND 1000000";
    sqlite3_stmt *statement = NULL;
    osr_store_origins_done(origins);
    bool row = false;
    int code = osr_sqlite_prepare(db, &sql, 1, &statement, err);
    if (code == 0) {
        code = osr_sqlite_next(statement, &row, err);
    }
    while (code == 0 && row) {
        osr_store_origins_set(origins, (uint32_t)osr_sqlite_integer(statement, 0),
                              (const char *)sqlite3_column_text(statement, 1));
        code = osr_sqlite_next(statement, &row, err);
    }
    osr_sqlite_finalize(&statement, 1);
    return code;
}
