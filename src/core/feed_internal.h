/* feed_internal.h -- what the parts of the feed core share. May be included by
 * src/core/feed*.c alone.
 *
 *   feed.c            life, dispatch of events, deadline, information
 *   feed_output.c     outputs, tickets of what is under way, frames
 *   feed_replica.c    the table of feeds held
 *   feed_restore.c    what the log gave back: verified, cut, signed again
 *   feed_session.c    links: who is there, once or twice, and whether still
 *   feed_greeting.c   HELLO and HELLO_PROOF: how each side shows who it is
 *   feed_own.c        writes into the own feeds, and waiting for followers
 *   feed_own_claim.c  peers that say they hold more of an own feed than we do
 *   feed_lead.c       sending committed entries to those who asked, and statements (ACK)
 *   feed_follow.c     choosing whom to ask, and asking
 *   feed_receive.c    taking what comes
 *   feed_access.c     whose feeds are taken, and who is given them */
#ifndef OSR_CORE_FEED_INTERNAL_H
#define OSR_CORE_FEED_INTERNAL_H

#include "base/map.h"
#include "core/feed.h"
#include "core/queue.h"
#include "model/limits.h"

/* Guards that the simulation must miss when they are gone: building with -Dmutate=NAME turns
 * OSR_GUARD_NAME off. The expression is still compiled and evaluated. */
#ifdef OSR_MUTATE_ACK_CHECK
#define OSR_GUARD_ACK_CHECK 0
#else
#define OSR_GUARD_ACK_CHECK 1 /* an ACK counts for a write only if it reaches it */
#endif
#ifdef OSR_MUTATE_DUPLICATE_CHECK
#define OSR_GUARD_DUPLICATE_CHECK 0
#else
#define OSR_GUARD_DUPLICATE_CHECK 1 /* entries already received are dropped */
#endif
#ifdef OSR_MUTATE_ACK_AFTER_DURABLE
#define OSR_GUARD_ACK_AFTER_DURABLE 0
#else
#define OSR_GUARD_ACK_AFTER_DURABLE 1 /* ACK states what is stored and verified */
#endif
#ifdef OSR_MUTATE_CHAIN_CHECK
#define OSR_GUARD_CHAIN_CHECK 0
#else
#define OSR_GUARD_CHAIN_CHECK 1 /* no gaps, and the chain is what the sender says it is */
#endif
#ifdef OSR_MUTATE_CURSOR_DURABLE
#define OSR_GUARD_CURSOR_DURABLE 0
#else
#define OSR_GUARD_CURSOR_DURABLE 1 /* after a failure all begins again at the durable cursor */
#endif

enum {
    OSR_FEED_PROTOCOL = 1,
    OSR_FEED_LABEL_CHARS = 47,
    /* Instances remembered as followers: stops short-lived identities from growing memory. The
     * longest gone makes room. More than OSR_PEERS_MAX, so that there always is one. */
    OSR_FEED_PARTIES_MAX = 256,
    /* Writes that wait for followers: stops clients from growing memory while none is there. */
    OSR_FEED_WAITING_MAX = 4096,
    /* The shortest time between two statements on one feed to a peer that does not lead it to
     * us: stops every commit from costing a frame a peer. */
    OSR_FEED_STATE_INTERVAL_MS = 200,
    /* Statements repeated to a peer each heartbeat, in turn: repairs lost ones, cheaply. */
    OSR_FEED_RESTATE_MAX = 32,
    /* Statements kept while a proof is being verified: stops a peer from growing memory before
     * it is known. What is dropped is said again later. */
    OSR_FEED_EARLY_MAX = 2 * OSR_FEEDS_MAX,
    /* READs under way for one feed and follower: stops FETCH after FETCH, each of which makes
     * the last READ void, from queueing up work. */
    OSR_FEED_READS_MAX = 2,
    /* Doublings of retry_ms. */
    OSR_FEED_ATTEMPTS_MAX = 4,
};

struct peer;

