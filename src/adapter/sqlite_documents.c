/* sqlite_documents.c -- writes documents.db: winners, versions, facts, and what the index has yet
 * to learn, a batch of the log in one transaction. */
#include <stdlib.h>

#include "adapter/sqlite_store.h"
#include "model/limits.h"

/* Of a document's row and of versions' rows, in this order wherever they are read. */
#define VERSION_COLUMNS                                                                            \
    "log_id, log_index, time_ms, time_logical, operation, expires_ms, collection"

enum statement {
    BEGIN,
    COMMIT,
    ROLLBACK,
    READ_META,
    WRITE_META,
    ADD_LOG,
    ADD_DOCUMENT,
    FIND_DOCUMENT,
    WRITE_DOCUMENT,
    ADD_VERSION,
    FIND_VERSION,
    LEARN_VERSION,
    SUPERSEDE_VERSION,
    BEST_VERSION,
    ADD_CHANGE,
    TRIM_CHANGES,
    PUT_FACT,
    DROP_FACT,
    STATEMENT_COUNT
};

static const char *const sql[STATEMENT_COUNT] = {
    [BEGIN] = "BEGIN IMMEDIATE",
    [COMMIT] = "COMMIT",
    [ROLLBACK] = "ROLLBACK",
    [READ_META] = "SELECT applied, live, trimmed FROM meta",
    [WRITE_META] = "UPDATE meta SET applied = ?1, live = ?2, trimmed = ?3",
    [ADD_LOG] = "INSERT OR IGNORE INTO logs (log_id, origin) VALUES (?1, ?2)",
    [ADD_DOCUMENT] = "INSERT OR IGNORE INTO documents (id, " VERSION_COLUMNS ", many)"
                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
    [FIND_DOCUMENT] = "SELECT " VERSION_COLUMNS ", many FROM documents WHERE id = ?1",
    [WRITE_DOCUMENT] = "INSERT OR REPLACE INTO documents (id, " VERSION_COLUMNS ", many)"
                       " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)",
    [ADD_VERSION] = "INSERT INTO versions (id, " VERSION_COLUMNS ", origin, known, superseded)"
                    " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    [FIND_VERSION] = "SELECT superseded, known, operation FROM versions WHERE id = ?1"
                     " AND superseded IN (0, 1) AND time_ms = ?2 AND time_logical = ?3"
                     " AND origin = ?4",
    [LEARN_VERSION] = "UPDATE versions SET known = 1, log_id = ?5, log_index = ?6,"
                      " operation = ?7, expires_ms = ?8, collection = ?9 WHERE id = ?1"
                      " AND superseded IN (0, 1) AND time_ms = ?2 AND time_logical = ?3"
                      " AND origin = ?4",
    [SUPERSEDE_VERSION] = "UPDATE versions SET superseded = 1 WHERE id = ?1"
                          " AND superseded = 0 AND time_ms = ?2 AND time_logical = ?3"
                          " AND origin = ?4",
    [BEST_VERSION] = "SELECT " VERSION_COLUMNS " FROM versions"
                     " WHERE id = ?1 AND superseded = ?2 AND known = 1"
                     " ORDER BY time_ms DESC, time_logical DESC, origin DESC LIMIT 1",
    [ADD_CHANGE] = "INSERT INTO changes VALUES (?1, ?2, ?3, ?4, ?5)",
    [TRIM_CHANGES] = "DELETE FROM changes WHERE ordinal <= ?1",
    [PUT_FACT] = "INSERT OR REPLACE INTO facts VALUES (?1, ?2)",
    [DROP_FACT] = "DELETE FROM facts WHERE key = ?1",
};

/* The one row of the table meta. */
struct meta {
    uint64_t applied;
    uint64_t live;
    uint64_t trimmed;
};

struct osr_store_documents {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct osr_store_origins origins;
    struct meta meta; /* as committed */
};

/* A known version, as rows have it but for its origin. */
struct version_row {
    struct osr_store_position position;
    struct osr_time time;
    Osr__Operation operation;
    uint64_t expires_ms;
    char collection[OSR_COLLECTION_BYTES_MAX + 1];
};

