/* Framing: the same frames come out however the input is cut. The first byte of the input says
 * how. */
#include "frames.h"

#include "wire/stream.h"

enum { FRAME_BYTES_MAX = 300 };

/* Takes out all whole frames, each followed by a mark, into `frames`. False after an error. */
static bool take_frames(struct osr_stream *stream, struct osr_buffer *frames)
{
    for (;;) {
        struct osr_slice bytes;
        if (osr_stream_next(stream, &bytes, NULL) != 0) {
            MUST(osr_stream_next(stream, &bytes, NULL) != 0);
            return false;
        }
        if (bytes.size == 0) {
            return true;
        }
        MUST(bytes.size <= FRAME_BYTES_MAX);
        osr_buffer_add(frames, bytes.data, bytes.size);
        osr_buffer_add_text(frames, "|");
    }
}

/* Gives the input in pieces of up to `piece` bytes; true if all of it was taken. */
static bool read_in_pieces(struct osr_slice input, size_t piece, struct osr_buffer *frames)
{
    struct osr_stream stream;
    osr_stream_init(&stream, OSR_CODEC_JSON, false, FRAME_BYTES_MAX);
    bool is_taken = true;
    for (size_t at = 0; at < input.size && is_taken; at += piece) {
        size_t left = input.size - at;
        osr_stream_add(&stream, input.data + at, left < piece ? left : piece);
        is_taken = take_frames(&stream, frames);
    }
    osr_stream_done(&stream);
    return is_taken;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    struct osr_slice input = osr_slice(data + 1, size - 1);
    struct osr_buffer whole = {0};
    struct osr_buffer pieces = {0};
    bool whole_taken = read_in_pieces(input, size, &whole);
    bool pieces_taken = read_in_pieces(input, data[0] % 64 + 1, &pieces);
    MUST(whole_taken == pieces_taken);
    MUST(osr_slice_equal(osr_buffer_slice(&whole), osr_buffer_slice(&pieces)));
    osr_buffer_done(&whole);
    osr_buffer_done(&pieces);
    return 0;
}
