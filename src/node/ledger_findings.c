#include "node/ledger_findings.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

enum {
    FINDING_BYTES_MAX = 600,
    SLOW_ENTRIES = 10 * 1000, /* a follower that lacks more is told of */
    SILENT_MS = 3 * 1000,     /* a follower that answers the leader nothing for longer is told of */
};

struct writing {
    struct osr_arena *arena;
    Osr__ClusterStatusResponse *status;
};

static void say(struct writing *writing, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void say(struct writing *writing, const char *format, ...)
{
    if (writing->status->n_findings == OSR_LEDGER_FINDINGS_MAX) {
        return;
    }
    char text[FINDING_BYTES_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    writing->status->findings[writing->status->n_findings++] =
        osr_arena_text(writing->arena, osr_slice_text(text));
}

/* Failures of the ledger say so in front, which goes without saying here. */
static const char *bare(const char *failure)
{
    static const char prefix[] = "ledger: ";
    size_t size = sizeof(prefix) - 1;
    return strncmp(failure, prefix, size) == 0 ? failure + size : failure;
}

static const Osr__MemberStatus *find_member(const Osr__ClusterStatusResponse *status, uint64_t id)
{
    for (size_t i = 0; i < status->n_members; i++) {
        if (status->members[i]->member == id) {
            return status->members[i];
        }
    }
    return NULL;
}

static bool is_voter(const Osr__MemberStatus *member)
{
    return member->standing == OSR__MEMBER_STANDING__VOTER;
}

/* Its link may stand, but for the ledger nothing comes: the leader asks all others all the time,
 * and alone knows. */
static bool is_silent(const Osr__ClusterStatusResponse *status, const Osr__MemberStatus *member)
{
    bool is_asked = status->leader == status->member && member->member != status->member;
    return is_asked && (member->heard_ms == 0 || member->heard_ms > SILENT_MS);
}

struct count {
    size_t voters;
    size_t reachable; /* of these, this member included, and without those that are silent */
    size_t majority;
};

static struct count count_voters(const Osr__ClusterStatusResponse *status)
{
    struct count count = {0};
    for (size_t i = 0; i < status->n_members; i++) {
        const Osr__MemberStatus *member = status->members[i];
        count.voters += is_voter(member);
        count.reachable += is_voter(member) && member->reachable && !is_silent(status, member);
    }
    count.majority = count.voters / 2 + 1;
    return count;
}

/* ---- who leads ---- */

static void say_leader(struct writing *writing)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    const Osr__MemberStatus *leader = find_member(status, status->leader);
    const char *name = leader != NULL ? leader->name : "a member that is not known here yet";
    char since[OSR_DURATION_CHARS];
    osr_duration_write(since, status->since_ms);
    if (status->leader == status->member) {
        say(writing, "%s, this instance, leads term %llu, and has for %s.", name,
            (unsigned long long)status->term, since);
    } else {
        say(writing, "%s leads term %llu; this instance has followed it for %s.", name,
            (unsigned long long)status->term, since);
    }
}

static void say_nobody(struct writing *writing)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    struct count count = count_voters(status);
    char since[OSR_DURATION_CHARS];
    say(writing, "Nobody leads, as far as this instance knows, and has not for %s (term %llu).",
        osr_duration_write(since, status->since_ms), (unsigned long long)status->term);
    if (status->n_members == 0) {
        say(writing,
            "This instance does not know the members yet: it waits to hear from a leader.");
    } else if (count.reachable < count.majority) {
        say(writing,
            "From here %zu of %zu voters can be reached, this one included; %zu are needed to "
            "write or to elect a leader. Start the others or mend the network: nothing is lost "
            "meanwhile, and `osiris kv get --local` reads what is known here.",
            count.reachable, count.voters, count.majority);
    } else {
        say(writing,
            "Enough voters can be reached (%zu of %zu): an election is under way, or one of "
            "them cannot reach the others. Ask the others, too: osiris cluster why.",
            count.reachable, count.voters);
    }
}

/* ---- the others ---- */

