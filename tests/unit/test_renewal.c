#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "adapter/clock.h"
#include "adapter/keys.h"
#include "lib/scratch.h"
#include "node/renewal.h"

#define SELF   "abcdefghijklmnopqrstuvwxyz234567"
#define KEEPER "bcdefghijklmnopqrstuvwxyz234567a" /* the CA's instance */
#define OTHER  "cdefghijklmnopqrstuvwxyz234567ab"

enum { DAY_S = 24 * 60 * 60, MINUTE_MS = 60 * 1000, LINKS_MAX = 4 };

/* A CA, or somebody's certificate with its key. */
struct party {
    struct osr_buffer key, certificate;
};

/* A member, what its callbacks were told, and the CAs of its cluster. */
struct fixture {
    char folder[SCRATCH_PATH_MAX];
    uv_loop_t loop;
    struct osr_trust_folder *trust;
    struct osr_config config;
    struct osr_credentials *credentials;
    struct osr_trace trace;
    struct osr_security *security;
    struct osr_renewal *renewal;
    uint64_t now_ms;
    unsigned changed;
    unsigned warned;

    struct party authority, next_authority;
    struct osr_buffer key; /* the member's */

    struct osr_renewal_link links[LINKS_MAX];
    size_t link_count;
    unsigned sent; /* RENEW frames; what was in the last: */
    uint32_t sent_link;
    uint64_t sent_id;
    char *sent_request, *sent_certificate;

    unsigned done;
    struct osr_err done_err;
};

/* -- callbacks -- */

static uint64_t time_ms(void *context)
{
    return ((struct fixture *)context)->now_ms;
}

static void on_changed(void *context, struct osr_policy *policy)
{
    ((struct fixture *)context)->changed++;
    osr_policy_destroy(policy);
}

static void never_written(void *context, const char *key, struct osr_slice value,
                          void (*written)(void *context, enum osr_code code), void *written_context)
{
    (void)context;
    (void)key;
    (void)value;
    written(written_context, OSR_OK);
}

static void count_warning(void *context, enum osr_level level, const char *line)
{
    struct fixture *fixture = context;
    (void)line;
    fixture->warned += level == OSR_LEVEL_WARNING;
}

static size_t list_links(void *context, struct osr_renewal_link *links)
{
    const struct fixture *fixture = context;
    memcpy(links, fixture->links, fixture->link_count * sizeof(links[0]));
    return fixture->link_count;
}

static void take_frame(void *context, uint32_t link, const Osr__Frame *frame)
{
    struct fixture *fixture = context;
    assert_int_equal(frame->body_case, OSR__FRAME__BODY_RENEW);
    free(fixture->sent_request);
    free(fixture->sent_certificate);
    fixture->sent++;
    fixture->sent_link = link;
    fixture->sent_id = frame->request_id;
    fixture->sent_request = osr_strdup(frame->renew->request_pem);
    fixture->sent_certificate = osr_strdup(frame->renew->certificate_pem);
}

static void on_done(void *context, const struct osr_err *err)
{
    struct fixture *fixture = context;
    fixture->done++;
    fixture->done_err = *err;
}

/* -- certificates -- */

static void party_done(struct party *party)
{
    osr_buffer_done(&party->key);
    osr_buffer_done(&party->certificate);
}

/* `who` has it, and stands in it. */
static struct party make_authority(const char *who, uint64_t now_s)
{
    struct party authority = {{0}, {0}};
    struct osr_err err;
    osr_tls_key_make(&authority.key);
    assert_int_equal(osr_authority_make(osr_buffer_slice(&authority.key), "c", who, now_s,
                                        &authority.certificate, &err),
                     0);
    return authority;
}

static void issue(const struct party *authority, const struct osr_buffer *key, const char *who,
                  uint64_t now_s, struct osr_buffer *pem)
{
    struct osr_buffer request = {0};
    struct osr_err err;
    assert_int_equal(osr_certificate_request(osr_buffer_slice(key), &request, &err), 0);
    const struct osr_authority_order order = {.request_pem = osr_buffer_slice(&request),
                                              .cluster = "c",
                                              .who = who,
                                              .subject = "somebody",
                                              .now_s = now_s};
    assert_int_equal(osr_authority_issue(osr_buffer_slice(&authority->certificate),
                                         osr_buffer_slice(&authority->key), &order, pem, &err),
                     0);
    osr_buffer_done(&request);
}

