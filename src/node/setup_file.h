/* setup_file.h -- the first config file of an instance: DATA/osirisd.yaml. */
#ifndef OSR_NODE_SETUP_FILE_H
#define OSR_NODE_SETUP_FILE_H

#include "node/config.h"

struct osr_setup_file {
    const char *made_by; /* a command, for people */
    const char *name;
    const char *cluster;
    const char *const *listen;
    size_t listen_count;
    const char *const *peer;
    size_t peer_count;
    bool joins_ledger; /* it waits to be added, instead of founding one */
};

bool osr_setup_file_exists(const char *folder);
/* Written whole or not at all, readable by its owner alone. */
int osr_setup_file_write(const char *folder, const struct osr_setup_file *file,
                         struct osr_err *err);
/* Whether the folder's file says the same, as far as it speaks of name, cluster and listeners.
 * CONFIG names the key. *ret_missing becomes the index of the first peer that it does not name, or
 * peer_count. */
int osr_setup_file_agrees(const char *folder, const struct osr_setup_file *file,
                          size_t *ret_missing, struct osr_err *err);

#endif
