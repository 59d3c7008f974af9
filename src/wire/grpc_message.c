#include "wire/grpc_message.h"

#include "base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

enum {
    FLAG_PLAIN = 0,
    FLAG_COMPRESSED = 1,
    /* Memory that a call keeps between messages: with a thousand calls on a connection, not each
     * holds what its largest message once needed. */
    KEEP_BYTES = 16 << 10,
};

/* ---- encodings ---- */

static const char *const encoding_names[] = {
    [OSR_GRPC_IDENTITY] = "identity",
    [OSR_GRPC_GZIP] = "gzip",
    [OSR_GRPC_DEFLATE] = "deflate",
};
_Static_assert(sizeof(encoding_names) / sizeof(encoding_names[0]) == OSR_GRPC_ENCODING_UNKNOWN,
               "a name for each encoding");

enum osr_grpc_encoding osr_grpc_encoding_parse(struct osr_slice name)
{
    enum osr_grpc_encoding encoding = OSR_GRPC_IDENTITY;
    while (encoding < OSR_GRPC_ENCODING_UNKNOWN &&
           !osr_slice_equal(name, osr_slice_text(encoding_names[encoding]))) {
        encoding++;
    }
    return encoding;
}

const char *osr_grpc_encoding_name(enum osr_grpc_encoding encoding)
{
    assert(encoding < OSR_GRPC_ENCODING_UNKNOWN);
    return encoding_names[encoding];
}

bool osr_grpc_encoding_is_accepted(struct osr_slice accept, enum osr_grpc_encoding encoding)
{
    bool more = true;
    while (more) {
        struct osr_slice name;
        more = osr_text_take_item(&accept, &name);
        if (encoding != OSR_GRPC_ENCODING_UNKNOWN && osr_grpc_encoding_parse(name) == encoding) {
            return true;
        }
    }
    return encoding == OSR_GRPC_IDENTITY; /* whatever the peer says, it must take that */
}

/* ---- zlib ---- */

static voidpf zlib_take(voidpf context, uInt items, uInt size)
{
    (void)context;
    return osr_alloc_unset((size_t)items * size);
}

static void zlib_give_back(voidpf context, voidpf memory)
{
    (void)context;
    free(memory);
}

/* "deflate" means zlib's own frame around it, as everywhere in HTTP. */
static int window_bits(enum osr_grpc_encoding encoding)
{
    enum { WITH_GZIP_FRAME = 16 };
    return encoding == OSR_GRPC_GZIP ? MAX_WBITS + WITH_GZIP_FRAME : MAX_WBITS;
}

/* Makes room for what comes out next: as much as is there already, one byte over the limit at
 * most, by which it is seen to be passed. */
static uInt reserve_output(struct osr_buffer *output, size_t bytes_max)
{
    enum { ROOM_MIN = 4 << 10 };
    size_t left = bytes_max - output->size + 1;
    size_t wanted = output->size > ROOM_MIN ? output->size : ROOM_MIN;
    size_t room = wanted < left ? wanted : left;
    osr_buffer_reserve(output, room);
    return (uInt)room;
}

/* Inflates until the end, the limit or something broken. Returns what zlib said last. */
static int inflate_to(z_stream *stream, struct osr_buffer *output, size_t bytes_max)
{
    int status = Z_OK;
    while (status == Z_OK && output->size <= bytes_max) {
        uInt room = reserve_output(output, bytes_max);
        stream->next_out = output->data + output->size;
        stream->avail_out = room;
        status = inflate(stream, Z_NO_FLUSH);
        output->size += room - stream->avail_out;
    }
    return status;
}

static enum osr_grpc_code inflate_message(struct osr_grpc_reader *reader, struct osr_slice bytes,
                                          const char **ret_why)
{
    z_stream stream = {
        .zalloc = zlib_take,
        .zfree = zlib_give_back,
        .next_in = (z_const Bytef *)bytes.data,
        .avail_in = (uInt)bytes.size,
    };
    int status = inflateInit2(&stream, window_bits(reader->encoding));
    assert(status == Z_OK);
    status = inflate_to(&stream, &reader->inflated, reader->bytes_max);
    bool is_complete = status == Z_STREAM_END && stream.avail_in == 0;
    inflateEnd(&stream);
    if (reader->inflated.size > reader->bytes_max) {
        *ret_why = "message is larger than the limit once it is decompressed";
        return OSR_GRPC_RESOURCE_EXHAUSTED;
    }
    if (!is_complete) {
        *ret_why = "compressed message is broken";
        return OSR_GRPC_INTERNAL;
    }
    return OSR_GRPC_OK;
}

