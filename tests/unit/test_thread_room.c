/* Room of a thread's own: one for each place that asks, kept until the thread ends. */
#include "base/thread_room.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { BYTES = 100 };

static uint8_t *use(void)
{
    static _Thread_local uint8_t *room;
    return osr_thread_room(&room, BYTES);
}

static uint8_t *use_elsewhere(void)
{
    static _Thread_local uint8_t *room;
    return osr_thread_room(&room, 1);
}

static void a_room_is_made_once(void **state)
{
    static const uint8_t zeros[BYTES];
    (void)state;
    uint8_t *room = use();
    assert_memory_equal(room, zeros, BYTES);
    assert_int_equal((uintptr_t)room % alignof(max_align_t), 0);
    memset(room, 1, BYTES);
    uint8_t *other = use_elsewhere();
    assert_ptr_not_equal(other, room);
    *other = 2;
    assert_ptr_equal(use(), room);
    assert_ptr_equal(use_elsewhere(), other);
    assert_int_equal(room[0], 1);
}

static void *look(void *own)
{
    uint8_t *room = use();
    bool is_its_own = room != own && room[0] == 0;
    memset(room, 3, BYTES);
    *use_elsewhere() = 3;
    return is_its_own ? own : NULL;
}

/* That a thread's room goes with it, the sanitizer's search for leaks shows. */
static void each_thread_has_its_own(void **state)
{
    pthread_t thread;
    void *found;
    (void)state;
    uint8_t *own = use();
    own[0] = 1;
    assert_int_equal(pthread_create(&thread, NULL, look, own), 0);
    assert_int_equal(pthread_join(thread, &found), 0);
    assert_ptr_equal(found, own);
    assert_int_equal(own[0], 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_room_is_made_once),
        cmocka_unit_test(each_thread_has_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
