/* What a broker has not confirmed yet, by its ids and by our numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "adapter/mqtt_unconfirmed.h"

/* Messages are numbered from 1, and confirmed up to the last one without a gap. */
static void confirms_without_gaps(void **state)
{
    struct osr_mqtt_unconfirmed sent = {0};

    (void)state;
    for (uint16_t id = 1; id <= 4; id++) {
        assert_int_equal(osr_mqtt_unconfirmed_add(&sent, id, 10, NULL), id);
    }
    assert_true(osr_mqtt_unconfirmed_confirm(&sent, 1));
    assert_int_equal(sent.confirmed, 1);
    assert_false(osr_mqtt_unconfirmed_confirm(&sent, 3));
    assert_int_equal(sent.confirmed, 1);
    assert_int_equal(sent.bytes, 20);
    assert_true(osr_mqtt_unconfirmed_confirm(&sent, 2));
    assert_int_equal(sent.confirmed, 3);
    assert_int_equal(sent.count, 1);
    osr_mqtt_unconfirmed_clear(&sent);
    assert_int_equal(osr_mqtt_unconfirmed_add(&sent, 1, 10, NULL), 1);
    osr_mqtt_unconfirmed_clear(&sent);
}

/* A broker that confirms what was never sent, or twice, changes nothing. */
static void ignores_strange_ids(void **state)
{
    struct osr_mqtt_unconfirmed sent = {0};

    (void)state;
    assert_false(osr_mqtt_unconfirmed_confirm(&sent, 7));
    osr_mqtt_unconfirmed_add(&sent, 1, 10, NULL);
    osr_mqtt_unconfirmed_add(&sent, 2, 10, NULL);
    assert_false(osr_mqtt_unconfirmed_confirm(&sent, 7));
    assert_false(osr_mqtt_unconfirmed_confirm(&sent, 2));
    assert_false(osr_mqtt_unconfirmed_confirm(&sent, 2));
    assert_int_equal(sent.bytes, 10);
    assert_int_equal(sent.confirmed, 0);
    osr_mqtt_unconfirmed_clear(&sent);
}

/* Ids come round again, the ring grows in the middle of its turn, addresses stay with their ids. */
static void keeps_order_over_many(void **state)
{
    enum { COUNT = 200000, UNDER_WAY = 300 };
    struct osr_mqtt_unconfirmed sent = {0};
    char address[16];

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(address, sizeof(address), "p%u", i);
        assert_int_equal(osr_mqtt_unconfirmed_add(&sent, (uint16_t)i, 1, address), i + 1);
        if (i >= UNDER_WAY) {
            uint32_t oldest = i - UNDER_WAY;
            snprintf(address, sizeof(address), "p%u", oldest);
            assert_string_equal(osr_mqtt_unconfirmed_address(&sent, (uint16_t)oldest), address);
            assert_true(osr_mqtt_unconfirmed_confirm(&sent, (uint16_t)oldest));
            assert_int_equal(sent.confirmed, oldest + 1);
        }
    }
    assert_int_equal(sent.count, UNDER_WAY);
    assert_int_equal(sent.bytes, UNDER_WAY);
    assert_null(osr_mqtt_unconfirmed_address(&sent, 1));
    osr_mqtt_unconfirmed_clear(&sent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirms_without_gaps),
        cmocka_unit_test(ignores_strange_ids),
        cmocka_unit_test(keeps_order_over_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
