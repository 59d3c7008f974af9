#include "sim/raft_checks_parts.h"

#include "sim/raft_member.h"
#include "sim/violation.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
    TERMS_MAX = 1 << 20, /* more are a run-away */
    QUORUM_TIMEOUTS = 3, /* election time-outs that a leader may lead unheard */
};

struct raft_checks *raft_checks_create(void)
{
    return osr_alloc(sizeof(struct raft_checks));
}

void raft_checks_destroy(struct raft_checks *checks)
{
    for (size_t i = 0; i < RAFT_MEMBERS_EVER; i++) {
        raft_log_done(&checks->mirrors[i].log);
    }
    osr_buffer_done(&checks->committed);
    osr_buffer_done(&checks->terms);
    osr_buffer_done(&checks->heads);
    osr_buffer_done(&checks->variants);
    free(checks);
}

/* ---- tables that grow ---- */

/* Zeroes what is new. */
static void *at_place(struct osr_buffer *buffer, size_t place, size_t size)
{
    if (buffer->size < (place + 1) * size) {
        size_t more = (place + 1) * size - buffer->size;
        memset(osr_buffer_reserve(buffer, more), 0, more);
        buffer->size += more;
    }
    return buffer->data + place * size;
}

struct raft_term *raft_checks_term(struct raft_checks *checks, uint64_t term)
{
    if (term > TERMS_MAX) {
        sim_violation("term %" PRIu64 " has come", term);
    }
    return at_place(&checks->terms, term, sizeof(struct raft_term));
}

uint64_t raft_checks_committed(const struct raft_checks *checks)
{
    return checks->committed.size / sizeof(struct raft_committed);
}

const struct raft_committed *raft_checks_commit(const struct raft_checks *checks, uint64_t index)
{
    if (index == 0 || index > raft_checks_committed(checks)) {
        return NULL;
    }
    const struct raft_committed *committed = (const void *)checks->committed.data;
    return &committed[index - 1];
}

/* ---- log matching ---- */

/* Entries of one index and term have one chain value, wherever they are. */
static void check_matching(struct raft_checks *checks, const struct raft_member *member,
                           uint64_t index, uint64_t term, uint64_t chain)
{
    uint32_t *head = at_place(&checks->heads, index, sizeof(*head));
    const struct raft_variant *variants = (const void *)checks->variants.data;
    for (uint32_t i = *head; i != 0; i = variants[i - 1].next) {
        if (variants[i - 1].term == term) {
            if (variants[i - 1].chain != chain) {
                sim_violation("log matching: m%" PRIu64 " has another log up to entry %" PRIu64
                              " of term %" PRIu64 " than others had",
                              member->id, index, term);
            }
            return;
        }
    }
    const struct raft_variant variant = {.term = term, .chain = chain, .next = *head};
    osr_buffer_add(&checks->variants, &variant, sizeof(variant));
    *head = (uint32_t)(checks->variants.size / sizeof(variant));
}

/* ---- what is put out for the disk ---- */

static void find_configuration(struct raft_mirror *mirror)
{
    const struct raft_log *log = &mirror->log;
    mirror->configured_at = 0;
    for (size_t i = log->count; i > 0; i--) {
        if (log->entries[i - 1].kind == OSR_RAFT_CONFIGURATION) {
            mirror->configured_at = log->base + i;
            return;
        }
    }
}

static void check_vote(struct raft_mirror *mirror, const struct raft_member *member,
                       const struct osr_raft_vote *vote)
{
    if (vote->term < mirror->vote.term) {
        sim_violation("m%" PRIu64 " goes back from term %" PRIu64 " to %" PRIu64, member->id,
                      mirror->vote.term, vote->term);
    }
    if (vote->term == mirror->vote.term && mirror->vote.candidate != 0 &&
        vote->candidate != mirror->vote.candidate) {
        sim_violation("m%" PRIu64 " votes for m%" PRIu64 " and m%" PRIu64 " in term %" PRIu64,
                      member->id, mirror->vote.candidate, vote->candidate, vote->term);
    }
    mirror->vote = *vote;
}

