#include "node/renewal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "node/renewal_answer.h"

enum {
    DAY_S = 24 * 60 * 60,
    MS_PER_S = 1000,
    TIMER_MS_MAX = 60 * 1000, /* the clock may jump, and a machine may sleep */
};

enum step {
    STEP_IDLE,
    STEP_ASKING,   /* a linked instance, whether it is the CA's and what has changed there */
    STEP_MAKING,   /* the request, on the thread */
    STEP_ORDERING, /* the certificate */
    STEP_STORING,  /* the answer, by security.h */
};

/* From the first question to what comes of it. */
struct round {
    uint32_t asked[OSR_LINKS_MAX]; /* links */
    size_t asked_count;
    uint32_t link; /* whose answer is awaited */
    char from[OSR_INSTANCE_CHARS + 1];
    uint64_t request_id;
    uint64_t deadline_ms;
    struct osr_err refusal; /* worth saying, where nobody gives a certificate; code 0: none */
    bool is_certificate;    /* that is stored, and not CAs alone */
};

struct osr_renewal {
    struct osr_renewal_options options;
    uv_timer_t timer;
    struct osr_random random;
    enum step step;
    struct round round;
    uint64_t last_request_id;
    uint64_t next_ms; /* when the next round may begin */
    uint64_t ended_ms;
    uint32_t failures; /* in a row */
    struct osr_err problem;
    uint64_t said_ms; /* when the problem was said last */
    uint64_t seen_ms; /* by the clock, when it was looked at last */
    osr_renewal_done *done;
    void *done_context; /* where somebody waits */
};

static uint64_t now_ms(const struct osr_renewal *renewal)
{
    return renewal->options.time_ms(renewal->options.context);
}

/* Where the clock was set back, what is waited for comes no later for that. */
static void follow_clock(struct osr_renewal *renewal)
{
    uint64_t *const times[] = {&renewal->next_ms, &renewal->ended_ms, &renewal->said_ms,
                               &renewal->round.deadline_ms};
    uint64_t at_ms = now_ms(renewal);
    uint64_t back_ms = renewal->seen_ms > at_ms ? renewal->seen_ms - at_ms : 0;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
        bool is_set = *times[i] > back_ms && *times[i] != UINT64_MAX;
        *times[i] -= is_set ? back_ms : 0;
    }
    renewal->seen_ms = at_ms;
}

static struct osr_security_info info_of(const struct osr_renewal *renewal)
{
    struct osr_security_info info;
    osr_security_get_info(renewal->options.security, &info);
    return info;
}

static struct osr_renewal_own own_of(const struct osr_renewal *renewal)
{
    return (struct osr_renewal_own){
        .trust = osr_security_trust(renewal->options.security),
        .cluster = renewal->options.cluster,
        .instance = renewal->options.instance,
        .now_s = now_ms(renewal) / MS_PER_S,
    };
}

/* Whether there is anything that the CA's instance could renew. */
static int check_certificate(const struct osr_security_info *info, struct osr_err *err)
{
    const struct osr_certificate_facts *facts = &info->certificate;
    if (facts->expires_s == 0) {
        osr_err_set(err, OSR_CONFIG,
                    "there is nothing to renew: this instance has no certificate "
                    "of a CA");
        osr_err_hint(err, "osiris join INVITATION gives it one");
        return OSR_CONFIG;
    }
    if (facts->cluster[0] == '\0') {
        osr_err_set(err, OSR_CONFIG,
                    "the certificate is of an outside CA, \"%.80s\", which alone can renew it",
                    facts->issuer);
        osr_err_hint(err, "put the new one, with its chain, at trust/tls.crt in the data folder; "
                          "then: osiris reload");
        return OSR_CONFIG;
    }
    return 0;
}

static bool is_due(const struct osr_renewal *renewal)
{
    struct osr_security_info info = info_of(renewal);
    return info.renew_at_s != 0 && !osr_security_renews_itself(&info) &&
           now_ms(renewal) / MS_PER_S >= info.renew_at_s;
}

/* -- when -- */

/* Somewhere from half of it to all of it. */
static uint64_t shaken(struct osr_renewal *renewal, uint64_t span_ms)
{
    return span_ms / 2 + osr_random_below(&renewal->random, span_ms / 2);
}

static void on_timer(uv_timer_t *timer)
{
    osr_renewal_look(timer->data);
}

