/* limits.h -- every amount that a peer or a client can drive, and what its limit stops. */
#ifndef OSR_MODEL_LIMITS_H
#define OSR_MODEL_LIMITS_H

#include "model/identity.h"

enum {
    /* One frame, in any encoding: stops a length prefix or an endless line from growing a
     * buffer. Room for a batch of OSR_BATCH_BYTES_MAX in JSON, escapes included. */
    OSR_FRAME_BYTES_MAX = 8 << 20,
    /* What decoding one frame may allocate: stops small messages that unfold into big ones. */
    OSR_DECODE_BYTES_MAX = 32 << 20,
    /* Nesting of messages: stops recursion from eating the stack. */
    OSR_DECODE_DEPTH_MAX = 32,

    OSR_DATA_BYTES_MAX = 1 << 20, /* one document's data */
    /* Its nesting: leaves room within OSR_JSON_DEPTH_MAX for the frame around it. */
    OSR_DATA_DEPTH_MAX = 112,
    OSR_ID_BYTES_MAX = 128,
    OSR_COLLECTION_BYTES_MAX = 128,
    OSR_KIND_BYTES_MAX = 64,
    OSR_TAGS_MAX = 32,
    OSR_TAG_BYTES_MAX = 64,
    OSR_AUTHOR_BYTES_MAX = 128,
    OSR_SUPERSEDES_MAX = 16,
    OSR_SOURCE_NAME_BYTES_MAX = 256,
    OSR_NAME_BYTES_MAX = 64,    /* of an instance */
    OSR_CLUSTER_BYTES_MAX = 64, /* name of a cluster */
    OSR_QUERY_BYTES_MAX = 1024,
    OSR_KV_VALUE_BYTES_MAX = 1 << 20, /* of a key of the ledger */

    /* Stored bytes of the entries of one batch, unless it is a single larger entry: keeps a
     * batch within a frame, and a signed head within reach of every reader. */
    OSR_BATCH_BYTES_MAX = 1 << 20,
    OSR_BATCH_ENTRIES_MAX = 16384,
    OSR_IMPORT_DOCUMENTS_MAX = 4096, /* in one request */
    OSR_SEARCH_HITS_MAX = 1000,
    OSR_HISTORY_MAX = 1000,

    OSR_FEEDS_MAX = 1024, /* held by one instance: stops made-up origins */
    OSR_PEERS_MAX = 64,   /* links between instances, for feeds */
    /* Links for the ledger, which has at most 16 members (OSR_RAFT_MEMBERS_MAX): the others, those
     * that are taken out or come in, and links that have broken and are not given up yet. */
    OSR_LEDGER_LINKS_MAX = 32,
    OSR_LINKS_MAX = OSR_PEERS_MAX + OSR_LEDGER_LINKS_MAX, /* between instances */
    /* Of these, that one of them may have, also before HELLO_PROOF: stops it from taking the places
     * of all. Two for each purpose are enough, but for those that have broken. */
    OSR_LINKS_OF_ONE_MAX = 8,
    /* Feeds of others than who speaks of them: made-up ones leave room for each peer's own, one a
     * stream. */
    OSR_FEEDS_TOLD_MAX = OSR_FEEDS_MAX - OSR_STREAM_COUNT * OSR_PEERS_MAX,
    OSR_CONNECTIONS_MAX = 4096, /* of all kinds; the next one is closed with BUSY */
    OSR_ACKS_MAX = 64,          /* that a write may wait for */
};

/* Sent and not yet acknowledged, for each feed and follower: a slow follower costs the
 * leader no more than this. */
#define OSR_WINDOW_BYTES (4u << 20)
/* Writes accepted and not yet in a batch: past it clients are not read, then get BUSY. */
#define OSR_PENDING_BYTES_MAX (16u << 20)
/* The latest time that an entry may bear, in the year 10889 and the last that a made id can
 * show: stops sums of times from wrapping, and times from turning negative in a store whose
 * integers are signed. */
#define OSR_TIME_MS_MAX ((1ull << 48) - 1)
/* How far an entry's time may pull a receiver's hybrid clock past its physical clock. */
#define OSR_CLOCK_DRIFT_MAX_MS (5ull * 60 * 1000)

#endif
