#include "node/ledger_roll.h"

#include <stdio.h>
#include <stdlib.h>

enum { ROLL_MAX = OSR_RAFT_MEMBERS_MAX + OSR_LEDGER_STRANGERS_MAX };

#define FACT_PREFIX "member:"

/* One who speaks, or has spoken, for a member. */
struct speaker {
    uint64_t member;
    char instance[OSR_INSTANCE_CHARS + 1];
    bool is_member;      /* the configuration says so */
    bool is_vouched;     /* a member says so */
    uint32_t left_noted; /* the newest connection when it was a member last; 0: it never was */
    uint32_t link;       /* by which it spoke last; 0: that is gone */
    uint64_t spoke;      /* counts up: the smallest is forgotten first */

    /* How far it was, and the newest connection when that was noted. */
    uint64_t starts;
    uint64_t starts_stored; /* of a member: in the log, or on the way there */
    uint64_t term;
    uint32_t term_noted;
    uint64_t acknowledged;
    uint64_t acknowledged_term; /* of the leader, which this instance was */
    uint32_t acknowledged_noted;
};

struct osr_ledger_roll {
    struct osr_journal *journal;
    uint64_t own;
    bool is_blank;   /* there is no configuration yet */
    uint64_t spoken; /* claims so far */
    struct speaker speakers[ROLL_MAX];
    size_t count;
};

struct osr_ledger_roll *osr_ledger_roll_create(struct osr_journal *journal)
{
    struct osr_ledger_roll *roll = osr_alloc(sizeof(*roll));
    roll->journal = journal;
    return roll;
}

void osr_ledger_roll_destroy(struct osr_ledger_roll *roll)
{
    free(roll);
}

/* ---- finding ---- */

static struct speaker *find(const struct osr_ledger_roll *roll, uint64_t member)
{
    for (size_t i = 0; i < roll->count; i++) {
        if (roll->speakers[i].member == member) {
            return (struct speaker *)&roll->speakers[i];
        }
    }
    return NULL;
}

/* As member or as stranger. */
static struct speaker *find_instance(const struct osr_ledger_roll *roll, const char *instance,
                                     bool is_member)
{
    for (size_t i = 0; i < roll->count; i++) {
        const struct speaker *speaker = &roll->speakers[i];
        if (speaker->is_member == is_member && strcmp(speaker->instance, instance) == 0) {
            return (struct speaker *)speaker;
        }
    }
    return NULL;
}

static size_t count_strangers(const struct osr_ledger_roll *roll)
{
    size_t count = 0;
    for (size_t i = 0; i < roll->count; i++) {
        count += !roll->speakers[i].is_member;
    }
    return count;
}

/* The stranger who spoke longest ago, of those whose links are gone; or of all, where it must be
 * one. */
static struct speaker *find_oldest_stranger(struct osr_ledger_roll *roll, bool is_linked_too)
{
    struct speaker *oldest = NULL;
    for (size_t i = 0; i < roll->count; i++) {
        struct speaker *speaker = &roll->speakers[i];
        if (!speaker->is_member && (is_linked_too || speaker->link == 0) &&
            (oldest == NULL || speaker->spoke < oldest->spoke)) {
            oldest = speaker;
        }
    }
    return oldest;
}

static void forget(struct osr_ledger_roll *roll, struct speaker *speaker)
{
    *speaker = roll->speakers[--roll->count];
}

/* ---- starts, in the log ---- */

static char *fact_key(uint64_t member)
{
    return osr_format(FACT_PREFIX "%llu", (unsigned long long)member);
}

struct wanted_fact {
    const char *key;
    uint64_t starts;
};

static void read_starts(void *context, const char *key, struct osr_slice value)
{
    struct wanted_fact *fact = context;
    if (strcmp(key, fact->key) == 0 && value.size == 8) {
        fact->starts = osr_get_u64(value.data);
    }
}

static uint64_t load_starts(const struct osr_ledger_roll *roll, uint64_t member)
{
    char *key = fact_key(member);
    struct wanted_fact fact = {.key = key};
    osr_journal_facts(roll->journal, key, read_starts, &fact);
    free(key);
    return fact.starts;
}

/* What a full disk loses is written when the member has started again. */
static void store_starts(struct osr_ledger_roll *roll, struct speaker *speaker)
{
    uint8_t value[8];
    if (!speaker->is_member || speaker->starts <= speaker->starts_stored) {
        return;
    }
    speaker->starts_stored = speaker->starts;
    char *key = fact_key(speaker->member);
    osr_put_u64(value, speaker->starts);
    osr_journal_fact(roll->journal, key, osr_slice(value, sizeof(value)), NULL, NULL);
    free(key);
}

/* ---- members ---- */

