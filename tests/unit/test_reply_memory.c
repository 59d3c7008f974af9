/* The memory that replies share: who gets room, who waits, and who has to go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "node/reply_memory.h"

enum {
    MB = 1 << 20,
    STREAMS_MB = (OSR_REPLY_BYTES_MAX - OSR_REPLY_LOOKUP_BYTES) / MB,
    LOOKUPS_MB = OSR_REPLY_LOOKUP_BYTES / MB,
};

/* One who asks for a megabyte, and holds it once he gets it. */
struct asker {
    struct osr_reply_wait wait; /* first */
    struct osr_reply_part part;
    struct osr_reply_memory *memory;
    int readied;
};

static void hold_more(struct asker *asker, size_t bytes)
{
    osr_reply_memory_hold(asker->memory, &asker->part, asker->part.bytes + bytes);
}

static void on_ready(struct osr_reply_wait *wait)
{
    struct asker *asker = (struct asker *)wait;
    asker->readied++;
    hold_more(asker, wait->bytes);
}

static struct asker asker_of(struct osr_reply_memory *memory, struct osr_reply_reader *reader,
                             enum osr_reply_line line)
{
    return (struct asker){
        .wait = {.line = line, .bytes = MB, .ready = on_ready},
        .part = {.reader = reader},
        .memory = memory,
    };
}

static bool ask(struct asker *asker)
{
    asker->wait.part = &asker->part;
    bool has_room = osr_reply_memory_take(asker->memory, &asker->wait);
    if (has_room) {
        hold_more(asker, asker->wait.bytes);
    }
    return has_room;
}

static void give_back(struct asker *asker)
{
    osr_reply_memory_hold(asker->memory, &asker->part, 0);
}

/* Somebody who has as much as streams may have. */
static struct asker fill(struct osr_reply_memory *memory, struct osr_reply_reader *reader)
{
    struct asker holder = asker_of(memory, reader, OSR_REPLY_STREAMS);
    hold_more(&holder, (size_t)STREAMS_MB * MB);
    return holder;
}

/* Where there is no room one waits until there is, in the order of coming. */
static void reply_memory_lets_wait_in_order(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct asker holder = fill(memory, NULL);
    struct asker first = asker_of(memory, NULL, OSR_REPLY_STREAMS);
    struct asker second = asker_of(memory, NULL, OSR_REPLY_STREAMS);
    assert_false(ask(&first));
    assert_false(ask(&second));
    osr_reply_memory_go_on(memory);
    assert_int_equal(first.readied, 0);
    osr_reply_memory_hold(memory, &holder.part, holder.part.bytes - MB);
    osr_reply_memory_go_on(memory);
    assert_int_equal(first.readied, 1);
    assert_int_equal(second.readied, 0);
    give_back(&holder);
    struct asker third = asker_of(memory, NULL, OSR_REPLY_STREAMS);
    assert_false(ask(&third)); /* not past who was there before */
    osr_reply_memory_go_on(memory);
    assert_int_equal(second.readied, 1);
    assert_int_equal(third.readied, 1);
    give_back(&first);
    give_back(&second);
    give_back(&third);
    osr_reply_memory_destroy(memory);
}

/* Lists and watches leave room for look-ups, which fill that too, and no more. */
static void reply_memory_keeps_room_for_lookups(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct asker holder = fill(memory, NULL);
    struct asker lookup = asker_of(memory, NULL, OSR_REPLY_LOOKUPS);
    for (int i = 0; i < LOOKUPS_MB; i++) {
        assert_true(osr_reply_memory_has_room(memory, OSR_REPLY_LOOKUPS, MB));
        assert_true(ask(&lookup));
    }
    assert_false(osr_reply_memory_has_room(memory, OSR_REPLY_LOOKUPS, 1));
    assert_false(ask(&lookup));
    osr_reply_memory_leave(memory, &lookup.wait);
    give_back(&lookup);
    assert_true(osr_reply_memory_has_room(memory, OSR_REPLY_LOOKUPS, MB));
    give_back(&holder);
    osr_reply_memory_destroy(memory);
}