/* That another version wins now. */
struct change {
    struct osr_store_position position; /* log 0: no change */
    struct osr_store_position old;      /* log 0: there was none, or it was a delete */
};

/* One transaction. */
struct apply {
    struct osr_store_documents *documents;
    const struct osr_store_item *items;
    size_t count;
    struct change *changes; /* one for each item */
    struct meta meta;       /* as it will be */
};

static sqlite3_stmt *statement(struct apply *apply, enum statement which)
{
    return apply->documents->statements[which];
}

/* ---- rows ---- */

/* SQLite's integers are signed: later than they reach is never. */
static uint64_t storable(uint64_t expires_ms)
{
    return expires_ms < INT64_MAX ? expires_ms : INT64_MAX;
}

static struct version_row row_of_item(const struct osr_store_item *item)
{
    const Osr__Entry *entry = item->entry;
    struct version_row row = {
        .position = {item->log_id, item->index},
        .time = {entry->time_ms, entry->time_logical},
        .operation = entry->operation,
        .expires_ms = storable(entry->document->expires_ms),
    };
    size_t size = strlen(entry->document->collection);
    assert(size < sizeof(row.collection));
    memcpy(row.collection, entry->document->collection, size);
    return row;
}

static struct version_row row_of_columns(sqlite3_stmt *found)
{
    struct version_row row = {
        .position = {(uint32_t)osr_sqlite_integer(found, 0), osr_sqlite_integer(found, 1)},
        .time = {osr_sqlite_integer(found, 2), (uint32_t)osr_sqlite_integer(found, 3)},
        .operation = (Osr__Operation)osr_sqlite_integer(found, 4),
        .expires_ms = osr_sqlite_integer(found, 5),
    };
    struct osr_slice collection = osr_sqlite_bytes(found, 6);
    if (collection.size > 0 && collection.size < sizeof(row.collection)) {
        memcpy(row.collection, collection.data, collection.size);
    }
    return row;
}

/* Binds VERSION_COLUMNS from parameter 2 on, behind the id. */
static void bind_row(sqlite3_stmt *to, const char *id, const struct version_row *row)
{
    osr_sqlite_bind_text(to, 1, osr_slice_text(id));
    osr_sqlite_bind_integer(to, 2, row->position.log_id);
    osr_sqlite_bind_integer(to, 3, row->position.index);
    osr_sqlite_bind_integer(to, 4, row->time.ms);
    osr_sqlite_bind_integer(to, 5, row->time.logical);
    osr_sqlite_bind_integer(to, 6, (uint64_t)row->operation);
    osr_sqlite_bind_integer(to, 7, row->expires_ms);
    osr_sqlite_bind_text(to, 8, osr_slice_text(row->collection));
}

static void bind_version(sqlite3_stmt *to, const char *id, const struct osr_version *version)
{
    osr_sqlite_bind_text(to, 1, osr_slice_text(id));
    osr_sqlite_bind_integer(to, 2, version->time.ms);
    osr_sqlite_bind_integer(to, 3, version->time.logical);
    osr_sqlite_bind_text(to, 4, osr_slice_text(version->origin));
}

static struct osr_version version_of(struct apply *apply, const struct version_row *row)
{
    struct osr_version version = {.time = row->time};
    const char *origin = osr_store_origins_get(&apply->documents->origins, row->position.log_id);
    memcpy(version.origin, origin, strlen(origin));
    return version;
}

/* ---- versions of a document that has, or names, more than one ---- */

static int add_version(struct apply *apply, const char *id, const struct version_row *row,
                       const struct osr_version *version, bool known, bool superseded,
                       struct osr_err *err)
{
    sqlite3_stmt *add = statement(apply, ADD_VERSION);
    bind_row(add, id, row);
    osr_sqlite_bind_text(add, 9, osr_slice_text(version->origin));
    osr_sqlite_bind_integer(add, 10, known);
    osr_sqlite_bind_integer(add, 11, superseded);
    return osr_sqlite_run(add, err);
}

struct found_version {
    bool found;
    bool superseded;
    bool known;
    Osr__Operation operation;
};