static void set_timer(struct osr_renewal *renewal)
{
    uint64_t at_ms = now_ms(renewal);
    uint64_t next_ms = renewal->step == STEP_IDLE ? renewal->next_ms : renewal->round.deadline_ms;
    uint64_t wait_ms = next_ms > at_ms ? next_ms - at_ms : 0;
    uv_timer_start(&renewal->timer, on_timer, wait_ms < TIMER_MS_MAX ? wait_ms : TIMER_MS_MAX, 0);
}

static uint64_t pause_after(uint32_t failures)
{
    uint64_t pause_ms = OSR_RENEWAL_PAUSE_MS_MIN;
    for (uint32_t i = 1; i < failures && pause_ms < OSR_RENEWAL_PAUSE_MS_MAX; i++) {
        pause_ms *= 2;
    }
    return pause_ms < OSR_RENEWAL_PAUSE_MS_MAX ? pause_ms : OSR_RENEWAL_PAUSE_MS_MAX;
}

/* -- the end of a round -- */

static void say_problem(struct osr_renewal *renewal)
{
    uint64_t at_ms = now_ms(renewal);
    uint64_t ends_s = info_of(renewal).certificate.expires_s;
    uint64_t days = ends_s > at_ms / MS_PER_S ? (ends_s - at_ms / MS_PER_S) / DAY_S : 0;
    if (renewal->said_ms != 0 && at_ms < renewal->said_ms + OSR_RENEWAL_SAID_MS) {
        return;
    }
    renewal->said_ms = at_ms;
    osr_trace(renewal->options.trace, OSR_LEVEL_WARNING,
              "the certificate of this instance ends in %" PRIu64
              " days and could not be renewed, which is tried again: %s; %s",
              days, renewal->problem.message, renewal->problem.hint);
}

static void tell_who_waits(struct osr_renewal *renewal, const struct osr_err *err)
{
    osr_renewal_done *done = renewal->done;
    renewal->done = NULL;
    if (done != NULL) {
        done(renewal->done_context, err);
    }
}

static void end_round(struct osr_renewal *renewal, const struct osr_err *err)
{
    bool is_good = err->code == OSR_OK;
    uint64_t span_ms = (uint64_t)OSR_RENEWAL_LOOK_MS * 4 / 3; /* shaken, that on average */
    renewal->step = STEP_IDLE;
    renewal->ended_ms = now_ms(renewal);
    renewal->failures = is_good ? 0 : renewal->failures + 1;
    renewal->problem = (struct osr_err){.code = OSR_OK};
    if (!is_good && is_due(renewal)) {
        span_ms = pause_after(renewal->failures);
        renewal->problem = *err;
        say_problem(renewal);
    }
    renewal->next_ms = renewal->ended_ms + shaken(renewal, span_ms);
    set_timer(renewal);
    tell_who_waits(renewal, err);
}

/* -- asking -- */

static bool was_asked(const struct round *round, uint32_t link)
{
    for (size_t i = 0; i < round->asked_count; i++) {
        if (round->asked[i] == link) {
            return true;
        }
    }
    return false;
}

/* The CA's instance where it is known which one that is; else one that was not asked yet. */
static bool find_link(const struct osr_renewal *renewal, struct osr_renewal_link *ret_link)
{
    struct osr_renewal_link links[OSR_LINKS_MAX];
    const struct osr_renewal_own own = own_of(renewal);
    size_t count = renewal->options.links(renewal->options.context, links);
    bool is_known = osr_renewal_is_named(&own, NULL);
    for (size_t i = 0; i < count; i++) {
        bool may_be = !is_known || osr_renewal_is_named(&own, links[i].instance);
        if (may_be && !was_asked(&renewal->round, links[i].number)) {
            *ret_link = links[i];
            return true;
        }
    }
    return false;
}

static void send_renew(struct osr_renewal *renewal, enum step step, const char *request_pem,
                       const char *certificate_pem)
{
    struct round *round = &renewal->round;
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__RenewRequest request = OSR__RENEW_REQUEST__INIT;
    request.request_pem = (char *)request_pem;
    request.certificate_pem = (char *)certificate_pem;
    round->request_id = frame.request_id = ++renewal->last_request_id;
    round->deadline_ms = now_ms(renewal) + OSR_RENEWAL_ANSWER_MS;
    renewal->step = step;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_RENEW, &request.base);
    renewal->options.send(renewal->options.context, round->link, &frame);
    set_timer(renewal);
}

static void fail_unlinked(struct osr_renewal *renewal)
{
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "no link with the CA's instance is up");
    osr_err_hint(&err, "see here with osiris status that there is one, and there that it runs; or "
                       "there: osiris invite, and here, with osirisd stopped: osiris join");
    end_round(renewal, &err);
}

