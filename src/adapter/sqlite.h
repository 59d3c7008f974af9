/* sqlite.h -- one SQLite file: opened with care, migrated, asked through kept statements.
 *
 * A file is made under another name and renamed when it is whole, so that one which stands
 * at its place is ours and complete, or is refused: nothing that stood there is ever written
 * over. Every failure of SQLite becomes one of our codes in one place (osr_sqlite_fail). */
#ifndef OSR_ADAPTER_SQLITE_H
#define OSR_ADAPTER_SQLITE_H

#include <sqlite3.h>

#include "base/bytes.h"
#include "base/error.h"

struct osr_sqlite_schema {
    const char *file;         /* name in the folder */
    int application_id;       /* tells our files from all others */
    const char *const *steps; /* step i makes version i + 1 out of version i; never changed */
    int version;              /* of files that this build writes: the number of steps */
    int cache_kib;            /* that a writer may keep in memory */
};

enum osr_sqlite_access {
    OSR_SQLITE_WRITE, /* creates and migrates */
    OSR_SQLITE_READ,
};

int osr_sqlite_open(const struct osr_sqlite_schema *schema, const char *folder,
                    enum osr_sqlite_access access, sqlite3 **ret_db, struct osr_err *err);
/* Renames the file, whatever its state, to *.old; a foreign one is refused, none is fine. No
 * writer may have it open. */
int osr_sqlite_set_aside(const struct osr_sqlite_schema *schema, const char *folder,
                         struct osr_err *err);
/* Removes what was set aside. */
void osr_sqlite_drop_set_aside(const struct osr_sqlite_schema *schema, const char *folder);

/* What went wrong last on this connection, as one of our codes. */
int osr_sqlite_fail(sqlite3 *db, struct osr_err *err);
/* Runs SQL without results. */
int osr_sqlite_execute(sqlite3 *db, const char *sql, struct osr_err *err);

/* Prepares sql[i] as statements[i]; on failure those made so far are for the caller to
 * finalize, as after success. */
int osr_sqlite_prepare(sqlite3 *db, const char *const *sql, size_t count, sqlite3_stmt **statements,
                       struct osr_err *err);
void osr_sqlite_finalize(sqlite3_stmt **statements, size_t count); /* NULLs are no-ops */

/* The next row; after the last one, or a failure, the statement is ready for its next use. */
int osr_sqlite_next(sqlite3_stmt *statement, bool *ret_row, struct osr_err *err);
/* Runs a statement that gives no rows. */
int osr_sqlite_run(sqlite3_stmt *statement, struct osr_err *err);

/* Binding cannot fail but for mistakes of ours. What a slice points to must live until the
 * statement is reset. */
void osr_sqlite_bind_integer(sqlite3_stmt *statement, int parameter, uint64_t value);
void osr_sqlite_bind_text(sqlite3_stmt *statement, int parameter, struct osr_slice text);
void osr_sqlite_bind_blob(sqlite3_stmt *statement, int parameter, struct osr_slice bytes);
/* Columns of the current row; slices live until the next step or reset. */
uint64_t osr_sqlite_integer(sqlite3_stmt *statement, int column);
struct osr_slice osr_sqlite_bytes(sqlite3_stmt *statement, int column);

#endif
