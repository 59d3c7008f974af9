#include "sim/raft_clients.h"

#include "sim/linear.h"
#include "sim/raft_member.h"
#include "sim/violation.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    CLIENTS_MAX = 8,
    BACKOFF_US = 20000,    /* before the next try, after a refusal */
    PATIENCE_TIMEOUTS = 6, /* election time-outs that a client waits at most */
};

enum outcome {
    OUTCOME_OPEN,
    OUTCOME_ANSWERED, /* a reply is on its way */
    OUTCOME_RETURNED,
    OUTCOME_NOTHING, /* for certain */
    OUTCOME_UNKNOWN,
};

struct operation {
    struct raft_command command;
    uint32_t client;
    enum outcome outcome;
    bool is_asked; /* is under way to a member or there; it has not refused */
    struct raft_result result;
    uint64_t index;     /* that the result is of */
    uint64_t must_have; /* of a read: what was acknowledged before it */
    uint64_t called;    /* moments */
    uint64_t returned;
};

struct client {
    uint64_t operation;         /* number; 0: none */
    uint32_t member;            /* whom it asks */
    struct raft_command again;  /* to be asked for again; type 0: nothing */
    uint64_t values[RAFT_KEYS]; /* what it knows */
    unsigned left;              /* while finishing */
};

struct raft_clients {
    struct client clients[CLIENTS_MAX];
    size_t count;
    struct osr_buffer operations; /* of struct operation; number 1 first */
    uint64_t moment;
    uint64_t acknowledged;     /* the highest index that anybody has seen the effect of */
    bool is_paused;            /* nobody begins anything new */
    bool is_finishing;         /* nobody gives up, and everybody has a little left to do */
    struct osr_buffer command; /* scratch */
};

struct raft_clients *raft_clients_create(struct raft_world *world)
{
    struct raft_clients *clients = osr_alloc(sizeof(*clients));
    clients->count = world->settings.clients;
    for (size_t i = 0; i < clients->count; i++) {
        raft_world_after(world, 1, 100000, RAFT_CLIENT, 0)->number = i;
    }
    return clients;
}

void raft_clients_destroy(struct raft_clients *clients)
{
    osr_buffer_done(&clients->operations);
    osr_buffer_done(&clients->command);
    free(clients);
}

static struct operation *find(struct raft_clients *clients, uint64_t number)
{
    struct operation *operations = (void *)clients->operations.data;
    return number > 0 && number <= clients->operations.size / sizeof(*operations)
               ? &operations[number - 1]
               : NULL;
}

/* ---- asking ---- */

static struct raft_command draw_command(struct raft_world *world, struct client *client,
                                        uint64_t number)
{
    struct raft_command command = client->again;
    if (command.type != 0) {
        client->again.type = 0;
        return command;
    }
    command.key = (uint8_t)osr_random_below(&world->random, world->settings.keys);
    command.value = number;
    command.expected = client->values[command.key];
    if (raft_chance(world, world->settings.reads)) {
        command.type = RAFT_GET;
        return command;
    }
    static const enum raft_command_type types[] = {
        RAFT_PUT, RAFT_PUT, RAFT_PUT, RAFT_DELETE, RAFT_COMPARE_AND_SET, RAFT_COMPARE_AND_SET};
    command.type = types[osr_random_below(&world->random, sizeof(types) / sizeof(types[0]))];
    return command;
}

/* With what the client has in hand now: if that is settled meanwhile, nothing happens. */
static void try_later(struct raft_world *world, uint32_t client, uint64_t low_us, uint64_t high_us)
{
    struct raft_happening *next = raft_world_after(world, low_us, high_us, RAFT_CLIENT, 0);
    next->number = client;
    next->second = world->clients->clients[client].operation;
}

/* Sends it to the member in mind, or after a refused connection to another; in the end to those
 * alone that belong to the ledger. */
static void ask(struct raft_world *world, uint32_t client, uint64_t number)
{
    struct client *self = &world->clients->clients[client];
    struct raft_member *member = world->members[self->member];
    bool is_stranger = osr_raft_configuration_find(&world->configuration, member->id) == NULL;
    if (!raft_member_is_up(member) || (world->clients->is_finishing && is_stranger)) {
        self->member = raft_world_any_member(world)->place;
        try_later(world, client, BACKOFF_US / 10, BACKOFF_US);
        return;
    }
    find(world->clients, number)->is_asked = true;
    raft_world_after(world, 10, world->settings.latency_us + 10, RAFT_REQUEST, member->place)
        ->number = number;
}

