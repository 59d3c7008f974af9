/* sqlite_index.c -- writes search.db: takes changes of winners in, or walks all documents where it
 * begins anew; how far it is stands in the same transaction as the words. */
#include <stdlib.h>

#include "adapter/search_text.h"
#include "adapter/sqlite_store.h"
#include "model/limits.h"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    READ_META,
    WRITE_META,
    ADD_TEXT,
    REMOVE_TEXT,
    REMOVE_ALL,
    STATEMENT_COUNT
};

static const char *const sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [READ_META] = "SELECT applied, walking, walked FROM meta",
    [WRITE_META] = "UPDATE meta SET applied = ?1, walking = ?2, walked = ?3",
    [ADD_TEXT] = "INSERT INTO search (rowid, text) VALUES (?1, ?2)",
    [REMOVE_TEXT] = "INSERT INTO search (search, rowid, text) VALUES ('delete', ?1, ?2)",
    [REMOVE_ALL] = "INSERT INTO search (search) VALUES ('delete-all')",
};

/* Questions to documents.db. */
enum question { READ_CHANGES, COUNT_CHANGES, READ_DOCUMENTS, COUNT_DOCUMENTS, QUESTION_COUNT };

static const char *const questions_sql[QUESTION_COUNT] = {
    [READ_CHANGES] = "SELECT ordinal, log_id, log_index, old_log_id, old_log_index FROM changes"
                     " WHERE ordinal > ?1 ORDER BY ordinal LIMIT ?2",
    [COUNT_CHANGES] = "SELECT count(*) FROM changes WHERE ordinal > ?1",
    [READ_DOCUMENTS] = "SELECT id, operation, log_id, log_index FROM documents WHERE id > ?1"
                       " ORDER BY id LIMIT ?2",
    [COUNT_DOCUMENTS] = "SELECT count(*) FROM documents WHERE id > ?1",
};

/* How far the index is. */
struct progress {
    uint64_t applied;         /* changes up to this ordinal are in it */
    bool walking;             /* it was begun anew, and takes in documents by id */
    struct osr_buffer walked; /* documents up to this id are in it */
};

struct osr_store_index {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct osr_store_documents *documents;
    sqlite3_stmt *questions[QUESTION_COUNT];
    struct osr_bodies bodies;
    struct progress progress; /* as committed */
    uint64_t changes_left;
    uint64_t documents_left; /* to be walked */
    struct osr_arena *arena;
    struct osr_buffer stored;
    struct osr_buffer text;
};

/* What is to be done to one row of the index. */
struct operation {
    int64_t row;
    bool removes;
};

/* One transaction. */
struct advance {
    struct osr_store_index *index;
    struct operation *operations;
    size_t count;
    struct progress progress; /* as it will be */
};

/* ---- bodies ---- */

/* The entry at a position, in the arena. NULL where the log has given its body up
 * (compaction): then nobody can find it, and its words stay behind in the index, where they
 * match a row that no document has. */
static int read_entry(struct osr_store_index *index, struct osr_store_position position,
                      const Osr__Entry **ret_entry, struct osr_err *err)
{
    index->stored.size = 0;
    osr_arena_reset(index->arena);
    *ret_entry = NULL;
    int code = index->bodies.read(index->bodies.context, position.log_id, position.index,
                                  &index->stored, err);
    if (code == OSR_NOT_FOUND) {
        return 0;
    }
    Osr__Entry *entry = NULL;
    if (code == 0) {
        code = osr_entry_decode(osr_buffer_slice(&index->stored), position.index, index->arena,
                                &entry, err);
    }
    *ret_entry = entry;
    return code;
}

/* ---- what is to be done ---- */

static void plan(struct advance *advance, struct osr_store_position position, bool removes)
{
    advance->operations[advance->count++] =
        (struct operation){osr_store_text_row(position), removes};
}

/* Whether the walk will yet come to the document of this change. */
static int is_ahead_of_walk(struct advance *advance, struct osr_store_position position,
                            bool *ret_ahead, struct osr_err *err)
{
    *ret_ahead = false;
    if (!advance->progress.walking) {
        return 0;
    }
    const Osr__Entry *entry;
    int code = read_entry(advance->index, position, &entry, err);
    if (code == 0 && entry != NULL) {
        struct osr_slice walked = osr_buffer_slice(&advance->progress.walked);
        size_t id_size = strlen(entry->document->id);
        size_t common = walked.size < id_size ? walked.size : id_size;
        int order = common > 0 ? memcmp(entry->document->id, walked.data, common) : 0;
        *ret_ahead = order > 0 || (order == 0 && id_size > walked.size);
    }
    return code;
}