static void ask_next(struct osr_renewal *renewal)
{
    struct round *round = &renewal->round;
    struct osr_renewal_link link;
    if (round->asked_count < OSR_LINKS_MAX && find_link(renewal, &link)) {
        round->asked[round->asked_count++] = round->link = link.number;
        snprintf(round->from, sizeof(round->from), "%s", link.instance);
        send_renew(renewal, STEP_ASKING, "", "");
    } else if (round->refusal.code != OSR_OK) {
        const struct osr_err refusal = round->refusal;
        end_round(renewal, &refusal);
    } else {
        fail_unlinked(renewal);
    }
}

static void begin_round(struct osr_renewal *renewal)
{
    struct osr_security_info info = info_of(renewal);
    struct osr_err err;
    renewal->round = (struct round){.asked_count = 0};
    if (check_certificate(&info, &err) != 0) {
        end_round(renewal, &err);
    } else {
        ask_next(renewal);
    }
}

/* One that was asked is not the CA's instance, or does not say what is asked. */
static void pass_over(struct osr_renewal *renewal, const struct osr_err *err)
{
    const struct osr_renewal_own own = own_of(renewal);
    if (err->code != OSR_CONFIG || osr_renewal_is_named(&own, renewal->round.from)) {
        renewal->round.refusal = *err;
    }
    ask_next(renewal);
}

/* -- the request -- */

/* Made on the thread of security.h. */
struct making {
    struct osr_file_job job; /* first */
    struct osr_renewal *renewal;
    struct osr_buffer key, request;
    struct osr_err err;
};

static void make(struct osr_file_job *job)
{
    struct making *making = (struct making *)job;
    int code =
        osr_certificate_request(osr_buffer_slice(&making->key), &making->request, &making->err);
    if (code == 0) {
        making->err.code = OSR_OK;
    }
}

static void order(struct osr_renewal *renewal, struct osr_buffer *request)
{
    struct osr_slice chain =
        osr_trust_text(osr_security_trust(renewal->options.security), OSR_TRUST_TLS_CERTIFICATE);
    struct osr_slice present = {0};
    osr_certificate_next(&chain, &present);
    char *certificate = osr_format("%.*s", (int)present.size, (const char *)present.data);
    osr_buffer_add_u8(request, '\0');
    send_renew(renewal, STEP_ORDERING, (const char *)request->data, certificate);
    free(certificate);
}

static void on_made(struct osr_file_job *job)
{
    struct making *making = (struct making *)job;
    struct osr_renewal *renewal = making->renewal;
    if (making->err.code != OSR_OK) {
        end_round(renewal, &making->err);
    } else if (renewal->round.link == 0) {
        fail_unlinked(renewal);
    } else {
        order(renewal, &making->request);
    }
    osr_secret_buffer_done(&making->key);
    osr_buffer_done(&making->request);
    free(making);
}

static void make_request(struct osr_renewal *renewal)
{
    struct making *making = osr_alloc(sizeof(*making));
    struct osr_slice key =
        osr_trust_text(osr_security_trust(renewal->options.security), OSR_TRUST_TLS_KEY);
    making->job.work = make;
    making->job.done = on_made;
    making->renewal = renewal;
    osr_buffer_add(&making->key, key.data, key.size);
    renewal->step = STEP_MAKING;
    renewal->round.deadline_ms = UINT64_MAX;
    osr_file_worker_submit(osr_security_worker(renewal->options.security), &making->job);
}

/* -- storing -- */

static int note(const struct osr_renewal *renewal, const char *why, struct osr_err *err)
{
    char who[sizeof("instance:") + OSR_INSTANCE_CHARS];
    snprintf(who, sizeof(who), "instance:%s", renewal->options.instance);
    const struct osr_audit_record record = {.allowed = true,
                                            .who = who,
                                            .from = "link",
                                            .action = osr_action_info(OSR_ACTION_TRUST)->name,
                                            .part = "instance:",
                                            .what = "RENEW_REPLY",
                                            .why = why};
    struct osr_audit *audit = renewal->options.audit;
    return audit == NULL ? 0 : osr_audit_note(audit, OSR_AUDIT_TRUST, &record, err);
}

static void say_renewed(const struct osr_renewal *renewal)
{
    char expires[OSR_TIME_CHARS + 1];
    struct osr_security_info info = info_of(renewal);
    osr_time_write(expires, info.certificate.expires_s);
    osr_trace(renewal->options.trace, OSR_LEVEL_INFO,
              "the certificate was renewed by the instance %s: good until %s", renewal->round.from,
              expires);
}

