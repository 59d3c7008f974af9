/* What a member asks the leader for on behalf of its own callers, and the leader's end of that. A
 * leader does it only in the term that the asker knew: so whoever has seen an entry of a later term
 * applied knows that what is not done by then will not be. */
#include "node/ledger_internal.h"

#include <stdlib.h>

enum {
    /* Of commands in one LEDGER_ASK, unless it is a single larger one. */
    ASK_BYTES_MAX = 1 << 20,
};

/* ---- asking ---- */

/* The leader to be asked; 0: none is known or can be reached. */
static uint64_t leader_at_hand(const struct osr_ledger *ledger, uint64_t *ret_term)
{
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    *ret_term = info.term;
    bool is_there = osr_ledger_is_running(ledger) && info.leader != 0 &&
                    info.leader != ledger->member &&
                    osr_ledger_links_is_reachable(ledger->links, info.leader);
    return is_there ? info.leader : 0;
}

static bool send_ask(struct osr_ledger *ledger, uint64_t leader, uint64_t term, Osr__LedgerAsk *ask)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    ask->ledger = ledger->id;
    ask->term = term;
    osr_frame_set_body(&frame, OSR__FRAME__BODY_LEDGER_ASK, &ask->base);
    return osr_ledger_links_send_frame(ledger->links, leader, &frame);
}

static void note_asked(struct ledger_request *request, uint64_t leader, uint64_t term)
{
    request->state = LEDGER_ASKED;
    request->asked_member = leader;
    request->asked_term = term;
}

/* So many of the requests go into one frame. */
static size_t fill(Osr__LedgerAsk *ask, ProtobufCBinaryData *commands,
                   struct ledger_request *const *requests, size_t count)
{
    size_t bytes = 0;
    while (ask->n_commands < count && ask->n_commands < OSR_LEDGER_ASK_COMMANDS_MAX) {
        const struct osr_buffer *command = &requests[ask->n_commands]->command;
        bytes += command->size;
        if (ask->n_commands > 0 && bytes > ASK_BYTES_MAX) {
            break;
        }
        commands[ask->n_commands++] =
            (ProtobufCBinaryData){.data = command->data, .len = command->size};
    }
    return ask->n_commands;
}

bool osr_ledger_ask_commands(struct osr_ledger *ledger, struct ledger_request *const *requests,
                             size_t count)
{
    uint64_t term;
    uint64_t leader = leader_at_hand(ledger, &term);
    if (leader == 0) {
        return false;
    }
    ProtobufCBinaryData *commands = osr_alloc_unset(
        (count < OSR_LEDGER_ASK_COMMANDS_MAX ? count : OSR_LEDGER_ASK_COMMANDS_MAX) *
        sizeof(commands[0]));
    for (size_t done = 0; done < count;) {
        Osr__LedgerAsk ask = OSR__LEDGER_ASK__INIT;
        ask.commands = commands;
        size_t asked = fill(&ask, commands, requests + done, count - done);
        send_ask(ledger, leader, term,
                 &ask); /* a link that breaks now is as one that breaks later */
        for (size_t i = 0; i < asked; i++) {
            note_asked(requests[done + i], leader, term);
        }
        done += asked;
    }
    free(commands);
    return true;
}

static Osr__ClusterChangeType type_of(enum osr_raft_change_type change)
{
    switch (change) {
    case OSR_RAFT_ADD:
        return OSR__CLUSTER_CHANGE_TYPE__ADD_MEMBER;
    case OSR_RAFT_REMOVE:
        return OSR__CLUSTER_CHANGE_TYPE__REMOVE_MEMBER;
    case OSR_RAFT_PROMOTE:
    case OSR_RAFT_UPDATE:
        break;
    }
    return OSR__CLUSTER_CHANGE_TYPE__PROMOTE_MEMBER;
}

static void describe(Osr__LedgerAsk *ask, struct osr_ledger_member *who, char **addresses,
                     uint32_t *versions)
{
    ask->instance = who->instance;
    ask->name = who->name;
    ask->addresses = addresses;
    ask->versions = versions;
    for (size_t i = 0; i < who->address_count; i++) {
        addresses[ask->n_addresses++] = who->addresses[i];
    }
    for (size_t i = 0; i < OSR_MACHINES_MAX; i++) {
        versions[ask->n_versions++] = who->versions[i];
    }
}

bool osr_ledger_ask_change(struct osr_ledger *ledger, struct ledger_request *request)
{
    uint64_t term;
    uint64_t leader = leader_at_hand(ledger, &term);
    if (leader == 0) {
        return false;
    }
    Osr__LedgerAsk ask = OSR__LEDGER_ASK__INIT;
    Osr__ClusterChangeRequest change = OSR__CLUSTER_CHANGE_REQUEST__INIT;
    Osr__ClusterTransferRequest transfer = OSR__CLUSTER_TRANSFER_REQUEST__INIT;
    char *addresses[OSR_LEDGER_ADDRESSES_MAX];
    uint32_t versions[OSR_MACHINES_MAX];
    ask.number = request->number;
    if (request->kind == LEDGER_TRANSFER) {
        transfer.member = request->member_name != NULL ? request->member_name : transfer.member;
        ask.transfer = &transfer;
    } else {
        change.change = type_of(request->change);
        change.member = request->member_name != NULL ? request->member_name : change.member;
        change.learner = request->stays_learner;
        ask.change = &change;
    }
    if (request->applicant != NULL) {
        describe(&ask, request->applicant, addresses, versions);
    }
    note_asked(request, leader, term);
    send_ask(ledger, leader, term, &ask);
    return true;
}

