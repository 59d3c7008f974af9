#include "node/facts.h"

#include <assert.h>
#include <stdlib.h>

#include "base/map.h"

struct fact {
    char *key;
    size_t size;
    uint8_t value[];
};

struct osr_facts {
    struct osr_map *by_key;
};

struct osr_facts *osr_facts_create(uint64_t seed)
{
    struct osr_facts *facts = osr_alloc(sizeof(*facts));
    facts->by_key = osr_map_create(seed);
    return facts;
}

static void free_fact(struct fact *fact)
{
    if (fact != NULL) {
        free(fact->key);
        free(fact);
    }
}

void osr_facts_destroy(struct osr_facts *facts)
{
    if (facts == NULL) {
        return;
    }
    size_t cursor = 0;
    struct osr_slice key;
    void *fact;
    while (osr_map_next(facts->by_key, &cursor, &key, &fact)) {
        free_fact(fact);
    }
    osr_map_destroy(facts->by_key);
    free(facts);
}

static bool begins_with(struct osr_slice key, const char *prefix)
{
    size_t size = strlen(prefix);
    return key.size >= size && memcmp(key.data, prefix, size) == 0;
}

static struct fact *make_fact(struct osr_slice key, struct osr_slice value)
{
    struct fact *fact = osr_alloc(sizeof(*fact) + value.size);
    fact->key = osr_alloc(key.size + 1);
    memcpy(fact->key, key.data, key.size);
    fact->size = value.size;
    memcpy(fact->value, value.data, value.size);
    return fact;
}

void osr_facts_put(struct osr_facts *facts, struct osr_slice key, struct osr_slice value)
{
    if (begins_with(key, OSR_FACT_SEEN_PREFIX)) {
        return;
    }
    free_fact(value.size > 0 ? osr_map_put(facts->by_key, key, make_fact(key, value))
                             : osr_map_remove(facts->by_key, key));
}

void osr_facts_walk(const struct osr_facts *facts, const char *prefix,
                    void (*visit)(void *context, const char *key, struct osr_slice value),
                    void *context)
{
    size_t cursor = 0;
    struct osr_slice key;
    void *value;
    while (osr_map_next(facts->by_key, &cursor, &key, &value)) {
        const struct fact *fact = value;
        if (begins_with(key, prefix)) {
            visit(context, fact->key, osr_slice(fact->value, fact->size));
        }
    }
}

void osr_fact_encode(struct osr_buffer *buffer, struct osr_slice key, struct osr_slice value)
{
    assert(key.size > 0 && key.size <= OSR_FACT_KEY_BYTES_MAX);
    assert(value.size <= OSR_FACT_VALUE_BYTES_MAX);
    osr_buffer_add_u32(buffer, (uint32_t)key.size);
    osr_buffer_add(buffer, key.data, key.size);
    osr_buffer_add(buffer, value.data, value.size);
}

int osr_fact_decode(const struct osr_wal_record *record, struct osr_slice *ret_key,
                    struct osr_slice *ret_value, struct osr_err *err)
{
    struct osr_slice payload = record->payload;
    if (record->format != OSR_FACT_FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "FACT record of format %u",
                           record->format);
    }
    size_t key_size = payload.size >= 4 ? osr_get_u32(payload.data) : 0;
    if (key_size == 0 || key_size > payload.size - 4) {
        return osr_err_set(err, OSR_CORRUPT, "FACT record %llu: not as it was written",
                           (unsigned long long)record->ordinal);
    }
    *ret_key = osr_slice(payload.data + 4, key_size);
    *ret_value = osr_slice(payload.data + 4 + key_size, payload.size - 4 - key_size);
    return 0;
}

struct osr_slice osr_fact_key(const struct osr_wal_record *record)
{
    struct osr_slice key = {0};
    struct osr_slice value;
    if (osr_fact_decode(record, &key, &value, NULL) != 0 ||
        begins_with(key, OSR_FACT_SEEN_PREFIX)) {
        return osr_slice(NULL, 0);
    }
    return key;
}
