/* ledger_links.h -- the other members of the ledger: who of them is there, by which link, and
 * whether what a link says may be believed.
 *
 * Happy path: a link is up -> MEMBER from each side (proto: which ledger, which member, how far)
 * -> they are of one ledger and its configuration, or nothing against it, says that this instance
 * is this member -> RAFT, LEDGER_ASK and LEDGER_ANSWER flow. Members that the configuration names
 * and to which there is no link are dialled at their addresses (osr_peers_add_member).
 *
 * A member is reached by a link for the ledger alone, which no feed delays; while there is none (it
 * cannot be dialled, or only at a broker) by one for feeds. What comes is taken from either.
 *
 * One that waits to be added says so in MEMBER; whoever hears it tells the owner (on_wants_in), who
 * has it added by the leader, and then says MEMBER with its number in your_member.
 *
 * Who may speak for a member: the instance that HELLO_PROOF has shown, if access lets it vote
 * (OSR_ACTION_VOTE), and
 *     the configuration gives this member id to this very instance, or
 *     it does not know the id, but that of a member who is in it does (it may be older than the
 *     sender's: members tell each other their configurations), or
 *     there is no configuration here yet, and no other instance has used the id.
 * Who is removed goes on over the links that it has: a leader that removes itself leads to the end.
 * Everything else is dropped, and counted; MEMBER tells it why, and status tells people.
 *
 * Refused besides: another ledger (its data folder is another cluster's); a member that says less
 * than it said before (fewer starts, a smaller term, or less log than it acknowledged to this
 * leader: restored from an old copy, its votes and acknowledgements are lost, so it may not vote
 * again: remove it and add it anew). Its starts are remembered in the log (fact "member:ID").
 *
 * Limits: OSR_RAFT_MEMBERS_MAX members are dialled; strangers' ids are remembered for
 * OSR_LEDGER_STRANGERS_MAX links at a time.
 *
 * Threads: the loop's only. Handlers come from the loop, and from within frame and down; never from
 * within another function of this header. */
#ifndef OSR_NODE_LEDGER_LINKS_H
#define OSR_NODE_LEDGER_LINKS_H

#include "core/agreement.h"
#include "model/limits.h"
#include "node/access.h"
#include "node/config.h"
#include "node/journal.h"
#include "node/peers.h"
#include "node/raft_message.h"

enum {
    OSR_LEDGER_ID_CHARS = 26, /* 16 random bytes, base32 */
    OSR_LEDGER_STRANGERS_MAX = 32,
    OSR_LEDGER_ADDRESSES_MAX = 4, /* of one member: they are part of its context */
};

/* What a configuration says of a member in its context. Text fields of a JSON-free form, so that
 * it has one encoding: name, instance and addresses, each with a u8 length in front, u8 count of
 * addresses, and u8 count and bytes of the versions of commands it understands. */
struct osr_ledger_member {
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    char addresses[OSR_LEDGER_ADDRESSES_MAX][OSR_URL_TEXT_MAX];
    size_t address_count;
    uint8_t versions[OSR_MACHINES_MAX]; /* [machine - 1]; 0: that machine is not known there */
};
/* What does not fit the context's size is left out: addresses from the last one on. */
void osr_ledger_member_encode(const struct osr_ledger_member *member,
                              struct osr_raft_member *ret_member);
int osr_ledger_member_decode(const struct osr_raft_member *member,
                             struct osr_ledger_member *ret_member, struct osr_err *err);
/* Where the configuration says of a member what it `says` of itself no more: true, and the member
 * as it is to be. What was said to one listener may lack what others know: addresses that still
 * hold stay as they are. False, too, where another instance says it, or it cannot be put down. */
bool osr_ledger_member_update(const struct osr_raft_member *configured,
                              const struct osr_ledger_member *says,
                              struct osr_raft_member *ret_updated);
/* Whether the configuration says the same of both. */
bool osr_ledger_member_is_same(const struct osr_raft_member *a, const struct osr_raft_member *b);
/* Of commands of each machine, what all members understand: the lowest of all versions. */
void osr_ledger_members_understand(const struct osr_raft_configuration *members,
                                   uint8_t versions[OSR_MACHINES_MAX]);
bool osr_ledger_member_understands(const struct osr_ledger_member *member,
                                   const uint8_t versions[OSR_MACHINES_MAX]);

/* How this instance stands. */
struct osr_ledger_standing {
    char ledger[OSR_LEDGER_ID_CHARS + 1]; /* empty: none */
    uint64_t member;
    uint64_t starts;
    uint64_t term;
    uint64_t last_index;
    bool wants_in;
    uint8_t versions[OSR_MACHINES_MAX];
};

