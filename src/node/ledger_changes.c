/* Changes of the members and transfers of leadership, asked for here or by who waits to be added.
 */
#include "node/ledger_internal.h"

#include <assert.h>
#include <stdlib.h>

#include "adapter/keys.h"
#include "core/cluster_settings.h"
#include "model/speakable.h"

enum {
    MEMBER_ID_BITS = 48, /* exact in JSON numbers of every reader */
    ADD_TIMEOUT_MS = 10 * 1000,
};

uint64_t osr_ledger_random_member(void)
{
    uint64_t member = 0;
    while (member == 0) {
        osr_secret_random(&member, sizeof(member));
        member &= (UINT64_C(1) << MEMBER_ID_BITS) - 1;
    }
    return member;
}

/* ---- names ---- */

static bool is_called(const struct osr_raft_member *member, const char *name)
{
    struct osr_ledger_member who;
    char id[24];
    snprintf(id, sizeof(id), "%llu", (unsigned long long)member->id);
    return strcmp(name, id) == 0 ||
           (osr_ledger_member_decode(member, &who, NULL) == 0 &&
            (strcmp(name, who.name) == 0 || osr_speakable_check(name, who.instance, NULL) == 0));
}

uint64_t osr_ledger_find_member(const struct osr_ledger *ledger, const char *name,
                                struct osr_err *err)
{
    const struct osr_raft_configuration *configuration = osr_ledger_configuration(ledger);
    uint64_t found = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        if (!is_called(&configuration->members[i], name)) {
            continue;
        }
        if (found != 0) {
            osr_err_set(err, OSR_INVALID_ARGUMENT, "more than one member is called %s", name);
            osr_err_hint(err, "name it by its member id: osiris cluster members");
            return 0;
        }
        found = configuration->members[i].id;
    }
    if (found == 0) {
        osr_err_set(err, OSR_NOT_FOUND, "no member is called %s", name);
        osr_err_hint(err, "osiris cluster members shows them all");
    }
    return found;
}

/* ---- at the leader ---- */

static const struct osr_raft_member *find_instance(const struct osr_ledger *ledger,
                                                   const char *instance)
{
    const struct osr_raft_configuration *configuration = osr_ledger_configuration(ledger);
    for (size_t i = 0; i < configuration->count; i++) {
        struct osr_ledger_member who;
        if (osr_ledger_member_decode(&configuration->members[i], &who, NULL) == 0 &&
            strcmp(who.instance, instance) == 0) {
            return &configuration->members[i];
        }
    }
    return NULL;
}

/* One that was added and has never been heard of since has not been told yet. */
static bool is_untouched(const struct osr_ledger *ledger, const struct osr_raft_member *member)
{
    struct osr_raft_peer_info peer;
    return member->standing == OSR_RAFT_LEARNER &&
           osr_ledger_find_peer(ledger, member->id, &peer) && peer.matched == 0;
}

/* Those who are to become voters included. */
static bool has_voters_enough(const struct osr_ledger *ledger)
{
    const struct osr_raft_configuration *configuration = osr_ledger_configuration(ledger);
    size_t count = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        const struct osr_raft_member *member = &configuration->members[i];
        count += member->standing == OSR_RAFT_VOTER || member->is_promoted;
    }
    return count >=
           osr_cluster_voters_max(osr_ledger_state_values(ledger->state, OSR_MACHINE_CLUSTER));
}

static void propose_change(struct osr_ledger *ledger, struct ledger_request *request,
                           const struct osr_raft_change *change)
{
    struct osr_raft_configuration next = *osr_ledger_configuration(ledger);
    struct osr_err err;
    if (osr_raft_configuration_change(&next, change, &err) != 0) {
        osr_ledger_fail(ledger, request, &err); /* it says more than the core would */
        return;
    }
    request->changed_member = change->member.id;
    request->state = LEDGER_PROPOSED;
    struct osr_raft_event event = {.type = OSR_RAFT_CHANGE, .change = {request->number, change}};
    osr_ledger_post(ledger, &event);
}

/* Whoever asks on its behalf may say anything. One that cannot be read, or that lacks commands
 * which are in use, would end at the first of these, and has all members refuse them. */
static int check_newcomer(const struct osr_ledger *ledger, const struct osr_raft_member *member,
                          struct osr_err *err)
{
    struct osr_ledger_member who;
    int code = osr_ledger_member_decode(member, &who, err);
    if (code == 0 && !osr_ledger_member_understands(&who, ledger->versions)) {
        code = (int)osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                                "ledger: %s does not understand what all members do", who.name);
        osr_err_hint(err, "update osirisd there, then let it wait again");
    }
    return code;
}

