/* sqlite_schema.c -- what stands in the projection's two files. A step, once released, is
 * never changed: a new one is added behind it. */
#include "adapter/sqlite_store.h"

/* A document's row is that of its winner, and is all there is while the document has one
 * version and names none. Else `many` is set, and `versions` has every version known or
 * named, the winner's too; its key puts those not superseded first, by their rank.
 * `changes` is what the full-text index has yet to learn, by the ordinal of the record
 * that made a winner: where that is, and where the one before was (log 0: none). */
static const char *const documents_steps[] = {
    "CREATE TABLE meta ("
    "  applied INTEGER NOT NULL,"  /* ordinal of the last record in here */
    "  live INTEGER NOT NULL,"     /* documents whose winner is no delete, expired ones too */
    "  trimmed INTEGER NOT NULL);" /* ordinal up to which changes are removed */
    "INSERT INTO meta VALUES (0, 0, 0);"
    "CREATE TABLE logs (log_id INTEGER PRIMARY KEY, origin TEXT NOT NULL);"
    "CREATE TABLE documents ("
    "  id TEXT PRIMARY KEY,"
    "  log_id INTEGER NOT NULL, log_index INTEGER NOT NULL,"
    "  time_ms INTEGER NOT NULL, time_logical INTEGER NOT NULL,"
    "  operation INTEGER NOT NULL, expires_ms INTEGER NOT NULL,"
    "  collection TEXT NOT NULL, many INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX documents_expiring ON documents (expires_ms)"
    "  WHERE expires_ms > 0 AND operation = 1;"
    "CREATE TABLE versions ("
    "  id TEXT NOT NULL, superseded INTEGER NOT NULL,"
    "  time_ms INTEGER NOT NULL, time_logical INTEGER NOT NULL, origin TEXT NOT NULL,"
    "  known INTEGER NOT NULL,"
    "  log_id INTEGER NOT NULL, log_index INTEGER NOT NULL,"
    "  operation INTEGER NOT NULL, expires_ms INTEGER NOT NULL, collection TEXT NOT NULL,"
    "  PRIMARY KEY (id, superseded, time_ms, time_logical, origin)) WITHOUT ROWID;"
    "CREATE TABLE changes ("
    "  ordinal INTEGER PRIMARY KEY,"
    "  log_id INTEGER NOT NULL, log_index INTEGER NOT NULL,"
    "  old_log_id INTEGER NOT NULL, old_log_index INTEGER NOT NULL);"
    "CREATE TABLE facts (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
};

/* Words are gathered in memory before FTS5 writes them as a segment: with 4 MiB instead of 1 it
 * takes a third less time, because there are fewer segments to merge. */
#define GATHER_MORE "INSERT INTO search (search, rank) VALUES ('hashsize', 4194304);"

/* The index keeps no text (that is in the log), and its row ids are positions in the log
 * (osr_store_text_row), so that neither is stored twice. While `walking`, documents up to
 * `walked` (an id) are in it, the others will be. */
static const char *const search_steps[] = {
    "CREATE VIRTUAL TABLE search USING fts5 ("
    "  text, content='', tokenize='unicode61 remove_diacritics 2');" GATHER_MORE
    "CREATE TABLE meta ("
    "  applied INTEGER NOT NULL," /* ordinal of the last record that the index knows of */
    "  walking INTEGER NOT NULL, walked TEXT NOT NULL);"
    "INSERT INTO meta VALUES (0, 0, '')",
};

const struct osr_sqlite_schema osr_store_documents_schema = {
    .file = "documents.db",
    .application_id = 0x4f736944, /* "OsiD" */
    .steps = documents_steps,
    .version = sizeof(documents_steps) / sizeof(documents_steps[0]),
    .cache_kib = 32 << 10, /* keeps random ids from costing a read each */
};

const struct osr_sqlite_schema osr_store_search_schema = {
    .file = "search.db",
    .application_id = 0x4f736953, /* "OsiS" */
    .steps = search_steps,
    .version = sizeof(search_steps) / sizeof(search_steps[0]),
    .cache_kib = 8 << 10, /* segments are written once, and merged in order */
};
