/* Two ends of a datagram pipe, and packets that no honest peer sends. What a bad network does is
 * the simulation's part (tests/sim/sim_datagram.c). */
#include "adapter/datagram_packet.h"
#include "adapter/datagram_pipe.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { OVERHEAD = 50 };

#define SECOND_US UINT64_C(1000000)

static struct osr_datagram_pipe *create(void)
{
    return osr_datagram_pipe_create(
        &(struct osr_datagram_pipe_options){.seed = 1, .now_us = SECOND_US, .overhead = OVERHEAD});
}

static int receive(struct osr_datagram_pipe *pipe, const struct osr_packet_writer *writer)
{
    return osr_datagram_pipe_receive(pipe, SECOND_US, OSR_PIPE_PRESENT,
                                     osr_slice(writer->data, writer->size), NULL);
}

/* A packet with one piece. */
static int receive_piece(struct osr_datagram_pipe *pipe, uint64_t number, uint64_t offset,
                         const char *text)
{
    uint8_t data[OSR_DATAGRAM_BYTES_MAX];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), number);
    memcpy(osr_packet_add_piece(&writer, offset, strlen(text)), text, strlen(text));
    return receive(pipe, &writer);
}

static int receive_end(struct osr_datagram_pipe *pipe, uint64_t number, uint64_t offset)
{
    uint8_t data[64];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), number);
    assert_true(osr_packet_add_end(&writer, offset));
    return receive(pipe, &writer);
}

static int receive_ack(struct osr_datagram_pipe *pipe, uint64_t number, uint64_t begin,
                       uint64_t end)
{
    struct osr_ranges ranges = {0};
    osr_ranges_add(&ranges, begin, end);
    uint8_t data[64];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), number);
    assert_true(osr_packet_add_ack(&writer, &ranges, 0));
    osr_ranges_done(&ranges);
    return receive(pipe, &writer);
}

static void assert_read(struct osr_datagram_pipe *pipe, const char *text)
{
    char bytes[256];
    size_t size = osr_datagram_pipe_read(pipe, bytes, sizeof(bytes));
    assert_int_equal(size, strlen(text));
    assert_memory_equal(bytes, text, size);
}

/* The next packet, decoded; its pieces lie in a buffer of this function. */
static bool produce(struct osr_datagram_pipe *pipe, uint64_t now_us, struct osr_packet *packet,
                    enum osr_pipe_path *to)
{
    static uint8_t data[OSR_DATAGRAM_BYTES_MAX];
    size_t size = osr_datagram_pipe_produce(pipe, now_us, data, to);
    if (size > 0) {
        assert_int_equal(osr_packet_decode(osr_slice(data, size), packet, NULL), 0);
    }
    return size > 0;
}

static size_t memory(const struct osr_datagram_pipe *pipe)
{
    struct osr_datagram_pipe_state state;
    osr_datagram_pipe_state(pipe, &state);
    return state.memory_bytes;
}

/* Whatever overlaps, the first text at an offset counts, and all comes out once. */
static void overlapping_pieces_are_read_once(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(receive_piece(pipe, 0, 4, "EF"), 0);
    assert_int_equal(receive_piece(pipe, 1, 8, "IJ"), 0);
    assert_read(pipe, "");
    assert_int_equal(receive_piece(pipe, 2, 2, "cdxxghxxkl"), 0);
    assert_read(pipe, "");
    assert_int_equal(receive_piece(pipe, 3, 0, "abyyyyyyyyyyM"), 0);
    assert_read(pipe, "abcdEFghIJklM");
    assert_int_equal(receive_piece(pipe, 4, 5, "late"), 0);
    assert_read(pipe, "");
    osr_datagram_pipe_destroy(pipe);
}

/* A number that comes again brings nothing, whatever the packet says. */
static void number_counts_once(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(receive_piece(pipe, 7, 0, "one"), 0);
    assert_int_equal(receive_piece(pipe, 7, 3, "two"), 0);
    assert_read(pipe, "one");
    osr_datagram_pipe_destroy(pipe);
}