static void check_truncation(struct raft_mirror *mirror, const struct raft_member *member,
                             const struct osr_raft_info *info, uint64_t after)
{
    uint64_t last = raft_log_last(&mirror->log);
    if (after >= last) {
        return;
    }
    member->world->counters.truncations++;
    if (mirror->role == OSR_RAFT_LEADER && info->role == OSR_RAFT_LEADER &&
        mirror->term == info->term) {
        sim_violation("m%" PRIu64 " leads term %" PRIu64 " and cuts its own log behind %" PRIu64,
                      member->id, info->term, after);
    }
    if (after < mirror->commit || after < mirror->log.base) {
        sim_violation("m%" PRIu64 " cuts its log behind %" PRIu64 ", committed are %" PRIu64,
                      member->id, after, mirror->commit);
    }
    raft_log_truncate(&mirror->log, after);
    find_configuration(mirror);
}

/* Without an entry of its own term committed, a leader does not know which configuration is the
 * newest that is committed, and may change another (Ongaro, 2015): it takes four voters and much
 * bad luck to see what comes of it, so the rule itself is looked at. */
static void check_change(struct raft_checks *checks, const struct raft_member *member,
                         const struct osr_raft_info *info)
{
    const struct raft_mirror *mirror = &checks->mirrors[member->place];
    const struct raft_committed *newest = raft_checks_commit(checks, mirror->commit);
    if (info->role == OSR_RAFT_LEADER && newest != NULL && newest->term != info->term) {
        sim_violation("m%" PRIu64 " leads term %" PRIu64
                      ", has committed entries up to term %" PRIu64 ", and changes the members",
                      member->id, info->term, newest->term);
    }
}

static void check_store(struct raft_checks *checks, const struct raft_member *member,
                        const struct osr_raft_info *info, const struct osr_raft_output *output)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    if (output->store.has_vote) {
        check_vote(mirror, member, &output->store.vote);
    }
    check_truncation(mirror, member, info, output->store.truncate_after);
    for (size_t i = 0; i < output->store.count; i++) {
        const struct osr_raft_entry *entry = &output->store.entries[i];
        uint64_t last = raft_log_last(&mirror->log);
        if (entry->index != last + 1 || entry->term < raft_log_term(&mirror->log, last)) {
            sim_violation("m%" PRIu64 " stores entry %" PRIu64 " of term %" PRIu64
                          " behind %" PRIu64 " of term %" PRIu64,
                          member->id, entry->index, entry->term, last,
                          raft_log_term(&mirror->log, last));
        }
        raft_log_append(&mirror->log, entry, NULL);
        check_matching(checks, member, entry->index, entry->term,
                       raft_log_chain(&mirror->log, entry->index));
        if (entry->kind == OSR_RAFT_CONFIGURATION) {
            check_change(checks, member, info);
            mirror->configured_at = entry->index;
        }
    }
}

/* ---- what is committed ---- */

