/* sqlite_query.c -- what a reader asks documents.db: versions, facts, lists, counts, the digest. */
#include "adapter/sqlite_reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Rows read at once: a walk holds no read transaction, which would keep the write-ahead log
 * of documents.db from being cut, longer than these take. */
enum { PAGE_ROWS = 1024 };

static const char *const sql[OSR_STORE_QUESTION_COUNT] = {
    [OSR_STORE_FIND_DOCUMENT] = "SELECT log_id, log_index, time_ms, time_logical, operation,"
                                " expires_ms, many FROM documents WHERE id = ?1",
    [OSR_STORE_LIST_VERSIONS] = "SELECT log_id, log_index, time_ms, time_logical, operation,"
                                " expires_ms, origin, known, superseded FROM versions"
                                " WHERE id = ?1 AND superseded = ?2 AND known = 1"
                                " ORDER BY time_ms DESC, time_logical DESC, origin DESC LIMIT ?3",
    [OSR_STORE_FIND_VERSION] = "SELECT log_id, log_index, time_ms, time_logical, operation,"
                               " expires_ms, origin, known, superseded FROM versions"
                               " WHERE id = ?1 AND superseded IN (0, 1) AND time_ms = ?2"
                               " AND time_logical = ?3 AND origin = ?4",
    [OSR_STORE_FIND_FACT] = "SELECT value FROM facts WHERE key = ?1",
    [OSR_STORE_LIST_DOCUMENTS] = "SELECT log_id, log_index, time_ms, time_logical, operation,"
                                 " expires_ms, id, collection FROM documents WHERE id > ?1"
                                 " ORDER BY id LIMIT ?2",
    [OSR_STORE_COUNT_VISIBLE] = "SELECT live - (SELECT count(*) FROM documents"
                                " WHERE operation = 1 AND expires_ms > 0 AND expires_ms <= ?1)"
                                " FROM meta",
};

/* ---- opening ---- */

static void close_files(struct osr_store_reader *reader)
{
    osr_store_finder_close(reader->finder);
    reader->finder = NULL;
    osr_sqlite_finalize(reader->questions, OSR_STORE_QUESTION_COUNT);
    sqlite3_close(reader->documents);
    reader->documents = NULL;
    osr_store_origins_done(&reader->origins);
}

static int stat_documents(const struct osr_store_reader *reader, struct stat *ret_info,
                          struct osr_err *err)
{
    char *path = osr_format("%s/%s", reader->folder, osr_store_documents_schema.file);
    int code = stat(path, ret_info) == 0 ? 0 : (int)osr_err_errno(err, OSR_IO, errno, "%s", path);
    free(path);
    return code;
}

static int open_files(struct osr_store_reader *reader, struct osr_err *err)
{
    struct stat info;
    int code = stat_documents(reader, &info, err);
    if (code == 0) {
        code = osr_sqlite_open(&osr_store_documents_schema, reader->folder, OSR_SQLITE_READ,
                               &reader->documents, err);
    }
    if (code == 0) {
        code = osr_sqlite_prepare(reader->documents, sql, OSR_STORE_QUESTION_COUNT,
                                  reader->questions, err);
    }
    if (code == 0) {
        code = osr_store_origins_load(&reader->origins, reader->documents, err);
    }
    if (code == 0) {
        code = osr_store_finder_open(reader->folder, &reader->finder, err);
    }
    if (code != 0) {
        close_files(reader);
        return code;
    }
    reader->device = info.st_dev;
    reader->inode = info.st_ino;
    return 0;
}

int osr_store_reader_refresh(struct osr_store_reader *reader, struct osr_err *err)
{
    struct stat info;
    bool is_open = reader->documents != NULL;
    if (is_open && stat_documents(reader, &info, NULL) != 0) {
        return 0; /* in the midst of a rebuild: what was open is whole, if old */
    }
    if (is_open && info.st_dev == reader->device && info.st_ino == reader->inode) {
        return 0;
    }
    close_files(reader);
    return open_files(reader, err);
}

int osr_store_reader_open(const char *folder, const struct osr_bodies *bodies,
                          struct osr_store_reader **ret_reader, struct osr_err *err)
{
    struct osr_store_reader *reader = osr_alloc(sizeof(*reader));
    reader->folder = osr_strdup(folder);
    reader->bodies = *bodies;
    int code = open_files(reader, err);
    if (code != 0) {
        osr_store_reader_close(reader);
        return code;
    }
    *ret_reader = reader;
    return 0;
}

