/* Taking what a provider sends. A batch is checked, stored and verified (the latter two side by
 * side), and counts when both are done for it and all before it. */
#include "core/feed_internal.h"

/* ---- checking what comes ---- */

static int check_form(const Osr__Update *update, struct osr_feed_id *ret_id,
                      struct osr_public_key *ret_key, struct osr_err *err)
{
    if (osr_feed_id_make(ret_id, update->origin, update->stream, update->epoch, err) != 0) {
        return osr_err_prefix(err, "UPDATE");
    }
    if (update->n_entries == 0 || update->n_entries > OSR_BATCH_ENTRIES_MAX) {
        return osr_err_set(err, OSR_TOO_LARGE, "UPDATE: %zu entries, not 1 to %d",
                           update->n_entries, OSR_BATCH_ENTRIES_MAX);
    }
    if (update->first_sequence == 0 || update->first_sequence > UINT64_MAX - update->n_entries) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT, "UPDATE: sequences count from 1");
    }
    if (update->chain.len != OSR_SHA256_SIZE || update->signature.len != OSR_SIGNATURE_SIZE ||
        update->public_key.len != sizeof(ret_key->bytes)) {
        return osr_err_set(err, OSR_INVALID_ARGUMENT,
                           "UPDATE: chain has %d bytes, signature %d, key %d", OSR_SHA256_SIZE,
                           OSR_SIGNATURE_SIZE, OSR_PUBLIC_KEY_SIZE);
    }
    memcpy(ret_key->bytes, update->public_key.data, sizeof(ret_key->bytes));
    char id[OSR_INSTANCE_CHARS + 1];
    osr_instance_id(id, ret_key);
    if (strcmp(id, ret_id->origin) != 0) {
        return osr_err_set(err, OSR_BAD_SIGNATURE, "UPDATE: the key is not that of origin %s",
                           ret_id->origin);
    }
    return 0;
}

static struct osr_feed_head claimed_head(const Osr__Update *update)
{
    struct osr_feed_head head = {.sequence = update->first_sequence + update->n_entries - 1};
    memcpy(head.chain.bytes, update->chain.data, sizeof(head.chain.bytes));
    memcpy(head.signature.bytes, update->signature.data, sizeof(head.signature.bytes));
    return head;
}

/* Appends the entries from the skip-th on to core->incoming, checked and chained. */
static int build_batch(struct osr_feed *core, struct replica *replica, const Osr__Update *update,
                       size_t skip, struct osr_hash *ret_chain, struct osr_time *ret_time,
                       struct osr_err *err)
{
    struct osr_batch *batch = &core->incoming;
    osr_batch_clear(batch);
    batch->feed = replica->id;
    batch->first = update->first_sequence + skip;
    struct osr_hash chain = replica->received_chain;
    for (size_t i = skip; i < update->n_entries; i++) {
        const Osr__Entry *entry = update->entries[i];
        uint64_t sequence = update->first_sequence + i;
        if (osr_entry_check(entry, err) != 0) {
            return osr_err_prefix(err, "UPDATE: entry %llu", (unsigned long long)sequence);
        }
        if (entry->sequence != sequence) {
            return osr_err_set(err, OSR_SEQUENCE_GAP, "UPDATE: entry %llu stands in place %llu",
                               (unsigned long long)entry->sequence, (unsigned long long)sequence);
        }
        struct osr_time time = {entry->time_ms, entry->time_logical};
        if (osr_time_compare(time, *ret_time) <= 0) {
            /* Time and origin name a version: none may be named twice. */
            return osr_err_set(err, OSR_INVALID_ARGUMENT,
                               "UPDATE: entry %llu is not later than the one before",
                               (unsigned long long)sequence);
        }
        *ret_time = time;
        size_t begin = batch->bytes.size;
        osr_buffer_add(&batch->bytes, chain.bytes, sizeof(chain.bytes)); /* room */
        osr_entry_encode(&batch->bytes, time, entry->operation, entry->document);
        osr_batch_close_entry(batch);
        uint8_t *record = batch->bytes.data + begin;
        struct osr_slice stored =
            osr_slice(record + OSR_SHA256_SIZE, batch->bytes.size - begin - OSR_SHA256_SIZE);
        struct osr_hash hash = osr_entry_hash(&replica->id, sequence, stored);
        chain = osr_chain_next(&chain, &hash);
        memcpy(record, chain.bytes, sizeof(chain.bytes));
    }
    *ret_chain = chain;
    return 0;
}

