/* Makes the core of what log and snapshot gave back. */
#include "node/ledger_internal.h"

#include "adapter/keys.h"

static uint64_t term_at(const struct osr_ledger_recovered *recovered, uint64_t index)
{
    uint64_t term = recovered->base_term;
    for (size_t i = 0; i < recovered->span_count && recovered->spans[i].first <= index; i++) {
        term = recovered->spans[i].term;
    }
    return term;
}

/* The state goes on from what it has applied; later configurations it meets as it goes. */
static void tell_state(struct osr_ledger *ledger, const struct osr_ledger_recovered *recovered)
{
    struct osr_raft_configuration found = ledger->snapshot.configuration;
    for (size_t i = 0; i < recovered->configuration_count; i++) {
        const struct osr_raft_entry *entry = &recovered->configurations[i];
        if (entry->index <= ledger->applied) {
            osr_raft_configuration_decode(entry->payload, &found, NULL); /* good: it was checked */
        }
    }
    uint64_t term = ledger->applied == ledger->snapshot.index ? ledger->snapshot.term
                                                              : term_at(recovered, ledger->applied);
    osr_ledger_state_set_configuration(ledger->state, ledger->applied, term, &found);
    ledger->applied_term = term;
}

static void create_core(struct osr_ledger *ledger)
{
    struct osr_raft_options options;
    osr_raft_options_init(&options);
    options.member = ledger->member;
    osr_secret_random(&options.seed, sizeof(options.seed));
    options.election_timeout_ms = OSR_LEDGER_ELECTION_MS;
    options.heartbeat_ms = OSR_LEDGER_HEARTBEAT_MS;
    options.command_bytes_max = OSR_COMMAND_BYTES_MAX + OSR_LEDGER_ENVELOPE_SIZE;
    options.trace = *ledger->core_trace;
    struct osr_err err;
    if (osr_raft_create(&options, &ledger->raft, &err) != 0) {
        osr_ledger_break(ledger, &err); /* options that do not go together are a defect of ours */
    }
}

/* Only configurations behind the snapshot are the core's to know from the log. */
static void leave_out_old(const struct osr_ledger_recovered *recovered, uint64_t snapshot,
                          struct osr_raft_restored *restored)
{
    restored->configurations = recovered->configurations;
    restored->configuration_count = recovered->configuration_count;
    while (restored->configuration_count > 0 && restored->configurations[0].index <= snapshot) {
        restored->configurations++;
        restored->configuration_count--;
    }
}

/* A crash came between a snapshot's arrival and the word of it in the log: what is in the log is of
 * another branch, or ends in front of it. */
static bool is_log_of_before(const struct osr_ledger *ledger,
                             const struct osr_ledger_recovered *recovered)
{
    const struct osr_raft_snapshot *snapshot = &ledger->snapshot;
    return snapshot->index > recovered->last ||
           (snapshot->index > recovered->base &&
            term_at(recovered, snapshot->index) != snapshot->term);
}

/* What is stored behind this is behind it in the log, too: nobody has to wait. */
static void void_log(struct osr_ledger *ledger, struct osr_raft_restored *restored)
{
    const struct osr_raft_snapshot *snapshot = &ledger->snapshot;
    osr_ledger_void_log(ledger);
    restored->base = restored->last = snapshot->index;
    restored->base_term = snapshot->term;
    restored->span_count = 0;
    restored->configuration_count = 0;
}

static bool has_belonged(const struct osr_ledger *ledger, const struct osr_raft_restored *restored)
{
    const struct osr_raft_configuration *known = &restored->snapshot.configuration;
    bool has = osr_raft_configuration_find(known, ledger->member) != NULL;
    for (size_t i = 0; !has && i < restored->configuration_count; i++) {
        struct osr_raft_configuration found;
        osr_raft_configuration_decode(restored->configurations[i].payload, &found, NULL);
        has = osr_raft_configuration_find(&found, ledger->member) != NULL;
    }
    return has;
}

int osr_ledger_check_versions(const struct osr_ledger *ledger,
                              const struct osr_raft_configuration *members, struct osr_err *err)
{
    struct osr_ledger_member own;
    uint8_t in_use[OSR_MACHINES_MAX];
    osr_ledger_own_member(ledger, &own);
    osr_ledger_members_understand(members, in_use);
    if (osr_ledger_member_understands(&own, in_use)) {
        return 0;
    }
    osr_err_set(err, OSR_UNSUPPORTED_VERSION,
                "ledger: all members understand commands that this osirisd does not, and may have "
                "used them");
    osr_err_hint(err, "start the osirisd here that the other members run, or a newer one");
    return OSR_UNSUPPORTED_VERSION;
}

static int check_newest_versions(const struct osr_ledger *ledger,
                                 const struct osr_raft_restored *restored, struct osr_err *err)
{
    struct osr_raft_configuration newest = restored->snapshot.configuration;
    size_t count = restored->configuration_count;
    if (count > 0) {
        osr_raft_configuration_decode(restored->configurations[count - 1].payload, &newest, NULL);
    }
    return osr_ledger_check_versions(ledger, &newest, err);
}

void osr_ledger_begin(struct osr_ledger *ledger)
{
    const struct osr_ledger_recovered *recovered = osr_journal_ledger(ledger->journal);
    struct osr_ledger_member self;
    struct osr_raft_member member = {.id = ledger->member};
    osr_ledger_own_member(ledger, &self);
    osr_ledger_member_encode(&self, &member);
    struct osr_raft_restored restored = {
        .vote = recovered->vote,
        .snapshot = ledger->snapshot,
        .base = recovered->base,
        .base_term = recovered->base_term,
        .last = recovered->last,
        .spans = recovered->spans,
        .span_count = recovered->span_count,
        .applied = ledger->applied,
        .is_founder = ledger->is_founder,
        .context = osr_slice(member.context, member.context_size),
    };
    leave_out_old(recovered, ledger->snapshot.index, &restored);
    if (is_log_of_before(ledger, recovered)) {
        void_log(ledger, &restored);
    }
    struct osr_err err;
    if (check_newest_versions(ledger, &restored, &err) != 0) {
        osr_ledger_break(ledger, &err);
        return;
    }
    ledger->has_belonged = has_belonged(ledger, &restored);
    tell_state(ledger, recovered);
    create_core(ledger);
    ledger->has_role_news = true;
    struct osr_raft_event event = {.type = OSR_RAFT_START, .start = &restored};
    osr_ledger_post(ledger, &event);
}
