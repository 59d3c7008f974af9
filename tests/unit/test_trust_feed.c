/* The feed of the stream "trust": what an authority says is in force and stays so, what others say
 * is not, and what is changed here becomes a document of it. */
#include "node/trust_feed.h"

#include "adapter/keys.h"
#include "lib/journal_outputs.h"
#include "lib/loop.h"
#include "lib/scratch.h"
#include "node/trust_record.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OWN       "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define AUTHORITY "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define MEMBER    "cccccccccccccccccccccccccccccccc"
#define NOW       1700000000000ull

enum { TOKENS_MAX = 16 };

/* One feed as its writer keeps it. */
struct feed {
    struct osr_feed_id id;
    struct osr_public_key key;
    struct osr_hash chain;
    uint64_t sequence;
};

/* An instance: a journal on a real disk, and a core that is played by the test. */
struct rig {
    uv_loop_t loop;
    char folder[SCRATCH_PATH_MAX];
    struct osr_keys *keys;
    struct osr_journal *journal;
    struct osr_trust_feed *trust;
    struct osr_credentials *credentials;
    struct osr_trace trace;
    const char *leader; /* who may lead */
    struct feed own;
    struct feed authority;
    uint64_t tokens[TOKENS_MAX]; /* of writes that are not answered */
    size_t token_count;
    size_t store_count;
    size_t stored;
    size_t changes;
    size_t warnings;
    size_t written;
    enum osr_code written_code;
    bool is_core_closed; /* it takes nothing any more, and answers nothing */
};

/* ---- the core ---- */

static void on_stored(void *context, uint64_t ticket, enum osr_code code)
{
    struct rig *rig = context;
    (void)ticket;
    assert_int_equal(code, OSR_OK);
    rig->stored++;
}

static void on_release(void *context, const struct osr_batch *batch, uint32_t log_id,
                       uint64_t last_ordinal)
{
    struct rig *rig = context;
    (void)log_id;
    (void)last_ordinal;
    if (batch != NULL) {
        osr_trust_feed_released(rig->trust, batch);
    }
}

static void on_failure(void *context, const struct osr_err *err)
{
    (void)context;
    fail_msg("%s", err->message);
}

static void add_entry(struct feed *feed, struct osr_batch *batch, const Osr__Document *document)
{
    size_t begin = batch->bytes.size;
    osr_buffer_add(&batch->bytes, feed->chain.bytes, OSR_SHA256_SIZE);
    feed->sequence++;
    osr_entry_encode(&batch->bytes, (struct osr_time){NOW + feed->sequence, 0}, OSR__OPERATION__PUT,
                     document);
    struct osr_slice record = osr_slice(batch->bytes.data + begin, batch->bytes.size - begin);
    struct osr_hash hash = osr_entry_hash(&feed->id, feed->sequence, osr_record_stored(record));
    feed->chain = osr_chain_next(&feed->chain, &hash);
    memcpy(batch->bytes.data + begin, feed->chain.bytes, OSR_SHA256_SIZE);
    osr_batch_close_entry(batch);
}

/* An entry of a feed comes, and is committed. */
static void deliver(struct rig *rig, struct feed *feed, const Osr__Document *document)
{
    struct osr_batch batch = {.feed = feed->id, .first = feed->sequence + 1};
    struct osr_feed_output output = {.type = OSR_FEED_OUT_STORE};
    add_entry(feed, &batch, document);
    output.store.ticket = rig->store_count++;
    output.store.batch = &batch;
    output.store.public_key = feed->key;
    osr_journal_carry_out(rig->journal, &output);
    while (rig->stored < rig->store_count) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    put_out_commit(rig->journal, &feed->id, feed->sequence, feed->sequence);
}