static void put_out_store(struct osr_feed *core, struct replica *replica,
                          const struct receipt *receipt)
{
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_STORE, &operation);
    operation->replica = replica;
    operation->era = replica->era;
    operation->receipt_id = receipt->id;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_STORE);
    output->store.ticket = ticket;
    output->store.batch = &core->incoming;
    output->store.public_key = replica->public_key;
    output->store.head_sequence = receipt->head.sequence;
    output->store.head_signature = receipt->head.signature;
}

static void put_out_verify(struct osr_feed *core, struct replica *replica,
                           const struct receipt *receipt)
{
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_VERIFY, &operation);
    operation->replica = replica;
    operation->era = replica->era;
    operation->receipt_id = receipt->id;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_VERIFY);
    output->verify.ticket = ticket;
    output->verify.message = osr_feed_head_message(core, replica, &receipt->head);
    output->verify.public_key = replica->public_key;
    output->verify.signature = receipt->head.signature;
}

/* The entries from the skip-th on follow on what was received. */
static void receive(struct osr_feed *core, struct replica *replica, struct peer *peer,
                    const Osr__Update *update, size_t skip)
{
    struct osr_err err;
    struct osr_hash chain;
    struct receipt receipt = {
        .head = claimed_head(update), .time = replica->received_time, .peer_serial = peer->serial};
    if (build_batch(core, replica, update, skip, &chain, &receipt.time, &err) != 0) {
        osr_feed_session_close(core, peer, &err);
        return;
    }
    if (OSR_GUARD_CHAIN_CHECK && !osr_hash_equal(&chain, &receipt.head.chain)) {
        if (replica->own != NULL) {
            osr_feed_follow_report_fork(core, replica, peer, receipt.head.sequence);
            return;
        }
        osr_err_set(&err, OSR_BAD_HASH,
                    "UPDATE: the entries of %s/%s up to %llu do not hash to "
                    "the chain value given",
                    replica->id.stream, replica->id.origin,
                    (unsigned long long)receipt.head.sequence);
        osr_feed_session_close(core, peer, &err);
        return;
    }
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: batch %llu..%llu from %s -> store, verify",
                 replica->label, (unsigned long long)core->incoming.first,
                 (unsigned long long)receipt.head.sequence, peer->label);
    receipt.id = ++core->receipt_id_last;
    receipt.bytes = core->incoming.bytes.size;
    *(struct receipt *)osr_queue_push(&replica->receipts) = receipt;
    replica->receipts_bytes += receipt.bytes;
    replica->receipts_unverified++;
    replica->received = receipt.head.sequence;
    replica->received_chain = chain;
    replica->received_time = receipt.time;
    replica->progress_ms = core->now_ms;
    replica->attempts = 0;
    put_out_store(core, replica, &receipt);
    put_out_verify(core, replica, &receipt);
    if (!OSR_GUARD_ACK_AFTER_DURABLE) {
        osr_feed_lead_state(core, replica, peer);
    }
}

/* Its chain value is not ours: either it is forged, or the origin signed two histories. */
static void suspect_fork(struct osr_feed *core, struct replica *replica, struct peer *peer,
                         const struct osr_feed_head *head)
{
    struct channel *channel = osr_feed_channel(replica, peer);
    if (channel->fork_suspected || channel->forked) {
        return;
    }
    channel->fork_suspected = true;
    struct operation *operation;
    uint64_t ticket = osr_feed_operation_begin(core, OPERATION_VERIFY_FORK, &operation);
    operation->replica = replica;
    operation->peer_serial = peer->serial;
    struct osr_feed_output *output = osr_feed_put_out(core, OSR_FEED_OUT_VERIFY);
    output->verify.ticket = ticket;
    output->verify.message = osr_feed_head_message(core, replica, head);
    output->verify.public_key = replica->public_key;
    output->verify.signature = head->signature;
}

void osr_feed_receive_fork_verified(struct osr_feed *core, struct replica *replica,
                                    struct peer *peer, bool valid)
{
    osr_feed_channel(replica, peer)->fork_suspected = false;
    if (valid) {
        osr_feed_follow_report_fork(core, replica, peer, replica->head.sequence);
        osr_feed_follow_review(core, replica);
        return;
    }
    struct osr_err err;
    osr_err_set(&err, OSR_BAD_SIGNATURE, "UPDATE: a head of %s/%s is not signed by its origin",
                replica->id.stream, replica->id.origin);
    osr_feed_session_close(core, peer, &err);
}

/* All of it is here already: it was sent again because our ACK or FETCH is still on its way, or
 * was lost. */
