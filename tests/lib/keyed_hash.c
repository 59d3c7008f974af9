#include "lib/keyed_hash.h"

struct osr_public_key keyed_hash_key(uint8_t number)
{
    struct osr_public_key key;
    memset(key.bytes, number, sizeof(key.bytes));
    return key;
}

struct osr_signature keyed_hash_sign(const struct osr_public_key *key, struct osr_slice message)
{
    struct osr_signature signature = {{0}};
    const struct osr_slice pieces[] = {osr_slice(key->bytes, sizeof(key->bytes)), message};
    struct osr_hash hash = osr_sha256(pieces, 2);
    memcpy(signature.bytes, hash.bytes, sizeof(hash.bytes));
    return signature;
}