static bool holds_durably(const struct raft_member *member, uint64_t index, uint64_t chain)
{
    const struct raft_store *store = raft_disk_store_of(member->disk);
    const struct raft_log *log = &raft_store_durable(store)->log;
    if (index <= log->base || index <= raft_store_snapshot(store)->meta.index) {
        return true;
    }
    return raft_log_has(log, index) && raft_log_chain(log, index) == chain;
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

static void read_voters(const struct raft_member *member, struct raft_voters *ret_voters)
{
    const struct osr_raft_configuration *configuration = osr_raft_members(member->core);
    ret_voters->count = 0;
    for (size_t i = 0; i < configuration->count; i++) {
        if (configuration->members[i].standing == OSR_RAFT_VOTER) {
            ret_voters->ids[ret_voters->count++] = configuration->members[i].id;
        }
    }
}

/* Of the voters before the step or after it: a commit may let the leader promote somebody. */
static void check_majority(const struct raft_mirror *mirror, const struct raft_member *leader,
                           uint64_t index, uint64_t chain)
{
    struct raft_voters voters;
    read_voters(leader, &voters);
    if (!has_majority(leader->world, &mirror->voters, index, chain) &&
        !has_majority(leader->world, &voters, index, chain)) {
        sim_violation("m%" PRIu64 " commits entry %" PRIu64
                      ", which no majority of %zu voters has durably",
                      leader->id, index, voters.count);
    }
}

static void check_has_committed(struct raft_checks *checks, const struct raft_member *leader,
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
            check_has_committed(checks, world->members[i], mirror->term, index);
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

static void check_commit(struct raft_checks *checks, const struct raft_member *member,
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
        check_majority(mirror, member, info->commit, raft_log_chain(&mirror->log, info->commit));
        raft_checks_term(checks, info->term)->committed = info->commit;
        check_later_leaders(checks, member, info->term, info->commit);
    }
}

/* ---- who leads ---- */

static void check_new_leader(struct raft_checks *checks, const struct raft_member *member,
                             const struct osr_raft_info *info)
{
    struct raft_term *term = raft_checks_term(checks, info->term);
    if (term->leader != 0 && term->leader != member->id) {
        sim_violation("election safety: m%" PRIu64 " and m%" PRIu64 " lead term %" PRIu64,
                      term->leader, member->id, info->term);
    }
    term->leader = member->id;
    member->world->counters.leaders++;
    uint64_t committed = 0;
    for (uint64_t before = 0; before < info->term; before++) {
        uint64_t there = raft_checks_term(checks, before)->committed;
        committed = there > committed ? there : committed;
    }
    if (committed > 0) {
        check_has_committed(checks, member, info->term, committed);
    }
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    memset(mirror->quorum_ms, 0, sizeof(mirror->quorum_ms));
    mirror->leads_ms = raft_member_now_ms(member);
}

/* A leader that hears no majority does not go on for ever. */
static void check_quorum(const struct raft_mirror *mirror, const struct raft_member *member)
{
    const struct raft_settings *settings = &member->world->settings;
    uint64_t patience_ms = QUORUM_TIMEOUTS * settings->core.election_timeout_ms;
    uint64_t now_ms = raft_member_now_ms(member);
    if (mirror->leads_ms + patience_ms > now_ms ||
        member->paused_until_us + 2000 * patience_ms > member->world->now_us) {
        return;
    }
    size_t heard = 0;
    for (size_t i = 0; i < mirror->voters.count; i++) {
        uint64_t id = mirror->voters.ids[i];
        heard += id == member->id || mirror->quorum_ms[id - 1] + patience_ms > now_ms;
    }
    if (2 * heard <= mirror->voters.count) {
        sim_violation("m%" PRIu64 " still leads, and has heard %zu voters in %" PRIu64 " ms",
                      member->id, heard, patience_ms);
    }
}

static void check_role(struct raft_checks *checks, const struct raft_member *member,
                       const struct osr_raft_event *event, const struct osr_raft_info *info)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    bool is_new = info->role == OSR_RAFT_LEADER &&
                  (mirror->role != OSR_RAFT_LEADER || mirror->term != info->term);
    if (is_new) {
        check_new_leader(checks, member, info);
    } else if (info->role == OSR_RAFT_LEADER && event->type == OSR_RAFT_TICK) {
        check_quorum(mirror, member);
    }
    if (info->term < mirror->term) {
        sim_violation("m%" PRIu64 " goes back from term %" PRIu64 " to %" PRIu64, member->id,
                      mirror->term, info->term);
    }
    mirror->role = info->role;
    mirror->term = info->term;
}

/* ---- after a step ---- */

static void check_indices(const struct raft_mirror *mirror, const struct raft_member *member,
                          const struct osr_raft_info *info)
{
    if (info->applied > info->commit || info->commit > info->last || info->durable > info->last ||
        info->applied > member->state.applied) {
        sim_violation("m%" PRIu64 ": applied %" PRIu64 " (in fact %" PRIu64 "), committed %" PRIu64
                      ", durable %" PRIu64 ", last %" PRIu64,
                      member->id, info->applied, member->state.applied, info->commit, info->durable,
                      info->last);
    }
    if (info->last < raft_log_last(&mirror->log)) {
        sim_violation("m%" PRIu64 " says its log ends at %" PRIu64 ", and has stored %" PRIu64,
                      member->id, info->last, raft_log_last(&mirror->log));
    }
    /* What a leader has not stored yet may be beyond, and what a snapshot has is from there. */
    if (mirror->configured_at > info->snapshot && info->configured_at != mirror->configured_at &&
        info->configured_at <= raft_log_last(&mirror->log)) {
        sim_violation("m%" PRIu64 " goes by the configuration of entry %" PRIu64
                      ", and the last in its log is %" PRIu64,
                      member->id, info->configured_at, mirror->configured_at);
    }
}

