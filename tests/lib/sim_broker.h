/* sim_broker.h -- the queues of a simulated broker (sim_bus.h), and what goes wrong on the way into
 * them. No connections. */
#ifndef OSR_TESTS_SIM_BROKER_H
#define OSR_TESTS_SIM_BROKER_H

#include "base/random.h"
#include "lib/sim_bus.h"
#include "lib/sim_stored.h"

enum { OSR_SIM_OLD_MESSAGES = 64 }; /* remembered, to be delivered again */

/* Where messages wait. */
struct osr_sim_queue {
    struct osr_sim_queue *next;
    char *name;
    bool is_durable; /* stays when nobody takes from it */
    struct osr_sim_list waiting;
};

struct osr_sim_broker {
    struct osr_random random;
    struct osr_sim_bus_faults faults;
    void (*on_arrival)(const char *queue); /* something waits there */
    struct osr_sim_queue *queues;
    struct osr_sim_stored *old[OSR_SIM_OLD_MESSAGES];
    size_t old_count;
    size_t bytes_max; /* in one queue, ever */
    size_t messages_max;
};

void osr_sim_broker_done(struct osr_sim_broker *broker);

struct osr_sim_queue *osr_sim_broker_find(const struct osr_sim_broker *broker,
                                          const char *name); /* NULL: there is none */
/* A no-op where it is there already. */
void osr_sim_broker_make(struct osr_sim_broker *broker, const char *name, bool is_durable);
void osr_sim_broker_remove(struct osr_sim_broker *broker, const char *name);
/* It has more than the faults let in. */
bool osr_sim_broker_is_over(const struct osr_sim_broker *broker, const char *name);
/* Takes over a message, for better or worse. False: nobody takes it. */
bool osr_sim_broker_take_over(struct osr_sim_broker *broker, struct osr_sim_stored *stored);

#endif