static void store_first_certificate(struct fixture *fixture)
{
    struct osr_buffer certificate = {0};
    struct osr_err err;
    issue(&fixture->authority, &fixture->key, "instance:" SELF, fixture->now_ms / 1000,
          &certificate);
    const struct osr_trust_certificate first = {
        .key_pem = osr_buffer_slice(&fixture->key),
        .certificate_pem = osr_buffer_slice(&certificate),
        .authorities_pem = osr_buffer_slice(&fixture->authority.certificate),
    };
    assert_int_equal(osr_trust_folder_store_certificate(fixture->trust, &first, &err), 0);
    osr_buffer_done(&certificate);
}

/* -- the fixture -- */

static void open_security(struct fixture *fixture)
{
    char *const arguments[] = {(char *)"osirisd", (char *)"--data", fixture->folder,
                               (char *)"--cluster", (char *)"c"};
    const struct osr_credentials_options credentials = {
        .cluster = "c", .hash_seed = 1, .random = osr_secret_random, .port = {never_written, NULL}};
    enum osr_config_action action;
    struct osr_err err;
    fixture->credentials = osr_credentials_create(&credentials);
    assert_int_equal(osr_config_read(5, arguments, &fixture->config, &action, &err), 0);
    const struct osr_security_options options = {
        .loop = &fixture->loop,
        .config = &fixture->config,
        .disk = osr_disk_system(),
        .instance = SELF,
        .credentials = fixture->credentials,
        .time_ms = time_ms,
        .trace = &fixture->trace,
        .on_changed = on_changed,
        .context = fixture,
    };
    assert_int_equal(osr_security_open(&options, &fixture->security, &err), 0);
}

static struct osr_renewal *create_renewal(struct fixture *fixture, uint64_t seed)
{
    const struct osr_renewal_options options = {
        .loop = &fixture->loop,
        .security = fixture->security,
        .cluster = "c",
        .instance = SELF,
        .time_ms = time_ms,
        .seed = seed,
        .links = list_links,
        .send = take_frame,
        .trace = &fixture->trace,
        .context = fixture,
    };
    return osr_renewal_create(&options);
}

/* A member of a cluster whose CA is `who`'s. */
static int create(void **state, const char *who)
{
    struct fixture *fixture = osr_alloc(sizeof(*fixture));
    scratch_create(fixture->folder);
    assert_int_equal(uv_loop_init(&fixture->loop), 0);
    fixture->trace = (struct osr_trace){count_warning, fixture, OSR_LEVEL_WARNING};
    fixture->now_ms = osr_wall_ms();
    fixture->trust = osr_trust_folder_open(osr_disk_system(), fixture->folder);
    fixture->authority = make_authority(who, fixture->now_ms / 1000);
    fixture->next_authority = make_authority(who, fixture->now_ms / 1000);
    osr_tls_key_make(&fixture->key);
    store_first_certificate(fixture);
    open_security(fixture);
    fixture->renewal = create_renewal(fixture, 1);
    fixture->links[fixture->link_count++] = (struct osr_renewal_link){7, OTHER};
    fixture->links[fixture->link_count++] = (struct osr_renewal_link){8, KEEPER};
    *state = fixture;
    return 0;
}

static int create_member(void **state)
{
    return create(state, "instance:" KEEPER);
}

/* Its CA says nothing of who has it that would be an instance of the cluster. */
static int create_member_of_unnamed(void **state)
{
    return create(state, "user:somebody");
}

static void close_all(struct fixture *fixture)
{
    osr_security_close(fixture->security);
    osr_renewal_close(fixture->renewal);
    fixture->security = NULL;
    fixture->renewal = NULL;
}

static int destroy(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&fixture->loop), 0);
    osr_credentials_destroy(fixture->credentials);
    osr_trust_folder_close(fixture->trust);
    osr_config_done(&fixture->config);
    party_done(&fixture->authority);
    party_done(&fixture->next_authority);
    osr_secret_buffer_done(&fixture->key);
    free(fixture->sent_request);
    free(fixture->sent_certificate);
    scratch_remove(fixture->folder);
    free(fixture);
    return 0;
}

/* -- what tests do -- */

static struct osr_security_info info_of(const struct fixture *fixture)
{
    struct osr_security_info info;
    osr_security_get_info(fixture->security, &info);
    return info;
}