static struct speaker *add(struct osr_ledger_roll *roll, uint64_t member, const char *instance)
{
    if (roll->count == ROLL_MAX) { /* for a member: strangers have a limit of their own */
        struct speaker *oldest = find_oldest_stranger(roll, false);
        forget(roll, oldest != NULL ? oldest : find_oldest_stranger(roll, true));
    }
    struct speaker *speaker = &roll->speakers[roll->count++];
    *speaker = (struct speaker){.member = member};
    snprintf(speaker->instance, sizeof(speaker->instance), "%s", instance);
    return speaker;
}

static void set_member(struct osr_ledger_roll *roll, const struct osr_raft_member *member)
{
    struct osr_ledger_member who;
    struct speaker *speaker = find(roll, member->id);
    osr_ledger_member_decode(member, &who, NULL); /* who cannot be read is nobody's instance */
    if (speaker != NULL && strcmp(speaker->instance, who.instance) != 0) {
        forget(roll, speaker); /* somebody has used the id who should not have */
        speaker = NULL;
    }
    if (speaker == NULL) {
        speaker = add(roll, member->id, who.instance);
    }
    speaker->is_member = true;
    if (speaker->starts_stored == 0) {
        speaker->starts_stored = load_starts(roll, member->id);
    }
    if (speaker->starts < speaker->starts_stored) {
        speaker->starts = speaker->starts_stored;
    }
    store_starts(roll, speaker); /* of one that spoke before the configuration knew it */
}

void osr_ledger_roll_set(struct osr_ledger_roll *roll,
                         const struct osr_raft_configuration *configuration, uint64_t own,
                         uint32_t newest_link)
{
    roll->own = own;
    roll->is_blank = configuration->count == 0;
    for (size_t i = 0; i < roll->count; i++) {
        struct speaker *speaker = &roll->speakers[i];
        speaker->left_noted = speaker->is_member ? newest_link : speaker->left_noted;
        speaker->is_member = speaker->is_vouched = false;
    }
    for (size_t i = 0; i < configuration->count; i++) {
        set_member(roll, &configuration->members[i]);
    }
    struct speaker *oldest;
    while (count_strangers(roll) > OSR_LEDGER_STRANGERS_MAX &&
           (oldest = find_oldest_stranger(roll, false)) != NULL) {
        forget(roll, oldest);
    }
}

/* NULL: there are too many. */
static struct speaker *add_stranger(struct osr_ledger_roll *roll, uint64_t member,
                                    const char *instance)
{
    if (count_strangers(roll) >= OSR_LEDGER_STRANGERS_MAX) {
        struct speaker *oldest = find_oldest_stranger(roll, false);
        if (oldest == NULL) {
            return NULL;
        }
        forget(roll, oldest);
    }
    return add(roll, member, instance);
}

static void vouch(struct osr_ledger_roll *roll, uint64_t member, const char *instance)
{
    struct speaker *speaker = find(roll, member);
    if (speaker != NULL && speaker->is_member) {
        return; /* the own configuration says whose that is */
    }
    if (speaker != NULL && strcmp(speaker->instance, instance) != 0) {
        forget(roll, speaker);
        speaker = NULL;
    }
    if (speaker == NULL) {
        speaker = add_stranger(roll, member, instance);
    }
    if (speaker != NULL) {
        speaker->is_vouched = true;
    }
}

void osr_ledger_roll_vouch(struct osr_ledger_roll *roll,
                           const struct osr_raft_configuration *configuration)
{
    for (size_t i = 0; i < configuration->count; i++) {
        const struct osr_raft_member *member = &configuration->members[i];
        struct osr_ledger_member who;
        if (osr_ledger_member_decode(member, &who, NULL) == 0) {
            vouch(roll, member->id, who.instance);
        }
    }
}

/* ---- claims ---- */

static int refuse_id(struct osr_err *err, uint64_t member, const char *why)
{
    osr_err_set(err, OSR_PERMISSION_DENIED, "ledger: member %llu %s", (unsigned long long)member,
                why);
    osr_err_hint(err, "osiris cluster members shows whose id it is");
    return OSR_PERMISSION_DENIED;
}

/* Whoever is removed is needed until all know it, by the links that it had: a leader that removes
 * itself leads to the end. */
static bool is_known(const struct speaker *speaker, const struct osr_ledger_claim *claim)
{
    return speaker->is_member || speaker->is_vouched || claim->link <= speaker->left_noted;
}

/* *ret_speaker: NULL where nobody has spoken for this member yet. */
static int check_id(const struct osr_ledger_roll *roll, const struct osr_ledger_claim *claim,
                    struct speaker **ret_speaker, struct osr_err *err)
{
    struct speaker *speaker = find(roll, claim->member);
    if (claim->member == 0) {
        return (int)osr_err_set(err, OSR_INVALID_ARGUMENT, "ledger: there is no member 0");
    }
    if (claim->member == roll->own) {
        return refuse_id(err, claim->member, "is this instance itself");
    }
    if (speaker != NULL && strcmp(speaker->instance, claim->instance) != 0) {
        return refuse_id(err, claim->member, "is another instance");
    }
    if (!roll->is_blank && (speaker == NULL || !is_known(speaker, claim))) {
        return refuse_id(err, claim->member, "is none here: it was removed, or never was one");
    }
    *ret_speaker = speaker;
    return 0;
}

