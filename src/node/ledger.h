/* ledger.h -- this instance's part of the ledger: the Raft core with what it stands on (log, state,
 * links), put behind the port that machines and operations know (core/agreement.h).
 *
 * Happy path of a command at any member: propose -> at the leader PROPOSE, elsewhere LEDGER_ASK to
 * the leader -> ... -> this member applies it, knows it by its envelope, and answers. So the answer
 * comes when this member's own values have it.
 *
 * Tried again, until its time is over, where it surely was not done: the leader refused it (it is
 * none any more; it is busy), or an entry of a later term than the one it was asked in was applied
 * first. A leader does what it is asked only in the term that the asker knew, so nothing is done
 * twice. What a snapshot may have jumped over ends with TIMEOUT: nobody knows.
 *
 * Which ledger: an instance founds one at its first start, with itself as the only voter; one that
 * `osiris join` has made waits to be added (config: ledger). From then on the log says (fact
 * "ledger": its id, this member's id). Each start counts up fact "ledger-starts".
 *
 * Failures: no majority: UNAVAILABLE or TIMEOUT after the caller's time; reads with is_local go on.
 * A full disk: this member stops leading; it follows again when there is room. What ends the
 * process comes by on_failure.
 *
 * Threads: the loop's only. */
#ifndef OSR_NODE_LEDGER_H
#define OSR_NODE_LEDGER_H

#include "core/agreement.h"
#include "node/ledger_links.h"
#include "node/ledger_state.h"

enum {
    /* The range of times without word of a leader before an election is this to twice this. */
    OSR_LEDGER_ELECTION_MS = 400,
    OSR_LEDGER_HEARTBEAT_MS = 100,
    /* Commands and reads under way here; past it BUSY. */
    OSR_LEDGER_REQUESTS_MAX = 16 << 10,
    OSR_LEDGER_REQUEST_BYTES_MAX = 64 << 20,
    /* Asked of this leader by other members and not yet committed: the core's limits hold. */
    OSR_LEDGER_ASK_COMMANDS_MAX = 4096, /* in one LEDGER_ASK */
    /* Changes and transfers that one other member has this leader do at once; past it BUSY. They
     * would take the room for requests of this member's own callers. */
    OSR_LEDGER_ASKED_CHANGES_MAX = 16,
};

struct osr_ledger;

struct osr_ledger_options {
    uv_loop_t *loop;
    const struct osr_config *config;
    const char *instance; /* id */
    struct osr_journal *journal;
    const struct osr_machine *machines;
    size_t machine_count;
    struct osr_ledger_links_options links;
    const struct osr_trace *trace;
    void (*on_failure)(void *context, const struct osr_err *err);
    void *context;
};

/* The journal is open; the core starts once links may come (osr_ledger_start). */
int osr_ledger_open(const struct osr_ledger_options *options, struct osr_ledger **ret_ledger,
                    struct osr_err *err);
void osr_ledger_start(struct osr_ledger *ledger);
/* Ends what waits with UNAVAILABLE or TIMEOUT and stops stepping; before the journal is closed.
 * Run the loop until nothing is left in it, then free. NULL is a no-op for both. */
void osr_ledger_close(struct osr_ledger *ledger);
void osr_ledger_free(struct osr_ledger *ledger);

struct osr_agreement *osr_ledger_agreement(struct osr_ledger *ledger);
/* Frames and links for this. */
struct osr_ledger_links *osr_ledger_links(struct osr_ledger *ledger);
/* Others may vote now than before: a reload, a revocation. NULL is a no-op. */
void osr_ledger_review(struct osr_ledger *ledger);

/* Of the members, at any of them. As commands are proposed; osr_agreed.index is the member's id. */
uint64_t osr_ledger_change(struct osr_ledger *ledger, const Osr__ClusterChangeRequest *change,
                           uint32_t timeout_ms, osr_agreed_done *done, void *context);
uint64_t osr_ledger_transfer(struct osr_ledger *ledger, const char *member, uint32_t timeout_ms,
                             osr_agreed_done *done, void *context);
/* False where the configuration names no such member. */
bool osr_ledger_find_name(const struct osr_ledger *ledger, uint64_t member,
                          char name[OSR_NAME_BYTES_MAX + 1]);
/* All in `arena`. */
void osr_ledger_status(struct osr_ledger *ledger, struct osr_arena *arena,
                       Osr__ClusterStatusResponse *ret_status);

/* How many belong to it; 0: this instance takes no part. */
size_t osr_ledger_member_count(const struct osr_ledger *ledger);

/* Stores and sends what was proposed in this turn of the loop; sets the core's timer. */
void osr_ledger_end_turn(struct osr_ledger *ledger);
/* So much is under way that clients should not be read now. */
bool osr_ledger_is_busy(const struct osr_ledger *ledger);

#endif
