/* What of AMQP needs no broker: confirms out of order, and messages put together from frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "adapter/amqp_arrival.h"
#include "adapter/amqp_confirms.h"
#include "adapter/amqp_topology.h"

static void publish(struct osr_amqp_confirms *confirms, int count)
{
    for (int i = 0; i < count; i++) {
        osr_amqp_confirms_publish(confirms);
    }
}

/* A confirm that comes before its turn counts when those before it have come. */
static void confirms_wait_for_their_turn(void **state)
{
    struct osr_amqp_confirms confirms = {0};
    (void)state;
    publish(&confirms, 4);
    assert_false(osr_amqp_confirms_take(&confirms, 2, false));
    assert_false(osr_amqp_confirms_take(&confirms, 3, false));
    assert_true(osr_amqp_confirms_take(&confirms, 1, false));
    assert_int_equal(confirms.confirmed, 3);
    assert_true(osr_amqp_confirms_take(&confirms, 4, false));
    assert_int_equal(confirms.confirmed, 4);
}

/* One confirm may stand for all up to it, and for those behind it that came early. */
static void a_confirm_of_several_counts_them_all(void **state)
{
    struct osr_amqp_confirms confirms = {0};
    (void)state;
    publish(&confirms, 10);
    assert_false(osr_amqp_confirms_take(&confirms, 7, false));
    assert_false(osr_amqp_confirms_take(&confirms, 3, false));
    assert_true(osr_amqp_confirms_take(&confirms, 6, true));
    assert_int_equal(confirms.confirmed, 7);
    assert_true(osr_amqp_confirms_take(&confirms, 0, true));
    assert_int_equal(confirms.confirmed, 10);
}

/* What was never published, or was confirmed before, is nothing. */
static void false_confirms_are_ignored(void **state)
{
    struct osr_amqp_confirms confirms = {0};
    (void)state;
    publish(&confirms, 2);
    assert_false(osr_amqp_confirms_take(&confirms, 3, true));
    assert_false(osr_amqp_confirms_take(&confirms, UINT64_MAX, false));
    assert_true(osr_amqp_confirms_take(&confirms, 1, false));
    assert_false(osr_amqp_confirms_take(&confirms, 1, true));
    assert_int_equal(confirms.confirmed, 1);
}

/* Numbers come round in the window, and nothing of an earlier round is left in it. */
static void the_window_comes_round(void **state)
{
    struct osr_amqp_confirms confirms = {0};
    (void)state;
    publish(&confirms, OSR_AMQP_UNCONFIRMED_MAX);
    for (uint64_t tag = OSR_AMQP_UNCONFIRMED_MAX; tag > 1; tag--) {
        assert_false(osr_amqp_confirms_take(&confirms, tag, false));
    }
    assert_true(osr_amqp_confirms_are_full(&confirms));
    assert_true(osr_amqp_confirms_take(&confirms, 1, false));
    assert_int_equal(confirms.confirmed, OSR_AMQP_UNCONFIRMED_MAX);
    publish(&confirms, 2);
    assert_false(osr_amqp_confirms_take(&confirms, OSR_AMQP_UNCONFIRMED_MAX + 2, false));
    assert_int_equal(confirms.confirmed, OSR_AMQP_UNCONFIRMED_MAX);
}

/* ---- frames ---- */

static amqp_frame_t method_frame(amqp_method_number_t id, void *decoded)
{
    return (amqp_frame_t){.frame_type = AMQP_FRAME_METHOD,
                          .channel = OSR_AMQP_CHANNEL,
                          .payload.method = {.id = id, .decoded = decoded}};
}

static amqp_frame_t header_frame(amqp_basic_properties_t *properties, uint64_t body_size)
{
    return (amqp_frame_t){.frame_type = AMQP_FRAME_HEADER,
                          .channel = OSR_AMQP_CHANNEL,
                          .payload.properties = {.class_id = AMQP_BASIC_CLASS,
                                                 .body_size = body_size,
                                                 .decoded = properties}};
}

static amqp_frame_t body_frame(const char *text)
{
    return (amqp_frame_t){.frame_type = AMQP_FRAME_BODY,
                          .channel = OSR_AMQP_CHANNEL,
                          .payload.body_fragment = amqp_cstring_bytes(text)};
}

static struct osr_amqp_arrival take(struct osr_amqp_assembly *assembly, amqp_frame_t frame)
{
    return osr_amqp_assembly_take(assembly, OSR_BUS_LISTENER, &frame);
}