/* What a party says it holds of an own feed of ours behind its end. */
struct own_claim {
    uint64_t sequence;   /* up to here, on the link it has now; 0: it says no such thing */
    uint64_t refused;    /* a claim up to here counts no more: its entries were not shown */
    uint64_t since_ms;   /* since when writes wait for it, while sequence > 0 */
    uint64_t left_ms;    /* for how long from then on */
    uint64_t granted_ms; /* left_ms as it was at first; halved for each claim not shown in time */
};

/* An instance that was identified since the start, linked or not. */
struct party {
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    struct peer *peer; /* the link to it; NULL: none */
    uint64_t gone_ms;  /* since when there is none */
    struct own_claim own_claims[OSR_STREAM_COUNT];
};

/* What a party says it holds of a feed. */
struct holding {
    bool stated;
    uint64_t sequence;
};

/* A batch from a peer, on its way to the log. */
struct receipt {
    uint64_t id; /* never used twice */
    struct osr_feed_head head;
    struct osr_time time; /* of its last entry, the greatest */
    size_t bytes;
    uint64_t peer_serial; /* who sent it */
    bool stored;
    bool verified;
};

/* A batch sent to a follower and not yet acknowledged. */
struct sent_batch {
    uint64_t last;
    size_t bytes;
};

/* One feed on one link. */
struct channel {
    /* What we last said we hold; what HELLO said counts. */
    uint64_t told;
    uint64_t told_ms;
    uint64_t stopped_ms; /* when we last asked it to send no more */
    bool fork_suspected; /* it sent another branch, whose signature is being verified */
    bool forked;         /* it holds another branch: not asked */

    /* What the peer asked for. Invariant: acked <= sent; in_flight holds what is between. */
    bool subscribed;
    bool probing; /* one batch at a time, until something is acknowledged */
    uint64_t acked;
    uint64_t sent;
    uint64_t read_ticket;       /* of the READ whose outcome is wanted; 0: none */
    uint32_t reads;             /* under way, wanted or not */
    struct osr_queue in_flight; /* of struct sent_batch */
    size_t in_flight_bytes;
    uint64_t progress_ms;
    uint64_t blocked_until_ms; /* after a READ that gave nothing */
    uint32_t attempts;
};

enum replica_state {
    REPLICA_LIVE,
    REPLICA_CHECKING, /* restored: its head is being verified, or signed if own */
    REPLICA_CUTTING,  /* a TRUNCATE to its head is under way, or waits for its turn */
};

/* One feed as it is held here, own or not.
 * Invariant: head.sequence <= received; receipts are what is between, in order. */
struct replica {
    struct osr_feed_id id;
    enum osr_feed_stream stream;
    char label[OSR_FEED_LABEL_CHARS + 1]; /* for traces */
    struct own *own;                      /* NULL: it is another's */
    struct osr_public_key public_key;     /* as restored, or as the last batch had it */
    enum replica_state state;
    bool cut_failed;              /* TRUNCATE found no room: again at blocked_until_ms */
    bool restoring;               /* COMMIT with first = 0 is still to come */
    uint64_t restored_sequence;   /* last entry the log gave back, while restoring */
    struct osr_queue older_heads; /* of struct osr_feed_head, newest first, while restoring */

    struct osr_feed_head head; /* committed: durable, and verified or signed by us */
    struct osr_time head_time; /* of the entry at head; zero where it is not known */
    uint64_t received;
    struct osr_hash received_chain;
    struct osr_time received_time;
    struct osr_queue receipts; /* of struct receipt */
    size_t receipts_bytes;
    size_t receipts_unverified; /* of them, at most OSR_FEED_UNVERIFIED_MAX */
    uint32_t era;               /* counts rollbacks; completions of older ones are void */

    /* Following. */
    struct peer *provider; /* whom we asked; NULL: nobody */
    uint64_t progress_ms;  /* when something came, or we asked */
    uint64_t asked_ms;
    uint64_t blocked_until_ms; /* after a failed STORE or TRUNCATE: ask again then */
    uint32_t attempts;
    bool gap; /* something is missing: ask as soon as the receipts are through */

    bool unannounced;         /* some peer has not been told of head yet */
    struct channel *channels; /* by the peer's slot */
    struct holding *holdings; /* by party */
};