static void write_own(void *context, uint64_t token, const struct osr_feed_put *put)
{
    struct rig *rig = context;
    if (rig->is_core_closed) {
        return;
    }
    assert_int_equal(put->operation, OSR__OPERATION__PUT);
    assert_string_equal(put->document->collection, "trust");
    assert_true(rig->token_count < TOKENS_MAX);
    deliver(rig, &rig->own, put->document);
    rig->tokens[rig->token_count++] = token;
}

static void answer_writes(struct rig *rig, enum osr_code code)
{
    for (size_t i = 0; i < rig->token_count; i++) {
        osr_trust_feed_written(rig->trust, rig->tokens[i], code);
    }
    rig->token_count = 0;
}

/* ---- the instance ---- */

static bool may_lead(void *context, const char *instance)
{
    const struct rig *rig = context;
    return rig->leader != NULL && strcmp(rig->leader, instance) == 0;
}

static void on_changed(void *context)
{
    ((struct rig *)context)->changes++;
}

static uint64_t on_time(void *context)
{
    (void)context;
    return NOW;
}

static void on_line(void *context, enum osr_level level, const char *line)
{
    struct rig *rig = context;
    (void)line;
    rig->warnings += level == OSR_LEVEL_WARNING || level == OSR_LEVEL_ERROR;
}

static void load(void *context, const char *key, struct osr_slice value)
{
    struct rig *rig = context;
    struct osr_err err;
    assert_int_equal(osr_credentials_load(rig->credentials, key, value, &err), 0);
}

static void open_journal(struct rig *rig, const struct osr_feed_restored **ret_restored,
                         size_t *ret_count)
{
    const struct osr_journal_handler handler = {
        .on_stored = on_stored, .on_release = on_release, .on_failure = on_failure, .context = rig};
    char *folder = osr_format("%s/log", rig->folder);
    const struct osr_journal_options options = {.folder = folder, .keys = rig->keys};
    struct osr_err err;
    assert_int_equal(osr_journal_open(&rig->loop, &options, &handler, &rig->journal, ret_restored,
                                      ret_count, &err),
                     0);
    free(folder);
}

static void start(struct rig *rig)
{
    const struct osr_feed_restored *restored = NULL;
    size_t count = 0;
    struct osr_err err;
    open_journal(rig, &restored, &count);
    const struct osr_trust_feed_options options = {
        .loop = &rig->loop,
        .journal = rig->journal,
        .instance = OWN,
        .time_ms = on_time,
        .may_lead = may_lead,
        .write = write_own,
        .on_changed = on_changed,
        .context = rig,
        .trace = &rig->trace,
    };
    assert_int_equal(osr_trust_feed_open(&options, &rig->trust, &err), 0);
    const struct osr_credentials_options credentials = {
        .cluster = "c",
        .hash_seed = 1,
        .random = osr_secret_random,
        .port = {osr_trust_feed_write, rig->trust},
    };
    rig->credentials = osr_credentials_create(&credentials);
    osr_trust_feed_set_credentials(rig->trust, rig->credentials);
    osr_journal_facts(rig->journal, OSR_CREDENTIAL_PREFIX, load, rig);
    for (size_t i = 0; i < count; i++) {
        put_out_commit(rig->journal, &restored[i].id, 0, restored[i].sequence);
        osr_trust_feed_restored(rig->trust, &restored[i].id, restored[i].sequence);
    }
    osr_trust_feed_start(rig->trust);
}

static void stop(struct rig *rig)
{
    osr_trust_feed_close(rig->trust);
    osr_journal_close(rig->journal);
    uv_run(&rig->loop, UV_RUN_DEFAULT);
    osr_credentials_destroy(rig->credentials);
    osr_trust_feed_free(rig->trust);
}

static void restart(struct rig *rig)
{
    stop(rig);
    start(rig);
}

static void feed_init(struct feed *feed, const char *origin, uint8_t key)
{
    struct osr_err err;
    assert_int_equal(osr_feed_id_make(&feed->id, origin, "trust", 1, &err), 0);
    memset(feed->key.bytes, key, sizeof(feed->key.bytes));
}