void osr_store_reader_close(struct osr_store_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    close_files(reader);
    free(reader->folder);
    free(reader);
}

/* ---- one document ---- */

/* Of the first six columns that all questions about versions have in common. */
static struct osr_store_version version_of_columns(sqlite3_stmt *row)
{
    return (struct osr_store_version){
        .log_id = (uint32_t)osr_sqlite_integer(row, 0),
        .index = osr_sqlite_integer(row, 1),
        .state.version.time = {osr_sqlite_integer(row, 2), (uint32_t)osr_sqlite_integer(row, 3)},
        .operation = (Osr__Operation)osr_sqlite_integer(row, 4),
        .expires_ms = osr_sqlite_integer(row, 5),
    };
}

static void set_origin(struct osr_store_version *version, const char *origin)
{
    snprintf(version->state.version.origin, sizeof(version->state.version.origin), "%s", origin);
}

/* Completes what stands in a document's row: it wins, and its log tells the origin. */
static int complete_winner(struct osr_store_reader *reader, struct osr_store_version *winner,
                           struct osr_err *err)
{
    const char *origin = osr_store_origins_get(&reader->origins, winner->log_id);
    if (origin[0] == '\0') {
        int code = osr_store_origins_load(&reader->origins, reader->documents, err);
        if (code != 0) {
            return code;
        }
        origin = osr_store_origins_get(&reader->origins, winner->log_id);
    }
    set_origin(winner, origin);
    winner->state.known = true;
    return 0;
}

int osr_store_reader_find(struct osr_store_reader *reader, struct osr_slice id,
                          struct osr_store_document *ret_document, bool *ret_found,
                          struct osr_err *err)
{
    sqlite3_stmt *find = reader->questions[OSR_STORE_FIND_DOCUMENT];
    osr_sqlite_bind_text(find, 1, id);
    int code = osr_sqlite_next(find, ret_found, err);
    if (code == 0 && *ret_found) {
        ret_document->winner = version_of_columns(find);
        ret_document->many = osr_sqlite_integer(find, 6) != 0;
        code = complete_winner(reader, &ret_document->winner, err);
        sqlite3_reset(find);
    }
    return code;
}

struct version_list {
    struct osr_store_version *items;
    size_t count;
    size_t capacity;
};

static struct osr_store_version *add_version(struct version_list *list)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 4;
        list->items = osr_realloc(list->items, list->capacity * sizeof(list->items[0]));
    }
    return &list->items[list->count++];
}

/* Adds all rows of a question about versions, which is bound. */
static int add_rows(sqlite3_stmt *question, struct version_list *list, struct osr_err *err)
{
    bool row;
    int code = osr_sqlite_next(question, &row, err);
    while (code == 0 && row) {
        struct osr_store_version *version = add_version(list);
        *version = version_of_columns(question);
        set_origin(version, (const char *)sqlite3_column_text(question, 6));
        version->state.known = osr_sqlite_integer(question, 7) != 0;
        version->state.superseded = osr_sqlite_integer(question, 8) != 0;
        code = osr_sqlite_next(question, &row, err);
    }
    return code;
}

static int add_newest(struct osr_store_reader *reader, struct osr_slice id, bool superseded,
                      size_t max, struct version_list *list, struct osr_err *err)
{
    sqlite3_stmt *question = reader->questions[OSR_STORE_LIST_VERSIONS];
    osr_sqlite_bind_text(question, 1, id);
    osr_sqlite_bind_integer(question, 2, superseded);
    osr_sqlite_bind_integer(question, 3, max);
    return add_rows(question, list, err);
}

static int add_named(struct osr_store_reader *reader, struct osr_slice id,
                     const struct osr_version *version, struct version_list *list,
                     struct osr_err *err)
{
    sqlite3_stmt *question = reader->questions[OSR_STORE_FIND_VERSION];
    osr_sqlite_bind_text(question, 1, id);
    osr_sqlite_bind_integer(question, 2, version->time.ms);
    osr_sqlite_bind_integer(question, 3, version->time.logical);
    osr_sqlite_bind_text(question, 4, osr_slice_text(version->origin));
    return add_rows(question, list, err);
}

