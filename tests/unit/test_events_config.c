/* The section `events` of the config file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/scratch.h"
#include "node/config.h"
#include "node/config_file.h"

static int parse(const char *text, struct osr_config *config, struct osr_err *err)
{
    return osr_config_file_parse("f.yaml", osr_slice_text(text), config, err);
}

/* Takes the file, which must be right. */
static struct osr_config parse_right(const char *text)
{
    struct osr_config config = {0};
    struct osr_err err = {0};
    int code = parse(text, &config, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(code, 0);
    return config;
}

/* All keys mean what they say, and what is around the section is read. */
static void events_config_reads_a_target(void **state)
{
    (void)state;
    struct osr_config config = parse_right("name: a\n"
                                           "events:\n"
                                           "  - to: mqtt://u@localhost/osiris/events\n"
                                           "    collections: [notes, \"tasks-*\"]\n"
                                           "    streams: [kb]\n"
                                           "    codec: yaml\n"
                                           "    from: start\n"
                                           "  - to: zmq://0.0.0.0:7500\n"
                                           "    collections: one\n"
                                           "  - to: amqps://b.example/e?codec=protobuf\n"
                                           "    from: now\n"
                                           "cluster: c\n");
    assert_string_equal(config.cluster, "c");
    assert_int_equal(config.events.target_count, 3);
    const struct osr_events_target *target = config.events.targets;
    assert_string_equal(target[0].url.address, "osiris/events");
    assert_int_equal(target[0].codec, OSR_CODEC_YAML);
    assert_true(target[0].is_from_start);
    assert_true(osr_events_target_wants(&target[0], "tasks-1"));
    assert_false(osr_events_target_wants(&target[0], ""));
    assert_int_equal(target[1].codec, OSR_CODEC_JSON);
    assert_false(target[1].is_from_start);
    assert_true(osr_events_target_wants(&target[1], "one"));
    assert_false(osr_events_target_wants(&target[1], "one-more"));
    assert_int_equal(target[2].codec, OSR_CODEC_PROTOBUF);
    assert_true(osr_events_target_wants(&target[2], "anything"));
    osr_config_done(&config);
}

/* Without the section nothing is published. */
static void events_config_is_off_by_default(void **state)
{
    (void)state;
    struct osr_config config = parse_right("name: a\n");
    assert_int_equal(config.events.target_count, 0);
    osr_config_done(&config);
}

static void assert_refused(const char *text, const char *message)
{
    struct osr_config config = {0};
    struct osr_err err = {0};
    assert_int_equal(parse(text, &config, &err), OSR_CONFIG);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' is not in '%s'", message, err.message);
    }
    osr_config_done(&config);
}

/* What is wrong is refused with its place. */
static void events_config_refuses_what_is_wrong(void **state)
{
    (void)state;
    static const char to[] = "events:\n  - to: mqtt://localhost/x\n    ";
    static const struct {
        const char *rest;
        const char *message;
    } wrongs[] = {
        {"topics: [a]\n", "f.yaml:3: topics: unknown key"},
        {"streams: [kb, trust]\n", "f.yaml:3: streams: 'trust': who is trusted"},
        {"streams: logs\n", "f.yaml:3: streams: 'logs': the stream"},
        {"codec: xml\n", "f.yaml:3: codec: 'xml': a codec is"},
        {"codec: [json, yaml]\n", "f.yaml:3: codec: takes one value"},
        {"from: then\n", "f.yaml:3: from: 'then': events begin"},
        {"from: now\n    from: now\n", "f.yaml:4: from: the key is there twice"},
        {"collections: []\n", "f.yaml:3: collections: the list is empty"},
        {"collections: ['a*b']\n", "f.yaml:3: collections: 'a*b': a '*'"},
        {"collections: {a: b}\n", "f.yaml:3: collections: takes a word"},
        {"codec: json\n  - to: mqtt://localhost/x?codec=yaml\n", "go there already"},
    };
    for (size_t i = 0; i < sizeof(wrongs) / sizeof(wrongs[0]); i++) {
        char *text = osr_format("%s%s", to, wrongs[i].rest);
        assert_refused(text, wrongs[i].message);
        free(text);
    }
    assert_refused("events:\n  - codec: json\n", "f.yaml:2: events: `to` is missing");
    assert_refused("events: mqtt://localhost/x\n", "f.yaml:1: events: takes a list");
    assert_refused("events: [mqtt://localhost/x]\n", "f.yaml:1: events: takes a list");
    assert_refused("events: []\nevents: []\n", "f.yaml:2: events: the key is there twice");
    assert_refused("events:\n  - to: tls://h:1\n", "f.yaml:2: to: 'tls://h:1': events go to");
    assert_refused("events:\n  - to: mqtt://h/x?for=clients\n", "f.yaml:2: to: 'for' says nothing");
    assert_refused("events:\n  - {to: 'amqp://h/x?codec=json', codec: json}\n",
                   "f.yaml:2: codec: 'json': `to` names a codec");
    assert_refused("event: []\n", "f.yaml:1: event: unknown key");
}

