/* raft.h -- one member of a ledger: a log of commands that a majority of voters agrees on.
 *
 * After Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", and Ongaro's
 * dissertation (2014), with pre-vote, check-quorum, ReadIndex, learners, leadership transfer and
 * membership changes one at a time.
 *
 * Happy path of a command, at the leader: PROPOSE, FLUSH -> STORE and SEND(APPEND) side by side;
 * STORED here and APPENDED from enough others -> APPLY. At a follower: MESSAGE(APPEND) -> STORE;
 * STORED -> SEND(APPENDED); what the leader says is committed -> APPLY. Everything proposed before
 * one FLUSH is stored and sent together; while a follower's window is full more gathers for its
 * next message.
 *
 * Happy path of a read, at any member: READ -> the leader notes its commit index, hears from a
 * majority that it still leads, and says the index; once that much is applied -> READABLE.
 *
 * A follower that needs what the log no longer has gets the snapshot, in chunks: each is asked for
 * by the offset that the follower has, so that it goes on after an interruption where it was.
 *
 * Failures: messages may be lost, doubled, late, out of order. What makes no sense from anybody,
 * and answers of those that are no members, are dropped and counted (osr_raft_info.refused). A term
 * that is absurdly far ahead is not taken over: the own one comes nearer, at most 2^24 within a
 * heartbeat's time, so that nobody can use up all terms, nor part members for ever. DISK_FULL makes
 * a leader step down, and a follower forget what it could not store; a disk that fails otherwise
 * ends the process, which is the caller's to do.
 *
 * Invariants (checked in tests/sim/sim_raft.c after every step): one leader a term; a leader never
 * cuts or overwrites its own log; two logs with an entry of the same index and term are the same up
 * to there; what is committed is in the log of every later leader; members apply the same command
 * at each index; applied <= committed <= last, durable <= last; nothing is said that rests on what
 * is not yet durable.
 *
 * No I/O, no clock, no randomness but the seed's, one thread: the creating loop steps it. */
#ifndef OSR_CORE_RAFT_H
#define OSR_CORE_RAFT_H

#include "base/trace.h"
#include "core/raft_configuration.h"

enum {
    /* Of one command. More from another member is nonsense: no log has to be able to take it. */
    OSR_RAFT_COMMAND_BYTES_MAX = 1536 << 10,
    /* Of commands, or of a snapshot, in one message; likewise. */
    OSR_RAFT_MESSAGE_BYTES_MAX = 4 << 20,
    /* In one APPEND, sent or taken: stops small entries from making messages that take long. */
    OSR_RAFT_APPEND_ENTRIES_MAX = 1 << 14,
};

struct osr_raft; /* opaque */

struct osr_raft_options {
    uint64_t member; /* own id, never 0 */
    uint64_t seed;   /* of election time-outs: different at each member and start */
    /* Without word of a leader, before an election: at least this, at most twice. Also how long
     * a leader leads without word of a majority, and how long a transfer may take. */
    uint32_t election_timeout_ms;
    uint32_t heartbeat_ms;      /* of silence towards a follower */
    uint32_t command_bytes_max; /* TOO_LARGE above; at most OSR_RAFT_COMMAND_BYTES_MAX */
    /* Of commands in one APPEND, unless it is a single larger one; at most
     * OSR_RAFT_MESSAGE_BYTES_MAX, and so is chunk_bytes. */
    uint32_t message_bytes_max;
    uint32_t window_messages;     /* APPENDs under way to one follower */
    uint32_t window_bytes;        /* of commands in them */
    uint32_t pending_bytes_max;   /* proposed here and not yet committed; past it BUSY */
    uint32_t pending_entries_max; /* likewise */
    uint32_t reads_max;           /* READs not yet answered; past it BUSY */
    uint32_t apply_bytes;         /* given to APPLY and not yet APPLIED; then it waits */
    uint32_t cache_bytes;         /* of stored commands kept in memory for followers and APPLY */
    uint32_t chunk_bytes;         /* of a snapshot in one message */
    /* A learner has caught up when it lacked no more than this for an election time-out. */
    uint32_t caught_up_entries;
    struct osr_trace trace;
};

/* Defaults for all but member and seed. */
void osr_raft_options_init(struct osr_raft_options *options);

/* ---- the log ---- */

enum osr_raft_kind {
    OSR_RAFT_COMMAND = 1,       /* the caller's */
    OSR_RAFT_NOTHING = 2,       /* a leader's first entry: lets it commit what came before */
    OSR_RAFT_CONFIGURATION = 3, /* raft_configuration.h */
};

