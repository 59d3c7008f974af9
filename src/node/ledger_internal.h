/* ledger_internal.h -- what the parts of an instance's ledger share. For these alone:
 *     ledger.c           opened, stepped, closed; what links say
 *     ledger_outputs.c   what the core puts out: to log, state, members, requests
 *     ledger_restore.c   the core made of what log and snapshot gave back
 *     ledger_identity.c  which ledger, which member, how many starts: facts of the log
 *     ledger_requests.c  commands and reads of this instance, until they are answered
 *     ledger_attempts.c  what is tried for them: by the core, by the leader
 *     ledger_changes.c   changes of the members, transfers, who waits to be added
 *     ledger_updates.c   what the configuration says of its members is kept true
 *     ledger_ask.c       what one member asks the leader for on behalf of another
 *     ledger_status.c    how it stands, in numbers and in words */
#ifndef OSR_NODE_LEDGER_INTERNAL_H
#define OSR_NODE_LEDGER_INTERNAL_H

#include "core/queue.h"
#include "node/ledger.h"
#include "node/ledger_log.h"

/* Tokens of the core: requests of this instance have their number; batches of reads, and commands
 * that others ask for, one of these bits and a number of their own. What a leader keeps true of the
 * members, nobody waits for: it has one token for all. */
#define LEDGER_TOKEN_READ   (UINT64_C(1) << 63)
#define LEDGER_TOKEN_ASKED  (UINT64_C(1) << 62)
#define LEDGER_TOKEN_UPDATE (UINT64_C(1) << 61)

enum {
    /* Requests that are to be tried again wait for this or for news of a leader; and so often
     * those whose time is over are looked for. */
    LEDGER_SWEEP_MS = 50,
    /* For a change that another member asks for: its own caller's time may be shorter. */
    LEDGER_ASKED_CHANGE_MS = 10 * 1000,
};

enum ledger_request_kind {
    LEDGER_COMMAND,
    LEDGER_READ,
    LEDGER_LOCAL_READ,
    LEDGER_CHANGE,
    LEDGER_TRANSFER
};

enum ledger_request_state {
    LEDGER_WAITS,    /* to be handed to the core or to a leader: at the end of the turn */
    LEDGER_PROPOSED, /* the core has it */
    LEDGER_ASKED,    /* a leader has it, perhaps */
    LEDGER_ANSWERED, /* its caller is to be told at the end of the step */
};

struct ledger_request {
    struct ledger_request *next; /* of those that wait, or that are answered */
    enum ledger_request_kind kind;
    enum ledger_request_state state;
    uint64_t number;
    uint64_t deadline_ms;
    uint64_t asked_member; /* the leader that was asked last, ... */
    uint64_t asked_term;   /* ... in this term */
    osr_agreed_done *done;
    void *context;

    struct osr_buffer command; /* in its envelope */
    /* Of a change or transfer; texts are owned. */
    enum osr_raft_change_type change;
    char *member_name; /* as the caller named it; NULL: any */
    bool stays_learner;
    struct osr_ledger_member *applicant; /* of ADD; owned */
    uint32_t welcome_link;               /* where it waits to be told; 0: not here */
    uint64_t changed_member;             /* that the leader chose or found */

    /* The answer. */
    enum osr_code code;
    bool has_failed;    /* it was not applied: ... */
    struct osr_err err; /* ... why, or why the last attempt came to nothing */
    uint64_t index;
    struct osr_buffer reply;
};

/* Reads of one turn, which one READ of the core answers. */
struct ledger_batch {
    struct ledger_batch *next;
    uint64_t token;
    size_t count;
    uint64_t numbers[]; /* of requests, which may have gone meanwhile */
};

struct ledger_list {
    struct ledger_request *first;
    struct ledger_request **end;
};

/* Of what the configuration says of members, as this leader has made them. */
struct ledger_updates {
    uint64_t looked_ms;
    uint64_t last_member;   /* that was found, so that each has its turn */
    uint64_t used_up_to_ms; /* from then on as many may be made as at first */
};

struct osr_ledger {
    struct osr_agreement agreement; /* first */
    uv_loop_t *loop;
    const struct osr_config *config;
    const char *instance;
    struct osr_journal *journal;
    const struct osr_machine *machines;
    size_t machine_count;
    const struct osr_trace *trace;
    const struct osr_trace *core_trace; /* for what members and a full disk cause, with a limit */
    void (*on_failure)(void *context, const struct osr_err *err);
    void *context;

    /* ledger_identity.c */
    char id[OSR_LEDGER_ID_CHARS + 1]; /* empty: none yet */
    uint64_t member;
    uint64_t starts;
    bool is_founder;
    bool is_unknown; /* a newer version wrote what the log says of it */
    uint32_t log_id; /* under which the log has it (osr_journal_ledger_give_up) */
    uint64_t start;  /* random: of this process, in envelopes */

