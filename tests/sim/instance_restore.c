/* What a simulated instance makes of its log after a crash, and whether that is what it promised.
 */
#include "sim/instance_parts.h"

#include <assert.h>

enum {
    SEGMENT_BYTES_MIN = 16 << 10,
    SEGMENT_BYTES_MAX = 64 << 10,
};

/* Rebuilds what the log knows, record by record. */
static int restore_record(void *context, const struct osr_wal_record *record, struct osr_err *err)
{
    (void)err;
    struct sim_instance *instance = context;
    if (record->log_id == 0) {
        return 0;
    }
    struct sim_log *log = &instance->logs[record->log_id - 1];
    switch (record->type) {
    case OSR_WAL_LOG:
        assert(record->payload.size == LOG_RECORD_SIZE);
        log->named = true;
        memcpy(log->public_key.bytes, record->payload.data, OSR_PUBLIC_KEY_SIZE);
        log->id = world_feed_id(instance->world, record->log_id - 1);
        assert(memcmp(log->id.origin, record->payload.data + OSR_PUBLIC_KEY_SIZE,
                      OSR_INSTANCE_CHARS) == 0);
        break;
    case OSR_WAL_HEAD: {
        struct osr_signature signature;
        memcpy(signature.bytes, record->payload.data, sizeof(signature.bytes));
        sim_log_add_head(log, record->index, &signature);
        break;
    }
    case OSR_WAL_TRUNCATE:
        sim_log_drop_heads_behind(log, record->index);
        break;
    default:
        break;
    }
    return 0;
}

bool sim_log_open(struct sim_instance *instance)
{
    for (size_t i = 0; i < SIM_FEEDS_MAX; i++) {
        instance->logs[i].named = false;
        instance->logs[i].heads.size = 0;
    }
    const struct osr_wal_options options = {.segment_bytes_min = SEGMENT_BYTES_MIN,
                                            .segment_bytes_max = SEGMENT_BYTES_MAX};
    struct osr_err err;
    int code = osr_wal_open(osr_sim_disk_port(instance->disk), "log", &options, restore_record,
                            instance, &instance->wal, &err);
    if (code == 0) {
        return true; /* what was read back is safe: wal.h says so */
    }
    if (!osr_sim_disk_is_down(instance->disk) && code != OSR_DISK_FULL && code != OSR_IO) {
        sim_violation("%s cannot open its log: %s", instance->name, err.message);
    }
    return false;
}

static struct osr_hash chain_at(struct sim_instance *instance, size_t feed, uint64_t sequence,
                                struct osr_time *ret_time)
{
    struct osr_buffer payload = {0};
    struct osr_hash chain;
    struct osr_err err;
    if (osr_wal_read_one(instance->wal, sim_log_id(feed), sequence, &payload, &err) != 0) {
        sim_violation("%s cannot read back %llu of %s: %s", instance->name,
                      (unsigned long long)sequence, sim_feed_name(feed), err.message);
    }
    memcpy(chain.bytes, payload.data, sizeof(chain.bytes));
    ret_time->ms = osr_get_u64(payload.data + sizeof(chain.bytes));
    ret_time->logical = osr_get_u32(payload.data + sizeof(chain.bytes) + 8);
    osr_buffer_done(&payload);
    return chain;
}

void sim_log_check_promises(const struct sim_instance *instance, size_t feed)
{
    const struct sim_log *log = &instance->logs[feed];
    uint64_t usable =
        sim_feed_origin(feed) == instance->index ? log->appended : sim_log_last_head(log);
    if (usable < log->promised) {
        sim_violation("%s acknowledged %llu of %s, but has only %llu after a crash", instance->name,
                      (unsigned long long)log->promised, sim_feed_name(feed),
                      (unsigned long long)usable);
    }
    if (sim_feed_origin(feed) == instance->index &&
        usable < history_length(world_history(instance->world), feed)) {
        sim_violation("%s lost its own entries behind %llu in a crash", instance->name,
                      (unsigned long long)usable);
    }
}

struct osr_feed_restored sim_log_restored_feed(struct sim_instance *instance, size_t feed,
                                               struct osr_feed_head *ret_older)
{
    struct sim_log *log = &instance->logs[feed];
    struct osr_feed_restored restored = {.id = log->id, .public_key = log->public_key};
    restored.sequence = log->appended;
    if (restored.sequence > 0) {
        restored.chain = chain_at(instance, feed, restored.sequence, &restored.time);
    }
    restored.head_sequence = sim_log_last_head(log);
    if (restored.head_sequence > 0) {
        struct osr_time time;
        restored.head_chain = chain_at(instance, feed, restored.head_sequence, &time);
        restored.head_signature = sim_log_head_at(log, sim_log_head_count(log) - 1).signature;
        restored.older_heads = ret_older;
        for (size_t i = sim_log_head_count(log) - 1;
             i > 0 && restored.older_head_count < OSR_FEED_UNVERIFIED_MAX; i--) {
            struct sim_head head = sim_log_head_at(log, i - 1);
            ret_older[restored.older_head_count++] = (struct osr_feed_head){
                head.sequence, chain_at(instance, feed, head.sequence, &time), head.signature};
        }
    }
    return restored;
}
