/* What the configuration says of its members is kept true: a leader hears by their links what they
 * say of themselves, and changes what is not so any more. Only links that may speak for a member
 * count, and of itself the leader knows. A member that has moved may be linked to others, and not
 * to the leader, where neither can dial the other any more: those tell the leader where it is, who
 * then dials it there and hears the rest from it.
 *
 * What all members understand of the commands never becomes less by this, so values and log hold
 * nothing that a member lacks: a version of osirisd that is older than that does not start. */
#include "node/ledger_internal.h"

enum {
    LOOK_MS = 1000,
    /* Of all members together. A member that is seen in two places by turns would otherwise fill
     * the log, and keep other changes out. */
    UPDATES_AT_ONCE_MAX = 2 * OSR_RAFT_MEMBERS_MAX,
    UPDATE_MS = 5 * 60 * 1000, /* in the long run, one in this time */
    AHEAD_MS_MAX = (UPDATES_AT_ONCE_MAX - 1) * UPDATE_MS,
};

/* ---- of whom is said what is not so ---- */

static bool is_own_outdated(const struct osr_ledger *ledger,
                            const struct osr_raft_member *configured,
                            struct osr_raft_member *ret_updated)
{
    struct osr_ledger_member own;
    osr_ledger_own_member(ledger, &own);
    return osr_ledger_member_update(configured, &own, ret_updated);
}

/* One that is seen in two places is where it is known to be, if that is one of them. */
static bool is_outdated(const struct osr_ledger *ledger, const struct osr_raft_member *configured,
                        struct osr_raft_member *ret_updated)
{
    if (configured->id == ledger->member) {
        return is_own_outdated(ledger, configured, ret_updated);
    }
    const struct osr_ledger_member *says;
    size_t place = 0;
    while ((says = osr_ledger_links_said(ledger->links, configured->id, place)) != NULL) {
        if (!osr_ledger_member_understands(says, ledger->versions) ||
            !osr_ledger_member_update(configured, says, ret_updated)) {
            return false;
        }
        place++;
    }
    return place > 0;
}

/* The next one behind the one that was found last. */
static bool find_outdated(struct osr_ledger *ledger, struct osr_raft_member *ret_updated)
{
    const struct osr_raft_configuration *members = osr_ledger_configuration(ledger);
    size_t first = 0;
    while (first < members->count && members->members[first].id <= ledger->updates.last_member) {
        first++;
    }
    for (size_t i = 0; i < members->count; i++) {
        const struct osr_raft_member *member = &members->members[(first + i) % members->count];
        if (is_outdated(ledger, member, ret_updated)) {
            ledger->updates.last_member = member->id;
            return true;
        }
    }
    return false;
}

/* ---- updates ---- */

static bool may_update(const struct osr_ledger *ledger, uint64_t now_ms)
{
    return ledger->updates.used_up_to_ms <= now_ms + AHEAD_MS_MAX;
}

static void note_update(struct osr_ledger *ledger, const struct osr_raft_member *member,
                        uint64_t now_ms)
{
    struct ledger_updates *updates = &ledger->updates;
    struct osr_ledger_member who;
    updates->used_up_to_ms =
        (updates->used_up_to_ms > now_ms ? updates->used_up_to_ms : now_ms) + UPDATE_MS;
    osr_ledger_member_decode(member, &who, NULL); /* good: it was just made */
    osr_trace(ledger->trace, OSR_LEVEL_INFO, "ledger: member %llu is %s now, at %s%s",
              (unsigned long long)member->id, who.name,
              who.address_count > 0 ? who.addresses[0] : "no address",
              who.address_count > 1 ? " and others" : "");
}

static bool is_done(const struct osr_ledger *ledger, const struct osr_raft_member *updated)
{
    const struct osr_raft_member *member =
        osr_raft_configuration_find(osr_ledger_configuration(ledger), updated->id);
    return member != NULL && osr_ledger_member_is_same(member, updated);
}

static void tell_leader(struct osr_ledger *ledger, const struct osr_raft_member *updated)
{
    struct osr_ledger_member who;
    osr_ledger_member_decode(updated, &who, NULL); /* good: it was just made */
    if (updated->id != ledger->member) {           /* which tells it itself */
        osr_ledger_tell_whereabouts(ledger, &who);
    }
}

void osr_ledger_update_members(struct osr_ledger *ledger)
{
    uint64_t now_ms = uv_now(ledger->loop);
    struct osr_raft_change change = {.type = OSR_RAFT_UPDATE};
    if (now_ms < ledger->updates.looked_ms + LOOK_MS) {
        return;
    }
    ledger->updates.looked_ms = now_ms;
    if (!may_update(ledger, now_ms) || !find_outdated(ledger, &change.member)) {
        return;
    }
    if (!osr_ledger_leads(ledger)) {
        tell_leader(ledger, &change.member);
        return;
    }
    struct osr_raft_event event = {.type = OSR_RAFT_CHANGE,
                                   .change = {LEDGER_TOKEN_UPDATE, &change}};
    osr_ledger_post(ledger, &event);
    /* Another change that is under way comes first: then it is found again at the next look. */
    if (is_done(ledger, &change.member)) {
        note_update(ledger, &change.member, now_ms);
    }
}
