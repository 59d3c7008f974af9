/* stream.h -- frames in a stream of bytes: sans-IO, bytes in, frames out.
 *
 * JSON: objects back to back or one a line. Protobuf: a length of four bytes, big-endian,
 * before each frame. YAML: documents that begin with a line "---"; one ends with a line "...", at
 * once, or where the next begins. Without a codec given, the first byte tells: a protobuf length
 * begins with 0 because frames are shorter than 16 MiB, "---" and "%YAML" with what no JSON text
 * does.
 *
 * Frames may carry secrets: while one is incomplete no copy of it is left behind where the input
 * grows (base/bytes.h) or moves. What was given out is the caller's to wipe. */
#ifndef OSR_WIRE_STREAM_H
#define OSR_WIRE_STREAM_H

#include "base/json_scan.h"
#include "wire/codec.h"
#include "wire/yaml_split.h"

struct osr_stream {
    enum osr_codec codec;
    bool codec_known;
    size_t frame_bytes_max;
    struct osr_buffer input; /* bytes not yet consumed */
    size_t consumed;         /* bytes of input already given out */
    struct osr_json_split split;
    struct osr_yaml_split documents;
};

/* codec_known false: told by the first byte. frame_bytes_max: 0 for OSR_FRAME_BYTES_MAX. */
void osr_stream_init(struct osr_stream *stream, enum osr_codec codec, bool codec_known,
                     size_t frame_bytes_max);
void osr_stream_done(struct osr_stream *stream); /* wipes: a frame may have been a secret's */

/* Tells the codec by the first bytes, where it is not known: before they are added, by whoever may
 * have to answer without having read them. */
void osr_stream_recognise(struct osr_stream *stream, struct osr_slice bytes);

/* Takes bytes from the transport: read into what osr_buffer_reserve(&stream->input) gives, or
 * copy with this. */
void osr_stream_add(struct osr_stream *stream, const void *data, size_t size);

/* The next whole frame's bytes in *ret_bytes, or size 0 where more input is needed. They stay
 * valid until the next call on the stream. Fails for good: with TOO_LARGE as soon as a
 * frame must be longer than the limit, with MALFORMED where no frame can begin. */
int osr_stream_next(struct osr_stream *stream, struct osr_slice *ret_bytes, struct osr_err *err);

/* True where input ends inside a frame. */
bool osr_stream_is_partial(const struct osr_stream *stream);

/* Appends a frame as it goes over a stream: length first, newline last, or between "---" and
 * "...". */
void osr_stream_write(enum osr_codec codec, const Osr__Frame *frame, struct osr_buffer *buffer);

#endif
