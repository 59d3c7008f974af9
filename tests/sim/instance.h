/* instance.h -- one simulated instance: the real feed core and the real log on a simulated disk,
 * with a little glue that carries out the core's outputs, each after a delay.
 *
 * Instead of a key there is a keyed hash: SIGN and VERIFY are fast and cannot be wrong.
 * Invariants are checked where they could break: what ACK states is synced, what is stored
 * has no gap, what is shown is what its origin committed, what was promised is there after
 * every restart, nothing new is taken from an origin that may not lead or given to one that may
 * not follow, and nobody who keeps the rules is accused of breaking them. */
#ifndef OSR_TESTS_INSTANCE_H
#define OSR_TESTS_INSTANCE_H

#include "lib/sim_disk.h"
#include "sim/store.h"
#include "sim/world.h"

struct sim_options {
    uint32_t batch_bytes;
    uint32_t window_bytes;
    uint32_t retry_ms;
    uint32_t heartbeat_ms;
    uint32_t silence_ms;
    uint64_t sync_us_max; /* of the log's syncs */
};

struct sim_instance;

struct sim_instance *sim_instance_create(struct world *world, uint32_t index, uint64_t seed,
                                         const struct sim_options *options);
void sim_instance_destroy(struct sim_instance *instance); /* NULL is a no-op */

/* Opens the log and starts the core. False where the disk failed under it: try again later. */
bool sim_instance_start(struct sim_instance *instance);
/* Drops everything that was only in memory. */
void sim_instance_stop(struct sim_instance *instance, bool power_cut);
bool sim_instance_is_up(const struct sim_instance *instance);
uint32_t sim_instance_life(const struct sim_instance *instance);
void sim_instance_handle(struct sim_instance *instance, const struct world_event *event);
void sim_instance_write(struct sim_instance *instance, const struct osr_feed_write *write);

/* Somebody asks it to send its feed again to whoever is on that link. */
void sim_instance_resend(struct sim_instance *instance, uint32_t link, uint64_t from_sequence);

const char *sim_instance_id(const struct sim_instance *instance);
const struct store *sim_instance_store(const struct sim_instance *instance);
struct osr_sim_disk *sim_instance_disk(struct sim_instance *instance);
/* Up to which sequence of a feed no crash can take anything. */
uint64_t sim_instance_durable(const struct sim_instance *instance, size_t feed);
void sim_instance_set_slow(struct sim_instance *instance, bool slow);

/* From now on it does not take that feed, or gives that follower nothing of that stream: only while
 * it is up. */
void sim_instance_bar_leader(struct sim_instance *instance, size_t feed);
void sim_instance_bar_follower(struct sim_instance *instance, size_t follower,
                               enum osr_feed_stream stream);
void sim_instance_bar_nobody(struct sim_instance *instance);

#endif
