#include <stdlib.h>

#include "adapter/sqlite_store.h"

struct osr_store {
    struct osr_store_documents *documents;
    struct osr_store_index *index;
};

int osr_store_open(const char *folder, const struct osr_bodies *bodies,
                   struct osr_store **ret_store, struct osr_err *err)
{
    struct osr_store *store = osr_alloc(sizeof(*store));
    int code = osr_store_documents_open(folder, &store->documents, err);
    if (code == 0) {
        code = osr_store_index_open(folder, bodies, store->documents, &store->index, err);
    }
    if (code != 0) {
        osr_store_close(store);
        return code;
    }
    osr_sqlite_drop_set_aside(&osr_store_documents_schema, folder);
    osr_sqlite_drop_set_aside(&osr_store_search_schema, folder);
    *ret_store = store;
    return 0;
}

void osr_store_close(struct osr_store *store)
{
    if (store == NULL) {
        return;
    }
    osr_store_index_close(store->index);
    osr_store_documents_close(store->documents);
    free(store);
}

int osr_store_apply(struct osr_store *store, const struct osr_store_item *items, size_t count,
                    struct osr_err *err)
{
    uint64_t changes = 0;
    int code = osr_store_documents_apply(store->documents, items, count,
                                         osr_store_index_applied(store->index), &changes, err);
    osr_store_index_expect(store->index, changes);
    return code;
}

uint64_t osr_store_applied(const struct osr_store *store)
{
    return osr_store_documents_applied(store->documents);
}

int osr_store_index(struct osr_store *store, size_t count, uint64_t *ret_left, struct osr_err *err)
{
    return osr_store_index_advance(store->index, count, ret_left, err);
}

int osr_store_set_aside(const char *folder, struct osr_err *err)
{
    /* The index first: without it documents are whole, but not the other way round. */
    int code = osr_sqlite_set_aside(&osr_store_search_schema, folder, err);
    if (code == 0) {
        code = osr_sqlite_set_aside(&osr_store_documents_schema, folder, err);
    }
    return code;
}
