#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapter/clock.h"
#include "adapter/keys.h"
#include "lib/scratch.h"
#include "lib/tls_pair.h"
#include "node/own_certificate.h"
#include "node/security.h"

#define INSTANCE "abcdefghijklmnopqrstuvwxyz234567"
#define FRIEND   "bcdefghijklmnopqrstuvwxyz234567a"

static const char listener_url[] = "tls://127.0.0.1:7400";

/* One instance's security, and what its callbacks were told. */
struct fixture {
    char folder[SCRATCH_PATH_MAX];
    uv_loop_t loop;
    struct osr_trust_folder *trust;
    struct osr_config config;
    const char *arguments[16];
    int argument_count;
    struct osr_credentials *credentials;
    struct osr_trace trace;
    struct osr_security *security;
    uint64_t now_ms;

    unsigned changed;
    unsigned reloaded;
    struct osr_err reload_err;
    bool wants_restart;
};

static uint64_t time_ms(void *context)
{
    return ((struct fixture *)context)->now_ms;
}

static void on_changed(void *context, struct osr_policy *policy)
{
    ((struct fixture *)context)->changed++;
    osr_policy_destroy(policy);
}

static void on_reloaded(void *context, const struct osr_security_changes *changes,
                        const struct osr_err *err)
{
    struct fixture *fixture = context;
    fixture->reloaded++;
    fixture->reload_err = *err;
    fixture->wants_restart = changes != NULL && changes->restart_count > 0;
}

static void never_written(void *context, const char *key, struct osr_slice value,
                          void (*written)(void *context, enum osr_code code), void *written_context)
{
    (void)context;
    (void)key;
    (void)value;
    written(written_context, OSR_OK);
}

static void argue(struct fixture *fixture, const char *flag, const char *value)
{
    fixture->arguments[fixture->argument_count++] = flag;
    fixture->arguments[fixture->argument_count++] = value;
}

static int create(void **state)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    const struct osr_credentials_options credentials = {
        .cluster = "c", .hash_seed = 1, .random = osr_secret_random, .port = {never_written, NULL}};
    scratch_create(fixture->folder);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->trust = osr_trust_folder_open(osr_disk_system(), fixture->folder);
    fixture->credentials = osr_credentials_create(&credentials);
    fixture->now_ms = osr_wall_ms();
    fixture->arguments[fixture->argument_count++] = "osirisd";
    argue(fixture, "--data", fixture->folder);
    argue(fixture, "--cluster", "c");
    *state = fixture;
    return 0;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    osr_security_close(fixture->security);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_credentials_destroy(fixture->credentials);
    osr_trust_folder_close(fixture->trust);
    osr_config_done(&fixture->config);
    scratch_remove(fixture->folder);
    free(fixture);
    return 0;
}

static int open_security(struct fixture *fixture, struct osr_err *err)
{
    enum osr_config_action action;
    assert_int_equal(osr_config_read(fixture->argument_count, (char *const *)fixture->arguments,
                                     &fixture->config, &action, err),
                     0);
    const struct osr_security_options options = {
        .loop = &fixture->loop,
        .config = &fixture->config,
        .disk = osr_disk_system(),
        .instance = INSTANCE,
        .credentials = fixture->credentials,
        .time_ms = time_ms,
        .trace = &fixture->trace,
        .on_changed = on_changed,
        .context = fixture,
    };
    return osr_security_open(&options, &fixture->security, err);
}

static void must_open(struct fixture *fixture)
{
    struct osr_err err;
    assert_int_equal(open_security(fixture, &err), 0);
}

/* The instance is the CA's, and has a certificate from it. */
static void make_authority(struct fixture *fixture)
{
    const struct osr_own_certificate own = {
        .cluster = "c", .instance = INSTANCE, .name = "one", .now_s = fixture->now_ms / 1000};
    struct osr_trust *trust;
    struct osr_err err;
    assert_int_equal(osr_trust_folder_ensure_key(fixture->trust, &err), 0);
    assert_int_equal(
        osr_trust_folder_make_authority(fixture->trust, "c", "instance:" INSTANCE, own.now_s, &err),
        0);
    assert_int_equal(osr_trust_folder_load(fixture->trust, &trust, &err), 0);
    assert_int_equal(osr_own_certificate_issue(fixture->trust, trust, &own, &err), 0);
    osr_trust_destroy(trust);
}

