#include "adapter/sqlite.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum {
    /* Of the file format (sqlite.org/fileformat2.html). */
    HEADER_SIZE = 100,
    APPLICATION_ID_AT = 68,
    MAGIC_SIZE = 16,
    /* Readers wait for nothing but the short locks around opening and checkpoints. */
    BUSY_TIMEOUT_MS = 5000,
};
static const char magic[MAGIC_SIZE] = "SQLite format 3";

/* The log is the truth, so a commit needs no sync of its own: NORMAL syncs at checkpoints
 * alone, and a power cut takes the file back to an earlier commit. Checkpoints are few and
 * large (80 MB), because each stalls the commit that it follows. */
static const char writer_pragmas[] = "PRAGMA journal_mode=WAL;"
                                     "PRAGMA synchronous=NORMAL;"
                                     "PRAGMA wal_autocheckpoint=20000;"
                                     "PRAGMA cache_size=-%d";
static const char reader_pragmas[] = "PRAGMA cache_size=-4096";

/* Files that belong to a database, by what stands behind its name. */
static const char *const companions[] = {"-wal", "-shm", "-journal"};
enum { COMPANION_COUNT = sizeof(companions) / sizeof(companions[0]) };

static int corrupt(struct osr_err *err, const char *path, const char *what)
{
    osr_err_set(err, OSR_CORRUPT, "%s: %s", path, what);
    osr_err_hint(err, "`osiris rebuild` makes it anew from the log");
    return OSR_CORRUPT;
}

static int foreign(struct osr_err *err, const char *path)
{
    osr_err_set(err, OSR_FOREIGN_FILE, "%s: not a file of Osiris", path);
    osr_err_hint(err, "move it away; Osiris makes its own from the log");
    return OSR_FOREIGN_FILE;
}

static enum osr_code code_of(int status, int errno_value)
{
    if (errno_value == ENOSPC || errno_value == EDQUOT || errno_value == EFBIG) {
        return OSR_DISK_FULL;
    }
    switch (status) {
    case SQLITE_FULL:
        return OSR_DISK_FULL;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return OSR_CORRUPT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return OSR_BUSY;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        return OSR_IO;
    case SQLITE_TOOBIG:
        return OSR_TOO_LARGE;
    default:
        return OSR_INTERNAL;
    }
}

int osr_sqlite_fail(sqlite3 *db, struct osr_err *err)
{
    /* SQLite notes the errno of a failed open alone; behind a failed write the thread's own is
     * the best there is. */
    int errno_value = errno;
    int status = sqlite3_errcode(db) & 0xff;
    if (status != SQLITE_IOERR) {
        errno_value = sqlite3_system_errno(db);
    }
    const char *path = sqlite3_db_filename(db, "main");
    enum osr_code code = code_of(status, errno_value);
    if (code == OSR_CORRUPT) {
        return corrupt(err, path, sqlite3_errmsg(db));
    }
    if (code == OSR_IO && errno_value != 0) {
        return (int)osr_err_errno(err, code, errno_value, "%s: %s", path, sqlite3_errmsg(db));
    }
    return (int)osr_err_set(err, code, "%s: %s", path, sqlite3_errmsg(db));
}

int osr_sqlite_execute(sqlite3 *db, const char *sql, struct osr_err *err)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : osr_sqlite_fail(db, err);
}

/* ---- statements ---- */

int osr_sqlite_prepare(sqlite3 *db, const char *const *sql, size_t count, sqlite3_stmt **statements,
                       struct osr_err *err)
{
    for (size_t i = 0; i < count; i++) {
        if (sqlite3_prepare_v3(db, sql[i], -1, SQLITE_PREPARE_PERSISTENT, &statements[i], NULL) !=
            SQLITE_OK) {
            return osr_sqlite_fail(db, err);
        }
    }
    return 0;
}

