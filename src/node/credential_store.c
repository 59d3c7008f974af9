#include "node/credential_store.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

struct item {
    struct osr_credential credential; /* its texts are those below */
    size_t size;                      /* of the texts */
    char texts[];
};

/* A fact on its way to the disk. */
struct change {
    struct osr_credential_store *store;
    struct change *next; /* under way, too */
    enum osr_credential_kind kind;
    enum osr_credential_timing timing;
    char *key;
    struct osr_buffer value; /* empty: the fact is taken away */
    bool adds;               /* there was none with its key */
    struct osr_credential_done done;
};

struct osr_credential_store {
    struct osr_credential_port port;
    void (*on_change)(void *context, const struct osr_credential *before,
                      const struct osr_credential *after);
    void *context;
    struct shelf {
        struct osr_map *items; /* by the fact's key */
        size_t adding;         /* changes under way that add one */
    } shelves[OSR_CREDENTIAL_KIND_COUNT];
    struct change *changes; /* under way, the newest first */
};

static const size_t item_max[] = {
    [OSR_CREDENTIAL_TOKEN] = OSR_TOKENS_MAX,
    [OSR_CREDENTIAL_USER] = OSR_USERS_MAX,
    [OSR_CREDENTIAL_INVITATION] = OSR_INVITATIONS_MAX,
    [OSR_CREDENTIAL_REVOCATION] = OSR_REVOCATIONS_MAX,
    [OSR_CREDENTIAL_MEMBER] = OSR_MEMBERS_MAX,
};
_Static_assert(sizeof(item_max) / sizeof(item_max[0]) == OSR_CREDENTIAL_KIND_COUNT,
               "a limit for each kind");

struct osr_credential_store *osr_credential_store_create(
    uint64_t hash_seed, const struct osr_credential_port *port,
    void (*on_change)(void *context, const struct osr_credential *before,
                      const struct osr_credential *after),
    void *context)
{
    struct osr_credential_store *store = osr_alloc(sizeof(*store));
    store->port = *port;
    store->on_change = on_change;
    store->context = context;
    for (size_t i = 0; i < OSR_CREDENTIAL_KIND_COUNT; i++) {
        store->shelves[i].items = osr_map_create(hash_seed);
    }
    return store;
}

static void free_item(struct item *item)
{
    if (item != NULL) {
        explicit_bzero(item->texts, item->size); /* hashes of passwords, too */
        free(item);
    }
}

void osr_credential_store_destroy(struct osr_credential_store *store)
{
    if (store == NULL) {
        return;
    }
    assert(store->changes == NULL);
    for (size_t i = 0; i < OSR_CREDENTIAL_KIND_COUNT; i++) {
        size_t cursor = 0;
        struct osr_slice key;
        void *item;
        while (osr_map_next(store->shelves[i].items, &cursor, &key, &item)) {
            free_item(item);
        }
        osr_map_destroy(store->shelves[i].items);
    }
    free(store);
}

/* ---- finding ---- */

static const struct osr_credential *find_key(const struct osr_credential_store *store,
                                             enum osr_credential_kind kind, const char *key)
{
    const struct item *item = osr_map_get(store->shelves[kind].items, osr_slice_text(key));
    return item != NULL ? &item->credential : NULL;
}

/* Frees the key. */
static const struct osr_credential *find_made_key(const struct osr_credential_store *store,
                                                  enum osr_credential_kind kind, char *key)
{
    const struct osr_credential *credential = find_key(store, kind, key);
    free(key);
    return credential;
}

const struct osr_credential *osr_credential_store_find(const struct osr_credential_store *store,
                                                       enum osr_credential_kind kind,
                                                       const char *name)
{
    return find_made_key(store, kind, osr_credential_named_key(kind, name));
}

const struct osr_credential *osr_credential_store_find_revocation(
    const struct osr_credential_store *store, const char *serial, const struct osr_hash *authority)
{
    return find_made_key(store, OSR_CREDENTIAL_REVOCATION, osr_revocation_key(serial, authority));
}

void osr_credential_store_walk(
    const struct osr_credential_store *store, enum osr_credential_kind kind,
    void (*visit)(void *context, const struct osr_credential *credential), void *context)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *item;
    while (osr_map_next(store->shelves[kind].items, &cursor, &key, &item)) {
        visit(context, &((const struct item *)item)->credential);
    }
}

static bool key_is_changing(const struct osr_credential_store *store, struct osr_slice key)
{
    const struct change *change = store->changes;
    while (change != NULL && !osr_slice_equal(osr_slice_text(change->key), key)) {
        change = change->next;
    }
    return change != NULL;
}

bool osr_credential_store_is_changing(const struct osr_credential_store *store,
                                      const struct osr_credential *credential)
{
    char *key = osr_credential_key(credential);
    bool is_changing = key_is_changing(store, osr_slice_text(key));
    free(key);
    return is_changing;
}

/* ---- facts ---- */

static int make_item(const char *key, struct osr_slice value, struct item **ret_item,
                     struct osr_err *err)
{
    struct item *item = osr_alloc(sizeof(*item) + value.size);
    item->size = value.size;
    int code = osr_credential_decode(key, value, item->texts, &item->credential, err);
    if (code != 0) {
        free_item(item);
        return code;
    }
    *ret_item = item;
    return 0;
}