static void say_unreachable(struct writing *writing, const Osr__MemberStatus *member)
{
    const char *what = is_voter(member) ? "Voter" : "Learner";
    char ago[OSR_DURATION_CHARS];
    if (member->heard_ms == 0) {
        say(writing, "%s %s (%llu) cannot be reached from here.", what, member->name,
            (unsigned long long)member->member);
    } else {
        say(writing, "%s %s (%llu) cannot be reached from here; last heard %s ago.", what,
            member->name, (unsigned long long)member->member,
            osr_duration_write(ago, member->heard_ms));
    }
}

static void say_silent(struct writing *writing, const Osr__MemberStatus *member)
{
    uint64_t silence_ms = member->heard_ms != 0 ? member->heard_ms : writing->status->since_ms;
    char silence[OSR_DURATION_CHARS];
    say(writing,
        "%s is linked, but has stored and answered nothing for %s: its disk is full or "
        "fails, or it hangs. Look there: osiris status.",
        member->name, osr_duration_write(silence, silence_ms));
}

static void say_slow(struct writing *writing, const Osr__MemberStatus *member)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    uint64_t lacks =
        status->last - (member->matched < status->last ? member->matched : status->last);
    if (strcmp(member->progress, "snapshot") == 0) {
        say(writing,
            "%s is being sent a snapshot, for the log does not reach back as far as it "
            "needs.",
            member->name);
    } else if (lacks > SLOW_ENTRIES) {
        say(writing, "%s lacks %llu entries of the log, and is catching up.", member->name,
            (unsigned long long)lacks);
    }
}

/* What keeps it from taking part; one thing explains the others. */
static void say_absence(struct writing *writing, const Osr__MemberStatus *member)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    if (member->trouble[0] != '\0') {
        say(writing,
            "Nothing is taken of %s (%llu), or it takes nothing: %s. Ask there what mends it: "
            "osiris cluster why.",
            member->name, (unsigned long long)member->member, bare(member->trouble));
    } else if (!member->reachable) {
        say_unreachable(writing, member);
    } else if (is_silent(status, member) && status->since_ms > SILENT_MS) {
        say_silent(writing, member);
    } else if (status->leader == status->member) {
        say_slow(writing, member);
    }
}

static void say_member(struct writing *writing, const Osr__MemberStatus *member)
{
    if (member->member != writing->status->member) {
        say_absence(writing, member);
    }
    if (!is_voter(member)) {
        say(writing,
            member->promoted ? "%s is a learner, and becomes a voter once it has caught up."
                             : "%s is a learner, and stays one until it is promoted.",
            member->name);
    }
}

/* Two that nobody can dial cannot reach each other once those that they dial are down. */
static void say_unreachable_by_design(struct writing *writing)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    const Osr__MemberStatus *first = NULL;
    for (size_t i = 0; i < status->n_members; i++) {
        const Osr__MemberStatus *member = status->members[i];
        if (!is_voter(member) || member->n_addresses > 0) {
            continue;
        }
        if (first != NULL) {
            say(writing,
                "%s and %s listen nowhere, so they cannot reach each other when the voters that "
                "they dial are down. Let one of them listen: osirisd --listen tls://0.0.0.0:7400.",
                first->name, member->name);
            return;
        }
        first = member;
    }
}

/* ---- what is safe ---- */

static void say_even(struct writing *writing, const struct count *count)
{
    if (count->voters == 0) {
        return;
    }
    if (count->voters == 2) {
        say(writing, "Two voters: both are needed for every write, so either's failure stops them. "
                     "A third one makes it safe to lose one.");
    } else if (count->voters % 2 == 0) {
        say(writing,
            "%zu voters survive the loss of %zu, as %zu would: one more, or one fewer, is "
            "better.",
            count->voters, (count->voters - 1) / 2, count->voters - 1);
    }
}

/* Those that may be down besides those that are. A follower does not know who lags behind. */
static void say_spare(struct writing *writing, size_t spare)
{
    bool leads = writing->status->leader == writing->status->member;
    const char *safe = leads ? "Safe now" : "Safe as seen from here, and the leader knows more";
    if (spare == 1) {
        say(writing,
            "%s: any one of the voters may be stopped, updated or replaced. Ask again before the "
            "next one.",
            safe);
    } else {
        say(writing, "%s: up to %zu of the voters may be down at once, to be updated or replaced.",
            safe, spare);
    }
}