struct osr_ledger_applicant {
    uint32_t link; /* osr_session_number */
    struct osr_ledger_member who;
};

struct osr_ledger_links_handler {
    /* This instance as it is now, and its configuration (NULL: none). */
    void (*standing)(void *context, struct osr_ledger_standing *ret_standing);
    const struct osr_raft_configuration *(*configuration)(void *context);
    /* What a member acknowledged to this one in its present term; 0: nothing, or not the leader. */
    uint64_t (*acknowledged)(void *context, uint64_t member);
    /* Lives until the return. */
    void (*on_message)(void *context, const struct osr_raft_message *message);
    void (*on_ask)(void *context, uint64_t member, const Osr__LedgerAsk *ask);
    void (*on_answer)(void *context, uint64_t member, const Osr__LedgerAnswer *answer);
    void (*on_reachable)(void *context, uint64_t member);
    void (*on_unreachable)(void *context, uint64_t member);
    /* An instance waits to be added; said again every OSR_LEDGER_WAIT_MS while it does. */
    void (*on_wants_in)(void *context, const struct osr_ledger_applicant *applicant);
    /* This instance waited, and has been added as this member. */
    void (*on_welcome)(void *context, const char *ledger, uint64_t member);
    /* A member takes nothing of this one: for `why`, and if it says that this one is older than it
     * was, this one must stop (OSR_CONFLICT). Said again every OSR_LEDGER_WAIT_MS while it does. */
    void (*on_refused)(void *context, uint64_t member, const struct osr_err *err);
    void *context;
};

enum { OSR_LEDGER_WAIT_MS = 2000 };

struct osr_ledger_links;

struct osr_ledger_links_options {
    uv_loop_t *loop;
    const struct osr_config *config;
    const char *instance; /* own id */
    struct osr_sessions *sessions;
    struct osr_peers *peers;
    struct osr_access *access;
    struct osr_journal *journal;
    struct osr_listener *const *listeners; /* whose addresses are told to others */
    const size_t *listener_count;
    const struct osr_trace *trace;
};

struct osr_ledger_links *osr_ledger_links_create(const struct osr_ledger_links_options *options,
                                                 const struct osr_ledger_links_handler *handler);
/* When the sessions are gone; then run the loop once more. NULL is a no-op. */
void osr_ledger_links_destroy(struct osr_ledger_links *links);

/* From the instance: a link's other end has been shown, a frame of ours came, the link is gone. */
void osr_ledger_links_up(struct osr_ledger_links *links, struct osr_session *session);
void osr_ledger_links_frame(struct osr_ledger_links *links, struct osr_session *session,
                            const Osr__Frame *frame);
void osr_ledger_links_down(struct osr_ledger_links *links, struct osr_session *session);

/* The standing, the configuration, or who may vote (a reload, a revocation) is another now: looks
 * at all links again, tells them, dials whom it names. Soon, and before anything that comes by a
 * link is believed. */
void osr_ledger_links_changed(struct osr_ledger_links *links);

/* False where there is no link to that member: nothing was sent. */
bool osr_ledger_links_send(struct osr_ledger_links *links, const char *ledger,
                           const struct osr_raft_message *message);
bool osr_ledger_links_send_frame(struct osr_ledger_links *links, uint64_t member,
                                 const Osr__Frame *frame);
/* Says MEMBER with your_member to one that waits, if its link is still there and it still waits. */
void osr_ledger_links_welcome(struct osr_ledger_links *links, uint32_t link, uint64_t member);

/* Instance, name and addresses of this one, for its own context. Loopback and wildcard addresses
 * stand as they are; others put in what they see. */
void osr_ledger_links_own(const struct osr_ledger_links *links,
                          struct osr_ledger_member *ret_member);
/* What a member says of itself by the link at that place among its links, from 0 on; NULL: it has
 * fewer. Hosts are as they are seen from here. */
const struct osr_ledger_member *osr_ledger_links_said(const struct osr_ledger_links *links,
                                                      uint64_t member, size_t place);
bool osr_ledger_links_is_reachable(const struct osr_ledger_links *links, uint64_t member);
/* It is reached by a link for the ledger alone. */
bool osr_ledger_links_is_own(const struct osr_ledger_links *links, uint64_t member);
/* Who waits now, for ADD by name; NULL: nobody of that id, and not one alone of that name. */
const struct osr_ledger_applicant *osr_ledger_links_find_applicant(
    const struct osr_ledger_links *links, const char *name);
/* What is wrong with that member, as seen from here; "": nothing. */
const char *osr_ledger_links_trouble(const struct osr_ledger_links *links, uint64_t member);
/* Frames that nothing was made of, so far. */
uint64_t osr_ledger_links_dropped(const struct osr_ledger_links *links);

#endif
