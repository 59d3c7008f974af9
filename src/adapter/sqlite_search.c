/* sqlite_search.c -- what a reader asks search.db: the best documents for a query, each as far as
 * it still wins and may be seen, with a snippet. */
#include <stdlib.h>

#include "adapter/search_text.h"
#include "adapter/sqlite_reader.h"
#include "model/limits.h"

/* Looked at for one snippet: a document may have a word a million times. */
enum { PLACES_MAX = 64 };

/* Where a phrase of the query stands in a document, in tokens. */
struct place {
    int first;
    int count;
};

struct osr_store_finder {
    sqlite3 *db;
    sqlite3_stmt *find;
    fts5_tokenizer tokenizer;
    Fts5Tokenizer *unicode; /* the one that the index was made with */
    struct osr_arena *arena;
    struct osr_buffer stored;
    struct osr_buffer text;
    struct osr_buffer snippet;
};

/* ---- opening ---- */

/* SQL function places(search): where the current row matches, as an array of struct place. */
static void find_places(const Fts5ExtensionApi *api, Fts5Context *context, sqlite3_context *result,
                        int value_count, sqlite3_value **values)
{
    (void)value_count;
    (void)values;
    struct place places[PLACES_MAX];
    int count = 0;
    int status = api->xInstCount(context, &count);
    count = count < PLACES_MAX ? count : PLACES_MAX;
    for (int i = 0; status == SQLITE_OK && i < count; i++) {
        int phrase = 0;
        int column = 0;
        status = api->xInst(context, i, &phrase, &column, &places[i].first);
        places[i].count = api->xPhraseSize(context, phrase);
    }
    if (status != SQLITE_OK) {
        sqlite3_result_error_code(result, status);
        return;
    }
    sqlite3_result_blob(result, places, count * (int)sizeof(places[0]), SQLITE_TRANSIENT);
}

static fts5_api *find_fts5(sqlite3 *db)
{
    fts5_api *api = NULL;
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(db, "SELECT fts5(?1)", -1, &statement, NULL) == SQLITE_OK) {
        sqlite3_bind_pointer(statement, 1, &api, "fts5_api_ptr", NULL);
        sqlite3_step(statement);
    }
    sqlite3_finalize(statement);
    return api;
}

static int set_up_fts5(struct osr_store_finder *finder, struct osr_err *err)
{
    const char *arguments[] = {"remove_diacritics", "2"};
    void *unicode_context = NULL;
    fts5_api *api = find_fts5(finder->db);
    if (api == NULL || api->xCreateFunction(api, "places", NULL, find_places, NULL) != SQLITE_OK ||
        api->xFindTokenizer(api, "unicode61", &unicode_context, &finder->tokenizer) != SQLITE_OK ||
        finder->tokenizer.xCreate(unicode_context, arguments, 2, &finder->unicode) != SQLITE_OK) {
        return (int)osr_err_set(err, OSR_INTERNAL, "this SQLite has no FTS5");
    }
    return 0;
}

int osr_store_finder_open(const char *folder, struct osr_store_finder **ret_finder,
                          struct osr_err *err)
{
    static const char *const find_sql = "SELECT rowid, rank, places(search) FROM search"
                                        " WHERE search MATCH ?1 ORDER BY rank";
    struct osr_store_finder *finder = osr_alloc(sizeof(*finder));
    finder->arena = osr_arena_create(OSR_DATA_BYTES_MAX, OSR_DECODE_BYTES_MAX);
    int code = osr_sqlite_open(&osr_store_search_schema, folder, OSR_SQLITE_READ, &finder->db, err);
    if (code == 0) {
        code = set_up_fts5(finder, err);
    }
    if (code == 0) {
        code = osr_sqlite_prepare(finder->db, &find_sql, 1, &finder->find, err);
    }
    if (code != 0) {
        osr_store_finder_close(finder);
        return code;
    }
    *ret_finder = finder;
    return 0;
}

void osr_store_finder_close(struct osr_store_finder *finder)
{
    if (finder == NULL) {
        return;
    }
    osr_sqlite_finalize(&finder->find, 1);
    if (finder->unicode != NULL) {
        finder->tokenizer.xDelete(finder->unicode);
    }
    sqlite3_close(finder->db);
    osr_arena_destroy(finder->arena);
    osr_buffer_done(&finder->stored);
    osr_buffer_done(&finder->text);
    osr_buffer_done(&finder->snippet);
    free(finder);
}

/* ---- snippets ---- */

/* Places in tokens become matches in bytes while the text is cut into tokens. */
struct matching {
    const struct place *places; /* sorted by their first token */
    size_t count;
    size_t begun;  /* places whose first token has come */
    size_t closed; /* places before this have ended */
    int token;     /* the next one's number */
    struct osr_search_match matches[PLACES_MAX];
};

static int match_token(void *context, int flags, const char *token, int token_size, int begin,
                       int end)
{
    (void)flags;
    (void)token;
    (void)token_size;
    struct matching *matching = context;
    int now = matching->token++;
    while (matching->begun < matching->count && matching->places[matching->begun].first <= now) {
        matching->matches[matching->begun++].begin = (size_t)begin;
    }
    for (size_t i = matching->closed; i < matching->begun; i++) {
        if (now < matching->places[i].first + matching->places[i].count) {
            matching->matches[i].end = (size_t)end;
        } else if (i == matching->closed) {
            matching->closed++;
        }
    }
    return matching->closed == matching->count ? SQLITE_DONE : SQLITE_OK;
}