void osr_sqlite_finalize(sqlite3_stmt **statements, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

int osr_sqlite_next(sqlite3_stmt *statement, bool *ret_row, struct osr_err *err)
{
    int status = sqlite3_step(statement);
    *ret_row = status == SQLITE_ROW;
    if (status == SQLITE_ROW) {
        return 0;
    }
    int code = status == SQLITE_DONE ? 0 : osr_sqlite_fail(sqlite3_db_handle(statement), err);
    sqlite3_reset(statement);
    return code;
}

int osr_sqlite_run(sqlite3_stmt *statement, struct osr_err *err)
{
    bool row;
    int code = osr_sqlite_next(statement, &row, err);
    assert(code != 0 || !row);
    return code;
}

void osr_sqlite_bind_integer(sqlite3_stmt *statement, int parameter, uint64_t value)
{
    int status = sqlite3_bind_int64(statement, parameter, (sqlite3_int64)value);
    assert(status == SQLITE_OK);
}

void osr_sqlite_bind_text(sqlite3_stmt *statement, int parameter, struct osr_slice text)
{
    const char *data = text.size > 0 ? (const char *)text.data : "";
    int status =
        sqlite3_bind_text64(statement, parameter, data, text.size, SQLITE_STATIC, SQLITE_UTF8);
    assert(status == SQLITE_OK);
}

void osr_sqlite_bind_blob(sqlite3_stmt *statement, int parameter, struct osr_slice bytes)
{
    const void *data = bytes.size > 0 ? (const void *)bytes.data : "";
    int status = sqlite3_bind_blob64(statement, parameter, data, bytes.size, SQLITE_STATIC);
    assert(status == SQLITE_OK);
}

uint64_t osr_sqlite_integer(sqlite3_stmt *statement, int column)
{
    return (uint64_t)sqlite3_column_int64(statement, column);
}

struct osr_slice osr_sqlite_bytes(sqlite3_stmt *statement, int column)
{
    const void *data = sqlite3_column_blob(statement, column);
    return osr_slice(data, (size_t)sqlite3_column_bytes(statement, column));
}

/* ---- opening ---- */

/* Looks at the file itself, before SQLite may write to it. */
static int check_is_ours(const struct osr_sqlite_schema *schema, const char *path, bool *ret_exists,
                         struct osr_err *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    *ret_exists = file >= 0;
    if (file < 0) {
        return errno == ENOENT ? 0 : (int)osr_err_errno(err, OSR_IO, errno, "%s", path);
    }
    uint8_t header[HEADER_SIZE];
    ssize_t size = pread(file, header, sizeof(header), 0);
    int read_errno = errno;
    close(file);
    if (size < 0) {
        return (int)osr_err_errno(err, OSR_IO, read_errno, "%s", path);
    }
    size_t magic_size = size < MAGIC_SIZE ? (size_t)size : MAGIC_SIZE;
    if (memcmp(header, magic, magic_size) != 0) {
        return foreign(err, path);
    }
    if (size < HEADER_SIZE) {
        return corrupt(err, path, "cut off");
    }
    if (osr_get_u32(header + APPLICATION_ID_AT) != (uint32_t)schema->application_id) {
        return foreign(err, path);
    }
    return 0;
}

static int read_version(sqlite3 *db, int *ret_version, struct osr_err *err)
{
    const char *sql = "PRAGMA user_version";
    sqlite3_stmt *statement = NULL;
    bool row = false;
    int code = osr_sqlite_prepare(db, &sql, 1, &statement, err);
    if (code == 0) {
        code = osr_sqlite_next(statement, &row, err);
    }
    *ret_version = row ? sqlite3_column_int(statement, 0) : 0;
    osr_sqlite_finalize(&statement, 1);
    return code;
}

static int check_version(const struct osr_sqlite_schema *schema, const char *path, sqlite3 *db,
                         int *ret_version, struct osr_err *err)
{
    int code = read_version(db, ret_version, err);
    if (code == 0 && *ret_version > schema->version) {
        code = (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "%s: has schema version %d, this build knows %d", path,
                                *ret_version, schema->version);
        osr_err_hint(err, "use the newer osirisd that wrote it, or `osiris rebuild`");
    }
    return code;
}

/* Each step and the version that it makes stand in one transaction. */
static int migrate(const struct osr_sqlite_schema *schema, sqlite3 *db, int version,
                   struct osr_err *err)
{
    int code = 0;
    for (; code == 0 && version < schema->version; version++) {
        char *sql = osr_format("BEGIN IMMEDIATE;%s;PRAGMA user_version=%d;COMMIT",
                               schema->steps[version], version + 1);
        code = osr_sqlite_execute(db, sql, err);
        free(sql);
    }
    if (code != 0 && sqlite3_get_autocommit(db) == 0) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    return code;
}

static int connect(const char *path, int flags, sqlite3 **ret_db, struct osr_err *err)
{
    sqlite3 *db = NULL;
    int status =
        sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
    assert(db != NULL); /* or no memory, which ends the process everywhere */
    if (status != SQLITE_OK) {
        int errno_value = sqlite3_system_errno(db);
        enum osr_code code = code_of(status & 0xff, errno_value);
        osr_err_errno(err, code, errno_value, "%s: %s", path, sqlite3_errmsg(db));
        sqlite3_close(db);
        return (int)code;
    }
    sqlite3_busy_timeout(db, BUSY_TIMEOUT_MS);
    *ret_db = db;
    return 0;
}

static void remove_with_companions(const char *path)
{
    unlink(path);
    for (size_t i = 0; i < COMPANION_COUNT; i++) {
        char *companion = osr_format("%s%s", path, companions[i]);
        unlink(companion);
        free(companion);
    }
}

static int set_up_writer(const struct osr_sqlite_schema *schema, const char *path, sqlite3 *db,
                         struct osr_err *err)
{
    if (sqlite3_db_readonly(db, "main") != 0) {
        return (int)osr_err_set(err, OSR_IO, "%s: may not be written", path);
    }
    char *sql = osr_format(writer_pragmas, schema->cache_kib);
    int code = osr_sqlite_execute(db, sql, err);
    free(sql);
    return code;
}

static int set_up_reader(sqlite3 *db, struct osr_err *err)
{
    /* At its close the last connection removes the journal by name, which by then may be that
     * of a new file (osr_sqlite_set_aside): only writers may. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    return osr_sqlite_execute(db, reader_pragmas, err);
}

static int fill_new_file(const struct osr_sqlite_schema *schema, const char *path,
                         struct osr_err *err)
{
    sqlite3 *db = NULL;
    int code = connect(path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &db, err);
    if (code != 0) {
        return code;
    }
    char *sql = osr_format("PRAGMA application_id=%d", schema->application_id);
    code = osr_sqlite_execute(db, sql, err);
    free(sql);
    if (code == 0) {
        code = migrate(schema, db, 0, err);
    }
    sqlite3_close(db);
    return code;
}

static int create(const struct osr_sqlite_schema *schema, const char *path, struct osr_err *err)
{
    char *draft = osr_format("%s.new", path);
    remove_with_companions(draft);
    int code = fill_new_file(schema, draft, err);
    /* A journal left without its file would be taken for the new file's. */
    remove_with_companions(path);
    if (code == 0 && rename(draft, path) != 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "%s", path);
    }
    if (code != 0) {
        remove_with_companions(draft);
    }
    free(draft);
    return code;
}

