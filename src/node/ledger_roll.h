/* ledger_roll.h -- the roll of the ledger's members, as one of them keeps it: which instance speaks
 * for which member, and how far each was when it spoke last.
 *
 * An instance may speak for a member if the configuration gives it this id; or, where the
 * configuration does not know the id, if that of another member does, who is in it (this one may
 * have missed a change); or, where there is no configuration yet, if no other instance has used it
 * here. Who is removed goes on over the links that it has.
 *
 * Who says less than before has lost what it promised: it was restored from an old copy. Starts are
 * remembered in the log (fact "member:ID", of those in the configuration); terms and what was
 * acknowledged in memory. Two links of one instance may overtake each other, so these two count
 * against a link only if they were noted before it was there: links have numbers that rise.
 *
 * Limits: beside OSR_RAFT_MEMBERS_MAX members OSR_LEDGER_STRANGERS_MAX that the configuration does
 * not know, those of links that are up and, where there is room, of others.
 *
 * The loop's only. */
#ifndef OSR_NODE_LEDGER_ROLL_H
#define OSR_NODE_LEDGER_ROLL_H

#include "node/ledger_links.h"

struct osr_ledger_roll;

/* Who says to be whom. */
struct osr_ledger_claim {
    const char *instance; /* that the link has shown */
    uint32_t link;        /* its number */
    uint64_t member;
    uint64_t starts;
    uint64_t term;
    uint64_t last_index;
};

/* When that is said. */
struct osr_ledger_now {
    uint64_t term;        /* of this instance */
    uint32_t newest_link; /* osr_sessions_last_number */
};

struct osr_ledger_roll *osr_ledger_roll_create(struct osr_journal *journal);
void osr_ledger_roll_destroy(struct osr_ledger_roll *roll); /* NULL is a no-op */

/* Who is a member as of now; `own` is the id of this one, for which nobody else may speak, and
 * newest_link the newest connection: by what there is up to it, who is a member no more goes on. */
void osr_ledger_roll_set(struct osr_ledger_roll *roll,
                         const struct osr_raft_configuration *configuration, uint64_t own,
                         uint32_t newest_link);

/* Then: who else is one, as a member says who is in the configuration. */
void osr_ledger_roll_vouch(struct osr_ledger_roll *roll,
                           const struct osr_raft_configuration *configuration);

/* Whether the claim may be believed, and if so, notes it. PERMISSION_DENIED: it is another's id;
 * CONFLICT: it says less than before; BUSY: too many strangers; INVALID_ARGUMENT: there is no such
 * member. */
int osr_ledger_roll_take(struct osr_ledger_roll *roll, const struct osr_ledger_claim *claim,
                         const struct osr_ledger_now *now, struct osr_err *err);
/* Whether an instance that has no ledger may be added. ALREADY_EXISTS: it has spoken for a member
 * that the configuration gives to it, and so has lost what that has promised. */
int osr_ledger_roll_check_newcomer(const struct osr_ledger_roll *roll, const char *instance,
                                   struct osr_err *err);
/* The link is gone: a stranger may be forgotten. */
void osr_ledger_roll_release(struct osr_ledger_roll *roll, uint32_t link);

/* What a member has acknowledged to this leader in its term; 0: this one is none. */
void osr_ledger_roll_note_acknowledged(struct osr_ledger_roll *roll, uint64_t member,
                                       uint64_t acknowledged, const struct osr_ledger_now *now);

/* The instance that the configuration gives this id to; NULL: none. */
const char *osr_ledger_roll_instance(const struct osr_ledger_roll *roll, uint64_t member);

#endif