static void on_stored(void *context, const struct osr_security_changes *changes,
                      const struct osr_err *err)
{
    struct osr_renewal *renewal = context;
    if (changes == NULL) {
        end_round(renewal, err);
        return;
    }
    if (renewal->round.is_certificate) {
        say_renewed(renewal);
    } else {
        osr_trace(renewal->options.trace, OSR_LEVEL_INFO,
                  "the CAs that are believed are others now, as the instance %s says",
                  renewal->round.from);
    }
    end_round(renewal, &(struct osr_err){.code = OSR_OK});
}

static void store(struct osr_renewal *renewal, const Osr__RenewResponse *answer, const char *why)
{
    struct round *round = &renewal->round;
    const struct osr_renewal_own own = own_of(renewal);
    bool is_named = osr_renewal_is_named(&own, round->from);
    char authority[sizeof("instance:") + OSR_INSTANCE_CHARS];
    struct osr_err err;
    snprintf(authority, sizeof(authority), "instance:%s", round->from);
    const struct osr_trust_certificate given = {
        .certificate_pem = osr_slice_text(round->is_certificate ? answer->certificate_pem : ""),
        .authorities_pem = osr_slice_text(is_named ? answer->authorities_pem : ""),
        .authority = is_named ? authority : NULL,
    };
    int code = note(renewal, why, &err);
    if (code == 0) {
        code = osr_security_take_certificate(renewal->options.security, &given, on_stored, renewal,
                                             &err);
    }
    if (code != 0) {
        end_round(renewal, &err);
        return;
    }
    renewal->step = STEP_STORING;
    round->deadline_ms = UINT64_MAX;
}

/* -- answers -- */

/* What the CA's instance says of itself. */
static void take_news(struct osr_renewal *renewal, const Osr__RenewResponse *answer)
{
    const struct osr_renewal_own own = own_of(renewal);
    struct osr_renewal_news news;
    struct osr_err err;
    if (osr_renewal_read_news(&own, renewal->round.from, answer, &news, &err) != 0) {
        pass_over(renewal, &err);
    } else if (news.is_other_issuer || is_due(renewal) || renewal->done != NULL) {
        make_request(renewal);
    } else if (news.are_others_believed) {
        store(renewal, answer, "CAs that are believed");
    } else {
        end_round(renewal, &(struct osr_err){.code = OSR_OK});
    }
}

static void take_certificate(struct osr_renewal *renewal, const Osr__RenewResponse *answer)
{
    const struct osr_renewal_own own = own_of(renewal);
    struct osr_certificate_facts facts;
    struct osr_renewal_news news;
    struct osr_err err;
    int code = osr_renewal_read_news(&own, renewal->round.from, answer, &news, &err);
    if (code == 0) {
        code = osr_renewal_check_certificate(&own, renewal->round.from, answer, &facts, &err);
    }
    if (code != 0) {
        osr_err_prefix(&err, "the answer of the instance %s is not good", renewal->round.from);
        end_round(renewal, &err);
        return;
    }
    char *why = osr_format("certificate %s", facts.serial);
    renewal->round.is_certificate = true;
    store(renewal, answer, why);
    free(why);
}

static void take_refusal(struct osr_renewal *renewal, const Osr__Error *error)
{
    struct osr_err err;
    osr_error_read(error, &err);
    osr_err_prefix(&err, "the instance %s says", renewal->round.from);
    if (renewal->step == STEP_ASKING) {
        pass_over(renewal, &err);
    } else {
        end_round(renewal, &err);
    }
}

static bool is_awaited(const struct osr_renewal *renewal, uint32_t link)
{
    return (renewal->step == STEP_ASKING || renewal->step == STEP_ORDERING) &&
           renewal->round.link == link;
}

bool osr_renewal_take_answer(struct osr_renewal *renewal, uint32_t link, const Osr__Frame *frame)
{
    if (!is_awaited(renewal, link) || frame->request_id != renewal->round.request_id) {
        return false;
    }
    if (frame->body_case == OSR__FRAME__BODY_ERROR) {
        take_refusal(renewal, frame->error);
    } else if (renewal->step == STEP_ASKING) {
        take_news(renewal, frame->renew_reply);
    } else {
        take_certificate(renewal, frame->renew_reply);
    }
    return true;
}

static void miss_answer(struct osr_renewal *renewal, const char *why)
{
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "the instance %s %s", renewal->round.from, why);
    osr_err_hint(&err, "see that it runs: osiris doctor there");
    if (renewal->step == STEP_ASKING) {
        pass_over(renewal, &err);
    } else {
        end_round(renewal, &err);
    }
}