static uint64_t begin(struct raft_world *world, uint32_t client)
{
    struct raft_clients *clients = world->clients;
    struct client *self = &clients->clients[client];
    uint64_t number = clients->operations.size / sizeof(struct operation) + 1;
    const struct operation operation = {
        .command = draw_command(world, self, number),
        .client = client,
        .called = ++clients->moment,
        .returned = UINT64_MAX,
        .must_have = clients->acknowledged,
    };
    osr_buffer_add(&clients->operations, &operation, sizeof(operation));
    self->operation = number;
    world->counters.operations++;
    world->counters.reads += operation.command.type == RAFT_GET;
    if (raft_chance(world, 0.3)) {
        self->member = raft_world_any_member(world)->place;
    }
    uint64_t patience_us =
        PATIENCE_TIMEOUTS * UINT64_C(1000) * world->settings.core.election_timeout_ms;
    raft_world_after(world, patience_us / 4, patience_us, RAFT_PATIENCE, 0)->number = number;
    return number;
}

/* The client goes on: with what it has in hand, or with something new. */
static void go_on(struct raft_world *world, uint32_t client, uint64_t operation)
{
    const struct raft_clients *clients = world->clients;
    const struct client *self = &clients->clients[client];
    if (self->operation != operation) {
        return;
    }
    if (operation == 0) {
        if (clients->is_paused || (clients->is_finishing && self->left == 0)) {
            return;
        }
        operation = begin(world, client);
    }
    ask(world, client, operation);
}

static void think(struct raft_world *world, uint32_t client)
{
    try_later(world, client, 1, 2 * world->settings.think_us);
}

/* ---- what comes back ---- */

void raft_clients_request(struct raft_member *member, uint64_t operation)
{
    struct raft_world *world = member->world;
    const struct raft_command *command = &find(world->clients, operation)->command;
    if (command->type == RAFT_GET) {
        raft_member_read(member, operation);
        return;
    }
    struct osr_buffer *bytes = &world->clients->command;
    osr_buffer_clear(bytes);
    raft_command_encode(command, osr_random_below(&world->random, world->settings.ballast_max + 1),
                        bytes);
    raft_member_propose(member, operation, osr_buffer_slice(bytes));
}

static void answer(struct raft_world *world, uint64_t number, const struct raft_result *result,
                   uint64_t index)
{
    struct operation *operation = find(world->clients, number);
    if (operation == NULL) {
        sim_violation("an operation %" PRIu64 " is done that nobody asked for", number);
    }
    operation->result = *result;
    operation->index = index;
    if (operation->outcome == OUTCOME_OPEN && (world->is_quiet || !raft_chance(world, 0.01))) {
        operation->outcome = OUTCOME_ANSWERED;
        raft_world_after(world, 10, world->settings.latency_us + 10, RAFT_REPLY, 0)->number =
            number;
    }
}

void raft_clients_applied(struct raft_member *member, uint64_t token,
                          const struct raft_result *result)
{
    answer(member->world, token, result, member->state.applied);
}

void raft_clients_readable(struct raft_member *member, uint64_t token)
{
    const struct operation *operation = find(member->world->clients, token);
    if (operation == NULL || operation->command.type != RAFT_GET) {
        sim_violation("m%" PRIu64 " answers a read %" PRIu64 " that nobody asked for", member->id,
                      token);
    }
    if (member->state.applied < operation->must_have) {
        sim_violation("m%" PRIu64 " reads at %" PRIu64 ", and entry %" PRIu64
                      " was acknowledged before",
                      member->id, member->state.applied, operation->must_have);
    }
    const struct raft_result result = {.value = member->state.values[operation->command.key]};
    answer(member->world, token, &result, member->state.applied);
}

/* It stays in the history, for it may be done or not, now or later. */
static void give_up(struct raft_world *world, uint64_t number)
{
    struct operation *operation = find(world->clients, number);
    struct client *client = &world->clients->clients[operation->client];
    operation->outcome = operation->is_asked ? OUTCOME_UNKNOWN : OUTCOME_NOTHING;
    world->counters.outcomes_unknown +=
        operation->outcome == OUTCOME_UNKNOWN && operation->command.type != RAFT_GET;
    if (operation->outcome == OUTCOME_UNKNOWN && raft_chance(world, 0.6)) {
        client->again = operation->command;
    }
    client->operation = 0;
    client->member = raft_world_any_member(world)->place;
    think(world, operation->client);
}

void raft_clients_failed(struct raft_member *member, uint64_t token, enum osr_code code,
                         uint64_t leader)
{
    struct raft_world *world = member->world;
    struct operation *operation = find(world->clients, token);
    if (operation == NULL) {
        sim_violation("an operation %" PRIu64 " fails that nobody asked for", token);
    }
    world->counters.cancelled += code == OSR_CANCELLED;
    struct client *client = &world->clients->clients[operation->client];
    if (operation->outcome != OUTCOME_OPEN) {
        return;
    }
    if (code == OSR_TIMEOUT && operation->command.type != RAFT_GET) {
        give_up(world, token);
        return;
    }
    operation->is_asked = false;
    if (code == OSR_TOO_LARGE) {
        operation->outcome = OUTCOME_NOTHING;
        client->operation = 0;
        think(world, operation->client);
        return;
    }
    if (code == OSR_UNAVAILABLE) {
        client->member = leader != 0 ? (uint32_t)leader - 1 : raft_world_any_member(world)->place;
    }
    try_later(world, operation->client, BACKOFF_US / 10, BACKOFF_US);
}

