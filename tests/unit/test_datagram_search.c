/* How large a datagram may be: found by probes, and given up when the path has become narrower. */
#include "adapter/datagram_search.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "adapter/datagram_pipe.h"

enum { LOST_MAX = 8, NOW_US = 1000 };

/* A path that has carried 8,952 bytes. */
static struct osr_datagram_search wide_path(void)
{
    struct osr_datagram_search search;
    osr_datagram_search_init(&search, NOW_US);
    while (osr_datagram_search_bytes(&search) < 8952) {
        size_t bytes = osr_datagram_search_probe_bytes(&search, NOW_US);
        osr_datagram_search_note_probe(&search);
        osr_datagram_search_note_probe_end(&search, NOW_US, bytes, true);
    }
    return search;
}

/* Loses so many of that size, one after the other. True: the last one made it fall back. */
static bool lose(struct osr_datagram_search *search, size_t bytes, size_t count)
{
    bool has_fallen_back = false;
    for (size_t i = 0; i < count; i++) {
        assert_false(has_fallen_back);
        has_fallen_back = osr_datagram_search_note_lost(search, NOW_US, bytes);
    }
    return has_fallen_back;
}

/* Many full packets in a row are lost: back to the least, and it is searched anew. */
static void lost_full_packets_narrow_the_path(void **state)
{
    (void)state;
    struct osr_datagram_search search = wide_path();
    assert_true(lose(&search, 8952, LOST_MAX));
    assert_int_equal(osr_datagram_search_bytes(&search), OSR_DATAGRAM_BYTES_MIN);
    assert_true(osr_datagram_search_probe_bytes(&search, NOW_US) > OSR_DATAGRAM_BYTES_MIN);
}

/* Little is left to send: packets smaller than the path was, and larger than it is. Smaller ones
 * that arrive between them prove nothing. */
static void a_lost_tail_narrows_the_path(void **state)
{
    (void)state;
    struct osr_datagram_search search = wide_path();
    assert_false(lose(&search, 2923, LOST_MAX - 1));
    osr_datagram_search_note_acked(&search, 90);
    assert_true(lose(&search, 2923, 1));
    assert_int_equal(osr_datagram_search_bytes(&search), OSR_DATAGRAM_BYTES_MIN);
}

/* What is as large as the smallest that was lost has arrived: the others were lost by chance. */
static void arrived_large_packets_hold_the_path(void **state)
{
    (void)state;
    struct osr_datagram_search search = wide_path();
    assert_false(lose(&search, 8952, LOST_MAX - 2));
    assert_false(lose(&search, 2923, 1));
    osr_datagram_search_note_acked(&search, 2923);
    assert_false(lose(&search, 8952, LOST_MAX - 1));
    assert_int_equal(osr_datagram_search_bytes(&search), 8952);
}

/* The least size is what every path carries: its loss says nothing of sizes. */
static void small_packets_do_not_count(void **state)
{
    (void)state;
    struct osr_datagram_search search = wide_path();
    assert_false(lose(&search, OSR_DATAGRAM_BYTES_MIN, 10 * LOST_MAX));
    assert_int_equal(osr_datagram_search_bytes(&search), 8952);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lost_full_packets_narrow_the_path),
        cmocka_unit_test(a_lost_tail_narrows_the_path),
        cmocka_unit_test(arrived_large_packets_hold_the_path),
        cmocka_unit_test(small_packets_do_not_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