static int set_up(void **state)
{
    struct rig *rig = osr_alloc(sizeof(*rig));
    struct osr_err err;
    scratch_create(rig->folder);
    uv_loop_init(&rig->loop);
    assert_int_equal(osr_keys_open(rig->folder, &rig->keys, &err), 0);
    rig->trace = (struct osr_trace){.write = on_line, .context = rig, .level = OSR_LEVEL_INFO};
    rig->leader = AUTHORITY;
    feed_init(&rig->own, OWN, 1);
    feed_init(&rig->authority, AUTHORITY, 2);
    start(rig);
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    stop(rig);
    osr_keys_close(rig->keys);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    scratch_remove(rig->folder);
    free(rig);
    return 0;
}

static void settle(struct rig *rig)
{
    loop_idle(&rig->loop, 50);
}

/* ---- what is said ---- */

static struct osr_hash fingerprint(void)
{
    struct osr_hash hash;
    memset(hash.bytes, 7, sizeof(hash.bytes));
    return hash;
}

static struct osr_credential revocation_of(const char *serial)
{
    return (struct osr_credential){.kind = OSR_CREDENTIAL_REVOCATION,
                                   .revocation = {.serial = serial,
                                                  .authority = fingerprint(),
                                                  .who = "instance:" MEMBER,
                                                  .revoked_by = "admin",
                                                  .revoked_ms = NOW}};
}

static void say(struct rig *rig, const struct osr_credential *credential)
{
    struct osr_trust_record record;
    struct osr_err err;
    assert_int_equal(osr_trust_record_write(&record, credential, &err), 0);
    deliver(rig, &rig->authority, &record.document);
    osr_trust_record_done(&record);
}

static void say_revoked(struct rig *rig, const char *serial)
{
    const struct osr_credential credential = revocation_of(serial);
    say(rig, &credential);
}

static void say_text(struct rig *rig, const char *collection, const char *id, const char *json)
{
    Osr__Json data = OSR__JSON__INIT;
    Osr__Document document = OSR__DOCUMENT__INIT;
    data.text = (ProtobufCBinaryData){strlen(json), (uint8_t *)json};
    document.id = (char *)id;
    document.collection = (char *)collection;
    document.data = &data;
    deliver(rig, &rig->authority, &document);
}

static bool is_revoked(const struct rig *rig, const char *serial)
{
    const struct osr_hash authority = fingerprint();
    return osr_credentials_is_revoked(rig->credentials, serial, &authority);
}

static void count_fact(void *context, const char *key, struct osr_slice value)
{
    (void)key;
    (void)value;
    (*(size_t *)context)++;
}

static size_t facts(const struct rig *rig, const char *prefix)
{
    size_t count = 0;
    osr_journal_facts(rig->journal, prefix, count_fact, &count);
    return count;
}

static void take_number(void *context, const char *key, struct osr_slice value)
{
    (void)key;
    assert_int_equal(value.size, 8);
    *(uint64_t *)context = osr_get_u64(value.data);
}

static uint64_t cursor(const struct rig *rig)
{
    uint64_t sequence = 0;
    osr_journal_facts(rig->journal, "trust:" AUTHORITY ":1", take_number, &sequence);
    return sequence;
}

/* What an authority says is in force as soon as it is committed, and said on; again it changes
 * nothing. */
static void trust_applies_what_an_authority_says(void **state)
{
    struct rig *rig = *state;
    size_t changes = rig->changes;
    say_revoked(rig, "AB");
    assert_true(is_revoked(rig, "AB"));
    assert_int_equal(rig->changes, changes + 1);
    say_revoked(rig, "AB");
    settle(rig);
    assert_true(is_revoked(rig, "AB"));
    assert_int_equal(facts(rig, "credential:revocation:"), 1);
    assert_int_equal(cursor(rig), 2);
    assert_int_equal(rig->warnings, 0);
}

