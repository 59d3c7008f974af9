/* feed.h -- replicates the feeds that an instance holds: its own to every peer, and theirs
 * to it. It has one of its own for each stream (OSR_STREAMS); that of kb is there from the start,
 * the others once something was written into them, was in the log or is claimed by a peer.
 *
 * Happy path of a write: WRITE, FLUSH -> STORE and SIGN; both done -> COMMIT, WRITTEN; then for
 * each peer that asked for the feed READ -> SEND(UPDATE). At the follower: FRAME(UPDATE) ->
 * STORE and VERIFY; both done -> COMMIT, SEND(ACK) to every peer.
 *
 * A feed flows from a peer only after a FETCH: the follower asks, from its own durable
 * cursor, the one peer that suits it best (the origin, else whoever holds most). Everything
 * that was lost on the way is asked for again; everything doubled is dropped.
 *
 * Links for the ledger (FOR_LEDGER) are greeted and watched for silence as the others are, and
 * settled among themselves where there are two of one instance; nothing about feeds is said or
 * heard there.
 *
 * Failures: a peer that breaks a rule gets an ERROR and is closed; the others go on. A
 * write that cannot be stored is answered with its code, and the feed stands where it stood.
 * A batch whose signature fails is cut off the log again (TRUNCATE).
 *
 * Invariants: for each feed durable <= received; chain(received) follows from chain(durable);
 * nothing is acknowledged or sent on before it is durable and verified; for each follower
 * acked <= sent <= durable; in flight to one follower at most the window.
 *
 * No I/O, no clock, no randomness, one thread: the creating loop steps it. */
#ifndef OSR_CORE_FEED_H
#define OSR_CORE_FEED_H

#include "base/trace.h"
#include "model/entry.h"
#include "model/message.h"

struct osr_feed; /* opaque: all feeds of one instance */

/* Whose feeds are taken, and who is given them. Asked for each batch and each FETCH, so it has to
 * be cheap. Its mind may change: then step OSR_FEED_ACCESS_CHANGED. What was stored before stays,
 * and is given to those who may have it. A function that is NULL says yes. */
struct osr_feed_access {
    bool (*may_lead)(void *context, const char *origin, const char *stream);
    bool (*may_follow)(void *context, const char *instance, const char *stream);
    void *context;
};

struct osr_feed_options {
    const char *cluster;
    const char *name;                 /* of the instance, for people */
    struct osr_public_key public_key; /* the instance's id is made from it */
    uint8_t boot[OSR_BOOT_SIZE];      /* random, new for each start */
    uint32_t peers_max;               /* 1..OSR_PEERS_MAX; beside OSR_LEDGER_LINKS_MAX links for
                                         the ledger */
    uint32_t window_bytes;            /* in flight for each feed and follower; the same in a whole
                                         cluster: a peer that sends two of it unasked is closed */
    uint32_t batch_bytes;             /* of stored entries in one batch, 1..OSR_BATCH_BYTES_MAX */
    uint32_t pending_bytes_max;       /* writes not yet stored, of all streams; past it BUSY */
    uint32_t retry_ms;     /* without an ack before sending again, without an entry before
                              asking again */
    uint32_t heartbeat_ms; /* of silence before PING */
    uint32_t silence_ms;   /* without a frame before a peer is closed; also for HELLO, and for how
                              long writes wait for a peer that claims to hold entries of an own
                              feed which were lost here, and does not show them */
    struct osr_feed_access access;
    struct osr_trace trace;
};

/* Defaults for all but identity: window OSR_WINDOW_BYTES, ... */
void osr_feed_options_init(struct osr_feed_options *options);

/* Batches of one feed that may be on their way to the log before their signatures are verified:
 * after a crash no more heads than these at the end of the log may turn out to be forged. */
enum { OSR_FEED_UNVERIFIED_MAX = 64 };

/* A point of a feed that its origin signed. */
struct osr_feed_head {
    uint64_t sequence; /* 0: the empty feed, not signed */
    struct osr_hash chain;
    struct osr_signature signature;
};

/* A feed as the log gave it back. */
struct osr_feed_restored {
    struct osr_feed_id id;
    struct osr_public_key public_key;
    uint64_t sequence; /* last entry in the log; 0: none */
    struct osr_hash chain;
    struct osr_time time; /* of the last entry */
    /* The last head in the log, and chain at it. An own tail behind it is signed again, a
     * foreign one is cut off; the head itself is verified again. */
    uint64_t head_sequence; /* 0: none */
    struct osr_hash head_chain;
    struct osr_signature head_signature;
    /* The heads before it, newest first: of another's feed OSR_FEED_UNVERIFIED_MAX of them, if
     * there are so many. Where the last does not verify (there was a crash before a forged
     * batch was cut off again), the newest of these that does counts. */
    const struct osr_feed_head *older_heads;
    size_t older_head_count;
};