static void say_safe(struct writing *writing, const struct count *count)
{
    if (writing->status->leader == 0 || count->voters == 0) {
        return;
    }
    if (count->voters == 1) {
        say(writing,
            "One voter: when it is down, nothing is agreed. Others join with `osiris join`.");
    } else if (count->reachable > count->majority) {
        say_spare(writing, count->reachable - count->majority);
    } else if (count->reachable < count->majority) {
        say(writing,
            "Stop none of the voters: from here only %zu of %zu can be reached, and %zu are "
            "needed. Ask the leader, too: osiris cluster why.",
            count->reachable, count->voters, count->majority);
    } else {
        say(writing,
            count->reachable < count->voters
                ? "Stop none of the voters that can be reached: without any one of them there is "
                  "no majority. What is gone for good is replaced: osiris cluster remove NAME, "
                  "then let a new one join."
                : "Stop none of the voters: without any one of them there is no majority.");
    }
}

/* ---- all of it ---- */

static void say_remedy(struct writing *writing, const char *hint)
{
    if (hint[0] != '\0') {
        say(writing, "What mends it: %s.", hint);
    }
}

static void say_stopped(struct writing *writing,
                        const struct osr_ledger_circumstances *circumstances)
{
    say(writing, "This instance takes no part any more: %s.", bare(circumstances->stopped));
    say_remedy(writing, circumstances->hint);
}

static void say_waiting(struct writing *writing)
{
    say(writing, "This instance belongs to no ledger yet. It waits to be added by a member that "
                 "it is linked to, which takes some seconds once there is a leader; or, where "
                 "`osiris cluster settings` there says join by-hand, until somebody says "
                 "`osiris cluster add NAME` there.");
}

/* The entries that add and remove it are all that tell it, and come late or never. */
static void say_no_member(struct writing *writing)
{
    say(writing,
        "This instance is none of the members that it knows: it was removed, or has yet to "
        "be sent the entry that added it. If osiris cluster members does not show it at "
        "another one, stop it, or start it once with --ledger rejoin: it is added again.");
}

/* Whether what is known of the members is of account, and has this one among them. */
static bool say_part(struct writing *writing, const struct osr_ledger_circumstances *circumstances)
{
    const Osr__ClusterStatusResponse *status = writing->status;
    if (circumstances->stopped != NULL) {
        say_stopped(writing, circumstances);
        return false;
    }
    if (status->ledger[0] == '\0') {
        say_waiting(writing);
        return false;
    }
    if (status->n_members > 0 && find_member(status, status->member) == NULL) {
        say_no_member(writing);
        return false;
    }
    if (status->leader != 0) {
        say_leader(writing);
    } else {
        say_nobody(writing);
    }
    return true;
}

static void say_circumstances(struct writing *writing,
                              const struct osr_ledger_circumstances *circumstances)
{
    if (circumstances->refusal != NULL && circumstances->stopped == NULL) {
        say(writing, "A member takes nothing of this instance: %s.", bare(circumstances->refusal));
        say_remedy(writing, circumstances->refusal_hint);
    }
    if (circumstances->is_loading) {
        say(writing, "A snapshot is being taken in.");
    }
    if (circumstances->is_disk_slow) {
        say(writing, "The disk under the data folder is full, or does not keep up: osiris doctor "
                     "tells more.");
    }
}

void osr_ledger_findings(struct osr_arena *arena,
                         const struct osr_ledger_circumstances *circumstances,
                         Osr__ClusterStatusResponse *status)
{
    struct writing writing = {arena, status};
    struct count count = count_voters(status);
    status->findings = osr_arena_take(arena, OSR_LEDGER_FINDINGS_MAX * sizeof(status->findings[0]));
    status->n_findings = 0;
    bool takes_part = say_part(&writing, circumstances);
    say_circumstances(&writing, circumstances);
    if (!takes_part) {
        return;
    }
    for (size_t i = 0; i < status->n_members; i++) {
        say_member(&writing, status->members[i]);
    }
    say_unreachable_by_design(&writing);
    say_even(&writing, &count);
    say_safe(&writing, &count);
}
