/* codec.h -- messages <-> bytes, in each encoding, by walking protobuf-c's descriptors.
 *
 * Decoding is bounded: depth, memory (the arena's cap), UTF-8, NUL, doubled singular
 * submessages are checked before anything is allocated. Unknown fields are ignored, but
 * refused inside osiris.v1.Entry, whose hash they would escape. Decoded messages live in
 * the arena. */
#ifndef OSR_WIRE_CODEC_H
#define OSR_WIRE_CODEC_H

#include "base/bytes.h"
#include "base/error.h"
#include "model/message.h"

enum osr_codec { OSR_CODEC_JSON, OSR_CODEC_PROTOBUF, OSR_CODEC_YAML };
enum { OSR_CODEC_COUNT = OSR_CODEC_YAML + 1 };

/* "json", "protobuf", "yaml": as ?codec= in a URL names them. False for other names. */
bool osr_codec_parse(const char *name, enum osr_codec *ret_codec);

/* Any message of the contract. JSON without a newline and without white space between tokens; YAML
 * as one document without its markers, a newline behind it. */
void osr_message_encode(enum osr_codec codec, const ProtobufCMessage *message,
                        struct osr_buffer *buffer);
int osr_message_decode(enum osr_codec codec, const ProtobufCMessageDescriptor *descriptor,
                       struct osr_slice bytes, struct osr_arena *arena,
                       ProtobufCMessage **ret_message, struct osr_err *err);

/* A frame: in JSON and YAML flat, with "type" (proto/protocol.md). Unknown types fail with
 * UNKNOWN_TYPE; the frame's request_id is then in *ret_request_id all the same, if it could be
 * read (else 0), so that the error can be answered. */
void osr_frame_encode(enum osr_codec codec, const Osr__Frame *frame, struct osr_buffer *buffer);
int osr_frame_decode(enum osr_codec codec, struct osr_slice bytes, struct osr_arena *arena,
                     Osr__Frame **ret_frame, uint64_t *ret_request_id, struct osr_err *err);

/* "KB_PUT" for a frame with that body; "" where none is set. Static memory. */
const char *osr_frame_type(const Osr__Frame *frame);
/* The message in a frame's oneof, by its descriptor; NULL where none is set. */
ProtobufCMessage *osr_frame_body(const Osr__Frame *frame);
/* Sets the body by the oneof's number (OSR__FRAME__BODY_...); the message stays the caller's. */
void osr_frame_set_body(Osr__Frame *frame, Osr__Frame__BodyCase body, ProtobufCMessage *message);

/* Fills an Error message whose strings point into err. */
void osr_error_message(Osr__Error *message, const struct osr_err *err);
/* The other way round, of one that somebody has sent: it never says OK, whatever stands in it. */
void osr_error_read(const Osr__Error *message, struct osr_err *ret_err);

#endif