struct osr_raft_entry {
    uint64_t index; /* from 1 */
    uint64_t term;
    enum osr_raft_kind kind;
    uint64_t token; /* of the PROPOSE or CHANGE that was made here and made it; 0: none */
    struct osr_slice payload;
};

/* What a member must know again after a crash, besides its entries. */
struct osr_raft_vote {
    uint64_t term;      /* the latest seen */
    uint64_t candidate; /* voted for in this term; 0: nobody */
};

/* State up to and including index, as a durable file of the caller's. */
struct osr_raft_snapshot {
    uint64_t index; /* 0: there is none */
    uint64_t term;  /* of the entry at index */
    uint64_t size;  /* bytes */
    /* Of the bytes, the caller's to make and to check: two members' snapshots of one index may
     * differ, and half of one must not be finished with half of the other. */
    uint64_t checksum;
    struct osr_raft_configuration configuration; /* at index */
};

/* Consecutive entries of one term; the next span begins where it ends. */
struct osr_raft_span {
    uint64_t first;
    uint64_t term;
};

/* The log as the disk gave it back. */
struct osr_raft_restored {
    struct osr_raft_vote vote;
    struct osr_raft_snapshot snapshot;
    /* The entry in front of the first; 0 and 0 at the ledger's beginning. At most
     * snapshot.index; base_term is its term. */
    uint64_t base;
    uint64_t base_term;
    /* base: the log is empty. At least snapshot.index: a log that ends in front of the snapshot, or
     * has an entry of another term there, is what a crash within INSTALL left behind, and the
     * caller has to void it first. */
    uint64_t last;
    const struct osr_raft_span *spans; /* of base + 1 .. last */
    size_t span_count;
    /* Entries of kind CONFIGURATION above the snapshot, in order, with their payload. */
    const struct osr_raft_entry *configurations;
    size_t configuration_count;
    uint64_t applied; /* by the state machines; at least snapshot.index */
    /* Where nothing was restored: the founding member begins the ledger with itself as the one
     * voter (its first entry), with this as its context. Empty at one that waits to be added. */
    bool is_founder;
    struct osr_slice context;
};

/* ---- messages ---- */

enum osr_raft_message_type {
    OSR_RAFT_VOTE_REQUEST = 1,
    OSR_RAFT_VOTE_REPLY = 2,
    OSR_RAFT_APPEND = 3, /* also the heartbeat, without entries */
    OSR_RAFT_APPENDED = 4,
    OSR_RAFT_SNAPSHOT = 5, /* a chunk */
    OSR_RAFT_SNAPSHOT_TAKEN = 6,
    OSR_RAFT_READ_REQUEST = 7, /* of a follower: which index must I have applied? */
    OSR_RAFT_READ_REPLY = 8,
    OSR_RAFT_ELECT_NOW = 9, /* to the target of a transfer */
};

struct osr_raft_message {
    enum osr_raft_message_type type;
    uint64_t from; /* members */
    uint64_t to;
    uint64_t term; /* the sender's; of a pre-vote's request the one it would stand in */
    union {
        struct {
            bool is_pre;         /* would you? Changes nobody's term */
            bool is_transfer;    /* the leader wants it: whoever hears of that leader votes too */
            uint64_t last_index; /* of what the candidate has durably */
            uint64_t last_term;
        } vote_request;
        struct {
            bool is_pre;
            bool is_granted; /* term: if granted the request's, else the voter's own */
        } vote_reply;
        struct {
            uint64_t previous_index;
            uint64_t previous_term;
            uint64_t commit;
            uint64_t round; /* echoed: shows who has heard this leader since a READ */
            const struct osr_raft_entry *entries; /* from previous_index + 1 on, without tokens */
            size_t count;
        } append;
        struct {
            bool is_refused;     /* there is no such entry at previous_index */
            uint64_t index;      /* matched and durable up to here; of a refusal previous_index */
            uint64_t hint_index; /* of a refusal: the last that may match, and its term */
            uint64_t hint_term;
            uint64_t round;
        } appended;
        struct {
            const struct osr_raft_snapshot *snapshot; /* configuration: where offset is 0 */
            uint64_t offset;
            uint64_t round;
            struct osr_slice chunk; /* the last one ends at snapshot.size */
        } snapshot;
        struct {
            uint64_t index;
            uint64_t checksum;
            uint64_t offset; /* wanted next; snapshot.size: installed */
            uint64_t round;
        } snapshot_taken;
        struct {
            uint64_t request; /* chosen by the follower, echoed */
        } read_request;
        struct {
            uint64_t request;
            uint64_t index; /* 0: not the leader, or it has too many */
        } read_reply;
    };
};

/* ---- events ---- */