/* Nothing may be sent beyond the window, nor at offsets that no stream reaches. */
static void piece_beyond_the_window_is_refused(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(receive_piece(pipe, 0, OSR_PIPE_WINDOW_BYTES - 1, "x"), 0);
    assert_int_equal(receive_piece(pipe, 1, OSR_PIPE_WINDOW_BYTES, "x"), OSR_MALFORMED);
    assert_int_equal(receive_piece(pipe, 2, OSR_PIPE_WINDOW_BYTES - 1, "xy"), OSR_MALFORMED);
    assert_int_equal(receive_piece(pipe, 3, OSR_PACKET_NUMBER_MAX, "x"), OSR_MALFORMED);
    assert_int_equal(receive_end(pipe, 4, OSR_PACKET_NUMBER_MAX), OSR_MALFORMED);
    assert_true(memory(pipe) <= OSR_PIPE_WINDOW_BYTES + (64 << 10));
    osr_datagram_pipe_destroy(pipe);
}

/* A peer that leaves a gap at every second byte holds a bounded number of them, and what was
 * dropped is not acknowledged. */
static void gaps_are_bounded(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    for (uint64_t i = 0; i < 3 * OSR_PIPE_GAPS_MAX; i++) {
        assert_int_equal(receive_piece(pipe, i, 1 + 2 * i, "x"), 0);
    }
    assert_true(memory(pipe) <= 512 << 10);
    struct osr_packet packet;
    enum osr_pipe_path to;
    assert_true(produce(pipe, SECOND_US, &packet, &to));
    assert_int_equal(packet.ack.ranges[0].end, OSR_PIPE_GAPS_MAX);
    /* What fills the first gap is taken all the same. */
    assert_int_equal(receive_piece(pipe, 5 * OSR_PIPE_GAPS_MAX, 0, "ab"), 0);
    assert_read(pipe, "ax");
    osr_datagram_pipe_destroy(pipe);
}

/* An end holds: no other end, nothing behind it, none before what has come. */
static void end_cannot_move(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(receive_piece(pipe, 0, 0, "abc"), 0);
    assert_int_equal(receive_end(pipe, 1, 2), OSR_MALFORMED);
    assert_int_equal(receive_end(pipe, 2, 3), 0);
    assert_false(osr_datagram_pipe_peer_has_ended(pipe));
    assert_read(pipe, "abc");
    assert_true(osr_datagram_pipe_peer_has_ended(pipe));
    assert_int_equal(receive_end(pipe, 3, 3), 0);
    assert_int_equal(receive_end(pipe, 4, 4), OSR_MALFORMED);
    assert_int_equal(receive_piece(pipe, 5, 3, "d"), OSR_MALFORMED);
    osr_datagram_pipe_destroy(pipe);
}

/* Who acknowledges what was never sent is no peer, but one who acknowledges twice is. */
static void acknowledgement_of_the_future_is_refused(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(receive_ack(pipe, 0, 0, 1), OSR_MALFORMED);
    osr_datagram_pipe_write(pipe, osr_slice_text("hello"));
    struct osr_packet packet;
    enum osr_pipe_path to;
    assert_true(produce(pipe, SECOND_US, &packet, &to));
    assert_int_equal(receive_ack(pipe, 1, 0, 2), OSR_MALFORMED);
    assert_int_equal(receive_ack(pipe, 2, 0, 1), 0);
    assert_int_equal(receive_ack(pipe, 3, 0, 1), 0);
    assert_int_equal(osr_datagram_pipe_queued(pipe), 0);
    assert_int_equal(receive_ack(pipe, 4, 0, OSR_PACKET_NUMBER_MAX), OSR_MALFORMED);
    osr_datagram_pipe_destroy(pipe);
}

