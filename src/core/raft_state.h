/* raft_state.h -- what a member of a ledger keeps in mind, and the limits of it. For the parts of
 * the consensus core alone (raft_internal.h). */
#ifndef OSR_CORE_RAFT_STATE_H
#define OSR_CORE_RAFT_STATE_H

#include "base/random.h"
#include "core/queue.h"
#include "core/raft.h"
#include "core/raft_guards.h"

/* A message beyond is nonsense: the next election still has a term to stand in. */
#define OSR_RAFT_TERM_MAX (UINT64_MAX - 1)
/* Likewise: sums of two never overflow. */
#define OSR_RAFT_INDEX_MAX (UINT64_MAX / 4)

enum {
    /* How far the own term rises within a heartbeat's time, whatever others say: stops a message
     * with an absurd term, and a flood of them, from using up all terms (that takes thousands of
     * years). Elections at one a second need half a year for as many, so no honest term is ahead by
     * more; to one that is, say after an attack, the own term comes nearer step by step, so that
     * members do not stay apart. */
    OSR_RAFT_TERM_JUMP_MAX = 1 << 24,
    /* Messages that wait until the vote is durable: stops peers from growing memory while the disk
     * is slow. The oldest are dropped, as the network may. */
    OSR_RAFT_HELD_MAX = 64,
    /* Changes of term in the live part of the log: stops a leader from growing memory, an entry
     * a term. What would pass it waits for a snapshot. */
    OSR_RAFT_SPANS_MAX = 1 << 20,
    /* Configurations above the snapshot: likewise. A leader makes no more than half as many. */
    OSR_RAFT_CONFIGURATIONS_MAX = 4096,
    /* READ_REQUESTs of one member that wait at a leader: stops it from growing memory there, and
     * from taking the room of others. A member has no more under way. */
    OSR_RAFT_REQUESTS_MAX = 64,
};

/* Memory that pieces share. Nobody writes to a piece once it is made: another thread may be reading
 * it for a STORE, while more pieces are made behind it. */
struct block {
    uint32_t references;
    struct block *next; /* among those given back in this step */
    size_t size;        /* of pieces */
    size_t capacity;
    _Alignas(struct osr_raft_entry) uint8_t bytes[];
};

/* Entries that came together, with their payloads behind them in the same memory. */
struct piece {
    uint64_t first; /* index */
    size_t count;
    size_t bytes; /* of memory */
    struct osr_raft_entry *entries;
    struct block *block; /* referred to */
};

/* Entries that are proposed and get their index at FLUSH. Payloads are offsets into `bytes`. */
struct draft {
    struct osr_queue entries; /* of struct draft_entry */
    struct osr_buffer bytes;
};

struct draft_entry {
    uint64_t token;
    size_t offset;
    size_t size;
};

/* Invariants: base <= durable <= last; pieces hold consecutive entries up to last, the newest part
 * of the log; the entries of a piece count up to where the next one begins, or to last. */
struct log {
    uint64_t base;
    uint64_t base_term;
    uint64_t last;
    uint64_t durable;
    struct osr_queue spans;  /* of struct osr_raft_span, of base + 1 .. last */
    struct osr_queue pieces; /* of struct piece */
    size_t cached_bytes;     /* in pieces */
    size_t unstored_bytes;   /* of those that are being stored */
    /* After a STORE that failed: the disk may have a tail that memory has no more, so that the
     * next one has to cut it off. */
    bool is_disk_longer;
};

/* A STORE under way. They are answered in order. */
struct store {
    uint64_t ticket;
    bool has_vote;
    struct osr_raft_vote vote;
    struct block *block; /* referred to; NULL: no entries */
    size_t bytes;        /* of memory */
    uint64_t first;      /* of entries; last < first: none, or none is left */
    uint64_t last;       /* cut when the log is */
};

/* A proposal of ours that was given an index. It is known what became of it as soon as an entry of
 * its index, or of a later term, is committed. */
struct pending {
    uint64_t index;
    uint64_t term;
    uint64_t token;
    size_t bytes;
};

struct given {
    uint64_t last;
    size_t bytes;
};

/* A configuration in the log, in its stored form. */
struct configured {
    uint64_t index;
    uint8_t *bytes;
    size_t size;
};

struct sent {
    uint64_t last;
    size_t bytes;
};

enum read_state {
    READ_GATHERED, /* waits for FLUSH */
    READ_ASKED,    /* of whom has to say an index: a majority, or the leader */
    READ_INDEXED,  /* waits until the index is applied */
};

/* A READ of ours. */
struct read {
    enum read_state state;
    uint64_t token;
    uint64_t number; /* of the round at the leader, of the READ_REQUEST elsewhere */
    uint64_t index;
    uint64_t asked_ms;
};

/* Another member's, at the leader. */
struct remote_read {
    enum read_state state;
    uint64_t from;
    uint64_t request;
    uint64_t round;
    uint64_t index;
};

/* Another member. Those of the newest configuration are in the table, and one that was removed
 * until it can know. */
struct peer {
    uint64_t id;
    bool is_voter;
    bool is_promoted; /* a learner that becomes a voter by itself */
    bool is_leaving;  /* removed by an entry at `left_at` */
    uint64_t left_at;
    uint64_t heard_ms; /* anything; 0: never */