enum osr_feed_event_type {
    OSR_FEED_START,     /* once, first; restored */
    OSR_FEED_WRITE,     /* append to the own feed of a stream */
    OSR_FEED_FLUSH,     /* no more events at hand: put what was written into a batch */
    OSR_FEED_STORED,    /* a STORE or TRUNCATE is durable, or failed and left nothing */
    OSR_FEED_SIGNED,    /* answers SIGN */
    OSR_FEED_VERIFIED,  /* answers VERIFY */
    OSR_FEED_READ_DONE, /* answers READ */
    OSR_FEED_PEER_UP,   /* a link whose other side may be an instance */
    OSR_FEED_PEER_DOWN,
    OSR_FEED_FRAME,          /* from a peer; replication messages only, HELLO to ERROR */
    OSR_FEED_RESEND,         /* rewind what a connected peer is sent of the own kb feed */
    OSR_FEED_ACCESS_CHANGED, /* the access of the options answers otherwise than before */
    OSR_FEED_TICK,           /* time has come to osr_feed_deadline_ms */
};

/* One entry to write. The document has its id; the core sets the time. */
struct osr_feed_put {
    Osr__Operation operation;
    const Osr__Document *document;
};

/* Entries for the own feed of one stream. Of writes into one stream the order stays; between
 * streams there is none. */
struct osr_feed_write {
    enum osr_feed_stream stream;
    uint64_t token; /* given back in WRITTEN */
    const struct osr_feed_put *puts;
    size_t count;        /* 1..OSR_IMPORT_DOCUMENTS_MAX */
    uint32_t acks;       /* followers to wait for */
    uint32_t timeout_ms; /* for them */
};

struct osr_feed_event {
    enum osr_feed_event_type type;
    uint64_t now_ms;  /* monotonic, for time-outs */
    uint64_t time_ms; /* wall clock, may jump, for entries */
    union {
        struct {
            const struct osr_feed_restored *feeds;
            size_t count;
        } start;
        struct osr_feed_write write;
        struct {
            uint64_t ticket;
            enum osr_code code; /* OK, or DISK_FULL */
        } stored;
        struct {
            uint64_t ticket;
            struct osr_signature signature;
        } is_signed;
        struct {
            uint64_t ticket;
            bool valid;
        } verified;
        struct {
            uint64_t ticket;
            /* Entries from the first asked for up to a head, chain and signature of that
             * head; the core fills in which feed it is. NULL where nothing could be read.
             * Stays the caller's, but the SEND that comes of it points into it. */
            Osr__Update *update;
            size_t bytes; /* of the entries as stored */
        } read_done;
        struct {
            uint32_t peer; /* chosen by the caller; unique among those up */
            bool dialled;  /* by us: decides which of two links to one instance stays */
            Osr__LinkPurpose purpose;
            uint8_t nonce[OSR_NONCE_SIZE]; /* random, new for each link */
            /* What ties the proofs to this very channel, at most OSR_BINDING_BYTES_MAX; empty in
             * plaintext. Copied. */
            struct osr_slice binding;
        } peer_up;
        struct {
            uint32_t peer;
        } peer_down;
        struct {
            uint32_t peer;
            const Osr__Frame *frame; /* stays the caller's */
        } frame;
        struct {
            uint32_t peer;
            uint64_t from_sequence;
        } resend;
    };
};

enum osr_feed_output_type {
    OSR_FEED_OUT_STORE,    /* append to the log; answered by STORED, in order. Once one of a
                              feed failed, those behind it already put out fail too */
    OSR_FEED_OUT_TRUNCATE, /* drop a feed's entries behind a sequence; answered by STORED */
    OSR_FEED_OUT_SIGN,     /* with the instance's key; answered by SIGNED */
    OSR_FEED_OUT_VERIFY,   /* answered by VERIFIED */
    OSR_FEED_OUT_READ,     /* committed entries of a feed; answered by READ_DONE */
    OSR_FEED_OUT_COMMIT,   /* these stored entries count now: show them */
    OSR_FEED_OUT_WRITTEN,  /* answers WRITE */
    OSR_FEED_OUT_SEND,
    OSR_FEED_OUT_IDENTIFIED, /* the peer has proved who it is; CLOSE may follow at once */
    OSR_FEED_OUT_CLOSE,      /* close the link after what was sent; PEER_DOWN follows */
};

