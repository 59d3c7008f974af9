/* test_agreed.c -- what an instance makes of revocations and policies that are agreed on: a ledger
 * of one, in memory, whose commands are applied at once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/credentials_fixture.h"
#include "lib/memory_values.h"
#include "node/access_config.h"
#include "node/agreed.h"

#define OTHER         "instance:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define READS         "members: {\"user:ana\": reader}\n"
#define TWO_DOCUMENTS READS "---\n" READS

struct fixture {
    struct osr_agreement agreement; /* first */
    struct memory_values memory;
    struct osr_machine machine;
    uint64_t index;
    struct cred_fixture *instance;
    struct osr_access *access;
    struct osr_agreed_state *agreed;
    bool has_own_policy;
    size_t change_count; /* how often on_changed came */
    enum osr_code answered;
};

/* ---- the ledger ---- */

static enum osr_code apply(struct fixture *fixture, struct osr_slice bytes)
{
    struct osr_buffer reply = {0};
    const struct osr_command command = {.index = ++fixture->index, .version = 1, .bytes = bytes};
    enum osr_code code =
        fixture->machine.apply(fixture->machine.context, &fixture->memory.values, &command, &reply);
    osr_buffer_done(&reply);
    return code;
}

static uint64_t propose(struct osr_agreement *agreement, enum osr_machine_id machine,
                        uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                        osr_agreed_done *done, void *context)
{
    struct fixture *fixture = (struct fixture *)agreement;
    assert_int_equal(machine, OSR_MACHINE_CLUSTER);
    assert_int_equal(version, OSR_CLUSTER_VERSION);
    assert_true(timeout_ms > 0);
    const struct osr_agreed agreed = {.code = apply(fixture, command), .index = fixture->index};
    done(context, &agreed);
    return 1;
}

static struct osr_values *values(struct osr_agreement *agreement, enum osr_machine_id machine)
{
    assert_int_equal(machine, OSR_MACHINE_CLUSTER);
    return &((struct fixture *)agreement)->memory.values;
}

static void on_answer(void *context, const struct osr_agreed *agreed)
{
    ((struct fixture *)context)->answered = agreed->code;
}

/* ---- the instance ---- */

static bool has_own_policy(void *context)
{
    return ((struct fixture *)context)->has_own_policy;
}

static uint64_t on_time(void *context)
{
    (void)context;
    return CRED_NOW;
}

static void on_changed(void *context)
{
    ((struct fixture *)context)->change_count++;
}

static void write_fact(void *context, const char *key, struct osr_slice value,
                       void (*written)(void *context, enum osr_code code), void *written_context)
{
    struct cred_fixture *instance = context;
    osr_facts_put(instance->disk, osr_slice_text(key), value);
    written(written_context, OSR_OK);
}

static const struct osr_trace silent;

static void start(struct fixture *fixture)
{
    const struct osr_access_options access = {
        .cluster = "main", .policy = osr_access_config_default(), .time_ms = on_time};
    fixture->access = osr_access_create(&access);
    const struct osr_agreed_options options = {
        .credentials = fixture->instance->credentials,
        .port = {write_fact, fixture->instance},
        .access = fixture->access,
        .has_own_policy = has_own_policy,
        .time_ms = on_time,
        .on_changed = on_changed,
        .context = fixture,
        .trace = &silent,
    };
    fixture->agreed = osr_agreed_create(&options);
    fixture->machine = osr_agreed_machine(fixture->agreed);
    fixture->machine.restored(fixture->machine.context, &fixture->memory.values);
    osr_agreed_start(fixture->agreed, &fixture->agreement);
}

static void stop(struct fixture *fixture)
{
    osr_agreed_destroy(fixture->agreed);
    osr_access_destroy(fixture->access);
}

static void restart(struct fixture *fixture)
{
    stop(fixture);
    cred_restart(fixture->instance);
    fixture->change_count = 0;
    start(fixture);
}

static int set_up(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    void *instance = NULL;
    cred_set_up(&instance);
    fixture->instance = instance;
    fixture->agreement = (struct osr_agreement){.propose = propose, .values = values};
    memory_values_init(&fixture->memory);
    start(fixture);
    *state = fixture;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    void *instance = fixture->instance;
    stop(fixture);
    memory_values_done(&fixture->memory);
    cred_tear_down(&instance);
    free(fixture);
    return 0;
}

