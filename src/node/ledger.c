#include "node/ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

/* The core stays when it is stopped: the log may still be at what it has put out. */
bool osr_ledger_is_running(const struct osr_ledger *ledger)
{
    return ledger->raft != NULL && ledger->stopped.code == OSR_OK;
}

void osr_ledger_break(struct osr_ledger *ledger, const struct osr_err *err)
{
    if (!ledger->is_closing) {
        ledger->stopped = *err; /* what it said from now on might be wrong */
        ledger->is_broken = true;
        ledger->on_failure(ledger->context, err);
    }
}

static void step(struct osr_ledger *ledger, struct osr_raft_event *event)
{
    assert(!ledger->is_stepping);
    ledger->is_stepping = true;
    event->now_ms = uv_now(ledger->loop);
    struct osr_raft_outputs outputs;
    osr_raft_step(ledger->raft, event, &outputs);
    for (size_t i = 0; i < outputs.count; i++) {
        osr_ledger_carry_out(ledger, &outputs.items[i]);
    }
    ledger->is_stepping = false;
}

static void tell_applied(struct osr_ledger *ledger)
{
    while (ledger->applied_news != 0) {
        struct osr_raft_event event = {.type = OSR_RAFT_APPLIED,
                                       .applied = {.index = ledger->applied_news}};
        ledger->applied_news = 0;
        step(ledger, &event);
    }
}

static void take_role_news(struct osr_ledger *ledger)
{
    const struct osr_raft_configuration *members = osr_ledger_configuration(ledger);
    ledger->has_role_news = false;
    ledger->has_belonged |= osr_raft_configuration_find(members, ledger->member) != NULL;
    osr_ledger_members_understand(members, ledger->versions);
    osr_ledger_links_changed(ledger->links);
    osr_ledger_retry_now(ledger);
}

void osr_ledger_post(struct osr_ledger *ledger, struct osr_raft_event *event)
{
    if (ledger->is_closing || !osr_ledger_is_running(ledger)) {
        return;
    }
    if (event != NULL) {
        step(ledger, event);
        /* What came may have been a read for another member, or may let reads begin. */
        ledger->flush_wanted |= event->type != OSR_RAFT_FLUSH;
    }
    tell_applied(ledger);
    if (ledger->has_role_news) {
        take_role_news(ledger);
    }
    osr_ledger_tell_answers(ledger);
}

/* ---- what links say ---- */

/* In memory a new leader's cut counts before it is on the disk. */
static uint64_t last_index_on_disk(const struct osr_ledger *ledger,
                                   const struct osr_raft_info *info)
{
    bool is_cut_under_way =
        ledger->acknowledged_term == info->durable_term && ledger->acknowledged > info->durable;
    return is_cut_under_way ? ledger->acknowledged : info->durable;
}

static void standing(void *context, struct osr_ledger_standing *ret_standing)
{
    const struct osr_ledger *ledger = context;
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    *ret_standing = (struct osr_ledger_standing){
        .member = ledger->member,
        .starts = ledger->starts,
        .term = info.durable_term,
        .last_index = last_index_on_disk(ledger, &info),
        .wants_in = ledger->id[0] == '\0',
    };
    memcpy(ret_standing->ledger, ledger->id, sizeof(ledger->id));
    for (size_t i = 0; i < ledger->machine_count; i++) {
        ret_standing->versions[ledger->machines[i].id - 1] = ledger->machines[i].version_max;
    }
}

static const struct osr_raft_configuration *configuration(void *context)
{
    return osr_ledger_configuration(context);
}

static uint64_t acknowledged(void *context, uint64_t member)
{
    const struct osr_ledger *ledger = context;
    struct osr_raft_peer_info peer;
    return osr_ledger_leads(ledger) && osr_ledger_find_peer(ledger, member, &peer) ? peer.matched
                                                                                   : 0;
}

static void on_message(void *context, const struct osr_raft_message *message)
{
    struct osr_raft_event event = {.type = OSR_RAFT_MESSAGE, .message = message};
    osr_ledger_post(context, &event);
}

static void on_ask(void *context, uint64_t member, const Osr__LedgerAsk *ask)
{
    osr_ledger_take_ask(context, member, ask);
}

static void on_answer(void *context, uint64_t member, const Osr__LedgerAnswer *answer)
{
    osr_ledger_take_answer(context, member, answer);
}

static void on_reachable(void *context, uint64_t member)
{
    (void)member; /* it may lead */
    osr_ledger_retry_now(context);
}

static void on_unreachable(void *context, uint64_t member)
{
    struct osr_raft_event event = {.type = OSR_RAFT_UNREACHABLE, .unreachable = {member}};
    osr_ledger_post(context, &event);
}

static void on_wants_in(void *context, const struct osr_ledger_applicant *applicant)
{
    osr_ledger_take_applicant(context, applicant);
}

