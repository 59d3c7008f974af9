/* test_store.c -- what the projection says of documents, against a naive model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <sqlite3.h>

#include "base/random.h"
#include "lib/store_fixture.h"

/* ---- the naive model ---- */

enum { MODEL_DOCUMENTS = 12, MODEL_VERSIONS = 400, MODEL_FACTS = 4 };

struct model_version {
    struct osr_version_state state;
    uint32_t log_id;
    uint64_t index;
    Osr__Operation operation;
    uint64_t expires_ms;
    char collection[16];
};

struct model_document {
    char id[16];
    struct model_version versions[MODEL_VERSIONS];
    size_t count;
};

struct model {
    struct model_document documents[MODEL_DOCUMENTS]; /* sorted by id */
    char facts[MODEL_FACTS][16];                      /* "": none */
    struct osr_random random;
    uint64_t time_ms;
};

static struct model_version *model_version(struct model_document *document,
                                           const struct osr_version *version)
{
    for (size_t i = 0; i < document->count; i++) {
        if (osr_version_compare(&document->versions[i].state.version, version) == 0) {
            return &document->versions[i];
        }
    }
    assert_true(document->count < MODEL_VERSIONS);
    struct model_version *added = &document->versions[document->count++];
    added->state.version = *version;
    return added;
}

static const struct model_version *model_winner(const struct model_document *document)
{
    struct osr_version_state states[MODEL_VERSIONS] = {0};
    for (size_t i = 0; i < document->count; i++) {
        states[i] = document->versions[i].state;
    }
    int winner = osr_version_winner(states, document->count);
    return winner < 0 ? NULL : &document->versions[winner];
}

static bool model_is_visible(const struct model_version *winner)
{
    return winner != NULL && winner->operation == OSR__OPERATION__PUT &&
           (winner->expires_ms == 0 || winner->expires_ms > FIXTURE_NOW_MS);
}

static struct osr_version random_version(struct model *model, const struct model_document *document)
{
    struct osr_random *random = &model->random;
    if (document->count > 0 && osr_random_chance(random, 0.8)) {
        return document->versions[osr_random_below(random, document->count)].state.version;
    }
    /* One that may come later, or never. */
    struct osr_version version = {.time = {model->time_ms + osr_random_below(random, 40), 0}};
    memcpy(version.origin, fixture_origins[1 + osr_random_below(random, FIXTURE_LOGS)],
           OSR_INSTANCE_CHARS);
    return version;
}

/* A version of its own for the next entry. Times go up on the whole, but not from one entry to
 * the next. */
static struct model_version *model_new_version(struct model *model, struct model_document *target,
                                               uint32_t log_id)
{
    struct model_version *made;
    do {
        struct osr_version version = {
            .time = {++model->time_ms + osr_random_below(&model->random, 30), 0}};
        memcpy(version.origin, fixture_origins[log_id], OSR_INSTANCE_CHARS);
        made = model_version(target, &version);
    } while (made->state.known);
    return made;
}

/* Names up to three versions of the target, known or not, in the document and in the model. */
static void model_supersede(struct model *model, struct model_document *target,
                            Osr__Document *document, Osr__Version *versions)
{
    if (target->count == 0) {
        return;
    }
    size_t count = osr_random_below(&model->random, 4);
    for (; document->n_supersedes < count; document->n_supersedes++) {
        struct osr_version named = random_version(model, target);
        struct model_version *superseded = model_version(target, &named);
        superseded->state.superseded = true;
        Osr__Version *version = &versions[document->n_supersedes];
        osr__version__init(version);
        version->time_ms = superseded->state.version.time.ms;
        version->time_logical = superseded->state.version.time.logical;
        version->origin = superseded->state.version.origin;
        document->supersedes[document->n_supersedes] = version;
    }
}

