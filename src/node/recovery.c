#include "node/recovery.h"

#include <stdlib.h>

#include "core/queue.h"

/* The last head of a feed and those that count where it is forged. */
enum { HEADS_MAX = 1 + OSR_FEED_UNVERIFIED_MAX };

/* What the walk has seen of one log. */
struct progress {
    struct osr_feed_restored restored;
    bool is_chain_known;    /* of the last entry; not after a cut */
    struct osr_queue heads; /* struct osr_feed_head without their chains, the newest at the back */
    bool has_dropped_heads; /* there were more than HEADS_MAX */
};

struct osr_recovery {
    struct osr_logs *logs;
    struct osr_facts *facts;
    struct osr_ledger_recovered *ledger;
    struct progress progress[OSR_LOGS_MAX + 1]; /* by log id */
};

enum { RECORD_SIZE_MIN = OSR_SHA256_SIZE + OSR_STORED_HEAD_SIZE };

struct osr_recovery *osr_recovery_create(struct osr_logs *logs, struct osr_facts *facts,
                                         struct osr_ledger_recovered *ledger)
{
    struct osr_recovery *recovery = osr_alloc(sizeof(*recovery));
    recovery->logs = logs;
    recovery->facts = facts;
    recovery->ledger = ledger;
    for (size_t id = 0; id <= OSR_LOGS_MAX; id++) {
        osr_queue_init(&recovery->progress[id].heads, sizeof(struct osr_feed_head));
    }
    return recovery;
}

void osr_recovery_destroy(struct osr_recovery *recovery)
{
    if (recovery == NULL) {
        return;
    }
    for (size_t id = 0; id <= OSR_LOGS_MAX; id++) {
        osr_queue_done(&recovery->progress[id].heads);
    }
    free(recovery);
}

void osr_recovered_done(struct osr_recovered *recovered)
{
    free(recovered->feeds);
    free(recovered->older_heads);
    *recovered = (struct osr_recovered){0};
}

static int refuse(const struct osr_wal_record *record, const char *what, struct osr_err *err)
{
    return osr_err_set(err, OSR_CORRUPT, "record %llu of the log: %s",
                       (unsigned long long)record->ordinal, what);
}

/* Chain value and time out of an entry's record. */
static int take_entry(struct osr_feed_restored *restored, struct osr_slice payload)
{
    if (payload.size < RECORD_SIZE_MIN) {
        return OSR_CORRUPT;
    }
    memcpy(restored->chain.bytes, payload.data, OSR_SHA256_SIZE);
    const uint8_t *stored = payload.data + OSR_SHA256_SIZE;
    restored->time = (struct osr_time){osr_get_u64(stored), osr_get_u32(stored + 8)};
    return 0;
}

static int visit_entry(struct progress *progress, const struct osr_wal_record *record,
                       struct osr_err *err)
{
    struct osr_feed_restored *restored = &progress->restored;
    if (record->format != OSR_ENTRY_FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "entry of format %u", record->format);
    }
    /* The log sees to it that none is missing but void ones, which a compaction took away. */
    if (record->index <= restored->sequence || take_entry(restored, record->payload) != 0) {
        return refuse(record, "not the entry that was expected", err);
    }
    restored->sequence = record->index;
    progress->is_chain_known = true;
    return 0;
}

/* The head with this sequence, made if it is newer than all others; NULL if it is older. */
static struct osr_feed_head *need_head(struct progress *progress, uint64_t sequence)
{
    struct osr_feed_head *newest = osr_queue_back(&progress->heads);
    if (newest != NULL && newest->sequence >= sequence) {
        return newest->sequence == sequence ? newest : NULL;
    }
    if (progress->heads.count == HEADS_MAX) {
        osr_queue_pop(&progress->heads);
        progress->has_dropped_heads = true;
    }
    struct osr_feed_head *head = osr_queue_push(&progress->heads);
    head->sequence = sequence;
    return head;
}

static int visit_head(struct progress *progress, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    if (record->payload.size != OSR_SIGNATURE_SIZE || record->index == 0) {
        return refuse(record, "not a head of its feed", err);
    }
    struct osr_feed_head *head = need_head(progress, record->index);
    if (head != NULL) {
        memcpy(head->signature.bytes, record->payload.data, OSR_SIGNATURE_SIZE);
    }
    return 0;
}

static void visit_truncate(struct progress *progress, const struct osr_wal_record *record)
{
    struct osr_feed_restored *restored = &progress->restored;
    if (restored->sequence > record->index) {
        restored->sequence = record->index;
        progress->is_chain_known = false;
    }
    const struct osr_feed_head *newest;
    while ((newest = osr_queue_back(&progress->heads)) != NULL &&
           newest->sequence > record->index) {
        osr_queue_pop_back(&progress->heads);
    }
}

static int visit_fact(struct osr_recovery *recovery, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    struct osr_slice key;
    struct osr_slice value;
    int code = osr_fact_decode(record, &key, &value, err);
    if (code == 0) {
        osr_facts_put(recovery->facts, key, value);
    }
    return code;
}

static int visit_log(struct osr_recovery *recovery, const struct osr_wal_record *record,
                     struct osr_err *err)
{
    int code = osr_logs_restore(recovery->logs, record, err);
    if (code == 0) {
        const struct osr_log *log = osr_logs_get(recovery->logs, record->log_id);
        recovery->progress[log->id].restored.id = log->feed;
        recovery->progress[log->id].restored.public_key = log->public_key;
    }
    return code;
}

