/* What is published of the knowledge base, with the broker's simulated twin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/knowledge_fixture.h"
#include "lib/loop.h"
#include "lib/sim_bus.h"
#include "node/event_cursor.h"
#include "node/event_message.h"
#include "node/events.h"

struct rig {
    struct kb_fixture *kb;
    struct osr_sim_bus *broker;
    struct osr_events_target target;
    struct osr_events *events; /* NULL: stopped */
    struct osr_buffer seen;    /* "QUEUE:DATA " for each message, "QUEUE:-ID " for a deletion */
    size_t count;
    uint64_t last_sequence; /* of the last one, by KB_OWN */
    bool is_in_order;       /* each one the next of KB_OWN */
};

static void add_message(struct rig *rig, const char *queue, const Osr__WatchResponse *change)
{
    const Osr__Document *document = change->document;
    osr_buffer_add_format(&rig->seen, "%s:", queue);
    if (change->operation == OSR__OPERATION__DELETE) {
        osr_buffer_add_format(&rig->seen, "-%s ", document->id);
    } else {
        const ProtobufCBinaryData *text = &document->data->text;
        osr_buffer_add(&rig->seen, text->data + 1, text->len - 2);
        osr_buffer_add_text(&rig->seen, " ");
    }
    rig->is_in_order = rig->is_in_order && change->sequence == rig->last_sequence + 1;
    rig->last_sequence = change->sequence;
    rig->count++;
}

static void see(void *context, const char *queue, const struct osr_bus_message *message)
{
    struct rig *rig = context;
    struct osr_arena *arena = osr_arena_create(0, 1 << 20);
    struct osr_err err;
    Osr__Frame *frame;
    uint64_t request_id;
    assert_string_equal(message->content_type, osr_event_content_type(rig->target.codec));
    assert_int_equal(
        osr_frame_decode(rig->target.codec, message->body, arena, &frame, &request_id, &err), 0);
    assert_string_equal(osr_frame_type(frame), "KB_CHANGE");
    assert_int_equal(request_id, 0);
    add_message(rig, queue, frame->kb_change);
    osr_arena_destroy(arena);
}

static int start(struct rig *rig, struct osr_err *err)
{
    static const struct osr_trace trace;
    const struct osr_events_options options = {
        .loop = &rig->kb->loop,
        .knowledge = rig->kb->knowledge,
        .journal = rig->kb->journal,
        .target = &rig->target,
        .instance = KB_OWN,
        .data_folder = rig->kb->folder,
        .trace = &trace,
    };
    return osr_events_start(&options, &rig->events, err);
}

static void start_well(struct rig *rig)
{
    struct osr_err err = {0};
    int code = start(rig, &err);
    assert_string_equal(err.message, "");
    assert_int_equal(code, 0);
}

static void stop(struct rig *rig)
{
    osr_events_stop(rig->events);
    rig->events = NULL;
}

static int set_up(void **state)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    struct osr_err err;
    void *kb;
    kb_set_up(&kb);
    rig->kb = kb;
    rig->broker = osr_sim_bus_create(1);
    rig->is_in_order = true;
    osr_sim_bus_watch(rig->broker, see, rig);
    assert_int_equal(osr_url_parse("mqtt://localhost/x", &rig->target.url, &err), 0);
    rig->target.is_from_start = true;
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    void *kb = rig->kb;
    stop(rig);
    kb_tear_down(&kb); /* which runs the loop until it is empty */
    osr_sim_bus_destroy(rig->broker);
    osr_buffer_done(&rig->seen);
    free(rig);
    return 0;
}

/* ---- writing and waiting ---- */

static void put_in(struct rig *rig, const char *collection, const char *id, const char *data)
{
    struct draft one;
    Osr__Document *document = draft_document(&one, id, data);
    document->collection = (char *)(uintptr_t)collection;
    assert_int_equal(kb_write(rig->kb, OSR_WRITE_PUT, document).result.code, OSR_OK);
}

static void put(struct rig *rig, const char *data)
{
    put_in(rig, "", data, data);
}

static struct osr_events_status status_of(const struct rig *rig)
{
    struct osr_events_status status;
    osr_events_status(rig->events, &status);
    return status;
}

/* All is published and confirmed, and nothing is left to read. */
static void wait_for_all(struct rig *rig)
{
    while (!status_of(rig).is_up || status_of(rig).lag > 0) {
        uv_run(&rig->kb->loop, UV_RUN_ONCE);
    }
}

