/* What is committed: a majority has it durably, it is the same everywhere, and whoever leads later
 * has it. */
#include "sim/raft_checks_parts.h"

#include "sim/raft_member.h"
#include "sim/violation.h"

#include <inttypes.h>

void raft_checks_read_voters(const struct raft_member *member, struct raft_voters *ret_voters)
{
    const struct osr_raft_configuration *configuration = osr_raft_members(member->core);
    memset(ret_voters, 0, sizeof(*ret_voters));
    for (size_t i = 0; i < configuration->count; i++) {
        if (configuration->members[i].standing == OSR_RAFT_VOTER) {
            ret_voters->ids[ret_voters->count++] = configuration->members[i].id;
        }
    }
}

static bool holds_durably(const struct raft_member *member, uint64_t index, uint64_t chain)
{
    const struct raft_store *store = raft_disk_store_of(member->disk);
    const struct raft_log *log = &raft_store_durable(store)->log;
    if (index <= log->base || index <= raft_store_snapshot(store)->meta.index) {
        return true;
    }
    return raft_log_has(log, index) && raft_log_chain(log, index) == chain;
}

/* Index and term of the last entry that it would have after a restart. */
static struct osr_raft_span durable_end(const struct raft_member *member)
{
    const struct raft_store *store = raft_disk_store_of(member->disk);
    const struct raft_log *log = &raft_store_durable(store)->log;
    const struct osr_raft_snapshot *snapshot = &raft_store_snapshot(store)->meta;
    if (snapshot->index > raft_log_last(log)) {
        return (struct osr_raft_span){snapshot->index, snapshot->term};
    }
    return (struct osr_raft_span){raft_log_last(log), raft_log_term(log, raft_log_last(log))};
}

/* By its log it would get the other's vote. */
static bool is_up_to_date(const struct raft_member *member, const struct raft_member *other)
{
    const struct osr_raft_span own = durable_end(member);
    const struct osr_raft_span others = durable_end(other);
    return own.term > others.term || (own.term == others.term && own.first >= others.first);
}

static bool has_majority(const struct raft_world *world, const struct raft_voters *voters,
                         uint64_t index, uint64_t chain)
{
    size_t holders = 0;
    for (size_t i = 0; i < voters->count; i++) {
        holders += holds_durably(world->members[voters->ids[i] - 1], index, chain);
    }
    return 2 * holders > voters->count;
}

/* One that lacks it would get the votes of a majority, going by the logs as they are on the disks:
 * it may be lost again (Raft paper, figure 8). NULL: none would. */
static const struct raft_member *find_rival(const struct raft_world *world,
                                            const struct raft_voters *voters, uint64_t index,
                                            uint64_t chain)
{
    for (size_t i = 0; i < voters->count; i++) {
        const struct raft_member *rival = world->members[voters->ids[i] - 1];
        size_t votes = 0;
        if (holds_durably(rival, index, chain)) {
            continue;
        }
        for (size_t k = 0; k < voters->count; k++) {
            votes += is_up_to_date(rival, world->members[voters->ids[k] - 1]);
        }
        if (2 * votes > voters->count) {
            return rival;
        }
    }
    return NULL;
}

/* Of the voters before the step or after it: a commit may let the leader promote somebody. */
static void check_majority(const struct raft_mirror *mirror, const struct raft_member *leader,
                           uint64_t term, uint64_t index)
{
    uint64_t chain = raft_log_chain(&mirror->log, index);
    struct raft_voters after;
    raft_checks_read_voters(leader, &after);
    const struct raft_voters *voters =
        has_majority(leader->world, &mirror->voters, index, chain) ? &mirror->voters : &after;
    if (!has_majority(leader->world, voters, index, chain)) {
        sim_violation("m%" PRIu64 " commits entry %" PRIu64
                      ", which no majority of %zu voters has durably",
                      leader->id, index, voters->count);
    }
    const struct raft_member *rival = find_rival(leader->world, voters, index, chain);
    if (rival != NULL) {
        sim_violation("m%" PRIu64 " leads term %" PRIu64 " and commits entry %" PRIu64
                      " of term %" PRIu64 ", and m%" PRIu64 " could lead without it",
                      leader->id, term, index, raft_log_term(&mirror->log, index), rival->id);
    }
}

