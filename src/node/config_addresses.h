/* config_addresses.h -- which listeners and peers a config may have, beyond what makes a URL. For
 * config.c. */
#ifndef OSR_NODE_CONFIG_ADDRESSES_H
#define OSR_NODE_CONFIG_ADDRESSES_H

#include "node/config.h"

/* CONFIG, with what to write instead. */
int osr_config_check_listener(const struct osr_config *config, const struct osr_url *url,
                              struct osr_err *err);
int osr_config_check_peer(const struct osr_url *url, struct osr_err *err);
/* The parameters that are for brokers, of a URL behind any `key`: what says nothing there is
 * refused, for who wrote it would rely on it. */
int osr_config_check_broker(const struct osr_config *config, const char *key,
                            const struct osr_url *url, struct osr_err *err);

#endif
