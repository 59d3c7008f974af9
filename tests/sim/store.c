#include "sim/store.h"

#include <stdio.h>
#include <stdlib.h>

struct versions {
    struct osr_version_state *states;
    Osr__Operation *operations; /* of the known ones */
    size_t count;
    uint64_t fingerprint; /* of the winner */
};

struct store {
    struct versions documents[SIM_DOCUMENTS];
    uint64_t applied[SIM_FEEDS_MAX];
    struct osr_hash chains[SIM_FEEDS_MAX];
    uint64_t content;
};

void store_document_id(char *id, size_t size, size_t document)
{
    snprintf(id, size, "d%02zu", document);
}

static size_t document_of(const char *id)
{
    size_t document = strtoul(id + 1, NULL, 10);
    if (document >= SIM_DOCUMENTS) {
        sim_violation("a document named %s appears", id);
    }
    return document;
}

struct store *store_create(void)
{
    return osr_alloc(sizeof(struct store));
}

void store_destroy(struct store *store)
{
    if (store == NULL) {
        return;
    }
    for (size_t i = 0; i < SIM_DOCUMENTS; i++) {
        free(store->documents[i].states);
        free(store->documents[i].operations);
    }
    free(store);
}

/* FNV-1a: good enough to tell contents apart, and cheap. */
static uint64_t fingerprint(uint64_t hash, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++) {
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    }
    return hash;
}

static size_t find_version(struct versions *versions, const struct osr_version *version)
{
    for (size_t i = 0; i < versions->count; i++) {
        if (osr_version_compare(&versions->states[i].version, version) == 0) {
            return i;
        }
    }
    size_t room = versions->count + 1;
    versions->states = osr_realloc(versions->states, room * sizeof(versions->states[0]));
    versions->operations =
        osr_realloc(versions->operations, room * sizeof(versions->operations[0]));
    versions->states[versions->count] = (struct osr_version_state){.version = *version};
    return versions->count++;
}

static uint64_t winner_fingerprint(const struct versions *versions, size_t document)
{
    int winner = osr_version_winner(versions->states, versions->count);
    if (winner < 0) {
        return 0;
    }
    const struct osr_version *version = &versions->states[winner].version;
    uint64_t hash = fingerprint(0xcbf29ce484222325u, &document, sizeof(document));
    hash = fingerprint(hash, &version->time.ms, sizeof(version->time.ms));
    hash = fingerprint(hash, &version->time.logical, sizeof(version->time.logical));
    hash = fingerprint(hash, version->origin, OSR_INSTANCE_CHARS);
    return fingerprint(hash, &versions->operations[winner], sizeof(versions->operations[0]));
}

static void apply_to_document(struct store *store, const char *origin_id, const Osr__Entry *entry,
                              const char *who)
{
    size_t document = document_of(entry->document->id);
    struct versions *versions = &store->documents[document];
    struct osr_version version = {.time = {entry->time_ms, entry->time_logical}};
    memcpy(version.origin, origin_id, OSR_INSTANCE_CHARS);
    size_t index = find_version(versions, &version);
    if (versions->states[index].known) {
        sim_violation("%s applies one version of %s twice", who, entry->document->id);
    }
    versions->states[index].known = true;
    versions->operations[index] = entry->operation;
    for (size_t i = 0; i < entry->document->n_supersedes; i++) {
        struct osr_version named = osr_version_from_message(entry->document->supersedes[i]);
        size_t named_index = find_version(versions, &named); /* may move the states */
        versions->states[named_index].superseded = true;
    }
    store->content ^= versions->fingerprint;
    versions->fingerprint = winner_fingerprint(versions, document);
    store->content ^= versions->fingerprint;
}

void store_apply(struct store *store, size_t feed, const char *origin_id, const Osr__Entry *entry,
                 const struct osr_hash *chain, const char *who)
{
    if (entry->sequence != store->applied[feed] + 1) {
        sim_violation("%s applies entry %llu of %s after %llu", who,
                      (unsigned long long)entry->sequence, sim_feed_name(feed),
                      (unsigned long long)store->applied[feed]);
    }
    apply_to_document(store, origin_id, entry, who);
    store->applied[feed] = entry->sequence;
    store->chains[feed] = *chain;
}

uint64_t store_applied(const struct store *store, size_t feed)
{
    return store->applied[feed];
}

bool store_winner(const struct store *store, size_t document, struct osr_version *ret_version)
{
    const struct versions *versions = &store->documents[document];
    int winner = osr_version_winner(versions->states, versions->count);
    if (winner >= 0) {
        *ret_version = versions->states[winner].version;
    }
    return winner >= 0;
}

uint64_t store_heads(const struct store *store)
{
    uint64_t hash = fingerprint(0xcbf29ce484222325u, store->applied, sizeof(store->applied));
    return fingerprint(hash, store->chains, sizeof(store->chains));
}

uint64_t store_content(const struct store *store)
{
    return store->content;
}

struct osr_hash store_digest(const struct store *store, const struct osr_feed_id *feeds,
                             size_t count)
{
    struct osr_digest_feed heads[SIM_FEEDS_MAX];
    for (size_t i = 0; i < count; i++) {
        heads[i] = (struct osr_digest_feed){feeds[i], store->applied[i], store->chains[i]};
    }
    struct osr_digest *digest = osr_digest_create(heads, count);
    for (size_t i = 0; i < SIM_DOCUMENTS; i++) {
        const struct versions *versions = &store->documents[i];
        int winner = osr_version_winner(versions->states, versions->count);
        if (winner >= 0) {
            char id[8];
            store_document_id(id, sizeof(id), i);
            osr_digest_add(digest, osr_slice_text(id), &versions->states[winner].version,
                           versions->operations[winner]);
        }
    }
    struct osr_hash hash = osr_digest_finish(digest);
    osr_digest_destroy(digest);
    return hash;
}
