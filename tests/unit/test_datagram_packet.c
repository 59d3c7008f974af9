/* The form of a datagram pipe's packets, also as proto/protocol.md shows it. */
#include "adapter/datagram_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { PAGE_BYTES_MAX = 256 << 10 };

static const uint8_t nonce[OSR_PIPE_NONCE_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};

/* What the page says after "packet NAME = ". */
static struct osr_buffer vector(const char *name)
{
    static char page[PAGE_BYTES_MAX];
    FILE *file = fopen(OSR_SOURCE_FOLDER "/proto/protocol.md", "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof(page) - 1, file)] = '\0';
    fclose(file);
    char begin[64];
    snprintf(begin, sizeof(begin), "\npacket %s = ", name);
    const char *at = strstr(page, begin);
    assert_non_null(at);
    struct osr_buffer bytes = {0};
    unsigned byte;
    for (at += strlen(begin); sscanf(at, "%2x", &byte) == 1 && *at != '\n'; at += 2) {
        osr_buffer_add_u8(&bytes, (uint8_t)byte);
    }
    return bytes;
}

static void check_vector(const char *name, const struct osr_packet_writer *writer)
{
    struct osr_buffer expected = vector(name);
    assert_int_equal(writer->size, expected.size);
    assert_memory_equal(writer->data, expected.data, expected.size);
    osr_buffer_done(&expected);
}

/* A packet with a piece and an end, as the page has it. */
static void piece_and_end_are_those_of_the_page(void **state)
{
    (void)state;
    uint8_t data[64];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), 5);
    memcpy(osr_packet_add_piece(&writer, 1000, 5), "hello", 5);
    assert_true(osr_packet_add_end(&writer, 1005));
    check_vector("piece and end", &writer);

    struct osr_packet packet;
    assert_int_equal(osr_packet_decode(osr_slice(data, writer.size), &packet, NULL), 0);
    assert_int_equal(packet.number, 5);
    assert_int_equal(packet.parts, OSR_PACKET_PIECE | OSR_PACKET_END);
    assert_int_equal(packet.piece_count, 1);
    assert_int_equal(packet.pieces[0].offset, 1000);
    assert_true(osr_slice_equal(packet.pieces[0].bytes, osr_slice_text("hello")));
    assert_int_equal(packet.end, 1005);
}

/* An acknowledgement of two ranges and a window, as the page has it. */
static void acknowledgement_and_window_are_those_of_the_page(void **state)
{
    (void)state;
    struct osr_ranges received = {0};
    osr_ranges_add(&received, 3, 8);
    osr_ranges_add(&received, 10, 21);
    uint8_t data[64];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), 70);
    assert_true(osr_packet_add_ack(&writer, &received, 2500));
    assert_true(osr_packet_add_window(&writer, 4194304));
    check_vector("acknowledgement and window", &writer);
    osr_ranges_done(&received);

    struct osr_packet packet;
    assert_int_equal(osr_packet_decode(osr_slice(data, writer.size), &packet, NULL), 0);
    assert_int_equal(packet.ack.range_count, 2);
    assert_int_equal(packet.ack.delay_us, 2500);
    assert_int_equal(packet.ack.ranges[0].begin, 10);
    assert_int_equal(packet.ack.ranges[0].end, 21);
    assert_int_equal(packet.ack.ranges[1].begin, 3);
    assert_int_equal(packet.ack.ranges[1].end, 8);
    assert_int_equal(packet.window, 4194304);
}

/* A PING, a PONG and padding, as the page has it. */
static void nonces_and_padding_are_those_of_the_page(void **state)
{
    (void)state;
    uint8_t data[25];
    struct osr_packet_writer writer;
    osr_packet_begin(&writer, data, sizeof(data), 16384);
    assert_true(osr_packet_add_ping(&writer, nonce));
    assert_true(osr_packet_add_pong(&writer, nonce));
    osr_packet_add_padding(&writer);
    check_vector("nonces and padding", &writer);

    struct osr_packet packet;
    assert_int_equal(osr_packet_decode(osr_slice(data, writer.size), &packet, NULL), 0);
    assert_int_equal(packet.parts, OSR_PACKET_PING | OSR_PACKET_PONG | OSR_PACKET_PADDING);
    assert_memory_equal(packet.ping, nonce, sizeof(nonce));
    assert_memory_equal(packet.pong, nonce, sizeof(nonce));
}

/* More ranges than fit: the highest are sent. */
static void acknowledgement_keeps_to_the_room(void **state)
{
    (void)state;
    struct osr_ranges received = {0};
    for (uint64_t i = 0; i < 1000; i += 2) {
        osr_ranges_add(&received, i, i + 1);
    }
    for (size_t room = 1; room < 200; room++) {
        uint8_t data[200];
        struct osr_packet_writer writer;
        osr_packet_begin(&writer, data, room, 0);
        struct osr_packet packet;
        bool fits = osr_packet_add_ack(&writer, &received, 0);
        assert_true(writer.size <= room);
        assert_int_equal(osr_packet_decode(osr_slice(data, writer.size), &packet, NULL), 0);
        assert_int_equal(fits, packet.parts == OSR_PACKET_ACK);
        if (fits) {
            assert_int_equal(packet.ack.ranges[0].begin, 998);
            assert_true(packet.ack.range_count <= OSR_PIPE_RANGES_MAX);
        }
    }
    osr_ranges_done(&received);
}

static void refuse(const uint8_t *bytes, size_t size)
{
    struct osr_packet packet;
    assert_int_equal(osr_packet_decode(osr_slice(bytes, size), &packet, NULL), OSR_MALFORMED);
}

#define REFUSED(...) refuse((const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__}))

/* Whatever is cut off, unknown, doubled or below zero is refused. */
static void broken_forms_are_refused(void **state)
{
    (void)state;
    refuse(NULL, 0);
    REFUSED(0x40);            /* half a number */
    REFUSED(0, 7);            /* unknown */
    REFUSED(0, 1, 0, 0);      /* an empty piece */
    REFUSED(0, 1, 0, 2, 'a'); /* a cut piece */
    REFUSED(0, 1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 'a');
    REFUSED(0, 2, 3, 0, 0, 4);          /* a range below zero */
    REFUSED(0, 2, 3, 0, 1, 0, 2, 0);    /* a gap below zero */
    REFUSED(0, 2, 3, 0, 1, 0, 0, 2);    /* the range behind it */
    REFUSED(0, 2, 3, 0, 0x40, 0x40, 0); /* 64 ranges more than one */
    REFUSED(0, 3);                      /* no number */
    REFUSED(0, 3, 1, 3, 2);             /* twice */
    REFUSED(0, 5, 1, 2, 3, 4, 5, 6, 7); /* half a nonce */
    REFUSED(0, 1, 0, 1, 'a', 1, 1, 1, 'a', 1, 2, 1, 'a', 1, 3, 1, 'a', 1, 4, 1, 'a');
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(piece_and_end_are_those_of_the_page),
        cmocka_unit_test(acknowledgement_and_window_are_those_of_the_page),
        cmocka_unit_test(nonces_and_padding_are_those_of_the_page),
        cmocka_unit_test(acknowledgement_keeps_to_the_room),
        cmocka_unit_test(broken_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