static int add_wanted(struct osr_store_reader *reader, struct osr_slice id,
                      const struct osr_store_wanted *wanted, struct version_list *list,
                      struct osr_err *err)
{
    int code = add_newest(reader, id, false, wanted->heads_max, list, err);
    if (code == 0) {
        code = add_newest(reader, id, true, wanted->superseded_max, list, err);
    }
    for (size_t i = 0; code == 0 && i < wanted->also_count; i++) {
        code = add_named(reader, id, &wanted->also[i], list, err);
    }
    return code;
}

/* Its row and its versions are read in one transaction, so that they belong together. */
int osr_store_versions(struct osr_store_reader *reader, struct osr_slice id,
                       const struct osr_store_wanted *wanted,
                       struct osr_store_version **ret_versions, size_t *ret_count,
                       struct osr_err *err)
{
    struct osr_store_document document;
    struct version_list list = {0};
    bool found = false;
    int code = osr_store_reader_refresh(reader, err);
    if (code != 0) {
        return code;
    }
    code = osr_sqlite_execute(reader->documents, "BEGIN", err);
    if (code == 0) {
        code = osr_store_reader_find(reader, id, &document, &found, err);
    }
    if (code == 0 && found && document.many) {
        code = add_wanted(reader, id, wanted, &list, err);
    } else if (code == 0 && found) {
        *add_version(&list) = document.winner;
    }
    sqlite3_exec(reader->documents, "COMMIT", NULL, NULL, NULL);
    if (code != 0) {
        free(list.items);
        return code;
    }
    *ret_versions = list.items;
    *ret_count = list.count;
    return 0;
}

int osr_store_fact(struct osr_store_reader *reader, struct osr_slice key, struct osr_buffer *value,
                   bool *ret_found, struct osr_err *err)
{
    int code = osr_store_reader_refresh(reader, err);
    if (code != 0) {
        return code;
    }
    sqlite3_stmt *find = reader->questions[OSR_STORE_FIND_FACT];
    osr_sqlite_bind_blob(find, 1, key);
    code = osr_sqlite_next(find, ret_found, err);
    if (code == 0 && *ret_found) {
        struct osr_slice found = osr_sqlite_bytes(find, 0);
        osr_buffer_add(value, found.data, found.size);
        sqlite3_reset(find);
    }
    return code;
}

int osr_store_count(struct osr_store_reader *reader, uint64_t now_ms, uint64_t *ret_count,
                    struct osr_err *err)
{
    int code = osr_store_reader_refresh(reader, err);
    if (code != 0) {
        return code;
    }
    sqlite3_stmt *count = reader->questions[OSR_STORE_COUNT_VISIBLE];
    bool row;
    osr_sqlite_bind_integer(count, 1, now_ms < INT64_MAX ? now_ms : INT64_MAX);
    code = osr_sqlite_next(count, &row, err);
    if (code == 0 && row) {
        *ret_count = osr_sqlite_integer(count, 0);
        sqlite3_reset(count);
    }
    return code;
}

/* ---- all documents, by id ---- */

struct page_row {
    struct osr_store_version winner;
    size_t id_at; /* in the page's texts */
    size_t id_size;
    size_t collection_size; /* it stands behind the id */
};

/* A copy of some rows, so that they can be visited after the statement is reset. */
struct page {
    struct page_row rows[PAGE_ROWS];
    size_t count;
    struct osr_buffer texts;
};

static struct osr_slice page_id(const struct page *page, const struct page_row *row)
{
    return osr_slice(page->texts.data + row->id_at, row->id_size);
}

static struct osr_slice page_collection(const struct page *page, const struct page_row *row)
{
    return osr_slice(page->texts.data + row->id_at + row->id_size, row->collection_size);
}

static int add_row(struct osr_store_reader *reader, struct page *page, sqlite3_stmt *from,
                   struct osr_err *err)
{
    struct osr_slice id = osr_sqlite_bytes(from, 6);
    struct osr_slice collection = osr_sqlite_bytes(from, 7);
    struct page_row *row = &page->rows[page->count++];
    *row = (struct page_row){
        .winner = version_of_columns(from),
        .id_at = page->texts.size,
        .id_size = id.size,
        .collection_size = collection.size,
    };
    osr_buffer_add(&page->texts, id.data, id.size);
    osr_buffer_add(&page->texts, collection.data, collection.size);
    return complete_winner(reader, &row->winner, err);
}