static void take_duplicate(struct osr_feed *core, struct replica *replica, struct peer *peer,
                           const struct osr_feed_head *head)
{
    if (head->sequence == replica->head.sequence &&
        !osr_hash_equal(&head->chain, &replica->head.chain)) {
        suspect_fork(core, replica, peer, head);
        return;
    }
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: up to %llu again from %s: dropped", replica->label,
                 (unsigned long long)head->sequence, peer->label);
    if (replica->provider != peer) {
        osr_feed_follow_stop(core, replica, peer);
    }
    osr_feed_lead_state(core, replica, peer);
}

/* It cannot be taken now: we ask again from what is missing. */
static void take_gap(struct osr_feed *core, struct replica *replica, struct peer *peer,
                     uint64_t first)
{
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: %llu from %s, %llu comes next: dropped",
                 replica->label, (unsigned long long)first, peer->label,
                 (unsigned long long)replica->received + 1);
    replica->gap = true;
    osr_feed_follow_review(core, replica);
}

static bool may_receive(const struct osr_feed *core, const struct replica *replica)
{
    return replica->state == REPLICA_LIVE && !replica->restoring &&
           core->now_ms >= replica->blocked_until_ms &&
           !(replica->own != NULL && replica->own->sealing);
}

/* The peer may be a relay that has not yet heard of it: it is asked for no more, and stays. */
static void refuse_leader(struct osr_feed *core, const struct osr_feed_id *id, struct peer *peer)
{
    struct replica *replica = osr_feed_replica_find(core, id);
    osr_feed_say(core, OSR_LEVEL_WARNING, "%s: sends entries of %s/%s, who may not write them",
                 peer->label, id->stream, id->origin);
    if (replica != NULL) {
        osr_feed_follow_stop(core, replica, peer);
    }
}

void osr_feed_receive_update(struct osr_feed *core, struct peer *peer, const Osr__Update *update)
{
    struct osr_feed_id id;
    struct osr_public_key key;
    struct osr_err err;
    if (check_form(update, &id, &key, &err) != 0) {
        osr_feed_session_close(core, peer, &err);
        return;
    }
    if (!osr_feed_access_may_lead(core, &id)) {
        refuse_leader(core, &id, peer);
        return;
    }
    struct replica *replica = osr_feed_replica_need(core, &id, peer);
    if (replica == NULL || !may_receive(core, replica)) {
        return;
    }
    replica->public_key = key;
    const struct osr_feed_head head = claimed_head(update);
    uint64_t first = update->first_sequence;
    size_t skip = 0;
    if (OSR_GUARD_DUPLICATE_CHECK && head.sequence <= replica->received) {
        take_duplicate(core, replica, peer, &head);
        return;
    }
    if (OSR_GUARD_CHAIN_CHECK && first > replica->received + 1) {
        take_gap(core, replica, peer, first);
        return;
    }
    if (OSR_GUARD_DUPLICATE_CHECK && first <= replica->received) {
        skip = (size_t)(replica->received + 1 - first);
    }
    if (replica->receipts_unverified == OSR_FEED_UNVERIFIED_MAX) {
        take_gap(core, replica, peer, first); /* asked for again once some are through */
        return;
    }
    if (replica->receipts_bytes > 2ull * core->options.window_bytes) {
        osr_err_set(&err, OSR_FLOW_CONTROL,
                    "UPDATE: more than two windows of %u bytes of %s/%s "
                    "are not acknowledged yet",
                    core->options.window_bytes, id.stream, id.origin);
        osr_feed_session_close(core, peer, &err);
        return;
    }
    receive(core, replica, peer, update, skip);
}

/* ---- storing and verifying ---- */

/* Commits what is stored and verified, from the front. */
static void commit(struct osr_feed *core, struct replica *replica)
{
    uint64_t before = replica->head.sequence;
    while (replica->receipts.count > 0) {
        const struct receipt *receipt = osr_queue_front(&replica->receipts);
        if (!receipt->stored || !receipt->verified) {
            break;
        }
        replica->head = receipt->head;
        replica->head_time = receipt->time;
        replica->receipts_bytes -= receipt->bytes;
        if (replica->own != NULL) {
            /* Not capped: an own time is never used twice. */
            if (osr_time_compare(receipt->time, core->clock.last) > 0) {
                core->clock.last = receipt->time;
            }
            replica->own->head_stored = receipt->head.sequence;
            osr_feed_own_claim_shown(core, replica->own);
        } else {
            osr_clock_observe(&core->clock, receipt->time, core->time_ms);
        }
        osr_queue_pop(&replica->receipts);
    }
    if (replica->head.sequence == before) {
        return;
    }
    osr_feed_say(core, OSR_LEVEL_TRACE, "%s: %llu..%llu durable and verified -> commit",
                 replica->label, (unsigned long long)before + 1,
                 (unsigned long long)replica->head.sequence);
    osr_feed_put_out_commit(core, replica, before + 1, replica->head.sequence);
    osr_feed_lead_committed(core, replica);
    osr_feed_follow_review(core, replica);
}

