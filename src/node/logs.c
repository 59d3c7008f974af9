#include "node/logs.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/map.h"

/* A feed as a key without padding: origin | stream, filled up with NUL | u64 epoch. */
enum { KEY_SIZE = OSR_INSTANCE_CHARS + OSR_STREAM_CHARS_MAX + 1 + 8 };

struct osr_logs {
    struct osr_map *by_feed; /* the loop's */
    /* Set once each; other threads see NULL or a whole one. */
    struct osr_log *_Atomic by_id[OSR_LOGS_MAX + 1];
};

static uint8_t *add_key(uint8_t *key, const struct osr_feed_id *feed)
{
    memcpy(key, feed->origin, OSR_INSTANCE_CHARS);
    key += OSR_INSTANCE_CHARS;
    memset(key, 0, OSR_STREAM_CHARS_MAX + 1);
    memcpy(key, feed->stream, strlen(feed->stream));
    key += OSR_STREAM_CHARS_MAX + 1;
    osr_put_u64(key, feed->epoch);
    return key + 8;
}

struct osr_logs *osr_logs_create(uint64_t seed)
{
    struct osr_logs *logs = osr_alloc(sizeof(*logs));
    logs->by_feed = osr_map_create(seed);
    return logs;
}

void osr_logs_destroy(struct osr_logs *logs)
{
    if (logs == NULL) {
        return;
    }
    for (uint32_t id = 1; id <= OSR_LOGS_MAX; id++) {
        free(atomic_load(&logs->by_id[id]));
    }
    osr_map_destroy(logs->by_feed);
    free(logs);
}

struct osr_log *osr_logs_find(const struct osr_logs *logs, const struct osr_feed_id *feed)
{
    uint8_t key[KEY_SIZE];
    add_key(key, feed);
    return osr_map_get(logs->by_feed, osr_slice(key, sizeof(key)));
}

static struct osr_log *add_with_id(struct osr_logs *logs, uint32_t id,
                                   const struct osr_feed_id *feed,
                                   const struct osr_public_key *public_key)
{
    struct osr_log *log = osr_alloc(sizeof(*log));
    log->id = id;
    log->feed = *feed;
    log->public_key = *public_key;

    uint8_t key[KEY_SIZE];
    add_key(key, feed);
    void *before = osr_map_put(logs->by_feed, osr_slice(key, sizeof(key)), log);
    assert(before == NULL);
    (void)before;
    atomic_store_explicit(&logs->by_id[id], log, memory_order_release);
    return log;
}

struct osr_log *osr_logs_add(struct osr_logs *logs, const struct osr_feed_id *feed,
                             const struct osr_public_key *public_key)
{
    /* An id whose LOG record never got into the log leaves a gap at the next start, which is
     * filled here. */
    uint32_t id = 1;
    while (id <= OSR_LOGS_MAX && osr_logs_get(logs, id) != NULL) {
        id++;
    }
    assert(id <= OSR_LOGS_MAX);
    return add_with_id(logs, id, feed, public_key);
}

struct osr_log *osr_logs_get(const struct osr_logs *logs, uint32_t id)
{
    return id <= OSR_LOGS_MAX ? atomic_load_explicit(&logs->by_id[id], memory_order_acquire) : NULL;
}

void osr_log_encode(const struct osr_log *log, uint8_t payload[OSR_LOG_PAYLOAD_SIZE])
{
    static_assert(OSR_LOG_PAYLOAD_SIZE == KEY_SIZE + OSR_PUBLIC_KEY_SIZE, "layout on disk");
    uint8_t *end = add_key(payload, &log->feed);
    memcpy(end, log->public_key.bytes, OSR_PUBLIC_KEY_SIZE);
}

int osr_logs_restore(struct osr_logs *logs, const struct osr_wal_record *record,
                     struct osr_err *err)
{
    if (record->format != OSR_LOG_FORMAT) {
        return osr_err_set(err, OSR_UNSUPPORTED_VERSION, "LOG record of format %u", record->format);
    }
    if (record->payload.size != OSR_LOG_PAYLOAD_SIZE || record->log_id == 0 ||
        record->log_id > OSR_LOGS_MAX || osr_logs_get(logs, record->log_id) != NULL) {
        return osr_err_set(err, OSR_CORRUPT, "LOG record %llu: not as it was written",
                           (unsigned long long)record->ordinal);
    }

    char origin[OSR_INSTANCE_CHARS + 1] = {0};
    char stream[OSR_STREAM_CHARS_MAX + 1] = {0};
    struct osr_public_key public_key;
    const uint8_t *payload = record->payload.data;
    memcpy(origin, payload, OSR_INSTANCE_CHARS);
    payload += OSR_INSTANCE_CHARS;
    memcpy(stream, payload, OSR_STREAM_CHARS_MAX);
    payload += OSR_STREAM_CHARS_MAX + 1;
    uint64_t epoch = osr_get_u64(payload);
    memcpy(public_key.bytes, payload + 8, OSR_PUBLIC_KEY_SIZE);

    struct osr_feed_id feed;
    int code = osr_feed_id_make(&feed, origin, stream, epoch, err);
    if (code != 0) {
        return osr_err_prefix(err, "LOG record %llu", (unsigned long long)record->ordinal);
    }
    if (osr_logs_find(logs, &feed) != NULL) {
        return osr_err_set(err, OSR_CORRUPT, "LOG record %llu: a feed declared twice",
                           (unsigned long long)record->ordinal);
    }
    add_with_id(logs, record->log_id, &feed, &public_key)->is_declared = true;
    return 0;
}
