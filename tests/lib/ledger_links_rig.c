#include "lib/ledger_links_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- the owner ---- */

static void standing(void *context, struct osr_ledger_standing *ret_standing)
{
    *ret_standing = ((struct links_rig *)context)->own;
}

static const struct osr_raft_configuration *configuration(void *context)
{
    return &((struct links_rig *)context)->configuration;
}

static uint64_t acknowledged(void *context, uint64_t member)
{
    (void)member;
    return ((struct links_rig *)context)->acknowledged;
}

static void on_message(void *context, const struct osr_raft_message *message)
{
    struct links_rig *rig = context;
    rig->messages++;
    rig->message = *message;
}

static void on_ask(void *context, uint64_t member, const Osr__LedgerAsk *ask)
{
    struct links_rig *rig = context;
    (void)ask;
    rig->asks++;
    rig->asked_by = member;
}

static void on_answer(void *context, uint64_t member, const Osr__LedgerAnswer *answer)
{
    struct links_rig *rig = context;
    (void)member;
    (void)answer;
    rig->answers++;
}

static void on_reachable(void *context, uint64_t member)
{
    struct links_rig *rig = context;
    rig->reached++;
    rig->reachable = member;
}

static void on_unreachable(void *context, uint64_t member)
{
    struct links_rig *rig = context;
    rig->lost++;
    rig->unreachable = member;
}

static void on_wants_in(void *context, const struct osr_ledger_applicant *applicant)
{
    struct links_rig *rig = context;
    rig->applicants++;
    rig->applicant_link = applicant->link;
    snprintf(rig->applicant, sizeof(rig->applicant), "%s", applicant->who.name);
}

static void on_welcome(void *context, const char *ledger, uint64_t member)
{
    struct links_rig *rig = context;
    rig->welcomes++;
    rig->welcome = member;
    rig->own.wants_in = false;
    rig->own.member = member;
    snprintf(rig->own.ledger, sizeof(rig->own.ledger), "%s", ledger);
    osr_ledger_links_changed(rig->links);
}

static void on_refused(void *context, uint64_t member, const struct osr_err *err)
{
    struct links_rig *rig = context;
    (void)member;
    rig->refusals++;
    rig->refusal = err->code;
}

/* ---- sessions, as an instance has them ---- */

static void say_hello(struct osr_session *session, const char *instance)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    Osr__Hello hello = OSR__HELLO__INIT;
    hello.instance = (char *)instance;
    hello.purpose = osr_session_purpose(session);
    osr_frame_set_body(&frame, OSR__FRAME__BODY_HELLO, &hello.base);
    osr_session_send(session, &frame);
}

static void on_link(void *context, struct osr_session *session)
{
    (void)context;
    say_hello(session, OWN);
}

/* HELLO is believed: who shows what is another's to check. */
static void on_link_frame(void *context, struct osr_session *session, const Osr__Frame *frame)
{
    struct links_rig *rig = context;
    if (frame->body_case != OSR__FRAME__BODY_HELLO) {
        osr_ledger_links_frame(rig->links, session, frame);
        return;
    }
    char name[8];
    snprintf(name, sizeof(name), "%.4s", frame->hello->instance);
    bool is_dialled = osr_session_user(session) != NULL;
    int code = osr_session_identify(session, frame->hello->instance, name, &rig->err);
    if (code == 0 && is_dialled) {
        code = osr_peers_identified(rig->peers, session, frame->hello->instance, &rig->err);
    }
    if (code != 0) {
        osr_session_refuse(session, 0, &rig->err);
        return;
    }
    osr_ledger_links_up(rig->links, session);
}

static void on_closed(void *context, struct osr_session *session, const struct osr_err *err)
{
    struct links_rig *rig = context;
    osr_ledger_links_down(rig->links, session);
    if (osr_session_user(session) != NULL) {
        osr_peers_closed(rig->peers, session, err);
    }
}

static void on_accept(void *context, struct osr_connection *connection)
{
    struct links_rig *rig = context;
    osr_sessions_accept(rig->sessions, connection, false, 0);
}

static struct osr_tls_context *security_of(void *context, const struct osr_url *url)
{
    (void)context;
    (void)url;
    return NULL;
}

static void nothing_to_do(void *context, struct osr_session *session)
{
    (void)context;
    (void)session;
}

/* ---- puppets ---- */

static struct puppet *puppet_of(struct links_rig *rig, const struct osr_session *session)
{
    for (size_t i = 0; i < rig->puppet_count; i++) {
        if (rig->puppets[i].session == session) {
            return &rig->puppets[i];
        }
    }
    return NULL;
}

struct puppet *puppet_create(struct links_rig *rig, const char *instance)
{
    assert_true(rig->puppet_count < PUPPETS_MAX);
    struct puppet *puppet = &rig->puppets[rig->puppet_count++];
    *puppet = (struct puppet){.rig = rig, .instance = instance};
    return puppet;
}

static void on_their_link(void *context, struct osr_session *session)
{
    struct links_rig *rig = context;
    struct puppet *puppet = osr_session_user(session);
    if (puppet == NULL) { /* dialled by the side under test */
        puppet = puppet_create(rig, rig->their_listening);
        puppet->session = session;
    }
    say_hello(session, puppet->instance);
}