/* Writes a random entry to the log, and to the model. */
static void model_write(struct model *model, struct store_fixture *fixture)
{
    struct osr_random *random = &model->random;
    struct model_document *target = &model->documents[osr_random_below(random, MODEL_DOCUMENTS)];
    uint32_t log_id = 1 + (uint32_t)osr_random_below(random, FIXTURE_LOGS);
    Osr__Document document = OSR__DOCUMENT__INIT;
    Osr__Json data = OSR__JSON__INIT;
    Osr__Version versions[3];
    Osr__Version *supersedes[3];
    document.id = target->id;
    document.collection = osr_random_chance(random, 0.3) ? "other" : "";
    if (osr_random_chance(random, 0.2)) {
        document.expires_ms = FIXTURE_NOW_MS - 50 + osr_random_below(random, 100);
    }
    document.supersedes = supersedes;
    model_supersede(model, target, &document, versions);

    struct model_version *written = model_new_version(model, target, log_id);
    written->state.known = true;
    written->log_id = log_id;
    written->index = fixture->last_index[log_id] + 1;
    written->operation = OSR__OPERATION__DELETE;
    written->expires_ms = document.expires_ms;
    snprintf(written->collection, sizeof(written->collection), "%s", document.collection);
    char json[64];
    if (osr_random_chance(random, 0.8)) {
        written->operation = OSR__OPERATION__PUT;
        snprintf(json, sizeof(json), "[\"common\",\"only%ux%llu\"]", log_id,
                 (unsigned long long)written->index);
        data.text = (ProtobufCBinaryData){strlen(json), (uint8_t *)json};
        document.data = &data;
    }
    fixture_log_entry(fixture, log_id, written->state.version.time, written->operation, &document);
}

static void model_write_fact(struct model *model, struct store_fixture *fixture)
{
    size_t which = osr_random_below(&model->random, MODEL_FACTS);
    char key[8];
    snprintf(key, sizeof(key), "fact%zu", which);
    model->facts[which][0] = '\0';
    if (osr_random_chance(&model->random, 0.7)) {
        snprintf(model->facts[which], sizeof(model->facts[which]), "%zu", fixture->record_count);
    }
    fixture_log_fact(fixture, key, model->facts[which]);
}

static size_t ask_versions(struct store_fixture *fixture, const char *id,
                           const struct osr_store_wanted *wanted,
                           struct osr_store_version **ret_versions)
{
    size_t count = 0;
    struct osr_err err;
    *ret_versions = NULL;
    assert_int_equal(
        osr_store_versions(fixture->reader, osr_slice_text(id), wanted, ret_versions, &count, &err),
        0);
    return count;
}

/* `is_only`: whether it is superseded does not matter. */
static void assert_version_equal(struct model_document *document,
                                 const struct osr_store_version *version, bool is_only)
{
    const struct model_version *expected = model_version(document, &version->state.version);
    assert_int_equal(version->state.known, expected->state.known);
    if (!is_only) {
        assert_int_equal(version->state.superseded, expected->state.superseded);
    }
    if (expected->state.known) {
        assert_int_equal(version->log_id, expected->log_id);
        assert_int_equal(version->index, expected->index);
        assert_int_equal(version->operation, expected->operation);
        assert_int_equal(version->expires_ms, expected->expires_ms);
    }
}

static void assert_versions_equal(struct store_fixture *fixture, struct model_document *document)
{
    struct osr_store_wanted all = {MODEL_VERSIONS, MODEL_VERSIONS, NULL, 0};
    struct osr_store_version *versions;
    size_t count = ask_versions(fixture, document->id, &all, &versions);
    size_t expected = 0;
    for (size_t i = 0; i < document->count; i++) {
        expected += document->versions[i].state.known;
    }
    assert_int_equal(count, expected);
    for (size_t i = 0; i < count; i++) {
        assert_version_equal(document, &versions[i], count == 1);
    }
    free(versions);
}

/* One head and one other version are enough to know the winner. */
static void assert_little_is_enough(struct store_fixture *fixture, struct model_document *document)
{
    struct osr_store_wanted little = {1, 1, NULL, 0};
    struct osr_store_version *versions;
    size_t count = ask_versions(fixture, document->id, &little, &versions);
    assert_in_range(count, 0, 2);
    struct osr_version_state states[2];
    for (size_t i = 0; i < count; i++) {
        states[i] = versions[i].state;
    }
    int winner = osr_version_winner(states, count);
    const struct model_version *expected = model_winner(document);
    assert_int_equal(winner >= 0, expected != NULL);
    if (expected != NULL) {
        assert_int_equal(osr_version_compare(&states[winner].version, &expected->state.version), 0);
    }
    free(versions);
}

/* Each version is found by its name, also one that is only named. */
static void assert_names_are_found(struct store_fixture *fixture, struct model_document *document)
{
    for (size_t i = 0; i < document->count; i++) {
        struct osr_store_wanted named = {0, 0, &document->versions[i].state.version, 1};
        struct osr_store_version *versions;
        assert_int_equal(ask_versions(fixture, document->id, &named, &versions),
                         model_winner(document) != NULL);
        if (versions != NULL) {
            assert_version_equal(document, versions, document->count == 1);
        }
        free(versions);
    }
}