static int read_page(struct osr_store_reader *reader, struct osr_slice after_id, struct page *page,
                     struct osr_err *err)
{
    sqlite3_stmt *list = reader->questions[OSR_STORE_LIST_DOCUMENTS];
    osr_sqlite_bind_text(list, 1, after_id);
    osr_sqlite_bind_integer(list, 2, PAGE_ROWS);
    bool row;
    int code = osr_sqlite_next(list, &row, err);
    while (code == 0 && row) {
        code = add_row(reader, page, list, err);
        if (code == 0) {
            code = osr_sqlite_next(list, &row, err);
        }
    }
    sqlite3_reset(list);
    return code;
}

/* Non-zero from visit stops the walk. */
typedef int visit_document(void *context, struct osr_slice id, struct osr_slice collection,
                           const struct osr_store_version *winner);

static bool visit_page(const struct page *page, visit_document *visit, void *context)
{
    for (size_t i = 0; i < page->count; i++) {
        const struct page_row *row = &page->rows[i];
        if (visit(context, page_id(page, row), page_collection(page, row), &row->winner) != 0) {
            return false;
        }
    }
    return true;
}

static int walk_documents(struct osr_store_reader *reader, struct osr_slice after_id,
                          visit_document *visit, void *context, struct osr_err *err)
{
    int code = osr_store_reader_refresh(reader, err);
    if (code != 0) {
        return code;
    }
    struct page *page = osr_alloc(sizeof(*page));
    struct osr_buffer last_id = {0};
    osr_buffer_add(&last_id, after_id.data, after_id.size);
    bool goes_on = true;
    while (goes_on) {
        page->count = 0;
        page->texts.size = 0;
        code = read_page(reader, osr_buffer_slice(&last_id), page, err);
        goes_on = code == 0 && visit_page(page, visit, context) && page->count == PAGE_ROWS;
        if (goes_on) {
            struct osr_slice id = page_id(page, &page->rows[page->count - 1]);
            last_id.size = 0;
            osr_buffer_add(&last_id, id.data, id.size);
        }
    }
    osr_buffer_done(&last_id);
    osr_buffer_done(&page->texts);
    free(page);
    return code;
}

struct listing {
    struct osr_slice collection;
    uint64_t now_ms;
    uint64_t left; /* rows still wanted */
    osr_store_visit_row *visit;
    void *context;
};

static int list_document(void *context, struct osr_slice id, struct osr_slice collection,
                         const struct osr_store_version *winner)
{
    struct listing *listing = context;
    bool is_in = listing->collection.size == 0 || osr_slice_equal(collection, listing->collection);
    if (!is_in || !osr_store_version_is_visible(winner, listing->now_ms)) {
        return 0;
    }
    struct osr_store_row row = {id, winner->log_id, winner->index, winner->state.version,
                                collection};
    enum osr_store_next next = listing->visit(listing->context, &row);
    listing->left -= next != OSR_STORE_PASS_OVER;
    return next == OSR_STORE_STOP || listing->left == 0;
}

int osr_store_list(struct osr_store_reader *reader, struct osr_slice after_id,
                   struct osr_slice collection, uint64_t now_ms, uint64_t limit,
                   osr_store_visit_row *visit, void *context, struct osr_err *err)
{
    struct listing listing = {
        .collection = collection,
        .now_ms = now_ms,
        .left = limit > 0 ? limit : UINT64_MAX,
        .visit = visit,
        .context = context,
    };
    return walk_documents(reader, after_id, list_document, &listing, err);
}

static int digest_document(void *context, struct osr_slice id, struct osr_slice collection,
                           const struct osr_store_version *winner)
{
    (void)collection;
    osr_digest_add(context, id, &winner->state.version, winner->operation);
    return 0;
}

int osr_store_digest(struct osr_store_reader *reader, struct osr_digest *digest,
                     struct osr_err *err)
{
    return walk_documents(reader, osr_slice("", 0), digest_document, digest, err);
}