static int find_version(struct apply *apply, const char *id, const struct osr_version *version,
                        struct found_version *ret_found, struct osr_err *err)
{
    sqlite3_stmt *find = statement(apply, FIND_VERSION);
    bind_version(find, id, version);
    *ret_found = (struct found_version){0};
    int code = osr_sqlite_next(find, &ret_found->found, err);
    if (code == 0 && ret_found->found) {
        ret_found->superseded = osr_sqlite_integer(find, 0) != 0;
        ret_found->known = osr_sqlite_integer(find, 1) != 0;
        ret_found->operation = (Osr__Operation)osr_sqlite_integer(find, 2);
        sqlite3_reset(find);
    }
    return code;
}

/* A version has come. It may have been named before. That it comes twice takes a liar: then
 * a delete beats a put, and else the first stays, so that digests do not depend on the order. */
static int learn_version(struct apply *apply, const char *id, const struct version_row *row,
                         struct osr_err *err)
{
    struct osr_version version = version_of(apply, row);
    struct found_version found;
    int code = find_version(apply, id, &version, &found, err);
    if (code != 0) {
        return code;
    }
    if (!found.found) {
        return add_version(apply, id, row, &version, true, false, err);
    }
    if (found.known && found.operation >= row->operation) {
        return 0;
    }
    sqlite3_stmt *learn = statement(apply, LEARN_VERSION);
    bind_version(learn, id, &version);
    osr_sqlite_bind_integer(learn, 5, row->position.log_id);
    osr_sqlite_bind_integer(learn, 6, row->position.index);
    osr_sqlite_bind_integer(learn, 7, (uint64_t)row->operation);
    osr_sqlite_bind_integer(learn, 8, row->expires_ms);
    osr_sqlite_bind_text(learn, 9, osr_slice_text(row->collection));
    return osr_sqlite_run(learn, err);
}

static int supersede_version(struct apply *apply, const char *id, const struct osr_version *version,
                             struct osr_err *err)
{
    struct found_version found;
    int code = find_version(apply, id, version, &found, err);
    if (code != 0 || found.superseded) {
        return code;
    }
    if (!found.found) {
        struct version_row nowhere = {.time = version->time};
        return add_version(apply, id, &nowhere, version, false, true, err);
    }
    sqlite3_stmt *supersede = statement(apply, SUPERSEDE_VERSION);
    bind_version(supersede, id, version);
    return osr_sqlite_run(supersede, err);
}

/* The rule of model/version.h, by the order of the table's key: the greatest of those not
 * superseded; where all are, the greatest of all. */
static int find_winner(struct apply *apply, const char *id, struct version_row *ret_winner,
                       struct osr_err *err)
{
    sqlite3_stmt *best = statement(apply, BEST_VERSION);
    bool found = false;
    int code = 0;
    for (uint64_t superseded = 0; code == 0 && !found && superseded <= 1; superseded++) {
        osr_sqlite_bind_text(best, 1, osr_slice_text(id));
        osr_sqlite_bind_integer(best, 2, superseded);
        code = osr_sqlite_next(best, &found, err);
    }
    if (code == 0) {
        assert(found);
        *ret_winner = row_of_columns(best);
        sqlite3_reset(best);
    }
    return code;
}

/* ---- entries ---- */

static bool positions_equal(struct osr_store_position a, struct osr_store_position b)
{
    return a.log_id == b.log_id && a.index == b.index;
}

/* `old` is NULL where the document is new. */
static void note_winner(struct apply *apply, const struct version_row *old,
                        const struct version_row *winner, struct change *change)
{
    bool was_live = old != NULL && old->operation == OSR__OPERATION__PUT;
    bool is_live = winner->operation == OSR__OPERATION__PUT;
    apply->meta.live = apply->meta.live + is_live - was_live;
    if (was_live || is_live) {
        change->position = winner->position;
    }
    if (was_live) {
        change->old = old->position;
    }
}

static int find_document(struct apply *apply, const char *id, struct version_row *ret_row,
                         bool *ret_found, bool *ret_many, struct osr_err *err)
{
    sqlite3_stmt *find = statement(apply, FIND_DOCUMENT);
    osr_sqlite_bind_text(find, 1, osr_slice_text(id));
    int code = osr_sqlite_next(find, ret_found, err);
    if (code == 0 && *ret_found) {
        *ret_row = row_of_columns(find);
        *ret_many = osr_sqlite_integer(find, 7) != 0;
        sqlite3_reset(find);
    }
    return code;
}