/* Who acknowledges all that may have been sent, to get more, meets a number that was not. */
static void optimistic_acknowledgement_is_noticed(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    int code = 0;
    uint64_t number = 0;
    for (uint64_t i = 0; i < 2000 && code == 0; i++) {
        osr_datagram_pipe_write(pipe, osr_slice_text("hello"));
        struct osr_packet packet;
        enum osr_pipe_path to;
        while (produce(pipe, SECOND_US, &packet, &to)) {
            number = packet.number;
        }
        code = receive_ack(pipe, i, 0, number + 1);
    }
    assert_int_equal(code, OSR_MALFORMED);
    osr_datagram_pipe_destroy(pipe);
}

static uint64_t packets_lost(const struct osr_datagram_pipe *pipe)
{
    struct osr_datagram_pipe_state state;
    osr_datagram_pipe_state(pipe, &state);
    return state.packets_lost;
}

/* All that may go now goes. Whether the stream's first bytes are among it. */
static bool send_first_bytes(struct osr_datagram_pipe *pipe, uint64_t now_us)
{
    bool is_sent = false;
    struct osr_packet packet;
    enum osr_pipe_path to;
    while (produce(pipe, now_us, &packet, &to)) {
        for (size_t i = 0; i < packet.piece_count; i++) {
            is_sent = is_sent || packet.pieces[i].offset == 0;
        }
    }
    return is_sent;
}

/* Has sent packets 0..5 or more, and nothing was answered yet. */
static struct osr_datagram_pipe *create_with_packets_under_way(void)
{
    static const uint8_t bytes[6 * OSR_DATAGRAM_BYTES_MIN];
    struct osr_datagram_pipe *pipe = create();
    osr_datagram_pipe_write(pipe, osr_slice(bytes, sizeof(bytes)));
    assert_true(send_first_bytes(pipe, SECOND_US));
    return pipe;
}

/* The third later packet that is acknowledged shows that one was lost: what it carried goes again
 * though no time has gone by. */
static void third_later_acknowledgement_sends_again_at_once(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create_with_packets_under_way();
    assert_int_equal(receive_ack(pipe, 0, 1, 4), 0);
    assert_int_equal(packets_lost(pipe), 1);
    assert_true(send_first_bytes(pipe, SECOND_US));
    osr_datagram_pipe_destroy(pipe);
}

/* Two later ones may have overtaken it: it counts as lost only when its time is over. */
static void two_later_acknowledgements_wait_for_time(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create_with_packets_under_way();
    assert_int_equal(receive_ack(pipe, 0, 1, 3), 0);
    assert_int_equal(packets_lost(pipe), 0);
    assert_false(send_first_bytes(pipe, SECOND_US));

    uint64_t deadline_us = osr_datagram_pipe_deadline_us(pipe);
    assert_true(deadline_us > SECOND_US);
    assert_int_equal(osr_datagram_pipe_pass_time(pipe, deadline_us, NULL), 0);
    assert_true(packets_lost(pipe) > 0);
    assert_true(send_first_bytes(pipe, deadline_us));
    osr_datagram_pipe_destroy(pipe);
}

/* Nobody answers: all goes again from time to time, and after a while it is over. */
static void silence_ends_it(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    assert_int_equal(osr_datagram_pipe_deadline_us(pipe), UINT64_MAX);
    osr_datagram_pipe_write(pipe, osr_slice_text("hello"));
    uint64_t now_us = SECOND_US;
    size_t packets = 0;
    int code = 0;
    for (int i = 0; i < 1000 && code == 0; i++) {
        struct osr_packet packet;
        enum osr_pipe_path to;
        while (produce(pipe, now_us, &packet, &to)) {
            packets++;
        }
        now_us = osr_datagram_pipe_deadline_us(pipe);
        code = osr_datagram_pipe_pass_time(pipe, now_us, NULL);
    }
    assert_int_equal(code, OSR_TIMEOUT);
    assert_int_equal(now_us, SECOND_US + OSR_PIPE_SILENCE_MS * UINT64_C(1000));
    assert_in_range(packets, 5, 40);
    osr_datagram_pipe_destroy(pipe);
}