static void hear_member(struct puppet *puppet, const Osr__Member *member)
{
    puppet->members++;
    puppet->member = member->member;
    puppet->your_member = member->your_member;
    puppet->refused = (enum osr_code)member->refused;
    puppet->address_count = member->n_addresses;
    puppet->configuration_size = member->configuration.len;
    snprintf(puppet->why, sizeof(puppet->why), "%s", member->why);
    snprintf(puppet->address, sizeof(puppet->address), "%s",
             member->n_addresses > 0 ? member->addresses[0] : "");
}

static void on_their_frame(void *context, struct osr_session *session, const Osr__Frame *frame)
{
    struct puppet *puppet = puppet_of(context, session);
    if (frame->body_case == OSR__FRAME__BODY_HELLO) {
        struct osr_err err;
        assert_int_equal(osr_session_identify(session, OWN, "own", &err), 0);
    } else if (frame->body_case == OSR__FRAME__BODY_MEMBER) {
        hear_member(puppet, frame->member);
    } else if (frame->body_case == OSR__FRAME__BODY_RAFT) {
        puppet->rafts++;
        puppet->raft_term = frame->raft->term;
    } else if (frame->body_case == OSR__FRAME__BODY_LEDGER_ASK) {
        puppet->asks++;
        puppet->asked = frame->ledger_ask->number;
    } else if (frame->body_case == OSR__FRAME__BODY_LEDGER_ANSWER) {
        puppet->answers++;
        puppet->answers_to[frame->ledger_answer->number % ANSWERS_TO_MAX] =
            (enum osr_code)frame->ledger_answer->code;
    }
}

static void on_their_end(void *context, struct osr_session *session, const struct osr_err *err)
{
    struct puppet *puppet = puppet_of(context, session);
    (void)err;
    if (puppet != NULL) {
        puppet->session = NULL;
    }
}

static void on_their_accept(void *context, struct osr_connection *connection)
{
    struct links_rig *rig = context;
    osr_sessions_accept(rig->their_sessions, connection, false, 0);
}

/* ---- the rig ---- */

static uint64_t on_time(void *context)
{
    (void)context;
    return 1;
}

static void add_role(struct osr_policy_builder *builder, const char *role, unsigned actions)
{
    assert_int_equal(osr_policy_add_role(builder, role, NULL), 0);
    assert_int_equal(osr_policy_add_rule(builder, role, true, actions, "instance:", "test", NULL),
                     0);
}

static void give_role(struct osr_policy_builder *builder, const char *who, const char *role)
{
    assert_int_equal(osr_policy_add_member(builder, who, NULL), 0);
    assert_int_equal(osr_policy_give_role(builder, who, role, "test", NULL), 0);
}

struct osr_policy *links_policy(bool may_vote)
{
    struct osr_policy_builder *builder = osr_policy_builder_create();
    add_role(builder, "linker", 1u << OSR_ACTION_LINK);
    add_role(builder, "voter", 1u << OSR_ACTION_LINK | 1u << OSR_ACTION_VOTE);
    give_role(builder, "local", "linker");
    give_role(builder, "instance:" MUTE, "linker");
    give_role(builder, "instance:*", may_vote ? "voter" : "linker");
    return osr_policy_build(builder);
}

static struct osr_access *make_access(void)
{
    const struct osr_access_options options = {
        .cluster = "test", .policy = links_policy(true), .time_ms = on_time};
    return osr_access_create(&options);
}

static struct osr_sessions *make_sessions(struct links_rig *rig,
                                          const struct osr_session_handler *handler,
                                          struct osr_access *access)
{
    struct osr_sessions *sessions;
    assert_int_equal(
        osr_sessions_create(rig->loop, handler, access, 64, &rig->trace, &sessions, &rig->err), 0);
    return sessions;
}

static struct osr_listener *listen_at(struct links_rig *rig, const char *text,
                                      void (*accept)(void *context,
                                                     struct osr_connection *connection))
{
    struct osr_url url;
    struct osr_listener *listener;
    assert_int_equal(osr_url_parse(text, &url, &rig->err), 0);
    assert_int_equal(osr_transport_listen(rig->loop, &url, NULL, accept, rig, &listener, &rig->err),
                     0);
    return listener;
}

void links_set_member(struct links_rig *rig, size_t place, uint64_t id, const char *instance,
                      const char *address)
{
    struct osr_raft_member *member = &rig->configuration.members[place];
    struct osr_ledger_member who = {.name = "x", .versions = {1}};
    *member = (struct osr_raft_member){.id = id, .standing = OSR_RAFT_VOTER};
    snprintf(who.instance, sizeof(who.instance), "%s", instance);
    if (address != NULL) {
        snprintf(who.addresses[who.address_count++], OSR_URL_TEXT_MAX, "%s", address);
    }
    osr_ledger_member_encode(&who, member);
}