static void wait_until_seen(struct rig *rig, size_t count)
{
    while (rig->count < count) {
        uv_run(&rig->kb->loop, UV_RUN_ONCE);
    }
}

static void assert_seen(struct rig *rig, const char *text)
{
    osr_buffer_add_u8(&rig->seen, 0);
    assert_string_equal(rig->seen.data, text);
    rig->seen.size--;
}

/* ---- order and choice ---- */

/* New documents, versions and deletions, in the order in which they were written, each once; each
 * under the topic of its collection. */
static void events_tell_each_change_in_order(void **state)
{
    struct rig *rig = *state;
    put(rig, "before");
    start_well(rig);
    put_in(rig, "notes", "a", "one");
    put_in(rig, "notes", "a", "two");
    assert_int_equal(kb_write_text(rig->kb, OSR_WRITE_DELETE, "a", NULL).result.code, OSR_OK);
    put(rig, "after");
    wait_for_all(rig);
    assert_seen(rig, "x/kb:before x/kb/notes:one x/kb/notes:two x/kb/notes:-a x/kb:after ");
    assert_true(rig->is_in_order);
}

/* What other instances wrote is published like one's own. */
static void events_tell_changes_of_all_feeds(void **state)
{
    struct rig *rig = *state;
    struct draft one;
    start_well(rig);
    put(rig, "own");
    const struct osr_feed_put other = {.operation = OSR__OPERATION__PUT,
                                       .document = draft_document(&one, "o", "other")};
    kb_store(rig->kb, &rig->kb->other, 0, &other, 1);
    wait_until_seen(rig, 2);
    wait_for_all(rig);
    assert_seen(rig, "x/kb:own x/kb:other ");
}

/* Where nothing is said they begin with what comes after the first start, not after each. */
static void events_begin_now(void **state)
{
    struct rig *rig = *state;
    rig->target.is_from_start = false;
    put(rig, "before");
    start_well(rig);
    put(rig, "one");
    wait_for_all(rig);
    stop(rig);
    put(rig, "two");
    start_well(rig);
    wait_for_all(rig);
    assert_seen(rig, "x/kb:one x/kb:two ");
}

/* Names and prefixes choose; what was not chosen holds up nothing. */
static void events_keep_to_their_collections(void **state)
{
    struct rig *rig = *state;
    char *collections[] = {"notes", "tasks-*"};
    rig->target.collections = collections;
    rig->target.collection_count = 2;
    start_well(rig);
    put_in(rig, "notes", "", "a");
    put_in(rig, "notes-archive", "", "b");
    put_in(rig, "tasks", "", "c");
    put_in(rig, "tasks-", "", "d");
    put_in(rig, "tasks-new", "", "e");
    put(rig, "f");
    wait_for_all(rig);
    assert_seen(rig, "x/kb/notes:a x/kb/tasks-:d x/kb/tasks-new:e ");
}

/* ---- confirming ---- */

/* What was confirmed is not published again after a start in good order. */
static void events_go_on_behind_the_cursor(void **state)
{
    struct rig *rig = *state;
    start_well(rig);
    put(rig, "one");
    wait_for_all(rig);
    uint64_t position = status_of(rig).position;
    stop(rig);
    kb_reopen(rig->kb);
    start_well(rig);
    assert_int_equal(status_of(rig).position, position);
    put(rig, "two");
    wait_for_all(rig);
    assert_seen(rig, "x/kb:one x/kb:two ");
}

/* After a crash between the confirm and the writing of the cursor the change comes twice, and none
 * is lost; once the cursor is written, it does not come again. */
static void events_survive_a_crash(void **state)
{
    struct rig *rig = *state;
    start_well(rig);
    put(rig, "one");
    wait_for_all(rig);
    scratch_run(rig->kb->folder, "cp -r log copy");
    stop(rig);
    kb_close(rig->kb);
    scratch_run(rig->kb->folder, "rm -r log && mv copy log");
    kb_open(rig->kb);
    start_well(rig);
    put(rig, "two");
    wait_for_all(rig);
    assert_seen(rig, "x/kb:one x/kb:one x/kb:two ");

    loop_idle(&rig->kb->loop, 3 * OSR_EVENT_SAVE_MS);
    scratch_run(rig->kb->folder, "cp -r log copy");
    stop(rig);
    kb_close(rig->kb);
    scratch_run(rig->kb->folder, "rm -r log && mv copy log");
    kb_open(rig->kb);
    start_well(rig);
    wait_for_all(rig);
    assert_seen(rig, "x/kb:one x/kb:one x/kb:two ");
}