static int receive_pong(struct osr_datagram_pipe *pipe, uint64_t number, enum osr_pipe_path from,
                        const uint8_t *nonce)
{
    uint8_t data[64];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), number);
    assert_true(osr_packet_add_pong(&writer, nonce));
    return osr_datagram_pipe_receive(pipe, SECOND_US, from, osr_slice(data, writer.size), NULL);
}

/* Another address is used only after the nonce has come back, and from there. */
static void address_is_taken_with_its_nonce_alone(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    static const uint8_t nonce[OSR_PIPE_NONCE_BYTES] = {1, 2, 3};
    static const uint8_t another[OSR_PIPE_NONCE_BYTES] = {3, 2, 1};
    osr_datagram_pipe_try_path(pipe, SECOND_US, nonce);
    struct osr_packet packet;
    enum osr_pipe_path to;
    assert_true(produce(pipe, SECOND_US, &packet, &to));
    assert_int_equal(to, OSR_PIPE_TRIED);
    assert_int_equal(packet.parts, OSR_PACKET_PING);
    assert_memory_equal(packet.ping, nonce, sizeof(nonce));
    assert_false(produce(pipe, SECOND_US, &packet, &to));

    assert_int_equal(receive_pong(pipe, 0, OSR_PIPE_TRIED, another), 0);
    assert_int_equal(receive_pong(pipe, 1, OSR_PIPE_PRESENT, nonce), 0);
    assert_false(osr_datagram_pipe_take_path(pipe));
    assert_int_equal(receive_pong(pipe, 2, OSR_PIPE_TRIED, nonce), 0);
    assert_true(osr_datagram_pipe_take_path(pipe));
    assert_false(osr_datagram_pipe_take_path(pipe));
    osr_datagram_pipe_destroy(pipe);
}

/* A PING is answered where it came from. */
static void ping_is_answered_where_it_came_from(void **state)
{
    (void)state;
    struct osr_datagram_pipe *pipe = create();
    static const uint8_t nonce[OSR_PIPE_NONCE_BYTES] = {9};
    for (uint64_t i = 0; i < 2; i++) {
        enum osr_pipe_path from = i == 0 ? OSR_PIPE_PRESENT : OSR_PIPE_TRIED;
        uint8_t data[64];
        struct osr_packet_writer writer;
        osr_packet_begin(&writer, data, sizeof(data), i);
        assert_true(osr_packet_add_ping(&writer, nonce));
        assert_int_equal(
            osr_datagram_pipe_receive(pipe, SECOND_US, from, osr_slice(data, writer.size), NULL),
            0);
        struct osr_packet packet;
        enum osr_pipe_path to;
        assert_true(produce(pipe, SECOND_US, &packet, &to));
        assert_int_equal(to, from);
        assert_int_equal(packet.parts, OSR_PACKET_PONG);
        assert_memory_equal(packet.pong, nonce, sizeof(nonce));
        assert_false(produce(pipe, SECOND_US, &packet, &to));
    }
    osr_datagram_pipe_destroy(pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(overlapping_pieces_are_read_once),
        cmocka_unit_test(number_counts_once),
        cmocka_unit_test(piece_beyond_the_window_is_refused),
        cmocka_unit_test(gaps_are_bounded),
        cmocka_unit_test(end_cannot_move),
        cmocka_unit_test(acknowledgement_of_the_future_is_refused),
        cmocka_unit_test(optimistic_acknowledgement_is_noticed),
        cmocka_unit_test(third_later_acknowledgement_sends_again_at_once),
        cmocka_unit_test(two_later_acknowledgements_wait_for_time),
        cmocka_unit_test(silence_ends_it),
        cmocka_unit_test(address_is_taken_with_its_nonce_alone),
        cmocka_unit_test(ping_is_answered_where_it_came_from),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
