/* Which topics an MQTT bus takes from and sends to, and what it makes of those that come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "adapter/mqtt_topics.h"

static struct osr_mqtt_topics topics_of(enum osr_bus_role role)
{
    return (struct osr_mqtt_topics){
        .role = role, .address = "osiris/office", .peer = "0123456789abcdef0123456789abcdef"};
}

static void assert_sends_to(enum osr_bus_role role, const char *address, const char *expected)
{
    struct osr_mqtt_topics topics = topics_of(role);
    struct osr_mqtt_topic topic;
    bool can = osr_mqtt_topics_to(&topics, address, &topic);

    assert_int_equal(can, expected != NULL);
    if (can) {
        assert_string_equal(topic.text, expected);
    }
}

static void assert_reads(enum osr_bus_role role, const char *topic, const char *content_type,
                         enum osr_mqtt_sense sense, const char *address)
{
    struct osr_mqtt_topics topics = topics_of(role);
    const char *found;

    assert_int_equal(osr_mqtt_topics_read(&topics, topic, content_type, &found), sense);
    assert_string_equal(found, address);
}

/* What the two ends of a link send, the other one is subscribed to. */
static void ends_of_a_link_meet(void **state)
{
    struct osr_mqtt_topics listener = topics_of(OSR_BUS_LISTENER);
    struct osr_mqtt_topics dialler = topics_of(OSR_BUS_DIALLER);
    struct osr_mqtt_topic filters[OSR_MQTT_FILTERS_MAX];
    struct osr_mqtt_topic topic;

    (void)state;
    assert_int_equal(osr_mqtt_topics_filters(&listener, filters), 1);
    assert_string_equal(filters[0].text, "osiris/office/in/+");
    assert_sends_to(OSR_BUS_DIALLER, NULL, "osiris/office/in/0123456789abcdef0123456789abcdef");

    assert_int_equal(osr_mqtt_topics_filters(&dialler, filters), 2);
    assert_true(osr_mqtt_topics_to(&listener, dialler.peer, &topic));
    assert_string_equal(topic.text, filters[0].text);
    assert_true(osr_mqtt_topics_end(&listener, &topic));
    assert_string_equal(topic.text, filters[1].text);
}

/* A dialler that goes is told from one that sends an empty message. */
static void an_end_is_told_by_its_type(void **state)
{
    (void)state;
    assert_reads(OSR_BUS_LISTENER, "osiris/office/in/p", NULL, OSR_MQTT_MESSAGE, "p");
    assert_reads(OSR_BUS_LISTENER, "osiris/office/in/p", "text/plain", OSR_MQTT_MESSAGE, "p");
    assert_reads(OSR_BUS_LISTENER, "osiris/office/in/p", OSR_MQTT_END_TYPE, OSR_MQTT_GONE, "p");
    assert_reads(OSR_BUS_DIALLER, "osiris/office/gone", NULL, OSR_MQTT_GONE, "");
}

/* A broker that gives what nobody asked for is not believed. */
static void other_topics_are_unexpected(void **state)
{
    static const char *const strange[] = {
        "",
        "osiris/office",
        "osiris/office/",
        "osiris/office/in",
        "osiris/office/in/",
        "osiris/office/in/a/b",
        "osiris/office/in/+",
        "osiris/office/in/\x01",
        "osiris/office/in/\xff",
        "osiris/officer/in/p",
        "osiris/office/out/p",
    };
    (void)state;
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++) {
        assert_reads(OSR_BUS_LISTENER, strange[i], NULL, OSR_MQTT_UNEXPECTED, "");
        assert_reads(OSR_BUS_DIALLER, strange[i], NULL, OSR_MQTT_UNEXPECTED, "");
        assert_reads(OSR_BUS_EVENTS, strange[i], NULL, OSR_MQTT_UNEXPECTED, "");
    }
    assert_reads(OSR_BUS_CLIENTS, "osiris/office/in/p", NULL, OSR_MQTT_UNEXPECTED, "");
    assert_reads(OSR_BUS_CLIENTS, "osiris/office", NULL, OSR_MQTT_MESSAGE, "");
}

/* A peer's address of the longest kind fits; one character more is nobody's. */
static void long_addresses_are_cut_off(void **state)
{
    char topic[32 + OSR_BUS_ADDRESS_BYTES_MAX] = "osiris/office/in/";
    char *peer = topic + strlen(topic);

    (void)state;
    memset(peer, 'p', OSR_BUS_ADDRESS_BYTES_MAX);
    assert_reads(OSR_BUS_LISTENER, topic, NULL, OSR_MQTT_MESSAGE, peer);
    peer[OSR_BUS_ADDRESS_BYTES_MAX] = 'p';
    assert_reads(OSR_BUS_LISTENER, topic, NULL, OSR_MQTT_UNEXPECTED, "");
}

/* Replies go where the request says, events below the address; nothing goes to wildcards. */
static void what_is_sent_has_no_wildcards(void **state)
{
    (void)state;
    assert_sends_to(OSR_BUS_CLIENTS, "answers/7", "answers/7");
    assert_sends_to(OSR_BUS_EVENTS, "kb/people/ana", "osiris/office/kb/people/ana");
    assert_sends_to(OSR_BUS_CLIENTS, NULL, NULL);
    assert_sends_to(OSR_BUS_CLIENTS, "", NULL);
    assert_sends_to(OSR_BUS_CLIENTS, "answers/#", NULL);
    assert_sends_to(OSR_BUS_EVENTS, "kb/+/ana", NULL);
    assert_sends_to(OSR_BUS_EVENTS, "kb/\n", NULL);
    assert_sends_to(OSR_BUS_LISTENER, "p/../gone", NULL);
}

/* Nor does a request's reply go where a broker ends the connection over it. */
static void replies_go_where_brokers_let_them(void **state)
{
    char levels[2 * 101] = "";

    (void)state;
    assert_sends_to(OSR_BUS_CLIENTS, "$SYS/broker", NULL);
    assert_sends_to(OSR_BUS_CLIENTS, "$share/all/answers", NULL);
    assert_sends_to(OSR_BUS_CLIENTS, "answers/$7", "answers/$7");
    for (int i = 0; i < 99; i++) {
        strcat(levels, "a/");
    }
    strcat(levels, "a");
    assert_sends_to(OSR_BUS_CLIENTS, levels, levels);
    strcat(levels, "/");
    assert_sends_to(OSR_BUS_CLIENTS, levels, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_of_a_link_meet),
        cmocka_unit_test(an_end_is_told_by_its_type),
        cmocka_unit_test(other_topics_are_unexpected),
        cmocka_unit_test(long_addresses_are_cut_off),
        cmocka_unit_test(what_is_sent_has_no_wildcards),
        cmocka_unit_test(replies_go_where_brokers_let_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