/* Who holds nothing goes before those who were there earlier and hold something. */
static void reply_memory_prefers_who_holds_nothing(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct osr_reply_reader greedy = {0};
    struct osr_reply_reader modest = {0};
    struct asker others = asker_of(memory, NULL, OSR_REPLY_STREAMS);
    hold_more(&others, (size_t)(STREAMS_MB - 1) * MB);
    struct asker greedy_first = asker_of(memory, &greedy, OSR_REPLY_STREAMS);
    struct asker greedy_second = asker_of(memory, &greedy, OSR_REPLY_STREAMS);
    struct asker modest_first = asker_of(memory, &modest, OSR_REPLY_STREAMS);
    assert_true(ask(&greedy_first));
    assert_false(ask(&greedy_second));
    assert_false(ask(&modest_first));
    hold_more(&others, 0 - (size_t)MB);
    osr_reply_memory_go_on(memory);
    assert_int_equal(modest_first.readied, 1);
    assert_int_equal(greedy_second.readied, 0);
    give_back(&others);
    osr_reply_memory_go_on(memory);
    assert_int_equal(greedy_second.readied, 1);
    give_back(&greedy_first);
    give_back(&greedy_second);
    give_back(&modest_first);
    assert_int_equal(greedy.bytes, 0);
    osr_reply_memory_destroy(memory);
}

/* One reader's lists wait for each other although there is room; others pass them. */
static void reply_memory_gives_each_reader_a_share(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct osr_reply_reader greedy = {0};
    struct osr_reply_reader modest = {0};
    struct asker holder = asker_of(memory, &greedy, OSR_REPLY_STREAMS);
    hold_more(&holder, OSR_REPLY_READER_BYTES);
    struct asker more = asker_of(memory, &greedy, OSR_REPLY_STREAMS);
    struct asker other = asker_of(memory, &modest, OSR_REPLY_STREAMS);
    assert_false(ask(&more));
    osr_reply_memory_go_on(memory);
    assert_int_equal(more.readied, 0);
    assert_false(ask(&other));
    osr_reply_memory_go_on(memory);
    assert_int_equal(other.readied, 1);
    assert_int_equal(more.readied, 0);
    give_back(&holder);
    osr_reply_memory_go_on(memory);
    assert_int_equal(more.readied, 1);
    give_back(&more);
    give_back(&other);
    osr_reply_memory_destroy(memory);
}

/* A line that stands still is somebody's fault once its time is over; not of who waits alone for
 * what he holds himself. */
static void reply_memory_tells_whom_others_wait_for(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct osr_reply_reader deaf = {0};
    struct osr_reply_reader other = {0};
    struct asker holder = fill(memory, &deaf);
    struct asker own = asker_of(memory, &deaf, OSR_REPLY_STREAMS);
    struct asker waiting = asker_of(memory, &other, OSR_REPLY_STREAMS);
    assert_false(ask(&own));
    osr_reply_memory_pass_time(memory, OSR_REPLY_WAIT_MS);
    assert_false(osr_reply_memory_waits_for(memory, &deaf));
    assert_false(ask(&waiting));
    assert_true(osr_reply_memory_waits_for(memory, &deaf));
    assert_true(osr_reply_memory_waits_for(memory, &other)); /* by the deaf one's own */
    osr_reply_memory_leave(memory, &own.wait);
    assert_false(osr_reply_memory_waits_for(memory, &other));
    osr_reply_memory_leave(memory, &waiting.wait);
    assert_false(ask(&waiting)); /* the time begins anew where nobody is left */
    osr_reply_memory_pass_time(memory, OSR_REPLY_WAIT_MS - 1);
    assert_false(osr_reply_memory_waits_for(memory, &deaf));
    osr_reply_memory_pass_time(memory, 1);
    assert_true(osr_reply_memory_waits_for(memory, &deaf));
    give_back(&holder);
    osr_reply_memory_go_on(memory);
    assert_int_equal(waiting.readied, 1);
    assert_false(osr_reply_memory_waits_for(memory, &deaf));
    give_back(&waiting);
    osr_reply_memory_destroy(memory);
}

/* What is held for a reader who goes is held for nobody. */
static void reply_part_changes_its_reader(void **state)
{
    (void)state;
    struct osr_reply_memory *memory = osr_reply_memory_create();
    struct osr_reply_reader reader = {0};
    struct asker holder = asker_of(memory, NULL, OSR_REPLY_STREAMS);
    hold_more(&holder, MB);
    osr_reply_part_set_reader(&holder.part, &reader);
    assert_int_equal(reader.bytes, MB);
    osr_reply_part_set_reader(&holder.part, NULL);
    assert_int_equal(reader.bytes, 0);
    give_back(&holder);
    osr_reply_memory_destroy(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reply_memory_lets_wait_in_order),
        cmocka_unit_test(reply_memory_keeps_room_for_lookups),
        cmocka_unit_test(reply_memory_prefers_who_holds_nothing),
        cmocka_unit_test(reply_memory_gives_each_reader_a_share),
        cmocka_unit_test(reply_memory_tells_whom_others_wait_for),
        cmocka_unit_test(reply_part_changes_its_reader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