/* What was sent and not confirmed when the broker went is sent again, in order, before the rest. */
static void events_rewind_to_what_was_confirmed(void **state)
{
    struct rig *rig = *state;
    start_well(rig);
    put(rig, "one");
    wait_for_all(rig);
    osr_sim_bus_stall(rig->broker, true);
    put(rig, "two");
    put(rig, "three");
    wait_until_seen(rig, 3);
    assert_int_equal(status_of(rig).lag, 2);
    osr_sim_bus_go_down(rig->broker);
    while (status_of(rig).is_up || status_of(rig).last_error[0] == '\0') {
        uv_run(&rig->kb->loop, UV_RUN_ONCE);
    }
    put(rig, "four");
    assert_true(status_of(rig).lag >= 3);
    osr_sim_bus_stall(rig->broker, false);
    osr_sim_bus_go_up(rig->broker);
    wait_for_all(rig);
    assert_string_equal(status_of(rig).last_error, "");
    assert_seen(rig, "x/kb:one x/kb:two x/kb:three x/kb:two x/kb:three x/kb:four ");
}

/* A broker that is down at the start costs nothing but the wait. */
static void events_wait_for_a_broker(void **state)
{
    struct rig *rig = *state;
    osr_sim_bus_go_down(rig->broker);
    start_well(rig);
    put(rig, "one");
    while (status_of(rig).last_error[0] == '\0') {
        uv_run(&rig->kb->loop, UV_RUN_ONCE);
    }
    assert_int_equal(rig->count, 0);
    osr_sim_bus_go_up(rig->broker);
    wait_for_all(rig);
    assert_seen(rig, "x/kb:one ");
}

/* A broker that confirms nothing is sent a window of messages and no more; then all goes on. */
static void events_stop_at_the_window(void **state)
{
    struct rig *rig = *state;
    enum { COUNT = OSR_EVENTS_WINDOW_MESSAGES + 700 };
    start_well(rig);
    put(rig, "first");
    wait_for_all(rig);
    osr_sim_bus_stall(rig->broker, true);
    kb_put_many(rig->kb, COUNT);
    wait_until_seen(rig, 1 + OSR_EVENTS_WINDOW_MESSAGES);
    loop_idle(&rig->kb->loop, 50);
    assert_int_equal(rig->count, 1 + OSR_EVENTS_WINDOW_MESSAGES);
    osr_sim_bus_stall(rig->broker, false);
    wait_for_all(rig);
    assert_int_equal(rig->count, 1 + COUNT);
    assert_true(rig->is_in_order);
}

/* A broker that goes and comes again and again sees every change, in order from each time on. */
static void events_outlast_a_bad_broker(void **state)
{
    struct rig *rig = *state;
    start_well(rig);
    for (size_t round = 0; round < 10; round++) {
        char name[16];
        osr_sim_bus_stall(rig->broker, round % 3 == 0);
        for (size_t i = 0; i < 10; i++) {
            snprintf(name, sizeof(name), "r%zu-%zu", round, i);
            put(rig, name);
        }
        osr_sim_bus_go_down(rig->broker);
        loop_idle(&rig->kb->loop, 2);
        osr_sim_bus_go_up(rig->broker);
    }
    osr_sim_bus_stall(rig->broker, false);
    wait_for_all(rig);
    osr_buffer_add_u8(&rig->seen, 0);
    const char *at = (const char *)rig->seen.data;
    for (size_t i = 0; i < 100; i++) {
        char *message = osr_format("x/kb:r%zu-%zu ", i / 10, i % 10);
        at = strstr(at, message);
        assert_non_null(at);
        free(message);
    }
}

/* ---- the cursor ---- */

/* A cursor that a newer version wrote, or that is damaged, stops the start with its name. */
static void events_refuse_a_foreign_cursor(void **state)
{
    struct rig *rig = *state;
    struct osr_err err = {0};
    const char *key = "events:mqtt://localhost:1883/x";
    osr_journal_fact(rig->kb->journal, key, osr_slice("\2abcdefgh", 9), NULL, NULL);
    loop_idle(&rig->kb->loop, 20);
    assert_int_equal(start(rig, &err), OSR_UNSUPPORTED_VERSION);
    assert_non_null(strstr(err.message, key));
    osr_journal_fact(rig->kb->journal, key, osr_slice("\1abc", 4), NULL, NULL);
    loop_idle(&rig->kb->loop, 20);
    assert_int_equal(start(rig, &err), OSR_CORRUPT);
}

