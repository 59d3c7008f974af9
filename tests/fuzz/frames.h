/* frames.h -- properties of every frame that decodes. */
#ifndef OSR_TESTS_FUZZ_FRAMES_H
#define OSR_TESTS_FUZZ_FRAMES_H

#include "fuzz.h"
#include "wire/codec.h"

/* Decodes, encodes, decodes and encodes again: both results must be equal. The frame decoded
 * second is given, to live in `arena`. */
static inline Osr__Frame *must_survive(enum osr_codec codec, const Osr__Frame *frame,
                                       struct osr_arena *arena)
{
    struct osr_buffer first = {0};
    struct osr_buffer second = {0};
    Osr__Frame *again = NULL;
    uint64_t request_id = 0;
    osr_frame_encode(codec, frame, &first);
    MUST(osr_frame_decode(codec, osr_buffer_slice(&first), arena, &again, &request_id, NULL) == 0);
    MUST(request_id == frame->request_id);
    MUST(again->body_case == frame->body_case);
    osr_frame_encode(codec, again, &second);
    MUST(osr_slice_equal(osr_buffer_slice(&first), osr_buffer_slice(&second)));
    osr_buffer_done(&first);
    osr_buffer_done(&second);
    return again;
}

/* What goes through one encoding after the other is what goes through one alone. */
static inline void must_agree(const Osr__Frame *frame, struct osr_arena *arena)
{
    struct osr_buffer direct = {0};
    struct osr_buffer detour = {0};
    osr_frame_encode(OSR_CODEC_JSON, frame, &direct);
    const Osr__Frame *through_json = must_survive(OSR_CODEC_JSON, frame, arena);
    const Osr__Frame *through_yaml = must_survive(OSR_CODEC_YAML, through_json, arena);
    const Osr__Frame *through_both = must_survive(OSR_CODEC_PROTOBUF, through_yaml, arena);
    osr_frame_encode(OSR_CODEC_JSON, through_both, &detour);
    MUST(osr_slice_equal(osr_buffer_slice(&direct), osr_buffer_slice(&detour)));
    osr_buffer_done(&direct);
    osr_buffer_done(&detour);
}

/* Decodes the input as one frame and, if it is one, checks all of the above. */
static inline void check_frame(enum osr_codec codec, struct osr_slice bytes)
{
    enum { CAP = 64 << 20 };
    struct osr_arena *arena = osr_arena_create(0, CAP);
    Osr__Frame *frame = NULL;
    uint64_t request_id = 0;
    if (osr_frame_decode(codec, bytes, arena, &frame, &request_id, NULL) == 0) {
        must_survive(codec, frame, arena);
        must_agree(frame, arena);
    }
    osr_arena_destroy(arena);
}

#endif