enum peer_state {
    PEER_GREETING, /* HELLO is sent, theirs has not come */
    PEER_PROVING,  /* their HELLO has come */
    PEER_UP,       /* both proofs are done */
    PEER_CLOSING,  /* CLOSE was put out */
};

struct claim {
    struct osr_feed_id feed;
    uint64_t sequence;
    bool has_chain;
    struct osr_hash chain;
};

/* An ACK, or a FETCH, where claim.sequence is the first that is wanted. */
struct statement {
    bool is_fetch;
    struct claim claim;
};

/* A link. One for the ledger has no party and nothing else that is about feeds. */
struct peer {
    uint32_t number; /* the caller's */
    uint32_t slot;   /* index in core->peers */
    uint64_t serial; /* never used twice */
    enum peer_state state;
    Osr__LinkPurpose purpose;
    bool dialled;
    bool proof_sent;
    bool proof_pending; /* theirs is being verified */
    bool proven;
    uint8_t nonce[OSR_NONCE_SIZE];
    uint8_t their_nonce[OSR_NONCE_SIZE];
    uint8_t binding[OSR_BINDING_BYTES_MAX];
    size_t binding_size;
    uint8_t boot[OSR_BOOT_SIZE];
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    char label[OSR_FEED_LABEL_CHARS + 1]; /* for traces */
    struct claim *claims;                 /* HELLO.held, until the proof is done */
    size_t claim_count;
    struct osr_queue early; /* of struct statement, until then too */
    struct party *party;    /* once up, for feeds */
    uint64_t opened_ms;
    uint64_t heard_ms;
    uint64_t pinged_ms;
    uint64_t restated_ms;
    size_t restate_next; /* index of the replica whose turn it is */
};

enum operation_kind {
    OPERATION_FREE,
    OPERATION_STORE_OWN,
    OPERATION_SIGN_OWN,
    OPERATION_STORE,
    OPERATION_VERIFY,
    OPERATION_VERIFY_FORK,
    OPERATION_TRUNCATE,
    OPERATION_VERIFY_RESTORED,
    OPERATION_SIGN_RESTORED,
    OPERATION_READ,
    OPERATION_SIGN_PROOF,
    OPERATION_VERIFY_PROOF,
};

/* What was put out and will be answered. */
struct operation {
    enum operation_kind kind;
    uint32_t generation; /* of its place in the table: part of the ticket */
    uint32_t next_free;
    struct replica *replica; /* of feeds */
    uint32_t era;
    uint64_t receipt_id;
    uint32_t peer_slot; /* of READ and proofs */
    uint64_t peer_serial;
};

/* A write not yet answered. */
struct write {
    uint64_t token;
    size_t unsealed; /* entries without a sequence yet */
    uint64_t first;  /* 0: none has one */
    uint64_t last;
    struct osr_time first_time;
    uint32_t acks;
    uint64_t deadline_ms;
};

/* Writing into the own feed of one stream. `batches` are full or open and have no sequences, times
 * and chain values yet; the one in `sealed` has, and is on its way to the log. */
struct own {
    struct replica *replica;  /* NULL until there is something of it, or a peer says so */
    struct osr_queue batches; /* of struct osr_batch */
    size_t pending_bytes;     /* in batches and sealed */
    bool flush;               /* send off what is there as soon as possible */

    struct osr_batch sealed;
    bool sealing; /* sealed is under way */
    bool stored;
    bool is_signed;
    struct osr_feed_head sealed_head;
    uint64_t head_stored; /* the newest head in the log */

    struct osr_queue writes; /* of struct write: not committed, in order */
    size_t writes_sealed;    /* of them, from the front, wholly sealed */
    struct write *waiting;   /* committed, wait for followers; in order of last */
    size_t waiting_count;
    size_t acks_count; /* in writes and waiting: those that want followers */
};

struct osr_feed {
    struct osr_feed_options options;
    char cluster[OSR_CLUSTER_BYTES_MAX + 1];
    char name[OSR_NAME_BYTES_MAX + 1];
    char instance[OSR_INSTANCE_CHARS + 1];
    bool started;
    struct osr_clock clock;
    uint64_t now_ms; /* of the event in hand */
    uint64_t time_ms;
    uint64_t deadline_ms;

