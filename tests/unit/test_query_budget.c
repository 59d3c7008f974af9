/* Queries and the memory that replies share: they read nothing until there is room, and hold
 * nothing but the chunk at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "lib/knowledge_fixture.h"
#include "node/query.h"
#include "node/reply_memory.h"

struct fixture {
    struct kb_fixture *kb;
    struct osr_reply_memory *memory;
    struct osr_reply_part others; /* what somebody else holds */
};

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    void *kb;
    if (kb_set_up(&kb) != 0) {
        return -1;
    }
    fixture->kb = kb;
    fixture->memory = osr_reply_memory_create();
    osr_knowledge_limit_replies(fixture->kb->knowledge, fixture->memory);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    void *kb = fixture->kb;
    int code = kb_tear_down(&kb);
    osr_reply_memory_destroy(fixture->memory);
    free(fixture);
    return code;
}

static void hold_others(struct fixture *fixture, size_t bytes)
{
    osr_reply_memory_hold(fixture->memory, &fixture->others, bytes);
}

static bool is_empty(const struct fixture *fixture)
{
    return osr_reply_memory_has_room(fixture->memory, OSR_REPLY_LOOKUPS, OSR_REPLY_BYTES_MAX);
}

static struct osr_query *begin_list(struct fixture *fixture, struct answer *answer)
{
    answer->query =
        osr_knowledge_list(fixture->kb->knowledge, NULL, "", "", 0, answer_note, answer);
    return answer->query;
}

/* A list, and a look-up of one document, begin once there is room for them. */
static void queries_wait_for_room(void **state)
{
    struct fixture *fixture = *state;
    struct answer list = ANSWER_INIT;
    struct answer get = ANSWER_INIT;
    kb_put_many(fixture->kb, 2);
    kb_write_text(fixture->kb, OSR_WRITE_PUT, "n1", "1");
    hold_others(fixture, OSR_REPLY_BYTES_MAX);
    begin_list(fixture, &list);
    get.query = osr_knowledge_get(fixture->kb->knowledge, NULL, "n1", answer_note, &get);
    assert_int_equal(kb_count(fixture->kb), 3); /* what brings no documents is not held up */
    assert_int_equal(list.replies + get.replies, 0);
    hold_others(fixture, OSR_REPLY_BYTES_MAX - OSR_REPLY_LOOKUP_BYTES);
    osr_reply_memory_go_on(fixture->memory);
    kb_finish(fixture->kb, &get);
    assert_int_equal(get.code, OSR_OK);
    assert_int_equal(list.replies, 0);
    hold_others(fixture, 0);
    osr_reply_memory_go_on(fixture->memory);
    kb_finish(fixture->kb, &list);
    assert_int_equal(list.replies, 3);
    assert_true(is_empty(fixture));
    osr_buffer_done(&list.text);
    osr_buffer_done(&get.text);
}

/* What could be told at once waits in line like the rest. */
static void cache_answers_while_there_is_room(void **state)
{
    struct fixture *fixture = *state;
    struct osr_query_reply reply;
    struct osr_err err;
    kb_write_text(fixture->kb, OSR_WRITE_PUT, "n0", "0");
    assert_get(fixture->kb, "n0", "0 ");
    assert_true(osr_knowledge_get_cached(fixture->kb->knowledge, NULL, "n0", &reply, &err));
    hold_others(fixture, OSR_REPLY_BYTES_MAX);
    assert_false(osr_knowledge_get_cached(fixture->kb->knowledge, NULL, "n0", &reply, &err));
    hold_others(fixture, 0);
    assert_true(osr_knowledge_get_cached(fixture->kb->knowledge, NULL, "n0", &reply, &err));
}

/* A paused list holds its chunk for its reader; one that waits or is cancelled holds nothing. */
static void list_holds_a_chunk_at_most(void **state)
{
    struct fixture *fixture = *state;
    struct osr_reply_reader reader = {0};
    struct answer answer = ANSWER_INIT;
    kb_put_many(fixture->kb, OSR_CHUNK_ROWS + 10);
    answer.pause_after = 1;
    osr_query_set_reader(begin_list(fixture, &answer), &reader);
    kb_wait_for_replies(fixture->kb, &answer, 1);
    assert_in_range(reader.bytes, OSR_CHUNK_ROWS, 2 * OSR_CHUNK_BYTES);
    answer.pause_after = OSR_CHUNK_ROWS;
    osr_query_pause(answer.query, false);
    kb_wait_for_replies(fixture->kb, &answer, OSR_CHUNK_ROWS);
    assert_in_range(reader.bytes, 0, 64 << 10); /* of the places alone */
    hold_others(fixture, OSR_REPLY_BYTES_MAX);
    osr_query_pause(answer.query, false); /* stands in line */
    osr_query_cancel(answer.query);
    assert_int_equal(reader.bytes, 0);
    hold_others(fixture, 0);
    assert_true(is_empty(fixture));
    osr_buffer_done(&answer.text);
}

/* One that is cancelled while its thread is at work is no longer its reader's, who may go. */
static void cancelled_query_forgets_its_reader(void **state)
{
    struct fixture *fixture = *state;
    struct osr_reply_reader *reader = osr_alloc(sizeof(*reader));
    struct answer answer = ANSWER_INIT;
    kb_write_text(fixture->kb, OSR_WRITE_PUT, "n1", "1");
    kb_count(fixture->kb);
    struct osr_query *query =
        osr_knowledge_get(fixture->kb->knowledge, NULL, "n1", answer_note, &answer);
    osr_query_set_reader(query, reader);
    while (reader->bytes == 0) {
        uv_run(&fixture->kb->loop, UV_RUN_ONCE);
        assert_false(answer.is_done);
    }
    osr_query_cancel(query);
    assert_int_equal(reader->bytes, 0);
    free(reader);
    kb_count(fixture->kb);
    while (!is_empty(fixture)) {
        uv_run(&fixture->kb->loop, UV_RUN_ONCE);
    }
}

/* The numbers of documents behind which the next one took a while. */
struct pauses {
    size_t documents;
    size_t after[4];
    size_t count;
    bool is_done;
};

static void note_pause(void *context, const struct osr_query_reply *reply)
{
    struct pauses *pauses = context;
    pauses->documents += reply->document != NULL;
    if (reply->last) {
        pauses->is_done = true;
    } else if (reply->more_later) {
        assert_true(pauses->count < 4);
        pauses->after[pauses->count++] = pauses->documents;
    }
}

/* The last document of each chunk says that the next one takes a while. */
static void list_tells_the_end_of_a_chunk(void **state)
{
    struct fixture *fixture = *state;
    struct pauses pauses = {0};
    kb_put_many(fixture->kb, 2 * OSR_CHUNK_ROWS + 10);
    osr_knowledge_list(fixture->kb->knowledge, NULL, "", "", 0, note_pause, &pauses);
    kb_wait_for(fixture->kb, &pauses.is_done);
    assert_int_equal(pauses.documents, 2 * OSR_CHUNK_ROWS + 10);
    assert_int_equal(pauses.count, 2);
    assert_int_equal(pauses.after[0], OSR_CHUNK_ROWS);
    assert_int_equal(pauses.after[1], 2 * OSR_CHUNK_ROWS);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(queries_wait_for_room),         TEST(cache_answers_while_there_is_room),
        TEST(list_holds_a_chunk_at_most),    TEST(cancelled_query_forgets_its_reader),
        TEST(list_tells_the_end_of_a_chunk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
