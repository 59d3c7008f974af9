/* Keys of CURVE and their form for people; the heads of ZeroMQ's messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/zmq_frames.h"
#include "adapter/zmq_keys.h"

/* The example of RFC 32: eight bytes; here four times, as a key has 32. */
static const char example_text[] = "HelloWorldHelloWorldHelloWorldHelloWorld";
static const uint8_t example_bytes[] = {0x86, 0x4f, 0xd2, 0x6f, 0xb5, 0x59, 0xf7, 0x5b};

static struct osr_slice text(const char *characters)
{
    return osr_slice_text(characters);
}

/* Z85 reads and writes what its specification says. */
static void z85_is_that_of_the_specification(void **state)
{
    uint8_t key[OSR_BUS_KEY_BYTES];
    char written[OSR_CURVE_KEY_CHARS + 1];
    (void)state;
    assert_true(osr_curve_key_read(text(example_text), key));
    for (size_t i = 0; i < sizeof(key); i += sizeof(example_bytes)) {
        assert_memory_equal(key + i, example_bytes, sizeof(example_bytes));
    }
    osr_curve_key_write(key, written);
    assert_string_equal(written, example_text);
}

/* A line's end is taken, nothing else that is no key. */
static void what_is_no_key_is_refused(void **state)
{
    static const char *const wrong[] = {
        "",
        "HelloWorld",
        "HelloWorldHelloWorldHelloWorldHelloWorl",
        "HelloWorldHelloWorldHelloWorldHelloWorldX",
        " HelloWorldHelloWorldHelloWorldHelloWorl",
        "HelloWorldHelloWorldHelloWorldHelloWor~d",
        "HelloWorldHelloWorldHelloWorldHelloWor\"d",
        "#####WorldHelloWorldHelloWorldHelloWorld", /* over 32 bits */
        "\xff\xff\xff\xff\xffWorldHelloWorldHelloWorldHelloWorld",
    };
    uint8_t key[OSR_BUS_KEY_BYTES];
    (void)state;
    assert_true(osr_curve_key_read(text("HelloWorldHelloWorldHelloWorldHelloWorld\r\n"), key));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        assert_false(osr_curve_key_read(text(wrong[i]), key));
    }
    assert_false(
        osr_curve_key_read(osr_slice("HelloWorldHelloWorldHelloWorldHello\0orld", 40), key));
}

/* The public key is that of the secret one; two pairs are not alike. */
static void pairs_fit_and_differ(void **state)
{
    uint8_t secret[2][OSR_BUS_KEY_BYTES];
    uint8_t public_key[2][OSR_BUS_KEY_BYTES];
    uint8_t found[OSR_BUS_KEY_BYTES];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        osr_curve_pair_make(secret[i], public_key[i]);
        osr_curve_public(secret[i], found);
        assert_memory_equal(found, public_key[i], sizeof(found));
    }
    assert_memory_not_equal(secret[0], secret[1], sizeof(secret[0]));
    assert_memory_not_equal(public_key[0], public_key[1], sizeof(public_key[0]));
}

/* What is put into a head comes out of it, empty frames as well. */
static void heads_keep_their_frames(void **state)
{
    static const char *const frames[] = {"id", "", "correlation", ""};
    uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX];
    size_t size = 0;
    struct osr_slice frame;
    (void)state;
    for (size_t i = 0; i < 4; i++) {
        assert_true(osr_zmq_head_add(head, &size, text(frames[i])));
    }
    struct osr_slice rest = osr_slice(head, size);
    for (size_t i = 0; i < 4; i++) {
        assert_true(osr_zmq_head_next(&rest, &frame));
        assert_true(osr_slice_equal(frame, text(frames[i])));
    }
    assert_false(osr_zmq_head_next(&rest, &frame));
}

/* A frame over 255 bytes, and one that the head has no room for, are not taken. */
static void heads_are_limited(void **state)
{
    static const uint8_t bytes[256];
    uint8_t head[OSR_ZMQ_HEAD_BYTES_MAX];
    size_t size = 0;
    (void)state;
    assert_false(osr_zmq_head_add(head, &size, osr_slice(bytes, 256)));
    assert_true(osr_zmq_head_add(head, &size, osr_slice(bytes, 255)));
    assert_true(osr_zmq_head_add(head, &size, osr_slice(bytes, 255)));
    assert_false(osr_zmq_head_add(head, &size, osr_slice(bytes, 0)));
    assert_int_equal(size, OSR_ZMQ_HEAD_BYTES_MAX);
}

/* A head whose last frame is cut ends before it: it may be anybody's. */
static void cut_heads_end(void **state)
{
    struct osr_slice rest = osr_slice("\2id\5corr", 8);
    struct osr_slice frame;
    (void)state;
    assert_true(osr_zmq_head_next(&rest, &frame));
    assert_false(osr_zmq_head_next(&rest, &frame));
    assert_int_equal(rest.size, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(z85_is_that_of_the_specification),
        cmocka_unit_test(what_is_no_key_is_refused),
        cmocka_unit_test(pairs_fit_and_differ),
        cmocka_unit_test(heads_keep_their_frames),
        cmocka_unit_test(heads_are_limited),
        cmocka_unit_test(cut_heads_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
