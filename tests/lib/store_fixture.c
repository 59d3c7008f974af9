#include "lib/store_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_CAP = 64 << 20 };

const char *const fixture_origins[FIXTURE_LOGS + 1] = {
    "",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb",
    "cccccccccccccccccccccccccccccccc",
};

static int read_body(void *context, uint32_t log_id, uint64_t index, struct osr_buffer *stored,
                     struct osr_err *err)
{
    struct store_fixture *fixture = context;
    for (size_t i = 0; i < fixture->record_count; i++) {
        const struct record *record = &fixture->records[i];
        if (record->log_id == log_id && record->index == index && record->stored.size > 0) {
            osr_buffer_add(stored, record->stored.data, record->stored.size);
            return 0;
        }
    }
    return (int)osr_err_set(err, OSR_NOT_FOUND, "log %u has no entry %llu", log_id,
                            (unsigned long long)index);
}

static struct record *add_record(struct store_fixture *fixture)
{
    if (fixture->record_count == fixture->record_capacity) {
        fixture->record_capacity = 2 * fixture->record_capacity + 16;
        fixture->records =
            osr_realloc(fixture->records, fixture->record_capacity * sizeof(struct record));
    }
    struct record *record = &fixture->records[fixture->record_count++];
    *record = (struct record){0};
    return record;
}

uint64_t fixture_log_entry(struct store_fixture *fixture, uint32_t log_id, struct osr_time time,
                           Osr__Operation operation, const Osr__Document *document)
{
    struct record *record = add_record(fixture);
    record->log_id = log_id;
    record->index = ++fixture->last_index[log_id];
    osr_entry_encode(&record->stored, time, operation, document);
    return record->index;
}

void fixture_log_fact(struct store_fixture *fixture, const char *key, const char *value)
{
    struct record *record = add_record(fixture);
    record->key = osr_strdup(key);
    record->value = osr_strdup(value);
}

/* Logs a document whose data is one string, in log 1 at a time of its own. */
void fixture_log_text(struct store_fixture *fixture, const char *id, const char *text)
{
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__Json data = OSR__JSON__INIT;
    char *json = osr_format("{\"text\":\"%s\"}", text);
    data.text = (ProtobufCBinaryData){strlen(json), (uint8_t *)json};
    document.id = (char *)(uintptr_t)id;
    document.data = &data;
    fixture_log_entry(fixture, 1, (struct osr_time){100 + fixture->record_count, 0},
                      OSR__OPERATION__PUT, &document);
    free(json);
}

static void fill_item(struct store_fixture *fixture, size_t at, struct osr_store_item *item)
{
    const struct record *record = &fixture->records[at];
    *item = (struct osr_store_item){
        .ordinal = at + 1, .log_id = record->log_id, .index = record->index};
    if (record->log_id == 0) {
        item->key = osr_slice_text(record->key);
        item->value = osr_slice_text(record->value);
        return;
    }
    Osr__Entry *entry = NULL;
    struct osr_err err;
    assert_int_equal(osr_entry_decode(osr_buffer_slice(&record->stored), record->index,
                                      fixture->arena, &entry, &err),
                     0);
    item->origin = fixture_origins[record->log_id];
    item->entry = entry;
}

/* Applies up to `count` records behind those applied, beginning `again` before them. */
int fixture_apply_some(struct store_fixture *fixture, size_t count, size_t again,
                       struct osr_err *err)
{
    size_t first = osr_store_applied(fixture->store);
    first -= again < first ? again : first;
    size_t end = first + count < fixture->record_count ? first + count : fixture->record_count;
    struct osr_store_item *items = osr_alloc((end - first + 1) * sizeof(*items));
    osr_arena_reset(fixture->arena);
    for (size_t i = first; i < end; i++) {
        fill_item(fixture, i, &items[i - first]);
    }
    int code = osr_store_apply(fixture->store, items, end - first, err);
    free(items);
    return code;
}