enum osr_raft_event_type {
    OSR_RAFT_START,   /* once, first */
    OSR_RAFT_PROPOSE, /* a command; at the leader */
    OSR_RAFT_CHANGE,  /* of the members; at the leader */
    OSR_RAFT_READ,    /* linearizable, at any member */
    OSR_RAFT_FLUSH,   /* no more events at hand: store and send what was proposed */
    OSR_RAFT_MESSAGE,
    OSR_RAFT_UNREACHABLE,   /* nothing that was sent to this member may have come */
    OSR_RAFT_STORED,        /* answers STORE */
    OSR_RAFT_FETCHED,       /* answers FETCH */
    OSR_RAFT_APPLIED,       /* entries given to APPLY, up to an index */
    OSR_RAFT_SNAPSHOT_MADE, /* the caller has one of its own state, durably */
    OSR_RAFT_CHUNK_READ,    /* answers READ_CHUNK */
    OSR_RAFT_CHUNK_WRITTEN, /* answers WRITE_CHUNK */
    OSR_RAFT_INSTALLED,     /* answers INSTALL */
    OSR_RAFT_TRANSFER,      /* leadership, to a voter */
    OSR_RAFT_TICK,          /* time has come to osr_raft_deadline_ms */
};

struct osr_raft_event {
    enum osr_raft_event_type type;
    uint64_t now_ms; /* monotonic */
    union {
        const struct osr_raft_restored *start;
        struct {
            uint64_t token;           /* never 0; given back in APPLY or FAILED */
            struct osr_slice command; /* copied */
        } propose;
        struct {
            uint64_t token;
            const struct osr_raft_change *change;
        } change;
        struct {
            uint64_t token; /* given back in READABLE or FAILED */
        } read;
        const struct osr_raft_message *message; /* stays the caller's, entries are copied */
        struct {
            uint64_t member;
        } unreachable;
        struct {
            uint64_t ticket;
            enum osr_code code; /* OK; DISK_FULL: nothing of it is stored, nor may be of those
                                   already put out behind it: they are answered likewise */
        } stored;
        struct {
            uint64_t ticket;
            /* Entries from the first asked for on, at least one; 0 where it failed. Copied. */
            const struct osr_raft_entry *entries;
            size_t count;
        } fetched;
        struct {
            uint64_t index;
        } applied;
        /* Index at most what is applied; the core fills in term and configuration. */
        const struct osr_raft_snapshot *snapshot_made;
        struct {
            uint64_t ticket;
            struct osr_slice chunk; /* empty: failed. Lives until the step's end, and that is how
                                       long the SEND made of it does */
        } chunk_read;
        struct {
            uint64_t ticket;
            enum osr_code code;
        } chunk_written;
        struct {
            uint64_t ticket;
            enum osr_code code; /* CORRUPT where the checksum is another's: begin anew */
        } installed;
        struct {
            uint64_t token;  /* given back in TRANSFERRED */
            uint64_t target; /* 0: whoever has most */
        } transfer;
    };
};

/* ---- outputs ---- */

enum osr_raft_output_type {
    OSR_RAFT_OUT_STORE, /* durably, all or nothing, in the order of the outputs; STORED */
    OSR_RAFT_OUT_SEND,
    OSR_RAFT_OUT_APPLY,       /* in order, each once, none left out since START's `applied` or the
                                 last INSTALL; APPLIED */
    OSR_RAFT_OUT_FAILED,      /* a PROPOSE, CHANGE or READ comes to nothing */
    OSR_RAFT_OUT_READABLE,    /* a READ may look now */
    OSR_RAFT_OUT_FETCH,       /* read stored entries; FETCHED */
    OSR_RAFT_OUT_DISCARD,     /* entries up to and including an index are not needed any more */
    OSR_RAFT_OUT_READ_CHUNK,  /* of the own snapshot; CHUNK_READ */
    OSR_RAFT_OUT_WRITE_CHUNK, /* of the snapshot that comes, offset 0 begins another; durable at
                                 INSTALL alone; CHUNK_WRITTEN. What fails begins anew */
    OSR_RAFT_OUT_INSTALL, /* what was written is whole: check it, make it durable as the snapshot,
                             forget the whole log, which begins behind it from now on, and give it
                             to the state machines; INSTALLED */
    OSR_RAFT_OUT_TRANSFERRED, /* answers TRANSFER */
    OSR_RAFT_OUT_ROLE, /* role, term, leader or configuration are others now: osr_raft_info */
};