static void add_shared_key(struct fixture *fixture)
{
    static const uint8_t secret[OSR_TLS_KEY_BYTES_MIN] = {1, 2, 3};
    struct osr_err err;
    assert_int_equal(osr_trust_folder_add_shared_key(fixture->trust, "lab",
                                                     osr_slice(secret, sizeof(secret)), &err),
                     0);
}

static struct osr_tls_context *listener(const struct fixture *fixture)
{
    return osr_security_listener(fixture->security, &fixture->config.listen[0]);
}

static void run_until(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
    while (*count < wanted) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

static void reload(struct fixture *fixture)
{
    struct osr_err err;
    unsigned wanted = fixture->reloaded + 1;
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), 0);
    run_until(fixture, &fixture->reloaded, wanted);
}

/* -- who gets in -- */

/* Who tries; each as well prepared as can be. */
enum caller { STRANGER, MEMBER, SELF_SIGNED, KEY_HOLDER };

/* A client's own side: certificates from the instance's CA, whoever it is. */
static struct osr_party party_of(const struct fixture *fixture, enum caller caller)
{
    struct osr_party ca = {{0}, {0}};
    struct osr_trust *trust;
    struct osr_err err;
    if (caller != MEMBER) {
        struct osr_party alone = {{0}, {0}};
        osr_tls_key_make(&alone.key);
        assert_int_equal(osr_certificate_self_signed(osr_buffer_slice(&alone.key), "c",
                                                     "instance:" FRIEND, osr_wall_ms() / 1000,
                                                     &alone.certificate, &err),
                         0);
        return alone;
    }
    assert_int_equal(osr_trust_folder_load(fixture->trust, &trust, &err), 0);
    ca.key = trust->files[OSR_TRUST_CA_KEY];
    ca.certificate = trust->files[OSR_TRUST_CA_CERTIFICATE];
    const struct osr_authority_order order = {
        .cluster = "c", .who = "instance:" FRIEND, .subject = "two", .now_s = osr_wall_ms() / 1000};
    struct osr_party party = osr_party_ordered(&ca, &order);
    osr_trust_destroy(trust);
    return party;
}

/* Whether the listener lets the caller in. */
static bool gets_in(const struct fixture *fixture, enum caller caller)
{
    static const uint8_t secret[OSR_TLS_KEY_BYTES_MIN] = {1, 2, 3};
    static const struct osr_tls_shared_key key = {"lab", {secret, sizeof(secret)}};
    struct osr_party party = party_of(fixture, caller);
    const struct osr_trust *trust = osr_security_trust(fixture->security);
    bool has_key = caller == KEY_HOLDER;
    bool shows = caller == MEMBER || caller == SELF_SIGNED;
    struct osr_tls_options options = {
        .authorities_pem = osr_trust_text(trust, OSR_TRUST_AUTHORITIES),
        .certificate_pem = shows ? osr_buffer_slice(&party.certificate) : osr_slice(NULL, 0),
        .key_pem = shows ? osr_buffer_slice(&party.key) : osr_slice(NULL, 0),
        .shared_keys = has_key ? &key : NULL,
        .shared_key_count = has_key ? 1 : 0,
        .proofs = has_key ? 1u << OSR_TLS_PROOF_KEY
                          : 1u << OSR_TLS_PROOF_CERTIFICATE | 1u << OSR_TLS_PROOF_PINNED,
    };
    struct osr_tls_pair pair = {.client = osr_tls_side_open(&options),
                                .server = {.tls = osr_tls_create(listener(fixture))}};
    osr_tls_pair_talk(&pair);
    bool is_in = pair.server.code == 0 && osr_tls_is_up(pair.server.tls);
    osr_tls_pair_close(&pair);
    osr_party_done(&party);
    return is_in;
}