/* A member comes with its roles; a later record takes the place of the first. */
static void trust_brings_members(void **state)
{
    struct rig *rig = *state;
    struct osr_credential credential = {
        .kind = OSR_CREDENTIAL_MEMBER,
        .member = {.instance = MEMBER,
                   .name = "desk",
                   .roles = {.names = {"reader", "follower"}, .count = 2},
                   .serial = "AB",
                   .authority = fingerprint(),
                   .invited_by = "user:ana",
                   .joined_ms = NOW,
                   .expires_ms = NOW + 1}};
    say(rig, &credential);
    credential.member.serial = "CD";
    say(rig, &credential);
    settle(rig);
    restart(rig);
    const struct osr_credential *found =
        osr_credentials_find(rig->credentials, OSR_CREDENTIAL_MEMBER, MEMBER);
    assert_non_null(found);
    assert_string_equal(found->member.serial, "CD");
    assert_string_equal(found->member.name, "desk");
    assert_string_equal(found->member.invited_by, "user:ana");
    assert_int_equal(found->member.roles.count, 2);
    assert_string_equal(found->member.roles.names[1], "follower");
    const struct osr_hash authority = fingerprint();
    assert_true(osr_hash_equal(&found->member.authority, &authority));
    assert_int_equal(found->member.joined_ms, NOW);
    assert_int_equal(found->member.expires_ms, NOW + 1);
}

/* All of an instance's certificates are revoked by its name. */
static void trust_revokes_identities(void **state)
{
    struct rig *rig = *state;
    const struct osr_credential credential = {
        .kind = OSR_CREDENTIAL_REVOCATION,
        .revocation = {.serial = "", .who = "instance:" MEMBER, .revoked_by = "admin"}};
    say(rig, &credential);
    assert_non_null(
        osr_credentials_find(rig->credentials, OSR_CREDENTIAL_REVOCATION, "instance:" MEMBER));
}

/* After a restart all is in force again, and nothing has to be read from the log. */
static void trust_is_there_after_a_restart(void **state)
{
    struct rig *rig = *state;
    say_revoked(rig, "AB");
    settle(rig);
    restart(rig);
    assert_true(osr_trust_feed_is_current(rig->trust));
    assert_true(is_revoked(rig, "AB"));
}

/* What somebody says who may not lead does nothing; neither after a restart. Once he may, it is in
 * force, in its order. */
static void trust_passes_over_who_may_not_lead(void **state)
{
    struct rig *rig = *state;
    rig->leader = NULL;
    say_revoked(rig, "AB");
    say_revoked(rig, "CD");
    settle(rig);
    assert_false(is_revoked(rig, "AB"));
    restart(rig);
    assert_true(osr_trust_feed_is_current(rig->trust));
    assert_false(is_revoked(rig, "AB"));
    assert_int_equal(facts(rig, "credential:"), 0);
    rig->leader = AUTHORITY;
    osr_trust_feed_review(rig->trust);
    settle(rig);
    assert_true(is_revoked(rig, "AB"));
    assert_true(is_revoked(rig, "CD"));
    assert_int_equal(cursor(rig), 2);
}

/* What is behind the cursor at a start is in force before it says that it is current. */
static void trust_catches_up_at_a_start(void **state)
{
    struct rig *rig = *state;
    rig->leader = NULL;
    for (int i = 0; i < 600; i++) { /* more than are read in one go */
        char serial[16];
        snprintf(serial, sizeof(serial), "%08X", (unsigned)i);
        say_revoked(rig, serial);
    }
    stop(rig);
    rig->leader = AUTHORITY;
    start(rig);
    assert_false(osr_trust_feed_is_current(rig->trust));
    size_t changes = rig->changes;
    while (!osr_trust_feed_is_current(rig->trust)) {
        uv_run(&rig->loop, UV_RUN_ONCE);
    }
    assert_true(rig->changes > changes);
    assert_true(is_revoked(rig, "00000000") && is_revoked(rig, "00000257"));
    say_revoked(rig, "AB");
    assert_true(is_revoked(rig, "AB"));
    settle(rig);
    assert_int_equal(cursor(rig), 601);
}