struct osr_ledger_links_options links_options(struct links_rig *rig)
{
    return (struct osr_ledger_links_options){
        .loop = rig->loop,
        .config = &rig->config,
        .instance = OWN,
        .sessions = rig->sessions,
        .peers = rig->peers,
        .access = rig->access,
        .journal = rig->journal->journal,
        .listeners = rig->listeners,
        .listener_count = &rig->listener_count,
        .trace = &rig->trace,
    };
}

void links_open(struct links_rig *rig)
{
    const struct osr_ledger_links_options options = links_options(rig);
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
        .context = rig,
    };
    rig->links = osr_ledger_links_create(&options, &handler);
    osr_ledger_links_changed(rig->links);
}

static void open_sides(struct links_rig *rig)
{
    const struct osr_session_handler ours = {.on_link = on_link,
                                             .on_link_frame = on_link_frame,
                                             .on_end = nothing_to_do,
                                             .on_drain = nothing_to_do,
                                             .on_closed = on_closed,
                                             .context = rig};
    const struct osr_session_handler theirs = {.on_link = on_their_link,
                                               .on_link_frame = on_their_frame,
                                               .on_end = nothing_to_do,
                                               .on_drain = nothing_to_do,
                                               .on_closed = on_their_end,
                                               .context = rig};
    rig->access = make_access();
    rig->their_access = make_access();
    rig->sessions = make_sessions(rig, &ours, rig->access);
    rig->their_sessions = make_sessions(rig, &theirs, rig->their_access);
    rig->listeners[rig->listener_count++] = listen_at(rig, "tcp://127.0.0.1:0", on_accept);
    rig->their_listener = listen_at(rig, "tcp://127.0.0.1:0", on_their_accept);
    const struct osr_peers_options peers = {.loop = rig->loop,
                                            .sessions = rig->sessions,
                                            .journal = rig->journal->journal,
                                            .instance = OWN,
                                            .security_of = security_of,
                                            .trace = &rig->trace};
    rig->peers = osr_peers_create(&peers);
}

int links_set_up(void **state)
{
    struct links_rig *rig = osr_alloc(sizeof(*rig));
    assert_int_equal(journal_set_up((void **)&rig->journal), 0);
    rig->loop = &rig->journal->loop;
    rig->config.name = osr_strdup("own");
    rig->own = (struct osr_ledger_standing){.ledger = LEDGER,
                                            .member = OWN_ID,
                                            .starts = 1,
                                            .term = 5,
                                            .last_index = 100,
                                            .versions = {1, 2}};
    rig->configuration.count = 3;
    links_set_member(rig, 0, OWN_ID, OWN, NULL);
    links_set_member(rig, 1, ANA_ID, ANA, NULL);
    links_set_member(rig, 2, BEN_ID, BEN, NULL);
    open_sides(rig);
    links_open(rig);
    *state = rig;
    return 0;
}

static void close_sessions(struct links_rig *rig, struct osr_sessions *sessions)
{
    osr_sessions_shut(sessions);
    while (osr_sessions_count(sessions) > 0) {
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    osr_sessions_destroy(sessions);
}

int links_tear_down(void **state)
{
    struct links_rig *rig = *state;
    for (size_t i = 0; i < rig->listener_count; i++) {
        osr_listener_close(rig->listeners[i]);
    }
    osr_listener_close(rig->their_listener);
    osr_peers_stop(rig->peers);
    close_sessions(rig, rig->their_sessions);
    close_sessions(rig, rig->sessions);
    if (rig->ledger == NULL) {
        osr_ledger_links_destroy(rig->links);
    }
    osr_ledger_close(rig->ledger);
    osr_peers_destroy(rig->peers);
    uv_run(rig->loop, UV_RUN_NOWAIT);
    uv_run(rig->loop, UV_RUN_NOWAIT);
    osr_access_destroy(rig->access);
    osr_access_destroy(rig->their_access);
    assert_int_equal(journal_tear_down((void **)&rig->journal), 0);
    osr_ledger_free(rig->ledger);
    free(rig->config.name);
    free(rig);
    return 0;
}

/* ---- what a test does ---- */

void links_end_turn(struct links_rig *rig)
{
    osr_ledger_end_turn(rig->ledger);
    osr_sessions_flush(rig->sessions);
    osr_sessions_flush(rig->their_sessions);
}

void links_settle(struct links_rig *rig)
{
    for (int i = 0; i < 30; i++) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_NOWAIT);
    }
}

void links_wait(struct links_rig *rig, const size_t *count, size_t wanted)
{
    uint64_t until_ns = uv_hrtime() + 10ull * 1000 * 1000 * 1000;
    while (*count < wanted && uv_hrtime() < until_ns) {
        links_end_turn(rig);
        uv_run(rig->loop, UV_RUN_ONCE);
    }
    links_settle(rig);
    assert_int_equal(*count, wanted);
}

bool links_send(struct links_rig *rig, uint64_t member)
{
    const struct osr_raft_message message = {
        .type = OSR_RAFT_ELECT_NOW, .from = OWN_ID, .to = member, .term = 7};
    bool is_sent = osr_ledger_links_send(rig->links, LEDGER, &message);
    links_settle(rig);
    return is_sent;
}