static void check_auth(void **state, const char *auth, bool stranger, bool member, bool self_signed,
                       bool key_holder)
{
    struct fixture *fixture = *state;
    char *url =
        auth[0] != '\0' ? osr_format("%s?auth=%s", listener_url, auth) : osr_strdup(listener_url);
    make_authority(fixture);
    add_shared_key(fixture);
    argue(fixture, "--listen", url);
    must_open(fixture);
    assert_int_equal(gets_in(fixture, STRANGER), stranger);
    assert_int_equal(gets_in(fixture, MEMBER), member);
    assert_int_equal(gets_in(fixture, SELF_SIGNED), self_signed);
    assert_int_equal(gets_in(fixture, KEY_HOLDER), key_holder);
    free(url);
}

/* By default members come in, and those who will show a token or a password. */
static void listener_lets_in_members_and_strangers(void **state)
{
    check_auth(state, "", true, true, false, false);
}

/* With auth=certificate members alone come in. */
static void listener_lets_in_certificates(void **state)
{
    check_auth(state, "certificate", false, true, false, false);
}

/* With auth=key those alone come in who have the key. */
static void listener_lets_in_keys(void **state)
{
    check_auth(state, "key", false, false, false, true);
}

/* With auth=pin those come in whose certificate nobody vouches for; HELLO_PROOF decides then. */
static void listener_lets_in_pins(void **state)
{
    check_auth(state, "pin", false, false, true, false);
}

/* Several ways stand side by side. */
static void listener_lets_in_by_several_ways(void **state)
{
    check_auth(state, "certificate,token,key", true, true, false, true);
}

/* -- what does not fit together -- */

static void check_refused(struct fixture *fixture, enum osr_code code, const char *words)
{
    struct osr_err err;
    assert_int_equal(open_security(fixture, &err), code);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, err.message);
    }
}

/* Members cannot come in where no CA is believed: said at the start. */
static void open_refuses_certificates_without_authority(void **state)
{
    struct fixture *fixture = *state;
    argue(fixture, "--listen", "tls://127.0.0.1:7400?auth=certificate");
    check_refused(fixture, OSR_CONFIG, "no CA is believed");
}

/* Nor can those with a key where there is none. */
static void open_refuses_keys_without_keys(void **state)
{
    struct fixture *fixture = *state;
    argue(fixture, "--listen", "tls://127.0.0.1:7400?auth=key");
    check_refused(fixture, OSR_CONFIG, "there is no shared key");
}

/* A peer of whom nothing is known is not dialled in the dark. */
static void open_refuses_peer_that_nobody_vouches_for(void **state)
{
    struct fixture *fixture = *state;
    argue(fixture, "--peer", "tls://127.0.0.1:7401");
    check_refused(fixture, OSR_CONFIG, "nobody could be believed");
}

/* A copied folder with another instance's certificate is found out. */
static void open_refuses_certificate_of_another(void **state)
{
    struct fixture *fixture = *state;
    const struct osr_own_certificate own = {
        .cluster = "c", .instance = FRIEND, .name = "two", .now_s = fixture->now_ms / 1000};
    struct osr_trust *trust;
    struct osr_err err;
    make_authority(fixture);
    assert_int_equal(osr_trust_folder_load(fixture->trust, &trust, &err), 0);
    assert_int_equal(osr_own_certificate_issue(fixture->trust, trust, &own, &err), 0);
    osr_trust_destroy(trust);
    argue(fixture, "--listen", listener_url);
    check_refused(fixture, OSR_CONFIG, FRIEND);
}

static struct osr_tls_context *dialler(const struct fixture *fixture, const char *text)
{
    struct osr_url url;
    assert_int_equal(osr_url_parse(text, &url, NULL), 0);
    return osr_security_dialler(fixture->security, &url);
}

/* Without any URL that wants TLS nothing of it is looked at or made. */
static void plaintext_needs_no_key(void **state)
{
    struct fixture *fixture = *state;
    struct osr_security_info info;
    argue(fixture, "--listen", "tcp://127.0.0.1:7400");
    must_open(fixture);
    assert_null(listener(fixture));
    assert_null(dialler(fixture, "tls://192.0.2.1:7400"));
    assert_false(osr_trust_has(osr_security_trust(fixture->security), OSR_TRUST_TLS_KEY));
    osr_security_get_info(fixture->security, &info);
    assert_int_equal(info.certificate.expires_s, 0);
}

/* -- members of the ledger -- */

