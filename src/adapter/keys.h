/* keys.h -- the instance's Ed25519 key, signatures and secret random numbers, by OpenSSL.
 *
 * The key is folder/identity.key: PEM (PKCS #8), mode 0600, made at first start, synced before
 * use, never overwritten. A file that is readable by others, foreign or damaged is refused
 * with the command that mends it. */
#ifndef OSR_ADAPTER_KEYS_H
#define OSR_ADAPTER_KEYS_H

#include "base/error.h"
#include "model/identity.h"

struct osr_keys;

int osr_keys_open(const char *folder, struct osr_keys **ret_keys, struct osr_err *err);
void osr_keys_close(struct osr_keys *keys); /* NULL is a no-op; wipes */
const struct osr_public_key *osr_keys_public(const struct osr_keys *keys);
/* From any thread. */
struct osr_signature osr_keys_sign(const struct osr_keys *keys, struct osr_slice message);
bool osr_keys_verify(const struct osr_public_key *key, struct osr_slice message,
                     const struct osr_signature *signature);
void osr_secret_random(void *data, size_t size); /* aborts where the system gives none */

#endif