/* Compresses what stands behind `begin` in the buffer. False, and the buffer is as it was, where
 * that would not make it smaller. */
static bool compress_in_place(struct osr_buffer *buffer, size_t begin,
                              enum osr_grpc_encoding encoding)
{
    enum { MEMORY_LEVEL = 8 }; /* zlib's default */
    size_t size = buffer->size - begin;
    uint8_t *output = osr_buffer_reserve(buffer, size);
    z_stream stream = {
        .zalloc = zlib_take,
        .zfree = zlib_give_back,
        .next_in = buffer->data + begin,
        .avail_in = (uInt)size,
        .next_out = output,
        .avail_out = (uInt)(size - 1),
    };
    /* Level 1 takes half the default's time and leaves a tenth more bytes. */
    int status = deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, window_bits(encoding),
                              MEMORY_LEVEL, Z_DEFAULT_STRATEGY);
    assert(status == Z_OK);
    status = deflate(&stream, Z_FINISH);
    size_t compressed = size - 1 - stream.avail_out;
    deflateEnd(&stream);
    if (status != Z_STREAM_END) {
        return false;
    }
    memmove(buffer->data + begin, output, compressed);
    buffer->size = begin + compressed;
    return true;
}

/* ---- reading ---- */

void osr_grpc_reader_init(struct osr_grpc_reader *reader, size_t bytes_max)
{
    assert(bytes_max < UINT32_MAX); /* zlib counts in 32 bits */
    *reader = (struct osr_grpc_reader){.bytes_max = bytes_max};
}

void osr_grpc_reader_done(struct osr_grpc_reader *reader)
{
    osr_buffer_wipe(&reader->partial); /* a password may have come in it */
    osr_buffer_wipe(&reader->inflated);
}

static size_t framed_size(const uint8_t *prefix)
{
    return OSR_GRPC_PREFIX_BYTES + (size_t)osr_get_u32(prefix + 1);
}

static bool is_whole(const struct osr_buffer *partial)
{
    return partial->size >= OSR_GRPC_PREFIX_BYTES && partial->size == framed_size(partial->data);
}

bool osr_grpc_reader_is_partial(const struct osr_grpc_reader *reader)
{
    return reader->partial.size > 0 && !is_whole(&reader->partial);
}

static void forget(struct osr_buffer *buffer)
{
    osr_buffer_clear(buffer);
    if (buffer->capacity > KEEP_BYTES) {
        osr_buffer_done(buffer);
    }
}

/* What the last call gave is no longer needed. */
static void forget_given(struct osr_grpc_reader *reader)
{
    if (is_whole(&reader->partial)) {
        forget(&reader->partial);
    }
    forget(&reader->inflated);
}

static enum osr_grpc_code check_prefix(const struct osr_grpc_reader *reader, const uint8_t *prefix,
                                       const char **ret_why)
{
    if (prefix[0] != FLAG_PLAIN && prefix[0] != FLAG_COMPRESSED) {
        *ret_why = "message flag is neither 0 nor 1";
        return OSR_GRPC_INTERNAL;
    }
    if (osr_get_u32(prefix + 1) > reader->bytes_max) {
        *ret_why = "message is larger than the limit";
        return OSR_GRPC_RESOURCE_EXHAUSTED;
    }
    if (prefix[0] == FLAG_COMPRESSED && reader->encoding == OSR_GRPC_IDENTITY) {
        *ret_why = "message is compressed, but grpc-encoding names nothing";
        return OSR_GRPC_INTERNAL;
    }
    if (prefix[0] == FLAG_COMPRESSED && reader->encoding == OSR_GRPC_ENCODING_UNKNOWN) {
        *ret_why = "grpc-encoding is not supported";
        return OSR_GRPC_UNIMPLEMENTED;
    }
    return OSR_GRPC_OK;
}