/* Whatever can be asked gives what the model says. */
static void assert_equals_model(struct store_fixture *fixture, struct model *model)
{
    struct osr_buffer all = {0};
    struct osr_buffer others = {0};
    uint64_t count = 0;
    struct osr_digest *expected = osr_digest_create(NULL, 0);
    for (size_t i = 0; i < MODEL_DOCUMENTS; i++) {
        struct model_document *document = &model->documents[i];
        assert_versions_equal(fixture, document);
        assert_little_is_enough(fixture, document);
        assert_names_are_found(fixture, document);
        const struct model_version *winner = model_winner(document);
        if (winner != NULL) {
            osr_digest_add(expected, osr_slice_text(document->id), &winner->state.version,
                           winner->operation);
        }
        if (model_is_visible(winner)) {
            count++;
            osr_buffer_add_format(&all, "%s%s", all.size > 0 ? " " : "", document->id);
            if (strcmp(winner->collection, "other") == 0) {
                osr_buffer_add_format(&others, "%s%s", others.size > 0 ? " " : "", document->id);
            }
        }
    }
    osr_buffer_add_u8(&all, 0);
    osr_buffer_add_u8(&others, 0);
    assert_list(fixture, "", "", 0, (const char *)all.data);
    assert_list(fixture, "", "other", 0, (const char *)others.data);
    assert_int_equal(fixture_count_visible(fixture), count);

    struct osr_err err;
    struct osr_digest *actual = osr_digest_create(NULL, 0);
    assert_int_equal(osr_store_digest(fixture->reader, actual, &err), 0);
    struct osr_hash actual_hash = osr_digest_finish(actual);
    struct osr_hash expected_hash = osr_digest_finish(expected);
    assert_true(osr_hash_equal(&actual_hash, &expected_hash));
    osr_digest_destroy(actual);
    osr_digest_destroy(expected);
    osr_buffer_done(&all);
    osr_buffer_done(&others);
}

static void assert_facts_equal(struct store_fixture *fixture, const struct model *model)
{
    for (size_t i = 0; i < MODEL_FACTS; i++) {
        char key[8];
        snprintf(key, sizeof(key), "fact%zu", i);
        struct osr_buffer value = {0};
        bool found = false;
        struct osr_err err;
        assert_int_equal(osr_store_fact(fixture->reader, osr_slice_text(key), &value, &found, &err),
                         0);
        assert_int_equal(found, model->facts[i][0] != '\0');
        assert_text(&value, model->facts[i]);
        osr_buffer_done(&value);
    }
}

/* The index finds each visible document by the word of its winner, no other version, and
 * holds no word of what is gone: not even hidden from view. */
static void assert_index_equals_model(struct store_fixture *fixture, struct model *model)
{
    int live = 0;
    for (size_t i = 0; i < MODEL_DOCUMENTS; i++) {
        struct model_document *document = &model->documents[i];
        const struct model_version *winner = model_winner(document);
        live += winner != NULL && winner->operation == OSR__OPERATION__PUT;
        for (size_t k = 0; k < document->count; k++) {
            const struct model_version *version = &document->versions[k];
            char word[32];
            snprintf(word, sizeof(word), "only%ux%llu", version->log_id,
                     (unsigned long long)version->index);
            bool shows = version == winner && model_is_visible(winner);
            if (version->state.known) {
                assert_search(fixture, word, shows ? document->id : "");
            }
        }
    }
    assert_int_equal(fixture_ask_file(fixture, "search.db",
                                      "SELECT count(*) FROM search WHERE search MATCH 'common'"),
                     live);
    assert_int_equal(fixture_ask_file(fixture, "search.db",
                                      "INSERT INTO search (search) VALUES ('integrity-check')"),
                     -SQLITE_DONE);
}

/* A power cut: each file may be back at an earlier commit, on its own. */
static void cut_power(struct store_fixture *fixture, struct osr_random *random, bool *has_copies)
{
    fixture_close(fixture);
    if (*has_copies) {
        if (osr_random_chance(random, 0.5)) {
            fixture_copy_file(fixture, "documents.copy", "documents.db");
        }
        if (osr_random_chance(random, 0.5)) {
            fixture_copy_file(fixture, "search.copy", "search.db");
        }
    }
    fixture_copy_file(fixture, "documents.db", "documents.copy");
    fixture_copy_file(fixture, "search.db", "search.copy");
    *has_copies = true;
    fixture_open(fixture);
}