/* -- links come and go -- */

void osr_renewal_link_up(struct osr_renewal *renewal)
{
    follow_clock(renewal);
    uint64_t soon_ms = now_ms(renewal) + shaken(renewal, OSR_RENEWAL_SOON_MS);
    uint64_t earliest_ms =
        renewal->ended_ms == 0 ? 0 : renewal->ended_ms + OSR_RENEWAL_PAUSE_MS_MIN;
    soon_ms = soon_ms > earliest_ms ? soon_ms : earliest_ms;
    if (renewal->step == STEP_IDLE && soon_ms < renewal->next_ms) {
        renewal->next_ms = soon_ms;
        set_timer(renewal);
    }
}

void osr_renewal_link_down(struct osr_renewal *renewal, uint32_t link)
{
    if (is_awaited(renewal, link)) {
        miss_answer(renewal, "was lost while it was asked to renew the certificate");
    } else if (renewal->step == STEP_MAKING && renewal->round.link == link) {
        renewal->round.link = 0; /* no link's number */
    }
}

/* -- looking -- */

/* Whom to ask is known, or has to be found out by now. */
static bool is_worth_asking(const struct osr_renewal *renewal)
{
    const struct osr_renewal_own own = own_of(renewal);
    struct osr_security_info info = info_of(renewal);
    if (info.certificate.expires_s == 0 || osr_security_renews_itself(&info)) {
        return false;
    }
    return is_due(renewal) || osr_renewal_is_named(&own, NULL);
}

void osr_renewal_look(struct osr_renewal *renewal)
{
    follow_clock(renewal);
    uint64_t at_ms = now_ms(renewal);
    if (renewal->step == STEP_IDLE && at_ms >= renewal->next_ms) {
        if (is_worth_asking(renewal)) {
            begin_round(renewal);
            return;
        }
        renewal->next_ms = at_ms + shaken(renewal, OSR_RENEWAL_LOOK_MS);
    } else if (renewal->step != STEP_IDLE && at_ms >= renewal->round.deadline_ms) {
        miss_answer(renewal, "does not answer");
        return;
    }
    set_timer(renewal);
}

/* -- at once -- */

static void on_issued(void *context, const struct osr_security_changes *changes,
                      const struct osr_err *err)
{
    struct osr_err done = {.code = OSR_OK};
    tell_who_waits(context, changes != NULL ? &done : err);
}

int osr_renewal_now(struct osr_renewal *renewal, osr_renewal_done *done, void *context,
                    struct osr_err *err)
{
    struct osr_security_info info = info_of(renewal);
    int code = check_certificate(&info, err);
    if (code != 0) {
        return code;
    }
    follow_clock(renewal);
    if (renewal->done != NULL || renewal->step == STEP_STORING) {
        osr_err_set(err, OSR_BUSY, "the certificate is being renewed");
        osr_err_hint(err, "try again in a few seconds");
        return OSR_BUSY;
    }
    if (osr_security_renews_itself(&info)) {
        code = osr_security_issue_certificate(renewal->options.security, on_issued, renewal, err);
        if (code != 0) {
            return code;
        }
    }
    renewal->done = done;
    renewal->done_context = context;
    if (!osr_security_renews_itself(&info) && renewal->step == STEP_IDLE) {
        begin_round(renewal);
    }
    return 0;
}

/* -- making and unmaking it -- */

struct osr_renewal *osr_renewal_create(const struct osr_renewal_options *options)
{
    struct osr_renewal *renewal = osr_alloc(sizeof(*renewal));
    renewal->options = *options;
    osr_random_init(&renewal->random, options->seed);
    uv_timer_init(options->loop, &renewal->timer); /* only fills in the handle */
    renewal->timer.data = renewal;
    renewal->seen_ms = now_ms(renewal);
    renewal->next_ms = renewal->seen_ms + shaken(renewal, OSR_RENEWAL_PAUSE_MS_MIN);
    set_timer(renewal);
    uv_unref((uv_handle_t *)&renewal->timer);
    return renewal;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void osr_renewal_close(struct osr_renewal *renewal)
{
    struct osr_err err;
    if (renewal == NULL) {
        return;
    }
    osr_err_set(&err, OSR_CANCELLED, "the instance stops");
    tell_who_waits(renewal, &err);
    uv_close((uv_handle_t *)&renewal->timer, on_timer_closed);
}

void osr_renewal_get_info(const struct osr_renewal *renewal, struct osr_renewal_info *ret_info)
{
    *ret_info = (struct osr_renewal_info){renewal->next_ms, renewal->problem};
}