static struct osr_renewal_info plans_of(const struct fixture *fixture)
{
    struct osr_renewal_info info;
    osr_renewal_get_info(fixture->renewal, &info);
    return info;
}

static void make_it_due(struct fixture *fixture)
{
    fixture->now_ms = info_of(fixture).renew_at_s * 1000;
}

/* Lets the time of the next look come. */
static void look(struct fixture *fixture)
{
    uint64_t next_ms = plans_of(fixture).next_ms;
    fixture->now_ms = next_ms > fixture->now_ms ? next_ms : fixture->now_ms;
    osr_renewal_look(fixture->renewal);
}

static void run_until(struct fixture *fixture, const unsigned *count, unsigned wanted)
{
    while (*count < wanted) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
}

static bool answer_error(struct fixture *fixture, enum osr_code code)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Error message = OSR__ERROR__INIT;
    message.code = (Osr__Code)code;
    message.message = (char *)"no";
    frame.request_id = fixture->sent_id;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_ERROR, &message.base);
    return osr_renewal_take_answer(fixture->renewal, fixture->sent_link, &frame);
}

/* What the CA's instance says: `issuer` issues, `old` is believed as well (or NULL). */
static bool answer_with(struct fixture *fixture, const struct party *issuer,
                        const struct party *old, const struct osr_buffer *certificate)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__RenewResponse response = OSR__RENEW_RESPONSE__INIT;
    struct osr_certificate_facts facts;
    struct osr_buffer authorities = {0}, text = {0};
    struct osr_err err;
    osr_certificate_read(osr_buffer_slice(&issuer->certificate), &facts, &err);
    osr_buffer_add(&authorities, issuer->certificate.data, issuer->certificate.size);
    if (old != NULL) {
        osr_buffer_add(&authorities, old->certificate.data, old->certificate.size);
    }
    osr_buffer_add_u8(&authorities, '\0');
    if (certificate != NULL) {
        osr_buffer_add(&text, certificate->data, certificate->size);
    }
    osr_buffer_add_u8(&text, '\0');
    response.certificate_pem = (char *)text.data;
    response.authorities_pem = (char *)authorities.data;
    response.issuer =
        (ProtobufCBinaryData){sizeof(facts.fingerprint.bytes), facts.fingerprint.bytes};
    frame.request_id = fixture->sent_id;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_RENEW_REPLY, &response.base);
    bool is_taken = osr_renewal_take_answer(fixture->renewal, fixture->sent_link, &frame);
    osr_buffer_done(&authorities);
    osr_buffer_done(&text);
    return is_taken;
}

/* The question is answered so that a request follows, which is awaited. */
static void get_request(struct fixture *fixture, const struct party *issuer,
                        const struct party *old)
{
    unsigned sent = fixture->sent;
    assert_string_equal(fixture->sent_request, "");
    assert_true(answer_with(fixture, issuer, old, NULL));
    run_until(fixture, &fixture->sent, sent + 1);
    assert_non_null(strstr(fixture->sent_request, "BEGIN CERTIFICATE REQUEST"));
    assert_non_null(strstr(fixture->sent_certificate, "BEGIN CERTIFICATE"));
}

/* Gives a certificate, of `who`, for `key`, by `issuer`. */
static void give(struct fixture *fixture, const struct party *issuer, const struct party *old,
                 const char *who, const struct osr_buffer *key)
{
    struct osr_buffer certificate = {0};
    issue(issuer, key, who, fixture->now_ms / 1000, &certificate);
    assert_true(answer_with(fixture, issuer, old, &certificate));
    osr_buffer_done(&certificate);
}

static void renew(struct fixture *fixture, const struct party *issuer, const struct party *old)
{
    unsigned changed = fixture->changed;
    look(fixture);
    get_request(fixture, issuer, old);
    give(fixture, issuer, old, "instance:" SELF, &fixture->key);
    run_until(fixture, &fixture->changed, changed + 1);
}

static bool believes(const struct fixture *fixture, const struct party *authority)
{
    struct osr_hash fingerprint = osr_trust_fingerprint(osr_buffer_slice(&authority->certificate));
    return osr_trust_is_among(
        osr_trust_text(osr_security_trust(fixture->security), OSR_TRUST_AUTHORITIES), &fingerprint);
}

