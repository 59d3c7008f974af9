/* gRPC's messages: the same come out however the input is cut, and what is written is read. The
 * first byte of the input names the encoding, the second seeds the cuts. */
#include "fuzz.h"

#include "wire/grpc_message.h"

enum { MESSAGE_BYTES_MAX = 3000 };

/* Takes all whole messages, each followed by a mark, into `messages`. */
static enum osr_grpc_code take_messages(struct osr_grpc_reader *reader, struct osr_slice piece,
                                        struct osr_buffer *messages)
{
    for (;;) {
        struct osr_slice message;
        bool found = false;
        const char *why = NULL;
        enum osr_grpc_code code = osr_grpc_reader_next(reader, &piece, &message, &found, &why);
        if (code != OSR_GRPC_OK || !found) {
            MUST(code == OSR_GRPC_OK ? piece.size == 0 : why != NULL && !found);
            return code;
        }
        MUST(message.size <= MESSAGE_BYTES_MAX);
        MUST(!osr_grpc_reader_is_partial(reader));
        osr_buffer_add(messages, message.data, message.size);
        osr_buffer_add_text(messages, "|");
    }
}

/* Sizes of pieces from 1 to 64, from the seed on; 0: all in one. */
static size_t next_piece(uint32_t *seed, size_t left)
{
    if (*seed == 0) {
        return left;
    }
    *seed = *seed * 1664525 + 1013904223;
    size_t size = (*seed >> 26) + 1;
    return size < left ? size : left;
}

static enum osr_grpc_code read_in_pieces(struct osr_slice input, enum osr_grpc_encoding encoding,
                                         uint32_t seed, struct osr_buffer *messages,
                                         bool *ret_is_partial)
{
    struct osr_grpc_reader reader;
    osr_grpc_reader_init(&reader, MESSAGE_BYTES_MAX);
    reader.encoding = encoding;
    enum osr_grpc_code code = OSR_GRPC_OK;
    for (size_t at = 0; at < input.size && code == OSR_GRPC_OK;) {
        size_t size = next_piece(&seed, input.size - at);
        code = take_messages(&reader, osr_slice(input.data + at, size), messages);
        at += size;
    }
    *ret_is_partial = code == OSR_GRPC_OK && osr_grpc_reader_is_partial(&reader);
    osr_grpc_reader_done(&reader);
    return code;
}

static void check_cuts(struct osr_slice input, enum osr_grpc_encoding encoding, uint32_t seed)
{
    struct osr_buffer whole = {0};
    struct osr_buffer pieces = {0};
    bool whole_is_partial;
    bool pieces_are_partial;
    enum osr_grpc_code code = read_in_pieces(input, encoding, 0, &whole, &whole_is_partial);
    MUST(read_in_pieces(input, encoding, seed, &pieces, &pieces_are_partial) == code);
    MUST(whole_is_partial == pieces_are_partial);
    MUST(osr_slice_equal(osr_buffer_slice(&whole), osr_buffer_slice(&pieces)));
    osr_buffer_done(&whole);
    osr_buffer_done(&pieces);
}

/* The input as a message. */
static void check_round_trip(struct osr_slice input, enum osr_grpc_encoding encoding, uint32_t seed)
{
    struct osr_buffer data = {0};
    struct osr_buffer messages = {0};
    size_t begin = osr_grpc_prefix_begin(&data);
    osr_buffer_add(&data, input.data, input.size);
    osr_grpc_prefix_end(&data, begin, encoding);
    MUST(data.size <= OSR_GRPC_PREFIX_BYTES + input.size);
    bool is_partial;
    MUST(read_in_pieces(osr_buffer_slice(&data), encoding, seed, &messages, &is_partial) ==
         OSR_GRPC_OK);
    MUST(!is_partial && messages.size == input.size + 1);
    MUST(osr_slice_equal(osr_slice(messages.data, input.size), input));
    osr_buffer_done(&data);
    osr_buffer_done(&messages);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    enum osr_grpc_encoding encoding = data[0] % (OSR_GRPC_ENCODING_UNKNOWN + 1);
    uint32_t seed = data[1] + 1u;
    struct osr_slice input = osr_slice(data + 2, size - 2);
    check_cuts(input, encoding, seed);
    if (encoding != OSR_GRPC_ENCODING_UNKNOWN && input.size <= MESSAGE_BYTES_MAX) {
        check_round_trip(input, encoding, seed);
    }
    return 0;
}
