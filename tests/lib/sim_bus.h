/* sim_bus.h -- the simulated twin of adapter/bus.h: a broker in memory, on the test's loop, that
 * does what real ones do at their worst.
 *
 *     struct osr_sim_bus *broker = osr_sim_bus_create(seed);   from now on all buses go there
 *     ... osr_bus_open(...), osr_transport_dial(...), uv_run ...
 *     osr_sim_bus_set_faults(broker, &(struct osr_sim_bus_faults){.doubles = 0.1});
 *     osr_sim_bus_go_down(broker); osr_sim_bus_go_up(broker);
 *     osr_sim_bus_destroy(broker);                             when all buses are closed
 *
 * Queues are named as bus.h says: "A/in" of a listener at A, "A/out/P" of a dialler, "A" of
 * requests, "A/T" of events. Those of listeners and diallers go with them; that of requests stays,
 * and what was not acknowledged comes again.
 *
 * Everything is decided by the seed and the calls. One broker at a time, one thread. */
#ifndef OSR_TESTS_SIM_BUS_H
#define OSR_TESTS_SIM_BUS_H

#include "adapter/bus.h"

/* Probabilities, for each message that the broker takes over. A zeroed one is a good broker. */
struct osr_sim_bus_faults {
    double loses;
    double doubles;
    double reorders;
    double repeats_old;   /* delivers one that was delivered long ago behind it */
    bool hides_gone;      /* no on_gone: neither last wills nor returned messages */
    size_t queue_bytes;   /* holds its senders back where a queue has more; 0: never */
    bool loses_when_full; /* drops instead, as MQTT brokers do */
};

struct osr_sim_bus;

struct osr_sim_bus *osr_sim_bus_create(uint64_t seed);
void osr_sim_bus_destroy(struct osr_sim_bus *broker); /* NULL is a no-op */
void osr_sim_bus_set_faults(struct osr_sim_bus *broker, const struct osr_sim_bus_faults *faults);

/* Connections break, and what was under way is lost, but for the queues of requests. */
void osr_sim_bus_go_down(struct osr_sim_bus *broker);
void osr_sim_bus_go_up(struct osr_sim_bus *broker);
/* Takes nothing over, and delivers nothing. */
void osr_sim_bus_stall(struct osr_sim_bus *broker, bool on);
/* Delivers to `queue` what nobody of ours has sent; NULL members are none. */
void osr_sim_bus_forge(struct osr_sim_bus *broker, const char *queue,
                       const struct osr_bus_message *message);
/* Says of the peer `address` to all who take from `queue` that it is gone. */
void osr_sim_bus_forge_gone(struct osr_sim_bus *broker, const char *queue, const char *address);

/* ---- looking ---- */

/* Sees all that is sent, before anything happens to it. NULL: nobody. */
void osr_sim_bus_watch(struct osr_sim_bus *broker,
                       void (*see)(void *context, const char *queue,
                                   const struct osr_bus_message *message),
                       void *context);
size_t osr_sim_bus_queued_bytes_max(const struct osr_sim_bus *broker);    /* in one queue, ever */
size_t osr_sim_bus_queued_messages_max(const struct osr_sim_bus *broker); /* likewise */
size_t osr_sim_bus_open_count(const struct osr_sim_bus *broker);          /* buses not yet closed */

#endif