/* -- when, and whom -- */

/* Before two thirds of the time are over the CA's instance is asked for news alone; then for a
 * certificate, which is in force at once, and all is quiet again. */
static void certificate_is_renewed_in_time(void **state)
{
    struct fixture *fixture = *state;
    struct osr_security_info before = info_of(fixture);
    look(fixture);
    assert_int_equal(fixture->sent, 1);
    assert_int_equal(fixture->sent_link, 8);
    assert_true(answer_with(fixture, &fixture->authority, NULL, NULL));
    assert_int_equal(fixture->sent, 1);
    make_it_due(fixture);
    renew(fixture, &fixture->authority, NULL);
    assert_int_equal(fixture->sent, 3);
    struct osr_security_info after = info_of(fixture);
    assert_string_not_equal(after.certificate.serial, before.certificate.serial);
    assert_true(after.certificate.expires_s > before.certificate.expires_s);
    assert_int_equal(plans_of(fixture).problem.code, OSR_OK);
    assert_int_equal(fixture->warned, 0);
    uint64_t wait_ms = plans_of(fixture).next_ms - fixture->now_ms;
    assert_in_range(wait_ms, 40 * MINUTE_MS, 80 * MINUTE_MS);
}

/* Members that were made together do not ask at the same time. */
static void times_are_taken_at_random(void **state)
{
    struct fixture *fixture = *state;
    struct osr_renewal *other = create_renewal(fixture, 2);
    struct osr_renewal_info plans;
    osr_renewal_get_info(other, &plans);
    assert_int_not_equal(plans.next_ms, plans_of(fixture).next_ms);
    osr_renewal_close(other);
}

/* A link that comes up is asked within seconds; one that comes and goes is not asked each time. */
static void new_link_is_asked_soon(void **state)
{
    struct fixture *fixture = *state;
    osr_renewal_link_up(fixture->renewal);
    assert_true(plans_of(fixture).next_ms <= fixture->now_ms + OSR_RENEWAL_SOON_MS);
    look(fixture);
    answer_with(fixture, &fixture->authority, NULL, NULL);
    osr_renewal_link_up(fixture->renewal);
    assert_true(plans_of(fixture).next_ms >= fixture->now_ms + OSR_RENEWAL_PAUSE_MS_MIN);
}

/* A CA that names no instance of the cluster leaves open who has it: nobody is bothered until it is
 * time, and then one after the other; who is not the CA's instance says so. */
static void linked_instances_are_asked_in_turn(void **state)
{
    struct fixture *fixture = *state;
    look(fixture);
    assert_int_equal(fixture->sent, 0);
    make_it_due(fixture);
    look(fixture);
    assert_int_equal(fixture->sent_link, 7);
    assert_true(answer_error(fixture, OSR_CONFIG));
    assert_int_equal(fixture->sent, 2);
    assert_int_equal(fixture->sent_link, 8);
    get_request(fixture, &fixture->authority, NULL);
    assert_int_equal(fixture->sent_link, 8);
    give(fixture, &fixture->authority, NULL, "instance:" SELF, &fixture->key);
    run_until(fixture, &fixture->changed, 1);
}

/* Where none of them is the CA's, it is said what to do. */
static void lack_of_a_link_says_what_to_do(void **state)
{
    struct fixture *fixture = *state;
    make_it_due(fixture);
    fixture->link_count = 1;
    look(fixture);
    assert_int_equal(fixture->sent, 0);
    struct osr_err problem = plans_of(fixture).problem;
    assert_int_equal(problem.code, OSR_UNAVAILABLE);
    assert_non_null(strstr(problem.hint, "osiris invite"));
}

/* -- failures -- */

/* The pause doubles up to an hour, the log speaks once a day, and a success forgets it all. */
static void failures_are_tried_again_more_and_more_rarely(void **state)
{
    struct fixture *fixture = *state;
    uint64_t pause_ms = OSR_RENEWAL_PAUSE_MS_MIN;
    make_it_due(fixture);
    for (int i = 0; i < 10; i++) {
        look(fixture);
        assert_true(answer_error(fixture, OSR_BUSY));
        uint64_t wait_ms = plans_of(fixture).next_ms - fixture->now_ms;
        assert_in_range(wait_ms, pause_ms / 2, pause_ms);
        pause_ms =
            pause_ms * 2 < OSR_RENEWAL_PAUSE_MS_MAX ? pause_ms * 2 : OSR_RENEWAL_PAUSE_MS_MAX;
    }
    assert_int_equal(plans_of(fixture).problem.code, OSR_BUSY);
    assert_int_equal(fixture->warned, 1);
    fixture->now_ms += OSR_RENEWAL_SAID_MS;
    look(fixture);
    answer_error(fixture, OSR_BUSY);
    assert_int_equal(fixture->warned, 2);
    renew(fixture, &fixture->authority, NULL);
    assert_int_equal(plans_of(fixture).problem.code, OSR_OK);
}

