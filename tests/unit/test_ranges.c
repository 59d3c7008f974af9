/* Sets of numbers as ranges, and a ring found by offsets: against the plainest thing that does the
 * same. */
#include "base/byte_ring.h"
#include "base/random.h"
#include "base/ranges.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { NUMBERS = 100 };

static void check_same(const struct osr_ranges *ranges, const bool *is_in)
{
    for (uint64_t i = 0; i < NUMBERS; i++) {
        assert_int_equal(osr_ranges_has(ranges, i), is_in[i]);
    }
    for (size_t i = 0; i < ranges->count; i++) {
        assert_true(ranges->items[i].begin < ranges->items[i].end);
        assert_true(i == 0 || ranges->items[i - 1].end < ranges->items[i].begin);
    }
}

static void check_gaps(const struct osr_ranges *ranges, const bool *is_in, uint64_t begin,
                       uint64_t end)
{
    bool is_gap[NUMBERS] = {false};
    struct osr_range gap;
    for (uint64_t at = begin; osr_ranges_next_gap(ranges, &at, end, &gap);) {
        assert_int_equal(at, gap.end);
        for (uint64_t i = gap.begin; i < gap.end; i++) {
            is_gap[i] = true;
        }
    }
    for (uint64_t i = begin; i < end; i++) {
        assert_int_equal(is_gap[i], !is_in[i]);
    }
}

/* Whatever is added and removed, it holds what an array of flags holds, in ranges apart. */
static void ranges_hold_what_flags_hold(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    for (int round = 0; round < 200; round++) {
        struct osr_ranges ranges = {0};
        bool is_in[NUMBERS] = {false};
        for (int i = 0; i < 100; i++) {
            uint64_t begin = osr_random_below(&random, NUMBERS);
            uint64_t end = begin + osr_random_below(&random, 8);
            end = end > NUMBERS ? NUMBERS : end;
            bool is_added = osr_random_chance(&random, 0.5);
            (is_added ? osr_ranges_add : osr_ranges_remove)(&ranges, begin, end);
            for (uint64_t k = begin; k < end; k++) {
                is_in[k] = is_added;
            }
            check_same(&ranges, is_in);
            check_gaps(&ranges, is_in, begin, NUMBERS);
        }
        osr_ranges_done(&ranges);
    }
}

/* What lies within its bounds stays as it grows and moves along. */
static void ring_keeps_bytes_as_it_grows(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    struct osr_byte_ring ring = {0};
    uint64_t begin = 0;
    uint64_t end = 0;
    for (int round = 0; round < 2000; round++) {
        uint8_t bytes[5000];
        size_t size = osr_random_below(&random, sizeof(bytes));
        for (size_t i = 0; i < size; i++) {
            bytes[i] = (uint8_t)((end + i) * 31 >> 3);
        }
        osr_byte_ring_reserve(&ring, begin, end, end + size);
        osr_byte_ring_put(&ring, end, osr_slice(bytes, size));
        end += size;
        size = osr_random_below(&random, sizeof(bytes));
        size = end - begin < size ? (size_t)(end - begin) : size;
        osr_byte_ring_get(&ring, begin, bytes, size);
        for (size_t i = 0; i < size; i++) {
            assert_int_equal(bytes[i], (uint8_t)((begin + i) * 31 >> 3));
        }
        begin += size;
    }
    osr_byte_ring_done(&ring);
}

/* A ring that rests keeps what it needs again and again, and gives back what it does not. */
static void ring_at_rest_keeps_what_it_needs(void **state)
{
    enum { LARGE = 1 << 20, SMALL = 100 };
    struct osr_byte_ring ring = {0};
    (void)state;
    osr_byte_ring_reserve(&ring, 0, 0, LARGE);
    osr_byte_ring_rest(&ring, LARGE);
    assert_int_equal(ring.capacity, LARGE);
    osr_byte_ring_reserve(&ring, LARGE, LARGE, LARGE + SMALL);
    osr_byte_ring_rest(&ring, LARGE);
    assert_null(ring.data);
    osr_byte_ring_reserve(&ring, 0, 0, LARGE);
    osr_byte_ring_rest(&ring, LARGE - 1);
    assert_null(ring.data);
    assert_int_equal(ring.capacity, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_hold_what_flags_hold),
        cmocka_unit_test(ring_keeps_bytes_as_it_grows),
        cmocka_unit_test(ring_at_rest_keeps_what_it_needs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
