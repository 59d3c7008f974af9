/* keyed_hash.h -- keys and signatures for tests of the feed core: a signature is a keyed hash that
 * anybody could make and nobody here wants to. Fast, and never wrong. */
#ifndef OSR_TESTS_KEYED_HASH_H
#define OSR_TESTS_KEYED_HASH_H

#include "model/identity.h"

/* The key that is made of this number alone. */
struct osr_public_key keyed_hash_key(uint8_t number);
struct osr_signature keyed_hash_sign(const struct osr_public_key *key, struct osr_slice message);

#endif