/* Who does not answer, or whose link is lost, is not waited for. */
static void silence_is_not_waited_for(void **state)
{
    struct fixture *fixture = *state;
    make_it_due(fixture);
    look(fixture);
    fixture->now_ms += OSR_RENEWAL_ANSWER_MS - 1;
    osr_renewal_look(fixture->renewal);
    assert_int_equal(plans_of(fixture).problem.code, OSR_OK);
    fixture->now_ms++;
    osr_renewal_look(fixture->renewal);
    assert_int_equal(plans_of(fixture).problem.code, OSR_UNAVAILABLE);
    assert_false(answer_with(fixture, &fixture->authority, NULL, NULL)); /* too late */
    look(fixture);
    unsigned sent = fixture->sent;
    osr_renewal_link_down(fixture->renewal, 7);
    osr_renewal_link_down(fixture->renewal, fixture->sent_link);
    assert_int_equal(fixture->sent, sent);
    assert_int_equal(plans_of(fixture).problem.code, OSR_UNAVAILABLE);
}

/* A clock that goes back by years puts nothing off by years: not the next look, nor the end of a
 * wait for an answer, nor the pause before a link that comes up is asked. */
static void clock_that_goes_back_puts_nothing_off(void **state)
{
    const uint64_t years_ms = 4ull * 365 * DAY_S * 1000;
    struct fixture *fixture = *state;
    fixture->now_ms -= years_ms;
    osr_renewal_look(fixture->renewal);
    assert_true(plans_of(fixture).next_ms <= fixture->now_ms + OSR_RENEWAL_PAUSE_MS_MIN);
    look(fixture);
    assert_int_equal(fixture->sent, 1);
    fixture->now_ms -= DAY_S * 1000;
    osr_renewal_look(fixture->renewal);
    fixture->now_ms += OSR_RENEWAL_ANSWER_MS;
    osr_renewal_look(fixture->renewal);
    assert_false(answer_with(fixture, &fixture->authority, NULL, NULL)); /* too late */
    fixture->now_ms -= years_ms;
    osr_renewal_link_up(fixture->renewal);
    assert_true(plans_of(fixture).next_ms <= fixture->now_ms + OSR_RENEWAL_PAUSE_MS_MIN);
}

/* A link that is lost while the request is made is not written to. */
static void request_for_a_lost_link_is_not_sent(void **state)
{
    struct fixture *fixture = *state;
    make_it_due(fixture);
    look(fixture);
    answer_with(fixture, &fixture->authority, NULL, NULL);
    osr_renewal_link_down(fixture->renewal, 8);
    while (plans_of(fixture).problem.code == OSR_OK) {
        uv_run(&fixture->loop, UV_RUN_ONCE);
    }
    assert_int_equal(fixture->sent, 1);
}

/* Only the answer that is awaited is one. */
static void other_answers_are_passed_over(void **state)
{
    struct fixture *fixture = *state;
    assert_false(answer_error(fixture, OSR_BUSY));
    make_it_due(fixture);
    look(fixture);
    fixture->sent_link = 7;
    assert_false(answer_error(fixture, OSR_BUSY));
    fixture->sent_link = 8;
    fixture->sent_id++;
    assert_false(answer_error(fixture, OSR_BUSY));
    fixture->sent_id--;
    assert_true(answer_error(fixture, OSR_BUSY));
}

/* An ERROR that says OK is one all the same. */
static void error_is_no_success_whatever_it_says(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), 0);
    answer_with(fixture, &fixture->authority, NULL, NULL);
    run_until(fixture, &fixture->sent, 2);
    assert_true(answer_error(fixture, OSR_OK));
    assert_int_equal(fixture->done, 1);
    assert_int_equal(fixture->done_err.code, OSR_INTERNAL);
}