struct osr_raft_output {
    enum osr_raft_output_type type;
    union {
        struct {
            uint64_t ticket;
            bool has_vote;
            struct osr_raft_vote vote;
            /* Before the entries are appended, cut off all behind this; UINT64_MAX: nothing. */
            uint64_t truncate_after;
            /* Array and payloads live until STORED with this ticket. */
            const struct osr_raft_entry *entries;
            size_t count;
        } store;
        const struct osr_raft_message *send; /* lives until the next step */
        struct {
            const struct osr_raft_entry
                *entries; /* live until the next step; commands and others */
            size_t count;
        } apply;
        struct {
            uint64_t token;
            /* UNAVAILABLE: not led by this member, or no leader: nothing was done, ask `leader`.
             * BUSY, TOO_LARGE, INVALID_ARGUMENT, ...: nothing was done.
             * CANCELLED: was in the log and has been cut off: it surely will not be done.
             * TIMEOUT: a snapshot came over it: nobody knows whether it was done. */
            enum osr_code code;
            uint64_t leader; /* 0: not known */
            const char *why; /* for people; static */
        } failed;
        struct {
            uint64_t token;
        } readable;
        struct {
            uint64_t ticket;
            uint64_t first;
            uint64_t last;
            size_t bytes_max; /* of payloads; the first entry is given whatever its size */
        } fetch;
        struct {
            uint64_t index;
            uint64_t term;
        } discard;
        struct {
            uint64_t ticket;
            uint64_t index; /* of the snapshot */
            uint64_t offset;
            size_t size;
        } read_chunk;
        struct {
            uint64_t ticket;
            const struct osr_raft_snapshot *snapshot;
            uint64_t offset;
            struct osr_slice chunk; /* lives until the next step */
        } write_chunk;
        struct {
            uint64_t ticket;
            const struct osr_raft_snapshot *snapshot; /* lives until INSTALLED */
        } install;
        struct {
            uint64_t token;
            enum osr_code code; /* OK: somebody else leads; TIMEOUT: this one goes on */
        } transferred;
    };
};

struct osr_raft_outputs {
    struct osr_raft_output *items; /* owned by the core, valid until the next step */
    size_t count;
};

/* On failure *ret_raft is untouched and err says why. */
int osr_raft_create(const struct osr_raft_options *options, struct osr_raft **ret_raft,
                    struct osr_err *err);
void osr_raft_destroy(struct osr_raft *raft); /* NULL is a no-op */

/* The event stays the caller's; outputs live until the next step and are carried out in their
 * order. */
void osr_raft_step(struct osr_raft *raft, const struct osr_raft_event *event,
                   struct osr_raft_outputs *outputs);

/* When TICK is due, on the scale of now_ms; UINT64_MAX: never. */
uint64_t osr_raft_deadline_ms(const struct osr_raft *raft);

/* ---- what it looks like from outside ---- */

enum osr_raft_role {
    OSR_RAFT_FOLLOWER,
    OSR_RAFT_PRE_CANDIDATE,
    OSR_RAFT_CANDIDATE,
    OSR_RAFT_LEADER,
};

struct osr_raft_info {
    enum osr_raft_role role;
    uint64_t term;
    uint64_t durable_term; /* the latest that it surely knows after a crash */
    uint64_t leader;       /* 0: not known */
    uint64_t since_ms;     /* when role, term or leader changed last */
    uint64_t base;
    uint64_t last;
    uint64_t durable;
    uint64_t commit;
    uint64_t applied;
    uint64_t snapshot;      /* index */
    uint64_t configured_at; /* index of the entry that the configuration is from */
    bool is_changing;       /* that entry is not committed */
    bool is_transferring;
    uint64_t refused; /* messages dropped because they made no sense */
};
void osr_raft_info(const struct osr_raft *raft, struct osr_raft_info *ret_info);
/* The newest in the log. Lives until the next step. */
const struct osr_raft_configuration *osr_raft_members(const struct osr_raft *raft);

enum osr_raft_progress {
    OSR_RAFT_PROBING,     /* where its log ends is not known: one message at a time */
    OSR_RAFT_REPLICATING, /* a window of messages */
    OSR_RAFT_SNAPSHOTTING,
};

/* Of another member, as the leader sees it; as others do, only heard_ms counts. */
struct osr_raft_peer_info {
    uint64_t id;
    enum osr_raft_progress progress;
    uint64_t matched; /* durable there */
    uint64_t next;
    size_t in_flight;      /* APPENDs */
    uint64_t heard_ms;     /* when something came last; 0: never */
    uint64_t chunk_offset; /* of the snapshot that it gets */
};
size_t osr_raft_peer_count(const struct osr_raft *raft);
void osr_raft_peer_info(const struct osr_raft *raft, size_t index,
                        struct osr_raft_peer_info *ret_info);

/* Bytes and entries proposed here and not committed: read fewer requests well before the limit. */
size_t osr_raft_backlog(const struct osr_raft *raft);

#endif