static void add(struct osr_ledger *ledger, struct ledger_request *request)
{
    const struct osr_raft_member *present = find_instance(ledger, request->applicant->instance);
    if (present != NULL && is_untouched(ledger, present)) {
        osr_ledger_answer(ledger, request, OSR_OK, present->id);
        return;
    }
    if (present != NULL) {
        struct osr_err err;
        osr_err_set(&err, OSR_ALREADY_EXISTS, "%s is member %llu already, and has lost its data",
                    request->applicant->name, (unsigned long long)present->id);
        osr_err_hint(&err, "take the old member out first: osiris cluster remove %llu",
                     (unsigned long long)present->id);
        osr_ledger_fail(ledger, request, &err);
        return;
    }
    struct osr_raft_change change = {
        .type = OSR_RAFT_ADD,
        .member = {.standing = OSR_RAFT_LEARNER,
                   .is_promoted = !request->stays_learner && !has_voters_enough(ledger)}};
    change.member.id = osr_ledger_random_member();
    osr_ledger_member_encode(request->applicant, &change.member);
    struct osr_err err;
    if (check_newcomer(ledger, &change.member, &err) != 0) {
        osr_ledger_fail(ledger, request, &err);
        return;
    }
    propose_change(ledger, request, &change);
}

static void change_members(struct osr_ledger *ledger, struct ledger_request *request)
{
    if (request->change == OSR_RAFT_ADD) {
        add(ledger, request);
        return;
    }
    struct osr_err err;
    struct osr_raft_change change = {.type = request->change};
    change.member.id = osr_ledger_find_member(ledger, request->member_name, &err);
    if (change.member.id == 0) {
        osr_ledger_fail(ledger, request, &err);
    } else {
        propose_change(ledger, request, &change);
    }
}

static void transfer(struct osr_ledger *ledger, struct ledger_request *request)
{
    struct osr_err err;
    uint64_t target = 0;
    if (request->member_name != NULL) {
        target = osr_ledger_find_member(ledger, request->member_name, &err);
        if (target == 0) {
            osr_ledger_fail(ledger, request, &err);
            return;
        }
    }
    if (target == ledger->member) {
        osr_ledger_answer(ledger, request, OSR_OK, target); /* it leads already */
        return;
    }
    request->state = LEDGER_PROPOSED;
    struct osr_raft_event event = {.type = OSR_RAFT_TRANSFER,
                                   .transfer = {request->number, target}};
    osr_ledger_post(ledger, &event);
}

void osr_ledger_dispatch_change(struct osr_ledger *ledger, struct ledger_request *request)
{
    if (!osr_ledger_leads(ledger)) {
        if (!osr_ledger_ask_change(ledger, request)) {
            osr_ledger_wait_for_leader(ledger, request);
        }
    } else if (request->kind == LEDGER_CHANGE) {
        change_members(ledger, request);
    } else {
        transfer(ledger, request);
    }
}

void osr_ledger_change_applied(struct osr_ledger *ledger, uint64_t token)
{
    struct ledger_request *request = osr_ledger_find_request(ledger, token);
    if (token != 0 && request != NULL && request->state == LEDGER_PROPOSED) {
        osr_ledger_answer(ledger, request, OSR_OK, request->changed_member);
    }
}

void osr_ledger_transferred(struct osr_ledger *ledger, uint64_t token, enum osr_code code)
{
    struct ledger_request *request = osr_ledger_find_request(ledger, token);
    if (request == NULL || request->state != LEDGER_PROPOSED) {
        return;
    }
    if (code == OSR_OK) {
        struct osr_raft_info info;
        osr_ledger_raft_info(ledger, &info);
        osr_ledger_answer(ledger, request, OSR_OK, info.leader);
        return;
    }
    struct osr_err err;
    osr_err_set(&err, OSR_UNAVAILABLE, "no other voter could take over: this one goes on leading");
    osr_err_hint(&err, "osiris cluster why shows which voters are reachable");
    osr_ledger_fail(ledger, request, &err);
}

/* The leader that was asked leads no more, and may or may not have handed over. Whether it did is
 * of no concern: what counts is who leads now. */
void osr_ledger_transfer_outlived(struct osr_ledger *ledger, struct ledger_request *request,
                                  uint64_t term)
{
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    if (request->asked_term >= term) {
        return;
    }
    if (request->member_name == NULL && info.leader != 0 && info.leader != request->asked_member) {
        osr_ledger_answer(ledger, request, OSR_OK, info.leader);
        return;
    }
    struct osr_err err; /* asked again, whoever is named says that it leads already */
    osr_err_set(&err, OSR_CANCELLED, "ledger: the leader has changed");
    osr_ledger_retry(ledger, request, &err);
}

/* ---- asked for at this member ---- */

