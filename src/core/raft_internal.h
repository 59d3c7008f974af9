/* raft_internal.h -- what the parts of the consensus core share. May be included by
 * src/core/raft*.c alone.
 *
 *   raft.c            life, dispatch of events, deadline, information
 *   raft_restore.c    what the disk gave back, or the founding of a ledger
 *   raft_output.c     outputs, messages, those that wait until the vote is durable
 *   raft_block.c      entries and their payloads in shared pieces of memory
 *   raft_log.c        the log: terms, and the part of it that is in memory
 *   raft_store.c      what goes to the disk, and what follows when it is there or found no room
 *   raft_message.c    which messages make sense, and what their terms mean
 *   raft_election.c   terms, votes, standing for election, stepping down
 *   raft_peers.c      the table of other members
 *   raft_lead.c       proposals, sending entries, heartbeats, check of the quorum
 *   raft_follow.c     taking entries
 *   raft_commit.c     commit index, APPLY, what became of proposals
 *   raft_read.c       linearizable reads
 *   raft_members.c    configurations, their changes and how they are taken back
 *   raft_snapshot.c   own snapshots, and giving them to others
 *   raft_install.c    taking another's snapshot
 *   raft_transfer.c   handing leadership over
 *   raft_guards.c     names of the safety rules, for the simulation
 *
 * A step: what is due for the event is done and put out as data; at its end the vote, if it
 * changed, is stored, memory over the limit is given back, and a change of role is reported. */
#ifndef OSR_CORE_RAFT_INTERNAL_H
#define OSR_CORE_RAFT_INTERNAL_H

#include "base/random.h"
#include "core/queue.h"
#include "core/raft.h"
#include "core/raft_guards.h"

/* A message beyond is nonsense: the next election still has a term to stand in. */
#define OSR_RAFT_TERM_MAX (UINT64_MAX - 1)
/* How far a message may be ahead of the own term: stops one hostile member from using up all
 * terms. Elections at ten a second need 13 years for as many. */
#define OSR_RAFT_TERM_JUMP_MAX (UINT64_C(1) << 32)

enum {
    /* In one APPEND, sent or taken: stops small entries from making messages that take long. */
    OSR_RAFT_APPEND_ENTRIES_MAX = 1 << 14,
    /* Messages that wait until the vote is durable: stops peers from growing memory while the
     * disk is slow. More are dropped, as the network may. */
    OSR_RAFT_HELD_MAX = 64,
    /* Changes of term in the live part of the log: stops a leader from growing memory, an entry
     * a term. What would pass it waits for a snapshot. */
    OSR_RAFT_SPANS_MAX = 1 << 20,
    /* Configurations above the snapshot: likewise. A leader makes no more than half as many. */
    OSR_RAFT_CONFIGURATIONS_MAX = 4096,
    /* READ_REQUESTs that wait at a leader: stops followers from growing memory. */
    OSR_RAFT_REMOTE_READS_MAX = 1024,
};

/* ---- parts ---- */

/* Entries that came together, with their payloads behind them in the same memory. Nobody writes to
 * it once it is made: another thread may be reading it for a STORE. */
struct block {
    uint32_t references;
    struct block *next; /* among those given back in this step */
    size_t count;
    size_t bytes; /* of memory */
    struct osr_raft_entry entries[];
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

/* Invariants: base <= durable <= last; blocks hold consecutive entries up to last, the newest part
 * of the log; the entries of a block count up to where the next one begins, or to last. */
struct log {
    uint64_t base;
    uint64_t base_term;
    uint64_t last;
    uint64_t durable;
    struct osr_queue spans;  /* of struct osr_raft_span, of base + 1 .. last */
    struct osr_queue blocks; /* of struct block * */
    size_t cached_bytes;     /* in blocks */
    size_t unstored_bytes;   /* of blocks that are being stored */
    /* After a STORE that failed: the disk may have a tail that memory has no more, so that the
     * next one has to cut it off. */
    bool is_disk_longer;
};

/* A STORE under way. They are answered in order. */
struct store {
    uint64_t ticket;
    bool has_vote;
    struct osr_raft_vote vote;
    struct block *block; /* NULL: no entries */
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
    bool is_vote_unstored;  /* no STORE under way has it */
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
    uint64_t request_ms; /* when it was sent last */

    struct osr_raft_snapshot snapshot; /* own */
    uint64_t refused;

