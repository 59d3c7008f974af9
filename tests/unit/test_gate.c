/* Who may begin a TLS handshake, on a clock that the test makes up. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "adapter/address.h"
#include "adapter/gate.h"

#include <arpa/inet.h>
#include <netinet/in.h>

enum {
    SECOND = 1000,
    LATER = 3600 * SECOND,
    ANA = 1,
    BEN = 2,
    /* Of one address, at one moment: who may begin at once, and who waits as long as may be. */
    AT_ONCE = OSR_GATE_ADDRESS_BURST,
    WAITING = OSR_GATE_ADDRESS_RATE * OSR_GATE_WAIT_MS_MAX / SECOND,
};

static int set_up(void **state)
{
    *state = osr_gate_create(1);
    return 0;
}

static int tear_down(void **state)
{
    osr_gate_destroy(*state);
    return 0;
}

/* How many of so many that knock at once are let in, now or later. */
static int let_in(struct osr_gate *gate, uint64_t address, int count, uint64_t now_ms)
{
    int in = 0;
    for (int i = 0; i < count; i++) {
        in += osr_gate_knock(gate, address, now_ms) != OSR_GATE_CLOSED;
    }
    return in;
}

/* So many that have nothing to do with each other begin. */
static void begin(struct osr_gate *gate, struct osr_visitor *visitors, int count, uint64_t address)
{
    for (int i = 0; i < count; i++) {
        assert_null(osr_gate_begin(gate, &visitors[i], address));
    }
}

static void leave(struct osr_gate *gate, struct osr_visitor *visitors, int count)
{
    for (int i = 0; i < count; i++) {
        osr_gate_leave(gate, &visitors[i]);
    }
}

/* ---- how often ---- */

/* A burst begins at once, those behind it one after the other, and who would wait for longer than
 * is borne is turned away and counted. */
static void gate_lets_a_burst_in_and_the_rest_wait(void **state)
{
    for (int i = 0; i < AT_ONCE; i++) {
        assert_int_equal(osr_gate_knock(*state, ANA, LATER), 0);
    }
    for (int i = 1; i <= WAITING; i++) {
        assert_int_equal(osr_gate_knock(*state, ANA, LATER), i * SECOND / OSR_GATE_ADDRESS_RATE);
    }
    assert_true(osr_gate_knock(*state, ANA, LATER) == OSR_GATE_CLOSED);
    assert_true(osr_gate_knock(*state, ANA, LATER) == OSR_GATE_CLOSED);
    assert_int_equal(osr_gate_take_refusals(*state).turned_away, 2);
    assert_int_equal(osr_gate_take_refusals(*state).turned_away, 0);
}

/* However fast somebody knocks, in a second no more get in than the rate allows. */
static void gate_keeps_its_rate(void **state)
{
    let_in(*state, ANA, 10000, LATER);
    int in = 0;
    for (uint64_t ms = 1; ms <= 10 * SECOND; ms++) {
        in += let_in(*state, ANA, 3, LATER + ms);
    }
    assert_int_equal(in, 10 * OSR_GATE_ADDRESS_RATE);
}

/* What was turned away costs nothing more: after a while all is as it was at first. */
static void gate_forgives(void **state)
{
    let_in(*state, ANA, 10000, LATER);
    assert_int_equal(let_in(*state, ANA, 10000, LATER + 10 * SECOND), AT_ONCE + WAITING);
}

/* One address takes nothing from another. */
static void gate_keeps_addresses_apart(void **state)
{
    let_in(*state, ANA, 10000, LATER);
    assert_int_equal(osr_gate_knock(*state, BEN, LATER + SECOND), 0);
}

/* Many addresses share what strangers have, however many they are. */
static void gate_bounds_all_strangers(void **state)
{
    int in = 0;
    for (uint64_t address = 0; address < 1000; address++) {
        in += let_in(*state, address, 10, LATER);
    }
    assert_int_equal(in, OSR_GATE_STRANGERS_BURST +
                             OSR_GATE_STRANGERS_RATE * OSR_GATE_WAIT_MS_MAX / SECOND);
}

/* Who comes from where somebody known is connected gets in beside any flood of strangers, at the
 * rate of one address; once that one has left it is a stranger's address again. */