static int open_writer(const struct osr_sqlite_schema *schema, const char *path, bool exists,
                       sqlite3 **ret_db, struct osr_err *err)
{
    int version;
    int code = exists ? 0 : create(schema, path, err);
    if (code == 0) {
        code = connect(path, SQLITE_OPEN_READWRITE, ret_db, err);
    }
    if (code == 0) {
        code = check_version(schema, path, *ret_db, &version, err);
    }
    if (code == 0) {
        code = set_up_writer(schema, path, *ret_db, err);
    }
    if (code == 0) {
        code = migrate(schema, *ret_db, version, err);
    }
    return code;
}

static int open_reader(const struct osr_sqlite_schema *schema, const char *path, sqlite3 **ret_db,
                       struct osr_err *err)
{
    int version;
    int code = connect(path, SQLITE_OPEN_READONLY, ret_db, err);
    if (code == 0) {
        code = check_version(schema, path, *ret_db, &version, err);
    }
    if (code == 0) {
        code = set_up_reader(*ret_db, err);
    }
    return code;
}

int osr_sqlite_open(const struct osr_sqlite_schema *schema, const char *folder,
                    enum osr_sqlite_access access, sqlite3 **ret_db, struct osr_err *err)
{
    char *path = osr_format("%s/%s", folder, schema->file);
    sqlite3 *db = NULL;
    bool exists;
    int code = check_is_ours(schema, path, &exists, err);
    if (code == 0 && access == OSR_SQLITE_WRITE) {
        code = open_writer(schema, path, exists, &db, err);
    } else if (code == 0) {
        code = open_reader(schema, path, &db, err);
    }
    free(path);
    if (code != 0) {
        sqlite3_close(db);
        return code;
    }
    *ret_db = db;
    return 0;
}

int osr_sqlite_set_aside(const struct osr_sqlite_schema *schema, const char *folder,
                         struct osr_err *err)
{
    char *path = osr_format("%s/%s", folder, schema->file);
    char *aside = osr_format("%s.old", path);
    bool exists;
    int code = check_is_ours(schema, path, &exists, err);
    if (code == OSR_CORRUPT) {
        code = 0;
    }
    if (code == 0 && exists && rename(path, aside) != 0) {
        code = (int)osr_err_errno(err, OSR_IO, errno, "%s", path);
    }
    if (code == 0) {
        /* They cannot be used without the file they belong to. */
        remove_with_companions(path);
    }
    free(aside);
    free(path);
    return code;
}

void osr_sqlite_drop_set_aside(const struct osr_sqlite_schema *schema, const char *folder)
{
    char *aside = osr_format("%s/%s.old", folder, schema->file);
    remove_with_companions(aside);
    free(aside);
}
