/* yaml_native.h -- whether JSON text survives as native YAML. Private to the room. */
#ifndef OSR_WIRE_YAML_NATIVE_H
#define OSR_WIRE_YAML_NATIVE_H

#include "base/bytes.h"

/* True for JSON text in which every reader of YAML finds the same value and out of which our own
 * makes the same text, byte for byte: strings escaped as osr_json_quote does, numbers that are kept
 * (yaml_scalar.h), no member twice, no name that is too long. */
bool osr_yaml_is_native(struct osr_slice json);

#endif
