#include "node/recovery.h"

#include <stdlib.h>

/* What the walk has seen of one log. */
struct progress {
    struct osr_feed_restored restored;
    bool is_chain_known; /* of the last entry; not after a cut */
    bool is_head_lost;   /* the last head was cut off: the one before it must be searched */
};

struct osr_recovery {
    struct osr_logs *logs;
    struct osr_facts *facts;
    struct progress progress[OSR_FEEDS_MAX + 1]; /* by log id */
};

enum { RECORD_SIZE_MIN = OSR_SHA256_SIZE + OSR_STORED_HEAD_SIZE };

struct osr_recovery *osr_recovery_create(struct osr_logs *logs, struct osr_facts *facts)
{
    struct osr_recovery *recovery = osr_alloc(sizeof(*recovery));
    recovery->logs = logs;
    recovery->facts = facts;
    return recovery;
}

void osr_recovery_destroy(struct osr_recovery *recovery)
{
    free(recovery);
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
    if (record->index != restored->sequence + 1 || take_entry(restored, record->payload) != 0) {
        return refuse(record, "not the entry that was expected", err);
    }
    restored->sequence = record->index;
    progress->is_chain_known = true;
    return 0;
}

static int visit_head(struct progress *progress, const struct osr_wal_record *record,
                      struct osr_err *err)
{
    struct osr_feed_restored *restored = &progress->restored;
    if (record->payload.size != OSR_SIGNATURE_SIZE || record->index == 0 ||
        record->index > restored->sequence) {
        return refuse(record, "not a head of its feed", err);
    }
    if (record->index >= restored->head_sequence) {
        restored->head_sequence = record->index;
        memcpy(restored->head_signature.bytes, record->payload.data, OSR_SIGNATURE_SIZE);
        progress->is_head_lost = false;
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
    if (restored->head_sequence > record->index) {
        restored->head_sequence = 0;
        progress->is_head_lost = true;
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

/* Visits a log again from its first entry, to find the last head that no cut took away. */
static int visit_heads(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    return record->type == OSR_WAL_HEAD ? visit_head(context, record, err) : 0;
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

/* Brings in what the walk could not know. */
static int complete(struct progress *progress, struct osr_wal *wal, uint32_t log_id,
                    struct osr_err *err)
{
    struct osr_feed_restored *restored = &progress->restored;
    int code = 0;
    if (progress->is_head_lost) {
        code = osr_wal_read(wal, log_id, 1, visit_heads, progress, err);
    }
    if (code == 0 && !progress->is_chain_known) {
        code = read_chain(wal, log_id, restored->sequence, restored, err);
    }
    if (code == 0 && restored->head_sequence > 0) {
        struct osr_feed_restored entry = {0};
        code = read_chain(wal, log_id, restored->head_sequence, &entry, err);
        restored->head_chain = entry.chain;
    }
    return code;
}

int osr_recovery_finish(struct osr_recovery *recovery, struct osr_wal *wal,
                        struct osr_feed_restored **ret_restored, size_t *ret_count,
                        struct osr_err *err)
{
    struct osr_feed_restored *list = osr_alloc((OSR_FEEDS_MAX + 1) * sizeof(*list));
    size_t count = 0;
    for (uint32_t id = 1; id <= OSR_FEEDS_MAX; id++) {
        struct progress *progress = &recovery->progress[id];
        if (progress->restored.sequence == 0) {
            continue;
        }
        int code = complete(progress, wal, id, err);
        if (code != 0) {
            free(list);
            return code;
        }
        osr_logs_get(recovery->logs, id)->is_restoring = true;
        list[count++] = progress->restored;
    }
    *ret_restored = list;
    *ret_count = count;
    return 0;
}