static struct ledger_request *request_add(struct osr_ledger *ledger,
                                          const struct osr_ledger_applicant *applicant,
                                          bool stays_learner, uint32_t timeout_ms,
                                          osr_agreed_done *done, void *context)
{
    struct ledger_request *request =
        osr_ledger_request(ledger, LEDGER_CHANGE, timeout_ms, done, context);
    request->change = OSR_RAFT_ADD;
    request->stays_learner = stays_learner;
    request->welcome_link = applicant->link;
    request->applicant = osr_alloc(sizeof(*request->applicant));
    *request->applicant = applicant->who;
    return request;
}

static const enum osr_raft_change_type change_types[] = {
    [OSR__CLUSTER_CHANGE_TYPE__ADD_MEMBER] = OSR_RAFT_ADD,
    [OSR__CLUSTER_CHANGE_TYPE__REMOVE_MEMBER] = OSR_RAFT_REMOVE,
    [OSR__CLUSTER_CHANGE_TYPE__PROMOTE_MEMBER] = OSR_RAFT_PROMOTE,
};

enum osr_raft_change_type osr_ledger_change_type(Osr__ClusterChangeType type)
{
    size_t count = sizeof(change_types) / sizeof(change_types[0]);
    return (size_t)type < count ? change_types[type] : 0;
}

static void explain_no_applicant(const struct osr_ledger *ledger, const char *name,
                                 struct osr_err *err)
{
    uint64_t member = osr_ledger_find_member(ledger, name, NULL);
    if (member != 0) {
        osr_err_set(err, OSR_ALREADY_EXISTS, "%s is member %llu already", name,
                    (unsigned long long)member);
        osr_err_hint(err, "osiris cluster members shows them all");
        return;
    }
    osr_err_set(err, OSR_NOT_FOUND, "nobody called %s is linked here and waits to be added", name);
    osr_err_hint(err, "start it linked to this instance, with --ledger join; with --ledger rejoin "
                      "where it belonged to a ledger before");
}

uint64_t osr_ledger_change(struct osr_ledger *ledger, const Osr__ClusterChangeRequest *change,
                           uint32_t timeout_ms, osr_agreed_done *done, void *context)
{
    enum osr_raft_change_type type = osr_ledger_change_type(change->change);
    struct osr_err err;
    if (type == 0 || change->member[0] == '\0') {
        osr_err_set(&err, OSR_INVALID_ARGUMENT, "a change needs a type and a member");
        return osr_ledger_refuse(ledger, done, context, &err);
    }
    if (type != OSR_RAFT_ADD) {
        struct ledger_request *request =
            osr_ledger_request(ledger, LEDGER_CHANGE, timeout_ms, done, context);
        request->change = type;
        request->member_name = osr_strdup(change->member);
        return request->number;
    }
    const struct osr_ledger_applicant *applicant =
        osr_ledger_links_find_applicant(ledger->links, change->member);
    if (applicant == NULL) {
        explain_no_applicant(ledger, change->member, &err);
        return osr_ledger_refuse(ledger, done, context, &err);
    }
    return request_add(ledger, applicant, change->learner, timeout_ms, done, context)->number;
}

uint64_t osr_ledger_transfer(struct osr_ledger *ledger, const char *member, uint32_t timeout_ms,
                             osr_agreed_done *done, void *context)
{
    struct ledger_request *request =
        osr_ledger_request(ledger, LEDGER_TRANSFER, timeout_ms, done, context);
    request->member_name = member[0] != '\0' ? osr_strdup(member) : NULL;
    return request->number;
}

/* ---- who waits ---- */

static void applicant_added(void *context, const struct osr_agreed *agreed)
{
    struct osr_ledger *ledger = context;
    uint32_t link = ledger->welcome_link;
    ledger->welcome_link = 0;
    if (agreed->err != NULL) {
        osr_trace(ledger->trace, OSR_LEVEL_WARNING, "ledger: who waits was not added: %s",
                  agreed->err->message);
        return;
    }
    osr_ledger_links_welcome(ledger->links, link, agreed->index);
}

/* Who was added by hand has yet to be told. */
static bool is_to_be_added(const struct osr_ledger *ledger,
                           const struct osr_ledger_applicant *applicant)
{
    struct osr_values *values = osr_ledger_state_values(ledger->state, OSR_MACHINE_CLUSTER);
    return !osr_cluster_joins_by_hand(values) ||
           find_instance(ledger, applicant->who.instance) != NULL;
}

void osr_ledger_take_applicant(struct osr_ledger *ledger,
                               const struct osr_ledger_applicant *applicant)
{
    if (ledger->welcome_link != 0 || !osr_ledger_is_running(ledger)) {
        return; /* one at a time; it says so again */
    }
    if (!is_to_be_added(ledger, applicant)) {
        return;
    }
    ledger->welcome_link = applicant->link;
    request_add(ledger, applicant, false, ADD_TIMEOUT_MS, applicant_added, ledger);
}
