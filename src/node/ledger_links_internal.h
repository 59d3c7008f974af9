/* ledger_links_internal.h -- what the parts of a ledger's links share. For these alone:
 *     ledger_links.c    links come and go, frames pass
 *     ledger_belief.c   whether a link may be believed
 *     ledger_said.c     MEMBER, as it is said and as it is read
 *     ledger_dialled.c  which members are dialled, and where */
#ifndef OSR_NODE_LEDGER_LINKS_INTERNAL_H
#define OSR_NODE_LEDGER_LINKS_INTERNAL_H

#include "node/ledger_roll.h"

/* What a MEMBER says, checked for its form. */
struct osr_ledger_said {
    char ledger[OSR_LEDGER_ID_CHARS + 1];
    uint64_t member;
    uint64_t starts;
    uint64_t term;
    uint64_t last_index;
    bool wants_in;
    uint64_t your_member;
    struct osr_slice
        configuration;            /* encoded, and good; empty: it says nothing. Until the return */
    struct osr_err refused;       /* why it takes nothing of us; code OK: it does */
    struct osr_ledger_member who; /* addresses as they can be dialled from here */
};

enum ledger_link_kind {
    LEDGER_BYSTANDER, /* is of no concern, or nothing is taken of it (refusal) */
    LEDGER_APPLICANT, /* waits to be added */
    LEDGER_MEMBER,    /* is believed to be the member that it says */
};

struct ledger_link {
    struct osr_session *session;
    uint32_t number;
    bool has_spoken; /* a MEMBER has come */
    struct osr_ledger_said said;
    enum ledger_link_kind kind;
    struct osr_err refusal;  /* why nothing is taken of it; code OK: there is no reason */
    struct osr_err reported; /* of said.refused, what the owner was told last */
    struct osr_ledger_applicant applicant;
    uint64_t welcome;          /* the id that it was told it was added with; 0: none */
    uint64_t usable;           /* the member that the owner reaches by it; 0: none */
    struct osr_buffer vouched; /* who is a member, as it says; empty: it does not */
    struct osr_buffer told;    /* what it was told last, but for last_index */
};

/* A member that is dialled. */
struct ledger_dialled {
    char instance[OSR_INSTANCE_CHARS + 1];
    struct osr_ledger_member heard; /* its addresses, by what was said last */
};

struct osr_ledger_links {
    struct osr_ledger_links_options options;
    struct osr_ledger_links_handler handler;
    struct osr_ledger_roll *roll;
    struct osr_raft_room room;
    struct ledger_link *links[OSR_LINKS_MAX];
    size_t count;
    struct ledger_dialled dialled[OSR_RAFT_MEMBERS_MAX];
    size_t dialled_count;
    uv_timer_t turn;  /* ends with this turn of the loop: something has changed */
    uv_timer_t sweep; /* OSR_LEDGER_WAIT_MS */
    bool is_changed;
    size_t open_handles;
    uint64_t dropped; /* frames */
};

/* ledger_links.c */
/* Empty where there is none. */
const struct osr_raft_configuration *osr_ledger_links_configuration(
    const struct osr_ledger_links *links);

/* ledger_belief.c */
struct osr_ledger_now osr_ledger_belief_now(const struct osr_ledger_links *links,
                                            const struct osr_ledger_standing *own);
/* Whether the link's instance may be a member at all. */
int osr_ledger_belief_check_vote(const struct osr_ledger_links *links,
                                 const struct ledger_link *link, struct osr_err *err);
/* What it is by what it has said; *err: why nothing is taken of it, or as it was. */
enum ledger_link_kind osr_ledger_belief_judge(struct osr_ledger_links *links,
                                              const struct ledger_link *link,
                                              const struct osr_ledger_standing *own,
                                              struct osr_err *err);
/* Whether the configuration names it as the member that it says it is, and it may be. */
bool osr_ledger_belief_is_named(const struct osr_ledger_links *links,
                                const struct ledger_link *link,
                                const struct osr_ledger_standing *own);
/* Whether what it says against this instance counts. Only one that the configuration names is
 * believed that this member is older than it was. */
bool osr_ledger_belief_takes_refusal(const struct osr_ledger_links *links,
                                     const struct ledger_link *link,
                                     const struct osr_ledger_standing *own);

/* ledger_said.c */
/* What a link has to be told now. Where that is what it was told before: nothing, but if `again`.
 */
void osr_ledger_said_tell(struct osr_ledger_links *links, struct ledger_link *link, bool again);
/* INVALID_ARGUMENT. */
int osr_ledger_said_read(const struct osr_ledger_links *links, const struct ledger_link *link,
                         const Osr__Member *member, struct osr_ledger_said *ret_said,
                         struct osr_err *err);

/* Of addresses told by the link, those that may be dialled from here. */
void osr_ledger_said_addresses(const struct osr_ledger_links *links, const struct ledger_link *link,
                               char *const *addresses, size_t count, struct osr_ledger_member *who);

/* ledger_dialled.c */
/* Whom the configuration names is dialled, and nobody else. */
void osr_ledger_dialled_set(struct osr_ledger_links *links);
/* A member has said where it can be reached. */
void osr_ledger_dialled_hear(struct osr_ledger_links *links, const struct osr_ledger_member *who);
/* By that link another member has said it of one that may have none here. */
void osr_ledger_dialled_told(struct osr_ledger_links *links, const struct ledger_link *link,
                             const Osr__LedgerAsk *told);

#endif
