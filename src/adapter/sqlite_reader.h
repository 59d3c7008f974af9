/* sqlite_reader.h -- one thread's way to read the projection: connections of its own to both
 * files, reopened when a rebuild has put new ones in their place. */
#ifndef OSR_ADAPTER_SQLITE_READER_H
#define OSR_ADAPTER_SQLITE_READER_H

#include <sys/types.h>

#include "adapter/sqlite_store.h"

/* Asked of documents.db; SQL in sqlite_query.c. */
enum osr_store_question {
    OSR_STORE_FIND_DOCUMENT,
    OSR_STORE_LIST_VERSIONS,
    OSR_STORE_FIND_VERSION,
    OSR_STORE_FIND_FACT,
    OSR_STORE_LIST_DOCUMENTS,
    OSR_STORE_COUNT_VISIBLE,
    OSR_STORE_QUESTION_COUNT
};

struct osr_store_finder; /* asks search.db; sqlite_search.c */

struct osr_store_reader {
    char *folder;
    struct osr_bodies bodies;
    sqlite3 *documents; /* NULL, like the finder, after reopening has failed */
    sqlite3_stmt *questions[OSR_STORE_QUESTION_COUNT];
    struct osr_store_origins origins;
    struct osr_store_finder *finder;
    dev_t device; /* of the documents.db that is open */
    ino_t inode;
};

/* To be called before each question. */
int osr_store_reader_refresh(struct osr_store_reader *reader, struct osr_err *err);

/* The row of one document. */
struct osr_store_document {
    struct osr_store_version winner;
    bool many;
};
int osr_store_reader_find(struct osr_store_reader *reader, struct osr_slice id,
                          struct osr_store_document *ret_document, bool *ret_found,
                          struct osr_err *err);

int osr_store_finder_open(const char *folder, struct osr_store_finder **ret_finder,
                          struct osr_err *err);
void osr_store_finder_close(struct osr_store_finder *finder); /* NULL is a no-op */

#endif