/* They are dialled where they say that they are, which no config names; with TLS where there is
 * any. */
static void members_can_be_dialled_anywhere(void **state)
{
    struct fixture *fixture = *state;
    make_authority(fixture);
    argue(fixture, "--listen", "tls://127.0.0.1:7400");
    must_open(fixture);
    struct osr_tls_context *frames = dialler(fixture, "tls://192.0.2.1:7400");
    assert_non_null(frames);
    assert_ptr_equal(dialler(fixture, "zmq://192.0.2.2:7401"), frames);
    assert_non_null(dialler(fixture, "grpcs://192.0.2.1:7400"));
    assert_ptr_not_equal(dialler(fixture, "grpcs://192.0.2.1:7400"), frames);
    assert_non_null(dialler(fixture, "udp://192.0.2.1:7400"));
    assert_ptr_not_equal(dialler(fixture, "udp://192.0.2.1:7400"), frames);
    assert_null(dialler(fixture, "tcp://127.0.0.1:7400"));
}

/* -- ids -- */

/* Approved are those whom the config names, and peers by the id in their URL. */
static void approved_are_named(void **state)
{
    struct fixture *fixture = *state;
    argue(fixture, "--approved", FRIEND);
    argue(fixture, "--peer", "tls://127.0.0.1:7401?id=" INSTANCE);
    must_open(fixture);
    assert_true(osr_security_is_approved(fixture->security, FRIEND));
    assert_true(osr_security_is_approved(fixture->security, INSTANCE));
    assert_false(osr_security_is_approved(fixture->security, "cdefghijklmnopqrstuvwxyz234567ab"));
    assert_non_null(osr_security_dialler(fixture->security, &fixture->config.peer[0]));
}

/* -- reload -- */

/* A file that does not fit leaves everything as it was, however good the others are. */
static void reload_is_all_or_nothing(void **state)
{
    struct fixture *fixture = *state;
    make_authority(fixture);
    argue(fixture, "--listen", listener_url);
    must_open(fixture);
    struct osr_tls_context *before = listener(fixture);
    scratch_run(fixture->folder, "echo 'heartbeat-ms: 1234' > osirisd.yaml; chmod 600 *.yaml");
    scratch_run(fixture->folder, "cp trust/tls.key key; echo nonsense > trust/tls.key");
    reload(fixture);
    assert_int_equal(fixture->reload_err.code, OSR_CONFIG);
    assert_non_null(strstr(fixture->reload_err.message, "tls.key"));
    assert_int_equal(fixture->changed, 0);
    assert_ptr_equal(listener(fixture), before);
    scratch_run(fixture->folder, "cp key trust/tls.key");
    reload(fixture);
    assert_int_equal(fixture->reload_err.code, OSR_OK);
    assert_true(fixture->wants_restart);
    assert_int_equal(fixture->changed, 1);
    assert_ptr_not_equal(listener(fixture), before);
}

/* While files are read, another reload is asked to come later. */
static void reload_is_one_at_a_time(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    must_open(fixture);
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), 0);
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), OSR_BUSY);
    run_until(fixture, &fixture->reloaded, 1);
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), 0);
    run_until(fixture, &fixture->reloaded, 2);
}

/* A close waits for the reload that is under way, which is answered. */
static void close_finishes_reload(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    must_open(fixture);
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), 0);
    osr_security_close(fixture->security);
    fixture->security = NULL;
    assert_int_equal(fixture->reloaded, 1);
}

/* -- renewal -- */

static struct osr_security_info info_of(const struct fixture *fixture)
{
    struct osr_security_info info;
    osr_security_get_info(fixture->security, &info);
    return info;
}

/* The CA's instance renews its own certificate once two thirds of its time are over, not before. */
static void certificate_renews_itself(void **state)
{
    struct fixture *fixture = *state;
    make_authority(fixture);
    argue(fixture, "--listen", listener_url);
    must_open(fixture);
    struct osr_security_info before = info_of(fixture);
    assert_true(before.has_authority);
    fixture->now_ms = (before.renew_at_s - 1) * 1000;
    osr_security_look_after_certificate(fixture->security);
    uv_run(&fixture->loop, UV_RUN_NOWAIT);
    fixture->now_ms = before.renew_at_s * 1000;
    osr_security_look_after_certificate(fixture->security);
    run_until(fixture, &fixture->changed, 1);
    struct osr_security_info after = info_of(fixture);
    assert_string_not_equal(after.certificate.serial, before.certificate.serial);
    assert_true(after.certificate.expires_s > before.certificate.expires_s);
    assert_string_equal(after.certificate.who, "instance:" INSTANCE);
    assert_int_equal(after.renewal.code, OSR_OK);
}

