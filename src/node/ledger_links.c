#include "node/ledger_links_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "model/speakable.h"
#include "node/ledger.h"
#include "node/session.h"

/* ---- finding ---- */

static struct ledger_link *find_link(const struct osr_ledger_links *links,
                                     const struct osr_session *session)
{
    for (size_t i = 0; i < links->count; i++) {
        if (links->links[i]->session == session) {
            return links->links[i];
        }
    }
    return NULL;
}

static bool is_for_ledger(const struct ledger_link *link)
{
    return osr_session_purpose(link->session) == OSR__LINK_PURPOSE__FOR_LEDGER;
}

/* The one by which this member is reached: one for the ledger, or where there is none behind what
 * feeds have to say. NULL: none at all. */
static struct ledger_link *find_usable(const struct osr_ledger_links *links, uint64_t member)
{
    struct ledger_link *found = NULL;
    for (size_t i = 0; member != 0 && i < links->count; i++) {
        struct ledger_link *link = links->links[i];
        bool may_be = link->usable == member && osr_session_is_open(link->session);
        if (may_be && (found == NULL || is_for_ledger(link))) {
            found = link;
        }
    }
    return found;
}

const struct osr_raft_configuration *osr_ledger_links_configuration(
    const struct osr_ledger_links *links)
{
    static const struct osr_raft_configuration nobody;
    const struct osr_raft_configuration *configuration =
        links->handler.configuration(links->handler.context);
    return configuration != NULL ? configuration : &nobody;
}

/* ---- what a link is good for ---- */

static void tell_refusal(const struct osr_ledger_links *links, const struct ledger_link *link)
{
    /* Instances that share the knowledge base alone have a ledger each. */
    bool is_common = link->refusal.code == OSR_WRONG_CLUSTER;
    if (link->refusal.code != OSR_OK) {
        osr_trace(links->options.trace, is_common ? OSR_LEVEL_TRACE : OSR_LEVEL_WARNING,
                  "%s: nothing is taken of it: %s%s%s", osr_session_url(link->session),
                  link->refusal.message, link->refusal.hint[0] != '\0' ? "; " : "",
                  link->refusal.hint);
    }
}

/* The owner hears of it where this was, or becomes, the one link to a member. */
static void set_usable(struct osr_ledger_links *links, struct ledger_link *link, uint64_t member)
{
    const struct osr_ledger_links_handler *handler = &links->handler;
    uint64_t before = link->usable;
    if (before == member) {
        return;
    }
    link->usable = 0;
    if (before != 0 && find_usable(links, before) == NULL) {
        handler->on_unreachable(handler->context, before);
    }
    bool is_first = find_usable(links, member) == NULL;
    link->usable = member;
    if (member != 0 && is_first) {
        handler->on_reachable(handler->context, member);
    }
}

/* Looks at a link again, and tells it what is new; or, where `again`, all. */
static void review(struct osr_ledger_links *links, struct ledger_link *link, bool again)
{
    struct osr_ledger_standing own;
    struct osr_err refusal = {.code = OSR_OK};
    links->handler.standing(links->handler.context, &own);
    link->kind = osr_ledger_belief_judge(links, link, &own, &refusal);
    bool is_news =
        refusal.code != link->refusal.code || strcmp(refusal.message, link->refusal.message) != 0;
    link->refusal = refusal;
    if (is_news) {
        tell_refusal(links, link);
    }
    if (link->kind == LEDGER_APPLICANT) {
        link->applicant = (struct osr_ledger_applicant){link->number, link->said.who};
    } else {
        link->welcome = 0;
    }
    osr_ledger_said_tell(links, link, again); /* before anything that must be believed for it */
    bool is_usable = link->kind == LEDGER_MEMBER && link->said.refused.code == OSR_OK;
    set_usable(links, link, is_usable ? link->said.member : 0);
}

/* What a member is known to have here, for when it comes back with less. */
static void note_acknowledged(struct osr_ledger_links *links, uint64_t member)
{
    struct osr_ledger_standing own;
    links->handler.standing(links->handler.context, &own);
    const struct osr_ledger_now now = osr_ledger_belief_now(links, &own);
    uint64_t acknowledged = links->handler.acknowledged(links->handler.context, member);
    osr_ledger_roll_note_acknowledged(links->roll, member, acknowledged, &now);
}

/* ---- changes ---- */