    struct osr_ledger_links *links;
    struct osr_ledger_state *state;
    struct osr_raft *raft;                /* NULL: none yet */
    struct osr_err stopped;               /* why it was; code OK: it was not */
    struct osr_raft_snapshot snapshot;    /* as found at open, ... */
    uint64_t applied;                     /* ... and where the values stood */
    struct osr_raft_snapshot installing;  /* that comes from the leader */
    uint8_t versions[OSR_MACHINES_MAX];   /* of commands that all members understand */
    struct osr_raft_configuration nobody; /* what there is before there is a core */
    bool has_belonged; /* a configuration has named this member: one that does not has removed it */

    uv_timer_t tick;
    uint64_t tick_ms; /* when it is due; UINT64_MAX: not set */
    uv_timer_t sweep;
    bool is_started;
    bool is_stepping;
    bool is_answering;
    bool has_role_news;
    bool is_closing;
    bool is_broken; /* the process ends; values may not be there any more */
    bool flush_wanted;
    uint64_t acknowledged;      /* the last entry, to the leader ... */
    uint64_t acknowledged_term; /* ... of this term */
    uint64_t given_index;       /* of the last entry that the state was given to apply, ... */
    uint64_t given_term;        /* ... and its term */
    uint64_t applied_news;      /* to be told to the core; 0: nothing */

    /* ledger_requests.c */
    struct ledger_request *requests[OSR_LEDGER_REQUESTS_MAX]; /* by number, modulo */
    uint64_t last_number;
    size_t request_count;
    size_t request_bytes;
    struct ledger_list waiting;
    struct ledger_list later; /* to wait again, at the next sweep or when there is a leader */
    struct ledger_batch *batches;
    uint64_t last_batch;
    struct ledger_list answered;
    uint64_t applied_term; /* of the last entry applied */

    /* ledger_ask.c */
    uint64_t last_asked;
    uint64_t asked_token;         /* of what is being proposed for another member; 0: nothing */
    struct osr_err asked_failure; /* why that was refused; code OK: it was not */
    struct asked_change *asked_changes;

    /* ledger_changes.c */
    uint32_t welcome_link; /* who is being added because it waits; 0: nobody */

    struct ledger_updates updates;

    /* For status. */
    struct osr_err refusal; /* what a member said last that takes nothing of us */
    uint64_t refused_ms;
};

/* ledger.c */
/* Steps the core, where there is one, and carries out what it puts out. */
void osr_ledger_post(struct osr_ledger *ledger, struct osr_raft_event *event);
/* The core's as it is now; zeroes where there is none. */
void osr_ledger_raft_info(const struct osr_ledger *ledger, struct osr_raft_info *ret_info);
const struct osr_raft_configuration *osr_ledger_configuration(const struct osr_ledger *ledger);
bool osr_ledger_is_running(const struct osr_ledger *ledger); /* there is a core, not stopped */
bool osr_ledger_leads(const struct osr_ledger *ledger);
bool osr_ledger_find_peer(const struct osr_ledger *ledger, uint64_t member,
                          struct osr_raft_peer_info *ret_peer);
void osr_ledger_break(struct osr_ledger *ledger, const struct osr_err *err); /* ends the process */
/* What a configuration is to say of this instance. */
void osr_ledger_own_member(const struct osr_ledger *ledger, struct osr_ledger_member *ret_member);
/* This member takes part no more, and says why: what it says of itself can't be believed. */
void osr_ledger_stop(struct osr_ledger *ledger, const struct osr_err *err);

/* ledger_outputs.c */
int osr_ledger_open_state(struct osr_ledger *ledger, struct osr_err *err);
void osr_ledger_carry_out(struct osr_ledger *ledger, const struct osr_raft_output *output);
/* Nothing in the log counts any more; it begins behind the snapshot that was found at open. */
void osr_ledger_void_log(struct osr_ledger *ledger);

/* ledger_restore.c */
/* Makes the core, and starts it. */
void osr_ledger_begin(struct osr_ledger *ledger);
/* UNSUPPORTED_VERSION: of these members' commands this instance lacks some that may be in use. */
int osr_ledger_check_versions(const struct osr_ledger *ledger,
                              const struct osr_raft_configuration *members, struct osr_err *err);

/* ledger_identity.c */
/* Reads the facts, before log and state are looked at. */
int osr_ledger_recall(struct osr_ledger *ledger, struct osr_err *err);
/* Founds a ledger where there is none and the config says so; counts the start. */
void osr_ledger_identify(struct osr_ledger *ledger);
/* Becomes this member of that ledger; then osr_ledger_begin. */
void osr_ledger_join(struct osr_ledger *ledger, const char *id, uint64_t member);

/* ledger_requests.c */
void osr_ledger_list_init(struct ledger_list *list);
void osr_ledger_list_push(struct ledger_list *list, struct ledger_request *request);
struct ledger_request *osr_ledger_list_pop(struct ledger_list *list); /* NULL: it is empty */
void osr_ledger_list_append(struct ledger_list *list, struct ledger_list *more); /* is empty then */
void osr_ledger_requests_init(struct osr_ledger *ledger);
/* It waits, or is answered already where there are too many. */
struct ledger_request *osr_ledger_request(struct osr_ledger *ledger, enum ledger_request_kind kind,
                                          uint32_t timeout_ms, osr_agreed_done *done,
                                          void *context);
