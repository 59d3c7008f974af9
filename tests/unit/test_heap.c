/* A heap of items that stand in their owners. */
#include "base/heap.h"
#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { ITEMS = 200 };

/* Whatever is put and removed in between, items come out by their keys, each once. */
static void heap_gives_the_smallest_first(void **state)
{
    (void)state;
    struct osr_random random;
    osr_random_init(&random, 1);
    for (int round = 0; round < 200; round++) {
        struct osr_heap heap = {0};
        struct osr_heap_item items[ITEMS] = {{0}};
        size_t left = 0;
        for (size_t i = 0; i < ITEMS; i++) {
            osr_heap_put(&heap, &items[i], osr_random_below(&random, 50));
            left++;
            struct osr_heap_item *any = &items[osr_random_below(&random, i + 1)];
            if (any->place != 0 && osr_random_chance(&random, 0.3)) {
                osr_heap_remove(&heap, any);
                left--;
            }
        }
        uint64_t last_key = 0;
        for (; left > 0; left--) {
            struct osr_heap_item *first = osr_heap_first(&heap);
            assert_true(first->key >= last_key);
            last_key = first->key;
            osr_heap_remove(&heap, first);
            assert_int_equal(first->place, 0);
        }
        assert_null(osr_heap_first(&heap));
        osr_heap_done(&heap);
    }
}

/* An item that is in no heap may be removed, and put again after. */
static void removed_item_may_return(void **state)
{
    (void)state;
    struct osr_heap heap = {0};
    struct osr_heap_item item = {0};
    osr_heap_remove(&heap, &item);
    osr_heap_put(&heap, &item, 5);
    osr_heap_remove(&heap, &item);
    osr_heap_remove(&heap, &item);
    osr_heap_put(&heap, &item, 3);
    assert_ptr_equal(osr_heap_first(&heap), &item);
    osr_heap_done(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heap_gives_the_smallest_first),
        cmocka_unit_test(removed_item_may_return),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