/* Brings an entry together with all versions known, or named, so far. `only` is the one version
 * of a document that has no others, and NULL otherwise. */
static int merge_version(struct apply *apply, const Osr__Document *document,
                         const struct version_row *row, const struct version_row *only,
                         struct version_row *ret_winner, struct osr_err *err)
{
    int code = 0;
    if (only != NULL) {
        struct osr_version version = version_of(apply, only);
        code = add_version(apply, document->id, only, &version, true, false, err);
    }
    if (code == 0) {
        code = learn_version(apply, document->id, row, err);
    }
    for (size_t i = 0; code == 0 && i < document->n_supersedes; i++) {
        struct osr_version named = osr_version_from_message(document->supersedes[i]);
        code = supersede_version(apply, document->id, &named, err);
    }
    return code == 0 ? find_winner(apply, document->id, ret_winner, err) : code;
}

/* The usual update: the entry names the one version that there is, and nothing else. */
static bool replaces_only_version(struct apply *apply, const Osr__Document *document,
                                  const struct version_row *row, const struct version_row *only)
{
    if (document->n_supersedes != 1) {
        return false;
    }
    struct osr_version version = version_of(apply, row);
    struct osr_version old = version_of(apply, only);
    struct osr_version named = osr_version_from_message(document->supersedes[0]);
    return osr_version_compare(&named, &old) == 0 && osr_version_compare(&named, &version) != 0;
}

/* What merge_version comes to then, with half the statements. */
static int replace_version(struct apply *apply, const char *id, const struct version_row *row,
                           const struct version_row *only, struct osr_err *err)
{
    struct osr_version version = version_of(apply, row);
    struct osr_version old = version_of(apply, only);
    int code = add_version(apply, id, only, &old, true, true, err);
    return code == 0 ? add_version(apply, id, row, &version, true, false, err) : code;
}

/* The long way, for a document that is there, or for an entry that names versions. */
static int apply_version(struct apply *apply, const struct osr_store_item *item,
                         struct change *change, struct osr_err *err)
{
    const Osr__Document *document = item->entry->document;
    struct version_row row = row_of_item(item);
    struct version_row winner = row;
    struct version_row old;
    bool found;
    bool many = false;
    int code = find_document(apply, document->id, &old, &found, &many, err);
    if (code != 0) {
        return code;
    }
    const struct version_row *only = found && !many ? &old : NULL;
    if (only != NULL && replaces_only_version(apply, document, &row, only)) {
        code = replace_version(apply, document->id, &row, only, err);
    } else {
        code = merge_version(apply, document, &row, only, &winner, err);
    }
    bool is_same = found && positions_equal(old.position, winner.position);
    if (code != 0 || (is_same && many)) {
        return code;
    }
    if (!is_same) {
        note_winner(apply, found ? &old : NULL, &winner, change);
    }
    bind_row(statement(apply, WRITE_DOCUMENT), document->id, &winner);
    return osr_sqlite_run(statement(apply, WRITE_DOCUMENT), err);
}

/* Most entries bring a new document, for which one row is enough. */
static int apply_entry(struct apply *apply, const struct osr_store_item *item,
                       struct change *change, struct osr_err *err)
{
    if (item->entry->document->n_supersedes == 0) {
        struct version_row row = row_of_item(item);
        bind_row(statement(apply, ADD_DOCUMENT), item->entry->document->id, &row);
        int code = osr_sqlite_run(statement(apply, ADD_DOCUMENT), err);
        if (code != 0) {
            return code;
        }
        if (sqlite3_changes(apply->documents->db) > 0) {
            note_winner(apply, NULL, &row, change);
            return 0;
        }
    }
    return apply_version(apply, item, change, err);
}