static void gate_has_an_allowance_for_the_known(void **state)
{
    struct osr_visitor link[2] = {0};
    begin(*state, link, 2, ANA);
    osr_gate_pass(*state, &link[0], true);
    osr_gate_pass(*state, &link[1], true);
    for (uint64_t address = 10; address < 1000; address++) {
        let_in(*state, address, 10, LATER);
    }
    assert_true(osr_gate_knock(*state, BEN, LATER) == OSR_GATE_CLOSED);
    assert_int_equal(let_in(*state, ANA, 10000, LATER), AT_ONCE + WAITING);
    osr_gate_leave(*state, &link[0]);
    assert_int_equal(let_in(*state, ANA, 10000, LATER + SECOND), OSR_GATE_ADDRESS_RATE);
    osr_gate_leave(*state, &link[1]);
    for (uint64_t address = 10; address < 1000; address++) {
        let_in(*state, address, 10, LATER + SECOND);
    }
    assert_true(osr_gate_knock(*state, ANA, LATER + SECOND) == OSR_GATE_CLOSED);
}

/* Who has shown nothing makes its address known to nobody. */
static void gate_does_not_know_who_has_shown_nothing(void **state)
{
    struct osr_visitor visitor = {0};
    begin(*state, &visitor, 1, ANA);
    osr_gate_pass(*state, &visitor, false);
    for (uint64_t address = 10; address < 1000; address++) {
        let_in(*state, address, 10, LATER);
    }
    assert_true(osr_gate_knock(*state, ANA, LATER) == OSR_GATE_CLOSED);
    osr_gate_leave(*state, &visitor);
}

/* ---- how many at a time ---- */

/* Where all places are taken the oldest of the address with the most goes, and only then. */
static void gate_crowds_out_the_oldest_of_the_most(void **state)
{
    enum { FEW = 10, MOST = OSR_GATE_UNDER_WAY_MAX - FEW };
    struct osr_visitor few[FEW] = {0};
    struct osr_visitor most[MOST] = {0};
    struct osr_visitor later[2] = {0};
    begin(*state, few, FEW, BEN);
    begin(*state, most, MOST, ANA);
    assert_ptr_equal(osr_gate_begin(*state, &later[0], BEN), &most[0]);
    assert_ptr_equal(osr_gate_begin(*state, &later[1], ANA), &most[1]);
    assert_int_equal(osr_gate_take_refusals(*state).crowded_out, 2);
    leave(*state, few, FEW);
    leave(*state, most, MOST);
    leave(*state, later, 2);
}

/* Whose handshake is done, or who has left, takes no place. */
static void gate_counts_only_those_under_way(void **state)
{
    struct osr_visitor visitors[OSR_GATE_UNDER_WAY_MAX] = {0};
    struct osr_visitor later[2] = {0};
    begin(*state, visitors, OSR_GATE_UNDER_WAY_MAX, ANA);
    osr_gate_pass(*state, &visitors[17], false);
    osr_gate_leave(*state, &visitors[99]);
    osr_gate_leave(*state, &visitors[99]);
    assert_null(osr_gate_begin(*state, &later[0], ANA));
    assert_null(osr_gate_begin(*state, &later[1], ANA));
    struct osr_visitor one_more = {0};
    assert_ptr_equal(osr_gate_begin(*state, &one_more, ANA), &visitors[0]);
    osr_gate_leave(*state, &one_more);
    leave(*state, visitors, OSR_GATE_UNDER_WAY_MAX);
    leave(*state, later, 2);
}

/* ---- addresses ---- */

static uint64_t network(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return osr_address_network((const struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return osr_address_network((const struct sockaddr *)&v6);
}

/* What one person has one of: an IPv4 address, written in whichever way, and a /64 of IPv6. */
static void network_is_what_one_person_has(void **state)
{
    (void)state;
    assert_true(network("192.0.2.1") == network("::ffff:192.0.2.1"));
    assert_true(network("192.0.2.1") != network("192.0.2.2"));
    assert_true(network("2001:db8::1") == network("2001:db8::ffff:2"));
    assert_true(network("2001:db8:0:1::1") != network("2001:db8::1"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(gate_lets_a_burst_in_and_the_rest_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_keeps_its_rate, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_forgives, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_keeps_addresses_apart, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_bounds_all_strangers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_has_an_allowance_for_the_known, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_does_not_know_who_has_shown_nothing, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(gate_crowds_out_the_oldest_of_the_most, set_up, tear_down),
        cmocka_unit_test_setup_teardown(gate_counts_only_those_under_way, set_up, tear_down),
        cmocka_unit_test(network_is_what_one_person_has),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
