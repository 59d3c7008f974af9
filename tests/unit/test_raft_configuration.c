/* Who belongs to a ledger: what may be changed, and the stored form. */
#include "core/raft_configuration.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static struct osr_raft_change change_of(enum osr_raft_change_type type, uint64_t id)
{
    return (struct osr_raft_change){.type = type, .member = {.id = id}};
}

static int make(struct osr_raft_configuration *configuration, enum osr_raft_change_type type,
                uint64_t id)
{
    const struct osr_raft_change change = change_of(type, id);
    struct osr_err err;
    return osr_raft_configuration_change(configuration, &change, &err);
}

static int set_up(void **state)
{
    struct osr_raft_configuration *configuration = osr_alloc(sizeof(*configuration));
    configuration->count = 2;
    configuration->members[0] = (struct osr_raft_member){.id = 5, .standing = OSR_RAFT_VOTER};
    configuration->members[1] = (struct osr_raft_member){.id = 9, .standing = OSR_RAFT_VOTER};
    *state = configuration;
    return 0;
}

static int tear_down(void **state)
{
    free(*state);
    return 0;
}

/* Who is added learns first, and stands where its id belongs. */
static void adding_makes_a_learner_in_its_place(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 7), 0);
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 1), 0);
    assert_int_equal(configuration->count, 4);
    assert_int_equal(configuration->members[0].id, 1);
    assert_int_equal(configuration->members[2].id, 7);
    assert_int_equal(osr_raft_configuration_voters(configuration), 2);
    assert_false(osr_raft_configuration_is_voter(configuration, 7));
    assert_non_null(osr_raft_configuration_find(configuration, 7));
    assert_null(osr_raft_configuration_find(configuration, 8));
}

/* What is known of a member is another then, and nothing else is. */
static void an_update_changes_what_is_known_of_a_member(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    struct osr_raft_change change = change_of(OSR_RAFT_UPDATE, 5);
    struct osr_err err;
    change.member.standing = OSR_RAFT_LEARNER;
    change.member.is_promoted = true;
    change.member.context_size = 3;
    memcpy(change.member.context, "new", 3);
    assert_int_equal(osr_raft_configuration_change(configuration, &change, &err), 0);
    const struct osr_raft_member *member = osr_raft_configuration_find(configuration, 5);
    assert_int_equal(member->context_size, 3);
    assert_memory_equal(member->context, "new", 3);
    assert_int_equal(member->standing, OSR_RAFT_VOTER);
    assert_false(member->is_promoted);
    assert_int_equal(configuration->count, 2);

    change.member.context_size = OSR_RAFT_CONTEXT_BYTES_MAX + 1;
    assert_int_equal(osr_raft_configuration_change(configuration, &change, &err), OSR_TOO_LARGE);
    assert_int_equal(member->context_size, 3);
}

/* What makes no sense changes nothing. */
static void silly_changes_are_refused(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 0), OSR_INVALID_ARGUMENT);
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 5), OSR_ALREADY_EXISTS);
    assert_int_equal(make(configuration, OSR_RAFT_PROMOTE, 5), OSR_INVALID_ARGUMENT);
    assert_int_equal(make(configuration, OSR_RAFT_PROMOTE, 6), OSR_NOT_FOUND);
    assert_int_equal(make(configuration, OSR_RAFT_REMOVE, 6), OSR_NOT_FOUND);
    assert_int_equal(make(configuration, OSR_RAFT_UPDATE, 6), OSR_NOT_FOUND);
    assert_int_equal(make(configuration, (enum osr_raft_change_type)99, 5), OSR_INVALID_ARGUMENT);
    struct osr_raft_change wordy = change_of(OSR_RAFT_UPDATE, 5);
    wordy.member.context_size = OSR_RAFT_CONTEXT_BYTES_MAX + 1;
    assert_int_equal(osr_raft_configuration_change(configuration, &wordy, NULL), OSR_TOO_LARGE);
    assert_int_equal(configuration->count, 2);
    assert_int_equal(configuration->members[0].context_size, 0);
}

/* A ledger without a voter could never do anything again. */
static void the_last_voter_stays(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 7), 0);
    assert_int_equal(make(configuration, OSR_RAFT_REMOVE, 5), 0);
    assert_int_equal(make(configuration, OSR_RAFT_REMOVE, 9), OSR_INVALID_ARGUMENT);
    assert_int_equal(make(configuration, OSR_RAFT_REMOVE, 7), 0);
    assert_int_equal(configuration->count, 1);
    assert_int_equal(configuration->members[0].id, 9);
}

