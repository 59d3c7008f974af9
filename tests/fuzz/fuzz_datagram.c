/* A datagram pipe whose peer sends anything: it takes or refuses each packet, and holds no more
 * than it may. The input is a row of steps: a byte that says how many bytes of a packet follow,
 * from where it comes, and whether time passes, something is written or read. */
#include "fuzz.h"

#include "adapter/datagram_pipe.h"

enum { OVERHEAD = 50, PRODUCED_MAX = 64 };

/* As its owner does after each packet; false: it is over. After it there is nothing more to do. */
static bool turn(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    struct osr_err err;
    if (osr_datagram_pipe_pass_time(pipe, now_us, &err) != 0) {
        return false;
    }
    uint8_t packet[OSR_DATAGRAM_BYTES_MAX];
    enum osr_pipe_path to;
    size_t produced = 0;
    size_t size;
    while ((size = osr_datagram_pipe_produce(pipe, now_us, packet, &to)) > 0) {
        MUST(size + OVERHEAD <= OSR_DATAGRAM_BYTES_MAX);
        produced++;
        MUST(produced <= PRODUCED_MAX);
    }
    MUST(osr_datagram_pipe_deadline_us(pipe) > now_us);
    return true;
}

/* False: the packet was refused, or it is over. */
static bool step(struct osr_datagram_pipe *pipe, uint64_t *now_us, uint8_t what,
                 struct osr_slice packet)
{
    static uint8_t bytes[4096];
    enum osr_pipe_path from = (what & 0x80) != 0 ? OSR_PIPE_TRIED : OSR_PIPE_PRESENT;
    if (from == OSR_PIPE_TRIED) {
        osr_datagram_pipe_try_path(pipe, *now_us, (const uint8_t *)"\1\2\3\4\5\6\7\10");
    }
    struct osr_err err;
    if (osr_datagram_pipe_receive(pipe, *now_us, from, packet, &err) != 0) {
        return false;
    }
    if ((what & 0x40) != 0) {
        osr_datagram_pipe_write(pipe, osr_slice(bytes, sizeof(bytes) / 4));
    }
    osr_datagram_pipe_read(pipe, bytes, sizeof(bytes));
    if (!turn(pipe, *now_us)) {
        return false;
    }
    uint64_t deadline_us = osr_datagram_pipe_deadline_us(pipe);
    if ((what & 0x20) != 0 && deadline_us != UINT64_MAX) {
        *now_us = deadline_us;
        return turn(pipe, *now_us);
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct osr_datagram_pipe_options options = {.seed = 1, .now_us = 1000, .overhead = OVERHEAD};
    struct osr_datagram_pipe *pipe = osr_datagram_pipe_create(&options);
    uint64_t now_us = options.now_us;
    size_t at = 0;
    bool is_good = true;
    while (at < size && is_good) {
        uint8_t what = data[at++];
        size_t length = what & 0x1f;
        length = length < size - at ? length : size - at;
        is_good = step(pipe, &now_us, what, osr_slice(data + at, length));
        at += length;
        struct osr_datagram_pipe_state state;
        osr_datagram_pipe_state(pipe, &state);
        MUST(state.memory_bytes <= 2 * OSR_PIPE_WINDOW_BYTES + (1 << 20) + 2 * size * 1024);
    }
    osr_datagram_pipe_take_path(pipe);
    osr_datagram_pipe_destroy(pipe);
    return 0;
}