/* What cannot be begun: its caller is told at the end of the step. */
uint64_t osr_ledger_refuse(struct osr_ledger *ledger, osr_agreed_done *done, void *context,
                           const struct osr_err *err); /* 0: it has no number */
struct ledger_request *osr_ledger_find_request(struct osr_ledger *ledger, uint64_t number);
/* Its caller is told at the end of the step. */
void osr_ledger_answer(struct osr_ledger *ledger, struct ledger_request *request,
                       enum osr_code code, uint64_t index);
void osr_ledger_fail(struct osr_ledger *ledger, struct ledger_request *request,
                     const struct osr_err *err);
/* TIMEOUT: nobody knows whether it was done. */
void osr_ledger_say_unknown(struct osr_err *err, const char *why);
void osr_ledger_tell_answers(struct osr_ledger *ledger);
void osr_ledger_sweep(struct osr_ledger *ledger);
void osr_ledger_end_requests(struct osr_ledger *ledger);
void osr_ledger_forget(struct osr_agreement *agreement, uint64_t number);

/* ledger_attempts.c */
/* An attempt has failed and was surely not done, but for TIMEOUT: waits to be tried again, or,
 * where that makes no sense, fails. */
void osr_ledger_retry(struct osr_ledger *ledger, struct ledger_request *request,
                      const struct osr_err *err);
/* The core's FAILED and READABLE. */
void osr_ledger_attempt_failed(struct osr_ledger *ledger, uint64_t token,
                               const struct osr_err *err);
void osr_ledger_readable(struct osr_ledger *ledger, uint64_t token);
/* No leader can be reached now. */
void osr_ledger_wait_for_leader(struct osr_ledger *ledger, struct ledger_request *request);
/* There may be one now. */
void osr_ledger_retry_now(struct osr_ledger *ledger);
/* Hands what waits to the core or to the leader. */
void osr_ledger_dispatch(struct osr_ledger *ledger);
/* A later term's entry was applied, or (is_jump) a snapshot that may hold what was asked. */
void osr_ledger_term_applied(struct osr_ledger *ledger, uint64_t term, bool is_jump);
uint64_t osr_ledger_propose(struct osr_agreement *agreement, enum osr_machine_id machine,
                            uint8_t version, struct osr_slice command, uint32_t timeout_ms,
                            osr_agreed_done *done, void *context);
uint64_t osr_ledger_read(struct osr_agreement *agreement, bool is_local, uint32_t timeout_ms,
                         osr_agreed_done *done, void *context);

/* ledger_changes.c */
/* At the leader, or by asking it. */
void osr_ledger_dispatch_change(struct osr_ledger *ledger, struct ledger_request *request);
/* A configuration that this leader made is committed. */
void osr_ledger_change_applied(struct osr_ledger *ledger, uint64_t token);
void osr_ledger_transferred(struct osr_ledger *ledger, uint64_t token, enum osr_code code);
/* Its leader was asked in an earlier term than this one, which has begun. */
void osr_ledger_transfer_outlived(struct osr_ledger *ledger, struct ledger_request *request,
                                  uint64_t term);
void osr_ledger_take_applicant(struct osr_ledger *ledger,
                               const struct osr_ledger_applicant *applicant);
enum osr_raft_change_type osr_ledger_change_type(Osr__ClusterChangeType type); /* 0: unknown */
uint64_t osr_ledger_random_member(void);
/* As people name a member: its id, its instance's id or name. 0 and why: none, or several. */
uint64_t osr_ledger_find_member(const struct osr_ledger *ledger, const char *name,
                                struct osr_err *err);

/* ledger_updates.c */
/* Called all the time; looks now and then. */
void osr_ledger_update_members(struct osr_ledger *ledger);

/* ledger_ask.c */
/* False where no leader can be asked now. */
bool osr_ledger_ask_commands(struct osr_ledger *ledger, struct ledger_request *const *requests,
                             size_t count);
bool osr_ledger_ask_change(struct osr_ledger *ledger, struct ledger_request *request);
/* Tells the leader, if it can be reached, where another member can be dialled. */
void osr_ledger_tell_whereabouts(struct osr_ledger *ledger, struct osr_ledger_member *who);
void osr_ledger_take_ask(struct osr_ledger *ledger, uint64_t member, const Osr__LedgerAsk *ask);
void osr_ledger_take_answer(struct osr_ledger *ledger, uint64_t member,
                            const Osr__LedgerAnswer *answer);
void osr_ledger_ask_failed(struct osr_ledger *ledger, uint64_t token, const struct osr_err *err);

/* ledger_status.c */
/* Why there is no leader that could be asked, as UNAVAILABLE. */
void osr_ledger_explain_no_leader(const struct osr_ledger *ledger, struct osr_err *err);

#endif