/* ---- what the tests say ---- */

/* As a command of another member comes. */
static void agree(struct fixture *fixture, const char *key, struct osr_slice value)
{
    struct osr_buffer command = {0};
    const struct osr_kv_write write = {
        .is_remove = value.size == 0, .key = osr_slice_text(key), .value = value};
    assert_int_equal(osr_cluster_encode(&write, &command, NULL), 0);
    assert_int_equal(apply(fixture, osr_buffer_slice(&command)), OSR_OK);
    osr_buffer_done(&command);
    osr_agreed_end_turn(fixture->agreed);
}

static void agree_policy(struct fixture *fixture, const char *text)
{
    agree(fixture, OSR_CLUSTER_ACCESS_KEY, osr_slice_text(text));
}

static struct osr_credential revocation_of(const char *who, uint64_t at_ms)
{
    return (struct osr_credential){
        .kind = OSR_CREDENTIAL_REVOCATION,
        .revocation = {.serial = "", .who = who, .revoked_by = "user:eva", .revoked_ms = at_ms}};
}

static void agree_revocation(struct fixture *fixture, const struct osr_credential *revocation)
{
    struct osr_buffer value = {0};
    char *fact_key = osr_credential_key(revocation);
    char *key =
        osr_format(OSR_CLUSTER_CREDENTIAL_PREFIX "%s", fact_key + strlen(OSR_CREDENTIAL_PREFIX));
    osr_credential_encode(revocation, &value);
    agree(fixture, key, osr_buffer_slice(&value));
    osr_buffer_done(&value);
    free(key);
    free(fact_key);
}

static const struct osr_credential *find(const struct fixture *fixture, const char *who)
{
    return osr_credentials_find(fixture->instance->credentials, OSR_CREDENTIAL_REVOCATION, who);
}

static bool may_read(const struct fixture *fixture, const char *who)
{
    return osr_policy_allows(osr_policy_subject(osr_access_policy(fixture->access), who),
                             OSR_ACTION_READ, osr_part(OSR_PART_COLLECTION, "notes"));
}

static void assert_source(const struct fixture *fixture, enum osr_policy_source source)
{
    assert_int_equal(osr_agreed_policy_source(fixture->agreed), source);
}

/* ---- revocations ---- */

/* It is in force at the end of the turn, is told, and outlives the ledger's values. */
static void revocation_is_adopted(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_credential revocation = revocation_of(OTHER, 5);
    agree_revocation(fixture, &revocation);
    assert_non_null(find(fixture, OTHER));
    assert_int_equal(fixture->change_count, 1);
    memory_values_done(&fixture->memory);
    memory_values_init(&fixture->memory);
    restart(fixture);
    assert_non_null(find(fixture, OTHER));
}

/* All that there is, at a start and where a snapshot came; what is known already tells nobody. */
static void all_are_adopted_at_a_start(void **state)
{
    struct fixture *fixture = *state;
    for (const char *last = "bcdef"; *last != '\0'; last++) {
        char who[] = OTHER;
        who[sizeof(who) - 2] = *last;
        const struct osr_credential revocation = revocation_of(who, 5);
        agree_revocation(fixture, &revocation);
    }
    osr_facts_destroy(fixture->instance->disk);
    fixture->instance->disk = osr_facts_create(3);
    restart(fixture);
    assert_int_equal(cred_count_of(fixture->instance, OSR_CREDENTIAL_REVOCATION), 5);
    assert_int_equal(fixture->change_count, 1);
    restart(fixture);
    assert_int_equal(cred_count_of(fixture->instance, OSR_CREDENTIAL_REVOCATION), 5);
    assert_int_equal(fixture->change_count, 0);
}

