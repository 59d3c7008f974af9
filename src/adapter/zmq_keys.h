/* zmq_keys.h -- keys of ZeroMQ's CURVE, which are X25519's, and their form for people, Z85 (ZeroMQ
 * RFC 32): 40 characters. */
#ifndef OSR_ADAPTER_ZMQ_KEYS_H
#define OSR_ADAPTER_ZMQ_KEYS_H

#include "adapter/bus.h"

enum { OSR_CURVE_KEY_CHARS = 40 };

void osr_curve_pair_make(uint8_t secret_key[OSR_BUS_KEY_BYTES],
                         uint8_t public_key[OSR_BUS_KEY_BYTES]);
void osr_curve_public(const uint8_t secret_key[OSR_BUS_KEY_BYTES],
                      uint8_t ret_public[OSR_BUS_KEY_BYTES]);

void osr_curve_key_write(const uint8_t key[OSR_BUS_KEY_BYTES], char text[OSR_CURVE_KEY_CHARS + 1]);
/* Takes white space behind it, as a file's line has. Where false is returned, ret_key means
 * nothing. */
bool osr_curve_key_read(struct osr_slice text, uint8_t ret_key[OSR_BUS_KEY_BYTES]);

#endif