static void set_roll(struct osr_ledger_links *links)
{
    struct osr_ledger_standing own;
    links->handler.standing(links->handler.context, &own);
    osr_ledger_roll_set(links->roll, osr_ledger_links_configuration(links), own.member,
                        osr_sessions_last_number(links->options.sessions));
}

/* Those whom the configuration names may say who else is a member. */
static void hear_vouchers(struct osr_ledger_links *links)
{
    struct osr_ledger_standing own;
    links->handler.standing(links->handler.context, &own);
    for (size_t i = 0; i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        struct osr_raft_configuration configuration;
        if (link->vouched.size > 0 && osr_ledger_belief_is_named(links, link, &own) &&
            osr_raft_configuration_decode(osr_buffer_slice(&link->vouched), &configuration, NULL) ==
                0) {
            osr_ledger_roll_vouch(links->roll, &configuration);
        }
    }
}

/* Nothing is believed of a link by what held before. */
static void settle(struct osr_ledger_links *links)
{
    if (!links->is_changed) {
        return;
    }
    links->is_changed = false;
    set_roll(links);
    hear_vouchers(links);
    for (size_t i = 0; i < links->count; i++) {
        review(links, links->links[i], false);
    }
    osr_ledger_dialled_set(links);
}

static void on_turn(uv_timer_t *timer)
{
    settle(timer->data);
}

void osr_ledger_links_changed(struct osr_ledger_links *links)
{
    if (!links->is_changed) {
        links->is_changed = true;
        uv_timer_start(&links->turn, on_turn, 0, 0);
    }
}

static void on_sweep(uv_timer_t *timer)
{
    struct osr_ledger_links *links = timer->data;
    for (size_t i = 0; i < links->count; i++) {
        struct ledger_link *link = links->links[i];
        osr_ledger_said_tell(links, link, false); /* a term that is durable by now */
        if (link->reported.code != OSR_OK) {
            links->handler.on_refused(links->handler.context, link->said.member, &link->reported);
        }
        if (link->kind == LEDGER_APPLICANT && osr_session_is_open(link->session)) {
            links->handler.on_wants_in(links->handler.context, &link->applicant);
        } else if (link->usable != 0) {
            note_acknowledged(links, link->usable);
        }
    }
}

/* ---- links ---- */

void osr_ledger_links_up(struct osr_ledger_links *links, struct osr_session *session)
{
    assert(links->count < OSR_LINKS_MAX && find_link(links, session) == NULL);
    struct ledger_link *link = osr_alloc(sizeof(*link));
    link->session = session;
    link->number = osr_session_number(session);
    links->links[links->count++] = link;
    osr_ledger_said_tell(links, link, false);
}

void osr_ledger_links_down(struct osr_ledger_links *links, struct osr_session *session)
{
    struct ledger_link *link = find_link(links, session);
    if (link == NULL) {
        return;
    }
    if (link->usable != 0) {
        note_acknowledged(links, link->usable);
    }
    size_t place = 0;
    while (links->links[place] != link) {
        place++;
    }
    links->links[place] = links->links[--links->count];
    osr_ledger_roll_release(links->roll, link->number);
    set_usable(links, link, 0);
    osr_buffer_done(&link->vouched);
    osr_buffer_done(&link->told);
    free(link);
}

/* ---- MEMBER ---- */

static void take_refusal(struct osr_ledger_links *links, struct ledger_link *link)
{
    const struct osr_err *refused = &link->said.refused;
    struct osr_ledger_standing own;
    links->handler.standing(links->handler.context, &own);
    bool is_news = refused->code != link->reported.code ||
                   strcmp(refused->message, link->reported.message) != 0;
    if (refused->code == OSR_OK) {
        link->reported = *refused;
    } else if (is_news && osr_ledger_belief_takes_refusal(links, link, &own)) {
        link->reported = *refused;
        links->handler.on_refused(links->handler.context, link->said.member, refused);
    }
}

/* This instance waits, and has been added. */
static void take_welcome(struct osr_ledger_links *links, const struct ledger_link *link)
{
    struct osr_ledger_standing own;
    struct osr_err err;
    links->handler.standing(links->handler.context, &own);
    if (!own.wants_in || link->said.your_member == 0 || link->said.ledger[0] == '\0') {
        return;
    }
    if (osr_ledger_belief_check_vote(links, link, &err) != 0) {
        links->dropped++;
        return;
    }
    links->handler.on_welcome(links->handler.context, link->said.ledger, link->said.your_member);
}