/* What a newer version says is told once; what follows it is in force. The cursor waits for a newer
 * version, so that this one reads it again, which changes nothing. */
static void trust_goes_on_behind_what_it_does_not_understand(void **state)
{
    struct rig *rig = *state;
    say_revoked(rig, "AB");
    say_text(rig, "trust", "oath:1", "{\"oath\":{\"of\":\"x\"}}");
    say_text(rig, "treaties", "1", "{}");
    say_revoked(rig, "CD");
    settle(rig);
    assert_true(is_revoked(rig, "AB") && is_revoked(rig, "CD"));
    assert_int_equal(rig->warnings, 1);
    assert_int_equal(cursor(rig), 1);
    restart(rig);
    settle(rig);
    assert_true(osr_trust_feed_is_current(rig->trust));
    assert_true(is_revoked(rig, "AB") && is_revoked(rig, "CD"));
    assert_int_equal(rig->warnings, 2);
}

/* What contradicts itself is passed over, and said each time. */
static void trust_passes_over_what_contradicts_itself(void **state)
{
    static const char *const refused[] = {
        "[]",
        "\"text\"",
        "{\"revocation\":{}}",
        "{\"revocation\":{\"serial\":\"AB\",\"authority\":\"07\"}}",
        "{\"revocation\":{\"who\":\"instance:other\"}}",
        "{\"revocation\":{\"who\":\"instance:x\",\"revoked_by\":\"a\\nb\"}}",
        "{\"member\":{\"instance\":\"x\"}}",
    };
    struct rig *rig = *state;
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        say_text(rig, "trust", "revocation:instance:x", refused[i]);
        assert_int_equal(rig->warnings, i + 1);
    }
    settle(rig);
    assert_int_equal(facts(rig, "credential:"), 0);
    assert_int_equal(cursor(rig), rig->authority.sequence);
}

/* ---- what is changed here ---- */

static void on_written(void *context, enum osr_code code)
{
    struct rig *rig = context;
    rig->written++;
    rig->written_code = code;
}

static void revoke_here(struct rig *rig, const char *serial)
{
    const struct osr_revocation_record revocation = {
        .serial = serial, .authority = fingerprint(), .who = "", .revoked_by = "admin"};
    struct osr_err err;
    assert_int_equal(
        osr_credentials_revoke_certificate(rig->credentials, &revocation, NOW,
                                           (struct osr_credential_done){on_written, rig}, &err),
        0);
}

/* At the authority a change is in force at once, and done when the core has written it. */
static void trust_writes_what_is_changed_here(void **state)
{
    struct rig *rig = *state;
    rig->leader = OWN;
    assert_true(osr_trust_feed_leads(rig->trust));
    revoke_here(rig, "AB");
    assert_true(is_revoked(rig, "AB"));
    assert_int_equal(rig->written, 0);
    assert_int_equal(rig->own.sequence, 1);
    answer_writes(rig, OSR_OK);
    assert_int_equal(rig->written, 1);
    assert_int_equal(rig->written_code, OSR_OK);
    settle(rig);
    restart(rig);
    assert_true(is_revoked(rig, "AB"));
}

/* A core that cannot write says so to who waits. */
static void trust_tells_what_could_not_be_written(void **state)
{
    struct rig *rig = *state;
    rig->leader = OWN;
    revoke_here(rig, "AB");
    answer_writes(rig, OSR_DISK_FULL);
    assert_int_equal(rig->written_code, OSR_DISK_FULL);
    assert_true(is_revoked(rig, "AB")); /* until a restart at least */
}