static amqp_basic_properties_t answerable(void)
{
    return (amqp_basic_properties_t){._flags = AMQP_BASIC_REPLY_TO_FLAG,
                                     .reply_to = amqp_cstring_bytes("amq.gen-x")};
}

static void begin(struct osr_amqp_assembly *assembly, uint64_t tag)
{
    amqp_basic_deliver_t deliver = {.delivery_tag = tag};
    struct osr_amqp_arrival arrival =
        take(assembly, method_frame(AMQP_BASIC_DELIVER_METHOD, &deliver));
    assert_int_equal(arrival.kind, OSR_AMQP_ARRIVED_NOTHING);
}

/* A body comes in pieces, and a word about the connection may come between two of them. */
static void a_message_is_put_together(void **state)
{
    struct osr_amqp_assembly assembly = {0};
    amqp_basic_properties_t properties = answerable();
    amqp_connection_blocked_t blocked = {.reason = amqp_cstring_bytes("low on disk")};
    amqp_frame_t between = method_frame(AMQP_CONNECTION_BLOCKED_METHOD, &blocked);
    (void)state;
    between.channel = 0;
    begin(&assembly, 7);
    assert_int_equal(take(&assembly, header_frame(&properties, 6)).kind, OSR_AMQP_ARRIVED_NOTHING);
    assert_int_equal(take(&assembly, body_frame("abc")).kind, OSR_AMQP_ARRIVED_NOTHING);
    assert_string_equal(take(&assembly, between).text, "low on disk");
    struct osr_amqp_arrival arrival = take(&assembly, body_frame("def"));
    assert_int_equal(arrival.kind, OSR_AMQP_ARRIVED_MESSAGE);
    assert_int_equal(arrival.mail->number, 7);
    assert_string_equal(arrival.mail->message.address, "amq.gen-x");
    assert_memory_equal(arrival.mail->message.body.data, "abcdef", 6);
    osr_amqp_mail_destroy(arrival.mail);
}

/* More than its header promises, or a piece of nothing, is a breach; what was begun is freed. */
static void pieces_that_do_not_fit_are_a_breach(void **state)
{
    struct osr_amqp_assembly assembly = {0};
    amqp_basic_properties_t properties = answerable();
    (void)state;
    assert_int_equal(take(&assembly, body_frame("abc")).kind, OSR_AMQP_ARRIVED_GARBAGE);
    assert_int_equal(take(&assembly, header_frame(&properties, 1)).kind, OSR_AMQP_ARRIVED_GARBAGE);
    begin(&assembly, 1);
    assert_int_equal(take(&assembly, body_frame("abc")).kind, OSR_AMQP_ARRIVED_GARBAGE);
    assert_int_equal(take(&assembly, header_frame(&properties, 2)).kind, OSR_AMQP_ARRIVED_NOTHING);
    assert_int_equal(take(&assembly, header_frame(&properties, 2)).kind, OSR_AMQP_ARRIVED_GARBAGE);
    assert_int_equal(take(&assembly, body_frame("abc")).kind, OSR_AMQP_ARRIVED_GARBAGE);
    osr_amqp_assembly_done(&assembly);
}

/* One over the limit, or that cannot be answered, takes no memory and is told when it is over. */
static void a_message_is_refused_by_its_header(void **state)
{
    struct osr_amqp_assembly assembly = {0};
    amqp_basic_properties_t properties = answerable();
    amqp_basic_properties_t unanswerable = {0};
    (void)state;
    begin(&assembly, 1);
    take(&assembly, header_frame(&properties, UINT64_MAX));
    assert_null(assembly.mail);
    assembly = (struct osr_amqp_assembly){0};
    begin(&assembly, 2);
    take(&assembly, header_frame(&unanswerable, 3));
    struct osr_amqp_arrival arrival = take(&assembly, body_frame("abc"));
    assert_int_equal(arrival.kind, OSR_AMQP_ARRIVED_REFUSED);
    assert_int_equal(arrival.tag, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(confirms_wait_for_their_turn),
        cmocka_unit_test(a_confirm_of_several_counts_them_all),
        cmocka_unit_test(false_confirms_are_ignored),
        cmocka_unit_test(the_window_comes_round),
        cmocka_unit_test(a_message_is_put_together),
        cmocka_unit_test(pieces_that_do_not_fit_are_a_breach),
        cmocka_unit_test(a_message_is_refused_by_its_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