/* -- answers that are not good -- */

/* Nothing changes, and the problem has this code. */
static void check_refused(struct fixture *fixture, const struct party *issuer, const char *who,
                          const struct osr_buffer *key, enum osr_code code)
{
    struct osr_security_info before = info_of(fixture);
    make_it_due(fixture);
    look(fixture);
    get_request(fixture, &fixture->authority, NULL);
    struct osr_buffer certificate = {0};
    issue(issuer, key, who, fixture->now_ms / 1000, &certificate);
    assert_true(answer_with(fixture, &fixture->authority, NULL, &certificate));
    osr_buffer_done(&certificate);
    assert_int_equal(plans_of(fixture).problem.code, code);
    assert_int_equal(fixture->changed, 0);
    assert_string_equal(info_of(fixture).certificate.serial, before.certificate.serial);
}

static void certificate_of_another_identity_is_refused(void **state)
{
    struct fixture *fixture = *state;
    check_refused(fixture, &fixture->authority, "instance:" OTHER, &fixture->key,
                  OSR_INVALID_ARGUMENT);
}

static void certificate_for_another_key_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct osr_buffer key = {0};
    osr_tls_key_make(&key);
    check_refused(fixture, &fixture->authority, "instance:" SELF, &key, OSR_INVALID_ARGUMENT);
    osr_secret_buffer_done(&key);
}

static void certificate_of_an_unknown_authority_is_refused(void **state)
{
    struct fixture *fixture = *state;
    check_refused(fixture, &fixture->next_authority, "instance:" SELF, &fixture->key,
                  OSR_BAD_SIGNATURE);
}

/* An answer that does not say who issues, or whom to believe, is none. */
static void answers_that_contradict_themselves_are_refused(void **state)
{
    struct fixture *fixture = *state;
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__RenewResponse response = OSR__RENEW_RESPONSE__INIT;
    uint8_t issuer[32] = {1};
    make_it_due(fixture);
    look(fixture);
    frame.request_id = fixture->sent_id;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_RENEW_REPLY, &response.base);
    assert_true(osr_renewal_take_answer(fixture->renewal, fixture->sent_link, &frame));
    assert_int_equal(plans_of(fixture).problem.code, OSR_INVALID_ARGUMENT);
    look(fixture);
    frame.request_id = fixture->sent_id;
    response.issuer = (ProtobufCBinaryData){sizeof(issuer), issuer};
    assert_true(osr_renewal_take_answer(fixture->renewal, fixture->sent_link, &frame));
    assert_int_equal(plans_of(fixture).problem.code, OSR_INVALID_ARGUMENT);
}

/* -- a rotation of the CA -- */

/* The next CA is believed as soon as the CA's instance says so; when it issues, a certificate of it
 * is asked for before it is time; when the old one is not listed any more, it is believed no more.
 */
static void member_follows_a_rotation(void **state)
{
    struct fixture *fixture = *state;
    look(fixture);
    assert_true(answer_with(fixture, &fixture->authority, &fixture->next_authority, NULL));
    run_until(fixture, &fixture->changed, 1);
    assert_int_equal(fixture->sent, 1); /* no certificate was asked for */
    assert_true(believes(fixture, &fixture->authority));
    assert_true(believes(fixture, &fixture->next_authority));
    renew(fixture, &fixture->next_authority, &fixture->authority);
    assert_true(believes(fixture, &fixture->authority));
    look(fixture);
    assert_true(answer_with(fixture, &fixture->next_authority, NULL, NULL));
    run_until(fixture, &fixture->changed, 3);
    assert_false(believes(fixture, &fixture->authority));
    assert_true(believes(fixture, &fixture->next_authority));
}

/* One that was away for all of it finds its way by one renewal. */
static void member_that_was_away_follows_a_rotation(void **state)
{
    struct fixture *fixture = *state;
    renew(fixture, &fixture->next_authority, NULL);
    assert_false(believes(fixture, &fixture->authority));
    assert_true(believes(fixture, &fixture->next_authority));
}