/* ---- the message ---- */

static void assert_topic(const char *collection, const char *expected)
{
    struct osr_event_topic topic;
    osr_event_topic(collection, &topic);
    assert_string_equal(topic.text, expected);
}

/* A collection's name is one level of the topic, whatever is in it, and no two share one. */
static void event_topic_is_escaped(void **state)
{
    (void)state;
    assert_topic("", "kb");
    assert_topic("notes", "kb/notes");
    assert_topic("Notes_1-a~", "kb/Notes_1-a~");
    assert_topic("a/b", "kb/a%2Fb");
    assert_topic("a.b", "kb/a%2Eb");
    assert_topic("#", "kb/%23");
    assert_topic("+*", "kb/%2B%2A");
    assert_topic("%2F", "kb/%252F");
    assert_topic("/", "kb/%2F");
    assert_topic("$SYS", "kb/%24SYS");
    assert_topic("!", "kb/%21");
    assert_topic("\xc3\xbc b", "kb/%C3%BC%20b");
}

/* One that would be too long is named by a hash of its own. */
static void event_topic_has_a_greatest_length(void **state)
{
    (void)state;
    char name[OSR_COLLECTION_BYTES_MAX + 1] = "";
    struct osr_event_topic topic, other;
    memset(name, '/', 84);
    osr_event_topic(name, &topic);
    assert_int_equal(strlen(topic.text), 3 + 3 * 84);
    memset(name, '/', 85);
    osr_event_topic(name, &topic);
    assert_int_equal(strlen(topic.text), 3 + 1 + 64);
    assert_memory_equal(topic.text, "kb/!", 4);
    name[0] = '.';
    osr_event_topic(name, &other);
    assert_string_not_equal(topic.text, other.text);
}

static void tell_in(struct rig *rig, enum osr_codec codec)
{
    rig->target.codec = codec;
    start_well(rig);
    put_in(rig, "notes", "a", "one");
    wait_for_all(rig);
    assert_seen(rig, "x/kb/notes:one ");
}

/* The same change in each codec. */
static void events_speak_protobuf(void **state)
{
    tell_in(*state, OSR_CODEC_PROTOBUF);
}

static void events_speak_yaml(void **state)
{
    tell_in(*state, OSR_CODEC_YAML);
}

/* What a program finds in it. */
static void event_message_names_the_change(void **state)
{
    (void)state;
    const struct osr_feed_id feed = {.origin = KB_OWN, .stream = "kb", .epoch = 2};
    struct draft one;
    Osr__Document *document = draft_document(&one, "a", "one");
    document->collection = "notes";
    const struct osr_query_reply reply = {.operation = OSR__OPERATION__PUT,
                                          .position = 7,
                                          .feed = &feed,
                                          .sequence = 5,
                                          .document = document};
    struct osr_buffer body = {0};
    osr_event_message(OSR_CODEC_JSON, &reply, &body);
    osr_buffer_add_u8(&body, 0);
    assert_string_equal(body.data,
                        "{\"type\":\"KB_CHANGE\",\"position\":7,\"origin\":\"" KB_OWN
                        "\",\"sequence\":5,\"operation\":\"PUT\",\"document\":{\"id\":\"a\","
                        "\"collection\":\"notes\",\"data\":\"one\"},\"epoch\":2}");
    osr_buffer_done(&body);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(events_tell_each_change_in_order),
        TEST(events_tell_changes_of_all_feeds),
        TEST(events_begin_now),
        TEST(events_keep_to_their_collections),
        TEST(events_go_on_behind_the_cursor),
        TEST(events_survive_a_crash),
        TEST(events_rewind_to_what_was_confirmed),
        TEST(events_wait_for_a_broker),
        TEST(events_stop_at_the_window),
        TEST(events_outlast_a_bad_broker),
        TEST(events_refuse_a_foreign_cursor),
        TEST(events_speak_protobuf),
        TEST(events_speak_yaml),
        cmocka_unit_test(event_topic_is_escaped),
        cmocka_unit_test(event_topic_has_a_greatest_length),
        cmocka_unit_test(event_message_names_the_change),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