static void hear(struct raft_mirror *mirror, const struct raft_member *member,
                 const struct osr_raft_info *info)
{
    const struct osr_raft_message *message = mirror->message;
    uint64_t now_ms = raft_member_now_ms(member);
    if (message == NULL || message->term != info->term) {
        return;
    }
    if (info->role == OSR_RAFT_LEADER) {
        mirror->quorum_ms[message->from - 1] = now_ms;
    } else if ((message->type == OSR_RAFT_APPEND || message->type == OSR_RAFT_SNAPSHOT) &&
               info->leader == message->from) {
        mirror->heard_ms = now_ms;
        mirror->heard_term = info->term;
    }
}

void raft_checks_step(struct raft_checks *checks, const struct raft_member *member,
                      const struct osr_raft_event *event, const struct osr_raft_outputs *outputs)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    struct osr_raft_info info;
    osr_raft_info(member->core, &info);
    mirror->message = event->type == OSR_RAFT_MESSAGE ? event->message : NULL;
    for (size_t i = 0; i < outputs->count; i++) {
        if (outputs->items[i].type == OSR_RAFT_OUT_STORE) {
            check_store(checks, member, &info, &outputs->items[i]);
        }
    }
    bool led_before = mirror->role == OSR_RAFT_LEADER && mirror->term == info.term;
    check_role(checks, member, event, &info);
    check_commit(checks, member, &info, led_before);
    check_indices(mirror, member, &info);
    if (info.role == OSR_RAFT_LEADER) {
        read_voters(member, &mirror->voters);
    }
    hear(mirror, member, &info);
}

void raft_checks_applied(struct raft_checks *checks, const struct raft_member *member)
{
    const struct raft_state *state = &member->state;
    const struct raft_committed *committed = raft_checks_commit(checks, state->applied);
    if (committed == NULL || state->applied > checks->mirrors[member->place].commit) {
        sim_violation("m%" PRIu64 " applies entry %" PRIu64 ", which is not committed", member->id,
                      state->applied);
    }
    if (committed->chain != state->chain) {
        sim_violation("state machine safety: m%" PRIu64 " applies another entry %" PRIu64
                      " than was committed",
                      member->id, state->applied);
    }
}

/* ---- beginnings ---- */

static void copy_disk(struct raft_mirror *mirror, const struct raft_member *member)
{
    const struct raft_image *image = raft_store_seen(raft_disk_store_of(member->disk));
    raft_log_copy(&mirror->log, &image->log, false);
    mirror->vote = image->vote;
    find_configuration(mirror);
}

void raft_checks_start(struct raft_checks *checks, const struct raft_member *member)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    copy_disk(mirror, member);
    mirror->commit = mirror->log.base;
    mirror->role = OSR_RAFT_FOLLOWER;
    mirror->term = mirror->vote.term;
    mirror->heard_term = 0;
}

void raft_checks_refused(struct raft_checks *checks, const struct raft_member *member,
                         uint64_t after)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    mirror->vote = raft_store_seen(raft_disk_store_of(member->disk))->vote;
    raft_log_truncate(&mirror->log, after);
    find_configuration(mirror);
}

void raft_checks_install(struct raft_checks *checks, const struct raft_member *member,
                         const struct raft_state *state, bool is_void)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    const struct raft_committed *committed = raft_checks_commit(checks, state->applied);
    if (state->applied <= member->state.applied) {
        sim_violation("m%" PRIu64 " has applied %" PRIu64 " and installs a snapshot at %" PRIu64,
                      member->id, member->state.applied, state->applied);
    }
    if (committed == NULL || committed->chain != state->chain) {
        sim_violation("m%" PRIu64 " installs a snapshot at %" PRIu64 " of what was not committed",
                      member->id, state->applied);
    }
    bool is_matching = raft_log_has(&mirror->log, state->applied) &&
                       raft_log_chain(&mirror->log, state->applied) == state->chain;
    if (!is_void && !is_matching && raft_log_last(&mirror->log) > state->applied) {
        sim_violation("m%" PRIu64 " keeps what stands behind another entry %" PRIu64
                      " than its new snapshot has",
                      member->id, state->applied);
    }
    if (is_void) {
        raft_log_truncate(&mirror->log, mirror->log.base);
    }
    raft_log_rebase(&mirror->log, state->applied, state->term, state->chain);
    mirror->commit = mirror->commit > state->applied ? mirror->commit : state->applied;
    find_configuration(mirror);
}
