/* The pre-scan and frames in protobuf. */
#include "frames.h"

/* With a cap, decoding either fits or is TOO_LARGE; what the pre-scan lets pass never fails for
 * want of memory half way. */
static void check_cap(struct osr_slice bytes, size_t cap)
{
    struct osr_arena *arena = osr_arena_create(0, (size_t)64 << 20);
    struct osr_arena *capped = osr_arena_create(0, cap);
    Osr__Frame *frame;
    uint64_t request_id;
    int code = osr_frame_decode(OSR_CODEC_PROTOBUF, bytes, arena, &frame, &request_id, NULL);
    int capped_code =
        osr_frame_decode(OSR_CODEC_PROTOBUF, bytes, capped, &frame, &request_id, NULL);
    MUST(osr_arena_used(capped) <= cap);
    MUST(code != 0 || capped_code == 0 || capped_code == OSR_TOO_LARGE);
    osr_arena_destroy(arena);
    osr_arena_destroy(capped);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_slice bytes = osr_slice(data, size);
    check_frame(OSR_CODEC_PROTOBUF, bytes);
    for (size_t cap = 64; cap <= 4096; cap *= 2) {
        check_cap(bytes, cap + size * 4);
    }
    return 0;
}
