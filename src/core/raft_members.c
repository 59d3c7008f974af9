/* Who belongs to the ledger. The newest configuration in the log counts, committed or not; so one
 * change must be committed before the next begins, and it is taken back with its entry. */
#include "core/raft_internal.h"

#include <assert.h>
#include <stdlib.h>

/* ---- configurations in the log ---- */

static void use(struct osr_raft *raft, uint64_t index, struct osr_slice bytes)
{
    int code = osr_raft_configuration_decode(bytes, &raft->configuration, NULL);
    assert(code == 0); /* it was looked at before it came into the log */
    raft->configured_at = index;
    raft->changes++;
    osr_raft_peers_update(raft);
}

void osr_raft_members_entered(struct osr_raft *raft, uint64_t index, struct osr_slice payload)
{
    struct configured *configured = osr_queue_push(&raft->configured);
    *configured = (struct configured){index, osr_alloc_unset(payload.size), payload.size};
    memcpy(configured->bytes, payload.data, payload.size);
    use(raft, index, payload);
}

/* The newest that is left, or that of the snapshot. */
static void use_newest(struct osr_raft *raft)
{
    const struct configured *newest = osr_queue_back(&raft->configured);
    if (newest != NULL) {
        use(raft, newest->index, osr_slice(newest->bytes, newest->size));
        return;
    }
    raft->configuration = raft->snapshot.configuration;
    raft->configured_at = raft->snapshot.index;
    raft->changes++;
    osr_raft_peers_update(raft);
}

void osr_raft_members_roll_back(struct osr_raft *raft, uint64_t after)
{
    const struct configured *newest;
    bool is_changed = false;
    while ((newest = osr_queue_back(&raft->configured)) != NULL && newest->index > after) {
        free(newest->bytes);
        osr_queue_pop_back(&raft->configured);
        is_changed = true;
    }
    if (is_changed && OSR_RAFT_GUARD(CONFIGURATION_ROLLBACK)) {
        osr_raft_say(raft, OSR_LEVEL_INFO, "the members are those of before again");
        use_newest(raft);
    }
}

void osr_raft_members_forget(struct osr_raft *raft, uint64_t index)
{
    const struct configured *oldest;
    while ((oldest = osr_queue_front(&raft->configured)) != NULL && oldest->index <= index) {
        free(oldest->bytes);
        osr_queue_pop(&raft->configured);
    }
}

void osr_raft_members_installed(struct osr_raft *raft)
{
    osr_raft_members_forget(raft, UINT64_MAX);
    use_newest(raft);
}

void osr_raft_members_at(const struct osr_raft *raft, uint64_t index,
                         struct osr_raft_configuration *ret_configuration)
{
    *ret_configuration = raft->snapshot.configuration;
    for (size_t i = raft->configured.count; i > 0; i--) {
        const struct configured *configured = osr_queue_at(&raft->configured, i - 1);
        if (configured->index <= index) {
            int code = osr_raft_configuration_decode(osr_slice(configured->bytes, configured->size),
                                                     ret_configuration, NULL);
            assert(code == 0);
            return;
        }
    }
}

bool osr_raft_members_needs_own(const struct osr_raft *raft)
{
    if (osr_raft_is_voter(raft) || raft->configured_at <= raft->commit) {
        return osr_raft_is_voter(raft);
    }
    struct osr_raft_configuration before;
    osr_raft_members_at(raft, raft->configured_at - 1, &before);
    return osr_raft_configuration_is_voter(&before, raft->options.member);
}

void osr_raft_members_done(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->configured.count; i++) {
        const struct configured *configured = osr_queue_at(&raft->configured, i);
        free(configured->bytes);
    }
    osr_queue_done(&raft->configured);
}

/* ---- changes ---- */

/* NULL: it may begin. */
static const char *what_hinders(const struct osr_raft *raft)
{
    if (raft->transfer.token != 0) {
        return "leadership is being handed over";
    }
    if (raft->configured_at > raft->commit && OSR_RAFT_GUARD(ONE_CHANGE)) {
        return "another change of the members is under way";
    }
    if (raft->commit < raft->term_first && OSR_RAFT_GUARD(CHANGE_OWN_TERM)) {
        return "the leader is new, and has committed nothing yet";
    }
    if (raft->configured.count >= OSR_RAFT_CONFIGURATIONS_MAX / 2) {
        return "too many changes since the last snapshot";
    }
    return NULL;
}

