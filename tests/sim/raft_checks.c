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

uint64_t raft_checks_committed_term(const struct raft_checks *checks)
{
    const struct raft_committed *last = raft_checks_commit(checks, raft_checks_committed(checks));
    return last != NULL ? last->term : 0;
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
        sim_violation("m%" PRIu64 " votes twice in term %" PRIu64 ", for m%" PRIu64
                      " and m%" PRIu64,
                      member->id, vote->term, mirror->vote.candidate, vote->candidate);
    }
    mirror->vote = *vote;
}

/* What is cut off is another log's, going by the first of it. */
static void check_conflict(const struct raft_mirror *mirror, const struct raft_member *member,
                           uint64_t after, const struct osr_raft_entry *entry)
{
    if (raft_log_has(&mirror->log, after) &&
        raft_chain(raft_log_chain(&mirror->log, after), entry) ==
            raft_log_chain(&mirror->log, after + 1)) {
        sim_violation("m%" PRIu64 " cuts off entry %" PRIu64 ", and stores the same again",
                      member->id, after + 1);
    }
}

static void check_truncation(struct raft_mirror *mirror, const struct raft_member *member,
                             const struct osr_raft_info *info, const struct osr_raft_output *store)
{
    uint64_t last = raft_log_last(&mirror->log);
    uint64_t after = store->store.truncate_after;
    if (after >= last) {
        return;
    }
    if (store->store.count > 0) {
        check_conflict(mirror, member, after, &store->store.entries[0]);
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

/* Of two changes at once, or without an entry of its own term committed, a leader may change what
 * is not the newest committed configuration (Ongaro, 2015): it takes four voters and much bad luck
 * to see what comes of it, so the rule itself is looked at. */
static void check_change(struct raft_checks *checks, const struct raft_member *member,
                         const struct osr_raft_info *info)
{
    const struct raft_mirror *mirror = &checks->mirrors[member->place];
    const struct raft_committed *newest = raft_checks_commit(checks, mirror->commit);
    if (info->role == OSR_RAFT_LEADER && mirror->configured_at > info->commit) {
        sim_violation("m%" PRIu64 " changes the members, and the change of entry %" PRIu64
                      " is not committed",
                      member->id, mirror->configured_at);
    }
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
    check_truncation(mirror, member, info, output);
    for (size_t i = 0; i < output->store.count; i++) {
        const struct osr_raft_entry *entry = &output->store.entries[i];
        uint64_t last = raft_log_last(&mirror->log);
        if (entry->index != last + 1 || entry->term < raft_log_term(&mirror->log, last)) {
            sim_violation("memory and disk differ: m%" PRIu64 " stores entry %" PRIu64
                          " of term %" PRIu64 " behind %" PRIu64 " of term %" PRIu64,
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
        raft_checks_has_committed(checks, member, info->term, committed);
    }
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    memset(mirror->quorum_ms, 0, sizeof(mirror->quorum_ms));
    mirror->leads_ms = raft_member_now_ms(member);
}

/* A leader that hears no majority does not go on for ever. */
static void check_quorum(const struct raft_mirror *mirror, const struct raft_member *member)
{
    const struct raft_settings *settings = &member->world->settings;
    uint64_t patience_ms = QUORUM_TIMEOUTS * (uint64_t)settings->core.election_timeout_ms;
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

/* A new one has to be heard first. */
static void see_voters(struct raft_mirror *mirror, const struct raft_member *member)
{
    struct raft_voters before = mirror->voters;
    raft_checks_read_voters(member, &mirror->voters);
    if (memcmp(&before, &mirror->voters, sizeof(before)) != 0) {
        mirror->leads_ms = raft_member_now_ms(member);
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
    raft_checks_commits(checks, member, &info, led_before);
    check_indices(mirror, member, &info);
    if (info.role == OSR_RAFT_LEADER) {
        see_voters(mirror, member);
        raft_checks_counted(checks, member);
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
                         const struct raft_state *state)
{
    struct raft_mirror *mirror = &checks->mirrors[member->place];
    const struct raft_committed *committed = raft_checks_commit(checks, state->applied);
    if (state->applied < member->state.applied) {
        sim_violation("m%" PRIu64 " has applied %" PRIu64 " and installs a snapshot at %" PRIu64,
                      member->id, member->state.applied, state->applied);
    }
    if (committed == NULL || committed->chain != state->chain) {
        sim_violation("m%" PRIu64 " installs a snapshot at %" PRIu64 " of what was not committed",
                      member->id, state->applied);
    }
    if (raft_log_last(&mirror->log) > state->applied &&
        raft_log_has(&mirror->log, state->applied) &&
        raft_log_chain(&mirror->log, state->applied) == state->chain) {
        sim_violation("m%" PRIu64 " has a log up to %" PRIu64
                      " and installs a snapshot at %" PRIu64,
                      member->id, raft_log_last(&mirror->log), state->applied);
    }
    raft_log_truncate(&mirror->log, mirror->log.base);
    raft_log_rebase(&mirror->log, state->applied, state->term, state->chain);
    mirror->commit = mirror->commit > state->applied ? mirror->commit : state->applied;
    find_configuration(mirror);
}