/* One place more than there may be is refused. */
static void events_config_has_a_greatest_count(void **state)
{
    (void)state;
    struct osr_buffer text = {0};
    osr_buffer_add_text(&text, "events:\n");
    for (int i = 0; i < OSR_EVENTS_TARGETS_MAX; i++) {
        osr_buffer_add_format(&text, "  - to: mqtt://localhost/x%d\n", i);
    }
    osr_buffer_add_u8(&text, 0);
    struct osr_config config = parse_right((const char *)text.data);
    osr_config_done(&config);
    text.size--;
    osr_buffer_add_text(&text, "  - to: mqtt://localhost/y\n");
    osr_buffer_add_u8(&text, 0);
    assert_refused((const char *)text.data, "more than 8");
    osr_buffer_done(&text);
}

/* A reload finds out that something is different. */
static void events_config_is_compared(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "name: a\n",
        "events: [{to: mqtt://localhost/x}]\n",
        "events: [{to: mqtt://localhost/y}]\n",
        "events: [{to: mqtt://localhost/x, codec: yaml}]\n",
        "events: [{to: mqtt://localhost/x, from: start}]\n",
        "events: [{to: mqtt://localhost/x, collections: a}]\n",
        "events: [{to: mqtt://localhost/x, collections: b}]\n",
    };
    enum { COUNT = sizeof(texts) / sizeof(texts[0]) };
    for (size_t i = 0; i < COUNT; i++) {
        for (size_t k = 0; k < COUNT; k++) {
            struct osr_config a = parse_right(texts[i]), b = parse_right(texts[k]);
            assert_int_equal(osr_events_config_is_equal(&a.events, &b.events), i == k);
            osr_config_done(&a);
            osr_config_done(&b);
        }
    }
}

/* To a broker elsewhere they go encrypted, or where the config says that the network is trusted. */
static void events_config_keeps_plaintext_here(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_taken;
    } files[] = {
        {"data: /d\nevents: [{to: mqtt://127.0.0.1/x}]\n", true},
        {"data: /d\nevents: [{to: mqtt://broker.example/x}]\n", false},
        {"data: /d\nevents: [{to: amqp://broker.example/x}]\n", false},
        {"data: /d\nevents: [{to: mqtts://broker.example/x}]\n", true},
        {"data: /d\nevents: [{to: zmq://0.0.0.0:7500}]\n", true},
        {"data: /d\ninsecure: true\nevents: [{to: mqtt://broker.example/x}]\n", true},
    };
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
        struct scratch_file *scratch = scratch_file_create("osirisd.yaml");
        FILE *file = fopen(scratch->path, "w");
        assert_non_null(file);
        fputs(files[i].text, file);
        fclose(file);
        char *argv[] = {"osirisd", "--config", scratch->path};
        struct osr_config config = {0};
        enum osr_config_action action;
        struct osr_err err = {0};
        int code = osr_config_read(3, argv, &config, &action, &err);
        assert_int_equal(code, files[i].is_taken ? OSR_OK : OSR_CONFIG);
        osr_config_done(&config);
        scratch_remove(scratch->folder);
        free(scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(events_config_reads_a_target),
        cmocka_unit_test(events_config_is_off_by_default),
        cmocka_unit_test(events_config_refuses_what_is_wrong),
        cmocka_unit_test(events_config_has_a_greatest_count),
        cmocka_unit_test(events_config_is_compared),
        cmocka_unit_test(events_config_keeps_plaintext_here),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