struct osr_feed_output {
    enum osr_feed_output_type type;
    union {
        struct {
            uint64_t ticket;
            /* The receiver may take the memory by copying the struct and zeroing this one. */
            struct osr_batch *batch;
            struct osr_public_key public_key; /* of the feed's origin */
            /* A head to store: behind the batch (of a peer's feed), or of the batch before it
             * (of the own); head_sequence says which. 0: none. */
            uint64_t head_sequence;
            struct osr_signature head_signature;
        } store;
        struct {
            uint64_t ticket;
            const struct osr_feed_id *feed;
            uint64_t sequence; /* last to keep */
        } truncate;
        struct {
            uint64_t ticket;
            struct osr_slice message;
        } sign;
        struct {
            uint64_t ticket;
            struct osr_slice message;
            struct osr_public_key public_key;
            struct osr_signature signature;
        } verify;
        struct {
            uint64_t ticket;
            const struct osr_feed_id *feed;
            uint64_t first;   /* first sequence wanted */
            uint64_t last;    /* the newest head: nothing behind it */
            size_t bytes_max; /* stop at a head within this; a first group larger than it is
                                 given whole */
            /* The newest head, which may not be in the log yet. */
            struct osr_hash last_chain;
            struct osr_signature last_signature;
        } read;
        struct {
            const struct osr_feed_id *feed;
            uint64_t first; /* 0: once for each restored feed, found good up to last */
            uint64_t last;
        } commit;
        struct {
            uint64_t token;
            /* OK; TIMEOUT: stored, but not by `acks` followers; else not stored, except that of
             * a write larger than a batch DISK_FULL may leave the first batches. */
            enum osr_code code;
            uint64_t first;             /* sequence of the first entry */
            struct osr_time first_time; /* its time; the k-th entry's time is found in the batch */
            uint32_t acks;              /* followers that hold all of it now */
        } written;
        struct {
            uint32_t peer;
            const Osr__Frame *frame; /* lives until the next step */
        } send;
        struct {
            uint32_t peer;
            const char *instance;
            const char *name;
        } identified;
        struct {
            uint32_t peer;
            const struct osr_err *err; /* why; already sent as ERROR */
        } close;
    };
};

struct osr_feed_outputs {
    struct osr_feed_output *items; /* owned by the core, valid until the next step */
    size_t count;
};

/* On failure *ret_feed is untouched and err says why. */
int osr_feed_create(const struct osr_feed_options *options, struct osr_feed **ret_feed,
                    struct osr_err *err);
void osr_feed_destroy(struct osr_feed *feed); /* NULL is a no-op */

/* The event stays the caller's; outputs live until the next step and are carried out in
 * their order. A peer's mistake is not an error of the step: it becomes ERROR and CLOSE. */
void osr_feed_step(struct osr_feed *feed, const struct osr_feed_event *event,
                   struct osr_feed_outputs *outputs);

/* When TICK is due, on the scale of now_ms; UINT64_MAX: never. */
uint64_t osr_feed_deadline_ms(const struct osr_feed *feed);

/* Bytes of writes not yet committed, of all streams: above pending_bytes_max WRITE is refused; read
 * fewer requests well before. */
size_t osr_feed_backlog(const struct osr_feed *feed);

const char *osr_feed_instance(const struct osr_feed *feed);

/* For `feeds`, `status` and `digest`. Feeds are numbered as they come to be known; a number stays
 * a feed's for good. */
struct osr_feed_info {
    struct osr_feed_id id;
    uint64_t sequence;     /* committed */
    uint64_t received;     /* including what is not yet durable and verified */
    uint64_t known;        /* the furthest that any peer claims to hold */
    struct osr_hash chain; /* at sequence */
    enum osr_feed_stream stream;
    bool own; /* led by this instance under its present key */
};
struct osr_follower_info {
    char instance[OSR_INSTANCE_CHARS + 1];
    char name[64 + 1];
    uint32_t peer; /* UINT32_MAX while not connected */
    uint64_t acked;
    uint64_t sent;
};
size_t osr_feed_count(const struct osr_feed *feed);
void osr_feed_info(const struct osr_feed *feed, size_t index, struct osr_feed_info *ret_info);
/* Known followers of a feed, connected or not, since the start. */
size_t osr_feed_follower_count(const struct osr_feed *feed, size_t index);
void osr_feed_follower_info(const struct osr_feed *feed, size_t index, size_t follower,
                            struct osr_follower_info *ret_info);

#endif