static void receive_reply(struct raft_world *world, uint64_t number)
{
    struct raft_clients *clients = world->clients;
    struct operation *operation = find(clients, number);
    struct client *client = &clients->clients[operation->client];
    if (operation->outcome != OUTCOME_ANSWERED) {
        return; /* too late */
    }
    const struct raft_command *command = &operation->command;
    operation->outcome = OUTCOME_RETURNED;
    operation->returned = ++clients->moment;
    if (clients->acknowledged < operation->index) {
        clients->acknowledged = operation->index;
    }
    if (command->type == RAFT_GET) {
        client->values[command->key] = operation->result.value;
    } else if (operation->result.is_done) {
        client->values[command->key] = command->type == RAFT_DELETE ? 0 : command->value;
    }
    client->left -= client->left > 0;
    client->operation = 0;
    think(world, operation->client);
}

static void lose_patience(struct raft_world *world, uint64_t number)
{
    struct operation *operation = find(world->clients, number);
    if (world->clients->clients[operation->client].operation == number &&
        !world->clients->is_finishing) {
        give_up(world, number);
    }
}

void raft_clients_handle(struct raft_world *world, const struct raft_happening *happening)
{
    switch (happening->type) {
    case RAFT_CLIENT:
        go_on(world, (uint32_t)happening->number, happening->second);
        break;
    case RAFT_REPLY:
        receive_reply(world, happening->number);
        break;
    case RAFT_PATIENCE:
        lose_patience(world, happening->number);
        break;
    default:
        assert(false);
    }
}

/* ---- the end of a run ---- */

void raft_clients_pause(struct raft_clients *clients)
{
    clients->is_paused = true;
}

void raft_clients_finish(struct raft_world *world, unsigned operations)
{
    struct raft_clients *clients = world->clients;
    clients->is_paused = false;
    clients->is_finishing = true;
    for (uint32_t i = 0; i < clients->count; i++) {
        clients->clients[i].left = operations;
        try_later(world, i, 1, BACKOFF_US);
    }
}

bool raft_clients_are_done(const struct raft_clients *clients)
{
    for (size_t i = 0; i < clients->count; i++) {
        if (clients->clients[i].operation != 0 || clients->clients[i].left > 0) {
            return false;
        }
    }
    return true;
}

static struct linear_operation as_linear(const struct operation *operation)
{
    static const enum linear_type types[] = {
        [RAFT_PUT] = LINEAR_WRITE,
        [RAFT_DELETE] = LINEAR_DELETE,
        [RAFT_COMPARE_AND_SET] = LINEAR_COMPARE_AND_SET,
        [RAFT_GET] = LINEAR_READ,
    };
    return (struct linear_operation){
        .type = types[operation->command.type],
        .is_done = operation->result.is_done,
        .expected = operation->command.expected,
        .value = operation->command.type == RAFT_GET ? operation->result.value
                                                     : operation->command.value,
        .called = operation->called,
        .returned = operation->returned,
    };
}

/* An unanswered read says nothing. */
static bool is_in_history(const struct operation *operation)
{
    return operation->outcome != OUTCOME_NOTHING &&
           (operation->command.type != RAFT_GET || operation->outcome == OUTCOME_RETURNED);
}

static void check_key(struct raft_world *world, size_t key, struct linear_operation *history)
{
    const struct osr_buffer *operations = &world->clients->operations;
    size_t count = 0;
    for (uint64_t i = 1; i <= operations->size / sizeof(struct operation); i++) {
        const struct operation *operation = find(world->clients, i);
        if (operation->command.key == key && is_in_history(operation)) {
            history[count++] = as_linear(operation);
        }
    }
    switch (linear_check(history, count)) {
    case LINEAR_YES:
        break;
    case LINEAR_NO:
        sim_violation("the %zu operations on key %zu cannot be explained", count, key);
    case LINEAR_UNDECIDED:
        world->counters.histories_undecided++;
        break;
    }
}

void raft_clients_check(struct raft_world *world)
{
    size_t count = world->clients->operations.size / sizeof(struct operation);
    struct linear_operation *history = osr_alloc((count + 1) * sizeof(*history));
    for (size_t key = 0; key < world->settings.keys; key++) {
        check_key(world, key, history);
    }
    free(history);
}