    /* While standing. */
    bool has_granted;

    /* While leading. Invariant: matched < next. */
    enum osr_raft_progress progress;
    uint64_t matched;
    uint64_t next;
    uint64_t commit_sent; /* the commit index it was told last */
    uint64_t round_sent;  /* likewise */
    uint64_t round;       /* the newest it echoed */
    size_t requests;      /* of its READ_REQUESTs, waiting here */
    uint64_t acked_ms;    /* when it last showed that it follows this leader; 0: never */
    uint64_t sent_ms;
    bool is_probe_sent;      /* wait for an answer, or a heartbeat's time */
    struct osr_queue flight; /* of struct sent */
    size_t flight_bytes;
    uint64_t fetch_ticket; /* 0: no FETCH is under way for it */
    uint64_t caught_up_ms; /* since when it lacks little; 0: it does not */

    /* While it is given a snapshot. */
    struct osr_raft_snapshot *snapshot; /* NULL: none */
    uint64_t offset;                    /* it has so much */
    uint64_t chunk_ticket;              /* 0: no READ_CHUNK is under way */
    uint64_t chunk_end;                 /* sent up to here */
    uint64_t chunk_ms;                  /* when */
};

/* Another's snapshot on its way here. */
struct incoming {
    struct osr_raft_snapshot snapshot; /* index 0: there is none */
    uint64_t from;
    uint64_t written;
    uint64_t write_ticket; /* 0: no WRITE_CHUNK is under way */
    size_t write_size;
    uint64_t install_ticket; /* 0: no INSTALL is under way */
};

struct osr_raft {
    struct osr_raft_options options;
    struct osr_random random;
    bool is_started;
    uint64_t now_ms; /* of the event in hand */
    uint64_t ticket_last;

    /* Who leads. */
    enum osr_raft_role role;
    uint64_t leader;
    uint64_t since_ms;
    struct osr_raft_vote vote;
    struct osr_raft_vote durable_vote;
    bool is_vote_unstored; /* no STORE under way has it */
    uint64_t term_before;  /* what the own term was at term_ms: others raise it only so far */
    uint64_t term_ms;
    size_t vote_stores;     /* STOREs under way that have a vote */
    uint64_t vote_retry_ms; /* not before: the disk was full */
    struct osr_queue held;  /* of struct osr_raft_message, until the vote is durable */
    uint64_t heard_ms;      /* of a leader, or when an election was begun or voted in */
    bool has_heard;         /* of the leader in this term */
    uint32_t patience_ms;   /* from heard_ms to an election; drawn anew each time */
    bool is_transfer;       /* stands because the leader wants it */
    bool is_full;           /* the last STORE of entries failed */

    struct log log;
    struct osr_queue stores; /* of struct store */

    /* Commit. Invariant: applied <= given <= commit <= log.durable. */
    uint64_t commit;
    uint64_t given; /* to APPLY */
    uint64_t applied;
    struct osr_queue applying; /* of struct given */
    size_t applying_bytes;
    uint64_t apply_ticket;   /* of its FETCH; 0: none is under way */
    uint64_t apply_retry_ms; /* not before: FETCH gave nothing */

    /* Proposals. */
    struct draft draft;
    struct osr_queue pending; /* of struct pending, by term and index */
    size_t pending_bytes;     /* in draft and pending */
    size_t pending_entries;   /* likewise */

    /* Members. */
    struct osr_raft_configuration configuration; /* the newest in the log */
    uint64_t configured_at;
    struct osr_queue configured; /* of struct configured, above the snapshot */
    struct peer peers[2 * OSR_RAFT_MEMBERS_MAX];
    size_t peer_count;
    uint32_t changes; /* of the configuration, counted to notice one */

    /* Leading. */
    uint64_t term_first; /* index of the first entry of the own term */
    uint64_t led_ms;     /* since when */
    uint64_t sent_last;  /* the last entry that anybody was sent */
    uint64_t round;
    struct {
        uint64_t token; /* 0: no TRANSFER is under way */
        uint64_t target;
        uint64_t term; /* that it began in */
        uint64_t until_ms;
        bool is_asked; /* ELECT_NOW was sent */
    } transfer;

    /* Following. */
    uint64_t matched;       /* the own log is the leader's up to here */
    uint64_t leader_commit; /* what it said */
    uint64_t leader_round;
    struct incoming incoming;

    /* Oldest first; those behind are never further than those in front. */
    struct osr_queue reads;        /* of struct read */
    struct osr_queue remote_reads; /* of struct remote_read */
    uint64_t request_first;        /* those of this life are above */
    uint64_t request_last;
    uint64_t request_answered; /* up to there none is under way any more */
    uint64_t request_ms;       /* when it was sent last */

    struct osr_raft_snapshot snapshot; /* own */
    uint64_t refused;
    uint64_t refused_ms; /* when that was said last */

    struct osr_raft_output *outputs;
    size_t output_count;
    size_t output_capacity;
    struct osr_arena *arena; /* everything that outputs point to; reset at each step */
    struct block *open;      /* has room for more pieces; NULL: none */
    struct block *released;  /* freed at the next step */
};

#endif