static void run_model(struct store_fixture *fixture, uint64_t seed, int steps)
{
    struct model *model = osr_alloc(sizeof(*model));
    osr_random_init(&model->random, seed);
    for (size_t i = 0; i < MODEL_DOCUMENTS; i++) {
        snprintf(model->documents[i].id, sizeof(model->documents[i].id), "d%02zu", i);
    }
    struct osr_random *random = &model->random;
    struct osr_err err;
    uint64_t left;
    bool has_copies = false;
    for (int step = 0; step < steps; step++) {
        uint64_t dice = osr_random_below(random, 100);
        if (dice < 55) {
            model_write(model, fixture);
        } else if (dice < 62) {
            model_write_fact(model, fixture);
        } else if (dice < 80) {
            size_t count = 1 + osr_random_below(random, 20);
            assert_int_equal(fixture_apply_some(fixture, count, osr_random_below(random, 5), &err),
                             0);
        } else if (dice < 93) {
            size_t count = 1 + osr_random_below(random, 8);
            assert_int_equal(osr_store_index(fixture->store, count, &left, &err), 0);
        } else if (dice < 98) {
            cut_power(fixture, random, &has_copies);
        } else if (dice < 99) {
            fixture_rebuild(fixture);
            has_copies = false;
        } else {
            fixture_apply_all(fixture);
            assert_equals_model(fixture, model);
        }
    }
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_equals_model(fixture, model);
    assert_facts_equal(fixture, model);
    assert_index_equals_model(fixture, model);
    free(model);
}

/* Random puts, updates, deletes and facts of several origins in any order, with power cuts
 * and rebuilds between, end as the model says. */
static void store_follows_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 8; seed++) {
        void *fixture;
        fixture_set_up(&fixture);
        print_message("# seed %llu\n", (unsigned long long)seed);
        run_model(fixture, seed, 600);
        fixture_tear_down(&fixture);
    }
}

/* ---- documents ---- */

/* One version twice, once as a put and once as a delete: whichever comes first, the digest
 * is the same. */
static void store_takes_a_doubled_version_in_any_order(void **state)
{
    struct osr_hash hashes[2];
    for (int round = 0; round < 2; round++) {
        void *made;
        fixture_set_up(&made);
        struct store_fixture *fixture = made;
        Osr__Document gone = OSR__DOCUMENT__INIT;
        gone.id = "x";
        if (round == 1) {
            fixture_log_entry(fixture, 1, (struct osr_time){7, 0}, OSR__OPERATION__DELETE, &gone);
        }
        fixture_log_put(fixture, 1, 7, "x", NULL);
        if (round == 0) {
            fixture_log_entry(fixture, 1, (struct osr_time){7, 0}, OSR__OPERATION__DELETE, &gone);
        }
        fixture_apply_all(fixture);
        fixture_index_all(fixture);
        assert_list(fixture, "", "", 0, "");
        struct osr_digest *digest = osr_digest_create(NULL, 0);
        assert_int_equal(osr_store_digest(fixture->reader, digest, NULL), 0);
        hashes[round] = osr_digest_finish(digest);
        osr_digest_destroy(digest);
        fixture_tear_down(&made);
    }
    assert_true(osr_hash_equal(&hashes[0], &hashes[1]));
    (void)state;
}

/* An id that nobody wrote has no versions. */
static void versions_of_unknown_id_are_none(void **state)
{
    struct store_fixture *fixture = *state;
    struct osr_store_wanted wanted = {1, 1, NULL, 0};
    struct osr_store_version *versions;
    assert_int_equal(ask_versions(fixture, "x", &wanted, &versions), 0);
    assert_null(versions);
}

/* Of many versions the newest are given, heads and others apart. */
static void versions_are_the_newest(void **state)
{
    struct store_fixture *fixture = *state;
    for (uint64_t time = 1; time <= 40; time++) {
        Osr__Version named = OSR__VERSION__INIT;
        Osr__Version *supersedes[] = {&named};
        Osr__Document document = OSR__DOCUMENT__INIT;
        named.time_ms = time - 1;
        named.origin = (char *)(uintptr_t)fixture_origins[1];
        document.id = "x";
        document.supersedes = supersedes;
        document.n_supersedes = time > 1 && time <= 20; /* twenty in a row, then heads */
        fixture_log_entry(fixture, 1, (struct osr_time){time, 0}, OSR__OPERATION__PUT, &document);
    }
    fixture_apply_all(fixture);

    struct osr_store_wanted wanted = {3, 2, NULL, 0};
    struct osr_store_version *versions;
    static const uint64_t times[] = {40, 39, 38, 19, 18};
    assert_int_equal(ask_versions(fixture, "x", &wanted, &versions), 5);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(versions[i].state.version.time.ms, times[i]);
        assert_int_equal(versions[i].state.superseded, times[i] < 20);
    }
    free(versions);
}