/* Of the entry in finder->text; into finder->snippet. */
static void make_snippet(struct osr_store_finder *finder, const struct place *places, size_t count)
{
    struct osr_slice text = osr_buffer_slice(&finder->text);
    struct matching matching = {.places = places, .count = count};
    if (count > 0) {
        finder->tokenizer.xTokenize(finder->unicode, &matching, FTS5_TOKENIZE_AUX,
                                    (const char *)text.data, (int)text.size, match_token);
    }
    finder->snippet.size = 0;
    osr_search_snippet(&finder->snippet, text, matching.matches, matching.begun);
}

/* ---- the query ---- */

/* Each word as FTS5's string, so that nothing in it means anything: all must occur. */
static void add_plain_words(struct osr_buffer *query, struct osr_slice words)
{
    bool in_word = false;
    for (size_t i = 0; i < words.size; i++) {
        uint8_t byte = words.data[i];
        bool is_space = byte <= ' ';
        if (is_space == in_word) {
            osr_buffer_add_text(query, in_word ? "\" " : "\"");
            in_word = !in_word;
        }
        if (!is_space) {
            osr_buffer_add_u8(query, byte);
        }
        if (byte == '"') {
            osr_buffer_add_u8(query, byte);
        }
    }
    if (in_word) {
        osr_buffer_add_u8(query, '"');
    }
}

struct search {
    struct osr_store_reader *reader;
    struct osr_store_finder *finder;
    uint64_t now_ms;
    uint32_t left; /* hits still wanted */
    osr_store_visit_hit *visit;
    void *context;
};

/* The entry that the index has found, if it still wins and may be seen. */
static int find_visible(struct search *search, struct osr_store_position position,
                        const Osr__Entry **ret_entry, struct osr_store_document *ret_document,
                        struct osr_err *err)
{
    struct osr_store_finder *finder = search->finder;
    *ret_entry = NULL;
    finder->stored.size = 0;
    osr_arena_reset(finder->arena);
    int code = search->reader->bodies.read(search->reader->bodies.context, position.log_id,
                                           position.index, &finder->stored, err);
    if (code == OSR_NOT_FOUND) {
        return 0; /* compacted away: the document has other versions now */
    }
    Osr__Entry *entry;
    bool found = false;
    if (code == 0) {
        code = osr_entry_decode(osr_buffer_slice(&finder->stored), position.index, finder->arena,
                                &entry, err);
    }
    if (code == 0) {
        code = osr_store_reader_find(search->reader, osr_slice_text(entry->document->id),
                                     ret_document, &found, err);
    }
    const struct osr_store_version *winner = &ret_document->winner;
    if (code == 0 && found && winner->log_id == position.log_id &&
        winner->index == position.index && osr_store_version_is_visible(winner, search->now_ms)) {
        *ret_entry = entry;
    }
    return code;
}

static int visit_hit(struct search *search, sqlite3_stmt *hit, bool *ret_stop, struct osr_err *err)
{
    struct osr_store_finder *finder = search->finder;
    struct osr_store_position position = osr_store_text_position(sqlite3_column_int64(hit, 0));
    const Osr__Entry *entry;
    struct osr_store_document document;
    int code = find_visible(search, position, &entry, &document, err);
    if (code != 0 || entry == NULL) {
        return code;
    }
    struct osr_slice blob = osr_sqlite_bytes(hit, 2);
    struct place places[PLACES_MAX];
    assert(blob.size <= sizeof(places));
    memcpy(places, blob.data, blob.size);
    finder->text.size = 0;
    osr_search_text(&finder->text, entry->document);
    make_snippet(finder, places, blob.size / sizeof(places[0]));

    struct osr_store_row row = {osr_slice_text(entry->document->id), position.log_id,
                                position.index, document.winner.state.version,
                                osr_slice_text(entry->document->collection)};
    /* FTS5's rank is the lower the better. */
    enum osr_store_next next = search->visit(search->context, &row, -sqlite3_column_double(hit, 1),
                                             osr_buffer_slice(&finder->snippet));
    search->left -= next != OSR_STORE_PASS_OVER;
    *ret_stop = next == OSR_STORE_STOP || search->left == 0;
    return 0;
}

/* *ret_readable says whether FTS5 could make sense of the query. */
static int run_query(struct search *search, struct osr_slice query, bool *ret_readable,
                     struct osr_err *err)
{
    sqlite3_stmt *find = search->finder->find;
    osr_sqlite_bind_text(find, 1, query);
    bool stop = false;
    bool row;
    int code = osr_sqlite_next(find, &row, err);
    *ret_readable = code == 0 || sqlite3_errcode(search->finder->db) != SQLITE_ERROR;
    while (code == 0 && row && !stop) {
        code = visit_hit(search, find, &stop, err);
        if (code == 0 && !stop) {
            code = osr_sqlite_next(find, &row, err);
        }
    }
    sqlite3_reset(find);
    return code;
}

int osr_store_search(struct osr_store_reader *reader, struct osr_slice query, uint64_t now_ms,
                     uint32_t limit, osr_store_visit_hit *visit, void *context, struct osr_err *err)
{
    int code = osr_store_reader_refresh(reader, err);
    if (code != 0 || limit == 0) {
        return code;
    }
    struct search search = {reader, reader->finder, now_ms, limit, visit, context};
    /* What begins with an asterisk is a question about FTS5 itself. */
    bool readable = query.size == 0 || query.data[0] != '*';
    if (readable) {
        code = run_query(&search, query, &readable, err);
    }
    if (!readable) {
        struct osr_buffer words = {0};
        add_plain_words(&words, query);
        code = words.size > 0 ? run_query(&search, osr_buffer_slice(&words), &readable, err) : 0;
        osr_buffer_done(&words);
    }
    return code;
}
