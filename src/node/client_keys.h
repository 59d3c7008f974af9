/* client_keys.h -- whom an instance lets in over ZeroMQ, and the key by which it is known there.
 *
 * DATA/trust/zmq/ holds, each a key in Z85 (40 characters) on one line:
 *     server.key              this instance's secret key, made when it is first needed; 0600
 *     clients/NAME.key        the public key of a client, who is then "client:NAME"
 *
 * Each file is written beside its place and renamed into it: what is read is a whole key, or an
 * error that names the file. No folder: no clients.
 *
 * Blocking: for start and reload, or a process of its own (`osirisd setup`). */
#ifndef OSR_NODE_CLIENT_KEYS_H
#define OSR_NODE_CLIENT_KEYS_H

#include "adapter/bus.h"

/* Makes the server's key where there is none. On failure *ret_keys is untouched; CONFIG: a file is
 * no key, or two clients have the same; PERMISSION_DENIED: a file is open to others. */
int osr_client_keys_read(const char *data_folder, struct osr_bus_keys **ret_keys,
                         struct osr_err *err);
void osr_client_keys_free(struct osr_bus_keys *keys); /* NULL is a no-op; wipes */

/* The server's public key, for its clients. */
int osr_client_keys_server(const char *data_folder, struct osr_buffer *text, struct osr_err *err);

/* `public_key` in Z85; empty: a pair is made, and the secret key is appended to `secret`, which
 * nobody keeps otherwise. ALREADY_EXISTS: the name, or another name has the key; INVALID_ARGUMENT:
 * one of the two is none; TOO_LARGE: OSR_BUS_CLIENTS_MAX are there. */
int osr_client_keys_add(const char *data_folder, const char *name, struct osr_slice public_key,
                        struct osr_buffer *secret, struct osr_err *err);
int osr_client_keys_remove(const char *data_folder, const char *name,
                           struct osr_err *err); /* NOT_FOUND */

#endif