static int learn_origin(struct apply *apply, const struct osr_store_item *item, struct osr_err *err)
{
    struct osr_store_origins *origins = &apply->documents->origins;
    const char *known = osr_store_origins_get(origins, item->log_id);
    if (known[0] != '\0' && strcmp(known, item->origin) != 0) {
        osr_err_set(err, OSR_CORRUPT, "documents.db: belongs to another log");
        osr_err_hint(err, "`osiris rebuild` makes it anew from the log");
        return OSR_CORRUPT;
    }
    if (known[0] != '\0') {
        return 0;
    }
    osr_store_origins_set(origins, item->log_id, item->origin);
    sqlite3_stmt *add = statement(apply, ADD_LOG);
    osr_sqlite_bind_integer(add, 1, item->log_id);
    osr_sqlite_bind_text(add, 2, osr_slice_text(item->origin));
    return osr_sqlite_run(add, err);
}

static int apply_fact(struct apply *apply, const struct osr_store_item *item, struct osr_err *err)
{
    sqlite3_stmt *write = statement(apply, item->value.size > 0 ? PUT_FACT : DROP_FACT);
    osr_sqlite_bind_blob(write, 1, item->key);
    if (item->value.size > 0) {
        osr_sqlite_bind_blob(write, 2, item->value);
    }
    return osr_sqlite_run(write, err);
}

/* ---- the transaction ---- */

/* An entry in the order in which entries are applied. */
struct sorted_entry {
    const char *id;
    size_t at; /* in the items */
};

static int compare_entries(const void *a, const void *b)
{
    const struct sorted_entry *left = a;
    const struct sorted_entry *right = b;
    int order = strcmp(left->id, right->id);
    if (order != 0) {
        return order;
    }
    return left->at < right->at ? -1 : left->at > right->at;
}

/* By id, so that neighbours in the table are written together; entries of one id in the
 * order of the log. */
static int apply_entries(struct apply *apply, struct osr_err *err)
{
    struct sorted_entry *entries = osr_alloc(apply->count * sizeof(*entries));
    size_t count = 0;
    int code = 0;
    for (size_t i = 0; code == 0 && i < apply->count; i++) {
        if (apply->items[i].origin != NULL) {
            entries[count++] = (struct sorted_entry){apply->items[i].entry->document->id, i};
            code = learn_origin(apply, &apply->items[i], err);
        }
    }
    qsort(entries, count, sizeof(*entries), compare_entries);
    for (size_t i = 0; code == 0 && i < count; i++) {
        size_t at = entries[i].at;
        code = apply_entry(apply, &apply->items[at], &apply->changes[at], err);
    }
    free(entries);
    return code;
}

static int apply_facts(struct apply *apply, struct osr_err *err)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i < apply->count; i++) {
        if (apply->items[i].origin == NULL) {
            code = apply_fact(apply, &apply->items[i], err);
        }
    }
    return code;
}

/* Those up to `indexed` are known to the index, which happens when this file was taken back
 * by a power cut. */
static int write_changes(struct apply *apply, uint64_t indexed, uint64_t *changes,
                         struct osr_err *err)
{
    sqlite3_stmt *add = statement(apply, ADD_CHANGE);
    int code = 0;
    for (size_t i = 0; code == 0 && i < apply->count; i++) {
        const struct change *change = &apply->changes[i];
        if (change->position.log_id == 0 || apply->items[i].ordinal <= indexed) {
            continue;
        }
        osr_sqlite_bind_integer(add, 1, apply->items[i].ordinal);
        osr_sqlite_bind_integer(add, 2, change->position.log_id);
        osr_sqlite_bind_integer(add, 3, change->position.index);
        osr_sqlite_bind_integer(add, 4, change->old.log_id);
        osr_sqlite_bind_integer(add, 5, change->old.index);
        code = osr_sqlite_run(add, err);
        *changes += 1;
    }
    return code;
}

static int trim_changes(struct apply *apply, uint64_t indexed, struct osr_err *err)
{
    uint64_t until = indexed < apply->meta.applied ? indexed : apply->meta.applied;
    if (until <= apply->meta.trimmed) {
        return 0;
    }
    apply->meta.trimmed = until;
    osr_sqlite_bind_integer(statement(apply, TRIM_CHANGES), 1, until);
    return osr_sqlite_run(statement(apply, TRIM_CHANGES), err);
}