static void on_welcome(void *context, const char *id, uint64_t member)
{
    struct osr_ledger *ledger = context;
    if (ledger->id[0] != '\0') {
        return;
    }
    osr_trace(ledger->trace, OSR_LEVEL_INFO, "ledger: joined %s as member %llu", id,
              (unsigned long long)member);
    ledger->refusal.code = OSR_OK; /* of what it was before */
    osr_ledger_join(ledger, id, member);
    osr_ledger_begin(ledger);
    osr_ledger_links_changed(ledger->links);
}

static void on_refused(void *context, uint64_t member, const struct osr_err *err)
{
    struct osr_ledger *ledger = context;
    ledger->refusal = *err;
    ledger->refused_ms = uv_now(ledger->loop);
    if (err->code == OSR_CONFLICT && osr_ledger_is_running(ledger)) {
        osr_trace(ledger->trace, OSR_LEVEL_ERROR, "ledger: member %llu says of this one: %s",
                  (unsigned long long)member, err->message); /* it may be lying */
        osr_ledger_stop(ledger, err);
    }
}

void osr_ledger_own_member(const struct osr_ledger *ledger, struct osr_ledger_member *ret_member)
{
    struct osr_ledger_standing own;
    standing((void *)ledger, &own);
    osr_ledger_links_own(ledger->links, ret_member);
    memcpy(ret_member->versions, own.versions, sizeof(own.versions));
}

/* ---- opening ---- */

static struct osr_values *values(struct osr_agreement *agreement, enum osr_machine_id machine)
{
    return osr_ledger_state_values(((struct osr_ledger *)agreement)->state, machine);
}

static uint8_t version(struct osr_agreement *agreement, enum osr_machine_id machine)
{
    return ((struct osr_ledger *)agreement)->versions[machine - 1];
}

static bool is_broken(struct osr_agreement *agreement)
{
    return ((struct osr_ledger *)agreement)->is_broken;
}

static void open_links(struct osr_ledger *ledger, const struct osr_ledger_links_options *options)
{
    const struct osr_ledger_links_handler handler = {
        .standing = standing,
        .configuration = configuration,
        .acknowledged = acknowledged,
        .on_message = on_message,
        .on_ask = on_ask,
        .on_answer = on_answer,
        .on_reachable = on_reachable,
        .on_unreachable = on_unreachable,
        .on_wants_in = on_wants_in,
        .on_welcome = on_welcome,
        .on_refused = on_refused,
        .context = ledger,
    };
    ledger->links = osr_ledger_links_create(options, &handler);
}

static void on_sweep(uv_timer_t *timer)
{
    osr_ledger_sweep(timer->data);
    osr_ledger_update_members(timer->data);
}

int osr_ledger_open(const struct osr_ledger_options *options, struct osr_ledger **ret_ledger,
                    struct osr_err *err)
{
    struct osr_ledger *ledger = osr_alloc(sizeof(*ledger));
    ledger->agreement = (struct osr_agreement){.propose = osr_ledger_propose,
                                               .read = osr_ledger_read,
                                               .forget = osr_ledger_forget,
                                               .values = values,
                                               .is_broken = is_broken,
                                               .version = version};
    ledger->loop = options->loop;
    ledger->config = options->config;
    ledger->instance = options->instance;
    ledger->journal = options->journal;
    ledger->machines = options->machines;
    ledger->machine_count = options->machine_count;
    ledger->trace = options->trace;
    ledger->core_trace = options->links.trace;
    ledger->on_failure = options->on_failure;
    ledger->context = options->context;
    ledger->tick_ms = UINT64_MAX;
    osr_ledger_requests_init(ledger);
    int code = osr_ledger_recall(ledger, err);
    if (code == 0) {
        code = osr_ledger_open_state(ledger, err);
    }
    if (code != 0) {
        free(ledger);
        return code;
    }
    open_links(ledger, &options->links);
    uv_timer_init(ledger->loop, &ledger->tick); /* these only fill in their handles */
    uv_timer_init(ledger->loop, &ledger->sweep);
    ledger->tick.data = ledger->sweep.data = ledger;
    *ret_ledger = ledger;
    return 0;
}

void osr_ledger_start(struct osr_ledger *ledger)
{
    ledger->is_started = true;
    uv_timer_start(&ledger->sweep, on_sweep, LEDGER_SWEEP_MS, LEDGER_SWEEP_MS);
    osr_ledger_identify(ledger);
    if (ledger->id[0] == '\0') {
        osr_trace(ledger->trace, OSR_LEVEL_INFO, "ledger: waits to be added by a member");
    } else {
        osr_ledger_begin(ledger);
    }
    osr_ledger_links_changed(ledger->links);
}