    struct replica **replicas; /* [0] is the own kb feed */
    size_t replica_count;
    size_t replica_capacity;
    struct osr_map *replica_by_id;
    bool unannounced; /* some replica is */

    struct own own[OSR_STREAM_COUNT];
    struct osr_batch incoming; /* reused, unless the receiver of STORE takes its memory */
    uint64_t receipt_id_last;

    /* By slot; NULL: free. Feeds have channels to the first options.peers_max, and know nothing of
     * the links for the ledger behind these. */
    struct peer **peers;
    uint32_t slot_count;
    uint64_t peer_serial_last;
    struct party *parties;
    size_t party_count;

    struct operation *operations;
    uint32_t operation_count;
    uint32_t operation_free; /* index of the first free one; operation_count: none */

    struct osr_feed_output *outputs;
    size_t output_count;
    size_t output_capacity;
    struct osr_arena *arena; /* everything that outputs point to; reset at each step */
    struct osr_buffer scratch;
};

/* ---- feed.c ---- */

/* Asks for a TICK at that time at the latest. */
void osr_feed_arm(struct osr_feed *core, uint64_t at_ms);
void osr_feed_say(const struct osr_feed *core, enum osr_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* retry_ms, doubled for each attempt up to a cap. */
uint64_t osr_feed_retry_ms(const struct osr_feed *core, uint32_t attempts);

/* ---- feed_output.c ---- */

struct osr_feed_output *osr_feed_put_out(struct osr_feed *core, enum osr_feed_output_type type);
/* Memory that lives until the next step; zeroed. */
void *osr_feed_take(struct osr_feed *core, size_t size);
/* Ticket of a new operation. *ret_operation lives until the next one is made. */
uint64_t osr_feed_operation_begin(struct osr_feed *core, enum operation_kind kind,
                                  struct operation **ret_operation);
/* Takes it off the table; false where the ticket is unknown. */
bool osr_feed_operation_end(struct osr_feed *core, uint64_t ticket,
                            struct operation *ret_operation);

void osr_feed_put_out_commit(struct osr_feed *core, struct replica *replica, uint64_t first,
                             uint64_t last);
void osr_feed_put_out_truncate(struct osr_feed *core, struct replica *replica);
/* What was put into core->scratch, in memory that lives until the next step. */
struct osr_slice osr_feed_keep_scratch(struct osr_feed *core);
/* What the origin signs. */
struct osr_slice osr_feed_head_message(struct osr_feed *core, const struct replica *replica,
                                       const struct osr_feed_head *head);
Osr__Frame *osr_feed_make_frame(struct osr_feed *core, Osr__Frame__BodyCase body);
void osr_feed_send(struct osr_feed *core, const struct peer *peer, const Osr__Frame *frame);
void osr_feed_send_ack(struct osr_feed *core, const struct peer *peer, struct replica *replica,
                       uint64_t sequence);
/* from_sequence 0: no more. */
void osr_feed_send_fetch(struct osr_feed *core, const struct peer *peer, struct replica *replica,
                         uint64_t from_sequence);
/* To a peer of that number, which need not be in the table. */
void osr_feed_send_error(struct osr_feed *core, uint32_t peer_number, const struct osr_err *err);
void osr_feed_put_out_close(struct osr_feed *core, uint32_t peer_number, const struct osr_err *err);
static inline ProtobufCBinaryData osr_feed_binary(const void *data, size_t size)
{
    /* protobuf-c knows no constant bytes; nobody writes to a frame that was put out. */
    return (ProtobufCBinaryData){size, (uint8_t *)(uintptr_t)data};
}

/* ---- feed_replica.c ---- */

struct replica *osr_feed_replica_find(const struct osr_feed *core, const struct osr_feed_id *id);
/* The feed's, made if need be; NULL where there is no room for what `peer` tells of. For what is
 * in the log (peer is NULL) there always is. */
struct replica *osr_feed_replica_need(struct osr_feed *core, const struct osr_feed_id *id,
                                      const struct peer *peer);
/* Forgets feeds that are known by name only, of instances never seen, which no link tells of any
 * more. Nothing put out in this step may point to one. */
void osr_feed_replica_forget_rumours(struct osr_feed *core);
void osr_feed_replica_destroy(struct osr_feed *core, struct replica *replica);
static inline struct channel *osr_feed_channel(const struct replica *replica,
                                               const struct peer *peer)
{
    return &replica->channels[peer->slot];
}
struct holding *osr_feed_holding(const struct osr_feed *core, const struct replica *replica,
                                 const struct peer *peer);
/* Rolls what was received back to what is committed; completions under way become void. */
void osr_feed_replica_roll_back(struct replica *replica);
void osr_feed_channel_reset(struct channel *channel);

/* ---- feed_restore.c ---- */

void osr_feed_restore(struct osr_feed *core, const struct osr_feed_restored *feeds, size_t count);
void osr_feed_restore_verified(struct osr_feed *core, struct replica *replica, bool valid);
void osr_feed_restore_signed(struct osr_feed *core, struct replica *replica,
                             const struct osr_signature *signature);
/* The replica is good up to its head: says so to everybody. */
void osr_feed_restore_finish(struct osr_feed *core, struct replica *replica);

/* ---- feed_session.c ---- */

void osr_feed_session_up(struct osr_feed *core, const struct osr_feed_event *event);
void osr_feed_session_down(struct osr_feed *core, struct peer *peer);
void osr_feed_session_destroy(struct peer *peer);
void osr_feed_session_frame(struct osr_feed *core, struct peer *peer, const Osr__Frame *frame);
/* Both sides have proved who they are. */
void osr_feed_session_greeted(struct osr_feed *core, struct peer *peer);
void osr_feed_session_tick(struct osr_feed *core, struct peer *peer);
/* Tells the peer why and puts CLOSE out. */
void osr_feed_session_close(struct osr_feed *core, struct peer *peer, const struct osr_err *err);
struct peer *osr_feed_session_find(const struct osr_feed *core, uint32_t number);
struct peer *osr_feed_session_by_serial(const struct osr_feed *core, uint64_t serial);

/* ---- feed_greeting.c ---- */

void osr_feed_greeting_begin(struct osr_feed *core, struct peer *peer);
void osr_feed_greeting_hello(struct osr_feed *core, struct peer *peer, const Osr__Hello *hello);
void osr_feed_greeting_proof(struct osr_feed *core, struct peer *peer,
                             const Osr__HelloProof *proof);
void osr_feed_greeting_signed(struct osr_feed *core, struct peer *peer,
                              const struct osr_signature *signature);
void osr_feed_greeting_verified(struct osr_feed *core, struct peer *peer, bool valid);

/* ---- feed_own.c ---- */

void osr_feed_own_init(struct osr_feed *core);
void osr_feed_own_done(struct osr_feed *core);
void osr_feed_own_write(struct osr_feed *core, const struct osr_feed_write *wanted);
void osr_feed_own_flush(struct osr_feed *core);
void osr_feed_own_seal(struct osr_feed *core); /* at the end of a step: where it is time */
void osr_feed_own_stored(struct osr_feed *core, struct own *own, enum osr_code code);
void osr_feed_own_signed(struct osr_feed *core, struct own *own,
                         const struct osr_signature *signature);
/* A follower's progress: answers writes that waited for it. */
void osr_feed_own_acked(struct osr_feed *core, struct own *own);
void osr_feed_own_tick(struct osr_feed *core);

/* ---- feed_lead.c ---- */

/* from_sequence 0: no more of it. */
void osr_feed_lead_fetch(struct osr_feed *core, struct peer *peer, const struct osr_feed_id *id,
                         uint64_t from_sequence);
void osr_feed_lead_acked(struct osr_feed *core, struct replica *replica, struct peer *peer,
                         uint64_t sequence);
void osr_feed_lead_read_done(struct osr_feed *core, struct replica *replica, struct peer *peer,
                             uint64_t ticket, Osr__Update *update, size_t bytes);
void osr_feed_lead_rewind(struct osr_feed *core, struct peer *peer, uint64_t from_sequence);
/* The replica's head moved: sends to those who asked, and tells the others. */
void osr_feed_lead_committed(struct osr_feed *core, struct replica *replica);
void osr_feed_lead_announce(struct osr_feed *core); /* at the end of a step */
/* Says how far we hold the feed, now. */
void osr_feed_lead_state(struct osr_feed *core, struct replica *replica, struct peer *peer);
void osr_feed_lead_restate(struct osr_feed *core, struct peer *peer);
void osr_feed_lead_tick(struct osr_feed *core, struct replica *replica);
/* The peer may not follow it any more: says so, and sends no more. */
void osr_feed_lead_refuse(struct osr_feed *core, struct replica *replica, struct peer *peer);

/* ---- feed_follow.c ---- */

/* The peer says it holds the feed up to sequence. */
void osr_feed_follow_claim(struct osr_feed *core, struct peer *peer, const struct claim *claim);
/* Looks anew at whom to ask, and asks if it is time. */
void osr_feed_follow_review(struct osr_feed *core, struct replica *replica);
void osr_feed_follow_peer_down(struct osr_feed *core, struct replica *replica, struct peer *peer);
/* Tells a peer to send no more of the feed, unless it was just told. */
void osr_feed_follow_stop(struct osr_feed *core, struct replica *replica, struct peer *peer);
/* Tells a peer that it holds another branch of the feed, and asks it no more. */
void osr_feed_follow_report_fork(struct osr_feed *core, struct replica *replica, struct peer *peer,
                                 uint64_t sequence);

/* ---- feed_own_claim.c ---- */

void osr_feed_own_claims_init(const struct osr_feed *core, struct party *party);
/* The peer says it holds an own feed up to sequence, which is behind its end. */
void osr_feed_own_claim_take(struct osr_feed *core, const struct own *own, struct peer *peer,
                             uint64_t sequence);
/* How far behind its end a peer claims to hold an own feed; 0: no such claim counts, or the peer
 * (may be NULL) is not up. */
static inline uint64_t osr_feed_own_claim_of(const struct own *own, const struct peer *peer)
{
    bool is_up = peer != NULL && peer->state == PEER_UP;
    return is_up ? peer->party->own_claims[own->replica->stream].sequence : 0;
}
/* A claim counts: writes wait. */
bool osr_feed_own_claim_is_open(const struct osr_feed *core, const struct own *own);
/* Ends the claims that have come true, and those whose time is up. */
void osr_feed_own_claim_review(struct osr_feed *core, const struct own *own);
/* Entries of an own feed have come: time runs from now on. */
void osr_feed_own_claim_shown(struct osr_feed *core, const struct own *own);
/* The peer has shown another branch of an own feed. */
void osr_feed_own_claim_forked(const struct osr_feed *core, const struct own *own,
                               struct peer *peer);
/* The link on which they were claimed is gone. */
void osr_feed_own_claims_pause(const struct osr_feed *core, struct party *party);

/* ---- feed_receive.c ---- */

void osr_feed_receive_update(struct osr_feed *core, struct peer *peer, const Osr__Update *update);
void osr_feed_receive_stored(struct osr_feed *core, struct replica *replica, uint64_t receipt_id,
                             enum osr_code code);
void osr_feed_receive_verified(struct osr_feed *core, struct replica *replica, uint64_t receipt_id,
                               bool valid);
/* A head that contradicts ours was verified. */
void osr_feed_receive_fork_verified(struct osr_feed *core, struct replica *replica,
                                    struct peer *peer, bool valid);
/* Begins to cut the log back to what is committed. */
void osr_feed_receive_cut(struct osr_feed *core, struct replica *replica);
void osr_feed_receive_truncated(struct osr_feed *core, struct replica *replica, enum osr_code code);
void osr_feed_receive_tick(struct osr_feed *core, struct replica *replica);

/* ---- feed_access.c ---- */

bool osr_feed_access_may_lead(const struct osr_feed *core, const struct osr_feed_id *feed);
bool osr_feed_access_may_follow(const struct osr_feed *core, const struct peer *peer,
                                const struct osr_feed_id *feed);
/* Stops what was allowed and is not any more, and begins what is. */
void osr_feed_access_review(struct osr_feed *core);

#endif