/* Of two the first one stays: at its maker, and in the ledger. */
static void first_revocation_stays(void **state)
{
    struct fixture *fixture = *state;
    const char *id = OTHER + strlen("instance:");
    struct cred_fixture *instance = fixture->instance;
    assert_int_equal(osr_credentials_revoke_instance(instance->credentials, id, "user:bob",
                                                     CRED_NOW, cred_done(instance), NULL),
                     0);
    osr_agreed_propose_revocation(fixture->agreed, find(fixture, OTHER), 1000, on_answer, fixture);
    osr_agreed_end_turn(fixture->agreed);
    assert_int_equal(fixture->answered, OSR_OK);
    const struct osr_credential later = revocation_of(OTHER, CRED_NOW + 1);
    osr_agreed_propose_revocation(fixture->agreed, &later, 1000, on_answer, fixture);
    osr_agreed_end_turn(fixture->agreed);
    assert_int_equal(fixture->answered, OSR_CONFLICT);
    assert_string_equal(find(fixture, OTHER)->revocation.revoked_by, "user:bob");
    assert_int_equal(fixture->change_count, 0);
}

/* What cannot be read is passed over, and what comes behind it is not. */
static void unreadable_revocation_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    agree(fixture, "credential/revocation:" OTHER, osr_slice_text("\x63 of a later version"));
    assert_null(find(fixture, OTHER));
    const struct osr_credential good =
        revocation_of("instance:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", 5);
    agree_revocation(fixture, &good);
    assert_non_null(find(fixture, good.revocation.who));
}

/* ---- the policy ---- */

/* Set, replaced and taken away. */
static void policy_is_put_into_force(void **state)
{
    struct fixture *fixture = *state;
    assert_source(fixture, OSR_POLICY_DEFAULT);
    assert_false(may_read(fixture, "user:ana"));
    agree_policy(fixture, READS);
    assert_true(may_read(fixture, "user:ana"));
    assert_source(fixture, OSR_POLICY_AGREED);
    assert_int_equal(fixture->change_count, 1);
    restart(fixture);
    assert_true(may_read(fixture, "user:ana"));
    agree_policy(fixture, "members: {\"user:eva\": reader}\n");
    assert_false(may_read(fixture, "user:ana"));
    agree_policy(fixture, "");
    assert_false(may_read(fixture, "user:eva"));
    assert_source(fixture, OSR_POLICY_DEFAULT);
}

/* Whatever is agreed, the own file's stays; once that is gone, the agreed one holds. */
static void own_file_goes_first(void **state)
{
    struct fixture *fixture = *state;
    fixture->has_own_policy = true;
    restart(fixture);
    assert_source(fixture, OSR_POLICY_OWN_FILE);
    agree_policy(fixture, READS);
    assert_false(may_read(fixture, "user:ana"));
    assert_int_equal(fixture->change_count, 0);
    fixture->has_own_policy = false;
    assert_true(osr_agreed_review_policy(fixture->agreed));
    assert_true(may_read(fixture, "user:ana"));
    assert_source(fixture, OSR_POLICY_AGREED);
    fixture->has_own_policy = true;
    assert_false(osr_agreed_review_policy(fixture->agreed));
    assert_source(fixture, OSR_POLICY_OWN_FILE);
}

/* What cannot be read here changes nothing. */
static void unreadable_policy_is_passed_over(void **state)
{
    struct fixture *fixture = *state;
    static const char *const texts[] = {"roles: {a: [", "rolls: {}",
                                        "- a",          "# nothing\n",
                                        TWO_DOCUMENTS,  "members: {\"user:ana\": emperor}"};
    agree_policy(fixture, READS);
    for (size_t i = 0; i < COUNT(texts); i++) {
        agree_policy(fixture, texts[i]);
        assert_true(may_read(fixture, "user:ana"));
    }
    assert_int_equal(fixture->change_count, 1);
}

/* A setting is nobody's business here. */
static void settings_change_nothing(void **state)
{
    struct fixture *fixture = *state;
    agree(fixture, "setting/join", osr_slice_text("by-hand"));
    assert_int_equal(fixture->change_count, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(revocation_is_adopted),
        TEST(all_are_adopted_at_a_start),
        TEST(first_revocation_stays),
        TEST(unreadable_revocation_is_passed_over),
        TEST(policy_is_put_into_force),
        TEST(own_file_goes_first),
        TEST(unreadable_policy_is_passed_over),
        TEST(settings_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