/* Others do not: theirs is for the CA's instance to renew (renewal.h). */
static void certificate_of_another_authority_is_left(void **state)
{
    struct fixture *fixture = *state;
    make_authority(fixture);
    scratch_run(fixture->folder, "rm trust/ca.key trust/ca.crt");
    argue(fixture, "--listen", listener_url);
    must_open(fixture);
    struct osr_security_info before = info_of(fixture);
    fixture->now_ms = before.renew_at_s * 1000;
    osr_security_look_after_certificate(fixture->security);
    reload(fixture); /* waits for what has begun */
    assert_false(info_of(fixture).has_authority);
    assert_string_equal(info_of(fixture).certificate.serial, before.certificate.serial);
}

/* What is given goes into the folder and into force; what is not good leaves both as they were. */
static void given_certificate_is_taken(void **state)
{
    struct fixture *fixture = *state;
    make_authority(fixture);
    argue(fixture, "--listen", listener_url);
    must_open(fixture);
    struct osr_party other = osr_party_authority_at("c", fixture->now_ms / 1000);
    struct osr_trust_certificate given = {
        .certificate_pem = osr_buffer_slice(&other.certificate),
    };
    struct osr_err err;
    assert_int_equal(
        osr_security_take_certificate(fixture->security, &given, on_reloaded, fixture, &err), 0);
    assert_int_equal(osr_security_reload(fixture->security, on_reloaded, fixture, &err), OSR_BUSY);
    run_until(fixture, &fixture->reloaded, 1);
    assert_int_equal(fixture->reload_err.code, OSR_CONFIG); /* not of its key */
    assert_int_equal(fixture->changed, 0);
    given = (struct osr_trust_certificate){
        .authorities_pem = osr_buffer_slice(&other.certificate),
    };
    assert_int_equal(
        osr_security_take_certificate(fixture->security, &given, on_reloaded, fixture, &err), 0);
    run_until(fixture, &fixture->reloaded, 2);
    assert_int_equal(fixture->reload_err.code, OSR_OK);
    assert_int_equal(fixture->changed, 1);
    struct osr_hash fingerprint = osr_trust_fingerprint(osr_buffer_slice(&other.certificate));
    assert_true(osr_trust_is_among(
        osr_trust_text(osr_security_trust(fixture->security), OSR_TRUST_AUTHORITIES),
        &fingerprint));
    osr_party_done(&other);
}

int main(void)
{
#define SECURITY_TEST(name) cmocka_unit_test_setup_teardown(name, create, destroy)
    const struct CMUnitTest tests[] = {
        SECURITY_TEST(listener_lets_in_members_and_strangers),
        SECURITY_TEST(listener_lets_in_certificates),
        SECURITY_TEST(listener_lets_in_keys),
        SECURITY_TEST(listener_lets_in_pins),
        SECURITY_TEST(listener_lets_in_by_several_ways),
        SECURITY_TEST(open_refuses_certificates_without_authority),
        SECURITY_TEST(open_refuses_keys_without_keys),
        SECURITY_TEST(open_refuses_peer_that_nobody_vouches_for),
        SECURITY_TEST(open_refuses_certificate_of_another),
        SECURITY_TEST(plaintext_needs_no_key),
        SECURITY_TEST(members_can_be_dialled_anywhere),
        SECURITY_TEST(approved_are_named),
        SECURITY_TEST(reload_is_all_or_nothing),
        SECURITY_TEST(reload_is_one_at_a_time),
        SECURITY_TEST(close_finishes_reload),
        SECURITY_TEST(certificate_renews_itself),
        SECURITY_TEST(certificate_of_another_authority_is_left),
        SECURITY_TEST(given_certificate_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