void fixture_apply_all(struct store_fixture *fixture)
{
    struct osr_err err;
    assert_int_equal(fixture_apply_some(fixture, fixture->record_count, 0, &err), 0);
    assert_int_equal(osr_store_applied(fixture->store), fixture->record_count);
}

void fixture_index_all(struct store_fixture *fixture)
{
    struct osr_err err;
    uint64_t left = 1;
    for (int round = 0; left > 0; round++) {
        assert_int_equal(osr_store_index(fixture->store, 64, &left, &err), 0);
        assert_true(round < 10000);
    }
}

int fixture_open_store(struct store_fixture *fixture, struct osr_err *err)
{
    return osr_store_open(fixture->folder, &fixture->bodies, &fixture->store, err);
}

void fixture_open(struct store_fixture *fixture)
{
    struct osr_err err = {0};
    if (fixture_open_store(fixture, &err) != 0 ||
        osr_store_reader_open(fixture->folder, &fixture->bodies, &fixture->reader, &err) != 0) {
        fail_msg("%s", err.message);
    }
}

void fixture_close(struct store_fixture *fixture)
{
    osr_store_reader_close(fixture->reader);
    fixture->reader = NULL;
    osr_store_close(fixture->store);
    fixture->store = NULL;
}

void fixture_path(char *path, size_t size, const struct store_fixture *fixture, const char *name)
{
    snprintf(path, size, "%s/%s", fixture->folder, name);
}

void fixture_remove_files(const struct store_fixture *fixture)
{
    DIR *folder = opendir(fixture->folder);
    for (struct dirent *file = readdir(folder); file != NULL; file = readdir(folder)) {
        char path[400];
        fixture_path(path, sizeof(path), fixture, file->d_name);
        unlink(path);
    }
    closedir(folder);
}

/* A fixture without a store. */
int fixture_set_up_log(void **state)
{
    struct store_fixture *fixture = osr_alloc(sizeof(*fixture));
    snprintf(fixture->folder, sizeof(fixture->folder), "/tmp/osiris-test-store-XXXXXX");
    assert_non_null(mkdtemp(fixture->folder));
    fixture->arena = osr_arena_create(1 << 20, ARENA_CAP);
    fixture->bodies = (struct osr_bodies){read_body, fixture};
    *state = fixture;
    return 0;
}

int fixture_set_up(void **state)
{
    fixture_set_up_log(state);
    fixture_open(*state);
    return 0;
}

int fixture_tear_down(void **state)
{
    struct store_fixture *fixture = *state;
    fixture_close(fixture);
    fixture_remove_files(fixture);
    rmdir(fixture->folder);
    for (size_t i = 0; i < fixture->record_count; i++) {
        osr_buffer_done(&fixture->records[i].stored);
        free(fixture->records[i].key);
        free(fixture->records[i].value);
    }
    free(fixture->records);
    osr_arena_destroy(fixture->arena);
    free(fixture);
    return 0;
}

enum osr_store_next collect_row(void *context, const struct osr_store_row *row)
{
    struct listed *listed = context;
    if (listed->count > 0) {
        osr_buffer_add_u8(&listed->ids, ' ');
    }
    osr_buffer_add(&listed->ids, row->id.data, row->id.size);
    listed->count++;
    return listed->count == listed->stop_after ? OSR_STORE_STOP : OSR_STORE_GO_ON;
}

enum osr_store_next collect_hit(void *context, const struct osr_store_row *row, double rank,
                                struct osr_slice snippet)
{
    struct listed *listed = context;
    assert_true(listed->count == 0 || rank <= listed->last_rank);
    listed->last_rank = rank;
    osr_buffer_add(&listed->snippets, snippet.data, snippet.size);
    osr_buffer_add_u8(&listed->snippets, '\n');
    return collect_row(context, row);
}

void assert_text(struct osr_buffer *actual, const char *expected)
{
    osr_buffer_add_u8(actual, 0);
    assert_string_equal((const char *)actual->data, expected);
    actual->size--;
}