    struct osr_raft_output *outputs;
    size_t output_count;
    size_t output_capacity;
    struct osr_arena *arena; /* everything that outputs point to; reset at each step */
    struct block *released;  /* freed at the next step */
};

/* ---- raft.c ---- */

void osr_raft_say(const struct osr_raft *raft, enum osr_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* A message that makes no sense. */
void osr_raft_refuse(struct osr_raft *raft, const struct osr_raft_message *message,
                     const char *why);
static inline uint64_t osr_raft_min(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}
static inline uint64_t osr_raft_max(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* ---- raft_restore.c ---- */

void osr_raft_restore(struct osr_raft *raft, const struct osr_raft_restored *restored);

/* ---- raft_output.c ---- */

/* Forgets what the last step put out. */
void osr_raft_output_begin(struct osr_raft *raft);
struct osr_raft_output *osr_raft_put_out(struct osr_raft *raft, enum osr_raft_output_type type);
/* Memory that lives until the next step; zeroed. */
void *osr_raft_take(struct osr_raft *raft, size_t size);
uint64_t osr_raft_ticket(struct osr_raft *raft);
void osr_raft_put_out_failed(struct osr_raft *raft, uint64_t token, enum osr_code code,
                             const char *why);
/* A message of the own term, to be filled and given to osr_raft_send. */
struct osr_raft_message *osr_raft_message(struct osr_raft *raft, enum osr_raft_message_type type,
                                          uint64_t to);
/* Says it, as soon as what the own term and vote are is durable. */
void osr_raft_send(struct osr_raft *raft, struct osr_raft_message *message);
/* The vote is durable. */
void osr_raft_send_held(struct osr_raft *raft);

/* ---- raft_block.c ---- */

/* Copies, without tokens. One reference is the caller's. */
struct block *osr_raft_block_create(const struct osr_raft_entry *entries, size_t count);
struct block *osr_raft_block_create_from_draft(const struct draft *draft, uint64_t first,
                                               uint64_t term);
/* The memory lives on until the next step, as outputs may point there. */
void osr_raft_block_release(struct osr_raft *raft, struct block *block);
void osr_raft_block_free_released(struct osr_raft *raft);
static inline uint64_t osr_raft_block_first(const struct block *block)
{
    return block->entries[0].index;
}
static inline uint64_t osr_raft_block_last(const struct block *block)
{
    return block->entries[0].index + block->count - 1;
}

/* ---- raft_log.c ---- */

void osr_raft_log_init(struct log *log);
void osr_raft_log_done(struct osr_raft *raft);
/* Begins anew behind that entry: nothing is in memory. */
void osr_raft_log_reset(struct osr_raft *raft, uint64_t base, uint64_t base_term);
/* Of an entry from base to last. */
uint64_t osr_raft_log_term(const struct log *log, uint64_t index);
static inline bool osr_raft_log_has(const struct log *log, uint64_t index, uint64_t term)
{
    return index >= log->base && index <= log->last && osr_raft_log_term(log, index) == term;
}
/* The last entry up to index whose term is not above that; base where there is none. */
uint64_t osr_raft_log_last_up_to(const struct log *log, uint64_t index, uint64_t term);
/* Takes over the caller's reference: the entries stand behind last, and are being stored. */
void osr_raft_log_append(struct osr_raft *raft, struct block *block);
/* The entries behind `after` are forgotten, with their configurations. */
void osr_raft_log_cut(struct osr_raft *raft, uint64_t after);
/* Entries up to there are not needed any more. */
void osr_raft_log_forget(struct osr_raft *raft, uint64_t index);
/* Entries in memory from `first` on, within the limits, one at least. They live until the next
 * step. *ret_count is 0 where the first is not in memory. Returns the bytes of the payloads. */
size_t osr_raft_log_read(struct osr_raft *raft, uint64_t first, uint64_t last, size_t bytes_max,
                         const struct osr_raft_entry **ret_entries, size_t *ret_count);
/* Gives memory back past cache_bytes. */
void osr_raft_log_trim(struct osr_raft *raft);

/* ---- raft_store.c ---- */

/* The block's entries, the last in the log, go to the disk, with the vote if that is due. */
void osr_raft_store_block(struct osr_raft *raft, struct block *block, bool is_cut);
/* At the end of a step. */
void osr_raft_store_vote(struct osr_raft *raft);
void osr_raft_stored(struct osr_raft *raft, uint64_t ticket, enum osr_code code);
static inline bool osr_raft_vote_is_durable(const struct osr_raft *raft)
{
    return raft->durable_vote.term == raft->vote.term &&
           raft->durable_vote.candidate == raft->vote.candidate;
}

/* ---- raft_message.c ---- */

void osr_raft_take_message(struct osr_raft *raft, const struct osr_raft_message *message);

/* ---- raft_election.c ---- */

/* Waits for a leader, or for another election. */
void osr_raft_election_rest(struct osr_raft *raft);
/* When to stand; UINT64_MAX: never. */
uint64_t osr_raft_election_deadline(const struct osr_raft *raft);
void osr_raft_election_tick(struct osr_raft *raft);
/* At once, without asking whether others would; for a sole voter, or as the leader wants it. */
void osr_raft_election_stand(struct osr_raft *raft, bool is_transfer);
/* The own vote is durable. */
void osr_raft_election_voted(struct osr_raft *raft);
void osr_raft_election_request(struct osr_raft *raft, const struct osr_raft_message *message);
void osr_raft_election_reply(struct osr_raft *raft, const struct osr_raft_message *message);
/* Follows whoever leads that term; 0: not known. */
void osr_raft_follow_term(struct osr_raft *raft, uint64_t term, uint64_t leader);
/* Of the own term. */
void osr_raft_step_down(struct osr_raft *raft, const char *why);

/* ---- raft_peers.c ---- */

struct peer *osr_raft_peer_find(struct osr_raft *raft, uint64_t id);
/* After a change of the configuration. */
void osr_raft_peers_update(struct osr_raft *raft);
/* Those that were removed are no concern any more: of a leader those that can know it, of others
 * all. */
void osr_raft_peers_dismiss(struct osr_raft *raft);
/* At the beginning of a term that is led. */
void osr_raft_peer_begin(struct osr_raft *raft, struct peer *peer);
void osr_raft_peers_done(struct osr_raft *raft);
/* Probes from behind what it surely has; nothing that was sent counts. */
void osr_raft_peer_probe(struct peer *peer, uint64_t next);
static inline bool osr_raft_is_voter(const struct osr_raft *raft)
{
    return osr_raft_configuration_is_voter(&raft->configuration, raft->options.member);
}
/* The largest number that a majority of the voters has reached; `own` is this member's. */
uint64_t osr_raft_majority(const struct osr_raft *raft, uint64_t own,
                           uint64_t (*number_of)(const struct osr_raft *raft,
                                                 const struct peer *peer));

/* ---- raft_lead.c ---- */

void osr_raft_lead_begin(struct osr_raft *raft);
void osr_raft_lead_propose(struct osr_raft *raft, uint64_t token, struct osr_slice command);
/* Stores and sends what was proposed. */
void osr_raft_lead_flush(struct osr_raft *raft);
/* One entry of the core's own making, stored and sent at once. */
void osr_raft_lead_append(struct osr_raft *raft, enum osr_raft_kind kind, uint64_t token,
                          struct osr_slice payload);
/* As much as limits allow. */
void osr_raft_lead_send(struct osr_raft *raft, struct peer *peer);
void osr_raft_lead_send_all(struct osr_raft *raft);
/* To all, with entries or without: who answers has heard this round. */
void osr_raft_lead_ask_all(struct osr_raft *raft);
void osr_raft_lead_appended(struct osr_raft *raft, struct peer *peer,
                            const struct osr_raft_message *message);
/* It has all up to there. The table of members may be another afterwards. */
void osr_raft_lead_matched(struct osr_raft *raft, struct peer *peer, uint64_t index);
void osr_raft_lead_unreachable(struct osr_raft *raft, uint64_t member);
void osr_raft_lead_fetched(struct osr_raft *raft, struct peer *peer,
                           const struct osr_raft_entry *entries, size_t count);
uint64_t osr_raft_lead_deadline(const struct osr_raft *raft);
void osr_raft_lead_tick(struct osr_raft *raft);
/* What was proposed and not flushed comes to nothing. */
void osr_raft_lead_drop_draft(struct osr_raft *raft);

/* ---- raft_follow.c ---- */

void osr_raft_follow_append(struct osr_raft *raft, const struct osr_raft_message *message);
/* Tells the leader what is matched and durable. */
void osr_raft_follow_report(struct osr_raft *raft);

/* ---- raft_commit.c ---- */

/* Of the leader: what a majority has. */
void osr_raft_commit_count(struct osr_raft *raft);
/* Of a follower: what the leader said. */
void osr_raft_commit_follow(struct osr_raft *raft);
void osr_raft_commit_apply(struct osr_raft *raft);
void osr_raft_commit_applied(struct osr_raft *raft, uint64_t index);
void osr_raft_commit_fetched(struct osr_raft *raft, const struct osr_raft_entry *entries,
                             size_t count);
/* State up to there came with a snapshot. */
void osr_raft_commit_jump(struct osr_raft *raft, uint64_t index, uint64_t term);
/* Proposals behind `after` were sent to nobody, and are in no log any more. */
void osr_raft_commit_forget(struct osr_raft *raft, uint64_t after);

/* ---- raft_read.c ---- */

void osr_raft_read(struct osr_raft *raft, uint64_t token);
void osr_raft_read_request(struct osr_raft *raft, const struct osr_raft_message *message);
void osr_raft_read_reply(struct osr_raft *raft, const struct osr_raft_message *message);
void osr_raft_read_flush(struct osr_raft *raft);
/* Somebody has heard a newer round, or an entry of the term is committed. */
void osr_raft_read_review(struct osr_raft *raft);
void osr_raft_read_applied(struct osr_raft *raft);
/* There is another leader, or none: what asked this one gets no answer. */
void osr_raft_read_drop(struct osr_raft *raft);
uint64_t osr_raft_read_deadline(const struct osr_raft *raft);
void osr_raft_read_tick(struct osr_raft *raft);

/* ---- raft_members.c ---- */

void osr_raft_members_change(struct osr_raft *raft, uint64_t token,
                             const struct osr_raft_change *change);
/* An entry of kind CONFIGURATION is in the log. */
void osr_raft_members_entered(struct osr_raft *raft, uint64_t index, struct osr_slice payload);
/* What stands behind `after` is not in the log any more. */
void osr_raft_members_roll_back(struct osr_raft *raft, uint64_t after);
/* The snapshot has what stands up to there. */
void osr_raft_members_forget(struct osr_raft *raft, uint64_t index);
/* There is nothing but what came with a snapshot. */
void osr_raft_members_installed(struct osr_raft *raft);
void osr_raft_members_at(const struct osr_raft *raft, uint64_t index,
                         struct osr_raft_configuration *ret_configuration);
/* Whether this member may have to lead: it votes, or did until the newest configuration, which is
 * not known to be committed. Nobody else may be able to lead then (dissertation, 4.2.2). */
bool osr_raft_members_needs_own(const struct osr_raft *raft);
void osr_raft_members_done(struct osr_raft *raft);
/* The commit index has moved. */
void osr_raft_members_committed(struct osr_raft *raft);
/* Notes whether a learner lacks little. */
void osr_raft_members_watch(struct osr_raft *raft, struct peer *peer);
uint64_t osr_raft_members_deadline(const struct osr_raft *raft, const struct peer *peer);
void osr_raft_members_tick(struct osr_raft *raft);

/* ---- raft_snapshot.c ---- */

void osr_raft_snapshot_made(struct osr_raft *raft, const struct osr_raft_snapshot *made);
/* The peer needs what the log has no more. */
void osr_raft_snapshot_begin(struct osr_raft *raft, struct peer *peer);
void osr_raft_snapshot_end(struct peer *peer);
/* Asks how much it has; also its heartbeat. */
void osr_raft_snapshot_ask(struct osr_raft *raft, struct peer *peer);
void osr_raft_snapshot_read(struct osr_raft *raft, uint64_t ticket, struct osr_slice chunk);
void osr_raft_snapshot_taken(struct osr_raft *raft, struct peer *peer,
                             const struct osr_raft_message *message);

/* ---- raft_install.c ---- */

void osr_raft_install_chunk(struct osr_raft *raft, const struct osr_raft_message *message);
void osr_raft_install_written(struct osr_raft *raft, uint64_t ticket, enum osr_code code);
void osr_raft_installed(struct osr_raft *raft, uint64_t ticket, enum osr_code code);
/* Nothing is being stored any more: what waited for that can go on. */
void osr_raft_install_continue(struct osr_raft *raft);
static inline bool osr_raft_is_installing(const struct osr_raft *raft)
{
    return raft->incoming.install_ticket != 0;
}

/* ---- raft_transfer.c ---- */

void osr_raft_transfer(struct osr_raft *raft, uint64_t token, uint64_t target);
/* The target may have all by now. */
void osr_raft_transfer_review(struct osr_raft *raft);
/* A new term, leader or role. */
void osr_raft_transfer_observe(struct osr_raft *raft);
void osr_raft_transfer_tick(struct osr_raft *raft);
/* The leader wants this member to lead. */
void osr_raft_transfer_elect(struct osr_raft *raft, const struct osr_raft_message *message);
/* The best of those who could lead goes first; for a leader that gives up. */
void osr_raft_transfer_hand_over(struct osr_raft *raft);

#endif
