/* sim_stored.h -- messages that a simulated broker (sim_bus.h) keeps, and lists of them. */
#ifndef OSR_TESTS_SIM_STORED_H
#define OSR_TESTS_SIM_STORED_H

#include "adapter/bus.h"

struct osr_sim_stored {
    struct osr_sim_stored *next;
    struct osr_bus_message message; /* points to its own copies */
    char *queue;
};

/* Owns what is in it. A zeroed one is empty and valid. */
struct osr_sim_list {
    struct osr_sim_stored *first;
    struct osr_sim_stored *last;
    size_t count;
    size_t bytes; /* of bodies */
};

struct osr_sim_stored *osr_sim_store(const char *queue, const struct osr_bus_message *message);
void osr_sim_discard(struct osr_sim_stored *stored); /* NULL is a no-op */

void osr_sim_list_put_last(struct osr_sim_list *list, struct osr_sim_stored *stored);
void osr_sim_list_put_first(struct osr_sim_list *list, struct osr_sim_stored *stored);
struct osr_sim_stored *osr_sim_list_take_first(struct osr_sim_list *list); /* not of an empty one */
void osr_sim_list_empty(struct osr_sim_list *list);

#endif