static int write_meta(struct apply *apply, struct osr_err *err)
{
    sqlite3_stmt *write = statement(apply, WRITE_META);
    osr_sqlite_bind_integer(write, 1, apply->meta.applied);
    osr_sqlite_bind_integer(write, 2, apply->meta.live);
    osr_sqlite_bind_integer(write, 3, apply->meta.trimmed);
    return osr_sqlite_run(write, err);
}

static int apply_all(struct apply *apply, uint64_t indexed, uint64_t *changes, struct osr_err *err)
{
    int code = osr_sqlite_run(statement(apply, BEGIN), err);
    if (code == 0) {
        code = apply_entries(apply, err);
    }
    if (code == 0) {
        code = apply_facts(apply, err);
    }
    if (code == 0) {
        code = write_changes(apply, indexed, changes, err);
    }
    if (code == 0) {
        code = trim_changes(apply, indexed, err);
    }
    if (code == 0) {
        code = write_meta(apply, err);
    }
    if (code == 0) {
        code = osr_sqlite_run(statement(apply, COMMIT), err);
    }
    return code;
}

/* As it was before BEGIN; some failures have made SQLite roll back already. */
static void roll_back(struct osr_store_documents *documents)
{
    if (sqlite3_get_autocommit(documents->db) == 0) {
        osr_sqlite_run(documents->statements[ROLLBACK], NULL);
    }
    osr_store_origins_load(&documents->origins, documents->db, NULL);
}

int osr_store_documents_apply(struct osr_store_documents *documents,
                              const struct osr_store_item *items, size_t count, uint64_t indexed,
                              uint64_t *changes, struct osr_err *err)
{
    while (count > 0 && items[0].ordinal <= documents->meta.applied) {
        items++;
        count--;
    }
    if (count == 0) {
        return 0;
    }
    uint64_t added = 0;
    struct apply apply = {.documents = documents, .items = items, .count = count};
    apply.changes = osr_alloc(count * sizeof(*apply.changes));
    apply.meta = documents->meta;
    apply.meta.applied = items[count - 1].ordinal;
    int code = apply_all(&apply, indexed, &added, err);
    if (code == 0) {
        documents->meta = apply.meta;
        *changes += added;
    } else {
        roll_back(documents);
    }
    free(apply.changes);
    return code;
}

/* ---- opening ---- */

static int read_meta(struct osr_store_documents *documents, struct osr_err *err)
{
    sqlite3_stmt *read = documents->statements[READ_META];
    bool found = false;
    int code = osr_sqlite_next(read, &found, err);
    if (code == 0 && found) {
        documents->meta.applied = osr_sqlite_integer(read, 0);
        documents->meta.live = osr_sqlite_integer(read, 1);
        documents->meta.trimmed = osr_sqlite_integer(read, 2);
        sqlite3_reset(read);
    }
    return code;
}

int osr_store_documents_open(const char *folder, struct osr_store_documents **ret_documents,
                             struct osr_err *err)
{
    struct osr_store_documents *documents = osr_alloc(sizeof(*documents));
    int code =
        osr_sqlite_open(&osr_store_documents_schema, folder, OSR_SQLITE_WRITE, &documents->db, err);
    if (code == 0) {
        code = osr_sqlite_prepare(documents->db, sql, STATEMENT_COUNT, documents->statements, err);
    }
    if (code == 0) {
        code = read_meta(documents, err);
    }
    if (code == 0) {
        code = osr_store_origins_load(&documents->origins, documents->db, err);
    }
    if (code != 0) {
        osr_store_documents_close(documents);
        return code;
    }
    *ret_documents = documents;
    return 0;
}

void osr_store_documents_close(struct osr_store_documents *documents)
{
    if (documents == NULL) {
        return;
    }
    osr_sqlite_finalize(documents->statements, STATEMENT_COUNT);
    sqlite3_close(documents->db);
    osr_store_origins_done(&documents->origins);
    free(documents);
}

uint64_t osr_store_documents_applied(const struct osr_store_documents *documents)
{
    return documents->meta.applied;
}

uint64_t osr_store_documents_trimmed(const struct osr_store_documents *documents)
{
    return documents->meta.trimmed;
}

sqlite3 *osr_store_documents_db(struct osr_store_documents *documents)
{
    return documents->db;
}
