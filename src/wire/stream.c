#include "wire/stream.h"

#include "model/limits.h"

#include <assert.h>

enum {
    LENGTH_SIZE = 4,
    /* Memory kept while little input waits: a connection does not hold what its largest frame
     * once needed, not even by sending the first byte of another. */
    INPUT_KEEP_BYTES = 512 << 10,
};

void osr_stream_init(struct osr_stream *stream, enum osr_codec codec, bool codec_known,
                     size_t frame_bytes_max)
{
    assert(frame_bytes_max < 1 << 24); /* so that a length begins with a zero byte */
    *stream = (struct osr_stream){
        .codec = codec,
        .codec_known = codec_known,
        .frame_bytes_max = frame_bytes_max > 0 ? frame_bytes_max : OSR_FRAME_BYTES_MAX,
    };
}

void osr_stream_done(struct osr_stream *stream)
{
    osr_buffer_wipe(&stream->input);
    stream->consumed = 0;
}

void osr_stream_add(struct osr_stream *stream, const void *data, size_t size)
{
    osr_buffer_add(&stream->input, data, size);
}

static struct osr_slice unread(const struct osr_stream *stream)
{
    if (stream->consumed == stream->input.size) {
        return osr_slice(NULL, 0);
    }
    return osr_slice(stream->input.data + stream->consumed, stream->input.size - stream->consumed);
}

/* Moves what is left to the front only where at least as much was consumed before it: each byte
 * is moved at most about once, however small the pieces in which it came. */
static void drop_consumed(struct osr_stream *stream)
{
    size_t left = stream->input.size - stream->consumed;
    if (left > stream->consumed) {
        return;
    }
    if (stream->input.capacity > INPUT_KEEP_BYTES && left <= INPUT_KEEP_BYTES / 2) {
        struct osr_buffer kept = {0};
        osr_buffer_add(&kept, stream->input.data + stream->consumed, left);
        osr_stream_done(stream);
        stream->input = kept;
    } else {
        osr_buffer_consume(&stream->input, stream->consumed);
        if (left > 0) {
            explicit_bzero(stream->input.data + stream->consumed, left); /* where it lay before */
        }
        stream->consumed = 0;
    }
}

static int refuse_size(const struct osr_stream *stream, struct osr_err *err)
{
    return osr_err_set(err, OSR_TOO_LARGE, "frame is longer than %zu bytes",
                       stream->frame_bytes_max);
}

static bool is_white_space(uint8_t byte)
{
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

static void pass_white_space(struct osr_stream *stream)
{
    struct osr_slice left = unread(stream);
    size_t spaces = 0;
    while (spaces < left.size && is_white_space(left.data[spaces])) {
        spaces++;
    }
    stream->consumed += spaces;
}

/* The length of the JSON text at the front, 0 where it is not yet complete. */
static int measure_json(struct osr_stream *stream, size_t *ret_length, struct osr_err *err)
{
    if (stream->split.at == 0) {
        pass_white_space(stream);
    }
    struct osr_slice left = unread(stream);
    size_t length = 0;
    int code = osr_json_split(&stream->split, left, &length, err);
    if (code != 0) {
        return code;
    }
    if ((length > 0 ? length : left.size) > stream->frame_bytes_max) {
        return refuse_size(stream, err);
    }
    *ret_length = length;
    return 0;
}

static int measure_yaml(struct osr_stream *stream, size_t *ret_length, struct osr_err *err)
{
    struct osr_yaml_split *documents = &stream->documents;
    size_t passed;
    size_t length;
    do {
        osr_yaml_split(documents, unread(stream), &passed, &length);
        if (documents->is_bare) {
            return (int)osr_err_set(err, OSR_MALFORMED,
                                    "a frame in YAML begins with a line \"---\"");
        }
        /* While there is no end: what comes next may be the next document's. */
        if (passed + length + documents->at > stream->frame_bytes_max) {
            return refuse_size(stream, err);
        }
        stream->consumed += passed;
    } while (passed > 0);
    *ret_length = length;
    return 0;
}

static int measure_protobuf(struct osr_stream *stream, size_t *ret_length, struct osr_err *err)
{
    struct osr_slice left = unread(stream);
    if (left.size < LENGTH_SIZE) {
        return 0;
    }
    size_t length = osr_get_u32(left.data);
    if (length > stream->frame_bytes_max) {
        return refuse_size(stream, err);
    }
    if (length == 0) {
        return osr_err_set(err, OSR_MALFORMED, "frame is empty");
    }
    if (left.size - LENGTH_SIZE >= length) {
        stream->consumed += LENGTH_SIZE;
        *ret_length = length;
    }
    return 0;
}

static enum osr_codec codec_of(uint8_t first_byte)
{
    switch (first_byte) {
    case 0:
        return OSR_CODEC_PROTOBUF;
    case '-':
    case '%':
        return OSR_CODEC_YAML;
    default:
        return OSR_CODEC_JSON;
    }
}

void osr_stream_recognise(struct osr_stream *stream, struct osr_slice bytes)
{
    if (bytes.size > 0 && !stream->codec_known) {
        stream->codec = codec_of(bytes.data[0]);
        stream->codec_known = true;
    }
}

static int measure(struct osr_stream *stream, size_t *ret_length, struct osr_err *err)
{
    switch (stream->codec) {
    case OSR_CODEC_JSON:
        return measure_json(stream, ret_length, err);
    case OSR_CODEC_PROTOBUF:
        return measure_protobuf(stream, ret_length, err);
    case OSR_CODEC_YAML:
        return measure_yaml(stream, ret_length, err);
    }
    return (int)osr_err_set(err, OSR_INTERNAL, "no such encoding");
}

int osr_stream_next(struct osr_stream *stream, struct osr_slice *ret_bytes, struct osr_err *err)
{
    *ret_bytes = osr_slice(NULL, 0);
    size_t length = 0;
    osr_stream_recognise(stream, unread(stream));
    int code = measure(stream, &length, err);
    if (code != 0) {
        return code;
    }
    if (length == 0) {
        drop_consumed(stream);
        return 0;
    }
    *ret_bytes = osr_slice(unread(stream).data, length);
    stream->consumed += length;
    return 0;
}

bool osr_stream_is_partial(const struct osr_stream *stream)
{
    return unread(stream).size > 0;
}

static void write_protobuf(const Osr__Frame *frame, struct osr_buffer *buffer)
{
    size_t begin = buffer->size;
    osr_buffer_add_u32(buffer, 0);
    osr_frame_encode(OSR_CODEC_PROTOBUF, frame, buffer);
    osr_put_u32(buffer->data + begin, (uint32_t)(buffer->size - begin - LENGTH_SIZE));
}

void osr_stream_write(enum osr_codec codec, const Osr__Frame *frame, struct osr_buffer *buffer)
{
    switch (codec) {
    case OSR_CODEC_JSON:
        osr_frame_encode(codec, frame, buffer);
        osr_buffer_add_u8(buffer, '\n');
        break;
    case OSR_CODEC_PROTOBUF:
        write_protobuf(frame, buffer);
        break;
    case OSR_CODEC_YAML:
        osr_buffer_add_text(buffer, "---\n");
        osr_frame_encode(codec, frame, buffer);
        osr_buffer_add_text(buffer, "...\n");
        break;
    }
}