static int refuse_old(struct osr_err *err, const char *what, uint64_t before, uint64_t now)
{
    osr_err_set(err, OSR_CONFLICT,
                "ledger: it has %llu %s, and had %llu: restored from an old copy",
                (unsigned long long)now, what, (unsigned long long)before);
    osr_err_hint(err, "take it out with osiris cluster remove, then start it once with --ledger "
                      "rejoin");
    return OSR_CONFLICT;
}

/* What was acknowledged to the leader of a term is there while no later one has had it cut off. */
static bool had_more(const struct speaker *speaker, const struct osr_ledger_claim *claim,
                     const struct osr_ledger_now *now)
{
    return claim->last_index < speaker->acknowledged && claim->link > speaker->acknowledged_noted &&
           speaker->acknowledged_term == now->term && claim->term <= now->term;
}

static int check_age(const struct speaker *speaker, const struct osr_ledger_claim *claim,
                     const struct osr_ledger_now *now, struct osr_err *err)
{
    if (claim->starts < speaker->starts) {
        return refuse_old(err, "starts", speaker->starts, claim->starts);
    }
    if (claim->term < speaker->term && claim->link > speaker->term_noted) {
        return refuse_old(err, "for its term", speaker->term, claim->term);
    }
    if (had_more(speaker, claim, now)) {
        return refuse_old(err, "entries", speaker->acknowledged, claim->last_index);
    }
    return 0;
}

/* NULL: there are too many. An instance has one made-up id at most. */
static struct speaker *add_claimant(struct osr_ledger_roll *roll,
                                    const struct osr_ledger_claim *claim)
{
    struct speaker *before = find_instance(roll, claim->instance, false);
    if (before != NULL) {
        forget(roll, before);
    }
    return add_stranger(roll, claim->member, claim->instance);
}

static void note(struct osr_ledger_roll *roll, struct speaker *speaker,
                 const struct osr_ledger_claim *claim, const struct osr_ledger_now *now)
{
    speaker->link = claim->link;
    speaker->spoke = ++roll->spoken;
    if (claim->term > speaker->term) {
        speaker->term = claim->term;
        speaker->term_noted = now->newest_link;
    }
    if (claim->starts > speaker->starts) {
        speaker->starts = claim->starts;
        store_starts(roll, speaker);
    }
}

int osr_ledger_roll_take(struct osr_ledger_roll *roll, const struct osr_ledger_claim *claim,
                         const struct osr_ledger_now *now, struct osr_err *err)
{
    struct speaker *speaker = NULL;
    int code = check_id(roll, claim, &speaker, err);
    if (code == 0 && speaker != NULL) {
        code = check_age(speaker, claim, now, err);
    }
    if (code != 0) {
        return code;
    }
    if (speaker == NULL && (speaker = add_claimant(roll, claim)) == NULL) {
        osr_err_set(err, OSR_BUSY, "ledger: no more than %d members that are not known here",
                    OSR_LEDGER_STRANGERS_MAX);
        osr_err_hint(err, "wait until this instance has caught up");
        return OSR_BUSY;
    }
    note(roll, speaker, claim, now);
    return 0;
}

int osr_ledger_roll_check_newcomer(const struct osr_ledger_roll *roll, const char *instance,
                                   struct osr_err *err)
{
    const struct speaker *speaker = find_instance(roll, instance, true);
    if (speaker == NULL || speaker->starts == 0) {
        return 0;
    }
    osr_err_set(err, OSR_ALREADY_EXISTS, "ledger: it is member %llu already, and has lost its data",
                (unsigned long long)speaker->member);
    osr_err_hint(err, "it is added again once osiris cluster remove %llu has taken that out",
                 (unsigned long long)speaker->member);
    return OSR_ALREADY_EXISTS;
}

void osr_ledger_roll_release(struct osr_ledger_roll *roll, uint32_t link)
{
    for (size_t i = 0; i < roll->count; i++) {
        if (roll->speakers[i].link == link) {
            roll->speakers[i].link = 0;
        }
    }
}

void osr_ledger_roll_note_acknowledged(struct osr_ledger_roll *roll, uint64_t member,
                                       uint64_t acknowledged, const struct osr_ledger_now *now)
{
    struct speaker *speaker = find(roll, member);
    bool is_known = speaker == NULL || (speaker->acknowledged == acknowledged &&
                                        speaker->acknowledged_term == now->term);
    if (is_known) {
        return;
    }
    speaker->acknowledged = acknowledged;
    speaker->acknowledged_term = now->term;
    speaker->acknowledged_noted = now->newest_link;
}

/* ---- questions ---- */

const char *osr_ledger_roll_instance(const struct osr_ledger_roll *roll, uint64_t member)
{
    const struct speaker *speaker = find(roll, member);
    return speaker != NULL && speaker->is_member ? speaker->instance : NULL;
}
