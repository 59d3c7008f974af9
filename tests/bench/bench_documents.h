/* bench_documents.h -- the documents that tools/bench protocols asks for, by number. */
#ifndef OSR_TESTS_BENCH_DOCUMENTS_H
#define OSR_TESTS_BENCH_DOCUMENTS_H

#include <stdio.h>

#define BENCH_HTTP_PATH "/v1/documents/"

enum { BENCH_DOCUMENTS = 10000, BENCH_ID_CHARS = 26 }; /* ids as long as those that Osiris makes */

static inline void bench_document_id(unsigned number, char id[BENCH_ID_CHARS + 1])
{
    snprintf(id, BENCH_ID_CHARS + 1, "%0*u", BENCH_ID_CHARS, number);
}

#endif