/* NULL where it was dropped since. */
static struct receipt *find_receipt(const struct replica *replica, uint64_t id)
{
    for (size_t i = 0; i < replica->receipts.count; i++) {
        struct receipt *receipt = osr_queue_at(&replica->receipts, i);
        if (receipt->id == id) {
            return receipt;
        }
    }
    return NULL;
}

/* Drops the receipts from this one on; those before it are in the log already. */
static void drop_receipts_from(struct replica *replica, uint64_t id)
{
    struct receipt *last;
    while ((last = osr_queue_back(&replica->receipts)) != NULL && last->id >= id) {
        replica->receipts_bytes -= last->bytes;
        replica->receipts_unverified -= !last->verified;
        osr_queue_pop_back(&replica->receipts);
    }
    if (OSR_GUARD_CURSOR_DURABLE) {
        const struct osr_feed_head *head = last != NULL ? &last->head : &replica->head;
        replica->received = head->sequence;
        replica->received_chain = head->chain;
        replica->received_time = last != NULL ? last->time : replica->head_time;
    }
}

void osr_feed_receive_stored(struct osr_feed *core, struct replica *replica, uint64_t receipt_id,
                             enum osr_code code)
{
    struct receipt *receipt = find_receipt(replica, receipt_id);
    if (receipt == NULL) {
        return;
    }
    if (code == OSR_OK) {
        receipt->stored = true;
        commit(core, replica);
        return;
    }
    uint64_t last = receipt->head.sequence;
    drop_receipts_from(replica, receipt_id);
    osr_feed_say(core, OSR_LEVEL_ERROR, "%s: up to %llu is not stored (%s): back to %llu",
                 replica->label, (unsigned long long)last, osr_code_info(code)->name,
                 (unsigned long long)replica->received);
    if (replica->own != NULL) {
        osr_feed_own_claim_shown(
            core, replica->own); /* that we cannot keep it is not its sender's fault */
    }
    replica->gap = true;
    replica->blocked_until_ms = core->now_ms + core->options.retry_ms;
    osr_feed_arm(core, replica->blocked_until_ms);
}

void osr_feed_receive_verified(struct osr_feed *core, struct replica *replica, uint64_t receipt_id,
                               bool valid)
{
    struct receipt *receipt = find_receipt(replica, receipt_id);
    if (receipt == NULL) {
        return;
    }
    if (valid) {
        replica->receipts_unverified -= !receipt->verified;
        receipt->verified = true;
        commit(core, replica);
        return;
    }
    struct peer *sender = osr_feed_session_by_serial(core, receipt->peer_serial);
    struct osr_err err;
    osr_err_set(&err, OSR_BAD_SIGNATURE, "UPDATE: head %llu of %s/%s is not signed by its origin",
                (unsigned long long)receipt->head.sequence, replica->id.stream, replica->id.origin);
    osr_feed_replica_roll_back(replica);
    osr_feed_receive_cut(core, replica);
    if (sender != NULL) {
        osr_feed_session_close(core, sender, &err);
    }
}

void osr_feed_receive_cut(struct osr_feed *core, struct replica *replica)
{
    osr_feed_say(core, OSR_LEVEL_WARNING, "%s: cutting off everything behind %llu", replica->label,
                 (unsigned long long)replica->head.sequence);
    replica->state = REPLICA_CUTTING;
    osr_feed_put_out_truncate(core, replica);
}

static void retry_cut(struct osr_feed *core, struct replica *replica)
{
    if (core->now_ms < replica->blocked_until_ms) {
        osr_feed_arm(core, replica->blocked_until_ms);
        return;
    }
    replica->cut_failed = false;
    osr_feed_receive_cut(core, replica);
}

void osr_feed_receive_tick(struct osr_feed *core, struct replica *replica)
{
    if (replica->cut_failed) {
        retry_cut(core, replica);
    }
}

void osr_feed_receive_truncated(struct osr_feed *core, struct replica *replica, enum osr_code code)
{
    if (code != OSR_OK) {
        replica->cut_failed = true;
        replica->blocked_until_ms = core->now_ms + core->options.retry_ms;
        osr_feed_arm(core, replica->blocked_until_ms);
        return;
    }
    if (replica->restoring) {
        osr_feed_restore_finish(core, replica);
    } else {
        replica->state = REPLICA_LIVE;
        osr_feed_follow_review(core, replica);
    }
}