static void take_member(struct osr_ledger_links *links, struct ledger_link *link,
                        const Osr__Member *member)
{
    struct osr_ledger_said said;
    struct osr_err err;
    if (osr_ledger_said_read(links, link, member, &said, &err) != 0) {
        links->dropped++;
        osr_trace(links->options.trace, OSR_LEVEL_WARNING, "%s: %s", osr_session_url(link->session),
                  err.message);
        return;
    }
    if (!osr_slice_equal(said.configuration, osr_buffer_slice(&link->vouched))) {
        osr_buffer_clear(&link->vouched);
        osr_buffer_add(&link->vouched, said.configuration.data, said.configuration.size);
        osr_ledger_links_changed(links);
    }
    bool is_first = !link->has_spoken;
    bool waited = link->kind == LEDGER_APPLICANT;
    link->said = said;
    link->said.configuration = osr_slice(NULL, 0);
    link->has_spoken = true;
    take_refusal(links, link);
    take_welcome(links, link);
    settle(links);
    /* What was said to it so far may have come before it could know by whom. */
    review(links, link, is_first);
    if (link->kind == LEDGER_MEMBER) {
        osr_ledger_dialled_hear(links, &link->said.who);
        osr_ledger_dialled_set(links);
    } else if (link->kind == LEDGER_APPLICANT && !waited) {
        links->handler.on_wants_in(links->handler.context, &link->applicant);
    }
}

/* ---- what members say ---- */

static void take_raft(struct osr_ledger_links *links, const struct ledger_link *link,
                      const Osr__Raft *raft)
{
    struct osr_ledger_standing own;
    struct osr_raft_message message;
    links->handler.standing(links->handler.context, &own);
    bool is_its_own = strcmp(raft->ledger, own.ledger) == 0 && raft->from == link->said.member &&
                      raft->to == own.member;
    if (!is_its_own || osr_raft_message_read(&links->room, raft, &message, NULL) != 0) {
        links->dropped++;
        return;
    }
    links->handler.on_message(links->handler.context, &message);
}

static bool is_of_this_ledger(const struct osr_ledger_links *links, const char *ledger)
{
    struct osr_ledger_standing own;
    links->handler.standing(links->handler.context, &own);
    return strcmp(ledger, own.ledger) == 0;
}

static bool is_ask_valid(const struct osr_ledger_links *links, const Osr__LedgerAsk *ask)
{
    return is_of_this_ledger(links, ask->ledger) &&
           ask->n_commands <= OSR_LEDGER_ASK_COMMANDS_MAX &&
           (ask->instance[0] == '\0' || osr_instance_id_is_valid(ask->instance)) &&
           strlen(ask->name) <= OSR_NAME_BYTES_MAX &&
           ask->n_addresses <= OSR_LEDGER_ADDRESSES_MAX && ask->n_versions <= OSR_MACHINES_MAX;
}

static bool tells_whereabouts(const Osr__LedgerAsk *ask)
{
    return ask->instance[0] != '\0' && ask->change == NULL && ask->transfer == NULL;
}

static void take_from_member(struct osr_ledger_links *links, struct ledger_link *link,
                             const Osr__Frame *frame)
{
    const struct osr_ledger_links_handler *handler = &links->handler;
    uint64_t member = link->said.member;
    if (frame->body_case == OSR__FRAME__BODY_RAFT) {
        take_raft(links, link, frame->raft);
    } else if (frame->body_case == OSR__FRAME__BODY_LEDGER_ASK &&
               is_ask_valid(links, frame->ledger_ask)) {
        if (tells_whereabouts(frame->ledger_ask)) {
            osr_ledger_dialled_told(links, link, frame->ledger_ask);
        } else {
            handler->on_ask(handler->context, member, frame->ledger_ask);
        }
    } else if (frame->body_case == OSR__FRAME__BODY_LEDGER_ANSWER &&
               is_of_this_ledger(links, frame->ledger_answer->ledger)) {
        handler->on_answer(handler->context, member, frame->ledger_answer);
    } else {
        links->dropped++;
    }
}

void osr_ledger_links_frame(struct osr_ledger_links *links, struct osr_session *session,
                            const Osr__Frame *frame)
{
    struct ledger_link *link = find_link(links, session);
    settle(links);
    if (link != NULL && frame->body_case == OSR__FRAME__BODY_MEMBER) {
        take_member(links, link, frame->member);
    } else if (link != NULL && link->kind == LEDGER_MEMBER) {
        take_from_member(links, link, frame);
    } else {
        links->dropped++;
    }
}