static int plan_change(struct advance *advance, sqlite3_stmt *row, struct osr_err *err)
{
    struct osr_store_position position = {(uint32_t)osr_sqlite_integer(row, 1),
                                          osr_sqlite_integer(row, 2)};
    struct osr_store_position old = {(uint32_t)osr_sqlite_integer(row, 3),
                                     osr_sqlite_integer(row, 4)};
    advance->progress.applied = osr_sqlite_integer(row, 0);
    bool ahead;
    int code = is_ahead_of_walk(advance, position, &ahead, err);
    if (code != 0 || ahead) {
        return code;
    }
    if (old.log_id != 0) {
        plan(advance, old, true);
    }
    plan(advance, position, false);
    return 0;
}

static int plan_changes(struct advance *advance, size_t count, struct osr_err *err)
{
    sqlite3_stmt *read = advance->index->questions[READ_CHANGES];
    osr_sqlite_bind_integer(read, 1, advance->progress.applied);
    osr_sqlite_bind_integer(read, 2, count);
    size_t found = 0;
    bool row;
    int code = osr_sqlite_next(read, &row, err);
    while (code == 0 && row) {
        found++;
        code = plan_change(advance, read, err);
        if (code == 0) {
            code = osr_sqlite_next(read, &row, err);
        }
    }
    sqlite3_reset(read);
    if (code == 0 && found < count) {
        advance->progress.applied = osr_store_documents_applied(advance->index->documents);
    }
    return code;
}

static int plan_walk(struct advance *advance, size_t count, struct osr_err *err)
{
    sqlite3_stmt *read = advance->index->questions[READ_DOCUMENTS];
    struct osr_buffer *walked = &advance->progress.walked;
    osr_sqlite_bind_text(read, 1, osr_buffer_slice(&advance->index->progress.walked));
    osr_sqlite_bind_integer(read, 2, count);
    size_t found = 0;
    bool row;
    int code = osr_sqlite_next(read, &row, err);
    while (code == 0 && row) {
        found++;
        struct osr_slice id = osr_sqlite_bytes(read, 0);
        walked->size = 0;
        osr_buffer_add(walked, id.data, id.size);
        if (osr_sqlite_integer(read, 1) == OSR__OPERATION__PUT) {
            struct osr_store_position position = {(uint32_t)osr_sqlite_integer(read, 2),
                                                  osr_sqlite_integer(read, 3)};
            plan(advance, position, false);
        }
        code = osr_sqlite_next(read, &row, err);
    }
    sqlite3_reset(read);
    if (code == 0 && found < count) {
        advance->progress.walking = false;
        walked->size = 0;
    }
    return code;
}

/* ---- doing it ---- */

static int compare_operations(const void *a, const void *b)
{
    const struct operation *left = a;
    const struct operation *right = b;
    if (left->row != right->row) {
        return left->row < right->row ? -1 : 1;
    }
    return (int)left->removes - (int)right->removes;
}

static int carry_out(struct advance *advance, const struct operation *operation,
                     struct osr_err *err)
{
    struct osr_store_index *index = advance->index;
    const Osr__Entry *entry;
    int code = read_entry(index, osr_store_text_position(operation->row), &entry, err);
    if (code != 0 || entry == NULL || entry->operation == OSR__OPERATION__DELETE) {
        return code;
    }
    index->text.size = 0;
    osr_search_text(&index->text, entry->document);
    sqlite3_stmt *statement = index->statements[operation->removes ? REMOVE_TEXT : ADD_TEXT];
    osr_sqlite_bind_integer(statement, 1, (uint64_t)operation->row);
    osr_sqlite_bind_text(statement, 2, osr_buffer_slice(&index->text));
    return osr_sqlite_run(statement, err);
}

/* How many operations on the row of the first one follow; *ret_net is what they come to:
 * 1 it is added, -1 removed, 0 neither. */