void listed_done(struct listed *listed)
{
    osr_buffer_done(&listed->ids);
    osr_buffer_done(&listed->snippets);
}

void assert_list(struct store_fixture *fixture, const char *after_id, const char *collection,
                 uint64_t limit, const char *expected)
{
    struct listed listed = {0};
    struct osr_err err;
    assert_int_equal(osr_store_list(fixture->reader, osr_slice_text(after_id),
                                    osr_slice_text(collection), FIXTURE_NOW_MS, limit, collect_row,
                                    &listed, &err),
                     0);
    assert_text(&listed.ids, expected);
    listed_done(&listed);
}

void assert_search(struct store_fixture *fixture, const char *query, const char *expected)
{
    struct listed listed = {0};
    struct osr_err err = {0};
    int code = osr_store_search(fixture->reader, osr_slice_text(query), FIXTURE_NOW_MS, 1000,
                                collect_hit, &listed, &err);
    if (code != 0) {
        fail_msg("%s: %s", query, err.message);
    }
    assert_text(&listed.ids, expected);
    listed_done(&listed);
}

void assert_snippet(struct store_fixture *fixture, const char *query, const char *expected)
{
    struct listed listed = {0};
    struct osr_err err;
    assert_int_equal(osr_store_search(fixture->reader, osr_slice_text(query), FIXTURE_NOW_MS, 1,
                                      collect_hit, &listed, &err),
                     0);
    assert_text(&listed.snippets, expected);
    listed_done(&listed);
}

uint64_t fixture_count_visible(struct store_fixture *fixture)
{
    uint64_t count = 0;
    struct osr_err err;
    assert_int_equal(osr_store_count(fixture->reader, FIXTURE_NOW_MS, &count, &err), 0);
    return count;
}

/* A number that SQL gives, past the code under test. */
int fixture_ask_file(const struct store_fixture *fixture, const char *file, const char *sql)
{
    char path[128];
    fixture_path(path, sizeof(path), fixture, file);
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    int status = sqlite3_step(statement);
    int value = status == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -status;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

void fixture_copy_file(const struct store_fixture *fixture, const char *from, const char *to)
{
    char from_path[128];
    char to_path[128];
    fixture_path(from_path, sizeof(from_path), fixture, from);
    fixture_path(to_path, sizeof(to_path), fixture, to);
    int in = open(from_path, O_RDONLY);
    int out = open(to_path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(in >= 0 && out >= 0);
    uint8_t bytes[65536];
    ssize_t size;
    while ((size = read(in, bytes, sizeof(bytes))) > 0) {
        assert_int_equal(write(out, bytes, (size_t)size), size);
    }
    close(in);
    close(out);
}

/* As `osiris rebuild` does it, under the eyes of the reader. */
void fixture_rebuild(struct store_fixture *fixture)
{
    struct osr_err err;
    osr_store_close(fixture->store);
    fixture->store = NULL;
    assert_int_equal(osr_store_set_aside(fixture->folder, &err), 0);
    assert_int_equal(fixture_open_store(fixture, &err), 0);
    assert_int_equal(osr_store_applied(fixture->store), 0);
}

void fixture_log_put(struct store_fixture *fixture, uint32_t log_id, uint64_t time_ms,
                     const char *id, Osr__Version *supersedes)
{
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__Json data = OSR__JSON__INIT;
    data.text = (ProtobufCBinaryData){1, (uint8_t *)(uintptr_t) "1"};
    document.id = (char *)(uintptr_t)id;
    document.data = &data;
    document.n_supersedes = supersedes != NULL;
    document.supersedes = &supersedes;
    fixture_log_entry(fixture, log_id, (struct osr_time){time_ms, 0}, OSR__OPERATION__PUT,
                      &document);
}

long fixture_file_size(const struct store_fixture *fixture, const char *name)
{
    char path[128];
    struct stat info;
    fixture_path(path, sizeof(path), fixture, name);
    return stat(path, &info) == 0 ? (long)info.st_size : -1;
}
