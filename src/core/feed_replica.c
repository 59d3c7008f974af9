/* The feeds that are held, by id and in the order in which they became known. */
#include "core/feed_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { KEY_BYTES_MAX = OSR_INSTANCE_CHARS + OSR_STREAM_CHARS_MAX + 8 };

static struct osr_slice make_key(uint8_t *key, const struct osr_feed_id *id)
{
    size_t stream_size = strlen(id->stream);
    osr_put_u64(key, id->epoch);
    memcpy(key + 8, id->origin, OSR_INSTANCE_CHARS);
    memcpy(key + 8 + OSR_INSTANCE_CHARS, id->stream, stream_size);
    return osr_slice(key, 8 + OSR_INSTANCE_CHARS + stream_size);
}

struct replica *osr_feed_replica_find(const struct osr_feed *core, const struct osr_feed_id *id)
{
    uint8_t key[KEY_BYTES_MAX];
    return osr_map_get(core->replica_by_id, make_key(key, id));
}

/* There is one for each stream: later epochs and keys that were replaced are others'. */
static bool is_own(const struct osr_feed *core, const struct osr_feed_id *id)
{
    return strcmp(id->origin, core->instance) == 0 && id->epoch == 1;
}

static struct replica *replica_create(struct osr_feed *core, const struct osr_feed_id *id)
{
    struct replica *replica = osr_alloc(sizeof(*replica));
    replica->id = *id;
    bool is_known = osr_feed_stream_find(id->stream, &replica->stream);
    assert(is_known); /* an id is made of known ones alone */
    if (is_own(core, id)) {
        replica->own = &core->own[replica->stream];
        replica->own->replica = replica;
        replica->public_key = core->options.public_key;
    }
    snprintf(replica->label, sizeof(replica->label), "%s/%.4s", id->stream, id->origin);
    if (id->epoch > 1) {
        snprintf(replica->label, sizeof(replica->label), "%s/%.4s/%llu", id->stream, id->origin,
                 (unsigned long long)id->epoch);
    }
    osr_queue_init(&replica->receipts, sizeof(struct receipt));
    osr_queue_init(&replica->older_heads, sizeof(struct osr_feed_head));
    replica->channels = osr_alloc(core->options.peers_max * sizeof(replica->channels[0]));
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        osr_queue_init(&replica->channels[i].in_flight, sizeof(struct sent_batch));
    }
    replica->holdings = osr_alloc(OSR_FEED_PARTIES_MAX * sizeof(replica->holdings[0]));
    return replica;
}

/* The first feeds of whoever speaks have places that others cannot take, and so have those of
 * streams that few may lead: made-up origins can be told of in kb alone. What peers tell of is
 * limited, not what is our own or in the log already: once the instance's key was replaced, a log
 * full of feeds holds none that is its own, and so there is one more. */
static size_t places_for(const struct osr_feed *core, const struct osr_feed_id *id,
                         const struct peer *peer)
{
    if (peer == NULL || is_own(core, id)) {
        return SIZE_MAX;
    }
    bool is_first = id->epoch == 1 && strcmp(id->origin, peer->instance) == 0;
    bool is_kb = strcmp(id->stream, osr_feed_stream_name(OSR_STREAM_KB)) == 0;
    return is_first || !is_kb ? OSR_FEEDS_MAX : OSR_FEEDS_TOLD_MAX;
}

struct replica *osr_feed_replica_need(struct osr_feed *core, const struct osr_feed_id *id,
                                      const struct peer *peer)
{
    struct replica *replica = osr_feed_replica_find(core, id);
    if (replica != NULL) {
        return replica;
    }
    if (core->replica_count >= places_for(core, id, peer)) {
        osr_feed_say(core, OSR_LEVEL_WARNING, "already holding %zu feeds: ignoring %s/%s",
                     core->replica_count, id->stream, id->origin);
        return NULL;
    }
    if (core->replica_count == core->replica_capacity) {
        core->replica_capacity = core->replica_capacity > 0 ? 2 * core->replica_capacity : 16;
        core->replicas =
            osr_realloc(core->replicas, core->replica_capacity * sizeof(core->replicas[0]));
    }
    replica = replica_create(core, id);
    core->replicas[core->replica_count++] = replica;
    uint8_t key[KEY_BYTES_MAX];
    osr_map_put(core->replica_by_id, make_key(key, id), replica);
    return replica;
}

void osr_feed_replica_destroy(struct osr_feed *core, struct replica *replica)
{
    for (uint32_t i = 0; i < core->options.peers_max; i++) {
        osr_queue_done(&replica->channels[i].in_flight);
    }
    osr_queue_done(&replica->receipts);
    osr_queue_done(&replica->older_heads);
    free(replica->channels);
    free(replica->holdings);
    free(replica);
}

static bool is_told_of(const struct osr_feed *core, const struct replica *replica)
{
    for (size_t i = 0; i < core->party_count; i++) {
        const struct party *party = &core->parties[i];
        bool is_its_own = strcmp(party->instance, replica->id.origin) == 0;
        if (is_its_own || (party->peer != NULL && replica->holdings[i].stated)) {
            return true;
        }
    }
    return false;
}

/* Nothing of it was ever received, so neither the log nor an operation knows it. */
static bool is_rumour(const struct replica *replica)
{
    return replica->own == NULL && replica->received == 0 && replica->era == 0;
}

void osr_feed_replica_forget_rumours(struct osr_feed *core)
{
    size_t kept = 0;
    for (size_t i = 0; i < core->replica_count; i++) {
        struct replica *replica = core->replicas[i];
        if (is_rumour(replica) && !is_told_of(core, replica)) {
            uint8_t key[KEY_BYTES_MAX];
            osr_map_remove(core->replica_by_id, make_key(key, &replica->id));
            osr_feed_replica_destroy(core, replica);
        } else {
            core->replicas[kept++] = replica;
        }
    }
    core->replica_count = kept;
}

struct holding *osr_feed_holding(const struct osr_feed *core, const struct replica *replica,
                                 const struct peer *peer)
{
    return &replica->holdings[peer->party - core->parties];
}

void osr_feed_replica_roll_back(struct replica *replica)
{
    replica->received = replica->head.sequence;
    replica->received_chain = replica->head.chain;
    replica->received_time = replica->head_time;
    osr_queue_clear(&replica->receipts);
    replica->receipts_bytes = 0;
    replica->receipts_unverified = 0;
    replica->era++;
}

void osr_feed_channel_reset(struct channel *channel)
{
    struct osr_queue in_flight = channel->in_flight;
    osr_queue_clear(&in_flight);
    *channel = (struct channel){.in_flight = in_flight};
}