void osr_ledger_tell_whereabouts(struct osr_ledger *ledger, struct osr_ledger_member *who)
{
    uint64_t term;
    uint64_t leader = leader_at_hand(ledger, &term);
    if (leader != 0) {
        Osr__LedgerAsk told = OSR__LEDGER_ASK__INIT;
        char *addresses[OSR_LEDGER_ADDRESSES_MAX];
        uint32_t versions[OSR_MACHINES_MAX];
        describe(&told, who, addresses, versions);
        send_ask(ledger, leader, term, &told);
    }
}

/* ---- being asked ---- */

static void send_answer(struct osr_ledger *ledger, uint64_t member, Osr__LedgerAnswer *answer,
                        const struct osr_err *err)
{
    Osr__Frame frame = OSR__FRAME__INIT;
    answer->ledger = ledger->id;
    if (err != NULL) {
        answer->code = (Osr__Code)err->code;
        answer->why = (char *)err->message;
        answer->hint = (char *)err->hint;
    }
    osr_frame_set_body(&frame, OSR__FRAME__BODY_LEDGER_ANSWER, &answer->base);
    osr_ledger_links_send_frame(ledger->links, member, &frame);
}

static void refuse(struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask,
                   uint64_t number, const struct osr_err *err)
{
    Osr__LedgerAnswer answer = OSR__LEDGER_ANSWER__INIT;
    answer.number = number;
    answer.term = ask->term;
    send_answer(ledger, member, &answer, err);
}

/* Whether this member may do now what is asked. */
static int check_ask(const struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask,
                     struct osr_err *err)
{
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    if (!osr_ledger_leads(ledger) || info.term != ask->term) {
        return (int)osr_err_set(err, OSR_UNAVAILABLE,
                                "ledger: the member that was asked leads no more");
    }
    if (osr_raft_configuration_find(osr_ledger_configuration(ledger), member) == NULL) {
        return (int)osr_err_set(err, OSR_UNAVAILABLE,
                                "ledger: the instance that was asked is no member any more");
    }
    return 0;
}

/* What one member does not understand would stop it once it is committed. */
static bool is_understood(struct osr_ledger *ledger, const struct osr_ledger_command *command)
{
    bool is_machine = (int)command->machine >= 1 && (int)command->machine <= OSR_MACHINES_MAX;
    return is_machine && command->version >= 1 &&
           command->version <= ledger->agreement.version(&ledger->agreement, command->machine);
}

void osr_ledger_ask_failed(struct osr_ledger *ledger, uint64_t token, const struct osr_err *err)
{
    if (token == ledger->asked_token) {
        ledger->asked_failure = *err;
    } /* else it was taken once: its proposer sees for itself what becomes of it */
}

/* What the core refuses, it refuses at once. */
static int propose(struct osr_ledger *ledger, struct osr_slice command, struct osr_err *err)
{
    ledger->asked_token = LEDGER_TOKEN_ASKED | ++ledger->last_asked;
    ledger->asked_failure.code = OSR_OK;
    struct osr_raft_event event = {.type = OSR_RAFT_PROPOSE,
                                   .propose = {ledger->asked_token, command}};
    osr_ledger_post(ledger, &event);
    ledger->asked_token = 0;
    if (ledger->asked_failure.code != OSR_OK) {
        *err = ledger->asked_failure;
    }
    return ledger->asked_failure.code;
}

static void take_commands(struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask)
{
    for (size_t i = 0; i < ask->n_commands; i++) {
        struct osr_slice command = osr_slice(ask->commands[i].data, ask->commands[i].len);
        struct osr_ledger_command envelope;
        if (osr_ledger_command_decode(command, &envelope, NULL) != 0) {
            continue; /* no proposer would know it again */
        }
        struct osr_err err;
        if (!is_understood(ledger, &envelope)) {
            osr_err_set(&err, OSR_UNSUPPORTED_VERSION,
                        "ledger: not all members understand version %u of machine %d",
                        envelope.version, (int)envelope.machine);
            refuse(ledger, member, ask, envelope.number, &err);
            continue;
        }
        if (check_ask(ledger, member, ask, &err) != 0 || propose(ledger, command, &err) != 0) {
            refuse(ledger, member, ask, envelope.number, &err);
        }
    }
}

/* A change that is under way for another member. */
struct asked_change {
    struct asked_change *next;
    struct osr_ledger *ledger;
    uint64_t member;
    uint64_t number;
    uint64_t term;
};