static size_t net_effect(const struct operation *operations, size_t count, int *ret_net)
{
    size_t same = 0;
    *ret_net = 0;
    while (same < count && operations[same].row == operations[0].row) {
        *ret_net += operations[same].removes ? -1 : 1;
        same++;
    }
    return same;
}

/* In the order of rows: FTS5 writes a segment whenever they go back. */
static int carry_out_all(struct advance *advance, struct osr_err *err)
{
    struct operation *operations = advance->operations;
    qsort(operations, advance->count, sizeof(*operations), compare_operations);
    int code = 0;
    for (size_t i = 0; code == 0 && i < advance->count;) {
        int net;
        size_t same = net_effect(&operations[i], advance->count - i, &net);
        if (net != 0) {
            struct operation operation = {operations[i].row, net < 0};
            code = carry_out(advance, &operation, err);
        }
        i += same;
    }
    return code;
}

static int write_meta(struct osr_store_index *index, const struct progress *progress,
                      struct osr_err *err)
{
    sqlite3_stmt *write = index->statements[WRITE_META];
    osr_sqlite_bind_integer(write, 1, progress->applied);
    osr_sqlite_bind_integer(write, 2, progress->walking);
    osr_sqlite_bind_text(write, 3, osr_buffer_slice(&progress->walked));
    return osr_sqlite_run(write, err);
}

static void roll_back(struct osr_store_index *index)
{
    if (sqlite3_get_autocommit(index->db) == 0) {
        osr_sqlite_run(index->statements[ROLLBACK], NULL);
    }
}

static int commit(struct advance *advance, struct osr_err *err)
{
    struct osr_store_index *index = advance->index;
    int code = osr_sqlite_run(index->statements[BEGIN], err);
    if (code == 0) {
        code = carry_out_all(advance, err);
    }
    if (code == 0) {
        code = write_meta(index, &advance->progress, err);
    }
    if (code == 0) {
        code = osr_sqlite_run(index->statements[COMMIT], err);
    }
    if (code != 0) {
        roll_back(index);
    }
    return code;
}

/* ---- progress ---- */

static int count_rows(struct osr_store_index *index, enum question question, uint64_t *ret_count,
                      struct osr_err *err)
{
    sqlite3_stmt *count = index->questions[question];
    bool row;
    int code = osr_sqlite_next(count, &row, err);
    if (code == 0) {
        *ret_count = osr_sqlite_integer(count, 0);
        sqlite3_reset(count);
    }
    return code;
}

static int count_left(struct osr_store_index *index, struct osr_err *err)
{
    osr_sqlite_bind_integer(index->questions[COUNT_CHANGES], 1, index->progress.applied);
    int code = count_rows(index, COUNT_CHANGES, &index->changes_left, err);
    index->documents_left = 0;
    if (code == 0 && index->progress.walking) {
        osr_sqlite_bind_text(index->questions[COUNT_DOCUMENTS], 1,
                             osr_buffer_slice(&index->progress.walked));
        code = count_rows(index, COUNT_DOCUMENTS, &index->documents_left, err);
    }
    return code;
}

static bool has_changes_left(const struct osr_store_index *index)
{
    return index->progress.applied < osr_store_documents_applied(index->documents);
}

/* A walk reads winners as documents.db has them now, so it goes on only while the index has
 * every change up to now, and no later one (which it may have after a power cut). */
static bool can_walk(const struct osr_store_index *index)
{
    return index->progress.walking &&
           index->progress.applied == osr_store_documents_applied(index->documents);
}

static void take_progress(struct osr_store_index *index, const struct progress *progress,
                          size_t count, bool walks)
{
    uint64_t *left = walks ? &index->documents_left : &index->changes_left;
    *left -= count < *left ? count : *left;
    index->progress.applied = progress->applied;
    index->progress.walking = progress->walking;
    index->progress.walked.size = 0;
    osr_buffer_add(&index->progress.walked, progress->walked.data, progress->walked.size);
}