/* Elsewhere it is a fact, and goes no further. */
static void trust_keeps_what_is_changed_elsewhere(void **state)
{
    struct rig *rig = *state;
    assert_false(osr_trust_feed_leads(rig->trust));
    revoke_here(rig, "AB");
    settle(rig);
    assert_int_equal(rig->written, 1);
    assert_int_equal(rig->own.sequence, 0);
    assert_int_equal(facts(rig, "credential:revocation:"), 1);
}

/* An invitation travels without its hash, which stays in force here; a token does not travel. */
static void trust_keeps_secrets_here(void **state)
{
    struct rig *rig = *state;
    const struct osr_invitation_order order = {
        .role = "peer", .expires_ms = NOW + 1000, .created_by = "admin"};
    const struct osr_token_order token_order = {.name = "ci", .created_by = "admin"};
    char text[OSR_TOKEN_TEXT_MAX], role[OSR_POLICY_NAME_BYTES_MAX + 1];
    const struct osr_credential_done done = {on_written, rig};
    struct osr_token token;
    struct osr_err err;
    rig->leader = OWN;
    assert_int_equal(
        osr_credentials_create_invitation(rig->credentials, &order, NOW, &token, done, &err), 0);
    assert_int_equal(
        osr_credentials_create_token(rig->credentials, &token_order, NOW, text, done, &err), 0);
    settle(rig);
    assert_int_equal(rig->own.sequence, 1);
    answer_writes(rig, OSR_OK);
    assert_int_equal(rig->written, 2);
    settle(rig);
    restart(rig);
    assert_int_equal(osr_credentials_use_invitation(rig->credentials, &token, "instance:x", NOW,
                                                    role, done, &err),
                     0);
    settle(rig);
    answer_writes(rig, OSR_OK);
}

/* Who waits for a change when it is closed is told that it is cancelled. */
static void trust_cancels_at_close(void **state)
{
    struct rig *rig = *state;
    rig->leader = OWN;
    revoke_here(rig, "AB");
    rig->token_count = 0;
    restart(rig);
    assert_int_equal(rig->written, 1);
    assert_int_equal(rig->written_code, OSR_CANCELLED);
    settle(rig);
    assert_true(is_revoked(rig, "AB")); /* it had been committed */
}

static void on_stored_at_close(void *context, enum osr_code code)
{
    assert_int_equal(code, OSR_OK);
    revoke_here(context, "CD");
}

/* What is stored while all closes may bring the next change, as a JOIN does: that is told that it
 * is cancelled, for nobody would answer it. */
static void trust_cancels_what_begins_at_close(void **state)
{
    struct rig *rig = *state;
    const struct osr_invitation_order order = {
        .role = "peer", .expires_ms = NOW + 1000, .created_by = "admin"};
    struct osr_token token;
    struct osr_err err;
    rig->leader = OWN;
    assert_int_equal(osr_credentials_create_invitation(
                         rig->credentials, &order, NOW, &token,
                         (struct osr_credential_done){on_stored_at_close, rig}, &err),
                     0);
    rig->is_core_closed = true;
    restart(rig);
    assert_int_equal(rig->written, 1);
    assert_int_equal(rig->written_code, OSR_CANCELLED);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(trust_applies_what_an_authority_says),
        TEST(trust_brings_members),
        TEST(trust_revokes_identities),
        TEST(trust_is_there_after_a_restart),
        TEST(trust_passes_over_who_may_not_lead),
        TEST(trust_catches_up_at_a_start),
        TEST(trust_goes_on_behind_what_it_does_not_understand),
        TEST(trust_passes_over_what_contradicts_itself),
        TEST(trust_writes_what_is_changed_here),
        TEST(trust_tells_what_could_not_be_written),
        TEST(trust_keeps_what_is_changed_elsewhere),
        TEST(trust_keeps_secrets_here),
        TEST(trust_cancels_at_close),
        TEST(trust_cancels_what_begins_at_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