int osr_recovery_visit(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    struct osr_recovery *recovery = context;
    if (osr_ledger_log_has(record)) {
        return osr_ledger_recovered_visit(recovery->ledger, record, err);
    }
    if (record->type == OSR_WAL_FACT) {
        return visit_fact(recovery, record, err);
    }
    if (record->type == OSR_WAL_LOG) {
        return visit_log(recovery, record, err);
    }
    if (osr_logs_get(recovery->logs, record->log_id) == NULL) {
        return refuse(record, "of a feed that was not declared", err);
    }
    struct progress *progress = &recovery->progress[record->log_id];
    switch (record->type) {
    case OSR_WAL_ENTRY:
        return visit_entry(progress, record, err);
    case OSR_WAL_HEAD:
        return visit_head(progress, record, err);
    case OSR_WAL_TRUNCATE:
        visit_truncate(progress, record);
        return 0;
    default:
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "record of type %d", (int)record->type);
    }
}

/* Visits a log again from its first entry, for heads that were dropped before a cut took newer
 * ones away. */
static int visit_heads(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    return record->type == OSR_WAL_HEAD ? visit_head(context, record, err) : 0;
}

static int find_dropped_heads(struct progress *progress, struct osr_wal *wal, uint32_t log_id,
                              struct osr_err *err)
{
    if (!progress->has_dropped_heads || progress->heads.count == HEADS_MAX) {
        return 0;
    }
    osr_queue_clear(&progress->heads);
    return osr_wal_read(wal, log_id, 1, visit_heads, progress, err);
}

static int read_chain(struct osr_wal *wal, uint32_t log_id, uint64_t sequence,
                      struct osr_feed_restored *entry, struct osr_err *err)
{
    struct osr_buffer record = {0};
    int code = osr_wal_read_one(wal, log_id, sequence, &record, err);
    if (code == 0 && take_entry(entry, osr_buffer_slice(&record)) != 0) {
        code = osr_err_set(err, OSR_CORRUPT, "entry %llu of log %u is too short",
                           (unsigned long long)sequence, log_id);
    }
    osr_buffer_done(&record);
    return code;
}

static int read_head_chains(struct progress *progress, struct osr_wal *wal, uint32_t log_id,
                            struct osr_err *err)
{
    int code = 0;
    for (size_t i = 0; i < progress->heads.count && code == 0; i++) {
        struct osr_feed_head *head = osr_queue_at(&progress->heads, i);
        struct osr_feed_restored entry = {0};
        code = read_chain(wal, log_id, head->sequence, &entry, err);
        head->chain = entry.chain;
    }
    return code;
}

/* Brings in what the walk could not know. */
static int complete(struct progress *progress, struct osr_wal *wal, uint32_t log_id,
                    struct osr_err *err)
{
    struct osr_feed_restored *restored = &progress->restored;
    int code = find_dropped_heads(progress, wal, log_id, err);
    if (code == 0 && !progress->is_chain_known) {
        code = read_chain(wal, log_id, restored->sequence, restored, err);
    }
    return code == 0 ? read_head_chains(progress, wal, log_id, err) : code;
}

/* The heads of a feed, as the core wants them; `older` has room for all but the last. */
static void hand_over_heads(struct progress *progress, struct osr_feed_head *older)
{
    struct osr_feed_restored *restored = &progress->restored;
    const struct osr_feed_head *last = osr_queue_back(&progress->heads);
    if (last == NULL) {
        return;
    }
    restored->head_sequence = last->sequence;
    restored->head_chain = last->chain;
    restored->head_signature = last->signature;
    restored->older_heads = older;
    restored->older_head_count = progress->heads.count - 1;
    for (size_t i = 0; i < restored->older_head_count; i++) {
        older[i] = *(const struct osr_feed_head *)osr_queue_at(&progress->heads,
                                                               restored->older_head_count - 1 - i);
    }
}

/* Makes room for the feeds that have entries and for all of their heads. */
static struct osr_recovered make_room(const struct osr_recovery *recovery)
{
    size_t feeds = 0;
    for (uint32_t id = 1; id <= OSR_LOGS_MAX; id++) {
        feeds += recovery->progress[id].restored.sequence > 0;
    }
    struct osr_recovered recovered = {0};
    if (feeds > 0) {
        recovered.feeds = osr_alloc(feeds * sizeof(recovered.feeds[0]));
        recovered.older_heads =
            osr_alloc(feeds * OSR_FEED_UNVERIFIED_MAX * sizeof(recovered.older_heads[0]));
    }
    return recovered;
}

int osr_recovery_finish(struct osr_recovery *recovery, struct osr_wal *wal,
                        struct osr_recovered *ret_recovered, struct osr_err *err)
{
    int code = osr_ledger_recovered_check(recovery->ledger, err);
    if (code != 0) {
        return code;
    }
    struct osr_recovered recovered = make_room(recovery);
    for (uint32_t id = 1; id <= OSR_LOGS_MAX; id++) {
        struct progress *progress = &recovery->progress[id];
        if (progress->restored.sequence == 0) {
            continue;
        }
        code = complete(progress, wal, id, err);
        if (code != 0) {
            osr_recovered_done(&recovered);
            return code;
        }
        hand_over_heads(progress,
                        recovered.older_heads + recovered.count * OSR_FEED_UNVERIFIED_MAX);
        osr_logs_get(recovery->logs, id)->is_restoring = true;
        recovered.feeds[recovered.count++] = progress->restored;
    }
    *ret_recovered = recovered;
    return 0;
}