void raft_checks_has_committed(struct raft_checks *checks, const struct raft_member *leader,
                               uint64_t term, uint64_t index)
{
    const struct raft_log *log = &checks->mirrors[leader->place].log;
    if (index <= log->base) {
        return;
    }
    if (!raft_log_has(log, index) ||
        raft_log_chain(log, index) != raft_checks_commit(checks, index)->chain) {
        sim_violation("leader completeness: m%" PRIu64 " leads term %" PRIu64
                      " without entry %" PRIu64 ", which was committed before",
                      leader->id, term, index);
    }
}

/* Leaders of later terms must have what this one commits. */
static void check_later_leaders(struct raft_checks *checks, const struct raft_member *leader,
                                uint64_t term, uint64_t index)
{
    const struct raft_world *world = leader->world;
    for (size_t i = 0; i < world->member_count; i++) {
        const struct raft_mirror *mirror = &checks->mirrors[i];
        if (raft_member_is_up(world->members[i]) && mirror->role == OSR_RAFT_LEADER &&
            mirror->term > term) {
            raft_checks_has_committed(checks, world->members[i], mirror->term, index);
        }
    }
}

static void check_one_commit(struct raft_checks *checks, const struct raft_member *member,
                             const struct osr_raft_info *info, bool led_before, uint64_t index)
{
    const struct raft_log *log = &checks->mirrors[member->place].log;
    const struct raft_committed mine = {raft_log_term(log, index), raft_log_chain(log, index)};
    const struct raft_committed *known = raft_checks_commit(checks, index);
    if (known != NULL) {
        if (known->chain != mine.chain) {
            sim_violation("state machine safety: m%" PRIu64 " commits entry %" PRIu64
                          " of term %" PRIu64 ", others one of term %" PRIu64,
                          member->id, index, mine.term, known->term);
        }
        return;
    }
    /* One that commits its own removal leads no longer than that. */
    if (info->role != OSR_RAFT_LEADER && !led_before) {
        sim_violation("m%" PRIu64 " commits entry %" PRIu64 " as the first, and leads nobody",
                      member->id, index);
    }
    osr_buffer_add(&checks->committed, &mine, sizeof(mine));
}

void raft_checks_commits(struct raft_checks *checks, const struct raft_member *member,
                         const struct osr_raft_info *info, bool led_before)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    if (info->commit < mirror->commit) {
        sim_violation("m%" PRIu64 " takes its commit index back from %" PRIu64 " to %" PRIu64,
                      member->id, mirror->commit, info->commit);
    }
    if (info->commit > raft_log_last(&mirror->log)) {
        sim_violation("m%" PRIu64 " commits %" PRIu64 " of %" PRIu64 " entries", member->id,
                      info->commit, raft_log_last(&mirror->log));
    }
    uint64_t known = raft_checks_committed(checks);
    uint64_t from = mirror->commit > mirror->log.base ? mirror->commit : mirror->log.base;
    for (uint64_t index = from + 1; index <= info->commit; index++) {
        check_one_commit(checks, member, info, led_before, index);
    }
    mirror->commit = info->commit;
    if (info->commit > known) {
        check_majority(mirror, member, info->term, info->commit);
        raft_checks_term(checks, info->term)->committed = info->commit;
        check_later_leaders(checks, member, info->term, info->commit);
    }
}

static uint64_t matched_of(const struct raft_member *leader, uint64_t id)
{
    for (size_t i = 0; i < osr_raft_peer_count(leader->core); i++) {
        struct osr_raft_peer_info peer;
        osr_raft_peer_info(leader->core, i, &peer);
        if (peer.id == id) {
            return peer.matched;
        }
    }
    return 0;
}

void raft_checks_counted(const struct raft_checks *checks, const struct raft_member *leader)
{
    const struct raft_mirror *mirror = &checks->mirrors[leader->place];
    if (mirror->message == NULL) {
        return;
    }
    const struct raft_member *sender = leader->world->members[mirror->message->from - 1];
    uint64_t matched = matched_of(leader, sender->id);
    bool is_known = matched > mirror->log.base && raft_log_has(&mirror->log, matched);
    /* One that is in a later term may follow another leader, and have cut off what it had. */
    bool is_bound = !sender->is_rotten && checks->mirrors[sender->place].term <= mirror->term;
    if (is_known && is_bound &&
        !holds_durably(sender, matched, raft_log_chain(&mirror->log, matched))) {
        sim_violation("m%" PRIu64 " counts on m%" PRIu64 " to have entry %" PRIu64
                      ", which has another there, or none",
                      leader->id, sender->id, matched);
    }
}