static struct osr_slice take(struct osr_slice *data, size_t size)
{
    struct osr_slice taken = osr_slice(data->data, size);
    *data = osr_slice(data->data + size, data->size - size);
    return taken;
}

/* Moves bytes over until the partial message has `size` of them, if there are so many. The memory
 * grows with what came, not with what the prefix announces. */
static bool fill_partial(struct osr_grpc_reader *reader, struct osr_slice *data, size_t size)
{
    struct osr_buffer *partial = &reader->partial;
    size_t missing = size > partial->size ? size - partial->size : 0;
    size_t taken = missing < data->size ? missing : data->size;
    if (taken > 0) {
        struct osr_slice bytes = take(data, taken);
        osr_buffer_add(partial, bytes.data, bytes.size);
    }
    return taken == missing;
}

/* From a whole message with its prefix. */
static enum osr_grpc_code give(struct osr_grpc_reader *reader, struct osr_slice framed,
                               struct osr_slice *ret_message, bool *ret_found, const char **ret_why)
{
    enum osr_grpc_code code = OSR_GRPC_OK;
    struct osr_slice message =
        osr_slice(framed.data + OSR_GRPC_PREFIX_BYTES, framed.size - OSR_GRPC_PREFIX_BYTES);
    reader->was_compressed = framed.data[0] == FLAG_COMPRESSED;
    if (reader->was_compressed) {
        code = inflate_message(reader, message, ret_why);
        message = osr_buffer_slice(&reader->inflated);
    }
    if (code == OSR_GRPC_OK) {
        *ret_message = message;
        *ret_found = true;
    }
    return code;
}

/* A message that is whole in the data is given from there; only what is cut is copied. */
enum osr_grpc_code osr_grpc_reader_next(struct osr_grpc_reader *reader, struct osr_slice *data,
                                        struct osr_slice *ret_message, bool *ret_found,
                                        const char **ret_why)
{
    *ret_found = false;
    forget_given(reader);
    bool is_cut = reader->partial.size > 0 || data->size < OSR_GRPC_PREFIX_BYTES;
    if (is_cut && !fill_partial(reader, data, OSR_GRPC_PREFIX_BYTES)) {
        return OSR_GRPC_OK;
    }
    const uint8_t *prefix = is_cut ? reader->partial.data : data->data;
    enum osr_grpc_code code = check_prefix(reader, prefix, ret_why);
    if (code != OSR_GRPC_OK) {
        return code;
    }
    size_t size = framed_size(prefix);
    if (!is_cut && size <= data->size) {
        return give(reader, take(data, size), ret_message, ret_found, ret_why);
    }
    if (!fill_partial(reader, data, size)) {
        return OSR_GRPC_OK;
    }
    return give(reader, osr_buffer_slice(&reader->partial), ret_message, ret_found, ret_why);
}

/* ---- writing ---- */

size_t osr_grpc_prefix_begin(struct osr_buffer *buffer)
{
    size_t begin = buffer->size;
    osr_buffer_reserve(buffer, OSR_GRPC_PREFIX_BYTES);
    buffer->size += OSR_GRPC_PREFIX_BYTES;
    return begin;
}

void osr_grpc_prefix_end(struct osr_buffer *buffer, size_t begin, enum osr_grpc_encoding encoding)
{
    size_t message = begin + OSR_GRPC_PREFIX_BYTES;
    assert(message <= buffer->size && buffer->size - message <= UINT32_MAX);
    assert(encoding != OSR_GRPC_ENCODING_UNKNOWN);
    bool is_compressed = encoding != OSR_GRPC_IDENTITY &&
                         buffer->size - message >= OSR_GRPC_COMPRESS_BYTES_MIN &&
                         compress_in_place(buffer, message, encoding);
    buffer->data[begin] = is_compressed ? FLAG_COMPRESSED : FLAG_PLAIN;
    osr_put_u32(buffer->data + begin + 1, (uint32_t)(buffer->size - message));
}
