/* identity_key.h -- the instance's identity key, which is made where there is none, but never in
 * the place of one that was lost: what the folder's log holds would be another instance's. */
#ifndef OSR_NODE_IDENTITY_KEY_H
#define OSR_NODE_IDENTITY_KEY_H

#include "adapter/keys.h"

/* Whether the folder has one. */
bool osr_identity_key_exists(const char *folder);
/* As osr_keys_open, of a folder that is locked where it has no key yet. CONFIG: the key is gone,
 * and the log has entries. Then none is made. */
int osr_identity_key_open(const char *folder, struct osr_keys **ret_keys, struct osr_err *err);

#endif
