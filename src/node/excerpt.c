#include "node/excerpt.h"

#include <assert.h>
#include <stdlib.h>

#include "model/limits.h"

enum {
    ARENA_KEEP = 0,
    /* Of decoded entries: stops a group of very many small ones, which take far more room as
     * messages than in the log. */
    ARENA_CAP = 64 << 20,
};

struct osr_excerpt {
    struct osr_excerpt_options options;
    struct osr_arena *arena;
    struct osr_err err; /* of the first entry that could not be read */
    Osr__Entry **entries;
    size_t *bytes_to; /* stored bytes up to and with entry i */
    struct osr_hash *chains;
    size_t count;
    size_t capacity;
    /* The furthest head so far that may be the end. */
    size_t picked; /* entries up to it; 0: none yet */
    struct osr_signature signature;
    Osr__Update update;
};

struct osr_excerpt *osr_excerpt_create(const struct osr_excerpt_options *options)
{
    assert(options->first > 0 && options->first <= options->last);
    struct osr_excerpt *excerpt = osr_alloc(sizeof(*excerpt));
    excerpt->options = *options;
    excerpt->arena = osr_arena_create(ARENA_KEEP, ARENA_CAP);
    return excerpt;
}

void osr_excerpt_destroy(struct osr_excerpt *excerpt)
{
    if (excerpt != NULL) {
        osr_arena_destroy(excerpt->arena);
        free(excerpt->entries);
        free(excerpt->bytes_to);
        free(excerpt->chains);
        free(excerpt);
    }
}

static void grow(struct osr_excerpt *excerpt)
{
    size_t capacity = excerpt->capacity > 0 ? 2 * excerpt->capacity : 64;
    excerpt->entries = osr_realloc(excerpt->entries, capacity * sizeof(excerpt->entries[0]));
    excerpt->bytes_to = osr_realloc(excerpt->bytes_to, capacity * sizeof(excerpt->bytes_to[0]));
    excerpt->chains = osr_realloc(excerpt->chains, capacity * sizeof(excerpt->chains[0]));
    excerpt->capacity = capacity;
}

static size_t bytes_of(const struct osr_excerpt *excerpt, size_t count)
{
    return count > 0 ? excerpt->bytes_to[count - 1] : 0;
}

static bool fits(const struct osr_excerpt *excerpt, size_t count)
{
    return bytes_of(excerpt, count) <= excerpt->options.bytes_max && count <= OSR_BATCH_ENTRIES_MAX;
}

static bool wants_more(const struct osr_excerpt *excerpt)
{
    bool is_at_last = excerpt->options.first + excerpt->count > excerpt->options.last;
    return excerpt->err.code == OSR_OK && !is_at_last &&
           (excerpt->picked == 0 || fits(excerpt, excerpt->count));
}

static void pick(struct osr_excerpt *excerpt, size_t count, const struct osr_signature *signature)
{
    if (excerpt->picked == 0 || (count > excerpt->picked && fits(excerpt, count))) {
        excerpt->picked = count;
        excerpt->signature = *signature;
    }
}

static struct osr_slice keep_copy(struct osr_excerpt *excerpt, struct osr_slice stored)
{
    uint8_t *copy = osr_arena_take(excerpt->arena, stored.size);
    if (copy == NULL) {
        osr_err_set(&excerpt->err, OSR_TOO_LARGE, "entries without a head take too much memory");
        return osr_slice(NULL, 0);
    }
    memcpy(copy, stored.data, stored.size);
    return osr_slice(copy, stored.size);
}

bool osr_excerpt_add_entry(struct osr_excerpt *excerpt, struct osr_slice record, bool copy)
{
    if (!wants_more(excerpt)) {
        return false;
    }
    if (excerpt->count == excerpt->capacity) {
        grow(excerpt);
    }
    struct osr_slice stored = osr_record_stored(record);
    if (copy) {
        stored = keep_copy(excerpt, stored);
    }
    size_t i = excerpt->count;
    uint64_t sequence = excerpt->options.first + i;
    if (excerpt->err.code != OSR_OK || osr_entry_decode(stored, sequence, excerpt->arena,
                                                        &excerpt->entries[i], &excerpt->err) != 0) {
        return false;
    }
    excerpt->bytes_to[i] = bytes_of(excerpt, i) + stored.size;
    memcpy(excerpt->chains[i].bytes, record.data, OSR_SHA256_SIZE);
    excerpt->count++;
    if (sequence == excerpt->options.last) {
        pick(excerpt, excerpt->count, &excerpt->options.last_signature);
    }
    return wants_more(excerpt);
}

bool osr_excerpt_add_head(struct osr_excerpt *excerpt, uint64_t sequence,
                          const struct osr_signature *signature)
{
    uint64_t first = excerpt->options.first;
    if (sequence >= first && sequence < first + excerpt->count) {
        pick(excerpt, (size_t)(sequence - first + 1), signature);
    }
    return wants_more(excerpt);
}

void osr_excerpt_fail(struct osr_excerpt *excerpt, const struct osr_err *err)
{
    if (excerpt->err.code == OSR_OK) {
        excerpt->err = *err;
    }
}

static ProtobufCBinaryData binary(const void *data, size_t size)
{
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

Osr__Update *osr_excerpt_finish(struct osr_excerpt *excerpt, size_t *ret_bytes, struct osr_err *err)
{
    if (excerpt->picked == 0) {
        if (excerpt->err.code == OSR_OK) {
            osr_err_set(&excerpt->err, OSR_NOT_FOUND, "no head behind entry %llu",
                        (unsigned long long)excerpt->options.first);
        }
        *err = excerpt->err;
        return NULL;
    }
    const struct osr_excerpt_options *options = &excerpt->options;
    const struct osr_hash *chain = &excerpt->chains[excerpt->picked - 1];
    bool is_last = options->first + excerpt->picked - 1 == options->last;

    Osr__Update *update = &excerpt->update;
    osr__update__init(update);
    update->origin = (char *)(uintptr_t)options->feed->origin;
    update->stream = (char *)(uintptr_t)options->feed->stream;
    update->epoch = options->feed->epoch;
    update->first_sequence = options->first;
    update->n_entries = excerpt->picked;
    update->entries = excerpt->entries;
    update->chain = binary(is_last ? options->last_chain.bytes : chain->bytes, OSR_SHA256_SIZE);
    update->signature = binary(excerpt->signature.bytes, OSR_SIGNATURE_SIZE);
    update->public_key = binary(options->public_key->bytes, OSR_PUBLIC_KEY_SIZE);
    *ret_bytes = bytes_of(excerpt, excerpt->picked);
    return update;
}