int osr_store_index_advance(struct osr_store_index *index, size_t count, uint64_t *ret_left,
                            struct osr_err *err)
{
    int code = 0;
    bool walks = !has_changes_left(index);
    if (count > 0 && (!walks || can_walk(index))) {
        struct advance advance = {.index = index, .progress = index->progress};
        advance.progress.walked = (struct osr_buffer){0};
        osr_buffer_add(&advance.progress.walked, index->progress.walked.data,
                       index->progress.walked.size);
        advance.operations = osr_alloc(2 * count * sizeof(*advance.operations));
        code = walks ? plan_walk(&advance, count, err) : plan_changes(&advance, count, err);
        if (code == 0) {
            code = commit(&advance, err);
        }
        if (code == 0) {
            take_progress(index, &advance.progress, count, walks);
        }
        free(advance.operations);
        osr_buffer_done(&advance.progress.walked);
    }
    *ret_left = index->changes_left + index->documents_left;
    return code;
}

uint64_t osr_store_index_applied(const struct osr_store_index *index)
{
    return index->progress.applied;
}

void osr_store_index_expect(struct osr_store_index *index, uint64_t changes)
{
    index->changes_left += changes;
}

/* ---- opening ---- */

static int read_meta(struct osr_store_index *index, struct osr_err *err)
{
    sqlite3_stmt *read = index->statements[READ_META];
    bool found = false;
    int code = osr_sqlite_next(read, &found, err);
    if (code == 0 && found) {
        index->progress.applied = osr_sqlite_integer(read, 0);
        index->progress.walking = osr_sqlite_integer(read, 1) != 0;
        struct osr_slice walked = osr_sqlite_bytes(read, 2);
        osr_buffer_add(&index->progress.walked, walked.data, walked.size);
        sqlite3_reset(read);
    }
    return code;
}

/* Empties the index, and begins to take in all documents as they are now. */
static int begin_anew(struct osr_store_index *index, struct osr_err *err)
{
    struct progress progress = {
        .applied = osr_store_documents_applied(index->documents),
        .walking = true,
    };
    int code = osr_sqlite_run(index->statements[BEGIN], err);
    if (code == 0) {
        code = osr_sqlite_run(index->statements[REMOVE_ALL], err);
    }
    if (code == 0) {
        code = write_meta(index, &progress, err);
    }
    if (code == 0) {
        code = osr_sqlite_run(index->statements[COMMIT], err);
    }
    if (code != 0) {
        roll_back(index);
        return code;
    }
    take_progress(index, &progress, 0, true);
    return 0;
}

/* Changes that the index lacks may have been trimmed: it is new beside old documents, or a
 * power cut took it further back than them. */
static bool lacks_trimmed_changes(const struct osr_store_index *index)
{
    return index->progress.applied < osr_store_documents_trimmed(index->documents);
}

int osr_store_index_open(const char *folder, const struct osr_bodies *bodies,
                         struct osr_store_documents *documents, struct osr_store_index **ret_index,
                         struct osr_err *err)
{
    struct osr_store_index *index = osr_alloc(sizeof(*index));
    index->bodies = *bodies;
    index->documents = documents;
    index->arena = osr_arena_create(OSR_DATA_BYTES_MAX, OSR_DECODE_BYTES_MAX);
    int code = osr_sqlite_open(&osr_store_search_schema, folder, OSR_SQLITE_WRITE, &index->db, err);
    if (code == 0) {
        code = osr_sqlite_prepare(index->db, sql, STATEMENT_COUNT, index->statements, err);
    }
    if (code == 0) {
        code = osr_sqlite_prepare(osr_store_documents_db(documents), questions_sql, QUESTION_COUNT,
                                  index->questions, err);
    }
    if (code == 0) {
        code = read_meta(index, err);
    }
    if (code == 0 && lacks_trimmed_changes(index)) {
        code = begin_anew(index, err);
    }
    if (code == 0) {
        code = count_left(index, err);
    }
    if (code != 0) {
        osr_store_index_close(index);
        return code;
    }
    *ret_index = index;
    return 0;
}

void osr_store_index_close(struct osr_store_index *index)
{
    if (index == NULL) {
        return;
    }
    osr_sqlite_finalize(index->questions, QUESTION_COUNT);
    osr_sqlite_finalize(index->statements, STATEMENT_COUNT);
    sqlite3_close(index->db);
    osr_arena_destroy(index->arena);
    osr_buffer_done(&index->progress.walked);
    osr_buffer_done(&index->stored);
    osr_buffer_done(&index->text);
    free(index);
}
