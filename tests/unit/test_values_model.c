/* test_values_model.c -- ordered values on disk against their twin in memory, at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/random.h"
#include "lib/memory_values.h"
#include "lib/values_fixture.h"

static int set_up(void **state)
{
    struct values_fixture *fixture = values_fixture_create();

    values_open(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    values_fixture_destroy(*state);
    return 0;
}

static void reopen(struct values_fixture *fixture)
{
    values_close(fixture);
    values_open(fixture);
}

enum { MODEL_SEEDS = 10, MODEL_STEPS = 3000, MACHINES = 2 };

struct model {
    struct values_fixture *fixture;
    struct machine_values machines[MACHINES];
    struct memory_values memory[MACHINES];
    struct osr_random random;
    int walks;
    int reopened;
};

/* Few letters, so that keys meet and are each other's beginnings. */
static struct osr_slice random_key(struct model *model, uint8_t bytes[4])
{
    static const uint8_t letters[] = {0, 1, 'a', 'b', 0xff};
    size_t size = 1 + osr_random_below(&model->random, 4);

    for (size_t i = 0; i < size; i++) {
        bytes[i] = letters[osr_random_below(&model->random, sizeof(letters))];
    }
    return osr_slice(bytes, size);
}

static void change_at_random(struct model *model, size_t machine)
{
    struct osr_values *values = &model->machines[machine].values;
    struct osr_values *memory = &model->memory[machine].values;
    uint8_t value[300];
    uint8_t bytes[4];
    struct osr_slice key = random_key(model, bytes);

    if (osr_random_chance(&model->random, 0.4)) {
        values->remove(values, key);
        memory->remove(memory, key);
        return;
    }
    osr_random_fill(&model->random, value, sizeof(value));
    struct osr_slice slice = osr_slice(value, osr_random_below(&model->random, sizeof(value)));
    values->put(values, key, slice);
    memory->put(memory, key, slice);
}

static void ask_at_random(struct model *model, size_t machine)
{
    struct osr_values *sides[2] = {&model->machines[machine].values,
                                   &model->memory[machine].values};
    struct osr_buffer found[2] = {0};
    uint8_t bytes[4];
    struct osr_slice key = random_key(model, bytes);
    bool is_next = osr_random_chance(&model->random, 0.5);
    bool is_there[2];

    for (int i = 0; i < 2; i++) {
        is_there[i] = is_next ? sides[i]->next(sides[i], key, &found[i], &found[i])
                              : sides[i]->get(sides[i], key, &found[i]);
    }
    assert_int_equal(is_there[0], is_there[1]);
    assert_true(osr_slice_equal(osr_buffer_slice(&found[0]), osr_buffer_slice(&found[1])));
    osr_buffer_done(&found[0]);
    osr_buffer_done(&found[1]);
}

static void assert_same(struct model *model)
{
    for (size_t i = 0; i < MACHINES; i++) {
        values_assert_same(&model->machines[i].values, &model->memory[i].values);
    }
    model->walks++;
}

static void use_file(struct model *model)
{
    for (size_t i = 0; i < MACHINES; i++) {
        model->machines[i] = model->fixture->machine;
        model->machines[i].machine = (uint16_t)(i + 1);
    }
}

static void step_at_random(struct model *model)
{
    struct values_fixture *fixture = model->fixture;
    size_t machine = osr_random_below(&model->random, MACHINES);
    uint64_t choice = osr_random_below(&model->random, 1000);

    if (choice < 600) {
        change_at_random(model, machine);
    } else if (choice < 800) {
        ask_at_random(model, machine);
    } else if (choice < 900) {
        values_advance(fixture);
    } else if (choice < 950) {
        osr_values_file_flush(fixture->file);
    } else if (choice < 985) {
        uv_run(&fixture->loop, UV_RUN_NOWAIT);
    } else if (choice < 998) {
        assert_same(model);
    } else {
        values_advance(fixture);
        reopen(fixture);
        use_file(model);
        model->reopened++;
    }
}

/* Whatever is put, removed, flushed and reopened in whatever order: get and next answer as the twin
 * in memory does. */
static void file_does_as_its_twin_in_memory(void **state)
{
    struct model model = {.fixture = *state};

    for (size_t i = 0; i < MACHINES; i++) {
        memory_values_init(&model.memory[i]);
    }
    use_file(&model);
    for (uint64_t seed = 1; seed <= MODEL_SEEDS; seed++) {
        osr_random_init(&model.random, seed);
        for (int i = 0; i < MODEL_STEPS; i++) {
            step_at_random(&model);
        }
        assert_same(&model);
    }
    assert_in_range(model.walks, 50, MODEL_SEEDS * MODEL_STEPS);
    assert_in_range(model.reopened, 5, MODEL_SEEDS * MODEL_STEPS);
    assert_in_range(model.fixture->flushed_count, 20, MODEL_SEEDS * MODEL_STEPS);
    for (size_t i = 0; i < MACHINES; i++) {
        memory_values_done(&model.memory[i]);
    }
}

/* Many keys come between others that were sorted already, while walks go on. */
static void file_sorts_many_pending_keys(void **state)
{
    struct values_fixture *fixture = *state;
    struct memory_values memory;
    struct osr_random random;

    memory_values_init(&memory);
    osr_random_init(&random, 1);
    for (int i = 0; i < 20000; i++) {
        uint8_t bytes[12] = "prefix";
        struct osr_slice key = osr_slice(bytes, sizeof(bytes));
        struct osr_slice value = osr_slice(&i, sizeof(i));
        osr_random_fill(&random, bytes + osr_random_below(&random, 2) * 6, 6);
        fixture->machine.values.put(&fixture->machine.values, key, value);
        memory.values.put(&memory.values, key, value);
        if (i % 4000 == 777) {
            values_assert_same(&fixture->machine.values, &memory.values);
        }
    }
    values_assert_same(&fixture->machine.values, &memory.values);
    values_advance(fixture);
    values_flush(fixture);
    values_assert_same(&fixture->machine.values, &memory.values);
    memory_values_done(&memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(file_does_as_its_twin_in_memory),
        TEST(file_sorts_many_pending_keys),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
