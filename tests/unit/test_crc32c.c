#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/crc32c.h"

/* The examples of RFC 3720, appendix B.4, and the check value of the catalogues. */
static void crc32c_matches_known_values(void **state)
{
    uint8_t bytes[32] = {0};

    (void)state;
    assert_int_equal(osr_crc32c(0, "123456789", 9), 0xe3069283);
    assert_int_equal(osr_crc32c(0, bytes, sizeof(bytes)), 0x8a9136aa);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = 0xff;
    assert_int_equal(osr_crc32c(0, bytes, sizeof(bytes)), 0x62a8ab43);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)i;
    assert_int_equal(osr_crc32c(0, bytes, sizeof(bytes)), 0x46dd794e);
}

/* The instruction and the table agree, whole or in parts, for every length and alignment. */
static void crc32c_is_the_same_by_table_and_in_parts(void **state)
{
    uint8_t bytes[80];

    (void)state;
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t begin = 0; begin < 8; begin++) {
        for (size_t size = 0; begin + size <= sizeof(bytes); size++) {
            uint32_t whole = osr_crc32c(7, bytes + begin, size);
            uint32_t first = osr_crc32c(7, bytes + begin, size / 3);
            assert_int_equal(whole, osr_crc32c_by_table(7, bytes + begin, size));
            assert_int_equal(whole, osr_crc32c(first, bytes + begin + size / 3, size - size / 3));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_matches_known_values),
        cmocka_unit_test(crc32c_is_the_same_by_table_and_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
