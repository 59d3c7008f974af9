/* How the ledger stands, as this member sees it. */
#include <stdio.h>

#include "node/ledger_findings.h"
#include "node/ledger_internal.h"

static uint64_t age_ms(const struct osr_ledger *ledger, uint64_t time_ms)
{
    uint64_t now_ms = uv_now(ledger->loop);
    return time_ms == 0 || time_ms > now_ms ? 0 : now_ms - time_ms;
}

static char *text_of(struct osr_arena *arena, const char *text)
{
    return osr_arena_text(arena, osr_slice_text(text));
}

static const char *role_name(const struct osr_ledger *ledger, const struct osr_raft_info *info)
{
    static const char *const names[] = {
        [OSR_RAFT_FOLLOWER] = "follower",
        [OSR_RAFT_PRE_CANDIDATE] = "pre-candidate",
        [OSR_RAFT_CANDIDATE] = "candidate",
        [OSR_RAFT_LEADER] = "leader",
    };
    if (ledger->stopped.code != OSR_OK) {
        return "stopped";
    }
    if (ledger->raft == NULL) {
        return "waiting";
    }
    const struct osr_raft_configuration *members = osr_raft_members(ledger->raft);
    if (info->role != OSR_RAFT_FOLLOWER ||
        osr_raft_configuration_is_voter(members, ledger->member)) {
        return names[info->role];
    }
    bool is_removed =
        ledger->has_belonged && osr_raft_configuration_find(members, ledger->member) == NULL;
    return is_removed ? "removed" : "learner";
}

static const char *progress_name(enum osr_raft_progress progress)
{
    static const char *const names[] = {
        [OSR_RAFT_PROBING] = "probing",
        [OSR_RAFT_REPLICATING] = "replicating",
        [OSR_RAFT_SNAPSHOTTING] = "snapshot",
    };
    return names[progress];
}

static void describe_peer(const struct osr_ledger *ledger, const struct osr_raft_info *info,
                          Osr__MemberStatus *status)
{
    struct osr_raft_peer_info peer;
    if (status->member == ledger->member) {
        status->matched = info->durable;
        status->reachable = true;
        return;
    }
    status->reachable = osr_ledger_links_is_reachable(ledger->links, status->member);
    status->own_link = osr_ledger_links_is_own(ledger->links, status->member);
    if (!osr_ledger_find_peer(ledger, status->member, &peer)) {
        return;
    }
    status->heard_ms = peer.heard_ms == 0 ? 0 : age_ms(ledger, peer.heard_ms) + 1;
    if (info->role == OSR_RAFT_LEADER) {
        status->progress = (char *)progress_name(peer.progress);
        status->matched = peer.matched;
    }
}

static Osr__MemberStatus *describe_member(const struct osr_ledger *ledger, struct osr_arena *arena,
                                          const struct osr_raft_member *member,
                                          const struct osr_raft_info *info)
{
    Osr__MemberStatus *status = osr_arena_take(arena, sizeof(*status));
    osr__member_status__init(status);
    struct osr_ledger_member who = {0};
    osr_ledger_member_decode(member, &who, NULL); /* who cannot be read has no name */
    status->member = member->id;
    status->instance = text_of(arena, who.instance);
    status->name = text_of(arena, who.name);
    status->addresses = osr_arena_take(arena, OSR_LEDGER_ADDRESSES_MAX * sizeof(char *));
    for (size_t i = 0; i < who.address_count; i++) {
        status->addresses[status->n_addresses++] = text_of(arena, who.addresses[i]);
    }
    status->standing = member->standing == OSR_RAFT_VOTER ? OSR__MEMBER_STANDING__VOTER
                                                          : OSR__MEMBER_STANDING__LEARNER;
    status->promoted = member->is_promoted;
    status->leader = member->id == info->leader;
    status->trouble = text_of(arena, osr_ledger_links_trouble(ledger->links, member->id));
    describe_peer(ledger, info, status);
    return status;
}

static void describe_members(const struct osr_ledger *ledger, struct osr_arena *arena,
                             const struct osr_raft_info *info, Osr__ClusterStatusResponse *status)
{
    const struct osr_raft_configuration *members = osr_ledger_configuration(ledger);
    status->members = osr_arena_take(arena, OSR_RAFT_MEMBERS_MAX * sizeof(status->members[0]));
    for (size_t i = 0; i < members->count; i++) {
        status->members[status->n_members++] =
            describe_member(ledger, arena, &members->members[i], info);
    }
}

enum { REFUSAL_FRESH_MS = 10 * 1000 };

static void describe_findings(const struct osr_ledger *ledger, struct osr_arena *arena,
                              Osr__ClusterStatusResponse *status)
{
    struct osr_ledger_state_info state;
    osr_ledger_state_info(ledger->state, &state);
    bool is_refused =
        ledger->refusal.code != OSR_OK && age_ms(ledger, ledger->refused_ms) < REFUSAL_FRESH_MS;
    const struct osr_ledger_circumstances circumstances = {
        .stopped = ledger->stopped.code != OSR_OK ? ledger->stopped.message : NULL,
        .hint = ledger->stopped.hint,
        .refusal = is_refused ? ledger->refusal.message : NULL,
        .refusal_hint = ledger->refusal.hint,
        .is_disk_slow = state.is_busy || osr_journal_is_full(ledger->journal),
        .is_loading = state.is_loading,
    };
    osr_ledger_findings(arena, &circumstances, status);
}

void osr_ledger_status(struct osr_ledger *ledger, struct osr_arena *arena,
                       Osr__ClusterStatusResponse *ret_status)
{
    struct osr_raft_info info;
    osr_ledger_raft_info(ledger, &info);
    osr__cluster_status_response__init(ret_status);
    ret_status->ledger = text_of(arena, ledger->id);
    ret_status->member = ledger->member;
    ret_status->role = (char *)role_name(ledger, &info);
    ret_status->term = info.term;
    ret_status->leader = ledger->stopped.code == OSR_OK ? info.leader : 0;
    ret_status->since_ms = age_ms(ledger, info.since_ms);
    ret_status->commit = info.commit;
    ret_status->applied = osr_ledger_state_applied(ledger->state);
    ret_status->last = info.last;
    ret_status->snapshot = info.snapshot;
    describe_members(ledger, arena, &info, ret_status);
    describe_findings(ledger, arena, ret_status);
}

void osr_ledger_explain_no_leader(const struct osr_ledger *ledger, struct osr_err *err)
{
    if (ledger->stopped.code != OSR_OK) {
        osr_err_set(err, OSR_UNAVAILABLE, "ledger: this member takes no part any more: %s",
                    ledger->stopped.message);
        osr_err_hint(err, "%s", ledger->stopped.hint);
        return;
    }
    if (ledger->raft == NULL) {
        osr_err_set(err, OSR_UNAVAILABLE, "ledger: this instance waits to be added by a member");
    } else {
        osr_err_set(err, OSR_UNAVAILABLE, "ledger: no leader can be reached from here now");
    }
    osr_err_hint(err, "`osiris cluster why` tells more");
}