/* A list begins behind an id, ends at its limit or when told, and crosses pages. */
static void list_walks_pages(void **state)
{
    struct store_fixture *fixture = *state;
    char id[16];
    for (int i = 0; i < 2500; i++) {
        snprintf(id, sizeof(id), "d%05d", i * 7 % 2500);
        fixture_log_put(fixture, 1, 100 + (uint64_t)i, id, NULL);
    }
    fixture_apply_all(fixture);
    assert_int_equal(fixture_count_visible(fixture), 2500);
    assert_list(fixture, "d01022", "", 4, "d01023 d01024 d01025 d01026");
    assert_list(fixture, "d02497", "", 0, "d02498 d02499");
    assert_list(fixture, "e", "", 0, "");
    assert_list(fixture, "", "nowhere", 0, "");

    struct listed listed = {.stop_after = 1500};
    assert_int_equal(osr_store_list(fixture->reader, osr_slice_text(""), osr_slice_text(""),
                                    FIXTURE_NOW_MS, 0, collect_row, &listed, NULL),
                     0);
    assert_int_equal(listed.count, 1500);
    listed_done(&listed);
}

/* Ids sort as bytes, whatever they are. */
static void list_sorts_by_bytes(void **state)
{
    struct store_fixture *fixture = *state;
    const char *const ids[] = {"é", "a", "Z", "zz", "z", "🙂", "10", "9"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        fixture_log_put(fixture, 1, 100 + i, ids[i], NULL);
    }
    fixture_apply_all(fixture);
    assert_list(fixture, "", "", 0, "10 9 Z a z zz é 🙂");
}

/* Expired documents are hidden from that very ms on, and count in the digest. */
static void expired_documents_hide(void **state)
{
    struct store_fixture *fixture = *state;
    const uint64_t times[] = {0, FIXTURE_NOW_MS - 1, FIXTURE_NOW_MS, FIXTURE_NOW_MS + 1,
                              UINT64_MAX};
    const char *const ids[] = {"never", "past", "now", "soon", "late"};
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        Osr__Document document = OSR__DOCUMENT__INIT;
        Osr__Json data = OSR__JSON__INIT;
        data.text = (ProtobufCBinaryData){6, (uint8_t *)(uintptr_t) "\"word\""};
        document.id = (char *)(uintptr_t)ids[i];
        document.data = &data;
        document.expires_ms = times[i];
        fixture_log_entry(fixture, 1, (struct osr_time){i + 1, 0}, OSR__OPERATION__PUT, &document);
    }
    fixture_apply_all(fixture);
    fixture_index_all(fixture);
    assert_list(fixture, "", "", 0, "late never soon");
    assert_int_equal(fixture_count_visible(fixture), 3);
    struct listed listed = {0};
    assert_int_equal(osr_store_search(fixture->reader, osr_slice_text("word"), FIXTURE_NOW_MS, 10,
                                      collect_hit, &listed, NULL),
                     0);
    assert_int_equal(listed.count, 3);
    listed_done(&listed);
}

/* Two readers see the same commits, and one in the midst of a list holds nobody up. */
static void two_readers_see_the_same(void **state)
{
    struct store_fixture *fixture = *state;
    struct osr_store_reader *first = fixture->reader;
    struct osr_store_reader *second = NULL;
    struct osr_err err;
    assert_int_equal(osr_store_reader_open(fixture->folder, &fixture->bodies, &second, &err), 0);
    for (int round = 0; round < 20; round++) {
        char id[16];
        snprintf(id, sizeof(id), "d%02d", round);
        fixture_log_put(fixture, 1 + (uint32_t)round % FIXTURE_LOGS, 100, id, NULL);
        fixture_apply_all(fixture);
        fixture->reader = second;
        assert_int_equal(fixture_count_visible(fixture), round + 1);
        fixture->reader = first;
        assert_int_equal(fixture_count_visible(fixture), round + 1);
    }
    osr_store_reader_close(second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(store_follows_model),
        cmocka_unit_test(store_takes_a_doubled_version_in_any_order),
        cmocka_unit_test_setup_teardown(versions_of_unknown_id_are_none, fixture_set_up,
                                        fixture_tear_down),
        cmocka_unit_test_setup_teardown(versions_are_the_newest, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(list_walks_pages, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(list_sorts_by_bytes, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(expired_documents_hide, fixture_set_up, fixture_tear_down),
        cmocka_unit_test_setup_teardown(two_readers_see_the_same, fixture_set_up,
                                        fixture_tear_down),
    };
    return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