/* Whom to believe is taken from nobody but the instance that a CA names. */
static void authorities_are_not_taken_from_anybody(void **state)
{
    struct fixture *fixture = *state;
    make_it_due(fixture);
    look(fixture);
    get_request(fixture, &fixture->authority, &fixture->next_authority);
    give(fixture, &fixture->authority, &fixture->next_authority, "instance:" SELF, &fixture->key);
    run_until(fixture, &fixture->changed, 1);
    assert_true(believes(fixture, &fixture->authority));
    assert_false(believes(fixture, &fixture->next_authority));
    fixture->now_ms += OSR_RENEWAL_SAID_MS;
    make_it_due(fixture);
    look(fixture);
    get_request(fixture, &fixture->next_authority, NULL);
    give(fixture, &fixture->next_authority, NULL, "instance:" SELF, &fixture->key);
    assert_int_equal(plans_of(fixture).problem.code, OSR_BAD_SIGNATURE);
    assert_false(believes(fixture, &fixture->next_authority));
}

/* -- at once -- */

/* Who asks for it is told when it is in force, and why not. */
static void certificate_is_renewed_at_once(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), 0);
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), OSR_BUSY);
    get_request(fixture, &fixture->authority, NULL);
    give(fixture, &fixture->authority, NULL, "instance:" SELF, &fixture->key);
    run_until(fixture, &fixture->done, 1);
    assert_int_equal(fixture->done_err.code, OSR_OK);
    assert_int_equal(fixture->changed, 1);
    fixture->link_count = 0;
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), 0);
    assert_int_equal(fixture->done, 2);
    assert_int_equal(fixture->done_err.code, OSR_UNAVAILABLE);
    assert_int_equal(plans_of(fixture).problem.code, OSR_OK); /* it is not time yet */
    assert_int_equal(fixture->warned, 0);
}

/* Without a certificate there is nothing to renew, and what to do is said. */
static void nothing_is_renewed_without_a_certificate(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    close_all(fixture);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    osr_credentials_destroy(fixture->credentials);
    osr_config_done(&fixture->config);
    scratch_run(fixture->folder, "rm trust/tls.crt");
    open_security(fixture);
    fixture->renewal = create_renewal(fixture, 1);
    look(fixture);
    assert_int_equal(fixture->sent, 0);
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), OSR_CONFIG);
    assert_non_null(strstr(err.hint, "osiris join"));
}

/* Who waits when the instance stops is told so. */
static void close_tells_who_waits(void **state)
{
    struct fixture *fixture = *state;
    struct osr_err err;
    assert_int_equal(osr_renewal_now(fixture->renewal, on_done, fixture, &err), 0);
    answer_with(fixture, &fixture->authority, NULL, NULL); /* the request is being made */
    close_all(fixture);
    assert_int_equal(fixture->done, 1);
    assert_int_equal(fixture->done_err.code, OSR_CANCELLED);
}

int main(void)
{
#define MEMBER_TEST(name)  cmocka_unit_test_setup_teardown(name, create_member, destroy)
#define UNNAMED_TEST(name) cmocka_unit_test_setup_teardown(name, create_member_of_unnamed, destroy)
    const struct CMUnitTest tests[] = {
        MEMBER_TEST(certificate_is_renewed_in_time),
        MEMBER_TEST(times_are_taken_at_random),
        MEMBER_TEST(new_link_is_asked_soon),
        UNNAMED_TEST(linked_instances_are_asked_in_turn),
        MEMBER_TEST(lack_of_a_link_says_what_to_do),
        MEMBER_TEST(failures_are_tried_again_more_and_more_rarely),
        MEMBER_TEST(silence_is_not_waited_for),
        MEMBER_TEST(clock_that_goes_back_puts_nothing_off),
        MEMBER_TEST(request_for_a_lost_link_is_not_sent),
        MEMBER_TEST(other_answers_are_passed_over),
        MEMBER_TEST(error_is_no_success_whatever_it_says),
        MEMBER_TEST(certificate_of_another_identity_is_refused),
        MEMBER_TEST(certificate_for_another_key_is_refused),
        MEMBER_TEST(certificate_of_an_unknown_authority_is_refused),
        MEMBER_TEST(answers_that_contradict_themselves_are_refused),
        MEMBER_TEST(member_follows_a_rotation),
        MEMBER_TEST(member_that_was_away_follows_a_rotation),
        UNNAMED_TEST(authorities_are_not_taken_from_anybody),
        MEMBER_TEST(certificate_is_renewed_at_once),
        MEMBER_TEST(nothing_is_renewed_without_a_certificate),
        MEMBER_TEST(close_tells_who_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