static bool has_caught_up(const struct osr_raft *raft, const struct peer *peer)
{
    return raft->log.last - peer->matched <= raft->options.caught_up_entries;
}

/* Likewise. A voter that is not there, or lacks much, is one that the majority needs and does not
 * have: beside a single voter nothing could ever take it back. */
static const char *what_hinders_promotion(struct osr_raft *raft, uint64_t member)
{
    const struct peer *peer = osr_raft_peer_find(raft, member);
    if (peer == NULL || peer->is_voter) {
        return NULL; /* the configuration says more */
    }
    if (!osr_raft_peer_is_there(raft, peer)) {
        return "the learner cannot be reached now";
    }
    return has_caught_up(raft, peer) ? NULL : "the learner lacks much yet";
}

static int enter(struct osr_raft *raft, uint64_t token, const struct osr_raft_change *change)
{
    struct osr_raft_configuration *next = osr_raft_take(raft, sizeof(*next));
    *next = raft->configuration;
    int code = osr_raft_configuration_change(next, change, NULL);
    if (code == 0) {
        struct osr_buffer bytes = {0};
        osr_raft_configuration_encode(next, &bytes);
        osr_raft_lead_append(raft, OSR_RAFT_CONFIGURATION, token, osr_buffer_slice(&bytes));
        osr_buffer_done(&bytes);
    }
    return code;
}

void osr_raft_members_change(struct osr_raft *raft, uint64_t token,
                             const struct osr_raft_change *change)
{
    assert(token != 0);
    if (raft->role != OSR_RAFT_LEADER) {
        osr_raft_put_out_failed(raft, token, OSR_UNAVAILABLE, "this member does not lead");
        return;
    }
    const char *hindrance = what_hinders(raft);
    if (hindrance == NULL && change->type == OSR_RAFT_PROMOTE) {
        hindrance = what_hinders_promotion(raft, change->member.id);
    }
    if (hindrance != NULL) {
        osr_raft_put_out_failed(raft, token, OSR_BUSY, hindrance);
        return;
    }
    enum osr_code code = (enum osr_code)enter(raft, token, change);
    if (code != OSR_OK) {
        osr_raft_put_out_failed(raft, token, code, osr_code_info(code)->text);
    }
}

void osr_raft_members_committed(struct osr_raft *raft)
{
    if (raft->role == OSR_RAFT_LEADER && raft->configured_at <= raft->commit &&
        !osr_raft_is_voter(raft)) {
        osr_raft_lead_send_all(raft); /* so that it is known to be committed */
        osr_raft_transfer_hand_over(raft);
        osr_raft_step_down(raft, "it was removed");
    }
}

/* ---- learners ---- */

void osr_raft_members_watch(struct osr_raft *raft, struct peer *peer)
{
    if (!has_caught_up(raft, peer)) {
        peer->caught_up_ms = 0;
    } else if (peer->caught_up_ms == 0) {
        peer->caught_up_ms = osr_raft_max(raft->now_ms, 1);
    }
}

uint64_t osr_raft_members_deadline(const struct osr_raft *raft, const struct peer *peer)
{
    bool can_be_promoted =
        peer->is_promoted && peer->caught_up_ms != 0 && osr_raft_peer_is_there(raft, peer) &&
        what_hinders(raft) == NULL &&
        osr_raft_configuration_voters(&raft->configuration) < OSR_RAFT_VOTERS_MAX;
    return can_be_promoted ? peer->caught_up_ms + raft->options.election_timeout_ms : UINT64_MAX;
}

void osr_raft_members_tick(struct osr_raft *raft)
{
    for (size_t i = 0; i < raft->peer_count; i++) {
        struct peer *peer = &raft->peers[i];
        if (!peer->is_promoted || raft->now_ms < osr_raft_members_deadline(raft, peer)) {
            continue;
        }
        osr_raft_members_watch(raft, peer);
        if (peer->caught_up_ms != 0) {
            osr_raft_say(raft, OSR_LEVEL_INFO, "%llu has caught up and becomes a voter",
                         (unsigned long long)peer->id);
            const struct osr_raft_change change = {.type = OSR_RAFT_PROMOTE,
                                                   .member = {.id = peer->id}};
            enter(raft, 0, &change);
            return;
        }
    }
}