/* Puts in force what a fact says, whether it is new or comes from the log. */
static int apply(struct osr_credential_store *store, const char *key, struct osr_slice value,
                 struct osr_err *err)
{
    enum osr_credential_kind kind;
    struct item *item = NULL;
    int code = osr_credential_kind_of_key(key, &kind, err);
    if (code == 0 && value.size > 0) {
        code = make_item(key, value, &item, err);
    }
    if (code != 0) {
        return code;
    }
    struct osr_map *items = store->shelves[kind].items;
    struct item *before = item != NULL ? osr_map_put(items, osr_slice_text(key), item)
                                       : osr_map_remove(items, osr_slice_text(key));
    store->on_change(store->context, before != NULL ? &before->credential : NULL,
                     item != NULL ? &item->credential : NULL);
    free_item(before);
    return 0;
}

int osr_credential_store_load(struct osr_credential_store *store, const char *key,
                              struct osr_slice value, struct osr_err *err)
{
    return apply(store, key, value, err);
}

/* ---- changes ---- */

static void apply_change(const struct change *change)
{
    int code = apply(change->store, change->key, osr_buffer_slice(&change->value), NULL);
    assert(code == 0); /* the fact is one of ours */
    (void)code;
}

static void unlink_change(struct change *change)
{
    struct change **link = &change->store->changes;
    while (*link != change) {
        link = &(*link)->next;
    }
    *link = change->next;
    change->store->shelves[change->kind].adding -= change->adds;
}

static void free_change(struct change *change)
{
    if (change->value.size > 0) {
        explicit_bzero(change->value.data, change->value.size);
    }
    osr_buffer_done(&change->value);
    free(change->key);
    free(change);
}

static void on_written(void *context, enum osr_code code)
{
    struct change *change = context;
    struct osr_credential_done done = change->done;
    unlink_change(change);
    if (code == OSR_OK || change->timing == OSR_AT_ONCE) {
        apply_change(change);
    }
    free_change(change);
    if (done.call != NULL) {
        done.call(done.context, code);
    }
}

static void submit(struct osr_credential_store *store, const struct osr_credential *credential,
                   struct osr_buffer value, enum osr_credential_timing timing,
                   struct osr_credential_done done)
{
    struct change *change = osr_alloc(sizeof(*change));
    change->store = store;
    change->kind = credential->kind;
    change->timing = timing;
    change->key = osr_credential_key(credential);
    change->value = value;
    change->done = done;
    if (timing == OSR_AT_ONCE) {
        apply_change(change); /* the credential may be gone with what it replaces */
    }
    change->adds = value.size > 0 && find_key(store, change->kind, change->key) == NULL;
    store->shelves[change->kind].adding += change->adds;
    change->next = store->changes;
    store->changes = change;
    store->port.write_fact(store->port.context, change->key, osr_buffer_slice(&change->value),
                           on_written, change);
}

void osr_credential_store_put(struct osr_credential_store *store,
                              const struct osr_credential *credential,
                              enum osr_credential_timing timing, struct osr_credential_done done)
{
    struct osr_buffer value = {0};
    osr_credential_encode(credential, &value);
    submit(store, credential, value, timing, done);
}

void osr_credential_store_remove(struct osr_credential_store *store,
                                 const struct osr_credential *credential,
                                 struct osr_credential_done done)
{
    submit(store, credential, (struct osr_buffer){0}, OSR_AT_ONCE, done);
}

/* ---- room ---- */

static uint64_t first_set(uint64_t a, uint64_t b)
{
    return a != 0 ? a : b;
}

/* Since when it is of no use; 0: it still is. */
static uint64_t ended_ms(const struct osr_credential *credential, uint64_t now_ms)
{
    uint64_t ended = 0;
    uint64_t expires = 0;
    switch (credential->kind) {
    case OSR_CREDENTIAL_TOKEN:
        ended = credential->token.revoked_ms;
        expires = credential->token.expires_ms;
        break;
    case OSR_CREDENTIAL_INVITATION:
        ended = first_set(credential->invitation.used_ms, credential->invitation.revoked_ms);
        expires = credential->invitation.expires_ms;
        break;
    case OSR_CREDENTIAL_REVOCATION:
        expires = credential->revocation.expires_ms;
        break;
    case OSR_CREDENTIAL_MEMBER:
        expires = credential->member.expires_ms;
        break;
    default:
        break; /* users stay */
    }
    return first_set(ended, expires <= now_ms ? expires : 0);
}

static const struct osr_credential *longest_ended(const struct osr_credential_store *store,
                                                  enum osr_credential_kind kind, uint64_t now_ms)
{
    const struct osr_credential *longest = NULL;
    uint64_t since = UINT64_MAX;
    size_t cursor = 0;
    struct osr_slice key;
    void *value;
    while (osr_map_next(store->shelves[kind].items, &cursor, &key, &value)) {
        const struct item *item = value;
        uint64_t ended = ended_ms(&item->credential, now_ms);
        if (ended != 0 && ended < since && !key_is_changing(store, key)) {
            longest = &item->credential;
            since = ended;
        }
    }
    return longest;
}

int osr_credential_store_make_room(struct osr_credential_store *store,
                                   enum osr_credential_kind kind, uint64_t now_ms,
                                   struct osr_err *err)
{
    const struct shelf *shelf = &store->shelves[kind];
    if (osr_map_count(shelf->items) + shelf->adding < item_max[kind]) {
        return 0;
    }
    const struct osr_credential *ended = longest_ended(store, kind, now_ms);
    if (ended == NULL) {
        return osr_err_set(err, OSR_TOO_LARGE, "there can be no more than %zu %ss", item_max[kind],
                           osr_credential_kind_name(kind));
    }
    osr_credential_store_remove(store, ended, (struct osr_credential_done){0});
    return 0;
}