void osr_ledger_stop(struct osr_ledger *ledger, const struct osr_err *err)
{
    if (!osr_ledger_is_running(ledger)) {
        return;
    }
    osr_trace(ledger->trace, OSR_LEVEL_ERROR, "ledger: this member takes no part any more: %s; %s",
              err->message, err->hint);
    ledger->stopped = *err;
    osr_ledger_links_changed(ledger->links);
}

/* ---- turns of the loop ---- */

static void on_tick(uv_timer_t *timer)
{
    struct osr_ledger *ledger = timer->data;
    ledger->tick_ms = UINT64_MAX;
    struct osr_raft_event event = {.type = OSR_RAFT_TICK};
    osr_ledger_post(ledger, &event);
}

static void set_tick(struct osr_ledger *ledger)
{
    uint64_t due_ms =
        osr_ledger_is_running(ledger) ? osr_raft_deadline_ms(ledger->raft) : UINT64_MAX;
    if (due_ms == ledger->tick_ms) {
        return;
    }
    ledger->tick_ms = due_ms;
    uint64_t now_ms = uv_now(ledger->loop);
    if (due_ms == UINT64_MAX) {
        uv_timer_stop(&ledger->tick);
    } else {
        uv_timer_start(&ledger->tick, on_tick, due_ms > now_ms ? due_ms - now_ms : 0, 0);
    }
}

void osr_ledger_end_turn(struct osr_ledger *ledger)
{
    if (ledger == NULL || ledger->is_closing || !ledger->is_started) {
        return;
    }
    do {
        osr_ledger_dispatch(ledger);
        if (ledger->flush_wanted) {
            ledger->flush_wanted = false;
            struct osr_raft_event event = {.type = OSR_RAFT_FLUSH};
            osr_ledger_post(ledger, &event);
        }
        osr_ledger_tell_answers(ledger);
    } while (ledger->flush_wanted);
    set_tick(ledger);
}

/* ---- what it looks like from outside ---- */

void osr_ledger_raft_info(const struct osr_ledger *ledger, struct osr_raft_info *ret_info)
{
    *ret_info = (struct osr_raft_info){0};
    if (ledger->raft != NULL) {
        osr_raft_info(ledger->raft, ret_info);
    }
}

const struct osr_raft_configuration *osr_ledger_configuration(const struct osr_ledger *ledger)
{
    return ledger->raft != NULL ? osr_raft_members(ledger->raft) : &ledger->nobody;
}

size_t osr_ledger_member_count(const struct osr_ledger *ledger)
{
    return osr_ledger_is_running(ledger) ? osr_ledger_configuration(ledger)->count : 0;
}

bool osr_ledger_leads(const struct osr_ledger *ledger)
{
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    return osr_ledger_is_running(ledger) && info.role == OSR_RAFT_LEADER;
}

bool osr_ledger_find_peer(const struct osr_ledger *ledger, uint64_t member,
                          struct osr_raft_peer_info *ret_peer)
{
    size_t count = ledger->raft != NULL ? osr_raft_peer_count(ledger->raft) : 0;
    for (size_t i = 0; i < count; i++) {
        osr_raft_peer_info(ledger->raft, i, ret_peer);
        if (ret_peer->id == member) {
            return true;
        }
    }
    return false;
}

bool osr_ledger_find_name(const struct osr_ledger *ledger, uint64_t member,
                          char name[OSR_NAME_BYTES_MAX + 1])
{
    const struct osr_raft_member *found =
        osr_raft_configuration_find(osr_ledger_configuration(ledger), member);
    struct osr_ledger_member who;
    if (found == NULL || osr_ledger_member_decode(found, &who, NULL) != 0) {
        return false;
    }
    snprintf(name, OSR_NAME_BYTES_MAX + 1, "%s", who.name);
    return true;
}

struct osr_agreement *osr_ledger_agreement(struct osr_ledger *ledger)
{
    return &ledger->agreement;
}

struct osr_ledger_links *osr_ledger_links(struct osr_ledger *ledger)
{
    return ledger->links;
}

void osr_ledger_review(struct osr_ledger *ledger)
{
    if (ledger != NULL && !ledger->is_closing) {
        osr_ledger_links_changed(ledger->links);
    }
}

/* ---- the end ---- */

void osr_ledger_close(struct osr_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    osr_ledger_end_requests(ledger);
    ledger->is_closing = true;
    uv_close((uv_handle_t *)&ledger->tick, NULL);
    uv_close((uv_handle_t *)&ledger->sweep, NULL);
    osr_ledger_state_close(ledger->state);
    osr_ledger_links_destroy(ledger->links);
}

void osr_ledger_free(struct osr_ledger *ledger)
{
    if (ledger == NULL) {
        return;
    }
    osr_raft_destroy(ledger->raft);
    free(ledger);
}
