/* raft_internal.h -- what the parts of the consensus core share. May be included by
 * src/core/raft*.c alone.
 *
 *   raft.c            life, dispatch of events, deadline, information
 *   raft_restore.c    what the disk gave back, or the founding of a ledger
 *   raft_output.c     outputs, messages, those that wait until the vote is durable
 *   raft_block.c      entries and their payloads in shared blocks of memory
 *   raft_log.c        the log: terms, and the part of it that is in memory
 *   raft_store.c      what goes to the disk, and what follows when it is there or found no room
 *   raft_check.c      which messages make sense by themselves
 *   raft_message.c    who may say what, and what a message's term means
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
 * What they all work on is in raft_state.h.
 *
 * A step: what is due for the event is done and put out as data; at its end the vote, if it
 * changed, is stored, memory over the limit is given back, and a change of role is reported. */
#ifndef OSR_CORE_RAFT_INTERNAL_H
#define OSR_CORE_RAFT_INTERNAL_H

#include "core/raft_state.h"

/* ---- raft.c ---- */

void osr_raft_say(const struct osr_raft *raft, enum osr_level level, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
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

/* Copies, without tokens. The reference to the block is the caller's. */
struct piece osr_raft_piece_create(struct osr_raft *raft, const struct osr_raft_entry *entries,
                                   size_t count);
/* What was proposed, as entries of the own term. */
struct piece osr_raft_piece_create_from_draft(struct osr_raft *raft, uint64_t first);
/* The memory lives on until the next step, as outputs may point there. */
void osr_raft_block_release(struct osr_raft *raft, struct block *block);
void osr_raft_block_free_released(struct osr_raft *raft);
/* The one with room gets no more. */
void osr_raft_block_close(struct osr_raft *raft);

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
void osr_raft_log_append(struct osr_raft *raft, const struct piece *piece);
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

/* The piece, the last in the log, goes to the disk, with the vote if that is due. */
void osr_raft_store_piece(struct osr_raft *raft, const struct piece *piece, bool is_cut);
/* At the end of a step. */
void osr_raft_store_vote(struct osr_raft *raft);
void osr_raft_stored(struct osr_raft *raft, uint64_t ticket, enum osr_code code);
static inline bool osr_raft_vote_is_durable(const struct osr_raft *raft)
{
    return raft->durable_vote.term == raft->vote.term &&
           raft->durable_vote.candidate == raft->vote.candidate;
}

/* ---- raft_check.c ---- */

/* NULL: it makes sense; else why not. */
const char *osr_raft_check(const struct osr_raft *raft, const struct osr_raft_message *message);

/* ---- raft_message.c ---- */

void osr_raft_take_message(struct osr_raft *raft, const struct osr_raft_message *message);
/* A message that makes no sense. */
void osr_raft_refuse(struct osr_raft *raft, const struct osr_raft_message *message,
                     const char *why);
/* Follows the message's newer term. False: it is too far ahead yet. */
bool osr_raft_message_follow(struct osr_raft *raft, const struct osr_raft_message *message,
                             uint64_t leader);

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
/* Fills in how far the own log goes, as it stands now. */
void osr_raft_election_claim(const struct osr_raft *raft, struct osr_raft_message *request);
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
/* While leading: it has shown of late that it follows. */
bool osr_raft_peer_is_there(const struct osr_raft *raft, const struct peer *peer);
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
