/* store.h -- what a simulated instance shows: all versions of every document, by the rules of
 * model/version.h. Stands in for the projection. */
#ifndef OSR_TESTS_STORE_H
#define OSR_TESTS_STORE_H

#include "model/digest.h"
#include "sim/history.h"

enum { SIM_DOCUMENTS = 24 };

/* Ids d00, d01, ... */
void store_document_id(char *id, size_t size, size_t document);

struct store;

struct store *store_create(void);
void store_destroy(struct store *store);
/* The entry has its sequence; its chain value is that of the record. */
void store_apply(struct store *store, size_t feed, const char *origin_id, const Osr__Entry *entry,
                 const struct osr_hash *chain, const char *who);
uint64_t store_applied(const struct store *store, size_t feed);
/* The winning version; false where the document was never written. */
bool store_winner(const struct store *store, size_t document, struct osr_version *ret_version);
/* Fingerprints, kept up to date as entries are applied. */
uint64_t store_heads(const struct store *store);
uint64_t store_content(const struct store *store);
/* The real one (model/digest.h). `feeds` are all, by their numbers. */
struct osr_hash store_digest(const struct store *store, const struct osr_feed_id *feeds,
                             size_t count);

#endif
