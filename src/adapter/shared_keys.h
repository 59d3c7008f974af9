/* shared_keys.h -- keys that all instances of a cluster have, for TLS without certificates.
 *
 * As text: a line "NAME BASE64" each, the newest first: that is the one to dial with; all are taken
 * from others, so that a rotation needs no moment at which everybody changes. */
#ifndef OSR_ADAPTER_SHARED_KEYS_H
#define OSR_ADAPTER_SHARED_KEYS_H

#include "adapter/tls.h"

enum { OSR_SHARED_KEY_NAME_BYTES_MAX = 64 }; /* letters, digits and "-._" */

struct osr_shared_key {
    char name[OSR_SHARED_KEY_NAME_BYTES_MAX + 1];
    uint8_t secret[OSR_TLS_KEY_BYTES_MAX];
    size_t size; /* OSR_TLS_KEY_BYTES_MIN to _MAX */
};

/* A zeroed one is empty and valid. Names are unlike. */
struct osr_shared_keys {
    struct osr_shared_key keys[OSR_TLS_KEYS_MAX];
    size_t count;
};

/* CONFIG, naming the line, never the secret: on failure *ret_keys is untouched. */
int osr_shared_keys_read(struct osr_slice text, struct osr_shared_keys *ret_keys,
                         struct osr_err *err);
/* Appends; the buffer grows once, so that no copy of a secret is left behind. */
void osr_shared_keys_write(const struct osr_shared_keys *keys, struct osr_buffer *text);
void osr_shared_keys_wipe(struct osr_shared_keys *keys);

/* Puts a key first. An empty secret: one is made. ALREADY_EXISTS: the name; TOO_LARGE:
 * OSR_TLS_KEYS_MAX are there; INVALID_ARGUMENT: the name, or the secret's length. */
int osr_shared_keys_add(struct osr_shared_keys *keys, const char *name, struct osr_slice secret,
                        struct osr_err *err);
int osr_shared_keys_remove(struct osr_shared_keys *keys, const char *name,
                           struct osr_err *err); /* NOT_FOUND */

#endif