/* ---- sending ---- */

static void send_to_session(void *context, const Osr__Frame *frame)
{
    osr_session_send(context, frame);
}

bool osr_ledger_links_send(struct osr_ledger_links *links, const char *ledger,
                           const struct osr_raft_message *message)
{
    const struct ledger_link *link = find_usable(links, message->to);
    if (link == NULL) {
        return false;
    }
    osr_raft_message_write(&links->room, ledger, message, send_to_session, link->session);
    return true;
}

bool osr_ledger_links_send_frame(struct osr_ledger_links *links, uint64_t member,
                                 const Osr__Frame *frame)
{
    const struct ledger_link *link = find_usable(links, member);
    if (link == NULL) {
        return false;
    }
    osr_session_send(link->session, frame);
    return true;
}

void osr_ledger_links_welcome(struct osr_ledger_links *links, uint32_t link_number, uint64_t member)
{
    for (size_t i = 0; i < links->count; i++) {
        struct ledger_link *link = links->links[i];
        if (link->number == link_number && link->kind == LEDGER_APPLICANT) {
            link->welcome = member;
            osr_ledger_said_tell(links, link, false);
        }
    }
}

/* ---- questions ---- */

bool osr_ledger_links_is_reachable(const struct osr_ledger_links *links, uint64_t member)
{
    return find_usable(links, member) != NULL;
}

bool osr_ledger_links_is_own(const struct osr_ledger_links *links, uint64_t member)
{
    const struct ledger_link *link = find_usable(links, member);
    return link != NULL && is_for_ledger(link);
}

const struct osr_ledger_applicant *osr_ledger_links_find_applicant(
    const struct osr_ledger_links *links, const char *name)
{
    const struct osr_ledger_applicant *found = NULL;
    for (size_t i = 0; i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        if (link->kind != LEDGER_APPLICANT) {
            continue;
        }
        if (osr_speakable_check(name, link->applicant.who.instance, NULL) == 0) {
            return &link->applicant;
        }
        if (strcmp(link->applicant.who.name, name) == 0) {
            if (found != NULL && strcmp(found->who.instance, link->applicant.who.instance) != 0) {
                return NULL; /* two are called so */
            }
            found = &link->applicant;
        }
    }
    return found;
}

const char *osr_ledger_links_trouble(const struct osr_ledger_links *links, uint64_t member)
{
    const char *instance = osr_ledger_roll_instance(links->roll, member);
    const char *trouble = "";
    for (size_t i = 0; instance != NULL && i < links->count; i++) {
        const struct ledger_link *link = links->links[i];
        if (!link->has_spoken || strcmp(link->said.who.instance, instance) != 0) {
            continue;
        }
        if (link->usable == member) {
            return "";
        }
        trouble = link->refusal.code != OSR_OK ? link->refusal.message : link->said.refused.message;
    }
    return trouble;
}

uint64_t osr_ledger_links_dropped(const struct osr_ledger_links *links)
{
    return links->dropped;
}

/* ---- all of them ---- */

struct osr_ledger_links *osr_ledger_links_create(const struct osr_ledger_links_options *options,
                                                 const struct osr_ledger_links_handler *handler)
{
    struct osr_ledger_links *links = osr_alloc(sizeof(*links));
    links->options = *options;
    links->handler = *handler;
    links->roll = osr_ledger_roll_create(options->journal);
    uv_timer_init(options->loop, &links->turn); /* these only fill in their handles */
    uv_timer_init(options->loop, &links->sweep);
    links->turn.data = links->sweep.data = links;
    links->open_handles = 2;
    uv_timer_start(&links->sweep, on_sweep, OSR_LEDGER_WAIT_MS, OSR_LEDGER_WAIT_MS);
    return links;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct osr_ledger_links *links = handle->data;
    if (--links->open_handles == 0) {
        osr_raft_room_done(&links->room);
        osr_ledger_roll_destroy(links->roll);
        free(links);
    }
}

void osr_ledger_links_destroy(struct osr_ledger_links *links)
{
    if (links == NULL) {
        return;
    }
    assert(links->count == 0);
    uv_close((uv_handle_t *)&links->turn, on_timer_closed);
    uv_close((uv_handle_t *)&links->sweep, on_timer_closed);
}
