/* map.h -- bytes to pointer, hashed with SipHash-1-3 under a key that peers do not know, so
 * that they cannot choose colliding keys. The map keeps copies of its keys; values stay
 * the caller's. */
#ifndef OSR_BASE_MAP_H
#define OSR_BASE_MAP_H

#include "base/bytes.h"

struct osr_map;

/* `seed` keys the hash: random in a process, fixed in a simulation. */
struct osr_map *osr_map_create(uint64_t seed);
void osr_map_destroy(struct osr_map *map); /* NULL is a no-op */
size_t osr_map_count(const struct osr_map *map);
void *osr_map_get(const struct osr_map *map, struct osr_slice key); /* NULL: not there */
/* Returns the value that stood there before, or NULL. `value` is not NULL. */
void *osr_map_put(struct osr_map *map, struct osr_slice key, void *value);
void *osr_map_remove(struct osr_map *map, struct osr_slice key);
/* Walks all in no particular order: start with *cursor = 0; false at the end. The map may
 * not be changed on the way, but the entry just returned may be removed. */
bool osr_map_next(const struct osr_map *map, size_t *cursor, struct osr_slice *ret_key,
                  void **ret_value);

/* The hash itself, for tables of another shape. */
uint64_t osr_siphash(const uint64_t key[2], struct osr_slice bytes);

#endif
