/* neighbours.h -- what lives beside an instance and is no instance: seed programs that it sends to,
 * files that it follows, the mirror, places where it publishes events. As the config says.
 *
 * Threads: the loop's, and "files" (node/file_worker.h). */
#ifndef OSR_NODE_NEIGHBOURS_H
#define OSR_NODE_NEIGHBOURS_H

#include "node/config.h"
#include "node/events.h"
#include "node/knowledge.h"
#include "node/seed_peer.h"

struct osr_neighbours;

struct osr_neighbours_options {
    uv_loop_t *loop;
    const struct osr_config *config;
    const char *instance; /* id */
    struct osr_knowledge *knowledge;
    struct osr_journal *journal;
    const struct osr_trace *trace;
};

/* What the options point to must outlive it. */
int osr_neighbours_open(const struct osr_neighbours_options *options,
                        struct osr_neighbours **ret_neighbours, struct osr_err *err);
/* Before knowledge base and journal are closed; afterwards the loop must run. NULL is a no-op. */
void osr_neighbours_close(struct osr_neighbours *neighbours);

size_t osr_neighbours_seed_count(const struct osr_neighbours *neighbours);
struct osr_seed_peer *osr_neighbours_seed(const struct osr_neighbours *neighbours, size_t index);

size_t osr_neighbours_events_count(const struct osr_neighbours *neighbours);
const struct osr_events *osr_neighbours_events(const struct osr_neighbours *neighbours,
                                               size_t index);

/* The seed peer with this URL, with or without its parameters; NULL where there is none. */
struct osr_seed_peer *osr_neighbours_find_seed(const struct osr_neighbours *neighbours,
                                               const char *url);

#endif
