/* yaml.h -- YAML as another way to write JSON text: what stands between the messages' JSON
 * (json_encode.c, json_decode.c), whose rules for fields hold here too, and the bytes on the wire.
 * Private to the room; proto/protocol.md, "YAML", has the rules. */
#ifndef OSR_WIRE_YAML_H
#define OSR_WIRE_YAML_H

#include "base/error.h"
#include "wire/encoding.h"

/* JSON text in which every reader of YAML finds the same value and out of which our own reader
 * makes the same text, byte for byte: strings escaped as osr_json_quote does, numbers that are kept
 * (yaml_scalar.h), no member twice, no name that is too long. */
bool osr_yaml_is_native(struct osr_slice json);

/* Appends one document, its markers left out, as block style with a newline behind it. `json` is
 * what osr_json_encode gives for a message with that descriptor; NULL: any JSON. */
void osr_yaml_write(struct osr_buffer *buffer, const ProtobufCMessageDescriptor *descriptor,
                    struct osr_slice json);

/* Reads one document and appends it as JSON text, compact, no longer than json_max. MALFORMED or
 * TOO_LARGE name line and column; what has been appended by then stays. */
int osr_yaml_read(struct osr_buffer *json, struct osr_slice text, size_t json_max,
                  struct osr_err *err);

#endif