/* Seven voters, sixteen members, and no more. */
static void numbers_are_bounded(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    for (uint64_t id = 100; configuration->count < OSR_RAFT_MEMBERS_MAX; id++) {
        assert_int_equal(make(configuration, OSR_RAFT_ADD, id), 0);
    }
    assert_int_equal(make(configuration, OSR_RAFT_ADD, 1), OSR_TOO_LARGE);
    for (uint64_t id = 100; osr_raft_configuration_voters(configuration) < OSR_RAFT_VOTERS_MAX;
         id++) {
        assert_int_equal(make(configuration, OSR_RAFT_PROMOTE, id), 0);
    }
    assert_int_equal(make(configuration, OSR_RAFT_PROMOTE, 113), OSR_TOO_LARGE);
}

/* What was written is read back, each byte of it. */
static void stored_form_is_read_back(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    struct osr_raft_change change = change_of(OSR_RAFT_ADD, 7);
    change.member.is_promoted = true;
    change.member.context_size = 300;
    change.member.context[299] = 42;
    assert_int_equal(osr_raft_configuration_change(configuration, &change, NULL), 0);
    struct osr_buffer bytes = {0};
    struct osr_raft_configuration *read = osr_alloc(sizeof(*read));
    osr_raft_configuration_encode(configuration, &bytes);
    assert_int_equal(bytes.size, 2 + 3 * 12 + 300);
    assert_int_equal(osr_raft_configuration_decode(osr_buffer_slice(&bytes), read, NULL), 0);
    assert_memory_equal(read, configuration, sizeof(*read));
    free(read);
    osr_buffer_done(&bytes);
}

static void assert_malformed(const struct osr_buffer *bytes)
{
    struct osr_raft_configuration *read = osr_alloc(sizeof(*read));
    struct osr_err err;
    /* A copy of its own, so that reading beyond is noticed. */
    uint8_t *copy = osr_alloc_unset(bytes->size + 1);
    uint8_t *exact = osr_realloc(copy, bytes->size > 0 ? bytes->size : 1);
    memcpy(exact, bytes->data, bytes->size);
    assert_int_equal(osr_raft_configuration_decode(osr_slice(exact, bytes->size), read, &err),
                     OSR_MALFORMED);
    assert_int_equal(read->count, 0);
    free(exact);
    free(read);
}

/* The same configuration always has the same bytes: what encoding would not have made is refused,
 * and so is each beginning of it. */
static void other_forms_are_refused(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    static const struct {
        size_t offset;
        uint8_t value;
    } changes[] = {
        {0, 2},             /* version */
        {1, 0},             /* nobody */
        {1, 3},             /* more than there are */
        {1, 1},             /* less */
        {1, 255},           /* more than there can be */
        {9, 0},             /* an id of 0 */
        {9, 9},             /* the same id twice */
        {9, 10},            /* not upwards */
        {10, 0},            /* standing */
        {10, 3},   {11, 1}, /* a voter is not promoted */
        {12, 3},            /* a context over the limit */
        {13, 200},          /* or over the end */
    };
    struct osr_buffer bytes = {0};
    osr_raft_configuration_encode(configuration, &bytes);
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        uint8_t was = bytes.data[changes[i].offset];
        bytes.data[changes[i].offset] = changes[i].value;
        assert_malformed(&bytes);
        bytes.data[changes[i].offset] = was;
    }
    for (size_t size = bytes.size; size > 0; size--) {
        bytes.size = size - 1;
        assert_malformed(&bytes);
    }
    osr_buffer_done(&bytes);
}

/* Nobody would decide anything. */
static void learners_alone_are_refused(void **state)
{
    struct osr_raft_configuration *configuration = *state;
    struct osr_buffer bytes = {0};
    configuration->members[0].standing = OSR_RAFT_LEARNER;
    configuration->members[1].standing = OSR_RAFT_LEARNER;
    osr_raft_configuration_encode(configuration, &bytes);
    assert_malformed(&bytes);
    osr_buffer_done(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(adding_makes_a_learner_in_its_place, set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_update_changes_what_is_known_of_a_member, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(silly_changes_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_last_voter_stays, set_up, tear_down),
        cmocka_unit_test_setup_teardown(numbers_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stored_form_is_read_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_forms_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(learners_alone_are_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests_name("raft_configuration", tests, NULL, NULL);
}