static struct asked_change *begin_change(struct osr_ledger *ledger, uint64_t member,
                                         const Osr__LedgerAsk *ask)
{
    struct asked_change *asked = osr_alloc(sizeof(*asked));
    *asked = (struct asked_change){ledger->asked_changes, ledger, member, ask->number, ask->term};
    ledger->asked_changes = asked;
    return asked;
}

static void end_change(struct asked_change *asked)
{
    struct asked_change **link = &asked->ledger->asked_changes;
    while (*link != asked) {
        link = &(*link)->next;
    }
    *link = asked->next;
    free(asked);
}

static size_t count_changes(const struct osr_ledger *ledger, uint64_t member)
{
    size_t count = 0;
    for (const struct asked_change *asked = ledger->asked_changes; asked != NULL;
         asked = asked->next) {
        count += asked->member == member;
    }
    return count;
}

static void change_done(void *context, const struct osr_agreed *agreed)
{
    struct asked_change *asked = context;
    Osr__LedgerAnswer answer = OSR__LEDGER_ANSWER__INIT;
    answer.number = asked->number;
    answer.term = asked->term;
    answer.member = agreed->index;
    send_answer(asked->ledger, asked->member, &answer, agreed->err);
    end_change(asked);
}

static void read_applicant(const Osr__LedgerAsk *ask, struct osr_ledger_member *applicant)
{
    snprintf(applicant->instance, sizeof(applicant->instance), "%s", ask->instance);
    snprintf(applicant->name, sizeof(applicant->name), "%s", ask->name);
    for (size_t i = 0; i < ask->n_addresses && i < OSR_LEDGER_ADDRESSES_MAX; i++) {
        snprintf(applicant->addresses[i], sizeof(applicant->addresses[i]), "%s", ask->addresses[i]);
        applicant->address_count++;
    }
    for (size_t i = 0; i < ask->n_versions && i < OSR_MACHINES_MAX; i++) {
        uint32_t version = ask->versions[i];
        applicant->versions[i] = (uint8_t)(version < UINT8_MAX ? version : UINT8_MAX);
    }
}

static bool names_whom(const Osr__LedgerAsk *ask, enum osr_raft_change_type type)
{
    return type == OSR_RAFT_ADD ? ask->instance[0] != '\0'
                                : type != 0 && ask->change->member[0] != '\0';
}

static int check_change(const struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask,
                        enum osr_raft_change_type type, struct osr_err *err)
{
    if (check_ask(ledger, member, ask, err) != 0) {
        return err->code;
    }
    if (ask->transfer == NULL && !names_whom(ask, type)) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT,
                                "ledger: a change needs a type and a member");
    }
    if (count_changes(ledger, member) >= OSR_LEDGER_ASKED_CHANGES_MAX) {
        return (int)osr_err_set(err, OSR_BUSY,
                                "ledger: %d changes of this member are under way at the leader",
                                OSR_LEDGER_ASKED_CHANGES_MAX);
    }
    return 0;
}

static void take_change(struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask)
{
    struct osr_err err;
    enum osr_raft_change_type type =
        ask->change != NULL ? osr_ledger_change_type(ask->change->change) : 0;
    if (check_change(ledger, member, ask, type, &err) != 0) {
        refuse(ledger, member, ask, ask->number, &err);
        return;
    }
    struct asked_change *asked = begin_change(ledger, member, ask);
    const char *name = ask->transfer != NULL ? ask->transfer->member : ask->change->member;
    struct ledger_request *request =
        osr_ledger_request(ledger, ask->transfer != NULL ? LEDGER_TRANSFER : LEDGER_CHANGE,
                           LEDGER_ASKED_CHANGE_MS, change_done, asked);
    request->member_name = name[0] != '\0' ? osr_strdup(name) : NULL;
    request->change = type;
    request->stays_learner = ask->change != NULL && ask->change->learner;
    if (type == OSR_RAFT_ADD) {
        request->applicant = osr_alloc(sizeof(*request->applicant));
        read_applicant(ask, request->applicant);
    }
}

void osr_ledger_take_ask(struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask)
{
    if (strcmp(ask->ledger, ledger->id) != 0) {
        return;
    }
    if (ask->change != NULL || ask->transfer != NULL) {
        take_change(ledger, member, ask);
    } else {
        take_commands(ledger, member, ask);
    }
}

/* ---- answers ---- */

void osr_ledger_take_answer(struct osr_ledger *ledger, uint64_t member,
                            const Osr__LedgerAnswer *answer)
{
    struct ledger_request *request = osr_ledger_find_request(ledger, answer->number);
    if (request == NULL || request->state != LEDGER_ASKED || request->asked_member != member ||
        request->asked_term != answer->term) {
        return;
    }
    if (answer->code == OSR__CODE__OK) {
        if (request->kind != LEDGER_COMMAND) { /* which is answered where it is applied */
            osr_ledger_answer(ledger, request, OSR_OK, answer->member);
        }
        return;
    }
    Osr__Error error = OSR__ERROR__INIT;
    error.code = answer->code;
    error.message = answer->why;
    error.hint = answer->hint;
    struct osr_err err;
    osr_error_read(&error, &err);
    osr_ledger_retry(ledger, request, &err);
}
